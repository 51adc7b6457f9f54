"""One file that was dropped into a chat, from getFile to the account of its lines: see daybook/chat_files.py."""

import logging
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from daybook import audit, bot_api, chat_audit, chats, imports, outbox, people, sql
from daybook.answers import payload_of
from daybook.bot_api import LARGEST_DOWNLOAD, BotApiError, Permanent, RetryAfter, Temporary
from daybook.chat import files as words
from daybook.chat.values import FileAccount, Reply
from daybook.config import Settings
from daybook.formats.layout import FormatError
from daybook.known import upload_page
from daybook.models import Message, Upload, utc_now
from daybook.upload_options import CutOff, ImportRefused, Options, Sender, sentence, with_layout
from daybook.upload_report import UploadReport, read_report

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)  # how long a file is its thread's without a word from that
_TELL_EVERY = 2.5  # seconds; Telegram takes about one message a second and chat
_ATTEMPTS = 3  # of a file whose process was killed
_FETCH_ATTEMPTS = 6
_MOST_ISSUES = 20
_NOT_FETCHED = "Telegram would not hand it over. Send it again."
_SAID = re.compile(r"(?im)^\s*(type|timezone)\s*:(.*)$")


@dataclass(frozen=True)
class File:
    """A file in hand: the message that brought it, and the message of ours that tells of it."""

    message_id: int
    chat_id: int
    sender_id: int
    file_id: str
    name: str
    size: int | None
    caption: str
    progress_id: int
    attempts: int


def import_file(engine: Engine, settings: Settings, file: File) -> None:
    """Fetches and imports the file, telling of it in its message of ours; keeps the lease up meanwhile."""
    with audit.acting(chat_audit.actor(people.known(engine, file.sender_id))):
        _import_file(engine, settings, file)


def _import_file(engine: Engine, settings: Settings, file: File) -> None:
    if file.attempts > _ATTEMPTS:
        _end(
            engine,
            settings,
            file,
            words.failed(file.name, "It was begun three times and never came to its end."),
            "failed",
        )
        return
    try:
        path, size = _ask_for_file(settings, file)
        options = _options(engine, file)
        options.check()
    except (FormatError, ImportRefused) as error:
        _end(engine, settings, file, words.failed(file.name, sentence(error)), "handled")
        return
    except BotApiError as error:
        too_large = isinstance(error, Permanent) and "too big" in str(error)
        text = words.too_large(file.name, upload_page(settings)) if too_large else words.failed(file.name, _NOT_FETCHED)
        log.warning("the file of message %s could not be fetched: %s", file.message_id, error)
        _end(engine, settings, file, text, "handled" if too_large else "failed")
        return
    sender = Sender(telegram_user_id=file.sender_id)
    upload_id = imports.announce(engine, file.name, options, sender, size)
    stop = threading.Event()
    telling = threading.Thread(target=_tell, args=(engine, settings, file, upload_id, stop), daemon=True)
    telling.start()
    try:
        imports.import_stream(engine, settings, _pieces(settings, path), upload_id=upload_id, bytes_total=size)
    finally:
        stop.set()
        telling.join()
    report = read_report(engine, upload_id)
    assert report is not None
    if report.upload.status == "done":
        reply = words.done(_account(report), utc_now(), _timezone(engine, file.chat_id), upload_id)
        _end(engine, settings, file, reply, "handled")
    else:
        _end(engine, settings, file, words.failed(file.name, report.upload.error or report.upload.status), "handled")


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
    """What a caption says of how the file is to be read: "type: NAME", "timezone: ZONE"."""
    return {name.casefold(): value.strip() for name, value in _SAID.findall(caption)}


def _options(engine: Engine, file: File) -> Options:
    """Into the chat's source, with what the caption says."""
    said = said_in(file.caption)
    with engine.begin() as connection:
        chat = chats.find(connection, file.chat_id)
        assert chat is not None  # its message is kept
        source = chats.source_name(connection, chats.source_of(connection, chat))
    options = Options(source=source, timezone=said.get("timezone", ""))
    return with_layout(options, said.get("type", ""), engine=engine)


def _pieces(settings: Settings, path: str) -> Iterator[bytes]:
    try:
        yield from bot_api.client(settings).download(path)
    except BotApiError as error:
        raise CutOff(f"the file could not be fetched to its end: {error}") from None


def _tell(engine: Engine, settings: Settings, file: File, upload_id: int, stop: threading.Event) -> None:
    """Says now and then how far the import is, and keeps the lease up."""
    while not stop.wait(_TELL_EVERY):
        try:
            columns = Upload.bytes_done, Upload.bytes_total, Upload.readings_added
            with engine.begin() as connection:
                row = connection.execute(sa.select(*columns).where(Upload.id == upload_id)).one()
                mine = sa.update(Message).where(Message.id == file.message_id)
                connection.execute(mine.values(next_attempt_at=utc_now() + LEASE))
                reply = words.progress(file.name, row.bytes_done, row.bytes_total, row.readings_added)
                outbox.edit(connection, file.progress_id, reply.text)
            outbox.wake(engine, settings)
        except Exception:
            log.exception("the progress of upload %s could not be told", upload_id)


def _end(engine: Engine, settings: Settings, file: File, reply: Reply, status: str) -> None:
    with engine.begin() as connection:
        outbox.edit(connection, file.progress_id, reply.text, payload_of(reply))
        done = {"status": status, "next_attempt_at": None, "error": reply.text[:500] if status == "failed" else None}
        connection.execute(sa.update(Message).where(Message.id == file.message_id).values(done))
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
