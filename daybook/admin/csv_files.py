"""Rows of a table as a CSV file, in the order of their keys, as they stood at the beginning."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from typing import Any

from sqlalchemy.engine import Engine

from daybook import formula_cells, sql
from daybook.admin.asked import Asked
from daybook.admin.described import Table
from daybook.admin.listing import conditions, selected

_BLOCK = 1000


def stream(
    engine: Engine, table: Table, asked: Asked, zone: tzinfo, keys: Sequence[Any] | None = None
) -> Iterator[bytes]:
    """The rows with these keys, or all that the list's address asks for; every column, times in the zone's ISO form."""
    yield line([column.label for column in table.columns])
    with sql.snapshot(engine) as connection:
        query = selected(table).order_by(table.key).limit(_BLOCK)
        if keys is None:
            query = query.where(*conditions(connection, table, asked, zone))
        else:
            query = query.where(sql.is_one_of(connection, table.key, keys))
        following = query
        while rows := connection.execute(following).mappings().all():
            for row in rows:
                yield line([cell(row[column.name], zone) for column in table.columns])
            following = query.where(table.key > rows[-1]["key"])


def cell(value: Any, zone: tzinfo) -> str:
    """The value as text. A text that a spreadsheet would take for a formula gets an apostrophe before it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(zone).isoformat()
    if isinstance(value, int | float):
        return str(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return formula_cells.as_text(text)


def line(cells: Sequence[str]) -> bytes:
    """One line of the file (RFC 4180). Every cell stands in quotes: where commas are written in numbers, spreadsheets
    part cells at semicolons, and what follows one would be a cell of its own."""
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerow(cells)
    return buffer.getvalue().encode("utf-8", "replace")
