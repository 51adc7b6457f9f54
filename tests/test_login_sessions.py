"""Sessions: begun at login, known by their key alone, ended at once; and what the account's page shows of them."""

import re
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect
from sqlalchemy import event
from sqlalchemy.engine import Engine

from daybook import browser_names, login_sessions, sql
from daybook.extensions import db
from daybook.models import Account, LoginSession, utc_now
from tests.browser import check_page
from tests.conftest import Person, sign_in

MakeAccount = Callable[..., Person]
Login = Callable[[FlaskClient, Person], FlaskClient]

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"


def logged_in(client: FlaskClient) -> bool:
    return client.get("/account").status_code == 200


def begin(engine: Engine, person: Person, address: str = "192.0.2.7", browser: str = FIREFOX) -> str:
    with sql.writing(engine) as connection:
        return login_sessions.begin(connection, person.id, address, browser)


def rows(engine: Engine) -> list["sa.Row[tuple[object, ...]]"]:
    with engine.connect() as connection, sql.only_reading():
        return list(connection.execute(sa.select(LoginSession.__table__).order_by(LoginSession.id)))


def make_older(engine: Engine, **by: float) -> None:
    """All sessions were seen that much earlier."""
    with sql.writing(engine) as connection:
        for row in connection.execute(sa.select(LoginSession.id, LoginSession.last_seen_at)).all():
            earlier = row.last_seen_at - timedelta(**by)
            connection.execute(sa.update(LoginSession).where(LoginSession.id == row.id).values(last_seen_at=earlier))


# --- the sessions themselves -------------------------------------------------------------------------------------


def test_the_table_does_not_hold_the_key(app: Flask, engine: Engine, make_account: MakeAccount) -> None:
    ada = make_account()
    key = begin(engine, ada)
    assert len(key) >= 43
    assert key not in str(rows(engine))
    with app.app_context():
        found = login_sessions.find(key)
        assert found
        assert (found.account.username, found.session_id) == ("ada", rows(engine)[0].id)
        for wrong in (rows(engine)[0].key_hash, key[:-1], "", "1", "\udcff"):
            assert login_sessions.find(wrong) is None


def test_looking_up_who_asks_is_one_query_and_leaves_no_transaction_open(
    app: Flask, engine: Engine, make_account: MakeAccount
) -> None:
    key = begin(engine, make_account())
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *arguments: asked.append(arguments[2]))
    with app.app_context():
        found = login_sessions.find(key)
        assert not db.session().in_transaction()
        assert found
        assert (found.account.username, found.account.role, found.account.timezone) == ("ada", "admin", "UTC")
        assert not db.session().in_transaction()
    assert len([statement for statement in asked if "login_session" in statement]) == 1


def test_a_browser_is_kept_cut_and_without_what_cannot_be_seen(engine: Engine, make_account: MakeAccount) -> None:
    begin(engine, make_account(), "x" * 100, "Fire\x00fox\x1b[31m \u202e" + "y" * 300)
    row = rows(engine)[0]
    assert row.address == "x" * 64
    assert row.browser.startswith("Firefox[31m yyy")
    assert len(row.browser) == 200


def test_a_session_is_over_after_30_days_unused(app: Flask, engine: Engine, make_account: MakeAccount) -> None:
    ada = make_account()
    key = begin(engine, ada)
    with app.app_context():
        make_older(engine, days=29, hours=23)
        assert login_sessions.find(key)  # which is a use of it
        make_older(engine, days=29, hours=23)
        assert login_sessions.find(key)
        make_older(engine, days=30)
        assert login_sessions.find(key) is None
        assert login_sessions.sessions_of(ada.id) == []
    begin(engine, make_account("eve"))
    assert len(rows(engine)) == 1  # the next login, whoever's, clears it away


def test_when_it_was_seen_is_noted_once_a_minute(app: Flask, engine: Engine, make_account: MakeAccount) -> None:
    key = begin(engine, make_account())
    with app.app_context():
        make_older(engine, seconds=50)
        before = rows(engine)[0].last_seen_at
        assert login_sessions.find(key)
        assert rows(engine)[0].last_seen_at == before
        make_older(engine, seconds=11)
        with sql.only_reading():
            assert login_sessions.find(key)
        assert rows(engine)[0].last_seen_at > before


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_nobody_waits_for_a_writer_only_to_be_noted(
    app: Flask, client: FlaskClient, engine: Engine, make_account: MakeAccount, login: Login
) -> None:
    login(client, make_account())
    make_older(engine, minutes=5)
    before = rows(engine)[0].last_seen_at
    writer = sqlite3.connect(app.config["DAYBOOK"].instance_path / "daybook.sqlite3", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    began = utc_now()
    try:
        assert logged_in(client)
    finally:
        writer.close()
    assert utc_now() - began < timedelta(seconds=10)  # a writer is waited for half a minute
    assert rows(engine)[0].last_seen_at == before
    assert logged_in(client)
    assert rows(engine)[0].last_seen_at > before


def test_of_too_many_sessions_the_one_unused_for_longest_ends(
    app: Flask, engine: Engine, make_account: MakeAccount
) -> None:
    ada, eve = make_account(), make_account("eve")
    hers = begin(engine, eve)
    make_older(engine, days=2)
    first = begin(engine, ada)
    make_older(engine, days=1)
    keys = [begin(engine, ada) for _ in range(login_sessions.PER_ACCOUNT)]
    with app.app_context():
        assert login_sessions.find(first) is None
        assert login_sessions.find(hers)
        assert all(login_sessions.find(key) for key in keys)


def test_who_is_disabled_in_whatever_way_is_out(app: Flask, engine: Engine, make_account: MakeAccount) -> None:
    key = begin(engine, make_account())
    with app.app_context():
        for is_active in (False, True):
            with sql.writing(engine) as connection:
                connection.execute(sa.update(Account).values(is_active=is_active))
            assert (login_sessions.find(key) is not None) is is_active


def test_nobody_ends_the_session_of_another(app: Flask, engine: Engine, make_account: MakeAccount) -> None:
    ada, eve = make_account(), make_account("eve")
    key = begin(engine, ada)
    session_id = rows(engine)[0].id
    with sql.writing(engine) as connection:
        assert not login_sessions.end(connection, eve.id, session_id)
        assert login_sessions.end_all(connection, eve.id) == 0
    with app.app_context():
        assert login_sessions.find(key)
    with sql.writing(engine) as connection:
        assert login_sessions.end(connection, ada.id, session_id)
        assert not login_sessions.end(connection, ada.id, session_id)
    with app.app_context():
        assert login_sessions.find(key) is None


@pytest.mark.parametrize(
    ("user_agent", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 "
         "Safari/537.36", "Chrome on Windows"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 "
         "Safari/537.36 Edg/141.0.0.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
         "Safari/605.1.15", "Safari on macOS"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
         "Version/18.6 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
         "FxiOS/143.0 Mobile/15E148 Safari/605.1.15", "Firefox on iPhone"),
        ("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 "
         "Chrome/130.0.0.0 Mobile Safari/537.36", "Samsung Internet on Android"),
        ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 "
         "Safari/537.36", "Chrome on ChromeOS"),
        ("curl/8.5.0", "curl"),
        ("python-requests/2.32.3", "A Python program"),
        ("Mozilla/5.0 (Linux) something", "A browser on Linux"),
        ("<script>alert(1)</script>", "Unknown browser"),
        ("", "Unknown browser"),
    ],
)  # fmt: skip
def test_browsers_are_named_in_words(user_agent: str, words: str) -> None:
    assert browser_names.in_words(user_agent) == words


# --- on the pages ------------------------------------------------------------------------------------------------


def test_logging_out_ends_the_session_and_not_only_the_cookie(
    client: FlaskClient, engine: Engine, make_account: MakeAccount, login: Login
) -> None:
    login(client, make_account())
    cookie = client.get_cookie("session")
    assert cookie
    client.post("/logout")
    assert rows(engine) == []
    client.set_cookie("session", cookie.value)  # somebody had copied it
    assert not logged_in(client)


def test_logging_in_anew_ends_the_session_that_the_browser_had(
    client: FlaskClient, engine: Engine, make_account: MakeAccount, login: Login
) -> None:
    ada, eve = make_account(), make_account("eve")
    login(client, ada)
    login(client, eve)
    assert [row.account_id for row in rows(engine)] == [eve.id]


def test_the_account_page_lists_ones_own_sessions(
    app: Flask, client: FlaskClient, engine: Engine, make_account: MakeAccount, login: Login
) -> None:
    ada = make_account()
    begin(engine, make_account("eve"), "198.51.100.1", "curl/8")
    begin(engine, ada, "2001:db8::7", '<script>alert("x")</script>')
    client.environ_base["HTTP_USER_AGENT"] = FIREFOX
    login(client, ada)
    page = client.get("/account").text
    listed = page[page.index("Where you are signed in") : page.index("API tokens")]
    names = [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r'<th scope="row".*?</th>', listed, re.S)]
    assert names == ["Firefox on Linux this one", "Unknown browser"]
    assert "2001:db8::7" in listed
    assert "127.0.0.1" in listed
    assert "198.51.100.1" not in page
    assert "<script>alert" not in page


def test_signing_out_one_browser_or_all_others(
    app: Flask, client: FlaskClient, engine: Engine, make_account: MakeAccount, login: Login
) -> None:
    ada, eve = make_account(role="viewer"), make_account("eve", "viewer")
    hers = login(app.test_client(), eve)
    others = [login(app.test_client(), ada) for _ in range(3)]
    login(client, ada)
    theirs = [row.id for row in rows(engine) if row.account_id == ada.id]
    assert client.post(f"/account/sessions/{theirs[0]}/end").location == "/account"
    assert [logged_in(other) for other in others] == [False, True, True]
    assert client.post(f"/account/sessions/{theirs[0]}/end").status_code == 302  # gone already: what was wanted
    her_id = next(row.id for row in rows(engine) if row.account_id == eve.id)
    client.post(f"/account/sessions/{her_id}/end")
    assert logged_in(hers)
    client.post("/account/sessions/end-others")
    assert "2 other browsers are signed out." in client.get("/account").text
    assert not any(logged_in(other) for other in others)
    assert logged_in(hers)
    client.post("/account/sessions/end-others")
    assert "not signed in anywhere else" in client.get("/account").text
    assert client.post(f"/account/sessions/{theirs[3]}/end").location == "/login"
    assert not logged_in(client)


def test_signing_out_elsewhere_in_a_browser(
    app: Flask, new_page: Callable[..., Page], make_account: MakeAccount
) -> None:
    ada = make_account()
    here, there = new_page(), new_page(width=375, color_scheme="dark", java_script_enabled=False)
    for page in (here, there):
        sign_in(page, ada)
        page.goto("/account")
    expect(there.get_by_text("this one", exact=True)).to_have_count(1)
    here.reload()
    check_page(here)
    here.get_by_role("button", name="Sign out everywhere else").click()
    expect(here.get_by_role("status")).to_contain_text("1 other browser is signed out")
    there.reload()
    expect(there.get_by_role("heading", name="Log in")).to_be_visible()


# --- the account's time zone -------------------------------------------------------------------------------------


def test_pages_show_times_in_the_accounts_zone(
    app: Flask, client: FlaskClient, engine: Engine, make_account: MakeAccount, login: Login
) -> None:
    ada = make_account(role="viewer")
    begin(engine, ada)
    with app.app_context():
        db.session.execute(sa.update(LoginSession).values(created_at=datetime(2026, 11, 20, 12, 34, 56, tzinfo=UTC)))
        db.session.commit()
    login(client, ada)
    moment = '<time datetime="2026-11-20T12:34:56Z">2026-11-20 {}</time>'
    assert moment.format("12:34 UTC") in client.get("/account").text
    for typed, stored, shown in (
        ("Europe/Oslo", "Europe/Oslo", "13:34 CET"),
        (" new york ", "America/New_York", "07:34 EST"),
        ("America/Sao_Paulo", "America/Sao_Paulo", "09:34 UTC-3"),
        ("asia/kathmandu", "Asia/Kathmandu", "18:19 UTC+5:45"),
        ("UTC", "UTC", "12:34 UTC"),
    ):
        assert client.post("/account/timezone", data={"timezone": typed}).location == "/account"
        page = client.get("/account").text
        assert moment.format(shown) in page
        assert f'value="{stored}"' in page


def test_what_is_no_zone_is_said_beside_the_field_and_kept(
    client: FlaskClient, make_account: MakeAccount, login: Login
) -> None:
    login(client, make_account(role="viewer"))
    for wrong in ("Mars/<b>Olympus</b>", "", "x" * 5000, "../../../etc/passwd"):
        response = client.post("/account/timezone", data={"timezone": wrong})
        assert response.status_code == 422
        assert 'id="timezone-wrong"' in response.text
        assert "write one such as Europe/Dublin" in response.text
        assert "<b>" not in response.text
    response = client.post("/account/timezone", data={"timezone": "Mars/Olympus"})
    assert 'value="Mars/Olympus"' in response.text


@pytest.mark.parametrize("at", [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)])
def test_times_at_the_ends_of_the_calendar_are_shown(
    app: Flask, client: FlaskClient, engine: Engine, make_account: MakeAccount, login: Login, at: datetime
) -> None:
    from blueprints.template_filters import local_time
    from daybook.times import zone_named

    for name in ("America/New_York", "Asia/Tokyo", "UTC"):
        assert re.fullmatch(r"(0001|9999)-\d\d-\d\d \d\d:\d\d:\d\d [A-Z]{3}", local_time(at, True, zone_named(name)))


def test_a_zone_that_is_known_no_more_is_shown_as_utc(
    app: Flask, client: FlaskClient, make_account: MakeAccount, login: Login
) -> None:
    login(client, make_account())
    with app.app_context():
        db.session.execute(sa.update(Account).values(timezone="Europe/Atlantis"))
        db.session.commit()
    assert re.search(r"<time [^>]+>[\d: -]+ UTC</time>", client.get("/account").text)


def test_another_account_keeps_its_zone(
    app: Flask, client: FlaskClient, make_account: MakeAccount, login: Login
) -> None:
    login(client, make_account())
    client.post("/account/timezone", data={"timezone": "Asia/Tokyo"})
    assert " JST</time>" in client.get("/account").text
    other = login(app.test_client(), make_account("eve"))
    assert " UTC</time>" in other.get("/account").text


def test_numbers_that_no_session_or_token_has_are_not_there(
    client: FlaskClient, make_account: MakeAccount, login: Callable[..., FlaskClient]
) -> None:
    login(client, make_account())
    for path in (f"sessions/{2**70}/end", f"tokens/{2**70}/revoke"):
        assert client.post(f"/account/{path}").status_code == 404, path
