"""Times as people write them and as they are printed: ISO 8601, UTC or a named zone.

Inside, a time is whole microseconds since 1970 (UTC), as in daybook.sql; whole blocks of them are NumPy arrays.
"""

from datetime import MAXYEAR, UTC, date, datetime, tzinfo
from functools import lru_cache
from itertools import chain
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from daybook.sql import microseconds, moment

Micros: TypeAlias = npt.NDArray[np.int64]

SECOND = 1_000_000
DAY = 86_400 * SECOND
EARLIEST = microseconds(datetime.min.replace(tzinfo=UTC))
LATEST = microseconds(datetime.max.replace(tzinfo=UTC))


class TimeError(ValueError):
    """A time or a zone that cannot be read; the message names the value and what to write instead."""


def zone_named(text: str) -> tzinfo:
    """The time zone of that IANA name; raises TimeError."""
    if text == "UTC":
        return UTC
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):  # unknown, not a name at all ("../x"), or a folder ("Europe")
        raise TimeError(f'"{text}" is not a time zone; write an IANA name such as Europe/Dublin, or UTC') from None


def read_moment(text: str, zone: tzinfo = UTC) -> int:
    """Microseconds since 1970 for an ISO 8601 date or date-time; `zone` is for those without an offset.

    A local time that clocks skip or repeat is read as if they had not been changed yet. Raises TimeError.
    """
    example = "write ISO 8601, such as 2024-03-31 or 2024-03-31T14:00:00Z"
    # In an address a plus sign stands for a blank, and "2024-03-31T14:00:00+01:00" loses its own to that.
    written = text.strip()
    if len(written) > 16 and written[-6] == " " and written[-3] == ":":
        written = f"{written[:-6]}+{written[-5:]}"
    try:
        parsed = datetime.fromisoformat(written)
    except ValueError:
        raise TimeError(f'"{text}" is not a time; {example}') from None
    at = microseconds(parsed if parsed.tzinfo else parsed.replace(tzinfo=zone))
    if not EARLIEST <= at <= LATEST:
        raise TimeError(f'"{text}" lies outside the years 1 to 9999 (UTC); write a time within them')
    return at


def read_range(start: str, end: str, zone: tzinfo = UTC) -> tuple[int, int]:
    """The first and the last microsecond from `start` to before `end`; an empty text leaves that end open.

    Where both name the same moment nothing lies between, and the last comes before the first. Raises TimeError.
    """
    first = _named("from", start, zone) if start else EARLIEST
    last = _named("to", end, zone) - 1 if end else LATEST
    if last < first - 1:
        raise TimeError(f'from "{start}" is later than to "{end}"; write the earlier time as from')
    return first, last


def read_typed_range(start: str, end: str) -> tuple[int, int]:
    """The same for what people type into a form (UTC): a date alone as the end means the whole of that day.

    Raises TimeError with a sentence that names the field.
    """
    first = _typed("From", start) if start else EARLIEST
    last = _typed("To", end) - 1 if end else LATEST
    whole_day = bool(end) and _is_date(end)
    if whole_day:
        last = min(last + DAY, LATEST)
    if last < (first if whole_day else first - 1):
        raise TimeError("From is later than To; swap them")
    return first, last


def iso(at: int, zone: tzinfo = UTC) -> str:
    """ISO 8601 of one time, in UTC with Z or in the zone with its offset; microseconds only when they are not zero."""
    text = moment(at).astimezone(zone).isoformat()
    return text.removesuffix("+00:00") + "Z" if zone is UTC else text


def iso_column(times: Micros, zone: tzinfo = UTC) -> Any:
    """The same as `iso` for a whole block, as an Arrow array of strings."""
    if zone is UTC:
        return pc.binary_join_element_wise(_wall_clock(times), "Z", "")
    changes, offsets = _offsets(zone, *_years(times))
    which = np.searchsorted(changes, times, side="right") - 1
    names, inverse = np.unique(offsets[which], return_inverse=True)
    suffixes = pa.array([_offset_text(int(offset)) for offset in names], pa.string())
    local = _wall_clock(times + offsets[which] * SECOND)
    return pc.binary_join_element_wise(local, suffixes.take(pa.array(inverse)), "")


def _named(name: str, text: str, zone: tzinfo) -> int:
    try:
        return read_moment(text, zone)
    except TimeError as error:
        raise TimeError(f"{name} {error}") from None


def _typed(field: str, text: str) -> int:
    try:
        return read_moment(text)
    except TimeError:
        example = "write it like 2016-01-10 or 2016-01-10 14:00"
        raise TimeError(f'"{text}" in {field} is not a time Daybook can read; {example}') from None


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text.strip())
    except ValueError:
        return False
    return True


def _wall_clock(times: Micros) -> Any:
    """`2024-03-31T14:00:00` per time, with microseconds where they are not zero."""
    whole = times // SECOND
    text = _with_t(pa.array(whole).cast(pa.timestamp("s")).cast(pa.string()))
    broken = whole * SECOND != times
    if not broken.any():
        return text
    return pc.if_else(pa.array(broken), _with_t(pa.array(times).cast(pa.timestamp("us")).cast(pa.string())), text)


def _with_t(text: Any) -> Any:
    return pc.binary_replace_slice(text, 10, 11, "T")


def _years(times: Micros) -> tuple[int, int]:
    return (moment(int(times.min())).year, moment(int(times.max())).year) if len(times) else (1970, 1970)


def _offsets(zone: tzinfo, first_year: int, last_year: int) -> tuple[Micros, Micros]:
    """When the zone's offset from UTC changes in these years, and the offset in seconds from each change on."""
    start = max(EARLIEST, microseconds(datetime(first_year, 1, 1, tzinfo=UTC)))
    changes = chain.from_iterable(_changes(zone, year) for year in range(first_year, last_year + 1))
    rows = [(start, _offset(zone, start)), *changes]
    return np.array([at for at, _ in rows], np.int64), np.array([offset for _, offset in rows], np.int64)


@lru_cache(maxsize=4096)
def _changes(zone: tzinfo, year: int) -> tuple[tuple[int, int], ...]:
    """The changes within one year. zoneinfo keeps no public list of them, so they are searched for day by day."""
    start = microseconds(datetime(year, 1, 1, tzinfo=UTC))
    end = LATEST if year == MAXYEAR else microseconds(datetime(year + 1, 1, 1, tzinfo=UTC))
    found = []
    while start < end:
        until = min(start + DAY, end)
        before, after = _offset(zone, start), _offset(zone, until)
        if before != after:
            low, high = start, until
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
            found.append((high, after))
        start = until
    return tuple(found)


def _offset(zone: tzinfo, at: int) -> int:
    """Seconds east of UTC at that time; at the two ends of the calendar, where local time leaves it, 0."""
    try:
        offset = moment(at).astimezone(zone).utcoffset()
    except OverflowError:
        return 0
    assert offset is not None
    return offset.days * 86_400 + offset.seconds


def _offset_text(seconds: int) -> str:
    sign, seconds = ("-", -seconds) if seconds < 0 else ("+", seconds)
    text = f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}"
    return text + (f":{seconds % 60:02}" if seconds % 60 else "")
