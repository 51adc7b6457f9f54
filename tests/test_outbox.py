"""What people get: every answer once and in order, whatever Telegram or a process does meanwhile."""

import json
import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.request import Request, urlopen

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskCliRunner
from sqlalchemy.engine import Engine

from daybook import bot_api, chats, outbox, outbox_claims, outbox_sending, sql
from daybook.bot_api import FileToSend
from daybook.config import Settings
from daybook.extensions import db
from daybook.models import Chat, Message, utc_now
from tests.conftest import LiveServer
from tests.telegram_standin import BLOCKED, NO_CHAT, Call, Fault, TelegramStandin, failing, migrated, silent, too_many
from tests.telegram_updates import ANNA, Book, Phone

ADA, BEN, HOME = 5_000_000_001, 5_000_000_002, -400


@pytest.fixture
def engine(make_app: Callable[[Settings], Flask], bot_settings: Settings) -> Engine:
    with make_app(bot_settings).app_context():
        return db.engine


@pytest.fixture
def book(make_app: Callable[[Settings], Flask], settings: Settings) -> Book:
    """The same book, whose updates are taken by a process that sends nothing."""
    book = Book(make_app(settings))
    book.allow(ANNA)
    return book


@pytest.fixture
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting between the messages of a chat, and waits after errors a hundred times shorter."""
    monkeypatch.setattr(outbox_claims, "PACE", timedelta(0))
    seconds = outbox_claims.wait_after
    monkeypatch.setattr(outbox_claims, "wait_after", lambda *about: seconds(*about) / 100)


@pytest.fixture
def made() -> Iterator[dict[str, outbox.Renderer]]:
    """What makes files, for this test alone."""
    before = dict(outbox.renderers)
    yield outbox.renderers
    outbox.renderers.clear()
    outbox.renderers.update(before)


def say(engine: Engine, chat_id: int, *texts: str, **about: Any) -> list[int]:
    with engine.begin() as connection:
        return [outbox.queue(connection, chat_id, text, **about) for text in texts]


def rows(engine: Engine, *columns: Any) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(sa.select(*columns).select_from(Message).order_by(Message.id)))


def statuses(engine: Engine) -> list[str]:
    return [row.status for row in rows(engine, Message.status)]


def no_later(engine: Engine) -> None:
    """Whatever waits for its time is due now."""
    with engine.begin() as connection:
        connection.execute(sa.update(Chat).where(Chat.next_send_at.is_not(None)).values(next_send_at=utc_now()))
        connection.execute(sa.update(Chat).values(paced_until=None))


def waits(engine: Engine, chat_id: int) -> float | None:
    """For how many seconds a chat is left alone."""
    with engine.connect() as connection:
        at = connection.scalar(sa.select(Chat.next_send_at).where(Chat.chat_id == chat_id))
    return None if at is None else (at - utc_now()).total_seconds()


# --- one message


def test_an_answer_arrives_and_is_known_by_telegrams_number(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin
) -> None:
    buttons = {"inline_keyboard": [[{"text": "Undo", "callback_data": "undo:1"}]]}
    [number] = say(engine, ADA, "12.50 <b>groceries</b>. November so far: 84.20.", payload={"reply_markup": buttons})
    assert statuses(engine) == ["queued"]
    assert outbox.send_due(engine, bot_settings) == 1
    [call] = telegram.sent(ADA)
    assert call.params == {
        "chat_id": ADA,
        "text": "12.50 <b>groceries</b>. November so far: 84.20.",
        "reply_markup": buttons,
    }
    [row] = rows(engine, Message.id, Message.status, Message.telegram_message_id, Message.attempts, Message.error)
    assert tuple(row) == (number, "sent", 1, 1, None)
    assert outbox.send_due(engine, bot_settings) == 0
    assert waits(engine, ADA) is None
    assert not telegram.violations


def test_nothing_goes_out_before_the_transaction_is_committed(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin
) -> None:
    with engine.connect() as connection:
        outbox.queue(connection, ADA, "never said")
        connection.rollback()
    outbox.send_due(engine, bot_settings)
    assert telegram.calls == []


def test_without_a_token_everything_waits(engine: Engine, bot_settings: Settings) -> None:
    say(engine, ADA, "one")
    silent_book = replace(bot_settings, telegram_bot_token="")
    outbox.wake(engine, silent_book)
    assert outbox.send_due(engine, silent_book) == 0
    assert statuses(engine) == ["queued"]


def test_an_answer_names_the_message_that_it_answers(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin
) -> None:
    with engine.begin() as connection:
        asked = sa.insert(Message).values(chat_id=ADA, direction="in", text="/sum", telegram_message_id=77)
        question = connection.execute(asked.returning(Message.id)).scalar_one()
        outbox.queue(connection, ADA, "84.20", reply_to_id=question)
    outbox.send_due(engine, bot_settings)
    [call] = telegram.sent(ADA)
    assert call.params["reply_parameters"] == {"message_id": 77, "allow_sending_without_reply": True}


def test_texts_are_as_long_as_telegram_counts_them(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin
) -> None:
    say(engine, ADA, "🏠" * 2048, "x" + "🏠" * 2048)
    outbox.send_due(engine, bot_settings)
    whole, cut = telegram.texts(ADA)
    assert whole == "🏠" * 2048
    assert cut == "x" + "🏠" * 2047 + "…"


def test_texts_that_telegram_or_the_database_would_refuse_are_mended(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin
) -> None:
    say(engine, ADA, "x" * 5000, "nul \0 and half a \ud83d pair")
    outbox.send_due(engine, bot_settings)
    long, odd = telegram.texts(ADA)
    assert (len(long), long[-1]) == (4096, "…")
    assert odd == "nul \ufffd and half a ? pair"


def test_a_message_can_be_changed_after_it_was_sent(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin, without_pauses: None
) -> None:
    [number] = say(engine, ADA, "0 %")
    with engine.begin() as connection:
        first = outbox.edit(connection, number, "20 %")
        assert outbox.edit(connection, number, "40 %") == first, "what was never seen need not be sent"
    outbox.send_due(engine, bot_settings)
    with engine.begin() as connection:
        outbox.edit(connection, number, "40 %")  # Telegram refuses an edit that changes nothing
        outbox.edit(connection, number, "done")
    no_later(engine)
    outbox.send_due(engine, bot_settings)
    assert telegram.texts(ADA) == ["0 %", "40 %", "done"]
    assert {call.params.get("message_id") for call in telegram.sent(ADA, "editMessageText")} == {1}
    assert set(statuses(engine)) == {"sent"}
    assert rows(engine, Message.text)[0].text == "done"


DELETED = Fault(400, "Bad Request: message to edit not found")


@pytest.mark.parametrize("why", ["deleted", "without a number", "in the group that became another"])
def test_a_message_that_cannot_be_changed_is_sent_anew_where_it_has_to_arrive(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin, without_pauses: None, why: str
) -> None:
    [number] = say(engine, HOME, "100 %")
    outbox.send_due(engine, bot_settings)
    chat_id = HOME
    with engine.begin() as connection:
        if why == "without a number":
            connection.execute(sa.update(Message).values(telegram_message_id=None))
        elif why != "deleted":
            chat_id = -1_001_201_784_679
            chats.migrate(connection, HOME, chat_id)
        button = {"reply_markup": {"inline_keyboard": [[{"text": "Undo", "callback_data": "undo-file:1"}]]}}
        changed = outbox.edit(connection, number, "done", button, or_anew=True)
    telegram.fault = lambda call: DELETED if call.method == "editMessageText" else None
    outbox.send_due(engine, bot_settings)
    call = telegram.sent(chat_id)[-1]
    assert (call.method, call.params["text"]) == ("sendMessage", "done")
    assert call.params["reply_markup"] == button["reply_markup"]
    assert "or_anew" not in call.params
    assert "message_id" not in call.params
    first, second = rows(engine, Message.text, Message.status, Message.method, Message.telegram_message_id)
    assert first.text == "100 %"
    assert tuple(second)[:3] == ("done", "sent", "sendMessage")
    assert second.telegram_message_id is not None
    telegram.fault = None
    with engine.begin() as connection:
        outbox.edit(connection, changed, "taken back")
    no_later(engine)
    outbox.send_due(engine, bot_settings)
    assert telegram.sent(chat_id)[-1].params["message_id"] == second.telegram_message_id


@pytest.mark.parametrize(
    ("fault", "or_anew", "status"), [(DELETED, False, "failed"), (BLOCKED, True, "gone"), (NO_CHAT, True, "gone")]
)
def test_a_message_that_nobody_misses_is_not_sent_anew(
    engine: Engine,
    bot_settings: Settings,
    telegram: TelegramStandin,
    without_pauses: None,
    fault: Fault,
    or_anew: bool,
    status: str,
) -> None:
    [number] = say(engine, ADA, "0 %")
    outbox.send_due(engine, bot_settings)
    with engine.begin() as connection:
        outbox.edit(connection, number, "40 %", or_anew=or_anew)
    telegram.faults(fault)
    outbox.send_due(engine, bot_settings)
    assert telegram.texts(ADA) == ["0 %"]
    assert statuses(engine) == ["sent", status]


def test_a_message_that_says_so_already_is_not_sent_anew(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin, without_pauses: None
) -> None:
    [number] = say(engine, ADA, "0 %")
    for _ in range(2):
        with engine.begin() as connection:
            outbox.edit(connection, number, "done", or_anew=True)
        no_later(engine)
        outbox.send_due(engine, bot_settings)
    assert telegram.texts(ADA) == ["0 %", "done"]
    assert set(statuses(engine)) == {"sent"}


# --- files


def test_a_chart_and_an_export_are_made_when_they_are_sent(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin, made: dict[str, outbox.Renderer], tmp_path: Any
) -> None:
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 400 + b"\r\n--"
    table = tmp_path / "november.csv"
    table.write_bytes(b"time,value\r\n" * 100_000)
    made["chart"] = lambda _engine, _settings, wanted: FileToSend(f'{wanted["name"]} "7d".png', picture, "image/png")
    made["export"] = lambda _engine, _settings, wanted: FileToSend("november.csv", table.open("rb"), "text/csv")
    buttons = {"inline_keyboard": [[{"text": "30d", "callback_data": "chart:1:30d"}]]}
    say(engine, ADA, "Küche °C", payload={"chart": {"name": "temperature"}, "reply_markup": buttons})
    say(engine, ADA, "", payload={"export": {"month": "2026-11"}})
    assert outbox.send_due(engine, bot_settings) == 2
    [photo] = telegram.sent(ADA, "sendPhoto")
    assert photo.files == {"photo": ("temperature %227d%22.png", picture, "image/png")}
    assert photo.params == {"chat_id": ADA, "caption": "Küche °C", "reply_markup": buttons}
    [document] = telegram.sent(ADA, "sendDocument")
    assert document.files["document"] == ("november.csv", table.read_bytes(), "text/csv")


def test_a_file_that_cannot_be_made_is_answered_with_a_sentence(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin, made: dict[str, outbox.Renderer]
) -> None:
    made["chart"] = lambda *_: FileToSend("x.png", str(1 // 0).encode())
    say(engine, ADA, "temperature", payload={"chart": {}})
    say(engine, ADA, "and the next")
    outbox.send_due(engine, bot_settings)
    first, second = telegram.texts(ADA)
    assert first.startswith("temperature\n\nThis could not be made")
    assert second == "and the next"
    [row, _] = rows(engine, Message.status, Message.error)
    assert tuple(row) == ("sent", "the chart could not be made: ZeroDivisionError")


def test_a_chart_of_what_has_gone_meanwhile_is_answered_in_words(
    book: Book, engine: Engine, bot_settings: Settings, telegram: TelegramStandin
) -> None:
    """Asked for while there was a reading, which is taken back before the picture is drawn."""
    phone = Phone()
    book.take(phone.message("temperature 21.4"), phone.message("/chart temperature 7d"), phone.message("/undo"))
    assert outbox.send_due(engine, bot_settings) == 3
    [answer] = [text for text in telegram.texts(ANNA["id"]) if "in that time" in text]
    assert "temperature" in answer
    assert "went wrong" not in answer
    assert telegram.sent(method="sendPhoto") == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(413, "Request Entity Too Large"), "larger than the 50 MB"),
        (Fault(400, "Bad Request: PHOTO_INVALID_DIMENSIONS"), "Telegram does not take the file"),
        (None, "larger than the 50 MB"),
    ],
)
def test_a_file_that_telegram_does_not_take_is_answered_with_a_sentence(
    engine: Engine,
    bot_settings: Settings,
    telegram: TelegramStandin,
    made: dict[str, outbox.Renderer],
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault | None,
    said: str,
) -> None:
    made["export"] = lambda *_: FileToSend("november.csv", b"x" * 1000, "text/csv")
    if fault is None:
        monkeypatch.setattr(outbox_sending, "LARGEST_FILE", 999)
    telegram.fault = lambda call: fault if call.method == "sendDocument" else None
    say(engine, ADA, "November", payload={"export": {}})
    outbox.send_due(engine, bot_settings)
    [text] = telegram.texts(ADA)
    assert text.startswith("November\n\n")
    assert said in text
    assert statuses(engine) == ["sent"]


def test_a_query_that_makes_no_sense_does_not_hold_a_chat_up_for_days(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin, made: dict[str, outbox.Renderer]
) -> None:
    def breaks(engine: Engine, *_: Any) -> FileToSend:
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT no_such_column"))
        raise AssertionError

    made["chart"] = breaks
    say(engine, ADA, "temperature", payload={"chart": {}})
    say(engine, ADA, "and the next")
    outbox.send_due(engine, bot_settings)
    first, second = telegram.texts(ADA)
    assert "This could not be made" in first
    assert second == "and the next"


def test_a_file_that_takes_long_is_sent_by_nobody_else_meanwhile(
    engine: Engine,
    bot_settings: Settings,
    telegram: TelegramStandin,
    made: dict[str, outbox.Renderer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox_claims, "LEASE_OF_FILES", timedelta(seconds=1))
    drawn = []

    def slowly(*_: Any) -> FileToSend:
        drawn.append(time.monotonic())
        time.sleep(2.5)
        return FileToSend("chart.png", b"\x89PNG", "image/png")

    made["chart"] = slowly
    say(engine, ADA, "temperature", payload={"chart": {}})
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(outbox.send_due, engine, bot_settings)
        while not sending.done():
            time.sleep(0.1)
            if drawn:
                assert outbox.send_due(engine, bot_settings) == 0
    assert len(drawn) == 1
    assert len(telegram.sent(method="sendPhoto")) == 1
    assert statuses(engine) == ["sent"]
    assert waits(engine, ADA) is None


# --- order and pace


def test_a_chat_gets_its_messages_in_order_also_when_one_fails_at_first(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin, without_pauses: None
) -> None:
    telegram.faults(failing(), too_many(0))
    say(engine, ADA, "one", "two", "three")
    say(engine, BEN, "uno")
    deadline = time.monotonic() + 10
    while set(statuses(engine)) != {"sent"} and time.monotonic() < deadline:
        outbox.send_due(engine, bot_settings)
    assert telegram.texts(ADA) == ["one", "two", "three"]
    assert telegram.texts(BEN) == ["uno"]


def test_three_at_once_and_then_one_a_second(engine: Engine, bot_settings: Settings, telegram: TelegramStandin) -> None:
    say(engine, ADA, *"abcde")
    say(engine, BEN, "z")
    outbox.wake(engine, bot_settings)
    telegram.wait_for(lambda: len(telegram.sent()) == 6)
    times = [call.at for call in telegram.sent(ADA)]
    assert telegram.texts(ADA) == list("abcde")
    assert times[2] - times[0] < 0.7
    assert times[3] - times[0] > 0.9
    assert times[4] - times[3] > 0.9
    assert telegram.sent(BEN)[0].at < times[3], "another chat does not wait"


def test_a_press_of_a_button_is_answered_at_once_and_past_the_queue(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin
) -> None:
    say(engine, ADA, *"abcdef")
    telegram.faults(too_many(1))
    outbox.answer_press(engine, bot_settings, "4711", "Taken back.")
    telegram.wait_for(lambda: telegram.sent(method="answerCallbackQuery"))
    [answer] = telegram.sent(method="answerCallbackQuery")
    assert answer.params == {"callback_query_id": "4711", "text": "Taken back."}
    assert len(telegram.sent(ADA)) < 6
    outbox.answer_press(engine, bot_settings, "")  # refused as too old: nobody waits for it
    telegram.wait_for(lambda: len(telegram.sent(ADA)) == 6)


# --- Telegram says no


def test_retry_after_is_obeyed(engine: Engine, bot_settings: Settings, telegram: TelegramStandin) -> None:
    telegram.faults(too_many(2))
    say(engine, ADA, "one")
    say(engine, BEN, "uno")
    outbox.wake(engine, bot_settings)
    telegram.wait_for(lambda: len(telegram.sent()) == 2)
    first, last = [call for call in telegram.calls if call.chat_id == telegram.calls[0].chat_id]
    assert 2.0 <= last.at - first.at < 3.5
    assert len(telegram.calls) == 3, "the other chat was not made to wait, and nothing was sent twice"


@pytest.mark.parametrize(
    "fault", [failing(500), failing(502), Fault(502, page=True), Fault(302, location="http://127.0.0.1:9/"), Fault(401)]
)
def test_waits_grow_while_the_server_fails(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin, fault: Fault
) -> None:
    telegram.fault = lambda _: fault
    say(engine, ADA, "one")
    for number in range(14):
        begun = time.monotonic()
        assert outbox.send_due(engine, bot_settings) == 1
        assert outbox.send_due(engine, bot_settings) == 0
        pause = waits(engine, ADA) or 0
        # The wait began while it was sent, however long that took.
        expected = min(2**number, 3600)
        assert pause < 1.25 * expected
        assert pause + time.monotonic() - begun > 0.7 * expected
        no_later(engine)
    assert len(telegram.paths) == 14
    telegram.fault = None
    outbox.send_due(engine, bot_settings)
    assert statuses(engine) == ["sent"]
    assert rows(engine, Message.error)[0].error is None


def test_after_two_days_of_trying_a_message_is_given_up_and_the_next_one_sent(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin
) -> None:
    say(engine, ADA, "one", "two")
    telegram.fault = lambda call: failing() if call.params["text"] == "one" else None
    with engine.begin() as connection:
        connection.execute(sa.update(Message).values(attempts=outbox_claims.MOST_ATTEMPTS - 1))
    outbox.send_due(engine, bot_settings)
    assert statuses(engine) == ["failed", "sent"]
    telegram.fault = None
    with engine.begin() as connection:
        assert outbox.send_again(connection, 1)
        assert not outbox.send_again(connection, 2), "it was sent"
    outbox.send_due(engine, bot_settings)
    assert telegram.texts(ADA) == ["two", "one"]


def test_a_server_that_does_not_answer_is_tried_again(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot_api, "ANSWER", 0.3)
    telegram.faults(silent(2))
    say(engine, ADA, "one")
    outbox.send_due(engine, bot_settings)
    [row] = rows(engine, Message.status, Message.error)
    assert tuple(row) == ("queued", f"sendMessage: {telegram.url} did not answer in time")
    no_later(engine)
    outbox.send_due(engine, bot_settings)
    assert telegram.texts(ADA) == ["one"]


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (BLOCKED, "gone"),
        (NO_CHAT, "gone"),
        (Fault(403, "Forbidden: bot was kicked from the supergroup chat"), "gone"),
        (Fault(400, "Bad Request: can't parse entities"), "failed"),
        (Fault(413, "Request Entity Too Large"), "failed"),
    ],
)
def test_what_will_never_do_is_not_repeated(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin, fault: Fault, status: str
) -> None:
    telegram.faults(fault)
    say(engine, ADA, "one", "two")
    outbox.send_due(engine, bot_settings)
    assert statuses(engine) == [status, "sent"]
    assert [call.params["text"] for call in telegram.calls] == ["one", "two"]
    assert fault.description in (rows(engine, Message.error)[0].error or "")


@pytest.mark.parametrize("text", ["Bad Request: \0 and \ud800", "Bad Request: " + "x" * 9000])
def test_whatever_the_refusal_says_it_is_noted(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin, text: str
) -> None:
    telegram.faults(Fault(400, text))
    say(engine, ADA, "one", "two")
    outbox.send_due(engine, bot_settings)
    assert statuses(engine) == ["failed", "sent"]


def test_a_number_that_cannot_be_kept_does_not_send_a_message_twice(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin
) -> None:
    telegram.faults(migrated(10**30))
    telegram._messages[ADA] = 2**70
    say(engine, ADA, "one", "two")
    for _ in range(3):
        outbox.send_due(engine, bot_settings)
        no_later(engine)
    assert telegram.texts(ADA) == ["two"]
    assert statuses(engine) == ["failed", "sent"]


def test_a_group_that_becomes_a_supergroup_is_followed(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin
) -> None:
    supergroup = -1_001_201_784_679
    telegram.fault = lambda call: migrated(supergroup) if call.chat_id == HOME else None
    say(engine, HOME, "one", "two")
    with engine.begin() as connection:
        connection.execute(sa.update(Chat).values(timezone="Europe/Dublin", title="Home"))
    outbox.send_due(engine, bot_settings)
    say(engine, HOME, "three")
    outbox.send_due(engine, bot_settings)
    assert telegram.texts(supergroup) == ["one", "two", "three"]
    assert [call.params["text"] for call in telegram.calls if call.chat_id == HOME] == ["one"]
    assert set(statuses(engine)) == {"sent"}
    with engine.connect() as connection:
        known = {row.chat_id: row for row in connection.execute(sa.select(Chat))}
    assert known[HOME].migrated_to == supergroup
    assert known[supergroup].timezone == "Europe/Dublin"
    assert {row.next_send_at for row in known.values()} == {None}


def test_a_group_that_becomes_itself_does_not_send_in_circles(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin
) -> None:
    telegram.faults(migrated(HOME))
    say(engine, HOME, "one")
    assert outbox.send_due(engine, bot_settings) == 1
    no_later(engine)
    assert outbox.send_due(engine, bot_settings) == 1
    assert telegram.texts(HOME) == ["one"]


def test_an_edit_that_waits_is_replaced_also_when_the_group_has_moved(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin
) -> None:
    [number] = say(engine, HOME, "0 %")
    outbox.send_due(engine, bot_settings)
    with engine.begin() as connection:
        edit = outbox.edit(connection, number, "20 %")
        chats.migrate(connection, HOME, -1_001_201_784_679)
        outbox.move(connection, HOME, -1_001_201_784_679)
        assert outbox.edit(connection, number, "40 %") == edit


# --- clocks


def test_a_clock_that_is_set_back_holds_no_chat_up(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(outbox_claims, "utc_now", lambda: utc_now() + timedelta(hours=1))
        say(engine, ADA, "one", "two", "three")
        assert outbox.send_due(engine, bot_settings) == 3
    say(engine, ADA, "four", "five")
    outbox.wake(engine, bot_settings)
    telegram.wait_for(lambda: telegram.texts(ADA) == ["one", "two", "three", "four", "five"], 5)


# --- several at once, and some that die


def test_many_senders_at_once_send_everything_once_and_in_order(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin, without_pauses: None
) -> None:
    """429 and 500 for a third of the calls, eight threads, and people who go on writing meanwhile."""
    count = Counter[int]()

    def sometimes(call: Call) -> Fault | None:
        count[0] += 1
        return (too_many(0) if count[0] % 2 else failing()) if count[0] % 3 == 0 else None

    telegram.fault = sometimes
    chats = [ADA + number for number in range(7)]
    wanted = {chat: [f"{chat}: {number}" for number in range(12)] for chat in chats}
    done = threading.Event()

    def send(_: int) -> None:
        while not done.is_set():
            if not outbox.send_due(engine, bot_settings):
                time.sleep(0.01)

    with ThreadPoolExecutor(12) as pool:
        senders = [pool.submit(send, number) for number in range(8)]
        writers = [pool.submit(lambda chat=chat: [say(engine, chat, text) for text in wanted[chat]]) for chat in chats]
        for writer in writers:
            writer.result(30)
        deadline = time.monotonic() + 30
        while set(statuses(engine)) != {"sent"} and time.monotonic() < deadline:
            time.sleep(0.05)
        done.set()
        for sender in senders:
            sender.result(10)
    assert {chat: telegram.texts(chat) for chat in chats} == wanted


def _send_all(settings: Settings) -> None:
    engine = sa.create_engine(settings.database_url, **sql.engine_options(settings.database_url))
    sql.prepare(engine)
    outbox.wake(engine, settings)
    time.sleep(600)


@pytest.fixture
def start_sender(bot_settings: Settings) -> Iterator[Callable[[], Any]]:
    """start_sender() starts a process that sends what is due; all are killed at the end."""
    context = multiprocessing.get_context("spawn")
    processes = []

    def start() -> Any:
        process = context.Process(target=_send_all, args=(bot_settings,), daemon=True)
        process.start()
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.join()


@pytest.mark.slow
def test_four_processes_send_nothing_twice(
    engine: Engine, telegram: TelegramStandin, start_sender: Callable[[], Any]
) -> None:
    chats = [ADA + number for number in range(40)]
    for chat in chats:
        say(engine, chat, "one", "two", "three")
    for _ in range(4):
        start_sender()
    telegram.wait_for(lambda: len(telegram.sent()) >= 120, 40)
    time.sleep(0.5)
    assert len(telegram.calls) == 120
    assert all(telegram.texts(chat) == ["one", "two", "three"] for chat in chats)


def test_what_a_killed_process_had_in_hand_is_sent_by_another(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin, start_sender: Callable[[], Any]
) -> None:
    telegram.fault = lambda _: silent(60)
    say(engine, ADA, "one", "two")
    process = start_sender()
    telegram.wait_for(lambda: telegram.calls, 30)
    process.kill()
    process.join()
    telegram.fault = None
    assert statuses(engine) == ["sending", "queued"]
    assert outbox.send_due(engine, bot_settings) == 0, "it may be alive still"
    assert 20 < (waits(engine, ADA) or 0) <= 30
    no_later(engine)
    assert outbox.send_due(engine, bot_settings) == 2
    assert telegram.texts(ADA) == ["one", "two"]
    assert [row.attempts for row in rows(engine, Message.attempts)] == [2, 1]


def test_a_sender_that_took_too_long_does_not_undo_what_another_has_noted(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin
) -> None:
    say(engine, ADA, "one")
    slow = outbox_claims.claim(engine)
    assert slow is not None
    no_later(engine)
    assert outbox.send_due(engine, bot_settings) == 1
    outbox_claims.note(engine, slow, bot_api.Temporary("it was slow"), go_on=False)
    assert statuses(engine) == ["sent"]
    assert waits(engine, ADA) is None


@pytest.mark.slow
def test_what_was_sent_while_the_database_went_away_is_not_sent_again(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin
) -> None:
    """It is gone for longer than a restart of it takes, and comes back."""
    away = threading.Event()

    def refuse(_: Any) -> None:
        if away.is_set():
            raise sa.exc.OperationalError("BEGIN", {}, Exception("the database system is starting up"))

    telegram.delay = 0.3
    say(engine, ADA, "one")
    sa.event.listen(engine, "begin", refuse)
    try:
        outbox.wake(engine, bot_settings)
        telegram.wait_for(lambda: telegram.calls)
        away.set()
        time.sleep(10)
        away.clear()
        telegram.wait_for(lambda: statuses(engine) == ["sent"], 5)
    finally:
        sa.event.remove(engine, "begin", refuse)
    assert telegram.texts(ADA) == ["one"]


def test_a_message_in_hand_is_finished_before_the_threads_end(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin
) -> None:
    telegram.delay = 0.5
    say(engine, ADA, "one")
    outbox.wake(engine, bot_settings)
    telegram.wait_for(lambda: telegram.calls)
    outbox.stop(engine)
    assert statuses(engine) == ["sent"]


def test_a_chat_number_that_comes_twice_does_not_send_a_message_twice(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin
) -> None:
    say(engine, ADA, "one")
    outbox.send_due(engine, bot_settings)
    telegram._messages.clear()  # another bot, or a self-hosted server, that begins to count anew
    say(engine, ADA, "two")
    outbox.send_due(engine, bot_settings)
    assert outbox.send_due(engine, bot_settings) == 0
    assert telegram.texts(ADA) == ["one", "two"]
    assert [row.telegram_message_id for row in rows(engine, Message.telegram_message_id)] == [None, 1]


def test_what_waits_without_anybody_saying_so_is_found(
    engine: Engine, bot_settings: Settings, telegram: TelegramStandin
) -> None:
    say(engine, ADA, "one")
    with engine.begin() as connection:
        connection.execute(sa.update(Chat).values(next_send_at=None))
    outbox.wake(engine, bot_settings)
    telegram.wait_for(lambda: telegram.texts(ADA) == ["one"])
    assert telegram.texts(ADA) == ["one"]


def test_the_worker_sends_what_waits(
    make_app: Callable[[Settings], Flask],
    engine: Engine,
    bot_settings: Settings,
    telegram: TelegramStandin,
    monkeypatch: pytest.MonkeyPatch,
    signals: None,
) -> None:
    from daybook import removal

    def until_sent(*_: Any) -> None:
        telegram.wait_for(lambda: telegram.texts(ADA) == ["one"])

    monkeypatch.setattr(removal, "keep_recovering", until_sent)
    say(engine, ADA, "one")
    runner: FlaskCliRunner = make_app(bot_settings).test_cli_runner()
    assert runner.invoke(args=["worker"]).exit_code == 0
    assert statuses(engine) == ["sent"]


@pytest.mark.slow
def test_a_server_sends_at_its_start_what_the_one_before_has_left(
    engine: Engine, telegram: TelegramStandin, start_server: Callable[..., LiveServer]
) -> None:
    for chat in range(ADA, ADA + 10):
        say(engine, chat, "one", "two")
    telegram.delay = 0.2
    with_bot = {"TELEGRAM_BOT_TOKEN": telegram.token, "TELEGRAM_API_URL": telegram.url, "WEB_CONCURRENCY": "2"}
    server = start_server(**with_bot)
    telegram.wait_for(lambda: len(telegram.sent()) >= 3, 30)
    server.stop()
    assert "sending" not in statuses(engine), "what was in hand has been finished"
    server = start_server(**with_bot)
    telegram.wait_for(lambda: len(telegram.sent()) >= 20, 30)
    server.stop()
    assert set(statuses(engine)) == {"sent"}
    assert len(telegram.calls) == 20
    assert telegram.token not in server.log.read_text()


@pytest.mark.slow
def test_a_telegram_that_hangs_holds_up_neither_webhooks_nor_the_end(
    book: Book, bot_settings: Settings, telegram: TelegramStandin, start_server: Callable[..., LiveServer]
) -> None:
    """Every call is taken and never answered, getFile and the answers to buttons too."""
    telegram.fault = lambda _: silent(120)
    phone = Phone()
    server = start_server(
        TELEGRAM_BOT_TOKEN=telegram.token,
        TELEGRAM_API_URL=telegram.url,
        TELEGRAM_WEBHOOK_SECRET=bot_settings.telegram_webhook_secret,
        WEB_CONCURRENCY="1",
    )
    taken = []
    for number in range(30):
        if number % 3 == 2:
            update = phone.press("undo:1")
        elif number % 10 == 0:
            update = phone.message(None, document={"file_id": "f", "file_name": "x.csv", "file_size": 10})
        else:
            update = phone.message(f"{number} coffee")
        request = Request(f"{server.url}/telegram/webhook", json.dumps(update).encode())  # noqa: S310
        request.add_header("X-Telegram-Bot-Api-Secret-Token", bot_settings.telegram_webhook_secret)
        began = time.monotonic()
        with urlopen(request, timeout=30) as answer:  # noqa: S310
            assert answer.status == 200
        taken.append(time.monotonic() - began)
    assert max(taken) < 2
    telegram.wait_for(lambda: len(telegram.calls) >= 4)
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 15
    assert server.process.returncode == 0, "it was not killed"


def test_times_are_told_for_the_admin_area(engine: Engine, bot_settings: Settings, telegram: TelegramStandin) -> None:
    telegram.faults(too_many(30))
    say(engine, ADA, "one")
    outbox.send_due(engine, bot_settings)
    [row] = rows(engine, Message.status, Message.next_attempt_at, Message.error)
    assert row.status == "queued"
    assert isinstance(row.next_attempt_at, datetime)
    assert 28 < (row.next_attempt_at - utc_now()).total_seconds() <= 30
    assert row.error == "sendMessage: 429 Too Many Requests: retry after 30"
