"""What became of an upload, told the same way to the page, the API and the command line."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from daybook import layout_words, sql
from daybook.formats.layout import Column, Layout
from daybook.models import Sensor, Source, Upload, UploadIssue, UploadSensor
from daybook.upload_options import default_source

SHOWN_ISSUES = 100


@dataclass(frozen=True)
class LeftOut:
    """Names of columns that were left out. no_number: nothing in them was one; not_kept: a person or the file type said
    so; devices: they name the device, and a file with a column per sensor has one."""

    no_number: list[str]
    not_kept: list[str]
    devices: list[str]


@dataclass(frozen=True)
class UploadReport:
    """One upload with its source, sensors and first issues, read in one transaction."""

    upload: Any  # the row of the upload table
    source: str
    sensors: list[Any]  # rows of (id, name, unit, added)
    issues: list[Any]  # rows of (line, column, value, reason), the first 100
    met_by: list[int]  # later uploads that brought some of the same readings, and so count on these
    lost_with: list[int]  # uploads undone since, where this one had met readings
    replaced_by: int | None  # the upload that took this one's place
    rejected_listed: int  # how many of its rejected lines are known by their number

    @property
    def skipped_columns(self) -> list[str]:
        """The columns that were left out: those without a number, and in wide tables the one that names the device."""
        layout = self.upload.layout or {}
        left_out = ("text",) if layout.get("shape") == "narrow" else ("text", "source")
        return [column["name"] for column in layout.get("columns", []) if column["role"] in left_out]

    @property
    def left_out(self) -> LeftOut:
        """The same columns by the reason why they were left out; those at the end without a name are not told."""
        found = self.layout
        if found is None:
            return LeftOut([], [], [])
        said = (self.upload.options or {}).get("layout") or {}
        chosen = {column["name"] for column in said.get("columns", []) if column.get("role") == "text"}
        columns = list(found.columns)
        while columns and found.header_line and columns[-1] == Column(f"column {len(columns)}", "text"):
            columns.pop()
        texts = [column.name for column in columns if column.role == "text"]
        only_listed = said.get("other_columns") == "ignore"
        return LeftOut(
            no_number=[name for name in texts if name not in chosen and not only_listed],
            not_kept=[name for name in texts if name in chosen or only_listed],
            devices=[column.name for column in columns if column.role == "source" and found.shape != "narrow"],
        )

    @property
    def layout(self) -> Layout | None:
        """How the file was read, where that is known."""
        return Layout.from_json(self.upload.layout) if self.upload.layout else None

    @property
    def date_order(self) -> str:
        """The order in which dates were read: dmy, mdy, ymd; empty where it decided nothing."""
        return layout_words.date_order(self.layout) if self.layout else ""

    @property
    def zone_origin(self) -> str:
        """Why the times were read in their zone."""
        options = self.upload.options or {}
        by_person = bool(options.get("timezone") or not options.get("file_type"))
        return layout_words.zone_origin(self.layout, by_person) if self.layout else ""

    @property
    def file_type(self) -> str:
        """The name of the file type that the sender chose, as it was then; empty where none was chosen."""
        return str((self.upload.options or {}).get("file_type", ""))

    @property
    def files_left_out(self) -> int:
        """How many files of an archive were left out, as far as its first issues tell: they have no line."""
        return sum(issue.line == 0 for issue in self.issues)

    def as_json(self) -> dict[str, Any]:
        """The answer of `POST /api/v1/uploads` and its kin (docs/api.md)."""
        row = self.upload
        answer: dict[str, Any] = {
            "id": row.id,
            "status": row.status,
            "filename": row.filename,
            "source": self.source,
            "replaces": row.replaces_id,
            "bytes": row.bytes_done,
            "bytes_total": row.bytes_total,
            "sha256": row.sha256,
            "file_type": self.file_type or None,
            "layout": row.layout,
            "skipped_columns": self.skipped_columns,
            "lines": {name: getattr(row, f"lines_{name}") for name in LINE_COUNTS},
            "readings": {
                "added": row.readings_added,
                "duplicates": row.readings_duplicate,
                "replaced": row.readings_replaced,
                "missing": row.cells_missing,
                "not_numeric": row.cells_not_numeric,
            },
            "first_time": iso_time(row.first_time),
            "last_time": iso_time(row.last_time),
            "sensors": [
                {"id": sensor.id, "name": sensor.name, "unit": sensor.unit, "added": sensor.added}
                for sensor in self.sensors
            ],
            "issues": [
                {"line": issue.line, "column": issue.column, "value": issue.value, "reason": issue.reason}
                for issue in self.issues
            ],
            "created_at": iso_time(row.created_at),
            "finished_at": iso_time(row.finished_at),
        }
        if row.error_code:
            answer["error"] = {"code": row.error_code, "message": row.error or row.error_code}
        return answer


LINE_COUNTS = ("total", "preamble", "blank", "read", "rejected")


def read_report(engine: Engine, upload_id: int) -> UploadReport | None:
    """The report on that upload, or None where there is none."""
    with sql.only_reading(), engine.connect() as connection:
        row = connection.execute(sa.select(Upload.__table__).where(Upload.id == upload_id)).one_or_none()
        return None if row is None else _report(connection, row)


def read_reports(engine: Engine, before: int | None, limit: int) -> tuple[list[Any], int | None]:
    """A page of uploads, newest first: (rows with their source's name, the id to go on before)."""
    query = sa.select(Upload.__table__, Source.name.label("source")).outerjoin(Source, Source.id == Upload.source_id)
    if before is not None:
        query = query.where(Upload.id < before)
    with sql.only_reading(), engine.connect() as connection:
        rows = list(connection.execute(query.order_by(Upload.id.desc()).limit(limit + 1)))
    return rows[:limit], rows[limit - 1].id if len(rows) > limit else None


def source_of(row: Any, name: str | None) -> str:
    """The source's name; that which an upload would have had when nothing of it was kept."""
    return name or (row.options or {}).get("source") or default_source(row.filename)


def _report(connection: Connection, row: Any) -> UploadReport:
    name = None
    if row.source_id is not None:
        name = connection.scalar(sa.select(Source.name).where(Source.id == row.source_id))
    sensors = connection.execute(
        sa.select(Sensor.id, Sensor.name, Sensor.unit, UploadSensor.added)
        .join(UploadSensor, UploadSensor.sensor_id == Sensor.id)
        .where(UploadSensor.upload_id == row.id)
        .order_by(Sensor.id)
    )
    issues = connection.execute(
        sa.select(UploadIssue.line, UploadIssue.column, UploadIssue.value, UploadIssue.reason)
        .where(UploadIssue.upload_id == row.id)
        .order_by(UploadIssue.line, UploadIssue.id)
        .limit(SHOWN_ISSUES)
    )
    met_by, lost_with = _entangled(connection, row)
    replaced_by = None
    if row.status in ("removing", "undone"):
        instead = Upload.replaces_id == row.id, Upload.status.in_(("done", "removing", "undone"))
        replaced_by = connection.scalar(sa.select(Upload.id).where(*instead).order_by(Upload.id.desc()).limit(1))
    listed = _count_rejected(connection, row.id) if row.lines_rejected and row.status == "done" else 0
    return UploadReport(row, source_of(row, name), list(sensors), list(issues), met_by, lost_with, replaced_by, listed)


def _count_rejected(connection: Connection, upload_id: int) -> int:
    lines = sa.select(UploadIssue.line).where(UploadIssue.upload_id == upload_id, UploadIssue.rejected).distinct()
    return connection.scalar(sa.select(sa.func.count()).select_from(lines.subquery())) or 0


def _entangled(connection: Connection, row: Any) -> tuple[list[int], list[int]]:
    """Uploads whose readings this one shares: those that count on it, and those undone that it counted on."""
    if row.status != "done" or row.source_id is None or row.first_time is None:
        return [], []
    # What one upload met as a duplicate another had brought, in the same source and the same stretch of time.
    mine = sa.select(UploadSensor.sensor_id).where(UploadSensor.upload_id == row.id)
    near = (
        Upload.id != row.id,
        sa.exists().where(UploadSensor.upload_id == Upload.id, UploadSensor.sensor_id.in_(mine)),
        Upload.source_id == row.source_id,
        Upload.first_time <= row.last_time,
        Upload.last_time >= row.first_time,
    )
    later = Upload.status == "done", Upload.readings_duplicate > 0, Upload.started_at >= row.finished_at
    met_by = connection.scalars(sa.select(Upload.id).where(*near, *later).order_by(Upload.id).limit(10))
    lost: list[int] = []
    brought_back = Upload.status == "done", Upload.sha256 == row.sha256, Upload.id > row.id
    if row.readings_duplicate and connection.scalar(sa.select(Upload.id).where(*near, *brought_back).limit(1)) is None:
        # Not the one whose place it took: what that one alone had, it has met as if it were gone.
        undone = (
            Upload.status == "undone",
            Upload.id != (row.replaces_id or 0),
            Upload.started_at <= row.started_at,
            Upload.finished_at >= row.finished_at,
        )
        lost = list(connection.scalars(sa.select(Upload.id).where(*near, *undone).order_by(Upload.id).limit(10)))
    return list(met_by) if row.readings_added else [], lost


def iso_time(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC, with microseconds where there are any."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
