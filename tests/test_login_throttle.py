"""Guessing passwords: how soon it has to wait, for how long, and who else is bothered by that."""

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.engine import Engine
from werkzeug.test import TestResponse

from daybook import accounts, logins, passwords, sql
from daybook.config import Settings
from daybook.login_throttle import TooManyAttempts, address_subject
from daybook.models import LoginThrottle
from tests.conftest import PASSWORD, Person

MakeAccount = Callable[..., Person]
HERE = "192.0.2.7"


class Counting(PasswordHasher):
    """A hasher that counts how often a password was compared."""

    compared = 0
    lock = threading.Lock()

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:
        with self.lock:
            self.compared += 1
        return super().verify(hash, password)


@pytest.fixture
def hasher(monkeypatch: pytest.MonkeyPatch) -> Counting:
    """What hashes passwords in this test, counting."""
    counting = Counting(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", counting)
    return counting


@pytest.fixture
def guess(app: Flask) -> Callable[..., str]:
    """guess("ada") tries a wrong password; "in", "wrong", or the sentence that says to wait."""

    def attempt(username: str = "ada", typed: str = "wrong", address: str = HERE) -> str:
        with app.app_context():
            try:
                return "in" if logins.log_in(username, typed, address) else "wrong"
            except TooManyAttempts as error:
                return str(error)

    return attempt


def pass_time(engine: Engine, **by: float) -> None:
    """As if so much time had passed: everything that is noted lies that much further back."""
    with sql.writing(engine) as connection:
        for row in connection.execute(sa.select(LoginThrottle.__table__)).all():
            earlier = {"last_failure_at": row.last_failure_at - timedelta(**by)}
            if row.wait_until:
                earlier["wait_until"] = row.wait_until - timedelta(**by)
            key = (LoginThrottle.kind == row.kind, LoginThrottle.subject == row.subject)
            connection.execute(sa.update(LoginThrottle).where(*key).values(earlier))


def noted(engine: Engine) -> dict[tuple[str, str], int]:
    """The failures by kind and subject."""
    with engine.connect() as connection, sql.only_reading():
        return {(row.kind, row.subject): row.failures for row in connection.execute(sa.select(LoginThrottle.__table__))}


def seconds_in(sentence: str) -> int:
    found = re.fullmatch(
        r"Too many wrong passwords (?:for this name|from this address)\. Try again in (\d+) (second|minute)s?\.",
        sentence,
    )
    assert found, sentence
    return int(found[1]) * (60 if found[2] == "minute" else 1)


# --- a name ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("username", ["ada", "nobody", "x" * 5000, "a\x00b", ""])
def test_after_five_wrong_passwords_a_name_waits_whether_it_exists_or_not(
    guess: Callable[..., str], make_account: MakeAccount, username: str
) -> None:
    make_account("ada")
    assert [guess(username) for _ in range(5)] == ["wrong"] * 5
    assert guess(username) in (
        "Too many wrong passwords for this name. Try again in 2 seconds.",
        "Too many wrong passwords for this name. Try again in 1 second.",
    )


def test_the_waits_double_up_to_a_quarter_of_an_hour(
    guess: Callable[..., str], engine: Engine, make_account: MakeAccount
) -> None:
    make_account("ada")
    for _ in range(5):
        guess()
    waits = []
    for _ in range(11):
        waits.append(seconds_in(guess()))
        pass_time(engine, seconds=waits[-1])
        assert guess() == "wrong"
    expected = [2, 4, 8, 16, 32, 64, 180, 300, 540, 900, 900]  # beyond two minutes it is told in minutes
    assert all(wanted - 3 <= wait <= wanted for wait, wanted in zip(waits, expected, strict=True)), waits


def test_while_it_waits_not_even_the_right_password_is_looked_at(
    guess: Callable[..., str], engine: Engine, make_account: MakeAccount, hasher: Counting
) -> None:
    make_account("ada")
    for _ in range(5):
        guess()
    hasher.compared = 0
    before = noted(engine)
    for name in ("ada", " ADA", "Ada"):
        assert seconds_in(guess(name, PASSWORD))
    assert hasher.compared == 0
    assert noted(engine) == before  # nor does asking make it longer
    pass_time(engine, seconds=3)
    assert guess("ada", PASSWORD) == "in"
    assert hasher.compared == 1


def test_the_right_password_ends_it(guess: Callable[..., str], engine: Engine, make_account: MakeAccount) -> None:
    make_account("ada")
    for _ in range(4):
        guess()
    assert guess("ada", PASSWORD) == "in"
    assert noted(engine) == {("address", HERE): 4}
    assert [guess() for _ in range(5)] == ["wrong"] * 5


def test_the_fifth_try_may_be_the_right_one(
    guess: Callable[..., str], engine: Engine, make_account: MakeAccount
) -> None:
    make_account("ada")
    for _ in range(3):
        for _ in range(4):
            guess()
        assert guess("ada", PASSWORD) == "in"


def test_it_is_forgotten_after_a_day(guess: Callable[..., str], engine: Engine, make_account: MakeAccount) -> None:
    make_account("ada")
    for _ in range(5):
        guess()
    pass_time(engine, hours=23, minutes=59)
    assert guess() == "wrong"
    assert seconds_in(guess()) >= 3
    pass_time(engine, hours=24)
    assert [guess() for _ in range(5)] == ["wrong"] * 5


def test_rows_that_count_no_more_are_cleared(guess: Callable[..., str], engine: Engine) -> None:
    for number in range(5):
        guess(f"nobody{number}", address="")
    pass_time(engine, hours=23)
    guess("somebody", address="")
    assert len(noted(engine)) == 6
    pass_time(engine, hours=2)
    guess("somebody else", address="")
    assert set(noted(engine)) == {("account", "somebody"), ("account", "somebody else")}


def test_a_disabled_account_is_guessed_at_no_faster(
    app: Flask, guess: Callable[..., str], engine: Engine, make_account: MakeAccount
) -> None:
    make_account("ada")
    vera = make_account("vera")
    with sql.writing(engine) as connection:
        accounts.change(connection, vera.id, is_active=False)
    assert [guess("vera", PASSWORD) for _ in range(5)] == ["wrong"] * 5
    assert seconds_in(guess("vera", PASSWORD))


def test_a_browser_left_open_is_no_way_to_guess_the_password(
    app: Flask,
    client: FlaskClient,
    engine: Engine,
    guess: Callable[..., str],
    make_account: MakeAccount,
    hasher: Counting,
) -> None:
    ada = make_account("ada")
    assert post(client, PASSWORD).status_code == 302
    new = "another walk by the sea"

    def change(old: str) -> TestResponse:
        return client.post("/account/password", data={"old_password": old, "new_password": new, "repeated": new})

    assert ["not your current password" in change("wrong").text for _ in range(5)] == [True] * 5
    hasher.compared = 0
    response = change(PASSWORD)
    assert response.status_code == 422
    assert re.search(r'id="old_password-wrong".*Too many wrong passwords. Try again in \d seconds?\.', response.text)
    assert hasher.compared == 0
    assert guess("ada", PASSWORD) == "in"
    pass_time(engine, seconds=3)
    for _ in range(5):
        guess("ada")  # a stranger, who keeps nobody from changing the password
    assert change(PASSWORD).status_code == 302
    assert ("change", str(ada.id)) not in noted(engine)


# --- an address --------------------------------------------------------------------------------------------------


def test_after_twenty_wrong_passwords_an_address_waits(guess: Callable[..., str], make_account: MakeAccount) -> None:
    make_account("ada")
    assert [guess(f"somebody{number}") for number in range(20)] == ["wrong"] * 20
    assert guess("ada", PASSWORD).startswith("Too many wrong passwords from this address.")
    assert guess("ada", PASSWORD, "192.0.2.8") == "in"


def test_ones_own_account_is_no_way_to_try_others_for_ever(
    guess: Callable[..., str], engine: Engine, make_account: MakeAccount
) -> None:
    make_account("eve")
    for number in range(20):
        assert guess(f"somebody{number}") == "wrong"
        pass_time(engine, seconds=3)
        if number < 19:
            assert guess("eve", PASSWORD) == "in"
    guess("somebody")
    assert "from this address" in guess("eve", PASSWORD)


def test_right_passwords_never_make_an_address_wait(guess: Callable[..., str], make_account: MakeAccount) -> None:
    make_account("ada")
    for number in range(19):
        guess(f"somebody{number}")
    assert [guess("ada", PASSWORD) for _ in range(5)] == ["in"] * 5


def test_the_longer_of_two_waits_is_told(guess: Callable[..., str], engine: Engine, make_account: MakeAccount) -> None:
    make_account("ada")
    for _ in range(8):
        guess()
        pass_time(engine, seconds=1000)
    for number in range(11):
        guess(f"somebody{number}")
    guess()  # the ninth for the name, the twentieth from the address
    assert "for this name" in guess()
    assert seconds_in(guess()) > 20


@pytest.mark.parametrize(
    ("address", "subject"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:54321", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]:443", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unknown", "unknown"),
        ("x" * 100, "x" * 64),
    ],
)
def test_one_machine_is_one_address(address: str, subject: str) -> None:
    assert address_subject(address) == subject


# --- at the same moment ------------------------------------------------------------------------------------------


def at_once(work: Callable[[int], str], count: int) -> list[str]:
    start = threading.Barrier(count)

    def begin(number: int) -> str:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


def test_attempts_side_by_side_cannot_pass_the_limit_of_a_name(
    guess: Callable[..., str], make_account: MakeAccount, hasher: Counting
) -> None:
    make_account("ada")
    outcomes = at_once(lambda number: guess(address=f"192.0.2.{number}"), 16)
    assert outcomes.count("wrong") == 5
    assert hasher.compared == 5
    assert len([sentence for sentence in outcomes if "for this name" in sentence]) == 11


def test_attempts_side_by_side_cannot_pass_the_limit_of_an_address(
    guess: Callable[..., str], engine: Engine, make_account: MakeAccount, hasher: Counting
) -> None:
    make_account("ada")
    for number in range(14):
        guess(f"somebody{number}")
    hasher.compared = 0
    outcomes = at_once(lambda number: guess(f"nobody{number}"), 16)
    assert outcomes.count("wrong") == 6
    assert hasher.compared == 6
    assert noted(engine)["address", HERE] == 20
    assert len(noted(engine)) == 1 + 14 + 6  # a name is not counted where the address had to wait


def test_right_and_wrong_ones_side_by_side_get_their_answers(
    guess: Callable[..., str], engine: Engine, make_account: MakeAccount
) -> None:
    people = [make_account(f"somebody{number}") for number in range(8)]
    outcomes = at_once(lambda number: guess(people[number // 2].username, PASSWORD if number % 2 else "wrong"), 16)
    assert sorted(set(outcomes)) == ["in", "wrong"]
    assert noted(engine)["address", HERE] == 8


# --- the page ----------------------------------------------------------------------------------------------------


def post(client: FlaskClient, password: str, username: str = "ada", **options: object) -> TestResponse:
    return client.post("/login", data={"username": username, "password": password}, **options)  # type: ignore[arg-type]


def test_the_page_says_how_long_and_who_is_in_stays_in(
    app: Flask, client: FlaskClient, engine: Engine, make_account: MakeAccount
) -> None:
    make_account("ada")
    assert post(client, PASSWORD).status_code == 302
    stranger = app.test_client()
    assert [post(stranger, "wrong").status_code for _ in range(5)] == [422] * 5
    response = post(stranger, PASSWORD)
    assert response.status_code == 429
    wait = int(response.headers["Retry-After"])
    assert 1 <= wait <= 2
    assert f"Too many wrong passwords for this name. Try again in {wait} second" in response.text
    assert 'value="ada"' in response.text
    assert client.get("/account").status_code == 200
    pass_time(engine, seconds=wait)
    assert post(stranger, PASSWORD).status_code == 302


def test_without_a_proxy_nobody_chooses_the_own_address(client: FlaskClient, engine: Engine) -> None:
    post(client, "wrong", headers={"X-Forwarded-For": "203.0.113.9"})
    assert ("address", "127.0.0.1") in noted(engine)
    assert ("address", "203.0.113.9") not in noted(engine)


def test_behind_public_url_the_address_is_the_proxys_word(
    settings: Settings, make_app: Callable[[Settings], Flask], engine: Engine
) -> None:
    client = make_app(replace(settings, public_url="https://daybook.example.org")).test_client()
    # The last one is what the proxy has seen itself; what stands before it, anybody can write.
    post(client, "wrong", headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.9"})
    assert ("address", "203.0.113.9") in noted(engine)
    assert len([kind for kind, _ in noted(engine) if kind == "address"]) == 1
