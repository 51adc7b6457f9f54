"""Files that people send into a chat of the stand-in for Telegram, and what the chat reads of them in the end."""

from typing import Any

import sqlalchemy as sa

from daybook.models import Message, Upload
from tests.telegram_standin import TelegramStandin
from tests.telegram_updates import Book

CSV = b"time,power,wind\n2026-11-01 00:00,5,1.5\n2026-11-01 00:10,6,2.5\nrubbish,1,2\n2026-11-01 00:20,7,3.5\n"


def document(telegram: TelegramStandin, body: bytes, name: str | None = "mast.csv", **more: Any) -> dict[str, Any]:
    file_id = f"file-{len(telegram.files)}"
    telegram.files[file_id] = (f"documents/{file_id}.bin", body)
    about = {"file_id": file_id, "file_unique_id": "u", "file_size": len(body)}
    return about | ({"file_name": name} if name else {}) | more


def ended(book: Book, telegram: TelegramStandin) -> str:
    """What the chat reads once every file has come to its end."""
    waiting = sa.select(Message.id).where(Message.direction == "in", Message.status == "received")
    telegram.wait_for(lambda: not book.ask(waiting), 30)
    out = sa.select(Message.id).where(Message.direction == "out", Message.status.in_(("queued", "sending")))
    telegram.wait_for(lambda: not book.ask(out), 30)
    return telegram.texts()[-1]


def uploads(book: Book) -> list[Any]:
    """The rows of all uploads, in the order in which they were announced."""
    return book.ask(sa.select(Upload.__table__).order_by(Upload.id))
