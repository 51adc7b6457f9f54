"""`flask telegram …`: where Telegram delivers to, what it says of it, and the bot on a laptop."""

import signal
import threading
from datetime import UTC, datetime
from typing import Any

import click
import sqlalchemy as sa
from flask import Flask, current_app
from flask.cli import AppGroup
from sqlalchemy.engine import Engine

from daybook import bot_api, bot_name, chat_files, outbox, removal, sql
from daybook.bot_api import BotApi, BotApiError
from daybook.chat.replies import COMMANDS
from daybook.command_line import with_database
from daybook.config import Settings
from daybook.extensions import db
from daybook.models import Message

# What is asked for; everything else would only be stored.
ALLOWED_UPDATES = ["message", "edited_message", "callback_query"]
_POLL_SECONDS = 25  # for which Telegram keeps a question open
_LONGEST_PAUSE = 60.0
_STOPPED_WITHIN = 3.0  # seconds for what is being stored; not for Telegram's answer

telegram = AppGroup("telegram", help="The Telegram bot.", short_help="The Telegram bot.")


def register(app: Flask) -> None:
    """Adds the commands to the app."""
    app.cli.add_command(telegram)


def _bot() -> tuple[BotApi, Settings]:
    settings: Settings = current_app.config["DAYBOOK"]
    try:
        return bot_api.client(settings), settings
    except BotApiError as error:
        raise click.ClickException(str(error)) from None


def _call(api: BotApi, method: str, params: dict[str, Any]) -> Any:
    try:
        return api.call(method, params)
    except BotApiError as error:
        raise click.ClickException(str(error)) from None


def _set_menu(api: BotApi) -> None:
    """What Telegram offers behind the button beside the field for text: the commands of /help."""
    commands = [{"command": name, "description": text} for name, text in COMMANDS]
    _call(api, "setMyCommands", {"commands": commands})


@telegram.command("set-webhook")
@with_database
def set_webhook() -> None:
    """Have Telegram deliver to PUBLIC_URL, and set the menu of commands."""
    api, settings = _bot()
    if not settings.public_url:
        raise click.ClickException(
            "PUBLIC_URL is not set. It is the address under which others reach Daybook, such as https://book.example; "
            "without one, use `flask telegram poll`."
        )
    if not settings.telegram_webhook_secret:
        raise click.ClickException(
            "TELEGRAM_WEBHOOK_SECRET is not set. Make one up, of letters and digits, 32 or so; Telegram shows it with "
            "each delivery, and without it nothing is accepted."
        )
    url = f"{settings.public_url}/telegram/webhook"
    # Updates that wait are never dropped: they are what people wrote while nobody listened.
    about = {"url": url, "secret_token": settings.telegram_webhook_secret, "allowed_updates": ALLOWED_UPDATES}
    _call(api, "setWebhook", about)
    _set_menu(api)
    click.echo(f"Telegram delivers to {url} from now on.")


@telegram.command("delete-webhook")
@with_database
def delete_webhook() -> None:
    """Have Telegram deliver nothing any more; it keeps what comes for a day."""
    api, _ = _bot()
    _call(api, "deleteWebhook", {})
    click.echo("Telegram delivers nothing any more. What people write is kept there for 24 hours.")


@telegram.command("info")
@with_database
def info() -> None:
    """Who the bot is, where Telegram delivers to, and what waits on either side."""
    api, _ = _bot()
    me, about = _call(api, "getMe", {}), _call(api, "getWebhookInfo", {})
    click.echo(f"Bot: @{_printable(me.get('username'))}")
    webhook = _printable(about.get("url") or "none; `flask telegram poll` would get what waits")
    click.echo(f"Webhook: {webhook}")
    click.echo(f"Updates that wait at Telegram: {about.get('pending_update_count', 0):,}")
    if about.get("last_error_message"):
        at = datetime.fromtimestamp(about.get("last_error_date", 0), UTC)
        said = _printable(about["last_error_message"])
        click.echo(f"Last error of a delivery: {at:%Y-%m-%d %H:%M:%S} UTC, {said}")
    else:
        click.echo("Last error of a delivery: none")
    waiting, given_up = _outgoing(db.engine)
    click.echo(f"Answers that wait to be sent: {waiting:,}; given up: {given_up:,}")


def _printable(text: object) -> str:
    """What Telegram tells is somebody else's text, such as a proxy's, or an address with the token in it."""
    return "".join(letter for letter in bot_api.redacted(str(text)) if letter.isprintable())


def _outgoing(engine: Engine) -> tuple[int, int]:
    def count(*statuses: str) -> sa.ScalarSelect[int]:
        these = sa.select(sa.func.count()).where(Message.direction == "out", Message.status.in_(statuses))
        return these.scalar_subquery()

    with sql.only_reading(), engine.connect() as connection:
        waiting, given_up = connection.execute(sa.select(count("queued", "sending"), count("failed", "gone"))).one()
    return waiting, given_up


@telegram.command("poll")
@with_database
def poll() -> None:
    """Fetch what people write until told to stop (Ctrl-C): for a machine without a public address."""
    api, settings = _bot()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    engine = db.engine
    _set_menu(api)
    bot_name.learn(settings)
    removal.recover(engine, settings, patience=3.0)
    chat_files.resume(engine, settings)
    outbox.wake(engine, settings)
    click.echo("Listening. Stop with Ctrl-C.")
    wrong: list[Exception] = []

    def work() -> None:
        try:
            _poll(api, engine, settings, stop)
        except Exception as error:
            wrong.append(error)
        stop.set()

    # In a thread, so that no signal breaks into what is being stored; only the wait for Telegram is left behind.
    thread = threading.Thread(target=work, name="poll", daemon=True)
    thread.start()
    stop.wait()
    thread.join(_STOPPED_WITHIN)
    outbox.stop(engine)
    if wrong:
        raise wrong[0]
    click.echo("Stopped.")


def _poll(api: BotApi, engine: Engine, settings: Settings, stop: threading.Event) -> None:
    """Takes updates until it is to stop; what it is taking then, Telegram delivers again."""
    from daybook import updates

    offset: int | None = None
    pause = 1.0
    while not stop.is_set():
        about = {"offset": offset, "timeout": _POLL_SECONDS, "allowed_updates": ALLOWED_UPDATES}
        try:
            for update in api.call("getUpdates", about, timeout=_POLL_SECONDS + bot_api.ANSWER):
                if stop.is_set():
                    return
                updates.take(engine, settings, update)
                # Only now: asking for what comes behind it tells Telegram that this one has arrived.
                offset = update["update_id"] + 1
            pause = 1.0
            continue
        except bot_api.Temporary as error:
            pause = error.seconds if isinstance(error, bot_api.RetryAfter) else min(_LONGEST_PAUSE, 2 * pause)
            wrong = f"{error}."
        except BotApiError as error:
            hint = " Run `flask telegram delete-webhook` first." if getattr(error, "status", 0) == 409 else ""
            raise click.ClickException(f"{error}.{hint}") from None
        except sa.exc.SQLAlchemyError as error:
            # As with the webhook: Telegram keeps what could not be kept here.
            if not sql.is_away(error):
                raise
            pause = min(_LONGEST_PAUSE, 2 * pause)
            wrong = "The database cannot be used."
        click.echo(f"{wrong} It is tried again in {pause:.0f} s.", err=True)
        stop.wait(pause)


@telegram.command("allow")
@click.argument("user_id", type=int)
@click.option("--first", default="", help="First name, for somebody who has not written yet.")
@click.option("--last", default="", help="Last name.")
@with_database
def allow(user_id: int, first: str, last: str) -> None:
    """Let the person with this id write to the bot; the bot tells everybody theirs."""
    _decide(user_id, first, last, allowed=True)


@telegram.command("block")
@click.argument("user_id", type=int)
@click.option("--first", default="", help="First name, for somebody who has not written yet.")
@click.option("--last", default="", help="Last name.")
@with_database
def block(user_id: int, first: str, last: str) -> None:
    """Let the person with this id write to the bot no more."""
    _decide(user_id, first, last, allowed=False)


def _decide(user_id: int, first: str, last: str, allowed: bool) -> None:
    from daybook import people

    settings: Settings = current_app.config["DAYBOOK"]
    try:
        changed = (people.allow if allowed else people.block)(db.engine, user_id, first, last)
    except people.BadPerson as error:
        raise click.ClickException(f"{error}.") from None
    word = "allowed" if allowed else "blocked"
    click.echo(f"{user_id} is {word} now." if changed else f"{user_id} was {word} before.")
    outbox.send_due(db.engine, settings, 3)  # the person is told; what cannot be sent now, the server sends
