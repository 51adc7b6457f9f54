"""Bytes become blocks of whole lines, in whatever pieces they come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daybook.formats.layout import FormatError
from daybook.formats.lines import MAX_LINE, Block, LineCutter, count_lines
from tests.formats_reading import examples


def cut(pieces: list[bytes], block_bytes: int) -> list[Block]:
    cutter = LineCutter(block_bytes)
    blocks = [block for piece in pieces for block in cutter.feed(piece)]
    return [*blocks, *cutter.end()]


@given(st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\r\n", b"long " * 9]), max_size=60), st.integers(1, 40))
@examples(200)
def test_blocks_are_whole_lines_and_do_not_depend_on_the_pieces(pieces: list[bytes], block_bytes: int) -> None:
    data = b"".join(pieces)
    blocks = cut(pieces, block_bytes)
    assert blocks == cut([data], block_bytes)
    assert b"".join(block.data for block in blocks) == data
    assert sum(block.lines for block in blocks) == count_lines(data)
    line = 1
    for block in blocks:
        assert block.first_line == line
        assert block.lines == count_lines(block.data)
        line += block.lines
    assert all(block.data.endswith(b"\n") for block in blocks[:-1])


@pytest.mark.parametrize("size", [10_000, 1 << 20, 1 << 24])
@pytest.mark.parametrize("block_bytes", [1000, 1 << 20])
def test_a_line_of_one_mebibyte_passes_and_a_longer_one_is_refused_by_its_number(size: int, block_bytes: int) -> None:
    longest = b"short\n" + b"x" * MAX_LINE + b"\nshort\n"
    assert (
        sum(block.lines for block in cut([longest[at : at + size] for at in range(0, len(longest), size)], 1000)) == 3
    )
    too_long = b"short\n" + b"x" * (MAX_LINE + 1) + b"\nshort\n"
    with pytest.raises(FormatError, match=r"line 2 is longer than 1,048,576 bytes"):
        cut([too_long[at : at + size] for at in range(0, len(too_long), size)], block_bytes)
