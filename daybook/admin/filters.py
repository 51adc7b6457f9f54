"""Filters of a list: each is one word in its address, and tells what could be chosen next."""

import calendar
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from daybook.admin.searching import contains

_MOST_YEARS = 12
_MOST_FOUND = 10
_DATE = re.compile(r"(?:19|2\d)\d\d(?:-\d\d){0,2}", re.ASCII)


@dataclass(frozen=True)
class Choice:
    """What can be chosen. condition: of the rows that it leaves, to count them; None where nobody should. count: their
    number, where it is known already."""

    value: str
    label: str
    condition: Any = None
    chosen: bool = False
    count: int | None = None


@dataclass(frozen=True)
class OneOf:
    """One of a few values; each has its label and its condition."""

    name: str
    label: str
    options: Mapping[str, tuple[str, Any]]

    def condition(self, text: str, _zone: tzinfo) -> Any:
        """The rows that are left; None for a value that there is not."""
        return self.options[text][1] if text in self.options else None

    def words(self, _connection: Connection, text: str) -> str:
        return self.options[text][0]

    def choices(self, _connection: Connection, text: str, _zone: tzinfo) -> list[Choice]:
        return [Choice(value, label, found, value == text) for value, (label, found) in self.options.items()]


def by_value(name: str, label: str, column: Any, values: Mapping[str, str]) -> OneOf:
    """The filter whose choices are values of the column."""
    return OneOf(name, label, {value: (words, column == value) for value, words in values.items()})


@dataclass(frozen=True)
class Dates:
    """A year, a month of it, a day of that, in the account's time zone: 2026, 2026-11, 2026-11-18. Also today, and the
    7 or 30 days until its end; and from one day to another: 2026-11-12..2026-11-18."""

    name: str
    label: str
    column: Any

    def condition(self, text: str, zone: tzinfo) -> Any:
        span = _lately(text, zone) or _from_to(text) or _span(text)
        if span is None:
            return None
        first, after = (datetime(day.year, day.month, day.day, tzinfo=zone) for day in span)
        return sa.and_(self.column >= first, self.column < after)

    def settled(self, text: str, zone: tzinfo) -> str:
        """The same days as the text means now, in words that mean them tomorrow as well."""
        span = _lately(text, zone)
        return text if span is None else f"{span[0]}..{span[1] - timedelta(days=1)}"

    def words(self, _connection: Connection, text: str) -> str:
        if text in _LATELY:
            return _LATELY[text][0]
        if ".." in text:
            return text.replace("..", " to ")
        parts = text.split("-")
        if len(parts) == 2:
            return f"{calendar.month_name[int(parts[1])]} {parts[0]}"
        return text

    def choices(self, connection: Connection, text: str, zone: tzinfo) -> list[Choice]:
        """What can be chosen next: years, or the months of the chosen year, or the days of the chosen month."""
        values = self._next(connection, text, zone)
        return [Choice(value, self._short(value), self.condition(value, zone), value == text) for value in values]

    def _next(self, connection: Connection, text: str, zone: tzinfo) -> list[str]:
        if text.count("-") == 2 or text in _LATELY or ".." in text:
            return [text]
        if text.count("-") == 1:
            year, month = map(int, text.split("-"))
            return [f"{text}-{day:02}" for day in range(1, calendar.monthrange(year, month)[1] + 1)]
        if text:
            return [f"{text}-{month:02}" for month in range(1, 13)]
        first, last = (connection.scalar(sa.select(end(self.column))) for end in (sa.func.min, sa.func.max))
        if first is None or last is None:
            return []
        newest, oldest = last.astimezone(zone).year, first.astimezone(zone).year
        return [*_LATELY] + [str(year) for year in range(newest, max(oldest, newest - _MOST_YEARS + 1) - 1, -1)]

    @staticmethod
    def _short(value: str) -> str:
        if value in _LATELY:
            return _LATELY[value][0]
        if ".." in value:
            return value.replace("..", " to ")
        parts = value.split("-")
        return calendar.month_name[int(parts[1])] if len(parts) == 2 else parts[-1].lstrip("0") or value


# What people ask most: words, and how many days until the end of today.
_LATELY = {"today": ("Today", 1), "7days": ("Past 7 days", 7), "30days": ("Past 30 days", 30)}


def _lately(text: str, zone: tzinfo) -> tuple[date, date] | None:
    if text not in _LATELY:
        return None
    after = datetime.now(zone).date() + timedelta(days=1)
    return after - timedelta(days=_LATELY[text][1]), after


def _from_to(text: str) -> tuple[date, date] | None:
    """The first day and the one after the last, of two days that are both written out."""
    first, dots, last = text.partition("..")
    spans = [_span(part) for part in (first, last) if part.count("-") == 2]
    if not dots or len(spans) != 2 or spans[0] is None or spans[1] is None or spans[1][0] < spans[0][0]:
        return None
    return spans[0][0], spans[1][1]


def _span(text: str) -> tuple[date, date] | None:
    """The first day, and the one after the last."""
    if _DATE.fullmatch(text) is None:
        return None
    year, *rest = map(int, text.split("-"))
    try:
        if not rest:
            return date(year, 1, 1), date(year + 1, 1, 1)
        first = date(year, *rest, *([1] if len(rest) == 1 else []))
    except ValueError:
        return None
    return first, (first + timedelta(days=31)).replace(day=1) if len(rest) == 1 else first + timedelta(days=1)


@dataclass(frozen=True)
class Related:
    """A row of another table: "id:5" is the one with that key; of anything else that is typed, all rows whose title
    holds it, and the one with that key, because a name may be a number.

    There may be thousands, so only those are listed that most of the rows refer to; others are found by typing.
    """

    name: str
    label: str
    column: Any
    key: Any
    title: Any
    read_key: Callable[[str], Any]
    placeholder: str = "Name or id"
    told: Any = None  # what tells rows of the same title apart, where they may have it

    @property
    def _shown(self) -> Any:
        return self.title if self.told is None else self.told

    def condition(self, text: str, _zone: tzinfo) -> Any:
        key = self._exactly(text)
        if key is not None:
            return self.column == key
        meant = self._meant(text)
        if meant is None:
            return None
        keys: Any = sa.select(self.key).where(meant)
        key = self.read_key(text)
        if key is not None:  # also where that row is gone; one set of keys, because an index serves no OR of two
            keys = keys.union_all(sa.select(sa.literal(key, self.key.type)))
        return self.column.in_(keys)

    def _exactly(self, text: str) -> Any:
        return self.read_key(text.removeprefix(_EXACTLY)) if text.startswith(_EXACTLY) else None

    def _meant(self, text: str) -> Any:
        """Which rows of the other table the text means."""
        if not text.strip() or "\0" in text:
            return None
        key, titled = self.read_key(text), contains(self.title, text)
        return titled if key is None else sa.or_(titled, self.key == key)

    def words(self, connection: Connection, text: str) -> str:
        key = self._exactly(text)
        title = None if key is None else connection.scalar(sa.select(self._shown).where(self.key == key))
        return title or text

    def choices(self, connection: Connection, text: str, _zone: tzinfo) -> list[Choice]:
        """The rows that were meant, where it is not one alone."""
        meant = None if self._exactly(text) is not None else self._meant(text)
        if meant is None:
            return []
        found = sa.select(self.key, self._shown.label("title")).where(meant).limit(_MOST_FOUND)
        return [self._choice(row[0], row.title) for row in connection.execute(found)]

    def frequent(self, connection: Connection, values: Iterable[Any], are_all: bool) -> list[Choice]:
        """What is most frequent among these values of the column. are_all: whether no other rows match, so that their
        numbers are those of the list."""
        counts = Counter(value for value in values if value is not None)
        often = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_MOST_FOUND]
        if not often:
            return []
        named = sa.select(self.key, self._shown).where(self.key.in_([key for key, _ in often]))
        titles = {row[0]: row[1] for row in connection.execute(named)}
        return [self._choice(key, titles.get(key), many if are_all else None, True) for key, many in often]

    def _choice(self, key: Any, title: str | None, count: int | None = None, counted: bool = False) -> Choice:
        return Choice(f"{_EXACTLY}{key}", title or str(key), self.column == key if counted else None, count=count)


_EXACTLY = "id:"
Filter = OneOf | Dates | Related


def whole_number(text: str) -> int | None:
    """The id that the text is; None where it is none."""
    digits = text.strip().removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 19):
        return None
    return int(text) if int(digits) < 2**63 else None
