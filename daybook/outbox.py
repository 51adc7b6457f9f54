"""Messages on their way out: queued in the transaction that decides on them, sent right after, in order for each chat.

`queue` and `edit` store a message; after the commit `wake` has it sent by the threads of this process, and where that
fails, any process that has such threads (every server process, `flask worker`) tries it again: daybook/outbox_sending.
"""

import atexit
import logging
import math
import random
import threading
import time
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from daybook import bot_api, bot_name
from daybook.config import Settings
from daybook.models import WAITING, Message
from daybook.outbox_claims import look_again, make_due, move, seconds_until_due, take_due
from daybook.outbox_sending import Renderer, renderers, send_due

__all__ = [
    "Renderer",
    "answer_press",
    "edit",
    "move",
    "queue",
    "renderers",
    "send_again",
    "send_due",
    "stop",
    "take_due",
    "wake",
]

log = logging.getLogger(__name__)

MAX_TEXT = 4096
MAX_CAPTION = 1024
# The Bot API answers in a tenth of a second or so: four at once are as many messages a second as it allows a bot.
_THREADS = 4
_LOOK_EVERY = 5.0  # seconds: messages that another process has queued, and did not send
_WATCH = 0.1  # seconds by which a message may come late that had to wait for its turn
_ATTEMPTS_TO_ANSWER = 6
_LONGEST_TO_ANSWER = 30.0  # seconds; by then nobody looks at the button any more
_MOST_ANSWERS = 1000  # that wait in memory, while Telegram is away
_METHOD_OF = {"chart": "sendPhoto", "export": "sendDocument"}
_QUEUE = sa.insert(Message).returning(Message.id)


def queue(
    connection: Connection,
    chat_id: int,
    text: str,
    *,
    method: str = "sendMessage",
    payload: dict[str, Any] | None = None,
    reply_to_id: int | None = None,
    written_by: str | None = None,
    sends: bool = False,
) -> int:
    """Stores a message to be sent once this transaction is committed (then call `wake`), and returns its id.

    payload: the call's other parameters, such as reply_markup; {"chart": …} and {"export": …} are made into a photo or
    document when it is sent, by the renderer of that name. reply_to_id: the message (our id) that it answers.
    written_by: the name of whoever writes it as the bot. sends: this transaction has locked the chat, and found that a
    sender will look at it soon. A text that is too long for Telegram is cut. Holds the chat's row until the commit;
    whoever locks sensors as well locks the chat before them (chats.meet).
    """
    payload = payload or {}
    method = next((_METHOD_OF[kind] for kind in _METHOD_OF if kind in payload), method)
    chat_id = chat_id if sends else make_due(connection, chat_id)
    values = {
        "chat_id": chat_id,
        "direction": "out",
        "text": _fitting(text, MAX_TEXT if method in ("sendMessage", "editMessageText") else MAX_CAPTION),
        "status": "queued",
        "method": method,
        "payload": payload,
        "reply_to_id": reply_to_id,
        "written_by": written_by,
    }
    return connection.execute(_QUEUE, values).scalar_one()


def edit(
    connection: Connection,
    message_id: int,
    text: str,
    payload: dict[str, Any] | None = None,
    *,
    or_anew: bool = False,
) -> int:
    """Stores that a message of ours (by our id) is to say something else; takes the place of an edit that still waits.

    It is sent after the message itself, however long that takes, and counts as a message of the chat. or_anew: where
    Telegram does not change the message, because somebody has deleted it for one, a new one says so.
    """
    text, payload = _fitting(text, MAX_TEXT), (payload or {}) | ({"or_anew": True} if or_anew else {})
    chat_id = connection.execute(sa.select(Message.chat_id).where(Message.id == message_id)).scalar_one()
    chat_id = make_due(connection, chat_id)  # and nobody takes the edit that waits in hand while it is changed
    same = Message.chat_id == chat_id, WAITING, Message.reply_to_id == message_id, Message.method == "editMessageText"
    waiting = sa.update(Message).where(*same, Message.status == "queued").values(text=text, payload=payload)
    replaced = connection.execute(waiting.returning(Message.id)).scalars().first()
    if replaced is not None:
        return replaced
    return queue(connection, chat_id, text, method="editMessageText", payload=payload, reply_to_id=message_id)


def send_again(connection: Connection, message_id: int) -> str | None:
    """Queues a message anew that had been given up, and returns the status that it had; None when it had not. Call
    `wake` after the commit."""
    given_up = Message.id == message_id, Message.direction == "out", Message.status.in_(("failed", "gone"))
    row = connection.execute(sa.select(Message.status, Message.chat_id).where(*given_up).with_for_update()).first()
    if row is None:
        return None
    anew = {"status": "queued", "attempts": 0, "next_attempt_at": None, "error": None}
    connection.execute(sa.update(Message).where(Message.id == message_id).values(anew))
    make_due(connection, row.chat_id)
    return str(row.status)


def _fitting(text: str, length: int) -> str:
    """The text as every database keeps it, and no longer than Telegram takes, which counts in UTF-16: a 🏠 is two."""
    text = text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    units = text.encode("utf-16-le")
    return text if len(units) <= 2 * length else units[: 2 * (length - 1)].decode("utf-16-le", "ignore") + "…"


# --- the threads that send


@dataclass(frozen=True)
class _Answer:
    """An answer to somebody who has pressed a button and whose telephone waits for it; due by time.monotonic()."""

    params: dict[str, Any]
    due: float
    attempts: int = 0


class _Sender:
    """A few threads that send what is due. One of them at a time watches the clock; the others wait to be woken."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine, self._settings = engine, settings
        self._condition = threading.Condition()
        self._more = True
        self._watched_until = math.inf  # by time.monotonic(); infinite while nobody watches
        self._stopped = False
        self._answers: list[_Answer] = []
        self._look_again_at = 0.0
        self._threads = [
            threading.Thread(target=self._run, name=f"outbox-{number}", daemon=True) for number in range(_THREADS)
        ]
        for thread in self._threads:
            thread.start()
        self._ended = threading.Event()
        asking = settings, self._ended.wait
        threading.Thread(target=bot_name.keep_learning, args=asking, name="bot-name", daemon=True).start()

    def wake(self) -> None:
        with self._condition:
            self._more = True
            self._condition.notify()

    def _find_help(self) -> None:
        """There was something to do: unless somebody watches, another thread looks whether there is more."""
        if self._watched_until == math.inf:
            self.wake()

    def answer(self, answer: _Answer) -> None:
        with self._condition:
            self._answers.append(answer)
            del self._answers[:-_MOST_ANSWERS]
            self._more = True
            self._condition.notify()

    def stop(self, patience: float) -> None:
        self._ended.set()
        with self._condition:
            self._stopped = True
            self._condition.notify_all()
        deadline = time.monotonic() + patience
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        pause = 0.0
        while self._wait(pause):
            try:
                pause = self._work()
            except sa.exc.SQLAlchemyError as error:
                # Not the error's own text, which carries the statement and what was to be sent.
                log.error("Messages wait, the database cannot be used: %s", type(error).__name__)
                pause = 2.0
            except Exception:
                log.exception("Messages wait: a mistake in sending them")
                pause = _LOOK_EVERY

    def _wait(self, pause: float) -> bool:
        """Waits that long or until woken; False when it is time to end."""
        with self._condition:
            if not self._more and not self._stopped:
                until = time.monotonic() + pause
                if until >= self._watched_until:
                    self._condition.wait()
                else:
                    self._watched_until = until
                    self._condition.wait(pause)
                    if self._watched_until == until:
                        self._watched_until = math.inf
            self._more = False
            return not self._stopped

    def _work(self) -> float:
        """Sends what is due; how long to wait then."""
        while (answer := self._due_answer()) is not None:
            self._find_help()
            self._give(answer)
        if time.monotonic() >= self._look_again_at:
            self._look_again_at = time.monotonic() + 60
            look_again(self._engine)
        # A look costs less than a claim, and does not take SQLite's write lock.
        left = seconds_until_due(self._engine, _LOOK_EVERY)
        if left <= 0:
            send_due(self._engine, self._settings, stop=self._interrupted, claimed=self._find_help)
            left = seconds_until_due(self._engine, _LOOK_EVERY)
        with self._condition:
            answers = [answer.due - time.monotonic() for answer in self._answers]
        # Not all processes at once, and chats that are due soon after each other together.
        left = max(_WATCH, left + random.uniform(0, _WATCH))  # noqa: S311 - spreads the load
        return min([_LOOK_EVERY, left, *(max(0.02, seconds) for seconds in answers)])

    def _interrupted(self) -> bool:
        """Whether to leave the outbox for something else: the end, or somebody who has pressed a button."""
        return self._stopped or any(answer.due <= time.monotonic() for answer in list(self._answers))

    def _due_answer(self) -> _Answer | None:
        with self._condition:
            for answer in self._answers:
                if answer.due <= time.monotonic():
                    self._answers.remove(answer)
                    return answer
        return None

    def _give(self, answer: _Answer) -> None:
        try:
            bot_api.client(self._settings).call("answerCallbackQuery", answer.params)
        except bot_api.Temporary as error:
            attempts = answer.attempts + 1
            wait = error.seconds if isinstance(error, bot_api.RetryAfter) else 0.5 * 2**attempts
            if attempts < _ATTEMPTS_TO_ANSWER and wait <= _LONGEST_TO_ANSWER:
                self.answer(_Answer(answer.params, time.monotonic() + wait, attempts))
            else:
                log.warning("The press of a button stays unanswered: %s", error)
        except bot_api.BotApiError as error:  # it is too old, for one: nobody waits any more
            log.info("The press of a button stays unanswered: %s", error)


_senders: dict[Engine, _Sender] = {}
_lock = threading.Lock()


def _sender(engine: Engine, settings: Settings) -> _Sender:
    with _lock:
        if engine not in _senders:
            _senders[engine] = _Sender(engine, settings)
        return _senders[engine]


def wake(engine: Engine, settings: Settings) -> None:
    """Has the threads of this process look for messages now; starts them. Without a token, everything stays queued."""
    if settings.telegram_bot_token:
        _sender(engine, settings).wake()


def answer_press(engine: Engine, settings: Settings, callback_query_id: str, text: str = "") -> None:
    """Tells the telephone of whoever pressed a button that it was heard, at once and past the queue.

    `text` is shown for a moment. It is not stored: nobody waits for this answer after a restart.
    """
    if settings.telegram_bot_token:
        params = {"callback_query_id": callback_query_id, "text": _fitting(text, 200) or None}
        _sender(engine, settings).answer(_Answer(params, time.monotonic()))


def stop(engine: Engine | None = None, patience: float = 10.0) -> None:
    """Ends the threads (of this engine) once each has sent what it has in hand."""
    with _lock:
        engines = [engine] if engine is not None else list(_senders)
        senders = [_senders.pop(one) for one in engines if one in _senders]
    for sender in senders:
        sender.stop(patience)


atexit.register(stop)
