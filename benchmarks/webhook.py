"""Whether every update counts once, and how long Telegram waits for an answer: updates at a steady rate, some of them
delivered again, in no order.

    .venv/bin/python benchmarks/webhook.py [--database timescaledb|sqlite] [--updates 2000] [--rate 200]
        [--duplicates 0.3] [--chats 20] [--processes 4] [--faults 0.0] [--replies]

`--updates` counts deliveries, of which `--duplicates` are of an update that is delivered elsewhere in the run as well.
`--faults`: this share of what the bot sends is answered 429 or 500. `--replies` waits until every reply has been sent,
which at one a second and chat takes a while, and counts those. Figures are in benchmarks/README.md.
"""

import argparse
import http.client
import json
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness import ROOT, Daybook, load, postgresql_database, postgresql_server, processor, running

SECRET = "only-for-the-benchmark"  # noqa: S105 - opens nothing but this run's own server
SENDERS = 48
FIRST_PERSON = 100_000
PROMISED = 0.5  # seconds, for 99 of 100 answers
PATIENCE = 900  # seconds for the replies
WARM = 3  # seconds: the first process answers while the others are still starting; asked is how a running server does


def deliveries(count: int, duplicates: float, chats: int, generator: random.Random) -> tuple[list[bytes], Counter[int]]:
    """The bodies in the order of their delivery, and what must be in the book: the cents per chat."""
    distinct = max(1, round(count * (1 - duplicates)))
    start = int(time.time()) - distinct
    cents: Counter[int] = Counter()
    bodies = []
    for number in range(distinct):
        chat, amount = FIRST_PERSON + number % chats, generator.randint(1, 9999)
        cents[chat] += amount
        person = {"id": chat, "is_bot": False, "first_name": f"Person {chat}"}
        message = {
            "message_id": number + 1,
            "from": person,
            "chat": {**person, "type": "private"},
            "date": start + number,
        }
        said = f"{amount // 100}.{amount % 100:02} {generator.choice(('groceries', 'coffee', 'rent'))}"
        bodies.append(json.dumps({"update_id": 10_000_000 + number, "message": message | {"text": said}}).encode())
    bodies += generator.choices(bodies, k=count - distinct)
    generator.shuffle(bodies)
    return bodies, cents


def deliver(port: int, bodies: list[bytes], rate: float) -> tuple[list[float], Counter[int]]:
    """Sends each body when its time has come. Seconds from that time to the answer, and the statuses."""
    begin = time.monotonic() + 0.5
    taken: list[float] = [0.0] * len(bodies)
    statuses: Counter[int] = Counter()
    following = iter(range(len(bodies)))
    lock = threading.Lock()
    headers = {"Content-Type": "application/json", "X-Telegram-Bot-Api-Secret-Token": SECRET}

    def send() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while True:
            with lock:
                number = next(following, None)
            if number is None:
                connection.close()
                return
            due = begin + number / rate
            time.sleep(max(0.0, due - time.monotonic()))
            status = 0
            for _ in range(2):  # a connection that was idle may have been closed
                try:
                    connection.request("POST", "/telegram/webhook", bodies[number], headers)
                    answer = connection.getresponse()
                    answer.read()
                    status = answer.status
                    break
                except (http.client.HTTPException, OSError):
                    connection.close()
            taken[number] = time.monotonic() - due
            with lock:
                statuses[status] += 1

    threads = [threading.Thread(target=send) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken, statuses


def in_the_book(engine: Any) -> dict[str, Any]:
    """How much of everything there is, and the sum of every source in cents."""
    import sqlalchemy as sa

    from daybook.models import Message, Reading, Sensor, Source, TelegramUpdate

    number = sa.func.count()
    wanted = {
        "updates": sa.select(number).select_from(TelegramUpdate),
        "readings": sa.select(number).select_from(Reading),
        "counted": sa.select(sa.func.sum(Sensor.reading_count)),
        "replies": sa.select(number).where(Message.direction == "out"),
    }
    sums = sa.select(Source.name, sa.func.sum(Reading.value)).select_from(Reading)
    sums = sums.join(Sensor, Sensor.id == Reading.sensor_id).join(Source, Source.id == Sensor.source_id)
    with engine.connect() as connection:
        return {
            "counts": {name: int(connection.scalar(query) or 0) for name, query in wanted.items()},
            "failed": connection.scalar(sa.select(number).where(TelegramUpdate.processed_at.is_(None))),
            "sums": {name: round(total * 100) for name, total in connection.execute(sums.group_by(Source.name))},
        }


def measure(url: str, folder: Path, options: argparse.Namespace) -> bool:
    """Prints the figures of one run; whether everything was as it must be."""
    sys.path.insert(0, str(ROOT))
    import sqlalchemy as sa

    from app import create_app
    from daybook import people
    from daybook.config import database_url, read_settings
    from daybook.extensions import db
    from daybook.models import Message
    from tests.telegram_standin import Fault, TelegramStandin, failing, too_many

    settings = replace(
        read_settings({"INSTANCE_PATH": str(folder)}), database_url=database_url(url), secret_key="x" * 64
    )
    generator = random.Random(options.seed)
    bodies, cents = deliveries(options.updates, options.duplicates, options.chats, generator)
    distinct = len(set(bodies))

    def fault(call: Any) -> Fault | None:
        if call.method != "sendMessage" or generator.random() >= options.faults:
            return None
        return generator.choice((too_many(1), failing()))

    with TelegramStandin() as standin, create_app(settings).app_context():
        standin.fault = fault
        engine = db.engine
        for chat in cents:
            people.allow(engine, chat)
        environment = {
            "WEB_CONCURRENCY": str(options.processes),
            "TELEGRAM_WEBHOOK_SECRET": SECRET,
            "TELEGRAM_BOT_TOKEN": standin.token,
            "TELEGRAM_API_URL": standin.url,
        }
        server = Daybook(url, folder, **environment)

        def waiting() -> int:
            unsent = sa.select(sa.func.count()).where(Message.direction == "out", Message.status != "sent")
            with engine.connect() as connection:
                return int(connection.scalar(unsent) or 0)

        with running(server):
            time.sleep(WARM)
            started = time.monotonic()
            taken, statuses = deliver(server.port, bodies, options.rate)
            seconds = time.monotonic() - started
            until = time.monotonic() + (PATIENCE if options.replies else 0)
            while time.monotonic() < until and waiting():
                time.sleep(0.5)
        book = in_the_book(engine)
        delivered = Counter(call.chat_id for call in standin.delivered if call.method == "sendMessage")
        engine.dispose()
    late = [number / options.rate for number, seconds in enumerate(taken) if seconds > PROMISED]
    taken.sort()
    p50, p99 = statistics.median(taken), taken[int(len(taken) * 0.99) - 1]
    print(f"{len(bodies)} deliveries of {distinct} updates in {seconds:.1f} s ({load()})")
    print(
        f"answers: {dict(statuses)}; p50 {p50 * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, "
        f"longest {taken[-1] * 1000:.0f} ms"
    )
    if late:
        print(f"over {PROMISED * 1000:.0f} ms: {len(late)}, due between second {late[0]:.0f} and {late[-1]:.0f}")
    expected = {f"Person {chat}": total for chat, total in cents.items()}
    print(f"in the book: {book['counts']}, {book['failed']} failed")
    print(f"sums per chat: {'as they must be' if book['sums'] == expected else 'WRONG'}")
    exact = set(book["counts"].values()) == {distinct} and not book["failed"] and book["sums"] == expected
    if options.replies:
        print(f"replies delivered: {sum(delivered.values())}")
        exact = exact and sum(delivered.values()) == distinct
    return exact and set(statuses) == {200}


@contextmanager
def database(name: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if name == "sqlite":
        yield f"sqlite:///{folder / 'bench.sqlite3'}"
        return
    with postgresql_database(postgresql_server(), "webhook") as psql:
        yield psql.url


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["timescaledb", "sqlite"], default="timescaledb")
    parser.add_argument("--updates", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--duplicates", type=float, default=0.3)
    parser.add_argument("--chats", type=int, default=20)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--faults", type=float, default=0.0)
    parser.add_argument("--replies", action="store_true")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    print(processor())
    with tempfile.TemporaryDirectory() as folder, database(options.database, Path(folder)) as url:
        Daybook(url, Path(folder)).migrate()
        exact = measure(url, Path(folder), options)
    print("Every update counted once." if exact else "NOT every update counted once.")
    sys.exit(0 if exact else 1)


if __name__ == "__main__":
    main()
