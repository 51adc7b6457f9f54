"""Uploads over a bare socket, for tests that misbehave on the line; and what the database says afterwards."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from daybook.models import Reading, Sensor, Source, Upload
from tests.conftest import LiveServer

BOUNDARY = "a-boundary-that-no-line-holds"


def wide_csv(rows: int, sensors: int = 20, start_minute: int = 0, first_sensor: int = 1) -> bytes:
    """A wide file: a row a minute, values that tell row and sensor."""
    names = [f"channel {number}" for number in range(first_sensor, first_sensor + sensors)]
    lines = [",".join(["time", *names])]
    for row in range(start_minute, start_minute + rows):
        day, minute = divmod(row, 1440)
        stamp = f"{2020 + day // 336}-{day // 28 % 12 + 1:02}-{day % 28 + 1:02} {minute // 60:02}:{minute % 60:02}:00"
        lines.append(",".join([stamp, *(f"{row % 1000}.{number:03}" for number in range(sensors))]))
    return ("\n".join(lines) + "\n").encode()


def as_form(body: bytes, filename: str = "a.csv") -> tuple[bytes, str]:
    """The body as the part `file` of a form, and the form's content type."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n\r\n'
    return head.encode() + body + f"\r\n--{BOUNDARY}--\r\n".encode(), f"multipart/form-data; boundary={BOUNDARY}"


def as_chunks(body: bytes, size: int = 10_000) -> bytes:
    """The body in the chunked transfer encoding."""
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@dataclass(frozen=True)
class Answer:
    """The server's answer; status 0 where there was none."""

    status: int
    json: Any


class Line:
    """One connection to the server on which an upload is sent, as well or as badly as the test wants."""

    def __init__(self, server: LiveServer, timeout: float = 60) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout)

    def begin(self, token: str, length: int | None, content_type: str = "text/csv", **query: str) -> None:
        """Sends the head of the request; length None means chunked."""
        framing = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
        words = urlencode({"filename": "a.csv", "source": "mast"} | query)
        head = (
            f"POST /api/v1/uploads?{words} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: {content_type}\r\n{framing}\r\nConnection: close\r\n\r\n"
        )
        self.socket.sendall(head.encode())

    def send(self, data: bytes) -> bool:
        """Whether the server still takes it."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def half_close(self) -> None:
        """No byte follows, but the answer is still read."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Gone without a goodbye: the server's next read fails instead of ending."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def answer(self) -> Answer:
        received = b""
        try:
            while piece := self.socket.recv(65536):
                received += piece
        except ConnectionResetError:
            pass
        self.socket.close()
        head, _, body = received.partition(b"\r\n\r\n")
        if not head:
            return Answer(0, None)
        if b"transfer-encoding: chunked" in head.lower():
            body = b"".join(_chunks(body))
        return Answer(int(head.split()[1]), json.loads(body) if body[:1] in b"{[" and body else None)

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def _chunks(body: bytes) -> Iterator[bytes]:
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        yield rest[:length]
        body = rest[length + 2 :]


def upload(server: LiveServer, token: str, body: bytes, **query: str) -> Answer:
    """One well-behaved upload."""
    with Line(server) as line:
        line.begin(token, len(body), **query)
        line.send(body)
        return line.answer()


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    """What the condition says as soon as it says anything."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s for {what}")


def uploads(engine: Engine) -> list[Any]:
    """Every upload's row, oldest first."""
    with engine.connect() as connection:
        return list(connection.execute(sa.select(Upload.__table__).order_by(Upload.id)))


def wait_until_settled(engine: Engine, seconds: float = 30) -> list[Any]:
    """Every upload's row as soon as none is under way."""
    under_way = ("waiting", "importing", "removing")
    wait_for(lambda: all(row.status not in under_way for row in uploads(engine)), "the uploads to end", seconds)
    return uploads(engine)


def readings(engine: Engine) -> dict[tuple[str, str, Any], tuple[float, int | None]]:
    """Every reading in the table, also such as count for nobody: (source, sensor, time) -> (value, upload)."""
    query = (
        sa.select(Source.name, Sensor.name, Reading.sensor_id, Reading.time, Reading.value, Reading.upload_id)
        .select_from(Reading)
        .outerjoin(Sensor, Sensor.id == Reading.sensor_id)
        .outerjoin(Source, Source.id == Sensor.source_id)
    )
    with engine.connect() as connection:
        return {
            (row[0] or "?", row[1] or f"sensor {row.sensor_id}", row.time): (row.value, row.upload_id)
            for row in connection.execute(query)
        }


def check_counts(engine: Engine) -> None:
    """The number of readings that each sensor's row keeps is the number that it has."""
    counted = sa.select(Reading.sensor_id, sa.func.count().label("number")).group_by(Reading.sensor_id).subquery()
    query = sa.select(Sensor.name, Sensor.reading_count, sa.func.coalesce(counted.c.number, 0)).outerjoin(
        counted, counted.c.sensor_id == Sensor.id
    )
    with engine.connect() as connection:
        wrong = [tuple(row) for row in connection.execute(query) if row[1] != row[2]]
    assert not wrong, f"(sensor, kept, counted): {wrong}"
