"""What the chat reads about a file that was dropped into it."""

from datetime import datetime

from daybook.chat import words
from daybook.chat.moments import zone_of
from daybook.chat.values import Button, FileAccount, Reply

_MOST_FILENAME = 100
# What a person can say of a file in the chat, by the error that it mends.
_IN_A_CAPTION = {"ambiguous_dates": 'Send it again with the caption "date order: dmy" (or mdy, or ymd).'}


def too_large(filename: str, page: str) -> Reply:
    """Telegram lets bots fetch 20 MB; `page`: the address of the upload page, or empty."""
    where = f"Upload it on {page}" if page else "Upload it on Daybook's page “Uploads”"
    return Reply(f"{_name(filename)} is larger than the 20 MB that bots can fetch. {where}, which takes any size.")


def unreachable(filename: str) -> Reply:
    """Of a document that Telegram describes without saying how to fetch it."""
    return failed(filename, "Telegram does not say where it is. Send it again.")


def taken(filename: str) -> Reply:
    """The message that `progress` and then `done` replace."""
    return Reply(f"{_name(filename)}: fetching it.")


def edited_too_late(filename: str) -> Reply:
    """To an edit of the message that brought the file, when that is being imported already, or has been."""
    return Reply(
        f"{_name(filename)} was taken as you had sent it first, so the edit changes nothing. If it is in, press Undo "
        "under its account; then send it again as it is now."
    )


def progress(filename: str, done: int, total: int | None, readings: int) -> Reply:
    """`done` and `total` in bytes; None where the size is not known."""
    share = f"{min(100, 100 * done // total)} %" if total else f"{done / 1_000_000:.1f} MB"
    return Reply(f"{_name(filename)}: {share}, {words.counted(readings, 'reading', 'readings')} so far.")


def done(account: FileAccount, now: datetime, timezone: str, upload_id: int) -> Reply:
    """The account of its lines, none left out, and every rejected one with its number and why."""
    lines = [
        f"{_name(account.filename)} is in: {words.counted(account.added, 'reading', 'readings')} added"
        + (f", {words.counted(account.duplicates, 'was', 'were')} there already" if account.duplicates else "")
        + f", {_sensors(account.sensors)}."
    ]
    if account.first is not None and account.last is not None:
        zone = zone_of(timezone)
        lines.append(
            f"From {_bare(words.moment(account.first, now, zone))} to {_bare(words.moment(account.last, now, zone))}."
        )
    before, blank, read, rejected = (
        words.grouped(count) for count in (account.preamble, account.blank, account.read, account.rejected)
    )
    lines.append(
        f"{words.counted(account.total, 'line', 'lines')}: {before} before the readings, "
        f"{blank} blank, {read} read, {rejected} rejected."
    )
    assumed = []
    if account.assumed_zone and account.assumed_zone != timezone:
        assumed.append(
            f"Times without a zone were read as {account.assumed_zone}. To read them in this chat's zone, press Undo "
            f'and send it again with the caption "timezone: {timezone}".'
        )
    issues = [f"Line {line}: {reason}" for line, reason in account.issues]
    if account.rejected > len(issues):
        issues.append(f"{words.counted(account.rejected - len(issues), 'more', 'more')} on the upload's page.")
    text = words.sections([lines, assumed, issues])
    return Reply(text, ((Button("Undo", f"undo-file:{upload_id}"),),))


def failed(filename: str, reason: str, code: str = "") -> Reply:
    """Nothing of it is in the book. `reason`: a sentence; `code`: that of an upload's error."""
    how = f" {_IN_A_CAPTION[code]}" if code in _IN_A_CAPTION else ""
    text = f"{_name(filename)} was not taken, and nothing of it is kept. {words.sentence(reason)}"
    return Reply(words.cut(text, 3000) + how)


def undone(filename: str, readings: int) -> Reply:
    """After the button under `done`."""
    return Reply(f"{_name(filename)} is out again, with its {words.counted(readings, 'reading', 'readings')}.")


def _name(filename: str) -> str:
    return words.cut(filename or "The file", _MOST_FILENAME)


def _bare(text: str) -> str:
    return "today, " + text.removeprefix("at ") if text.startswith("at ") else text.removeprefix("on ")


def _sensors(names: tuple[str, ...]) -> str:
    if not names:
        return "no sensors"
    shown = ", ".join(words.cut(name, 60) for name in names[:8])
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"{words.counted(len(names), 'sensor', 'sensors')} ({shown}{more})"
