"""Columns that each hold a part of the time as numbers: year, month, day, hour … told by their names, or by what they
hold."""

import re
from collections.abc import Sequence

import numpy as np

from daybook.formats.batch import Int64s
from daybook.formats.layout import TIME_ROLES, Role
from daybook.formats.time_columns import FIRST_PLACES, JUDGED, MOST_TIMES, TimeForm

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


def parts_by_name(names: Sequence[str]) -> TimeForm | None:
    """The columns whose names say that they are the year, the month and so on; None where there is no date of them.

    MM beside a year is the month, mm behind an hour the minute; where the case does not tell, the order does.
    """
    found: dict[Role, int] = {}
    plains = [re.sub(r"[\s_#/()\[\].:-]+", " ", name).strip() for name in names[:FIRST_PLACES]]
    extremes = {plain.lower() for plain in plains} & {"max", "maximum"}
    for index, plain in enumerate(plains):
        roles = [role for role, words in _PARTS.items() if plain.lower() in words and role not in found]
        if (extremes and plain.lower() == "min") or (len(plain) == 1 and found and index - 1 not in found.values()):
            roles = []  # the least of something, and a letter that may stand for anything
        if "hour" in found and (plain in ("mm", "m") or plain.lower() == "mn" or "doy" in found):
            roles = [role for role in roles if role != "month"]
        elif plain in ("MM", "M"):
            roles = [role for role in roles if role == "month"] or roles
        if roles and (roles[0] in ("year", "month", "day", "doy") or "year" in found):
            found.setdefault(roles[0], index)
    if "year" not in found or not ({"month", "doy"} & found.keys()):
        return None
    roles = [role for role in TIME_ROLES if role in _of_use(set(found))]
    return TimeForm(tuple(found[role] for role in roles), tuple(roles))


def _of_use(parts: set[Role]) -> set[Role]:
    """The parts of a time without those that say nothing beside or without others."""
    if "doy" in parts:
        parts -= {"month", "day"}
    elif "day" not in parts:
        parts -= {"clock", "hour", "minute", "second"}
    if "hour" in parts:
        parts -= {"clock"}
    elif "clock" not in parts:
        parts -= {"minute"}
    return parts if "minute" in parts else parts - {"second"}


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


def parts_by_content(rows: list[list[str]], candidates: list[int], width: int) -> TimeForm | None:
    """Year, month, day, hour and so on in the first columns of a file without a header; None where it is not certain.

    Certain is a day of the year that agrees with month and day beside it, and else as few columns as make the times of
    all rows go one way, unless the next one may be a minute that never changes.
    """
    judged = candidates[:JUDGED]
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
            if constant and 0 <= columns[count][0] < 60:
                return None
            return TimeForm(tuple(range(start, start + count)), roles[:count])
    return None


def _dates(year: Int64s, month: Int64s, day: Int64s) -> Int64s:
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    return months.astype("datetime64[D]").astype(np.int64) + day - 1


def _in_range(numbers: Int64s, role: Role) -> bool:
    least, most = _RANGES[role]
    return bool(((numbers >= least) & (numbers <= most)).all())
