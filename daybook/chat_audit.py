"""What people change by writing to the bot, for the audit: who it was, and which readings were what before."""

from collections.abc import Sequence

from sqlalchemy.engine import Connection

from daybook import audit
from daybook.audit import Actor
from daybook.chat.values import AddReading, Made
from daybook.people import Person


def actor(person: Person) -> Actor:
    """This person, as the one who changes things."""
    return Actor("chat", person.name, telegram_user_id=person.user_id)


def note_readings(
    connection: Connection,
    message_id: int,
    before: Sequence[Made],
    after: Sequence[AddReading] | Sequence[Made],
    again: bool = False,
) -> None:
    """Writes down what a message has recorded, corrected or taken back: {sensor: [value before, value after]}.

    again: it had been taken back, and counts again.
    """
    if not before and not after:
        return
    was, now = _values(before), _values(after)
    action = "put back" if again else "record" if not before else "correct" if after else "take back"
    shown = ", ".join(f"{name} {value:g}" for name, value in (now or was).items())
    audit.note(connection, action, "message", message_id, shown, audit.differences(was, now))


def _values(readings: Sequence[Made] | Sequence[AddReading]) -> dict[str, float]:
    values: dict[str, float] = {}
    for reading in readings:
        name, number = reading.name, 2
        while name in values:
            name, number = f"{reading.name} ({number})", number + 1
        values[name] = reading.value
    return values
