"""What the conversation may know of a chat, asked from the book: its sensors, their last values, the sums of months."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from daybook import sql
from daybook.chat import conversation, months
from daybook.chat.moments import zone_of
from daybook.chat.names import same_name
from daybook.chat.values import AMOUNT, Command, Known, Made, MonthSum, Record, Said, SensorKnown
from daybook.chats import KnownChat
from daybook.config import Settings
from daybook.models import Message, Reading, Sensor
from daybook.readings import Reader

HELPED = "helped"  # in the payload of a message that was answered with help
_DAY = timedelta(days=1)
_GROUPS = ("group", "supergroup")
_MOST_SENSORS = 1000
_MOST_ASKED = 40  # ways to read the entries of one message
_FEW = 50  # readings of a sensor that one edited message may have made alone
_SENSORS = (
    sa.select(Sensor.id, Sensor.name, Sensor.unit, Sensor.kind, Sensor.label, Sensor.reading_count)
    .where(Sensor.source_id == sa.bindparam("source_id"))
    .order_by(Sensor.name, Sensor.id)
    .limit(_MOST_SENSORS)
)
_NEED_LAST = ("latest", "sensors", "chart", "export")


def gather(connection: Connection, settings: Settings, chat: KnownChat, now: datetime, said: Said) -> Known:
    """What an answer to this needs to know, as it stands in this transaction."""
    sensors = _sensors(connection, chat.source_id)
    reader = Reader(connection, later=True)
    if isinstance(said, Command):
        # What was written by mistake and taken back is not offered any more.
        sensors = [sensor for sensor in sensors if not sensor.is_blank]
    elif isinstance(said, Record):
        sensors = _with_blanks(connection, sensors, said)
    sensors = _with_last(reader, sensors, _last_wanted(said, sensors))
    wants = conversation.wants(said, now, chat.timezone, sensors)
    sums = _sums(reader, sensors, wants.months, chat.timezone)
    empty = wants.any_in if wants.any_in and not _any_in(reader, sensors, wants.any_in, chat.timezone) else None
    helped = wants.helped_lately and helped_lately(connection, chat, now)
    return Known(now, chat.timezone, tuple(sensors), sums, upload_page(settings), empty, helped)


def after_taking_back(connection: Connection, chat: KnownChat, now: datetime, made: Sequence[Made]) -> Known:
    """What is left of the months out of which these readings have been taken."""
    zone = zone_of(chat.timezone)
    wanted = dict.fromkeys((one.name, months.month_of(one.at, zone)) for one in made if one.kind == AMOUNT)
    sums = _sums(Reader(connection, later=True), _sensors(connection, chat.source_id), tuple(wanted), chat.timezone)
    return Known(now, chat.timezone, sums=sums)


def note_help(connection: Connection, chat: KnownChat, message_id: int) -> None:
    """Keeps it in the row of the message (our id), where the chat is a group, that it was answered with help."""
    if chat.kind not in _GROUPS:
        return
    mine = sa.update(Message).where(Message.id == message_id)
    connection.execute(mine.values(payload={HELPED: True}))


def helped_lately(connection: Connection, chat: KnownChat, now: datetime) -> bool:
    """Whether the chat is a group that was helped within a day: by the times of the messages, in whichever order they
    come."""
    if chat.kind not in _GROUPS:
        return False
    near = Message.chat_id.in_(chat.ids), Message.sent_at > now - _DAY, Message.sent_at < now + _DAY
    helped = Message.direction == "in", Message.payload[HELPED].as_boolean()
    return connection.scalar(sa.select(Message.id).where(*near, *helped).limit(1)) is not None


def upload_page(settings: Settings) -> str:
    """Where files of any size are taken; empty where that is not known."""
    return f"{settings.public_url}/uploads" if settings.public_url else ""


def _sensors(connection: Connection, source_id: int | None) -> list[SensorKnown]:
    if source_id is None:
        return []
    rows = connection.execute(_SENSORS, {"source_id": source_id})
    return [
        SensorKnown(
            row.id, row.name, row.unit, row.kind, label=row.label, is_blank=not (row.reading_count or row.label)
        )
        for row in rows
    ]


def _with_blanks(connection: Connection, sensors: list[SensorKnown], said: Record) -> list[SensorKnown]:
    """With those of which an edit takes out all there is: their rows count readings until its transaction ends."""
    young = [sensor for sensor in sensors if not sensor.label]
    wanted = {
        sensor.id
        for entry in said.readings[:_MOST_ASKED]
        for sensor in same_name(entry.name, young)
        if not sensor.is_blank
        and (entry.number_first != (sensor.kind == AMOUNT) or entry.unit not in ("", sensor.unit))
    }
    if not wanted:
        return sensors
    few = sa.select(Sensor.id).where(Sensor.id.in_(wanted), Sensor.reading_count <= _FEW)
    blank = {
        sensor_id
        for sensor_id in connection.scalars(few).all()
        if connection.scalar(sa.select(Reading.time).where(Reading.sensor_id == sensor_id).limit(1)) is None
    }
    return [replace(sensor, is_blank=True) if sensor.id in blank else sensor for sensor in sensors]


def _any_in(reader: Reader, sensors: Sequence[SensorKnown], month: date, timezone: str) -> bool:
    start, end = months.bounds(month, zone_of(timezone))
    first, last = sql.microseconds(start), sql.microseconds(end) - 1
    late_enough = (sensor for sensor in sensors if sensor.last_time is not None and sensor.last_time >= start)
    return any(reader.span(sensor.id, first, last) for sensor in late_enough)


def _last_wanted(said: Said, sensors: Sequence[SensorKnown]) -> set[int]:
    """The sensors whose last value an answer may name: all for a command, and the gauges that a record is about."""
    if isinstance(said, Command) and said.name in _NEED_LAST:
        return {sensor.id for sensor in sensors}
    if not isinstance(said, Record):
        return set()
    gauges = [sensor for sensor in sensors if sensor.kind != AMOUNT]
    written = {entry.name for entry in said.readings} if gauges else ()
    return {sensor.id for name in written for sensor in same_name(name, gauges)}


def _with_last(reader: Reader, sensors: list[SensorKnown], wanted: set[int]) -> list[SensorKnown]:
    latest = reader.latest(sorted(wanted))
    return [
        replace(sensor, last_time=sql.moment(last.time), last_value=last.value)
        if (last := latest.get(sensor.id))
        else sensor
        for sensor in sensors
    ]


def _sums(
    reader: Reader, sensors: Sequence[SensorKnown], asked: Sequence[tuple[str | None, date]], timezone: str
) -> tuple[MonthSum, ...]:
    wanted: dict[tuple[int, date], SensorKnown] = {}
    for name, start in asked:
        for sensor in sensors:
            if sensor.name == name or (name is None and sensor.kind == AMOUNT):
                wanted[sensor.id, start] = sensor
    found = []
    zone = zone_of(timezone)
    for (sensor_id, start), sensor in wanted.items():
        first, end = (sql.microseconds(edge) for edge in months.bounds(start, zone))
        total, count = reader.total(sensor_id, first, end - 1)
        if count:
            found.append(MonthSum(sensor.name, start, total, count))
    return tuple(found)
