"""What looks like a time, a name, a decimal mark or a zone and is none, and the other way round: files that were once
read into wrong times, names or numbers without a word."""

import time

import pytest

from daybook.formats.cells import is_number
from daybook.formats.given import Given
from daybook.formats.layout import FormatError
from daybook.formats.separators import normalise
from tests.formats_reading import Reading, read_file
from tests.test_formats_shapes_of_files import hours, refusal


def days(row: str, start: str) -> Reading:
    """Six rows, a day apart from 5 March 2021 on, with {d}ay and {n}umber filled in."""
    return read_file(start + "".join(row.format(d=5 + n, n=n) + "\n" for n in range(6)))


# --- clocks and dates that do not say when the row is


@pytest.mark.parametrize("name", ["Sunrise", "Duration", "Max time", "Laufzeit", "Elapsed"])
def test_a_clock_beside_the_date_that_is_called_something_else_is_not_that_of_the_row(name: str) -> None:
    found = days("2021-03-{d:02},06:3{n},{n}.5", f"Date,{name},kWh\n")
    assert found.times("kWh")[:2] == ["2021-03-05 00:00:00", "2021-03-06 00:00:00"]


def test_hours_of_sunshine_a_day_are_readings_and_hours_of_the_day_are_not() -> None:
    assert days("2021-03-{d:02},{n},{n}.5", "Date,Hours,kWh\n").values("Hours") == [0, 1, 2, 3, 4, 5]
    found = read_file(hours(30, "2021-03-{d:02},{h},{n}.5", "Date,Hours,kWh\n"))
    assert found.times("kWh")[:2] == ["2021-03-05 00:00:00", "2021-03-05 01:00:00"]


@pytest.mark.parametrize("name", ["AM/PM", "AP", "Half"])
def test_am_and_pm_in_a_column_of_their_own_belong_to_the_clock(name: str) -> None:
    rows = "".join(f"2021-03-05,{(n + 11) % 12 + 1}:00,{'AP'[n // 12]}M,{n}.5\n" for n in range(24))
    found = read_file(f"Date,Time,{name},a\n{rows}")
    assert found.times("a") == [f"2021-03-05 {n:02}:00:00" for n in range(24)]
    found = read_file(f"Time,{name},a\n{rows}".replace("5,", "5 "))
    assert found.times("a") == [f"2021-03-05 {n:02}:00:00" for n in range(24)]


def test_a_sensor_that_is_called_pm_is_no_half_of_the_day() -> None:
    found = read_file(hours(12, "2021-03-{d:02},{h}:00,PM,{n}", "date,time,sensor,value\n"))
    assert found.times("PM")[1:2] == ["2021-03-05 01:00:00"]


def test_the_least_of_something_is_no_minute() -> None:
    found = read_file(hours(6, "2021,3,{d},{h},{n},9", "Year,Month,Day,Hour,Min,Max\n"))
    assert found.values("Min") == [0, 1, 2, 3, 4, 5]
    assert found.times("Max")[1:2] == ["2021-03-05 01:00:00"]


@pytest.mark.parametrize("names", ["YEAR,DOY,HR,MN", "YYYY,DDD,HH,MM", "Year,DOY,Hour,Min"])
def test_minutes_behind_hours_of_a_day_of_the_year_are_no_months(names: str) -> None:
    rows = "".join(f"2021,64,{n // 4},{n % 4 * 15},{n}.5\n" for n in range(9))
    assert read_file(f"{names},a\n{rows}").times("a")[-1] == "2021-03-05 02:00:00"


@pytest.mark.parametrize(
    ("header", "row"), [("id,timestamp", "2020010{n},16149024{n}0"), ("serial,Date", "20180115,0{d}.03.2021 00:00")]
)
def test_identities_that_look_like_dates_are_no_times(header: str, row: str) -> None:
    found = days(row + ",{n}.5", f"{header},a\n")
    assert found.times("a")[0] == "2021-03-05 00:00:00"


@pytest.mark.parametrize(
    ("name", "code"),
    [("Uptime", "no_rows"), ("millis time", "no_rows"), ("elapsed", "no_table"), ("serial", "no_table")],
)
def test_a_counter_with_as_many_digits_as_a_count_since_1970_is_no_time(name: str, code: str) -> None:
    refused = refusal(f"{name},a\n" + "".join(f"10000000{n}0,{n}.5\n" for n in range(6)), code)
    assert "line with a time and" in str(refused) or "holds a time and a number" in str(refused)


# --- several times


def test_a_count_since_1970_goes_before_the_clock_of_a_zone_that_is_not_given() -> None:
    rows = "".join(f'{1614902400 + 3600 * n};"2021/03/05 {n + 1:02}:00:00";{n}.5\n' for n in range(5))
    found = read_file(f'Timestamp;"Timezone : Europe/Paris";Temperature\n{rows}')
    assert found.times("Temperature")[0] == "2021-03-05 00:00:00"
    assert list(found.sensors) == ["Temperature"]


def test_a_count_of_something_else_leaves_the_times_alone() -> None:
    found = read_file(hours(5, "{n}614902400,2021-03-{d:02} {h:02}:00,{n}.5", "update,time,a\n"))
    assert found.times("a")[0] == "2021-03-05 00:00:00"


def test_of_times_in_two_zones_the_one_in_utc_counts() -> None:
    rows = "".join(f"2021-03-05 0{n + 2}:00,2021-03-05 0{n}:00,{n}.5\n" for n in range(5))
    found = read_file(f"Date (local),Date (UTC),a\n{rows}")
    assert found.times("a")[0] == "2021-03-05 00:00:00"


@pytest.mark.parametrize("gap", ["", ","])
def test_tables_side_by_side_with_times_of_their_own_are_refused(gap: str) -> None:
    row = "2021-03-{d:02} {h:02}:00,{n}," + gap + "2021-03-{d:02} {h:02}:07,{n}"
    assert "side by side" in str(refusal(hours(5, row, f"T1,A,{gap}T2,B\n"), "several_times"))


def test_the_same_time_in_two_zones_is_no_second_table() -> None:
    rows = "".join(f"2021-03-05 0{n + 2}:00,{n},2021-03-05 0{n}:00,{n}.5\n" for n in range(5))
    assert list(read_file(f"LST,a,GMT,b\n{rows}").sensors) == ["a", "b"]


# --- names


def test_the_names_of_r_stand_over_the_columns_behind_those_of_the_rows() -> None:
    for mark in ("\t", ","):
        rows = hours(5, '"{n}",2021-03-{d:02} {h:02}:00,{n}.5,7', "datetime,temp,rh\n").replace(",", mark)
        found = read_file(rows)
        assert found.values("temp") == [0.5, 1.5, 2.5, 3.5, 4.5]
        assert found.values("rh") == [7.0] * 5


def test_of_two_lines_that_name_a_time_the_one_that_tells_the_columns_apart_is_the_header() -> None:
    above = ",,Sensor: Pres,Sensor: Temp\nElapsed Time,,SN#: 123,SN#: 123\n"
    start = above + "Date and Time,Seconds,Pressure (PSI),Temperature (C)\n"
    found = read_file(hours(5, "2021-03-{d:02} {h:02}:00,{n},1{n}.5,2{n}", start))
    assert list(found.sensors) == ["Seconds", "Pressure (PSI)", "Temperature (C)"]


def test_annotations_above_the_header_are_no_names() -> None:
    start = "#datatype,string,long,dateTime:RFC3339,dateTime:RFC3339,double,string\n"
    start += ",result,table,_start,_time,_value,_field\n"
    found = read_file(hours(5, ",,0,2021-03-01T00:00:00Z,2021-03-{d:02}T{h:02}:00:00Z,{n}.5,temp", start))
    assert found.times("temp")[1:2] == ["2021-03-05 01:00:00"]


def test_the_number_of_a_repeated_name_is_no_unit() -> None:
    found = read_file(hours(3, "2021-03-{d:02} {h:02}:00,{n},{n},{n},{n}", "time,a,a,T (C),T (C)\n"))
    assert found.units == {"a": "", "a (2)": "", "T (C)": "C", "T (C) (2)": "C"}


# --- decimal marks


@pytest.mark.parametrize(
    ("row", "a", "b"),
    [
        ("1.{n}\t1,234", 1.0, 1234),
        ("{n},5\t1.234", 0.5, 1234),
        ("1.{n}\t1,234.5", 1.0, 1234.5),
        ("{n},5\t1.234,5", 0.5, 1234.5),
    ],
)
def test_where_one_mark_is_clearly_decimal_the_other_stands_between_thousands(row: str, a: float, b: float) -> None:
    found = read_file(hours(6, "2021-03-{d:02} {h:02}:00\t" + row + "\t" + row.split("\t")[1], "time\ta\tb\tc\n"))
    assert (found.values("a")[0], found.values("b")[0], found.values("c")[0]) == (a, b, b)


def test_a_point_that_may_be_a_thousand_or_a_decimal_mark_is_asked_about() -> None:
    text = hours(6, "2021-03-{d:02} {h:02}:00;98{n}", "time;a\n") + "2021-03-06 00:00;1.034\n"
    choices = refusal(text, "ambiguous_numbers").choices
    read = [read_file(text, given=Given.from_json(choice.changes)).values("a")[-1] for choice in choices]
    assert read == [1034, 1.034]
    assert read_file(text + "2021-03-06 01:00;1.5\n").values("a")[-2] == 1.034


# --- zones


@pytest.mark.parametrize(
    ("header", "first"),
    [
        ("Date-Time (EST/EDT)", "2021-03-05 05:00:00"),
        ("Time (CET/CEST)", "2021-03-04 23:00:00"),
        ("Time (GMT/BST)", "2021-03-05 00:00:00"),
        ("Timezone : Europe/Paris", "2021-03-04 23:00:00"),
        ("time (PST)", "2021-03-05 08:00:00"),
    ],
)
def test_the_zone_in_the_name_of_the_times(header: str, first: str) -> None:
    assert read_file(hours(3, "2021-03-{d:02} {h:02}:00,{n}", f"{header},a\n")).times("a")[0] == first


def test_standard_and_summer_time_in_one_name_are_a_zone_whose_clocks_change() -> None:
    found = read_file(hours(3, "2021-07-{d:02} {h:02}:00,{n}", "Time (EST/EDT),a\n"))
    assert found.times("a")[0] == "2021-07-05 04:00:00"
    found = read_file(hours(3, "2021-07-{d:02} {h:02}:00,{n}", "Time zone: EST/EDT\ntime,a\n"))
    assert found.times("a")[0] == "2021-07-05 04:00:00"


def test_a_zone_that_stands_under_its_key() -> None:
    above = "latitude,utc_offset_seconds,timezone,timezone_abbreviation\n52.5,3600,Europe/Berlin,GMT+1\n\n"
    found = read_file(hours(3, "2021-03-{d:02}T{h:02}:00,{n}.5", above + "time,a\n"))
    assert found.times("a")[0] == "2021-03-04 23:00:00"


# --- what is given


@pytest.mark.parametrize("name", ["header_line", "units_line", "data_line"])
def test_a_line_that_the_file_does_not_have_is_refused(name: str) -> None:
    text = hours(3, "2021-03-{d:02} {h:02}:00,{n}", "time,a\n")
    with pytest.raises(FormatError) as caught:
        read_file(text, given=Given.from_json({name: 50}))
    assert caught.value.code == "bad_layout"
    assert name in str(caught.value)


def test_a_line_of_units_that_the_moved_header_leaves_behind_the_end_says_none() -> None:
    given = Given.from_json({"header_line": 1, "units_line": 5, "columns": [{"name": "time", "role": "time"}]})
    text = "prose\n\n" + hours(2, "2021-03-{d:02} {h:02}:00,{n}", "time,a\n")
    assert read_file(text, given=given).units == {"a": ""}


# --- files that mean harm


@pytest.mark.parametrize(
    "start",
    ["time,a\n2021-03-05 00:00," + "1" * 400_000 + "x\n", "tzo(" * 100_000 + "\ntime,a\n"],
    ids=["digits", "keys of zones"],
)
def test_long_lines_take_no_longer_than_their_letters(start: str) -> None:
    began = time.process_time()
    read_file(hours(5, "2021-03-{d:02} {h:02}:10,{n}", start))
    assert time.process_time() - began < 5
    assert not is_number("1" * 400_000 + "x")


def test_many_sensors_in_many_units_take_no_more_room_than_there_are() -> None:
    rows = "".join(f"2021-03-05 00:00,s{n},u{n},{n}\n" for n in range(9_000))
    began = time.process_time()
    found = read_file(f"time,sensor,unit,value\n{rows}")
    assert len(found.sensors) == 9_000
    assert found.units["s7"] == "u7"
    assert time.process_time() - began < 5


def test_a_cr_among_blanks_is_a_blank_whatever_else_the_block_holds() -> None:
    layout = read_file(hours(3, "2021-03-{d:02} {h:02}:00 {n}")).layout
    assert layout.delimiter == " "
    plain, _ = normalise(b"a\r\tb c\r\n", layout)
    beside_quotes, _ = normalise(b'a\r\tb c\r\n"x"\n', layout)
    assert plain == b"a b c\r\n"
    assert beside_quotes.split(b"\n")[0].rstrip(b"\r") == b"a b c"


# --- devices, sensors, offsets


def test_readings_of_two_devices_by_turns_are_not_mixed() -> None:
    rows = hours(6, "2021-03-{d:02} {h:02}:00,aa,{n}\n2021-03-{d:02} {h:02}:07,bb,9{n}", "time,devEUI,temp\n")
    assert "by turns" in str(refusal(rows, "several_sources"))


def test_a_logger_that_takes_the_place_of_another_goes_on() -> None:
    rows = hours(6, "2021-03-05 {h:02}:00,aa,{n}", "time,serial number,temp\n")
    assert len(read_file(rows + hours(6, "2021-03-06 {h:02}:00,bb,{n}")).values("temp")) == 12


def test_numbers_that_do_not_come_again_name_no_sensors() -> None:
    found = read_file(hours(6, "2021-03-{d:02} {h:02}:00,4{n}.25,{n}", "time,point,value\n"))
    assert list(found.sensors) == ["point", "value"]


@pytest.mark.parametrize("offset", ["+0100", "+01:00", "CET"])
def test_an_offset_in_a_column_of_its_own_belongs_to_the_time(offset: str) -> None:
    found = read_file(hours(6, "2021-03-{d:02},{h:02}:00," + offset + ",{n}", "date,time,tz,a\n"))
    assert found.times("a")[0] == "2021-03-04 23:00:00"
    found = read_file(hours(6, "2021-03-{d:02} {h:02}:00," + offset + ",{n}", "time,utc_offset,a\n"))
    assert found.times("a")[0] == "2021-03-04 23:00:00"


def test_a_year_of_two_digits_is_no_count_since_1970() -> None:
    refused = refusal(hours(6, "24030{d}{h:02}00,{n}.5", "T,a\n"), "no_table")
    assert "none of the first 7 lines holds a time" in str(refused)


def test_the_mark_that_makes_as_many_cells_as_names_separates_them() -> None:
    found = read_file(hours(6, "2021-03-{d:02} {h:02}:00:00,500;{n},5", "Time;a\n"))
    assert found.layout.delimiter == ";"
    assert found.values("a")[:2] == [0.5, 1.5]


def test_decimal_commas_between_commas_are_not_columns() -> None:
    rows = "".join(f"2024-03-{n:02} 00:00,0,{n},1,7\n" for n in range(1, 29))
    assert "names 3 columns, and the rows below have 5 cells" in str(refusal("Time,A,B\n" + rows, "short_header"))


def test_a_comma_before_milliseconds_is_not_a_column() -> None:
    rows = "".join(f"2024-03-{n:02} 00:00:00,500,0.5\n" for n in range(1, 29))
    assert "names 2 columns" in str(refusal("Time,A\n" + rows, "short_header"))


def test_a_minute_that_is_always_nought_is_not_left_to_chance() -> None:
    refused = refusal("".join(f"2024 03 {n:02} 10 0 {n}.5\n" for n in range(1, 29)), "no_table")
    assert "none of the first 28 lines holds a time" in str(refused)
