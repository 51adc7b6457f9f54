"""Reading the book: which sensors there are, their latest readings, ranges, and figures per bucket of time.

Everything goes through a Reader, which sees one state of the book from its first query to its last. Readings of an
upload that is not finished (or is being taken out) are not there for it: an import is whole, or it is not there.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from daybook import sql
from daybook.buckets import ORIGIN, Bucket, suiting
from daybook.charts import MOST_BARS, Points
from daybook.models import UNFINISHED, Sensor, Source, Upload
from daybook.times import EARLIEST, LATEST, Micros

Floats = npt.NDArray[np.float64]

# Rows per query of a stream: enough that a query costs little beside its rows. More are no faster on PostgreSQL, and
# slower on SQLite, where every row is a Python object for a moment.
BLOCK = 10_000

# A sum beyond the largest double is an error for PostgreSQL and infinite for SQLite. Summed a power of two smaller it
# cannot get there, and loses nothing; what is too small to be divided so adds nothing to a sum either.
_SCALE = 2.0**64
_FIGURES = (
    "min(value), max(value), "
    f"sum(CASE WHEN abs(value) > 1e-280 THEN value * {1 / _SCALE!r} ELSE 0 END), CAST(count(*) AS bigint)"
)

_UNFINISHED_UPLOADS = sa.select(Upload.id).where(Upload.status.in_(UNFINISHED))


class NotFound(LookupError):
    """There is no such source or sensor; the message names it."""


@dataclass(frozen=True)
class SensorRow:
    """A sensor as lists show it. `count` is its number of readings."""

    id: int
    source: str
    name: str
    unit: str
    label: str
    kind: str
    count: int

    @property
    def title(self) -> str:
        """What people call it: the label where it has one, else its name."""
        return self.label or self.name


@dataclass(frozen=True)
class Last:
    """The latest reading of a sensor: when (microseconds since 1970, UTC) and what."""

    time: int
    value: float


@dataclass(frozen=True)
class Page:
    """Some sensors of a longer list. `next` is what asks for those after them; None at the end."""

    sensors: list[SensorRow]
    next: int | None


@dataclass(frozen=True)
class Block:
    """Readings of one sensor in order of time."""

    times: Micros
    values: Floats


@dataclass(frozen=True)
class Buckets:
    """Figures of one sensor per bucket, in order of time; buckets without a reading are not there.

    `times` are the buckets' starts. A sum too large for a double is infinite.
    """

    times: Micros
    least: Floats
    most: Floats
    mean: Floats
    sum: Floats
    count: npt.NDArray[np.int64]


@contextmanager
def open_reader(engine: Engine) -> Iterator["Reader"]:
    """A Reader on a connection of its own, which is given back at the end."""
    with sql.snapshot(engine) as connection:
        yield Reader(connection)


class Reader:
    """Asks the book on one connection. Times are microseconds since 1970 (UTC); both ends of a range belong to it.

    later: the first question is asked when somebody asks it, within a transaction of the caller's. Else it is asked at
    once, and the book stays as it is now for as long as the connection's snapshot lasts.
    """

    def __init__(self, connection: Connection, later: bool = False) -> None:
        self.connection = connection
        if not later:
            _ = self._finished

    @cached_property
    def _finished(self) -> str:
        """The condition that leaves out what counts for nobody; empty where there is nothing of that kind."""
        unfinished = self.connection.scalars(_UNFINISHED_UPLOADS).all()
        hidden = ", ".join(str(int(upload_id)) for upload_id in unfinished)
        return f" AND (upload_id IS NULL OR upload_id NOT IN ({hidden}))" if hidden else ""

    # --- which sensors

    def sources(self) -> list[str]:
        """The names of all sources, in order."""
        return list(self.connection.scalars(sa.select(Source.name).order_by(self._sorted(Source.name))))

    def source_named(self, source_id: int) -> str:
        """The name of that source; raises NotFound."""
        name = self.connection.scalar(sa.select(Source.name).where(Source.id == source_id))
        if name is None:
            raise NotFound(f"there is no source {source_id}")
        return name

    def sensor(self, sensor_id: int) -> SensorRow:
        """That sensor; raises NotFound."""
        row = self.connection.execute(_sensors().where(Sensor.id == sensor_id)).first()
        if row is None:
            raise NotFound(f"there is no sensor {sensor_id}")
        return SensorRow(*row)

    def sensors(
        self, source: str | None = None, search: str = "", after: int | None = None, limit: int | None = None
    ) -> Page:
        """Sensors by source and name: of one source, with `search` in a name, from behind the sensor `after`.

        Raises NotFound for a source or an `after` that does not exist.
        """
        order = self._sorted(Source.name), self._sorted(Sensor.name), Sensor.id
        query = _sensors().order_by(*order)
        if source is not None:
            query = query.where(Sensor.source_id == self._source_id(source))
        if search:
            columns = Source.name, Sensor.name, Sensor.label
            query = query.where(sa.or_(*(column.icontains(_plain(search), autoescape=True) for column in columns)))
        if after is not None:
            place = self.sensor(after)
            query = query.where(sa.tuple_(*order) > sa.tuple_(place.source, place.name, place.id))
        rows = [SensorRow(*row) for row in self.connection.execute(query.limit(limit + 1 if limit else None))]
        if limit is None or len(rows) <= limit:
            return Page(rows, None)
        return Page(rows[:limit], rows[limit - 1].id)

    def chosen(self, source: str | None, names: Iterable[str]) -> list[SensorRow]:
        """The sensors of these names (all, when there are none), of one source or of every source that has them.

        Raises NotFound, naming the source or sensor that does not exist.
        """
        names = list(dict.fromkeys(names))
        sensors = self.sensors(source).sensors
        if not names:
            return sensors
        known = {sensor.name for sensor in sensors}
        for name in names:
            if name not in known:
                where = f'source "{source}" has no sensor "{name}"' if source else f'there is no sensor "{name}"'
                raise NotFound(where)
        return [sensor for sensor in sensors if sensor.name in names]

    def _source_id(self, name: str) -> int:
        found = self.connection.scalar(sa.select(Source.id).where(Source.name == _plain(name)))
        if found is None:
            raise NotFound(f'there is no source "{name}"')
        return found

    def _sorted(self, column: Any) -> sa.ColumnElement[str]:
        return sql.by_bytes(self.connection, column)

    # --- their readings

    def latest(self, sensor_ids: Sequence[int]) -> dict[int, Last]:
        """The latest reading of each of these sensors that has one."""
        if not sensor_ids:
            return {}
        ids, times, values = sql.latest(self.connection, list(sensor_ids), self._finished)
        return {int(key): Last(int(time), float(value)) for key, time, value in zip(ids, times, values, strict=True)}

    def span(self, sensor_id: int, first: int = EARLIEST, last: int = LATEST) -> tuple[int, int] | None:
        """The times of the sensor's first and last reading within the range; None if it has none there."""
        start = self._nearest(sensor_id, first, last, "ASC")
        if start is None:
            return None
        end = self._nearest(sensor_id, start, last, "DESC")
        return start, start if end is None else end

    def spans(self, sensor_ids: Iterable[int], first: int = EARLIEST, last: int = LATEST) -> tuple[int, int] | None:
        """The first and last time of any of these sensors within the range."""
        found = [span for sensor_id in sensor_ids if (span := self.span(sensor_id, first, last))]
        return (min(start for start, _ in found), max(end for _, end in found)) if found else None

    def holds_more_than(self, limit: int, sensor_id: int, first: int, last: int) -> bool:
        """Whether the sensor has more readings in the range; looks at no more than it takes to know."""
        query = f"SELECT time FROM {self._range()} ORDER BY time LIMIT 1 OFFSET :limit"  # noqa: S608
        (times,) = sql.columns(self.connection, query, {**_range(sensor_id, first, last), "limit": limit}, "t")
        return len(times) > 0

    def raw(self, sensor_id: int, first: int = EARLIEST, last: int = LATEST, size: int = BLOCK) -> Iterator[Block]:
        """The sensor's readings in the range, as blocks of at most `size`."""
        query = f"SELECT time, value FROM {self._range()} ORDER BY time LIMIT :size"  # noqa: S608
        while first <= last:
            values = {**_range(sensor_id, first, last), "size": size}
            times, readings = sql.columns(self.connection, query, values, "tf")
            if len(times):
                yield Block(times, readings)
            if len(times) < size:
                return
            first = int(times[-1]) + 1

    def bucketed(
        self, sensor_id: int, bucket: Bucket, first: int = EARLIEST, last: int = LATEST, size: int = BLOCK
    ) -> Iterator[Buckets]:
        """The figures of the sensor's readings in the range per bucket, as blocks of at most `size` buckets."""
        span = self.span(sensor_id, first, last)
        while span:
            start, end = span
            stop = min(bucket.start(bucket.number(start) + size) - 1, end)
            query = self._fixed if bucket.fixed else self._calendar
            yield query(sensor_id, bucket, start, stop)
            # The next block begins with the next reading, so that a gap of years costs nothing.
            span = self.span(sensor_id, stop + 1, end) if stop < end else None

    def total(self, sensor_id: int, first: int, last: int) -> tuple[float, int]:
        """The sum of the sensor's readings in the range, and how many they are. A sum too large is infinite."""
        scaled = f"sum(CASE WHEN abs(value) > 1e-280 THEN value * {1 / _SCALE!r} ELSE 0 END)"
        # In one question with what is left out: every entry of a chat asks for the sum of its month.
        query = (
            f"SELECT coalesce({scaled}, 0.0), CAST(count(*) AS bigint) FROM reading "  # noqa: S608
            "WHERE sensor_id = :sensor AND time BETWEEN :first AND :last AND "
            f"(upload_id IS NULL OR upload_id NOT IN (SELECT id FROM upload WHERE status IN {UNFINISHED}))"
        )
        sums, counts = sql.columns(self.connection, query, _range(sensor_id, first, last), "fi")
        with np.errstate(over="ignore"):
            return float(sums[0] * _SCALE), int(counts[0])

    def points(self, sensor: SensorRow, first: int, last: int, most: int) -> Points:
        """What a chart of the range draws: the readings themselves where there are at most `most`, else buckets.

        Amounts are always summed per bucket, and into no more of them than one can tell apart as bars.
        """
        amount = sensor.kind == "amount"
        if not amount and not self.holds_more_than(most, sensor.id, first, last):
            blocks = list(self.raw(sensor.id, first, last, most + 1))
            times = np.concatenate([block.times for block in blocks]) if blocks else np.empty(0, np.int64)
            values = np.concatenate([block.values for block in blocks]) if blocks else np.empty(0)
            return Points("", 0, times, values, values, values, values, np.ones(len(times), np.int64))
        span = self.span(sensor.id, first, last)
        if span is None:
            empty = np.empty(0)
            return Points("", 0, np.empty(0, np.int64), empty, empty, empty, empty, np.empty(0, np.int64))
        bucket = suiting(*span, min(most, MOST_BARS) if amount else most)
        (found,) = self.bucketed(sensor.id, bucket, *span, size=bucket.covering(*span))
        figures = found.least, found.most, found.mean, found.sum, found.count
        return Points(str(bucket), bucket.roughly, found.times, *figures)

    def _fixed(self, sensor_id: int, bucket: Bucket, first: int, last: int) -> Buckets:
        query = sql.bucket_query(self.connection, _FIGURES, self._range())
        values = {
            **_range(sensor_id, first, last),
            "width": sql.bucket_values(self.connection, bucket.fixed or 0),
            "origin": sql.moment(ORIGIN),
            "earliest": sql.moment(EARLIEST),
        }
        return _figures(*sql.columns(self.connection, query, values, "tfffi"))

    def _calendar(self, sensor_id: int, bucket: Bucket, first: int, last: int) -> Buckets:
        query = sql.calendar_query(self.connection, _FIGURES, f"reading WHERE sensor_id = :sensor{self._finished}")
        edges = list(bucket.edges(first, last))
        within = [first, *edges[1:-1], last + 1]
        values = {**_range(sensor_id, first, last), "edges": sql.edge_values(self.connection, within)}
        numbers, *figures = sql.columns(self.connection, query, values, "ifffi")
        return _figures(np.array(edges, np.int64)[numbers], *figures)

    def _nearest(self, sensor_id: int, first: int, last: int, direction: str) -> int | None:
        query = f"SELECT time FROM {self._range()} ORDER BY time {direction} LIMIT 1"  # noqa: S608
        (times,) = sql.columns(self.connection, query, _range(sensor_id, first, last), "t")
        return int(times[0]) if len(times) else None

    def _range(self) -> str:
        return f"reading WHERE sensor_id = :sensor AND time BETWEEN :first AND :last{self._finished}"


def _sensors() -> sa.Select[int, str, str, str, str, str, int]:
    columns = Sensor.id, Source.name, Sensor.name, Sensor.unit, Sensor.label, Sensor.kind, Sensor.reading_count
    return sa.select(*columns).join(Source, Source.id == Sensor.source_id)


def _range(sensor_id: int, first: int, last: int) -> dict[str, Any]:
    return {"sensor": sensor_id, "first": sql.moment(first), "last": sql.moment(last)}


def _figures(times: Micros, least: Floats, most: Floats, scaled: Floats, count: npt.NDArray[np.int64]) -> Buckets:
    with np.errstate(over="ignore"):
        return Buckets(times, least, most, scaled / count * _SCALE, scaled * _SCALE, count)


def _plain(text: str) -> str:
    # PostgreSQL's text cannot hold NUL, so nothing is named so; U+FFFD finds the same nothing without an error.
    return text.replace("\0", "\ufffd")
