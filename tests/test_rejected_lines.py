"""The rejected lines of an upload as a file: mended and uploaded again, it brings exactly what was missing."""

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import Engine

from daybook import import_row
from daybook.models import Upload, UploadIssue
from daybook.rejected_lines import _Lines
from tests.wire import check_counts, readings

HEAD = b"Station: North\r\nlogger 7\r\n\r\ntime,wind,rain\r\n,m/s,mm\r\n"
GOOD = [b"2026-01-01 00:%02d:00,%d.5,%d\r\n" % (minute, minute, minute) for minute in range(20)]
BAD = {3: b"2026-01-01 00:03:00,3.5\r\n", 11: b"never,11.5,11\r\n", 19: b"2026-01-01 00:19:00;19.5;19\r\n"}
FILE = HEAD + b"".join(BAD.get(number, line) for number, line in enumerate(GOOD))


@pytest.fixture
def headers(make_account: Callable[..., Any], bearer: Callable[..., dict[str, str]]) -> dict[str, str]:
    return bearer(make_account("edda", "editor"))


def upload(client: FlaskClient, headers: dict[str, str], body: bytes, **query: str) -> Any:
    query = {"source": "m", "filename": "mast.csv"} | query
    return client.post("/api/v1/uploads", query_string=query, data=body, headers=headers).get_json()


def rejected(client: FlaskClient, headers: dict[str, str], upload_id: int) -> Any:
    return client.get(f"/api/v1/uploads/{upload_id}/rejected", headers=headers)


@pytest.mark.parametrize("packed", [False, True])
def test_the_rejected_lines_come_behind_the_lines_above_the_data_byte_for_byte(
    client: FlaskClient, headers: dict[str, str], packed: bool
) -> None:
    body, name = (gzip.compress(FILE), "mast.csv.gz") if packed else (FILE, "mast.csv")
    found = upload(client, headers, body, filename=name)
    assert found["lines"]["rejected"] == 3
    answer = rejected(client, headers, found["id"])
    assert answer.status_code == 200
    assert answer.data == HEAD + BAD[3] + BAD[11] + BAD[19]
    assert answer.headers["Content-Disposition"] == "attachment; filename=mast-rejected.csv"
    assert answer.mimetype == "text/csv"
    assert "Daybook-Hint" not in answer.headers


def test_mended_and_uploaded_again_they_bring_exactly_what_was_missing(
    client: FlaskClient, headers: dict[str, str], engine: Engine
) -> None:
    first = upload(client, headers, FILE)
    mended = rejected(client, headers, first["id"]).data
    for number, line in BAD.items():
        mended = mended.replace(line, GOOD[number])
    second = upload(client, headers, mended)
    assert second["lines"]["rejected"] == 0
    assert second["readings"]["added"] == 6
    assert second["readings"]["duplicates"] == 0
    in_pieces = {key: value for key, (value, _) in readings(engine).items()}
    for number in (second["id"], first["id"]):
        client.delete(f"/api/v1/uploads/{number}", headers=headers)
    upload(client, headers, HEAD + b"".join(GOOD))
    assert {key: value for key, (value, _) in readings(engine).items()} == in_pieces
    check_counts(engine)


def test_old_macintosh_line_ends_stay(client: FlaskClient, headers: dict[str, str]) -> None:
    found = upload(client, headers, FILE.replace(b"\r\n", b"\r"))
    expected = (HEAD + BAD[3] + BAD[11] + BAD[19]).replace(b"\r\n", b"\r")
    assert rejected(client, headers, found["id"]).data == expected


def test_a_last_line_without_an_end_gets_none(client: FlaskClient, headers: dict[str, str]) -> None:
    found = upload(client, headers, FILE.removesuffix(b"\r\n"))
    assert rejected(client, headers, found["id"]).data == (HEAD + BAD[3] + BAD[11] + BAD[19]).removesuffix(b"\r\n")


def test_letters_of_other_encodings_stay_as_they_were(client: FlaskClient, headers: dict[str, str]) -> None:
    body = FILE.replace(b"North", "Görlitz °".encode("cp1252"))
    found = upload(client, headers, body)
    assert rejected(client, headers, found["id"]).data.startswith("Station: Görlitz °".encode("cp1252"))


def test_where_there_are_none_it_says_so(client: FlaskClient, headers: dict[str, str], tmp_path: Path) -> None:
    whole = upload(client, headers, HEAD + b"".join(GOOD))["id"]
    failed = upload(client, headers, b"")["id"]
    undone = upload(client, headers, FILE)["id"]
    client.delete(f"/api/v1/uploads/{undone}", headers=headers)
    for number, words in (
        (whole, "No line of upload"),
        (failed, "is failed"),
        (undone, "is undone"),
        (99, "no upload"),
    ):
        answer = rejected(client, headers, number)
        assert answer.status_code == 404
        assert words in answer.get_json()["error"]["message"]


def test_without_the_kept_file_there_are_none(client: FlaskClient, headers: dict[str, str], settings: Any) -> None:
    found = upload(client, headers, FILE)
    (settings.instance_path / "uploads" / f"{found['id']}.zst").unlink()
    answer = rejected(client, headers, found["id"])
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, "no_rejected_lines")
    assert "No copy" in answer.get_json()["error"]["message"]


@pytest.mark.parametrize("kind", ["json", "zip"])
def test_of_a_file_that_is_no_text_there_are_none(
    client: FlaskClient,
    headers: dict[str, str],
    make_account: Callable[..., Any],
    login: Callable[..., Any],
    engine: Engine,
    settings: Any,
    kind: str,
) -> None:
    found = upload(client, headers, FILE)
    login(client, make_account("vera", "viewer"))
    page = f"/uploads/{found['id']}"
    assert f'href="{page}/rejected"' in client.get(page).text
    if kind == "json":
        with engine.begin() as connection:
            layout = found["layout"] | {"file": "json"}
            connection.execute(sa.update(Upload).values(layout=layout))
    else:  # of an archive, the layout is that of the text in it
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("mast.csv", FILE)
        path = settings.instance_path / "uploads" / f"{found['id']}.zst"
        path.unlink()
        path.with_suffix(".gz").write_bytes(gzip.compress(packed.getvalue()))
    answer = rejected(client, headers, found["id"])
    assert answer.status_code == 404
    assert "is not plain text" in answer.get_json()["error"]["message"]
    assert f'href="{page}/rejected"' not in client.get(page).text


def test_the_page_says_which_files_of_an_archive_were_left_out(
    client: FlaskClient, headers: dict[str, str], make_account: Callable[..., Any], login: Callable[..., Any]
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("mast.csv", b"time,a\n" + b"".join(b"2026-01-%02d,%d\n" % (d, d) for d in range(1, 9)))
        archive.writestr("readme.txt", b"hello\n")
    found = upload(client, headers, packed.getvalue())
    login(client, make_account("vera", "viewer"))
    page = client.get(f"/uploads/{found['id']}").text
    assert "<summary>1 file could not be read</summary>" in page
    assert 'data-label="Line">all</td><td class="break" data-label="Column">readme.txt</td>' in page


def test_more_rejected_lines_than_are_listed_are_told(
    client: FlaskClient, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_row, "MAX_ISSUES", 2)
    found = upload(client, headers, FILE)
    answer = rejected(client, headers, found["id"])
    assert answer.data == HEAD + BAD[3] + BAD[11]
    assert answer.headers["Daybook-Hint"] == "Only the first 2 of 3 rejected lines are known by their numbers."


def test_cells_that_are_no_numbers_are_no_rejected_lines(client: FlaskClient, headers: dict[str, str]) -> None:
    found = upload(client, headers, FILE.replace(b",5.5,5", b",broken,5"))
    assert found["readings"]["not_numeric"] == 1
    assert b"broken" not in rejected(client, headers, found["id"]).data


def test_the_page_links_to_them(
    client: FlaskClient, headers: dict[str, str], make_account: Callable[..., Any], login: Callable[..., Any]
) -> None:
    first = upload(client, headers, FILE)["id"]
    whole = upload(client, headers, HEAD + b"".join(GOOD), source="other")["id"]
    login(client, make_account("vera", "viewer"))
    assert "Download the 3 rejected lines" in client.get(f"/uploads/{first}").text
    assert client.get(f"/uploads/{first}/rejected").data == HEAD + BAD[3] + BAD[11] + BAD[19]
    assert "rejected line<" not in client.get(f"/uploads/{whole}").text
    answer = client.get(f"/uploads/{whole}/rejected")
    assert answer.status_code == 404
    assert f"No line of upload {whole} was rejected" in answer.text


# --- the lines themselves


@given(
    lines=st.lists(
        st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=6), min_size=2, max_size=12
    ),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]),
    ended=st.booleans(),
    size=st.integers(1, 40),
    data=st.data(),
)
def test_chosen_lines_are_those_bytes_of_the_file(
    lines: list[str], end: str, encoding: str, ended: bool, size: int, data: st.DataObject
) -> None:
    texts = [line + end for line in lines]
    if not ended:
        texts[-1] = lines[-1] or "x"
    mark = {"utf-8-sig": "\ufeff", "utf-16": "\ufeff"}.get(encoding, "")
    plain = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le"}.get(encoding, encoding)
    body = (mark + "".join(texts)).encode(plain)
    data_line = data.draw(st.integers(1, len(lines)))
    wanted = sorted(data.draw(st.sets(st.integers(data_line, len(lines)))))
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    found = b"".join(_Lines(body, encoding.removesuffix("-sig")).chosen(pieces, data_line, wanted))
    kept = [*texts[: data_line - 1], *(texts[number - 1] for number in wanted)]
    assert found == (mark + "".join(kept)).encode(plain)


def test_every_issue_of_a_rejected_line_says_so(client: FlaskClient, headers: dict[str, str], engine: Engine) -> None:
    upload(client, headers, FILE)
    with engine.connect() as connection:
        lines = connection.scalars(sa.select(UploadIssue.line).where(UploadIssue.rejected).order_by(UploadIssue.line))
        assert list(lines) == [number + 6 for number in BAD]
