"""One run of an import, from the first byte of the file to the final state of its upload."""

import errno
import logging
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import psycopg2.errors
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from daybook import audit, raw_copies, removal, replacements, sql
from daybook.batch_queue import BatchQueue
from daybook.config import Settings
from daybook.formats.batch import Batch
from daybook.formats.file_reader import FileReader
from daybook.formats.layout import FormatError
from daybook.import_row import Cancelled, UploadRow
from daybook.import_target import Target
from daybook.models import Upload, UploadSensor, utc_now
from daybook.store_rows import Rules, Stored, sort_rows
from daybook.upload_options import (
    CutOff,
    ImportRefused,
    Options,
    check_size,
    default_source,
    open_file,
    sentence,
)

log = logging.getLogger(__name__)

_PROGRESS_SECONDS = 0.5


class _Superseded(Exception):
    """The upload's row says that somebody else has ended this import."""


class ImportRun:
    """One run; its attributes are what is known so far."""

    def __init__(
        self, engine: Engine, settings: Settings, locks: sql.Locks, upload_id: int, bytes_total: int | None
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._locks = locks
        self._upload_id = upload_id
        self._bytes_total = bytes_total
        self._filename = ""
        self._options = Options()
        self._replaces: int | None = None
        self._row = UploadRow(engine, upload_id)
        self._target = Target(engine, settings, locks, upload_id)
        self._last_progress = time.monotonic()
        self._queue: BatchQueue | None = None

    def run(self, stream: Iterable[bytes]) -> None:
        """Imports the stream; returns when the upload's row says how it ended."""
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
            self._fail("cancelled" if self._row.cancel_requested() else error.code, str(error))
        except ImportRefused as error:
            self._fail(error.code, str(error))
        except _Superseded:
            # Somebody took this import for dead, and has said so in its row; what it stored since goes as well.
            removal.remove_readings(self._engine, self._locks, self._upload_id)
        except BaseException as error:
            log.exception("upload %s failed", self._upload_id)
            self._row.forget_issues()  # one of them may be what could not be stored
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
            self._row.counts.check_rejected(self._options, last=True)
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
        self._row.bytes_done += len(piece)
        check_size(self._row.bytes_done, self._settings)

    # from batches to the store

    def _take(self, batch: Batch, reader: FileReader) -> None:
        if self._queue is None:
            name = self._options.source or default_source(self._filename)
            self._target.open(name, reader.layout, self._replaces, self._report_progress)
            self._queue = BatchQueue(self._engine, self._upload_id, Rules(self._replacing, self._replaces))
        self._row.counts.add(batch)
        self._row.keep_issues(batch.issues)
        self._row.counts.check_rejected(self._options, last=False)
        self._target.know_sensors(batch)
        series = ((self._target.sensors[one.name], one.times, one.values) for one in batch.series)
        rows, repeated = sort_rows(series, keep_last=self._replacing)
        self._row.counts.repeated += repeated
        if len(rows):
            self._queue.put(rows)

    @property
    def _replacing(self) -> bool:
        return self._options.on_duplicate == "replace"

    # what the row says

    def _report_progress(self) -> None:
        now = time.monotonic()
        if now - self._last_progress < _PROGRESS_SECONDS:
            return
        self._last_progress = now
        self._locks.check()
        with self._engine.begin() as connection:
            self._write_counts(connection, heartbeat_at=utc_now())
            self._row.raise_if_cancelled(connection)

    def _write_counts(self, connection: Connection, **more: Any) -> int:
        return self._row.write(connection, self._queue.so_far() if self._queue else (0, 0, 0), **more)

    def _finish(self) -> None:
        assert self._queue is not None
        stored = self._queue.finish()
        sha256 = self._raw.close()
        now, size = utc_now(), self._row.bytes_done
        with self._engine.begin() as connection:
            self._row.raise_if_cancelled(connection)
            if stored.replaced or stored.taken_over.total():
                self._put_in(connection)
            if self._replaces is not None:
                self._replace_upload(connection, self._replaces)
            self._row.raise_if_cancelled(connection)  # replacing many readings takes its time
            self._count(connection, stored)
            if not self._write_counts(
                connection, status="done", sha256=sha256, finished_at=now, heartbeat_at=now, bytes_total=size
            ):
                raise _Superseded
            self._note_done(connection, stored)

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
        if not removal.stop_counting(connection, old, replaced_by=self._upload_id):
            raise RuntimeError(f"upload {old} was taken back by somebody who does not hold the lock of its source")
        self._target.take_over_units(connection, old)

    def _note_done(self, connection: Connection, stored: Stored) -> None:
        changes: dict[str, list[Any]] = {
            "status": [None, "done"],
            "source": [None, self._target.source],
            "readings": [0, stored.added.total()],
        }
        if stored.replaced:
            changes["replaced"] = [0, stored.replaced]
        if self._replaces is not None:
            changes["replaces"] = [None, self._replaces]
        action = "import" if self._replaces is None else "import again"
        audit.note(connection, action, "upload", self._upload_id, self._filename, changes)

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
            if self._row.status(connection) != "done":
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
            source_id = self._target.source_id or None
            told = self._write_counts(
                connection, error_code=code, error=message, source_id=source_id, **removal.NOTHING_STORED
            )
            if not told and self._row.status(connection) == "done":
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
            values = {"sha256": sha256, "bytes_done": self._row.bytes_done, "bytes_total": self._row.bytes_done}
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
