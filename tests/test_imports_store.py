"""From rows to the table and out of it again: sorting, duplicates, order, extremes, counts, undo and recovery."""

import errno
import gzip
import math
import random
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import psycopg2.errors
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import Connection, Engine

from daybook import batch_queue, imports, raw_copies, removal, sql
from daybook.batch_queue import BatchQueue
from daybook.config import Settings
from daybook.models import Reading, Sensor, Source, Upload, UploadSensor, utc_now
from daybook.readings import open_reader
from daybook.store import open_writer
from daybook.store_rows import Rows, Stored, sort_rows
from daybook.upload_options import CutOff, ImportRefused, Options, Sender
from tests.wire import check_counts, readings, uploads, wait_for, wide_csv

DAY = 86_400_000_000
YEAR_1, YEAR_9999 = -62_135_596_800_000_000, 253_402_300_799_999_999


def rows_of(*keys: tuple[int, int, float]) -> Rows:
    """(sensor_id, time, value), sorted already."""
    ids, stamps, values = zip(*keys, strict=True)
    return Rows(np.array(ids, np.int32), np.array(stamps, np.int64), np.array(values, np.float64))


def table(engine: Engine) -> dict[tuple[int, int], tuple[float, int | None]]:
    """Every reading: (sensor_id, microseconds) -> (value, upload). Asked in numbers: datetime ends at year 9999."""
    stamp = "time" if engine.dialect.name == "sqlite" else "(extract(epoch FROM time) * 1000000)::bigint"
    query = sa.text(f"SELECT sensor_id, {stamp}, value, upload_id FROM reading")
    with engine.connect() as connection:
        return {(row[0], row[1]): (row[2], row[3]) for row in connection.execute(query)}


def write(engine: Engine, rows: Rows, upload_id: int = 1) -> Stored:
    writer = open_writer(engine, upload_id)
    try:
        return writer.write(rows)
    finally:
        writer.close()


# --- sorting ---

PARTS = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.lists(st.tuples(st.integers(-20, 20), st.floats(allow_nan=False)), max_size=12),
    ),
    max_size=8,
)


@given(parts=PARTS)
def test_sort_rows_keeps_the_first_of_each_key(parts: list[tuple[int, list[tuple[int, float]]]]) -> None:
    wanted: dict[tuple[int, int], float] = {}
    for sensor_id, pairs in parts:
        for moment, value in pairs:
            wanted.setdefault((sensor_id, moment), value)
    rows, repeated = sort_rows(
        (sensor_id, np.array([pair[0] for pair in pairs], np.int64), np.array([pair[1] for pair in pairs], np.float64))
        for sensor_id, pairs in parts
    )
    keys = list(zip(rows.sensor_ids.tolist(), rows.times.tolist(), strict=True))
    assert keys == sorted(wanted)
    assert dict(zip(keys, rows.values.tolist(), strict=True)) == wanted
    assert repeated == sum(len(pairs) for _, pairs in parts) - len(wanted)
    assert (rows.sensor_ids.dtype, rows.times.dtype, rows.values.dtype) == (np.int32, np.int64, np.float64)
    by_sensor: dict[int, list[int]] = {}
    for sensor_id, moment in keys:
        by_sensor.setdefault(sensor_id, []).append(moment)
    if len(rows):
        assert rows.ranges() == {sensor_id: (min(times), max(times)) for sensor_id, times in by_sensor.items()}


# --- one writer ---


def test_a_writer_says_what_was_there_before(engine: Engine) -> None:
    first = rows_of((1, 0, 1.0), (1, DAY, 2.0), (2, 0, 3.0))
    assert write(engine, first, 1) == Stored({1: 2, 2: 1}, 0)
    again = write(engine, rows_of((1, DAY, 20.0), (1, 2 * DAY, 30.0), (2, 0, 40.0), (3, 0, 50.0)), 2)
    assert (+again.added, again.duplicates) == ({1: 1, 3: 1}, 2)
    assert table(engine) == {
        (1, 0): (1.0, 1),
        (1, DAY): (2.0, 1),
        (2, 0): (3.0, 1),
        (1, 2 * DAY): (30.0, 2),
        (3, 0): (50.0, 2),
    }


def test_a_writer_goes_on_after_duplicates(engine: Engine) -> None:
    """On PostgreSQL the way over a temporary table is left again once a batch brings nothing old."""
    write(engine, rows_of(*((1, step, 0.0) for step in range(100))))
    writer = open_writer(engine, 2)
    try:
        for start, duplicates in ((50, 50), (100, 50), (200, 0), (300, 0), (0, 100), (400, 0)):
            stored = writer.write(rows_of(*((1, step, 1.0) for step in range(start, start + 100))))
            assert (stored.added.total(), stored.duplicates) == (100 - duplicates, duplicates)
    finally:
        writer.close()
    assert len(table(engine)) == 500
    assert sum(owner == 1 for _, owner in table(engine).values()) == 100


EXTREME_VALUES = [1.7e308, -1.7e308, 5e-324, -5e-324, -0.0, 0.0, 1 / 3, 2.0**53 + 1, math.pi, 1e-300]
EXTREME_TIMES = [YEAR_1, YEAR_1 + 1, -DAY - 1, -1, 0, 1, 946_684_800_000_000 - 1, YEAR_9999 - 1, YEAR_9999]


def test_extreme_values_and_times_come_back_bit_for_bit(engine: Engine) -> None:
    for sensor_id, value in enumerate(EXTREME_VALUES, start=1):
        write(engine, rows_of(*((sensor_id, moment, value) for moment in EXTREME_TIMES)))
    found = table(engine)
    assert len(found) == len(EXTREME_VALUES) * len(EXTREME_TIMES)
    for sensor_id, value in enumerate(EXTREME_VALUES, start=1):
        for moment in EXTREME_TIMES:
            stored, _ = found[sensor_id, moment]
            assert stored == value
            if engine.dialect.name == "postgresql":  # SQLite keeps whole numbers as integers, and so -0.0 as 0
                assert math.copysign(1, stored) == math.copysign(1, value)
    again = write(engine, rows_of(*((1, moment, 7.0) for moment in EXTREME_TIMES)), 2)
    assert again.duplicates == len(EXTREME_TIMES)


# --- the queue ---


def test_of_two_batches_with_one_key_the_first_wins(engine: Engine) -> None:
    random.seed(4)
    wanted: dict[tuple[int, int], float] = {}
    offered = 0
    queue = BatchQueue(engine, 1)
    for number in range(60):
        start = random.randrange(300)  # noqa: S311
        sensors = random.sample(range(1, 5), 2)
        keys = [
            (sensor, moment * 1000, float(number)) for sensor in sorted(sensors) for moment in range(start, start + 40)
        ]
        for sensor, moment, value in keys:
            wanted.setdefault((sensor, moment), value)
        offered += len(keys)
        queue.put(rows_of(*keys))
    stored = queue.finish()
    assert {key: value for key, (value, _) in table(engine).items()} == wanted
    assert stored.added.total() == len(wanted)
    assert stored.duplicates == offered - len(wanted)


class BrokenWriter:
    """Stores nothing; fails at the second batch."""

    closed = 0

    def __init__(self) -> None:
        self.batches = 0

    def write(self, rows: Rows) -> Stored:
        self.batches += 1
        if self.batches == 2:
            raise OSError("the disk is full")
        return Stored()

    def close(self) -> None:
        BrokenWriter.closed += 1


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_failing_writer_is_heard_of(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_queue, "open_writer", lambda *_: BrokenWriter())
    monkeypatch.setattr(BrokenWriter, "closed", 0)
    before = threading.active_count()
    queue = BatchQueue(engine, 1)

    def put_many() -> None:
        for day in range(20):
            queue.put(rows_of((1, day * DAY, 1.0)))
        queue.finish()

    with pytest.raises(OSError, match="disk is full"):
        put_many()
    queue.abort()
    assert BrokenWriter.closed == 1
    assert threading.active_count() == before


def test_abort_waits_for_the_writers(engine: Engine) -> None:
    queue = BatchQueue(engine, 1)
    for day in range(10):
        queue.put(rows_of(*((1, day * DAY + step, 1.0) for step in range(1000))))
    queue.abort()
    before = len(table(engine))
    assert before == queue.stored.added.total()
    assert before % 1000 == 0


# --- whole imports ---


@pytest.fixture
def do_import(engine: Engine, settings: Settings) -> Callable[..., Any]:
    """do_import(body, "mast") imports the bytes and returns the upload's row."""

    def run(body: Any, source: str = "mast", **options: Any) -> Any:
        upload_id = imports.announce(engine, "a.csv", Options(source=source, **options), Sender())
        pieces = [body[start : start + 50_000] for start in range(0, len(body), 50_000)] if body[:0] == b"" else body
        imports.import_stream(engine, settings, pieces, upload_id=upload_id)
        (row,) = (row for row in uploads(engine) if row.id == upload_id)
        return row

    return run


def names(engine: Engine) -> list[tuple[str, str]]:
    query = sa.select(Source.name, Sensor.name).outerjoin(Sensor).order_by(Source.name, Sensor.id)
    with engine.connect() as connection:
        return [(row[0], row[1]) for row in connection.execute(query)]


def test_counts_are_kept_by_import_and_undo(engine: Engine, settings: Settings, do_import: Callable[..., Any]) -> None:
    first = do_import(wide_csv(2000, 5))
    second = do_import(wide_csv(2000, 6, start_minute=1000))
    third = do_import(gzip.compress(wide_csv(100, 1)), "other")
    assert (first.readings_added, second.readings_added, third.readings_added) == (10_000, 7_000, 100)
    assert second.readings_duplicate == 5_000
    check_counts(engine)

    before_undo = readings(engine)
    assert removal.undo(engine, settings, second.id)
    check_counts(engine)
    assert readings(engine) == {key: value for key, value in before_undo.items() if value[1] != second.id}
    assert [row.status for row in uploads(engine)] == ["done", "undone", "done"]
    # The sensor that it alone had brought is gone, those of the first stay.
    assert names(engine) == [*(("mast", f"channel {number}") for number in range(1, 6)), ("other", "channel 1")]

    assert not removal.undo(engine, settings, second.id)
    assert removal.undo(engine, settings, third.id)
    assert removal.undo(engine, settings, first.id)
    assert (readings(engine), names(engine)) == ({}, [])
    check_counts(engine)


def test_undo_leaves_what_others_use(engine: Engine, settings: Settings, do_import: Callable[..., Any]) -> None:
    """A sensor that an upload made stays when there is another reading in it, or a person gave it a label."""
    row = do_import(wide_csv(10, 4))
    with engine.begin() as connection:
        ids = connection.scalars(sa.select(Sensor.id).order_by(Sensor.id)).all()
        connection.execute(sa.insert(Reading).values(sensor_id=ids[1], time=sql.moment(0), value=1.0, upload_id=None))
        removal.count_readings(connection, ids[1], 1)
        connection.execute(sa.update(Sensor).where(Sensor.id == ids[2]).values(label="North"))
    assert removal.undo(engine, settings, row.id)
    assert names(engine) == [("mast", "channel 2"), ("mast", "channel 3")]
    assert len(readings(engine)) == 1
    check_counts(engine)


def test_undo_and_import_again(engine: Engine, settings: Settings, do_import: Callable[..., Any]) -> None:
    body = wide_csv(500, 3)
    for _ in range(3):
        row = do_import(body)
        assert (row.readings_added, row.readings_duplicate) == (1500, 0)
        assert removal.undo(engine, settings, row.id)
        assert readings(engine) == {}


def test_an_interrupted_undo_is_finished_by_recovery(
    engine: Engine, settings: Settings, do_import: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    do_import(wide_csv(100, 2, start_minute=50))
    kept = readings(engine)
    row = do_import(wide_csv(100, 6))
    count = removal.count_readings
    calls = 0

    def dies_at_the_third(connection: Connection, sensor_id: int, change: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise RuntimeError("power cut")
        count(connection, sensor_id, change)

    monkeypatch.setattr(removal, "count_readings", dies_at_the_third)
    with pytest.raises(RuntimeError, match="power cut"):
        removal.undo(engine, settings, row.id)
    monkeypatch.undo()
    half = readings(engine)
    assert len(kept) < len(half) < len(kept) + row.readings_added
    assert uploads(engine)[-1].status == "removing"
    check_counts(engine)
    with open_reader(engine) as reader:
        sensor = reader.chosen("mast", ["channel 6"])[0]
        assert reader.latest([sensor.id]) == {}

    assert removal.recover(engine, settings) == [row.id]
    assert readings(engine) == kept
    assert uploads(engine)[-1].status == "undone"
    check_counts(engine)
    # An undone upload keeps its raw copy, so that it can be imported again.
    assert raw_copies.find(settings.instance_path / "uploads", row.id) is not None
    assert removal.recover(engine, settings) == []


def test_an_unfinished_upload_is_invisible(engine: Engine, settings: Settings, do_import: Callable[..., Any]) -> None:
    do_import(wide_csv(100, 1))
    body = wide_csv(20_000, 20, start_minute=100)
    seen = []

    def look() -> None:
        stored = len(table(engine))
        with open_reader(engine) as reader:
            (sensor,) = reader.chosen("mast", ["channel 1"])
            seen.append((stored, sensor.count, reader.latest([sensor.id])[sensor.id].value))

    def stream() -> Iterator[bytes]:
        for start in range(0, len(body), 100_000):
            yield body[start : start + 100_000]
            look()
        wait_for(lambda: len(table(engine)) > 100, "readings to be stored")
        look()

    upload_id = imports.announce(engine, "b.csv", Options(source="mast"), Sender())
    imports.import_stream(engine, settings, stream(), upload_id=upload_id)
    assert seen[-1][0] > 100
    assert {(count, last) for _, count, last in seen} == {(100, 99.0)}
    with open_reader(engine) as reader:
        (sensor,) = reader.chosen("mast", ["channel 1"])
        assert sensor.count == 20_100
        assert reader.latest([sensor.id])[sensor.id].value == 99.0


def test_recovery_leaves_a_running_import_alone(engine: Engine, settings: Settings) -> None:
    body = wide_csv(5000, 10)
    recovered = []

    def stream() -> Iterator[bytes]:
        for start in range(0, len(body), 100_000):
            recovered.extend(removal.recover(engine, settings))
            yield body[start : start + 100_000]

    upload_id = imports.announce(engine, "a.csv", Options(source="mast"), Sender())
    imports.import_stream(engine, settings, stream(), upload_id=upload_id)
    assert recovered == []
    assert uploads(engine)[0].status == "done"
    assert len(readings(engine)) == 50_000


def test_recovery_of_what_a_dead_process_left(
    engine: Engine, settings: Settings, do_import: Callable[..., Any]
) -> None:
    do_import(wide_csv(100, 2))
    kept, known = readings(engine), names(engine)
    body = wide_csv(100, 4, start_minute=50)
    dead = do_import(body)
    with engine.begin() as connection:  # as it was before the last step: its readings are in, and not counted
        connection.execute(sa.update(Upload).where(Upload.id == dead.id).values(status="importing", finished_at=None))
        added = sa.select(UploadSensor.sensor_id, UploadSensor.added).where(UploadSensor.upload_id == dead.id)
        for sensor_id, count in connection.execute(added).all():
            removal.count_readings(connection, sensor_id, -count)
        connection.execute(sa.update(UploadSensor).where(UploadSensor.upload_id == dead.id).values(added=0))
    assert removal.recover(engine, settings) == [dead.id]
    row = uploads(engine)[-1]
    assert (row.status, row.error_code, row.readings_added) == ("failed", "interrupted", 0)
    assert (row.first_time, row.last_time, row.readings_duplicate) == (None, None, 0)
    assert (readings(engine), names(engine)) == (kept, known)
    assert raw_copies.find(settings.instance_path / "uploads", dead.id) is None
    check_counts(engine)


def test_recovery_of_what_was_announced_and_never_came(engine: Engine, settings: Settings) -> None:
    new, old = (imports.announce(engine, "a.csv", Options(), Sender()) for _ in range(2))
    with engine.begin() as connection:
        earlier = utc_now() - timedelta(hours=25)
        connection.execute(sa.update(Upload).where(Upload.id == old).values(created_at=earlier))
    assert removal.recover(engine, settings) == [old]
    assert {row.id: row.status for row in uploads(engine)} == {new: "waiting", old: "failed"}
    with pytest.raises(ImportRefused):
        imports.import_stream(engine, settings, [b"x"], upload_id=old)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (CutOff("gone"), "failed", "cut_off"),
        (CutOff("slow", code="stalled"), "failed", "stalled"),
        (RuntimeError("a bug"), "failed", "internal_error"),
        (KeyboardInterrupt(), "failed", "internal_error"),
    ],
)
def test_an_import_that_breaks_off_leaves_nothing(
    engine: Engine, settings: Settings, error: BaseException, status: str, code: str
) -> None:
    body = wide_csv(20_000, 10)
    stored = []

    def stream() -> Iterator[bytes]:
        for start in range(0, len(body), 100_000):
            yield body[start : start + 100_000]
        stored.append(wait_for(lambda: len(table(engine)), "readings to be stored"))
        raise error

    upload_id = imports.announce(engine, "a.csv", Options(source="mast"), Sender())
    if isinstance(error, Exception):
        imports.import_stream(engine, settings, stream(), upload_id=upload_id)
    else:
        with pytest.raises(type(error)):
            imports.import_stream(engine, settings, stream(), upload_id=upload_id)
    assert stored[0] > 0
    row = uploads(engine)[0]
    assert (row.status, row.error_code, row.readings_added) == (status, code, 0)
    assert "a bug" not in row.error
    assert (readings(engine), names(engine)) == ({}, [])
    check_counts(engine)


def test_a_bad_row_at_the_end_takes_everything_back(engine: Engine, do_import: Callable[..., Any]) -> None:
    body = wide_csv(20_000, 10) + b"not a time" + b",1" * 10 + b"\n"
    row = do_import(body, on_bad_row="fail")
    assert (row.status, row.error_code) == ("failed", "bad_row")
    assert "line 20002" in row.error or "line 20,002" in row.error
    assert (readings(engine), names(engine)) == ({}, [])
    assert do_import(body).readings_added == 200_000
    check_counts(engine)


def test_an_upload_is_imported_once(engine: Engine, settings: Settings, do_import: Callable[..., Any]) -> None:
    row = do_import(wide_csv(10, 2))
    with pytest.raises(ImportRefused) as refused:
        imports.import_stream(engine, settings, [wide_csv(10, 3)], upload_id=row.id)
    assert refused.value.code == "already_imported"
    assert len(readings(engine)) == 20


def test_repeated_lines_in_one_file_count_as_duplicates(engine: Engine, do_import: Callable[..., Any]) -> None:
    """Of a key that stands in the file twice the first value stays, near or far apart."""
    lines = wide_csv(30_000, 5).splitlines(keepends=True)
    changed = [line.replace(b".", b".9") for line in (lines[1], lines[100], lines[29_000])]
    row = do_import(b"".join([*lines[:101], changed[1], *lines[101:], changed[0], changed[2]]))
    assert (row.readings_added, row.readings_duplicate) == (150_000, 15)
    plain = do_import(b"".join(lines), "plain")
    assert plain.readings_added == 150_000
    values: dict[str, dict[Any, float]] = {"mast": {}, "plain": {}}
    for (source, sensor, moment), (value, _) in readings(engine).items():
        values[source][sensor, moment] = value
    assert values["mast"] == values["plain"]
    check_counts(engine)


# --- an import that was taken for dead ---


def test_an_import_that_was_taken_for_dead_leaves_nothing_when_it_goes_on(engine: Engine, settings: Settings) -> None:
    upload_id = imports.announce(engine, "a.csv", Options(), Sender())

    def stream() -> Iterator[bytes]:
        yield b"time,a\n2026-01-01,1\n" + b"2026-01-02,2\n"
        with engine.begin() as connection:
            ended = {"status": "failed", "error_code": "interrupted"}
            connection.execute(sa.update(Upload).where(Upload.id == upload_id).values(**ended))

    imports.import_stream(engine, settings, stream(), upload_id=upload_id)
    (row,) = uploads(engine)
    assert (row.status, row.error_code) == ("failed", "interrupted")
    assert not readings(engine)
    check_counts(engine)


def test_a_second_import_of_the_same_upload_does_not_disturb_the_first(engine: Engine, settings: Settings) -> None:
    upload_id = imports.announce(engine, "a.csv", Options(), Sender())

    def stream() -> Iterator[bytes]:
        yield b"time,a\n2026-01-01,1\n"
        with pytest.raises(ImportRefused):
            imports.import_stream(engine, settings, [b"x"], upload_id=upload_id)
        assert removal.recover(engine, settings) == []
        yield b"2026-01-02,2\n"

    imports.import_stream(engine, settings, stream(), upload_id=upload_id)
    (row,) = uploads(engine)
    assert (row.status, row.readings_added) == ("done", 2)
    assert len(readings(engine)) == 2


def test_a_full_disk_leaves_neither_readings_nor_the_copy(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0

    def write(self: raw_copies.RawCopy, data: bytes) -> None:
        nonlocal written
        written += 1
        if written == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(self, data)

    original = raw_copies.RawCopy.write
    monkeypatch.setattr(raw_copies.RawCopy, "write", write)
    upload_id = imports.announce(engine, "a.csv", Options(), Sender())
    pieces = [b"time,a\n2026-01-01,1\n", b"2026-01-02,2\n"]
    imports.import_stream(engine, settings, pieces, upload_id=upload_id)
    (row,) = uploads(engine)
    assert (row.status, row.error_code) == ("failed", "disk_full")
    assert "disk is full" in row.error
    assert raw_copies.find(settings.instance_path / "uploads", upload_id) is None
    assert not readings(engine)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
        (sqlite3.OperationalError("database or disk is full"), "disk_full"),
        (psycopg2.errors.DiskFull("could not extend file: No space left on device"), "disk_full"),
        (psycopg2.OperationalError("server closed the connection unexpectedly"), "database_lost"),
        (RuntimeError("a bug"), "internal_error"),
    ],
)
def test_what_is_no_fault_of_the_file_is_called_by_its_name(
    engine: Engine, settings: Settings, error: Exception, code: str
) -> None:
    def stream() -> Iterator[bytes]:
        yield b"time,a\n2026-01-01,1\n"
        raise error

    upload_id = imports.announce(engine, "a.csv", Options(), Sender())
    imports.import_stream(engine, settings, stream(), upload_id=upload_id)
    (row,) = uploads(engine)
    assert (row.status, row.error_code) == ("failed", code)
    assert not readings(engine)


def test_a_folder_of_copies_that_cannot_be_used_fails_the_upload(engine: Engine, settings: Settings) -> None:
    (settings.instance_path / "uploads").write_text("a file where the folder should be")
    upload_id = imports.announce(engine, "a.csv", Options(), Sender())
    imports.import_stream(engine, settings, [b"time,a\n2026-01-01,1\n"], upload_id=upload_id)
    assert [(row.status, row.error_code) for row in uploads(engine)] == [("failed", "internal_error")]
