"""Accounts and API tokens."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from daybook import accounts, api_tokens, passwords, preview_words
from daybook.accounts import AccountError
from daybook.admin.described import Column, Deletion, Field, Going, Refused, RowForm, Table, Work, count_where, loaded
from daybook.admin.filters import Dates, OneOf, Related, by_value, whole_number
from daybook.admin.searching import Contains
from daybook.models import ROLES, Account, ApiToken, LoginSession, Upload

_ROLE_WORDS = {
    "viewer": "Viewer: looks and exports",
    "editor": "Editor: also uploads and edits",
    "admin": "Admin: does everything",
}


def _zones(_connection: Connection) -> Mapping[str, str]:
    """What is suggested while a time zone is typed."""
    return {name: name for name in preview_words.zone_names()}


def _with_hash(values: dict[str, Any]) -> dict[str, Any]:
    """The hash in the password's place. Hashing takes its time, and nobody else could write to SQLite meanwhile."""
    try:
        accounts.check_new(values["username"], values["password"], values["role"], values["timezone"])
    except AccountError as error:
        raise Refused(error.complaints) from None
    password = values.pop("password")
    return values | {"password_hash": passwords.hashed(password)}


def _add(work: Work, values: Mapping[str, Any]) -> int:
    try:
        return accounts.add(work.connection, **values)
    except AccountError as error:
        raise Refused(error.complaints) from None


def _change(work: Work, key: int, values: Mapping[str, Any]) -> None:
    try:
        accounts.change(work.connection, key, **values)
    except AccountError as error:
        raise Refused(error.complaints) from None


def _delete(work: Work, keys: Sequence[int]) -> None:
    connection = work.connection
    tokens = sa.select(ApiToken.id, ApiToken.account_id).where(ApiToken.account_id.in_(keys)).order_by(ApiToken.id)
    try:
        for token in connection.execute(tokens).all():
            api_tokens.revoke(connection, token.id)
        for key in keys:
            accounts.delete(connection, key)
    except AccountError as error:
        raise Refused(error.complaints) from None


def _going(connection: Connection, keys: Sequence[int]) -> list[Going]:
    return [
        Going("API tokens", count_where(connection, ApiToken.account_id.in_(keys))),
        Going("sessions, which end", count_where(connection, LoginSession.account_id.in_(keys))),
        Going("uploads of theirs", count_where(connection, Upload.account_id.in_(keys)), stays=True),
    ]


def _obstacles(connection: Connection, keys: Sequence[int]) -> list[str]:
    """Somebody has to stay who can do everything."""
    admins = sa.select(sa.func.count()).where(Account.role == "admin", Account.is_active.is_(True))
    if connection.scalar(admins.where(Account.id.in_(keys))) and not connection.scalar(
        admins.where(Account.id.not_in(keys))
    ):
        return ["This is the last active admin. Make somebody else an admin first."]
    return []


ACCOUNTS = Table(
    slug="accounts",
    one="account",
    many="Accounts",
    object_type="account",
    about="Who signs in to these pages, and what they may do.",
    key=Account.__table__.c.id,
    title=Account.username,
    rows=Account.__table__,
    columns=(
        Column("username", "Name", Account.username, sort=True),
        Column("role", "Role", Account.role, sort=True),
        Column("is_active", "Active", Account.is_active, "flag", sort=True),
        Column("last_login_at", "Last login", Account.last_login_at, "time", missing="never"),
        Column("created_at", "Made", Account.created_at, "time", sort=True),
        Column("timezone", "Time zone", Account.timezone, in_list=False),
    ),
    order="username",
    search=(Contains(Account.username),),
    search_hint="Name",
    filters=(
        by_value("role", "Role", Account.role, {role: role.capitalize() for role in ROLES}),
        OneOf(
            "active",
            "Active",
            {"yes": ("Active", Account.is_active.is_(True)), "no": ("Disabled", Account.is_active.is_(False))},
        ),
        Dates("created_at", "Made", Account.created_at),
    ),
    form=RowForm(
        (
            Field("username", "Name", longest=accounts.USERNAME_LENGTH),
            Field("password", "Password", "password", when="add", hint="8 characters or more; tell it to its owner."),
            Field(
                "role",
                "Role",
                "choice",
                options=_ROLE_WORDS,
                default="viewer",
                hint="What editors edit: sensors and file types.",
            ),
            Field(
                "is_active",
                "Active",
                "flag",
                when="change",
                required=False,
                hint="A disabled account is logged out at once, and its tokens are refused.",
            ),
            Field(
                "timezone",
                "Time zone",
                "zone",
                options=_zones,
                default="UTC",
                hint="Such as Europe/Dublin; times are shown in it.",
            ),
        ),
        loaded(Account.id, Account.username, Account.role, Account.is_active, Account.timezone),
        _add,
        _change,
        prepare=_with_hash,
        audited=False,
    ),
    deletion=Deletion(_delete, _going, _obstacles, audited=False),
    panel="admin/panels/account.html",
)

TOKENS = Table(
    slug="tokens",
    one="API token",
    many="API tokens",
    object_type="token",
    about="Keys of programs. Everybody makes their own on the page of their account; here they can be ended.",
    key=ApiToken.__table__.c.id,
    title=ApiToken.name,
    rows=sa.join(ApiToken, Account, Account.id == ApiToken.account_id),
    joined=True,
    columns=(
        Column("name", "Name", ApiToken.name, sort=True),
        Column("account", "Account", Account.username, sort=True, link="accounts", link_key=Account.id),
        Column("created_at", "Made", ApiToken.created_at, "time", sort=True),
        Column("last_used_at", "Last used", ApiToken.last_used_at, "time", missing="never"),
        Column("expires_at", "Ends", ApiToken.expires_at, "time", missing="when it is revoked"),
    ),
    order="-created_at",
    search=(Contains(ApiToken.name), Contains(Account.username)),
    search_hint="Name or account",
    filters=(
        OneOf(
            "state",
            "State",
            {
                "open": ("May be used", sa.or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > sa.func.now())),
                "over": ("Over", ApiToken.expires_at <= sa.func.now()),
            },
        ),
        Related("of", "Account", ApiToken.account_id, Account.id, Account.username, whole_number),
    ),
    deletion=Deletion(
        lambda work, keys: _delete_tokens(work.connection, keys),
        lambda connection, keys: [Going("uploads that came with them", _uploads_by(connection, keys), stays=True)],
        audited=False,
    ),
    empty="No tokens yet. Make one on the page of your account.",
)


def _uploads_by(connection: Connection, keys: Sequence[int]) -> int:
    return count_where(connection, Upload.api_token_id.in_(keys))


def _delete_tokens(connection: Connection, keys: Sequence[int]) -> None:
    for key in keys:
        api_tokens.revoke(connection, key)
