"""A search: every word of it must be found in one of a table's fields."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

MAX_WORDS = 8
MAX_LETTERS = 200
_MOST_RELATED = 1000
_LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Contains:
    """Finds the word anywhere in a column, small letters or large."""

    column: Any

    def condition(self, connection: Connection, word: str) -> Any:
        return contains(self.column, word)


@dataclass(frozen=True)
class Number:
    """Finds a whole number that is the column's value."""

    column: Any

    def condition(self, connection: Connection, word: str) -> Any:
        digits = word.removeprefix("-")
        if not (digits.isascii() and digits.isdecimal()) or int(word) > _LARGEST or len(digits) > 19:
            return None
        largest = _LARGEST if isinstance(self.column.type, sa.BigInteger) else 2**31 - 1
        return self.column == int(word) if abs(int(word)) <= largest else None


@dataclass(frozen=True)
class Through:
    """Finds the word in rows that the column refers to: those keys are looked up first, so that an index serves the
    column itself."""

    column: Any
    key: Any
    found_in: tuple[Any, ...]

    def condition(self, connection: Connection, word: str) -> Any:
        wanted = sa.select(self.key).where(sa.or_(*(contains(column, word) for column in self.found_in)))
        keys = list(connection.scalars(wanted.limit(_MOST_RELATED + 1)))
        if len(keys) > _MOST_RELATED:  # so many that the rows that refer to them are never far
            return self.column.in_(wanted)
        return self.column.in_(keys) if keys else None


@dataclass(frozen=True)
class Named:
    """Finds the word in what a list calls the column's value. Which values those are is known beforehand, so that an
    index of the column serves it, and no text is looked through."""

    column: Any
    names: Mapping[str, str]

    def condition(self, connection: Connection, word: str) -> Any:
        meant = [value for value, name in self.names.items() if word.lower() in name.lower()]
        return sa.or_(*(self.column == value for value in meant)) if meant else None


Search = Contains | Number | Through | Named


def contains(column: Any, word: str) -> Any:
    """The column holds the word, whatever its letters' case; a wildcard in it is a letter like any other.

    One or two letters are found only where a word begins: they are anywhere in most texts, and an index of three-letter
    parts finds them together with the space before them. Letters without case, such as Chinese ones, are found
    anywhere, because they are written without spaces.
    """
    return sa.or_(*(_contains(column, form) for form in _forms(word)))


def _forms(word: str) -> list[str]:
    """The ways of writing it that the database does not take for the same: SQLite, and PostgreSQL in the locale C, know
    the case of A to Z only."""
    return [word] if word.isascii() else sorted({word, word.lower(), word.upper(), word.capitalize()})


def _contains(column: Any, word: str) -> Any:
    anywhere = len(word) >= 3 or not word.isalnum() or any(unicodedata.category(letter) == "Lo" for letter in word)
    if anywhere:
        return column.icontains(word, autoescape=True)
    return sa.or_(column.istartswith(word, autoescape=True), column.icontains(f" {word}", autoescape=True))


def words_of(text: str) -> list[str]:
    """The words to be found; what no database can look for is left out."""
    return text.replace("\0", " ").encode("utf-8", "ignore").decode()[:MAX_LETTERS].split()[:MAX_WORDS]


def condition(connection: Connection, fields: tuple[Search, ...], text: str) -> list[Any]:
    """One condition per word."""
    found = []
    for word in words_of(text):
        ways = [way for way in (field.condition(connection, word) for field in fields) if way is not None]
        found.append(sa.or_(*ways) if ways else sa.false())
    return found
