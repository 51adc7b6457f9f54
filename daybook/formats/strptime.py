"""Patterns for times, as of C's strptime: %d.%m.%Y %H:%M. They are matched with shapes, as the known forms are."""

import re
from functools import cache, lru_cache

from daybook.formats.layout import FormatError
from daybook.formats.time_shapes import BLANK, LETTER, MAX_LENGTH, TimeShape, shape_with

_DIRECTIVES = {
    "Y": r"(?P<year>0000)",
    "y": r"(?P<year>00)",
    "m": r"(?P<month>0{1,2})",
    "b": rf"(?P<month_name>{LETTER}{{3,12}})\.?",
    "d": rf"{BLANK}?(?P<day>0{{1,2}})",
    "j": r"(?P<doy>0{1,3})",
    "H": rf"{BLANK}?(?P<hour>0{{1,2}})",
    "I": rf"{BLANK}?(?P<hour>0{{1,2}})",
    "M": r"(?P<minute>0{1,2})",
    "S": r"(?P<second>0{1,2})",
    "f": r"(?P<fraction>0{1,9})",
    "p": rf"(?P<half>[AaPp])(?:\.?{BLANK}?[Mm])?\.?",
    "z": r"(?P<zone>[Zz]|(?P<sign>[+-])(?P<zone_hour>00):?(?P<zone_minute>00)?)",
    "Z": r"(?:(?P<letters_alone>(?:[Uu][Tt][Cc]|[Gg][Mm][Tt]|[Zz])(?![A-Za-z]))|[A-Za-z]{1,5})",
    "a": rf"{LETTER}{{2,13}}\.?",
    "s": r"(?P<seconds>0{1,10})",
}
_SAME_AS = {"B": "b", "h": "b", "e": "d", "k": "H", "l": "I", "A": "a"}
_SHORT_FOR = {"T": "%H:%M:%S", "R": "%H:%M", "D": "%m/%d/%y", "F": "%Y-%m-%d", "n": " ", "t": " "}
_KNOWN = "%Y %y %m %b %B %d %e %j %H %I %M %S %f %p %z %Z %a %A %s %F %T %R %%"
_PART = re.compile(r"%-?(.)|(\s+)|([^%\s]+)", re.DOTALL)


def check_format(place: str, text: str) -> None:
    """Raises FormatError (bad_layout) that says what is wrong with the pattern, where it is none."""
    reason = _why_bad(text)
    if reason:
        raise FormatError(
            "bad_layout", f'{place} is "{text[:60]}": {reason}', f"A pattern has {_KNOWN}, such as %d.%m.%Y %H:%M."
        )


def _why_bad(text: str) -> str:
    whole = _written_out(text)
    if re.search(r"%-?$", whole.replace("%%", "")):
        return "a % stands at its end"
    found = [_SAME_AS.get(letter, letter) for letter in re.findall(r"%-?(.)", whole.replace("%%", ""), re.DOTALL)]
    unknown = next((letter for letter in found if letter not in _DIRECTIVES), None)
    if unknown is not None:
        return f"there is no %{unknown}"
    if re.search(r"[0-9]", re.sub(r"%-?.", "", whole)):
        return "digits in it cannot be told from those of the time"
    twice = next((letter for letter in found if found.count(letter) > 1), None)
    if twice:
        return f"%{twice} stands in it twice"
    return _why_incomplete(set(found))


def _why_incomplete(found: set[str]) -> str:
    if "s" in found:
        return "" if found == {"s"} else "%s is the whole time, and nothing goes with it"
    for one, other in (("Y", "y"), ("m", "b"), ("H", "I"), ("m", "j"), ("b", "j"), ("d", "j")):
        if {one, other} <= found:
            return f"%{one} and %{other} say the same"
    if not found & {"Y", "y"}:
        return "it has no year (%Y or %y)"
    if "d" in found and not found & {"m", "b"}:
        return "it has a day but no month (%m or %b)"
    if ("I" in found) != ("p" in found):
        return "%I and %p go together; hours up to 24 are %H"
    return _why_gap(found)


def _why_gap(found: set[str]) -> str:
    hour = bool(found & {"H", "I"})
    if hour and not found & {"d", "j"}:
        return "it has an hour but no day (%d or %j)"
    for part, above, words in (("M", hour, "an hour (%H)"), ("S", "M" in found, "%M"), ("f", "S" in found, "%S")):
        if part in found and not above:
            return f"%{part} needs {words}"
    return ""


def _written_out(text: str) -> str:
    return re.sub(r"%(.)", lambda match: _SHORT_FOR.get(match[1], match[0]), text, flags=re.DOTALL)


@lru_cache(maxsize=4096)
def understand_by(pattern: str, shape: str) -> TimeShape | None:
    """What the digits of a text of that shape mean by this pattern; None where it does not fit."""
    if len(shape) > MAX_LENGTH:
        return None
    match = _compiled(pattern).fullmatch(shape)
    if match is None:
        return None
    spans = {name: match.span(name) for name, text in match.groupdict().items() if text is not None}
    return TimeShape(spans, sign=0) if "seconds" in spans else shape_with(match, spans)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = [_part(match) for match in _PART.finditer(_written_out(pattern))]
    if pattern.endswith("Z") and not pattern.endswith("%Z") and "%z" not in pattern:
        parts[-1] = parts[-1][:-1] + "(?P<zone>[Zz])"  # as ISO 8601 means it, also where it is no %z
    return re.compile(rf"{BLANK}*{''.join(parts)}{BLANK}*", re.ASCII)


def _part(match: re.Match[str]) -> str:
    if match[1] == "%":
        return "%"
    if match[1]:
        return _DIRECTIVES[_SAME_AS.get(match[1], match[1])]
    if match[2]:
        return f"{BLANK}+"
    return re.escape(match[3].encode().decode("latin-1"))
