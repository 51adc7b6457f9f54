"""A page of a table: searched, filtered, sorted, from one key to the next, and quick however many rows there are.

Nothing here counts a large table, or reads more of it than a page and a bounded number of keys: first it looks for at
most `MOST_KEYS` rows that match. Where there are no more, exactly those are sorted, however far they lie from the
beginning. Where there are more, they lie so close that walking along the index of the order soon has a page of them.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from daybook import sql
from daybook.admin import searching
from daybook.admin.asked import Asked, order_of, place_of
from daybook.admin.described import Column, Table
from daybook.admin.filters import Choice, Filter, Related

PAGE = 50
MOST_KEYS = 5_000
MOST_COUNTED = 1_000  # per choice of a filter
_SAMPLE = 1_000  # rows of very many that say what a filter offers first
_PATIENCE_FOR_PLACE = 0.04  # seconds until a page does without its place in the list
_PATIENCE = 0.08  # seconds for the counts of all filters; those that are not counted by then go without


@dataclass(frozen=True)
class Counted:
    """A choice and how many rows it leaves: None where nobody counted, `more` where there are at least as many."""

    choice: Choice
    count: int | None
    more: bool = False


@dataclass(frozen=True)
class Facet:
    """A filter as the page shows it. words: what is chosen, "" where nothing is."""

    filter: Filter
    value: str
    words: str
    choices: list[Counted]


@dataclass(frozen=True)
class Listing:
    """A page of rows, each a mapping of column names, and `key`, `title` and `NAME__link` for columns that link.

    count: of all that match, at most MOST_KEYS; more: there are more than that. next, previous: places to go on from.
    first: the how manieth of all that match the first row is; None where it lies too far in to be counted.
    """

    table: Table
    asked: Asked
    rows: list[Mapping[str, Any]]
    count: int
    more: bool
    next: str | None
    previous: str | None
    facets: list[Facet]
    first: int | None

    @property
    def last(self) -> int | None:
        """The how manieth the last row is."""
        return None if self.first is None else self.first + len(self.rows) - 1


# --- the rows -----------------------------------------------------------------------------------------------------


def conditions(connection: Connection, table: Table, asked: Asked, zone: tzinfo) -> list[Any]:
    """What the rows have to fulfil."""
    return searching.condition(connection, table.search, asked.search) + _filtered(table, asked, zone)


def _filtered(table: Table, asked: Asked, zone: tzinfo, without: str = "") -> list[Any]:
    chosen = (filter_ for filter_ in table.filters if filter_.name in asked.chosen and filter_.name != without)
    return [filter_.condition(asked.chosen[filter_.name], zone) for filter_ in chosen]


def selected(table: Table) -> sa.Select[Any]:
    """Every row with all its columns."""
    values = [column.value.label(column.name) for column in table.columns]
    links = [column.link_key.label(f"{column.name}__link") for column in table.columns if column.link]
    return sa.select(table.key.label("key"), table.title.label("title"), *values, *links).select_from(table.rows)


def list_rows(engine: Engine, table: Table, asked: Asked, zone: tzinfo) -> Listing:
    """The page that is asked for."""
    with sql.snapshot(engine) as connection:
        searched = searching.condition(connection, table.search, asked.search)
        wanted = searched + _filtered(table, asked, zone)
        keys = matching(connection, table, wanted, MOST_KEYS + 1) if wanted else None
        query = selected(table)
        if keys is not None and len(keys) <= MOST_KEYS:
            count, more, sample = len(keys), False, keys
            query = query.where(sql.is_one_of(connection, table.key, keys))
        else:
            count = len(keys) if keys is not None else _count(connection, table, [], MOST_KEYS + 1)
            count, more = min(count, MOST_KEYS), count > MOST_KEYS
            query = query.where(*wanted)
            most = _SAMPLE if more else MOST_KEYS
            sample, keys = keys[:most] if keys is not None else _newest(connection, table, most), None
        rows, following, preceding = _page(connection, table, asked, query)
        here = wanted if keys is None else [sql.is_one_of(connection, table.key, keys)]
    facets = _facets(engine, table, asked, zone, searched, here, _Sample(sample, not more))
    return Listing(
        table,
        asked,
        rows,
        count,
        more,
        place_of(table, asked, rows[-1]) if rows and following else None,
        place_of(table, asked, rows[0]) if rows and preceding else None,
        facets,
        _place(engine, table, asked, here, rows[0]) if rows and preceding else 1,
    )


def _place(engine: Engine, table: Table, asked: Asked, here: list[Any], row: Mapping[str, Any]) -> int | None:
    """The how manieth the row is of those that match; None where it takes too long to count the ones before it."""
    column, falling = order_of(table, asked)
    before = _beyond(table, column, (row[column.name], row["key"]), not falling)
    rows = sa.select(sa.literal(1)).select_from(table.rows).where(*here, before).limit(MOST_KEYS).subquery()
    try:
        with sql.only_reading(), engine.connect() as connection, sql.deadline(connection, _PATIENCE_FOR_PLACE):
            count = connection.scalar(sa.select(sa.func.count()).select_from(rows)) or 0
    except sql.TookTooLong:
        return None
    return count + 1 if count < MOST_KEYS else None


def _page(
    connection: Connection, table: Table, asked: Asked, query: sa.Select[Any]
) -> tuple[list[Mapping[str, Any]], bool, bool]:
    """The rows in their order, and whether there are others after and before them. Where all rows on that side of the
    place are gone meanwhile: the last page, or the first one."""
    backwards = asked.before is not None and asked.after is None
    place = asked.before if backwards else asked.after
    found = _from(connection, table, asked, query, place, backwards)
    if place is not None and not found[0]:
        return _from(connection, table, asked, query, None, not backwards)
    return found


def _from(
    connection: Connection,
    table: Table,
    asked: Asked,
    query: sa.Select[Any],
    place: tuple[Any, Any] | None,
    backwards: bool,
) -> tuple[list[Mapping[str, Any]], bool, bool]:
    column, downwards = order_of(table, asked)
    falling = downwards != backwards
    by = (column.value, table.key)
    if place is not None:
        query = query.where(_beyond(table, column, place, falling))
    query = query.order_by(*(part.desc() if falling else part.asc() for part in by)).limit(PAGE + 1)
    found: list[Mapping[str, Any]] = [dict(row) for row in connection.execute(query).mappings()]
    beyond = len(found) > PAGE
    rows = found[:PAGE]
    if backwards:
        return rows[::-1], place is not None, beyond
    return rows, beyond, place is not None


def _beyond(table: Table, column: Column, place: tuple[Any, Any], falling: bool) -> Any:
    """The rows that come after the place in an order of this column that falls, or rises."""
    here = sa.tuple_(sa.literal(place[0], column.value.type), sa.literal(place[1], table.key.type))
    by = sa.tuple_(column.value, table.key)
    return by < here if falling else by > here


def matching(connection: Connection, table: Table, wanted: list[Any], limit: int) -> list[Any]:
    """Keys that match, at most so many, in no order: the planner takes whatever index finds them."""
    return list(connection.scalars(sa.select(table.key).select_from(table.found_in).where(*wanted).limit(limit)))


def _count(connection: Connection, table: Table, wanted: list[Any], limit: int) -> int:
    found = sa.select(sa.literal(1)).select_from(table.found_in).where(*wanted).limit(limit).subquery()
    return connection.scalar(sa.select(sa.func.count()).select_from(found)) or 0


def _newest(connection: Connection, table: Table, limit: int) -> list[Any]:
    """The last keys of the table, where a filter is to say what most rows refer to."""
    if not any(isinstance(filter_, Related) for filter_ in table.filters):
        return []
    query = sa.select(table.key).select_from(table.key.table).order_by(table.key.desc())
    return list(connection.scalars(query.limit(limit)))


def count_all(connection: Connection, table: Table, limit: int = MOST_KEYS) -> tuple[int, bool]:
    """How many rows there are, and whether there are more than that."""
    count = _count(connection, table, [], limit + 1)
    return min(count, limit), count > limit


def find_row(connection: Connection, table: Table, key: Any) -> Mapping[str, Any] | None:
    """One row with all its columns."""
    row = connection.execute(selected(table).where(table.key == key)).mappings().first()
    return None if row is None else dict(row)


# --- filters ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Sample:
    """Keys of rows that match, and whether they are all of them."""

    keys: list[Any]
    are_all: bool


def _facets(
    engine: Engine,
    table: Table,
    asked: Asked,
    zone: tzinfo,
    searched: list[Any],
    here: list[Any],
    sample: _Sample,
) -> list[Facet]:
    """What each filter offers. searched: the conditions of the search; here: those of all that is shown; sample: some
    rows of that."""
    facets = []
    until = time.monotonic() + _PATIENCE
    values = _referred_to(engine, table, asked, sample)
    for filter_ in table.filters:
        value = asked.chosen.get(filter_.name, "")
        with sql.only_reading(), engine.connect() as connection:
            words = filter_.words(connection, value) if value else ""
            if isinstance(filter_, Related) and filter_.name in values:
                choices = filter_.frequent(connection, values[filter_.name], sample.are_all)
            else:
                choices = filter_.choices(connection, value, zone)
        others = searched + _filtered(table, asked, zone, filter_.name) if value else here
        counts = _counts(engine, table, others, choices, until - time.monotonic())
        facets.append(Facet(filter_, value, words, counts))
    return facets


def _referred_to(engine: Engine, table: Table, asked: Asked, sample: _Sample) -> dict[str, list[Any]]:
    """What the rows of the sample refer to, by the filters that find rows by that and have nothing chosen."""
    columns = {
        filter_.name: filter_.column
        for filter_ in table.filters
        if isinstance(filter_, Related) and filter_.name not in asked.chosen
    }
    if not columns:
        return {}
    query = sa.select(*columns.values()).select_from(table.found_in)
    with sql.only_reading(), engine.connect() as connection:
        rows = connection.execute(query.where(sql.is_one_of(connection, table.key, sample.keys))).all()
    return {name: [row[number] for row in rows] for number, name in enumerate(columns)}


def _counts(engine: Engine, table: Table, others: list[Any], choices: list[Choice], seconds: float) -> list[Counted]:
    """How many rows each choice leaves, in one question; None for all of them where that takes too long."""
    queries = []
    for number, choice in enumerate(choices):
        if choice.condition is not None and choice.count is None:
            rows = sa.select(sa.literal(1)).select_from(table.found_in).where(*others, choice.condition)
            counted = sa.select(sa.func.count()).select_from(rows.limit(MOST_COUNTED + 1).subquery())
            queries.append(sa.select(sa.literal(number).label("number"), counted.scalar_subquery().label("found")))
    found: dict[int, int] = {}
    if queries and seconds > 0:
        try:
            with sql.only_reading(), engine.connect() as connection, sql.deadline(connection, seconds):
                found = {row.number: row.found for row in connection.execute(sa.union_all(*queries))}
        except sql.TookTooLong:
            pass
    return [_counted(choice, found.get(number, choice.count)) for number, choice in enumerate(choices)]


def _counted(choice: Choice, count: int | None) -> Counted:
    return Counted(choice, count if count is None else min(count, MOST_COUNTED), (count or 0) > MOST_COUNTED)


# --- keys ---------------------------------------------------------------------------------------------------------


def next_keys(connection: Connection, table: Table, wanted: list[Any], after: Any, limit: int) -> list[Any]:
    """The keys that match and come after this one (None: from the first), in ascending order."""
    query = sa.select(table.key).select_from(table.found_in).where(*wanted).order_by(table.key).limit(limit)
    return list(connection.scalars(query if after is None else query.where(table.key > after)))
