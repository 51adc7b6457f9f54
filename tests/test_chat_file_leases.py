"""Who has a file of a chat in hand, and what stays when that takes long, fails in the middle, or is killed."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from daybook import chat_file_imports, chat_files, imports, removal
from daybook.config import Settings
from daybook.models import Message, Upload, utc_now
from daybook.upload_options import Options, Sender
from tests.chat_files import CSV, document, ended, uploads
from tests.telegram_standin import Call, TelegramStandin, too_many
from tests.telegram_updates import ANNA, Book, Phone

LEASE = timedelta(seconds=2)
ACCOUNT = "mast.csv is in: 6 readings added, 2 sensors (power, wind)"


@pytest.fixture
def book(make_app: Callable[[Settings], Flask], bot_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Book:
    monkeypatch.setattr(chat_file_imports, "LEASE", LEASE)
    monkeypatch.setattr(chat_file_imports, "_TELL_EVERY", 0.2)
    book = Book(make_app(bot_settings))
    book.allow(ANNA)
    return book


def button(telegram: TelegramStandin) -> Any:
    """What the button under the last message does; None where it has none."""
    markup = telegram.sent(ANNA["id"])[-1].params.get("reply_markup")
    return markup["inline_keyboard"][0][0]["callback_data"] if markup else None


def change(book: Book, update: dict[str, Any], **values: Any) -> None:
    """Changes the row of the message that came with this update."""
    mine = sa.update(Message).where(Message.id == book.message(update).id)
    with book.engine.begin() as connection:
        connection.execute(mine.values(values))


def left_behind(book: Book, update: dict[str, Any], attempts: int = 1, upload_id: int | None = None) -> None:
    """The file as a process leaves it that was killed with it in hand; then the next one looks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chat_files, "_claim", lambda *_: None)
        book.take(update)
        file = book.message(update).payload["file"] | ({"upload_id": upload_id} if upload_id else {})
        change(book, update, attempts=attempts, next_attempt_at=utc_now(), payload={"file": file})
    chat_files.resume(book.engine, book.settings)


def announced(book: Book, **values: Any) -> int:
    """An upload that somebody else has made of the file."""
    upload_id = imports.announce(book.engine, "mast.csv", Options(source="Anna Meyer"), Sender(), len(CSV))
    if values:
        with book.engine.begin() as connection:
            connection.execute(sa.update(Upload).where(Upload.id == upload_id).values(values))
    return upload_id


def imported(book: Book) -> int:
    """An upload of the file that is done."""
    upload_id = announced(book, telegram_user_id=ANNA["id"])
    imports.import_stream(book.engine, book.settings, iter([CSV]), upload_id=upload_id)
    return upload_id


def test_a_file_that_telegram_is_slow_to_name_is_imported_once(
    book: Book, telegram: TelegramStandin, phone: Phone
) -> None:
    faults = [too_many(4)]
    telegram.fault = lambda call: faults.pop() if call.method == "getFile" and faults else None
    book.take(said := phone.message(None, document=document(telegram, CSV)))
    time.sleep(LEASE.total_seconds() + 0.5)
    chat_files.start(book.engine, book.settings)  # as for the next file
    assert ended(book, telegram).startswith(ACCOUNT)
    assert book.message(said).attempts == 1
    assert [row.readings_added for row in uploads(book)] == [6]
    assert len([call for call in telegram.calls if call.method == "getFile"]) == 2
    assert button(telegram) == f"undo-file:{uploads(book)[0].id}"


def test_a_file_that_takes_long_to_read_is_imported_once(
    book: Book, telegram: TelegramStandin, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = chat_file_imports._pieces

    def slow(settings: Settings, path: str) -> Any:
        yield from pieces(settings, path)
        time.sleep(LEASE.total_seconds() + 2)

    monkeypatch.setattr(chat_file_imports, "_pieces", slow)
    book.take(said := phone.message(None, document=document(telegram, CSV)))
    time.sleep(LEASE.total_seconds() + 0.5)
    chat_files.start(book.engine, book.settings)
    assert book.message(said).attempts == 1
    assert ended(book, telegram).startswith(ACCOUNT)
    assert book.message(said).attempts == 1
    assert len(uploads(book)) == 1


@pytest.mark.parametrize(("at", "statuses"), [("getFile", ["cancelled", "done"]), ("download", ["done"])])
def test_who_has_lost_a_file_tells_nothing_of_it(
    book: Book, telegram: TelegramStandin, phone: Phone, at: str, statuses: list[str]
) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def hold_up(call: Call) -> None:
        if call.method == at and not asked.is_set():
            asked.set()
            go_on.wait(20)

    telegram.fault = hold_up
    book.take(said := phone.message(None, document=document(telegram, CSV)))
    assert asked.wait(10)
    change(book, said, attempts=2, next_attempt_at=utc_now() + timedelta(seconds=30))  # somebody else has claimed it
    go_on.set()
    telegram.wait_for(lambda: [row.status for row in uploads(book)] == statuses[:1], 20)
    time.sleep(0.5)
    assert (book.message(said).status, book.message(said).attempts) == ("received", 2)
    assert not any("is in" in text for text in book.said())
    change(book, said, next_attempt_at=utc_now())
    chat_files.start(book.engine, book.settings)
    assert ended(book, telegram).startswith(ACCOUNT)
    assert [row.status for row in uploads(book)] == statuses
    assert button(telegram) == f"undo-file:{uploads(book)[-1].id}"


@pytest.mark.parametrize(("body", "told"), [(CSV, ACCOUNT), (b"Dear diary,\n", "mast.csv was not taken")])
def test_what_came_of_a_file_is_told_when_telling_failed_at_first(
    book: Book, telegram: TelegramStandin, phone: Phone, monkeypatch: pytest.MonkeyPatch, body: bytes, told: str
) -> None:
    end, failures = chat_file_imports._end, [sa.exc.OperationalError("UPDATE", {}, Exception("the server is away"))]

    def failing_at_first(*about: Any) -> None:
        if failures:
            raise failures.pop()
        end(*about)

    monkeypatch.setattr(chat_file_imports, "_end", failing_at_first)
    book.take(phone.message(None, document=document(telegram, body)))
    assert ended(book, telegram).startswith(told)
    assert len(uploads(book)) == 1
    assert button(telegram) == (f"undo-file:{uploads(book)[0].id}" if body == CSV else None)
    assert len([call for call in telegram.calls if call.method == "getFile"]) == 1


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_process_that_was_killed_before_the_account_leaves_it_to_the_next(
    book: Book, telegram: TelegramStandin, phone: Phone, attempts: int
) -> None:
    upload_id = imported(book)
    left_behind(book, phone.message(None, document=document(telegram, CSV)), attempts, upload_id)
    assert ended(book, telegram).startswith(ACCOUNT)
    assert button(telegram) == f"undo-file:{upload_id}"
    assert len(uploads(book)) == 1


def test_what_was_taken_back_before_its_account_is_told_so(book: Book, telegram: TelegramStandin, phone: Phone) -> None:
    upload_id = imported(book)
    assert removal.undo(book.engine, book.settings, upload_id)
    left_behind(book, phone.message(None, document=document(telegram, CSV)), upload_id=upload_id)
    assert ended(book, telegram) == "mast.csv is out again, with its 6 readings."
    assert book.readings() == []


@pytest.mark.parametrize(("status", "stays"), [("waiting", "cancelled"), ("importing", "failed")])
def test_an_import_that_was_killed_is_begun_anew(
    book: Book, telegram: TelegramStandin, phone: Phone, status: str, stays: str
) -> None:
    upload_id = announced(book, **({"status": status, "started_at": utc_now()} if status == "importing" else {}))
    left_behind(book, phone.message(None, document=document(telegram, CSV)), upload_id=upload_id)
    assert ended(book, telegram).startswith(ACCOUNT)
    assert [row.status for row in uploads(book)] == [stays, "done"]
    assert button(telegram) == f"undo-file:{uploads(book)[-1].id}"


def test_a_file_that_kills_every_process_is_given_up(book: Book, telegram: TelegramStandin, phone: Phone) -> None:
    upload_id = announced(book, status="importing", started_at=utc_now())
    left_behind(book, said := phone.message(None, document=document(telegram, CSV)), 3, upload_id)
    assert "It was begun three times and never came to its end." in ended(book, telegram)
    assert book.message(said).status == "failed"
    assert [row.status for row in uploads(book)] == ["failed"]


def test_a_file_of_which_nobody_knows_the_upload_is_begun_anew(
    book: Book, telegram: TelegramStandin, phone: Phone
) -> None:
    left_behind(book, phone.message(None, document=document(telegram, CSV)))
    assert ended(book, telegram).startswith(ACCOUNT)
    assert len(uploads(book)) == 1
