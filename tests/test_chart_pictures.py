"""Pictures for telephones: a PNG of the right size, in which what there is can be seen."""

import io
import threading
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from PIL import Image

from daybook import chart_pictures, chart_words
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


@pytest.mark.parametrize(
    ("sums", "texts"),
    [
        ([12.5, 120.4, 0.0, -3.25], ["12.50", "120.40", "0.00", "−3.25"]),
        ([1234567.0, 8.0], ["1\u202f234\u202f567", "8"]),
        ([0.1 + 0.2 - 0.3, 0.5], ["0.00", "0.50"]),
        ([0.0042, 1.5], ["0.0042", "1.5"]),
        ([-0.001, 5.0], ["−0.001", "5"]),
    ],
)
def test_sums_are_written_in_cents_where_they_are_cents(sums: list[float], texts: list[str]) -> None:
    assert chart_words.amounts(sums) == texts


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (21.4, "21.4"),
        (21.299999237060547, "21.3"),
        (12345678.25, "12\u202f345\u202f678.25"),
        (-0.5, "−0.5"),
        (5e-12, "5e−12"),
        (1.7e308, "1.7e+308"),
    ],
)
def test_values_are_written_as_they_were_read(value: float, text: str) -> None:
    assert chart_words.exact(value) == text


def words_below(png: bytes) -> list[int]:
    """How wide each word is in the line under the bars."""
    with Image.open(io.BytesIO(png)) as picture:
        cells = np.asarray(picture.convert("L"))
    ink = np.flatnonzero((cells[int(720 * 0.885) : int(720 * 0.93)] < 120).any(axis=0))
    return [int(word[-1] - word[0]) for word in np.split(ink, np.flatnonzero(np.diff(ink) > 11) + 1)]


@pytest.mark.parametrize(("value", "names"), [(5.0, 7), (9e12, 4)])
def test_names_of_days_never_touch_also_beside_long_numbers(value: float, names: int) -> None:
    png = chart_pictures.bars(edges(7), np.array([value] * 7), "debt", "USD", "Europe/Dublin", "day")
    words = words_below(png)  # "14", "Nov", …
    assert len(words) == 2 * names
    assert max(words) < 70


def test_numbers_beside_the_grid_differ() -> None:
    texts = chart_words.told_apart([12345678.25, 12345678.3, 12345678.35])
    assert texts == ["12\u202f345\u202f678.25", "12\u202f345\u202f678.3", "12\u202f345\u202f678.35"]
    assert chart_words.told_apart([0.15000000000000002, 0.2]) == ["0.15", "0.2"]


@pytest.mark.parametrize("days", [7, 30, 365])
def test_days_and_months_begin_where_the_chat_is(days: int) -> None:
    zone = ZoneInfo("America/St_Johns")
    places = chart_words.places_between(END - days * DAY, END, zone)
    assert 3 <= len(places) <= 7
    for at, text in places:
        local = datetime.fromtimestamp(at, zone)
        assert (local.hour, local.minute) == (0, 0)
        assert text in (f"{local.day} {local:%b}", f"{local:%b}", str(local.year))


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
