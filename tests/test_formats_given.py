"""What somebody says of a layout: checked field by field, stored, and used on the next file of the same logger."""

from typing import Any

import pytest
from hypothesis import given as cases
from hypothesis import strategies as st

from daybook.formats.given import Given
from daybook.formats.layout import FormatError
from tests.formats_reading import examples, read_file

ROWS = "".join(f"2021-03-{n:02} 10:00,{n},{n / 2},-9\n" for n in range(1, 29))
TABLE = "time,a,b,flag\n" + ROWS


def layout(**fields: Any) -> Given:
    return Given.from_json(fields)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"colums": []}, 'there is no field "colums"'),
        ({"delimiter": "#"}, "delimiter is '#'"),
        ({"delimiter": ""}, "widths is too"),
        ({"encoding": "ebcdic"}, "encoding is 'ebcdic'"),
        ({"columns": [{"name": "a", "role": "wert"}]}, "columns[0].role is 'wert'"),
        ({"columns": [{"role": "value"}]}, "columns[0] is"),
        ({"columns": [{"name": "a", "color": "red"}]}, 'columns[0] has no field "color"'),
        ({"columns": [{"name": "a"}, {"name": "a"}]}, '"a" is listed twice'),
        ({"columns": "time"}, "columns is 'time'"),
        ({"header_line": -1}, "header_line is '-1'"),
        ({"header_line": True}, "header_line is 'True'"),
        ({"data_line": 0}, "data_line is '0'"),
        ({"header_line": 5, "data_line": 5}, "data_line is not below header_line"),
        ({"decimal": ",", "thousands": ","}, 'decimal and thousands are both ","'),
        ({"widths": [3, 0]}, "widths[1] is '0'"),
        ({"missing": ["x" * 300]}, "missing[0] is"),
        ({"time_formats": ["%Y-%Q"]}, "time_formats[0]"),
        ({"shape": "round"}, "shape is 'round'"),
        ({"unit_in_name": "yes"}, "unit_in_name is 'yes'"),
    ],
)
def test_a_mistake_is_told_by_its_place(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(FormatError) as caught:
        Given.from_json(fields)
    assert caught.value.code == "bad_layout"
    assert said in str(caught.value)


@pytest.mark.parametrize("found", [None, [], "layout", 7])
def test_a_layout_is_an_object(found: Any) -> None:
    with pytest.raises(FormatError):
        Given.from_json(found)


def test_an_unknown_zone_is_told() -> None:
    with pytest.raises(FormatError, match="Mars"):
        layout(timezone="Mars/Base")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@cases(st.dictionaries(st.sampled_from(sorted(Given().__dataclass_fields__)), JSON, max_size=6))
@examples(300)
def test_any_json_is_a_layout_or_a_clear_mistake(found: dict[str, Any]) -> None:
    try:
        said = Given.from_json(found)
    except FormatError as error:
        assert str(error)  # noqa: PT017 - either is right
    else:
        assert Given.from_json(said.to_json()) == said


def test_a_layout_that_was_found_reads_the_same_file_in_the_same_way() -> None:
    first = read_file(TABLE)
    again = read_file(TABLE, given=Given.of(first.layout))
    assert (again.sensors, again.layout) == (first.sensors, first.layout)


def test_a_type_reads_the_next_file_though_its_columns_and_lines_moved() -> None:
    saved = Given.of(read_file("logger 7\n" + TABLE, given=layout(columns=[{"name": "flag", "role": "text"}])).layout)
    moved = "logger 7\nbattery: low\n\ntime,new,b,a,flag\n"
    found = read_file(moved + "".join(f"2021-04-{n:02} 10:00,7,{n / 2},{n},-9\n" for n in range(1, 29)), given=saved)
    assert {name: values[0][1] for name, values in found.sensors.items()} == {"new": 7.0, "b": 0.5, "a": 1.0}
    assert found.layout.header_line == 4


DAVIS = (
    "                  Temp    Out   Wind\n  Date    Time     Out    Hum  Speed\n------------------------------------\n"
) + "".join(f"{5 + n // 24:02}/03/21 {n % 24:>2}:00  {n / 2:>6.1f}  {50 + n:>5}    1.5\n" for n in range(40))


def test_names_over_two_lines_are_found_again_by_a_saved_type() -> None:
    first = read_file(DAVIS)
    again = read_file(DAVIS, given=Given.of(first.layout))
    assert list(again.sensors) == ["Temp Out", "Out Hum", "Wind Speed"]
    assert again.sensors == first.sensors


def test_a_type_of_which_no_column_of_readings_is_there_does_not_read_on() -> None:
    columns = [{"name": "time", "role": "time"}, {"name": "WS_80m", "role": "value"}]
    with pytest.raises(FormatError, match='no column "WS_80m"'):
        read_file(TABLE, given=layout(columns=columns))


def test_several_columns_of_readings_beside_one_that_names_the_sensor() -> None:
    rows = "".join(f"2021-03-{n:02},{meter},{n},{n / 2}\n" for n in range(1, 29) for meter in ("E1", "E2"))
    found = read_file("time,EAN,usage,cost\n" + rows, given=layout(columns=[{"name": "EAN", "role": "sensor"}]))
    assert {name: values[1][1] for name, values in found.sensors.items()} == {
        "usage E1": 2.0,
        "cost E1": 1.0,
        "usage E2": 2.0,
        "cost E2": 1.0,
    }


def test_columns_that_are_not_listed_can_be_ignored() -> None:
    found = read_file(TABLE, given=layout(columns=[{"name": "a", "role": "value"}], other_columns="ignore"))
    assert list(found.sensors) == ["a"]


def test_roles_units_names_and_missing_marks_of_columns() -> None:
    columns = [
        {"name": "a", "role": "value", "sensor": "level", "unit": "m"},
        {"name": "b", "role": "text"},
        {"name": "flag", "missing": ["-9"]},
    ]
    found = read_file(TABLE, given=layout(columns=columns))
    assert list(found.sensors) == ["level"]
    assert found.units == {"level": "m"}
    assert found.missing == 28


def test_two_columns_cannot_be_one_sensor() -> None:
    columns = [{"name": "a", "role": "value", "sensor": "x"}, {"name": "b", "role": "value", "sensor": "x"}]
    with pytest.raises(FormatError, match='two columns are both to be the sensor "x"'):
        read_file(TABLE, given=layout(columns=columns))


def test_a_file_of_another_type_is_refused_by_the_column_that_it_lacks() -> None:
    with pytest.raises(FormatError, match='no column "TIMESTAMP"') as caught:
        read_file(TABLE, given=layout(columns=[{"name": "TIMESTAMP", "role": "time"}]))
    assert caught.value.code == "columns_not_found"


def test_another_column_of_times_can_be_the_time() -> None:
    text = "start,end,a\n" + "".join(f"2021-03-{n:02} 10:00,2021-03-{n:02} 10:10,{n}\n" for n in range(1, 29))
    assert read_file(text).times("a")[0] == "2021-03-01 10:00:00"
    found = read_file(text, given=layout(columns=[{"name": "end", "role": "time"}]))
    assert found.times("a")[0] == "2021-03-01 10:10:00"
    assert list(found.sensors) == ["a"]


def test_time_formats_read_what_nothing_else_would() -> None:
    text = "when,a\n" + "".join(f"d{n:02}m03y2021 h10,{n}\n" for n in range(1, 29))
    found = read_file(text, given=layout(time_formats=["d%dm%my%Y h%H"]))
    assert found.times("a")[0] == "2021-03-01 10:00:00"


def test_a_table_of_one_row_a_day_is_read_as_one_sensor() -> None:
    head = ";".join(["Day", *(f"{hour:02}:00-{(hour + 1) % 24:02}:00" for hour in range(24))])
    rows = "".join(f"{n:02}/03/2021;" + ";".join(f"{hour},5" for hour in range(24)) + ";\n" for n in range(1, 29))
    found = read_file(f"{head}\n{rows}", given=layout(shape="pivot", sensor="energy", unit="kWh"))
    assert len(found.sensors["energy"]) == 28 * 24
    assert found.times("energy")[:2] == ["2021-03-01 00:00:00", "2021-03-01 01:00:00"]
    assert found.units["energy"] == "kWh"


def test_a_file_without_a_header_has_numbered_columns_that_can_be_named() -> None:
    columns = [{"name": "column 1", "role": "time"}, {"name": "column 2", "role": "value", "sensor": "T"}]
    found = read_file(ROWS, given=layout(header_line=0, columns=columns, other_columns="ignore"))
    assert list(found.sensors) == ["T"]


def test_the_zone_that_a_file_states_is_not_part_of_its_type() -> None:
    stated = read_file("Time zone: UTC+2\n" + TABLE)
    assert stated.layout.timezone == "UTC+2"
    assert Given.of(stated.layout).timezone is None
    asked = read_file(TABLE, timezone="Europe/Dublin")
    assert Given.of(asked.layout).timezone == "Europe/Dublin"
