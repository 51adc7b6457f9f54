"""Who guesses at somebody's name does not keep them out of the browsers in which they have logged in before."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from daybook import known_browsers
from tests.conftest import Person, csrf_token

MakeAccount = Callable[..., Person]


def log_in(client: FlaskClient, username: str, password: str, address: str) -> int:
    form = {"username": username, "password": password, "csrf_token": csrf_token(client)}
    return client.post("/login", data=form, environ_overrides={"REMOTE_ADDR": address}).status_code


@pytest.fixture
def ada(make_account: MakeAccount) -> Person:
    return make_account("ada")


def besiege(app: Flask) -> None:
    """A stranger guesses until the name has to wait."""
    stranger = app.test_client()
    for _ in range(8):
        status = log_in(stranger, "ada", "wrong", "192.0.2.66")
    assert status == 429


def test_the_owner_comes_in_while_a_stranger_guesses(app: Flask, ada: Person) -> None:
    mine = app.test_client()
    assert log_in(mine, "ada", ada.password, "192.0.2.1") == 302
    mine.post("/logout", data={"csrf_token": csrf_token(mine)})
    besiege(app)
    assert log_in(app.test_client(), "ada", ada.password, "192.0.2.2") == 429  # a browser that nobody knows
    assert log_in(mine, " ADA ", ada.password, "192.0.2.1") == 302


def test_in_a_known_browser_too_guessing_has_to_wait(app: Flask, ada: Person) -> None:
    mine = app.test_client()
    assert log_in(mine, "ada", ada.password, "192.0.2.1") == 302
    mine.post("/logout", data={"csrf_token": csrf_token(mine)})
    assert [log_in(mine, "ada", "wrong", "192.0.2.1") for _ in range(6)] == [422] * 5 + [429]
    page = mine.post("/login", data={"username": "ada", "password": ada.password, "csrf_token": csrf_token(mine)}).text
    assert "Too many wrong passwords in this browser." in page
    assert log_in(app.test_client(), "ada", ada.password, "192.0.2.2") == 302  # elsewhere nobody has guessed


def test_what_one_account_leaves_in_a_browser_opens_no_way_to_another(
    app: Flask, ada: Person, make_account: MakeAccount
) -> None:
    eve, client = make_account("eve", "viewer"), app.test_client()
    assert log_in(client, "eve", eve.password, "192.0.2.3") == 302
    besiege(app)
    assert log_in(client, "ada", ada.password, "192.0.2.3") == 429


@pytest.mark.parametrize("cookie", ["", "x", "WyJhZGEiLCJ4Il0.forged", '["ada","x"]', "é", "." * 600])
def test_a_cookie_that_daybook_has_not_signed_is_none(cookie: str) -> None:
    assert known_browsers.device("a secret key", cookie, "ada") == ""
    assert known_browsers.device("another key", known_browsers.mark("a secret key", "ada"), "ada") == ""
    assert len(known_browsers.device("a secret key", known_browsers.mark("a secret key", "ada"), "ada")) == 22
