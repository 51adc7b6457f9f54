"""Sources and sensors by name: found, or made by whoever comes first."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from daybook import audit, sql
from daybook.models import Chat, Sensor, Source

MAX_NAME = 200
MAX_ENTRIES = 200  # of one upload that makes or removes sensors: the rest of them are one entry


class BadName(ValueError):
    """A source or sensor cannot have that name; the message says why."""


@dataclass(frozen=True)
class FoundSensor:
    """A sensor of a source, and whether this call made it."""

    id: int
    name: str
    made: bool


def clean_name(text: str, what: str) -> str:
    """The name as it is kept: without blanks around it. Raises BadName when it is empty, too long or unprintable."""
    name = text.strip()
    if not name:
        raise BadName(f"the {what} has no name")
    if len(name) > MAX_NAME:
        raise BadName(f'the {what} "{name[:40]}…" has {len(name)} characters; at most {MAX_NAME} are kept')
    if not name.isprintable():
        raise BadName(f"the {what} {name[:40]!r} has characters that cannot be shown")
    return name


def lock_chats(connection: Connection, source_ids: Sequence[int]) -> None:
    """Locks the chats that write into these sources. Whoever changes the sources' sensors, and in the end the chats,
    does so before the sensors, as a message does: else the two would wait for each other."""
    theirs = sa.select(Chat.chat_id).where(Chat.source_id.in_(source_ids))
    connection.execute(theirs.order_by(Chat.chat_id).with_for_update())


def find_or_make_source(connection: Connection, name: str) -> int:
    """The id of the source with that name, which is made if it is new. The caller commits."""
    wanted = clean_name(name, "source")
    by_name = sa.select(Source.id).where(Source.name == wanted)
    found = connection.scalar(by_name)
    if found is None:
        made: int | None = connection.scalar(sql.insert_new(connection, Source), {"name": wanted})
        if made is not None:
            audit.note(connection, "create", "source", made, wanted, {"name": [None, wanted]})
            return made
        found = connection.execute(by_name).scalar_one()
    return found


def find_or_make_sensors(
    connection: Connection, source_id: int, wanted: Iterable[tuple[str, str]], entries: int = MAX_ENTRIES
) -> dict[str, FoundSensor]:
    """The sensors of the source for these (name, unit) pairs, by name. A unit fills in where none was known before.

    The caller commits. entries: as `most` of `note_sensors`.
    """
    units = {clean_name(name, "sensor"): unit.strip()[:64] for name, unit in wanted}
    if not units:
        return {}
    rows = [
        {"source_id": source_id, "name": name, "unit": unit, "label": "", "kind": "gauge", "reading_count": 0}
        for name, unit in units.items()
    ]
    known = _sensors_named(connection, source_id, list(units))
    new = [row for row in rows if row["name"] not in known]
    made = set(connection.scalars(sql.insert_new(connection, Sensor), new)) if new else set()
    found = {
        row.name: FoundSensor(row.id, row.name, row.id in made)
        for row in _sensors_named(connection, source_id, list(units)).values()
    }
    filled = {name: row.id for name, row in known.items() if not row.unit and units[name]}
    for name, sensor_id in filled.items():
        connection.execute(sa.update(Sensor).where(Sensor.id == sensor_id).values(unit=units[name]))
    created = [
        (found[name].id, name, {"name": [None, name], "unit": [None, unit]})
        for name, unit in units.items()
        if found[name].made
    ]
    note_sensors(connection, "create", source_id, created, entries)
    changed = [(sensor_id, name, {"unit": ["", units[name]]}) for name, sensor_id in filled.items()]
    note_sensors(connection, "change", source_id, changed, entries)
    return found


def note_sensors(
    connection: Connection,
    action: str,
    source_id: int,
    sensors: Sequence[tuple[int, str, Mapping[str, Any]]],
    most: int = MAX_ENTRIES,
) -> None:
    """Writes what was done with sensors (id, name, changes) of the source into the audit: an entry for each of the
    first `most`, and one of the source that says how many more they were. The caller commits."""
    if not sensors:
        return
    source = connection.scalar(sa.select(Source.name).where(Source.id == source_id)) or ""
    entries = [
        audit.entry(action, "sensor", sensor_id, f"{source}: {name}", changes)
        for sensor_id, name, changes in sensors[:most]
    ]
    more = len(sensors[most:])
    if more:
        counted = [more, 0] if action == "delete" else [0, more]
        entries.append(audit.entry(f"{action} sensors", "source", source_id, source, {"more sensors": counted}))
    audit.write(connection, entries)


def _sensors_named(connection: Connection, source_id: int, names: list[str]) -> dict[str, Any]:
    """The source's rows (id, name, unit) of these names, by name."""
    found = {}
    for start in range(0, len(names), 500):  # SQLite takes no statement with very many values
        some = Sensor.source_id == source_id, Sensor.name.in_(names[start : start + 500])
        for row in connection.execute(sa.select(Sensor.id, Sensor.name, Sensor.unit).where(*some)):
            found[row.name] = row
    return found
