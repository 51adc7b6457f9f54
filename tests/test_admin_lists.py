"""Lists of the admin area: every row once, whatever is sorted, added or deleted meanwhile; no address breaks them."""

import html
import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Engine

from daybook.admin import addresses, listing
from daybook.admin.tables import BY_SLUG, TABLES
from daybook.models import Account, ApiToken, AuditEntry, Counter, FileType, Job, TelegramUpdate, TelegramUser, Upload
from tests.admin_rows import NOON, add_message, add_source, add_users, keys_of, keys_on, look, walk, walk_back

USERS, COUNTERS = BY_SLUG["users"], BY_SLUG["counters"]
SORTS = [sign + column.name for column in USERS.columns if column.sort for sign in ("", "-")]
PER_EXAMPLE = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


@pytest.fixture
def admin(client: FlaskClient, make_account: Callable[..., Any], login: Callable[..., Any]) -> FlaskClient:
    return login(client, make_account())


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "PAGE", 3)


@st.composite
def users(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Bot users of which many share a name, a status or a time."""
    ids = draw(st.lists(st.integers(1, 40) | st.integers(2**63 - 9, 2**63 - 1), min_size=1, max_size=14, unique=True))
    return [
        {
            "user_id": user_id,
            "first_name": draw(st.sampled_from(["", "a", "b", "B", "é", "😀", "%"])),
            "last_name": draw(st.sampled_from(["", "z", "_"])),
            "username": draw(st.sampled_from([None, "", "x", "Y"])),
            "status": draw(st.sampled_from(["pending", "allowed"])),
            "created_at": NOON + timedelta(microseconds=draw(st.integers(0, 2))),
        }
        for user_id in ids
    ]


def fill(engine: Engine, rows: list[dict[str, Any]]) -> None:
    with engine.begin() as connection:
        connection.execute(sa.delete(TelegramUser))
        connection.execute(sa.insert(TelegramUser), rows)


# --- sorting and pages --------------------------------------------------------------------------------------------


@PER_EXAMPLE
@given(rows=users(), sort=st.sampled_from(SORTS), most_keys=st.sampled_from([2, 5000]), found=st.booleans())
def test_pages_forwards_and_backwards_show_every_row_once_in_order(
    engine: Engine, small_pages: None, rows: list[dict[str, Any]], sort: str, most_keys: int, found: bool
) -> None:
    fill(engine, rows)
    arguments = {"sort": sort} | ({"created_at": "2026"} if found else {})
    column, direction = USERS.column(sort.removeprefix("-")), sa.desc if sort[0] == "-" else sa.asc
    assert column is not None
    with engine.connect() as connection:
        # Texts are sorted by the database's own rules.
        query = sa.select(TelegramUser.user_id).order_by(direction(column.value), direction(TelegramUser.user_id))
        expected = list(connection.scalars(query))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "MOST_KEYS", most_keys)
        pages = list(walk(engine, USERS, arguments))
        assert keys_of(pages) == expected
        assert all(len(page.rows) == 3 for page in pages[:-1])
        back = list(walk_back(engine, USERS, arguments, pages[-1]))
        assert keys_of(reversed(back)) == expected
        assert back[-1].previous is None


@PER_EXAMPLE
@given(
    rows=users(),
    sort=st.sampled_from(SORTS),
    changes=st.lists(st.tuples(st.booleans(), st.integers(1, 40)), max_size=8),
)
def test_who_stays_is_shown_once_while_others_come_and_go(
    engine: Engine, small_pages: None, rows: list[dict[str, Any]], sort: str, changes: list[tuple[bool, int]]
) -> None:
    fill(engine, rows)
    there = {row["user_id"] for row in rows}
    stay, seen = set(there), []
    page = look(engine, USERS, {"sort": sort})
    while True:
        new = [row["key"] for row in page.rows]
        if seen and set(new) <= set(seen):  # all after the place are gone: the last page is shown again
            assert page.next is None
            break
        seen += new
        with engine.begin() as connection:
            for comes, user_id in changes[:2]:
                if comes and user_id not in there:
                    connection.execute(sa.insert(TelegramUser).values(rows[0] | {"user_id": user_id}))
                    there.add(user_id)
                elif not comes and user_id in there:
                    connection.execute(sa.delete(TelegramUser).where(TelegramUser.user_id == user_id))
                    there.discard(user_id)
                    stay.discard(user_id)
        changes = changes[2:]
        if not page.next:
            break
        page = look(engine, USERS, {"sort": sort, "after": page.next})
    assert len(seen) == len(set(seen))
    assert stay <= set(seen)


@pytest.mark.parametrize("way", ["after", "before"])
def test_a_page_whose_rows_are_gone_shows_those_that_are_left(engine: Engine, small_pages: None, way: str) -> None:
    add_users(engine, 7)
    gone = look(engine, USERS, {"sort": "user_id", "after": "[3,3]"}) if way == "after" else None
    place = gone.next if gone else "[3,3]"
    with engine.begin() as connection:
        deleted = TelegramUser.user_id > 6 if gone else TelegramUser.user_id < 3
        connection.execute(sa.delete(TelegramUser).where(deleted))
    page = look(engine, USERS, {"sort": "user_id", way: place})
    assert keys_of([page]) == ([4, 5, 6] if gone else [3, 4, 5])
    assert (page.previous is not None, page.next is not None) == ((True, False) if gone else (False, True))


def test_every_table_can_be_sorted_by_each_of_its_headings(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over more than two pages, in which many rows share a value, and those have none that may."""
    add_users(engine, 8)
    with engine.begin() as connection:
        for number in range(1, 9):
            add_source(connection, number, sensors=1)
            row = {"update_id": number, "received_at": NOON, "payload": {}}
            connection.execute(sa.insert(TelegramUpdate).values(row))
            add_message(connection, number, sender_id=number % 3 or None, update_id=number)
            connection.execute(sa.insert(Counter).values(name=f"c{number}", value=number % 2))
            entry = {"action": "x", "object_type": "y", "object_id": "1", "object_repr": "z", "changes": {}}
            connection.execute(sa.insert(AuditEntry).values(entry))
            connection.execute(sa.insert(FileType).values(name=f"f{number}", layout={}))
            account = {"id": number, "username": f"a{number}", "password_hash": "x", "is_active": number % 2 == 0}
            connection.execute(sa.insert(Account).values(account))
            token = {"account_id": (number + 1) // 2, "name": "t", "token_hash": f"{number}"}
            connection.execute(sa.insert(ApiToken).values(token))
            job = {"title": "Allow", "task": "rows", "created_at": NOON + timedelta(hours=number % 2)}
            connection.execute(sa.insert(Job).values(job))
    for table in TABLES:
        for column in table.columns:
            for sign in ("", "-") if column.sort else ():
                arguments = {"sort": sign + column.name}
                monkeypatch.setattr(listing, "PAGE", 50)
                expected = [row["key"] for row in look(engine, table, arguments).rows]
                monkeypatch.setattr(listing, "PAGE", 3)
                pages = list(walk(engine, table, arguments))
                assert keys_of(pages) == expected, (table.slug, column.name)
                assert len(pages) > 2, table.slug
                back = list(walk_back(engine, table, arguments, pages[-1]))
                assert keys_of(reversed(back)) == expected, (table.slug, column.name)
                values = [row[column.name] for page in pages for row in page.rows]
                assert None not in values, (table.slug, column.name)


def test_a_page_says_which_rows_it_shows(
    engine: Engine, small_pages: None, admin: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_users(engine, 8)
    assert [(page.first, page.last) for page in walk(engine, USERS, {})] == [(1, 3), (4, 6), (7, 8)]
    last = list(walk(engine, USERS, {}))[-1]
    assert [(page.first, page.last) for page in walk_back(engine, USERS, {}, last)] == [(7, 8), (4, 6), (1, 3)]
    assert [(page.first, page.last) for page in walk(engine, USERS, {"q": "Ann8", "sort": "name"})] == [(1, 1)]
    first = admin.get("/admin/users/?status=pending&sort=name").text
    assert "1–3 of 8 matches" in first
    following = re.search(r'href="([^"]*)">Next', first)
    assert following is not None
    assert "4–6 of 8 matches" in admin.get(html.unescape(following[1])).text
    # Too far in to be counted: it says how many these are, and claims no place.
    monkeypatch.setattr(listing, "MOST_KEYS", 4)
    assert [page.first for page in walk(engine, USERS, {})] == [1, 4, None]


def test_the_number_above_a_long_list_ends_with_a_plus(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    add_users(engine, 8)
    monkeypatch.setattr(listing, "MOST_KEYS", 7)
    assert [(page.count, page.more) for page in (look(engine, USERS, {}), look(engine, USERS, {"q": "ann"}))] == [
        (7, True),
        (7, True),
    ]
    monkeypatch.setattr(listing, "MOST_KEYS", 8)
    assert [(page.count, page.more) for page in (look(engine, USERS, {}), look(engine, USERS, {"q": "ann"}))] == [
        (8, False),
        (8, False),
    ]


# --- addresses ----------------------------------------------------------------------------------------------------

HALF = json.dumps("\ud800")
PLACES = (
    'x [] [1] [1,2,3] {} {"a":1,"b":2} null 1e999 [null,null] [true,1] [1,true] [NaN,1] [1.5,1] [1,1.0] '
    '[99999999999999999999999,1] [1,99999999999999999999999] ["2026",1] ["2026-01-01T00:00:00+00:00",1] '
    '["0001-01-01T00:00:00+23:00",1] ["9999-12-31T23:59:59-23:00",1] ["a\\u0000",1] ["a","a\\u0000"] '
    f'[{HALF},1] [{HALF},{HALF}] [1,{HALF}] ["a","a"] [1,"a"] ' + "[" * 2000
).split(" ")


def test_no_broken_address_breaks_a_list(admin: FlaskClient, engine: Engine) -> None:
    add_users(engine, 2)
    with engine.begin() as connection:
        connection.execute(sa.insert(Counter).values(name="a", value=1))
    asked = ["sort=nonsense", "sort=-", "sort=--name", "sort=title", "q=%00", "q=%FF", "q=" + "9" * 200, "q=-"]
    asked += ["slug=x&_scheme=javascript&_anchor=y&key=3", "after=&before=", "q=a&q=b&sort=name&sort=-name"]
    for table in (USERS, COUNTERS, BY_SLUG["audit"], BY_SLUG["updates"]):
        sorts = [column.name for column in table.columns if column.sort]
        queries = asked + [
            f"{way}={quote(place)}&sort={name}" for way in ("after", "before") for place in PLACES for name in sorts[:3]
        ]
        queries += [f"{one.name}={value}" for one in table.filters for value in DATES]
        for query in queries:
            found = admin.get(f"/admin/{table.slug}/?{query}", headers={"HX-Request": "true"})
            assert found.status_code == 200, (table.slug, query)


DATES = "0 1899 3000 2026-13 2026-02-30 2026-1_1 +2026 2026-1-1-1 ٢٠٢٦ 99999999999999999999 -1 %00 %FF a'b".split()


def test_no_broken_way_back_breaks_a_page(admin: FlaskClient, engine: Engine) -> None:
    add_users(engine, 1)
    for back in ("&".join(f"a{number}=1" for number in range(40)), "slug=x", "_scheme=javascript&_external=1", "q=%FF"):
        for path in ("users/1", "users/add", "users/1/delete", "users/1/history"):
            found = admin.get(f"/admin/{path}", query_string={"back": back})
            assert found.status_code == 200, path
            assert "javascript:" not in found.text
        acted = admin.post("/admin/users/act", query_string=back, data={"action": "allow", "key": "1"})
        assert acted.status_code == 303
        assert acted.location.startswith("/admin/users/")
    assert admin.get("/admin/users/1/history?before=" + "9" * 30).status_code == 200
    assert admin.get("/admin/users/1?before=-" + "9" * 30).status_code == 200


# --- keys ---------------------------------------------------------------------------------------------------------

NAMES = [
    "a/b",
    "add",
    "act",
    "export.csv",
    "..",
    ".",
    "Grüße 😀",
    " lead",
    "_2F",
    "__2Fa",
    "a\\b",
    "a?b#c%2F",
    "ж" * 100,
    "1",
]


@given(st.text(min_size=1))
def test_an_address_says_every_key_in_one_part(key: str) -> None:
    written = addresses.written(key)
    assert addresses.read(written) == key
    assert "/" not in written
    assert written not in addresses.TAKEN


def test_every_row_has_its_page_whatever_its_name(admin: FlaskClient, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.insert(Counter), [{"name": name, "value": 1} for name in NAMES])
        connection.execute(sa.insert(Counter).values(name="ж" * 99 + "и", value=1))
    page = admin.get("/admin/counters/")
    assert set(NAMES) < set(keys_on(page))
    for name in NAMES:
        path = f"/admin/counters/{quote(addresses.written(name), safe='')}"
        assert f'href="{path}' in page.text, name
        shown = admin.get(path)
        assert (shown.status_code, "Nothing of it has been changed" in shown.text) == (200, True), name
        seen = shown.text.split('name="seen" value="')[1].split('"')[0]
        assert admin.post(path, data={"value": "7", "seen": seen}).status_code == 303, name
        history = admin.get(f"{path}/history")
        assert "→ 7" in history.text, name
    other = admin.get(f"/admin/counters/{quote('ж' * 99 + 'и')}/history")
    assert "→" not in other.text


def test_numbers_of_any_size_and_sign_name_rows(admin: FlaskClient, engine: Engine) -> None:
    ids = [-(2**62), -1, 2**63 - 1]
    with engine.begin() as connection:
        connection.execute(
            sa.insert(TelegramUpdate), [{"update_id": one, "received_at": NOON, "payload": {}} for one in ids]
        )
    for one in ids:
        assert admin.get(f"/admin/updates/{one}").status_code == 200
    for wrong in ("0", "01", "+1", "1_0", "1.0", "٣", "9" * 30, "-9223372036854775809", "%00", "%FF", "x"):
        assert admin.get(f"/admin/updates/{wrong}").status_code == 404, wrong
    assert admin.get(f"/admin/uploads/{2**31}").status_code == 404
    assert keys_on(admin.get(f"/admin/updates/?q={2**63 - 1}")) == [str(2**63 - 1)]


def test_an_upload_keeps_its_place_among_those_of_the_same_moment(engine: Engine, small_pages: None) -> None:
    with engine.begin() as connection:
        rows = [{"id": number, "filename": "same.csv", "created_at": NOON, "status": "done"} for number in range(1, 9)]
        connection.execute(sa.insert(Upload), rows)
    assert keys_of(walk(engine, BY_SLUG["uploads"], {})) == [8, 7, 6, 5, 4, 3, 2, 1]
    assert keys_of(walk(engine, BY_SLUG["uploads"], {"q": "SAME", "sort": "filename"})) == [1, 2, 3, 4, 5, 6, 7, 8]
