"""Clear refusals of what is no table of readings: pictures, archives, other kinds of data, prose, headers alone."""

import codecs
import re

from daybook.formats.layout import FormatError
from daybook.formats.unpack import GZIP_MAGIC

_EXPORT = "Export it as CSV."
_UNPACK = "Unpack it and upload the text file in it, or compress that with gzip."
_MAGIC = (
    (b"\x89PNG", "a PNG picture", _EXPORT),
    (b"\xff\xd8\xff", "a JPEG picture", _EXPORT),
    (b"GIF8", "a GIF picture", _EXPORT),
    (b"%PDF", "a PDF document", _EXPORT),
    (
        b"\xd0\xcf\x11\xe0",
        "an old Office document (.xls, .doc), or one that is protected by a password",
        "Save the sheet as CSV or .xlsx, without a password.",
    ),
    (b"SQLite format 3", "an SQLite database", _EXPORT),
    (b"7z\xbc\xaf", "a 7-Zip archive", _UNPACK),
    (b"BZh", "compressed with bzip2", _UNPACK),
    (b"\xfd7zXZ", "compressed with xz", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard", _UNPACK),
    (GZIP_MAGIC, "compressed with gzip twice", "Unpack it once and upload the result."),
    (b"\x7fELF", "a program", _EXPORT),
)
_LOOKED_FOR = (
    "Daybook reads text files with one line per time (a time column, then one column per sensor) or one line per "
    "reading (time, sensor, value), the same as JSON, Excel (.xlsx) and Parquet, and zip archives of such files."
)


def refuse_what_is_no_text(sample: bytes) -> None:
    """Raises FormatError for an empty file, for known binary formats, for web pages, and for JSON that somebody said
    is text."""
    if not sample:
        raise FormatError("empty_file", "the file is empty", "Fetch it from the logger again.")
    for magic, kind, remedy in _MAGIC:
        if sample.startswith(magic):
            raise FormatError("not_text", f"the file is {kind}, not a text table of readings", remedy)
    nul = sample.find(b"\0")
    if nul >= 0:
        # A logger that lost its power leaves NUL bytes in some lines; binary data has them all over.
        lines = sample.split(b"\n")
        if sum(b"\0" in line for line in lines) * 4 > len(lines) or sample.count(0) * 2 > len(sample):
            raise FormatError(
                "not_text",
                f"the file is binary, not text: byte {nul + 1:,} is NUL, and {sample.count(0) - 1:,} more are",
                _EXPORT,
            )
    start = sample.removeprefix(codecs.BOM_UTF8).lstrip()[:200]
    if re.match(rb"[{]\s*[\"}]|\[\s*[\[{\"]", start):
        raise FormatError("json", "the file is JSON, but was said to be text", "Choose another file type, or none.")
    if re.match(rb"(?i)<(!doctype|html|\?xml|[a-z]+[ >])", start):
        raise FormatError("markup", "the file is a web page or XML, not a text table of readings", _EXPORT)


def no_table(lines: int, header: tuple[int, int, str] | None) -> FormatError:
    """The refusal of a text without rows; `header`: line number, columns and delimiter of what looks like one."""
    if header:
        number, columns, word = header
        return FormatError(
            "no_rows",
            f"line {number} is a header ({columns} columns, {word}-separated), but no line with a time and numbers "
            "follows it",
            "If the logger wrote readings, fetch the file again.",
        )
    return FormatError(
        "no_table",
        f"no table of readings found: none of the first {lines:,} lines holds a time and a number as "
        "cells of their own (separated by comma, semicolon, tab, bar or blanks)",
        _LOOKED_FOR,
    )
