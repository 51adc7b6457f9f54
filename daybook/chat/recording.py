"""Entries into readings: which sensor each one means, at what time, and what the chat reads about it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, tzinfo

from daybook.chat import months, units, words
from daybook.chat.moments import BadMoment, resolve, zone_of
from daybook.chat.names import same_name
from daybook.chat.values import (
    AMOUNT,
    GAUGE,
    AddReading,
    Button,
    Entry,
    Known,
    MonthSum,
    Outcome,
    Record,
    Reply,
    SensorKnown,
    Unread,
)

HOW = "Write for example “12.50 groceries” or “temperature 21.4”."
_NEW = 0  # the id of a sensor that the message itself makes


# A new name that holds one of these, with the number behind it, is a sentence.
_SAID_TO_OTHERS = frozenset(
    """
    i i'm i'll i've i'd you you're you'll he's she's we we're we'll they're let's who what when where why how is are was
    were am did does should would could
    """.split()
)
# So is one that ends in these, if a whole number follows, or in those before so many minutes, hours or days.
_BEFORE_A_CLOCK = frozenset("at until till around about before after by".split())
_BEFORE_A_SPAN = _BEFORE_A_CLOCK | {"in", "for"}
_SPANS = frozenset(
    "s sec secs second seconds min mins minute minutes h hr hrs hour hours d day days week weeks".split()
)


class _Refused(ValueError):
    """The entry cannot be kept; the message is a clause that says why. is_talk: it may not be meant for the book."""

    def __init__(self, reason: str, is_talk: bool = False) -> None:
        super().__init__(reason)
        self.is_talk = is_talk


@dataclass(frozen=True)
class Planned:
    """An entry that will be kept. `sensor` is as it was before the entry; `is_new`: the entry decides on its kind."""

    entry: Entry
    sensor: SensorKnown
    is_new: bool
    at: datetime

    def month(self, zone: tzinfo) -> date:
        return months.month_of(self.at, zone)

    @property
    def text(self) -> str:
        return words.entry(self.sensor.title, self.entry.value, self.sensor.unit, self.sensor.kind)


def plan(
    record: Record, now: datetime, zone: tzinfo, sensors: Sequence[SensorKnown]
) -> tuple[list[Planned], list[Unread]]:
    """What of the record will be kept, and what is refused, each in the order of its lines."""
    known = list(sensors)
    planned: list[Planned] = []
    meant = {line.line: line.whole for line in record.unread if line.whole and same_name(line.whole.name, known)}
    refused = [line for line in record.unread if line.line not in meant]
    for entry in sorted((*record.entries, *meant.values()), key=lambda entry: entry.line):
        try:
            kept = _planned(entry, now, zone, known)
        except (_Refused, BadMoment) as reason:
            is_talk = isinstance(reason, _Refused) and reason.is_talk
            refused.append(Unread(entry.line, entry.text, str(reason), has_number=True, is_talk=is_talk))
            continue
        planned.append(kept)
        after = kept.sensor
        if after.last_time is None or after.last_time <= kept.at:
            after = replace(after, last_time=kept.at, last_value=kept.entry.value)
        known = [after if (one.id, one.name) == (after.id, after.name) else one for one in known]
        if kept.is_new:
            known.append(after)
    return planned, sorted(refused, key=lambda line: line.line)


def wanted_months(planned: Sequence[Planned], zone: tzinfo) -> tuple[tuple[str | None, date], ...]:
    """The sums that the answer will name."""
    return tuple(dict.fromkeys((kept.sensor.name, kept.month(zone)) for kept in planned if _is_amount(kept)))


def answer(record: Record, known: Known, message_id: int, edited: bool) -> Outcome:
    """Readings to add, and one reply that repeats what was understood."""
    zone = zone_of(known.timezone)
    planned, refused = plan(record, known.now, zone, known.sensors)
    effects = tuple(_effect(kept) for kept in planned)
    count = len(planned) + len(refused)
    not_kept = [_not_kept(line, alone=count == 1) for line in refused]
    if len(not_kept) > words.MANY // 2 and count > words.MANY:
        not_kept = words.first(not_kept, words.MANY // 2)
    if not planned:
        helps = not record.addressed and is_talk(refused)
        if helps and known.helped_lately and not edited:
            return Outcome()
        first = "Nothing of the edited message is kept." if edited else ""
        text = words.sections([[first] if first else [], not_kept, [HOW]])
        return Outcome((Reply(text),), helps=helps)
    lines = _lines(planned, known, zone) if count <= words.MANY else _in_short(planned, known, zone)
    if edited:
        lines = ["Corrected: " + lines[0]] if len(lines) == 1 else ["Corrected:", *lines]
    sums = [] if len(planned) == 1 else words.first(_sums(planned, known, zone))
    undo = Button("Undo" if len(planned) == 1 else f"Undo all {len(planned)}", f"undo:{message_id}")
    meant = {kept.sensor.id: kept.sensor for kept in planned if _meant_as_amount(kept)}
    sum_it = [Button(words.cut(f"Sum {one.title}", 40), f"amount:{one.id}") for one in list(meant.values())[:2]]
    buttons = ((undo,), tuple(sum_it)) if sum_it else ((undo,),)
    return Outcome((Reply(words.sections([lines, sums, not_kept]), buttons),), effects)


def is_talk(refused: Sequence[Unread]) -> bool:
    """Whether nothing among these lines was meant for the book."""
    return all(line.is_talk or not line.has_number for line in refused)


# --- which sensor, when


def _planned(entry: Entry, now: datetime, zone: tzinfo, known: Sequence[SensorKnown]) -> Planned:
    entry, found = _chosen(entry, known)
    if len(found) > 1:
        names = ", ".join(f"“{sensor.name}”" for sensor in found[:5])
        raise _Refused(f"its name can mean {names}; write it exactly as one of them")
    at = resolve(entry.when, now, zone)
    kind = AMOUNT if entry.number_first else GAUGE
    if not found:
        _check_no_sentence(entry)
        return Planned(entry, SensorKnown(_NEW, entry.name, entry.unit, kind), True, at)
    sensor = found[0]
    if sensor.is_blank:
        anew = replace(sensor, unit=entry.unit or sensor.unit, kind=kind, is_blank=False)
        return Planned(entry, anew, kind != sensor.kind, at)
    if entry.unit and sensor.unit and not units.same(entry.unit, sensor.unit):
        raise _Refused(f"{sensor.title} is kept in {sensor.unit}, not in {entry.unit}")
    return Planned(entry, replace(sensor, unit=sensor.unit or entry.unit), False, at)


def _check_no_sentence(entry: Entry) -> None:
    """People talk beside the bot: “see you at 7” is no sensor, and neither is “did you pay 20?”."""
    said = entry.name.casefold().replace("’", "'").split()
    if entry.number_first or entry.quoted or len(said) < 2:
        return
    ends_before = said[-1] in (_BEFORE_A_SPAN if entry.unit in _SPANS else _BEFORE_A_CLOCK if not entry.unit else ())
    if not _SAID_TO_OTHERS.isdisjoint(said) or (ends_before and entry.value.is_integer()):
        name = words.cut(entry.name, 60)
        raise _Refused(f"“{name}” reads like a sentence; if it is a name, write it in quotes: {_quoted(entry)}", True)


def _chosen(entry: Entry, known: Sequence[SensorKnown]) -> tuple[Entry, tuple[SensorKnown, ...]]:
    """The entry, or its other reading where only that one's name is known; with the sensors of that name."""
    if entry.whole and (named := same_name(entry.whole.name, known)):
        return entry.whole, named
    found = same_name(entry.name, known)
    if entry.other is None or found:
        return entry, found
    if others := same_name(entry.other.name, known):
        return entry.other, others
    if not entry.sure:
        one, two = entry, entry.other
        raise _Refused(
            f"it can be {words.number(one.value)} for “{one.name}” or {words.number(two.value)} for “{two.name}”; "
            f'put the name in quotes: {words.number(one.value)} "{one.name}" is summed, '
            f'"{one.name}" {words.number(one.value)} is a gauge'
        )
    return entry, ()


def _quoted(entry: Entry) -> str:
    value = words.number(entry.value)
    return f'{value} "{entry.name}"' if entry.number_first else f'"{entry.name}" {value}'


def _effect(kept: Planned) -> AddReading:
    entry, sensor = kept.entry, kept.sensor
    kind = AMOUNT if entry.number_first else GAUGE
    return AddReading(entry.line, sensor.name, kind, sensor.unit, kept.at, entry.value)


def _is_amount(kept: Planned) -> bool:
    return kept.sensor.kind == AMOUNT


def _meant_as_amount(kept: Planned) -> bool:
    """The number stands first, as it does for an amount, and the sensor has been a gauge until now: of money, or of
    what has no unit. Nobody sums temperatures."""
    sensor = kept.sensor
    if not kept.entry.number_first or _is_amount(kept) or kept.is_new or sensor.id == _NEW:
        return False
    return not sensor.unit or units.currency(sensor.unit) != ""


# --- in words


def _lines(planned: Sequence[Planned], known: Known, zone: tzinfo) -> list[str]:
    lines = []
    for kept in planned:
        line = kept.text + _when(kept, known.now, zone)
        if not _is_amount(kept):
            line += _change(kept, known.now, zone)
        line += f". {kept.entry.note}".rstrip()
        if kept.is_new:
            kind = "an amount: its entries are summed" if _is_amount(kept) else "a gauge: its last value counts"
            line += f" New here, kept as {kind}."
        if _meant_as_amount(kept):
            line += f" {kept.sensor.title} is a gauge here: its last value counts, and nothing is summed."
        if _is_amount(kept) and len(planned) == 1:
            line += f" {_sums(planned, known, zone)[0]}"
        lines.append(line)
    return lines


def _in_short(planned: Sequence[Planned], known: Known, zone: tzinfo) -> list[str]:
    """Of many entries, how many there are of what; the sums of amounts come behind."""
    if len(planned) <= words.MANY // 2:
        return _lines(planned, known, zone)
    of: dict[str, list[Planned]] = {}
    for kept in planned:
        of.setdefault(kept.sensor.name, []).append(kept)
    lines = []
    for kept_of in of.values():
        latest = max(kept_of, key=lambda kept: kept.at)
        line = f"{latest.sensor.title}: {words.entries(len(kept_of))}"
        if not _is_amount(latest):
            value = words.number(latest.entry.value, latest.sensor.unit, latest.sensor.kind)
            line += f", the last {value}{_unit(latest.sensor.unit)}"
        if any(kept.is_new for kept in kept_of):
            line += f". New here, kept as {'an amount' if _is_amount(latest) else 'a gauge'}"
        lines.append(f"{line}.")
    notes = [f"Line {kept.entry.line}: {kept.entry.note}" for kept in planned if kept.entry.note]
    head = f"{words.entries(len(planned))} kept:"
    return [head, *words.first(lines), *words.first(notes, words.MANY // 2)]


def _when(kept: Planned, now: datetime, zone: tzinfo) -> str:
    """The day and the time, where somebody wrote them."""
    when = kept.entry.when
    local = kept.at.astimezone(zone)
    if when.clock is not None:
        return f" {words.moment(kept.at, now, zone)}"
    return f" {words.day(local.date(), now, zone)}" if when.names_a_day else ""


def _change(kept: Planned, now: datetime, zone: tzinfo) -> str:
    """How the value of a gauge has changed since its last one; nothing when it was written down after a later one."""
    sensor = kept.sensor
    if sensor.last_time is None or sensor.last_value is None or sensor.last_time > kept.at:
        return ""
    by = words.difference(kept.entry.value, sensor.last_value)
    how = "the same as" if by == 0 else f"{words.plain_decimal(abs(by))} {'more' if by > 0 else 'less'} than"
    return f", {how} {words.moment(sensor.last_time, now, zone)}"


def _sums(planned: Sequence[Planned], known: Known, zone: tzinfo) -> list[str]:
    """Per amount and month of the entries: the sum with them, and how many there are."""
    added: dict[tuple[str, date], list[Planned]] = {}
    for kept in planned:
        if _is_amount(kept):
            added.setdefault((kept.sensor.name, kept.month(zone)), []).append(kept)
    return [_sum(kept, first, known, zone, named=len(planned) > 1) for (_, first), kept in added.items()]


def _sum(kept: Sequence[Planned], first: date, known: Known, zone: tzinfo, named: bool) -> str:
    sensor = kept[-1].sensor
    before = sum_of(known.sums, sensor.name, first)
    total = before.total + sum(one.entry.value for one in kept)
    so_far = " so far" if first == months.month_of(known.now, zone) else ""
    text = f"{words.total(total, sensor.unit)}{_unit(sensor.unit)} in {words.entries(before.count + len(kept))}."
    month = months.written(first, known.now, zone) + so_far
    return f"{sensor.title}, {month}: {text}" if named else f"{month}: {text}"


def _unit(unit: str) -> str:
    return f" {unit}" if unit else ""


def sum_of(sums: Sequence[MonthSum], name: str, first: date) -> MonthSum:
    """The sum of that sensor in that month; of nothing where it is not there."""
    return next((one for one in sums if (one.name, one.start) == (name, first)), MonthSum(name, first, 0.0, 0))


def _not_kept(line: Unread, alone: bool) -> str:
    if alone:
        return f"Not recorded: {line.reason}."
    return f"Not recorded: line {line.line}, “{words.cut(line.text, 60)}”: {line.reason}."
