"""A message is played through when the server starts, and nobody ever finds anything of it."""

import os
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from daybook import rehearsal, sql
from daybook.config import Settings
from daybook.extensions import db
from daybook.models import TelegramUser


def everything(engine: Engine) -> dict[str, list[Any]]:
    """Every row of every table."""
    with engine.connect() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(sa.select(table))]
            for table in db.metadata.sorted_tables
        }


def test_nothing_of_it_is_left(engine: Engine, settings: Settings) -> None:
    with engine.begin() as connection:
        values = {"user_id": os.getpid(), "first_name": "Somebody with that very number", "status": "blocked"}
        connection.execute(sa.insert(TelegramUser).values(values))
    before = everything(engine)
    rehearsal.rehearse(engine, settings)
    rehearsal.open_connections(engine, settings)
    assert everything(engine) == before
    assert sum(len(rows) for rows in before.values()) == 1


def test_a_message_is_really_played_through(engine: Engine, settings: Settings) -> None:
    asked: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda *arguments: asked.append(arguments[2]))
    on_each = 6 if sql.connections_learn(engine) else 0
    for start, times in ((rehearsal.rehearse, 1), (rehearsal.open_connections, on_each)):
        asked.clear()
        start(engine, settings)
        for table in ("telegram_update", "message", "reading", "message_reading", "audit_entry"):
            assert sum(statement.startswith(f"INSERT INTO {table} ") for statement in asked) >= times, table
        assert sum("next_send_at" in statement and "FOR UPDATE" in statement for statement in asked) >= (
            times if engine.dialect.name == "postgresql" else 0
        )


def test_a_database_that_is_away_stops_nobody(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    away = sa.create_engine("postgresql+psycopg2://nobody@127.0.0.1:1/none", connect_args={"connect_timeout": 1})
    for start in (rehearsal.rehearse, rehearsal.open_connections):
        caplog.clear()
        start(away, replace(settings, database_url=str(away.url)))
        assert "cannot be used" in caplog.text


def test_a_mistake_in_it_keeps_no_server_from_starting(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = everything(engine)
    monkeypatch.setattr(rehearsal.messages, "act", lambda *_: 1 / 0)
    for start in (rehearsal.rehearse, *([rehearsal.open_connections] * sql.connections_learn(engine))):
        caplog.clear()
        start(engine, settings)
        assert "ZeroDivisionError" in caplog.text
    assert everything(engine) == before
