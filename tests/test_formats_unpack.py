"""gzip is unpacked as it arrives; what is damaged, cut off or a bomb is refused and never half read."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daybook.formats.layout import FormatError
from daybook.formats.unpack import Gunzip
from tests.formats_reading import examples, read_file

TEXT = "time,a\n" + "".join(f"2020-01-01 00:{minute:02}:00,{minute}\n" for minute in range(60))


def unpack(data: bytes, size: int = 1 << 20, max_bytes: int = 1 << 30) -> bytes:
    gunzip = Gunzip(max_bytes)
    pieces = [piece for at in range(0, len(data), size) for piece in gunzip.feed(data[at : at + size])]
    gunzip.end()
    return b"".join(pieces)


@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=4), st.integers(1, 500), st.integers(0, 600))
@examples(60)
def test_any_members_in_any_pieces_with_zeros_behind_come_out_whole(
    members: list[bytes], size: int, zeros: int
) -> None:
    packed = b"".join(gzip.compress(member) for member in members) + b"\0" * zeros
    assert unpack(packed, size) == b"".join(members)


@pytest.mark.parametrize("left_out", [1, 4, 8, 9, 100])
def test_a_file_that_was_cut_off_is_refused(left_out: int) -> None:
    with pytest.raises(FormatError, match="ends in the middle") as caught:
        read_file(gzip.compress(TEXT.encode())[:-left_out])
    assert "cut off" in caught.value.hint


def test_a_damaged_file_is_refused() -> None:
    packed = bytearray(gzip.compress(TEXT.encode()))
    packed[-6] ^= 255  # in the checksum
    with pytest.raises(FormatError, match="damaged") as caught:
        read_file(bytes(packed))
    assert caught.value.code == "damaged_gzip"


def test_rubbish_behind_the_gzip_data_is_refused() -> None:
    with pytest.raises(FormatError, match="damaged"):
        read_file(gzip.compress(TEXT.encode()) + b"rubbish")


def test_a_file_that_unpacks_to_more_than_is_allowed_is_refused() -> None:
    with pytest.raises(FormatError, match=r"more than 1,000 bytes") as caught:
        read_file(gzip.compress(TEXT.encode() * 10), unpacked_max_bytes=1000)
    assert caught.value.code == "unpacked_too_large"


def test_a_bomb_is_stopped_early() -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join([packer.compress(b"\0" * (1 << 20)) for _ in range(100)] + [packer.flush()])
    gunzip = Gunzip(1 << 40)
    sizes = []

    def unpack_all() -> None:
        for at in range(0, len(bomb), 4096):
            for piece in gunzip.feed(bomb[at : at + 4096]):
                sizes.append(len(piece))

    with pytest.raises(FormatError, match="no logger's file does"):
        unpack_all()
    assert max(sizes) <= 1 << 20
    assert sum(sizes) < 80 << 20


def test_one_byte_at_a_time_is_recognised_as_gzip_too() -> None:
    packed = gzip.compress(TEXT.encode())
    assert read_file(packed, [packed[at : at + 1] for at in range(len(packed))]) == read_file(TEXT)


def test_gzip_inside_gzip_is_refused_by_name() -> None:
    with pytest.raises(FormatError, match="gzip twice"):
        read_file(gzip.compress(gzip.compress(TEXT.encode())))


def test_what_is_compressed_may_be_of_any_kind() -> None:
    records = '[{"time": "2020-01-01", "a": 1}, {"time": "2020-01-02", "a": 2}]'
    assert read_file(gzip.compress(records.encode())) == read_file(records)
    assert read_file(gzip.compress(TEXT.encode("utf-16"))).sensors == read_file(TEXT).sensors


def test_an_empty_gzip_file_is_an_empty_file() -> None:
    with pytest.raises(FormatError, match="the file is empty"):
        read_file(gzip.compress(b""))
