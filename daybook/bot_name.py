"""The bot's own @name, by which `/sum@daybook_bot` in a group is for us, and `/sum@another_bot` is not.

Telegram is asked at the start of a process and once a day, in a thread of its own, never while somebody waits for an
answer. The name is also kept in a file beside the uploads, so that it is known at once at the next start, and where
Telegram cannot be reached.
"""

import logging
import os
import re
import threading
from collections.abc import Callable

from daybook import bot_api
from daybook.config import Settings

log = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE, _DAY = 1.0, 3600.0, 86_400.0  # seconds
_FORM = re.compile(r"\w{1,64}", re.ASCII)

_names: dict[tuple[str, str], str] = {}
_lock = threading.Lock()


def of(settings: Settings) -> str:
    """The name, without the @; empty while nobody has been able to ask for it. Never asks Telegram."""
    key = _key(settings)
    name = _names.get(key)
    if name is None:
        name = _read(settings)
        with _lock:
            name = _names.setdefault(key, name)
    return name


def learn(settings: Settings) -> bool:
    """Asks Telegram for the name; False where that has no success for now."""
    try:
        me = bot_api.client(settings).call("getMe", {})
    except bot_api.BotApiError as error:
        log.info("the bot's name is not known yet: %s", error)
        return False
    name = me.get("username") if isinstance(me, dict) else None
    if not isinstance(name, str) or not _FORM.fullmatch(name):
        return False
    if name != of(settings):
        _write(settings, name)
        with _lock:
            _names[_key(settings)] = name
    return True


def keep_learning(settings: Settings, wait: Callable[[float], bool]) -> None:
    """Asks until it is known, and then once a day; `wait` takes seconds and says whether to end."""
    pause = _FIRST_PAUSE
    while not wait(_DAY if (known := learn(settings)) else pause):
        pause = _FIRST_PAUSE if known else min(2 * pause, _LONGEST_PAUSE)


def _key(settings: Settings) -> tuple[str, str]:
    """The number of the bot, which is the part of its token that is no secret, and the folder of this Daybook."""
    number, colon, _ = settings.telegram_bot_token.partition(":")
    return (number if colon else ""), str(settings.instance_path)


def _read(settings: Settings) -> str:
    try:
        number, _, name = (settings.instance_path / "bot_name").read_text().strip().partition(" ")
    except (OSError, ValueError):
        return ""
    return name if number == _key(settings)[0] and _FORM.fullmatch(name) else ""


def _write(settings: Settings, name: str) -> None:
    draft = settings.instance_path / f"bot_name.{os.getpid()}-{threading.get_ident()}"
    try:
        draft.write_text(f"{_key(settings)[0]} {name}\n")
        draft.replace(settings.instance_path / "bot_name")
    except OSError as error:
        log.warning("the bot's name cannot be kept for the next start: %s", error.strerror)
