"""Texts that a spreadsheet would take for a formula: a file that somebody opens must not run what somebody else typed.

The rule is that of OWASP, "CSV injection": an apostrophe before the text.
"""

import re

# The last four are wide forms of the first, which some spreadsheets take for the same.
_BEGINS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_LAYS_OUT = ("\t", "\r", "\n")
_PASSED_OVER = re.compile(r"[\s\0\u200b-\u200f\u2060\ufeff]*")


def as_text(text: str) -> str:
    """The text, with an apostrophe before one that would be a formula, also where blanks come before that."""
    begins = _PASSED_OVER.sub("", text, count=1)
    return f"'{text}" if text.startswith(_LAYS_OUT) or begins.startswith(_BEGINS) else text
