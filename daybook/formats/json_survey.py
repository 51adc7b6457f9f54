"""Where the readings of a JSON file are: found in its first part, which may end anywhere."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from daybook.formats.json_paths import ANY_KEY, ELEMENTS, MAX_STEPS, Key, Path
from daybook.formats.layout import FormatError
from daybook.formats.records import is_reading
from daybook.formats.zones import zone

BLANKS = " \t\n\r"
_SPACE = re.compile(r"[ \t\n\r]*")
_LOOKED_AT = 200  # elements of an array that are looked at
_NAMES_KEYS = ("columns", "fields", "names", "headers")
_LEAST_KEYS = 2  # of an object whose values are all arrays of readings, to be taken as one array per sensor

# Numbers stay as the file writes them, so that not a digit is lost.
DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=str, strict=False)


@dataclass
class Candidate:
    """An array of records: where it is, and what the first of them are. columns: their names, of records that are
    arrays; outers: what stands around each array that this path leads to."""

    path: Path
    records: list[Any] = field(default_factory=list)
    columns: list[str] | None = None
    outers: list[dict[str, Any]] = field(default_factory=list)
    readings: int = 0


@dataclass
class Columnar:
    """An object that holds one array per column, all of the same length, and what stands beside it: the units of
    columns, and the zone of its times."""

    path: Path
    units: dict[str, str]
    readings: int
    timezone: str = ""


def parse_prefix(text: str, at: int = 0) -> tuple[Any, int | None]:
    """What the text holds from there on, as far as it goes, and where that ended: None where it is not complete."""
    try:
        value, end = DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        return _parse_part(text, at, 0), None
    return value, end


def _parse_part(text: str, at: int, depth: int) -> Any:
    """A value that is cut off or damaged somewhere: its members up to there."""
    opener = text[at : at + 1]
    if opener not in ("{", "[") or depth > MAX_STEPS:
        return None
    members: list[tuple[str, Any]] = []
    at = _skip(text, at + 1)
    whole = True
    while whole and at < len(text) and text[at] not in "]}":
        key = ""
        if opener == "{":
            try:
                key, end = DECODER.raw_decode(text, at)
            except (ValueError, RecursionError):
                break
            at = _skip(text, end)
            if not isinstance(key, str) or text[at : at + 1] != ":":
                break
            at = _skip(text, at + 1)
        try:
            value, at = DECODER.raw_decode(text, at)
            at = _skip(text, at)
        except (ValueError, RecursionError):
            value, whole = _parse_part(text, at, depth + 1), False
            if value is None:
                break
        members.append((key, value))
        if text[at : at + 1] != ",":
            break
        at = _skip(text, at + 1)
    return dict(members) if opener == "{" else [value for _, value in members]


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def flat(record: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The members of an object and, with dotted names, of the objects in it."""
    for key, value in record.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def cell_text(value: Any) -> str:
    """A value as a cell: null is empty, true and false are words."""
    if isinstance(value, str):
        return value
    return "" if value is None else "true" if value is True else "false" if value is False else ""


def holds_reading(record: Any, columns: list[str] | None = None) -> bool:
    """Whether an object or array holds a time and a number."""
    if isinstance(record, dict):
        pairs = [(key, cell_text(value)) for key, value in flat(record) if not isinstance(value, list)]
        return is_reading([cell for _, cell in pairs], [key for key, _ in pairs])
    if isinstance(record, list):
        cells = [cell_text(value) for value in record]
        return is_reading(cells, columns if columns and len(columns) == len(cells) else None)
    return False


def candidates(root: Any) -> list[Candidate]:
    """The arrays of records in a document, those with the most readings first."""
    found: dict[Path, Candidate] = {}
    _look(root, (), {}, None, found)
    for candidate in found.values():
        candidate.readings = sum(holds_reading(record, candidate.columns) for record in candidate.records[:_LOOKED_AT])
    return sorted(found.values(), key=lambda one: -one.readings)


def _look(
    value: Any, path: Path, outer: dict[str, Any], columns: list[str] | None, found: dict[Path, Candidate]
) -> None:
    if len(path) >= MAX_STEPS:
        return
    if isinstance(value, dict):
        names = columns_of(value)
        repeats = ELEMENTS in path or ANY_KEY in path
        generic = _arrays_of_readings(value)
        for key, member in value.items():
            if isinstance(member, dict | list):
                step, around = (ANY_KEY, outer | {"sensor": key}) if key in generic else (Key(key), outer)
                _look(member, (*path, step), around, names, found)
            if repeats and not isinstance(member, list):  # what comes before the records can be told with each of them
                outer = outer | scalars_of({key: member})
    elif isinstance(value, list):
        records = [element for element in value if isinstance(element, dict | list)]
        if records:
            candidate = found.setdefault(path, Candidate(path, [], columns))
            candidate.outers.append(outer)
            candidate.records += records
        for element in records:
            _look(element, (*path, ELEMENTS), outer, None, found)


def _arrays_of_readings(value: dict[str, Any]) -> set[str]:
    """The keys of an object that has the same kind of records under several: they name sensors."""
    kinds: dict[frozenset[str], list[str]] = {}
    for key, member in value.items():
        if isinstance(member, list) and member and isinstance(member[0], dict) and holds_reading(member[0]):
            kinds.setdefault(frozenset(member[0]), []).append(key)
    return {key for keys in kinds.values() if len(keys) >= _LEAST_KEYS for key in keys}


def columns_of(value: dict[str, Any]) -> list[str] | None:
    """The names of columns that an object states beside its array of rows."""
    for key in _NAMES_KEYS:
        names = value.get(key)
        if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
            return names
    return None


def scalars_of(value: dict[str, Any]) -> dict[str, Any]:
    """The texts and numbers of an object, with those of the objects in it."""
    return {key: member for key, member in flat(value) if not isinstance(member, list)}


def columnar(root: Any, path: Path = ()) -> Columnar | None:
    """The object that holds one array of times and one or more of numbers; of several, the one with the most rows.

    Where the first part of the file ends within the times, they are alone in it, and that is enough.
    """
    if not isinstance(root, dict) or len(path) >= MAX_STEPS:
        return None
    found = [Columnar(path, {}, _rows_of_columns(root))]
    for key, value in root.items():
        inner = columnar(value, (*path, Key(key)))
        if inner:
            if len(inner.path) == len(path) + 1:
                inner.units = _units_beside(root, key)
                inner.timezone = _zone_beside(root)
            found.append(inner)
    best = max(found, key=lambda one: one.readings)
    return best if best.readings else None


def _rows_of_columns(value: dict[str, Any]) -> int:
    names = [key for key, member in value.items() if isinstance(member, list) and _is_column(member)]
    columns = [[cell_text(cell) for cell in value[name][:_LOOKED_AT]] for name in names]
    if len(columns) == 1:
        return sum(is_reading([cell, "0"], [names[0], ""]) for cell in columns[0])
    return sum(is_reading(row, names) for row in zip(*columns, strict=False))


def _is_column(value: list[Any]) -> bool:
    return bool(value) and not any(isinstance(cell, dict | list) for cell in value[:_LOOKED_AT])


def _zone_beside(root: dict[str, Any]) -> str:
    """The zone that a key beside the columns names, as Open-Meteo does; empty where there is none."""
    name = root.get("timezone")
    try:
        zone(name if isinstance(name, str) else "")
    except FormatError:
        return ""
    return str(name)


def _units_beside(root: dict[str, Any], key: str) -> dict[str, str]:
    units = root.get(f"{key}_units") or root.get(f"{key}Units") or {}
    return {name: unit for name, unit in units.items() if isinstance(unit, str)} if isinstance(units, dict) else {}
