"""Actions of the admin area on the rows that were chosen and on no others, and the rows as a CSV file."""

import csv
import io
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy.engine import Engine
from werkzeug.test import TestResponse

from daybook import audit, updates
from daybook.admin import asked, csv_files
from daybook.admin.tables import BY_SLUG
from daybook.config import Settings
from daybook.models import Account, AuditEntry, Job, Message, TelegramUpdate, TelegramUser
from tests.admin_rows import (
    NOON,
    add_chat,
    add_message,
    add_users,
    change_form,
    complaints_on,
    flashed,
    hidden,
    scalar,
    wait_for_job,
)


@pytest.fixture
def admin(client: FlaskClient, make_account: Callable[..., Any], login: Callable[..., Any]) -> FlaskClient:
    return login(client, make_account())


def status_of(engine: Engine) -> dict[int, str]:
    with engine.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(sa.select(TelegramUser.user_id, TelegramUser.status))}


def entries(engine: Engine) -> list[tuple[str, str]]:
    """(action, object_id) of what happened to bot users."""
    query = sa.select(AuditEntry.action, AuditEntry.object_id).where(AuditEntry.object_type == "bot user")
    with engine.connect() as connection:
        return sorted((row[0], row[1]) for row in connection.execute(query))


def act_on_all(admin: FlaskClient, path: str, action: str) -> TestResponse:
    """Chooses the action for all rows that match, and agrees to the question whether that is meant."""
    wish = {"action": action, "rows": "all"}
    page = admin.post(path, data=wish)
    assert page.status_code == 200
    return admin.post(path, data=wish | {"confirmed": "yes", "mark": hidden(page, "mark")})


# --- which rows ---------------------------------------------------------------------------------------------------


def test_ticked_rows_and_no_others_are_changed(admin: FlaskClient, engine: Engine) -> None:
    add_users(engine, 4)
    with engine.begin() as connection:
        add_chat(connection, 2)
        add_message(connection, 1000, chat_id=2, sender_id=2)
    data = {"action": "allow", "rows": "ticked", "key": ["2", "3", "3", "99", "x", ""]}
    answer = admin.post("/admin/users/act?q=ann&sort=name", data=data)
    assert answer.location == "/admin/users/?q=ann&sort=name"
    assert flashed(admin)[0].startswith("2 allowed")
    assert status_of(engine) == {1: "pending", 2: "allowed", 3: "allowed", 4: "pending"}
    assert entries(engine) == [("allow", "2"), ("allow", "3")]
    told = sa.select(Message.chat_id).where(Message.direction == "out")
    assert scalar(engine, told) == 2  # who has written is told, once
    assert scalar(engine, sa.select(sa.func.count()).select_from(Message)) == 2
    again = admin.post("/admin/users/act", data=data)
    assert (again.status_code, flashed(admin)) == (303, ["Nothing had to be changed."])
    assert len(entries(engine)) == 2


def test_all_that_match_are_those_that_the_list_shows(admin: FlaskClient, engine: Engine) -> None:
    add_users(engine, 60)
    add_users(engine, 5, first=100, status="blocked")
    for query, changed in (("q=ann5&status=pending", 11), ("status=blocked", 16), ("created_at=2025", 16)):
        assert act_on_all(admin, f"/admin/users/act?{query}", "allow").status_code == 303
        assert len(entries(engine)) == changed
    assert sorted(key for key, status in status_of(engine).items() if status == "allowed") == [
        5,
        *range(50, 60),
        *range(100, 105),
    ]


def test_all_that_match_are_asked_about_first(admin: FlaskClient, engine: Engine) -> None:
    add_users(engine, 3)
    page = admin.post("/admin/users/act?status=pending", data={"action": "block", "rows": "all"})
    assert "Block: 3 bot users?" in page.text
    assert set(status_of(engine).values()) == {"pending"}
    add_users(engine, 1, first=50)
    agreed = {"action": "block", "rows": "all", "confirmed": "yes", "mark": hidden(page, "mark")}
    assert "Block: 4 bot users?" in admin.post("/admin/users/act?status=pending", data=agreed).text
    assert set(status_of(engine).values()) == {"pending"}


def test_nothing_is_done_when_nobody_knows_to_what(admin: FlaskClient, engine: Engine) -> None:
    add_users(engine, 3)
    for data in ({"action": "allow"}, {"action": "allow", "key": ["99", "x"]}, {"rows": "all"}, {"key": "1"}, {}):
        assert admin.post("/admin/users/act", data=data).status_code == 303, data
    for path in ("act?status=bogus", "act?created_at=2026-13"):
        # A list shows more rows where it does not understand its address; an action does not guess.
        assert admin.post(f"/admin/users/{path}", data={"action": "block", "rows": "all"}).status_code == 400
    for action in ("nonsense", "send-again", "run"):
        assert admin.post("/admin/users/act", data={"action": action, "rows": "all"}).status_code == 404
        assert admin.post(f"/admin/users/1/do/{action}").status_code == 404
    assert admin.post("/admin/users/99/do/allow").status_code == 404
    assert set(status_of(engine).values()) == {"pending"}
    assert entries(engine) == []


def test_an_action_on_a_row_s_own_page(admin: FlaskClient, engine: Engine) -> None:
    add_users(engine, 2)
    assert admin.post("/admin/users/1/do/block").location == "/admin/users/1#said"
    assert admin.post("/admin/users/2/do/allow", data={"to": "index"}).location == "/admin/#said"
    assert status_of(engine) == {1: "blocked", 2: "allowed"}
    assert scalar(engine, sa.select(TelegramUser.approved_by).where(TelegramUser.user_id == 2)) == 1


def test_what_was_done_to_one_row_is_said_with_a_link_to_it(admin: FlaskClient, engine: Engine) -> None:
    add_users(engine, 1, first_name="<b>Hugo")
    admin.post("/admin/users/1/do/allow", data={"to": "index", "saw": "pending"})
    page = admin.get("/admin/").text
    assert '<a class="alert-link break" href="/admin/users/1">&lt;b&gt;Hugo Lee</a> is allowed.' in page
    assert 'id="said" tabindex="-1"' in page  # where the address leads, and the keyboard goes on from
    admin.post("/admin/users/1", data=change_form(admin, "/admin/users/1", first_name="Ida", last_name="Lee"))
    assert (
        '“<a class="alert-link break" href="/admin/users/1">Ida Lee</a>” is saved.' in admin.get("/admin/users/").text
    )


def test_a_stale_page_does_not_overrule_a_colleague_in_silence(
    admin: FlaskClient, engine: Engine, make_account: Callable[..., Any], login: Callable[..., Any]
) -> None:
    add_users(engine, 1)
    other = login(admin.application.test_client(), make_account("root"))
    assert 'name="saw" value="pending"' in other.get("/admin/").text
    admin.post("/admin/users/1/do/allow", data={"to": "index", "saw": "pending"})
    late = {"to": "index", "saw": "pending"}
    asks = other.post("/admin/users/1/do/block", data=late)
    assert asks.status_code == 409
    assert "ada allowed Ann1 Lee since you opened the page" in asks.text
    assert status_of(engine) == {1: "allowed"}
    assert other.post("/admin/users/1/do/allow", data=late).status_code == 303
    assert flashed(other) == ["ada allowed Ann1 Lee before you."]
    assert len(entries(engine)) == 1
    agreed = {"to": "index", "saw": hidden(asks, "saw")}
    assert other.post("/admin/users/1/do/block", data=agreed).location == "/admin/#said"
    assert status_of(engine) == {1: "blocked"}


def test_the_address_of_a_question_can_be_opened_again(admin: FlaskClient, engine: Engine) -> None:
    add_users(engine, 1)
    for address, leads in (
        ("/admin/users/act?status=pending", "/admin/users/?status=pending"),
        ("/admin/users/1/do/allow", "/admin/users/1"),
        ("/admin/users/1/answer", "/admin/users/1"),
        ("/admin/accounts/1/password", "/admin/accounts/1"),
    ):
        assert (admin.get(address).status_code, admin.get(address).location) == (302, leads)


def test_more_than_two_hundred_rows_become_a_job(admin: FlaskClient, engine: Engine) -> None:
    add_users(engine, 200)
    assert act_on_all(admin, "/admin/users/act", "allow").location == "/admin/users/"
    add_users(engine, 201, first=1000)
    answer = act_on_all(admin, "/admin/users/act?status=pending", "block")
    assert answer.location == "/admin/jobs/1"
    job = wait_for_job(engine)
    assert (job.status, job.total, job.done, job.changed) == ("done", 201, 201, 201)
    assert {key for key, status in status_of(engine).items() if status == "blocked"} == set(range(1000, 1201))
    assert len(entries(engine)) == 401
    page = admin.get("/admin/jobs/1").text
    assert "201" in page
    assert "Done" in page
    assert admin.get("/admin/jobs/2").status_code == 404
    assert admin.post("/admin/jobs/1/cancel").status_code == 303
    assert scalar(engine, sa.select(Job.status)) == "done"


def test_many_are_deleted_only_as_many_as_were_shown(admin: FlaskClient, engine: Engine) -> None:
    add_users(engine, 210)
    wish = {"action": "delete", "rows": "all"}
    page = admin.post("/admin/users/act?q=ann", data=wish)
    assert "210" in page.text
    add_users(engine, 1, first=900)
    told = admin.post("/admin/users/act?q=ann", data=wish | {"confirmed": "yes", "mark": hidden(page, "mark")})
    assert told.status_code == 409
    assert "Look again" in complaints_on(told)[0]
    assert len(status_of(engine)) == 211
    assert admin.post("/admin/users/act?q=ann", data=wish | {"confirmed": "yes"}).status_code == 409
    agreed = wish | {"confirmed": "yes", "mark": hidden(told, "mark")}
    assert admin.post("/admin/users/act?q=ann", data=agreed).location == "/admin/jobs/1"
    assert wait_for_job(engine).status == "done"
    assert status_of(engine) == {}
    assert len(entries(engine)) == 211


def test_given_up_messages_are_sent_again_and_failed_updates_handled_again(admin: FlaskClient, engine: Engine) -> None:
    with engine.begin() as connection:
        add_chat(connection, 1)
        for number, status in enumerate(("failed", "gone", "sent", "queued"), 1):
            add_message(connection, number, direction="out", status=status, error="x")
        add_message(connection, 5, status="failed")
        rows = [{"update_id": n, "received_at": NOON, "payload": {"update_id": n}} for n in (1, 2)]
        connection.execute(sa.insert(TelegramUpdate), rows)
        connection.execute(sa.update(TelegramUpdate).where(TelegramUpdate.update_id == 2).values(processed_at=NOON))
    act_on_all(admin, "/admin/messages/act", "send-again")
    assert flashed(admin)[0].startswith("2 ")
    with engine.connect() as connection:
        query = sa.select(AuditEntry.object_id, AuditEntry.changes).where(AuditEntry.action == "send again")
        told = {row.object_id: row.changes for row in connection.execute(query)}
    assert told == {"1": {"status": ["failed", "queued"]}, "2": {"status": ["gone", "queued"]}}
    act_on_all(admin, "/admin/updates/act", "handle-again")
    assert flashed(admin)[0].startswith("1 ")
    with engine.connect() as connection:
        assert list(connection.scalars(sa.select(Message.status).order_by(Message.id))) == [
            "queued",
            "queued",
            "sent",
            "queued",
            "failed",
        ]
        assert connection.scalar(sa.select(sa.func.count()).where(TelegramUpdate.processed_at.is_(None))) == 0
    assert admin.post("/admin/updates/2/do/handle-again").status_code == 303
    assert flashed(admin) == ["The update 2 is not handled: it failed once more and says why, or was handled before."]
    query = sa.select(AuditEntry.object_id).where(AuditEntry.action == "handle again")
    with engine.connect() as connection:
        assert list(connection.scalars(query)) == ["1"]


def test_what_is_handled_again_is_not_there_without_its_entry(
    admin: FlaskClient, engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.insert(TelegramUpdate).values(update_id=1, received_at=NOON, payload={"update_id": 1}))

    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("killed here")

    monkeypatch.setattr(audit, "note", fails)
    with pytest.raises(RuntimeError):
        updates.handle_again(engine, settings, 1)
    assert scalar(engine, sa.select(TelegramUpdate.processed_at)) is None


# --- CSV ----------------------------------------------------------------------------------------------------------

NASTY = [
    "=1+1",
    "+1",
    "-1",
    "@x",
    "\t=1",
    " =1",
    "\u200b=1",
    "＝1",
    "\n=1",
    'a"b',
    "a;=1",
    "a,b",
    "a\r\nb",
    "é😀",
    "1",
    "it's",
]


def rows_in(answer: TestResponse) -> list[list[str]]:
    assert answer.content_type == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(answer.data.decode("utf-8"), newline="")))


def test_a_file_holds_every_row_as_it_is_with_formulas_defused(admin: FlaskClient, engine: Engine) -> None:
    rows = [{"user_id": n, "first_name": text, "created_at": NOON} for n, text in enumerate(NASTY, 1)]
    with engine.begin() as connection:
        connection.execute(sa.insert(TelegramUser), rows)
        connection.execute(sa.update(Account).values(timezone="Asia/Kathmandu"))
    answer = admin.get("/admin/users/export.csv")
    head, *found = rows_in(answer)
    assert head[:5] == ["Name", "Id", "Telegram name", "Status", "First seen"]
    assert [int(row[1]) for row in found] == list(range(1, len(NASTY) + 1))
    for text, row in zip(NASTY, found, strict=True):
        shown = text.strip(" ")
        assert row[0] in (shown, f"'{shown}")
        assert not row[0].lstrip().startswith(("=", "+", "-", "@", "＝")), text
        assert datetime.fromisoformat(row[4]) == NOON
        assert row[4].endswith("+05:45")
    assert b'"a;=1"' in answer.data  # in quotes, so that a spreadsheet that parts at semicolons does not part it
    assert [row[0] for row in found if row[0].startswith("'")] == [
        f"'{text.strip(' ')}" for text in NASTY if text not in ('a"b', "a;=1", "a,b", "a\r\nb", "é😀", "1", "it's")
    ]


def test_a_list_links_to_its_file_which_guesses_no_filter(admin: FlaskClient, engine: Engine) -> None:
    add_users(engine, 3)
    add_users(engine, 1, first=9, status="blocked")
    page = admin.get("/admin/users/?status=blocked").text
    link = re.search(r'href="([^"]*export\.csv[^"]*)"', page)
    assert link
    assert [row[1] for row in rows_in(admin.get(link[1]))] == ["Id", "9"]
    for query in ("status=bogus", "created_at=2026-13"):
        assert admin.get(f"/admin/users/export.csv?{query}").status_code == 400


def test_a_file_holds_what_was_ticked_or_all_that_match(admin: FlaskClient, engine: Engine) -> None:
    add_users(engine, 30)
    add_users(engine, 3, first=100, status="blocked")
    for query, data, expected in (
        ("", {"key": ["7", "30", "999"]}, [7, 30]),
        ("?status=blocked", {"rows": "all"}, [100, 101, 102]),
        ("?q=ann1&status=pending&after=[1,1]", {"rows": "all"}, [1, *range(10, 20)]),
    ):
        _, *found = rows_in(admin.post(f"/admin/users/act{query}", data={"action": "export"} | data))
        assert [int(row[1]) for row in found] == expected
    _, *found = rows_in(admin.get("/admin/users/export.csv?status=blocked"))
    assert [int(row[1]) for row in found] == [100, 101, 102]
    answer = admin.get("/admin/users/export.csv")
    assert answer.headers["Content-Disposition"] == "attachment; filename=daybook-users.csv"


def test_a_long_file_is_sent_while_it_is_read(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_files, "_BLOCK", 4)
    add_users(engine, 18)
    statements: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    everything = asked.read(BY_SLUG["users"], {}, ZoneInfo("UTC"))
    lines = csv_files.stream(engine, BY_SLUG["users"], everything, ZoneInfo("UTC"))
    first = [next(lines) for _ in range(5)]
    assert sum("FROM telegram_user" in text for text in statements) == 1  # the rest is still in the database
    add_users(engine, 1, first=500)  # and stays out, as what comes later does
    assert len([*first, *lines]) == 19


def test_every_table_has_a_file(admin: FlaskClient, engine: Engine) -> None:
    for table in BY_SLUG.values():
        head, *found = rows_in(admin.get(f"/admin/{table.slug}/export.csv"))
        assert head == [column.label for column in table.columns]
        assert all(len(row) == len(head) for row in found)
