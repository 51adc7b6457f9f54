"""Files that somebody drops into a chat: the same import as the upload page's, told in the chat as it goes.

The update's transaction keeps the message as `received` with what Telegram said of the file. A thread of this process
then claims it by a lease in its row, fetches and imports it, and edits one message of ours until that holds the account
of its lines. A process that is killed leaves the lease to run out, and another one begins anew; recovery clears what
the first had stored. Undoing such an upload is the same as on its page.
"""

import logging
import threading
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from daybook import audit, chat_audit, chat_file_imports, outbox, people, removal, sql
from daybook.answers import About, Afterwards
from daybook.bot_api import LARGEST_DOWNLOAD
from daybook.chat import files as words
from daybook.chat import grammar
from daybook.chat.values import Reply, UndoFile
from daybook.chat_file_imports import File, said_in
from daybook.config import Settings
from daybook.known import upload_page
from daybook.models import Message, Upload, utc_now
from daybook.people import plain
from daybook.source_lock import SourceBusy
from daybook.upload_options import clean_filename

log = logging.getLogger(__name__)

UNDO = "undo-file:"
_LARGEST_ID = 2**31 - 1
_AT_ONCE = 2  # files per process: people's requests need the rest of it
# The books of which a thread of this process looks for files that are left; set: it is to end.
_looking: dict[Engine, threading.Event] = {}
_lock = threading.Lock()
_slots = threading.BoundedSemaphore(_AT_ONCE)
_MINE = Message.direction == "in", Message.status == "received"


# --- in the update's transaction


def take(connection: Connection, about: About, document: Mapping[str, Any], caption: str) -> list[Afterwards]:
    """Announces the file and has it imported, or says why it cannot be. An edit of its message counts as long as nobody
    has begun with the file; later ones are answered."""
    file_id, size = document.get("file_id"), document.get("file_size")
    size = size if isinstance(size, int) and not isinstance(size, bool) else None
    name = clean_filename(plain(document.get("file_name"), 255))
    file = {"id": file_id, "name": name, "size": size, "caption": plain(caption, 1024)}
    if not about.row.is_new:
        _edit(connection, about, file)
        return []
    chat_id, message_id = about.chat.chat_id, about.row.id
    if not isinstance(file_id, str) or (size or 0) > LARGEST_DOWNLOAD:
        page = upload_page(about.settings)
        refusal = words.too_large(name, page) if isinstance(file_id, str) else words.unreachable(name)
        outbox.queue(connection, chat_id, refusal.text, reply_to_id=message_id)
        return []
    progress_id = outbox.queue(connection, chat_id, words.taken(name).text, reply_to_id=message_id)
    mine = sa.update(Message).where(Message.id == message_id)
    connection.execute(mine.values(status="received", payload={"file": file | {"progress_id": progress_id}}))
    return [start]


def _edit(connection: Connection, about: About, file: dict[str, Any]) -> None:
    """The message says something else of its file, or brings another one. Its row is locked: nobody claims it now."""
    before = about.row.payload.get("file")
    if before is None or not isinstance(file["id"], str):
        return  # it was refused when it came
    unclaimed = Message.id == about.row.id, Message.status == "received", Message.next_attempt_at.is_(None)
    changed = sa.update(Message).where(*unclaimed).values(payload=about.row.payload | {"file": before | file})
    if connection.execute(changed).rowcount:
        return
    if file["name"] != before["name"] or said_in(file["caption"]) != said_in(before["caption"]):
        too_late = words.edited_too_late(before["name"]).text
        outbox.queue(connection, about.chat.chat_id, too_late, reply_to_id=about.row.id)


def undo_pressed(
    connection: Connection, about: About, data: str, press_id: str, button_of: int | None
) -> list[Afterwards]:
    """Somebody has pressed Undo under the account of a file, which is the message `button_of` (our id)."""
    said = grammar.pressed(data)
    upload_id = said.upload_id if isinstance(said, UndoFile) and 0 < said.upload_id <= _LARGEST_ID else 0
    row = connection.execute(sa.select(Upload.status, Upload.telegram_user_id).where(Upload.id == upload_id)).first()
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
    with _lock:
        if not settings.telegram_bot_token or engine in _looking:
            return
        ended = _looking[engine] = threading.Event()

    def look() -> None:
        try:
            while (seconds := _seconds_until_free(engine)) is not None:
                if ended.wait(max(0.5, seconds + 0.5)):
                    return
                start(engine, settings)
        except sa.exc.SQLAlchemyError as error:
            log.warning("files of chats may wait, the database cannot be used: %s", type(error).__name__)
        finally:
            with _lock:
                if _looking.get(engine) is ended:
                    del _looking[engine]

    threading.Thread(target=look, name="chat-files-left", daemon=True).start()


def stop(engine: Engine) -> None:
    """Ends the thread that looks for files that are left; those in hand are imported to their end."""
    with _lock:
        ended = _looking.pop(engine, None)
    if ended is not None:
        ended.set()


def _run(engine: Engine, settings: Settings) -> None:
    try:
        while (file := _claim(engine)) is not None:
            chat_file_imports.import_file(engine, settings, file)
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
        leases = connection.scalars(sa.select(Message.next_attempt_at).where(*_MINE)).all()
    now = utc_now()
    return min(((lease - now).total_seconds() if lease else 0.0 for lease in leases), default=None)


def _claim(engine: Engine) -> File | None:
    """The file that has waited for longest, for this thread alone while it keeps the lease up."""
    now = utc_now()
    with engine.begin() as connection:
        query = sa.select(Message.__table__).where(_free(now)).order_by(Message.id).limit(1)
        row = connection.execute(query.with_for_update(skip_locked=True)).first()
        if row is None:
            return None
        mine = sa.update(Message).where(Message.id == row.id)
        connection.execute(mine.values(next_attempt_at=now + chat_file_imports.LEASE, attempts=row.attempts + 1))
    file = row.payload["file"]
    return File(
        row.id,
        row.chat_id,
        row.sender_id,
        file["id"],
        file["name"],
        file["size"],
        file["caption"],
        file["progress_id"],
        file.get("upload_id"),
        row.attempts + 1,
    )


def _undo(engine: Engine, settings: Settings, chat_id: int, upload_id: int, button_of: int | None) -> None:
    with sql.only_reading(), engine.connect() as connection:
        columns = Upload.filename, Upload.readings_added, Upload.telegram_user_id
        row = connection.execute(sa.select(*columns).where(Upload.id == upload_id)).one()
    try:
        # Only who sent a file can take it back.
        with audit.acting(chat_audit.actor(people.known(engine, row.telegram_user_id or 0))):
            undone = removal.undo(engine, settings, upload_id, patience=30.0)
        if not undone:
            return  # somebody else was faster
        reply = words.undone(row.filename, row.readings_added)
    except SourceBusy as busy:
        reply, button_of = Reply(f"Not taken back: {busy}."), None
    except Exception:
        log.exception("undoing upload %s stopped; recovery goes on with it", upload_id)
        return
    with engine.begin() as connection:
        if button_of is not None:
            outbox.edit(connection, button_of, reply.text, or_anew=True)
        else:
            outbox.queue(connection, chat_id, reply.text)
    outbox.wake(engine, settings)
