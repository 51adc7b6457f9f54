"""Which file types a file looks like, going by its first lines: the texts that they hold, and the names of columns."""

from collections.abc import Iterator

from daybook.formats.cells import column_names, is_number
from daybook.formats.given import Given, GivenColumn
from daybook.formats.layout import TIME_ROLES
from daybook.formats.separators import split_line

_SIGN_LINES = 30
_HEADER_LINES = 500
_FEWEST_ROWS = 2  # that must have as many cells as a type without a header says
_TEXT_DELIMITERS = (",", ";", "\t", "|", " ")


class Sample:
    """The first lines of a file."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = [line.rstrip("\r\n").removeprefix("\ufeff") for line in lines[:_HEADER_LINES]]
        self._head = "\n".join(self._lines[:_SIGN_LINES]).casefold()

    def score(self, given: Given) -> int:
        """How much speaks for that type: the signs found, and the names of columns; 0 where something it says is not
        there, and where it says nothing that a file could be known by."""
        if not all(sign.casefold() in self._head for sign in given.signs):
            return 0
        if not given.columns:
            return len(given.signs)
        found = self._columns_found(given)
        return len(given.signs) + found if found else 0

    def _columns_found(self, given: Given) -> int:
        if given.file == "json":
            keys = [column.name.rpartition(".")[2] for column in given.columns]
            return len(keys) if all(f'"{key}"'.casefold() in self._head for key in keys) else 0
        if given.file not in (None, "text"):
            return 0
        if given.header_line == 0:
            return self._rows_fit(given)
        return len(given.columns) if self._has_header(given) else 0

    def _has_header(self, given: Given) -> bool:
        wanted = {_bare(column.name) for column in given.columns}
        known_by = next((name for name in wanted if name.isalnum()), "")
        for line in self._lines:
            if known_by not in line:
                continue  # splitting costs more than looking
            for cells in _splits(line, given):
                if wanted <= {_bare(name) for name in column_names(cells, len(cells))}:
                    return True
        return False

    def _rows_fit(self, given: Given) -> int:
        """For rows without a header: as many cells as columns, and numbers where parts of the time are."""
        if given.data_line is None and given.signs:
            return 1  # where the rows begin is found out, and the signs have told enough
        first = (given.data_line or 1) - 1
        rows = [line for line in self._lines[first : first + _SIGN_LINES] if line.strip()]
        times = [(_number(column), column.role) for column in given.columns if column.role in TIME_ROLES]
        if len(rows) < _FEWEST_ROWS or not times:
            return 0
        for line in rows[:_FEWEST_ROWS]:
            fitting = [cells for cells in _splits(line, given) if len(cells) == len(given.columns)]
            if not fitting or not all(
                role in ("time", "clock") or is_number(fitting[0][at]) for at, role in times if at < len(fitting[0])
            ):
                return 0
        return len(times)


def _number(column: GivenColumn) -> int:
    """The position of a column in a file without a header: 2 for "column 3"."""
    number = column.name.rpartition(" ")[2]
    return int(number) - 1 if number.isdecimal() else 0


def _bare(name: str) -> str:
    """The name without the mark that makes a comment of a header (#YY)."""
    return name.lstrip("# ").strip()


def _splits(line: str, given: Given) -> Iterator[list[str]]:
    """The cells of the line by the type's delimiter, or by each one that it holds where the type names none."""
    if given.delimiter is not None:
        yield split_line(line, given.delimiter, given.widths)
        return
    for delimiter in _TEXT_DELIMITERS:
        if delimiter in line:
            yield split_line(line, delimiter)
