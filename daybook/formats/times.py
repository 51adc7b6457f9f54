"""Reading times: whole columns at once, by the shape of their text.

The shape of a text is the text with every digit replaced by 0: "09/01/2016 15:30" has the shape "00/00/0000 00:00". A
column of a million times has one shape, or a handful; each shape is understood once (`time_shapes`, or `strptime` where
patterns are given), and then the digits at the same places of all its texts are turned into numbers together. Times
come out as whole microseconds since 1970 in UTC.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from daybook.formats.epochs import parse_epoch
from daybook.formats.layout import DateOrder, Epoch, Layout
from daybook.formats.strptime import understand_by
from daybook.formats.time_parts import join
from daybook.formats.time_shapes import MAX_LENGTH, TimeShape, has_clock, looks_like_clock, looks_like_time, understand
from daybook.formats.zones import DAY, SECOND, Localizer, zone

__all__ = [
    "DAY",
    "SECOND",
    "Localizer",
    "Times",
    "has_clock",
    "join",
    "looks_like_clock",
    "looks_like_time",
    "parse",
    "parse_columns",
    "zone",
]

Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# Years outside of these come from damaged lines or from clocks that were never set (the oldest series of readings that
# anybody keeps begin in the 17th century).
FIRST_YEAR, LAST_YEAR = 1000, 9998


@dataclass(frozen=True)
class Times:
    """A parsed column: microseconds, which of them could be read, and which stated their own offset."""

    microseconds: Int64s
    valid: Bools
    absolute: Bools


def parse_columns(columns: Sequence[pa.Array], layout: Layout) -> Times:
    """Reads the layout's time columns, which come in the order of `layout.time_columns`."""
    roles = layout.time_roles
    # Parts that are numbers become ISO 8601; patterns are for times as the file has them.
    formats = layout.time_formats if roles[0] == "time" else ()
    return parse(join(columns, roles), layout.date_order, formats, layout.epoch if len(roles) == 1 else "")


def parse(texts: pa.Array, order: DateOrder, formats: tuple[str, ...] = (), epoch: Epoch = "") -> Times:
    """Reads every text of the column; a missing text (null) is not valid.

    With `formats` (patterns as of strptime) only these are tried, in their order; with `epoch`, texts are numbers. Else
    every form is read that Daybook knows. Times without an offset come out as their local clock shows them: `Localizer`
    turns those into UTC. 24:00 is the next midnight; digits after the microsecond are cut off; two-digit years are 1969
    to 2068 (as POSIX strptime %y). Leap seconds, and years before 1000 or after 9998, are not valid.
    """
    if epoch:
        micros, valid = parse_epoch(texts, epoch)
        valid &= (micros >= _MICROS_OF_YEARS[0]) & (micros < _MICROS_OF_YEARS[1])
        return Times(np.where(valid, micros, 0), valid, valid & (epoch != "excel"))
    if not formats:
        return _parse_shapes(texts, lambda shape: understand(shape, order))
    found = _parse_shapes(texts, lambda shape: understand_by(formats[0], shape))
    for pattern in formats[1:]:
        if found.valid.all():
            break
        _fill(found, np.flatnonzero(~found.valid), texts, pattern)
    return found


def _fill(found: Times, rows: Int64s, texts: pa.Array, pattern: str) -> None:
    """Reads the texts of these rows once more, by another pattern."""
    more = _parse_shapes(texts.take(pa.array(rows)), lambda shape: understand_by(pattern, shape))
    found.microseconds[rows], found.valid[rows], found.absolute[rows] = more.microseconds, more.valid, more.absolute


def _parse_shapes(texts: pa.Array, meaning: Callable[[str], TimeShape | None]) -> Times:
    count = len(texts)
    result = Times(np.zeros(count, np.int64), np.zeros(count, np.bool_), np.zeros(count, np.bool_))
    if count == 0:
        return result
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + count + 1].astype(np.int64)
    data_buffer = texts.buffers()[2]
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else np.zeros(0, np.uint8)
    lengths = np.diff(offsets)
    for length in lengths[:1] if (lengths == lengths[0]).all() else np.unique(lengths):
        if not 0 < length <= MAX_LENGTH:
            continue
        rows = np.flatnonzero(lengths == length)
        if len(rows) == count:
            letters = data[offsets[0] : offsets[0] + count * length].reshape(count, length)
        else:
            letters = data[offsets[rows][:, None] + np.arange(length)]
        _parse_same_length(letters, rows, meaning, result)
    return result


def _parse_same_length(
    letters: npt.NDArray[np.uint8], rows: Int64s, meaning: Callable[[str], TimeShape | None], result: Times
) -> None:
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
        shape = meaning(shape_letters.tobytes().decode("latin-1"))
        if shape is None:
            continue
        micros, valid = _compute(letters[members], shape)
        places = rows[members]
        result.microseconds[places] = np.where(valid, micros, 0)
        result.valid[places] = valid
        result.absolute[places] = shape.sign is not None


def _compute(letters: npt.NDArray[np.uint8], shape: TimeShape) -> tuple[Int64s, Bools]:
    """The microseconds of texts of one shape, and which of them are moments of the calendar."""
    part = _Parts(letters, shape.spans)
    if part.has("seconds"):
        return part("seconds") * SECOND, np.ones(len(letters), np.bool_)
    days, valid = _days(part, shape.month)
    hour, minute, second = part("hour"), part("minute"), part("second")
    if part.has("hhmm"):
        hour, minute, second = part("hhmm") // 100, part("hhmm") % 100, part("ss")
    fraction = part("fraction") * 10**6 // 10 ** part.width("fraction")
    if shape.afternoon is not None:
        valid &= (hour >= 1) & (hour <= 12)
        hour = hour % 12 + (12 if shape.afternoon else 0)
    midnight = (hour == 24) & (minute == 0) & (second == 0) & (fraction == 0)
    valid &= ((hour < 24) | midnight) & (minute < 60) & (second < 60)
    micros = days * DAY + ((hour * 60 + minute) * 60 + second) * SECOND + fraction
    if shape.sign:
        zone_hour, zone_minute = part("zone_hour"), part("zone_minute")
        valid &= (zone_hour < 24) & (zone_minute < 60)
        micros = micros - shape.sign * (zone_hour * 60 + zone_minute) * 60 * SECOND
    return micros - shape.shift * 60 * SECOND, valid


class _Parts:
    """The numbers at the places that a shape names."""

    def __init__(self, letters: npt.NDArray[np.uint8], spans: dict[str, tuple[int, int]]) -> None:
        self._letters = letters
        self._spans = spans

    def __call__(self, name: str, default: int = 0) -> Int64s:
        """Numbers of all texts; the default where they have no such part."""
        if name not in self._spans:
            return np.full(len(self._letters), default, np.int64)
        number = np.zeros(len(self._letters), np.int64)
        for position in range(*self._spans[name]):
            number = number * 10 + (self._letters[:, position].astype(np.int64) - ord("0"))
        return number

    def has(self, name: str) -> bool:
        return name in self._spans

    def width(self, name: str) -> int:
        """How many digits the part has."""
        start, end = self._spans.get(name, (0, 0))
        return end - start


def _days(part: _Parts, named_month: int | None) -> tuple[Int64s, Bools]:
    """Days since 1970, and which of them are in the calendar."""
    year = part("year")
    if part.width("year") == 2:
        year = np.where(year < 69, year + 2000, year + 1900)  # the pivot of POSIX strptime %y
    month = part("month", default=1) if named_month is None else np.full(len(year), named_month, np.int64)
    day = part("doy" if part.has("doy") else "day", default=1)
    valid = (year >= FIRST_YEAR) & (year <= LAST_YEAR) & (month >= 1) & (month <= 12) & (day >= 1)
    months = np.where(valid, (year - 1970) * 12 + month - 1, 0)
    start = _first_days(months)
    valid &= day <= _first_days(months + (12 if part.has("doy") else 1)) - start
    return start + day - 1, valid


def _first_days(months: Int64s) -> Int64s:
    """The days since 1970 on which these months since 1970 begin."""
    return months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


_MICROS_OF_YEARS = [int(_first_days(np.array([(year - 1970) * 12]))[0]) * DAY for year in (FIRST_YEAR, LAST_YEAR + 1)]
