"""Finding the layout of a delimited text file from its first part."""

import codecs
import csv
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import pyarrow as pa
from pyarrow import csv as arrow_csv

from daybook.formats import times
from daybook.formats.cells import column_names, is_number
from daybook.formats.date_order import decide_date_order
from daybook.formats.header import Table, column_units, find_header, names_a_time, stated_zone
from daybook.formats.layout import MISSING, Column, DateOrder, FormatError, Layout
from daybook.formats.lines import MAX_LINE, line_too_long
from daybook.formats.refuse import no_table, refuse_what_is_no_text
from daybook.formats.roles import clock_beside, column_roles, decimal_mark, refuse_pivot, refuse_repeated_times
from daybook.formats.sensors import sensors_with_several_units

SAMPLE_BYTES = 1024 * 1024
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
_LOOKED_AT = 1000  # lines in which the structure is looked for
_PROBES = 25  # lines in which every column is tried as a time
# The least share of times among the cells of a time column: headers may come again, and lines be damaged. Where most
# rows are, the import says so; a table they still are.
_MOST_TIMES, _SOME_TIMES = 0.6, 0.3
_ABOVE = 6  # lines that may stand above the first row of a file of a few lines


def detect(sample: bytes, *, whole: bool, timezone: str | None = None, date_order: DateOrder | None = None) -> Layout:
    """The layout of the file that starts with `sample` (`whole`: and ends with it).

    `timezone` is for times without an offset; `date_order` settles what 09/01/2016 means. Raises FormatError for what
    is no table of readings, where day and month cannot be told apart, and where rows of the same time cannot.
    """
    if timezone:
        times.zone(timezone)
    refuse_what_is_no_text(sample)
    lines, encoding = _text_lines(sample, whole)
    table = _best_table(lines)
    header = find_header(table)
    _refuse_table_above(table, header.names_at if header.names_at is not None else header.first_row)
    names = column_names(table.rows[header.names_at] if header.names_at is not None else [], table.width)
    cells = _read_texts(lines[header.first_row :], table)
    clock = clock_beside(cells, table, names)
    if clock:
        table = replace(table, time_columns=[table.time_columns[0], clock[0]])
    decimal = decimal_mark(cells, table)
    roles = column_roles(cells, table, names, decimal)
    if clock:
        roles[clock[0]] = clock[1]
    columns = [cells.column(index).combine_chunks() for index in table.time_columns]
    texts = times.join(columns, hours_only="hour" in roles)
    time_names = [names[index] for index in table.time_columns]
    order = date_order or decide_date_order(texts, " + ".join(time_names))
    stamps = times.parse(texts, order)
    if not stamps.valid.any():
        raise FormatError(
            "no_times",
            f'no time could be read: "{texts[0]}" in column "{" + ".join(time_names)}" is not a date with '
            f"{_order_in_words(order)}",
            "Choose another order of day and month.",
        )
    narrow = "sensor" in roles
    unit_in_name = False
    if not narrow:
        refuse_pivot(roles, names)
        refuse_repeated_times(cells, stamps, roles, names, table.time_columns[0])
    elif "unit" in roles:
        sensor, unit = cells.column(roles.index("sensor")), cells.column(roles.index("unit"))
        unit_in_name = bool(sensors_with_several_units(sensor, unit))
    stated = stated_zone(time_names, lines[: header.names_at or 0])
    zone_from: Literal["cells", "request", "file", "default"] = (
        "request" if timezone else "file" if stated else "default"
    )
    if stamps.absolute[stamps.valid].all():
        zone_from = "cells"
    return Layout(
        shape="narrow" if narrow else "wide",
        columns=tuple(
            Column(*column) for column in zip(names, roles, column_units(table, names, header.units_at), strict=True)
        ),
        data_line=header.first_row + 1,
        header_line=None if header.names_at is None else header.names_at + 1,
        units_line=None if header.units_at is None else header.units_at + 1,
        encoding=encoding,
        delimiter=table.delimiter,
        decimal=decimal,
        date_order=order,
        time_example=str(texts[int(stamps.valid.argmax())]).strip(),
        timezone=(timezone or "").strip() or stated or "UTC",
        timezone_from=zone_from,
        unit_in_name=unit_in_name,
    )


def _order_in_words(order: DateOrder) -> str:
    return {"ymd": "the year first", "dmy": "the day first", "mdy": "the month first"}[order]


def _text_lines(sample: bytes, whole: bool) -> tuple[list[str], str]:
    end = len(sample) if whole else sample.rfind(b"\n") + 1
    if end == 0 or max(map(len, sample[:end].split(b"\n", 1)[:1])) > MAX_LINE:
        raise line_too_long(1)
    data = sample[:end].removeprefix(codecs.BOM_UTF8)
    encoding = _encoding(data)
    lines = data.decode(encoding, "replace").split("\n")
    if lines[-1] == "":
        lines.pop()
    if not any(line.strip() for line in lines):
        raise FormatError("empty_file", "the file holds only blank lines", "Fetch it from the logger again.")
    return [line.removeprefix("\ufeff").rstrip("\r") for line in lines], encoding


def _encoding(data: bytes) -> str:
    """UTF-8, unless more lines with letters beyond ASCII are not UTF-8 than are: then Windows-1252."""
    try:
        data.decode()
    except UnicodeDecodeError:
        good = bad = 0
        for line in data.split(b"\n"):
            if not line.isascii():
                try:
                    line.decode()
                    good += 1
                except UnicodeDecodeError:
                    bad += 1
        return "utf-8" if good > bad else "cp1252"
    return "utf-8"


def _split(line: str, delimiter: str) -> list[str]:
    if '"' not in line:
        return line.split(delimiter)
    if line.count('"') % 2:
        return []
    try:
        return next(csv.reader([line.replace("\r", " ")], delimiter=delimiter))
    except csv.Error:  # a field longer than the csv module takes
        return []


def _is_time(text: str) -> bool:
    """Whether a cell looks like a time; a bare number only where its digits can be a date of 1800 to 2199."""
    stripped = text.strip()
    if stripped.isdecimal() and not (
        len(stripped) in (8, 12, 14)
        and "17" < stripped[:2] < "22"
        and "01" <= stripped[4:6] <= "12"
        and "01" <= stripped[6:8] <= "31"
    ):
        return False
    return times.looks_like_time(stripped)


def _is_row(row: list[str], time_column: int) -> bool:
    others = (cell for index, cell in enumerate(row) if index != time_column)
    return _is_time(row[time_column]) and any(map(is_number, others))


def _best_table(lines: list[str]) -> Table:
    """The table with the most rows among those that the delimiters make of the lines; raises FormatError without."""
    tries = [(_LOOKED_AT, _MOST_TIMES), (_LOOKED_AT, _SOME_TIMES)]
    if len(lines) > _LOOKED_AT:
        tries.append((len(lines), _MOST_TIMES))
    for depth, least in tries:
        found = [_find_table(lines[:depth], delimiter, least) for delimiter in DELIMITERS]
        tables = [table for table in found if table]
        if tables:
            return max(tables, key=lambda table: table.score)
    raise no_table(len(lines), _header_alone(lines[:_LOOKED_AT]))


def _find_table(lines: list[str], delimiter: str, least: float) -> Table | None:
    """The rows of the table that this delimiter makes of these lines, if it makes one."""
    rows = [_split(line, delimiter) if line.strip() else [] for line in lines]
    widths = Counter(len(row) for row in rows if len(row) > 1)
    best: Table | None = None
    for width, count in widths.most_common(4):
        candidates = [number for number, row in enumerate(rows) if len(row) == width]
        # The first, and some from all over: evenly spaced ones alone may all be headers that come again and again.
        probes = candidates[:_PROBES] + candidates[:: max(1, len(candidates) // _PROBES)]
        columns = _time_columns(rows, probes, candidates, width, least)
        if not columns:
            continue
        at = columns[0]
        good = [number for number in candidates if _is_row(rows[number], at)]
        if not good:
            continue
        score = len(good) + width / 1000
        if best is None or score > best.score:
            best = Table(delimiter, rows, width, columns, _first_row(rows, good[0], width, at), score)
        if count > len(rows) // 2:
            break
    return best


def _first_row(rows: list[list[str]], row: int, width: int, time_column: int) -> int:
    """The first row of the table: those above the first with a number may hold a time and nothing measured yet."""
    while row and len(rows[row - 1]) == width and _is_time(rows[row - 1][time_column]):
        others = (cell for index, cell in enumerate(rows[row - 1]) if index != time_column)
        if not all(cell.strip().lower() in MISSING or times.looks_like_clock(cell) for cell in others):
            break
        row -= 1
    return row


def _time_columns(
    rows: list[list[str]], probes: list[int], candidates: list[int], width: int, least: float
) -> list[int]:
    """The column that holds the time, or the date column and the clock column."""

    def share(column: int, test: Callable[[str], bool]) -> float:
        full = [rows[number][column] for number in candidates if rows[number][column].strip()]
        # Without what stands above the first row: a tenth of a long file, some lines of a short one.
        first = next((place for place, text in enumerate(full[:_ABOVE]) if test(text)), 0)
        body = full[max(len(full) // 10, first) :][:200]
        return sum(map(bool, map(test, body))) / len(body) if body else 0.0

    found = [
        column
        for column in range(width)
        if any(_is_time(rows[number][column]) for number in probes) and share(column, _is_time) >= least
    ]
    for column in found:
        if share(column, times.has_clock) >= least:
            return [column]
    for column in found:
        for beside in (column + 1, column - 1):
            if 0 <= beside < width and share(beside, times.looks_like_clock) >= least:
                colons = share(beside, lambda text: ":" in text) > 0
                if colons or share(column, lambda text: text.strip().isdecimal()) == 1.0:
                    return [column, beside]
    return found[:1]


def _refuse_table_above(table: Table, above: int) -> None:
    """Raises FormatError when lines above the header are rows of another table, which would be lost as preamble."""
    run = 0
    for number, row in enumerate(table.rows[:above], start=1):
        run = run + 1 if len(row) > 1 and _is_row(row, 0) else 0
        if run > 1:
            raise FormatError(
                "second_table",
                f"the file holds two tables: one with rows on lines {number - 1:,} and {number:,}, and another "
                f"({table.width} columns) below line {above:,}",
                "Split the file and upload each table on its own.",
            )


def _read_texts(lines: list[str], table: Table) -> pa.Table:
    """The sample's rows as text; lines of another width are left out here, not in the import."""
    good = (line.replace("\r", " ") for line in lines if line.strip() and line.count('"') % 2 == 0)
    data = "\n".join(good).encode() + b"\n"
    names = [str(index) for index in range(table.width)]
    return arrow_csv.read_csv(
        pa.BufferReader(data),
        read_options=arrow_csv.ReadOptions(use_threads=False, block_size=len(data), column_names=names),
        parse_options=arrow_csv.ParseOptions(delimiter=table.delimiter, invalid_row_handler=lambda _row: "skip"),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )


def _header_alone(lines: list[str]) -> tuple[int, int, str] | None:
    """Line number, columns and delimiter of the first line that looks like a header, in a file without rows."""
    for delimiter, word in DELIMITERS.items():
        for number, line in enumerate(lines, start=1):
            cells = _split(line, delimiter)
            if len(cells) > 1 and names_a_time(cells[0]) and not any(map(is_number, cells)):
                return number, len(cells), word
    return None
