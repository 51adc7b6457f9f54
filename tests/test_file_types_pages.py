"""The pages of file types: with forms as a browser without JavaScript sends them, and in a browser."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Page

from daybook import file_types, layout_form
from daybook.formats.given import Given, GivenColumn
from tests.browser import check_page
from tests.conftest import csrf_token, sign_in

MAST = Given(delimiter=";", decimal=",", columns=(GivenColumn("Zeit", "time"), GivenColumn("Wind", "value", "m/s")))
TEXT = "Mast 3\nZeit;Wind;Volt\n13.01.2026 00:00;1,5;12\n14.01.2026 00:00;-99;12\n15.01.2026 00:00;3,5;12\n"


def words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


@pytest.fixture
def editor(client: FlaskClient, make_account: Callable[..., Any], login: Callable[..., Any]) -> FlaskClient:
    login(client, make_account("edda", "editor"))
    return client


@pytest.fixture
def viewer(client: FlaskClient, make_account: Callable[..., Any], login: Callable[..., Any]) -> FlaskClient:
    login(client, make_account("vera", "viewer"))
    return client


def saved(app: Flask, name: str = "Mast 3", given: Given = MAST) -> str:
    with app.app_context():
        return file_types.save(name, given).version


def layout_of(app: Flask, name: str) -> Given | None:
    with app.app_context():
        found = file_types.find_type(name)
        return found.given if found else None


def attempt(client: FlaskClient, *, sample: bytes | None = None, htmx: bool = False, **form: str) -> Any:
    """Sends the form of "Try" as a browser does: the fields, then the file."""
    fields = {"csrf_token": csrf_token(client), **form}
    heads = [f'name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
    if sample is not None:
        heads.append(b'name="sample"; filename="sample.csv"\r\n\r\n' + sample)
    body = b"".join(b"--Edge\r\nContent-Disposition: form-data; " + head + b"\r\n" for head in heads) + b"--Edge--\r\n"
    headers = {"HX-Request": "true"} if htmx else {}
    return client.post("/file-types/try", data=body, headers=headers, content_type="multipart/form-data; boundary=Edge")


# --- the list


def test_the_list_says_what_to_do_where_there_are_none(editor: FlaskClient) -> None:
    page = words(editor.get("/file-types").text)
    assert "No file types of your own yet" in page
    assert "copy a ready-made one below" in page
    assert "Campbell TOA5" in page
    assert "Tables of Campbell Scientific loggers" in page


def test_a_viewer_sees_types_and_changes_none(app: Flask, viewer: FlaskClient) -> None:
    assert "an editor or an admin can make one" in words(viewer.get("/file-types").text)
    saved(app)
    page = viewer.get("/file-types").text
    assert "a semicolon" not in page
    assert "/file-types/new" not in page
    shown = viewer.get("/file-types/Mast 3").text
    assert "Between the cells is a semicolon" in words(shown)
    assert 'name="delimiter"' not in shown
    assert "Copy and change" not in shown
    assert viewer.get("/file-types/new").status_code == 403
    assert viewer.get("/file-types/Mast 3/delete").status_code == 403
    assert viewer.post("/file-types/Mast 3", data={"name": "x"}).status_code == 403


def test_the_list_has_pages(app: Flask, editor: FlaskClient) -> None:
    for number in range(105):
        saved(app, f"Type {number:03}")
    first = editor.get("/file-types").text
    assert "Type 099" in first
    assert "Type 100" not in first
    following = re.search(r'href="(/file-types\?after=[^"]+)"', first)
    assert following
    second = editor.get(following[1]).text
    assert "Type 100" in second
    assert "Campbell TOA5" in second


# --- adding and changing


def test_a_type_is_added_and_changed_with_the_form(app: Flask, editor: FlaskClient) -> None:
    form = {"name": "Mast 3", "delimiter": "semicolon", "decimal": "comma", "column-0-name": "Zeit"}
    form |= {"column-0-role": "time", "column-1-name": "Wind", "column-1-role": "value", "column-1-unit": "m/s"}
    answer = editor.post("/file-types/new", data=form)
    assert (answer.status_code, answer.location) == (303, "/file-types/Mast%203")
    assert layout_of(app, "Mast 3") == MAST
    page = editor.get(answer.location).text
    version = re.search(r'name="version" value="([^"]+)"', page)
    assert version
    assert '<option value="semicolon" selected>' in page
    answer = editor.post("/file-types/Mast 3", data=form | {"name": "Mast 4", "decimal": "", "version": version[1]})
    assert answer.location == "/file-types/Mast%204"
    assert layout_of(app, "Mast 3") is None
    assert layout_of(app, "mast 4").decimal is None  # type: ignore[union-attr]


def test_what_is_wrong_stands_beside_its_field_and_what_was_typed_is_kept(app: Flask, editor: FlaskClient) -> None:
    form = {"name": "", "timezone": "Europe/Atlantis", "column-3-name": "<Wind>", "column-3-role": "boss"}
    answer = editor.post("/file-types/new", data=form)
    assert answer.status_code == 422
    page = answer.text
    assert 'id="timezone-wrong"' in page
    assert 'value="Europe/Atlantis"' in page
    assert 'id="column-0-wrong"' in page
    assert 'value="&lt;Wind&gt;"' in page
    answer = editor.post("/file-types/new", data={"name": "campbell toa5", "sensor": "kept"})
    assert answer.status_code == 422
    assert "Save a copy of it under another name." in answer.text
    assert 'value="kept"' in answer.text


def test_the_second_of_two_editors_is_told_and_may_insist(app: Flask, editor: FlaskClient) -> None:
    version = saved(app)
    with app.app_context():
        file_types.replace("Mast 3", Given(timezone="UTC"))
    answer = editor.post("/file-types/Mast 3", data={"name": "Mast 3", "sensor": "mine", "version": version})
    assert answer.status_code == 409
    assert "Somebody else changed this file type" in words(answer.text)
    assert 'value="mine"' in answer.text
    assert layout_of(app, "Mast 3") == Given(timezone="UTC")
    again = re.search(r'name="version" value="([^"]+)"', answer.text)
    assert again
    answer = editor.post("/file-types/Mast 3", data={"name": "Mast 3", "sensor": "mine", "version": again[1]})
    assert answer.status_code == 303
    assert layout_of(app, "Mast 3") == Given(sensor="mine")


def test_more_rows_of_columns_come_without_javascript(app: Flask, editor: FlaskClient) -> None:
    answer = editor.post("/file-types/new", data={"name": "x", "column-0-name": "Zeit", "more": "1"})
    assert answer.status_code == 200
    assert 'value="Zeit"' in answer.text
    assert 'name="column-5-name"' in answer.text
    assert layout_of(app, "x") is None


def test_a_ready_made_type_is_shown_and_copied(editor: FlaskClient) -> None:
    page = words(editor.get("/file-types/NDBC standard meteorological").text)
    assert "This type comes with Daybook" in page
    assert "runs of blanks" in page
    copy = editor.get("/file-types/new?from=NDBC standard meteorological").text
    assert 'value="WDIR"' in copy
    assert '<option value="blanks" selected>' in copy
    assert 'id="name" name="name" type="text" value=""' in re.sub(r"\s+", " ", copy)
    assert editor.post("/file-types/Campbell TOA5", data={"name": "Campbell TOA5"}).status_code == 422
    assert editor.get("/file-types/Campbell TOA5/delete").status_code == 409
    assert editor.post("/file-types/Campbell TOA5/delete").status_code == 409


def test_a_type_that_is_not_there_is_a_404(editor: FlaskClient) -> None:
    for path in ("/file-types/x", "/file-types/x/delete", "/file-types/x/export", "/file-types/new?from=x"):
        assert editor.get(path).status_code == 404


def test_a_type_is_deleted_after_a_question(app: Flask, editor: FlaskClient) -> None:
    saved(app)
    page = editor.get("/file-types/Mast 3/delete").text
    assert "No upload was read by it" in words(page)
    assert layout_of(app, "Mast 3") is not None
    answer = editor.post("/file-types/Mast 3/delete")
    assert (answer.status_code, answer.location) == (303, "/file-types")
    assert layout_of(app, "Mast 3") is None
    assert editor.post("/file-types/Mast 3/delete").status_code == 303


# --- files


def test_types_are_exported_one_or_all(app: Flask, editor: FlaskClient) -> None:
    saved(app, "Mast ü 3")
    saved(app, "Other", Given())
    one = editor.get("/file-types/Mast ü 3/export")
    assert one.json == {"file_types": [{"name": "Mast ü 3", "layout": MAST.to_json()}]}
    assert one.headers["Content-Disposition"] == "attachment; filename=Mast-3.json"
    assert [named["name"] for named in editor.get("/file-types/export").json["file_types"]] == ["Mast ü 3", "Other"]


def import_file(client: FlaskClient, content: bytes) -> Any:
    return client.post("/file-types/import", data={"file": (io.BytesIO(content), "types.json")})


def test_types_are_imported_and_those_that_exist_only_when_told(app: Flask, editor: FlaskClient) -> None:
    saved(app)
    entries = [{"name": "Mast 3", "layout": {}}, {"name": "New one", "layout": {"decimal": ","}}]
    text = json.dumps({"file_types": entries})
    asked = import_file(editor, text.encode())
    assert "This one exists here already" in words(asked.text)
    assert layout_of(app, "New one") is None
    kept = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", asked.text, re.DOTALL)
    assert kept
    answer = editor.post("/file-types/import", data={"text": text, "decided": "1"})
    assert answer.status_code == 303
    assert layout_of(app, "Mast 3") == MAST
    assert layout_of(app, "New one") == Given(decimal=",")
    editor.post("/file-types/import", data={"text": text, "decided": "1", "replace": "Mast 3"})
    assert layout_of(app, "Mast 3") == Given()
    assert "Replaced: Mast 3. Left as they were: New one." in words(editor.get("/file-types").text)


def test_a_file_that_is_none_is_refused_beside_its_field(app: Flask, editor: FlaskClient) -> None:
    for content in (b"", b"\xff\xfe\x00", b'[{"name": "a", "layout": {"delimiter": "x"}}]', b" " * 500_000):
        answer = import_file(editor, content)
        assert answer.status_code == 422
        assert 'id="file-wrong"' in answer.text


# --- trying


def test_a_sample_is_tried_before_the_type_is_saved(app: Flask, editor: FlaskClient) -> None:
    form = {"name": "x", "decimal": "comma", "column-0-name": "Wind", "column-0-missing": "-99"}
    answer = attempt(editor, **form, sample_text=TEXT)
    assert answer.status_code == 200
    page = words(answer.text)
    assert "3 rows" in page
    assert "2026-01-13 00:00:00 UTC to 2026-01-15 00:00:00 UTC" in page
    assert "1 above the table Mast 3" in page
    assert "2 names Zeit;Wind;Volt" in page
    assert 'value="-99"' in answer.text, "what was typed stays"
    assert layout_of(app, "x") is None


def test_a_saved_type_is_tried_on_a_file_as_a_fragment(app: Flask, viewer: FlaskClient) -> None:
    saved(app)
    answer = attempt(viewer, of="Mast 3", said="1", sample=TEXT.encode(), htmx=True)
    assert answer.status_code == 200
    assert "<html" not in answer.text
    assert "Wind readings m/s" in words(answer.text)
    whole = attempt(viewer, of="Campbell TOA5", said="1", sample=TEXT.encode())
    assert "<h1" in whole.text
    assert "would not be imported" in words(whole.text)


def test_trying_nothing_or_with_a_field_that_is_wrong_is_told(editor: FlaskClient) -> None:
    answer = attempt(editor, name="x")
    assert answer.status_code == 422
    assert "Choose a file or paste some lines first." in answer.text
    answer = attempt(editor, name="x", timezone="nowhere", sample_text=TEXT, htmx=True)
    assert answer.status_code == 422
    assert "&#34;nowhere&#34; is not a time zone" in answer.text


def test_of_a_large_sample_only_the_first_part_is_looked_at(editor: FlaskClient) -> None:
    rows = b"".join(
        b"2026-01-%02d %02d:%02d,1.5\n" % (i // 1440 % 28 + 1, i // 60 % 24, i % 60) for i in range(200_000)
    )
    answer = attempt(editor, sample=b"time,a\n" + rows, htmx=True)
    assert answer.status_code == 200
    assert "readings" in answer.text


def test_a_large_file_that_has_to_be_read_whole_is(editor: FlaskClient) -> None:
    packed = io.BytesIO()
    rows = "".join(f"2026-01-{at // 1440 % 28 + 1:02} {at // 60 % 24:02}:{at % 60:02},{at}\n" for at in range(60_000))
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:  # stored, so that it stays large
        archive.writestr("mast.csv", "time,a\n" + rows)
    assert len(packed.getvalue()) > 1024 * 1024
    answer = attempt(editor, sample=packed.getvalue(), htmx=True)
    assert answer.status_code == 200
    assert "would not be imported" not in answer.text
    assert "date and time" in answer.text


def test_trying_needs_the_token_of_the_form(editor: FlaskClient) -> None:
    data = {"csrf_token": "forged", "sample_text": TEXT}
    assert editor.post("/file-types/try", data=data, content_type="multipart/form-data").status_code == 400
    assert editor.post("/file-types/try", data={"sample_text": TEXT}).status_code == 400


# --- in a browser


def test_a_type_is_made_changed_tried_and_deleted_in_a_browser(
    page: Page, make_account: Callable[..., Any], app: Flask, tmp_path: Path, problems: Any
) -> None:
    sample = tmp_path / "mast.csv"
    sample.write_text(TEXT)
    sign_in(page, make_account("edda", "editor"))
    page.get_by_role("link", name="File types").click()
    page.wait_for_url("**/file-types")
    check_page(page)
    page.get_by_role("link", name="New file type").click()
    page.wait_for_url("**/file-types/new")
    page.get_by_label("Name", exact=True).fill("Mast 3")
    page.get_by_label("Decimal mark").select_option("comma")
    page.get_by_label("Name of column 1", exact=True).fill("Zeit")
    page.get_by_label("What column 1 is").select_option("time")
    page.get_by_role("button", name="Add a column").click()
    page.get_by_label("Name of column 3", exact=True).fill("Wind")
    page.get_by_label("Unit of column 3").fill("m/s")
    page.get_by_label("Marks for no value in column 3").fill("-99")
    page.get_by_role("button", name="Take out column 2").click()
    check_page(page)
    page.get_by_label("or a file").set_input_files(str(sample))
    page.get_by_role("button", name="Try").click()
    page.wait_for_selector("#trial .table")
    assert "3 rows" in page.inner_text("#trial")
    check_page(page)
    assert layout_of(app, "Mast 3") is None
    page.get_by_role("button", name="Save").last.click()
    page.wait_for_url("**/file-types/Mast%203")
    expected = (GivenColumn("Zeit", "time"), GivenColumn("Wind", unit="m/s", missing=("-99",)))
    assert layout_of(app, "Mast 3") == Given(decimal=",", columns=expected)

    page.get_by_label("Time zone").fill("Nowhere")
    problems.expect_status(422)
    page.get_by_label("Time zone").press("Enter")
    page.wait_for_selector("#timezone-wrong")
    check_page(page)
    page.get_by_label("Time zone").fill("Europe/Berlin")
    page.get_by_label("Time zone").press("Enter")
    page.wait_for_selector(".alert-success")
    assert layout_of(app, "Mast 3").timezone == "Europe/Berlin"  # type: ignore[union-attr]

    with page.expect_download() as download:
        page.get_by_role("link", name="Export").click()
    exported = Path(download.value.path()).read_bytes()
    page.get_by_role("link", name="Delete").click()
    page.wait_for_url("**/delete")
    check_page(page)
    page.get_by_role("button", name="Delete it").click()
    page.wait_for_selector(".alert-success")
    assert layout_of(app, "Mast 3") is None

    page.get_by_role("link", name="import").first.click()
    page.wait_for_url("**/import")
    check_page(page)
    page.get_by_label("File", exact=True).set_input_files({"name": "x.json", "mimeType": "", "buffer": exported})
    page.get_by_role("button", name="Import").click()
    page.wait_for_selector(".alert-success")
    assert layout_of(app, "Mast 3") is not None
    page.goto("/file-types/import")
    page.get_by_label("File", exact=True).set_input_files({"name": "x.json", "mimeType": "", "buffer": exported})
    page.get_by_role("button", name="Import").click()
    page.wait_for_selector("input[name=decided]", state="attached")
    check_page(page)
    page.get_by_label("Mast 3").check()
    page.get_by_role("button", name="Import").click()
    page.wait_for_selector(".alert-success")
    assert "Replaced: Mast 3." in page.inner_text(".alert-success")


def test_a_ready_made_type_is_tried_in_a_browser(page: Page, make_account: Callable[..., Any]) -> None:
    sign_in(page, make_account("vera", "viewer"))
    page.goto("/file-types/Campbell TOA5")
    check_page(page)
    lines = '"TOA5","a","CR1000","1","2","3","4","T"\n"TIMESTAMP","RECORD","WS"\n"TS","RN","m/s"\n"","","Avg"\n'
    page.get_by_label("Some lines of it").fill(lines + '"2026-01-13 00:00:00",1,5.5\n"2026-01-13 00:10:00",2,"NAN"\n')
    page.get_by_role("button", name="Try").click()
    page.wait_for_selector("#trial .table")
    assert "2 rows" in page.inner_text("#trial")
    assert "m/s" in page.inner_text("#trial")
    check_page(page)


def test_only_the_first_part_of_a_large_file_is_sent_by_a_browser(
    page: Page, make_account: Callable[..., Any], tmp_path: Path
) -> None:
    large = tmp_path / "large.csv"
    large.write_bytes(b"time,a\n" + b"2026-01-13 00:00:00,1.5\n" * 150_000)
    sign_in(page, make_account("edda", "editor"))
    page.goto("/file-types/new")
    page.get_by_label("or a file").set_input_files(str(large))
    with page.expect_request("**/file-types/try") as sent:
        page.get_by_role("button", name="Try").click()
    assert 1024 * 1024 <= int(sent.value.all_headers()["content-length"]) < 1024 * 1024 + 20_000
    page.wait_for_selector("#trial > *")


def test_the_form_works_in_a_browser_without_javascript(
    new_page: Callable[..., Page], make_account: Callable[..., Any], app: Flask
) -> None:
    page = new_page(java_script_enabled=False)
    sign_in(page, make_account("edda", "editor"))
    page.goto("/file-types/new")
    page.get_by_label("Name", exact=True).fill("Mast 3")
    page.get_by_label("Name of column 1", exact=True).fill("Wind")
    page.get_by_role("button", name="Add a column").click()
    page.get_by_label("Name of column 4", exact=True).fill("Zeit")
    page.get_by_label("Some lines of it").fill(TEXT)
    page.get_by_role("button", name="Try").click()
    assert "3 rows" in page.inner_text("#trial")
    page.get_by_role("button", name="Save").last.click()
    assert layout_of(app, "Mast 3") == Given(columns=(GivenColumn("Wind"), GivenColumn("Zeit")))
    assert layout_form.summary(Given()) in page.content() or "is saved" in page.content()
