"""Forms of the admin area: what is kept, what is said beside which field, and what happens when two save one row."""

import threading
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.engine import Engine

from daybook.models import (
    Account,
    AuditEntry,
    Counter,
    Sensor,
    TelegramUser,
)
from tests.admin_rows import (
    add_source,
    add_users,
    change_form,
    complaints_on,
    delete,
    hidden,
    keys_on,
    scalar,
    whole_book,
)

NEW_USER = {"user_id": "5", "first_name": "Ann", "last_name": "Lee", "status": "allowed"}


@pytest.fixture
def admin(client: FlaskClient, make_account: Callable[..., Any], login: Callable[..., Any]) -> FlaskClient:
    return login(client, make_account())


# --- bot users ----------------------------------------------------------------------------------------------------


GOOD = [
    ("user_id", str(2**63 - 1), 2**63 - 1),
    ("user_id", " 7 ", 7),
    ("user_id", "0000000000000000000000007", 7),
    ("user_id", "+7", 7),
    ("first_name", "x" * 64, "x" * 64),
    ("first_name", "😀" * 64, "😀" * 64),
    ("last_name", "é" * 64, "é" * 64),
    ("last_name", unicodedata.normalize("NFD", "é" * 64), "é" * 64),
    ("last_name", "  O'Neil <b>  ", "O'Neil <b>"),
    ("first_name", "👩‍🚀", "👩‍🚀"),
]


def test_a_good_bot_user_is_kept_as_typed(admin: FlaskClient, engine: Engine) -> None:
    for field, typed, kept in GOOD:
        answer = admin.post("/admin/users/add", data=NEW_USER | {field: typed})
        assert answer.status_code == 303, (typed, complaints_on(answer))
        assert scalar(engine, sa.select(getattr(TelegramUser, field))) == kept
        with engine.begin() as connection:
            connection.execute(sa.delete(TelegramUser))


BAD = [
    ("user_id", "", "may not be empty"),
    ("user_id", "x", "not a whole number"),
    ("user_id", "1.5", "not a whole number"),
    ("user_id", "-+5", "not a whole number"),
    ("user_id", "١٢", "not a whole number"),
    ("user_id", "0", "above 0"),
    ("user_id", "-5", "above 0"),
    ("user_id", str(2**63), "too large"),
    ("user_id", "9" * 5000, "too large"),
    ("user_id", "1", "already"),
    ("first_name", "", "may not be empty"),
    ("first_name", " \u00a0\u3000", "may not be empty"),
    ("first_name", "\u200b\u2060\ufeff", "may not be empty"),
    ("last_name", "\u3164", "may not be empty"),
    ("last_name", "x" * 65, "65 characters"),
    ("last_name", "😀" * 65, "65 characters"),
    ("last_name", unicodedata.normalize("NFD", "é" * 65), "65 characters"),
    ("first_name", "a\0b", "cannot be kept"),
    ("first_name", "a\nb", "one line"),
    ("first_name", "a\u2028b", "one line"),
    ("status", "king", "none of the choices"),
    ("status", "", "may not be empty"),
]


def test_a_bad_bot_user_is_told_beside_the_field_and_what_was_typed_stays(admin: FlaskClient, engine: Engine) -> None:
    add_users(engine, 1)
    before = whole_book(engine, "login_session")
    for field, typed, said in BAD:
        others = {"user_id": "0077", "first_name": "Léa", "last_name": "<b>"} | {field: typed}
        answer = admin.post("/admin/users/add", data=NEW_USER | others)
        assert answer.status_code == 422, typed
        [complaint] = complaints_on(answer)
        assert said in complaint
        assert f'id="f-{field}-wrong"' in answer.text
        stays = {"user_id": "0077", "first_name": "Léa", "last_name": "&lt;b&gt;"}
        assert all(f'value="{text}"' in answer.text for name, text in stays.items() if name != field)
    assert whole_book(engine, "login_session") == before


def test_an_id_that_two_enter_at_once_is_one_bot_user_and_one_is_told(
    app: Flask, engine: Engine, admin: FlaskClient
) -> None:
    answers = at_once(app, admin, 4, lambda client, _: client.post("/admin/users/add", data=NEW_USER))
    assert sorted(answer.status_code for answer in answers) == [303, 422, 422, 422]
    assert all("already" in " ".join(complaints_on(answer)) for answer in answers if answer.status_code == 422)
    assert (
        scalar(
            engine,
            sa.select(sa.func.count())
            .select_from(AuditEntry)
            .where(AuditEntry.action == "create", AuditEntry.object_type == "bot user"),
        )
        == 1
    )


def test_what_the_form_does_not_have_cannot_be_changed_by_it(admin: FlaskClient, engine: Engine) -> None:
    add_users(engine, 1)
    with engine.begin() as connection:
        add_source(connection, 1)
        add_source(connection, 2)
        connection.execute(sa.insert(Counter).values(name="c", value=1))
    smuggled = {"status": "allowed", "user_id": "9", "approved_by": "1", "username": "x", "told_at": "2026"}
    assert (
        admin.post(
            "/admin/users/1", data=change_form(admin, "/admin/users/1", first_name="B", last_name="C") | smuggled
        ).status_code
        == 303
    )
    with engine.connect() as connection:
        row = connection.execute(sa.select(TelegramUser.__table__)).one()
    assert (row.user_id, row.first_name, row.status, row.approved_by, row.username) == (1, "B", "pending", None, None)
    form = change_form(admin, "/admin/sensors/10", name="t", kind="gauge") | {
        "source": "mast 2",
        "source_id": "2",
        "reading_count": "0",
    }
    assert admin.post("/admin/sensors/10", data=form).status_code == 303
    with engine.connect() as connection:
        row = connection.execute(sa.select(Sensor.__table__).where(Sensor.id == 10)).one()
    assert (row.source_id, row.reading_count, row.name) == (1, 3, "t")
    assert (
        admin.post(
            "/admin/counters/c", data=change_form(admin, "/admin/counters/c", value="2") | {"name": "d"}
        ).status_code
        == 303
    )
    assert scalar(engine, sa.select(Counter.name)) == "c"
    form = change_form(admin, "/admin/accounts/1", username="ada", role="admin", timezone="UTC", is_active="yes")
    before = scalar(engine, sa.select(Account.password_hash))
    assert (
        admin.post("/admin/accounts/1", data=form | {"password": "another long one", "password_hash": "x"}).status_code
        == 303
    )
    assert scalar(engine, sa.select(Account.password_hash)) == before


# --- where the buttons lead ---------------------------------------------------------------------------------------


def test_each_button_leads_where_it_says_and_back_to_the_list_one_came_from(admin: FlaskClient, engine: Engine) -> None:
    back = {"back": "status=allowed&sort=name"}
    saved = admin.post("/admin/users/add", query_string=back, data=NEW_USER)
    assert saved.location == "/admin/users/?status=allowed&sort=name"
    assert keys_on(admin.get(saved.location)) == ["5"]
    more = admin.post("/admin/users/add", query_string=back, data=NEW_USER | {"user_id": "6", "another": "yes"})
    page = admin.get(more.location)
    assert 'value="allowed" selected' in page.text  # an empty form says what an untouched one says
    assert admin.post(more.location, data=NEW_USER | {"user_id": "7"}).location == saved.location
    stay = admin.post("/admin/users/add", query_string=back, data=NEW_USER | {"user_id": "8", "stay": "yes"})
    assert stay.location.startswith("/admin/users/8?back=")
    form = {"seen": hidden(admin.get(stay.location), "seen"), "first_name": "B", "last_name": "C"}
    assert admin.post(stay.location, data=form).location == saved.location


def test_an_address_can_fill_in_a_form(admin: FlaskClient) -> None:
    page = admin.get("/admin/users/add?user_id=77")
    assert 'value="77"' in page.text
    assert 'value="allowed" selected' in page.text


# --- two people ---------------------------------------------------------------------------------------------------


def at_once(app: Flask, admin: FlaskClient, many: int, ask: Callable[[FlaskClient, int], Any]) -> list[Any]:
    """The answers to requests that start in the same moment, all by the same person."""
    cookie = admin.get_cookie("session")
    assert cookie is not None
    barrier, answers = threading.Barrier(many), []

    def run(number: int) -> None:
        client = app.test_client()
        client.set_cookie("session", cookie.value)
        barrier.wait()
        answers.append(ask(client, number))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == many
    return answers


def test_who_saves_second_is_told_and_overwrites_nothing_until_they_say_so(admin: FlaskClient, engine: Engine) -> None:
    add_users(engine, 1)
    mine = change_form(admin, "/admin/users/1", first_name="Mine", last_name="Lee")
    theirs = change_form(admin, "/admin/users/1", first_name="Ann1", last_name="Theirs")
    assert admin.post("/admin/users/1", data=theirs).status_code == 303
    told = admin.post("/admin/users/1", data=mine)
    assert told.status_code == 409
    assert "It is “Theirs” now." in complaints_on(told)
    assert 'value="Mine"' in told.text
    assert scalar(engine, sa.select(TelegramUser.first_name)) == "Ann1"
    # Also with something wrong in it, the first thing said is that the row is another one.
    assert admin.post("/admin/users/1", data=mine | {"first_name": ""}).status_code == 409
    assert admin.post("/admin/users/1", data=mine | {"seen": hidden(told, "seen")}).status_code == 303
    assert scalar(engine, sa.select(TelegramUser.first_name + TelegramUser.last_name)) == "MineLee"
    with engine.connect() as connection:
        query = sa.select(AuditEntry.changes).where(AuditEntry.object_type == "bot user").order_by(AuditEntry.id)
        found = list(connection.scalars(query))
    assert found == [{"last_name": ["Lee", "Theirs"]}, {"first_name": ["Ann1", "Mine"], "last_name": ["Theirs", "Lee"]}]


def test_of_many_who_press_at_the_same_moment_one_is_saved(app: Flask, admin: FlaskClient, engine: Engine) -> None:
    add_users(engine, 1)
    form = change_form(admin, "/admin/users/1", last_name="Lee")
    answers = at_once(
        app, admin, 4, lambda client, number: client.post("/admin/users/1", data=form | {"first_name": f"N{number}"})
    )
    assert sorted(answer.status_code for answer in answers) == [303, 409, 409, 409]
    assert scalar(engine, sa.select(sa.func.count()).select_from(AuditEntry).where(AuditEntry.action == "change")) == 1


def test_two_admins_who_demote_each_other_at_once_leave_one(
    app: Flask, admin: FlaskClient, engine: Engine, make_account: Callable[..., Any]
) -> None:
    make_account("bob", "admin")
    values = {"role": "viewer", "timezone": "UTC", "is_active": "yes"}
    forms = [
        change_form(admin, f"/admin/accounts/{n}", username=name, **values) for n, name in ((1, "ada"), (2, "bob"))
    ]
    answers = at_once(
        app, admin, 2, lambda client, n: client.post(f"/admin/accounts/{n + 1}", data=forms[n], follow_redirects=False)
    )
    # Who was demoted first may press no more; or is told that the other one is the last.
    assert sorted(answer.status_code for answer in answers) in ([303, 403], [303, 422])
    assert scalar(engine, sa.select(sa.func.count()).select_from(Account).where(Account.role == "admin")) == 1


def test_a_row_that_was_deleted_meanwhile_is_said_to_be_gone(admin: FlaskClient, engine: Engine) -> None:
    add_users(engine, 1)
    form = change_form(admin, "/admin/users/1", first_name="B", last_name="C")
    assert delete(admin, "/admin/users/1").status_code == 303
    gone = admin.post("/admin/users/1", data=form)
    assert gone.status_code == 404
    assert "deleted" in gone.text
    assert scalar(engine, sa.select(sa.func.count()).select_from(TelegramUser)) == 0
