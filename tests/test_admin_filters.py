"""Search and filters of the admin area: alone and together they leave the rows that a plain reading of the words would,
and the numbers beside the choices are those that a click then shows."""

import unicodedata
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Engine

from daybook.admin import listing, searching
from daybook.admin.tables import BY_SLUG
from daybook.models import AuditEntry, Message, Source, TelegramUser
from tests.admin_rows import NOON, add_chat, add_message, add_source, add_users, keys_of, look, walk

USERS, MESSAGES = BY_SLUG["users"], BY_SLUG["messages"]
PER_EXAMPLE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
# Clocks that go forward or back at midnight, that differ by quarters of an hour, and that skip a day.
ZONES = ["UTC", "Europe/Dublin", "America/Sao_Paulo", "America/Havana", "Asia/Kathmandu", "Pacific/Apia"]
EDGES = [
    datetime(2025, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(2026, 1, 1, tzinfo=UTC),
    datetime(2024, 2, 29, 12, tzinfo=UTC),
    datetime(2024, 3, 1, tzinfo=UTC),
    datetime(2026, 3, 29, 0, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    datetime(2018, 11, 4, 3, tzinfo=UTC),
    datetime(2018, 11, 4, 2, 59, tzinfo=UTC),
    datetime(2026, 3, 8, 5, tzinfo=UTC),
    datetime(2026, 11, 1, 4, 30, tzinfo=UTC),
    datetime(2026, 11, 1, 5, 30, tzinfo=UTC),
    datetime(2011, 12, 30, 10, tzinfo=UTC),
]
DATES = ["2026", "2025", "2024-02", "2024-03", "2026-11", "2018-11-04", "2018-11-03", "2026-03-08", "2026-11-01"]
DATES += ["2011-12-30", "2011-12-31", "2025-12-31", "2026-01-01", "2026-03-29", "2026-10-25"]
LETTERS = "aB1%_\\' "
ACCENTS = ["", "é", "É", "😀", "日", "日本"]


@st.composite
def written(draw: st.DrawFn, longest: int = 4) -> str:
    before, after = (draw(st.text(LETTERS, max_size=longest)) for _ in "ab")
    return before + draw(st.sampled_from(ACCENTS)) + after


@st.composite
def users(draw: st.DrawFn) -> list[dict[str, Any]]:
    offsets = st.sampled_from([timedelta(0), timedelta(microseconds=-1), timedelta(hours=3), timedelta(hours=-5)])
    return [
        {
            "user_id": user_id,
            "first_name": draw(written()),
            "last_name": draw(written(1)),
            "username": draw(st.none() | written(2)),
            "status": draw(st.sampled_from(["pending", "allowed", "blocked"])),
            "created_at": draw(st.sampled_from(EDGES)) + draw(offsets),
        }
        for user_id in draw(st.lists(st.sampled_from([1, 11, 12, 2**63 - 1]), min_size=1, unique=True))
    ]


LATELY = {"today": 1, "7days": 7, "30days": 30}


def holds(text: str | None, word: str) -> bool:
    """Whether a search for the word finds this text."""
    text, low = (text or "").lower(), word.lower()
    no_case = any(unicodedata.category(letter) == "Lo" for letter in word)
    if len(word) >= 3 or not word.isalnum() or no_case:
        return low in text
    return text.startswith(low) or f" {low}" in text


def is_left(row: dict[str, Any], asked: dict[str, str], zone: ZoneInfo) -> bool:
    """Whether the list that is asked for shows this row."""
    names = row["first_name"], row["last_name"], row["username"]
    words = asked.get("q", "").split()
    day = row["created_at"].astimezone(zone).date().isoformat()
    if asked.get("created_at") in LATELY:
        age = (datetime.now(zone).date() - row["created_at"].astimezone(zone).date()).days
        if not 0 <= age < LATELY[asked["created_at"]]:
            return False
        asked = {name: text for name, text in asked.items() if name != "created_at"}
    return (
        all(any(holds(name, word) for name in names) or str(row["user_id"]) == word for word in words)
        and asked.get("status", row["status"]) == row["status"]
        and (day + "-").startswith(asked.get("created_at", day) + "-")
    )


def fill(engine: Engine, rows: list[dict[str, Any]]) -> None:
    with engine.begin() as connection:
        connection.execute(sa.delete(TelegramUser))
        connection.execute(sa.insert(TelegramUser), rows)


@PER_EXAMPLE
@given(
    rows=users(),
    asked=st.fixed_dictionaries(
        {},
        optional={
            "q": st.lists(written(2) | st.sampled_from(["1", "11", str(2**63 - 1)]), max_size=2).map(" ".join),
            "status": st.sampled_from(["pending", "allowed"]),
            "created_at": st.sampled_from([*DATES, *LATELY]),
        },
    ),
    zone=st.sampled_from(ZONES),
    most_keys=st.sampled_from([1, 5000]),
)
def test_search_and_filters_leave_what_they_say_and_count_what_a_click_shows(
    engine: Engine, rows: list[dict[str, Any]], asked: dict[str, str], zone: str, most_keys: int
) -> None:
    fill(engine, rows)
    place = ZoneInfo(zone)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "MOST_KEYS", most_keys)
        patch.setattr(listing, "MOST_COUNTED", 2)
        patch.setattr(listing, "_PATIENCE", 60.0)
        page = look(engine, USERS, asked, place)
    left = {row["user_id"] for row in rows if is_left(row, asked, place)}
    assert {row["key"] for row in page.rows} == left
    assert page.count == min(len(left), most_keys)
    for facet in page.facets:
        name = facet.filter.name
        for each in facet.choices:
            clicked = sum(is_left(row, asked | {name: each.choice.value}, place) for row in rows)
            assert (each.count, each.more) == (min(clicked, 2), clicked > 2), each.choice
        if not facet.value:  # between them, the choices lead to every row
            clicks = [asked | {name: each.choice.value} for each in facet.choices]
            assert left == {row["user_id"] for row in rows for click in clicks if is_left(row, click, place)}


@pytest.mark.parametrize("zone", ["America/Havana", "Pacific/Apia"])
def test_days_fill_months_and_months_fill_years(engine: Engine, zone: str) -> None:
    moments = [edge + timedelta(hours=hour) for edge in EDGES for hour in range(-14, 15, 7)]
    fill(engine, [{"user_id": 1 + n, "first_name": "a", "created_at": at} for n, at in enumerate(moments)])
    place = ZoneInfo(zone)

    def shown(text: str) -> set[int]:
        return set(keys_of(walk(engine, USERS, {"created_at": text}, place)))

    assert shown("2026") == set().union(*(shown(f"2026-{month:02}") for month in range(1, 13)))
    for month in ("2011-12", "2018-11", "2024-02", "2026-03", "2026-11"):
        facet = look(engine, USERS, {"created_at": month}, place).facets[1]
        found = [shown(each.choice.value) for each in facet.choices]
        assert shown(month) == set().union(*found)
        assert not any(one & other for one, other in combinations(found, 2))


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_today_and_the_past_days_are_those_of_the_zone(engine: Engine, zone: str) -> None:
    noon = datetime.now(ZoneInfo(zone)).replace(hour=12, minute=0, second=0, microsecond=0)
    ages = [-1, 0, 1, 6, 7, 29, 30]
    rows = [{"user_id": 100 + age, "first_name": "a", "created_at": noon - timedelta(days=age)} for age in ages]
    fill(engine, rows)
    for text, days in LATELY.items():
        found = keys_of(walk(engine, USERS, {"created_at": text}, ZoneInfo(zone)))
        assert sorted(found) == [100 + age for age in ages if 0 <= age < days], text


def test_searches_that_no_row_can_hold_find_nothing_and_break_nothing(engine: Engine) -> None:
    add_users(engine, 3)
    for text in ("x" * 200, "9" * 200, str(2**63), str(-(2**63)), "-", "--1", "²", "%", "_", "\\", "'", "\ufdd0", "😀"):
        assert look(engine, USERS, {"q": text}).count == 0, text
    for text in ("", "  ", "\0", "ann\0", "ANN", "ann lee", "an le", "lee ann"):
        assert look(engine, USERS, {"q": text}).count == 3, text
    assert look(engine, USERS, {"q": "nn"}).count == 0  # two letters are looked for where a word begins
    assert keys_of([look(engine, USERS, {"q": "ann2"})]) == [2]
    eight = look(engine, USERS, {"q": "a b c d e f g h i"})
    assert eight.asked.search == "a b c d e f g h"  # the page says what was looked for


def test_a_sender_s_name_finds_all_their_messages_however_many_have_that_name(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_users(engine, 6)
    with engine.begin() as connection:
        for number in range(1, 7):
            add_message(connection, number, sender_id=number, text="x")
        add_message(connection, 7, text="about Lee")
    expected = {1, 2, 3, 4, 5, 6, 7}
    assert set(keys_of([look(engine, MESSAGES, {"q": "lee"})])) == expected
    monkeypatch.setattr(searching, "_MOST_RELATED", 3)
    assert set(keys_of([look(engine, MESSAGES, {"q": "lee"})])) == expected
    monkeypatch.setattr(listing, "MOST_KEYS", 2)
    assert set(keys_of([look(engine, MESSAGES, {"q": "lee"})])) == expected


@pytest.mark.parametrize("most_keys", [1, 5000])
def test_messages_are_filtered_by_sender_chat_and_status_together(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, most_keys: int
) -> None:
    monkeypatch.setattr(listing, "MOST_KEYS", most_keys)
    add_users(engine, 2)
    rows = []
    with engine.begin() as connection:
        for chat_id in (1, -5):
            add_chat(connection, chat_id, title="Mast group" if chat_id < 0 else "")
        for number in range(1, 13):
            row = {
                "sender_id": 1 + number % 2,
                "chat_id": 1 if number % 3 else -5,
                "status": "failed" if number % 4 else "handled",
            }
            rows.append({"id": number, **row})
            add_message(connection, number, **row)
    questions = {"sender": {"1": 1, "ann2": 2}, "chat": {"-5": -5, "mast": -5}, "status": {"failed": "failed"}}
    columns = {"sender": "sender_id", "chat": "chat_id", "status": "status"}
    asked = [(name, text) for name, texts in questions.items() for text in texts]
    for size in (1, 2, 3):
        for some in combinations(asked, size):
            if len({name for name, _ in some}) < size:
                continue
            wanted = {
                row["id"] for row in rows if all(row[columns[name]] == questions[name][text] for name, text in some)
            }
            assert set(keys_of(walk(engine, MESSAGES, dict(some)))) == wanted, some
    largest = {"sender": str(2**63 - 1)}
    assert look(engine, MESSAGES, largest).asked.chosen == largest
    assert look(engine, MESSAGES, largest).rows == []


def test_a_name_that_several_have_offers_each_of_them(engine: Engine) -> None:
    add_users(engine, 3)
    with engine.begin() as connection:
        for number in range(1, 4):
            add_message(connection, number, sender_id=number)
        connection.execute(sa.update(TelegramUser).where(TelegramUser.user_id == 3).values(username="ann"))
    page = look(engine, MESSAGES, {"sender": "ann"})
    facet = next(one for one in page.facets if one.filter.name == "sender")
    assert sorted(each.choice.label for each in facet.choices) == ["Ann1 Lee, 1", "Ann2 Lee, 2", "Ann3 Lee, @ann"]
    one = facet.choices[0].choice.value
    assert keys_of([look(engine, MESSAGES, {"sender": one})]) == [int(one.removeprefix("id:"))]


def offered(page: listing.Listing, name: str) -> list[tuple[str, str, int | None, bool]]:
    """What a filter offers: value, label, count, and whether there are more than that."""
    facet = next(one for one in page.facets if one.filter.name == name)
    return [(each.choice.value, each.choice.label, each.count, each.more) for each in facet.choices]


@pytest.mark.parametrize("most_keys", [10, 5000])
def test_whom_most_messages_are_from_is_offered_with_their_number(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, most_keys: int
) -> None:
    """Also where there are more messages than are looked through: those say who, and the index says how many."""
    monkeypatch.setattr(listing, "MOST_KEYS", most_keys)
    monkeypatch.setattr(listing, "_PATIENCE", 60.0)
    monkeypatch.setattr(listing, "MOST_COUNTED", 8)
    add_users(engine, 12)
    with engine.begin() as connection:
        add_chat(connection, 1, title="Hut")
        for number in range(1, 31):
            sender = 1 if number % 3 == 0 else 2 if number % 3 == 1 and number < 20 else None
            add_message(connection, number, sender_id=sender, status="failed" if number < 16 else "handled")
        add_message(connection, 31, sender_id=12, chat_id=-7)
    page = look(engine, MESSAGES, {})
    assert offered(page, "sender")[0] == ("id:1", "Ann1 Lee, 1", 8, True)
    assert ("id:12", "Ann12 Lee, 12", 1, False) in offered(page, "sender")
    assert offered(page, "chat") == [("id:1", "Hut, 1", 8, True), ("id:-7", "-7", 1, False)]
    page = look(engine, MESSAGES, {"status": "failed"})
    assert sorted(offered(page, "sender")) == [("id:1", "Ann1 Lee, 1", 5, False), ("id:2", "Ann2 Lee, 2", 5, False)]
    for value, label, count, _ in offered(page, "sender"):
        there = look(engine, MESSAGES, {"status": "failed", "sender": value})
        assert there.count == min(count or 0, most_keys)
        assert next(one.words for one in there.facets if one.filter.name == "sender") == label
    monkeypatch.setattr(listing, "_PATIENCE", -1.0)  # too late: the names are there all the same
    assert {value for value, *_ in offered(look(engine, MESSAGES, {"status": "failed"}), "sender")} == {"id:1", "id:2"}


def test_of_many_the_ten_most_frequent_are_offered(engine: Engine) -> None:
    with engine.begin() as connection:
        for number in range(1, 14):
            add_source(connection, 2 * number, sensors=20 - number, readings=0)
    found = offered(look(engine, BY_SLUG["sensors"], {}), "of")
    assert [count for _, _, count, _ in found] == [20 - number for number in range(1, 11)]
    assert found[0][:2] == ("id:2", "mast 2")


def test_a_source_whose_name_is_a_number_is_found_by_it(engine: Engine) -> None:
    """As is the one that has this id; "id:" says which of the two is meant."""
    with engine.begin() as connection:
        add_source(connection, 5)
        add_source(connection, 6)
        connection.execute(sa.update(Source).where(Source.id == 5).values(name="2024"))
        connection.execute(sa.update(Source).where(Source.id == 6).values(name="5 north"))
    uploads = BY_SLUG["uploads"]
    for typed, found in (("2024", [5]), ("5", [5, 6]), ("id:5", [5]), ("6", [6]), ("id:7", []), ("9", [])):
        page = look(engine, uploads, {"source": typed})
        assert sorted(keys_of([page])) == found, typed
        assert page.asked.chosen == {"source": typed}
    assert sorted(value for value, *_ in offered(look(engine, uploads, {"source": "5"}), "source")) == ["id:5", "id:6"]


def test_sensors_are_found_by_their_source_and_by_whether_they_have_readings(engine: Engine) -> None:
    with engine.begin() as connection:
        add_source(connection, 1, readings=3)
        add_source(connection, 2, readings=0)
    sensors = BY_SLUG["sensors"]
    assert keys_of([look(engine, sensors, {"of": "2"})]) == [20, 21]
    assert keys_of([look(engine, sensors, {"of": "MAST 1"})]) == [10, 11]
    assert keys_of([look(engine, sensors, {"filled": "no", "q": "mast"})]) == [20, 21]
    assert keys_of([look(engine, sensors, {"filled": "yes", "of": "2"})]) == []


def test_counts_that_take_too_long_are_left_out_and_the_rows_are_shown(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_users(engine, 3, created_at=NOON)
    monkeypatch.setattr(listing, "_PATIENCE", -1.0)
    page = look(engine, USERS, {"q": "ann"})
    assert len(page.rows) == 3
    assert {each.count for facet in page.facets for each in facet.choices} == {None}
    assert [each.choice.value for each in page.facets[0].choices] == ["pending", "allowed", "blocked"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("account", ["1"]),
        ("changed account", ["1"]),
        ("change account", ["1"]),  # as the audit keeps it
        ("bot user", ["2"]),
        ("added", ["2", "3"]),
        ("command line", ["3"]),
        ("ada pages", ["1", "2"]),
        ("set password", ["4"]),
        ("allowed sensor", []),
    ],
)
def test_the_audit_is_searched_for_what_its_list_shows(engine: Engine, words: str, found: list[str]) -> None:
    rows = [
        ("change", "account", "page"),
        ("create", "bot user", "page"),
        ("create", "sensor", "command"),
        ("password", "token", "api"),
    ]
    with engine.begin() as connection:
        for number, (action, object_type, origin) in enumerate(rows, 1):
            values = {"action": action, "object_type": object_type, "origin": origin, "object_id": str(number)}
            connection.execute(sa.insert(AuditEntry).values(actor="ada", object_repr=f"x{number}", **values))
    page = look(engine, BY_SLUG["audit"], {"q": words})
    assert sorted(row["object_id"] for row in page.rows) == found


def test_a_message_without_text_or_sender_is_listed(engine: Engine) -> None:
    with engine.begin() as connection:
        add_message(connection, 1, text="", sender_id=None)
        connection.execute(sa.update(Message).values(status="gone", direction="out"))
    page = look(engine, MESSAGES, {"status": "gone"})
    assert [(row["title"], row["sender"]) for row in page.rows] == [("a message without text", "the bot")]
