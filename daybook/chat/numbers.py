"""Numbers as people type them.

One mark alone, point or comma, is the decimal mark, with one exception: a comma before exactly three digits (1,234)
stands between thousands, unless a zero is in front (0,500). Two kinds of marks (1.234,50), or one that repeats
(1.234.567), say themselves what they are. The reply repeats what was understood, and `note` names the doubt.
"""

import math
import re
from dataclasses import dataclass

from daybook.chat import units

_SHAPE = re.compile(
    r"(?P<before>[^\s\d.,'+\-]{1,3})?(?P<sign>[+-])?(?P<between>[^\s\d.,'+\-]{1,3})?"
    r"(?P<digits>\d[\d.,']*|[.,]\d+)(?P<power>[eE][+-]?\d{1,4})?(?P<behind>.*)",
    re.ASCII | re.DOTALL,
)
_NO_NUMBER = frozenset("nan inf infinity ∞".split())


class BadNumber(ValueError):
    """It is meant as a number, but cannot be kept; the message says why."""


@dataclass(frozen=True)
class Number:
    """A number and the unit that is written to it. `text`: its digits and marks alone."""

    value: float
    decimals: int
    unit: str
    text: str
    doubt: str = ""  # "," or ".": the mark that others would read in the other way

    @property
    def strong(self) -> bool:
        """Written with decimals or a currency: the number of the line, where another one is part of the name."""
        return self.decimals > 0 or units.currency(self.unit) != ""


def read(word: str) -> Number | None:
    """The number that this word (in ASCII) is, with its unit; None for any other word. Raises BadNumber."""
    match = _SHAPE.fullmatch(word.rstrip(";!?"))
    if match is None:
        return None
    before, between = match["before"] or "", match["between"] or ""
    prefix = before or between
    if (before and between) or (prefix and not units.currency(prefix)):
        return None
    digits, behind = match["digits"], match["behind"]
    if re.search(r"\d[.,]$", digits) and not match["power"]:
        behind = "" if re.fullmatch(r"-{1,2}|—", behind) else behind  # 12,- and 12.--
        digits = digits[:-1]
    behind = behind.rstrip(".,:")
    unit = units.currency(prefix) or (units.attached(behind) if behind else "")
    if (behind and (not unit or prefix)) or ((found := _decimal(digits)) is None):
        return None
    if match["power"] and found[1]:
        return None
    text, doubt = found
    return Number(_value(match["sign"], text, match["power"] or ""), len(text.partition(".")[2]), unit, digits, doubt)


def is_no_number(word: str) -> bool:
    """nan, -inf and the like: written for a number, and none."""
    return word.lstrip("+-").casefold() in _NO_NUMBER


def _decimal(digits: str) -> tuple[str, str] | None:
    """The digits with a point at most, and the mark that leaves a doubt; None where the marks make no sense."""
    if "'" in digits:
        if not re.fullmatch(r"\d{1,3}('\d{3})+([.,]\d+)?", digits):
            return None
        return digits.replace("'", "").replace(",", "."), ""
    marks = [character for character in digits if character in ".,"]
    if not marks:
        return digits, ""
    if len(marks) == 1:
        whole, mark, rest = digits.partition(marks[0])
        groups = len(rest) == 3 and 1 <= len(whole) <= 3 and not whole.startswith("0")
        if groups and mark == ",":
            return whole + rest, ","
        return f"{whole or '0'}.{rest}", "." if groups and mark == "." else ""
    last, thousands = marks[-1], marks[0]
    if last == thousands:  # 1.234.567
        fits = re.fullmatch(rf"\d{{1,3}}(\{thousands}\d{{3}})+", digits)
        return (digits.replace(thousands, ""), "") if fits else None
    if not re.fullmatch(rf"\d{{1,3}}(\{thousands}\d{{3}})+\{last}\d+", digits):
        return None
    return digits.replace(thousands, "").replace(last, "."), ""


def _value(sign: str | None, text: str, power: str) -> float:
    value = float(f"{sign or ''}{text}{power}")
    if math.isinf(value):
        raise BadNumber("its number is too large to be kept")
    if value == 0 and text.strip("0."):
        raise BadNumber("its number is too close to zero to be kept")
    return 0.0 if value == 0 else value
