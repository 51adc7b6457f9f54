"""Walking through JSON as it comes, past everything but the records, which are taken one by one and never held.

json.scanner, in C, reads the records; only what stands around them is walked by hand.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from daybook.formats.json_paths import ANY_KEY, ELEMENTS, Key, Path, path_text
from daybook.formats.json_survey import DECODER, candidates, columns_of, holds_reading, scalars_of
from daybook.formats.json_text import JsonText, NeedMore
from daybook.formats.layout import FormatError

_NEXT = re.compile(r"[ \t\n\r]*(?:(,)[ \t\n\r]*|\])")
_HELD_BACK = 64 * 1024  # a value beside the records that is shorter is decoded whole
_MAX_DEPTH = 200
_MAX_MEMBERS = 1000


@dataclass
class Found:
    """Some records of one array. outer: what stood beside it, and before it, in the elements of outer arrays; columns:
    what its object names the columns; key: of that object at which it stands."""

    outer: dict[str, Any]
    columns: list[str] | None
    key: str
    records: list[Any]


@dataclass
class _Frame:
    """An object or array that is open. matched: how many steps of the path lead to it; None: it is beside the path."""

    opener: str
    key: str  # at which it stands, "" in an array
    matched: int | None
    members: dict[str, Any] = field(default_factory=dict)  # of an object on the path: what is no array of records
    pending: str | None = None  # the key of the value that comes next
    expects: str = "first"  # first, member, value, comma
    is_records: bool = False
    had_records: bool = False
    seen: int = 0  # readings in an array beside the path


class JsonWalker:
    """Give it the text in pieces; it yields the records at the path. Raises FormatError for what is no JSON, and where
    it ends in the middle."""

    def __init__(self, path: Path) -> None:
        self.left_out: dict[str, int] = {}  # arrays of readings beside the path, with how many were seen in them
        self.arrays = 0
        self._path = path
        self._text = JsonText()
        self._stack: list[_Frame] = []
        self._began = False

    def feed(self, text: str, *, last: bool = False) -> Iterator[Found]:
        """The records that this piece completes; `last`: no text follows."""
        self._text.add(text, last)
        try:
            while True:
                self._text.skip_space()
                if self._began and not self._stack:
                    if self._text.left():
                        self._text.damaged("something follows after the end of the JSON", self._text.at)
                    return
                if self._stack and self._stack[-1].is_records:
                    yield from self._take_records(self._stack[-1])
                else:
                    self._step()
        except NeedMore:
            if last:
                self._text.ends_in_the_middle()

    # the values around the records

    def _step(self) -> None:
        if not self._began:
            self._began = True
            self._open(self._text.peek(), "", 0)
            return
        frame = self._stack[-1]
        letter = self._text.peek()
        closer = "}" if frame.opener == "{" else "]"
        if letter == closer and frame.expects in ("first", "comma"):
            self._text.at += 1
            self._close()
        elif frame.expects == "comma":
            if letter != ",":
                self._text.damaged(f'expected "," or "{closer}"', self._text.at)
            self._text.at += 1
            frame.expects = "member"
        elif frame.opener == "{" and frame.expects != "value":
            self._read_key(frame)
        else:
            frame.expects = "comma"
            try:
                self._value(frame, letter)
            except NeedMore:
                frame.expects = "value" if frame.opener == "{" else "member"
                raise

    def _read_key(self, frame: _Frame) -> None:
        key, end = self._text.decode()
        colon = self._text.after_space(end)
        if not isinstance(key, str):
            self._text.damaged("expected a key in quotes", self._text.at)
        if colon >= len(self._text.letters):
            raise NeedMore
        if self._text.letters[colon] != ":":
            self._text.damaged('expected ":"', colon)
        frame.pending, frame.expects, self._text.at = key, "value", colon + 1

    def _value(self, frame: _Frame, letter: str) -> None:
        key = frame.pending or ""
        matched = self._matched(frame, key)
        if letter in "{[" and matched is not None and (matched < len(self._path) or letter == "["):
            self._open(letter, key, matched)
            return
        if letter == "{" and matched is not None and self._path[-1] != ANY_KEY:
            raise FormatError(
                "no_records",
                f'"{path_text(self._path)}" is no array, but an object',
                "Give the path to an array of records.",
            )
        try:
            value, end = self._text.decode()
        except NeedMore:
            if letter not in "{[" or (self._text.left() < _HELD_BACK and not self._text.last):
                raise
            self._open(letter, key, None)
            return
        self._text.at = end
        self._pass_by(frame, key, value)

    def _matched(self, frame: _Frame, key: str) -> int | None:
        if frame.matched is None or frame.matched == len(self._path):
            return None
        step = self._path[frame.matched]
        wanted = step == ELEMENTS if frame.opener == "[" else step in (ANY_KEY, Key(key))
        return frame.matched + 1 if wanted else None

    def _open(self, letter: str, key: str, matched: int | None) -> None:
        if letter not in "{[":
            self._text.damaged("expected an object or an array", self._text.at)
        if len(self._stack) >= _MAX_DEPTH:
            self._text.damaged("objects and arrays are nested too deep", self._text.at)
        frame = _Frame(letter, key, matched)
        if matched == len(self._path):
            if letter == "{":
                raise FormatError(
                    "no_records", "the JSON holds one object and no array of records", "Give the path to an array."
                )
            frame.is_records = True
            self.arrays += 1
            for outer in self._stack:
                outer.had_records = True
        self._stack.append(frame)
        self._text.at += 1

    def _close(self) -> None:
        frame = self._stack.pop()
        if frame.seen:
            self._leave_out(self._place(frame.key), frame.seen)

    def _pass_by(self, frame: _Frame, key: str, value: Any) -> None:
        """A value beside the records: perhaps what they are called by, perhaps readings that are left out."""
        if frame.matched is None and frame.opener == "[":
            frame.seen += holds_reading(value)
            return
        if frame.opener == "{" and frame.matched is not None:
            if frame.had_records and isinstance(value, str) and self._repeats() and not scalars_of(frame.members):
                raise FormatError(
                    "json_order",
                    f'"{key}" stands behind the records that it may belong to, on line {self._text.line():,}',
                    "Write the names of sensors before their readings, or one object per reading.",
                )
            if (not isinstance(value, list) or columns_of({key: value})) and len(frame.members) < _MAX_MEMBERS:
                frame.members[key] = value
        if isinstance(value, dict | list):
            for found in candidates({key: value} if frame.opener == "{" else [value]):
                if found.readings:
                    inner = path_text(found.path)
                    place = self._place("")
                    self._leave_out(
                        f"{place}.{inner}" if place and not inner.startswith("[") else place + inner, found.readings
                    )

    def _repeats(self) -> bool:
        """Whether the records are in elements of an array, of which the innermost object open now is one."""
        matched = self._stack[-1].matched or 0
        return any(step in (ELEMENTS, ANY_KEY) for step in self._path[:matched])

    def _place(self, key: str) -> str:
        keys = [frame.key for frame in self._stack] + [key]
        return ".".join(one for one in keys if one)

    def _leave_out(self, place: str, readings: int) -> None:
        if place in self.left_out or len(self.left_out) < 100:
            self.left_out[place] = self.left_out.get(place, 0) + readings

    # the records

    def _take_records(self, frame: _Frame) -> Iterator[Found]:
        records: list[Any] = []
        if self._text.peek() == "]" and frame.expects == "first":
            self._text.at += 1
            self._stack.pop()
            return
        frame.expects = "member"
        text, at, decode, follows = self._text.letters, self._text.at, DECODER.raw_decode, _NEXT.match
        try:
            while True:
                value, end = decode(text, at)
                sign = follows(text, end)
                if sign is None:
                    self._check_what_follows(end)
                    break
                records.append(value)
                at = sign.end()
                if sign[1] is None:
                    self._stack.pop()
                    break
        except RecursionError:
            self._text.damaged("a record is nested too deep", at)
        except json.JSONDecodeError:
            pass  # not complete, or damaged
        self._text.at = at
        if records:
            yield self._found(frame, records)
        if self._stack and self._stack[-1] is frame:
            self._text.decode()  # says so where it is damaged
            raise NeedMore

    def _check_what_follows(self, end: int) -> None:
        if self._text.after_space(end) < len(self._text.letters) and not self._text.goes_on(end):
            self._text.damaged('expected "," or "]"', self._text.after_space(end))

    def _found(self, frame: _Frame, records: list[Any]) -> Found:
        outer: dict[str, Any] = {}
        columns = None
        for depth, one in enumerate(self._stack):
            steps = self._path[: one.matched or 0]
            if one is frame or one.opener == "[" or one.matched is None:
                continue
            columns = columns_of(one.members) or columns
            if ELEMENTS in steps or ANY_KEY in steps:
                outer |= scalars_of(one.members)
            if self._path[one.matched] == ANY_KEY:
                below = self._stack[depth + 1] if depth + 1 < len(self._stack) else frame
                outer["sensor"] = below.key
        return Found(outer, columns, frame.key, records)
