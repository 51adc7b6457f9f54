"""zip archives: each file in one is read as if it had come alone."""

import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import IO, Protocol

from daybook.formats.batch import Batch, Issue, shown
from daybook.formats.layout import FormatError, Layout
from daybook.formats.records import too_large
from daybook.formats.spool import Scratch, is_of_the_disk
from daybook.formats.unpack import MAX_RATIO, RATIO_COUNTS_FROM
from daybook.formats.workbooks import WORKBOOK

ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
MAX_MEMBERS = 10_000
_PIECE = 256 * 1024
_ENCRYPTED = 1
# What it means when a member is no table of readings; other errors stop the import of the whole archive.
NO_TABLE = {"no_table", "no_rows", "no_records", "not_text", "empty_file", "markup", "line_too_long", "no_times"}
# What zipfile and the libraries below it raise for bytes that are no good archive.
_DAMAGE = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
    OverflowError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    zlib.error,
)
_DOCUMENTS = {
    "word/document.xml": "a Word document",
    "ppt/presentation.xml": "a PowerPoint presentation",
    "xl/workbook.bin": "a binary Excel workbook (.xlsb)",
    "mimetype": "an OpenDocument file (.ods, .odt) or an electronic book",
    "META-INF/MANIFEST.MF": "a Java program",
}


class Reader(Protocol):
    """What reads one member: `FileReader`."""

    @property
    def layout(self) -> Layout | None: ...

    def feed(self, piece: bytes) -> Iterator[Batch]: ...

    def end(self) -> Iterator[Batch]: ...


def is_workbook(file: IO[bytes]) -> bool:
    """Whether the zip archive is an Excel workbook. Raises FormatError for other documents that are packed so."""
    with open_zip(file) as archive:
        names = set(archive.namelist())
    if WORKBOOK in names:
        return True
    for name, kind in _DOCUMENTS.items():
        if name in names:
            raise FormatError(
                "not_text", f"the file is {kind}, not a table of readings", "Save the sheet as CSV or .xlsx."
            )
    return False


def members_of(archive: zipfile.ZipFile, max_bytes: int) -> list[zipfile.ZipInfo]:
    """The files to read, by name. Raises FormatError where one of them is no file to read, or they are too much."""
    if not all(member.filename for member in archive.infolist()):
        raise _damaged(ValueError("a file in it has no name"))
    found = [member for member in archive.infolist() if not member.is_dir() and not _is_of_the_system(member.filename)]
    if not found:
        raise FormatError("empty_file", "the zip archive holds no files", "Fetch it again from the logger.")
    if len(found) > MAX_MEMBERS:
        raise FormatError(
            "too_many_files", f"the zip archive holds {len(found):,} files", f"Put at most {MAX_MEMBERS:,} in one."
        )
    if sum(member.file_size for member in found) > max_bytes:
        raise too_large(max_bytes, "the zip archive")
    for member in found:
        _check(member)
    return sorted(found, key=lambda member: member.filename)


def _is_of_the_system(name: str) -> bool:
    """Files that macOS and others put beside those that somebody packed."""
    parts = PurePosixPath(name).parts
    return any(part.startswith(".") or part == "__MACOSX" for part in parts) or parts[-1:] in (
        ("Thumbs.db",),
        ("desktop.ini",),
    )


def _check(member: zipfile.ZipInfo) -> None:
    if member.flag_bits & _ENCRYPTED:
        raise FormatError(
            "encrypted",
            f'"{name_of(member)}" in the zip archive is protected by a password',
            "Pack it again without one.",
        )
    if member.file_size > RATIO_COUNTS_FROM and member.file_size > MAX_RATIO * member.compress_size:
        raise FormatError(
            "unpacks_too_well",
            f'"{name_of(member)}" unpacks from {member.compress_size:,} to {member.file_size:,} bytes, as no logger\'s '
            "file does",
            "If it is one, unpack it and upload it by itself.",
        )


def name_of(member: zipfile.ZipInfo) -> str:
    """The member's name as it is shown."""
    return shown(member.filename)


def open_zip(file: IO[bytes]) -> zipfile.ZipFile:
    """The archive; raises FormatError where it is damaged or cut off."""
    file.seek(0)
    try:
        return zipfile.ZipFile(file)
    except _DAMAGE as error:
        raise _damaged(error) from error


def _damaged(error: Exception, member: str = "") -> FormatError:
    if isinstance(error, FormatError) or is_of_the_disk(error):
        raise error
    place = f'"{member}" in the zip archive' if member else "the zip archive"
    if "not a zip file" in str(error):
        error = ValueError("its end is missing")
    return FormatError(
        "damaged_zip",
        f"{place} cannot be unpacked: {str(error)[:200] or type(error).__name__}",
        "Fetch or pack it again.",
    )


def pieces_of(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    """The member's bytes; raises FormatError where they are damaged or packed in a way that cannot be read."""
    try:
        with archive.open(member) as file:
            while piece := file.read(_PIECE):
                yield piece
    except _DAMAGE as error:
        raise _damaged(error, name_of(member)) from error


@dataclass
class _LeftOut:
    name: str
    reason: FormatError


@dataclass
class _Held:
    """What a member holds: the first and last time of each sensor, and how many readings."""

    name: str
    ranges: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, batch: Batch) -> None:
        for one in batch.series:
            first, last = int(one.times.min()), int(one.times.max())
            before = self.ranges.get(one.name, (first, last))
            self.ranges[one.name] = min(first, before[0]), max(last, before[1])

    def check(self, others: list["_Held"]) -> None:
        """Raises FormatError where another member has a sensor of the same name for most of the same time: files of
        two stations, and not two months of one."""
        for other in others:
            for sensor in self.ranges.keys() & other.ranges.keys():
                (first, last), (start, end) = self.ranges[sensor], other.ranges[sensor]
                shared = min(last, end) - max(first, start)
                if shared > 0 and shared * 2 > min(last - first, end - start):
                    raise FormatError(
                        "several_sources",
                        f'"{other.name}" and "{self.name}" in the zip archive both hold "{sensor}" for the same time',
                        "If they are of two stations or loggers, upload each of them into a source of its own.",
                    )


class Archive:
    """Takes the bytes of a zip archive, and yields batches of its members one after another when the last is here.

    A workbook (.xlsx) is one such archive, of which `workbook` makes a reader; without `member` it has to be one.
    Line numbers are those of each member; where there are several, issues name theirs before the column. What is no
    table of readings is left out and said in an issue; that nothing is one is an error, and so is every other error in
    a member.
    """

    def __init__(
        self, folder: Path | None, max_bytes: int, workbook: Callable[[], Reader], member: Callable[[], Reader] | None
    ) -> None:
        self.layout: Layout | None = None
        self._scratch = Scratch(folder)
        self._file = self._scratch.file
        self._max_bytes = max_bytes
        self._workbook = workbook
        self._member = member

    def feed(self, piece: bytes) -> Iterator[Batch]:
        self._file.write(piece)
        yield from ()

    def end(self) -> Iterator[Batch]:
        if is_workbook(self._file):
            self._file.seek(0)
            yield from self._read(self._workbook(), iter(lambda: self._file.read(_PIECE), b""))
        else:
            yield from self._members()

    def _read(self, reader: Reader, pieces: Iterator[bytes]) -> Iterator[Batch]:
        for piece in pieces:
            for batch in reader.feed(piece):
                self.layout = self.layout or reader.layout
                yield batch
        for batch in reader.end():
            self.layout = self.layout or reader.layout
            yield batch

    def _members(self) -> Iterator[Batch]:
        if self._member is None:
            raise FormatError("nested_zip", "is a zip archive inside another", "Put its files into one archive.")
        left_out: list[_LeftOut] = []
        seen: list[_Held] = []
        with open_zip(self._file) as archive:
            members = members_of(archive, self._max_bytes)
            for member in members:
                reader = self._member()
                held = _Held(name_of(member))
                try:
                    for batch in self._read(reader, pieces_of(archive, member)):
                        held.add(batch)
                        yield _with_name(batch, name_of(member)) if len(members) > 1 else batch
                except FormatError as error:
                    if error.code not in NO_TABLE or reader.layout is not None:
                        raise _in_member(error, name_of(member)) from error
                    left_out.append(_LeftOut(name_of(member), error))
                held.check(seen)
                seen.append(held)
        if self.layout is None:
            raise _in_member(left_out[0].reason, left_out[0].name, others=len(left_out) - 1)
        if left_out:
            yield Batch(0, issues=[_issue(one) for one in left_out])


def _with_name(batch: Batch, name: str) -> Batch:
    issues = [replace(issue, column=f"{name}: {issue.column}".removesuffix(": ")) for issue in batch.issues]
    return replace(batch, issues=issues)


def _issue(one: _LeftOut) -> Issue:
    return Issue(0, one.name, "", f"is not a table of readings and was left out: {one.reason}", rejected=False)


def _in_member(error: FormatError, name: str, others: int = 0) -> FormatError:
    more = (
        f" (nor is any of the {others:,} other files)" if others > 1 else " (nor is the other file)" if others else ""
    )
    return FormatError(error.code, f'"{name}" in the zip archive: {error}{more}', error.hint)
