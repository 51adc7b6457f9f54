"""The files as they came: byte for byte out again, hashed, and gone when they are to go."""

import gzip
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daybook import raw_copies
from daybook.raw_copies import RawCopy

TEXT = b"time,temp\n" + b"".join(b"2024-01-01 00:%02d,%d\n" % (minute % 60, minute) for minute in range(5000))


def write(folder: Path, *pieces: bytes, upload_id: int = 7) -> str:
    copy = RawCopy(folder, upload_id)
    copy.begin()
    for piece in pieces:
        copy.write(piece)
    return copy.close()


@pytest.mark.parametrize(
    ("pieces", "suffix"),
    [
        ((TEXT,), ".zst"),
        ((gzip.compress(TEXT),), ".gz"),
        ((TEXT[:1], TEXT[1:9], TEXT[9:]), ".zst"),
        # A gzip file whose first byte comes alone is not recognised, but it is no less itself for that.
        ((gzip.compress(TEXT)[:1], gzip.compress(TEXT)[1:]), ".zst"),
    ],
)
def test_what_went_in_comes_out(tmp_path: Path, pieces: tuple[bytes, ...], suffix: str) -> None:
    whole = b"".join(pieces)
    assert write(tmp_path / "uploads", *pieces) == hashlib.sha256(whole).hexdigest()
    path = raw_copies.find(tmp_path / "uploads", 7)
    assert path is not None
    assert path.suffix == suffix
    assert b"".join(raw_copies.read(path)) == whole
    if suffix == ".gz":
        assert path.read_bytes() == whole


@given(pieces=st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=20))
def test_any_bytes_in_any_pieces(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("copies")
    assert write(folder, *pieces) == hashlib.sha256(b"".join(pieces)).hexdigest()
    path = raw_copies.find(folder, 7)
    assert path is not None
    assert b"".join(raw_copies.read(path)) == b"".join(pieces)


def test_text_takes_less_room_than_it_had(tmp_path: Path) -> None:
    write(tmp_path, TEXT)
    path = raw_copies.find(tmp_path, 7)
    assert path is not None
    assert path.stat().st_size < len(TEXT) / 3


def test_a_large_copy_is_read_in_pieces(tmp_path: Path) -> None:
    large = TEXT * 60
    for data in (large, gzip.compress(bytes(range(256)) * 5000, compresslevel=0)):
        write(tmp_path, data)
        path = raw_copies.find(tmp_path, 7)
        assert path is not None
        pieces = list(raw_copies.read(path))
        assert b"".join(pieces) == data
        assert len(pieces) > 1
        raw_copies.remove(tmp_path, 7)


def test_a_file_without_a_byte_leaves_nothing(tmp_path: Path) -> None:
    assert write(tmp_path) == hashlib.sha256().hexdigest()
    assert raw_copies.find(tmp_path, 7) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", [b"", TEXT, gzip.compress(TEXT)])
def test_discard_and_remove(tmp_path: Path, data: bytes) -> None:
    copy = RawCopy(tmp_path, 7)
    copy.begin()
    if data:
        copy.write(data)
    copy.discard()
    copy.discard()
    assert list(tmp_path.iterdir()) == []

    write(tmp_path, TEXT, upload_id=70)
    write(tmp_path, data or b"x", upload_id=7)
    raw_copies.remove(tmp_path, 7)
    raw_copies.remove(tmp_path, 7)
    assert raw_copies.find(tmp_path, 7) is None
    assert [path.stem for path in tmp_path.iterdir()] == ["70"]


def test_others_cannot_look_into_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "uploads", TEXT)
    assert (tmp_path / "uploads").stat().st_mode & 0o007 == 0
