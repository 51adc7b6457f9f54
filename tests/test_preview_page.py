"""The preview of a file before its upload: as a fragment, as a page without JavaScript, and in a real browser."""

import gzip
import io
import json
import re
import threading
import zipfile
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Page, expect
from werkzeug.test import TestResponse

from blueprints import previews, streamed_body
from daybook import file_types
from daybook.extensions import db
from daybook.formats.given import Given
from daybook.models import Upload
from tests.browser import check_page
from tests.conftest import csrf_token, sign_in

MAST = b"""Created by hand
Latitude = 53.3

Time;Speed;Direction;Site
;m/s;deg;
13/01/2016 15:30;8,37;114,2;mast
13/01/2016 15:40;8,25;;mast
13/01/2016 15:50;broken;117,8;mast
never;1,5;2,5;mast
13/01/2016 16:10;7,5;118,1;mast
"""
STATION = (
    b"STATIONS_ID;MESS_DATUM;QN_9;TT_TU;RF_TU;eor\n          3;2026011300;    5;   5.7;  83.0;eor\n"
    b"          3;2026011301;    5;-999.0;  84.0;eor\n"
)
DOUBTFUL = b"time,temp,door\n01/02/2026,1.5,0\n01/03/2026,2.5,1\n01/04/2026,4.5,0\n"


@pytest.fixture
def editor(client: FlaskClient, make_account: Callable[..., Any], login: Callable[..., Any]) -> FlaskClient:
    login(client, make_account("edda", "editor"))
    return client


def look(client: FlaskClient, data: bytes, name: str = "mast.csv", page: bool = False, **fields: str) -> TestResponse:
    """Asks for the preview: as the page's script does, or as a browser without one (page=True)."""
    token = csrf_token(client)
    headers = {} if page else {"HX-Request": "true", "X-CSRFToken": token}
    return post(client, fields | ({"csrf_token": token} if page else {}), (name, data), headers)


def post(
    client: FlaskClient, fields: dict[str, str], file: tuple[str, bytes] | None, headers: Any = None
) -> TestResponse:
    """Sends the form as browsers do (RFC 7578); the test client's own forms are wrong where a value is empty."""
    heads = [f'name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
    heads += [f'name="files"; filename="{file[0]}"\r\n\r\n'.encode() + file[1]] if file else []
    body = b"".join(b"--Edge\r\nContent-Disposition: form-data; " + head + b"\r\n" for head in heads) + b"--Edge--\r\n"
    kind = "multipart/form-data; boundary=Edge"
    return client.post("/uploads/preview", data=body, headers=headers, content_type=kind)


def words(answer: TestResponse) -> str:
    """The text of a page, without its tags."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", answer.text))).replace(" .", ".")


class Fields(HTMLParser):
    """The fields of a page as a browser would send them back: name and value."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._select = self._area = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        name = "" if "form" in attributes else attributes.get("name", "")
        if tag == "select":
            self._select = name
            self.found[name] = ""
        elif tag == "option" and "selected" in attributes and self._select:
            self.found[self._select] = attributes["value"]
        elif tag == "textarea":
            self._area = name
            self.found[name] = ""
        elif tag == "input" and name and (attributes.get("type") != "radio" or "checked" in attributes):
            self.found[name] = attributes.get("value", "")

    def handle_data(self, data: str) -> None:
        if self._area:
            self.found[self._area] += data.removeprefix("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._area = ""


def fields_of(answer: TestResponse) -> dict[str, str]:
    """The fields of a preview with nothing changed."""
    found = Fields(answer.text).found
    return {name: value for name, value in found.items() if name not in ("", "csrf_token", "files")}


def value_of(answer: TestResponse, name: str) -> str:
    return fields_of(answer)[name]


def is_ready(answer: TestResponse) -> bool:
    return 'data-ready="yes"' in answer.text


# --- what it shows


def test_a_file_is_looked_at_in_a_place_among_few(editor: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    places = threading.BoundedSemaphore(1)
    monkeypatch.setattr(streamed_body, "_PREVIEWS", places)
    monkeypatch.setattr(streamed_body, "_PREVIEW_PATIENCE", 0.0)
    made = previews.preview
    taken: list[bool] = []

    def spy(*args: Any, **options: Any) -> Any:
        taken.append(not places.acquire(blocking=False))
        return made(*args, **options)

    monkeypatch.setattr(previews, "preview", spy)
    assert look(editor, MAST).status_code == 200
    assert taken
    assert all(taken)
    assert places.acquire(blocking=False)  # given back
    assert look(editor, MAST).status_code == 503


@pytest.mark.parametrize(
    "fields",
    [
        {"size": "9" * 5000},
        {
            "looked": "1",
            "asked": '[{"code": "x", "text": "t", "choices": [["a", {}]], "answer": null}]',
            "answer-0": "9" * 5000,
        },
        {"layout": '{"columns": [{"name": "a\\ud800"}]}'},
        {"layout": '{"there_is_no_such\\ud800": 1}'},
    ],
)
def test_fields_that_no_browser_sends_are_no_mistake_of_ours(editor: FlaskClient, fields: dict[str, str]) -> None:
    assert look(editor, MAST, **fields).status_code == 200


def test_others_can_write_while_a_preview_is_made(
    app: Flask, editor: FlaskClient, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A workbook takes seconds, in which an import into SQLite must not wait."""
    with app.app_context():
        file_types.save("Mine", Given(delimiter=";"))
    looked_at: list[int] = []
    made = previews.preview

    def spy(*args: Any, **options: Any) -> Any:
        assert not db.session().in_transaction()
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE file_type SET name = 'Mine'")
        looked_at.append(1)
        return made(*args, **options)

    monkeypatch.setattr(previews, "preview", spy)
    assert look(editor, MAST, file_type="Mine").status_code == 200
    assert looked_at


def test_a_preview_says_in_one_sentence_what_the_file_holds(editor: FlaskClient) -> None:
    answer = look(editor, MAST)
    assert answer.status_code == 200
    assert is_ready(answer)
    text = words(answer)
    assert "What Daybook reads in mast.csv" in text
    assert "Wide table, 2 sensors, 4 rows, 1 rejected, 13 January 2016 15:30 to 13 January 2016 16:10" in text
    assert "(UTC, because the file states no zone)." in text


def test_the_first_lines_stand_with_number_and_mark(editor: FlaskClient) -> None:
    answer = look(editor, MAST)
    rows = re.findall(r'class="file-line line-of-(\w+)"><th[^>]*>(\d+)</th><td[^>]*>([^<]*)</td>', answer.text)
    assert rows[0] == ("preamble", "1", "above")
    assert rows[2] == ("blank", "3", "blank")
    assert rows[3:6] == [("header", "4", "names"), ("units", "5", "units"), ("data", "6", "data")]
    assert ("rejected", "9", "rejected") in rows
    assert "Line 9, Time: never is not a time" in words(answer) or "Line 9: never" in words(answer)


def test_each_column_has_its_role_unit_and_first_values(editor: FlaskClient) -> None:
    answer = look(editor, MAST)
    text = words(answer)
    assert "date and time (found)" in text
    assert re.search(r'name="column-1-unit" value="m/s"', answer.text)
    assert "8,37 8,25 broken 1,5 7,5" in text
    assert "Speed 2016-01-13 15:30 8.37" in text
    assert "Found: a decimal" not in text
    assert "Found: a comma: 1,5" in text
    assert 'placeholder="Found: line 4"' in answer.text


def test_only_part_of_a_large_file_is_said_to_be_part(editor: FlaskClient) -> None:
    whole = look(editor, MAST, size=str(len(MAST)))
    assert "4 rows, 1 rejected, 13" in words(whole)
    part = look(editor, MAST, size="50000000")
    assert "4 rows in this part, 1 rejected, 13" in words(part)
    cut = gzip.compress(b"time,temp\n" + b"".join(b"2026-01-01 00:00:%02d,1\n" % (row % 60) for row in range(90_000)))
    assert "rows in this part" in words(look(editor, cut, "mast.csv.gz"))


def test_times_are_shown_in_the_zone_that_is_chosen(editor: FlaskClient) -> None:
    data = b"time,temp\n2026-07-01T12:00:00Z,1.5\n2026-07-01T13:00:00Z,2.5\n"
    assert "every time states its offset" in words(look(editor, data))
    local = words(look(editor, data.replace(b"Z", b""), timezone="europe/dublin"))
    assert "1 July 2026 12:00 to 1 July 2026 13:00 (Europe/Dublin, as you chose)" in local
    assert "Time (Europe/Dublin)" in local


def test_nothing_of_a_preview_is_stored(app: Flask, editor: FlaskClient) -> None:
    look(editor, MAST)
    with app.app_context():
        assert db.session.scalar(sa.select(sa.func.count()).select_from(Upload)) == 0
    assert not list(app.config["DAYBOOK"].instance_path.rglob("*.zst"))
    assert "Mast" not in editor.get("/sensors").text


def test_many_columns_stay_usable(editor: FlaskClient) -> None:
    names = [f"s{number}" for number in range(700)]
    rows = "".join(f"2026-01-01 00:{row:02}," + ",".join("1.5" for _ in names) + "\n" for row in range(5))
    text = words(look(editor, f"time,{','.join(names)}\n{rows}".encode()))
    assert "Wide table, 700 sensors" in text
    assert "488 more columns" in text
    assert "201 further columns are not shown" in text


def test_a_file_that_is_no_table_is_told_with_its_first_lines(editor: FlaskClient) -> None:
    answer = look(editor, b"Dear reader,\nthis is prose & nothing else.\n", "letter.txt")
    assert answer.status_code == 200
    assert not is_ready(answer)
    text = words(answer)
    assert "No table of readings" in text
    assert "this is prose & nothing else." in text
    assert "an import would be refused" in answer.text


def test_an_archive_is_looked_into(editor: FlaskClient) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside.csv", MAST)
    assert "“inside.csv” in the archive: wide table, 2 sensors" in words(look(editor, file.getvalue(), "mast.zip"))


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"\0\1\2", b"PK\x03\x04 broken", b"\x1f\x8b broken", b"PAR1", b"{", b"\xff\xfe"]
)
def test_any_bytes_get_a_preview_or_a_reason(editor: FlaskClient, data: bytes) -> None:
    answer = look(editor, data, "odd.bin")
    assert answer.status_code == 200, answer.text
    assert "data-reason=" in answer.text
    assert not is_ready(answer)


# --- choices


def test_a_doubt_is_a_question_and_its_answer_is_kept(editor: FlaskClient) -> None:
    answer = look(editor, DOUBTFUL)
    assert not is_ready(answer)
    assert "may be 1 February 2026 or 2 January 2026" in words(answer) or "2 January 2026" in words(answer)
    labels = re.findall(r'for="(answer-0-\d)">([^<]+)<', answer.text)
    february = next(key for key, label in labels if label == "1 February 2026")
    again = look(editor, DOUBTFUL, **fields_of(answer) | {"answer-0": february[-1]})
    assert is_ready(again)
    assert "1 February 2026 00:00 to 1 April 2026 00:00" in words(again)
    assert fields_of(again)["date_order"] == "dmy"
    assert "checked" in re.search(rf'<input[^>]*id="{february}"[^>]*>', again.text)[0]  # type: ignore[index]
    changed = look(editor, DOUBTFUL, **fields_of(again) | {"date_order": "mdy"})
    assert "2 January 2026 00:00 to 4 January 2026 00:00" in words(changed)


def test_a_changed_role_and_unit_become_choices_and_nothing_else(editor: FlaskClient) -> None:
    fields = fields_of(look(editor, MAST))
    assert json.loads(fields["layout"]) == {}
    answer = look(editor, MAST, **fields | {"column-1-role": "text", "column-2-unit": "°"})
    assert "Wide table, 1 sensor, 4 rows" in words(answer)
    columns = [{"name": "Speed", "role": "text"}, {"name": "Direction", "unit": "°"}]
    assert json.loads(value_of(answer, "layout")) == {"columns": columns}
    assert "Start over" in answer.text
    back = look(editor, MAST, **fields_of(answer) | {"column-1-role": ""})
    assert "Wide table, 2 sensors" in words(back)


def test_a_column_gets_the_name_that_its_sensor_has_in_the_book(app: Flask, editor: FlaskClient) -> None:
    answer = look(editor, MAST)
    assert re.search(r'name="column-1-sensor" value="" placeholder="Speed"', answer.text)
    assert 'name="column-0-sensor"' not in answer.text
    named = look(editor, MAST, **fields_of(answer) | {"column-1-sensor": " Wind at 80 m "})
    assert json.loads(value_of(named, "layout")) == {"columns": [{"name": "Speed", "sensor": "Wind at 80 m"}]}
    assert "Wind at 80 m 2016-01-13 15:30 8.37" in words(named)
    assert value_of(named, "column-1-sensor") == "Wind at 80 m"
    kept = look(editor, MAST, **fields_of(named))
    assert value_of(kept, "layout") == value_of(named, "layout")
    with app.app_context():
        file_types.save("Named", Given.from_json({"columns": [{"name": "Speed", "sensor": "Wind"}]}))
    typed = look(editor, MAST, looked="1", file_type="Named")
    assert value_of(typed, "column-1-sensor") == "Wind"
    own = look(editor, MAST, **fields_of(typed) | {"column-1-sensor": ""})
    assert "Speed 2016-01-13 15:30 8.37" in words(own)
    assert value_of(own, "column-1-sensor") == ""


def test_two_columns_cannot_have_one_name(editor: FlaskClient) -> None:
    answer = look(editor, MAST, **fields_of(look(editor, MAST)) | {"column-1-sensor": "A", "column-2-sensor": "A"})
    assert not is_ready(answer)
    assert "Two columns are both to be the sensor" in words(answer)


def test_a_table_with_a_row_a_day_asks_for_one_name_and_one_unit(editor: FlaskClient) -> None:
    hours = ",".join(f"{hour:02}:00" for hour in range(24))
    rows = "".join(f"2026-01-{day:02}" + ",1.5" * 24 + "\n" for day in range(1, 5))
    data = f"date,{hours}\n{rows}".encode()
    answer = look(editor, data, **fields_of(look(editor, data)) | {"answer-0": "0"})
    assert "Table with a row a day" in words(answer)
    assert answer.text.index('name="sensor"') < answer.text.index('id="lines-title"')
    assert 'name="column-1-unit"' not in answer.text
    named = look(editor, data, **fields_of(answer) | {"sensor": "energy", "unit": "kWh"})
    assert json.loads(value_of(named, "layout")) == {"shape": "pivot", "sensor": "energy", "unit": "kWh"}
    assert "energy 2026-01-01 00:00 1.5" in words(named)


def test_bytes_that_are_no_text_are_not_shown(editor: FlaskClient) -> None:
    answer = look(editor, b"%PDF-1.4\n" + bytes(range(256)) * 8, "report.pdf")
    assert not is_ready(answer)
    assert "lines-title" not in answer.text
    assert "Change how it is read" not in answer.text


def test_a_wrong_zone_opens_no_section(editor: FlaskClient) -> None:
    answer = look(editor, MAST, looked="1", timezone="Atlantis")
    assert re.search(r'id="settings-details">', answer.text)


def test_names_of_months_leave_no_order_to_tell(editor: FlaskClient) -> None:
    data = b"time,temp\n13-Jan-2016 15:30,1.5\n14-Jan-2016 15:30,2.5\n15-Jan-2016 15:30,2.5\n"
    assert "Found: Year first" not in words(look(editor, data))
    assert "Found: Day first" not in words(look(editor, data))
    assert "Found: Day first" in words(look(editor, MAST))


def test_a_setting_is_followed_and_can_be_found_out_again(editor: FlaskClient) -> None:
    answer = look(editor, MAST, **fields_of(look(editor, MAST)) | {"decimal": "point"})
    assert json.loads(value_of(answer, "layout")) == {"decimal": "."}
    answer = look(editor, MAST, **fields_of(answer) | {"decimal": ""})
    assert json.loads(value_of(answer, "layout")) == {}


def test_what_cannot_be_used_is_said_beside_its_field(editor: FlaskClient) -> None:
    fields = fields_of(look(editor, MAST))
    answer = look(editor, MAST, **fields | {"header_line": "four", "timezone": "Atlantis", "decimal": "comma"})
    assert re.search(r'id="header_line-wrong"><p>Write one line number', answer.text)
    assert re.search(r'id="timezone-wrong"><p>&#34;Atlantis&#34; is not a time zone', answer.text)
    assert re.search(r'name="header_line" value="four"', answer.text)
    assert "Wide table, 2 sensors" in words(answer)
    assert not is_ready(answer)
    assert json.loads(value_of(answer, "layout")) == {"decimal": ","}


def test_damaged_choices_are_told(editor: FlaskClient) -> None:
    answer = look(editor, MAST, looked="1", layout="{broken", asked="[1")
    assert "The choices on this page were damaged. Start over." in words(answer)


# --- file types


def save_type(client: FlaskClient, shown: TestResponse, name: str, page: bool = False) -> TestResponse:
    headers = {} if page else {"HX-Request": "true"}
    return client.post("/uploads/preview/file-type", data={"name": name, "layout": type_layout(shown)}, headers=headers)


def type_layout(shown: TestResponse) -> str:
    found = re.search(r'name="layout" value="([^"]*)" form="save-form"', shown.text)
    assert found
    return unescape(found[1])


def test_what_is_shown_can_be_kept_as_a_file_type_that_the_next_file_is_read_by(
    app: Flask, editor: FlaskClient
) -> None:
    fields = fields_of(look(editor, MAST))
    chosen = look(editor, MAST, **fields | {"column-1-role": "text", "timezone": "Europe/Dublin"})
    answer = save_type(editor, chosen, " Mast 12 ")
    assert answer.status_code == 200
    assert 'data-saved="Mast 12"' in answer.text
    with app.app_context():
        found = file_types.find_type("Mast 12")
    assert found
    given = found.given
    assert given.timezone == "Europe/Dublin"
    assert {column.name: column.role for column in given.columns}["Speed"] == "text"
    following = look(editor, MAST.replace(b"13/01", b"14/01"), "next.csv")
    text = words(following)
    assert "This looks like “Mast 12”, saved here, and is read by it." in text
    assert "Wide table, 1 sensor, 4 rows, 1 rejected, 14 January 2016" in text
    assert "(Europe/Dublin, as the file type says)" in text
    assert fields_of(following)["file_type"] == "Mast 12"
    assert value_of(following, "by_itself") == "Mast 12"
    found_out = look(editor, MAST, **fields_of(following) | {"file_type": ""})
    assert "Wide table, 2 sensors" in words(found_out)


def test_a_type_that_fits_but_cannot_read_the_file_is_offered_and_not_used(app: Flask, editor: FlaskClient) -> None:
    columns = [{"name": name} for name in ("Time", "Speed", "Direction", "Site")]
    with app.app_context():
        file_types.save("Broken", Given.from_json({"columns": columns, "time_formats": ["%Y-%m-%d"]}))
    answer = look(editor, MAST)
    assert is_ready(answer)
    assert fields_of(answer)["file_type"] == ""
    assert "This looks like “Broken”, saved here." in words(answer)


def test_a_ready_made_type_that_fits_is_chosen_at_the_first_look(editor: FlaskClient) -> None:
    answer = look(editor, STATION, "produkt_tu_stunde.txt")
    text = words(answer)
    assert "This looks like “DWD CDC”, ready-made, and is read by it. Station files of the German weather" in text
    assert fields_of(answer)["file_type"] == value_of(answer, "by_itself") == "DWD CDC"
    assert is_ready(answer)
    assert "13 January 2026 00:00 to 13 January 2026 01:00 (UTC, as the file type says)" in text
    found_out = look(editor, STATION, **fields_of(answer) | {"file_type": ""})
    assert fields_of(found_out)["file_type"] == ""
    assert "This looks like “DWD CDC”, ready-made." in words(found_out)
    chosen = words(look(editor, MAST, file_type="DWD CDC"))
    assert "Station files of the German weather service" in chosen
    assert "This looks like" not in chosen


def test_a_saved_type_goes_before_a_ready_made_one(app: Flask, editor: FlaskClient) -> None:
    with app.app_context():
        file_types.save("Ours", Given.from_json({"signs": ["STATIONS_ID"], "timezone": "Europe/Berlin"}))
    assert fields_of(look(editor, STATION))["file_type"] == "Ours"


def test_choices_go_over_the_file_type(app: Flask, editor: FlaskClient) -> None:
    with app.app_context():
        file_types.save("Dublin", Given.from_json({"timezone": "Europe/Dublin", "decimal": ","}))
    answer = look(editor, MAST, file_type="Dublin")
    assert "(Europe/Dublin, as the file type says)" in words(answer)
    assert "File type: a comma: 1,5" in words(answer)
    answer = look(editor, MAST, **fields_of(answer) | {"timezone": "Europe/Paris"})
    assert "(Europe/Paris, as you chose)" in words(answer)


def test_a_file_type_that_is_gone_is_told(editor: FlaskClient) -> None:
    answer = look(editor, MAST, looked="1", file_type="Gone")
    assert "There is no file type “Gone” any more" in words(answer)
    assert not is_ready(answer)


@pytest.mark.parametrize("name", ["", "a/b", "Mast 12", "mast 12", "x" * 65])
def test_a_name_that_cannot_be_is_told_beside_it(app: Flask, editor: FlaskClient, name: str) -> None:
    with app.app_context():
        file_types.save("Mast 12", Given())
    answer = save_type(editor, look(editor, MAST, looked="1"), name)
    assert answer.status_code == 422
    assert 'id="type-name-wrong"' in answer.text
    assert json.loads(type_layout(answer))["delimiter"] == ";"


@pytest.mark.parametrize("layout", ["", "{}", "{", '{"king": 1}'])
def test_there_must_be_something_to_save(editor: FlaskClient, layout: str) -> None:
    data = {"name": "Mast 12", "layout": layout}
    assert editor.post("/uploads/preview/file-type", data=data, headers={"HX-Request": "1"}).status_code == 422


# --- the request


def test_a_forged_or_missing_token_is_refused_before_a_file_is_read(editor: FlaskClient) -> None:
    for headers in ({}, {"X-CSRFToken": "forged"}):
        answer = post(editor, {"csrf_token": "forged"}, ("mast.csv", MAST), headers)
        assert answer.status_code == 400
        assert "open too long" in answer.text


def test_a_viewer_sees_no_preview(
    client: FlaskClient, make_account: Callable[..., Any], login: Callable[..., Any]
) -> None:
    login(client, make_account("vera", "viewer"))
    assert look(client, MAST).status_code == 403
    assert client.post("/uploads/preview/file-type", data={"name": "x"}).status_code == 403


def test_a_body_above_the_limit_is_refused_with_a_sentence(
    editor: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previews, "BODY_BYTES", 100_000)
    answer = look(editor, b"PK\x03\x04" + bytes(200_000), "large.xlsx")
    assert answer.status_code == 413
    assert "A preview takes at most 32 MB" in answer.text


def test_without_a_file_there_is_nothing_to_look_at(editor: FlaskClient) -> None:
    answer = post(editor, {"csrf_token": csrf_token(editor)}, None)
    assert answer.status_code == 400
    assert "Choose a file first" in answer.text


def test_of_text_only_the_first_part_is_kept(editor: FlaskClient) -> None:
    rows = b"".join(b"2026-01-01 00:00:%02d,%d\n" % (number % 60, number) for number in range(150_000))
    text = words(look(editor, b"time,counter\n" + rows, "large.csv"))
    assert "rows in this part" in text


# --- without JavaScript


def test_without_javascript_the_preview_is_a_page_that_keeps_the_choices(editor: FlaskClient) -> None:
    answer = look(editor, DOUBTFUL, page=True, source="Shed", timezone="Europe/Dublin")
    assert "<html" in answer.text
    assert "Choose the file again" in words(answer)
    fields = fields_of(answer)
    assert (fields["source"], fields["timezone"]) == ("Shed", "Europe/Dublin")
    # The fields stand before the file, or an upload of this form would not know them.
    assert answer.text.index('name="looked"') < answer.text.index('type="file"')
    fields |= {"answer-0": "0", "column-2-role": "text"}
    again = look(editor, DOUBTFUL, page=True, **fields)
    assert "Wide table, 1 sensor, 3 rows" in words(again)
    assert fields_of(again)["source"] == "Shed"


def test_without_javascript_a_file_type_is_saved_and_chosen(editor: FlaskClient) -> None:
    shown = look(editor, MAST, page=True)
    answer = save_type(editor, shown, "Mast 12", page=True)
    assert (answer.status_code, answer.location) == (303, "/uploads?file_type=Mast+12")
    page = editor.get(answer.location)
    assert re.search(r'value="Mast 12" ?selected', page.text)
    assert "The file type “Mast 12” is saved" in page.text
    refused = save_type(editor, shown, "Mast 12", page=True)
    assert refused.status_code == 422
    assert "<html" in refused.text
    assert 'id="type-name-wrong"' in refused.text


# --- in a browser


@pytest.fixture
def uploads(page: Page, make_account: Callable[..., Any]) -> Page:
    """The upload page, as an editor sees it."""
    sign_in(page, make_account("edda", "editor"))
    page.goto("/uploads")
    return page


def choose(page: Page, folder: Path, *files: tuple[str, bytes]) -> None:
    """Chooses these files and waits for the preview."""
    for name, data in files:
        (folder / name).write_bytes(data)
    page.set_input_files("#files", [str(folder / name) for name, _ in files])
    page.wait_for_selector("#preview section")


def announced(page: Page) -> dict[str, str]:
    """Presses Upload, and what the browser said of the file."""
    with page.expect_request("**/uploads/announce") as request:
        page.click("#upload-button")
    return {name: values[0] for name, values in parse_qs(request.value.post_data or "").items()}


def test_a_doubt_is_answered_in_the_browser_and_the_readings_are_right(uploads: Page, tmp_path: Path) -> None:
    choose(uploads, tmp_path, ("shed.csv", DOUBTFUL))
    expect(uploads.locator("#upload-button")).to_be_disabled()
    expect(uploads.locator("#upload-reason")).to_contain_text("Answer the question")
    check_page(uploads)
    uploads.get_by_label("1 February 2026").focus()
    uploads.keyboard.press("Space")
    expect(uploads.locator(".preview-summary")).to_contain_text("1 February 2026 00:00 to 1 April 2026 00:00")
    expect(uploads.get_by_label("1 February 2026")).to_be_focused()
    expect(uploads.get_by_label("1 February 2026")).to_be_checked()
    expect(uploads.locator("#upload-news")).to_contain_text("Wide table, 2 sensors")
    expect(uploads.locator("#upload-reason")).to_be_empty()
    check_page(uploads)
    assert announced(uploads)["date_order"] == "dmy"
    uploads.wait_for_selector("[data-status=done]")
    expect(uploads.locator(".upload-result")).to_contain_text("2026-02-01 00:00 UTC to 2026-04-01 00:00 UTC")
    expect(uploads.locator("#preview")).to_be_empty()
    expect(uploads.locator("#before-preview")).to_be_visible()
    readings = uploads.request.get("/uploads/1").text()
    assert "temp" in readings


def test_a_changed_role_goes_along_with_the_upload(uploads: Page, tmp_path: Path) -> None:
    choose(uploads, tmp_path, ("mast.csv", MAST))
    uploads.select_option("#column-2-role", "text")
    expect(uploads.locator(".preview-summary")).to_contain_text("1 sensor")
    uploads.fill("#column-1-unit", "ft/s")  # and pressed at once: the choice that is not looked at yet counts too
    said = announced(uploads)
    columns = [{"name": "Direction", "role": "text"}, {"name": "Speed", "unit": "ft/s"}]
    assert json.loads(said["layout"]) == {"columns": columns}
    assert not [name for name in said if name.startswith(("column-", "looked", "asked", "answer"))]
    uploads.wait_for_selector("[data-status=done]")


def test_an_upload_is_read_as_its_preview_showed(uploads: Page, tmp_path: Path) -> None:
    choose(uploads, tmp_path, ("mast.csv", MAST))
    uploads.select_option("#column-2-role", "text")
    expect(uploads.locator(".preview-summary")).to_contain_text("1 sensor")
    announced(uploads)
    uploads.wait_for_selector("[data-status=done]")
    expect(uploads.locator(".upload-result")).to_contain_text("of 1 sensor")


def test_a_type_that_nobody_chose_goes_for_the_file_that_looks_like_it(
    app: Flask, uploads: Page, tmp_path: Path
) -> None:
    with app.app_context():
        file_types.save("Mast", Given.from_json({"columns": [{"name": "Speed", "role": "value"}], "delimiter": ";"}))
    other = b"time,temp\n2026-01-13,1.5\n2026-01-14,2.5\n"
    choose(uploads, tmp_path, ("mast.csv", MAST), ("shed.csv", other))
    expect(uploads.locator("#file_type")).to_have_value("Mast")
    announced(uploads)
    expect(uploads.locator("[data-status=done]")).to_have_count(2)
    with app.app_context():
        chosen = {upload.filename: upload.options["file_type"] for upload in db.session.scalars(sa.select(Upload))}
    assert chosen == {"mast.csv": "Mast", "shed.csv": ""}


def test_typing_looks_again_and_leaves_focus_and_text_alone(uploads: Page, tmp_path: Path) -> None:
    choose(uploads, tmp_path, ("mast.csv", MAST))
    uploads.click("#settings-details summary")
    uploads.locator("#timezone").press_sequentially("Europe/Dublin", delay=60)
    expect(uploads.locator(".preview-summary")).to_contain_text("(Europe/Dublin, as you chose)")
    expect(uploads.locator("#timezone")).to_be_focused()
    expect(uploads.locator("#timezone")).to_have_value("Europe/Dublin")
    expect(uploads.locator("#settings-details")).to_have_attribute("open", "")
    check_page(uploads)
    uploads.fill("#header_line", "four")
    uploads.press("#header_line", "Enter")  # looks again; does not upload
    expect(uploads.locator("#upload-button")).to_be_disabled()
    assert uploads.locator(".upload-card").count() == 0
    uploads.click("#start-over")
    expect(uploads.locator(".preview-summary")).to_contain_text("because the file states no zone")
    expect(uploads.locator("#upload-button")).to_be_enabled()
    expect(uploads.locator("#timezone")).to_have_value("")


def test_a_saved_type_is_offered_for_the_next_file(uploads: Page, tmp_path: Path) -> None:
    choose(uploads, tmp_path, ("mast.csv", MAST))
    uploads.select_option("#column-2-role", "text")
    expect(uploads.locator(".preview-summary")).to_contain_text("1 sensor")
    uploads.click("#save-details summary")
    uploads.fill("#type-name", "Mast 12")
    uploads.press("#type-name", "Enter")
    expect(uploads.locator("#preview-state")).to_contain_text("Saved as “Mast 12”")
    expect(uploads.locator("#file_type")).to_have_value("Mast 12")
    expect(uploads.locator(".preview-summary")).to_contain_text("1 sensor")
    uploads.goto("/uploads")
    choose(uploads, tmp_path, ("february.csv", MAST.replace(b"/01/", b"/02/")))
    expect(uploads.locator("#file_type")).to_have_value("Mast 12")
    expect(uploads.locator("#file_type-hint")).to_contain_text("This looks like “Mast 12”")
    expect(uploads.locator(".preview-summary")).to_contain_text("1 sensor")
    assert announced(uploads)["file_type"] == "Mast 12"


def test_of_several_files_each_can_be_looked_at(uploads: Page, tmp_path: Path) -> None:
    choose(uploads, tmp_path, ("mast.csv", MAST), ("shed.csv", DOUBTFUL))
    expect(uploads.locator("#preview-title")).to_have_text("What Daybook reads in mast.csv")
    expect(uploads.locator("#preview-files-note")).to_contain_text("for all 2 files")
    uploads.select_option("#preview-file", "1")
    expect(uploads.locator("#preview-title")).to_have_text("What Daybook reads in shed.csv")
    expect(uploads.locator("#preview-file option").nth(0)).to_have_text("mast.csv")
    expect(uploads.locator("#preview-file option").nth(1)).to_have_text("shed.csv – needs a look")
    check_page(uploads)
    uploads.get_by_label("1 February 2026").check()
    expect(uploads.locator("#preview-file option").nth(1)).to_have_text("shed.csv")


def test_each_of_several_files_is_read_by_the_type_that_it_looks_like(uploads: Page, tmp_path: Path) -> None:
    said: dict[str, str] = {}

    def note(request: Any) -> None:
        if request.url.endswith("/announce"):
            fields = {name: values[0] for name, values in parse_qs(request.post_data or "").items()}
            said[fields["filename"]] = fields.get("file_type", "")

    uploads.on("request", note)
    choose(uploads, tmp_path, ("one.txt", STATION), ("two.txt", STATION), ("mast.csv", MAST))
    expect(uploads.locator("#file_type")).to_have_value("DWD CDC")
    uploads.click("#upload-button")
    expect(uploads.locator("[data-status=done]")).to_have_count(3)
    assert said == {"one.txt": "DWD CDC", "two.txt": "DWD CDC", "mast.csv": ""}


def test_on_a_phone_the_question_comes_into_view(
    new_page: Callable[..., Page], make_account: Callable[..., Any], tmp_path: Path
) -> None:
    page = new_page(width=375)
    sign_in(page, make_account("edda", "editor"))
    page.goto("/uploads")
    choose(page, tmp_path, ("shed.csv", DOUBTFUL))
    expect(page.locator(".preview-question")).to_be_in_viewport()
    reason = page.locator("#upload-reason")
    expect(reason).to_contain_text("without an answer the import would be refused")
    height, line = reason.evaluate("one => [one.clientHeight, parseFloat(getComputedStyle(one).lineHeight)]")
    assert height < 1.5 * line


def test_a_workbook_too_large_for_a_preview_can_be_uploaded(uploads: Page, tmp_path: Path) -> None:
    (tmp_path / "large.xlsx").write_bytes(b"PK\x03\x04" + bytes(33 * 1024 * 1024))
    uploads.set_input_files("#files", str(tmp_path / "large.xlsx"))
    expect(uploads.locator("#preview-state")).to_contain_text("no preview of a workbook, Parquet file or archive above")
    expect(uploads.locator("#upload-button")).to_be_enabled()


def test_a_preview_that_fails_leaves_the_upload_possible(uploads: Page, problems: Any, tmp_path: Path) -> None:
    problems.expect_status(503)
    uploads.route("**/uploads/preview", lambda route: route.fulfill(status=503, body='<div class="alert">Busy.</div>'))
    (tmp_path / "mast.csv").write_bytes(MAST)
    uploads.set_input_files("#files", str(tmp_path / "mast.csv"))
    expect(uploads.locator("#preview-state")).to_have_text("No preview of mast.csv: Busy.")
    uploads.click("#upload-button")
    uploads.wait_for_selector("[data-status=done]")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_preview_is_accessible_and_fits_a_phone(
    new_page: Callable[..., Page], make_account: Callable[..., Any], tmp_path: Path, scheme: str
) -> None:
    page = new_page(width=375, color_scheme=scheme)
    sign_in(page, make_account("edda", "editor"))
    page.goto("/uploads")
    names = ",".join(f"a_rather_long_name_of_sensor_{number}" for number in range(40))
    rows = "".join(f"2026-01-{day:02}T00:00:00Z" + ",1.25" * 40 + "\n" for day in range(1, 20))
    choose(page, tmp_path, ("wide.csv", f"time,{names}\n{rows}never{',1' * 40}\n".encode()))
    for summary in page.locator("#preview summary").all():
        summary.click()
    check_page(page)


def test_a_browser_without_javascript_looks_and_uploads(
    new_page: Callable[..., Page], make_account: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "shed.csv").write_bytes(DOUBTFUL)
    page = new_page(java_script_enabled=False)
    sign_in(page, make_account("edda", "editor"))
    page.goto("/uploads")
    page.fill("#source", "Shed")
    page.set_input_files("#files", str(tmp_path / "shed.csv"))
    page.click("#look-button")
    assert "Answer the question" in page.inner_text("#upload-reason")
    page.get_by_label("1 February 2026").check()
    page.set_input_files("#files", str(tmp_path / "shed.csv"))
    page.click("#upload-button")
    assert "2026-02-01 00:00 UTC to 2026-04-01 00:00 UTC" in page.inner_text("article")
