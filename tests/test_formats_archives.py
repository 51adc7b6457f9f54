"""zip archives: every file in one is read by itself; nothing in one is passed over in silence."""

import gzip
import io
import json
import zipfile
from typing import Any

import pytest
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from daybook.formats.batch import Batch, Issue
from daybook.formats.file_reader import FileReader
from daybook.formats.given import Given
from daybook.formats.head import open_head
from daybook.formats.layout import FormatError
from tests.formats_reading import examples, read_file


def csv(month: int, name: str = "a", rows: int = 5) -> bytes:
    return f"time,{name}\n".encode() + b"".join(
        b"2020-%02d-%02d,%d\n" % (month, row, row) for row in range(1, rows + 1)
    )


def packed(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def read(
    data: bytes, size: int = 1 << 20, **options: Any
) -> tuple[dict[str, list[float]], list[Issue], list[Batch], FileReader]:
    """Values by sensor, issues and batches of an archive of several files: line numbers begin again with each."""
    reader = FileReader(**({"unpacked_max_bytes": 1 << 30} | options))
    batches = [batch for at in range(0, len(data), size) for batch in reader.feed(data[at : at + size])]
    assert not batches  # an archive can only be read from its end
    batches = list(reader.end())
    values: dict[str, list[float]] = {}
    for batch in batches:
        assert batch.lines == batch.preamble + batch.blank + batch.read + batch.rejected
        assert batch.rejected == sum(issue.rejected for issue in batch.issues)
        for one in batch.series:
            values.setdefault(one.name, []).extend(one.values.tolist())
    return values, [issue for batch in batches for issue in batch.issues], batches, reader


def refusal(data: bytes, **options: Any) -> FormatError:
    with pytest.raises(FormatError) as caught:
        read(data, **options)
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_one_file_in_an_archive_is_read_as_if_it_came_alone(method: int, size: int) -> None:
    data = packed({"2020/january.csv": csv(1)}, method)
    found, alone = read_file(data, [data[at : at + size] for at in range(0, len(data), size)]), read_file(csv(1))
    assert found == alone


def test_several_files_are_read_by_name_each_by_its_own_layout() -> None:
    records = json.dumps([{"time": f"2020-03-{day:02}", "b": day} for day in range(1, 6)]).encode()
    values, issues, _, reader = read(packed({"c.json": records, "b.csv": csv(2).replace(b",", b";"), "a.csv": csv(1)}))
    assert values == {"a": [1, 2, 3, 4, 5] * 2, "b": [1, 2, 3, 4, 5]}
    assert issues == []
    assert reader.layout is not None
    assert (reader.layout.file, reader.layout.delimiter) == ("text", ",")


def test_issues_name_their_file_and_its_own_line() -> None:
    _, issues, _, _ = read(
        packed({"a.csv": csv(1), "b.csv": csv(2).replace(b"2020-02-03", b"nonsense").replace(b",4", b",x")})
    )
    assert [(issue.line, issue.column, issue.rejected) for issue in issues] == [
        (4, "b.csv: time", True),
        (5, "b.csv: a", False),
    ]


def test_what_is_no_table_is_told_and_left_out() -> None:
    values, issues, _, _ = read(
        packed({"a.csv": csv(1), "manual.pdf": b"%PDF-1.7 ...", "readme.txt": b"see the manual\n"})
    )
    assert values == {"a": [1, 2, 3, 4, 5]}
    assert [(issue.line, issue.column, issue.rejected) for issue in issues] == [
        (0, "manual.pdf", False),
        (0, "readme.txt", False),
    ]
    assert "left out: the file is a PDF document" in issues[0].reason


def test_what_the_system_puts_into_archives_is_passed_over() -> None:
    members = {"a.csv": csv(1), "__MACOSX/._a.csv": b"\0\1", ".DS_Store": b"\0", "b/.hidden": b"x", "empty/": b""}
    _, issues, _, _ = read(packed(members))
    assert issues == []


def test_an_archive_without_a_table_is_refused() -> None:
    error = refusal(packed({"readme.txt": b"hello\n", "x.png": b"\x89PNG"}))
    assert error.code == "no_table"
    assert '"readme.txt" in the zip archive' in str(error)
    assert "nor is the other file" in str(error)
    assert refusal(packed({})).code == "empty_file"
    assert refusal(packed({"__MACOSX/a": b"x"})).code == "empty_file"


def test_what_only_a_person_can_decide_stops_the_import_and_names_the_file() -> None:
    error = refusal(packed({"a.csv": csv(1), "b.csv": b"time,a\n01/02/2020,1\n"}))
    assert error.code == "ambiguous_dates"
    assert str(error).startswith('"b.csv" in the zip archive: ')


def test_settings_hold_for_every_file() -> None:
    data = packed({"a.csv": b"time,a\n01/02/2020,1\n", "b.csv": b"time,a\n03/02/2020,2\n"})
    _, _, batches, _ = read(data, date_order="dmy")
    days = [one.times.tolist()[0] // 86_400_000_000 for batch in batches for one in batch.series]
    assert days[1] - days[0] == 2


def test_gzip_and_workbooks_in_an_archive_are_opened_but_no_archives() -> None:
    assert read(packed({"a.csv.gz": gzip.compress(csv(1))}))[0] == {"a": [1, 2, 3, 4, 5]}
    error = refusal(packed({"a.csv": csv(1), "old.zip": packed({"b.csv": csv(2)})}))
    assert error.code == "nested_zip"
    assert '"old.zip"' in str(error)


def test_an_archive_inside_gzip_is_read() -> None:
    assert read(gzip.compress(packed({"a.csv": csv(1)})))[0] == {"a": [1, 2, 3, 4, 5]}


def test_encrypted_files_are_refused() -> None:
    data = bytearray(packed({"a.csv": csv(1)}))
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + at] |= 1
    assert refusal(bytes(data)).code == "encrypted"


def test_bombs_are_refused_before_they_are_unpacked() -> None:
    assert refusal(packed({"a.csv": csv(1), "b.csv": csv(2)}), unpacked_max_bytes=100).code == "unpacked_too_large"
    assert refusal(packed({"a.csv": b"\0" * (65 << 20)})).code == "unpacks_too_well"


def test_an_archive_that_was_cut_off_or_damaged_is_refused() -> None:
    data = packed({"a.csv": csv(1)})
    assert "its end is missing" in str(refusal(data[:-5]))
    damaged = bytearray(packed({"a.csv": csv(1)}, zipfile.ZIP_STORED))
    damaged[damaged.index(b"2020-01-03")] ^= 1
    error = refusal(bytes(damaged))
    assert error.code == "damaged_zip"
    assert '"a.csv"' in str(error)


@hypothesis_given(st.integers(0, 10**6), st.binary(min_size=1, max_size=8))
@examples(100)
def test_damage_gives_an_account_or_a_refusal(place: int, damage: bytes) -> None:
    data = bytearray(packed({"a.csv": csv(1), "b.csv": csv(2)}))
    at = place % len(data)
    data[at : at + len(damage)] = damage
    try:
        values, _, _, _ = read(bytes(data), size=50)
    except FormatError as error:
        assert str(error)  # noqa: PT017 - no error is right too
    except AssertionError:
        assert not data.startswith(b"PK")  # else it may be text of any kind
    else:
        assert set(values) <= {"a"}


def test_the_head_of_an_archive_is_that_of_its_first_table() -> None:
    data = packed({"a readme.txt": b"hello\n", "b.csv": csv(1), "c.csv": csv(2)})
    head = open_head(data, whole=True, given=Given(), unpacked_max_bytes=1 << 30)
    assert (head.member, head.members, head.text) == ("b.csv", ["a readme.txt", "b.csv", "c.csv"], csv(1))
    with pytest.raises(FormatError) as caught:
        open_head(data[:50], whole=False, given=Given(), unpacked_max_bytes=1 << 30)
    assert caught.value.code == "needs_whole_file"


def test_files_of_two_stations_in_one_archive_are_not_mixed() -> None:
    def month(number: int, offset: float) -> bytes:
        rows = "".join(f"2024-0{number}-{day:02},{day + offset}\n" for day in range(1, 29))
        return f"time,T\n{rows}".encode()

    refused = refusal(packed({"a.csv": month(1, 0), "b.csv": month(1, 0.5)}))
    assert refused.code == "several_sources"
    assert '"a.csv" and "b.csv" in the zip archive both hold "T" for the same time' in str(refused)
    values = read(packed({"jan.csv": month(1, 0), "feb.csv": month(2, 0)}))[0]
    assert len(values["T"]) == 56
