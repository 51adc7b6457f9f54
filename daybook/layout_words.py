"""What a layout says of the times of a file, in the same words wherever they are told: preview, page and command."""

import re

from daybook.formats.layout import Layout
from daybook.formats.time_words import MONTHS

ORDER_WORDS = {"dmy": "day first", "mdy": "month first", "ymd": "year first"}
_WORD = re.compile(r"[^\W\d_]{3,}")


def date_order(layout: Layout) -> str:
    """The order of the dates: dmy, mdy or ymd. Empty where it decides nothing: months have names, the patterns of
    times are given, times are counted or stand in columns of their own."""
    if layout.epoch or layout.time_formats or "time" not in layout.time_roles:
        return ""
    named = any(word in MONTHS for word in _WORD.findall(layout.time_example.lower()))
    return "" if named else layout.date_order


def zone_origin(layout: Layout, by_person: bool) -> str:
    """Why times are read in that zone. by_person: whoever sent the file chose it, and not the file type."""
    return {
        "cells": "every time states its offset",
        "file": "as the file states",
        "default": "because the file states no zone",
        "request": "as you chose" if by_person else "as the file type says",
    }[layout.timezone_from]
