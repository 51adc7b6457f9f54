"""Sends what waits in the outbox, from any number of processes and threads: the calls, and the files with them."""

import logging
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from daybook import bot_api, outbox_claims, sql
from daybook.bot_api import BotApiError, FileToSend, Permanent, Temporary
from daybook.config import Settings
from daybook.models import Message
from daybook.outbox_claims import FILE_PARAMETER, Claim, Sent, seconds_until_due

log = logging.getLogger(__name__)

Renderer = Callable[[Engine, Settings, Any], FileToSend]
# What makes the file of a message whose payload has this name: (engine, settings, what stands under the name).
renderers: dict[str, Renderer] = {}

_NOT_MADE = "This could not be made: something went wrong. Whoever looks after this book finds it in the log."
_TEXT_PARAMETER = {
    "sendMessage": "text",
    "editMessageText": "text",
    "sendPhoto": "caption",
    "sendDocument": "caption",
    "editMessageCaption": "caption",
}


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
    claim = outbox_claims.claim(engine) if seconds_until_due(engine, 1.0) <= 0 else None
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
        if "message is not modified" in str(error):  # the edit says what the message says already
            return Sent(None)
        return error
    except sa.exc.SQLAlchemyError as error:
        log.warning("message %s waits, the database cannot be used: %s", claim.id, type(error).__name__)
        return Temporary("the database could not be used")
    except Exception as error:
        # One message must not hold up its chat for ever.
        log.exception("message %s cannot be sent", claim.id)
        return Permanent(f"a mistake in sending it: {type(error).__name__}", status=0)


def _call(engine: Engine, settings: Settings, claim: Claim) -> Sent:
    api = bot_api.client(settings)
    params = {name: value for name, value in claim.payload.items() if name not in ("chart", "export")}
    params["chat_id"] = claim.chat_id
    method, note, files = claim.method, None, {}
    if method in FILE_PARAMETER:
        kind = next((kind for kind in ("chart", "export") if kind in claim.payload), None)
        if kind is not None:
            try:
                files = {FILE_PARAMETER[method]: renderers[kind](engine, settings, claim.payload[kind])}
            except sa.exc.SQLAlchemyError:
                raise
            except Exception as error:
                # The person who asked is told, in place of the file.
                log.exception("the %s of message %s cannot be made", kind, claim.id)
                note = f"the {kind} could not be made: {type(error).__name__}"
                method = "sendMessage"
    text = "\n\n".join(part for part in (claim.text, _NOT_MADE if note else "") if part)
    if method in _TEXT_PARAMETER:
        params[_TEXT_PARAMETER[method]] = text
    if claim.reply_to_id is not None:
        params |= _about(engine, claim)
    try:
        result = api.call(method, params, files or None)
    finally:
        for file in files.values():
            if not isinstance(file.content, bytes):
                file.content.close()
    number = result.get("message_id") if isinstance(result, dict) and method != "editMessageText" else None
    return Sent(number if isinstance(number, int) else None, note)


def _about(engine: Engine, claim: Claim) -> dict[str, Any]:
    """The message that this one answers, or edits, by the number that Telegram knows it by."""
    with sql.only_reading(), engine.connect() as connection:
        which = sa.select(Message.telegram_message_id, Message.chat_id).where(Message.id == claim.reply_to_id)
        about = connection.execute(which).first()
    known = about is not None and about.telegram_message_id is not None and about.chat_id == claim.chat_id
    if claim.method.startswith("edit"):
        if not known:
            raise Permanent("the message that it changes was never sent to this chat", status=0)
        return {"message_id": about.telegram_message_id}  # type: ignore[union-attr]
    if not known:
        return {}
    # A question that has been deleted since is answered all the same.
    reply = {"message_id": about.telegram_message_id, "allow_sending_without_reply": True}  # type: ignore[union-attr]
    return {"reply_parameters": reply}
