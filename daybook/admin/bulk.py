"""One action on many rows: those that were chosen, or all that a list's address asks for."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from daybook import outbox, sql
from daybook.admin import asked as asking
from daybook.admin import deleting, listing
from daybook.admin.described import Action, Refused, Table, Work
from daybook.admin.jobs import BATCH, TASKS, Task, start
from daybook.admin.tables import BY_SLUG
from daybook.config import Settings
from daybook.times import zone_named

DELETE = "delete"
# Chosen one by one there are at most as many as a page has; more is nobody's click.
MOST_CHOSEN = 1000
MOST_KEPT = 20_000  # keys that a job keeps


@dataclass(frozen=True)
class Chosen:
    """Rows of a table: these keys, or (None) all that the address asks for in this time zone.

    among, until: only those of them that were there when the work began: these keys, or keys up to that one. What
    comes while a job is under way, nobody has chosen. shown: the mark of the plan that was agreed to, where all rows
    are deleted in one step.
    """

    table: Table
    keys: list[Any] | None
    arguments: Mapping[str, str]
    timezone: str
    among: list[Any] | None = None
    until: Any = None
    shown: str = ""

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
            "among": self.among,
            "until": self.until,
            "shown": self.shown,
        }

    def wanted(self, connection: Connection) -> list[Any]:
        """The conditions of these rows; raises Refused where the address is not understood any more, because what it
        cannot say any more would be left out, and more rows be chosen than were shown."""
        if self.keys is not None:
            return [sql.is_one_of(connection, self.table.key, self.keys)]
        asked = asking.read(self.table, self.arguments, self.zone)
        if asked.arguments(self.table) != dict(self.arguments):
            raise Refused("The list that these rows were chosen from is another one now; choose them again.")
        wanted = listing.conditions(connection, self.table, asked, self.zone)
        if self.among is not None:
            wanted.append(sql.is_one_of(connection, self.table.key, self.among))
        return wanted if self.until is None else [*wanted, self.table.key <= self.until]

    def few(self, engine: Engine, most: int = BATCH) -> list[Any] | None:
        """Their keys where there are at most so many; else None."""
        with sql.only_reading(), engine.connect() as connection:
            keys = listing.matching(connection, self.table, self.wanted(connection), most + 1)
        return sorted(keys) if len(keys) <= most else None

    def count(self, engine: Engine) -> tuple[int, bool]:
        """How many there are, and whether there are more than that."""
        most = listing.MOST_KEYS
        with sql.only_reading(), engine.connect() as connection:
            rows = sa.select(self.table.key).select_from(self.table.found_in).where(*self.wanted(connection))
            found = connection.scalar(sa.select(sa.func.count()).select_from(rows.limit(most + 1).subquery())) or 0
        return min(found, most), found > most

    def as_of_now(self, engine: Engine) -> "Chosen":
        """The same without the rows that come from now on."""
        if self.keys is not None:
            return self
        key = self.table.key
        with sql.only_reading(), engine.connect() as connection:
            if key.table.autoincrement_column is not key:  # a new row may have any key
                keys = listing.matching(connection, self.table, self.wanted(connection), MOST_KEPT + 1)
                if len(keys) <= MOST_KEPT:
                    return replace(self, among=sorted(keys))
            return replace(self, until=connection.scalar(sa.select(sa.func.max(key))))


def run_now(engine: Engine, settings: Settings, table: Table, action: Action, keys: Sequence[Any], by: int) -> int:
    """Does it to these rows, in one transaction; how many it has changed."""
    works: list[Work] = []

    def work() -> int:
        with engine.begin() as connection:
            works.append(Work(engine, settings, by, connection))
            return action.run(works[-1], keys)

    if action.alone:
        changed = action.run(Work(engine, settings, by), keys)
    else:
        changed = sql.again_after_deadlock(work)
        works[-1].follow_up()
    outbox.wake(engine, settings)
    return changed


def run_later(engine: Engine, settings: Settings, chosen: Chosen, action: str, title: str, by: int) -> int:
    """Begins a job that does it; its id."""
    return start(engine, settings, by, title, "rows", chosen.as_of_now(engine).parameters(action))


def _chosen(parameters: Mapping[str, Any]) -> Chosen:
    """Raises Refused where a newer Daybook has no such table or action."""
    table = BY_SLUG.get(parameters["table"])
    action = parameters["action"]
    if table is None or (table.deletion if action == DELETE else table.action(action)) is None:
        raise Refused("This Daybook knows no such work.")
    among, until = parameters.get("among"), parameters.get("until")
    return Chosen(table, parameters["keys"], parameters["arguments"], parameters["timezone"], among, until)


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
        return deleting.delete_in(work, table, keys, parameters.get("shown", ""))
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
