"""Counters: named numbers that people click up."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from daybook.admin.described import Column, Deletion, Field, Refused, RowForm, Table, Work, loaded
from daybook.admin.searching import Contains
from daybook.models import Counter


def _add_counter(work: Work, values: Mapping[str, Any]) -> str:
    name: str = values["name"]
    if "/" in name:
        raise Refused({"name": ["A name cannot hold a slash, because it stands in addresses."]})
    if work.connection.scalar(sa.select(Counter.name).where(Counter.name == name)) is not None:
        raise Refused({"name": [f"There is a counter “{name}” already."]})
    work.connection.execute(sa.insert(Counter).values(values))
    return name


def _change_counter(work: Work, key: str, values: Mapping[str, Any]) -> None:
    work.connection.execute(sa.update(Counter).where(Counter.name == key).values(value=values["value"]))


COUNTERS = Table(
    slug="counters",
    one="counter",
    many="Counters",
    object_type="counter",
    about="Named numbers that people click up, such as the greeting on the first page.",
    key=Counter.__table__.c.name,
    title=Counter.name,
    rows=Counter.__table__,
    columns=(
        Column("name", "Name", Counter.name, sort=True),
        Column("value", "Value", Counter.value, "number", sort=True),
    ),
    order="name",
    search=(Contains(Counter.name),),
    search_hint="Name",
    form=RowForm(
        (
            Field("name", "Name", longest=64, when="add"),
            Field("value", "Value", "whole", default=0),
        ),
        loaded(Counter.name, Counter.name, Counter.value),
        _add_counter,
        _change_counter,
    ),
    deletion=Deletion(lambda work, keys: _delete_counters(work.connection, keys)),
    empty="No counters yet. The button on the first page makes the first one.",
)


def _delete_counters(connection: Connection, keys: Sequence[str]) -> None:
    connection.execute(sa.delete(Counter).where(Counter.name.in_(keys)))
