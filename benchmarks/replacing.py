"""How long it takes to replace a million readings, step by step, and to bring them back.

    .venv/bin/python benchmarks/replacing.py [--database timescaledb|sqlite|both] [--rows 50000]
        [--others 0] [--minutes 10]

`--others` puts that many rows of twenty other sensors into the book first; `--minutes` is the time between two rows,
and so decides how many chunks they are in. Figures are in benchmarks/README.md.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from harness import ROOT, Daybook, load, postgresql_database, postgresql_server, processor

SENSORS = 20
START = datetime(1900, 1, 1, tzinfo=UTC)


def pieces(rows: int, plus: int, minutes: int) -> Iterator[bytes]:
    """A wide CSV file; `plus` makes its values others."""
    yield ("time," + ",".join(f"sensor {number}" for number in range(SENSORS)) + "\n").encode()
    for first in range(0, rows, 2000):
        lines = []
        for row in range(first, min(first + 2000, rows)):
            stamp = (START + timedelta(minutes=minutes * row)).strftime("%Y-%m-%d %H:%M")
            lines.append(stamp + "".join(f",{(row + number) % 1000 + plus}.{number:03}" for number in range(SENSORS)))
        yield ("\n".join(lines) + "\n").encode()


def measure(url: str, folder: Path, rows: int, others: int, minutes: int) -> None:
    """Prints how long each step takes on this database."""
    sys.path.insert(0, str(ROOT))
    from app import create_app
    from daybook import imports, removal, replacements
    from daybook.config import database_url, read_settings
    from daybook.extensions import db
    from daybook.upload_options import Options, Sender
    from daybook.upload_report import read_report

    settings = replace(read_settings({}), database_url=database_url(url), instance_path=folder, secret_key="x" * 64)
    last_step = 0.0
    put_in = replacements.put_in

    def timed(connection: Any, upload_id: int) -> None:
        nonlocal last_step
        start = time.monotonic()
        put_in(connection, upload_id)
        last_step = time.monotonic() - start

    replacements.put_in = timed
    with create_app(settings).app_context():
        engine = db.engine

        def run(what: str, plus: int, source: str = "mast", size: int = rows, **given: Any) -> int:
            nonlocal last_step
            last_step = 0.0
            body = list(pieces(size, plus, minutes))
            replaces = given.pop("replaces", None)
            upload_id = imports.announce(engine, "a.csv", Options(source=source, **given), Sender(), None, replaces)
            start = time.monotonic()
            imports.import_stream(engine, settings, body, upload_id=upload_id)
            seconds = time.monotonic() - start
            report = read_report(engine, upload_id)
            assert report is not None
            assert report.upload.status == "done", report.upload.error
            last = f"of it the last transaction {last_step:5.2f} s"
            print(f"  {what:44} {seconds:6.2f} s, {last}  {report.as_json()['readings']}", flush=True)
            return upload_id

        def timed_undo(what: str, upload_id: int) -> None:
            start = time.monotonic()
            assert removal.undo(engine, settings, upload_id)
            print(f"  {what:44} {time.monotonic() - start:6.2f} s", flush=True)

        if others:
            run("other readings in the book", 0, "other", others)
        first = run("new readings", 0)
        run("the same again, skipped", 0)
        run("the same again, on_duplicate=replace", 0, on_duplicate="replace")
        second = run("other values, on_duplicate=replace", 1, on_duplicate="replace")
        third = run("other values once more", 2, on_duplicate="replace")
        timed_undo("undo of the second of three", second)
        timed_undo("undo of the third", third)
        run("import again over the first", 3, replaces=first)
        fourth = run("other values, on_duplicate=replace", 4, on_duplicate="replace")
        again = run("import again over that, replacing", 5, on_duplicate="replace", replaces=fourth)
        timed_undo("undo of it", again)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--database", choices=["timescaledb", "sqlite", "both"], default="both")
    words.add_argument("--rows", type=int, default=50_000)
    words.add_argument("--others", type=int, default=0)
    words.add_argument("--minutes", type=int, default=10)
    given = words.parse_args()
    print(processor(), load())
    print(f"{given.rows * SENSORS:,} readings; {given.others * SENSORS:,} others in the book")
    kinds: dict[str, Callable[[Path], None]] = {"timescaledb": lambda folder: on_postgresql(folder, given)}
    kinds["sqlite"] = lambda folder: on_database(f"sqlite:///{folder / 'daybook.sqlite3'}", folder, given)
    for name in ("timescaledb", "sqlite") if given.database == "both" else (given.database,):
        with tempfile.TemporaryDirectory(dir=ROOT / "benchmarks") as folder:
            print(f"{name}, {load()}")
            kinds[name](Path(folder))


def on_postgresql(folder: Path, given: argparse.Namespace) -> None:
    with postgresql_database(postgresql_server(), "replacing") as psql:
        on_database(psql.url, folder, given)


def on_database(url: str, folder: Path, given: argparse.Namespace) -> None:
    Daybook(url, folder).migrate()
    measure(url, folder, given.rows, given.others, given.minutes)


if __name__ == "__main__":
    main()
