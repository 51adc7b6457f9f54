"""kill -9 in mid-upload: after the next start not one reading of that upload, and every other one untouched.

Three times for each way to die, at random moments; DAYBOOK_LONG=1 makes it twenty.
"""

import os
import random
import signal
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from daybook.config import Settings
from daybook.models import Reading
from tests.conftest import LiveServer
from tests.wire import Line, check_counts, readings, upload, wait_for, wait_until_settled, wide_csv

ROUNDS = 20 if os.environ.get("DAYBOOK_LONG") else 3
ROWS = 20_000
SENSORS = 20


@pytest.fixture
def book(engine: Engine, token: str, start_server: Callable[..., LiveServer]) -> dict[Any, Any]:
    """What other uploads hold: some of it at keys that the uploads to be killed bring as well."""
    server = start_server()
    # In the same source: three of the same sensors for a part of the time, and one that only this file has.
    assert upload(server, token, wide_csv(1000, 3, start_minute=500)).status == 201
    assert upload(server, token, wide_csv(1000, 1, first_sensor=99)).status == 201
    assert upload(server, token, wide_csv(1000, 2), source="another").status == 201
    server.stop()
    return readings(engine)


class Sender(threading.Thread):
    """Sends an upload over a second or so, and either the whole of it or all but the last bytes."""

    def __init__(self, server: LiveServer, token: str, body: bytes, whole: bool) -> None:
        super().__init__(daemon=True)
        self._body = body if whole else body[:-10]
        self.sent = threading.Event()
        self._line = Line(server)
        self._line.begin(token, len(body))

    def run(self) -> None:
        step = len(self._body) // 40 + 1
        with self._line, suppress(OSError):
            for start in range(0, len(self._body), step):
                if not self._line.send(self._body[start : start + step]):
                    return
                time.sleep(0.02)
            self.sent.set()
            self._line.answer()


def busy_worker(server: LiveServer, settings: Settings, upload_id: int) -> int | None:
    """The worker that has the upload's raw copy open."""
    for pid in server.workers():
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                target = os.readlink(link)
                if Path(target).parent == settings.instance_path / "uploads" and Path(target).stem == str(upload_id):
                    return pid
    return None


def kill_worker(server: LiveServer, settings: Settings, upload_id: int) -> bool:
    pid = busy_worker(server, settings, upload_id)
    if pid is None:
        return False
    os.kill(pid, signal.SIGKILL)
    return True


def kill_everything(server: LiveServer, settings: Settings, upload_id: int) -> bool:
    workers = server.workers()
    for pid in (server.process.pid, *workers):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    server.process.wait(10)
    return True


def check_gone(engine: Engine, settings: Settings, upload_id: int, book: dict[Any, Any]) -> None:
    rows = wait_until_settled(engine)
    (killed,) = (row for row in rows if row.id == upload_id)
    assert (killed.status, killed.error_code) == ("failed", "interrupted")
    assert killed.error
    assert killed.readings_added == 0
    left = readings(engine)
    assert not [key for key, (_, owner) in left.items() if owner == upload_id]
    assert left == book
    check_counts(engine)
    copies = {path.stem for path in (settings.instance_path / "uploads").iterdir()}
    assert str(upload_id) not in copies
    assert copies == {"1", "2", "3"}


@pytest.mark.parametrize("kill", [kill_worker, kill_everything])
def test_killed_while_bytes_still_come(
    kill: Callable[[LiveServer, Settings, int], bool],
    settings: Settings,
    engine: Engine,
    token: str,
    book: dict[Any, Any],
    start_server: Callable[..., LiveServer],
) -> None:
    body = wide_csv(ROWS, SENSORS)
    server = start_server()
    for number in range(ROUNDS):
        sender = Sender(server, token, body, whole=False)
        sender.start()
        upload_id = 4 + number
        wait_for(lambda: busy_worker(server, settings, upload_id), "the upload to begin")  # noqa: B023
        time.sleep(random.uniform(0, 2))  # noqa: S311
        if number % 3 == 2:  # whatever the machine's speed, some of them die with readings in the table
            wait_for(lambda: has_stored(engine, upload_id), "readings to be stored")  # noqa: B023
        assert kill(server, settings, upload_id)
        sender.join(30)
        if server.process.poll() is not None:
            server = start_server()
        check_gone(engine, settings, upload_id, book)
    # Afterwards the book takes the same file as if nothing had been.
    answer = wait_for(lambda: _upload_again(server, token, body), "a worker that answers")
    overlap = sum(source == "mast" and sensor != "channel 99" for source, sensor, _ in book)
    assert answer["readings"]["added"] == ROWS * SENSORS - overlap
    assert answer["readings"]["duplicates"] == overlap
    check_counts(engine)


def has_stored(engine: Engine, upload_id: int) -> bool:
    with engine.connect() as connection:
        return connection.execute(sa.select(Reading).where(Reading.upload_id == upload_id).limit(1)).first() is not None


def _upload_again(server: LiveServer, token: str, body: bytes) -> Any:
    with suppress(OSError):  # the worker that is being replaced
        answer = upload(server, token, body)
        if answer.status == 201:
            return answer.json
    return None


def test_killed_around_the_end(
    settings: Settings,
    engine: Engine,
    token: str,
    book: dict[Any, Any],
    start_server: Callable[..., LiveServer],
) -> None:
    """Whole or not there: whatever the status says, the readings say the same."""
    body = wide_csv(4000, SENSORS, start_minute=100_000)
    server = start_server()
    for number in range(ROUNDS):
        upload_id = 4 + number
        sender = Sender(server, token, body, whole=True)
        sender.start()
        assert sender.sent.wait(30)
        time.sleep(random.uniform(0, 0.3))  # noqa: S311
        kill_everything(server, settings, upload_id)
        sender.join(30)
        server = start_server()
        (row,) = (row for row in wait_until_settled(engine) if row.id == upload_id)
        left = readings(engine)
        own = {key for key, (_, owner) in left.items() if owner == upload_id}
        if row.status == "done":
            assert len(own) == row.readings_added == 4000 * SENSORS
            undo(server, token, upload_id)
        else:
            assert (row.status, row.error_code, len(own)) == ("failed", "interrupted", 0)
        assert readings(engine) == book
        check_counts(engine)


def undo(server: LiveServer, token: str, upload_id: int) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{server.url}/api/v1/uploads/{upload_id}"
    request = urllib.request.Request(url, method="DELETE", headers=headers)  # noqa: S310 - our own http URL
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
        assert response.status == 200
