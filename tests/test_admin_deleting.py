"""Deleting in the admin area: exactly what the page has shown, all of it or nothing, whoever else is at work."""

import re
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy.engine import Engine

from daybook import imports, removal
from daybook.admin.tables import book
from daybook.config import Settings
from daybook.extensions import db
from daybook.models import (
    AuditEntry,
    Chat,
    Sensor,
    Source,
    TelegramUpdate,
    Upload,
)
from daybook.upload_options import Options, Sender
from tests.admin_rows import (
    NOON,
    add_message,
    add_source,
    complaints_on,
    delete,
    hidden,
    mark_of,
    scalar,
    wait_for_job,
    whole_book,
)
from tests.telegram_updates import ANNA, Book, Phone

WELL = "All is well."
Row = dict[str, Any]


@pytest.fixture
def admin(client: FlaskClient, make_account: Callable[..., Any], login: Callable[..., Any]) -> FlaskClient:
    return login(client, make_account())


def load(
    engine: Engine, settings: Settings, source: str, body: str, replaces: int | None = None, **options: Any
) -> int:
    upload_id = imports.announce(engine, "a.csv", Options(source=source, **options), Sender(), None, replaces)
    imports.import_stream(engine, settings, iter([body.encode()]), upload_id=upload_id)
    assert scalar(engine, sa.select(Upload.status).where(Upload.id == upload_id)) == "done"
    return upload_id


def csv_of(value: int, first: int = 0, many: int = 5) -> str:
    lines = [f"2026-01-01 00:{minute:02}:00,{value},{value + minute}" for minute in range(first, first + many)]
    return "\n".join(["time,temp,wind", *lines, "not a line"]) + "\n"


@pytest.fixture
def filled(app: Flask, engine: Engine, settings: Settings) -> Book:
    """Two sources, each with readings of files, of files that replaced others, and of a chat."""
    chat = Book(app)
    chat.allow(ANNA)
    for source in ("mast", "hut"):
        load(engine, settings, source, csv_of(1))
        load(engine, settings, source, csv_of(2, 2), on_duplicate="replace")
        undone = load(engine, settings, source, csv_of(3, 1), on_duplicate="replace")
        assert removal.undo(engine, settings, undone)
    chat.take(Phone().message("12.50 groceries"), Phone().later(minutes=1).message("hello"))
    with engine.begin() as connection:
        mast = connection.scalar(sa.select(Source.id).where(Source.name == "mast"))
        connection.execute(sa.update(Chat).values(source_id=mast))
        sensor = connection.scalar(sa.select(Sensor.id).where(Sensor.source_id == mast).limit(1))
        add_message(connection, 900, chat_id=900, sensor_id=sensor)
    return chat


def rows_of(engine: Engine) -> dict[str, list[Row]]:
    with engine.connect() as connection:
        return {
            table.name: [dict(row) for row in connection.execute(sa.select(table)).mappings()]
            for table in db.metadata.sorted_tables
            if table.name not in ("login_session", "audit_entry")
        }


def without_source(rows: dict[str, list[Row]], source_id: int) -> dict[str, list[Row]]:
    """The book as it has to be once this source is deleted."""
    sensors = {row["id"] for row in rows["sensor"] if row["source_id"] == source_id}
    uploads = {row["id"] for row in rows["upload"] if row["source_id"] == source_id}
    gone = {
        "source": lambda row: row["id"] == source_id,
        "sensor": lambda row: row["id"] in sensors,
        "upload": lambda row: row["id"] in uploads,
        "upload_sensor": lambda row: row["upload_id"] in uploads,
        "upload_issue": lambda row: row["upload_id"] in uploads,
    } | {name: lambda row: row["sensor_id"] in sensors for name in ("reading", "replacement", "message_reading")}
    left = {name: [dict(row) for row in some if name not in gone or not gone[name](row)] for name, some in rows.items()}
    for row in left["message"]:
        row["sensor_id"] = None if row["sensor_id"] in sensors else row["sensor_id"]
    for row in left["chat"]:
        row["source_id"] = None if row["source_id"] == source_id else row["source_id"]
    return left


def sorted_rows(rows: dict[str, list[Row]]) -> dict[str, list[str]]:
    return {name: sorted(map(str, some)) for name, some in rows.items()}


def copies(settings: Settings) -> set[str]:
    return {path.stem for path in Path(settings.instance_path / "uploads").glob("*")}


# --- a source -----------------------------------------------------------------------------------------------------


def test_a_source_goes_with_all_that_is_its_own_and_nothing_else(
    admin: FlaskClient, engine: Engine, settings: Settings, filled: Book, runner: FlaskCliRunner
) -> None:
    source_id = scalar(engine, sa.select(Source.id).where(Source.name == "mast"))
    before = rows_of(engine)
    uploads = {str(row["id"]) for row in before["upload"]}
    assert any(row["sensor_id"] for row in before["replacement"])
    assert copies(settings) == uploads
    page = admin.get(f"/admin/sources/{source_id}/delete").text
    said = " ".join(re.sub("<[^>]*>", " ", page.split("<h1")[1]).split())
    stored = sum(row["reading_count"] for row in before["sensor"] if row["source_id"] == source_id)
    assert all(f"{number} {what}" in said for number, what in ((2, "sensors"), (stored, "readings"), (3, "uploads")))
    assert delete(admin, f"/admin/sources/{source_id}").status_code == 303
    after = rows_of(engine)
    assert sorted_rows(after) == sorted_rows(without_source(before, source_id))
    assert copies(settings) == {str(row["id"]) for row in after["upload"]}
    assert runner.invoke(args=["check"]).output.strip() == WELL
    with engine.connect() as connection:
        query = sa.select(AuditEntry.changes).where(AuditEntry.action == "delete", AuditEntry.object_type == "source")
        [changes] = connection.scalars(query)
    assert changes["sensors"] == [2, 0]
    assert changes["readings"] == [stored, 0]


def deleted(engine: Engine, action: str = "delete") -> list[tuple[str, str, str]]:
    """(object_type, object_id, object_repr) of every such entry."""
    query = sa.select(AuditEntry.object_type, AuditEntry.object_id, AuditEntry.object_repr)
    with engine.connect() as connection:
        return [
            tuple(row) for row in connection.execute(query.where(AuditEntry.action == action).order_by(AuditEntry.id))
        ]


def test_what_goes_along_with_a_source_has_entries_of_its_own(admin: FlaskClient, engine: Engine) -> None:
    with engine.begin() as connection:
        add_source(connection, 5)
    assert delete(admin, "/admin/sources/5").status_code == 303
    assert deleted(engine) == [
        ("sensor", "50", "mast 5: t50"),
        ("sensor", "51", "mast 5: t51"),
        ("upload", "5", "5.csv"),
        ("source", "5", "mast 5"),
    ]
    for path in ("sensors/50", "uploads/5", "sources/5"):
        assert "delete" in admin.get(f"/admin/{path}/history").text.split("<main")[1]


def test_tokens_that_go_with_an_account_are_revoked_in_the_audit(
    admin: FlaskClient, engine: Engine, make_account: Callable[..., Any], token_for: Callable[..., str]
) -> None:
    bob = make_account("bob", "viewer")
    for name in ("mast logger", "other"):
        token_for(bob, name)
    assert delete(admin, f"/admin/accounts/{bob.id}").status_code == 303
    assert deleted(engine, "revoke") == [("token", "1", "mast logger"), ("token", "2", "other")]
    assert deleted(engine) == [("account", str(bob.id), "bob")]


def test_what_grew_since_it_was_shown_is_shown_again_and_not_deleted(
    admin: FlaskClient, engine: Engine, settings: Settings, filled: Book
) -> None:
    page = admin.get("/admin/sources/1/delete")
    load(engine, settings, "mast", csv_of(9, 30))
    before = whole_book(engine, "login_session")
    told = admin.post("/admin/sources/1/delete", data={"mark": hidden(page, "mark")})
    assert told.status_code == 409
    assert "Look again" in complaints_on(told)[0]
    assert admin.post("/admin/sources/1/delete").status_code == 409
    assert whole_book(engine, "login_session") == before
    assert admin.post("/admin/sources/1/delete", data={"mark": hidden(told, "mark")}).status_code == 303


def test_nothing_is_deleted_from_under_an_import(
    admin: FlaskClient,
    engine: Engine,
    settings: Settings,
    filled: Book,
    runner: FlaskCliRunner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(book, "_PATIENCE", 0.3)
    goes_on, has_begun = threading.Event(), threading.Event()

    def stream() -> Iterator[bytes]:
        yield b"time,temp\n"
        day, wanted = NOON, sa.select(Upload.source_id).where(Upload.status == "importing")
        while scalar(engine, wanted) is None:  # until some of it is stored
            day += timedelta(days=1)
            yield "".join(f"{day + timedelta(seconds=n):%Y-%m-%d %H:%M:%S},1\n" for n in range(10_000)).encode()
        has_begun.set()
        assert goes_on.wait(30)
        yield b"2126-03-01 00:00:00,2\n"

    upload_id = imports.announce(engine, "a.csv", Options(source="mast"), Sender())
    run = threading.Thread(
        target=imports.import_stream, args=(engine, settings, stream()), kwargs={"upload_id": upload_id}
    )
    run.start()
    try:
        assert has_begun.wait(30)
        before = whole_book(engine, "login_session", "upload")
        stored = before.pop("reading")
        sensor = scalar(engine, sa.select(Sensor.id).where(Sensor.source_id == 1).limit(1))
        for path in ("/admin/sources/1", f"/admin/sensors/{sensor}"):
            told = delete(admin, path)
            assert told.status_code == 409
            assert "being imported" in complaints_on(told)[0]
        held = admin.get(f"/admin/uploads/{upload_id}/delete")
        assert "still holds readings" in held.text
        after = whole_book(engine, "login_session", "upload")
        assert set(stored) <= set(after.pop("reading"))  # the import goes on storing
        assert after == before
    finally:
        goes_on.set()
        run.join(30)
    assert scalar(engine, sa.select(Upload.status).where(Upload.id == upload_id)) == "done"
    assert delete(admin, "/admin/sources/1").status_code == 303
    assert runner.invoke(args=["check"]).output.strip() == WELL


def test_a_chat_that_writes_into_the_source_meanwhile_loses_nothing_it_was_told_is_kept(
    app: Flask, admin: FlaskClient, engine: Engine, runner: FlaskCliRunner
) -> None:
    chat, phone, stop = Book(app), Phone(), threading.Event()
    chat.allow(ANNA)
    chat.take(phone.message("1 temp"))

    def write() -> None:
        while not stop.is_set():
            chat.take(phone.later(seconds=1).message("2 temp"))

    writer = threading.Thread(target=write)
    writer.start()
    answers = []
    try:
        for _ in range(6):
            source_id = scalar(engine, sa.select(sa.func.max(Source.id)))
            page = admin.get(f"/admin/sources/{source_id}/delete")
            if page.status_code == 200:
                data = {"mark": hidden(page, "mark")}
                answers.append(admin.post(f"/admin/sources/{source_id}/delete", data=data).status_code)
    finally:
        stop.set()
        writer.join(30)
    assert set(answers) <= {303, 409, 404}
    assert (
        scalar(engine, sa.select(sa.func.count()).select_from(TelegramUpdate).where(TelegramUpdate.error.is_not(None)))
        == 0
    )
    assert runner.invoke(args=["check"]).output.strip() == WELL
    chat.check()


def test_a_large_source_goes_in_the_background(admin: FlaskClient, engine: Engine, runner: FlaskCliRunner) -> None:
    with engine.begin() as connection:
        add_source(connection, 1)
        add_source(connection, 2)
        connection.execute(sa.update(Sensor).where(Sensor.id == 10).values(reading_count=60_000))
    answer = delete(admin, "/admin/sources/1")
    assert answer.status_code == 303
    assert answer.location.startswith("/admin/jobs/")
    assert wait_for_job(engine).status == "done"
    with engine.connect() as connection:
        assert list(connection.scalars(sa.select(Source.name))) == ["mast 2"]
    assert runner.invoke(args=["check"]).output.strip() == WELL


def test_a_sensor_goes_with_its_readings_and_its_uploads_can_still_be_undone(
    admin: FlaskClient, engine: Engine, settings: Settings, filled: Book, runner: FlaskCliRunner
) -> None:
    sensor = scalar(engine, sa.select(Sensor.id).where(Sensor.source_id == 1).order_by(Sensor.id).limit(1))
    before = rows_of(engine)
    assert delete(admin, f"/admin/sensors/{sensor}").status_code == 303
    after = rows_of(engine)
    for name in ("reading", "replacement", "upload_sensor", "message_reading"):
        left = [row for row in before[name] if row["sensor_id"] != sensor]
        assert sorted_rows({name: after[name]}) == sorted_rows({name: left})
    assert sorted_rows({"": after["upload"]}) == sorted_rows({"": before["upload"]})
    assert runner.invoke(args=["check"]).output.strip() == WELL
    for upload_id in (2, 1):
        assert removal.undo(engine, settings, upload_id)
    assert runner.invoke(args=["check"]).output.strip() == WELL


def test_an_upload_that_holds_readings_stays_until_it_is_undone(
    admin: FlaskClient, engine: Engine, settings: Settings, filled: Book, runner: FlaskCliRunner
) -> None:
    page = admin.get("/admin/uploads/1/delete")
    assert "still holds readings" in page.text
    before = whole_book(engine, "login_session")
    assert admin.post("/admin/uploads/1/delete", data={"mark": mark_of(engine, "uploads", [1])}).status_code == 409
    assert whole_book(engine, "login_session") == before
    readings = before["reading"]
    assert delete(admin, "/admin/uploads/3").status_code == 303  # undone by now
    assert whole_book(engine)["reading"] == readings
    assert "3" not in copies(settings)
    assert removal.undo(engine, settings, 1)
    assert delete(admin, "/admin/uploads/1").status_code == 303
    assert runner.invoke(args=["check"]).output.strip() == WELL
