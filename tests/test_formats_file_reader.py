"""Any table of readings, written in any combination of habits, comes back exactly equal, with a correct account."""

# ruff: noqa: DTZ001 - clock times without a zone are what these files hold
import csv
import gzip
import io
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daybook.formats import file_reader
from daybook.formats.given import Given
from daybook.formats.head import open_head
from daybook.formats.layout import FormatError, Layout
from tests.formats_reading import Reading, examples, read_file

NAMES = ["Spd80mN", "T(C)", "RH [%]", "Temp, °C", "battery; V", 'the "old" one', "RECORD", "a  b", "Größe", "2"]
MARKS = ["", "NaN", "NA", "nan", "null", "NULL", "-", "--", "---", "n/a", "  ", "Nan"]
PREAMBLE = [
    "Station: Athenry",
    "Latitude=53.3",
    "",
    "Created 10-05-2019 14:36 by hand",
    "# all; in one, line\there",
    "é",
]
BAD_LINES = ["this is no row", "1", "2020-01-01 00:00:00", '"opened and not closed']


@dataclass(frozen=True)
class Style:
    """A way to write times: strptime patterns by column, the header cells, and the date order that it needs."""

    patterns: tuple[str, ...]
    header: tuple[str, ...]
    order: str
    step: timedelta  # the smallest step that it can tell

    def write(self, time: datetime) -> list[str]:
        return [time.strftime(pattern) for pattern in self.patterns]


SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
STYLES = [
    Style(("%Y-%m-%d %H:%M:%S",), ("Timestamp",), "ymd", SECOND),
    Style(("%Y-%m-%dT%H:%M:%S.%fZ",), ("time",), "ymd", timedelta(microseconds=1)),
    Style(("%Y-%m-%dT%H:%M:%S+0000",), ("Date/Time",), "ymd", SECOND),
    Style(("%Y/%m/%d %H:%M",), ("date time",), "ymd", MINUTE),
    Style(("%d/%m/%Y %H:%M:%S",), ("Date/Time",), "dmy", SECOND),
    Style(("%d.%m.%Y %H:%M",), ("Datum",), "dmy", MINUTE),
    Style(("%m/%d/%Y %I:%M:%S %p",), ("Date Time",), "mdy", SECOND),
    Style(("%d-%b-%Y %H:%M",), ("date",), "dmy", MINUTE),
    Style(("%Y%m%d%H%M",), ("YYYYMMDDHHMM",), "ymd", MINUTE),
    Style(("%d-%m-%Y", "%H:%M:%S"), ("Date", "Time"), "dmy", SECOND),
    Style(("%H:%M", "%d/%m/%Y"), ("Time", "Date"), "dmy", MINUTE),
    Style(("%Y%m%d", "%H%M"), ("YYYYMMDD", "HHMM"), "ymd", MINUTE),
]


@dataclass(frozen=True)
class Written:
    """A file and what has to come out of it."""

    data: bytes
    order: str
    readings: dict[str, list[tuple[datetime, float]]]
    lines: int
    preamble: int
    blank: int
    rejected: list[int]
    missing: int


@st.composite
def tables(draw: st.DrawFn, narrow: bool = False) -> Written:
    style = draw(st.sampled_from(STYLES))
    delimiter = draw(st.sampled_from(",;\t"))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    comma = delimiter != "," and draw(st.booleans())
    quoting = draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    count = draw(st.integers(3, 12))
    start = datetime(2019, 1, 1) + draw(st.integers(0, 700)) * timedelta(days=1) + draw(st.integers(0, 1439)) * MINUTE
    steps = draw(st.lists(st.integers(1, 5000), min_size=count, max_size=count))
    numbers = st.one_of(
        st.floats(-1000, 1000).map(lambda value: round(value, 3)), st.floats(allow_nan=False, allow_infinity=False)
    )
    preamble = draw(st.lists(st.sampled_from(PREAMBLE), max_size=4))
    readings: dict[str, list[tuple[datetime, float]]] = {}
    text = io.StringIO()
    for line in preamble:
        text.write(line + end)
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writerow([*style.header, *(["sensor", "value"] if narrow else names)])
    line, blank, missing, rejected = len(preamble) + 1, 0, 0, []
    time = start
    for row in range(count):
        time += steps[row] * style.step
        for name_of_row in names if narrow else [""]:
            odd = draw(st.integers(0, 11)) if row > 1 else 11
            if odd == 0:
                text.write(draw(st.sampled_from(["", "  ", delimiter * 2])) + end)
                line, blank = line + 1, blank + 1
            elif odd == 1:
                text.write(draw(st.sampled_from(BAD_LINES)) + end)
                line += 1
                rejected.append(line)
            cells = []
            for name in [name_of_row] if narrow else names:
                if row > 0 and draw(st.integers(0, 4)) == 0:
                    cells.append(draw(st.sampled_from(MARKS)))
                    missing += 1
                    continue
                value = draw(numbers)
                written = draw(st.sampled_from(["{}", " {}", "{} "])).format(repr(value))
                cells.append(written.replace(".", ",") if comma else written)
                readings.setdefault(name, []).append((time.replace(tzinfo=UTC), value))
            writer.writerow([*style.write(time), *([name_of_row] if narrow else []), *cells])
            line += 1
    content = text.getvalue()
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "cp1252"]))
    data = content.encode(encoding)
    if draw(st.booleans()):
        data = data.removesuffix(end.encode())
    if draw(st.booleans()):
        data = gzip.compress(data)
    return Written(data, style.order, readings, line, len(preamble) + 1, blank, rejected, missing)


def pieces_of(draw: st.DataObject, data: bytes) -> list[bytes]:
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=20)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def assert_equal(found: Reading, written: Written) -> None:
    assert found.sensors == written.readings
    assert (found.lines, found.preamble, found.blank) == (written.lines, written.preamble, written.blank)
    assert found.rejected_lines == written.rejected
    assert (found.missing, found.not_numeric) == (written.missing, 0)


@given(written=tables(), draw=st.data())
@examples(120)
def test_a_wide_table_comes_back_equal_however_it_is_written(written: Written, draw: st.DataObject) -> None:
    block = draw.draw(st.sampled_from([50, 200, 1 << 20]))
    with patch.object(file_reader, "BLOCK_BYTES", block):
        found = read_file(written.data, pieces_of(draw, written.data), date_order=written.order)
    assert_equal(found, written)


@given(written=tables(narrow=True), draw=st.data())
@examples(80)
def test_a_narrow_table_comes_back_equal_however_it_is_written(written: Written, draw: st.DataObject) -> None:
    block = draw.draw(st.sampled_from([50, 200, 1 << 20]))
    with patch.object(file_reader, "BLOCK_BYTES", block):
        found = read_file(written.data, pieces_of(draw, written.data), date_order=written.order)
    assert_equal(found, written)


@given(written=tables())
@examples(60)
def test_without_being_told_the_order_of_day_and_month_the_file_is_read_right_or_refused(written: Written) -> None:
    try:
        found = read_file(written.data)
    except FormatError as error:
        assert error.code == "ambiguous_dates"  # noqa: PT017 - no error is right too
    else:
        assert_equal(found, written)


@given(written=tables())
@examples(30)
def test_a_layout_survives_being_stored(written: Written) -> None:
    layout = read_file(written.data, date_order=written.order).layout
    assert Layout.from_json(layout.to_json()) == layout


@given(
    start=st.datetimes(datetime(2015, 1, 1), datetime(2029, 1, 1)),
    minutes=st.sampled_from([1, 10, 30, 60, 180, 360, 720]),
    count=st.integers(2, 80),
    month_first=st.booleans(),
)
@examples(100)
def test_day_and_month_are_never_swapped_in_a_regular_file(
    start: datetime, minutes: int, count: int, month_first: bool
) -> None:
    times = [start.replace(second=0, microsecond=0) + row * minutes * MINUTE for row in range(count)]
    pattern = "%m/%d/%Y %H:%M" if month_first else "%d/%m/%Y %H:%M"
    data = "Date,a\n" + "".join(f"{time.strftime(pattern)},{row}\n" for row, time in enumerate(times))
    try:
        found = read_file(data)
    except FormatError as error:
        assert error.code == "ambiguous_dates"  # noqa: PT017 - no error is right too
    else:
        assert [time for time, _ in found.sensors["a"]] == [time.replace(tzinfo=UTC) for time in times]


@given(
    zone=st.sampled_from(["Europe/Dublin", "America/New_York", "Australia/Lord_Howe", "America/St_Johns", "UTC"]),
    hours=st.integers(-30, 30),
    month=st.sampled_from([3, 4, 10, 11]),
    minutes=st.sampled_from([10, 15, 30]),
    newest_first=st.booleans(),
    narrow=st.booleans(),
    block=st.sampled_from([2000, 30_000, 1 << 20]),
)
@examples(30)
def test_local_times_over_a_change_of_the_clocks_come_back_as_the_moments_that_they_were(
    zone: str, hours: int, month: int, minutes: int, newest_first: bool, narrow: bool, block: int
) -> None:
    # From the first of the month to the change there are up to four weeks: the whole month is written.
    start = datetime(2023, month, 1, tzinfo=UTC) + timedelta(hours=hours)
    moments = [start + row * minutes * MINUTE for row in range(31 * 24 * 60 // minutes)]
    moments = [moment for moment in moments if moment.astimezone(ZoneInfo(zone)).weekday() >= 5]  # Saturday, Sunday
    if newest_first:
        moments.reverse()
    rows = []
    for row, moment in enumerate(moments):
        local = moment.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")
        rows += [f"{local},a,{row}", f"{local},b,{row}"] if narrow else [f"{local},{row},{row}"]
    header = "time,sensor,value" if narrow else "time,a,b"
    with patch.object(file_reader, "BLOCK_BYTES", block):
        found = read_file("\n".join([header, *rows]), timezone=zone)
    assert [time for time, _ in found.sensors["a"]] == moments
    assert [time for time, _ in found.sensors["b"]] == moments
    assert found.rejected == 0


@given(written=tables(), draw=st.data())
@examples(40)
def test_one_bad_line_changes_nothing_for_the_others(written: Written, draw: st.DataObject) -> None:
    data = gzip.decompress(written.data) if written.data.startswith(b"\x1f\x8b") else written.data
    data = data if data.endswith(b"\n") else data + b"\n"
    found = read_file(data + b"and this line is none\n", date_order=written.order)
    assert found.rejected_lines == [*written.rejected, written.lines + 1]
    assert found.sensors == written.readings


def big_file(rows: int = 60_000) -> str:
    start = datetime(2020, 1, 1)
    return "time,a,b\n" + "".join(f"{start + row * MINUTE},{row}.5,{-row}\n" for row in range(rows))


@pytest.mark.parametrize("size", [1, 7, 65_536, 1 << 20, 1 << 30])
def test_the_pieces_in_which_a_file_arrives_change_nothing(size: int) -> None:
    text = big_file()
    lines = text.split("\n")
    lines[30_000] = "2020-01-21 19:59:00,1,2,3"
    lines[50_000] = "2020-02-04 17:19:00,x,2"
    data = "\n".join(lines).encode()
    if size < 100:
        data = data[: 1 << 15]
    whole = read_file(data)
    found = read_file(data, [data[at : at + size] for at in range(0, len(data), size)])
    assert found == whole
    if size > 100:
        assert whole.rejected_lines == [30_001]
        assert [(issue.line, issue.column, issue.value) for issue in whole.issues][1] == (50_001, "a", "x")
        assert whole.read == 59_999


def test_a_file_of_many_blocks_is_read_to_its_last_line() -> None:
    found = read_file(big_file().removesuffix("\n"))
    assert (found.lines, found.preamble, found.read, found.rejected) == (60_001, 1, 60_000, 0)
    assert found.values("a")[-1] == 59_999.5
    assert sum(found.values("b")) == -sum(range(60_000))


def test_lines_that_end_in_cr_alone_are_lines() -> None:
    found = read_file("time,a\r2020-01-01,1\r2020-01-02,2\r")
    assert (found.lines, found.values("a")) == (3, [1, 2])


def test_daybooks_own_narrow_export_comes_back() -> None:
    found = read_file("source,sensor,time,value\nmast 1,T,2020-01-01T00:00:00Z,1.5\nmast 1,U,2020-01-01T00:00:00Z,2\n")
    assert found.layout.shape == "narrow"
    assert (found.values("T"), found.values("U")) == ([1.5], [2])


def test_daybooks_own_wide_export_comes_back() -> None:
    found = read_file("time,T,U\n2020-01-01T00:00:00Z,1.5,\n2020-01-01T01:00:00Z,,2\n")
    assert (found.values("T"), found.values("U"), found.missing) == ([1.5], [2], 2)


def test_an_export_of_several_sources_is_refused_even_where_the_second_begins_late() -> None:
    rows = [f"mast {1 + row // 50_000},T,{datetime(2020, 1, 1) + row * MINUTE},1" for row in range(50_010)]
    with pytest.raises(FormatError, match=r'more than one source: "mast 1", and on line 50,002 "mast 2"') as caught:
        read_file("source,sensor,time,value\n" + "\n".join(rows))
    assert caught.value.code == "several_sources"


def test_a_sensor_that_comes_in_two_units_is_two_sensors() -> None:
    rows = ["time;register;value;unit"]
    for hour in range(4):
        rows += [f"2020-01-01 0{hour}:00;Offtake;{hour},5;m³", f"2020-01-01 0{hour}:00;Offtake;{hour * 11};kWh"]
    found = read_file("\n".join(rows))
    assert found.values("Offtake m³") == [0.5, 1.5, 2.5, 3.5]
    assert found.values("Offtake kWh") == [0, 11, 22, 33]
    assert found.units == {"Offtake m³": "m³", "Offtake kWh": "kWh"}


def test_a_sensor_that_changes_its_unit_further_on_is_not_mixed_up() -> None:
    rows = [f"{datetime(2020, 1, 1) + row * MINUTE},T,20,degC" for row in range(60_000)]
    rows[50_000] = "2020-02-04 17:20:00,T,68,degF"
    found = read_file("time,sensor,value,unit\n" + "\n".join(rows))
    assert found.rejected_lines == [50_002]
    assert found.issues[0].reason == 'is another unit than degC, that of "T" so far'
    assert found.units == {"T": "degC"}


def test_numbers_in_a_column_that_held_only_text_at_first_are_reported() -> None:
    rows = [f"{datetime(2020, 1, 1) + row * MINUTE},{row},starting" for row in range(60_000)]
    rows[50_000] = "2020-02-04 17:20:00,1,12.5"
    rows[50_001] = "2020-02-04 17:21:00,1,13.5"
    found = read_file("time,a,status\n" + "\n".join(rows))
    assert list(found.sensors) == ["a"]
    assert len(found.values("a")) == 60_000
    [issue] = found.issues
    assert (issue.line, issue.column, issue.value, issue.rejected) == (50_002, "status", "12.5", False)
    assert "so are 1 more up to line 50,003" in issue.reason


def test_a_column_that_is_empty_at_first_keeps_its_numbers() -> None:
    rows = [f"{datetime(2020, 1, 1) + row * MINUTE},{row}," for row in range(60_000)]
    rows[50_000] += "7.25"
    found = read_file("time,a,late\n" + "\n".join(rows))
    assert found.values("late") == [7.25]
    assert found.missing == 59_999


def test_another_table_further_down_stops_the_import() -> None:
    rows = [f"{datetime(2020, 1, 1) + row * MINUTE},{row}" for row in range(60_000)]
    rows[50_000:50_000] = ["", "Time,rain"]
    with pytest.raises(FormatError, match=r"another table begins on line 50,003, with other columns: Time, rain") as it:
        read_file("Time,temperature\n" + "\n".join(rows))
    assert it.value.code == "second_table"


def test_a_header_that_is_repeated_is_a_rejected_line_and_nothing_more() -> None:
    rows = [f"2020-01-{day:02},{day}\n" for day in range(1, 21)]
    found = read_file("".join(["Time,a\n", *rows[:10], "Time,a\n", *rows[10:]]))
    assert found.values("a") == list(range(1, 21))
    assert [(issue.line, issue.reason) for issue in found.issues] == [(12, "repeats the header")]


def test_what_is_given_is_not_looked_for_and_what_is_asked_for_comes_first() -> None:
    text = "time,a\n01/02/2020 10:00,1\n"
    settings = Given(date_order="dmy", timezone="Europe/Dublin")
    assert read_file(text, given=settings).times("a") == ["2020-02-01 10:00:00"]
    assert read_file(text, given=settings, date_order="mdy").times("a") == ["2020-01-02 10:00:00"]
    assert read_file(text, given=settings, timezone="Europe/Berlin").times("a") == ["2020-02-01 09:00:00"]


def test_files_that_need_room_on_disk_use_the_folder_that_is_given(tmp_path: Path) -> None:
    with patch("tempfile.TemporaryFile", wraps=tempfile.TemporaryFile) as made, pytest.raises(FormatError):
        read_file(b"PAR1 and no more", spool_folder=tmp_path)
    assert made.call_args.kwargs == {"dir": tmp_path}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [10, 300, 2000, 1 << 20])
def test_the_head_of_a_text_file_is_its_first_part_compressed_or_not(size: int) -> None:
    data = big_file(200).encode()
    for sent in (data, gzip.compress(data)):
        head = open_head(sent[:size], whole=size >= len(sent), given=Given(), unpacked_max_bytes=1 << 30)
        assert data.startswith(head.text)
        assert (head.file, head.whole) == ("text", size >= len(sent))
        assert head.text or sent is not data
