"""What people may say of a sensor beside its readings: its label, its unit, and whether its readings are summed."""

from dataclasses import asdict, dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from daybook import audit
from daybook.chat.values import AMOUNT, GAUGE
from daybook.models import Sensor, Source

LONGEST = {"label": 200, "unit": 64}
KINDS = (GAUGE, AMOUNT)


class BadSettings(ValueError):
    """Something of it cannot be kept. `complaints`: sentences by the field they are about."""

    def __init__(self, complaints: dict[str, list[str]]) -> None:
        super().__init__(" ".join(sentence for about in complaints.values() for sentence in about))
        self.complaints = complaints


@dataclass(frozen=True)
class SensorSettings:
    """The label may be empty: then the sensor goes by its name. `kind`: one of KINDS."""

    label: str
    unit: str
    kind: str


def checked(label: str, unit: str, kind: str) -> SensorSettings:
    """What was typed, as it is kept: in one line, without what cannot be shown. Raises BadSettings."""
    typed = {"label": _in_one_line(label), "unit": _in_one_line(unit)}
    complaints = {
        name: [f"The {name} has {len(text)} characters; at most {LONGEST[name]} are kept."]
        for name, text in typed.items()
        if len(text) > LONGEST[name]
    }
    if kind not in KINDS:
        complaints["kind"] = ["Choose one of the two."]
    if complaints:
        raise BadSettings(complaints)
    return SensorSettings(**typed, kind=kind)


def change(connection: Connection, sensor_id: int, wanted: SensorSettings) -> dict[str, tuple[str, str]]:
    """Keeps the settings of that sensor, and returns what has changed by that: (before, after) per field.

    Readings stay as they are. The caller commits. Raises LookupError when there is no such sensor.
    """
    fields = Source.name.label("source"), Sensor.name, Sensor.label, Sensor.unit, Sensor.kind
    query = sa.select(*fields).join(Source, Source.id == Sensor.source_id).where(Sensor.id == sensor_id)
    row = connection.execute(query.with_for_update(of=Sensor)).first()
    if row is None:
        raise LookupError(f"there is no sensor {sensor_id}")
    values = asdict(wanted) | {"label": "" if wanted.label == row.name else wanted.label}
    before = row._asdict()
    changes = {name: (before[name], value) for name, value in values.items() if before[name] != value}
    if changes:
        connection.execute(sa.update(Sensor).where(Sensor.id == sensor_id).values(values))
        audit.note(connection, "change", "sensor", sensor_id, f"{row.source}: {row.name}", changes)
    return changes


def _in_one_line(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " * letter.isspace() for letter in text).split())
