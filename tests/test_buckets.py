"""Widths and edges, and that both databases put every reading into the same bucket as plain Python does."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from math import isclose

import numpy as np
import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Connection

from daybook import sql
from daybook.buckets import Bucket, BucketError, read_bucket, suiting
from daybook.extensions import db
from daybook.readings import Reader
from daybook.times import EARLIEST, LATEST, TimeError, iso, iso_column, read_moment, read_range, zone_named

DUBLIN = zone_named("Europe/Dublin")
ZONES = ["UTC", "Europe/Dublin", "America/Havana", "America/St_Johns", "Pacific/Apia", "Asia/Kolkata", "Africa/Cairo"]
WIDTHS = ["1s", "7s", "10min", "1h", "6h", "1d", "3d", "1w", "1mo", "5mo", "1y"]


def edges(bucket: Bucket, first: str, last: str) -> list[str]:
    """The edges as local dates and times with their offset."""
    return [iso(edge, bucket.zone) for edge in bucket.edges(read_moment(first), read_moment(last))]


@pytest.mark.parametrize("text", [*"5x 0h 1 h -1h 1.5h 1H 1month ٣h 2000y 9999999h".split(), "", "1 h", "1h\n"])
def test_what_is_no_width(text: str) -> None:
    with pytest.raises(BucketError, match="bucket"):
        read_bucket(text)


def test_a_wrong_width_says_what_to_write() -> None:
    with pytest.raises(BucketError) as error:
        read_bucket("5x")
    assert str(error.value) == (
        'bucket "5x" is not a width; write a number and s, min, h, d, w, mo or y, such as 1h, or auto'
    )


def test_days_of_23_and_25_hours() -> None:
    assert edges(read_bucket("1d", DUBLIN), "2024-03-31T12:00", "2024-03-31T12:00") == [
        "2024-03-31T00:00:00+00:00",
        "2024-04-01T00:00:00+01:00",
    ]
    start, end = read_bucket("1d", DUBLIN).edges(read_moment("2024-10-27T12:00"), read_moment("2024-10-27T12:00"))
    assert end - start == 25 * 3600 * 1_000_000


def test_both_ends_of_a_month_belong_to_the_zone() -> None:
    """July begins and ends at 23:00 UTC in Dublin."""
    july = edges(read_bucket("1mo", DUBLIN), "2024-06-30T23:00", "2024-07-31T22:59:59.999999")
    assert july == ["2024-07-01T00:00:00+01:00", "2024-08-01T00:00:00+01:00"]
    assert len(edges(read_bucket("1mo", DUBLIN), "2024-06-30T22:59:59.999999", "2024-07-31T23:00")) == 4


def test_weeks_begin_on_monday() -> None:
    (start, _) = edges(read_bucket("1w"), "2024-02-29", "2024-02-29")
    assert start == "2024-02-26T00:00:00Z"


def test_a_day_that_a_zone_skipped_is_no_bucket() -> None:
    """Samoa went from 29 to 31 December 2011."""
    days = edges(read_bucket("1d", zone_named("Pacific/Apia")), "2011-12-29T12:00", "2011-12-31T12:00")
    assert [day[:10] for day in days] == ["2011-12-29", "2011-12-31", "2012-01-01", "2012-01-02"]


def test_auto_takes_the_narrowest_width_that_fits() -> None:
    day = read_moment("2024-03-01"), read_moment("2024-03-02") - 1
    assert str(suiting(*day, 24)) == "1h"
    assert str(suiting(*day, 23)) == "2h"
    assert str(suiting(*day, 100_000)) == "1s"
    assert str(suiting(EARLIEST, LATEST, 10)) == "1000y"


@given(st.integers(EARLIEST, LATEST), st.integers(EARLIEST, LATEST), st.integers(11, 5000), st.sampled_from(ZONES))
def test_auto_never_needs_more_buckets_than_points(one: int, other: int, points: int, zone: str) -> None:
    first, last = sorted((one, other))
    bucket = suiting(first, last, points, zone_named(zone))
    assert bucket.covering(first, last) <= points


@given(st.integers(EARLIEST, LATEST), st.sampled_from(WIDTHS), st.sampled_from(ZONES))
def test_every_moment_is_in_the_bucket_of_its_number(at: int, width: str, zone: str) -> None:
    bucket = read_bucket(width, zone_named(zone))
    number = bucket.number(at)
    assert bucket.start(number) <= at < bucket.start(number + 1)
    assert list(bucket.edges(at, at)) == [bucket.start(number), bucket.start(number + 1)]


# --- times ---


@settings(deadline=None)
@given(
    st.sampled_from([EARLIEST + 10**11, 0, read_moment("1916-01-01"), read_moment("2024-01-01"), LATEST - 10**16]),
    st.lists(st.integers(0, 10**15), max_size=6),
    st.sampled_from(ZONES),
)
def test_a_column_of_times_reads_like_each_of_them(start: int, offsets: list[int], zone: str) -> None:
    times = [start + offset for offset in offsets]
    column = iso_column(np.array(times, np.int64), zone_named(zone))
    assert column.to_pylist() == [iso(at, zone_named(zone)) for at in times]
    assert [read_moment(text) for text in column.to_pylist()] == times


def test_times_without_an_offset_are_read_in_the_zone() -> None:
    assert read_moment("2024-07-01", DUBLIN) == read_moment("2024-06-30T23:00Z")
    assert read_moment("2024-07-01T00:00:00+02:00", DUBLIN) == read_moment("2024-06-30T22:00Z")
    assert read_moment("2024-07-01T00:00:00 02:00") == read_moment("2024-06-30T22:00Z")  # a plus that an address lost


@pytest.mark.parametrize("text", ["", "31/02", "2024-02-30", "yesterday", "2024-13-01", "0001-01-01T00:00+14:00"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(TimeError, match=f'"{text}"'.replace("+", r"\+")):
        read_moment(text)


def test_a_range_the_wrong_way_round() -> None:
    with pytest.raises(TimeError, match='from "2024-02-01" is later than to "2024-01-01"'):
        read_range("2024-02-01", "2024-01-01")
    first, last = read_range("2024-02-01", "2024-02-01")
    assert last < first


@pytest.mark.parametrize("name", ["Mars/Base", "../etc/passwd", "Europe", "", "CEST+\0"])
def test_what_is_no_zone(name: str) -> None:
    with pytest.raises(TimeError, match="is not a time zone"):
        zone_named(name)


# --- on the databases ---


def plain_start(at: int, width: str, zone: str) -> int:
    """When the bucket of that moment begins: by the calendar of the zone, or counted from 3 January 2000."""
    unit = width.lstrip("0123456789")
    count = int(width.removesuffix(unit))
    lengths = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 604800}
    local = sql.moment(at).astimezone(zone_named(zone))
    if unit in ("mo", "y"):
        months = count * (12 if unit == "y" else 1)
        month = ((local.year - 2000) * 12 + local.month - 1) // months * months
        day = date(2000 + month // 12, month % 12 + 1, 1)
    elif unit in ("d", "w"):
        days = count * (7 if unit == "w" else 1)
        day = date(2000, 1, 3) + timedelta(days=(local.date() - date(2000, 1, 3)).days // days * days)
    else:
        origin = sql.microseconds(datetime(2000, 1, 3, tzinfo=UTC))
        return at - (at - origin) % (count * lengths[unit] * 1_000_000)
    return sql.microseconds(datetime(day.year, day.month, day.day, tzinfo=zone_named(zone)))


@contextmanager
def readings_in(app: Flask, readings: dict[int, float]) -> Iterator[Connection]:
    """A connection on which sensor 1 has these readings, until it is closed."""
    with app.app_context(), db.engine.connect() as connection:
        rows = [{"sensor_id": 1, "time": sql.moment(at), "value": value} for at, value in readings.items()]
        table = sa.table("reading", sa.column("sensor_id"), sa.column("time", sql.ReadingTime), sa.column("value"))
        connection.execute(sa.insert(table), rows)
        yield connection
        connection.rollback()


# Few different quarters, because every one makes a chunk; the beginning of the count, and both changes of a clock.
moments = st.one_of(
    st.integers(read_moment("1999-12-25"), read_moment("2000-01-10")),
    st.integers(read_moment("2024-03-01"), read_moment("2024-04-10")),
    st.integers(0, 400).map(lambda hours: read_moment("2024-03-25") + hours * 3600 * 1_000_000),
    st.integers(0, 400).map(lambda hours: read_moment("2024-10-20") + hours * 3600 * 1_000_000 - 1),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    readings=st.dictionaries(moments, st.floats(-1e9, 1e9, allow_subnormal=False), min_size=1, max_size=40),
    width=st.sampled_from(["1min", "6h", "1d", "3d", "1w", "1mo", "5mo", "1y"]),
    zone=st.sampled_from(["UTC", "Europe/Dublin", "America/Havana", "Asia/Kolkata"]),
    size=st.sampled_from([1, 7, 50_000]),
)
def test_buckets_are_the_same_everywhere(
    app: Flask, readings: dict[int, float], width: str, zone: str, size: int
) -> None:
    expected: dict[int, list[float]] = {}
    for at in sorted(readings):
        expected.setdefault(plain_start(at, width, zone), []).append(readings[at])
    with readings_in(app, readings) as connection:
        blocks = list(Reader(connection).bucketed(1, read_bucket(width, zone_named(zone)), size=size))
    rows = [row for b in blocks for row in zip(b.times, b.least, b.most, b.mean, b.sum, b.count, strict=True)]
    assert [int(row[0]) for row in rows] == list(expected)
    for (_, least, most, mean, total, count), values in zip(rows, expected.values(), strict=True):
        assert (least, most, count) == (min(values), max(values), len(values))
        assert isclose(total, sum(values), rel_tol=1e-9, abs_tol=1e-3)
        assert isclose(mean, sum(values) / len(values), rel_tol=1e-9, abs_tol=1e-3)


def test_sums_beyond_a_double_do_not_stop_a_chart(app: Flask) -> None:
    at = read_moment("2024-01-01")
    with readings_in(app, {at: 1.7e308, at + 1: 1.7e308, at + 2: 5e-324}) as connection:
        (block,) = Reader(connection).bucketed(1, read_bucket("1d"))
    assert block.sum.tolist() == [float("inf")]
    assert isclose(block.mean[0], 1.7e308 / 3 * 2)


def test_the_ends_of_time(app: Flask) -> None:
    with readings_in(app, {EARLIEST: 1.0, LATEST: 2.0}) as connection:
        reader = Reader(connection)
        assert reader.span(1) == (EARLIEST, LATEST)
        for width in ("1h", "7d", "1mo", "1000y"):
            for zone in ("UTC", "Europe/Dublin", "Pacific/Apia"):
                found = list(reader.bucketed(1, read_bucket(width, zone_named(zone))))
                assert sum(int(block.count.sum()) for block in found) == 2, (width, zone)
