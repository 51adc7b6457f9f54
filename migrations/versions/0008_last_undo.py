"""When somebody has last written /undo in a chat: an entry that is younger needs no look at the /undos."""

import sqlalchemy as sa
from alembic import op

from daybook.sql import UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("chat", sa.Column("last_undo_at", UtcDateTime()))
    op.execute(
        "UPDATE chat SET last_undo_at = (SELECT max(message.sent_at) FROM message WHERE message.direction = 'in' "
        "AND lower(message.text) LIKE '/undo%' AND (message.chat_id = chat.chat_id OR message.chat_id IN "
        "(SELECT old.chat_id FROM chat AS old WHERE old.migrated_to = chat.chat_id)))"
    )


def downgrade() -> None:
    op.drop_column("chat", "last_undo_at")
