"""UTF-16, as Excel's "Unicode text" and some loggers write it, turned into UTF-8 before lines are cut."""

import codecs
from collections.abc import Iterator

from daybook.formats.layout import FormatError
from daybook.formats.records import About, Notes

_LOOKED_AT = 4096
_UTF16 = ("utf-16", "utf-16-le", "utf-16-be")
_UTF32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


def utf16_of(head: bytes) -> str | None:
    """The kind of UTF-16 that the file which begins with these bytes is; None for all else. Raises FormatError for
    UTF-32.

    Without a byte order mark: every second byte of Latin text is NUL, and hardly any of the others.
    """
    even, odd = head[:_LOOKED_AT:2], head[1:_LOOKED_AT:2]
    if head.startswith(_UTF32) or (
        len(head) >= 8 and _nuls(head[2:_LOOKED_AT:4]) == 1 and 0.7 < _nuls(even + odd) < 0.8
    ):
        raise FormatError("utf32", "the file is UTF-32 text, which no logger writes", "Save it as UTF-8.")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if len(head) >= 4 and _nuls(even) < 0.05 and _nuls(odd) > 0.8:
        return "utf-16-le"
    if len(head) >= 4 and _nuls(odd) < 0.05 and _nuls(even) > 0.8:
        return "utf-16-be"
    return None


def byte_order(encoding: str, head: bytes) -> str:
    """The encoding by which the file that begins with these bytes is decoded, its mark included."""
    if encoding != "utf-16":
        return encoding
    return "utf-16-be" if head.startswith(codecs.BOM_UTF16_BE) else "utf-16-le"


def _nuls(data: bytes) -> float:
    return data.count(0) / len(data) if data else 0.0


class Plain:
    """Text in an encoding that keeps the bytes of ASCII: it goes on as it is."""

    def __init__(self) -> None:
        self.about = About()
        self.notes = Notes()

    def feed(self, piece: bytes) -> Iterator[bytes]:
        yield piece

    def flush(self) -> Iterator[bytes]:
        yield from ()

    def end(self) -> Iterator[bytes]:
        yield from ()


class Utf16:
    """UTF-16 to UTF-8; what is no character comes out as U+FFFD."""

    def __init__(self, encoding: str, byte_order: str) -> None:
        self.about = About(encoding=encoding)
        self.notes = Notes()
        self._decoder = codecs.getincrementaldecoder(byte_order)("replace")
        self._at_start = True

    def feed(self, piece: bytes) -> Iterator[bytes]:
        yield self._recoded(piece, last=False)

    def flush(self) -> Iterator[bytes]:
        yield from ()

    def end(self) -> Iterator[bytes]:
        yield self._recoded(b"", last=True)

    def _recoded(self, piece: bytes, last: bool) -> bytes:
        text = self._decoder.decode(piece, last)
        if self._at_start and text:
            self._at_start = False
            text = text.removeprefix("\ufeff")
        return text.encode()


def is_utf16(encoding: str | None) -> bool:
    """Whether that is the name of a kind of UTF-16."""
    return encoding in _UTF16
