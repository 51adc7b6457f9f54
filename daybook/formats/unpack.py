"""Compressed files: recognised by their first bytes, unpacked as they arrive, and stopped when they are bombs."""

import zlib
from collections.abc import Iterator

from daybook.formats.layout import FormatError

GZIP_MAGIC = b"\x1f\x8b"
MAX_RATIO = 1000  # deflate reaches 1032 on zeros; logger files reach 5 to 30
RATIO_COUNTS_FROM = 64 * 1024 * 1024
_PIECE = 1024 * 1024


class Gunzip:
    """Unpacks a gzip stream of one or more members, never more than 1 MiB at a time.

    Raises FormatError where the bytes are damaged, unpack to more than `max_bytes`, or unpack suspiciously well.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._packed = 0
        self._unpacked = 0
        self._member = zlib.decompressobj(wbits=31)
        self._started = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yields what `data` unpacks to, piece by piece."""
        self._packed += len(data)
        while data:
            if self._member.eof:
                data = data.lstrip(b"\0")  # tapes and some loggers pad the end with zeros
                if not data:
                    return
                self._member, self._started = zlib.decompressobj(wbits=31), False
            try:
                piece = self._member.decompress(data, _PIECE)
            except zlib.error as error:
                raise FormatError(
                    "damaged_gzip",
                    f"the gzip data is damaged after {self._unpacked:,} unpacked bytes",
                    "Compress the file again, or upload it uncompressed.",
                ) from error
            self._started = True
            self._unpacked += len(piece)
            self._check_size()
            yield piece
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail

    def end(self) -> None:
        """Says that no byte follows; raises FormatError when the last member is not complete."""
        if self._started and not self._member.eof:
            raise FormatError(
                "truncated_gzip",
                f"the gzip data ends in the middle, after {self._unpacked:,} unpacked bytes",
                "The file was cut off before it came here; fetch it again from the logger.",
            )

    def _check_size(self) -> None:
        if self._unpacked > self._max_bytes:
            raise FormatError(
                "unpacked_too_large",
                f"the gzip data unpacks to more than {self._max_bytes:,} bytes",
                "Split the file, or raise UNPACKED_MAX_BYTES.",
            )
        if self._unpacked > RATIO_COUNTS_FROM and self._unpacked > MAX_RATIO * self._packed:
            raise FormatError(
                "unpacks_too_well",
                f"{self._packed:,} bytes of gzip data unpack to {self._unpacked:,} or more; no logger's file does",
                "If it is one, unpack it and upload it uncompressed.",
            )
