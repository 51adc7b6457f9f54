"""Cutting a stream of bytes into blocks of whole lines, with their line numbers."""

from collections.abc import Iterator
from dataclasses import dataclass

from daybook.formats.layout import FormatError

MAX_LINE = 1024 * 1024


@dataclass(frozen=True)
class Block:
    """Whole lines: the number of the first, and how many there are. Only a file's last line may lack its end."""

    data: bytes
    first_line: int
    lines: int


def count_lines(data: bytes) -> int:
    """The number of lines, the last one also without a line end."""
    return data.count(b"\n") + (1 if data and not data.endswith(b"\n") else 0)


def line_too_long(line: int) -> FormatError:
    """The refusal of a file with a line longer than MAX_LINE bytes."""
    return FormatError(
        "line_too_long",
        f"line {line} is longer than {MAX_LINE:,} bytes",
        "This does not look like a table of readings; is it a text file with one line per time?",
    )


class LineCutter:
    """Gathers bytes until a block is full and cuts it at the last line end.

    Holds at most one block and one line; raises FormatError for a line longer than 1 MiB. Where the blocks end depends
    on the bytes alone, not on the pieces in which they come. `block_bytes` is at most 1 MiB.
    """

    def __init__(self, block_bytes: int, first_line: int = 1) -> None:
        self._block_bytes = min(block_bytes, MAX_LINE)
        self._pieces: list[bytes] = []
        self._size = 0
        self._next_line = first_line

    def feed(self, data: bytes) -> Iterator[Block]:
        """Yields every block that `data` completes."""
        self._pieces.append(data)
        self._size += len(data)
        if self._size < self._block_bytes:
            return
        whole = b"".join(self._pieces)
        start = 0
        while len(whole) - start >= self._block_bytes:
            end = whole.rfind(b"\n", start, start + self._block_bytes) + 1
            if end == 0:
                end = whole.find(b"\n", start + self._block_bytes, start + MAX_LINE + 1) + 1
            if end == 0:
                if len(whole) - start > MAX_LINE:
                    raise line_too_long(self._next_line)
                break
            yield self._cut(whole[start:end])
            start = end
        rest = whole[start:]
        self._pieces = [rest]
        self._size = len(rest)

    def end(self) -> Iterator[Block]:
        """Yields what is left when no byte follows."""
        rest = b"".join(self._pieces)
        self._pieces, self._size = [], 0
        if rest:
            yield self._cut(rest)

    def _cut(self, data: bytes) -> Block:
        block = Block(data, self._next_line, count_lines(data))
        self._next_line += block.lines
        return block
