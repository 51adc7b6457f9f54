"""Excel workbooks (.xlsx): the rows of one sheet as lines."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import IO, Any

import openpyxl  # type: ignore[import-untyped]

from daybook.formats.batch import shown
from daybook.formats.layout import FormatError
from daybook.formats.records import About, Notes, is_reading, to_line, too_large
from daybook.formats.spool import is_of_the_disk
from daybook.formats.xml_guard import refuse_definitions

WORKBOOK = "xl/workbook.xml"
MAX_ROWS = 1_048_576  # of a sheet, in Excel's own specification
MAX_STRINGS = 64 * 1024 * 1024
_LOOKED_AT = 1000
_MAX_SHEETS = 50  # in which readings are looked for
_LINES = 5000
_MIDNIGHT = time(0)
Row = tuple[Any, ...]


def read_workbook(file: IO[bytes], about: About, notes: Notes, max_bytes: int, wanted: str | None) -> Iterator[bytes]:
    """The rows of the sheet `wanted`, or of the first that holds readings, as lines; line n is row n of the sheet.

    Numbers come out exactly, times in ISO form to the millisecond, and as dates alone where a column holds no other.
    """
    with _told_as_damage():
        _check(file, max_bytes)
        book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
        about.sheets = [sheet.title for sheet in book.worksheets]
        sheet, others = _choose(book, wanted)
        about.sheet = sheet.title
        written = count = 0
        for lines in _lines(sheet):
            data = ("\n".join(lines) + "\n").encode("utf-8", "replace")
            written, count = written + len(data), count + len(lines)
            if written > max_bytes:
                raise too_large(max_bytes, "the workbook")
            yield data
        for name in others:
            reason = f'is another sheet with readings and was left out: only "{sheet.title}" was read'
            notes.add(count, shown(name), "", reason)


@contextmanager
def _told_as_damage() -> Iterator[None]:
    """openpyxl raises all kinds of exceptions for what is no proper workbook."""
    try:
        yield
    except (FormatError, MemoryError):
        raise
    except Exception as error:
        if is_of_the_disk(error):
            raise
        raise FormatError(
            "damaged_workbook",
            f"the workbook cannot be read: {str(error).splitlines()[0][:200] if str(error) else type(error).__name__}",
            "Open it in Excel or LibreOffice and save it again, or save the sheet as CSV.",
        ) from error


def _check(file: IO[bytes], max_bytes: int) -> None:
    """Refuses bombs before a library reads them."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > max_bytes:
            raise too_large(max_bytes, "the workbook")
        if any(member.file_size > MAX_STRINGS for member in members if member.filename.endswith("sharedStrings.xml")):
            raise FormatError(
                "too_many_texts",
                "the workbook holds more different texts than can be kept in memory",
                "Save the sheet as CSV.",
            )
        for member in members:
            if member.filename.endswith((".xml", ".rels")):
                with archive.open(member) as part:
                    refuse_definitions(part, member.filename)
    file.seek(0)


def _choose(book: Any, wanted: str | None) -> tuple[Any, list[str]]:
    """The sheet to read, and the names of others that hold readings too."""
    sheets = book.worksheets
    if wanted:
        for sheet in sheets:
            if sheet.title.strip().casefold() == wanted.strip().casefold():
                return sheet, []
        names = ", ".join(f'"{sheet.title}"' for sheet in sheets[:20])
        raise FormatError("no_sheet", f'the workbook has no sheet "{wanted}"; it has {names}', "Correct the name.")
    visible = [sheet for sheet in sheets if sheet.sheet_state == "visible"] or sheets
    if not visible:
        raise FormatError("empty_file", "the workbook has no sheet with cells", "Choose another file.")
    with_readings = [sheet for sheet in visible[:_MAX_SHEETS] if _holds_readings(sheet)]
    if with_readings:
        return with_readings[0], [sheet.title for sheet in with_readings[1:]]
    return next((sheet for sheet in visible if any(islice(_rows(sheet), _LOOKED_AT))), visible[0]), []


def _holds_readings(sheet: Any) -> bool:
    form = _Form(list(islice(_rows(sheet), _LOOKED_AT)))
    return sum(is_reading(form.cells(row)) for row in form.head) > 1


def _rows(sheet: Any) -> Iterator[Row]:
    """All rows, without the empty cells at their ends."""
    sheet.reset_dimensions()  # what programs state there is often wrong
    for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
        if number > MAX_ROWS:
            raise FormatError("too_many_rows", f"the sheet has more than {MAX_ROWS:,} rows", "No workbook has.")
        end = len(row)
        while end and (row[end - 1] is None or row[end - 1] == ""):
            end -= 1
        yield row if end == len(row) else row[:end]


class _Form:
    """How the cells of a sheet are written, known from its first rows: all lines have the same number of cells, and
    columns whose times are all midnight hold dates."""

    def __init__(self, head: list[Row]) -> None:
        self.head = head
        self._width = max(map(len, head), default=0)
        self._with_clock = {
            place
            for row in head
            for place, value in enumerate(row)
            if isinstance(value, datetime) and value.time() != _MIDNIGHT
        }

    def cells(self, row: Row) -> list[str]:
        return [self._text(value, place) for place, value in enumerate(row)]

    def line(self, row: Row) -> str:
        if not row:
            return ""
        return to_line(self.cells(row)) + "\t" * (self._width - len(row))

    def _text(self, value: Any, place: int) -> str:
        if value is None:
            return ""
        if isinstance(value, str):
            return "NA" if value == "#N/A" else value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, datetime):
            if value.time() == _MIDNIGHT and place not in self._with_clock:
                return value.date().isoformat()
            return value.isoformat(" ", "milliseconds" if value.microsecond else "seconds")
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, time):
            return value.isoformat("milliseconds" if value.microsecond else "seconds")
        return _duration(value) if isinstance(value, timedelta) else repr(value)


def _duration(value: timedelta) -> str:
    """As a clock shows it: 9:30:00 in a cell that counts hours."""
    seconds, millis = divmod(round(value / timedelta(milliseconds=1)), 1000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{millis:03}" if millis else text


def _lines(sheet: Any) -> Iterator[list[str]]:
    rows = _rows(sheet)
    head = list(islice(rows, _LOOKED_AT))
    form = _Form(head)
    if head:
        yield [form.line(row) for row in head]
    while more := list(islice(rows, _LINES)):
        yield [form.line(row) for row in more]
