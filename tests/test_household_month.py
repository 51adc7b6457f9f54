"""A household of three keeps a month by chat, and in the end the book says what a spreadsheet says.

The spreadsheet is kept here, in cents, by what each message means to the one who writes it; it knows nothing of how
messages are read. Meanwhile updates come twice and in another order, messages are edited and taken back, Daybook is
started again, and Telegram fails a third of what is sent.
"""

import csv
import io
import random
import re
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from flask import Flask

from daybook import outbox, outbox_claims
from daybook.config import Settings
from daybook.models import Message
from tests.telegram_standin import SENDING, Call, Fault, TelegramStandin, failing, silent, too_many
from tests.telegram_updates import ANNA, BEN, EVE, Book, private

AMOUNTS = ("groceries", "rent", "café", "refund", "=1+1", "<b>x</b>")
GAUGES = ("temperature", "power meter")
FIRST_DAY, DAYS = (
    datetime(2026, 10, 5, tzinfo=UTC),
    31,
)  # over the end of summer time in Dublin and the end of a month everywhere
Entry = tuple[str, int, str]  # (name, cents, month)


class Room:
    """A chat, its zone, its members, and how many messages they have written."""

    def __init__(self, chat: dict[str, Any], zone: str, *members: dict[str, Any]) -> None:
        self.id: int = chat["id"]
        self.chat, self.zone, self.members, self.number = chat, ZoneInfo(zone), members, 0


@dataclass
class Note:
    """A message in the spreadsheet: what it stands for now."""

    room: Room
    message: dict[str, Any]
    entries: list[Entry]
    edited: bool = False
    undone: bool = False


class Household:
    """What three people write, day by day, as updates; and the spreadsheet that goes with it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311
        self.notes: list[Note] = []
        self.rooms = [
            Room(private(ANNA), "Europe/Dublin", ANNA),
            Room(private(BEN), "UTC", BEN),
            Room({"id": -7100, "type": "group", "title": "Flat <b>7</b> & Co"}, "Pacific/Auckland", ANNA, BEN, EVE),
        ]
        # No two values are the same, and none ends in 0, so that each is found again as it is written.
        self.cents = [cents for cents in range(101, 60_000) if cents % 10]
        self.random.shuffle(self.cents)
        self.update_id = 100_000

    def update(self, **content: Any) -> dict[str, Any]:
        self.update_id += self.random.randint(1, 3)
        return {"update_id": self.update_id, **content}

    def message(self, room: Room, sender: dict[str, Any], at: datetime, text: str) -> dict[str, Any]:
        room.number += 1
        about = {"message_id": room.number, "from": sender, "chat": room.chat, "date": int(at.timestamp())}
        return about | {"text": text}

    def line(self, room: Room, at: datetime) -> tuple[str, Entry]:
        """One line in one of the ways to write it."""
        local = at.astimezone(room.zone)
        cents, pick = self.cents.pop(), self.random
        number = f"{cents / 100:.2f}"
        if pick.random() < 0.2:
            name = pick.choice(GAUGES)
            text = f"{name} {number}" + (" °C" if name == "temperature" and pick.random() < 0.5 else "")
        else:
            name = pick.choice(AMOUNTS)
            sign = "-" if name == "refund" else pick.choice(["", "", "+"])
            cents = -cents if sign == "-" else cents
            number = sign + number.replace(".", pick.choice([".", ","]) if name != "=1+1" else ".")
            text = f"{number} {name}" if name[0] in "=<" or pick.random() < 0.7 else f"{name} {number}"
        day = local.date() - timedelta(days=pick.randrange(1, 9))
        earlier = [f"{day}", f"{day:%d.%m.}", f"{day} 23:59", f"{day.day} {day:%b} 0:01"]
        whens = [("yesterday", local.date() - timedelta(days=1)), *((when, day) for when in earlier)]
        when, meant = ("", local.date()) if pick.random() < 0.4 else pick.choice(whens)
        text = f"{when} {text}" if pick.random() < 0.5 else f"{text} {when}"
        return text.strip(), (name, cents, f"{meant:%Y-%m}")

    def text(self, room: Room, at: datetime) -> tuple[str, list[Entry]]:
        lines, entries = zip(*(self.line(room, at) for _ in range(self.random.choice([1, 1, 1, 1, 2, 3]))), strict=True)
        return "\n".join(lines), list(entries)

    def edits(self, note: Note, at: datetime) -> Iterator[dict[str, Any]]:
        """Another value, another name, nothing at all, or one line more; the last edit counts."""
        for number in range(self.random.choice([1, 1, 2, 3])):
            text, entries = self.text(note.room, at)
            if self.random.random() < 0.3:
                text, entries = "never mind", []
            elif self.random.random() < 0.3 and note.entries:
                text, entries = f"{note.message['text']}\n{text}", note.entries + entries
            note.message = note.message | {"text": text, "edit_date": int(at.timestamp()) + 20 * (number + 1)}
            note.entries, note.edited = entries, True
            yield self.update(edited_message=note.message)

    def first_words(self) -> Iterator[dict[str, Any]]:
        """Which names there are: said once and in order, because the first mention makes an amount or a gauge."""
        at = FIRST_DAY - timedelta(days=1)
        lines = [f"0 {name}" for name in AMOUNTS] + [f"{name} 0" for name in GAUGES]
        for room in self.rooms:
            yield self.update(message=self.message(room, room.members[0], at, f"/timezone {room.zone.key}"))
            yield self.update(message=self.message(room, room.members[0], at, "\n".join(lines)))

    def day(self, number: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """What is written on one day, in any order, and what is taken back with /undo when all of that has come."""
        written, taken_back, start = [], [], FIRST_DAY + timedelta(days=number)
        last: dict[tuple[int, int], Note] = {}
        moments = sorted(start + timedelta(minutes=self.random.randrange(24 * 60)) for _ in range(7))
        for at in [*moments, moments[-1]]:  # two in the same second
            room = self.random.choice(self.rooms)
            sender, (text, entries) = self.random.choice(room.members), self.text(room, at)
            note = Note(room, self.message(room, sender, at, text), entries)
            self.notes.append(note)
            written.append(self.update(message=note.message))
            last[room.id, sender["id"]] = note
            if self.random.random() < 0.2:
                written += self.edits(note, at)
        for note in last.values():
            if note.entries and not note.edited and self.random.random() < 0.2:
                note.undone = True
                undo = self.message(note.room, note.message["from"], start + timedelta(days=1), "/undo")
                taken_back.append(self.update(message=undo))
        self.random.shuffle(written)
        return written, taken_back

    def sheet(self) -> dict[tuple[int, str, str], list[int]]:
        """(chat, name, month): the cents of its entries."""
        cells: dict[tuple[int, str, str], list[int]] = defaultdict(list)
        for room in self.rooms:
            cells |= {(room.id, name, f"{FIRST_DAY:%Y-%m}"): [0] for name in AMOUNTS + GAUGES}  # first_words
        for note in self.notes:
            for name, cents, month in [] if note.undone else note.entries:
                cells[note.room.id, name, month].append(cents)
        return cells


@pytest.fixture
def failing_telegram(telegram: TelegramStandin, monkeypatch: pytest.MonkeyPatch) -> TelegramStandin:
    """Every third call that sends something fails, in one way or another; the waits are a hundred times shorter."""
    monkeypatch.setattr(outbox_claims, "PACE", timedelta(0))
    seconds = outbox_claims.wait_after
    monkeypatch.setattr(outbox_claims, "wait_after", lambda *about: seconds(*about) / 100)
    chance, lock = random.Random(3), threading.Lock()  # noqa: S311

    def fault(call: Call) -> Fault | None:
        with lock:
            fails = call.method in SENDING and chance.random() < 1 / 3
            return chance.choice([too_many(1), too_many(2), failing(), failing(502), silent(0.05)]) if fails else None

    telegram.fault = fault
    return telegram


@dataclass
class Post:
    """Delivers updates as Telegram does, four at once."""

    app: Flask
    secret: str

    def deliver(self, update: dict[str, Any]) -> None:
        headers = {"X-Telegram-Bot-Api-Secret-Token": self.secret}
        answer = self.app.test_client().post("/telegram/webhook", json=update, headers=headers)
        assert answer.status_code == 200

    def all_of(self, updates: list[dict[str, Any]]) -> None:
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(self.deliver, updates))


def waits_for_nothing(book: Book) -> bool:
    waiting = Message.direction == "out", Message.status.in_(("queued", "sending"))
    return not book.ask(sa.select(Message.id).where(*waiting).limit(1))


def replies_to(note: Note, said: list[str]) -> int:
    """How many answers repeat the first line of a message that was never edited."""
    name, value = note.entries[0][0], f"{note.entries[0][1] / 100:.2f}"
    repeats = re.compile(rf"(?m)^(?:{re.escape(name)} {value}|{value} {re.escape(name)})(?!\d)")
    return sum(bool(repeats.search(text)) for text in said if not text.startswith("Taken back"))


@pytest.mark.slow
def test_after_a_month_every_sum_is_that_of_the_spreadsheet(
    make_app: Callable[[Settings], Flask], bot_settings: Settings, failing_telegram: TelegramStandin, token: str
) -> None:
    telegram, household, pick = failing_telegram, Household(seed=20261105), random.Random(1)  # noqa: S311
    post = Post(make_app(bot_settings), bot_settings.telegram_webhook_secret or "")
    book = Book(post.app)
    book.allow(ANNA, BEN, EVE)
    for update in household.first_words():
        post.deliver(update)
    again: list[dict[str, Any]] = []
    for number in range(DAYS):
        written, taken_back = household.day(number)
        some = [update for update in written + taken_back if pick.random() < 0.3]
        stream = written + [update for update in some if update in written] + again
        again = some if number % 2 else []  # some come again a day late
        pick.shuffle(stream)
        post.all_of(stream)
        post.all_of(taken_back + [update for update in taken_back if pick.random() < 0.3])
        if number == DAYS // 2:  # the server is started again, with answers in hand
            outbox.stop(book.engine)
            post.app = make_app(bot_settings)

    telegram.wait_for(lambda: waits_for_nothing(book), 60)
    check_replies(household, book, telegram)
    press_some_buttons(household, post, telegram)
    telegram.wait_for(lambda: waits_for_nothing(book), 60)
    telegram.fault = None
    check_sums(household, book, post, telegram)
    check_api(household, post.app, token)
    book.check()
    assert telegram.violations == []


def check_replies(household: Household, book: Book, telegram: TelegramStandin) -> None:
    for room in household.rooms:
        sent = [call.params["text"] for call in telegram.sent(room.id, "sendMessage")]
        assert Counter(sent) == Counter(book.said(room.id))
        notes = [note for note in household.notes if note.room is room and not note.edited]
        assert [note.message["text"] for note in notes if replies_to(note, sent) != 1] == []


def press_some_buttons(household: Household, post: Post, telegram: TelegramStandin) -> None:
    presses = []
    for room in household.rooms:
        for number, call in enumerate(telegram.sent(room.id, "sendMessage"), start=1):
            mine = [one for one in household.notes if one.room is room and not (one.edited or one.undone)]
            found = [note for note in mine if replies_to(note, [call.params["text"]])]
            if len(found) == 1 and household.random.random() < 0.1:
                (note,) = found
                note.undone = True
                ((button,),) = call.params["reply_markup"]["inline_keyboard"]
                about = {"message_id": number, "chat": room.chat, "date": note.message["date"]}
                press = {"id": f"{room.id}/{number}", "from": note.message["from"], "message": about}
                presses.append(household.update(callback_query=press | {"data": button["callback_data"]}))
    assert len(presses) > 5
    post.all_of(presses + presses[::2])


def check_sums(household: Household, book: Book, post: Post, telegram: TelegramStandin) -> None:
    """/sum and /export, for each chat and month."""
    sheet, at = household.sheet(), FIRST_DAY + timedelta(days=DAYS + 3)
    for room in household.rooms:
        for month in sorted({month for chat_id, _, month in sheet if chat_id == room.id}):
            before = len(telegram.sent(room.id))
            for command in ("/sum", "/export"):
                question = household.message(room, room.members[0], at, f"{command} {month}")
                post.deliver(household.update(message=question))
            telegram.wait_for(lambda: waits_for_nothing(book))
            sums, export = telegram.sent(room.id)[before:]
            lines = re.findall(r"(?m)^(.+): (-?[\d.]+) in (\d+) entr", sums.params["text"])
            cells = {name: cell for (chat_id, name, of), cell in sheet.items() if (chat_id, of) == (room.id, month)}
            expected = {name: (sum(cell), len(cell)) for name, cell in cells.items() if name in AMOUNTS}
            assert {name: (round(float(total) * 100), int(count)) for name, total, count in lines} == expected
            rows = list(csv.DictReader(io.StringIO(export.files["document"][1].decode("utf-8-sig"))))
            exported = Counter((row["sensor"].lstrip("'"), round(float(row["value"]) * 100)) for row in rows)
            assert exported == Counter((name, cents) for name, cell in cells.items() for cents in cell)


def check_api(household: Household, app: Flask, token: str) -> None:
    """Each chat is a source of its own, and the months are those of the chat's zone."""
    sheet = household.sheet()
    headers, client = {"Authorization": f"Bearer {token}"}, app.test_client()
    for room in household.rooms:
        name = " ".join(room.chat[part] for part in ("title", "first_name", "last_name") if part in room.chat)
        answer = client.get("/api/v1/readings", query_string={"source": name}, headers=headers)
        found: Counter[Entry] = Counter()
        for reading in answer.get_json()["readings"]:
            local = datetime.fromisoformat(reading["time"]).astimezone(room.zone)
            found[reading["sensor"], round(reading["value"] * 100), f"{local:%Y-%m}"] += 1
        cells = {key: cell for key, cell in sheet.items() if key[0] == room.id}
        assert found == Counter((name, cents, month) for (_, name, month), cell in cells.items() for cents in cell)
