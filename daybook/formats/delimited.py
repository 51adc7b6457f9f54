"""Delimited text: a block of whole lines becomes series of readings and a list of what could not be read.

A line is one row; a quoted field does not run over a line end. Most blocks hold nothing but rows as the layout
describes them, and Arrow reads those in one go (`_read_whole`). A block in which anything at all is odd is read again
line by line (`_read_by_line`), so that every line ends up as blank, read or rejected, and every odd cell has its line
number. Both ways give the same answer for a block without oddities.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from daybook.formats import times
from daybook.formats.batch import MAX_SHOWN, Batch, Bools, Float64s, Int64s, Issue, Series, shown
from daybook.formats.cells import Marks, any_number, one_chunk, padded_number_pattern, to_numbers
from daybook.formats.layout import FormatError, Layout
from daybook.formats.lines import Block
from daybook.formats.rows import BOM, RowSorter
from daybook.formats.sensors import Sensors

__all__ = ["MAX_SHOWN", "Batch", "DelimitedReader", "Issue", "Series"]


class _Odd(Exception):
    """The block cannot be read in one go."""


class DelimitedReader:
    """Reads the blocks of one file, in order. Give it whole lines only, from the layout's data_line on."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._marks = Marks(layout.missing)
        self._localize = times.Localizer(layout.timezone)
        self._rows = RowSorter(layout)
        self._names = [str(index) for index in range(len(layout.columns))]
        self._time_columns = layout.time_columns
        self._value_columns = layout.of_role("value")
        self._sensors = Sensors(layout) if layout.shape == "narrow" else None
        # In narrow files the other columns describe the reading; in wide ones each of them might have been a sensor.
        self._text_columns = layout.of_role("text") if layout.shape == "wide" else []
        texts = [*self._time_columns, *(self._sensors.columns if self._sensors else ())]
        self._fast_types = dict.fromkeys((self._names[index] for index in self._value_columns), pa.float64())
        self._fast_types |= dict.fromkeys((self._names[index] for index in self._text_columns), pa.binary())
        self._fast_types |= dict.fromkeys((self._names[index] for index in texts), pa.string())
        self._careful_types = dict.fromkeys(self._fast_types, pa.string())

    def read(self, block: Block) -> Batch:
        """Everything in the block, accounted for. Raises FormatError where the file turns out to be something else
        than one table of one source."""
        data = block.data if self._layout.encoding == "utf-8" else _to_utf8(block.data, self._layout.encoding)
        before = self._localize.state
        try:
            return self._read_whole(data, block.lines)
        except _Odd:
            self._localize.state = before
            return self._read_by_line(data, block)

    # the whole block at once

    def _read_whole(self, data: bytes, lines: int) -> Batch:
        if b'"' in data and not _quotes_close_on_each_line(data):
            raise _Odd
        if (b"\r" in data and data.count(b"\r") != data.count(b"\r\n")) or (not data.isascii() and BOM in data):
            raise _Odd  # Arrow ends a row at every CR, and passes over a BOM in front of a block
        try:
            table = self._arrow_read(data, self._fast_types, self._marks.arrow_forms)
        except pa.ArrowInvalid as error:
            raise _Odd from error
        blank = lines - table.num_rows
        if (blank and blank != _empty_lines(data)) or table.num_rows == 0:
            raise _Odd  # a quoted cell ran over line ends
        columns = {int(name): one_chunk(table.column(name)) for name in table.column_names}
        if any(any_number(columns[index], self._layout.decimal) for index in self._text_columns):
            raise _Odd
        stamps = self._parse_times(columns)
        if not stamps.valid.all():
            raise _Odd
        sensor_of = None
        if self._sensors:
            sensor_of, faults = self._sensors.identify(columns)
            if faults:
                raise _Odd
        micros, exists = self._to_utc(stamps, sensor_of)
        if not exists.all():
            raise _Odd
        batch = Batch(lines, blank=blank, read=table.num_rows)
        for index in self._value_columns:
            values, present = self._values(columns[index])
            batch.missing += 0 if present is None else len(values) - int(present.sum())
            self._add(batch, index, micros, values, present, sensor_of)
        if self._sensors:
            self._sensors.remember()
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
                include_columns=list(types),
                null_values=marks,
                strings_can_be_null=False,
                decimal_point=self._layout.decimal,
            ),
        )

    def _parse_times(self, columns: dict[int, pa.Array]) -> times.Times:
        return times.parse(
            times.join([columns[index] for index in self._time_columns], self._layout.hours_only),
            self._layout.date_order,
        )

    def _to_utc(self, stamps: times.Times, sensor_of: Int64s | None) -> tuple[Int64s, Bools]:
        """UTC of every valid time, and which of them exist in the layout's zone."""
        local = stamps.valid & ~stamps.absolute
        micros, exists = stamps.microseconds.copy(), stamps.valid.copy()
        if local.any():
            labels = self._sensors.labels if self._sensors else None
            codes = None if sensor_of is None else sensor_of[local]
            micros[local], exists[local] = self._localize(stamps.microseconds[local], codes, labels)
        return micros, exists

    def _values(self, array: pa.Array) -> tuple[Float64s, Bools | None]:
        """Values and which of them are present (None: all). Raises _Odd where one is infinite, which is no reading."""
        values = array.to_numpy(zero_copy_only=False)
        finite = np.isfinite(values)
        among = self._marks.among(values)
        if finite.all():
            return values, None if among is None or not among.any() else ~among
        if int(np.isnan(values).sum()) != array.null_count or np.isinf(values).any():
            raise _Odd
        return values, finite if among is None else finite & ~among

    def _add(
        self,
        batch: Batch,
        index: int,
        micros: Int64s,
        values: Float64s,
        present: Bools | None,
        sensor_of: Int64s | None,
    ) -> None:
        """Adds a value column to the batch: as one sensor, or split by the sensors of its rows."""
        if self._sensors and sensor_of is not None:
            rows = np.arange(len(values)) if present is None else np.flatnonzero(present)
            for code, members in self._sensors.split(sensor_of, rows):
                name, unit = self._sensors.labels[code], self._sensors.unit(code)
                batch.series.append(Series(name, unit, micros[members], values[members]))
            return
        if present is not None:
            micros, values = micros[present], values[present]
        if len(values):
            column = self._layout.columns[index]
            batch.series.append(Series(column.name, column.unit, micros, values))

    # line by line

    def _read_by_line(self, data: bytes, block: Block) -> Batch:
        batch = Batch(block.lines)
        kept, numbers = self._rows.sort(data, block.first_line, batch)
        if not kept:
            return batch
        table = self._arrow_read(b"\n".join(kept) + b"\n", self._careful_types, [])
        if table.num_rows != len(kept):
            # Never seen; rather an import that stops than one that puts values under other lines' numbers.
            raise FormatError(
                "lines_do_not_add_up",
                f"the {len(kept):,} rows after line {block.first_line} came out as {table.num_rows:,}",
                "Please report this file; nothing of it was kept.",
            )
        columns = {int(name): one_chunk(table.column(name)) for name in table.column_names}
        stamps = self._parse_times(columns)
        good = stamps.valid.copy()
        for row in np.flatnonzero(~good):
            reason = self._rows.why_header(kept[row], int(numbers[row])) or self._why_no_time(columns, int(row))
            self._reject(batch, columns, int(row), int(numbers[row]), reason)
        sensor_of = None
        if self._sensors:
            sensor_of, faults = self._sensors.identify(columns, good, numbers)
            batch.issues += faults
            good &= sensor_of >= 0
        rows = np.flatnonzero(good)
        if sensor_of is not None:
            sensor_of = sensor_of[rows]
        micros, exists = self._to_utc(
            times.Times(stamps.microseconds[rows], stamps.valid[rows], stamps.absolute[rows]), sensor_of
        )
        for row in rows[~exists]:
            reason = f"does not exist in {self._layout.timezone}: the clocks go forward over it"
            self._reject(batch, columns, int(row), int(numbers[row]), reason)
        rows, micros = rows[exists], micros[exists]
        if sensor_of is not None:
            sensor_of = sensor_of[exists]
        batch.read = len(rows)
        taken = pa.array(rows)
        for index in self._value_columns:
            texts = columns[index].take(taken)
            values, present, missing = to_numbers(texts, self._layout.decimal, self._marks)
            batch.missing += int(missing.sum())
            self._list_what_is_no_number(batch, index, texts, numbers[rows], ~present & ~missing)
            self._add(batch, index, micros, values, present, sensor_of)
        for index in self._text_columns:
            self._list_numbers_in_text(batch, index, columns[index].take(taken), numbers[rows])
        if self._sensors:
            self._sensors.remember()
        batch.issues.sort(key=lambda issue: issue.line)
        return batch

    def _reject(self, batch: Batch, columns: dict[int, pa.Array], row: int, line: int, reason: str) -> None:
        name = " + ".join(self._layout.columns[index].name for index in self._time_columns)
        batch.issues.append(Issue(line, name, shown(self._time_text(columns, row)), reason))

    def _time_text(self, columns: dict[int, pa.Array], row: int) -> str:
        return " ".join(columns[index][row].as_py().strip() for index in self._time_columns).strip()

    def _why_no_time(self, columns: dict[int, pa.Array], row: int) -> str:
        if not self._time_text(columns, row):
            return "has no time"
        wanted = {"ymd": "year, month, day", "dmy": "day, month, year", "mdy": "month, day, year"}
        example = f', such as "{self._layout.time_example}"' if self._layout.time_example else ""
        return f"is not a time; expected {wanted[self._layout.date_order]}{example}"

    def _list_what_is_no_number(
        self, batch: Batch, index: int, texts: pa.Array, numbers: Int64s, neither: Bools
    ) -> None:
        name = self._layout.columns[index].name
        rows = np.flatnonzero(neither)
        batch.not_numeric += len(rows)
        for line, text in zip(numbers[rows].tolist(), texts.take(pa.array(rows)).to_pylist(), strict=True):
            batch.issues.append(Issue(line, name, shown(text), "is not a number", rejected=False))

    def _list_numbers_in_text(self, batch: Batch, index: int, texts: pa.Array, numbers: Int64s) -> None:
        """One issue for the numbers of a column that held none where the layout was found: they are not kept."""
        found = pc.match_substring_regex(texts, padded_number_pattern(self._layout.decimal))
        rows = np.flatnonzero(found.to_numpy(zero_copy_only=False))
        if len(rows):
            more = f" (so are {len(rows) - 1:,} more up to line {int(numbers[rows[-1]]):,})" if len(rows) > 1 else ""
            reason = f"is a number{more}, but the column held none in the first part of the file and is not kept"
            text = shown(str(texts[int(rows[0])].as_py()))
            column = self._layout.columns[index].name
            batch.issues.append(Issue(int(numbers[rows[0]]), column, text, reason, rejected=False))


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


def _to_utf8(data: bytes, encoding: str) -> bytes:
    return data.decode(encoding, "replace").encode()
