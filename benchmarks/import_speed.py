"""How fast a file gets in: `curl -T` to Daybook against the database's own loader with the same readings.

    .venv/bin/python benchmarks/import_speed.py [--database timescaledb|sqlite|both] [--rows 250000] [--repeat 3]

How to read the ratios, and the last figures, are in benchmarks/README.md.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

import numpy as np
from harness import (
    DATA,
    Daybook,
    Psql,
    find_program,
    load,
    postgresql_database,
    postgresql_server,
    processor,
    run,
    running,
    spread,
)

SENSORS = 20
START = datetime(2020, 1, 1, tzinfo=UTC)
STEP = timedelta(minutes=10)
TARGETS = {"timescaledb": 1.5, "sqlite": 0.8}


@dataclass(frozen=True)
class Files:
    """The same readings five times over: as a logger writes them, and as the databases' loaders want them."""

    wide: Path
    in_file_order: Path
    sorted: Path
    in_file_order_sqlite: Path
    sorted_sqlite: Path


def make_files(rows: int) -> Files:
    """Writes them once, and keeps them for the next run."""
    DATA.mkdir(exist_ok=True)
    names = ("wide", "in-file-order", "sorted", "in-file-order-sqlite", "sorted-sqlite")
    files = Files(*(DATA / f"{name}-{rows}.csv" for name in names))
    if all(path.exists() for path in vars(files).values()):
        return files
    print(f"Making the files of {rows * SENSORS:,} readings, once, in {DATA} …", flush=True)
    random = np.random.default_rng(1)
    # A level and a slow wander for each sensor: neighbours resemble each other, as they do in nature.
    values = np.linspace(-20, 900, SENSORS) + np.cumsum(random.normal(0, 0.05, (rows, SENSORS)), axis=0)
    cells = np.char.mod("%.3f", values + random.normal(0, 0.2, (rows, SENSORS))).tolist()
    moments = [START + STEP * row for row in range(rows)]
    stamps = [moment.strftime("%Y-%m-%d %H:%M:%S") for moment in moments]
    micros = [int(moment.timestamp()) * 1_000_000 for moment in moments]
    header = ",".join(["time", *(f"channel {number}" for number in range(1, SENSORS + 1))])
    _write(files.wide, chain([header], (f"{stamp},{','.join(row)}" for stamp, row in zip(stamps, cells, strict=True))))
    for times, suffix, by_row, by_sensor in (
        (stamps, "+00", files.in_file_order, files.sorted),
        (micros, "", files.in_file_order_sqlite, files.sorted_sqlite),
    ):
        ids = range(SENSORS)
        _write(by_row, (f"{i + 1},{times[r]}{suffix},{cells[r][i]},1" for r in range(rows) for i in ids))
        _write(by_sensor, (f"{i + 1},{times[r]}{suffix},{cells[r][i]},1" for i in ids for r in range(rows)))
    return files


def _write(path: Path, lines: Iterable[str]) -> None:
    draft = path.with_suffix(".part")
    with draft.open("w", buffering=1 << 20) as file:
        file.writelines(f"{line}\n" for line in lines)
    draft.replace(path)


def upload(daybook: Daybook, path: Path, readings: int) -> float:
    """Seconds until curl has the answer that everything is stored."""
    answer = run(
        find_program("curl", "curl"),
        *("-sS", "-T", path, "-H", f"Authorization: Bearer {daybook.token}", "-w", "\n%{time_total}"),
        daybook.upload_url(filename="wide.csv", source="bench", timezone="UTC"),
    )
    report, seconds = answer.rsplit("\n", 1)
    counts = json.loads(report)
    if counts.get("status") != "done" or counts["readings"]["added"] != readings:
        sys.exit(f"The upload did not end as it should:\n{report[:2000]}")
    return float(seconds)


def measure(runs: dict[str, Callable[[], float]], repeat: int) -> dict[str, list[float]]:
    """Seconds of each peer, run in turns so that a slow minute of the machine meets all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(repeat):
        for name, once in runs.items():
            seconds[name].append(once())
            print(f"  {number + 1}/{repeat}  {name:34}{seconds[name][-1]:7.2f} s   {load()}", flush=True)
    return seconds


def on_timescaledb(files: Files, readings: int, repeat: int) -> dict[str, list[float]]:
    server = postgresql_server()
    with (
        tempfile.TemporaryDirectory(prefix="daybook-bench-") as folder,
        postgresql_database(server, "daybook") as own,
        postgresql_database(server, "copy") as peer,
    ):
        for database in (own, peer):
            Daybook(database.url, Path(folder)).migrate()
        daybook = Daybook(own.url, Path(folder))
        daybook.make_token()

        def ours() -> float:
            own.run("TRUNCATE reading, upload, source RESTART IDENTITY CASCADE", "CHECKPOINT")
            return upload(daybook, files.wide, readings)

        def theirs(path: Path) -> float:
            peer.run("TRUNCATE reading", "CHECKPOINT")
            start = time.monotonic()
            peer.run(f"\\copy reading (sensor_id, time, value, upload_id) FROM '{path}' (FORMAT csv)")
            return time.monotonic() - start

        with running(daybook):
            seconds = measure(
                {
                    "Daybook, curl -T of the wide file": ours,
                    "psql \\copy, file order": lambda: theirs(files.in_file_order),
                    "psql \\copy, sorted": lambda: theirs(files.sorted),
                },
                repeat,
            )
        check_same(*(_sums(database) for database in (own, peer)))
    return seconds


def _sums(database: Psql) -> str:
    # In whole thousandths: the sum of doubles depends on their order.
    return database.run(
        "SELECT sensor_id, count(*), sum(round(value * 1000)::bigint) FROM reading GROUP BY 1 ORDER BY 1"
    )


def on_sqlite(files: Files, readings: int, repeat: int) -> dict[str, list[float]]:
    sqlite3 = find_program("sqlite3", "sqlite3")
    with tempfile.TemporaryDirectory(prefix="daybook-bench-") as name:
        folder = Path(name)
        empty, own, peer = folder / "empty.sqlite3", folder / "daybook.sqlite3", folder / "peer.sqlite3"
        maker = Daybook(f"sqlite:///{empty}", folder)
        maker.migrate()
        maker.make_token()
        run(sqlite3, empty, "PRAGMA wal_checkpoint(TRUNCATE)")

        def fresh(path: Path) -> None:
            for old in folder.glob(f"{path.name}*"):
                if old.is_file():  # the folder of locks stays
                    old.unlink()
            shutil.copyfile(empty, path)

        def ours() -> float:
            fresh(own)
            daybook = Daybook(f"sqlite:///{own}", folder)
            daybook.token = maker.token
            with running(daybook):
                return upload(daybook, files.wide, readings)

        def theirs(path: Path) -> float:
            fresh(peer)
            # The same journal, and the same care about the disk, as Daybook's own connections.
            pragmas = ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL", "PRAGMA cache_size=-32768")
            start = time.monotonic()
            run(sqlite3, "-bail", peer, *pragmas, f'.import --csv "{path}" reading')
            return time.monotonic() - start

        seconds = measure(
            {
                "Daybook, curl -T of the wide file": ours,
                "sqlite3 .import, file order": lambda: theirs(files.in_file_order_sqlite),
                "sqlite3 .import, sorted": lambda: theirs(files.sorted_sqlite),
            },
            repeat,
        )
        sums = "SELECT sensor_id, count(*), sum(CAST(round(value * 1000) AS int)) FROM reading GROUP BY 1 ORDER BY 1"
        check_same(*(run(sqlite3, path, sums) for path in (own, peer)))
    return seconds


def check_same(ours: str, theirs: str) -> None:
    """A comparison means something only when both have stored the same."""
    if ours != theirs:
        sys.exit(f"The two databases do not hold the same readings:\n{ours}\n\n{theirs}")


def report(name: str, seconds: dict[str, list[float]], readings: int) -> bool:
    """Prints medians and ratios; whether the promise is kept."""
    print(f"\n{name}, {readings:,} readings, medians:")
    (own, ours), *peers = seconds.items()
    for peer, times in seconds.items():
        speed = readings / statistics.median(times)
        ratio = (
            "" if peer == own else f"   Daybook is {statistics.median(times) / statistics.median(ours):.2f} × as fast"
        )
        print(f"  {peer:34}{spread(times)}  {speed / 1000:6,.0f}k readings/s{ratio}")
    reached = statistics.median(peers[0][1]) / statistics.median(ours)
    kept = reached >= TARGETS[name]
    print(f"  promise: at least {TARGETS[name]} × {peers[0][0]}: {'kept' if kept else 'MISSED'}\n", flush=True)
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("timescaledb", "sqlite", "both"), default="both")
    parser.add_argument("--rows", type=int, default=250_000, help=f"lines of the file; each holds {SENSORS} readings")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    files = make_files(options.rows)
    readings = options.rows * SENSORS
    print(f"{processor()}; {load()}", flush=True)
    kept = True
    for name, measured in (("timescaledb", on_timescaledb), ("sqlite", on_sqlite)):
        if options.database in (name, "both"):
            kept &= report(name, measured(files, readings, options.repeat), readings)
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
