"""What the chat reads when somebody asks: (what is known, command or button) -> reply."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daybook.chat import conversation, files, months, replies, words
from daybook.chat.grammar import parse, pressed
from daybook.chat.values import (
    AMOUNT,
    GAUGE,
    MOST_CAPTION,
    MOST_DATA,
    MOST_TEXT,
    FileAccount,
    Known,
    MonthSum,
    Reply,
    SensorKnown,
    SetTimezone,
    UndoFile,
)

NOW = datetime(2026, 11, 20, 17, 20, tzinfo=UTC)
LAST = datetime(2026, 11, 19, 18, 20, tzinfo=UTC)
NOVEMBER, OCTOBER = date(2026, 11, 1), date(2026, 10, 1)
KNOWN = Known(
    NOW,
    "Europe/Dublin",
    (
        SensorKnown(1, "groceries", "EUR", AMOUNT, LAST, 12.5),
        SensorKnown(2, "bread", "", AMOUNT, LAST, 3),
        SensorKnown(3, "temperature", "°C", GAUGE, LAST, 20.8),
        SensorKnown(4, "Tair", "°C", GAUGE, None, None, "Temp. attic"),
    ),
    (MonthSum("groceries", NOVEMBER, 1084.2, 7), MonthSum("bread", OCTOBER, 7, 1)),
)
EMPTY = Known(NOW, "Europe/Dublin")


def reply(text: str, known: Known = KNOWN) -> Reply:
    outcome = conversation.answer(parse(text, "daybook_bot"), known, 77)
    (only,) = outcome.replies
    return only


def buttons(asked: Reply) -> list[tuple[str, str]]:
    return [(button.text, button.data) for row in asked.buttons for button in row]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/sensors", "4 sensors in this chat:\nbread: amount\ngroceries: amount, EUR\nTemp. attic (Tair): gauge, °C\n"),
        ("/latest temperature", "temperature: 20.8 °C, on 19 Nov, 18:20"),
        ("/latest GROC", "groceries: 12.50 EUR, on 19 Nov, 18:20"),
        ("/latest attic", "Temp. attic: no readings"),
        ("/latest", "bread: 3, on 19 Nov, 18:20\ngroceries: 12.50 EUR, on 19 Nov, 18:20\nTemp. attic: no readings\n"),
        ("/sum", "November so far:\ngroceries: 1084.20 EUR in 7 entries"),
        ("/sum@daybook_bot groceries", "groceries, November so far: 1084.20 EUR in 7 entries"),
        ("/sum groceries november", "groceries, November so far: 1084.20 EUR in 7 entries"),
        ("/sum november groceries", "groceries, November so far: 1084.20 EUR in 7 entries"),
        ("/sum last month", "October:\nbread: 7 in 1 entry"),
        ("/sum bread 2026-10", "bread, October: 7 in 1 entry"),
        ("/sum bread last month", "bread, October: 7 in 1 entry"),
        ("/sum bread this month", "bread, November so far: no entries"),
        ("/sum december", "December 2025: no entries."),
        ("/sum temperature", "temperature is a gauge, whose values are not summed."),
        ("/sum r", "“r” can be 2 sensors. Which one?"),
        ("/sum shoes", "There is no amount “shoes” here. Which one?"),
        ("/sum temp", "There is no amount “temp” here. Which one?"),
        ("/sum 2026-11-18", "“2026-11-18” is not a month. Write /sum november or /sum 2026-11."),
        ("/sum bread 2026", "“2026” is not a month. Write /sum bread november or /sum bread 2026-11."),
        ("/sum 2026 bread", "“2026” is not a month. Write /sum bread november or /sum bread 2026-11."),
        ("/sum bread 2026-13", "“2026-13” is not a month."),
        ("/sum groceries next month", "“next month” is not a month."),
        ("/sum last week", "“last week” is not a month. Write /sum november or /sum 2026-11."),
        ("/sum bread yesterday", "“yesterday” is not a month. Write /sum bread november"),
        ("/sum 18.11.", "“18.11.” is not a month."),
        ("/chart temperature week", "temperature, 7 days."),
        ("/chart temperature last Month", "temperature, 30 days."),
        ("/chart temperature 1 year", "temperature, 1 year."),
        ("/chart temperature 7 days", "temperature, 7 days."),
        ("/chart groceries 3 parsecs", "A picture shows 7d, 30d or 1y, not 3 parsecs: /chart groceries 30d"),
        ("/chart temperature fortnight", "A picture shows 7d, 30d or 1y, not fortnight: /chart temperature 30d"),
        ("/chart shoes", "There is no “shoes” here. Which one?"),
        ("/chart", "Which one?"),
        ("/chart tair", "Temp. attic has no readings to draw yet."),
        ("/chart temperature 90d", "A picture shows 7d, 30d or 1y, not 90d: /chart temperature 30d"),
        ("/export foo", "“foo” is not a month."),
        ("/undone", "I do not know /undone.\n\nWrite a number and its name"),
        ("/help", "Write a number and its name, one entry per line:\n\n12.50 groceries\n"),
        ("/start", "This chat keeps your book."),
        ("/timezone", "Times and months here are those of Europe/Dublin, where it is 17:20."),
        ("/timezone Atlantis", "“Atlantis” is not a time zone I know."),
        ("/timezone ../etc", "“../etc” is not a time zone I know."),
    ],
)
def test_answers(text: str, told: str) -> None:
    assert reply(text).text.startswith(told)


@pytest.mark.parametrize("command", ["/sensors", "/latest", "/chart temperature", "/export"])
def test_an_empty_chat_is_told_what_to_do(command: str) -> None:
    assert "Write a number with its name: “12.50 groceries”" in reply(command, EMPTY).text
    assert reply(command, EMPTY).chart is None
    assert reply(command, EMPTY).export is None


def test_without_amounts_a_sum_says_how_to_make_one() -> None:
    assert "Write the number first" in reply("/sum", EMPTY).text


def test_names_are_completed_by_buttons_that_work() -> None:
    asked = reply("/sum r october")
    assert buttons(asked) == [("bread", "sum:2:2026-10"), ("groceries", "sum:1:2026-10")]
    assert conversation.answer(pressed("sum:2:2026-10"), KNOWN, 0).replies[0].text == "bread, October: 7 in 1 entry"
    assert conversation.wants(pressed("sum:2:2026-10"), NOW, "UTC", KNOWN.sensors).months == (("bread", OCTOBER),)
    asked = reply("/latest t")
    assert buttons(asked) == [("Temp. attic", "latest:4"), ("temperature", "latest:3")]
    assert conversation.answer(pressed("latest:3"), KNOWN, 0).replies[0].text.startswith("temperature: 20.8 °C")
    assert ("temperature", "chart:3:7d") in buttons(reply("/chart 7d"))


@pytest.mark.parametrize("text", ["/sum shoes", "/sum t", "/sum temp", "/sum e"])
def test_a_sum_offers_amounts_alone(text: str) -> None:
    assert {name for name, _ in buttons(reply(text))} == {"bread", "groceries"}


def test_sums_and_counts_are_written_alike() -> None:
    known = replace(KNOWN, sums=(MonthSum("groceries", NOVEMBER, 1000, 1000),))
    assert reply("/sum groceries", known).text == "groceries, November so far: 1000.00 EUR in 1000 entries"


def test_the_month_before_is_one_press_away() -> None:
    assert buttons(reply("/sum")) == [("October", "sum:-1:2026-10")]
    assert buttons(reply("/sum groceries december")) == [("November 2025", "sum:1:2025-11")]
    assert conversation.answer(pressed("sum:-1:2026-10"), KNOWN, 0).replies[0].text == "October:\nbread: 7 in 1 entry"


def test_a_button_of_a_sensor_that_is_gone_offers_those_that_are_there() -> None:
    answer = conversation.answer(pressed("latest:99"), KNOWN, 0).replies[0]
    assert answer.text == "That sensor is not here any more. Which one?"
    assert len(buttons(answer)) == 4


def test_a_sensor_may_be_called_like_a_month_or_a_range() -> None:
    known = replace(KNOWN, sensors=(SensorKnown(7, "May", "", AMOUNT), SensorKnown(8, "7d", "", GAUGE, LAST, 1)))
    assert reply("/sum may", known).text == "May, November so far: no entries"
    assert reply("/sum may may", known).text == "May, May: no entries"
    assert reply("/chart 7d", known).chart is not None


@pytest.mark.parametrize(
    ("text", "asked_for"),
    [
        ("/sum", ((None, NOVEMBER),)),
        ("/sum last month", ((None, OCTOBER),)),
        ("/sum Groceries", (("groceries", NOVEMBER),)),
        ("/sum temperature", ()),
        ("/latest", ()),
    ],
)
def test_the_sums_that_an_answer_needs(text: str, asked_for: object) -> None:
    assert conversation.wants(parse(text), NOW, "Europe/Dublin", KNOWN.sensors).months == asked_for


# --- pictures and files


def test_a_gauge_is_drawn_up_to_now() -> None:
    answer = reply("/chart temperature 7d")
    assert answer.text == "temperature, 7 days."
    assert buttons(answer) == [("30 days", "chart:3:30d"), ("1 year", "chart:3:1y")]
    chart = answer.chart
    assert chart
    assert (chart.sensor_id, chart.start, chart.edges) == (3, NOW - timedelta(days=7), ())
    assert chart.start < LAST < NOW < chart.end


@pytest.mark.parametrize(
    ("span", "last", "now", "first_bar", "bars"),
    [
        ("7d", datetime(2026, 11, 11, 13, tzinfo=UTC), datetime(2026, 11, 18, 12, tzinfo=UTC), date(2026, 11, 5), 7),
        ("7d", datetime(2026, 11, 12, 0, tzinfo=UTC), datetime(2026, 11, 18, 12, tzinfo=UTC), date(2026, 11, 12), 7),
        ("1y", datetime(2026, 11, 18, tzinfo=UTC), datetime(2027, 11, 15, tzinfo=UTC), date(2025, 12, 1), 12),
    ],
)
def test_the_bars_of_an_amount_hold_its_last_reading(
    span: str, last: datetime, now: datetime, first_bar: date, bars: int
) -> None:
    known = Known(now, "UTC", (SensorKnown(1, "coffee", "", AMOUNT, last, 5.0),))
    answer = reply(f"/chart coffee {span}", known)
    assert answer.chart
    assert (answer.chart.edges[0].date(), len(answer.chart.edges)) == (first_bar, bars)
    assert answer.chart.start <= last < answer.chart.end
    if answer.chart.end < now:
        assert f"up to its last reading on {last.day} Nov" in answer.text


def test_an_old_gauge_is_drawn_up_to_its_last_reading() -> None:
    then = datetime(2026, 3, 1, 12, tzinfo=UTC)
    known = Known(NOW, "UTC", (SensorKnown(3, "mast", "m/s", GAUGE, then, 5.0),))
    answer = reply("/chart", known)
    assert answer.text == "mast, 30 days up to its last reading on 1 Mar."
    assert answer.chart
    assert answer.chart.start <= then < answer.chart.end


def test_an_amount_is_drawn_in_days_or_months_of_the_chat() -> None:
    days = reply("/chart groceries 30d").chart
    assert days
    assert (len(days.edges), days.bar) == (30, "day")
    assert days.edges[0] == datetime(2026, 10, 21, 23, tzinfo=UTC)  # still summer time in Dublin
    assert days.edges[-1] == datetime(2026, 11, 20, tzinfo=UTC)
    assert (days.start, days.end) == (days.edges[0], datetime(2026, 11, 21, tzinfo=UTC))
    year = reply("/chart groceries 1y").chart
    assert year
    assert (len(year.edges), year.bar) == (12, "month")
    assert (year.edges[0], year.end) == (datetime(2025, 12, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))


def test_a_month_as_a_file() -> None:
    answer = reply("/export october")
    assert answer.text == "Every reading of October in this chat."
    assert answer.export
    assert answer.export.filename == "daybook-2026-10.csv"
    assert answer.export.start == datetime(2026, 9, 30, 23, tzinfo=UTC)
    assert answer.export.end == datetime(2026, 11, 1, tzinfo=UTC)
    assert reply("/export").export
    assert "no reading of October" in replies.nothing_to_export(OCTOBER, KNOWN).text


def test_the_account_of_a_file_adds_up_in_the_chat() -> None:
    account = FileAccount("a.csv", 100, 2, 1, 95, 2, 180, 10, ("T", "RH"), LAST, NOW, ((5, "no time"),))
    answer = files.done(account, NOW, "Europe/Dublin", 12)
    assert answer.text.splitlines() == [
        "a.csv is in: 180 readings added, 10 were there already, 2 sensors (T, RH).",
        "From 19 Nov, 18:20 to today, 17:20.",
        "100 lines: 2 before the readings, 1 blank, 95 read, 2 rejected.",
        "",
        "Line 5: no time",
        "1 more on the upload's page.",
    ]
    large = replace(account, total=5100, preamble=0, read=5097, assumed_zone="UTC")
    assert (
        "5\u202f100 lines: 0 before the readings, 1 blank, 5\u202f097 read, 2 rejected."
        in files.done(large, NOW, "UTC", 12).text
    )
    assert pressed(answer.buttons[0][0].data) == UndoFile(12)
    assert "https://x/uploads" in files.too_large("b.csv", "https://x/uploads").text
    assert files.progress("a.csv", 50, 200, 1234).text == "a.csv: 25 %, 1\u202f234 readings so far."
    assert "nothing of it is kept" in files.failed("a.csv", "it is a picture").text


# --- time zones and months


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("/timezone Europe/Dublin", "Europe/Dublin"),
        ("/timezone europe/dublin", "Europe/Dublin"),
        ("/timezone dublin", "Europe/Dublin"),
        ("/timezone new york", "America/New_York"),
        ("/timezone utc", "UTC"),
    ],
)
def test_a_time_zone_is_found_by_its_city(text: str, zone: str) -> None:
    outcome = conversation.answer(parse(text), KNOWN, 77)
    assert outcome.effects == (SetTimezone(zone),)
    assert f"now those of {zone}" in outcome.replies[0].text


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("this month", NOVEMBER),
        ("last month", OCTOBER),
        ("November", NOVEMBER),
        ("dec", date(2025, 12, 1)),
        ("2026-10", OCTOBER),
        ("10/2026", OCTOBER),
        ("november 2024", date(2024, 11, 1)),
        ("2026-13", None),
        ("0001-01", None),
        ("soon", None),
    ],
)
def test_months(text: str, first: date | None) -> None:
    assert months.read(text.split(), NOW, ZoneInfo("Europe/Dublin")) == first


def test_a_month_begins_and_ends_where_the_chat_is() -> None:
    dublin = ZoneInfo("Europe/Dublin")
    assert months.bounds(date(2026, 3, 1), dublin) == (  # clocks change within it
        datetime(2026, 3, 1, tzinfo=UTC),
        datetime(2026, 3, 31, 23, tzinfo=UTC),
    )
    assert months.month_of(datetime(2026, 10, 31, 23, 59, tzinfo=UTC), dublin) == OCTOBER
    assert months.month_of(datetime(2026, 9, 30, 23, tzinfo=UTC), dublin) == OCTOBER
    assert months.month_of(datetime(2026, 9, 30, 22, 59, 59, 999999, tzinfo=UTC), dublin) == date(2026, 9, 1)


ZONES = st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"}))


@given(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)), ZONES)  # noqa: DTZ001
def test_every_moment_lies_within_the_bounds_of_its_month_alone(at: datetime, zone: str) -> None:
    there, moment = ZoneInfo(zone), at.replace(tzinfo=UTC)
    first = months.month_of(moment, there)
    start, end = months.bounds(first, there)
    assert start <= moment < end
    assert months.bounds(months.next_month(first), there)[0] == end
    assert months.bounds(months.next_month(first, -1), there)[1] == start


# --- sizes, whatever is known and asked

NAMES = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=200)
SENSORS = st.lists(
    st.builds(
        SensorKnown,
        st.integers(1, 2**31 - 1),
        NAMES,
        st.sampled_from(["", "EUR", "°C"]),
        st.sampled_from([AMOUNT, GAUGE]),
        st.just(LAST),
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from(["", "🛒" * 100]),
    ),
    max_size=60,
).map(tuple)
ASKED = st.one_of(
    st.sampled_from(
        ["/sensors", "/latest", "/sum", "/sum last month", "/chart", "/chart 1y", "/export", "/x", "/help"]
    ),
    st.builds("/{} {}".format, st.sampled_from(["sum", "latest", "chart", "export", "timezone"]), NAMES),
)


@given(SENSORS, ASKED)
def test_answers_and_buttons_fit_into_telegram(sensors: tuple[SensorKnown, ...], text: str) -> None:
    sums = tuple(MonthSum(sensor.name, NOVEMBER, sensor.last_value or 0, 3) for sensor in sensors)
    known = Known(NOW, "Europe/Dublin", sensors, sums)
    said = parse(text)
    conversation.wants(said, NOW, known.timezone, sensors)
    for answer in conversation.answer(said, known, 2**63 - 1).replies:
        most = MOST_CAPTION if answer.chart or answer.export else MOST_TEXT
        assert 0 < words.size_of(answer.text) <= most
        for text_of, data in buttons(answer):
            assert 0 < len(data.encode()) <= MOST_DATA
            assert text_of
        if answer.chart:
            assert answer.chart.start < answer.chart.end


@pytest.mark.parametrize(
    "said",
    [
        replies.not_text(),
        replies.pending(2**40),
        replies.allowed(KNOWN),
        replies.blocked(was_allowed=True),
        replies.blocked(was_allowed=False),
        replies.button_gone(),
    ],
)
def test_what_is_said_to_strangers_and_about_pictures_is_a_few_sentences(said: Reply) -> None:
    assert 20 < len(said.text) < MOST_CAPTION


def test_a_stranger_reads_the_id_that_an_admin_needs() -> None:
    assert "your id is 4242" in replies.pending(4242).text


def test_the_menu_fits_into_telegram() -> None:
    for name, about in replies.COMMANDS:
        assert name.isalpha()
        assert 1 <= len(about) <= 256
        assert not reply(f"/{name}").text.startswith("I do not know") if name != "undo" else True


def test_a_gauge_whose_sum_is_asked_for_can_be_summed_by_a_press() -> None:
    gauge = SensorKnown(7, "lunch", "", GAUGE, LAST, 8.9)
    for known in (Known(NOW, "UTC", (gauge,)), replace(KNOWN, sensors=(*KNOWN.sensors, gauge))):
        answer = reply("/sum lunch", known)
        assert "lunch is a gauge" in answer.text
        assert buttons(answer) == [("Sum lunch", "amount:7")]
