"""The first part of a file as lines of text, and the rows of its table as columns of text."""

import codecs

import pyarrow as pa
from pyarrow import csv as arrow_csv

from daybook.formats.layout import FormatError, Layout
from daybook.formats.lines import MAX_LINE, line_too_long
from daybook.formats.separators import normalise
from daybook.formats.table import Table


def text_lines(sample: bytes, whole: bool, encoding: str | None) -> tuple[list[str], str]:
    """The lines without their ends, and the encoding: the given one, or the one that they are written in."""
    end = len(sample) if whole else sample.rfind(b"\n") + 1
    if end == 0 or max(map(len, sample[:end].split(b"\n", 1)[:1])) > MAX_LINE:
        raise line_too_long(1)
    data = sample[:end].removeprefix(codecs.BOM_UTF8)
    if encoding is None or encoding.startswith("utf-16"):
        encoding = _encoding(data)
    lines = data.decode(encoding, "replace").split("\n")
    if lines[-1] == "":
        lines.pop()
    if not any(line.strip() for line in lines):
        raise FormatError("empty_file", "the file holds only blank lines", "Fetch it from the logger again.")
    return [line.removeprefix("\ufeff").rstrip("\r") for line in lines], encoding


def _encoding(data: bytes) -> str:
    """UTF-8, unless more lines with letters beyond ASCII are not UTF-8 than are: then Windows-1252."""
    try:
        data.decode()
    except UnicodeDecodeError:
        good = bad = 0
        for line in data.split(b"\n"):
            if not line.isascii():
                try:
                    line.decode()
                    good += 1
                except UnicodeDecodeError:
                    bad += 1
        return "utf-8" if good > bad else "cp1252"
    return "utf-8"


def read_texts(lines: list[str], table: Table) -> pa.Table:
    """The sample's rows as text; lines of another width are left out here, not in the import."""
    good = (line.replace("\r", " ") for line in lines if line.strip() and line.count('"') % 2 == 0)
    names = [str(index) for index in range(table.width)]
    layout = Layout("wide", (), 1, delimiter=table.delimiter, widths=table.widths)
    data, mark = normalise("\n".join(good).encode() + b"\n", layout)
    return arrow_csv.read_csv(
        pa.BufferReader(data),
        read_options=arrow_csv.ReadOptions(use_threads=False, block_size=len(data), column_names=names),
        parse_options=arrow_csv.ParseOptions(delimiter=mark, invalid_row_handler=lambda _row: "skip"),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )
