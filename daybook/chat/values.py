"""What goes into the conversation and what comes out of it. Times are aware and in UTC; all values are immutable."""

from dataclasses import dataclass, field
from datetime import date, datetime, time

MOST_TEXT = 4096  # what Telegram takes in one message
MOST_CAPTION = 1024  # and under a picture or a file
MOST_DATA = 64  # bytes behind a button
MOST_NAME = 200

GAUGE = "gauge"
AMOUNT = "amount"


# --- what a text says, without knowing anything


@dataclass(frozen=True)
class When:
    """A day or a clock time as somebody wrote it. Without a year it means the last such day that has come.

    weekday: 0 is Monday. before_today: it is not today, also where that is the same weekday.
    """

    days_ago: int | None = None
    year: int | None = None
    month: int | None = None
    day: int | None = None
    clock: time | None = None
    weekday: int | None = None
    before_today: bool = False

    @property
    def names_a_day(self) -> bool:
        return self.days_ago is not None or self.day is not None or self.weekday is not None


@dataclass(frozen=True)
class Entry:
    """One number with its name. `number_first` makes a new sensor an amount.

    `note`: what to say of a number that others read in another way. `other`: the second way to read the line, taken
    when only its name is known; where `sure` is False and neither name is known, the line is refused. `quoted`: the
    name stood in quotation marks. `whole`: the line read without a weekday or the like, which may be part of its name:
    taken when that name is known.
    """

    name: str
    value: float
    unit: str = ""
    number_first: bool = False
    when: When = When()
    line: int = 1
    note: str = ""
    other: "Entry | None" = None
    sure: bool = True
    quoted: bool = False
    whole: "Entry | None" = None
    text: str = field(default="", compare=False)  # the line as it was written


@dataclass(frozen=True)
class Unread:
    """A line that was not understood, and why. `has_number`: somebody meant to record something. `is_talk`: it reads
    like something said to others. `whole`: as for Entry."""

    line: int
    text: str
    reason: str
    has_number: bool
    is_talk: bool = False
    whole: Entry | None = None


@dataclass(frozen=True)
class Record:
    """Lines to be kept, and those that could not be read; one of the two is not empty. `addressed`: as for Nothing."""

    entries: tuple[Entry, ...]
    unread: tuple[Unread, ...] = ()
    addressed: bool = False

    @property
    def readings(self) -> list[Entry]:
        """Every way in which a line of it may have to be read; which it is, the known names decide."""
        first = [*self.entries, *(line.whole for line in self.unread if line.whole)]
        return [*first, *(one for entry in first for one in (entry.other, entry.whole) if one)]


@dataclass(frozen=True)
class Command:
    """`name` in lower case and without its slash. `sensor_id`: the sensor that a button means; -1 for all."""

    name: str
    args: tuple[str, ...] = ()
    sensor_id: int | None = None


@dataclass(frozen=True)
class Undo:
    """The button under a record: take back what that message (its id in the book) made."""

    message_id: int


@dataclass(frozen=True)
class UndoFile:
    """The button under a file's account: take that upload back. It is no matter of the conversation: that takes
    longer than an answer may (daybook/chat_files.py)."""

    upload_id: int


@dataclass(frozen=True)
class Nothing:
    """A text without a number, which is answered with help; or a button that nobody made.

    `addressed`: it is meant for the bot, not for others in the group: it begins like a command, mentions the bot, or
    replies to one of its messages.
    """

    addressed: bool = False


@dataclass(frozen=True)
class NotForUs:
    """A command that names another bot: no answer."""


Said = Record | Command | Undo | UndoFile | Nothing | NotForUs


# --- what is known


@dataclass(frozen=True)
class SensorKnown:
    """A sensor of the chat's source. `last_time` and `last_value`: its latest reading that counts.

    `is_blank`: all that was kept of it has been taken back, so the next entry makes it what it is.
    """

    id: int
    name: str
    unit: str = ""
    kind: str = GAUGE
    last_time: datetime | None = None
    last_value: float | None = None
    label: str = ""
    is_blank: bool = False

    @property
    def title(self) -> str:
        return self.label or self.name


@dataclass(frozen=True)
class MonthSum:
    """The sum of one sensor in the month that begins with `start` (the first of the month, in the chat's zone)."""

    name: str
    start: date
    total: float
    count: int


@dataclass(frozen=True)
class Known:
    """What an answer may know. `now`: the time of the message, also when it is handled later or edited.

    `sums`: what `conversation.wants` asked for; a month that is not there has no reading. `empty_month`: the month that
    it asked for, where no sensor has a reading in it. `helped_lately`: idle talk in this group has been answered with
    help within a day of `now`.
    """

    now: datetime
    timezone: str = "UTC"
    sensors: tuple[SensorKnown, ...] = ()
    sums: tuple[MonthSum, ...] = ()
    upload_page: str = ""
    empty_month: date | None = None
    helped_lately: bool = False


@dataclass(frozen=True)
class Wants:
    """Sums that the answer needs: (name of a sensor, or None for every amount; first of the month). `any_in`: a month
    of which it needs to know whether there is any reading. `helped_lately`: it needs that too, in a group."""

    months: tuple[tuple[str | None, date], ...] = ()
    any_in: date | None = None
    helped_lately: bool = False


# --- what comes out


@dataclass(frozen=True)
class AddReading:
    """Keep this reading, of that line of the message. A `name` that no sensor has yet gets `kind_if_new`."""

    line: int
    name: str
    kind_if_new: str
    unit: str
    at: datetime
    value: float


@dataclass(frozen=True)
class TakeBack:
    """Take back the sender's last entry that still counts."""


@dataclass(frozen=True)
class SetTimezone:
    """The chat's time zone from now on; an IANA name."""

    name: str


@dataclass(frozen=True)
class MakeAmount:
    """The readings of that gauge are summed from now on."""

    sensor: SensorKnown


Effect = AddReading | TakeBack | SetTimezone | MakeAmount


@dataclass(frozen=True)
class Button:
    """`data` comes back when it is pressed; at most 64 bytes."""

    text: str
    data: str


@dataclass(frozen=True)
class ChartWanted:
    """A picture to draw from the readings in start <= time < end.

    `edges`: the bars' beginnings (for an amount), of which the last ends at `end`; empty for a gauge, which is a line.
    """

    sensor_id: int
    title: str
    unit: str
    kind: str
    range: str
    start: datetime
    end: datetime
    timezone: str
    edges: tuple[datetime, ...] = ()
    bar: str = ""  # "day" or "month"


@dataclass(frozen=True)
class ExportWanted:
    """A CSV file of every reading of the chat's source in start <= time < end."""

    month: date
    start: datetime
    end: datetime
    timezone: str
    filename: str


@dataclass(frozen=True)
class Reply:
    """One message out; with a chart or an export the text is its caption (at most 1,024 characters)."""

    text: str
    buttons: tuple[tuple[Button, ...], ...] = ()
    chart: ChartWanted | None = None
    export: ExportWanted | None = None


@dataclass(frozen=True)
class Outcome:
    """What to say and what to do. With TakeBack the reply comes after it, from `replies.taken_back`.

    `helps`: it is help for what may not have been meant for the bot, which a group reads once a day at most.
    """

    replies: tuple[Reply, ...] = ()
    effects: tuple[Effect, ...] = ()
    helps: bool = False


@dataclass(frozen=True)
class Made:
    """A reading that a message made, as `replies.taken_back` names it."""

    name: str
    value: float
    unit: str
    kind: str
    at: datetime
    label: str = ""

    @property
    def title(self) -> str:
        return self.label or self.name


@dataclass(frozen=True)
class FileAccount:
    """What became of a file: the account of its lines (their sum is `total`) and of its readings. `assumed_zone`: the
    zone in which its times were read because neither the file nor its caption names one."""

    filename: str
    total: int
    preamble: int
    blank: int
    read: int
    rejected: int
    added: int
    duplicates: int
    sensors: tuple[str, ...] = ()
    first: datetime | None = None
    last: datetime | None = None
    issues: tuple[tuple[int, str], ...] = field(default=())  # line, reason
    assumed_zone: str = ""
