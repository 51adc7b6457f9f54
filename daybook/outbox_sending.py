"""Sends what waits in the outbox, from any number of processes and threads: the calls, and the files with them."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from io import SEEK_END, BytesIO
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from daybook import bot_api, outbox_claims, sql
from daybook.bot_api import BotApiError, FileToSend, Permanent, Temporary
from daybook.chart_pictures import NothingToDraw
from daybook.config import Settings
from daybook.outbox_claims import FILE_PARAMETER, Claim, Sent

log = logging.getLogger(__name__)

Renderer = Callable[[Engine, Settings, Any], FileToSend]
# What makes the file of a message whose payload has this name: (engine, settings, what stands under the name).
renderers: dict[str, Renderer] = {}

_NOT_MADE = "This could not be made: something went wrong. Whoever looks after this book finds it in the log."
_TOO_LARGE = "The file is larger than the 50 MB that Telegram takes. The page of the sensor has it as a download."
_NOT_TAKEN = "Telegram does not take the file. Whoever looks after this book finds the reason in the log."
LARGEST_FILE = 50 * 1024 * 1024
_TEXT_PARAMETER = {
    "sendMessage": "text",
    "editMessageText": "text",
    "sendPhoto": "caption",
    "sendDocument": "caption",
    "editMessageCaption": "caption",
}
_NOT_SENT = ("chart", "export", "or_anew")  # of a payload: what the Bot API does not know


def send_due(
    engine: Engine,
    settings: Settings,
    limit: int = 1000,
    *,
    stop: Callable[[], bool] = lambda: False,
    claimed: Callable[[], None] = lambda: None,
) -> int:
    """Sends messages until none is due, `limit` were tried or `stop()`; how many were tried.

    `claimed` is called whenever one was found, so that somebody else may look for the next.
    """
    if not settings.telegram_bot_token:
        return 0
    tried = 0
    claim = outbox_claims.claim(engine)
    while claim is not None:
        claimed()
        outcome = _deliver(engine, settings, claim)
        tried += 1
        claim = outbox_claims.note(engine, claim, outcome, tried < limit and not stop())
    return tried


# --- sending it


def _deliver(engine: Engine, settings: Settings, claim: Claim) -> Sent | BotApiError:
    """Makes the call of a message; what came of it. No transaction is open meanwhile."""
    try:
        return _call(engine, settings, claim)
    except BotApiError as error:
        if _is_unchanged(error):
            return Sent(None)
        return error
    except Exception as error:
        if sql.is_away(error):
            log.warning("message %s waits, the database cannot be used: %s", claim.id, type(error).__name__)
            return Temporary("the database could not be used")
        # One message must not hold up its chat for ever.
        log.exception("message %s cannot be sent", claim.id)
        return Permanent(f"a mistake in sending it: {type(error).__name__}", status=0)


def _is_unchanged(error: BotApiError) -> bool:
    """Whether an edit says what the message says already."""
    return "message is not modified" in str(error)


def _call(engine: Engine, settings: Settings, claim: Claim) -> Sent:
    if claim.method in FILE_PARAMETER:
        with _kept(engine, claim):
            return _send_with_file(engine, settings, claim)
    if claim.method == "editMessageText" and claim.payload.get("or_anew"):
        return _change_or_send_anew(settings, claim)
    return _send(settings, claim, claim.method, claim.text)


def _send_with_file(engine: Engine, settings: Settings, claim: Claim) -> Sent:
    """Makes the file and sends it; where that cannot be, the person who asked is told in its place."""
    kind = next((kind for kind in ("chart", "export") if kind in claim.payload), "file")
    wanted = claim.payload.get(kind, {})
    try:
        file = renderers[kind](engine, settings, wanted)
    except NothingToDraw:  # what was to be drawn has been taken back since
        text = f"{wanted['title']} has no readings in that time any more."
        return _send(settings, claim, "sendMessage", text, note="there was nothing to draw")
    except Exception as error:
        if sql.is_away(error):
            raise
        log.exception("the %s of message %s cannot be made", kind, claim.id)
        note = f"the {kind} could not be made: {type(error).__name__}"
        return _in_words(settings, claim, _NOT_MADE, note)
    with closing(BytesIO(file.content) if isinstance(file.content, bytes) else file.content) as content:
        start = content.tell()
        size = content.seek(0, SEEK_END) - start
        content.seek(start)
        if size > LARGEST_FILE:
            return _in_words(settings, claim, _TOO_LARGE, f"the {kind} is too large: {size:,} bytes")
        try:
            files = {FILE_PARAMETER[claim.method]: replace(file, content=content)}
            return _send(settings, claim, claim.method, claim.text, files)
        except Permanent as error:
            if error.gone:
                raise
            log.warning("the %s of message %s is not taken: %s", kind, claim.id, error)
            reason = _TOO_LARGE if error.status == 413 else _NOT_TAKEN
            return _in_words(settings, claim, reason, f"the {kind} was not taken: {error}")


def _change_or_send_anew(settings: Settings, claim: Claim) -> Sent:
    """Changes a message; where that cannot be, because somebody has deleted it for one, what it was to say is sent."""
    try:
        return _send(settings, claim, claim.method, claim.text)
    except Permanent as error:
        if error.gone or _is_unchanged(error):
            raise
        log.info("message %s is sent anew: %s", claim.id, error)
        sent = _send(settings, claim, "sendMessage", claim.text, note=f"the message could not be changed: {error}")
        return replace(sent, is_anew=True)


def _in_words(settings: Settings, claim: Claim, reason: str, note: str) -> Sent:
    text = "\n\n".join(part for part in (claim.text, reason) if part)
    return _send(settings, claim, "sendMessage", text, note=note)


def _send(
    settings: Settings,
    claim: Claim,
    method: str,
    text: str,
    files: dict[str, FileToSend] | None = None,
    note: str | None = None,
) -> Sent:
    params = {name: value for name, value in claim.payload.items() if name not in _NOT_SENT}
    params["chat_id"] = claim.chat_id
    if method in _TEXT_PARAMETER:
        params[_TEXT_PARAMETER[method]] = text
    if claim.reply_to_id is not None:
        params |= _about(claim, method)
    result = bot_api.client(settings).call(method, params, files)
    number = result.get("message_id") if isinstance(result, dict) and method != "editMessageText" else None
    return Sent(number if bot_api.is_number(number) else None, note)


@contextmanager
def _kept(engine: Engine, claim: Claim) -> Iterator[None]:
    """Keeps the lease of a message up while its file is made and sent, by a thread of its own."""
    done = threading.Event()

    def keep() -> None:
        while not done.wait(outbox_claims.LEASE_OF_FILES.total_seconds() / 4):
            try:
                if not outbox_claims.keep(engine, claim):
                    return
            except sa.exc.SQLAlchemyError as error:
                log.warning("the lease of message %s is not kept up: %s", claim.id, type(error).__name__)

    thread = threading.Thread(target=keep, name="outbox-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()  # so that it does not take the chat in hand again after what became of it has been noted


def _about(claim: Claim, method: str) -> dict[str, Any]:
    """The message that this one answers, or edits, by the number that Telegram knows it by."""
    if method.startswith("edit"):
        if claim.about_number is None:
            raise Permanent("the message that it changes was never sent to this chat", status=0)
        return {"message_id": claim.about_number}
    if claim.about_number is None:
        return {}
    # A question that has been deleted since is answered all the same.
    return {"reply_parameters": {"message_id": claim.about_number, "allow_sending_without_reply": True}}
