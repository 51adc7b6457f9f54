"""Readings on their way into the table: rows in the order of the key, rules for keys that are taken, what became of
them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """Readings ready to be stored: sorted by (sensor_id, time), no pair twice. time: microseconds since 1970, UTC."""

    sensor_ids: Int32s
    times: Int64s
    values: Float64s

    def __len__(self) -> int:
        return len(self.times)

    def ranges(self) -> dict[int, tuple[int, int]]:
        """First and last time per sensor."""
        starts = np.flatnonzero(np.diff(self.sensor_ids, prepend=-1))
        ends = np.append(starts[1:], len(self.times)) - 1
        return {
            int(self.sensor_ids[start]): (int(self.times[start]), int(self.times[end]))
            for start, end in zip(starts, ends, strict=True)
        }


@dataclass(frozen=True)
class Rules:
    """What becomes of a row whose key is in the book: a duplicate, which changes nothing, unless the rules say else.

    replace: it takes the place of the reading there, if that has another value; of two in one file the last one counts.
    instead_of: the upload that will be taken back when this one is done. It is as if its readings had gone already.
    """

    replace: bool = False
    instead_of: int | None = None

    @property
    def skip_all(self) -> bool:
        """Whether every row that is there already is a duplicate."""
        return not self.replace and self.instead_of is None


SKIP = Rules()


@dataclass
class Stored:
    """What became of some rows: rows = added + duplicates + replaced.

    added: how many each sensor gained. taken_over: how many of these wait to take the place of a reading of the upload
    that this one stands in for, so that the table gains none. duplicates change nothing. replaced wait to take the
    place of another reading.
    """

    added: Counter[int] = field(default_factory=Counter)
    duplicates: int = 0
    replaced: int = 0
    taken_over: Counter[int] = field(default_factory=Counter)

    def add(self, other: "Stored") -> None:
        self.added.update(other.added)
        self.duplicates += other.duplicates
        self.replaced += other.replaced
        self.taken_over.update(other.taken_over)


def sort_rows(series: Iterable[tuple[int, Int64s, Float64s]], keep_last: bool = False) -> tuple[Rows, int]:
    """Puts (sensor_id, times, values) together into sorted rows; of two readings of one sensor at one time the first
    is kept, or the last. Returns the rows and how many were left out that way."""
    ids, stamps, values = [], [], []
    repeated = 0
    by_sensor: dict[int, list[tuple[Int64s, Float64s]]] = {}
    for sensor_id, some_times, some_values in series:
        by_sensor.setdefault(sensor_id, []).append((some_times, some_values))
    for sensor_id in sorted(by_sensor):
        parts = by_sensor[sensor_id]
        own_times = parts[0][0] if len(parts) == 1 else np.concatenate([part[0] for part in parts])
        own_values = parts[0][1] if len(parts) == 1 else np.concatenate([part[1] for part in parts])
        steps = np.diff(own_times)
        if (steps <= 0).any():
            order = np.argsort(own_times, kind="stable")
            own_times, own_values = own_times[order], own_values[order]
            changes = np.diff(own_times) > 0
            kept = np.append(changes, True) if keep_last else np.append(True, changes)
            repeated += int(len(kept) - kept.sum())
            own_times, own_values = own_times[kept], own_values[kept]
        ids.append(np.full(len(own_times), sensor_id, np.int32))
        stamps.append(own_times)
        values.append(own_values)
    if not ids:
        return Rows(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.float64)), 0
    return Rows(np.concatenate(ids), np.concatenate(stamps), np.concatenate(values)), repeated


def by_sensor(rows: Rows) -> Iterable[tuple[int, Iterable[tuple[int, float]], int]]:
    """(sensor_id, its (time, value) pairs, their number), sensor by sensor."""
    starts = np.flatnonzero(np.diff(rows.sensor_ids, prepend=-1)).tolist()
    for start, end in zip(starts, [*starts[1:], len(rows)], strict=True):
        pairs = zip(rows.times[start:end].tolist(), rows.values[start:end].tolist(), strict=True)
        yield int(rows.sensor_ids[start]), pairs, end - start


def per_sensor(rows: Rows) -> Counter[int]:
    ids, counts = np.unique(rows.sensor_ids, return_counts=True)
    return Counter(dict(zip(ids.tolist(), counts.tolist(), strict=True)))
