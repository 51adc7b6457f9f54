"""Buckets of time: widths such as 5min or 1mo, where they begin, and which width suits a range.

Seconds, minutes and hours have one length and begin alike everywhere. Days and longer follow the calendar of a time
zone, in which a day can have 23 hours. Multiples are counted from Monday, 3 January 2000 (months and years from
January 2000), as TimescaleDB's time_bucket counts them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo

from daybook.sql import microseconds, moment
from daybook.times import DAY, EARLIEST, LATEST, SECOND

ORIGIN = microseconds(datetime(2000, 1, 3, tzinfo=UTC))
_ORIGIN_DAY = date(2000, 1, 3).toordinal()
_ORIGIN_MONTH = 2000 * 12

_FIXED = {"s": SECOND, "min": 60 * SECOND, "h": 3600 * SECOND}
_DAYS = {"d": 1, "w": 7}
_MONTHS = {"mo": 1, "y": 12}
_WIDEST = 1000 * 366 * DAY

# What `auto` chooses from: widths that a person would choose, so that edges fall on round times.
_ROUND = (
    *((count, "s") for count in (1, 2, 5, 10, 15, 30)),
    *((count, "min") for count in (1, 2, 5, 10, 15, 30)),
    *((count, "h") for count in (1, 2, 3, 6, 12)),
    *((1, "d"), (2, "d"), (1, "w")),
    *((count, "mo") for count in (1, 3, 6)),
    *((count, "y") for count in (1, 2, 5, 10, 20, 50, 100, 1000)),
)


class BucketError(ValueError):
    """A width that cannot be read; the message names it and says what to write instead."""


@dataclass(frozen=True)
class Bucket:
    """A width, and the zone whose calendar days and longer follow."""

    count: int
    unit: str
    zone: tzinfo = UTC

    def __str__(self) -> str:
        return f"{self.count}{self.unit}"

    @property
    def fixed(self) -> int | None:
        """The width in microseconds where all buckets have the same, else None."""
        if self.unit in _FIXED:
            return self.count * _FIXED[self.unit]
        if self.unit in _DAYS and self.zone is UTC:
            return self.count * _DAYS[self.unit] * DAY
        return None

    @property
    def roughly(self) -> int:
        """The width in microseconds of a usual bucket (a month of 31 days, a year of 366)."""
        days = {"d": 1, "w": 7, "mo": 31, "y": 366}
        return self.count * (_FIXED[self.unit] if self.unit in _FIXED else days[self.unit] * DAY)

    def number(self, at: int) -> int:
        """The number of the bucket that holds that time; they are numbered without holes, 0 beginning in 2000."""
        if width := self.fixed:
            return (at - ORIGIN) // width
        day = _local_date(at, self.zone)
        if self.unit in _DAYS:
            number = (day.toordinal() - _ORIGIN_DAY) // (self.count * _DAYS[self.unit])
        else:
            number = (day.year * 12 + day.month - 1 - _ORIGIN_MONTH) // (self.count * _MONTHS[self.unit])
        # Where clocks go back across midnight, and at the ends of the calendar, the date says one thing and the order
        # of moments another. The order counts.
        while self.start(number) > at:
            number -= 1
        while self.start(number + 1) <= at:
            number += 1
        return number

    def start(self, number: int) -> int:
        """When that bucket begins, in microseconds since 1970; kept within what a datetime can hold."""
        if width := self.fixed:
            return min(max(ORIGIN + number * width, EARLIEST), LATEST + 1)
        try:
            if self.unit in _DAYS:
                day = date.fromordinal(_ORIGIN_DAY + number * self.count * _DAYS[self.unit])
            else:
                year, month = divmod(_ORIGIN_MONTH + number * self.count * _MONTHS[self.unit], 12)
                day = date(year, month + 1, 1)
            return microseconds(datetime(day.year, day.month, day.day, tzinfo=self.zone))
        except (ValueError, OverflowError):
            return EARLIEST if number < 0 else LATEST + 1

    def edges(self, first: int, last: int) -> Iterator[int]:
        """Where the buckets begin that hold `first` to `last` (both inclusive), and where the last of them ends."""
        number = self.number(first)
        edge = self.start(number)
        yield edge
        while edge <= last:
            number += 1
            following = self.start(number)
            if following > edge:  # a day that a zone skipped has no length
                yield following
            edge = following

    def covering(self, first: int, last: int) -> int:
        """How many buckets it takes from `first` to `last` (both inclusive)."""
        return self.number(last) - self.number(first) + 1


def read_bucket(text: str, zone: tzinfo = UTC) -> Bucket:
    """The Bucket that a width such as `15min` means; raises BucketError."""
    match = re.fullmatch(r"([1-9]\d{0,5})(s|min|h|d|w|mo|y)", text, re.ASCII)
    if not match:
        raise BucketError(
            f'bucket "{text}" is not a width; write a number and s, min, h, d, w, mo or y, such as 1h, or auto'
        )
    bucket = Bucket(int(match[1]), match[2], zone)
    if bucket.roughly > _WIDEST:
        raise BucketError(f'bucket "{text}" is wider than a thousand years; write 1000y or less')
    return bucket


def suiting(first: int, last: int, points: int, zone: tzinfo = UTC) -> Bucket:
    """The narrowest round width of which at most `points` buckets (2 or more) hold `first` to `last`."""
    for count, unit in _ROUND:
        bucket = Bucket(count, unit, zone)
        if bucket.covering(first, last) <= points:
            return bucket
    return bucket


def _local_date(at: int, zone: tzinfo) -> date:
    try:
        return moment(at).astimezone(zone).date()
    except OverflowError:
        return date.min if at < 0 else date.max
