"""How a row's key stands in an address: as one part of it, beside words there that mean something else.

A key may be any text, such as a counter's name: "a/b", "add" or "..". What an address would take for something else is
written as an underscore and two hex digits.
"""

import re

from werkzeug.routing import BaseConverter

# What follows a table's name in the addresses of its own views, and what browsers walk up and down by.
TAKEN = frozenset(("add", "act", "export.csv", ".", ".."))
_WRITTEN = re.compile("_([0-9A-F]{2})")
_TO_WRITE = re.compile("/|_(?=[0-9A-F]{2})")


def written(key: object) -> str:
    """The key as a part of an address, before its letters are percent-encoded."""
    text = _TO_WRITE.sub(lambda found: f"_{ord(found[0]):02X}", str(key))
    return f"_{ord(text[0]):02X}{text[1:]}" if text in TAKEN else text


def read(text: str) -> str:
    """The key that `written` wrote so."""
    return _WRITTEN.sub(lambda found: chr(int(found[1], 16)), text)


class RowKey(BaseConverter):
    """The part of a route that names a row: <row_key:key>."""

    def to_python(self, value: str) -> str:
        return read(value)

    def to_url(self, value: object) -> str:
        return super().to_url(written(value))
