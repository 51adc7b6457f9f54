"""What is done to many rows is what was shown and agreed to, whatever happens between the page and the button."""

import dataclasses
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy.engine import Engine
from werkzeug.test import TestResponse

from daybook import imports, sql
from daybook.admin import bulk, filters, jobs, listing
from daybook.admin.tables import BY_SLUG
from daybook.config import Settings
from daybook.models import Account, Message, Reading, Sensor, Source, TelegramUpdate, TelegramUser, Upload, utc_now
from daybook.upload_options import Options, Sender
from tests.admin_rows import (
    NOON,
    add_chat,
    add_message,
    add_source,
    add_users,
    complaints_on,
    delete,
    hidden,
    scalar,
    wait_for_job,
)


@pytest.fixture
def admin(client: FlaskClient, make_account: Callable[..., Any], login: Callable[..., Any]) -> FlaskClient:
    return login(client, make_account())


def ask(admin: FlaskClient, path: str, action: str, mark: str = "", **more: Any) -> TestResponse:
    """Chooses the action for all rows that match; with the mark of a page, agrees to what that has shown."""
    agreed = {"confirmed": "yes", "mark": mark} if mark else {}
    return admin.post(path, data={"action": action, "rows": "all", **more, **agreed})


def values_of(engine: Engine, query: Any) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.scalars(query))


# --- which rows ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [20_000, 2])
def test_a_stranger_whom_nobody_was_shown_is_not_let_in(
    admin: FlaskClient, engine: Engine, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    """As many match as before, but others. Of more than can be compared, those who came later are left out."""
    monkeypatch.setattr(bulk, "MOST_KEPT", kept)
    add_users(engine, 3)
    path = "/admin/users/act?status=pending"
    page = ask(admin, path, "allow")
    with engine.begin() as connection:
        connection.execute(sa.update(TelegramUser).where(TelegramUser.user_id == 2).values(status="blocked"))
    add_users(engine, 1, first=666)
    told = ask(admin, path, "allow", hidden(page, "mark"))
    allowed = sa.select(TelegramUser.user_id).where(TelegramUser.status == "allowed")
    assert 666 not in values_of(engine, allowed)
    assert told.status_code == 409
    assert "Look again" in complaints_on(told)[0]
    assert ask(admin, path, "allow", hidden(told, "mark")).status_code == 303
    assert sorted(values_of(engine, allowed)) == [1, 3, 666]


def test_messages_that_come_meanwhile_are_left_out_and_hold_nobody_up(admin: FlaskClient, engine: Engine) -> None:
    with engine.begin() as connection:
        add_chat(connection)
        for number in range(1, 301):
            add_message(connection, number)
    page = ask(admin, "/admin/messages/act", "delete")
    assert "Delete 300 messages?" in page.text
    with engine.begin() as connection:
        add_message(connection, 900)
    assert ask(admin, "/admin/messages/act", "delete", hidden(page, "mark")).location == "/admin/jobs/1"
    assert wait_for_job(engine).changed == 300
    assert values_of(engine, sa.select(Message.id)) == [900]
    page = ask(admin, "/admin/messages/act", "delete", "0000000000000000nonsense")
    assert page.status_code == 409


def test_what_today_means_is_settled_when_the_work_begins(
    admin: FlaskClient, engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_users(engine, 250, created_at=utc_now())
    add_users(engine, 1, first=900, created_at=utc_now() - timedelta(days=8))
    chosen = [bulk.Chosen(BY_SLUG["users"], None, {"created_at": word}, "UTC") for word in ("today", "7days")]
    parameters = [one.as_of_now(engine).parameters("allow") for one in chosen]

    class Tomorrow(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(days=1)

    monkeypatch.setattr(filters, "datetime", Tomorrow)
    with engine.begin() as connection:
        ids = [jobs.store(connection, 1, "Allow", "rows", one) for one in parameters]
    for job_id in ids:
        jobs.run(engine, settings, job_id)
        job = wait_for_job(engine, job_id)
        assert (job.status, job.total, job.done) == ("done", 250, 250)
    assert values_of(engine, sa.select(TelegramUser.user_id).where(TelegramUser.status == "pending")) == [900]


# --- deleting -----------------------------------------------------------------------------------------------------


def test_of_several_large_rows_each_goes_as_it_was_shown(
    admin: FlaskClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One grows before its turn comes: it is left, with a word, and the others go."""
    with engine.begin() as connection:
        for number in (1, 2, 3):
            add_source(connection, number)
    table = BY_SLUG["sources"]
    at_once = dataclasses.replace(table, deletion=dataclasses.replace(table.deletion, at_once=5))
    monkeypatch.setitem(BY_SLUG, "sources", at_once)
    wish = {"action": "delete", "rows": "ticked", "key": ["1", "2", "3"]}
    page = admin.post("/admin/sources/act", data=wish)
    begin = jobs.begin

    def later(*args: Any) -> None:
        with engine.begin() as connection:
            connection.execute(sa.insert(Sensor).values(id=99, source_id=2, name="came later", reading_count=1))
            connection.execute(sa.insert(Reading).values(sensor_id=99, time=NOON, value=1.0))
        begin(*args)

    monkeypatch.setattr(jobs, "begin", later)
    answer = admin.post("/admin/sources/act", data=wish | {"confirmed": "yes", "mark": hidden(page, "mark")})
    assert answer.location == "/admin/jobs/1"
    job = wait_for_job(engine)
    assert (job.status, job.done, job.changed) == ("done", 3, 2)
    assert values_of(engine, sa.select(Source.id)) == [2]
    assert sorted(values_of(engine, sa.select(Sensor.id))) == [20, 21, 99]
    page = admin.get("/admin/jobs/1").text
    assert "1 left as it was" in page
    assert "than was shown" in page


def add_updates(engine: Engine, many: int, young: set[int]) -> None:
    old = utc_now() - timedelta(days=9)
    rows = [
        {"update_id": number, "received_at": utc_now() if number in young else old, "payload": {}}
        for number in range(1, many + 1)
    ]
    with engine.begin() as connection:
        connection.execute(sa.insert(TelegramUpdate), rows)
        add_message(connection, 1, update_id=1)


def test_many_are_deleted_but_for_those_that_cannot_go(admin: FlaskClient, engine: Engine) -> None:
    add_updates(engine, 500, {7, 150, 499})
    page = ask(admin, "/admin/updates/act", "delete")
    assert "Delete 500 updates?" in page.text
    assert "1 message that they brought" in page.text
    assert "3 came within the last two days" in page.text
    assert "and 480 more" in page.text
    assert ask(admin, "/admin/updates/act", "delete", hidden(page, "mark")).location == "/admin/jobs/1"
    job = wait_for_job(engine)
    assert (job.status, job.done, job.changed) == ("done", 500, 497)
    assert sorted(values_of(engine, sa.select(TelegramUpdate.update_id))) == [7, 150, 499]
    [(reason, many)] = job.left_out.items()
    assert (many, reason.startswith("It came within the last two days")) == (3, True)
    page = admin.get("/admin/jobs/1").text
    assert "3 left as they were" in page
    assert reason in page


def test_the_last_admin_stays_when_many_accounts_go(admin: FlaskClient, engine: Engine) -> None:
    with engine.begin() as connection:
        rows = [{"username": f"u{n:03}", "password_hash": "x", "role": "admin"} for n in range(210)]
        connection.execute(sa.insert(Account), rows)
    page = ask(admin, "/admin/accounts/act?q=u", "delete")
    assert ask(admin, "/admin/accounts/act?q=u", "delete", hidden(page, "mark")).status_code == 303
    assert wait_for_job(engine).changed == 210
    assert values_of(engine, sa.select(Account.username)) == ["ada"]


def test_more_than_can_be_counted_are_deleted_all_the_same(
    admin: FlaskClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MOST_KEYS", 250)
    add_updates(engine, 260, {7})
    page = ask(admin, "/admin/updates/act", "delete")
    assert "too many to count what goes along" in page.text
    assert ask(admin, "/admin/updates/act", "delete", hidden(page, "mark")).status_code == 303
    job = wait_for_job(engine)
    assert (job.status, job.changed, list(job.left_out.values())) == ("done", 259, [1])


def test_an_upload_stays_while_its_file_still_arrives(admin: FlaskClient, engine: Engine, settings: Settings) -> None:
    """It has failed, and says so, but the rest of its file is taken in; then its row is written once more."""
    one = imports.announce(engine, "prose.csv", Options(), Sender())
    answers = []

    def stream() -> Iterator[bytes]:
        yield b"This is a letter and no table.\n" * 4000
        for _ in range(200):
            yield b"Dear friend, how do you do today\n" * 1000
            if scalar(engine, sa.select(Upload.status).where(Upload.id == one)) == "failed":
                break
        answers.append(delete(admin, f"/admin/uploads/{one}"))
        answers.append(admin.get(f"/admin/uploads/{one}"))
        yield b"more prose that goes on and on\n" * 1000

    imports.import_stream(engine, settings, stream(), upload_id=one)
    assert [answer.status_code for answer in answers] == [409, 200]
    assert "still arriving" in complaints_on(answers[0])[0]
    assert scalar(engine, sa.select(Upload.sha256).where(Upload.id == one))
    assert delete(admin, f"/admin/uploads/{one}").status_code == 303
    assert list((settings.instance_path / "uploads").iterdir()) == []


def test_a_job_leaves_out_an_upload_whose_file_still_arrives(
    admin: FlaskClient, engine: Engine, settings: Settings
) -> None:
    with engine.begin() as connection:
        rows = [{"id": number, "filename": "a.csv", "status": "failed"} for number in range(1, 211)]
        connection.execute(sa.insert(Upload), rows)
    page = ask(admin, "/admin/uploads/act", "delete")
    with sql.Locks(engine) as locks:
        assert locks.try_lock("upload", 77, shared=True)
        assert ask(admin, "/admin/uploads/act", "delete", hidden(page, "mark")).status_code == 303
        job = wait_for_job(engine)
    assert (job.status, job.changed, list(job.left_out.values())) == ("done", 209, [1])
    assert values_of(engine, sa.select(Upload.id)) == [77]
