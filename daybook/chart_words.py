"""The words, numbers and names of days that stand in the pictures of charts (daybook/chart_pictures.py).

Times are microseconds since 1970 (UTC).
"""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from daybook import charts
from daybook.charts import SECOND, grouped, rounded

MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def text(value: float, decimals: int) -> str:
    """A calculated number, with so many decimals at most."""
    return grouped(rounded(value, decimals)).replace("-", "−")


def amounts(values: Sequence[float]) -> list[str]:
    """Sums, with two decimals where that is exact and some need them; else with as many as they have, up to six."""
    near = all(abs(value) < 1e13 and abs(value * 100 - round(value * 100)) < 1e-3 for value in values)
    if near and any(round(value, 2) != round(value) for value in values):
        return [grouped(f"{round(value, 2) + 0.0:.2f}").replace("-", "−") for value in values]
    return [text(value, 6) for value in values]


def exact(value: float, digits: int = 0) -> str:
    """A number as it was read: seven digits, or three behind the point; the rest is left over from binary arithmetic.

    `digits`: how many, instead.
    """
    whole = len(f"{abs(value):.0f}") if abs(value) < 1e15 else 0
    return grouped(charts.exact(float(f"{value:.{digits or max(7, whole + 3)}g}"))).replace("-", "−")


def told_apart(values: Sequence[float]) -> list[str]:
    """Numbers of a scale, with as many digits as it takes to tell them apart."""
    texts = [text(value, 6) for value in values]
    for digits in (10, 13, 16):
        if len(set(texts)) == len(texts):
            break
        texts = [exact(value, digits) for value in values]
    return texts


def with_unit(words: str, unit: str) -> str:
    """The words and the unit, where there is one."""
    return f"{words} {unit}" if unit else words


def places_between(start: int, end: int, zone: tzinfo) -> list[tuple[float, str]]:
    """Where days or months begin, with their names: in a range of up to seven years at most seven of them."""
    first, last = local(start, zone).date(), local(end, zone).date()
    span = (last - first).days
    if span > 150:
        # January is always one of them: it shows the year.
        every = next((count for count in (1, 2, 3, 4, 6) if span <= 215 * count), 12)
        months = [_month(first, count) for count in range(1, span // 28 + 2)]
        chosen = [(day, _month_name(day)) for day in months if (day.month - 1) % every == 0]
    else:
        every = max(1, -(-span // 6))
        days = [first + timedelta(days=count) for count in range(1, span + 1)]
        chosen = [(day, _day_name(day)) for day in days[::every]]
    places = [(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp(), text) for day, text in chosen]
    within = [(at, text) for at, text in places if start / SECOND <= at <= end / SECOND]
    return within or [(start / SECOND, _day_name(first))]


def _month(first: date, count: int) -> date:
    months = first.year * 12 + first.month - 1 + count
    return date(months // 12, months % 12 + 1, 1)


def _day_name(day: date) -> str:
    return f"{day.day} {MONTHS[day.month - 1]}"


def _month_name(day: date) -> str:
    """Jan is written as its year."""
    return str(day.year) if day.month == 1 else MONTHS[day.month - 1]


def bucket_words(bucket: str) -> str:
    """`1d` as `1 day`."""
    match = re.fullmatch(r"(\d+)([a-z]+)", bucket)
    if match is None:
        return bucket
    name = {"d": "day", "w": "week", "mo": "month", "y": "year"}.get(match[2], match[2])
    return f"{match[1]} {name}{'s' if name != match[2] and match[1] != '1' else ''}"


def bars_to_a_name(count: int, bar: str) -> int:
    """How many bars there are to one name."""
    return -(-count // 12) if bar == "month" else -(-count // 7)


def bar_name(days: Sequence[date], at: int, bar: str) -> str:
    """The name under a bar: its day or its month."""
    return _month_name(days[at]) if bar == "month" else _day_name(days[at])


def zone_of(name: str) -> tzinfo:
    """The zone of that name; UTC where there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def local(at: int, zone: tzinfo) -> datetime:
    """That moment there."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).astimezone(zone)
