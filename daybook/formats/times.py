"""Reading times: whole columns at once, by the shape of their text.

The shape of a text is the text with every digit replaced by 0: "09/01/2016 15:30" has the shape "00/00/0000 00:00". A
column of a million times has one shape, or a handful; each shape is understood once, and then the digits at the same
places of all its texts are turned into numbers together. Times come out as whole microseconds since 1970 in UTC.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from datetime import timezone as fixed_zone
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from daybook.formats.layout import DateOrder, FormatError

Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SECOND = 1_000_000
DAY = 86_400 * SECOND
_FIRST, _LAST = -62_135_500_000 * SECOND, 253_402_200_000 * SECOND  # what datetime can hold, with a day to spare
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - local clock times, before their zone is applied

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
_SHAPES = tuple(
    re.compile(rf"\s*{date}(?:(?:\s*T|\s+|:){_CLOCK})?\s*".replace(r"\ ", "[ ]"), re.VERBOSE) for date in _DATES
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
                if spans["year"][1] - spans["year"][0] == 4:
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
        half, zone, sign = match["half"], match["zone"], match["sign"]
        return _Shape(
            spans=spans,
            month=month,
            afternoon=None if half is None else half in "Pp",
            sign=None if zone is None else {"+": 1, "-": -1, None: 0}[sign],
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


@dataclass(frozen=True)
class Times:
    """A parsed column: microseconds, which of them could be read, and which stated their own offset."""

    microseconds: Int64s
    valid: Bools
    absolute: Bools


def parse(texts: pa.Array, order: DateOrder) -> Times:
    """Reads every text of the column; a missing text (null) is not valid.

    Times without an offset come out as their local clock shows them: `Localizer` turns those into UTC. 24:00 is the
    next midnight; digits after the microsecond are cut off.
    """
    count = len(texts)
    result = Times(np.zeros(count, np.int64), np.zeros(count, np.bool_), np.zeros(count, np.bool_))
    if count == 0:
        return result
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + count + 1].astype(np.int64)
    data_buffer = texts.buffers()[2]
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else np.zeros(0, np.uint8)
    lengths = np.diff(offsets)
    for length in np.unique(lengths):
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
            for number, kind in enumerate(kinds[:1000])
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
    valid = (year >= 1) & (year < 9999) & (month >= 1) & (month <= 12) & (day >= 1) & (minute < 60) & (second < 60)
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


def zone(name: str) -> tzinfo:
    """The zone of a name such as Europe/Dublin, UTC, +01:00 or GMT+1 (which is one hour ahead of UTC, as people write
    it); raises FormatError for any other."""
    text = name.strip()
    if re.fullmatch(r"(?i)utc|gmt|z", text):
        return UTC
    match = re.fullmatch(r"(?i)(?:utc|gmt)?\s*([+-])(\d{1,2})(?::?(\d{2}))?", text)
    if match:
        minutes = int(match[2]) * 60 + int(match[3] or 0)
        if minutes <= 15 * 60:
            return fixed_zone((1 if match[1] == "+" else -1) * timedelta(minutes=minutes))
    elif re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", text):
        try:
            return ZoneInfo(text)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
    raise FormatError(
        "unknown_timezone",
        f'"{name[:60]}" is not a time zone that Daybook knows',
        "Write a name such as Europe/Dublin or UTC, or an offset such as +01:00.",
    )


class Localizer:
    """Turns the clock times of one zone into UTC, in the order in which a file has them.

    Where clocks go back, an hour comes twice: the first pass is read as the time before the change, and from the row
    at which the clock jumps back, as the time after it. Where clocks go forward, an hour does not exist: such times
    are not valid, because a logger that writes them does not follow that zone.
    """

    def __init__(self, name: str, repeats_mean_later: bool = True) -> None:
        self._zone = zone(name)
        self._fixed = None if isinstance(self._zone, ZoneInfo) else self._zone.utcoffset(None)
        self._repeats_mean_later = repeats_mean_later
        self._offsets: dict[int, int | None] = {}  # by local day; None where the offset changes within the day
        self._previous: int | None = None
        self._second_pass = False

    def __call__(self, local: Int64s) -> tuple[Int64s, Bools]:
        """UTC microseconds, and which of them exist."""
        if self._fixed is not None:
            return local - self._fixed // timedelta(microseconds=1), np.ones(len(local), np.bool_)
        days, inverse = np.unique(local // DAY, return_inverse=True)
        known = [self._offset_of_day(int(day)) for day in days]
        offsets = np.array([0 if offset is None else offset for offset in known], np.int64)[inverse]
        valid = np.ones(len(local), np.bool_)
        changing = np.array([offset is None for offset in known])[inverse]
        if changing.any():
            falling = len(local) > 1 and bool(np.median(np.diff(local[:1000])) < 0)
            for row in np.flatnonzero(changing):
                found = self._offset_on_changing_day(int(local[row]), falling)
                valid[row] = found is not None
                offsets[row] = found or 0
        return local - offsets, valid

    def _utc_offset(self, local: int, fold: int) -> int:
        clock = (_EPOCH + timedelta(microseconds=local)).replace(tzinfo=self._zone, fold=fold)
        offset = clock.utcoffset()
        return 0 if offset is None else offset // timedelta(microseconds=1)

    def _offset_of_day(self, day: int) -> int | None:
        if day not in self._offsets:
            # Both edges, so that a change at midnight counts as one within the day.
            edges = (min(max((day + step) * DAY, _FIRST), _LAST) for step in (0, 1))
            around = {self._utc_offset(edge, fold) for edge in edges for fold in (0, 1)}
            self._offsets[day] = around.pop() if len(around) == 1 else None
        return self._offsets[day]

    def _offset_on_changing_day(self, local: int, falling: bool) -> int | None:
        before, after = self._utc_offset(local, 0), self._utc_offset(local, 1)
        if before == after:
            self._previous, self._second_pass = None, False
            return before
        if before < after:  # the clock jumps over this time
            return None
        if self._previous is None:
            self._second_pass = falling  # newest first: the later pass comes first
        else:
            step = self._previous - local if falling else local - self._previous
            if step < 0 or (step == 0 and self._repeats_mean_later):
                self._second_pass = not falling
        self._previous = local
        return after if self._second_pass else before
