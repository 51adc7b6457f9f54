"""How much memory a worker takes while a file streams in: its peak (VmHWM) for a file and for one ten times as big.

    .venv/bin/python benchmarks/memory.py [--database sqlite|timescaledb] [--megabytes 200 2000]

The bodies are made while they are sent, so no file of that size lies on the disk. Their numbers are written with many
digits, so that the readings, and the database that they end up in, stay moderate; one more file with three decimals
shows what a megabyte with ten times as many readings in it does.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from harness import (
    Daybook,
    clean_environment,
    find_program,
    load,
    postgresql_database,
    postgresql_server,
    processor,
    running,
)

SENSORS = 20
START = datetime(2020, 1, 1, tzinfo=UTC)
LIMIT_MB = 300  # the promise
SAME_WITHIN_MB = 40  # what counts as the same: allocators are not exact
MB = 1_000_000


def lines(digits: int) -> Iterator[bytes]:
    """The header, and then rows without end, a minute apart."""
    random = np.random.default_rng(2)
    yield (",".join(["time", *(f"channel {number}" for number in range(1, SENSORS + 1))]) + "\n").encode()
    # A thousand rows of cells, used again and again; only the times go on.
    rows = []
    for _ in range(1000):
        tails = ["".join(map(str, random.integers(0, 10, digits))) for _ in range(SENSORS)]
        rows.append(",".join(f"{random.integers(0, 100)}.{tail}" for tail in tails))
    moment = START
    while True:
        for row in rows:
            yield f"{moment:%Y-%m-%d %H:%M:%S},{row}\n".encode()
            moment += timedelta(minutes=1)


def body(size: int, digits: int) -> Iterator[bytes]:
    """Whole lines of about that many bytes, in pieces of about 64 KiB."""
    piece, left = bytearray(), size
    for line in lines(digits):
        if len(line) > left:
            break
        piece += line
        left -= len(line)
        if len(piece) >= 65536:
            yield bytes(piece)
            piece.clear()
    # What is missing to the promised size is blank lines: fewer than a line has bytes.
    yield bytes(piece) + b"\n" * left


def peak_mb(pid: int, what: str = "VmHWM") -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(what)) * 1024 / MB


def upload(daybook: Daybook, size: int, digits: int, source: str) -> tuple[dict, float]:
    start = time.monotonic()
    curl = subprocess.Popen(
        [
            *(find_program("curl", "curl"), "-sS", "-T", "-", "-H", f"Authorization: Bearer {daybook.token}"),
            # curl does not know the size of what comes through a pipe; this way it sends it as one that does.
            *("-H", f"Content-Length: {size}", "-H", "Transfer-Encoding:", "-H", "Expect:"),
            daybook.upload_url(filename="large.csv", source=source, timezone="UTC"),
        ],
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert curl.stdin is not None
    assert curl.stdout is not None
    answer: list[bytes] = []
    listener = threading.Thread(target=lambda: answer.append(curl.stdout.read()))
    listener.start()
    for piece in body(size, digits):
        curl.stdin.write(piece)
    curl.stdin.close()
    listener.join()
    curl.wait(60)
    report = json.loads(answer[0])
    if report.get("status") != "done" or report["bytes"] != size or report["lines"]["rejected"]:
        sys.exit(f"The upload did not end as it should:\n{answer[0][:2000]!r}")
    return report, time.monotonic() - start


def measure(database: str, megabytes: int, digits: int) -> float:
    """Streams one file into a fresh server and prints and returns its worker's peak in MB."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="daybook-bench-")))
        url = f"sqlite:///{folder / 'daybook.sqlite3'}"
        if database == "timescaledb":
            url = stack.enter_context(postgresql_database(postgresql_server(), "memory")).url
        # One worker, so that it is known which one does the work.
        daybook = Daybook(url, folder, WEB_CONCURRENCY="1")
        daybook.migrate()
        daybook.make_token()
        stack.enter_context(running(daybook))
        (worker,) = daybook.workers()
        idle = peak_mb(worker, "VmRSS")
        report, seconds = upload(daybook, megabytes * MB, digits, "memory")
        peak = peak_mb(worker)
    print(
        f"  {megabytes:6,} MB, {digits:2} decimals: peak {peak:5.0f} MB (idle {idle:.0f} MB)   "
        f"{report['readings']['added']:11,} readings in {seconds:.0f} s   {load()}",
        flush=True,
    )
    return peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("timescaledb", "sqlite"), default="sqlite")
    parser.add_argument("--megabytes", type=int, nargs=2, default=(200, 2000))
    parser.add_argument("--decimals", type=int, default=60, help="of the numbers in the two files to compare")
    options = parser.parse_args()
    print(f"{processor()}; {options.database}", flush=True)
    small, large = (measure(options.database, size, options.decimals) for size in options.megabytes)
    short = measure(options.database, options.megabytes[0], 3)
    kept = max(small, large, short) < LIMIT_MB and abs(large - small) < SAME_WITHIN_MB
    print(f"promise: less than {LIMIT_MB} MB, and the same for both sizes: {'kept' if kept else 'MISSED'}")
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
