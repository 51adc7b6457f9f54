"""A file that is dropped into a chat goes through the same import as on the upload page, and is told of there."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from daybook import chat_file_imports, chat_files, updates
from daybook.config import Settings
from daybook.models import Message, Upload, utc_now
from tests.chat_files import CSV, document, ended, uploads
from tests.telegram_standin import Fault, TelegramStandin, failing, too_many
from tests.telegram_updates import ANNA, BEN, EVE, GROUP, Book, Phone


@pytest.fixture
def book(make_app: Callable[[Settings], Flask], bot_settings: Settings) -> Book:
    book = Book(make_app(bot_settings))
    book.allow(ANNA, BEN)
    return book


def test_a_file_is_imported_into_the_chats_source(book: Book, telegram: TelegramStandin, phone: Phone) -> None:
    said = phone.message(None, ANNA, GROUP, document=document(telegram, CSV))
    book.take(said, said)
    told = ended(book, telegram)
    assert "mast.csv is in: 6 readings added, 2 sensors (power, wind)" in told
    assert "5 lines: 1 before the readings, 0 blank, 3 read, 1 rejected" in told
    assert "Line 4" in told
    assert "rubbish" in told
    assert {row[0] for row in book.readings()} == {"Household"}
    row = uploads(book)[-1]
    assert (row.status, row.telegram_user_id, row.filename) == ("done", ANNA["id"], "mast.csv")
    assert row.bytes_done == len(CSV)
    assert len(uploads(book)) == 1
    # One message, edited as it goes.
    assert [call.method for call in telegram.sent(GROUP["id"])] == ["sendMessage", "editMessageText"]
    assert book.message(said).status == "handled"
    assert not telegram.violations


def test_its_button_takes_it_back_once_and_only_for_the_sender(
    book: Book, telegram: TelegramStandin, phone: Phone
) -> None:
    book.take(phone.message(None, ANNA, GROUP, document=document(telegram, CSV)))
    ended(book, telegram)
    edit = telegram.sent(GROUP["id"])[-1]
    data = edit.params["reply_markup"]["inline_keyboard"][0][0]["callback_data"]
    number = edit.params["message_id"]
    book.take(phone.press(data, BEN, GROUP, message_id=number))
    telegram.wait_for(lambda: telegram.sent(method="answerCallbackQuery"))
    assert "Only who sent" in telegram.sent(method="answerCallbackQuery")[0].params["text"]
    assert len(book.readings()) == 6
    book.take(press := phone.press(data, ANNA, GROUP, message_id=number), press)
    telegram.wait_for(lambda: "out again" in telegram.texts(GROUP["id"])[-1])
    undone = telegram.sent(GROUP["id"])[-1]
    assert (undone.method, undone.params["message_id"]) == ("editMessageText", number)
    assert "reply_markup" not in undone.params, "the button is gone"
    assert book.readings() == []
    assert uploads(book)[-1].status == "undone"
    book.take(phone.press(data, ANNA, GROUP, message_id=number))
    telegram.wait_for(lambda: len(telegram.sent(method="answerCallbackQuery")) == 3)
    assert "already" in telegram.sent(method="answerCallbackQuery")[-1].params["text"]


def test_its_account_and_button_come_also_when_its_message_is_deleted_meanwhile(
    book: Book, telegram: TelegramStandin, phone: Phone
) -> None:
    deleted = Fault(400, "Bad Request: message to edit not found")
    telegram.fault = lambda call: deleted if call.method == "editMessageText" else None
    book.take(phone.message(None, document=document(telegram, CSV)))
    assert "6 readings added" in ended(book, telegram)
    account = telegram.sent(ANNA["id"])[-1]
    data = account.params["reply_markup"]["inline_keyboard"][0][0]["callback_data"]
    numbers = sa.select(Message.telegram_message_id).where(Message.direction == "out").order_by(Message.id.desc())
    number = book.ask(numbers)[0][0]
    telegram.fault = None
    book.take(phone.press(data, message_id=number))
    telegram.wait_for(lambda: "out again" in telegram.texts(ANNA["id"])[-1])
    undone = telegram.sent(ANNA["id"])[-1]
    assert (undone.method, undone.params["message_id"]) == ("editMessageText", number)
    assert book.readings() == []


def test_what_its_button_did_is_told_also_when_the_account_is_deleted_meanwhile(
    book: Book, telegram: TelegramStandin, phone: Phone
) -> None:
    book.take(phone.message(None, document=document(telegram, CSV)))
    ended(book, telegram)
    account = telegram.sent(ANNA["id"])[-1].params
    deleted = Fault(400, "Bad Request: message to edit not found")
    telegram.fault = lambda call: deleted if call.method == "editMessageText" else None
    data = account["reply_markup"]["inline_keyboard"][0][0]["callback_data"]
    book.take(phone.press(data, message_id=account["message_id"]))
    telegram.wait_for(lambda: "out again" in telegram.texts(ANNA["id"])[-1])
    assert telegram.sent(ANNA["id"])[-1].method == "sendMessage"  # as a new message, since there is none to change
    assert book.readings() == []


def test_an_animation_is_no_file(book: Book, telegram: TelegramStandin, phone: Phone) -> None:
    # The Bot API names an animation as a document as well, for programs from before there were any.
    moving = document(telegram, b"\0\0\0\x1cftypmp42", "giphy.mp4", mime_type="video/mp4")
    book.take(said := phone.message(None, animation=moving, document=moving, caption="look"))
    assert "I can take text" in ended(book, telegram)
    assert book.message(said).status == "handled"
    assert uploads(book) == []
    assert [call.method for call in telegram.calls] == ["sendMessage"]


def test_a_refusal_comes_also_when_its_message_is_deleted_meanwhile(
    book: Book, telegram: TelegramStandin, phone: Phone
) -> None:
    deleted = Fault(400, "Bad Request: message to edit not found")
    telegram.fault = lambda call: deleted if call.method == "editMessageText" else None
    book.take(phone.message(None, document=document(telegram, b"Dear diary,\n")))
    assert "was not taken" in ended(book, telegram)


def test_its_button_pressed_twice_at_once_is_told_of_once(book: Book, telegram: TelegramStandin, phone: Phone) -> None:
    book.take(phone.message(None, ANNA, GROUP, document=document(telegram, CSV)))
    ended(book, telegram)
    edit = telegram.sent(GROUP["id"])[-1]
    data = edit.params["reply_markup"]["inline_keyboard"][0][0]["callback_data"]
    presses = [phone.press(data, ANNA, GROUP, message_id=edit.params["message_id"]) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(book.take, presses))
    telegram.wait_for(lambda: len(telegram.sent(method="answerCallbackQuery")) == 4)
    telegram.wait_for(lambda: "out again" in telegram.texts(GROUP["id"])[-1])
    ended(book, telegram)
    assert len([text for text in telegram.texts(GROUP["id"]) if "out again" in text]) == 1
    assert "with its 6 readings" in telegram.texts(GROUP["id"])[-1]
    assert book.readings() == []
    book.check()


@pytest.mark.parametrize("data", ["undo-file:0", "undo-file:-1", "undo-file:99999999999999999", "undo-file:x"])
def test_a_button_that_nobody_made_takes_nothing_back(
    book: Book, telegram: TelegramStandin, phone: Phone, data: str
) -> None:
    book.take(phone.message(None, document=document(telegram, CSV)))
    ended(book, telegram)
    book.take(phone.press(data))
    telegram.wait_for(lambda: telegram.sent(method="answerCallbackQuery"))
    assert len(book.readings()) == 6
    assert updates.failed(book.engine) == []


def test_a_file_that_nobody_has_begun_does_not_wait_for_anothers_lease(
    book: Book, telegram: TelegramStandin, phone: Phone
) -> None:
    said = [phone.message(None, document=document(telegram, CSV, name)) for name in ("a.csv", "b.csv")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chat_files, "_claim", lambda *_: None)
        book.take(*said)
        time.sleep(0.5)
    message_id = book.message(said[0]).id
    with book.engine.begin() as connection:  # one is claimed by a process that is no more
        mine = sa.update(Message).where(Message.id == message_id)
        connection.execute(mine.values(next_attempt_at=utc_now() + timedelta(seconds=30), attempts=1))
    chat_files.resume(book.engine, book.settings)
    telegram.wait_for(lambda: any("b.csv is in" in text for text in telegram.texts()), 10)
    assert not any("a.csv is in" in text for text in telegram.texts())
    assert len(book.readings()) == 6


def test_the_order_of_dates_can_be_said_in_the_caption(book: Book, telegram: TelegramStandin, phone: Phone) -> None:
    body = b"time,power\n03/04/2026 00:00,5\n03/04/2026 00:10,6\n"
    book.take(phone.message(None, document=document(telegram, body)))
    told = ended(book, telegram)
    assert "3 April 2026 or 4 March 2026" in told
    assert 'caption "date order: dmy"' in told
    book.take(phone.message(None, document=document(telegram, body), caption="Date order: DMY"))
    assert "2 readings added" in ended(book, telegram)
    assert book.readings()[0][2].month == 4


def test_the_same_file_twice_doubles_nothing(book: Book, telegram: TelegramStandin, phone: Phone) -> None:
    for _ in range(2):
        book.take(phone.message(None, document=document(telegram, CSV)))
        told = ended(book, telegram)
    assert "0 readings added, 6 were there already" in told
    assert len(book.readings()) == 6


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(500), "picture"),
        (b"Dear diary,\nnothing happened.\n", "not taken"),
        (b"", "The file is empty"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_words(
    book: Book, telegram: TelegramStandin, phone: Phone, body: bytes, said: str
) -> None:
    book.take(phone.message(None, document=document(telegram, body, "cat.png")))
    told = ended(book, telegram)
    assert "cat.png was not taken, and nothing of it is kept" in told
    assert said in told
    assert book.readings() == []


def test_a_large_file_is_answered_with_the_page_and_never_fetched(
    make_app: Callable[[Settings], Flask], bot_settings: Settings, telegram: TelegramStandin, phone: Phone
) -> None:
    from dataclasses import replace

    book = Book(make_app(replace(bot_settings, public_url="https://daybook.example.org")))
    book.allow(ANNA)
    large = document(telegram, b"x", file_size=20 * 1024 * 1024 + 1)
    book.take(phone.message(None, document=large))
    assert "https://daybook.example.org/uploads" in ended(book, telegram)
    # One whose size Telegram tells only later.
    unsaid = document(telegram, b"x" * (20 * 1024 * 1024 + 1))
    del unsaid["file_size"]
    book.take(phone.message(None, document=unsaid))
    assert "https://daybook.example.org/uploads" in ended(book, telegram)
    # Telegram has not said where it is: that says nothing of its size.
    book.take(phone.message(None, document={"file_name": "mast.csv"}))
    assert "mast.csv was not taken" in ended(book, telegram)
    assert not [path for path in telegram.paths if path.startswith("/file/")]
    assert uploads(book) == []


def test_the_caption_can_name_type_and_zone(book: Book, telegram: TelegramStandin, phone: Phone) -> None:
    book.take(phone.message(None, document=document(telegram, CSV), caption="the mast\ntimezone: Europe/Paris"))
    ended(book, telegram)
    assert uploads(book)[-1].first_time.isoformat() == "2026-10-31T23:00:00+00:00"
    book.take(phone.message(None, document=document(telegram, CSV), caption="Type: no such type"))
    assert "no such type" in ended(book, telegram)
    book.take(phone.message(None, document=document(telegram, CSV), caption="timezone: Mars"))
    assert "Mars" in ended(book, telegram)
    assert len(uploads(book)) == 1


ZONED = CSV.replace(b"00:00", b"00:00Z").replace(b"00:10", b"00:10Z").replace(b"00:20", b"00:20Z")


@pytest.mark.parametrize(
    ("zone", "body", "caption", "assumed"),
    [
        ("Europe/Dublin", CSV, "", True),
        ("Europe/Dublin", CSV, "the mast", True),
        ("Europe/Dublin", CSV, "timezone: UTC", False),
        ("Europe/Dublin", ZONED, "", False),
        ("Europe/Dublin", CSV.replace(b"time,", b"time (UTC),"), "", False),
        ("UTC", CSV, "", False),
    ],
)
def test_a_zone_that_nobody_named_is_told(
    book: Book, telegram: TelegramStandin, phone: Phone, zone: str, body: bytes, caption: str, assumed: bool
) -> None:
    book.take(phone.message(f"/timezone {zone}"))
    file = document(telegram, body)
    del file["file_size"]
    book.take(phone.message(None, document=file, caption=caption))
    told = ended(book, telegram)
    assert "6 readings added" in told
    how = (
        "Times without a zone were read as UTC. To read them in this chat's zone, press Undo and send it again with "
        'the caption "timezone: Europe/Dublin".'
    )
    assert (how in told) == ("without a zone" in told) == assumed


def test_files_of_strangers_are_not_fetched(book: Book, telegram: TelegramStandin, phone: Phone) -> None:
    book.take(phone.message(None, EVE, document=document(telegram, CSV)))
    telegram.wait_for(lambda: telegram.sent(EVE["id"]))
    assert [call.method for call in telegram.calls if call.method == "getFile"] == []
    assert uploads(book) == []


def test_a_server_that_refuses_at_first_is_asked_again(book: Book, telegram: TelegramStandin, phone: Phone) -> None:
    faults = [failing(), too_many(1), failing(502)]
    telegram.fault = lambda call: faults.pop() if call.method == "getFile" and faults else None
    book.take(phone.message(None, document=document(telegram, CSV)))
    assert "6 readings added" in ended(book, telegram)


def test_a_file_that_cannot_be_fetched_leaves_nothing(book: Book, telegram: TelegramStandin, phone: Phone) -> None:
    telegram.fault = lambda call: Fault(404, "Not Found") if call.method == "download" else None
    book.take(phone.message(None, document=document(telegram, CSV)))
    assert "was not taken" in ended(book, telegram)
    assert telegram.token not in str(book.ask(sa.select(Upload.error)) + book.said())
    telegram.fault = lambda call: Fault(400, "Bad Request: invalid file_id") if call.method == "getFile" else None
    book.take(phone.message(None, document=document(telegram, CSV)))
    assert "was not taken" in ended(book, telegram)
    assert book.readings() == []


@pytest.mark.parametrize("name", [None, "", "../../etc/passwd", "<b>x</b>.csv", "\u202egnp.csv", "n" * 500 + ".csv"])
def test_file_names_of_every_kind(book: Book, telegram: TelegramStandin, phone: Phone, name: str | None) -> None:
    book.take(phone.message(None, document=document(telegram, CSV, name)))
    assert "6 readings added" in ended(book, telegram)
    assert "/" not in uploads(book)[-1].filename.replace("</b>", "")
    assert updates.failed(book.engine) == []


def test_progress_is_told_while_a_file_is_read(
    book: Book, telegram: TelegramStandin, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_file_imports, "_TELL_EVERY", 0.2)
    go_on = threading.Event()
    pieces = chat_file_imports._pieces

    def slow(settings: Settings, path: str) -> Any:
        yield from pieces(settings, path)
        go_on.wait(20)

    monkeypatch.setattr(chat_file_imports, "_pieces", slow)
    book.take(phone.message(None, document=document(telegram, CSV)))
    telegram.wait_for(lambda: any("so far" in text for text in telegram.texts()))
    go_on.set()
    assert "6 readings added" in ended(book, telegram)


def test_a_file_that_a_killed_process_left_is_begun_anew(book: Book, telegram: TelegramStandin, phone: Phone) -> None:
    said = phone.message(None, document=document(telegram, CSV))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chat_files, "_claim", lambda *_: None)
        book.take(said)
        time.sleep(0.5)
    message_id = book.message(said).id
    with book.engine.begin() as connection:  # as it was claimed by a process that is no more
        mine = sa.update(Message).where(Message.id == message_id)
        connection.execute(mine.values(next_attempt_at=utc_now() + timedelta(seconds=2), attempts=1))
    chat_files.start(book.engine, book.settings)
    assert book.readings() == []
    chat_files.resume(book.engine, book.settings)
    assert "6 readings added" in ended(book, telegram)
    assert len(book.readings()) == 6
