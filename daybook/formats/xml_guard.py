"""XML that may not define entities: a few lines of definitions can grow to gigabytes, or name other files."""

from typing import IO, NoReturn
from xml.parsers import expat

from daybook.formats.layout import FormatError

_PIECE = 64 * 1024


class _Begun(Exception):
    """The first element begins: nothing behind it can define entities."""


def refuse_definitions(file: IO[bytes], name: str) -> None:
    """Raises FormatError where the XML has a document type, which no program writes into a workbook."""
    parser = expat.ParserCreate()

    def refuse(*_: object) -> NoReturn:
        raise FormatError(
            "unsafe_xml",
            f'"{name[:100]}" in the workbook has a document type definition, as no spreadsheet program writes',
            "Open it in Excel or LibreOffice and save it again.",
        )

    def begun(*_: object) -> NoReturn:
        raise _Begun

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = begun
    try:
        while piece := file.read(_PIECE):
            parser.Parse(piece)
    except (_Begun, expat.ExpatError):
        return  # what is no XML is refused where it is read
