"""One line as an entry: its day and time at either end, its number first or last, its unit, and the rest as its name.

Digits may be part of a name ("sensor 7", "bus 46"), so a line may hold two numbers. The one with decimals or a
currency is the line's; where that does not decide, the entry is not `sure` and a known name has to.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from daybook.chat import moments, numbers, units
from daybook.chat.characters import Token, tokens_of, without_stop
from daybook.chat.moments import BadMoment
from daybook.chat.numbers import BadNumber, Number
from daybook.chat.values import MOST_NAME, Entry, Unread, When

_BULLETS = frozenset("• * · ‣ ◦ ▪ ●".split())
_DASHES = frozenset("- – — −".split())
_TIMES = frozenset("x X × ✕ ✖ * ·".split())
_PAIR = re.compile(r"([^:=]+)([:=])([^:=]+)")
_GROUP = re.compile(r"\d{3}([.,]\d+)?", re.ASCII)
_GROUP_ALONE = re.compile(r"\d{3}", re.ASCII)
_AHEAD_OF_GROUPS = re.compile(r"[+-]?\d{1,3}", re.ASCII)
_TWO_IN_ONE = re.compile(r"[^\W\d_][,;][+-]?\d")  # bread,3.20
_LIKE_A_DAY = re.compile(r"(0?[1-9]|[12]\d|3[01])\.(0?[1-9]|1[0-2])", re.ASCII)
NO_NUMBER = "it holds no number"
# What `moments.read` calls loose.
_MAYBE_A_DAY = re.compile(r"day\b|\bago\b|\d/\d", re.IGNORECASE)
_MOMENT_ALONE = "it holds a day or a time, but no number"


class _Refused(ValueError):
    """The line is not clear; the message is a clause that says why."""


def read_line(line: int, text: str, in_list: bool = False) -> Entry | Unread:
    """What the line records, or why it records nothing. in_list: other lines begin with a number and a point as well.
    Never raises."""
    read = _read_as(line, text, in_list, loose=True)
    if not _MAYBE_A_DAY.search(text):
        return read
    whole = _read_as(line, text, in_list, loose=False)
    if isinstance(whole, Unread):
        return whole if isinstance(read, Unread) else read
    return replace(read, whole=whole)


def _read_as(line: int, text: str, in_list: bool, loose: bool) -> Entry | Unread:
    tokens = tokens_of(text)
    try:
        return replace(_entry(line, tokens, in_list, loose), text=text)
    except (_Refused, BadNumber, BadMoment) as refused:
        reason, last = str(refused), tokens[-1].plain if tokens else ""
    if reason == _MOMENT_ALONE and len(tokens) > 1 and _LIKE_A_DAY.fullmatch(last.removesuffix(".")):
        return Unread(line, text, f'"{last}" is a day; if it is the number, write it without the last point', True)
    return Unread(line, text, reason, has_number=reason not in (NO_NUMBER, _MOMENT_ALONE))


def moment_alone(text: str) -> When | None:
    """The day or time that this line holds, where it holds nothing else."""
    try:
        when, rest = _without_moments(_without_bullet(tokens_of(text)))
    except (_Refused, BadMoment):
        return None
    return when if when != When() and not rest else None


def dated(entry: Entry, above: When) -> Entry:
    """The entry at the day and time of a line above it, as far as it names none itself."""
    entry = replace(entry, whole=dated(entry.whole, above)) if entry.whole else entry
    if entry.when.names_a_day or above == When():
        return entry
    when = replace(above, clock=entry.when.clock or above.clock)
    return replace(entry, when=when, other=replace(entry.other, when=when) if entry.other else None)


def _entry(line: int, tokens: list[Token], in_list: bool, loose: bool) -> Entry:
    when, tokens = _without_moments(_without_bullet(tokens, in_list), loose)
    tokens, mark = _split_at_mark(tokens)
    if not tokens:
        raise _Refused(_MOMENT_ALONE if when != When() else NO_NUMBER)
    entry = _around_mark(tokens, mark) or _number_first(tokens) or _number_last(tokens)
    if entry is None:
        raise _Refused(_why_not(tokens, when))
    other = replace(entry.other, when=when, line=line) if entry.other else None
    return replace(entry, when=when, line=line, other=other)


# --- the parts


def _without_bullet(tokens: list[Token], in_list: bool = False) -> list[Token]:
    """Without the mark or the number of a list in front: "• 12.50 bread", "1) bread 2.50", "2. bread 2.50"."""
    if len(tokens) > 1 and tokens[0].text in _BULLETS and not tokens[0].quoted:
        return tokens[1:]
    if len(tokens) > 2 and re.fullmatch(r"\d{1,3}[.)]", tokens[0].plain):
        rest = tokens[1:]
        if not in_list and re.fullmatch(r"\d{1,2}\. \d{1,2}", f"{tokens[0].plain} {rest[0].plain}", re.ASCII):
            whole = f"{tokens[0].text}{rest[0].text}"
            raise _Refused(
                f'"{tokens[0].text} {rest[0].text}" can be {rest[0].text} in a list, or {whole}; write it so'
            )
        if not moments.month_number(rest[0].plain) and any(re.search(r"\d", token.plain) for token in rest):
            return rest
    return tokens


def _without_moments(tokens: list[Token], loose: bool = True) -> tuple[When, list[Token]]:
    """The day and the time in front and behind, and what is left."""
    when = When()
    while tokens:
        for count in range(min(moments.MOST_WORDS, len(tokens)), 0, -1):
            front, behind = _moment(tokens[:count], loose), _moment(tokens[-count:], loose)
            if front or behind:
                when = moments.joined(when, front or behind or When())
                tokens = tokens[count:] if front else tokens[:-count]
                break
        else:
            break
    return when, tokens


def _moment(tokens: Sequence[Token], loose: bool) -> When | None:
    return None if any(token.quoted for token in tokens) else moments.read([token.plain for token in tokens], loose)


def _split_at_mark(tokens: list[Token]) -> tuple[list[Token], int]:
    """Without the first ":" or "=" between a name and its number, and where it stood (0: nowhere)."""
    for at, token in enumerate(tokens):
        before, behind = tokens[:at], tokens[at + 1 :]
        if token.quoted:
            continue
        if token.plain in (":", "="):
            return before + behind, at
        if token.plain[-1] in ":=" and behind and _has_letter(token):
            return [*before, Token(token.text[:-1]), *behind], at + 1
        if token.plain[-1] in ":=" and behind and numbers.read(token.plain[:-1]):
            return [*before, Token(token.text[:-1]), *behind], at + 1
        pair = _PAIR.fullmatch(token.plain)
        if pair and numbers.read(pair[3]) and (pair[2] == "=" or not pair[1][-1].isdecimal()):
            cut = len(pair[1])
            left, right = (
                (token.text[:cut], token.text[cut + 1 :]) if len(token.text) == len(token.plain) else (pair[1], pair[3])
            )
            return [*before, Token(left), Token(right), *behind], at + 1
    return tokens, 0


def _has_letter(token: Token) -> bool:
    return any(not character.isdecimal() for character in token.plain[:-1])


# --- the ways to read a line


def _around_mark(tokens: list[Token], mark: int) -> Entry | None:
    """`sensor 7: 21.4 °C`: with a mark there is no doubt where the name ends."""
    if not 0 < mark < len(tokens):
        return None
    found = _number_at(tokens[mark:])
    if found is None or found[1] != len(tokens) - mark:
        return None
    return _made(found[0], found[2], tokens[:mark], number_first=False)


def _number_first(tokens: list[Token]) -> Entry | None:
    if _is_dash(tokens[0]) and len(tokens) > 1 and _read(tokens[1]):
        _check_dash(tokens, 1)
    found = _number_at(tokens, before_a_name=True)
    if found is None:
        return None
    if len(tokens) > 1 and re.fullmatch(r"\d{1,3}\.", tokens[0].plain, re.ASCII):
        raise _Refused(
            f'"{tokens[0].text}" can be the number of a list; write it without the point if it is the amount'
        )
    number, count, unit = found
    rest = tokens[count:]
    if len(rest) > 1 and _is_dash(rest[0]):
        rest = rest[1:]
    if len(rest) > 1 and rest[0].text.casefold() in ("for", "of") and not rest[0].quoted:
        rest = rest[1:]
    if not unit and len(rest) > 1 and not rest[-1].quoted and units.currency(rest[-1].text):
        unit, rest = units.currency(rest[-1].text), rest[:-1]
    if not rest:
        written = " ".join(token.text for token in tokens)
        raise _Refused(f'it does not say what the number is of; write a name with it, such as "{written} groceries"')
    _check_behind(rest, number)
    last = _number_at_end(tokens)
    if last is None or last[1] < count:  # none, or a group of the same one: 10 000 steps
        _check_inside(rest, number)
        return _made(number, unit, rest, number_first=True)
    other_number, start, other_unit = last
    if number.strong and other_number.strong:
        raise _Refused(_two_numbers(number, other_number, other_number, number))
    if _divided(tokens[:start]):
        raise _Refused(_two_numbers(number, other_number))
    _check_inside(rest[: start - len(tokens)], number)
    first = _made(number, unit, rest, number_first=True)
    other = _made(other_number, other_unit, tokens[:start], number_first=False)
    if number.strong:
        return replace(first, other=other)
    return replace(other, other=first, sure=False) if other_number.strong else replace(first, other=other, sure=False)


def _number_last(tokens: list[Token]) -> Entry | None:
    found = _number_at_end(tokens)
    if found is None or found[1] == 0:
        return None
    number, start, unit = found
    name = tokens[:start]
    _check_inside(name, number, before=True)
    entry = _made(number, unit, name, number_first=False)
    first = start
    if number.text == tokens[start].plain[: len(number.text)] and _GROUP.fullmatch(number.text):
        while first > 1 and _GROUP_ALONE.fullmatch(tokens[first - 1].plain):
            first -= 1
        first -= 1 if first > 1 and _AHEAD_OF_GROUPS.fullmatch(tokens[first - 1].plain) else 0
    joined = _joined([*tokens[first:start], Token(number.text)]) if first < start else None
    other = _made(joined, unit, tokens[:first], number_first=False) if joined else None
    return replace(entry, other=other, sure=other is None)


def _number_at(tokens: list[Token], before_a_name: bool = False) -> tuple[Number, int, str] | None:
    """The number that these begin with, how many words it takes with its unit, and the unit."""
    at = 1 if len(tokens) > 1 and units.currency(tokens[0].plain) else 0
    number = _read(tokens[at])
    if number is None or (number.unit and at):
        return None
    unit = units.currency(tokens[0].plain) if at else number.unit
    end = at + 1
    while end < len(tokens) and _GROUP.fullmatch(tokens[end].plain) and (joined := _joined(tokens[at : end + 1])):
        number, end = joined, end + 1
    if end < len(tokens) and (joined := _joined_with_unit(tokens[at : end + 1])):
        number, end, unit = joined, end + 1, joined.unit
    _check_dash(tokens, at)
    if not unit and end < len(tokens) and not tokens[end].quoted:
        word = tokens[end].plain.rstrip(",.;")
        unit = units.before_a_name(word) if before_a_name else units.behind(word)
        end += 1 if unit else 0
    return replace(number, unit=unit), end, unit


def _number_at_end(tokens: list[Token]) -> tuple[Number, int, str] | None:
    """The number that these end with, where it begins, and its unit."""
    at, unit = len(tokens) - 1, ""
    number = _read(tokens[at])
    if number is None and at > 0 and not tokens[at].quoted:
        unit = units.behind(tokens[at].plain.rstrip(",.;"))
        at -= 1
        number = _read(tokens[at]) if unit else None
        if number is not None and number.unit:
            return None
    if number is None:
        return None
    _check_dash(tokens, at)
    if at > 0 and not (unit or number.unit) and (coin := units.currency(tokens[at - 1].plain)):
        at, unit = at - 1, coin
    unit = unit or number.unit
    return replace(number, unit=unit), at, unit


def _read(token: Token) -> Number | None:
    return None if token.quoted or not token.plain else numbers.read(token.plain)


def _joined(tokens: Sequence[Token]) -> Number | None:
    """1 234,50 with ordinary blanks between thousands, as one number."""
    first, *groups = [token.plain for token in tokens]
    if not groups or not _AHEAD_OF_GROUPS.fullmatch(first) or first.lstrip("+-").startswith("0"):
        return None
    if not all(_GROUP_ALONE.fullmatch(group) for group in groups[:-1]) or not _GROUP.fullmatch(groups[-1]):
        return None
    whole, mark, decimals = re.fullmatch(r"(\d+)([.,]?)(\d*)", groups[-1]).groups()  # type: ignore[union-attr]
    return numbers.read("".join([first, *groups[:-1], whole]) + ("." + decimals if mark else ""))


def _joined_with_unit(tokens: Sequence[Token]) -> Number | None:
    """1 234,50€: the last group has its unit attached."""
    match = re.fullmatch(r"(\d{3}(?:[.,]\d+)?)([^\d.,]+)", tokens[-1].plain, re.ASCII)
    if match is None or not units.attached(match[2]):
        return None
    number = _joined([*tokens[:-1], Token(match[1])])
    return replace(number, unit=units.attached(match[2])) if number else None


# --- what must not be in a line


def _check_dash(tokens: Sequence[Token], at: int) -> None:
    """A dash that stands alone before a number is a minus for one person and a dash for the other."""
    if at > 0 and _is_dash(tokens[at - 1]):
        word = tokens[at].text
        raise _Refused(f'the dash before {word} can be a minus; write "-{word}" or "{word}" without one')


def _is_dash(token: Token) -> bool:
    return not token.quoted and token.text in _DASHES


def _check_inside(name: Sequence[Token], number: Number, before: bool = False) -> None:
    """A name holds no number that could be the line's own. before: the name stands before the number."""
    for token in name:
        inside = _read(token)
        if inside is not None and (inside.strong or token.plain[0] in "+-"):
            raise _Refused(_two_numbers(inside, number) if before else _two_numbers(number, inside))
    if _divided(name):
        raise _Refused("it names several things; write each on a line of its own, or the name in quotes")


def _check_behind(rest: Sequence[Token], number: Number) -> None:
    """5 2 eggs, 3 x 4 eggs: a second number stands where the name begins."""
    if (second := _read(rest[0])) is not None:
        raise _Refused(_two_numbers(number, second, number))
    if len(rest) > 1 and not rest[0].quoted and rest[0].text in _TIMES and (second := _read(rest[1])) is not None:
        raise _Refused(_two_numbers(number, second))


def _divided(name: Sequence[Token]) -> bool:
    """groceries, 3 bread; also without the blank."""
    if any(_TWO_IN_ONE.search(token.plain) for token in name):
        return True
    return any(one.plain[-1:] in (",", ";") and (_read(two) is not None) for one, two in pairwise(name))


def _two_numbers(one: Number, other: Number, *at_the_ends: Number) -> str:
    """`at_the_ends`: those of them that stand where a day can."""
    both = f"it holds two numbers, {one.text} and {other.text}"
    if day := next((number.text for number in at_the_ends if _LIKE_A_DAY.fullmatch(number.text)), ""):
        return f'{both}; if {day} is a day, write "{day}."'
    return f"{both}; write each on a line of its own, with its name, or a name that holds a number in quotes"


def _why_not(tokens: Sequence[Token], when: When) -> str:
    plain = [token.plain for token in tokens]
    if len(plain) > 1 and (numbers.is_no_number(plain[-1]) or (numbers.is_no_number(plain[0]) and len(plain) == 2)):
        return "what stands for its number is not a number that can be kept"
    for word in plain:
        if word[:1] in ("—", "―") and numbers.read(word[1:]):
            return f'the dash before {word[1:]} can be a minus; write "-{word[1:]}" or "{word[1:]}" without one'
    if any(_read(token) is not None for token in tokens):
        return "its number stands in the middle; write it first or last"
    if when != When():
        return _MOMENT_ALONE
    if any(re.search(r"\d", word) for word in plain):
        return "it holds no number that stands alone"
    return NO_NUMBER


def _made(number: Number, unit: str, tokens: Sequence[Token], *, number_first: bool) -> Entry:
    for token in tokens:
        if not token.quoted and moments.is_moment(token.plain.rstrip(",;:")):
            raise _Refused(f'write "{token.text}" in front of the rest or behind it')
    name = " ".join(token.text for token in tokens).strip(",;: ")
    if not tokens or not tokens[-1].quoted:
        name = without_stop(name)
    if not name:
        raise _Refused("it has no name that can be shown")
    if len(name) > MOST_NAME:
        raise _Refused(f"its name has {len(name)} characters; at most {MOST_NAME} are kept")
    note = ""
    if number.doubt == "," or (number.doubt == "." and number_first):
        small, large = number.text.replace(",", "."), number.text.replace(",", "").replace(".", "")
        understood, instead = (large, small) if number.doubt == "," else (small.rstrip("0").rstrip("."), large)
        note = f"I read {number.text} as {understood}; for the other reading write {instead}."
    return Entry(name, number.value, unit, number_first, note=note, quoted=all(token.quoted for token in tokens))
