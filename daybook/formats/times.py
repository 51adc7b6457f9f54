"""Reading times: whole columns at once, by the shape of their text.

The shape of a text is the text with every digit replaced by 0: "09/01/2016 15:30" has the shape "00/00/0000 00:00". A
column of a million times has one shape, or a handful; each shape is understood once, and then the digits at the same
places of all its texts are turned into numbers together. Times come out as whole microseconds since 1970 in UTC.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from daybook.formats.layout import DateOrder
from daybook.formats.zones import DAY, SECOND, Localizer, zone

__all__ = ["DAY", "SECOND", "Localizer", "Times", "has_clock", "looks_like_clock", "looks_like_time", "parse", "zone"]

Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# Years outside of these come from damaged lines or from clocks that were never set (the oldest series of readings that
# anybody keeps begin in the 17th century).
FIRST_YEAR, LAST_YEAR = 1000, 9998

_MONTH_NAMES = """jan january|feb february|mar march|apr april|may|jun june|jul july|aug august|sep sept september
|oct october|nov november|dec december"""
_MONTHS = {name: number for number, names in enumerate(_MONTH_NAMES.split("|"), start=1) for name in names.split()}

_CLOCK = r"""
    (?:(?P<hour>0{1,2}) : (?P<minute>00) (?: : (?P<second>00) (?:[.,](?P<fraction>0{1,9}))? )?
      | (?P<hhmm>0000) (?P<ss>00)? )
    (?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?
    \s*(?P<zone>[Zz]|UTC|GMT|(?P<sign>[+-])(?P<zone_hour>00):?(?P<zone_minute>00)?)?
"""
_DATES = (
    r"(?P<year>0000)(?P<mark>[-/.])(?P<month>0{1,2})(?P=mark)(?P<day>0{1,2})",
    r"(?P<year>0000)(?P<month>00)(?P<day>00)",
    r"(?P<first>0{1,2})(?P<mark>[-/.])(?P<second_number>0{1,2})(?P=mark)(?P<year>0000|00)",
    r"(?P<day>0{1,2})[-/.\ ](?P<month_name>[A-Za-z]{3,9})\.?[-/.,\ ]\ ?(?P<year>0000|00)",
    r"(?P<month_name>[A-Za-z]{3,9})\.?\ (?P<day>0{1,2}),?\ (?P<year>0000)",
)
# Twelve or fourteen digits on end: the year first, nothing between the parts.
_DIGITS_ALONE = r"(?P<year>0000)(?P<month>00)(?P<day>00)(?P<hhmm>0000)(?P<ss>00)?(?P<half>)(?P<zone>)(?P<sign>)"
_SHAPES = (
    *(re.compile(rf"\s*{date}(?:(?:\s*T|\s+|:){_CLOCK})?\s*", re.VERBOSE) for date in _DATES),
    re.compile(rf"\s*{_DIGITS_ALONE}\s*"),
)
_CLOCK_SHAPE = re.compile(rf"\s*{_CLOCK}\s*", re.VERBOSE)


@dataclass(frozen=True)
class _Shape:
    """Where the parts of a time stand in every text of one shape."""

    spans: dict[str, tuple[int, int]]
    month: int | None
    afternoon: bool | None
    sign: int | None  # of the offset; 0 for Z; None where the text states no offset


@lru_cache(maxsize=4096)
def _understand(shape: str, order: DateOrder) -> _Shape | None:
    for pattern in _SHAPES:
        match = pattern.fullmatch(shape)
        if match is None:
            continue
        spans = {name: match.span(name) for name, text in match.groupdict().items() if text is not None}
        if "first" in spans:
            if match["mark"] == "." and order == "mdy":
                order = "dmy"  # where dates have dots, the day comes first (CLDR: no locale writes month.day.year)
            if order == "ymd":  # two-digit years first: 19/08/07
                if spans["year"][1] - spans["year"][0] == 4 or spans["first"][1] - spans["first"][0] == 1:
                    return None
                spans["year"], spans["month"], spans["day"] = spans["first"], spans["second_number"], spans["year"]
            elif order == "dmy":
                spans["day"], spans["month"] = spans["first"], spans["second_number"]
            else:
                spans["month"], spans["day"] = spans["first"], spans["second_number"]
        month = None
        if match.groupdict().get("month_name"):
            month = _MONTHS.get(match["month_name"].lower())
            if month is None:
                return None
        half, sign = match["half"], match["sign"]
        return _Shape(
            spans=spans,
            month=month,
            afternoon=half in "Pp" if half else None,
            sign={"+": 1, "-": -1, None: 0}[sign] if match["zone"] else None,
        )
    return None


def looks_like_time(text: str) -> bool:
    """Whether the text has the shape of a date, with or without a clock time."""
    shape = re.sub(r"\d", "0", text)
    return any(_understand(shape, order) is not None for order in ("ymd", "dmy"))


def looks_like_clock(text: str) -> bool:
    """Whether the text is a clock time alone, such as 13:00:00."""
    match = _CLOCK_SHAPE.fullmatch(re.sub(r"\d", "0", text))
    return match is not None and (match["hour"] is not None or match["hhmm"] is not None)


def has_clock(text: str) -> bool:
    """Whether a date is followed by a clock time in the same text."""
    found = _understand(re.sub(r"\d", "0", text), "dmy") or _understand(re.sub(r"\d", "0", text), "ymd")
    return found is not None and bool(found.spans.keys() & {"hour", "hhmm"})


def join(columns: Sequence[pa.Array], hours_only: bool = False) -> pa.Array:
    """One text per row from the date and its clock; clocks such as 930 get their zeros back, hours their minutes."""
    if len(columns) == 1:
        return columns[0]
    clock = pc.utf8_trim_whitespace(columns[1])
    short = pc.match_substring_regex(clock, "^[0-9]{1,2}$" if hours_only else "^[0-9]{1,3}$")
    if hours_only:
        clock = pc.if_else(short, pc.binary_join_element_wise(clock, "00", ":"), "not an hour")
    elif pc.any(short).as_py():
        clock = pc.if_else(short, pc.utf8_lpad(clock, 4, "0"), clock)
    return pc.binary_join_element_wise(pc.utf8_trim_whitespace(columns[0]), clock, " ")


@dataclass(frozen=True)
class Times:
    """A parsed column: microseconds, which of them could be read, and which stated their own offset."""

    microseconds: Int64s
    valid: Bools
    absolute: Bools


def parse(texts: pa.Array, order: DateOrder) -> Times:
    """Reads every text of the column; a missing text (null) is not valid.

    Times without an offset come out as their local clock shows them: `Localizer` turns those into UTC. 24:00 is the
    next midnight; digits after the microsecond are cut off; two-digit years are 1969 to 2068 (as POSIX strptime %y).
    Leap seconds, and years before 1000 or after 9998, are not valid.
    """
    count = len(texts)
    result = Times(np.zeros(count, np.int64), np.zeros(count, np.bool_), np.zeros(count, np.bool_))
    if count == 0:
        return result
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + count + 1].astype(np.int64)
    data_buffer = texts.buffers()[2]
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else np.zeros(0, np.uint8)
    lengths = np.diff(offsets)
    for length in lengths[:1] if (lengths == lengths[0]).all() else np.unique(lengths):
        if not 0 < length <= 64:
            continue
        rows = np.flatnonzero(lengths == length)
        if len(rows) == count:
            letters = data[offsets[0] : offsets[0] + count * length].reshape(count, length)
        else:
            letters = data[offsets[rows][:, None] + np.arange(length)]
        _parse_same_length(letters, rows, order, result)
    return result


def _parse_same_length(letters: npt.NDArray[np.uint8], rows: Int64s, order: DateOrder, result: Times) -> None:
    is_digit = (letters >= ord("0")) & (letters <= ord("9"))
    shapes = np.where(is_digit, np.uint8(ord("0")), letters)
    if (shapes == shapes[0]).all():
        groups = [(shapes[0], slice(None))]
    else:
        whole = np.ascontiguousarray(shapes).view(np.dtype((np.void, shapes.shape[1]))).ravel()
        kinds, inverse = np.unique(whole, return_inverse=True)
        groups = [
            (np.frombuffer(kind.tobytes(), np.uint8), np.flatnonzero(inverse == number))  # type: ignore[misc]
            for number, kind in enumerate(kinds)
        ]
    for shape_letters, members in groups:
        shape = _understand(shape_letters.tobytes().decode("latin-1"), order)
        if shape is None:
            continue
        micros, valid = _compute(letters[members], shape)
        places = rows[members]
        result.microseconds[places] = np.where(valid, micros, 0)
        result.valid[places] = valid
        result.absolute[places] = shape.sign is not None


def _compute(letters: npt.NDArray[np.uint8], shape: _Shape) -> tuple[Int64s, Bools]:
    def part(name: str, default: int = 0) -> Int64s:
        if name not in shape.spans:
            return np.full(len(letters), default, np.int64)
        start, end = shape.spans[name]
        number = np.zeros(len(letters), np.int64)
        for position in range(start, end):
            number = number * 10 + (letters[:, position].astype(np.int64) - 48)
        return number

    year, day = part("year"), part("day")
    if shape.spans["year"][1] - shape.spans["year"][0] == 2:
        year = np.where(year < 69, year + 2000, year + 1900)  # the pivot of POSIX strptime %y
    month = part("month") if shape.month is None else np.full(len(letters), shape.month, np.int64)
    if "hhmm" in shape.spans:
        clock = part("hhmm")
        hour, minute, second = clock // 100, clock % 100, part("ss")
    else:
        hour, minute, second = part("hour"), part("minute"), part("second")
    fraction = np.zeros(len(letters), np.int64)
    if "fraction" in shape.spans:
        start, end = shape.spans["fraction"]
        digits = end - start
        fraction = part("fraction") * 10**6 // 10**digits
    valid = (
        (year >= FIRST_YEAR)
        & (year <= LAST_YEAR)
        & (month >= 1)
        & (month <= 12)
        & (day >= 1)
        & (minute < 60)
        & (second < 60)
    )
    if shape.afternoon is not None:
        valid &= (hour >= 1) & (hour <= 12)
        hour = hour % 12 + (12 if shape.afternoon else 0)
    midnight = (hour == 24) & (minute == 0) & (second == 0) & (fraction == 0)
    valid &= (hour < 24) | midnight
    months = np.where(valid, (year - 1970) * 12 + month - 1, 0)
    month_start = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    next_start = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    valid &= day <= next_start - month_start
    micros = (month_start + day - 1) * DAY + ((hour * 60 + minute) * 60 + second) * SECOND + fraction
    if shape.sign:
        zone_hour, zone_minute = part("zone_hour"), part("zone_minute")
        valid &= (zone_hour < 24) & (zone_minute < 60)
        micros = micros - shape.sign * (zone_hour * 60 + zone_minute) * 60 * SECOND
    return micros, valid
