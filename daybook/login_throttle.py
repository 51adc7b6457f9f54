"""Guessing passwords made slow: per name and per address, growing waits, kept in the database for all processes.

Each attempt is counted as a failure before the password is looked at, and uncounted if it was right. So attempts side
by side cannot pass the limit, and one that is cut off has counted. While a name or an address has to wait, no password
is looked at, not even the right one. What is refused for that reason does not make the wait longer. A browser in which
the owner of the name has logged in before is counted by itself (daybook/known_browsers.py): who guesses at somebody's
name keeps them out of new browsers at most. Sessions that have begun are not touched.
"""

import ipaddress
import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NoReturn

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from daybook import sql
from daybook.models import LoginThrottle, utc_now
from daybook.sql import UtcDateTime

# Failures before the first wait: of a name, of an address, of somebody logged in who has to give the password again.
FREE = {"address": 20, "account": 5, "device": 5, "change": 5}
FIRST_WAIT = timedelta(seconds=2)  # doubled with each further one
LONGEST_WAIT = timedelta(minutes=15)
FORGOTTEN_AFTER = timedelta(hours=24)
SUBJECT_LENGTH = 64

# Rows are locked in this order, whoever comes; so nobody waits for somebody who waits for them.
KINDS = ("address", "account", "device", "change")
WORDS = {"address": " from this address", "account": " for this name", "device": " in this browser", "change": ""}


class TooManyAttempts(Exception):
    """It has to wait; `seconds` is for how long, at least 1. The text says so to a person."""

    def __init__(self, kind: str, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(f"Too many wrong passwords{WORDS[kind]}. Try again in {_wait_words(seconds)}.")


class _HasToWait(Exception):
    """Rolls back what was counted beside it."""


@dataclass(frozen=True)
class Attempt:
    """An attempt that was let through and counted: subject and the wait that it began, by kind."""

    subjects: dict[str, str]
    waits: dict[str, datetime | None]


def begin_login(engine: Engine, username: str, address: str, device: str = "") -> Attempt:
    """Counts a login with this (cleaned) name from this address; raises TooManyAttempts, and then counts nothing.

    device: of a browser that is known for the name; it is counted in the name's place. A name that does not exist is
    treated as one that does. An address that is not known is not counted.
    """
    subjects = {"address": address_subject(address)} if address else {}
    return _begin(engine, subjects | ({"device": device} if device else {"account": name_subject(username)}))


def begin_change(engine: Engine, account_id: int) -> Attempt:
    """The same for somebody who is logged in and gives the password once more.

    Counted apart, so that a stranger who guesses at the name on the login page keeps nobody from a new password.
    """
    return _begin(engine, {"change": str(account_id)})


def _begin(engine: Engine, subjects: dict[str, str]) -> Attempt:
    now = utc_now()
    try:
        with sql.writing(engine) as connection:
            counted = {kind: _count(connection, kind, subjects[kind], now) for kind in KINDS if kind in subjects}
    except _HasToWait:
        _refuse(engine, subjects, now)
    if any(row.failures == 1 for row in counted.values()):
        clear_forgotten(engine, now)
    return Attempt(subjects, {kind: row.wait_until for kind, row in counted.items()})


def succeeded(connection: Connection, attempt: Attempt) -> None:
    """The password was right: the failures with it are forgotten, and of the address this attempt is taken back.

    Not all of the address: who has an account could else try those of others for ever, with the own one in between.
    """
    for kind in KINDS:
        if kind not in attempt.subjects:
            continue
        mine = sa.and_(LoginThrottle.kind == kind, LoginThrottle.subject == attempt.subjects[kind])
        if kind != "address":
            connection.execute(sa.delete(LoginThrottle).where(mine))
            continue
        before = sa.case((LoginThrottle.wait_until == attempt.waits[kind], sa.null()), else_=LoginThrottle.wait_until)
        less = {"failures": LoginThrottle.failures - 1, "wait_until": before}
        connection.execute(sa.update(LoginThrottle).where(mine, LoginThrottle.failures > 0).values(less))


def clear_forgotten(engine: Engine, now: datetime) -> None:
    """Deletes the rows that count no more; those that somebody has in hand are left for the next time."""
    old = sa.select(LoginThrottle.kind, LoginThrottle.subject).where(
        LoginThrottle.last_failure_at <= now - FORGOTTEN_AFTER
    )
    key = sa.tuple_(LoginThrottle.kind, LoginThrottle.subject)
    with sql.writing(engine) as connection:
        connection.execute(sa.delete(LoginThrottle).where(key.in_(old.with_for_update(skip_locked=True))))


def name_subject(username: str) -> str:
    """The name as it is kept here; one that no account can have is cut and cleaned so that the database takes it."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in username)[:SUBJECT_LENGTH]


def address_subject(address: str) -> str:
    """The address without its port; of IPv6 the network (/64), because a single machine has all of its addresses."""
    match = re.fullmatch(r"(\d+\.\d+\.\d+\.\d+):\d+|\[([^]]+)\](?::\d+)?", address)
    text = (match[1] or match[2]) if match else address
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return name_subject(address)
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def _count(connection: Connection, kind: str, subject: str, now: datetime) -> sa.Row[Any]:
    """One failure more, in one statement; raises _HasToWait where there is a wait."""
    failures = sa.case((LoginThrottle.last_failure_at <= now - FORGOTTEN_AFTER, 1), else_=LoginThrottle.failures + 1)
    free = FREE[kind]
    waits: list[tuple[Any, Any]] = [(failures < free, sa.null())]
    wait = FIRST_WAIT
    while wait < LONGEST_WAIT:
        waits.append((failures == free + len(waits) - 1, sa.literal(now + wait, UtcDateTime())))
        wait *= 2
    when = sa.case(*waits, else_=sa.literal(now + LONGEST_WAIT, UtcDateTime()))
    insert = sql.insert_or(connection, LoginThrottle).values(
        kind=kind, subject=subject, failures=1, last_failure_at=now, wait_until=None
    )
    statement = insert.on_conflict_do_update(
        index_elements=[LoginThrottle.kind, LoginThrottle.subject],
        set_={"failures": failures, "last_failure_at": now, "wait_until": when},
        where=sa.or_(LoginThrottle.wait_until.is_(None), LoginThrottle.wait_until <= now),
    ).returning(LoginThrottle.failures, LoginThrottle.wait_until)
    row: sa.Row[Any] | None = connection.execute(statement).one_or_none()
    if row is None:
        raise _HasToWait
    return row


def _refuse(engine: Engine, subjects: dict[str, str], now: datetime) -> NoReturn:
    """Names the longer one of the waits, so that nobody is sent away twice for one wait."""
    key = sa.tuple_(LoginThrottle.kind, LoginThrottle.subject)
    query = (
        sa.select(LoginThrottle.kind, LoginThrottle.wait_until)
        .where(key.in_(list(subjects.items())), LoginThrottle.wait_until > now)
        .order_by(LoginThrottle.wait_until.desc())
    )
    with sql.only_reading(), engine.connect() as connection:
        longest = connection.execute(query).first()
    if longest is None:  # a right password ended it a moment ago
        raise TooManyAttempts(next(reversed(subjects)), 1)
    raise TooManyAttempts(longest.kind, max(1, math.ceil((longest.wait_until - now).total_seconds())))


def _wait_words(seconds: int) -> str:
    if seconds <= 120:
        return f"{seconds} second{'' if seconds == 1 else 's'}"
    return f"{math.ceil(seconds / 60)} minutes"
