"""The API of sources, sensors and readings, as a program sees it."""

import csv
import io
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from daybook import posted, sql
from daybook.extensions import db

Api = Callable[..., TestResponse]


@pytest.fixture
def api(client: FlaskClient, make_account: Any, bearer: Any) -> Api:
    """api("/readings?…") reads, api("/readings", {…}) posts; as an editor."""
    headers = bearer(make_account("eddie", "editor"))

    def call(path: str, body: Any = None) -> TestResponse:
        if body is None:
            return client.get(f"/api/v1{path}", headers=headers)
        data = body if isinstance(body, bytes | str) else json.dumps(body)
        return client.post(f"/api/v1{path}", data=data, headers=headers)

    return call


def reading(at: str, value: Any, sensor: str = "Temp", **more: str) -> dict[str, Any]:
    return {"sensor": sensor, "time": at, "value": value} | more


@pytest.fixture
def filled(api: Api) -> Api:
    """Two sources with three sensors."""
    readings = [reading(f"2024-06-{day:02}T12:00Z", day / 10, unit="degC") for day in range(1, 31)]
    readings += [reading("2024-06-30T23:30Z", 100), reading("2024-07-31T22:59:59.5Z", 200)]
    assert api("/readings", {"source": "Mast", "readings": readings}).status_code == 201
    wind = [reading("2024-06-01T12:00Z", 7.25, "Wind"), reading("2024-06-01T12:10Z", 8.37, "Wind")]
    assert api("/readings", {"source": "Mast", "readings": wind}).status_code == 201
    assert api("/readings", {"source": "Lab", "readings": [reading("2024-06-01", 1013)]}).status_code == 201
    return api


def rows(response: TestResponse) -> list[dict[str, str]]:
    assert response.status_code == 200, response.text
    assert response.content_type == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(response.text)))


# --- posting ---


def test_posted_readings_come_back(api: Api) -> None:
    body = {"source": " Mast ", "readings": [reading("2024-01-01T01:00:00+01:00", 8.37, " Temp ", unit="degC")]}
    answer = api("/readings", body)
    assert answer.status_code == 201
    (sensor,) = answer.json["sensors"]
    assert answer.json == {
        "source": "Mast",
        "readings": {"added": 1, "duplicates": 0},
        "sensors": [{"id": sensor["id"], "name": "Temp", "unit": "degC", "added": 1}],
    }
    assert api("/readings").json == {
        "readings": [{"source": "Mast", "sensor": "Temp", "time": "2024-01-01T00:00:00Z", "value": 8.37}]
    }


def test_posting_twice_adds_nothing_and_keeps_what_was_there(api: Api) -> None:
    readings = [reading("2024-01-01", 1), reading("2024-01-01", 2), reading("2024-01-02", 3)]
    body = {"source": "Mast", "readings": readings}
    assert api("/readings", body).json["readings"] == {"added": 2, "duplicates": 1}
    readings[0]["value"] = 9
    assert api("/readings", body).json["readings"] == {"added": 0, "duplicates": 3}
    assert [row["value"] for row in rows(api("/readings?format=csv"))] == ["1", "3"]
    assert api("/sensors").json["sensors"][0]["readings"] == 2


def test_times_without_offset_are_read_in_the_time_zone_given(api: Api) -> None:
    readings = [reading("2024-07-01T12:00", 1), reading("2024-07-01T12:00Z", 2)]
    assert api("/readings", {"source": "Mast", "timezone": "Europe/Dublin", "readings": readings}).status_code == 201
    found = rows(api("/readings?format=csv"))
    assert [row["time"] for row in found] == ["2024-07-01T11:00:00Z", "2024-07-01T12:00:00Z"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time": "31/02"}, 'readings[1].time: "31/02" is not a time; write ISO 8601'),
        ({"time": 1704067200}, 'readings[1].time: 1704067200 is not text; write "time": "…"'),
        ({"value": "3"}, 'readings[1].value: "3" is not a finite number'),
        ({"value": True}, "readings[1].value: true is not a finite number"),
        ({"value": None}, "readings[1].value: null is not a finite number"),
        ({"value": 1e400}, "readings[1].value: Infinity is not a finite number"),
        ({"value": 10**400}, "readings[1].value: 1000000"),
        ({"sensor": " "}, "readings[1].sensor: the sensor has no name"),
        ({"sensor": "a\0b"}, "readings[1].sensor: the sensor 'a\\x00b' has characters that cannot be shown"),
        ({"sensor": "\ud800"}, "readings[1].sensor: the sensor"),
        ({"sensor": "x" * 201}, "has 201 characters; at most 200 are kept"),
        ({"unit": "x" * 65}, "readings[1].unit:"),
        ({"unit": None}, "readings[1].unit: null is not text"),
        ({"vlaue": 3}, 'readings[1]: "vlaue" is not a field; the fields are sensor, time, value, unit'),
    ],
)
def test_one_bad_reading_refuses_them_all_by_name(api: Api, change: dict[str, Any], message: str) -> None:
    good, bad = reading("2024-01-01", 1), reading("2024-01-02", 2) | change
    answer = api("/readings", {"source": "Mast", "readings": [good, bad]})
    assert answer.status_code == 400
    assert answer.json["error"]["code"] == "bad_readings"
    assert message in answer.json["error"]["message"]
    assert api("/readings").json == {"readings": []}
    assert api("/sources").json == {"sources": []}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "the body is not JSON"),
        (b"\xff", "the body is not JSON"),
        ("[" * 100_000, "the body is not JSON"),
        ([], "the body: [] is not an object"),
        ({"readings": [reading("2024-01-01", 1)]}, 'source: is missing; write "source": "…"'),
        ({"source": "Mast"}, "readings is not a list of readings"),
        ({"source": "Mast", "readings": []}, "readings is not a list of readings"),
        ({"source": "Mast", "readings": ["a"]}, 'readings[0]: "a" is not an object'),
        ({"source": "Mast", "readings": [{}]}, "readings[0].sensor: is missing"),
        ({"source": "", "readings": [reading("2024-01-01", 1)]}, "source: the source has no name"),
        ({"source": "Mast", "readings": [reading("2024-01-01", 1)] * 10_001}, "readings has 10001 entries"),
        ({"source": "Mast", "zone": "UTC", "readings": []}, 'the body: "zone" is not a field'),
        ({"source": "Mast", "timezone": "Mars", "readings": []}, 'timezone "Mars" is not a time zone'),
    ],
)
def test_a_body_that_cannot_be_read(api: Api, body: Any, message: str) -> None:
    answer = api("/readings", body)
    assert answer.status_code == 400
    assert answer.json["error"]["message"].startswith(message)


def test_a_body_that_is_too_large(api: Api) -> None:
    answer = api("/readings", b" " * (1024 * 1024 + 1))
    assert (answer.status_code, answer.json["error"]["code"]) == (413, "too_large")


def test_ten_thousand_readings_at_once(api: Api) -> None:
    readings = [reading(f"2024-01-01T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z", n) for n in range(10_000)]
    assert api("/readings", {"source": "Mast", "readings": readings}).json["readings"]["added"] == 10_000
    assert len(rows(api("/readings?format=csv"))) == 10_000


def test_a_source_that_an_import_writes_to_is_busy(app: Flask, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api("/readings", {"source": "Mast", "readings": [reading("2024-01-01", 1)]})
    monkeypatch.setattr(posted.add, "__defaults__", (0.2,))
    with app.app_context(), sql.Locks(db.engine) as locks:
        assert locks.try_lock("source", 1)
        answer = api("/readings", {"source": "Mast", "readings": [reading("2024-01-02", 1)]})
        assert (answer.status_code, answer.json["error"]["code"]) == (503, "source_busy")
        assert int(answer.headers["Retry-After"]) > 0
        assert api("/readings", {"source": "Lab", "readings": [reading("2024-01-02", 1)]}).status_code == 201
    assert api("/readings", {"source": "Mast", "readings": [reading("2024-01-02", 1)]}).status_code == 201


def test_many_post_the_same_at_once(app: Flask, make_account: Any, bearer: Any) -> None:
    headers = bearer(make_account("eddie", "editor"))
    body = json.dumps({"source": "Mast", "readings": [reading(f"2024-{month:02}-01", month) for month in range(1, 13)]})
    answers: list[TestResponse] = []

    def post() -> None:
        answers.append(app.test_client().post("/api/v1/readings", data=body, headers=headers))

    threads = [threading.Thread(target=post) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [201] * 8
    assert sum(answer.json["readings"]["added"] for answer in answers) == 12
    assert sum(answer.json["readings"]["duplicates"] for answer in answers) == 7 * 12
    (sensor,) = app.test_client().get("/api/v1/sensors", headers=headers).json["sensors"]
    assert sensor["readings"] == 12


def test_a_viewer_reads_and_does_not_post(client: FlaskClient, make_account: Any, bearer: Any) -> None:
    headers = bearer(make_account("vera", "viewer"))
    assert client.get("/api/v1/readings", headers=headers).status_code == 200
    assert client.post("/api/v1/readings", data="{}", headers=headers).status_code == 403
    assert client.get("/api/v1/readings").status_code == 401


# --- lists ---


def test_sources_and_sensors(filled: Api) -> None:
    assert filled("/sources").json == {"sources": [{"name": "Lab"}, {"name": "Mast"}]}
    answer = filled("/sensors?source=Mast").json
    assert answer["next"] is None
    assert [{key: row[key] for key in ("source", "name", "unit", "readings", "last")} for row in answer["sensors"]] == [
        {
            "source": "Mast",
            "name": "Temp",
            "unit": "degC",
            "readings": 32,
            "last": {"time": "2024-07-31T22:59:59.500000Z", "value": 200},
        },
        {
            "source": "Mast",
            "name": "Wind",
            "unit": "",
            "readings": 2,
            "last": {"time": "2024-06-01T12:10:00Z", "value": 8.37},
        },
    ]


def test_sensors_are_paged_by_key(filled: Api) -> None:
    names, path = [], "/sensors?limit=1"
    while path:
        answer = filled(path).json
        names += [row["name"] for row in answer["sensors"]]
        path = f"/sensors?limit=1&next={answer['next']}" if answer["next"] else ""
    assert names == ["Temp", "Temp", "Wind"]


# --- reading out ---


def test_csv_of_chosen_sensors_and_a_range(filled: Api) -> None:
    answer = filled("/readings?source=Mast&sensor=Wind&sensor=Temp&from=2024-06-01&to=2024-06-01T12:10:00Z&format=csv")
    assert answer.text == (
        "source,sensor,time,value\nMast,Temp,2024-06-01T12:00:00Z,0.1\nMast,Wind,2024-06-01T12:00:00Z,7.25\n"
    )


def test_without_a_source_all_sources_that_have_the_sensor(filled: Api) -> None:
    found = rows(filled("/readings?sensor=Temp&to=2024-06-02&format=csv"))
    assert [(row["source"], row["value"]) for row in found] == [("Lab", "1013"), ("Mast", "0.1")]


def test_wide_csv(filled: Api) -> None:
    answer = filled("/readings?source=Mast&to=2024-06-03&format=csv&layout=wide")
    assert answer.text == (
        "time,Temp,Wind\n2024-06-01T12:00:00Z,0.1,7.25\n2024-06-01T12:10:00Z,,8.37\n2024-06-02T12:00:00Z,0.2,\n"
    )


def test_wide_buckets(filled: Api) -> None:
    answer = filled("/readings?source=Mast&to=2024-06-03&format=csv&layout=wide&bucket=1d&sensor=Wind")
    assert answer.text.splitlines() == [
        "time,Wind min,Wind max,Wind mean,Wind sum,Wind count",
        "2024-06-01T00:00:00Z,7.25,8.37,7.81,15.62,2",
    ]


def test_months_begin_and_end_where_the_zone_says(filled: Api) -> None:
    query = "source=Mast&sensor=Temp&format=csv&bucket=1mo"
    in_dublin = rows(filled(f"/readings?{query}&timezone=Europe/Dublin"))
    assert [(row["time"], row["count"], row["max"]) for row in in_dublin] == [
        ("2024-06-01T00:00:00+01:00", "30", "3"),
        ("2024-07-01T00:00:00+01:00", "2", "200"),
    ]
    in_utc = rows(filled(f"/readings?{query}"))
    assert [(row["time"], row["count"]) for row in in_utc] == [
        ("2024-06-01T00:00:00Z", "31"),
        ("2024-07-01T00:00:00Z", "1"),
    ]


def test_from_and_to_are_read_in_the_zone(filled: Api) -> None:
    query = "source=Mast&sensor=Temp&format=csv&timezone=Europe/Dublin&from=2024-07-01&to=2024-08-01"
    assert [row["time"] for row in rows(filled(f"/readings?{query}"))] == [
        "2024-07-01T00:30:00+01:00",
        "2024-07-31T23:59:59.500000+01:00",
    ]


def test_auto_buckets_keep_to_the_points(filled: Api) -> None:
    answer = filled("/readings?source=Mast&sensor=Temp&bucket=auto&points=10").json["readings"]
    assert len(answer) <= 10
    assert sum(row["count"] for row in answer) == 32
    assert set(answer[0]) == {"source", "sensor", "time", "min", "max", "mean", "sum", "count"}
    assert filled("/readings?bucket=auto&from=2030-01-01").json == {"readings": []}


def test_ndjson(filled: Api) -> None:
    answer = filled("/readings?source=Lab&format=ndjson")
    assert answer.content_type == "application/x-ndjson"
    assert [json.loads(line) for line in answer.text.splitlines()] == filled("/readings?source=Lab").json["readings"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("source=Mist", 'there is no source "Mist".'),
        ("source=Mast&sensor=Tamp", 'source "Mast" has no sensor "Tamp".'),
        ("sensor=Tamp", 'there is no sensor "Tamp".'),
        ("source=a%00b", "there is no source"),
    ],
)
def test_an_unknown_name_is_404(filled: Api, query: str, message: str) -> None:
    answer = filled(f"/readings?{query}")
    assert (answer.status_code, answer.json["error"]["code"]) == (404, "not_found")
    assert message in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("bucket=5x", 'bucket "5x" is not a width; write a number and s, min, h, d, w, mo or y, such as 1h, or auto.'),
        ("from=31/02", 'from "31/02" is not a time; write ISO 8601, such as 2024-03-31 or 2024-03-31T14:00:00Z.'),
        ("to=now", 'to "now" is not a time'),
        ("from=2024-02-01&to=2024-01-01", 'from "2024-02-01" is later than to "2024-01-01"'),
        ("timezone=Mars/Base", 'timezone "Mars/Base" is not a time zone; write an IANA name such as Europe/Dublin'),
        ("format=xml", 'format "xml" is not known; write json, csv or ndjson.'),
        ("layout=long", 'layout "long" is not known; write narrow or wide.'),
        ("layout=wide", 'layout "wide" goes with format=csv only'),
        ("layout=wide&format=csv", 'layout "wide" has one column per sensor of one source'),
        ("bucket=auto&points=1", 'points "1" is not a whole number from 2 to 100000.'),
        ("bucket=auto&points=many", 'points "many" is not a whole number'),
        ("points=10", "points goes with bucket=auto only"),
        ("senosr=Temp", '"senosr" is not a parameter here; write one of source, sensor, from'),
    ],
)
def test_a_bad_parameter_is_named(filled: Api, query: str, message: str) -> None:
    answer = filled(f"/readings?{query}")
    assert (answer.status_code, answer.json["error"]["code"]) == (400, "bad_parameter")
    assert answer.json["error"]["message"].startswith(message)


@pytest.mark.parametrize("query", ["next=x", "next=0", "limit=0", "limit=1001", "limit=-1", "next=99999999999"])
def test_a_bad_page_is_named(filled: Api, query: str) -> None:
    answer = filled(f"/sensors?{query}")
    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.json["error"]["message"]
