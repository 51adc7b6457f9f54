"""What a file says of itself in the lines above its rows: its time zone, and numbers that stand for "no value"."""

import re
from itertools import pairwise

from daybook.formats import times
from daybook.formats.layout import FormatError

_STATED_ZONE = re.compile(r"(?i)(?<![a-z])(?:utc|gmt)(?:\s*([+-][0-9]{1,2}(?::?[0-9]{2})?))?(?![a-z])")
_KEYED_ZONE = re.compile(
    r"(?i)(?<![a-z])(?:tzo|time[ _]?zone|utc[ _]?offset|gmt[ _]?offset)\s{0,9}(?:\([^)]{0,40}\)\s{0,9})?[=:,;\t]\s*\"?"
    r"(([+-]?[0-9]{1,2}(?:\.[0-9]{1,2})?)(?![0-9:])|(?:utc|gmt)?\s*[+-][0-9]{1,2}:?[0-9]{2}|(?:utc|gmt)[+-][0-9]{1,2}"
    r"|utc|gmt|[a-z]+(?:/[a-z_]+)+)"
)
# Abbreviations that mean one offset wherever they are used (CST, IST and BST mean several). Who writes the standard
# time's into a header means it all year round; the offsets are those of the tz database.
_ABBREVIATIONS = {
    "EST": "-05:00", "MST": "-07:00", "PST": "-08:00", "AKST": "-09:00", "HST": "-10:00", "EDT": "-04:00",
    "CDT": "-05:00", "MDT": "-06:00", "PDT": "-07:00", "WET": "+00:00", "CET": "+01:00", "MEZ": "+01:00",
    "EET": "+02:00", "CEST": "+02:00", "MESZ": "+02:00", "EEST": "+03:00", "SAST": "+02:00", "MSK": "+03:00",
    "JST": "+09:00", "KST": "+09:00", "AWST": "+08:00", "ACST": "+09:30", "AEST": "+10:00", "NZST": "+12:00",
}  # fmt: skip
_ABBREVIATION = re.compile(rf"(?<![A-Za-z])({'|'.join(_ABBREVIATIONS)})(?![A-Za-z])")
_KEYED_ABBREVIATION = re.compile(rf"(?i:time[ _]?zone|tz)[\s=:,;]+\"?({'|'.join(_ABBREVIATIONS)})(?![A-Za-z])")
# Both halves of the year of a zone whose clocks change, as some programs head their times: (EST/EDT).
_PAIRS = {
    frozenset(pair.split("/")): zone
    for pair, zone in {
        "EST/EDT": "America/New_York", "CST/CDT": "America/Chicago", "MST/MDT": "America/Denver",
        "PST/PDT": "America/Los_Angeles", "GMT/BST": "Europe/London", "WET/WEST": "Europe/Lisbon",
        "CET/CEST": "Europe/Berlin", "MEZ/MESZ": "Europe/Berlin", "EET/EEST": "Europe/Helsinki",
    }.items()
}  # fmt: skip
_PAIR = re.compile(r"(?<![A-Za-z])([A-Z]{3,4})/([A-Z]{3,4})(?![A-Za-z])")
_FEWEST_KEYS = 3
_ZONE_WIDTH = 37.5  # degrees of longitude by which a country's clock is off the sun's, at most
# Only numbers that nobody measures: nines, and the ends of the ranges of 16-bit numbers. "Missing data: 3" is a count.
_DECLARED_MISSING = re.compile(
    r"(?i)(?<![a-z])(?:missing(?:[ _-]?(?:data|value|values|flag))?|no[ _-]?data(?:[ _-]?value)?|_?fill[ _-]?value"
    r"|null[ _-]?value)"
    r"\s*(?:is|are|=|:|,|;|\t)\s*\"?([+-]?(?:9{2,}(?:\.[09]+)?|32767|32768|6999|7999))\"?(?![0-9.])"
)


def declared_missing(above: list[str]) -> tuple[str, ...]:
    """The numbers that the lines above the rows declare to mean "no value", such as "NODATA = -999"."""
    return tuple(dict.fromkeys(match[1] for line in above for match in _DECLARED_MISSING.finditer(line)))


def stated_zone(time_headers: list[str], above: list[str]) -> str | None:
    """The zone that the headers of the time columns or the lines `above` the header state, such as UTC+01:00.

    Above the header it takes a key for it (Timezone=01.0, Time zone: Europe/Dublin, TZO=1): the UTC in "Created on
    (UTC)" says nothing about the readings.
    """
    for header in time_headers:
        pair = _zone_of_pair(header)
        if pair:
            return pair
        match = _STATED_ZONE.search(header.replace("_", " "))
        if match:
            return f"UTC{match[1]}" if match[1] else "UTC"
        short = _ABBREVIATION.search(header.replace("_", " "))
        if short:
            return f"UTC{_ABBREVIATIONS[short[1]]}"
        keyed = _keyed_zone(header)
        if keyed:
            return keyed
    station = _station_zone(above[0]) if above else None
    if station is not None:
        return station
    for keys, values in pairwise(above):
        stated = _zone_under_key(keys, values)
        if stated is not None:
            return stated
    return next(filter(None, map(_keyed_zone, above)), None)


def _keyed_zone(line: str) -> str | None:
    """The zone behind a key for it: Timezone=01.0, Time zone: Europe/Dublin, tz: EST/EDT."""
    found = _KEYED_ZONE.search(line)
    if found:
        name = _zone_of_hours(found[2]) if found[2] else found[1]
        if _is_zone(name):
            return name
    short = _KEYED_ABBREVIATION.search(line)
    if short:
        return _zone_of_pair(line[short.start() :]) or f"UTC{_ABBREVIATIONS[short[1]]}"
    return None


def _zone_of_pair(text: str) -> str | None:
    pair = _PAIR.search(text.replace("_", " "))
    return _PAIRS.get(frozenset(pair.groups())) if pair else None


def _is_zone(name: str) -> bool:
    try:
        times.zone(name)
    except FormatError:
        return False
    return True


def _zone_under_key(keys: str, values: str) -> str | None:
    """The zone where a line of keys stands above a line of their values (as in files of the NSRDB and Open-Meteo)."""
    names, cells = keys.split(","), values.split(",")
    if len(names) != len(cells) or len(names) < _FEWEST_KEYS:
        return None
    for wanted in ("time zone", "timezone", "utc offset", "local time zone"):
        for name, cell in zip(names, cells, strict=True):
            text = cell.strip().strip('"')
            if name.strip().lower() != wanted:
                continue
            if re.fullmatch(r"[+-]?[0-9]{1,2}(\.[0-9]{1,2})?", text):
                return _zone_of_hours(text)
            if re.fullmatch(r"[A-Za-z]+(/[A-Za-z_]+)+|GMT|UTC", text) and _is_zone(text):
                return text
    return None


def _station_zone(line: str) -> str | None:
    """The zone of a first line such as that of EnergyPlus weather files (LOCATION, city, …, latitude, longitude, zone,
    elevation) and of NREL's TMY3 (number, city, state, zone, latitude, longitude, elevation), which have no labels: it
    is believed where the longitude agrees with it."""
    cells = [cell.strip().strip('"') for cell in line.split(",")]
    if cells[0] == "LOCATION" and len(cells) == 10:
        zone_at, latitude_at, longitude_at = 8, 6, 7
    elif len(cells) >= 7:
        zone_at, latitude_at, longitude_at = 3, 4, 5
    else:
        return None
    try:
        hours, latitude, longitude = float(cells[zone_at]), float(cells[latitude_at]), float(cells[longitude_at])
    except ValueError:
        return None
    if abs(hours) > 14 or hours * 4 % 1 or abs(latitude) > 90 or abs(hours * 15 - longitude) > _ZONE_WIDTH:
        return None
    return _zone_of_hours(cells[zone_at])


def _zone_of_hours(text: str) -> str:
    hours = float(text)
    minutes = round(abs(hours) * 60)
    return f"UTC{'-' if hours < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}" if minutes else "UTC"
