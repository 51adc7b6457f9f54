"""What /undo takes back: the last entry that its sender had written when they wrote it.

Messages do not always come in the order in which they were written. So every /undo keeps in its row what it has taken
back, and when an entry comes late, all of them are looked at again as if everything had come in order. What an edit
made after an /undo has turned into an entry was none when that was written, and stays.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from daybook import chat_audit, message_readings
from daybook.chats import KnownChat
from daybook.models import Message, MessageReading

# How far back in one person's messages of a chat; older ones have come by now.
_LOOKED_AT = 1000
_IS_UNDO = Message.text.ilike("/undo%")

_UNDOS_SINCE = sa.select(Message.sent_at, Message.telegram_message_id, Message.id, Message.payload).where(
    Message.chat_id.in_(sa.bindparam("chat_ids", expanding=True)),
    Message.sent_at >= sa.bindparam("sent_at"),
    Message.sender_id == sa.bindparam("sender_id"),
    Message.direction == "in",
    Message.id != sa.bindparam("id"),
    _IS_UNDO,
)


def note_undo(connection: Connection, undo_id: int, entry_id: int | None) -> None:
    """Keeps in the row of an /undo which message it has taken back; None where there was none."""
    connection.execute(sa.update(Message).where(Message.id == undo_id).values(payload={"undo": entry_id}))


def last_entry(connection: Connection, chat: KnownChat, sender_id: int, before: Any) -> int | None:
    """The sender's last message that still counts, of those written before the row `before`."""
    counts = sa.exists().where(MessageReading.message_id == Message.id, MessageReading.taken_back_at.is_(None))
    order = Message.sent_at, sa.func.coalesce(Message.telegram_message_id, 0), Message.id
    earlier = sa.tuple_(*order) < sa.tuple_(
        sa.literal(before.sent_at, Message.sent_at.type), before.telegram_message_id or 0, before.id
    )
    mine = Message.chat_id.in_(chat.ids), Message.sender_id == sender_id, Message.direction == "in"
    newest = (column.desc() for column in order)
    return connection.scalar(sa.select(Message.id).where(*mine, earlier, counts).order_by(*newest).limit(1))


def comes_late(connection: Connection, chat: KnownChat, sender_id: int, row: Any) -> bool:
    """Whether the sender has written an /undo after this message, or its edit, that is in the book already."""
    written_at = row.edited_at or row.sent_at
    if chat.last_undo_at is None or chat.last_undo_at < written_at:
        return False
    values = {"chat_ids": chat.ids, "sender_id": sender_id, "sent_at": written_at, "id": row.id}
    found = connection.execute(_UNDOS_SINCE, values)
    return any("undo" in (one.payload or {}) and _place(one) > _place(row) for one in found)


def settle(connection: Connection, changes: message_readings.Changes, chat: KnownChat, sender_id: int) -> bool:
    """Lets every /undo of the sender in this chat take back what it would have, had all come in order. Whether that
    changed anything."""
    undos, planned, taken = _plan(connection, chat, sender_id)
    wrong = {undo.id: planned[undo.id] for undo in undos if planned[undo.id] != undo.payload["undo"]}
    if not wrong:
        return False
    before = {entry_id for undo in undos if (entry_id := undo.payload["undo"]) is not None}
    after = {entry_id for entry_id in planned.values() if entry_id is not None}
    for message_id in sorted(before - after):
        rows = message_readings.restore(connection, changes, message_id)
        chat_audit.note_readings(connection, message_id, (), message_readings.made_by(connection, rows), again=True)
    for message_id in sorted(after - before - taken):
        rows = message_readings.take_back(connection, changes, message_id)
        chat_audit.note_readings(connection, message_id, message_readings.made_by(connection, rows), ())
    for undo_id, entry_id in wrong.items():
        note_undo(connection, undo_id, entry_id)
    return True


def _plan(connection: Connection, chat: KnownChat, sender_id: int) -> tuple[list[Any], dict[int, int | None], set[int]]:
    """(the rows of every /undo, what each should take back, what was taken back by its button)."""
    recorded = sa.select(
        MessageReading.message_id, sa.func.max(MessageReading.taken_back_at).label("taken_back_at")
    ).group_by(MessageReading.message_id)
    made = recorded.subquery()
    mine = Message.chat_id.in_(chat.ids), Message.sender_id == sender_id, Message.direction == "in"
    query = (
        sa.select(
            Message.id,
            Message.sent_at,
            Message.edited_at,
            Message.telegram_message_id,
            Message.payload,
            made.c.message_id,
            made.c.taken_back_at,
        )
        .outerjoin(made, made.c.message_id == Message.id)
        .where(*mine, made.c.message_id.is_not(None) | _IS_UNDO)
        .order_by(Message.sent_at.desc(), Message.telegram_message_id.desc())
        .limit(_LOOKED_AT)
    )
    rows = sorted(connection.execute(query), key=_place)
    undos = [row for row in rows if "undo" in (row.payload or {})]
    by_undo = {undo.payload["undo"] for undo in undos}
    by_button = {row.id for row in rows if row.taken_back_at is not None and row.id not in by_undo}
    planned: dict[int, int | None] = {}
    stack: list[Any] = []
    for row in rows:
        if "undo" in (row.payload or {}):
            entries = (one for one in reversed(stack) if one.id in by_undo or not _edited_since(one, row))
            taken = next(entries, None)
            if taken is not None:
                stack.remove(taken)
            planned[row.id] = taken.id if taken is not None else row.payload["undo"]
        elif row.message_id is not None and row.id not in by_button:
            stack.append(row)
    return undos, planned, by_button


def _edited_since(entry: Any, undo: Any) -> bool:
    return entry.edited_at is not None and entry.edited_at > undo.sent_at


def _place(row: Any) -> tuple[Any, int, int]:
    return row.sent_at, row.telegram_message_id or 0, row.id
