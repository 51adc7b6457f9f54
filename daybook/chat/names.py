"""Which of the chat's sensors a name means: without regard to case and blanks, or by its beginning."""

from collections.abc import Iterable, Sequence

from daybook.chat.characters import key, without_stop
from daybook.chat.values import SensorKnown


def same_name(name: str, sensors: Iterable[SensorKnown]) -> tuple[SensorKnown, ...]:
    """The sensors of that name or label. Several where only case or blanks set them apart, and none is written so."""
    every = tuple(sensors)
    wanted = key(name)
    for found in (
        tuple(sensor for sensor in every if sensor.name == name),
        tuple(sensor for sensor in every if key(sensor.name) == wanted),
        tuple(sensor for sensor in every if sensor.label and key(sensor.label) == wanted),
        tuple(sensor for sensor in every if without_stop(key(sensor.name)) == without_stop(wanted)),
    ):
        if found:
            return found
    return ()


def meant(name: str, sensors: Sequence[SensorKnown]) -> tuple[SensorKnown, ...]:
    """The same, else those that begin with what was written, else those that hold it."""
    wanted = key(name)
    if found := same_name(name, sensors):
        return found
    begin = tuple(sensor for sensor in sensors if key(sensor.name).startswith(wanted) or _label(sensor, wanted))
    return begin or tuple(sensor for sensor in sensors if wanted in key(sensor.name) or wanted in key(sensor.label))


def in_order(sensors: Iterable[SensorKnown]) -> list[SensorKnown]:
    return sorted(sensors, key=lambda sensor: (key(sensor.title), sensor.id))


def _label(sensor: SensorKnown, wanted: str) -> bool:
    return bool(sensor.label) and key(sensor.label).startswith(wanted)
