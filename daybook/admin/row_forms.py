"""Adding and changing a row by its form: what was typed is checked, two people do not overwrite each other in silence,
and what was changed is written down."""

import hashlib
import json
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from daybook import audit, outbox, sql
from daybook.admin.described import Field, Key, Refused, RowForm, Table, Work
from daybook.admin.listing import find_row
from daybook.config import Settings
from daybook.times import TimeError, zone_named

_LARGEST = 2**63 - 1
_SHOWN = 300  # characters of what somebody else has saved
# Letters that show nothing, as which Unicode does not count them: fillers of Hangul, the empty pattern of Braille.
_INVISIBLE = "\u115f\u1160\u2800\u3164\uffa0"


class Gone(LookupError):
    """The row is not there any more."""


@dataclass(frozen=True)
class Difference:
    """A field that somebody else has changed meanwhile: what it is now."""

    label: str
    now: str


class ChangedMeanwhile(Exception):
    """Somebody else has saved the row since it was opened. seen: the mark of the row as it is now."""

    def __init__(self, now: Mapping[str, str], seen: str, complaints: Mapping[str, list[str]]) -> None:
        super().__init__("changed meanwhile")
        self.now, self.seen, self.complaints = now, seen, complaints


@dataclass(frozen=True)
class Editor:
    """One table's form at work."""

    engine: Engine
    settings: Settings
    table: Table
    account_id: int

    @property
    def form(self) -> RowForm:
        assert self.table.form is not None
        return self.table.form

    def fields(self, adding: bool) -> list[Field]:
        """The fields of the form that adds, or of the one that changes."""
        return [field for field in self.form.fields if field.when in ("both", "add" if adding else "change")]

    def fields_of(self, now: Mapping[str, Any]) -> list[Field]:
        """The fields of the form that changes a row which is so now."""
        return [
            replace(field, required=False) if field.stays_blank and not now.get(field.name) else field
            for field in self.fields(False)
        ]

    def empty(self) -> dict[str, str]:
        """What an untouched form says."""
        return {field.name: as_text(field, field.default) for field in self.fields(True)}

    def typed(self, form: Mapping[str, str], adding: bool) -> dict[str, str]:
        """What was typed, as it came; what is not a text of the form is left out."""
        return {field.name: form.get(field.name, "") for field in self.fields(adding)}

    def begun(self, given: Mapping[str, str]) -> dict[str, str]:
        """An untouched form in which the address has filled in some fields."""
        return {name: given.get(name, text) for name, text in self.empty().items()}

    def load(self, connection: Connection, key: Key) -> tuple[dict[str, str], str]:
        """The row as the form says it, and its mark, by which it is noticed when it is another one; raises Gone."""
        values = self.form.load(connection, key)
        if values is None:
            raise Gone
        fields = self.fields(False)
        return {field.name: as_text(field, values.get(field.name)) for field in fields}, mark(values)

    def options(self, connection: Connection, adding: bool) -> dict[str, Mapping[str, str]]:
        """The choices of each field that has some."""
        return {
            field.name: field.options(connection) if callable(field.options) else field.options
            for field in self.fields(adding)
            if field.options
        }

    def add(self, typed: Mapping[str, str]) -> Key:
        """Adds the row, and returns its key; raises Refused."""
        assert self.form.add is not None
        add, values = self.form.add, self._read(typed, adding=True)

        def work() -> Key:
            with self.engine.begin() as connection:
                try:
                    key = add(self._work(connection), values)
                except sa.exc.IntegrityError as error:
                    raise Refused(self._there_already()) from error
                if self.form.audited:
                    shown = _without_secrets(self.fields(True), values)
                    self._note(connection, "create", key, {name: [None, value] for name, value in shown.items()})
                return key

        with self._complaints_where_they_belong(adding=True):
            key = sql.again_after_deadlock(work)
        outbox.wake(self.engine, self.settings)
        return key

    def change(self, key: Key, typed: Mapping[str, str], seen: str) -> None:
        """Changes the row, unless it is another one than was seen; raises Refused, ChangedMeanwhile, Gone."""
        values: Mapping[str, Any] = {}
        refused: Refused | None = None
        try:
            with sql.only_reading(), self.engine.connect() as connection:
                now = self.form.load(connection, key) or {}
            values = self._read(typed, adding=False, fields=self.fields_of(now))
        except Refused as error:  # said after that somebody else has changed the row: that comes first
            refused = error
        with self._complaints_where_they_belong(adding=False):
            sql.again_after_deadlock(lambda: self._change(key, typed, seen, values, refused))
        outbox.wake(self.engine, self.settings)

    def _change(
        self, key: Key, typed: Mapping[str, str], seen: str, values: Mapping[str, Any], refused: Refused | None
    ) -> None:
        assert self.form.change is not None
        with self.engine.begin() as connection:
            # On PostgreSQL the row is locked, or two that look at the same moment would both find it as they knew it.
            connection.execute(sa.select(self.table.key).where(self.table.key == key).with_for_update())
            before = self.form.load(connection, key)
            if before is None:
                raise Gone
            if mark(before) != seen:
                self._refuse(connection, before, typed)
            if refused is not None:
                raise refused
            try:
                self.form.change(self._work(connection), key, values)
            except sa.exc.IntegrityError as error:
                raise Refused(self._there_already()) from error
            changes = audit.differences(
                {name: before.get(name) for name in values}, _without_secrets(self.fields(False), values)
            )
            if self.form.audited and changes:
                self._note(connection, "change", key, changes)

    def _refuse(self, connection: Connection, now: Mapping[str, Any], typed: Mapping[str, str]) -> None:
        fields = {field.name: field for field in self.fields(False)}
        texts = {name: as_text(field, now.get(name)) for name, field in fields.items() if field.kind != "password"}
        options = self.options(connection, False)
        # Who of the two has changed it cannot be told, and is not said: what counts is what would be lost.
        complaints = {
            name: [_is_now(fields[name], options.get(name, {}).get(text, text))]
            for name, text in texts.items()
            if text != typed.get(name, "").replace("\r\n", "\n")
        }
        raise ChangedMeanwhile(texts, mark(now), complaints)

    @contextmanager
    def _complaints_where_they_belong(self, adding: bool) -> Iterator[None]:
        """A complaint about what is no field of this form is one about the form as a whole."""
        try:
            yield
        except Refused as error:
            names = {field.name for field in self.fields(adding)}
            complaints: dict[str, list[str]] = {}
            for name, sentences in error.complaints.items():
                complaints.setdefault(name if name in names else "", []).extend(sentences)
            raise Refused(complaints) from error

    def _read(self, typed: Mapping[str, str], adding: bool, fields: list[Field] | None = None) -> Mapping[str, Any]:
        complaints: dict[str, list[str]] = {}
        values: dict[str, Any] = {}
        with sql.only_reading(), self.engine.connect() as connection:
            options = self.options(connection, adding)
        for field in self.fields(adding) if fields is None else fields:
            try:
                values[field.name] = read_field(field, typed.get(field.name, ""), options.get(field.name, {}))
            except ValueError as error:
                complaints[field.name] = [str(error)]
        if complaints:
            raise Refused(complaints)
        return self.form.prepare(values) if adding else values

    def _there_already(self) -> str:
        return f"There is such a {self.table.one} already; somebody was faster."

    def _work(self, connection: Connection) -> Work:
        return Work(self.engine, self.settings, self.account_id, connection)

    def _note(self, connection: Connection, action: str, key: Key, changes: Mapping[str, Any]) -> None:
        row = find_row(connection, self.table, key)
        title = str(row["title"]) if row else str(key)
        audit.note(connection, action, self.table.object_type, key, title, audit.shortened(changes))


def _is_now(field: Field, text: str) -> str:
    if field.kind == "flag":
        return f"It is “{text or 'no'}” now."
    return f"It is “{text if len(text) <= _SHOWN else text[: _SHOWN - 1] + '…'}” now." if text else "It is empty now."


def _without_secrets(fields: list[Field], values: Mapping[str, Any]) -> dict[str, Any]:
    secret = {field.name for field in fields if field.kind == "password"}
    return {name: value for name, value in values.items() if name not in secret}


def mark(values: Mapping[str, Any]) -> str:
    """Sixteen letters that differ when the values do."""
    text = json.dumps({name: audit.plain(value) for name, value in values.items()}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def as_text(field: Field, value: Any) -> str:
    """The value as the form shows it."""
    if value is None or field.kind == "password":
        return ""
    if field.kind == "flag":
        return "yes" if value else ""
    if field.kind == "json":
        return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return str(value)


def read_field(field: Field, text: str, options: Mapping[str, str]) -> Any:
    """The value that was typed; raises ValueError with a sentence that says what to write."""
    if field.kind == "flag":
        return text == "yes"
    if field.kind == "password":
        return text
    text = unicodedata.normalize("NFC", text).replace("\r\n", "\n").strip()
    if not any(_is_seen(letter) for letter in text):
        if field.required:
            raise ValueError(f"{field.label}: this may not be empty.")
        return None if field.kind == "whole" else ""
    _check_letters(field, text)
    if field.kind == "whole":
        return _whole_number(field, text)
    if field.kind == "zone":
        try:
            zone_named(text)
        except TimeError as error:
            raise ValueError(f"{str(error)[0].upper()}{str(error)[1:]}.") from None
        return text
    if field.kind == "json":
        return _json(text)
    if field.kind == "choice" and text not in options:
        raise ValueError(f"“{text[:60]}” is none of the choices; choose one of the list.")
    if len(text) > field.longest:
        raise ValueError(f"{field.label}: {len(text):,} characters; at most {field.longest:,} are kept.")
    return text


def _is_seen(letter: str) -> bool:
    return letter not in _INVISIBLE and unicodedata.category(letter) not in ("Cc", "Cf", "Zs", "Zl", "Zp")


def _check_letters(field: Field, text: str) -> None:
    many_lines = field.kind in ("long", "json")
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError(f"{field.label}: it holds a character that cannot be kept; type it again by hand.")
    if not many_lines and any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in text):
        raise ValueError(f"{field.label}: use one line, without control characters.")


def _whole_number(field: Field, text: str) -> int:
    plain = text.replace("\u2212", "-").replace("\u202f", "").replace(" ", "")
    digits = plain[1:] if plain[:1] in ("-", "+") else plain
    if not (digits.isascii() and digits.isdecimal()):
        raise ValueError(f"{field.label}: “{text[:40]}” is not a whole number; write digits only, such as 123456789.")
    if len(digits.lstrip("0")) > 19 or int(digits) > _LARGEST:
        raise ValueError(f"{field.label}: the number is too large; −{_LARGEST} to {_LARGEST} can be kept.")
    return int(plain)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"This is not JSON: {error}.") from None
