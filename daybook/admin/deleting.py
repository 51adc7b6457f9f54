"""Deleting rows together with what goes along, after both were shown: exactly that, in one transaction."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from daybook import audit, outbox, sql
from daybook.admin.described import Going, Refused, Table, Work
from daybook.config import Settings

SHOWN = 20


class NotAsShown(Exception):
    """Something else would go now than was shown; nothing was deleted."""

    def __init__(self) -> None:
        super().__init__("Something else would have gone than was shown.")


class CannotGo(ValueError):
    """The rows cannot be deleted; `reasons` are sentences."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__(" ".join(reasons))
        self.reasons = list(reasons)


@dataclass(frozen=True)
class Plan:
    """What deleting means: the rows, the titles of the first SHOWN, how many they are, and what goes along."""

    keys: list[Any]
    titles: list[str]
    count: int
    going: list[Going]
    obstacles: list[str]

    @property
    def mark(self) -> str:
        """Sixteen letters that differ when something else would go."""
        counts = [self.keys, [(part.what, part.many, part.stays) for part in self.going]]
        return hashlib.sha256(json.dumps(counts).encode()).hexdigest()[:16]

    @property
    def size(self) -> int:
        """How many things go."""
        return self.count + sum(part.many for part in self.going if not part.stays)


def plan(connection: Connection, table: Table, keys: Sequence[Any]) -> Plan:
    """What would go with these rows. Those that are gone already are left out."""
    assert table.deletion is not None
    chosen = sql.is_one_of(connection, table.key, list(keys))
    query = sa.select(table.key, table.title.label("title")).select_from(table.rows).where(chosen).order_by(table.key)
    rows = connection.execute(query).all()
    there = [row[0] for row in rows]
    return Plan(
        there,
        [str(row.title) for row in rows[:SHOWN]],
        len(there),
        [part for part in table.deletion.going(connection, there) if part.many] if there else [],
        table.deletion.obstacles(connection, there) if there else [],
    )


def delete(
    engine: Engine, settings: Settings, table: Table, keys: Sequence[Any], account_id: int | None, shown: str = ""
) -> int:
    """Deletes the rows and what goes along, and returns how many rows. shown: the mark of the plan that was agreed to.

    Raises NotAsShown, CannotGo, and Refused where something is in the way at this moment.
    """
    assert table.deletion is not None
    works: list[Work] = []

    def work() -> int:
        with engine.begin() as connection:
            works.append(Work(engine, settings, account_id, connection))
            return delete_in(works[-1], table, keys, shown)

    with table.deletion.around(engine, keys) as busy:
        if busy:
            raise Refused(" ".join(sorted(set(busy.values()))))
        count = sql.again_after_deadlock(work)
        works[-1].follow_up()
    outbox.wake(engine, settings)
    return count


def delete_in(work: Work, table: Table, keys: Sequence[Any], shown: str = "") -> int:
    """The same within a transaction, by somebody who holds what has to be held and does what follows the commit."""
    assert table.deletion is not None
    connection = work.connection
    chosen = sql.is_one_of(connection, table.key, list(keys))
    locked = sa.select(table.key).where(chosen).order_by(table.key).with_for_update()
    there = list(connection.scalars(locked))
    table.deletion.lock(connection, there)
    agreed = plan(connection, table, there)
    if shown and agreed.mark != shown:
        raise NotAsShown
    if agreed.obstacles:
        raise CannotGo(agreed.obstacles)
    named = sa.select(table.key, table.title.label("title")).select_from(table.rows).where(chosen)
    titles = {row[0]: str(row.title) for row in connection.execute(named)}
    if not there:
        return 0
    was = {key: _was(connection, table, key) for key in there} if table.deletion.audited else {}
    table.deletion.delete(work, there)
    going = {part.what: [part.many, part.many if part.stays else 0] for part in agreed.going if len(there) == 1}
    if table.deletion.audited:
        entries = [audit.entry("delete", table.object_type, key, titles[key], was[key] | going) for key in there]
        audit.write(connection, entries)
    return len(there)


def delete_free(work: Work, table: Table, keys: Sequence[Any], shown: Mapping[str, str]) -> int:
    """The same for a job, which leaves out the rows that cannot go and says why in `work.left`.

    shown: the marks of single rows by their keys, where each was shown with what goes along.
    """
    free = [key for key in keys if key not in work.left]
    if not shown and free:
        try:
            with work.connection.begin_nested():
                return delete_in(work, table, free)
        except (CannotGo, Refused):
            pass  # some of them: those are found one by one
    count = 0
    for key in free:
        try:
            with work.connection.begin_nested():
                count += delete_in(work, table, [key], shown.get(str(key), ""))
        except (CannotGo, NotAsShown, Refused) as error:
            work.left[key] = str(error)
    return count


def _was(connection: Connection, table: Table, key: Any) -> dict[str, list[Any]]:
    """What the row's form says, for the audit."""
    values = table.form.load(connection, key) if table.form else None
    return audit.shortened(audit.differences(values or {}, {}))
