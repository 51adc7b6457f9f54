"""File types as a JSON file, to be carried from one Daybook to another, and back."""

import json
from collections import Counter
from typing import Any

from daybook.file_types import FileTypeError, NamedType, check_text, clean_name
from daybook.formats.given import Given
from daybook.formats.layout import FormatError


def to_text(types: list[NamedType]) -> str:
    """The types as the JSON file that `from_text` reads."""
    entries = [{"name": named.name, "layout": named.given.to_json()} for named in types]
    return json.dumps({"file_types": entries}, ensure_ascii=False, indent=2) + "\n"


def from_text(text: str) -> list[tuple[str, Given]]:
    """The types of a JSON file: one object {name, layout}, a list of them, or {"file_types": [...]}. Raises
    FileTypeError (bad_json, bad_name, bad_layout) that names the place."""
    try:
        found = json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise FileTypeError("bad_json", f"this is not JSON: {error}", "Choose a file that Daybook exported.") from None
    check_text(found)
    entries = found.get("file_types", [found]) if isinstance(found, dict) else found
    if not isinstance(entries, list) or not entries:
        raise FileTypeError(
            "bad_json", "there is no file type in it", 'Expected is {"file_types": [{"name", "layout"}]}.'
        )
    types = [_entry(number, entry) for number, entry in enumerate(entries, start=1)]
    names = Counter(name.casefold() for name, _ in types)
    twice = next((name for name, count in names.items() if count > 1), None)
    if twice is not None:
        raise FileTypeError("bad_name", f'two of the file types are named "{twice}"', "Give one of them another name.")
    return types


def _entry(number: int, entry: Any) -> tuple[str, Given]:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise FileTypeError("bad_json", f"file type {number} has no name", 'Expected is {"name": …, "layout": {…}}.')
    try:
        return clean_name(entry["name"]), Given.from_json(entry.get("layout"))
    except FormatError as error:
        raise FileTypeError("bad_layout", f'file type {number}, "{entry["name"]}": {error}', error.hint) from None
    except FileTypeError as error:
        raise FileTypeError(error.code, f"file type {number}: {error}", error.hint) from None
