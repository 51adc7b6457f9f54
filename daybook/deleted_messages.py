"""Numbers of messages that an admin has deleted, by which a later edit of one is known.

Telegram may deliver an edit before its message, so an edit without a row usually is a message that nobody has seen yet,
and counts. Without its number and time, an edit of a deleted message would be one too, and what it says would count a
second time. To refuse the deletion while its readings count would leave the admin no way to take out what somebody
wrote: only its sender can take the readings back.
"""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from daybook import sql
from daybook.models import DeletedMessage, Message


def delete(connection: Connection, message_ids: Sequence[int]) -> None:
    """Deletes these messages. Of those that came in, number and time stay; the readings that they made do too."""
    chosen = sql.is_one_of(connection, Message.id, message_ids)
    came = sa.select(Message.chat_id, Message.telegram_message_id, Message.sent_at).where(
        chosen, Message.direction == "in", Message.telegram_message_id.is_not(None)
    )
    numbers = sql.insert_new(connection, DeletedMessage).from_select(
        ["chat_id", "telegram_message_id", "sent_at"], came
    )
    connection.execute(numbers).all()
    connection.execute(sa.delete(Message).where(chosen))


def was_deleted(connection: Connection, chat_id: int, number: int, sent_at: datetime) -> bool:
    """Whether the message with this number in this chat, sent at that time, had come, and was deleted."""
    mine = DeletedMessage.chat_id == chat_id, DeletedMessage.telegram_message_id == number
    found = sa.select(DeletedMessage.chat_id).where(*mine, DeletedMessage.sent_at == sent_at)
    return connection.scalar(found) is not None
