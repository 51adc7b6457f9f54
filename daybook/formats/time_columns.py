"""Which columns of a table tell the time of a row: one, a date and its clock, parts such as year and month, or a count
of seconds since 1970."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from daybook.formats import times
from daybook.formats.layout import DateOrder, Epoch, Role
from daybook.formats.time_names import EPOCH_NAME, NO_CLOCK, NO_DATE, called

# The least share of times among the cells of a time column: headers may come again, and lines be damaged. Where most
# rows are, the import says so; a table they still are.
MOST_TIMES, SOME_TIMES = 0.6, 0.3
_PROBES = 25  # lines in which every column is tried as a time
FIRST_PLACES, _LAST_PLACES = 60, 10
_SIGNS, _MOST_OFFSETS = ("+", "-"), 4
_ABOVE = 6  # lines that may stand above the first row of a file of a few lines
JUDGED = 400  # rows in which parts of times and counts of seconds are tried
# Digits of a count since 1970 in a time between 1980 and 2100.
_EPOCHS: tuple[tuple[Epoch, int], ...] = (("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9))
_FIRST_EPOCH, _LAST_EPOCH = 315_532_800, 4_102_444_800
_FARTHEST_ZONE, _ZONE_STEP = 14 * 3600 * times.SECOND, 900 * times.SECOND
_HALF, _NAMES_HALF = re.compile(r"(?i)[ap]\.? ?m?\.?"), re.compile(r"(?i)^\W*(am\W?pm|a\W?p)\W*$")
_NAMES_ZONE = re.compile(r"(?i)^(tz|time ?zone|zone|zeitzone|((utc|gmt|tz)[ _]?)?offset)$")
_OFFSET = re.compile(r"[+-][0-9]{2}:?[0-9]{2}|Z|UTC|GMT|CES?T|MES?Z|EES?T|WES?T")
_SHORT_DATE = re.compile(r"[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])([01][0-9]|2[0-3])([0-5][0-9])")
_HALVES = {"am", "pm"}


@dataclass(frozen=True)
class TimeForm:
    """The columns of the time in the order of their roles (TIME_ROLES), and how their cells are read."""

    columns: tuple[int, ...]
    roles: tuple[Role, ...]
    epoch: Epoch = ""
    formats: tuple[str, ...] = ()

    @property
    def plain(self) -> bool:
        """Whether the first column holds dates as text, which are told by their looks alone."""
        return self.roles[0] == "time" and not self.epoch and not self.formats

    def texts(self, columns: Sequence[pa.Array]) -> pa.Array:
        """One text per row, from all columns of the table."""
        return times.join([columns[index] for index in self.columns], self.roles)

    def parse(self, texts: pa.Array, order: DateOrder) -> times.Times:
        """The times of these texts."""
        return times.parse(texts, order, self.formats if self.roles[0] == "time" else (), self.epoch)

    def rows(self, rows: list[list[str]], candidates: list[int]) -> list[int]:
        """Those of the candidates whose cells tell a time."""
        if self.plain:
            at = self.columns[0]
            found = [number for number in candidates if is_time(rows[number][at])]
            cells = (rows[number][at].rstrip() for number in found)
            offsets = {text[-5:] for text in cells if text[-5:-4] in _SIGNS and ":" in text[:-5]}
            return found if len(offsets) <= _MOST_OFFSETS else []  # numbers that look like offsets: 13:00:00 -1200,5
        columns = [pa.array([rows[number][index] for number in candidates], pa.string()) for index in self.columns]
        texts = times.join(columns, self.roles)
        valid = self.parse(texts, "dmy").valid | self.parse(texts, "mdy").valid
        return [number for number, good in zip(candidates, valid.tolist(), strict=True) if good]

    def reads(self, rows: list[list[str]], candidates: list[int]) -> bool:
        """Whether most of the candidates are times when all columns are put together."""
        judged = candidates[-JUDGED:]
        columns = {index: pa.array([rows[number][index] for number in judged], pa.string()) for index in self.columns}
        texts = times.join([columns[index] for index in self.columns], self.roles)
        valid = self.parse(texts, "dmy").valid | self.parse(texts, "mdy").valid
        return int(valid.sum()) >= MOST_TIMES * len(judged)

    def seems(self, row: list[str]) -> bool:
        """Whether the row, perhaps with too few or too many cells, has something like a time in its place."""
        if self.columns[0] >= len(row):
            return False
        text = row[self.columns[0]].strip()
        if self.plain:
            return times.looks_like_time(text)
        if self.formats:
            return bool(self.parse(pa.array([text]), "dmy").valid[0])
        return re.fullmatch(r"[0-9]{9,19}([.][0-9]+)?" if self.epoch else r"[0-9]{1,4}(\.0+)?", text) is not None


def is_time(text: str) -> bool:
    """Whether a cell looks like a time; a bare number only where its digits can be a date of 1800 to 2199."""
    stripped = text.strip()
    if stripped.isdecimal() and not (
        len(stripped) in (8, 10, 12, 14)
        and "17" < stripped[:2] < "22"
        and "01" <= stripped[4:6] <= "12"
        and "01" <= stripped[6:8] <= "31"
        and (len(stripped) == 8 or stripped[8:10] <= "24")
    ):
        return False
    return times.looks_like_time(stripped)


def time_places(width: int) -> list[int]:
    """The columns in which a time is looked for: in wide tables those near both ends."""
    if width <= FIRST_PLACES + _LAST_PLACES:
        return list(range(width))
    return [*range(FIRST_PLACES), *range(width - _LAST_PLACES, width)]


def by_looks(
    rows: list[list[str]],
    candidates: list[int],
    width: int,
    least: float,
    headers: Sequence[Sequence[str] | None] = (),
) -> list[TimeForm]:
    """The columns that hold times as text, the best first: with the clock in the same cell, or beside it.

    `headers`: lines that may be the header. They say which numbers are no dates, and which clocks not that of the row.
    """
    probes = candidates[:_PROBES] + candidates[:: max(1, len(candidates) // _PROBES)]

    def share(column: int, test: Callable[[str], bool]) -> float:
        full = [rows[number][column] for number in candidates if rows[number][column].strip()]
        # Without what stands above the first row: a tenth of a long file, some lines of a short one.
        first = next((place for place, text in enumerate(full[:_ABOVE]) if test(text)), 0)
        body = full[max(len(full) // 10, first) :][:200]
        return sum(map(bool, map(test, body))) / len(body) if body else 0.0

    # The first, and some from all over: evenly spaced ones alone may all be headers that come again and again.
    found = [
        column
        for column in time_places(width)
        if any(is_time(rows[number][column]) for number in probes)
        and share(column, is_time) >= least
        and not (called(headers, column, NO_DATE) and share(column, lambda text: text.strip().isdecimal()) == 1.0)
    ]

    def with_half(*columns: int) -> TimeForm:
        """With AM and PM, or the offset from UTC, where they stand in the next column."""
        roles: list[Role] = ["time", "clock", "clock"]
        after = columns[-1] + 1
        if after < width and share(after, lambda text: _HALF.fullmatch(text.strip()) is not None) >= least:
            kinds = {rows[number][after].strip().lower() for number in candidates}
            longer = TimeForm((*columns, after), tuple(roles[: len(columns) + 1]))
            if (called(headers, after, _NAMES_HALF) or kinds >= _HALVES) and longer.reads(rows, candidates):
                return longer
        if after < width and called(headers, after, _NAMES_ZONE):
            longer = TimeForm((*columns, after), tuple(roles[: len(columns) + 1]))
            offsets = share(after, lambda text: _OFFSET.fullmatch(text.strip()) is not None) >= least
            if offsets and longer.reads(rows, candidates):
                return longer
        return TimeForm(columns, tuple(roles[: len(columns)]))

    whole = [with_half(column) for column in found if share(column, times.has_clock) >= least]
    if whole:
        return whole
    for column in found:
        for beside in (column + 1, column - 1):
            if not 0 <= beside < width or called(headers, beside, NO_CLOCK):
                continue
            if share(beside, times.looks_like_clock) >= least:
                colons = share(beside, lambda text: not text.strip().isdecimal()) > 0
                if colons or share(column, lambda text: text.strip().isdecimal()) == 1.0:
                    return [with_half(column, beside)]
    return [TimeForm((column,), ("time",)) for column in found]


def by_words(rows: list[list[str]], candidates: list[int], width: int, least: float) -> TimeForm | None:
    """Columns beside each other that only together are a time, in a file whose columns are separated by blanks:
    12/31/2020 11:50:00 PM, or Jan 5 2020 13:00."""
    judged = candidates[-JUDGED:]
    best: TimeForm | None = None
    for start in range(min(3, width)):
        for count in range(2, min(5, width - start) + 1):
            texts = [" ".join(rows[number][start : start + count]) for number in judged]
            good = sum(times.looks_like_time(text) and times.has_clock(text) for text in texts)
            if good < least * len(judged):
                continue
            clocks = [times.looks_like_clock(rows[judged[-1]][index]) for index in range(start, start + count)]
            at = clocks.index(True) if True in clocks else count
            roles: list[Role] = ["time" if place < at else "clock" for place in range(count)]
            best = TimeForm(tuple(range(start, start + count)), tuple(roles))
        if best is not None:
            return best
    return None


def by_formats(
    rows: list[list[str]], candidates: list[int], width: int, least: float, formats: tuple[str, ...]
) -> TimeForm | None:
    """The column, or two beside each other, whose cells the given patterns read."""
    judged = candidates[-JUDGED:]
    for columns in [(i,) for i in range(width)] + [(i, i + 1) for i in range(width - 1)]:
        form = TimeForm(columns, ("time", "clock")[: len(columns)], formats=formats)  # type: ignore[arg-type]
        if len(form.rows(rows, judged)) >= least * len(judged):
            return form
    return None


def fits(form: TimeForm, rows: list[list[str]], candidates: list[int], least: float) -> bool:
    """Whether so many of the candidates have parts of a time in these columns."""
    judged = candidates[-JUDGED:]
    return bool(judged) and len(form.rows(rows, judged)) >= least * len(judged)


def epoch_column(
    rows: list[list[str]], candidates: list[int], width: int, names: Sequence[str] | None
) -> TimeForm | None:
    """The column of counts since 1970: one that is called a time, or, without names, the first that only goes up or
    only goes down."""
    judged = candidates[-JUDGED:]
    for index in time_places(width):
        texts = [rows[number][index].strip() for number in judged]
        whole = [text.split(".")[0] for text in texts if re.fullmatch(r"[0-9]{9,19}(\.[0-9]*)?", text)]
        if len(whole) < max(1, len(texts) * MOST_TIMES):
            continue
        counts = np.array([int(text) for text in whole], np.uint64).astype(np.float64)
        epoch = next(
            (e for e, per in _EPOCHS if (counts / per > _FIRST_EPOCH).all() and (counts / per < _LAST_EPOCH).all()), ""
        )
        if not epoch or all(map(_SHORT_DATE.fullmatch, whole)):
            continue  # or 2401311530: the year of two digits first
        if names is not None and index < len(names) and names[index].strip():
            if not EPOCH_NAME.search(names[index].strip()) or NO_CLOCK.search(names[index]):
                continue
        else:
            steps = np.diff(counts)
            if len(steps) < 2 or not ((steps >= 0).all() or (steps <= 0).all()) or not steps.any():
                continue
        return TimeForm((index,), ("time",), epoch=epoch)  # type: ignore[arg-type]
    return None


def same_moments(epoch: TimeForm, text: TimeForm, rows: list[list[str]], candidates: list[int]) -> bool:
    """Whether the count since 1970 says the same as the text, which is the clock of another zone than UTC: then the
    count tells the moment, and the text does not."""
    judged = [number for number in candidates[-JUDGED:] if max(epoch.columns + text.columns) < len(rows[number])]
    columns = {index: pa.array([rows[number][index] for number in judged], pa.string()) for index in text.columns}
    counts = epoch.parse(pa.array([rows[number][epoch.columns[0]] for number in judged], pa.string()), "ymd")
    texts = times.join([columns[index] for index in text.columns], text.roles)
    orders: tuple[DateOrder, ...] = ("ymd", "dmy", "mdy")
    for clocks in (text.parse(texts, order) for order in orders):
        both = counts.valid & clocks.valid
        if not both.any() or clocks.absolute[both].any():
            continue
        apart = (clocks.microseconds - counts.microseconds)[both]
        if apart.any() and (np.abs(apart) <= _FARTHEST_ZONE).all() and not (apart % _ZONE_STEP).any():
            return True
    return False
