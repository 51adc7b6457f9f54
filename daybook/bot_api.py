"""The client of Telegram's Bot API: one call, one answer. What is sent when, and again, is daybook/outbox.py's matter.

The token is part of every address, so no text of an address, and no exception of a library that might hold one, leaves
this module without being redacted.
"""

import functools
import json
import logging
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO, TypeGuard
from urllib.parse import quote

import urllib3

from daybook import timed_http
from daybook.config import Settings

# Seconds. An answer to a plain call is there within one; the outbox' lease is longer than both together.
CONNECT, ANSWER, ANSWER_TO_A_FILE = 5.0, 15.0, 60.0
WHOLE_FILE = 300.0  # a file there or back, from the connection to the last byte
# getFile gives nothing larger to a bot.
LARGEST_DOWNLOAD = 20 * 1024 * 1024
_LARGEST_ANSWER = 32 * 1024 * 1024
_PIECE = 64 * 1024
_GONE = (
    "chat not found",
    "user not found",
    "peer_id_invalid",
    "chat_id is empty",
    "group chat was deleted",
    "deactivated",
)
HIDDEN = "<token>"

_hidden: set[str] = set()


class BotApiError(Exception):
    """A call that had no success. The text may be shown and kept: secrets are redacted."""


class Temporary(BotApiError):
    """The server could not be reached, did not answer or has an error of its own: the same call may do later."""


class RetryAfter(Temporary):
    """Too many calls: not again before `seconds` have passed."""

    def __init__(self, text: str, seconds: float) -> None:
        super().__init__(text)
        self.seconds = seconds


class Permanent(BotApiError):
    """The same call will never do. gone: because the chat is no more, or the person has blocked the bot.

    status: the Bot API's error code; 0 where it was not asked.
    """

    def __init__(self, text: str, gone: bool = False, status: int = 400) -> None:
        super().__init__(text)
        self.gone = gone
        self.status = status


class Migrated(BotApiError):
    """The group has become a supergroup and has another id now."""

    def __init__(self, text: str, to_chat_id: int) -> None:
        super().__init__(text)
        self.to_chat_id = to_chat_id


@dataclass(frozen=True)
class FileToSend:
    """A file of a call; a stream is sent from where it stands."""

    filename: str
    content: bytes | BinaryIO
    content_type: str = "application/octet-stream"


def redacted(text: str) -> str:
    """The text without any token or secret that a client of this process knows."""
    for secret in sorted(_hidden, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


class _Redacting(logging.Filter):
    """urllib3 writes the path of every request into its log at the level DEBUG, and as a warning when a header is odd,
    with a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info:
            record.exc_text, record.exc_info = redacted(logging.Formatter().formatException(record.exc_info)), None
        record.msg, record.args = redacted(record.getMessage()), ()
        return True


_redacting = _Redacting()


class BotApi:
    """Calls the Bot API at TELEGRAM_API_URL as the bot of TELEGRAM_BOT_TOKEN; may be used by many threads at once."""

    def __init__(self, settings: Settings) -> None:
        if not settings.telegram_bot_token:
            raise Permanent("TELEGRAM_BOT_TOKEN is not set. Ask @BotFather for one, set it and start Daybook again.")
        token, secret = settings.telegram_bot_token, settings.telegram_webhook_secret
        quoted = quote(token, safe=":")
        # The part behind the colon is the secret one; short ones are only in tests, and would hide common words.
        hidden = {token, quoted, quote(token, safe=""), token.rpartition(":")[2], secret}
        _hidden.update(part for part in hidden if len(part) >= 8 or part == token)
        for logger in timed_http.LOGGERS:
            logger.addFilter(_redacting)
        self._base = settings.telegram_api_url
        self._methods = f"{self._base}/bot{quoted}/"
        self._files = f"{self._base}/file/bot{quoted}/"
        self._pool = timed_http.pool(maxsize=8, retries=False, headers={"User-Agent": "daybook"})

    def call(
        self,
        method: str,
        params: dict[str, Any],
        files: dict[str, FileToSend] | None = None,
        *,
        timeout: float | None = None,
    ) -> Any:
        """The result of a call. Parameters that are None are left out; all of them travel in the body.

        Raises RetryAfter, Temporary, Permanent or Migrated. timeout: seconds until the answer is there as a whole.
        """
        params = {name: value for name, value in params.items() if value is not None}
        body: bytes | Iterator[bytes]
        if files:
            parts = _Multipart(params, files)
            headers = {"Content-Type": parts.content_type, "Content-Length": str(parts.length)}
            body = iter(parts)
        else:
            headers = {"Content-Type": "application/json"}
            body = json.dumps(params).encode()
        wait = timeout or (ANSWER_TO_A_FILE if files else ANSWER)
        with (
            timed_http.within(CONNECT + (WHOLE_FILE if files else wait)),
            self._request("POST", self._methods + method, wait, method, body=body, headers=headers) as response,
        ):
            answer = self._read(response, method)
            return _result(method, response, answer)

    def download(self, file_path: str, limit: int = LARGEST_DOWNLOAD) -> Iterator[bytes]:
        """The bytes of a file whose path getFile has told, as they come; raises Permanent past `limit` of them."""
        if any(part in ("", ".", "..") for part in file_path.split("/")):
            raise Permanent("The Bot API named a file by a path that leads elsewhere.")
        with timed_http.within(WHOLE_FILE):
            response = self._request("GET", self._files + quote(file_path), ANSWER, "download")
        with response:
            if response.status != 200:
                refused = f"the file cannot be had: status {response.status}"
                raise Temporary(refused) if response.status >= 500 else Permanent(refused, status=response.status)
            announced = response.headers.get("Content-Length") or ""
            too_large = announced.isdecimal() and int(announced[:20]) > limit
            taken = 0
            while True:
                if too_large or taken > limit:
                    raise Permanent(f"the file is larger than {limit:,} bytes", status=413)
                if not (piece := self._piece(response)):
                    return
                taken += len(piece)
                yield piece

    def _request(
        self, verb: str, url: str, wait: float, what: str, **request: Any
    ) -> "urllib3.response.BaseHTTPResponse":
        try:
            response = self._pool.request(
                verb,
                url,
                timeout=urllib3.Timeout(connect=CONNECT, read=wait),
                redirect=False,  # only the configured server is ever asked
                preload_content=False,
                **request,
            )
        except urllib3.exceptions.HTTPError as error:
            failure = _in_words(error, self._base)
        else:
            return response
        # Out here, so that not even __context__ holds the library's exception, which knows the address.
        raise Temporary(f"{what}: {failure}")

    def _read(self, response: "urllib3.response.BaseHTTPResponse", what: str) -> bytes:
        answer = bytearray()
        while piece := self._piece(response):
            answer += piece
            if len(answer) > _LARGEST_ANSWER:
                raise Temporary(f"{what}: the answer has no end")
        return bytes(answer)

    def _piece(self, response: "urllib3.response.BaseHTTPResponse") -> bytes:
        try:
            return response.read(_PIECE, decode_content=False)
        except urllib3.exceptions.HTTPError as error:
            failure = _in_words(error, self._base)
        raise Temporary(f"the answer broke off: {failure}")


@functools.lru_cache(maxsize=8)
def client(settings: Settings) -> BotApi:
    """The client of these settings, with connections that are kept open; raises Permanent without a token."""
    return BotApi(settings)


def _in_words(error: urllib3.exceptions.HTTPError, base: str) -> str:
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError | urllib3.exceptions.NameResolutionError):
        return f"{base} cannot be reached"
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return f"{base} cannot be reached"
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return f"{base} did not answer in time"
    if isinstance(error, urllib3.exceptions.SSLError):
        return f"the certificate of {base} cannot be trusted; does this machine have the package ca-certificates?"
    return redacted(f"the connection to {base} broke ({type(error).__name__})")


def _result(method: str, response: "urllib3.response.BaseHTTPResponse", body: bytes) -> Any:
    """The result that an answer holds; raises what it says otherwise."""
    status = response.status
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or not isinstance(answer.get("ok"), bool):
        # A proxy's page, or another server: nothing that the Bot API has decided.
        raise Temporary(f"{method}: status {status} without an answer of the Bot API")
    if answer["ok"]:
        return answer.get("result")
    code = answer.get("error_code")
    code = code if isinstance(code, int) else status
    text = _kept(f"{method}: {code} {answer.get('description') or 'without a description'}")
    about = answer.get("parameters")
    about = about if isinstance(about, dict) else {}
    if is_number(about.get("migrate_to_chat_id")):
        raise Migrated(text, about["migrate_to_chat_id"])
    seconds = about.get("retry_after") or response.headers.get("Retry-After")
    if code == 429 or about.get("retry_after"):
        raise RetryAfter(text, _seconds(seconds))
    if code >= 500 or code < 400:
        raise Temporary(text)
    if code in (401, 404):
        raise Temporary(f"{text}; is TELEGRAM_BOT_TOKEN right?")
    raise Permanent(text, code == 403 or any(reason in text.lower() for reason in _GONE), code)


def is_number(value: object) -> TypeGuard[int]:
    """Whether this can be the number of a chat or message: no database keeps more than 64 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _kept(text: str) -> str:
    """What the server says, as it may be shown and as every database can keep it."""
    return redacted(text).replace("\0", "\ufffd").encode("utf-8", "replace").decode()[:500]


def _seconds(value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        return 1.0
    return min(max(0.1, seconds), 86_400.0)  # 0.1 first: so is what is no number


class _Multipart:
    """A multipart form whose files are read while they are sent; its length is known beforehand."""

    def __init__(self, params: dict[str, Any], files: dict[str, FileToSend]) -> None:
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self._parts: list[bytes | BinaryIO] = []
        self.length = 0
        for name, value in params.items():
            text = value if isinstance(value, str) else json.dumps(value)
            self._add(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n')
        for name, file in files.items():
            filename = file.filename.translate({ord('"'): "%22", ord("\r"): " ", ord("\n"): " "})
            self._add(
                f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
                f"Content-Type: {file.content_type}\r\n\r\n"
            )
            stream = BytesIO(file.content) if isinstance(file.content, bytes) else file.content
            start = stream.tell()
            self.length += stream.seek(0, 2) - start
            stream.seek(start)
            self._parts.append(stream)
            self._add("\r\n")
        self._add(f"--{boundary}--\r\n")

    def _add(self, text: str) -> None:
        self._parts.append(text.encode("utf-8", "replace"))
        self.length += len(self._parts[-1])  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            if isinstance(part, bytes):
                yield part
                continue
            while piece := part.read(_PIECE):
                timed_http.check()
                yield piece
