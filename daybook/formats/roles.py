"""What each column of a sample is for."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daybook.formats.batch import Int64s
from daybook.formats.given import Given
from daybook.formats.layout import MISSING, TIME_ROLES, Role
from daybook.formats.number_form import NumberForm
from daybook.formats.table import Table
from daybook.formats.time_columns import TimeForm

SENSOR_WORDS = re.compile(
    r"(?i)(sensor|sensor[ _]?(name|id|index)|entity_?id|field|name|parameter|variable|channel|tag|tag[ _]?name|series"
    r"|metric|measurement"
    r"|quantity|signal|register|item|key|point|probe|element)"
)
_SAYS_LITTLE = re.compile(r"(?i)[_\s]*(item|key|point|element|quantity|register|field|channel|name)\s*")
_VALUE_WORDS = re.compile(
    r"(?i)(value|reading|val|state|result|data|data[ _]?value|volume|amount|measurement|wert|valeur)"
)
_UNIT_WORDS = re.compile(r"(?i)(units?|uom|einheit|unité)")
_SOURCE_WORDS = re.compile(r"(?i)(source|station|site|logger|device|mast|meter)([ _]?(name|id|code))?")
_MINUTE_WORDS = re.compile(r"(?i)(mm|m|min|mins|minutes?|mi|mn)")
_SECOND_WORDS = re.compile(r"(?i)(ss|s|secs?|seconds?)")
_HOUR_WORDS = re.compile(r"(?i)(hh|h|hr|hrs|hours?|uur|uhr|stunde|heure|hora|ora|time)")
_HOURS_OF_SOMETHING = re.compile(r"(?i)h|hrs|hours")
_HHMM_WORDS = re.compile(r"(?i)(hhmm|h?hmm|time|clock|zeit|uhrzeit|tijd|heure|hora|ora)")
# Columns that say whose readings these are: the same in all rows, or the file holds several devices.
IDENTITY_WORDS = re.compile(
    r"(?i)[#\s]*(dev[ _]?eui|imei|mac([ _]?address)?"
    r"|ean|ean[ _]?code\w*|meter[ _]?(number|no|nr|id|nummer)|stn|nmi|mprn|mpan|wban|usaf|sensor[ _]?id"
    r"|(serial|serien|serie)[ _]?(number|no|nr|nummer)?|(station|site|device|logger|node|location|stations|unit)"
    r"[ _]?(id|name|no|nr|number|code|nummer)?)\.?"
)


def column_roles(cells: pa.Table, table: Table, names: list[str], numbers: NumberForm, given: Given) -> list[Role]:
    """The role of every column: as given, else as its name and its cells say."""
    marks = pa.array(MISSING)
    said = {column.name: column.role for column in given.columns}
    roles: list[Role] = []
    for index in range(table.width):
        if index in table.time_columns:
            roles.append(table.time.roles[table.time_columns.index(index)])
            continue
        text = pc.utf8_trim_whitespace(cells.column(index))
        if pc.any(pc.match_substring_regex(text, numbers.pattern)).as_py():
            roles.append("value")
        elif pc.all(pc.is_in(pc.utf8_lower(text), value_set=marks)).as_py():
            # Nothing in it so far; a later line may hold a number. A trailing delimiter has no name and no cells.
            roles.append("text" if names[index] == f"column {index + 1}" else "value")
        else:
            roles.append("text")
    if (given.shape is None and not said) or (given.shape == "narrow" and "sensor" not in said.values()):
        narrow = narrow_roles(roles, names)
        at = narrow.index("sensor") if narrow else 0
        if narrow and (roles[at] == "text" or not _SAYS_LITTLE.fullmatch(names[at]) or _come_again(cells, at)):
            roles = narrow
    if "sensor" not in roles:
        roles = _with_identity(roles, names, cells)
    if said:
        roles = _as_given(roles, names, given)
    return roles


def _with_identity(roles: list[Role], names: list[str], cells: pa.Table) -> list[Role]:
    """The first column that names the device and is the same in all rows of the sample gets the role source, so that
    another device further on in the file is noticed."""
    for index, role in enumerate(roles):
        if role in ("value", "text") and IDENTITY_WORDS.fullmatch(names[index].strip()) and roles.count("value") > 1:
            kinds = pc.unique(pc.utf8_trim_whitespace(cells.column(index))).to_pylist()
            if len(kinds) == 1 and kinds[0]:
                return [*roles[:index], "source", *roles[index + 1 :]]
    return roles


def _as_given(roles: list[Role], names: list[str], given: Given) -> list[Role]:
    """The roles as a file type has them; columns that it does not list keep theirs, unless it ignores those."""
    said = {column.name: column.role for column in given.columns}
    narrow = given.shape == "narrow" or "sensor" in said.values()
    result: list[Role] = []
    for name, role in zip(names, roles, strict=True):
        told = said.get(name)
        if told is not None:
            result.append(told)
        elif (role in TIME_ROLES and not set(said.values()) & set(TIME_ROLES)) or (name in said and role == "value"):
            result.append(role)
        elif narrow and "value" in said.values():
            result.append("text")  # one column of a narrow file holds the readings, and that is known
        elif given.other_columns == "ignore" or role in TIME_ROLES:
            result.append("text")
        else:
            result.append(role)
    return result


def _come_again(cells: pa.Table, index: int) -> bool:
    """Whether the numbers of a column may name sensors: whole ones, of which there are few."""
    text = pc.utf8_trim_whitespace(cells.column(index))
    whole = pc.all(pc.match_substring_regex(text, "^[0-9]*$")).as_py()
    return bool(whole) and pc.count_distinct(text).as_py() * 2 <= len(text)


def narrow_roles(roles: list[Role], names: list[str]) -> list[Role] | None:
    """The roles of a table with one reading a line, when the header says that it is one. Sensors may be numbers."""
    plain = [name.strip().lstrip("_") for name in names]
    sensors = [i for i, role in enumerate(roles) if role == "text" and SENSOR_WORDS.fullmatch(plain[i])]
    values = [i for i, role in enumerate(roles) if role == "value" and _VALUE_WORDS.fullmatch(plain[i])]
    if not sensors:
        sensors = [i for i, role in enumerate(roles) if i not in values and SENSOR_WORDS.fullmatch(plain[i])]
        sensors = [i for i in sensors if roles[i] == "value"]
    values = [i for i in values if plain[i].lower() == "value"] if len(values) > 1 else values
    if not sensors or len(values) != 1:
        return None
    units = [i for i, role in enumerate(roles) if role == "text" and _UNIT_WORDS.fullmatch(plain[i])]
    sources = [i for i, role in enumerate(roles) if role in ("text", "value") and _SOURCE_WORDS.fullmatch(plain[i])]
    narrow: list[Role] = [role if role in TIME_ROLES else "text" for role in roles]
    for found, role in ((sources, "source"), (units, "unit"), (sensors, "sensor"), (values, "value")):
        if found:
            narrow[found[0]] = role  # type: ignore[call-overload]
    return narrow


def clock_beside(cells: pa.Table, table: Table, names: list[str]) -> TimeForm | None:
    """The time of a date whose clock stands beside it as plain numbers, going by the names: whole hours (0 to 24),
    with minutes in one more column or not, or 930 for half past nine."""
    if table.time.roles != ("time",) or not table.time.plain:
        return None
    date = table.time_columns[0]
    for step in (1, -1):
        found: list[tuple[int, Role]] = []
        for role, words, most in (
            ("hour", _HOUR_WORDS, 24),
            ("minute", _MINUTE_WORDS, 59),
            ("second", _SECOND_WORDS, 60),
        ):
            index = date + step * (len(found) + 1) if step > 0 else date - 1
            numbers = _whole_numbers(cells, index) if 0 <= index < table.width and (step > 0 or not found) else None
            if numbers is None or not words.fullmatch(names[index]) or numbers.max() > most:
                break
            if role == "hour" and _HOURS_OF_SOMETHING.fullmatch(names[index]) and _one_a_day(cells, date, numbers):
                break
            found.append((index, role))  # type: ignore[arg-type]
        if found and (len(found) > 1 or _whole_numbers(cells, found[0][0]).max() > 0):  # type: ignore[union-attr]
            return TimeForm((date, *(index for index, _ in found)), ("time", *(role for _, role in found)))
        index = date + step
        numbers = _whole_numbers(cells, index) if 0 <= index < table.width else None
        if numbers is None or not _HHMM_WORDS.fullmatch(names[index]):
            continue
        if numbers.max() <= 2400 and (numbers % 100 < 60).all():
            return TimeForm((date, index), ("time", "clock"))
    return None


def _one_a_day(cells: pa.Table, date: int, hours: Int64s) -> bool:
    """Whether every day has one row, and the hours differ: how long the sun shone, not when it was looked at."""
    days = pc.count_distinct(pc.utf8_trim_whitespace(cells.column(date))).as_py()
    return len(hours) > 1 and days == len(hours) and len(np.unique(hours)) > 1


def _whole_numbers(cells: pa.Table, index: int) -> Int64s | None:
    text = pc.utf8_trim_whitespace(cells.column(index))
    if not len(text) or not pc.all(pc.match_substring_regex(text, "^[0-9]{1,4}$")).as_py():
        return None
    return np.array(text.to_pylist(), np.int64)
