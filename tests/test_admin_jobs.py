"""Work on many rows: every row once, whoever dies, resumes, cancels or deletes meanwhile."""

import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy.engine import Engine

from daybook import accounts, sql
from daybook.admin import bulk, jobs
from daybook.admin.described import Refused, Work
from daybook.admin.tables import BY_SLUG
from daybook.config import Settings
from daybook.models import Account, AuditEntry, Job, Message, TelegramUser, utc_now
from daybook.models import Counter as NamedNumber
from tests.admin_rows import add_chat, add_message, add_users, scalar, wait_for_job
from tests.conftest import LiveServer

MANY = 2000


@pytest.fixture
def admin(client: FlaskClient, make_account: Callable[..., Any], login: Callable[..., Any]) -> FlaskClient:
    return login(client, make_account())


def add_job(engine: Engine, task: str = "rows", **parameters: Any) -> int:
    """A job that nobody works on yet, as a stopped process leaves it."""
    values = {"account_id": 1, "title": "Allow", "task": task, "parameters": parameters}
    with engine.begin() as connection:
        return connection.execute(sa.insert(Job).values(values).returning(Job.id)).scalar_one()


def everybody(action: str = "allow", slug: str = "users", **arguments: str) -> dict[str, Any]:
    return bulk.Chosen(BY_SLUG[slug], None, arguments, "UTC").parameters(action)


def each_once(engine: Engine, ids: list[int], action: str = "allow") -> None:
    """These were changed, each with one entry, and nobody else."""
    query = sa.select(AuditEntry.object_id, AuditEntry.actor).where(AuditEntry.object_type == "bot user")
    with engine.connect() as connection:
        rows = connection.execute(query.where(AuditEntry.action == action)).all()
        allowed = set(connection.scalars(sa.select(TelegramUser.user_id).where(TelegramUser.status == "allowed")))
    assert Counter(int(row.object_id) for row in rows) == Counter(ids)
    assert {row.actor for row in rows} <= {"ada"}
    assert allowed == set(ids) or action != "allow"


# --- who dies -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_killed_server_s_job_is_ended_by_the_next_ones(
    admin: FlaskClient, engine: Engine, start_server: Callable[..., LiveServer]
) -> None:
    add_users(engine, MANY)
    with engine.begin() as connection:
        add_chat(connection, 1)
        for number in range(1, 200):
            add_message(connection, 100_000 + number, sender_id=number)
    job_id = add_job(engine, **everybody(status="pending"))
    with sql.Locks(engine) as locks:
        assert locks.try_lock("job", job_id)  # nobody begins before the test looks
        server = start_server()
    until = time.monotonic() + 20
    while scalar(engine, sa.select(Job.done)) < 400 and time.monotonic() < until:
        time.sleep(0.005)
    for pid in [server.process.pid, *server.workers()]:
        os.kill(pid, signal.SIGKILL)
    server.process.wait(10)
    left = scalar(engine, sa.select(Job.done))
    assert 400 <= left < MANY, "killed too late to tell anything"
    start_server(WEB_CONCURRENCY="3")  # all of which want to go on with it
    job = wait_for_job(engine, job_id)
    assert (job.status, job.total, job.done, job.changed) == ("done", MANY, MANY, MANY)
    each_once(engine, list(range(1, MANY + 1)))
    told = sa.select(sa.func.count()).select_from(Message).where(Message.direction == "out")
    assert scalar(engine, told) == 199


def test_who_waits_for_a_job_goes_on_with_it_when_its_worker_dies(
    engine: Engine, settings: Settings, admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_LOOK_AGAIN", 0.05)
    add_users(engine, 3)
    job_id = add_job(engine, **everybody())
    with sql.Locks(engine) as worker:
        assert worker.try_lock("job", job_id)
        jobs.resume(engine, settings)
        jobs.resume(engine, settings)
        time.sleep(0.3)
        assert scalar(engine, sa.select(Job.status)) == "waiting"
    assert wait_for_job(engine).status == "done"
    each_once(engine, [1, 2, 3])


def test_who_has_lost_the_job_to_another_stops(engine: Engine, settings: Settings, admin: FlaskClient) -> None:
    add_users(engine, 4)
    job_id = add_job(engine, **everybody())
    with engine.connect() as connection:
        job = connection.execute(sa.select(Job.__table__)).one()
    # Both know the job as it began; the second finds that somebody has gone on from there.
    task = jobs.TASKS["rows"]
    with jobs.audit.acting(jobs.audit.Actor("page", "ada", 1)):
        assert jobs._batch(engine, settings, task, job, None, [1, 2], {}) is True
        assert jobs._batch(engine, settings, task, job, None, [1, 2], {}) is False
    assert scalar(engine, sa.select(Job.done)) == 2
    jobs.run(engine, settings, job_id)
    each_once(engine, [1, 2, 3, 4])


# --- what happens in the middle -----------------------------------------------------------------------------------


class Steps:
    """A task on the numbers from 1, two at a time, that counts each in the book and does something in each batch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, before: Callable[[int], None], many: int = 6) -> None:
        self.before, self.batches, self.many = before, 0, many
        task = jobs.Task(lambda *_: many, self.keys, self.work, batch=lambda _: 2)
        monkeypatch.setitem(jobs.TASKS, "steps", task)

    def keys(self, _connection: Any, _parameters: Any, after: int | None, limit: int) -> list[int]:
        return [number for number in range(1, self.many + 1) if number > (after or 0)][:limit]

    def work(self, work: Work, _parameters: Any, keys: list[int]) -> int:
        for key in keys:
            work.connection.execute(sa.insert(NamedNumber).values(name=str(key), value=work.account_id or 0))
        self.batches += 1
        self.before(self.batches)
        return len(keys)

    @staticmethod
    def done(engine: Engine) -> list[str]:
        with engine.connect() as connection:
            return sorted(connection.scalars(sa.select(NamedNumber.name)))


@pytest.mark.parametrize(("error", "said"), [(RuntimeError("x"), "made a mistake"), (Refused("Not now."), "Not now.")])
def test_an_error_ends_the_job_and_what_was_done_stays(
    engine: Engine, settings: Settings, admin: FlaskClient, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fails(batch: int) -> None:
        if batch == 2:
            raise error

    Steps(monkeypatch, fails)
    jobs.run(engine, settings, add_job(engine, "steps"))
    job = wait_for_job(engine)
    assert (job.status, job.done, job.changed) == ("failed", 2, 2)
    assert said in job.error
    assert Steps.done(engine) == ["1", "2"]
    assert said in admin.get("/admin/jobs/1").text
    jobs.resume(engine, settings)  # nobody goes on with what has failed
    assert Steps.done(engine) == ["1", "2"]


def test_a_database_that_was_away_for_a_moment_is_asked_again(
    engine: Engine, settings: Settings, admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_TRY_AGAIN", (0.01, 0.01))

    def is_away(batch: int) -> None:
        if batch in (2, 4):
            raise sa.exc.OperationalError("", {}, Exception("the server closed the connection"))

    Steps(monkeypatch, is_away)
    jobs.run(engine, settings, add_job(engine, "steps"))
    job = wait_for_job(engine)
    assert (job.status, job.done, job.changed) == ("done", 6, 6)
    assert Steps.done(engine) == list("123456")


def test_a_job_is_ended_after_the_rows_that_are_being_worked_on(
    engine: Engine, settings: Settings, admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[int] = []
    pressed = threading.Thread(target=lambda: answers.append(admin.post("/admin/jobs/1/cancel").status_code))

    def is_cancelled(batch: int) -> None:
        if batch == 1:
            pressed.start()  # its answer comes once this batch has ended
        time.sleep(0.15)

    Steps(monkeypatch, is_cancelled, many=80)
    jobs.run(engine, settings, add_job(engine, "steps"))
    pressed.join(20)
    job = wait_for_job(engine)
    assert answers == [303]
    assert job.status == "cancelled"
    assert job.done < 80
    assert len(Steps.done(engine)) == job.done == job.changed


def test_who_ended_a_job_is_written_down_once(engine: Engine, admin: FlaskClient) -> None:
    add_job(engine)
    for _ in range(2):
        assert admin.post("/admin/jobs/1/cancel").status_code == 303
    with engine.connect() as connection:
        (entry,) = connection.execute(sa.select(AuditEntry.__table__).where(AuditEntry.object_type == "job")).all()
    assert (entry.actor, entry.action, entry.object_id, entry.object_repr) == ("ada", "cancel", "1", "Allow")


def test_work_ends_when_the_account_that_began_it_is_deleted(
    engine: Engine,
    settings: Settings,
    admin: FlaskClient,
    make_account: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As it does when it is disabled; and nobody who comes later is taken for whoever began it."""
    make_account("bob")
    add_users(engine, 6)
    task = jobs.TASKS["rows"]

    def keys(connection: Any, parameters: Any, after: Any, limit: int) -> list[Any]:
        if after == 2:
            with sql.writing(engine) as other:
                accounts.delete(other, 2)
            make_account("eve")
        return task.keys(connection, parameters, after, 2)

    monkeypatch.setitem(jobs.TASKS, "slow", jobs.Task(task.count, keys, task.work))
    job_id = add_job(engine, "slow", **everybody())
    with engine.begin() as connection:
        connection.execute(sa.update(Job).values(account_id=2))
    jobs.run(engine, settings, job_id)
    job = wait_for_job(engine)
    assert (job.status, job.done, job.changed) == ("failed", 2, 2)
    assert "gone or disabled" in job.error
    allowed = sa.select(sa.func.count()).select_from(TelegramUser).where(TelegramUser.status == "allowed")
    assert scalar(engine, allowed) == 2
    by = sa.select(AuditEntry.actor).where(AuditEntry.action == "allow").distinct()
    assert scalar(engine, by) == "bob"


# --- which rows ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [{"is_active": False}, {"role": "editor"}])
def test_who_may_not_do_it_any_more_does_no_more_of_it(
    engine: Engine, settings: Settings, admin: FlaskClient, lost: dict[str, Any]
) -> None:
    add_users(engine, 3)
    with engine.begin() as connection:
        connection.execute(sa.update(Account).where(Account.id == 1).values(lost))
    jobs.run(engine, settings, add_job(engine, **everybody()))
    job = wait_for_job(engine)
    assert (job.status, job.changed) == ("failed", 0)
    assert "disabled, or no admin any more" in job.error
    each_once(engine, [])


@pytest.mark.parametrize("kept", [20_000, 2])
def test_what_comes_after_the_button_was_pressed_is_left_alone(
    engine: Engine, settings: Settings, admin: FlaskClient, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(bulk, "MOST_KEPT", kept)
    add_users(engine, 3, first=10)
    with engine.begin() as connection:
        for number in (1, 2, 3):
            add_message(connection, number)
    chosen = {slug: bulk.Chosen(BY_SLUG[slug], None, {}, "UTC").as_of_now(engine) for slug in ("users", "messages")}
    add_users(engine, 1, first=99)
    with engine.begin() as connection:
        add_message(connection, 4)
        connection.execute(sa.delete(Message).where(Message.id == 2))
    for job_id, one in enumerate(chosen.values(), 1):
        jobs.run(engine, settings, add_job(engine, **one.parameters("delete")))
        assert wait_for_job(engine, job_id).status == "done"
    assert scalar(engine, sa.select(TelegramUser.user_id)) == 99
    assert scalar(engine, sa.select(Message.id)) == 4


def test_work_that_this_daybook_does_not_know_ends_with_a_word_and_disturbs_no_start(
    engine: Engine, settings: Settings, admin: FlaskClient
) -> None:
    add_users(engine, 3)
    known = everybody("delete")
    unknown: list[dict[str, Any]] = [
        {"task": "nonsense"},
        known | {"table": "nonsense"},
        known | {"action": "nonsense"},
        # Without the filter it was chosen by, it would be all of them.
        known | {"arguments": {"status": "nonsense"}},
        known | {"arguments": {"colour": "red"}},
        {},
    ]
    for parameters in unknown:
        add_job(engine, **parameters)
    jobs.resume(engine, settings)
    found = [wait_for_job(engine, job_id) for job_id in range(1, len(unknown) + 1)]
    assert {job.status for job in found} == {"failed"}
    assert all(job.error for job in found)
    assert scalar(engine, sa.select(sa.func.count()).select_from(TelegramUser)) == 3


def test_others_write_while_a_job_is_under_way(engine: Engine, settings: Settings, admin: FlaskClient) -> None:
    add_users(engine, 1500)
    waits = []
    job_id = add_job(engine, **everybody())
    worker = threading.Thread(target=jobs.run, args=(engine, settings, job_id))
    worker.start()
    while worker.is_alive():
        start = time.monotonic()
        with sql.writing(engine) as connection:
            connection.execute(sa.insert(NamedNumber).values(name=f"n{len(waits)}", value=1))
        waits.append(time.monotonic() - start)
        time.sleep(0.01)
    assert wait_for_job(engine).status == "done"
    assert max(waits) < 5


# --- a database that cannot be used yet ---------------------------------------------------------------------------


def test_a_server_starts_before_its_database(
    start_server: Callable[..., LiveServer], engine: Engine, tmp_path: Path
) -> None:
    away = {"sqlite": f"sqlite:///{tmp_path / 'without_tables.sqlite3'}", "postgresql": "postgresql://n@127.0.0.1:1/n"}
    server = start_server(DATABASE_URL=away[engine.dialect.name])
    os.kill(server.workers()[0], signal.SIGKILL)
    until = time.monotonic() + 15
    while server.log.read_text().count("Booting worker") < 3 and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(1)
    assert server.process.poll() is None
    assert len(server.workers()) == 2, server.log.read_text()
    assert "jobs may wait" in server.log.read_text()


def test_jobs_go_on_once_the_database_is_there(
    engine: Engine, settings: Settings, admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_users(engine, 3)
    add_job(engine, **everybody())
    monkeypatch.setattr(jobs, "_RESUME_AGAIN", 0.1)
    real, failures = sql.only_reading, [1, 2]

    def away() -> Any:
        if failures and failures.pop():
            raise sa.exc.OperationalError("", {}, Exception())
        return real()

    monkeypatch.setattr(jobs.sql, "only_reading", away)
    jobs.resume(engine, settings)
    assert wait_for_job(engine).status == "done"


def test_jobs_have_a_list_and_lead_to_the_rows_they_were_chosen_from(admin: FlaskClient, engine: Engine) -> None:
    job_id = add_job(engine, **everybody(status="pending"))
    with engine.begin() as connection:
        long_ago = utc_now() - timedelta(days=400)
        connection.execute(sa.update(Job).values(status="done", total=300, created_at=long_ago, finished_at=long_ago))
    page = admin.get("/admin/jobs/?status=done&q=allow").text
    assert re.search(rf'<a href="/admin/jobs/{job_id}\?back=[^"]*">Allow</a>', page)
    assert '<a href="/admin/accounts/1">ada</a>' in page
    assert (
        '<a href="/admin/users/?status=pending">The list that they were chosen from: Bot users</a>'
        in admin.get(f"/admin/jobs/{job_id}").text
    )
    assert admin.post(f"/admin/jobs/{job_id}").status_code == 405
