"""Accounts: found, made, changed, deleted.

A username is trimmed and kept in lower case: "Ada " and "ada" are one person, and the UNIQUE constraint can say so.

What takes a connection (`add`, `change`, `set_password`, `delete`) writes the change and its audit entry into that
transaction and leaves the commit to whoever began it. A new password comes as a hash that was made before, outside the
transaction: `check_new` or `check_password`, then `passwords.hashed`, then `with sql.writing(db.engine) as connection`.
"""

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from daybook import audit, login_sessions, login_throttle, passwords, sql
from daybook.chat import zones
from daybook.extensions import db
from daybook.models import ROLES, Account, utc_now
from daybook.passwords import PasswordHash, password_complaints

USERNAME_LENGTH = 64
LAST_ADMIN = "This is the last active admin; make somebody else an admin first."


class AccountError(ValueError):
    """What was asked cannot be done; `complaints` holds, per field, whole sentences for the person who asked."""

    def __init__(self, **complaints: list[str]) -> None:
        self.complaints = complaints
        super().__init__(" ".join(sentence for sentences in complaints.values() for sentence in sentences))


# --- what is given, checked --------------------------------------------------------------------------------------


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


def role_complaints(role: str) -> list[str]:
    """What speaks against this role."""
    return [] if role in ROLES else [f'There is no role "{role}"; choose one of {", ".join(ROLES)}.']


def chosen_timezone(text: str) -> str:
    """The IANA name of the zone that somebody typed, such as "dublin"; raises AccountError(timezone=…)."""
    found = [name for name in zones.found(text) if name not in ("localtime", "Factory")]
    if len(found) == 1:
        return found[0]
    if found:
        raise AccountError(timezone=[f'"{text}" could be {" or ".join(found)}; write one of them in full.'])
    shown = text if len(text) <= 64 else text[:63] + "…"
    raise AccountError(timezone=[f'"{shown}" is not a time zone; write one such as Europe/Dublin, or UTC.'])


def check_new(username: str, password: str, role: str, timezone: str = "UTC") -> None:
    """Raises AccountError with everything that speaks against such an account, but not that the name is taken."""
    complaints = {
        "username": username_complaints(clean_username(username)),
        "password": password_complaints(password, username),
        "role": role_complaints(role),
    }
    try:
        chosen_timezone(timezone)
    except AccountError as error:
        complaints |= error.complaints
    _raise_any(complaints)


def check_password(password: str, username: str) -> None:
    """Raises AccountError(password=…) unless this is a good password for that account."""
    _raise_any({"password": password_complaints(password, username)})


def _raise_any(complaints: dict[str, list[str]]) -> None:
    found = {field: sentences for field, sentences in complaints.items() if sentences}
    if found:
        raise AccountError(**found)


# --- found -------------------------------------------------------------------------------------------------------


def find_account(username: str) -> Account | None:
    """The account of that name, however it is written."""
    username = clean_username(username)
    if username_complaints(username):
        return None  # PostgreSQL would refuse a NUL byte, and nobody has such a name
    return db.session.scalar(sa.select(Account).filter_by(username=username))


@contextmanager
def snapshot() -> Iterator[None]:
    """What is loaded inside stays as it was read, and no transaction is left open for it.

    An upload that streams for an hour would hold SQLite's write lock, or keep PostgreSQL from cleaning up.
    """
    with sql.only_reading():
        yield
        db.session.expunge_all()
        db.session.rollback()


# --- made, changed, deleted --------------------------------------------------------------------------------------


def create_account(username: str, password: str, role: str = "viewer") -> Account:
    """Makes an account and commits; raises AccountError with all complaints at once."""
    check_new(username, password, role)
    db.session.rollback()  # no transaction is open while the password is hashed
    password_hash = passwords.hashed(password)
    try:
        account_id = add(db.session.connection(), username, password_hash, role)
    except AccountError:
        db.session.rollback()
        raise
    db.session.commit()
    return db.session.get_one(Account, account_id)


def add(connection: Connection, username: str, password_hash: PasswordHash, role: str, timezone: str = "UTC") -> int:
    """Makes an active account and returns its id; raises AccountError, also when the name is taken."""
    username, timezone = clean_username(username), chosen_timezone(timezone)
    _raise_any({"username": username_complaints(username), "role": role_complaints(role)})
    values = {"username": username, "role": role, "is_active": True, "timezone": timezone}
    statement = sql.insert_new(connection, Account)
    kept = values | {"password_hash": _no_plain_text(password_hash), "created_at": utc_now()}
    account_id: int | None = connection.execute(statement, kept).scalar()
    if account_id is None:
        raise AccountError(username=[_taken(username)])
    audit.note(connection, "create", "account", account_id, username, audit.differences({}, values))
    return account_id


def change(
    connection: Connection,
    account_id: int,
    *,
    role: str | None = None,
    is_active: bool | None = None,
    username: str | None = None,
    timezone: str | None = None,
) -> None:
    """Changes what is given; raises AccountError and changes nothing. Who is disabled is logged out at once.

    Somebody active with the role admin is left, also when two admins demote each other at the same moment.
    """
    given: dict[str, Any] = {"role": role, "is_active": is_active, "username": username, "timezone": timezone}
    new = {field: value for field, value in given.items() if value is not None}
    complaints: dict[str, list[str]] = {}
    if role is not None:
        complaints["role"] = role_complaints(role)
    if username is not None:
        new["username"] = clean_username(username)
        complaints["username"] = username_complaints(new["username"])
    if timezone is not None:
        new["timezone"] = chosen_timezone(timezone)
    _raise_any(complaints)
    loses_admin = is_active is False or role not in (None, "admin")
    account, is_last_admin = _locked(connection, account_id, with_admins=loses_admin)
    changes = audit.differences({field: getattr(account, field) for field in new}, new)
    if is_last_admin:
        _raise_any({field: [LAST_ADMIN] for field in ("role", "is_active") if field in changes})
    if not changes:
        return
    try:
        with connection.begin_nested():
            connection.execute(sa.update(Account).where(Account.id == account_id).values(**new))
    except sa.exc.IntegrityError:
        raise AccountError(username=[_taken(new["username"])]) from None
    if is_active is False:
        login_sessions.end_all(connection, account_id)
    audit.note(connection, "change", "account", account_id, new.get("username", account.username), changes)


def set_password(connection: Connection, account_id: int, password_hash: PasswordHash) -> None:
    """Gives the account another password, without asking for the old one; all its sessions end."""
    account, _ = _locked(connection, account_id)
    _store_password(connection, account, password_hash)


def delete(connection: Connection, account_id: int) -> None:
    """Deletes the account, its sessions and its tokens. What it uploaded and changed stays, its name in the audit."""
    account, is_last_admin = _locked(connection, account_id, with_admins=True)
    if is_last_admin:
        raise AccountError(account=[LAST_ADMIN])
    before = {field: getattr(account, field) for field in ("username", "role", "is_active", "timezone")}
    # First the entry, then the row: who deletes the own account is still there when the entry names them.
    audit.note(connection, "delete", "account", account_id, account.username, audit.differences(before, {}))
    connection.execute(sa.delete(Account).where(Account.id == account_id))


def change_password(
    account_id: int, old: str, new: str, repeated: str | None = None, keep_session: int | None = None
) -> None:
    """Replaces the password if the old one is right, and commits; all sessions end but the one called `keep_session`.

    `repeated` is the new one typed again, where somebody had to. Raises AccountError with all complaints at once.
    """
    with snapshot():
        account = db.session.get_one(Account, account_id)
    try:
        attempt = login_throttle.begin_change(db.engine, account_id)
    except login_throttle.TooManyAttempts as error:
        raise AccountError(old_password=[str(error)]) from None
    complaints = {}
    if passwords.matches(account.password_hash, old):
        with sql.writing(db.engine) as connection:
            login_throttle.succeeded(connection, attempt)
    else:
        complaints["old_password"] = ["This is not your current password."]
    if sentences := password_complaints(new, account.username):
        complaints["new_password"] = sentences
    if repeated is not None and repeated != new:
        complaints["repeated"] = ["The two passwords are not the same; type them again."]
    _raise_any(complaints)
    new_hash = passwords.hashed(new)
    with sql.writing(db.engine) as connection:
        now, _ = _locked(connection, account_id)
        if now.password_hash != account.password_hash:
            raise AccountError(old_password=["Your password was changed elsewhere just now."])
        _store_password(connection, now, new_hash, keep_session)


def _store_password(
    connection: Connection, account: Row[Any], password_hash: PasswordHash, keep_session: int | None = None
) -> None:
    values = {"password_hash": _no_plain_text(password_hash)}
    connection.execute(sa.update(Account).where(Account.id == account.id).values(**values))
    login_sessions.end_all(connection, account.id, but=keep_session)
    audit.note(connection, "password", "account", account.id, account.username)


def _locked(connection: Connection, account_id: int, with_admins: bool = False) -> tuple[Row[Any], bool]:
    """The account, kept from changing until the end of the transaction; whether it is the last active admin.

    `with_admins`: so are all active admins, in the order of their ids. Of two that demote each other the second waits
    here, and then sees what the first has done. SQLite has one writer anyway.
    """
    wanted: sa.ColumnElement[bool] = Account.id == account_id
    if with_admins:
        wanted |= sa.and_(Account.role == "admin", Account.is_active)
    # key_share: rows that point at the account, such as those of uploads, need not wait.
    query = sa.select(Account.__table__).where(wanted).order_by(Account.id).with_for_update(key_share=True)
    rows = {row.id: row for row in connection.execute(query)}
    account = rows.get(account_id)
    if account is None:
        raise AccountError(account=["This account is not there any more."])
    admins = [row.id for row in rows.values() if row.role == "admin" and row.is_active]
    return account, with_admins and admins == [account_id]


def _no_plain_text(password_hash: PasswordHash) -> str:
    if not password_hash.startswith("$argon2"):
        raise ValueError("not a hash; make one with passwords.hashed")
    return password_hash


def _taken(username: str) -> str:
    return f'There is an account "{username}" already; choose another name.'
