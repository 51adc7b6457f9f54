"""Telling day-first dates from month-first ones by all the dates of a sample."""

import re
from datetime import datetime
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from daybook.formats import times
from daybook.formats.layout import Choice, DateOrder, FormatError

_HALF_MONTH = 15 * times.DAY
_ORDERS: tuple[DateOrder, ...] = ("ymd", "dmy", "mdy")
_JUDGED_DOTS = 100
_FEWEST_DATES = 3  # with fewer, one order of rows is as good as any other
_HINT = "Say as the date order what comes first: the day (dmy), the month (mdy) or the year (ymd)."

_STATED = re.compile(r"(?i)\b([dmyjat]{1,4})([-./ ])([dmt]{1,3})\2([dyjat]{1,4})\b")
_OTHER_LETTERS = str.maketrans("jat", "yyd")  # Jahr, jaar, année, Tag

Int64s = npt.NDArray[np.int64]


def stated_order(text: str) -> DateOrder | None:
    """The order that a column's name or another line states, such as "Date (MM/DD/YYYY)"."""
    found = _STATED.search(text)
    if found is None:
        return None
    letters = "".join(found[part][0].lower() for part in (1, 3, 4)).translate(_OTHER_LETTERS)
    return next((order for order in _ORDERS if order == letters), None)


def decide_date_order(texts: pa.Array, column: str, stated: DateOrder | None = None) -> DateOrder:
    """The order in which the sample's times make sense; raises FormatError where more than one does.

    Values over 12 decide, then the order that the file states. Where they do not, the order of rows does: a clock that
    runs within the day goes on over midnight in one order and leaps by a month or a year in every other; or the rows go
    up (or down) all the way in one order only. And where all that leaves dates with dots open, the day comes first: no
    locale of CLDR writes month.day.year, though some loggers do. Nothing else is taken as a hint.
    """
    stamps = {order: times.parse(texts, order) for order in _ORDERS}
    _refuse_mixed(texts, column, stamps)
    most = max(int(stamp.valid.sum()) for stamp in stamps.values())
    candidates: list[DateOrder] = []
    for order in _ORDERS:
        if int(stamps[order].valid.sum()) == most and not any(_same(stamps[order], stamps[o]) for o in candidates):
            candidates.append(order)
    if len(candidates) == 1:
        return candidates[0]
    if stated in candidates:
        return stated
    good = np.logical_and.reduce([stamps[order].valid for order in candidates])
    found = _by_rows({order: stamps[order].microseconds[good] for order in candidates})
    if found is not None:
        return found
    if "dmy" in candidates and all("." in text for text in texts.slice(0, _JUDGED_DOTS).to_pylist()):
        return "dmy"
    first, second = stamps[candidates[0]], stamps[candidates[1]]
    row = int(np.flatnonzero((first.microseconds != second.microseconds) & first.valid & second.valid)[0])
    shown = {f"{_date(int(stamps[order].microseconds[row])):%-d %B %Y}": order for order in candidates}
    raise FormatError(
        "ambiguous_dates",
        f'"{str(texts[row]).strip()}" in column "{column}" may be {" or ".join(shown)}; nothing in the first part of '
        "the file tells which",
        _HINT,
        tuple(Choice(label, {"date_order": order}) for label, order in shown.items()),
    )


def _same(one: times.Times, other: times.Times) -> bool:
    return np.array_equal(one.valid, other.valid) and np.array_equal(one.microseconds, other.microseconds)


def _date(microseconds: int) -> datetime:
    return np.datetime64(microseconds, "us").item()


def _refuse_mixed(texts: pa.Array, column: str, stamps: dict[DateOrder, times.Times]) -> None:
    """A spreadsheet that read day-first dates as month-first ones turns those up to the 12th round, and not the rest:
    whichever order is taken, half of the rows would be rejected and some of the other half wrong."""
    only_day = np.flatnonzero(stamps["dmy"].valid & ~stamps["mdy"].valid)
    only_month = np.flatnonzero(stamps["mdy"].valid & ~stamps["dmy"].valid)
    fewer, more = sorted((len(only_day), len(only_month)))
    if fewer >= 2 and fewer * 100 > more:
        raise FormatError(
            "mixed_dates",
            f'column "{column}" holds both "{str(texts[int(only_day[0])]).strip()}", which has the day first, and '
            f'"{str(texts[int(only_month[0])]).strip()}", which has the month first',
            "Write all dates in one order, best as 2016-01-31, and upload the file again.",
        )


def _by_rows(readings: dict[DateOrder, Int64s]) -> DateOrder | None:
    """The one order in which the rows follow each other as a logger writes them, if there is one."""
    steps = {order: np.abs(np.diff(stamps)) for order, stamps in readings.items()}
    if not all(len(step) for step in steps.values()):
        return None
    within_a_day = np.logical_and.reduce([(step > 0) & (step < times.DAY) for step in steps.values()])
    if within_a_day.any():
        beaten: set[DateOrder] = set()
        for one, other in combinations(readings, 2):
            if ((steps[one] < times.DAY) & (steps[other] > _HALF_MONTH)).any():
                beaten.add(other)
            if ((steps[other] < times.DAY) & (steps[one] > _HALF_MONTH)).any():
                beaten.add(one)
        if beaten:
            left = [order for order in readings if order not in beaten]
            return left[0] if len(left) == 1 else None
    sorted_ones = [order for order, stamps in readings.items() if _goes_one_way(stamps)]
    return sorted_ones[0] if len(sorted_ones) == 1 else None


def _goes_one_way(stamps: Int64s) -> bool:
    steps = np.diff(stamps)
    return len(np.unique(stamps // times.DAY)) >= _FEWEST_DATES and bool((steps >= 0).all() or (steps <= 0).all())
