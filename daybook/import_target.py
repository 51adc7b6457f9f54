"""Where the readings of an import go: its source, locked for it alone, and the sensors that its file names."""

from collections.abc import Callable
from typing import cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from daybook import removal, sources, sql
from daybook.config import Settings
from daybook.formats.batch import Batch, Series
from daybook.formats.layout import Layout
from daybook.models import Sensor, Upload, UploadSensor
from daybook.source_lock import take_source
from daybook.upload_options import ImportRefused

MAX_SENSORS = 10_000  # of one file: each is held in memory, and a column of comments is no column of names
_SOURCE_WAIT_SECONDS = 600


class Target:
    """The source and the sensors of one import. sensors: their ids by name; source_id: 0 until the source is open."""

    def __init__(self, engine: Engine, settings: Settings, locks: sql.Locks, upload_id: int) -> None:
        self.source = ""
        self.source_id = 0
        self.sensors: dict[str, int] = {}
        self._engine = engine
        self._settings = settings
        self._locks = locks
        self._upload_id = upload_id
        self._units: dict[str, str] = {}

    def open(self, name: str, layout: Layout | None, replaces: int | None, wait: Callable[[], None]) -> None:
        """Finds the source and waits for its turn, calling `wait` meanwhile: one import at a time writes into a source,
        so that no reading is passed over as a duplicate of one that another import may still take back.

        replaces: the upload that is taken back when this one is done; raises ImportRefused when that is not done.
        """

        def waited(seconds: float) -> None:
            if seconds > _SOURCE_WAIT_SECONDS:
                raise ImportRefused(
                    "source_busy",
                    f'another import into "{name}" has been running for {_SOURCE_WAIT_SECONDS // 60} minutes',
                    "Wait until it has ended, or cancel it, and try again.",
                )
            wait()

        other = self._source_of_replaced(replaces)
        self.source_id = take_source(self._engine, self._locks, name, waited, other)
        self.source = name
        for source_id in {self.source_id, other or self.source_id}:
            removal.clear_leftovers(self._engine, self._settings, self._locks, source_id, waited)
        self._source_of_replaced(replaces)  # once more: it may have been undone while this one waited
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(Upload)
                .where(Upload.id == self._upload_id)
                .values(source_id=self.source_id, layout=layout.to_json() if layout else None)
            )

    def _source_of_replaced(self, replaces: int | None) -> int | None:
        if replaces is None:
            return None
        with sql.only_reading(), self._engine.connect() as connection:
            query = sa.select(Upload.status, Upload.source_id).where(Upload.id == replaces)
            row = connection.execute(query).one_or_none()
        if row is None or row.status != "done":
            raise ImportRefused(
                "nothing_to_replace",
                f"upload {replaces}, which this one was to replace, is {row.status if row else 'deleted'}",
                "Import the file again on its own.",
            )
        return cast(int, row.source_id)

    def _knows(self, series: Series) -> bool:
        # A narrow file may name the unit later than the sensor.
        return series.name in self.sensors and bool(self._units[series.name] or not series.unit)

    def know_sensors(self, batch: Batch) -> None:
        """Finds or makes the sensors that the batch names, and notes them as the upload's."""
        wanted = {one.name: one.unit for one in batch.series if not self._knows(one)}
        if not wanted:
            return
        new = [name for name in wanted if name not in self.sensors]
        if len(self.sensors) + len(new) > MAX_SENSORS:
            raise ImportRefused(
                "too_many_sensors",
                f"the file names more than {MAX_SENSORS:,} sensors, such as {new[0]!r}",
                "Is the column that names them really the sensor's name? If it is, split the file.",
            )
        entries = max(0, sources.MAX_ENTRIES - len(self.sensors))
        try:
            with self._engine.begin() as connection:
                found = sources.find_or_make_sensors(connection, self.source_id, wanted.items(), entries)
                rows = [
                    {"upload_id": self._upload_id, "sensor_id": found[name].id, "added": 0, "created": found[name].made}
                    for name in new
                ]
                if rows:
                    connection.execute(sa.insert(UploadSensor), rows)
        except sources.BadName as error:
            raise ImportRefused("bad_sensor_name", str(error)) from error
        self.sensors |= {name: one.id for name, one in found.items()}
        self._units |= wanted

    def take_over_units(self, connection: Connection, old: int) -> None:
        """Sensors of which the old upload alone had said the unit get the one that this file says."""
        shared = sa.select(UploadSensor.sensor_id).join(Upload, Upload.id == UploadSensor.upload_id)
        others = shared.where(Upload.status == "done")
        brought = sa.select(UploadSensor.sensor_id).where(UploadSensor.upload_id == old, UploadSensor.created)
        its_own = Sensor.id.in_(brought), Sensor.id.not_in(others), Sensor.label == ""
        # Asked once for all: asked for each of thousands of sensors, this transaction would hold SQLite up for minutes.
        found = connection.execute(sa.select(Sensor.id, Sensor.unit).where(*its_own))
        before = {row.id: row.unit for row in found}
        units = {
            sensor_id: (name, self._units[name].strip()[:64])
            for name, sensor_id in self.sensors.items()
            if sensor_id in before
        }
        if units:
            with_number = sa.update(Sensor).where(Sensor.id == sa.bindparam("number"))
            rows = [{"number": sensor_id, "its_unit": unit} for sensor_id, (_, unit) in units.items()]
            connection.execute(with_number.values(unit=sa.bindparam("its_unit")), rows)
        changed = [
            (sensor_id, name, {"unit": [before[sensor_id], unit]})
            for sensor_id, (name, unit) in units.items()
            if before[sensor_id] != unit
        ]
        sources.note_sensors(connection, "change", self.source_id, changed)
