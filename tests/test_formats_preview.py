"""What a person sees of a file before it is imported."""

from hypothesis import given as cases
from hypothesis import strategies as st

from daybook.formats.given import Given
from daybook.formats.preview import MAX_LINES, Preview, preview
from tests.formats_reading import examples
from tests.test_formats_fuzz import SCRAPS, nearly_tables

MAST = "Mast 12\n\ntime,WS (m/s),T,note\n,m/s,degC,\n" + "".join(
    f"2021-03-{n:02} 10:00,{n}.5,-{n},ok\n" for n in range(1, 29)
)


def look(text: str | bytes, whole: bool = True, **fields: object) -> Preview:
    data = text.encode() if isinstance(text, str) else text
    return preview(data, whole=whole, given=Given.from_json(fields), unpacked_max_bytes=1 << 30)


def test_lines_are_marked_by_what_they_are() -> None:
    found = look(MAST)
    kinds = [line.kind for line in found.lines]
    assert kinds[:5] == ["preamble", "blank", "header", "units", "data"]
    assert found.lines[2].cells == ("time", "WS (m/s)", "T", "note")
    assert len(found.lines) < MAX_LINES


def test_of_a_long_preamble_the_beginning_and_the_end_are_shown() -> None:
    found = look("".join(f"key {n}: 7\n" for n in range(1, 337)) + MAST)
    numbers = [line.number for line in found.lines]
    assert numbers[0] == 1
    assert 339 in numbers
    assert len(numbers) <= MAX_LINES


def test_columns_have_role_unit_and_first_values() -> None:
    found = look(MAST, columns=[{"name": "T", "role": "text"}])
    shown = [(one.column.name, one.column.role, one.column.unit, one.values[0], one.fixed) for one in found.columns]
    assert shown == [
        ("time", "time", "", "2021-03-01 10:00", False),
        ("WS (m/s)", "value", "m/s", "1.5", False),
        ("T", "text", "degC", "-1", True),
        ("note", "text", "", "ok", False),
    ]


def test_first_and_last_time_and_readings() -> None:
    found = look(MAST)
    assert found.rows == 28
    assert found.first_time == 1_614_592_800_000_000
    assert found.last_time == found.first_time + 27 * 86_400_000_000
    assert found.sample[:2] == (("WS (m/s)", found.first_time, 1.5), ("T", found.first_time, -1.0))


def test_a_doubt_is_a_question_with_answers_that_settle_it() -> None:
    rows = "".join(f"03/05/2021 {n:02}:00,{n}\n" for n in range(24))
    asked = look("Date,a\n" + rows)
    assert asked.problem is not None
    (doubt,) = asked.doubts
    assert "3 May 2021 or 5 March 2021" in doubt.question
    assert asked.layout is not None  # and all the rest is shown nevertheless
    settled = [look("Date,a\n" + rows, **one.changes) for one in doubt.choices]
    assert all(one.problem is None and not one.doubts for one in settled)
    assert settled[0].first_time != settled[1].first_time


def test_what_is_no_table_is_shown_with_the_reason() -> None:
    found = look("It was a dark and stormy night.\nThe logger stopped.\n")
    assert found.layout is None
    assert found.problem is not None
    assert [line.text for line in found.lines] == ["It was a dark and stormy night.", "The logger stopped."]


def test_a_line_that_an_import_would_reject_is_marked() -> None:
    found = look(MAST.replace("2021-03-02 10:00", "yesterday"))
    assert [line.number for line in found.lines if line.kind == "rejected"] == [6]
    assert "is not a time" in found.issues[0].reason


def test_a_file_of_which_most_rows_would_be_rejected_is_a_problem() -> None:
    text = MAST + "".join(f"page {n}, of 40,1,2,3\n" for n in range(40))
    found = look(text)
    assert (found.rows, found.rejected) == (28, 40)
    assert found.problem is not None
    assert found.problem.code == "too_many_bad_rows"


def test_lines_that_end_in_cr_alone_are_lines() -> None:
    assert look(MAST.replace("\n", "\r")).rows == 28


def test_a_part_of_a_file_ends_anywhere() -> None:
    whole = look(MAST)
    assert look(MAST.encode()[:-7], whole=False).layout == whole.layout


@cases(
    st.one_of(st.binary(max_size=300), st.lists(st.sampled_from(SCRAPS), max_size=60).map(b"".join), nearly_tables()),
    st.booleans(),
)
@examples(300)
def test_a_preview_of_any_bytes_is_something_to_look_at(data: bytes, whole: bool) -> None:
    found = look(data, whole)
    assert found.layout is not None or found.problem is not None
