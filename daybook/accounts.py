"""Accounts, passwords, the first admin and API tokens. What changes something here has committed when it returns.

A username is trimmed and kept in lower case: "Ada " and "ada" are one person, and the UNIQUE constraint can say so.
"""

import difflib
import hashlib
import secrets
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy.orm import joinedload

from daybook import sql
from daybook.extensions import db
from daybook.models import ROLES, Account, ApiToken, utc_now

USERNAME_LENGTH = 64
PASSWORD_LENGTH = (8, 128)
TOKEN_PREFIX = "dbk_"  # noqa: S105 - no secret; so that a leaked token is recognised for what it is
TOKEN_NAME_LENGTH = 64
SETUP_LINK_LASTS = timedelta(hours=24)
LAST_USED_EVERY = timedelta(minutes=1)

# 19 MiB, two passes: OWASP's choice where several people may log in at once on a small machine.
hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


class AccountError(ValueError):
    """What was asked cannot be done; `complaints` holds, per field, whole sentences for the person who asked."""

    def __init__(self, **complaints: list[str]) -> None:
        self.complaints = complaints
        super().__init__(" ".join(sentence for sentences in complaints.values() for sentence in sentences))


class AlreadySetUp(AccountError):
    """There is an account, so nobody can make the first one any more."""

    def __init__(self) -> None:
        super().__init__(username=["Daybook is set up already. Log in, or ask an admin for an account."])


# --- names and passwords -----------------------------------------------------------------------------------------


def clean_username(text: str) -> str:
    """The name as it is stored: composed characters, no space around it, lower case."""
    return unicodedata.normalize("NFKC", text).strip().lower()


def username_complaints(username: str) -> list[str]:
    """Everything that speaks against this (cleaned) name, as sentences."""
    if not username:
        return ["Give a name."]
    complaints = []
    if len(username) > USERNAME_LENGTH:
        complaints.append(f"The name has {len(username)} characters; {USERNAME_LENGTH} are the most.")
    if not username.isprintable():
        complaints.append("The name holds characters that cannot be seen; type it again by hand.")
    return complaints


def password_complaints(password: str, username: str = "") -> list[str]:
    """Everything that speaks against this password, as sentences; empty when it is good."""
    shortest, longest = PASSWORD_LENGTH
    if not password:
        return [f"Give a password of at least {shortest} characters."]
    complaints = []
    if len(password) < shortest:
        complaints.append(f"The password has {_characters(len(password))}; use at least {shortest}.")
    if len(password) > longest:
        complaints.append(f"The password has {_characters(len(password))}; use at most {longest}.")
    if password.isdecimal():
        complaints.append("The password is only digits; put some letters or words in.")
    if password.lower() in _common_passwords():
        complaints.append("The password is one of the most common ones; several words in a row are hard to guess.")
    if username and len(password) <= longest and _alike(password.lower(), clean_username(username)):
        complaints.append("The password is too much like the name; choose one that does not come from it.")
    return complaints


def _characters(count: int) -> str:
    return "1 character" if count == 1 else f"{count} characters"


def _alike(password: str, username: str) -> bool:
    return difflib.SequenceMatcher(None, password, username).ratio() >= 0.7


@cache
def _common_passwords() -> frozenset[str]:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"])


def _password_bytes(password: str) -> bytes:
    # One keyboard sends "é" as one character, another as two; both must open the same account.
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _hash(password: str) -> str:
    return hasher.hash(_password_bytes(password))


def _matches(password_hash: str, password: str) -> bool:
    try:
        return hasher.verify(password_hash, _password_bytes(password))
    except (VerifyMismatchError, InvalidHashError):
        return False


@cache
def _nobodys_hash() -> str:
    return _hash(secrets.token_urlsafe())


# --- accounts ----------------------------------------------------------------------------------------------------


def create_account(username: str, password: str, role: str = "viewer") -> Account:
    """Makes an account; raises AccountError with all complaints at once."""
    username = clean_username(username)
    _check_account(username, password, role)
    account = Account(username=username, password_hash=_hash(password), role=role, is_active=True)
    db.session.add(account)
    try:
        db.session.commit()
    except sa.exc.IntegrityError:
        db.session.rollback()
        raise AccountError(username=[f'There is an account "{username}" already; choose another name.']) from None
    return account


def _check_account(username: str, password: str, role: str) -> None:
    complaints = {
        "username": username_complaints(username),
        "password": password_complaints(password, username),
        "role": [] if role in ROLES else [f'There is no role "{role}"; choose one of {", ".join(ROLES)}.'],
    }
    found = {field: sentences for field, sentences in complaints.items() if sentences}
    if found:
        raise AccountError(**found)


def find_account(username: str) -> Account | None:
    """The account of that name, however it is written."""
    username = clean_username(username)
    if username_complaints(username):
        return None  # PostgreSQL would refuse a NUL byte, and nobody has such a name
    return db.session.scalar(sa.select(Account).filter_by(username=username))


def find_active_account(account_id: int) -> Account | None:
    """The account as it is now, unless it is disabled. It is a snapshot: changes to it are not stored.

    Who asks is looked up at the start of every request, and no transaction may stay open for that: an upload that
    streams for an hour would hold SQLite's write lock, or keep PostgreSQL from cleaning up.
    """
    with _snapshot():
        account = db.session.get(Account, account_id)
    return account if account is not None and account.is_active else None


@contextmanager
def _snapshot() -> Iterator[None]:
    with sql.only_reading():
        yield
        db.session.expunge_all()
        db.session.rollback()


def verify(username: str, password: str) -> Account | None:
    """The active account with this name and password, its login noted; None for every other case.

    An unknown name takes as long as a wrong password, so that the time tells nobody which names exist.
    """
    # Hashing takes its time on purpose; no transaction is open meanwhile, or nobody else could write to SQLite.
    with _snapshot():
        known = find_account(username)
        stored_hash = known.password_hash if known else _nobodys_hash()
    if not _matches(stored_hash, password):
        return None
    account = find_account(username)
    if account is None or not account.is_active or account.password_hash != stored_hash:
        db.session.rollback()
        return None
    if hasher.check_needs_rehash(account.password_hash):
        account.password_hash = _hash(password)
    account.last_login_at = utc_now()
    db.session.commit()
    return account


def change_password(account: Account, old: str, new: str, repeated: str | None = None) -> None:
    """Replaces the password if the old one is right; raises AccountError with all complaints at once.

    `repeated` is the new one typed again, where somebody had to.
    """
    complaints = {}
    stored_hash, username = account.password_hash, account.username
    db.session.rollback()  # no transaction is open while passwords are hashed, which takes its time on purpose
    if not _matches(stored_hash, old):
        complaints["old_password"] = ["This is not your current password."]
    if sentences := password_complaints(new, username):
        complaints["new_password"] = sentences
    if repeated is not None and repeated != new:
        complaints["repeated"] = ["The two passwords are not the same; type them again."]
    if complaints:
        raise AccountError(**complaints)
    new_hash = _hash(new)
    if account.password_hash != stored_hash:
        db.session.rollback()
        raise AccountError(old_password=["Your password was changed elsewhere just now."])
    account.password_hash = new_hash
    db.session.commit()


def password_mark(account: Account) -> str:
    """A short mark that changes with the password and tells nothing about it."""
    return hashlib.sha256(account.password_hash.encode()).hexdigest()[:16]


# --- the first admin ---------------------------------------------------------------------------------------------


def no_account_yet() -> bool:
    """Whether this Daybook still waits for its first admin."""
    return not db.session.scalar(sa.select(sa.exists().select_from(Account)))


def setup_token(secret_key: str) -> str:
    """What a /setup link carries. It is good for 24 hours, and only while there is no account."""
    return _setup_serializer(secret_key).dumps("first admin")


def setup_token_is_good(secret_key: str, token: str) -> bool:
    """Whether the token was made with this key within the last 24 hours."""
    try:
        _setup_serializer(secret_key).loads(token, max_age=int(SETUP_LINK_LASTS.total_seconds()))
    except BadSignature:
        return False
    return True


def _setup_serializer(secret_key: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secret_key, salt="daybook setup link")


def create_first_admin(username: str, password: str) -> Account:
    """Makes the first account, an admin. Of two that try at once, one wins; the other gets AlreadySetUp."""
    _check_account(clean_username(username), password, "admin")
    with sql.Locks(db.engine) as locks:
        # Nobody waits here: whoever holds the lock was checked too, and is about to make the account.
        if not locks.try_lock("setup", 0) or not no_account_yet():
            db.session.rollback()
            raise AlreadySetUp
        db.session.rollback()  # no transaction is open while the password is hashed
        return create_account(username, password, "admin")


# --- API tokens --------------------------------------------------------------------------------------------------


def create_token(account: Account, name: str, expires_at: datetime | None = None) -> str:
    """Makes an API token and returns its plain text, which nobody can ever read again; raises AccountError."""
    name = unicodedata.normalize("NFKC", name).strip()
    if not name:
        raise AccountError(name=['Give the token a name that says what uses it, such as "mast 3 logger".'])
    if len(name) > TOKEN_NAME_LENGTH or not name.isprintable():
        raise AccountError(name=[f"Use at most {TOKEN_NAME_LENGTH} characters that can be seen, on one line."])
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    db.session.add(ApiToken(account_id=account.id, name=name, token_hash=_token_hash(token), expires_at=expires_at))
    db.session.commit()
    return token


def tokens_of(account_id: int) -> list[ApiToken]:
    """The account's tokens, newest first."""
    newest_first = sa.select(ApiToken).filter_by(account_id=account_id).order_by(ApiToken.id.desc())
    return list(db.session.scalars(newest_first))


def find_token(token: str) -> ApiToken | None:
    """The token with its account, if it may be used now; None if it is unknown or expired or its account disabled.

    Both are snapshots, as from find_active_account. Notes when the token was used, to the minute: a program that asks
    a hundred times a second shall not write a hundred times.
    """
    wanted = sa.select(ApiToken).options(joinedload(ApiToken.account)).filter_by(token_hash=_token_hash(token))
    with _snapshot():
        found: ApiToken | None = db.session.scalar(wanted)
    now = utc_now()
    if found is None or not found.account.is_active or (found.expires_at and found.expires_at <= now):
        return None
    if found.last_used_at is None or found.last_used_at < now - LAST_USED_EVERY:
        _note_use(found.id, now)
    return found


def _note_use(token_id: int, now: datetime) -> None:
    # A transaction of its own, so that a request which only reads stays one that only reads.
    before = sql.writes_expected.set(True)
    try:
        with db.engine.begin() as connection:
            connection.execute(sa.update(ApiToken).where(ApiToken.id == token_id).values(last_used_at=now))
    finally:
        sql.writes_expected.reset(before)


def revoke_token(account_id: int, token_id: int) -> bool:
    """Ends one of the account's tokens at once; False if it has no such token."""
    ended = sa.delete(ApiToken).filter_by(id=token_id, account_id=account_id).returning(ApiToken.id)
    found = db.session.scalar(ended) is not None
    db.session.commit()
    return found


def _token_hash(token: str) -> str:
    # 256 random bits need no slow hash: there is nothing to guess.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
