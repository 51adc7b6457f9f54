"""Days and clock times as people type them, and what they mean at the time of the message.

A day without a clock time means now where it is today, else noon of that day: no change of the chat's time zone moves
noon into another day. A clock time without a day is today's. Clock times that a change of clocks skips or repeats
are read as if the clocks had not been changed yet.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from daybook.chat.values import When

AHEAD = timedelta(minutes=5)  # as far may a telephone's clock be ahead of ours
EARLIEST_YEAR = 1800
MONTHS = "January February March April May June July August September October November December".split()
_MONTH_NUMBERS = {
    **{name.casefold(): number for number, name in enumerate(MONTHS, start=1)},
    **{name[:3].casefold(): number for number, name in enumerate(MONTHS, start=1)},
    "sept": 9,
}
_DAYS = {"today": 0, "yesterday": 1, "tomorrow": -1}
_WEEKDAYS = {
    name: number for number, name in enumerate("monday tuesday wednesday thursday friday saturday sunday".split())
}
_AGO = re.compile(r"(\d{1,3}|an?|one|two|three) (day|week)s? ago", re.ASCII | re.IGNORECASE)
_COUNTS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3}
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?h?", re.ASCII)
_TWELVE = re.compile(r"(\d{1,2})(?::(\d{2}))?([ap])\.?m\.?", re.ASCII | re.IGNORECASE)
_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:T(.+))?", re.ASCII)
_OF_A_ZONE = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{0,2})", re.ASCII | re.IGNORECASE)
_POINTS = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4}|\d{2})?", re.ASCII)
_SLASHES = re.compile(r"(\d{1,2})([/-])(\d{1,2})\2(\d{4})", re.ASCII)
_SLASH = re.compile(r"(\d{1,2})/(\d{1,2})", re.ASCII)
_YEAR_FIRST = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})", re.ASCII)
_NAMED_MONTH = re.compile(r"(\d{1,2})[-/]([A-Za-z]{3,9})(?:[-/](\d{4}))?", re.ASCII)
_DAY = re.compile(r"(\d{1,2})(?:st|nd|rd|th|\.)?", re.ASCII | re.IGNORECASE)
_YEAR = re.compile(r"\d{4}", re.ASCII)
MOST_WORDS = 5


class BadMoment(ValueError):
    """A day or time that is none, that is not clear, or that is still to come; the message is a clause about it."""


def zone_of(name: str) -> tzinfo:
    """The zone of that name; UTC where there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return UTC


def month_number(word: str) -> int | None:
    """The month that this word names in English, in full or with three letters."""
    return _MONTH_NUMBERS.get(word.rstrip(".,").casefold())


def read(words: Sequence[str], loose: bool = True) -> When | None:
    """What all of these words together mean as a day, a clock time or both; None for any other words.

    loose: also weekdays, "2 days ago" and 18/11, which may be parts of names as well. Raises BadMoment.
    """
    words = [word.rstrip(",;!?:") for word in words]
    lead = words[0].casefold()
    if " ".join(words).casefold() == "at noon":
        return When(clock=time(12))
    if loose and (found := _some_time_ago(" ".join(words).casefold())) is not None:
        return found
    if lead in ("at", "on") and len(words) > 1:
        found = read(words[1:], loose)
        fits = found is not None and (found.clock if lead == "at" else found.names_a_day)
        return found if fits else None
    if len(words) == 1:
        return (_slash(words[0]) if loose else None) or _one_word(words[0])
    if len(words) == 2 and re.fullmatch(r"[ap]\.?m\.?", words[1], re.IGNORECASE):
        return _twelve(words[0] + words[1])
    return _with_month_name(words)


def is_moment(word: str) -> bool:
    """Whether this word alone names a day or a time and nothing else, also one that does not exist."""
    try:
        return read([word], loose=False) is not None
    except BadMoment:
        return True


def joined(one: When, other: When) -> When:
    """A day and a clock time together. Raises BadMoment for two of a kind."""
    if (one.names_a_day and other.names_a_day) or (one.clock and other.clock):
        raise BadMoment(f"it names two {'days' if one.names_a_day and other.names_a_day else 'times'}")
    day, clock = (one, other) if one.names_a_day else (other, one)
    return replace(day, clock=one.clock or other.clock or clock.clock)


def resolve(when: When, now: datetime, zone: tzinfo) -> datetime:
    """The moment in UTC that is meant when it is `now`. Raises BadMoment for one that is still to come."""
    if when == When():
        return now
    today = now.astimezone(zone).date()
    day = _day_of(when, today)
    if day > today:
        raise BadMoment(f"{written_day(day, today)} is still to come")
    if when.clock is None:
        return now if day == today else _utc(datetime.combine(day, time(12), zone))
    at = _utc(datetime.combine(day, when.clock, zone))
    if at > now + AHEAD:
        here = f"it is {now.astimezone(zone):%H:%M} here, by {zone}, which /timezone changes"
        hint = "" if when.names_a_day else f'; write "yesterday {when.clock:%H:%M}" if it was yesterday'
        raise BadMoment(f"{when.clock:%H:%M} today is still to come ({here}){hint}")
    return at


def written_day(day: date, today: date) -> str:
    """`18 Nov`, with the year where it is not this one."""
    return f"{day.day} {MONTHS[day.month - 1][:3]}" + ("" if day.year == today.year else f" {day.year}")


def _some_time_ago(text: str) -> When | None:
    """3 days ago, a week ago, the day before yesterday, last friday, on monday."""
    if text in ("the day before yesterday", "day before yesterday"):
        return When(days_ago=2)
    if match := _AGO.fullmatch(text):
        count = _COUNTS.get(match[1]) or int(match[1])
        return When(days_ago=count * (7 if match[2] == "week" else 1))
    lead, _, name = text.rpartition(" ")
    if name in _WEEKDAYS and lead in ("", "on", "last", "on last"):
        return When(weekday=_WEEKDAYS[name], before_today=lead.endswith("last"))
    return None


def _one_word(word: str) -> When | None:
    if (days := _DAYS.get(word.rstrip(".").casefold())) is not None:
        return When(days_ago=days)
    if match := _CLOCK.fullmatch(word):
        return When(clock=_clock(word, match[1], match[2], match[3]))
    if match := _ISO.fullmatch(word):
        if match[4] and _OF_A_ZONE.fullmatch(match[4]):
            raise BadMoment(f'"{word}" names a time zone; write the time of this chat, without one')
        clock = _one_word(match[4]) if match[4] else When()
        if clock is None or clock.names_a_day:
            return None
        return _on(word, match[1], match[2], match[3], clock.clock)
    if match := _POINTS.fullmatch(word):
        if not match[3] and not (1 <= int(match[2]) <= 12 and 1 <= int(match[1]) <= 31):
            return None  # 45.20. is a number at the end of a sentence
        return _on(word, _long_year(match[3]), match[2], match[1])
    if match := _SLASHES.fullmatch(word):
        return _day_or_month_first(word, int(match[1]), int(match[3]), match[4])
    if match := _YEAR_FIRST.fullmatch(word):
        return _on(word, match[1], match[2], match[3])
    if (match := _NAMED_MONTH.fullmatch(word)) and (month := month_number(match[2])):
        return _on(word, match[3], str(month), match[1])
    return _twelve(word)


def _slash(word: str) -> When | None:
    """18/11. 1/2 may be a half as well as a day; 120/80 is neither, and nor is 24/7."""
    match = _SLASH.fullmatch(word)
    if match is None or word == "24/7":
        return None
    one, two = int(match[1]), int(match[2])
    return _day_or_month_first(word, one, two, None) if 1 <= one <= 31 and 1 <= two <= 31 else None


def _with_month_name(words: Sequence[str]) -> When | None:
    """18 Nov, 18th November 2026, Nov 18, Nov 18 2026."""
    if len(words) > 3:
        return None
    for day, name in ((words[0], words[1]), (words[1], words[0])):
        month, match = month_number(name), _DAY.fullmatch(day)
        if month and match:
            if len(words) == 3 and not _YEAR.fullmatch(words[2]):
                return None
            return _on(" ".join(words), words[2] if len(words) == 3 else None, str(month), match[1])
    return None


def _long_year(text: str | None) -> str | None:
    return f"20{text}" if text and len(text) == 2 else text


def _on(word: str, year: str | None, month: str, day: str, clock: time | None = None) -> When:
    found = When(None, int(year) if year else None, int(month), int(day), clock)
    try:
        date(found.year or 2000, int(month), int(day))
    except ValueError:
        raise BadMoment(f'"{word}" is not a day of the calendar') from None
    if found.year is not None and found.year < EARLIEST_YEAR:
        raise BadMoment(f'"{word}" lies before {EARLIEST_YEAR}')
    return found


def _day_or_month_first(word: str, one: int, two: int, year: str | None) -> When:
    if one <= 12 and two <= 12 and one != two:
        clear = f"{year}-{two:02}-{one:02}" if year else f'"{one}.{two}."'
        raise BadMoment(f'"{word}" can be read as two days; write it like {clear}')
    day, month = (two, one) if two > 12 else (one, two)
    return _on(word, year, str(month), str(day))


def _twelve(word: str) -> When | None:
    """6pm, 6:20 pm."""
    match = _TWELVE.fullmatch(word)
    if match is None:
        return None
    hour = int(match[1])
    if not 1 <= hour <= 12:
        raise BadMoment(f'"{word}" is not a time of day')
    return When(clock=_clock(word, str(hour % 12 + (12 if match[3] in "pP" else 0)), match[2] or "00", None))


def _clock(word: str, hour: str, minute: str, second: str | None) -> time:
    try:
        return time(int(hour), int(minute), int(second or 0))
    except ValueError:
        raise BadMoment(f'"{word}" is not a time of day') from None


def _day_of(when: When, today: date) -> date:
    if when.weekday is not None:
        days = (today.weekday() - when.weekday) % 7
        return today - timedelta(days=days or (7 if when.before_today else 0))
    if when.day is None or when.month is None:
        return today - timedelta(days=when.days_ago or 0)
    if when.year is not None:
        return date(when.year, when.month, when.day)
    for year in range(today.year, today.year - 9, -1):  # 29 February is missing for eight years around 1900 and 2100
        try:
            found = date(year, when.month, when.day)
        except ValueError:
            continue
        if found <= today:
            return found
    raise BadMoment("there was no such day in the last years")


def _utc(local: datetime) -> datetime:
    return local.astimezone(UTC)
