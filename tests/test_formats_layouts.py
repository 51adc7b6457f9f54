"""Tables of every make come back as they were written, by a layout that says how."""

# ruff: noqa: DTZ001 - clock times without a zone are what these files hold
import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daybook.formats.batch import Issue
from daybook.formats.delimited import DelimitedReader
from daybook.formats.layout import Column, FormatError, Layout, Role
from daybook.formats.lines import LineCutter
from tests.formats_reading import EPOCH, examples


@dataclass
class Account:
    """What the lines of a file gave: readings as (UTC time, value), and what became of all lines and cells."""

    read: int = 0
    blank: int = 0
    missing: int = 0
    not_numeric: int = 0
    sensors: dict[str, list[tuple[datetime, float]]] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)

    def values(self, sensor: str) -> list[float]:
        return [value for _, value in self.sensors.get(sensor, [])]


def read(data: str | bytes, layout: Layout, block_bytes: int = 1 << 20) -> Account:
    """Reads lines by that layout, in blocks of that size; every batch has to add up."""
    reader, cutter = DelimitedReader(layout), LineCutter(block_bytes, layout.data_line)
    raw = data.encode() if isinstance(data, str) else data
    found = Account()
    for block in [*cutter.feed(raw), *cutter.end()]:
        batch = reader.read(block)
        assert batch.lines == batch.blank + batch.read + batch.rejected
        assert batch.rejected == len([issue for issue in batch.issues if issue.rejected])
        assert batch.read * len(layout.of_role("value")) == batch.readings + batch.missing + batch.not_numeric
        found.read += batch.read
        found.blank += batch.blank
        found.missing += batch.missing
        found.not_numeric += batch.not_numeric
        found.issues += batch.issues
        for series in batch.series:
            found.sensors.setdefault(series.name, []).extend(
                (EPOCH + timedelta(microseconds=time), value)
                for time, value in zip(series.times.tolist(), series.values.tolist(), strict=True)
            )
    return found


def both_ways(data: str, layout: Layout) -> Account:
    """Reads the lines in one go and, with an odd line behind them, one by one; both must give the same."""
    data = data if data.endswith("\n") else data + "\n"
    plain = read(data, layout)
    careful = read(data + "odd" * 100 + "\n", layout)
    assert (careful.sensors, careful.missing, careful.read) == (plain.sensors, plain.missing, plain.read)
    assert [issue for issue in careful.issues if issue.line <= data.count("\n")] == plain.issues
    return plain


def layout_of(columns: str, **more: object) -> Layout:
    """A layout whose columns are written as name:role, or as a name that is a value."""
    found = [Column(*(name.split(":") if ":" in name else (name, "value"))) for name in columns.split()]  # type: ignore[arg-type]
    return replace(Layout("wide", tuple(found), 1), **more)  # type: ignore[arg-type]


# --- any table, written in any way

TIMES: dict[str, tuple[list[Role], list[str]]] = {
    "one": (["time"], ["%Y-%m-%dT%H:%M:%S"]),
    "two": (["time", "clock"], ["%d.%m.%Y", "%H:%M:%S"]),
    "parts": (["year", "month", "day", "hour", "minute", "second"], ["%Y", "%m", "%d", "%H", "%M", "%S"]),
    "day of year": (["year", "doy", "hour", "minute", "second"], ["%y", "%j", "%H", "%M", "%S"]),
}


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[datetime], list[list[float | None]]]:
    """Times, and a row of values for each of them."""
    width = draw(st.integers(1, 4))
    value = st.one_of(st.none(), st.integers(-(10**9), 10**9).map(lambda number: number / 100))
    moments = draw(st.lists(st.datetimes(datetime(1970, 1, 1), datetime(2068, 1, 1)), min_size=1, max_size=12))
    rows = draw(st.lists(st.lists(value, min_size=width, max_size=width), min_size=len(moments), max_size=len(moments)))
    return [moment.replace(microsecond=0) for moment in moments], rows


def number_text(value: float | None, decimal: str, thousands: str, missing: str) -> str:
    if value is None:
        return missing
    return f"{value:,.2f}".replace(",", "t").replace(".", decimal).replace("t", thousands)


@given(
    tables(),
    st.sampled_from([",", ";", "\t", "|", " ", ""]),
    st.sampled_from([(".", ""), (",", ""), (".", ","), (",", "."), (".", "'"), (".", " ")]),
    st.sampled_from([*TIMES]),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([1 << 20, 60]),
    st.booleans(),
    st.randoms(use_true_random=False),
)
@examples(300)
def test_a_table_comes_back_however_it_was_written(
    table: tuple[list[datetime], list[list[float | None]]],
    delimiter: str,
    marks: tuple[str, str],
    times: str,
    end: str,
    block_bytes: int,
    padded: bool,
    chance: random.Random,
) -> None:
    moments, rows = table
    decimal, thousands = marks
    if delimiter == thousands == " ":
        thousands = ""
    missing = "---" if delimiter == " " else chance.choice(["", "NaN", "---", "n/a"])
    roles, patterns = TIMES[times]
    lines = []
    for moment, row in zip(moments, rows, strict=True):
        cells = [moment.strftime(pattern) for pattern in patterns]
        cells += [number_text(value, decimal, thousands, missing) for value in row]
        lines.append(["" if delimiter == cell == "" else cell for cell in cells])
    widths = tuple(max(len(line[index]) for line in lines) + 1 for index in range(len(lines[0])))
    text = ""
    for line in lines:
        if delimiter == "":
            text += "".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        elif delimiter == " ":
            text += "".join(
                cell.rjust(width) if padded else f" {cell}" for cell, width in zip(line, widths, strict=True)
            )
        else:
            wide = [cell.rjust(chance.choice([0, 14, 20])) if padded else cell for cell in line]
            text += delimiter.join(f'"{cell}"' if delimiter in cell else cell for cell in wide)
        text += end
    columns = [Column(f"t{index}", role) for index, role in enumerate(roles)]
    columns += [Column(f"v{index}", "value") for index in range(len(rows[0]))]
    layout = Layout(
        "wide",
        tuple(columns),
        1,
        delimiter=delimiter,
        widths=widths if delimiter == "" else (),
        decimal=decimal,
        thousands=thousands,
        date_order="dmy",
    )
    found = read(text, layout, block_bytes)
    assert found.issues == []
    assert (found.read, found.blank) == (len(rows), 0)
    for index in range(len(rows[0])):
        expected = [
            (moment.replace(tzinfo=UTC), row[index])
            for moment, row in zip(moments, rows, strict=True)
            if row[index] is not None
        ]
        assert found.sensors.get(f"v{index}", []) == expected


# --- separators


def test_runs_of_blanks_are_read() -> None:
    layout = layout_of("YY:year MM:month DD:day hh:hour mm:minute a b", delimiter=" ", missing=("99.0",))
    found = both_ways("2019 08 01 00 10  222  99.0\n 2019\t08 01 00 20 7.5   1 \r\n\n   \n", layout)
    assert found.sensors["a"] == [
        (datetime(2019, 8, 1, 0, 10, tzinfo=UTC), 222),
        (datetime(2019, 8, 1, 0, 20, tzinfo=UTC), 7.5),
    ]
    assert (found.values("b"), found.missing, found.blank) == ([1], 1, 2)


def test_a_line_with_a_word_too_many_is_rejected_and_shown_as_it_came() -> None:
    layout = layout_of("t:time c:clock a", delimiter=" ")
    found = read("2020-01-05  13:00   1\n2020-01-05\t13:10   1   2\n2020-01-05 13:20 3\n", layout)
    assert found.values("a") == [1, 3]
    assert [(one.line, one.value, one.reason) for one in found.issues] == [
        (2, "2020-01-05\t13:10   1   2", "has 4 cells; expected 3")
    ]


def test_quotes_keep_a_cell_together_among_blanks() -> None:
    layout = layout_of("t:time n:text a", delimiter=" ")
    assert both_ways('"2020-01-05 13:00" "two  words" 1\n"2020-01-05 13:10" one 2\n', layout).values("a") == [1, 2]


def test_columns_of_fixed_width_are_read_and_short_lines_have_empty_cells() -> None:
    layout = layout_of("t:time n:text a b", delimiter="", widths=(16, 8, 6, 6))
    text = '2020-01-05 13:00 Köln "  1.50  -2\n2020-01-05 13:10-Köln       3\r\n2020-01-05 13:20         \n'
    found = read(text, layout)
    assert (found.values("a"), found.values("b"), found.missing) == ([1.5, 3], [-2], 3)
    assert found.issues == []


def test_bars_are_read() -> None:
    assert both_ways("2020-01-05 | 1 | x\n2020-01-06 | 2 | y\n", layout_of("t:time a n:text", delimiter="|")).values(
        "a"
    ) == [1, 2]


@pytest.mark.parametrize("end", [";\n", ";\r\n"])
def test_a_delimiter_at_the_end_of_every_line_costs_nothing(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DelimitedReader, "_read_by_line", None)
    text = "".join(f'"0{day}/09/2024";"0,{day}39";"-"{end}' for day in range(1, 10))
    found = read(text, layout_of("t:time a b", delimiter=";", decimal=",", date_order="dmy"), 60)
    assert found.values("a") == [float(f"0.{day}39") for day in range(1, 10)]


def test_padded_marks_for_missing_values_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DelimitedReader, "_read_by_line", None)
    text = "".join(f"2020-01-0{day}, {' ' * 40}, NaN , --- ,  NA,\t,   {day}.5\n" for day in range(1, 10))
    found = read(text, layout_of("t:time a b c d e f"), 100)
    assert (found.missing, found.values("f")) == (45, [day + 0.5 for day in range(1, 10)])


def test_what_a_spreadsheet_wants_around_cells_is_no_part_of_them() -> None:
    layout = layout_of("t:time s:sensor v:value", shape="narrow", delimiter=";", decimal=",")
    found = both_ways('="2020-01-05";="0541";="1,5"\n2020-01-06;="0541";2\n', layout)
    assert found.values("0541") == [1.5, 2]


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
def test_letters_of_one_byte_are_read(encoding: str) -> None:
    layout = layout_of("t:time s:sensor v:value", shape="narrow", encoding=encoding)
    assert list(both_ways_bytes("2020-01-05,Größe °C,1\n".encode(encoding), layout).sensors) == ["Größe °C"]


def both_ways_bytes(data: bytes, layout: Layout) -> Account:
    plain = read(data, layout)
    assert read(data + b"odd\n", layout).sensors == plain.sensors
    return plain


# --- numbers


@pytest.mark.parametrize(
    ("decimal", "thousands", "text", "value"),
    [
        (".", ",", "1,234,567.5", 1234567.5),
        (".", ",", "-12,345", -12345),
        (".", ",", "1234.5", 1234.5),
        (".", ",", "123", 123),
        (".", ",", "1,234e3", 1234000),
        (",", ".", "1.234,5", 1234.5),
        (",", ".", "+1.234.567", 1234567),
        (".", " ", "12 345.5", 12345.5),
        (".", " ", "12\u00a0345", 12345),
        (",", " ", "1\u202f234,25", 1234.25),
        (".", "'", "1'234.5", 1234.5),
        (".", "'", "1’234’567", 1234567),
        (".", ",", "12,34", None),
        (".", ",", "1,2345", None),
        (".", ",", "1234,567", None),
        (".", ",", ",123", None),
        (".", ",", "1,,234", None),
        (".", ",", "1,23,456", None),
        (".", ",", "1.234,567", None),
        (".", ",", "1,234,", None),
        (",", ".", "1.5", None),
        (",", ".", "0,123.456", None),
    ],
)
def test_marks_between_thousands_stand_between_groups_of_three(
    decimal: str, thousands: str, text: str, value: float | None
) -> None:
    layout = layout_of("t:time a", delimiter=";", decimal=decimal, thousands=thousands)
    found = both_ways(f"2020-01-05;1\n2020-01-06;{text}\n2020-01-07; {text} \n2020-01-08;NaN\n", layout)
    assert found.values("a") == ([1] if value is None else [1, value, value])
    assert [issue.line for issue in found.issues] == ([2, 3] if value is None else [])
    assert found.missing == 1


def test_a_column_may_have_its_own_marks_for_missing_values() -> None:
    columns = (
        Column("t", "time"),
        Column("a", "value", missing=("99.0", "ERR")),
        Column("b", "value", missing=("999",)),
        Column("c", "value"),
    )
    found = both_ways(
        "2020-01-05,99,99,99\n2020-01-06,err,999.0,999\n2020-01-07,1,2,-1\n",
        Layout("wide", columns, 1, missing=("-1",)),
    )
    assert (found.values("a"), found.values("b"), found.values("c")) == ([1], [99, 2], [99, 999])
    assert (found.missing, found.issues) == (4, [])


def test_a_mark_of_one_column_is_no_mark_in_another() -> None:
    columns = (Column("t", "time"), Column("a", "value", missing=("ERR",)), Column("b", "value"))
    found = both_ways("2020-01-05,ERR,1\n2020-01-06,2,ERR\n", Layout("wide", columns, 1))
    assert [(issue.line, issue.column) for issue in found.issues] == [(2, "b")]


def test_a_sensor_may_have_another_name_than_its_column() -> None:
    columns = (Column("t", "time"), Column("T [degC]", "value", unit="degC", sensor="temperature"))
    found = both_ways("2020-01-05,1\n2020-01-06,x\n", Layout("wide", columns, 1))
    assert found.values("temperature") == [1]
    assert found.issues[0].column == "T [degC]"


def test_numbers_of_a_column_that_nobody_wants_are_no_issues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DelimitedReader, "_read_by_line", None)
    found = read("2020-01-05,1,0\n2020-01-06,2,0\n", layout_of("t:time a flag:text"), 20)
    assert (found.values("a"), found.issues) == ([1, 2], [])


# --- times in several columns


def test_parts_of_a_time_that_are_none_are_listed_as_they_stand() -> None:
    layout = layout_of("y:year m:month d:day a", time_example="2019-01-05")
    found = read("2019,1,5,1\n2019,13,40,2\n2019,x,1,3\n,,,4\n2019,2,1,5\n", layout)
    assert found.values("a") == [1, 5]
    assert [(issue.line, issue.column, issue.value, issue.reason) for issue in found.issues] == [
        (
            2,
            "y + m + d",
            "2019 13 40",
            'is not a time; expected year, month, day as whole numbers, such as "2019-01-05"',
        ),
        (3, "y + m + d", "2019 x 1", 'is not a time; expected year, month, day as whole numbers, such as "2019-01-05"'),
        (4, "y + m + d", "", "has no time"),
    ]


def test_the_date_may_stand_behind_its_clock() -> None:
    found = both_ways("13:00,1,2020-01-05\n13:10,2,2020-01-05\n", layout_of("c:clock a d:time"))
    assert [time.hour for time, _ in found.sensors["a"]] == [13, 13]


def test_numbers_since_1970_do_not_follow_the_zone_of_the_layout() -> None:
    layout = layout_of("t:time a", epoch="ms", timezone="Europe/Dublin")
    found = both_ways("1593604800000,1\n1593604800500,2\n", layout)
    assert [time.isoformat() for time, _ in found.sensors["a"]] == [
        "2020-07-01T12:00:00+00:00",
        "2020-07-01T12:00:00.500000+00:00",
    ]
    assert read("2020-01-01,1\n1593604800000,1\n", layout).issues[0].reason.endswith("milliseconds since 1970")


def test_times_are_read_by_the_patterns_of_the_layout_alone() -> None:
    layout = layout_of("t:time a", time_formats=("%d/%m/%y %H.%M", "%d/%m/%y"))
    found = read("05/01/20 13.00,1\n06/01/20,2\n2020-01-07,3\n", layout)
    assert [time.isoformat()[:16] for time, _ in found.sensors["a"]] == ["2020-01-05T13:00", "2020-01-06T00:00"]
    assert found.issues[0].reason == 'is not a time; expected "%d/%m/%y %H.%M" or "%d/%m/%y"'


# --- anything at all

SCRAPS = [
    "2020-01-05",
    "2020-01-05 13:00",
    "05.01.2020",
    "13:00",
    "1300",
    "2020",
    "1",
    "5",
    "12",
    "366",
    "1.5",
    "1,234",
]
SCRAPS += [
    "1.234,5",
    "NaN",
    "-",
    "x",
    "ERR",
    '"',
    '""',
    '="7"',
    "é",
    "\u00a0",
    "\ufeff",
    "\0",
    "\x1f",
    "\r",
    "\r\n",
    "\n",
    "\n",
]
SCRAPS += [",", ";", "\t", "|", " ", "  ", "1e999", "inf", "nan(1)", "1577836800", "43831.5", "99", "PM"]
ROLES: list[list[Role]] = [
    ["time", "value", "value"],
    ["time", "clock", "value", "text"],
    ["year", "month", "day", "hour", "value"],
    ["year", "doy", "clock", "value"],
    ["value", "time", "hour"],
    ["time", "clock", "clock", "value"],
]


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    """Any layout, whether it fits the lines or not."""
    delimiter = draw(st.sampled_from([",", ";", "\t", "|", " ", ""]))
    shape = draw(st.sampled_from(["wide", "narrow", "pivot"]))
    if shape == "narrow":
        columns = [Column("t", "time"), Column("s", "sensor"), Column("u", "unit"), Column("v", "value")]
    elif shape == "pivot":
        columns = [Column("t", "time"), *(Column(f"{hour}:00", "value") for hour in (0, 6, 12, 18))]
    else:
        columns = [Column(f"c{index}", role) for index, role in enumerate(draw(st.sampled_from(ROLES)))]
        marks = draw(st.sampled_from([(), ("99",), ("ERR", "5")]))
        columns = [replace(column, missing=marks if column.role == "value" else ()) for column in columns]
    return Layout(
        shape,  # type: ignore[arg-type]
        tuple(columns),
        1,
        delimiter=delimiter,
        widths=tuple(draw(st.integers(1, 9)) for _ in columns) if delimiter == "" else (),
        decimal=draw(st.sampled_from([".", ","])),
        thousands=draw(st.sampled_from(["", " ", "'"])),
        date_order=draw(st.sampled_from(["ymd", "dmy", "mdy"])),
        time_formats=draw(st.sampled_from([(), (), ("%d.%m.%Y",), ("%Y-%m-%d %H:%M", "%Y%m%d")])),
        epoch=draw(st.sampled_from(["", "", "s", "excel"])),
        timezone=draw(st.sampled_from(["UTC", "Europe/Berlin"])),
        encoding=draw(st.sampled_from(["utf-8", "cp1252", "latin-1"])),
        missing=draw(st.sampled_from([(), ("12", "x")])),
    )


@given(layouts(), st.lists(st.sampled_from(SCRAPS), max_size=60).map("".join), st.integers(20, 100))
@examples(500)
def test_any_lines_read_by_any_layout_give_an_account_that_adds_up(layout: Layout, text: str, block_bytes: int) -> None:
    data = text.encode(layout.encoding, "replace")
    try:
        whole = read(data, layout)
    except FormatError as error:
        assert str(error)  # noqa: PT017 - no error is right too
        return
    in_blocks = read(data, layout, block_bytes)
    assert (in_blocks.sensors, in_blocks.read, in_blocks.missing) == (whole.sensors, whole.read, whole.missing)
    assert [one for one in in_blocks.issues if "is not kept" not in one.reason] == [
        one for one in whole.issues if "is not kept" not in one.reason
    ]


@given(layouts(), st.lists(st.sampled_from(SCRAPS), max_size=12).map("".join))
@examples(300)
def test_rows_read_the_same_beside_an_odd_line(layout: Layout, text: str) -> None:
    try:
        both_ways(text + "\n", layout)
    except FormatError as error:
        assert error.code in ("second_table", "several_sources")  # noqa: PT017
