"""The client of the Bot API: what travels how, what an answer means, and that the token is nowhere to be read."""

import io
import logging
import time
import traceback
from dataclasses import replace
from pathlib import Path

import pytest

from daybook import bot_api
from daybook.bot_api import BotApi, BotApiError, FileToSend, Migrated, Permanent, RetryAfter, Temporary, redacted
from daybook.config import Settings
from tests.conftest import settings_for
from tests.telegram_standin import BLOCKED, NO_CHAT, TOKEN, Fault, TelegramStandin, failing, migrated, silent, too_many

SECRET_PART = TOKEN.partition(":")[2]


@pytest.fixture
def settings(tmp_path: Path, telegram: TelegramStandin) -> Settings:
    """Settings of a bot; there is no database in this file."""
    about = replace(settings_for("sqlite://", tmp_path), telegram_bot_token=TOKEN)
    return replace(about, telegram_api_url=telegram.url, telegram_webhook_secret="Only-for_tests-0123456789")


@pytest.fixture
def api(settings: Settings) -> BotApi:
    return BotApi(settings)


def refused(api: BotApi, timeout: float | None = None) -> BotApiError:
    with pytest.raises(BotApiError) as caught:
        api.call("sendMessage", {"chat_id": 1, "text": "12.50 groceries"}, timeout=timeout)
    return caught.value


def test_parameters_travel_in_the_body_and_nowhere_else(api: BotApi, telegram: TelegramStandin) -> None:
    message = api.call("sendMessage", {"chat_id": -1001201784679, "text": "Küche 🏠 <b>", "reply_markup": None})
    assert message["message_id"] == 1
    assert telegram.calls[0].params == {"chat_id": -1001201784679, "text": "Küche 🏠 <b>"}
    assert telegram.paths == [f"/bot{TOKEN}/sendMessage"]


def test_a_file_travels_as_a_form_that_is_read_while_it_is_sent(api: BotApi, telegram: TelegramStandin) -> None:
    stream = io.BytesIO(b"skipped" + b"x" * 300_000)
    stream.seek(7)
    markup = {"inline_keyboard": [[{"text": "Ü", "callback_data": "undo:1"}]]}
    about = {"chat_id": 5, "caption": "Größe", "reply_markup": markup, "disable_notification": True}
    api.call("sendDocument", about, {"document": FileToSend('a"b\r\nX-Header: 1.csv', stream, "text/csv")})
    [call] = telegram.calls
    assert call.params == about
    assert call.files == {"document": ("a%22b  X-Header: 1.csv", b"x" * 300_000, "text/csv")}


@pytest.mark.parametrize(
    ("fault", "kind", "text"),
    [
        (failing(), Temporary, "sendMessage: 500 Internal Server Error"),
        (Fault(502, page=True), Temporary, "sendMessage: status 502 without an answer of the Bot API"),
        (Fault(403, page=True), Temporary, "sendMessage: status 403 without an answer of the Bot API"),
        (BLOCKED, Permanent, "sendMessage: 403 Forbidden: bot was blocked by the user"),
        (NO_CHAT, Permanent, "sendMessage: 400 Bad Request: chat not found"),
    ],
)
def test_an_error_says_what_it_is(
    api: BotApi, telegram: TelegramStandin, fault: Fault, kind: type[BotApiError], text: str
) -> None:
    telegram.faults(fault)
    error = refused(api)
    assert type(error) is kind
    assert str(error) == text
    assert getattr(error, "gone", True) == (kind is Permanent) or not isinstance(error, Permanent)


def test_waits_and_moves_are_told(api: BotApi, telegram: TelegramStandin) -> None:
    telegram.faults(too_many(17), migrated(-1001201784679))
    first, second = refused(api), refused(api)
    assert isinstance(first, RetryAfter)
    assert first.seconds == 17
    assert isinstance(second, Migrated)
    assert second.to_chat_id == -1001201784679


def test_no_address_but_the_configured_one_is_ever_asked(api: BotApi, telegram: TelegramStandin) -> None:
    with TelegramStandin() as elsewhere:
        telegram.files["f"] = ("documents/file_1.csv", b"time,value\n")
        telegram.fault = lambda call: Fault(302, location=f"{elsewhere.url}/file/bot{TOKEN}/documents/file_1.csv")
        elsewhere.files["f"] = telegram.files["f"]
        with pytest.raises(Permanent, match="status 302"):
            b"".join(api.download("documents/file_1.csv"))
        assert isinstance(refused(api), Temporary)
        assert elsewhere.paths == []


def test_a_file_comes_in_pieces(api: BotApi, telegram: TelegramStandin) -> None:
    content = bytes(range(256)) * 4000
    telegram.files["f"] = ("documents/Küche 1%.csv", content)
    path = api.call("getFile", {"file_id": "f"})["file_path"]
    pieces = list(api.download(path))
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= 64 * 1024


def test_a_file_past_the_limit_is_left_where_it_is(api: BotApi, telegram: TelegramStandin) -> None:
    telegram.files["f"] = ("documents/file_1.csv", b"x" * 200_000)
    with pytest.raises(Permanent, match="larger than 100,000 bytes"):
        list(api.download("documents/file_1.csv", limit=100_000))
    assert len(b"".join(api.download("documents/file_1.csv", limit=200_000))) == 200_000


@pytest.mark.parametrize("path", ["../bot1:x/logOut", "documents/../../x", "/etc/passwd", "", "a//b", "./a"])
def test_a_path_that_leads_elsewhere_is_not_asked_for(api: BotApi, telegram: TelegramStandin, path: str) -> None:
    with pytest.raises(Permanent, match="elsewhere"):
        list(api.download(path))
    assert telegram.paths == []


def test_an_unknown_file_is_not_asked_for_again(api: BotApi) -> None:
    with pytest.raises(Permanent, match="status 404"):
        list(api.download("documents/file_1.csv"))


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize("raw", [HEAD + b"Content-Length: 500\r\n\r\n" + b" " * 500, HEAD + b"X: " + b"x" * 500])
def test_an_answer_that_drips_is_not_waited_for_for_ever(
    api: BotApi, telegram: TelegramStandin, raw: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bot_api, "CONNECT", 0.5)
    telegram.faults(Fault(raw=raw, drip=0.05))
    began = time.monotonic()
    error = refused(api, timeout=0.5)
    assert isinstance(error, Temporary)
    assert "did not answer in time" in str(error)
    assert time.monotonic() - began < 3
    assert api.call("getMe", {})["username"] == "daybook_bot"


def test_a_file_that_drips_is_given_up(api: BotApi, telegram: TelegramStandin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bot_api, "WHOLE_FILE", 0.5)
    telegram.fault = lambda _: Fault(raw=HEAD + b"Content-Length: 500\r\n\r\n" + b"x" * 500, drip=0.02)
    began = time.monotonic()
    with pytest.raises(Temporary, match="did not answer in time"):
        list(api.download("documents/file_1.csv"))
    assert time.monotonic() - began < 3


def test_whoever_takes_a_file_may_take_their_time(
    api: BotApi, telegram: TelegramStandin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import that waits for another one must not lose the rest of its file."""
    monkeypatch.setattr(bot_api, "WHOLE_FILE", 0.5)
    telegram.files["f"] = ("documents/file_1.csv", b"x" * 200_000)
    pieces = api.download("documents/file_1.csv")
    taken = len(next(pieces))
    time.sleep(0.8)
    assert taken + sum(map(len, pieces)) == 200_000


def test_odd_headers_are_no_mistake_of_ours(api: BotApi, telegram: TelegramStandin) -> None:
    telegram.fault = lambda _: Fault(raw=HEAD + b"Content-Length: many\r\n\r\nabc")
    assert b"".join(api.download("documents/file_1.csv")) == b"abc"


@pytest.mark.parametrize(
    ("said", "seconds"), [(float("nan"), 0.1), (-5, 0.1), (2.5, 2.5), ("3", 3.0), ([], 1.0), (10**400, 1.0)]
)
def test_a_wait_is_a_number_of_seconds_whatever_is_said(
    api: BotApi, telegram: TelegramStandin, said: object, seconds: float
) -> None:
    telegram.faults(Fault(429, "Too Many Requests", {"retry_after": said}))
    error = refused(api)
    assert isinstance(error, RetryAfter)
    assert error.seconds == seconds


def test_without_a_token_it_says_what_to_set(settings: Settings) -> None:
    with pytest.raises(Permanent, match="TELEGRAM_BOT_TOKEN is not set"):
        BotApi(replace(settings, telegram_bot_token=""))


def test_the_token_is_in_no_error_and_no_log(
    api: BotApi, settings: Settings, telegram: TelegramStandin, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("urllib3").setLevel(logging.DEBUG)
    echo = Fault(400, f"Bad Request: https://api.telegram.org/bot{TOKEN}/sendMessage is wrong")
    odd = Fault(raw=HEAD + b"no header at all\r\n" + TOKEN.encode() + b" neither\r\n\r\n")
    telegram.faults(failing(), Fault(502, page=True), echo, silent(5), silent(0.01), odd)
    errors = [refused(api, timeout=0.3) for _ in range(6)]
    nowhere = BotApi(replace(settings, telegram_api_url="http://127.0.0.1:9"))
    nobody = BotApi(replace(settings, telegram_api_url="http://no-such-host.invalid"))
    errors += [refused(nowhere), refused(nobody), refused(BotApi(replace(settings, telegram_bot_token=TOKEN + "x")))]
    telegram.fault = lambda _: failing()
    for path in ("documents/x.csv", "../x"):
        with pytest.raises(BotApiError) as caught:
            list(api.download(path))
        errors.append(caught.value)
    written = [caplog.text, str(settings), *map(repr, errors)]
    for error in errors:
        written += traceback.format_exception(error)
        assert error.__context__ is None or isinstance(error.__context__, ValueError)
    assert "sendMessage" in caplog.text, "urllib3 has logged something"
    assert "Failed to parse headers" in caplog.text, "and has warned of something"
    assert not [text for text in written if SECRET_PART in text or settings.telegram_webhook_secret in text]
    assert "<token>" in str(errors[2])


def test_what_is_hidden_is_hidden_in_any_text(api: BotApi) -> None:
    assert redacted(f"https://x/bot{TOKEN}/getMe and {TOKEN.replace(':', '%3A')}") == (
        "https://x/bot<token>/getMe and <token>"
    )
