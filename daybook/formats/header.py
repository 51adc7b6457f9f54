"""The lines above the rows: names, units, the zone that a header states, and where the rows begin."""

import re
from dataclasses import dataclass

from daybook.formats import times
from daybook.formats.cells import is_header_word, is_number
from daybook.formats.layout import FormatError

_HEADER_DEPTH = 5  # lines that look like parts of a header, counted up from the first row
_BAD_ROWS = 50  # lines that look like rows which cannot be read, between the header and the first good one
_TIME_WORDS = re.compile(
    r"(?i)\b(date|time|timestamp|datetime|date_?time|time_?stamp|ts|tmstamp|utc|datum|tijd|zeit|uhrzeit|zeitstempel"
    r"|fecha|hora|heure|tid|data|ora|yyyymmdd[hms]*|day)\b|^time|time$|^date|date$"
)
# Units as loggers write them; only used to tell a line of units from a line of names.
_UNITS = frozenset(
    """m/s m/sec ms-1 m.s-1 km/h mph kt knots metres/second meters/second deg degrees ° degc deg c deg_c °c c celsius
    celcius degf deg f °f f k kelvin % %rh hpa mbar mb millibars kpa pa bar mmhg inhg v volts mv a amps ma w kw mw kwh
    wh mwh var kvar kva va hz w/m2 w/m^2 w/m² wm-2 mj/m2 mm mm/h in inch inches cm m metres meters km ft l l/s l/min m3
    m³ m3/h m³/h m3/s s sec seconds min h ppm ppb ug/m3 µg/m3 mg/l ntu ph us/cm µs/cm ms/cm mm.s-1 unitless -
    db dbm lux rpm ts rn""".split()
)
_KINDS = frozenset("counter analog digital avg average mean min max std smp sample tot total sum inst".split())
_BRACKETED = re.compile(r"^\s*[\[(].*[\])]\s*$")
_TRAILING_UNIT = re.compile(r"[\[(]([^\[\]()]{1,30})[\])]\s*$")
_STATED_ZONE = re.compile(r"(?i)(?<![a-z])(?:utc|gmt)(?:\s*([+-][0-9]{1,2}(?::?[0-9]{2})?))?(?![a-z])")
_KEYED_ZONE = re.compile(
    r"(?i)(?<![a-z])(?:tzo|time[ _]?zone|utc[ _]?offset|gmt[ _]?offset)\s*[=:]\s*"
    r"(([+-]?[0-9]{1,2}(?:\.[0-9]{1,2})?)(?![0-9:])|(?:utc|gmt)?\s*[+-][0-9]{1,2}:?[0-9]{2}|(?:utc|gmt)[+-][0-9]{1,2}"
    r"|utc|gmt|[a-z]+(?:/[a-z_]+)+)"
)


@dataclass(frozen=True)
class Table:
    """Where a table was found with one delimiter: line numbers count from 0 here.

    time_columns: the date, and its clock if that is a column of its own. first_row: the first that is a row beyond
    doubt; `find_header` may find that rows which cannot be read stand above it.
    """

    delimiter: str
    rows: list[list[str]]
    width: int
    time_columns: list[int]
    first_row: int
    score: float


@dataclass(frozen=True)
class Header:
    """Line numbers (from 0) of names, units and the first row, whether that can be read or not."""

    names_at: int | None
    units_at: int | None
    first_row: int


def names_a_time(cell: str) -> bool:
    """Whether a header cell says that its column holds times."""
    return _TIME_WORDS.search(cell.strip()) is not None


def find_header(table: Table) -> Header:
    """The header above the first row. Rows that cannot be read, between the two, count as rows: they are rejected one
    by one later, and not passed over as if they stood above the table."""
    stack: list[int] = []
    bad_rows: list[int] = []
    number = table.first_row
    while number > 0 and len(stack) < _HEADER_DEPTH and len(bad_rows) < _BAD_ROWS:
        number -= 1
        row = table.rows[number]
        if not any(cell.strip() for cell in row):
            if stack:
                break
            continue  # a blank line between header and rows
        if not stack and _is_damaged_row(table, row):
            bad_rows.insert(0, number)
            continue
        if abs(len(row) - table.width) > 1:
            if not stack and bad_rows:
                bad_rows.insert(0, number)
                continue
            break
        stack.insert(0, number)
    names_at, units_at = _names_and_units(table, stack)
    if names_at is None:
        whole = [at for at in bad_rows if len(table.rows[at]) == table.width]
        return Header(None, None, whole[0] if whole else table.first_row)
    return Header(names_at, units_at, bad_rows[0] if bad_rows else table.first_row)


def _is_damaged_row(table: Table, row: list[str]) -> bool:
    """A line with a time but too many or too few cells, or with numbers but no time."""
    at = table.time_columns[0]
    time = row[at].strip() if at < len(row) else ""
    if times.looks_like_time(time):
        return True
    others = [cell for index, cell in enumerate(row) if index not in table.time_columns and cell.strip()]
    numbers = sum(map(is_number, others))
    return not names_a_time(time) and len(row) == table.width and numbers * 2 >= len(others) > 0


def _names_and_units(table: Table, stack: list[int]) -> tuple[int | None, int | None]:
    if not stack:
        return None, None
    at = table.time_columns[0]

    def cell(number: int) -> str:
        return table.rows[number][at] if at < len(table.rows[number]) else ""

    # Prose may hold a delimiter or a word for time too, so the surest sign is tried on all lines first.
    whole = [number for number in stack if len(table.rows[number]) >= table.width]
    full = [number for number in stack if sum(map(bool, map(str.strip, table.rows[number]))) >= max(2, table.width - 1)]
    both = [number for number in full if number in whole]
    sure = [number for number in (*both, *full, *whole) if is_header_word(cell(number))]
    likely = [number for number in (*both, *full, *whole) if names_a_time(cell(number))]
    names = next(iter((*sure, *likely, *both, *full, *whole)), None)
    if names is None or all(is_number(cell) or not cell.strip() for cell in table.rows[names]):
        return None, None
    if _is_units(_beside(table, names)):
        # Time and units on one line: the names stand above it, with nothing over the time.
        for above in (number for number in reversed(stack) if number < names):
            texts = [text for text in _beside(table, above) if text.strip()]
            if texts and not cell(above).strip() and not any(map(is_number, texts)) and not _is_kinds(texts):
                return above, names
    below = [number for number in stack if number > names]
    return names, next((number for number in below if _is_units(table.rows[number])), None)


def _beside(table: Table, number: int) -> list[str]:
    return [cell for index, cell in enumerate(table.rows[number]) if index not in table.time_columns]


def _is_kinds(texts: list[str]) -> bool:
    return all(text.strip().lower() in _KINDS for text in texts)


def _is_units(row: list[str]) -> bool:
    texts = [cell.strip() for cell in row if cell.strip()]
    known = sum(1 for text in texts if text.lower() in _UNITS or _BRACKETED.match(text))
    return bool(texts) and known * 2 >= len(texts)


def column_units(table: Table, names: list[str], units_at: int | None) -> list[str]:
    """The units of all columns, from the line of units or from brackets behind the name; empty where none is given."""
    row = table.rows[units_at] if units_at is not None else []
    units = []
    for index, name in enumerate(names):
        text = row[index].strip() if index < len(row) else ""
        if _BRACKETED.match(text):
            text = text[1:-1].strip()
        trailing = _TRAILING_UNIT.search(name)
        unit = text or (trailing[1].strip() if trailing else "")
        units.append("".join(letter for letter in unit if letter.isprintable())[:64])
    return units


def stated_zone(time_headers: list[str], above: list[str]) -> str | None:
    """The zone that the headers of the time columns or the lines `above` the header state, such as UTC+01:00.

    Above the header it takes a key for it (Timezone=01.0, Time zone: Europe/Dublin, TZO=1): the UTC in "Created on
    (UTC)" says nothing about the readings.
    """
    for header in time_headers:
        match = _STATED_ZONE.search(header.replace("_", " "))
        if match:
            return f"UTC{match[1]}" if match[1] else "UTC"
    for line in above:
        found = _KEYED_ZONE.search(line)
        if found:
            name = _zone_of_hours(found[2]) if found[2] else found[1]
            try:
                times.zone(name)
            except FormatError:
                continue
            return name
    return None


def _zone_of_hours(text: str) -> str:
    hours = float(text)
    minutes = round(abs(hours) * 60)
    return f"UTC{'-' if hours < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}" if minutes else "UTC"
