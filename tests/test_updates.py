"""Each update has one effect, however often and in whatever shape it is delivered."""

import json
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from daybook import messages, updates
from daybook.config import Settings, read_settings
from daybook.models import Message, TelegramUpdate, TelegramUser
from tests.conftest import LiveServer
from tests.telegram_updates import ANNA, EVE, GROUP, Book, Phone

SECRET = "Only-for_tests-0123456789"
HEADER = "X-Telegram-Bot-Api-Secret-Token"


@pytest.fixture
def book(make_app: Callable[[Settings], Flask], settings: Settings) -> Book:
    book = Book(make_app(replace(settings, telegram_webhook_secret=SECRET)))
    book.allow(ANNA)
    return book


@pytest.fixture
def hook(make_app: Callable[[Settings], Flask], settings: Settings) -> FlaskClient:
    app = make_app(replace(settings, telegram_webhook_secret=SECRET))
    Book(app).allow(ANNA)
    return app.test_client()


def post(client: FlaskClient, body: Any, secret: str | None = SECRET) -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body)
    headers = {} if secret is None else {HEADER: secret}
    return client.post("/telegram/webhook", data=data, headers=headers, content_type="application/json")


# --- the door


def test_without_a_secret_in_the_settings_nothing_is_served(client: FlaskClient) -> None:
    for secret in (None, "", SECRET):
        answer = post(client, {"update_id": 1}, secret)
        assert (answer.status_code, answer.json["error"]["code"]) == (404, "not_configured")


@pytest.mark.parametrize("blank", ["", "   ", "\t"])
def test_a_blank_secret_is_none(make_app: Callable[[Settings], Flask], settings: Settings, blank: str) -> None:
    environment = {"TELEGRAM_WEBHOOK_SECRET": blank, "INSTANCE_PATH": str(settings.instance_path)}
    secret = read_settings(environment).telegram_webhook_secret
    client = make_app(replace(settings, telegram_webhook_secret=secret)).test_client()
    for sent in (None, "", blank):
        assert post(client, Phone().message("12.50 groceries"), sent).status_code == 404


def test_only_who_knows_the_secret_is_heard(hook: FlaskClient, book: Book) -> None:
    for wrong in (None, "", "x", SECRET + "x", SECRET[:-1], "Ünïcödé"):
        assert post(hook, Phone().message("12.50 groceries"), wrong).status_code == 403
    assert post(hook, b"{broken", "x").status_code == 403
    assert book.ask(sa.select(TelegramUpdate.update_id)) == []
    assert post(hook, Phone().message("12.50 groceries")).status_code == 200
    assert book.values() == [12.5]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"nothing", b'{"update_id": NaN}', b'{"update_id": 1e999}', b"[" * 200_000]
)
def test_what_is_no_json_is_refused(hook: FlaskClient, body: bytes) -> None:
    answer = post(hook, body)
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "bad_json")


@pytest.mark.parametrize("levels", [150, 250, 900, 936, 960])
def test_json_however_deep_is_kept_or_refused(hook: FlaskClient, book: Book, levels: int) -> None:
    body = b'{"update_id": 1, "x": ' + b"[" * levels + b"]" * levels + b"}"
    assert post(hook, body).status_code == (200 if levels < 200 else 400)
    assert len(book.ask(sa.select(TelegramUpdate.update_id))) == (levels < 200)
    wide = {"update_id": 2, "x": [[1]] * 5000}
    assert post(hook, wide).status_code == 200


def test_more_than_a_mebibyte_is_refused(hook: FlaskClient) -> None:
    assert post(hook, b'"' + b"x" * updates.MAX_BYTES + b'"').status_code == 413


SHAPES: list[Any] = [
    {},
    [],
    "text",
    17,
    None,
    {"update_id": "7"},
    {"update_id": 0},
    {"update_id": -5},
    {"update_id": 2**63},
    {"update_id": True},
    {"update_id": 7},
    {"update_id": 8, "message": None},
    {"update_id": 9, "message": {}},
    {"update_id": 10, "message": {"message_id": 1, "chat": {"id": 1}, "date": 1}},
    {"update_id": 11, "message": {"message_id": 1, "chat": {"id": "1"}, "from": {"id": 1}, "text": "5 a"}},
    {"update_id": 12, "message": {"message_id": 1, "chat": {"id": 1}, "from": {"id": 10**40}, "text": "5 a"}},
    {"update_id": 13, "message": {"message_id": [], "chat": [], "from": {}, "text": {}}},
    {"update_id": 14, "channel_post": {"message_id": 1, "chat": {"id": -1, "type": "channel"}, "text": "5 a"}},
    {"update_id": 15, "callback_query": {"id": "1", "from": ANNA, "data": "undo:999999"}},
    {"update_id": 16, "callback_query": {"id": 1, "from": ANNA, "message": 5}},
    {"update_id": 17, "poll_answer": {"poll_id": "1"}},
    {"update_id": 18, "my_chat_member": {"chat": {"id": 5}}},
    {"update_id": 19, "message": {"message_id": 3, "chat": {"id": -9, "type": "zoo"}, "from": EVE, "date": "now"}},
    {"update_id": 20, "message": {"message_id": 4, "chat": {"id": 1001}, "from": ANNA, "date": 10**30, "text": None}},
    {"update_id": 21, "message": {"message_id": 5, "chat": {"id": 1001}, "from": ANNA, "document": {"file_id": 5}}},
    {"update_id": 22, "message": {"message_id": 6, "chat": {"id": 1001}, "from": ANNA, "text": "\ud800 \0 5"}},
    {"update_id": 23, "message": {"chat": {"id": 1}, "migrate_to_chat_id": "2"}},
]


def test_unknown_shapes_are_kept_once_and_answered(hook: FlaskClient, book: Book) -> None:
    for shape in SHAPES + SHAPES:
        answer = post(hook, shape)
        assert (answer.status_code, answer.json) == (200, {"ok": True}), shape
    rows = book.ask(sa.select(TelegramUpdate.payload, TelegramUpdate.error, TelegramUpdate.processed_at))
    assert [row.error for row in rows if row.error] == []
    assert len(rows) == len(SHAPES)
    assert all(row.processed_at for row in rows)


# --- once


def test_the_same_update_five_times_has_one_effect_and_one_reply(book: Book) -> None:
    update = Phone().message("12.50 groceries")
    book.take(*[update] * 5)
    assert book.values() == [12.5]
    assert len(book.said()) == 1
    book.check()


def test_the_same_update_at_once_has_one_effect_and_one_reply(book: Book) -> None:
    phone = Phone()
    for number in range(5):
        update = phone.message(f"{number + 1} groceries\ntemperature {number}")
        start = threading.Barrier(5)

        def deliver(start: threading.Barrier = start, update: Any = update) -> None:
            start.wait()
            book.take(update)

        with ThreadPoolExecutor(5) as pool:
            for done in [pool.submit(deliver) for _ in range(5)]:
                done.result()
        assert len(book.said()) == number + 1
    assert book.total("groceries") == 15
    assert len(book.readings()) == 10
    book.check()


def test_ids_need_not_rise(book: Book) -> None:
    phone = Phone()
    for update_id in (900, 5, 2**62, 6, 899):
        book.take(phone.message("1 coffee") | {"update_id": update_id})
    assert book.values() == [1.0] * 5


def test_many_people_write_at_once_into_one_second(book: Book) -> None:
    """Four threads, one sensor, one second: every one of them counts, on a moment of its own."""
    phone = Phone()
    said = [phone.message("0.10 coffee") for _ in range(60)]
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(book.take, update, update) for update in said]:
            done.result()
    assert len(book.readings()) == 60
    assert book.total("coffee") == 6.0
    assert len(book.said()) == 60
    assert not updates.failed(book.engine)
    book.check()


@pytest.mark.slow
def test_a_server_of_several_processes_takes_each_update_once(
    book: Book, start_server: Callable[..., LiveServer]
) -> None:
    import urllib.request

    server = start_server(TELEGRAM_WEBHOOK_SECRET=SECRET, WEB_CONCURRENCY="3")
    phone = Phone()
    said = [phone.message(f"{number} coffee") for number in range(1, 31)]

    def deliver(update: Any) -> int:
        request = urllib.request.Request(f"{server.url}/telegram/webhook", json.dumps(update).encode())  # noqa: S310
        request.add_header(HEADER, SECRET)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            status: int = answer.status
            return status

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(deliver, said * 5)) == {200}
    assert book.total("coffee") == sum(range(1, 31))
    assert len(book.said()) == 30
    book.check()


# --- what goes wrong


def test_an_update_that_raises_is_kept_and_can_be_handled_again(
    hook: FlaskClient, book: Book, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    phone = Phone()
    bad, good = phone.message("12.50 groceries"), phone.message("3 coffee")
    answer_text = messages.answers.answer_text

    def breaks(connection: Any, about: Any, text: str) -> None:
        answer_text(connection, about, text)
        if "groceries" in text:
            raise RuntimeError("a mistake of ours")

    with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
        patch.setattr(messages.answers, "answer_text", breaks)
        assert [post(hook, update).status_code for update in (bad, bad, good)] == [200, 200, 200]
        assert "a mistake of ours" in (updates.handle_again(book.engine, book.settings, bad["update_id"]) or "")
    # Nothing of it has happened, and it holds up nobody.
    assert [row[1] for row in book.readings()] == ["coffee"]
    assert len(book.said()) == 1
    (failed,) = updates.failed(book.engine)
    assert (failed.update_id, failed.error) == (bad["update_id"], "RuntimeError: a mistake of ours")
    assert (book.message(bad).status, book.message(bad).text) == ("failed", "12.50 groceries")
    assert "Traceback" in caplog.text

    assert updates.handle_again(book.engine, book.settings, bad["update_id"]) is None
    assert book.total("groceries") == 12.5
    assert book.message(bad).status == "handled"
    assert updates.failed(book.engine) == []
    with pytest.raises(updates.NotWaiting):
        updates.handle_again(book.engine, book.settings, bad["update_id"])
    book.check()


def test_a_failed_press_can_be_handled_again(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    phone = Phone()
    said = phone.message("12.50 groceries")
    book.take(said)
    press = phone.press(f"undo:{book.message(said).id}")
    with monkeypatch.context() as patch:
        patch.setattr(messages.answers, "answer_press", lambda *_: 1 / 0)
        book.take(press)
    assert book.values() == [12.5]
    assert updates.handle_again(book.engine, book.settings, press["update_id"]) is None
    assert book.values() == []


def test_only_a_database_that_is_away_lets_telegram_deliver_again(
    hook: FlaskClient, book: Book, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    update = Phone().message("12.50 groceries")
    with monkeypatch.context() as patch:

        def away(*_: Any) -> None:
            raise sa.exc.OperationalError("SELECT 1", {"text": "groceries"}, Exception("server closed the connection"))

        patch.setattr(messages, "act", away)
        assert post(hook, update).status_code == 503
    assert "Database away" in caplog.text
    assert "groceries" not in caplog.text
    assert book.ask(sa.select(TelegramUpdate.update_id)) == []
    assert post(hook, update).status_code == 200
    assert book.values() == [12.5]


def test_the_error_that_is_kept_and_the_log_hold_no_values(
    book: Book, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    values = {"password": "hunter2"}

    def breaks(connection: Any, *_: Any) -> None:
        try:
            raise sa.exc.DataError("INSERT INTO secrets", values, Exception("out of range"))
        except sa.exc.DataError as error:
            raise sa.exc.DataError("INSERT", values, Exception("out of range")) from error

    monkeypatch.setattr(messages, "act", breaks)
    book.take(Phone().message("12.50 groceries"))
    (failed,) = updates.failed(book.engine)
    assert failed.error == "Exception: out of range"
    assert "INSERT INTO secrets" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_query_that_makes_no_sense_is_a_mistake_of_ours_and_no_reason_to_deliver_again(
    hook: FlaskClient, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite calls it what it calls a database that is away. PostgreSQL quotes its values in its error."""

    def breaks(connection: Any, *_: Any) -> None:
        connection.execute(sa.text("SELECT no_such_column, :password"), {"password": "hunter2"})

    monkeypatch.setattr(messages, "act", breaks)
    assert post(hook, Phone().message("12.50 groceries")).status_code == 200
    (failed,) = updates.failed(book.engine)
    assert "no_such_column" in failed.error
    assert "hunter2" not in failed.error


def test_what_follows_the_commit_has_no_update_delivered_again(
    hook: FlaskClient, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    phone = Phone()
    said = phone.message("12.50 groceries")
    with monkeypatch.context() as patch:
        patch.setattr(updates.outbox, "wake", breaks)
        patch.setattr(updates.outbox, "answer_press", breaks)
        assert post(hook, said).status_code == 200
        assert post(hook, phone.press(f"undo:{book.message(said).id}")).status_code == 200
    assert book.values() == []
    assert book.said()[-1].startswith("Taken back")


# --- what is kept


def test_messages_are_kept_with_who_when_and_where(book: Book) -> None:
    phone = Phone()
    update = phone.message("12.50 groceries")
    book.take(update)
    row = book.message(update)
    assert (row.chat_id, row.sender_id, row.direction, row.update_id) == (1001, 1001, "in", update["update_id"])
    assert (row.text, row.sent_at, row.edited_at, row.status) == ("12.50 groceries", phone.now, None, "handled")
    (reply,) = book.ask(sa.select(Message.__table__).where(Message.direction == "out"))
    assert (reply.reply_to_id, reply.chat_id, reply.status) == (row.id, 1001, "queued")


@pytest.mark.parametrize("length", [4096, 4097, 20_000])
def test_long_messages_are_kept_cut_and_answered(book: Book, length: int) -> None:
    update = Phone().message("word " * (length // 5) + "x" * (length % 5))
    book.take(update)
    assert len(book.message(update).text) == 4096
    assert len(book.said()[0]) <= 4096


def test_many_lines_are_all_kept_and_answered_within_one_message(book: Book) -> None:
    lines = [f"{number} sensor{number % 40}" for number in range(400)]
    update = Phone().message("\n".join(lines))
    book.take(update, update)
    assert len(book.readings()) == 400
    assert len(book.said()) == 1
    assert len(book.said()[0]) <= 4096
    book.check()


def test_what_is_not_text_is_answered_with_what_the_bot_can_take(book: Book) -> None:
    phone = Phone()
    book.take(phone.message(None, photo=[{"file_id": "p"}], caption="12.50 groceries"))
    book.take(phone.message(None, sticker={"file_id": "s"}), phone.message(None, voice={"file_id": "v"}))
    assert len(book.said()) == 3
    assert all("I can take text" in said for said in book.said())
    assert book.readings() == []
    book.take(phone.message(None, new_chat_members=[ANNA]), phone.message(None, pinned_message={}))
    assert len(book.said()) == 3


def test_what_a_channel_posts_into_its_group_is_written_by_nobody(book: Book) -> None:
    telegram = {"id": 777000, "is_bot": False, "first_name": "Telegram"}
    book.take(Phone().message("12.50 groceries", telegram, GROUP, is_automatic_forward=True))
    assert book.said() == []
    assert book.ask(sa.select(TelegramUser.user_id).where(TelegramUser.user_id == 777000)) == []


def test_html_stays_text(book: Book) -> None:
    book.take(Phone().message("12.50 <b>beer</b> & wine"))
    assert book.readings()[0][1] == "<b>beer</b> & wine"
    assert "<b>beer</b> & wine" in book.said()[0]
    (reply,) = book.ask(sa.select(Message.payload).where(Message.direction == "out"))
    assert "parse_mode" not in reply.payload
