"""Where the records of a JSON file stand, as a text: the keys that lead to their array, joined by dots.

"energy.values" is the array at the key values of the object at the key energy. "[]" means every element of an array:
"results[].series[].values"; the texts and numbers beside the inner arrays then become columns. "*" means every key of
an object. Empty is the outermost array. A dot, a bracket, an asterisk or a backslash that belongs to a key has a
backslash in front of it.
"""

import re
from dataclasses import dataclass

from daybook.formats.layout import FormatError

_KEY = re.compile(r"(?:[^.\[\]*\\]|\\.)+")
MAX_STEPS = 20


@dataclass(frozen=True)
class Key:
    """A step to what an object has at this key."""

    name: str


@dataclass(frozen=True)
class Each:
    """A step to every element of an array ("[]"), or to what an object has at any key ("*")."""

    opener: str


Step = Key | Each
Path = tuple[Step, ...]
ELEMENTS = Each("[")
ANY_KEY = Each("{")


def path_text(path: Path) -> str:
    """The path as people write it; `parse_path` turns it back."""
    text = ""
    for step in path:
        if step == ELEMENTS:
            text += "[]"
            continue
        word = re.sub(r"([.\[\]*\\])", r"\\\1", step.name) if isinstance(step, Key) else "*"
        text += f".{word}" if text else word
    return text


def parse_path(text: str) -> Path:
    """The steps of a path; raises FormatError (bad_path) where it is none. A last "[]" may be left out or written."""
    steps: list[Step] = []
    at = 0
    while at < len(text):
        if text.startswith("[]", at):
            steps.append(ELEMENTS)
            at += 2
            continue
        if steps:
            if text[at] != ".":
                raise _bad(text)
            at += 1
        elif text[at] == ".":
            raise _bad(text)
        if text.startswith("*", at):
            steps.append(ANY_KEY)
            at += 1
            continue
        key = _KEY.match(text, at)
        if key is None:
            raise _bad(text)
        steps.append(Key(re.sub(r"\\(.)", r"\1", key[0])))
        at = key.end()
    if len(steps) > MAX_STEPS:
        raise _bad(text)
    return tuple(steps)


def _bad(text: str) -> FormatError:
    return FormatError(
        "bad_path",
        f'"{text[:80]}" is no path to the records of a JSON file',
        'Write the keys that lead to their array, such as "energy.values"; "[]" stands for every element of an array.',
    )
