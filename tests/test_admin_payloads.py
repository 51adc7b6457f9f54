"""Markup and code in every text that is kept, shown on every page in a real browser: it is text, and nothing runs."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from playwright.sync_api import Dialog, Page, Response
from sqlalchemy.engine import Engine
from werkzeug.http import parse_options_header

from daybook.admin.tables import TABLES
from daybook.models import (
    Account,
    ApiToken,
    AuditEntry,
    Chat,
    Counter,
    FileType,
    Job,
    LoginSession,
    Message,
    MessageReading,
    Reading,
    Sensor,
    Source,
    TelegramUpdate,
    TelegramUser,
    Upload,
    UploadIssue,
    UploadSensor,
    utc_now,
)
from daybook.raw_copies import RawCopy
from daybook.upload_options import clean_filename
from tests.conftest import LiveServer, PageProblems, Person, sign_in
from tests.telegram_standin import TelegramStandin

PAYLOADS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "'-alert(3)-'{{7*7}}",
    "javascript:alert(4)//",
]
# What no page may hold, wherever it came from.
ALIVE = """() => [...document.querySelectorAll("*")].filter((element) =>
    (element.tagName === "SCRIPT" && !element.src && element.type !== "application/json") ||
    (element.tagName === "IMG" && !element.src.startsWith(location.origin)) ||
    [...element.attributes].some(({name, value}) => name.startsWith("on") ||
        (["href", "src", "action", "formaction", "hx-get"].includes(name) && /^\\s*javascript:/i.test(value)))
).map((element) => element.outerHTML.slice(0, 200))"""


def fill(engine: Engine, ada: int, number: int, payload: str) -> None:
    """A row of every table with the payload in each of its texts."""
    at, mine = utc_now(), {"id": number}
    line = " ".join(payload.split())  # a layout refuses more
    columns = [{"name": line, "sensor": line, "unit": line}, {"name": "t", "role": "time"}]
    layout = {"columns": columns, "missing": [line], "signs": [line], "path": line}
    person = {"first_name": payload, "last_name": payload, "username": payload}
    rows: list[tuple[Any, dict[str, Any]]] = [
        (Account, {"id": 100 + number, "username": payload, "password_hash": "x", "role": "viewer"}),
        (ApiToken, mine | {"account_id": ada, "name": payload, "token_hash": payload}),
        (ApiToken, {"id": 50 + number, "account_id": 100 + number, "name": payload, "token_hash": f"{payload} "}),
        (LoginSession, {"account_id": ada, "key_hash": payload, "address": payload, "browser": payload}),
        (TelegramUser, person | {"user_id": number, "status": "pending"}),
        (Chat, {"chat_id": number, "title": payload}),
        (TelegramUpdate, {"update_id": number, "payload": {payload: payload}, "error": payload, "processed_at": None}),
        (Source, mine | {"name": payload}),
        (Sensor, mine | {"source_id": number, "name": payload, "unit": payload, "label": payload, "reading_count": 1}),
        (Reading, {"sensor_id": number, "time": at, "value": 1.5}),
        (FileType, mine | {"name": line.replace("/", ":"), "layout": layout}),
        (Counter, {"name": payload, "value": 1}),
        (Job, mine | {"title": payload, "task": "broadcast", "parameters": {"text": payload}, "error": payload}),
    ]
    said = {"chat_id": number, "text": payload, "error": payload, "sent_at": at}
    rows += [
        (Message, mine | said | {"direction": "in", "sender_id": number, "update_id": number}),
        (Message, {"id": 50 + number, **said, "direction": "out", "status": "failed", "reply_to_id": number}),
        (MessageReading, {"message_id": number, "line": 1, "sensor_id": number, "time": at, "value": 1.5}),
        (AuditEntry, entry(payload, "bot user", number)),
        (AuditEntry, entry(payload, payload, payload)),
    ]
    about = {"filename": payload, "source_id": number, "error": payload, "error_code": "unreadable"}
    about |= {"file_type_id": number, "telegram_user_id": number, "lines_rejected": 1, "lines_total": 1}
    for place, status in enumerate(("failed", "done", "undone")):
        upload = 10 * number + place
        options = {"source": payload, "timezone": payload}
        rows.append((Upload, about | {"id": upload, "status": status, "options": options, "finished_at": at}))
        issue = {"upload_id": upload, "line": 1, "column": payload, "value": payload, "reason": payload}
        rows += [(UploadIssue, issue), (UploadSensor, {"upload_id": upload, "sensor_id": number, "added": 1})]
    with engine.begin() as connection:
        for table, values in rows:
            connection.execute(sa.insert(table).values(values))


def entry(payload: str, kind: str, key: object) -> dict[str, Any]:
    changes = {payload: [payload, {payload: payload}], "text": [None, [payload]]}
    texts = {"object_type": kind[:32], "object_id": str(key), "object_repr": payload}
    return {"actor": payload, "action": payload, "origin": "page", "changes": changes} | texts


@pytest.fixture
def live_server(start_server: Callable[..., LiveServer], telegram: TelegramStandin) -> LiveServer:
    """A server whose Telegram has something to say as well."""
    telegram.webhook = {"url": PAYLOADS[3]}
    telegram.webhook_error = "".join(PAYLOADS)
    return start_server(TELEGRAM_BOT_TOKEN=telegram.token, TELEGRAM_API_URL=telegram.url)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_was_stored_is_text_on_every_page(
    engine: Engine, make_account: Callable[..., Person], new_page: Callable[..., Page], problems: PageProblems
) -> None:
    ada = make_account()
    for number, payload in enumerate(PAYLOADS, 1):
        fill(engine, ada.id, number, payload)
    page, dialogs, failed = new_page(), [], []

    def dismiss(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    def watch(response: Response) -> None:
        if response.status >= 500:
            failed.append(f"{response.status} {response.url}")

    page.on("dialog", dismiss)
    page.on("response", watch)
    sign_in(page, ada)
    odd = quote("".join(PAYLOADS))
    waiting = ["/", "/admin/", "/account", "/sensors", "/uploads", "/file-types"]
    waiting += [f"/admin/{table.slug}/?q={odd}" for table in TABLES]
    for table in TABLES:
        waiting.append(f"/admin/{table.slug}/?" + "&".join(f"{one.name}={odd}" for one in table.filters))
    waiting += [f"/admin/jobs/{number}" for number in range(1, 5)]
    seen: set[str] = set()
    while waiting:
        address = waiting.pop()
        path = urlsplit(address).path
        # One page of each kind is enough where only its query differs; files are looked at below.
        if (key := address if "?" in address and path.count("/") == 3 and odd in address else path) in seen:
            continue
        seen.add(key)
        # Of a few hundred pages that say the same of another row, those of one row are enough.
        if re.search(
            r"\.(csv|json)$|/(raw|rejected|export)$|^/admin/(?!counters)\w+/(?!2/)\w+/(history|delete)$", path
        ):
            continue
        page.goto(address, wait_until="load")
        alive = page.evaluate(ALIVE)
        assert not alive, f"{address}: {alive}"
        shown = page.locator("body").inner_text()
        assert "49" not in re.findall(r"'-alert\(3\)-'(\d+)", shown), address
        if path in ("/admin/users/", "/admin/messages/", "/admin/sources/", "/admin/audit/", "/admin/counters/"):
            for payload in PAYLOADS if address == path else ():
                assert payload in shown, f"{address} does not show {payload}"
        links = page.evaluate(
            "() => [...document.querySelectorAll('a[href]')].map((link) => link.getAttribute('href'))"
        )
        waiting += [link for link in links if link.startswith("/") and odd not in link]
    assert dialogs == []
    assert failed == []
    assert {"/admin/users/3", "/admin/messages/2", "/admin/updates/1", "/uploads/10", "/sensors/4"} <= seen
    assert len(seen) > 150, len(seen)
    # Telegram's own words, which come after the page; and the list by htmx.
    page.goto("/admin/")
    page.get_by_text("Last error of a delivery").wait_for()
    assert "".join(PAYLOADS) in page.locator(".telegram-says").inner_text()
    page.goto("/admin/messages/")
    page.get_by_label("Search", exact=True).fill(PAYLOADS[0])
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**/messages/?q=*")
    assert page.evaluate(ALIVE) == []
    assert dialogs == []


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_files_carry_it_without_harm(
    engine: Engine, client: FlaskClient, make_account: Callable[..., Person], login: Callable[..., FlaskClient]
) -> None:
    ada = make_account()
    payloads = [*PAYLOADS, "=cmd|'/c calc'!A1", 'a"\r\nSet-Cookie: a=b']
    for number, payload in enumerate(payloads, 1):
        fill(engine, ada.id, number, payload)
    login(client, ada)
    addresses = [f"/admin/{table.slug}/export.csv" for table in TABLES]
    addresses += [f"/sensors/{number}/readings.csv" for number in range(1, 7)]
    addresses += [f"/sensors/source.csv?source={quote(payload)}" for payload in payloads]
    for number in range(1, 7):
        copy = RawCopy(client.application.config["DAYBOOK"].instance_path / "uploads", 10 * number)
        copy.begin()
        copy.write(b"time,t\n")
        copy.close()
    with engine.begin() as connection:
        connection.execute(sa.update(Upload).values(sha256="0" * 64))
        named = clean_filename(payloads[-1])  # as every way in does
        connection.execute(sa.update(Upload).where(Upload.id >= 60).values(filename=named))
    addresses += [f"/uploads/{number}0/raw" for number in range(1, 7)] + ["/file-types/export"]
    for address in addresses:
        response = client.get(address)
        assert response.status_code == 200, address
        assert not response.content_type.startswith("text/html"), address
        assert response.headers["X-Content-Type-Options"] == "nosniff", address
        assert "Set-Cookie" not in response.headers or "a=b" not in response.headers["Set-Cookie"], address
        named = response.headers["Content-Disposition"]
        kind, options = parse_options_header(named)
        assert (kind, list(options)) == ("attachment", ["filename"]), f"{address}: {named}"
        assert not set("\r\n") & set(named), f"{address}: {named}"
    exported = client.get("/admin/sources/export.csv").text
    assert "'=cmd|" in exported
