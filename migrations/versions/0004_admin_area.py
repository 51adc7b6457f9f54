"""What the admin area needs: sessions, throttled logins, who made a change, work on many rows, ways to find rows."""

import logging

import sqlalchemy as sa
from alembic import op

from daybook.sql import UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

log = logging.getLogger("alembic.runtime.migration")

INDEXES = (
    ("ix_message_sent_at", "message", ["sent_at", "id"]),
    ("ix_message_sender_id_sent_at", "message", ["sender_id", "sent_at"]),
    ("ix_message_status", "message", ["status", "id"]),
    ("ix_message_update_id", "message", ["update_id"]),
    ("ix_message_sensor_id", "message", ["sensor_id"]),
    ("ix_telegram_update_received_at", "telegram_update", ["received_at", "update_id"]),
    ("ix_upload_created_at", "upload", ["created_at", "id"]),
    ("ix_audit_entry_origin", "audit_entry", ["origin", "id"]),
    ("ix_audit_entry_object", "audit_entry", ["object_type", "object_id", "id"]),
)
PARTS_OF_WORDS = (
    ("ix_message_text_trgm", "message", ("text",)),
    ("ix_audit_entry_words_trgm", "audit_entry", ("object_repr", "actor", "action")),
)


def upgrade() -> None:
    op.create_table(
        "login_session",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column(
            "account_id", sa.Integer(), sa.ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True
        ),
        sa.Column("key_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("last_seen_at", UtcDateTime(), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("browser", sa.String(200), nullable=False),
    )
    op.create_table(
        "login_throttle",
        sa.Column("kind", sa.String(8), primary_key=True),
        sa.Column("subject", sa.String(64), primary_key=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_failure_at", UtcDateTime(), nullable=False),
        sa.Column("wait_until", UtcDateTime()),
    )
    op.create_table(
        "job",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("account_id", sa.Integer(), sa.ForeignKey("account.id", ondelete="SET NULL")),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("task", sa.String(64), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False, index=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("total", sa.BigInteger()),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime()),
    )
    # The defaults are for rows that are there already. A plain number as telegram_user_id: SQLite adds no foreign key
    # to a table that is there, and the entry outlives the person anyway.
    op.add_column("account", sa.Column("timezone", sa.String(64), nullable=False, server_default="UTC"))
    op.add_column("audit_entry", sa.Column("telegram_user_id", sa.BigInteger()))
    op.add_column("audit_entry", sa.Column("origin", sa.String(16), nullable=False, server_default=""))
    op.add_column("audit_entry", sa.Column("actor", sa.String(200), nullable=False, server_default=""))
    for name, table, columns in INDEXES:
        op.create_index(name, table, columns)
    waits = sa.text("processed_at IS NULL")
    where = {"postgresql_where": waits, "sqlite_where": waits}
    op.create_index("ix_telegram_update_waiting", "telegram_update", ["update_id"], **where)
    if op.get_bind().dialect.name == "postgresql":
        _index_parts_of_words()


def _index_parts_of_words() -> None:
    """Indexes of three-letter parts, with which a search in a million messages need not read them all."""
    connection = op.get_bind()
    try:
        with connection.begin_nested():
            connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            for name, table, columns in PARTS_OF_WORDS:
                parts = ", ".join(f"{column} gin_trgm_ops" for column in columns)
                connection.exec_driver_sql(f"CREATE INDEX {name} ON {table} USING gin ({parts})")
    except sa.exc.DBAPIError as error:
        log.warning("Searching in messages will read all of them: pg_trgm cannot be used (%s)", error.orig)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for name, _, _ in PARTS_OF_WORDS:
            op.execute(f"DROP INDEX IF EXISTS {name}")
    op.drop_index("ix_telegram_update_waiting", "telegram_update")
    for name, table, _ in reversed(INDEXES):
        op.drop_index(name, table)
    for column in ("actor", "origin", "telegram_user_id"):
        op.drop_column("audit_entry", column)
    op.drop_column("account", "timezone")
    op.drop_table("job")
    op.drop_table("login_throttle")
    op.drop_table("login_session")
