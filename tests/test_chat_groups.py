"""In a group people talk with each other beside the bot; and buttons of which Telegram tells only half."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from daybook import bot_name, updates
from daybook.config import Settings
from daybook.models import Message
from tests.telegram_standin import TelegramStandin
from tests.telegram_updates import ANNA, BEN, EVE, GROUP, Book, Phone, private

HELP = "I found no number"


@pytest.fixture
def book(make_app: Callable[[Settings], Flask], bot_settings: Settings) -> Book:
    book = Book(make_app(bot_settings))
    book.allow(ANNA, BEN)
    assert bot_name.learn(book.settings)
    return book


def helped(book: Book, chat: dict[str, Any] = GROUP) -> int:
    """How many of the bot's answers there were help."""
    return sum(HELP in text for text in book.said(chat["id"]))


@pytest.mark.parametrize("kind", ["group", "supergroup"])
def test_idle_talk_in_a_group_is_answered_once_a_day(book: Book, phone: Phone, kind: str) -> None:
    chat = GROUP | {"type": kind}
    for text in ("good morning", "what is for dinner?", "fish"):
        book.take(phone.later(hours=1).message(text, ANNA, chat), phone.message(text, BEN, chat))
    for text in ("see you at 7", "meeting moved to 15:00"):
        book.take(phone.message(text, ANNA, chat))
    assert helped(book) == 1
    book.take(phone.message("12.50 fish", BEN, chat), phone.message("thanks", ANNA, chat))
    assert book.values() == [12.5]
    assert len(book.said()) == 2
    book.take(phone.later(hours=20).message("hello", ANNA, chat))
    assert helped(book) == 1
    book.take(phone.later(hours=3).message("hello", ANNA, chat), phone.later(hours=5).message("hello", ANNA, chat))
    assert helped(book) == 2


def test_each_group_is_helped_and_a_private_chat_each_time(book: Book, phone: Phone) -> None:
    other = GROUP | {"id": -4002, "title": "Office"}
    for _ in range(3):
        book.take(*(phone.message("hello", ANNA, chat) for chat in (GROUP, other, private(ANNA))))
    assert [helped(book, chat) for chat in (GROUP, other, private(ANNA))] == [1, 1, 3]


def test_who_means_the_bot_is_answered(book: Book, telegram: TelegramStandin, phone: Phone) -> None:
    book.take(phone.message("hello", ANNA, GROUP))
    telegram.wait_for(lambda: telegram.sent(GROUP["id"]))
    telegram.wait_for(lambda: book.ask(_sent_numbers()))
    ours = {"message_id": book.ask(_sent_numbers())[0][0], "from": {"id": 1, "is_bot": True}, "chat": GROUP}
    theirs = {"message_id": phone.number, "from": ANNA, "chat": GROUP}
    book.take(phone.message("no, really", BEN, GROUP, reply_to_message=theirs))
    another = ours | {"from": {"id": 2, "is_bot": True, "username": "other_bot"}}
    book.take(phone.message("no, really", BEN, GROUP, reply_to_message=another))
    assert len(book.said()) == 1
    named = {"message_id": 9999, "from": {"id": 1, "is_bot": True, "username": "Daybook_Bot"}, "chat": GROUP}
    for message in (ours, named):
        book.take(phone.message("what?", BEN, GROUP, reply_to_message=message))
    assert helped(book) == 3
    book.take(phone.message("hello @Daybook_bot", BEN, GROUP), phone.message("/ hello", BEN, GROUP))
    assert helped(book) == 5
    book.take(phone.message("hello @other_bot", BEN, GROUP))
    assert len(book.said()) == 5


def test_late_messages_and_two_at_once_make_no_second_help(book: Book, phone: Phone) -> None:
    early = phone.message("hello", ANNA, GROUP)
    talk = [phone.later(seconds=1).message("hello", ANNA, GROUP) for _ in range(8)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(book.take, talk))
    book.take(early)
    assert helped(book) == 1
    assert updates.failed(book.engine) == []


def test_an_entry_that_is_edited_into_idle_talk_is_taken_back_in_words(book: Book, phone: Phone) -> None:
    entry = phone.message("12.50 fish", ANNA, GROUP)
    book.take(phone.message("hello", BEN, GROUP), entry, phone.edit(entry, "never mind"))
    assert book.values() == []
    assert "Taken back: 12.50 fish" in book.said()[-1]
    assert helped(book) == 1


PICTURE = [{"file_id": "p", "width": 1, "height": 1}]
SOMETHING_ELSE: list[dict[str, Any]] = [
    {"photo": PICTURE},
    {"sticker": {"file_id": "s"}},
    {"voice": {"file_id": "v"}},
    {"animation": {"file_id": "a"}, "document": {"file_id": "a", "file_name": "giphy.mp4"}},
    {"photo": PICTURE, "caption": "what a cat"},
]


def test_what_is_not_text_is_answered_once_a_day_in_a_group(book: Book, phone: Phone) -> None:
    for what in SOMETHING_ELSE:
        book.take(phone.later(minutes=1).message(None, ANNA, GROUP, **what))
    assert [text[:15] for text in book.said()] == ["I can take text"]
    book.take(phone.message("good morning", BEN, GROUP))
    assert len(book.said()) == 1, "help is help, whatever was sent"
    book.take(phone.later(hours=25).message(None, BEN, GROUP, photo=PICTURE))
    assert len(book.said()) == 2
    book.take(*(phone.message(None, BEN, **what) for what in SOMETHING_ELSE))
    assert len(book.said(BEN["id"])) == len(SOMETHING_ELSE), "in a private chat, each is answered"


def test_what_is_not_text_and_means_the_bot_or_has_a_number_is_answered(book: Book, phone: Phone) -> None:
    book.take(phone.message("hello", ANNA, GROUP))
    ours = {"message_id": 9999, "from": {"id": 1, "is_bot": True, "username": "daybook_bot"}, "chat": GROUP}
    book.take(phone.message(None, BEN, GROUP, photo=PICTURE, reply_to_message=ours))
    for number, caption in enumerate(("12.50 groceries", "look @daybook_bot", "/sum@daybook_bot"), 3):
        book.take(phone.message(None, BEN, GROUP, photo=PICTURE, caption=caption))
        assert len(book.said()) == number
        assert "Nothing of this was recorded" in book.said()[-1]
    book.take(phone.message(None, BEN, GROUP, photo=PICTURE, caption="/sum@other_bot"))
    assert len(book.said()) == 5
    assert book.values() == []


# --- a button whose message Telegram does not name any more


def press_without_message(phone: Phone, sender: dict[str, Any], **more: Any) -> Any:
    press = {"id": f"old-{phone.update_id}", "from": sender, "chat_instance": "1", "data": "sum:1:2026-10"}
    return phone.update(callback_query=press | more)


def test_a_button_that_is_too_old_is_answered(book: Book, telegram: TelegramStandin, phone: Phone) -> None:
    book.take(press_without_message(phone, ANNA), press_without_message(phone, ANNA, inline_message_id="x"))
    telegram.wait_for(lambda: len(telegram.sent(method="answerCallbackQuery")) == 2)
    for call in telegram.sent(method="answerCallbackQuery"):
        assert call.params["text"].startswith("This button is too old")
    assert book.said() == []
    book.take(press_without_message(phone, EVE))  # a stranger learns nothing, and sees no endless waiting
    telegram.wait_for(lambda: len(telegram.sent(method="answerCallbackQuery")) == 3)
    assert not telegram.sent(method="answerCallbackQuery")[-1].params.get("text")
    assert updates.failed(book.engine) == []


def _sent_numbers() -> Any:
    return sa.select(Message.telegram_message_id).where(
        Message.direction == "out", Message.status == "sent", Message.chat_id == GROUP["id"]
    )
