"""Who may write, what strangers are told, and chats: their source, their name, a group that becomes a supergroup."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from daybook import chats, people, updates
from daybook.config import Settings
from daybook.models import Chat, Message, Sensor, Source, TelegramUser
from tests.telegram_standin import BLOCKED, TelegramStandin, migrated
from tests.telegram_updates import ANNA, BEN, EVE, GROUP, Book, Phone

SUPERGROUP = {"id": -1_001_234_567_890, "type": "supergroup", "title": "Household"}


@pytest.fixture
def book(app: Flask) -> Book:
    return Book(app)


def person(book: Book, user_id: int) -> Any:
    (row,) = book.ask(sa.select(TelegramUser.__table__).where(TelegramUser.user_id == user_id))
    return row


# --- strangers


def test_a_stranger_is_recorded_and_told_once_with_their_id(book: Book, phone: Phone) -> None:
    book.take(*(phone.message("12.50 groceries", EVE) for _ in range(20)))
    book.take(phone.message("/start", EVE), phone.message(None, EVE, document={"file_id": "f"}))
    book.take(phone.press("undo:1", EVE), phone.edit(phone.message("1 a", EVE), "2 a"))
    row = person(book, EVE["id"])
    assert (row.status, row.first_name, row.last_name) == ("pending", "Eve", "Stranger")
    assert row.told_at is not None
    assert len(book.said()) == 1
    assert str(EVE["id"]) in book.said()[0]
    assert book.readings() == []
    assert book.ask(sa.select(Source)) == []


def test_a_thousand_strangers_make_no_reading_and_one_reply_each(book: Book, phone: Phone) -> None:
    strangers = [{"id": 7_000_000_000 + number, "is_bot": False, "first_name": f"S{number}"} for number in range(200)]
    for _ in range(5):
        book.take(*(phone.message("5 coffee", stranger) for stranger in strangers))
    assert len(book.said()) == 200
    assert book.readings() == []


def test_other_bots_are_neither_recorded_nor_answered(book: Book, phone: Phone) -> None:
    bot = {"id": 99, "is_bot": True, "first_name": "Bot"}
    book.take(phone.message("5 coffee", bot, GROUP), phone.press("undo:1", bot, GROUP))
    assert book.said() == []
    assert book.ask(sa.select(TelegramUser)) == []


def test_allowing_tells_the_person_where_they_wrote(book: Book, phone: Phone) -> None:
    book.take(phone.message("hello", EVE, GROUP))
    assert people.allow(book.engine, EVE["id"])
    assert not people.allow(book.engine, EVE["id"])
    assert len(book.said(GROUP["id"])) == 2
    assert "let in" in book.said()[1]
    book.take(phone.message("5 coffee", EVE, GROUP))
    assert book.values() == [5]


def test_blocking_tells_once_and_ends_every_answer(book: Book, phone: Phone) -> None:
    book.take(phone.message("hello", EVE))
    people.allow(book.engine, EVE["id"])
    said = phone.message("5 coffee", EVE)
    book.take(said)
    assert people.block(book.engine, EVE["id"])
    assert not people.block(book.engine, EVE["id"])
    assert [text for text in book.said() if "ended your access" in text] == book.said()[-1:]
    before = book.said()
    book.take(phone.message("6 coffee", EVE), phone.edit(said, "7 coffee"), phone.press("undo:1", EVE))
    book.take(phone.message("/undo", EVE), phone.message("/help", EVE))
    assert book.said() == before
    assert book.values() == [5]
    # What they write is kept all the same.
    assert len(book.ask(sa.select(Message.id).where(Message.direction == "in"))) == 5


def test_somebody_entered_by_hand_is_written_to_only_once_they_write(book: Book, phone: Phone) -> None:
    assert people.allow(book.engine, ANNA["id"], "Anna", "M.")
    assert (person(book, ANNA["id"]).first_name, person(book, ANNA["id"]).last_name) == ("Anna", "M.")
    assert book.said() == []
    book.take(phone.message("5 coffee"))
    assert book.values() == [5]
    assert person(book, ANNA["id"]).last_name == "Meyer"


@pytest.mark.parametrize("user_id", [0, -5, 2**63, True])
def test_nobody_has_such_an_id(book: Book, user_id: int) -> None:
    with pytest.raises(people.BadPerson):
        people.allow(book.engine, user_id)


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ({"first_name": "Ben"}, "Ben"),
        (
            {"first_name": "<b>Bobby</b>", "last_name": "'; DROP TABLE a; --"},
            "<b>Bobby</b> '; DROP TABLE a; --",
        ),
        ({"first_name": "\u202eנועה\u202c", "last_name": "كوهين"}, "נועה كوهين"),
        ({"first_name": "x" * 100, "last_name": "y" * 300}, f"{'x' * 64} {'y' * 64}"),
        ({"first_name": "\u3164\u200b", "username": "nobody"}, None),
        ({"first_name": "N\0UL \ud800"}, "N\ufffdUL ?"),
        ({"first_name": "👩‍👩‍👧", "last_name": "é"}, None),
        ({}, None),
        ({"first_name": 5, "last_name": None}, None),
    ],
)
def test_names_of_every_kind(book: Book, phone: Phone, names: dict[str, Any], shown: str | None) -> None:
    somebody = {"id": 77, "is_bot": False, **names}
    people.allow(book.engine, 77)
    book.take(phone.message("5 coffee", somebody), phone.message("/undo", somebody))
    book.take(phone.message("6 coffee", somebody, GROUP), phone.press("undo:1", somebody))
    assert updates.failed(book.engine) == []
    assert book.values() == [6]
    row = person(book, 77)
    assert len(row.first_name) <= 64
    assert len(row.last_name) <= 64
    sources = [row.name for row in book.ask(sa.select(Source.name).order_by(Source.id))]
    assert sources[0] == (shown if shown and len(shown) < 100 else sources[0])
    assert sources[0].isprintable()


# --- sources


def test_a_household_shares_the_groups_source(book: Book, phone: Phone) -> None:
    book.allow(ANNA, BEN)
    book.take(phone.message("12.50 groceries", ANNA, GROUP), phone.message("7 groceries", BEN, GROUP))
    book.take(phone.message("1 groceries", ANNA))
    assert [row[0] for row in book.readings()] == ["Anna Meyer", "Household", "Household"]
    assert "19.50 in 2 entries" in book.said(GROUP["id"])[1]
    book.take(phone.message("5 groceries", EVE, GROUP))
    assert book.total("groceries") == 20.5


def test_chats_of_one_name_have_a_source_each(book: Book, phone: Phone) -> None:
    twin = {"id": 1009, "is_bot": False, "first_name": "Anna", "last_name": "Meyer"}
    book.allow(ANNA, twin)
    book.take(phone.message("1 coffee"), phone.message("2 coffee", twin), phone.message("4 coffee", twin))
    assert sorted((row[0], row[3]) for row in book.readings()) == [
        ("Anna Meyer", 1),
        ("Anna Meyer (1009)", 2),
        ("Anna Meyer (1009)", 4),
    ]


def test_a_chat_keeps_its_source_when_its_title_changes(book: Book, phone: Phone) -> None:
    book.allow(ANNA)
    book.take(phone.message("1 coffee", ANNA, GROUP))
    book.take(phone.message("2 coffee", ANNA, GROUP | {"title": "Family"}))
    assert {row[0] for row in book.readings()} == {"Household"}
    (row,) = book.ask(sa.select(Chat.title))
    assert row.title == "Family"


# --- a group becomes a supergroup


def migration(phone: Phone) -> list[dict[str, Any]]:
    return [
        phone.message(None, ANNA, GROUP, migrate_to_chat_id=SUPERGROUP["id"]),
        phone.message(None, ANNA, SUPERGROUP, migrate_from_chat_id=GROUP["id"]),
    ]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 1, 3), (2, 0, 1, 3), (0, 3, 2, 1), (3, 2, 1, 0), (3, 0, 2, 1)])
def test_a_supergroup_keeps_source_and_history_of_its_group(book: Book, phone: Phone, order: tuple[int, ...]) -> None:
    book.allow(ANNA)
    book.take(phone.message("/timezone Europe/Dublin", ANNA, GROUP))
    phone.later(minutes=1)
    before = phone.message("1 coffee", ANNA, GROUP)
    phone.later(minutes=1)
    moved = migration(phone)
    phone.number = 0  # a supergroup counts its messages anew
    phone.later(minutes=1)
    after = phone.message("2 coffee\ntea 5", ANNA, SUPERGROUP)
    delivered = [before, *moved, after]
    book.take(*(delivered[at] for at in order), *moved)
    assert updates.failed(book.engine) == []
    assert sorted((row[0], row[1], row[3]) for row in book.readings()) == [
        ("Household", "coffee", 1),
        ("Household", "coffee", 2),
        ("Household", "tea", 5),
    ]
    assert [row.name for row in book.ask(sa.select(Source.name))] == ["Household"]
    assert len(book.ask(sa.select(Sensor))) == 2
    phone.later(minutes=1).number += 100
    book.take(phone.message("/sum", ANNA, SUPERGROUP), phone.message("/timezone", ANNA, SUPERGROUP))
    assert "coffee: 3 in 2 entries" in book.said(SUPERGROUP["id"])[-2]
    assert "Europe/Dublin" in book.said(SUPERGROUP["id"])[-1]
    book.take(phone.message("/undo", ANNA, SUPERGROUP))
    book.take(phone.message("/undo", ANNA, SUPERGROUP))
    assert book.readings() == []
    book.check()


def test_what_waits_for_the_group_goes_to_the_supergroup(
    make_app: Callable[[Settings], Flask], bot_settings: Settings, telegram: TelegramStandin, phone: Phone
) -> None:
    book = Book(make_app(bot_settings))
    book.allow(ANNA)
    telegram.faults(migrated(SUPERGROUP["id"]))
    book.take(phone.message("1 coffee", ANNA, GROUP))
    telegram.wait_for(lambda: telegram.sent(SUPERGROUP["id"]))
    book.take(phone.message("2 coffee", ANNA, SUPERGROUP))
    assert {row[0] for row in book.readings()} == {"Household"}
    assert sum(book.values()) == 3


def test_a_person_who_has_blocked_the_bot_does_not_stop_the_others(
    make_app: Callable[[Settings], Flask], bot_settings: Settings, telegram: TelegramStandin, phone: Phone
) -> None:
    book = Book(make_app(bot_settings))
    book.allow(ANNA, BEN)
    telegram.fault = lambda call: BLOCKED if call.params.get("chat_id") == ANNA["id"] else None
    book.take(phone.message("1 coffee", ANNA), phone.message("2 coffee", BEN))
    telegram.wait_for(lambda: telegram.sent(BEN["id"]))
    telegram.wait_for(lambda: [row for row in book.ask(sa.select(Message.status)) if row.status == "gone"])
    assert book.values() == [1, 2]


def test_a_chat_is_found_by_every_id_it_had(book: Book, phone: Phone) -> None:
    book.take(phone.message("hello", EVE, GROUP), *migration(phone))
    with book.engine.connect() as connection:
        found = chats.find(connection, GROUP["id"])
        assert found is not None
        assert found.ids == (SUPERGROUP["id"], GROUP["id"])
        assert chats.find(connection, 12345) is None
