"""on_duplicate=replace: new values over old ones, all at once, and the old ones back when the upload is undone."""

import json
import os
import random
import re
import signal
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy.engine import Engine

from daybook import import_run, imports, posted, removal, replacements, sql
from daybook.config import Settings
from daybook.formats.batch import Batch, Series
from daybook.models import Reading, Replacement, Sensor, Source, Upload
from daybook.readings import open_reader
from daybook.upload_options import Options, Sender
from tests.conftest import LiveServer
from tests.wire import Line, check_counts, readings, upload, uploads, wait_for, wait_until_settled, wide_csv

DAY = 86_400_000_000

Key = tuple[str, int]
Row = tuple[str, int, float]  # sensor, day, value


class JsonReader:
    """Stands in for a FileReader: every piece is a JSON list of rows, and a batch of its own."""

    layout = None

    def feed(self, piece: bytes) -> Iterator[Batch]:
        rows: list[Row] = json.loads(piece)
        by_sensor: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            by_sensor[row[0]].append(row)
        series = [
            Series(
                name, "", np.array([row[1] * DAY for row in own], np.int64), np.array([row[2] for row in own], float)
            )
            for name, own in by_sensor.items()
        ]
        yield Batch(lines=len(rows), read=len(rows), series=series)

    def end(self) -> Iterator[Batch]:
        yield from ()


@dataclass
class Book:
    """Imports rows for a test, and looks at what is there."""

    engine: Engine
    settings: Settings
    patch: pytest.MonkeyPatch

    def begin(self, source: str = "mast", replaces: int | None = None, **options: Any) -> int:
        return imports.announce(self.engine, "a.csv", Options(source=source, **options), Sender(), None, replaces)

    def run(self, upload_id: int, pieces: Iterable[list[Row] | Exception]) -> Any:
        def stream() -> Iterator[bytes]:
            for piece in pieces:
                if isinstance(piece, Exception):
                    raise piece
                yield json.dumps(piece).encode()

        imports.import_stream(self.engine, self.settings, stream(), upload_id=upload_id)
        return self.row(upload_id)

    def load(self, *pieces: list[Row], replaces: int | None = None, **options: Any) -> Any:
        """The row of an import of these pieces."""
        return self.run(self.begin(replaces=replaces, **options), pieces)

    def row(self, upload_id: int) -> Any:
        (row,) = (row for row in uploads(self.engine) if row.id == upload_id)
        return row

    def undo(self, upload_id: int) -> None:
        assert removal.undo(self.engine, self.settings, upload_id)
        assert self.row(upload_id).status == "undone"

    def post(self, sensor: str, day: int, value: float) -> None:
        posted.add(self.engine, self.settings, posted.Posted("mast", {sensor: ""}, {(sensor, day * DAY): value}, 0))

    def readings(self) -> dict[Key, tuple[float, int | None]]:
        """(sensor, day) -> (value, upload), of all readings in the table."""
        query = sa.select(Sensor.name, Reading.time, Reading.value, Reading.upload_id).join(
            Sensor, Sensor.id == Reading.sensor_id
        )
        with self.engine.connect() as connection:
            return {(row[0], sql.microseconds(row[1]) // DAY): (row[2], row[3]) for row in connection.execute(query)}

    def below(self) -> dict[tuple[int, Key], tuple[float, int | None]]:
        """(upload, key) -> (old value, old upload), of all that was replaced."""
        query = sa.select(
            Replacement.upload_id, Sensor.name, Replacement.time, Replacement.old_value, Replacement.old_upload_id
        ).join(Sensor, Sensor.id == Replacement.sensor_id)
        with self.engine.connect() as connection:
            found = connection.execute(query).all()
        return {(row[0], (row[1], sql.microseconds(row[2]) // DAY)): (row[3], row[4]) for row in found}

    def seen(self, source: str = "mast") -> dict[Key, float]:
        """What a reader sees."""
        found: dict[Key, float] = {}
        with open_reader(self.engine) as reader:
            for sensor in reader.chosen(source, []):
                for block in reader.raw(sensor.id):
                    pairs = zip(block.times.tolist(), block.values.tolist(), strict=True)
                    found |= {(sensor.name, time // DAY): value for time, value in pairs}
        return found


@pytest.fixture
def book(engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Book:
    monkeypatch.setattr(import_run, "open_file", lambda *_: JsonReader())
    return Book(engine, settings, monkeypatch)


def counts(row: Any) -> tuple[int, int, int]:
    """added, duplicates, replaced"""
    return row.readings_added, row.readings_duplicate, row.readings_replaced


# --- one import


def test_values_are_replaced_added_or_left_and_every_one_is_counted_once(book: Book) -> None:
    first = book.load([("a", 1, 1.0), ("a", 2, 2.0), ("b", 1, 5.0)])
    second = book.load([("a", 1, 1.0), ("a", 2, 20.0), ("a", 3, 30.0), ("b", 1, 50.0)], on_duplicate="replace")
    assert second.status == "done"
    assert counts(second) == (1, 1, 2)
    assert book.readings() == {
        ("a", 1): (1.0, first.id),
        ("a", 2): (20.0, second.id),
        ("a", 3): (30.0, second.id),
        ("b", 1): (50.0, second.id),
    }
    check_counts(book.engine)


def test_undo_brings_the_old_values_and_their_owners_back(book: Book) -> None:
    book.post("a", 0, 0.5)
    first = book.load([("a", 1, 1.0), ("a", 2, 2.0)])
    before = book.readings()
    second = book.load([("a", 0, 7.0), ("a", 1, 8.0), ("a", 3, 9.0)], on_duplicate="replace")
    assert counts(second) == (1, 0, 2)
    book.undo(second.id)
    assert book.readings() == before
    assert before[("a", 0)] == (0.5, None)
    assert book.below() == {}
    check_counts(book.engine)
    book.undo(first.id)
    assert book.readings() == {("a", 0): (0.5, None)}
    check_counts(book.engine)


def test_of_two_readings_at_one_time_in_the_file_the_last_one_replaces(book: Book) -> None:
    """As if the file had come in two parts, one after the other; wherever the batches end."""
    rows: list[Row] = [("a", 1, 10.0), ("a", 1, 1.0), ("a", 2, 2.0), ("a", 2, 20.0), ("a", 3, 3.0), ("a", 3, 30.0)]
    expected = {("a", 1): 1.0, ("a", 2): 20.0, ("a", 3): 30.0}
    for pieces in ([rows], [rows[:1], rows[1:3], rows[3:5], rows[5:]], [[row] for row in rows]):
        first = book.load([("a", 1, 1.0), ("a", 2, 2.0)])
        second = book.load(*pieces, on_duplicate="replace")
        assert book.seen() == expected
        assert counts(second) == (1, 4, 1)
        assert sum(counts(second)) == len(rows)
        check_counts(book.engine)
        book.undo(second.id)
        book.undo(first.id)
        assert book.readings() == {}


def test_three_uploads_on_one_key_can_be_undone_in_any_order(book: Book) -> None:
    for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        rows = [book.load([("a", 1, float(value))], on_duplicate="replace") for value in (1, 2, 3)]
        left = [(float(number + 1), row.id) for number, row in enumerate(rows)]
        for number in order:
            left = [one for one in left if one[1] != rows[number].id]
            book.undo(rows[number].id)
            assert book.readings() == ({("a", 1): left[-1]} if left else {})
            check_counts(book.engine)
        assert book.below() == {}


# --- while it runs, and when it does not get to its end


def test_readers_see_the_old_values_until_the_import_is_done(book: Book) -> None:
    old: list[Row] = [("a", day, 1.0) for day in range(50)] + [("b", day, 1.0) for day in range(50)]
    book.load(old)
    seen = []

    def pieces() -> Iterator[list[Row]]:
        for start in range(0, 60, 10):
            yield [(name, day, 2.0) for name in ("a", "b") for day in range(start, start + 10)]
            with open_reader(book.engine) as reader:
                counted = [sensor.count for sensor in reader.sensors().sensors]
            seen.append((set(book.seen().values()), len(book.seen()), counted))

    upload_id = book.begin(on_duplicate="replace")
    with open_reader(book.engine) as before:
        (first, _) = before.chosen("mast", [])
        assert book.run(upload_id, pieces()).status == "done"
        # A reader that began before sees what was there, to its end.
        assert {value for block in before.raw(first.id) for value in block.values.tolist()} == {1.0}
    assert seen == [({1.0}, 100, [50, 50])] * 6
    assert (set(book.seen().values()), len(book.seen())) == ({2.0}, 120)


class PowerCut(BaseException):
    """Nothing of ours runs any more."""


@pytest.mark.parametrize("how", ["failed", "cancelled", "killed", "killed at the end"])
def test_an_import_that_does_not_get_to_its_end_leaves_the_old_values(
    book: Book, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    book.load([("a", day, 1.0) for day in range(30)])
    before = book.readings()
    upload_id = book.begin(on_duplicate="replace")

    def pieces() -> Iterator[Any]:
        yield [("a", day, 2.0) for day in range(40)]
        if how == "failed":
            yield RuntimeError("a bug")
        if how == "cancelled":
            imports.request_cancel(book.engine, upload_id)
        yield [("a", day, 3.0) for day in range(20, 50)]

    if how.startswith("killed"):
        with monkeypatch.context() as patched:
            if how == "killed at the end":  # the last transaction was under way, and is not committed
                patched.setattr(import_run.ImportRun, "_write_counts", dies)
            else:
                patched.setattr(import_run.ImportRun, "_finish", dies)
            patched.setattr(import_run.ImportRun, "_fail", dies)
            with pytest.raises(PowerCut):
                book.run(upload_id, pieces())
        assert book.row(upload_id).status == "importing"
        assert book.below()
        assert book.seen() == {key: value for key, (value, _) in before.items()}
        assert removal.recover(book.engine, book.settings) == [upload_id]
    else:
        book.run(upload_id, pieces())
    assert book.row(upload_id).status == ("cancelled" if how == "cancelled" else "failed")
    assert counts(book.row(upload_id)) == (0, 0, 0)
    assert (book.readings(), book.below()) == (before, {})
    check_counts(book.engine)


def dies(self: Any, *_: object, **__: object) -> None:
    if self._queue is not None:
        self._queue.abort()
    raise PowerCut


def test_a_cancel_during_the_last_step_is_heard(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    book.load([("a", 1, 1.0)])
    upload_id = book.begin(on_duplicate="replace")
    put_in = replacements.put_in

    def slowly(connection: Any, number: int) -> None:
        put_in(connection, number)
        connection.execute(sa.update(Upload).where(Upload.id == number).values(cancel_requested=True))

    monkeypatch.setattr(replacements, "put_in", slowly)
    assert book.run(upload_id, [[("a", 1, 2.0)]]).status == "cancelled"
    assert book.seen() == {("a", 1): 1.0}


def test_an_undo_that_is_killed_is_finished_by_recovery(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    book.load([("a", 1, 1.0), ("b", 1, 1.0)])
    before = book.readings()
    upload_id = book.load([("a", 1, 2.0), ("a", 2, 2.0), ("b", 1, 2.0), ("b", 2, 2.0)], on_duplicate="replace").id

    def power_cut(*_: object) -> None:
        raise PowerCut

    with monkeypatch.context() as patched:
        patched.setattr(removal, "count_readings", power_cut)
        with pytest.raises(PowerCut):
            removal.undo(book.engine, book.settings, upload_id)
    assert book.row(upload_id).status == "removing"
    assert book.seen() == {key: value for key, (value, _) in before.items()}  # from the first moment
    assert removal.recover(book.engine, book.settings) == [upload_id]
    assert (book.readings(), book.below()) == (before, {})
    check_counts(book.engine)


def test_a_reading_that_was_changed_behind_our_back_fails_the_import(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    book.load([("a", 1, 1.0), ("a", 2, 1.0)])
    put_in = replacements.put_in

    def meddled(connection: Any, upload_id: int) -> None:
        connection.execute(sa.update(Reading).values(upload_id=99))
        put_in(connection, upload_id)

    monkeypatch.setattr(replacements, "put_in", meddled)
    row = book.load([("a", 1, 2.0), ("a", 2, 2.0)], on_duplicate="replace")
    assert (row.status, row.error_code) == ("failed", "changed_meanwhile")
    assert set(book.seen().values()) == {1.0}


def test_keys_at_the_ends_of_time_and_in_many_chunks(book: Book) -> None:
    """Each chunk of a hypertable is a step of its own; the first begins before the year 1."""
    days = [-719_162, -719_161, -40_000, -1, 0, 89, 90, 5_000, 20_000, 2_932_895, 2_932_896]
    first = book.load([("a", day, 1.0) for day in days])
    before = book.readings()
    second = book.load([("a", day, 2.0) for day in days], on_duplicate="replace")
    assert counts(second) == (0, 0, len(days))
    assert set(book.readings().values()) == {(2.0, second.id)}
    book.undo(second.id)
    assert book.readings() == before
    book.undo(first.id)


# --- as a program and a person meet it

OLD = b"time,wind,rain\n2026-01-01 00:00,1.5,0\n2026-01-01 01:00,2.5,1\n"
NEW = b"time,wind,rain\n2026-01-01 00:00,1.5,7\n2026-01-01 01:00,8.5,NaN\n2026-01-01 02:00,x,3\n"


@pytest.fixture
def headers(make_account: Callable[..., Any], bearer: Callable[..., dict[str, str]]) -> dict[str, str]:
    return bearer(make_account("edda", "editor"))


def post(client: FlaskClient, headers: dict[str, str], body: bytes, **query: str) -> Any:
    return client.post("/api/v1/uploads", query_string={"source": "m"} | query, data=body, headers=headers)


def test_the_answer_tells_what_was_replaced(client: FlaskClient, headers: dict[str, str]) -> None:
    post(client, headers, OLD)
    found = post(client, headers, NEW, on_duplicate="replace").get_json()
    assert found["readings"] == {"added": 1, "duplicates": 1, "replaced": 2, "missing": 1, "not_numeric": 1}
    assert found["replaces"] is None
    listed = client.get("/api/v1/uploads", headers=headers).get_json()["uploads"]
    assert [one["readings"]["replaced"] for one in listed] == [2, 0]
    values = [one["value"] for one in client.get("/api/v1/readings", headers=headers).get_json()["readings"]]
    assert values == [7, 1, 3, 1.5, 8.5]
    client.delete(f"/api/v1/uploads/{found['id']}", headers=headers)
    values = [one["value"] for one in client.get("/api/v1/readings", headers=headers).get_json()["readings"]]
    assert values == [0, 1, 1.5, 2.5]


def test_another_word_than_skip_or_replace_is_refused(client: FlaskClient, headers: dict[str, str]) -> None:
    answer = post(client, headers, OLD, on_duplicate="merge")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, "bad_on_duplicate")
    assert "write skip or replace" in answer.get_json()["error"]["message"]


def test_the_command_replaces_too(runner: FlaskCliRunner, tmp_path: Path) -> None:
    file = tmp_path / "m.csv"
    file.write_bytes(OLD)
    runner.invoke(args=["import", str(file)])
    file.write_bytes(NEW)
    result = runner.invoke(args=["import", str(file), "--on-duplicate", "replace"])
    assert "1 readings of 2 sensors added, 2 replaced, 1 were there already." in result.output
    assert runner.invoke(args=["check"]).output == "All is well.\n"


def test_the_page_tells_what_was_replaced(
    client: FlaskClient, headers: dict[str, str], make_account: Callable[..., Any], login: Callable[..., Any]
) -> None:
    post(client, headers, OLD)
    replacing = post(client, headers, NEW, on_duplicate="replace").get_json()["id"]
    login(client, make_account("eddy", "editor"))

    def words() -> str:
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", client.get(f"/uploads/{replacing}").text))

    assert "1 reading of 2 sensors added, 2 readings replaced, 2026-01-01 00:00 UTC to" in words()
    assert "Cells 6 added 1 there already 1 replaced 2 missing 1 not a number 1" in words()
    assert "takes its readings out again and brings back those that it replaced" in words()
    client.post(f"/uploads/{replacing}/undo")
    assert "the 2 that it had replaced came back" in words()


@pytest.mark.slow
def test_kill_9_in_mid_import_leaves_the_old_values(
    engine: Engine, token: str, start_server: Callable[..., LiveServer]
) -> None:
    server = start_server()
    old = wide_csv(15_000, 10)
    new = old.replace(b".0", b".5")
    assert upload(server, token, old).status == 201
    before = readings(engine)
    with Line(server) as line:
        line.begin(token, len(new) * 2, on_duplicate="replace")
        assert line.send(new)
        wait_for(lambda: noted(engine), "values to wait for their turn")
        for pid in (server.process.pid, *server.workers()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    server.process.wait(10)
    assert readings(engine) == before
    server = start_server()
    assert [row.status for row in wait_until_settled(engine)] == ["done", "failed"]
    assert (readings(engine), noted(engine)) == (before, 0)
    check_counts(engine)
    assert upload(server, token, new, on_duplicate="replace").json["readings"]["replaced"] == 150_000


def noted(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(Replacement)) or 0


# --- any sequence of all that can happen


@dataclass
class Model:
    """The book as it should be: for each key the values on top of each other, each with the upload that brought it."""

    stacks: dict[Key, list[tuple[int | None, float]]] = field(default_factory=lambda: defaultdict(list))

    def load(self, upload_id: int, rows: list[Row], replace: bool) -> tuple[int, int, int]:
        added = replaced = 0
        chosen: dict[Key, float] = {}
        for name, day, value in rows:
            if replace:
                chosen[name, day] = value
            else:
                chosen.setdefault((name, day), value)
        for key, value in chosen.items():
            stack = self.stacks[key]
            if stack and (not replace or stack[-1][1] == value):
                continue
            added, replaced = (added, replaced + 1) if stack else (added + 1, replaced)
            stack.append((upload_id, value))
        return added, len(rows) - added - replaced, replaced

    def undo(self, upload_id: int) -> None:
        for key, stack in self.stacks.items():
            self.stacks[key] = [layer for layer in stack if layer[0] != upload_id]

    def post(self, key: Key, value: float) -> None:
        if not self.stacks[key]:
            self.stacks[key].append((None, value))

    def readings(self) -> dict[Key, tuple[float, int | None]]:
        return {key: (stack[-1][1], stack[-1][0]) for key, stack in self.stacks.items() if stack}

    def below(self) -> dict[tuple[int | None, Key], tuple[float, int | None]]:
        return {
            (upper[0], key): (lower[1], lower[0])
            for key, stack in self.stacks.items()
            for lower, upper in pairwise(stack)
        }


def some_rows(chance: random.Random) -> list[Row]:
    days = [chance.randrange(12) * 45 for _ in range(chance.randint(1, 15))]
    return [(chance.choice("abc"), day, float(chance.randint(1, 4))) for day in days]


def in_pieces(chance: random.Random, rows: list[Row]) -> list[list[Row]]:
    cuts = sorted(chance.sample(range(1, len(rows)), chance.randint(0, min(3, len(rows) - 1)))) if len(rows) > 1 else []
    return [rows[start:end] for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True)]


@pytest.mark.parametrize("seed", range(12))
def test_any_sequence_of_imports_and_undos_gives_what_the_model_says(
    book: Book, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)  # noqa: S311
    model, done = Model(), list[int]()
    for _ in range(25):
        what = chance.choice(["load"] * 5 + ["again"] * 4 + ["undo"] * 3 + ["fail", "die", "post"])
        rows, replace = some_rows(chance), chance.random() < 0.6
        options = {"on_duplicate": "replace" if replace else "skip"}
        instead = chance.choice(done) if done and (what == "again" or chance.random() < 0.5) else None
        if what == "undo" and done:
            upload_id = done.pop(chance.randrange(len(done)))
            book.undo(upload_id)
            model.undo(upload_id)
        elif what == "post":
            name, day, value = rows[0]
            book.post(name, day, value)
            model.post((name, day), value)
        elif what == "fail":
            pieces = [*in_pieces(chance, rows), RuntimeError("a bug")]
            row = book.run(book.begin(replaces=instead, **options), pieces)
            assert row.status == "failed"
        elif what == "die":
            upload_id = book.begin(replaces=instead, **options)
            pieces = in_pieces(chance, rows)
            with monkeypatch.context() as patched:
                patched.setattr(import_run.ImportRun, chance.choice(["_finish", "_write_counts"]), dies)
                patched.setattr(import_run.ImportRun, "_fail", dies)
                with pytest.raises(PowerCut):
                    book.run(upload_id, pieces)
            assert removal.recover(book.engine, book.settings) == [upload_id]
        else:
            instead = instead if what == "again" else None
            if instead is not None:
                model.undo(instead)
                done.remove(instead)
            row = book.load(*in_pieces(chance, rows), replaces=instead, **options)
            assert counts(row) == model.load(row.id, rows, replace)
            assert row.status == "done"
            done.append(row.id)
            if instead is not None:
                assert book.row(instead).status == "undone"
        assert book.readings() == model.readings()
        assert book.below() == model.below()
        if model.readings():
            assert book.seen() == {key: value for key, (value, _) in model.readings().items()}
        check_counts(book.engine)
    for upload_id in done:
        book.undo(upload_id)
        model.undo(upload_id)
        assert book.readings() == model.readings()
    assert book.below() == {}
    with book.engine.connect() as connection:
        left = connection.scalars(sa.select(Source.name)).all()
    assert bool(left) == bool(model.readings())
