"""kill -9 while people write: what was answered with 200 is in the book, once, and everybody gets an answer.

Two kills at random moments; DAYBOOK_LONG=1 makes it fifteen, and waits for the last answer. An answer that was on its
way to Telegram at a kill may come once more, because nobody knows whether it arrived; no other one does.
"""

import json
import os
import random
import signal
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from daybook.config import Settings
from daybook.models import Message
from tests.conftest import LiveServer
from tests.telegram_standin import TelegramStandin
from tests.telegram_updates import Book, Phone
from tests.wire import wait_for

LONG = bool(os.environ.get("DAYBOOK_LONG"))
KILLS = 15 if LONG else 2
PEOPLE = [{"id": 8000 + number, "is_bot": False, "first_name": f"Person {number}"} for number in range(40)]
IN_HAND = 5.0  # seconds that a busy machine may take from an answer's arrival at Telegram to the note of it


class Post:
    """Delivers updates to whichever server lives; remembers which of them were not answered with 200."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.unanswered: list[dict[str, Any]] = []
        self.answered: set[int] = set()

    def deliver(self, server: LiveServer, updates: list[dict[str, Any]]) -> None:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda update: self._one(server, update), updates))
        left = {update["update_id"]: update for update in updates if update["update_id"] not in self.answered}
        self.unanswered = list(left.values())

    def _one(self, server: LiveServer, update: dict[str, Any]) -> None:
        url = f"{server.url}/telegram/webhook"
        headers = {"Content-Type": "application/json", "X-Telegram-Bot-Api-Secret-Token": self.secret}
        request = urllib.request.Request(url, json.dumps(update).encode(), headers)  # noqa: S310 - our own http URL
        with suppress(OSError, HTTPException), urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            assert response.status == 200
            self.answered.add(update["update_id"])


def kill(server: LiveServer) -> float:
    """The whole server at once; the moment at which it was gone."""
    for pid in (server.process.pid, *server.workers()):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    server.process.wait(10)
    return time.monotonic()


def is_answered(book: Book) -> bool:
    waiting = Message.direction == "out", Message.status.in_(("queued", "sending"))
    return not book.ask(sa.select(Message.id).where(*waiting).limit(1))


def what_is_written(phone: Phone, names: Counter[str]) -> list[dict[str, Any]]:
    """A message of each person, every fifth of them corrected at once; names: what is to be in the book."""
    written = []
    for person in PEOPLE:
        number = phone.number
        message = phone.message(f"{number}.25 thing {number}a", person)
        written.append(message)
        if number % 5:
            names[f"thing {number}a"] += 1
        else:
            written.append(phone.edit(message, f"{number}.75 other {number}a\n1.50 more {number}a"))
            names.update([f"other {number}a", f"more {number}a"])
    return written


@pytest.mark.slow
def test_killed_while_people_write(
    make_app: Callable[[Settings], Flask],
    settings: Settings,
    bot_settings: Settings,
    telegram: TelegramStandin,
    start_server: Callable[..., LiveServer],
) -> None:
    book = Book(make_app(settings))
    book.allow(*PEOPLE)
    chance = random.Random(9)  # noqa: S311
    telegram.delay = 0.05
    with_bot = {
        "TELEGRAM_BOT_TOKEN": telegram.token,
        "TELEGRAM_WEBHOOK_SECRET": bot_settings.telegram_webhook_secret or "",
        "TELEGRAM_API_URL": telegram.url,
    }
    post, phone, written = Post(with_bot["TELEGRAM_WEBHOOK_SECRET"]), Phone(), Counter[str]()
    kills = []
    for _ in range(KILLS):
        server = start_server(**with_bot)
        updates = what_is_written(phone, written) + post.unanswered
        updates += [update for update in updates if chance.random() < 0.3]
        chance.shuffle(updates)
        sender = threading.Thread(target=post.deliver, args=(server, updates))
        sender.start()
        enough = len(post.answered) + chance.randrange(1, len(PEOPLE))
        wait_for(lambda: len(post.answered) >= enough, "some answers")  # noqa: B023
        kills.append(kill(server))
        sender.join(60)
    server = start_server(**with_bot)
    post.deliver(server, post.unanswered)
    assert post.unanswered == []

    assert Counter(name for _, name, _, _ in book.readings()) == written
    book.check()
    if LONG:
        telegram.wait_for(lambda: is_answered(book), 120)
    check_answers(book, telegram, kills)


def check_answers(book: Book, telegram: TelegramStandin, kills: list[float]) -> None:
    """Every answer is there once, or still waits; one that came again was in hand at a kill, each time."""
    calls: dict[tuple[int, str], list[float]] = {}
    for call in telegram.sent(method="sendMessage"):
        calls.setdefault((call.chat_id, call.params["text"]), []).append(call.at)
    rows = book.ask(sa.select(Message.chat_id, Message.text, Message.status).where(Message.direction == "out"))
    assert Counter((row.chat_id, row.text) for row in rows).most_common(1)[0][1] == 1
    for row in rows:
        moments = calls.pop((row.chat_id, row.text), [])
        assert moments or row.status != "sent", row
        for moment in moments[:-1]:
            assert any(moment <= killed <= moment + IN_HAND for killed in kills), (row, moments, kills)
    assert calls == {}
    statuses = Counter(row.status for row in rows)
    assert set(statuses) <= ({"sent"} if LONG else {"sent", "queued", "sending"})
