"""Small oddities that whole files have on every line, taken off so that Arrow reads these files in one go too."""

from collections.abc import Callable

from daybook.formats.separators import BLANKS, CUT, trim_cells

Mend = Callable[[bytes, str], bytes]


def as_it_is(data: bytes, _mark: str) -> bytes:
    """The block of a file without such oddities."""
    return data


def trimmed(data: bytes, mark: str) -> bytes:
    """Without blanks around the cells: Arrow takes them off numbers, but not off marks for missing ones."""
    return data if b'"' in data else trim_cells(data, mark)


def without_last_mark(data: bytes, mark: str) -> bytes:
    """Without the delimiter at the end of each line, where the header has none."""
    end = mark.encode()
    return data.replace(end + b"\r\n", b"\r\n").replace(end + b"\n", b"\n").removesuffix(end)


def both(data: bytes, mark: str) -> bytes:
    """Both of it."""
    return without_last_mark(trimmed(data, mark), mark)


def mends_for(data: bytes, mark: str) -> list[Mend]:
    """What may help where the block could not be read as it is."""
    if mark in (CUT, BLANKS):
        return [as_it_is]
    letter = mark.encode()
    blanks = b" " if mark == "\t" else b" \t"
    pairs = [pair for blank in blanks for pair in (letter + bytes([blank]), bytes([blank]) + letter)]
    padded = b'"' not in data and any(pair in data for pair in (*pairs, b" \n", b" \r"))
    ended = data[: data.find(b"\n")].rstrip(b"\r" + blanks).endswith(letter)
    return [as_it_is, *[trimmed] * padded, *[without_last_mark] * ended, *[both] * (padded and ended)]
