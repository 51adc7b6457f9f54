"""The lines of an upload that were rejected, as a file to be mended and uploaded again.

They come out of the kept copy byte for byte, behind everything that stood above the data, so that the mended file is
understood as the first one was. Knows text files alone: a record of JSON or a row of a workbook is no line of bytes.
"""

import codecs
import gzip
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from daybook import raw_copies, sql
from daybook.models import UploadIssue
from daybook.upload_report import UploadReport

_PIECE = 256 * 1024
_HEAD = 1024 * 1024  # as much as an import looks at to know the file
_ZIP_MAGIC = b"PK\x03\x04"


class NoRejectedLines(LookupError):
    """There is no such file; the message says why."""


@dataclass(frozen=True)
class RejectedLines:
    """The file: its name, its text encoding, its bytes as a stream; how many lines were rejected, and are in it."""

    filename: str
    encoding: str
    pieces: Iterator[bytes]
    rejected: int
    listed: int

    @property
    def hint(self) -> str:
        """What to know where the file does not hold all of them; empty where it does."""
        if self.listed == self.rejected:
            return ""
        return f"Only the first {self.listed:,} of {self.rejected:,} rejected lines are known by their numbers."


def open_rejected(engine: Engine, folder: Path, report: UploadReport) -> RejectedLines:
    """The rejected lines of an upload that is done. Raises NoRejectedLines."""
    row, layout = report.upload, report.upload.layout or {}
    path, head = _text_copy(folder, report)
    wanted = _numbers(engine, row.id)
    encoding = layout.get("encoding", "utf-8")
    pieces = _Lines(head, encoding).chosen(_unpacked(path), layout.get("data_line", 1), wanted)
    return RejectedLines(_name(row.filename), encoding, pieces, row.lines_rejected, len(wanted))


def are_offered(folder: Path, report: UploadReport) -> bool:
    """Whether `open_rejected` has a file with lines in it."""
    if not report.rejected_listed:
        return False
    try:
        _text_copy(folder, report)
    except NoRejectedLines:
        return False
    return True


def _text_copy(folder: Path, report: UploadReport) -> tuple[Path, bytes]:
    """The kept copy that the lines come from, and its first part."""
    row, layout = report.upload, report.upload.layout or {}
    if row.status != "done":
        raise NoRejectedLines(
            f"Upload {row.id} is {row.status}; only one that is done has rejected lines to be mended."
        )
    if not row.lines_rejected:
        raise NoRejectedLines(f"No line of upload {row.id} was rejected.")
    path = raw_copies.find(folder, row.id)
    if path is None or row.sha256 is None:
        raise NoRejectedLines(f"No copy of the file of upload {row.id} is kept, so its lines are not known any more.")
    head = b"".join(islice(_unpacked(path), _HEAD // _PIECE))
    if layout.get("file", "text") != "text" or head.startswith(_ZIP_MAGIC):
        raise NoRejectedLines(
            f"The file of upload {row.id} is not plain text, so its rejected rows cannot be cut out of it; they are "
            "listed with their numbers."
        )
    return path, head


def _numbers(engine: Engine, upload_id: int) -> list[int]:
    mine = UploadIssue.upload_id == upload_id, UploadIssue.rejected
    with sql.only_reading(), engine.connect() as connection:
        lines = sa.select(UploadIssue.line).where(*mine).distinct().order_by(UploadIssue.line)
        return list(connection.scalars(lines))


def _unpacked(path: Path) -> Iterator[bytes]:
    """The bytes of the text."""
    if path.suffix != ".gz":
        yield from raw_copies.read(path)
        return
    with gzip.open(path) as file:
        while piece := file.read(_PIECE):
            yield piece


def _name(filename: str) -> str:
    """mast.csv.gz: mast-rejected.csv"""
    name = PurePosixPath(filename.removesuffix(".gz"))
    return f"{name.stem}-rejected{name.suffix}"


class _Lines:
    """Lines as an import counts them: they end with a line feed, or with CR where the file's first part knows no other.

    Bytes are looked at as text in which each byte is a letter, or each two of UTF-16, and which turns back into them.
    """

    def __init__(self, head: bytes, encoding: str) -> None:
        self._codec, mark = "latin-1", codecs.BOM_UTF8.decode("latin-1")
        if encoding.startswith("utf-16"):
            swapped = encoding == "utf-16-be" or head.startswith(codecs.BOM_UTF16_BE)
            self._codec, mark = "utf-16-be" if swapped else "utf-16-le", "\ufeff"
        start = self._decoder().decode(head)
        self._mark = mark if start.startswith(mark) else ""
        self._end = "\r" if "\r" in start and "\n" not in start else "\n"

    def chosen(self, pieces: Iterable[bytes], data_line: int, wanted: list[int]) -> Iterator[bytes]:
        """Every line above the data, and the wanted ones (in order), as they stand in the file."""
        numbers = iter([*range(1, data_line), *(number for number in wanted if number >= data_line)])
        number, line = next(numbers, None), 1
        if number != 1:
            yield self._encoded(self._mark)
        for block in self._whole_lines(pieces):
            following = line + block.count(self._end) + (not block.endswith(self._end))
            if number is not None and number < following:
                *ended, rest = block.split(self._end)
                lines = [*(text + self._end for text in ended), rest]
                found = []
                while number is not None and number < following:
                    found.append(lines[number - line])
                    number = next(numbers, None)
                yield self._encoded("".join(found))
            if number is None:
                return
            line = following

    def _whole_lines(self, pieces: Iterable[bytes]) -> Iterator[str]:
        decoder, rest = self._decoder(), ""
        for piece in pieces:
            text = rest + decoder.decode(piece)
            end = text.rfind(self._end) + 1
            if end:
                yield text[:end]
            rest = text[end:]
        if rest:
            yield rest

    def _decoder(self) -> codecs.IncrementalDecoder:
        return codecs.getincrementaldecoder(self._codec)("surrogatepass")

    def _encoded(self, text: str) -> bytes:
        return text.encode(self._codec, "surrogatepass")
