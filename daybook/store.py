"""Into the reading table, batch by batch: binary COPY on PostgreSQL, executemany on SQLite.

A batch is one transaction, sorted by (sensor_id, time): short transactions keep the locks that creating a chunk takes
short, and equal order keeps two writers from waiting for each other in a circle. Knows no file format.
"""

import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import psycopg2
import psycopg2.errors
from sqlalchemy.engine import Engine

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


@dataclass(frozen=True)
class Rules:
    """What becomes of a row whose key is in the book: a duplicate, which changes nothing, unless the rules say else.

    replace: it takes the place of the reading there, if that has another value; of two in one file the last one counts.
    instead_of: the upload that will be taken back when this one is done. It is as if its readings had gone already.
    """

    replace: bool = False
    instead_of: int | None = None

    @property
    def skip_all(self) -> bool:
        """Whether every row that is there already is a duplicate."""
        return not self.replace and self.instead_of is None


SKIP = Rules()


@dataclass
class Stored:
    """What became of some rows: rows = added + duplicates + replaced.

    added: how many each sensor gained. taken_over: how many of these wait to take the place of a reading of the upload
    that this one stands in for, so that the table gains none. duplicates change nothing. replaced wait to take the
    place of another reading.
    """

    added: Counter[int] = field(default_factory=Counter)
    duplicates: int = 0
    replaced: int = 0
    taken_over: Counter[int] = field(default_factory=Counter)

    def add(self, other: "Stored") -> None:
        self.added.update(other.added)
        self.duplicates += other.duplicates
        self.replaced += other.replaced
        self.taken_over.update(other.taken_over)


def sort_rows(series: Iterable[tuple[int, Int64s, Float64s]], keep_last: bool = False) -> tuple[Rows, int]:
    """Puts (sensor_id, times, values) together into sorted rows; of two readings of one sensor at one time the first
    is kept, or the last. Returns the rows and how many were left out that way."""
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
            changes = np.diff(own_times) > 0
            kept = np.append(changes, True) if keep_last else np.append(True, changes)
            repeated += int(len(kept) - kept.sum())
            own_times, own_values = own_times[kept], own_values[kept]
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


def open_writer(engine: Engine, upload_id: int, rules: Rules = SKIP) -> Writer:
    """A writer for that upload on this database."""
    writer = PostgresWriter if engine.dialect.name == "postgresql" else SqliteWriter
    return writer(engine, upload_id, rules)


def writers_wanted(engine: Engine) -> int:
    """How many writers one import uses: SQLite has one at a time; a third on PostgreSQL gains nothing on two cores."""
    return 2 if engine.dialect.name == "postgresql" else 1


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
        return Stored(_per_sensor(rows))

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
            stored = _Meeting(self._upload_id, self._rules, there, within, sql.READ_BOTH_ONCE).settle(cursor, rows)
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
        for sensor_id, pairs, count in _by_sensor(rows):
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
        for sensor_id, pairs, _ in _by_sensor(rows):
            self._connection.executemany(statement.format(sensor_id, self._upload_id), pairs)
        there = ["CROSS JOIN reading AS there ON there.sensor_id = incoming.sensor_id AND there.time = incoming.time"]
        return _Meeting(self._upload_id, self._rules, there, "true").settle(self._connection.cursor(), rows)

    def close(self) -> None:
        self._pooled.close()


def _by_sensor(rows: Rows) -> Iterable[tuple[int, Iterable[tuple[int, float]], int]]:
    """(sensor_id, its (time, value) pairs, their number), sensor by sensor."""
    starts = np.flatnonzero(np.diff(rows.sensor_ids, prepend=-1)).tolist()
    for start, end in zip(starts, [*starts[1:], len(rows)], strict=True):
        pairs = zip(rows.times[start:end].tolist(), rows.values[start:end].tolist(), strict=True)
        yield int(rows.sensor_ids[start]), pairs, end - start


def _per_sensor(rows: Rows) -> Counter[int]:
    ids, counts = np.unique(rows.sensor_ids, return_counts=True)
    return Counter(dict(zip(ids.tolist(), counts.tolist(), strict=True)))


class _Meeting:
    """Rows of the temporary table `incoming` meet what is in the book, by rules other than SKIP.

    The table `met` gets a row for each whose key is taken: by which value, of which upload (owner, 0 where it has
    none); pending: this upload wants the key already, by an earlier batch; base: there is a reading, other than that of
    the upload which is about to go; base_value: its value.

    The words are the same for both databases, but for `there`, which joins `incoming` to the reading of its key, part
    by part, and `within`, a condition that says in which stretch of time `reading` has to be looked at.
    """

    def __init__(
        self, upload_id: int, rules: Rules, there: Sequence[str], within: str, read_both_once: str = ""
    ) -> None:
        self._me, self._gone = upload_id, rules.instead_of or -1
        self._there, self._within, self._read_both_once = there, within, read_both_once
        if rules.replace:
            # Of two readings in one file the last one counts: it may change its mind about what it wants.
            self._wanted = f"(owner <> {self._me} AND (base = 0 OR value <> base_value))"
            self._not_any_more = f"(owner <> {self._me} AND base = 1 AND value = base_value AND pending = 1)"
            self._changed = f"(met.owner = {self._me} AND met.value <> met.there)"
        else:
            self._wanted = "(base = 0 AND pending = 0)"
            self._not_any_more = self._changed = "(1 = 0)"

    def settle(self, cursor: Any, rows: Rows) -> Stored:
        """Stores what is new, notes what is to replace something; the caller commits."""
        self._find(cursor)
        cursor.execute(
            f"SELECT sensor_id, count(*), sum(CASE WHEN base = 0 AND pending = 0 THEN 1 ELSE 0 END), "  # noqa: S608
            f"sum(CASE WHEN {self._wanted} AND base = 1 AND pending = 0 THEN 1 ELSE 0 END), "
            f"sum(CASE WHEN {self._not_any_more} THEN 1 ELSE 0 END), sum(CASE WHEN {self._changed} THEN 1 ELSE 0 END) "
            "FROM met GROUP BY sensor_id"
        )
        stored, met, released, changed = Stored(_per_sensor(rows)), 0, 0, 0
        for sensor_id, count, taken_over, replaced, not_any_more, other in cursor.fetchall():
            stored.added[sensor_id] += taken_over - count
            stored.taken_over[sensor_id] += taken_over
            stored.replaced += replaced - not_any_more
            met, released, changed = met + count, released + not_any_more, changed + other
        stored.duplicates = len(rows) - stored.added.total() - stored.replaced
        if met < len(rows):
            self._insert(cursor, len(rows) - met)
        if met:
            self._want(cursor)
        if changed:
            self._change(cursor)
        if released:
            self._release(cursor)
        return stored

    def _find(self, cursor: Any) -> None:
        same = "time = incoming.time AND sensor_id = incoming.sensor_id"
        # LIMIT keeps PostgreSQL from making a table of all that the upload wants, once for every batch.
        pending = f"(SELECT 1 FROM replacement WHERE upload_id = {self._me} AND {same} LIMIT 1)"  # noqa: S608
        below = f"(SELECT old_value FROM replacement WHERE upload_id = {self._gone} AND {same} LIMIT 1)"  # noqa: S608
        goes = f"there.upload_id = {self._gone}"
        for there in self._there:
            cursor.execute(
                "INSERT INTO met SELECT incoming.sensor_id, incoming.time, incoming.value, there.value, "  # noqa: S608
                f"coalesce(there.upload_id, 0), CASE WHEN {pending} IS NULL THEN 0 ELSE 1 END, "
                f"CASE WHEN {goes} AND {below} IS NULL THEN 0 ELSE 1 END, "
                f"CASE WHEN {goes} THEN {below} ELSE there.value END FROM incoming {there}"
            )

    def _insert(self, cursor: Any, count: int) -> None:
        cursor.execute(
            "INSERT INTO reading (sensor_id, time, value, upload_id) SELECT sensor_id, time, value, upload_id "
            "FROM incoming WHERE true ORDER BY sensor_id, time ON CONFLICT DO NOTHING"
        )
        if cursor.rowcount != count:
            raise RuntimeError(
                f"{cursor.rowcount} of {count} new readings were stored: another writer is in the source"
            )

    def _want(self, cursor: Any) -> None:
        cursor.execute(
            "INSERT INTO replacement (upload_id, time, sensor_id, value, old_value, old_upload_id) "  # noqa: S608
            f"SELECT {self._me}, time, sensor_id, value, there, nullif(owner, 0) FROM met WHERE {self._wanted} "
            "ORDER BY time, sensor_id ON CONFLICT (upload_id, time, sensor_id) DO UPDATE SET value = excluded.value"
        )

    def _release(self, cursor: Any) -> None:
        if self._read_both_once:
            cursor.execute(self._read_both_once)
        cursor.execute(
            f"DELETE FROM replacement WHERE upload_id = {self._me} AND (time, sensor_id) IN "  # noqa: S608
            f"(SELECT time, sensor_id FROM met WHERE {self._not_any_more})"
        )

    def _change(self, cursor: Any) -> None:
        cursor.execute(
            f"UPDATE reading SET value = met.value FROM met WHERE {self._changed} AND {self._within} "  # noqa: S608
            "AND reading.sensor_id = met.sensor_id AND reading.time = met.time"
        )
