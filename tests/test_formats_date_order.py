"""Day first or month first: decided by what the file shows, and asked where it shows nothing."""

from datetime import datetime, timedelta

import pytest

from daybook.formats.layout import FormatError
from tests.formats_reading import read_file


def file_of(dates: list[str]) -> str:
    return "Date,a\n" + "".join(f"{date},{row}\n" for row, date in enumerate(dates))


def ten_minutes(start: str, count: int, pattern: str) -> list[str]:
    first = datetime.fromisoformat(start)
    return [(first + row * timedelta(minutes=10)).strftime(pattern) for row in range(count)]


def test_a_day_over_twelve_decides() -> None:
    assert read_file(file_of(["01/02/2016", "13/02/2016"])).times("a")[0] == "2016-02-01 00:00:00"
    assert read_file(file_of(["01/02/2016", "01/13/2016"])).times("a")[0] == "2016-01-02 00:00:00"


def test_a_clock_that_goes_on_over_midnight_decides() -> None:
    day_first = ten_minutes("2016-01-09 22:00", 30, "%d/%m/%Y %H:%M")
    assert read_file(file_of(day_first)).times("a")[-1] == "2016-01-10 02:50:00"
    assert read_file(file_of(day_first[::-1])).times("a")[0] == "2016-01-10 02:50:00"
    month_first = ten_minutes("2016-01-09 22:00", 30, "%m/%d/%Y %H:%M")
    assert read_file(file_of(month_first)).times("a")[-1] == "2016-01-10 02:50:00"


def test_rows_in_order_one_way_and_in_disorder_the_other_decide() -> None:
    assert read_file(file_of(["01/02/2016", "05/02/2016", "02/03/2016"])).times("a")[2] == "2016-03-02 00:00:00"


@pytest.mark.parametrize(
    "dates",
    [
        ["09/01/2016 15:30", "09/01/2016 15:40"],
        ["05/06/2016 10:00", "06/06/2016 09:00"],  # read by hand, once a day or once a month
        ["01/01/2016", "01/02/2016", "01/03/2016"],
    ],
)
def test_what_may_be_either_is_asked_and_never_guessed(dates: list[str]) -> None:
    with pytest.raises(FormatError, match=rf'"{dates[0][:10]}.*" in column "Date" may be|may be') as caught:
        read_file(file_of(dates))
    assert caught.value.code == "ambiguous_dates"
    assert "(dmy)" in caught.value.hint


def test_the_question_names_both_dates() -> None:
    with pytest.raises(FormatError, match='"09/01/2016" in column "Date" may be 9 January 2016 or 1 September 2016'):
        read_file(file_of(["09/01/2016", "09/01/2016"]))


def test_the_answer_is_taken() -> None:
    assert read_file(file_of(["09/01/2016"]), date_order="dmy").times("a") == ["2016-01-09 00:00:00"]
    assert read_file(file_of(["09/01/2016"]), date_order="mdy").times("a") == ["2016-09-01 00:00:00"]


def test_an_answer_that_fits_no_row_is_refused() -> None:
    with pytest.raises(FormatError, match='"13/01/2016" in column "Date" is not a date with the month first'):
        read_file(file_of(["13/01/2016", "14/01/2016"]), date_order="mdy")


def test_dates_with_dots_have_the_day_first() -> None:
    assert read_file(file_of(["09.01.2016", "09.01.2016"])).times("a")[0] == "2016-01-09 00:00:00"


def test_a_two_digit_year_in_front_is_found_or_asked_about() -> None:
    with pytest.raises(FormatError, match="7 August 2019 or 19 August 2007"):
        read_file(file_of(["19/08/07", "19/08/07"]))
    assert read_file(file_of(ten_minutes("2019-08-07 22:00", 30, "%y/%m/%d %H:%M"))).times("a")[0][:4] == "2019"
    assert read_file(file_of(ten_minutes("2019-08-07 22:00", 30, "%d/%m/%y %H:%M"))).times("a")[0][:4] == "2019"


def test_dates_that_a_spreadsheet_turned_round_half_way_are_refused() -> None:
    with pytest.raises(
        FormatError, match='holds both "13/01/2016", which has the day first, and "01/25/2016"'
    ) as caught:
        read_file(file_of(["13/01/2016", "14/01/2016", "01/25/2016", "01/26/2016", "02/03/2016"]))
    assert caught.value.code == "mixed_dates"


def test_a_single_damaged_date_among_many_is_one_rejected_row() -> None:
    dates = ten_minutes("2016-01-20 00:00", 300, "%d/%m/%Y %H:%M")
    dates[100] = "01/25/2016 00:00"
    assert read_file(file_of(dates)).rejected_lines == [102]


def test_month_names_need_no_question() -> None:
    assert read_file(file_of(["09-Jan-2016", "10-jan-2016"])).times("a") == [
        "2016-01-09 00:00:00",
        "2016-01-10 00:00:00",
    ]
