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
        ("01.02.2020", "mdy", "2020-01-02T00:00:00"),  # dots: the day first, whatever is asked for
        ("3/4/20 12:00 AM", "mdy", "2020-03-04T00:00:00"),
        ("3/4/20 12:30 pm", "mdy", "2020-03-04T12:30:00"),
        ("3/4/20 1:30 p.m.", "mdy", "2020-03-04T13:30:00"),
        ("26-feb-2010", "ymd", "2010-02-26T00:00:00"),
        ("26-Sept-2010 10:00", "ymd", "2010-09-26T10:00:00"),
        ("Jan 5, 2020", "ymd", "2020-01-05T00:00:00"),
        ("01/01/69", "dmy", "1969-01-01T00:00:00"),
        ("01/01/68", "dmy", "2068-01-01T00:00:00"),
        ("  2020-01-01  ", "ymd", "2020-01-01T00:00:00"),
        ("05.01.20 13:00", "dmy", "2020-01-05T13:00:00"),
        ("20200105T130000Z", "ymd", "2020-01-05T13:00:00"),
        ("20200105-130000", "ymd", "2020-01-05T13:00:00"),
        ("20200105 1300", "ymd", "2020-01-05T13:00:00"),
        ("2020010513", "ymd", "2020-01-05T13:00:00"),
        ("202001051300", "ymd", "2020-01-05T13:00:00"),
        ("20200105130000", "ymd", "2020-01-05T13:00:00"),
        ("20200105130000.250", "ymd", "2020-01-05T13:00:00.250000"),
        ("2020-005", "ymd", "2020-01-05T00:00:00"),
        ("2020-005T13:00", "ymd", "2020-01-05T13:00:00"),
        ("2020-366", "ymd", "2020-12-31T00:00:00"),
        ("2020-01", "ymd", "2020-01-01T00:00:00"),
        ("2020M02", "ymd", "2020-02-01T00:00:00"),
        ("02/2020", "ymd", "2020-02-01T00:00:00"),
        ("Feb 2020", "ymd", "2020-02-01T00:00:00"),
    ],
)
def test_a_time_is_read_as(text: str, order: str, expected: str) -> None:
    assert parse_one(text, order) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2020-01-05 13h00",
        "2020-01-05 13h",
        "2020-01-05 13 h 00 min 00 s",
        "2020-01-05 13",
        "2020-01-05T13",
        "2020/01/05-13:00:00",
        "2020-01-05_13:00:00",
        "2020-01-05, 13:00",
        "2020-01-05 - 13:00",
        "2020-01-05\u00a013:00",
        "13:00:00 2020-01-05",
        "5/1/2020 1 PM",
        "05/01/2020 1:00\u202fPM",
        "05/01/2020 1:00 p. m.",
        "05/01/2020, 01:00p",
        "05.01.2020 13.00",
        "05.01.2020 13.00.00",
        "Jan 5, 2020 13:00",
        "January 5, 2020 at 1:00:00 PM",
        "5 January 2020 13:00",
        "05-Jan-20 13:00",
        "2020-Jan-05 13:00",
        "05JAN2020:13:00:00",
        "5. Januar 2020 13:00",
        "5. Jän 2020 13:00",
        "5 janv. 2020 13:00",
        "5 januari 2020 13:00",
        "5 de enero de 2020 13:00",
        "5 ene 2020 13:00",
        "5 gen 2020 13:00",
        "5 janeiro 2020 13:00",
        "Mon Jan  5 13:00:00 2020",
        "Sun Jan 05 13:00:00 2020",
        "Sonntag, 5. Januar 2020 um 13:00",
        "dim. 5 janv. 2020 13:00",
        "Domingo 5 ene 2020 13:00:00",
    ],
)
def test_the_fifth_of_january_at_one_is_read_however_it_is_written(text: str) -> None:
    found = times.parse(pa.array([text]), "dmy")
    assert found.valid[0]
    assert not found.absolute[0]
    assert EPOCH + timedelta(microseconds=int(found.microseconds[0])) == datetime(2020, 1, 5, 13, tzinfo=UTC)
    assert times.looks_like_time(text)
    assert times.has_clock(text)


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2020-01-05T13:00:00.123456789Z", 13),
        ("2020-01-05 13:00:00 GMT", 13),
        ("2020-01-05T13:00:00+01:00[Europe/Berlin]", 12),
        ("2020-06-05 13:00:00 CEST+0200", 11),
        ("2020-06-05 13:00:00 CEST", 11),
        ("2020-01-05 13:00 MEZ", 12),
        ("2020-01-05 13:00:00 UTC+1", 12),
        ("2020-01-05 13:00 GMT-05:30", 18),
        ("Mon, 05 Jan 2020 13:00:00 GMT", 13),
        ("Sun, 05 Jan 2020 13:00:00 +0100", 12),
        ("Sun Jan  5 13:00:00 CET 2020", 12),
        ("Sun Jan 05 2020 13:00:00 GMT+0100 (Central European Standard Time)", 12),
    ],
)
def test_a_time_that_states_its_offset_is_turned_into_utc(text: str, hour: int) -> None:
    found = times.parse(pa.array([text]), "ymd")
    assert found.absolute[0]
    assert int(found.microseconds[0]) % times.DAY // (3600 * times.SECOND) == hour


@pytest.mark.parametrize(
    ("text", "microseconds_of_second"),
    [
        ("2020-01-05 13:00:00.5", 500_000),
        ("2020-01-05 13:00:00,123456789", 123_456),
        ("2020-01-05 13:00:00:500", 500_000),
        ("2020-01-05 13:00:00:000250", 250),
        ("20200105 130000.25", 250_000),
    ],
)
def test_fractions_of_a_second_are_read(text: str, microseconds_of_second: int) -> None:
    moment = parse_one(text)
    assert moment is not None
    assert moment.microsecond == microseconds_of_second


@pytest.mark.parametrize(
    ("names", "month"),
    [
        ("Feb feb FEB Febr. Februar février fevr. fev. febbraio Fevereiro", 2),
        ("Mär Mrz MÄRZ März mars marzo março mrt maart", 3),
        ("avr avril abr abril aprile", 4),
        ("Mai mei mayo mag maggio maj", 5),
        ("Juni juin giu giugno junio Junho", 6),
        ("Juli juil. juillet lug luglio julho", 7),
        ("août aout ago agosto augustus", 8),
        ("Sept. set settembre septiembre setembro", 9),
        ("Okt ott out octubre ottobre outubro octobre", 10),
        ("novembre noviembre", 11),
        ("Dez dic déc. décembre diciembre dezembro", 12),
    ],
)
def test_months_have_names_in_many_languages(names: str, month: int) -> None:
    for name in names.split():
        assert parse_one(f"14 {name} 2020 13:00") == datetime(2020, month, 14, 13, tzinfo=UTC), name


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
        "26-fub-2010",
        "9/08/07",
        "2020-01-01 10:00+25:00",
        "2020-01-01 10:00 or so",
        "2020-01-01 10:00:00:5",
        "2020-01-01 10:00 CST",
        "2020-01-01 10:00 EST",
        "2019-366",
        "2020-000",
        "2020010525",
        "12:00",
        "13.00",
        "٢٠٢٠-٠١-٠١",
        "2020-01-01" + " " * 80,
        "Foo, 05 Jan 2020",
    ],
)
def test_what_is_no_time_is_not_read(text: str) -> None:
    assert parse_one(text) is None


@pytest.mark.parametrize(
    "text",
    """5 13 1300 930 2020 202001 2020005 13.00 1.5 1,5 -3 1e5 2020.5 20.01 1577836800 1577836800000 1577836800.25
    43831.54 12345678 99999999 1234567890 20201301 2020-1 1-2-3 5%""".split(),
)
def test_numbers_do_not_look_like_times(text: str) -> None:
    assert not times.looks_like_time(text)
    assert not times.has_clock(text)


@pytest.mark.parametrize(
    ("text", "is_clock"),
    [(text, True) for text in ("13:00", "1300", "130000", "13:00:00.5", "1:15p", "1:15 PM", "13h00", "13.00.05")]
    + [
        (text, False)
        for text in ("13.00", "13", "930", "5", "", "-5", "13:0", "abc", "2020-01", "13 mm", "9999", "2500", "1360")
    ],
)
def test_a_clock_is_told_from_a_number(text: str, is_clock: bool) -> None:
    assert times.looks_like_clock(text) == is_clock


def test_a_thousand_kinds_of_rubbish_before_it_do_not_hide_a_time() -> None:
    letters = "!#$%&'()*+"
    rubbish = ["".join(some).ljust(10) for some in product(letters, repeat=4)]
    found = times.parse(pa.array([*rubbish, "2020-01-01"]), "ymd")
    assert found.valid.tolist() == [False] * len(rubbish) + [True]


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
