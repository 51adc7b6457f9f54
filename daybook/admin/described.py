"""What a table says of itself, and what the pages of the admin area are made of."""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from daybook.admin.filters import Filter
from daybook.admin.searching import Search
from daybook.config import Settings

log = logging.getLogger(__name__)

Key = int | str
Kind = Literal["text", "long", "time", "number", "bytes", "status", "flag", "json"]


@dataclass(frozen=True)
class Work:
    """What a change works with: the transaction it is part of, and who makes it."""

    engine: Engine
    settings: Settings
    account_id: int | None = None
    transaction: Connection | None = None
    afterwards: list[Callable[[], None]] = field(default_factory=list)  # what follows the commit
    left: dict[Any, str] = field(default_factory=dict)  # of a job: rows that it leaves as they are, and why

    @property
    def connection(self) -> Connection:
        """The transaction; an action that makes its own has none here."""
        assert self.transaction is not None
        return self.transaction

    def follow_up(self) -> None:
        """Does what follows the commit. What is done is done: a file that cannot be removed undoes nothing."""
        for following in self.afterwards:
            try:
                following()
            except (OSError, sa.exc.SQLAlchemyError):
                log.exception("something is left over after a change that was made")


class Refused(ValueError):
    """What was typed cannot be taken. `complaints` holds, per field, whole sentences; "" is the form as a whole."""

    def __init__(self, complaints: Mapping[str, Sequence[str]] | str) -> None:
        complaints = {"": [complaints]} if isinstance(complaints, str) else complaints
        self.complaints = {name: list(sentences) for name, sentences in complaints.items()}
        super().__init__(" ".join(sentence for sentences in self.complaints.values() for sentence in sentences))


@dataclass(frozen=True)
class Column:
    """A value of every row. sort: whether the list can be sorted by it; then it is never null, and an index serves it
    where the table may be large. link: the table whose row `link_key` names. in_list: else only on the row's page."""

    name: str
    label: str
    value: Any
    kind: Kind = "text"
    sort: bool = False
    link: str = ""
    link_key: Any = None
    in_list: bool = True
    missing: str = "–"


@dataclass(frozen=True)
class Field:
    """An input of a form. longest: in characters. options: value to label; of a text, what is
    suggested while it is typed. when: which of the two forms has it. stays_blank: whether it may stay blank where a row
    is changed in which it was, although it is required. more: an endpoint and words, a link behind the hint."""

    name: str
    label: str
    kind: Literal["text", "whole", "choice", "flag", "password", "long", "json", "zone"] = "text"
    required: bool = True
    longest: int = 200
    hint: str = ""
    options: Mapping[str, str] | Callable[[Connection], Mapping[str, str]] = field(default_factory=dict)
    when: Literal["both", "add", "change"] = "both"
    default: Any = ""
    stays_blank: bool = False
    more: tuple[str, str] | None = None


@dataclass(frozen=True)
class RowForm:
    """How rows are added and changed.

    load: the fields' values of a row as they are now, None when it is gone; add returns the new row's key. Both raise
    Refused. prepare: what is done with the values before the transaction begins, because it takes its time. audited:
    False where add and change write down themselves what was changed.
    """

    fields: tuple[Field, ...]
    load: Callable[[Connection, Any], Mapping[str, Any] | None]
    add: Callable[[Work, Mapping[str, Any]], Key] | None = None
    change: Callable[[Work, Any, Mapping[str, Any]], None] | None = None
    prepare: Callable[[dict[str, Any]], Mapping[str, Any]] = dict
    audited: bool = True


@dataclass(frozen=True)
class Going:
    """A kind of thing that goes along with what is deleted; `stays`: that stays, and only loses its connection."""

    what: str
    many: int
    stays: bool = False


@dataclass(frozen=True)
class Deletion:
    """How rows are deleted. going: what goes along. obstacles: sentences, why they cannot go. around: what has to be
    held meanwhile, such as the lock of a source; it yields those rows that somebody else holds, and why. lock: what is
    locked beside the rows themselves, so that nothing is added to what goes along once it is counted. audited: False
    where `delete` itself writes down what went."""

    delete: Callable[[Work, Sequence[Any]], None]
    going: Callable[[Connection, Sequence[Any]], list[Going]] = lambda _connection, _keys: []
    obstacles: Callable[[Connection, Sequence[Any]], list[str]] = lambda _connection, _keys: []
    around: Callable[[Engine, Sequence[Any]], AbstractContextManager[Mapping[Any, str]]] = lambda _engine, _keys: (
        nullcontext({})
    )
    lock: Callable[[Connection, Sequence[Any]], None] = lambda _connection, _keys: None
    audited: bool = True
    # More than so many things at once go in the background, with a page that shows how far it is.
    at_once: int = 50_000
    batch: int = 200  # rows that are one transaction there


@dataclass(frozen=True)
class Action:
    """Something to do with chosen rows. run: does it to these, in the transaction it is given, and returns how many it
    changed; it writes down the changes. asks: a question to confirm, with {count} in it. alone: `run` makes its own
    transactions (and is given none), and does no harm when it is called for the same rows again.

    done_one, none_one: what is said where a row's own page, or the overview, offered it; {title} becomes a link to the
    row. sees: the column whose value was on that page: where it is another one by now, nothing is done before
    whoever pressed the button knows. next: of which row it is the next step.
    """

    name: str
    label: str
    run: Callable[[Work, Sequence[Any]], int]
    done: str  # "{count} allowed"
    none: str = "Nothing had to be changed."  # said where it has changed none of them
    done_one: str = "{title}: done."
    none_one: str = "Nothing had to be changed."
    asks: str = ""
    danger: bool = False
    alone: bool = False
    # Whether a row's own page offers it; of the row as the list shows it.
    fits: Callable[[Mapping[str, Any]], bool] = lambda _row: True
    sees: str = ""
    next: Callable[[Mapping[str, Any]], bool] = lambda _row: False


@dataclass(frozen=True)
class Table:
    """A table of the admin area. slug: its name in addresses; object_type: its name in the audit."""

    slug: str
    one: str
    many: str
    object_type: str
    key: sa.ColumnElement[Any]
    title: Any
    rows: Any  # what the rows are selected from
    columns: tuple[Column, ...]
    order: str
    about: str = ""
    search: tuple[Search, ...] = ()
    search_hint: str = ""
    filters: tuple[Filter, ...] = ()
    actions: tuple[Action, ...] = ()
    form: RowForm | None = None
    deletion: Deletion | None = None
    empty: str = ""
    panel: str = ""  # a template of its own on a row's page
    panel_first: bool = False  # whether it stands before the form
    joined: bool = False  # whether search or filters look at a table that the rows are joined with

    @property
    def found_in(self) -> Any:
        """What search and filters look at: the table by itself where that is enough, which its indexes serve best."""
        return self.rows if self.joined else self.key.table

    def counted(self, many: int) -> str:
        """So many rows, within a sentence: "1 bot user", "1,200 API tokens"."""
        several = self.many if self.many[:2].isupper() else self.many.lower()
        return f"{many:,} {self.one if many == 1 else several}"

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)

    def action(self, name: str) -> Action | None:
        return next((action for action in self.actions if action.name == name), None)

    def read_key(self, text: str) -> Key | None:
        """The key that an address names; None where no row can have it."""
        if not isinstance(self.key.type, sa.Integer):
            return text if "\0" not in text else None
        try:
            number = int(text) if text.isascii() else 0
        except ValueError:
            return None
        largest = 2**63 - 1 if isinstance(self.key.type, sa.BigInteger) else 2**31 - 1
        return number if -largest <= number <= largest and text == str(number) else None


def loaded(key: Any, *columns: Any) -> Callable[[Connection, Any], dict[str, Any] | None]:
    """The `load` of a form whose fields are columns of the row with that key."""
    return lambda connection, value: first_row(connection, sa.select(*columns).where(key == value))


def count_where(connection: Connection, *conditions: Any) -> int:
    """How many rows of the table that the conditions are about fulfil them."""
    return connection.scalar(sa.select(sa.func.count()).where(*conditions)) or 0


def first_row(connection: Connection, query: sa.Executable) -> dict[str, Any] | None:
    """The query's first row by column names; None where there is none."""
    row = connection.execute(query).mappings().first()
    return None if row is None else {str(name): value for name, value in row.items()}
