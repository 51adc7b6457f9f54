"""Readings that a program posts as JSON: checked as a whole, then added all or none."""

import json
import math
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from daybook import audit, sql
from daybook.config import Settings
from daybook.models import Reading, Sensor
from daybook.removal import clear_leftovers
from daybook.source_lock import give_up_after, take_source
from daybook.sources import BadName, clean_name, find_or_make_sensors
from daybook.times import TimeError, read_moment, zone_named

MAX_READINGS = 10_000
MAX_BYTES = 1024 * 1024
MAX_UNIT = 64

_FIELDS = ("source", "readings", "timezone")
_READING_FIELDS = ("sensor", "time", "value", "unit")

# What was posted per (sensor name, microseconds since 1970).
Values: TypeAlias = dict[tuple[str, int], float]


class PostError(ValueError):
    """The JSON is not what can be added; the message names the place, what stands there and what to write."""


@dataclass(frozen=True)
class Posted:
    """What a request asks to add. `repeated` counts readings with a sensor and time that an earlier one had."""

    source: str
    units: dict[str, str]
    values: Values
    repeated: int


@dataclass(frozen=True)
class AddedSensor:
    """A sensor that readings were posted for, and how many were new."""

    id: int
    name: str
    unit: str
    added: int


@dataclass(frozen=True)
class Added:
    """What became of the posted readings."""

    source: str
    added: int
    duplicates: int
    sensors: list[AddedSensor]


def read_posted(body: bytes) -> Posted:
    """Checks the body of a request, in full; raises PostError at the first thing that is wrong."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:  # not UTF-8 is a ValueError too
        raise PostError(f"the body is not JSON: {error}") from None
    _check_fields(document, _FIELDS, "the body")
    source = _text(document, "source", "source")
    try:
        source = clean_name(source, "source")
        zone = zone_named(_text(document, "timezone", "timezone")) if "timezone" in document else UTC
    except BadName as error:
        raise PostError(f"source: {error}") from None
    except TimeError as error:
        raise PostError(f"timezone {error}") from None
    readings = document.get("readings")
    if not isinstance(readings, list) or not readings:
        raise PostError('readings is not a list of readings; write [{"sensor": …, "time": …, "value": …}]')
    if len(readings) > MAX_READINGS:
        raise PostError(f"readings has {len(readings)} entries; post at most {MAX_READINGS} at once, or upload a file")
    units: dict[str, str] = {}
    values: Values = {}
    for index, reading in enumerate(readings):
        name, at, value = _reading(reading, f"readings[{index}]", zone)
        unit = _text(reading, "unit", f"readings[{index}].unit").strip() if "unit" in reading else ""
        if len(unit) > MAX_UNIT or not unit.isprintable():
            raise PostError(f"readings[{index}].unit: {unit[:40]!r} is not a unit; write at most {MAX_UNIT} characters")
        units[name] = units.get(name) or unit
        values.setdefault((name, at), value)
    return Posted(source, units, values, len(readings) - len(values))


def add(engine: Engine, settings: Settings, posted: Posted, patience: float = 5.0) -> Added:
    """Adds what is new in one transaction, and makes the source and the sensors where they are not there yet.

    A reading with a sensor and time that the book has is a duplicate and stays as it was. Waits up to `patience`
    seconds for an import into the same source, then raises SourceBusy.
    """
    busy = f'an import is writing to source "{posted.source}"; nothing was added, try later'
    waited = give_up_after(patience, busy)
    with sql.Locks(engine) as locks:
        source_id = take_source(engine, locks, posted.source, waited)
        clear_leftovers(engine, settings, locks, source_id, waited)
        return sql.again_after_deadlock(lambda: _add(engine, source_id, posted))


def _add(engine: Engine, source_id: int, posted: Posted) -> Added:
    with engine.begin() as connection:
        found = find_or_make_sensors(connection, source_id, posted.units.items())
        ids = {name: sensor.id for name, sensor in found.items()}
        # In order of the key, as every writer does, so that two of them never wait for each other.
        keys = sorted((ids[name], at, value) for (name, at), value in posted.values.items())
        rows = [{"sensor_id": key, "time": sql.moment(at), "value": number} for key, at, number in keys]
        added = Counter(connection.scalars(sql.insert_new(connection, Reading), rows))
        for sensor_id, count in added.items():
            more = Sensor.reading_count + count
            connection.execute(sa.update(Sensor).where(Sensor.id == sensor_id).values(reading_count=more))
        if added:
            audit.note(connection, "record", "source", source_id, posted.source, {"readings": [None, added.total()]})
        units = _units(connection, source_id)
    sensors = [AddedSensor(ids[name], name, units[ids[name]], added[ids[name]]) for name in posted.units]
    total = added.total()
    return Added(posted.source, total, len(posted.values) - total + posted.repeated, sensors)


def _units(connection: Connection, source_id: int) -> dict[int, str]:
    rows = connection.execute(sa.select(Sensor.id, Sensor.unit).where(Sensor.source_id == source_id))
    return {row.id: row.unit for row in rows}


def _reading(reading: Any, place: str, zone: tzinfo) -> tuple[str, int, float]:
    _check_fields(reading, _READING_FIELDS, place)
    try:
        name = clean_name(_text(reading, "sensor", f"{place}.sensor"), "sensor")
    except BadName as error:
        raise PostError(f"{place}.sensor: {error}") from None
    try:
        at = read_moment(_text(reading, "time", f"{place}.time"), zone)
    except TimeError as error:
        raise PostError(f"{place}.time: {error}") from None
    return name, at, _number(reading, place)


def _number(reading: dict[str, Any], place: str) -> float:
    value = reading.get("value")
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise PostError(f"{place}.value: {_shown(value)} is not a finite number; write one such as 21.4, without quotes")


def _check_fields(value: Any, fields: tuple[str, ...], place: str) -> None:
    if not isinstance(value, dict):
        raise PostError(f"{place}: {_shown(value)} is not an object; write one with the fields {', '.join(fields)}")
    for name in value:
        if name not in fields:
            raise PostError(f"{place}: {_shown(name)} is not a field; the fields are {', '.join(fields)}")


def _text(value: dict[str, Any], field: str, place: str) -> str:
    text = value.get(field)
    if isinstance(text, str):
        return text
    found = f"{_shown(text)} is not text" if field in value else "is missing"
    raise PostError(f'{place}: {found}; write "{field}": "…"')


def _shown(value: Any) -> str:
    """The value as JSON, cut short; also what no answer could carry, such as half a surrogate pair, as an escape."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
