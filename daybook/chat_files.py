"""Files that somebody drops into a chat: the same import as the upload page's, told in the chat as it goes.

The update's transaction keeps the message as `received` with what Telegram said of the file. A thread of this process
then claims it by a lease in its row, fetches and imports it, and edits one message of ours until that holds the account
of its lines. A process that is killed leaves the lease to run out, and another one begins anew; recovery clears what
the first had stored. Undoing such an upload is the same as on its page.
"""

import logging
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from daybook import bot_api, chats, imports, outbox, removal, sql
from daybook.answers import About, Afterwards, payload_of
from daybook.bot_api import LARGEST_DOWNLOAD, BotApiError, Permanent, RetryAfter, Temporary
from daybook.chat import files as words
from daybook.chat.values import FileAccount, Reply
from daybook.config import Settings
from daybook.formats.layout import FormatError
from daybook.known import upload_page
from daybook.models import Message, Upload, utc_now
from daybook.people import plain
from daybook.source_lock import SourceBusy
from daybook.upload_options import CutOff, ImportRefused, Options, Sender, clean_filename, sentence, with_layout
from daybook.upload_report import UploadReport, read_report

log = logging.getLogger(__name__)

UNDO = "undo-file:"
_LEASE = timedelta(seconds=60)
_TELL_EVERY = 2.5  # seconds; Telegram takes about one message a second and chat
_ATTEMPTS = 3  # of a file whose process was killed
_FETCH_ATTEMPTS = 6
_MOST_ISSUES = 20
_NOT_FETCHED = "Telegram would not hand it over. Send it again."
_AT_ONCE = 2  # files per process: people's requests need the rest of it
_SAID = re.compile(r"(?im)^\s*(type|timezone)\s*:(.*)$")
_slots = threading.BoundedSemaphore(_AT_ONCE)
_MINE = Message.direction == "in", Message.status == "received"


@dataclass(frozen=True)
class _File:
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


# --- in the update's transaction


def take(connection: Connection, about: About, document: Mapping[str, Any], caption: str) -> list[Afterwards]:
    """Announces the file and has it imported, or says why it cannot be."""
    file_id, size = document.get("file_id"), document.get("file_size")
    size = size if isinstance(size, int) and not isinstance(size, bool) else None
    name = clean_filename(plain(document.get("file_name"), 255))
    chat_id, message_id = about.chat.chat_id, about.row.id
    if not isinstance(file_id, str) or (size or 0) > LARGEST_DOWNLOAD:
        outbox.queue(
            connection, chat_id, words.too_large(name, upload_page(about.settings)).text, reply_to_id=message_id
        )
        return []
    progress_id = outbox.queue(connection, chat_id, words.taken(name).text, reply_to_id=message_id)
    file = {"id": file_id, "name": name, "size": size, "caption": plain(caption, 1024), "progress_id": progress_id}
    mine = sa.update(Message).where(Message.id == message_id)
    connection.execute(mine.values(status="received", payload={"file": file}))
    return [start]


def undo_pressed(
    connection: Connection, about: About, data: str, press_id: str, button_of: int | None
) -> list[Afterwards]:
    """Somebody has pressed Undo under the account of a file, which is the message `button_of` (our id)."""
    number = data.removeprefix(UNDO)
    upload_id = int(number) if number.isdecimal() and len(number) < 10 else 0
    columns = Upload.status, Upload.telegram_user_id, Upload.filename
    row = connection.execute(sa.select(*columns).where(Upload.id == upload_id)).first()
    if row is None or row.telegram_user_id != about.person.user_id:
        text = "Only who sent the file can take it back."
    elif row.status != "done":
        text = "That was taken back already."
    else:
        text = ""

    def tell(engine: Engine, settings: Settings) -> None:
        outbox.answer_press(engine, settings, press_id, text)
        if not text:
            undoing = (engine, settings, about.chat.chat_id, upload_id, button_of)
            threading.Thread(target=_undo, args=undoing, name="chat-file-undo", daemon=True).start()

    return [tell]


# --- in threads


def start(engine: Engine, settings: Settings) -> None:
    """Has a thread of this process import the files that wait; at most two at once."""
    if settings.telegram_bot_token and _slots.acquire(blocking=False):
        threading.Thread(target=_run, args=(engine, settings), name="chat-files", daemon=True).start()


def resume(engine: Engine, settings: Settings) -> None:
    """Looks for files that a killed process has left, as soon as its leases are over. For the start of a process."""
    if not settings.telegram_bot_token:
        return

    def look() -> None:
        try:
            while (seconds := _seconds_until_free(engine)) is not None:
                time.sleep(max(0.0, seconds) + 0.5)
                start(engine, settings)
        except sa.exc.SQLAlchemyError as error:
            log.warning("files of chats may wait, the database cannot be used: %s", type(error).__name__)

    threading.Thread(target=look, name="chat-files-left", daemon=True).start()


def _run(engine: Engine, settings: Settings) -> None:
    try:
        while (file := _claim(engine)) is not None:
            _import(engine, settings, file)
        left = False
    except Exception:
        log.exception("a file of a chat could not be imported; it is begun anew when its lease is over")
        left = True
    finally:
        _slots.release()
    # One that came between the last look and the release found no slot free.
    if left or _is_one_free(engine):
        resume(engine, settings)


def _free(now: Any) -> sa.ColumnElement[bool]:
    return sa.and_(*_MINE, Message.next_attempt_at.is_(None) | (Message.next_attempt_at < now))


def _is_one_free(engine: Engine) -> bool:
    with sql.only_reading(), engine.connect() as connection:
        return connection.scalar(sa.select(Message.id).where(_free(utc_now())).limit(1)) is not None


def _seconds_until_free(engine: Engine) -> float | None:
    """How long until somebody may claim a file that waits; None where none does."""
    with sql.only_reading(), engine.connect() as connection:
        row = connection.execute(sa.select(sa.func.count(), sa.func.max(Message.next_attempt_at)).where(*_MINE)).one()
    if not row[0]:
        return None
    return 0.0 if row[1] is None else (row[1] - utc_now()).total_seconds()


def _claim(engine: Engine) -> _File | None:
    """The file that has waited for longest, for this thread alone while it keeps the lease up."""
    now = utc_now()
    with engine.begin() as connection:
        query = sa.select(Message.__table__).where(_free(now)).order_by(Message.id).limit(1)
        row = connection.execute(query.with_for_update(skip_locked=True)).first()
        if row is None:
            return None
        mine = sa.update(Message).where(Message.id == row.id)
        connection.execute(mine.values(next_attempt_at=now + _LEASE, attempts=row.attempts + 1))
    file = row.payload["file"]
    return _File(
        row.id,
        row.chat_id,
        row.sender_id,
        file["id"],
        file["name"],
        file["size"],
        file["caption"],
        file["progress_id"],
        row.attempts + 1,
    )


def _import(engine: Engine, settings: Settings, file: _File) -> None:
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


def _ask_for_file(settings: Settings, file: _File) -> tuple[str, int | None]:
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


def _options(engine: Engine, file: _File) -> Options:
    """Into the chat's source, with what the caption says: "type: NAME", "timezone: ZONE"."""
    said = {name.casefold(): value.strip() for name, value in _SAID.findall(file.caption)}
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


def _tell(engine: Engine, settings: Settings, file: _File, upload_id: int, stop: threading.Event) -> None:
    """Says now and then how far the import is, and keeps the lease up."""
    while not stop.wait(_TELL_EVERY):
        try:
            columns = Upload.bytes_done, Upload.bytes_total, Upload.readings_added
            with engine.begin() as connection:
                row = connection.execute(sa.select(*columns).where(Upload.id == upload_id)).one()
                mine = sa.update(Message).where(Message.id == file.message_id)
                connection.execute(mine.values(next_attempt_at=utc_now() + _LEASE))
                reply = words.progress(file.name, row.bytes_done, row.bytes_total, row.readings_added)
                outbox.edit(connection, file.progress_id, reply.text)
            outbox.wake(engine, settings)
        except Exception:
            log.exception("the progress of upload %s could not be told", upload_id)


def _end(engine: Engine, settings: Settings, file: _File, reply: Reply, status: str) -> None:
    with engine.begin() as connection:
        outbox.edit(connection, file.progress_id, reply.text, payload_of(reply))
        done = {"status": status, "next_attempt_at": None}
        connection.execute(sa.update(Message).where(Message.id == file.message_id).values(done))
    outbox.wake(engine, settings)


def _account(report: UploadReport) -> FileAccount:
    row = report.upload
    lines = (row.lines_total, row.lines_preamble, row.lines_blank, row.lines_read, row.lines_rejected)
    issues = tuple((issue.line, f"{issue.value!r} {issue.reason}") for issue in report.issues[:_MOST_ISSUES])
    sensors = tuple(sensor.name for sensor in report.sensors)
    readings = row.readings_added, row.readings_duplicate
    return FileAccount(row.filename, *lines, *readings, sensors, row.first_time, row.last_time, issues)


def _timezone(engine: Engine, chat_id: int) -> str:
    with sql.only_reading(), engine.connect() as connection:
        chat = chats.find(connection, chat_id)
    return chat.timezone if chat else "UTC"


def _undo(engine: Engine, settings: Settings, chat_id: int, upload_id: int, button_of: int | None) -> None:
    with sql.only_reading(), engine.connect() as connection:
        columns = Upload.filename, Upload.readings_added
        row = connection.execute(sa.select(*columns).where(Upload.id == upload_id)).one()
    try:
        if not removal.undo(engine, settings, upload_id, patience=30.0):
            return  # somebody else was faster
        reply = words.undone(row.filename, row.readings_added)
    except SourceBusy as busy:
        reply, button_of = Reply(f"Not taken back: {busy}."), None
    except Exception:
        log.exception("undoing upload %s stopped; recovery goes on with it", upload_id)
        return
    with engine.begin() as connection:
        if button_of is not None:
            outbox.edit(connection, button_of, reply.text)
        else:
            outbox.queue(connection, chat_id, reply.text)
    outbox.wake(engine, settings)
