"""Readings into the hypertable of PostgreSQL: binary COPY, chunks made beforehand."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import psycopg2
import psycopg2.errors
from sqlalchemy.engine import Engine

from daybook import sql
from daybook.store_meeting import Meeting
from daybook.store_rows import SKIP, Rows, Rules, Stored, per_sensor

_COPY = "COPY {} (sensor_id, time, value, upload_id) FROM STDIN (FORMAT BINARY)"
_COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END = b"\xff\xff"
# One row of PostgreSQL's binary COPY (the PostgreSQL manual, "COPY", "Binary Format"): a field count, then each field
# behind its length, all big-endian. No field is null, so every row has the same 42 bytes and a column of them is filled
# in one go.
_COPY_ROW = np.dtype(
    [
        ("fields", ">i2"),
        ("sensor_size", ">i4"),
        ("sensor_id", ">i4"),
        ("time_size", ">i4"),
        ("time", ">i8"),
        ("value_size", ">i4"),
        ("value", ">f8"),
        ("upload_size", ">i4"),
        ("upload_id", ">i4"),
    ]
)
_POSTGRES_EPOCH = 946_684_800_000_000  # 2000-01-01 in microseconds since 1970
_TRIES = 20
_TRY_AGAIN = (
    psycopg2.errors.DeadlockDetected,
    psycopg2.errors.SerializationFailure,
    psycopg2.errors.LockNotAvailable,
)


class PostgresWriter:
    """Binary COPY into the hypertable; a batch that meets a key that is there goes through a temporary table."""

    def __init__(self, engine: Engine, upload_id: int, rules: Rules = SKIP) -> None:
        self._upload_id = upload_id
        self._rules = rules
        self._pooled = engine.raw_connection()
        self._connection: Any = self._pooled.driver_connection
        sql.share_upload_lock(self._connection, upload_id)
        self._expect_duplicates = False
        self._chunk_starts, self._chunk_width = _chunks(self._connection)

    def write(self, rows: Rows) -> Stored:
        self._open_chunks(rows)
        data = _copy_data(rows, self._upload_id)
        for attempt in range(_TRIES):
            try:
                if not self._expect_duplicates:
                    return self._copy(data, rows)
                return self._merge(data, len(rows)) if self._rules.skip_all else self._meet(data, rows)
            except psycopg2.errors.UniqueViolation:
                self._connection.rollback()
                self._expect_duplicates = True
            except _TRY_AGAIN:
                self._connection.rollback()
                time.sleep(random.uniform(0.01, 0.05 * (attempt + 1)))  # noqa: S311 - so that two do not meet again
        raise RuntimeError(f"a batch of {len(rows)} readings met other writers {_TRIES} times over")

    def close(self) -> None:
        # The upload lock belongs to the session. It is given back by name: a server process may outlive its closed
        # connection by some milliseconds, and an undo that comes right after the import would find the lock taken.
        with suppress(psycopg2.Error):
            self._connection.rollback()
            with self._connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock_all()")
            self._connection.commit()
        self._pooled.invalidate()

    def _copy(self, data: memoryview, rows: Rows) -> Stored:
        with self._connection.cursor() as cursor:
            cursor.copy_expert(_COPY.format("reading"), _Pieces(data), size=1 << 18)
        self._connection.commit()
        return Stored(per_sensor(rows))

    def _merge(self, data: memoryview, count: int) -> Stored:
        with self._connection.cursor() as cursor:
            self._copy_incoming(cursor, data)
            cursor.execute(
                "WITH stored AS (INSERT INTO reading (sensor_id, time, value, upload_id) "
                "SELECT sensor_id, time, value, upload_id FROM incoming ORDER BY sensor_id, time "
                "ON CONFLICT DO NOTHING RETURNING sensor_id) SELECT sensor_id, count(*) FROM stored GROUP BY sensor_id"
            )
            added: Counter[int] = Counter(dict(cursor.fetchall()))
        self._connection.commit()
        duplicates = count - added.total()
        self._expect_duplicates = duplicates > 0
        return Stored(added, duplicates)

    def _copy_incoming(self, cursor: Any, data: memoryview) -> None:
        cursor.execute(
            "CREATE TEMPORARY TABLE IF NOT EXISTS incoming "
            "(sensor_id int, time timestamptz, value double precision, upload_id int) ON COMMIT DELETE ROWS"
        )
        cursor.copy_expert(_COPY.format("incoming"), _Pieces(data), size=1 << 18)

    def _meet(self, data: memoryview, rows: Rows) -> Stored:
        with self._connection.cursor() as cursor:
            self._copy_incoming(cursor, data)
            cursor.execute(
                "CREATE TEMPORARY TABLE IF NOT EXISTS met (sensor_id int, time timestamptz, value double precision, "
                "there double precision, owner int, pending int, base int, base_value double precision) "
                "ON COMMIT DELETE ROWS"
            )
            cursor.execute(sql.LOOK_EACH_UP)
            there = [self._readings_of(cursor, first, last) for first, last in self._by_chunk(rows)]
            within = _between(cursor, "reading.time", int(rows.times.min()), int(rows.times.max()))
            stored = Meeting(self._upload_id, self._rules, there, within, sql.READ_BOTH_ONCE).settle(cursor, rows)
        self._connection.commit()
        self._expect_duplicates = stored.added.total() - stored.taken_over.total() < len(rows)
        return stored

    def _by_chunk(self, rows: Rows) -> Iterator[tuple[int, int]]:
        """The first and last time of the rows in each chunk."""
        numbers = rows.times // self._chunk_width
        for number in np.unique(numbers).tolist():
            times = rows.times[numbers == number]
            yield int(times.min()), int(times.max())

    def _readings_of(self, cursor: Any, first: int, last: int) -> str:
        """The join of `incoming` with the readings of one chunk: looking for every key in all of them would cost some
        microseconds per chunk and key. LIMIT makes the planner look keys up, whatever it thinks of their number."""
        return (
            "CROSS JOIN LATERAL (SELECT value, upload_id FROM reading WHERE "  # noqa: S608 - our own words only
            "reading.sensor_id = incoming.sensor_id "
            f"AND reading.time = incoming.time AND {_between(cursor, 'reading.time', first, last)} LIMIT 1) AS there "
            f"WHERE {_between(cursor, 'incoming.time', first, last)}"
        )

    def _open_chunks(self, rows: Rows) -> None:
        """Makes the chunks that the rows will need, each in a transaction of its own.

        Creating a chunk locks the hypertable against every other creation until the transaction ends, and a COPY that
        stumbles over a missing chunk in its middle can deadlock with another. A row that is inserted and deleted again
        in one short transaction leaves its chunk behind and nothing else.
        """
        for start in np.unique(rows.times // self._chunk_width).tolist():
            if start in self._chunk_starts:
                continue
            moment = sql.moment(int(rows.times[rows.times // self._chunk_width == start][0]))
            placeholder = -self._upload_id  # no sensor has this id
            for attempt in range(_TRIES):
                try:
                    with self._connection.cursor() as cursor:
                        cursor.execute("INSERT INTO reading VALUES (%s, %s, 0, NULL)", (placeholder, moment))
                        cursor.execute("DELETE FROM reading WHERE sensor_id = %s AND time = %s", (placeholder, moment))
                    self._connection.commit()
                    break
                except (*_TRY_AGAIN, psycopg2.errors.UniqueViolation):
                    self._connection.rollback()
                    time.sleep(random.uniform(0.01, 0.05 * (attempt + 1)))  # noqa: S311
            self._chunk_starts.add(start)


def _chunks(connection: Any) -> tuple[set[int], int]:
    """The chunks that are there, as numbers of their width, and the width in microseconds."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM time_interval)::bigint FROM timescaledb_information.dimensions "
            "WHERE hypertable_name = 'reading'"
        )
        width = int(cursor.fetchone()[0]) * 1_000_000
        # As numbers: the chunk of the year 1 starts before it, where Python has no datetime.
        cursor.execute(
            "SELECT (extract(epoch FROM range_start) * 1000000)::bigint FROM timescaledb_information.chunks "
            "WHERE hypertable_name = 'reading'"
        )
        starts = {row[0] // width for row in cursor.fetchall()}
    connection.commit()
    return starts, width


def _between(cursor: Any, column: str, first: int, last: int) -> str:
    """The condition that a column of times lies between these microseconds."""
    times = cursor.mogrify("BETWEEN %s AND %s", (sql.moment(first), sql.moment(last))).decode()
    return f"{column} {times}"


def _copy_data(rows: Rows, upload_id: int) -> memoryview:
    body = np.empty(len(rows), _COPY_ROW)
    body["fields"], body["upload_id"] = 4, upload_id
    body["sensor_size"] = body["upload_size"] = 4
    body["time_size"] = body["value_size"] = 8
    body["sensor_id"], body["value"] = rows.sensor_ids, rows.values
    np.subtract(rows.times, _POSTGRES_EPOCH, out=body["time"], casting="unsafe")
    return memoryview(body.view(np.uint8).reshape(-1).data)


class _Pieces:
    """The whole of a binary COPY as the file that psycopg2 reads from."""

    def __init__(self, body: memoryview) -> None:
        self._body = body
        self._sent = -1

    def read(self, size: int) -> bytes:
        if self._sent < 0:
            self._sent = 0
            return bytes(_COPY_HEADER)
        if self._sent >= len(self._body):
            self._sent, end = len(self._body) + 1, self._sent == len(self._body)
            return _COPY_END if end else b""
        piece = self._body[self._sent : self._sent + size]
        self._sent += len(piece)
        return bytes(piece)
