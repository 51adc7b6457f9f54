"""Whole columns of times, by the shape of their text, give what a plain reading of each text gives."""

# ruff: noqa: DTZ001 - clock times without a zone are what these files hold
from datetime import UTC, datetime, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daybook.formats import times
from daybook.formats.layout import FormatError
from tests.formats_reading import EPOCH, examples, microseconds

PATTERNS = {
    "%Y-%m-%d %H:%M:%S": "ymd",
    "%Y-%m-%dT%H:%M:%S.%f": "ymd",
    "%Y/%m/%d %H:%M": "ymd",
    "%Y%m%d %H%M": "ymd",
    "%Y%m%d%H%M%S": "ymd",
    "%Y%m%dT%H%M%S": "ymd",
    "%d/%m/%Y %H:%M:%S": "dmy",
    "%d.%m.%y %H:%M": "dmy",
    "%m/%d/%y %I:%M:%S %p": "mdy",
    "%m-%d-%Y": "mdy",
    "%d-%b-%Y %H:%M": "dmy",
    "%d %B %Y %H:%M": "dmy",
    "%B %d, %Y %H:%M": "mdy",
    "%y/%m/%d %H:%M": "ymd",
    "%d/%m/%Y:%H:%M:%S": "dmy",
}


def parse_one(text: str, order: str = "ymd") -> datetime | None:
    """The time that a text is read as, in UTC; None where it is not read."""
    found = times.parse(pa.array([text]), order)
    return EPOCH + timedelta(microseconds=int(found.microseconds[0])) if found.valid[0] else None


@given(st.lists(st.datetimes(datetime(1970, 1, 1), datetime(2068, 12, 31)), min_size=1), st.sampled_from([*PATTERNS]))
@examples(100)
def test_a_column_of_times_is_read_as_strptime_reads_each(moments: list[datetime], pattern: str) -> None:
    texts = [moment.strftime(pattern) for moment in moments]
    found = times.parse(pa.array(texts), PATTERNS[pattern])
    expected = [microseconds(datetime.strptime(text, pattern).replace(tzinfo=UTC)) for text in texts]
    assert found.valid.all()
    assert not found.absolute.any()
    assert found.microseconds.tolist() == expected


@given(st.lists(st.text("0123456789-/.: TZAPMapmJanF+", max_size=24)))
@examples(100)
def test_anything_at_all_is_read_or_not_but_never_raises_and_never_depends_on_its_neighbours(texts: list[str]) -> None:
    for order in ("ymd", "dmy", "mdy"):
        found = times.parse(pa.array(texts, pa.string()), order)
        for row, text in enumerate(texts):
            alone = times.parse(pa.array([text]), order)
            assert (found.valid[row], found.microseconds[row]) == (alone.valid[0], alone.microseconds[0])


@given(st.integers(-50, 150), st.integers(-50, 150), st.integers(1000, 9998), st.sampled_from(["dmy", "mdy"]))
@examples(300)
def test_only_days_of_the_calendar_are_valid(first: int, second: int, year: int, order: str) -> None:
    text = f"{abs(first):02}/{abs(second):02}/{year}"
    day, month = (first, second) if order == "dmy" else (second, first)
    try:
        expected = datetime(year, abs(month), abs(day), tzinfo=UTC)
    except ValueError:
        expected = None
    assert parse_one(text, order) == expected


@pytest.mark.parametrize(
    ("text", "order", "expected"),
    [
        ("2020-02-29", "ymd", "2020-02-29T00:00:00"),
        ("2020-01-01 24:00", "ymd", "2020-01-02T00:00:00"),
        ("2020-12-31 24:00:00", "ymd", "2021-01-01T00:00:00"),
        ("20200101 2400", "ymd", "2020-01-02T00:00:00"),
        ("2020-01-01T10:00:00Z", "ymd", "2020-01-01T10:00:00"),
        ("2020-01-01T10:00:00+01:00", "ymd", "2020-01-01T09:00:00"),
        ("2020-01-01T10:00:00-0530", "ymd", "2020-01-01T15:30:00"),
        ("2020-01-01 10:00:00 UTC", "ymd", "2020-01-01T10:00:00"),
        ("2020-01-01 10:00:00.123456789", "ymd", "2020-01-01T10:00:00.123456"),
        ("2020-01-01 10:00:00,5", "ymd", "2020-01-01T10:00:00.500000"),
        ("1/2/2020 5:07", "dmy", "2020-02-01T05:07:00"),
        ("1/2/2020 5:07", "mdy", "2020-01-02T05:07:00"),
        ("01.02.2020", "mdy", "2020-02-01T00:00:00"),  # dots: the day first, whatever is asked for
        ("3/4/20 12:00 AM", "mdy", "2020-03-04T00:00:00"),
        ("3/4/20 12:30 pm", "mdy", "2020-03-04T12:30:00"),
        ("3/4/20 1:30 p.m.", "mdy", "2020-03-04T13:30:00"),
        ("26-feb-2010", "ymd", "2010-02-26T00:00:00"),
        ("26-Sept-2010 10:00", "ymd", "2010-09-26T10:00:00"),
        ("Jan 5, 2020", "ymd", "2020-01-05T00:00:00"),
        ("01/01/69", "dmy", "1969-01-01T00:00:00"),
        ("01/01/68", "dmy", "2068-01-01T00:00:00"),
        ("  2020-01-01  ", "ymd", "2020-01-01T00:00:00"),
    ],
)
def test_a_time_is_read_as(text: str, order: str, expected: str) -> None:
    assert parse_one(text, order) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2019-02-29",
        "2020-13-01",
        "2020-00-10",
        "2020-01-01 24:01",
        "2020-01-01 25:00",
        "2020-01-01 10:60",
        "2020-01-01 10:00:60",
        "2020-01-01 13:00 PM",
        "0001-01-01",
        "9999-12-31",
        "2020-01/01",
        "26-fev-2010",
        "9/08/07",
        "2020-01-01 10:00+25:00",
        "2020-01-01 10:00 or so",
        "12:00",
        "٢٠٢٠-٠١-٠١",
        "2020-01-01" + " " * 60,
    ],
)
def test_what_is_no_time_is_not_read(text: str) -> None:
    assert parse_one(text) is None


def test_a_thousand_kinds_of_rubbish_before_it_do_not_hide_a_time() -> None:
    letters = "!#$%&'()*+"
    rubbish = ["".join(some).ljust(10) for some in product(letters, repeat=4)]
    found = times.parse(pa.array([*rubbish, "2020-01-01"]), "ymd")
    assert found.valid.tolist() == [False] * len(rubbish) + [True]


def test_a_clock_without_its_zeros_and_an_hour_alone_join_their_date() -> None:
    dates = pa.array(["20200101"] * 4)
    assert times.join([dates, pa.array(["0", "30", "930", "1230"])]).to_pylist() == [
        f"20200101 {clock}" for clock in ("0000", "0030", "0930", "1230")
    ]
    assert times.join([dates, pa.array([" 1", "24", "7 ", "x"])], hours_only=True).to_pylist()[:3] == [
        f"20200101 {clock}" for clock in ("1:00", "24:00", "7:00")
    ]


# --- zones


@pytest.mark.parametrize(
    ("name", "hours"), [("UTC", 0), ("Z", 0), ("GMT+1", 1), ("utc-05:30", -5.5), ("+0200", 2), (" +01:00 ", 1)]
)
def test_an_offset_is_a_zone(name: str, hours: float) -> None:
    assert times.zone(name).utcoffset(None) == timedelta(hours=hours)


@pytest.mark.parametrize("name", ["Europe", "Mars/Base", "../etc/passwd", "", "+99:00", "+01:75", "a" * 300, "x\0y"])
def test_what_is_no_zone_is_refused_with_a_remedy(name: str) -> None:
    with pytest.raises(FormatError, match="is not a time zone that Daybook knows") as caught:
        times.zone(name)
    assert "Europe/Dublin" in caught.value.hint


def localize(zone: str, texts: list[str], **more: object) -> list[str | None]:
    stamps = times.parse(pa.array(texts), "ymd")
    micros, exists = times.Localizer(zone)(stamps.microseconds, **more)  # type: ignore[arg-type]
    return [
        f"{EPOCH + timedelta(microseconds=int(time)):%H:%M}" if valid else None
        for time, valid in zip(micros, exists, strict=True)
    ]


def test_the_hour_that_comes_twice_is_read_in_the_order_of_the_rows() -> None:
    clocks = ["00:30", "01:00", "01:30", "01:00", "01:30", "02:00"]
    utc = ["23:30", "00:00", "00:30", "01:00", "01:30", "02:00"]
    texts = [f"2020-10-25 {clock}" for clock in clocks]
    assert localize("Europe/Dublin", texts) == utc
    assert localize("Europe/Dublin", texts[::-1]) == utc[::-1]


def test_hourly_readings_repeat_the_same_time_when_the_clocks_go_back() -> None:
    texts = [f"2020-10-25 {clock}" for clock in ("00:00", "01:00", "01:00", "02:00")]
    assert localize("Europe/Dublin", texts) == ["23:00", "00:00", "01:00", "02:00"]


def test_each_sensor_of_a_narrow_file_has_its_own_hour_that_comes_twice() -> None:
    texts = [f"2020-10-25 {clock}" for clock in ("01:00:05", "01:00:03", "01:30:05", "01:30:03", "01:00:05")]
    sensor_of = np.array([0, 1, 0, 1, 0])
    found = localize("Europe/Dublin", texts, sensor_of=sensor_of, sensors=["a", "b"])
    assert found == ["00:00", "00:00", "00:30", "00:30", "01:00"]


def test_an_hour_that_the_clocks_jump_over_does_not_exist() -> None:
    texts = [f"2020-03-29 {clock}" for clock in ("00:59", "01:00", "01:59", "02:00")]
    assert localize("Europe/Dublin", texts) == ["00:59", None, None, "01:00"]


@given(st.lists(st.datetimes(datetime(1900, 1, 1), datetime(2037, 1, 1)), min_size=1), st.integers(0, 5))
@examples(60)
def test_times_that_come_once_are_turned_into_utc_as_zoneinfo_does(moments: list[datetime], which: int) -> None:
    name = ["Europe/Dublin", "America/St_Johns", "Asia/Kathmandu", "Africa/Cairo", "Pacific/Apia", "Cuba"][which]
    zone = ZoneInfo(name)
    once = [
        moment
        for moment in moments
        if moment.replace(tzinfo=zone, fold=0).utcoffset() == moment.replace(tzinfo=zone, fold=1).utcoffset()
    ]
    local = np.array([microseconds(moment.replace(tzinfo=UTC)) for moment in once], np.int64)
    utc, exists = times.Localizer(name)(local)
    assert exists.all()
    # ZoneInfo's offsets before standard time have seconds.
    assert utc.tolist() == [microseconds(moment.replace(tzinfo=zone)) for moment in once]


def test_the_state_lets_the_same_rows_be_read_twice() -> None:
    local = times.parse(pa.array([f"2020-10-25 {clock}" for clock in ("01:00", "01:30", "01:00")]), "ymd").microseconds
    localizer = times.Localizer("Europe/Dublin")
    before = localizer.state
    first = localizer(local)[0].tolist()
    localizer.state = before
    assert localizer(local)[0].tolist() == first


def test_bare_digits_are_times_only_where_they_can_be_a_date() -> None:
    assert times.looks_like_time("20200101")
    assert not times.looks_like_time("202001")
    assert times.looks_like_clock("13:00")
    assert not times.looks_like_clock("13")
