"""Readings into the table of SQLite: prepared inserts."""

from typing import Any

from sqlalchemy.engine import Engine

from daybook.store_meeting import Meeting
from daybook.store_rows import SKIP, Rows, Rules, Stored, by_sensor


class SqliteWriter:
    """Prepared inserts, one transaction a batch, sensor by sensor so that each one's gain is known."""

    def __init__(self, engine: Engine, upload_id: int, rules: Rules = SKIP) -> None:
        self._upload_id = upload_id
        self._rules = rules
        self._pooled = engine.raw_connection()
        self._connection: Any = self._pooled.driver_connection
        self._expect_duplicates = False

    def write(self, rows: Rows) -> Stored:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            stored = self._meet(rows) if self._expect_duplicates else self._insert(rows)
            if stored.duplicates and not self._rules.skip_all and not self._expect_duplicates:
                self._connection.execute("ROLLBACK")
                self._connection.execute("BEGIN IMMEDIATE")
                stored = self._meet(rows)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        inserted = stored.added.total() - stored.taken_over.total()
        self._expect_duplicates = not self._rules.skip_all and inserted < len(rows)
        return stored

    def _insert(self, rows: Rows) -> Stored:
        stored = Stored()
        statement = "INSERT INTO reading VALUES ({}, ?, ?, {}) ON CONFLICT DO NOTHING"
        for sensor_id, pairs, count in by_sensor(rows):
            added = self._connection.executemany(statement.format(sensor_id, self._upload_id), pairs).rowcount
            stored.added[sensor_id] += added
            stored.duplicates += count - added
        return stored

    def _meet(self, rows: Rows) -> Stored:
        columns = {
            "incoming": "sensor_id, time, value REAL, upload_id",
            "met": "sensor_id, time, value REAL, there REAL, owner, pending, base, base_value REAL",
        }
        for table, names in columns.items():
            self._connection.execute(f"CREATE TEMPORARY TABLE IF NOT EXISTS {table} ({names})")
            self._connection.execute(f"DELETE FROM {table}")  # noqa: S608
        statement = "INSERT INTO incoming VALUES ({}, ?, ?, {})"
        for sensor_id, pairs, _ in by_sensor(rows):
            self._connection.executemany(statement.format(sensor_id, self._upload_id), pairs)
        there = ["CROSS JOIN reading AS there ON there.sensor_id = incoming.sensor_id AND there.time = incoming.time"]
        return Meeting(self._upload_id, self._rules, there, "true").settle(self._connection.cursor(), rows)

    def close(self) -> None:
        self._pooled.close()
