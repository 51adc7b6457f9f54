"""Work on many rows, begun by an admin: it goes on when the page is closed, and after a restart from where it was.

Each batch is one transaction together with the note of how far it has come, so that none is done twice. Whoever works
on a job holds its lock, which ends with the process (daybook/sql.py).
"""

import contextvars
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from daybook import audit, outbox, sql
from daybook.admin.described import Refused, Work
from daybook.config import Settings
from daybook.models import Account, Job, utc_now

log = logging.getLogger(__name__)

BATCH = 200
OPEN = ("waiting", "running")
_MAY_NOT = "The account that began it is gone or disabled, or no admin any more."
_LOOK_AGAIN = 2.0  # seconds until somebody who found the job's lock taken looks whether its holder is still there
# Seconds between two batches, or as long as the one took: whoever waits to write into SQLite looks every tenth of a
# second, and would find it taken each time.
_GIVE_WAY = 0.12
_TRY_AGAIN = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)  # seconds, while the database is away
_DATABASE_AWAY = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError)
_RESUME_AGAIN = 15.0  # seconds
_MOST_REASONS = 20
_MISTAKE = "Daybook made a mistake and has written it down."


@dataclass(frozen=True)
class Task:
    """A kind of job. keys: those after `position`, at most `limit`. work: does it to these; how many it has changed.

    around: what is held while a batch is worked on; it yields those keys that somebody else holds, and why. batch: how
    many keys are one transaction. alone: `work` makes its own transactions, before the one that notes how far it has
    come.
    """

    count: Callable[[Connection, Mapping[str, Any]], int]
    keys: Callable[[Connection, Mapping[str, Any], Any, int], list[Any]]
    work: Callable[[Work, Mapping[str, Any], list[Any]], int]
    around: Callable[[Engine, Mapping[str, Any], list[Any]], AbstractContextManager[Mapping[Any, str]]] = (
        lambda _engine, _parameters, _keys: nullcontext({})
    )
    batch: Callable[[Mapping[str, Any]], int] = lambda _parameters: BATCH
    alone: Callable[[Mapping[str, Any]], bool] = lambda _parameters: False


TASKS: dict[str, Task] = {}


def start(
    engine: Engine, settings: Settings, account_id: int, title: str, task: str, parameters: Mapping[str, Any]
) -> int:
    """Stores the job and begins it in a thread of this process; returns its id."""
    with engine.begin() as connection:
        job_id = store(connection, account_id, title, task, parameters)
    begin(engine, settings, job_id)
    return job_id


def store(connection: Connection, account_id: int, title: str, task: str, parameters: Mapping[str, Any]) -> int:
    """Stores the job and returns its id; once this is committed, `begin` it."""
    values = {"account_id": account_id, "title": title[:200], "task": task, "parameters": dict(parameters)}
    return connection.execute(sa.insert(Job).values(values).returning(Job.id)).scalar_one()


def begin(engine: Engine, settings: Settings, job_id: int) -> None:
    """Begins a job that is stored, in a thread of this process."""
    # The thread works for whoever began it, and has nothing of this request but that.
    target = contextvars.Context().run
    threading.Thread(target=target, args=(run, engine, settings, job_id), name=f"job-{job_id}", daemon=True).start()


def cancel(connection: Connection, job_id: int) -> bool:
    """Ends the job after the batch that is under way; what is done stays. False when it has ended already."""
    mine = Job.id == job_id, Job.status.in_(OPEN)
    asked = sa.update(Job).where(*mine, Job.cancel_requested.is_(False)).values(cancel_requested=True)
    title = connection.scalar(asked.returning(Job.title))
    if title is None:
        return connection.scalar(sa.select(Job.id).where(*mine)) is not None
    audit.note(connection, "cancel", "job", job_id, title, {"cancel_requested": [False, True]})
    return True


def resume(engine: Engine, settings: Settings) -> None:
    """Goes on with jobs that a stopped process has left; where the database cannot be used yet, as soon as it can."""
    try:
        with sql.only_reading(), engine.connect() as connection:
            left = list(connection.scalars(sa.select(Job.id).where(Job.status.in_(OPEN)).order_by(Job.id)))
    except sa.exc.SQLAlchemyError as error:
        log.warning("jobs may wait, the database cannot be used: %s", type(error).__name__)
        later = threading.Timer(_RESUME_AGAIN, resume, (engine, settings))
        later.daemon = True  # it keeps no process from ending
        later.start()
        return
    for job_id in left:
        begin(engine, settings, job_id)


def run(engine: Engine, settings: Settings, job_id: int) -> None:
    """Works on the job until its end. Where somebody else does, this waits for that end, or goes on when they die."""
    failures = 0
    while True:
        try:
            if _attempt(engine, settings, job_id):
                return
            pause = _LOOK_AGAIN
        except _DATABASE_AWAY:
            log.exception("job %s stopped: the database is away, or too busy to write into", job_id)
            if failures == len(_TRY_AGAIN):
                log.error("job %s goes on after the next start", job_id)
                return
            pause = _TRY_AGAIN[failures]
            failures += 1
        time.sleep(pause)


def _attempt(engine: Engine, settings: Settings, job_id: int) -> bool:
    """Whether the job has ended; False while somebody else holds its lock."""
    with sql.Locks(engine) as locks:
        if locks.try_lock("job", job_id):
            try:
                _run(engine, settings, job_id)
            except Refused as error:
                _end(engine, job_id, "failed", str(error))
            except _DATABASE_AWAY:
                raise
            except Exception:
                log.exception("job %s failed", job_id)
                _end(engine, job_id, "failed", _MISTAKE)
            return True
    with sql.only_reading(), engine.connect() as connection:
        return connection.scalar(sa.select(Job.status).where(Job.id == job_id)) not in OPEN


def _run(engine: Engine, settings: Settings, job_id: int) -> None:
    with sql.only_reading(), engine.connect() as connection:
        job = connection.execute(sa.select(Job.__table__).where(Job.id == job_id)).one_or_none()
        named = sa.select(Account.username).join(Job, Job.account_id == Account.id).where(Job.id == job_id)
        who = connection.scalar(named)
    if job is None or job.status not in OPEN:
        return
    task = TASKS.get(job.task)
    if task is None:
        raise Refused("This Daybook knows no such work.")
    with audit.acting(audit.Actor("page", who or "an account that is gone", job.account_id)):
        if job.total is None:
            with sql.snapshot(engine) as connection:
                total = task.count(connection, job.parameters)
            _update(engine, job_id, status="running", total=total)
        position, goes_on = job.position, True
        while goes_on:
            with sql.only_reading(), engine.connect() as connection:
                following = task.keys(connection, job.parameters, _read(position), task.batch(job.parameters))
            if not following:
                _end(engine, job_id, "done")
                return
            begun = time.monotonic()
            with task.around(engine, job.parameters, following) as busy:
                goes_on = _batch(engine, settings, task, job, position, following, busy)
            position = _write(following[-1])
            outbox.wake(engine, settings)
            time.sleep(min(_GIVE_WAY, time.monotonic() - begun))


def _batch(
    engine: Engine,
    settings: Settings,
    task: Task,
    job: Any,
    position: str | None,
    keys: list[Any],
    busy: Mapping[Any, str],
) -> bool:
    """One transaction's worth; False when the job is to end. busy: keys that somebody else holds, and why."""
    alone = task.alone(job.parameters)
    changed = 0
    if alone:
        with engine.begin() as connection:
            account_id, goes_on = _claimed(connection, job.id, position)
        if not goes_on:
            return False
        changed = task.work(Work(engine, settings, account_id), job.parameters, keys)
    works: list[Work] = []

    def work() -> bool:
        with engine.begin() as connection:
            account_id, goes_on = _claimed(connection, job.id, position)
            # What was done alone is done: it is noted, and the next batch finds that the job is to end.
            if not goes_on and not alone:
                return False
            works.append(Work(engine, settings, account_id, connection, left=dict(busy)))
            done = changed if alone else task.work(works[-1], job.parameters, keys)
            progress = {"done": Job.done + len(keys), "changed": Job.changed + done, "position": _write(keys[-1])}
            mine = Job.id == job.id, Job.position.is_not_distinct_from(position)
            connection.execute(sa.update(Job).where(*mine).values(progress))
            _note_left(connection, job.id, works[-1].left)
        return goes_on

    goes_on = sql.again_after_deadlock(work)
    if works:
        works[-1].follow_up()
    return goes_on


def _note_left(connection: Connection, job_id: int, left: Mapping[Any, str]) -> None:
    """Counts rows that were left as they were, by the reason why; of very many reasons, the rest together."""
    if not left:
        return
    counts = Counter(connection.execute(sa.select(Job.left_out).where(Job.id == job_id)).scalar_one())
    for reason in left.values():
        counts[reason if reason in counts or len(counts) < _MOST_REASONS else "Other reasons."] += 1
    connection.execute(sa.update(Job).where(Job.id == job_id).values(left_out=dict(counts)))


def _claimed(connection: Connection, job_id: int, position: str | None) -> tuple[int | None, bool]:
    """Whose work it is, and whether it goes on: not for an account that may do nothing here any more. The row is locked
    until the end of the transaction; a job that is to end has ended with it."""
    wanted = sa.select(Job.status, Job.cancel_requested, Job.position, Job.account_id).where(Job.id == job_id)
    row = connection.execute(wanted.with_for_update()).one()
    # The job's lock can be lost with its connection; then somebody else may have gone on already.
    if row.status not in OPEN or row.position != position:
        return None, False
    if row.cancel_requested:
        ended = {"status": "cancelled", "finished_at": utc_now()}
        connection.execute(sa.update(Job).where(Job.id == job_id).values(ended))
        return None, False
    account = sa.select(Account.is_active, Account.role).where(Account.id == row.account_id)
    owner = connection.execute(account).first()
    if owner is None or not (owner.is_active and owner.role == "admin"):
        ended = {"status": "failed", "finished_at": utc_now(), "error": _MAY_NOT}
        connection.execute(sa.update(Job).where(Job.id == job_id).values(ended))
        return None, False
    return row.account_id, True


def _write(key: Any) -> str:
    return f"i{key}" if isinstance(key, int) else f"s{key}"


def _read(position: str | None) -> Any:
    if position is None:
        return None
    return int(position[1:]) if position[0] == "i" else position[1:]


def _update(engine: Engine, job_id: int, **values: Any) -> None:
    with engine.begin() as connection:
        connection.execute(sa.update(Job).where(Job.id == job_id).values(**values))


def _end(engine: Engine, job_id: int, status: str, error: str | None = None) -> None:
    _update(engine, job_id, status=status, error=error, finished_at=utc_now())
