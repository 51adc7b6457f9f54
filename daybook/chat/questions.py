"""What a command asks about: which sensors its name can mean, and which month or range stands beside it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from daybook.chat import months, names
from daybook.chat.values import Command, SensorKnown

RANGES = {"7d": ("7 days", 7), "30d": ("30 days", 30), "1y": ("1 year", 365)}
_RANGE_OF = {
    **{
        f"{before}{word}": name
        for before in ("", "a ", "1 ", "1", "last ", "this ")
        for word, name in (("week", "7d"), ("month", "30d"), ("year", "1y"))
    },
    **{"1w": "7d", "1m": "30d", "12 months": "1y"},
    **{f"{days}{between}days": name for name, (_, days) in RANGES.items() for between in ("", " ")},
    **{name: name for name in RANGES},
}
DEFAULT_RANGE = "30d"
ALL = -1  # the sensor id of a button that asks for all of them
_LOOKS_LIKE_A_RANGE = re.compile(r"\d+(d|w|m|y|h|days?|weeks?|months?|years?)", re.ASCII | re.IGNORECASE)
# Days and years, which people ask for as well.
_LOOKS_LIKE_A_MONTH = re.compile(
    r"\d{4}|\d+[-/.]\d+([-/.]\d*)?|today|yesterday|((this|last) )?(week|year)", re.ASCII | re.IGNORECASE
)


@dataclass(frozen=True)
class Asked:
    """What a command asks about: the sensors that its name can mean (None: no name was given), and a month.

    `bad_range`, `bad_month`: what stands where one could, and is none; `name` is what stands beside it.
    """

    name: str
    sensors: tuple[SensorKnown, ...] | None
    month: date
    range: str = DEFAULT_RANGE
    bad_range: str = ""
    bad_month: str = ""


def asked(command: Command, now: datetime, zone: tzinfo, sensors: Sequence[SensorKnown]) -> Asked:
    """The name and the month or range among the words of a command; a sensor of just that name comes first."""
    this, args = months.month_of(now, zone), command.args
    month, span, bad_range, bad_month = None, DEFAULT_RANGE, "", ""
    if command.sensor_id is not None or not names.same_name(" ".join(args), sensors):
        if command.name == "chart":
            args, span, bad_range = _without_range(args, sensors)
        else:
            args, month = without_month(args, now, zone)
            if month is None and command.name == "sum":
                args, bad_month = _without_bad_month(args, sensors)
    if command.sensor_id is not None:
        by_id = tuple(sensor for sensor in sensors if sensor.id == command.sensor_id)
        return Asked("", None if command.sensor_id == ALL else by_id, month or this, span)
    name = " ".join(args)
    return Asked(name, names.meant(name, sensors) if name else None, month or this, span, bad_range, bad_month)


def without_month(args: tuple[str, ...], now: datetime, zone: tzinfo) -> tuple[tuple[str, ...], date | None]:
    for count in (2, 1):
        if len(args) >= count:
            if month := months.read(args[-count:], now, zone):
                return args[:-count], month
            if month := months.read(args[:count], now, zone):
                return args[count:], month
    return args, None


def _without_bad_month(args: tuple[str, ...], sensors: Sequence[SensorKnown]) -> tuple[tuple[str, ...], str]:
    """The other words, and what stands where a month could and is none."""
    if not args or names.meant(" ".join(args), sensors):
        return args, ""
    for count in (2, 1):
        for rest, words in ((args[:-count], args[-count:]), (args[count:], args[:count])):
            if _LOOKS_LIKE_A_MONTH.fullmatch(" ".join(words)):
                return rest, " ".join(words)
    return _behind_a_name(args, sensors)


def _without_range(args: tuple[str, ...], sensors: Sequence[SensorKnown]) -> tuple[tuple[str, ...], str, str]:
    """The other words, the range, and what stands where a range could and is none."""
    for count in (2, 1):
        if len(args) >= count and (span := _RANGE_OF.get(" ".join(args[-count:]).casefold())):
            return args[:-count], span, ""
    if not args or names.meant(" ".join(args), sensors):
        return args, DEFAULT_RANGE, ""
    if len(args) > 2 and args[-2].isdecimal():
        rest, bad = args[:-2], " ".join(args[-2:])
    elif _LOOKS_LIKE_A_RANGE.fullmatch(args[-1]):
        rest, bad = args[:-1], args[-1]
    else:
        rest, bad = _behind_a_name(args, sensors)
    return rest, DEFAULT_RANGE, bad


def _behind_a_name(args: tuple[str, ...], sensors: Sequence[SensorKnown]) -> tuple[tuple[str, ...], str]:
    """The longest beginning that is a sensor's whole name, and the words behind it; all and "" where there is none."""
    for count in range(len(args) - 1, 0, -1):
        if names.same_name(" ".join(args[:count]), sensors):
            return args[:count], " ".join(args[count:])
    return args, ""
