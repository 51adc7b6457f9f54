"""`flask telegram …`: what the operator is told, and what Telegram is asked for."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from subprocess import PIPE, STDOUT, Popen

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy.engine import Engine

from daybook import outbox, telegram_commands
from daybook.chat import conversation, grammar, replies
from daybook.chat.values import Command, Known
from daybook.config import ROOT, Settings
from daybook.extensions import db
from daybook.models import Message, TelegramUpdate, TelegramUser
from tests.telegram_standin import TOKEN, Fault, TelegramStandin, failing, too_many
from tests.telegram_updates import EVE, Book, Phone

MakeApp = Callable[[Settings], Flask]
SECRET_PART = TOKEN.partition(":")[2]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, public_url="https://book.example")


@pytest.fixture
def app(make_app: MakeApp, bot_settings: Settings) -> Flask:
    return make_app(bot_settings)


def update(number: int, text: str, user_id: int = 5_000_000_001) -> dict[str, object]:
    """A private message as Telegram delivers it."""
    person = {"id": user_id, "is_bot": False, "first_name": "Ada"}
    chat = {"id": user_id, "type": "private", "first_name": "Ada"}
    message = {"message_id": number, "from": person, "chat": chat, "date": 1_795_000_000 + number, "text": text}
    return {"update_id": 900_000_000 + number, "message": message}


def test_the_webhook_is_set_with_its_secret_and_the_menu(
    runner: FlaskCliRunner, telegram: TelegramStandin, bot_settings: Settings
) -> None:
    telegram.updates.append(update(1, "12.50 groceries"))
    result = runner.invoke(args=["telegram", "set-webhook"])
    assert (result.exit_code, result.output) == (
        0,
        "Telegram delivers to https://book.example/telegram/webhook from now on.\n",
    )
    assert telegram.webhook == {
        "url": "https://book.example/telegram/webhook",
        "secret_token": bot_settings.telegram_webhook_secret,
        "allowed_updates": ["message", "edited_message", "callback_query"],
    }
    assert {"command": "undo", "description": "take back your last entry"} in telegram.commands
    assert len(telegram.updates) == 1, "what waits is not dropped"
    assert runner.invoke(args=["telegram", "delete-webhook"]).exit_code == 0
    assert telegram.webhook == {}
    assert telegram.calls[-1].params == {}


def test_what_the_menu_offers_is_understood_and_explained(runner: FlaskCliRunner, telegram: TelegramStandin) -> None:
    assert runner.invoke(args=["telegram", "set-webhook"]).exit_code == 0
    known = Known(datetime(2026, 11, 18, tzinfo=UTC))
    shown = replies.help_text(known).text
    offered = [command["command"] for command in telegram.commands]
    assert len(set(offered)) == len(offered) > 5
    for command in telegram.commands:
        name, description = command["command"], command["description"]
        said = grammar.parse(f"/{name}@daybook_bot", "daybook_bot")
        assert isinstance(said, Command), name
        outcome = conversation.answer(said, known, 1)
        assert outcome.replies or outcome.effects, name
        assert not [reply for reply in outcome.replies if "I do not know" in reply.text], name
        assert 3 <= len(description) <= 256
        assert f"/{name}" in shown or name == "help"


@pytest.mark.parametrize(
    ("without", "named"),
    [
        ("telegram_bot_token", "TELEGRAM_BOT_TOKEN"),
        ("telegram_webhook_secret", "TELEGRAM_WEBHOOK_SECRET"),
        ("public_url", "PUBLIC_URL"),
    ],
)
def test_what_is_missing_is_named(
    make_app: MakeApp, bot_settings: Settings, telegram: TelegramStandin, without: str, named: str
) -> None:
    runner = make_app(replace(bot_settings, **{without: ""})).test_cli_runner()
    result = runner.invoke(args=["telegram", "set-webhook"])
    assert result.exit_code == 1
    assert f"{named} is not set" in result.output
    assert telegram.calls == []


def test_info_says_what_waits_and_what_went_wrong(
    runner: FlaskCliRunner, engine: Engine, telegram: TelegramStandin
) -> None:
    telegram.updates += [update(1, "a"), update(2, "b")]
    telegram.webhook = {"url": f"https://elsewhere.example/{TOKEN}"}
    telegram.webhook_error = "Wrong response from the webhook: 502 \x1b[31mBad Gateway"
    with engine.begin() as connection:
        outbox.queue(connection, 5_000_000_001, "waits")
    result = runner.invoke(args=["telegram", "info"])
    assert result.output.splitlines() == [
        "Bot: @daybook_bot",
        "Webhook: https://elsewhere.example/<token>",
        "Updates that wait at Telegram: 2",
        "Last error of a delivery: 2026-11-18 11:06:40 UTC, Wrong response from the webhook: 502 [31mBad Gateway",
        "Answers that wait to be sent: 1; given up: 0",
    ]


def test_info_without_a_webhook_names_the_other_way(runner: FlaskCliRunner) -> None:
    assert "Webhook: none; `flask telegram poll` would" in runner.invoke(args=["telegram", "info"]).output


def test_a_refusal_is_one_line_and_without_the_token(runner: FlaskCliRunner, telegram: TelegramStandin) -> None:
    telegram.fault = lambda _: Fault(400, f"Bad Request: bad webhook: https://api.telegram.org/bot{TOKEN}")
    result = runner.invoke(args=["telegram", "set-webhook"])
    assert result.exit_code == 1
    assert result.output == ("Error: setWebhook: 400 Bad Request: bad webhook: https://api.telegram.org/bot<token>\n")


def test_somebody_who_waits_is_told_at_once(runner: FlaskCliRunner, engine: Engine, telegram: TelegramStandin) -> None:
    with engine.begin() as connection:
        connection.execute(sa.insert(TelegramUser).values(user_id=5_000_000_001, first_name="Ada"))
        wrote = {"chat_id": 5_000_000_001, "sender_id": 5_000_000_001, "direction": "in", "text": "hello"}
        connection.execute(sa.insert(Message).values(wrote))
    assert runner.invoke(args=["telegram", "allow", "5000000001"]).exit_code == 0
    assert len(telegram.texts(5_000_000_001)) == 1


def test_people_are_entered_and_blocked_by_hand(runner: FlaskCliRunner, engine: Engine) -> None:
    def person() -> tuple[str, str, str]:
        with engine.connect() as connection:
            columns = TelegramUser.first_name, TelegramUser.last_name, TelegramUser.status
            return tuple(connection.execute(sa.select(*columns)).one())  # type: ignore[return-value]

    allow = ["telegram", "allow", "5000000001", "--first", "Ada", "--last", "Byron"]
    assert runner.invoke(args=allow).output == "5000000001 is allowed now.\n"
    assert person() == ("Ada", "Byron", "allowed")
    assert runner.invoke(args=allow).output == "5000000001 was allowed before.\n"
    assert runner.invoke(args=["telegram", "block", "5000000001"]).output == "5000000001 is blocked now.\n"
    assert person() == ("Ada", "Byron", "blocked")
    assert runner.invoke(args=["telegram", "allow", "--", "-100"]).exit_code == 1
    assert runner.invoke(args=["telegram", "allow", "ada"]).exit_code == 2


def test_who_has_written_is_told_once(app: Flask, runner: FlaskCliRunner, telegram: TelegramStandin) -> None:
    book = Book(app)
    book.take(Phone().message("5 coffee", EVE))
    for command, told in (("allow", "You have been let in"), ("block", "ended your access")):
        for _ in range(2):
            assert runner.invoke(args=["telegram", command, str(EVE["id"])]).exit_code == 0
        telegram.wait_for(lambda told=told: told in (telegram.texts(EVE["id"]) or [""])[-1])
        assert sum(told in text for text in book.said(EVE["id"])) == 1


# --- polling


@pytest.fixture
def start_poll(
    app: Flask, telegram: TelegramStandin, monkeypatch: pytest.MonkeyPatch, signals: None
) -> Callable[[Callable[[], object]], None]:
    """start_poll(condition) polls until that is the case."""
    monkeypatch.setattr(telegram_commands, "_POLL_SECONDS", 1)

    def poll(condition: Callable[[], object]) -> None:
        def then_stop() -> None:
            deadline = time.monotonic() + 20
            while not condition() and time.monotonic() < deadline:
                time.sleep(0.02)
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=then_stop)
        thread.start()
        try:
            result = app.test_cli_runner().invoke(args=["telegram", "poll"])
        finally:
            thread.join()
        assert result.exit_code == 0, result.output
        assert "Stopped." in result.output
        assert condition()

    return poll


def test_polling_takes_every_update_once_and_tells_telegram_so(
    engine: Engine, telegram: TelegramStandin, start_poll: Callable[[Callable[[], object]], None]
) -> None:
    telegram.updates += [update(number, "hello") for number in range(1, 151)]
    failures = iter([too_many(1), None, failing()])
    telegram.fault = lambda call: next(failures, None) if call.method == "getUpdates" else None
    start_poll(lambda: not telegram.updates)
    with engine.connect() as connection:
        taken = connection.scalars(sa.select(TelegramUpdate.update_id).order_by(TelegramUpdate.update_id)).all()
    assert taken == [900_000_000 + number for number in range(1, 151)]
    asked = [call.params for call in telegram.calls if call.method == "getUpdates"]
    assert "offset" not in asked[0]
    assert asked[-1]["offset"] == 900_000_151
    assert all(one["allowed_updates"] == ["message", "edited_message", "callback_query"] for one in asked)
    assert telegram.commands


def test_polling_outlives_a_database_that_is_away_for_a_moment(
    engine: Engine,
    telegram: TelegramStandin,
    start_poll: Callable[[Callable[[], object]], None],
) -> None:
    telegram.updates += [update(number, "hello") for number in range(1, 4)]
    failures = iter([True, True])

    def refuse(*_: object) -> None:
        asked = any(call.method == "getUpdates" for call in telegram.calls)
        if asked and threading.current_thread().name == "poll" and next(failures, False):
            raise sa.exc.OperationalError("BEGIN", {}, Exception("the database system is starting up"))

    sa.event.listen(engine, "begin", refuse)
    try:
        start_poll(lambda: not telegram.updates)
    finally:
        sa.event.remove(engine, "begin", refuse)
    assert next(failures, None) is None, "it was away"
    with engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(TelegramUpdate)) == 3


def test_polling_knows_the_name_of_the_bot(
    engine: Engine, telegram: TelegramStandin, start_poll: Callable[[Callable[[], object]], None]
) -> None:
    telegram.updates.append(update(1, "/help@otherbot"))
    with engine.begin() as connection:
        connection.execute(sa.insert(TelegramUser).values(user_id=5_000_000_001, first_name="Ada", status="allowed"))
    start_poll(lambda: not telegram.updates)
    assert telegram.texts() == []


def test_polling_says_what_to_do_while_a_webhook_is_set(
    runner: FlaskCliRunner, telegram: TelegramStandin, signals: None
) -> None:
    telegram.webhook = {"url": "https://elsewhere.example"}
    result = runner.invoke(args=["telegram", "poll"])
    assert result.exit_code == 1
    assert "Run `flask telegram delete-webhook` first." in result.output


# --- the token


@pytest.mark.slow
def test_after_every_failure_the_token_is_in_no_log_and_no_table(
    bot_settings: Settings, engine: Engine, telegram: TelegramStandin
) -> None:
    """A worker with logs at their loudest, a Telegram that fails in every way and repeats the address."""
    echo = f"https://api.telegram.org/bot{TOKEN}/sendMessage"
    telegram.faults(Fault(400, echo), Fault(500, echo), too_many(1), Fault(403, echo), Fault(401, echo))
    with engine.begin() as connection:
        for number in range(5):
            outbox.queue(connection, 5_000_000_001 + number, "12.50 groceries")
    script = (
        "import logging; logging.basicConfig(level=logging.DEBUG); from app import create_app; "
        "create_app().test_cli_runner(); import sys; from flask.cli import main; "
        "sys.argv = ['flask', '--app', 'app', 'worker']; main()"
    )
    environment = os.environ | {
        "DATABASE_URL": bot_settings.database_url,
        "INSTANCE_PATH": str(bot_settings.instance_path),
        "SECRET_KEY": bot_settings.secret_key,
        "TELEGRAM_BOT_TOKEN": TOKEN,
        "TELEGRAM_API_URL": telegram.url,
    }
    with Popen([sys.executable, "-c", script], cwd=ROOT, env=environment, stdout=PIPE, stderr=STDOUT) as worker:
        try:
            telegram.wait_for(lambda: len(telegram.sent()) == 3, 30)
        finally:
            worker.terminate()
            output = worker.communicate(timeout=20)[0].decode()
    assert worker.returncode == 0, output
    assert "<token>" in output
    assert "sendMessage HTTP/1.1" in output, "urllib3 has logged something"
    assert SECRET_PART not in output
    with engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).where(Message.error.like("%<token>%"))) == 2
        for table in db.metadata.sorted_tables:
            assert SECRET_PART not in str(connection.execute(sa.select(table)).all()), table.name
