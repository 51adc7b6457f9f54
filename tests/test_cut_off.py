"""Lines that break, senders that stall, files that are none: nothing of them stays, and each gets a clear answer."""

import gzip
import random
import re
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.engine import Engine

from daybook.config import Settings
from daybook.formats import unpack
from daybook.models import Sensor, Source, Upload
from tests.conftest import LiveServer
from tests.wire import (
    Line,
    as_chunks,
    as_form,
    check_counts,
    readings,
    upload,
    uploads,
    wait_for,
    wait_until_settled,
    wide_csv,
)

BODY = wide_csv(3000, 8)


def check_nothing_is_left(engine: Engine) -> None:
    assert readings(engine) == {}
    with engine.connect() as connection:
        assert connection.scalars(sa.select(Sensor.name)).all() == []
        assert connection.scalars(sa.select(Source.name)).all() == []


# --- the line breaks ---


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("kind", ["raw", "form"])
def test_cut_off_anywhere(engine: Engine, token: str, live_server: LiveServer, framing: str, kind: str) -> None:
    body, content_type = (BODY, "text/csv") if kind == "raw" else as_form(BODY)
    sent = body if framing == "length" else as_chunks(body)
    # The last bytes are the dangerous ones: the file may be there already, and only the end of its frame is missing.
    places = [0, 1, len(sent) - 1, len(sent) - 5, len(sent) - 8, len(sent) - len(body) % 97 - 100]
    places += [random.randrange(len(sent)) for _ in range(8)]  # noqa: S311
    for place in places:
        with Line(live_server) as line:
            line.begin(token, len(body) if framing == "length" else None, content_type)
            line.send(sent[:place])
            line.half_close()
            answer = line.answer()
        assert answer.status in (0, 400, 422), (place, answer)
        rows = wait_until_settled(engine)
        assert all(row.status == "failed" for row in rows), place
        if rows and place > 2000:
            assert rows[-1].error_code == "cut_off", place
    check_nothing_is_left(engine)
    assert upload(live_server, token, BODY).json["readings"]["added"] == 24_000


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_reset_anywhere(engine: Engine, token: str, live_server: LiveServer, framing: str) -> None:
    sent = BODY if framing == "length" else as_chunks(BODY)
    places = [random.randrange(1, len(sent)) for _ in range(6)]  # noqa: S311
    for number, place in enumerate(places, start=1):
        line = Line(live_server)
        line.begin(token, len(BODY) if framing == "length" else None)
        line.send(sent[:place])
        wait_for(lambda: len(uploads(engine)) == number, "the upload to begin")  # noqa: B023
        line.reset()
        rows = wait_until_settled(engine)
        assert (rows[-1].status, rows[-1].error_code) == ("failed", "cut_off"), place
    check_nothing_is_left(engine)


def test_what_was_there_before_a_cut_off_stays(engine: Engine, token: str, live_server: LiveServer) -> None:
    assert upload(live_server, token, wide_csv(1000, 3, start_minute=500)).status == 201
    before = readings(engine)
    for place in (len(BODY) // 2, len(BODY) - 1):
        with Line(live_server) as line:
            line.begin(token, len(BODY))
            line.send(BODY[:place])
            line.half_close()
            answer = line.answer()
        assert answer.json["error"]["code"] == "cut_off"
        assert readings(engine) == before
        check_counts(engine)


def test_a_form_whose_content_length_ends_before_its_last_boundary(
    engine: Engine, token: str, live_server: LiveServer
) -> None:
    """As some proxies and scripts send it: every announced byte comes, but the form is not complete."""
    body, content_type = as_form(BODY)
    for end in (len(body) - 6, len(body) - 40, len(body) // 2):
        with Line(live_server) as line:
            line.begin(token, end, content_type)
            line.send(body[:end])
            answer = line.answer()
        assert answer.json["error"]["code"] == "cut_off", end
    check_nothing_is_left(engine)


# --- the sender stalls ---


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_stalled_senders_are_dropped_while_others_are_served(
    engine: Engine, token: str, live_server: LiveServer
) -> None:
    dropped: dict[str, float] = {}
    over = threading.Event()

    def stall(name: str, length: int | None, start: bytes, drip: bytes) -> Any:
        begun = time.monotonic()
        with Line(live_server, timeout=90) as line:
            line.begin(token, length, source=name)
            line.send(start)
            if drip:
                threading.Thread(target=drip_into, args=(line, drip), daemon=True).start()
            answer = line.answer()
            dropped[name] = time.monotonic() - begun
            return answer

    def drip_into(line: Line, drip: bytes) -> None:
        while not over.is_set():
            try:
                if not line.send(drip):
                    return
            except OSError:
                return
            time.sleep(1)

    senders = {
        "silent": (len(BODY), BODY[:5000], b""),
        "silent from the first byte": (len(BODY), b"", b""),
        "dripping": (len(BODY), BODY[:5000], b"1"),
        "silent in chunks": (None, as_chunks(BODY)[:12_000], b""),
        "dripping in chunks": (None, as_chunks(BODY)[:10_008], b"1\r\n1\r\n"),
    }
    with ThreadPoolExecutor(len(senders)) as pool:
        futures = {name: pool.submit(stall, name, *how) for name, how in senders.items()}
        slowest = 0.0
        while not all(future.done() for future in futures.values()):
            begun = time.monotonic()
            with urllib.request.urlopen(f"{live_server.url}/readyz", timeout=10) as response:  # noqa: S310
                assert response.status == 200
            if len(readings(engine)) == 0:
                assert upload(live_server, token, wide_csv(100, 2), source="other").status == 201
            slowest = max(slowest, time.monotonic() - begun)
            time.sleep(0.5)
        over.set()
    for name, future in futures.items():
        answer = future.result()
        assert dropped[name] < 60, (name, dropped)
        assert answer.status == 408, (name, answer)
        assert answer.json["error"]["code"] == "stalled", (name, answer)
    assert slowest < 5
    rows = wait_until_settled(engine)
    assert sorted(row.status for row in rows) == ["done"] + ["failed"] * len(senders)
    assert {source for source, _, _ in readings(engine)} == {"other"}


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_half_requests_do_not_hold_every_thread(start_server: Callable[..., LiveServer]) -> None:
    """More of them than there are threads: within a minute the server is there again for others."""
    server = start_server(WEB_CONCURRENCY="1")
    heads = [
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
        b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: 100\r\n\r\nusername=",
    ]
    lines = [Line(server) for _ in range(20)]
    try:
        for number, line in enumerate(lines):
            line.send(heads[number % 2])
        # One request that waits its turn: many that give up would only stand in each other's way.
        with urllib.request.urlopen(f"{server.url}/healthz", timeout=60) as response:  # noqa: S310 - our own http URL
            assert response.status == 200
    finally:
        for line in lines:
            line.socket.close()


# --- somebody cancels ---


def request_cancel(engine: Engine, upload_id: int) -> None:
    with engine.begin() as connection:
        connection.execute(sa.update(Upload).where(Upload.id == upload_id).values(cancel_requested=True))


def test_cancel_in_mid_flight(engine: Engine, token: str, live_server: LiveServer) -> None:
    assert upload(live_server, token, wide_csv(1000, 3, start_minute=500)).status == 201
    before = readings(engine)
    body = wide_csv(30_000, 20)
    half = len(body) // 2
    with Line(live_server) as line:
        line.begin(token, len(body))
        line.send(body[:half])
        wait_for(lambda: _trickle(line) and uploads(engine)[-1].readings_added, "readings to be stored")
        request_cancel(engine, 2)
        wait_for(lambda: not _trickle(line) or uploads(engine)[-1].status != "importing", "the cancel to be seen")
        rows = wait_until_settled(engine)
    assert (rows[-1].status, rows[-1].readings_added) == ("cancelled", 0)
    assert readings(engine) == before
    check_counts(engine)
    # What was cancelled can be sent again.
    assert upload(live_server, token, body).json["readings"]["duplicates"] == 3000


def _trickle(line: Line) -> bool:
    """A sender that goes on, slowly: the server looks whether it is to stop when the next 8 KiB have come."""
    time.sleep(0.05)
    return line.send(b"1" * 2000)


def test_cancelled_before_it_began(engine: Engine, token: str, live_server: LiveServer) -> None:
    with Line(live_server) as line:
        line.begin(token, len(BODY))
        wait_for(lambda: uploads(engine), "the upload to begin")
        request_cancel(engine, 1)
        line.send(BODY)
        line.answer()
    assert wait_until_settled(engine)[0].status == "cancelled"
    check_nothing_is_left(engine)


# --- twice, and two at once ---


def test_the_same_file_twice(engine: Engine, token: str, live_server: LiveServer) -> None:
    first = upload(live_server, token, BODY).json
    before = readings(engine)
    second = upload(live_server, token, BODY).json
    assert (first["readings"]["added"], first["readings"]["duplicates"]) == (24_000, 0)
    assert (second["readings"]["added"], second["readings"]["duplicates"]) == (0, 24_000)
    assert second["status"] == "done"
    assert [sensor["added"] for sensor in second["sensors"]] == [0] * 8
    assert readings(engine) == before
    check_counts(engine)


def test_two_uploads_at_once_into_one_source(engine: Engine, token: str, live_server: LiveServer) -> None:
    """They overlap by half; which one adds the overlap is open, the sum is not."""
    bodies = [wide_csv(10_000, 10), wide_csv(10_000, 10, start_minute=5_000)]
    with ThreadPoolExecutor(2) as pool:
        answers = [answer.json for answer in pool.map(lambda body: upload(live_server, token, body), bodies)]
    assert [answer["status"] for answer in answers] == ["done", "done"]
    assert sum(answer["readings"]["added"] for answer in answers) == 150_000
    assert sum(answer["readings"]["duplicates"] for answer in answers) == 50_000
    assert len(readings(engine)) == 150_000
    check_counts(engine)


def test_uploads_at_once_into_sources_of_their_own(engine: Engine, token: str, live_server: LiveServer) -> None:
    """On TimescaleDB each of them needs the same new chunks: 4,000 hours apart, so every few lines another."""
    lines = [f"{1900 + year}-0{month}-01 00:00:00,{year}.5,{month}.25" for year in range(100) for month in (1, 4, 7)]
    body = ("time,a,b\n" + "\n".join(lines) + "\n").encode()
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(upload, live_server, token, body, source=f"mast {number}") for number in range(4)]
        answers = [job.result().json for job in jobs]
    assert [answer["status"] for answer in answers] == ["done"] * 4
    assert [answer["readings"]["added"] for answer in answers] == [600] * 4
    assert len(readings(engine)) == 2400
    check_counts(engine)


# --- too large ---


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_the_largest_file_that_is_taken(
    engine: Engine, token: str, start_server: Callable[..., LiveServer], framing: str
) -> None:
    server = start_server(UPLOAD_MAX_BYTES=str(len(BODY)))
    assert upload(server, token, BODY).status == 201
    before = readings(engine)
    large = BODY + b"2030-01-01 00:00:00" + b",1" * 8 + b"\n"
    with Line(server) as line:
        line.begin(token, len(large) if framing == "length" else None)
        line.send(large if framing == "length" else as_chunks(large))
        answer = line.answer()
    assert answer.status == 413
    assert answer.json["error"]["code"] == "too_large"
    assert "UPLOAD_MAX_BYTES" in answer.json["error"]["message"]
    assert readings(engine) == before


def test_a_gzip_bomb_is_stopped_by_size(
    engine: Engine, token: str, make_app: Callable[[Settings], Flask], settings: Settings
) -> None:
    from dataclasses import replace

    client = make_app(replace(settings, unpacked_max_bytes=1_000_000)).test_client()
    answer = post(client, token, gzip.compress(wide_csv(40_000, 5)))
    assert answer["error"]["code"] == "unpacked_too_large"
    check_nothing_is_left(engine)


def test_a_gzip_bomb_is_stopped_by_ratio(
    engine: Engine, client: FlaskClient, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack, "RATIO_COUNTS_FROM", 2_000_000)
    monkeypatch.setattr(unpack, "MAX_RATIO", 400)
    packed = gzip.compress(b"time,a,b\n2024-01-01 00:00:00,1,2\n" + b"\n" * 6_000_000, compresslevel=9)
    answer = post(client, token, packed)
    assert answer["error"]["code"] == "unpacks_too_well"
    unpacked = int(re.search(r"unpack to ([\d,]+)", answer["error"]["message"])[1].replace(",", ""))  # type: ignore[index]
    assert 2_000_000 < unpacked < 4_000_000  # and the rest is not unpacked
    check_nothing_is_left(engine)


# --- what is no file of readings ---


def post(client: FlaskClient, token: str, body: bytes, **query: str) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    words = {"filename": "a.csv", "source": "mast"} | query
    return client.post("/api/v1/uploads", query_string=words, data=body, headers=headers).json


ROW = b"2024-01-01 00:00:00,1,2\n"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)) * 20


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b"", "empty_file", "empty"),
        (gzip.compress(b""), "empty_file", "empty"),
        (b"\n\n  \n", None, ""),
        (PNG, "not_text", "PNG"),
        (gzip.compress(PNG), "not_text", "PNG"),
        (b"time,a,b\n", None, ""),
        (b"time,a,b\ns,m,m\n", None, ""),
        (b"Dear diary,\ntoday it rained, and tomorrow too.\n" * 20, None, ""),
        (b"x" * 10_000_000, "line_too_long", "longer than"),
        (b"time,a,b\n" + ROW * 10 + b"1," * 5_000_000 + b"\n", "line_too_long", "longer than"),
        (b"time,a,b\n" + ROW * 60_000 + b"1," * 5_000_000 + b"\n" + ROW, "line_too_long", "longer than"),
        (bytes(5000), "not_text", "NUL"),
        (b"time,a,b\n" + ROW * 10 + bytes(100_000), "not_text", "NUL"),
        (gzip.compress(b"time,a,b\n" + ROW * 1000)[:-20], "truncated_gzip", "ends in the middle"),
        (b"\x1f\x8b" + bytes(range(256)) * 10, "damaged_gzip", "damaged"),
    ],
    ids=[
        *("empty", "empty gzip", "blank", "PNG", "packed PNG", "header only", "header and units", "prose"),
        *("one 10 MB line", "10 MB line", "10 MB line, late", "NULs", "NULs after rows", "cut gzip", "damaged gzip"),
    ],
)
def test_a_clear_refusal(
    engine: Engine, client: FlaskClient, token: str, body: bytes, code: str | None, words: str
) -> None:
    answer = post(client, token, body)
    assert answer["status"] == "failed"
    error = answer["error"]
    assert code is None or error["code"] == code
    assert error["code"] != "internal_error"
    assert len(error["message"]) > 20
    assert words in error["message"]
    check_nothing_is_left(engine)


def test_a_late_refusal_takes_out_what_was_stored(engine: Engine, client: FlaskClient, token: str) -> None:
    """Two megabytes of good rows are in the table when the line comes that ends it."""
    body = wide_csv(20_000, 10) + b"1," * 2_000_000
    assert post(client, token, body)["error"]["code"] == "line_too_long"
    check_nothing_is_left(engine)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "Europe", "../etc/passwd", "a\0b", "x" * 5000, "Europe/Berlin\n+1"])
def test_a_wrong_time_zone(engine: Engine, client: FlaskClient, token: str, zone: str) -> None:
    answer = post(client, token, b"time,a,b\n" + ROW, timezone=zone)
    assert "time" in answer["error"]["message"]
    assert answer["error"]["code"] != "internal_error"
    check_nothing_is_left(engine)


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("cell", ["1\0", "\0", "\ud800", "\ufeff", "\x1b[2J"])
def test_strange_letters_in_a_cell(engine: Engine, client: FlaskClient, token: str, cell: str, late: bool) -> None:
    """One odd cell is an issue with its line number, and never what the database cannot store."""
    rows = [f"2024-01-{day:02} {hour:02}:00:00,{hour},2" for day in range(1, 29) for hour in range(24)]
    rows[500 if late else 3] = f"2024-02-28 00:00:00,{cell},2"
    answer = post(client, token, "\n".join(["time,a,b", *rows, ""]).encode("utf-8", "surrogatepass"))
    assert answer["status"] == "done", answer
    assert answer["readings"]["added"] == len(rows) * 2 - 1
    assert answer["readings"]["not_numeric"] + answer["readings"]["missing"] == 1
    if answer["issues"]:
        assert [issue["line"] for issue in answer["issues"]] == [(500 if late else 3) + 2]


@pytest.mark.parametrize(
    "body",
    [
        b"time,a\0b,c\n" + ROW,
        b"time,a,b\n-,\0,m\n" + ROW * 3,
        b"tim\0e,a,b\n" + ROW,
        b"time,sensor,value\n2024-01-01 00:00:00,a\0b,2\n2024-01-01 01:00:00,c,2\n",
        b"# \0 logger\ntime,a,b\n" + ROW,
        b"2024-01-01 00:00:00\0,1,2\n" + ROW,
    ],
    ids=["name", "unit", "time column", "sensor cell", "preamble", "time"],
)
def test_a_nul_elsewhere(client: FlaskClient, token: str, body: bytes) -> None:
    """Read or refused, but never by falling over."""
    padded = body + b"".join(
        b"2024-03-01 00:%02d:00,1,2\n" % (minute % 60) for minute in range(40) if b"sensor" not in body
    )
    answer = post(client, token, padded)
    assert answer["status"] == "done" or answer["error"]["code"] != "internal_error", answer


@pytest.mark.parametrize(
    "query", [{"source": "a\0b"}, {"source": "x" * 201}, {"filename": "a\0b.csv"}, {"filename": "é" * 300}]
)
def test_strange_names(client: FlaskClient, token: str, query: dict[str, str]) -> None:
    answer = post(client, token, b"time,a,b\n" + ROW, **query)
    assert answer.get("status") == "done" or answer["error"]["code"] == "bad_source", answer
