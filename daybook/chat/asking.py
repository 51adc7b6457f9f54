"""Commands that ask: which sensors, latest values, sums of a month, pictures and files."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta, tzinfo

from daybook.chat import months, names, replies, words
from daybook.chat.moments import zone_of
from daybook.chat.questions import ALL, RANGES, Asked, asked, without_month
from daybook.chat.recording import sum_of
from daybook.chat.values import (
    AMOUNT,
    MOST_CAPTION,
    Button,
    ChartWanted,
    Command,
    ExportWanted,
    Known,
    Reply,
    SensorKnown,
)

MOST_BUTTONS = 24


# --- the answers


def sensors(command: Command, known: Known) -> Reply:
    """/sensors"""
    if not known.sensors:
        return Reply(words.NOTHING_YET)
    lines = [f"{_described(sensor)}" for sensor in names.in_order(known.sensors)]
    return Reply(words.fitted([f"{words.counted(len(lines), 'sensor', 'sensors')} in this chat:", *lines]))


def latest(command: Command, known: Known) -> Reply:
    """/latest [name]"""
    zone = zone_of(known.timezone)
    question = asked(command, known.now, zone, known.sensors)
    if not known.sensors:
        return Reply(words.NOTHING_YET)
    if question.sensors is None:
        return Reply(words.fitted(_last(sensor, known.now, zone) for sensor in names.in_order(known.sensors)))
    if len(question.sensors) != 1:
        return _which(question, known.sensors, "latest", "")
    return Reply(_last(question.sensors[0], known.now, zone))


def sums(command: Command, known: Known) -> Reply:
    """/sum [name] [month]"""
    zone = zone_of(known.timezone)
    question = asked(command, known.now, zone, known.sensors)
    month = question.month
    if question.bad_month and known.sensors:
        named = f"{question.name} " if question.name else ""
        return Reply(
            words.cut(f"“{words.cut(question.bad_month, 80)}” is not a month. Write ", 200)
            + words.cut(f"/sum {named}november or /sum {named}{month:%Y-%m}.", MOST_CAPTION)
        )
    amounts = [sensor for sensor in names.in_order(known.sensors) if sensor.kind == AMOUNT]
    if question.sensors and len(question.sensors) == 1 and question.sensors[0].kind != AMOUNT:
        return _not_summed(question.sensors[0])
    if not amounts:
        return Reply("There are no amounts here yet. Write the number first to make one, such as “12.50 groceries”.")
    chosen = None
    if question.sensors is not None:
        # Among several only amounts have sums.
        fitting = tuple(sensor for sensor in question.sensors if sensor.kind == AMOUNT)
        if len(fitting) != 1:
            return _which(replace(question, sensors=fitting), amounts, "sum", f":{month:%Y-%m}")
        chosen = fitting[0]
    written = months.written(month, known.now, zone)
    if month == months.month_of(known.now, zone):
        written += " so far"
    before = months.next_month(month, -1)
    target = chosen.id if chosen else ALL
    back = ((Button(months.written(before, known.now, zone), f"sum:{target}:{before:%Y-%m}"),),)
    if chosen:
        return Reply(words.cut(f"{chosen.title}, {written}: {_sum(chosen, month, known)}", MOST_CAPTION), back)
    lines = [
        f"{sensor.title}: {_sum(sensor, month, known)}"
        for sensor in amounts
        if sum_of(known.sums, sensor.name, month).count
    ]
    return Reply(words.fitted([f"{written}:", *lines]) if lines else f"{written}: no entries.", back)


def _not_summed(gauge: SensorKnown) -> Reply:
    text = (
        f"{gauge.title} is a gauge, whose values are not summed. The button makes it an amount. "
        "Its last value is what /latest shows, and /chart draws it."
    )
    return Reply(words.cut(text, MOST_CAPTION), ((Button(words.cut(f"Sum {gauge.title}", 40), f"amount:{gauge.id}"),),))


def chart(command: Command, known: Known) -> Reply:
    """/chart name [7d|30d|1y]"""
    zone = zone_of(known.timezone)
    question = asked(command, known.now, zone, known.sensors)
    if not known.sensors:
        return Reply(words.NOTHING_YET)
    if question.bad_range:
        return Reply(
            words.cut(
                f"A picture shows 7d, 30d or 1y, not {words.cut(question.bad_range, 80)}: "
                f"/chart {f'{question.name} ' if question.name else ''}30d",
                MOST_CAPTION,
            )
        )
    chosen = question.sensors
    if chosen is None and len(known.sensors) == 1:
        chosen = known.sensors
    if chosen is None or len(chosen) != 1:
        return _which(question, known.sensors, "chart", f":{question.range}")
    sensor = chosen[0]
    if sensor.last_time is None:
        return Reply(f"{sensor.title} has no readings to draw yet.")
    wanted = _chart_of(sensor, question.range, known.now, sensor.last_time, known.timezone)
    others = [
        Button(label, f"chart:{sensor.id}:{name}") for name, (label, _) in RANGES.items() if name != question.range
    ]
    return Reply(_caption(wanted, sensor.last_time, known.now, zone), (tuple(others),), chart=wanted)


def export(command: Command, known: Known) -> Reply:
    """/export [month]"""
    zone = zone_of(known.timezone)
    if not known.sensors:
        return Reply(words.NOTHING_YET)
    rest, month = without_month(command.args, known.now, zone)
    if rest:
        return Reply(
            words.cut(
                f"“{' '.join(rest)}” is not a month. Write /export november, /export 2026-10 or /export alone "
                "for this month.",
                MOST_CAPTION,
            )
        )
    month = month or months.month_of(known.now, zone)
    if month == known.empty_month:
        return replies.nothing_to_export(month, known)
    start, end = months.bounds(month, zone)
    wanted = ExportWanted(month, start, end, known.timezone, f"daybook-{month:%Y-%m}.csv")
    return Reply(f"Every reading of {months.written(month, known.now, zone)} in this chat.", export=wanted)


ANSWERS: dict[str, Callable[[Command, Known], Reply]] = {
    "sensors": sensors,
    "latest": latest,
    "sum": sums,
    "chart": chart,
    "export": export,
}


# --- parts


def _which(question: Asked, every: Sequence[SensorKnown], command: str, tail: str) -> Reply:
    """Buttons for what a name can mean; for every one when it means nothing, or when there was none."""
    found = names.in_order(question.sensors or every)
    shown = found[:MOST_BUTTONS]
    buttons = [Button(words.cut(sensor.title, 40), f"{command}:{sensor.id}{tail}") for sensor in shown]
    rows = tuple(tuple(buttons[at : at + 2]) for at in range(0, len(buttons), 2))
    if question.sensors:
        text = f"“{question.name}” can be {len(found)} sensors. Which one?"
    elif question.sensors is None:
        text = "Which one?"
    elif question.name:
        kind = "no amount" if command == "sum" else "no"
        text = f"There is {kind} “{question.name}” here. Which one?"
    else:
        text = "That sensor is not here any more. Which one?"
    more = (
        f" These are the first {len(shown)} of {len(found)}; write more of the name." if len(found) > len(shown) else ""
    )
    return Reply(words.cut(text, MOST_CAPTION) + more, rows)


def _described(sensor: SensorKnown) -> str:
    about = ", ".join(part for part in (sensor.kind, sensor.unit) if part)
    name = f"{sensor.label} ({sensor.name})" if sensor.label and sensor.label != sensor.name else sensor.name
    return f"{name}: {about}"


def _last(sensor: SensorKnown, now: datetime, zone: tzinfo) -> str:
    if sensor.last_time is None or sensor.last_value is None:
        return f"{sensor.title}: no readings"
    value = words.number(sensor.last_value, sensor.unit, sensor.kind)
    return f"{sensor.title}: {value}{_unit(sensor.unit)}, {words.moment(sensor.last_time, now, zone)}"


def _sum(sensor: SensorKnown, month: date, known: Known) -> str:
    found = sum_of(known.sums, sensor.name, month)
    if not found.count:
        return "no entries"
    return f"{words.total(found.total, sensor.unit)}{_unit(sensor.unit)} in {words.entries(found.count)}"


def _unit(unit: str) -> str:
    return f" {unit}" if unit else ""


def _chart_of(sensor: SensorKnown, span: str, now: datetime, last: datetime, timezone: str) -> ChartWanted:
    """Up to now; up to the last reading where that lies outside: files from the field are old when they arrive."""
    latest = now + timedelta(minutes=5)
    if sensor.kind != AMOUNT:
        span_of_time = timedelta(days=RANGES[span][1])
        end = now if now - span_of_time <= last <= latest else last
        start, after = end - span_of_time, end + timedelta(seconds=1)
        return ChartWanted(sensor.id, sensor.title, sensor.unit, sensor.kind, span, start, after, timezone)
    zone = zone_of(timezone)
    *edges, after = _edges(now, span, zone)
    if not edges[0] <= last <= latest:
        *edges, after = _edges(last, span, zone)
    bar = "month" if span == "1y" else "day"
    return ChartWanted(
        sensor.id, sensor.title, sensor.unit, sensor.kind, span, edges[0], after, timezone, tuple(edges), bar
    )


def _edges(end: datetime, span: str, zone: tzinfo) -> list[datetime]:
    """Where the bars begin, the last one holding `end`, and where that one ends: midnights of the chat's zone."""
    today = end.astimezone(zone).date()
    if span == "1y":
        starts = [months.next_month(today.replace(day=1), count) for count in range(-11, 2)]
    else:
        starts = [today + timedelta(days=count) for count in range(1 - RANGES[span][1], 2)]
    return [months.midnight(start, zone) for start in starts]


def _caption(wanted: ChartWanted, last: datetime, now: datetime, zone: tzinfo) -> str:
    text = f"{wanted.title}, {RANGES[wanted.range][0]}"
    if wanted.end < now:
        text += f" up to its last reading {words.day(last.astimezone(zone).date(), now, zone)}"
    return text + "."
