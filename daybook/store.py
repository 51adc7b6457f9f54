"""Into the reading table, batch by batch: binary COPY on PostgreSQL, executemany on SQLite.

A batch is one transaction, sorted by (sensor_id, time): short transactions keep the locks that creating a chunk takes
short, and equal order keeps two writers from waiting for each other in a circle. Knows no file format.
"""

from typing import Protocol

from sqlalchemy.engine import Engine

from daybook.store_postgres import PostgresWriter
from daybook.store_rows import SKIP, Rows, Rules, Stored
from daybook.store_sqlite import SqliteWriter


class Writer(Protocol):
    """One connection that stores rows for one upload."""

    def write(self, rows: Rows) -> Stored:
        """Stores the rows in one transaction; when it returns they are committed."""

    def close(self) -> None:
        """Gives the connection back."""


def open_writer(engine: Engine, upload_id: int, rules: Rules = SKIP) -> Writer:
    """A writer for that upload on this database."""
    writer = PostgresWriter if engine.dialect.name == "postgresql" else SqliteWriter
    return writer(engine, upload_id, rules)


def writers_wanted(engine: Engine) -> int:
    """How many writers one import uses: SQLite has one at a time; a third on PostgreSQL gains nothing on two cores."""
    return 2 if engine.dialect.name == "postgresql" else 1
