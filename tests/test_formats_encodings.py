"""UTF-16 is read like every other text; UTF-32 is refused."""

import codecs

import pytest
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from daybook.formats.encodings import Utf16, byte_order, utf16_of
from daybook.formats.given import Given
from daybook.formats.head import open_head
from daybook.formats.layout import FormatError
from tests.formats_reading import examples, read_file

TEXT = "Zeit;Größe (°C);b\r\n" + "".join(f"2020-01-{day:02};{day},5;\r\n" for day in range(1, 20))


@pytest.mark.parametrize(
    ("encoding", "named"),
    [("utf-16", "utf-16"), ("utf-16-le", "utf-16-le"), ("utf-16-be", "utf-16-be")],
)
@pytest.mark.parametrize("size", [1, 3, 1 << 20])
def test_utf16_comes_back_as_the_same_text_in_utf8_does(encoding: str, named: str, size: int) -> None:
    data = TEXT.encode(encoding)
    found = read_file(data, [data[at : at + size] for at in range(0, len(data), size)])
    assert found.layout.encoding == named
    assert found.sensors == read_file(TEXT).sensors
    assert list(found.sensors) == ["Größe (°C)"]
    assert (found.lines, found.preamble, found.read) == (20, 1, 19)


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_BE, codecs.BOM_UTF16_LE])
def test_the_byte_order_mark_is_no_part_of_the_first_name(mark: bytes) -> None:
    encoding = "utf-16-le" if mark == codecs.BOM_UTF16_LE else "utf-16-be"
    data = mark + "a\ttime\n1\t2020-01-01\n2\t2020-01-02\n".encode(encoding)
    assert list(read_file(data).sensors) == ["a"]
    assert list(read_file(data, given=Given(encoding=encoding)).sensors) == ["a"]


def test_lines_of_utf16_that_end_in_cr_alone_are_lines() -> None:
    assert read_file("time,a\r2020-01-01,1\r2020-01-02,2\r".encode("utf-16")).values("a") == [1, 2]


def test_the_encoding_can_be_given() -> None:
    # Letters beyond Latin-1 all over: no NUL tells that it is UTF-16.
    data = ("время;темп\n" + "".join(f"2020-01-{day:02};{day}\n" for day in range(1, 9))).encode("utf-16-le")
    found = read_file(data, given=Given(encoding="utf-16-le"))
    assert found.values("темп") == list(range(1, 9))
    assert list(read_file("time;Größe\n2020-01-01;1\n".encode("latin-1"), given=Given(encoding="latin-1")).sensors) == [
        "Größe"
    ]


def test_a_line_that_is_damaged_is_rejected_alone() -> None:
    data = bytearray(TEXT.encode("utf-16-le"))
    at = data.index("2020-01-05".encode("utf-16-le"))
    data[at : at + 2] = b"\x00\xd8"  # half a surrogate pair
    found = read_file(bytes(data))
    assert found.rejected_lines == [6]
    assert found.issues[0].value.startswith("\ufffd")


@pytest.mark.parametrize("encoding", ["utf-32", "utf-32-le", "utf-32-be"])
def test_utf32_is_refused(encoding: str) -> None:
    with pytest.raises(FormatError, match="UTF-32"):
        read_file(TEXT.encode(encoding))


def test_some_nul_bytes_in_a_text_do_not_make_it_utf16() -> None:
    assert utf16_of(TEXT.encode() + b"\0" * 50) is None
    assert utf16_of(bytes(1000)) is None
    assert utf16_of(b"") is None


@hypothesis_given(st.binary(max_size=200), st.integers(1, 50), st.sampled_from(["utf-16", "utf-16-le", "utf-16-be"]))
@examples(200)
def test_any_bytes_come_out_as_the_same_text_whatever_the_pieces(data: bytes, size: int, encoding: str) -> None:
    def recoded(size: int) -> bytes:
        source = Utf16(encoding, byte_order(encoding, data))
        pieces = [text for at in range(0, len(data), size) for text in source.feed(data[at : at + size])]
        return b"".join([*pieces, *source.end()])

    assert recoded(size) == recoded(1 << 20)
    recoded(size).decode()


def test_the_head_is_utf8_whatever_the_file_is() -> None:
    head = open_head(TEXT.encode("utf-16")[:101], whole=False, given=Given(), unpacked_max_bytes=1 << 30)
    assert (head.encoding, head.text) == ("utf-16", TEXT.encode()[: len(head.text)])
    assert not head.whole
