"""Every route of the app, asked by nobody, a viewer, an editor and an admin; and what else the guard promises."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from flask import Flask, g
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from blueprints.guard import PUBLIC, SAFE_METHODS, local_path, role_needed, role_required
from daybook import audit
from daybook.audit import Actor
from daybook.extensions import csrf, db
from daybook.models import ROLES, ApiToken, AuditEntry
from tests.conftest import Person, csrf_token

MakeAccount = Callable[..., Person]
Login = Callable[[FlaskClient, Person], FlaskClient]


@dataclass(frozen=True)
class Route:
    """One way to ask the app for something."""

    method: str
    path: str
    endpoint: str

    @property
    def is_api(self) -> bool:
        return self.path.startswith("/api/")

    @property
    def is_public(self) -> bool:
        return self.endpoint in PUBLIC

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def routes(app: Flask) -> Iterator[Route]:
    """Every rule with every method, its variables filled with 1."""
    adapter = app.url_map.bind("localhost")
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            path = adapter.build(rule.endpoint, dict.fromkeys(rule.arguments, "1"), method)
            yield Route(method, path, rule.endpoint)


def ask(client: FlaskClient, route: Route, **options: object) -> TestResponse:
    """The answer, read to its end: what fails while it streams fails here."""
    return client.open(route.path, method=route.method, buffered=True, **options)  # type: ignore[arg-type]


def test_nobody_gets_in_but_where_everybody_may(app: Flask, client: FlaskClient) -> None:
    for route in routes(app):
        response = ask(client, route)
        if route.is_public:
            assert response.status_code < 500, route
            assert not (response.location or "").startswith("/login"), route
        elif route.is_api:
            assert response.status_code == 401, route
            assert response.headers["WWW-Authenticate"].startswith("Bearer"), route
            assert set(response.json["error"]) == {"code", "message", "hint"}, route
        else:
            assert response.status_code == 302, route
            assert response.location.startswith("/login"), route


@pytest.mark.parametrize("role", ROLES)
def test_every_role_reaches_what_it_may_and_no_more(
    app: Flask,
    make_account: MakeAccount,
    login: Login,
    bearer: Callable[[Person], dict[str, str]],
    role: str,
) -> None:
    person = make_account("somebody", role)
    for route in routes(app):
        # Fresh ones each time: some of the routes end sessions, another revokes tokens.
        browser = app.test_client()
        if not route.is_api:
            login(browser, person)
        response = ask(browser, route, headers=bearer(person) if route.is_api else {})
        needed = role_needed(app, route.endpoint, route.method)
        assert response.status_code < 500, f"{route}: {response.text}"
        if needed is None:
            continue
        if ROLES.index(role) < ROLES.index(needed):
            assert response.status_code == 403, route
            words = response.json["error"]["message"] if route.is_api else response.text
            assert f"needs the role {needed}" in words, route
            assert f"somebody, {role}" in words, route
        else:
            assert response.status_code not in (401, 403), f"{route}: {response.text}"
            assert not (route.method == "GET" and (response.location or "").startswith("/login")), route


def test_a_forgotten_route_is_safe(app: Flask, client: FlaskClient, make_account: MakeAccount, login: Login) -> None:
    app.add_url_rule("/forgotten", "forgotten", lambda: "done", methods=["GET", "POST", "DELETE"])
    assert client.get("/forgotten").status_code == 302
    login(client, make_account("vera", "viewer"))
    assert client.get("/forgotten").status_code == 200
    assert client.post("/forgotten").status_code == 403
    assert client.delete("/forgotten").status_code == 403
    client.post("/logout")
    login(client, make_account("eddy", "editor"))
    assert client.post("/forgotten").status_code == 200


def test_a_role_that_does_not_exist_is_a_mistake_at_once() -> None:
    with pytest.raises(ValueError, match="viewer, editor, admin"):
        role_required("owner")


def test_the_public_list_names_no_route_that_is_gone(app: Flask) -> None:
    later = {"telegram.webhook"}
    assert PUBLIC - set(app.view_functions) <= later


# --- CSRF --------------------------------------------------------------------------------------------------------


def test_every_unsafe_page_route_needs_a_csrf_token(
    app: Flask, client: FlaskClient, make_account: MakeAccount, login: Login
) -> None:
    login(client, make_account())
    app.config["WTF_CSRF_ENABLED"] = True
    for route in routes(app):
        if route.method in SAFE_METHODS or route.is_api or route.endpoint == "telegram.webhook":
            continue
        response = ask(client, route)
        assert response.status_code == 400, route
        assert "open too long" in response.text, route
    assert client.get("/account").status_code == 200  # nor did any of them log out


def test_the_token_may_come_as_a_field_or_as_a_header(app: Flask, client: FlaskClient) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    token = csrf_token(client)
    assert client.post("/greet", data={"csrf_token": token}).status_code == 303
    assert client.post("/greet", headers={"X-CSRFToken": token}).status_code == 303
    assert app.test_client().post("/greet", headers={"X-CSRFToken": token}).status_code == 400


def test_who_was_logged_out_meanwhile_is_asked_to_log_in(app: Flask, client: FlaskClient) -> None:
    app.config["WTF_CSRF_ENABLED"] = True
    response = client.post("/account/password", headers={"Referer": "http://localhost/account?a=1"})
    assert (response.status_code, response.location) == (302, "/login?next=/account?a%3D1")


# --- pages and the API keep apart --------------------------------------------------------------------------------


@pytest.fixture
def both_ways(app: Flask) -> Flask:
    """The app with a page and an API route that say who asks."""

    def whoami() -> str:
        from flask_login import current_user

        return f"{current_user.username} {getattr(g.get('api_token'), 'name', 'no token')}"

    app.add_url_rule("/whoami", "page_whoami", whoami)
    app.add_url_rule("/api/v1/whoami", "api_whoami", whoami, methods=["GET", "POST"])
    return app


def test_the_api_goes_by_tokens_alone_and_pages_by_the_session_alone(
    both_ways: Flask, make_account: MakeAccount, login: Login, bearer: Callable[[Person], dict[str, str]]
) -> None:
    ada = make_account("ada")
    headers = bearer(ada)
    browser = login(both_ways.test_client(), ada)
    program = both_ways.test_client()
    assert browser.get("/whoami").text == "ada no token"
    assert browser.get("/api/v1/whoami").status_code == 401
    assert program.get("/whoami", headers=headers).status_code == 302
    assert program.get("/api/v1/whoami", headers=headers).text == "ada test"
    assert program.get(
        "/api/v1/whoami", headers={"authorization": headers["Authorization"].replace("Bearer", "bearer")}
    )


def test_the_api_needs_no_csrf_token(
    both_ways: Flask, client: FlaskClient, make_account: MakeAccount, bearer: Callable[[Person], dict[str, str]]
) -> None:
    both_ways.config["WTF_CSRF_ENABLED"] = True
    assert client.post("/api/v1/whoami", headers=bearer(make_account())).status_code == 200


@pytest.mark.parametrize("header", ["Bearer nonsense", "Bearer", "Basic YWRhOmFkYQ==", "Bearer \x80\xff", ""])
def test_what_is_no_token_is_refused_with_a_hint(both_ways: Flask, client: FlaskClient, header: str) -> None:
    response = client.get("/api/v1/whoami", headers={"Authorization": header})
    assert response.status_code == 401
    error = response.json["error"]
    assert error["code"] == "unauthorized"
    assert "/account" in error["hint"]


def test_a_token_does_what_its_account_may(
    both_ways: Flask, client: FlaskClient, make_account: MakeAccount, bearer: Callable[[Person], dict[str, str]]
) -> None:
    headers = bearer(make_account("vera", "viewer"))
    assert client.get("/api/v1/whoami", headers=headers).status_code == 200
    response = client.post("/api/v1/whoami", headers=headers)
    assert response.status_code == 403
    assert response.json["error"] == {
        "code": "forbidden",
        "message": "This needs the role editor; you are vera, viewer.",
        "hint": "Use the token of an account with the role editor.",
    }


# --- answers to nobody -------------------------------------------------------------------------------------------


def test_htmx_is_sent_to_the_login_page_and_back_to_its_page(client: FlaskClient) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://localhost/sensors?page=2"}
    response = client.get("/account", headers=headers)
    assert response.status_code == 401
    assert response.headers["HX-Redirect"] == "/login?next=/sensors?page%3D2"
    for odd in ("http://[", "//evil.example/x", "javascript:alert(1)", ""):
        response = client.get("/account", headers=headers | {"HX-Current-URL": odd})
        assert "evil" not in response.headers["HX-Redirect"]
        assert response.headers["HX-Redirect"].startswith("/login")


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        ("/uploads/7", True),
        ("/sensors?from=2026-11-01#chart", True),
        ("", False),
        (None, False),
        ("uploads", False),
        ("//evil.example", False),
        ("/\\evil.example", False),
        ("/\n/evil.example", False),
        ("https://evil.example/", False),
    ],
)
def test_only_paths_of_our_own_are_gone_on_to(target: str | None, kept: bool) -> None:
    assert local_path(target) == (target if kept else None)


# --- who changes something ---------------------------------------------------------------------------------------


def test_a_request_acts_in_the_name_of_its_account(
    app: Flask, make_account: MakeAccount, login: Login, bearer: Callable[[Person], dict[str, str]]
) -> None:
    ada, eve = make_account("ada"), make_account("eve")
    app.add_url_rule("/acting", "page_acting", lambda: str(audit.current()))
    app.add_url_rule("/api/v1/acting", "api_acting", lambda: str(audit.current()))
    browser, headers = login(app.test_client(), ada), bearer(eve)
    assert browser.get("/acting").text == str(Actor("page", "ada", ada.id))
    assert app.test_client().get("/api/v1/acting", headers=headers).text == str(Actor("api", "eve", eve.id))
    assert audit.current() == Actor("daybook", "Daybook")  # the thread goes on as nobody


def test_what_somebody_does_on_their_page_is_in_the_audit(
    app: Flask, client: FlaskClient, make_account: MakeAccount, login: Login
) -> None:
    vera = make_account("vera", "viewer")
    login(client, vera)
    client.post("/account/timezone", data={"timezone": "Europe/Oslo"})
    client.post("/account/tokens", data={"name": "mast 3", "days": ""})
    client.post("/account/tokens/1/revoke")
    new = "another walk by the sea"
    client.post("/account/password", data={"old_password": vera.password, "new_password": new, "repeated": new})
    client.post("/logout")
    with app.app_context():
        entries = db.session.scalars(sa.select(AuditEntry).order_by(AuditEntry.id)).all()
        assert [(entry.action, entry.object_type) for entry in entries] == [
            ("create", "account"),
            ("change", "account"),
            ("create", "token"),
            ("revoke", "token"),
            ("password", "account"),
        ]
        assert {(entry.origin, entry.actor, entry.account_id) for entry in entries[1:]} == {("page", "vera", vera.id)}


# --- reading requests do not wait for writers --------------------------------------------------------------------


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_pages_are_served_while_somebody_writes(
    app: Flask, client: FlaskClient, make_account: MakeAccount, login: Login
) -> None:
    login(client, make_account())
    writer = sqlite3.connect(app.config["DAYBOOK"].instance_path / "daybook.sqlite3", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    try:
        assert client.get("/account").status_code == 200  # else: 30 seconds, and then a 503
        assert client.get("/").status_code == 200
        assert client.get("/readyz").status_code == 200
    finally:
        writer.close()


def test_using_a_token_to_read_is_noted_all_the_same(
    both_ways: Flask, client: FlaskClient, make_account: MakeAccount, bearer: Callable[[Person], dict[str, str]]
) -> None:
    assert client.get("/api/v1/whoami", headers=bearer(make_account())).status_code == 200
    with both_ways.app_context():
        assert db.session.scalars(sa.select(ApiToken.last_used_at)).one()


def test_an_unsafe_request_holds_no_transaction_before_its_view_begins_one(
    app: Flask, client: FlaskClient, make_account: MakeAccount, login: Login
) -> None:
    @role_required("viewer")
    def stream() -> str:
        return str(db.session().in_transaction())

    app.add_url_rule("/stream", "stream", stream, methods=["POST"])
    login(client, make_account())
    assert client.post("/stream").text == "False"


# --- headers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/login", "/nowhere", "/api/v1/nowhere", "/healthz"])
def test_every_answer_keeps_the_browser_out_of_trouble(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "private, no-cache"


def test_csrf_is_the_apps_own(app: Flask) -> None:
    assert app.extensions["csrf"] is csrf
    assert app.config["WTF_CSRF_CHECK_DEFAULT"] is False  # the guard does it, after asking who it is
