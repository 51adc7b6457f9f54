"""Updates as Telegram delivers them, and a book that they are delivered to without HTTP."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.engine import Engine

from daybook import people, updates
from daybook.config import Settings
from daybook.extensions import db
from daybook.models import Message, MessageReading, Reading, Sensor, Source

NOON = datetime(2026, 11, 18, 12, 0, 0, tzinfo=UTC)
ANNA = {"id": 1001, "is_bot": False, "first_name": "Anna", "last_name": "Meyer", "username": "anna"}
BEN = {"id": 1002, "is_bot": False, "first_name": "Ben"}
EVE = {"id": 6_000_000_001, "is_bot": False, "first_name": "Eve", "last_name": "Stranger"}
GROUP = {"id": -4001, "type": "group", "title": "Household"}


def private(person: dict[str, Any]) -> dict[str, Any]:
    """The chat of the bot with one person."""
    names = {name: person[name] for name in ("first_name", "last_name") if name in person}
    return {"id": person["id"], "type": "private", **names}


class Phone:
    """What people do with their telephones, as updates with rising numbers; nothing is delivered."""

    def __init__(self) -> None:
        self.update_id = 500_000
        self.number = 0
        self.now = NOON

    def later(self, **by: float) -> "Phone":
        self.now += timedelta(**by)
        return self

    def update(self, **content: Any) -> dict[str, Any]:
        self.update_id += 1
        return {"update_id": self.update_id, **content}

    def message(
        self, text: str | None, sender: dict[str, Any] = ANNA, chat: dict[str, Any] | None = None, **more: Any
    ) -> dict[str, Any]:
        self.number += 1
        said: dict[str, Any] = {
            "message_id": self.number,
            "from": sender,
            "chat": chat or private(sender),
            "date": int(self.now.timestamp()),
        }
        if text is not None:
            said["text"] = text
        return self.update(message=said | more)

    def edit(self, update: dict[str, Any], text: str) -> dict[str, Any]:
        self.now += timedelta(seconds=30)
        before = update.get("message") or update["edited_message"]
        return self.update(edited_message=before | {"text": text, "edit_date": int(self.now.timestamp())})

    def press(self, data: str, sender: dict[str, Any] = ANNA, chat: dict[str, Any] | None = None, **under: Any) -> Any:
        message = {"message_id": 1, "chat": chat or private(sender), "date": int(self.now.timestamp())} | under
        press = {"id": f"press-{self.update_id}", "from": sender, "data": data, "message": message}
        return self.update(callback_query=press)


class Book:
    """A Daybook that gets updates, and what is in it afterwards."""

    def __init__(self, app: Flask) -> None:
        self.settings: Settings = app.config["DAYBOOK"]
        with app.app_context():
            self.engine: Engine = db.engine

    def take(self, *delivered: Any) -> None:
        for update in delivered:
            updates.take(self.engine, self.settings, update)

    def allow(self, *persons: dict[str, Any]) -> None:
        for person in persons:
            people.allow(self.engine, person["id"], person["first_name"], person.get("last_name", ""))

    def ask(self, query: sa.Select[Any]) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(query))

    def readings(self) -> list[tuple[str, str, datetime, float]]:
        """(source, sensor, time, value) of what is in the book, by time."""
        query = (
            sa.select(Source.name, Sensor.name, Reading.time, Reading.value)
            .join(Sensor, Sensor.id == Reading.sensor_id)
            .join(Source, Source.id == Sensor.source_id)
        )
        return sorted((tuple(row) for row in self.ask(query)), key=lambda row: (row[2], row[0], row[1]))

    def values(self) -> list[float]:
        return [row[3] for row in self.readings()]

    def total(self, sensor: str) -> float:
        return round(sum(row[3] for row in self.readings() if row[1] == sensor), 2)

    def said(self, chat_id: int | None = None) -> list[str]:
        """What the bot has said or will say, in order."""
        query = sa.select(Message.text).where(Message.direction == "out").order_by(Message.id)
        return [row.text for row in self.ask(query if chat_id is None else query.where(Message.chat_id == chat_id))]

    def message(self, update: dict[str, Any]) -> Any:
        """The row of the message that came with this update."""
        said = update.get("message") or update["edited_message"]
        mine = Message.telegram_message_id == said["message_id"], Message.chat_id == said["chat"]["id"]
        (row,) = self.ask(sa.select(Message.__table__).where(*mine, Message.direction == "in"))
        return row

    def check(self) -> None:
        """The counts of the sensors are those of the readings, and each message's readings are there."""
        counted = {row.id: row.reading_count for row in self.ask(sa.select(Sensor.id, Sensor.reading_count))}
        stored = {
            row[0]: row[1]
            for row in self.ask(sa.select(Reading.sensor_id, sa.func.count()).group_by(Reading.sensor_id))
        }
        assert {key: count for key, count in counted.items() if count} == stored
        standing = MessageReading.taken_back_at.is_(None)
        made = {(row.sensor_id, row.time) for row in self.ask(sa.select(MessageReading.__table__).where(standing))}
        in_book = {(row.sensor_id, row.time) for row in self.ask(sa.select(Reading).where(Reading.upload_id.is_(None)))}
        assert made == in_book


MakeBook = Callable[[], Book]
