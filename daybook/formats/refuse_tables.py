"""Refusals of tables that do not say which reading is whose, or of which there are two."""

import re
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daybook.formats import times
from daybook.formats.batch import Int64s
from daybook.formats.cells import is_header, is_number
from daybook.formats.header import Header
from daybook.formats.layout import Choice, FormatError, Role
from daybook.formats.roles import IDENTITY_WORDS, SENSOR_WORDS
from daybook.formats.table import Table, has_number
from daybook.formats.time_columns import is_time

_PIVOT_NAME = re.compile(r"(?i)\s*[0-9]{1,2}[:.][0-9]{2}([:.][0-9]{2})?(\s*(-|–|to)\s*[0-9]{1,2}[:.][0-9]{2}.*)?")
_INTERVALS_A_DAY = (24, 48, 96, 144, 288)
_JUDGED_TIMES = 50
_TURNS = 2  # times that each device comes again: those of one place that replace each other do not
_FARTHEST_ZONE, _ZONE_STEP, _MOST_OFFSETS = 14 * 3600 * times.SECOND, 1800 * times.SECOND, 2
_JUDGED = 200
_FEWEST_ROWS = 3  # that say something about whether times repeat


def refuse_table_above(table: Table, above: int) -> None:
    """Raises FormatError when lines above the header are rows of another table, which would be lost as preamble."""
    run = 0
    for number, row in enumerate(table.rows[:above], start=1):
        first = len(row) > 1 and is_time(row[0]) and any(map(has_number, row[1:]))
        before = table.rows[number - 2] if number > 1 else []
        inside = len(row) == len(before) > 4 and any(map(is_time, row)) and sum(map(has_number, row)) > 1
        run = run + 1 if first or inside else 0
        if run > 1:
            raise FormatError(
                "second_table",
                f"the file holds two tables: one with rows on lines {number - 1:,} and {number:,}, and another "
                f"({table.width} columns) below line {above:,}",
                "Split the file and upload each table on its own, or say in which line the header of the right one is.",
            )


def refuse_pivot(roles: list[Role], names: list[str], daily: bool) -> None:
    """Raises FormatError for a table with one row a day and one column for each time of the day. `daily`: its rows are
    a day apart."""
    values = [name for name, role in zip(names, roles, strict=True) if role == "value"]
    clocks = [name for name in values if _PIVOT_NAME.fullmatch(name)]
    plain = [name.strip().lower().lstrip("h").rstrip("h") for name in values]
    unnamed = all(re.fullmatch(r"column [0-9]+", name) for name in names)
    if daily and unnamed and any(0 <= len(values) - count <= 3 for count in _INTERVALS_A_DAY):
        raise FormatError(
            "pivot_table",
            f"the file has no header, and {len(values)} columns of numbers beside a date; that looks like one row a "
            "day with a column for each interval, not like one column per sensor",
            "Export it with one line per time (time, value).",
        )
    hours = len(plain) >= 24 and all(name.isdecimal() and int(name) <= 25 for name in plain)
    if (len(clocks) >= 4 and len(clocks) * 2 > len(values)) or hours:
        example = ", ".join((clocks or values)[:2])
        raise FormatError(
            "pivot_table",
            f"the columns are times of the day ({example} …), one row a day; that is not one column per sensor",
            "Choose the shape pivot and name the sensor, or export it with one line per time.",
            (Choice("One row a day, one column for each time of the day", {"shape": "pivot"}),),
        )


def refuse_short_header(table: Table, header: Header, names: list[str]) -> None:
    """Raises FormatError where the rows have more cells than the header names: decimal commas between commas, or a
    comma before milliseconds, make two cells of one, and the names would stand over other columns' numbers."""
    if table.delimiter in {" ", ""}:
        return
    at = header.names_at
    if at is None:
        at = next((n for n in range(header.first_row - 1, -1, -1) if any(map(str.strip, table.rows[n]))), None)
        if at is None or len(table.rows[at]) < 2 or not is_header(table.rows[at]):
            return
    cells = table.rows[at]
    while cells and not cells[-1].strip():
        cells = cells[:-1]
    rows = [row for row in table.rows[header.first_row :][:_JUDGED] if len(row) == table.width]
    full = max((index + 1 for row in rows for index, cell in enumerate(row) if cell.strip()), default=0)
    if len(cells) >= full or (names and not names[0].startswith("column ") and len(cells) == full):
        return
    if names and names[0] == "column 1" and header.names_at is not None and len(cells) == full - 1:
        return  # names of rows, as R writes them: nothing stands over those
    raise FormatError(
        "short_header",
        f"the header on line {at + 1:,} names {len(cells)} columns, and the rows below have {full} cells",
        "If numbers have decimal commas, export them with points, or separate the cells by semicolons.",
    )


def refuse_repeated_times(
    cells: pa.Table, stamps: times.Times, roles: list[Role], names: list[str], time_column: int
) -> None:
    """Raises FormatError for a wide table in which most times stand in several rows with different readings: what
    tells these rows apart, a clock or a sensor, was not recognised, and one row would push the other out."""
    several = [i for i, role in enumerate(roles) if role == "text" and SENSOR_WORDS.fullmatch(names[i])]
    valid = np.flatnonzero(stamps.valid)
    moments = stamps.microseconds[valid]
    _refuse_several_devices(cells, valid, moments, roles, names)
    if len(valid) >= _FEWEST_ROWS and len(np.unique(moments)) * 2 <= _distinct_rows(
        cells, valid, len(np.unique(moments))
    ):
        at = int(np.flatnonzero(np.bincount(np.unique(moments, return_inverse=True)[1]) > 1)[0])
        moment = np.unique(moments)[at]
        example = cells.column(time_column)[int(valid[np.flatnonzero(moments == moment)[0]])].as_py().strip()
        raise FormatError(
            "repeated_times",
            f'column "{names[time_column]}" holds the same time in many rows, such as "{example}" in '
            f"{int((moments == moment).sum())}, and the columns do not say what tells these rows apart",
            "If a column holds the clock time, put it beside the date and write it as 13:00; if one names the sensor, "
            'call it "sensor" and the one of the readings "value".',
        )
    for index in several:
        found = [text for text in pc.unique(pc.utf8_trim_whitespace(cells.column(index))).to_pylist() if text]
        if len(found) > 1 and not any(is_number(text) for text in found):
            raise FormatError(
                "no_value_column",
                f'column "{names[index]}" names sensors ("{found[0][:40]}", "{found[1][:40]}"), but no column, or more '
                "than one, holds their readings",
                'Keep one column of numbers and call it "value".',
            )


def refuse_times_beside(
    cells: pa.Table, time_columns: list[int], names: list[str], parse: Callable[[list[int]], times.Times]
) -> None:
    """Raises FormatError for several tables side by side, each with times of its own: time, value, time, value. Read as
    one, the values of all but the first would get the first one's times. The same time in two zones is none of these.

    `parse` reads the times in these columns.
    """
    first, width = time_columns[0], cells.num_columns
    others = [index for index in range(first + len(time_columns) + 1, width) if _holds_times(cells, index)]
    span = others[0] - first if others else width
    if first != 0 or others != list(range(span, width, span)) or not others or others[-1] + len(time_columns) >= width:
        return
    mine = parse(time_columns)
    for other in others:
        its = parse([index + other for index in time_columns])
        both = mine.valid & its.valid
        apart = np.unique((its.microseconds - mine.microseconds)[both])
        in_zones = len(apart) <= _MOST_OFFSETS and not (apart % _ZONE_STEP).any()
        if apart.any() and not (in_zones and (np.abs(apart) <= _FARTHEST_ZONE).all()):
            raise FormatError(
                "several_times",
                f'columns "{names[first]}" and "{names[other]}" hold times that differ, with readings behind each: '
                "these are tables side by side",
                "Upload each with its own time column as a file, or say as a file type which columns to read.",
            )


def _holds_times(cells: pa.Table, index: int) -> bool:
    texts = [text for text in cells.column(index).slice(0, _JUDGED_TIMES).to_pylist() if text.strip()]
    return bool(texts) and sum(map(is_time, texts)) * 2 > len(texts)


def _distinct_rows(cells: pa.Table, valid: Int64s, moments: int) -> int:
    """How many different rows there are; it is not worth counting where there are about as many moments as rows."""
    if moments * 2 > len(valid):
        return len(valid)
    rows = pa.table({name: cells.column(name) for name in cells.column_names}).take(pa.array(valid))
    return int(rows.group_by(rows.column_names).aggregate([]).num_rows)


def _refuse_several_devices(
    cells: pa.Table, valid: Int64s, moments: Int64s, roles: list[Role], names: list[str]
) -> None:
    """Raises FormatError where a column names several meters or stations whose rows have the same times."""
    for index, role in enumerate(roles):
        if role not in ("value", "text") or not IDENTITY_WORDS.fullmatch(names[index].strip()):
            continue
        kinds = pc.utf8_trim_whitespace(cells.column(index)).combine_chunks().take(pa.array(valid)).dictionary_encode()
        devices = [kind for kind in kinds.dictionary.to_pylist() if kind]
        device_of = kinds.indices.to_numpy(zero_copy_only=False)
        pairs = np.unique(np.stack([moments, device_of]), axis=1)
        by_turns = np.count_nonzero(np.diff(device_of)) >= _TURNS * len(devices)
        if len(devices) < 2 or (len(np.unique(pairs[0])) == pairs.shape[1] and not by_turns):
            continue
        values = [names[i] for i, one in enumerate(roles) if one == "value" and i != index]
        changes = {"columns": [{"name": names[index], "role": "sensor"}]}
        what = f"One sensor for each {names[index]}" + (
            f" and column ({', '.join(values[:3])} …)" if values[1:] else ""
        )
        choices = (Choice(what, changes),) if values else ()
        raise FormatError(
            "several_sources",
            f'column "{names[index]}" names {len(devices)} devices with readings '
            + ("by turns" if by_turns else "at the same times")
            + f', such as "{devices[0][:40]}" and "{devices[1][:40]}"',
            f'Say that "{names[index]}" names the sensor, or split the file by it.',
            choices,
        )
