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
from daybook.models import Message

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
