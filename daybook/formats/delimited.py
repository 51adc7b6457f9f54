"""Delimited text: a block of whole lines becomes series of readings and a list of what could not be read.

A line is one row; a quoted field does not run over a line end. Most blocks hold nothing but rows as the layout
describes them, and Arrow reads those in one go (`_read_whole`). A block in which anything at all is odd is read again
line by line (`_read_by_line`), so that every line ends up as blank, read or rejected, and every odd cell has its line
number. Both ways give the same answer for a block without oddities.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from daybook.formats import times
from daybook.formats.layout import MISSING, FormatError, Layout
from daybook.formats.lines import Block

Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

MAX_SHOWN = 200
NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"


@dataclass(frozen=True)
class Issue:
    """One line or one cell that could not be read, and why. rejected: the whole line was left out because of it."""

    line: int
    column: str
    value: str
    reason: str
    rejected: bool = True


@dataclass(frozen=True)
class Series:
    """Readings of one sensor: microseconds since 1970 in UTC, and values, in the order of the file."""

    name: str
    unit: str
    times: Int64s
    values: Float64s


@dataclass
class Batch:
    """What some lines held: lines = preamble + blank + read + rejected, cells = readings + missing + not_numeric."""

    lines: int
    preamble: int = 0
    blank: int = 0
    read: int = 0
    missing: int = 0
    not_numeric: int = 0
    series: list[Series] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)

    @property
    def rejected(self) -> int:
        return self.lines - self.preamble - self.blank - self.read

    @property
    def readings(self) -> int:
        return sum(len(series.times) for series in self.series)


class _Odd(Exception):
    """The block cannot be read in one go."""


class DelimitedReader:
    """Reads the blocks of one file, in order. Give it whole lines only, from the layout's data_line on."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._ascii_superset = layout.encoding in ("utf-8", "ascii")
        self._width = len(layout.columns)
        self._time_columns = layout.of_role("time")
        self._value_columns = layout.of_role("value")
        self._sensor_column = layout.of_role("sensor")[0] if layout.shape == "narrow" else None
        self._unit_column = next(iter(layout.of_role("unit")), None)
        self._missing = {mark.lower() for mark in (*MISSING, *layout.missing)}
        self._localize = times.Localizer(layout.timezone, repeats_mean_later=layout.shape == "wide")
        self._names = [str(index) for index in range(self._width)]
        texts = [index for index in (*self._time_columns, self._sensor_column, self._unit_column) if index is not None]
        self._wanted = [self._names[index] for index in sorted({*texts, *self._value_columns})]
        marks = {form for mark in self._missing for form in (mark, mark.upper(), mark.capitalize())}
        # Arrow compares marks before it trims blanks; padded columns are common enough to list their lengths.
        self._arrow_marks = sorted(marks | {"NaN"} | {" " * width for width in range(1, 13)})
        self._fast_types = {self._names[index]: pa.float64() for index in self._value_columns}
        self._fast_types |= {self._names[index]: pa.string() for index in texts}

    def read(self, block: Block) -> Batch:
        """Everything in the block, accounted for."""
        data = block.data if self._ascii_superset else _to_utf8(block.data, self._layout.encoding)
        try:
            return self._read_whole(data, block.lines)
        except _Odd:
            return self._read_by_line(data, block)

    # the whole block at once

    def _read_whole(self, data: bytes, lines: int) -> Batch:
        if b'"' in data and not _quotes_close_on_each_line(data):
            raise _Odd
        try:
            table = self._arrow_read(data, self._fast_types, self._arrow_marks)
        except pa.ArrowInvalid as error:
            raise _Odd from error
        blank = lines - table.num_rows
        if blank and blank != _empty_lines(data):
            raise _Odd
        if table.num_rows == 0:
            return Batch(lines, blank=blank)
        stamps = self._parse_times([table.column(self._names[index]) for index in self._time_columns])
        if not stamps.valid.all():
            raise _Odd
        batch = Batch(lines, blank=blank, read=table.num_rows)
        if self._sensor_column is not None:
            self._add_narrow(
                batch,
                stamps.microseconds,
                table.column(self._names[self._sensor_column]),
                None if self._unit_column is None else table.column(self._names[self._unit_column]),
                *_values(table.column(self._names[self._value_columns[0]])),
            )
        else:
            for index in self._value_columns:
                self._add_wide(batch, index, stamps.microseconds, *_values(table.column(self._names[index])))
        return batch

    def _arrow_read(self, data: bytes, types: dict[str, pa.DataType], marks: Sequence[str]) -> pa.Table:
        return arrow_csv.read_csv(
            pa.BufferReader(data),
            read_options=arrow_csv.ReadOptions(
                use_threads=False, block_size=max(len(data), 1), column_names=self._names
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=self._layout.delimiter, quote_char='"', newlines_in_values=False, ignore_empty_lines=True
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=types,
                include_columns=self._wanted,
                null_values=marks,
                strings_can_be_null=False,
                decimal_point=self._layout.decimal,
            ),
        )

    def _parse_times(self, columns: list[pa.ChunkedArray]) -> times.Times:
        arrays = [_one_chunk(column) for column in columns]
        text = arrays[0] if len(arrays) == 1 else pc.binary_join_element_wise(*arrays, " ")
        stamps = times.parse(text, self._layout.date_order)
        local = stamps.valid & ~stamps.absolute
        if not local.any():
            return stamps
        utc, exists = self._localize(stamps.microseconds[local])
        micros, valid = stamps.microseconds.copy(), stamps.valid.copy()
        micros[local], valid[local] = utc, exists
        return times.Times(micros, valid, stamps.absolute)

    def _add_wide(self, batch: Batch, index: int, micros: Int64s, values: Float64s, present: Bools | None) -> None:
        column = self._layout.columns[index]
        if present is not None:
            micros, values = micros[present], values[present]
            batch.missing += batch.read - len(values)
        if len(values):
            batch.series.append(Series(column.name, column.unit, micros, values))

    def _add_narrow(
        self,
        batch: Batch,
        micros: Int64s,
        names: pa.ChunkedArray,
        units: pa.ChunkedArray | None,
        values: Float64s,
        present: Bools | None,
    ) -> None:
        encoded = pc.utf8_trim_whitespace(_one_chunk(names)).dictionary_encode()
        if any(not 0 < len(name) <= MAX_SHOWN for name in encoded.dictionary.to_pylist()):
            raise _Odd
        codes = encoded.indices.to_numpy()
        rows = np.arange(len(codes)) if present is None else np.flatnonzero(present)
        batch.missing += len(codes) - len(rows)
        by_name = rows[np.argsort(codes[rows], kind="stable")]
        edges = np.flatnonzero(np.diff(codes[by_name])) + 1
        for members in np.split(by_name, edges):
            if len(members):
                name = encoded.dictionary[int(codes[members[0]])].as_py()
                unit = "" if units is None else str(units[int(members[0])].as_py() or "").strip()
                batch.series.append(Series(name, unit, micros[members], values[members]))

    # line by line

    def _read_by_line(self, data: bytes, block: Block) -> Batch:
        batch = Batch(block.lines)
        kept, numbers = self._sort_lines(data, block.first_line, batch)
        if not kept:
            return batch
        types = {name: pa.string() for name in self._wanted}
        table = self._arrow_read(b"\n".join(kept) + b"\n", types, [])
        if table.num_rows != len(kept):
            # Never seen; rather an import that stops than one that puts values under other lines' numbers.
            raise FormatError(
                "lines_do_not_add_up",
                f"the {len(kept):,} rows after line {block.first_line} came out as {table.num_rows:,}",
                "Please report this file; nothing of it was kept.",
            )
        columns = {int(name): table.column(name) for name in self._wanted}
        stamps = self._parse_times([columns[index] for index in self._time_columns])
        good = stamps.valid.copy()
        self._reject_bad_times(batch, columns, stamps.valid, numbers)
        if self._sensor_column is not None:
            self._reject_nameless(batch, columns[self._sensor_column], good, numbers)
        rows = np.flatnonzero(good)
        batch.read = len(rows)
        micros, line_numbers = stamps.microseconds[rows], numbers[rows]
        for index in self._value_columns:
            texts = _one_chunk(columns[index]).take(pa.array(rows))
            values, present = self._numbers(batch, index, texts, line_numbers)
            if self._sensor_column is None:
                column = self._layout.columns[index]
                if present.any():
                    batch.series.append(Series(column.name, column.unit, micros[present], values[present]))
            else:
                batch_missing = batch.missing
                names = pa.chunked_array([_one_chunk(columns[self._sensor_column]).take(pa.array(rows))])
                units = None
                if self._unit_column is not None:
                    units = pa.chunked_array([_one_chunk(columns[self._unit_column]).take(pa.array(rows))])
                self._add_narrow(batch, micros, names, units, values, present)
                batch.missing = batch_missing  # counted cell by cell above, apart from those that are no numbers
        batch.issues.sort(key=lambda issue: issue.line)
        return batch

    def _sort_lines(self, data: bytes, first_line: int, batch: Batch) -> tuple[list[bytes], Int64s]:
        """The lines that have the right number of cells, and their numbers; counts the blank, rejects the rest."""
        lines = data.split(b"\n")
        if lines[-1] == b"":
            lines.pop()
        delimiter = self._layout.delimiter.encode()
        emptiness = b" \t\r" + delimiter
        kept: list[bytes] = []
        numbers: list[int] = []
        for number, raw in enumerate(lines, start=first_line):
            line = raw.rstrip(b"\r")
            if not line.strip(emptiness):
                batch.blank += 1
                continue
            regular = b'"' not in line and b"\r" not in line and line.count(delimiter) + 1 == self._width
            if not regular:
                row, reason = self._cells(line)
                if reason:
                    text = line.decode("utf-8", "replace")[:MAX_SHOWN]
                    batch.issues.append(Issue(number, "", text, reason))
                    continue
                line = row
            kept.append(line if _is_utf8(line) else line.decode("utf-8", "replace").encode())
            numbers.append(number)
        return kept, np.array(numbers, np.int64)

    def _cells(self, line: bytes) -> tuple[bytes, str]:
        """The line with exactly the layout's cells, or why that cannot be."""
        if line.count(b'"') % 2:
            return line, "a quotation mark is opened and not closed on this line"
        text = line.decode("utf-8", "replace").replace("\r", " ")
        try:
            cells = next(csv.reader([text], delimiter=self._layout.delimiter, strict=True))
        except csv.Error as error:
            return line, f"cannot be split into cells: {error}"
        while len(cells) > self._width and not cells[-1].strip():
            cells.pop()
        if len(cells) != self._width:
            return line, f"has {len(cells)} cells; expected {self._width}"
        out = io.StringIO()
        csv.writer(out, delimiter=self._layout.delimiter, lineterminator="").writerow(cells)
        return out.getvalue().encode(), ""

    def _reject_bad_times(
        self, batch: Batch, columns: dict[int, pa.ChunkedArray], valid: Bools, numbers: Int64s
    ) -> None:
        name = " + ".join(self._layout.columns[index].name for index in self._time_columns)
        for row in np.flatnonzero(~valid):
            text = " ".join(columns[index][int(row)].as_py() for index in self._time_columns).strip()
            batch.issues.append(Issue(int(numbers[row]), name, text[:MAX_SHOWN], self._why_no_time(text)))

    def _why_no_time(self, text: str) -> str:
        if not text:
            return "has no time"
        stamp = times.parse(pa.array([text]), self._layout.date_order)
        if stamp.valid[0]:
            return f"does not exist in {self._layout.timezone}: the clocks go forward over it"
        wanted = {"ymd": "year, month, day", "dmy": "day, month, year", "mdy": "month, day, year"}
        example = f', such as "{self._layout.time_example}"' if self._layout.time_example else ""
        return f"is not a time; expected {wanted[self._layout.date_order]}{example}"

    def _reject_nameless(self, batch: Batch, names: pa.ChunkedArray, good: Bools, numbers: Int64s) -> None:
        column = self._layout.columns[self._sensor_column or 0].name
        lengths = pc.utf8_length(pc.utf8_trim_whitespace(_one_chunk(names))).to_numpy()
        for row in np.flatnonzero(good & ((lengths == 0) | (lengths > MAX_SHOWN))):
            reason = "names no sensor" if lengths[row] == 0 else f"is longer than {MAX_SHOWN} characters"
            batch.issues.append(Issue(int(numbers[row]), column, names[int(row)].as_py()[:MAX_SHOWN], reason))
            good[row] = False

    def _numbers(self, batch: Batch, index: int, texts: pa.Array, numbers: Int64s) -> tuple[Float64s, Bools]:
        """The column's values and which rows have one; counts what is missing and lists what is no number."""
        trimmed = pc.utf8_trim_whitespace(texts)
        missing = pc.is_in(pc.utf8_lower(trimmed), value_set=pa.array(sorted(self._missing)))
        if self._layout.decimal != ".":
            trimmed = pc.replace_substring(trimmed, self._layout.decimal, ".")
        numeric = pc.and_not(pc.match_substring_regex(trimmed, NUMBER), missing)
        plain = pc.replace_substring_regex(pc.if_else(numeric, trimmed, "0"), r"^\+", "")
        values = pc.cast(plain, pa.float64()).to_numpy(zero_copy_only=False)
        present = numeric.to_numpy(zero_copy_only=False) & np.isfinite(values)
        batch.missing += int(pc.sum(missing).as_py() or 0)
        column = self._layout.columns[index]
        for row in np.flatnonzero(~present & ~missing.to_numpy(zero_copy_only=False)):
            batch.not_numeric += 1
            text = str(texts[int(row)].as_py())
            batch.issues.append(
                Issue(int(numbers[row]), column.name, text[:MAX_SHOWN], "is not a number", rejected=False)
            )
        return values, present


def _values(column: pa.ChunkedArray) -> tuple[Float64s, Bools | None]:
    """Values and which of them are present (None: all). Raises _Odd where one is infinite, which is no reading."""
    array = _one_chunk(column)
    values = array.to_numpy(zero_copy_only=False)
    finite = np.isfinite(values)
    if finite.all():
        return values, None
    if int(np.isnan(values).sum()) != array.null_count or np.isinf(values).any():
        raise _Odd
    return values, finite


def _one_chunk(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _quotes_close_on_each_line(data: bytes) -> bool:
    letters = np.frombuffer(data, np.uint8)
    quotes_so_far = np.cumsum(letters == ord('"'))
    return not (quotes_so_far[letters == ord("\n")] % 2).any() and int(quotes_so_far[-1]) % 2 == 0


def _empty_lines(data: bytes) -> int:
    """Lines without a single character before their LF or CRLF."""
    letters = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(letters == ord("\n"))
    lengths = np.diff(ends, prepend=-1) - 1
    lengths -= (lengths > 0) & (letters[ends - 1] == ord("\r"))
    return int((lengths == 0).sum())


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _to_utf8(data: bytes, encoding: str) -> bytes:
    return data.decode(encoding, "replace").encode()
