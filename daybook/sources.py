"""Sources and sensors by name: found, or made by whoever comes first."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from daybook.models import Sensor, Source

MAX_NAME = 200


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


def find_or_make_source(connection: Connection, name: str) -> int:
    """The id of the source with that name, which is made if it is new. The caller commits."""
    wanted = clean_name(name, "source")
    by_name = sa.select(Source.id).where(Source.name == wanted)
    found = connection.scalar(by_name)
    if found is None:
        connection.execute(_insert_new(connection, Source).values(name=wanted).on_conflict_do_nothing())
        found = connection.execute(by_name).scalar_one()
    return found


def find_or_make_sensors(
    connection: Connection, source_id: int, wanted: Iterable[tuple[str, str]]
) -> dict[str, FoundSensor]:
    """The sensors of the source for these (name, unit) pairs, by name. A unit fills in where none was known before.

    The caller commits.
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
    if new:
        connection.execute(_insert_new(connection, Sensor).on_conflict_do_nothing(), new)
    found = {
        row.name: FoundSensor(row.id, row.name, row.name not in known)
        for row in _sensors_named(connection, source_id, list(units)).values()
    }
    for name, row in known.items():
        if not row.unit and units[name]:
            connection.execute(sa.update(Sensor).where(Sensor.id == row.id).values(unit=units[name]))
    return found


def _insert_new(connection: Connection, table: type[Source] | type[Sensor]):  # type: ignore[no-untyped-def]
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def _sensors_named(connection: Connection, source_id: int, names: list[str]) -> dict[str, Any]:
    """The source's rows (id, name, unit) of these names, by name."""
    found = {}
    for start in range(0, len(names), 500):  # SQLite takes no statement with very many values
        some = Sensor.source_id == source_id, Sensor.name.in_(names[start : start + 500])
        for row in connection.execute(sa.select(Sensor.id, Sensor.name, Sensor.unit).where(*some)):
            found[row.name] = row
    return found
