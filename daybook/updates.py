"""What Telegram delivers, kept as it came and acted on once.

The raw update and all that follows from it are one transaction: its row first, whose key lets only one of several
deliveries go on, then the effects and replies. If those raise, a second transaction keeps the update with its error,
and it can be handled again. Only a database that is away lets Telegram deliver it once more.
"""

import hashlib
import json
import logging
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn, TypeVar

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.engine import Connection, Engine

from daybook import audit, bot_api, messages, outbox, sql
from daybook.answers import Afterwards
from daybook.config import Settings
from daybook.message_readings import SensorGone
from daybook.models import TelegramUpdate, utc_now
from daybook.people import is_id

log = logging.getLogger(__name__)

Result = TypeVar("Result")

MAX_BYTES = 1024 * 1024
_MOST_LEVELS = 200  # of lists within lists; Telegram's updates have ten or so
# What another transaction may have been faster with; looked at once more, it is there.
_OVERTAKEN = (exc.IntegrityError, SensorGone)
_ATTEMPTS = 3
# How many updates a process acts on at the same time. They take milliseconds, so the others hardly wait. More at a time
# make each take longer, and the last one of a burst comes later, not sooner.
_SLOTS = threading.BoundedSemaphore(2)


class _Gates:
    """Updates of one chat go through its gate one after the other: else they would wait for the chat's row in all slots
    of the process, and the other chats with them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gates: dict[object, tuple[threading.Lock, int]] = {}

    @contextmanager
    def passed(self, chat: object) -> Iterator[None]:
        with self._lock:
            gate, waiting = self._gates.get(chat, (threading.Lock(), 0))
            self._gates[chat] = gate, waiting + 1
        try:
            with gate:
                yield
        finally:
            with self._lock:
                gate, waiting = self._gates.pop(chat)
                if waiting > 1:
                    self._gates[chat] = gate, waiting - 1


_gates = _Gates()


class BadUpdate(ValueError):
    """The bytes are no JSON that could be kept; the message says why."""


class NotWaiting(LookupError):
    """There is no such update that failed: unknown, or handled meanwhile."""


@dataclass(frozen=True)
class Failed:
    """An update that raised while it was handled."""

    update_id: int
    received_at: datetime
    error: str
    payload: Any


def read(body: bytes) -> Any:
    """The update in the body of a request; raises BadUpdate. Any JSON will do, as long as it can be kept."""
    try:
        update = json.loads(body, parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:  # not UTF-8 is a ValueError too
        raise BadUpdate(f"the body is not JSON: {error}") from None
    if body.count(b"[") + body.count(b"{") > _MOST_LEVELS and _levels(update) > _MOST_LEVELS:
        raise BadUpdate(f"the body is not JSON that could be kept: it has more than {_MOST_LEVELS} levels")
    return update


def _levels(value: Any) -> int:
    """How deep lists and objects lie within each other: what is deeper than Python can go in again cannot be stored."""
    levels, within = 0, [value]
    while within := [one for one in within if isinstance(one, dict | list)]:
        levels += 1
        within = [inner for one in within for inner in (one.values() if isinstance(one, dict) else one)]
    return levels


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number in JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large a number")
    return number


def id_of(update: Any) -> int:
    """Its update_id; where it has none that Telegram could have given, a negative number made of its content, so that
    it is kept once as well."""
    given = update.get("update_id") if isinstance(update, dict) else None
    if is_id(given) and given > 0:
        return given
    content = json.dumps(update, sort_keys=True).encode()
    return -(int.from_bytes(hashlib.sha256(content).digest()[:7]) + 1)


def _chat_of(update: Any) -> object:
    """The id of the chat that it comes from; of one without, its own."""
    for kind in ("message", "edited_message", "callback_query"):
        said = update.get(kind) if isinstance(update, dict) else None
        said = said.get("message") if kind == "callback_query" and isinstance(said, dict) else said
        chat = said.get("chat") if isinstance(said, dict) else None
        if isinstance(chat, dict) and is_id(chat.get("id")):
            return chat["id"]
    return id_of(update), "no chat"


def take(engine: Engine, settings: Settings, update: Any) -> bool:
    """Keeps the update and acts on it; False when it had come before. Replies are on their way when this returns.

    Raises an error of the database's when that is away: then nothing is kept, and it has to be delivered again.
    """
    update_id = id_of(update)
    with _gates.passed(_chat_of(update)), _SLOTS:
        taken = sql.again_after_deadlock(lambda: _take(engine, settings, update_id, update))
    if taken is None:
        return False
    _go_on(engine, settings, taken)
    return True


def handle_again(engine: Engine, settings: Settings, update_id: int) -> str | None:
    """Acts on an update that had failed; what is wrong with it still, or None. Raises NotWaiting."""
    error, afterwards = sql.again_after_deadlock(lambda: _again(engine, settings, update_id))
    _go_on(engine, settings, afterwards)
    return error


def failed(engine: Engine, limit: int = 100) -> list[Failed]:
    """The updates that wait to be handled again, newest first."""
    columns = TelegramUpdate.update_id, TelegramUpdate.received_at, TelegramUpdate.error, TelegramUpdate.payload
    waiting = sa.select(*columns).where(TelegramUpdate.processed_at.is_(None))
    with sql.only_reading(), engine.connect() as connection:
        rows = connection.execute(waiting.order_by(TelegramUpdate.received_at.desc()).limit(limit))
        return [Failed(row.update_id, row.received_at, row.error or "", row.payload) for row in rows]


def _take(engine: Engine, settings: Settings, update_id: int, update: Any) -> Sequence[Afterwards] | None:
    now = utc_now()
    row = {"update_id": update_id, "received_at": now, "payload": update}

    def work(connection: Connection) -> Sequence[Afterwards] | None:
        # Another delivery of the same waits here until this one is committed, and then finds the row.
        new = connection.execute(sql.insert_new(connection, TelegramUpdate), row | {"processed_at": now}).first()
        return None if new is None else _act(connection, settings, update_id, update, now)

    try:
        return _done(engine, work)
    except Exception as error:
        reason = _reason(error, update_id)
    with engine.begin() as connection:
        # Nothing is there where another delivery has had more luck since.
        if connection.execute(sql.insert_new(connection, TelegramUpdate), row | {"error": reason}).first() is not None:
            messages.keep_failed(connection, update_id, update, now)
    return ()


def _again(engine: Engine, settings: Settings, update_id: int) -> tuple[str | None, Sequence[Afterwards]]:
    waiting = TelegramUpdate.update_id == update_id, TelegramUpdate.processed_at.is_(None)
    query = sa.select(TelegramUpdate.payload, TelegramUpdate.received_at).where(*waiting).with_for_update()

    def work(connection: Connection) -> Sequence[Afterwards]:
        row = connection.execute(query).first()
        if row is None:
            raise NotWaiting(f"no update {update_id} waits to be handled again")
        done = {"processed_at": utc_now(), "error": None}
        connection.execute(sa.update(TelegramUpdate).where(*waiting).values(done))
        _note_again(connection, update_id)
        return _act(connection, settings, update_id, row.payload, row.received_at)

    try:
        return None, _done(engine, work)
    except NotWaiting:
        raise
    except Exception as error:
        reason = _reason(error, update_id)
    with engine.begin() as connection:
        found = connection.execute(sa.update(TelegramUpdate).where(*waiting).values(error=reason))
        if found.rowcount:
            _note_again(connection, update_id)
    return reason, ()


def _act(
    connection: Connection, settings: Settings, update_id: int, update: Any, received_at: datetime
) -> Sequence[Afterwards]:
    """Acts on the update; what is to be done once that is committed. Replies that can go out then are sent at once."""
    afterwards = messages.act(connection, settings, update_id, update, received_at)
    return [*afterwards, outbox.wake] if outbox.take_due(connection) else afterwards


def _note_again(connection: Connection, update_id: int) -> None:
    audit.note(connection, "handle again", "update", update_id, f"update {update_id}")


def _done(engine: Engine, work: Callable[[Connection], Result]) -> Result:
    """The work as one transaction; once more where another one was faster with something that both needed."""
    for _ in range(_ATTEMPTS - 1):
        try:
            with engine.begin() as connection:
                return work(connection)
        except _OVERTAKEN:
            continue
    with engine.begin() as connection:
        return work(connection)


def _reason(error: Exception, update_id: int) -> str:
    """What is kept of a mistake; raises it where it is none of ours: the database is away, or in another's way."""
    told: BaseException | None = error
    while told is not None:
        if isinstance(told, exc.StatementError):
            told.hide_parameters = True  # what people write has no place in a log
        told = told.__cause__ or told.__context__
    if sql.is_away(error):
        raise error
    log.error("update %s could not be handled; it is kept and can be handled again", update_id, exc_info=error)
    return _in_short(error)


def _in_short(error: Exception) -> str:
    """One line for the admin area. Not the values of a query, and not the token."""
    cause = getattr(error, "orig", None) or error
    # PostgreSQL's whole text quotes the query, and the row.
    text = " ".join(str(getattr(getattr(cause, "diag", None), "message_primary", None) or cause).split())
    return bot_api.redacted(f"{type(cause).__name__}: {text}" if text else type(cause).__name__)[:500]


def _go_on(engine: Engine, settings: Settings, afterwards: Sequence[Afterwards]) -> None:
    """What follows the commit. The update is done, so that nothing here may have it delivered again."""
    for work in afterwards:
        try:
            work(engine, settings)
        except Exception:
            log.exception("what follows an update could not be done; others go on with it")
