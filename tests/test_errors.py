"""Errors as a page, as a fragment and as JSON; and the two that watch over the process."""

import logging
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask, abort
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect

from blueprints.errors import ApiError
from daybook.config import Settings
from daybook.extensions import db
from tests.browser import check_page
from tests.conftest import PageProblems, Person


@pytest.fixture
def failing(
    app: Flask,
    client: FlaskClient,
    make_account: Callable[..., Person],
    login: Callable[..., FlaskClient],
    bearer: Callable[[Person], dict[str, str]],
) -> FlaskClient:
    """A logged-in client of an app that can fail in every way, for pages and below /api/."""
    app.config.update(PROPAGATE_EXCEPTIONS=False, TESTING=False)

    def fail(how: str) -> str:
        if how == "mistake":
            raise RuntimeError("the secret of the house")
        if how == "away":
            raise sa.exc.OperationalError("SELECT 1", {}, Exception("connection refused"))
        if how == "refused":
            raise ApiError(409, "in_use", "The source is in use.", "Remove its readings first.")
        abort(int(how))

    app.add_url_rule("/fail/<how>", "fail", fail)
    app.add_url_rule("/api/fail/<how>", "api_fail", fail)
    person = make_account()
    login(client, person)
    client.environ_base["HTTP_AUTHORIZATION"] = bearer(person)["Authorization"]
    return client


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 418, 429, 500, 503])
def test_every_status_has_a_page_a_fragment_and_json(failing: FlaskClient, status: int) -> None:
    page = failing.get(f"/fail/{status}")
    fragment = failing.get(f"/fail/{status}", headers={"HX-Request": "true"})
    json = failing.get(f"/api/fail/{status}")
    assert page.status_code == fragment.status_code == json.status_code == status
    assert "<!doctype html>" in page.text
    assert fragment.text.startswith('<div class="alert')
    assert {"code", "message"} <= set(json.json["error"])
    assert json.json["error"]["message"].endswith((".", ")"))


def test_a_mistake_is_logged_under_the_reference_that_is_shown(
    failing: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    for path in ("/fail/mistake", "/api/fail/mistake"):
        caplog.clear()
        response = failing.get(path)
        assert response.status_code == 500
        assert "secret of the house" not in response.text
        assert "Traceback" not in response.text
        [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
        reference = re.search(r"Error (\w+) at GET", record.getMessage())
        assert reference
        assert reference[1] in response.text
        assert "the secret of the house" in caplog.text


@pytest.mark.parametrize("path", ["/fail/away", "/api/fail/away"])
def test_a_database_that_is_away_is_said_plainly(failing: FlaskClient, path: str) -> None:
    response = failing.get(path)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert "cannot use its database right now" in response.text
    assert "SELECT" not in response.text


def test_an_error_of_our_own_reaches_program_and_person(failing: FlaskClient) -> None:
    json = failing.get("/api/fail/refused")
    assert json.status_code == 409
    assert json.json == {
        "error": {"code": "in_use", "message": "The source is in use.", "hint": "Remove its readings first."}
    }
    assert "Remove its readings first." in failing.get("/fail/refused").text


def test_a_method_that_is_not_there_names_those_that_are(client: FlaskClient) -> None:
    response = client.delete("/greet")
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]


def test_a_form_that_is_too_large_is_refused(client: FlaskClient) -> None:
    response = client.post("/login", data={"username": "x" * 2_000_000})
    assert response.status_code == 413
    assert "larger than this page takes" in response.text


def test_an_error_page_in_a_browser(page: Page, problems: PageProblems) -> None:
    problems.expect_status(404)
    page.goto("/nowhere")
    expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()
    check_page(page)


# --- health ------------------------------------------------------------------------------------------------------


def test_a_whole_daybook_is_healthy_and_ready(client: FlaskClient) -> None:
    assert client.get("/healthz").text == "ok\n"
    response = client.get("/readyz")
    assert (response.status_code, response.json) == (200, {"database": "ok", "migrations": "ok"})


def test_without_migrations_it_is_not_ready(make_app: Callable[[Settings], Flask], blank_settings: Settings) -> None:
    client = make_app(blank_settings).test_client()
    assert client.get("/healthz").status_code == 200
    response = client.get("/readyz")
    assert (response.status_code, response.json["database"]) == (503, "ok")
    assert "flask db upgrade" in response.json["migrations"]


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.sqlite3", "postgresql+psycopg2://x@127.0.0.1:1/x"])
def test_without_its_database_it_says_so_and_lives(
    make_app: Callable[[Settings], Flask], tmp_path: Path, url: str
) -> None:
    settings = Settings(database_url=url, secret_key="x" * 32, instance_path=tmp_path)
    app = make_app(settings)
    client = app.test_client()
    assert client.get("/healthz").status_code == 200
    response = client.get("/readyz")
    assert (response.status_code, response.json) == (503, {"database": "away", "migrations": "unknown"})
    page = client.get("/")
    assert page.status_code == 503
    assert "cannot use its database right now" in page.text
    with app.app_context():
        db.session.remove()
