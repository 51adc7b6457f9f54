"""The lines above the rows: names, units, the zone that a header states, and where the rows begin."""

import re
from dataclasses import dataclass, replace
from itertools import pairwise

from daybook.formats.cells import is_header_word, is_number
from daybook.formats.fixed_widths import guess_widths, names_over
from daybook.formats.given import Given
from daybook.formats.table import Table
from daybook.formats.time_names import names_a_time

_STACKED_NAMES = 3  # lines over which the names of a table of fixed widths may be spread
_MOST_NAMED = 0.8  # the least share of columns that get a name that way
_LONGEST_NAME = 40
_HEADER_DEPTH = 5  # lines that look like parts of a header, counted up from the first row
_FEWEST_NUMBERED = 3
_BAD_ROWS = 50  # lines that look like rows which cannot be read, between the header and the first good one
# Units as loggers write them; only used to tell a line of units from a line of names.
_UNITS = frozenset(
    """m/s m/sec ms-1 m.s-1 km/h mph kt knots metres/second meters/second deg degrees ° degc deg c deg_c °c c celsius
    celcius degf deg f °f f k kelvin % %rh hpa mbar mb millibars kpa pa bar mmhg inhg v volts mv a amps ma w kw mw kwh
    wh mwh var kvar kva va hz w/m2 w/m^2 w/m² wm-2 mj/m2 mm mm/h in inch inches cm m metres meters km ft l l/s l/min m3
    m³ m3/h m³/h m3/s s sec seconds min h ppm ppb ug/m3 µg/m3 mg/l ntu ph us/cm µs/cm ms/cm mm.s-1 unitless -
    db dbm lux rpm ts rn degt #yr yr mo dy hr mn""".split()
)
_KINDS = frozenset("counter status analog digital avg average mean min max std smp sample tot total sum inst".split())
_BRACKETED = re.compile(r"^\s*[\[(].*[\])]\s*$")
_REPEATED = re.compile(r" \([0-9]+\)$")  # as `column_names` tells columns of the same name apart
_TRAILING_UNIT = re.compile(r"[\[(]([^\[\]()]{1,30})[\])]\s*$")


@dataclass(frozen=True)
class Header:
    """Line numbers (from 0) of names, units and the first row, whether that can be read or not; and the names, where
    they are not simply the cells of their line."""

    names_at: int | None
    units_at: int | None
    first_row: int
    names: tuple[str, ...] = ()


def names_by_position(table: Table, lines: list[str], header: Header) -> Header:
    """The header of a table padded with blanks whose names stand over their columns, on one line or on several: names
    of two words, or Temp over Out."""
    if table.delimiter not in {" ", ""}:
        return header
    rows = zip(lines[header.first_row :], table.rows[header.first_row :], strict=False)
    widths = table.widths or guess_widths([line for line, row in rows if len(row) == table.width])
    if len(widths) != table.width:
        return header
    fits = header.names_at is not None and len(_full(table, header.names_at)) == table.width
    if fits and all(" " not in name for name in names_over([lines[header.names_at or 0]], widths)):
        return header
    above = _name_lines(table, lines, header, widths)
    names = names_over([lines[number] for number in above], widths)
    others = [name for index, name in enumerate(names) if index not in table.time_columns]
    named = [name for name in others if name]
    if len(named) < (1 if fits else _MOST_NAMED) * len(others) or len(set(named)) * 2 < len(named) or not named:
        return header
    if any(map(is_number, named)) or max(map(len, named)) > _LONGEST_NAME:
        return header
    return replace(header, names_at=above[-1], names=tuple(names))


def _name_lines(table: Table, lines: list[str], header: Header, widths: tuple[int, ...]) -> list[int]:
    """The lines whose words are the names: the last one above the rows, and those above it that say more of the
    columns, but nothing of the time, over which prose would begin."""
    found: list[int] = []
    for number in range(header.first_row - 1, -1, -1):
        text = lines[number].strip()
        if not set(text) - set("-=+| \t_") or number == header.units_at:
            if found:
                break
            continue
        said = names_over([lines[number]], widths)
        if found and (len(found) == _STACKED_NAMES or any(said[index] for index in table.time_columns)):
            break
        found.insert(0, number)
    return found


def _full(table: Table, number: int) -> list[str]:
    return [cell for cell in table.rows[number] if cell.strip()]


def find_header(table: Table, given: Given) -> Header:
    """The header above the first row. Rows that cannot be read, between the two, count as rows: they are rejected one
    by one later, and not passed over as if they stood above the table."""
    if given.header_line == 0:
        return Header(None, None, table.first_row)
    if table.names_at is not None:
        return _below_names(table, given, table.names_at)
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
        return Header(None, None, whole[0] if whole and given.data_line is None else table.first_row)
    if given.units_line is not None:
        units_at = given.units_line - 1 if given.units_line else None
    return Header(names_at, units_at, bad_rows[0] if bad_rows and given.data_line is None else table.first_row)


def _below_names(table: Table, given: Given, names_at: int) -> Header:
    """Units and first row below a line of names that is known."""
    between = [number for number in range(names_at + 1, table.first_row) if any(map(str.strip, table.rows[number]))]
    units_at = next((number for number in between if _is_units(table.rows[number])), None)
    if given.units_line is not None:
        units_at = given.units_line - 1 + table.moved if given.units_line else None
        if units_at is not None and not 0 <= units_at < len(table.rows):
            units_at = None  # the header has moved, and no such line is there
    first = table.first_row
    if given.data_line is None:
        damaged = [number for number in between if number != units_at and _is_damaged_row(table, table.rows[number])]
        first = damaged[0] if damaged else first
    return Header(names_at, units_at, first)


def _is_damaged_row(table: Table, row: list[str]) -> bool:
    """A line with a time but too many or too few cells, or with numbers but no time."""
    at = table.time_columns[0]
    time = row[at].strip() if at < len(row) else ""
    if table.time.seems(row):
        return True
    others = [cell for index, cell in enumerate(row) if index not in table.time_columns and cell.strip()]
    if _are_numbered(table, row, others):
        return False
    numbers = sum(map(is_number, others))
    return not names_a_time(time) and len(row) == table.width and numbers * 2 >= len(others) > 0


def _are_numbered(table: Table, row: list[str], others: list[str]) -> bool:
    """Whether the cells are names that are numbers: they only go up, with nothing or a word over the time."""
    if len(row) != table.width or len(others) < _FEWEST_NUMBERED or not all(map(is_number, others)):
        return False
    if any(row[index].strip().replace(".", "").isdecimal() for index in table.time_columns):
        return False
    values = [float(cell.replace(",", ".")) for cell in others]
    return all(one < other for one, other in pairwise(values))


def _names_and_units(table: Table, stack: list[int]) -> tuple[int | None, int | None]:
    if not stack:
        return None, None
    at = table.time_columns[0]

    def cell(number: int) -> str:
        return table.rows[number][at] if at < len(table.rows[number]) else ""

    # Rows that end in a delimiter have one cell more than a header that does not.
    width = table.width - (1 if _ends_in_nothing(table) else 0)
    # Prose may hold a delimiter or a word for time too, so the surest sign is tried on all lines first.
    whole = [number for number in stack if len(table.rows[number]) >= width]
    full = [number for number in stack if sum(map(bool, map(str.strip, table.rows[number]))) >= max(2, width - 1)]
    both = [number for number in full if number in whole]
    sure = [number for number in (*both, *full, *whole) if is_header_word(cell(number))]
    likely = sorted(
        (number for number in (*both, *full, *whole) if names_a_time(cell(number))),
        key=lambda number: (_is_units(_beside(table, number)), -_different(table.rows[number])),
    )
    telling = sorted((*both, *full, *whole), key=lambda number: -_different(table.rows[number]))
    names = next(iter((*sure, *likely, *telling)), None)
    if names is None or (
        all(is_number(cell) or not cell.strip() for cell in table.rows[names])
        and not _are_numbered(table, table.rows[names], [cell for cell in _beside(table, names) if cell.strip()])
    ):
        return None, None
    if _is_units(_beside(table, names)):
        # Time and units on one line: the names stand above it, with nothing over the time.
        for above in (number for number in reversed(stack) if number < names):
            texts = [text for text in _beside(table, above) if text.strip()]
            if texts and not cell(above).strip() and not any(map(is_number, texts)) and not _is_kinds(texts):
                return above, names
    below = [number for number in stack if number > names]
    return names, next((number for number in below if _is_units(table.rows[number])), None)


def _ends_in_nothing(table: Table) -> bool:
    rows = (row for row in table.rows[table.first_row :][:200] if len(row) == table.width)
    return not any(row[-1].strip() for row in rows)


def _different(row: list[str]) -> int:
    """How many of its cells differ: a line that says the same over all columns names none of them."""
    return len({cell.strip() for cell in row if cell.strip()})


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
        trailing = _TRAILING_UNIT.search(_REPEATED.sub("", name))
        unit = text or (trailing[1].strip() if trailing else "")
        units.append("".join(letter for letter in unit if letter.isprintable())[:64])
    return units
