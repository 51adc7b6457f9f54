"""File types through the API, as a program sees them."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

LAYOUT = {"delimiter": ";", "decimal": ",", "columns": [{"name": "Zeit", "role": "time"}]}
TEXT = b"Zeit;Wind (m/s)\n13.01.2026 00:00;1,5\n14.01.2026 00:00;2,5\n15.01.2026 00:00;3,5\n"

Api = Callable[..., TestResponse]


@pytest.fixture
def api(client: FlaskClient, make_account: Any, bearer: Any) -> Api:
    """api("PUT", "/file-types/x", {…}) asks as an editor; api(…, role="viewer") as a viewer."""
    headers = {role: bearer(make_account(role, role)) for role in ("editor", "viewer")}

    def call(method: str, path: str, body: Any = None, role: str = "editor", **more: str) -> TestResponse:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        return client.open(f"/api/v1{path}", method=method, data=data, headers=headers[role] | more)

    return call


def error(response: TestResponse, status: int) -> dict[str, str]:
    assert response.status_code == status, response.text
    found: dict[str, str] = response.json["error"]
    return found


def test_a_type_is_made_read_replaced_and_deleted(api: Api) -> None:
    made = api("POST", "/file-types", {"name": "Mast 3 %", "layout": LAYOUT})
    assert made.status_code == 201
    assert made.json == {"name": "Mast 3 %", "ready_made": False, "layout": LAYOUT}
    found = api("GET", made.headers["Location"].removeprefix("/api/v1"))
    assert (found.status_code, found.json) == (200, made.json)
    replaced = api("PUT", "/file-types/Mast%203%20%25", {"layout": {"delimiter": ","}})
    assert (replaced.status_code, replaced.json["layout"]) == (200, {"delimiter": ","})
    assert api("PUT", "/file-types/Other", {"name": "Other", "layout": {}}).status_code == 201
    assert api("DELETE", "/file-types/Other").status_code == 204
    assert error(api("DELETE", "/file-types/Other"), 404)["code"] == "not_found"
    assert "lists" in error(api("GET", "/file-types/Other"), 404)["hint"]


def test_the_list_goes_on_where_a_page_ends(api: Api) -> None:
    for number in range(120):
        assert api("POST", "/file-types", {"name": f"Type {number:03}", "layout": {}}).status_code == 201
    first = api("GET", "/file-types").json
    assert [named["name"] for named in first["file_types"]] == [f"Type {number:03}" for number in range(100)]
    second = api("GET", f"/file-types?next={first['next']}").json
    assert [named["ready_made"] for named in second["file_types"]][:21] == [False] * 20 + [True]
    assert second["next"] is None
    assert {"name", "ready_made", "layout", "about", "source"} == second["file_types"][-1].keys()
    assert error(api("GET", "/file-types?limit=3"), 400)["code"] == "bad_parameter"


def test_names_that_are_taken_and_ready_made_types_are_conflicts(api: Api) -> None:
    api("POST", "/file-types", {"name": "Mast", "layout": LAYOUT})
    assert error(api("POST", "/file-types", {"name": "MAST", "layout": {}}), 409)["code"] == "file_type_exists"
    for method, path in (("POST", "/file-types"), ("PUT", "/file-types/Campbell TOA5")):
        refused = error(api(method, path, {"name": "Campbell TOA5", "layout": {}}), 409)
        assert refused["code"] == "ready_made"
        assert "copy" in refused["hint"]
    assert error(api("DELETE", "/file-types/campbell toa5"), 409)["code"] == "ready_made"
    assert api("GET", "/file-types/campbell toa5").json["ready_made"] is True


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "bad_json"),
        (b"", 400, "bad_json"),
        (b"[]", 400, "bad_json"),
        ({"layout": {}}, 422, "bad_name"),
        ({"name": "a/b", "layout": {}}, 422, "bad_name"),
        ({"name": "a"}, 422, "bad_layout"),
        ({"name": "a", "layout": {"delimeter": ";"}}, 422, "bad_layout"),
        ({"name": "a", "layout": {"timezone": "Europe/Atlantis"}}, 422, "unknown_timezone"),
    ],
)
def test_what_is_no_type_is_refused_with_its_place(api: Api, body: Any, status: int, code: str) -> None:
    assert error(api("POST", "/file-types", body), status)["code"] == code
    assert not [named for named in api("GET", "/file-types").json["file_types"] if not named["ready_made"]]


def test_another_name_in_the_body_than_in_the_address_is_refused(api: Api) -> None:
    assert error(api("PUT", "/file-types/a", {"name": "b", "layout": {}}), 422)["code"] == "bad_name"


def test_if_match_keeps_two_programs_from_overwriting_each_other(api: Api) -> None:
    seen = api("PUT", "/file-types/Mast", {"layout": LAYOUT}).headers["ETag"]
    assert api("PUT", "/file-types/Mast", {"layout": {}}, **{"If-Match": seen}).status_code == 200
    late = api("PUT", "/file-types/Mast", {"layout": LAYOUT}, **{"If-Match": seen})
    assert error(late, 412)["code"] == "changed_meanwhile"
    assert api("GET", "/file-types/Mast").json["layout"] == {}


def test_a_viewer_reads_and_changes_nothing(api: Api) -> None:
    assert api("GET", "/file-types", role="viewer").status_code == 200
    assert api("GET", "/file-types/Campbell TOA5", role="viewer").status_code == 200
    for method, path in (("POST", "/file-types"), ("PUT", "/file-types/a"), ("DELETE", "/file-types/a")):
        assert error(api(method, path, {"name": "a", "layout": {}}, role="viewer"), 403)["code"] == "forbidden"


def test_the_layout_of_an_upload_is_a_type_as_it_is(api: Api) -> None:
    upload = api("POST", "/uploads?filename=mast.csv&source=Mast", TEXT).json
    assert upload["status"] == "done", upload
    layout = api("GET", f"/uploads/{upload['id']}").json["layout"]
    assert api("POST", "/file-types", {"name": "As it was", "layout": layout}).status_code == 201
    kept = api("GET", "/file-types/As it was").json["layout"]
    assert kept["columns"][1]["name"] == "Wind (m/s)"
    assert kept["date_order"] == "dmy"
