"""Browsers in which somebody has logged in before: strangers who guess at their name do not keep them waiting.

A login leaves a signed cookie. Attempts with it are counted for that browser, and not for the name, where everybody
who knows the name could keep its owner out (OWASP, "Slow Down Online Guessing Attacks with Device Cookies").
"""

import secrets

from itsdangerous import BadSignature, URLSafeSerializer

COOKIE = "known_browser"
LASTS = 365 * 24 * 3600  # seconds


def mark(secret_key: str, username: str) -> str:
    """What the cookie holds after a login with this (cleaned) name; each login has one of its own."""
    return str(_serializer(secret_key).dumps([username, secrets.token_urlsafe(16)]))


def device(secret_key: str, cookie: str, username: str) -> str:
    """Which of the browsers known for this (cleaned) name it is; "" for every other one."""
    try:
        name, number = _serializer(secret_key).loads(cookie[:500])
    except (BadSignature, ValueError, TypeError):
        return ""
    return str(number) if name == username else ""


def _serializer(secret_key: str) -> URLSafeSerializer:
    return URLSafeSerializer(secret_key, salt="known browser")
