"""Every table, with reading as a hypertable where the database is TimescaleDB."""

import sys

import sqlalchemy as sa
from alembic import op
from flask import current_app

from daybook.sql import ReadingTime, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
LINE_COUNTS = ("total", "preamble", "blank", "read", "rejected")
READING_COUNTS = ("added", "duplicate", "replaced")


def reference(name: str, target: str, on_delete: str = "SET NULL", **options: object) -> sa.Column[int]:
    kind = sa.BigInteger() if name in ("update_id", "sender_id", "telegram_user_id") else sa.Integer()
    return sa.Column(name, kind, sa.ForeignKey(target, ondelete=on_delete), **options)  # type: ignore[arg-type]


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("username", sa.String(64), nullable=False, unique=True),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("last_login_at", UtcDateTime()),
    )
    op.create_table(
        "api_token",
        sa.Column("id", sa.Integer(), primary_key=True),
        reference("account_id", "account.id", "CASCADE", nullable=False, index=True),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("last_used_at", UtcDateTime()),
        sa.Column("expires_at", UtcDateTime()),
    )
    op.create_table(
        "telegram_user",
        sa.Column("user_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("first_name", sa.String(64), nullable=False),
        sa.Column("last_name", sa.String(64), nullable=False),
        sa.Column("username", sa.String(64)),
        sa.Column("status", sa.String(16), nullable=False, index=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        reference("approved_by", "account.id"),
    )
    op.create_table(
        "telegram_update",
        sa.Column("update_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("processed_at", UtcDateTime()),
        sa.Column("error", sa.Text()),
    )
    op.create_table(
        "source",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False, unique=True),
    )
    op.create_table(
        "sensor",
        sa.Column("id", sa.Integer(), primary_key=True),
        reference("source_id", "source.id", "CASCADE", nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("unit", sa.String(64), nullable=False),
        sa.Column("label", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("reading_count", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("source_id", "name"),
    )
    op.create_table(
        "file_type",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.String(100), nullable=False, unique=True),
        sa.Column("layout", sa.JSON(), nullable=False),
    )
    op.create_table(
        "upload",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("filename", sa.String(255), nullable=False),
        sa.Column("bytes_total", sa.BigInteger()),
        sa.Column("bytes_done", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(64)),
        reference("source_id", "source.id", index=True),
        reference("file_type_id", "file_type.id"),
        sa.Column("layout", sa.JSON()),
        sa.Column("options", sa.JSON(), nullable=False),
        reference("account_id", "account.id"),
        reference("api_token_id", "api_token.id"),
        reference("telegram_user_id", "telegram_user.user_id"),
        sa.Column("status", sa.String(16), nullable=False, index=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        *(sa.Column(f"lines_{kind}", sa.BigInteger(), nullable=False) for kind in LINE_COUNTS),
        *(sa.Column(f"readings_{kind}", sa.BigInteger(), nullable=False) for kind in READING_COUNTS),
        sa.Column("cells_missing", sa.BigInteger(), nullable=False),
        sa.Column("cells_not_numeric", sa.BigInteger(), nullable=False),
        sa.Column("first_time", UtcDateTime()),
        sa.Column("last_time", UtcDateTime()),
        sa.Column("error_code", sa.String(64)),
        sa.Column("error", sa.Text()),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("started_at", UtcDateTime()),
        sa.Column("heartbeat_at", UtcDateTime()),
        sa.Column("finished_at", UtcDateTime()),
    )
    op.create_table(
        "upload_sensor",
        reference("upload_id", "upload.id", "CASCADE", primary_key=True),
        reference("sensor_id", "sensor.id", "CASCADE", primary_key=True),
        sa.Column("added", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.Boolean(), nullable=False),
    )
    op.create_table(
        "upload_issue",
        sa.Column("id", BIG_ID, primary_key=True),
        reference("upload_id", "upload.id", "CASCADE", nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("column", sa.String(200), nullable=False),
        sa.Column("value", sa.String(200), nullable=False),
        sa.Column("reason", sa.String(300), nullable=False),
        sa.Column("rejected", sa.Boolean(), nullable=False),
        sa.Index("ix_upload_issue_upload_id_line", "upload_id", "line"),
    )
    op.create_table(
        "message",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("chat_id", sa.BigInteger(), nullable=False),
        sa.Column("telegram_message_id", sa.BigInteger()),
        reference("update_id", "telegram_update.update_id"),
        reference("sender_id", "telegram_user.user_id"),
        sa.Column("direction", sa.String(8), nullable=False),
        sa.Column("text", sa.String(4096), nullable=False),
        sa.Column("sent_at", UtcDateTime(), nullable=False),
        sa.Column("edited_at", UtcDateTime()),
        sa.Column("status", sa.String(16), nullable=False),
        reference("sensor_id", "sensor.id"),
        sa.Column("reading_time", UtcDateTime()),
        sa.Index("ix_message_chat_id_sent_at", "chat_id", "sent_at"),
    )
    op.create_table(
        "counter",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("value", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "audit_entry",
        sa.Column("id", BIG_ID, primary_key=True),
        sa.Column("at", UtcDateTime(), nullable=False, index=True),
        reference("account_id", "account.id"),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("object_type", sa.String(32), nullable=False),
        sa.Column("object_id", sa.String(64), nullable=False),
        sa.Column("object_repr", sa.String(200), nullable=False),
        sa.Column("changes", sa.JSON(), nullable=False),
    )
    op.create_table(
        "reading",
        sa.Column("sensor_id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("time", ReadingTime(), primary_key=True),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("upload_id", sa.Integer()),
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "postgresql":
        make_hypertable()


def make_hypertable() -> None:
    connection = op.get_bind()
    available = connection.scalar(
        sa.text("SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb'")
    )
    if available is None:
        version = str(connection.scalar(sa.text("SHOW server_version"))).split(".")[0]
        raise SystemExit(
            f"This PostgreSQL {version} server has no TimescaleDB extension. Install it on the server (Debian 13: "
            f"package postgresql-{version}-timescaledb; Timescale's own packages: timescaledb-2-postgresql-{version}), "
            "add timescaledb to shared_preload_libraries, restart the server and run this again. "
            "Nothing has been changed."
        )
    try:
        op.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    except sa.exc.DBAPIError as error:
        if "preload" not in str(error.orig):
            raise
        raise SystemExit(
            "TimescaleDB is installed on this server but not loaded. Add timescaledb to shared_preload_libraries in "
            "postgresql.conf, restart the server and run this again. Nothing has been changed."
        ) from None
    interval = current_app.config["DAYBOOK"].chunk_interval
    # No default indexes: the primary key serves every query, and Alembic would want to drop an index it did not make.
    connection.execute(
        sa.text(
            "SELECT create_hypertable('reading', 'time', chunk_time_interval => CAST(:interval AS interval), "
            "create_default_indexes => false)"
        ),
        {"interval": interval},
    )
    if connection.scalar(sa.text("SHOW timescaledb.license")) != "timescale":
        print("This TimescaleDB is the Apache edition: readings stay uncompressed (no columnstore).", file=sys.stderr)
        return
    op.execute(
        "ALTER TABLE reading SET (timescaledb.compress, timescaledb.compress_segmentby = 'sensor_id', "
        "timescaledb.compress_orderby = 'time')"
    )
    # Old enough that late files rarely meet a compressed chunk; writing into one works, only slower.
    op.execute("SELECT add_compression_policy('reading', INTERVAL '180 days')")


def downgrade() -> None:
    for table in (
        "reading audit_entry counter message upload_issue upload_sensor upload file_type sensor source "
        "telegram_update telegram_user api_token account"
    ).split():
        op.drop_table(table)
