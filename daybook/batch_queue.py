"""Batches on their way into the store, over as many connections as help, while the next ones are being read."""

import threading
from collections import deque
from dataclasses import dataclass

from sqlalchemy.engine import Engine

from daybook.store import open_writer, writers_wanted
from daybook.store_rows import SKIP, Rows, Rules, Stored


@dataclass(eq=False)
class _Batch:
    rows: Rows
    ranges: dict[int, tuple[int, int]]

    def meets(self, other: "_Batch") -> bool:
        """Whether both may hold a reading of the same sensor and time."""
        small, large = sorted((self.ranges, other.ranges), key=len)
        for sensor_id, (first, last) in small.items():
            if sensor_id in large and first <= large[sensor_id][1] and large[sensor_id][0] <= last:
                return True
        return False


class BatchQueue:
    """Stores batches in the background; at most one more batch waits than there are writers.

    Readings with the same key are stored in the order in which they came: a batch waits until no other with a key of
    its own is under way.
    """

    def __init__(self, engine: Engine, upload_id: int, rules: Rules = SKIP) -> None:
        self.stored = Stored()
        self._engine = engine
        self._upload_id = upload_id
        self._rules = rules
        self._changed = threading.Condition()
        self._waiting: deque[_Batch] = deque()
        self._under_way: list[_Batch] = []
        self._error: BaseException | None = None
        self._closing = False
        self._limit = writers_wanted(engine) + 1
        self._threads = [
            threading.Thread(target=self._run, name=f"upload-{upload_id}-writer-{number}", daemon=True)
            for number in range(writers_wanted(engine))
        ]
        for thread in self._threads:
            thread.start()

    def so_far(self) -> tuple[int, int, int]:
        """How many readings were added, were duplicates, and are to replace others, up to now."""
        with self._changed:
            return self.stored.added.total(), self.stored.duplicates, self.stored.replaced

    def put(self, rows: Rows) -> None:
        """Hands the rows over; waits while there is no room. Raises what a writer raised."""
        batch = _Batch(rows, rows.ranges())
        with self._changed:
            self._changed.wait_for(lambda: self._error or self._has_room_for(batch))
            self._raise_error()
            self._waiting.append(batch)
            self._under_way.append(batch)
            self._changed.notify_all()

    def finish(self) -> Stored:
        """Waits until everything is stored and says what became of it. Raises what a writer raised."""
        with self._changed:
            self._changed.wait_for(lambda: self._error or not self._under_way)
        self._stop()
        self._raise_error()
        return self.stored

    def abort(self) -> None:
        """Drops what waits and returns when no writer is at work any more."""
        with self._changed:
            self._waiting.clear()
        self._stop()

    def _has_room_for(self, batch: _Batch) -> bool:
        return len(self._under_way) < self._limit and not any(batch.meets(other) for other in self._under_way)

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _stop(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        writer = None
        try:
            while (batch := self._next()) is not None:
                writer = writer or open_writer(self._engine, self._upload_id, self._rules)
                stored = writer.write(batch.rows)
                with self._changed:
                    self.stored.add(stored)
                    self._under_way.remove(batch)
                    self._changed.notify_all()
        except BaseException as error:  # handed to the import's own thread, which raises it
            with self._changed:
                self._error = self._error or error
                self._changed.notify_all()
        finally:
            if writer is not None:
                writer.close()

    def _next(self) -> _Batch | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing or self._error)
            return self._waiting.popleft() if self._waiting and not self._error else None
