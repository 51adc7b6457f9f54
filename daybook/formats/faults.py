"""What could not be read in a block, in words: one issue for each line and each cell."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daybook.formats.batch import Batch, Bools, Int64s, Issue, shown
from daybook.formats.cells import padded_number_pattern
from daybook.formats.layout import Layout

Cells = Mapping[int, pa.Array]
_ORDERS = {"ymd": "year, month, day", "dmy": "day, month, year", "mdy": "month, day, year"}


class Faults:
    """Writes the issues of one file."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._time_columns = layout.time_columns
        self._time_name = " + ".join(layout.columns[index].name for index in self._time_columns)

    def why_no_time(self, cells: Cells, row: int) -> str:
        """Why the row has no time that can be read."""
        if not self._time_text(cells, row):
            return "has no time"
        example = f', such as "{self._layout.time_example}"' if self._layout.time_example else ""
        return f"is not a time; expected {self._expected()}{example}"

    def reject_jumped_over(self, batch: Batch, cells: Cells, rows: Int64s, lines: Int64s) -> None:
        """The times of these rows do not exist in the layout's zone."""
        reason = f"does not exist in {self._layout.timezone}: the clocks go forward over it"
        for row in rows:
            self.reject(batch, cells, int(row), int(lines[row]), reason)

    def reject(self, batch: Batch, cells: Cells, row: int, line: int, reason: str) -> None:
        """The whole row is left out because of its time."""
        batch.issues.append(Issue(line, self._time_name, shown(self._time_text(cells, row)), reason))

    def list_cells(
        self, batch: Batch, index: int, texts: pa.Array, lines: Int64s, flags: Bools, reason: str = "is not a number"
    ) -> None:
        """Those cells of a value column are no readings."""
        rows = np.flatnonzero(flags)
        batch.not_numeric += len(rows)
        name = self._layout.columns[index].name
        for line, text in zip(lines[rows].tolist(), texts.take(pa.array(rows)).to_pylist(), strict=True):
            batch.issues.append(Issue(line, name, shown(text), reason, rejected=False))

    def list_numbers_in_text(self, batch: Batch, index: int, texts: pa.Array, lines: Int64s) -> None:
        """One issue for the numbers of a column that held none where the layout was found: they are not kept."""
        pattern = padded_number_pattern(self._layout.decimal, self._layout.thousands)
        rows = np.flatnonzero(pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False))
        if len(rows):
            more = f" (so are {len(rows) - 1:,} more up to line {int(lines[rows[-1]]):,})" if len(rows) > 1 else ""
            reason = f"is a number{more}, but the column held none in the first part of the file and is not kept"
            text = shown(str(texts[int(rows[0])].as_py()))
            column = self._layout.columns[index].name
            batch.issues.append(Issue(int(lines[rows[0]]), column, text, reason, rejected=False))

    def _time_text(self, cells: Cells, row: int) -> str:
        return " ".join(cells[index][row].as_py().strip() for index in self._time_columns).strip()

    def _expected(self) -> str:
        layout = self._layout
        if layout.epoch == "excel":
            return "days as spreadsheets count them"
        if layout.epoch:
            return f"a number of {_UNITS[layout.epoch]} since 1970"
        if layout.time_formats and layout.time_roles[0] == "time":
            return " or ".join(f'"{pattern}"' for pattern in layout.time_formats)
        if layout.time_roles[0] != "time":
            return f"{_listed(layout.time_roles)} as whole numbers"
        return _ORDERS[layout.date_order]


_UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}


def _listed(roles: Sequence[str]) -> str:
    words = {"doy": "day of the year"}
    return ", ".join(words.get(role, role) for role in roles)
