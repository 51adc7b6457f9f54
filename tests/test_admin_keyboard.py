"""The admin area by the keyboard alone, in a real browser; and where the focus is after a swap."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy.engine import Engine

from daybook.models import utc_now
from tests.admin_book import fill, focused, start_with_bot, tab_to, titles
from tests.browser import check_page
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


def test_the_skip_link_leads_past_the_menu(page: Page, ada: Person) -> None:
    sign_in(page, ada)
    page.goto("/admin/users/")
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    page.keyboard.press("Enter")
    assert focused(page) == "admin-page"
    tab_to(page, "Add a bot user", most=1)


def test_the_keyboard_goes_on_from_what_was_done(page: Page, ada: Person) -> None:
    sign_in(page, ada)
    page.goto("/admin/")
    name = page.locator(".waiting a[href^='/admin/users/']").first.inner_text()
    tab_to(page, f"Allow {name}")
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_contain_text(f"{name} is allowed.")
    expect(page.locator("#said")).to_be_focused()
    expect(page.locator(".site-header")).to_be_in_viewport()
    tab_to(page, name, most=1)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()


def test_a_list_by_the_keyboard_alone(page: Page, ada: Person) -> None:
    sign_in(page, ada)
    page.goto("/admin/users/")
    tab_to(page, "Search")
    page.keyboard.type("meyer")
    page.keyboard.press("Enter")
    page.wait_for_url("**/users/?q=meyer*")
    expect(page.locator("#found")).to_contain_text("26 matches")
    assert focused(page) == "q"
    page.keyboard.type(" 1")  # the caret is behind what was typed
    expect(page.get_by_label("Search", exact=True)).to_have_value("meyer 1")
    page.keyboard.press("Enter")
    page.wait_for_url("**/users/?q=meyer%201*")
    expect(page.locator("#admin-news")).to_contain_text("match")
    tab_to(page, "Status")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(page.locator(".filter[open]")).to_have_count(0)
    expect(page.locator("#filter-status")).to_be_focused()
    page.keyboard.press("Enter")
    tab_to(page, "Pending", most=3)
    page.keyboard.press("Enter")
    page.wait_for_url("**status=pending*")
    expect(page.locator("#filter-status")).to_be_focused()
    expect(page.locator("#filter-status")).to_have_text("Status: Pending")
    tab_to(page, "Id")
    page.keyboard.press("Enter")
    page.wait_for_url("**sort=user_id*")
    expect(page.locator("th[aria-sort] #sort-user_id")).to_be_focused()
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("Id ↑")
    name = titles(page)[0]
    tab_to(page, f"Tick {name}")
    page.keyboard.press("Space")
    expect(page.locator("[data-ticked]")).to_contain_text("1 of")
    tab_to(page, "Action")
    page.keyboard.type("Allow")
    tab_to(page, "Go", most=2)
    page.keyboard.press("Enter")
    expect(page.locator(".alert")).to_contain_text("1 allowed.")
    assert "status=pending" in page.url  # the list is as it was
    assert name not in titles(page)
    tab_to(page, "Show all", most=60)
    page.keyboard.press("Enter")
    expect(page.locator("#found")).to_contain_text("1–50 of 130")
    assert page.url.endswith("/users/")
    tab_to(page, "Next")
    page.keyboard.press("Enter")
    page.wait_for_url("**after=*")
    expect(page.get_by_role("link", name="Previous")).to_be_visible()
    expect(page.locator("#found")).to_be_focused()  # and not somewhere at the bottom
    expect(page.locator("#found")).to_be_in_viewport()
    tab_to(page, "Tick every row of this page")
    page.keyboard.press("Space")
    expect(page.locator("[data-ticked]")).to_have_text("50 of 50 ticked")
    tab_to(page, "Action")
    page.keyboard.type("Delete")
    tab_to(page, "Go", most=2)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Delete for good")).to_be_visible()
    tab_to(page, "Delete for good")
    page.keyboard.press("Enter")
    expect(page.locator(".alert")).to_contain_text("50 bot users deleted.")


def test_a_form_and_a_conversation_by_the_keyboard_alone(
    page: Page, ada: Person, telegram: TelegramStandin, problems: PageProblems
) -> None:
    problems.expect_status(422)
    sign_in(page, ada)
    page.goto("/admin/users/")
    tab_to(page, "Add a bot user")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Telegram id")).to_be_visible()
    tab_to(page, "Telegram id")
    page.keyboard.type("12x")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Telegram id")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Telegram id")).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type("555")
    for text in ("Fay", "Lind"):
        page.keyboard.press("Tab")
        page.keyboard.type(text)
    page.keyboard.press("Enter")
    expect(page.locator(".alert")).to_contain_text("“Fay Lind” is added")
    page.goto("/admin/users/1000")
    tab_to(page, "Messages")  # of the menu
    tab_to(page, "Messages")  # the conversation, which can be scrolled
    assert focused(page) == "talk-window"
    tab_to(page, "Answer as the bot")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Write something first.")).to_be_visible()
    expect(page.get_by_label("Answer as the bot")).to_be_focused()
    page.keyboard.type("Is the mast up again?")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".bubble").last).to_contain_text("Is the mast up again?")
    expect(page.get_by_label("Answer as the bot")).to_be_focused()
    page.keyboard.type("And")  # written on while the delivery is looked at
    telegram.wait_for(lambda: "Is the mast up again?" in telegram.texts(1000))
    expect(page.locator(".bubble").last).to_contain_text("ada, as the bot")
    expect(page.locator("#admin-news")).to_have_text("Your last message: sent")
    expect(page.get_by_label("Answer as the bot")).to_have_value("And")
    expect(page.get_by_label("Answer as the bot")).to_be_focused()
    tab_to(page, "Block", back=True)
    page.keyboard.press("Enter")
    expect(page.locator(".alert")).to_contain_text("is blocked.")


def test_ticks_between_two_clicks(page: Page, ada: Person) -> None:
    sign_in(page, ada)
    page.goto("/admin/users/")
    boxes = page.locator('input[name="key"]')
    boxes.nth(2).click()
    boxes.nth(6).click(modifiers=["Shift"])
    expect(page.locator("[data-ticked]")).to_have_text("5 of 50 ticked")


def test_one_filter_is_open_at_a_time_and_stays_so_while_there_is_more_to_choose(page: Page, ada: Person) -> None:
    sign_in(page, ada)
    page.goto("/admin/users/")
    page.locator("#filter-status").click()
    page.locator("#filter-created_at").click()
    expect(page.locator(".filter[open]")).to_have_count(1)
    year = str(utc_now().year)
    page.locator(f"#choice-created_at-{year}").click()
    page.wait_for_url(f"**created_at={year}")
    expect(page.locator("#filter-created_at")).to_be_focused()
    month = page.locator(".filter[open] a[id^=choice-created_at-]").last
    expect(month).to_be_visible()  # the months of the year
    check_page(page)
    month.click()
    page.wait_for_url(f"**created_at={year}-*")
    page.locator(".filter[open] a[id^=choice-created_at-]").last.click()
    page.wait_for_url("**created_at=*-*-*")
    expect(page.locator(".filter[open]")).to_have_count(0)  # a day is the end of it
    page.locator("#filter-status").click()
    page.locator(".page-title").click()
    expect(page.locator(".filter[open]")).to_have_count(0)
