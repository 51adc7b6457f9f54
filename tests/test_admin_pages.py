"""The admin area in a real browser: accessible, back and forward, and without JavaScript."""

import re
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page, expect
from sqlalchemy.engine import Engine

from daybook.models import AuditEntry
from tests.admin_book import fill, start_with_bot, titles
from tests.browser import check_accessible, check_narrow
from tests.conftest import LiveServer, PageProblems, Person, sign_in
from tests.telegram_standin import TelegramStandin

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def live_server(start_server: Callable[..., LiveServer], telegram: TelegramStandin) -> LiveServer:
    """A server with a bot."""
    return start_with_bot(start_server, telegram)


@pytest.fixture
def ada(engine: Engine, make_account: Callable[..., Person]) -> Person:
    """An admin of a book with 130 bot users and something in every table."""
    fill(engine)
    return make_account()


PAGES = [
    "/admin/",
    "/admin/users/",
    "/admin/users/?status=pending&q=an",
    "/admin/users/?q=nobody+at+all",
    "/admin/messages/?sender=1000",
    "/admin/updates/",
    "/admin/sensors/",
    "/admin/uploads/",
    "/admin/tokens/",
    "/admin/audit/",
    "/admin/users/add",
    "/admin/file-types/1",
    "/admin/users/1000",
    "/admin/users/1000/history",
    "/admin/users/1000/delete",
    "/admin/messages/1",
    "/admin/updates/8",
    "/admin/sources/1/delete",
    "/admin/accounts/1",
    "/admin/jobs/1",
    "/admin/jobs/2",
    "/admin/webhook",
    "/admin/broadcast",
]


def check_everywhere(page: Page, is_even: bool = True) -> None:
    """Nothing is found on a desk by day and on a telephone by night; or the other way round, on every second page."""
    for width, scheme in ((1280, "light"), (375, "dark")) if is_even else ((1280, "dark"), (375, "light")):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.wait_for_function("(theme) => document.documentElement.dataset.bsTheme === theme", arg=scheme)
        page.wait_for_function("() => document.getAnimations().length === 0")
        check_accessible(page)
        check_narrow(page, width)
    page.set_viewport_size({"width": 1280, "height": 800})


def test_every_page_is_accessible_wide_and_narrow_by_day_and_night(
    new_page: Callable[..., Page], ada: Person, problems: PageProblems
) -> None:
    page = new_page()
    sign_in(page, ada)
    for place, address in enumerate(PAGES):
        page.goto(address)
        if address == "/admin/":
            page.get_by_text("Updates that wait at Telegram").wait_for()
        assert page.locator("h1").count() == 1, address
        assert page.locator(".btn-primary").count() <= 1, address
        check_everywhere(page, place % 2 == 0)
    problems.expect_status(422, 409)
    page.goto("/admin/users/add")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("may not be empty").first).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("Nothing is saved yet: correct what is marked below.")
    expect(page.get_by_label("Telegram id")).to_be_focused()
    check_everywhere(page)
    page.get_by_role("link", name="Last name:").click()
    expect(page.get_by_label("Last name")).to_be_focused()
    page.goto("/admin/accounts/1")
    page.locator("#new-password").fill("short")
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing is saved yet")
    expect(page.locator("#new-password")).to_be_focused()
    check_everywhere(page)
    page.goto("/admin/broadcast")
    page.get_by_label("Text").fill("The river rises")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("button", name="Send to")).to_be_visible()
    check_everywhere(page)
    page.goto("/admin/users/?status=blocked")
    page.get_by_label("Which rows").select_option("all")
    page.get_by_label("Action", exact=True).select_option("delete")
    page.get_by_role("button", name="Go").click()
    expect(page.get_by_role("button", name="Delete for good")).to_be_visible()
    check_everywhere(page)
    page.goto("/admin/users/")
    page.locator('input[name="key"]').first.check()
    expect(page.get_by_role("button", name="Go")).to_be_in_viewport()  # without scrolling past 50 rows
    check_everywhere(page)


def test_back_and_forward_restore_lists_and_their_addresses(page: Page, ada: Person) -> None:
    sign_in(page, ada)
    page.goto("/admin/users/")
    first = titles(page)
    page.get_by_label("Search", exact=True).fill("rossi")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**q=rossi*")
    found = titles(page)
    assert all("Rossi" in name for name in found)
    page.locator("#filter-status").click()
    page.locator("#choice-status-blocked").click()
    page.wait_for_url("**status=blocked*")
    blocked, address = titles(page), page.url
    assert 0 < len(blocked) < len(found)
    page.reload()  # the address says all of it
    assert titles(page) == blocked
    page.locator("#rows-form tbody th a").first.click()
    expect(page.get_by_role("heading", name="Conversation")).to_be_visible()
    page.get_by_label("First name").fill("Clara")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url(address)  # saving leads back to the list that one came from
    page.go_back()
    expect(page.get_by_role("heading", name="Conversation")).to_be_visible()
    page.go_back()
    for expected, box in ((blocked, "rossi"), (found, "rossi"), (first, "")):
        expect(page.locator(".site-header")).to_be_visible()  # the whole page, and not the part alone
        expect(page.get_by_label("Search", exact=True)).to_have_value(box)
        expect(page.locator("#rows-form tbody th")).to_have_count(len(expected))
        if expected != first:
            page.evaluate("() => history.back()")
    assert page.url.endswith("/admin/users/")
    page.evaluate("() => history.forward()")
    expect(page.get_by_label("Search", exact=True)).to_have_value("rossi")
    assert len(titles(page)) == len(found)
    # What htmx asks for at the address of a page is not taken for that page.
    for address, words in (("/admin/webhook", "Webhook"), ("/admin/jobs/1", "Allow: bot users")):
        page.goto(address)
        page.evaluate("(path) => htmx.ajax('GET', path, {target: '#admin-news'})", address)
        page.goto("/admin/")
        page.go_back()
        expect(page.get_by_role("heading", level=1, name=words)).to_be_visible()


def test_a_telephone_sorts_and_ticks_all(page: Page, ada: Person) -> None:
    sign_in(page, ada)
    page.set_viewport_size({"width": 375, "height": 800})
    page.goto("/admin/users/?status=allowed")
    page.get_by_label("Sort by").select_option("Id, largest first")
    page.get_by_role("button", name="Sort").click()
    page.wait_for_url("**status=allowed&sort=-user_id")
    assert titles(page)[0].endswith(" 129")
    page.get_by_label("Tick all on this page").check()
    assert page.locator('input[name="key"]:not(:checked)').count() == 0
    page.locator('input[name="key"]').first.uncheck()
    expect(page.get_by_label("Tick all on this page")).to_be_checked(indeterminate=True)
    expect(page.get_by_role("navigation", name="Admin area").get_by_role("link", name="Sensors")).to_be_hidden()
    page.get_by_text("Admin: Bot users").click()
    expect(page.get_by_role("navigation", name="Admin area").get_by_role("link", name="Sensors")).to_be_visible()
    check_accessible(page)


def test_the_audit_reads_in_words(new_page: Callable[..., Page], ada: Person, engine: Engine) -> None:
    entry = {"action": "send again", "object_type": "message", "origin": "page", "actor": "ada"}
    changes = {"status": ["gone", "queued"], "error": ["blocked " * 30, None]}
    with engine.begin() as connection:
        for which, action in (("1", "send again"), ("2", "delete")):
            values = entry | {"action": action, "object_id": which, "object_repr": f"message {which}"}
            connection.execute(sa.insert(AuditEntry).values(changes=changes, **values))
    page = new_page()
    sign_in(page, ada)
    page.goto("/admin/audit/?type=message")
    page.get_by_role("link", name="1", exact=True).click()
    page.wait_for_url("**/admin/messages/1")
    page.go_back()
    assert page.get_by_role("link", name="2", exact=True).count() == 0  # it is gone
    assert re.search(r":\d\d:\d\d", page.locator("tbody th").first.inner_text())
    page.get_by_role("row").filter(has_text="sent again").locator("th a").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("sent again message 1")
    expect(page.locator(".details .change").first).to_have_text("status: gone → queued")
    expect(page.locator(".details .change").last).to_have_text(f"error: {('blocked ' * 30).strip()} → empty")
    assert page.locator(".details .json").count() == 0
    expect(page.locator(".details").get_by_role("link", name="1", exact=True)).to_be_visible()
    check_accessible(page)


def test_all_of_it_works_without_javascript(
    new_page: Callable[..., Page], ada: Person, telegram: TelegramStandin, problems: PageProblems
) -> None:
    problems.expect_status(422)
    plain, page = new_page(java_script_enabled=False), new_page()
    for one in (plain, page):
        sign_in(one, ada)
        one.goto("/admin/users/")
        one.get_by_label("Search", exact=True).fill("meyer")
        one.get_by_role("button", name="Search").click()
        one.wait_for_url("**q=meyer*")
        one.locator("#filter-status").click()
        one.locator("#choice-status-allowed").click()
        one.wait_for_url("**status=allowed*")
        one.locator("#sort-user_id").click()
        one.wait_for_url("**sort=user_id*")
    assert plain.url == page.url
    assert titles(plain) == titles(page) != []
    assert plain.locator("[data-tick-all]:visible").count() == 0
    plain.set_viewport_size({"width": 375, "height": 800})
    plain.goto("/admin/users/?status=allowed")
    plain.get_by_label("Sort by").select_option("Id, largest first")
    plain.get_by_role("button", name="Sort").click()
    plain.wait_for_url("**status=allowed&sort=-user_id")
    assert plain.locator("[data-tick-all]:visible").count() == 0
    plain.get_by_text("Admin: Bot users").click()
    plain.get_by_role("navigation", name="Admin area").get_by_role("link", name="Sensors").click()
    expect(plain.get_by_role("heading", level=1, name="Sensors")).to_be_visible()
    plain.set_viewport_size({"width": 1280, "height": 800})
    plain.goto("/admin/users/")
    plain.get_by_role("link", name="Next").click()
    plain.wait_for_url("**after=*")
    plain.get_by_role("link", name="Next").click()
    expect(plain.locator("#rows-form tbody th")).to_have_count(30)
    name = titles(plain)[0]
    plain.get_by_label(f"Tick {name}", exact=True).check()
    plain.get_by_label("Action", exact=True).select_option("block")
    plain.get_by_role("button", name="Go").click()
    expect(plain.locator(".alert")).to_contain_text(" blocked.")
    plain.goto("/admin/users/1000")
    plain.get_by_role("button", name="Send", exact=True).click()
    expect(plain.get_by_role("link", name="Write something first.")).to_be_visible()
    expect(plain.get_by_label("Answer as the bot")).to_be_focused()
    plain.get_by_label("Answer as the bot").fill("hello")
    plain.get_by_role("button", name="Send", exact=True).click()
    expect(plain.locator(".bubble").last).to_contain_text("hello")
    telegram.wait_for(lambda: "hello" in telegram.texts(1000))
    plain.goto("/admin/")
    plain.get_by_role("link", name="Ask Telegram about the webhook").click()
    expect(plain.get_by_text("https://book.example/telegram/webhook")).to_be_visible()
