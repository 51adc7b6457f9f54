"""What the shape of a text says about the time in it: the text with every digit replaced by 0.

Shapes are made of bytes that are read as Latin-1, so that a place in the shape is a place in the bytes. A letter beyond
ASCII is thus two letters here, as in "MÃ¤r" for "Mär".
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache

from daybook.formats.layout import DateOrder
from daybook.formats.time_words import MONTHS, WEEKDAYS, ZONE_LETTERS

MAX_LENGTH = 80  # bytes; JavaScript's dates with their zone in words have 66


@dataclass(frozen=True)
class TimeShape:
    """Where the parts of a time stand in every text of one shape.

    Parts are year, month, day, doy, hour, minute, second, fraction, hhmm (four digits), ss, zone_hour, zone_minute,
    and seconds (since 1970).
    """

    spans: dict[str, tuple[int, int]] = field(default_factory=dict)
    month: int | None = None  # where it has a name
    afternoon: bool | None = None
    sign: int | None = None  # of the offset; 0 for Z; None where the text states no offset
    shift: int = 0  # minutes east of UTC, where letters stand for the offset


BLANK = _B = r"(?:[\ \t]|Â\xa0|â\x80[\x89¯])"  # a blank: plain, tab, no-break, thin, narrow no-break
LETTER = _LETTER = r"[A-Za-z\x80-\xff]"
_FRACTION = r"(?:[.,](?P<fraction>0{1,9})|:(?P<after_colon>000(?:000)?))"
_ZONE = rf"""
    (?: {_B}* (?P<zone> [Zz] | (?:UTC|GMT)(?P<sign_behind>[+-])(?P<hour_behind>0{{1,2}})(?::?(?P<minute_behind>00))?
        | (?P<letters>[A-Za-z]{{3,5}})? {_B}* (?P<sign>[+-])(?P<zone_hour>00):?(?P<zone_minute>00)?
        | (?P<letters_alone>[A-Za-z]{{3,4}}) )
      (?:{_B}*(?:\[[A-Za-z_/+-]{{1,40}}\]|\([A-Za-z\ ]{{1,40}}\)))? )?
"""
_HALF = rf"(?:{_B}*(?P<half>[AaPp])(?:\.?{_B}?[Mm])?\.?(?![A-Za-z]))?"
_WITH_COLONS = rf"(?P<hour>0{{1,2}}){_B}?:(?P<minute>00)(?::(?P<second>00){_FRACTION}?)?"
_WITH_DOTS = r"(?P<hour>0{1,2})\.(?P<minute>00)(?:\.(?P<second>00))?"
_WITH_H = rf"(?P<hour>0{{1,2}}){_B}?[hH]{_B}?(?:(?P<minute>00)(?:{_B}?(?:min|m|'){_B}?(?:(?P<second>00){_B}?s?)?)?)?"
_DIGITS = rf"(?P<hhmm>0000)(?:(?P<ss>00){_FRACTION}?)?"
_CLOCKS = (_WITH_COLONS, _DIGITS, _WITH_DOTS, _WITH_H)
_HOUR = r"(?P<hour>0{1,2})"  # only with a date before it

_NAME = rf"(?P<month_name>{_LETTER}{{3,12}})\.?"
_YEAR_FIRST = r"(?P<year>0000)(?P<mark>[-/.])(?P<month>0{1,2})(?P=mark)(?P<day>0{1,2})"
_YEAR_LAST = r"(?P<first>0{1,2})(?P<mark>[-/.])(?P<second_number>0{1,2})(?P=mark)(?P<year>0000|00)"
_DATES = (
    _YEAR_FIRST,
    r"(?P<year>0000)(?P<month>00)(?P<day>00)",
    _YEAR_LAST,
    rf"(?P<day>0{{1,2}})(?:\.?{_B}(?:de{_B})?|[-/.])?{_NAME}(?:,?{_B}(?:de{_B})?|[-/.,])?(?P<year>0000|00)",
    rf"{_NAME}(?:{_B}{{1,2}}|[-/])(?P<day>0{{1,2}})(?:,?{_B}|[-/,])(?P<year>0000)",
    rf"(?P<year>0000)(?P<mark>[-/.\ ])(?P<month_name>{_LETTER}{{3,12}})(?P=mark)(?P<day>0{{1,2}})",
    r"(?P<year>0000)-(?P<doy>000)",
)
_MONTHS_ALONE = (
    r"(?P<year>0000)[-/M](?P<month>00)",
    r"(?P<month>00)/(?P<year>0000)",
    rf"{_NAME}(?:{_B}|[-/])(?P<year>0000)",
    rf"(?P<year>0000)(?:{_B}|[-/])(?P<month_name>{_LETTER}{{3,12}})",
)
_WEEKDAY = rf"(?:(?P<weekday>{_LETTER}{{2,13}})(?:[.,]{_B}*|{_B}+))?"
_BETWEEN = rf"(?:{_B}*T{_B}*|,?{_B}+(?:(?:at|um|-){_B}+)?|[:,_-])"
_UNIX = rf"{_NAME}{_B}{{1,2}}(?P<day>0{{1,2}}){_B}+{_WITH_COLONS}{_HALF}{_ZONE}{_B}+(?P<year>0000)"
# Ten, twelve, fourteen or more digits on end: the year first, nothing between the parts.
_DIGITS_ALONE = (
    r"(?P<year>0000)(?P<month>00)(?P<day>00)(?:(?P<hour>00)|(?P<hhmm>0000)(?:(?P<ss>00)(?:\.?(?P<fraction>000))?)?)"
)


# The end of a period whose beginning counts: 2020-01-01T00:00/2020-01-01T01:00, 13:00 - 14:00.
_UNTIL = rf"(?:/|{_B}+(?:-|â\x80\x93|/|to|bis|until|tot){_B}+)[0/.:T+Z\ -]{{4,30}}"


def _compiled(*patterns: str) -> list[re.Pattern[str]]:
    return [re.compile(rf"{_B}*{pattern}{_B}*", re.VERBOSE | re.ASCII) for pattern in patterns]


_SHAPES = [
    *_compiled(*(rf"{_WEEKDAY}{date}(?:{_BETWEEN}{_WITH_COLONS}{_HALF}{_ZONE})?" for date in _DATES)),
    *_compiled(*(rf"{_WEEKDAY}{date}{_BETWEEN}{clock}{_HALF}{_ZONE}" for clock in _CLOCKS[1:] for date in _DATES)),
    *_compiled(*(rf"{date}(?:T|{_B}+){_HOUR}{_HALF}{_ZONE}" for date in _DATES)),
    *_compiled(rf"{_DIGITS_ALONE}{_ZONE}", *_MONTHS_ALONE, rf"{_WEEKDAY}{_UNIX}"),
    *_compiled(*(rf"{_WITH_COLONS}{_HALF}{_ZONE},?{_B}+{date}" for date in (_YEAR_FIRST, _YEAR_LAST))),
    *_compiled(*(rf"{date}{_BETWEEN}{_WITH_COLONS}{_ZONE}{_UNTIL}" for date in _DATES)),
]
_CLOCK_SHAPES = [
    *_compiled(*(rf"{clock}{_HALF}{_ZONE}" for clock in _CLOCKS)),
    *_compiled(rf"{_WITH_COLONS}{_UNTIL}"),
]
_NO_NUMBER = re.compile(r"[:hHAaPp]|0\.00\.0")
_POSSIBLE = re.compile(r"[0A-Za-z\x80-\xff\s:/.,+()\[\]_'-]{6,}")


def shape_of(text: str) -> str:
    """The shape of one text, as `understand` takes it."""
    return re.sub(r"[0-9]", "0", text).encode("utf-8", "replace").decode("latin-1")


@lru_cache(maxsize=4096)
def understand(shape: str, order: DateOrder) -> TimeShape | None:
    """What the digits of a text of that shape mean; None where it is no time."""
    if len(shape) > MAX_LENGTH or "0" not in shape or not _POSSIBLE.fullmatch(shape):
        return None
    for pattern in _SHAPES:
        match = pattern.fullmatch(shape)
        found = _meaning(match, order) if match else None
        if found:
            return found
    return None


def looks_like_clock(text: str) -> bool:
    """Whether the text is a clock time alone, such as 13:00:00 or 1300; 13.00 may as well be a number."""
    shape = shape_of(text)
    if not any(pattern.fullmatch(shape) for pattern in _CLOCK_SHAPES):
        return False
    digits = text.strip()
    if digits.isdecimal():
        return digits[:2] <= "24" and digits[2:4] < "60" and digits[4:6] < "60"
    return _NO_NUMBER.search(shape) is not None


def looks_like_time(text: str) -> bool:
    """Whether the text has the shape of a date, with or without a clock time. Digits alone have it where they can be
    a moment of the years 1800 to 2199."""
    return _first_meaning(text) is not None


def has_clock(text: str) -> bool:
    """Whether a date is followed by a clock time in the same text."""
    found = _first_meaning(text)
    return found is not None and bool(found.spans.keys() & {"hour", "hhmm"})


def _first_meaning(text: str) -> TimeShape | None:
    digits = text.strip()
    if digits.isdecimal() and not _may_be_a_date(digits):
        return None
    shape = shape_of(text)
    return understand(shape, "dmy") or understand(shape, "ymd")


def _may_be_a_date(digits: str) -> bool:
    months, days, clock = digits[4:6], digits[6:8], digits[8:]
    return (
        "17" < digits[:2] < "22"
        and "01" <= months <= "12"
        and "01" <= days <= "31"
        and clock[:2] <= "24"
        and clock[2:4] < "60"
        and clock[4:6] < "60"
    )


def name_of(letters: str) -> str:
    """A word of a shape as people read it, in small letters."""
    return letters.encode("latin-1").decode("utf-8", "replace").lower()


def _meaning(match: re.Match[str], order: DateOrder) -> TimeShape | None:
    spans = {name: match.span(name) for name, text in match.groupdict().items() if text is not None}
    if "first" in spans and not _put_in_order(spans, match, order):
        return None
    return shape_with(match, spans)


def shape_with(match: re.Match[str], spans: dict[str, tuple[int, int]]) -> TimeShape | None:
    """The meaning of the words in a match, and of its numbers at those places; None where a word means nothing."""
    word = match.groupdict().get
    month = MONTHS.get(name_of(match["month_name"])) if word("month_name") else None
    if (word("month_name") and month is None) or (word("weekday") and name_of(match["weekday"]) not in WEEKDAYS):
        return None
    if "after_colon" in spans:
        spans["fraction"] = spans["after_colon"]
    sign, shift = (0 if word("zone") or word("letters_alone") else None), 0
    letters = (word("letters_alone") or "").lower()
    if letters and letters not in ("utc", "gmt"):
        if letters not in ZONE_LETTERS:
            return None
        shift = ZONE_LETTERS[letters]
    for mark, hour, minute in (("sign", "zone_hour", "zone_minute"), ("sign_behind", "hour_behind", "minute_behind")):
        if mark in spans:
            sign = 1 if match[mark] == "+" else -1
            spans["zone_hour"] = spans[hour]
            if minute in spans:
                spans["zone_minute"] = spans[minute]
    half = word("half")
    return TimeShape(spans, month, half in "Pp" if half else None, sign, shift)


def _put_in_order(spans: dict[str, tuple[int, int]], match: re.Match[str], order: DateOrder) -> bool:
    """Says which of two numbers is the day; whether the year can be where that order wants it."""
    first, second, last = spans["first"], spans["second_number"], spans["year"]
    if order == "ymd":  # two-digit years first: 19/08/07
        if last[1] - last[0] == 4 or first[1] - first[0] == 1:
            return False
        spans["year"], spans["month"], spans["day"] = first, second, last
    elif order == "dmy":
        spans["day"], spans["month"] = first, second
    else:
        spans["month"], spans["day"] = first, second
    return True
