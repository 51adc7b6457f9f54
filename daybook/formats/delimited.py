"""Lines of cells: a block of whole lines becomes series of readings and a list of what could not be read.

A line is one row; a quoted field does not run over a line end. `separators` first puts one mark between all cells,
where the file has runs of blanks or fixed widths there. Most blocks hold nothing but rows as the layout describes them,
and Arrow reads those in one go (`_read_whole`). A block in which anything at all is odd is read again line by line
(`_read_by_line`), so that every line ends up as blank, read or rejected, and every odd cell has its line number. Both
ways give the same answer for a block without oddities.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from daybook.formats import times
from daybook.formats.arrow_lines import check_lines, empty_lines, read_lines
from daybook.formats.batch import MAX_SHOWN, Batch, Bools, Float64s, Int64s, Issue, Series
from daybook.formats.cells import any_number
from daybook.formats.faults import Faults
from daybook.formats.layout import FormatError, Layout
from daybook.formats.lines import Block
from daybook.formats.mends import Mend, as_it_is, mends_for
from daybook.formats.pivot import Days, in_time_order
from daybook.formats.rows import RowSorter
from daybook.formats.sensors import Sensors
from daybook.formats.separators import normalise
from daybook.formats.values import Odd, Unreadable, Values

__all__ = ["MAX_SHOWN", "Batch", "DelimitedReader", "Issue", "Series"]

_IGNORED_WITHIN = 100  # rows at the beginning in which a text column shows that its numbers are not wanted
_SINGLE_BYTES = ("cp1252", "latin-1")


class DelimitedReader:
    """Reads the blocks of one file, in order. Give it whole lines only, from the layout's data_line on; those of a file
    in UTF-16 as UTF-8."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._values = Values(layout)
        self._localize = times.Localizer(layout.timezone)
        self._rows = RowSorter(layout)
        self._faults = Faults(layout)
        self._mend: Mend = as_it_is
        self._time_columns = layout.time_columns
        self._value_columns = layout.of_role("value")
        self._sensors = Sensors(layout) if layout.shape == "narrow" else None
        self._days = Days(layout, self._localize) if layout.shape == "pivot" else None
        # In narrow files the other columns describe the reading; in wide ones each of them might have been a sensor.
        self._text_columns: list[int] | None = None if layout.shape == "wide" else []

    def read(self, block: Block) -> Batch:
        """Everything in the block, accounted for. Raises FormatError where the file turns out to be something else
        than one table of one source."""
        layout = self._layout
        as_it_came = _to_utf8(block.data, layout.encoding) if layout.encoding in _SINGLE_BYTES else block.data
        data, mark = normalise(as_it_came, layout)
        before = self._localize.state
        try:
            for mended in self._mended(data, mark):
                try:
                    return self._read_whole(mended, mark, block.lines)
                except Unreadable:
                    self._localize.state = before
        except Odd:
            pass
        self._localize.state = before
        return self._read_by_line(data, mark, as_it_came, block)

    # the whole block at once

    def _mended(self, data: bytes, mark: str) -> Iterator[bytes]:
        """The block as the last one could be read, and then in the other ways in which it may be read in one go."""
        last = self._mend
        yield last(data, mark)
        for mend in mends_for(data, mark):
            if mend is not last:
                self._mend = mend
                yield mend(data, mark)
        self._mend = last

    def _read_whole(self, data: bytes, mark: str, lines: int) -> Batch:
        check_lines(data, mark)
        cells, rows = self._read_cells(data, mark)
        blank = lines - rows
        if (blank and blank != empty_lines(data)) or rows == 0:
            raise Odd  # a quoted cell ran over line ends
        if any(any_number(cells[index], self._layout.decimal, self._layout.thousands) for index in self._texts(cells)):
            raise Odd
        stamps = self._parse_times(cells)
        if not stamps.valid.all():
            raise Odd
        batch = Batch(lines, blank=blank, read=rows)
        if self._days:
            self._add_days_at_once(batch, stamps, cells)
            return batch
        sensor_of = self._sensors_at_once(cells)
        micros, exists = self._to_utc(stamps, sensor_of)
        if not exists.all():
            raise Odd
        for index in self._value_columns:
            values, present = self._values.of_whole_column(index, cells[index])
            batch.missing += 0 if present is None else len(values) - int(present.sum())
            self._add(batch, index, micros, values, present, sensor_of)
        if self._sensors:
            self._sensors.remember()
        return batch

    def _read_cells(self, data: bytes, mark: str) -> tuple[dict[int, pa.Array], int]:
        layout, values = self._layout, self._values
        types = {index: values.arrow_type(index) for index in self._value_columns}
        texts = layout.of_role("text") if self._text_columns is None else self._text_columns
        types |= dict.fromkeys(texts, pa.binary())
        types |= dict.fromkeys(self._text_of_rows, pa.string())
        return read_lines(data, mark, types, len(layout.columns), layout.decimal, values.arrow_marks)

    @property
    def _text_of_rows(self) -> list[int]:
        """The columns that say when each row is, and whose."""
        return [*self._time_columns, *(self._sensors.columns if self._sensors else ())]

    def _texts(self, cells: dict[int, pa.Array]) -> list[int]:
        """The columns that must not hold numbers: the text columns, but for those that do so from the beginning. Such
        a column was called one by somebody who does not want its numbers."""
        if self._text_columns is None:
            decimal, thousands = self._layout.decimal, self._layout.thousands
            found = self._layout.of_role("text")
            first = {index: cells[index].slice(0, _IGNORED_WITHIN) for index in found}
            self._text_columns = [index for index in found if not any_number(first[index], decimal, thousands)]
        return self._text_columns

    def _parse_times(self, cells: dict[int, pa.Array]) -> times.Times:
        return times.parse_columns([cells[index] for index in self._time_columns], self._layout)

    def _sensors_at_once(self, cells: dict[int, pa.Array]) -> Int64s | None:
        if self._sensors is None:
            return None
        sensor_of, faults = self._sensors.identify(cells)
        if faults:
            raise Odd
        return sensor_of

    def _to_utc(self, stamps: times.Times, sensor_of: Int64s | None) -> tuple[Int64s, Bools]:
        """UTC of every valid time, and which of them exist in the layout's zone."""
        local = stamps.valid & ~stamps.absolute
        micros, exists = stamps.microseconds.copy(), stamps.valid.copy()
        if local.any():
            labels = self._sensors.labels if self._sensors else None
            codes = None if sensor_of is None else sensor_of[local]
            micros[local], exists[local] = self._localize(stamps.microseconds[local], codes, labels)
        return micros, exists

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
                name, unit = self._sensors.series_of(code, index, len(self._value_columns) > 1)
                batch.series.append(Series(name, unit, micros[members], values[members]))
            return
        if present is not None:
            micros, values = micros[present], values[present]
        if len(values):
            column = self._layout.columns[index]
            batch.series.append(Series(column.sensor_name, column.unit, micros, values))

    def _add_days_at_once(self, batch: Batch, stamps: times.Times, cells: dict[int, pa.Array]) -> None:
        assert self._days is not None
        micros, exists = self._days.times(stamps)
        columns = [self._values.of_whole_column(index, cells[index]) for index in self._value_columns]
        present = np.array([np.isfinite(values) if flags is None else flags for values, flags in columns]).T
        if (present & ~exists).any():
            raise Odd
        self._add_days(batch, micros, np.array([values for values, _ in columns]).T, present)

    def _add_days(self, batch: Batch, micros: Int64s, values: Float64s, present: Bools) -> None:
        """Adds the one series of a table with a row a day."""
        assert self._days is not None
        batch.missing = present.size - int(present.sum()) - batch.not_numeric
        if present.any():
            batch.series.append(Series(self._days.name, self._days.unit, *in_time_order(micros, values, present)))

    # line by line

    def _read_by_line(self, data: bytes, mark: str, as_it_came: bytes, block: Block) -> Batch:
        batch = Batch(block.lines)
        kept, lines = self._rows.sort(data, mark, as_it_came, block.first_line, batch)
        if not kept:
            return batch
        cells = self._read_texts(kept, mark, block)
        stamps = self._parse_times(cells)
        good = stamps.valid.copy()
        for row in np.flatnonzero(~good):
            line = int(lines[row])
            reason = self._rows.why_header(kept[row], mark, line) or self._faults.why_no_time(cells, int(row))
            self._faults.reject(batch, cells, int(row), line, reason)
        sensor_of = None
        if self._sensors:
            sensor_of, faults = self._sensors.identify(cells, good, lines)
            batch.issues += faults
            good &= sensor_of >= 0
        rows = np.flatnonzero(good)
        stamps = times.Times(stamps.microseconds[rows], stamps.valid[rows], stamps.absolute[rows])
        if self._days:
            self._add_days_by_line(batch, stamps, {i: cells[i].take(pa.array(rows)) for i in cells}, lines[rows])
        else:
            self._add_by_line(batch, stamps, cells, rows, lines, None if sensor_of is None else sensor_of[rows])
        batch.issues.sort(key=lambda issue: issue.line)
        return batch

    def _read_texts(self, kept: list[bytes], mark: str, block: Block) -> dict[int, pa.Array]:
        texts = [*self._value_columns, *self._layout.of_role("text"), *self._text_of_rows]
        types = dict.fromkeys(texts, pa.string())
        cells, rows = read_lines(b"\n".join(kept) + b"\n", mark, types, len(self._layout.columns), self._layout.decimal)
        if rows != len(kept):
            # Never seen; rather an import that stops than one that puts values under other lines' numbers.
            raise FormatError(
                "lines_do_not_add_up",
                f"the {len(kept):,} rows after line {block.first_line} came out as {rows:,}",
                "Please report this file; nothing of it was kept.",
            )
        return cells

    def _add_by_line(
        self,
        batch: Batch,
        stamps: times.Times,
        cells: dict[int, pa.Array],
        rows: Int64s,
        lines: Int64s,
        sensor_of: Int64s | None,
    ) -> None:
        micros, exists = self._to_utc(stamps, sensor_of)
        self._faults.reject_jumped_over(batch, cells, rows[~exists], lines)
        rows, micros = rows[exists], micros[exists]
        if sensor_of is not None:
            sensor_of = sensor_of[exists]
        batch.read = len(rows)
        taken = pa.array(rows)
        for index in self._value_columns:
            texts = cells[index].take(taken)
            values, present, missing = self._values.of_texts(index, texts)
            batch.missing += int(missing.sum())
            self._faults.list_cells(batch, index, texts, lines[rows], ~present & ~missing)
            self._add(batch, index, micros, values, present, sensor_of)
        for index in self._texts(cells):
            self._faults.list_numbers_in_text(batch, index, cells[index].take(taken), lines[rows])
        if self._sensors:
            self._sensors.remember()

    def _add_days_by_line(self, batch: Batch, days: times.Times, cells: dict[int, pa.Array], lines: Int64s) -> None:
        assert self._days is not None
        batch.read = len(lines)
        micros, exists = self._days.times(days)
        all_values, all_present = [], []
        for place, index in enumerate(self._value_columns):
            values, present, missing = self._values.of_texts(index, cells[index])
            self._faults.list_cells(batch, index, cells[index], lines, ~present & ~missing)
            nowhen = present & ~exists[:, place]
            reason = f"is at a time that the day does not have in {self._layout.timezone}"
            self._faults.list_cells(batch, index, cells[index], lines, nowhen, reason)
            all_values.append(values)
            all_present.append(present & ~nowhen)
        self._add_days(batch, micros, np.array(all_values).T, np.array(all_present).T)


def _to_utf8(data: bytes, encoding: str) -> bytes:
    return data if data.isascii() else data.decode(encoding, "replace").encode()
