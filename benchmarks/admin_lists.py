"""How long the lists of the admin area take over a million messages: every page of a walk through sorting, searching,
filtering and paging, asked for again and again in turns.

    .venv/bin/python benchmarks/admin_lists.py [--messages 1000000] [--users 10000] [--repeat 20]
        [--database timescaledb|sqlite]

The messages are made by the database itself, three years of them. Figures are in benchmarks/README.md.
"""

import argparse
import re
import statistics
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path

from harness import ROOT, Daybook, load, postgresql_database, postgresql_server, processor, running

PASSWORD = "only for the benchmark, by the river"  # noqa: S105 - opens nothing but this run's own server
PROMISED = 0.2  # seconds, p95 of each page

WORDS = ("groceries", "coffee", "rent", "temperature", "diesel", "bread", "tickets", "water", "paper", "garden")
SERIES = "generate_series(1, {count}) AS n"
COUNTED = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})"
RECURSIVE = f"({COUNTED} SELECT n FROM numbers)"

# {moment}: the time of row n of {count}, spread over three years until now.
USERS = """INSERT INTO telegram_user (user_id, first_name, last_name, username, status, created_at)
SELECT 100000 + n, 'First' || n, 'Last' || (n % 700), 'user' || n,
CASE n % 20 WHEN 0 THEN 'blocked' WHEN 1 THEN 'pending' ELSE 'allowed' END, {moment} FROM {series}"""
UPDATES = """INSERT INTO telegram_update (update_id, received_at, payload, processed_at, error)
SELECT n, {moment}, '{{"update_id": 1}}', CASE WHEN n % 100000 = 7 THEN NULL ELSE {moment} END,
CASE WHEN n % 100000 = 7 THEN 'ValueError: no' END FROM {series}"""
MESSAGES = """INSERT INTO message (chat_id, telegram_message_id, update_id, sender_id, direction, text, sent_at, status,
method, payload, attempts)
SELECT 100001 + n % {users}, n, CASE WHEN n % 2 = 0 THEN n END, CASE WHEN n % 2 = 0 THEN 100001 + n % {users} END,
CASE n % 2 WHEN 0 THEN 'in' ELSE 'out' END,
(n % 5000) || '.50 ' || CASE n % 10 {words} END || CASE WHEN n % 250000 = 11 THEN ' zanzibar' ELSE '' END, {moment},
CASE WHEN n % 200000 = 33 THEN 'failed' WHEN n % 2 = 0 THEN 'handled' ELSE 'sent' END, 'sendMessage', '{{}}', 0
FROM {series}"""
AUDIT = """INSERT INTO audit_entry (at, origin, actor, action, object_type, object_id, object_repr, changes)
SELECT {moment}, CASE n % 3 WHEN 0 THEN 'chat' ELSE 'page' END, 'actor' || (n % 50), 'change', 'message', n,
'message ' || n, '{{}}' FROM {series}"""

PAGES = (
    "/admin/",
    "/admin/messages/",
    "/admin/messages/?sort=sent_at",
    "/admin/messages/?sort=status",
    "/admin/messages/?sort=-status",
    "/admin/messages/?q=zanzibar",
    "/admin/messages/?q=groceries",
    "/admin/messages/?q=4321.50+rent",
    "/admin/messages/?q=nothing-at-all-has-this",
    "/admin/messages/?q=First77",
    "/admin/messages/?q=Last5+bread",
    "/admin/messages/?q=zz",
    "/admin/messages/?status=failed",
    "/admin/messages/?status=failed&sort=sent_at",
    "/admin/messages/?status=gone",
    "/admin/messages/?direction=out",
    "/admin/messages/?direction=out&status=handled",
    "/admin/messages/?sent_at={year}",
    "/admin/messages/?sent_at={year}-03",
    "/admin/messages/?sent_at={year}-03-05&direction=in",
    "/admin/messages/?sender=100077",
    "/admin/messages/?sender=Last5&q=coffee",
    "/admin/messages/?sender=100077&status=failed",
    "/admin/messages/?q=groceries&status=failed",
    "/admin/messages/?q=coffee&sent_at={year}-02",
    "/admin/updates/",
    "/admin/updates/?state=failed",
    "/admin/updates/?q=500001",
    "/admin/updates/?received_at={year}-05",
    "/admin/users/",
    "/admin/users/?sort=name",
    "/admin/users/?q=First99",
    "/admin/users/?status=pending&sort=-name",
    "/admin/users/?created_at={year}-04",
    "/admin/users/100077",
    "/admin/audit/",
    "/admin/audit/?origin=chat",
    "/admin/audit/?q=actor7",
    "/admin/audit/?q=message+4321",
    "/admin/audit/?q=account",
    "/admin/audit/?q=changed+message",
    "/admin/audit/?q=bot+user",
    "/admin/audit/?q=set+password",
    "/admin/audit/?q=command+line",
    "/admin/audit/?type=account",
    "/admin/sensors/",
    "/admin/uploads/",
    "/admin/accounts/",
)


def fill(url: str, messages: int, users: int) -> None:
    """Makes the rows."""
    import sqlalchemy as sa

    engine = sa.create_engine(url)
    is_sqlite = engine.dialect.name == "sqlite"
    words = " ".join(f"WHEN {number} THEN '{word}'" for number, word in enumerate(WORDS))
    with engine.begin() as connection:
        for statement, count in ((USERS, users), (UPDATES, messages), (MESSAGES, messages), (AUDIT, messages)):
            series = (RECURSIVE if is_sqlite else SERIES).format(count=count)
            seconds = f"(({count} - n) * {3 * 365 * 86400.0 / count})"
            moment = f"now() - {seconds} * interval '1 second'"
            if is_sqlite:
                moment = f"strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || {seconds} || ' seconds') || '000'"
            text = statement.format(series=series, moment=moment, words=words, users=users)
            connection.exec_driver_sql(text.replace("%", "%%") if not is_sqlite else text)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE" if is_sqlite else "VACUUM ANALYZE")
    engine.dispose()


class Browser:
    """Somebody who is logged in."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        token = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', self.get("/login"))
        assert token
        form = {"username": "ada", "password": PASSWORD, "csrf_token": token[1]}
        self._opener.open(f"{base}/login", urllib.parse.urlencode(form).encode()).read()

    def get(self, path: str) -> str:
        text: str = self._opener.open(self._base + path).read().decode()
        return text


def measure(browser: Browser, repeat: int) -> bool:
    """Prints p50 and p95 of each page; whether all are within what is promised."""
    pages = [page.format(year=time.gmtime().tm_year) for page in PAGES]
    following = re.search(r'rel="next" href="([^"]+)"', browser.get("/admin/messages/?status=handled"))
    if following:
        pages.append(following[1].replace("&amp;", "&"))
    taken: dict[str, list[float]] = {page: [] for page in pages}
    for page in pages:
        browser.get(page)  # so that every process has its connections and plans; the figures are those of a used server
    for _ in range(repeat):
        for page in pages:
            start = time.perf_counter()
            browser.get(page)
            taken[page].append(time.perf_counter() - start)
    worst = 0.0
    for page, seconds in taken.items():
        seconds.sort()
        p95 = seconds[max(0, round(len(seconds) * 0.95) - 1)]
        worst = max(worst, p95)
        print(f"{statistics.median(seconds) * 1000:6.0f} ms  p95 {p95 * 1000:6.0f} ms  {page}")
    everything = sorted(second for seconds in taken.values() for second in seconds)
    p95 = everything[round(len(everything) * 0.95) - 1]
    print(
        f"all pages: p50 {statistics.median(everything) * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms; slowest page's p95 "
        f"{worst * 1000:.0f} ms ({load()})"
    )
    return worst < PROMISED


@contextmanager
def database(name: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if name == "sqlite":
        yield f"sqlite:///{folder / 'bench.sqlite3'}"
        return
    with postgresql_database(postgresql_server(), "admin") as psql:
        yield psql.url


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["timescaledb", "sqlite"], default="timescaledb")
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=20)
    options = parser.parse_args()
    print(processor())
    sys.path.insert(0, str(ROOT))
    from daybook.config import database_url

    with tempfile.TemporaryDirectory() as folder, database(options.database, Path(folder)) as url:
        server = Daybook(url, Path(folder))
        server.migrate()
        server.make_account("ada", PASSWORD)
        fill(database_url(url), options.messages, options.users)
        with running(server):
            good = measure(Browser(f"http://127.0.0.1:{server.port}"), options.repeat)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
