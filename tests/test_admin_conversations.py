"""Writing as the bot from the admin area: to one person, and to everybody; and what one message's page tells."""

import html
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.engine import Engine

from daybook import people
from daybook.admin import conversations, jobs
from daybook.config import Settings
from daybook.models import Account, AuditEntry, Chat, Job, Message, TelegramUser, utc_now
from tests.admin_rows import hidden, wait_for_job
from tests.conftest import PASSWORD, Person
from tests.telegram_standin import BLOCKED, TelegramStandin, silent
from tests.telegram_updates import ANNA, BEN, GROUP, Book, Phone

HTMX = {"HX-Request": "true"}


@pytest.fixture
def app(make_app: Callable[[Settings], Flask], bot_settings: Settings) -> Flask:
    """The app with a bot."""
    return make_app(bot_settings)


@pytest.fixture
def book(app: Flask) -> Book:
    """Anna is allowed and has written."""
    book = Book(app)
    book.allow(ANNA)
    return book


@pytest.fixture
def admin(client: FlaskClient, make_account: Callable[..., Person], login: Callable[..., FlaskClient]) -> FlaskClient:
    return login(client, make_account())


def outgoing(engine: Engine, chat_id: int | None = None) -> list[tuple[str, str]]:
    query = sa.select(Message.text, Message.status).where(Message.direction == "out").order_by(Message.id)
    with engine.connect() as connection:
        wanted = query if chat_id is None else query.where(Message.chat_id == chat_id)
        return [tuple(row) for row in connection.execute(wanted)]


def greet(book: Book, phone: Phone, telegram: TelegramStandin, person: dict[str, object] = ANNA) -> None:
    """They write something that the bot answers, and it has answered."""
    before = len(telegram.sent())
    book.take(phone.message("/help", person))
    telegram.wait_for(lambda: len(telegram.sent()) > before)


def test_an_answer_goes_out_and_its_delivery_is_shown(
    admin: FlaskClient, book: Book, engine: Engine, telegram: TelegramStandin
) -> None:
    greet(book, Phone(), telegram)
    telegram.faults(silent(1.5, after_it_was_done=True))
    response = admin.post("/admin/users/1001/answer", data={"text": " Is the mast\r\nup again? "})
    assert (response.status_code, response.location) == (303, "/admin/users/1001#conversation")
    telegram.wait_for(lambda: any(call.params.get("text", "").startswith("Is the") for call in telegram.calls))
    page = admin.get("/admin/users/1001").text
    assert re.search(r'id="talk" hx-get="/admin/users/1001/conversation" hx-trigger="every 2s"', page)
    assert "being sent" in page or "waits to be sent" in page
    telegram.wait_for(lambda: outgoing(engine)[-1][1] == "sent", 20)
    part = admin.get("/admin/users/1001/conversation", headers=HTMX).text
    assert "<html" not in part
    assert "hx-trigger" not in part  # nothing is on its way any more
    assert "Your last message" not in part  # told to whoever has just sent it
    assert "Is the mast\nup again?" in html.unescape(part)
    with engine.connect() as connection:
        entry = connection.execute(sa.select(AuditEntry).where(AuditEntry.action == "write to")).one()
    assert (entry.object_id, entry.object_repr, entry.actor) == ("1001", "Anna Meyer", "ada")
    assert entry.changes == {"text": [None, "Is the mast\nup again?"]}


def test_it_is_told_which_admin_wrote_as_the_bot(
    admin: FlaskClient, book: Book, engine: Engine, telegram: TelegramStandin, make_account: Callable[..., Person]
) -> None:
    greet(book, Phone(), telegram)
    admin.post("/admin/users/1001/answer", data={"text": "Is the mast up again?"})
    with engine.begin() as connection:
        mine = connection.execute(sa.select(Message).where(Message.text.startswith("Is the mast"))).one()
        # The name stays when the account goes.
        connection.execute(sa.update(Account).values(username="somebody else"))
    assert mine.written_by == "ada"
    page = admin.get("/admin/users/1001").text
    assert page.count("ada, as the bot") == 1  # and not what the bot says of itself
    assert "ada, as the bot" in admin.get(f"/admin/messages/{mine.id}").text
    assert "ada, as the bot" in admin.get("/admin/messages/").text


def test_a_message_leads_to_the_conversation(
    admin: FlaskClient, book: Book, engine: Engine, telegram: TelegramStandin
) -> None:
    greet(book, Phone(), telegram)
    with engine.connect() as connection:
        answer = connection.scalar(sa.select(Message.id).where(Message.direction == "out"))
    page = admin.get(f"/admin/messages/{answer}").text
    assert '<a href="/admin/users/1001#conversation">The conversation with Anna Meyer</a>' in page
    row = re.search(r"(?s)<tr>(?:(?!</tr>).)*the bot.*?</tr>", admin.get("/admin/messages/").text)
    assert row
    assert '<a href="/admin/users/1001">Anna Meyer</a>' in row[0]  # also of what the bot has said


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (" \n ", "Write something first."),
        ("😀" * 2049, "The text has 4,098 characters; Telegram takes at most 4,096."),
        ("a\0b", "type it again by hand"),
    ],
)
def test_what_cannot_be_sent_stays_in_the_box(
    admin: FlaskClient, book: Book, engine: Engine, telegram: TelegramStandin, text: str, complaint: str
) -> None:
    greet(book, Phone(), telegram)
    for headers in ({}, HTMX):
        response = admin.post("/admin/users/1001/answer", data={"text": text}, headers=headers)
        assert response.status_code == 422
        assert ("<html" in response.text) is not bool(headers)
        assert complaint in html.unescape(response.text)
        assert 'aria-invalid="true" aria-describedby="answer-wrong"' in response.text
        box = re.search(r'<textarea[^>]*id="answer-text"[^>]*>\n(.*?)</textarea>', response.text, re.S)
        assert box
        assert html.unescape(box[1]) == text
    assert len(outgoing(engine)) == 1  # the bot's own


def test_the_longest_text_arrives_whole(
    admin: FlaskClient, book: Book, engine: Engine, telegram: TelegramStandin
) -> None:
    phone = Phone()
    greet(book, phone, telegram)
    text = "😀" * 2048
    response = admin.post("/admin/users/1001/answer", data={"text": text}, headers=HTMX)
    assert response.status_code == 200
    assert 'name="text" rows="3" autofocus' in response.text  # the keyboard is in the box again, and that is empty
    telegram.wait_for(lambda: telegram.texts(1001)[-1] == text)
    telegram.wait_for(lambda: outgoing(engine)[-1][1] == "sent")
    with engine.connect() as connection:
        sent = connection.scalar(sa.select(sa.func.max(Message.id)))
    path = f"/admin/users/1001/conversation?sent={sent}"
    assert path in response.text or "Your last message: sent" in response.text  # where it was quick
    assert "Your last message: sent" in admin.get(path, headers=HTMX).text
    greet(book, phone, telegram)  # what the bot says by itself is not mine
    telegram.wait_for(lambda: outgoing(engine)[-1][1] == "sent")
    assert "Your last message" not in admin.get("/admin/users/1001").text


def test_nobody_is_written_to_who_has_never_written(admin: FlaskClient, engine: Engine, book: Book) -> None:
    page = admin.get("/admin/users/1001").text
    assert "They have not written to the bot yet" in page
    assert "Nothing has been said in private yet." in page
    assert 'id="answer-text"' not in page
    for headers in ({}, HTMX):
        assert admin.post("/admin/users/1001/answer", data={"text": "hi"}, headers=headers).status_code == 422
    assert outgoing(engine) == []


def test_who_has_blocked_the_bot_is_known_and_written_to_again_later(
    admin: FlaskClient, book: Book, engine: Engine, telegram: TelegramStandin
) -> None:
    greet(book, Phone(), telegram)
    telegram.fault = lambda call: BLOCKED
    admin.post("/admin/users/1001/answer", data={"text": "Still there?"})
    telegram.wait_for(lambda: outgoing(engine)[-1] == ("Still there?", "gone"))
    page = admin.get("/admin/users/1001").text
    assert "cannot be delivered" in page
    assert "They have blocked the bot or deleted their account" in page
    assert "bot was blocked by the user" in page
    telegram.fault = None
    number = re.findall(r'href="/admin/messages/(\d+)"', page)[-1]
    assert "Send again" in admin.get(f"/admin/messages/{number}").text
    assert admin.post(f"/admin/messages/{number}/do/send-again").status_code == 303
    telegram.wait_for(lambda: outgoing(engine)[-1] == ("Still there?", "sent"))
    assert "They have blocked" not in admin.get("/admin/users/1001").text


def test_without_a_token_it_waits_and_the_page_says_so(
    make_app: Callable[[Settings], Flask], app: Flask, admin: FlaskClient, book: Book, login: Callable[..., FlaskClient]
) -> None:
    book.take(Phone().message("/help"))
    plain = make_app(replace(app.config["DAYBOOK"], telegram_bot_token=""))
    client = login(plain.test_client(), Person(1, "ada", PASSWORD, "admin"))
    assert client.post("/admin/users/1001/answer", data={"text": "soon"}).status_code == 303
    page = client.get("/admin/users/1001").text
    assert "TELEGRAM_BOT_TOKEN is set" in page
    assert "hx-trigger" not in page.partition('id="talk"')[2].partition(">")[0]


def test_everything_that_can_be_said_reads_well(
    admin: FlaskClient, book: Book, engine: Engine, telegram: TelegramStandin
) -> None:
    phone = Phone()
    book.allow(BEN)
    first = phone.message("/start")
    picture = phone.later(minutes=1).message(None, photo=[{"file_id": "x", "width": 1, "height": 1}])
    entry = phone.later(minutes=1).message("7.50 coffee")
    book.take(first, picture, entry, phone.edit(entry, "8.50 coffee"))
    book.take(phone.message(None, voice={"file_id": "v", "duration": 3}))
    book.take(phone.message(None, document={"file_id": "d", "file_name": "garden.txt", "file_size": 3}))
    book.take(phone.message("only among us", chat=GROUP), phone.message("from somebody else", BEN))
    page = html.unescape(admin.get("/admin/users/1001").text)
    for words in ("/start", "(a photo)", "(a voice message)", "garden.txt", "8.50 coffee"):
        assert words in page, words
    assert re.search(r"8\.50 coffee</div>\s*<a[^>]*>.*? · edited</a>", page)
    assert ">7.50 coffee</div>" not in page
    assert "only among us" not in page
    assert "from somebody else" not in page
    everything = admin.get("/admin/messages/?sender=1001").text
    assert "only among us" in everything
    assert "Household" in everything
    # A message of the bot's that was changed since reads as it does in the chat.
    with engine.begin() as connection:
        values = {"chat_id": 1001, "direction": "out", "status": "sent"}
        sent = connection.execute(sa.insert(Message).values(text="Reading …", **values).returning(Message.id)).scalar()
        edit = {"method": "editMessageText", "reply_to_id": sent, "text": "12 readings added"}
        connection.execute(sa.insert(Message).values(values | edit))
    page = admin.get("/admin/users/1001").text
    assert page.count("12 readings added") == 1
    assert "Reading …" not in page


def test_a_long_conversation_is_read_in_parts(admin: FlaskClient, book: Book, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.insert(Chat).values(chat_id=1001))
        rows = [
            {"chat_id": 1001, "direction": "in", "text": f"line {i}.", "telegram_message_id": i, "sent_at": utc_now()}
            for i in range(1, 121)
        ]
        connection.execute(sa.insert(Message), rows)
    seen, url = [], "/admin/users/1001"
    while url:
        page = admin.get(url).text
        seen = re.findall(r"line (\d+)\.", page.partition('id="talk"')[2].partition("</ol>")[0]) + seen
        link = re.search(r'href="([^"]+)">Earlier messages', page)
        assert ("Newest messages" in page) is ("before" in url)
        url = html.unescape(link[1]) if link else ""
    assert [int(number) for number in seen] == list(range(1, 121))


def test_in_a_burst_each_answer_stands_behind_what_it_answers(admin: FlaskClient, book: Book, engine: Engine) -> None:
    begun = utc_now() - timedelta(hours=1)
    said = [(1, "in", None, 0), (2, "in", None, 2), (3, "in", None, 4), (4, "out", 1, 5), (5, "out", 2, 6)]
    said += [(6, "out", 3, 600), (7, "out", None, 601)]  # the first of them late
    with engine.begin() as connection:
        connection.execute(sa.insert(Chat).values(chat_id=1001))
        for number, direction, about, seconds in said:
            values = {"id": number, "chat_id": 1001, "direction": direction, "reply_to_id": about, "status": "sent"}
            at = begun + timedelta(seconds=seconds)
            connection.execute(sa.insert(Message).values(text=f"line {number}.", sent_at=at, **values))
    page = admin.get("/admin/users/1001").text
    assert re.findall(r"line (\d)\.", page.partition('id="talk"')[2].partition("</ol>")[0]) == list("1425367")


def test_a_messages_page_shows_what_came_and_what_became_of_it(admin: FlaskClient, book: Book) -> None:
    phone = Phone()
    update = phone.message("12.50 groceries")
    book.take(update)
    row = book.message(update)
    page = html.unescape(admin.get(f"/admin/messages/{row.id}").text)
    assert "Readings that it made" in page
    assert re.search(r'groceries</a> <strong class="num-plain">12\.5</strong>', page)
    assert f'"update_id": {update["update_id"]}' in page
    assert f'href="/admin/updates/{update["update_id"]}"' in page
    assert "Question and answers" in page
    assert "12.50 groceries" in admin.get(f"/admin/updates/{update['update_id']}").text


# --- to everybody -------------------------------------------------------------------------------------------------


@pytest.fixture
def crowd(engine: Engine, admin: FlaskClient) -> Engine:
    """45 people who are allowed and have written, one who has not, one who waits and one who is blocked."""
    with engine.begin() as connection:
        rows = [{"user_id": i, "first_name": f"P{i}", "status": "allowed"} for i in range(2001, 2047)]
        rows += [{"user_id": 2100, "first_name": "W", "status": "pending"}]
        rows += [{"user_id": 2101, "first_name": "B", "status": "blocked"}]
        connection.execute(sa.insert(TelegramUser), rows)
        connection.execute(sa.insert(Chat), [{"chat_id": row["user_id"]} for row in rows if row["user_id"] != 2046])
    return engine


def preview(admin: FlaskClient, text: str) -> dict[str, str]:
    """The form that the preview shows."""
    page = admin.post("/admin/broadcast", data={"text": text}).text
    assert "Send to 45 people" in page
    once = re.search(r'name="once" value="([^"]+)"', page)
    assert once
    return {"text": text, "once": once[1], "mark": hidden(page, "mark"), "confirmed": "yes"}


def ended(engine: Engine) -> bool:
    with engine.connect() as connection:
        return set(connection.scalars(sa.select(Job.status))) == {"done"}


def test_a_broadcast_is_shown_first_and_reaches_everybody_once(
    app: Flask, admin: FlaskClient, crowd: Engine, telegram: TelegramStandin, login: Callable[..., FlaskClient]
) -> None:
    first = admin.get("/admin/broadcast").text
    assert "45 people now. 1 more is allowed but never wrote" in first
    assert admin.post("/admin/broadcast", data={"text": ""}).status_code == 422
    form = preview(admin, "The <b>river</b> rises")
    assert "The &lt;b&gt;river&lt;/b&gt; rises" in admin.post("/admin/broadcast", data={"text": form["text"]}).text
    back = admin.post("/admin/broadcast", data=form | {"change": "yes"})
    assert "The &lt;b&gt;river&lt;/b&gt; rises</textarea>" in back.text
    assert outgoing(crowd) == []
    ada = Person(1, "ada", PASSWORD, "admin")
    clients = [login(app.test_client(), ada) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:  # clicks too many
        answers = list(pool.map(lambda client: client.post("/admin/broadcast", data=form), clients))
    answers.append(admin.post("/admin/broadcast", data=form))  # and one after going back
    assert {(answer.status_code, answer.location) for answer in answers} == {(303, "/admin/jobs/1")}
    telegram.wait_for(lambda: ended(crowd))
    telegram.wait_for(lambda: len(telegram.sent()) == 45, 20)
    assert sorted(call.chat_id for call in telegram.sent()) == list(range(2001, 2046))
    page = admin.get("/admin/jobs/1").text
    assert "45 of 45 people; 45 messages queued." in page
    assert 'href="/admin/messages/?direction=out">Messages from the bot</a>' in page
    assert "The &lt;b&gt;river&lt;/b&gt; rises" in page
    with crowd.connect() as connection:
        entries = connection.execute(sa.select(AuditEntry).where(AuditEntry.action == "broadcast")).all()
        assert set(connection.scalars(sa.select(Message.written_by))) == {"ada"}
    assert [entry.changes["text"][1] for entry in entries] == ["The <b>river</b> rises"]


def test_a_broadcast_goes_to_those_who_were_shown_and_nobody_else(
    admin: FlaskClient, crowd: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is allowed between the preview and the button, another once the work has begun."""
    form = preview(admin, "hello")
    with crowd.begin() as connection:
        people.decide(connection, [2001], "blocked", None)
        connection.execute(sa.update(TelegramUser).where(TelegramUser.user_id == 2100).values(status="allowed"))
    told = admin.post("/admin/broadcast", data=form)
    assert told.status_code == 409
    assert "Look again" in told.text
    assert "Send to 45 people" in told.text  # as many, but others
    begin = jobs.begin

    def later(*args: Any) -> None:
        with crowd.begin() as connection:
            connection.execute(sa.update(TelegramUser).where(TelegramUser.user_id == 2101).values(status="allowed"))
        begin(*args)

    monkeypatch.setattr(jobs, "begin", later)
    agreed = form | {"once": hidden(told, "once"), "mark": hidden(told, "mark")}
    assert admin.post("/admin/broadcast", data=agreed).status_code == 303
    assert wait_for_job(crowd).changed == 45
    with crowd.connect() as connection:
        got = set(connection.scalars(sa.select(Message.chat_id).where(Message.text == "hello")))
    assert got == {*range(2002, 2046), 2100}


def test_nobody_is_left_to_send_to(admin: FlaskClient, crowd: Engine) -> None:
    form = preview(admin, "hello")
    with crowd.begin() as connection:
        connection.execute(sa.update(TelegramUser).values(status="blocked"))
    told = admin.post("/admin/broadcast", data=form)
    assert (told.status_code, "Nobody could be reached" in told.text) == (409, True)


def test_the_preview_tells_whom_telegram_will_not_deliver_to(admin: FlaskClient, crowd: Engine) -> None:
    def page() -> str:
        return admin.post("/admin/broadcast", data={"text": "hello"}).text

    assert "blocked the bot" not in page()
    ago = utc_now() - timedelta(minutes=5)
    gone = {"direction": "out", "text": "x", "status": "gone", "sent_at": ago}
    with crowd.begin() as connection:
        # 2101 is not written to anyway, and 2003 has written since.
        connection.execute(sa.insert(Message), [{"chat_id": i, **gone} for i in (2001, 2003, 2101)])
        connection.execute(sa.insert(Message).values(chat_id=2003, direction="in", text="back", status="handled"))
    assert "1 of them has blocked the bot: Telegram will not deliver." in page()
    with crowd.begin() as connection:
        connection.execute(sa.insert(Message), [{"chat_id": 2002, **gone}])
    assert "2 of them have blocked the bot" in page()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_broadcast_goes_on_after_a_restart_and_writes_to_nobody_twice(
    app: Flask, admin: FlaskClient, crowd: Engine, telegram: TelegramStandin, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, batches = jobs.TASKS["broadcast"], []

    def dies(work: object, parameters: object, keys: list[int]) -> int:
        batches.append(keys)
        done = task.work(work, parameters, keys)
        if len(batches) == 2:
            raise SystemExit  # the thread ends in the middle of a batch, as it does when the process is killed
        return done

    monkeypatch.setitem(jobs.TASKS, "broadcast", replace(task, work=dies))
    admin.post("/admin/broadcast", data=preview(admin, "hello"))
    telegram.wait_for(lambda: len(batches) == 2)
    telegram.wait_for(lambda: len(outgoing(crowd)) == 20)
    with crowd.begin() as connection:
        people.decide(connection, [2040], "blocked", None)  # meanwhile: they get nothing
    telegram.wait_for(lambda: len(telegram.sent()) == 20, 20)
    jobs.resume(crowd, app.config["DAYBOOK"])
    telegram.wait_for(lambda: ended(crowd))
    telegram.wait_for(lambda: len(telegram.sent()) == 44, 20)
    assert sorted(call.chat_id for call in telegram.sent()) == [i for i in range(2001, 2046) if i != 2040]
    assert conversations.TITLE in admin.get("/admin/jobs/1").text
