"""What an update says, kept as messages and answered: joins the conversation with the book and the outbox.

Everything here happens in the transaction of the update that is being handled (daybook/updates.py). What must not be
part of it is handed back as `Afterwards`, for the time after its commit.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from daybook import answers, audit, bot_name, chat_audit, chat_files, chats, deleted_messages, outbox, people, sql
from daybook.answers import Afterwards
from daybook.chat import replies
from daybook.config import Settings
from daybook.models import Message
from daybook.people import Person, is_id, plain

log = logging.getLogger(__name__)

MAX_TEXT = 4096
# What Telegram puts into a chat by itself: nobody has said anything.
_NOTICES = frozenset(
    "new_chat_members left_chat_member new_chat_title new_chat_photo delete_chat_photo group_chat_created "
    "supergroup_chat_created channel_chat_created message_auto_delete_timer_changed pinned_message "
    "successful_payment refunded_payment users_shared chat_shared connected_website write_access_allowed passport_data "
    "proximity_alert_triggered boost_added chat_background_set forum_topic_created forum_topic_edited "
    "forum_topic_closed forum_topic_reopened general_forum_topic_hidden general_forum_topic_unhidden "
    "giveaway_created giveaway giveaway_winners giveaway_completed video_chat_scheduled video_chat_started "
    "video_chat_ended video_chat_participants_invited web_app_data migrate_to_chat_id migrate_from_chat_id".split()
)


@dataclass(frozen=True)
class Incoming:
    """A message as Telegram describes it, as far as anything here asks for it."""

    chat: Mapping[str, Any]
    sender: Mapping[str, Any]
    number: int
    sent_at: datetime
    edited_at: datetime | None
    text: str | None
    document: Mapping[str, Any] | None
    caption: str
    is_notice: bool
    replied_to: Mapping[str, Any] | None

    @property
    def kept_text(self) -> str:
        """What the book keeps as the message's text."""
        if self.text is not None:
            return plain(self.text, MAX_TEXT)
        name = self.document.get("file_name") if self.document else None
        return plain(" ".join(part for part in (name, self.caption) if isinstance(part, str) and part), MAX_TEXT)


def act(
    connection: Connection, settings: Settings, update_id: int, update: Any, received_at: datetime
) -> list[Afterwards]:
    """Does what the update asks for. Of a shape that is not known, nothing follows."""
    if not isinstance(update, dict):
        return []
    press = update.get("callback_query")
    if isinstance(press, dict):
        return _pressed(connection, settings, press, received_at)
    for kind in ("message", "edited_message"):
        message = update.get(kind)
        if isinstance(message, dict):
            _follow_migration(connection, message)
            incoming = read(message, received_at)
            if incoming is not None:
                return _received(connection, settings, update_id, incoming)
    return []


def keep_failed(connection: Connection, update_id: int, update: Any, received_at: datetime) -> None:
    """Keeps the message of an update that could not be handled, as far as it can be read."""
    savepoint = connection.begin_nested()
    try:
        message = update.get("message") or update.get("edited_message") if isinstance(update, dict) else None
        incoming = read(message, received_at) if isinstance(message, dict) else None
        if incoming is not None:
            sender_id = people.meet(connection, incoming.sender).user_id
            _insert(connection, update_id, incoming, incoming.chat["id"], sender_id, "failed")
        savepoint.commit()
    except Exception as error:
        if sql.is_away(error):
            raise
        savepoint.rollback()
        log.exception("the message of update %s could not be kept; the update is", update_id)


def read(message: Mapping[str, Any], received_at: datetime) -> Incoming | None:
    """The message, or None where it has no chat, no number, or nobody has written it: a channel, another bot."""
    chat, sender, number = message.get("chat"), message.get("from"), message.get("message_id")
    if not (isinstance(chat, dict) and is_id(chat.get("id")) and isinstance(sender, dict) and is_id(sender.get("id"))):
        return None
    if not is_id(number) or sender.get("is_bot") is True or sender["id"] < 0:
        return None
    if message.get("is_automatic_forward") is True:  # a channel's post in its group, under a name of Telegram's own
        return None
    text, document, caption = message.get("text"), message.get("document"), message.get("caption")
    replied_to = message.get("reply_to_message")
    return Incoming(
        chat=chat,
        sender=sender,
        number=number,
        sent_at=_moment(message.get("date")) or received_at,
        edited_at=_moment(message.get("edit_date")),
        text=text if isinstance(text, str) else None,
        # The Bot API names an animation as a document as well, for programs from before there were any.
        document=document if isinstance(document, dict) and "animation" not in message else None,
        caption=caption if isinstance(caption, str) else "",
        is_notice=bool(_NOTICES & message.keys()),
        replied_to=replied_to if isinstance(replied_to, dict) else None,
    )


def number_of(message: object) -> int | None:
    """Telegram's number of that message."""
    number = message.get("message_id") if isinstance(message, dict) else None
    return number if is_id(number) else None


def _moment(seconds: object) -> datetime | None:
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 0 < seconds < 2**37:
        return None
    return datetime.fromtimestamp(seconds, UTC)


def _follow_migration(connection: Connection, message: Mapping[str, Any]) -> None:
    chat = message.get("chat")
    here = chat.get("id") if isinstance(chat, dict) else None
    for old, new in ((here, message.get("migrate_to_chat_id")), (message.get("migrate_from_chat_id"), here)):
        if is_id(old) and is_id(new) and old != new:
            chats.migrate(connection, old, new)
            outbox.move(connection, old, new)


def _received(connection: Connection, settings: Settings, update_id: int, incoming: Incoming) -> list[Afterwards]:
    person = people.meet(connection, incoming.sender)
    with audit.acting(chat_audit.actor(person)):
        return _received_from(connection, settings, update_id, incoming, person)


def _received_from(
    connection: Connection, settings: Settings, update_id: int, incoming: Incoming, person: Person
) -> list[Afterwards]:
    is_heard = person.status == "allowed" and not incoming.is_notice
    chat = chats.meet(connection, incoming.chat, lock=is_heard)
    status = "handled" if is_heard else "ignored"
    row = _keep(connection, update_id, incoming, person, status)
    if row is None or incoming.is_notice:
        return []
    if person.status == "pending" and people.tell_once(connection, person):
        outbox.queue(connection, chat.chat_id, replies.pending(person.user_id).text, reply_to_id=row.id)
    if person.status != "allowed":
        return []
    about = answers.About(settings, chat, person, row, _is_reply_to_us(connection, settings, chat, incoming.replied_to))
    if incoming.text is not None:
        answers.answer_text(connection, about, incoming.text)
    elif incoming.document is not None:
        return chat_files.take(connection, about, incoming.document, incoming.caption)
    elif row.is_new:
        answers.answer_something_else(connection, about, incoming.caption)
    return []


def _keep(
    connection: Connection, update_id: int, incoming: Incoming, person: Person, status: str
) -> answers.MessageRow | None:
    """Keeps the message; None when nothing is new: a message of which a later edit has come already, an edit that a
    later one has overtaken, one that changes no word, or one of a message that an admin has deleted."""
    chat_id, text = incoming.chat["id"], incoming.kept_text
    mine = Message.chat_id == chat_id, Message.telegram_message_id == incoming.number, Message.direction == "in"
    while (message_id := _insert(connection, update_id, incoming, chat_id, person.user_id, status)) is None:
        row: Any = connection.execute(sa.select(Message.__table__).where(*mine).with_for_update()).one_or_none()
        if row is None:  # an admin has deleted it at this moment
            continue
        if row.sent_at == incoming.sent_at:
            break
        # Another message: the chat is another bot's now, which counts its messages anew.
        connection.execute(sa.update(Message).where(Message.id == row.id).values(telegram_message_id=None))
    if message_id is not None:
        # Looked at only now: a deletion at this moment is committed before the row can be made.
        known = chat_id, incoming.number, incoming.sent_at
        if incoming.edited_at is not None and deleted_messages.was_deleted(connection, *known):
            connection.execute(sa.delete(Message).where(Message.id == message_id))
            if incoming.text is not None and status == "handled":
                outbox.queue(connection, chat_id, replies.edited_after_deletion().text)
            return None
        return answers.MessageRow(message_id, incoming.sent_at, incoming.number, True)
    update = sa.update(Message).where(Message.id == row.id)
    is_again = row.status == "failed" and row.update_id == update_id
    if not is_again:
        if incoming.edited_at is None or row.sender_id != person.user_id:
            return None
        # Edits within one second are told apart by the numbers of their updates, which rise within an hour.
        before = (row.edited_at, row.update_id or 0) if row.edited_at else None
        if before is not None and (incoming.edited_at, update_id) < before:
            return None
        values = {"text": text, "edited_at": incoming.edited_at, "update_id": update_id}
        if row.text == text and row.status == "handled":
            connection.execute(update.values(values))
            return None
        update = update.values(values)
    # A file that waits is known by its status.
    connection.execute(update.values(status="received" if row.status == "received" else status))
    edited_at = None if is_again else incoming.edited_at
    return answers.MessageRow(row.id, row.sent_at, incoming.number, is_again, dict(row.payload or {}), edited_at)


def _insert(
    connection: Connection, update_id: int, incoming: Incoming, chat_id: int, sender_id: int, status: str
) -> int | None:
    values = {
        "chat_id": chat_id,
        "telegram_message_id": incoming.number,
        "update_id": update_id,
        "sender_id": sender_id,
        "direction": "in",
        "text": incoming.kept_text,
        "sent_at": incoming.sent_at,
        "edited_at": incoming.edited_at,
        "status": status,
    }
    return connection.execute(sql.insert_new(connection, Message), values).scalar()


def _pressed(
    connection: Connection, settings: Settings, press: Mapping[str, Any], received_at: datetime
) -> list[Afterwards]:
    """Somebody has pressed a button under a message of ours."""
    message, sender = press.get("message"), press.get("from")
    press_id, data = press.get("id"), press.get("data")
    chat = message.get("chat") if isinstance(message, dict) else None
    if not (isinstance(sender, dict) and is_id(sender.get("id")) and isinstance(press_id, str)):
        return []
    if sender.get("is_bot") is True or sender["id"] < 0 or not isinstance(data, str):
        return []
    person = people.meet(connection, sender)
    if not (isinstance(chat, dict) and is_id(chat.get("id"))):
        # Telegram names no message where the button is too old, or hangs under one that was sent through the bot.
        text = replies.button_too_old().text if person.status == "allowed" else ""
        return [] if person.status == "blocked" else [_heard(press_id, text)]
    with audit.acting(chat_audit.actor(person)):
        return _pressed_by(connection, settings, press, received_at, person, chat)


def _pressed_by(
    connection: Connection,
    settings: Settings,
    press: Mapping[str, Any],
    received_at: datetime,
    person: Person,
    chat: Mapping[str, Any],
) -> list[Afterwards]:
    message, press_id, data = press["message"], press["id"], press["data"]
    known = chats.meet(connection, chat, lock=person.status == "allowed")
    if person.status == "pending":
        if people.tell_once(connection, person):
            outbox.queue(connection, known.chat_id, replies.pending(person.user_id).text)
        return [_heard(press_id, "")]
    if person.status != "allowed":
        return []
    about = answers.About(settings, known, person, answers.MessageRow(0, received_at, 0, True))
    number = number_of(message)
    button_of = None if number is None else _of_ours(connection, known, number)
    if data.startswith(chat_files.UNDO):
        return chat_files.undo_pressed(connection, about, data, press_id, button_of)
    return [_heard(press_id, answers.answer_press(connection, about, data, button_of))]


def _is_reply_to_us(
    connection: Connection, settings: Settings, chat: chats.KnownChat, message: Mapping[str, Any] | None
) -> bool:
    sender = message.get("from") if message else None
    if not isinstance(sender, dict) or sender.get("is_bot") is not True:
        return False
    name, ours, number = sender.get("username"), bot_name.of(settings), number_of(message)
    if isinstance(name, str) and ours:
        return name.casefold() == ours.casefold()
    return number is not None and _of_ours(connection, chat, number) is not None


def _of_ours(connection: Connection, chat: chats.KnownChat, number: int) -> int | None:
    """The id of the message that we have sent under that number."""
    mine = Message.chat_id == chat.chat_id, Message.telegram_message_id == number, Message.direction == "out"
    return connection.scalar(sa.select(Message.id).where(*mine))


def _heard(press_id: str, text: str) -> Afterwards:
    return lambda engine, settings: outbox.answer_press(engine, settings, press_id, text)
