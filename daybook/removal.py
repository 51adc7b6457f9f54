"""Taking an upload's readings out again: after a failure, at a person's wish, and after a process was killed."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from daybook import audit, raw_copies, replacements, sql
from daybook.config import Settings
from daybook.models import UNFINISHED, Reading, Sensor, Source, Upload, UploadSensor, utc_now
from daybook.source_lock import SourceBusy, give_up_after, lock_source
from daybook.sources import lock_chats, note_sensors

log = logging.getLogger(__name__)

# What an upload's row says of readings when none of them stayed.
NOTHING_STORED = {
    "readings_added": 0,
    "readings_duplicate": 0,
    "readings_replaced": 0,
    "first_time": None,
    "last_time": None,
}
_NEVER_STARTED = timedelta(days=1)  # a page with many files sends them one after the other
_INTERRUPTED = "The server was stopped while this file was being imported. Upload it again."
_NEVER_CAME = "The file was announced, but its bytes never came. Upload it again."
_DAYBOOK = audit.Actor("daybook", "Daybook")


def remove_readings(engine: Engine, locks: sql.Locks, upload_id: int) -> None:
    """Removes every reading of the upload, and the sensors and the source that it made and nothing else uses; then says
    in its row how it ended: by its error_code failed or cancelled, without one undone.

    The caller holds the upload's lock, or its source's, as every other who removes does. The readings count for nobody
    from the first moment, and what they had replaced is there again; a removal that is interrupted goes on where it
    stopped when it is called again.
    """
    with engine.begin() as connection:
        if not stop_counting(connection, upload_id):
            _stop_importing(connection, upload_id)
            replacements.drop(connection, upload_id)
        touched = connection.scalars(
            sa.select(UploadSensor.sensor_id)
            .where(UploadSensor.upload_id == upload_id)
            .order_by(UploadSensor.sensor_id)
        ).all()
        # Of an upload that failed no sensor has counted anything; one that is undone was done before.
        counted = connection.scalar(sa.select(Upload.error_code).where(Upload.id == upload_id)) is None
    for sensor_id in touched:
        with engine.begin() as connection:
            gone = connection.execute(
                sa.delete(Reading).where(Reading.sensor_id == sensor_id, Reading.upload_id == upload_id)
            ).rowcount
            if counted:
                count_readings(connection, sensor_id, -gone)
    sql.again_after_deadlock(lambda: _end_removal(engine, locks, upload_id))


def _end_removal(engine: Engine, locks: sql.Locks, upload_id: int) -> None:
    with engine.begin() as connection:
        _remove_what_it_made(connection, locks, upload_id)
        error_code = connection.scalar(sa.select(Upload.error_code).where(Upload.id == upload_id))
        status = {None: "undone", "cancelled": "cancelled"}.get(error_code, "failed")
        connection.execute(sa.update(Upload).where(Upload.id == upload_id).values(status=status, finished_at=utc_now()))


def _stop_importing(connection: Connection, upload_id: int) -> None:
    """The first step of taking out what failed or was cancelled, or the repeated one of any other removal."""
    row = connection.execute(sa.select(Upload.status, Upload.error_code).where(Upload.id == upload_id)).first()
    connection.execute(sa.update(Upload).where(Upload.id == upload_id).values(status="removing"))
    # Who cancelled it has noted that (imports.request_cancel).
    if row is not None and row.status == "importing" and row.error_code != "cancelled":
        _note_failure(connection, upload_id, row.status, row.error_code)


def _note_failure(connection: Connection, upload_id: int, before: str, error_code: str | None) -> None:
    filename = connection.scalar(sa.select(Upload.filename).where(Upload.id == upload_id)) or ""
    changes = {"status": [before, "failed"], "error": [None, error_code]}
    audit.note(connection, "fail", "upload", upload_id, filename, changes)


def stop_counting(connection: Connection, upload_id: int, replaced_by: int | None = None) -> bool:
    """The first step of taking back what is done, in the caller's transaction: its readings are hidden (status
    removing), and those that it had replaced are there again. False when it is not done.

    The caller holds the source's lock, commits, and calls remove_readings. replaced_by: the upload that takes its
    place, where one does.
    """
    done = Upload.id == upload_id, Upload.status == "done"
    said = Upload.filename, Upload.readings_added, Upload.readings_replaced
    row = connection.execute(sa.update(Upload).where(*done).values(status="removing").returning(*said)).one_or_none()
    if row is None:
        return False
    replacements.take_back(connection, upload_id)
    changes: dict[str, list[Any]] = {"status": ["done", "undone"], "readings": [row.readings_added, 0]}
    if row.readings_replaced:
        changes["replaced"] = [row.readings_replaced, 0]
    if replaced_by is not None:
        changes["replaced_by"] = [None, replaced_by]
    audit.note(connection, "undo" if replaced_by is None else "replace", "upload", upload_id, row.filename, changes)
    return True


def count_readings(connection: Connection, sensor_id: int, change: int) -> None:
    """Adds to the number of readings that the sensor's row keeps."""
    connection.execute(
        sa.update(Sensor).where(Sensor.id == sensor_id).values(reading_count=Sensor.reading_count + change)
    )


def undo(engine: Engine, settings: Settings, upload_id: int, patience: float = 5.0) -> bool:
    """Takes a finished upload back. False when it is not done (any more): somebody else was faster.

    Raises SourceBusy when an import into its source is still running after `patience` seconds.
    """
    with sql.Locks(engine) as locks:
        if not locks.try_lock("upload", upload_id):
            return False
        # Alone with the source, so that nobody passes a reading over as a duplicate of one that is about to go.
        source_id = _source_of(engine, upload_id)
        if source_id is not None:
            busy = "another file is being imported into the same source right now; undo this one when that has ended"
            lock_source(locks, source_id, give_up_after(patience, busy))
        with engine.begin() as connection:
            if not stop_counting(connection, upload_id):
                return False
        remove_readings(engine, locks, upload_id)
    return True


def undo_in_background(engine: Engine, settings: Settings, upload_id: int, patience: float) -> None:
    """Begins to take a finished upload back and waits at most `patience` seconds for the end; the rest goes on in a
    thread, and after a crash in `recover`. Raises SourceBusy as `undo` does."""
    refused: list[SourceBusy] = []
    actor = audit.current()  # a thread starts without it

    def run() -> None:
        try:
            with audit.acting(actor):
                undo(engine, settings, upload_id, patience / 2)
        except SourceBusy as error:
            refused.append(error)
        except Exception:
            log.exception("undoing upload %s stopped; recovery goes on with it", upload_id)

    thread = threading.Thread(target=run, name=f"undo-{upload_id}", daemon=True)
    thread.start()
    thread.join(patience)
    if refused:
        raise refused[0]


def recover(engine: Engine, settings: Settings, patience: float = 0.0) -> list[int]:
    """Clears what killed processes left: removes the readings of uploads that nobody is importing any more and marks
    them failed, and goes on with interrupted removals. Returns their ids.

    Uploads under way elsewhere are told by their lock and left alone. `patience`: for how many seconds to wait for the
    database to notice that a killed process is gone.
    """
    until = time.monotonic() + patience
    recovered: list[int] = []
    while True:
        busy = [
            upload_id for upload_id in _unfinished(engine) if not _recover_one(engine, settings, upload_id, recovered)
        ]
        if not busy or time.monotonic() >= until:
            return recovered
        time.sleep(0.1)


def _unfinished(engine: Engine) -> list[int]:
    never_started = sa.and_(Upload.status == "waiting", Upload.created_at < utc_now() - _NEVER_STARTED)
    with sql.only_reading(), engine.connect() as connection:
        return list(connection.scalars(sa.select(Upload.id).where(Upload.status.in_(UNFINISHED) | never_started)))


def _recover_one(engine: Engine, settings: Settings, upload_id: int, recovered: list[int]) -> bool:
    with sql.Locks(engine) as locks:
        if not locks.try_lock("upload", upload_id):
            return False
        source_id = _source_of(engine, upload_id)
        if source_id is not None and not locks.try_lock("source", source_id):
            return False  # whoever holds it clears what it finds in its way
        _clear(engine, settings, locks, upload_id, recovered)
    return True


def clear_leftovers(
    engine: Engine, settings: Settings, locks: sql.Locks, source_id: int, waited: Callable[[float], None]
) -> None:
    """Clears what dead imports left in this source, for somebody who holds the source's lock and is about to write.

    A living import into the source would hold that lock itself. `waited` as in source_lock.
    """
    with sql.only_reading(), engine.connect() as connection:
        left = connection.scalars(
            sa.select(Upload.id).where(Upload.source_id == source_id, Upload.status.in_(UNFINISHED))
        ).all()
    for upload_id in left:
        start = time.monotonic()
        while not locks.try_lock("upload", upload_id):  # a killed process's last database connection is still ending
            waited(time.monotonic() - start)
            time.sleep(0.1)
        _clear(engine, settings, locks, upload_id, [])


def _source_of(engine: Engine, upload_id: int) -> int | None:
    with sql.only_reading(), engine.connect() as connection:
        return connection.scalar(sa.select(Upload.source_id).where(Upload.id == upload_id))


def _clear(engine: Engine, settings: Settings, locks: sql.Locks, upload_id: int, recovered: list[int]) -> None:
    # Whoever is about to write into the source, or has asked for a recovery, did not interrupt anything.
    with audit.acting(_DAYBOOK):
        _clear_as_daybook(engine, settings, locks, upload_id, recovered)


def _clear_as_daybook(
    engine: Engine, settings: Settings, locks: sql.Locks, upload_id: int, recovered: list[int]
) -> None:
    with engine.begin() as connection:
        status = connection.scalar(sa.select(Upload.status).where(Upload.id == upload_id))
        if status not in (*UNFINISHED, "waiting"):
            return  # it ended between the question and the lock
        if status != "removing":
            message = _INTERRUPTED if status == "importing" else _NEVER_CAME
            connection.execute(
                sa.update(Upload)
                .where(Upload.id == upload_id)
                .values(status="removing", error_code="interrupted", error=message, **NOTHING_STORED)
            )
            _note_failure(connection, upload_id, status, "interrupted")
    remove_readings(engine, locks, upload_id)
    if status != "removing":
        raw_copies.remove(settings.instance_path / "uploads", upload_id)
    log.warning("recovered upload %s, which was %s", upload_id, status)
    recovered.append(upload_id)


def keep_recovering(engine: Engine, settings: Settings, stop: Callable[[float], bool]) -> None:
    """Recovers now and then until `stop(seconds)`, which waits that long, says so."""
    while not stop(15.0):
        try:
            recover(engine, settings)
        except Exception:  # whatever it was, the next round may do better
            log.exception("recovery could not look at the uploads; trying again")


def _remove_what_it_made(connection: Connection, locks: sql.Locks, upload_id: int) -> None:
    source_id = connection.scalar(sa.select(Upload.source_id).where(Upload.id == upload_id))
    if source_id is None or not (locks.holds("source", source_id) or locks.try_lock("source", source_id)):
        return  # another import is using the source's sensors
    lock_chats(connection, [source_id])
    # Another upload that counts keeps what it uses; one that was taken back itself does not.
    counts = sa.and_(Upload.id != upload_id, Upload.status.in_(("done", *UNFINISHED)))
    others = sa.select(UploadSensor.sensor_id).join(Upload, Upload.id == UploadSensor.upload_id).where(counts)
    same_source = sa.select(UploadSensor.sensor_id).join(Sensor).where(Sensor.source_id == source_id)
    mine = same_source.where(UploadSensor.created)
    used = sa.exists().where(Reading.sensor_id == Sensor.id)
    # A chat adds its readings without the source's lock: one of which the row counts is on its way in.
    unused = Sensor.reading_count == 0, Sensor.label == "", ~used
    empty = Sensor.id.in_(mine), Sensor.id.not_in(others), *unused
    removed = connection.execute(sa.delete(Sensor).where(*empty).returning(Sensor.id, Sensor.name, Sensor.unit)).all()
    gone = [(row.id, row.name, {"name": [row.name, None], "unit": [row.unit, None]}) for row in sorted(removed)]
    note_sensors(connection, "delete", source_id, gone)
    kept = sa.exists().where(Sensor.source_id == Source.id)
    told = sa.exists().where(Upload.source_id == Source.id, counts)
    unused_source = sa.delete(Source).where(Source.id == source_id, ~kept, ~told)
    name = connection.scalar(unused_source.returning(Source.name))
    if name is not None:
        audit.note(connection, "delete", "source", source_id, name, {"name": [name, None]})
