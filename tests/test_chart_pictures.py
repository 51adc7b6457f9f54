"""Pictures for telephones: a PNG of the right size, in which what there is can be seen."""

import io
import threading
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from PIL import Image

from daybook import chart_pictures
from daybook.charts import DAY, Points

NOW = datetime(2026, 11, 20, 17, 20, tzinfo=UTC)
ACCENT = (15, 118, 106)


def micros(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


END = micros(NOW)


def readings(times: list[int], values: list[float]) -> Points:
    column = np.array(values, np.float64)
    return Points("", 0, np.array(times, np.int64), column, column, column, column, np.ones(len(times), np.int64))


def seen(png: bytes) -> tuple[tuple[int, int], int]:
    """The picture's size and how many of its dots have the colour of the line or bars."""
    with Image.open(io.BytesIO(png)) as picture:
        colors = np.asarray(picture.convert("RGB")).reshape(-1, 3)
        return picture.size, int((colors == ACCENT).all(axis=1).sum())


def edges(days: int) -> list[int]:
    midnight = datetime(2026, 11, 20, tzinfo=ZoneInfo("Europe/Dublin"))
    return [micros((midnight - timedelta(days=days - 1 - day)).astimezone(UTC)) for day in range(days)]


def line(points: Points, title: str = "temperature", unit: str = "°C", days: int = 7) -> bytes:
    return chart_pictures.line(points, title, unit, "Europe/Dublin", END - days * DAY, END)


def test_a_line() -> None:
    size, dots = seen(line(readings([END - 7 * DAY + hour * DAY // 24 for hour in range(168)], [20.0, 24.0] * 84)))
    assert size == (1080, 720)
    assert dots > 5000


@pytest.mark.parametrize(
    ("times", "values"),
    [
        ([END - DAY], [21.4]),
        ([END], [0.0]),
        ([END - 2 * DAY, END - DAY], [5.0, 5.0]),
        ([END - 2 * DAY, END - DAY], [-1.7e308, 1.7e308]),
        ([END - 2 * DAY, END - DAY], [5e-324, 1e-300]),
        ([END - 2 * DAY, END - DAY], [12345678.25, 12345678.5]),
    ],
)
def test_any_values_can_be_drawn(times: list[int], values: list[float]) -> None:
    assert seen(line(readings(times, values)))[1] > 50


def test_means_with_a_gap_and_a_lone_one() -> None:
    days = [day for day in range(365) if not 100 < day < 150 and day not in (200, 202)]
    times = np.array([END - 365 * DAY + day * DAY for day in days], np.int64)
    mean = np.sin(times / DAY / 30)
    points = Points("1d", DAY, times, mean - 1, mean + 1, mean, mean, np.ones(len(times), np.int64))
    assert seen(line(points, days=365))[1] > 2000


@pytest.mark.parametrize(
    "sums",
    [
        [12.5, 0, 33.2, 8, 0, 120.4, 3.2],
        [-5.0] * 7,
        [0.0] * 6 + [1e-9],
        [1.7e308] * 7,
        [float("inf"), 2.0],
        [1234567.0] * 30,
        [1.0],
    ],
)
def test_bars(sums: list[float]) -> None:
    png = chart_pictures.bars(edges(len(sums)), np.array(sums), "groceries", "EUR", "Europe/Dublin", "day")
    size, dots = seen(png)
    assert size == (1080, 720)
    assert dots > 500


def test_bars_of_months_across_a_year_and_without_any_entry() -> None:
    starts = [micros(datetime(2025 + (month > 12), (month - 1) % 12 + 1, 1, tzinfo=UTC)) for month in range(12, 24)]
    assert chart_pictures.bars(starts, np.zeros(12), "groceries", "", "UTC", "month")


@pytest.mark.parametrize("title", ["<b>bread</b>", "$x^2$ \\frac", "🛒", "面包", "x" * 200, "a\nb", ""])
def test_any_name_is_drawn_as_text(title: str) -> None:
    assert line(readings([END - DAY], [21.4]), title, unit="$_{}$ 🛒")


def test_nothing_is_not_drawn() -> None:
    with pytest.raises(chart_pictures.NothingToDraw):
        line(readings([], []))
    with pytest.raises(chart_pictures.NothingToDraw):
        chart_pictures.bars([], np.array([]), "groceries", "", "UTC", "day")


def test_several_threads_draw_at_once() -> None:
    points = readings([END - 2 * DAY, END - DAY], [5.0, 6.0])
    drawn: list[bytes] = []
    threads = [threading.Thread(target=lambda: drawn.append(line(points))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(drawn)) == 1
    assert len(drawn) == 6
