"""Parquet: every time and number comes out exactly; what is no reading is told."""

import io
from datetime import date
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st
from pyarrow import parquet

from daybook.formats.given import Given
from daybook.formats.head import open_head
from daybook.formats.layout import FormatError
from tests.formats_reading import examples, microseconds, read_file

START = 1_600_000_000_000_000  # microseconds since 1970


def written(columns: dict[str, Any], **options: Any) -> bytes:
    out = io.BytesIO()
    parquet.write_table(pa.table(columns), out, **options)
    return out.getvalue()


def stamps(count: int, unit: str = "us", zone: str | None = None, step: int = 60_000_000) -> pa.Array:
    factor = {"s": 1e-6, "ms": 1e-3, "us": 1, "ns": 1000}[unit]
    return pa.array([int((START + row * step) * factor) for row in range(count)], pa.timestamp(unit, zone))


def refusal(data: bytes, **options: Any) -> FormatError:
    with pytest.raises(FormatError) as caught:
        read_file(data, **options)
    assert caught.value.hint
    return caught.value


@hypothesis_given(
    values=st.lists(st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)), min_size=2, max_size=50),
    unit=st.sampled_from(["s", "ms", "us", "ns"]),
    zone=st.sampled_from([None, "UTC", "Europe/Dublin"]),
    group=st.sampled_from([3, 1000]),
)
@examples(60)
def test_a_table_comes_back_equal(values: list[float | None], unit: str, zone: str | None, group: int) -> None:
    columns = {"time": stamps(len(values), unit, zone), "a": pa.array(values, pa.float64()), "n": range(len(values))}
    found = read_file(written(columns, row_group_size=group))
    expected = [(START + row * 60_000_000, value) for row, value in enumerate(values) if value is not None]
    assert [(microseconds(time), value) for time, value in found.sensors.get("a", [])] == expected
    assert (found.lines, found.read, found.preamble) == (len(values), len(values), 0)
    assert found.layout.timezone_from == ("cells" if zone else "default")
    assert found.layout.file == "parquet"


def test_narrow_tables_with_a_dictionary_of_sensors_are_read() -> None:
    sensors = pa.array(["T", "RH"] * 10).dictionary_encode()
    found = read_file(written({"time": stamps(20), "sensor": sensors, "value": pa.array(range(20), pa.int16())}))
    assert found.values("T") == list(range(0, 20, 2))


def test_kinds_of_numbers_come_out_as_they_are() -> None:
    columns = {
        "day": pa.array([date(2020, 1, day) for day in range(1, 5)]),
        "half": pa.array([0.1] * 4, pa.float32()),
        "big": pa.array([2**53 + 1] * 4),
        "money": pa.array([1, 2, 3, 4]).cast(pa.decimal128(25, 2)),
        "nan": pa.array([float("nan"), 1.5, None, 2.5]),
    }
    found = read_file(written(columns))
    assert found.values("half") == [0.1] * 4
    assert found.values("big") == [float(2**53 + 1)] * 4
    assert found.values("money") == [1, 2, 3, 4]
    assert (found.values("nan"), found.missing) == ([1.5, 2.5], 2)
    assert found.times("half")[0] == "2020-01-01 00:00:00"


def test_the_index_of_a_data_frame_is_a_column_like_others() -> None:
    data = written({"a": [1.5, 2.5, 3.5], "__index_level_0__": stamps(3)})
    assert read_file(data).values("a") == [1.5, 2.5, 3.5]


def test_nested_columns_are_told_and_left_out() -> None:
    found = read_file(written({"time": stamps(3), "a": [1, 2, 3], "spectrum": [[1.0], [2.0], [3.0]]}))
    assert [(issue.line, issue.column, issue.rejected) for issue in found.issues] == [(1, "spectrum", False)]
    assert list(found.sensors) == ["a"]


def test_texts_with_tabs_and_quotes_stay_in_their_cell() -> None:
    found = read_file(written({"time": stamps(3), "note": ['a\tb\n"c"', None, "d"], "a": [1, 2, 3]}))
    assert (found.values("a"), found.rejected) == ([1, 2, 3], 0)


def test_many_rows_are_read_in_batches() -> None:
    found = read_file(written({"time": stamps(300_000), "a": range(300_000)}))
    assert found.values("a") == list(range(300_000))


def test_damaged_empty_and_cut_off_files_are_refused() -> None:
    data = written({"time": stamps(100), "a": range(100)})
    assert refusal(data[:-20]).code == "damaged_parquet"
    assert refusal(b"PAR1").code == "damaged_parquet"
    assert refusal(written({"time": stamps(0), "a": pa.array([], pa.float64())})).code == "no_rows"
    assert refusal(written({"l": [[1]]})).code == "no_rows"
    assert refusal(data, unpacked_max_bytes=100).code == "unpacked_too_large"


@hypothesis_given(st.integers(0, 10**6), st.binary(min_size=1, max_size=8))
@examples(60)
def test_damage_gives_an_account_or_a_refusal(place: int, damage: bytes) -> None:
    data = bytearray(written({"time": stamps(30), "a": range(30), "s": ["x"] * 30}))
    at = place % len(data)
    data[at : at + len(damage)] = damage
    try:
        found = read_file(bytes(data))
    except FormatError as error:
        assert str(error)  # noqa: PT017 - no error is right too
    else:
        assert found.lines >= found.read


def test_the_head_shows_the_first_rows_and_the_names() -> None:
    data = written({"time": stamps(5), "a": [0.5, 1.5, 2.5, 3.5, 4.5]})
    head = open_head(data, whole=True, given=Given(), unpacked_max_bytes=1 << 30)
    assert (head.file, head.names, head.text.count(b"\n"), head.whole) == ("parquet", ["time", "a"], 5, True)
    with pytest.raises(FormatError) as caught:
        open_head(data[:100], whole=False, given=Given(), unpacked_max_bytes=1 << 30)
    assert caught.value.code == "needs_whole_file"


def test_a_file_type_for_workbooks_is_refused_for_text() -> None:
    assert refusal(b"time,a\n2020-01-01,1\n", given=Given(file="xlsx")).code == "wrong_kind"
