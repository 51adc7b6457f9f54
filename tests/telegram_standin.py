"""A server on 127.0.0.1 that plays Telegram's Bot API as it is published: records calls (but getMe), refuses what
Telegram refuses.

Faults are decided call by call: `standin.fault = lambda call: too_many(3)`, or `standin.faults(too_many(1), failing())`
for the next calls that send something.
"""

import contextlib
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "123456789:AAF-only_for_tests-0123456789abcdefg"
SENDING = ("sendMessage", "sendPhoto", "sendDocument", "editMessageText", "answerCallbackQuery")


@dataclass(frozen=True)
class Call:
    """One call as it arrived: params as JSON values, files as (name, bytes, content type)."""

    method: str
    params: dict[str, Any]
    files: dict[str, tuple[str, bytes, str]]
    at: float

    @property
    def chat_id(self) -> int:
        chat_id: int = self.params["chat_id"]
        return chat_id


@dataclass(frozen=True)
class Fault:
    """What a call is answered instead of a result. hang: seconds of silence, then the connection ends."""

    status: int = 500
    description: str = "Internal Server Error"
    parameters: dict[str, Any] = field(default_factory=dict)
    hang: float = 0.0
    page: bool = False  # a proxy's page instead of JSON
    location: str = ""
    after_it_was_done: bool = False  # the message is delivered and only its answer lost
    raw: bytes = b""  # what is said instead of an answer in HTTP
    drip: float = 0.0  # seconds between the bytes of it


def too_many(seconds: int) -> Fault:
    """429: too many calls, not again before so many seconds."""
    return Fault(429, f"Too Many Requests: retry after {seconds}", {"retry_after": seconds})


def failing(status: int = 500) -> Fault:
    """An error of the server's own."""
    return Fault(status, "Internal Server Error" if status == 500 else "Bad Gateway")


def silent(seconds: float, after_it_was_done: bool = False) -> Fault:
    """No answer."""
    return Fault(hang=seconds, after_it_was_done=after_it_was_done)


BLOCKED = Fault(403, "Forbidden: bot was blocked by the user")
NO_CHAT = Fault(400, "Bad Request: chat not found")


def migrated(to_chat_id: int) -> Fault:
    """The group has become a supergroup."""
    text = "Bad Request: group chat was upgraded to a supergroup chat"
    return Fault(400, text, {"migrate_to_chat_id": to_chat_id})


class TelegramStandin:
    """Use it as a context manager. `delivered`: the calls that had success, in their order."""

    def __init__(self, token: str = TOKEN) -> None:
        self.token = token
        self.calls: list[Call] = []
        self.delivered: list[Call] = []
        self.username = "daybook_bot"  # empty: getMe fails
        self.times_asked_who = 0
        self.violations: list[str] = []
        self.paths: list[str] = []
        self.files: dict[str, tuple[str, bytes]] = {}  # file_id: (file_path, content)
        self.updates: list[dict[str, Any]] = []
        self.webhook: dict[str, Any] = {}
        self.webhook_error = ""
        self.commands: list[dict[str, str]] = []
        self.delay = 0.0
        self.fault: Callable[[Call], Fault | None] | None = None
        self._next_faults: list[Fault] = []
        self._messages: dict[int, int] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "TelegramStandin":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    # --- what tests ask

    def faults(self, *faults: Fault) -> None:
        """The next calls that send something are answered with these, in this order."""
        with self._lock:
            self._next_faults += faults

    def sent(self, chat_id: int | None = None, method: str | None = None) -> list[Call]:
        """The messages that were delivered (to this chat, by this method), in their order."""
        with self._lock:
            return [
                call
                for call in self.delivered
                if call.method in SENDING
                and (method is None or call.method == method)
                and (chat_id is None or call.params.get("chat_id") == chat_id)
            ]

    def texts(self, chat_id: int | None = None) -> list[str]:
        """What was said, captions too."""
        calls = self.sent(chat_id)
        return [
            call.params.get("text") or call.params.get("caption") or "" for call in calls if "chat_id" in call.params
        ]

    def wait_for(self, condition: Callable[[], object], seconds: float = 10.0) -> None:
        """Waits until something is the case; fails the test when it is not."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds} s; delivered: {self.texts()}"
            time.sleep(0.01)

    # --- what the server does

    def answer(self, call: Call) -> tuple[Any, Fault | None]:
        """The result of a call, or the fault that it meets."""
        if call.method == "getMe":
            # Asked in the background, at any time: not among the calls, and not met by their faults.
            self.times_asked_who += 1
            return self._getMe(call), None if self.username else failing()
        with self._lock:
            self.calls.append(call)
            fault = self._next_faults.pop(0) if self._next_faults and call.method in SENDING else None
        fault = fault or (self.fault(call) if self.fault else None)
        if self.delay:
            time.sleep(self.delay)
        if fault is not None and not fault.after_it_was_done:
            return None, fault
        if call.method == "getUpdates" and not self.webhook.get("url"):
            self._wait_for_updates(call.params)
        with self._lock:
            result = getattr(self, f"_{call.method}", lambda _: Fault(404, "Not Found"))(call)
            if isinstance(result, Fault):
                return None, result
            self.delivered.append(call)
        return result, fault

    def _send(self, call: Call, text: str, longest: int, may_be_empty: bool = False) -> Any:
        said = call.params.get(text, "")
        markup = call.params.get("reply_markup") or {}
        buttons = [button for row in markup.get("inline_keyboard", []) for button in row]
        if not isinstance(call.params.get("chat_id"), int):
            return Fault(400, "Bad Request: chat_id is empty")
        if not said and not may_be_empty:
            return Fault(400, "Bad Request: message text is empty")
        if len(said) > longest:
            return Fault(400, "Bad Request: message is too long")
        if any(not button.get("text") or len(button.get("callback_data", "x").encode()) > 64 for button in buttons):
            return Fault(400, "Bad Request: BUTTON_DATA_INVALID")
        number = self._messages[call.chat_id] = self._messages.get(call.chat_id, 0) + 1
        kind = "private" if call.chat_id > 0 else "supergroup"
        return {"message_id": number, "date": int(time.time()), "chat": {"id": call.chat_id, "type": kind}, text: said}

    def _sendMessage(self, call: Call) -> Any:
        return self._send(call, "text", 4096)

    def _sendPhoto(self, call: Call) -> Any:
        if "photo" not in call.files:
            return Fault(400, "Bad Request: there is no photo in the request")
        return self._send(call, "caption", 1024, may_be_empty=True)

    def _sendDocument(self, call: Call) -> Any:
        if "document" not in call.files:
            return Fault(400, "Bad Request: there is no document in the request")
        return self._send(call, "caption", 1024, may_be_empty=True)

    def _editMessageText(self, call: Call) -> Any:
        number = call.params.get("message_id", 0)
        if not 0 < number <= self._messages.get(call.chat_id, 0):
            return Fault(400, "Bad Request: message to edit not found")
        before = [one for one in self.delivered if one.params.get("message_id") == number and one.method == call.method]
        if before and before[-1].params == call.params:
            return Fault(400, "Bad Request: message is not modified: specified new message content is the same")
        return {"message_id": number, "date": int(time.time()), "chat": {"id": call.chat_id}}

    def _answerCallbackQuery(self, call: Call) -> Any:
        return True if call.params.get("callback_query_id") else Fault(400, "Bad Request: query is too old")

    def _getMe(self, _: Call) -> Any:
        return {"id": 123456789, "is_bot": True, "first_name": "Daybook", "username": self.username}

    def _getFile(self, call: Call) -> Any:
        if call.params.get("file_id") not in self.files:
            return Fault(400, "Bad Request: invalid file_id")
        path, content = self.files[call.params["file_id"]]
        if len(content) > 20 * 1024 * 1024:
            return Fault(400, "Bad Request: file is too big")
        return {"file_id": call.params["file_id"], "file_unique_id": "u", "file_size": len(content), "file_path": path}

    def _setWebhook(self, call: Call) -> Any:
        self.webhook = dict(call.params)
        return True

    def _deleteWebhook(self, _: Call) -> Any:
        self.webhook = {}
        return True

    def _getWebhookInfo(self, _: Call) -> Any:
        about: dict[str, Any] = {"url": self.webhook.get("url", ""), "pending_update_count": len(self.updates)}
        about["has_custom_certificate"] = False
        if self.webhook_error:
            about |= {"last_error_date": 1_795_000_000, "last_error_message": self.webhook_error}
        return about

    def _setMyCommands(self, call: Call) -> Any:
        if any(not re.fullmatch(r"[a-z0-9_]{1,32}", command["command"]) for command in call.params["commands"]):
            return Fault(400, "Bad Request: BOT_COMMAND_INVALID")
        self.commands = call.params["commands"]
        return True

    def _wait_for_updates(self, params: dict[str, Any]) -> None:
        deadline = time.monotonic() + min(params.get("timeout", 0), 50)
        while time.monotonic() < deadline and not self._stopped.is_set():
            if any(update["update_id"] >= params.get("offset", 0) for update in self.updates):
                return
            time.sleep(0.01)

    def _getUpdates(self, call: Call) -> Any:
        if self.webhook.get("url"):
            return Fault(409, "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook first")
        self.updates = [update for update in self.updates if update["update_id"] >= call.params.get("offset", 0)]
        return self.updates[: call.params.get("limit", 100)]


def _handler(standin: TelegramStandin) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self._serve(b"")

        def do_POST(self) -> None:
            self._serve(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

        def _serve(self, body: bytes) -> None:
            target = urlsplit(self.path)
            standin.paths.append(self.path)
            if target.query:
                standin.violations.append(f"parameters in the address of {target.path}")
            file = re.fullmatch(r"/file/bot([^/]+)/(.+)", unquote(target.path))
            if file and self.command == "GET":
                self._serve_file(file[1], file[2])
                return
            method = re.fullmatch(r"/bot([^/]+)/(\w+)", unquote(target.path))
            if method is None or method[1] != standin.token:
                self._say(401 if method else 404, b'{"ok":false,"error_code":401,"description":"Unauthorized"}')
                return
            params, files = _parameters(self.headers.get("Content-Type", ""), body)
            result, fault = standin.answer(Call(method[2], params, files, time.monotonic()))
            if fault is None:
                self._say(200, json.dumps({"ok": True, "result": result}).encode())
            elif fault.raw:
                self._drip(fault)
            elif fault.hang:
                standin._stopped.wait(fault.hang)
                self.close_connection = True
            elif fault.page:
                self._say(fault.status, b"<html>Bad gateway</html>", "text/html")
            else:
                error = {"ok": False, "error_code": fault.status, "description": fault.description}
                error |= {"parameters": fault.parameters} if fault.parameters else {}
                self._say(fault.status, json.dumps(error).encode(), location=fault.location)

        def _serve_file(self, token: str, path: str) -> None:
            found = [content for known, content in standin.files.values() if known == path]
            fault = standin.fault(Call("download", {"path": path}, {}, time.monotonic())) if standin.fault else None
            if fault is not None and fault.raw:
                self._drip(fault)
            elif fault is not None:
                self._say(fault.status, b"", location=fault.location)
            elif token != standin.token or not found:
                self._say(404, b'{"ok":false,"error_code":404,"description":"Not Found"}')
            else:
                self._say(200, found[0], "application/octet-stream")

        def _drip(self, fault: Fault) -> None:
            self.close_connection = True
            step = 1 if fault.drip else len(fault.raw)
            with contextlib.suppress(OSError):  # whoever asked has stopped listening
                for start in range(0, len(fault.raw), step):
                    self.wfile.write(fault.raw[start : start + step])
                    self.wfile.flush()
                    if standin._stopped.wait(fault.drip):
                        return

        def _say(self, status: int, body: bytes, kind: str = "application/json", location: str = "") -> None:
            try:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                if location:
                    self.send_header("Location", location)
                self.end_headers()
                self.wfile.write(body)
                self.wfile.flush()
            except OSError:  # whoever asked has stopped listening
                self.close_connection = True

    return Handler


def _parameters(kind: str, body: bytes) -> tuple[dict[str, Any], dict[str, tuple[str, bytes, str]]]:
    """What a body says, in the two forms that Telegram takes and that we use."""
    if not kind.startswith("multipart/form-data"):
        return (json.loads(body) if body else {}), {}
    boundary = kind.partition("boundary=")[2].encode()
    params: dict[str, Any] = {}
    files: dict[str, tuple[str, bytes, str]] = {}
    assert body.endswith(b"--" + boundary + b"--\r\n"), "the form does not end"
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary)[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = re.search(rb'[; ]name="([^"]*)"', head)
        filename = re.search(rb'filename="([^"]*)"', head)
        content_type = re.search(rb"(?i)content-type: *(\S+)", head)
        assert name is not None
        if filename is not None:
            about = filename[1].decode(), content, content_type[1].decode() if content_type else ""
            files[name[1].decode()] = about
            continue
        text = content.decode()
        params[name[1].decode()] = json.loads(text) if re.fullmatch(r"-?\d+|true|false|[{\[].*", text, re.S) else text
    return params, files
