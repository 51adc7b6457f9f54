"""The readings that messages make: added beside running imports, corrected by edits, taken back by /undo.

Nobody waits here for a source's lock: a chat must not wait for an import. A reading whose time is taken goes to the
next free microsecond, also past those of an import that may still be taken out again, and each change of a sensor's
readings changes the count in its row in the same transaction. `Changes` does that last, in the order of the sensors, so
that a row is locked for as short as can be and two writers never wait for each other.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from daybook import audit, sql
from daybook.chat.values import AMOUNT, AddReading, Made, SensorKnown
from daybook.models import MessageReading, Reading, Replacement, Sensor, utc_now
from daybook.sources import find_or_make_sensors, note_sensors

_MICROSECOND = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)
_KEYS_AT_ONCE = 500

_COUNT = (
    sa.update(Sensor)
    .where(Sensor.id == sa.bindparam("sensor"))
    .values(reading_count=Sensor.reading_count + sa.bindparam("change"))
)
_NEW_READING = sa.insert(MessageReading)


class SensorGone(RuntimeError):
    """A sensor was removed, as the last trace of an undone upload, while a message used it. It can be done again."""


class Changes:
    """How many readings each sensor gains or loses in this transaction."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def note(self, sensor_id: int, change: int) -> None:
        self._counts[sensor_id] += change

    def write(self, connection: Connection) -> None:
        """Puts the counts into the sensors' rows; raises SensorGone."""
        for sensor_id, change in sorted(self._counts.items()):
            if not change:
                continue
            if not connection.execute(_COUNT, {"sensor": sensor_id, "change": change}).rowcount:
                raise SensorGone(f"sensor {sensor_id} was removed meanwhile")
        self._counts.clear()


@dataclass(frozen=True)
class _Wanted:
    line: int
    sensor_id: int
    at: datetime
    value: float


def record(
    connection: Connection,
    changes: Changes,
    message_id: int,
    source_id: int,
    readings: Sequence[AddReading],
    known: Sequence[SensorKnown] = (),
    before: Sequence[Any] = (),
) -> None:
    """Adds what a message says. `known`: the source's sensors as far as they were asked for. `before`: what the message
    had made until it was edited (see take_back), whose times are used again."""
    _decide_anew(connection, source_id, readings, known)
    ids = {sensor.name: sensor.id for sensor in known}
    units = {sensor.name: sensor.unit for sensor in known}
    new: dict[str, str] = {}
    kinds: dict[str, str] = {}
    for reading in readings:
        if reading.name not in ids or (reading.unit and not units[reading.name]):
            new[reading.name] = new.get(reading.name) or reading.unit
            kinds.setdefault(reading.name, reading.kind_if_new)
    if new:
        found = find_or_make_sensors(connection, source_id, sorted(new.items()))
        ids |= {one.name: one.id for one in found.values()}
        amounts = [one.id for one in found.values() if one.made and kinds.get(one.name) == AMOUNT]
        if amounts:
            connection.execute(sa.update(Sensor).where(Sensor.id.in_(amounts)).values(kind=AMOUNT))
    kept = {(row.line, row.sensor_id): row.time for row in before}
    wanted, taken = [], set()
    for reading in readings:
        sensor_id = ids.get(reading.name) or ids[reading.name.strip()]
        at = reading.at
        earlier = kept.get((reading.line, sensor_id))
        if earlier is not None and at <= earlier < at + _SECOND:
            at = earlier
        while (sensor_id, at) in taken:
            at += _MICROSECOND
        taken.add((sensor_id, at))
        wanted.append(_Wanted(reading.line, sensor_id, at, reading.value))
    _insert(connection, changes, message_id, wanted)


def _insert(connection: Connection, changes: Changes, message_id: int, wanted: Sequence[_Wanted]) -> None:
    rows = []
    for start in range(0, len(wanted), _KEYS_AT_ONCE):
        some = wanted[start : start + _KEYS_AT_ONCE]
        new = _and_time(sql.insert_new(connection, Reading))
        values = [{"sensor_id": one.sensor_id, "time": one.at, "value": one.value, "upload_id": None} for one in some]
        stored = {(row.sensor_id, row.time) for row in connection.execute(new, values)}
        for one in some:
            at = one.at if (one.sensor_id, one.at) in stored else _next_free(connection, one)
            changes.note(one.sensor_id, 1)
            rows.append(
                {
                    "message_id": message_id,
                    "line": one.line,
                    "sensor_id": one.sensor_id,
                    "time": at,
                    "value": one.value,
                }
            )
    if rows:
        connection.execute(_NEW_READING, rows)


@cache
def _and_time(insert: Any) -> Any:
    """The statement, made once, that answers the whole key."""
    return insert.returning(Reading.time)


def _next_free(connection: Connection, wanted: _Wanted) -> datetime:
    """Stores the reading at the next free microsecond and returns that."""
    at = wanted.at
    new = sql.insert_new(connection, Reading)
    while True:
        # Behind the last of this second: in a chat that is busy, trying each in turn would take long.
        same_second = Reading.sensor_id == wanted.sensor_id, Reading.time >= at, Reading.time < wanted.at + _SECOND
        last = connection.scalar(sa.select(sa.func.max(Reading.time)).where(*same_second))
        at = (last or at) + _MICROSECOND
        values = {"sensor_id": wanted.sensor_id, "time": at, "value": wanted.value, "upload_id": None}
        if connection.execute(new, values).first() is not None:
            return at


def _decide_anew(
    connection: Connection, source_id: int, readings: Sequence[AddReading], known: Sequence[SensorKnown]
) -> None:
    """Sensors of which nothing is left are what the first of these readings says."""
    blank = {sensor.name: sensor for sensor in known if sensor.is_blank}
    for reading in readings:
        sensor = blank.pop(reading.name, None)
        if sensor is not None and (reading.kind_if_new, reading.unit) != (sensor.kind, sensor.unit):
            values = {"kind": reading.kind_if_new, "unit": reading.unit}
            connection.execute(sa.update(Sensor).where(Sensor.id == sensor.id).values(values))
            changes = audit.differences({"kind": sensor.kind, "unit": sensor.unit}, values)
            note_sensors(connection, "change", source_id, [(sensor.id, sensor.name, changes)])


def take_back(connection: Connection, changes: Changes, message_id: int) -> list[Any]:
    """Takes out every reading of that message that still counts, and returns their rows (line, sensor_id, time, value).

    The rows of message_reading stay, with the time of this. The caller writes the changes.
    """
    rows = _counting(connection, message_id)
    for row in rows:
        _remove(connection, changes, row.sensor_id, row.time)
    if rows:
        mine = sa.update(MessageReading).where(MessageReading.id.in_([row.id for row in rows]))
        connection.execute(mine.values(taken_back_at=utc_now()))
    return rows


def forget(connection: Connection, changes: Changes, message_id: int) -> list[Any]:
    """The same for an edited message: what it said until now leaves no rows, since it is as if never said."""
    rows = take_back(connection, changes, message_id)
    connection.execute(sa.delete(MessageReading).where(MessageReading.id.in_([row.id for row in rows])))
    return rows


def restore(connection: Connection, changes: Changes, message_id: int) -> list[Any]:
    """Puts the readings of a message back that take_back took out, and returns their rows, by line."""
    gone = MessageReading.message_id == message_id, MessageReading.taken_back_at.is_not(None)
    rows = connection.execute(sa.select(MessageReading.__table__).where(*gone).with_for_update()).all()
    connection.execute(sa.delete(MessageReading).where(MessageReading.id.in_([row.id for row in rows])))
    rows = sorted(rows, key=lambda row: row.line)
    wanted = [_Wanted(row.line, row.sensor_id, row.time, row.value) for row in rows]
    _insert(connection, changes, message_id, wanted)
    return rows


def move_readings(connection: Connection, from_sensor: int, to_sensor: int) -> None:
    """What messages have recorded for one sensor is another's from now on. Their rows must be locked by the caller."""
    changes = Changes()
    mine = MessageReading.sensor_id == from_sensor
    for row in connection.execute(sa.select(MessageReading.__table__).where(mine).order_by(MessageReading.time)).all():
        moved = {"sensor_id": to_sensor}
        if row.taken_back_at is None and _remove(connection, changes, from_sensor, row.time):
            connection.execute(sa.delete(MessageReading).where(MessageReading.id == row.id))
            _insert(connection, changes, row.message_id, [_Wanted(row.line, to_sensor, row.time, row.value)])
        else:
            connection.execute(sa.update(MessageReading).where(MessageReading.id == row.id).values(moved))
    changes.write(connection)


def counts(connection: Connection, message_id: int) -> bool:
    """Whether that message has made readings that still count."""
    mine = MessageReading.message_id == message_id, MessageReading.taken_back_at.is_(None)
    return connection.scalar(sa.select(MessageReading.id).where(*mine).limit(1)) is not None


def was_taken_back(connection: Connection, message_id: int) -> bool:
    """Whether that message has made readings, and somebody has taken them back."""
    mine = MessageReading.message_id == message_id, MessageReading.taken_back_at.is_not(None)
    return connection.scalar(sa.select(MessageReading.id).where(*mine).limit(1)) is not None


def made_by(connection: Connection, rows: Iterable[Any]) -> tuple[Made, ...]:
    """Rows of take_back in words: which sensor, what, when."""
    found = list(rows)
    wanted = sa.select(Sensor.id, Sensor.name, Sensor.unit, Sensor.kind, Sensor.label)
    ids = {row.sensor_id for row in found}
    sensors = {row.id: row for row in connection.execute(wanted.where(Sensor.id.in_(ids)))} if ids else {}
    return tuple(
        Made(sensor.name, row.value, sensor.unit, sensor.kind, row.time, sensor.label)
        for row in found
        if (sensor := sensors.get(row.sensor_id))
    )


def _counting(connection: Connection, message_id: int) -> list[Any]:
    mine = MessageReading.message_id == message_id, MessageReading.taken_back_at.is_(None)
    query = sa.select(MessageReading.__table__).where(*mine).order_by(MessageReading.line, MessageReading.id)
    return list(connection.execute(query.with_for_update()))


def _remove(connection: Connection, changes: Changes, sensor_id: int, at: datetime) -> bool:
    """Takes that reading out, also where a file has replaced it; whether it stood in the table of readings itself."""
    key = Reading.sensor_id == sensor_id, Reading.time == at
    top: int | None = None
    while True:
        if connection.execute(sa.delete(Reading).where(*key, Reading.upload_id.is_(None))).rowcount:
            changes.note(sensor_id, -1)
            return True
        before, top = top, connection.scalar(sa.select(Reading.upload_id).where(*key))
        # What is on top changes where a file is undone at this moment: then once more.
        if top is None or top == before or _removed_below(connection, top, sensor_id, at):
            return False


def _removed_below(connection: Connection, upload_id: int, sensor_id: int, at: datetime) -> bool:
    """Takes the reading out from under the files that have replaced it, one another's among them, so that none of
    them brings it back when it is undone itself. Whether it was found there."""
    below: int | None = upload_id
    while below is not None:
        own = Replacement.upload_id == below, Replacement.sensor_id == sensor_id, Replacement.time == at
        row = connection.execute(sa.select(Replacement.old_upload_id).where(*own).with_for_update()).first()
        if row is None:
            return False
        if row.old_upload_id is None:
            connection.execute(sa.delete(Replacement).where(*own))
        below = row.old_upload_id
    return True
