"""How a file writes its numbers: the decimal mark, and the mark between thousands."""

import re
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from daybook.formats.cells import number_pattern
from daybook.formats.given import Given
from daybook.formats.layout import Choice, FormatError
from daybook.formats.table import Table

_GROUPS = {",": ",", ".": r"\.", "'": "['’]", " ": "[ \u00a0\u202f]"}  # marks between thousands, as patterns


@dataclass(frozen=True)
class NumberForm:
    """How numbers are written: the decimal mark, and the one between thousands, if any."""

    decimal: str = "."
    thousands: str = ""

    @property
    def pattern(self) -> str:
        """The regular expression of a whole cell that is such a number."""
        plain = number_pattern(self.decimal)
        if not self.thousands:
            return plain
        mark, point = (
            ("[ \u00a0\u202f]" if self.thousands == " " else re.escape(self.thousands)),
            re.escape(self.decimal),
        )
        return rf"(?:{plain}|^[+-]?[0-9]{{1,3}}(?:{mark}[0-9]{{3}})+(?:{point}[0-9]*)?$)"


def number_form(cells: pa.Table, table: Table, given: Given) -> NumberForm:
    """How the sample writes its numbers. Raises FormatError where 1,234 may be a thousand or a bit more than one."""
    columns = [cells.column(index) for index in range(table.width) if index not in table.time_columns]
    texts = [pc.utf8_trim_whitespace(column) for column in columns]
    decimal = given.decimal or decimal_mark(texts, table)
    if given.thousands is not None:
        return NumberForm(decimal, given.thousands)
    for mark, pattern in _GROUPS.items():
        if mark == decimal or not any(_contains(text, mark) for text in texts):
            continue
        point = re.escape(decimal)
        if _count(texts, rf"^[+-]?[0-9]{{1,3}}({pattern}[0-9]{{3}}){{2,}}({point}[0-9]*)?$") or _count(
            texts, rf"^[+-]?[0-9]{{1,3}}({pattern}[0-9]{{3}})+{point}[0-9]+$"
        ):
            return NumberForm(decimal, mark)
        weak = _count(texts, rf"^[+-]?[1-9][0-9]{{0,2}}{pattern}[0-9]{{3}}$")
        if weak and (decimal == "," or (mark not in {",", "."})):
            return NumberForm(decimal, mark)
        if weak and mark == "," and (given.decimal or _count(texts, _clear_decimals("."))):
            return NumberForm(decimal, mark)
    return NumberForm(decimal)


def decimal_mark(texts: list[pa.ChunkedArray], table: Table) -> str:
    """A comma where more cells have one between digits than have a point. In comma-separated files such cells are
    quoted, and may as well have commas between thousands: there one cell must show that it has not."""
    with_comma = [text for text in texts if _contains(text, ",")]
    commas = _count(with_comma, _decimals(","))
    if not commas:
        if table.delimiter == ";":  # a comma could not be doubted there, a point can: 1.234 of a German spreadsheet
            _refuse_ambiguous_groups([text for text in texts if _contains(text, ".")], ".")
        return "."
    points = _count(texts, _decimals("."))
    clear_commas = _count(with_comma, _clear_decimals(","))
    if not points:
        _refuse_ambiguous_groups(with_comma, ",")
    if table.delimiter == "," and not clear_commas:
        return "."
    if points and bool(clear_commas) != bool(_count(texts, _clear_decimals("."))):
        return "," if clear_commas else "."  # the other mark stands between thousands
    return "," if commas > points else "."


def _decimals(mark: str) -> str:
    """The pattern of numbers with that decimal mark, perhaps with the other one between thousands."""
    point, group = (r"\.", ",") if mark == "." else (",", r"\.")
    return rf"^[+-]?([0-9]*|[0-9]{{1,3}}({group}[0-9]{{3}})+){point}[0-9]+([eE][+-]?[0-9]+)?$"


def _clear_decimals(mark: str) -> str:
    """The same, of those whose mark cannot stand between thousands."""
    point, group = (r"\.", ",") if mark == "." else (",", r"\.")
    return (
        rf"^[+-]?([0-9]*{point}([0-9]{{1,2}}|[0-9]{{4,}})|(0|[0-9]{{4,}}){point}[0-9]{{3}}"
        rf"|[0-9]{{1,3}}({group}[0-9]{{3}})+{point}[0-9]+)([eE][+-]?[0-9]+)?$"
    )


def _refuse_ambiguous_groups(texts: list[pa.ChunkedArray], mark: str) -> None:
    """Raises FormatError where every cell with that mark has three digits behind it, and plain whole numbers stand
    beside them: a thousand and more, or one and a bit?"""
    point, word = re.escape(mark), "comma" if mark == "," else "point"
    if _count(texts, _clear_decimals(mark)) or _count(texts, rf"^[+-]?[0-9]{{1,3}}({point}[0-9]{{3}}){{2,}}$"):
        return
    for text in texts:
        weak = pc.match_substring_regex(text, rf"^[+-]?[1-9][0-9]{{0,2}}{point}[0-9]{{3}}$")
        if (pc.sum(weak).as_py() or 0) and _count([text], r"^[+-]?[0-9]{1,3}$"):
            example = text.filter(weak)[0].as_py()
            groups, decimals = example.replace(mark, ""), example.replace(mark, ".")
            other = "." if mark == "," else ","
            raise FormatError(
                "ambiguous_numbers",
                f'"{example}" may be {groups} or {decimals}; nothing in the first part of the file tells which',
                f"Say whether the {word} is the decimal mark or stands between thousands.",
                (
                    Choice(f"{int(groups):,} with a {word} between thousands", {"decimal": other, "thousands": mark}),
                    Choice(f"{decimals} with a decimal {word}", {"decimal": mark}),
                ),
            )


def _contains(text: pa.ChunkedArray, mark: str) -> bool:
    """Whether a cell holds this mark between thousands; a quick question in front of slow ones."""
    forms = {"'": ("'", "’"), " ": (" ", "\u00a0", "\u202f")}.get(mark, (mark,))
    return any(pc.any(pc.match_substring(text, form)).as_py() for form in forms)


def _count(texts: list[pa.ChunkedArray], pattern: str) -> int:
    return sum(pc.sum(pc.match_substring_regex(text, pattern)).as_py() or 0 for text in texts)
