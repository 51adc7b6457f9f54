"""What replaced readings were before, and which upload another one stood in for."""

import sqlalchemy as sa
from alembic import op

from daybook.sql import ReadingTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # No foreign keys, as in reading: they would cost a trigger per row. Time before sensor, so that the part of an
    # upload that lies in one chunk lies together.
    op.create_table(
        "replacement",
        sa.Column("upload_id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("time", ReadingTime(), primary_key=True),
        sa.Column("sensor_id", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("old_value", sa.Double(), nullable=False),
        sa.Column("old_upload_id", sa.Integer()),
        sqlite_with_rowid=False,
    )
    # A plain number: uploads are never deleted, and SQLite adds no foreign key to a table that is there.
    op.add_column("upload", sa.Column("replaces_id", sa.Integer()))


def downgrade() -> None:
    op.drop_column("upload", "replaces_id")
    op.drop_table("replacement")
