"""Uploads as a program makes them: POST, look, undo, fetch the file again. And `flask import`, which is the same."""

import gzip
import hashlib
import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

from daybook.config import Settings

CSV = b"Time,Speed [m/s],Note\n2026-01-01 00:00,1.5,a\n2026-01-01 00:10,NaN,b\n\n2026-01-01 00:20,x,c\nlate,2,d\n1,2\n"
GOOD = b"time,speed\n2026-01-01T00:00:00Z,1.5\n2026-01-01T00:10:00Z,2.5\n"


@pytest.fixture
def headers(make_account: Callable[..., Any], bearer: Callable[..., dict[str, str]]) -> dict[str, str]:
    return bearer(make_account("edda", "editor"))


def upload(client: FlaskClient, headers: dict[str, str], body: bytes, **query: str) -> Any:
    return client.post("/api/v1/uploads", query_string=query, data=body, headers=headers)


def readings(client: FlaskClient, headers: dict[str, str], **query: str) -> list[tuple[str, str, float]]:
    found = client.get("/api/v1/readings", query_string=query, headers=headers).get_json()["readings"]
    return [(one["sensor"], one["time"], one["value"]) for one in found]


def test_the_answer_accounts_for_every_line_and_cell(client: FlaskClient, headers: dict[str, str]) -> None:
    answer = upload(client, headers, CSV, filename="mast.csv", source="Mast 1")
    found = answer.get_json()
    assert answer.status_code == 201
    assert (found["status"], found["filename"], found["source"]) == ("done", "mast.csv", "Mast 1")
    assert (found["bytes"], found["sha256"]) == (len(CSV), hashlib.sha256(CSV).hexdigest())
    assert found["lines"] == {"total": 7, "preamble": 1, "blank": 1, "read": 3, "rejected": 2}
    assert found["readings"] == {"added": 1, "duplicates": 0, "replaced": 0, "missing": 1, "not_numeric": 1}
    assert (found["first_time"], found["last_time"]) == ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z")
    assert [(one["name"], one["unit"], one["added"]) for one in found["sensors"]] == [("Speed [m/s]", "m/s", 1)]
    assert [(one["line"], one["column"], one["value"]) for one in found["issues"]] == [
        (5, "Speed [m/s]", "x"),
        (6, "Time", "late"),
        (7, "", "1,2"),
    ]
    assert found["issues"][2]["reason"] == "has 2 cells; expected 3"
    assert found["layout"]["timezone"] == "UTC"
    assert found["skipped_columns"] == ["Note"]
    assert client.get(f"/api/v1/uploads/{found['id']}", headers=headers).get_json() == found
    assert readings(client, headers, source="Mast 1") == [("Speed [m/s]", "2026-01-01T00:00:00Z", 1.5)]


def test_the_same_file_twice_adds_nothing_the_second_time(client: FlaskClient, headers: dict[str, str]) -> None:
    upload(client, headers, GOOD, source="Mast 1")
    again = upload(client, headers, GOOD, source="Mast 1").get_json()
    assert again["readings"]["added"] == 0
    assert again["readings"]["duplicates"] == 2
    assert len(readings(client, headers, source="Mast 1")) == 2


def test_of_two_readings_at_one_time_in_a_file_the_first_stays(client: FlaskClient, headers: dict[str, str]) -> None:
    body = b"time,a,b\n2026-01-01,1,5\n2026-01-02,2,6\n2026-01-01,3,7\n"
    found = upload(client, headers, body, source="Mast 1").get_json()
    assert (found["readings"]["added"], found["readings"]["duplicates"]) == (4, 2)
    assert [value for _, _, value in readings(client, headers, source="Mast 1", sensor="a")] == [1.0, 2.0]


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_gzip_is_recognised_by_its_bytes(client: FlaskClient, headers: dict[str, str], method: str) -> None:
    packed = gzip.compress(GOOD)
    answer = client.open("/api/v1/uploads?source=m&filename=m.csv", method=method, data=packed, headers=headers)
    assert answer.get_json()["readings"]["added"] == 2
    raw = client.get(f"/api/v1/uploads/{answer.get_json()['id']}/raw", headers=headers)
    assert raw.data == packed


def test_a_form_with_a_file_is_taken_too(client: FlaskClient, headers: dict[str, str]) -> None:
    data = {"file": (BytesIO(GOOD), "from-form.csv")}
    answer = client.post("/api/v1/uploads", data=data, headers=headers, content_type="multipart/form-data")
    assert answer.get_json()["filename"] == "from-form.csv"
    assert answer.get_json()["source"] == "from-form"
    assert answer.get_json()["sha256"] == hashlib.sha256(GOOD).hexdigest()


def test_a_form_without_a_file_is_refused(client: FlaskClient, headers: dict[str, str]) -> None:
    answer = client.post("/api/v1/uploads", data={"a": "b"}, headers=headers, content_type="multipart/form-data")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, "bad_form")


def test_narrow_files_name_their_sensors_in_a_column(client: FlaskClient, headers: dict[str, str]) -> None:
    body = b"time;sensor;value;unit\n" + b"".join(
        b"2026-01-01 00:%02d;%s;%d,5;%s\n" % (minute, name, minute, unit)
        for minute in range(3)
        for name, unit in ((b"T1", b"degC"), (b"RH", b"%"))
    )
    found = upload(client, headers, body, source="room").get_json()
    assert found["readings"]["added"] == 6
    assert sorted((one["name"], one["unit"], one["added"]) for one in found["sensors"]) == [
        ("RH", "%", 3),
        ("T1", "degC", 3),
    ]
    assert readings(client, headers, source="room", sensor="T1")[1] == ("T1", "2026-01-01T00:01:00Z", 1.5)


def test_times_without_an_offset_are_read_in_the_zone_given(client: FlaskClient, headers: dict[str, str]) -> None:
    body = b"date,clock,a\n2026-07-01,12:00:00,1\n2026-01-01,12:00:00,2\n"
    found = upload(client, headers, body, source="m", timezone="Europe/Dublin").get_json()
    assert (found["layout"]["timezone"], found["layout"]["timezone_from"]) == ("Europe/Dublin", "request")
    assert [time for _, time, _ in readings(client, headers, source="m")] == [
        "2026-01-01T12:00:00Z",
        "2026-07-01T11:00:00Z",
    ]


def test_the_hour_that_comes_twice_in_autumn_is_read_twice(client: FlaskClient, headers: dict[str, str]) -> None:
    rows = ["00:30", "01:00", "01:30", "01:00", "01:30", "02:00"]
    body = b"time,a\n" + b"".join(f"2026-10-25 {clock},{row}\n".encode() for row, clock in enumerate(rows))
    found = upload(client, headers, body, source="m", timezone="Europe/Dublin").get_json()
    assert found["readings"]["added"] == 6
    assert [time[11:16] for _, time, _ in readings(client, headers, source="m")] == [
        "23:30", "00:00", "00:30", "01:00", "01:30", "02:00",
    ]  # fmt: skip


def test_days_and_months_that_cannot_be_told_apart_are_asked_for(client: FlaskClient, headers: dict[str, str]) -> None:
    body = b"time,a\n01/02/2026,1\n01/03/2026,2\n"
    refused = upload(client, headers, body, source="m").get_json()
    assert refused["error"]["code"] == "ambiguous_dates"
    assert "1 February 2026 or 2 January 2026" in refused["error"]["message"]
    taken = upload(client, headers, body, source="m", date_order="mdy").get_json()
    assert (taken["first_time"], taken["last_time"]) == ("2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z")


def test_the_first_bad_row_ends_the_import_when_that_is_asked_for(client: FlaskClient, headers: dict[str, str]) -> None:
    answer = upload(client, headers, CSV, source="m", on_bad_row="fail")
    assert answer.status_code == 422
    error = answer.get_json()["error"]
    assert error["code"] == "bad_row"
    assert 'line 6, column "Time": "late" is not a time' in error["message"]
    assert client.get("/api/v1/sources", headers=headers).get_json()["sources"] == []


def test_a_file_of_which_most_rows_are_bad_is_not_kept(client: FlaskClient, headers: dict[str, str]) -> None:
    body = GOOD + b"nonsense,1\n" * 3
    answer = upload(client, headers, body, source="m").get_json()
    assert answer["error"]["code"] == "too_many_bad_rows"
    assert "3 of 5 rows cannot be read" in answer["error"]["message"]
    assert client.get("/api/v1/sources", headers=headers).get_json()["sources"] == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty_file"),
        (b"\n \n", "empty_file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9, "not_text"),
        (b"time,speed,dir\n", "no_rows"),
        (b"x" * 10_000_000, "line_too_long"),
        (b"time,a\n2026-01-01,1\n" + b"\0" * 5000, "not_text"),
        (b"Dear reader,\nthis is a letter.\n", "no_table"),
        (gzip.compress(GOOD)[:-9], "truncated_gzip"),
    ],
    ids=["empty", "blank", "png", "headers-only", "long-line", "nul", "prose", "cut-gzip"],
)
def test_what_is_no_table_of_readings_is_refused_clearly(
    client: FlaskClient, headers: dict[str, str], body: bytes, code: str
) -> None:
    answer = upload(client, headers, body, source="m", filename="m.csv")
    assert answer.status_code == 422
    found = answer.get_json()
    assert (found["status"], found["error"]["code"]) == ("failed", code)
    assert len(found["error"]["message"]) > 20
    assert client.get("/api/v1/sources", headers=headers).get_json()["sources"] == []


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"timezone": "Europe/Atlantis"}, 400, "unknown_timezone"),
        ({"date_order": "dym"}, 400, "bad_date_order"),
        ({"on_bad_row": "stop"}, 400, "bad_on_bad_row"),
        ({"source": "x" * 201}, 400, "bad_source"),
        ({"sorce": "m"}, 400, "bad_parameter"),
        ({"file_type": "None such"}, 404, "unknown_file_type"),
    ],
)
def test_parameters_that_cannot_be_used_are_refused_before_a_byte_is_read(
    client: FlaskClient, headers: dict[str, str], query: dict[str, str], status: int, code: str
) -> None:
    answer = upload(client, headers, GOOD, **query)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (status, code)
    assert client.get("/api/v1/uploads", headers=headers).get_json()["uploads"] == []


def test_a_dry_run_says_the_same_and_keeps_nothing(client: FlaskClient, headers: dict[str, str]) -> None:
    tried = upload(client, headers, CSV, source="m", dry_run="1")
    assert tried.status_code == 200
    assert client.get("/api/v1/uploads", headers=headers).get_json()["uploads"] == []
    assert client.get("/api/v1/sources", headers=headers).get_json()["sources"] == []
    done = upload(client, headers, CSV, source="m").get_json()
    dry = tried.get_json()
    assert {key: dry[key] for key in ("lines", "readings", "layout", "issues", "first_time", "bytes")} == {
        key: done[key] for key in ("lines", "readings", "layout", "issues", "first_time", "bytes")
    }
    assert dry["sample"] == [{"sensor": "Speed [m/s]", "time": "2026-01-01T00:00:00Z", "value": 1.5}]
    assert upload(client, headers, b"", source="m", dry_run="1").status_code == 422


def test_an_upload_is_undone_once(client: FlaskClient, headers: dict[str, str]) -> None:
    first = upload(client, headers, GOOD, source="m").get_json()["id"]
    second = upload(client, headers, GOOD + b"2026-01-01T00:20:00Z,3.5\n", source="m").get_json()["id"]
    assert client.delete(f"/api/v1/uploads/{second}", headers=headers).get_json()["status"] == "undone"
    assert len(readings(client, headers, source="m")) == 2
    assert client.delete(f"/api/v1/uploads/{second}", headers=headers).status_code == 200
    assert client.delete(f"/api/v1/uploads/{first}", headers=headers).get_json()["status"] == "undone"
    assert client.get("/api/v1/sources", headers=headers).get_json()["sources"] == []


def test_a_file_that_failed_is_imported_again_with_another_answer(client: FlaskClient, headers: dict[str, str]) -> None:
    body = b"time,a\n01/02/2026,1\n01/03/2026,2\n"
    failed = upload(client, headers, body, source="m", filename="m.csv").get_json()["id"]
    again = client.post(f"/api/v1/uploads/{failed}/import?date_order=dmy&source=m", headers=headers)
    assert again.status_code == 201
    assert (again.get_json()["first_time"], again.get_json()["filename"]) == ("2026-02-01T00:00:00Z", "m.csv")
    assert again.get_json()["id"] != failed
    assert again.get_json()["replaces"] is None


@pytest.mark.parametrize("filename", [".gz", "x" * 230 + ".csv", "a\nb.csv", "..", "C:\\data\\mast.csv"])
def test_any_file_name_will_do(client: FlaskClient, headers: dict[str, str], filename: str) -> None:
    assert upload(client, headers, GOOD, filename=filename).status_code == 201


def test_a_file_of_ten_thousand_sensors_is_the_most(client: FlaskClient, headers: dict[str, str]) -> None:
    body = b"time,sensor,value\n" + b"".join(b"2026-01-01 00:00,s%d,1\n" % number for number in range(10_001))
    answer = upload(client, headers, body, source="m").get_json()
    assert answer["error"]["code"] == "too_many_sensors"
    assert client.get("/api/v1/sources", headers=headers).get_json()["sources"] == []


def test_numbers_beyond_any_upload_are_404(client: FlaskClient, headers: dict[str, str]) -> None:
    assert client.get(f"/api/v1/uploads/{10**23}", headers=headers).status_code == 404
    assert client.get(f"/api/v1/uploads?next={10**23}", headers=headers).status_code == 400


def test_a_failed_upload_cannot_be_undone(client: FlaskClient, headers: dict[str, str]) -> None:
    failed = upload(client, headers, b"", source="m").get_json()["id"]
    answer = client.delete(f"/api/v1/uploads/{failed}", headers=headers)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (409, "not_done")


def test_uploads_are_listed_newest_first_by_pages(client: FlaskClient, headers: dict[str, str]) -> None:
    for number in range(53):
        upload(client, headers, b"", filename=f"{number}.csv")
    first = client.get("/api/v1/uploads", headers=headers).get_json()
    assert [one["filename"] for one in first["uploads"][:2]] == ["52.csv", "51.csv"]
    second = client.get("/api/v1/uploads", query_string={"next": first["next"]}, headers=headers).get_json()
    assert [one["filename"] for one in second["uploads"]] == ["2.csv", "1.csv", "0.csv"]
    assert second["next"] is None


def test_an_unknown_upload_is_404(client: FlaskClient, headers: dict[str, str]) -> None:
    for path in ("/api/v1/uploads/99", "/api/v1/uploads/99/raw"):
        assert client.get(path, headers=headers).get_json()["error"]["code"] in ("not_found", "no_raw_copy")


def test_a_viewers_token_cannot_upload(
    client: FlaskClient, make_account: Callable[..., Any], bearer: Callable[..., dict[str, str]]
) -> None:
    assert upload(client, bearer(make_account("vera", "viewer")), GOOD).status_code == 403


# from the command line


def test_flask_import_prints_the_account(runner: FlaskCliRunner, tmp_path: Path) -> None:
    file = tmp_path / "mast.csv"
    file.write_bytes(CSV)
    result = runner.invoke(args=["import", str(file), "--source", "Mast 1"])
    assert result.exit_code == 0
    assert "1 readings of 1 sensor added" in result.output
    assert "7 lines = 1 above the data + 1 blank + 3 read + 2 rejected" in result.output
    assert "; read as UTC, because the file states no zone, dates year first." in result.output
    assert 'line 6, column "Time": "late" is not a time' in result.output
    assert runner.invoke(args=["check"]).output == "All is well.\n"


def test_flask_import_says_from_when_to_when_and_why(app: Flask, runner: FlaskCliRunner, tmp_path: Path) -> None:
    from daybook import file_types
    from daybook.formats.given import Given

    file = tmp_path / "mast.csv"
    file.write_bytes(b"time,temp\n13/01/2016 15:30,1.5\n14/01/2016 15:30,2.5\n")
    with app.app_context():
        file_types.save("Dublin", Given(timezone="Europe/Dublin"))
    by_type = runner.invoke(args=["import", str(file), "--file-type", "dublin"]).output
    span = (
        "2016-01-13T15:30:00Z to 2016-01-14T15:30:00Z; read as Europe/Dublin, as the file type says, dates day first."
    )
    assert span in by_type
    asked = runner.invoke(args=["import", str(file), "--file-type", "dublin", "--timezone", "Europe/London"]).output
    assert "read as Europe/London, as you chose, dates day first." in asked
    file.write_bytes(b"time,temp\n13-Jan-2016 15:30,1.5\n14-Jan-2016 15:30,2.5\n")
    assert "read as UTC, because the file states no zone.\n" in runner.invoke(args=["import", str(file)]).output


def test_flask_file_types_lists_their_names(app: Flask, runner: FlaskCliRunner) -> None:
    from daybook import file_types
    from daybook.formats.given import Given

    with app.app_context():
        file_types.save("Mast 12", Given(delimiter=";"))
    lines = runner.invoke(args=["file-types"]).output.splitlines()
    assert lines[0] == "Mast 12"
    assert "DWD CDC  (ready-made)" in lines


def test_flask_import_as_json_is_the_answer_of_the_api(
    runner: FlaskCliRunner, client: FlaskClient, headers: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "mast.csv"
    file.write_bytes(GOOD)
    found = json.loads(runner.invoke(args=["import", str(file), "--json"]).output)
    assert client.get(f"/api/v1/uploads/{found['id']}", headers=headers).get_json() == found


def test_flask_import_of_what_is_no_table_fails_with_the_reason(runner: FlaskCliRunner, tmp_path: Path) -> None:
    file = tmp_path / "empty.csv"
    file.write_bytes(b"")
    result = runner.invoke(args=["import", str(file)])
    assert result.exit_code == 1
    assert "the file is empty" in result.output


def test_flask_import_refuses_an_unknown_zone(runner: FlaskCliRunner, tmp_path: Path) -> None:
    file = tmp_path / "mast.csv"
    file.write_bytes(GOOD)
    result = runner.invoke(args=["import", str(file), "--timezone", "Mars/Olympus"])
    assert result.exit_code == 1
    assert '"Mars/Olympus" is not a time zone' in result.output


def test_flask_check_finds_a_count_that_is_wrong(app: Flask, runner: FlaskCliRunner, tmp_path: Path) -> None:
    from daybook.extensions import db

    file = tmp_path / "mast.csv"
    file.write_bytes(GOOD)
    runner.invoke(args=["import", str(file)])
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE sensor SET reading_count = 7")
    result = runner.invoke(args=["check"])
    assert result.exit_code == 1
    assert "7 readings noted, 2 stored" in result.output


def test_flask_recover_says_that_nothing_was_left(runner: FlaskCliRunner) -> None:
    assert runner.invoke(args=["recover"]).output == "Nothing was left over.\n"


def test_raw_copies_are_not_kept_when_that_is_set(
    settings: Settings, make_app: Callable[..., Flask], tmp_path: Path
) -> None:
    from dataclasses import replace

    from daybook import imports
    from daybook.extensions import db
    from daybook.upload_options import Options, Sender

    app = make_app(replace(settings, keep_uploads=False))
    with app.app_context():
        upload_id = imports.announce(db.engine, "m.csv", Options(), Sender())
        imports.import_stream(db.engine, app.config["DAYBOOK"], [GOOD], upload_id=upload_id)
    assert list((settings.instance_path / "uploads").iterdir()) == []
