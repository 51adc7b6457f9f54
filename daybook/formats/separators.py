"""How the cells of a line are kept apart: one mark, runs of blanks, or fixed widths.

Arrow reads lines whose cells are separated by one single character. `normalise` turns a whole block of the other kinds
into such lines, so that they are read as fast; `split_line` gives the same cells for one line.
"""

import csv
import re
from collections.abc import Sequence
from functools import cache
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from daybook.formats.layout import Layout

Letters = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]

BLANKS, FIXED = " ", ""
# Between the columns of fixed width, once they are cut: a character that text does not hold. Where it does all the
# same, it becomes another one that is as little a part of a number, a name or a time.
CUT, _INSTEAD_OF_CUT = "\x1f", "\x1a"
_LF, _CR, _TAB, _BLANK = b"\n\r\t "
_BLANK_CELL_PARTS = re.compile(r'[^ \t"]*(?:"(?:[^"]|"")*"[^ \t"]*)*')
_CR_WITHIN = re.compile(rb"\r(?![\r\n]|\Z)")
# What spreadsheets are told to leave as it stands: ="00123"
_WRAPPED = re.compile(r'="([^"]*)"')


def split_line(line: str, delimiter: str, widths: Sequence[int] = ()) -> list[str]:
    """The cells of one line, as the layout separates them; none where a quotation mark is opened and not closed."""
    if delimiter == FIXED:
        return _cut(line, widths)
    if delimiter == BLANKS:
        cells = _split_blanks(line)
    elif '"' not in line:
        return line.split(delimiter)
    elif line.count('"') % 2:
        return []
    else:
        try:
            cells = next(csv.reader([line.replace("\r", " ")], delimiter=delimiter))
        except csv.Error:  # a field longer than the csv module takes
            return []
    return [unwrapped(cell) for cell in cells]


def unwrapped(cell: str) -> str:
    """The cell, or what stands inside its ="…"."""
    match = _WRAPPED.fullmatch(cell.strip()) if "=" in cell else None
    return match[1] if match else cell


def _cut(line: str, widths: Sequence[int]) -> list[str]:
    edges = [0, *accumulate(widths[:-1])]
    ends = [*edges[1:], len(line)]
    return [line[start:end].strip() for start, end in zip(edges, ends, strict=True)]


def _split_blanks(line: str) -> list[str]:
    if '"' not in line:
        return [cell for cell in line.rstrip("\r").replace("\t", " ").split(" ") if cell]
    if line.count('"') % 2:
        return []
    return [
        part[1:-1].replace('""', '"') if part[0] == part[-1] == '"' and len(part) > 1 else part
        for part in _BLANK_CELL_PARTS.findall(line.rstrip("\r"))
        if part
    ]


def normalise(data: bytes, layout: Layout) -> tuple[bytes, str]:
    """The same lines in the same order with one character between the cells, and that character.

    Nothing changes where the layout has such a mark anyway, but that ="123" loses what a spreadsheet wants around it.
    Quotation marks mean nothing among columns of fixed width.
    """
    if layout.delimiter == FIXED:
        return _cut_all(data, layout.widths), CUT
    if layout.delimiter == BLANKS:
        data = _join_runs_of_blanks(data)
    if b"=" in data and b'="' in data:  # looking for one letter is two hundred times as fast
        data = _wrapped_cells(layout.delimiter.encode()).sub(rb'"\1"', data)
    return data, layout.delimiter


@cache
def _wrapped_cells(mark: bytes) -> re.Pattern[bytes]:
    return re.compile(rb'(?m)(?:^|(?<=%b))="([^"\r\n]*)"(?=%b|\r?$)' % (re.escape(mark), re.escape(mark)))


def _join_runs_of_blanks(data: bytes) -> bytes:
    """Every run of blanks and tabs becomes one blank; those at both ends of a line go. A CR in a line is one."""
    if data.count(b"\r") != data.count(b"\r\n"):
        data = _CR_WITHIN.sub(b" ", data)
    if b'"' in data:
        return b"\n".join(map(_join_blanks_around_quotes, data.split(b"\n")))
    letters = np.frombuffer(data, np.uint8)
    blank = (letters == _BLANK) | (letters == _TAB)
    starts, ends = _runs(blank)
    if not len(starts):
        return data
    inside = _inside_a_line(letters, starts, ends, (_LF, _CR))
    keep = ~blank
    keep[starts[inside]] = True
    return bytes(letters[keep].tobytes().replace(b"\t", b" "))


def _runs(flags: npt.NDArray[np.bool_]) -> tuple[Places, Places]:
    """Where each run of true flags starts, and where it has ended."""
    edges = np.flatnonzero(flags[1:] != flags[:-1]) + 1
    if len(flags) and flags[0]:
        edges = np.concatenate([[0], edges])
    if len(edges) % 2:
        edges = np.concatenate([edges, [len(flags)]])
    return edges[::2], edges[1::2]


def _inside_a_line(letters: Letters, starts: Places, ends: Places, edges: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Which runs have something other than these edges, and than the ends of the block, on both sides."""
    before = letters[np.maximum(starts - 1, 0)]
    after = letters[np.minimum(ends, len(letters) - 1)]
    inside = (starts > 0) & (ends < len(letters))
    for edge in edges:
        inside &= (before != edge) & (after != edge)
    return inside


def _join_blanks_around_quotes(line: bytes) -> bytes:
    if line.count(b'"') % 2:
        return line  # will be rejected, as it is
    cells = map(unwrapped, _split_blanks(line.decode("utf-8", "surrogateescape")))
    return " ".join(map(_quoted, cells)).encode("utf-8", "surrogateescape")


def _quoted(cell: str) -> str:
    """The cell with quotation marks around it, where it needs them."""
    return '"' + cell.replace('"', '""') + '"' if not cell or re.search(r'[ \t"]', cell) else cell


def trim_cells(data: bytes, delimiter: str) -> bytes:
    """The same cells without the blanks and tabs around them. Not for blocks with quotation marks."""
    letters = np.frombuffer(data, np.uint8)
    blank = letters == _BLANK
    if delimiter != "\t" and b"\t" in data:
        blank |= letters == _TAB
    starts, ends = _runs(blank)
    if not len(starts):
        return data
    inside = _inside_a_line(letters, starts, ends, (_LF, _CR, ord(delimiter)))
    change = np.zeros(len(letters) + 1, np.int8)  # +1 where blanks to be dropped begin, -1 where they end
    change[starts[~inside]] = 1
    change[ends[~inside]] = -1
    return bytes(letters[np.cumsum(change[:-1], dtype=np.int8) == 0].tobytes())


def _cut_all(data: bytes, widths: Sequence[int]) -> bytes:
    """CUT between the columns of every line, and no blanks around the cells; empty lines stay empty."""
    data = data.replace(CUT.encode(), _INSTEAD_OF_CUT.encode())
    letters = np.frombuffer(data, np.uint8)
    starts, ends = _lines(letters)
    full = ends > starts
    starts, ends = starts[full], ends[full]
    places = _char_places(letters, starts, ends, np.cumsum(np.array(widths[:-1], np.int64)))
    return trim_cells(np.insert(letters, places.ravel(), ord(CUT)).tobytes(), CUT)


def _lines(letters: Letters) -> tuple[Places, Places]:
    """Where each line starts and where its text ends, before CR and LF."""
    ends = np.flatnonzero(letters == _LF)
    if len(letters) and letters[-1] != _LF:
        ends = np.concatenate([ends, [len(letters)]])
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends
    has_cr = (ends > starts) & (letters[np.maximum(ends - 1, 0)] == _CR)
    return starts, ends - has_cr


def _char_places(letters: Letters, starts: Places, ends: Places, edges: Places) -> Places:
    """Where in the bytes each line has these counts of characters behind it; its end, where it is shorter."""
    if not (letters >= 0x80).any():
        ascii_places: Places = np.minimum(starts[:, None] + edges, ends[:, None])
        return ascii_places
    chars = np.flatnonzero((letters & 0xC0) != 0x80)  # every byte of UTF-8 but those that go on with a character
    places = np.append(chars, len(letters))
    first, last = np.searchsorted(chars, starts), np.searchsorted(chars, ends)
    found: Places = np.minimum(places[np.minimum(first[:, None] + edges, last[:, None])], ends[:, None])
    return found
