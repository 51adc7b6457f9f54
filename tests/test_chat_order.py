"""What people write counts in the order in which they wrote it: at once, edited after an /undo, under numbers that come
again."""

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.engine import Engine

from daybook import message_readings
from daybook.config import Settings
from daybook.models import Message, Sensor, Source
from tests.telegram_standin import TelegramStandin
from tests.telegram_updates import ANNA, BEN, GROUP, Book, Phone


@pytest.fixture
def book(app: Flask) -> Book:
    book = Book(app)
    book.allow(ANNA, BEN)
    return book


# --- at once


def test_of_messages_at_once_each_answer_counts_those_before_it(book: Book, phone: Phone) -> None:
    messages = [phone.message("1 coffee") for _ in range(24)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(book.take, messages))
    assert [re.findall(r"(\d+) in (\d+) entr", text) for text in book.said()] == [
        [(str(count), str(count))] for count in range(1, 25)
    ]


def test_of_gauges_at_once_each_answer_tells_the_change_since_the_one_before(book: Book, phone: Phone) -> None:
    book.take(phone.message("meter 0"))
    messages = [phone.later(seconds=1).message(f"meter {number}") for number in range(1, 9)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(book.take, messages))
    told = [re.search(r"meter (\d+)(?:, (\d+) (more|less))?", text) for text in book.said()[1:]]
    order = [int(match[1]) for match in told if match]
    newest = 0
    for place, match in enumerate(told):
        assert match is not None
        if match[2]:  # nothing is said of a change where a later value is there already
            assert int(match[2]) == order[place] - newest
        newest = max(newest, order[place])
    assert len(order) == 8


def test_an_edit_while_its_entry_is_taken_back_changes_nothing(
    book: Book, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = phone.message("5 coffee")
    book.take(entry)
    in_hand, go_on = threading.Event(), threading.Event()
    take_back = message_readings.take_back

    def slowly(*arguments: Any) -> Any:
        rows = take_back(*arguments)
        in_hand.set()
        go_on.wait(1.0)  # the edit comes now; it cannot end before this one does
        return rows

    monkeypatch.setattr(message_readings, "take_back", slowly)
    with ThreadPoolExecutor(2) as threads:
        press = threads.submit(book.take, phone.press(f"undo:{book.message(entry).id}"))
        assert in_hand.wait(10)
        monkeypatch.setattr(message_readings, "take_back", take_back)
        edit = threads.submit(book.take, phone.edit(entry, "6 coffee"))
        press.result(10)
        go_on.set()
        edit.result(10)
    assert book.values() == []
    assert "had been taken back" in book.said()[-1]
    book.check()


def test_entries_that_come_at_once_behind_their_undo_lose_nothing(book: Book, phone: Phone) -> None:
    for number in range(12):
        first = phone.message(f"0.1 x{number}")
        second = phone.later(seconds=30).message(f"0.2 x{number}")
        book.take(phone.later(seconds=30).message("/undo"))
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(book.take, (first, second)))
        phone.later(minutes=1)
    assert book.values() == [0.1] * 12
    book.check()


def test_many_lines_in_any_order_at_once_hold_nobody_up(book: Book, phone: Phone) -> None:
    names = [f"meter {letter}" for letter in "abcdef"]
    messages = []
    for number in range(24):
        order = names if number % 2 else names[::-1]
        messages.append(phone.message("\n".join(f"1 {name}" for name in order)))
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(book.take, messages))
    assert sum(book.values()) == 6 * 24
    book.check()


@pytest.mark.parametrize("database", ["timescaledb"], indirect=True)  # SQLite has one writer, whatever the chat
def test_a_chat_that_waits_holds_up_no_other_one(book: Book, phone: Phone, engine: Engine) -> None:
    book.take(phone.message("1 bread"), phone.message("1 bread", BEN))
    anna, ben = (phone.later(seconds=1).message("2 bread", person) for person in (ANNA, BEN))
    third = phone.message("3 bread")
    with ThreadPoolExecutor(3) as threads:
        with engine.begin() as connection:
            sensor = sa.select(Sensor.id).join(Source).where(Source.name == "Anna Meyer").with_for_update(of=Sensor)
            connection.execute(sensor)
            waiting = [threads.submit(book.take, update) for update in (anna, third)]
            time.sleep(0.3)
            threads.submit(book.take, ben).result(10)
            assert not any(one.done() for one in waiting)
        for one in waiting:
            one.result(10)
    assert sorted(book.values()) == [1, 1, 2, 2, 3]


# --- edits after an /undo


def test_what_an_edit_makes_an_entry_after_an_undo_stays(book: Book, phone: Phone) -> None:
    book.take(phone.message("12.50 grocries"))
    refused = phone.later(minutes=1).message("bread 3.20 lidl")
    book.take(refused, phone.later(minutes=1).message("/undo"))
    book.take(phone.later(minutes=1).edit(refused, "3.20 bread"))
    assert [row[1:4:2] for row in book.readings()] == [("bread", 3.2)]
    assert "3.20 bread" in book.said()[-1]
    late = phone.message("2 butter")  # written before the /undo, and taken back by it in the end
    late["message"]["date"] -= 100
    book.take(late)
    assert [row[1:4:2] for row in book.readings()] == [("grocries", 12.5), ("bread", 3.2)]
    book.take(phone.later(minutes=1).message("/undo"))
    assert [row[1] for row in book.readings()] == ["grocries"]
    book.check()


def test_what_an_edit_made_an_entry_before_an_undo_is_what_that_takes_back(book: Book, phone: Phone) -> None:
    book.take(phone.message("1 bread"))
    idle = phone.later(minutes=1).message("butter, I think")
    edit = phone.later(minutes=1).edit(idle, "2 butter")
    book.take(idle, phone.later(minutes=1).message("/undo"), edit)
    assert [row[1] for row in book.readings()] == ["bread"]


def test_an_undo_that_is_edited_into_an_entry_says_that_nothing_is_recorded(book: Book, phone: Phone) -> None:
    book.take(phone.message("1 bread"))
    undo = phone.later(minutes=1).message("/undo")
    book.take(undo)
    book.take(phone.edit(undo, "12.50 groceries"))
    assert book.values() == []
    assert "records nothing" in book.said()[-1]
    said = len(book.said())
    book.take(phone.edit(undo, "/undo "))
    assert len(book.said()) == said


def test_an_entry_that_is_edited_into_an_undo_takes_back_itself_alone(book: Book, phone: Phone) -> None:
    entry = phone.later(minutes=1).message("2 butter")
    book.take(phone.message("1 bread"), entry, phone.edit(entry, "/undo"))
    assert [row[1] for row in book.readings()] == ["bread"]
    assert book.said()[-1].startswith("Taken back: 2 butter")


def test_idle_talk_that_is_edited_into_an_undo_takes_back_nothing(book: Book, phone: Phone) -> None:
    idle = phone.later(minutes=1).message("what a day")
    book.take(phone.message("1 bread"), idle, phone.edit(idle, "/undo"))
    assert book.values() == [1]
    assert "as a new message" in book.said()[-1]


def test_an_undo_written_before_the_group_became_a_supergroup_finds_what_comes_late(book: Book, phone: Phone) -> None:
    late = phone.message("2 butter", ANNA, GROUP)
    supergroup = {"id": -100_4001, "type": "supergroup", "title": "Household"}
    book.take(phone.later(minutes=1).message("/undo", ANNA, GROUP))
    book.take(phone.message(None, ANNA, GROUP, migrate_to_chat_id=supergroup["id"]), late)
    assert book.values() == []
    book.take(phone.later(minutes=1).message("3 bread", ANNA, supergroup))
    assert book.values() == [3]


# --- numbers that come again


@pytest.mark.parametrize("chat", [None, GROUP], ids=["private", "group"])
def test_another_bot_counts_its_messages_anew_and_none_is_lost(book: Book, phone: Phone, chat: Any) -> None:
    book.take(phone.message("12.50 groceries", ANNA, chat), phone.message("3 bread", ANNA, chat))
    other = Phone().later(days=100)
    other.update_id = 900_000_000
    first = other.message("99 rent", ANNA, chat)
    book.take(first, first)
    assert sorted(book.values()) == [3, 12.5, 99]
    book.take(other.edit(first, "77 rent"))
    assert sorted(book.values()) == [3, 12.5, 77]
    book.take(other.message("/undo", ANNA, chat))
    assert sorted(book.values()) == [3, 12.5]
    book.check()


def test_what_another_bot_has_sent_can_be_edited(
    make_app: Callable[[Settings], Flask], bot_settings: Settings, telegram: TelegramStandin, phone: Phone
) -> None:
    book = Book(make_app(bot_settings))
    book.allow(ANNA)
    for count in (1, 2):
        telegram._messages.clear()  # another bot: the first message is number 1 again
        phone.later(days=1).number = 0
        entry = phone.message("5 coffee")
        book.take(entry)
        answer = Message.reply_to_id == book.message(entry).id, Message.telegram_message_id == 1
        telegram.wait_for(lambda answer=answer: book.ask(sa.select(Message.id).where(*answer)))
        book.take(phone.press(f"undo:{book.message(entry).id}", message_id=1))
        telegram.wait_for(
            lambda count=count: [call.method for call in telegram.delivered].count("editMessageText") == count
        )
    assert book.values() == []
