"""What a file looks like, as a value that can be shown, stored and used again."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

Role = Literal["time", "clock", "hour", "value", "sensor", "unit", "source", "text"]
DateOrder = Literal["ymd", "dmy", "mdy"]

# Cells that stand for "no value", compared without case and blanks (the design's reading rules).
MISSING = ("", "nan", "na", "n/a", "null", "-", "--", "---")


class FormatError(ValueError):
    """The file cannot be read as readings. `code` is for programs, the message for people, `hint` says what to do."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message.replace("\0", "␀"))  # it may quote the file, and PostgreSQL stores no NUL
        self.code = code
        self.hint = hint


@dataclass(frozen=True)
class Column:
    """One column: its name as the header has it, what it is for, and its unit where the file says so.

    time: date and clock time, or the date alone. clock, hour: the clock time (13:00, 1300) or the hour (0 to 24)
    that goes with the date. value: readings of the sensor with that name. In narrow files: sensor and unit name the
    sensor and its unit; source names the source, of which there may be one in a file; all else is text. text: no
    number in it where the layout was found, not kept; numbers further on are listed as issues.
    """

    name: str
    role: Role
    unit: str = ""


@dataclass(frozen=True)
class Layout:
    """How to read a delimited text file; line numbers count from 1.

    wide: one value column per sensor. narrow: one reading a line, the sensor named in a column. unit_in_name: in this
    narrow file one name stands for several sensors, told apart by their units: "Offtake kWh", "Offtake m3".
    """

    shape: Literal["wide", "narrow"]
    columns: tuple[Column, ...]
    data_line: int
    header_line: int | None = None
    units_line: int | None = None
    encoding: str = "utf-8"
    delimiter: str = ","
    decimal: str = "."
    date_order: DateOrder = "ymd"
    time_example: str = ""
    timezone: str = "UTC"
    timezone_from: Literal["cells", "request", "file", "default"] = "default"
    missing: tuple[str, ...] = ()
    unit_in_name: bool = False

    @property
    def time_columns(self) -> list[int]:
        """The columns of the time: the date first, wherever it stands, and its clock after it."""
        return [*self.of_role("time"), *self.of_role("clock"), *self.of_role("hour")]

    @property
    def hours_only(self) -> bool:
        """Whether the column beside the date holds whole hours."""
        return bool(self.of_role("hour"))

    def of_role(self, role: Role) -> list[int]:
        """The positions of the columns with that role."""
        return [index for index, column in enumerate(self.columns) if column.role == role]

    def in_zone(self, timezone: str) -> "Layout":
        """The same layout with times without an offset read in that zone, at somebody's request."""
        if self.timezone_from == "cells":
            return self
        return replace(self, timezone=timezone, timezone_from="request")

    def to_json(self) -> dict[str, Any]:
        """The layout as JSON holds it; `Layout.from_json` turns it back."""
        found = asdict(self)
        found["columns"] = [asdict(column) for column in self.columns]
        found["missing"] = list(self.missing)
        return found

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> "Layout":
        columns = tuple(Column(**column) for column in found["columns"])
        return cls(**{**found, "columns": columns, "missing": tuple(found.get("missing", ()))})
