"""What was changed of one row, newest first."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from daybook.models import AuditEntry

_LONGEST = 64  # characters of a key that an entry keeps


def of(connection: Connection, object_type: str, key: object, limit: int, before: int | None = None) -> list[Any]:
    """The entries about this row; `before` the entry with that id."""
    mine = [AuditEntry.object_type == object_type, AuditEntry.object_id == str(key)[:_LONGEST]]
    if len(str(key)) > _LONGEST:  # a name that the audit keeps whole only as what the row was called
        mine.append(AuditEntry.object_repr == str(key))
    query = sa.select(AuditEntry.__table__).where(*mine).order_by(AuditEntry.id.desc()).limit(limit)
    return list(
        connection.execute(query if before is None else query.where(AuditEntry.id < max(min(before, 2**62), 0)))
    )


def latest(connection: Connection, limit: int) -> list[Any]:
    """The newest entries about anything."""
    return list(connection.execute(sa.select(AuditEntry.__table__).order_by(AuditEntry.id.desc()).limit(limit)))
