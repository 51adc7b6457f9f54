"""The kept file of an upload that is done, imported once more: the old readings count until the new ones do."""

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.engine import Engine

from daybook import file_types, imports, raw_copies, removal, sql
from daybook.admin import deleting
from daybook.admin.described import Work
from daybook.admin.tables import BY_SLUG
from daybook.config import Settings
from daybook.formats.given import Given
from daybook.models import Replacement, Sensor, Source, Upload
from daybook.upload_options import Options, Sender
from tests.browser import check_page
from tests.conftest import sign_in
from tests.wire import check_counts, readings, uploads, wide_csv

CSV = b"time,wind,rain\n2026-01-01 00:00,1.5,0\n2026-01-01 01:00,2.5,1\n2026-01-01 02:00,3.5,2\n"


@pytest.fixture
def headers(make_account: Callable[..., Any], bearer: Callable[..., dict[str, str]]) -> dict[str, str]:
    return bearer(make_account("edda", "editor"))


@pytest.fixture
def editor(client: FlaskClient, make_account: Callable[..., Any], login: Callable[..., Any]) -> FlaskClient:
    login(client, make_account("eddy", "editor"))
    return client


def upload(client: FlaskClient, headers: dict[str, str], body: bytes, **query: str) -> Any:
    return client.post("/api/v1/uploads", query_string=query, data=body, headers=headers).get_json()


def again(client: FlaskClient, headers: dict[str, str], upload_id: int, **query: str) -> Any:
    return client.post(f"/api/v1/uploads/{upload_id}/import", query_string=query, headers=headers)


def in_the_book(client: FlaskClient, headers: dict[str, str]) -> list[tuple[str, str, str, float]]:
    found = client.get("/api/v1/readings", headers=headers).get_json()["readings"]
    return [(one["source"], one["sensor"], one["time"], one["value"]) for one in found]


def left_over(engine: Engine) -> int:
    with engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(Replacement)) or 0


# --- through the API


def test_a_done_upload_is_replaced_in_one_step(client: FlaskClient, headers: dict[str, str], engine: Engine) -> None:
    first = upload(client, headers, CSV, source="Mast 1", filename="m.csv")
    answer = again(client, headers, first["id"], timezone="+01:00")
    found = answer.get_json()
    assert answer.status_code == 201
    assert (found["replaces"], found["source"], found["filename"]) == (first["id"], "Mast 1", "m.csv")
    # Two times of three are the same as before: they are new readings of this upload all the same.
    assert found["readings"]["added"] == 6
    assert found["readings"]["duplicates"] == found["readings"]["replaced"] == 0
    old = client.get(f"/api/v1/uploads/{first['id']}", headers=headers).get_json()
    assert (old["status"], "error" in old) == ("undone", False)
    assert [one[2:] for one in in_the_book(client, headers) if one[1] == "wind"] == [
        ("2025-12-31T23:00:00Z", 1.5),
        ("2026-01-01T00:00:00Z", 2.5),
        ("2026-01-01T01:00:00Z", 3.5),
    ]
    assert {owner for _, owner in readings(engine).values()} == {found["id"]}
    assert left_over(engine) == 0
    check_counts(engine)
    assert client.delete(f"/api/v1/uploads/{found['id']}", headers=headers).get_json()["status"] == "undone"
    assert client.get("/api/v1/sources", headers=headers).get_json()["sources"] == []


def test_it_may_go_into_another_source(client: FlaskClient, headers: dict[str, str], engine: Engine) -> None:
    first = upload(client, headers, CSV, source="Mast 1")
    found = again(client, headers, first["id"], source="Mast 2").get_json()
    assert (found["source"], found["readings"]["added"]) == ("Mast 2", 6)
    assert {one[0] for one in in_the_book(client, headers)} == {"Mast 2"}
    assert client.get("/api/v1/sources", headers=headers).get_json()["sources"] == [{"name": "Mast 2"}]
    check_counts(engine)


@pytest.mark.parametrize("query", [{"date_order": "dmy", "timezone": "Europe/Atlantis"}, {"source": "x" * 201}])
def test_options_that_cannot_be_used_change_nothing(
    client: FlaskClient, headers: dict[str, str], query: dict[str, str]
) -> None:
    first = upload(client, headers, CSV, source="m")
    before = in_the_book(client, headers)
    assert again(client, headers, first["id"], **query).status_code == 400
    assert in_the_book(client, headers) == before


def test_a_file_that_fails_the_second_time_leaves_the_first_as_it_was(
    client: FlaskClient, headers: dict[str, str], engine: Engine
) -> None:
    first = upload(client, headers, CSV + b"late,1,2\n", source="m")
    before = readings(engine)
    answer = again(client, headers, first["id"], on_bad_row="fail")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (422, "bad_row")
    assert answer.get_json()["replaces"] == first["id"]
    assert client.get(f"/api/v1/uploads/{first['id']}", headers=headers).get_json() == first
    assert readings(engine) == before
    check_counts(engine)


def test_a_dry_run_of_it_changes_nothing(client: FlaskClient, headers: dict[str, str], engine: Engine) -> None:
    first = upload(client, headers, CSV, source="m")
    before = readings(engine)
    answer = again(client, headers, first["id"], timezone="+01:00", dry_run="1")
    assert (answer.status_code, answer.get_json()["source"]) == (200, "m")
    assert answer.get_json()["first_time"] == "2025-12-31T23:00:00Z"
    assert readings(engine) == before


def test_what_the_old_one_had_replaced_comes_back_unless_the_new_one_covers_it(
    client: FlaskClient, headers: dict[str, str], engine: Engine
) -> None:
    base = upload(client, headers, b"time,wind\n2026-01-01 00:00,9\n2025-12-31 22:00,9\n", source="m")
    second = upload(
        client, headers, b"time,wind\n2026-01-01 00:00,1\n2026-01-01 01:00,2\n", source="m", on_duplicate="replace"
    )
    assert second["readings"]["replaced"] == second["readings"]["added"] == 1
    found = again(client, headers, second["id"], timezone="+02:00", on_duplicate="replace").get_json()
    assert found["readings"] == {"added": 1, "duplicates": 0, "replaced": 1, "missing": 0, "not_numeric": 0}
    assert [(one[2], one[3]) for one in in_the_book(client, headers)] == [
        ("2025-12-31T22:00:00Z", 1.0),
        ("2025-12-31T23:00:00Z", 2.0),
        ("2026-01-01T00:00:00Z", 9.0),
    ]
    client.delete(f"/api/v1/uploads/{found['id']}", headers=headers)
    assert {owner for _, owner in readings(engine).values()} == {base["id"]}
    assert [one[3] for one in in_the_book(client, headers)] == [9.0, 9.0]
    check_counts(engine)


def test_an_upload_under_way_is_not_imported_again(
    app: Flask, client: FlaskClient, headers: dict[str, str], engine: Engine
) -> None:
    first = upload(client, headers, CSV, source="m")
    with engine.begin() as connection:
        connection.execute(sa.update(Upload).values(status="removing"))
    answer = again(client, headers, first["id"])
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (409, "not_ended")


def test_an_undone_upload_is_imported_again_on_its_own(client: FlaskClient, headers: dict[str, str]) -> None:
    first = upload(client, headers, CSV, source="m")
    client.delete(f"/api/v1/uploads/{first['id']}", headers=headers)
    found = again(client, headers, first["id"]).get_json()
    assert (found["replaces"], found["readings"]["added"], found["source"]) == (None, 6, "m")


def test_a_viewer_cannot(
    client: FlaskClient,
    headers: dict[str, str],
    make_account: Callable[..., Any],
    bearer: Callable[..., dict[str, str]],
) -> None:
    first = upload(client, headers, CSV, source="m")
    assert again(client, bearer(make_account("vera", "viewer")), first["id"]).status_code == 403


# --- while it runs


@pytest.fixture
def done(engine: Engine, settings: Settings) -> int:
    """An upload of 5,000 readings."""
    upload_id = imports.announce(engine, "a.csv", Options(source="mast"), Sender())
    imports.import_stream(engine, settings, [wide_csv(1000, 5)], upload_id=upload_id)
    return upload_id


def begin(engine: Engine, replaces: int, source: str = "mast") -> int:
    return imports.announce(engine, "a.csv", Options(source=source, timezone="+01:00"), Sender(), None, replaces)


def test_the_old_one_counts_until_the_new_one_does(
    client: FlaskClient, headers: dict[str, str], engine: Engine, settings: Settings, done: int
) -> None:
    body = wide_csv(3000, 5)
    before = in_the_book(client, headers)
    seen = []

    def stream() -> Iterator[bytes]:
        for start in range(0, len(body), 20_000):
            yield body[start : start + 20_000]
            seen.append(in_the_book(client, headers) == before)

    new = begin(engine, done)
    imports.import_stream(engine, settings, stream(), upload_id=new)
    assert seen
    assert all(seen)
    assert [row.status for row in uploads(engine)] == ["undone", "done"]
    assert len(in_the_book(client, headers)) == 15_000
    assert left_over(engine) == 0
    check_counts(engine)


def test_cancelled_it_leaves_the_old_one(engine: Engine, settings: Settings, done: int) -> None:
    before = readings(engine)
    new = begin(engine, done)
    body = wide_csv(1000, 5)

    def stream() -> Iterator[bytes]:
        yield body[:20_000]
        imports.request_cancel(engine, new)
        yield body[20_000:]

    imports.import_stream(engine, settings, stream(), upload_id=new)
    assert [row.status for row in uploads(engine)] == ["done", "cancelled"]
    assert (readings(engine), left_over(engine)) == (before, 0)
    check_counts(engine)


def test_an_upload_undone_meanwhile_is_not_replaced(engine: Engine, settings: Settings, done: int) -> None:
    new = begin(engine, done)
    assert removal.undo(engine, settings, done)
    imports.import_stream(engine, settings, [wide_csv(1000, 5)], upload_id=new)
    row = uploads(engine)[-1]
    assert (row.status, row.error_code) == ("failed", "nothing_to_replace")
    assert "is undone" in row.error
    assert readings(engine) == {}


def import_at_once(engine: Engine, settings: Settings, upload_ids: list[int], data: bytes) -> None:
    """Imports the same bytes as each of these uploads, all at the same time."""
    threads = [
        threading.Thread(target=imports.import_stream, args=(engine, settings, [data]), kwargs={"upload_id": upload_id})
        for upload_id in upload_ids
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


def test_an_upload_deleted_while_it_waits_is_not_replaced(engine: Engine, settings: Settings) -> None:
    """With its source, whose lock the deletion holds."""
    first = imports.announce(engine, "m.csv", Options(source="x"), Sender())
    imports.import_stream(engine, settings, [CSV], upload_id=first)
    second = imports.announce(engine, "m.csv", Options(source="x"), Sender(), replaces=first)
    with engine.connect() as connection:
        source_id = connection.execute(sa.select(Source.id)).scalar_one()
    with sql.Locks(engine) as locks:
        assert locks.try_lock("source", source_id)
        waits = threading.Thread(
            target=imports.import_stream, args=(engine, settings, [CSV]), kwargs={"upload_id": second}
        )
        waits.start()
        waits.join(1)
        assert waits.is_alive()
        with engine.begin() as connection:
            deleting.delete_in(Work(engine, settings, None, connection), BY_SLUG["sources"], [source_id])
    waits.join(20)
    with engine.connect() as connection:
        [row] = connection.execute(sa.select(Upload.id, Upload.status, Upload.error_code, Upload.error))
        assert (row.id, row.status, row.error_code) == (second, "failed", "nothing_to_replace")
        assert "is deleted" in row.error
        assert connection.execute(sa.select(Source.name)).all() == []


def test_of_two_at_once_one_replaces(engine: Engine, settings: Settings, done: int) -> None:
    new = [begin(engine, done) for _ in range(2)]
    import_at_once(engine, settings, new, wide_csv(2000, 5))
    rows = uploads(engine)
    assert sorted(row.status for row in rows) == ["done", "failed", "undone"]
    assert {row.error_code for row in rows} == {None, "nothing_to_replace"}
    assert len(readings(engine)) == 10_000
    check_counts(engine)


def test_two_that_swap_their_sources_do_not_wait_for_each_other_for_ever(
    engine: Engine, settings: Settings, done: int
) -> None:
    other = imports.announce(engine, "b.csv", Options(source="other"), Sender())
    imports.import_stream(engine, settings, [wide_csv(1000, 5)], upload_id=other)
    new = [begin(engine, done, "other"), begin(engine, other, "mast")]
    import_at_once(engine, settings, new, wide_csv(500, 5))
    rows = uploads(engine)
    assert [row.status for row in rows] == ["undone", "undone", "done", "done"]
    assert len(readings(engine)) == sum(row.readings_added for row in rows if row.status == "done")
    check_counts(engine)


def test_a_crash_after_the_last_step_is_finished_by_recovery(
    engine: Engine, settings: Settings, done: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new one is done, the old one hidden; only its leftovers are still in the table."""

    def power_cut(*_: object) -> None:
        raise RuntimeError("power cut")

    new = begin(engine, done)
    with monkeypatch.context() as patched:
        patched.setattr(removal, "remove_readings", power_cut)
        imports.import_stream(engine, settings, [wide_csv(1000, 5)], upload_id=new)
    assert [row.status for row in uploads(engine)] == ["removing", "done"]
    assert removal.recover(engine, settings) == [done]
    assert [row.status for row in uploads(engine)] == ["undone", "done"]
    assert {owner for _, owner in readings(engine).values()} == {new}
    assert raw_copies.find(settings.instance_path / "uploads", done) is not None
    check_counts(engine)


def test_a_sensor_that_only_the_old_one_had_is_gone(engine: Engine, settings: Settings, done: int) -> None:
    new = begin(engine, done)
    imports.import_stream(engine, settings, [wide_csv(100, 2)], upload_id=new)
    with engine.connect() as connection:
        names = connection.scalars(sa.select(Sensor.name).order_by(Sensor.id)).all()
    assert names == ["channel 1", "channel 2"]


def test_what_the_file_says_of_units_is_taken_from_the_second_reading(
    client: FlaskClient, headers: dict[str, str], engine: Engine
) -> None:
    """The old one had made the sensor, and nobody else uses it; one that others use keeps its unit."""
    first = upload(client, headers, CSV, source="m")
    upload(client, headers, b"time,rain\n2020-01-01,1\n", source="m")
    with engine.begin() as connection:
        connection.execute(sa.update(Sensor).values(unit="furlong"))
    again(client, headers, first["id"])
    with engine.connect() as connection:
        units = {row.name: row.unit for row in connection.execute(sa.select(Sensor.name, Sensor.unit))}
    assert units == {"wind": "", "rain": "furlong"}


def test_the_last_step_asks_once_for_all_sensors(client: FlaskClient, headers: dict[str, str], engine: Engine) -> None:
    """With thousands of them it once took minutes, in which nobody else could write to SQLite."""
    first = upload(client, headers, wide_csv(5, sensors=60), source="m")
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "upload_sensor.created" in statement:
            asked.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        assert again(client, headers, first["id"]).status_code == 201
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
    assert len(asked) < 10


# --- on the page


def words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_the_page_of_an_upload_offers_to_import_it_again(editor: FlaskClient, headers: dict[str, str]) -> None:
    first = upload(editor, headers, CSV, source="Mast 1", filename="m.csv", on_duplicate="replace")["id"]
    page = editor.get(f"/uploads/{first}").text
    assert "This replaces the 6 readings of this upload in one step" in words(page)
    assert 'value="Mast 1"' in page
    answer = editor.post(f"/uploads/{first}/again", data={"source": "", "timezone": "+01:00", "date_order": ""})
    assert answer.status_code == 303
    page = words(editor.get(answer.location).text)
    assert "6 readings of 2 sensors added, 2025-12-31 23:00 UTC to 2026-01-01 01:00 UTC" in page
    assert f"It replaced upload {first} ." in page
    new = answer.location.rpartition("/")[2]
    assert f"upload {new} took its place" in words(editor.get(f"/uploads/{first}").text)
    assert "Import again" not in editor.get(f"/uploads/{first}").text
    assert editor.post(f"/uploads/{first}/again", data={}).status_code == 409


def test_the_upload_that_it_replaced_is_no_loss(editor: FlaskClient, headers: dict[str, str]) -> None:
    """Its duplicates are in the file itself, or of uploads that are still there."""
    first = upload(editor, headers, CSV + CSV.splitlines(keepends=True)[1], source="m")
    assert first["readings"]["duplicates"] == 2
    new = again(editor, headers, first["id"]).get_json()
    assert new["readings"]["duplicates"] == 2
    assert "undone since" not in editor.get(f"/uploads/{new['id']}").text


def test_what_is_wrong_stands_beside_its_field(editor: FlaskClient, headers: dict[str, str]) -> None:
    first = upload(editor, headers, CSV, source="Mast 1")["id"]
    answer = editor.post(f"/uploads/{first}/again", data={"source": "Mast 1", "timezone": "Dublin"})
    assert answer.status_code == 422
    assert "&#34;Dublin&#34; is not a time zone" in answer.text
    assert "<details open>" in answer.text


def test_the_file_type_of_the_first_time_is_kept_whatever_became_of_it(
    app: Any, editor: FlaskClient, headers: dict[str, str]
) -> None:
    with app.app_context():
        file_types.save("Logger", Given(timezone="Europe/Berlin"))
    first = upload(editor, headers, CSV, source="m", file_type="Logger")
    assert "Times were read as Europe/Berlin, as the file type says" in words(editor.get("/uploads/1").text)
    with app.app_context():
        file_types.delete("Logger")
    offered = editor.get(f"/uploads/{first['id']}").text
    assert '<option value="/as-before" selected>As the first time, by Logger as it was then</option>' in offered
    answer = editor.post(f"/uploads/{first['id']}/again", data={"source": "m", "file_type": "/as-before"})
    second = editor.get(f"/api/v1{answer.location}", headers=headers).get_json()
    assert (second["file_type"], second["layout"]["timezone"]) == ("Logger", "Europe/Berlin")
    answer = editor.post(f"/uploads/{second['id']}/again", data={"source": "m", "file_type": ""})
    third = editor.get(f"/api/v1{answer.location}", headers=headers).get_json()
    assert (third["file_type"], third["layout"]["timezone"]) == (None, "UTC")


def test_a_file_type_that_was_changed_since_counts_as_it_is_now_when_it_is_chosen(
    app: Any, editor: FlaskClient, headers: dict[str, str]
) -> None:
    with app.app_context():
        file_types.save("Logger", Given(timezone="Europe/Berlin"))
    first = upload(editor, headers, CSV, source="m", file_type="Logger")
    with app.app_context():
        file_types.replace("Logger", Given(timezone="Asia/Tokyo"))
    answer = editor.post(f"/uploads/{first['id']}/again", data={"source": "m", "file_type": "Logger"})
    second = editor.get(f"/api/v1{answer.location}", headers=headers).get_json()
    assert second["layout"]["timezone"] == "Asia/Tokyo"


def test_a_file_that_failed_can_be_read_in_another_way(app: Any, editor: FlaskClient, headers: dict[str, str]) -> None:
    with app.app_context():
        file_types.save("Other", Given.from_json({"columns": [{"name": "nothing", "role": "time"}]}))
    first = upload(editor, headers, CSV, source="m", file_type="Other")
    assert first["error"]["code"] == "columns_not_found"
    page = editor.get(f"/uploads/{first['id']}").text
    assert "Read the same file in another way" in page
    assert "This replaces" not in page
    answer = editor.post(f"/uploads/{first['id']}/again", data={"source": "m", "timezone": "Dublin"})
    assert answer.status_code == 422
    assert "&#34;Dublin&#34; is not a time zone" in answer.text
    answer = editor.post(f"/uploads/{first['id']}/again", data={"source": "m", "file_type": ""})
    second = editor.get(f"/api/v1{answer.location}", headers=headers).get_json()
    assert (second["status"], second["replaces"]) == ("done", None)


def test_a_viewer_is_offered_nothing(
    client: FlaskClient, headers: dict[str, str], make_account: Callable[..., Any], login: Callable[..., Any]
) -> None:
    first = upload(client, headers, CSV, source="m")["id"]
    login(client, make_account("vera", "viewer"))
    assert "Import again" not in client.get(f"/uploads/{first}").text


def test_importing_again_in_a_browser(
    live_server: Any, page: Any, make_account: Callable[..., Any], client: FlaskClient, headers: dict[str, str]
) -> None:
    first = upload(client, headers, CSV, source="Mast 1", filename="m.csv")["id"]
    sign_in(page, make_account("eddy", "editor"))
    page.goto(f"/uploads/{first}")
    page.click("summary >> text=Read the same file in another way")
    check_page(page)
    page.fill("#timezone", "Europe/Berlin")
    page.click("button >> text=Import again")
    page.wait_for_selector("[data-status=done]")
    assert f"It replaced upload {first}" in page.inner_text("[data-status=done]")
    check_page(page)
