"""What a row's page shows beside its columns and its form, per table."""

from collections.abc import Callable, Mapping
from typing import Any

from flask import request
from sqlalchemy.engine import Connection

from blueprints.admin.pages import settings
from daybook.admin import conversations
from daybook.admin.described import Table

Row = Mapping[str, Any]


def panel_values(connection: Connection, table: Table, row: Row) -> dict[str, Any]:
    """What the table's panel needs."""
    return _PANELS[table.slug](connection, row) if table.slug in _PANELS else {}


def _user(connection: Connection, row: Row) -> dict[str, Any]:
    return conversation_values(connection, row["key"])


def conversation_values(connection: Connection, user_id: int) -> dict[str, Any]:
    """The conversation with this person, newest at the end; what was typed stays in the box when it is refused."""
    before = request.args.get("before", type=int)
    return {
        "talk": conversations.with_user(connection, user_id, before),
        "before": before,
        "sent": request.args.get("sent", type=int),
        "can_answer": conversations.can_be_answered(connection, user_id),
        "bot_runs": bool(settings().telegram_bot_token),
        "text": request.form.get("text", "") if request.endpoint == "admin.answer" else "",
    }


def _message(connection: Connection, row: Row) -> dict[str, Any]:
    return {
        "raw": conversations.raw_update(connection, row["update_id"]),
        "readings": conversations.readings_of(connection, row["key"]),
        "related": conversations.related_messages(connection, row["key"]),
    }


def _update(connection: Connection, row: Row) -> dict[str, Any]:
    return {"messages": conversations.messages_of_update(connection, row["key"])}


_PANELS: dict[str, Callable[[Connection, Row], dict[str, Any]]] = {
    "users": _user,
    "messages": _message,
    "updates": _update,
}
