"""One upload, from its first byte to its final state. The upload page, the API and `flask import` all come here.

bytes -> raw copy on disk -> gunzip -> blocks of whole lines -> series -> batches -> store, one piece at a time; nothing
holds the whole file. While it runs, the upload's row says how far it is; its readings are tagged with its id and count
for nobody until the status is done.
"""

import errno
import logging
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, cast

import psycopg2.errors
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from daybook import raw_copies, removal, replacements, sources, sql
from daybook.batch_queue import BatchQueue
from daybook.config import Settings
from daybook.formats.batch import Batch, Issue, Series
from daybook.formats.file_reader import FileReader
from daybook.formats.layout import FormatError, Layout
from daybook.import_counts import Counts
from daybook.models import FileType, Sensor, Upload, UploadIssue, UploadSensor, utc_now
from daybook.source_lock import take_source
from daybook.store import Rules, Stored, sort_rows
from daybook.upload_options import (
    CutOff,
    ImportRefused,
    Options,
    Sender,
    check_size,
    clean_filename,
    default_source,
    open_file,
    sentence,
)

log = logging.getLogger(__name__)

MAX_ISSUES = 100_000
MAX_SENSORS = 10_000  # of one file: each is held in memory, and a column of comments is no column of names
_PROGRESS_SECONDS = 0.5
_SOURCE_WAIT_SECONDS = 600


class Cancelled(Exception):
    """Somebody pressed Cancel."""


class _Superseded(Exception):
    """The upload's row says that somebody else has ended this import."""


def announce(
    engine: Engine,
    filename: str,
    options: Options,
    sender: Sender,
    bytes_total: int | None = None,
    replaces: int | None = None,
) -> int:
    """Makes the row of an upload whose bytes are still to come (status waiting) and returns its id.

    replaces: the id of an upload that is done, and is taken back in the moment in which this one is done.
    """
    with engine.begin() as connection:
        return cast(
            int,
            connection.execute(
                sa.insert(Upload).values(
                    filename=clean_filename(filename),
                    options=asdict(options),
                    bytes_total=bytes_total,
                    replaces_id=replaces,
                    file_type_id=sa.select(FileType.id).where(FileType.name == options.file_type).scalar_subquery(),
                    status="waiting",
                    **asdict(sender),
                )
            ).inserted_primary_key[0],  # type: ignore[index]
        )


def request_cancel(engine: Engine, upload_id: int, patience: float = 0.0) -> None:
    """Asks for the upload to be cancelled; waits up to `patience` seconds until the import has noticed.

    An upload that has ended already stays as it is.
    """
    with engine.begin() as connection:
        never_began = sa.update(Upload).where(Upload.id == upload_id, Upload.status == "waiting")
        connection.execute(never_began.values(status="cancelled", error_code="cancelled", finished_at=utc_now()))
        running = sa.update(Upload).where(Upload.id == upload_id, Upload.status == "importing")
        connection.execute(running.values(cancel_requested=True))
    until = time.monotonic() + patience
    while time.monotonic() < until:
        with sql.only_reading(), engine.connect() as connection:
            if connection.scalar(sa.select(Upload.status).where(Upload.id == upload_id)) != "importing":
                return
        time.sleep(0.1)


def import_stream(
    engine: Engine,
    settings: Settings,
    stream: Iterable[bytes],
    *,
    upload_id: int,
    bytes_total: int | None = None,
) -> None:
    """Imports the announced upload from the stream of its bytes. Returns when its row says how it ended.

    Whatever happens is written into the row, with none of its readings left unless the status is done; only a database
    that cannot be reached, or a killed process, leaves it `importing`, for `removal.recover` to clear.
    """
    with sql.Locks(engine) as locks:
        _Import(engine, settings, locks, upload_id, bytes_total).run(stream)


def import_in_background(
    engine: Engine, settings: Settings, stream: Iterable[bytes], *, upload_id: int, patience: float
) -> None:
    """Begins an import whose bytes are here already, and waits at most `patience` seconds for its end."""

    def run() -> None:
        try:
            import_stream(engine, settings, stream, upload_id=upload_id)
        except Exception:
            log.exception("upload %s stopped; recovery clears it", upload_id)

    thread = threading.Thread(target=run, name=f"import-{upload_id}", daemon=True)
    thread.start()
    thread.join(patience)


class _Import:
    """One run; its attributes are what is known so far."""

    def __init__(
        self, engine: Engine, settings: Settings, locks: sql.Locks, upload_id: int, bytes_total: int | None
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._locks = locks
        self._upload_id = upload_id
        self._bytes_total = bytes_total
        self._bytes_done = 0
        self._filename = ""
        self._options = Options()
        self._replaces: int | None = None
        self._counts = Counts()
        self._issues: list[Issue] = []
        self._last_progress = time.monotonic()
        self._queue: BatchQueue | None = None
        self._source_id = 0
        self._sensors: dict[str, int] = {}
        self._units: dict[str, str] = {}

    def run(self, stream: Iterable[bytes]) -> None:
        self._claim()
        self._raw = raw_copies.RawCopy(self._settings.instance_path / "uploads", self._upload_id)
        pieces = iter(stream)
        keep_raw = False
        try:
            self._raw.begin()
            if self._read_all(pieces):
                self._finish()
            keep_raw = self._settings.keep_uploads
        except Cancelled:
            self._fail("cancelled", "")
            # A browser whose request breaks off sends it again by itself; it is let finish, or gives up first.
            with suppress(CutOff):
                for piece in pieces:
                    self._count_bytes(piece)
        except CutOff as error:
            self._fail("cancelled" if self._cancel_requested() else error.code, str(error))
        except ImportRefused as error:
            self._fail(error.code, str(error))
        except _Superseded:
            # Somebody took this import for dead, and has said so in its row; what it stored since goes as well.
            removal.remove_readings(self._engine, self._locks, self._upload_id)
        except BaseException as error:
            log.exception("upload %s failed", self._upload_id)
            self._issues = []  # one of them may be what could not be stored
            why = _why(error)
            if why.code == "disk_full":
                self._raw.discard()  # first, so that there is room for taking the readings out
            self._fail(why.code, str(why))
            if not isinstance(error, Exception):
                raise
        finally:
            self._close_raw(keep_raw)
        self._remove_replaced()

    def _claim(self) -> None:
        # Shared with the writers' connections; recovery wants it alone, and so keeps its hands off while one lives.
        if not self._locks.try_lock("upload", self._upload_id, shared=True):
            raise ImportRefused("already_running", f"upload {self._upload_id} is being imported already")
        now = utc_now()
        with self._engine.begin() as connection:
            claimed = connection.execute(
                sa.update(Upload)
                .where(Upload.id == self._upload_id, Upload.status == "waiting")
                .values(status="importing", started_at=now, heartbeat_at=now, bytes_total=self._bytes_total)
            ).rowcount
            if not claimed:
                raise ImportRefused("already_imported", f"upload {self._upload_id} is not waiting for its bytes")
            row = connection.execute(
                sa.select(Upload.filename, Upload.options, Upload.replaces_id).where(Upload.id == self._upload_id)
            ).one()
        self._filename = row.filename
        self._replaces = row.replaces_id
        self._options = Options(**row.options)

    def _read_all(self, pieces: Iterator[bytes]) -> bool:
        """Reads the stream to its end; whether the file can be used. Raises Cancelled and CutOff."""
        try:
            self._options.check()
            reader = open_file(self._settings, self._options)
            for piece in pieces:
                self._count_bytes(piece)
                self._raw.write(piece)
                for batch in reader.feed(piece):
                    self._take(batch, reader)
                self._report_progress()
            for batch in reader.end():
                self._take(batch, reader)
            self._counts.check_rejected(self._options, last=True)
        except (FormatError, ImportRefused) as error:
            # The sender is let finish: a browser shows an answer only to a request that it has sent whole, and with
            # the whole file here it can be imported again under other settings.
            self._fail(error.code, sentence(error))
            for piece in pieces:
                self._count_bytes(piece)
                self._raw.write(piece)
            return False
        return True

    def _count_bytes(self, piece: bytes) -> None:
        self._bytes_done += len(piece)
        check_size(self._bytes_done, self._settings)

    # from batches to the store

    def _take(self, batch: Batch, reader: FileReader) -> None:
        if self._queue is None:
            self._open_source(reader.layout)
            self._queue = BatchQueue(self._engine, self._upload_id, Rules(self._replacing, self._replaces))
        self._counts.add(batch)
        self._keep_issues(batch.issues)
        self._counts.check_rejected(self._options, last=False)
        self._know_sensors(batch)
        series = ((self._sensors[one.name], one.times, one.values) for one in batch.series)
        rows, repeated = sort_rows(series, keep_last=self._replacing)
        self._counts.repeated += repeated
        if len(rows):
            self._queue.put(rows)

    @property
    def _replacing(self) -> bool:
        return self._options.on_duplicate == "replace"

    def _open_source(self, layout: Layout | None) -> None:
        """Finds the source and waits for its turn: one import at a time writes into a source, so that no reading is
        passed over as a duplicate of one that another import may still take back."""
        name = self._options.source or default_source(self._filename)

        def waited(seconds: float) -> None:
            if seconds > _SOURCE_WAIT_SECONDS:
                raise ImportRefused(
                    "source_busy",
                    f'another import into "{name}" has been running for {_SOURCE_WAIT_SECONDS // 60} minutes',
                    "Wait until it has ended, or cancel it, and try again.",
                )
            self._report_progress()

        other = self._source_of_replaced()
        self._source_id = take_source(self._engine, self._locks, name, waited, other)
        for source_id in {self._source_id, other or self._source_id}:
            removal.clear_leftovers(self._engine, self._settings, self._locks, source_id, waited)
        self._source_of_replaced()  # once more: it may have been undone while this one waited
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(Upload)
                .where(Upload.id == self._upload_id)
                .values(source_id=self._source_id, layout=layout.to_json() if layout else None)
            )

    def _source_of_replaced(self) -> int | None:
        """The source of the upload that this one replaces, if it does; raises ImportRefused when that is not done."""
        if self._replaces is None:
            return None
        with sql.only_reading(), self._engine.connect() as connection:
            row = connection.execute(
                sa.select(Upload.status, Upload.source_id).where(Upload.id == self._replaces)
            ).one()
        if row.status != "done":
            raise ImportRefused(
                "nothing_to_replace",
                f"upload {self._replaces}, which this one was to replace, is {row.status}",
                "Import the file again on its own.",
            )
        return cast(int, row.source_id)

    def _knows(self, series: Series) -> bool:
        # A narrow file may name the unit later than the sensor.
        return series.name in self._sensors and bool(self._units[series.name] or not series.unit)

    def _know_sensors(self, batch: Batch) -> None:
        wanted = {one.name: one.unit for one in batch.series if not self._knows(one)}
        if not wanted:
            return
        new = [name for name in wanted if name not in self._sensors]
        if len(self._sensors) + len(new) > MAX_SENSORS:
            raise ImportRefused(
                "too_many_sensors",
                f"the file names more than {MAX_SENSORS:,} sensors, such as {new[0]!r}",
                "Is the column that names them really the sensor's name? If it is, split the file.",
            )
        try:
            with self._engine.begin() as connection:
                found = sources.find_or_make_sensors(connection, self._source_id, wanted.items())
                rows = [
                    {"upload_id": self._upload_id, "sensor_id": found[name].id, "added": 0, "created": found[name].made}
                    for name in new
                ]
                if rows:
                    connection.execute(sa.insert(UploadSensor), rows)
        except sources.BadName as error:
            raise ImportRefused("bad_sensor_name", str(error)) from error
        self._sensors |= {name: one.id for name, one in found.items()}
        self._units |= wanted

    def _keep_issues(self, issues: list[Issue]) -> None:
        room = MAX_ISSUES - self._counts.issues
        self._issues += issues[:room]
        self._counts.issues += len(issues[:room])

    # what the row says

    def _report_progress(self) -> None:
        now = time.monotonic()
        if now - self._last_progress < _PROGRESS_SECONDS:
            return
        self._last_progress = now
        self._locks.check()
        with self._engine.begin() as connection:
            self._write_counts(connection, heartbeat_at=utc_now())
            self._raise_if_cancelled(connection)

    def _write_counts(self, connection: Connection, **more: Any) -> int:
        if self._issues:
            connection.execute(
                sa.insert(UploadIssue), [{"upload_id": self._upload_id, **_storable(issue)} for issue in self._issues]
            )
            self._issues = []
        added, duplicates, replaced = self._queue.so_far() if self._queue else (0, 0, 0)
        counts = asdict(self._counts)
        first, last = counts.pop("first_time"), counts.pop("last_time")
        for inner in ("repeated", "issues", "first_rejected"):
            del counts[inner]
        return connection.execute(
            sa.update(Upload)
            .where(Upload.id == self._upload_id, Upload.status == "importing")
            .values(
                {
                    "bytes_done": self._bytes_done,
                    "readings_added": added,
                    "readings_duplicate": duplicates + self._counts.repeated,
                    "readings_replaced": replaced,
                    "first_time": _moment(first),
                    "last_time": _moment(last),
                    **counts,
                    **more,
                }
            )
        ).rowcount

    def _cancel_requested(self) -> bool:
        with sql.only_reading(), self._engine.connect() as connection:
            return bool(connection.scalar(sa.select(Upload.cancel_requested).where(Upload.id == self._upload_id)))

    def _finish(self) -> None:
        assert self._queue is not None
        stored = self._queue.finish()
        sha256 = self._raw.close()
        now, size = utc_now(), self._bytes_done
        with self._engine.begin() as connection:
            self._raise_if_cancelled(connection)
            if stored.replaced or stored.taken_over.total():
                self._put_in(connection)
            if self._replaces is not None:
                self._replace_upload(connection, self._replaces)
            self._raise_if_cancelled(connection)  # replacing many readings takes its time
            self._count(connection, stored)
            if not self._write_counts(
                connection, status="done", sha256=sha256, finished_at=now, heartbeat_at=now, bytes_total=size
            ):
                raise _Superseded

    def _put_in(self, connection: Connection) -> None:
        try:
            replacements.put_in(connection, self._upload_id)
        except replacements.ChangedMeanwhile:
            raise ImportRefused(
                "changed_meanwhile",
                "A reading that this file was to replace was corrected or taken back in the chat at the same time, so "
                "nothing of the file is kept. Upload it again.",
            ) from None

    def _replace_upload(self, connection: Connection, old: int) -> None:
        """Takes the old upload back, and with it what it alone had said of the units of its sensors."""
        if not removal.stop_counting(connection, old):
            raise RuntimeError(f"upload {old} was taken back by somebody who does not hold the lock of its source")
        shared = sa.select(UploadSensor.sensor_id).join(Upload, Upload.id == UploadSensor.upload_id)
        others = shared.where(Upload.status == "done")
        brought = sa.select(UploadSensor.sensor_id).where(UploadSensor.upload_id == old, UploadSensor.created)
        its_own = Sensor.id.in_(brought), Sensor.id.not_in(others), Sensor.label == ""
        # Asked once for all: asked for each of thousands of sensors, this transaction would hold SQLite up for minutes.
        found = set(connection.scalars(sa.select(Sensor.id).where(*its_own)))
        units = [
            {"number": sensor_id, "its_unit": self._units[name].strip()[:64]}
            for name, sensor_id in self._sensors.items()
            if sensor_id in found
        ]
        if units:
            with_number = sa.update(Sensor).where(Sensor.id == sa.bindparam("number"))
            connection.execute(with_number.values(unit=sa.bindparam("its_unit")), units)

    def _status(self, connection: Connection) -> str | None:
        return connection.scalar(sa.select(Upload.status).where(Upload.id == self._upload_id))

    def _raise_if_cancelled(self, connection: Connection) -> None:
        if connection.scalar(sa.select(Upload.cancel_requested).where(Upload.id == self._upload_id)):
            raise Cancelled

    def _count(self, connection: Connection, stored: Stored) -> None:
        """Notes what each sensor has gained: the readings that are in the table now and were not before."""
        for sensor_id, added in sorted(stored.added.items()):
            removal.count_readings(connection, sensor_id, added - stored.taken_over[sensor_id])
            connection.execute(
                sa.update(UploadSensor)
                .where(UploadSensor.upload_id == self._upload_id, UploadSensor.sensor_id == sensor_id)
                .values(added=added)
            )

    def _remove_replaced(self) -> None:
        """Takes the rest of the replaced upload out. It counts for nobody since this one is done."""
        if self._replaces is None:
            return
        with sql.only_reading(), self._engine.connect() as connection:
            if self._status(connection) != "done":
                return
        try:
            removal.remove_readings(self._engine, self._locks, self._replaces)
        except Exception:  # the import is done, and stays so
            log.exception("upload %s could not be taken out to its end; recovery goes on with it", self._replaces)

    def _fail(self, code: str, message: str) -> None:
        """Takes every reading out again and only then says how the upload ended."""
        if self._queue is not None:
            self._queue.abort()
        with self._engine.begin() as connection:
            source_id = self._source_id or None
            told = self._write_counts(
                connection, error_code=code, error=message, source_id=source_id, **removal.NOTHING_STORED
            )
            if not told and self._status(connection) == "done":
                return  # the last step was done, but the connection broke before it could say so
        removal.remove_readings(self._engine, self._locks, self._upload_id)

    def _close_raw(self, keep: bool) -> None:
        if not keep:
            self._raw.discard()
            return
        try:
            sha256 = self._raw.close()
        except OSError:
            log.exception("the copy of upload %s could not be kept", self._upload_id)
            self._raw.discard()
            return
        with self._engine.begin() as connection:
            values = {"sha256": sha256, "bytes_done": self._bytes_done, "bytes_total": self._bytes_done}
            connection.execute(sa.update(Upload).where(Upload.id == self._upload_id).values(values))


def _why(error: BaseException) -> ImportRefused:
    """A failure that is no fault of the file's, in words for the sender."""
    cause = getattr(error, "orig", None) or error
    if (
        (isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT))
        or isinstance(cause, psycopg2.errors.DiskFull)
        or (isinstance(cause, sqlite3.OperationalError) and "full" in str(cause))
    ):
        return ImportRefused("disk_full", "The server's disk is full. Make room on it, then upload the file again.")
    if isinstance(cause, psycopg2.OperationalError | psycopg2.InterfaceError | sqlite3.OperationalError):
        return ImportRefused("database_lost", "The database could not be reached. Upload the file again when it can.")
    return ImportRefused("internal_error", "Something went wrong on the server; its log says what.")


def _storable(issue: Issue) -> dict[str, Any]:
    """The issue's fields as the columns of the table take them."""
    return asdict(replace(issue, column=issue.column[:200], value=issue.value[:200], reason=issue.reason[:300]))


def _moment(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else sql.moment(microseconds)
