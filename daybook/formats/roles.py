"""What each column of a sample is for, and refusals of tables whose columns do not say which reading is whose."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daybook.formats import times
from daybook.formats.cells import is_number, number_pattern
from daybook.formats.header import Table
from daybook.formats.layout import MISSING, FormatError, Role

_SENSOR_WORDS = re.compile(
    r"(?i)(sensor|sensor[ _]?(name|id)|name|parameter|variable|channel|tag|tag[ _]?name|series|metric|measurement"
    r"|quantity|signal|register|item|key|point|probe|element)"
)
_VALUE_WORDS = re.compile(r"(?i)(value|reading|val|result|data|data[ _]?value|volume|amount|measurement|wert|valeur)")
_UNIT_WORDS = re.compile(r"(?i)(units?|uom|einheit|unité)")
_SOURCE_WORDS = re.compile(r"(?i)(source|station|site|logger|device|mast|meter)([ _]?(name|id|code))?")
_HOUR_WORDS = re.compile(r"(?i)(hh|h|hr|hrs|hours?|uur|uhr|stunde|heure|hora|ora|time)")
_HHMM_WORDS = re.compile(r"(?i)(hhmm|h?hmm|time|clock|zeit|uhrzeit|tijd|heure|hora|ora)")
_PIVOT_NAME = re.compile(r"(?i)\s*[0-9]{1,2}[:.][0-9]{2}([:.][0-9]{2})?(\s*(-|–|to)\s*[0-9]{1,2}[:.][0-9]{2}.*)?")
_FEWEST_ROWS = 3  # that say something about whether times repeat


def column_roles(cells: pa.Table, table: Table, names: list[str], decimal: str) -> list[Role]:
    """The role of every column; raises FormatError where none holds a number, or where the columns are clock times."""
    number = number_pattern(decimal)
    marks = pa.array(MISSING)
    roles: list[Role] = []
    for index in range(table.width):
        if index in table.time_columns:
            roles.append("time" if index == table.time_columns[0] else "clock")
            continue
        text = pc.utf8_trim_whitespace(cells.column(index))
        if pc.any(pc.match_substring_regex(text, number)).as_py():
            roles.append("value")
        elif pc.all(pc.is_in(pc.utf8_lower(text), value_set=marks)).as_py():
            # Nothing in it so far; a later line may hold a number. A trailing delimiter has no name and no cells.
            roles.append("text" if names[index] == f"column {index + 1}" else "value")
        else:
            roles.append("text")
    if "value" not in roles:
        raise FormatError(
            "no_numbers",
            f"the table has times in column {names[table.time_columns[0]]!r}, but no column of numbers",
            "Export numbers as they are, without units or thousands separators in the cells.",
        )
    return _narrow_roles(roles, names) or roles


def _narrow_roles(roles: list[Role], names: list[str]) -> list[Role] | None:
    """The roles of a table with one reading a line, when the header says that it is one. Sensors may be numbers."""
    sensors = [i for i, role in enumerate(roles) if role == "text" and _SENSOR_WORDS.fullmatch(names[i])]
    values = [i for i, role in enumerate(roles) if role == "value" and _VALUE_WORDS.fullmatch(names[i])]
    if not sensors:
        sensors = [i for i, role in enumerate(roles) if i not in values and _SENSOR_WORDS.fullmatch(names[i])]
        sensors = [i for i in sensors if roles[i] == "value"]
    if not sensors or len(values) != 1:
        return None
    units = [i for i, role in enumerate(roles) if role == "text" and _UNIT_WORDS.fullmatch(names[i])]
    sources = [i for i, role in enumerate(roles) if role in ("text", "value") and _SOURCE_WORDS.fullmatch(names[i])]
    narrow: list[Role] = [role if role in ("time", "clock") else "text" for role in roles]
    for found, role in ((sources, "source"), (units, "unit"), (sensors, "sensor"), (values, "value")):
        if found:
            narrow[found[0]] = role  # type: ignore[call-overload]
    return narrow


def clock_beside(cells: pa.Table, table: Table, names: list[str]) -> tuple[int, Role] | None:
    """The column beside a date that tells the time as plain numbers, going by its name: whole hours (0 to 24), or
    930 for half past nine."""
    date = table.time_columns[0]
    for beside in (date + 1, date - 1):
        if len(table.time_columns) > 1 or not 0 <= beside < table.width:
            continue
        text = pc.utf8_trim_whitespace(cells.column(beside))
        if not pc.all(pc.match_substring_regex(text, "^[0-9]{1,4}$")).as_py():
            continue
        numbers = np.array(text.to_pylist(), np.int64)
        if _HOUR_WORDS.fullmatch(names[beside]) and numbers.max() <= 24 and numbers.max() > 0:
            return beside, "hour"
        if _HHMM_WORDS.fullmatch(names[beside]) and numbers.max() <= 2400 and (numbers % 100 < 60).all():
            return beside, "clock"
    return None


def decimal_mark(cells: pa.Table, table: Table) -> str:
    """A comma where more cells have one between digits than have a point. In comma-separated files such cells are
    quoted, and may as well have commas between thousands: there one cell must show that it has not."""
    columns = [cells.column(index) for index in range(table.width) if index not in table.time_columns]
    texts = [pc.utf8_trim_whitespace(column) for column in columns]
    commas = _count(texts, r"^[+-]?[0-9]*,[0-9]+([eE][+-]?[0-9]+)?$")
    if not commas:
        return "."
    points = _count(texts, r"^[+-]?([0-9]*|[0-9]{1,3}(,[0-9]{3})+)\.[0-9]+([eE][+-]?[0-9]+)?$")
    clear = r"^[+-]?([0-9]*,([0-9]{1,2}|[0-9]{4,})|(0|[0-9]{4,}),[0-9]{3})([eE][+-]?[0-9]+)?$"
    if table.delimiter == "," and not _count(texts, clear):
        return "."
    return "," if commas > points else "."


def _count(texts: list[pa.ChunkedArray], pattern: str) -> int:
    return sum(pc.sum(pc.match_substring_regex(text, pattern)).as_py() or 0 for text in texts)


def refuse_pivot(roles: list[Role], names: list[str]) -> None:
    """Raises FormatError for a table with one row a day and one column for each time of the day."""
    values = [name for name, role in zip(names, roles, strict=True) if role == "value"]
    clocks = [name for name in values if _PIVOT_NAME.fullmatch(name)]
    plain = [name.strip().lower().lstrip("h").rstrip("h") for name in values]
    hours = len(plain) >= 24 and all(name.isdecimal() and int(name) <= 25 for name in plain)
    if (len(clocks) >= 4 and len(clocks) * 2 > len(values)) or hours:
        example = ", ".join((clocks or values)[:2])
        raise FormatError(
            "pivot_table",
            f"the columns are times of the day ({example} …), one row a day; that is not one column per sensor",
            "Turn the table round, to one line per time (time, value), or export it as a list.",
        )


def refuse_repeated_times(
    cells: pa.Table, stamps: times.Times, roles: list[Role], names: list[str], time_column: int
) -> None:
    """Raises FormatError for a wide table in which most times stand in several rows with different readings: what
    tells these rows apart, a clock or a sensor, was not recognised, and one row would push the other out."""
    several = [i for i, role in enumerate(roles) if role == "text" and _SENSOR_WORDS.fullmatch(names[i])]
    valid = np.flatnonzero(stamps.valid)
    moments = stamps.microseconds[valid]
    rows = pa.table({name: cells.column(name) for name in cells.column_names}).take(pa.array(valid))
    distinct_rows = rows.group_by(rows.column_names).aggregate([]).num_rows if len(valid) >= _FEWEST_ROWS else 0
    if len(np.unique(moments)) * 2 <= distinct_rows:
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
