"""What an upload's row says while its file is imported, and the issues beside it."""

from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from daybook import sql
from daybook.formats.batch import Issue
from daybook.import_counts import Counts
from daybook.models import Upload, UploadIssue

MAX_ISSUES = 100_000


class Cancelled(Exception):
    """Somebody pressed Cancel."""


class UploadRow:
    """The row of one upload that is being imported. counts: the account of its lines; bytes_done: how far it is."""

    def __init__(self, engine: Engine, upload_id: int) -> None:
        self.counts = Counts()
        self.bytes_done = 0
        self._engine = engine
        self._upload_id = upload_id
        self._issues: list[Issue] = []

    def keep_issues(self, issues: list[Issue]) -> None:
        """Has these written with the next counts; of one upload MAX_ISSUES at most."""
        room = MAX_ISSUES - self.counts.issues
        self._issues += issues[:room]
        self.counts.issues += len(issues[:room])

    def forget_issues(self) -> None:
        """Writes none of those that wait."""
        self._issues = []

    def write(self, connection: Connection, stored: tuple[int, int, int], **more: Any) -> int:
        """Writes the counts, with what became of the readings (added, duplicates, replaced) and `more` columns. Returns
        0 when the upload is not being imported any more."""
        if self._issues:
            rows = [{"upload_id": self._upload_id, **_storable(issue)} for issue in self._issues]
            connection.execute(sa.insert(UploadIssue), rows)
            self._issues = []
        added, duplicates, replaced = stored
        counts = asdict(self.counts)
        first, last = counts.pop("first_time"), counts.pop("last_time")
        for inner in ("repeated", "issues", "first_rejected"):
            del counts[inner]
        return connection.execute(
            sa.update(Upload)
            .where(Upload.id == self._upload_id, Upload.status == "importing")
            .values(
                {
                    "bytes_done": self.bytes_done,
                    "readings_added": added,
                    "readings_duplicate": duplicates + self.counts.repeated,
                    "readings_replaced": replaced,
                    "first_time": _moment(first),
                    "last_time": _moment(last),
                    **counts,
                    **more,
                }
            )
        ).rowcount

    def status(self, connection: Connection) -> str | None:
        """What it is now, which somebody else may have said."""
        return connection.scalar(sa.select(Upload.status).where(Upload.id == self._upload_id))

    def cancel_requested(self) -> bool:
        """Whether somebody has pressed Cancel."""
        with sql.only_reading(), self._engine.connect() as connection:
            return self._is_cancel_requested(connection)

    def raise_if_cancelled(self, connection: Connection) -> None:
        """Raises Cancelled when somebody has pressed Cancel."""
        if self._is_cancel_requested(connection):
            raise Cancelled

    def _is_cancel_requested(self, connection: Connection) -> bool:
        return bool(connection.scalar(sa.select(Upload.cancel_requested).where(Upload.id == self._upload_id)))


def _storable(issue: Issue) -> dict[str, Any]:
    """The issue's fields as the columns of the table take them."""
    return asdict(replace(issue, column=issue.column[:200], value=issue.value[:200], reason=issue.reason[:300]))


def _moment(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else sql.moment(microseconds)
