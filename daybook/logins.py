"""Logging in: name and password in, the key of a new session out."""

import sqlalchemy as sa

from daybook import accounts, login_sessions, login_throttle, passwords, sql
from daybook.extensions import db
from daybook.login_throttle import Attempt
from daybook.models import Account


def log_in(username: str, password: str, address: str = "", browser: str = "", device: str = "") -> str | None:
    """Begins a session for the active account with this name and password; None for every other case. device: as
    known_browsers tells it.

    Raises login_throttle.TooManyAttempts when there have been too many wrong ones; then nothing is compared. An unknown
    name takes as long as a wrong password, so that the time tells nobody which names exist.
    """
    db.session.rollback()  # no transaction is open while something else is written or hashed
    attempt = login_throttle.begin_login(db.engine, accounts.clean_username(username), address, device)
    nobodys_hash = passwords.nobodys_hash()  # in any case: the first call makes it, which takes its time too
    with accounts.snapshot():
        known = accounts.find_account(username)
    stored_hash = known.password_hash if known else nobodys_hash
    if not passwords.matches(stored_hash, password) or known is None:
        return None
    renewed = passwords.hashed(password) if passwords.is_dated(stored_hash) else None
    return _begin(known.id, stored_hash, renewed, attempt, address, browser)


def _begin(
    account_id: int, stored_hash: str, renewed: str | None, attempt: Attempt, address: str, browser: str
) -> str | None:
    mine = Account.id == account_id
    with sql.writing(db.engine) as connection:
        # Locked, and looked at again: who changes the password or disables the account at this moment comes before
        # this session, which then does not begin, or after it, and ends it.
        query = sa.select(Account.password_hash, Account.is_active).where(mine).with_for_update(key_share=True)
        now = connection.execute(query).one_or_none()
        if now is None or not now.is_active or now.password_hash != stored_hash:
            return None
        if renewed:
            connection.execute(sa.update(Account).where(mine).values(password_hash=renewed))
        login_throttle.succeeded(connection, attempt)
        return login_sessions.begin(connection, account_id, address, browser)
