"""The upload page as a person meets it: with a browser, and without JavaScript."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from daybook import file_types, imports
from daybook.extensions import db
from daybook.formats.given import Given
from daybook.upload_options import Options, Sender
from tests.browser import check_page
from tests.conftest import csrf_token, sign_in

WIND = b"""Created by hand
Latitude = 53.3

Time\tSpeed (m/s)\tDirection\tSite
13/01/2016 15:30\t8.37\t114.2\tmast
13/01/2016 15:40\t8.25\t\tmast
13/01/2016 15:50\tbroken\t117.8\tmast
never\t1\t2\tmast
13/01/2016 16:10\t7.5\t118\tmast
"""


def form(client: FlaskClient, token: str, *files: tuple[bytes, str], **fields: str) -> Any:
    """Sends the upload form as a browser without JavaScript does (RFC 7578)."""
    values = {"csrf_token": token, "source": "", "timezone": "", "date_order": "", **fields}
    heads = [f'name="{name}"\r\n\r\n{value}'.encode() for name, value in values.items()]
    heads += [f'name="files"; filename="{name}"\r\n\r\n'.encode() + content for content, name in files]
    parts = b"".join(b"--Edge\r\nContent-Disposition: form-data; " + head + b"\r\n" for head in heads)
    return client.post("/uploads", data=parts + b"--Edge--\r\n", content_type="multipart/form-data; boundary=Edge")


@pytest.fixture
def editor(client: FlaskClient, make_account: Callable[..., Any], login: Callable[..., Any]) -> FlaskClient:
    login(client, make_account("edda", "editor"))
    return client


def test_a_form_without_javascript_imports_the_file_and_shows_its_account(editor: FlaskClient) -> None:
    answer = form(editor, csrf_token(editor), (WIND, "wind.txt"), source="Mast 1")
    assert answer.status_code == 303
    page = editor.get(answer.location).get_data(as_text=True)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    assert "6 readings of 2 sensors added" in text
    assert "Lines 9 above the data 4 blank 0 read 4 rejected 1" in text
    assert "Cells 8 added 6 there already 0 missing 1 not a number 1" in text
    assert "8 Time never is not a time; expected day, month, year" in text
    assert "7 Speed (m/s) broken is not a number" in text
    assert "Not kept, because it names the device: Site." in text
    assert "because the file states no zone" in text


def account_of(client: FlaskClient, data: bytes, name: str, **fields: str) -> str:
    """The words of the page of that upload."""
    answer = form(client, csrf_token(client), (data, name), **fields)
    page = client.get(answer.location).get_data(as_text=True)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_each_column_left_out_has_its_reason(editor: FlaskClient) -> None:
    data = b"time;note;temp;rain;\n2026-01-01 00:00;dry;1,5;0,5;\n2026-01-01 00:10;wet;2,5;1,5;\n"
    text = account_of(editor, data, "mast.csv", layout='{"columns": [{"name": "rain", "role": "text"}]}')
    assert "Left out because they hold no number: note." in text
    assert "Not kept, as was chosen: rain." in text
    assert "column 5" not in text


def test_a_zone_is_said_to_be_of_who_chose_it(app: Flask, editor: FlaskClient) -> None:
    with app.app_context():
        file_types.save("Dublin", Given(timezone="Europe/Dublin"))
    by_type = account_of(editor, WIND, "a.txt", file_type="Dublin")
    assert "Times were read as Europe/Dublin, as the file type says." in by_type
    assert "to mend and upload again, into the same source and with the same file type" in by_type
    assert "as you chose" in account_of(editor, WIND, "b.txt", file_type="Dublin", timezone="Europe/Paris")


def test_of_dates_with_names_of_months_no_order_is_told(editor: FlaskClient) -> None:
    data = b"time,temp\n13-Jan-2016 15:30,1.5\n14-Jan-2016 15:30,2.5\n"
    text = account_of(editor, data, "mast.csv")
    assert "Times such as 13-Jan-2016 15:30" in text
    assert "first." not in text
    assert "Times day, month, year, such as 13/01/2016 15:30" in account_of(editor, WIND, "wind.txt")


def test_several_files_in_one_form_become_several_uploads(editor: FlaskClient) -> None:
    answer = form(editor, csrf_token(editor), (WIND, "a.txt"), (b"not readings", "b.txt"), (WIND, "c.txt"))
    assert (answer.status_code, answer.location) == (303, "/uploads")
    page = editor.get("/uploads").get_data(as_text=True)
    assert [name in page for name in ("a.txt", "b.txt", "c.txt")] == [True] * 3
    assert page.count('status-done"') == 2
    assert page.count('status-failed"') == 1


def test_a_form_without_its_token_is_refused_before_a_file_is_read(app: Flask, editor: FlaskClient) -> None:
    assert form(editor, "forged", (WIND, "wind.txt")).status_code == 400
    assert "wind.txt" not in editor.get("/uploads").get_data(as_text=True)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"timezone": "Europe/Atlantis"}, "&#34;Europe/Atlantis&#34; is not a time zone that Daybook knows"),
        ({"source": "x" * 201}, "has 201 characters; at most 200 are kept"),
    ],
)
def test_what_is_wrong_with_the_form_stands_beside_its_field(
    editor: FlaskClient, fields: dict[str, str], complaint: str
) -> None:
    answer = form(editor, csrf_token(editor), (WIND, "wind.txt"), **fields)
    assert answer.status_code == 422
    page = answer.get_data(as_text=True)
    assert complaint in page
    assert 'value="' + next(iter(fields.values())) in page


def test_a_form_without_a_file_says_so(editor: FlaskClient) -> None:
    answer = form(editor, csrf_token(editor), (b"", ""))
    assert answer.status_code == 422
    assert "Choose a file first." in answer.get_data(as_text=True)


def test_undo_takes_the_readings_the_sensors_and_the_source_out_again(editor: FlaskClient) -> None:
    shown = form(editor, csrf_token(editor), (WIND, "wind.txt"), source="Mast 1").location
    assert "Mast 1" in editor.get("/sensors").get_data(as_text=True)
    answer = editor.post(f"{shown}/undo", headers={"HX-Request": "true"})
    assert "6 readings were taken out again" in re.sub(r"\s+", " ", answer.get_data(as_text=True))
    assert "Mast 1" not in editor.get("/sensors").get_data(as_text=True)
    assert form(editor, csrf_token(editor), (WIND, "wind.txt"), source="Mast 1").status_code == 303


def test_an_announced_upload_can_be_cancelled_before_its_first_byte(app: Flask, editor: FlaskClient) -> None:
    card = editor.post("/uploads/announce", data={"filename": "later.csv", "size": "10"})
    upload_id = int(re.search(r'id="upload-(\d+)"', card.get_data(as_text=True))[1])  # type: ignore[index]
    answer = editor.post(f"/uploads/{upload_id}/cancel", headers={"HX-Request": "true"})
    assert "No reading of it is in the book" in answer.get_data(as_text=True)
    assert editor.put(f"/uploads/{upload_id}/content", data=WIND).status_code in (400, 409)


def test_the_bytes_of_an_announced_upload_come_from_the_one_who_announced_it(app: Flask, editor: FlaskClient) -> None:
    with app.app_context():
        upload_id = imports.announce(db.engine, "theirs.csv", Options(), Sender())
    headers = {"X-CSRFToken": csrf_token(editor)}
    assert editor.put(f"/uploads/{upload_id}/content", data=WIND, headers=headers).status_code == 409


def test_the_file_can_be_downloaded_as_it_came(editor: FlaskClient) -> None:
    shown = form(editor, csrf_token(editor), (WIND, "wind ü.txt")).location
    answer = editor.get(f"{shown}/raw")
    assert answer.data == WIND
    assert "wind" in answer.headers["Content-Disposition"]


def test_a_viewer_sees_uploads_and_cannot_make_one(
    client: FlaskClient, make_account: Callable[..., Any], login: Callable[..., Any]
) -> None:
    login(client, make_account("vera", "viewer"))
    page = client.get("/uploads").get_data(as_text=True)
    assert "upload-form" not in page
    assert "an editor or an admin can upload the first file" in page
    assert client.post("/uploads/announce", data={"filename": "x"}).status_code == 403


def test_older_uploads_are_on_further_pages(app: Flask, editor: FlaskClient) -> None:
    with app.app_context():
        for number in range(30):
            imports.announce(db.engine, f"file-{number}.csv", Options(), Sender())
    first = editor.get("/uploads").get_data(as_text=True)
    assert "file-29.csv" in first
    assert "file-4.csv" not in first
    second = editor.get(re.search(r'href="(/uploads\?before=\d+)"', first)[1]).get_data(as_text=True)  # type: ignore[index]
    assert "file-4.csv" in second
    assert "file-0.csv" in second


def words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_doubtful_dates_are_settled_with_a_click(editor: FlaskClient) -> None:
    shown = form(editor, csrf_token(editor), (b"time,a\n01/02/2026,1\n01/03/2026,2\n", "m.csv")).location
    page = editor.get(shown).get_data(as_text=True)
    assert "No reading of it is in the book; the file itself is kept" in words(page)
    assert "month first" in page
    again = editor.post(f"{shown}/again", data={"date_order": "dmy"})
    page = editor.get(again.location).get_data(as_text=True)
    assert "2 readings of 1 sensor added, 2026-02-01 00:00 UTC to 2026-03-01 00:00 UTC" in words(page)
    assert "Dates were read day first" in page


def test_a_file_imported_again_keeps_what_its_sender_asked_for(app: Flask, editor: FlaskClient) -> None:
    body = b"time,a\n01/02/2026,1\n01/03/2026,2\n01/04/2026,3\nnever,4\n"
    with app.app_context():
        failed = imports.announce(db.engine, "m.csv", Options(on_bad_row="fail"), Sender())
        imports.import_stream(db.engine, app.config["DAYBOOK"], [body], upload_id=failed)
    again = editor.post(f"/uploads/{failed}/again", data={"date_order": "dmy"})
    assert (
        "a row cannot be read, for example line 5" in words(editor.get(again.location).get_data(as_text=True)).lower()
    )


def test_uploads_of_other_sensors_have_nothing_to_do_with_each_other(editor: FlaskClient) -> None:
    first = form(editor, csrf_token(editor), (b"time,temp\n2026-01-01,1\n", "a.csv"), source="m").location
    twice = b"time,wind\n2026-01-01,1\n2026-01-01,1\n"
    second = form(editor, csrf_token(editor), (twice, "b.csv"), source="m").location
    assert "goes for both" not in words(editor.get(first).get_data(as_text=True))
    editor.post(f"{first}/undo")
    assert "undone since" not in words(editor.get(second).get_data(as_text=True))


def test_undo_says_which_other_upload_loses_readings(editor: FlaskClient) -> None:
    first = form(editor, csrf_token(editor), (WIND, "first.txt"), source="m").location
    second = form(editor, csrf_token(editor), (WIND, "second.txt"), source="m").location
    number = second.rpartition("/")[2]
    assert f"upload {number} brought readings at the same times" in words(editor.get(first).get_data(as_text=True))
    editor.post(f"{first}/undo")
    page = words(editor.get(second).get_data(as_text=True))
    assert "was undone since. Upload this file again to bring them back" in page
    form(editor, csrf_token(editor), (WIND, "third.txt"), source="m")
    assert "undone since" not in words(editor.get(second).get_data(as_text=True))


def test_what_is_wrong_with_an_announcement_names_its_field(editor: FlaskClient) -> None:
    answer = editor.post("/uploads/announce", data={"filename": "a.csv", "timezone": "Dublin"})
    assert answer.status_code == 422
    assert answer.get_json()["field"] == "timezone"
    assert answer.get_json()["message"].startswith('"Dublin" is not a time zone')


# in a browser


def test_files_are_uploaded_in_a_browser_with_a_card_each(
    live_server: Any, page: Any, make_account: Callable[..., Any], tmp_path: Path
) -> None:
    good, bad = tmp_path / "wind.txt", tmp_path / "prose.txt"
    good.write_bytes(WIND)
    bad.write_text("This is no table.\nIt goes on.\n")
    sign_in(page, make_account("edda", "editor"))
    page.goto("/uploads")
    page.fill("#source", "Mast 1")
    page.set_input_files("#files", [str(good), str(bad)])
    page.click("#upload-button")
    page.wait_for_selector("[data-status=done]")
    page.wait_for_selector("[data-status=failed]")
    assert "6 readings of 2 sensors added" in page.inner_text("[data-status=done]")
    assert "No table of readings found" in page.inner_text("[data-status=failed]")
    check_page(page)
    page.click("[data-status=done] >> text=Undo")
    page.wait_for_selector("[data-status=undone]")


def test_an_upload_shows_where_it_is_and_can_be_cancelled_in_mid_flight(
    live_server: Any, page: Any, make_account: Callable[..., Any], tmp_path: Path
) -> None:
    large = tmp_path / "large.csv"
    with large.open("w") as file:
        file.write("time," + ",".join(f"s{number}" for number in range(20)) + "\n")
        for minute in range(400_000):
            day, rest = divmod(minute, 1440)
            stamp = f"20{day // 365:02}-{day % 365 // 31 + 1:02}-{day % 28 + 1:02} {rest // 60:02}:{rest % 60:02}"
            file.write(stamp + ",1.25" * 20 + "\n")
    sign_in(page, make_account("edda", "editor"))
    page.goto("/uploads")
    page.set_input_files("#files", str(large))
    page.click("#upload-button")
    page.wait_for_selector("[data-status=importing]")
    page.wait_for_function(
        "() => { const card = document.querySelector('[data-status=importing] .upload-progress');"
        " return card && !card.textContent.includes(' 0 readings stored') && card.textContent.includes('lines read') }"
    )
    check_page(page)
    page.click("text=Cancel")
    page.wait_for_selector("[data-status=cancelled]")
    assert page.request.get("/sensors").text().count("<tbody>") == 0


def test_a_wrong_time_zone_is_told_beside_its_field_in_a_browser(
    page: Any, make_account: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "wind.txt"
    file.write_bytes(WIND)
    sign_in(page, make_account("edda", "editor"))
    page.goto("/uploads")
    page.fill("#timezone", "Dublin")
    page.set_input_files("#files", str(file))
    page.wait_for_selector("#preview #timezone-wrong")
    assert page.get_attribute("#timezone", "aria-invalid") == "true"
    assert page.is_disabled("#upload-button")
    page.fill("#timezone", "europe/dublin")
    page.click("#upload-button")
    page.wait_for_selector("[data-status=done]")
    assert page.query_selector("#timezone-wrong") is None


def test_a_lost_session_is_told_instead_of_nothing_happening(
    page: Any, problems: Any, make_account: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "wind.txt"
    file.write_bytes(WIND)
    problems.expect_status(401)
    sign_in(page, make_account("edda", "editor"))
    page.goto("/uploads")
    page.context.clear_cookies()
    page.set_input_files("#files", str(file))
    page.click("#upload-button")
    page.wait_for_selector("#upload-problem .alert")
    assert "You are logged out, so nothing was sent" in page.inner_text("#upload-problem")


def test_the_page_works_in_a_browser_without_javascript(
    live_server: Any,
    new_page: Callable[..., Any],
    make_account: Callable[..., Any],
    tmp_path: Path,
) -> None:
    file = tmp_path / "wind.txt"
    file.write_bytes(WIND)
    page = new_page(java_script_enabled=False)
    sign_in(page, make_account("edda", "editor"))
    page.goto("/uploads")
    page.set_input_files("#files", str(file))
    page.click("#upload-button")
    assert "6 readings of 2 sensors added" in page.inner_text("article")
    page.click("text=Undo")
    assert "taken out again" in page.inner_text("article")
