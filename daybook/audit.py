"""Who changed what, when, from what to what: an entry in the same transaction as the change itself.

Who it is, is said once where a request, a command or an update begins (`acting`), and read where something changes.
"""

import getpass
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol, cast

import sqlalchemy as sa

from daybook.models import Account, AuditEntry, utc_now

REPR_LENGTH = 200
MAX_NOTED = 16 * 1024  # bytes of one change as JSON, before and after together, that an entry keeps
# What an action is called where it is told of: "ada allowed Hugo". An action that is not here has its own name.
DEEDS = {
    "allow": "allowed",
    "block": "blocked",
    "broadcast": "began",
    "cancel": "ended early",
    "change": "changed",
    "correct": "corrected",
    "create": "added",
    "delete": "deleted",
    "fail": "gave up",
    "handle again": "handled again",
    "import": "imported",
    "password": "set password of",
    "put back": "put back",
    "record": "recorded",
    "replace": "replaced",
    "revoke": "ended",
    "send again": "sent again",
    "take back": "took back",
    "undo": "undid",
    "write to": "wrote to",
}
ORIGINS = {"page": "Pages", "api": "API", "command": "Command line", "chat": "Chat", "daybook": "Daybook itself"}


@dataclass(frozen=True)
class Actor:
    """Somebody who changes things. origin: one of ORIGINS; name: what they are called now."""

    origin: str
    name: str
    account_id: int | None = None
    telegram_user_id: int | None = None


class Executes(Protocol):
    """A connection or a session."""

    def execute(self, statement: Any, parameters: Any = None, /) -> Any: ...


_ENTRIES = cast(sa.Table, AuditEntry.__table__)
# Work may end after the account that began it was deleted: its name stays in the entry, and the work is not lost.
_STILL_THERE = sa.select(Account.id).where(Account.id == sa.bindparam("acting_account")).scalar_subquery()
_INSERT = sa.insert(_ENTRIES).values(account_id=_STILL_THERE)
_actor: ContextVar[Actor | None] = ContextVar("actor", default=None)


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """All that changes inside was done by this one."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


def set_actor(actor: Actor | None) -> None:
    """From here on it is this one; for the beginning of a request. None: the server itself."""
    _actor.set(actor)


def current() -> Actor:
    """Who is acting now. Where nobody said so: Daybook itself."""
    return _actor.get() or Actor("daybook", "Daybook")


def operator() -> Actor:
    """Whoever runs a command on the server."""
    try:
        return Actor("command", getpass.getuser())
    except (KeyError, OSError):  # a container's user without a name
        return Actor("command", "operator")


def note(
    connection: Executes,
    action: str,
    object_type: str,
    object_id: object,
    object_repr: str,
    changes: Mapping[str, Any] | None = None,
    actor: Actor | None = None,
) -> None:
    """Writes the entry; it is committed, or not, with the change. changes: {field: [before, after]}, no secrets."""
    write(connection, [entry(action, object_type, object_id, object_repr, changes, actor)])


def write(connection: Executes, entries: Sequence[Mapping[str, Any]]) -> None:
    """Writes these entries at once; as `note` does."""
    if not entries:
        return
    rows = [
        {("acting_account" if name == "account_id" else name): value for name, value in one.items()} for one in entries
    ]
    connection.execute(_INSERT, rows)


def entry(
    action: str,
    object_type: str,
    object_id: object,
    object_repr: str,
    changes: Mapping[str, Any] | None = None,
    actor: Actor | None = None,
) -> dict[str, Any]:
    """An entry for `write`, for whoever writes many of them at once."""
    actor = actor or current()
    return {
        "at": utc_now(),
        "account_id": actor.account_id,
        "telegram_user_id": actor.telegram_user_id,
        "origin": actor.origin,
        "actor": actor.name[:200],
        "action": action,
        "object_type": object_type,
        "object_id": str(object_id)[:64],
        "object_repr": object_repr.replace("\0", "\ufffd")[:REPR_LENGTH],
        "changes": {name: [plain(before), plain(after)] for name, (before, after) in (changes or {}).items()},
    }


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """{field: [before, after]} of the fields that are not the same in both; None stands for one that was not there."""
    names = [*before, *(name for name in after if name not in before)]
    return {name: [before.get(name), after.get(name)] for name in names if before.get(name) != after.get(name)}


def shortened(changes: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """The same, with "(large)" for what is too large to be kept once more here, such as a long layout."""
    return {
        name: [value and "(large)" for value in both]
        if len(json.dumps([plain(value) for value in both], default=str)) > MAX_NOTED
        else list(both)
        for name, both in changes.items()
    }


def plain(value: Any) -> Any:
    """The value as JSON can hold it."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    return value
