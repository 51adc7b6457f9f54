"""Label, unit and kind of a sensor, changed on its page, and what follows from them."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect

from daybook import sensor_settings
from daybook.models import Sensor
from daybook.sensor_settings import BadSettings
from tests.browser import check_page
from tests.conftest import PageProblems, sign_in
from tests.telegram_updates import ANNA, GROUP, Book, Phone


@pytest.fixture
def book(app: Flask) -> Book:
    """A household that has written 5, 7 and 9 of its power meter and one amount."""
    book = Book(app)
    book.allow(ANNA)
    phone = Phone()
    for value in (5, 7, 9):
        book.take(phone.later(days=-1).message(f"power {value} kWh", ANNA, GROUP))
    book.take(phone.message("12.50 groceries", ANNA, GROUP))
    return book


@pytest.fixture
def power(book: Book) -> str:
    (row,) = book.ask(sa.select(Sensor.id).where(Sensor.name == "power"))
    return f"/sensors/{row.id}"


@pytest.fixture
def editor(client: FlaskClient, make_account: Any, login: Any) -> FlaskClient:
    signed_in: FlaskClient = login(client, make_account("ed", "editor"))
    return signed_in


def save(client: FlaskClient, path: str, label: str = "", unit: str = "kWh", kind: str = "gauge") -> Any:
    return client.post(path, data={"label": label, "unit": unit, "kind": kind})


def test_a_new_kind_is_that_of_page_chart_and_chat_at_once(editor: FlaskClient, book: Book, power: str) -> None:
    assert "Readings as a table" in editor.get(power).text
    answer = save(editor, f"{power}?range=30d", "Power meter", "MWh", "amount")
    assert (answer.status_code, answer.location) == (303, f"{power}?range=30d")
    page = editor.get(power).text
    assert "The settings are saved." in page
    assert "sum 21" in page
    assert "MWh" in page
    assert '<h1 class="page-title break">Power meter' in page
    assert editor.get(f"{power}/series.json").json["kind"] == "amount"
    phone = Phone().later(minutes=1)
    phone.update_id, phone.number = 900_000, 900
    book.take(*(phone.message(text, ANNA, GROUP) for text in ("/sum power meter", "power 4", "/chart power 7d")))
    total, entry, chart = book.said(GROUP["id"])[-3:]
    assert total == "Power meter, November so far: 21 MWh in 3 entries"
    assert "4 MWh Power meter. November so far: 25 MWh in 4 entries." in entry
    assert chart == "Power meter, 7 days."
    book.take(phone.message("/undo", ANNA, GROUP))
    undone = book.said(GROUP["id"])[-1]
    assert undone.startswith("Taken back: 4 MWh Power meter (")
    assert undone.endswith("Power meter, November: 21 MWh in 3 entries.")
    book.take(phone.message("power 4", ANNA, GROUP))
    save(editor, power, "", "kWh", "gauge")
    book.take(phone.message("/sum power", ANNA, GROUP), phone.message("power 6", ANNA, GROUP))
    gauge, entry = book.said(GROUP["id"])[-2:]
    assert "power is a gauge, whose values are not summed. The button makes it an amount." in gauge
    assert entry.startswith("power 6 kWh, 2 more than at")
    assert sorted(book.values()) == [4, 5, 6, 7, 9, 12.5]


@pytest.mark.parametrize(
    ("typed", "field", "sentence"),
    [
        ({"label": "x" * 201}, "label", "The label has 201 characters; at most 200 are kept."),
        ({"unit": "u" * 65}, "unit", "The unit has 65 characters; at most 64 are kept."),
        ({"kind": "counter"}, "kind", "Choose one of the two."),
        ({"kind": ""}, "kind", "Choose one of the two."),
    ],
)
def test_what_cannot_be_kept_is_said_beside_its_field_and_stays_typed(
    editor: FlaskClient, book: Book, power: str, typed: dict[str, str], field: str, sentence: str
) -> None:
    answer = save(editor, power, **({"label": "<i>my</i> meter", "unit": "kvar"} | typed))
    assert answer.status_code == 422
    assert f'id="{field}-wrong"><p>{sentence}' in answer.text
    for text in (typed.get("label", "&lt;i&gt;my&lt;/i&gt; meter"), typed.get("unit", "kvar")):
        assert f'value="{text}"' in answer.text
    (row,) = book.ask(sa.select(Sensor.label, Sensor.unit, Sensor.kind).where(Sensor.name == "power"))
    assert tuple(row) == ("", "kWh", "gauge")


def test_viewers_see_no_form_and_may_not_save(client: FlaskClient, make_account: Any, login: Any, power: str) -> None:
    viewer = login(client, make_account("vera", "viewer"))
    assert "Settings" not in viewer.get(power).text
    assert save(viewer, power, "mine").status_code == 403


def test_a_sensor_that_is_gone(editor: FlaskClient, book: Book) -> None:
    assert save(editor, "/sensors/99999999999").status_code == 404
    assert [row.label for row in book.ask(sa.select(Sensor.label))] == ["", ""]


@pytest.mark.parametrize(
    ("label", "kept"),
    [
        ("  Power \t meter\n", "Power meter"),
        ("a\0b", "ab"),
        ("power", ""),
        ("\u202enoitceri\u202c", "noitceri"),
        ("🔌 " * 66, ("🔌 " * 66).strip()),
        ("x" * 200, "x" * 200),
    ],
)
def test_a_label_is_kept_in_one_line(book: Book, power: str, label: str, kept: str) -> None:
    number = int(power.rpartition("/")[2])
    with book.engine.begin() as connection:
        changes = sensor_settings.change(connection, number, sensor_settings.checked(label, " kWh ", "gauge"))
    assert changes == ({"label": ("", kept)} if kept else {})
    assert [row.label for row in book.ask(sa.select(Sensor.label).where(Sensor.id == number))] == [kept]


def test_every_complaint_is_told_at_once() -> None:
    with pytest.raises(BadSettings) as told:
        sensor_settings.checked("x" * 300, "y" * 300, "z")
    assert list(told.value.complaints) == ["label", "unit", "kind"]


# --- in a browser


def test_the_form_in_a_browser(
    page: Page, problems: PageProblems, make_account: Callable[..., Any], book: Book, power: str
) -> None:
    problems.expect_status(422)
    sign_in(page, make_account("ed", "editor"))
    page.goto(power)
    page.get_by_label("Label").fill("x" * 201)
    page.get_by_label("Kind").select_option("amount")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("Label")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Label")).to_be_focused()
    expect(page.get_by_label("Kind")).to_have_value("amount")
    check_page(page)
    page.get_by_label("Label").fill("Power meter")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Power meter")
    expect(page.locator("figcaption")).to_contain_text("sum 21")
    assert page.locator(".btn-primary:visible").count() == 1
    check_page(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_form_on_a_phone_without_javascript(
    new_page: Callable[..., Page], make_account: Callable[..., Any], power: str, scheme: str
) -> None:
    page = new_page(width=375, color_scheme=scheme, java_script_enabled=False)
    sign_in(page, make_account("ed", "editor"))
    page.goto(power)
    page.get_by_label("Unit").fill("MWh")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("MWh")
