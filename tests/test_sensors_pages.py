"""The pages of sensors: list, chart, table, CSV; in a client and in a real browser."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect

from daybook import charts, sql
from daybook.extensions import db
from daybook.models import Reading, Sensor, Source
from daybook.times import read_moment
from tests.browser import check_page
from tests.conftest import PageProblems, sign_in

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
    steps = {after - before for before, after in zip(data["time"], data["time"][1:], strict=False)}
    assert 0 < data["seconds"] <= min(steps)  # a bar is as wide as its bucket, and the last one has that room too
    assert "sum 112.5&nbsp;EUR" in signed_in.get("/sensors/3").text


def test_a_range_without_readings_and_a_sensor_without_any(signed_in: FlaskClient, filled: int) -> None:
    page = signed_in.get("/sensors/1?from=2001-01-01&to=2002-01-01").text
    assert "No readings in this range" in page
    assert "are from 2024-01-01 00:00 to 2024-03-03 11:50 UTC" in page
    assert "They were taken out, or none came yet." in signed_in.get("/sensors/2").text
    assert signed_in.get("/sensors/2/series.json").json["time"] == []


def test_a_range_that_cannot_be_read_is_explained_beside_the_form(signed_in: FlaskClient, filled: int) -> None:
    answer = signed_in.get("/sensors/1?from=31/02")
    assert answer.status_code == 400
    assert (
        "&#34;31/02&#34; in From is not a time Daybook can read; write it like 2016-01-10 or 2016-01-10" in answer.text
    )
    assert answer.headers["HX-Push-Url"] == "false"
    assert "HX-Push-Url" not in signed_in.get("/sensors/1?from=2024-01-01").headers
    assert "From is later than To; swap them." in signed_in.get("/sensors/1?from=2024-02-01&to=2024-01-01").text
    back = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    assert signed_in.get("/sensors/1?from=31/02", headers=back).status_code == 200
    assert 'value="31/02"' in answer.text
    assert signed_in.get("/sensors/1/readings.csv?from=31/02").status_code == 400


@pytest.mark.parametrize("path", ["", "/series.json", "/readings.csv"])
def test_an_unknown_sensor_is_404(signed_in: FlaskClient, path: str) -> None:
    for sensor_id in (99, 10**12):
        answer = signed_in.get(f"/sensors/{sensor_id}{path}")
        assert answer.status_code == 404
        assert f"There is no sensor {sensor_id}." in answer.text


def test_csv_download(signed_in: FlaskClient, filled: int) -> None:
    answer = signed_in.get("/sensors/1/readings.csv?from=2024-01-01&to=2024-01-01")
    assert answer.headers["Content-Disposition"] == "attachment; filename=Mast_WS_2024-01-01.csv"
    lines = answer.text.splitlines()
    assert (lines[0], len(lines)) == ("source,sensor,time,value", 145)
    everything = signed_in.get("/sensors/1/readings.csv")
    assert everything.headers["Content-Disposition"] == "attachment; filename=Mast_WS.csv"
    assert len(everything.text.splitlines()) == 8001


@pytest.mark.parametrize(
    ("to", "count"), [("2024-01-01", 144), ("2024-01-02", 288), ("2024-01-02 00:00", 144), ("2024-01-01 00:10", 1)]
)
def test_a_date_alone_as_to_means_the_whole_day(signed_in: FlaskClient, filled: int, to: str, count: int) -> None:
    lines = signed_in.get("/sensors/1/readings.csv", query_string={"from": "2024-01-01", "to": to}).text.splitlines()
    assert len(lines) == 1 + count


def test_names_that_a_spreadsheet_would_compute_are_text_but_for_programs(
    signed_in: FlaskClient, make_account: Any, bearer: Any
) -> None:
    headers = bearer(make_account("eddie", "editor"))
    names = ["=1+1", "+1", "-1", "@SUM(A1)", "＝1", "a=1", "tea"]
    readings = [{"sensor": name, "time": "2024-06-01", "value": -5} for name in names]
    posted = signed_in.post("/api/v1/readings", json={"source": "=mast", "readings": readings}, headers=headers)
    assert posted.status_code == 201
    ids = {one["name"]: one["id"] for one in signed_in.get("/api/v1/sensors", headers=headers).json["sensors"]}
    for name in names:
        shown = name if name in ("a=1", "tea") else f"'{name}"
        page = signed_in.get(f"/sensors/{ids[name]}/readings.csv").text
        assert page.splitlines()[1] == f"'=mast,{shown},2024-06-01T00:00:00Z,-5"
    wide = signed_in.get("/sensors/source.csv?source=%3Dmast").text.splitlines()
    assert sorted(wide[0].split(",")) == sorted(["time", "'=1+1", "'+1", "'-1", "'@SUM(A1)", "'＝1", "a=1", "tea"])
    assert wide[1] == "2024-06-01T00:00:00Z" + 7 * ",-5"
    raw = signed_in.get("/api/v1/readings?source=%3Dmast&format=csv", headers=headers).text
    assert "\n=mast,=1+1,2024-06-01T00:00:00Z,-5\n" in raw


def test_a_whole_source_as_csv(client: FlaskClient, signed_in: FlaskClient, filled: int) -> None:
    assert 'href="/sensors/source.csv?source=Mast"' in signed_in.get("/sensors?source=Mast").text
    assert "source.csv" not in signed_in.get("/sensors").text
    answer = signed_in.get("/sensors/source.csv?source=Mast")
    assert answer.headers["Content-Disposition"] == "attachment; filename=Mast.csv"
    lines = answer.text.splitlines()
    assert lines[:3] == ["time,Empty,WS", lines[1], lines[2]]
    assert lines[1].startswith("2024-01-01T00:00:00Z,,")
    assert len(lines) == 8001
    for address in ("/sensors/source.csv?source=Nowhere", "/sensors/source.csv"):
        assert signed_in.get(address).status_code == 404
    signed_in.post("/logout")
    assert client.get("/sensors/source.csv?source=Mast").status_code in (302, 401)


def test_calculated_numbers_have_two_decimals_more_than_the_readings(signed_in: FlaskClient, filled: int) -> None:
    decimals = {len(mean) for mean in re.findall(r"mean \d+\.(\d+)&nbsp;", signed_in.get("/sensors/1").text)}
    assert decimals
    assert max(decimals) <= 3


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1234567.25", "1\u202f234\u202f567.25"),
        ("-1234", "-1\u202f234"),
        ("999", "999"),
        ("1e+20", "1e+20"),
        ("–", "–"),
    ],
)
def test_thousands_are_apart(text: str, shown: str) -> None:
    assert charts.grouped(text) == shown


@pytest.mark.parametrize(
    ("value", "decimals", "shown"),
    [(9.564777, 3, "9.565"), (-0.0004, 2, "0"), (12345.678, 0, "12346"), (20.0, 2, "20")],
)
def test_rounding(value: float, decimals: int, shown: str) -> None:
    assert charts.rounded(value, decimals) == shown


def test_a_unit_is_said_once(app: Flask, signed_in: FlaskClient) -> None:
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(sa.insert(Source), [{"id": 1, "name": "Mast"}])
        connection.execute(sa.insert(Sensor), [{"source_id": 1, "name": "wind (m/s)", "unit": "m/s"}])
    assert ">Unit<" not in signed_in.get("/sensors").text
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(sa.insert(Sensor), [{"source_id": 1, "name": "temp", "unit": "m"}])
    page = signed_in.get("/sensors").text
    assert ">Unit<" in page
    assert ">m</td>" in page
    assert ">m/s</td>" not in page


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
    page.get_by_label("To (UTC)").fill("2024-01-02")
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


def test_a_wrong_range_leaves_the_address_alone(
    page: Page, problems: PageProblems, make_account: Callable[..., Any], filled: int
) -> None:
    problems.expect_status(400)
    sign_in(page, make_account("vera", "viewer"))
    page.goto("/sensors/1?range=7d")
    assert drawn(page)
    page.get_by_label("From (UTC)").fill("x")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("alert")).to_contain_text("in From is not a time")
    expect(page).to_have_url(re.compile(r"/sensors/1\?range=7d$"))
    page.get_by_role("link", name="24 hours").click()
    expect(page.locator("figcaption")).to_contain_text("145 readings")
    page.go_back()
    expect(page.locator("figcaption")).to_contain_text("1\u202f009 readings")


def test_the_last_of_quick_clicks_counts(
    page: Page, problems: PageProblems, make_account: Callable[..., Any], filled: int
) -> None:
    sign_in(page, make_account("vera", "viewer"))
    page.goto("/sensors/1")
    assert drawn(page)
    page.evaluate(
        "() => { for (const key of ['7d', '30d', '1y', '24h']) document.getElementById('range-' + key).click(); }"
    )
    expect(page.locator("figcaption")).to_contain_text("145 readings")
    expect(page).to_have_url(re.compile(r"/sensors/1\?range=24h$"))
    assert drawn(page)
    expect(page.locator("#range-24h")).to_have_attribute("aria-current", "true")
    # htmx says of every request that a newer one replaced that it was given up.
    given_up = ("htmx:sendAbort, ", "htmx:afterRequest, ")
    problems.found[:] = [problem for problem in problems.found if not any(name in problem for name in given_up)]


@pytest.mark.parametrize("path", ["/sensors", "/sensors/1?range=7d", "/account"])
def test_nothing_is_wider_than_a_phone(
    new_page: Callable[..., Page],
    make_account: Callable[..., Any],
    token_for: Callable[..., str],
    filled: int,
    path: str,
) -> None:
    page = new_page(width=375)
    vera = make_account("vera", "viewer")
    token_for(vera)
    sign_in(page, vera)
    page.goto(path)
    for box in page.locator(".table-scroll, .series-rows").all():
        assert box.evaluate("box => box.scrollWidth <= box.clientWidth")
    check_page(page)


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
