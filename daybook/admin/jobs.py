"""Work on many rows, begun by an admin: it goes on when the page is closed, and after a restart from where it was.

Each batch is one transaction together with the note of how far it has come, so that none is done twice. Whoever works
on a job holds its lock, which ends with the process (daybook/sql.py).
"""

import contextvars
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from daybook import audit, outbox, sql
from daybook.admin.deleting import CannotGo
from daybook.admin.described import Refused, Work
from daybook.config import Settings
from daybook.models import Account, Job, utc_now

log = logging.getLogger(__name__)

BATCH = 200
OPEN = ("waiting", "running")


@dataclass(frozen=True)
class Task:
    """A kind of job. keys: those after `position`, at most `limit`. work: does it to these; how many it has changed.

    around: what is held while a batch is worked on. batch: how many keys are one transaction. alone: `work` makes its
    own transactions, before the one that notes how far it has come.
    """

    count: Callable[[Connection, Mapping[str, Any]], int]
    keys: Callable[[Connection, Mapping[str, Any], Any, int], list[Any]]
    work: Callable[[Work, Mapping[str, Any], list[Any]], int]
    around: Callable[[Engine, Mapping[str, Any], list[Any]], AbstractContextManager[Any]] = (
        lambda _engine, _parameters, _keys: nullcontext()
    )
    batch: Callable[[Mapping[str, Any]], int] = lambda _parameters: BATCH
    alone: Callable[[Mapping[str, Any]], bool] = lambda _parameters: False


TASKS: dict[str, Task] = {}


def start(
    engine: Engine, settings: Settings, account_id: int, title: str, task: str, parameters: Mapping[str, Any]
) -> int:
    """Stores the job and begins it in a thread of this process; returns its id."""
    values = {"account_id": account_id, "title": title[:200], "task": task, "parameters": dict(parameters)}
    with engine.begin() as connection:
        job_id = connection.execute(sa.insert(Job).values(values).returning(Job.id)).scalar_one()
    _in_background(engine, settings, job_id)
    return job_id


def _in_background(engine: Engine, settings: Settings, job_id: int) -> None:
    # The thread works for whoever began it, and has nothing of this request but that.
    target = contextvars.Context().run
    threading.Thread(target=target, args=(run, engine, settings, job_id), name=f"job-{job_id}", daemon=True).start()


def cancel(connection: Connection, job_id: int) -> bool:
    """Ends the job after the batch that is under way; what is done stays. False when it has ended already."""
    mine = sa.update(Job).where(Job.id == job_id, Job.status.in_(OPEN))
    return connection.execute(mine.values(cancel_requested=True)).rowcount == 1


def resume(engine: Engine, settings: Settings) -> None:
    """Goes on with jobs that a stopped process has left."""
    with sql.only_reading(), engine.connect() as connection:
        left = list(connection.scalars(sa.select(Job.id).where(Job.status.in_(OPEN)).order_by(Job.id)))
    for job_id in left:
        _in_background(engine, settings, job_id)


def run(engine: Engine, settings: Settings, job_id: int) -> None:
    """Works on the job until its end, unless somebody else does."""
    try:
        with sql.Locks(engine) as locks:
            if locks.try_lock("job", job_id):
                _run(engine, settings, job_id)
    except (Refused, CannotGo) as error:
        _end(engine, job_id, "failed", str(error))
    except sa.exc.OperationalError:
        log.exception("job %s stopped: the database is away; it goes on after the next start", job_id)
    except Exception:
        log.exception("job %s failed", job_id)
        _end(
            engine, job_id, "failed", "Daybook made a mistake and has written it down. What was done until then stays."
        )


def _run(engine: Engine, settings: Settings, job_id: int) -> None:
    with sql.only_reading(), engine.connect() as connection:
        job = connection.execute(sa.select(Job.__table__).where(Job.id == job_id)).one()
        who = connection.scalar(sa.select(Account.username).where(Account.id == job.account_id))
    if job.status not in OPEN:
        return
    task = TASKS[job.task]
    with audit.acting(audit.Actor("page", who or "an account that is gone", job.account_id)):
        if job.total is None:
            with sql.snapshot(engine) as connection:
                total = task.count(connection, job.parameters)
            _update(engine, job_id, status="running", total=total)
        position, counted = job.position, True
        while counted:
            with sql.only_reading(), engine.connect() as connection:
                following = task.keys(connection, job.parameters, _read(position), task.batch(job.parameters))
            if not following:
                _end(engine, job_id, "done")
                return
            with task.around(engine, job.parameters, following):
                counted = _batch(engine, settings, task, job, following)
            position = _write(following[-1])
            outbox.wake(engine, settings)


def _batch(engine: Engine, settings: Settings, task: Task, job: Any, keys: list[Any]) -> bool:
    """One transaction's worth; False when the job is to end."""

    changed = None
    works: list[Work] = []
    if task.alone(job.parameters):
        changed = task.work(Work(engine, settings, job.account_id), job.parameters, keys)

    def work() -> bool:
        with engine.begin() as connection:
            row = connection.execute(sa.select(Job.cancel_requested).where(Job.id == job.id).with_for_update()).one()
            if row.cancel_requested:
                ended = {"status": "cancelled", "finished_at": utc_now()}
                connection.execute(sa.update(Job).where(Job.id == job.id).values(ended))
                return False
            works.append(Work(engine, settings, job.account_id, connection))
            done = task.work(works[-1], job.parameters, keys) if changed is None else changed
            progress = {"done": Job.done + len(keys), "changed": Job.changed + done, "position": _write(keys[-1])}
            connection.execute(sa.update(Job).where(Job.id == job.id).values(progress))
        return True

    went_on = sql.again_after_deadlock(work)
    for following in works[-1].afterwards if works else ():
        following()
    return went_on


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
