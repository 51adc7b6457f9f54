"""What Daybook understands of a file's first part, for a person who looks at it before the import."""

from dataclasses import dataclass, replace
from typing import Literal

from daybook.formats.batch import Batch, Issue
from daybook.formats.delimited import DelimitedReader
from daybook.formats.detect import SAMPLE_BYTES, Examined, examine
from daybook.formats.given import Given
from daybook.formats.head import Head, open_head
from daybook.formats.layout import TIME_ROLES, Choice, Column, FormatError, Layout
from daybook.formats.lines import Block, count_lines

LineKind = Literal["preamble", "header", "units", "data", "blank", "rejected"]
MAX_LINES = 40
MAX_VALUES = 5
_MAX_TEXT = 500
_DATA_LINES = 12
_SAMPLE = 20


@dataclass(frozen=True)
class Doubt:
    """Something that the file does not tell, as a question to a person. code: as the FormatError of the same."""

    code: str
    question: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class ShownLine:
    """One line of the file: its number, what it is, its text (at most 500 characters), and its cells where it is part
    of the table."""

    number: int
    kind: LineKind
    text: str
    cells: tuple[str, ...] = ()


@dataclass(frozen=True)
class ShownColumn:
    """One column with its first values as they stand in the file. fixed: its role was given, not found."""

    column: Column
    values: tuple[str, ...]
    fixed: bool = False


@dataclass(frozen=True)
class Preview:
    """layout is None where no table was found; problem says why, or what an import of the file would be refused for.

    first_time, last_time: the earliest and the latest of the part that was read, microseconds since 1970 in UTC. rows:
    how many rows that part holds; rejected: how many lines of it an import would reject; whole: it is all there is.
    sample: its first readings as (sensor, microseconds, value). issues: its first lines
    and cells that could not be read.
    """

    layout: Layout | None
    problem: FormatError | None = None
    doubts: tuple[Doubt, ...] = ()
    lines: tuple[ShownLine, ...] = ()
    columns: tuple[ShownColumn, ...] = ()
    first_time: int | None = None
    last_time: int | None = None
    rows: int = 0
    rejected: int = 0
    whole: bool = True
    sample: tuple[tuple[str, int, float], ...] = ()
    issues: tuple[Issue, ...] = ()
    sheets: tuple[str, ...] = ()
    member: str = ""


def preview(data: bytes, *, whole: bool, given: Given, unpacked_max_bytes: int) -> Preview:
    """What an import would make of the file that begins with `data` (`whole`: and ends with it) under these settings.

    Never raises FormatError: what is wrong stands in `problem`, beside as much as could be understood.
    """
    try:
        head = open_head(data, whole=whole, given=given, unpacked_max_bytes=unpacked_max_bytes)
    except FormatError as error:
        return Preview(None, error)
    try:
        found = examine(head.text, whole=head.whole, given=head.given, encoding=head.encoding, names=head.names)
    except FormatError as error:
        return Preview(None, error, lines=_raw_lines(head), sheets=tuple(head.sheets), member=head.member)
    layout = replace(found.layout, file=head.file, path=head.path, sheet=head.sheet)
    if head.given.timezone and not given.timezone and layout.timezone_from == "request":
        layout = replace(layout, timezone_from="file")
    batch, problem = _read(head, layout, found)
    doubts = tuple(Doubt(one.code, str(one), one.choices) for one in found.problems if one.choices)
    times = [(int(one.times.min()), int(one.times.max())) for one in batch.series]
    return Preview(
        layout=layout,
        problem=problem,
        doubts=doubts,
        lines=_shown_lines(found, layout, batch),
        columns=_shown_columns(found, layout, given),
        first_time=min((first for first, _ in times), default=None),
        last_time=max((last for _, last in times), default=None),
        rows=batch.read,
        rejected=batch.rejected,
        whole=head.whole,
        sample=_first_readings(batch),
        issues=tuple(batch.issues[:_SAMPLE]),
        sheets=tuple(head.sheets),
        member=head.member,
    )


def _read(head: Head, layout: Layout, found: Examined) -> tuple[Batch, FormatError | None]:
    """The rows of the first part under that layout, and what an import would be refused for."""
    problem = found.problems[0] if found.problems else None
    if not layout.of_role("value"):
        return Batch(0), problem
    encoding = "utf-8" if layout.encoding.startswith("utf-16") else layout.encoding
    rows = found.lines[layout.data_line - 1 :]
    data = "\n".join(rows).encode(encoding, "replace")
    try:
        batch = DelimitedReader(layout).read(Block(data, layout.data_line, count_lines(data)))
    except FormatError as error:
        return Batch(0), problem or error
    if problem is None and head.whole and batch.rejected > batch.read:
        first = next(issue for issue in batch.issues if issue.rejected)
        problem = FormatError(
            "too_many_bad_rows",
            f"{batch.rejected:,} of {batch.rejected + batch.read:,} rows cannot be read, for example line "
            f'{first.line}: "{first.value[:60]}" {first.reason}',
            "The file was understood wrongly, or it is damaged; change how it is read.",
        )
    return batch, problem


def _raw_lines(head: Head) -> tuple[ShownLine, ...]:
    text = head.text[: MAX_LINES * 2 * _MAX_TEXT].decode("utf-8", "replace").replace("\0", "␀")
    lines = text.splitlines()[:MAX_LINES]
    return tuple(
        ShownLine(number, "preamble" if line.strip() else "blank", line[:_MAX_TEXT])
        for number, line in enumerate(lines, start=1)
    )


def _shown_lines(found: Examined, layout: Layout, batch: Batch) -> tuple[ShownLine, ...]:
    """The lines around the header and the first rows, and the first few of a long preamble."""
    rejected = {issue.line for issue in batch.issues if issue.rejected}
    above = layout.data_line - 1
    room = MAX_LINES - _DATA_LINES
    numbers = list(range(1, above + 1))
    if above > room:
        numbers = [*range(1, room // 2 + 1), *range(above - room // 2 + 1, above + 1)]
    numbers += range(above + 1, min(above + _DATA_LINES, len(found.lines)) + 1)
    shown = []
    for number in numbers:
        text = found.lines[number - 1]
        kind: LineKind = "data" if number > above else "preamble"
        if not text.strip():
            kind = "blank"
        elif number in rejected:
            kind = "rejected"
        elif number == layout.header_line:
            kind = "header"
        elif number == layout.units_line:
            kind = "units"
        in_table = kind in ("data", "header", "units") and number <= len(found.table.rows)
        cells = tuple(cell.strip()[:100] for cell in found.table.rows[number - 1]) if in_table else ()
        shown.append(ShownLine(number, kind, text[:_MAX_TEXT].replace("\0", "␀"), cells))
    return tuple(shown)


def _shown_columns(found: Examined, layout: Layout, given: Given) -> tuple[ShownColumn, ...]:
    fixed = {column.name for column in given.columns if column.role is not None}
    rows = [row for row in found.table.rows[layout.data_line - 1 :] if len(row) == found.table.width]
    shown = []
    for index, column in enumerate(layout.columns):
        values = (row[index].strip()[:60] for row in rows)
        if column.role in TIME_ROLES or column.role == "value":
            first = [text for text, _ in zip(values, range(MAX_VALUES), strict=False)]
        else:
            first = list(dict.fromkeys(text for text, _ in zip(values, range(200), strict=False) if text))[:MAX_VALUES]
        shown.append(ShownColumn(column, tuple(first), column.name in fixed))
    return tuple(shown)


def _first_readings(batch: Batch) -> tuple[tuple[str, int, float], ...]:
    found = [
        (one.name, int(one.times[row]), float(one.values[row]))
        for one in batch.series
        for row in range(min(3, len(one.times)))
    ]
    return tuple(sorted(found[:_SAMPLE], key=lambda reading: reading[1]))


__all__ = ["SAMPLE_BYTES", "Doubt", "Preview", "ShownColumn", "ShownLine", "preview"]
