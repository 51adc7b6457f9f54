"""The browsers in which accounts are logged in: begun, found at each request, ended.

The browser keeps a random key in its signed cookie; the table keeps only that key's SHA-256. Without its row a cookie
is worth nothing, so ending a session is deleting a row.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from daybook import sql
from daybook.extensions import db
from daybook.models import Account, LoginSession, utc_now

LASTS_UNUSED = timedelta(days=30)
SEEN_EVERY = timedelta(minutes=1)
PER_ACCOUNT = 50
BROWSER_LENGTH = 200
ADDRESS_LENGTH = 64


@dataclass(frozen=True)
class Found:
    """Who asks, and in which session. The account is a snapshot: changes to it are not stored."""

    account: Account
    session_id: int


def begin(connection: Connection, account_id: int, address: str = "", browser: str = "") -> str:
    """Logs the account in and returns the key for the cookie. `browser` is what it says of itself in User-Agent.

    Clears what is over, of everybody; of an account with fifty sessions, the one unused for longest ends.
    """
    key = secrets.token_urlsafe(32)
    values = {
        "account_id": account_id,
        "key_hash": _key_hash(key),
        "address": _visible(address)[:ADDRESS_LENGTH],
        "browser": _visible(browser)[:BROWSER_LENGTH],
    }
    connection.execute(sa.insert(LoginSession).values(**values))
    connection.execute(sa.update(Account).where(Account.id == account_id).values(last_login_at=utc_now()))
    newest_first = (LoginSession.last_seen_at.desc(), LoginSession.id.desc())
    too_many = sa.select(LoginSession.id).filter_by(account_id=account_id).order_by(*newest_first).offset(PER_ACCOUNT)
    _end(connection, LoginSession.id.in_(too_many))
    _end(connection, LoginSession.last_seen_at <= utc_now() - LASTS_UNUSED)
    return key


def find(key: str) -> Found | None:
    """Who is logged in with this key: one query. None if the session has ended or the account is disabled.

    Notes that the session was seen, to the minute, unless SQLite is busy with something more important.
    """
    now = utc_now()
    query = (
        sa.select(Account, LoginSession.id, LoginSession.last_seen_at)
        .join(LoginSession, LoginSession.account_id == Account.id)
        .where(
            LoginSession.key_hash == _key_hash(key), LoginSession.last_seen_at > now - LASTS_UNUSED, Account.is_active
        )
    )
    with sql.only_reading():
        row = db.session.execute(query).one_or_none()
        db.session.expunge_all()
        db.session.rollback()  # no transaction stays open: a request may stream for an hour
    if row is None:
        return None
    account, session_id, last_seen_at = row
    if last_seen_at <= now - SEEN_EVERY:
        seen = sa.update(LoginSession).values(last_seen_at=now)
        sql.note_if_free(
            db.engine, seen.where(LoginSession.id == session_id, LoginSession.last_seen_at == last_seen_at)
        )
    return Found(account, session_id)


def sessions_of(account_id: int) -> list[LoginSession]:
    """The account's sessions that have not ended, the one seen last first."""
    query = (
        sa.select(LoginSession)
        .where(LoginSession.account_id == account_id, LoginSession.last_seen_at > utc_now() - LASTS_UNUSED)
        .order_by(LoginSession.last_seen_at.desc(), LoginSession.id.desc())
    )
    return list(db.session.scalars(query))


def end(connection: Connection, account_id: int, session_id: int) -> bool:
    """Ends one session of the account at once; False if it has no such session."""
    mine = sa.and_(LoginSession.id == session_id, LoginSession.account_id == account_id)
    return _end(connection, mine) > 0


def end_key(connection: Connection, key: str) -> None:
    """Ends the session with this key, for the browser that has it."""
    _end(connection, LoginSession.key_hash == _key_hash(key))


def end_all(connection: Connection, account_id: int, but: int | None = None) -> int:
    """Ends all sessions of the account at once, except the one with the id `but`; says how many."""
    theirs = LoginSession.account_id == account_id
    return _end(connection, theirs if but is None else sa.and_(theirs, LoginSession.id != but))


def _end(connection: Connection, which: sa.ColumnElement[bool]) -> int:
    # Locked in one order, so that two who end the same ones wait for each other instead of forever.
    chosen = sa.select(LoginSession.id).where(which).order_by(LoginSession.id).with_for_update()
    ids = connection.scalars(chosen).all()
    if ids:
        connection.execute(sa.delete(LoginSession).where(LoginSession.id.in_(ids)))
    return len(ids)


def _visible(text: str) -> str:
    return "".join(character for character in text if character.isprintable())


def _key_hash(key: str) -> str:
    # 256 random bits need no slow hash: there is nothing to guess.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
