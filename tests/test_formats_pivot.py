"""Tables with a row for each day and a column for each time of the day."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daybook.formats.layout import Column, FormatError, Layout
from daybook.formats.pivot import slots_of
from daybook.formats.times import SECOND
from tests.formats_reading import examples
from tests.test_formats_layouts import Account, both_ways, read

QUARTERS = [f"{minute // 60:02}:{minute % 60:02}" for minute in range(0, 24 * 60, 15)]
HOURS = [f"{hour:02}:00" for hour in range(24)]


def layout_of(names: list[str], **more: object) -> Layout:
    columns = (Column("Day", "time"), *(Column(name, "value") for name in names))
    return Layout("pivot", columns, 1, **({"delimiter": ";", "sensor": "load", "unit": "kWh"} | more))  # type: ignore[arg-type]


def minutes(names: list[str]) -> list[float] | None:
    found = slots_of(names)
    return None if found is None else [start / SECOND / 60 for start in found.starts.tolist()]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (QUARTERS, [15.0 * slot for slot in range(96)]),
        ([f"{start}-{end}" for start, end in zip(QUARTERS, [*QUARTERS[1:], "24:00"], strict=True)], None),
        (["0:00", "6:00", "12:00", "18:00"], [0.0, 360.0, 720.0, 1080.0]),
        (["00:00 - 06:00", "06:00 – 12:00", "12:00 to 18:00", "18:00-00:00"], [0.0, 360.0, 720.0, 1080.0]),
        (["00.00", "06.00", "12.00", "18.00"], [0.0, 360.0, 720.0, 1080.0]),
        (["kWh 00:00", "kWh 06:00", "kWh 12:00", "kWh 18:00"], [0.0, 360.0, 720.0, 1080.0]),
        (["00:00 [kWh]", "06:00 [kWh]", "12:00 [kWh]", "18:00 [kWh]"], [0.0, 360.0, 720.0, 1080.0]),
        (["06:00", "12:00", "18:00", "24:00"], [360.0, 720.0, 1080.0, 1440.0]),
        ([f"{hour:02}00" for hour in range(24)], [60.0 * hour for hour in range(24)]),
        ([str(hour) for hour in range(1, 25)], [60.0 * hour for hour in range(24)]),
        ([str(hour) for hour in range(24)], [60.0 * hour for hour in range(24)]),
        ([f"H{hour:02}" for hour in range(1, 25)], [60.0 * hour for hour in range(24)]),
        ([f"Hour {hour}" for hour in range(1, 25)], [60.0 * hour for hour in range(24)]),
        ([f"{hour}h" for hour in range(24)], [60.0 * hour for hour in range(24)]),
        ([str(slot) for slot in range(1, 97)], [15.0 * slot for slot in range(96)]),
        ([f"Period {slot}" for slot in range(1, 49)], [30.0 * slot for slot in range(48)]),
        ([str(hour) for hour in range(1, 26)], [60.0 * hour for hour in range(25)]),
    ],
)
def test_names_of_columns_are_times_of_the_day(names: list[str], expected: list[float] | None) -> None:
    assert minutes(names) == (expected or [15.0 * slot for slot in range(96)])


@pytest.mark.parametrize(
    "names",
    [
        ["00:00", "06:00", "12:00"],
        ["00:00", "06:00", "12:00", "total"],
        ["00:00", "06:00", "06:00", "12:00"],
        ["25:00", "26:00", "27:00", "28:00"],
        ["1", "2", "3", "4", "5"],
        ["2019", "2020", "2021", "2022"],
        ["T1", "T2", "T3", "T4"],
        [str(day) for day in range(1, 32)],
        [str(hour) for hour in range(2, 26)],
        ["a", "b", "c", "d"],
    ],
)
def test_other_names_are_none(names: list[str]) -> None:
    assert slots_of(names) is None


def rows(names: list[str], *days: tuple[str, list[str]]) -> str:
    return "".join(";".join([day, *cells]) + "\n" for day, cells in days)


def hours_of(found: Account) -> list[str]:
    return [f"{time:%d %H:%M}" for time, _ in found.sensors["load"]]


def test_a_row_of_a_day_gives_a_reading_for_every_column() -> None:
    data = rows(QUARTERS, ("01/09/2024", ["0,5"] * 96), ("02/09/2024", ["-"] * 48 + ["1"] * 48))
    found = both_ways(data, layout_of(QUARTERS, decimal=",", date_order="dmy"))
    assert (found.read, found.missing) == (2, 48)
    start = datetime(2024, 9, 1, tzinfo=UTC)
    expected = [(start + timedelta(minutes=15 * slot), 0.5) for slot in range(96)]
    expected += [(start + timedelta(days=1, minutes=15 * slot), 1.0) for slot in range(48, 96)]
    assert found.sensors == {"load": expected}


def test_a_table_without_a_name_for_its_sensor_gives_values() -> None:
    found = read("2020-01-05;1;2;3;4\n", layout_of(["00:00", "06:00", "12:00", "18:00"], sensor=""))
    assert list(found.sensors) == ["value"]


def test_cells_that_are_no_number_are_listed_with_their_column() -> None:
    names = ["00:00", "06:00", "12:00", "18:00"]
    found = read("2020-01-05;1;x;3;4\nno day;1;2;3;4\n2020-01-06;1;2;3\n\n", layout_of(names))
    assert (found.values("load"), found.not_numeric, found.read, found.blank) == ([1, 3, 4], 1, 1, 1)
    assert [(issue.line, issue.column, issue.rejected) for issue in found.issues] == [
        (1, "06:00", False),
        (2, "Day", True),
        (3, "", True),
    ]


def test_the_hour_that_the_clocks_jump_over_may_be_empty() -> None:
    data = rows(HOURS, ("2020-03-29", ["1"] * 2 + [""] + ["1"] * 21))
    found = both_ways(data, layout_of(HOURS, timezone="Europe/Berlin"))
    assert (len(found.values("load")), found.missing) == (23, 1)
    assert hours_of(found)[:4] == ["28 23:00", "29 00:00", "29 01:00", "29 02:00"]


def test_a_number_in_the_hour_that_the_clocks_jump_over_is_an_issue() -> None:
    data = rows(HOURS, ("2020-03-29", ["1"] * 24), ("2020-03-30", ["1"] * 24))
    found = read(data, layout_of(HOURS, timezone="Europe/Berlin"))
    assert (len(found.values("load")), found.not_numeric) == (47, 1)
    [issue] = found.issues
    assert (issue.line, issue.column) == (1, "02:00")
    assert issue.reason == "is at a time that the day does not have in Europe/Berlin"


@pytest.mark.parametrize("beside", [True, False])
def test_the_second_pass_of_the_hour_that_comes_twice_has_a_column_of_its_own(beside: bool) -> None:
    names = [*HOURS[:3], "02:00 (2)", *HOURS[3:]] if beside else [*HOURS, "02:00 (2)"]
    at = names.index("02:00 (2)")
    short = ["1"] * 25
    short[at] = ""
    data = rows(names, ("2020-10-24", short), ("2020-10-25", ["1"] * 25), ("2020-10-26", short))
    found = both_ways(data, layout_of(names, timezone="Europe/Berlin"))
    start = datetime(2020, 10, 23, 22, tzinfo=UTC)
    assert [time for time, _ in found.sensors["load"]] == [start + timedelta(hours=hour) for hour in range(73)]


def test_numbered_hours_count_on_where_a_day_has_twenty_five() -> None:
    names = [str(hour) for hour in range(1, 26)]
    days = [("2020-03-29", 23), ("2020-10-24", 24), ("2020-10-25", 25)]
    data = rows(names, *((day, ["1"] * count + [""] * (25 - count)) for day, count in days))
    found = both_ways(data, layout_of(names, timezone="Europe/Berlin"))
    times = [time for time, _ in found.sensors["load"]]
    spring, autumn = datetime(2020, 3, 28, 23, tzinfo=UTC), datetime(2020, 10, 23, 22, tzinfo=UTC)
    assert times[:23] == [spring + timedelta(hours=hour) for hour in range(23)]
    assert times[23:] == [autumn + timedelta(hours=hour) for hour in range(49)]
    too_many = read(rows(names, ("2020-10-24", ["1"] * 25)), layout_of(names, timezone="Europe/Berlin"))
    assert [(issue.column, issue.rejected) for issue in too_many.issues] == [("25", False)]


def test_hours_3a_and_3b_are_both_passes() -> None:
    names = [*map(str, range(1, 3)), "3A", "3B", *map(str, range(4, 25))]
    found = both_ways(rows(names, ("2020-10-25", ["1"] * 25)), layout_of(names, timezone="Europe/Berlin"))
    start = datetime(2020, 10, 24, 22, tzinfo=UTC)
    assert [time for time, _ in found.sensors["load"]] == [start + timedelta(hours=hour) for hour in range(25)]


def test_columns_without_times_are_refused() -> None:
    with pytest.raises(FormatError, match="no times of the day"):
        read("2020-01-05;1;2;3;4\n", layout_of(["a", "b", "c", "d"]))


@given(
    st.lists(
        st.lists(st.one_of(st.none(), st.integers(-1000, 1000)), min_size=24, max_size=24), min_size=1, max_size=20
    ),
    st.sampled_from(["UTC", "+02:00"]),
    st.sampled_from([100, 1 << 20]),
)
@examples(60)
def test_a_table_of_days_comes_back(values: list[list[int | None]], timezone: str, block_bytes: int) -> None:
    start = datetime(2020, 1, 1, tzinfo=UTC)
    days = [start + timedelta(days=number) for number in range(len(values))]
    texts = [["" if value is None else str(value) for value in row] for row in values]
    data = rows(HOURS, *((f"{day:%Y-%m-%d}", row) for day, row in zip(days, texts, strict=True)))
    found = read(data, layout_of(HOURS, timezone=timezone), block_bytes)
    shift = timedelta(hours=0 if timezone == "UTC" else -2)
    expected = [
        (day + timedelta(hours=hour) + shift, float(value))
        for day, row in zip(days, values, strict=True)
        for hour, value in enumerate(row)
        if value is not None
    ]
    assert found.sensors.get("load", []) == expected
    assert found.issues == []
