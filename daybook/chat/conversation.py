"""Every answer of the bot: (what was said, what is known) -> (replies, effects)."""

from collections.abc import Sequence
from datetime import datetime

from daybook.chat import asking, questions, recording, replies, words, zones
from daybook.chat.moments import zone_of
from daybook.chat.values import (
    AMOUNT,
    Command,
    Known,
    NotForUs,
    Nothing,
    Outcome,
    Record,
    Reply,
    Said,
    SensorKnown,
    SetTimezone,
    TakeBack,
    Wants,
)


def wants(said: Said, now: datetime, timezone: str, sensors: Sequence[SensorKnown]) -> Wants:
    """What `answer` will need in `Known` beside the sensors."""
    zone = zone_of(timezone)
    if isinstance(said, Record):
        planned, _ = recording.plan(said, now, zone, sensors)
        return Wants(recording.wanted_months(planned, zone))
    if isinstance(said, Command) and said.name == "sum":
        asked = questions.asked(said, now, zone, sensors)
        if asked.sensors is None:
            return Wants(((None, asked.month),))
        return Wants(tuple((sensor.name, asked.month) for sensor in asked.sensors if sensor.kind == AMOUNT))
    if isinstance(said, Command) and said.name == "export":
        return Wants(any_in=questions.asked(said, now, zone, ()).month)
    return Wants(helped_lately=isinstance(said, Nothing) and not said.addressed)


def answer(said: Said, known: Known, message_id: int, edited: bool = False) -> Outcome:
    """What to reply and to do. `message_id`: the message's id in the book, for its Undo button.

    `edited`: the message corrects an earlier one, whose readings are taken back already and not in `known` any more.
    """
    if isinstance(said, NotForUs):
        return Outcome()
    if isinstance(said, Record):
        return recording.answer(said, known, message_id, edited)
    if isinstance(said, Command):
        return _command(said, known)
    if isinstance(said, Nothing) and known.helped_lately and not said.addressed:
        return Outcome()  # people talk with each other
    return Outcome((replies.no_number(known),))


def _command(command: Command, known: Known) -> Outcome:
    if command.name == "undo":
        return Outcome(effects=(TakeBack(),))
    if command.name == "timezone":
        return _timezone(" ".join(command.args), known)
    if command.name in asking.ANSWERS:
        return Outcome((asking.ANSWERS[command.name](command, known),))
    if command.name in ("start", "help"):
        return Outcome((replies.start(known) if command.name == "start" else replies.help_text(known),))
    return Outcome((replies.unknown_command(command.name, known),))


def _timezone(text: str, known: Known) -> Outcome:
    """/timezone Europe/Dublin; without a name it says which one it is."""
    if not text:
        clock = f"{known.now.astimezone(zone_of(known.timezone)):%H:%M}"
        example = "Change it like this: /timezone Europe/Dublin"
        return Outcome((Reply(f"Times and months here are those of {known.timezone}, where it is {clock}. {example}"),))
    found = zones.found(text)
    if len(found) == 1:
        clock = f"{known.now.astimezone(zone_of(found[0])):%H:%M}"
        told = f"Times and months here are now those of {found[0]}, where it is {clock}. Readings keep their moments."
        return Outcome((Reply(told),), (SetTimezone(found[0]),))
    if found:
        choices = " or ".join(f"/timezone {name}" for name in found[:5])
        return Outcome((Reply(f"There are several of that name. Write {choices}"),))
    shown = words.cut(text, 80)
    return Outcome(
        (Reply(f"“{shown}” is not a time zone I know. Write a city's, such as /timezone Europe/Dublin, or UTC."),)
    )
