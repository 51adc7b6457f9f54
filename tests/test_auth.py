"""Setup, login, logout and one's own account, by HTTP and in a browser."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect

from daybook import api_tokens, first_admin, logins
from daybook.extensions import db
from daybook.models import Account, ApiToken, utc_now
from tests.browser import check_page
from tests.conftest import PASSWORD, LiveServer, PageProblems, Person, sign_in

MakeAccount = Callable[..., Person]
Login = Callable[[FlaskClient, Person], FlaskClient]
NEW_PASSWORD = "another walk by the sea"


def logged_in(client: FlaskClient) -> bool:
    return client.get("/account").status_code == 200


def setup_path(app: Flask) -> str:
    return f"/setup?token={first_admin.setup_token(app.config['SECRET_KEY'])}"


# --- setup -------------------------------------------------------------------------------------------------------

ADMIN = {"username": "Ada", "password": PASSWORD, "repeated": PASSWORD}


def test_the_setup_link_makes_an_admin_and_logs_in_once(app: Flask, client: FlaskClient) -> None:
    link = setup_path(app)
    assert client.get(link).status_code == 200
    response = client.post(link, data=ADMIN)
    assert (response.status_code, response.location) == (302, "/")
    assert logged_in(client)
    assert "admin" in client.get("/account").text
    for again in (client.get(link), client.post(link, data=ADMIN | {"username": "eve"})):
        assert again.status_code == 403
        assert "set up already" in again.text
        assert 'href="/login"' not in again.text  # somebody is logged in
    assert 'href="/login"' in app.test_client().get(link).text
    with app.app_context():
        assert db.session.scalars(sa.select(Account.username)).all() == ["ada"]


@pytest.mark.parametrize("token", ["", "guess", "ImZpcnN0IGFkbWluIg.aaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbb"])
def test_a_wrong_setup_link_says_how_to_get_a_right_one(app: Flask, client: FlaskClient, token: str) -> None:
    for response in (client.get(f"/setup?token={token}"), client.post(f"/setup?token={token}", data=ADMIN)):
        assert response.status_code == 403
        assert "flask setup-link" in response.text
    with app.app_context():
        assert first_admin.no_account_yet()


def test_two_setups_at_once_make_one_admin(app: Flask) -> None:
    link = setup_path(app)

    def post(number: int) -> int:
        return app.test_client().post(link, data=ADMIN | {"username": f"admin{number}"}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(post, range(8))) == [302] + [403] * 7


def test_setup_says_everything_that_is_wrong_beside_its_field(app: Flask, client: FlaskClient) -> None:
    link = setup_path(app)
    response = client.post(link, data={"username": "  ", "password": "12345", "repeated": "12345"})
    assert response.status_code == 422
    for sentence in ("Give a name.", "at least 8", "only digits", "most common"):
        assert sentence in response.text
    assert 'aria-describedby="password-wrong password-hint"' in response.text
    response = client.post(link, data=ADMIN | {"repeated": "something else"})
    assert response.status_code == 422
    assert "not the same" in response.text
    assert 'value="Ada"' in response.text
    assert PASSWORD not in response.text


def test_setting_up_in_a_browser(page: Page, app: Flask) -> None:
    page.goto(setup_path(app))
    check_page(page)
    page.get_by_label("Name").fill("Ada")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password again").fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_role("link", name="ada")).to_be_visible()


# --- login and logout --------------------------------------------------------------------------------------------


def test_logging_in_and_out(client: FlaskClient, make_account: MakeAccount, login: Login) -> None:
    ada = make_account("ada")
    assert not logged_in(client)
    login(client, ada)
    assert logged_in(client)
    assert client.get("/login").location == "/"
    assert client.get("/logout").status_code == 405
    assert client.post("/logout").location == "/login"
    assert not logged_in(client)


@pytest.mark.parametrize(
    ("username", "password"), [("ada", "wrong"), ("nobody", PASSWORD), ("", ""), ("a\x00", "\x00"), ("x" * 5000, "y")]
)
def test_a_wrong_login_tells_not_what_was_wrong(
    client: FlaskClient, make_account: MakeAccount, username: str, password: str
) -> None:
    make_account("ada")
    response = client.post("/login", data={"username": username, "password": password})
    assert response.status_code == 422
    assert "No active account has this name and password" in response.text
    assert not logged_in(client)


def test_what_was_typed_is_kept_but_for_the_password(client: FlaskClient, make_account: MakeAccount) -> None:
    make_account("ada")
    page = client.post("/login", data={"username": "<Ada>", "password": "not my password"}).text
    assert 'value="&lt;Ada&gt;"' in page
    assert "not my password" not in page


def test_login_goes_on_to_where_one_wanted(client: FlaskClient, make_account: MakeAccount) -> None:
    ada = make_account("ada")
    asked = client.get("/account?from=2026-11-01&to=2026-11-20")
    assert asked.status_code == 302
    response = client.post(asked.location, data={"username": ada.username, "password": ada.password})
    assert response.location == "/account?from=2026-11-01&to=2026-11-20"


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "javascript:1",
    ],
)
def test_login_sends_nobody_elsewhere(client: FlaskClient, make_account: MakeAccount, target: str) -> None:
    ada = make_account("ada")
    form = {"username": ada.username, "password": ada.password}
    assert client.post("/login", query_string={"next": target}, data=form).location == "/"


def test_a_disabled_account_is_out_at_its_next_request(
    app: Flask, client: FlaskClient, make_account: MakeAccount, login: Login
) -> None:
    ada = make_account("ada")
    login(client, ada)
    with app.app_context():
        db.session.get_one(Account, ada.id).is_active = False
        db.session.commit()
    assert not logged_in(client)


def test_a_cookie_of_an_account_that_is_gone_is_nobodys(
    app: Flask, client: FlaskClient, make_account: MakeAccount, login: Login
) -> None:
    ada = make_account("ada")
    login(client, ada)
    with app.app_context():
        db.session.delete(db.session.get_one(Account, ada.id))
        db.session.commit()
    assert not logged_in(client)
    assert client.get("/").status_code == 200


def test_the_session_cookie_is_for_http_and_this_site_alone(client: FlaskClient, make_account: MakeAccount) -> None:
    ada = make_account("ada")
    response = client.post("/login", data={"username": ada.username, "password": ada.password})
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_without_an_account_the_login_page_says_where_to_begin(client: FlaskClient) -> None:
    assert "flask setup-link" in client.get("/login").text


def test_logging_in_in_a_browser(
    new_page: Callable[..., Page], problems: PageProblems, make_account: MakeAccount
) -> None:
    problems.expect_status(422)
    ada = make_account("ada")
    page = new_page(color_scheme="dark")
    page.goto("/account")
    check_page(page)
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("No active account")
    expect(page.get_by_label("Name")).to_have_value("ada")
    check_page(page)
    page.get_by_label("Password").fill(ada.password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


# --- one's own account -------------------------------------------------------------------------------------------


def change(client: FlaskClient, old: str, new: str, repeated: str | None = None) -> "tuple[int, str]":
    form = {"old_password": old, "new_password": new, "repeated": new if repeated is None else repeated}
    response = client.post("/account/password", data=form)
    return response.status_code, response.text


def test_changing_the_password_asks_for_the_old_one(
    app: Flask, client: FlaskClient, make_account: MakeAccount, login: Login
) -> None:
    login(client, make_account("ada", "viewer"))
    for old, new, repeated, sentence in (
        ("wrong", NEW_PASSWORD, NEW_PASSWORD, "not your current password"),
        (PASSWORD, "ada", "ada", "at least 8"),
        (PASSWORD, NEW_PASSWORD, "something else", "not the same"),
        ("wrong", NEW_PASSWORD, "something else", "not the same"),
        ("wrong", NEW_PASSWORD, "something else", "not your current password"),
    ):
        status, page = change(client, old, new, repeated)
        assert status == 422
        assert sentence in page
    assert change(client, PASSWORD, NEW_PASSWORD)[0] == 302
    with app.app_context():
        assert logins.log_in("ada", NEW_PASSWORD)


def test_a_new_password_ends_the_other_sessions(
    app: Flask, client: FlaskClient, make_account: MakeAccount, login: Login
) -> None:
    ada = make_account("ada", "viewer")
    elsewhere = login(app.test_client(), ada)
    login(client, ada)
    change(client, PASSWORD, NEW_PASSWORD)
    assert logged_in(client)
    assert not logged_in(elsewhere)


def make_token(client: FlaskClient, **form: str) -> str:
    response = client.post("/account/tokens", data={"name": "mast 3", "days": ""} | form)
    assert response.status_code == 201
    assert response.headers["Cache-Control"] == "no-store"
    found = re.search(r'value="(dbk_[^"]+)"', response.text)
    assert found
    return found[1]


def test_a_token_is_shown_once_and_works_until_revoked(
    app: Flask, client: FlaskClient, make_account: MakeAccount, login: Login
) -> None:
    login(client, make_account("vera", "viewer"))
    token = make_token(client)
    assert token not in client.get("/account").text
    with app.app_context():
        found = api_tokens.find_token(token)
        assert found
        assert found.expires_at is None
        token_id = found.id
    assert client.post(f"/account/tokens/{token_id}/revoke").status_code == 302
    with app.app_context():
        assert api_tokens.find_token(token) is None


def test_a_token_can_be_made_to_end(app: Flask, client: FlaskClient, make_account: MakeAccount, login: Login) -> None:
    login(client, make_account())
    token = make_token(client, days="30")
    with app.app_context():
        found = api_tokens.find_token(token)
        assert found
        assert found.expires_at
        assert timedelta(days=29) < found.expires_at - utc_now() <= timedelta(days=30)
    for wrong in ({"name": ""}, {"name": "x" * 65}, {"days": "7"}, {"days": "-1"}):
        assert client.post("/account/tokens", data={"name": "x", "days": ""} | wrong).status_code == 422


def test_nobody_revokes_the_token_of_another(
    app: Flask, client: FlaskClient, make_account: MakeAccount, login: Login, token_for: Callable[[Person], str]
) -> None:
    token = token_for(make_account("ada"))
    login(client, make_account("eve", "admin"))
    with app.app_context():
        token_id = db.session.scalars(sa.select(ApiToken.id)).one()
    client.post(f"/account/tokens/{token_id}/revoke")
    with app.app_context():
        assert api_tokens.find_token(token)
    assert "test" not in re.findall(r'<th scope="row"[^>]*>([^<]+)', client.get("/account").text)


def test_the_account_page_in_a_browser(
    new_page: Callable[..., Page], problems: PageProblems, make_account: MakeAccount
) -> None:
    problems.expect_status(422)
    page = new_page()
    sign_in(page, make_account("somebody with quite a long name who likes to write it out", "editor"))
    page.goto("/account")
    check_page(page)
    page.get_by_label("Name of the new token").fill("mast 3 " + "x" * 50)
    page.get_by_role("button", name="Make a token").click()
    expect(page.get_by_label("Your new token")).to_have_value(re.compile("^dbk_"))
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name=re.compile("Copied|Ctrl"))).to_be_visible()
    check_page(page)
    page.get_by_label("Current password").fill("wrong")
    page.get_by_label("New password", exact=True).fill("12345")
    page.get_by_label("New password again").fill("12345")
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_label("Current password")).to_have_attribute("aria-invalid", "true")
    check_page(page)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("() => document.documentElement.dataset.bsTheme === 'dark'")
    check_page(page)


def test_everything_works_without_javascript(
    new_page: Callable[..., Page], live_server: LiveServer, make_account: MakeAccount
) -> None:
    page = new_page(java_script_enabled=False)
    sign_in(page, make_account("ada"))
    page.get_by_role("link", name="ada").click()
    page.get_by_label("Name of the new token").fill("mast 3")
    page.get_by_role("button", name="Make a token").click()
    expect(page.get_by_label("Your new token")).to_have_value(re.compile("^dbk_"))
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("status")).to_contain_text("revoked")
