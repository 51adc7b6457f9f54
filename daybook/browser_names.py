"""What a browser says of itself (User-Agent), in words that people know: "Firefox on Linux"."""

import re

# The first that is found counts: nearly all of them also claim to be Chrome, and that one to be Safari.
BROWSERS = (
    ("Edge", r"\bEdg(e|A|iOS)?/"),
    ("Opera", r"\b(OPR|Opera)/"),
    ("Samsung Internet", r"\bSamsungBrowser/"),
    ("Vivaldi", r"\bVivaldi/"),
    ("Firefox", r"\b(Firefox|FxiOS)/"),
    ("Chromium", r"\bChromium/"),
    ("Chrome", r"\b(HeadlessChrome|Chrome|CriOS)/"),
    ("Safari", r"\bSafari/"),
    ("curl", r"^curl/"),
    ("a Python program", r"^(python-|Python/|Werkzeug/)"),
)
SYSTEMS = (
    ("iPhone", r"\biPhone\b"),
    ("iPad", r"\biPad\b"),
    ("Android", r"\bAndroid\b"),
    ("ChromeOS", r"\bCrOS\b"),
    ("Windows", r"\bWindows\b"),
    ("macOS", r"\b(Macintosh|Mac OS X)\b"),
    ("Linux", r"\bLinux\b"),
)


def in_words(user_agent: str) -> str:
    """Browser and system as far as they are known; "Unknown browser" where nothing is."""
    browser = _first(BROWSERS, user_agent)
    system = _first(SYSTEMS, user_agent)
    if browser and system:
        return f"{browser} on {system}"
    name = browser or (f"A browser on {system}" if system else "Unknown browser")
    return name[0].upper() + name[1:] if name.startswith("a ") else name


def _first(known: tuple[tuple[str, str], ...], text: str) -> str:
    return next((name for name, pattern in known if re.search(pattern, text)), "")
