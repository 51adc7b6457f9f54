"""Excel workbooks: the sheet that holds readings comes in, row by row, with its times exact."""

import io
import zipfile
from datetime import date, datetime, time, timedelta
from typing import Any

import openpyxl
import pytest
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from daybook.formats.file_reader import FileReader
from daybook.formats.given import Given
from daybook.formats.head import open_head
from daybook.formats.layout import FormatError
from daybook.formats.workbooks import WORKBOOK
from tests.formats_reading import EPOCH, examples, read_file

START = datetime(2022, 5, 1)  # noqa: DTZ001 - spreadsheets know no zones
Rows = list[list[Any]]


def workbook(**sheets: Rows) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def readings(count: int = 20, name: str = "T (degC)") -> Rows:
    return [["Date/Time", name], *([START + row * timedelta(minutes=10), row * 1.1] for row in range(count))]


def changed(data: bytes, member: str, old: bytes, new: bytes) -> bytes:
    """The workbook with a part of one of its files replaced."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            part = source.read(name)
            target.writestr(name, part.replace(old, new, 1) if name == member else part)
    return out.getvalue()


def refusal(data: bytes, **options: Any) -> FormatError:
    with pytest.raises(FormatError) as caught:
        read_file(data, **options)
    assert caught.value.hint
    return caught.value


@hypothesis_given(
    values=st.lists(
        st.one_of(st.none(), st.integers(-(10**9), 10**9), st.floats(-1e9, 1e9).map(lambda value: round(value, 3))),
        min_size=3,
        max_size=20,
    ),
    step=st.sampled_from([1, 25, 600_000, 86_400_000]),
    preamble=st.lists(st.sampled_from([["Station", "Athenry"], ["made by hand"], []]), max_size=3),
)
@examples(40)
def test_a_sheet_comes_back_equal(values: list[float | None], step: int, preamble: Rows) -> None:
    rows = [[START + row * timedelta(milliseconds=step), 1, value] for row, value in enumerate(values)]
    found = read_file(workbook(Sheet=[*preamble, ["Time", "one", "two"], *rows]))
    origin = EPOCH.replace(tzinfo=None)
    assert [(at.replace(tzinfo=None) - origin, value) for at, value in found.sensors.get("two", [])] == [
        (at - origin, value) for at, _, value in rows if value is not None
    ]
    assert (found.lines, found.preamble, found.rejected) == (len(rows) + len(preamble) + 1, len(preamble) + 1, 0)


def test_line_numbers_are_those_of_the_rows() -> None:
    rows = readings()
    rows[5] = ["broken", 1]
    rows[7] = []
    found = read_file(workbook(Sheet=rows))
    assert (found.lines, found.blank, found.rejected_lines) == (21, 1, [6])


def test_the_first_sheet_with_readings_is_read_and_the_others_are_told() -> None:
    data = workbook(Notes=[["Station", "Athenry"]], Data=readings(), More=readings(5))
    found = read_file(data)
    assert (found.layout.file, found.layout.sheet, found.lines) == ("xlsx", "Data", 21)
    assert [(issue.line, issue.column, issue.rejected) for issue in found.issues] == [(21, "More", False)]


def test_a_sheet_can_be_named() -> None:
    data = workbook(Data=readings(), More=readings(5))
    assert len(read_file(data, given=Given(sheet="more")).values("T (degC)")) == 5
    error = refusal(data, given=Given(sheet="Other"))
    assert error.code == "no_sheet"
    assert '"Data", "More"' in str(error)


def test_a_date_beside_a_clock_time_is_one_time() -> None:
    rows = [[date(2022, 5, 1 + row // 24), time(row % 24, 30), row] for row in range(48)]
    found = read_file(workbook(Sheet=[["Date", "Time", "a"], *rows]))
    assert found.times("a")[25] == "2022-05-02 01:30:00"


def test_times_that_excel_computed_come_out_on_the_second() -> None:
    third = 44682 + 1 / 3 - 4e-12  # 07:59:59.9999997 as a number of days
    data = changed(
        workbook(Sheet=readings(3)), "xl/worksheets/sheet1.xml", b"<v>44682</v>", f"<v>{third!r}</v>".encode()
    )
    assert read_file(data).times("T (degC)")[0] == "2022-05-01 08:00:00"


def test_a_workbook_says_what_it_is_in_one_byte_pieces_too() -> None:
    data = workbook(Data=readings(3))
    assert read_file(data, [data[at : at + 1] for at in range(len(data))]) == read_file(data)


def test_the_head_shows_the_sheet_and_all_there_are() -> None:
    data = workbook(Notes=[["x"]], Data=readings())
    head = open_head(data, whole=True, given=Given(), unpacked_max_bytes=1 << 30)
    assert (head.file, head.sheet, head.sheets, head.whole) == ("xlsx", "Data", ["Notes", "Data"], True)
    assert head.text.startswith(b"Date/Time\tT (degC)\n")
    with pytest.raises(FormatError) as caught:
        open_head(data[:3000], whole=False, given=Given(), unpacked_max_bytes=1 << 30)
    assert caught.value.code == "needs_whole_file"


def test_a_workbook_without_readings_is_refused() -> None:
    assert refusal(workbook(Sheet=[["a", "b"], ["c", "d"]])).code == "no_table"
    assert refusal(workbook(Sheet=[])).code in {"empty_file", "no_table"}


def test_old_workbooks_and_those_with_a_password_are_refused() -> None:
    assert "password" in str(refusal(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000)))


def test_a_workbook_that_was_cut_off_is_refused() -> None:
    data = workbook(Sheet=readings())
    assert refusal(data[: len(data) // 2]).code == "damaged_zip"


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    data = workbook(Sheet=readings())
    assert refusal(data, unpacked_max_bytes=1000).code == "unpacked_too_large"


def test_entities_are_refused() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><worksheet'
    data = changed(workbook(Sheet=readings()), "xl/worksheets/sheet1.xml", b"<worksheet", bomb)
    assert refusal(data).code == "unsafe_xml"


def test_rows_without_end_are_refused() -> None:
    data = changed(workbook(Sheet=readings(3)), "xl/worksheets/sheet1.xml", b'<row r="4"', b'<row r="99999999999"')
    assert refusal(data).code == "too_many_rows"


@hypothesis_given(st.integers(0, 10**6), st.binary(min_size=1, max_size=8))
@examples(60)
def test_a_damaged_workbook_gives_an_account_or_a_refusal(place: int, damage: bytes) -> None:
    data = bytearray(workbook(Sheet=readings()))
    at = place % len(data)
    data[at : at + len(damage)] = damage
    try:
        found = read_file(bytes(data))
    except FormatError as error:
        assert str(error)  # noqa: PT017 - no error is right too
    else:
        assert found.lines >= found.read


@pytest.mark.parametrize("member", ["word/document.xml", "ppt/presentation.xml", "xl/workbook.bin", "mimetype"])
def test_other_documents_are_refused_by_name(member: str) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(member, "x")
    assert refusal(out.getvalue()).code == "not_text"
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(WORKBOOK, "x")
    assert refusal(out.getvalue()).code == "damaged_workbook"


def test_nothing_is_read_before_the_end() -> None:
    reader = FileReader(unpacked_max_bytes=1 << 30)
    assert list(reader.feed(workbook(Sheet=readings()))) == []
    assert sum(batch.read for batch in reader.end()) == 20
