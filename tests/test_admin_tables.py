"""What is particular about the single tables of the admin area."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy.engine import Engine

from daybook.admin import deleting
from daybook.admin.tables import BY_SLUG
from daybook.config import Settings
from daybook.models import (
    Account,
    AuditEntry,
    Chat,
    Counter,
    FileType,
    Job,
    Message,
    Sensor,
    Source,
    TelegramUpdate,
    TelegramUser,
    Upload,
    utc_now,
)
from tests.admin_rows import (
    add_chat,
    add_message,
    add_source,
    add_users,
    change_form,
    complaints_on,
    delete,
    hidden,
    mark_of,
    scalar,
    whole_book,
)


@pytest.fixture
def admin(client: FlaskClient, make_account: Callable[..., Any], login: Callable[..., Any]) -> FlaskClient:
    return login(client, make_account())


def test_updates_name_the_person_whatever_they_hold(admin: FlaskClient, engine: Engine) -> None:
    add_users(engine, 1)
    sender = {"from": {"id": 1}, "text": "hello"}
    payloads = [
        {"message": sender},
        {"edited_message": sender},
        {"callback_query": {"from": {"id": 1}, "data": "undo"}},
        {"message": {"from": {"id": 99}}},  # whom an admin has deleted
        {"message": {"from": {"id": "1x"}}},
        {"message": {"from": {"id": 10**30}}},
        {"message": {"from": [1]}},
        {"message": 7},
        [],
        7,
    ]
    with engine.begin() as connection:
        rows = [{"update_id": number, "payload": payload} for number, payload in enumerate(payloads, 1)]
        connection.execute(sa.insert(TelegramUpdate), rows)
    page = admin.get("/admin/updates/?sort=update_id").text
    assert page.count('<a href="/admin/users/1">Ann1 Lee</a>') == 3
    assert '<a href="/admin/users/1">Ann1 Lee</a>' in admin.get("/admin/updates/3").text
    assert admin.get("/admin/updates/7").status_code == 200


def test_a_last_name_that_telegram_has_not_may_stay_blank(admin: FlaskClient, engine: Engine) -> None:
    add_users(engine, 1, last_name="")
    add_users(engine, 1, first=2)
    assert "(optional)" in admin.get("/admin/users/1").text
    renamed = {"first_name": "Hugo", "last_name": ""}
    assert admin.post("/admin/users/1", data=change_form(admin, "/admin/users/1", **renamed)).status_code == 303
    named = {"first_name": "Hugo", "last_name": "Lind"}
    assert admin.post("/admin/users/1", data=change_form(admin, "/admin/users/1", **named)).status_code == 303
    for number in (1, 2):  # one that is there is not taken away, and who is entered by hand has both
        refused = admin.post(f"/admin/users/{number}", data=change_form(admin, f"/admin/users/{number}", **renamed))
        assert (refused.status_code, complaints_on(refused)) == (422, ["Last name: this may not be empty."])
    assert admin.post("/admin/users/add", data={"user_id": "3", "status": "allowed", **renamed}).status_code == 422


def test_a_row_s_page_has_one_filled_button_the_next_step(admin: FlaskClient, engine: Engine) -> None:
    add_users(engine, 1)
    add_users(engine, 1, first=2, status="allowed")
    with engine.begin() as connection:
        add_chat(connection, 1)
        add_chat(connection, 2)
        connection.execute(sa.insert(Source).values(id=1, name="mast"))
        add_message(connection, 1, direction="out", status="failed")
    for path, step in (("users/1", "Allow"), ("users/2", "Send"), ("sources/1", "Save"), ("messages/1", "Send again")):
        page = admin.get(f"/admin/{path}").text
        assert re.findall(r'class="btn (?:btn-sm )?btn-primary" type="submit">([^<]*)<', page) == [step], path


def test_a_history_is_headed_by_what_the_row_is_called(admin: FlaskClient, engine: Engine) -> None:
    add_users(engine, 1)
    admin.post("/admin/users/1/do/allow")
    assert "History of Ann1 Lee</h1>" in admin.get("/admin/users/1/history").text
    delete(admin, "/admin/users/1")
    assert "History of Ann1 Lee</h1>" in admin.get("/admin/users/1/history").text
    assert "History of bot user 9</h1>" in admin.get("/admin/users/9/history").text


def test_forms_suggest_time_zones_and_lead_to_what_explains_a_layout(admin: FlaskClient) -> None:
    assert '<option value="Europe/Dublin"></option>' in admin.get("/admin/accounts/1").text
    assert '<a href="/file-types/new">The form that explains each part</a>' in admin.get("/admin/file-types/add").text


def test_a_long_message_s_title_says_that_there_is_more(admin: FlaskClient, engine: Engine) -> None:
    with engine.begin() as connection:
        add_message(connection, 1, text="the wind blows hard " * 5)
        add_message(connection, 2, text="x" * 80)
    assert f"{('the wind blows hard ' * 5)[:79].rstrip()}…</h1>" in admin.get("/admin/messages/1").text
    assert f"{'x' * 80}</h1>" in admin.get("/admin/messages/2").text


def test_a_bot_user_goes_and_what_they_wrote_stays(admin: FlaskClient, engine: Engine) -> None:
    add_users(engine, 2)
    with engine.begin() as connection:
        for number in (1, 2):
            add_message(connection, number, sender_id=number)
            upload = {"id": number, "filename": "a.csv", "telegram_user_id": number, "status": "done"}
            connection.execute(sa.insert(Upload).values(upload))
    page = admin.get("/admin/users/1/delete").text
    assert "message of theirs" in page
    assert delete(admin, "/admin/users/1").status_code == 303
    with engine.connect() as connection:
        assert list(connection.scalars(sa.select(TelegramUser.user_id))) == [2]
        assert list(connection.scalars(sa.select(Message.sender_id).order_by(Message.id))) == [None, 2]
        assert list(connection.scalars(sa.select(Upload.telegram_user_id).order_by(Upload.id))) == [None, 2]
    assert "Ann1 Lee" in admin.get("/admin/audit/").text
    assert admin.get("/admin/users/1").status_code == 404
    assert "delete" in admin.get("/admin/users/1/history").text


def test_the_last_admin_stays_and_one_who_deletes_the_own_account_is_out(
    admin: FlaskClient, engine: Engine, make_account: Callable[..., Any]
) -> None:
    make_account("vera", "viewer")
    told = delete(admin, "/admin/accounts/1")
    assert told.status_code == 409
    assert "last active admin" in complaints_on(told)[0]
    everybody = admin.post("/admin/accounts/act", data={"rows": "all", "action": "delete"})
    data = {"rows": "all", "action": "delete", "confirmed": "yes", "mark": hidden(everybody, "mark")}
    assert admin.post("/admin/accounts/act", data=data).status_code == 409
    assert scalar(engine, sa.select(sa.func.count()).select_from(Account)) == 2
    make_account("bob", "admin")
    assert delete(admin, "/admin/accounts/1").status_code == 303
    assert admin.get("/admin/").status_code in (302, 401)
    with engine.connect() as connection:
        entry = connection.execute(sa.select(AuditEntry.__table__).where(AuditEntry.action == "delete")).one()
    assert (entry.actor, entry.account_id, entry.object_repr) == ("ada", None, "ada")


def test_an_update_is_kept_while_telegram_may_deliver_it_again(admin: FlaskClient, engine: Engine) -> None:
    with engine.begin() as connection:
        for number, days in ((1, 1.9), (2, 2.1)):
            at = utc_now() - timedelta(days=days)
            connection.execute(sa.insert(TelegramUpdate).values(update_id=number, received_at=at, payload={}))
            add_message(connection, number, update_id=number)
    assert "two days" in admin.get("/admin/updates/1/delete").text
    assert admin.post("/admin/updates/1/delete", data={"mark": mark_of(engine, "updates", [1])}).status_code == 409
    assert delete(admin, "/admin/updates/2").status_code == 303
    with engine.connect() as connection:
        assert list(connection.scalars(sa.select(Message.update_id).order_by(Message.id))) == [1, None]


def test_ticked_rows_are_deleted_only_if_they_are_those_that_were_shown(admin: FlaskClient, engine: Engine) -> None:
    add_users(engine, 4)
    asked = {"rows": "all", "action": "delete"}
    page = admin.post("/admin/users/act?q=ann", data=asked)
    assert "Ann4 Lee" in page.text
    with engine.begin() as connection:
        connection.execute(sa.delete(TelegramUser).where(TelegramUser.user_id == 4))
    add_users(engine, 1, first=9)  # as many as before, but others
    confirmed = asked | {"confirmed": "yes", "mark": hidden(page, "mark")}
    told = admin.post("/admin/users/act?q=ann", data=confirmed)
    assert told.status_code == 409
    assert "Ann9 Lee" in told.text
    assert scalar(engine, sa.select(sa.func.count()).select_from(TelegramUser)) == 4
    assert admin.post("/admin/users/act?q=ann", data=confirmed | {"mark": hidden(told, "mark")}).status_code == 303
    assert scalar(engine, sa.select(sa.func.count()).select_from(TelegramUser)) == 0
    assert scalar(engine, sa.select(sa.func.count()).select_from(Job)) == 0
    assert admin.post("/admin/audit/act", data=asked).status_code == 404  # of the audit, nothing goes


def test_a_chat_stays_when_its_source_goes(admin: FlaskClient, engine: Engine) -> None:
    with engine.begin() as connection:
        add_source(connection, 1, readings=0)
        add_chat(connection, 7, source_id=1, title="Household")
    assert "chat that records into it" in admin.get("/admin/sources/1/delete").text
    assert delete(admin, "/admin/sources/1").status_code == 303
    assert scalar(engine, sa.select(Chat.title).where(Chat.source_id.is_(None))) == "Household"


def test_the_copies_of_deleted_uploads_go_and_the_next_upload_s_stays(engine: Engine, settings: Settings) -> None:
    """It comes before the copies are removed, and gets none of their numbers."""
    folder = settings.instance_path / "uploads"
    folder.mkdir(parents=True, exist_ok=True)
    with engine.begin() as connection:
        made = sa.insert(Upload).values(filename="a", status="undone").returning(Upload.id)
        old = [connection.execute(made).scalar_one() for _ in range(2)]
    for number in old:
        (folder / f"{number}.zst").write_bytes(b"old")
    with engine.begin() as connection:
        work = deleting.Work(engine, settings, None, connection)
        deleting.delete_in(work, BY_SLUG["uploads"], old)
    with engine.begin() as connection:
        new = connection.execute(made).scalar_one()
    (folder / f"{new}.zst").write_bytes(b"new")
    work.follow_up()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {f"{new}.zst": b"new"}


# --- their forms --------------------------------------------------------------------------------------------------

LAYOUTS = ["[]", "5", "null", '"x"', "{", "NaN", '{"file": NaN}', '{"file": "\\ud800"}', '{"\\u0000": 1}', "[" * 3000]


def test_a_layout_that_is_none_is_refused(admin: FlaskClient, engine: Engine) -> None:
    for layout in LAYOUTS:
        answer = admin.post("/admin/file-types/add", data={"name": "x", "layout": layout})
        assert answer.status_code == 422, layout[:20]
        assert 'id="f-layout-wrong"' in answer.text
    assert scalar(engine, sa.select(sa.func.count()).select_from(FileType)) == 0


def test_every_table_with_a_form_adds_and_changes_its_rows(admin: FlaskClient, engine: Engine) -> None:
    def saved(path: str, **typed: str) -> None:
        answer = admin.post(path, data=typed)
        assert answer.status_code == 303, (path, complaints_on(answer))

    def refused(path: str, said: str, **typed: str) -> None:
        answer = admin.post(path, data=typed)
        assert answer.status_code == 422
        assert said in " ".join(complaints_on(answer))

    saved("/admin/sources/add", name="mast")
    saved("/admin/sources/add", name="hut")
    refused("/admin/sources/add", "already", name=" mast ")
    refused("/admin/sources/2", "already", **change_form(admin, "/admin/sources/2", name="mast"))
    sensor = {"source": "mast", "name": "t", "label": "", "unit": "°C", "kind": "gauge"}
    saved("/admin/sensors/add", **sensor)
    refused("/admin/sensors/add", "already", **sensor)
    refused("/admin/sensors/add", "no source", **sensor | {"source": "nowhere"})
    refused("/admin/sensors/add", "65 characters", **sensor | {"unit": "x" * 65, "name": "u"})
    saved("/admin/sensors/1", **change_form(admin, "/admin/sensors/1", name="t2", label="Air", unit="", kind="amount"))
    saved("/admin/counters/add", name="c", value="-5")
    refused("/admin/counters/add", "already", name="c", value="1")
    refused("/admin/counters/add", "too large", name="d", value=str(2**63))
    refused("/admin/counters/add", "65 characters", name="d" * 65, value="1")
    saved("/admin/counters/c", **change_form(admin, "/admin/counters/c", value=str(2**63 - 1)))
    layout = json.dumps({"decimal": ","})
    saved("/admin/file-types/add", name="Logger", layout=layout)
    refused("/admin/file-types/add", "already", name="LOGGER", layout="{}")
    saved("/admin/file-types/1", **change_form(admin, "/admin/file-types/1", name="Logger", layout="{}"))
    saved("/admin/accounts/add", username="Bob", password="a walk in the rain", role="viewer", timezone="Europe/Dublin")
    refused(
        "/admin/accounts/add", "already", username="BOB", password="a walk in the rain", role="viewer", timezone="UTC"
    )
    bob = {"username": "bob", "role": "editor", "is_active": "yes", "timezone": "UTC"}
    saved("/admin/accounts/2", **change_form(admin, "/admin/accounts/2", **bob))
    refused("/admin/accounts/2", "already", **change_form(admin, "/admin/accounts/2", **bob | {"username": "ada"}))
    refused(
        "/admin/accounts/2", "time zone", **change_form(admin, "/admin/accounts/2", **bob | {"timezone": "Nowhere"})
    )
    with engine.connect() as connection:
        assert [tuple(row) for row in connection.execute(sa.select(Source.id, Source.name).order_by(Source.id))] == [
            (1, "mast"),
            (2, "hut"),
        ]
        row = connection.execute(sa.select(Sensor.name, Sensor.label, Sensor.unit, Sensor.kind)).one()
        assert tuple(row) == ("t2", "Air", "", "amount")
        assert connection.scalar(sa.select(Counter.value)) == 2**63 - 1
        assert tuple(connection.execute(sa.select(Account.role, Account.timezone).where(Account.id == 2)).one()) == (
            "editor",
            "UTC",
        )
        wanted = sa.select(AuditEntry.action, AuditEntry.object_type).where(AuditEntry.object_type != "account")
        entries = sorted((row.action, row.object_type) for row in connection.execute(wanted))
    assert entries == [
        ("change", "counter"),
        ("change", "file type"),
        ("change", "sensor"),
        ("create", "counter"),
        ("create", "file type"),
        ("create", "sensor"),
        ("create", "source"),
        ("create", "source"),
    ]
    assert not any("walk" in str(row) for row in whole_book(engine)["audit_entry"])


def test_what_is_deleted_leaves_what_its_form_said(admin: FlaskClient, engine: Engine) -> None:
    admin.post("/admin/counters/add", data={"name": "kitchen", "value": "42"})
    admin.post("/admin/users/add", data={"user_id": "7", "first_name": "Eve", "last_name": "Lee", "status": "pending"})
    for path in ("/admin/counters/kitchen", "/admin/users/7"):
        assert delete(admin, path).status_code == 303
    assert [changes_of(engine, "delete", object_type) for object_type in ("counter", "bot user")] == [
        {"name": ["kitchen", None], "value": [42, None]},
        {"user_id": [7, None], "first_name": ["Eve", None], "last_name": ["Lee", None]},
    ]


def test_a_token_that_an_admin_deletes_is_revoked_by_them(admin: FlaskClient, engine: Engine) -> None:
    admin.post("/account/tokens", data={"name": "mast 3"})
    assert delete(admin, "/admin/tokens/1").status_code == 303
    assert changes_of(engine, "revoke", "token") == {"name": ["mast 3", None], "account": ["ada", None]}


def test_a_large_layout_is_not_kept_twice_over_here_either(admin: FlaskClient, engine: Engine) -> None:
    columns = [{"name": f"column {number}", "role": "value", "sensor": f"s{number}"} for number in range(1000)]
    layout = json.dumps({"columns": columns})
    assert admin.post("/admin/file-types/add", data={"name": "wide", "layout": layout}).status_code == 303
    assert changes_of(engine, "create", "file type") == {"name": [None, "wide"], "layout": [None, "(large)"]}
    assert delete(admin, "/admin/file-types/1").status_code == 303
    assert changes_of(engine, "delete", "file type") == {"name": ["wide", None], "layout": ["(large)", None]}


def changes_of(engine: Engine, action: str, object_type: str) -> Any:
    """What the one entry about that says."""
    query = sa.select(AuditEntry.changes).where(AuditEntry.action == action, AuditEntry.object_type == object_type)
    with engine.connect() as connection:
        return connection.execute(query).scalar_one()
