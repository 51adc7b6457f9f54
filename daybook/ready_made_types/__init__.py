"""File types that come with Daybook, one JSON file each: what the format itself fixes, from its published description.

A file holds name, about (what files it is for, one sentence), source (where the format is described) and layout, as
docs/file-types.md explains it. Columns that differ from logger to logger are found out from each file.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from daybook.formats.given import Given

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class ReadyMade:
    """One type that comes with Daybook."""

    name: str
    about: str
    source: str
    given: Given


@cache
def all_types() -> tuple[ReadyMade, ...]:
    """Every ready-made type, by name."""
    types = [_read(path) for path in _FOLDER.glob("*.json")]
    return tuple(sorted(types, key=lambda ready: (ready.name.casefold(), ready.name)))


def find(name: str) -> ReadyMade | None:
    """The type of that name, whatever the case of its letters."""
    key = name.strip().casefold()
    return next((ready for ready in all_types() if ready.name.casefold() == key), None)


def _read(path: Path) -> ReadyMade:
    found = json.loads(path.read_text("utf-8"))
    return ReadyMade(found["name"], found["about"], found["source"], Given.from_json(found["layout"]))
