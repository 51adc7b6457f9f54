"""Which columns of a table tell the time of a row: one, a date and its clock, parts such as year and month, or a count
of seconds since 1970."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from daybook.formats import times
from daybook.formats.batch import Int64s
from daybook.formats.layout import TIME_ROLES, DateOrder, Epoch, Role

# The least share of times among the cells of a time column: headers may come again, and lines be damaged. Where most
# rows are, the import says so; a table they still are.
MOST_TIMES, SOME_TIMES = 0.6, 0.3
_PROBES = 25  # lines in which every column is tried as a time
_FIRST_PLACES, _LAST_PLACES = 60, 10
_SIGNS, _MOST_OFFSETS = ("+", "-"), 4
_ABOVE = 6  # lines that may stand above the first row of a file of a few lines
_JUDGED = 400  # rows in which parts of times and counts of seconds are tried
_PART_WORDS: dict[Role, str] = {
    "year": "year|yyyy|yy|yr|year utc|jahr|jaar|annee|année|ano|año|anno",
    "month": "month|mm|m|mo|mon|mn|monat|maand|mois|mes|mese",
    "day": "day|dd|d|dy|da|dom|mday|day of month|tag|dag|jour|dia|día|giorno",
    "doy": "doy|jday|jd|ddd|yday|julian|julian day|julianday|day of year|dayofyear|day of the year",
    "hour": "hour|hours|hh|h|hr|hrs|stunde|uur|heure|hora|ora",
    "minute": "minute|minutes|min|mins|mm|m|mi|mn|nn",
    "second": "second|seconds|sec|secs|ss|s|sc",
    "clock": "hhmm|hmm|time|hour minute|hourminute|clock|zeit|uhrzeit|tijd|heure|hora|hhmmss",
}
_PARTS = {role: frozenset(words.split("|")) for role, words in _PART_WORDS.items()}
_RANGES: dict[Role, tuple[int, int]] = {
    "year": (0, 9998), "month": (1, 12), "day": (1, 31), "doy": (1, 366), "hour": (0, 24), "minute": (0, 59),
    "second": (0, 60), "clock": (0, 235959),
}  # fmt: skip
# Digits of a count since 1970 in a time between 1980 and 2100.
_EPOCHS: tuple[tuple[Epoch, int], ...] = (("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9))
_FIRST_EPOCH, _LAST_EPOCH = 315_532_800, 4_102_444_800
_DATE_PATTERN = re.compile(
    r"(?i)\b(d{1,2}|m{1,2}|y{2,4}|j{2,4}|t{2})([-./ ])(d{1,2}|m{1,3}|t{2})\2(d{1,2}|y{2,4}|j{2,4})\b"
)
_EPOCH_NAME = re.compile(
    r"(?i)\b(time|date|epoch|unix|ts|timestamp|posix|created|updated|recorded|measured|sampled|utc|when|datum|zeit|tijd"
    r"|clock)|time$|date$|_at$|_ts$|^t$"
)

_TIME_WORDS = re.compile(
    r"(?i)\b(date|time|timestamp|datetime|date_?time|time_?stamp|ts|tmstamp|utc|datum|tijd|zeit|uhrzeit|zeitstempel"
    r"|fecha|hora|heure|tid|data|ora|yyyymmdd[hms]*|day)\b|^time|time$|^date|date$"
)


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


def names_a_time(cell: str) -> bool:
    """Whether a header cell says that its column holds times."""
    return _TIME_WORDS.search(cell.strip()) is not None or _DATE_PATTERN.search(cell) is not None


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
    if width <= _FIRST_PLACES + _LAST_PLACES:
        return list(range(width))
    return [*range(_FIRST_PLACES), *range(width - _LAST_PLACES, width)]


def by_looks(rows: list[list[str]], candidates: list[int], width: int, least: float) -> list[TimeForm]:
    """The columns that hold times as text, the best first: with the clock in the same cell, or beside it."""
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
        if any(is_time(rows[number][column]) for number in probes) and share(column, is_time) >= least
    ]
    whole = [TimeForm((column,), ("time",)) for column in found if share(column, times.has_clock) >= least]
    if whole:
        return whole
    for column in found:
        for beside in (column + 1, column - 1):
            if 0 <= beside < width and share(beside, times.looks_like_clock) >= least:
                colons = share(beside, lambda text: not text.strip().isdecimal()) > 0
                if colons or share(column, lambda text: text.strip().isdecimal()) == 1.0:
                    return [TimeForm((column, beside), ("time", "clock"))]
    return [TimeForm((column,), ("time",)) for column in found]


def by_words(rows: list[list[str]], candidates: list[int], width: int, least: float) -> TimeForm | None:
    """Columns beside each other that only together are a time, in a file whose columns are separated by blanks:
    12/31/2020 11:50:00 PM, or Jan 5 2020 13:00."""
    judged = candidates[-_JUDGED:]
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
    judged = candidates[-_JUDGED:]
    for columns in [(i,) for i in range(width)] + [(i, i + 1) for i in range(width - 1)]:
        form = TimeForm(columns, ("time", "clock")[: len(columns)], formats=formats)  # type: ignore[arg-type]
        if len(form.rows(rows, judged)) >= least * len(judged):
            return form
    return None


def parts_by_name(names: Sequence[str]) -> TimeForm | None:
    """The columns whose names say that they are the year, the month and so on; None where there is no date of them.

    MM beside a year is the month, mm behind an hour the minute; where the case does not tell, the order does.
    """
    found: dict[Role, int] = {}
    for index, name in enumerate(names[:_FIRST_PLACES]):
        plain = re.sub(r"[\s_#/()\[\].:-]+", " ", name).strip()
        roles = [role for role, words in _PARTS.items() if plain.lower() in words and role not in found]
        if plain in ("mm", "m", "mn") and "hour" in found:
            roles = [role for role in roles if role != "month"]
        elif plain in ("MM", "M") and "month" in roles:
            roles = ["month"]
        if roles and (roles[0] in ("year", "month", "day", "doy") or "year" in found):
            found.setdefault(roles[0], index)
    if "year" not in found or not ({"month", "doy"} & found.keys()):
        return None
    if "doy" in found:
        for role in ("month", "day"):
            found.pop(role, None)
    elif "day" not in found:
        for role in ("clock", "hour", "minute", "second"):
            found.pop(role, None)  # type: ignore[call-overload]
    if "hour" in found:
        found.pop("clock", None)
    elif "clock" not in found:
        found.pop("minute", None)
    if "minute" not in found:
        found.pop("second", None)
    roles = [role for role in TIME_ROLES if role in found]
    return TimeForm(tuple(found[role] for role in roles), tuple(roles))


def numbers_of(rows: list[list[str]], candidates: list[int], column: int) -> Int64s | None:
    """The column's cells as whole numbers; None where most are none. Cells that are none count as -1."""
    texts = [rows[number][column].strip() for number in candidates]
    numbers = [
        int(text) if (text.isdecimal() and len(text) <= 18) or re.fullmatch(r"1[0-9]{18}", text) else -1
        for text in texts
    ]
    if sum(number < 0 for number in numbers) > len(numbers) * (1 - MOST_TIMES):
        return None
    return np.array(numbers, np.int64)


def fits(form: TimeForm, rows: list[list[str]], candidates: list[int], least: float) -> bool:
    """Whether so many of the candidates have parts of a time in these columns."""
    judged = candidates[-_JUDGED:]
    return bool(judged) and len(form.rows(rows, judged)) >= least * len(judged)


def epoch_column(
    rows: list[list[str]], candidates: list[int], width: int, names: Sequence[str] | None
) -> TimeForm | None:
    """The column of counts since 1970: one that is called a time, or, without names, the first that only goes up or
    only goes down."""
    judged = candidates[-_JUDGED:]
    for index in time_places(width):
        texts = [rows[number][index].strip() for number in judged]
        whole = [text.split(".")[0] for text in texts if re.fullmatch(r"[0-9]{9,19}(\.[0-9]*)?", text)]
        if len(whole) < max(1, len(texts) * MOST_TIMES):
            continue
        counts = np.array([int(text) for text in whole], np.uint64).astype(np.float64)
        epoch = next(
            (e for e, per in _EPOCHS if (counts / per > _FIRST_EPOCH).all() and (counts / per < _LAST_EPOCH).all()), ""
        )
        if not epoch:
            continue
        if names is not None and index < len(names) and names[index].strip():
            if not _EPOCH_NAME.search(names[index].strip()):
                continue
        else:
            steps = np.diff(counts)
            if len(steps) < 2 or not ((steps >= 0).all() or (steps <= 0).all()) or not steps.any():
                continue
        return TimeForm((index,), ("time",), epoch=epoch)  # type: ignore[arg-type]
    return None


def parts_by_content(rows: list[list[str]], candidates: list[int], width: int) -> TimeForm | None:
    """Year, month, day, hour and so on in the first columns of a file without a header; None where it is not certain.

    Certain is a day of the year that agrees with month and day beside it, and else as few columns as make the times of
    all rows go one way, unless the next one may be a minute that never changes.
    """
    judged = candidates[:_JUDGED]
    if len(judged) < 3:
        return None
    for start in range(min(3, width)):
        columns: list[Int64s] = []
        for index in range(start, min(start + 7, width)):
            numbers = numbers_of(rows, judged, index)
            if numbers is None or (numbers < 0).any():
                break
            columns.append(numbers)
        if len(columns) < 3 or not ((columns[0] >= 1800) & (columns[0] < 2200)).all():
            continue
        form = _day_of_year_form(columns, start) or _shortest_form(columns, start)
        if form is not None:
            return form
    return None


_DAY_OF_YEAR: tuple[Role, ...] = ("doy", "month", "day")


def _day_of_year_form(columns: list[Int64s], start: int) -> TimeForm | None:
    if len(columns) < 5 or not all(map(_in_range, columns[1:4], _DAY_OF_YEAR)):
        return None
    days = _dates(columns[0], columns[2], columns[3])
    first_days = _dates(columns[0], np.ones_like(columns[0]), np.ones_like(columns[0]))
    if not (days - first_days + 1 == columns[1]).all() or not _in_range(columns[4], "hour"):
        return None
    roles: list[Role] = ["hour"]
    if len(columns) > 5 and _in_range(columns[5], "minute"):
        roles.append("minute")
    places = (0, 2, 3, *range(4, 4 + len(roles)))
    return TimeForm(tuple(start + place for place in places), ("year", "month", "day", *roles))


def _shortest_form(columns: list[Int64s], start: int) -> TimeForm | None:
    roles: tuple[Role, ...] = ("year", "month", "day", "hour", "minute", "second")
    scales = (0, 0, 0, 3600, 60, 1)
    for count in range(3, 7):
        if count > len(columns) or not all(_in_range(columns[i], roles[i]) for i in range(1, count)):
            return None
        seconds = _dates(columns[0], columns[1], columns[2]) * 86_400
        for place in range(3, count):
            seconds = seconds + columns[place] * scales[place]
        steps = np.diff(seconds)
        if (steps > 0).all() or (steps < 0).all():
            constant = count < len(columns) and count < 6 and len(np.unique(columns[count])) == 1
            if constant and 0 < columns[count][0] < 60:
                return None
            return TimeForm(tuple(range(start, start + count)), roles[:count])
    return None


def _dates(year: Int64s, month: Int64s, day: Int64s) -> Int64s:
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    return months.astype("datetime64[D]").astype(np.int64) + day - 1


def _in_range(numbers: Int64s, role: Role) -> bool:
    least, most = _RANGES[role]
    return bool(((numbers >= least) & (numbers <= most)).all())
