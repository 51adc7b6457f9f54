"""Tables with one row a day and one column for each time of the day: all are readings of one sensor."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from daybook.formats.batch import Bools, Float64s, Int64s
from daybook.formats.layout import FormatError, Layout
from daybook.formats.times import DAY, SECOND, Localizer, Times

_MINUTE, _HOUR = 60 * SECOND, 3600 * SECOND
_CLOCK = r"([0-9]{1,2})\s?[:.h]\s?([0-9]{2})(?:[:.]([0-9]{2}))?"
_CLOCK_NAME = re.compile(
    rf"(?i)(?:[^0-9]{{0,12}}\s|[^0-9\s]{{0,12}}_)?{_CLOCK}(?:\s*(?:-|–|—|_|to|bis|tot|a|à)\s*{_CLOCK})?"
    r"(?:\s*[\[(](?P<unit>[^0-9\[\]()][^\[\]()]*)[\])])?(?P<second>\s*\(2\))?\s*"
)
_HHMM = re.compile(r"(?<![0-9:.])([0-9]{2})([0-9]{2})(?![0-9:.])")  # four such columns may as well be years
_NUMBER_NAME = re.compile(r"(?i)\s*([a-z]{0,12})[ _.-]?0{0,3}([0-9]{1,4})\s?(h|uhr|a|b)?(?P<second>\s*\(2\))?\s*")
# Columns that are only numbered: how many a day has, or would have on the day on which clocks go back.
_PARTS_OF_DAY = (24, 48, 96, 144, 288, 1440)


@dataclass(frozen=True)
class Slots:
    """When the columns of a day begin: microseconds since its midnight.

    second: which of them are the second pass of an hour that comes twice. elapsed: whether the columns count time that
    has gone by (the 25th hour of the day on which clocks go back) rather than what the clock shows.
    """

    starts: Int64s
    second: Bools
    elapsed: bool = False


def slots_of(names: Sequence[str]) -> Slots | None:
    """What the names of columns say of the times of a day; None where they are no such names, or fewer than four.

    "00:15", "00:00-00:15", "Value 00:15", "0:15 [kWh]": the first time is meant. "1" to "24" and "H01" to "H24" are the
    hours that begin at 0:00 to 23:00, "0" to "23" as well; "1" to "96" are quarters of an hour.
    """
    if len(names) < 4:
        return None
    return _of_clocks(names) or _of_numbers(names)


def _of_clocks(names: Sequence[str]) -> Slots | None:
    starts, second = [], []
    for name in names:
        match = _CLOCK_NAME.fullmatch(_HHMM.sub(r"\1:\2", name) if len(names) >= 24 else name)
        if match is None:
            return None
        hour, minute, seconds = int(match[1]), int(match[2]), int(match[3] or 0)
        if hour * 60 + minute > 24 * 60 or minute > 59 or seconds > 59:
            return None
        starts.append(hour * _HOUR + minute * _MINUTE + seconds * SECOND)
        second.append(match["second"] is not None)
    return _distinct(starts, second)


def _of_numbers(names: Sequence[str]) -> Slots | None:
    matches = [_NUMBER_NAME.fullmatch(name) for name in names]
    if not all(matches) or len({match[1].lower() for match in matches if match}) > 1:
        return None
    numbers = [int(match[2]) for match in matches if match]
    # "3A" and "3B", or "3" and "3 (2)": the same hour before and after the clocks go back.
    second = [bool(match["second"]) or (match[3] or "").lower() == "b" for match in matches if match]
    distinct = sorted(set(numbers))
    if distinct != list(range(distinct[0], distinct[0] + len(distinct))) or distinct[0] > 1:
        return None
    for parts in _PARTS_OF_DAY:
        if len(distinct) in (parts, parts + parts // 24):
            starts = [(number - distinct[0]) * (DAY // parts) for number in numbers]
            return _distinct(starts, second, elapsed=len(distinct) > parts)
    return None


def _distinct(starts: list[int], second: list[bool], elapsed: bool = False) -> Slots | None:
    pairs = set(zip(starts, second, strict=True))
    return Slots(np.array(starts, np.int64), np.array(second), elapsed) if len(pairs) == len(starts) else None


class Days:
    """Turns rows of days into readings with their times."""

    def __init__(self, layout: Layout, localize: Localizer) -> None:
        self._localize = localize
        self.name, self.unit = layout.sensor or "value", layout.unit
        slots = slots_of([layout.columns[index].name for index in layout.of_role("value")])
        if slots is None:
            raise FormatError(
                "bad_layout",
                "the names of the value columns are no times of the day",
                "A table with one row a day has columns such as 00:00, 00:15 … or 1, 2 … 24.",
            )
        self._slots = slots

    def times(self, days: Times) -> tuple[Int64s, Bools]:
        """UTC of every cell, one row a day, and which of these times there are on that day."""
        local = days.microseconds[:, None] + self._slots.starts
        second = np.broadcast_to(self._slots.second, local.shape)
        if self._slots.elapsed:
            return self._elapsed(days, local)
        micros, exists = self._localize.on_its_own(local.ravel(), second.ravel())
        micros, exists = micros.reshape(local.shape), exists.reshape(local.shape)
        micros[days.absolute] = local[days.absolute]
        exists[days.absolute] = ~self._slots.second
        return micros, exists

    def _elapsed(self, days: Times, local: Int64s) -> tuple[Int64s, Bools]:
        once = np.zeros(len(local), np.bool_)
        midnight, _ = self._localize.on_its_own(days.microseconds, once)
        next_midnight, _ = self._localize.on_its_own(days.microseconds + DAY, once)
        midnight = np.where(days.absolute, days.microseconds, midnight)
        next_midnight = np.where(days.absolute, days.microseconds + DAY, next_midnight)
        micros = midnight[:, None] + self._slots.starts
        return micros, micros < next_midnight[:, None]


def in_time_order(micros: Int64s, values: Float64s, present: Bools) -> tuple[Int64s, Float64s]:
    """The readings of a block of days, row after row, those of each day as they follow each other."""
    order = np.argsort(micros, axis=1, kind="stable")
    kept = np.take_along_axis(present, order, axis=1)
    return np.take_along_axis(micros, order, axis=1)[kept], np.take_along_axis(values, order, axis=1)[kept]
