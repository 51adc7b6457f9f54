"""The tables. What each holds stands in docs/architecture.md; the Timescale parts are in the migrations."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from flask_login import UserMixin
from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from daybook.extensions import Base
from daybook.sql import ReadingTime, UtcDateTime

# SQLite gives the id of a row that was deleted to the next one, unless it is told not to. Addresses, buttons in chats,
# the audit and files' names keep ids: those tables say this. PostgreSQL's sequences never go back.
IDS_ARE_GIVEN_ONCE = {"sqlite_autoincrement": True}

ROLES = ("viewer", "editor", "admin")
# Uploads whose readings are on their way in or out: they count for nobody.
UNFINISHED = ("importing", "removing")


def utc_now() -> datetime:
    return datetime.now(UTC)


class Account(UserMixin, Base):  # type: ignore[misc]
    """Somebody who signs in to the web pages; each role may also do what the roles before it may."""

    __tablename__ = "account"
    __table_args__ = (IDS_ARE_GIVEN_ONCE,)
    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(64), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(16), default="viewer")
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    last_login_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    timezone: Mapped[str] = mapped_column(String(64), default="UTC")

    def may(self, role: str) -> bool:
        """Whether this account may do what `role` may."""
        return self.is_active and ROLES.index(self.role) >= ROLES.index(role)


class LoginSession(Base):
    """A browser in which an account is logged in; without its row, it is logged out. Its key is kept as a SHA-256."""

    __tablename__ = "login_session"
    __table_args__ = (IDS_ARE_GIVEN_ONCE,)
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    address: Mapped[str] = mapped_column(String(64), default="")
    browser: Mapped[str] = mapped_column(String(200), default="")


class LoginThrottle(Base):
    """How often a login failed of late. kind: address, account (subject: a name as typed, cleaned), change (an id)."""

    __tablename__ = "login_throttle"
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    subject: Mapped[str] = mapped_column(String(64), primary_key=True)
    failures: Mapped[int] = mapped_column(default=0)
    last_failure_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    wait_until: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ApiToken(Base):
    """A program's key to the API, acting as its account. Only the SHA-256 of the token is kept."""

    __tablename__ = "api_token"
    __table_args__ = (IDS_ARE_GIVEN_ONCE,)
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(64))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    account: Mapped[Account] = relationship()


class TelegramUser(Base):
    """Somebody who writes to the bot; the id is Telegram's own."""

    __tablename__ = "telegram_user"
    user_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    first_name: Mapped[str] = mapped_column(String(64))
    last_name: Mapped[str] = mapped_column(String(64), default="")
    username: Mapped[str | None] = mapped_column(String(64))
    status: Mapped[str] = mapped_column(String(16), default="pending", index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    approved_by: Mapped[int | None] = mapped_column(ForeignKey("account.id", ondelete="SET NULL"))
    told_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


# What waits to be handled again. Written out, because SQLite uses the index only for the same words.
NOT_HANDLED = sa.text("processed_at IS NULL")


class TelegramUpdate(Base):
    """The raw JSON that Telegram delivered, once per update_id."""

    __tablename__ = "telegram_update"
    __table_args__ = (
        Index("ix_telegram_update_received_at", "received_at", "update_id"),
        Index("ix_telegram_update_waiting", "update_id", postgresql_where=NOT_HANDLED, sqlite_where=NOT_HANDLED),
    )
    update_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    payload: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    processed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str | None] = mapped_column(Text)


class Source(Base):
    """Where readings come from: a mast, a meter, a chat."""

    __tablename__ = "source"
    __table_args__ = (IDS_ARE_GIVEN_ONCE,)
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)


class Sensor(Base):
    """One series of a source. `reading_count` is kept with every change of its readings, so lists need not count."""

    __tablename__ = "sensor"
    __table_args__ = (UniqueConstraint("source_id", "name"), IDS_ARE_GIVEN_ONCE)
    id: Mapped[int] = mapped_column(primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("source.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(200))
    unit: Mapped[str] = mapped_column(String(64), default="")
    label: Mapped[str] = mapped_column(String(200), default="")
    kind: Mapped[str] = mapped_column(String(16), default="gauge")
    reading_count: Mapped[int] = mapped_column(BigInteger, default=0)

    source: Mapped[Source] = relationship()


class FileType(Base):
    """A saved layout, used again for the next file of that logger."""

    __tablename__ = "file_type"
    __table_args__ = (IDS_ARE_GIVEN_ONCE,)
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    layout: Mapped[dict[str, Any]] = mapped_column(sa.JSON)


class Upload(Base):
    """One file and what became of it.

    status: waiting (announced, no byte yet), importing, done, failed, cancelled, removing (its readings are being
    taken out), undone. Readings count only once the status is done. replaces_id: the upload whose file this is once
    more, and which is taken back in the moment in which this one is done.
    """

    __tablename__ = "upload"
    __table_args__ = (Index("ix_upload_created_at", "created_at", "id"), IDS_ARE_GIVEN_ONCE)
    id: Mapped[int] = mapped_column(primary_key=True)
    filename: Mapped[str] = mapped_column(String(255))
    bytes_total: Mapped[int | None] = mapped_column(BigInteger)
    bytes_done: Mapped[int] = mapped_column(BigInteger, default=0)
    sha256: Mapped[str | None] = mapped_column(String(64))
    source_id: Mapped[int | None] = mapped_column(ForeignKey("source.id", ondelete="SET NULL"), index=True)
    file_type_id: Mapped[int | None] = mapped_column(ForeignKey("file_type.id", ondelete="SET NULL"))
    replaces_id: Mapped[int | None] = mapped_column(sa.Integer)
    layout: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON)
    options: Mapped[dict[str, Any]] = mapped_column(sa.JSON, default=dict)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id", ondelete="SET NULL"))
    api_token_id: Mapped[int | None] = mapped_column(ForeignKey("api_token.id", ondelete="SET NULL"))
    telegram_user_id: Mapped[int | None] = mapped_column(ForeignKey("telegram_user.user_id", ondelete="SET NULL"))
    status: Mapped[str] = mapped_column(String(16), default="waiting", index=True)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    lines_total: Mapped[int] = mapped_column(BigInteger, default=0)
    lines_preamble: Mapped[int] = mapped_column(BigInteger, default=0)
    lines_blank: Mapped[int] = mapped_column(BigInteger, default=0)
    lines_read: Mapped[int] = mapped_column(BigInteger, default=0)
    lines_rejected: Mapped[int] = mapped_column(BigInteger, default=0)
    readings_added: Mapped[int] = mapped_column(BigInteger, default=0)
    readings_duplicate: Mapped[int] = mapped_column(BigInteger, default=0)
    readings_replaced: Mapped[int] = mapped_column(BigInteger, default=0)
    cells_missing: Mapped[int] = mapped_column(BigInteger, default=0)
    cells_not_numeric: Mapped[int] = mapped_column(BigInteger, default=0)
    first_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error_code: Mapped[str | None] = mapped_column(String(64))
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    heartbeat_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    source: Mapped[Source | None] = relationship()
    account: Mapped[Account | None] = relationship()


class UploadSensor(Base):
    """Which sensors an upload wrote to, how many readings it added, and whether it made the sensor."""

    __tablename__ = "upload_sensor"
    upload_id: Mapped[int] = mapped_column(ForeignKey("upload.id", ondelete="CASCADE"), primary_key=True)
    sensor_id: Mapped[int] = mapped_column(ForeignKey("sensor.id", ondelete="CASCADE"), primary_key=True)
    added: Mapped[int] = mapped_column(BigInteger, default=0)
    created: Mapped[bool] = mapped_column(default=False)

    sensor: Mapped[Sensor] = relationship()


class UploadIssue(Base):
    """One line or cell of an upload that could not be read. rejected: the whole line was left out because of it."""

    __tablename__ = "upload_issue"
    __table_args__ = (Index("ix_upload_issue_upload_id_line", "upload_id", "line"),)
    id: Mapped[int] = mapped_column(BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)
    upload_id: Mapped[int] = mapped_column(ForeignKey("upload.id", ondelete="CASCADE"))
    line: Mapped[int] = mapped_column(BigInteger)
    column: Mapped[str] = mapped_column(String(200), default="")
    value: Mapped[str] = mapped_column(String(200), default="")
    reason: Mapped[str] = mapped_column(String(300))
    rejected: Mapped[bool] = mapped_column(default=True)


class Chat(Base):
    """A conversation that the bot is part of; the id is Telegram's own.

    next_send_at: when the sender next looks at this chat; null while nothing waits to be sent to it. paced_until: see
    daybook/outbox.py. migrated_to: the supergroup that this group has become. last_undo_at: when the last /undo of
    anybody here was written; no entry written later can have come too late for one.
    """

    __tablename__ = "chat"
    __table_args__ = (Index("ix_chat_next_send_at", "next_send_at"),)
    chat_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(16), default="private")
    title: Mapped[str] = mapped_column(String(255), default="")
    timezone: Mapped[str] = mapped_column(String(64), default="UTC")
    source_id: Mapped[int | None] = mapped_column(ForeignKey("source.id", ondelete="SET NULL"))
    migrated_to: Mapped[int | None] = mapped_column(BigInteger)
    next_send_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    paced_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_undo_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)

    source: Mapped[Source | None] = relationship()


# What the sender looks for. Written out, because SQLite uses the index only for the same words.
WAITING = sa.text("direction = 'out' AND status IN ('queued', 'sending')")


class Message(Base):
    """One chat message.

    direction in: received, handled, ignored or failed. direction out: queued, sending, sent, failed, or gone (the
    person has blocked the bot, or the chat is no more). method and payload: the Bot API's method, and its parameters
    beside chat_id and text. written_by: the name that the admin who wrote it had then; None where the bot says it of
    itself.
    """

    __tablename__ = "message"
    __table_args__ = (
        Index("ix_message_chat_id_sent_at", "chat_id", "sent_at"),
        Index("ix_message_sent_at", "sent_at", "id"),
        Index("ix_message_sender_id_sent_at", "sender_id", "sent_at"),
        Index("ix_message_status", "status", "id"),
        Index("ix_message_update_id", "update_id"),
        Index("ix_message_sensor_id", "sensor_id"),
        Index("ix_message_waiting", "chat_id", "id", postgresql_where=WAITING, sqlite_where=WAITING),
        Index("ux_message_telegram_message_id", "chat_id", "telegram_message_id", "direction", unique=True),
        IDS_ARE_GIVEN_ONCE,
    )
    id: Mapped[int] = mapped_column(BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)
    chat_id: Mapped[int] = mapped_column(BigInteger)
    telegram_message_id: Mapped[int | None] = mapped_column(BigInteger)
    update_id: Mapped[int | None] = mapped_column(ForeignKey("telegram_update.update_id", ondelete="SET NULL"))
    sender_id: Mapped[int | None] = mapped_column(ForeignKey("telegram_user.user_id", ondelete="SET NULL"))
    direction: Mapped[str] = mapped_column(String(8))
    text: Mapped[str] = mapped_column(String(4096))
    sent_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    edited_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    status: Mapped[str] = mapped_column(String(16), default="received")
    sensor_id: Mapped[int | None] = mapped_column(ForeignKey("sensor.id", ondelete="SET NULL"))
    reading_time: Mapped[datetime | None] = mapped_column(UtcDateTime)
    method: Mapped[str] = mapped_column(String(32), default="sendMessage")
    payload: Mapped[dict[str, Any]] = mapped_column(sa.JSON, default=dict)
    reply_to_id: Mapped[int | None] = mapped_column(BigInteger)
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str | None] = mapped_column(Text)
    written_by: Mapped[str | None] = mapped_column(String(200))


class DeletedMessage(Base):
    """The number in its chat, and the time, of a message that an admin has deleted: its sender may still edit it, and
    that edit is no message that comes late. Nothing of what it said is kept. The time, because another bot in the same
    chat counts its messages anew."""

    __tablename__ = "deleted_message"
    chat_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    telegram_message_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    sent_at: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)


class MessageReading(Base):
    """A reading that a message made: which line of it, and whether it has been taken back since."""

    __tablename__ = "message_reading"
    __table_args__ = (Index("ix_message_reading_sensor_id_time", "sensor_id", "time"),)
    id: Mapped[int] = mapped_column(BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)
    message_id: Mapped[int] = mapped_column(ForeignKey("message.id", ondelete="CASCADE"), index=True)
    line: Mapped[int]
    sensor_id: Mapped[int] = mapped_column(ForeignKey("sensor.id", ondelete="CASCADE"))
    time: Mapped[datetime] = mapped_column(ReadingTime)
    value: Mapped[float] = mapped_column(sa.Double)
    taken_back_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Reading(Base):
    """(sensor, time, value). A hypertable on PostgreSQL; no foreign keys, they would cost a trigger per row."""

    __tablename__ = "reading"
    __table_args__ = ({"sqlite_with_rowid": False},)
    sensor_id: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=False)
    time: Mapped[datetime] = mapped_column(ReadingTime, primary_key=True)
    value: Mapped[float] = mapped_column(sa.Double)
    upload_id: Mapped[int | None] = mapped_column(sa.Integer)


class Replacement(Base):
    """A reading of an upload (value) where the book had another one (old_value, brought by old_upload_id).

    While the upload is importing, the old one still stands in the table of readings; once it is done, the new one
    does, and the old one waits here until the upload is undone (daybook/replacements.py). No foreign keys, as above.
    """

    __tablename__ = "replacement"
    __table_args__ = ({"sqlite_with_rowid": False},)
    upload_id: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=False)
    time: Mapped[datetime] = mapped_column(ReadingTime, primary_key=True)
    sensor_id: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=False)
    value: Mapped[float] = mapped_column(sa.Double)
    old_value: Mapped[float] = mapped_column(sa.Double)
    old_upload_id: Mapped[int | None] = mapped_column(sa.Integer)


class Counter(Base):
    """A named number that people click up."""

    __tablename__ = "counter"
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger, default=0)


class AuditEntry(Base):
    """Who changed what, when, from what to what (daybook/audit.py).

    origin: page, api, command or chat. actor: the name they had then, which stays when the account or person goes.
    changes: {field: [before, after]}.
    """

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index("ix_audit_entry_object", "object_type", "object_id", "id"),
        Index("ix_audit_entry_origin", "origin", "id"),
    )
    id: Mapped[int] = mapped_column(BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now, index=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id", ondelete="SET NULL"))
    telegram_user_id: Mapped[int | None] = mapped_column(BigInteger)
    origin: Mapped[str] = mapped_column(String(16), default="")
    actor: Mapped[str] = mapped_column(String(200), default="")
    action: Mapped[str] = mapped_column(String(32))
    object_type: Mapped[str] = mapped_column(String(32))
    object_id: Mapped[str] = mapped_column(String(64))
    object_repr: Mapped[str] = mapped_column(String(200))
    changes: Mapped[dict[str, Any]] = mapped_column(sa.JSON, default=dict)


class Job(Base):
    """Something that an admin began on many rows, and that goes on without them (daybook/admin/jobs.py).

    status: waiting, running, done, failed or cancelled. position: the key that it has come to. left_out: how many rows
    were left as they were, by the reason why.
    """

    __tablename__ = "job"
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("account.id", ondelete="SET NULL"))
    title: Mapped[str] = mapped_column(String(200))
    task: Mapped[str] = mapped_column(String(64))
    parameters: Mapped[dict[str, Any]] = mapped_column(sa.JSON, default=dict)
    status: Mapped[str] = mapped_column(String(16), default="waiting", index=True)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    total: Mapped[int | None] = mapped_column(BigInteger)
    done: Mapped[int] = mapped_column(BigInteger, default=0)
    changed: Mapped[int] = mapped_column(BigInteger, default=0)
    position: Mapped[str | None] = mapped_column(Text)
    left_out: Mapped[dict[str, int]] = mapped_column(sa.JSON, default=dict)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
