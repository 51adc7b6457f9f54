"""Answers to what an allowed person says: what is known from the book, what the conversation makes of it, and its
effects and replies back into the book and the outbox. All within the transaction of the update."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from daybook import (
    attachments,
    bot_name,
    chat_audit,
    chats,
    known,
    message_readings,
    outbox,
    sensor_settings,
    undo_order,
)
from daybook.chat import conversation, grammar, replies
from daybook.chat.values import (
    AMOUNT,
    AddReading,
    Command,
    Known,
    MakeAmount,
    NotForUs,
    Nothing,
    Record,
    Reply,
    Said,
    SetTimezone,
    TakeBack,
    Undo,
)
from daybook.chats import KnownChat
from daybook.config import Settings
from daybook.message_readings import Changes
from daybook.models import Message, TelegramUser
from daybook.people import Person
from daybook.sensor_settings import SensorSettings

# Something to be done once the update's transaction is committed.
Afterwards: TypeAlias = Callable[[Engine, Settings], None]


_EDITED_TOO_LATE = "That entry had been taken back, so the edit changes nothing. Write it again as a new message."
_EDITED_UNDO = (
    "That message was an /undo and has done its work, so the edit records nothing. Write it as a new message."
)
_UNDO_BY_EDIT = "Nothing was taken back: an /undo counts when it is sent, not as an edit. Send it as a new message."
_UNDO_CAME_FIRST = (
    "Your /undo, written after this, came in before it. It takes back this entry now, and no earlier one."
)

outbox.renderers |= {"chart": attachments.chart, "export": attachments.export}


@dataclass(frozen=True)
class MessageRow:
    """A message in the book. `number` is Telegram's; is_new: it had not come before (an edit of it may have).
    edited_at: of one that had come before, when the edit was made."""

    id: int
    sent_at: datetime
    telegram_message_id: int
    is_new: bool
    payload: dict[str, Any] = field(default_factory=dict)
    edited_at: datetime | None = None


@dataclass(frozen=True)
class About:
    """Who says something where; `row` is their message. `is_reply`: it replies to a message of the bot's."""

    settings: Settings
    chat: KnownChat
    person: Person
    row: MessageRow
    is_reply: bool = False


def answer_text(connection: Connection, about: About, text: str) -> None:
    """Does what the text asks for and queues the answer. An edited text takes the place of what it said before."""
    said = grammar.parse(text, bot_name.of(about.settings), about.is_reply)
    if about.row.is_new and isinstance(said, NotForUs):
        return
    if "undo" in about.row.payload:
        if isinstance(said, Record):
            _say(connection, about, [Reply(_EDITED_UNDO)])
        return
    changes = Changes()
    before: list[Any] = []
    if not about.row.is_new:
        if message_readings.was_taken_back(connection, about.row.id):
            _say(connection, about, [Reply(_EDITED_TOO_LATE)])
            return
        before = message_readings.forget(connection, changes, about.row.id)
        if isinstance(said, Nothing | NotForUs) and not before:
            return  # idle talk, mended
    _act(connection, about, changes, said, before)


def answer_press(connection: Connection, about: About, data: str, pressed_id: int | None) -> str:
    """Does what a button of ours asks for; what the telephone shows for a moment. `pressed_id`: the message (our id)
    that has the button."""
    said = grammar.pressed(data)
    changes = Changes()
    if isinstance(said, Command):
        _act(connection, about, changes, said, ())
        return ""
    if not isinstance(said, Undo):
        return replies.button_gone().text
    mine = Message.id == said.message_id, Message.chat_id.in_(about.chat.ids), Message.direction == "in"
    row = connection.execute(sa.select(Message.sender_id).where(*mine)).first()
    if row is None:
        return replies.button_gone().text
    if row.sender_id != about.person.user_id:
        return f"Only {_name_of(connection, row.sender_id)}, who wrote that, can take it back."
    rows = message_readings.take_back(connection, changes, said.message_id)
    if not rows:
        return replies.taken_back((), Known(about.row.sent_at), by_button=True).text
    reply = _taken_back(connection, about, said.message_id, rows)
    changes.write(connection)
    if pressed_id is not None:
        outbox.edit(connection, pressed_id, reply.text, payload_of(reply, about.chat.source_id))
    else:
        _say(connection, about, [reply])
    return "Taken back."


def answer_something_else(connection: Connection, about: About, caption: str) -> None:
    """Says what the bot can take, to somebody who has sent a picture or the like; in a group as seldom as to idle talk.

    `caption`: what is written under it, or empty. A number there, or the bot's name, is always answered.
    """
    said = grammar.parse(caption, bot_name.of(about.settings), about.is_reply)
    is_idle = isinstance(said, Nothing) and not said.addressed
    if isinstance(said, NotForUs) or (is_idle and known.helped_lately(connection, about.chat, about.row.sent_at)):
        return
    known.note_help(connection, about.chat, about.row.id)
    _say(connection, about, [replies.not_text()])


def _act(connection: Connection, about: About, changes: Changes, said: Said, before: Sequence[Any]) -> None:
    state = known.gather(connection, about.settings, about.chat, about.row.sent_at, said)
    outcome = conversation.answer(said, state, about.row.id, edited=bool(before))
    answers = list(outcome.replies)
    readings = [effect for effect in outcome.effects if isinstance(effect, AddReading)]
    if readings:
        source_id = chats.source_of(connection, about.chat)
        message_readings.record(connection, changes, about.row.id, source_id, readings, state.sensors, before)
        was = message_readings.made_by(connection, before) if before else ()
        chat_audit.note_readings(connection, about.row.id, was, readings)
    elif before:
        told = _taken_back(connection, about, about.row.id, before)
        answers = [told] if isinstance(said, Nothing) else [told, *answers]
    for effect in outcome.effects:
        if isinstance(effect, SetTimezone):
            chats.set_timezone(connection, about.chat, effect.name)
        elif isinstance(effect, MakeAmount):
            wanted = SensorSettings(effect.sensor.label, effect.sensor.unit, AMOUNT)
            sensor_settings.change(connection, effect.sensor.id, wanted)
        elif isinstance(effect, TakeBack) and about.row.is_new:
            answers.append(_undo_last(connection, about, changes))
        elif isinstance(effect, TakeBack) and not before:  # an entry that is edited into an /undo takes back itself
            answers.append(Reply(_UNDO_BY_EDIT))
    sender_id = about.person.user_id
    late = (readings or before) and undo_order.comes_late(connection, about.chat, sender_id, about.row)
    if late and undo_order.settle(connection, changes, about.chat, sender_id):
        answers.append(Reply(_UNDO_CAME_FIRST))
    changes.write(connection)
    if outcome.helps and about.row.id:
        known.note_help(connection, about.chat, about.row.id)
    _say(connection, about, answers)


def _undo_last(connection: Connection, about: About, changes: Changes) -> Reply:
    """Takes back the sender's last entry, and what an /undo that came too early has left."""
    rows: list[Any] = []
    entry_id: int | None = None
    while not rows:
        entry_id = undo_order.last_entry(connection, about.chat, about.person.user_id, about.row)
        if entry_id is None:
            break
        rows = message_readings.take_back(connection, changes, entry_id)  # none where another /undo was faster
    undo_order.note_undo(connection, about.row.id, entry_id)
    chats.note_undo(connection, about.chat, about.row.sent_at)
    reply = _taken_back(connection, about, entry_id, rows)
    if undo_order.comes_late(connection, about.chat, about.person.user_id, about.row):
        undo_order.settle(connection, changes, about.chat, about.person.user_id)
    return reply


def _taken_back(connection: Connection, about: About, message_id: int | None, rows: Sequence[Any]) -> Reply:
    made = message_readings.made_by(connection, rows)
    if message_id is not None:
        chat_audit.note_readings(connection, message_id, made, ())
    return replies.taken_back(made, known.after_taking_back(connection, about.chat, about.row.sent_at, made))


def _say(connection: Connection, about: About, answers: Sequence[Reply]) -> None:
    for reply in answers:
        payload = payload_of(reply, about.chat.source_id)
        outbox.queue(
            connection,
            about.chat.chat_id,
            reply.text,
            payload=payload,
            reply_to_id=about.row.id or None,
            sends=about.chat.sends,
        )


def payload_of(reply: Reply, source_id: int | None = None) -> dict[str, Any]:
    """What the outbox is to send beside the text."""
    payload: dict[str, Any] = {}
    if reply.buttons:
        rows = [[{"text": one.text, "callback_data": one.data} for one in row] for row in reply.buttons]
        payload["reply_markup"] = {"inline_keyboard": rows}
    for name, wanted in (("chart", reply.chart), ("export", reply.export)):
        if wanted is not None:
            payload[name] = {field: _plain(value) for field, value in asdict(wanted).items()} | {"source_id": source_id}
    return payload


def _plain(value: Any) -> Any:
    if isinstance(value, date | datetime):
        return value.isoformat()
    return [_plain(one) for one in value] if isinstance(value, tuple | list) else value


def _name_of(connection: Connection, user_id: int | None) -> str:
    columns = TelegramUser.first_name, TelegramUser.last_name, TelegramUser.username
    row = connection.execute(sa.select(*columns).where(TelegramUser.user_id == user_id)).first()
    return "" if row is None or user_id is None else Person(user_id, *row).name
