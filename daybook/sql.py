"""The only place that knows the two databases apart: column types, connections, locks and time arithmetic.

SQLite keeps a reading's time as whole microseconds since 1970 (UTC); PostgreSQL keeps timestamptz. The rest of the
program hands over aware datetimes or microseconds and does not ask which one it is talking to.
"""

import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.types import TypeDecorator, TypeEngine

Result = TypeVar("Result")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The first of the two numbers of a PostgreSQL advisory lock; the second says which upload or source it guards.
_LOCK_KINDS = {"upload": 0x6461, "source": 0x6462, "setup": 0x6463, "job": 0x6464}
_MICROSECOND = timedelta(microseconds=1)
SQLITE_WAITS = 30  # seconds that a writer waits for the writer before it

# Whether the next SQLite transaction takes the write lock at its start. A transaction that reads first and writes
# later cannot wait for the lock (SQLite answers "database is locked" at once), so only requests that never write
# say False here.
writes_expected: ContextVar[bool] = ContextVar("writes_expected", default=True)


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970-01-01T00:00:00Z of an aware datetime, exactly."""
    return (moment - EPOCH) // _MICROSECOND


def moment(microseconds_since_epoch: int) -> datetime:
    """The aware UTC datetime of that many microseconds since 1970."""
    return EPOCH + timedelta(microseconds=microseconds_since_epoch)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC; naive values are refused because nobody knows what they mean."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class ReadingTime(TypeDecorator[datetime]):
    """The time of a reading: timestamptz on PostgreSQL, whole microseconds since 1970 on SQLite."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.BigInteger())
        return dialect.type_descriptor(sa.DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return microseconds(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return moment(value) if isinstance(value, int) else value.astimezone(UTC)


def engine_options(url: str) -> dict[str, Any]:
    """Pool and driver settings for one process of the server (each running import holds three connections)."""
    if url.startswith("sqlite"):
        connect = {"timeout": SQLITE_WAITS, "check_same_thread": False}
        return {"pool_size": 10, "max_overflow": 40, "connect_args": connect}
    return {
        "pool_size": 10,
        "max_overflow": 40,
        "pool_pre_ping": True,
        "connect_args": {"connect_timeout": 10, "options": "-c timezone=UTC -c jit=off", "application_name": "daybook"},
    }


def prepare(engine: Engine) -> None:
    """Sets SQLite connections up for many readers beside one writer: WAL, explicit BEGIN. PostgreSQL needs nothing."""
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def on_connect(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy says BEGIN, not the driver
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "cache_size=-32768"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes_expected.get() else "BEGIN")


def connections_learn(engine: Engine) -> bool:
    """Whether each new connection reads the catalogue anew at its first statements. SQLite's do so in no time, and to
    write there would mean to wait for whoever writes."""
    return engine.dialect.name == "postgresql"


@contextmanager
def only_reading() -> Iterator[None]:
    """Transactions begun inside do not take SQLite's write lock."""
    token = writes_expected.set(False)
    try:
        yield
    finally:
        writes_expected.reset(token)


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction of its own that may write, whatever the request around it said; committed at the end."""
    token = writes_expected.set(True)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        writes_expected.reset(token)


def note_if_free(engine: Engine, statement: sa.Executable) -> bool:
    """Writes something of little weight, in a transaction of its own; False if SQLite was busy and nothing was written.

    A page that only reads shall not wait half a minute for an import because a time is to be noted with it.
    """
    if engine.dialect.name == "postgresql":
        with writing(engine) as connection:
            connection.execute(statement)
        return True
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.execute("PRAGMA busy_timeout=50")
        token = writes_expected.set(True)
        try:
            with connection.begin():
                connection.execute(statement)
        except sa.exc.OperationalError as error:
            if getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY:
                raise
            return False
        finally:
            writes_expected.reset(token)
            driver.execute(f"PRAGMA busy_timeout={SQLITE_WAITS * 1000}")
    return True


class Locks:
    """Locks that end with the process that holds them, also by kill -9: they tell a running import from a dead one.

    PostgreSQL: session-level advisory locks on one connection. SQLite: flock on small files beside the database.
    A lock is named by what it guards and a number, such as ("upload", 17).
    """

    def __init__(self, engine: Engine) -> None:
        self._folder = Path(f"{engine.url.database}-locks")
        self._held: set[tuple[str, int]] = set()
        self._files: dict[tuple[str, int], int] = {}
        self._connection: Connection | None = None
        if engine.dialect.name == "postgresql":
            self._connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        else:
            self._folder.mkdir(exist_ok=True)

    def try_lock(self, kind: str, number: int, shared: bool = False) -> bool:
        """Takes the lock if nobody holds it (shared: if nobody holds it alone); never waits."""
        if self._connection is not None:
            statement = sa.text(f"SELECT pg_try_advisory_lock{'_shared' if shared else ''}(:kind, :number)")
            if not self._connection.execute(statement, {"kind": _LOCK_KINDS[kind], "number": number}).scalar():
                return False
            self._held.add((kind, number))
            return True
        descriptor = os.open(self._folder / f"{kind}-{number}", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._files[kind, number] = descriptor
        self._held.add((kind, number))
        return True

    def check(self) -> None:
        """Raises OperationalError when the locks are lost, because their connection is."""
        if self._connection is not None:
            self._connection.exec_driver_sql("SELECT 1")

    def holds(self, kind: str, number: int) -> bool:
        """Whether this object took that lock."""
        return (kind, number) in self._held

    def close(self) -> None:
        """Gives every lock back."""
        self._held.clear()
        for descriptor in self._files.values():  # the files stay: one that is removed could be locked twice
            os.close(descriptor)
        self._files.clear()
        if self._connection is not None:
            try:
                self._connection.exec_driver_sql("SELECT pg_advisory_unlock_all()")
            except sa.exc.SQLAlchemyError:  # the connection is gone, and its locks with it
                self._connection.invalidate()
            finally:
                self._connection.close()
                self._connection = None

    def __enter__(self) -> "Locks":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def share_upload_lock(driver_connection: Any, upload_id: int) -> None:
    """Marks a PostgreSQL connection as writing for that upload, for as long as the connection lives.

    A backend can outlive its killed client by the moment it takes to commit what it has already received. Recovery
    takes the upload's lock exclusively, and so waits for such a backend before it removes the upload's readings.
    """
    with driver_connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock_shared(%s, %s)", (_LOCK_KINDS["upload"], upload_id))
    driver_connection.commit()


# Reading out. Times go in as aware datetimes and come out as whole microseconds since 1970.

_EPOCH_OF_POSTGRES = 946_684_800_000_000  # its binary timestamps count from 2000-01-01
_COPY_HEADER, _COPY_TRAILER = 19, 2
_COPY_FIELD = {"t": ">i8", "i": ">i8", "f": ">f8"}
_ARRAY_KIND = {"t": np.int64, "i": np.int64, "f": np.float64}


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection for reading that sees the book as it stands at its first query, for as long as it is open.

    An upload that ends meanwhile stays invisible as a whole. SQLite's write lock is not taken.
    """
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with only_reading():
            connection.begin()
        if engine.dialect.name == "postgresql":
            # Workers add up whatever part of the rows they happen to get: a sum's last digit would change from look to
            # look.
            connection.exec_driver_sql("SET LOCAL max_parallel_workers_per_gather = 0")
        yield connection


def columns(connection: Connection, statement: str, values: dict[str, Any], kinds: str) -> list[npt.NDArray[Any]]:
    """The rows of a query as one array per column. `kinds`: a letter each, t (time), f (double) or i (bigint).

    No column may be null: then every row of PostgreSQL's binary COPY has the same length, and NumPy reads the answer
    where it lies, several times as fast as a driver makes Python objects of it.
    """
    driver = connection.connection.driver_connection
    assert driver is not None
    if connection.dialect.name == "sqlite":
        values = {name: microseconds(value) if isinstance(value, datetime) else value for name, value in values.items()}
        rows = driver.execute(statement, values).fetchall()
        cells = zip(*rows, strict=True) if rows else [()] * len(kinds)
        return [np.array(column, _ARRAY_KIND[kind]) for column, kind in zip(cells, kinds, strict=True)]
    answer = BytesIO()
    with driver.cursor() as cursor:
        query = cursor.mogrify(_for_driver(statement, connection.dialect), values).decode()
        cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT BINARY)", answer)
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    for number, kind in enumerate(kinds):
        fields += [(f"length{number}", ">i4"), (f"cell{number}", _COPY_FIELD[kind])]
    row = np.dtype(fields)
    count = (answer.tell() - _COPY_HEADER - _COPY_TRAILER) // row.itemsize
    table = np.frombuffer(answer.getbuffer(), row, count, _COPY_HEADER)
    return [
        table[f"cell{number}"].astype(_ARRAY_KIND[kind]) + (_EPOCH_OF_POSTGRES if kind == "t" else 0)
        for number, kind in enumerate(kinds)
    ]


@lru_cache(maxsize=256)
def _for_driver(statement: str, dialect: Dialect) -> str:
    """The query with its :names as the driver wants them."""
    return str(sa.text(statement).compile(dialect=dialect))


def by_bytes(connection: Connection, column: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """The column as text that sorts and compares by its bytes on both databases, whatever the server's locale."""
    return sa.collate(column, "BINARY" if connection.dialect.name == "sqlite" else "C")


def bucket_query(connection: Connection, figures: str, source: str) -> str:
    """Buckets of one fixed :width (a timedelta; microseconds on SQLite) counted from :origin, none before :earliest.

    `figures` are the columns after the bucket's start, `source` is what follows FROM.
    """
    if connection.dialect.name == "sqlite":
        # % takes the sign of its left side; adding the width once more floors towards the past.
        start = "max(:earliest, time - ((time - :origin) % :width + :width) % :width)"
    else:
        start = "greatest(time_bucket(:width, time, CAST(:origin AS timestamptz)), :earliest)"
    return f"SELECT {start}, {figures} FROM {source} GROUP BY 1 ORDER BY 1"  # noqa: S608 - our own words only


def calendar_query(connection: Connection, figures: str, source: str) -> str:
    """Buckets between :edges, see edge_values; the first column is the bucket's place among them.

    PostgreSQL looks every reading's bucket up among the edges in one pass; SQLite walks from edge to edge in the index.
    `source` ends in a condition, to which the one on time is added.
    """
    if connection.dialect.name == "sqlite":
        edges = (
            "(SELECT key AS number, json_extract(value, '$[0]') AS start, json_extract(value, '$[1]') AS stop "
            "FROM json_each(:edges)) CROSS JOIN "
        )
        source = f"{edges}{source} AND time >= start AND time < stop"
        number = "number"
    else:
        source += " AND time BETWEEN :first AND :last"
        number = "CAST(width_bucket(time, CAST(:edges AS timestamptz[])) - 1 AS bigint)"
    return f"SELECT {number}, {figures} FROM {source} GROUP BY 1 ORDER BY 1"  # noqa: S608 - our own words only


def bucket_values(connection: Connection, width: int) -> Any:
    """The :width of bucket_query for this database, from microseconds."""
    return width if connection.dialect.name == "sqlite" else timedelta(microseconds=width)


def edge_values(connection: Connection, edges: Sequence[int]) -> Any:
    """The :edges of calendar_query for this database: starts in ascending order, and then the end of the last."""
    if connection.dialect.name == "sqlite":
        return json.dumps(list(pairwise(edges)))
    return [moment(edge) for edge in edges[:-1]]


def insert_or(connection: Connection, model: Any) -> Any:
    """An INSERT that knows `.on_conflict_do_update(…)`, which both databases spell alike."""
    return (postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert)(model)


def insert_new(connection: Connection, model: Any) -> sa.sql.dml.ReturningInsert[Any]:
    """INSERT that leaves rows alone whose key is there already, and returns the first key column of those it made."""
    return _insert_new(connection.dialect.name, model)


@cache
def _insert_new(dialect: str, model: Any) -> sa.sql.dml.ReturningInsert[Any]:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    key = sa.inspect(model).primary_key[0]
    return insert(model).on_conflict_do_nothing().returning(key)


def latest(connection: Connection, sensor_ids: list[int], condition: str) -> list[npt.NDArray[Any]]:
    """(sensor_id, time, value) of each sensor's latest reading, as columns. `condition` begins with AND, or is empty.

    PostgreSQL plans once for all sensors, because planning over many chunks is what takes time; for SQLite a query per
    sensor is two steps in an index, and it has no LATERAL.
    """
    newest = "sensor_id = {}" + condition + " ORDER BY time DESC LIMIT 1"
    if connection.dialect.name == "postgresql":
        query = (
            "SELECT CAST(wanted.id AS bigint), last.time, last.value FROM unnest(:ids) AS wanted(id), "  # noqa: S608
            f"LATERAL (SELECT time, value FROM reading WHERE {newest.format('wanted.id')}) AS last"
        )
        return columns(connection, query, {"ids": sensor_ids}, "itf")
    query = f"SELECT sensor_id, time, value FROM reading WHERE {newest.format(':sensor')}"  # noqa: S608
    found = [columns(connection, query, {"sensor": sensor_id}, "itf") for sensor_id in sensor_ids]
    return [np.concatenate(column) for column in zip(*found, strict=True)]


def is_one_of(connection: Connection, column: Any, values: Sequence[Any]) -> sa.ColumnElement[bool]:
    """The column's value is one of these, of which there may be thousands: one parameter holds them all."""
    if connection.dialect.name == "postgresql":
        return column == sa.any_(sa.literal(list(values), postgresql.ARRAY(column.type)))  # type: ignore[no-any-return]
    listed = sa.select(sa.func.json_each(json.dumps(list(values))).table_valued("value").c.value)
    return column.in_(listed)  # type: ignore[no-any-return]


class TookTooLong(Exception):
    """A query was ended because its time was over."""


@contextmanager
def deadline(connection: Connection, seconds: float) -> Iterator[None]:
    """Ends what this connection asks after about so many seconds, counted on PostgreSQL for each query; raises
    TookTooLong. Nothing else can be asked in the transaction then."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {max(1, round(seconds * 1000))}")
        try:
            yield
        except sa.exc.OperationalError as error:
            if getattr(error.orig, "pgcode", None) != "57014":
                raise
            raise TookTooLong from None
        return
    driver: Any = connection.connection.driver_connection
    until = time.monotonic() + seconds
    driver.set_progress_handler(lambda: time.monotonic() > until, 10_000)
    try:
        yield
    except sa.exc.OperationalError as error:
        if "interrupted" not in str(error.orig):
            raise
        raise TookTooLong from None
    finally:
        driver.set_progress_handler(None, 0)


def chunk_width(connection: Connection) -> int | None:
    """The width of a new chunk of readings in microseconds; None where there are no chunks."""
    if connection.dialect.name == "sqlite":
        return None
    query = (
        "SELECT CAST(extract(epoch FROM time_interval) AS bigint) FROM timescaledb_information.dimensions "
        "WHERE hypertable_name = 'reading'"
    )
    return int(connection.exec_driver_sql(query).scalar_one()) * 1_000_000


# How PostgreSQL joins many readings with others of the same keys. Left to itself it goes by statistics, which nobody
# has gathered yet of rows that were stored a moment ago, and takes a million of them for one: then it reads a whole
# chunk, or reads one of the two sides anew for every row of the other. Each for the rest of the transaction.
LOOK_EACH_UP = "SET LOCAL enable_nestloop = on; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
READ_BOTH_ONCE = "SET LOCAL enable_nestloop = off; SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = off"


def plan_joins(connection: Connection, how: str) -> None:
    """Says how joins are done in this transaction; SQLite, which looks each row up in any case, needs no word."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(how)


def allow_large_changes(connection: Connection) -> None:
    """Lets this transaction change any number of readings in old, compressed chunks (TimescaleDB: 100,000)."""
    if connection.dialect.name == "postgresql":
        limit = "timescaledb.max_tuples_decompressed_per_dml_transaction"  # not in every edition
        connection.exec_driver_sql(f"SELECT set_config(name, '0', true) FROM pg_settings WHERE name = '{limit}'")  # noqa: S608


def is_away(error: BaseException) -> bool:
    """Whether the database cannot be used just now, so that the same work may do later.

    Both drivers call more than that an OperationalError: PostgreSQL's also a statement that is too complex for it,
    SQLite's every statement that makes no sense.
    """
    if isinstance(error, sa.exc.InterfaceError | sa.exc.TimeoutError):
        return True
    if not isinstance(error, sa.exc.DBAPIError):
        return False
    if not isinstance(error, sa.exc.OperationalError):
        return error.connection_invalidated
    too_complex = (getattr(error.orig, "pgcode", None) or "").startswith("54")
    return not too_complex and getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR


def again_after_deadlock(work: Callable[[], Result], attempts: int = 5) -> Result:
    """Does `work`, a whole transaction, again when PostgreSQL ended it to let another writer out of a deadlock."""
    for _ in range(attempts - 1):
        try:
            return work()
        except sa.exc.OperationalError as error:
            if getattr(error.orig, "pgcode", None) not in ("40P01", "40001"):
                raise
    return work()
