"""The cells of value columns as numbers: which of them are present, missing, or neither."""

import numpy as np
import pyarrow as pa

from daybook.formats.batch import Bools, Float64s
from daybook.formats.cells import Marks, to_numbers
from daybook.formats.layout import Layout


class Odd(Exception):
    """The block cannot be read in one go."""


class Unreadable(Odd):
    """Arrow sees other cells there than it was told to look for."""


class Values:
    """Reads the value columns of one layout, each with its own marks for missing values."""

    def __init__(self, layout: Layout) -> None:
        self._decimal, self._thousands = layout.decimal, layout.thousands
        shared = Marks(layout.missing)
        self.arrow_marks = shared.arrow_forms
        self._marks = {
            index: Marks((*layout.missing, *column.missing)) if column.missing else shared
            for index, column in enumerate(layout.columns)
            if column.role == "value"
        }
        # Arrow knows no thousands, and no marks of single columns; marks that are numbers can be found among these.
        self._as_text = {
            index
            for index, marks in self._marks.items()
            if layout.thousands or (marks is not shared and not Marks(layout.columns[index].missing).are_numbers)
        }

    def arrow_type(self, index: int) -> pa.DataType:
        """What Arrow shall read the cells of the column as, for `of_whole_column`."""
        return pa.string() if index in self._as_text else pa.float64()

    def of_whole_column(self, index: int, cells: pa.Array) -> tuple[Float64s, Bools | None]:
        """Numbers, and which of them are present (None: all); the others are missing. Raises Odd where a cell is
        neither."""
        if index in self._as_text:
            values, present, missing = self.of_texts(index, cells)
            if not (present | missing).all():
                raise Odd
            return values, present
        values = cells.to_numpy(zero_copy_only=False)
        finite = np.isfinite(values)
        among = self._marks[index].among(values)
        if finite.all():
            return values, None if among is None or not among.any() else ~among
        if np.isinf(values).any():
            raise Odd  # that is no reading
        if int(np.isnan(values).sum()) != cells.null_count:
            raise Unreadable  # a NaN, or what Arrow takes for one, with blanks or signs around it
        return values, finite if among is None else finite & ~among

    def of_texts(self, index: int, texts: pa.Array) -> tuple[Float64s, Bools, Bools]:
        """Numbers, which cells hold one, and which are missing; the rest is neither."""
        return to_numbers(texts, self._decimal, self._marks[index], self._thousands)
