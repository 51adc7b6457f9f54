"""What a preview says in words: the sentence on top, times in their zone, and what was found for each setting."""

from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from daybook import layout_form, layout_words
from daybook.formats.given import Given
from daybook.formats.layout import Layout
from daybook.formats.preview import Preview
from daybook.formats.zones import zone
from daybook.preview_choices import Choices

LINE_WORDS = {
    "preamble": "above",
    "header": "names",
    "units": "units",
    "data": "data",
    "blank": "blank",
    "rejected": "rejected",
}
_SHAPES = {"wide": "Wide table", "narrow": "Narrow table", "pivot": "Table with a row a day"}
_KINDS = {"json": "JSON", "xlsx": "Excel workbook", "parquet": "Parquet file"}
_NO_ZONE = "For times that state no offset. Empty: the zone that the file states, else UTC."
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def summary(found: Preview, choices: Choices) -> str:
    """One plain sentence: "Wide table, 29 sensors, 188 rows in this part, 2 rejected, 9 January 2016 15:30 to …"."""
    layout = found.layout
    if layout is None:
        return "No table of readings was found in this file."
    parts = [_shape(layout)]
    if layout.shape == "wide":
        parts.append(_count(len(layout.of_role("value")), "sensor"))
    elif layout.shape == "narrow" and layout.of_role("sensor"):
        parts.append(f"sensors named in “{layout.columns[layout.of_role('sensor')[0]].name}”")
    parts.append(_count(found.rows, "row") + ("" if found.whole else " in this part"))
    if found.rejected:
        parts.append(_count(found.rejected, "rejected", "rejected"))
    if found.first_time is not None and found.last_time is not None and not found.doubts:
        first, last = day_and_time(found.first_time, layout), day_and_time(found.last_time, layout)
        parts.append(f"{first} to {last} ({zone_words(layout, choices)})")
    text = ", ".join(parts) + "."
    return f"“{found.member}” in the archive: {text[0].lower()}{text[1:]}" if found.member else text


def _shape(layout: Layout) -> str:
    if layout.file == "text":
        return _SHAPES[layout.shape]
    sheet = f", sheet “{layout.sheet}”" if layout.sheet else ""
    return f"{_KINDS[layout.file]}{sheet}: {_SHAPES[layout.shape].lower()}"


def _count(number: int, one: str, several: str = "") -> str:
    return f"{number:,} {one if number == 1 else several or one + 's'}".replace(",", "\u202f")


def zone_of(layout: Layout) -> tzinfo:
    """The zone in which the preview shows times."""
    return zone(layout.timezone)


def zone_words(layout: Layout, choices: Choices) -> str:
    """The zone of the times shown, and why it is that one."""
    by_person = bool(choices.timezone or not choices.file_type)
    return f"{layout.timezone}, {layout_words.zone_origin(layout, by_person)}"


def zone_hint(layout: Layout | None, file_type: Given | None) -> str:
    """What stands under the field of the time zone."""
    if layout is None or layout.timezone_from in ("default", "request"):
        typed = bool(file_type and file_type.timezone)
        return f"Empty: {file_type.timezone}, as the file type says." if typed and file_type else _NO_ZONE
    if layout.timezone_from == "cells":
        return "Not needed: every time states its offset."
    return f"Found: {layout.timezone}."


def day_and_time(moment: int, layout: Layout) -> str:
    """Microseconds since 1970 as "9 January 2016 15:30", with seconds and fractions where there are any."""
    at = _local(moment, layout)
    return f"{at.day} {at:%B} {at.year} {_clock(at)}"


def first_readings(found: Preview, most: int) -> list[tuple[str, str, str]]:
    """The first readings as texts: sensor, "2016-01-09 15:30", value. Seconds are shown if any of them has some."""
    if found.layout is None or found.doubts:
        return []
    readings = [(sensor, _local(moment, found.layout), value) for sensor, moment, value in found.sample[:most]]
    seconds = any(at.second or at.microsecond for _, at, _ in readings)
    return [
        (
            sensor,
            f"{at.year:04}-{at:%m-%d %H:%M}" + (_seconds(at) if seconds else ""),
            plain_number(value),
        )
        for sensor, at, value in readings
    ]


def _seconds(at: datetime) -> str:
    return f":{at:%S}{_fraction(at)}"


def _local(moment: int, layout: Layout) -> datetime:
    return (_EPOCH + timedelta(microseconds=moment)).astimezone(zone_of(layout))


def _clock(at: datetime) -> str:
    return f"{at:%H:%M:%S}{_fraction(at)}" if at.second or at.microsecond else f"{at:%H:%M}"


def _fraction(at: datetime) -> str:
    return f".{at.microsecond:06}".rstrip("0") if at.microsecond else ""


def plain_number(value: float) -> str:
    """The shortest text that reads back as the same number; whole ones without a point."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


@cache
def zone_names() -> list[str]:
    """Every zone of the tz database that is a place, and UTC."""
    return ["UTC", *sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/"))]


def found_words(found: Preview, file_type: Given | None, choices: Choices) -> dict[str, str]:
    """For each setting what stands first in its list: what was found, or what the file type says."""
    if found.layout is None:
        return {}
    values = layout_form.to_form(Given.of(found.layout)) | {"timezone": found.layout.timezone}
    values["date_order"] = layout_words.date_order(found.layout)
    by_type = file_type.to_json() if file_type else {}
    said = {*choices.layout, *(name for name in ("timezone", "date_order") if getattr(choices, name))}
    doubtful = {name for doubt in found.doubts for choice in doubt.choices for name in choice.changes}
    return {
        name: _word(name, value, "file type" if name in by_type else "found")
        for name, value in values.items()
        if name != "columns" and name not in said | doubtful
    }


def _word(name: str, value: Any, origin: str) -> str:
    text = layout_form.CHOICES.get(name, {}).get(value, str(value)).replace("\n", ", ")
    if name in ("header_line", "units_line", "data_line"):
        text = f"line {text}" if text not in ("", "0") else "none"
    return f"{origin.capitalize()}: {text}" if text else ""
