"""One file that was dropped into a chat, from getFile to the account of its lines: see daybook/chat_files.py."""

import logging
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from daybook import audit, bot_api, chat_audit, chats, imports, outbox, people, removal, sql
from daybook.answers import payload_of
from daybook.bot_api import LARGEST_DOWNLOAD, BotApiError, Permanent, RetryAfter, Temporary
from daybook.chat import files as words
from daybook.chat.values import FileAccount, Reply
from daybook.config import Settings
from daybook.formats.layout import FormatError
from daybook.known import upload_page
from daybook.models import UNFINISHED, Message, Upload, utc_now
from daybook.upload_options import CutOff, ImportRefused, Options, Sender, sentence, with_layout
from daybook.upload_report import UploadReport, read_report

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)  # how long a file is its thread's without a word from that
_TELL_EVERY = 2.5  # seconds; Telegram takes about one message a second and chat
_ATTEMPTS = 3  # of a file whose process was killed
_FETCH_ATTEMPTS = 6
_MOST_ISSUES = 20
_NOT_FETCHED = "Telegram would not hand it over. Send it again."
_SAID = re.compile(r"(?im)^\s*(type|timezone|date[ _]order)\s*:(.*)$")


@dataclass(frozen=True)
class File:
    """A file in hand: the message that brought it, and the message of ours that tells of it.

    upload_id: what was made of it when somebody had it in hand before. attempts tells this claim from later ones.
    """

    message_id: int
    chat_id: int
    sender_id: int
    file_id: str
    name: str
    size: int | None
    caption: str
    progress_id: int
    upload_id: int | None
    attempts: int


class _NotMine(Exception):
    """Somebody else has the file in hand by now."""


class _Hold:
    """Keeps a file in hand for as long as the `with` lasts: its lease up, and its message of ours up to date.

    upload_id: the upload whose progress is told, once there is one.
    """

    def __init__(self, engine: Engine, settings: Settings, file: File) -> None:
        self.upload_id: int | None = None
        self._told = ""
        self._engine, self._settings, self._file = engine, settings, file
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chat-file-lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()  # so that it tells of no progress after the account

    def _run(self) -> None:
        while not self._ended.wait(_TELL_EVERY):
            try:
                self._keep()
            except _NotMine:
                return
            except Exception:
                log.exception("the lease of the file of message %s could not be kept up", self._file.message_id)

    def _keep(self) -> None:
        with self._engine.begin() as connection:
            if self.upload_id is not None:
                columns = Upload.bytes_done, Upload.bytes_total, Upload.readings_added
                row = connection.execute(sa.select(*columns).where(Upload.id == self.upload_id)).one()
                reply = words.progress(self._file.name, row.bytes_done, row.bytes_total, row.readings_added)
                if reply.text != self._told:
                    outbox.edit(connection, self._file.progress_id, reply.text)
                    self._told = reply.text
            _change(connection, self._file, next_attempt_at=utc_now() + LEASE)
        outbox.wake(self._engine, self._settings)


def import_file(engine: Engine, settings: Settings, file: File) -> None:
    """Fetches and imports the file, telling of it in its message of ours; keeps the lease up meanwhile.

    Of one that was begun before, only what is left is done: its account told, or the import begun anew.
    """
    with audit.acting(chat_audit.actor(people.known(engine, file.sender_id))):
        try:
            with _Hold(engine, settings, file) as hold:
                reply, status = _outcome(engine, settings, file, hold)
            _end(engine, settings, file, reply, status)
        except _NotMine:
            log.warning("the file of message %s took too long, and somebody else goes on with it", file.message_id)


def _outcome(engine: Engine, settings: Settings, file: File, hold: _Hold) -> tuple[Reply, str]:
    """What the chat is to read in the end, and the status of the message that brought the file."""
    told = _outcome_before(engine, settings, file)
    if told is not None:
        return told
    if file.attempts > _ATTEMPTS:
        return words.failed(file.name, "It was begun three times and never came to its end."), "failed"
    try:
        path, size = _ask_for_file(settings, file)
        options = _options(engine, file)
        options.check()
    except (FormatError, ImportRefused) as error:
        return words.failed(file.name, sentence(error)), "handled"
    except BotApiError as error:
        log.warning("the file of message %s could not be fetched: %s", file.message_id, error)
        if isinstance(error, Permanent) and "too big" in str(error):
            return words.too_large(file.name, upload_page(settings)), "handled"
        return words.failed(file.name, _NOT_FETCHED), "failed"
    upload_id = imports.announce(engine, file.name, options, Sender(telegram_user_id=file.sender_id), size)
    _note_upload(engine, file, upload_id)
    hold.upload_id = upload_id
    imports.import_stream(engine, settings, _pieces(settings, path), upload_id=upload_id, bytes_total=size)
    return _told_of(engine, file, upload_id)


def _outcome_before(engine: Engine, settings: Settings, file: File) -> tuple[Reply, str] | None:
    """What came of the file when somebody had it in hand before; None where it is to be imported (anew).

    Waits for the end of an import that lives, and clears what a dead one has stored.
    """
    if file.upload_id is None:
        return None
    while (row := _state_of(engine, file.upload_id)) is not None and row.status in (*UNFINISHED, "waiting"):
        if row.status == "waiting":  # for bytes that will never come
            imports.request_cancel(engine, file.upload_id)
        else:
            removal.recover(engine, settings)
            time.sleep(0.2)
    if row is None:
        return words.failed(file.name, "An admin has deleted its upload."), "handled"
    never_read = row.error_code == "interrupted" or row.started_at is None
    return None if never_read else _told_of(engine, file, file.upload_id)


def _note_upload(engine: Engine, file: File, upload_id: int) -> None:
    """Keeps in the row of the message which upload is made of the file: whoever has it in hand next must know."""
    try:
        with engine.begin() as connection:
            payload = connection.scalar(sa.select(Message.payload).where(*_mine(file)).with_for_update())
            if payload is None:
                raise _NotMine
            _change(connection, file, payload=payload | {"file": payload["file"] | {"upload_id": upload_id}})
    except _NotMine:
        imports.request_cancel(engine, upload_id)
        raise


def _state_of(engine: Engine, upload_id: int) -> Any:
    columns = Upload.status, Upload.error_code, Upload.started_at
    with sql.only_reading(), engine.connect() as connection:
        return connection.execute(sa.select(*columns).where(Upload.id == upload_id)).first()


def _told_of(engine: Engine, file: File, upload_id: int) -> tuple[Reply, str]:
    """The account of an upload that has ended."""
    report = read_report(engine, upload_id)
    assert report is not None
    row = report.upload
    if row.status == "done":
        return words.done(_account(report), utc_now(), _timezone(engine, file.chat_id), upload_id), "handled"
    if row.status == "undone":  # on its page, before the chat knew of it
        return words.undone(row.filename, row.readings_added), "handled"
    return words.failed(file.name, row.error or row.status, row.error_code or ""), "handled"


def _ask_for_file(settings: Settings, file: File) -> tuple[str, int | None]:
    """Where the file is to be had, and how large it is; raises BotApiError."""
    api = bot_api.client(settings)
    for attempt in range(_FETCH_ATTEMPTS):
        try:
            found = api.call("getFile", {"file_id": file.file_id})
            break
        except Temporary as error:
            if attempt + 1 == _FETCH_ATTEMPTS:
                raise
            time.sleep(min(30.0, error.seconds) if isinstance(error, RetryAfter) else 2.0**attempt / 2)
    path = found.get("file_path") if isinstance(found, dict) else None
    if not isinstance(path, str):
        raise Permanent("getFile named no path")
    size = found.get("file_size")
    if isinstance(size, int) and size > LARGEST_DOWNLOAD:
        raise Permanent("the file is too big")
    return path, size if isinstance(size, int) else file.size


def said_in(caption: str) -> dict[str, str]:
    """What a caption says of how the file is to be read: "type: NAME", "timezone: ZONE", "date order: dmy"."""
    return {name.casefold().replace("_", " "): value.strip() for name, value in _SAID.findall(caption)}


def _options(engine: Engine, file: File) -> Options:
    """Into the chat's source, with what the caption says."""
    said = said_in(file.caption)
    with engine.begin() as connection:
        chat = chats.find(connection, file.chat_id, lock=True)  # before its source, as a message does
        assert chat is not None  # its message is kept
        source = chats.source_name(connection, chats.source_of(connection, chat))
    options = Options(source=source, timezone=said.get("timezone", ""), date_order=said.get("date order", "").lower())
    return with_layout(options, said.get("type", ""), engine=engine)


def _pieces(settings: Settings, path: str) -> Iterator[bytes]:
    try:
        yield from bot_api.client(settings).download(path)
    except BotApiError as error:
        log.warning("a file could not be fetched to its end: %s", error)
        raise CutOff("Telegram broke off before the end of the file; send it again") from None


def _mine(file: File) -> tuple[sa.ColumnElement[bool], ...]:
    """The row of the message, as long as this claim is the last one."""
    return Message.id == file.message_id, Message.status == "received", Message.attempts == file.attempts


def _change(connection: Connection, file: File, **values: Any) -> None:
    """Changes the row of the message; raises _NotMine."""
    if not connection.execute(sa.update(Message).where(*_mine(file)).values(values)).rowcount:
        raise _NotMine


def _end(engine: Engine, settings: Settings, file: File, reply: Reply, status: str) -> None:
    with engine.begin() as connection:
        # First, because it locks the chat: an update locks that, and then the message of which it is an edit.
        outbox.edit(connection, file.progress_id, reply.text, payload_of(reply), or_anew=True)
        error = reply.text[:500] if status == "failed" else None
        _change(connection, file, status=status, next_attempt_at=None, error=error)
    outbox.wake(engine, settings)


def _account(report: UploadReport) -> FileAccount:
    row = report.upload
    lines = (row.lines_total, row.lines_preamble, row.lines_blank, row.lines_read, row.lines_rejected)
    issues = tuple((issue.line, f"{issue.value!r} {issue.reason}") for issue in report.issues[:_MOST_ISSUES])
    sensors = tuple(sensor.name for sensor in report.sensors)
    readings = row.readings_added, row.readings_duplicate
    layout = report.layout
    assumed = layout.timezone if layout is not None and layout.timezone_from == "default" else ""
    return FileAccount(row.filename, *lines, *readings, sensors, row.first_time, row.last_time, issues, assumed)


def _timezone(engine: Engine, chat_id: int) -> str:
    with sql.only_reading(), engine.connect() as connection:
        chat = chats.find(connection, chat_id)
    return chat.timezone if chat else "UTC"
