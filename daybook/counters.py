"""Named numbers that people click up."""

import sqlalchemy as sa

from daybook.extensions import db

_COUNT = sa.text(
    "INSERT INTO counter (name, value) VALUES (:name, 1) "
    "ON CONFLICT (name) DO UPDATE SET value = counter.value + CASE WHEN counter.value < 9223372036854775807 THEN 1 "
    "ELSE 0 END RETURNING value"
)


def count(name: str) -> int:
    """Adds one and returns the new value; at the largest number that a database keeps it stays. One statement does it
    all, so no click is lost between two people. Not in the audit (docs/decisions/0018-what-the-audit-leaves-out.md)."""
    value: int = db.session.execute(_COUNT, {"name": name}).scalar_one()
    db.session.commit()
    return value


def value_of(name: str) -> int:
    """How often it was counted so far."""
    return db.session.scalar(sa.text("SELECT value FROM counter WHERE name = :name"), {"name": name}) or 0
