"""HTTP requests that end in time, also when the other side sends a byte now and then.

The time-outs of sockets, and so of urllib3, are for a single wait: a server that drips its answer starts them anew with
every byte, and would hold a thread, and the lease of a message, for as long as it likes.
"""

import http.client
import io
import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

# By time.monotonic(): when the request in hand must have its whole answer.
_deadline: ContextVar[float] = ContextVar("deadline", default=float("inf"))
# Those that may write an address into the log.
LOGGERS = tuple(
    logging.getLogger(f"urllib3.{name}")
    for name in ("connection", "connectionpool", "poolmanager", "response", "util.retry")
)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Requests that are begun inside have so long for everything: to send, and to get their answer to its end."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def check() -> None:
    """Raises TimeoutError when the time of the request in hand is over: for a body that is made while it is sent."""
    if time.monotonic() > _deadline.get():
        raise TimeoutError("timed out")


def pool(**options: Any) -> urllib3.PoolManager:
    """Connections that are kept open, and that obey `within`."""
    made = urllib3.PoolManager(**options)
    made.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
    return made


class _Timed(io.RawIOBase):
    """What comes from a socket, for which it is waited so many seconds in all. The time between two reads is the
    reader's own."""

    def __init__(self, raw: Any, sock: socket.socket, left: float) -> None:
        self._raw, self._socket, self._left = raw, sock, left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._left <= 0:
            raise TimeoutError("timed out")
        begun, wait = time.monotonic(), self._socket.gettimeout()
        self._socket.settimeout(self._left if wait is None else min(wait, self._left))
        try:
            got: int | None = self._raw.readinto(buffer)
        finally:
            self._left -= time.monotonic() - begun
            self._socket.settimeout(wait)  # the connection may serve another request
        return got

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        left = _deadline.get() - time.monotonic()
        if left != float("inf"):
            self.fp = io.BufferedReader(_Timed(self.fp.detach(), sock, left))


class _Http(HTTPConnection):
    response_class = _Response


class _Https(HTTPSConnection):
    response_class = _Response


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Https
