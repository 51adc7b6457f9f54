"""What the first page of the admin area tells: what waits, and what went wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from daybook.admin.jobs import OPEN
from daybook.admin.tables.uploads import STILL_FAILED
from daybook.admin.tables.users import TITLE
from daybook.models import WAITING, Job, Message, TelegramUpdate, TelegramUser, Upload, utc_now

SHOWN = 10
MOST = 1000
_LATELY = timedelta(days=1)


@dataclass(frozen=True)
class Few:
    """The newest rows of a kind, and how many there are, at most MOST; more: there are more than that."""

    rows: list[Any]
    count: int
    more: bool


@dataclass(frozen=True)
class Outbox:
    """What waits to be sent, since when the oldest does, what has failed, and what cannot be delivered because the
    person has blocked the bot. Counts end at MOST."""

    waiting: int
    oldest: datetime | None
    failed: int
    gone: int


def _few(connection: Connection, query: Any, order: Any) -> Few:
    rows = list(connection.execute(query.order_by(order.desc()).limit(SHOWN)))
    count = _count(connection, query)
    return Few(rows, min(count, MOST), count > MOST)


def _count(connection: Connection, query: Any) -> int:
    few = query.order_by(None).limit(MOST + 1).subquery()
    return connection.scalar(sa.select(sa.func.count()).select_from(few)) or 0


def pending_users(connection: Connection) -> Few:
    """Who waits to be let in."""
    columns = TelegramUser.user_id, TITLE.label("name"), TelegramUser.username, TelegramUser.created_at
    query = sa.select(*columns).where(TelegramUser.status == "pending")
    return _few(connection, query, TelegramUser.created_at)


def last_words(connection: Connection, user_ids: Sequence[int]) -> dict[int, str]:
    """The beginning of what each of these people has written last, where it has words."""
    last = sa.select(sa.func.substr(Message.text, 1, 200)).where(Message.sender_id == TelegramUser.user_id)
    last = last.where(Message.direction == "in").order_by(Message.sent_at.desc(), Message.id.desc()).limit(1)
    words = last.correlate(TelegramUser).scalar_subquery().label("words")
    query = sa.select(TelegramUser.user_id, words).where(TelegramUser.user_id.in_(user_ids))
    return {row.user_id: row.words for row in connection.execute(query) if row.words}


def failed_incoming(connection: Connection) -> int:
    """How many messages to the bot have failed, at most MOST."""
    failed = sa.select(Message.id).where(Message.direction == "in", Message.status == "failed")
    return min(_count(connection, failed), MOST)


def failed_uploads(connection: Connection) -> Few:
    """Files that could not be imported, of late, and have not been since."""
    columns = Upload.id, Upload.filename, Upload.error, Upload.created_at
    return _few(connection, sa.select(*columns).where(STILL_FAILED), Upload.id)


def failed_updates(connection: Connection) -> Few:
    """Updates that wait to be handled again."""
    columns = TelegramUpdate.update_id, TelegramUpdate.error, TelegramUpdate.received_at
    query = sa.select(*columns).where(TelegramUpdate.processed_at.is_(None))
    return _few(connection, query, TelegramUpdate.received_at)


def outbox(connection: Connection) -> Outbox:
    """What is on its way out."""
    waiting = sa.select(Message.id).where(WAITING)
    failed, gone = (
        _count(connection, sa.select(Message.id).where(Message.direction == "out", Message.status == status))
        for status in ("failed", "gone")
    )
    oldest = connection.scalar(sa.select(sa.func.min(Message.sent_at)).where(WAITING))
    return Outbox(min(_count(connection, waiting), MOST), oldest, min(failed, MOST), min(gone, MOST))


def jobs(connection: Connection) -> list[Any]:
    """Work that is under way or has ended within a day, for those who have closed its page; the newest first."""
    lately = sa.or_(Job.status.in_(OPEN), Job.finished_at > utc_now() - _LATELY)
    return list(connection.execute(sa.select(Job.__table__).where(lately).order_by(Job.id.desc()).limit(SHOWN)))
