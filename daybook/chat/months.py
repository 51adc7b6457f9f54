"""Months in a chat's time zone: which one is meant, and where it begins and ends in UTC."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, tzinfo

from daybook.chat.moments import EARLIEST_YEAR, MONTHS, month_number

LATEST_YEAR = 9000
_YEAR_FIRST = re.compile(r"(\d{4})[-/.](\d{1,2})", re.ASCII)
_MONTH_FIRST = re.compile(r"(\d{1,2})[-/.](\d{4})", re.ASCII)


def month_of(at: datetime, zone: tzinfo) -> date:
    """The first of the month in which that moment lies there."""
    return at.astimezone(zone).date().replace(day=1)


def next_month(first: date, months: int = 1) -> date:
    """The first of the month so many months later; or before, below zero."""
    count = first.year * 12 + first.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


def midnight(on: date, zone: tzinfo) -> datetime:
    """When the day begins there, in UTC."""
    return datetime(on.year, on.month, on.day, tzinfo=zone).astimezone(UTC)


def bounds(first: date, zone: tzinfo) -> tuple[datetime, datetime]:
    """When the month begins and when the next one does, in UTC."""
    return midnight(first, zone), midnight(next_month(first), zone)


def written(first: date, now: datetime, zone: tzinfo) -> str:
    """`November`, with the year where it is not this one."""
    name = MONTHS[first.month - 1]
    return name if first.year == now.astimezone(zone).year else f"{name} {first.year}"


def read(words: Sequence[str], now: datetime, zone: tzinfo) -> date | None:
    """The month that all of these words mean; without a year the last one of that name that has begun."""
    this = month_of(now, zone)
    text = " ".join(words).casefold()
    if text in ("this month", "last month", "previous month"):
        return this if text == "this month" else next_month(this, -1)
    if len(words) == 1:
        if match := _YEAR_FIRST.fullmatch(text):
            return _first(match[1], int(match[2]))
        if match := _MONTH_FIRST.fullmatch(text):
            return _first(match[2], int(match[1]))
        number = month_number(text)
        return None if number is None else date(this.year - (number > this.month), number, 1)
    if len(words) == 2 and re.fullmatch(r"\d{4}", words[1], re.ASCII) and (number := month_number(words[0])):
        return _first(words[1], number)
    return None


def _first(year: str, month: int) -> date | None:
    return date(int(year), month, 1) if EARLIEST_YEAR <= int(year) <= LATEST_YEAR and 1 <= month <= 12 else None
