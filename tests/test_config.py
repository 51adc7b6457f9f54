"""Settings: defaults, and messages that name the variable, the value and what to write."""

import stat
import sys
from pathlib import Path
from subprocess import PIPE, Popen

import pytest

from daybook.config import ROOT, ConfigError, Settings, database_url, read_settings


def read(folder: Path, **environ: str) -> Settings:
    return read_settings({"INSTANCE_PATH": str(folder)} | environ)


def test_nothing_need_be_set(tmp_path: Path) -> None:
    settings = read(tmp_path / "new")
    assert settings.database_url == f"sqlite:///{tmp_path / 'new' / 'daybook.sqlite3'}"
    assert (settings.port, settings.public_url, settings.chunk_interval) == (8000, "", "90 days")
    assert settings.keep_uploads


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_every_way_to_write_postgresql_means_psycopg2(scheme: str) -> None:
    assert database_url(f"{scheme}://me:secret@host/book") == "postgresql+psycopg2://me:secret@host/book"


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("PORT", "http", "whole number"),
        ("PORT", "0", "above zero"),
        ("UPLOAD_MAX_BYTES", "10 GB", "whole number"),
        ("KEEP_UPLOADS", "maybe", "yes or no"),
        ("CHUNK_INTERVAL", "3 months", "hours, days or weeks"),
        ("TELEGRAM_API_URL", "api.telegram.org", "https://api.telegram.org"),
        ("TELEGRAM_API_URL", "https://api.telegram.org?a=b", "an address"),
        ("DATABASE_URL", "mysql://host/book", "postgresql://"),
    ],
)
def test_a_bad_value_is_named_with_its_remedy(tmp_path: Path, name: str, value: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, **{name: value})
    assert name in str(caught.value)
    assert value.partition(":")[0] in str(caught.value)
    assert remedy in str(caught.value)


def test_no_password_of_a_database_gets_into_a_message(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, DATABASE_URL="mysql://me:secret@host/book")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("text", "kept"), [("yes", True), ("0", False), ("OFF", False), ("", True)])
def test_yes_and_no(tmp_path: Path, text: str, kept: bool) -> None:
    assert read(tmp_path, KEEP_UPLOADS=text).keep_uploads is kept


def test_the_secret_key_is_made_once_and_is_its_owners(tmp_path: Path) -> None:
    first, second = read(tmp_path), read(tmp_path)
    assert first.secret_key == second.secret_key
    assert len(first.secret_key) >= 32
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600
    assert read(tmp_path, SECRET_KEY="given").secret_key == "given"


def test_processes_that_start_at_once_agree_on_the_secret_key(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from daybook.config import read_settings as read; print(read().secret_key)"]
    environ = {"INSTANCE_PATH": str(tmp_path), "PATH": ""}
    processes = [Popen(command, cwd=ROOT, env=environ, stdout=PIPE) for _ in range(6)]
    keys = {process.communicate(timeout=30)[0] for process in processes}
    assert len(keys) == 1
    assert len(keys.pop().strip()) >= 32
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


def test_a_secret_key_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_text("short\n")
    with pytest.raises(ConfigError, match="delete it"):
        read(tmp_path)


def test_a_secret_that_telegram_would_refuse_is_refused_at_once_and_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="TELEGRAM_WEBHOOK_SECRET") as caught:
        read(tmp_path, TELEGRAM_WEBHOOK_SECRET="hush hush")
    assert "hush" not in str(caught.value)


def test_what_is_secret_is_not_shown_where_settings_are(tmp_path: Path) -> None:
    secrets = {
        "SECRET_KEY": "k" * 40,
        "DATABASE_URL": "postgresql://me:hidden-password@host/book",
        "TELEGRAM_BOT_TOKEN": "123456:hidden-token",
        "TELEGRAM_WEBHOOK_SECRET": "hidden-secret",
    }
    shown = repr(read(tmp_path, **secrets))
    assert not [text for text in ("k" * 40, "hidden-password", "hidden-token", "hidden-secret") if text in shown]
