"""Readings that replace others, and how the others come back (docs/decisions/0013-replacing-readings.md).

The table `replacement` has a row for each reading of an upload whose key was taken: the upload's value, and the value
that was there with the upload that had brought it. While the upload is importing, nobody sees them. `put_in` writes the
new values into the table of readings, in the transaction that makes the upload done; `take_back` writes the old ones.

Of several uploads that replaced one key each knows the one below it, so they lie on each other like sheets of paper:
the table of readings shows the topmost, and any of them can be drawn out.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.orm import aliased

from daybook import sql
from daybook.models import Reading, Replacement, Upload
from daybook.times import LATEST

_Values: TypeAlias = dict[str, Any]


class ChangedMeanwhile(RuntimeError):
    """A chat, which waits for no import, has changed or taken back a reading that an import was to replace."""


def put_in(connection: Connection, upload_id: int) -> None:
    """The upload's values take the places of those that they replace. The caller commits, and holds the source's lock.

    Raises ChangedMeanwhile where one of those is not what it was when the import met it.
    """
    there = Reading.upload_id.is_not_distinct_from(Replacement.old_upload_id) & (Reading.value == Replacement.old_value)
    values: _Values = {"value": Replacement.value, "upload_id": Replacement.upload_id}
    wanted = sa.select(sa.func.count()).where(Replacement.upload_id == upload_id)
    done = sum(_update(connection, upload_id, there, values))
    if done != connection.scalar(wanted):
        raise ChangedMeanwhile(f"only {done} of the readings that upload {upload_id} replaces are as they were")


def take_back(connection: Connection, upload_id: int) -> None:
    """The readings that the upload replaced are there again, where no later upload replaced them once more; what a
    later one replaced is from now on what had been below this one, or nothing.

    The caller commits, and holds the source's lock.
    """
    later = connection.scalars(_others_that_replaced(upload_id)).all()
    if later:
        _draw_out(connection, upload_id, later)
    on_top = Reading.upload_id == upload_id
    values: _Values = {"value": Replacement.old_value, "upload_id": Replacement.old_upload_id}
    for _ in _update(connection, upload_id, on_top, values):
        pass
    drop(connection, upload_id)


def drop(connection: Connection, upload_id: int) -> None:
    """Forgets what the upload would have replaced."""
    connection.execute(sa.delete(Replacement).where(Replacement.upload_id == upload_id))


def _others_that_replaced(upload_id: int) -> sa.Select[int]:
    """The uploads that may have replaced readings of this one: those into its source."""
    source = sa.select(Upload.source_id).where(Upload.id == upload_id).scalar_subquery()
    done = sa.and_(Upload.status == "done", Upload.readings_replaced > 0)
    return sa.select(Upload.id).where(
        Upload.source_id == source, Upload.id != upload_id, done | (Upload.status == "importing")
    )


def _draw_out(connection: Connection, upload_id: int, later: Sequence[int]) -> None:
    """What the `later` uploads replaced of this one becomes what this one had replaced there, or nothing."""
    above, mine = Replacement, aliased(Replacement)
    # Found by reading through what they replaced: an index on old_upload_id would cost every replaced reading more.
    on_mine = above.upload_id.in_(later), above.old_upload_id == upload_id
    same = mine.upload_id == upload_id, mine.time == above.time, mine.sensor_id == above.sensor_id
    values = {"old_value": mine.old_value, "old_upload_id": mine.old_upload_id}
    sql.plan_joins(connection, sql.READ_BOTH_ONCE)
    connection.execute(sa.update(above).where(*on_mine, *same).values(values))
    # Those that still name this upload have nothing below them any more: undone in their turn, the reading goes.
    connection.execute(sa.delete(above).where(*on_mine))


def _update(connection: Connection, upload_id: int, only: sa.ColumnElement[bool], values: _Values) -> Iterator[int]:
    """Updates the readings of the upload's keys, chunk by chunk, and yields how many they were.

    The limits on `time` are constants, so that a hypertable's other chunks are not even planned for.
    """
    same = Reading.time == Replacement.time, Reading.sensor_id == Replacement.sensor_id
    sql.allow_large_changes(connection)
    sql.plan_joins(connection, sql.LOOK_EACH_UP)
    for first, last in _parts(connection, upload_id):
        within = Reading.time.between(first, last), Replacement.time.between(first, last)
        query = sa.update(Reading).where(Replacement.upload_id == upload_id, *same, *within, only).values(values)
        yield connection.execute(query).rowcount


def _parts(connection: Connection, upload_id: int) -> Iterator[tuple[datetime, datetime]]:
    """The stretches of time in which the upload has keys, each within one chunk; on SQLite a single one."""
    width = sql.chunk_width(connection)
    next_time = sa.select(sa.func.min(Replacement.time)).where(Replacement.upload_id == upload_id)
    start = connection.scalar(next_time)
    while start is not None:
        number = sql.microseconds(start)
        last = LATEST if width is None else min((number // width + 1) * width - 1, LATEST)
        end = sql.moment(last)
        yield start, end
        start = connection.scalar(next_time.where(Replacement.time > end))
