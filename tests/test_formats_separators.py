"""Lines come apart into the same cells one by one and as a whole block, whatever separates these."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daybook.formats.layout import Column, Layout
from daybook.formats.separators import CUT, normalise, split_line, trim_cells
from tests.formats_reading import examples


def layout(delimiter: str, widths: tuple[int, ...] = ()) -> Layout:
    return Layout("wide", (Column("time", "time"),), 1, delimiter=delimiter, widths=widths)


def cells_of(data: bytes, delimiter: str, widths: tuple[int, ...] = ()) -> list[list[str]]:
    """The cells of every line of a normalised block, read as plain CSV."""
    text, mark = normalise(data, layout(delimiter, widths))
    lines = text.decode().replace("\r\n", "\n").split("\n")
    if mark == CUT:
        return [line.split(CUT) if line else [] for line in lines]
    return [next(csv.reader(io.StringIO(line), delimiter=mark), []) for line in lines]


@pytest.mark.parametrize(
    ("line", "delimiter", "expected"),
    [
        ("a,b,,c", ",", ["a", "b", "", "c"]),
        ('a,"b,c",d', ",", ["a", "b,c", "d"]),
        ('a,"b', ",", []),
        ("a|b", "|", ["a", "b"]),
        ('="0123";5', ";", ["0123", "5"]),
        ("a   b\t c", " ", ["a", "b", "c"]),
        ("  a b  \r", " ", ["a", "b"]),
        ('2020-01-01 "two words" 5', " ", ["2020-01-01", "two words", "5"]),
        ('"a" "" "say ""x"""', " ", ["a", "", 'say "x"']),
        ('a "b', " ", []),
        ("", " ", []),
    ],
)
def test_a_line_is_split_into_its_cells(line: str, delimiter: str, expected: list[str]) -> None:
    assert split_line(line, delimiter) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("2020 1.5 abc", ["2020", "1.5", "abc"]),
        ("2020-1.5-abc", ["2020-", "1.5-", "abc"]),
        ("2020     and the rest", ["2020", "", "and the rest"]),
        ("20", ["20", "", ""]),
        ("", ["", "", ""]),
        ("Größe1.5 é", ["Größe"[:5], "1.5", "é"]),
        ('a "b" c"d', ['a "b"', 'c"d', ""]),
    ],
)
def test_columns_of_fixed_width_are_counted_in_characters(line: str, expected: list[str]) -> None:
    assert split_line(line, "", (5, 4, 9)) == expected
    assert cells_of(line.encode() + b"\n2020 1.5 abc\n", "", (5, 4, 9))[0] == (expected if line else [])


TEXTS = st.lists(st.lists(st.text("ab1é°.-", min_size=1, max_size=6), min_size=1, max_size=6), max_size=8)
GAPS = st.sampled_from([" ", "  ", "\t", " \t ", "        "])


@given(TEXTS, st.data(), st.sampled_from(["\n", "\r\n"]), st.booleans())
@examples(150)
def test_runs_of_blanks_separate_cells(rows: list[list[str]], data: st.DataObject, end: str, last: bool) -> None:
    edge = st.sampled_from(["", " ", "\t", "   "])
    lines = []
    for row in rows:
        line = data.draw(edge) + row[0]
        for cell in row[1:]:
            line += data.draw(GAPS) + cell
        lines.append(line + data.draw(edge))
    text = end.join(lines) + (end if last else "")
    assert [cells for cells in cells_of(text.encode(), " ") if cells] == rows
    assert [split_line(line, " ") for line in lines] == rows


@given(st.text('ab \t"\r\n=é', max_size=40))
@examples(300)
def test_any_text_keeps_its_lines_and_gives_the_cells_of_each(text: str) -> None:
    data, mark = normalise(text.encode(), layout(" "))
    assert data.count(b"\n") == text.encode().count(b"\n")
    for line, after in zip(text.split("\n"), data.decode().split("\n"), strict=True):
        plain = line.rstrip("\r")
        if "\r" not in plain and plain.count('"') % 2 == 0:
            again = next(csv.reader(io.StringIO(after.rstrip("\r")), delimiter=mark), [])
            assert again == split_line(line, " ")


@given(st.lists(st.text('ab1é\u20ac ."', max_size=16), max_size=8), st.lists(st.integers(1, 5), min_size=2, max_size=5))
@examples(200)
def test_a_block_of_fixed_widths_is_cut_as_each_of_its_lines(lines: list[str], widths: list[int]) -> None:
    for end in ("\n", "\r\n"):
        found = cells_of(end.join(lines).encode(), "", tuple(widths))
        assert found == [split_line(line, "", widths) if line else [] for line in lines or [""]]


@given(st.text("a ,\r\n", max_size=30))
@examples(200)
def test_trimming_takes_only_the_blanks_around_cells(text: str) -> None:
    expected = "\n".join(
        ",".join(cell.strip(" ") for cell in line.split(",")) for line in text.replace("\r", "").split("\n")
    )
    assert trim_cells(text.replace("\r", "").encode(), ",").decode() == expected


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_what_a_spreadsheet_wants_around_a_text_is_taken_off(delimiter: str) -> None:
    line = delimiter.join(['="0541"', "5", 'x="1"', '="a b"'])
    data, mark = normalise(f"{line}\r\n{line}\n".encode(), layout(delimiter))
    expected = delimiter.join(['"0541"', "5", 'x="1"', '"a b"'])
    assert (data.decode(), mark) == (f"{expected}\r\n{expected}\n", delimiter)


def test_nothing_changes_where_a_mark_separates_the_cells_anyway() -> None:
    data = b'a , "b" ,\xff\r\n'
    assert normalise(data, layout(",")) == (data, ",")
