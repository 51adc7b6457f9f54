"""A message, played through when a process starts and forgotten again, so that what the first real one needs is there.

Statements are compiled, modules imported and connections opened when they are first used, and the database reads its
catalogue anew for every connection. In a process that has just started, all of that would come on top of the first
messages, which people and Telegram wait for.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from daybook import messages, outbox_claims, sql, updates
from daybook.config import Settings
from daybook.models import TelegramUpdate, TelegramUser, utc_now

log = logging.getLogger(__name__)

_CONNECTIONS = 6  # that a process opens beforehand, for updates and for sending; more are opened when they are needed


def rehearse(engine: Engine, settings: Settings) -> None:
    """Plays a message through, and leaves nothing of it, no connection either: for the process from which those that
    serve are forked. Where the database is away, nothing is rehearsed."""
    with _no_obstacle(), engine.connect() as connection:
        _play_and_forget(connection, settings)
    engine.dispose()


def open_connections(engine: Engine, settings: Settings) -> None:
    """Opens as many connections as the first messages need, and plays the message through on each that learns by it."""
    with _no_obstacle(), ExitStack() as opened:
        for _ in range(_CONNECTIONS):
            connection = opened.enter_context(engine.connect())
            if sql.connections_learn(engine):
                _play_and_forget(connection, settings)


@contextmanager
def _no_obstacle() -> Iterator[None]:
    """Whatever goes wrong inside, the server starts: it can do without."""
    try:
        yield
    except sa.exc.SQLAlchemyError as error:
        log.warning("Nothing was rehearsed, the database cannot be used: %s", type(error).__name__)
    except Exception:
        log.exception("Nothing was rehearsed")


def _play_and_forget(connection: sa.Connection, settings: Settings) -> None:
    with connection.begin() as transaction:
        _play(connection, settings)
        transaction.rollback()


def _play(connection: sa.Connection, settings: Settings) -> None:
    now = utc_now()
    # Of processes that start together, none waits for another's person or source.
    person = {"id": os.getpid(), "is_bot": False, "first_name": f"Rehearsal {os.getpid()}"}
    connection.execute(
        sql.insert_new(connection, TelegramUser), {"user_id": person["id"], "first_name": "", "status": "allowed"}
    )
    connection.execute(sa.update(TelegramUser).where(TelegramUser.user_id == person["id"]).values(status="allowed"))
    for number, text in enumerate(("1 rehearsal", "2.50 rehearsal", "rehearsal 3")):
        message = {
            "message_id": 2**31 + number,
            "from": person,
            "chat": {"id": person["id"], "type": "private", "first_name": person["first_name"]},
            "date": int(now.timestamp()),
            "text": text,
        }
        update = {"update_id": 2**62 + os.getpid() * 4 + number, "message": message}
        row = {"update_id": updates.id_of(update), "received_at": now, "payload": update, "processed_at": now}
        connection.execute(sql.insert_new(connection, TelegramUpdate), row)
        messages.act(connection, settings, row["update_id"], update, now)  # type: ignore[arg-type]
    outbox_claims.rehearse(connection)
