"""Who wrote a message as the bot."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Null for what is there: the audit tells who wrote to whom, but not which message it was.
    op.add_column("message", sa.Column("written_by", sa.String(200)))


def downgrade() -> None:
    op.drop_column("message", "written_by")
