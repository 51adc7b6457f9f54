"""What Daybook understands of a file without being told, and the words in which it refuses the rest."""

import pytest

from daybook.formats.layout import FormatError
from tests.formats_reading import read_file

ROWS = "".join(f"2020-01-{day:02},{day},{day / 2}\n" for day in range(1, 29))


def refusal(data: bytes | str, code: str, **options: str) -> str:
    """The message of the refusal with that code; every refusal has to say what to do."""
    with pytest.raises(FormatError) as caught:
        read_file(data, **options)
    assert caught.value.code == code, caught.value
    assert caught.value.hint
    return str(caught.value)


# --- what is no table of readings


def test_an_empty_file_is_refused() -> None:
    assert refusal(b"", "empty_file") == "the file is empty"
    assert refusal(b"\xef\xbb\xbf", "empty_file")
    assert refusal(b"x", "no_table")


def test_a_file_of_blank_lines_is_refused() -> None:
    assert refusal("\n \r\n\t\n", "empty_file") == "the file holds only blank lines"


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n", "a PNG picture"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"BZh9", "bzip2"),
    ],
)
def test_other_kinds_of_files_are_refused_by_name(start: bytes, kind: str) -> None:
    assert kind in refusal(start + bytes(range(256)) * 20, "not_text")


def test_binary_data_is_refused_with_the_place_of_its_first_nul() -> None:
    assert "byte 6 is NUL" in refusal(b"12345\0\0\0\0,1\n" * 100, "not_text")


def test_web_pages_are_refused_by_name() -> None:
    assert "web page" in refusal("<!DOCTYPE html>\n<p>2020-01-01,1,2</p>\n", "markup")


def test_prose_is_refused_with_what_was_looked_for() -> None:
    text = "It was a dark and stormy night, the rain fell, and 2 loggers stopped.\n" * 40
    assert "none of the first 40 lines holds a time and a number" in refusal(text, "no_table")


def test_headers_alone_are_refused_by_their_line() -> None:
    text = "Station: A\n\nTime;T(C);U(%)\n"
    assert refusal(text, "no_rows").startswith("line 3 is a header (3 columns, semicolon-separated)")


def test_a_line_of_ten_megabytes_is_refused_by_its_number() -> None:
    assert refusal(b"x" * 10_000_000, "line_too_long").startswith("line 1 is longer than 1,048,576 bytes")
    # The rows before it are read; the import that asked for them takes them back.
    assert refusal(("time,a,b\n" + ROWS).encode() + b"1" * 10_000_000, "line_too_long").startswith("line 30 is longer")


def test_times_without_any_numbers_are_refused() -> None:
    text = "time,a,b\n" + "".join(f"2020-01-{day:02},on,up\n" for day in range(1, 29))
    assert refusal(text, "no_rows").startswith("line 1 is a header (3 columns, comma-separated)")


def test_an_unknown_zone_is_refused_before_anything_is_read() -> None:
    assert "Mars" in refusal("time,a,b\n" + ROWS, "unknown_timezone", timezone="Mars/Base")


# --- tables that do not say whose reading is whose


def test_two_tables_in_one_file_are_refused() -> None:
    small = "time,x\n2021-01-01,1\n2021-01-02,2\n2021-01-03,3\n"
    assert "two tables" in refusal(f"{small}\ntime,a,b\n{ROWS}", "second_table")
    assert "another table begins on line 31" in refusal(f"time,a,b\n{ROWS}\n{small}", "second_table")
    assert "another table begins on line 31" in refusal(f"time,a,b\n{ROWS}\ntime,c,d\n{ROWS}", "second_table")


def test_a_table_with_a_column_for_each_time_of_the_day_is_refused() -> None:
    header = ";".join(["Giorno", *(f"{hour:02}:00-{hour + 1:02}:00" for hour in range(24))])
    rows = "".join(f"{day:02}/01/2020;" + ";".join(["0,5"] * 24) + "\n" for day in range(1, 29))
    assert "00:00-01:00, 01:00-02:00 …" in refusal(header + "\n" + rows, "pivot_table")
    hours = ";".join(["day", *map(str, range(1, 25))])
    assert refusal(hours + "\n" + rows, "pivot_table")


def test_dates_that_repeat_without_a_clock_are_refused_and_not_read_as_midnight() -> None:
    rows = "".join(f"2020-01-{1 + row // 24:02};{row % 24 * 7};{row}\n" for row in range(96))
    message = refusal("day;position;a\n" + rows, "repeated_times")
    assert 'column "day" holds the same time in many rows, such as "2020-01-01" in 24' in message


def test_a_list_of_readings_whose_sensors_cannot_be_told_is_refused() -> None:
    rows = "".join(f"2020-01-{day:02},{kind},{day}\n" for kind in ("in", "out") for day in range(1, 20))
    assert refusal("time,kind,measured\n" + rows, "repeated_times")
    late = "".join(
        f"2020-0{month}-{day:02},{kind},{day},1\n" for month, kind in ((1, "T"), (2, "U")) for day in range(1, 20)
    )
    assert 'column "sensor" names sensors ("T", "U")' in refusal("time,sensor,min,max\n" + late, "no_value_column")


def test_a_row_that_stands_twice_is_no_reason_to_refuse() -> None:
    assert len(read_file("time,a,b\n" + ROWS + ROWS).values("a")) == 56


# --- what is understood


@pytest.mark.parametrize("header", ["YYYYMMDD,   HH", "date,hour", "date,Uhr"])
def test_an_hour_beside_the_date_belongs_to_the_time(header: str) -> None:
    rows = "".join(f"2020010{1 + row // 24},{row % 24 + 1:5},{row}\n" for row in range(72))
    found = read_file(f"{header},a\n{rows}")
    assert found.times("a")[:2] == ["2020-01-01 01:00:00", "2020-01-01 02:00:00"]
    assert found.times("a")[23] == "2020-01-02 00:00:00"
    assert list(found.sensors) == ["a"]


def test_a_clock_without_leading_zeros_belongs_to_the_time() -> None:
    rows = "".join(f"20200101;{row // 60 * 100 + row % 60};{row}\n" for row in range(0, 1440, 10))
    found = read_file("date;hhmm;a\n" + rows)
    assert found.times("a")[:8:7] == ["2020-01-01 00:00:00", "2020-01-01 01:10:00"]
    assert found.times("a")[-1] == "2020-01-01 23:50:00"


def test_names_that_repeat_get_a_number_that_nothing_else_has() -> None:
    found = read_file("time,ind,ind,ind (2),ind\n2020-01-01,1,2,3,4\n2020-01-02,1,2,3,4\n")
    assert {name: found.values(name)[0] for name in found.sensors} == {
        "ind": 1,
        "ind (2)": 2,
        "ind (2) (2)": 3,
        "ind (3)": 4,
    }


def test_names_stay_as_written_but_for_quotes_and_blanks_around_them() -> None:
    found = read_file('\ufeff"time";" Wind  80m ";"T(C)";"U [%]"\n2020-01-01;1;2;3\n2020-01-02;1;2;3\n')
    assert list(found.sensors) == ["Wind  80m", "T(C)", "U [%]"]
    assert found.units == {"Wind  80m": "", "T(C)": "C", "U [%]": "%"}


def test_a_line_of_units_below_the_names_gives_the_units() -> None:
    found = read_file("TIMESTAMP,RECORD,Spd\nTS,RN,m/s\n,,Avg\n2020-01-01,1,2.5\n2020-01-02,2,3.5\n")
    assert found.units == {"RECORD": "RN", "Spd": "m/s"}
    assert (found.preamble, found.layout.header_line, found.layout.units_line) == (3, 1, 2)


def test_a_file_without_a_header_has_numbered_columns_and_loses_no_row() -> None:
    found = read_file(ROWS)
    assert (list(found.sensors), found.read, found.preamble) == (["column 2", "column 3"], 28, 0)
    found = read_file("2020-13-45,1,2\n" + ROWS)
    assert (found.rejected_lines, found.preamble, list(found.sensors)) == ([1], 0, ["column 2", "column 3"])


@pytest.mark.parametrize(
    "line", ["2020-01-01,1", "2020-01-01 what,1,2", "2020-99-01,1,2", "2020-01-01,1,2,3,4", ",1,2"]
)
def test_bad_rows_right_below_the_header_are_rejected_and_not_passed_over(line: str) -> None:
    found = read_file(f"time,a,b\n{line}\n{ROWS}")
    assert (found.rejected_lines, found.preamble, list(found.sensors)) == ([2], 1, ["a", "b"])


def test_prose_above_the_table_may_hold_delimiters_and_words_for_time() -> None:
    text = "Date: 2019, by hand, or so\nTime zone is not known\n\nHeight,10,20\nDate,a,b\n"
    found = read_file(text + ROWS)
    assert (list(found.sensors), found.preamble) == (["a", "b"], 5)


def test_rows_that_begin_after_a_thousand_empty_ones_are_found() -> None:
    empty = "".join(f"{1900 + row // 300}-{row // 25 % 12 + 1:02}-{row % 25 + 1:02},,\n" for row in range(2000))
    found = read_file("time,a,b\n" + empty + ROWS)
    assert (found.read, found.missing, len(found.values("a"))) == (2028, 4000, 28)


@pytest.mark.parametrize(
    ("text", "zone", "said_by"),
    [
        ("Time_UTC,a,b\n", "UTC", "file"),
        ('"Date Time, GMT+01:00",a,b\n', "UTC+01:00", "file"),
        ("Timezone=-3.5\ntime,a,b\n", "UTC-03:30", "file"),
        ("Time zone: Europe/Dublin\ntime,a,b\n", "Europe/Dublin", "file"),
        ("Created (UTC): now\ntime,a,b\n", "UTC", "default"),
    ],
)
def test_the_zone_that_the_file_states_is_used_and_said(text: str, zone: str, said_by: str) -> None:
    layout = read_file(text + ROWS).layout
    assert (layout.timezone, layout.timezone_from) == (zone, said_by)


def test_the_zone_that_is_asked_for_goes_before_the_files_own() -> None:
    layout = read_file("Time_UTC,a,b\n" + ROWS, timezone="Europe/Dublin").layout
    assert (layout.timezone, layout.timezone_from) == ("Europe/Dublin", "request")


def test_times_with_an_offset_need_no_zone_but_later_ones_without_are_read_in_the_one_asked_for() -> None:
    rows = "".join(f"2020-07-{day:02}T00:00:00Z,{day}\n" for day in range(1, 20)) + "2020-07-20T01:00:00,20\n"
    found = read_file("time,a\n" + rows, timezone="Europe/Dublin")
    assert found.times("a")[-1] == "2020-07-20 00:00:00"


def test_a_counter_of_eight_digits_is_not_taken_for_the_time() -> None:
    rows = "".join(f"{19990059 + day};2020-01-{day:02};{day}\n" for day in range(1, 29))
    found = read_file("count;date;a\n" + rows)
    assert found.layout.columns[1].role == "time"
    assert found.times("a")[0] == "2020-01-01 00:00:00"


def test_a_header_that_comes_again_every_few_rows_does_not_hide_the_rows() -> None:
    found = read_file("time,a\n2020-01-01,1\n2020-01-02,1\n2020-01-03,1\n" * 1000)
    assert (found.read, found.rejected, found.preamble) == (3000, 999, 1)
