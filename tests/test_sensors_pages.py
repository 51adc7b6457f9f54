"""The pages of sensors: list, chart, table, CSV; in a client and in a real browser."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect

from daybook import sql
from daybook.extensions import db
from daybook.models import Reading, Sensor, Source
from daybook.times import read_moment
from tests.browser import check_page
from tests.conftest import sign_in

STEP = 600 * 1_000_000


@pytest.fixture
def filled(app: Flask) -> int:
    """A mast with two months of ten-minute readings and a gap, an empty sensor, groceries; the mast's sensor's id."""
    start = read_moment("2024-01-01")
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(sa.insert(Source), [{"id": 1, "name": "Mast"}, {"id": 2, "name": "House"}])
        sensor = {"unit": "", "label": "", "kind": "gauge", "reading_count": 0}
        sensors = [
            sensor | {"id": 1, "source_id": 1, "name": "WS", "unit": "m/s", "label": "Wind", "reading_count": 8000},
            sensor | {"id": 2, "source_id": 1, "name": "Empty"},
            sensor | {"id": 3, "source_id": 2, "name": "groceries", "unit": "EUR", "kind": "amount"},
        ]
        connection.execute(sa.insert(Sensor), sensors)
        times = [start + number * STEP for number in range(9000) if not 3000 <= number < 4000]
        wind = [{"sensor_id": 1, "time": sql.moment(at), "value": (at // STEP) % 100 / 10} for at in times]
        food = [{"sensor_id": 3, "time": sql.moment(at), "value": 12.5} for at in times[::900]]
        connection.execute(sa.insert(Reading), wind + food)
    return 1


@pytest.fixture
def signed_in(client: FlaskClient, make_account: Any, login: Any) -> FlaskClient:
    signed_in: FlaskClient = login(client, make_account("vera", "viewer"))
    return signed_in


def test_an_empty_book_says_what_to_do(signed_in: FlaskClient) -> None:
    page = signed_in.get("/sensors").text
    assert "No readings yet" in page
    assert 'href="/uploads"' in page


def test_the_list_is_searched_and_filtered(signed_in: FlaskClient, filled: int) -> None:
    page = signed_in.get("/sensors").text
    assert "WS" in page
    assert "groceries" in page
    assert "2024-03-03 11:50 UTC" in page
    assert "8\u202f000" in page
    searched = signed_in.get("/sensors?q=wind").text
    assert "WS" in searched
    assert 'value="wind"' in searched
    assert ">groceries<" not in searched
    assert ">WS<" not in signed_in.get("/sensors?source=House").text
    assert "has “nothing”" in signed_in.get("/sensors?q=nothing").text
    assert signed_in.get("/sensors?source=Nowhere").status_code == 404


def test_the_list_is_paged(app: Flask, signed_in: FlaskClient) -> None:
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(sa.insert(Source), [{"id": 1, "name": "Mast"}])
        connection.execute(sa.insert(Sensor), [{"source_id": 1, "name": f"s{n:02}"} for n in range(60)])
    first = signed_in.get("/sensors?source=Mast").text
    assert ">s49<" in first
    assert ">s50<" not in first
    second = signed_in.get("/sensors?source=Mast&next=50").text
    assert ">s50<" in second
    assert "Next page" not in second


def test_htmx_gets_the_part_that_changes(signed_in: FlaskClient, filled: int) -> None:
    part = signed_in.get("/sensors/1?range=7d", headers={"HX-Request": "true"})
    assert part.text.lstrip().startswith('<div id="series"')
    assert "HX-Request" in part.headers["Vary"]
    back = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    assert "<!doctype html>" in signed_in.get("/sensors/1?range=7d", headers=back).text


def test_ranges_count_back_from_the_last_reading(signed_in: FlaskClient, filled: int) -> None:
    assert "2024-03-02 11:50 to 2024-03-03 11:50 UTC" in signed_in.get("/sensors/1?range=24h").text
    data = signed_in.get("/sensors/1/series.json?range=24h").json
    assert (data["bucket"], len(data["time"]), data["unit"]) == ("", 145, "m/s")


def test_the_chart_has_no_more_points_than_pixels(signed_in: FlaskClient, filled: int) -> None:
    for points in (2, 50, 600, 1000):
        data = signed_in.get(f"/sensors/1/series.json?points={points}").json
        shown = [count for count in data["count"] if count is not None]
        assert len(shown) <= points
        assert sum(shown) == 8000
    assert data["mean"].count(None) == 1  # the gap


def test_amounts_are_summed(signed_in: FlaskClient, filled: int) -> None:
    data = signed_in.get("/sensors/3/series.json").json
    assert data["kind"] == "amount"
    assert sum(value or 0 for value in data["sum"]) == 9 * 12.5
    assert "sum 112.5&nbsp;EUR" in signed_in.get("/sensors/3").text


def test_a_range_without_readings_and_a_sensor_without_any(signed_in: FlaskClient, filled: int) -> None:
    page = signed_in.get("/sensors/1?from=2001-01-01&to=2002-01-01").text
    assert "No readings in this range" in page
    assert "are from 2024-01-01 00:00 to 2024-03-03 11:50 UTC" in page
    assert "This sensor has none" in signed_in.get("/sensors/2").text
    assert signed_in.get("/sensors/2/series.json").json["time"] == []


def test_a_range_that_cannot_be_read_is_explained_beside_the_form(signed_in: FlaskClient, filled: int) -> None:
    answer = signed_in.get("/sensors/1?from=31/02")
    assert answer.status_code == 400
    assert "&#34;31/02&#34; is not a time" in answer.text
    assert 'value="31/02"' in answer.text
    assert signed_in.get("/sensors/1/readings.csv?from=31/02").status_code == 400


@pytest.mark.parametrize("path", ["", "/series.json", "/table", "/readings.csv"])
def test_an_unknown_sensor_is_404(signed_in: FlaskClient, path: str) -> None:
    for sensor_id in (99, 10**12):
        answer = signed_in.get(f"/sensors/{sensor_id}{path}")
        assert answer.status_code == 404
        assert f"There is no sensor {sensor_id}." in answer.text


def test_csv_download(signed_in: FlaskClient, filled: int) -> None:
    answer = signed_in.get("/sensors/1/readings.csv?from=2024-01-01&to=2024-01-02")
    assert answer.headers["Content-Disposition"] == "attachment; filename=Mast_WS_2024-01-01.csv"
    lines = answer.text.splitlines()
    assert (lines[0], len(lines)) == ("source,sensor,time,value", 145)
    everything = signed_in.get("/sensors/1/readings.csv")
    assert everything.headers["Content-Disposition"] == "attachment; filename=Mast_WS.csv"
    assert len(everything.text.splitlines()) == 8001


# --- in a browser ---


def drawn(page: Page) -> bool:
    """Whether the chart's canvas has anything on it."""
    page.wait_for_selector(".chart-canvas[data-drawn]")
    painted: bool = page.evaluate(
        """() => {
            const canvas = document.querySelector(".chart-canvas canvas");
            const blank = document.createElement("canvas");
            [blank.width, blank.height] = [canvas.width, canvas.height];
            return canvas.toDataURL().length > 2 * blank.toDataURL().length;
        }"""
    )
    return painted


def test_chart_and_table_follow_the_range(page: Page, make_account: Callable[..., Any], filled: int) -> None:
    sign_in(page, make_account("vera", "viewer"))
    page.goto("/sensors")
    check_page(page)
    page.get_by_role("link", name="WS").click()
    assert drawn(page)
    caption = page.locator("figcaption")
    expect(caption).to_contain_text("8\u202f000 readings")
    # Every row of the table is a point of the chart, whatever its width.
    expect(page.locator("#series-table")).to_have_attribute(
        "data-bucket", page.locator(".chart-canvas").get_attribute("data-drawn") or ""
    )
    check_page(page)

    page.get_by_role("link", name="24 hours").click()
    expect(caption).to_contain_text("145 readings")
    expect(page).to_have_url(re.compile(r"/sensors/1\?range=24h$"))
    assert drawn(page)
    expect(page.locator("#range-24h")).to_be_focused()
    expect(page.locator("#series-table tbody tr")).to_have_count(145)
    check_page(page)

    page.locator(".chart-canvas .u-over").hover()
    expect(page.locator(".chart-readout")).to_contain_text("m/s")

    page.go_back()
    expect(caption).to_contain_text("8\u202f000 readings")
    assert drawn(page)


def test_a_range_of_ones_own_and_by_dragging(page: Page, make_account: Callable[..., Any], filled: int) -> None:
    sign_in(page, make_account("vera", "viewer"))
    page.goto("/sensors/1")
    page.get_by_label("From (UTC)").fill("2024-01-01")
    page.get_by_label("To, not included").fill("2024-01-03")
    page.get_by_role("button", name="Show").click()
    caption = page.locator("figcaption")
    expect(caption).to_contain_text("288 readings")
    assert drawn(page)
    box = page.locator(".chart-canvas .u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 60, steps=5)
    page.mouse.up()
    expect(caption).not_to_contain_text("288 readings")
    assert "2024-01-01" in page.get_by_label("From (UTC)").input_value()
    assert drawn(page)


def test_bars_on_a_dark_phone(new_page: Callable[..., Page], make_account: Callable[..., Any], filled: int) -> None:
    page = new_page(width=375, color_scheme="dark", reduced_motion="reduce")  # axe would measure colours half-way
    sign_in(page, make_account("vera", "viewer"))
    page.goto("/sensors/3")
    assert drawn(page)
    check_page(page)
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "light")
    assert drawn(page)
    check_page(page)


def test_without_javascript(new_page: Callable[..., Page], make_account: Callable[..., Any], filled: int) -> None:
    page = new_page(java_script_enabled=False)
    sign_in(page, make_account("vera", "viewer"))
    page.goto("/sensors/1")
    assert "The chart needs JavaScript" in page.content()
    page.get_by_role("link", name="7 days").click()
    expect(page.locator("figcaption")).to_contain_text("1\u202f009 readings")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download this range as CSV").click()
    assert download.value.suggested_filename == "Mast_WS_2024-02-25_2024-03-03.csv"
