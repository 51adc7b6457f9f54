"""Rows that meet readings of their keys in the book, by rules other than to pass duplicates over; on both databases."""

from collections.abc import Sequence
from typing import Any

from daybook.store_rows import Rows, Rules, Stored, per_sensor


class Meeting:
    """Rows of the temporary table `incoming` meet what is in the book, by rules other than SKIP.

    The table `met` gets a row for each whose key is taken: by which value, of which upload (owner, 0 where it has
    none); pending: this upload wants the key already, by an earlier batch; base: there is a reading, other than that of
    the upload which is about to go; base_value: its value.

    The words are the same for both databases, but for `there`, which joins `incoming` to the reading of its key, part
    by part, and `within`, a condition that says in which stretch of time `reading` has to be looked at.
    """

    def __init__(
        self, upload_id: int, rules: Rules, there: Sequence[str], within: str, read_both_once: str = ""
    ) -> None:
        self._me, self._gone = upload_id, rules.instead_of or -1
        self._there, self._within, self._read_both_once = there, within, read_both_once
        if rules.replace:
            # Of two readings in one file the last one counts: it may change its mind about what it wants.
            self._wanted = f"(owner <> {self._me} AND (base = 0 OR value <> base_value))"
            self._not_any_more = f"(owner <> {self._me} AND base = 1 AND value = base_value AND pending = 1)"
            self._changed = f"(met.owner = {self._me} AND met.value <> met.there)"
        else:
            self._wanted = "(base = 0 AND pending = 0)"
            self._not_any_more = self._changed = "(1 = 0)"

    def settle(self, cursor: Any, rows: Rows) -> Stored:
        """Stores what is new, notes what is to replace something; the caller commits."""
        self._find(cursor)
        cursor.execute(
            f"SELECT sensor_id, count(*), sum(CASE WHEN base = 0 AND pending = 0 THEN 1 ELSE 0 END), "  # noqa: S608
            f"sum(CASE WHEN {self._wanted} AND base = 1 AND pending = 0 THEN 1 ELSE 0 END), "
            f"sum(CASE WHEN {self._not_any_more} THEN 1 ELSE 0 END), sum(CASE WHEN {self._changed} THEN 1 ELSE 0 END) "
            "FROM met GROUP BY sensor_id"
        )
        stored, met, released, changed = Stored(per_sensor(rows)), 0, 0, 0
        for sensor_id, count, taken_over, replaced, not_any_more, other in cursor.fetchall():
            stored.added[sensor_id] += taken_over - count
            stored.taken_over[sensor_id] += taken_over
            stored.replaced += replaced - not_any_more
            met, released, changed = met + count, released + not_any_more, changed + other
        stored.duplicates = len(rows) - stored.added.total() - stored.replaced
        if met < len(rows):
            self._insert(cursor, len(rows) - met)
        if met:
            self._want(cursor)
        if changed:
            self._change(cursor)
        if released:
            self._release(cursor)
        return stored

    def _find(self, cursor: Any) -> None:
        same = "time = incoming.time AND sensor_id = incoming.sensor_id"
        # LIMIT keeps PostgreSQL from making a table of all that the upload wants, once for every batch.
        pending = f"(SELECT 1 FROM replacement WHERE upload_id = {self._me} AND {same} LIMIT 1)"  # noqa: S608
        below = f"(SELECT old_value FROM replacement WHERE upload_id = {self._gone} AND {same} LIMIT 1)"  # noqa: S608
        goes = f"there.upload_id = {self._gone}"
        for there in self._there:
            cursor.execute(
                "INSERT INTO met SELECT incoming.sensor_id, incoming.time, incoming.value, there.value, "  # noqa: S608
                f"coalesce(there.upload_id, 0), CASE WHEN {pending} IS NULL THEN 0 ELSE 1 END, "
                f"CASE WHEN {goes} AND {below} IS NULL THEN 0 ELSE 1 END, "
                f"CASE WHEN {goes} THEN {below} ELSE there.value END FROM incoming {there}"
            )

    def _insert(self, cursor: Any, count: int) -> None:
        cursor.execute(
            "INSERT INTO reading (sensor_id, time, value, upload_id) SELECT sensor_id, time, value, upload_id "
            "FROM incoming WHERE true ORDER BY sensor_id, time ON CONFLICT DO NOTHING"
        )
        if cursor.rowcount != count:
            raise RuntimeError(
                f"{cursor.rowcount} of {count} new readings were stored: another writer is in the source"
            )

    def _want(self, cursor: Any) -> None:
        cursor.execute(
            "INSERT INTO replacement (upload_id, time, sensor_id, value, old_value, old_upload_id) "  # noqa: S608
            f"SELECT {self._me}, time, sensor_id, value, there, nullif(owner, 0) FROM met WHERE {self._wanted} "
            "ORDER BY time, sensor_id ON CONFLICT (upload_id, time, sensor_id) DO UPDATE SET value = excluded.value"
        )

    def _release(self, cursor: Any) -> None:
        if self._read_both_once:
            cursor.execute(self._read_both_once)
        cursor.execute(
            f"DELETE FROM replacement WHERE upload_id = {self._me} AND (time, sensor_id) IN "  # noqa: S608
            f"(SELECT time, sensor_id FROM met WHERE {self._not_any_more})"
        )

    def _change(self, cursor: Any) -> None:
        cursor.execute(
            f"UPDATE reading SET value = met.value FROM met WHERE {self._changed} AND {self._within} "  # noqa: S608
            "AND reading.sensor_id = met.sensor_id AND reading.time = met.time"
        )
