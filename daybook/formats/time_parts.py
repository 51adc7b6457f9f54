"""The time of a row from the columns that make it: a date and its clock, or year, month, day, hour … as numbers."""

import re
from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from daybook.formats.layout import Role

_WHOLE = re.compile(r"\s*([0-9]{1,4})(?:[.,]0*)?\s*")
_SECONDS = re.compile(r"\s*([0-9]{1,2})(?:[.,]([0-9]{0,9}))?\s*")
_CLOCK = re.compile(r"\s*([0-9]{1,6})(?:[.]0)?\s*")  # 930.0 comes from programs; 13.00 is a clock
_NO_TIME = "not a time: "  # in front of what stands there, which might look like a time once it is joined


def join(columns: Sequence[pa.Array], roles: Sequence[Role]) -> pa.Array:
    """One text per row from the time columns, which come in the order of TIME_ROLES.

    Clocks such as 930 get their zeros back, hours their minutes. Numbers become ISO 8601; where one of them is no
    whole number the text is none that can be read as a time. Columns of the same role belong together, as the parts of
    a time with blanks in it, in a file whose columns are separated by blanks: 01:30 and PM.
    """
    columns, roles = _one_each(columns, roles)
    if len(columns) == 1 and roles[0] == "time":
        return columns[0]
    if roles[0] == "time" and list(roles[1:]) == ["clock"]:
        clock = _mapped(columns[1], _clock_text)
        return pc.binary_join_element_wise(pc.utf8_trim_whitespace(columns[0]), clock, " ")
    parts = dict(zip(roles, columns, strict=True))
    pieces = [_date(parts), *_clock(parts)]
    joined = pc.binary_join_element_wise(*pieces, "") if len(pieces) > 1 else pieces[0]
    readable = pc.is_valid(joined)
    if pc.all(readable).as_py():
        return joined
    return pc.if_else(readable, joined, pc.binary_join_element_wise(_NO_TIME, _beside(columns), ""))


def _one_each(columns: Sequence[pa.Array], roles: Sequence[Role]) -> tuple[list[pa.Array], list[Role]]:
    together = {role: [one for one, its in zip(columns, roles, strict=True) if its == role] for role in roles}
    return [_beside(found) for found in together.values()], list(together)


def _beside(columns: Sequence[pa.Array]) -> pa.Array:
    return columns[0] if len(columns) == 1 else pc.binary_join_element_wise(*map(pc.utf8_trim_whitespace, columns), " ")


def _date(parts: dict[Role, pa.Array]) -> pa.Array:
    if "time" in parts:
        return pc.utf8_trim_whitespace(parts["time"])
    if "year" not in parts:
        return pa.nulls(len(next(iter(parts.values()))), pa.string())
    year = _mapped(parts["year"], _year_text)
    if "doy" in parts and "month" not in parts:
        return pc.binary_join_element_wise(year, _mapped(parts["doy"], lambda text: _padded(text, 3)), "-")
    month = _two_digits(parts["month"]) if "month" in parts else pa.scalar("01")
    day = _two_digits(parts["day"]) if "day" in parts else pa.scalar("01")
    return pc.binary_join_element_wise(year, month, day, "-")


def _clock(parts: dict[Role, pa.Array]) -> list[pa.Array]:
    """What follows the date: a blank and the clock, with seconds only where there are such."""
    if "clock" in parts:
        return [pa.scalar(" "), _mapped(parts["clock"], _clock_text)]
    if "hour" not in parts:
        return []
    minute = _two_digits(parts["minute"]) if "minute" in parts else pa.scalar("00")
    found = [pa.scalar(" "), _two_digits(parts["hour"]), pa.scalar(":"), minute]
    if "second" in parts:
        found += [pa.scalar(":"), _mapped(parts["second"], _seconds_text)]
    return found


def _mapped(column: pa.Array, read: Callable[[str], str | None]) -> pa.Array:
    """What every cell is read as, null where it cannot be. Such columns hold the same few texts over and over."""
    encoded = column.dictionary_encode()
    read_texts = [None if text is None else read(text) for text in encoded.dictionary.to_pylist()]
    return pa.array(read_texts, pa.string()).take(encoded.indices)


def _two_digits(column: pa.Array) -> pa.Array:
    return _mapped(column, lambda text: _padded(text, 2))


def _padded(text: str, width: int) -> str | None:
    match = _WHOLE.fullmatch(text)
    number = match[1].lstrip("0").rjust(width, "0") if match else ""
    return number if len(number) == width else None


def _year_text(text: str) -> str | None:
    """Four digits; of two, 69 and above are of the last century (as POSIX strptime %y)."""
    match = _WHOLE.fullmatch(text)
    if match is None or len(match[1]) == 3:
        return None
    return match[1] if len(match[1]) == 4 else str(int(match[1]) + (2000 if int(match[1]) < 69 else 1900))


def _seconds_text(text: str) -> str | None:
    match = _SECONDS.fullmatch(text)
    return None if match is None else match[1].rjust(2, "0") + (f".{match[2]}" if match[2] else "")


def _clock_text(text: str) -> str:
    """13:00 as it is; 5, 30 and 930 are five and thirty minutes past midnight and half past nine."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        return text.strip()
    return match[1].rjust(4 if len(match[1]) <= 4 else 6, "0")
