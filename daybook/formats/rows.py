"""One block, line by line: which lines are blank, which have the right cells, and what is wrong with the others."""

import csv
import io

import numpy as np

from daybook.formats.batch import Batch, Int64s, Issue, shown
from daybook.formats.cells import column_names, is_header
from daybook.formats.layout import FormatError, Layout

BOM = b"\xef\xbb\xbf"


class RowSorter:
    """Sorts the lines of a file by the layout's delimiter and number of columns."""

    def __init__(self, layout: Layout) -> None:
        self._delimiter = layout.delimiter
        self._names = [column.name for column in layout.columns]
        self._width = len(self._names)

    def sort(self, data: bytes, first_line: int, batch: Batch) -> tuple[list[bytes], Int64s]:
        """The lines that have the right number of cells, and their numbers; counts the blank, rejects the rest.

        What comes back is UTF-8 (bytes that are not become U+FFFD), without CR, and with quotes only where a cell
        needs them. Raises FormatError where another table begins.
        """
        lines = data.split(b"\n")
        if lines[-1] == b"":
            lines.pop()
        delimiter = self._delimiter.encode()
        emptiness = b" \t\r" + delimiter
        kept: list[bytes] = []
        numbers: list[int] = []
        for number, raw in enumerate(lines, start=first_line):
            line = raw.removeprefix(BOM).rstrip(b"\r")
            if not line.strip(emptiness):
                batch.blank += 1
                continue
            if b'"' in line or b"\r" in line or line.count(delimiter) + 1 != self._width:
                cells, reason = self._cells(line, number)
                if reason:
                    batch.issues.append(Issue(number, "", shown(_text(line)), reason))
                    continue
                line = self._written(cells)
            if not line.isascii():
                line = _text(line).encode()
            kept.append(line)
            numbers.append(number)
        return kept, np.array(numbers, np.int64)

    def why_header(self, line: bytes, number: int) -> str:
        """Why the line, which holds no time, is a header; empty where it is none. Raises FormatError where it is the
        header of other columns than those of this table."""
        cells, _ = self._split(_text(line))
        return self._why_header(cells, number)

    def _cells(self, line: bytes, number: int) -> tuple[list[str], str]:
        """Exactly the layout's cells, or why that cannot be."""
        if line.count(b'"') % 2:
            return [], "a quotation mark is opened and not closed on this line"
        cells, reason = self._split(_text(line).replace("\r", " "))
        if reason:
            return [], reason
        while len(cells) > self._width and not cells[-1].strip():
            cells.pop()
        if len(cells) != self._width:
            return [], self._why_header(
                cells, number
            ) or f"has {len(cells)} cell{'s' if len(cells) != 1 else ''}; expected {self._width}"
        return cells, ""

    def _split(self, text: str) -> tuple[list[str], str]:
        try:
            return next(csv.reader([text], delimiter=self._delimiter)), ""
        except csv.Error as error:
            return [], f"cannot be split into cells: {error}"

    def _written(self, cells: list[str]) -> bytes:
        out = io.StringIO()
        csv.writer(out, delimiter=self._delimiter, lineterminator="").writerow(cells)
        return out.getvalue().encode()

    def _why_header(self, cells: list[str], number: int) -> str:
        if not is_header(cells):
            return ""
        while cells and not cells[-1].strip():
            cells = cells[:-1]
        if column_names(cells, len(cells)) == self._names[: len(cells)]:
            return "repeats the header"
        names = ", ".join(cell.strip() for cell in cells[:6] if cell.strip())
        raise FormatError(
            "second_table",
            f"another table begins on line {number:,}, with other columns: {shown(names)}",
            "Split the file there and upload each table on its own.",
        )


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace")
