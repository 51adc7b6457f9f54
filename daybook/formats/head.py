"""The first part of a file, opened far enough to show what an import would make of it."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from daybook.formats.archives import NO_TABLE, ZIP_MAGIC, is_workbook, members_of, name_of, open_zip, pieces_of
from daybook.formats.detect import SAMPLE_BYTES
from daybook.formats.file_reader import layout_of
from daybook.formats.given import Given
from daybook.formats.kinds import source_of, workbook_source
from daybook.formats.layout import FileKind, FormatError
from daybook.formats.records import About, Source, needs_whole_file
from daybook.formats.unpack import GZIP_MAGIC, Gunzip

_SHOWN_MEMBERS = 20  # of an archive, among which the first table is looked for


@dataclass(frozen=True)
class Head:
    """The first lines of a file as `detect` takes them, and what else it wants to know.

    text: at most SAMPLE_BYTES; whole: they are all there is. sheets: of a workbook. member: the file shown of a zip
    archive; members: all in it. units: by the names of columns, where the file says them elsewhere than in a header.
    given: what was given, as it holds for these lines.
    """

    file: FileKind
    encoding: str | None
    text: bytes
    whole: bool
    names: list[str] | None = None
    path: str = ""
    sheet: str = ""
    sheets: list[str] = field(default_factory=list)
    member: str = ""
    members: list[str] = field(default_factory=list)
    units: dict[str, str] = field(default_factory=dict)
    given: Given = Given()  # noqa: RUF009 - it cannot be changed


def open_head(data: bytes, *, whole: bool, given: Given, unpacked_max_bytes: int) -> Head:
    """Opens the file that begins with `data` (`whole`: and ends with it). Raises FormatError as the import would;
    with the code needs_whole_file where the first part alone tells nothing."""
    if data.startswith(GZIP_MAGIC):
        data, whole = _unpacked(data, whole, unpacked_max_bytes)
    if data.startswith(ZIP_MAGIC):
        if not whole:
            raise needs_whole_file()
        return _of_zip(data, given, unpacked_max_bytes)
    source = source_of(data[:SAMPLE_BYTES], whole and len(data) <= SAMPLE_BYTES, given, unpacked_max_bytes, None)
    return _head(source, data, whole, given)


def _unpacked(data: bytes, whole: bool, max_bytes: int) -> tuple[bytes, bool]:
    """As much as is needed; all of it where it has to be whole."""
    gunzip = Gunzip(max_bytes)
    pieces, size = [], 0
    for piece in gunzip.feed(data):
        pieces.append(piece)
        size += len(piece)
        if size > SAMPLE_BYTES and not b"".join(pieces[:1]).startswith((*ZIP_MAGIC, b"PAR1")):
            return b"".join(pieces), False
    if whole:
        gunzip.end()
    return b"".join(pieces), whole


def _head(source: Source, data: bytes, whole: bool, given: Given) -> Head:
    text = bytearray()
    for piece in _lines(source, data, whole):
        text += piece
        if len(text) > SAMPLE_BYTES:
            break
    if b"\r" in text and b"\n" not in text[:SAMPLE_BYTES]:  # as old Macintoshes write
        text = text.replace(b"\r", b"\n")
    about: About = source.about
    return Head(
        file=about.file,
        encoding=about.encoding,
        text=bytes(text[:SAMPLE_BYTES]),
        whole=whole and len(text) <= SAMPLE_BYTES,
        names=about.names,
        path=about.path,
        sheet=about.sheet,
        sheets=about.sheets,
        units=about.units,
        given=about.as_lines(given),
    )


def _lines(source: Source, data: bytes, whole: bool) -> Iterator[bytes]:
    yield from source.feed(data)
    yield from source.end() if whole else source.flush()


def _of_zip(data: bytes, given: Given, max_bytes: int) -> Head:
    file = io.BytesIO(data)
    if is_workbook(file):
        return _head(workbook_source(given, max_bytes, None), data, True, given)
    first: Head | FormatError | None = None
    with open_zip(file) as archive:
        members = members_of(archive, max_bytes)
        names = [name_of(member) for member in members]
        for member, name in zip(members[:_SHOWN_MEMBERS], names, strict=False):
            try:
                head = _of_member(pieces_of(archive, member), given, max_bytes)
            except FormatError as error:
                first = first or error
                continue
            head = replace(head, member=name, members=names)
            first = head if not isinstance(first, Head) else first
            if _is_table(head):
                return head
    if isinstance(first, Head):
        return first
    raise first or FormatError("empty_file", "the zip archive holds no files", "Fetch it again from the logger.")


def _of_member(pieces: Iterator[bytes], given: Given, max_bytes: int) -> Head:
    """Of text only the first part is unpacked."""
    data = b""
    for piece in pieces:
        data += piece
        if len(data) > SAMPLE_BYTES and not data.startswith((*ZIP_MAGIC, GZIP_MAGIC, b"PAR1")):
            return open_head(data, whole=False, given=given, unpacked_max_bytes=max_bytes)
    if data.startswith(ZIP_MAGIC) and not is_workbook(io.BytesIO(data)):
        raise FormatError("nested_zip", "is a zip archive inside another", "Put its files into one archive.")
    return open_head(data, whole=True, given=given, unpacked_max_bytes=max_bytes)


def _is_table(head: Head) -> bool:
    """Whether an import would read it, or ask something of it; not whether it holds a table without doubts."""
    about = About(head.file, head.encoding, head.names, head.path, head.sheet)
    try:
        layout_of(head.text, head.whole, head.given, about)
    except FormatError as error:
        return error.code not in NO_TABLE
    return True
