"""The outbox in the database: which message is sent next, by whom, and what became of it.

A chat is claimed, not a message: its row's next_send_at goes to the end of a lease while its first waiting message is
being sent, to the time of the next attempt when that failed for now, and to null once nothing waits. So each chat keeps
its order, nobody sends a message that somebody else has in hand, and whoever finds a due chat whose first message is
`sending` takes over from a process that was killed. Such a message, and one whose answer never came, is sent again,
because the Bot API cannot be asked whether it had arrived.
"""

import logging
import random
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.orm import aliased

from daybook import sql
from daybook.bot_api import BotApiError, Migrated, Permanent, RetryAfter, Temporary
from daybook.models import WAITING, Chat, Message, utc_now

log = logging.getLogger(__name__)

PACE = timedelta(seconds=1)  # between the messages of a chat; Telegram asks for it
BURST = 3  # so many may go at once to a chat that was quiet
# A process that lives has its answer before: bot_api.CONNECT and ANSWER. Of a file, which may take long to be made and
# sent, it keeps the lease up meanwhile.
LEASE, LEASE_OF_FILES = timedelta(seconds=30), timedelta(seconds=60)
# The methods that take a file, and what they call it.
FILE_PARAMETER = {"sendPhoto": "photo", "sendDocument": "document"}
LONGEST_WAIT = 3600.0
# Seconds for which a database that is away is waited for, to note what became of a message.
_PATIENCE, _PATIENCE_WITHOUT_SUCCESS = 600.0, 8.0
MOST_ATTEMPTS = 60  # two days, nearly all of them spent waiting an hour
# Whoever queues waits for the chat's row, and so the sender never takes a chat for empty that is being written to.
_MAKE_DUE = (
    sa.text(
        "INSERT INTO chat (chat_id, kind, title, timezone, next_send_at, created_at) "
        "VALUES (:chat_id, :kind, '', 'UTC', :now, :now) ON CONFLICT (chat_id) DO UPDATE "
        "SET next_send_at = coalesce(chat.next_send_at, excluded.next_send_at) RETURNING migrated_to, next_send_at"
    )
    .bindparams(sa.bindparam("now", type_=sql.UtcDateTime))
    .columns(migrated_to=sa.BigInteger, next_send_at=sql.UtcDateTime)
)
_DUE_NOW = "daybook.chat_is_due"  # in the connection's info

# Every message passes through these; building them anew each time took as long as the database needs for them.
_CHAT: sa.BindParameter[int] = sa.bindparam("chat")
_MESSAGE: sa.BindParameter[int] = sa.bindparam("message")
_NOW = sa.bindparam("now", type_=sql.UtcDateTime)
_FIRST_DUE = sa.select(sa.func.min(Chat.next_send_at))
_DUE_CHAT = (
    sa.select(Chat.chat_id, Chat.paced_until)
    .where(Chat.next_send_at <= _NOW)
    .order_by(Chat.next_send_at, Chat.chat_id)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_LOCK_CHAT = sa.select(Chat.paced_until).where(Chat.chat_id == _CHAT).with_for_update()
_WAITS = Message.chat_id == _CHAT, WAITING
_ANY_MESSAGE = sa.select(Message.id).where(*_WAITS).limit(1)
_ABOUT = aliased(Message)
_ABOUT_NUMBER = (
    sa.select(_ABOUT.telegram_message_id)
    .where(_ABOUT.id == Message.reply_to_id, _ABOUT.chat_id == Message.chat_id)
    .correlate(Message)
    .scalar_subquery()
    .label("about_number")
)
_FIRST_MESSAGE = (
    sa.select(
        Message.id,
        Message.chat_id,
        Message.text,
        Message.method,
        Message.payload,
        Message.reply_to_id,
        Message.attempts,
        _ABOUT_NUMBER,
    )
    .where(*_WAITS)
    .order_by(Message.id)
    .limit(1)
)
_TAKE = (
    sa.update(Message)
    .where(Message.id == _MESSAGE)
    .values(status="sending", attempts=sa.bindparam("number"), next_attempt_at=sa.bindparam("until"))
)
_MINE = sa.update(Message).where(
    Message.id == _MESSAGE, Message.status == "sending", Message.attempts == sa.bindparam("number")
)
_SENT = _MINE.values(
    status="sent",
    sent_at=_NOW,
    next_attempt_at=None,
    error=sa.bindparam("note"),
    telegram_message_id=sa.func.coalesce(sa.bindparam("telegram_number"), Message.telegram_message_id),
)
_SET_CHAT = (
    sa.update(Chat)
    .where(Chat.chat_id == _CHAT)
    .values(next_send_at=sa.bindparam("next"), paced_until=sa.bindparam("paced"))
)


@dataclass(frozen=True)
class Claim:
    """A message in hand. attempts tells this claim from later ones of the same message.

    about_number: Telegram's number of the message that it answers or changes, where that is known in this chat.
    """

    id: int
    chat_id: int
    text: str
    method: str
    payload: dict[str, Any]
    reply_to_id: int | None
    attempts: int
    about_number: int | None = None


@dataclass(frozen=True)
class Sent:
    """It was delivered. note: what had to be left out of it. is_anew: an edit that became a message of its own."""

    telegram_message_id: int | None
    note: str | None = None
    is_anew: bool = False


def seconds_until_due(engine: Engine, at_most: float) -> float:
    """How long until the next chat is due; zero or less when one is."""
    with sql.only_reading(), engine.connect() as connection:
        first = connection.scalar(_FIRST_DUE)
    return at_most if first is None else min(at_most, (first - utc_now()).total_seconds())


def look_again(engine: Engine) -> None:
    """Makes chats due in which something waits although nobody has said so."""
    forgotten = Chat.next_send_at.is_(None), sa.exists().where(Message.chat_id == Chat.chat_id, WAITING)
    with sql.only_reading(), engine.connect() as connection:
        found = connection.scalars(sa.select(Chat.chat_id).where(*forgotten)).all()
    if found:
        with engine.begin() as connection:
            mine = sa.update(Chat).where(Chat.chat_id.in_(found), Chat.next_send_at.is_(None))
            connection.execute(mine.values(next_send_at=utc_now()))


def make_due(connection: Connection, chat_id: int) -> int:
    """Something waits for this chat, which may be new. Holds the chat's row until the end of the transaction.

    Returns the chat's id, or that of the supergroup which it has become: that one is due then.
    """
    now = utc_now()
    values = {"kind": "private" if chat_id > 0 else "group", "now": now}
    row = connection.execute(_MAKE_DUE, values | {"chat_id": chat_id}).one()
    if row.migrated_to is not None:
        chat_id = row.migrated_to
        row = connection.execute(_MAKE_DUE, values | {"chat_id": chat_id}).one()
    if row.next_send_at <= now:
        connection.info[_DUE_NOW] = True
    return chat_id


def take_due(connection: Connection) -> bool:
    """Whether something that was queued on this connection, since this was asked last, can be sent once that is
    committed. A chat that has to wait for its next message is watched already."""
    return bool(connection.info.pop(_DUE_NOW, False))


def keep(engine: Engine, claim: Claim) -> bool:
    """Makes the lease of a message in hand begin anew; False when somebody else has it in hand."""
    until = utc_now() + LEASE_OF_FILES
    mine = Message.id == claim.id, Message.status == "sending", Message.attempts == claim.attempts
    with engine.begin() as connection:
        connection.execute(_LOCK_CHAT, {"chat": claim.chat_id})
        if not connection.execute(sa.update(Message).where(*mine).values(next_attempt_at=until)).rowcount:
            return False
        connection.execute(sa.update(Chat).where(Chat.chat_id == claim.chat_id).values(next_send_at=until))
    return True


def move(connection: Connection, old_id: int, new_id: int) -> None:
    """What waits to be sent to one chat goes to the other. What is being sent just now follows by itself."""
    waiting = Message.chat_id == old_id, WAITING, Message.status == "queued"
    if connection.execute(sa.update(Message).where(*waiting).values(chat_id=new_id)).rowcount:
        make_due(connection, new_id)


# --- taking a message in hand


def claim(engine: Engine) -> Claim | None:
    """Takes a message in hand, for as long as its lease; None when none is due."""
    with engine.begin() as connection:
        return _claim_within(connection)


def _claim_within(connection: Connection) -> Claim | None:
    """The first message of the chat that has been due for longest; nobody else gets that chat meanwhile."""
    now = utc_now()
    while (chat := connection.execute(_DUE_CHAT, {"now": now}).first()) is not None:
        chat_id, paced_until = chat
        message = connection.execute(_FIRST_MESSAGE, {"chat": chat_id}).first()
        if message is None:
            _set_chat(connection, chat_id, None, paced_until)
            continue
        allowed = _allowed(paced_until, now)
        if allowed > now:
            _set_chat(connection, chat_id, allowed, paced_until)
            continue
        until = now + (LEASE_OF_FILES if message.method in FILE_PARAMETER else LEASE)
        values = message._asdict() | {"attempts": message.attempts + 1}
        connection.execute(_TAKE, {"message": message.id, "number": values["attempts"], "until": until})
        _set_chat(connection, chat_id, until, paced_until)
        return Claim(**values)
    return None


def _allowed(paced_until: datetime | None, now: datetime) -> datetime:
    """When the chat may have its next message."""
    # One that is too far off was written before a clock was set back.
    if paced_until is None or paced_until > now + BURST * PACE:
        return now
    return max(now, paced_until - (BURST - 1) * PACE)


def _set_chat(
    connection: Connection, chat_id: int, next_send_at: datetime | None, paced_until: datetime | None
) -> None:
    connection.execute(_SET_CHAT, {"chat": chat_id, "next": next_send_at, "paced": paced_until})


def rehearse(connection: Connection) -> None:
    """Takes a message in hand and notes that it was sent, in a transaction that the caller takes back."""
    if (claim := _claim_within(connection)) is not None:
        _note_within(connection, claim, Sent(None))


# --- what came of it


def note(engine: Engine, claim: Claim, outcome: Sent | BotApiError, go_on: bool) -> Claim | None:
    """Stores what became of a message; in the same transaction, the next claim.

    What has been sent and cannot be noted would be sent again: a database that is away is waited for, and looked for
    more often than anybody else could take the message for one that a dead process has left.
    """
    until = time.monotonic() + (_PATIENCE if isinstance(outcome, Sent) else _PATIENCE_WITHOUT_SUCCESS)
    taken: int | None = None
    while True:
        try:
            with engine.begin() as connection:
                if taken is not None:
                    _free_number(connection, claim.chat_id, taken)
                _note_within(connection, claim, outcome)
                return _claim_within(connection) if go_on else None
        except sa.exc.IntegrityError:
            if not isinstance(outcome, Sent) or outcome.telegram_message_id is None:
                raise
            # Another message of this chat has that number: the chat is another bot's now, which counts anew.
            if taken is None:
                taken = outcome.telegram_message_id
            else:
                outcome = replace(outcome, telegram_message_id=None)
        except sa.exc.SQLAlchemyError as error:
            if not sql.is_away(error) or time.monotonic() > until:
                raise
            time.sleep(0.25)


def _free_number(connection: Connection, chat_id: int, number: int) -> None:
    """The message of ours that had this number of Telegram's cannot be reached by it any more."""
    had = Message.chat_id == chat_id, Message.telegram_message_id == number, Message.direction == "out"
    connection.execute(sa.update(Message).where(*had).values(telegram_message_id=None))


def _note_within(connection: Connection, claim: Claim, outcome: Sent | BotApiError) -> None:
    now = utc_now()
    if isinstance(outcome, Migrated) and outcome.to_chat_id == claim.chat_id:
        outcome = Temporary(str(outcome))  # a group that has become itself
    if isinstance(outcome, Migrated):
        from daybook import chats

        chats.migrate(connection, claim.chat_id, outcome.to_chat_id)
        move(connection, claim.chat_id, outcome.to_chat_id)
        make_due(connection, outcome.to_chat_id)
    paced_until = connection.scalar(_LOCK_CHAT, {"chat": claim.chat_id})
    change, values, again_at = _what_became(claim, outcome, now)
    if not connection.execute(change, values | {"message": claim.id, "number": claim.attempts}).rowcount:
        log.warning("message %s took too long, and somebody else has sent it as well", claim.id)
        return
    if isinstance(outcome, Sent):
        paced_until = min(max(paced_until or now, now), now + (BURST - 1) * PACE) + PACE
        if outcome.is_anew:
            connection.execute(sa.update(Message).where(Message.id == claim.id).values(method="sendMessage"))
        elif claim.method == "editMessageText" and claim.reply_to_id is not None:
            edited = sa.update(Message).where(Message.id == claim.reply_to_id)
            connection.execute(edited.values(text=claim.text, edited_at=now))
    if again_at is None:
        waiting = connection.scalar(_ANY_MESSAGE, {"chat": claim.chat_id}) is not None
        again_at = _allowed(paced_until, now) if waiting else None
    _set_chat(connection, claim.chat_id, again_at, paced_until)


def _what_became(
    claim: Claim, outcome: Sent | BotApiError, now: datetime
) -> tuple[sa.Update, dict[str, Any], datetime | None]:
    """The change of the message, its values, and when the chat is to be tried again if that is because of it."""
    if isinstance(outcome, Sent):
        return _SENT, {"now": now, "note": outcome.note, "telegram_number": outcome.telegram_message_id}, None
    values, again_at = _what_failed(claim, outcome, now)
    return _MINE.values(values), {}, again_at


def _what_failed(claim: Claim, outcome: BotApiError, now: datetime) -> tuple[dict[str, Any], datetime | None]:
    """The message's new columns, and when the chat is to be tried again."""
    log.info("message %s to chat %s, attempt %s: %s", claim.id, claim.chat_id, claim.attempts, outcome)
    error = str(outcome)[:500]
    if isinstance(outcome, Migrated) and claim.attempts < MOST_ATTEMPTS:
        return {"status": "queued", "chat_id": outcome.to_chat_id, "next_attempt_at": None, "error": error}, None
    if isinstance(outcome, Temporary) and claim.attempts < MOST_ATTEMPTS:
        at = now + timedelta(seconds=wait_after(claim.attempts, outcome))
        # Being told to wait is no failure: it brings the message no nearer to being given up.
        attempts = claim.attempts - isinstance(outcome, RetryAfter)
        return {"status": "queued", "attempts": attempts, "next_attempt_at": at, "error": error}, at
    gone = isinstance(outcome, Permanent) and outcome.gone
    log.warning("message %s to chat %s is given up: %s", claim.id, claim.chat_id, outcome)
    return {"status": "gone" if gone else "failed", "next_attempt_at": None, "error": error}, None


def wait_after(attempts: int, outcome: Temporary) -> float:
    """Seconds until the next attempt: what the server says, else 1, 2, 4 … an hour, a little more or less."""
    if isinstance(outcome, RetryAfter):
        return outcome.seconds
    return min(LONGEST_WAIT, 2.0 ** min(attempts - 1, 12)) * random.uniform(0.8, 1.2)  # noqa: S311 - spreads the load
