"""One action on many rows: those that were chosen, or all that a list's address asks for."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from daybook import outbox, sql
from daybook.admin import deleting, listing
from daybook.admin.described import Action, Table, Work
from daybook.admin.jobs import BATCH, TASKS, Task, start
from daybook.admin.tables import BY_SLUG
from daybook.config import Settings
from daybook.times import zone_named

DELETE = "delete"
# Chosen one by one there are at most as many as a page has; more is nobody's click.
MOST_CHOSEN = 1000


@dataclass(frozen=True)
class Chosen:
    """Rows of a table: these keys, or (None) all that the address asks for in this time zone."""

    table: Table
    keys: list[Any] | None
    arguments: Mapping[str, str]
    timezone: str

    @property
    def zone(self) -> tzinfo:
        return zone_named(self.timezone)

    def parameters(self, action: str) -> dict[str, Any]:
        """The same as a job keeps it."""
        return {
            "table": self.table.slug,
            "action": action,
            "keys": self.keys,
            "arguments": dict(self.arguments),
            "timezone": self.timezone,
        }

    def wanted(self, connection: Connection) -> list[Any]:
        """The conditions of these rows."""
        if self.keys is not None:
            return [sql.is_one_of(connection, self.table.key, self.keys)]
        asked = listing.read(self.table, self.arguments, self.zone)
        return listing.conditions(connection, self.table, asked, self.zone)

    def few(self, engine: Engine, most: int = BATCH) -> list[Any] | None:
        """Their keys where there are at most so many; else None."""
        with sql.only_reading(), engine.connect() as connection:
            keys = listing.next_keys(connection, self.table, self.wanted(connection), None, most + 1)
        return keys if len(keys) <= most else None

    def count(self, engine: Engine) -> tuple[int, bool]:
        """How many there are, and whether there are more than that."""
        most = listing.MOST_KEYS
        with sql.only_reading(), engine.connect() as connection:
            rows = sa.select(self.table.key).select_from(self.table.found_in).where(*self.wanted(connection))
            found = connection.scalar(sa.select(sa.func.count()).select_from(rows.limit(most + 1).subquery())) or 0
        return min(found, most), found > most


def run_now(engine: Engine, settings: Settings, table: Table, action: Action, keys: Sequence[Any], by: int) -> int:
    """Does it to these rows, in one transaction; how many it has changed."""
    if action.alone:
        changed = action.run(Work(engine, settings, by), keys)
    else:
        with engine.begin() as connection:
            work = Work(engine, settings, by, connection)
            changed = action.run(work, keys)
        for following in work.afterwards:
            following()
    outbox.wake(engine, settings)
    return changed


def run_later(engine: Engine, settings: Settings, chosen: Chosen, action: str, title: str, by: int) -> int:
    """Begins a job that does it; its id."""
    return start(engine, settings, by, title, "rows", chosen.parameters(action))


def _chosen(parameters: Mapping[str, Any]) -> Chosen:
    table = BY_SLUG[parameters["table"]]
    return Chosen(table, parameters["keys"], parameters["arguments"], parameters["timezone"])


def _count(connection: Connection, parameters: Mapping[str, Any]) -> int:
    chosen = _chosen(parameters)
    rows = sa.select(sa.func.count()).select_from(chosen.table.found_in).where(*chosen.wanted(connection))
    return connection.scalar(rows) or 0


def _keys(connection: Connection, parameters: Mapping[str, Any], after: Any, limit: int) -> list[Any]:
    chosen = _chosen(parameters)
    return listing.next_keys(connection, chosen.table, chosen.wanted(connection), after, limit)


def _work(work: Work, parameters: Mapping[str, Any], keys: list[Any]) -> int:
    table = BY_SLUG[parameters["table"]]
    if parameters["action"] == DELETE:
        return deleting.delete_in(work, table, keys)
    action = table.action(parameters["action"])
    assert action is not None
    return action.run(work, keys)


def _around(engine: Engine, parameters: Mapping[str, Any], keys: list[Any]) -> AbstractContextManager[Any]:
    deletion = BY_SLUG[parameters["table"]].deletion
    return deletion.around(engine, keys) if parameters["action"] == DELETE and deletion else nullcontext()


def _batch(parameters: Mapping[str, Any]) -> int:
    deletion = BY_SLUG[parameters["table"]].deletion
    return deletion.batch if parameters["action"] == DELETE and deletion else BATCH


def _alone(parameters: Mapping[str, Any]) -> bool:
    action = BY_SLUG[parameters["table"]].action(parameters["action"])
    return action is not None and action.alone


TASKS["rows"] = Task(_count, _keys, _work, _around, _batch, _alone)
