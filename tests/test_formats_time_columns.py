"""Times from several columns, from numbers and by patterns."""

# ruff: noqa: DTZ001 - clock times without a zone are what these files hold
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daybook.formats import times
from daybook.formats.layout import FormatError
from daybook.formats.strptime import check_format
from tests.formats_reading import EPOCH, examples, microseconds


def moment_of(roles: str, *cells: str) -> str | None:
    """The time that one row's cells make, as ISO text; None where they make none."""
    texts = times.join([pa.array([cell]) for cell in cells], roles.split())  # type: ignore[arg-type]
    found = times.parse(texts, "dmy")
    moment = datetime(1970, 1, 1) + timedelta(microseconds=int(found.microseconds[0]))
    return moment.isoformat(" ") if found.valid[0] else None


@pytest.mark.parametrize(
    ("roles", "cells", "expected"),
    [
        ("time", ["05/01/2020 13:00"], "2020-01-05 13:00:00"),
        ("time clock", ["05/01/2020", "13:00"], "2020-01-05 13:00:00"),
        ("time clock", ["05.01.2020", "13.00"], "2020-01-05 13:00:00"),
        ("time clock", [" 20200105 ", " 1300 "], "2020-01-05 13:00:00"),
        ("time clock", ["20200105", "930"], "2020-01-05 09:30:00"),
        ("time clock", ["20200105", "5"], "2020-01-05 00:05:00"),
        ("time clock", ["20200105", "0"], "2020-01-05 00:00:00"),
        ("time clock", ["20200105", "930.0"], "2020-01-05 09:30:00"),
        ("time clock", ["20200105", "93000"], "2020-01-05 09:30:00"),
        ("time clock", ["20200105", "2400"], "2020-01-06 00:00:00"),
        ("time clock", ["1/2/2020", "1:15 PM"], "2020-02-01 13:15:00"),
        ("time clock", ["1/2/2020", "1:15p"], "2020-02-01 13:15:00"),
        ("time clock", ["Jan 5, 2020", "13h00"], "2020-01-05 13:00:00"),
        ("time clock clock", ["1/2/2020", "1:15", "PM"], "2020-02-01 13:15:00"),
        ("time clock clock", ["1/2/2020", "12:00:00 ", "am"], "2020-02-01 00:00:00"),
        ("time time time clock", ["5", "Jan", "2020", "930"], "2020-01-05 09:30:00"),
        ("year month day clock clock", ["2020", "1", "5", "1:15", "p"], "2020-01-05 13:15:00"),
        ("time hour", ["20200105", "    7"], "2020-01-05 07:00:00"),
        ("time hour", ["20200105", "7.0"], "2020-01-05 07:00:00"),
        ("time hour", ["20200105", "24"], "2020-01-06 00:00:00"),
        ("time hour minute", ["2020-01-05", "7", "5"], "2020-01-05 07:05:00"),
        ("year", ["2020"], "2020-01-01 00:00:00"),
        ("year month", ["2020", "2"], "2020-02-01 00:00:00"),
        ("year month day", ["2020", "1", "5"], "2020-01-05 00:00:00"),
        ("year month day", ["2020.0", "01", " 5 "], "2020-01-05 00:00:00"),
        ("year month day", ["99", "1", "5"], "1999-01-05 00:00:00"),
        ("year month day", ["68", "1", "5"], "2068-01-05 00:00:00"),
        ("year month day hour", ["2020", "1", "5", "24"], "2020-01-06 00:00:00"),
        ("year month day hour minute", ["2020", "01", "05", "13", "7"], "2020-01-05 13:07:00"),
        ("year month day hour minute second", ["2020", "1", "5", "13", "7", "9"], "2020-01-05 13:07:09"),
        ("year month day hour minute second", ["2020", "1", "5", "13", "7", "9.25"], "2020-01-05 13:07:09.250000"),
        ("year month day clock", ["2020", "1", "5", "13:07"], "2020-01-05 13:07:00"),
        ("year month day clock", ["2020", "1", "5", "107"], "2020-01-05 01:07:00"),
        ("year month day doy hour", ["2020", "1", "5", "5", "13"], "2020-01-05 13:00:00"),
        ("year doy", ["2020", "60"], "2020-02-29 00:00:00"),
        ("year doy clock", ["2020", "366", "5"], "2020-12-31 00:05:00"),
        ("year doy clock", ["2020", "5", "930"], "2020-01-05 09:30:00"),
        ("year doy clock", ["20", "5", "2400"], "2020-01-06 00:00:00"),
        ("year doy hour minute", ["2020", "5", "13", "30"], "2020-01-05 13:30:00"),
    ],
)
def test_columns_of_a_time_make_one(roles: str, cells: list[str], expected: str) -> None:
    assert moment_of(roles, *cells) == expected


@pytest.mark.parametrize(
    ("roles", "cells"),
    [
        ("time clock", ["20200105", "x"]),
        ("time clock", ["20200105", "1360"]),
        ("time clock", ["20200105", "13.5"]),
        ("time clock", ["", "1300"]),
        ("time hour", ["20200105", "25"]),
        ("time hour", ["20200105", "7.5"]),
        ("time hour", ["20200105", "-1"]),
        ("time hour", ["20200105", ""]),
        ("year month day", ["2019", "13", "40"]),
        ("year month day", ["2019", "2", "29"]),
        ("year month day", ["2020-01-05", "", ""]),
        ("year month day", ["2020", "1", "1.5"]),
        ("year month day", ["120", "1", "5"]),
        ("year month day", ["", "1", "5"]),
        ("year doy", ["2019", "366"]),
        ("year doy", ["2019", "0"]),
        ("year doy clock", ["2019", "5", "abc"]),
        ("year month day hour minute", ["2020", "1", "5", "13", "60"]),
        ("year month day hour minute", ["2020", "1", "5", "24", "1"]),
        ("year month day hour minute second", ["2020", "1", "5", "13", "7", "61"]),
        ("month day", ["1", "5"]),
    ],
)
def test_parts_that_are_no_time_make_none(roles: str, cells: list[str]) -> None:
    assert moment_of(roles, *cells) is None


@given(st.lists(st.datetimes(datetime(1970, 1, 1), datetime(2068, 12, 31)), min_size=1, max_size=50), st.booleans())
@examples(60)
def test_times_that_were_taken_apart_come_back(moments: list[datetime], two_digits: bool) -> None:
    moments = [moment.replace(second=0, microsecond=0) for moment in moments]
    year = [f"{moment:%y}" if two_digits else f"{moment:%Y}" for moment in moments]
    clock = [str(moment.hour * 100 + moment.minute) for moment in moments]
    columns: dict[str, list[str]] = {
        "year month day hour minute": [year, *[[f"{m:%{p}}" for m in moments] for p in "mdHM"]],
        "year doy clock": [year, [f"{m:%j}".lstrip("0") for m in moments], clock],
        "time clock": [[f"{m:%Y%m%d}" for m in moments], clock],
    }  # type: ignore[dict-item]
    expected = [microseconds(moment.replace(tzinfo=UTC)) for moment in moments]
    for roles, texts in columns.items():
        joined = times.join([pa.array(one) for one in texts], roles.split())  # type: ignore[arg-type]
        found = times.parse(joined, "ymd")
        assert found.valid.all()
        assert found.microseconds.tolist() == expected


# --- numbers


@pytest.mark.parametrize(
    ("text", "epoch", "expected"),
    [
        ("1577836800", "s", "2020-01-01T00:00:00"),
        (" 1577836800 ", "s", "2020-01-01T00:00:00"),
        ("1577836800.25", "s", "2020-01-01T00:00:00.250000"),
        ("1577836800,25", "s", "2020-01-01T00:00:00.250000"),
        ("1577836800.1234567", "s", "2020-01-01T00:00:00.123456"),
        ("-1.5", "s", "1969-12-31T23:59:58.500000"),
        ("0", "s", "1970-01-01T00:00:00"),
        ("1577836800123", "ms", "2020-01-01T00:00:00.123000"),
        ("1577836800123.5", "ms", "2020-01-01T00:00:00.123500"),
        ("1577836800123456", "us", "2020-01-01T00:00:00.123456"),
        ("1577836800123456.9", "us", "2020-01-01T00:00:00.123456"),
        ("1577836800123456789", "ns", "2020-01-01T00:00:00.123456"),
        ("43835.5416666667", "excel", "2020-01-05T13:00:00"),
        ("43835", "excel", "2020-01-05T00:00:00"),
        ("43835,75", "excel", "2020-01-05T18:00:00"),
    ],
)
def test_a_number_is_a_time(text: str, epoch: str, expected: str) -> None:
    found = times.parse(pa.array([text]), "ymd", (), epoch)  # type: ignore[arg-type]
    assert found.valid[0]
    assert EPOCH + timedelta(microseconds=int(found.microseconds[0])) == datetime.fromisoformat(expected + "+00:00")
    assert found.absolute[0] == (epoch != "excel")


@pytest.mark.parametrize(
    "text", ["", "x", "2020-01-01", "1e9", "--5", "1.5.5", "9" * 19, "9" * 30, "1577836800 s", "99999999999999"]
)
def test_other_numbers_and_texts_are_no_seconds_since_1970(text: str) -> None:
    assert not times.parse(pa.array([text]), "ymd", (), "s").valid[0]
    assert not times.parse(pa.array([text, None]), "ymd", (), "excel").valid.any()


# --- patterns


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("%d.%m.%Y %H:%M", "05.01.2020 13:00", "2020-01-05T13:00:00"),
        ("%d.%m.%Y %H:%M", " 5.1.2020   13:00 ", "2020-01-05T13:00:00"),
        ("%m/%d/%y %I:%M:%S %p", "1/5/20 1:00:00 pm", "2020-01-05T13:00:00"),
        ("%m/%d/%y %I%p", "1/5/20 12a.m.", "2020-01-05T00:00:00"),
        ("%Y%m%d%H%M%S", "20200105130000", "2020-01-05T13:00:00"),
        ("%Y-%jT%H:%M", "2020-005T13:00", "2020-01-05T13:00:00"),
        ("%y%j %H%M", "20005 1300", "2020-01-05T13:00:00"),
        ("%F %T.%f", "2020-01-05 13:00:00.123456789", "2020-01-05T13:00:00.123456"),
        ("%d %b %Y", "5 Jan 2020", "2020-01-05T00:00:00"),
        ("%A, %d. %B %Y", "Sonntag, 5. März 2020", "2020-03-05T00:00:00"),
        ("%a %b %e %H:%M:%S %Y", "Sun Jan  5 13:00:00 2020", "2020-01-05T13:00:00"),
        ("%Y-%m-%dT%H:%M%z", "2020-01-05T13:00+01:00", "2020-01-05T12:00:00+00:00"),
        ("%Y-%m-%dT%H:%M:%SZ", "2020-01-05T13:00:00Z", "2020-01-05T13:00:00+00:00"),
        ("%Y-%m-%d %H:%M %Z", "2020-01-05 13:00 EST", "2020-01-05T13:00:00"),
        ("%Y-%m-%d %H:%M %Z", "2020-01-05 13:00 UTC", "2020-01-05T13:00:00+00:00"),
        ("Tag %d/%m/%Y um %H Uhr (%%)", "Tag 05/01/2020 um 13 Uhr (%)", "2020-01-05T13:00:00"),
        ("%-d/%-m/%Y", "5/1/2020", "2020-01-05T00:00:00"),
        ("%Y-%m", "2020-01", "2020-01-01T00:00:00"),
        ("%Y", "2020", "2020-01-01T00:00:00"),
        ("%s", "1578229200", "2020-01-05T13:00:00+00:00"),
        ("%d.%m.%Y %H:%M", "05.01.2020 24:00", "2020-01-06T00:00:00"),
        ("%d.%m.%Y %H:%M", "2020-01-05 13:00", None),
        ("%d.%m.%Y %H:%M", "05.13.2020 13:00", None),
        ("%d.%m.%Y", "05.01.2020 13:00", None),
        ("%d %b %Y", "5 Foo 2020", None),
    ],
)
def test_a_pattern_says_how_times_are_written(pattern: str, text: str, expected: str | None) -> None:
    check_format("time_formats[0]", pattern)
    found = times.parse(pa.array([text]), "ymd", (pattern,))
    if expected is None:
        assert not found.valid[0]
        return
    assert found.valid[0]
    moment = EPOCH + timedelta(microseconds=int(found.microseconds[0]))
    assert moment == datetime.fromisoformat(expected if "+" in expected else expected + "+00:00")
    assert found.absolute[0] == ("+" in expected)


def test_patterns_are_tried_in_their_order() -> None:
    texts = pa.array(["01/02/2020", "2020-01-02 05:00", "01.02.2020"])
    found = times.parse(texts, "ymd", ("%m/%d/%Y", "%d/%m/%Y", "%Y-%m-%d %H:%M"))
    assert found.valid.tolist() == [True, True, False]
    days = [EPOCH + timedelta(microseconds=int(one)) for one in found.microseconds]
    assert days[:2] == [datetime(2020, 1, 2, tzinfo=UTC), datetime(2020, 1, 2, 5, tzinfo=UTC)]


@given(st.lists(st.datetimes(datetime(1970, 1, 1), datetime(2068, 12, 31)), min_size=1))
@examples(60)
def test_times_written_by_strftime_are_read_by_the_same_pattern(moments: list[datetime]) -> None:
    for pattern in ("%d.%m.%Y %H:%M:%S.%f", "%I:%M:%S.%f %p %y%m%d", "%j/%Y %H-%M-%S-%f", "%b %d %Y %H.%M.%S,%f"):
        texts = [moment.strftime(pattern) for moment in moments]
        found = times.parse(pa.array(texts), "ymd", (pattern,))
        assert found.valid.all()
        assert found.microseconds.tolist() == [microseconds(moment.replace(tzinfo=UTC)) for moment in moments]


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("%d.%m.%Q", "there is no %Q"),
        ("%d.%m.%Y %", "a % stands at its end"),
        ("", "it has no year"),
        ("%H:%M", "it has no year"),
        ("%d %Y", "it has a day but no month"),
        ("%Y %H:%M", "it has an hour but no day"),
        ("%Y-%m-%d %M", "%M needs an hour"),
        ("%Y-%m-%d %H:%S", "%S needs %M"),
        ("%Y-%m-%d %H:%M.%f", "%f needs %S"),
        ("%Y-%m-%d %I:%M", "%I and %p go together"),
        ("%Y-%m-%d %H:%M %p", "%I and %p go together"),
        ("%Y-%m-%d %Y", "%Y stands in it twice"),
        ("%Y %y-%m-%d", "%Y and %y say the same"),
        ("%Y-%m-%d %j", "%m and %j say the same"),
        ("20%y-%m-%d", "digits in it cannot be told"),
        ("%s %Y", "%s is the whole time"),
    ],
)
def test_what_is_no_pattern_is_refused_with_the_reason_and_what_is_known(pattern: str, reason: str) -> None:
    with pytest.raises(FormatError) as caught:
        check_format("time_formats[0]", pattern)
    assert caught.value.code == "bad_layout"
    assert reason in str(caught.value)
    assert "time_formats[0]" in str(caught.value)
    assert "%Y" in caught.value.hint


@given(st.text("%YymbBdejHIMSfpzZaAsFTDRntkQ-./: TZ0", max_size=12), st.text("0123456789-/.: TZapm+", max_size=20))
@examples(200)
def test_any_pattern_is_refused_or_reads_texts_without_an_exception(pattern: str, text: str) -> None:
    try:
        check_format("time_formats[0]", pattern)
    except FormatError:
        return
    times.parse(pa.array([text]), "ymd", (pattern,))
