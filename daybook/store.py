"""Into the reading table and out of it again, batch by batch: binary COPY on PostgreSQL, executemany on SQLite.

A batch is one transaction, sorted by (sensor_id, time): short transactions keep the locks that creating a chunk takes
short, and equal order keeps two writers from waiting for each other in a circle. Knows no file format.
"""

import random
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import psycopg2
import psycopg2.errors
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from daybook import sql

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]

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


@dataclass(frozen=True)
class Rows:
    """Readings ready to be stored: sorted by (sensor_id, time), no pair twice. time: microseconds since 1970, UTC."""

    sensor_ids: Int32s
    times: Int64s
    values: Float64s

    def __len__(self) -> int:
        return len(self.times)

    def ranges(self) -> dict[int, tuple[int, int]]:
        """First and last time per sensor."""
        starts = np.flatnonzero(np.diff(self.sensor_ids, prepend=-1))
        ends = np.append(starts[1:], len(self.times)) - 1
        return {
            int(self.sensor_ids[start]): (int(self.times[start]), int(self.times[end]))
            for start, end in zip(starts, ends, strict=True)
        }


@dataclass
class Stored:
    """What became of some rows: how many each sensor gained; duplicates were there before and stayed as they were."""

    added: Counter[int] = field(default_factory=Counter)
    duplicates: int = 0

    def add(self, other: "Stored") -> None:
        self.added.update(other.added)
        self.duplicates += other.duplicates


def sort_rows(series: Iterable[tuple[int, Int64s, Float64s]]) -> tuple[Rows, int]:
    """Puts (sensor_id, times, values) together into sorted rows; of two readings of one sensor at one time the first
    is kept. Returns the rows and how many were left out that way."""
    ids, stamps, values = [], [], []
    repeated = 0
    by_sensor: dict[int, list[tuple[Int64s, Float64s]]] = {}
    for sensor_id, some_times, some_values in series:
        by_sensor.setdefault(sensor_id, []).append((some_times, some_values))
    for sensor_id in sorted(by_sensor):
        parts = by_sensor[sensor_id]
        own_times = parts[0][0] if len(parts) == 1 else np.concatenate([part[0] for part in parts])
        own_values = parts[0][1] if len(parts) == 1 else np.concatenate([part[1] for part in parts])
        steps = np.diff(own_times)
        if (steps <= 0).any():
            order = np.argsort(own_times, kind="stable")
            own_times, own_values = own_times[order], own_values[order]
            first = np.append(True, np.diff(own_times) > 0)
            repeated += int(len(first) - first.sum())
            own_times, own_values = own_times[first], own_values[first]
        ids.append(np.full(len(own_times), sensor_id, np.int32))
        stamps.append(own_times)
        values.append(own_values)
    if not ids:
        return Rows(np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.float64)), 0
    return Rows(np.concatenate(ids), np.concatenate(stamps), np.concatenate(values)), repeated


class Writer(Protocol):
    """One connection that stores rows for one upload."""

    def write(self, rows: Rows) -> Stored:
        """Stores the rows in one transaction; when it returns they are committed."""

    def close(self) -> None:
        """Gives the connection back."""


def open_writer(engine: Engine, upload_id: int) -> Writer:
    """A writer for that upload on this database."""
    return PostgresWriter(engine, upload_id) if engine.dialect.name == "postgresql" else SqliteWriter(engine, upload_id)


def writers_wanted(engine: Engine) -> int:
    """How many writers one import uses: SQLite has one at a time; a third on PostgreSQL gains nothing on two cores."""
    return 2 if engine.dialect.name == "postgresql" else 1


class PostgresWriter:
    """Binary COPY into the hypertable; a batch that meets a key that is there goes through a temporary table."""

    def __init__(self, engine: Engine, upload_id: int) -> None:
        self._upload_id = upload_id
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
                return self._merge(data, len(rows)) if self._expect_duplicates else self._copy(data, rows)
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
        ids, counts = np.unique(rows.sensor_ids, return_counts=True)
        return Stored(Counter(dict(zip(ids.tolist(), counts.tolist(), strict=True))))

    def _merge(self, data: memoryview, count: int) -> Stored:
        with self._connection.cursor() as cursor:
            cursor.execute(
                "CREATE TEMPORARY TABLE IF NOT EXISTS incoming "
                "(sensor_id int, time timestamptz, value double precision, upload_id int) ON COMMIT DELETE ROWS"
            )
            cursor.copy_expert(_COPY.format("incoming"), _Pieces(data), size=1 << 18)
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


class SqliteWriter:
    """Prepared inserts, one transaction a batch, sensor by sensor so that each one's gain is known."""

    def __init__(self, engine: Engine, upload_id: int) -> None:
        self._upload_id = upload_id
        self._pooled = engine.raw_connection()
        self._connection: Any = self._pooled.driver_connection

    def write(self, rows: Rows) -> Stored:
        stored = Stored()
        starts = np.flatnonzero(np.diff(rows.sensor_ids, prepend=-1)).tolist()
        statement = "INSERT INTO reading VALUES ({}, ?, ?, {}) ON CONFLICT DO NOTHING"
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for start, end in zip(starts, [*starts[1:], len(rows)], strict=True):
                sensor_id = int(rows.sensor_ids[start])
                pairs = zip(rows.times[start:end].tolist(), rows.values[start:end].tolist(), strict=True)
                added = self._connection.executemany(statement.format(sensor_id, self._upload_id), pairs).rowcount
                stored.added[sensor_id] += added
                stored.duplicates += end - start - added
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return stored

    def close(self) -> None:
        self._pooled.close()


def remove_upload(connection: Connection, upload_id: int, sensor_ids: Iterable[int]) -> Iterable[tuple[int, int]]:
    """Deletes the readings of the upload, sensor by sensor, each in a transaction of its own.

    Yields (sensor_id, how many went). Goes on where it stopped when it is called again.
    """
    statement = sa.text("DELETE FROM reading WHERE sensor_id = :sensor AND upload_id = :upload")
    for sensor_id in sensor_ids:
        with connection.begin():
            gone = connection.execute(statement, {"sensor": sensor_id, "upload": upload_id}).rowcount
        yield sensor_id, gone
