"""What people write in a chat becomes readings, is corrected by edits and taken back by its sender."""

import itertools
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.engine import Engine

from daybook import answers, chats, imports, people, removal, updates
from daybook.admin import deleting
from daybook.admin.tables import BY_SLUG
from daybook.chat import replies
from daybook.models import AuditEntry, Message, Reading, Replacement, Sensor, Upload
from daybook.upload_options import Options, Sender
from tests.telegram_updates import ANNA, BEN, GROUP, NOON, Book, Phone

CSV = b"time,power\n2026-11-18 12:00:00,5\n2026-11-18 13:00:00,6\n"


@pytest.fixture
def book(app: Flask) -> Book:
    book = Book(app)
    book.allow(ANNA, BEN)
    return book


def import_file(book: Book, source: str, body: bytes = CSV, **options: Any) -> int:
    upload_id = imports.announce(book.engine, "a.csv", Options(source=source, **options), Sender())
    imports.import_stream(book.engine, book.settings, [body], upload_id=upload_id)
    return upload_id


def wait_for(condition: Callable[[], Any], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# --- kept


def test_two_messages_of_the_same_second_both_count(book: Book, phone: Phone) -> None:
    book.take(phone.message("5 coffee"), phone.message("5 coffee"), phone.message("7 coffee"))
    assert book.values() == [5, 5, 7]
    assert [row[2] for row in book.readings()] == [NOON + timedelta(microseconds=number) for number in range(3)]
    assert "17 in 3 entries" in book.said()[-1]
    book.check()


def test_a_reading_goes_past_those_of_files(book: Book, phone: Phone) -> None:
    import_file(book, "Anna Meyer")
    book.take(phone.message("power 9"))
    assert [(row[2] - NOON, row[3]) for row in book.readings()] == [
        (timedelta(0), 5),
        (timedelta(microseconds=1), 9),
        (timedelta(hours=1), 6),
    ]
    book.take(phone.message("/undo"))
    assert book.values() == [5, 6]
    book.check()


def test_readings_of_an_import_in_progress_do_not_count_and_do_not_hold_the_chat_up(book: Book, phone: Phone) -> None:
    book.take(phone.message("4 coffee"))
    upload_id = imports.announce(book.engine, "a.csv", Options(source="Anna Meyer"), Sender())
    seen: list[Any] = []

    def pieces() -> Iterator[bytes]:
        rows = "".join(f"2026-11-18 12:00:{second:02},100,1\n" for second in range(60))
        yield f"time,coffee,power\n{rows}".encode()
        yield (rows * 20_000).encode()[: 3 << 20]  # so that a batch is stored while this one is still read
        wait_for(lambda: book.ask(sa.select(Reading).where(Reading.upload_id == upload_id).limit(1)))
        phone.later(seconds=20)
        book.take(phone.message("6 coffee"), phone.message("/sum"), phone.message("/latest coffee"))
        seen.extend(book.said()[-3:])
        raise OSError("the sender has gone")

    imports.import_stream(book.engine, book.settings, pieces(), upload_id=upload_id)
    assert "10 in 2 entries" in seen[0]
    assert "coffee: 10 in 2 entries" in seen[1]
    assert "coffee: 6" in seen[2]
    assert book.values() == [4, 6]
    book.check()


def test_undoing_a_file_keeps_a_sensor_that_a_chat_is_writing_to(book: Book, phone: Phone, engine: Engine) -> None:
    upload_id = import_file(book, "Anna Meyer")
    book.take(phone.message("power 9"))
    assert removal.undo(book.engine, book.settings, upload_id)
    assert [(row[1], row[3]) for row in book.readings()] == [("power", 9)]
    # Counted, but by a transaction that has not committed its reading yet: what the removal sees is the count.
    again = import_file(book, "Anna Meyer", b"time,wind\n2026-11-18 12:00:00,5\n")
    with engine.begin() as connection:
        connection.execute(sa.update(Sensor).where(Sensor.name == "wind").values(reading_count=2))
    assert removal.undo(book.engine, book.settings, again)
    assert "wind" in [row.name for row in book.ask(sa.select(Sensor.name))]


def test_a_reading_that_a_file_has_replaced_stays_away_once_taken_back(book: Book, phone: Phone) -> None:
    book.take(phone.message("power 9"))
    upload_id = import_file(book, "Anna Meyer", on_duplicate="replace")
    assert book.values() == [5, 6]
    book.take(phone.message("/undo"))
    assert book.values() == [5, 6]
    assert removal.undo(book.engine, book.settings, upload_id)
    assert book.values() == []
    book.check()


@pytest.mark.parametrize("says", ["undo", "edit"])
def test_an_import_that_would_replace_what_the_chat_changes_meanwhile_fails_whole(
    book: Book, phone: Phone, says: str
) -> None:
    entry = phone.message("power 9")
    book.take(entry, phone.message("power 7"))
    upload_id = imports.announce(book.engine, "a.csv", Options(source="Anna Meyer", on_duplicate="replace"), Sender())

    def pieces() -> Iterator[bytes]:
        yield b"time,power\n"
        yield (b"2026-11-18 12:00,5\n" * 200_000)[: 19 * 200_000]  # so that a batch is stored while it is still read
        wait_for(lambda: book.ask(sa.select(Replacement)))
        book.take(phone.press(f"undo:{book.message(entry).id}") if says == "undo" else phone.edit(entry, "power 8"))

    imports.import_stream(book.engine, book.settings, pieces(), upload_id=upload_id)
    (row,) = book.ask(sa.select(Upload.status, Upload.error_code, Upload.error))
    assert (row.status, row.error_code) == ("failed", "changed_meanwhile")
    assert "in the chat" in row.error
    assert book.values() == ([7] if says == "undo" else [8, 7])
    assert book.ask(sa.select(Replacement)) == []
    book.check()


@pytest.mark.parametrize("first", [0, 1])
def test_a_reading_that_two_files_have_replaced_stays_away_once_taken_back(
    book: Book, phone: Phone, first: int
) -> None:
    book.take(phone.message("power 9"))
    uploads = [
        import_file(book, "Anna Meyer", b"time,power\n2026-11-18 12:00:00,%d\n" % value, on_duplicate="replace")
        for value in (5, 6)
    ]
    book.take(phone.message("/undo"))
    assert book.values() == [6]
    for upload_id in (uploads[first], uploads[1 - first]):
        assert removal.undo(book.engine, book.settings, upload_id)
    assert book.values() == []
    book.check()


@pytest.mark.parametrize("how", ["edit", "undo"])
def test_a_first_entry_written_the_wrong_way_round_decides_nothing_once_it_is_mended(
    book: Book, phone: Phone, how: str
) -> None:
    first = phone.message("groceries 12.50 USD", ANNA, GROUP)
    book.take(first)
    assert "kept as a gauge" in book.said()[-1]
    mended = "12.50 EUR groceries"
    if how == "edit":
        book.take(phone.edit(first, mended))
    else:
        book.take(phone.message("/undo", ANNA, GROUP), phone.message("/sensors", BEN, GROUP))
        assert book.said()[-1].startswith("Nothing is kept here yet.")
        book.take(phone.message(mended, BEN, GROUP))
    assert "12.50 EUR groceries. New here, kept as an amount" in book.said()[-1]
    assert "November so far: 12.50 EUR in 1 entry" in book.said()[-1]
    book.take(phone.message("3 groceries", BEN, GROUP), phone.message("/sum groceries", BEN, GROUP))
    assert "groceries, November so far: 15.50 EUR in 2 entries" in book.said()[-1]
    # A sensor that holds something stays what it is.
    book.take(phone.message("groceries 1", BEN, GROUP))
    (row,) = book.ask(sa.select(Sensor.kind, Sensor.unit))
    assert tuple(row) == ("amount", "EUR")
    book.check()


def test_a_correction_of_the_only_value_keeps_its_unit(book: Book, phone: Phone) -> None:
    first = phone.message("temperature 21.4 °C")
    book.take(first, phone.edit(first, "temperature 21.6"))
    assert book.said()[-1] == "Corrected: temperature 21.6 °C."


def test_a_kind_chosen_for_a_labelled_sensor_outlives_its_readings(book: Book, phone: Phone, engine: Engine) -> None:
    book.take(phone.message("12 rain"))
    with engine.begin() as connection:
        connection.execute(sa.update(Sensor).values(label="Rain in the garden"))
    book.take(phone.message("/undo"), phone.message("rain 3"))
    assert "November so far: 3 in 1 entry" in book.said()[-1]


# --- months


@pytest.mark.parametrize("zone", ["Europe/Dublin", "Pacific/Auckland", "America/St_Johns", "Asia/Kathmandu"])
def test_a_month_is_that_of_the_chat_at_both_ends(book: Book, phone: Phone, zone: str) -> None:
    from zoneinfo import ZoneInfo

    book.take(phone.message(f"/timezone {zone}"))
    start, end = (datetime(2026, month, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC) for month in (10, 11))
    moments = {start - timedelta(seconds=1): 1, start: 10, end - timedelta(seconds=1): 100, end: 1000}
    for at, amount in moments.items():
        phone.now = at
        book.take(phone.message(f"{amount} groceries"))
    phone.now = end + timedelta(days=1)
    book.take(phone.message("/sum groceries 2026-10"), phone.message("/sum"), phone.message("/sum september"))
    assert "110" in book.said()[-3]
    assert "1,000" in book.said()[-2].replace("\u202f", ",") or "1000" in book.said()[-2]
    assert ": 1 in 1 entry" in book.said()[-1]


# --- corrected


def test_an_edit_corrects_the_reading_at_its_time(book: Book, phone: Phone) -> None:
    said = phone.message("12.50 groceries")
    book.take(said, phone.message("1 groceries"))
    book.take(phone.edit(said, "15 groceries"))
    assert [(row[2] - NOON, row[3]) for row in book.readings()] == [
        (timedelta(0), 15),
        (timedelta(microseconds=1), 1),
    ]
    assert book.message(said).text == "15 groceries"
    assert book.message(said).edited_at is not None
    assert "16 in 2 entries" in book.said()[-1]
    book.check()


def test_an_edit_of_several_lines(book: Book, phone: Phone) -> None:
    said = phone.message("1 coffee\n2 tea\n3 coffee")
    book.take(said)
    book.take(edit := phone.edit(said, "1 coffee\n20 tea\n4 juice\n5 coffee"), edit)
    assert sorted((row[1], row[3]) for row in book.readings()) == [
        ("coffee", 1),
        ("coffee", 5),
        ("juice", 4),
        ("tea", 20),
    ]
    assert len(book.said()) == 2
    book.check()


def test_an_edit_can_take_the_number_away_and_bring_it_back(book: Book, phone: Phone) -> None:
    said = phone.message("12.50 groceries")
    book.take(said, taken := phone.edit(said, "never mind"))
    assert book.values() == []
    assert "Taken back: 12.50 groceries" in book.said()[1]
    book.take(phone.edit(taken, "13 groceries"))
    assert book.values() == [13]
    book.check()


def test_an_edit_that_changes_no_word_says_nothing(book: Book, phone: Phone) -> None:
    said = phone.message("12.50 groceries")
    book.take(said, phone.edit(said, "12.50 groceries"))
    idle = phone.message("hello")
    book.take(idle, phone.edit(idle, "hello there"))
    assert len(book.said()) == 2
    assert book.values() == [12.5]


def test_edits_in_any_order_leave_the_last_one(book: Book, phone: Phone) -> None:
    for order in itertools.permutations(range(3)):
        said = phone.later(minutes=5).message("1 coffee")
        deliveries = [said, first := phone.edit(said, "2 coffee"), phone.edit(first, "3 coffee")]
        before = len(book.readings())
        book.take(*(deliveries[number] for number in order))
        assert len(book.readings()) == before + 1
        assert book.values()[-1] == 3, order
    book.check()


def test_two_edits_within_a_second(book: Book, phone: Phone) -> None:
    said = phone.message("1 coffee")
    first = phone.edit(said, "2 coffee")
    second = phone.edit(said, "3 coffee")
    second["edited_message"]["edit_date"] = first["edited_message"]["edit_date"]
    book.take(said, second, first)
    assert book.values() == [3]


def test_an_edit_of_a_message_from_before_its_sender_was_allowed(app: Flask, phone: Phone) -> None:
    book = Book(app)
    said = phone.message("12.50 groceries")
    book.take(said, phone.edit(said, "13 groceries"))
    assert book.values() == []
    book.allow(ANNA)
    book.take(phone.edit(said, "14 groceries"))
    assert [(row[2], row[3]) for row in book.readings()] == [(NOON, 14)]


# --- taken back


def test_undo_takes_back_the_senders_last_entry_and_then_the_one_before(book: Book, phone: Phone) -> None:
    for person, text in ((ANNA, "1 coffee"), (BEN, "2 coffee"), (ANNA, "4 coffee\n8 tea")):
        book.take(phone.message(text, person, GROUP))
    book.take(phone.message("/undo", ANNA, GROUP))
    assert book.values() == [1, 2]
    book.take(undo := phone.message("/undo", ANNA, GROUP), undo, undo)
    assert book.values() == [2]
    book.take(phone.message("/undo", ANNA, GROUP))
    assert "no entry of yours" in book.said()[-1]
    book.take(phone.message("/undo", BEN, GROUP))
    assert book.values() == []
    book.check()


def test_undos_at_once_take_back_one_entry_each(book: Book, phone: Phone) -> None:
    book.take(*(phone.message(f"{2**number} coffee") for number in range(6)))
    undos = [phone.message("/undo") for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(book.take, undo) for undo in undos]:
            done.result()
    assert book.values() == [1, 2]
    assert not updates.failed(book.engine)
    book.check()


def test_the_button_is_for_the_sender_and_works_once(book: Book, phone: Phone) -> None:
    said = phone.message("12.50 groceries", ANNA, GROUP)
    book.take(said)
    (reply,) = book.ask(sa.select(Message.payload).where(Message.direction == "out"))
    data = reply.payload["reply_markup"]["inline_keyboard"][0][0]["callback_data"]
    book.take(phone.press(data, BEN, GROUP))
    assert book.values() == [12.5]
    book.take(press := phone.press(data, ANNA, GROUP), press)
    assert book.values() == []
    told = len(book.said())
    book.take(phone.press(data, ANNA, GROUP))
    assert len(book.said()) == told
    book.check()


def test_a_button_of_another_chat_does_nothing(book: Book, phone: Phone) -> None:
    said = phone.message("12.50 groceries", ANNA, GROUP)
    book.take(said, phone.press("undo:1", ANNA))
    for data in ("undo:0", "undo:-1", "undo:99999999999999999999", "undo:", "", "x", "sum:7", "latest:99"):
        book.take(phone.press(data, ANNA))
    assert book.values() == [12.5]
    assert not updates.failed(book.engine)


def test_a_gauge_that_was_meant_as_an_amount_is_summed_after_a_press(book: Book, phone: Phone) -> None:
    book.take(phone.message("rent 850"), phone.later(minutes=1).message("900 rent"))
    assert "nothing is summed" in book.said()[-1]
    sensor_id = book.ask(sa.select(Sensor.id))[0].id
    book.take(phone.press(f"amount:{sensor_id}"))
    assert "1750 in 2 entries" in book.said()[-1]
    assert [row.kind for row in book.ask(sa.select(Sensor.kind))] == ["amount"]
    changes = book.ask(sa.select(AuditEntry.changes, AuditEntry.origin).where(AuditEntry.object_type == "sensor"))
    assert [(row.changes, row.origin) for row in changes][1:] == [({"kind": ["gauge", "amount"]}, "chat")]
    book.take(phone.later(minutes=1).message("100 rent"))
    assert "1850" in book.said()[-1]


def test_a_button_that_means_nothing_any_more_says_so(book: Book, phone: Phone) -> None:
    entry = phone.message("5 coffee")
    book.take(entry)
    row = answers.MessageRow(0, NOON, 0, True)
    for data in ("nonsense", "undo:99999"):
        with book.engine.begin() as connection:
            chat, person = chats.find(connection, ANNA["id"]), people.meet(connection, ANNA)
            about = answers.About(book.settings, chat, person, row)
            assert "does not work any more" in answers.answer_press(connection, about, data, None)
    assert len(book.said()) == 1
    assert book.values() == [5]


def test_what_was_taken_back_stays_so_when_it_is_edited(book: Book, phone: Phone) -> None:
    said = phone.message("12.50 groceries")
    book.take(said, phone.message("/undo"), phone.edit(said, "13 groceries"))
    assert book.values() == []
    assert "taken back" in book.said()[-1]


def test_undo_does_what_it_would_have_done_in_order(book: Book, phone: Phone) -> None:
    """Whatever the order of delivery, the book is as if everything had come as it was written."""
    written = []
    for text in ("1 coffee", "2 coffee", "/undo", "4 coffee", "/undo", "/undo", "8 coffee", "16 coffee", "/undo"):
        written.append(phone.later(seconds=10).message(text))
    orders = list(itertools.permutations(range(len(written))))
    generator = random.Random(7)  # noqa: S311
    for number, order in enumerate(generator.sample(orders, 12)):
        chat = {"id": -8000 - number, "type": "group", "title": f"Chat {number}"}
        for at in order:
            update = written[at]
            moved = update["message"] | {"chat": chat}
            book.take({"update_id": update["update_id"] + 100 * (number + 1), "message": moved})
        assert [row[3] for row in book.readings() if row[0] == f"Chat {number}"] == [8], order
    assert not updates.failed(book.engine)
    book.check()


def test_a_month_of_a_household_in_any_order(book: Book, phone: Phone) -> None:
    """Entries, edits and undos, shuffled by up to a minute and delivered twice: the sum is the spreadsheet's."""
    generator = random.Random(11)  # noqa: S311
    expected: dict[int, float] = {}
    stack: dict[int, list[int]] = {ANNA["id"]: [], BEN["id"]: []}
    delivered: list[tuple[datetime, Any]] = []
    for number in range(150):
        phone.later(minutes=generator.randint(1, 4))
        person = generator.choice((ANNA, BEN))
        amount = generator.randint(1, 9999) / 100
        if generator.random() < 0.15:
            delivered.append((phone.now, phone.message("/undo", person, GROUP)))
            if stack[person["id"]]:
                del expected[stack[person["id"]].pop()]
            continue
        said = phone.message(f"{amount} groceries", person, GROUP)
        delivered.append((phone.now, said))
        expected[number] = amount
        stack[person["id"]].append(number)
        if generator.random() < 0.2:
            expected[number] = amount + 1
            delivered.append((phone.now, phone.edit(said, f"{amount + 1:.2f} groceries")))
    shuffled = sorted(delivered * 2, key=lambda one: one[0] + timedelta(minutes=generator.randint(0, 10)))
    book.take(*(update for _, update in shuffled))
    assert not updates.failed(book.engine)
    assert book.total("groceries") == round(sum(expected.values()), 2)
    book.check()


def delete_messages(book: Book) -> None:
    """As an admin does, all that there are."""
    ids = [row.id for row in book.ask(sa.select(Message.id))]
    deleting.delete(book.engine, book.settings, BY_SLUG["messages"], ids, None)


def test_an_old_button_means_no_later_message(book: Book, phone: Phone) -> None:
    """The message under which it hung is deleted, and so is its entry's: no other gets its number."""
    book.take(phone.message("12 coffee"))
    [button] = [row.id for row in book.ask(sa.select(Message.id).where(Message.direction == "in"))]
    delete_messages(book)
    book.take(phone.later(hours=1).message("900 rent"))
    book.take(phone.press(f"undo:{button}"))
    assert 900 in book.values()


def test_an_edit_of_a_deleted_message_counts_nothing_twice(book: Book, phone: Phone) -> None:
    message = phone.message("12 coffee")
    book.take(message)
    delete_messages(book)
    book.take(phone.edit(message, "12.50 coffee"))
    assert book.values() == [12]
    assert book.said() == [replies.edited_after_deletion().text]
    assert book.ask(sa.select(Message.id).where(Message.direction == "in")) == []
    # Another bot in this chat counts anew: the same number is another message there.
    other = phone.edit(message, "8 milk")
    other["edited_message"]["date"] += 3600
    book.take(other)
    assert sorted(book.values()) == [8, 12]
    # Of another message with as yet no row, the edit is what counts, and the message comes late.
    late = phone.message("5 tea")
    book.take(phone.edit(late, "6 tea"), late)
    assert sorted(book.values()) == [6, 8, 12]
