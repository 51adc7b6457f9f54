"""A book with something in every table, and what tests of the admin area do with it in a browser."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page
from sqlalchemy.engine import Engine

from daybook.models import (
    AuditEntry,
    Chat,
    Counter,
    FileType,
    Job,
    Message,
    Sensor,
    Source,
    TelegramUpdate,
    TelegramUser,
    Upload,
    utc_now,
)
from tests.conftest import LiveServer
from tests.telegram_standin import TelegramStandin


def start_with_bot(start_server: Callable[..., LiveServer], telegram: TelegramStandin) -> LiveServer:
    """A server with a bot, whose webhook is set."""
    telegram.webhook = {"url": "https://book.example/telegram/webhook"}
    return start_server(
        TELEGRAM_BOT_TOKEN=telegram.token,
        TELEGRAM_API_URL=telegram.url,
        TELEGRAM_WEBHOOK_SECRET="Only-for_tests-0123456789",
    )


def fill(engine: Engine) -> None:
    """130 bot users, a conversation with the first of them, and a row or two of everything else."""
    now = utc_now()
    names = ("Anna Meyer", "Ben Okafor", "Chiara Rossi", "Dai Evans", "Elif Yılmaz")
    people = [
        {
            "user_id": 1000 + i,
            "first_name": names[i % 5].split()[0],
            "last_name": f"{names[i % 5].split()[1]} {i}",
            "username": f"user{i}",
            "status": ("allowed", "allowed", "pending", "blocked")[i % 4],
            "created_at": now - timedelta(hours=i),
        }
        for i in range(130)
    ]
    talk = [
        ("in", "handled", "12.50 groceries"),
        ("out", "sent", "12.50 groceries. November so far: 12.50 in 1 entry."),
        ("out", "failed", "The battery of the mast is low."),
        ("in", "handled", ""),
    ]
    rows: list[tuple[Any, Any]] = [
        (TelegramUser, people),
        (Chat, [{"chat_id": 1000 + i, "title": f"Chat {i}"} for i in range(130)]),
        (TelegramUpdate, {"update_id": 7, "payload": {"update_id": 7, "message": {"text": "x" * 200}}}),
        (TelegramUpdate, {"update_id": 8, "payload": {}, "processed_at": None, "error": "RuntimeError: no"}),
        (Source, [{"id": 1, "name": "mast 3"}, {"id": 2, "name": "household"}]),
        (Sensor, {"id": 1, "source_id": 1, "name": "air_temperature", "unit": "°C", "label": "Air", "kind": "gauge"}),
        (FileType, {"id": 1, "name": "Mast logger", "layout": {"delimiter": ";"}}),
        (Upload, {"id": 1, "filename": "mast-2026-11.csv", "status": "failed", "error": "no time", "source_id": 1}),
        (Counter, {"name": "greetings", "value": 1234567}),
        (Job, {"id": 1, "title": "Allow: bot users", "task": "rows", "status": "done", "total": 900, "done": 900}),
        (Job, {"id": 2, "title": "Delete messages", "task": "rows", "status": "failed", "total": 9, "error": "No."}),
    ]
    for place, (direction, status, text) in enumerate(talk):
        said = {"chat_id": 1000, "direction": direction, "status": status, "text": text, "error": "no" * (place == 2)}
        by = {"sender_id": 1000, "update_id": 7} if direction == "in" else {}
        rows.append((Message, {"id": place + 1, "sent_at": now - timedelta(hours=9 - place), **said, **by}))
    changes = {"status": ["pending", "allowed"], "last_name": [None, "Meyer"]}
    about = {"actor": "ada", "action": "allow", "origin": "page", "object_type": "bot user", "object_id": "1000"}
    rows.append((AuditEntry, {**about, "object_repr": "Anna Meyer 0", "changes": changes}))
    with engine.begin() as connection:
        for table, values in rows:
            connection.execute(sa.insert(table), values)


def titles(page: Page) -> list[str]:
    return page.locator("#rows-form tbody th").all_inner_texts()


def focused(page: Page) -> str:
    return page.evaluate("() => document.activeElement.id || document.activeElement.textContent.trim()")


def tab_to(page: Page, name: str, back: bool = False, most: int = 150) -> None:
    """Presses Tab until something of this name (or id) has the focus."""
    # Faster than anybody is, a test would follow a link before htmx has seen it: then the whole page is loaded.
    page.wait_for_function("() => !document.querySelector('.htmx-request, .htmx-added, .htmx-settling')")
    same = """(name) => { const element = document.activeElement;
        const label = element.getAttribute('aria-label') || element.labels?.[0]?.textContent || element.textContent;
        return element.id === name || label.replace(/\\s+/g, ' ').trim() === name; }"""
    for _ in range(most):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        if page.evaluate(same, name):
            box = page.evaluate("() => document.activeElement.getBoundingClientRect().toJSON()")
            assert 0 <= box["top"] < page.viewport_size["height"], f"{name} has the focus out of sight"
            return
    pytest.fail(f"Tab never reaches {name}")
