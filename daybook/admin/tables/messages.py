"""Messages in and out, and the updates that brought them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.orm import aliased

from daybook import audit, deleted_messages, outbox, updates
from daybook.admin.described import Action, Column, Deletion, Going, Table, Work, count_where
from daybook.admin.filters import Dates, OneOf, Related, by_value, whole_number
from daybook.admin.searching import Contains, Number, Through
from daybook.admin.tables.users import TITLE, TOLD_APART, title_of
from daybook.models import Chat, Message, MessageReading, TelegramUpdate, TelegramUser, utc_now

# Telegram delivers an update again for a day; without its row it would be acted on twice.
_DELIVERED_AGAIN = timedelta(days=2)

STATUSES = {
    "handled": "Handled",
    "ignored": "Ignored",
    "received": "Received",
    "failed": "Failed",
    "queued": "Waits to be sent",
    "sending": "Being sent",
    "sent": "Sent",
    "gone": "Cannot be delivered",
}


def _send_again(work: Work, keys: Sequence[int]) -> int:
    before = {key: outbox.send_again(work.connection, key) for key in keys}
    sent = {key: status for key, status in before.items() if status is not None}
    entries = [
        audit.entry("send again", "message", key, f"message {key}", {"status": [status, "queued"]})
        for key, status in sent.items()
    ]
    audit.write(work.connection, entries)
    return len(sent)


def _going(connection: Connection, keys: Sequence[int]) -> list[Going]:
    made = MessageReading.message_id.in_(keys), MessageReading.taken_back_at.is_(None)
    return [Going("readings that they made", count_where(connection, *made), stays=True)]


def _delete(work: Work, keys: Sequence[int]) -> None:
    deleted_messages.delete(work.connection, keys)


def _handle_again(work: Work, keys: Sequence[int]) -> int:
    handled = 0
    for key in keys:
        try:
            handled += updates.handle_again(work.engine, work.settings, key) is None
        except updates.NotWaiting:
            continue
    return handled


def _young(connection: Connection, keys: Sequence[int]) -> list[str]:
    since = utc_now() - _DELIVERED_AGAIN
    count = count_where(connection, TelegramUpdate.update_id.in_(keys), TelegramUpdate.received_at > since)
    if not count:
        return []
    if len(keys) == 1:
        return ["It came within the last two days: Telegram may deliver it again, and it would count twice."]
    return [f"{count:,} came within the last two days: Telegram may deliver them again, and they would count twice."]


def _delete_updates(work: Work, keys: Sequence[int]) -> None:
    work.connection.execute(sa.delete(TelegramUpdate).where(TelegramUpdate.update_id.in_(keys)))


def _of_updates(connection: Connection, keys: Sequence[int]) -> list[Going]:
    brought = count_where(connection, Message.update_id.in_(keys))
    return [Going("messages that they brought", brought, stays=True)]


# A private chat has the id of the person.
_PERSON = aliased(TelegramUser)
_CHAT = sa.func.coalesce(sa.func.nullif(Chat.title, ""), title_of(_PERSON), sa.cast(Message.chat_id, sa.String))
_SENDER = sa.case(
    (Message.written_by.is_not(None), Message.written_by + ", as the bot"),
    (Message.direction == "out", "the bot"),
    else_=TITLE,
)
_LONGEST_TITLE = 80


def _beginning(text: Any) -> Any:
    """The text, or what begins it, and then it says that there is more."""
    begun = sa.func.rtrim(sa.func.substr(text, 1, _LONGEST_TITLE - 1)) + "…"
    return sa.case((sa.func.length(text) > _LONGEST_TITLE, begun), else_=text)


def _person_in(payload: Any) -> Any:
    """The id of whoever an update comes from, whatever the JSON holds; null where it names nobody."""
    ids = [payload[(kind, "from", "id")].as_string() for kind in _FROM_PEOPLE]
    return sa.func.coalesce(
        *(sa.case((text.regexp_match("^[0-9]{1,18}$"), sa.cast(text, sa.BigInteger)), else_=None) for text in ids)
    )


_FROM_PEOPLE = ("message", "edited_message", "callback_query", "my_chat_member")
# Asked for each row that is shown, and no other: a join would read every update's JSON.
_WHO = TelegramUser.user_id == _person_in(TelegramUpdate.payload)
_WHO_ID = sa.select(TelegramUser.user_id).where(_WHO).correlate(TelegramUpdate).scalar_subquery()
_WHO_NAME = sa.select(TITLE).where(_WHO).correlate(TelegramUpdate).scalar_subquery()

MESSAGES = Table(
    slug="messages",
    one="message",
    many="Messages",
    object_type="message",
    about="What people wrote to the bot, and what it answered.",
    key=Message.__table__.c.id,
    title=_beginning(sa.func.coalesce(sa.func.nullif(Message.text, ""), "a message without text")),
    rows=sa.outerjoin(Message, TelegramUser, TelegramUser.user_id == Message.sender_id)
    .outerjoin(Chat, Chat.chat_id == Message.chat_id)
    .outerjoin(_PERSON, _PERSON.user_id == Message.chat_id),
    columns=(
        Column("text", "Text", Message.text, "long", missing="(no text)"),
        Column("sender", "From", _SENDER, link="users", link_key=TelegramUser.user_id),
        Column("chat", "Chat", _CHAT, link="users", link_key=_PERSON.user_id),
        Column("status", "Status", Message.status, "status", sort=True),
        Column("sent_at", "Time", Message.sent_at, "time", sort=True),
        Column("edited_at", "Edited", Message.edited_at, "time", in_list=False),
        Column("direction", "Direction", Message.direction, in_list=False),
        Column("error", "Error", Message.error, "long", in_list=False),
        Column("attempts", "Attempts to send", Message.attempts, "number", in_list=False),
        Column("next_attempt_at", "Next attempt", Message.next_attempt_at, "time", in_list=False),
        Column("chat_id", "Chat id", Message.chat_id, "number", in_list=False),
        Column("telegram_message_id", "Number in the chat", Message.telegram_message_id, "number", in_list=False),
        Column(
            "update_id",
            "Update",
            Message.update_id,
            "number",
            link="updates",
            link_key=Message.update_id,
            in_list=False,
        ),
    ),
    order="-sent_at",
    search=(
        Contains(Message.text),
        Through(
            Message.sender_id,
            TelegramUser.user_id,
            (TelegramUser.first_name, TelegramUser.last_name, TelegramUser.username),
        ),
    ),
    search_hint="Text, or the sender's name",
    filters=(
        by_value("direction", "Direction", Message.direction, {"in": "To the bot", "out": "From the bot"}),
        by_value("status", "Status", Message.status, STATUSES),
        Dates("sent_at", "Time", Message.sent_at),
        Related("sender", "Sender", Message.sender_id, TelegramUser.user_id, TITLE, whole_number, told=TOLD_APART),
        Related(
            "chat",
            "Chat",
            Message.chat_id,
            Chat.chat_id,
            Chat.title,
            whole_number,
            "Title or id",
            told=sa.func.coalesce(sa.func.nullif(Chat.title, "") + ", ", "") + sa.cast(Chat.chat_id, sa.String),
        ),
    ),
    actions=(
        Action(
            "send-again",
            "Send again",
            _send_again,
            "{count} queued to be sent again.",
            done_one="The message “{title}” is queued to be sent again.",
            none_one="The message “{title}” does not wait to be sent again: somebody was faster, or it was sent.",
            fits=lambda row: row["direction"] == "out" and row["status"] in ("failed", "gone"),
            next=lambda row: row["direction"] == "out" and row["status"] == "failed",
        ),
    ),
    deletion=Deletion(_delete, _going),
    empty="No messages yet. They appear here as soon as somebody writes to the bot.",
    panel="admin/panels/message.html",
)

UPDATES = Table(
    slug="updates",
    one="update",
    many="Updates",
    object_type="update",
    about="What Telegram delivered, as it came.",
    key=TelegramUpdate.__table__.c.update_id,
    title=sa.literal("update ") + sa.cast(TelegramUpdate.update_id, sa.String),
    rows=TelegramUpdate.__table__,
    columns=(
        Column("update_id", "Id", TelegramUpdate.update_id, "number", sort=True),
        Column("who", "From", _WHO_NAME, link="users", link_key=_WHO_ID),
        Column("received_at", "Received", TelegramUpdate.received_at, "time", sort=True),
        Column("processed_at", "Handled", TelegramUpdate.processed_at, "time", missing="not handled"),
        Column("error", "Error", TelegramUpdate.error, "long", missing=""),
        Column("payload", "As it came", TelegramUpdate.payload, "json", in_list=False),
    ),
    order="-received_at",
    search=(Number(TelegramUpdate.update_id),),
    search_hint="Id",
    filters=(
        OneOf(
            "state",
            "State",
            {
                "handled": ("Handled", TelegramUpdate.processed_at.is_not(None)),
                "failed": ("Failed", TelegramUpdate.processed_at.is_(None)),
            },
        ),
        Dates("received_at", "Received", TelegramUpdate.received_at),
    ),
    actions=(
        Action(
            "handle-again",
            "Handle again",
            _handle_again,
            "{count} handled.",
            none="Nothing was handled: what still fails says why, and the others had been handled before.",
            done_one="The {title} is handled.",
            none_one="The {title} is not handled: it failed once more and says why, or was handled before.",
            alone=True,
            fits=lambda row: row["processed_at"] is None,
            next=lambda row: row["processed_at"] is None,
        ),
    ),
    deletion=Deletion(_delete_updates, _of_updates, _young),
    empty="Telegram has delivered nothing yet.",
    panel="admin/panels/update.html",
)
