"""Any bytes at all give an account that adds up, or a FormatError with a remedy; never another exception."""

import gzip
from unittest.mock import patch

from hypothesis import example, given
from hypothesis import strategies as st

from daybook.formats import file_reader
from daybook.formats.layout import FormatError
from tests.formats_reading import Reading, examples, read_file

SCRAPS = [b"2020-01-01 00:00", b"2020-01-02", b"01/02/2020 10:00", b"20200101", b"24:00", b"12:30", b"time", b"Date"]
SCRAPS += [b"sensor", b"value", b"unit", b"source", b"HH", b"T(C)", b"m/s", b"1", b"2.5", b"-3,5", b"1e999", b"NaN"]
SCRAPS += [b",", b",", b";", b";", b"\t", b"\n", b"\n", b"\n", b"\r\n", b"\r", b" ", b'"', b'""', b"\0", b"\xff"]
SCRAPS += [b"\xef\xbb\xbf", b"\xc3\xa9", b"Timezone=1", b"x" * 70, b"\x1f\x8b", b"{", b"["]


@st.composite
def nearly_tables(draw: st.DrawFn) -> bytes:
    """A small good table, with some bytes of it replaced, doubled or left out."""
    delimiter = draw(st.sampled_from([b",", b";", b"\t"]))
    header, row = draw(
        st.sampled_from(
            [
                ([b"time", b"a", b"b"], [b"2020-01-%02d 00:00", b"1.5", b""]),
                ([b"time", b"sensor", b"value", b"unit"], [b"2020-01-%02d", b"T", b"-2", b"degC"]),
                ([b"source", b"sensor", b"time", b"value"], [b"mast", b"T", b"2020-01-%02dT00:00:00Z", b"1"]),
                ([b"date", b"HH", b"a", b"note"], [b"202001%02d", b"5", b"1", b"ok"]),
                ([b"Time", b"Date", b"a"], [b"10:00", b"%02d/01/2020", b"1"]),
            ]
        )
    )
    rows = [delimiter.join(row) % day for day in range(1, draw(st.integers(2, 28)))]
    data = bytearray(b"\n".join([delimiter.join(header), *rows]))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.sampled_from([0, 0, 1, 3, 20]))] = draw(st.sampled_from(SCRAPS))
    return bytes(data)


def outcome(data: bytes, size: int, block: int) -> Reading | str:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    with patch.object(file_reader, "BLOCK_BYTES", block), patch.object(file_reader, "SAMPLE_BYTES", 400):
        try:
            found = read_file(data, pieces, timezone="Europe/Dublin")
        except FormatError as error:
            assert str(error)  # noqa: PT017 - no error is right too
            return error.code
    assert found.lines == data.count(b"\n") + (not data.endswith(b"\n")) or b"\r" in data or data[:2] == b"\x1f\x8b"
    # The numbers of text columns are told once per block.
    found.issues = [issue for issue in found.issues if "is not kept" not in issue.reason]
    return found


@given(
    st.one_of(st.lists(st.sampled_from(SCRAPS), max_size=80).map(b"".join), nearly_tables(), nearly_tables()),
    st.integers(1, 100),
    st.integers(20, 200),
)
@examples(500)
@example(b"\x1f", 1, 20)
@example(b'time,a\n2020-01-01,"\n', 7, 20)
def test_scraps_of_tables_give_an_account_or_a_refusal_whatever_the_pieces(data: bytes, size: int, block: int) -> None:
    assert outcome(data, size, block) == outcome(data, 1 << 20, 1 << 20)


@given(st.binary(max_size=600))
@examples(200)
def test_any_bytes_give_an_account_or_a_refusal(data: bytes) -> None:
    assert outcome(data, 1 << 20, 1 << 20) is not None
    assert outcome(gzip.compress(data), 100, 100) is not None


@given(nearly_tables(), st.integers(0, 40), st.binary(min_size=1, max_size=4))
@examples(100)
def test_damaged_gzip_gives_an_account_or_a_refusal(data: bytes, at: int, damage: bytes) -> None:
    packed = bytearray(gzip.compress(data))
    packed[at : at + len(damage)] = damage
    assert outcome(bytes(packed), 50, 100) is not None
