"""What the first page of the admin area tells: what waits, and what went wrong."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from daybook.admin.tables.users import TITLE
from daybook.models import WAITING, Account, Job, Message, TelegramUpdate, TelegramUser, Upload

SHOWN = 10
_MOST = 1000


@dataclass(frozen=True)
class Few:
    """The newest rows of a kind, and how many there are, at most _MOST; more: there are more than that."""

    rows: list[Any]
    count: int
    more: bool


@dataclass(frozen=True)
class Outbox:
    """What waits to be sent, since when the oldest does, and what was given up."""

    waiting: int
    oldest: datetime | None
    failed: int


def _few(connection: Connection, query: Any, order: Any) -> Few:
    rows = list(connection.execute(query.order_by(order.desc()).limit(SHOWN)))
    count = _count(connection, query)
    return Few(rows, min(count, _MOST), count > _MOST)


def _count(connection: Connection, query: Any) -> int:
    few = query.order_by(None).limit(_MOST + 1).subquery()
    return connection.scalar(sa.select(sa.func.count()).select_from(few)) or 0


def pending_users(connection: Connection) -> Few:
    """Who waits to be let in."""
    columns = TelegramUser.user_id, TITLE.label("name"), TelegramUser.username, TelegramUser.created_at
    query = sa.select(*columns).where(TelegramUser.status == "pending")
    return _few(connection, query, TelegramUser.created_at)


def failed_uploads(connection: Connection) -> Few:
    """Files that could not be imported."""
    columns = Upload.id, Upload.filename, Upload.error, Upload.created_at
    return _few(connection, sa.select(*columns).where(Upload.status == "failed"), Upload.id)


def failed_updates(connection: Connection) -> Few:
    """Updates that wait to be handled again."""
    columns = TelegramUpdate.update_id, TelegramUpdate.error, TelegramUpdate.received_at
    query = sa.select(*columns).where(TelegramUpdate.processed_at.is_(None))
    return _few(connection, query, TelegramUpdate.received_at)


def outbox(connection: Connection) -> Outbox:
    """What is on its way out."""
    waiting = sa.select(Message.id).where(WAITING)
    failed = sa.select(Message.id).where(Message.direction == "out", Message.status.in_(("failed", "gone")))
    oldest = connection.scalar(sa.select(sa.func.min(Message.sent_at)).where(WAITING))
    return Outbox(_count(connection, waiting), oldest, _count(connection, failed))


def open_jobs(connection: Connection) -> list[Any]:
    """Work that is under way."""
    query = sa.select(Job.__table__, Account.username).outerjoin(Account, Account.id == Job.account_id)
    return list(connection.execute(query.where(Job.status.in_(("waiting", "running"))).order_by(Job.id)))
