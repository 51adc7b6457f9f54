"""On SQLite, an id is given once: the number of a row that was deleted is not given to the next one.

PostgreSQL's sequences never do that. SQLite does, unless the table is made with AUTOINCREMENT, and an old Undo button,
an announced upload's address, the audit and a row's history would then speak of somebody else's row.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Every table whose rows can be deleted and whose ids stand elsewhere: in addresses, buttons, the audit, files' names.
# What the audit calls the row; None where it knows none.
TABLES = {
    "account": "account",
    "login_session": None,
    "api_token": "token",
    "source": "source",
    "sensor": "sensor",
    "file_type": "file type",
    "upload": "upload",
    "message": "message",
}
# Columns that keep the id of a row of that table after it is gone, beside the audit.
KEPT_IN = {
    "account": ("SELECT max(CAST(subject AS INTEGER)) FROM login_throttle WHERE kind = 'change'",),
    "upload": ("SELECT max(replaces_id) FROM upload", "SELECT max(old_upload_id) FROM replacement"),
    "message": ("SELECT max(reply_to_id) FROM message",),
}


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    with _nothing_goes_along():
        for table, object_type in TABLES.items():
            _make_again(table, True)
            _begin_above(table, object_type)


def downgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    with _nothing_goes_along():
        for table in TABLES:
            _make_again(table, False)


@contextmanager
def _nothing_goes_along() -> Iterator[None]:
    """Foreign keys are not looked at meanwhile: dropping a table would delete what refers to it.

    SQLite hears that only between two transactions, so this has one of its own, which is whole or not there. Where the
    process dies behind it, before the new version is noted, the migration does the same again and changes nothing.
    """
    connection = op.get_bind()
    driver: Any = connection.connection.driver_connection
    driver.execute("COMMIT")
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        driver.execute("BEGIN IMMEDIATE")
        try:
            yield
            broken = driver.execute("PRAGMA foreign_key_check").fetchall()
            if broken:
                table, row, parent, _ = broken[0]
                raise SystemExit(
                    f"Row {row} of the table {table} refers to a row of {parent} that is not there, and "
                    f"{len(broken) - 1} others are like it. Restore the database from a backup, or delete these rows, "
                    "and run this again. Nothing has been changed."
                )
        except BaseException:
            driver.execute("ROLLBACK")
            raise
        driver.execute("COMMIT")
    finally:
        driver.execute("PRAGMA foreign_keys=ON")
        driver.execute("BEGIN IMMEDIATE")  # what Alembic believes to be in


def _make_again(table: str, given_once: bool) -> None:
    """The table with its rows and indexes, made as SQLite knows it, but for how ids are given."""
    with op.batch_alter_table(table, recreate="always", table_kwargs={"sqlite_autoincrement": given_once}):
        pass


def _begin_above(table: str, object_type: str | None) -> None:
    """The next id is above every one that is known to have been given."""
    connection = op.get_bind()
    highest = [connection.exec_driver_sql(query).scalar() for query in KEPT_IN.get(table, ())]
    highest.append(connection.execute(sa.text(f"SELECT max(id) FROM {table}")).scalar())  # noqa: S608 - our own words
    if object_type is not None:
        query = "SELECT max(CAST(object_id AS INTEGER)) FROM audit_entry WHERE object_type = :kind"
        highest.append(connection.execute(sa.text(query), {"kind": object_type}).scalar())
    start = max(number or 0 for number in highest)
    connection.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table})
    given = {"name": table, "start": start}
    connection.execute(sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :start)"), given)
