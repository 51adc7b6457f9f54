"""One action on many rows: those that were chosen, or all that a list's address asks for."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from daybook import outbox, sql
from daybook.admin import asked as asking
from daybook.admin import deleting, listing
from daybook.admin.described import Action, Refused, Table, Work
from daybook.admin.filters import Dates
from daybook.admin.jobs import BATCH, TASKS, Task, start
from daybook.admin.tables import BY_SLUG
from daybook.config import Settings
from daybook.times import zone_named

DELETE = "delete"
# Chosen one by one there are at most as many as a page has; more is nobody's click.
MOST_CHOSEN = 1000
MOST_KEPT = 20_000  # keys that a job keeps
_LETTERS = 16  # of a mark


@dataclass(frozen=True)
class Chosen:
    """Rows of a table: these keys, or (None) all that the address asks for in this time zone.

    among, until: only those of them that were there when the work began: these keys, or keys up to that one. What
    comes while a job is under way, nobody has chosen. shown: of rows that are deleted, the marks of what was agreed to,
    by their keys.
    """

    table: Table
    keys: list[Any] | None
    arguments: Mapping[str, str]
    timezone: str
    among: list[Any] | None = None
    until: Any = None
    shown: Mapping[str, str] = field(default_factory=dict)

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
            "shown": dict(self.shown),
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

    def seen(self, engine: Engine, mark: str = "") -> "Seen":
        """These rows as a page that asks shows them. mark: that of the page that has shown them before; what has come
        since is left out where keys tell it."""
        key = self.table.key
        until = self.table.read_key(mark[_LETTERS:]) if self.keys is None and mark[_LETTERS:] else None
        with sql.snapshot(engine) as connection:
            before = replace(self, until=until)
            keys = sorted(listing.matching(connection, self.table, before.wanted(connection), MOST_KEPT + 1))
            more = len(keys) > MOST_KEPT
            if self.keys is None and until is None and (more or key.table.autoincrement_column is key):
                until = connection.scalar(sa.select(sa.func.max(key)))
        letters = hashlib.sha256(json.dumps(None if more else keys).encode()).hexdigest()[:_LETTERS]
        exactly = replace(self, until=until) if more else replace(self, among=keys)
        return Seen(exactly, keys[:MOST_KEPT], more, letters if until is None else f"{letters}{until}")

    def as_of_now(self, engine: Engine) -> "Chosen":
        """The same without the rows that come from now on, and with days that stay what they are: “today” would be
        another one after midnight, and leave out the rest."""
        if self.keys is not None:
            return self
        dates = {one.name: one for one in self.table.filters if isinstance(one, Dates)}
        settled = {
            name: dates[name].settled(text, self.zone) if name in dates else text
            for name, text in self.arguments.items()
        }
        return replace(self, arguments=settled)._without_later(engine)

    def _without_later(self, engine: Engine) -> "Chosen":
        if self.among is not None or self.until is not None:
            return self
        key = self.table.key
        with sql.only_reading(), engine.connect() as connection:
            if key.table.autoincrement_column is not key:  # a new row may have any key
                keys = listing.matching(connection, self.table, self.wanted(connection), MOST_KEPT + 1)
                if len(keys) <= MOST_KEPT:
                    return replace(self, among=sorted(keys))
            return replace(self, until=connection.scalar(sa.select(sa.func.max(key))))


@dataclass(frozen=True)
class Seen:
    """Rows that a page has shown, or would show now. chosen: exactly those. keys: theirs, in order, at most MOST_KEPT;
    more: whether there are more. mark: another one wherever other rows are meant."""

    chosen: Chosen
    keys: list[Any]
    more: bool
    mark: str


class SeenOtherwise(Exception):
    """The row is another one by now than the page showed from which the action was asked for; nothing was done."""


def run_on_one(
    engine: Engine, settings: Settings, table: Table, action: Action, key: Any, by: int, seen: str | None
) -> bool:
    """Does it to this row; whether it has changed it. seen: what the page said of the column that the action `sees`,
    None where it said nothing. Raises SeenOtherwise."""

    def check(connection: Connection) -> None:
        column = table.column(action.sees)
        if column is None or seen is None:
            return
        # On PostgreSQL the row is locked, or two that look at the same moment would both find it as they knew it.
        now = connection.scalar(sa.select(column.value).where(table.key == key).with_for_update())
        if now != seen:
            raise SeenOtherwise

    return run_now(engine, settings, table, action, [key], by, check) > 0


def run_now(
    engine: Engine,
    settings: Settings,
    table: Table,
    action: Action,
    keys: Sequence[Any],
    by: int,
    check: Callable[[Connection], None] = lambda _connection: None,
) -> int:
    """Does it to these rows, in one transaction; how many it has changed. check: looks, in that transaction, whether it
    may be done, and raises where not."""
    works: list[Work] = []

    def work() -> int:
        with engine.begin() as connection:
            works.append(Work(engine, settings, by, connection))
            check(connection)
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
        return deleting.delete_free(work, table, keys, parameters.get("shown") or {})
    action = table.action(parameters["action"])
    assert action is not None
    return action.run(work, keys)


def _around(
    engine: Engine, parameters: Mapping[str, Any], keys: list[Any]
) -> AbstractContextManager[Mapping[Any, str]]:
    deletion = BY_SLUG[parameters["table"]].deletion
    return deletion.around(engine, keys) if parameters["action"] == DELETE and deletion else nullcontext({})


def _batch(parameters: Mapping[str, Any]) -> int:
    deletion = BY_SLUG[parameters["table"]].deletion
    return deletion.batch if parameters["action"] == DELETE and deletion else BATCH


def _alone(parameters: Mapping[str, Any]) -> bool:
    action = BY_SLUG[parameters["table"]].action(parameters["action"])
    return action is not None and action.alone


TASKS["rows"] = Task(_count, _keys, _work, _around, _batch, _alone)
