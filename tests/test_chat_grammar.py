"""What people type on telephones, and what counts of it."""

from datetime import UTC, date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daybook.chat import words
from daybook.chat.characters import key
from daybook.chat.grammar import parse, pressed
from daybook.chat.moments import resolve
from daybook.chat.values import (
    AMOUNT,
    GAUGE,
    MOST_NAME,
    Command,
    Entry,
    NotForUs,
    Nothing,
    Record,
    Undo,
    UndoFile,
    Unread,
    When,
)


def only(text: str) -> Entry:
    said = parse(text)
    assert isinstance(said, Record), said
    assert len(said.entries) == 1, said
    assert not said.unread
    return said.entries[0]


def refusal(text: str) -> Unread:
    said = parse(text)
    assert isinstance(said, Record), said
    assert not said.entries
    return said.unread[0]


AMOUNTS = [
    # text, value, unit, name
    ("12.50 groceries", 12.5, "", "groceries"),
    ("12,50 groceries", 12.5, "", "groceries"),
    ("1.234,50 rent", 1234.5, "", "rent"),
    ("1,234.50 rent", 1234.5, "", "rent"),
    ("1.234.567 house", 1234567, "", "house"),
    ("1,234,567.89 house", 1234567.89, "", "house"),
    ("1'234.50 rent", 1234.5, "", "rent"),
    ("1’234,50 rent", 1234.5, "", "rent"),
    ("1 234,50 rent", 1234.5, "", "rent"),
    ("1\u00a0234,50 rent", 1234.5, "", "rent"),
    ("1\u202f234\u202f567 rent", 1234567, "", "rent"),
    ("1\u2009234,50\u00a0€ rent", 1234.5, "€", "rent"),
    ("1 234 567,89€ house", 1234567.89, "€", "house"),
    ("0,500 milk", 0.5, "", "milk"),
    (".5 milk", 0.5, "", "milk"),
    ("1,2345 milk", 1.2345, "", "milk"),
    ("-3.20 refund", -3.2, "", "refund"),
    ("−3.20 refund", -3.2, "", "refund"),
    ("–3,20 refund", -3.2, "", "refund"),
    ("➖3.20 refund", -3.2, "", "refund"),
    ("˗3.20 refund", -3.2, "", "refund"),
    ("-€3.20 refund", -3.2, "€", "refund"),
    ("€-3.20 refund", -3.2, "€", "refund"),
    ("+12.50 groceries", 12.5, "", "groceries"),
    ("€12.50 groceries", 12.5, "€", "groceries"),
    ("12.50€ groceries", 12.5, "€", "groceries"),
    ("€ 12.50 groceries", 12.5, "€", "groceries"),
    ("12,50 € groceries", 12.5, "€", "groceries"),
    ("12.50 EUR groceries", 12.5, "EUR", "groceries"),
    ("12.50 eur groceries", 12.5, "EUR", "groceries"),
    ("12.50 euros groceries", 12.5, "EUR", "groceries"),
    ("EUR 12.50 groceries", 12.5, "EUR", "groceries"),
    ("CHF12.50 groceries", 12.5, "CHF", "groceries"),
    ("12.50 groceries €", 12.5, "€", "groceries"),
    ("12,- wine", 12, "", "wine"),
    ("12.50 for groceries", 12.5, "", "groceries"),
    ("12.50, groceries", 12.5, "", "groceries"),
    ("12.50: groceries", 12.5, "", "groceries"),
    ("12.50 train to Cork", 12.5, "", "train to Cork"),
    ("12.50 bus 46", 12.5, "", "bus 46"),
    ("12.50 coffee - Lidl", 12.5, "", "coffee - Lidl"),
    ("12.50 - groceries", 12.5, "", "groceries"),
    ("@daybook_bot 12.50 groceries", 12.5, "", "groceries"),
    ("12.50 groceries @Daybook_Bot", 12.5, "", "groceries"),
    ('5 "-"', 5, "", "-"),
    ('5 "route 66"', 5, "", "route 66"),
    ("5 “route 66”", 5, "", "route 66"),
    ("• 12.50 groceries", 12.5, "", "groceries"),
    ("1. 12.50 groceries", 12.5, "", "groceries"),
    ("１２．５０ groceries", 12.5, "", "groceries"),
    ("١٢٫٥ خبز", 12.5, "", "خبز"),
    ("12.50 🛒", 12.5, "", "🛒"),
    ("12.50\u00a0groceries", 12.5, "", "groceries"),
    ("12.50\u3000groceries", 12.5, "", "groceries"),
    ("\u200f12.50 groceries\ufeff", 12.5, "", "groceries"),
    ("  12.50\tgroceries  ", 12.5, "", "groceries"),
    ("30 min running", 30, "min", "running"),
    ("5 km run", 5, "km", "run"),
    ("45 bar bill", 45, "", "bar bill"),  # a word that could be a unit, but begins a name
    ("12.50 <b>bread</b> & $x$", 12.5, "", "<b>bread</b> & $x$"),
]


AMOUNTS += [
    ("12.50 groceries.", 12.5, "", "groceries"),
    ("12.50 groceries!!", 12.5, "", "groceries"),
    ("12.50 friday pizza", 12.5, "", "friday pizza"),
    ("10 000 steps", 10_000, "", "steps"),
    ("1 234 567 steps", 1_234_567, "", "steps"),
]


@pytest.mark.parametrize(
    "text", ["18 Nov groceries", "groceries 18 Nov", "yesterday", "18:20", "meeting moved to 15:00"]
)
def test_a_day_or_a_time_without_a_number_is_nothing_to_keep(text: str) -> None:
    assert isinstance(parse(text), Nothing)


@pytest.mark.parametrize(
    ("when", "day"),
    [
        ("18/11", date(2026, 11, 18)),
        ("18-Nov", date(2026, 11, 18)),
        ("18/Nov/2025", date(2025, 11, 18)),
        ("2026/11/18", date(2026, 11, 18)),
        ("monday", date(2026, 11, 16)),
        ("on Monday", date(2026, 11, 16)),
        ("friday", date(2026, 11, 20)),
        ("last friday", date(2026, 11, 13)),
        ("2 days ago", date(2026, 11, 18)),
        ("a week ago", date(2026, 11, 13)),
        ("the day before yesterday", date(2026, 11, 18)),
    ],
)
@pytest.mark.parametrize("line", ["12.50 groceries {}", "{} 12.50 groceries", "groceries 12.50, {}"])
def test_days_as_people_write_them(line: str, when: str, day: date) -> None:
    entry = only(line.format(when))
    assert entry.name == "groceries"
    assert resolve(entry.when, datetime(2026, 11, 20, 12, tzinfo=UTC), UTC).date() == day  # a Friday


def test_a_day_on_a_line_of_its_own_is_that_of_the_entries_under_it() -> None:
    said = parse("18.11.\n12.50 shopping\n3.20 milk at 9:05\nyesterday 5 beer\n17.11. 18:00\n7 wine")
    assert isinstance(said, Record)
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert [(entry.name, f"{resolve(entry.when, now, UTC):%d %H:%M}") for entry in said.entries] == [
        ("shopping", "18 12:00"),
        ("milk", "18 09:05"),
        ("beer", "19 12:00"),
        ("wine", "17 18:00"),
    ]
    assert not said.unread


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20.11.\n3 coffee\n12:00\n4 tea", [("coffee", "20 12:00"), ("tea", "20 12:00")]),
        ("yesterday\n3 coffee\n18:00\n4 tea", [("coffee", "26 12:00"), ("tea", "26 18:00")]),
        ("yesterday\n08:00\n3 coffee", [("coffee", "26 08:00")]),
        ("10:00\n20.11.\n3 coffee", [("coffee", "20 10:00")]),
        ("20.11.\n3 coffee\n21.11.\n4 tea", [("coffee", "20 12:00"), ("tea", "21 12:00")]),
    ],
)
def test_a_time_on_a_line_of_its_own_is_one_of_the_day_above_it(text: str, expected: list[tuple[str, str]]) -> None:
    said = parse(text)
    assert isinstance(said, Record)
    now = datetime(2026, 11, 27, 19, tzinfo=UTC)
    assert [(entry.name, f"{resolve(entry.when, now, UTC):%d %H:%M}") for entry in said.entries] == expected
    assert not said.unread


def test_a_day_on_a_line_of_its_own_with_no_entry_under_it_is_told() -> None:
    said = parse("12.50 groceries\nyesterday")
    assert isinstance(said, Record)
    assert [(line.line, line.reason) for line in said.unread] == [(2, "it holds a day or a time, but no number")]
    said = parse("18.11.\n19.11.\n12.50 groceries")
    assert isinstance(said, Record)
    assert [line.line for line in said.unread] == [1]


@pytest.mark.parametrize(("text", "value", "unit", "name"), AMOUNTS)
def test_a_number_first_is_an_amount(text: str, value: float, unit: str, name: str) -> None:
    entry = only(text)
    assert (entry.value, entry.unit, entry.name, entry.number_first) == (value, unit, name, True)


GAUGES = [
    ("groceries 12.50", "groceries", 12.5, ""),
    ("groceries 12.50 EUR", "groceries", 12.5, "EUR"),
    ("groceries €12,50", "groceries", 12.5, "€"),
    ("groceries EUR 12.50", "groceries", 12.5, "EUR"),
    ("temperature 21.4", "temperature", 21.4, ""),
    ("temperature 21.4 °C", "temperature", 21.4, "°C"),
    ("temperature 21.4℃", "temperature", 21.4, "°C"),
    ("temperature: 21,4°C", "temperature", 21.4, "°C"),
    ("temperature:21.4", "temperature", 21.4, ""),
    ("temperature = 21.4", "temperature", 21.4, ""),
    ("temperature=-3,5°C", "temperature", -3.5, "°C"),
    ("temperature −3,5 celsius", "temperature", -3.5, "celsius"),
    ("temperature -5", "temperature", -5, ""),
    ("temperature 21.", "temperature", 21, ""),
    ("power meter 12345.6 kWh", "power meter", 12345.6, "kWh"),
    ("power meter 12345.6kwh", "power meter", 12345.6, "kWh"),
    ("wind 12 m/s", "wind", 12, "m/s"),
    ("PM 12.5 µg/m³", "PM", 12.5, "µg/m³"),
    ("humidity 45%", "humidity", 45, "%"),
    ("T2m 21.4", "T2m", 21.4, ""),
    ("sensor 7 21.4", "sensor 7", 21.4, ""),
    ("sensor 7: 214", "sensor 7", 214, ""),
    ("sensor 7=214", "sensor 7", 214, ""),
    ("rent: 1 234,50", "rent", 1234.5, ""),
    ('"route 66" 5', "route 66", 5, ""),
    ("3D-printer 45", "3D-printer", 45, ""),
    ("2x4 timber 12.50", "2x4 timber", 12.5, ""),
    ("gas 1.234", "gas", 1.234, ""),
    ("steps 1e4", "steps", 10000, ""),
    ("🌡️ 21.4", "🌡️", 21.4, ""),
    ("2) milk 2.50", "milk", 2.5, ""),
]


@pytest.mark.parametrize(("text", "name", "value", "unit"), GAUGES)
def test_a_name_first_is_a_gauge(text: str, name: str, value: float, unit: str) -> None:
    entry = only(text)
    assert (entry.name, entry.value, entry.unit, entry.number_first) == (name, value, unit, False)


NOV_18 = When(month=11, day=18)
DATED = [
    ("yesterday 12.50 groceries", When(days_ago=1)),
    ("12.50 groceries yesterday", When(days_ago=1)),
    ("Yesterday, 12.50 groceries", When(days_ago=1)),
    ("today 12.50 groceries", When(days_ago=0)),
    ("2026-11-18 12.50 groceries", When(year=2026, month=11, day=18)),
    ("12.50 groceries 2026-11-18T18:20", When(year=2026, month=11, day=18, clock=time(18, 20))),
    ("18.11. 12.50 groceries", NOV_18),
    ("12.50 groceries 18.11.", NOV_18),
    ("12.50 groceries 18.11.2026", When(year=2026, month=11, day=18)),
    ("12.50 groceries 18.11.26", When(year=2026, month=11, day=18)),
    ("12.50 groceries 18/11/2026", When(year=2026, month=11, day=18)),
    ("18 Nov 12.50 groceries", NOV_18),
    ("18. November 12.50 groceries", NOV_18),
    ("12.50 groceries on 18th Nov", NOV_18),
    ("Nov 18 12.50 groceries", NOV_18),
    ("Nov 18, 2026 12.50 groceries", When(year=2026, month=11, day=18)),
    ("12.50 groceries at 18:20", When(clock=time(18, 20))),
    ("18:20 12.50 groceries", When(clock=time(18, 20))),
    ("12.50 groceries 6:20 pm", When(clock=time(18, 20))),
    ("12.50 groceries at 6pm", When(clock=time(18))),
    ("12.50 groceries 00:00", When(clock=time(0))),
    ("12.50 groceries yesterday at 18:20", When(days_ago=1, clock=time(18, 20))),
    ("18:20 12.50 groceries 18 Nov", When(month=11, day=18, clock=time(18, 20))),
    ("at 18:20 on 18 Nov 2026 12.50 groceries", When(year=2026, month=11, day=18, clock=time(18, 20))),
]


@pytest.mark.parametrize(("text", "when"), DATED)
def test_a_day_and_a_time_may_stand_in_front_or_behind(text: str, when: When) -> None:
    entry = only(text)
    assert (entry.value, entry.name, entry.when) == (12.5, "groceries", when)


def test_a_day_leaves_numbers_and_units_of_a_gauge_alone() -> None:
    entry = only("18.11. at 18:20 sensor 7 21,4 °C")
    assert (entry.name, entry.value, entry.unit) == ("sensor 7", 21.4, "°C")
    assert entry.when == When(month=11, day=18, clock=time(18, 20))


REFUSED = [
    ("12.50", "what the number is of"),
    ("12.50 EUR", "what the number is of"),
    ("12.50 groceries, 3.20 bread", "two numbers"),
    ("12.50 groceries 3.20", "two numbers"),
    ("12.50 groceries 18.11", 'if 18.11 is a day, write "18.11."'),
    ("18.11 12.50 groceries", 'if 18.11 is a day, write "18.11."'),
    ("PM 2.5 12", "a name that holds a number in quotes"),
    ("12.50 groceries;3 bread", "several things"),
    ("12.50 groceries,3.20 bread", "several things"),
    ("—3.20 refund", 'write "-3.20" or "3.20"'),
    ("refund —3.20", 'write "-3.20" or "3.20"'),
    ("-3.20", 'such as "-3.20 groceries"'),
    ("€ 3.20", 'such as "€ 3.20 groceries"'),
    ("2026-11-18T14:20Z temperature 5", "names a time zone"),
    ("temperature 5 2026-11-18T14:20:00.5+01:00", "names a time zone"),
    ("temperature 21.4 22.1", "two numbers"),
    ("12.50 3 apples", "two numbers"),
    ("5 2 eggs", "two numbers, 5 and 2"),
    ("3 x 4 eggs", "two numbers, 3 and 4"),
    ("3 × 4.50 eggs", "two numbers, 3 and 4.50"),
    ("-5", 'such as "-5 groceries"'),
    ("+353 87 1234567 mum", "two numbers"),
    ("12 groceries, 3 bread", "several things"),
    ("train 12.50 to Cork", "in the middle"),
    ("temperature 21.4 outside", "in the middle"),
    ("temperature - 5", "can be a minus"),
    ("- 12.50 groceries", "can be a minus"),
    ("12. groceries", "number of a list"),
    ("temperature nan", "not a number"),
    ("temperature -inf", "not a number"),
    ("1e400 stars", "too large"),
    ("stars " + "9" * 400, "too large"),
    ("stars 1e-400", "too close to zero"),
    ("12. 50 groceries", "can be 50 in a list, or 12.50"),
    ("12.50 shopping 5/11", 'write it like "5.11."'),
    ("31.2.2026 5 bread", "not a day"),
    ("2026-13-01 5 bread", "not a day"),
    ("25:70 5 bread", "not a time"),
    ("0001-01-01 5 bread", "before 1800"),
    ("11/12/2026 5 bread", "two days"),
    ("yesterday 5 bread 18 Nov", "two days"),
    ("18:20 5 bread 18:30", "two times"),
    ("12.50 18:20 groceries", "in front"),
    ("server 1.2.3.4", "no number that stands alone"),
    ("5 " + "x" * 201, "at most 200"),
]


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_what_is_not_clear_is_refused_with_the_reason(text: str, reason: str) -> None:
    assert reason in refusal(text).reason


def test_a_suggested_line_is_understood() -> None:
    assert only('"PM 2.5" 12').value == only("PM 2.5: 12").value == 12
    suggested = refusal("-3.20").reason.partition('such as "')[2].rstrip('"')
    assert only(suggested).value == -3.2


def test_an_emoji_is_one_name_on_every_telephone() -> None:
    assert key("☕") == key("☕\ufe0f")
    assert key("☕") != key("🛒")


UNSURE = [
    # text, (name, value) as read, and the other reading
    ("2 coffees 5.60", ("2 coffees", 5.6), ("coffees 5.60", 2)),
    ("12 bus 46", ("bus 46", 12), ("12 bus", 46)),
    ("rent 1 234,50", ("rent 1", 234.5), ("rent", 1234.5)),
    ("sensor 7 214", ("sensor 7", 214), ("sensor", 7214)),
    ("house 1 234 567", ("house 1 234", 567), ("house", 1234567)),
    ("rent 1 234,50€", ("rent 1", 234.5), ("rent", 1234.5)),
]


@pytest.mark.parametrize(("text", "one", "other"), UNSURE)
def test_two_ways_to_read_a_line_are_both_kept_for_a_known_name_to_decide(
    text: str, one: tuple[str, float], other: tuple[str, float]
) -> None:
    entry = only(text)
    assert not entry.sure
    assert entry.other
    assert (entry.name, entry.value) == one
    assert (entry.other.name, entry.other.value) == other


@pytest.mark.parametrize(
    ("text", "value", "note"),
    [
        ("1,234 rent", 1234, "I read 1,234 as 1234; for the other reading write 1.234."),
        ("1.234 rent", 1.234, "I read 1.234 as 1.234; for the other reading write 1234."),
        ("gas 1,234", 1234, "I read 1,234 as 1234; for the other reading write 1.234."),
        ("gas 1.234", 1.234, ""),
        ("0,123 rent", 0.123, ""),
        ("1,23 rent", 1.23, ""),
        ("1234,567 rent", 1234.567, ""),
    ],
)
def test_one_comma_before_three_digits_stands_between_thousands(text: str, value: float, note: str) -> None:
    assert (only(text).value, only(text).note) == (value, note)


def test_each_line_is_an_entry_and_none_is_lost() -> None:
    said = parse("12.50 groceries\r\n\nmilk\n  temperature 21.4 °C yesterday\n1 2 3")
    assert isinstance(said, Record)
    assert [(entry.line, entry.name) for entry in said.entries] == [(1, "groceries"), (4, "temperature")]
    assert [(line.line, line.text) for line in said.unread] == [(3, "milk"), (5, "1 2 3")]
    assert said.unread[0].reason == "it holds no number"


@pytest.mark.parametrize(
    "text", ["", "   ", "hello", "thanks!\nsee you", "🎉", "\u200b", "?!", "-", "€", '""', "\ud800"]
)
def test_a_text_without_a_number_is_nothing(text: str) -> None:
    assert parse(text) == Nothing()
    assert parse(text, "daybook_bot", is_reply=True) == Nothing(addressed=True)


def test_the_longest_message_is_read_in_full_and_at_once() -> None:
    said = parse("1 a\n" * 1024)
    assert isinstance(said, Record)
    assert len(said.entries) == 1024
    assert refusal("1 " * 2048)
    assert refusal("7 a " * 1024)
    assert refusal("a " + "123 " * 1023)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/sum", Command("sum")),
        ("/SUM groceries november", Command("sum", ("groceries", "november"))),
        ("/sum@daybook_bot  last month", Command("sum", ("last", "month"))),
        ("/sum@Daybook_Bot", Command("sum")),
        ("/sum\ngroceries", Command("sum", ("groceries",))),
        ("/sum@other_bot", NotForUs()),
        ("@daybook_bot /sum groceries", Command("sum", ("groceries",))),
        ("/", Nothing(addressed=True)),
        ("hello @Daybook_bot, are you there", Nothing(addressed=True)),
        ("@daybook_bot hello", Nothing(addressed=True)),
        ("hello @other_bot", Nothing()),
        ("mail me@daybook_bot", Nothing()),
        ("/undo@other_bot", NotForUs()),
        ("/undo@daybook_bot", Command("undo")),
        ("/start", Command("start")),
    ],
)
def test_commands(text: str, said: object) -> None:
    assert parse(text, "daybook_bot") == said


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("undo:9223372036854775807", Undo(9223372036854775807)),
        ("undo-file:12", UndoFile(12)),
        ("sum:-1:2026-10", Command("sum", ("2026-10",), -1)),
        ("latest:3", Command("latest", (), 3)),
        ("chart:3:30d", Command("chart", ("30d",), 3)),
        ("chart:3:30d:x", Nothing()),
        ("undo:x", Nothing()),
        ("undo", Nothing()),
        ("", Nothing()),
    ],
)
def test_buttons(data: str, said: object) -> None:
    assert pressed(data) == said


# --- whatever is typed

TYPED = st.text(
    alphabet=st.one_of(
        st.sampled_from("0123456789.,:=-+−–/'€$%°\"“” \n\t\u00a0\u202fabmCEke()"),
        st.characters(),
    ),
    max_size=80,
)
PIECES = st.sampled_from(
    "12.50 1,234 7 -3 214 €5 groceries kWh EUR yesterday 18:20 18.11. 18 Nov at on - : = nan "
    '1e400 "x 66" 2026-11-18 12,- 5% 1\'234 of 0'.split(" ")
)


@given(st.one_of(TYPED, st.lists(PIECES, max_size=8).map(" ".join)))
def test_parse_never_raises_and_accounts_for_every_line(text: str) -> None:
    said = parse(text, "daybook_bot")
    if isinstance(said, Record):
        lines = [one.line for one in (*said.entries, *said.unread)]
        assert len(lines) == len(set(lines))
        assert lines
        for entry in said.entries:
            assert entry.value == entry.value
            assert abs(entry.value) != float("inf")
            assert entry.name.strip() == entry.name
            assert 0 < len(entry.name) <= MOST_NAME
            assert entry.name.isprintable()
            assert len(entry.unit) <= 64


@given(st.text(max_size=70))
def test_no_button_raises(data: str) -> None:
    pressed(data)


VALUES = st.floats(allow_nan=False, allow_infinity=False)
UNITS = st.sampled_from(["", "EUR", "€", "kWh", "°C", "m/s", "%", "kg"])
NAMES = st.lists(st.sampled_from("groceries train to Cork power meter T2m cellar école Brot".split()), min_size=1).map(
    " ".join
)
ANY_NAMES = st.text(st.characters(exclude_characters='"“”„«»', exclude_categories=("Cc", "Cf", "Cs", "Co", "Cn", "Z")))


@given(NAMES, VALUES, UNITS, st.sampled_from([AMOUNT, GAUGE]))
def test_what_is_written_back_is_read_as_the_same(name: str, value: float, unit: str, kind: str) -> None:
    written = words.entry(name, value, unit, kind)
    if len(name) > MOST_NAME:
        return
    entry = only(written)
    assert (entry.name, entry.value, entry.unit, entry.number_first) == (name, value, unit, kind == AMOUNT)


@given(ANY_NAMES.filter(lambda name: 0 < len(name.strip(",;: ")) <= MOST_NAME), VALUES)
def test_any_name_can_be_written_in_quotes(name: str, value: float) -> None:
    for text in (f'{words.number(value)} "{name}"', f'"{name}" {words.number(value)}'):
        entry = only(text)
        assert (entry.name, entry.value) == (name.strip(",;: "), value)


@given(st.integers(0, 10**9), st.integers(0, 99), st.sampled_from([",.", ".,", " ,", "\u202f,", "'."]))
def test_thousands_and_decimals_in_every_style(whole: int, cents: int, marks: str) -> None:
    thousands, decimal = marks
    text = f"{whole:,}".replace(",", thousands) + f"{decimal}{cents:02}"
    assert only(f"{text} rent").value == float(f"{whole}.{cents:02}")


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.times())
def test_every_day_and_minute_in_iso(day: date, clock: time) -> None:
    entry = only(f"{day} {clock:%H:%M} temperature 21.4")
    assert entry.when == When(year=day.year, month=day.month, day=day.day, clock=time(clock.hour, clock.minute))
