"""Messages as a conversation: with one person, around one message, and one text for everybody."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from daybook import audit, outbox, sql
from daybook.admin.described import Refused, Work
from daybook.admin.jobs import TASKS, Task, store
from daybook.models import Account, Chat, Job, Message, MessageReading, Sensor, Source, TelegramUpdate, TelegramUser

PAGE = 50
# What a message may be instead of text (Bot API, Message). An animation is a document as well: it comes first.
_KINDS = {
    "photo": "a photo",
    "animation": "an animation",
    "document": "a document",
    "voice": "a voice message",
    "audio": "an audio file",
    "video": "a video",
    "video_note": "a video message",
    "sticker": "a sticker",
    "location": "a place",
    "contact": "a contact",
    "poll": "a poll",
    "dice": "a die",
}
_SENT_AS = {"sendPhoto": "a picture", "sendDocument": "a file"}
_RECENT = 20
_BURST = timedelta(minutes=1)
MAX_TEXT = 4096
TITLE = "Message to everybody"


@dataclass(frozen=True)
class Said:
    """One message of a conversation, as it reads now. what: "a photo" and the like; "no text" where it is just text."""

    id: int
    direction: str
    text: str
    what: str
    sent_at: datetime
    status: str
    error: str | None
    edited: bool
    written_by: str | None


@dataclass(frozen=True)
class Talk:
    """A part of a conversation, oldest first. earlier: the message before which the part before it lies."""

    messages: list[Said]
    earlier: int | None
    waiting: bool


def with_user(connection: Connection, user_id: int, before: int | None = None) -> Talk:
    """The private chat with this person, which has their id; the last part of it, or that before a message."""
    query = sa.select(Message.__table__).where(Message.chat_id == user_id, Message.method != "editMessageText")
    if before is not None:
        at = sa.select(Message.sent_at, Message.id).where(Message.id == max(min(before, 2**62), 0))
        row = connection.execute(at).first()
        if row is not None:
            here = sa.tuple_(sa.literal(row.sent_at, Message.sent_at.type), sa.literal(row.id, sa.BigInteger))
            query = query.where(sa.tuple_(Message.sent_at, Message.id) < here)
    rows = list(connection.execute(query.order_by(Message.sent_at.desc(), Message.id.desc()).limit(PAGE + 1)))
    shown = rows[:PAGE][::-1]
    edits = _edits(connection, user_id, shown)
    kinds = _kinds(connection, [row for row in shown if row.direction == "in" and not row.text])
    said = [
        Said(
            row.id,
            row.direction,
            edits.get(row.id, row.text),
            kinds.get(row.id) or _SENT_AS.get(row.method, "no text"),
            row.sent_at,
            row.status,
            row.error,
            row.edited_at is not None or row.id in edits,
            row.written_by,
        )
        for row in shown
    ]
    return Talk(
        _answers_behind(said, {row.id: row.reply_to_id for row in shown if row.direction == "out"}),
        shown[0].id if len(rows) > PAGE else None,
        any(row.direction == "out" and row.status in ("queued", "sending") for row in shown),
    )


def _answers_behind(said: list[Said], answered: Mapping[int, int | None]) -> list[Said]:
    """The same, with each answer right behind what it answers where both lie within a minute: of three messages in a
    burst all have come before the first is answered."""
    by_id, behind = {one.id: one for one in said}, dict[int, list[Said]]()
    for one in said:
        about = by_id.get(answered.get(one.id) or 0)
        if about is not None and timedelta() <= one.sent_at - about.sent_at <= _BURST and about.direction == "in":
            behind.setdefault(about.id, []).append(one)
    moved = {one.id for answers in behind.values() for one in answers}
    return [each for one in said if one.id not in moved for each in (one, *behind.get(one.id, ()))]


def _edits(connection: Connection, chat_id: int, shown: Sequence[Any]) -> dict[int, str]:
    """What messages of the bot say since it changed them."""
    ids = [row.id for row in shown if row.direction == "out"]
    if not ids:
        return {}
    query = sa.select(Message.reply_to_id, Message.text).where(
        Message.chat_id == chat_id,
        Message.sent_at >= shown[0].sent_at,
        Message.method == "editMessageText",
        Message.status == "sent",
        Message.reply_to_id.in_(ids),
    )
    return {row.reply_to_id: row.text for row in connection.execute(query.order_by(Message.id))}


def _kinds(connection: Connection, rows: Sequence[Any]) -> dict[int, str]:
    """What messages without text are, as far as their updates tell."""
    wanted = TelegramUpdate.update_id.in_([row.update_id for row in rows if row.update_id is not None])
    query = sa.select(TelegramUpdate.update_id, TelegramUpdate.payload).where(wanted)
    payloads = {row.update_id: row.payload for row in connection.execute(query)} if rows else {}
    return {row.id: _kind(payloads.get(row.update_id)) for row in rows}


def _kind(payload: Any) -> str:
    message = (payload.get("message") or payload.get("edited_message")) if isinstance(payload, dict) else None
    known = (words for name, words in _KINDS.items() if isinstance(message, dict) and name in message)
    return next(known, "")


def can_be_answered(connection: Connection, user_id: int) -> bool:
    """Whether they have ever written to the bot: before that, no bot may write to them."""
    return connection.scalar(sa.select(Chat.chat_id).where(Chat.chat_id == user_id)) is not None


def answer(work: Work, user_id: int, name: str, text: str) -> int:
    """Queues a message to this person, whose name the audit keeps; returns its id. Raises Refused."""
    text = checked(text)
    if not can_be_answered(work.connection, user_id):
        raise Refused({"text": ["This person has not written to the bot yet; before that, it may not write to them."]})
    message_id = outbox.queue(work.connection, user_id, text, written_by=audit.current().name)
    audit.note(work.connection, "write to", "bot user", user_id, name, {"text": [None, text]})
    return message_id


def checked(text: str) -> str:
    """The text as it can be sent; raises Refused."""
    text = text.replace("\r\n", "\n").strip()
    if not text:
        raise Refused({"text": ["Write something first."]})
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise Refused({"text": ["The text holds a character that cannot be sent; type it again by hand."]})
    # Telegram counts UTF-16 code units (Bot API, MessageEntity).
    length = len(text.encode("utf-16-le")) // 2
    if length > MAX_TEXT:
        raise Refused({"text": [f"The text has {length:,} characters; Telegram takes at most {MAX_TEXT:,}."]})
    return text


def raw_update(connection: Connection, update_id: int | None) -> Any:
    """The update that brought a message, as it came."""
    if update_id is None:
        return None
    return connection.scalar(sa.select(TelegramUpdate.payload).where(TelegramUpdate.update_id == update_id))


def readings_of(connection: Connection, message_id: int) -> list[Any]:
    """The readings that a message made."""
    columns = (
        MessageReading.sensor_id,
        MessageReading.time,
        MessageReading.value,
        MessageReading.taken_back_at,
        Sensor.name.label("sensor"),
        Sensor.unit,
        Source.name.label("source"),
    )
    query = sa.select(*columns).join(Sensor, Sensor.id == MessageReading.sensor_id)
    query = query.join(Source, Source.id == Sensor.source_id).where(MessageReading.message_id == message_id)
    return list(connection.execute(query.order_by(MessageReading.line, MessageReading.id)))


def related_messages(connection: Connection, message_id: int) -> list[Any]:
    """The message that this one answers, and those that answer it, within the chat."""
    mine = connection.execute(
        sa.select(Message.chat_id, Message.reply_to_id, Message.sent_at).where(Message.id == message_id)
    ).first()
    if mine is None:
        return []
    near = Message.chat_id == mine.chat_id, Message.sent_at >= mine.sent_at
    answers = sa.select(Message.__table__).where(*near).order_by(Message.sent_at, Message.id).limit(200)
    found = [row for row in connection.execute(answers) if row.reply_to_id == message_id]
    if mine.reply_to_id is not None:
        question = sa.select(Message.__table__).where(Message.id == mine.reply_to_id)
        found = list(connection.execute(question)) + found
    return found


def messages_of_update(connection: Connection, update_id: int) -> list[Any]:
    """The messages that an update brought."""
    query = sa.select(Message.__table__).where(Message.update_id == update_id)
    return list(connection.execute(query.order_by(Message.id)))


# --- to everybody -------------------------------------------------------------------------------------------------


def _reachable(after: int | None = None) -> sa.Select[Any]:
    chat = sa.exists().where(Chat.chat_id == TelegramUser.user_id)
    query = sa.select(TelegramUser.user_id).where(TelegramUser.status == "allowed", chat)
    return query if after is None else query.where(TelegramUser.user_id > after)


class OthersByNow(Exception):
    """A broadcast would reach other people than were shown; nothing was begun."""


@dataclass(frozen=True)
class Audience:
    """Whom a broadcast reaches: those who are allowed and have written to the bot."""

    user_ids: list[int]

    @property
    def mark(self) -> str:
        """Sixteen letters that differ when it reaches others."""
        return hashlib.sha256(json.dumps(self.user_ids).encode()).hexdigest()[:16]


def audience(connection: Connection) -> Audience:
    """Whom a broadcast reaches now."""
    return Audience(sorted(connection.scalars(_reachable())))


def allowed(connection: Connection) -> int:
    """How many people are allowed."""
    return connection.scalar(sa.select(sa.func.count()).where(TelegramUser.status == "allowed")) or 0


def deaf(connection: Connection) -> int:
    """How many of those whom a broadcast reaches have blocked the bot, as the last message in their chat tells."""
    last = sa.select(Message.status).where(Message.chat_id == TelegramUser.user_id).correlate(TelegramUser)
    last = last.order_by(Message.sent_at.desc(), Message.id.desc()).limit(1)
    gone = sa.select(Message.chat_id).where(Message.status == "gone")  # first those few, by the index
    query = _reachable().where(TelegramUser.user_id.in_(gone), last.scalar_subquery() == "gone")
    return connection.scalar(sa.select(sa.func.count()).select_from(query.subquery())) or 0


def broadcast(connection: Connection, account_id: int, text: str, once: str, shown: str) -> tuple[int, bool]:
    """Stores the job that sends the text to everybody; its id, and whether it is new. Raises OthersByNow.

    once: a word of the page on which it was confirmed. A second click there, or one after going back, is the same job.
    shown: the mark of the audience that it has shown. Who is allowed from now on does not get it.
    """
    # On PostgreSQL two clicks at the same moment come one after the other here.
    connection.execute(sa.select(Account.id).where(Account.id == account_id).with_for_update(key_share=True))
    mine = sa.select(Job.id, Job.parameters).where(Job.task == "broadcast", Job.account_id == account_id)
    for row in connection.execute(mine.order_by(Job.id.desc()).limit(_RECENT)):
        if once and row.parameters.get("once") == once:
            return row.id, False
    reached = audience(connection)
    if reached.mark != shown or not reached.user_ids:
        raise OthersByNow
    job_id = store(connection, account_id, TITLE, "broadcast", {"text": text, "once": once, "to": reached.user_ids})
    audit.note(connection, "broadcast", "job", job_id, TITLE, {"text": [None, text]})
    return job_id, True


def _count(connection: Connection, parameters: Mapping[str, Any]) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(_left(connection, parameters).subquery())) or 0


def _keys(connection: Connection, parameters: Mapping[str, Any], after: Any, limit: int) -> list[Any]:
    left = _left(connection, parameters, after)
    return list(connection.scalars(left.order_by(TelegramUser.user_id).limit(limit)))


def _left(connection: Connection, parameters: Mapping[str, Any], after: int | None = None) -> sa.Select[Any]:
    """Those of the people it was meant for who may still get it."""
    return _reachable(after).where(sql.is_one_of(connection, TelegramUser.user_id, parameters["to"]))


def _work(work: Work, parameters: Mapping[str, Any], keys: Sequence[Any]) -> int:
    for user_id in keys:
        outbox.queue(work.connection, user_id, parameters["text"], written_by=audit.current().name)
    return len(keys)


TASKS["broadcast"] = Task(_count, _keys, _work, batch=lambda _parameters: 20)
