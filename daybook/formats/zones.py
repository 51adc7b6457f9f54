"""Time zones: their names, and clock times of a zone turned into UTC."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from datetime import timezone as fixed_zone
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import numpy as np
import numpy.typing as npt

from daybook.formats.layout import FormatError

Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SECOND = 1_000_000
DAY = 86_400 * SECOND
_FIRST, _LAST = -62_135_500_000 * SECOND, 253_402_200_000 * SECOND  # what datetime can hold, with a day to spare
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - local clock times, before their zone is applied
_ANOTHER_CHANGE = DAY // 2  # rows further apart than this belong to different changes of the clock


@cache
def _by_small_letters() -> dict[str, str]:
    """Every zone's name by the same in small letters, as some people type it."""
    return {name.lower(): name for name in available_timezones()}


def zone(name: str) -> tzinfo:
    """The zone of a name such as Europe/Dublin, UTC, +01:00 or GMT+1 (which is one hour ahead of UTC, as people write
    it); raises FormatError for any other."""
    text = name.strip()
    if re.fullmatch(r"(?i)utc|gmt|z", text):
        return UTC
    match = re.fullmatch(r"(?i)(?:utc|gmt)?\s*([+-])([0-9]{1,2})(?::?([0-9]{2}))?", text)
    if match:
        minutes = int(match[2]) * 60 + int(match[3] or 0)
        if minutes <= 15 * 60 and int(match[3] or 0) < 60:
            return fixed_zone((1 if match[1] == "+" else -1) * timedelta(minutes=minutes))
    elif re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", text):
        try:
            return ZoneInfo(_by_small_letters().get(text.lower(), text))
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
    at which a sensor's clock does not go on, as the time after it; in a newest-first file the other way round. Where
    clocks go forward, an hour does not exist: such times are not valid, because a logger that writes them does not
    follow that zone. What it remembers between calls is little, so that a block can be read again (`state`).
    """

    def __init__(self, name: str) -> None:
        self._zone = zone(name)
        self._fixed = None if isinstance(self._zone, ZoneInfo) else self._zone.utcoffset(None)
        self._offsets: dict[int, int | None] = {}  # by local day; None where the offset changes within the day
        self._falling: bool | None = None
        self._last: int | None = None
        self._passes: dict[str, tuple[int, bool]] = {}  # by sensor: the last repeated time, and whether second pass

    @property
    def state(self) -> tuple[bool | None, int | None, dict[str, tuple[int, bool]]]:
        """What the rows so far have left behind; put it back before reading the same rows again."""
        return self._falling, self._last, dict(self._passes)

    @state.setter
    def state(self, state: tuple[bool | None, int | None, dict[str, tuple[int, bool]]]) -> None:
        self._falling, self._last, self._passes = state[0], state[1], dict(state[2])

    def __call__(
        self, local: Int64s, sensor_of: Int64s | None = None, sensors: list[str] | None = None
    ) -> tuple[Int64s, Bools]:
        """UTC microseconds, and which of them exist. Narrow files say which of the sensors each row belongs to."""
        if self._fixed is not None:
            return local - self._fixed // timedelta(microseconds=1), np.ones(len(local), np.bool_)
        valid = np.ones(len(local), np.bool_)
        if not len(local):
            return local, valid
        self._notice_direction(local, sensor_of)
        days, inverse = np.unique(local // DAY, return_inverse=True)
        known = [self._offset_of_day(int(day)) for day in days]
        offsets = np.array([0 if offset is None else offset for offset in known], np.int64)[inverse]
        changing = np.array([offset is None for offset in known])[inverse]
        for row in np.flatnonzero(changing):
            sensor = sensors[int(sensor_of[row])] if sensors is not None and sensor_of is not None else ""
            found = self._offset_on_changing_day(int(local[row]), sensor)
            valid[row] = found is not None
            offsets[row] = found or 0
        return local - offsets, valid

    def on_its_own(self, local: Int64s, second: Bools) -> tuple[Int64s, Bools]:
        """As a call, for times of which it is known whether each is the second pass of an hour that comes twice; such
        a pass exists only there. A time that the clocks jump over comes out as the moment of the jump."""
        if self._fixed is not None:
            return local - self._fixed // timedelta(microseconds=1), ~second
        days, inverse = np.unique(local // DAY, return_inverse=True)
        known = [self._offset_of_day(int(day)) for day in days]
        offsets = np.array([0 if offset is None else offset for offset in known], np.int64)[inverse]
        exists = ~second
        for row in np.flatnonzero(np.array([offset is None for offset in known], np.bool_)[inverse]):
            before, after = self._utc_offset(int(local[row]), 0), self._utc_offset(int(local[row]), 1)
            offsets[row] = after if second[row] else before
            exists[row] = before > after if second[row] else before >= after
        return local - offsets, exists

    def _notice_direction(self, local: Int64s, sensor_of: Int64s | None) -> None:
        """Newest first or oldest first, decided once, by the first rows of a sensor whose time differs at all."""
        if self._falling is not None:
            return
        some = local[:1000]
        if sensor_of is None:
            steps = np.diff(some if self._last is None else np.concatenate([[self._last], some]))
        else:
            by_sensor = np.argsort(sensor_of[:1000], kind="stable")
            steps = np.diff(some[by_sensor])[np.diff(sensor_of[by_sensor]) == 0]
        steps = steps[steps != 0]
        if len(steps):
            self._falling = bool((steps < 0).sum() * 2 > len(steps))
        self._last = int(local[-1])

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

    def _offset_on_changing_day(self, local: int, sensor: str) -> int | None:
        before, after = self._utc_offset(local, 0), self._utc_offset(local, 1)
        if before == after:
            self._passes.pop(sensor, None)
            return before
        if before < after:  # the clock jumps over this time
            return None
        falling = bool(self._falling)
        second_pass = falling  # newest first: the later pass comes first
        if sensor in self._passes and abs(local - self._passes[sensor][0]) < _ANOTHER_CHANGE:
            previous, second_pass = self._passes[sensor]
            if (previous - local if falling else local - previous) <= 0:
                second_pass = not falling
        self._passes[sensor] = local, second_pass
        return after if second_pass else before
