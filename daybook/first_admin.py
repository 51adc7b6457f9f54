"""The first admin: made once, by whoever holds the link that the server prints."""

from datetime import timedelta

import sqlalchemy as sa
from itsdangerous import BadSignature, URLSafeTimedSerializer

from daybook import accounts, audit, sql
from daybook.accounts import AccountError
from daybook.audit import Actor
from daybook.extensions import db
from daybook.models import Account

SETUP_LINK_LASTS = timedelta(hours=24)


class AlreadySetUp(AccountError):
    """There is an account, so nobody can make the first one any more."""

    def __init__(self) -> None:
        super().__init__(username=["Daybook is set up already. Log in, or ask an admin for an account."])


def no_account_yet() -> bool:
    """Whether this Daybook still waits for its first admin."""
    return not db.session.scalar(sa.select(sa.exists().select_from(Account)))


def setup_token(secret_key: str) -> str:
    """What a /setup link carries. It is good for 24 hours, and only while there is no account."""
    return _serializer(secret_key).dumps("first admin")


def setup_token_is_good(secret_key: str, token: str) -> bool:
    """Whether the token was made with this key within the last 24 hours."""
    try:
        _serializer(secret_key).loads(token, max_age=int(SETUP_LINK_LASTS.total_seconds()))
    except BadSignature:
        return False
    return True


def _serializer(secret_key: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secret_key, salt="daybook setup link")


def create_first_admin(username: str, password: str) -> Account:
    """Makes the first account, an admin. Of two that try at once, one wins; the other gets AlreadySetUp."""
    accounts.check_new(username, password, "admin")
    with sql.Locks(db.engine) as locks:
        # Nobody waits here: whoever holds the lock was checked too, and is about to make the account.
        if not locks.try_lock("setup", 0) or not no_account_yet():
            db.session.rollback()
            raise AlreadySetUp
        # Whoever does this is nobody yet, and becomes the one whom they make.
        with audit.acting(Actor("page", accounts.clean_username(username))):
            return accounts.create_account(username, password, "admin")
