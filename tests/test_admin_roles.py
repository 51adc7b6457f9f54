"""Every route of the app, asked by nobody, each role and a disabled account: one table of answers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.engine import Engine
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.test import TestResponse

from daybook import accounts
from daybook.models import (
    ROLES,
    Account,
    AuditEntry,
    Counter,
    FileType,
    Job,
    LoginSession,
    Message,
    Sensor,
    Source,
    TelegramUser,
)
from tests.conftest import PASSWORD, Person

# Which role each route needs; None: nobody has to be logged in. A new route fails here until it has its line.
NEEDED: dict[str, dict[str, str | None]] = {
    "GET": dict.fromkeys(("home.index", "health.healthz", "health.readyz", "auth.login", "auth.setup", "static"))
    | dict.fromkeys(
        (
            "account.index",
            "file_types.index file_types.show file_types.export file_types.export_all",
            "sensors.index sensors.show sensors.readings_csv sensors.series sensors.source_csv",
            "uploads.index uploads.show uploads.show_card uploads.raw uploads.rejected",
            "api.list_file_types api.show_file_type api.list_readings api.list_sensors api.list_sources",
            "api.list_uploads api.show_upload api.raw_upload api.rejected_lines_of_upload",
        ),
        "viewer",
    )
    | {"file_types.new file_types.confirm_delete file_types.import_form": "editor"},
    "POST": dict.fromkeys(("home.greet", "auth.login", "auth.setup", "telegram.webhook"))
    | dict.fromkeys(
        (
            "account.change_password account.end_session account.end_other_sessions account.change_timezone",
            "account.create_token account.revoke_token auth.logout file_types.try_type",
        ),
        "viewer",
    )
    | dict.fromkeys(
        (
            "file_types.save file_types.delete file_types.import_file file_types.create sensors.change",
            "uploads.upload_form uploads.import_again uploads.cancel uploads.undo uploads.announce",
            "previews.look previews.save",
            "api.create_file_type api.add_readings api.create_upload api.import_again",
        ),
        "editor",
    ),
}
# What an admin is answered who sends nothing along; the rows are those of `filled`.
ADMIN = {
    "GET": {
        "admin.index": 200,
        "admin.webhook": 200,
        "admin.broadcast": 200,
        "admin.job": 200,
        "admin.list_rows": 200,
        "admin.export": 200,
        "admin.add": 200,
        "admin.show": 200,
        "admin.history": 200,
        "admin.confirm_delete": 200,
        "admin.asked_of_one": 302,  # to the row
        "admin.asked_of_many": 302,  # to the list
        "admin.conversation": 302,  # to the person's page, unless htmx asks
    },
    "POST": {
        "admin.save": 409,  # no mark of the row as it was opened
        "admin.save_new": 422,
        "admin.delete": 409,  # no mark of what was shown
        "admin.act": 303,
        "admin.act_on_one": 303,
        "admin.answer": 422,
        "admin.send_broadcast": 422,
        "admin.reset_password": 422,
        "admin.cancel_job": 303,
    },
}
KEYS = {"slug": "users", "key": "1001", "name": "allow", "job_id": 1}
OTHER = dict.fromkeys(("upload_id", "sensor_id", "session_id", "token_id"), 99) | {"filename": "app.css"}


@dataclass(frozen=True)
class Route:
    """One question to the app. needed: the role; "405" where there is no such method. endpoint: whoever answers."""

    method: str
    path: str
    endpoint: str
    needed: str | None
    is_there: bool = True  # False: /admin/users/act by GET, where "act" can only be taken for a row that nobody has

    @property
    def is_api(self) -> bool:
        return self.path.startswith("/api/")


def table() -> dict[tuple[str, str], str | None]:
    found = {
        (method, endpoint): role
        for method, roles in NEEDED.items()
        for endpoints, role in roles.items()
        for endpoint in endpoints.split()
    }
    return found | {(method, endpoint): "admin" for method, answers in ADMIN.items() for endpoint in answers}


def routes(app: Flask) -> Iterator[Route]:
    """Every rule by GET and POST, also where it knows only the other."""
    adapter, needed = app.url_map.bind("localhost"), table()
    for rule in app.url_map.iter_rules():
        values = {name: {"name": "1"}.get(name, OTHER.get(name, KEYS.get(name, "1"))) for name in rule.arguments}
        if rule.endpoint.startswith("admin."):
            values = {name: KEYS[name] for name in rule.arguments}
        if rule.endpoint == "admin.reset_password":
            values["key"] = "1"
        own = sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        path = adapter.build(rule.endpoint, values, own[0])
        for method in ("GET", "POST"):
            try:
                endpoint, found = adapter.match(path, method)
            except MethodNotAllowed:
                yield Route(method, path, rule.endpoint, "405")
                continue
            assert (method, endpoint) in needed, f"{method} {path} ({endpoint}) has no line in the table"
            is_there = found.get("slug") != "jobs" and found.get("key") not in ("act", "export.csv")
            yield Route(method, path, endpoint, needed[method, endpoint], is_there)


@pytest.fixture
def filled(app: Flask, engine: Engine, make_account: Callable[..., Person]) -> Engine:
    """A book with the rows that the routes name; ada's account has the id 1."""
    make_account("ada")
    with engine.begin() as connection:
        connection.execute(sa.insert(TelegramUser).values(user_id=1001, first_name="Anna", last_name="Meyer"))
        connection.execute(sa.insert(Counter).values(name="greetings", value=3))
        connection.execute(sa.insert(Source).values(id=1, name="mast"))
        connection.execute(sa.insert(Sensor).values(id=1, source_id=1, name="temp"))
        connection.execute(sa.insert(FileType).values(id=1, name="1", layout={}))
        connection.execute(sa.insert(Job).values(id=1, title="Allow", task="rows", status="done", total=0))
    return engine


def ask(client: FlaskClient, route: Route, **options: object) -> TestResponse:
    return client.open(route.path, method=route.method, buffered=True, **options)  # type: ignore[arg-type]


def expected(route: Route, role: str | None) -> set[int] | None:
    """The statuses that may come back; None: anything but 401, 403 and a mistake of the server's."""
    if route.needed == "405":
        return {405}
    if route.needed is None:
        return None
    if role is None:
        return {401} if route.is_api else {302}
    if ROLES.index(role) < ROLES.index(route.needed):
        return {403}
    if route.endpoint.startswith("admin."):
        if not route.is_there:
            return {405 if route.path.startswith("/admin/jobs/") else 404}  # a job has its page, and is not changed
        return {ADMIN[route.method][route.endpoint]}
    return None


@pytest.mark.parametrize("who", ["nobody", "disabled", *ROLES])
def test_every_route_answers_as_the_table_says(
    app: Flask,
    filled: Engine,
    make_account: Callable[..., Person],
    login: Callable[[FlaskClient, Person], FlaskClient],
    bearer: Callable[[Person], dict[str, str]],
    who: str,
) -> None:
    role = who if who in ROLES else None
    person = None if who == "nobody" else make_account("somebody", role or "admin")
    headers = bearer(person) if person else {}
    client = app.test_client()
    if person:
        login(client, person)
    if who == "disabled":
        with filled.begin() as connection:
            accounts.change(connection, person.id, username="somebody", role="admin", is_active=False, timezone="UTC")
    for route in list(routes(app)):
        response = ask(client, route, headers=headers if route.is_api else {})
        words = f"{who}: {route.method} {route.path} ({route.endpoint}): {response.status_code}"
        statuses = expected(route, role)
        if statuses is not None:
            assert response.status_code in statuses, words
        else:
            assert response.status_code < 500, words
            # What needs no login may ask for a secret of its own: the webhook, and the first account.
            assert route.needed is None or response.status_code not in (401, 403), words
        if response.status_code == 302 and role is None and route.needed not in (None, "405"):
            assert response.location.startswith("/login"), words
        if role and (route.endpoint.startswith("account.") or route.endpoint in ("auth.logout", "auth.login")):
            login(client := app.test_client(), person)


def test_a_disabled_account_is_out_in_the_middle_of_its_work(
    app: Flask, filled: Engine, client: FlaskClient, make_account: Callable[..., Person], login: Callable[..., object]
) -> None:
    eve = make_account("eve")
    login(client, eve)
    assert client.get("/admin/users/").status_code == 200
    ada = login(app.test_client(), Person(1, "ada", eve.password, "admin"))
    page = ada.get(f"/admin/accounts/{eve.id}").text
    seen = page.partition('name="seen" value="')[2].partition('"')[0]
    form = {"username": "eve", "role": "admin", "timezone": "UTC", "seen": seen}
    assert ada.post(f"/admin/accounts/{eve.id}", data=form).status_code == 303
    assert client.get("/admin/users/").status_code == 302
    refused = client.post("/admin/users/1001/do/block", headers={"HX-Request": "true"})
    assert (refused.status_code, refused.headers["HX-Redirect"][:6]) == (401, "/login")
    with filled.connect() as connection:
        assert connection.scalar(sa.select(TelegramUser.status)) == "pending"
        assert connection.scalar(sa.select(sa.func.count()).where(LoginSession.account_id == eve.id)) == 0


@pytest.mark.parametrize("htmx", [False, True])
def test_nothing_is_changed_without_the_token_of_the_form(
    app: Flask, filled: Engine, client: FlaskClient, login: Callable[..., object], htmx: bool
) -> None:
    with filled.connect() as connection:
        password = connection.scalar(sa.select(Account.password_hash))
    login(client, Person(1, "ada", PASSWORD, "admin"))
    app.config["WTF_CSRF_ENABLED"] = True
    before = state(filled)
    changing = [route for route in routes(app) if route.method == "POST" and route.needed != "405"]
    for route in changing:
        if route.is_api or route.endpoint == "telegram.webhook":
            continue
        for token in (None, "wrong"):
            sent = {"text": "hello", "confirmed": "yes", "rows": "all", "action": "block", "password": "x" * 12}
            headers = {"HX-Request": "true"} if htmx else {}
            response = ask(client, route, headers=headers, data=sent | ({"csrf_token": token} if token else {}))
            assert response.status_code == 400, f"{route.path}: {response.status_code}"
            assert "open too long" in response.text, route.path
            assert ("<html" in response.text) is not htmx, route.path
    assert len([route for route in changing if route.endpoint.startswith("admin.")]) >= len(ADMIN["POST"])
    assert state(filled) == before
    with filled.connect() as connection:
        assert connection.scalar(sa.select(Account.password_hash)) == password
    assert client.get("/admin/").status_code == 200


def state(engine: Engine) -> list[object]:
    with engine.connect() as connection:
        tables = (Message, AuditEntry, Job, LoginSession, TelegramUser, FileType, Counter)
        counts = [connection.scalar(sa.select(sa.func.count()).select_from(table)) for table in tables]
        return [*counts, connection.scalar(sa.select(TelegramUser.status)), connection.scalar(sa.select(Counter.value))]
