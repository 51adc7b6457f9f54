"""Chats, the outbox, and which readings a message made."""

import sqlalchemy as sa
from alembic import op

from daybook.sql import ReadingTime, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
NEW_IN_MESSAGE = ("error", "next_attempt_at", "attempts", "reply_to_id", "payload", "method")


def upgrade() -> None:
    op.create_table(
        "chat",
        sa.Column("chat_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("title", sa.String(255), nullable=False),
        sa.Column("timezone", sa.String(64), nullable=False),
        sa.Column("source_id", sa.Integer(), sa.ForeignKey("source.id", ondelete="SET NULL")),
        sa.Column("migrated_to", sa.BigInteger()),
        sa.Column("next_send_at", UtcDateTime()),
        sa.Column("paced_until", UtcDateTime()),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Index("ix_chat_next_send_at", "next_send_at"),
    )
    op.add_column("telegram_user", sa.Column("told_at", UtcDateTime()))
    op.add_column("telegram_user", sa.Column("updated_at", UtcDateTime()))
    # The defaults are for rows that are there already. A plain number as reply_to_id: SQLite adds no foreign key to a
    # table that is there.
    op.add_column("message", sa.Column("method", sa.String(32), nullable=False, server_default="sendMessage"))
    op.add_column("message", sa.Column("payload", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("message", sa.Column("reply_to_id", sa.BigInteger()))
    op.add_column("message", sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("message", sa.Column("next_attempt_at", UtcDateTime()))
    op.add_column("message", sa.Column("error", sa.Text()))
    waiting = sa.text("direction = 'out' AND status IN ('queued', 'sending')")
    op.create_index("ix_message_waiting", "message", ["chat_id", "id"], postgresql_where=waiting, sqlite_where=waiting)
    op.create_index(
        "ux_message_telegram_message_id", "message", ["chat_id", "telegram_message_id", "direction"], unique=True
    )
    op.create_table(
        "message_reading",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("message_id", BIG_ID, sa.ForeignKey("message.id", ondelete="CASCADE"), nullable=False, index=True),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("sensor_id", sa.Integer(), sa.ForeignKey("sensor.id", ondelete="CASCADE"), nullable=False),
        sa.Column("time", ReadingTime(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("taken_back_at", UtcDateTime()),
        sa.Index("ix_message_reading_sensor_id_time", "sensor_id", "time"),
    )


def downgrade() -> None:
    op.drop_table("message_reading")
    op.drop_index("ux_message_telegram_message_id", "message")
    op.drop_index("ix_message_waiting", "message")
    for column in NEW_IN_MESSAGE:
        op.drop_column("message", column)
    op.drop_column("telegram_user", "updated_at")
    op.drop_column("telegram_user", "told_at")
    op.drop_table("chat")
