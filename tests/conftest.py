"""What every test stands on: both databases, accounts, a real server and a real browser.

A test that asks for `app` (or anything that needs it) runs once per database; `--only sqlite` leaves the other one,
and the browser where there is none, out. Which tests those are, and how to run them, stands in CONTRIBUTING.md.
"""

import os
import re
import shutil
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import DEVNULL, STDOUT, Popen, TimeoutExpired
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner
from flask_migrate import upgrade
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from sqlalchemy.engine import Engine

from app import create_app
from daybook import chat_files, outbox, sql
from daybook.config import ROOT, Settings, database_url
from daybook.extensions import db
from tests.telegram_standin import TelegramStandin
from tests.telegram_updates import Phone

DATABASES = ("sqlite", "timescaledb")
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",  # Chromium's own sandbox does not start for root, nor in most containers
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PASSWORD = "a long walk by the river"


# --- which databases ---------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--only", choices=DATABASES, help="run the tests on this database alone")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes more than a few seconds; script/test --quick leaves it out")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test that touches data runs once per database, unless it names its own with parametrize."""
    if "database" not in metafunc.fixturenames:
        return
    if any("database" in str(mark.args[0]) for mark in metafunc.definition.iter_markers("parametrize")):
        return
    only = metafunc.config.getoption("--only")
    metafunc.parametrize("database", [only] if only else DATABASES, indirect=True)


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str:
    """Which database this test runs on: "sqlite" or "timescaledb"."""
    name: str = request.param
    only = request.config.getoption("--only")
    if only not in (None, name):
        pytest.skip(f"needs {name}; --only {only} was given")
    return name


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> None:
    """Hashing a password is slow on purpose; the tests, which do it hundreds of times, have nothing to protect."""
    from daybook import passwords

    passwords.hasher = passwords.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def migrate(settings: Settings) -> None:
    """Makes every table in the database of these settings."""
    app = create_app(settings)
    with app.app_context():
        upgrade()
        db.engine.dispose()


def settings_for(url: str, folder: Path) -> Settings:
    """Settings as read_settings() makes them, for this database and with everything else in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return Settings(database_url=database_url(url), secret_key="only for tests " + "x" * 32, instance_path=folder)


@contextmanager
def fresh_postgresql(name: str) -> Iterator[str]:
    """The URL of an empty database of this name on the test server; it is dropped at the end."""
    server = os.environ.get("TEST_DATABASE_URL")
    if not server:
        pytest.fail(
            "TEST_DATABASE_URL is not set, so there is no TimescaleDB to test on. Start one and name it:\n"
            '  script/timescaledb start; export TEST_DATABASE_URL="$(script/timescaledb url)"\n'
            "or leave it out with --only sqlite.",
            pytrace=False,
        )
    server = database_url(server)
    admin = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    try:
        with admin.connect() as connection:
            connection.exec_driver_sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            # template1 may have somebody connected (Timescale's own scheduler, for one); nobody can be in template0.
            connection.exec_driver_sql(f"CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8'")
            # No test pulls the plug of the machine; what processes lose by being killed stays the same.
            connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    except sa.exc.OperationalError as error:
        pytest.fail(f"TEST_DATABASE_URL is set, but its server does not do what is asked: {error.orig}", pytrace=False)
    try:
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    finally:
        with admin.connect() as connection:
            connection.exec_driver_sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        admin.dispose()


@pytest.fixture(scope="session")
def timescaledb_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One database with every table for the whole run, empty when a test gets it (see `settings`)."""
    with fresh_postgresql(f"daybook_test_{os.getpid()}") as url:
        migrate(settings_for(url, tmp_path_factory.mktemp("timescaledb")))
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with every table, copied for each test."""
    folder = tmp_path_factory.mktemp("sqlite")
    path = folder / "template.sqlite3"
    migrate(settings_for(f"sqlite:///{path}", folder))
    return path


def empty_tables(url: str) -> None:
    """Takes every row out, and lets ids start at 1 again.

    Deleting the few rows that a test leaves takes a tenth of the time of TRUNCATE, which makes new files for every
    table. Readings go with their chunks, so that the next test makes its own.
    """
    names = [table.name for table in db.metadata.sorted_tables]
    rows = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT FROM \"{name}\")" for name in names)
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    # A thread of the test before may still be at work.
    sql.again_after_deadlock(lambda: _empty(engine, names, rows))
    engine.dispose()


def _empty(engine: Engine, names: list[str], rows: str) -> None:
    with engine.begin() as connection:
        filled = set(connection.exec_driver_sql(rows).scalars())
        if connection.exec_driver_sql("SELECT EXISTS (SELECT FROM timescaledb_information.chunks)").scalar():
            connection.exec_driver_sql("TRUNCATE reading")
        for name in reversed(names):
            if name in filled - {"reading"}:
                connection.exec_driver_sql(f'DELETE FROM "{name}"')
        connection.exec_driver_sql(
            "SELECT setval(format('%%I.%%I', schemaname, sequencename)::regclass, start_value, false) "
            "FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL"
        )


@pytest.fixture
def settings(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings with an empty, migrated database and an instance folder of their own."""
    folder = tmp_path / "instance"
    if database == "sqlite":
        folder.mkdir()
        path = folder / "daybook.sqlite3"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        return settings_for(f"sqlite:///{path}", folder)
    url = request.getfixturevalue("timescaledb_url")
    empty_tables(url)
    return settings_for(url, folder)


@pytest.fixture
def blank_settings(database: str, tmp_path: Path) -> Iterator[Settings]:
    """Settings with a database that no migration has touched."""
    if database == "sqlite":
        yield settings_for(f"sqlite:///{tmp_path / 'blank.sqlite3'}", tmp_path / "instance")
        return
    with fresh_postgresql(f"daybook_blank_{os.getpid()}") as url:
        yield settings_for(url, tmp_path / "instance")


@pytest.fixture
def make_app() -> Iterator[Callable[[Settings], Flask]]:
    """Makes apps and closes their connections at the end."""
    apps = []

    def make(settings: Settings) -> Flask:
        app = create_app(settings)
        # Exceptions reach the test, and forms need no CSRF token; test_guard switches that back on and tests it.
        app.config.update(TESTING=True, WTF_CSRF_ENABLED=False)
        apps.append(app)
        return app

    yield make
    for app in apps:
        with app.app_context():
            chat_files.stop(db.engine)
            outbox.stop(db.engine)
            db.session.remove()
            db.engine.dispose()


@pytest.fixture
def signals() -> Iterator[None]:
    """For tests of commands that run until they are told to stop: signals mean what they meant before, afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def phone() -> Phone:
    """A telephone on which nobody has written yet."""
    return Phone()


@pytest.fixture
def telegram() -> Iterator[TelegramStandin]:
    """A server that plays Telegram's Bot API and records every call."""
    with TelegramStandin() as standin:
        yield standin


@pytest.fixture
def bot_settings(settings: Settings, telegram: TelegramStandin) -> Settings:
    """Settings with a bot whose Telegram is `telegram`: make_app(bot_settings) is the app that talks to it."""
    return replace(
        settings,
        telegram_bot_token=telegram.token,
        telegram_webhook_secret="Only-for_tests-0123456789",
        telegram_api_url=telegram.url,
    )


@pytest.fixture
def app(make_app: Callable[[Settings], Flask], settings: Settings) -> Flask:
    """The app on an empty database. No context is pushed: write `with app.app_context():` around what needs one."""
    return make_app(settings)


@pytest.fixture
def engine(app: Flask) -> Engine:
    """The engine of the app's database."""
    with app.app_context():
        return db.engine


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    return app.test_cli_runner()


# --- accounts ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Person:
    """An account as its owner knows it."""

    id: int
    username: str
    password: str
    role: str


@pytest.fixture
def make_account(app: Flask) -> Callable[..., Person]:
    """make_account("vera", "viewer") makes an account and returns it as a Person."""
    from daybook import accounts

    def make(username: str = "ada", role: str = "admin", password: str = PASSWORD) -> Person:
        with app.app_context():
            account = accounts.create_account(username, password, role)
            return Person(account.id, account.username, password, account.role)

    return make


@pytest.fixture
def login() -> Callable[[FlaskClient, Person], FlaskClient]:
    """login(client, person) signs in through the page, and returns the client."""

    def sign_in(client: FlaskClient, person: Person) -> FlaskClient:
        form = {"username": person.username, "password": person.password, "csrf_token": csrf_token(client)}
        response = client.post("/login", data=form)
        assert response.status_code == 302, response.text
        return client

    return sign_in


@pytest.fixture
def token_for(app: Flask) -> Callable[..., str]:
    """token_for(person) makes an API token and returns its plain text."""
    from daybook import api_tokens
    from daybook.models import Account

    def make(person: Person, name: str = "test") -> str:
        with app.app_context():
            return api_tokens.create_token(db.session.get_one(Account, person.id), name)

    return make


@pytest.fixture
def token(make_account: Callable[..., Person], token_for: Callable[..., str]) -> str:
    """The API token of an admin."""
    return token_for(make_account())


@pytest.fixture
def bearer(token_for: Callable[..., str]) -> Callable[[Person], dict[str, str]]:
    """bearer(person) is the header that a program sends: client.get(…, headers=bearer(person))."""
    return lambda person: {"Authorization": f"Bearer {token_for(person)}"}


def csrf_token(client: FlaskClient) -> str:
    """The CSRF token that a page would hand to this client (for the header X-CSRFToken or the field csrf_token)."""
    found = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', client.get("/").text)
    assert found, "the home page holds no CSRF token"
    return found[1]


# --- a real server -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LiveServer:
    """A gunicorn that runs as script/server runs it."""

    url: str
    port: int
    process: "Popen[bytes]"
    log: Path

    def workers(self) -> list[int]:
        """The process ids of gunicorn's workers."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def stop(self) -> None:
        """Ends the server as an operator would, and for good if it does not listen."""
        if self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(20)
        except TimeoutExpired:
            self.process.kill()
            self.process.wait(5)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def start_server(settings: Settings, tmp_path: Path) -> Iterator[Callable[..., LiveServer]]:
    """start_server(**environment) starts gunicorn on the test's database; all are stopped at the end.

    Tests that kill and start again call it themselves; all others use `live_server`.
    """
    servers: list[LiveServer] = []

    def start(**environment: str) -> LiveServer:
        port = free_port()
        log = tmp_path / f"server-{port}.log"
        command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "app:create_app()"]
        settings_as_environment = {
            "DATABASE_URL": settings.database_url,
            "SECRET_KEY": settings.secret_key,
            "INSTANCE_PATH": str(settings.instance_path),
            "PORT": str(port),
        }
        inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
        with log.open("wb") as output:
            process = Popen(
                command,
                cwd=ROOT,
                env=inherited | settings_as_environment | environment,
                stdin=DEVNULL,
                stdout=output,
                stderr=STDOUT,
            )
        server = LiveServer(f"http://127.0.0.1:{port}", port, process, log)
        servers.append(server)
        wait_until_healthy(server)
        return server

    yield start
    for server in servers:
        server.stop()


def wait_until_healthy(server: LiveServer, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.url}/healthz", timeout=5):  # noqa: S310 - our own http URL
                return
        except urllib.error.HTTPError as error:
            error.close()
            break
        except OSError:
            time.sleep(0.05)
    server.stop()
    pytest.fail(f"The server did not become healthy. It said:\n{server.log.read_text()}", pytrace=False)


@pytest.fixture
def live_server(start_server: Callable[..., LiveServer]) -> LiveServer:
    """A running server on the test's database; `app` and `make_account` work on the same one."""
    return start_server()


# --- a real browser ----------------------------------------------------------------------------------------------


class PageProblems:
    """Console errors, uncaught exceptions and CSP violations of a test's pages; any that stay fail the test."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._expected_statuses: set[int] = set()

    def expect_status(self, *statuses: int) -> None:
        """Answers with these statuses are part of the test (Chromium reports every 4xx and 5xx as an error)."""
        self._expected_statuses.update(statuses)

    def watch(self, context: BrowserContext) -> None:
        context.add_init_script(
            "document.addEventListener('securitypolicyviolation', (event) => "
            "console.error('CSP violation', event.violatedDirective, event.blockedURI))"
        )
        context.on("console", lambda message: self._console(message.type, message.text, message.page))
        context.on("weberror", lambda error: self.found.append(f"uncaught exception: {error.error}"))

    def _console(self, kind: str, text: str, page: Page | None) -> None:
        if kind not in ("error", "warning"):
            return
        status = re.search(r"responded with a status of (\d+)", text)
        if status and int(status[1]) in self._expected_statuses:
            return
        self.found.append(f"console {kind} on {page.url if page else '?'}: {text}")


@pytest.fixture(scope="session")
def browser(pytestconfig: pytest.Config) -> Iterator[Browser]:
    """Chromium, started once for the run."""
    if not Path(CHROMIUM).exists():
        missing = f"There is no Chromium at {CHROMIUM}: install Debian's package chromium, or name one in CHROMIUM."
        if pytestconfig.getoption("--only") == "sqlite":
            pytest.skip(missing)
        pytest.fail(missing + " --only sqlite does without.", pytrace=False)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def problems() -> Iterator[PageProblems]:
    """What went wrong on the test's pages. `problems.expect_status(422)` lets an expected refusal pass."""
    problems = PageProblems()
    yield problems
    assert not problems.found, "\n".join(problems.found)


@pytest.fixture
def new_page(browser: Browser, live_server: LiveServer, problems: PageProblems) -> Iterator[Callable[..., Page]]:
    """new_page(width=375, java_script_enabled=False, color_scheme="dark") opens a page with cookies of its own.

    Paths are relative to the live server: page.goto("/login").
    """
    contexts: list[BrowserContext] = []

    def make(width: int = 1280, height: int = 800, **options: Any) -> Page:
        # Without motion, so that nothing is looked at while it fades from one colour to another.
        defaults = {"viewport": {"width": width, "height": height}, "locale": "en-GB", "reduced_motion": "reduce"}
        context = browser.new_context(base_url=live_server.url, **(defaults | options))
        context.set_default_timeout(10_000)
        problems.watch(context)
        contexts.append(context)
        return context.new_page()

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    """A desktop page on the live server; the test fails if it reports any error."""
    return new_page()


def sign_in(page: Page, person: Person) -> None:
    """Signs in through the login page."""
    page.goto("/login")
    page.get_by_label("Name").fill(person.username)
    page.get_by_label("Password").fill(person.password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(lambda url: urlsplit(url).path != "/login")
