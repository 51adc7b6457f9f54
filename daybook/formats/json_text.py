"""The text of a JSON file as it comes: values taken from its beginning, and words for where something is wrong."""

import codecs
import re
from typing import Any, NoReturn

from daybook.formats.json_survey import DECODER
from daybook.formats.layout import FormatError

MAX_VALUE = 1024 * 1024
_GATHERED = 256 * 1024  # characters worth scanning at once
_IN_NUMBERS = re.compile(r"[-+.eE0-9]*")
_LONGEST = 1000  # digits of a number that is cut off; more are none
_SPACE = re.compile(r"[ \t\n\r]*")


class NeedMore(Exception):
    """The text ends before what begins here does."""


class JsonText:
    """The part of the text that is here and not done with: `letters` from `at` on. `last`: nothing follows it."""

    def __init__(self) -> None:
        self.letters = ""
        self.at = 0
        self.last = False
        self._lines_before = self._letters_before = 0

    def add(self, more: str, last: bool) -> None:
        """Puts the next piece behind what is left."""
        self._lines_before += self.letters.count("\n", 0, self.at)
        self._letters_before += self.at
        self.letters, self.at, self.last = self.letters[self.at :] + more, 0, last

    def peek(self) -> str:
        """The next letter; raises NeedMore."""
        if self.at >= len(self.letters):
            raise NeedMore
        return self.letters[self.at]

    def skip_space(self) -> None:
        """Goes on to the next letter that is no blank."""
        self.at = self.after_space(self.at)

    def after_space(self, at: int) -> int:
        """The place of the first letter from there on that is no blank."""
        match = _SPACE.match(self.letters, at)
        return match.end() if match else at

    def left(self) -> int:
        """How many letters are here."""
        return len(self.letters) - self.at

    def decode(self) -> tuple[Any, int]:
        """The value that begins here, and where it ends; raises NeedMore where that is not here yet."""
        try:
            value, end = DECODER.raw_decode(self.letters, self.at)
        except RecursionError:
            self.damaged("objects and arrays are nested too deep", self.at)
        except ValueError as error:
            self._check_damage(error)
            raise NeedMore from error
        if self.goes_on(end):
            raise NeedMore
        return value, end

    def goes_on(self, end: int) -> bool:
        """Whether a value that seems to end there may be the beginning of a longer number."""
        return (
            not self.last
            and len(self.letters) - end < _LONGEST
            and _IN_NUMBERS.fullmatch(self.letters, end) is not None
        )

    def _check_damage(self, error: ValueError) -> None:
        """Raises FormatError where what cannot be decoded is not merely incomplete."""
        wrong = int(getattr(error, "pos", self.at))
        reason = str(getattr(error, "msg", "it cannot be read"))
        if self.last and wrong < len(self.letters.rstrip()) and "Unterminated" not in reason:
            self.damaged(reason[0].lower() + reason[1:], wrong)
        if self.left() > MAX_VALUE:
            if wrong < len(self.letters) - MAX_VALUE // 2:
                self.damaged(reason[0].lower() + reason[1:], wrong)
            self.damaged(f"a record or a value is longer than {MAX_VALUE:,} characters", self.at)

    def line(self) -> int:
        """The number of the line that is being read."""
        return self._lines_before + self.letters.count("\n", 0, self.at) + 1

    def damaged(self, reason: str, at: int) -> NoReturn:
        """Raises the FormatError that says what is wrong there."""
        line = self._lines_before + self.letters.count("\n", 0, at) + 1
        raise FormatError(
            "damaged_json",
            f"the JSON is damaged on line {line:,} (character {self._letters_before + at + 1:,} of the file): "
            f'{reason}, found "{self.letters[at : at + 20]}"',
            "Fetch the file again from where it was made.",
        )

    def ends_in_the_middle(self) -> NoReturn:
        """Raises the FormatError that says so."""
        line = self._lines_before + self.letters.count("\n") + 1
        raise FormatError(
            "damaged_json",
            f"the JSON ends in the middle, on line {line:,}",
            "The file was cut off before it came here; fetch it again.",
        )


class Gathered:
    """Bytes of JSON as they come, decoded, without a BOM, and handed on in pieces that are worth scanning."""

    def __init__(self, encoding: str) -> None:
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._pieces: list[str] = []
        self._size = 0
        self._at_start = True

    def add(self, piece: bytes, last: bool = False) -> bool:
        """Takes the bytes; whether there is enough to go on with."""
        text = self._decoder.decode(piece, last)
        if self._at_start and text:
            self._at_start, text = False, text.removeprefix("\ufeff")
        self.put_back(text)
        return self._size >= _GATHERED

    def put_back(self, text: str) -> None:
        """Keeps a text for the next time."""
        self._pieces.append(text)
        self._size += len(text)

    def take(self) -> str:
        """All that was gathered since the last time."""
        text = "".join(self._pieces)
        self._pieces, self._size = [], 0
        return text
