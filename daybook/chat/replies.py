"""What the bot says that is no answer to an entry or a question: help, strangers, what it cannot take, undone."""

from collections.abc import Sequence
from datetime import date

from daybook.chat import months, words
from daybook.chat.moments import zone_of
from daybook.chat.recording import sum_of
from daybook.chat.values import AMOUNT, Known, Made, Reply

# For setMyCommands, and in /help.
COMMANDS = (
    ("help", "what to write, and every command"),
    ("sum", "sums of a month: /sum groceries november"),
    ("latest", "the last values: /latest temperature"),
    ("chart", "a picture: /chart temperature 30d"),
    ("sensors", "what is kept in this chat"),
    ("export", "a month as a CSV file: /export 2026-10"),
    ("undo", "take back your last entry"),
    ("timezone", "the time zone of this chat: /timezone Europe/Dublin"),
)
EXAMPLES = (
    "12.50 groceries",
    "temperature 21.4 °C",
    "yesterday 12,50 groceries",
    "power meter 12345.6 kWh at 18:20",
)


def start(known: Known) -> Reply:
    """/start"""
    text = "This chat keeps your book. Write a number and its name, one entry per line, and it is kept with its time."
    return Reply("\n".join([text, "", *_how(), "", _zone(known), "", "/help shows every command."]))


def help_text(known: Known) -> Reply:
    """/help"""
    lines = ["Write a number and its name, one entry per line:", "", *_how(), ""]
    lines += [
        "A day or a time may stand in front or behind: yesterday, 18 Nov, 2026-11-18, 18:20. "
        "Edit a message to correct it.",
        "",
        *(f"/{name}: {about}" for name, about in COMMANDS if name != "help"),
        "",
        _zone(known),
    ]
    page = f" Larger ones: {known.upload_page}" if known.upload_page else ""
    return Reply("\n".join([*lines, f"A file of readings up to 20 MB can be sent here too.{page}"]))


def no_number(known: Known) -> Reply:
    """To a text without a number."""
    return Reply("\n".join(["I found no number to keep in that. Write for example:", "", *_how(), "", "More: /help"]))


def unknown_command(name: str, known: Known) -> Reply:
    return Reply(words.cut(f"I do not know /{name}.", 80) + "\n\n" + help_text(known).text)


def button_gone() -> Reply:
    """To a button that means nothing any more."""
    return Reply("That button does not work any more. /help shows what does.")


def button_too_old() -> Reply:
    """To a button of which Telegram does not say any more under which message it was."""
    return Reply("This button is too old to do anything. /help shows what does.")


def edited_after_deletion() -> Reply:
    """To an edit of a message that an admin has deleted."""
    return Reply(
        "An admin has deleted that message here, so your edit changes nothing: what it had recorded stays as it was."
    )


def not_text() -> Reply:
    """To pictures, voices, stickers, places and whatever else is neither text nor a file."""
    return Reply(
        "I can take text, such as “12.50 groceries”, and files of readings sent as a document. "
        "Nothing of this was recorded."
    )


def pending(user_id: int) -> Reply:
    """Once, to somebody who is not known yet."""
    return Reply(
        f"Nothing was recorded: this Daybook does not know you yet. An admin has to let you in; your id is {user_id}. "
        "You will hear from me here."
    )


def allowed(known: Known) -> Reply:
    """To somebody whom an admin has let in."""
    return Reply(
        "You have been let in. What you wrote before was not recorded; please write it again.\n\n" + start(known).text
    )


def blocked(was_allowed: bool) -> Reply:
    """Once, to somebody whom an admin has shut out, or has not let in."""
    decided = "has ended your access" if was_allowed else "has decided not to let you in"
    return Reply(f"An admin {decided}. What you write here from now on is neither recorded nor answered.")


def taken_back(made: Sequence[Made], known: Known, by_button: bool = False) -> Reply:
    """After TakeBack: which readings are out again, with the months' sums without them where `known` has them."""
    if not made:
        return Reply(
            "That was taken back already."
            if by_button
            else "There is no entry of yours left to take back in this chat."
        )
    zone = zone_of(known.timezone)
    lines = [
        f"{words.entry(one.title, one.value, one.unit, one.kind)} ({words.moment(one.at, known.now, zone)})"
        for one in made
    ]
    pairs = dict.fromkeys(
        (one.name, one.title, one.unit, months.month_of(one.at, zone)) for one in made if one.kind == AMOUNT
    )
    sums = [
        f"{title}, {months.written(first, known.now, zone)}: {words.total(found.total, unit)}"
        f"{' ' + unit if unit else ''} in {words.entries(found.count)}."
        for name, title, unit, first in pairs
        if (found := sum_of(known.sums, name, first)) in known.sums
    ]
    head = (
        [f"Taken back: {lines[0]}."]
        if len(lines) == 1
        else [f"Taken back {words.entries(len(lines))}:", *words.first(lines)]
    )
    return Reply(words.sections([head, words.first(sums)]))


def nothing_to_export(month: date, known: Known) -> Reply:
    """Instead of an empty file."""
    return Reply(f"There is no reading of {months.written(month, known.now, zone_of(known.timezone))} in this chat.")


def _zone(known: Known) -> str:
    return f"Times and months here are those of {known.timezone}. Another zone: /timezone Europe/Dublin"


def _how() -> list[str]:
    return [
        *EXAMPLES,
        "",
        "The number first makes an amount, whose entries are summed. The name first makes a gauge, whose last value "
        "counts.",
    ]
