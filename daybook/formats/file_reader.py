"""One file from its bytes to batches of readings, whatever it is packed in."""

import codecs
from collections.abc import Iterator

from daybook.formats.batch import Batch
from daybook.formats.delimited import DelimitedReader
from daybook.formats.detect import SAMPLE_BYTES, detect
from daybook.formats.layout import DateOrder, Layout
from daybook.formats.lines import Block, LineCutter
from daybook.formats.unpack import GZIP_MAGIC, Gunzip

BLOCK_BYTES = 1024 * 1024


class FileReader:
    """Feed it the bytes in order; it yields a batch for every block of lines, and has a layout from the first on.

    Holds about two blocks, however large the file. The first batch also accounts for the lines above the data. Raises
    FormatError where the file cannot be read as readings.
    """

    def __init__(
        self, *, unpacked_max_bytes: int, timezone: str | None = None, date_order: DateOrder | None = None
    ) -> None:
        self.layout: Layout | None = None
        self._timezone = timezone
        self._date_order = date_order
        self._unpacked_max_bytes = unpacked_max_bytes
        self._gunzip: Gunzip | None = None
        self._first: bytes | None = b""  # until it is known how the bytes are packed
        self._cr_to_lf = False
        self._head = bytearray()
        self._cutter = LineCutter(BLOCK_BYTES)
        self._reader: DelimitedReader | None = None

    def feed(self, piece: bytes) -> Iterator[Batch]:
        """The batches that this piece completes."""
        if self._first is not None:
            piece = self._first + piece
            if len(piece) < len(GZIP_MAGIC):
                self._first = piece
                return
            self._first = None
            if piece.startswith(GZIP_MAGIC):
                self._gunzip = Gunzip(self._unpacked_max_bytes)
        for text in self._gunzip.feed(piece) if self._gunzip else (piece,):
            yield from self._feed_text(text)

    def end(self) -> Iterator[Batch]:
        """The last batches, when no byte follows."""
        if self._first:
            self._head += self._first
        if self._gunzip:
            self._gunzip.end()
        if self.layout is None:
            yield from self._begin(whole=True)
        for block in self._cutter.end():
            yield self._read(block)

    def _feed_text(self, text: bytes) -> Iterator[Batch]:
        if self.layout is None:
            self._head += text
            if len(self._head) > SAMPLE_BYTES:
                yield from self._begin(whole=False)
            return
        for block in self._cutter.feed(text.replace(b"\r", b"\n") if self._cr_to_lf else text):
            yield self._read(block)

    def _begin(self, whole: bool) -> Iterator[Batch]:
        head = bytes(self._head)
        self._head.clear()
        self._cr_to_lf = b"\r" in head[:SAMPLE_BYTES] and b"\n" not in head[:SAMPLE_BYTES]  # as old Macintoshes write
        if self._cr_to_lf:
            head = head.replace(b"\r", b"\n")
        # As long whatever pieces the bytes came in: the layout depends on the file alone.
        sample = head[:SAMPLE_BYTES]
        self.layout = detect(sample, whole=whole, timezone=self._timezone, date_order=self._date_order)
        self._reader = DelimitedReader(self.layout)
        start = len(codecs.BOM_UTF8) if sample.startswith(codecs.BOM_UTF8) else 0
        for _ in range(self.layout.data_line - 1):
            start = sample.index(b"\n", start) + 1
        above = self.layout.data_line - 1
        yield Batch(lines=above, preamble=above)
        self._cutter = LineCutter(BLOCK_BYTES, first_line=self.layout.data_line)
        for block in self._cutter.feed(head[start:]):
            yield self._read(block)

    def _read(self, block: Block) -> Batch:
        assert self._reader is not None
        return self._reader.read(block)
