"""JSON comes in whole and exactly: as an array, as lines, inside an object, by column; or is refused in words."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import example
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from daybook.formats import file_reader
from daybook.formats.given import Given
from daybook.formats.head import open_head
from daybook.formats.json_paths import ANY_KEY, ELEMENTS, Key, parse_path, path_text
from daybook.formats.layout import FormatError
from tests.formats_reading import Reading, examples, read_file

START = datetime(2021, 3, 4, tzinfo=UTC)


def times(count: int, minutes: int = 10) -> list[str]:
    return [f"{START + row * timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}" for row in range(count)]


def refusal(data: Any, **options: Any) -> FormatError:
    with pytest.raises(FormatError) as caught:
        read_file(data if isinstance(data, bytes | str) else json.dumps(data), **options)
    assert caught.value.hint
    return caught.value


def in_pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


WAYS = ["array", "lines", "nested", "deep", "rows", "named rows", "columns"]


def written(way: str, names: list[str], rows: list[list[Any]], indent: int | None) -> str:
    """The table in one of the ways in which programs write JSON."""
    records = [dict(zip(names, row, strict=True)) for row in rows]
    if way == "lines":
        return "".join(json.dumps(record) + "\n" for record in records)
    document: Any = {
        "array": records,
        "nested": {"unit": "Wh", "values": records, "count": len(rows)},
        "deep": {"meta": {"ids": [1, 2, 3]}, "a.b": {"[x]": [{"id": "7", "data": records}]}, "end": None},
        "rows": [names, *rows],
        "named rows": {"columns": names, "data": rows},
        "columns": {"hourly": {name: [row[at] for row in rows] for at, name in enumerate(names)}},
    }[way]
    return json.dumps(document, indent=indent, ensure_ascii=indent is None)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[Any]]]:
    names = draw(
        st.lists(
            st.sampled_from(["T", "Größe", 'the "old" one', "x\ty", "2", "é\\n"]), min_size=2, max_size=4, unique=True
        )
    )
    number = st.one_of(st.integers(-(10**6), 10**6), st.floats(allow_nan=False, allow_infinity=False))
    cell = st.one_of(number, number, number, st.none())
    rows = draw(st.lists(st.tuples(*[cell] * len(names)), min_size=3, max_size=12))
    first = [draw(number) for _ in names]
    cells = [first, *map(list, rows)]
    return ["time", *names], [[time, *row] for time, row in zip(times(len(cells)), cells, strict=True)]


@hypothesis_given(
    table=tables(),
    way=st.sampled_from(WAYS),
    indent=st.sampled_from([None, 2]),
    size=st.integers(1, 200),
    block=st.sampled_from([50, 1 << 20]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
@examples(150)
def test_a_table_comes_back_equal_however_its_json_is_written(
    table: tuple[list[str], list[list[Any]]], way: str, indent: int | None, size: int, block: int, encoding: str
) -> None:
    names, rows = table
    data = written(way, names, rows, indent).encode(encoding)
    with patch.object(file_reader, "BLOCK_BYTES", block):
        found = read_file(data, in_pieces(data, size))
    clean = [name.replace("\t", " ") for name in names]
    expected = {
        name: [
            (START + row * timedelta(minutes=10), float(cells[at]))
            for row, cells in enumerate(rows)
            if cells[at] is not None
        ]
        for at, name in enumerate(clean)
        if at
    }
    assert found.sensors == {name: readings for name, readings in expected.items() if readings}
    above = 1 if way == "rows" else 0
    assert (found.lines, found.preamble, found.rejected, found.blank) == (len(rows) + above, above, 0, 0)
    assert found.missing == sum(cell is None for row in rows for cell in row)
    assert found.layout.file == "json"


def test_numbers_keep_every_digit() -> None:
    rows = "".join(
        f'{{"time": "{time}", "a": 0.1234567890123456789, "b": 12345678901234567890}}\n' for time in times(3)
    )
    found = read_file(rows)
    assert found.values("a") == [0.1234567890123456789] * 3
    assert found.values("b") == [12345678901234567890.0] * 3


def test_true_and_false_are_no_numbers() -> None:
    found = read_file(json.dumps([{"time": time, "a": row, "on": row > 1} for row, time in enumerate(times(4))]))
    assert list(found.sensors) == ["a"]


def test_every_record_is_a_line_with_its_number() -> None:
    records: list[Any] = [{"time": time, "a": row} for row, time in enumerate(times(6))]
    records[2] = "no record"
    records[3] = {"time": "yesterday", "a": 5}
    records[4] = {}
    found = read_file(json.dumps(records))
    assert (found.lines, found.read, found.blank) == (6, 3, 1)
    assert [(issue.line, issue.value) for issue in found.issues] == [(3, "no record"), (4, "yesterday")]
    assert found.issues[0].reason == "is not a record like the others"


def test_lines_of_json_keep_the_numbers_of_the_file() -> None:
    lines = [json.dumps({"time": time, "a": row}) for row, time in enumerate(times(6))]
    lines[1:1] = ["", '{"time": "2021-03-04T00:05', "[1, 2]"]
    found = read_file("\r\n".join(lines))
    assert (found.lines, found.read, found.blank, found.rejected_lines) == (9, 6, 1, [3, 4])
    assert found.issues[0].reason == "is not an object or array of JSON"
    assert found.issues[0].value.startswith('{"time"')


def test_objects_in_a_record_become_columns_with_dotted_names() -> None:
    records = [{"time": time, "wind": {"speed": row, "gust": {"max": row * 2}}} for row, time in enumerate(times(3))]
    found = read_file(json.dumps(records))
    assert found.values("wind.speed") == [0, 1, 2]
    assert found.values("wind.gust.max") == [0, 2, 4]


def test_arrays_in_records_are_told_once() -> None:
    found = read_file(json.dumps([{"time": time, "a": row, "raw": [1, 2]} for row, time in enumerate(times(3))]))
    assert [(issue.line, issue.column, issue.rejected) for issue in found.issues] == [(1, "raw", False)]
    assert "nothing with this key is kept" in found.issues[0].reason


def test_a_key_that_turns_up_late_is_told_once_with_the_number_of_its_record() -> None:
    records: list[dict[str, Any]] = [{"time": time, "a": row} for row, time in enumerate(times(100))]
    for record in records[60:]:
        record["late"] = 7.5
    with patch.object(file_reader, "SAMPLE_BYTES", 1000), patch.object(file_reader, "BLOCK_BYTES", 300):
        found = read_file(json.dumps(records))
    assert found.values("a") == list(range(100))
    assert [(issue.line, issue.column, issue.value, issue.rejected) for issue in found.issues] == [
        (61, "late", "7.5", False)
    ]


def test_a_monitoring_portals_answer_is_read_without_settings() -> None:
    values = [
        {"date": f"2024-06-01 {hour:02}:00:00 CEST+0200", "value": None if hour < 5 else hour * 1.5}
        for hour in range(24)
    ]
    found = read_file(json.dumps({"energy": {"timeUnit": "HOUR", "unit": "Wh", "values": values}}, indent=2))
    assert found.layout.path == "energy.values"
    assert found.times("value")[0] == "2024-06-01 03:00:00"
    assert (len(found.values("value")), found.missing) == (19, 5)


def test_home_automation_history_is_read_without_settings() -> None:
    history = [
        [
            {
                "entity_id": f"sensor.{name}",
                "state": str(row + 0.5),
                "attributes": {"friendly": name},
                "last_changed": time,
            }
            for row, time in enumerate(times(5))
        ]
        for name in ("roof", "cellar")
    ]
    found = read_file(json.dumps(history))
    assert found.values("sensor.roof") == found.values("sensor.cellar") == [0.5, 1.5, 2.5, 3.5, 4.5]


@pytest.mark.parametrize("size", [7, 1 << 20])
def test_series_of_a_time_series_database_get_their_names_from_what_stands_around_them(size: int) -> None:
    series = [
        {"name": "cpu", "tags": {"host": f"h{number}"}, "columns": ["time", "value"], "partial": True}
        | {"values": [[time, row * number] for row, time in enumerate(times(5))]}
        for number in (1, 2)
    ]
    data = json.dumps({"results": [{"statement_id": 0, "series": series}]}).encode()
    found = read_file(data, in_pieces(data, size))
    assert found.layout.path == "results[].series[].values"
    assert (found.values("h1"), found.values("h2")) == ([0, 1, 2, 3, 4], [0, 2, 4, 6, 8])


def test_pairs_of_time_and_value_are_told_apart_by_their_target() -> None:
    stamps = [int(START.timestamp() * 1000) + row * 60_000 for row in range(5)]
    found = read_file(json.dumps([{"target": t, "datapoints": [[1.5, at] for at in stamps]} for t in ("a", "b")]))
    assert found.values("a") == found.values("b") == [1.5] * 5
    assert found.times("b")[1] == "2021-03-04 00:01:00"


def test_two_series_of_the_same_name_are_not_mixed_up_where_something_else_tells_them_apart() -> None:
    def one(site: str, name: str) -> dict[str, Any]:
        return {"site": site, "name": name, "data": [{"time": time, "value": len(site)} for time in times(40)]}

    with patch.object(file_reader, "SAMPLE_BYTES", 1000):  # the first array alone
        found = read_file(json.dumps([one("north", "T"), one("south-west", "T")]))
    assert sorted(map(len, found.sensors.values())) == [40, 40]
    assert found.values("south-west T") == [10] * 40


def test_arrays_under_the_names_of_sensors_are_read() -> None:
    found = read_file(json.dumps({name: [{"start": time, "mean": 2} for time in times(4)] for name in ("a", "b")}))
    assert found.layout.path == "*"
    assert found.values("a") == found.values("b") == [2] * 4


def test_a_weather_services_columns_are_rows_with_units() -> None:
    hourly = {"time": [f"2022-07-01T{hour:02}:00" for hour in range(24)], "t_2m": [hour / 2 for hour in range(24)]}
    found = read_file(
        json.dumps({"latitude": 52.5, "hourly_units": {"time": "iso8601", "t_2m": "°C"}, "hourly": hourly})
    )
    assert (found.layout.path, found.lines, found.units) == ("hourly", 24, {"t_2m": "°C"})
    assert found.values("t_2m") == hourly["t_2m"]
    local = read_file(json.dumps({"timezone": "Europe/Berlin", "hourly_units": {}, "hourly": hourly}))
    assert (local.layout.timezone, local.layout.timezone_from) == ("Europe/Berlin", "file")
    assert local.times("t_2m")[0] == "2022-06-30 22:00:00"


def test_columns_of_different_lengths_are_refused() -> None:
    error = refusal({"time": times(5), "a": [1, 2, 3, 4]})
    assert error.code == "columns_differ"
    assert '"time" holds 5 values, and "a" 4' in str(error)


def test_the_path_says_which_array_is_meant() -> None:
    document = {"day": [{"time": t, "a": 1} for t in times(9)], "hour": [{"time": t, "a": 2, "b": 1} for t in times(5)]}
    found = read_file(json.dumps(document), given=Given(path="hour"))
    assert found.values("a") == [2] * 5
    assert "day" in str(refusal(document, given=Given(path="month")))
    assert refusal(document, given=Given(path="a..b")).code == "bad_path"


def test_a_second_array_of_readings_is_not_left_out_in_silence() -> None:
    document = {"day": [{"time": t, "a": 1} for t in times(3)], "hour": [{"time": t, "b": 2} for t in times(9)]}
    found = read_file(json.dumps(document))
    assert found.layout.path == "hour"
    assert [(issue.column, issue.rejected) for issue in found.issues] == [("day", False)]
    assert "left out" in found.issues[0].reason


def test_a_name_behind_its_records_is_refused_rather_than_lost() -> None:
    document = [{"data": [{"time": t, "value": 1} for t in times(3)], "sensor": name} for name in ("a", "b")]
    assert refusal(document).code == "json_order"


def test_wide_records_of_several_sources_are_refused_rather_than_mixed_up() -> None:
    document = [{"station": s, "data": [{"time": t, "a": 1, "b": 2} for t in times(3)]} for s in ("x", "y")]
    assert refusal(document).code == "several_sources"
    assert read_file(json.dumps(document[:1])).values("b") == [2, 2, 2]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('[{"time": "2021-01-01", "a": 1} {"time": "2021-01-02", "a": 2}]', "damaged_json"),
        ('[{"time": "2021-01-01", "a": 1},]', "damaged_json"),
        ('[{"time": "2021-01-01", "a": 1}] and more', "damaged_json"),
        ('{"x": [{"time": "2021-01-01", "a": 1}], "y" 5}', "damaged_json"),
        ("[" * 5000, "damaged_json"),
        ('{"a":' * 5000, "damaged_json"),
        ('{"a": "b"}', "no_records"),
        ("[[]]", "no_records"),
    ],
)
def test_what_is_no_json_with_readings_is_refused(text: str, code: str) -> None:
    error = refusal(text)
    assert error.code in {code, "no_table", "no_records"}


def test_damage_is_named_by_its_line() -> None:
    lines = [json.dumps({"time": time, "a": row}) + "," for row, time in enumerate(times(50))]
    lines[30] = lines[30].replace(":", "=", 1)
    assert "line 32 " in str(refusal("[\n" + "\n".join(lines).rstrip(",") + "]"))


@hypothesis_given(table=tables(), way=st.sampled_from(["array", "nested", "deep", "columns"]), cut=st.integers(1, 5000))
@examples(60)
def test_a_file_that_was_cut_off_is_refused(table: tuple[list[str], list[list[Any]]], way: str, cut: int) -> None:
    text = written(way, *table, None)
    with pytest.raises(FormatError):
        read_file(text[: max(2, len(text) - cut)])


def test_batches_come_before_the_file_is_whole() -> None:
    data = json.dumps({"v": [{"time": time, "a": row} for row, time in enumerate(times(60_000, 1))]}).encode()
    with patch.object(file_reader, "SAMPLE_BYTES", 1000), patch.object(file_reader, "BLOCK_BYTES", 1000):
        reader = file_reader.FileReader(unpacked_max_bytes=1 << 30)
        early = [batch for piece in in_pieces(data[: len(data) * 9 // 10], 1 << 16) for batch in reader.feed(piece)]
    assert sum(batch.read for batch in early) > 20_000


STEPS = st.one_of(
    st.just(ELEMENTS), st.just(ANY_KEY), st.text(min_size=1, max_size=5).map(Key), st.sampled_from(".[]*\\").map(Key)
)


@hypothesis_given(st.lists(STEPS, max_size=6).map(tuple))
@examples(200)
@example((Key("a"), ELEMENTS, Key("*"), ANY_KEY))
def test_a_path_comes_back_from_its_text(path: Any) -> None:
    assert parse_path(path_text(path)) == path


SCRAPS = [
    '{"',
    '"',
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    '"time":',
    '"a":',
    '"2021-01-01"',
    '"2021-01-02T10:00:00Z"',
    "1",
    "-2.5e3",
]
SCRAPS += [
    "null",
    "true",
    "NaN",
    "\n",
    " ",
    "\\u00e9",
    "\\ud800",
    "é",
    '{"time":"2021-01-01","a":1}',
    '["2021-01-01",5]',
    "0.",
]


def outcome(data: bytes, size: int) -> Reading | str:
    with patch.object(file_reader, "SAMPLE_BYTES", 300), patch.object(file_reader, "BLOCK_BYTES", 100):
        try:
            return read_file(data, in_pieces(data, size))
        except FormatError as error:
            assert str(error)  # noqa: PT017 - no error is right too
            return error.code


@hypothesis_given(
    st.sampled_from(['[{"', '{"', "[[", '["', '[{"time":"2021-01-01","a":1},{"time":"2021-01-02","a":2}']),
    st.lists(st.sampled_from(SCRAPS), max_size=60).map("".join),
    st.integers(1, 100),
)
@examples(300)
def test_scraps_of_json_give_an_account_or_a_refusal_whatever_the_pieces(start: str, rest: str, size: int) -> None:
    data = (start + rest).encode()
    assert outcome(data, size) == outcome(data, 1 << 20)


@hypothesis_given(tables(), st.sampled_from(WAYS), st.integers(0, 1 << 30), st.binary(max_size=4), st.integers(1, 100))
@examples(150)
def test_damaged_json_gives_an_account_or_a_refusal(
    table: tuple[list[str], list[list[Any]]], way: str, place: int, damage: bytes, size: int
) -> None:
    data = bytearray(written(way, *table, 1).encode())
    at = place % len(data)
    data[at : at + len(damage)] = damage
    assert outcome(bytes(data), size) == outcome(bytes(data), 1 << 20)


@hypothesis_given(tables(), st.sampled_from(WAYS), st.integers(20, 3000))
@examples(60)
def test_the_head_of_a_file_shows_what_its_import_reads(
    table: tuple[list[str], list[list[Any]]], way: str, size: int
) -> None:
    data = written(way, *table, None).encode()
    head = open_head(data, whole=True, given=Given(), unpacked_max_bytes=1 << 30)
    layout = read_file(data).layout
    assert (head.file, head.path, head.whole) == (layout.file, layout.path, True)
    assert head.text.count(b"\n") == len(table[1]) + (way == "rows")
    try:
        part = open_head(data[:size], whole=size >= len(data), given=Given(), unpacked_max_bytes=1 << 30)
    except FormatError:
        return
    assert head.text.startswith(part.text) or part.names != head.names
