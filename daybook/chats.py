"""The chats that the bot is part of: their rows, the source of each, and groups that become supergroups."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from daybook import audit, sql
from daybook.message_readings import move_readings
from daybook.models import Chat, MessageReading, Sensor, Source, Upload, UploadSensor, utc_now
from daybook.people import plain
from daybook.sources import MAX_NAME, find_or_make_source, note_sensors

KINDS = ("private", "group", "supergroup", "channel")
MAX_TITLE = 255
_CHAT = sa.select(
    Chat.chat_id,
    Chat.kind,
    Chat.title,
    Chat.timezone,
    Chat.source_id,
    Chat.migrated_to,
    Chat.next_send_at,
    Chat.last_undo_at,
).where(Chat.chat_id == sa.bindparam("chat_id"))
_LOCKED_CHAT = _CHAT.with_for_update()


@dataclass(frozen=True)
class KnownChat:
    """A chat as the book knows it. `before` are the ids that it had before it became a supergroup. `sends`: a sender
    will look at it soon. last_undo_at: see Chat."""

    chat_id: int
    kind: str
    title: str
    timezone: str
    source_id: int | None
    before: tuple[int, ...] = ()
    sends: bool = False
    last_undo_at: datetime | None = None

    @property
    def ids(self) -> tuple[int, ...]:
        """Every id under which messages of this chat are kept."""
        return (self.chat_id, *self.before)


def meet(connection: Connection, chat: Mapping[str, Any], lock: bool = False) -> KnownChat:
    """The chat of a message, made when new, with the title that it has now. A group that has become a supergroup is
    that supergroup, also for messages that come late.

    lock: until this transaction ends, no other message of an allowed person here is acted on, and nothing is sent. So
    what the book says now is what the answer to the message before has left.
    """
    row = _row(connection, chat["id"], lock)
    kind = str(chat["type"]) if chat.get("type") in KINDS else "private"
    title = _title(chat)
    if row is None:
        values = {"chat_id": chat["id"], "kind": kind, "title": title}
        connection.execute(sql.insert_new(connection, Chat).values(values))
        row = _row(connection, chat["id"], lock)
        assert row is not None
    elif (row.title, row.kind) != (title, kind):
        connection.execute(sa.update(Chat).where(Chat.chat_id == row.chat_id).values(title=title, kind=kind))
    found = _followed(connection, row, lock)
    return found if row.migrated_to is not None else replace(found, kind=kind, title=title)


def find(connection: Connection, chat_id: int, lock: bool = False) -> KnownChat | None:
    """The chat of that id, or the supergroup that it has become. lock: as for `meet`."""
    row = _row(connection, chat_id, lock)
    return None if row is None else _followed(connection, row, lock)


def _followed(connection: Connection, row: Any, lock: bool = False) -> KnownChat:
    if row.migrated_to is not None:
        row = _row(connection, row.migrated_to, lock) or row
    before: tuple[int, ...] = ()
    if row.kind == "supergroup":
        before = tuple(connection.scalars(sa.select(Chat.chat_id).where(Chat.migrated_to == row.chat_id)))
    about = row.chat_id, row.kind, row.title, row.timezone, row.source_id
    sends = row.next_send_at is not None and row.next_send_at > utc_now()
    return KnownChat(*about, before, sends, row.last_undo_at)


def _title(chat: Mapping[str, Any]) -> str:
    """A group's title; of a private chat the person's name."""
    names = [plain(chat.get(name), MAX_TITLE) for name in ("first_name", "last_name")]
    return plain(chat.get("title"), MAX_TITLE) or " ".join(name for name in names if name)[:MAX_TITLE]


def _row(connection: Connection, chat_id: int, lock: bool = False) -> Any:
    return connection.execute(_LOCKED_CHAT if lock else _CHAT, {"chat_id": chat_id}).first()


def source_of(connection: Connection, chat: KnownChat) -> int:
    """The source that this chat writes into, made at its first reading. It keeps it when the title changes."""
    if chat.source_id is not None:
        return chat.source_id
    name = _printable(chat.title, MAX_NAME)
    if name:
        source_id = find_or_make_source(connection, name)
        # Two chats of one name: the source's row lets one look after the other.
        connection.execute(sa.select(Source.id).where(Source.id == source_id).with_for_update())
        others = sa.select(Chat.chat_id).where(Chat.source_id == source_id, Chat.chat_id.not_in(chat.ids))
        if connection.scalar(others.limit(1)) is None:
            return _keep_source(connection, chat, source_id)
    suffix = f" ({chat.chat_id})"
    own = (_printable(name, MAX_NAME - len(suffix)) or "Chat") + suffix
    return _keep_source(connection, chat, find_or_make_source(connection, own))


def source_name(connection: Connection, source_id: int) -> str:
    """The name of that source."""
    return connection.execute(sa.select(Source.name).where(Source.id == source_id)).scalar_one()


def _keep_source(connection: Connection, chat: KnownChat, source_id: int) -> int:
    mine = sa.update(Chat).where(Chat.chat_id == chat.chat_id, Chat.source_id.is_(None))
    if connection.execute(mine.values(source_id=source_id)).rowcount:
        return source_id
    # Another message of this chat was faster.
    return connection.execute(sa.select(Chat.source_id).where(Chat.chat_id == chat.chat_id)).scalar_one() or source_id


def _printable(text: str, length: int) -> str:
    """The text as the name of a source: without marks that are not shown, such as those that turn its direction."""
    return " ".join("".join(letter for letter in text if letter.isprintable()).split())[:length].strip()


def set_timezone(connection: Connection, chat: KnownChat, timezone: str) -> None:
    """Months and days of this chat are those of that zone from now on."""
    connection.execute(sa.update(Chat).where(Chat.chat_id == chat.chat_id).values(timezone=timezone))
    changes = audit.differences({"timezone": chat.timezone}, {"timezone": timezone})
    if changes:
        audit.note(connection, "change", "chat", chat.chat_id, chat.title or str(chat.chat_id), changes)


def note_undo(connection: Connection, chat: KnownChat, written_at: datetime) -> None:
    """Keeps that somebody has written /undo there at that time."""
    if chat.last_undo_at is None or chat.last_undo_at < written_at:
        mine = sa.update(Chat).where(Chat.chat_id == chat.chat_id)
        connection.execute(mine.values(last_undo_at=written_at))


def migrate(connection: Connection, old_id: int, new_id: int) -> None:
    """The group goes on as a supergroup: its source and its zone go with it. Once is enough; outbox.move does the same
    for what waits to be sent."""
    for chat_id, kind in ((old_id, "group"), (new_id, "supergroup")):
        connection.execute(sql.insert_new(connection, Chat).values(chat_id=chat_id, kind=kind))
    both = sa.select(Chat).where(Chat.chat_id.in_((old_id, new_id))).order_by(Chat.chat_id).with_for_update()
    rows = {row.chat_id: row for row in connection.execute(both)}
    old, new = rows[old_id], rows[new_id]
    if old.migrated_to == new_id or new.migrated_to is not None:
        return
    values: dict[str, Any] = {"kind": "supergroup", "title": new.title or old.title}
    if new.timezone == "UTC":
        values["timezone"] = old.timezone
    undos = [at for at in (old.last_undo_at, new.last_undo_at) if at is not None]
    if undos:
        values["last_undo_at"] = max(undos)
    # Two, where a message of the supergroup came before the one that says what it was: the older one stays.
    sources = sorted({source_id for source_id in (old.source_id, new.source_id) if source_id is not None})
    if sources:
        values["source_id"] = sources[0]
    connection.execute(sa.update(Chat).where(Chat.chat_id == new_id).values(values))
    connection.execute(sa.update(Chat).where(Chat.chat_id == old_id).values(migrated_to=new_id, source_id=None))
    connection.execute(sa.update(Chat).where(Chat.migrated_to == old_id).values(migrated_to=new_id))
    if len(sources) == 2:
        _merge(connection, sources[1], sources[0])


def _merge(connection: Connection, from_id: int, to_id: int) -> None:
    """Moves what messages have recorded in one source into another."""
    for sensor in connection.execute(sa.select(Sensor).where(Sensor.source_id == from_id).order_by(Sensor.id)).all():
        same = Sensor.source_id == to_id, Sensor.name == sensor.name
        there = connection.scalar(sa.select(Sensor.id).where(*same))
        if there is None:
            connection.execute(sa.update(Sensor).where(Sensor.id == sensor.id).values(source_id=to_id))
            moved = {"source": [source_name(connection, from_id), source_name(connection, to_id)]}
            note_sensors(connection, "change", to_id, [(sensor.id, sensor.name, moved)])
            continue
        move_readings(connection, sensor.id, there)
        of_files = sa.exists().where(UploadSensor.sensor_id == Sensor.id)
        recorded = sa.exists().where(MessageReading.sensor_id == Sensor.id)
        empty = Sensor.id == sensor.id, Sensor.reading_count == 0, ~of_files, ~recorded
        if connection.execute(sa.delete(Sensor).where(*empty)).rowcount:
            gone = {"name": [sensor.name, None], "unit": [sensor.unit, None]}
            note_sensors(connection, "delete", from_id, [(sensor.id, sensor.name, gone)])
    kept = sa.exists().where(Sensor.source_id == Source.id)
    told = sa.exists().where(Upload.source_id == Source.id)
    name = connection.scalar(sa.delete(Source).where(Source.id == from_id, ~kept, ~told).returning(Source.name))
    if name is not None:
        audit.note(connection, "delete", "source", from_id, name, {"name": [name, None]})
