"""Charts as PNG pictures for a telephone: a line for a gauge, bars per day or month for an amount.

Large type and few of it: a telephone shows 1080 pixels on six centimetres. Times are microseconds since 1970 (UTC) and
are shown in the zone that is named. Nothing here asks the book.
"""

import io
import threading
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from daybook import chart_words
from daybook.charts import SECOND, Floats, Points, gaps

WIDTH, HEIGHT, DOTS = 1080, 720, 100
INK, SOFT, RULE, ACCENT, PAPER = "#1d2523", "#5a6662", "#dcdad1", "#0f766a", "#ffffff"
TITLE, LARGE, SMALL = 30, 22, 19  # points; 22 are 31 pixels
BOTTOM, TOP = 0.14, 0.775  # of the drawing, in parts of the picture's height
MOST_MARKED = 60  # so many points also show as dots
MOST_VALUE = 1e300  # what is larger has no axis
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
    zone = chart_words.zone_of(timezone)
    bucketed = bool(points.bucket)
    least, most = chart_words.exact(float(points.least.min())), chart_words.exact(float(points.most.max()))
    about = chart_words.with_unit(least if least == most else f"{least} to {most}", unit)
    if bucketed:
        about += f", line: mean of {chart_words.bucket_words(points.bucket)}"
    elif least != most:
        about += f", last {chart_words.exact(float(points.mean[-1]))}"

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
        places = chart_words.places_between(start, end, zone)
        axes.set_xticks([at for at, _ in places], [text for _, text in places])
        _room(axes, float(np.nanmin(cells["least"])), float(np.nanmax(cells["most"])))

    return _picture(title, about, timezone, draw)


def bars(edges: Sequence[int], sums: Floats, title: str, unit: str, timezone: str, bar: str) -> bytes:
    """An amount's sums, one bar from each of the `edges` to the next. `bar`: "day" or "month".

    Raises NothingToDraw when there are no bars.
    """
    if not len(sums):
        raise NothingToDraw
    zone = chart_words.zone_of(timezone)
    days = [chart_words.local(at, zone).date() for at in edges]
    with np.errstate(over="ignore", invalid="ignore"):
        whole = float(sums.sum())
    total, *figures = chart_words.amounts([whole, *sums.tolist()])
    if not np.isfinite(whole):
        total = "more than fits a number"
    about = f"{chart_words.with_unit(total, unit)} in all, per {bar}"

    def draw(axes: Any) -> None:
        heights = _drawable(sums)
        axes.bar(range(len(heights)), heights, width=0.75, color=ACCENT)
        axes.axhline(0, color=SOFT, linewidth=1.5)
        axes.set_xlim(-0.6, len(heights) - 0.4)
        every = chart_words.bars_to_a_name(len(days), bar)
        shown = range((len(days) - 1) % every, len(days), every)  # so that the last bar has its name
        axes.set_xticks(list(shown), [chart_words.bar_name(days, at, bar) for at in shown])
        _room_for_bars(axes, min(0.0, float(heights.min())), max(0.0, float(heights.max())))
        _figures(axes, heights, figures)

    return _picture(title, about, timezone, draw)


# --- the picture around it


def _picture(title: str, about: str, timezone: str, draw: Callable[[Any], None]) -> bytes:
    # Only who wants a picture pays for matplotlib: a third of a second and 30 MB in a process.
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with _drawing, rc_context({"text.parse_math": False, "font.family": FONT, "font.size": LARGE}):
        figure = Figure(figsize=(WIDTH / DOTS, HEIGHT / DOTS), dpi=DOTS, facecolor=PAPER)
        axes = figure.add_axes((0.115, BOTTOM, 0.84, TOP - BOTTOM))
        draw(axes)
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
        axes.grid(axis="y", color=RULE, linewidth=1.5)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(SOFT)
        axes.tick_params(colors=SOFT, labelcolor=INK, labelsize=LARGE, length=0, pad=8)
        axes.tick_params(axis="x", length=6)
        canvas = FigureCanvasAgg(figure)
        _name_numbers(axes)
        _fit_left(axes, canvas)
        _thin_names(axes, canvas)
        _written(figure, canvas, 0.93, title, TITLE, INK, "bold")
        _written(figure, canvas, 0.845, about, LARGE, SOFT)
        figure.text(0.965, 0.012, timezone, size=SMALL - 3, color=SOFT, ha="right")
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


def _name_numbers(axes: Any) -> None:
    least, most = axes.get_ylim()
    places = [float(at) for at in axes.get_yticks() if least <= at <= most]
    axes.set_yticks(places, chart_words.told_apart(places))


def _fit_left(axes: Any, canvas: Any) -> None:
    """As much room on the left as the numbers there need."""
    canvas.draw()
    widest = max((label.get_window_extent().width for label in axes.get_yticklabels()), default=0.0)
    left = min(0.4, 0.035 + (widest + 14) / WIDTH)
    axes.set_position((left, BOTTOM, 0.955 - left, TOP - BOTTOM))
    canvas.draw()


def _thin_names(axes: Any, canvas: Any) -> None:
    """Leaves out every other name below until none touches the next; the last one stays."""
    while len(labels := axes.get_xticklabels()) > 1:
        boxes = [label.get_window_extent() for label in labels]
        if all(two.x0 - one.x1 >= 12 for one, two in pairwise(boxes)):
            return
        kept = slice((len(labels) - 1) % 2, None, 2)
        axes.set_xticks(axes.get_xticks()[kept], [label.get_text() for label in labels[kept]])
        canvas.draw()


def _figures(axes: Any, heights: Floats, exact: Sequence[str]) -> None:
    """The number over each bar, where all of them fit: exactly, else rounded."""
    every = heights.tolist()
    short = [chart_words.text(value, 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0) for value in every]
    letter = 0.62 * SMALL / 72 * DOTS
    fitting = (texts for texts in (exact, short) if max(map(len, texts)) * letter <= 0.85 * WIDTH / len(texts))
    for at, (value, text) in enumerate(zip(every, next(fitting, ()), strict=False)):
        offset, where = ((0, 5), "bottom") if value > 0 else ((0, -5), "top")
        if value:
            axes.annotate(
                text, (at, value), offset, textcoords="offset points", ha="center", va=where, size=SMALL, color=INK
            )


def _room(axes: Any, least: float, most: float) -> None:
    """Some air above and below, also for a line that is level."""
    air = (most - least) * 0.08 or abs(most) * 0.05 or 1.0
    axes.set_ylim(least - air, most + air)


def _room_for_bars(axes: Any, least: float, most: float) -> None:
    """The same, but bars stand on their zero."""
    air = (most - least) * 0.12 or 1.0
    axes.set_ylim(least - air if least < 0 else 0, most + air if most > 0 or least == 0 else 0)


def _drawable(values: Floats) -> Floats:
    return np.clip(values, -MOST_VALUE, MOST_VALUE)  # a sum too large for a double is infinite


def _alone(count: int, breaks: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which points have a gap, or an end, on both sides."""
    before, behind = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    before[breaks], behind[breaks - 1] = True, True
    before[0], behind[-1] = True, True
    return before & behind


def _printable(text: str) -> str:
    """Without what the font does not have: emoji, and scripts that the words beside the picture show."""
    return " ".join("".join(letter for letter in text if ord(letter) in _letters()).split())


@cache
def _letters() -> frozenset[int]:
    from matplotlib.font_manager import findfont, get_font

    return frozenset(get_font(findfont(FONT)).get_charmap())
