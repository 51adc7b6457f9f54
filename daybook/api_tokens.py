"""API tokens: a program's key to the API, acting as its account. Only the SHA-256 of a token is kept."""

import hashlib
import secrets
import unicodedata
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.orm import joinedload

from daybook import accounts, audit, sql
from daybook.accounts import AccountError
from daybook.extensions import db
from daybook.models import Account, ApiToken, utc_now

TOKEN_PREFIX = "dbk_"  # noqa: S105 - no secret; so that a leaked token is recognised for what it is
TOKEN_NAME_LENGTH = 64
LAST_USED_EVERY = timedelta(minutes=1)


def create_token(account: Account, name: str, expires_at: datetime | None = None) -> str:
    """Makes an API token and returns its plain text, which nobody can ever read again; raises AccountError."""
    name = unicodedata.normalize("NFKC", name).strip()
    if not name:
        raise AccountError(name=['Give the token a name that says what uses it, such as "mast 3 logger".'])
    if len(name) > TOKEN_NAME_LENGTH or not name.isprintable():
        raise AccountError(name=[f"Use at most {TOKEN_NAME_LENGTH} characters that can be seen, on one line."])
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    account_id, username = account.id, account.username
    made = ApiToken(account_id=account_id, name=name, token_hash=_token_hash(token), expires_at=expires_at)
    db.session.add(made)
    db.session.flush()
    values = {"name": name, "account": username, "expires_at": expires_at}
    audit.note(db.session, "create", "token", made.id, name, audit.differences({}, values))
    db.session.commit()
    return token


def tokens_of(account_id: int) -> list[ApiToken]:
    """The account's tokens, newest first."""
    newest_first = sa.select(ApiToken).filter_by(account_id=account_id).order_by(ApiToken.id.desc())
    return list(db.session.scalars(newest_first))


def find_token(token: str) -> ApiToken | None:
    """The token with its account, if it may be used now; None if it is unknown or expired or its account disabled.

    Both are snapshots: changes to them are not stored. Notes when the token was used, to the minute: a program that
    asks a hundred times a second shall not write a hundred times.
    """
    wanted = sa.select(ApiToken).options(joinedload(ApiToken.account)).filter_by(token_hash=_token_hash(token))
    with accounts.snapshot():
        found: ApiToken | None = db.session.scalar(wanted)
    now = utc_now()
    if found is None or not found.account.is_active or (found.expires_at and found.expires_at <= now):
        return None
    if found.last_used_at is None or found.last_used_at < now - LAST_USED_EVERY:
        sql.note_if_free(db.engine, sa.update(ApiToken).where(ApiToken.id == found.id).values(last_used_at=now))
    return found


def revoke(connection: Connection, token_id: int, account_id: int | None = None) -> bool:
    """Ends a token at once, in this transaction; False if it is gone, or not this account's where one is given."""
    which = ApiToken.id == token_id
    if account_id is not None:
        which &= ApiToken.account_id == account_id
    owner = sa.select(Account.username).where(Account.id == ApiToken.account_id).scalar_subquery()
    query = sa.select(ApiToken.name, ApiToken.expires_at, owner.label("account")).where(which).with_for_update()
    token = connection.execute(query).one_or_none()
    if token is None:
        return False
    before = {"name": token.name, "account": token.account, "expires_at": token.expires_at}
    connection.execute(sa.delete(ApiToken).where(ApiToken.id == token_id))
    audit.note(connection, "revoke", "token", token_id, token.name, audit.differences(before, {}))
    return True


def revoke_token(account_id: int, token_id: int) -> bool:
    """Ends one of the account's tokens at once, and commits; False if it has no such token."""
    found = revoke(db.session.connection(), token_id, account_id)
    db.session.commit()
    return found


def _token_hash(token: str) -> str:
    # 256 random bits need no slow hash: there is nothing to guess.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
