"""What a text means, without knowing anything: entries to keep, a command, a pressed button, or nothing.

Nothing in here raises, whatever is typed.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from daybook.chat.characters import lines_of
from daybook.chat.entries import dated, moment_alone, read_line
from daybook.chat.values import Command, Entry, NotForUs, Nothing, Record, Said, Undo, UndoFile, Unread, When

_COMMAND = re.compile(r"/([A-Za-z0-9_]{1,64})(?:@([A-Za-z0-9_]+))?(?:\s+(.*))?", re.DOTALL)
# Names of bots end in "bot".
_MENTION_FIRST = re.compile(r"\s*@(\w{1,61}bot)(?:[,:]?\s+)", re.ASCII | re.IGNORECASE)
_MENTION_LAST = re.compile(r"\s@(\w{1,61}bot)\s*$", re.ASCII | re.IGNORECASE)
_MENTION = re.compile(r"(?<![\w@])@(\w{1,61}bot)\b", re.ASCII | re.IGNORECASE)
_NUMBERED = re.compile(r"\s*\d{1,3}[.)]\s")
_ID = re.compile(r"-?\d{1,19}", re.ASCII)
_BUTTONS = {"sum": 2, "latest": 1, "chart": 2, "amount": 1}  # and how many words follow


def parse(text: str, bot_username: str = "", is_reply: bool = False) -> Said:
    """What somebody wrote. `bot_username`: ours, without the @; a command for another bot is not for us. `is_reply`: it
    replies to a message of the bot's."""
    whole, text = text, _without_mention(text, bot_username)
    match = _COMMAND.fullmatch(text.strip())
    if match is not None:
        if match[2] and bot_username and match[2].casefold() != bot_username.casefold():
            return NotForUs()
        words = "".join(character for character in match[3] or "" if character.isprintable() or character.isspace())
        return Command(match[1].lower(), tuple(words.split()))
    read = _read_lines(lines_of(text))
    entries = tuple(line for line in read if isinstance(line, Entry))
    unread = tuple(line for line in read if isinstance(line, Unread))
    addressed = is_reply or text.lstrip().startswith("/") or _mentions(whole, bot_username)
    if not entries and not any(line.has_number for line in unread):
        return Nothing(addressed)
    return Record(entries, unread, addressed)


def _read_lines(lines: Sequence[tuple[int, str]]) -> list[Entry | Unread]:
    """The lines one by one. A day or a time that has a line to itself is that of the entries under it which name none
    of their own."""
    read: list[Entry | Unread] = []
    above = When()
    heads: list[Entry | Unread] = []  # lines of days and times under which no entry stands yet
    in_list = sum(bool(_NUMBERED.match(line)) for _, line in lines) > 1
    for number, line in lines:
        one = read_line(number, line, in_list)
        if isinstance(one, Unread) and (alone := moment_alone(line)) is not None:
            if alone.names_a_day and not (heads and alone.clock is None and not above.names_a_day):
                read += heads
                above, heads = alone, [one]
            else:  # a time of the day above, or the day of a time
                day, clock = (alone, above) if alone.names_a_day else (above, alone)
                above, heads = replace(day, clock=clock.clock), [*heads, one]
            continue
        if isinstance(one, Entry):
            one, heads = dated(one, above), []
        elif one.whole:
            one = replace(one, whole=dated(one.whole, above))
        read.append(one)
    return read + heads


def _mentions(text: str, bot_username: str) -> bool:
    """Whether the bot's name stands anywhere in it; that of any bot while ours is not known."""
    names = [match[1].casefold() for match in _MENTION.finditer(text)]
    return bot_username.casefold() in names if bot_username else bool(names)


def _without_mention(text: str, bot_username: str) -> str:
    """Without the "@daybook_bot" in front or behind, without which a bot does not see what is said in some groups."""
    for mention in (_MENTION_FIRST.match(text), _MENTION_LAST.search(text)):
        if mention and (not bot_username or mention[1].casefold() == bot_username.casefold()):
            # As many line breaks stay, so that lines keep their numbers.
            return text[: mention.start()] + "\n" * mention[0].count("\n") + text[mention.end() :]
    return text


def pressed(data: str) -> Said:
    """What a pressed button says; Nothing for one that Daybook never made."""
    name, *words = data.split(":")
    if not words or not _ID.fullmatch(words[0]):
        return Nothing()
    if name in ("undo", "undo-file") and len(words) == 1:
        return Undo(int(words[0])) if name == "undo" else UndoFile(int(words[0]))
    if _BUTTONS.get(name) == len(words):
        return Command(name, tuple(word for word in words[1:] if word), int(words[0]))
    return Nothing()
