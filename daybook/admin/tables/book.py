"""Sources and sensors."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from daybook import audit, sql
from daybook.admin.described import Column, Deletion, Field, Going, Refused, RowForm, Table, Work, count_where, loaded
from daybook.admin.filters import OneOf, Related, by_value, whole_number
from daybook.admin.searching import Contains
from daybook.admin.tables.uploads import remove_copies
from daybook.models import Chat, MessageReading, Reading, Replacement, Sensor, Source, Upload
from daybook.source_lock import SourceBusy, give_up_after, lock_source
from daybook.sources import lock_chats, note_sensors

KINDS = {"gauge": "Gauge: a mean makes sense", "amount": "Amount: a sum makes sense"}
_BUSY = "A file is being imported into one of these sources right now. Try again when that has ended."
_PATIENCE = 5.0
_SUGGESTED = 500


def _readings(connection: Connection, *conditions: Any) -> int:
    return int(connection.scalar(sa.select(sa.func.sum(Sensor.reading_count)).where(*conditions)) or 0)


@contextmanager
def _locked(engine: Engine, source_ids: Sequence[int]) -> Iterator[Mapping[int, str]]:
    """Nobody imports into these sources meanwhile; yields those into which somebody does."""
    busy: dict[int, str] = {}
    with sql.Locks(engine) as locks:
        for source_id in sorted(source_ids):
            try:
                lock_source(locks, source_id, give_up_after(0 if busy else _PATIENCE, _BUSY))
            except SourceBusy as error:
                busy[source_id] = str(error)
        yield busy


@contextmanager
def _sources_of(engine: Engine, keys: Sequence[int]) -> Iterator[Mapping[int, str]]:
    with sql.only_reading(), engine.connect() as connection:
        wanted = sa.select(Sensor.id, Sensor.source_id).where(Sensor.id.in_(keys))
        sources_of = {row.id: row.source_id for row in connection.execute(wanted)}
    with _locked(engine, list(set(sources_of.values()))) as busy:
        yield {key: busy[source_id] for key, source_id in sources_of.items() if source_id in busy}


def _delete_readings(connection: Connection, sensor_ids: Sequence[int]) -> None:
    sql.allow_large_changes(connection)
    connection.execute(sa.delete(Reading).where(sql.is_one_of(connection, Reading.sensor_id, sensor_ids)))
    connection.execute(sa.delete(Replacement).where(sql.is_one_of(connection, Replacement.sensor_id, sensor_ids)))


# --- sources ------------------------------------------------------------------------------------------------------


def _check_source_name(connection: Connection, name: str, but: int | None) -> None:
    if connection.scalar(sa.select(Source.id).where(Source.name == name, Source.id != (but or 0))) is not None:
        raise Refused({"name": [f"There is a source “{name}” already."]})


def _add_source(work: Work, values: Mapping[str, Any]) -> int:
    _check_source_name(work.connection, values["name"], None)
    return work.connection.execute(sa.insert(Source).values(values).returning(Source.id)).scalar_one()


def _change_source(work: Work, key: int, values: Mapping[str, Any]) -> None:
    _check_source_name(work.connection, values["name"], key)
    work.connection.execute(sa.update(Source).where(Source.id == key).values(values))


def _going_with_source(connection: Connection, keys: Sequence[int]) -> list[Going]:
    return [
        Going("sensors", count_where(connection, Sensor.source_id.in_(keys))),
        Going("readings", _readings(connection, Sensor.source_id.in_(keys))),
        Going("uploads, with their accounts of lines and the copies of their files", _uploads(connection, keys)),
        _said(connection, MessageReading.sensor_id.in_(_sensors_of(keys).order_by(None))),
        Going("chats that record into it", count_where(connection, Chat.source_id.in_(keys)), stays=True),
    ]


def _uploads(connection: Connection, source_ids: Sequence[int]) -> int:
    return count_where(connection, Upload.source_id.in_(source_ids))


def _sensors_of(source_ids: Sequence[int]) -> sa.Select[Any]:
    return sa.select(Sensor.id).where(Sensor.source_id.in_(source_ids)).order_by(Sensor.id)


def _lock_sensors(connection: Connection, source_ids: Sequence[int]) -> None:
    lock_chats(connection, source_ids)
    # A chat counts its readings in the sensor's row: one that is under way has done so before, or finds no sensor.
    connection.execute(_sensors_of(source_ids).with_for_update())


def _delete_source(work: Work, keys: Sequence[int]) -> None:
    connection = work.connection
    _delete_readings(connection, list(connection.scalars(_sensors_of(keys))))
    for key in keys:
        _note_sensors(connection, key)
    wanted = sa.select(Upload.id, Upload.filename).where(Upload.source_id.in_(keys)).order_by(Upload.id)
    names = {row.id: row.filename for row in connection.execute(wanted)}
    uploads = list(names)
    audit.write(connection, [audit.entry("delete", "upload", key, name, {}) for key, name in names.items()])
    connection.execute(sa.delete(Upload).where(sql.is_one_of(connection, Upload.id, uploads)))
    connection.execute(sa.delete(Sensor).where(Sensor.source_id.in_(keys)))
    connection.execute(sa.delete(Source).where(Source.id.in_(keys)))
    remove_copies(work, uploads)


def _note_sensors(connection: Connection, source_id: int) -> None:
    """Writes down what this source's sensors were, before they go with it."""
    wanted = sa.select(Sensor.id, Sensor.name, Sensor.label, Sensor.unit, Sensor.kind)
    rows = connection.execute(wanted.where(Sensor.source_id == source_id).order_by(Sensor.id)).mappings()
    gone = [(row["id"], row["name"], audit.differences({**row, "id": None}, {})) for row in rows]
    note_sensors(connection, "delete", source_id, gone)


_SENSORS = (
    sa.select(sa.func.count()).where(Sensor.source_id == Source.id).correlate(Source).scalar_subquery().label("sensors")
)
_READINGS = sa.func.coalesce(
    sa.select(sa.func.sum(Sensor.reading_count))
    .where(Sensor.source_id == Source.id)
    .correlate(Source)
    .scalar_subquery(),
    0,
)

SOURCES = Table(
    slug="sources",
    one="source",
    many="Sources",
    object_type="source",
    about="Where readings come from: a mast, a meter, a chat.",
    key=Source.__table__.c.id,
    title=Source.name,
    rows=Source.__table__,
    columns=(
        Column("name", "Name", Source.name, sort=True),
        Column("sensors", "Sensors", _SENSORS, "number"),
        Column("readings", "Readings", _READINGS, "number"),
    ),
    order="name",
    search=(Contains(Source.name),),
    search_hint="Name",
    form=RowForm(
        (Field("name", "Name", hint="Files and programs name it; under another name they would make a new source."),),
        loaded(Source.id, Source.name),
        _add_source,
        _change_source,
    ),
    deletion=Deletion(_delete_source, _going_with_source, around=_locked, lock=_lock_sensors, batch=1),
    empty="No sources yet. The first upload makes one.",
    panel="admin/panels/source.html",
)


# --- sensors ------------------------------------------------------------------------------------------------------


def _check_sensor_name(connection: Connection, source_id: int, name: str, but: int | None) -> None:
    same = Sensor.source_id == source_id, Sensor.name == name, Sensor.id != (but or 0)
    if connection.scalar(sa.select(Sensor.id).where(*same)) is not None:
        raise Refused({"name": [f"This source has a sensor “{name}” already."]})


def _source_names(connection: Connection) -> Mapping[str, str]:
    """Names to choose from while one is typed."""
    names = connection.scalars(sa.select(Source.name).order_by(Source.name).limit(_SUGGESTED))
    return {name: name for name in names}


def _add_sensor(work: Work, values: Mapping[str, Any]) -> int:
    name = values["source"]
    source_id = work.connection.scalar(sa.select(Source.id).where(Source.name == name))
    if source_id is None:
        raise Refused({"source": [f"There is no source “{name}”; write one of the names in the list of sources."]})
    _check_sensor_name(work.connection, source_id, values["name"], None)
    row = {key: value for key, value in values.items() if key != "source"} | {"source_id": source_id}
    return work.connection.execute(sa.insert(Sensor).values(row).returning(Sensor.id)).scalar_one()


def _change_sensor(work: Work, key: int, values: Mapping[str, Any]) -> None:
    source_id = work.connection.execute(sa.select(Sensor.source_id).where(Sensor.id == key)).scalar_one()
    _check_sensor_name(work.connection, source_id, values["name"], key)
    work.connection.execute(sa.update(Sensor).where(Sensor.id == key).values(values))


def _going_with_sensor(connection: Connection, keys: Sequence[int]) -> list[Going]:
    return [
        Going("readings", _readings(connection, Sensor.id.in_(keys))),
        _said(connection, MessageReading.sensor_id.in_(keys)),
    ]


def _said(connection: Connection, *conditions: Any) -> Going:
    said = sa.select(sa.func.count(sa.distinct(MessageReading.message_id))).where(*conditions)
    return Going("messages that recorded some of them", connection.scalar(said) or 0, stays=True)


def _delete_sensor(work: Work, keys: Sequence[int]) -> None:
    _delete_readings(work.connection, keys)
    work.connection.execute(sa.delete(Sensor).where(Sensor.id.in_(keys)))


SENSORS = Table(
    slug="sensors",
    one="sensor",
    many="Sensors",
    object_type="sensor",
    about="The series of the book. A sensor's page shows its chart.",
    key=Sensor.__table__.c.id,
    title=Source.name + ": " + Sensor.name,
    rows=sa.join(Sensor, Source, Source.id == Sensor.source_id),
    joined=True,
    columns=(
        Column("name", "Name", Sensor.name, sort=True),
        Column("label", "Label", Sensor.label),
        Column("source", "Source", Source.name, sort=True, link="sources", link_key=Source.id),
        Column("unit", "Unit", Sensor.unit),
        Column("kind", "Kind", Sensor.kind),
        Column("readings", "Readings", Sensor.reading_count, "number", sort=True),
    ),
    order="source",
    search=(Contains(Sensor.name), Contains(Sensor.label), Contains(Source.name)),
    search_hint="Name, label or source",
    filters=(
        by_value("kind", "Kind", Sensor.kind, {"gauge": "Gauge", "amount": "Amount"}),
        OneOf(
            "filled",
            "Readings",
            {"yes": ("Has readings", Sensor.reading_count > 0), "no": ("Has none", Sensor.reading_count == 0)},
        ),
        Related("of", "Source", Sensor.source_id, Source.id, Source.name, whole_number),
    ),
    form=RowForm(
        (
            Field("source", "Source", when="add", options=_source_names, hint="The name of a source that is there."),
            Field(
                "name", "Name", hint="As files and messages name it; under another name they would make a new sensor."
            ),
            Field("label", "Label", required=False, hint="What people call it, beside its name."),
            Field("unit", "Unit", required=False, longest=64),
            Field("kind", "Kind", "choice", options=KINDS, default="gauge"),
        ),
        loaded(Sensor.id, Sensor.name, Sensor.label, Sensor.unit, Sensor.kind),
        _add_sensor,
        _change_sensor,
    ),
    deletion=Deletion(_delete_sensor, _going_with_sensor, around=_sources_of, batch=1),
    empty="No sensors yet. The first upload makes them.",
    panel="admin/panels/sensor.html",
)
