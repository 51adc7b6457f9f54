"""Who writes to the bot: met, told once that an admin has to let them in, allowed or blocked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from daybook import audit, outbox, sql
from daybook.chat import replies
from daybook.chat.values import Known
from daybook.models import Message, TelegramUser, utc_now

MAX_NAME = 64
_LARGEST_ID = 2**63 - 1

_PERSON = sa.select(TelegramUser.first_name, TelegramUser.last_name, TelegramUser.username, TelegramUser.status).where(
    TelegramUser.user_id == sa.bindparam("user_id")
)


class BadPerson(ValueError):
    """Nobody can have that id; the message says what to write."""


@dataclass(frozen=True)
class Person:
    """Somebody who writes to the bot. A name may be missing, and may hold anything that can be typed."""

    user_id: int
    first_name: str
    last_name: str
    username: str | None
    status: str = "pending"

    @property
    def name(self) -> str:
        """First Last, or what there is of it."""
        return f"{self.first_name} {self.last_name}".strip() or self.username or str(self.user_id)


def plain(text: object, length: int) -> str:
    """Text as every database can keep it: without NUL and half characters, cut to that many characters."""
    if not isinstance(text, str):
        return ""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()[:length]


def is_id(value: object) -> TypeGuard[int]:
    """Whether Telegram could have given this as an id."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < abs(value) <= _LARGEST_ID


def meet(connection: Connection, sender: Mapping[str, Any]) -> Person:
    """The person as the book knows them, with the names that Telegram says now; recorded as pending when new."""
    user_id: int = sender["id"]
    names: dict[str, Any] = {
        "first_name": plain(sender.get("first_name"), MAX_NAME),
        "last_name": plain(sender.get("last_name"), MAX_NAME),
        "username": plain(sender.get("username"), MAX_NAME) or None,
    }
    row = _row(connection, user_id)
    if row is None:
        # None comes back where another message of theirs was faster.
        values = {"user_id": user_id, "status": "pending"} | names
        if connection.execute(sql.insert_new(connection, TelegramUser), values).first() is not None:
            person = Person(user_id, **names)
            itself = audit.Actor("chat", person.name, telegram_user_id=user_id)
            changes = {"status": [None, "pending"]}
            audit.note(connection, "create", "bot user", user_id, person.name, changes, itself)
        row = _row(connection, user_id)
        assert row is not None
    person = Person(user_id, **names, status=row.status)
    _rename(connection, row, person, names, audit.Actor("chat", person.name, telegram_user_id=user_id))
    return person


def known(engine: Engine, user_id: int) -> Person:
    """The person as the book knows them; of one whom an admin has deleted, only the id."""
    with sql.only_reading(), engine.connect() as connection:
        row = _row(connection, user_id)
    return Person(user_id, "", "", None) if row is None else Person(user_id, *row)


def tell_once(connection: Connection, person: Person) -> bool:
    """Whether this pending person has still to be told that an admin must let them in; True only once."""
    mine = TelegramUser.user_id == person.user_id, TelegramUser.told_at.is_(None), TelegramUser.status == "pending"
    return connection.execute(sa.update(TelegramUser).where(*mine).values(told_at=utc_now())).rowcount == 1


def allow(
    engine: Engine, user_id: int, first_name: str = "", last_name: str = "", account_id: int | None = None
) -> bool:
    """Lets the person write, and tells them where they have written already. False when they were allowed before.

    Somebody who has never written is entered by these names. Raises BadPerson.
    """
    return _decide(engine, user_id, "allowed", first_name, last_name, account_id)


def block(
    engine: Engine, user_id: int, first_name: str = "", last_name: str = "", account_id: int | None = None
) -> bool:
    """Lets the person write no more, and tells them so once. False when they were blocked before. Raises BadPerson."""
    return _decide(engine, user_id, "blocked", first_name, last_name, account_id)


def _decide(engine: Engine, user_id: int, status: str, first_name: str, last_name: str, account_id: int | None) -> bool:
    if not is_id(user_id) or user_id < 0:
        raise BadPerson(f"{user_id} is no person's id; the bot tells everybody theirs when they write to it")
    names = {
        column: kept
        for column, name in (("first_name", first_name), ("last_name", last_name))
        if (kept := plain(name, MAX_NAME).strip())
    }
    with engine.begin() as connection:
        new = {"first_name": "", "status": "pending"} | names
        made = connection.execute(sql.insert_new(connection, TelegramUser).values(user_id=user_id, **new)).first()
        if made is None and names:
            row = _row(connection, user_id)
            if row is not None:
                _rename(connection, row, Person(user_id, **(row._asdict() | names)), names)
        elif made is not None:
            name = Person(user_id, new["first_name"], names.get("last_name", ""), None).name
            audit.note(connection, "create", "bot user", user_id, name, audit.differences({}, new))
        return decide(connection, [user_id], status, account_id) > 0


def decide(connection: Connection, user_ids: Sequence[int], status: str, account_id: int | None) -> int:
    """Allows or blocks those who were not yet, tells them where they last wrote, and returns how many they were."""
    mine = sa.select(TelegramUser).where(TelegramUser.user_id.in_(user_ids), TelegramUser.status != status)
    # key_share: their messages, which point at them and hold the chat in which they are told, need not wait.
    rows = connection.execute(mine.order_by(TelegramUser.user_id).with_for_update(key_share=True)).all()
    if not rows:
        return 0
    changed = sa.update(TelegramUser).where(TelegramUser.user_id.in_([row.user_id for row in rows]))
    approved_by = account_id if status == "allowed" else None
    connection.execute(changed.values(status=status, approved_by=approved_by, updated_at=utc_now()))
    action = "allow" if status == "allowed" else "block"
    entries = []
    for row in rows:
        _tell(connection, row.user_id, status, row.status)
        name = Person(row.user_id, row.first_name, row.last_name, row.username).name
        entries.append(audit.entry(action, "bot user", row.user_id, name, {"status": [row.status, status]}))
    audit.write(connection, entries)
    return len(rows)


def _rename(
    connection: Connection, row: Any, person: Person, names: Mapping[str, Any], actor: audit.Actor | None = None
) -> None:
    """Gives the person, as they are from now on, these names, where they are others than in their row."""
    changes = audit.differences({column: getattr(row, column) for column in names}, names)
    if changes:
        mine = sa.update(TelegramUser).where(TelegramUser.user_id == person.user_id)
        connection.execute(mine.values(**names, updated_at=utc_now()))
        audit.note(connection, "change", "bot user", person.user_id, person.name, changes, actor)


def _tell(connection: Connection, user_id: int, status: str, before: str) -> None:
    """Says it where they last wrote. To somebody who has never written, no bot may write first."""
    last = sa.select(Message.chat_id, Message.id).where(Message.sender_id == user_id, Message.direction == "in")
    found = connection.execute(last.order_by(Message.id.desc()).limit(1)).first()
    if found is None:
        return
    reply = replies.allowed(Known(utc_now())) if status == "allowed" else replies.blocked(before == "allowed")
    outbox.queue(connection, found.chat_id, reply.text)


def _row(connection: Connection, user_id: int) -> Any:
    return connection.execute(_PERSON, {"user_id": user_id}).first()
