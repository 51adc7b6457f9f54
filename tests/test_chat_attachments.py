"""/chart answers with a picture and /export with a file, made from what is in the book when they are sent."""

import struct
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from daybook import outbox_claims
from daybook.config import Settings
from tests.telegram_standin import TelegramStandin
from tests.telegram_updates import ANNA, BEN, GROUP, Book, Phone


@pytest.fixture
def book(make_app: Callable[[Settings], Flask], bot_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Book:
    monkeypatch.setattr(outbox_claims, "PACE", timedelta(milliseconds=20))  # the files come behind other answers
    book = Book(make_app(bot_settings))
    book.allow(ANNA, BEN)
    return book


def fill(book: Book) -> Phone:
    phone = Phone()
    for number in range(8):
        phone.later(days=1)
        book.take(phone.message(f"{number + 1}.50 groceries\ntemperature {20 + number}", ANNA, GROUP))
    book.take(phone.message("99 secret", BEN))
    return phone.later(minutes=5)


def sent_file(book: Book, telegram: TelegramStandin, update: Any, method: str) -> Any:
    book.take(update)
    telegram.wait_for(lambda: telegram.sent(GROUP["id"], method), 30)
    (call,) = telegram.sent(GROUP["id"], method)
    return call


@pytest.mark.parametrize("text", ["/chart temperature 30d", "/chart groceries 7d", "/chart groceries 1y"])
def test_a_chart_is_a_picture(book: Book, telegram: TelegramStandin, text: str) -> None:
    call = sent_file(book, telegram, fill(book).message(text, ANNA, GROUP), "sendPhoto")
    _, picture, kind = call.files["photo"]
    assert kind == "image/png"
    assert picture.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", picture[16:24])
    assert width >= 1000
    assert height >= 600
    assert text.split()[1] in call.params["caption"]


def test_an_export_has_the_months_readings_of_this_chat_alone(book: Book, telegram: TelegramStandin) -> None:
    call = sent_file(book, telegram, fill(book).message("/export 2026-11", ANNA, GROUP), "sendDocument")
    name, content, _ = call.files["document"]
    lines = content.decode().splitlines()
    assert name.endswith(".csv")
    assert lines[0] == "source,sensor,time,value"
    assert len(lines) == 17
    assert lines[1] == "Household,groceries,2026-11-19T12:00:00Z,1.5"
    assert "secret" not in content.decode()


def test_a_name_that_a_spreadsheet_would_compute_is_text(book: Book, telegram: TelegramStandin) -> None:
    chat = GROUP | {"title": "=HYPERLINK(1)"}
    phone = Phone()
    book.take(phone.message('-5 "=1+1"\n7 @home\n8 tea', ANNA, chat))
    call = sent_file(book, telegram, phone.later(minutes=5).message("/export", ANNA, chat), "sendDocument")
    assert call.files["document"][1].decode().splitlines()[1:] == [
        "'=HYPERLINK(1),'=1+1,2026-11-18T12:00:00Z,-5",
        "'=HYPERLINK(1),'@home,2026-11-18T12:00:00Z,7",
        "'=HYPERLINK(1),tea,2026-11-18T12:00:00Z,8",
    ]


def test_a_month_without_a_reading_is_answered_in_words(book: Book) -> None:
    phone = fill(book)
    book.take(*(phone.message(f"/export {month}", ANNA, GROUP) for month in ("2026-10", "2025-11", "december")))
    assert book.said(GROUP["id"])[-3:] == [
        "There is no reading of October in this chat.",
        "There is no reading of November 2025 in this chat.",
        "There is no reading of December 2025 in this chat.",
    ]
