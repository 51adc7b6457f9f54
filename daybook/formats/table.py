"""Where the table of a text is: what separates its cells, which lines are its rows, which columns tell the time."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from daybook.formats import times
from daybook.formats.cells import column_names, is_number
from daybook.formats.fixed_widths import begins_a_row, guess_widths
from daybook.formats.given import DELIMITERS, Given
from daybook.formats.layout import MISSING, TIME_ROLES, FormatError, Role
from daybook.formats.part_columns import parts_by_content, parts_by_name
from daybook.formats.refuse import no_table
from daybook.formats.separators import split_line
from daybook.formats.time_columns import (
    MOST_TIMES,
    SOME_TIMES,
    TimeForm,
    by_formats,
    by_looks,
    by_words,
    epoch_column,
    fits,
    is_time,
    same_moments,
)
from daybook.formats.time_names import is_called_otherwise, names_a_time

_LOOKED_AT = 1000  # lines in which the structure is looked for
_CLEARLY_MORE = 1.5  # rows that a table of blanks must have for each of one with other delimiters
_NAMED_ABOVE = 6  # lines above the first row, one of which may be the header
_MARKS = (",", ";", "\t", "|")
_IN_UTC = re.compile(r"(?i)(?:^|[^a-z])utc(?![a-z])|utc$")
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}([,.'\u00a0\u202f ][0-9]{3})+([.,][0-9]+)?")


@dataclass(frozen=True)
class Table:
    """Where a table was found with one delimiter: line numbers count from 0 here.

    first_row: the first that is a row beyond doubt; `find_header` may find that rows which cannot be read stand above
    it. names_at: the line of the names, where that was given or found by them.
    """

    delimiter: str
    rows: list[list[str]]
    width: int
    time: TimeForm
    first_row: int
    score: float
    widths: tuple[int, ...] = ()
    names_at: int | None = None
    moved: int = 0  # lines by which the header stands lower than where it was said to be

    @property
    def time_columns(self) -> list[int]:
        """The columns of the time, the date first."""
        return list(self.time.columns)


def has_number(text: str) -> bool:
    """Whether a cell may be a number, with any decimal mark and any mark between thousands."""
    return is_number(text) or _GROUPED.fullmatch(text.strip()) is not None


def find_table(lines: list[str], given: Given, names: Sequence[str] | None = None) -> Table:
    """The table with the most rows among those that the delimiters make of the lines; raises FormatError without.

    `names`: of the columns, where they are known beforehand and no line is a header.
    """
    tries = [(_LOOKED_AT, MOST_TIMES), (_LOOKED_AT, SOME_TIMES)]
    if len(lines) > _LOOKED_AT:
        tries.append((len(lines), MOST_TIMES))
    depth_given = max(given.data_line or 0, given.header_line or 0)
    for depth, least in tries:
        some = lines[: max(depth, depth_given + 200 if depth_given else 0)]
        best: Table | None = None
        for marks in _groups_of_marks(given):
            found = [_try(some, mark, least, given, names) for mark in marks]
            tables = [table for table in found if table]
            if tables:
                table = max(tables, key=lambda table: table.score)
                best = table if best is None or table.score > _CLEARLY_MORE * best.score else best
                if best.score * 2 > len(best.rows):
                    break
        if best is not None:
            return best
    raise no_table(len(lines), header_alone(lines[:_LOOKED_AT]))


def _groups_of_marks(given: Given) -> list[tuple[str, ...]]:
    """Which delimiters to try, in turn: blanks and fixed widths split prose as well as tables, so they come last."""
    if given.delimiter is not None:
        return [(given.delimiter,)]
    return [_MARKS, (" ",), ("",)]


def _try(lines: list[str], mark: str, least: float, given: Given, names: Sequence[str] | None) -> Table | None:
    widths = given.widths
    if mark == "" and not widths:
        widths = guess_widths(lines, lambda line: begins_a_row(line, is_time))
        if not widths:
            return None
    rows = [split_line(line, mark, widths) if line.strip() else [] for line in lines]
    placed = _placed_header(rows, given, names)
    best: Table | None = None
    below = 0 if placed.names_at is None else placed.names_at + 1
    counts = Counter(len(row) for row in rows[below:] if len(row) > 1)
    for width, count in counts.most_common(4):
        candidates = [number for number in range(below, len(rows)) if len(rows[number]) == width]
        form, names_at = _time_form(mark, rows, candidates, width, least, given, placed)
        if form is None:
            continue
        good = [number for number in form.rows(rows, candidates) if _has_other_number(rows[number], form)]
        if not good or (mark == " " and not _steady(rows, candidates, good[0])):
            continue
        first = _first_row(rows, good[0], width, form, below)
        # Where lines above have as many names, that separates the cells; else whatever makes more of them.
        above = rows[max(first - _NAMED_ABOVE, 0) : first]
        named = any(len(row) == width and not any(map(is_number, row)) for row in above)
        score = len(good) * (1.05 if named else 1) + width / 1000
        if given.data_line is not None:
            first = min(max(given.data_line - 1 + placed.moved, below), len(rows) - 1)
        if best is None or score > best.score:
            above = [_cut_to(row, width) for row in rows[:first]]
            best = Table(mark, above + rows[first:], width, form, first, score, widths, names_at, placed.moved)
        if count > len(rows) // 2:
            break
    return best


def _steady(rows: list[list[str]], candidates: list[int], first: int) -> bool:
    """Whether nearly all lines from the first row on have as many cells: an empty cell of a table with fixed widths
    shifts all that follow it, when blanks are taken for delimiters."""
    others = [row for row in rows[first:] if row]
    return sum(number >= first for number in candidates) >= 0.9 * len(others)


@dataclass(frozen=True)
class _Placed:
    """Where the header was said to be, or was found by the names that a file type gives."""

    names_at: int | None = None
    names: tuple[str, ...] | None = None
    moved: int = 0


def _placed_header(rows: list[list[str]], given: Given, names: Sequence[str] | None) -> _Placed:
    """Where the header is, if a file type tells it by its line or by the names of its columns."""
    if names is not None:
        return _Placed(None, tuple(names))
    wanted = {column.name for column in given.columns if column.role in TIME_ROLES}
    wanted = wanted or {column.name for column in given.columns if column.role not in (None, "text")}
    if given.header_line == 0:
        return _Placed(None, None)
    tried = range(len(rows[:_LOOKED_AT]))
    if given.header_line and given.header_line <= len(rows):
        at = given.header_line - 1
        if not wanted or {column.name for column in given.columns} <= set(_names(rows[at])):
            return _Placed(at, tuple(_names(rows[at])))
    if not wanted:
        return _Placed()
    every = {column.name for column in given.columns}
    for at in tried:
        found = set(_names(rows[at])) if len(rows[at]) >= len(wanted) else set()
        # Where the names stand over two lines, the lower one has those of the time, and few of the others whole.
        if wanted <= found and len(every & found) * 2 >= len(every):
            said = given.header_line - 1 if given.header_line else at
            return _Placed(at, tuple(_names(rows[at])), at - said)
    return _Placed()  # the names may stand over two lines, or there is no header; `missing_columns` tells


def _names(row: list[str]) -> list[str]:
    return column_names(row, len(row))


def missing_columns(names: Sequence[str], given: Given) -> FormatError | None:
    """The refusal of a file that lacks a column which the file type says holds the time, or all that hold readings."""
    times_of = [column.name for column in given.columns if column.role in TIME_ROLES or column.role == "sensor"]
    others = [column.name for column in given.columns if column.role == "value"]
    missing = [name for name in times_of if name not in names]
    if not missing and others and not set(others) & set(names):
        missing = others
    if not missing:
        return None
    return FormatError(
        "columns_not_found",
        f'the file has no column "{missing[0]}", of which the file type says what it holds; its columns are '
        f"{', '.join(names[:8])}",
        "Is it a file of another type? Choose another one, or none.",
    )


def _time_form(
    mark: str,
    rows: list[list[str]],
    candidates: list[int],
    width: int,
    least: float,
    given: Given,
    placed: _Placed,
) -> tuple[TimeForm | None, int | None]:
    """How the time is told in rows of this width, and the line of the names where that is known."""
    at = placed.names_at
    names = (
        placed.names if placed.names is not None else tuple(column_names([], width)) if given.header_line == 0 else None
    )
    roles = given_roles(given, names if names is not None else tuple(column_names([], width)))
    if roles:
        columns = tuple(index for role in TIME_ROLES for index, one in roles.items() if one == role)
        if columns and max(columns) < width:
            ordered = tuple(roles[index] for index in columns)
            epoch = given.epoch
            if epoch is None and ordered == ("time",) and not given.time_formats:
                found = epoch_column(
                    [[row[columns[0]]] if len(row) > columns[0] else [""] for row in rows], candidates, 1, ["time"]
                )
                epoch = found.epoch if found else ""
            return TimeForm(columns, ordered, epoch or "", given.time_formats), at
        return None, at
    if given.time_formats:
        return by_formats(rows, candidates, width, least, given.time_formats), at
    if given.epoch:
        return epoch_column(rows, candidates, width, names), at
    words = by_words(rows, candidates, width, least) if mark == " " else None
    if words and len(words.columns) > 2:
        return words, at
    headers = [names] if names is not None else [header for _, header in _headers(rows, candidates, width)]
    looks = by_looks(rows, candidates, width, least, headers)
    if looks and (
        len(looks[0].columns) > 1 or any(map(times.has_clock, _column(rows, candidates, looks[0].columns[0])))
    ):
        form = _best_named(looks, headers)
        counts = next(filter(None, (epoch_column(rows, candidates, width, header) for header in headers)), None)
        return counts if counts and same_moments(counts, form, rows, candidates) else form, at
    # The names of a header are looked at before a date without a clock is taken, or numbers that may be anything.
    for number, header in [(at, names)] if names is not None else _headers(rows, candidates, width):
        parts = parts_by_name(header) if header is not None else None
        if parts and max(parts.columns) < width and fits(parts, rows, candidates, least):
            return parts, number
    if looks:
        return looks[0], at
    for header in [names] if names is not None else [*headers, None]:
        epochs = epoch_column(rows, candidates, width, header)
        if epochs and not is_called_otherwise(headers, epochs.columns[0]):
            return epochs, at
    return parts_by_content(rows, candidates, width), at


def form_of_roles(roles: dict[int, Role], before: TimeForm) -> TimeForm:
    """The columns with these roles, read as those before were."""
    columns = tuple(index for role in TIME_ROLES for index, one in roles.items() if one == role)
    if set(columns) == set(before.columns):
        return TimeForm(columns, tuple(roles[index] for index in columns), before.epoch, before.formats)
    return TimeForm(columns, tuple(roles[index] for index in columns), formats=before.formats)


def given_roles(given: Given, names: Sequence[str]) -> dict[int, Role]:
    """The roles of the time's columns that a file type gives."""
    said = {column.name: column.role for column in given.columns if column.role in TIME_ROLES}
    return {index: role for index, name in enumerate(names) if (role := said.get(name)) is not None}


def _column(rows: list[list[str]], candidates: list[int], index: int) -> list[str]:
    return [rows[number][index] for number in candidates[-25:]]


def _best_named(forms: list[TimeForm], headers: Sequence[Sequence[str] | None]) -> TimeForm:
    """Of several columns with times the first, unless the header calls another one plainly the time, or only one of
    them UTC."""
    if len(forms) == 1:
        return forms[0]
    for header in headers:
        if header is None or max(form.columns[0] for form in forms) >= len(header):
            continue
        in_utc = [form for form in forms if _IN_UTC.search(header[form.columns[0]])]
        if len(in_utc) == 1:
            return in_utc[0]
        for form in forms:
            if re.sub(r"[\s_#]+", "", header[form.columns[0]]).lower() in ("time", "timestamp", "datetime", "utc"):
                return form
    return forms[0]


def _headers(rows: list[list[str]], candidates: list[int], width: int) -> list[tuple[int | None, Sequence[str] | None]]:
    """Lines in front of the last candidate that may be its header: as many cells, and no number among the first."""
    found: list[tuple[int | None, Sequence[str] | None]] = []
    for number in range(min(candidates[-1], _LOOKED_AT)):
        row = align_header(rows[number], width)
        if row is None or any(map(is_number, row[:3])):
            continue
        found.append((number, row))
        if len(found) >= 30:
            break
    return found


def align_header(row: list[str], width: int) -> list[str] | None:
    """The header's cells as they stand over the columns, when it has one more for a mark of comments (# Time …)."""
    if len(row) == width + 1 and row[0].strip() in ("#", "%", "//", "'", ";", "!", "*"):
        return row[1:]
    return row if len(row) == width else None


def _cut_to(row: list[str], width: int) -> list[str]:
    """A line above the rows without the empty cells that it has too many."""
    return row[:width] if len(row) > width and not any(map(str.strip, row[width:])) else row


def _has_other_number(row: list[str], form: TimeForm) -> bool:
    return any(has_number(cell) for index, cell in enumerate(row) if index not in form.columns)


def _first_row(rows: list[list[str]], row: int, width: int, form: TimeForm, below: int) -> int:
    """The first row of the table: those above the first with a number may hold a time and nothing measured yet."""
    while row > below and len(rows[row - 1]) == width and form.plain and is_time(rows[row - 1][form.columns[0]]):
        others = (cell for index, cell in enumerate(rows[row - 1]) if index not in form.columns)
        if not all(cell.strip().lower() in MISSING or times.looks_like_clock(cell) for cell in others):
            break
        row -= 1
    return row


def header_alone(lines: list[str]) -> tuple[int, int, str] | None:
    """Line number, columns and delimiter of the first line that looks like a header, in a file without rows."""
    for mark in _MARKS:
        for number, line in enumerate(lines, start=1):
            cells = split_line(line, mark)
            if len(cells) > 1 and names_a_time(cells[0]) and not any(map(is_number, cells)):
                return number, len(cells), DELIMITERS[mark]
    return None
