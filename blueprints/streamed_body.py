"""A request's body as it arrives: counted against its Content-Length, never slower than a floor, never held whole.

Shared by the blueprints that take files; it has no routes of its own.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socket import SHUT_RD, socket
from typing import IO

from flask import Request
from gunicorn.http.errors import ParseException
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from blueprints.errors import ApiError
from daybook.upload_options import CutOff

_READ = 8 * 1024
_PIECE = 256 * 1024
_STALL_SECONDS = 30.0  # within which the next 8 KiB must come: a floor of 273 bytes a second
_FIELD_BYTES = 64 * 1024


# At once in one process, so that threads stay free for pages.
_UPLOADS = threading.BoundedSemaphore(8)
_PREVIEWS = threading.BoundedSemaphore(4)  # each may hold 33 MB, and a workbook of 7 MB takes five seconds
_PREVIEW_PATIENCE = 20.0  # every change of a choice asks again, and what the browser gave up goes on here


@contextmanager
def upload_slot() -> Iterator[None]:
    """A place among the uploads that this process takes at once; 503 when all are taken."""
    if not _UPLOADS.acquire(timeout=5):
        message = "Too many files are being uploaded right now. Try again in a minute."
        raise ApiError(503, "too_many_uploads", message, retry_after=60)
    try:
        yield
    finally:
        _UPLOADS.release()


@contextmanager
def preview_slot() -> Iterator[None]:
    """A place among the files that are received and looked at at once; 503 when all are taken."""
    if not _PREVIEWS.acquire(timeout=_PREVIEW_PATIENCE):
        message = "Too many files are being looked at right now. Try again in a moment."
        raise ApiError(503, "too_many_uploads", message, retry_after=5)
    try:
        yield
    finally:
        _PREVIEWS.release()


class BadForm(CutOff):
    """The multipart form is not what it says it is."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="bad_form")


class _Watchdog:
    """Ends the reading of a socket whose next bytes do not come in time; without a socket it watches nothing.

    A thread of its own, because a limit on the single recv would let a sender drip one byte at a time.
    """

    def __init__(self, connection: socket | None) -> None:
        self._connection = connection
        self._deadline = float("inf")
        self._over = threading.Event()
        self.stalled = False

    def __enter__(self) -> "_Watchdog":
        if self._connection is not None:
            # Above the limit that is set for all connections: the watchdog's comes first, and says what it is.
            self._connection.settimeout(_STALL_SECONDS + 5)
            threading.Thread(target=self._watch, args=(self._connection,), name="body-watchdog", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._connection is not None:
            with suppress(OSError):
                self._connection.setblocking(True)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The time inside is spent waiting for the sender; only that time counts."""
        self._deadline = time.monotonic() + _STALL_SECONDS
        try:
            yield
        finally:
            self._deadline = float("inf")

    def _watch(self, connection: socket) -> None:
        while not self._over.wait(1.0):
            if time.monotonic() > self._deadline:
                self.stalled = True
                with suppress(OSError):
                    connection.shutdown(SHUT_RD)
                return


def body_pieces(request: Request) -> Iterator[bytes]:
    """The body in pieces of at most 256 KiB. Raises CutOff when it ends before its Content-Length, or stalls."""
    expected = request.content_length
    if expected is None and request.headers.get("Transfer-Encoding", "").lower() != "chunked":
        return
    with _Watchdog(request.environ.get("gunicorn.socket")) as watchdog:
        yield from _gathered(_read_all(request.environ["wsgi.input"], expected, watchdog))


def _read_all(stream: IO[bytes], expected: int | None, watchdog: _Watchdog) -> Iterator[bytes]:
    done = 0
    while expected is None or done < expected:
        try:
            with watchdog.waiting():
                data = stream.read(_READ if expected is None else min(_READ, expected - done))
        except (OSError, ParseException) as error:  # the latter: chunks that do not say where they end
            raise _cut_off(done, expected, watchdog) from error
        if not data:
            break
        done += len(data)
        yield data
    if watchdog.stalled or (expected is not None and done < expected):
        raise _cut_off(done, expected, watchdog)


def _gathered(small: Iterator[bytes]) -> Iterator[bytes]:
    """Larger pieces, but none that waits for more than half a second."""
    gathered = bytearray()
    since = time.monotonic()
    for data in small:
        gathered += data
        if len(gathered) >= _PIECE or time.monotonic() - since > 0.5:
            yield bytes(gathered)
            gathered.clear()
            since = time.monotonic()
    if gathered:
        yield bytes(gathered)


def _cut_off(done: int, expected: int | None, watchdog: _Watchdog) -> CutOff:
    of = f" of {expected:,}" if expected is not None else ""
    if watchdog.stalled:
        return CutOff(
            f"no data came for {_STALL_SECONDS:.0f} seconds, after {done:,}{of} bytes. Check the line and upload the "
            "file again.",
            code="stalled",
        )
    return CutOff(f"the connection ended after {done:,}{of} bytes. Upload the file again.")


class FormStream:
    """A multipart form read as it arrives: small fields are kept, file parts are streamed.

    `parts` yields (name, filename) of each file part; between two of them `pieces` yields the bytes of the current one.
    Fields that stand before a file in the form are in `fields` by then, which is why forms put them first.
    """

    def __init__(self, request: Request) -> None:
        kind, options = parse_options_header(request.headers.get("Content-Type", ""))
        if kind != "multipart/form-data" or "boundary" not in options:
            raise BadForm("the form is not multipart/form-data with a boundary")
        self.fields: dict[str, str] = {}
        self._parser = PushMultipartParser(
            options["boundary"], content_length=request.content_length if request.content_length else -1
        )
        self._events = self._parse(body_pieces(request))

    def _parse(self, body: Iterator[bytes]) -> Iterator[MultipartSegment | bytes | None]:
        try:
            for piece in body:
                yield from self._parser.parse(piece)
            yield from self._parser.parse(b"")
        except MultipartError as error:
            raise CutOff(f"the form is damaged or incomplete ({error}). Upload the file again.") from error

    def parts(self) -> Iterator[tuple[str, str]]:
        """Every file part that has a name; what is not read of one is skipped."""
        for event in self._events:
            if not isinstance(event, MultipartSegment):
                continue
            if event.filename is None:
                value = b"".join(self._field_pieces(event.name))
                self.fields[event.name] = value.decode("utf-8", "replace")
            elif event.filename:
                yield event.name, event.filename
            else:
                for _ in self.pieces():  # a file input that nobody filled
                    pass

    def pieces(self) -> Iterator[bytes]:
        """The bytes of the part that `parts` is at."""
        for event in self._events:
            if event is None:
                return
            if not isinstance(event, MultipartSegment):
                yield bytes(event)

    def _field_pieces(self, name: str) -> Iterator[bytes]:
        size = 0
        for piece in self.pieces():
            size += len(piece)
            if size > _FIELD_BYTES:
                raise BadForm(f'the field "{name[:60]}" is longer than {_FIELD_BYTES:,} bytes; send less, or a file')
            yield piece
