"""One file from its bytes to batches of readings, whatever it is packed in."""

import codecs
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from daybook.formats.archives import Archive
from daybook.formats.batch import Batch
from daybook.formats.delimited import DelimitedReader
from daybook.formats.detect import SAMPLE_BYTES, detect
from daybook.formats.encodings import is_utf16
from daybook.formats.given import Given
from daybook.formats.kinds import kind_of, source_of, workbook_source
from daybook.formats.layout import DateOrder, Layout
from daybook.formats.lines import Block, LineCutter
from daybook.formats.records import About, Source
from daybook.formats.unpack import GZIP_MAGIC, Gunzip

BLOCK_BYTES = 1024 * 1024


class _Route(Protocol):
    """What the unpacked bytes of a file go through."""

    @property
    def layout(self) -> Layout | None: ...

    def feed(self, piece: bytes) -> Iterator[Batch]: ...

    def end(self) -> Iterator[Batch]: ...


class FileReader:
    """Feed it the bytes in order; it yields a batch for every block of lines, and has a layout from the first on.

    Holds about two blocks, however large the file. The first batch also accounts for the lines above the data. Zip
    archives, workbooks and Parquet are kept in a file without a name in `spool_folder` until they are whole; all their
    batches come from `end`. Of an archive of several files, `layout` is the first one's.

    What is `given` of the layout is not looked for; `timezone` and `date_order` come before its own. Raises FormatError
    where the file cannot be read as readings.
    """

    def __init__(
        self,
        *,
        unpacked_max_bytes: int,
        timezone: str | None = None,
        date_order: DateOrder | None = None,
        given: Given = Given(),  # noqa: B008 - it cannot be changed
        spool_folder: Path | None = None,
    ) -> None:
        self._given = replace(given, timezone=timezone or given.timezone, date_order=date_order or given.date_order)
        self._unpacked_max_bytes = unpacked_max_bytes
        self._spool_folder = spool_folder
        self._is_member = False
        self._gunzip: Gunzip | None = None
        self._first: bytes | None = b""  # until it is known how the bytes are packed
        self._head: list[bytes] = []  # until it is known what they are
        self._head_size = 0
        self._route: _Route | None = None

    @property
    def layout(self) -> Layout | None:
        """What the file looks like, once that is known."""
        return self._route.layout if self._route else None

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
            yield from self._feed_unpacked(text)

    def end(self) -> Iterator[Batch]:
        """The last batches, when no byte follows."""
        if self._first:
            self._head.append(self._first)
        if self._gunzip:
            self._gunzip.end()
        if self._route is None:
            yield from self._begin(whole=True)
        assert self._route is not None
        yield from self._route.end()

    def _feed_unpacked(self, piece: bytes) -> Iterator[Batch]:
        if self._route:
            yield from self._route.feed(piece)
            return
        self._head.append(piece)
        self._head_size += len(piece)
        if self._head_size > SAMPLE_BYTES:
            yield from self._begin(whole=False)

    def _begin(self, whole: bool) -> Iterator[Batch]:
        """Decides by the first part of the file, which is as long whatever pieces it came in."""
        head = b"".join(self._head)
        self._head = []
        sample = head[:SAMPLE_BYTES]
        if kind_of(sample) == "zip":
            member = None if self._is_member else self._member
            self._route = Archive(self._spool_folder, self._unpacked_max_bytes, self._workbook, member)
        else:
            source = source_of(sample, whole, self._given, self._unpacked_max_bytes, self._spool_folder)
            self._route = _Table(source, self._given)
        yield from self._route.feed(head)

    def _workbook(self) -> "_Table":
        return _Table(workbook_source(self._given, self._unpacked_max_bytes, self._spool_folder), self._given)

    def _member(self) -> "FileReader":
        reader = FileReader(
            unpacked_max_bytes=self._unpacked_max_bytes, given=self._given, spool_folder=self._spool_folder
        )
        reader._is_member = True
        return reader


class _Table:
    """One table: lines from a source, cut into blocks, and read by the layout that their first part shows."""

    def __init__(self, source: Source, given: Given) -> None:
        self.layout: Layout | None = None
        self._source = source
        self._given = given
        self._head = bytearray()
        self._cr_to_lf = False
        self._cutter = LineCutter(BLOCK_BYTES)
        self._reader: DelimitedReader | None = None
        self._held: Batch | None = None  # until it is known that its source has no more to say of its lines
        self._lines = 0

    def feed(self, piece: bytes) -> Iterator[Batch]:
        for text in self._source.feed(piece):
            yield from self._feed_text(text)

    def end(self) -> Iterator[Batch]:
        for text in self._source.end():
            yield from self._feed_text(text)
        if self.layout is None:
            yield from self._begin(whole=True)
        for block in self._cutter.end():
            yield from self._read(block)
        if self._held:
            self._source.notes.put_into(self._held, self._lines)
            yield self._held

    def _feed_text(self, text: bytes) -> Iterator[Batch]:
        if self.layout is None:
            self._head += text
            if len(self._head) > SAMPLE_BYTES:
                yield from self._begin(whole=False)
            return
        for block in self._cutter.feed(text.replace(b"\r", b"\n") if self._cr_to_lf else text):
            yield from self._read(block)

    def _begin(self, whole: bool) -> Iterator[Batch]:
        head = bytes(self._head)
        self._head.clear()
        self._cr_to_lf = b"\r" in head[:SAMPLE_BYTES] and b"\n" not in head[:SAMPLE_BYTES]  # as old Macintoshes write
        if self._cr_to_lf:
            head = head.replace(b"\r", b"\n")
        # As long whatever pieces the bytes came in: the layout depends on the file alone.
        sample = head[:SAMPLE_BYTES]
        self.layout = layout_of(sample, whole, self._given, self._source.about)
        self._reader = DelimitedReader(_as_read(self.layout))
        start = len(codecs.BOM_UTF8) if sample.startswith(codecs.BOM_UTF8) else 0
        for _ in range(self.layout.data_line - 1):
            start = sample.index(b"\n", start) + 1
        above = self.layout.data_line - 1
        yield from self._hold(Batch(lines=above, preamble=above))
        self._cutter = LineCutter(BLOCK_BYTES, first_line=self.layout.data_line)
        for block in self._cutter.feed(head[start:]):
            yield from self._read(block)

    def _read(self, block: Block) -> Iterator[Batch]:
        assert self._reader is not None
        yield from self._hold(self._reader.read(block))

    def _hold(self, batch: Batch) -> Iterator[Batch]:
        if self._source.about.file == "text":
            yield batch
            return
        if self._held:
            yield self._held
        self._lines += batch.lines
        self._source.notes.put_into(batch, self._lines)
        self._held = batch


def layout_of(sample: bytes, whole: bool, given: Given, about: About) -> Layout:
    """The layout that the first lines of a source show."""
    layout = detect(
        sample,
        whole=whole,
        given=about.as_lines(given),
        timezone=given.timezone,
        date_order=given.date_order,
        file=about.file,
        encoding=about.encoding,
        names=about.names,
        path=about.path,
        sheet=about.sheet,
    )
    if about.timezone and not given.timezone and layout.timezone_from == "request":
        layout = replace(layout, timezone_from="file")
    return about.with_units(layout)


def _as_read(layout: Layout) -> Layout:
    """The layout for the reader of lines, which gets UTF-16 as UTF-8."""
    return replace(layout, encoding="utf-8") if is_utf16(layout.encoding) else layout
