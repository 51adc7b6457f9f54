"""What a file looks like, as a value that can be shown, stored and used again."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

FileKind = Literal["text", "json", "xlsx", "parquet"]
Shape = Literal["wide", "narrow", "pivot"]
Role = Literal[
    "time", "clock", "year", "month", "day", "doy", "hour", "minute", "second",
    "value", "sensor", "unit", "source", "text",
]  # fmt: skip
DateOrder = Literal["ymd", "dmy", "mdy"]
Epoch = Literal["", "s", "ms", "us", "ns", "excel"]
TimezoneFrom = Literal["cells", "request", "file", "default"]

# The roles of columns that together make the time of a row, in the order in which they are read.
TIME_ROLES: tuple[Role, ...] = ("time", "year", "month", "day", "doy", "clock", "hour", "minute", "second")

# Cells that stand for "no value", compared without case and blanks (the design's reading rules).
MISSING = ("", "nan", "na", "n/a", "null", "-", "--", "---")


@dataclass(frozen=True)
class Choice:
    """One answer to a question about a file: what it says, and the fields of `given.Given`, as JSON, that it sets."""

    label: str
    changes: dict[str, Any]


class FormatError(ValueError):
    """The file cannot be read as readings. `code` is for programs, the message for people, `hint` says what to do.

    choices: the answers, where what is missing is an answer to a question.
    """

    def __init__(self, code: str, message: str, hint: str = "", choices: tuple[Choice, ...] = ()) -> None:
        super().__init__(message.replace("\0", "␀"))  # it may quote the file, and PostgreSQL stores no NUL
        self.code = code
        self.hint = hint
        self.choices = choices


@dataclass(frozen=True)
class Column:
    """One column: its name as the header has it, what it is for, and its unit where the file says so.

    time: the date with its clock time, the date alone, or a number of seconds since 1970 (`Layout.epoch`). clock: the
    clock time (13:00, 1300) that goes with the date. year, month, day, doy (day of the year, 1 to 366), hour (0 to 24),
    minute, second: parts of the time as numbers. value: readings of the sensor with that name. In narrow files: sensor
    and unit name the sensor and its unit; source names the source, of which there may be one in a file. text: not
    kept; in wide files it held no number where the layout was found, and numbers further on are listed as issues.

    sensor: the name that the sensor has in the book, where that is not the column's own. missing: marks for "no value"
    in this column beside those of the layout.
    """

    name: str
    role: Role
    unit: str = ""
    sensor: str = ""
    missing: tuple[str, ...] = ()

    @property
    def sensor_name(self) -> str:
        """The name that the column's readings have in the book."""
        return self.sensor or self.name


@dataclass(frozen=True)
class Layout:
    """How to read a file; line numbers count from 1.

    file: what the bytes are, once unpacked. Of JSON, `path` is where the records stand ("energy.values", empty for the
    outermost); of a workbook, `sheet` is the name of the sheet. Records and rows of these are read as lines of cells
    that are separated by tabs: a record is a line (the first has number 1), and so is a row of a sheet.

    shape: wide is one value column per sensor. narrow is one reading a line, the sensor named in a column. pivot is one
    row a day and one value column per time of day, all readings of one sensor. In narrow files with several value
    columns each sensor is named by the column and by its cell: "usage 8716871". unit_in_name: in this narrow file one
    name stands for several sensors, told apart by their units: "Offtake kWh", "Offtake m3".

    delimiter: a comma, semicolon, tab or bar; a blank means any run of blanks and tabs; empty where `widths` says how
    many characters wide each column is (the last one reaches to the end of the line). thousands: the mark between
    groups of three digits, empty where there is none. time_formats: patterns as of C's strptime that times are read by,
    instead of the forms that Daybook knows. epoch: the unit of times that are numbers since 1970 (s, ms, us, ns) or
    days as spreadsheets count them (excel). sensor, unit: of files that do not name their only sensor.
    """

    shape: Shape
    columns: tuple[Column, ...]
    data_line: int
    header_line: int | None = None
    units_line: int | None = None
    file: FileKind = "text"
    path: str = ""
    sheet: str = ""
    encoding: str = "utf-8"
    delimiter: str = ","
    widths: tuple[int, ...] = ()
    decimal: str = "."
    thousands: str = ""
    date_order: DateOrder = "ymd"
    time_formats: tuple[str, ...] = ()
    epoch: Epoch = ""
    time_example: str = ""
    timezone: str = "UTC"
    timezone_from: TimezoneFrom = "default"
    missing: tuple[str, ...] = ()
    unit_in_name: bool = False
    sensor: str = ""
    unit: str = ""

    @property
    def time_columns(self) -> list[int]:
        """The columns of the time, in the order of TIME_ROLES: the date first, wherever it stands, then its clock."""
        return [index for role in TIME_ROLES for index in self.of_role(role)]

    @property
    def time_roles(self) -> list[Role]:
        """The roles of `time_columns`."""
        return [self.columns[index].role for index in self.time_columns]

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
        found["columns"] = [asdict(column) | {"missing": list(column.missing)} for column in self.columns]
        return found | {name: list(getattr(self, name)) for name in ("missing", "widths", "time_formats")}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> "Layout":
        """The layout of that JSON, also of an earlier version's, which had fewer fields."""
        columns = tuple(Column(**column | {"missing": tuple(column.get("missing", ()))}) for column in found["columns"])
        lists = {name: tuple(found.get(name, ())) for name in ("missing", "widths", "time_formats")}
        known = {field.name for field in fields(cls)}
        return cls(**{**{name: found[name] for name in found if name in known}, "columns": columns, **lists})
