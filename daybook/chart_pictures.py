"""Charts as PNG pictures for a telephone: a line for a gauge, bars per day or month for an amount.

Large type and few of it: a telephone shows 1080 pixels on six centimetres. Times are microseconds since 1970 (UTC) and
are shown in the zone that is named. Nothing here asks the book.
"""

import io
import re
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from daybook.charts import SECOND, Floats, Points, decimals_for, gaps, grouped, rounded

WIDTH, HEIGHT, DOTS = 1080, 720, 100
INK, SOFT, RULE, ACCENT, PAPER = "#1d2523", "#5a6662", "#dcdad1", "#0f766a", "#ffffff"
TITLE, LARGE, SMALL = 27, 20, 17  # points; 20 are 28 pixels
MOST_MARKED = 60  # so many points also show as dots
MOST_VALUE = 1e300  # what is larger has no axis
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
FONT = "DejaVu Sans"  # comes with matplotlib

# Figures share caches of fonts and settings, which matplotlib does not guard.
_drawing = threading.Lock()


class NothingToDraw(ValueError):
    """There is no reading in that time."""


def line(points: Points, title: str, unit: str, timezone: str, start: int, end: int) -> bytes:
    """The course of a gauge from `start` to `end`: its readings, or the mean of each bucket with least and most around.

    Raises NothingToDraw.
    """
    if not len(points):
        raise NothingToDraw
    zone = _zone(timezone)
    decimals = decimals_for(points)
    bucketed = bool(points.bucket)
    least, most = float(points.least.min()), float(points.most.max())
    about = _with_unit(f"{_text(least, decimals)} to {_text(most, decimals)}", unit)
    about += f", line: mean of {_bucket(points.bucket)}" if bucketed else f", last {_text(points.mean[-1], decimals)}"

    def draw(axes: Any) -> None:
        middle = points.times + points.width // 2
        times, breaks = middle / SECOND, gaps(points)
        cells = {
            name: np.insert(_drawable(values), breaks, np.nan)
            for name, values in (("least", points.least), ("most", points.most), ("mean", points.mean))
        }
        times = np.insert(times, breaks, times[breaks] if len(breaks) else [])
        if bucketed:
            axes.fill_between(times, cells["least"], cells["most"], color=ACCENT, alpha=0.2, linewidth=0)
        mark = "o" if len(points) <= MOST_MARKED else ""
        axes.plot(times, cells["mean"], color=ACCENT, linewidth=3, marker=mark, markersize=7, solid_capstyle="round")
        if not mark:  # a reading with a gap on both sides has no line
            alone = _alone(len(points), breaks)
            axes.plot(middle[alone] / SECOND, _drawable(points.mean)[alone], "o", color=ACCENT, markersize=5)
        air = (end - start) / SECOND * 0.012  # so that the last dot shows whole
        axes.set_xlim(start / SECOND - air, end / SECOND + air)
        places = _days_between(start, end, zone)
        axes.set_xticks([at for at, _ in places], [text for _, text in places])
        _room(axes, float(np.nanmin(cells["least"])), float(np.nanmax(cells["most"])))

    return _picture(title, about, timezone, draw)


def bars(edges: Sequence[int], sums: Floats, title: str, unit: str, timezone: str, bar: str) -> bytes:
    """An amount's sums, one bar from each of the `edges` to the next. `bar`: "day" or "month".

    Raises NothingToDraw when there are no bars.
    """
    if not len(sums):
        raise NothingToDraw
    zone = _zone(timezone)
    days = [_local(at, zone).date() for at in edges]
    with np.errstate(over="ignore", invalid="ignore"):
        whole = float(sums.sum())
    fractions = any(value != round(value) for value in sums.tolist() if abs(value) < 1e15)
    total = grouped(f"{whole:.2f}").replace("-", "−") if fractions and abs(whole) < 1e15 else _text(whole, 2)
    about = f"{_with_unit(total, unit)} in all, per {bar}"

    def draw(axes: Any) -> None:
        heights = _drawable(sums)
        axes.bar(range(len(heights)), heights, width=0.75, color=ACCENT)
        axes.axhline(0, color=SOFT, linewidth=1.5)
        axes.set_xlim(-0.6, len(heights) - 0.4)
        every = _every(len(days), bar)
        shown = range((len(days) - 1) % every, len(days), every)  # so that the last bar has its name
        axes.set_xticks(list(shown), [_bar_name(days, at, bar) for at in shown])
        _room_for_bars(axes, min(0.0, float(heights.min())), max(0.0, float(heights.max())))
        _figures(axes, heights)

    return _picture(title, about, timezone, draw)


# --- the picture around it


def _picture(title: str, about: str, timezone: str, draw: Callable[[Any], None]) -> bytes:
    # Only who wants a picture pays for matplotlib: a third of a second and 30 MB in a process.
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    with _drawing, rc_context({"text.parse_math": False, "font.family": FONT, "font.size": LARGE}):
        figure = Figure(figsize=(WIDTH / DOTS, HEIGHT / DOTS), dpi=DOTS, facecolor=PAPER)
        axes = figure.add_axes((0.115, 0.125, 0.84, 0.655))
        draw(axes)
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _text(value, 6)))
        axes.grid(axis="y", color=RULE, linewidth=1.5)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(SOFT)
        axes.tick_params(colors=SOFT, labelcolor=INK, labelsize=LARGE, length=0, pad=8)
        axes.tick_params(axis="x", length=6)
        canvas = FigureCanvasAgg(figure)
        _fit_left(figure, axes, canvas)
        _written(figure, canvas, 0.93, title, TITLE, INK, "bold")
        _written(figure, canvas, 0.845, about, LARGE, SOFT)
        figure.text(0.965, 0.015, timezone, size=SMALL - 3, color=SOFT, ha="right")
        out = io.BytesIO()
        figure.savefig(out, format="png")
    return out.getvalue()


def _written(figure: Any, canvas: Any, height: float, text: str, size: int, color: str, weight: str = "normal") -> None:
    """One line of text, smaller or cut where it is wider than the picture."""
    shown = _printable(text)
    label = figure.text(0.035, height, shown, size=size, color=color, weight=weight, va="center")
    room = WIDTH * 0.93
    if label.get_window_extent(canvas.get_renderer()).width > room:
        label.set_size(max(SMALL, size - 7))
    while len(shown) > 1 and label.get_window_extent(canvas.get_renderer()).width > room:
        shown = shown[: max(1, int(len(shown) * 0.93))]
        label.set_text(shown.rstrip() + "…")


def _fit_left(figure: Any, axes: Any, canvas: Any) -> None:
    """As much room on the left as the numbers there need."""
    canvas.draw()
    widest = max((label.get_window_extent().width for label in axes.get_yticklabels()), default=0.0)
    left = min(0.4, 0.035 + (widest + 14) / WIDTH)
    axes.set_position((left, 0.125, 0.955 - left, 0.655))


def _figures(axes: Any, heights: Floats) -> None:
    """The number over each bar, where all of them fit."""
    texts = [
        _text(value, 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0) if value else ""
        for value in heights.tolist()
    ]
    if max(map(len, texts)) * 15 > 0.8 * WIDTH / len(texts):
        return
    for at, (value, text) in enumerate(zip(heights.tolist(), texts, strict=True)):
        offset = (0, 5) if value >= 0 else (0, -5)
        where = "bottom" if value >= 0 else "top"
        axes.annotate(
            text, (at, value), offset, textcoords="offset points", ha="center", va=where, size=SMALL, color=INK
        )


def _room(axes: Any, least: float, most: float) -> None:
    """Some air above and below, also for a line that is level."""
    air = (most - least) * 0.08 or abs(most) * 0.05 or 1.0
    axes.set_ylim(least - air, most + air)


def _room_for_bars(axes: Any, least: float, most: float) -> None:
    """The same, but bars stand on their zero."""
    air = (most - least) * 0.1 or 1.0
    axes.set_ylim(least - air if least < 0 else 0, most + air if most > 0 or least == 0 else 0)


# --- words and places


def _text(value: float, decimals: int) -> str:
    return grouped(rounded(value, decimals)).replace("-", "−")


def _with_unit(text: str, unit: str) -> str:
    return f"{text} {unit}" if unit else text


def _drawable(values: Floats) -> Floats:
    return np.clip(values, -MOST_VALUE, MOST_VALUE)  # a sum too large for a double is infinite


def _alone(count: int, breaks: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which points have a gap, or an end, on both sides."""
    before, behind = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    before[breaks], behind[breaks - 1] = True, True
    before[0], behind[-1] = True, True
    return before & behind


def _days_between(start: int, end: int, zone: tzinfo) -> list[tuple[float, str]]:
    """Where days or months begin, at most seven of them, with their names."""
    first, last = _local(start, zone).date(), _local(end, zone).date()
    span = (last - first).days
    if span > 150:
        every = 1 + span // 215
        months = [_month(first, count) for count in range(1, span // 28 + 2)]
        chosen = [(day, _month_name(day)) for day in months[::every]]
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


def _bucket(bucket: str) -> str:
    """`1d` as `1 day`."""
    match = re.fullmatch(r"(\d+)([a-z]+)", bucket)
    if match is None:
        return bucket
    name = {"d": "day", "w": "week", "mo": "month", "y": "year"}.get(match[2], match[2])
    return f"{match[1]} {name}{'s' if name != match[2] and match[1] != '1' else ''}"


def _every(count: int, bar: str) -> int:
    """How many bars there are to one name."""
    return -(-count // 12) if bar == "month" else -(-count // 7)


def _bar_name(days: Sequence[date], at: int, bar: str) -> str:
    day = days[at]
    if bar != "month":
        return _day_name(day)
    return _month_name(day)


def _printable(text: str) -> str:
    """Without what the font does not have: emoji, and scripts that the words beside the picture show."""
    return " ".join("".join(letter for letter in text if ord(letter) in _letters()).split())


@cache
def _letters() -> frozenset[int]:
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont(FONT)).get_charmap())


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def _local(at: int, zone: tzinfo) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).astimezone(zone)
