"""Bot users: who writes to the bot, and who of them may."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from daybook import people
from daybook.admin.described import (
    Action,
    Column,
    Deletion,
    Field,
    Going,
    Refused,
    RowForm,
    Table,
    Work,
    count_where,
    loaded,
)
from daybook.admin.filters import Dates, by_value
from daybook.admin.searching import Contains, Number
from daybook.models import Account, Message, TelegramUser, Upload, utc_now

STATUSES = {"pending": "Pending", "allowed": "Allowed", "blocked": "Blocked"}


def title_of(person: Any) -> Any:
    """What somebody is called, who may have no name; null where there is nobody. person: TelegramUser, or an alias."""
    name = sa.func.trim(person.first_name + " " + person.last_name)
    return sa.func.coalesce(sa.func.nullif(name, ""), person.username, sa.cast(person.user_id, sa.String))


TITLE = title_of(TelegramUser)
# The same with what only they have: "Ada Meier, @ada", or their id.
TOLD_APART = (
    TITLE
    + ", "
    + sa.func.coalesce("@" + sa.func.nullif(TelegramUser.username, ""), sa.cast(TelegramUser.user_id, sa.String))
)


def _add(work: Work, values: Mapping[str, Any]) -> int:
    user_id: int = values["user_id"]
    if user_id <= 0:
        raise Refused({"user_id": ["Telegram's ids of people are above 0; the bot tells everybody theirs."]})
    status = values["status"]
    there = sa.select(TelegramUser.user_id).where(TelegramUser.user_id == user_id)
    if work.connection.scalar(there) is not None:
        raise Refused({"user_id": [f"There is a bot user with the id {user_id} already."]})
    approved_by = work.account_id if status == "allowed" else None
    work.connection.execute(sa.insert(TelegramUser).values(**values, approved_by=approved_by))
    return user_id


def _change(work: Work, key: int, values: Mapping[str, Any]) -> None:
    work.connection.execute(
        sa.update(TelegramUser).where(TelegramUser.user_id == key).values(**values, updated_at=utc_now())
    )


def _going(connection: Connection, keys: Sequence[int]) -> list[Going]:
    return [
        Going("messages of theirs", count_where(connection, Message.sender_id.in_(keys)), stays=True),
        Going("uploads of theirs", count_where(connection, Upload.telegram_user_id.in_(keys)), stays=True),
    ]


def _delete(work: Work, keys: Sequence[int]) -> None:
    work.connection.execute(sa.delete(TelegramUser).where(TelegramUser.user_id.in_(keys)))


USERS = Table(
    slug="users",
    one="bot user",
    many="Bot users",
    object_type="bot user",
    about="Who writes to the Telegram bot. Only what allowed people write is acted on.",
    key=TelegramUser.__table__.c.user_id,
    title=TITLE,
    rows=sa.outerjoin(TelegramUser, Account, Account.id == TelegramUser.approved_by),
    columns=(
        Column("name", "Name", TITLE, sort=True),
        Column("user_id", "Id", TelegramUser.user_id, "number", sort=True),
        Column("username", "Telegram name", sa.func.coalesce(TelegramUser.username, ""), sort=True),
        Column("status", "Status", TelegramUser.status, "status", sort=True),
        Column("created_at", "First seen", TelegramUser.created_at, "time", sort=True),
        Column("approved_by", "Allowed by", Account.username, link="accounts", link_key=Account.id, in_list=False),
        Column("told_at", "Told to wait", TelegramUser.told_at, "time", in_list=False),
    ),
    order="-created_at",
    search=(
        Contains(TelegramUser.first_name),
        Contains(TelegramUser.last_name),
        Contains("@" + TelegramUser.username),
        Number(TelegramUser.user_id),
    ),
    search_hint="Name or id",
    filters=(
        by_value("status", "Status", TelegramUser.status, STATUSES),
        Dates("created_at", "First seen", TelegramUser.created_at),
    ),
    actions=(
        Action(
            "allow",
            "Allow",
            lambda work, keys: people.decide(work.connection, keys, "allowed", work.account_id),
            "{count} allowed. Who has written to the bot is told.",
            done_one="{title} is allowed. Who has written to the bot is told.",
            none_one="{title} was allowed before.",
            fits=lambda row: row["status"] != "allowed",
            sees="status",
            next=lambda row: row["status"] == "pending",
        ),
        Action(
            "block",
            "Block",
            lambda work, keys: people.decide(work.connection, keys, "blocked", work.account_id),
            "{count} blocked. The bot answers them no more.",
            done_one="{title} is blocked. The bot answers them no more.",
            none_one="{title} was blocked before.",
            danger=True,
            fits=lambda row: row["status"] != "blocked",
            sees="status",
        ),
    ),
    form=RowForm(
        fields=(
            Field(
                "user_id", "Telegram id", "whole", when="add", hint="The bot tells it to everybody who writes to it."
            ),
            Field("first_name", "First name", longest=people.MAX_NAME),
            Field(
                "last_name",
                "Last name",
                longest=people.MAX_NAME,
                stays_blank=True,
                hint="Telegram does without one; here it tells people apart. Their next message brings its names.",
            ),
            Field("status", "Status", "choice", options=STATUSES, when="add", default="allowed"),
        ),
        load=loaded(TelegramUser.user_id, TelegramUser.user_id, TelegramUser.first_name, TelegramUser.last_name),
        add=_add,
        change=_change,
    ),
    deletion=Deletion(_delete, _going),
    empty="Nobody has written to the bot yet. Enter somebody by hand, or have them write to it.",
    panel="admin/panels/user.html",
    panel_first=True,
)
