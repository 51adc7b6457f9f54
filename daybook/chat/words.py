"""Numbers, times and lists as the bot writes them: plain text, which `grammar` reads back as the same."""

import math
from collections.abc import Iterable, Sequence
from datetime import date, datetime, tzinfo
from decimal import Decimal

from daybook.chat import units
from daybook.chat.moments import written_day
from daybook.chat.values import AMOUNT, MOST_TEXT

MANY = 20  # lines of one answer: what is longer nobody reads on a telephone
NOTHING_YET = (
    "Nothing is kept here yet. Write a number with its name: “12.50 groceries” counts amounts together, "
    "“temperature 21.4” keeps a value."
)


def number(value: float, unit: str = "", kind: str = AMOUNT) -> str:
    """The number as it is kept; an amount with decimals, or of money, with two of them at least."""
    text = repr(value).removesuffix(".0")
    whole, _, decimals = text.partition(".")
    if kind != AMOUNT or "e" in text or not whole.lstrip("-").isdecimal():
        return text
    return f"{whole}.{decimals:0<2}" if decimals or units.currency(unit) else text


def total(value: float, unit: str = "") -> str:
    """A sum with six decimals at most: what comes behind them is left over from binary arithmetic."""
    if not math.isfinite(value):
        return "more than fits a number"
    near = round(value, 6) + 0.0  # never -0
    return number(near if near or abs(value) < 1e-8 else value, unit)


def difference(value: float, before: float) -> Decimal:
    """How much more the value is, as exactly as both are written."""
    return Decimal(repr(value)) - Decimal(repr(before))


def plain_decimal(value: Decimal) -> str:
    """0.6; with an exponent only where the digits would not fit on a line."""
    if value == 0:
        return "0"
    text = f"{value:f}" if -12 < value.adjusted() < 16 else f"{value:.6g}"
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text.lower() else text


def entry(name: str, value: float, unit: str, kind: str) -> str:
    """`12.50 EUR groceries`, `temperature 21.4 °C`."""
    parts = [number(value, unit, kind), unit, name] if kind == AMOUNT else [name, number(value, unit, kind), unit]
    return " ".join(part for part in parts if part)


def moment(at: datetime, now: datetime, zone: tzinfo) -> str:
    """`on 19 Nov, 18:20`, or `at 18:20` where it is today."""
    local, today = at.astimezone(zone), now.astimezone(zone).date()
    return f"at {local:%H:%M}" if local.date() == today else f"on {written_day(local.date(), today)}, {local:%H:%M}"


def day(on: date, now: datetime, zone: tzinfo) -> str:
    """`today`, or `on 19 Nov`."""
    today = now.astimezone(zone).date()
    return "today" if on == today else f"on {written_day(on, today)}"


def counted(count: int, one: str, many: str) -> str:
    return f"{grouped(count)} {one if count == 1 else many}"


def grouped(count: int) -> str:
    """1 234, with a narrow blank that does not break."""
    return f"{count:,}".replace(",", "\u202f")


def entries(count: int) -> str:
    """Beside a sum, which has no marks between its thousands either, so that it can be copied."""
    return f"{count} {'entry' if count == 1 else 'entries'}"


def first(lines: Sequence[str], most: int = MANY) -> list[str]:
    """The first of them, and how many more there are."""
    left = len(lines) - most
    return [*lines] if left <= 0 else [*lines[:most], f"and {left} more"]


def sentence(clause: str) -> str:
    """The clause as a sentence of its own."""
    text = clause[:1].upper() + clause[1:]
    return text if text.endswith((".", "?")) else text + "."


def size_of(text: str) -> int:
    """Its length as Telegram counts: letters beyond the basic plane, such as emoji, are two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, most: int) -> str:
    """The text, or its beginning with an ellipsis where it is longer than that."""
    if size_of(text) <= most:
        return text
    kept = text.encode("utf-16-le", "surrogatepass")[: 2 * (most - 1)].decode("utf-16-le", "ignore")
    return kept.rstrip() + "…"


def fitted(lines: Iterable[str], most: int = MOST_TEXT) -> str:
    """The lines as one text, the last of them left out and counted where they do not fit."""
    every = list(lines)
    whole = "\n".join(every)
    if size_of(whole) <= most:
        return whole
    kept: list[str] = []
    room = most - size_of(f"\nand {len(every)} more")
    for line in every:
        room -= size_of(line) + 1
        if room < 0:
            break
        kept.append(line)
    if not kept:
        return cut(every[0], most)
    return "\n".join([*kept, f"and {len(every) - len(kept)} more"])


def sections(parts: Sequence[Sequence[str]], most: int = MOST_TEXT) -> str:
    """Lists under each other, with an empty line between; each is cut so that all of them show."""
    shown = [part for part in parts if part]
    left, texts = most, []
    for at, part in enumerate(shown):
        text = fitted(part, (left - 2 * (len(shown) - at - 1)) // (len(shown) - at))
        left -= size_of(text) + 2
        texts.append(text)
    return "\n\n".join(texts)
