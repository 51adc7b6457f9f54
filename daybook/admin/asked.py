"""What the address of a list asks for: search, filters, order, and the place to go on from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from typing import Any

import sqlalchemy as sa

from daybook import sql
from daybook.admin import searching
from daybook.admin.described import Column, Table

_LONGEST = 300  # characters of a value in an address


@dataclass(frozen=True)
class Asked:
    """What an address asks of a list. after, before: the last, or first, row of the page that is left."""

    sort: str
    search: str = ""
    chosen: Mapping[str, str] = field(default_factory=dict)
    after: tuple[Any, Any] | None = None
    before: tuple[Any, Any] | None = None

    @property
    def narrows(self) -> bool:
        """Whether it asks for less than every row."""
        return bool(self.search or self.chosen)

    def arguments(self, table: Table) -> dict[str, str]:
        """The same as an address says it, without the place within the list."""
        sort = {} if self.sort == table.order else {"sort": self.sort}
        return ({"q": self.search} if self.search else {}) | dict(self.chosen) | sort

    def sorted_by(self, table: Table, name: str) -> dict[str, str]:
        """The address that sorts by this column: upwards at first, then downwards."""
        return replace(self, sort=f"-{name}" if self.sort == name else name).arguments(table)

    def with_choice(self, table: Table, name: str, value: str) -> dict[str, str]:
        """The address with this choice; an empty value takes the filter off."""
        chosen = {key: text for key, text in self.chosen.items() if key != name}
        return replace(self, chosen=chosen | ({name: value} if value else {})).arguments(table)


def read(table: Table, arguments: Mapping[str, str], zone: tzinfo) -> Asked:
    """What the address asks; whatever in it cannot be meant is left out."""
    sort = arguments.get("sort", "")
    column = table.column(sort.removeprefix("-"))
    if column is None or not column.sort:
        sort = table.order
    chosen = {
        filter_.name: text
        for filter_ in table.filters
        if (text := arguments.get(filter_.name, "").strip()[:_LONGEST]) and filter_.condition(text, zone) is not None
    }
    search = " ".join(searching.words_of(arguments.get("q", ""))) if table.search else ""
    asked = Asked(sort, search, chosen)
    return replace(
        asked,
        after=_read_place(table, asked, arguments.get("after", "")),
        before=_read_place(table, asked, arguments.get("before", "")),
    )


def order_of(table: Table, asked: Asked) -> tuple[Column, bool]:
    """The column that the list is sorted by, and whether downwards."""
    column = table.column(asked.sort.removeprefix("-"))
    assert column is not None
    return column, asked.sort.startswith("-")


def place_of(table: Table, asked: Asked, row: Mapping[str, Any]) -> str:
    """The row's place in the list, as an address says it."""
    value = row[order_of(table, asked)[0].name]
    if isinstance(value, datetime):
        value = value.astimezone(UTC).isoformat()
    return json.dumps([value, row["key"]], separators=(",", ":"), ensure_ascii=False)


def _read_place(table: Table, asked: Asked, text: str) -> tuple[Any, Any] | None:
    if not text or len(text) > 3000:
        return None
    column, _ = order_of(table, asked)
    try:
        value, key = json.loads(text)
        if isinstance(column.value.type, sql.UtcDateTime | sa.DateTime):
            value = datetime.fromisoformat(value)
            value = value.astimezone(UTC) if value.tzinfo else None
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None
    kind = datetime if isinstance(value, datetime) else column.value.type.python_type
    # To Python, True is a number as well.
    if not isinstance(value, kind) or isinstance(value, bool) != (kind is bool) or table.read_key(str(key)) != key:
        return None
    if isinstance(value, int) and abs(value) >= 2**63:
        return None
    # A database keeps neither NUL nor half characters, and refuses to look for them.
    texts = [part for part in (value, key) if isinstance(part, str)]
    if any("\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text) for text in texts):
        return None
    return value, key
