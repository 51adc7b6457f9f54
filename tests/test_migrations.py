"""The tables come, go and come again on both databases, and are what the models say."""

import logging
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_migrate import check, downgrade, upgrade

from daybook.config import Settings
from daybook.extensions import db
from daybook.models import Chat, Message, Source, Upload

MakeApp = Callable[[Settings], Flask]


@pytest.fixture(autouse=True)
def quiet_alembic(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="alembic")


def tables() -> set[str]:
    return set(sa.inspect(db.engine).get_table_names()) - {"alembic_version"}


def test_up_and_down_and_up_again(make_app: MakeApp, blank_settings: Settings) -> None:
    with make_app(blank_settings).app_context():
        wanted = {table.name for table in db.metadata.sorted_tables}
        upgrade()
        assert tables() == wanted
        check()  # `flask db check`: exits if the models and the tables differ
        downgrade(revision="base")
        assert tables() == set()
        upgrade()
        assert tables() == wanted
        check()


@pytest.mark.parametrize("database", ["timescaledb"], indirect=True)
def test_reading_is_a_hypertable_with_the_chunks_that_were_asked_for(
    make_app: MakeApp, blank_settings: Settings
) -> None:
    with make_app(replace(blank_settings, chunk_interval="7 days")).app_context():
        upgrade()
        with db.engine.connect() as connection:
            chunks = connection.exec_driver_sql(
                "SELECT time_interval FROM timescaledb_information.dimensions WHERE hypertable_name = 'reading'"
            ).scalar_one()
            indexes = connection.exec_driver_sql(
                "SELECT indexname FROM pg_indexes WHERE tablename = 'reading'"
            ).scalars()
            assert chunks.days == 7
            assert list(indexes) == ["pk_reading"]


@pytest.mark.parametrize("database", ["timescaledb"], indirect=True)
def test_a_server_without_the_extension_is_told_which_package_it_lacks(
    make_app: MakeApp, blank_settings: Settings
) -> None:
    app = make_app(blank_settings)
    with app.app_context():
        # The test server has the extension; a view in front of the catalogue hides it from whoever asks.
        with db.engine.begin() as connection:
            name = sa.make_url(blank_settings.database_url).database
            for statement in (
                "CREATE SCHEMA hiding",
                "CREATE VIEW hiding.pg_available_extensions AS "
                "SELECT * FROM pg_catalog.pg_available_extensions WHERE name <> 'timescaledb'",
                f'ALTER DATABASE "{name}" SET search_path = hiding, pg_catalog, public',
            ):
                connection.exec_driver_sql(statement)
        db.engine.dispose()
        with pytest.raises(SystemExit) as caught:
            upgrade()
        message = str(caught.value)
        assert re.search(r"postgresql-\d+-timescaledb\b", message)
        assert "shared_preload_libraries" in message
        assert "Nothing has been changed" in message
        assert not set(sa.inspect(db.engine).get_table_names(schema="hiding")) - {"alembic_version"}
        assert tables() == set()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_sqlite_keeps_readings_in_key_order(make_app: MakeApp, blank_settings: Settings) -> None:
    with make_app(blank_settings).app_context():
        upgrade()
        with db.engine.connect() as connection:
            made = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'reading'").scalar_one()
    assert "WITHOUT ROWID" in made


def test_chats_come_and_go_with_messages_and_people_in_the_book(make_app: MakeApp, blank_settings: Settings) -> None:
    with make_app(blank_settings).app_context():
        upgrade(revision="0002")
        with db.engine.begin() as connection:
            connection.exec_driver_sql(
                "INSERT INTO telegram_user (user_id, first_name, last_name, status, created_at) "
                "VALUES (5000000001, 'Ada', '', 'allowed', '2026-11-01 10:00:00')"
            )
            connection.exec_driver_sql(
                "INSERT INTO message (chat_id, sender_id, direction, text, sent_at, status) "
                "VALUES (5000000001, 5000000001, 'in', '12.50 groceries', '2026-11-01 10:00:00', 'received')"
            )
        upgrade()
        with db.engine.connect() as connection:
            [message] = connection.execute(sa.select(Message))
        assert (message.text, message.method, message.payload, message.attempts) == (
            "12.50 groceries",
            "sendMessage",
            {},
            0,
        )
        downgrade(revision="0002")
        upgrade()
        check()
        with db.engine.connect() as connection:
            assert connection.scalar(sa.select(Message.text)) == "12.50 groceries"


def test_chats_learn_when_somebody_has_last_written_undo(make_app: MakeApp, blank_settings: Settings) -> None:
    chats = [{"chat": -1, "becomes": -2}, {"chat": -2, "becomes": None}, {"chat": 3, "becomes": None}]
    said = [
        {"chat": -1, "text": "/undo", "at": "2026-11-01 11:00:00"},
        {"chat": -2, "text": "/Undo@daybook_bot", "at": "2026-11-01 10:00:00"},
        {"chat": -2, "text": "no /undo", "at": "2026-11-01 12:00:00"},
        {"chat": 3, "text": "hello", "at": "2026-11-01 09:00:00"},
    ]
    make_chat = sa.text(
        "INSERT INTO chat (chat_id, kind, title, timezone, migrated_to, created_at) "
        "VALUES (:chat, 'group', '', 'UTC', :becomes, '2026-11-01 10:00:00')"
    )
    say = sa.text(
        "INSERT INTO message (chat_id, direction, text, sent_at, status, method, payload, attempts) "
        "VALUES (:chat, 'in', :text, :at, 'handled', 'sendMessage', '{}', 0)"
    )
    with make_app(blank_settings).app_context():
        upgrade(revision="0007")
        with db.engine.begin() as connection:
            connection.execute(make_chat, chats)
            connection.execute(say, said)
        upgrade()
        with db.engine.connect() as connection:
            undos = dict(connection.execute(sa.select(Chat.chat_id, Chat.last_undo_at)).all())
        assert {chat_id: at and at.hour for chat_id, at in undos.items()} == {-1: 11, -2: 11, 3: None}
        downgrade(revision="0007")
        upgrade()
        check()


# --- ids -----------------------------------------------------------------------------------------------------------

NOW = "2026-11-01 10:00:00"
GIVEN_ONCE = ("account", "login_session", "api_token", "source", "sensor", "file_type", "upload", "message")


def fill(connection: sa.Connection) -> None:
    """A row in every table, of version 0004, that refers to a row of every table that it can."""
    values: dict[str, dict[str, object]] = {
        "account": {"id": 3, "username": "ada", "password_hash": "x", "role": "admin", "is_active": True},
        "login_session": {"id": 4, "account_id": 3, "key_hash": "k", "address": "", "browser": ""},
        "login_throttle": {"kind": "account", "subject": "ada", "failures": 1},
        "api_token": {"id": 5, "account_id": 3, "name": "mast", "token_hash": "h"},
        "telegram_user": {"user_id": 5000000001, "first_name": "A", "last_name": "", "status": "s", "approved_by": 3},
        "telegram_update": {"update_id": 900, "payload": "{}"},
        "source": {"id": 6, "name": "mast"},
        "sensor": {"id": 7, "source_id": 6, "name": "t", "unit": "", "label": "", "kind": "gauge", "reading_count": 1},
        "file_type": {"id": 8, "name": "logger", "layout": "{}"},
        "upload": {
            "id": 9,
            "filename": "a.csv",
            "source_id": 6,
            "file_type_id": 8,
            "account_id": 3,
            "api_token_id": 5,
            "telegram_user_id": 5000000001,
            "options": "{}",
            "status": "done",
            "cancel_requested": False,
        },
        "upload_sensor": {"upload_id": 9, "sensor_id": 7, "added": 1, "created": True},
        "upload_issue": {
            "id": 10,
            "upload_id": 9,
            "line": 1,
            "column": "",
            "value": "",
            "reason": "",
            "rejected": True,
        },
        "chat": {"chat_id": 5000000001, "kind": "private", "title": "", "timezone": "UTC", "source_id": 6},
        "message": {
            "id": 11,
            "chat_id": 5000000001,
            "telegram_message_id": 1,
            "update_id": 900,
            "sender_id": 5000000001,
            "direction": "in",
            "text": "t 1",
            "status": "handled",
            "sensor_id": 7,
        },
        "message_reading": {"id": 12, "message_id": 11, "line": 1, "sensor_id": 7, "value": 1.0},
        "reading": {"sensor_id": 7, "value": 1.0, "upload_id": 9},
        "replacement": {"upload_id": 9, "sensor_id": 7, "value": 1.0, "old_value": 2.0},
        "counter": {"name": "greeting", "value": 1},
        "audit_entry": {
            "id": 13,
            "account_id": 3,
            "action": "change",
            "object_type": "source",
            "object_repr": "m",
            "changes": "{}",
        },
        "job": {"id": 14, "account_id": 3, "title": "t", "task": "rows", "parameters": "{}", "status": "done"},
    }
    times = {"created_at", "last_seen_at", "last_failure_at", "received_at", "sent_at", "at"}
    for name, row in values.items():
        needed = [column for column in sa.inspect(connection).get_columns(name) if not column["nullable"]]
        for column in needed:
            if column["name"] in times:
                row[column["name"]] = NOW
            elif column["name"] == "time":
                row["time"] = 1_700_000_000_000_000 if connection.dialect.name == "sqlite" else NOW
            elif column["name"] == "object_id":
                row["object_id"] = "40"
            elif column["name"] not in row and column.get("default") is None:
                row[column["name"]] = False if isinstance(column["type"], sa.Boolean) else 0
        names = ", ".join(f'"{column}"' for column in row)
        places = ", ".join(f":{column}" for column in row)
        connection.execute(sa.text(f"INSERT INTO {name} ({names}) VALUES ({places})"), row)


def everything(connection: sa.Connection) -> dict[str, list[str]]:
    return {
        name: sorted(map(str, connection.exec_driver_sql(f"SELECT * FROM {name}")))
        for name in sa.inspect(connection).get_table_names()
        if name != "alembic_version"
    }


def written(value: object) -> object:
    """The value as text; of an index's condition, its words."""
    return {name: str(text) for name, text in value.items()} if isinstance(value, dict) else value


def shape(connection: sa.Connection) -> dict[str, tuple[list[str], ...]]:
    """What keys, unique constraints and indexes there are, where they lead and what they do."""
    look = sa.inspect(connection)
    return {
        name: (
            sorted(map(str, look.get_columns(name))),
            sorted(map(str, look.get_foreign_keys(name))),
            sorted(map(str, look.get_unique_constraints(name))),
            sorted(str({key: written(value) for key, value in index.items()}) for index in look.get_indexes(name)),
        )
        for name in look.get_table_names()
    }


def test_ids_that_are_given_once_come_and_go_with_rows_in_every_table(
    make_app: MakeApp, blank_settings: Settings
) -> None:
    with make_app(blank_settings).app_context():
        upgrade(revision="0004")
        with db.engine.begin() as connection:
            fill(connection)
        with db.engine.connect() as connection:
            rows, before = everything(connection), shape(connection)
        assert all(rows.values()), [name for name, found in rows.items() if not found]
        for move, version in ((upgrade, "0005"), (downgrade, "0004"), (upgrade, "0005")):
            move(revision=version)
            with db.engine.connect() as connection:
                assert everything(connection) == rows
                assert shape(connection) == before
        upgrade()
        check()
        with db.engine.begin() as connection:  # and what goes along with a row still does
            connection.exec_driver_sql("DELETE FROM upload")
            connection.exec_driver_sql("DELETE FROM source")
            connection.exec_driver_sql("DELETE FROM account")
            left = everything(connection)
            assert [left[name] for name in ("upload_sensor", "upload_issue", "sensor", "api_token")] == [[]] * 4
            assert connection.exec_driver_sql("SELECT source_id FROM chat").scalar() is None
            with pytest.raises(sa.exc.IntegrityError):
                connection.exec_driver_sql("INSERT INTO upload_sensor (upload_id, sensor_id) VALUES (99, 99)")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_next_id_is_above_all_that_are_known_to_have_been_given(
    make_app: MakeApp, blank_settings: Settings
) -> None:
    """A source 40 is in the audit; the highest that is there is 6."""
    with make_app(blank_settings).app_context():
        upgrade(revision="0004")
        with db.engine.begin() as connection:
            fill(connection)
            connection.exec_driver_sql("UPDATE message SET reply_to_id = 70")
            connection.exec_driver_sql("UPDATE upload SET replaces_id = 80")
        upgrade()
        with db.engine.begin() as connection:
            assert connection.execute(sa.insert(Source).values(name="b").returning(Source.id)).scalar() == 41
            row = {"chat_id": 1, "direction": "in", "text": "a"}
            assert connection.execute(sa.insert(Message).values(row).returning(Message.id)).scalar() == 71
            new = sa.insert(Upload).values(filename="b.csv").returning(Upload.id)
            assert connection.execute(new).scalar() == 81


def test_an_id_is_given_once(make_app: MakeApp, blank_settings: Settings) -> None:
    with make_app(blank_settings).app_context():
        upgrade()
        assert {name for name, table in db.metadata.tables.items() if table.kwargs.get("sqlite_autoincrement")} == set(
            GIVEN_ONCE
        )
        with db.engine.begin() as connection:
            for name in ("a", "b"):
                source_id = connection.execute(sa.insert(Source).values(name=name).returning(Source.id)).scalar_one()
                connection.execute(sa.delete(Source))
            assert source_id == 2
            if connection.dialect.name == "sqlite":
                made = dict(
                    connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'table'").all()
                )
                assert all("AUTOINCREMENT" in made[name] for name in GIVEN_ONCE)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_row_that_refers_to_nothing_is_named_and_nothing_is_changed(
    make_app: MakeApp, blank_settings: Settings
) -> None:
    with make_app(blank_settings).app_context():
        upgrade(revision="0004")
        with db.engine.connect() as connection:
            driver = connection.connection.driver_connection
            driver.execute("PRAGMA foreign_keys=OFF")
            driver.execute("INSERT INTO sensor VALUES (1, 99, 't', '', '', 'gauge', 0)")
            driver.execute("PRAGMA foreign_keys=ON")
        with pytest.raises(SystemExit, match="Row 1 of the table sensor refers to a row of source that is not there"):
            upgrade()
        with db.engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "0004"
            made = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'upload'").scalar_one()
            assert "AUTOINCREMENT" not in made
