"""What a cell holds: a number, a mark for a missing one, a name. Names are cleaned here, for headers and rows alike."""

import re
from collections import Counter
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daybook.formats.batch import Bools, Float64s
from daybook.formats.layout import MISSING

MAX_NAME = 200  # what the store keeps
NUMBER = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_GROUPED = r"^[+-]?(([0-9]+|[0-9]{1,3}(#[0-9]{3})+)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"  # #: between thousands
# Where a header's first cell is one of these, possibly with a zone or a unit behind it, the line is a header: used for
# lines among the rows, where prose ("no data, logger stopped") must not be taken for one.
_HEADER_WORD = re.compile(
    r"(?i)[#\s]*(date|time|timestamp|date(?: and |[ _/&-]*)time|time[ _-]?stamp|tmstamp|ts|datum|tijd|tijdstip|zeit"
    r"|uhrzeit|zeitstempel|fecha|hora|heure|horodatage|yyyymmdd[hms]*|datum[ /+-]*(uhr)?zeit|local time)\s*([,([_+].*)?"
)

# Marks between thousands, as patterns, with what typesetters put in their place.
_THOUSANDS = {",": ",", ".": "[.]", " ": "[ \u00a0\u202f\u2009]", "'": "['\u2019]"}

_ZERO = pa.scalar("0")  # made once: Arrow takes its time to turn Python's values into its own


def one_chunk(column: pa.ChunkedArray) -> pa.Array:
    """The column as one array."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def number_pattern(decimal: str, thousands: str = "") -> str:
    """The regular expression of a whole cell that is a number with that decimal mark, without blanks around it.

    In a file with decimal commas a point is no decimal mark: 1.234 may be a thousand there. A mark between thousands
    stands between groups of exactly three digits, or nowhere.
    """
    pattern = NUMBER
    if thousands:
        pattern = _GROUPED.replace("#", _THOUSANDS[thousands])
    return pattern.replace(r"\.", _THOUSANDS[decimal])


def is_number(text: str) -> bool:
    """Whether the cell may be a number, with either decimal mark."""
    return re.match(NUMBER, text.strip().replace(",", ".", 1)) is not None


class Marks:
    """The marks that stand for "no value": compared without case and blanks; those that are numbers, as numbers (999
    also means 999.0)."""

    def __init__(self, declared: Iterable[str]) -> None:
        self.texts = {mark.strip().lower() for mark in (*MISSING, *declared)}
        numbers = [mark.replace(",", ".") for mark in self.texts if is_number(mark)]
        self._numbers = np.array([float(number) for number in numbers])
        self.array = pa.array(sorted(self.texts))
        forms = {form for mark in self.texts for form in (mark, mark.upper(), mark.capitalize())}
        # Arrow compares marks before it trims blanks; padded columns are common enough to list their lengths.
        self.arrow_forms = sorted(forms | {"NaN"} | {" " * width for width in range(1, 13)})

    @property
    def are_numbers(self) -> bool:
        """Whether all marks that were declared are numbers."""
        return len(self._numbers) == len(self.texts - set(MISSING))

    def among(self, values: Float64s) -> Bools | None:
        """Which values are such marks; None where no number is one."""
        return np.isin(values, self._numbers) if len(self._numbers) else None


def clean_name(text: str) -> str:
    """The name of a sensor: no blanks around it, every kind of blank inside a plain one, otherwise as written."""
    text = text.replace("\ufeff", "")
    if not text.isprintable():
        text = "".join(" " if letter.isspace() else letter for letter in text)
    return text.strip()


def why_bad_name(name: str) -> str:
    """Why a cleaned name cannot be a sensor's; empty where it can."""
    if not name:
        return "names no sensor"
    if len(name) > MAX_NAME:
        return f"is longer than {MAX_NAME} characters"
    if not name.isprintable() or "\ufffd" in name:
        return "has characters that cannot be read"
    return ""


def column_names(header: list[str], width: int) -> list[str]:
    """Names for all columns, each one only once: repeated ones get (2), (3), and nameless ones a number."""
    names: list[str] = []
    taken: set[str] = set()
    counts: Counter[str] = Counter()
    for index in range(width):
        text = clean_name(header[index].strip().strip('"') if index < len(header) else "")
        text = "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
        name = text[: MAX_NAME - 10].strip() or f"column {index + 1}"
        unique = name
        while unique in taken:
            counts[name] += 1
            unique = f"{name} ({counts[name] + 1})"
        taken.add(unique)
        names.append(unique)
    return names


def is_header_word(cell: str) -> bool:
    """Whether a cell is a word for time, possibly with a zone or a unit behind it."""
    return _HEADER_WORD.fullmatch(cell.strip()) is not None


def is_header(cells: list[str]) -> bool:
    """Whether a line among the rows is the header of another table: a word for time in front, and names."""
    full = [cell.strip() for cell in cells if cell.strip()]
    if len(full) < 2 or not any(map(is_header_word, full[:2])):
        return False
    return not any(is_number(cell) or cell.lower() in MISSING for cell in full)


def to_numbers(texts: pa.Array, decimal: str, marks: Marks, thousands: str = "") -> tuple[Float64s, Bools, Bools]:
    """Values of the cells, which of them are numbers, and which are marks for missing ones; the rest is neither.

    Infinite numbers, and those too large for a double, are none.
    """
    pattern = number_pattern(decimal, thousands)
    if pc.all(pc.match_substring_regex(texts, pattern)).as_py():
        values = pc.cast(_plain(texts, decimal, thousands), pa.float64()).to_numpy(zero_copy_only=False)
        return _without_marks(values, np.isfinite(values), np.zeros(len(values), np.bool_), marks)
    trimmed = pc.utf8_trim_whitespace(texts)
    missing = pc.is_in(pc.utf8_lower(trimmed), value_set=marks.array)
    numeric = pc.and_not(pc.match_substring_regex(trimmed, pattern), missing)
    plain = _plain(pc.if_else(numeric, trimmed, _ZERO), decimal, thousands)
    values = pc.cast(plain, pa.float64()).to_numpy(zero_copy_only=False)
    present = numeric.to_numpy(zero_copy_only=False) & np.isfinite(values)
    return _without_marks(values, present, missing.to_numpy(zero_copy_only=False), marks)


def _plain(numbers: pa.Array, decimal: str, thousands: str) -> pa.Array:
    """The numbers as Arrow takes them: a point for the decimal mark, nothing between thousands."""
    if thousands in (" ", "'"):
        numbers = pc.replace_substring_regex(numbers, _THOUSANDS[thousands], "")
    elif thousands:
        numbers = pc.replace_substring(numbers, thousands, "")
    return numbers if decimal == "." else pc.replace_substring(numbers, decimal, ".")


def _without_marks(values: Float64s, present: Bools, missing: Bools, marks: Marks) -> tuple[Float64s, Bools, Bools]:
    among = marks.among(values)
    if among is not None:
        return values, present & ~among, missing | (present & among)
    return values, present, missing


def padded_number_pattern(decimal: str, thousands: str = "") -> str:
    """As `number_pattern`, with blanks around the number."""
    return rf"^\s*{number_pattern(decimal, thousands)[1:-1]}\s*$"


def any_number(column: pa.Array, decimal: str, thousands: str = "") -> bool:
    """Whether a column of bytes holds a number; quick where the same few texts come again and again."""
    found = pc.match_substring_regex(column.dictionary_encode().dictionary, padded_number_pattern(decimal, thousands))
    return bool(pc.any(found).as_py())
