"""The pictures and files that answers ask for, made when they are sent (daybook/outbox_sending.py)."""

import tempfile
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any, BinaryIO, cast

import numpy as np
from sqlalchemy.engine import Engine

from daybook import chart_pictures, exports, sql
from daybook.bot_api import FileToSend
from daybook.chat.values import GAUGE
from daybook.config import Settings
from daybook.exports import Export
from daybook.readings import open_reader
from daybook.times import zone_named

_MOST_POINTS = 500  # a telephone's width
_IN_MEMORY = 1024 * 1024


def chart(engine: Engine, settings: Settings, wanted: dict[str, Any]) -> FileToSend:
    """A picture of one sensor. Raises NotFound when the sensor is no more."""
    title, unit, timezone = wanted["title"], wanted["unit"], wanted["timezone"]
    first, last = _range(wanted)
    with open_reader(engine) as reader:
        sensor = reader.sensor(wanted["sensor_id"])
        if wanted["edges"]:
            edges = [*(sql.microseconds(datetime.fromisoformat(edge)) for edge in wanted["edges"]), last + 1]
            sums = np.array([reader.total(sensor.id, start, end - 1)[0] for start, end in pairwise(edges)])
            picture = chart_pictures.bars(edges[:-1], sums, title, unit, timezone, wanted["bar"])
        else:
            points = reader.points(replace(sensor, kind=GAUGE), first, last, _MOST_POINTS)
            picture = chart_pictures.line(points, title, unit, timezone, first, last + 1)
    return FileToSend("chart.png", picture, "image/png")


def export(engine: Engine, settings: Settings, wanted: dict[str, Any]) -> FileToSend:
    """A CSV file of every reading of a source in a month. Raises NotFound when the source is no more."""
    with open_reader(engine) as reader:
        source = reader.source_named(wanted["source_id"])
        sensors = reader.sensors(source).sensors
    first, last = _range(wanted)
    asked = Export(sensors, first, last, zone=zone_named(wanted["timezone"]), for_people=True)
    file = tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=str(settings.instance_path))  # noqa: SIM115 - closed when sent
    for piece in exports.stream(engine, asked):
        file.write(piece)
    file.seek(0)
    return FileToSend(wanted["filename"], cast(BinaryIO, file), "text/csv")


def _range(wanted: dict[str, Any]) -> tuple[int, int]:
    """The first and the last microsecond of what is wanted."""
    start, end = datetime.fromisoformat(wanted["start"]), datetime.fromisoformat(wanted["end"])
    return sql.microseconds(start), sql.microseconds(end) - 1
