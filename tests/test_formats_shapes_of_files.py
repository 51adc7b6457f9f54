"""Files as many makes of loggers write them: what separates the cells, where the names stand, what tells the time."""

import pytest

from daybook.formats.given import Given
from daybook.formats.layout import FormatError
from tests.formats_reading import Reading, read_file


def refusal(text: str, code: str) -> FormatError:
    with pytest.raises(FormatError) as caught:
        read_file(text)
    assert caught.value.code == code, caught.value
    return caught.value


def hours(count: int, row: str, start: str = "") -> str:
    """Rows with {d}ay, {h}our and {n}umber filled in, an hour apart from 5 March 2021 on."""
    return start + "".join(row.format(d=5 + n // 24, h=n % 24, n=n) + "\n" for n in range(count))


# --- what separates the cells


def test_cells_separated_by_bars() -> None:
    found = read_file(hours(30, "2021-03-{d:02} {h:02}:00|{n}|0.5", "time|a|b\n"))
    assert found.layout.delimiter == "|"
    assert found.values("a") == [float(n) for n in range(30)]


def test_runs_of_blanks_with_names_that_begin_behind_a_hash() -> None:
    text = "#YY  MM DD hh mm  WDIR  WSPD\n#yr  mo dy hr mn  degT   m/s\n"
    found = read_file(hours(30, "2021 03 {d:02} {h:02} 50 {n:>5}   9.0", text))
    assert found.times("WDIR")[0] == "2021-03-05 00:50:00"
    assert found.units == {"WDIR": "degT", "WSPD": "m/s"}
    assert list(found.sensors) == ["WDIR", "WSPD"]


def test_cells_of_fixed_width_may_be_empty() -> None:
    rows = "".join(f"202103{5 + n // 24:02} {n % 24:02}00{n if n % 3 else '':>7}{n / 2:>7}\n" for n in range(60))
    found = read_file(rows)
    assert found.layout.widths
    assert len(found.sensors["column 3"]) == 40
    assert found.values("column 4") == [n / 2 for n in range(60)]


def test_names_over_two_lines_belong_to_the_columns_under_them() -> None:
    head = (
        "                  Temp    Out   Wind\n"
        "  Date    Time     Out    Hum  Speed    Dir\n"
        "--------------------------------------------\n"
    )
    rows = "".join(
        f"{5 + n // 24:02}/03/21 {n % 24:>2}:00  {n / 2:>6.1f}  {50 + n:>5}    1.5    {'---' if n % 2 else 'NNE'}\n"
        for n in range(40)
    )
    found = read_file(head + rows)
    assert list(found.sensors) == ["Temp Out", "Out Hum", "Wind Speed"]
    assert found.times("Temp Out")[25] == "2021-03-06 01:00:00"


def test_names_of_two_words_stand_over_their_columns() -> None:
    found = read_file(
        hours(30, "05/03/2021 {h:02}:{d:02}     {n:>5}      1.5", "       Date/Time  WS_80m   Temp (degC)\n"),
        given=Given.from_json({"date_order": "dmy"}),
    )
    assert set(found.sensors) == {"WS_80m", "Temp (degC)"}


def test_a_clock_of_twelve_hours_between_blanks_keeps_its_half() -> None:
    rows = "".join(f"3/{5 + n // 24}/2021 {(n % 12) or 12}:00 {'PM' if n % 24 > 11 else 'AM'} {n}\n" for n in range(48))
    found = read_file("Date Time Half Temp\n" + rows, given=Given.from_json({"date_order": "mdy"}))
    assert found.times("Temp")[:13:12] == ["2021-03-05 00:00:00", "2021-03-05 12:00:00"]


def test_a_name_for_the_time_over_a_date_and_a_clock() -> None:
    found = read_file(hours(30, "2021-03-{d:02} {h:02}:00 {n} 7", "TIMESTAMP level flow\n"))
    assert list(found.sensors) == ["level", "flow"]


# --- what tells the time


@pytest.mark.parametrize(
    ("count", "digits"), [(10**0, 10), (10**3, 13), (10**6, 16), (10**9, 19)], ids=["s", "ms", "us", "ns"]
)
def test_counts_since_1970_with_and_without_a_name(count: int, digits: int) -> None:
    rows = "".join(f"{(1614902400 + 600 * n) * count},{n}\n" for n in range(20))
    assert len(rows.split(",", maxsplit=1)[0]) == digits
    for head, sensor in (("timestamp,a\n", "a"), ("", "column 2")):
        found = read_file(head + rows)
        assert found.times(sensor)[:2] == ["2021-03-05 00:00:00", "2021-03-05 00:10:00"]
        assert found.layout.timezone_from == "cells"


def test_a_counter_of_ten_digits_is_no_time_when_something_else_is() -> None:
    found = read_file("time,pulses\n" + "".join(f"2021-03-{n:02},{1614902400 + n}\n" for n in range(1, 29)))
    assert found.values("pulses")[0] == 1614902401


def test_year_day_of_year_and_clock() -> None:
    rows = "".join(f"2021,{64 + n // 48},{n % 48 // 2 * 100 + n % 2 * 30},{n}\n" for n in range(100))
    found = read_file("Year,DOY,HHMM,T\n" + rows)
    assert found.times("T")[:2] == ["2021-03-05 00:00:00", "2021-03-05 00:30:00"]


def test_year_month_day_hour_without_a_header() -> None:
    found = read_file(hours(60, "2021 03 {d:02} {h:02}   -58   {n}"))
    assert found.times("column 6")[:2] == ["2021-03-05 00:00:00", "2021-03-05 01:00:00"]


def test_a_day_of_the_year_that_agrees_with_month_and_day_is_no_month() -> None:
    rows = "".join(f" 2021   1  1  1 {n // 60:2} {n % 60:2} {n / 60:6.3f} {n}\n" for n in range(180))
    found = read_file("station 7\n40.1 -105.2 1689 m\n" + rows)
    assert found.times("column 8")[1] == "2021-01-01 00:01:00"


def test_parts_of_a_time_without_a_header_are_not_guessed() -> None:
    text = hours(60, "2021 03 {d:02} {h:02} 30 {n}")  # the half hour, or thirty of something
    refusal(text, "no_table")
    columns = [
        {"name": f"column {n}", "role": role} for n, role in enumerate(["year", "month", "day", "hour", "minute"], 1)
    ]
    found = read_file(text, given=Given.from_json({"columns": columns}))
    assert found.times("column 6")[0] == "2021-03-05 00:30:00"


def test_the_header_says_which_of_two_numbers_is_the_day() -> None:
    rows = "".join(f"{3:02}/{5:02}/2021,{n:02}:00,{n}\n" for n in range(24))
    assert read_file("Date (MM/DD/YYYY),Time,a\n" + rows).times("a")[0] == "2021-03-05 00:00:00"
    assert read_file("Date (DD/MM/YYYY),Time,a\n" + rows).times("a")[0] == "2021-05-03 00:00:00"
    refused = refusal("Date,Time,a\n" + rows, "ambiguous_dates")
    assert {one.label: one.changes for one in refused.choices} == {
        "3 May 2021": {"date_order": "dmy"},
        "5 March 2021": {"date_order": "mdy"},
    }


@pytest.mark.parametrize(
    ("above", "time"),
    [
        ("Time zone,UTC+2\n", "time"),
        ("Time Zone:\tUTC-5:00\n", "time"),
        ("Data Source,Time Zone,Elevation\nmast,-7,2168\n", "time"),
        ("722780,PHOENIX,AZ,-7.0,33.4,-112.0,337\n", "time"),
        ("", "MST"),
        ("", "Time (UTC+01:00)"),
        ("", "Date CET"),
    ],
)
def test_zones_that_files_state(above: str, time: str) -> None:
    found = read_file(above + hours(30, "2021-03-{d:02} {h:02}:00,{n}", f"{time},a\n"))
    hour = {"UTC+2": "22", "UTC-5:00": "05", "mast": "07", "722780": "07"}
    expected = next((hour[key] for key in hour if key in above), {"MST": "07"}.get(time, "23"))
    assert found.times("a")[0].endswith(f"{expected}:00:00")
    assert found.layout.timezone_from == "file"


@pytest.mark.parametrize(
    "above", ["Created on (UTC)\n", "722780,PHOENIX,AZ,-7.0,33.4,112.0,337\n", "zone 4 of the field\n"]
)
def test_what_is_no_statement_of_a_zone(above: str) -> None:
    found = read_file(above + hours(30, "2021-03-{d:02} {h:02}:00,{n}", "time,a\n"))
    assert found.layout.timezone_from == "default"


# --- names, numbers and marks


def test_names_may_be_numbers() -> None:
    found = read_file(",0,1,2,3\n" + "".join(f"2021-03-{n:02},{n},2.5,3,4\n" for n in range(1, 29)))
    assert list(found.sensors) == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"1,234.5"', 1234.5),
        ('"1,234,567"', 1234567.0),
        ("1'234.5", 1234.5),
        ("1 234.5", 1234.5),
    ],
)
def test_marks_between_thousands(text: str, value: float) -> None:
    found = read_file("time,a\n" + "".join(f"2021-03-{n:02},{text if n % 2 else n / 4}\n" for n in range(1, 29)))
    assert found.values("a")[:3] == [value, 0.5, value]
    assert not found.not_numeric


def test_points_between_thousands_where_the_decimal_mark_is_a_comma() -> None:
    found = read_file("time;a\n" + "".join(f"2021-03-{n:02};{'1.234,5' if n % 2 else '7,25'}\n" for n in range(1, 29)))
    assert found.values("a")[:2] == [1234.5, 7.25]


def test_a_comma_that_may_be_a_thousand_or_a_decimal_mark_is_asked_about() -> None:
    text = "time;a\n" + "".join(f"2021-03-{n:02};{'1,234' if n % 2 else '987'}\n" for n in range(1, 29))
    choices = refusal(text, "ambiguous_numbers").choices
    values = [read_file(text, given=Given.from_json(choice.changes)).values("a")[0] for choice in choices]
    assert values == [1234.0, 1.234]


def test_a_number_that_the_file_declares_missing() -> None:
    rows = "".join(f"2021-03-{n:02},{n if n % 2 else -999}\n" for n in range(1, 29))
    found = read_file("NODATA = -999\nMissing values: 0\ntime,a\n" + rows)
    assert found.missing == 14
    assert found.layout.missing == ("-999",)
    # Nobody said so here: a temperature in a bad year, for all that Daybook knows.
    assert read_file("time,a\n" + rows).missing == 0


def test_a_line_of_kinds_and_one_that_says_the_same_over_all_columns_name_nothing() -> None:
    head = ",INV 8,INV 8,INV 8\n,Total,Freq,Power\n,Analog,Analog,Status\nDD.MM.YYYY hh:mm:ss,[Wh],[Hz],[W]\n"
    found = read_file(head + hours(30, "{d:02}.03.2021 {h:02}:00:00,{n},50.1,7"))
    assert list(found.sensors) == ["Total", "Freq", "Power"]
    assert found.units == {"Total": "Wh", "Freq": "Hz", "Power": "W"}


# --- whose readings they are


def test_readings_of_two_meters_at_the_same_times_are_not_mixed() -> None:
    rows = "".join(f"2021-03-{n:02},{meter},{n}\n" for meter in ("8716871", "8716872") for n in range(1, 29))
    refused = refusal("time,EAN,usage\n" + rows, "several_sources")
    found = read_file("time,EAN,usage\n" + rows, given=Given.from_json(refused.choices[0].changes))
    assert {name: len(readings) for name, readings in found.sensors.items()} == {"8716871": 28, "8716872": 28}


def test_states_of_a_home_are_a_list_of_readings() -> None:
    rows = "".join(f"sensor.{name},{n}.5,2021-03-{n:02}T10:00:00.000Z\n" for n in range(1, 29) for name in ("a", "b"))
    found = read_file("entity_id,state,last_changed\n" + rows)
    assert set(found.sensors) == {"sensor.a", "sensor.b"}


def summary(found: Reading) -> dict[str, int]:
    return {name: len(readings) for name, readings in found.sensors.items()}


def test_a_second_table_can_be_chosen_by_its_header() -> None:
    first = "id,begun,x,y,z\nB1,01-10-1978,1,2,3\nB1,16-11-1991,1,2,3\n\n"
    second = "id,date,level,remark,\n" + "".join(f"B1,{n:02}-03-2021,{n},,\n" for n in range(1, 29))
    assert refusal(first + second, "second_table")
    assert summary(read_file(first + second, given=Given.from_json({"header_line": 5}))) == {"level": 28}
