"""Passwords: which ones are good enough, and their hashes (argon2id).

Hashing takes its time on purpose. Nobody does it inside a transaction, or SQLite would be closed to everybody else
meanwhile: what stores a password takes a PasswordHash that was made before.
"""

import difflib
import secrets
import unicodedata
from functools import cache
from typing import NewType

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

PASSWORD_LENGTH = (8, 128)
_MOST_GUESSED = 40  # characters of a password that are looked at for words, dates, repeats and the keyboard's rows
_SCORE = 2  # zxcvbn's, from 0 to 4: below it, a million guesses are enough
PasswordHash = NewType("PasswordHash", str)

# 19 MiB, two passes: OWASP's choice where several people may log in at once on a small machine.
hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def password_complaints(password: str, username: str = "") -> list[str]:
    """Everything that speaks against this password, as sentences; empty when it is good."""
    shortest, longest = PASSWORD_LENGTH
    if not password:
        return [f"Give a password of at least {shortest} characters."]
    complaints = []
    if len(password) < shortest:
        complaints.append(f"The password has {_characters(len(password))}; use at least {shortest}.")
    if len(password) > longest:
        complaints.append(f"The password has {_characters(len(password))}; use at most {longest}.")
    if password.isdecimal():
        complaints.append("The password is only digits; put some letters or words in.")
    if password.lower() in _common_passwords():
        complaints.append("The password is one of the most common ones; several words in a row are hard to guess.")
    elif not complaints and (why := _guessed(password)) is not None:
        complaints.append(f"The password can be guessed soon. {why} Several words in a row are hard to guess.")
    if username and len(password) <= longest and _alike(password, username):
        complaints.append("The password is too much like the name; choose one that does not come from it.")
    return complaints


def _characters(count: int) -> str:
    return "1 character" if count == 1 else f"{count} characters"


def _guessed(password: str) -> str | None:
    """Why a million guesses would find it, "" where that cannot be said; None where they would not."""
    from zxcvbn import zxcvbn

    found = zxcvbn(password[:_MOST_GUESSED])  # a longer beginning takes its time, and no more than that is needed
    return None if found["score"] >= _SCORE else str(found["feedback"]["warning"] or "")


def _alike(password: str, username: str) -> bool:
    name = unicodedata.normalize("NFKC", username).strip().lower()
    return difflib.SequenceMatcher(None, password.lower(), name).ratio() >= 0.7


@cache
def _common_passwords() -> frozenset[str]:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"])


def hashed(password: str) -> PasswordHash:
    """The hash to keep. Whether the password is good enough is another question."""
    return PasswordHash(hasher.hash(_password_bytes(password)))


def matches(password_hash: str, password: str) -> bool:
    """Whether this hash was made of this password."""
    try:
        return hasher.verify(password_hash, _password_bytes(password))
    except (VerifyMismatchError, InvalidHashError):
        return False


def is_dated(password_hash: str) -> bool:
    """Whether the hash was made with other settings than those of today."""
    return hasher.check_needs_rehash(password_hash)


@cache
def nobodys_hash() -> PasswordHash:
    """A hash that no password matches, for names that do not exist."""
    return hashed(secrets.token_urlsafe())


def _password_bytes(password: str) -> bytes:
    # One keyboard sends "é" as one character, another as two; both must open the same account.
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
