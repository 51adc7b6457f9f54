"""What becomes of every line and every cell of a delimited file."""

import pytest

from daybook.formats.layout import FormatError
from tests.formats_reading import Reading, read_file

ODD = "no row\n"  # a line that makes its block be read line by line


def both_ways(text: str, **options: str) -> Reading:
    """Reads the file in one go and line by line; everything but the added line has to be the same."""
    text = text if text.endswith("\n") else text + "\n"
    plain = read_file(text, **options)
    careful = read_file(text + ODD, **options)
    assert careful.sensors == plain.sensors
    assert careful.issues[:-1] == plain.issues
    assert careful.issues[-1].line == plain.lines + 1
    assert (careful.read, careful.blank, careful.missing) == (plain.read, plain.blank, plain.missing)
    return plain


def cells(*texts: str, delimiter: str = ",") -> str:
    rows = [f"2020-01-{day:02}{delimiter}{text}{delimiter}0.5" for day, text in enumerate(texts, start=2)]
    return "\n".join([delimiter.join(["time", "a", "b"]), delimiter.join(["2020-01-01", "1", "0.5"]), *rows])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5),
        (" 5 ", 5),
        ("\t5", 5),
        ("+5", 5),
        ("5.", 5),
        (".5", 0.5),
        ("-0.5", -0.5),
        ("1e3", 1000),
        ("1.5E-3", 0.0015),
        ('"5"', 5),
        ('" 5"', 5),
        ("007", 7),
        ("0.1", 0.1),
        ("123456789.123456789", 123456789.123456789),
        ("1e-400", 0),
    ],
)
def test_a_number_is_read(text: str, value: float) -> None:
    assert both_ways(cells(text)).values("a") == [1, value]


@pytest.mark.parametrize(
    "text",
    [
        "inf",
        "-inf",
        "Infinity",
        "1e999",
        "-1e999",
        "0x1F",
        "1_000",
        "1e",
        ".",
        "--5",
        "5.5.5",
        "1d5",
        "5 6",
        "٥",
        "abc",
        "nan(1)",
        "5\0",
        "ERR",
        '"5"x',
        "5;6",
        "#N/A",
        "True",
    ],
)
def test_what_is_no_number_is_listed_with_its_line_and_column(text: str) -> None:
    found = both_ways(cells("2", text, "3"))
    assert found.values("a") == [1, 2, 3]
    assert found.values("b") == [0.5] * 4
    [issue] = found.issues
    assert (issue.line, issue.column, issue.rejected) == (4, "a", False)
    assert issue.value == text.replace("\0", "␀").replace('"', "")
    assert found.not_numeric == 1


@pytest.mark.parametrize(
    "mark",
    [
        "",
        " ",
        " " * 30,
        "NaN",
        "nan",
        "NAN",
        "nAn",
        "NA",
        "na",
        " NA ",
        "n/a",
        "N/A",
        "null",
        "NULL",
        "nUll",
        "-",
        "--",
        "---",
        '""',
        '"NaN"',
    ],
)
def test_a_mark_for_a_missing_value_is_counted_as_missing(mark: str) -> None:
    found = both_ways(cells("2", mark))
    assert (found.values("a"), found.missing, found.issues) == ([1, 2], 1, [])


@pytest.mark.parametrize("sentinel", ["9999", "-999", "-999.9"])
def test_a_sentinel_that_nobody_declared_is_a_number(sentinel: str) -> None:
    assert both_ways(cells(sentinel)).values("a") == [1, float(sentinel)]


def test_decimal_commas_are_read_where_the_columns_show_them() -> None:
    found = both_ways("time;a;b\n2020-01-01;1,5;7\n2020-01-02;,25;1,5e3\n2020-01-03;-2,;8")
    assert (found.values("a"), found.values("b")) == ([1.5, 0.25, -2], [7, 1500, 8])


def test_a_point_is_no_decimal_mark_among_decimal_commas() -> None:
    found = both_ways("time;a\n2020-01-01;1,5\n2020-01-02;2,5\n2020-01-03;1.23")
    assert found.values("a") == [1.5, 2.5]
    assert [(issue.line, issue.value) for issue in found.issues] == [(4, "1.23")]


def test_quoted_decimal_commas_are_read_in_comma_separated_files() -> None:
    assert both_ways('time,a\n2020-01-01,"1,5"\n2020-01-02,"2,25"\n').values("a") == [1.5, 2.25]


def test_commas_between_thousands_are_never_read_as_decimal_commas() -> None:
    with pytest.raises(FormatError) as caught:
        read_file('time,a,b\n2020-01-01,"1,234",1\n2020-01-02,"2,345",2\n2020-01-03,7,3')
    assert caught.value.code == "ambiguous_numbers"
    found = both_ways('time,a,b\n2020-01-01,"1,234.5",1\n2020-01-02,"2,345",2\n2020-01-03,7,3')
    assert found.values("a") == [1234.5, 2345, 7]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2020-01-02,1", "has 2 cells; expected 3"),
        ("2020-01-02,1,2,3", "has 4 cells; expected 3"),
        ("2020-01-02", "has 1 cell; expected 3"),
        ("2020-01-02,1\r2020-01-03,2,3", "has 4 cells; expected 3"),
        ('2020-01-02,"1,2', "a quotation mark is opened and not closed on this line"),
        ("2020-13-02,1,2", 'is not a time; expected year, month, day, such as "2020-01-01"'),
        (",1,2", "has no time"),
        ("\0" * 50, "has 1 cell; expected 3"),
        ("\ufffd,1,2", 'is not a time; expected year, month, day, such as "2020-01-01"'),
    ],
)
def test_a_line_that_is_no_row_is_rejected_whole_with_its_number(line: str, reason: str) -> None:
    good = "".join(f"2020-02-{day:02},{day},0.5\n" for day in range(1, 29))
    found = both_ways(f"time,a,b\n2020-01-01,1,0.5\n\n{line}\r\n \t\n,,\n{good}")
    assert [(issue.line, issue.reason) for issue in found.issues] == [(4, reason)]
    assert (found.blank, found.read, found.rejected) == (3, 29, 1)


def test_line_numbers_count_the_lines_above_the_table() -> None:
    found = both_ways(
        'Station: "A\r\n\r\nSerial 5\r\ntime,a\r\n2020-01-01,1\r\n\r\n"2020-01-02","x"\r\n2020-01-03,3\r\n'
    )
    assert [(issue.line, issue.value) for issue in found.issues] == [(7, "x")]
    assert (found.preamble, found.blank, found.read) == (4, 1, 3)


def test_a_blank_line_and_a_cr_inside_a_line_do_not_cancel_out() -> None:
    found = read_file("time,a\n2020-01-01,1\n2020-01-02,2\r2020-01-03,3\n\n2020-01-04,4\n")
    assert found.values("a") == [1, 4]
    assert (found.blank, found.rejected_lines) == (1, [3])


def test_a_quoted_cell_does_not_swallow_the_lines_below_it() -> None:
    rows = "".join(f"2020-01-{day:02},{day},ok\n" for day in range(1, 20))
    found = read_file(f'time,a,note\n{rows}2020-01-20,20,"two\n2020-01-21,21,lines"\n2020-01-22,22,ok\n')
    assert found.values("a") == [*range(1, 20), 22]
    assert found.rejected_lines == [21, 22]


def test_delimiters_at_the_end_of_some_or_all_lines_make_no_sensor() -> None:
    assert both_ways("time,a\n2020-01-01,1,\n2020-01-02,2,\n").values("a") == [1, 2]
    assert both_ways("time,a,\n2020-01-01,1,\n2020-01-02,2,\n").values("a") == [1, 2]
    some = both_ways("time,a\n2020-01-01,1\n2020-01-02,2,,,\n2020-01-03,3\n")
    assert (some.values("a"), some.rejected) == ([1, 2, 3], 0)


def test_text_columns_are_passed_over_whatever_bytes_they_hold() -> None:
    found = read_file(b"time,a,note\n2020-01-01,1,caf\xc3\xa9\n2020-01-02,2,caf\xc3\xa9\n2020-01-03,3,caf\xe9\n")
    assert found.values("a") == [1, 2, 3]


def test_windows_1252_is_read() -> None:
    found = read_file("time;Temp °C;Größe\n2020-01-01;1;2\n".encode("cp1252"))
    assert list(found.sensors) == ["Temp °C", "Größe"]


def test_a_damaged_letter_does_not_turn_a_utf8_file_into_another_alphabet() -> None:
    found = read_file("time;Größe;é\n2020-01-01;1;2\n".encode() + b"2020-01-02;\xff;2\n2020-01-03;\xc3\xa9;2\n")
    assert list(found.sensors) == ["Größe", "é"]
    assert [issue.line for issue in found.issues] == [3, 4]


def test_a_byte_order_mark_in_front_of_a_line_is_no_part_of_its_time() -> None:
    found = both_ways("\ufefftime,a\n2020-01-01,1\n\ufeff2020-01-02,2\n")
    assert found.values("a") == [1, 2]


def test_newest_first_files_keep_the_order_of_the_file() -> None:
    assert both_ways("time,a\n2020-01-03,3\n2020-01-02,2\n2020-01-01,1\n").values("a") == [3, 2, 1]


def test_times_that_the_clocks_jump_over_are_rejected_with_the_reason() -> None:
    rows = "".join(f"2020-03-29 {hour:02}:00,{hour}\n" for hour in range(4))
    found = both_ways("time,a\n" + rows, timezone="Europe/Dublin")
    assert found.values("a") == [0, 2, 3]
    assert found.issues[0].reason == "does not exist in Europe/Dublin: the clocks go forward over it"
    assert found.issues[0].line == 3


def test_a_block_with_an_odd_line_in_the_hour_that_comes_twice_is_read_as_without_it() -> None:
    clocks = ["00:30", "01:00", "01:30", "01:00", "01:30", "02:00"]
    text = "time,a\n" + "".join(f"2020-10-25 {clock},{row}\n" for row, clock in enumerate(clocks))
    found = both_ways(text, timezone="Europe/Dublin")
    assert [time[11:16] for time in found.times("a")] == ["23:30", "00:00", "00:30", "01:00", "01:30", "02:00"]


# --- narrow files

NARROW = "time,sensor,value,unit\n2020-01-01,T,1,degC\n2020-01-01,U,50,%\n2020-01-02,T,2,degC\n2020-01-02,U,NaN,%\n"


def test_a_narrow_file_has_one_reading_a_line() -> None:
    found = both_ways(NARROW)
    assert (found.values("T"), found.values("U"), found.missing) == ([1, 2], [50], 1)
    assert found.units == {"T": "degC", "U": "%"}


def test_blanks_around_a_sensors_name_do_not_make_another_sensor() -> None:
    found = both_ways(NARROW + '2020-01-03, T ,3,degC\n2020-01-04,"T",4,degC\n')
    assert found.values("T") == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "names no sensor"),
        (" ", "names no sensor"),
        ("x" * 201, "is longer than 200 characters"),
        ("a\0b", "has characters that cannot be read"),
        ("a\ufffd", "has characters that cannot be read"),
    ],
)
def test_a_row_without_a_usable_name_is_rejected(name: str, reason: str) -> None:
    found = both_ways(NARROW + f"2020-01-03,{name},3,degC\n")
    assert [(issue.line, issue.column, issue.reason) for issue in found.issues] == [(6, "sensor", reason)]
    assert found.values("T") == [1, 2]


def test_sensors_that_are_called_by_numbers_are_sensors() -> None:
    found = both_ways("time,channel,value\n2020-01-01,1,10\n2020-01-01,2,20\n2020-01-02,1,11\n2020-01-02,2,x\n")
    assert (found.values("1"), found.values("2"), found.not_numeric) == ([10, 11], [20], 1)
