"""Any table of readings, written in any combination of the ways in which loggers write, comes back equal."""

import csv
import gzip
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import event, given
from hypothesis import strategies as st

from daybook.formats.given import Given
from daybook.formats.layout import FormatError
from tests.formats_reading import Reading, examples, read_file

# How a time is written: the names of its columns, and their cells.
TIMES: dict[str, tuple[list[str], Callable[[datetime], list[str]]]] = {
    "iso": (["time"], lambda t: [f"{t:%Y-%m-%d %H:%M:%S}"]),
    "iso T Z": (["timestamp"], lambda t: [f"{t:%Y-%m-%dT%H:%M:%SZ}"]),
    "iso offset": (["time"], lambda t: [f"{t + timedelta(hours=2):%Y-%m-%dT%H:%M:%S}+02:00"]),
    "nanoseconds": (["Time_UTC"], lambda t: [f"{t:%Y-%m-%d %H:%M:%S}.{t.microsecond:06}123"]),
    "day first": (["Date/Time"], lambda t: [f"{t:%d/%m/%Y %H:%M:%S}"]),
    "dots": (["Datum"], lambda t: [f"{t:%d.%m.%Y %H:%M:%S}"]),
    "month first": (["Date"], lambda t: [f"{t:%m/%d/%Y %H:%M:%S}"]),
    "two-digit year, AM and PM": (["Date Time"], lambda t: [f"{t:%m/%d/%y %I:%M:%S %p}"]),
    "month names": (["date"], lambda t: [f"{t:%d-%b-%Y %H:%M:%S}"]),
    "date and clock": (["Date", "Time"], lambda t: [f"{t:%d-%m-%Y}", f"{t:%H:%M:%S}"]),
    "digits": (["YYYYMMDD", "HHMM"], lambda t: [f"{t:%Y%m%d}", f"{t:%H%M}"]),
    "digits on end": (["stamp time"], lambda t: [f"{t:%Y%m%d%H%M%S}"]),
    "parts": (["#YY", "MM", "DD", "hh", "mm"], lambda t: [f"{t:%Y}", f"{t:%m}", f"{t:%d}", f"{t:%H}", f"{t:%M}"]),
    "day of year": (
        ["Year", "DOY", "HHMM"],
        lambda t: [f"{t:%Y}", f"{t.timetuple().tm_yday}", f"{t.hour * 100 + t.minute}"],
    ),
    "epoch s": (["time"], lambda t: [str(int(t.timestamp()))]),
    "epoch ms": (["timestamp"], lambda t: [str(int(t.timestamp() * 1000))]),
    "epoch us": (["ts"], lambda t: [str(int(t.timestamp()) * 10**6)]),
    "epoch ns": (["time"], lambda t: [str(int(t.timestamp()) * 10**9)]),
}
NAMES = st.lists(
    st.sampled_from(["WS_80m", "Dir78mS", "T2m", "Temp (degC)", "RH [%]", "P", "Ch1_Avg", "batt.V", "U-wind", "Röhre"]),
    min_size=1,
    max_size=4,
    unique=True,
)
NUMBERS = st.one_of(
    st.decimals(-99999, 99999, places=3).map(float),
    st.integers(-99999, 999999).map(float),
)


@dataclass
class Table:
    names: list[str]
    rows: list[tuple[datetime, list[float | None]]]

    def readings(self) -> dict[str, dict[datetime, float]]:
        found: dict[str, dict[datetime, float]] = {}
        for index, name in enumerate(self.names):
            column = {time: row[index] for time, row in self.rows}
            kept = {time: value for time, value in column.items() if value is not None}
            if kept:
                found[name] = kept
        return found


@st.composite
def tables(draw: st.DrawFn) -> Table:
    names = draw(NAMES)
    start = datetime(draw(st.integers(1995, 2034)), draw(st.integers(1, 12)), draw(st.integers(1, 28)), tzinfo=UTC)
    start += timedelta(minutes=10 * draw(st.integers(0, 143)))
    count = draw(st.integers(8, 40))
    step = timedelta(minutes=draw(st.sampled_from([10, 30, 60, 240])))
    gaps = draw(st.sets(st.integers(0, count * len(names) - 1), max_size=count * len(names) // 3))
    cells = [None if place in gaps else draw(NUMBERS) for place in range(count * len(names))]
    return Table(names, [(start + step * row, cells[row * len(names) :][: len(names)]) for row in range(count)])


@dataclass
class Traits:
    """How a table is written into a file."""

    times: str
    delimiter: str
    decimal: str
    thousands: str
    missing: str
    quotes: bool
    above: list[str]
    units: bool
    header: bool
    newest_first: bool
    trailing: bool
    narrow: bool
    line_end: str
    encoding: str
    packed: str


@st.composite
def ways_to_write(draw: st.DrawFn) -> Traits:
    delimiter = draw(st.sampled_from([",", ";", "\t", "|", " ", "fixed"]))
    padded = delimiter in (" ", "fixed")
    decimal = draw(st.sampled_from([".", ".", ","]))
    groups = [""] if padded else ["", "", "," if decimal == "." else ".", "'"]
    times = draw(st.sampled_from(sorted(TIMES)))
    if delimiter == " " and times in ("two-digit year, AM and PM",):
        times = "iso T Z"
    prose = ["Logger 7, mast A; north", "exported by hand", "", "serial: 1234", "a;b;c", "one, two, three, four"]
    header = (times not in ("parts", "day of year", "digits") and draw(st.integers(0, 5)) > 0) or times in (
        "parts",
        "day of year",
        "digits",
    )
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252"]))
    return Traits(
        times=times,
        delimiter=delimiter,
        decimal=decimal,
        thousands=draw(st.sampled_from(groups)),
        missing=draw(st.sampled_from(["NaN", "NA", "---", "null"] if padded else ["", "NaN", "-", "---", "null"])),
        quotes=not padded and draw(st.booleans()),
        above=draw(st.lists(st.sampled_from(prose), max_size=5)) if header else [],
        units=header and not padded and draw(st.booleans()),
        header=header,
        newest_first=draw(st.booleans()),
        trailing=not padded and draw(st.integers(0, 4)) == 0,
        narrow=header and not padded and draw(st.integers(0, 4)) == 0,
        line_end="\n" if encoding == "utf-16" else draw(st.sampled_from(["\n", "\r\n", "\r"])),
        encoding=encoding,
        packed=draw(st.sampled_from(["", "", "", "gzip", "zip"])),
    )


def number(value: float | None, traits: Traits) -> str:
    if value is None:
        return traits.missing
    text = f"{value:,.3f}" if traits.thousands else repr(value)
    if text.endswith(".0") and not traits.thousands:
        text = text[:-2]
    marks = {",": traits.thousands, ".": traits.decimal}
    return "".join(marks.get(letter, letter) for letter in text)


def file_of(table: Table, traits: Traits) -> bytes:
    time_names, cells_of = TIMES[traits.times]
    rows = table.rows[::-1] if traits.newest_first else table.rows
    names = [name.replace(" ", "_") for name in table.names] if traits.delimiter == " " else table.names
    lines: list[list[str]] = []
    if traits.narrow:
        lines.append([*time_names, "sensor", "value"])
        for time, values in rows:
            lines += [[*cells_of(time), name, number(value, traits)] for name, value in zip(names, values, strict=True)]
    else:
        if traits.header:
            lines.append([*time_names, *names])
        if traits.units:
            lines.append([*[""] * len(time_names), *["m/s"] * len(names)])
        lines += [[*cells_of(time), *(number(value, traits) for value in values)] for time, values in rows]
    if traits.trailing:
        lines = [[*line, ""] for line in lines]
    text = written(lines, traits)
    above = "".join(f"{line}\n" for line in traits.above)
    data = (above + text).replace("\n", traits.line_end).encode(traits.encoding, "replace")
    if traits.packed == "gzip":
        return gzip.compress(data)
    if traits.packed == "zip":
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("readings.csv", data)
        return out.getvalue()
    return data


def written(lines: list[list[str]], traits: Traits) -> str:
    if traits.delimiter in (" ", "fixed"):
        gap = 2 if traits.delimiter == "fixed" else 1
        widths = [max(len(line[index]) for line in lines) + gap for index in range(len(lines[0]))]
        return "".join(
            "".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) + "\n" for line in lines
        )
    out = io.StringIO()
    quoting = csv.QUOTE_ALL if traits.quotes else csv.QUOTE_MINIMAL
    csv.writer(out, delimiter=traits.delimiter, lineterminator="\n", quoting=quoting).writerows(lines)
    return out.getvalue()


def expected(table: Table, traits: Traits) -> dict[str, dict[datetime, float]]:
    found = table.readings()
    if traits.delimiter == " " and (traits.header or traits.narrow):
        found = {name.replace(" ", "_"): column for name, column in found.items()}
    if not traits.header and not traits.narrow:
        cells = TIMES[traits.times][1](table.rows[0][0])
        if traits.delimiter in (" ", "fixed"):
            cells = " ".join(cells).split()
        first = len(cells) + 1
        found = {f"column {first + table.names.index(name)}": column for name, column in found.items()}
    return found


def found_readings(found: Reading) -> dict[str, dict[datetime, float]]:
    return {name: dict(readings) for name, readings in found.sensors.items()}


# What a file of a few rows may truly leave open: whether the day or the month comes first, 1,234, and which rows of a
# table that only goes by dates belong together.
UNDECIDED = {"ambiguous_dates", "ambiguous_numbers", "mixed_dates"}
# And a table that holds nothing but "1,000" between commas: a clear refusal, since nothing shows that it is a number.
UNDECIDED_BETWEEN_COMMAS = UNDECIDED | {"no_numbers"}


@given(tables(), ways_to_write())
@examples(100)
def test_a_table_comes_back_equal_however_it_is_written(table: Table, traits: Traits) -> None:
    data = file_of(table, traits)
    try:
        found = read_file(data)
    except FormatError as error:
        event(f"refused: {error.code}")
        undecided = UNDECIDED_BETWEEN_COMMAS if traits.delimiter == traits.decimal else UNDECIDED
        assert error.code in undecided, (error, traits)  # noqa: PT017 - no error is right too
        if error.code == "no_numbers":
            return
        answer = Given.from_json({"date_order": "mdy" if "month" in traits.times or "AM" in traits.times else "dmy"})
        if error.code == "ambiguous_numbers":
            answer = Given.from_json({"decimal": traits.decimal, "thousands": traits.thousands})
        try:
            found = read_file(data, given=answer)
        except FormatError as again:
            assert again.code in UNDECIDED - {error.code}, (again, traits)  # noqa: PT017
            return
    assert found_readings(found) == expected(table, traits), traits
    again = read_file(data, given=Given.of(found.layout))
    assert found_readings(again) == found_readings(found)
