"""The Reader: lists, latest readings, ranges; that unfinished uploads are invisible; that streams let go."""

import csv
import io
import json
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.engine import Engine

from daybook import charts, exports, sql
from daybook.buckets import read_bucket
from daybook.exports import Export
from daybook.extensions import db
from daybook.models import Reading, Sensor, Source, Upload
from daybook.readings import NotFound, open_reader
from daybook.times import iso, read_moment, zone_named

MINUTE = 60 * 1_000_000
START = read_moment("2024-01-01")

Put = Callable[..., int]


@pytest.fixture
def engine(app: Flask) -> Iterator[Engine]:
    with app.app_context():
        yield db.engine


@pytest.fixture
def put(engine: Engine) -> Put:
    """put("Mast", "Temp", {"2024-01-01": 1.5}) stores readings, and makes what they need; returns the sensor's id."""

    def store(source: str, name: str, readings: dict[str, float], upload_id: int | None = None, **more: str) -> int:
        with engine.begin() as connection:
            source_id = connection.scalar(sa.select(Source.id).where(Source.name == source))
            if source_id is None:
                source_id = connection.execute(sa.insert(Source).values(name=source)).inserted_primary_key[0]
            of_that_name = sa.select(Sensor.id).where(Sensor.source_id == source_id, Sensor.name == name)
            sensor_id = connection.scalar(of_that_name)
            if sensor_id is None:
                row = {"source_id": source_id, "name": name, "reading_count": len(readings)} | more
                sensor_id = connection.execute(sa.insert(Sensor).values(row)).inserted_primary_key[0]
            rows = [
                {
                    "sensor_id": sensor_id,
                    "time": sql.moment(read_moment(at)),
                    "value": value,
                    "upload_id": upload_id,
                }
                for at, value in readings.items()
            ]
            if rows:
                connection.execute(sa.insert(Reading), rows)
            return int(sensor_id)

    return store


def upload(engine: Engine, status: str) -> int:
    with engine.begin() as connection:
        statement = sa.insert(Upload).values(filename="a.csv", status=status)
        return int(connection.execute(statement).inserted_primary_key[0])


def text(engine: Engine, export: Export) -> str:
    return b"".join(exports.stream(engine, export)).decode()


# --- lists ---


def test_sensors_come_by_source_and_name_a_page_at_a_time(engine: Engine, put: Put) -> None:
    for source in ("b", "a", "B"):
        for name in ("2", "10", "ä", "Z"):
            put(source, name, {})
    with open_reader(engine) as reader:
        assert reader.sources() == ["B", "a", "b"]
        everything = [(row.source, row.name) for row in reader.sensors().sensors]
        assert everything == sorted(everything)
        paged, after = [], None
        while True:
            page = reader.sensors(after=after, limit=5)
            paged += [(row.source, row.name) for row in page.sensors]
            after = page.next
            if after is None:
                break
        assert paged == everything
        assert [row.name for row in reader.sensors("a").sensors] == ["10", "2", "Z", "ä"]


def test_search_takes_wildcards_as_they_are(engine: Engine, put: Put) -> None:
    put("Mast", "100%", {})
    put("Mast", "Wind_1", {}, label="Speed at 80 m")
    with open_reader(engine) as reader:
        for search, found in {"%": ["100%"], "_": ["Wind_1"], "SPEED": ["Wind_1"], "mast": ["100%", "Wind_1"]}.items():
            assert [row.name for row in reader.sensors(search=search).sensors] == found
        assert reader.sensors(search="a\0b").sensors == []


def test_what_does_not_exist_is_named(engine: Engine, put: Put) -> None:
    put("Mast", "Temp", {})
    with open_reader(engine) as reader:
        for call, message in [
            (lambda: reader.sensors("Mist"), 'there is no source "Mist"'),
            (lambda: reader.sensors("a\0"), "there is no source"),
            (lambda: reader.chosen("Mast", ["Temp", "Tamp"]), 'source "Mast" has no sensor "Tamp"'),
            (lambda: reader.chosen(None, ["Tamp"]), 'there is no sensor "Tamp"'),
            (lambda: reader.sensor(99), "there is no sensor 99"),
            (lambda: reader.sensors(after=99), "there is no sensor 99"),
        ]:
            with pytest.raises(NotFound, match=message):
                call()


def test_latest_and_span(engine: Engine, put: Put) -> None:
    first = put("Mast", "Temp", {"2020-01-01": 1, "2024-05-01T10:00": 2.5})
    empty = put("Mast", "None", {})
    with open_reader(engine) as reader:
        latest = reader.latest([first, empty])
        assert list(latest) == [first]
        assert (iso(latest[first].time), latest[first].value) == ("2024-05-01T10:00:00Z", 2.5)
        assert reader.latest([]) == {}
        assert reader.span(first) == (read_moment("2020-01-01"), read_moment("2024-05-01T10:00"))
        assert reader.span(empty) is None
        assert reader.spans([first, empty]) == reader.span(first)


# --- an import is whole or it is not there ---


@pytest.mark.parametrize("status", ["importing", "removing"])
def test_readings_of_an_unfinished_upload_are_nowhere(engine: Engine, put: Put, status: str) -> None:
    done, unfinished = upload(engine, "done"), upload(engine, status)
    sensor_id = put("Mast", "Temp", {"2024-01-01T00:00": 1}, done)
    put("Mast", "Temp", {"2024-01-01T00:01": 2})
    put("Mast", "Temp", {"2023-01-01": 100, "2024-01-01T00:02": 100}, unfinished)
    with open_reader(engine) as reader:
        (sensor,) = reader.chosen("Mast", ["Temp"])
        assert reader.latest([sensor_id])[sensor_id].value == 2
        assert reader.span(sensor_id) == (START, START + MINUTE)
        assert not reader.holds_more_than(2, sensor_id, START, START + 10 * MINUTE)
        (raw,) = reader.raw(sensor_id)
        assert raw.values.tolist() == [1, 2]
        for width in ("1h", "1mo"):
            (block,) = reader.bucketed(sensor_id, read_bucket(width))
            assert (block.most.tolist(), block.count.tolist()) == ([2], [2])
    assert "100" not in text(engine, Export([sensor]))


def test_an_upload_that_ends_while_we_read_stays_invisible(engine: Engine, put: Put) -> None:
    importing = upload(engine, "importing")
    sensor_id = put("Mast", "Temp", {"2024-01-01": 1}, importing)
    with open_reader(engine) as reader:
        with engine.begin() as connection:
            connection.execute(sa.update(Upload).values(status="done"))
        assert reader.span(sensor_id) is None
    with open_reader(engine) as reader:
        assert reader.span(sensor_id) == (START, START)


# --- ranges ---


def test_a_range_holds_both_its_ends_and_blocks_join_without_a_seam(engine: Engine, put: Put) -> None:
    sensor_id = put("Mast", "Temp", {f"2024-01-01T00:{minute:02}": minute for minute in range(10)})
    with open_reader(engine) as reader:
        for size in (1, 3, 10, 11):
            blocks = list(reader.raw(sensor_id, START + 2 * MINUTE, START + 8 * MINUTE, size))
            assert max(len(block.times) for block in blocks) <= size
            assert np.concatenate([block.values for block in blocks]).tolist() == [2, 3, 4, 5, 6, 7, 8]
        assert reader.holds_more_than(6, sensor_id, START + 2 * MINUTE, START + 8 * MINUTE)
        assert not reader.holds_more_than(7, sensor_id, START + 2 * MINUTE, START + 8 * MINUTE)


def test_a_bucket_at_the_edge_of_a_range_counts_only_what_lies_within(engine: Engine, put: Put) -> None:
    sensor_id = put("Mast", "Temp", {f"2024-01-01T00:{minute:02}": minute for minute in range(10)})
    for zone in ("UTC", "Europe/Dublin"):
        with open_reader(engine) as reader:
            days = read_bucket("1d", zone_named(zone))
            (block,) = reader.bucketed(sensor_id, days, START + MINUTE, START + 3 * MINUTE)
        assert (block.times.tolist(), block.sum.tolist(), block.count.tolist()) == ([START], [6], [3])


def test_a_chart_has_readings_while_they_are_few_and_buckets_then(engine: Engine, put: Put) -> None:
    put("Mast", "Temp", {f"2024-01-01T00:{minute:02}": minute for minute in range(10)})
    put("Mast", "Rain", {f"2024-01-01T00:{minute:02}": 1 for minute in range(10)}, kind="amount")
    with open_reader(engine) as reader:
        rain, temp = reader.chosen("Mast", [])
        few = reader.points(temp, START, START + 9 * MINUTE, 10)
        assert (few.bucket, few.mean.tolist()) == ("", list(range(10)))
        many = reader.points(temp, START, START + 9 * MINUTE, 5)
        assert (many.bucket, many.mean.tolist()) == ("2min", [0.5, 2.5, 4.5, 6.5, 8.5])
        assert reader.points(rain, START, START + 9 * MINUTE, 600).bucket == "10s"
        assert len(reader.points(temp, 0, 1, 5)) == len(reader.points(rain, 0, 1, 5)) == 0


# --- exports ---


def test_values_and_names_come_back_as_they_were(engine: Engine, put: Put) -> None:
    values = [8.37, 0.1 + 0.2, 1e-7, -0.0, 1e22, 5e-324, 1.7976931348623157e308, 3.0, 123456789.123456789]
    put('A, "b"\nc', "=1+1", {f"2024-01-01T00:{n:02}": value for n, value in enumerate(values)})
    with open_reader(engine) as reader:
        sensors = reader.chosen(None, [])
    rows = list(csv.DictReader(io.StringIO(text(engine, Export(sensors)))))
    assert {(row["source"], row["sensor"]) for row in rows} == {('A, "b"\nc', "=1+1")}
    assert [float(row["value"]) for row in rows] == values
    document = json.loads(text(engine, Export(sensors, format="json")))
    assert [row["value"] for row in document["readings"]] == values
    lines = text(engine, Export(sensors, format="ndjson")).splitlines()
    assert [json.loads(line) for line in lines] == document["readings"]


def test_nothing_to_export_is_still_a_document(engine: Engine, put: Put) -> None:
    put("Mast", "Temp", {})
    with open_reader(engine) as reader:
        sensors = reader.chosen(None, [])
    assert text(engine, Export(sensors)) == "source,sensor,time,value\n"
    assert text(engine, Export(sensors, wide=True)) == "time,Temp\n"
    assert text(engine, Export(sensors, format="json")).split() == ['{"readings":', "[", "]}"]
    assert text(engine, Export([], wide=True)) == "time\n"


@pytest.mark.parametrize("size", [1, 2, 500])
def test_wide_rows_are_merged_by_time(engine: Engine, put: Put, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(exports, "_block_size", lambda export: size)
    put("Mast", "a", {"2024-01-01T00:00": 1, "2024-01-01T00:01": 2, "2024-01-01T00:05": 3})
    put("Mast", "b", {"2024-01-01T00:01": 20, "2024-01-01T00:02:00.5": 30})
    put("Mast", "c", {})
    with open_reader(engine) as reader:
        sensors = reader.chosen("Mast", [])
    assert text(engine, Export(sensors, wide=True)).splitlines() == [
        "time,a,b,c",
        "2024-01-01T00:00:00Z,1,,",
        "2024-01-01T00:01:00Z,2,20,",
        "2024-01-01T00:02:00.500000Z,,30,",
        "2024-01-01T00:05:00Z,3,,",
    ]


def test_a_stream_that_is_given_up_gives_its_connection_back(engine: Engine, put: Put) -> None:
    put("Mast", "Temp", {"2024-01-01": 1})
    with open_reader(engine) as reader:
        sensors = reader.chosen(None, [])
    before = engine.pool.checkedout()  # type: ignore[attr-defined]
    stream = exports.stream(engine, Export(sensors))
    next(stream)
    assert engine.pool.checkedout() == before + 1  # type: ignore[attr-defined]
    stream.close()  # type: ignore[attr-defined]
    assert engine.pool.checkedout() == before  # type: ignore[attr-defined]


def test_writers_go_on_while_a_stream_is_read(engine: Engine, put: Put) -> None:
    put("Mast", "Temp", {"2024-01-01": 1})
    with open_reader(engine) as reader:
        sensors = reader.chosen(None, [])
    stream = exports.stream(engine, Export(sensors))
    next(stream)
    put("Mast", "Temp", {"2024-01-02": 2})
    assert b"2024-01-02" not in b"".join(stream)
    assert sql.writes_expected.get()


# --- charts ---


def points(times: list[int], bucket: str = "", width: int = 0) -> charts.Points:
    ones, count = np.ones(len(times)), np.ones(len(times), np.int64)
    return charts.Points(bucket, width, np.array(times, np.int64), ones, ones, ones, ones, count)


def test_a_missing_bucket_is_a_gap_and_jitter_is_none() -> None:
    assert charts.gaps(points([0, 60, 120, 240, 300], "1min", 60)).tolist() == [3]
    assert charts.gaps(points([0, 59, 121, 180, 239, 301])).tolist() == []
    hourly = [hour * 3600 for hour in range(50) if hour not in range(20, 30)]
    assert charts.gaps(points(hourly)).tolist() == [20]
    assert charts.gaps(points([])).tolist() == charts.gaps(points([1, 99])).tolist() == []


def test_chart_data_puts_a_null_where_the_gap_is() -> None:
    data = charts.chart_data(points([0, 60 * 10**6, 120 * 10**6, 240 * 10**6, 300 * 10**6], "1min", 60 * 10**6))
    assert data["time"] == [0, 60, 120, 180, 240, 300]
    assert data["mean"] == [1, 1, 1, None, 1, 1]
    assert data["count"] == [1, 1, 1, None, 1, 1]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(7.0228081, "7.022808"), (1234567890.0, "1234567890"), (0.0, "0"), (1e-7, "1e-07"), (0.1, "0.1"), (-3.5, "-3.5")],
)
def test_calculated_numbers_have_seven_digits(value: float, shown: str) -> None:
    assert charts.rounded(value) == shown
    assert charts.rounded(None) == charts.rounded(float("inf")) == "–"


@pytest.mark.parametrize(
    ("at", "bucket", "shown"),
    [
        (START, "", "2024-01-01 00:00"),
        (START + 5_000_000, "", "2024-01-01 00:00:05"),
        (START + 500_000, "", "2024-01-01 00:00:00.500"),
        (START + 1, "", "2024-01-01 00:00:00.000001"),
        (START, "2d", "2024-01-01"),
        (START, "3mo", "2024-01"),
        (START, "1y", "2024"),
    ],
)
def test_times_are_as_exact_as_they_need_to_be(at: int, bucket: str, shown: str) -> None:
    assert charts.time_texts(np.array([at]), bucket) == [shown]
