"""What the benchmarks share: databases of their own, a server, a token, and figures in a line."""

import os
import platform
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(__file__).resolve().parent / ".data"
PORTS = range(8150, 8180)
PATIENCE = 1800  # seconds that any one program may take


def run(*command: str | Path, env: dict[str, str] | None = None, text: str | None = None) -> str:
    """What the program says; its complaints come out when it fails."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env=None if env is None else clean_environment() | env,
        input=text,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{Path(command[0]).name} failed ({done.returncode}):\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout.strip()


def clean_environment() -> dict[str, str]:
    """Without the settings of somebody's real Daybook."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}


def find_program(name: str, package: str) -> str:
    """The path of a program that a peer is measured with."""
    found = shutil.which(name)
    if not found:
        sys.exit(f"This needs {name}. On Debian: apt-get install {package}")
    return found


def processor() -> str:
    """The machine in a few words, for the head of a report."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.machine())
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    return f"{os.cpu_count()} cores ({name}), {system}, Python {platform.python_version()}"


def load() -> str:
    """How busy the machine is with other things: the figures of a busy machine say little."""
    return f"load {os.getloadavg()[0]:.1f}"


def spread(seconds: Sequence[float]) -> str:
    """Median and range."""
    return f"{statistics.median(seconds):6.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"


# databases


def postgresql_server() -> str:
    """The URL of the TimescaleDB to measure on: TEST_DATABASE_URL, else script/timescaledb's, which is started."""
    return os.environ.get("TEST_DATABASE_URL") or run(ROOT / "script/timescaledb", "start")


def psql_program() -> str:
    """The server's own psql where script/timescaledb has one, else the one on the PATH."""
    if "TEST_DATABASE_URL" not in os.environ:
        return str(Path(run(ROOT / "script/timescaledb", "bindir")) / "psql")
    return find_program("psql", "postgresql-client")


class Psql:
    """One database, spoken to with psql."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._program = psql_program()

    def run(self, *statements: str) -> str:
        """Each statement in a transaction of its own; the answers, unaligned."""
        words = [word for statement in statements for word in ("-c", statement)]
        return run(self._program, "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", self.url, *words)


@contextmanager
def postgresql_database(server: str, purpose: str) -> Iterator[Psql]:
    """A migrated database, dropped at the end."""
    name = f"bench_{purpose}_{os.getpid()}"
    admin = Psql(urlunsplit(urlsplit(server)._replace(path="/postgres")))
    admin.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name} TEMPLATE template0")
    try:
        url = urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        yield Psql(url)
    finally:
        admin.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


# the server


class Daybook:
    """A gunicorn as script/server starts it, on a database and a folder of its own."""

    def __init__(self, url: str, folder: Path, **environment: str) -> None:
        self._folder = folder
        self._environment = {
            "DATABASE_URL": url,
            "INSTANCE_PATH": str(folder),
            "SECRET_KEY": secrets.token_hex(32),
        } | environment
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.token = ""

    def migrate(self) -> None:
        run(sys.executable, "-m", "flask", "--app", "app", "db", "upgrade", env=self._environment)

    def make_account(self, name: str, password: str) -> None:
        """An admin."""
        command = ("create-account", name, "--role", "admin", "--password-stdin")
        run(sys.executable, "-m", "flask", "--app", "app", *command, env=self._environment, text=password)

    def make_token(self) -> None:
        """A token of an admin."""
        self.make_account("bench", secrets.token_urlsafe(16))
        command = ("create-token", "bench", "--label", "benchmark")
        self.token = run(sys.executable, "-m", "flask", "--app", "app", *command, env=self._environment)

    def start(self) -> None:
        self.port = _free_port()
        log = (self._folder / "server.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "app:create_app()"],
            cwd=ROOT,
            env=clean_environment() | self._environment | {"PORT": str(self.port)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5).close()
                return
            except OSError:
                time.sleep(0.05)
        self.stop()
        sys.exit(f"The server did not start:\n{(self._folder / 'server.log').read_text()[-4000:]}")

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(40)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)

    def workers(self) -> list[int]:
        """The process ids of gunicorn's workers."""
        assert self._process is not None
        pid = self._process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def upload_url(self, **query: str) -> str:
        words = "&".join(f"{name}={value}" for name, value in query.items())
        return f"http://127.0.0.1:{self.port}/api/v1/uploads?{words}"


@contextmanager
def running(daybook: Daybook) -> Iterator[Daybook]:
    """The server for as long as the block lasts."""
    daybook.start()
    try:
        yield daybook
    finally:
        daybook.stop()


def _free_port() -> int:
    for port in PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    sys.exit(f"None of the ports {PORTS.start} to {PORTS.stop - 1} is free.")
