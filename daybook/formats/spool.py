"""Files that can only be read from their end, kept on disk until they are whole."""

import errno
import tempfile
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from daybook.formats.records import About, Notes, needs_whole_file


class Scratch:
    """A file without a name in this folder, or the system's own; gone when nobody needs it any more, whatever
    happens, and at the latest when its process ends."""

    def __init__(self, folder: Path | None) -> None:
        self.file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - it is open as long as this is here
        weakref.finalize(self, self.file.close)


def is_of_the_disk(error: Exception) -> bool:
    """Whether it is the disk that cannot be read or written; a place that a damaged file names (EINVAL) is not."""
    return isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)


class Spooled:
    """A file of which nothing can be read before its last byte is here."""

    def __init__(
        self, folder: Path | None, read: Callable[[IO[bytes], About, Notes], Iterator[bytes]], about: About
    ) -> None:
        self.about = about
        self.notes = Notes()
        self._scratch = Scratch(folder)
        self._read = read

    def feed(self, piece: bytes) -> Iterator[bytes]:
        self._scratch.file.write(piece)
        yield from ()

    def flush(self) -> Iterator[bytes]:
        raise needs_whole_file()

    def end(self) -> Iterator[bytes]:
        self._scratch.file.seek(0)
        yield from self._read(self._scratch.file, self.about, self.notes)
