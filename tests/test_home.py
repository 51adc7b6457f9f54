"""The first page and its greeting."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect
from sqlalchemy.engine import Engine

from daybook import counters
from daybook.models import Counter
from tests.browser import check_page
from tests.conftest import LiveServer, Person, sign_in


def test_it_says_what_daybook_is_and_links_on(
    client: FlaskClient, make_account: Callable[..., Person], login: Callable[..., FlaskClient]
) -> None:
    stranger = client.get("/").text
    assert "data loggers" in stranger
    assert 'href="/login"' in stranger
    assert 'href="/uploads"' not in stranger
    assert "flask setup-link" in stranger
    member = login(client, make_account("vera", "viewer")).get("/").text
    assert 'href="/uploads"' in member
    assert 'href="/sensors"' in member
    assert 'href="/login"' not in member
    assert "Nobody has an account yet" not in member


def test_greeting_without_javascript_leads_back_to_the_page(client: FlaskClient) -> None:
    assert "Hello World! (0×)" in client.get("/").text
    response = client.post("/greet")
    assert (response.status_code, response.location) == (303, "/")
    assert "Hello World! (1×)" in client.get("/").text


def test_htmx_gets_the_number_alone(client: FlaskClient) -> None:
    response = client.post("/greet", headers={"HX-Request": "true"})
    assert response.text.strip() == "Hello World! (1×)"


def test_two_hundred_clicks_at_once_count_two_hundred(app: Flask) -> None:
    def click(_: int) -> int:
        return app.test_client().post("/greet").status_code

    with ThreadPoolExecutor(40) as pool:
        assert set(pool.map(click, range(200))) == {303}
    with app.app_context():
        assert counters.value_of("greetings") == 200


def test_counters_do_not_share_their_value(app: Flask) -> None:
    with app.app_context():
        assert [counters.count("greetings"), counters.count("greetings"), counters.count("other")] == [1, 2, 1]
        assert counters.value_of("never clicked") == 0


def test_a_counter_that_is_full_stays(app: Flask, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.insert(Counter).values(name="greetings", value=2**63 - 2))
    with app.app_context():
        assert [counters.count("greetings"), counters.count("greetings")] == [2**63 - 1] * 2


def test_clicking_in_a_browser_loads_no_page(page: Page) -> None:
    page.goto("/")
    page.evaluate("() => { window.still = true; }")
    for number in (1, 2):
        page.get_by_role("button", name="Greet the world!").click()
        expect(page.get_by_text(f"Hello World! ({number}×)")).to_be_visible()
    assert page.evaluate("() => window.still") is True
    check_page(page)


def test_clicking_works_without_javascript(new_page: Callable[..., Page]) -> None:
    page = new_page(java_script_enabled=False)
    page.goto("/")
    page.get_by_role("button", name="Greet the world!").click()
    expect(page.get_by_text("Hello World! (1×)")).to_be_visible()


def test_the_first_tab_leads_past_the_navigation(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.activeElement.id") == "content"


def test_it_is_accessible_in_the_dark_and_when_logged_in(
    new_page: Callable[..., Page], live_server: LiveServer, make_account: Callable[..., Person]
) -> None:
    page = new_page(color_scheme="dark")
    sign_in(page, make_account())
    page.goto("/")
    assert page.evaluate("() => document.documentElement.dataset.bsTheme") == "dark"
    check_page(page)
    page.emulate_media(color_scheme="light")
    page.wait_for_function("() => document.documentElement.dataset.bsTheme === 'light'")
    check_page(page)
