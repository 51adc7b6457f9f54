"""The files as they came, kept compressed on disk, so that an import can be looked into and done again."""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from daybook.formats.unpack import GZIP_MAGIC

_PIECE = 256 * 1024


class RawCopy:
    """Writes one file's bytes: gzip as it is, anything else as zstd. `begin` first; `close` or `discard` ends it."""

    def __init__(self, folder: Path, upload_id: int) -> None:
        self._folder = folder
        self._upload_id = upload_id
        self._base = folder / str(upload_id)
        self._hash = hashlib.sha256()
        self._file: IO[bytes] | None = None
        self._stream: Any = None
        self._path = self._base

    def begin(self) -> None:
        """Makes room: a new book in an old folder begins its numbers again, and what lies there is not this file."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        remove(self._folder, self._upload_id)

    def write(self, data: bytes) -> None:
        if self._stream is None:
            packed = data.startswith(GZIP_MAGIC)
            self._path = self._base.with_suffix(".gz" if packed else ".zst")
            self._file = self._path.open("wb")
            self._stream = self._file if packed else pa.CompressedOutputStream(pa.PythonFile(self._file, "w"), "zstd")
        self._hash.update(data)
        self._stream.write(data)

    def close(self) -> str:
        """Ends the copy and returns the SHA-256 of the bytes that came, as hex digits."""
        try:
            if self._stream is not None:
                self._stream.close()
        finally:
            if self._file is not None:
                self._file.close()
        return self._hash.hexdigest()

    def discard(self) -> None:
        """Ends the copy and removes it."""
        with suppress(OSError):  # what cannot be written any more need not be
            self.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def find(folder: Path, upload_id: int) -> Path | None:
    """Where the copy of that upload lies, if there is one."""
    return next((path for path in (folder / f"{upload_id}.zst", folder / f"{upload_id}.gz") if path.exists()), None)


def read(path: Path) -> Iterator[bytes]:
    """The original bytes of a copy, piece by piece."""
    if path.suffix == ".gz":
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece
        return
    with pa.CompressedInputStream(pa.OSFile(str(path)), "zstd") as stream:
        while piece := stream.read(_PIECE):
            yield piece


def remove(folder: Path, upload_id: int) -> None:
    """Deletes the copy of that upload, if there is one."""
    for suffix in (".zst", ".gz"):
        (folder / f"{upload_id}{suffix}").unlink(missing_ok=True)
