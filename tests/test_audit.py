"""Who changed what: every change of file types, uploads, sources, sensors and readings has its entry.

Through the pages, the API and the command line; in the same transaction as the change.
"""

import io
import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from sqlalchemy.engine import Engine

from daybook import audit, file_types, imports, removal, sql
from daybook.config import Settings
from daybook.file_types import FileTypeError
from daybook.formats.given import Given
from daybook.models import Account, AuditEntry, Upload
from daybook.source_lock import SourceBusy
from daybook.upload_options import Options, Sender
from tests.conftest import LiveServer, Person, csrf_token
from tests.wire import Line, readings, uploads, wait_for, wait_until_settled, wide_csv

CSV = b"time,wind (m/s),rain\n2026-01-01 00:00,1.5,0\n2026-01-01 01:00,2.5,1\n2026-01-01 02:00,3.5,2\n"
PROSE = b"Dear all,\n\nthe mast fell over on Tuesday.\n\nYours, Edda\n"
LAYOUT = {"delimiter": ";", "decimal": ","}
LETTERS = "abcdefghij"


@dataclass(frozen=True)
class Entry:
    """An entry without what says who and when."""

    action: str
    object_type: str
    object_id: str
    object_repr: str
    changes: dict[str, Any]


def rows(engine: Engine, *types: str) -> list[Any]:
    """The entries about objects of these types, oldest first; of every type of this file when none is named."""
    wanted = types or ("file type", "upload", "source", "sensor", "counter")
    query = sa.select(AuditEntry.__table__).where(AuditEntry.object_type.in_(wanted)).order_by(AuditEntry.id)
    with sql.only_reading(), engine.connect() as connection:
        return list(connection.execute(query))


def entries(engine: Engine, *types: str) -> list[Entry]:
    return [
        Entry(row.action, row.object_type, row.object_id, row.object_repr, row.changes) for row in rows(engine, *types)
    ]


def who(engine: Engine, *types: str) -> set[tuple[str, str, int | None]]:
    """(origin, name, account) of everybody who is named."""
    return {(row.origin, row.actor, row.account_id) for row in rows(engine, *types)}


@pytest.fixture
def eddy(make_account: Callable[..., Person]) -> Person:
    """Works on the pages."""
    return make_account("eddy", "editor")


@pytest.fixture
def edda(make_account: Callable[..., Person]) -> Person:
    """Has a program that works through the API."""
    return make_account("edda", "editor")


@pytest.fixture
def page(app: Flask, eddy: Person, login: Callable[..., FlaskClient]) -> FlaskClient:
    return login(app.test_client(), eddy)


def upload_on(page: FlaskClient, body: bytes) -> Any:
    """The form of the upload page, as a browser without JavaScript sends it."""
    form = {"csrf_token": csrf_token(page), "source": "mast", "files": (io.BytesIO(body), "march.csv")}
    return page.post("/uploads", data=form, content_type="multipart/form-data")


Api = Callable[..., Any]


@pytest.fixture
def api(client: FlaskClient, edda: Person, bearer: Callable[..., dict[str, str]]) -> Api:
    """api("POST", "/uploads", CSV, source="mast") is a request of Edda's program."""
    headers = bearer(edda)

    def call(method: str, path: str, body: Any = None, **query: str) -> Any:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        return client.open(f"/api/v1{path}", method=method, data=data, headers=headers, query_string=query)

    return call


def by_page(person: Person) -> set[tuple[str, str, int | None]]:
    return {("page", person.username, person.id)}


def by_api(person: Person) -> set[tuple[str, str, int | None]]:
    return {("api", person.username, person.id)}


BY_DAYBOOK = {("daybook", "Daybook", None)}


def imported(upload_id: int, filename: str, source: str, count: int) -> Entry:
    changes = {"status": [None, "done"], "source": [None, source], "readings": [0, count]}
    return Entry("import", "upload", str(upload_id), filename, changes)


# --- imports


def test_an_upload_on_the_page_is_its_senders(page: FlaskClient, eddy: Person, engine: Engine) -> None:
    begin = datetime.now(UTC)
    assert upload_on(page, CSV).status_code == 303
    assert entries(engine, "upload") == [imported(1, "march.csv", "mast", 6)]
    assert who(engine) == by_page(eddy)
    assert all(begin - timedelta(seconds=1) <= row.at <= datetime.now(UTC) for row in rows(engine))


def test_an_upload_in_two_steps_has_one_entry(page: FlaskClient, eddy: Person, engine: Engine) -> None:
    page.post("/uploads/announce", data={"source": "mast", "filename": "march.csv", "size": len(CSV)})
    assert entries(engine) == []  # announced is not imported
    token = {"X-CSRFToken": csrf_token(page)}
    assert page.put("/uploads/1/content", data=CSV, headers=token).status_code == 200
    assert entries(engine, "upload") == [imported(1, "march.csv", "mast", 6)]
    assert who(engine) == by_page(eddy)


def test_an_upload_with_a_token_is_its_accounts(api: Api, edda: Person, engine: Engine) -> None:
    assert api("POST", "/uploads", CSV, source="mast", filename="march.csv").status_code == 201
    assert entries(engine, "upload") == [imported(1, "march.csv", "mast", 6)]
    assert who(engine) == by_api(edda)


def test_a_file_from_the_command_line_is_the_operators(runner: FlaskCliRunner, engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "march.csv").write_bytes(CSV)
    assert runner.invoke(args=["import", str(tmp_path / "march.csv"), "--source", "mast"]).exit_code == 0
    assert entries(engine, "upload") == [imported(1, "march.csv", "mast", 6)]
    assert who(engine) == {("command", audit.operator().name, None)}


def test_the_source_and_the_sensors_that_a_file_makes_are_told(api: Api, engine: Engine) -> None:
    api("POST", "/uploads", CSV, source="mast")
    assert entries(engine, "source", "sensor") == [
        Entry("create", "source", "1", "mast", {"name": [None, "mast"]}),
        Entry("create", "sensor", "1", "mast: wind (m/s)", {"name": [None, "wind (m/s)"], "unit": [None, "m/s"]}),
        Entry("create", "sensor", "2", "mast: rain", {"name": [None, "rain"], "unit": [None, ""]}),
    ]
    api("POST", "/uploads", CSV.replace(b"2026", b"2027"), source="mast")
    assert len(entries(engine, "source", "sensor")) == 3  # the second file made none
    assert [one.action for one in entries(engine, "upload")] == ["import", "import"]


def test_a_unit_that_a_later_file_names_is_a_change_of_the_sensor(api: Api, engine: Engine) -> None:
    api("POST", "/readings", {"source": "mast", "readings": [{"sensor": "rain", "time": "2025-01-01", "value": 1}]})
    before = len(entries(engine, "sensor"))
    units = {"source": "mast", "readings": [{"sensor": "rain", "time": "2025-01-02", "value": 1, "unit": "mm"}]}
    for _ in range(2):
        assert api("POST", "/readings", units).status_code == 201
    assert entries(engine, "sensor")[before:] == [Entry("change", "sensor", "1", "mast: rain", {"unit": ["", "mm"]})]


def test_of_many_sensors_the_first_have_entries_and_the_rest_are_counted(api: Api, engine: Engine) -> None:
    assert api("POST", "/uploads", wide_csv(2, 250), source="mast").status_code == 201
    made = [one for one in entries(engine, "sensor") if one.action == "create"]
    assert [one.object_repr for one in made] == [f"mast: channel {number}" for number in range(1, 201)]
    assert entries(engine, "source")[1:] == [Entry("create sensors", "source", "1", "mast", {"more sensors": [0, 50]})]
    assert api("DELETE", "/uploads/1").status_code == 200
    assert sum(one.action == "delete" for one in entries(engine, "sensor")) == 200
    assert Entry("delete sensors", "source", "1", "mast", {"more sensors": [50, 0]}) in entries(engine, "source")


def test_sensors_that_a_file_names_as_it_goes_are_counted_over_the_whole_of_it(api: Api, engine: Engine) -> None:
    moments = [f"2026-01-01 {minute // 60:02}:{minute % 60:02}:00" for minute in range(60)]
    lines = [f"{moment},meter {number:03} {'x' * 50},1" for number in range(300) for moment in moments]
    body = "\n".join(["time,sensor,value", *lines]).encode()
    assert len(body) > 1024 * 1024  # more than one block
    assert api("POST", "/uploads", body, source="meters").status_code == 201
    assert len(entries(engine, "sensor")) == 200
    more = [one.changes["more sensors"][1] for one in entries(engine, "source") if one.action == "create sensors"]
    assert sum(more) == 100


# --- imports that fail


def test_a_failed_import_says_why_and_claims_nothing(api: Api, edda: Person, engine: Engine) -> None:
    answer = api("POST", "/uploads", PROSE, source="mast", filename="letter.txt")
    assert answer.status_code == 422
    code = answer.get_json()["error"]["code"]
    changes = {"status": ["importing", "failed"], "error": [None, code]}
    assert entries(engine) == [Entry("fail", "upload", "1", "letter.txt", changes)]
    assert who(engine) == by_api(edda)


def test_what_a_failed_import_had_made_is_told_gone(api: Api, edda: Person, engine: Engine) -> None:
    body = wide_csv(20_000, 10) + b"not a time,1,2,3,4,5,6,7,8,9,10\n"
    assert len(body) > 1024 * 1024  # more than one block: the sensors are there when the bad row comes
    assert api("POST", "/uploads", body, source="mast", on_bad_row="fail").status_code == 422
    (told,) = entries(engine, "upload")
    assert (told.action, told.changes["error"]) == ("fail", [None, "bad_row"])
    made, gone = [
        [(one.object_type, one.object_repr) for one in entries(engine, "sensor", "source") if one.action == action]
        for action in ("create", "delete")
    ]
    assert len(made) == 11
    assert sorted(made) == sorted(gone)
    assert who(engine) == by_api(edda)


def test_what_is_refused_before_the_first_byte_has_no_entry(
    api: Api, page: FlaskClient, runner: FlaskCliRunner, engine: Engine, tmp_path: Path
) -> None:
    (tmp_path / "march.csv").write_bytes(CSV)
    assert api("POST", "/uploads", CSV, file_type="no such").status_code == 404
    assert api("POST", "/uploads", CSV, dry_run="1").status_code == 200
    assert page.post("/uploads/announce", data={"filename": "a.csv", "timezone": "Atlantis"}).status_code == 422
    assert runner.invoke(args=["import", str(tmp_path / "march.csv"), "--timezone", "Atlantis"]).exit_code == 1
    assert entries(engine) == []


def test_a_viewer_who_is_sent_away_leaves_no_entry(
    client: FlaskClient, make_account: Callable[..., Person], bearer: Callable[..., dict[str, str]], engine: Engine
) -> None:
    headers = bearer(make_account("vera", "viewer"))
    assert client.post("/api/v1/uploads", data=CSV, headers=headers).status_code == 403
    assert client.post("/api/v1/file-types", data=b'{"name": "x", "layout": {}}', headers=headers).status_code == 403
    assert entries(engine) == []


# --- undo


def test_an_undo_on_the_page_is_theirs_who_asked(
    api: Api, page: FlaskClient, eddy: Person, edda: Person, engine: Engine
) -> None:
    """It runs in a thread of its own."""
    api("POST", "/uploads", CSV, source="mast", filename="march.csv")
    before = len(rows(engine))
    assert page.post("/uploads/1/undo").status_code == 303
    wait_until_settled(engine)
    changes = {"status": ["done", "undone"], "readings": [6, 0]}
    assert entries(engine)[before:] == [
        Entry("undo", "upload", "1", "march.csv", changes),
        Entry("delete", "sensor", "1", "mast: wind (m/s)", {"name": ["wind (m/s)", None], "unit": ["m/s", None]}),
        Entry("delete", "sensor", "2", "mast: rain", {"name": ["rain", None], "unit": ["", None]}),
        Entry("delete", "source", "1", "mast", {"name": ["mast", None]}),
    ]
    told = rows(engine)
    assert {(row.origin, row.actor, row.account_id) for row in told[:before]} == by_api(edda)
    assert {(row.origin, row.actor, row.account_id) for row in told[before:]} == by_page(eddy)


def test_an_undo_counts_once(api: Api, edda: Person, engine: Engine) -> None:
    api("POST", "/uploads", CSV, source="mast")
    for _ in range(2):
        assert api("DELETE", "/uploads/1").status_code == 200
    assert [one.action for one in entries(engine, "upload")] == ["import", "undo"]
    assert who(engine) == by_api(edda)


def test_an_undo_that_has_to_wait_too_long_leaves_no_entry(
    api: Api, page: FlaskClient, engine: Engine, settings: Settings
) -> None:
    api("POST", "/uploads", CSV, source="mast")
    before = entries(engine)
    with sql.Locks(engine) as locks:
        assert locks.try_lock("source", 1)
        with pytest.raises(SourceBusy):
            removal.undo(engine, settings, 1, patience=0.2)
        assert page.post("/uploads/1/undo").status_code == 303
    assert entries(engine) == before
    assert [row.status for row in uploads(engine)] == ["done"]


# --- cancel


def test_a_cancel_is_theirs_who_pressed_it(
    page: FlaskClient, eddy: Person, edda: Person, engine: Engine, settings: Settings
) -> None:
    """Not the sender's, in whose name the import runs that hears of it."""
    upload_id = imports.announce(engine, "march.csv", Options(source="mast"), Sender())
    pressing = threading.Thread(target=page.post, args=(f"/uploads/{upload_id}/cancel",))

    def pieces() -> Iterator[bytes]:
        yield CSV
        pressing.start()
        until = time.monotonic() + 20
        noticed = 0  # the import looks now and then, so it is sent some lines more than until it could know
        while time.monotonic() < until and noticed < 15:
            time.sleep(0.1)
            noticed += uploads(engine)[0].cancel_requested
            yield b"2026-01-02 00:00,1,1\n"

    with audit.acting(audit.Actor("api", edda.username, edda.id)):
        imports.import_stream(engine, settings, pieces(), upload_id=upload_id)
    pressing.join()
    assert [row.status for row in uploads(engine)] == ["cancelled"]
    told = rows(engine, "upload")
    assert [(row.action, row.changes) for row in told] == [("cancel", {"cancel_requested": [False, True]})]
    assert {(row.origin, row.actor, row.account_id) for row in told} == by_page(eddy)


def test_a_file_that_never_began_is_cancelled_at_once(page: FlaskClient, eddy: Person, engine: Engine) -> None:
    page.post("/uploads/announce", data={"source": "mast", "filename": "march.csv"})
    for _ in range(2):
        page.post("/uploads/1/cancel")
    assert entries(engine) == [Entry("cancel", "upload", "1", "march.csv", {"status": ["waiting", "cancelled"]})]
    assert who(engine) == by_page(eddy)


def test_a_cancel_that_comes_too_late_has_no_entry(api: Api, page: FlaskClient, engine: Engine) -> None:
    api("POST", "/uploads", CSV, source="mast")
    page.post("/uploads/1/cancel")
    assert [one.action for one in entries(engine, "upload")] == ["import"]


# --- replaced, and imported again


def test_an_import_again_tells_of_both_uploads(
    api: Api, page: FlaskClient, eddy: Person, edda: Person, engine: Engine
) -> None:
    api("POST", "/uploads", CSV, source="mast", filename="march.csv")
    assert page.post("/uploads/1/again", data={"timezone": "+01:00"}).status_code == 303
    wait_until_settled(engine)
    assert entries(engine, "upload")[1:] == [
        Entry(
            "replace",
            "upload",
            "1",
            "march.csv",
            {"status": ["done", "undone"], "readings": [6, 0], "replaced_by": [None, 2]},
        ),
        Entry(
            "import again",
            "upload",
            "2",
            "march.csv",
            {"status": [None, "done"], "source": [None, "mast"], "readings": [0, 6], "replaces": [None, 1]},
        ),
    ]
    told = rows(engine, "upload")[1:]
    assert {(row.origin, row.actor, row.account_id) for row in told} == by_page(eddy)
    assert api("POST", "/uploads/2/import").status_code == 201
    told = rows(engine, "upload")[3:]
    assert [(row.action, row.object_id) for row in told] == [("replace", "2"), ("import again", "3")]
    assert {(row.origin, row.actor, row.account_id) for row in told} == by_api(edda)


def test_an_import_again_that_fails_leaves_the_old_one_without_an_entry(api: Api, engine: Engine) -> None:
    api("POST", "/uploads", CSV, source="mast")
    api("PUT", "/file-types/Wrong", {"layout": {"columns": [{"name": "Zeit", "role": "time"}]}})
    assert api("POST", "/uploads/1/import", file_type="Wrong").status_code == 422
    told = entries(engine, "upload")
    assert [(one.action, one.object_id) for one in told] == [("import", "1"), ("fail", "2")]


def test_readings_that_were_replaced_are_counted(api: Api, engine: Engine) -> None:
    api("POST", "/uploads", CSV, source="mast")
    other = CSV.replace(b"1.5", b"9.5").replace(b"2.5", b"8.5")
    assert api("POST", "/uploads", other, source="mast", on_duplicate="replace").status_code == 201
    assert api("DELETE", "/uploads/2").status_code == 200
    _, replacing, undone = entries(engine, "upload")
    assert (replacing.changes["readings"], replacing.changes["replaced"]) == ([0, 0], [0, 2])
    assert (undone.changes["readings"], undone.changes["replaced"]) == ([0, 0], [2, 0])


# --- killed, and recovered


def test_an_import_that_is_killed_is_ended_by_daybook(
    engine: Engine, edda: Person, token_for: Callable[..., str], start_server: Callable[..., LiveServer]
) -> None:
    server = start_server()
    body = wide_csv(20_000, 20)
    with Line(server) as line:
        line.begin(token_for(edda), len(body))
        line.send(body[:-10])
        wait_for(lambda: readings(engine), "readings to be stored")
        for pid in (server.process.pid, *server.workers()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    server.process.wait(10)
    assert entries(engine, "upload") == []
    start_server()
    wait_until_settled(engine)
    changes = {"status": ["importing", "failed"], "error": [None, "interrupted"]}
    assert entries(engine, "upload") == [Entry("fail", "upload", "1", "a.csv", changes)]
    assert who(engine, "upload") == BY_DAYBOOK
    made = [row for row in rows(engine, "source", "sensor") if row.action == "create"]
    gone = [row for row in rows(engine, "source", "sensor") if row.action == "delete"]
    assert {(row.origin, row.actor, row.account_id) for row in made} == by_api(edda)
    assert {(row.origin, row.actor, row.account_id) for row in gone} == BY_DAYBOOK
    assert {(row.object_type, row.object_id) for row in made} == {(row.object_type, row.object_id) for row in gone}


def test_what_a_dead_import_left_is_cleared_by_daybook_in_whoevers_way_it_is(
    api: Api, edda: Person, runner: FlaskCliRunner, engine: Engine
) -> None:
    api("POST", "/uploads", CSV, source="mast", filename="first.csv")
    for name in ("second.csv", "third.csv"):
        left = imports.announce(engine, name, Options(source="mast"), Sender())
        with engine.begin() as connection:  # as a killed process leaves it
            mine = sa.update(Upload).where(Upload.id == left)
            connection.execute(mine.values(status="importing", source_id=1, started_at=datetime.now(UTC)))
        if name == "second.csv":
            api("POST", "/uploads", CSV.replace(b"2026", b"2027"), source="mast", filename="fourth.csv")
        else:
            assert "1 interrupted" in runner.invoke(args=["recover"]).output
    told = [(row.action, row.object_repr, row.origin) for row in rows(engine, "upload")]
    assert told == [
        ("import", "first.csv", "api"),
        ("fail", "second.csv", "daybook"),
        ("import", "fourth.csv", "api"),
        ("fail", "third.csv", "daybook"),
    ]


def test_an_undo_that_was_killed_stays_theirs_who_asked(
    api: Api, edda: Person, engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    api("POST", "/uploads", CSV, source="mast")

    class PowerCut(BaseException):
        pass

    def power_cut(*_: object) -> None:
        raise PowerCut

    with monkeypatch.context() as patched:
        patched.setattr(removal, "count_readings", power_cut)
        with pytest.raises(PowerCut), audit.acting(audit.Actor("page", "edda", edda.id)):
            removal.undo(engine, settings, 1)
    assert removal.recover(engine, settings) == [1]
    told = rows(engine, "upload")
    assert [(row.action, row.origin, row.actor) for row in told] == [
        ("import", "api", "edda"),
        ("undo", "page", "edda"),
    ]
    assert [row.status for row in uploads(engine)] == ["undone"]


def test_an_import_is_not_lost_with_the_account_that_began_it(engine: Engine, edda: Person, settings: Settings) -> None:
    upload_id = imports.announce(engine, "march.csv", Options(source="mast"), Sender())

    def pieces() -> Iterator[bytes]:
        yield CSV
        with engine.begin() as connection:
            connection.execute(sa.delete(Account).where(Account.id == edda.id))

    with audit.acting(audit.Actor("api", edda.username, edda.id)):
        imports.import_stream(engine, settings, pieces(), upload_id=upload_id)
    assert entries(engine, "upload") == [imported(upload_id, "march.csv", "mast", 6)]
    assert who(engine) == {("api", "edda", None)}


# --- file types


def test_file_types_on_the_page(page: FlaskClient, eddy: Person, engine: Engine) -> None:
    assert page.post("/file-types/new", data={"name": "Mast 3", "delimiter": "semicolon"}).status_code == 303
    version = re.search(r'name="version"[^>]* value="([^"]+)"', page.get("/file-types/Mast 3").text)
    assert version
    form = {"name": "Mast 4", "delimiter": "comma", "version": version[1]}
    assert page.post("/file-types/Mast 3", data=form).status_code == 303
    assert page.post("/file-types/Mast 4/delete").status_code == 303
    created, changed, deleted = entries(engine)
    first, second = created.changes["layout"][1], changed.changes["layout"][1]
    assert (first["delimiter"], second["delimiter"]) == (";", ",")
    assert created == Entry("create", "file type", "1", "Mast 3", {"name": [None, "Mast 3"], "layout": [None, first]})
    names = {"name": ["Mast 3", "Mast 4"], "layout": [first, second]}
    assert changed == Entry("change", "file type", "1", "Mast 4", names)
    assert deleted == Entry("delete", "file type", "1", "Mast 4", {"name": ["Mast 4", None], "layout": [second, None]})
    assert who(engine) == by_page(eddy)


def test_file_types_of_the_api(api: Api, edda: Person, engine: Engine) -> None:
    assert api("POST", "/file-types", {"name": "Mast 3", "layout": LAYOUT}).status_code == 201
    assert api("PUT", "/file-types/Mast 3", {"layout": {"delimiter": ","}}).status_code == 200
    assert api("PUT", "/file-types/Mast 3", {"layout": {"delimiter": ","}}).status_code == 200  # as it was
    assert api("PUT", "/file-types/Mast 4", {"layout": {}}).status_code == 201
    assert api("DELETE", "/file-types/Mast 3").status_code == 204
    assert entries(engine) == [
        Entry("create", "file type", "1", "Mast 3", {"name": [None, "Mast 3"], "layout": [None, LAYOUT]}),
        Entry("change", "file type", "1", "Mast 3", {"layout": [LAYOUT, {"delimiter": ","}]}),
        Entry("create", "file type", "2", "Mast 4", {"name": [None, "Mast 4"], "layout": [None, {}]}),
        Entry("delete", "file type", "1", "Mast 3", {"name": ["Mast 3", None], "layout": [{"delimiter": ","}, None]}),
    ]
    assert who(engine) == by_api(edda)


def test_what_is_not_done_to_a_file_type_has_no_entry(api: Api, page: FlaskClient, engine: Engine) -> None:
    api("POST", "/file-types", {"name": "Mast 3", "layout": LAYOUT})
    before = entries(engine)
    assert api("POST", "/file-types", {"name": "mast 3", "layout": {}}).status_code == 409
    assert api("POST", "/file-types", {"name": "a/b", "layout": {}}).status_code == 422
    assert api("PUT", "/file-types/Mast 3", {"layout": {"delimiter": "no such"}}).status_code == 422
    assert api("DELETE", "/file-types/Mast 5").status_code == 404
    ready = api("GET", "/file-types").get_json()["file_types"][-1]["name"]
    assert api("DELETE", f"/file-types/{ready}").status_code == 409
    stale = {"name": "Mast 3", "delimiter": "comma", "version": "0123456789abcdef"}
    assert page.post("/file-types/Mast 3", data=stale).status_code == 409
    assert entries(engine) == before


def test_file_types_from_a_file(page: FlaskClient, eddy: Person, engine: Engine) -> None:
    page.post("/file-types/new", data={"name": "Old", "delimiter": "semicolon"})
    old = entries(engine)[0].changes["layout"][1]
    types = [{"name": "Old", "layout": {"delimiter": ","}}, {"name": "Mast 3", "layout": LAYOUT}]
    exported = json.loads(page.get("/file-types/export").data)
    text = json.dumps({**exported, "file_types": types})
    form = {"text": text, "replace": ["Old"], "decided": "1"}
    assert page.post("/file-types/import", data=form).status_code == 303
    told = entries(engine)[1:]
    assert told == [
        Entry("import", "file type", "1", "Old", {"layout": [old, {"delimiter": ","}]}),
        Entry("import", "file type", "2", "Mast 3", {"name": [None, "Mast 3"], "layout": [None, LAYOUT]}),
    ]
    assert who(engine) == by_page(eddy)


def test_file_types_that_are_rolled_back_leave_no_entry(app: Flask, engine: Engine) -> None:
    given = Given.from_json(LAYOUT)
    with app.app_context(), pytest.raises(FileTypeError):
        file_types.import_types([("One", given), ("Two", given), ("Two", given)], frozenset())
    with app.app_context():
        assert file_types.saved_types() == []
    assert entries(engine) == []


def test_a_large_layout_is_not_kept_twice_over(api: Api, engine: Engine) -> None:
    columns = [{"name": f"{name} {number}", "role": "text"} for name in LETTERS for number in range(60)]
    large = {"columns": [{"name": "Zeit", "role": "time"}, *columns]}
    assert api("POST", "/file-types", {"name": "Large", "layout": large}).status_code == 201
    assert api("PUT", "/file-types/Large", {"layout": LAYOUT}).status_code == 200
    assert api("PUT", "/file-types/Large", {"layout": {}}).status_code == 200
    assert [one.changes["layout"] for one in entries(engine)] == [
        [None, "(large)"],
        ["(large)", "(large)"],
        [LAYOUT, {}],
    ]


# --- readings that a program posts


def test_posted_readings_are_one_entry_a_request(api: Api, edda: Person, engine: Engine) -> None:
    def post(*days: int) -> int:
        found = [{"sensor": "level", "time": f"2026-01-{day:02}", "value": day} for day in days]
        return int(api("POST", "/readings", {"source": "tide", "readings": found}).status_code)

    assert post(1, 2, 3) == post(3, 4) == 201
    assert entries(engine) == [
        Entry("create", "source", "1", "tide", {"name": [None, "tide"]}),
        Entry("create", "sensor", "1", "tide: level", {"name": [None, "level"], "unit": [None, ""]}),
        Entry("record", "source", "1", "tide", {"readings": [None, 3]}),
        Entry("record", "source", "1", "tide", {"readings": [None, 1]}),
    ]
    assert who(engine) == by_api(edda)
    before = entries(engine)
    assert post(1, 2) == 201  # all there already
    assert post(1, 32) == 400  # refused as a whole
    assert entries(engine) == before


# --- what has none


def test_a_click_on_the_greeting_has_no_entry(page: FlaskClient, engine: Engine) -> None:
    assert page.post("/greet").status_code == 303
    assert "1" in page.get("/").text
    assert entries(engine) == []
