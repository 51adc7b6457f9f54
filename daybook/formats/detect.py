"""Finding the layout of a delimited text file from its first part."""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from daybook.formats import times
from daybook.formats.date_order import decide_date_order
from daybook.formats.delimited import NUMBER
from daybook.formats.layout import MISSING, Column, DateOrder, FormatError, Layout, Role
from daybook.formats.lines import MAX_LINE

SAMPLE_BYTES = 1024 * 1024
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
_LOOKED_AT = 1000  # lines in which the structure is looked for
_PROBES = 25  # lines in which every column is tried as a time
_MOST_TIMES = 0.6
_HEADER_DEPTH = 5

_MAGIC = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip archive or an Office document"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"\x7fELF", "a program"),
)
_TIME_WORDS = re.compile(
    r"(?i)\b(date|time|timestamp|datetime|date_?time|time_?stamp|ts|tmstamp|utc|datum|tijd|zeit|uhrzeit|zeitstempel"
    r"|fecha|hora|heure|tid|data|ora|yyyymmdd|day)\b|^time|time$|^date|date$"
)
_SENSOR_WORDS = re.compile(
    r"(?i)(sensor|sensor[ _]?name|name|parameter|variable|channel|tag|tagname|series|metric|measurement|quantity|signal"
    r"|register|item|key|point|probe|element)"
)
_VALUE_WORDS = re.compile(r"(?i)(value|reading|val|result|data|data[ _]?value|volume|amount|measurement|wert|valeur)")
_UNIT_WORDS = re.compile(r"(?i)(units?|uom|einheit|unité)")
# Units as loggers write them; only used to tell a line of units from a line of names.
_UNITS = frozenset(
    """m/s m/sec ms-1 m.s-1 km/h mph kt knots metres/second meters/second deg degrees ° degc deg c deg_c °c c celsius
    celcius degf deg f °f f k kelvin % %rh hpa mbar mb millibars kpa pa bar mmhg inhg v volts mv a amps ma w kw mw kwh
    wh mwh var kvar kva va hz w/m2 w/m^2 w/m² wm-2 mj/m2 mm mm/h in inch inches cm m metres meters km ft l l/s l/min m3
    m³ m3/h m³/h m3/s s sec seconds min h ppm ppb ug/m3 µg/m3 mg/l ntu ph us/cm µs/cm ms/cm mm.s-1 unitless -
    db dbm lux rpm ts rn""".split()
)
_BRACKETED = re.compile(r"^\s*[\[(].*[\])]\s*$")
_TRAILING_UNIT = re.compile(r"[\[(]([^\[\]()]{1,30})[\])]\s*$")
_STATED_ZONE = re.compile(r"(?i)(?<![a-z])(?:utc|gmt)(?:\s*([+-]\d{1,2}(?::?\d{2})?))?(?![a-z])")


@dataclass(frozen=True)
class _Table:
    """Where a table was found with one delimiter: line numbers count from 0 here."""

    delimiter: str
    rows: list[list[str]]
    width: int
    time_columns: list[int]
    first_row: int
    score: float


def detect(sample: bytes, *, whole: bool, timezone: str | None = None, date_order: DateOrder | None = None) -> Layout:
    """The layout of the file that starts with `sample` (`whole`: and ends with it).

    `timezone` is for times without an offset; `date_order` settles what 09/01/2016 means. Raises FormatError for what
    is no table of readings, and where day and month cannot be told apart.
    """
    if timezone:
        times.zone(timezone)
    _refuse_what_is_no_text(sample)
    lines, encoding = _text_lines(sample, whole)
    tables = [table for table in (_find_table(lines, delimiter) for delimiter in DELIMITERS) if table]
    if not tables:
        raise _no_table(lines)
    table = max(tables, key=lambda found: found.score)
    names_at, units_at = _find_header(table)
    names = _column_names(table, names_at)
    units = _column_units(table, names, units_at)
    cells = _read_texts(lines[table.first_row :], table)
    decimal = _decimal_mark(cells, table)
    roles = _roles(cells, table, names, decimal)
    texts = pc.binary_join_element_wise(*(cells.column(index).combine_chunks() for index in table.time_columns), " ")
    order = date_order or decide_date_order(texts)
    stamps = times.parse(texts, order)
    if not stamps.valid.any():
        raise FormatError(
            "no_times",
            f'no time could be read: "{texts[0]}" is not a date with {_order_in_words(order)}',
            "Choose another order of day and month.",
        )
    stated = _stated_zone([names[index] for index in table.time_columns])
    zone_from: Literal["cells", "request", "file", "default"]
    if stamps.absolute[stamps.valid].all():
        zone_name, zone_from = "UTC", "cells"
    elif timezone:
        zone_name, zone_from = timezone.strip(), "request"
    elif stated:
        zone_name, zone_from = stated, "file"
    else:
        zone_name, zone_from = "UTC", "default"
    return Layout(
        shape="narrow" if "sensor" in roles else "wide",
        columns=tuple(Column(*column) for column in zip(names, roles, units, strict=True)),
        data_line=table.first_row + 1,
        header_line=None if names_at is None else names_at + 1,
        units_line=None if units_at is None else units_at + 1,
        encoding=encoding,
        delimiter=table.delimiter,
        decimal=decimal,
        date_order=order,
        time_example=str(texts[int(stamps.valid.argmax())]).strip(),
        timezone=zone_name,
        timezone_from=zone_from,
    )


def _order_in_words(order: DateOrder) -> str:
    return {"ymd": "the year first", "dmy": "the day first", "mdy": "the month first"}[order]


def _refuse_what_is_no_text(sample: bytes) -> None:
    if not sample:
        raise FormatError("empty_file", "the file is empty", "Fetch it from the logger again.")
    for magic, kind in _MAGIC:
        if sample.startswith(magic):
            raise FormatError("not_text", f"the file is {kind}, not a text table of readings", "Export it as CSV.")
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise FormatError("utf16", "the file is UTF-16 text, which cannot be read yet", "Save it as UTF-8.")
    nul = sample.find(b"\0")
    if nul >= 0 and sample.count(b"\0") > len(sample) // 200:
        raise FormatError(
            "not_text",
            f"the file is binary, not text: byte {nul + 1:,} is NUL, and {sample.count(0) - 1:,} more are",
            "Export it as CSV.",
        )


def _text_lines(sample: bytes, whole: bool) -> tuple[list[str], str]:
    end = len(sample) if whole else sample.rfind(b"\n") + 1
    if end == 0:
        raise FormatError(
            "line_too_long",
            f"line 1 is longer than {len(sample) if len(sample) < MAX_LINE else MAX_LINE:,} bytes",
            "This does not look like a table of readings; is it a text file with one line per time?",
        )
    data = sample[:end].removeprefix(codecs.BOM_UTF8)
    try:
        text, encoding = data.decode(), "utf-8"
    except UnicodeDecodeError:
        text, encoding = data.decode("cp1252", "replace"), "cp1252"
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return [line.rstrip("\r") for line in lines], encoding


def _split(line: str, delimiter: str) -> list[str]:
    if '"' not in line:
        return line.split(delimiter)
    if line.count('"') % 2:
        return []
    return next(csv.reader([line], delimiter=delimiter))


def _is_time(text: str) -> bool:
    stripped = text.strip()
    if stripped.isdecimal() and not (len(stripped) in (8, 12, 14) and "17" < stripped[:2] < "22"):
        return False
    return times.looks_like_time(stripped)


def _is_number(text: str) -> bool:
    return re.match(NUMBER, text.strip().replace(",", ".", 1)) is not None


def _is_row(row: list[str], time_column: int) -> bool:
    others = (cell for index, cell in enumerate(row) if index != time_column)
    return _is_time(row[time_column]) and any(map(_is_number, others))


def _find_table(lines: list[str], delimiter: str) -> _Table | None:
    """The rows of the table that this delimiter makes of the first lines, if it makes one."""
    rows = [_split(line, delimiter) if line.strip() else [] for line in lines[:_LOOKED_AT]]
    widths = Counter(len(row) for row in rows if len(row) > 1)
    best: _Table | None = None
    for width, count in widths.most_common(4):
        candidates = [number for number, row in enumerate(rows) if len(row) == width]
        probes = candidates[:: max(1, len(candidates) // _PROBES)]
        columns = _time_columns(rows, probes, candidates, width)
        if not columns:
            continue
        at = columns[0]
        good = [number for number in candidates if _is_row(rows[number], at)]
        if not good:
            continue
        score = len(good) + width / 1000
        if best is None or score > best.score:
            best = _Table(delimiter, rows, width, columns, _first_row(rows, good[0], width, at), score)
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


def _time_columns(rows: list[list[str]], probes: list[int], candidates: list[int], width: int) -> list[int]:
    """The column that holds the time, or the date column and the clock column."""

    def share(column: int, test: Callable[[str], bool]) -> float:
        full = [rows[number][column] for number in candidates if rows[number][column].strip()]
        # Without what stands above the first row, and with the odd bad row in a short file forgiven.
        start = next((place for place, text in enumerate(full) if _is_time(text)), 0)
        body = full[start:][:200]
        return sum(map(bool, map(test, body))) / len(body) if body else 0.0

    found = [
        column
        for column in range(width)
        if any(_is_time(rows[number][column]) for number in probes) and share(column, _is_time) >= _MOST_TIMES
    ]
    for column in found:
        if share(column, times.has_clock) >= _MOST_TIMES:
            return [column]
    for column in found:
        for beside in (column + 1, column - 1):
            if 0 <= beside < width and share(beside, times.looks_like_clock) >= _MOST_TIMES:
                colons = share(beside, lambda text: ":" in text) > 0
                if colons or share(column, lambda text: text.strip().isdecimal()) == 1.0:
                    return [column, beside]
    return found[:1]


def _find_header(table: _Table) -> tuple[int | None, int | None]:
    """The lines of the names and of the units above the first row (counted from 0)."""
    stack: list[int] = []
    for number in range(table.first_row - 1, max(-1, table.first_row - 1 - _HEADER_DEPTH), -1):
        row = table.rows[number]
        if not any(cell.strip() for cell in row):
            if stack:
                break
            continue  # a blank line between header and rows
        if abs(len(row) - table.width) > 1:
            break
        stack.insert(0, number)
    if not stack:
        return None, None
    at = table.time_columns[0]
    for number in stack:
        row = table.rows[number]
        if at < len(row) and _TIME_WORDS.search(row[at].strip()):
            names = number
            break
    else:
        full = [number for number in stack if sum(1 for cell in table.rows[number] if cell.strip()) >= table.width - 1]
        names = (full or stack)[0]
        if all(_is_number(cell) or not cell.strip() for cell in table.rows[names]):
            return None, None
    below = [number for number in stack if number > names]
    units = next((number for number in below if _is_units(table.rows[number])), None)
    return names, units


def _is_units(row: list[str]) -> bool:
    texts = [cell.strip() for cell in row if cell.strip()]
    known = sum(1 for text in texts if text.lower() in _UNITS or _BRACKETED.match(text))
    return bool(texts) and known * 2 >= len(texts)


def _column_names(table: _Table, names_at: int | None) -> list[str]:
    header = table.rows[names_at] if names_at is not None else []
    names: list[str] = []
    taken: Counter[str] = Counter()
    for index in range(table.width):
        text = header[index] if index < len(header) else ""
        name = " ".join(text.replace("\ufeff", "").strip().strip('"').split())[:190] or f"column {index + 1}"
        taken[name] += 1
        unique = name if taken[name] == 1 else f"{name} ({taken[name]})"
        names.append(unique)
    return names


def _column_units(table: _Table, names: list[str], units_at: int | None) -> list[str]:
    row = table.rows[units_at] if units_at is not None else []
    units = []
    for index, name in enumerate(names):
        text = row[index].strip() if index < len(row) else ""
        if _BRACKETED.match(text):
            text = text[1:-1].strip()
        trailing = _TRAILING_UNIT.search(name)
        units.append((text or (trailing[1].strip() if trailing else ""))[:64])
    return units


def _read_texts(lines: list[str], table: _Table) -> pa.Table:
    """The sample's rows as text; lines of another width are left out here, not in the import."""
    data = "\n".join(line for line in lines if line.strip() and line.count('"') % 2 == 0).encode() + b"\n"
    names = [str(index) for index in range(table.width)]
    return arrow_csv.read_csv(
        pa.BufferReader(data),
        read_options=arrow_csv.ReadOptions(use_threads=False, block_size=len(data), column_names=names),
        parse_options=arrow_csv.ParseOptions(delimiter=table.delimiter, invalid_row_handler=lambda _row: "skip"),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )


def _decimal_mark(cells: pa.Table, table: _Table) -> str:
    if table.delimiter == ",":
        return "."
    commas = points = 0
    for index in range(table.width):
        if index not in table.time_columns:
            text = pc.utf8_trim_whitespace(cells.column(index))
            commas += pc.sum(pc.match_substring_regex(text, r"^[+-]?[0-9]*,[0-9]+$")).as_py() or 0
            points += pc.sum(pc.match_substring_regex(text, r"^[+-]?[0-9]*\.[0-9]+$")).as_py() or 0
    return "," if commas > points else "."


def _roles(cells: pa.Table, table: _Table, names: list[str], decimal: str) -> list[Role]:
    number = NUMBER.replace(r"\.", re.escape(decimal))
    marks = pa.array(MISSING)
    roles: list[Role] = []
    for index in range(table.width):
        if index in table.time_columns:
            roles.append("time")
            continue
        text = pc.utf8_trim_whitespace(cells.column(index))
        if pc.any(pc.match_substring_regex(text, number)).as_py():
            roles.append("value")
        elif pc.all(pc.is_in(pc.utf8_lower(text), value_set=marks)).as_py():
            # Nothing in it so far; a later line may hold a number. A trailing delimiter has no name and no cells.
            roles.append("text" if names[index] == f"column {index + 1}" else "value")
        else:
            roles.append("text")
    return _narrow_roles(roles, names) or roles


def _narrow_roles(roles: list[Role], names: list[str]) -> list[Role] | None:
    """The roles of a table with one reading a line, when the header says that it is one."""
    sensors = [i for i, role in enumerate(roles) if role == "text" and _SENSOR_WORDS.fullmatch(names[i])]
    values = [i for i, role in enumerate(roles) if role == "value" and _VALUE_WORDS.fullmatch(names[i])]
    if not sensors or len(values) != 1:
        return None
    units = [i for i, role in enumerate(roles) if role == "text" and _UNIT_WORDS.fullmatch(names[i])]
    narrow: list[Role] = ["time" if role == "time" else "text" for role in roles]
    narrow[sensors[0]] = "sensor"
    narrow[values[0]] = "value"
    if units:
        narrow[units[0]] = "unit"
    return narrow


def _stated_zone(time_headers: list[str]) -> str | None:
    for header in time_headers:
        match = _STATED_ZONE.search(header.replace("_", " "))
        if match:
            return f"UTC{match[1]}" if match[1] else "UTC"
    return None


def _no_table(lines: list[str]) -> FormatError:
    if not any(line.strip() for line in lines):
        return FormatError("empty_file", "the file holds only blank lines", "Fetch it from the logger again.")
    for delimiter, word in DELIMITERS.items():
        for number, line in enumerate(lines[:_LOOKED_AT], start=1):
            cells = _split(line, delimiter)
            if len(cells) > 1 and _TIME_WORDS.search(cells[0].strip()) and not any(map(_is_number, cells)):
                return FormatError(
                    "no_rows",
                    f"line {number} is a header ({len(cells)} columns, {word}-separated), but no line with a time and "
                    "numbers follows it",
                    "If the logger wrote readings, fetch the file again.",
                )
    return FormatError(
        "no_table",
        f"no table of readings found: none of the first {min(len(lines), _LOOKED_AT):,} lines holds a time and a "
        "number separated by comma, semicolon or tab",
        "Daybook reads text files with one line per time (a time column, then one column per sensor) or one line per "
        "reading (time, sensor, value).",
    )
