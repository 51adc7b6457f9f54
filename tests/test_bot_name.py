"""In a group with other bots, only what is said to this one is answered."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from daybook import bot_name, outbox
from daybook.config import Settings
from tests.telegram_standin import TelegramStandin
from tests.telegram_updates import ANNA, GROUP, Book, Phone, private

MakeApp = Callable[[Settings], Flask]


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has just begun."""
    monkeypatch.setattr(bot_name, "_names", {})


@pytest.fixture
def book(make_app: MakeApp, bot_settings: Settings, telegram: TelegramStandin) -> Book:
    telegram.username = "Daybook_bot"
    book = Book(make_app(bot_settings))
    book.allow(ANNA)
    return book


def answered(book: Book, phone: Phone, text: str) -> bool:
    before = len(book.said(GROUP["id"]))
    book.take(phone.message(text, chat=GROUP))
    return len(book.said(GROUP["id"])) > before


def test_a_command_for_another_bot_is_left_to_it(book: Book, telegram: TelegramStandin) -> None:
    phone = Phone()
    book.take(phone.message("12.50 groceries", chat=GROUP))
    telegram.wait_for(lambda: bot_name.of(book.settings))
    assert not answered(book, phone, "/sum@otherbot")
    assert not answered(book, phone, "/undo@otherbot")
    assert answered(book, phone, "/sum@daybook_bot")
    assert answered(book, phone, "/sum@DAYBOOK_BOT groceries")
    assert answered(book, phone, "/sum")
    assert book.values() == [12.5]


@pytest.mark.parametrize("chat", [GROUP, private(ANNA)])
@pytest.mark.parametrize("command", ["undo", "sum", "help", "export", "timezone"])
def test_in_every_chat_a_command_goes_to_the_bot_that_it_names(book: Book, chat: dict[str, Any], command: str) -> None:
    assert bot_name.learn(book.settings)
    phone = Phone()
    entry = phone.message("12.50 groceries", chat=chat)
    book.take(
        entry, phone.message(f"/{command}@other_bot", chat=chat), phone.message(f"/{command}@OTHER_bot x", chat=chat)
    )
    assert len(book.said()) == 1
    assert book.values() == [12.5]
    book.take(phone.message(f"/{command}@daybook_bot", chat=chat))
    assert len(book.said()) == 2


def test_an_entry_that_is_edited_into_another_bots_command_is_out(book: Book) -> None:
    assert bot_name.learn(book.settings)
    phone = Phone()
    entry = phone.message("12.50 groceries", chat=GROUP)
    book.take(entry, phone.edit(entry, "/sum@other_bot"))
    assert book.values() == []
    assert "Taken back: 12.50 groceries" in book.said()[-1]


def test_telegram_is_asked_once_and_not_for_every_update(book: Book, telegram: TelegramStandin) -> None:
    phone = Phone()
    for _ in range(10):
        book.take(phone.message("/sum@otherbot", chat=GROUP))
    telegram.wait_for(lambda: bot_name.of(book.settings))
    for _ in range(10):
        book.take(phone.message("/sum@otherbot", chat=GROUP))
    assert telegram.times_asked_who == 1


def test_the_name_is_known_where_telegram_cannot_be_reached(
    book: Book, make_app: MakeApp, telegram: TelegramStandin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once learnt, it outlives the process; another bot's name is not taken for ours."""
    assert bot_name.learn(book.settings)
    telegram.username = ""
    monkeypatch.setattr(bot_name, "_names", {})
    assert not bot_name.learn(book.settings)
    assert not answered(book, Phone(), "/sum@otherbot")
    assert bot_name.of(replace(book.settings, telegram_bot_token="987654321:another")) == ""
    assert telegram.token not in (book.settings.instance_path / "bot_name").read_text()


def test_until_it_is_known_every_command_is_answered(book: Book, telegram: TelegramStandin) -> None:
    """An answer too many is better than a bot that says nothing. It goes on asking."""
    telegram.username = ""
    phone = Phone()
    assert answered(book, phone, "/sum@daybook_bot")
    telegram.wait_for(lambda: telegram.times_asked_who)
    telegram.username = "daybook_bot"
    telegram.wait_for(lambda: bot_name.of(book.settings) == "daybook_bot")
    outbox.stop(book.engine)


def test_a_bot_that_gets_another_name_goes_by_it(book: Book, telegram: TelegramStandin) -> None:
    assert bot_name.learn(book.settings)
    telegram.username = "household_bot"
    assert bot_name.learn(book.settings)
    phone = Phone()
    assert not answered(book, phone, "/sum@Daybook_bot")
    assert answered(book, phone, "/sum@household_bot")


def test_a_folder_that_cannot_be_written_to_costs_nothing_but_the_memory(
    make_app: MakeApp, bot_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    nowhere = replace(bot_settings, instance_path=tmp_path_factory.mktemp("x") / "missing")
    assert bot_name.learn(nowhere)
    assert bot_name.of(nowhere) == "daybook_bot"
