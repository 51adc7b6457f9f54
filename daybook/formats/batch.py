"""What reading a block of lines yields: series of readings, and the account of everything else."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

MAX_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Issue:
    """One line or one cell that could not be read, and why. rejected: the whole line was left out because of it.

    column is empty where no single column is to blame. value holds at most 200 characters, NUL bytes as ␀.
    """

    line: int
    column: str
    value: str
    reason: str
    rejected: bool = True


@dataclass(frozen=True)
class Series:
    """Readings of one sensor: microseconds since 1970 in UTC, and values, in the order of the file."""

    name: str
    unit: str
    times: Int64s
    values: Float64s


@dataclass
class Batch:
    """What some lines held: lines = preamble + blank + read + rejected, cells = readings + missing + not_numeric.

    The cells are those of the value columns in the lines that were read. No two series have the same name.
    """

    lines: int
    preamble: int = 0
    blank: int = 0
    read: int = 0
    missing: int = 0
    not_numeric: int = 0
    series: list[Series] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)

    @property
    def rejected(self) -> int:
        return self.lines - self.preamble - self.blank - self.read

    @property
    def readings(self) -> int:
        return sum(len(series.times) for series in self.series)


def shown(text: str) -> str:
    """The text as an issue shows it: short, and without NUL, which PostgreSQL does not store."""
    return text[:MAX_SHOWN].replace("\0", "␀")
