"""Edits of a message that has brought a file: they count until somebody has begun with it, and are answered later."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask

from daybook import chat_files, people
from daybook.config import Settings
from tests.chat_files import CSV, document, ended, uploads
from tests.telegram_standin import Call, TelegramStandin
from tests.telegram_updates import ANNA, Book, Phone

IN_PARIS = "2026-10-31T23:00:00+00:00"
TOO_LATE = "mast.csv was taken as you had sent it first, so the edit changes nothing."


@pytest.fixture
def book(make_app: Callable[[Settings], Flask], bot_settings: Settings) -> Book:
    book = Book(make_app(bot_settings))
    book.allow(ANNA)
    return book


def edited(phone: Phone, update: dict[str, Any], **what: Any) -> dict[str, Any]:
    phone.later(seconds=30)
    return phone.update(edited_message=update["message"] | {"edit_date": int(phone.now.timestamp())} | what)


@contextmanager
def busy(book: Book) -> Iterator[None]:
    """Both threads that import are at other files meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chat_files, "_claim", lambda *_: None)
        yield
    chat_files.start(book.engine, book.settings)


def test_a_caption_that_is_edited_before_the_file_is_begun_counts(
    book: Book, telegram: TelegramStandin, phone: Phone
) -> None:
    said = phone.message(None, document=document(telegram, CSV), caption="the mast")
    with busy(book):
        book.take(said, edited(phone, said, caption="the mast\ntimezone: Europe/Paris"))
        assert book.message(said).status == "received"
    assert "6 readings added" in ended(book, telegram)
    assert [row.first_time.isoformat() for row in uploads(book)] == [IN_PARIS]
    assert len(book.said()) == 2


def test_a_file_that_is_replaced_before_it_is_begun_is_not_imported(
    book: Book, telegram: TelegramStandin, phone: Phone
) -> None:
    said = phone.message(None, document=document(telegram, b"time,power\n2026-11-01 00:00,5\n"))
    with busy(book):
        book.take(said, edited(phone, said, document=document(telegram, CSV)))  # of the same name
    assert "6 readings added" in ended(book, telegram)
    assert len(uploads(book)) == 1


def test_an_edit_by_somebody_who_was_shut_out_since_leaves_the_file_in_its_place(
    book: Book, telegram: TelegramStandin, phone: Phone
) -> None:
    said = phone.message(None, document=document(telegram, CSV))
    with busy(book):
        book.take(said)
        people.block(book.engine, ANNA["id"])
        book.take(edited(phone, said, caption="timezone: Europe/Paris"))
        assert book.message(said).status == "received"
    ended(book, telegram)
    assert [row.status for row in uploads(book)] == ["done"]


@pytest.mark.parametrize("body", [CSV, b"Dear diary,\nnothing happened.\n"])
def test_a_caption_that_is_edited_afterwards_is_answered(
    book: Book, telegram: TelegramStandin, phone: Phone, body: bytes
) -> None:
    said = phone.message(None, document=document(telegram, body), caption="the mast")
    book.take(said)
    ended(book, telegram)
    answers = len(book.said())
    book.take(edited(phone, said, caption="my mast"))  # says nothing of how it is to be read
    assert len(book.said()) == answers
    book.take(edited(phone, said, caption="my mast\ntimezone: Europe/Paris"))
    assert ended(book, telegram).startswith(TOO_LATE)
    assert "press Undo" in book.said()[-1]
    assert len(book.said()) == answers + 1
    assert book.message(said).status == "handled"
    assert len(uploads(book)) == 1


def test_a_caption_that_is_edited_while_the_file_is_read_is_answered(
    book: Book, telegram: TelegramStandin, phone: Phone
) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def hold_up(call: Call) -> None:
        if call.method == "download":
            asked.set()
            go_on.wait(20)

    telegram.fault = hold_up
    said = phone.message(None, document=document(telegram, CSV))
    book.take(said)
    assert asked.wait(10)
    book.take(edited(phone, said, caption="timezone: Europe/Paris"))
    assert book.message(said).status == "received"
    go_on.set()
    ended(book, telegram)
    assert any(text.startswith(TOO_LATE) for text in book.said())
    assert [row.status for row in uploads(book)] == ["done"]


def test_an_edit_of_a_file_that_was_too_large_needs_no_second_answer(
    book: Book, telegram: TelegramStandin, phone: Phone
) -> None:
    said = phone.message(None, document=document(telegram, b"x", file_size=20 * 1024 * 1024 + 1))
    book.take(said, edited(phone, said, caption="timezone: Europe/Paris"))
    assert len(book.said()) == 1
    assert book.message(said).status == "handled"
