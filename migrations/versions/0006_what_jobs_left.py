"""What a job left as it was, and the numbers of messages that were deleted."""

import sqlalchemy as sa
from alembic import op

from daybook.sql import UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The default is for rows that are there already.
    op.add_column("job", sa.Column("left_out", sa.JSON(), nullable=False, server_default="{}"))
    op.create_table(
        "deleted_message",
        sa.Column("chat_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("telegram_message_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("sent_at", UtcDateTime(), primary_key=True),
    )


def downgrade() -> None:
    op.drop_table("deleted_message")
    op.drop_column("job", "left_out")
