"""Telling day-first dates from month-first ones by all the dates of a sample."""

import numpy as np
import pyarrow as pa

from daybook.formats import times
from daybook.formats.layout import DateOrder, FormatError

_HALF_MONTH = 15 * times.DAY


def decide_date_order(texts: pa.Array) -> DateOrder:
    """The order in which the sample's times make sense; raises FormatError where two orders do.

    Values over 12 decide; then the order of rows: where a clock that runs within the day goes on over midnight in one
    reading and leaps by a month in the other, the first is right.
    """
    readings = {order: times.parse(texts, order) for order in ("ymd", "dmy", "mdy")}
    counts = {order: int(stamps.valid.sum()) for order, stamps in readings.items()}
    most = max(counts.values())
    if counts["ymd"] == most:
        # A four-digit year in front, or month names: the orders agree. Two-digit years leave a choice.
        same = all(np.array_equal(readings["ymd"].microseconds, readings[o].microseconds) for o in ("dmy", "mdy"))
        if same or counts["dmy"] < most > counts["mdy"]:
            return "ymd"
    if counts["dmy"] != counts["mdy"]:
        return "dmy" if counts["dmy"] > counts["mdy"] else "mdy"
    day_first, month_first = readings["dmy"], readings["mdy"]
    if np.array_equal(day_first.microseconds, month_first.microseconds):
        return "dmy"
    good = day_first.valid & month_first.valid
    steps = {
        "dmy": np.abs(np.diff(day_first.microseconds[good])),
        "mdy": np.abs(np.diff(month_first.microseconds[good])),
    }
    over_midnight = {
        "dmy": int(((steps["dmy"] < times.DAY) & (steps["mdy"] > _HALF_MONTH)).sum()),
        "mdy": int(((steps["mdy"] < times.DAY) & (steps["dmy"] > _HALF_MONTH)).sum()),
    }
    if over_midnight["dmy"] and not over_midnight["mdy"]:
        return "dmy"
    if over_midnight["mdy"] and not over_midnight["dmy"]:
        return "mdy"
    row = int(np.flatnonzero(day_first.microseconds != month_first.microseconds)[0])
    text = str(texts[row]).strip()
    stamps = [np.datetime64(int(readings[o].microseconds[row]), "us").item() for o in ("dmy", "mdy")]
    raise FormatError(
        "ambiguous_dates",
        f'"{text}" may be {stamps[0]:%-d %B %Y} or {stamps[1]:%-d %B %Y}; nothing in the first part of the file '
        "tells which",
        "Say whether the day or the month comes first (date_order=dmy or date_order=mdy).",
    )
