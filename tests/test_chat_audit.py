"""The audit knows what people change by writing to the bot, and who it was."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from daybook.config import Settings
from daybook.models import AuditEntry
from tests.telegram_updates import ANNA, BEN, EVE, GROUP, Book, Phone

ROW = AuditEntry.__table__


@pytest.fixture
def book(make_app: Callable[[Settings], Flask], settings: Settings) -> Book:
    book = Book(make_app(settings))
    book.allow(ANNA, BEN)
    return book


def entries(book: Book, object_type: str) -> list[tuple[str, str, str, Any]]:
    """(who, did, which, changes) of the chat's entries about such things, oldest first."""
    query = sa.select(ROW).where(ROW.c.object_type == object_type, ROW.c.origin == "chat").order_by(ROW.c.id)
    return [(row.actor, row.action, row.object_repr, row.changes) for row in book.ask(query)]


def test_what_is_recorded_corrected_and_taken_back_is_written_down(book: Book) -> None:
    phone = Phone()
    said = phone.message("12.50 groceries\ntemperature 21.4")
    book.take(said, phone.edit(said, "13 groceries"), phone.later(minutes=1).message("/undo"))
    assert entries(book, "message") == [
        (
            "Anna Meyer",
            "record",
            "groceries 12.5, temperature 21.4",
            {"groceries": [None, 12.5], "temperature": [None, 21.4]},
        ),
        ("Anna Meyer", "correct", "groceries 13", {"groceries": [12.5, 13.0], "temperature": [21.4, None]}),
        ("Anna Meyer", "take back", "groceries 13", {"groceries": [13.0, None]}),
    ]
    which = sa.select(ROW.c.object_id, ROW.c.telegram_user_id).where(ROW.c.object_type == "message").distinct()
    assert [tuple(row) for row in book.ask(which)] == [(str(book.message(said).id), ANNA["id"])]


def test_an_edit_that_says_no_number_any_more_takes_back(book: Book) -> None:
    phone = Phone()
    said = phone.message("12.50 groceries")
    book.take(said, phone.edit(said, "never mind"))
    assert [entry[1:] for entry in entries(book, "message")][1:] == [
        ("take back", "groceries 12.5", {"groceries": [12.5, None]})
    ]


def test_two_lines_of_one_name_are_both_there(book: Book) -> None:
    book.take(Phone().message("3 coffee\n4 coffee"))
    assert entries(book, "message")[0][3] == {"coffee": [None, 3.0], "coffee (2)": [None, 4.0]}


def test_five_deliveries_are_one_entry(book: Book) -> None:
    book.take(*[Phone().message("12.50 groceries")] * 5)
    assert len(entries(book, "message")) == 1


def test_idle_talk_and_questions_change_nothing(book: Book) -> None:
    phone = Phone()
    book.take(phone.message("good morning"), phone.message("/sum"), phone.message("/undo"))
    assert entries(book, "message") == []


def test_who_made_a_source_or_sensor_in_a_group_is_known(book: Book) -> None:
    book.take(Phone().message("12.50 groceries", BEN, GROUP))
    assert [entry[:2] for entry in entries(book, "source")] == [("Ben", "create")]
    assert [entry[:3] for entry in entries(book, "sensor")] == [("Ben", "create", "Household: groceries")]


def test_a_time_zone_is_a_change_of_the_chat(book: Book) -> None:
    phone = Phone()
    book.take(phone.message("/timezone Europe/Dublin"), phone.message("/timezone Europe/Dublin"))
    assert entries(book, "chat") == [("Anna Meyer", "change", "Anna Meyer", {"timezone": ["UTC", "Europe/Dublin"]})]


def test_a_stranger_is_entered_by_themselves_and_let_in_by_an_operator(book: Book) -> None:
    book.take(Phone().message("hello", EVE))
    book.allow(EVE)
    book.allow(EVE)
    mine = sa.select(ROW).where(ROW.c.object_type == "bot user", ROW.c.object_id == str(EVE["id"])).order_by(ROW.c.id)
    assert [(row.actor, row.action, row.changes) for row in book.ask(mine)] == [
        ("Eve Stranger", "create", {"status": [None, "pending"]}),
        ("Daybook", "allow", {"status": ["pending", "allowed"]}),
    ]


def test_an_update_that_raises_leaves_no_entry_until_it_is_handled(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    from daybook import outbox, updates

    phone = Phone()
    said = phone.message("12.50 groceries")
    with monkeypatch.context() as broken:
        broken.setattr(outbox, "queue", lambda *_args, **_more: 1 / 0)
        book.take(said)
    assert entries(book, "message") == []
    assert updates.handle_again(book.engine, book.settings, said["update_id"]) is None
    assert [entry[:2] for entry in entries(book, "message")] == [("Anna Meyer", "record")]


def test_the_webhook_leaves_nobody_acting_behind(
    make_app: Callable[[Settings], Flask], settings: Settings, book: Book
) -> None:
    from daybook import audit

    client: FlaskClient = make_app(replace(settings, telegram_webhook_secret="s" * 20)).test_client()
    headers = {"X-Telegram-Bot-Api-Secret-Token": "s" * 20}
    assert client.post("/telegram/webhook", json=Phone().message("1 tea"), headers=headers).status_code == 200
    assert [entry[0] for entry in entries(book, "message")] == ["Anna Meyer"]
    assert audit.current().origin == "daybook"


def test_an_undo_that_came_too_early_tells_what_it_puts_back(book: Book) -> None:
    phone = Phone()
    first, second = phone.message("1 tea"), phone.later(minutes=1).message("2 tea")
    book.take(first, phone.later(minutes=1).message("/undo"), second)
    assert book.values() == [1.0]
    assert [entry[1:] for entry in entries(book, "message")] == [
        ("record", "tea 1", {"tea": [None, 1.0]}),
        ("take back", "tea 1", {"tea": [1.0, None]}),
        ("record", "tea 2", {"tea": [None, 2.0]}),
        ("put back", "tea 1", {"tea": [None, 1.0]}),
        ("take back", "tea 2", {"tea": [2.0, None]}),
    ]


def test_a_sensor_that_becomes_another_kind_is_changed(book: Book) -> None:
    phone = Phone()
    book.take(phone.message("5 tea"), phone.later(minutes=1).message("/undo"))
    book.take(phone.later(minutes=1).message("tea 21 C"))
    assert entries(book, "sensor")[1:] == [
        ("Anna Meyer", "change", "Anna Meyer: tea", {"kind": ["amount", "gauge"], "unit": ["", "C"]})
    ]


def test_a_new_name_is_a_change_of_the_person(book: Book) -> None:
    phone = Phone()
    named = ANNA | {"first_name": "Annabel"}
    book.take(phone.message("5 tea"), phone.message("6 tea", named), phone.message("7 tea", named))
    book.allow(named | {"last_name": "Lee"})
    query = sa.select(ROW).where(ROW.c.object_type == "bot user", ROW.c.object_id == str(ANNA["id"]))
    assert [(row.actor, row.action, row.changes) for row in book.ask(query.order_by(ROW.c.id))][2:] == [
        ("Anna Meyer", "change", {"username": [None, "anna"]}),
        ("Annabel Meyer", "change", {"first_name": ["Anna", "Annabel"]}),
        ("Daybook", "change", {"last_name": ["Meyer", "Lee"]}),
    ]


def test_a_group_that_finds_its_source_again_tells_what_went(book: Book) -> None:
    phone, supergroup = Phone(), {"id": -1004001, "type": "supergroup", "title": "Household"}
    book.take(phone.message("1 tea", ANNA, GROUP), phone.message("2 tea\n3 milk", ANNA, supergroup))
    (last,) = book.ask(sa.select(sa.func.max(ROW.c.id)))
    book.take(phone.message(None, ANNA, supergroup, migrate_from_chat_id=GROUP["id"]))
    there, gone = "Household", "Household (-1004001)"
    told = book.ask(sa.select(ROW).where(ROW.c.id > last[0]).order_by(ROW.c.id))
    assert [(row.actor, row.action, row.object_type, row.object_repr, row.changes) for row in told] == [
        ("Daybook", "change", "sensor", "Household: milk", {"source": [gone, there]}),
        ("Daybook", "delete", "sensor", f"{gone}: tea", {"name": ["tea", None], "unit": ["", None]}),
        ("Daybook", "delete", "source", gone, {"name": [gone, None]}),
    ]
