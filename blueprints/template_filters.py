"""Words, numbers and times as templates show them."""

from datetime import UTC, datetime, tzinfo

from flask import Flask, has_request_context
from flask_login import current_user

from daybook.times import TimeError, zone_named


def register(app: Flask) -> None:
    """Adds the filters that more than one template uses."""
    for template_filter in (sentence_case, local_time, utc_time):
        app.add_template_filter(template_filter)


def sentence_case(text: str) -> str:
    """The text with its first letter large and a full stop at its end."""
    text = text.strip()
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def local_time(moment: datetime, seconds: bool = False, zone: tzinfo | None = None) -> str:
    """`2026-11-20 13:34 CET`: the time in the zone of whoever looks, and which zone that is. Nobody's zone is UTC.

    Zones without letters of their own are named by their offset: `2026-11-20 09:34 UTC-3`.
    """
    try:
        local = moment.astimezone(zone or own_zone())
    except OverflowError:  # at the two ends of the calendar
        local = moment.astimezone(UTC)
    name = local.tzname() or ""
    if not name.isalpha():
        offset = f"{local:%z}"  # such as -0300, +0545
        minutes = "" if offset[3:5] == "00" else f":{offset[3:5]}"
        name = f"UTC{offset[0]}{int(offset[1:3])}{minutes}"
    return f"{local.replace(tzinfo=None).isoformat(' ', 'seconds' if seconds else 'minutes')} {name}"


def utc_time(moment: datetime) -> str:
    """`2026-11-20T12:34:56Z`, for the machines that read pages."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def own_zone() -> tzinfo:
    """The time zone of the account that is logged in; else UTC."""
    if not has_request_context() or not current_user.is_authenticated:
        return UTC
    try:
        return zone_named(current_user.timezone)
    except TimeError:  # it was one when it was chosen, on another machine or with another tz database
        return UTC
