"""What the chat reads when somebody writes entries down: (what is known, text) -> (reply, effects)."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daybook.chat import conversation, replies, words
from daybook.chat.grammar import parse, pressed
from daybook.chat.moments import BadMoment, resolve
from daybook.chat.values import (
    AMOUNT,
    GAUGE,
    MOST_DATA,
    MOST_TEXT,
    AddReading,
    Known,
    Made,
    MakeAmount,
    MonthSum,
    Outcome,
    SensorKnown,
    TakeBack,
    When,
)

NOW = datetime(2026, 11, 20, 17, 20, tzinfo=UTC)
LAST = datetime(2026, 11, 19, 18, 20, tzinfo=UTC)
GROCERIES = SensorKnown(1, "groceries", "", AMOUNT, LAST, 10.0)
TEMPERATURE = SensorKnown(2, "temperature", "°C", GAUGE, LAST, 20.8)
RENT = SensorKnown(3, "Rent", "EUR", AMOUNT, LAST, 900.0)
KNOWN = Known(
    NOW,
    "Europe/Dublin",
    (GROCERIES, TEMPERATURE, RENT),
    (MonthSum("groceries", date(2026, 11, 1), 71.70, 6), MonthSum("groceries", date(2026, 10, 1), 300.0, 20)),
)
EMPTY = Known(NOW, "Europe/Dublin")


def told(text: str, known: Known = KNOWN, edited: bool = False) -> str:
    return "\n".join(reply.text for reply in outcome(text, known, edited).replies)


def outcome(text: str, known: Known = KNOWN, edited: bool = False) -> Outcome:
    return conversation.answer(parse(text), known, 77, edited)


def added(text: str, known: Known = KNOWN) -> list[AddReading]:
    return [effect for effect in outcome(text, known).effects if isinstance(effect, AddReading)]


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("12.50 groceries", "12.50 groceries. November so far: 84.20 in 7 entries."),
        ("groceries 12.50", "12.50 groceries. November so far: 84.20 in 7 entries."),  # a known sensor keeps its kind
        ("12.50 GRO CERIES", "12.50 groceries. November so far: 84.20 in 7 entries."),
        ("-3.20 groceries", "-3.20 groceries. November so far: 68.50 in 7 entries."),
        ("12.50 groceries yesterday", "12.50 groceries on 19 Nov. November so far: 84.20 in 7 entries."),
        ("12.50 groceries 31 Oct", "12.50 groceries on 31 Oct. October: 312.50 in 21 entries."),
        ("12.50 groceries 1.12.", "12.50 groceries on 1 Dec 2025. December 2025: 12.50 in 1 entry."),
        ("12.50 groceries at 9:05", "12.50 groceries at 09:05. November so far: 84.20 in 7 entries."),
        ("900 rent", "900.00 EUR Rent. November so far: 900.00 EUR in 1 entry."),
        ("900 € rent", "900.00 EUR Rent. November so far: 900.00 EUR in 1 entry."),
        ("temperature 21.4 °C", "temperature 21.4 °C, 0.6 more than on 19 Nov, 18:20."),
        ("21.4 temperature", "temperature 21.4 °C, 0.6 more than on 19 Nov, 18:20."),
        ("temperature 20.7", "temperature 20.7 °C, 0.1 less than on 19 Nov, 18:20."),
        ("temperature 20.8", "temperature 20.8 °C, the same as on 19 Nov, 18:20."),
        ("temperature 21 degC at 9:00", "temperature 21 °C at 09:00, 0.2 more than on 19 Nov, 18:20."),
        ("temperature 21.4 18 Nov 9:00", "temperature 21.4 °C on 18 Nov, 09:00."),  # written down after a later one
        (
            "3 bread",
            "3 bread. New here, kept as an amount: its entries are summed. November so far: 3 in 1 entry.",
        ),
        ("humidity 45 %", "humidity 45 %. New here, kept as a gauge: its last value counts."),
        (
            "1,234 bread",
            "1234 bread. I read 1,234 as 1234; for the other reading write 1.234. New here, kept as an amount: "
            "its entries are summed. November so far: 1234 in 1 entry.",
        ),
        (
            "<b>5</b> 3",
            "<b>5</b> 3. New here, kept as a gauge: its last value counts.",
        ),
    ],
)
def test_the_reply_repeats_what_was_understood(text: str, reply: str) -> None:
    assert told(text) == reply
    (undo,) = outcome(text).replies[0].buttons[0]
    assert (undo.text, undo.data) == ("Undo", "undo:77")


def test_a_reading_goes_to_the_known_sensor_under_its_own_name() -> None:
    assert added("12.50 Groceries") == [AddReading(1, "groceries", AMOUNT, "", NOW, 12.5)]
    assert added("TEMPERATURE 21.4") == [AddReading(1, "temperature", GAUGE, "°C", NOW, 21.4)]
    assert added("kitchen 21.4 °C") == [AddReading(1, "kitchen", GAUGE, "°C", NOW, 21.4)]


def test_a_label_is_a_name_too() -> None:
    sensor = SensorKnown(9, "Tair_2m", "°C", GAUGE, label="Air by the gate")
    assert added("air by the gate 3.5", Known(NOW, sensors=(sensor,)))[0].name == "Tair_2m"


def test_several_lines_are_recorded_in_order_with_one_sum_per_amount() -> None:
    text = "12.50 groceries\n3 bread\nmilk\n4 Bread yesterday\ntemperature 21.4\ntemperature 21.5\n5 USD rent"
    assert told(text).splitlines() == [
        "12.50 groceries.",
        "3 bread. New here, kept as an amount: its entries are summed.",
        "4 bread on 19 Nov.",
        "temperature 21.4 °C, 0.6 more than on 19 Nov, 18:20.",
        "temperature 21.5 °C, 0.1 more than at 17:20.",
        "",
        "groceries, November so far: 84.20 in 7 entries.",
        "bread, November so far: 7 in 2 entries.",
        "",
        "Not recorded: line 3, “milk”: it holds no number.",
        "Not recorded: line 7, “5 USD rent”: Rent is kept in EUR, not in USD.",
    ]
    assert [(one.line, one.name, one.value) for one in added(text)] == [
        (1, "groceries", 12.5),
        (2, "bread", 3),
        (4, "bread", 4),
        (5, "temperature", 21.4),
        (6, "temperature", 21.5),
    ]
    assert outcome(text).replies[0].buttons[0][0].text == "Undo all 5"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("5 bread tomorrow", "21 Nov is still to come"),
        ("5 bread 2027-01-01", "1 Jan 2027 is still to come"),
        ("5 bread at 18:20", "still to come (it is 17:20 here, by Europe/Dublin, which /timezone changes); write"),
        ("5 bread at 18:20", 'write "yesterday 18:20" if it was yesterday'),
        ("5 USD rent", "Rent is kept in EUR, not in USD"),
        ("temperature 70 °F", "temperature is kept in °C, not in °F"),
        ("2 coffees 5.60", "it can be 5.60 for “2 coffees” or 2 for “coffees 5.60”; put the name in quotes"),
        ("12.50", "it does not say what the number is of"),
        ("temperature nan", "not a number that can be kept"),
    ],
)
def test_what_cannot_be_kept_is_told_with_the_reason(text: str, reason: str) -> None:
    assert reason in told(text)
    assert "Write for example" in told(text)
    assert outcome(text).effects == ()
    assert outcome(text).replies[0].buttons == ()


def test_a_known_name_decides_between_two_readings_of_a_line() -> None:
    known = replace(KNOWN, sensors=(SensorKnown(1, "sensor 7"), SensorKnown(2, "rent"), SensorKnown(3, "bus 46")))
    assert [(one.name, one.value) for one in added("sensor 7 214\nrent 1 234,50\n12 bus 46", known)] == [
        ("sensor 7", 214),
        ("rent", 1234.5),
        ("bus 46", 12),
    ]


def test_two_sensors_that_differ_in_case_alone_are_written_exactly() -> None:
    known = replace(KNOWN, sensors=(SensorKnown(1, "T air"), SensorKnown(2, "t Air")))
    assert added("t Air 5", known)[0].name == "t Air"
    assert "its name can mean “T air”, “t Air”; write it exactly as one of them" in told("TAIR 5", known)


def test_an_entry_of_a_day_stands_at_its_noon_and_one_of_today_at_the_message() -> None:
    assert added("5 bread yesterday")[0].at == datetime(2026, 11, 19, 12, tzinfo=UTC)
    assert added("5 bread 18 Jul")[0].at == datetime(2026, 7, 18, 11, tzinfo=UTC)  # Irish summer time
    assert added("5 bread today")[0].at == NOW
    assert added("5 bread 18 Jul 9:00")[0].at == datetime(2026, 7, 18, 8, tzinfo=UTC)


def test_a_day_without_a_year_is_the_last_one_that_has_come() -> None:
    assert added("5 bread 20 Nov")[0].at == NOW
    assert added("5 bread 21 Nov")[0].at.year == 2025
    assert added("5 bread 29 Feb")[0].at == datetime(2024, 2, 29, 12, tzinfo=UTC)


def test_a_telephone_may_be_five_minutes_ahead() -> None:
    assert added("5 bread 17:25")
    assert not added("5 bread 17:26")


def test_an_edited_message_says_that_it_was_corrected() -> None:
    assert told("12.50 groceries", edited=True).startswith("Corrected: 12.50 groceries. November so far")
    assert told("1 groceries\n2 groceries", edited=True).startswith("Corrected:\n1 groceries.\n2 groceries.")
    assert told("12.50", edited=True).startswith("Nothing of the edited message is kept.")


def test_the_sums_that_an_answer_needs() -> None:
    said = parse("12.50 Groceries\n5 groceries 31 Oct\n3 bread\ntemperature 5\n5 USD rent\nhello")
    assert conversation.wants(said, NOW, "Europe/Dublin", KNOWN.sensors).months == (
        ("groceries", date(2026, 11, 1)),
        ("groceries", date(2026, 10, 1)),
        ("bread", date(2026, 11, 1)),
    )


def test_a_text_without_a_number_is_answered_with_help() -> None:
    assert told("good morning").startswith("I found no number to keep in that. Write for example:\n\n12.50 groceries\n")
    assert outcome("good morning").effects == ()


def test_in_a_group_that_was_helped_lately_idle_talk_is_left_alone() -> None:
    known = replace(KNOWN, helped_lately=True)
    assert outcome("good morning", known) == Outcome()
    assert "found no number" in told("@daybook_bot good morning", known)
    assert "found no number" in told("/ good morning", known)
    assert "I do not know /morning" in told("/morning", known)
    assert conversation.wants(parse("good morning"), NOW, "UTC", ()).helped_lately
    assert not conversation.wants(parse("good morning", is_reply=True), NOW, "UTC", ()).helped_lately


def test_undo() -> None:
    assert outcome("/undo") == Outcome(effects=(TakeBack(),))
    made = Made("groceries", 12.5, "", AMOUNT, NOW)
    assert replies.taken_back([made], KNOWN).text == (
        "Taken back: 12.50 groceries (at 17:20).\n\ngroceries, November: 71.70 in 6 entries."
    )
    two = [made, Made("temperature", 21.4, "°C", GAUGE, LAST)]
    assert replies.taken_back(two, EMPTY).text == (
        "Taken back 2 entries:\n12.50 groceries (at 17:20)\ntemperature 21.4 °C (on 19 Nov, 18:20)"
    )
    assert replies.taken_back([], KNOWN).text == "There is no entry of yours left to take back in this chat."
    assert replies.taken_back([], KNOWN, by_button=True).text == "That was taken back already."


# --- sizes, whatever is written

LINES = st.lists(
    st.sampled_from(
        [
            "12.50 groceries",
            "temperature 21.4",
            "milk " + "x" * 300,
            "1,234 " + "🛒" * 100,
            "5 " + "y" * 200,
            "0.1 a 1.1.",
        ]
    ),
    max_size=400,
).map("\n".join)


@given(st.one_of(LINES, st.text(max_size=400)), st.booleans())
def test_replies_and_buttons_fit_into_telegram(text: str, edited: bool) -> None:
    for reply in outcome(text, KNOWN, edited).replies:
        assert 0 < words.size_of(reply.text) <= MOST_TEXT
        for button in (one for row in reply.buttons for one in row):
            assert len(button.data.encode()) <= MOST_DATA


def test_a_long_list_is_summed_up_and_still_tells_what_was_not_recorded() -> None:
    text = "\n".join(["12.50 groceries"] * 300 + ["milk"] + ["temperature 21.4"] * 50 + ["1,234 bread"])
    assert told(text).splitlines() == [
        "351 entries kept:",
        "groceries: 300 entries.",
        "temperature: 50 entries, the last 21.4 °C.",
        "bread: 1 entry. New here, kept as an amount.",
        "Line 352: I read 1,234 as 1234; for the other reading write 1.234.",
        "",
        "groceries, November so far: 3821.70 in 306 entries.",
        "bread, November so far: 1234 in 1 entry.",
        "",
        "Not recorded: line 301, “milk”: it holds no number.",
    ]
    assert len(added(text)) == 351


def test_an_answer_to_many_lines_is_short() -> None:
    names = "\n".join(f"{number}.50 thing{chr(97 + number)}" for number in range(26))
    assert len(told("\n".join([names, *["hm"] * 80])).splitlines()) < 60
    assert told("\n".join(["1 bread"] * 3 + ["hm"] * 80)).endswith("it holds no number.\nand 70 more")
    assert "1 bread.\n1 bread." in told("\n".join(["1 bread"] * 20))
    assert "21 entries kept:\nbread: 21 entries." in told("\n".join(["1 bread"] * 21))
    made = [Made("groceries", 1, "", AMOUNT, NOW)] * 80
    assert "\nand 60 more\n" in replies.taken_back(made, KNOWN).text


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_any_number_is_summed_and_compared_without_an_error(values: list[float]) -> None:
    text = "\n".join(f"{value!r} groceries\ntemperature {value!r}" for value in values)
    assert len(added(text)) == 2 * len(values)


@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=30))
@example([10, 20, -30])
@example([5750, 519710, -532782])
def test_cents_add_up(cents: list[int]) -> None:
    text = told("\n".join(f"{one / 100:.2f} bread" for one in cents), EMPTY)
    total = f"{sum(cents) / 100:.2f}".removesuffix(".00")
    assert f": {total} in {words.entries(len(cents))}." in text


ZONES = st.sampled_from(sorted(available_timezones() - {"localtime", "Factory"}))
WHENS = st.one_of(
    st.builds(When, days_ago=st.integers(-1, 1), clock=st.none() | st.times()),
    st.builds(When, month=st.integers(1, 12), day=st.integers(1, 28), clock=st.none() | st.times()),
    st.builds(When, clock=st.times()),
)
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001


@given(WHENS, MOMENTS, ZONES)
def test_a_resolved_moment_is_never_ahead_and_lies_on_the_day_that_was_meant(
    when: When, now: datetime, zone: str
) -> None:
    there = ZoneInfo(zone)
    try:
        at = resolve(when, now, there)
    except BadMoment:
        return
    assert at <= now + timedelta(minutes=5)
    local = at.astimezone(there).date()
    if when.day is not None and when.clock is None:
        assert (local.month, local.day) == (when.month, when.day)
    if when.days_ago is not None and when.clock is None:
        assert local == now.astimezone(there).date() - timedelta(days=when.days_ago)


# --- gauges that were meant as amounts, and talk


RENT = Known(
    NOW,
    "Europe/Dublin",
    (SensorKnown(9, "rent", "", GAUGE, LAST, 850.0),),
    (MonthSum("rent", date(2026, 11, 1), 850, 1),),
)


def test_an_amount_for_what_has_been_a_gauge_says_so_and_offers_to_sum_it() -> None:
    reply = outcome("850 rent", RENT).replies[0]
    assert "rent is a gauge here: its last value counts, and nothing is summed." in reply.text
    assert [button.data for row in reply.buttons for button in row] == ["undo:77", "amount:9"]
    assert len(outcome("rent 850", RENT).replies[0].buttons) == 1
    assert len(outcome("21.4 temperature").replies[0].buttons) == 1  # nobody sums degrees


def test_the_button_sums_it_from_now_on() -> None:
    said = pressed("amount:9")
    assert conversation.wants(said, NOW, "Europe/Dublin", RENT.sensors).months == (("rent", date(2026, 11, 1)),)
    answer = conversation.answer(said, RENT, 0)
    assert answer.effects == (MakeAmount(RENT.sensors[0]),)
    assert "rent is an amount from now on" in answer.replies[0].text
    assert "November so far: 850 in 1 entry" in answer.replies[0].text
    again = replace(RENT, sensors=(replace(RENT.sensors[0], kind=AMOUNT),))
    assert conversation.answer(said, again, 0).effects == ()
    assert conversation.answer(pressed("amount:10"), RENT, 0).effects == ()
    assert "do not know" in told("/amount rent", RENT)


@pytest.mark.parametrize(
    "text", ["see you at 7", "back in 10 minutes", "did you pay 20?", "I’ll be there by 5", "my pin is 1234"]
)
def test_what_reads_like_a_sentence_is_no_new_sensor(text: str) -> None:
    assert not outcome(text).effects
    assert "reads like a sentence" in told(text)
    assert not outcome(text, replace(KNOWN, helped_lately=True)).replies
    name, _, number = text.rstrip("?").rpartition(" ")
    if number.isdecimal():
        assert added(f'"{name}" {number}')[0].value == float(number)


@pytest.mark.parametrize(
    "text",
    [
        *("train to Cork 12.50", "bread from Lidl 3.20", "living room temperature 21.4", "12.50 gift for him"),
        *("1.20 can of coke", "temp in 20.5", "vitamin a 5", "12 will power", "12.50 US mail", "power in 80"),
        *("1.20 milk 1/2 l", "2 1/2 bread"),
    ],
)
def test_names_of_several_words_are_none(text: str) -> None:
    assert len(added(text)) == 1


def test_a_refusal_that_was_meant_for_the_book_is_told_also_where_help_was_given_lately() -> None:
    lately = replace(KNOWN, helped_lately=True)
    assert "two numbers" in told("groceries 12.50 + 3.20", lately)
    assert "Not recorded: line 2" in told("12.50 groceries\nsee you at 7", lately)


DAYS = [
    *(("sunday roast", "gauge"), ("black friday", "amount"), ("fish on friday", "amount"), ("24/7 shop", "gauge")),
    *(("snacks 7/7", "amount"), ("monday", "gauge"), ("room 12/14", "gauge")),
]
NAMED = Known(NOW, "UTC", tuple(SensorKnown(number, name, "", kind) for number, (name, kind) in enumerate(DAYS, 1)))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        *(("sunday roast 3", "sunday roast"), ("3 black friday", "black friday"), ("black friday 3", "black friday")),
        *(("3 fish on friday", "fish on friday"), ("24/7 shop 5", "24/7 shop"), ("5 snacks 7/7", "snacks 7/7")),
        *(("monday 5", "monday"), ("room 12/14 21.5", "room 12/14"), ("snacks 7/7 5", "snacks 7/7")),
        ("5 24/7 shop", "24/7 shop"),
    ],
)
def test_a_known_name_that_holds_a_day_stays_that_name(text: str, name: str) -> None:
    assert [(one.name, one.at) for one in added(text, NAMED)] == [(name, NOW)]


def test_a_number_with_a_full_stop_that_looks_like_a_day_is_told_in_a_group_too() -> None:
    assert "write it without the last point" in told("temperature 21.4.", replace(KNOWN, helped_lately=True))


def test_a_name_with_a_full_stop_of_its_own_keeps_it() -> None:
    known = Known(NOW, "UTC", (SensorKnown(5, "groceries", "", AMOUNT), SensorKnown(6, "groceries.", "", AMOUNT)))
    assert [one.name for one in added("12 Groceries", known)] == ["groceries"]
    assert [one.name for one in added("12 groceries", known)] == ["groceries"]


def test_a_numbered_list_of_whole_numbers_is_a_list() -> None:
    assert [(one.name, one.value) for one in added("1. 5 bread\n2. 3 milk\n3. 12 eggs")] == [
        ("bread", 5),
        ("milk", 3),
        ("eggs", 12),
    ]
