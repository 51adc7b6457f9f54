"""Records that are not lines of text yet: rows of a sheet, objects of JSON. As lines of cells separated by tabs they
go the way of every text file."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from daybook.formats.batch import Batch, Issue
from daybook.formats.cells import is_number
from daybook.formats.given import Given, GivenColumn
from daybook.formats.layout import FileKind, FormatError, Layout

TAB = "\t"
_BLANKS = re.compile(r"[\t\r\n]+")
_NEEDS_CARE = re.compile(r'[\t\r\n"]')
_DATE = re.compile(
    r"\s*(\d{4}([-/.])\d{1,2}\2\d{1,2}(?!\d)|\d{1,2}([-/.])\d{1,2}\3(\d{4}|\d{2})(?!\d)"
    r"|(1[89]|2[01])\d{6}([T ]?\d{4,6})?Z?\s*$|\d{1,2}[-/. ][A-Za-z]{3,9}\.?[-/. ]\d{2,4}"
    r"|[A-Za-z]{3,9}\.? \d{1,2},? \d{4})"
)
_TIME_KEY = re.compile(
    r"(?i)(^|[^a-z])(time|date|datetime|timestamp|ts|t|start|hour|day|utc|epoch)([^a-z]|$)|time|date$|datum"
)
# Seconds since 1970 from 1987 to 2100, and the same in milli-, micro- and nanoseconds.
_EPOCHS = [(5.4e8 * scale, 4.1e9 * scale) for scale in (1, 1e3, 1e6, 1e9)]


@dataclass
class About:
    """What is known of a file's table before its layout is looked for; the fields are those of `Layout`.

    encoding: None where it shows only in the lines themselves. names: of the columns, where no line names them.
    units: by the names of columns, where the file says them elsewhere; timezone: of times without an offset, likewise.
    sensor: the name of the column that names the sensor of each record, where that is known. sheets: of a workbook,
    all there are.
    """

    file: FileKind = "text"
    encoding: str | None = None
    names: list[str] | None = None
    path: str = ""
    sheet: str = ""
    units: dict[str, str] = field(default_factory=dict)
    sensor: str = ""
    timezone: str = ""
    sheets: list[str] = field(default_factory=list)

    def as_lines(self, given: Given) -> Given:
        """What is given of records that have become lines of cells separated by tabs."""
        if self.file == "text":
            return given
        timezone = given.timezone or self.timezone or None
        given = replace(given, delimiter="\t", widths=(), encoding=None, timezone=timezone)
        if self.sensor and given.shape is None and not given.columns:
            return replace(given, shape="narrow", columns=(GivenColumn(self.sensor, "sensor"),))
        return given

    def with_units(self, layout: Layout) -> Layout:
        """The layout with the units of columns that the file says elsewhere than in its header."""
        columns = tuple(
            replace(column, unit=self.units.get(column.name, ""))
            if not column.unit and column.role == "value"
            else column
            for column in layout.columns
        )
        return replace(layout, columns=columns) if self.units else layout


class Source(Protocol):
    """Turns the bytes of a file into lines; `about` is right from the first piece of lines on."""

    about: About
    notes: "Notes"

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The lines that this piece completes."""

    def flush(self) -> Iterator[bytes]:
        """The lines that can be had although more bytes follow."""

    def end(self) -> Iterator[bytes]:
        """The lines that are left when no byte follows."""


class Notes:
    """What a source has to say of single records, until the lines of those records have been read."""

    def __init__(self) -> None:
        self._issues: list[Issue] = []
        self._refused: dict[int, tuple[str, str]] = {}

    def add(self, line: int, column: str, value: str, reason: str) -> None:
        """Something in this record is not kept, though the record is read."""
        self._issues.append(Issue(line, column, value, reason, rejected=False))

    def refuse(self, line: int, value: str, reason: str) -> None:
        """This record is none: its line has one cell, and is rejected for that; here is the true reason."""
        self._refused[line] = (value, reason)

    def put_into(self, batch: Batch, last_line: int) -> None:
        """Moves all that concerns lines up to `last_line` into the batch that holds the last of them."""
        if self._refused:
            batch.issues[:] = [self._told(issue) for issue in batch.issues]
            self._refused = {line: told for line, told in self._refused.items() if line > last_line}
        if self._issues:
            batch.issues += [issue for issue in self._issues if issue.line <= last_line]
            self._issues = [issue for issue in self._issues if issue.line > last_line]
            batch.issues.sort(key=lambda issue: issue.line)

    def _told(self, issue: Issue) -> Issue:
        if not issue.rejected or issue.line not in self._refused:
            return issue
        value, reason = self._refused[issue.line]
        return Issue(issue.line, "", value, reason)


def to_line(cells: Iterable[str]) -> str:
    """The cells as one line, without its end; tabs and line ends inside cells become blanks."""
    return TAB.join([_written(cell) if _NEEDS_CARE.search(cell) else cell for cell in cells])


def _written(cell: str) -> str:
    cell = _BLANKS.sub(" ", cell)
    return '"' + cell.replace('"', '""') + '"' if '"' in cell else cell


def is_reading(cells: Sequence[str], keys: Sequence[str] | None = None) -> bool:
    """Whether the cells hold a time and, beside it, a number. A bare number is a time where it counts from 1970 and its
    key, if there are keys, is a word for time."""
    times = [index for index, cell in enumerate(cells) if is_time(cell, keys[index] if keys else None)]
    numbers = sum(is_number(cell) for index, cell in enumerate(cells) if index not in times[:1])
    return bool(times) and numbers > 0


def is_time(cell: str, key: str | None = None) -> bool:
    """Whether a cell looks like a time with a date in it; a number only where it counts from 1970."""
    if _DATE.match(cell):
        return True
    if not 9 <= len(cell) <= 30 or not is_number(cell) or (key is not None and not _TIME_KEY.search(key)):
        return False
    number = float(cell.replace(",", "."))
    return any(least <= number <= most for least, most in _EPOCHS)


def needs_whole_file() -> FormatError:
    """The refusal of the first part alone of a file that can only be read from its end."""
    return FormatError(
        "needs_whole_file",
        "of this kind of file nothing can be shown before all of it is here",
        "Upload it whole.",
    )


def too_large(max_bytes: int, what: str = "the file") -> FormatError:
    """The refusal of a file that unpacks to more than this server takes."""
    return FormatError(
        "unpacked_too_large",
        f"{what} unpacks to more than {max_bytes:,} bytes",
        "Split the file, or raise UNPACKED_MAX_BYTES.",
    )
