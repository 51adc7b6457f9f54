"""What a chart shows: its range, its points with gaps where data is missing, and the words and numbers beside it.

Times are microseconds since 1970 (UTC). Nothing here asks the book.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

Micros = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SECOND = 1_000_000
DAY = 86_400 * SECOND
MOST_BARS = 60

# What the buttons offer, counted back from the last reading: a file from the field is old when it arrives.
RANGES = {
    "24h": ("24 hours", DAY),
    "7d": ("7 days", 7 * DAY),
    "30d": ("30 days", 30 * DAY),
    "1y": ("1 year", 365 * DAY),
}


@dataclass(frozen=True)
class Points:
    """Points of a chart in order of time: single readings (`bucket` is empty), or figures per bucket of that width.

    `width` is the length of a bucket in microseconds. For single readings all figures are the value, the count is 1.
    """

    bucket: str
    width: int
    times: Micros
    least: Floats
    most: Floats
    mean: Floats
    sum: Floats
    count: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True)
class Summary:
    """The whole range in five numbers. The sum is None where it is too large for a double."""

    count: int
    least: float
    most: float
    mean: float
    sum: float | None


def last_of(span: tuple[int, int], name: str) -> tuple[int, int]:
    """The range that a button means, within the span of what there is; all of it for a name that is no button's."""
    first, last = span
    return (max(first, last - RANGES[name][1]), last) if name in RANGES else span


def summary(points: Points) -> Summary | None:
    """The five numbers of these points; None when there are none."""
    if not len(points):
        return None
    count = int(points.count.sum())
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float((points.mean * (points.count / count)).sum())
        total = float(points.sum.sum())
    least, most = float(points.least.min()), float(points.most.max())
    return Summary(count, least, most, mean, total if math.isfinite(total) else None)


def gaps(points: Points) -> Micros:
    """The indexes of points that no line may lead to, because something is missing before them.

    Buckets: where one is empty. Readings: where the step is three times what nine of ten steps keep within, so that
    neither a logger's jitter nor readings taken by hand break the line everywhere.
    """
    steps = np.diff(points.times)
    if len(steps) < 2:
        return np.empty(0, np.int64)
    usual = float(np.quantile(steps, 0.9, method="lower"))
    limit = 1.5 * max(usual, points.width) if points.bucket else 3 * usual
    return np.flatnonzero(steps > limit) + 1


def chart_data(points: Points) -> dict[str, Any]:
    """The columns that the chart in the browser draws, times in seconds; a null in every column makes a gap."""
    where = gaps(points)
    times = (points.times / SECOND).tolist()
    middle = [(points.times[at - 1] + points.times[at]) / 2 / SECOND for at in where]
    columns = {"least": points.least, "most": points.most, "mean": points.mean, "sum": points.sum}
    data: dict[str, Any] = {"bucket": points.bucket, "time": _with_gaps(times, where, middle)}
    for name, values in columns.items():
        data[name] = _with_gaps([value if math.isfinite(value) else None for value in values.tolist()], where)
    data["count"] = _with_gaps(points.count.tolist(), where)
    return data


def _with_gaps(cells: list[Any], where: Micros, fill: list[float] | None = None) -> list[Any]:
    """The cells with one more before each index of `where`: of `fill`, or None."""
    whole: list[Any] = []
    start = 0
    for number, at in enumerate(where.tolist()):
        whole += cells[start:at]
        whole.append(fill[number] if fill else None)
        start = at
    return whole + cells[start:]


def exact(value: float) -> str:
    """The number as it was read, without a `.0` that nobody wrote."""
    return repr(value).removesuffix(".0")


def rounded(value: float | None, decimals: int = 15) -> str:
    """A calculated number with seven digits, or as many as it has before the point, and at most so many decimals."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0 or not 1e-5 <= abs(value) < 1e15:
        return f"{value:.7g}"
    text = f"{value:.{min(decimals, max(0, 6 - math.floor(math.log10(abs(value)))))}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def decimals_for(points: Points) -> int:
    """How many decimals a calculated number shows: two more than the readings have."""
    texts = [exact(value) for value in points.least.tolist() + points.most.tolist()]
    return 2 + max((len(text.partition(".")[2]) if "e" not in text else 15 for text in texts), default=0)


def grouped(text: str) -> str:
    """The number with thin spaces that do not break between its thousands: 1 234 567.8."""
    whole, point, rest = text.partition(".")
    return f"{int(whole):,}".replace(",", "\u202f") + point + rest if whole.isdecimal() else _grouped_otherwise(text)


def _grouped_otherwise(text: str) -> str:
    """Below zero, or no plain number ("1e+20", "–")."""
    return "-" + grouped(text[1:]) if text[:1] == "-" and text[1:2].isdecimal() else text


def time_texts(times: Micros, bucket: str = "") -> list[str]:
    """The times in UTC, each as exactly as the most exact of them needs; days, months and years by their dates."""
    if bucket.endswith("y"):
        return [_at(time).strftime("%Y") for time in times.tolist()]
    if bucket.endswith("mo"):
        return [_at(time).strftime("%Y-%m") for time in times.tolist()]
    if bucket.endswith(("d", "w")):
        return [_at(time).strftime("%Y-%m-%d") for time in times.tolist()]
    exactness = "minutes"
    if (times % (60 * SECOND)).any():
        exactness = "seconds"
    if (times % SECOND).any():
        exactness = "milliseconds" if not (times % 1000).any() else "microseconds"
    return [_at(time).replace(tzinfo=None).isoformat(" ", exactness) for time in times.tolist()]


def _at(time: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)
