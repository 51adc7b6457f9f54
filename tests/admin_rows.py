"""What the tests of the admin area's lists, forms and jobs put into the book, and how they read the pages."""

import html
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy.engine import Connection, Engine
from werkzeug.test import TestResponse

from daybook.admin import asked as asking
from daybook.admin import deleting, listing
from daybook.admin.described import Table
from daybook.admin.tables import BY_SLUG
from daybook.extensions import db
from daybook.models import Chat, Job, Message, Reading, Sensor, Source, TelegramUser, Upload, UploadSensor

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def add_users(engine: Engine, many: int, first: int = 1, **values: Any) -> None:
    """Bot users with the ids `first` and following."""
    row = {"last_name": "Lee", "status": "pending", "created_at": NOON} | values
    rows = [{"first_name": f"Ann{number}", **row, "user_id": number} for number in range(first, first + many)]
    with engine.begin() as connection:
        connection.execute(sa.insert(TelegramUser), rows)


def add_source(connection: Connection, source_id: int, sensors: int = 2, readings: int = 3) -> None:
    """A source with sensors 10 * source_id and following, each with readings that one upload has brought, the last one
    from a message."""
    connection.execute(sa.insert(Source).values(id=source_id, name=f"mast {source_id}"))
    upload = {"id": source_id, "filename": f"{source_id}.csv", "source_id": source_id, "status": "done"}
    connection.execute(sa.insert(Upload).values(**upload, readings_added=sensors * (readings - 1)))
    for sensor_id in range(10 * source_id, 10 * source_id + sensors):
        row = {"id": sensor_id, "source_id": source_id, "name": f"t{sensor_id}", "reading_count": readings}
        connection.execute(sa.insert(Sensor).values(row))
        connection.execute(sa.insert(UploadSensor).values(upload_id=source_id, sensor_id=sensor_id, added=readings - 1))
        times = [NOON.replace(minute=minute) for minute in range(readings)]
        rows = [{"sensor_id": sensor_id, "time": at, "value": 1.0, "upload_id": source_id} for at in times]
        if rows:
            rows[-1]["upload_id"] = None
            connection.execute(sa.insert(Reading), rows)


def add_message(connection: Connection, message_id: int, **values: Any) -> None:
    """A message that came in, in chat 1."""
    row = {"chat_id": 1, "direction": "in", "text": f"hello {message_id}", "status": "handled", "sent_at": NOON}
    connection.execute(sa.insert(Message).values({"id": message_id, "payload": {}, **row, **values}))


def add_chat(connection: Connection, chat_id: int = 1, **values: Any) -> None:
    connection.execute(sa.insert(Chat).values({"chat_id": chat_id, "created_at": NOON, **values}))


def whole_book(engine: Engine, *without: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table; `without`: of all but these."""
    tables = [table for table in db.metadata.sorted_tables if table.name not in without]
    with engine.connect() as connection:
        return {
            table.name: sorted(tuple(map(str, row)) for row in connection.execute(sa.select(table))) for table in tables
        }


def scalar(engine: Engine, query: Any) -> Any:
    with engine.connect() as connection:
        return connection.scalar(query)


# --- pages --------------------------------------------------------------------------------------------------------


def hidden(page: TestResponse | str, name: str) -> str:
    """The value of a hidden input of the page."""
    text = page if isinstance(page, str) else page.text
    found = re.search(rf'name="{name}" value="([^"]*)"', text)
    assert found, f"no input {name} in {text}"
    return html.unescape(found[1])


def keys_on(page: TestResponse) -> list[str]:
    """The keys of the rows that the list shows."""
    return [html.unescape(key) for key in re.findall(r'name="key" value="([^"]*)"', page.text)]


def complaints_on(page: TestResponse) -> list[str]:
    """What is said beside the fields, and in alerts; not again at the top, where it leads to the fields."""
    parts = re.findall(r'(?s)class="(?:invalid-feedback|alert [^"]*)"[^>]*>(.*?)</div>', page.text)
    said = [html.unescape(" ".join(re.sub("<[^>]*>", " ", part).split())) for part in parts]
    return [text for text in said if not text.startswith("Nothing is saved yet: correct what is marked below.")]


def flashed(client: FlaskClient) -> list[str]:
    """What the next page would say of what was done."""
    with client.session_transaction() as session:
        return [html.unescape(re.sub("<[^>]*>", "", text)) for _, text in session.pop("_flashes", [])]


def change_form(client: FlaskClient, path: str, **typed: str) -> dict[str, str]:
    """The row's form as it stands on its page, with some fields typed over."""
    page = client.get(path).text
    return {"seen": hidden(page, "seen")} | typed


def delete(client: FlaskClient, path: str) -> TestResponse:
    """Looks at what would go, and agrees."""
    page = client.get(f"{path}/delete")
    assert page.status_code == 200, page.text
    return client.post(f"{path}/delete", data={"mark": hidden(page, "mark")})


def mark_of(engine: Engine, slug: str, keys: list[Any]) -> str:
    """What the page that asks would carry of these rows, also where it offers no button."""
    with engine.connect() as connection:
        return deleting.plan(connection, BY_SLUG[slug], keys).mark


# --- lists --------------------------------------------------------------------------------------------------------


def look(engine: Engine, table: Table, arguments: Mapping[str, str], zone: tzinfo = UTC) -> listing.Listing:
    """The page of the list that an address with these arguments shows."""
    return listing.list_rows(engine, table, asking.read(table, arguments, zone), zone)


def walk(engine: Engine, table: Table, arguments: Mapping[str, str], zone: tzinfo = UTC) -> Iterator[listing.Listing]:
    """Page after page, from the first to the last."""
    page = look(engine, table, arguments, zone)
    yield page
    while page.next:
        page = look(engine, table, {**arguments, "after": page.next}, zone)
        yield page


def walk_back(
    engine: Engine, table: Table, arguments: Mapping[str, str], page: listing.Listing, zone: tzinfo = UTC
) -> Iterator[listing.Listing]:
    """From this page to the first one."""
    yield page
    while page.previous:
        page = look(engine, table, {**arguments, "before": page.previous}, zone)
        yield page


def keys_of(pages: Iterable[listing.Listing]) -> list[Any]:
    return [row["key"] for page in pages for row in page.rows]


# --- jobs ---------------------------------------------------------------------------------------------------------


def wait_for_job(engine: Engine, job_id: int = 1, seconds: float = 20.0) -> Any:
    """The job's row once it has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with engine.connect() as connection:
            row = connection.execute(sa.select(Job.__table__).where(Job.id == job_id)).one()
        if row.status not in ("waiting", "running"):
            return row
        time.sleep(0.02)
    raise AssertionError(f"job {job_id} did not end: {row}")
