"""One block, line by line: which lines are blank, which have the right cells, and what is wrong with the others."""

import csv
import io

import numpy as np

from daybook.formats.arrow_lines import BOM
from daybook.formats.batch import Batch, Int64s, Issue, shown
from daybook.formats.cells import column_names, is_header
from daybook.formats.layout import FormatError, Layout
from daybook.formats.lines import count_lines
from daybook.formats.separators import CUT


class RowSorter:
    """Sorts the lines of a file, as `separators.normalise` leaves them, by the layout's number of columns."""

    def __init__(self, layout: Layout) -> None:
        self._names = [column.name for column in layout.columns]
        self._width = len(self._names)

    def sort(
        self, data: bytes, mark: str, as_it_came: bytes, first_line: int, batch: Batch
    ) -> tuple[list[bytes], Int64s]:
        """The lines that have the right number of cells, which that mark separates, and their numbers; counts the
        blank, rejects the rest. `as_it_came` has the same lines, as issues shall show them.

        What comes back is UTF-8 (bytes that are not become U+FFFD), without CR, and with quotes only where a cell
        needs them. Raises FormatError where another table begins.
        """
        delimiter = mark.encode()
        emptiness = b" \t\r" + delimiter
        careful = (b"\r",) if mark == CUT else (b"\r", b'"')
        originals = as_it_came.split(b"\n") if as_it_came is not data else None
        kept: list[bytes] = []
        numbers: list[int] = []
        for place, raw in enumerate(data.split(b"\n")[: count_lines(as_it_came)]):
            line, number = raw.removeprefix(BOM).rstrip(b"\r"), first_line + place
            if not line.strip(emptiness):
                batch.blank += 1
                continue
            if any(letter in line for letter in careful) or line.count(delimiter) + 1 != self._width:
                cells, reason = self._cells(line, mark, number)
                if reason:
                    original = originals[place].removeprefix(BOM).rstrip(b"\r") if originals else line
                    batch.issues.append(Issue(number, "", shown(_text(original)), reason))
                    continue
                line = self._written(cells, mark)
            if not line.isascii():
                line = _text(line).encode()
            kept.append(line)
            numbers.append(number)
        return kept, np.array(numbers, np.int64)

    def why_header(self, line: bytes, mark: str, number: int) -> str:
        """Why the line, which holds no time, is a header; empty where it is none. Raises FormatError where it is the
        header of other columns than those of this table."""
        cells, _ = self._split(_text(line), mark)
        return self._why_header(cells, number)

    def _cells(self, line: bytes, mark: str, number: int) -> tuple[list[str], str]:
        """Exactly the layout's cells, or why that cannot be."""
        if line.count(b'"') % 2 and mark != CUT:
            return [], "a quotation mark is opened and not closed on this line"
        cells, reason = self._split(_text(line).replace("\r", " "), mark)
        if reason:
            return [], reason
        while len(cells) > self._width and not cells[-1].strip():
            cells.pop()
        if len(cells) != self._width:
            return [], self._why_header(
                cells, number
            ) or f"has {len(cells)} cell{'s' if len(cells) != 1 else ''}; expected {self._width}"
        return cells, ""

    def _split(self, text: str, mark: str) -> tuple[list[str], str]:
        if mark == CUT:
            return text.split(CUT), ""
        try:
            return next(csv.reader([text], delimiter=mark)), ""
        except csv.Error as error:
            return [], f"cannot be split into cells: {error}"

    def _written(self, cells: list[str], mark: str) -> bytes:
        if mark == CUT:
            return CUT.join(cells).encode()
        out = io.StringIO()
        csv.writer(out, delimiter=mark, lineterminator="").writerow(cells)
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
