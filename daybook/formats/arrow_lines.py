"""Lines of cells read by Arrow: fast, and safe only for lines that are known to hold whole rows."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from daybook.formats.cells import one_chunk
from daybook.formats.separators import CUT
from daybook.formats.values import Odd, Unreadable

BOM = b"\xef\xbb\xbf"


def read_lines(
    data: bytes, mark: str, types: dict[int, pa.DataType], width: int, decimal: str, missing: Sequence[str] = ()
) -> tuple[dict[int, pa.Array], int]:
    """The columns that `types` asks for, and the number of rows; raises Unreadable where a row is not that wide or a
    cell not of that type."""
    names = [str(index) for index in range(width)]
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(data),
            read_options=arrow_csv.ReadOptions(use_threads=False, block_size=max(len(data), 1), column_names=names),
            parse_options=arrow_csv.ParseOptions(
                delimiter=mark,
                quote_char=False if mark == CUT else '"',
                newlines_in_values=False,
                ignore_empty_lines=True,
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types={names[index]: kind for index, kind in types.items()},
                include_columns=[names[index] for index in types],
                null_values=missing,
                strings_can_be_null=False,
                decimal_point=decimal,
            ),
        )
    except pa.ArrowInvalid as error:
        raise Unreadable from error
    return {index: one_chunk(table.column(names[index])) for index in types}, table.num_rows


def check_lines(data: bytes, mark: str) -> None:
    """Raises Odd for lines of which Arrow makes other rows than people see: it ends a row at every CR, passes over a
    BOM in front of a block, and lets a quoted cell run over line ends."""
    if mark != CUT and b'"' in data and not _quotes_close_on_each_line(data):
        raise Odd
    if (b"\r" in data and data.count(b"\r") != data.count(b"\r\n")) or (not data.isascii() and BOM in data):
        raise Odd


def empty_lines(data: bytes) -> int:
    """Lines without a single character before their LF or CRLF."""
    letters = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(letters == ord("\n"))
    lengths = np.diff(ends, prepend=-1) - 1
    lengths -= (lengths > 0) & (letters[ends - 1] == ord("\r"))
    return int((lengths == 0).sum())


def _quotes_close_on_each_line(data: bytes) -> bool:
    letters = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(letters == ord('"'))
    quotes_so_far = np.searchsorted(quotes, np.flatnonzero(letters == ord("\n")))
    return len(quotes) % 2 == 0 and not (quotes_so_far % 2).any()
