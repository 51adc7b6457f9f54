"""A message, played through when a process starts and forgotten again, so that what the first real one needs is there.

Statements are compiled, modules imported and connections opened when they are first used. In a process that has just
started, all of that would come on top of the first messages, which people and Telegram wait for.
"""

import logging
import os
from contextlib import ExitStack

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from daybook import messages, sql, updates
from daybook.config import Settings
from daybook.models import TelegramUpdate, TelegramUser, utc_now

log = logging.getLogger(__name__)

_CONNECTIONS = 4  # that a process opens beforehand; more are opened when they are needed


def rehearse(engine: Engine, settings: Settings) -> None:
    """Plays a message through, and leaves nothing of it, no connection either: for the process from which those that
    serve are forked. Where the database is away, nothing is rehearsed."""
    try:
        with engine.connect() as connection, connection.begin() as transaction:
            _play(connection, settings)
            transaction.rollback()
    except sa.exc.SQLAlchemyError as error:
        log.warning("Nothing was rehearsed, the database cannot be used: %s", type(error).__name__)
    except Exception:  # whatever it was, the server starts: it can do without
        log.exception("Nothing was rehearsed")
    finally:
        engine.dispose()


def open_connections(engine: Engine) -> None:
    """Opens as many connections as the first messages need."""
    try:
        with ExitStack() as opened:
            for _ in range(_CONNECTIONS):
                opened.enter_context(engine.connect())
    except sa.exc.SQLAlchemyError as error:
        log.warning("No connection was opened, the database cannot be used: %s", type(error).__name__)


def _play(connection: sa.Connection, settings: Settings) -> None:
    now = utc_now()
    person = {"id": os.getpid(), "is_bot": False, "first_name": "Rehearsal"}
    connection.execute(
        sql.insert_new(connection, TelegramUser), {"user_id": person["id"], "first_name": "", "status": "allowed"}
    )
    connection.execute(sa.update(TelegramUser).where(TelegramUser.user_id == person["id"]).values(status="allowed"))
    for number, text in enumerate(("1 rehearsal", "2.50 rehearsal", "rehearsal 3")):
        message = {
            "message_id": 2**31 + number,
            "from": person,
            "chat": {"id": person["id"], "type": "private", "first_name": "Rehearsal"},
            "date": int(now.timestamp()),
            "text": text,
        }
        update = {"update_id": 2**62 + os.getpid() * 4 + number, "message": message}
        row = {"update_id": updates.id_of(update), "received_at": now, "payload": update, "processed_at": now}
        connection.execute(sql.insert_new(connection, TelegramUpdate), row)
        messages.act(connection, settings, row["update_id"], update, now)  # type: ignore[arg-type]
