"""The first page of the admin area: what waits for somebody, what went wrong, and what Telegram says."""

import html
import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.engine import Engine

from blueprints.admin.pages import counted
from daybook import messages, webhook_state
from daybook.config import Settings
from daybook.models import Account, Counter, Job, Message, TelegramUpdate, TelegramUser, Upload, utc_now
from tests.conftest import PASSWORD, Person
from tests.telegram_standin import Fault, TelegramStandin, silent
from tests.telegram_updates import ANNA, EVE, Book, Phone

HTMX = {"HX-Request": "true"}


@pytest.fixture
def app(make_app: Callable[[Settings], Flask], bot_settings: Settings) -> Flask:
    """The app with a bot."""
    return make_app(bot_settings)


@pytest.fixture
def admin(client: FlaskClient, make_account: Callable[..., Person], login: Callable[..., FlaskClient]) -> FlaskClient:
    return login(client, make_account())


def overview(client: FlaskClient) -> str:
    response = client.get("/admin/")
    assert response.status_code == 200
    return " ".join(html.unescape(response.text).split())


def test_an_empty_book_has_nothing_to_do(admin: FlaskClient) -> None:
    page = overview(admin)
    assert "Nothing. Nobody waits to be let in, and nothing has failed." in page
    assert "added account" in page  # one's own, just made
    for name in ("Bot users", "Messages", "Updates", "Sources", "Sensors", "Uploads", "Counters", "Audit"):
        assert f">{name}</a>" in page


def test_without_a_token_it_says_what_to_set(
    make_app: Callable[[Settings], Flask], settings: Settings, admin: FlaskClient, login: Callable[..., FlaskClient]
) -> None:
    ada = Person(1, "ada", PASSWORD, "admin")
    bare = login(make_app(settings).test_client(), ada)
    page = overview(bare)
    assert "TELEGRAM_BOT_TOKEN, TELEGRAM_WEBHOOK_SECRET, PUBLIC_URL are not set" in page
    assert "hx-trigger" not in page  # nobody is asked
    assert "TELEGRAM_BOT_TOKEN is not set" in bare.get("/admin/webhook").text
    # With a token it runs: what a webhook would need besides is told, but is no alarm.
    page = overview(admin)
    assert "Nothing. Nobody waits" in page
    assert "For a webhook PUBLIC_URL is still to be set; without, <code>flask telegram poll</code>" in page


@pytest.mark.parametrize("action", ["allow", "block"])
def test_who_waits_is_let_in_by_one_click_and_told(
    app: Flask, admin: FlaskClient, engine: Engine, telegram: TelegramStandin, action: str
) -> None:
    book, phone = Book(app), Phone()
    book.take(phone.message("hello?", EVE))
    telegram.wait_for(lambda: len(telegram.sent(EVE["id"])) == 1)  # that somebody has to let them in
    page = overview(admin)
    assert "1 bot user to let in" in page
    assert "Eve Stranger" in page
    form = re.search(rf'action="(/admin/users/{EVE["id"]}/do/{action})"', page)
    assert form
    response = admin.post(form[1], data={"to": "index"})
    assert (response.status_code, response.location) == (303, "/admin/#said")
    page = overview(admin)
    assert f'<a class="alert-link break" href="/admin/users/{EVE["id"]}">Eve Stranger</a> is {action}ed.' in page
    assert "Nothing. Nobody waits" in page
    telegram.wait_for(lambda: len(telegram.sent(EVE["id"])) == 2)
    assert f"{action}ed bot user" in page
    admin.post(form[1], data={"to": "index"})  # a second click
    assert f"Eve Stranger</a> was {action}ed before." in overview(admin)
    assert len(telegram.sent(EVE["id"])) == 2


def test_a_failed_update_is_handled_again_and_gone(
    app: Flask, admin: FlaskClient, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    book, phone = Book(app), Phone()
    book.allow(ANNA)
    act = messages.act

    def fails(*_: object) -> list[object]:
        raise RuntimeError("the moon was in the way")

    monkeypatch.setattr(messages, "act", fails)
    update = phone.message("12.50 groceries")
    book.take(update)
    page = overview(admin)
    assert "1 update that could not be handled" in page
    assert "RuntimeError: the moon was in the way" in page
    address = f"/admin/updates/{update['update_id']}/do/handle-again"
    assert f'action="{address}"' in page
    assert f'action="{address}"' in admin.get(f"/admin/updates/{update['update_id']}").text
    admin.post(address, data={"to": "index"})
    page = overview(admin)
    assert "1 update that could not be handled" in page
    assert f'The <a class="alert-link break" href="/admin/updates/{update["update_id"]}">update' in page
    assert "is not handled: it failed once more and says why" in page
    monkeypatch.setattr(messages, "act", act)
    assert admin.post(address, data={"to": "index"}).location == "/admin/#said"
    page = overview(admin)
    assert "</a> is handled." in page
    assert "could not be handled" not in page
    assert book.values() == [12.5]
    admin.post(address)
    assert book.values() == [12.5]


def test_what_waits_and_what_failed_is_counted_and_leads_on(admin: FlaskClient, engine: Engine) -> None:
    long_ago = utc_now() - timedelta(days=3)
    with engine.begin() as connection:
        out = [
            ("queued", long_ago),
            ("queued", utc_now()),
            ("failed", long_ago),
            ("gone", long_ago),
            ("sent", long_ago),
        ]
        rows = [{"chat_id": 7, "direction": "out", "text": "x", "status": status, "sent_at": at} for status, at in out]
        connection.execute(sa.insert(Message), rows)
        people = [{"user_id": i, "first_name": f"P{i}", "status": "pending"} for i in range(1, 13)]
        connection.execute(sa.insert(TelegramUser), people)
        words = [{"text": "old", "sent_at": long_ago}, {"text": f"It is\nBen {'o' * 90}"}, {"text": ""}]
        for i, word in enumerate(words):  # of P12 twice, and of P11 without words
            mine = {"chat_id": 7, "direction": "in", "sender_id": 12 if i < 2 else 11, "status": "failed", **word}
            connection.execute(sa.insert(Message).values(mine))
        uploads = [{"filename": f"mast-{i}.csv", "status": "failed", "error": "no time column"} for i in range(7)]
        connection.execute(sa.insert(Upload), uploads)
        late = {"payload": {}, "error": "x", "processed_at": None}
        connection.execute(sa.insert(TelegramUpdate), [{"update_id": i, **late} for i in range(1, 13)])
        ended = {"task": "none", "status": "failed", "total": 9, "done": 3}
        connection.execute(sa.insert(Job).values(title="Delete messages", finished_at=utc_now(), **ended))
        connection.execute(sa.insert(Job).values(title="Block", finished_at=utc_now(), task="none", status="done"))
        connection.execute(sa.insert(Job).values(title="Of last week", finished_at=long_ago, **ended))
        connection.execute(sa.insert(Job).values(title="Allow: bot users", task="none", total=900, done=200))
        connection.execute(sa.insert(Counter), [{"name": f"c{i}", "value": i} for i in range(3)])
    page = overview(admin)
    facts = dict(re.findall(r"<dt>([^<]+)</dt><dd>(?:<a [^>]*>)?(?:<time [^>]*>)?([^<]*)", page))
    assert facts["Waits to be sent"] == "2"
    assert facts["Oldest of them"].startswith(f"{long_ago:%Y-%m-%d}")
    assert facts["Failed"] == "1"
    assert facts["Cannot be delivered, as people have blocked the bot"] == "1"
    assert "7 failed uploads" in page
    assert "mast-6.csv" in page
    assert "no time column" in page
    assert re.search(r'<a class="[^"]*" href="/uploads/7">Import again…', page)
    assert page.count("/do/handle-again") == 10
    assert page.count("/do/allow") == 10
    assert re.search(r"Allow: bot users</a> <span[^>]*>about to begin, 200 of 900 rows", page)
    assert re.search(r"Delete messages</a> <span[^>]*>stopped by a mistake, 3 of 9 rows", page)
    assert "Of last week" not in page
    assert 0 < page.index("Delete messages") < page.index("Ended lately") < page.index(">Block</a>")
    assert re.findall(r'"last-words">([^<]*)<', page) == [f"“It is Ben {'o' * 69}…”"]
    assert "3 failed messages to the bot" in page
    assert re.search(r">Counters</a></dt><dd>3</dd>", page)
    # Every number leads to exactly the rows that it counts.
    for words, count in (
        ("All 7 of them", 7),
        ("All 12 of them", 12),
        ("All 12 who wait", 12),
        ("Look at it", 1),
        ("Look at them", 3),
    ):
        link = re.search(rf'href="([^"]+)">{words}', page)
        assert link, words
        assert f"{count} match" in admin.get(link[1]).text, words


def test_a_failed_upload_waits_until_it_is_imported_and_not_for_ever(admin: FlaskClient, engine: Engine) -> None:
    failed = {"status": "failed", "error": "no time column"}
    long_ago = utc_now() - timedelta(days=31)
    rows = [
        {"filename": "waits.csv", **failed},
        {"filename": "old.csv", **failed, "created_at": long_ago},
        {"filename": "again.csv", **failed},
        {"filename": "mended.csv", **failed},
        {"filename": "undone.csv", **failed},
        {"filename": "again-2.csv", "status": "done", "replaces_id": 3},
        {"filename": "mended.csv", "status": "done"},
        {"filename": "undone.csv", "status": "undone"},
    ]
    with engine.begin() as connection:
        for number, row in enumerate(rows, 1):
            connection.execute(sa.insert(Upload).values(id=number, **row))
    page = overview(admin)
    assert "2 failed uploads" in page
    waits = page[page.index("2 failed uploads") : page.index("after 30 days")]
    assert sorted(set(re.findall(r">([a-z]+)\.csv<", waits))) == ["undone", "waits"]
    assert "2 matches" in admin.get("/admin/uploads/?status=still-failed").text
    assert "5 matches" in admin.get("/admin/uploads/?status=failed").text


@pytest.mark.parametrize(
    ("what", "one"),
    [
        ("uploads, with their accounts of lines", "upload, with its accounts of lines"),
        ("sessions, which end", "session, which ends"),
        ("API tokens", "API token"),
        ("chats that record into it", "chat that records into it"),
        ("uploads of theirs", "upload of theirs"),
        ("messages that recorded some of them", "message that recorded some of them"),
    ],
)
def test_one_is_said_in_the_singular(what: str, one: str) -> None:
    assert counted(1, what) == one
    assert counted(2, what) == what


# --- Telegram -----------------------------------------------------------------------------------------------------


def test_the_webhooks_state_comes_after_the_page(admin: FlaskClient, telegram: TelegramStandin) -> None:
    telegram.webhook = {"url": "https://book.example/telegram/webhook"}
    telegram.updates = [{"update_id": 1}, {"update_id": 2}]
    telegram.webhook_error = "Wrong response from the webhook: 502 Bad Gateway"
    assert re.search(r'hx-get="/admin/webhook" hx-trigger="load"', overview(admin))
    assert telegram.calls == []
    part = html.unescape(admin.get("/admin/webhook", headers=HTMX).text)
    assert "<html" not in part
    assert "https://book.example/telegram/webhook" in part
    assert re.search(r"Updates that wait at Telegram</dt><dd>2</dd>", part)
    assert "502 Bad Gateway" in part
    assert "2026-11-18" in part  # when that was
    assert "<html" in admin.get("/admin/webhook").text  # the link, without JavaScript


def test_telegram_away_or_slow_or_odd_slows_no_page(
    admin: FlaskClient, telegram: TelegramStandin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_state, "_PATIENCE", 0.5)
    telegram.fault = lambda call: silent(20)
    started = time.monotonic()
    overview(admin)
    assert time.monotonic() - started < 2
    part = admin.get("/admin/webhook", headers=HTMX)
    assert time.monotonic() - started < 5
    assert part.status_code == 200
    assert "did not answer in time" in part.text
    for fault in (Fault(502, page=True), Fault(401, "Unauthorized"), Fault(500)):
        telegram.fault = lambda call, fault=fault: fault
        part = admin.get("/admin/webhook", headers=HTMX)
        assert part.status_code == 200
        assert "Telegram could not be asked" in part.text
        assert telegram.token not in part.text
    telegram.fault = None
    for odd in ([], {"url": 7, "pending_update_count": "x", "last_error_date": 10**30}, None):
        monkeypatch.setattr(telegram, "_getWebhookInfo", lambda call, odd=odd: odd)
        assert admin.get("/admin/webhook", headers=HTMX).status_code == 200


def test_a_server_that_is_not_there_is_told_in_words(
    make_app: Callable[[Settings], Flask], bot_settings: Settings, admin: FlaskClient, login: Callable[..., FlaskClient]
) -> None:
    away = make_app(replace(bot_settings, telegram_api_url="http://127.0.0.1:9"))
    client = login(away.test_client(), Person(1, "ada", PASSWORD, "admin"))
    part = client.get("/admin/webhook", headers=HTMX).text
    assert "Telegram could not be asked" in part
    assert "cannot be reached" in part


def test_times_are_those_of_whoever_looks(app: Flask, admin: FlaskClient, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.update(Account).values(timezone="Asia/Tokyo"))
        at = utc_now().replace(year=2026, month=11, day=18, hour=20, minute=5)
        connection.execute(sa.insert(TelegramUser).values(user_id=1, first_name="A", status="pending", created_at=at))
    assert "2026-11-19 05:05 JST" in overview(admin)
