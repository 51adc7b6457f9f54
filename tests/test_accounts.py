"""Passwords, names, roles, tokens and the first admin, without a web request. And the commands that use them."""

import getpass
import string
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

import argon2
import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskCliRunner
from hypothesis import assume, given
from hypothesis import strategies as st
from sqlalchemy.engine import Connection, Engine

from daybook import accounts, api_tokens, audit, first_admin, login_sessions, logins, passwords, sql
from daybook.accounts import AccountError
from daybook.audit import Actor
from daybook.extensions import db
from daybook.models import Account, ApiToken, AuditEntry, LoginSession, utc_now
from daybook.passwords import password_complaints
from tests.conftest import PASSWORD, Person

NEW_PASSWORD = "another walk by the sea"

# --- password rules ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("password", "word"),
    [
        ("", "Give"),
        ("x7!kQ", "at least 8"),
        ("kq8" * 43, "at most 128"),
        ("83650271946", "digits"),
        ("Sunshine", "common"),
        ("grace-hopper", "like the name"),
        ("GraceHopper1", "like the name"),
        ("aaaaaaaa", "Repeats"),
        ("qwertz123", "guessed soon"),
        ("Passwort1", "similar to a commonly used password"),
        ("19870512a", "guessed soon"),
    ],
)
def test_a_bad_password_is_refused_with_the_reason(password: str, word: str) -> None:
    assert word in " ".join(password_complaints(password, "grace.hopper"))


def test_all_complaints_come_at_once() -> None:
    assert len(password_complaints("12345", "ada")) == 3


@pytest.mark.parametrize(
    "password", [PASSWORD, "xkq7vbn2", "пароль для книги", "🦆🦊🐻🐼🐨🐯🦁🐮🐷", ("a long walk " * 11)[:128]]
)
def test_a_good_password_gets_no_complaint(password: str) -> None:
    assert password_complaints(password, "grace") == []


@given(st.text(alphabet=string.digits + "٣٤५", min_size=1, max_size=200))
def test_digits_alone_never_pass(password: str) -> None:
    assert password_complaints(password)


@given(st.text(max_size=300), st.text(max_size=64))
def test_every_text_gets_an_answer_in_whole_sentences(password: str, username: str) -> None:
    complaints = password_complaints(password, username)
    assert all(complaint.endswith(".") and complaint[0].isupper() for complaint in complaints)
    if not 8 <= len(password) <= 128:
        assert complaints


@given(st.text(min_size=8, max_size=64))
def test_the_name_itself_never_passes(username: str) -> None:
    assume(accounts.clean_username(username))
    assert password_complaints(accounts.clean_username(username), username)


@given(st.text(min_size=8, max_size=20), st.text(min_size=8, max_size=20))
def test_a_hash_fits_its_own_password_alone(password: str, other: str) -> None:
    made = passwords.hashed(password)
    assert passwords.matches(made, password)
    same = passwords._password_bytes(password) == passwords._password_bytes(other)
    assert passwords.matches(made, other) is same


def test_composed_and_decomposed_letters_are_one_password() -> None:
    assert passwords.matches(passwords.hashed("cafe\u0301 au lait"), "caf\u00e9 au lait")


# --- accounts ----------------------------------------------------------------------------------------------------


def test_names_are_trimmed_and_their_case_does_not_count(app: Flask) -> None:
    with app.app_context():
        assert accounts.create_account("  Ada ", PASSWORD, "editor").username == "ada"
        assert logins.log_in("ADA", PASSWORD)
        with pytest.raises(AccountError, match='There is an account "ada" already'):
            accounts.create_account("aDa", PASSWORD, "viewer")
        assert db.session.scalar(sa.select(sa.func.count()).select_from(Account)) == 1


@pytest.mark.parametrize("username", ["", "   ", "x" * 65, "a\x00b", "two\nlines", "\u202edrawkcab"])
def test_an_impossible_name_is_refused(app: Flask, username: str) -> None:
    with app.app_context():
        with pytest.raises(AccountError) as caught:
            accounts.create_account(username, PASSWORD, "viewer")
        assert list(caught.value.complaints) == ["username"]
        assert logins.log_in(username, PASSWORD) is None


def test_everything_wrong_is_said_at_once(app: Flask) -> None:
    with app.app_context(), pytest.raises(AccountError) as caught:
        accounts.create_account("", "short", "emperor")
    assert set(caught.value.complaints) == {"username", "password", "role"}
    assert "viewer, editor, admin" in str(caught.value)


def account_row(username: str = "ada") -> Account:
    db.session.rollback()
    row: Account = db.session.scalars(
        sa.select(Account).filter_by(username=username).execution_options(populate_existing=True)
    ).one()
    return row


def test_a_login_is_noted_and_everything_else_refused(app: Flask, make_account: Callable[..., Person]) -> None:
    make_account("ada")
    with app.app_context():
        assert logins.log_in("ada", "not the password") is None
        assert logins.log_in("nobody", PASSWORD) is None
        assert account_row().last_login_at is None
        assert logins.log_in("ada", PASSWORD)
        assert account_row().last_login_at
        account_row().is_active = False
        db.session.commit()
        assert logins.log_in("ada", PASSWORD) is None


class Counting(PasswordHasher):
    """A hasher that remembers which hashes it was asked about."""

    def __init__(self, **options: int) -> None:
        super().__init__(**options)
        self.compared: list[str] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:
        self.compared.append(str(hash))
        return super().verify(hash, password)


CHEAP = {"time_cost": 1, "memory_cost": 8, "parallelism": 1}


@pytest.mark.parametrize("username", ["ada", "nobody", "", "a\x00b", "x" * 5000])
def test_every_name_costs_the_same_work(
    app: Flask, make_account: Callable[..., Person], monkeypatch: pytest.MonkeyPatch, username: str
) -> None:
    make_account("ada")
    hasher = Counting(**CHEAP)
    monkeypatch.setattr(passwords, "hasher", hasher)
    with app.app_context():
        assert logins.log_in(username, "not the password") is None
        assert len(hasher.compared) == 1
        assert argon2.extract_parameters(hasher.compared[0]) == argon2.extract_parameters(account_row().password_hash)


def test_a_hash_of_older_settings_is_renewed_at_the_next_login(
    app: Flask, make_account: Callable[..., Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_account("ada")
    monkeypatch.setattr(passwords, "hasher", PasswordHasher(**CHEAP | {"time_cost": 2}))
    with app.app_context():
        first = logins.log_in("ada", PASSWORD)
        assert "t=2" in account_row().password_hash
        assert logins.log_in("ada", PASSWORD)
        assert first
        assert login_sessions.find(first)  # the password is the same, so whoever is logged in stays


def test_changing_the_password(app: Flask, make_account: Callable[..., Person]) -> None:
    ada = make_account("ada")
    with app.app_context():
        with pytest.raises(AccountError) as caught:
            accounts.change_password(ada.id, "wrong", "short")
        assert set(caught.value.complaints) == {"old_password", "new_password"}
        accounts.change_password(ada.id, PASSWORD, NEW_PASSWORD)
        assert logins.log_in("ada", PASSWORD) is None
        assert logins.log_in("ada", NEW_PASSWORD)


def test_of_two_new_passwords_at_once_the_second_is_told(app: Flask, make_account: Callable[..., Person]) -> None:
    ada = make_account("ada")

    def change(number: int) -> str:
        with app.app_context():
            try:
                accounts.change_password(ada.id, PASSWORD, f"{NEW_PASSWORD} {number}")
            except AccountError as error:
                return ", ".join(error.complaints)
            return "changed"

    outcomes = at_once(change, 4)
    assert sorted(outcomes) == ["changed", *["old_password"] * 3]
    with app.app_context():
        assert logins.log_in("ada", f"{NEW_PASSWORD} {outcomes.index('changed')}")


# --- what an admin does ------------------------------------------------------------------------------------------


def at_once(work: Callable[[int], Any], count: int) -> list[Any]:
    """What work(0), work(1), … return when all are begun at the same moment."""
    start = threading.Barrier(count)

    def begin(number: int) -> Any:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


@pytest.fixture
def connect(app: Flask, engine: Engine) -> Callable[[], AbstractContextManager[Connection]]:
    """with connect() as connection: a transaction that is committed at the end."""
    return lambda: sql.writing(engine)


Connect = Callable[[], AbstractContextManager[Connection]]


def history(connection: Connection, object_type: str = "account") -> list[tuple[str, str, str, dict[str, Any]]]:
    """(who, what, whom, changes) of all entries about accounts, oldest first."""
    query = sa.select(AuditEntry.actor, AuditEntry.action, AuditEntry.object_repr, AuditEntry.changes)
    rows = connection.execute(query.filter_by(object_type=object_type).order_by(AuditEntry.id))
    return [(row.actor, row.action, row.object_repr, row.changes) for row in rows]


def test_adding_an_account(app: Flask, connect: Connect) -> None:
    with audit.acting(Actor("page", "root")), connect() as connection:
        account_id = accounts.add(connection, " Vera", passwords.hashed(PASSWORD), "editor", "dublin")
        with pytest.raises(AccountError, match='There is an account "vera" already') as caught:
            accounts.add(connection, "VERA", passwords.hashed(PASSWORD), "viewer")
        assert list(caught.value.complaints) == ["username"]
    with app.app_context():
        vera = account_row("vera")
        assert (vera.id, vera.role, vera.timezone, vera.is_active) == (account_id, "editor", "Europe/Dublin", True)
        assert logins.log_in("vera", PASSWORD)
    made = {"username": "vera", "role": "editor", "is_active": True, "timezone": "Europe/Dublin"}
    with connect() as connection:
        assert history(connection) == [
            ("root", "create", "vera", {name: [None, value] for name, value in made.items()})
        ]


def test_a_password_is_never_stored_as_it_is(connect: Connect, make_account: Callable[..., Person]) -> None:
    ada = make_account("ada")
    with connect() as connection, pytest.raises(ValueError, match="not a hash"):
        accounts.set_password(connection, ada.id, PASSWORD)  # type: ignore[arg-type]
    with connect() as connection, pytest.raises(ValueError, match="not a hash"):
        accounts.add(connection, "vera", PASSWORD, "viewer")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"role": "emperor"}, "role", "viewer, editor, admin"),
        ({"username": " "}, "username", "Give a name"),
        ({"username": "ADA"}, "username", "already"),
        ({"timezone": "Mars/Olympus"}, "timezone", "Europe/Dublin"),
        ({"timezone": "../../etc/passwd"}, "timezone", "not a time zone"),
        ({"timezone": "\x00"}, "timezone", "not a time zone"),
        ({"timezone": "louisville"}, "timezone", "America/Kentucky/Louisville"),
        ({"timezone": ""}, "timezone", "not a time zone"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    connect: Connect, make_account: Callable[..., Person], values: dict[str, Any], field: str, words: str
) -> None:
    make_account("ada")
    vera = make_account("vera", "viewer")
    with connect() as connection:
        before = history(connection)
        with pytest.raises(AccountError, match=words) as caught:
            accounts.change(connection, vera.id, **values)
        assert list(caught.value.complaints) == [field]
        assert history(connection) == before


def test_a_change_is_written_down_with_before_and_after(
    app: Flask, connect: Connect, make_account: Callable[..., Person]
) -> None:
    vera = make_account("vera", "viewer")
    with audit.acting(Actor("page", "root")), connect() as connection:
        accounts.change(connection, vera.id, role="editor", username="Verena", timezone="europe/oslo", is_active=True)
        accounts.change(connection, vera.id, role="editor", timezone="Europe/Oslo")  # as it is already: no entry
    with connect() as connection:
        changes = {"role": ["viewer", "editor"], "username": ["vera", "verena"], "timezone": ["UTC", "Europe/Oslo"]}
        assert history(connection)[1:] == [("root", "change", "verena", changes)]
        for work in (
            lambda: accounts.change(connection, 999, role="viewer"),
            lambda: accounts.set_password(connection, 999, passwords.hashed(PASSWORD)),
            lambda: accounts.delete(connection, 999),
        ):
            with pytest.raises(AccountError, match="not there any more"):
                work()


@pytest.mark.parametrize("way", ["password", "disabled"])
@pytest.mark.parametrize("database", ["timescaledb"], indirect=True)
def test_a_login_at_the_moment_of_a_new_password_begins_no_session(
    app: Flask, engine: Engine, connect: Connect, make_account: Callable[..., Person], way: str
) -> None:
    make_account("ada")
    vera = make_account("vera", "viewer")

    def log_in() -> str | None:
        with app.app_context():
            return logins.log_in("vera", PASSWORD)

    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with ThreadPoolExecutor(1) as pool:
        with connect() as connection:
            if way == "password":
                accounts.set_password(connection, vera.id, passwords.hashed(NEW_PASSWORD))
            else:
                accounts.change(connection, vera.id, is_active=False)
            login = pool.submit(log_in)  # has compared the old password, and waits for the account
            with engine.connect() as watcher:
                deadline = time.monotonic() + 20
                while not watcher.exec_driver_sql(waiting).scalar():
                    watcher.rollback()
                    assert time.monotonic() < deadline
        assert login.result() is None
    with connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(LoginSession)) == 0


def test_another_password_or_a_disabled_account_ends_every_session(
    app: Flask, connect: Connect, make_account: Callable[..., Person]
) -> None:
    vera = make_account("vera", "viewer")
    make_account("eddy", "viewer")
    with app.app_context():
        for change in (
            lambda connection: accounts.set_password(connection, vera.id, passwords.hashed(PASSWORD)),
            lambda connection: accounts.change(connection, vera.id, is_active=False),
        ):
            hers, his = [logins.log_in("vera", PASSWORD) for _ in range(2)], logins.log_in("eddy", PASSWORD)
            assert all(key and login_sessions.find(key) for key in (*hers, his))
            with connect() as connection:
                change(connection)
            assert not any(login_sessions.find(key) for key in hers if key)
            assert his
            assert login_sessions.find(his)
        with connect() as connection:
            assert [entry[1:] for entry in history(connection)[2:]] == [
                ("password", "vera", {}),
                ("change", "vera", {"is_active": [True, False]}),
            ]
            accounts.change(connection, vera.id, is_active=True)
        assert not any(login_sessions.find(key) for key in hers if key)


def test_a_deleted_account_leaves_its_name_in_the_audit(
    app: Flask, connect: Connect, make_account: Callable[..., Person], token_for: Callable[..., str]
) -> None:
    ada, eve = make_account("ada"), make_account("eve")
    token = token_for(eve)
    with app.app_context():
        key = logins.log_in("eve", PASSWORD)
        # She deletes herself: the entry is hers, and stays when she is gone.
        with audit.acting(Actor("page", "eve", eve.id)), connect() as connection:
            accounts.delete(connection, eve.id)
        assert key
        assert login_sessions.find(key) is None
        assert api_tokens.find_token(token) is None
        assert accounts.find_account("eve") is None
        assert accounts.find_account("ada")
    with connect() as connection:
        actor, action, name, changes = history(connection)[-1]
        assert (actor, action, name) == ("eve", "delete", "eve")
        assert changes["role"] == ["admin", None]
        ids = connection.scalars(sa.select(AuditEntry.account_id).where(AuditEntry.actor == "eve")).all()
        assert ids == [None]
    assert ada.id


LAST = "This is the last active admin; make somebody else an admin first."
WAYS_OUT: dict[str, Callable[[Connection, int], None]] = {
    "role": lambda connection, account_id: accounts.change(connection, account_id, role="viewer"),
    "is_active": lambda connection, account_id: accounts.change(connection, account_id, is_active=False),
    "account": accounts.delete,
}


@pytest.mark.parametrize("field", WAYS_OUT)
def test_the_last_active_admin_stays(connect: Connect, make_account: Callable[..., Person], field: str) -> None:
    ada, off = make_account("ada"), make_account("off")
    make_account("eddy", "editor")
    with connect() as connection:
        accounts.change(connection, off.id, is_active=False)
    with connect() as connection, pytest.raises(AccountError) as caught:
        WAYS_OUT[field](connection, ada.id)
    assert caught.value.complaints == {field: [LAST]}
    with connect() as connection:
        WAYS_OUT[field](connection, off.id)  # who is disabled is not the last one
        accounts.add(connection, "eve", passwords.hashed(PASSWORD), "admin")
        WAYS_OUT[field](connection, ada.id)


@pytest.mark.parametrize("field", WAYS_OUT)
def test_of_admins_who_remove_each_other_at_once_one_stays(
    app: Flask, connect: Connect, make_account: Callable[..., Person], field: str
) -> None:
    people = [make_account(f"admin{number}") for number in range(4)]

    def remove_next(number: int) -> str:
        try:
            with connect() as connection:
                WAYS_OUT[field](connection, people[(number + 1) % len(people)].id)
        except AccountError as error:
            return str(error)
        return "done"

    assert sorted(at_once(remove_next, len(people))) == [LAST, "done", "done", "done"]
    with app.app_context():
        left = sa.select(sa.func.count()).select_from(Account).where(Account.role == "admin", Account.is_active)
        assert db.session.scalar(left) == 1


def test_nothing_secret_is_in_the_audit(
    app: Flask, connect: Connect, make_account: Callable[..., Person], token_for: Callable[..., str]
) -> None:
    ada = make_account("ada")
    token = token_for(ada)
    with app.app_context():
        accounts.change_password(ada.id, PASSWORD, NEW_PASSWORD)
        found = api_tokens.find_token(token)
        assert found
        assert api_tokens.revoke_token(ada.id, found.id)
    with connect() as connection:
        assert [action for _, action, *_ in history(connection)] == ["create", "password"]
        assert history(connection, "token") == [
            ("Daybook", "create", "test", {"name": [None, "test"], "account": [None, "ada"]}),
            ("Daybook", "revoke", "test", {"name": ["test", None], "account": ["ada", None]}),
        ]
        everything = str(connection.execute(sa.select(AuditEntry)).all())
        assert not [secret for secret in (PASSWORD, NEW_PASSWORD, token, "$argon2") if secret in everything]


# --- the first admin ---------------------------------------------------------------------------------------------


def test_the_setup_token_is_signed_and_ends() -> None:
    token = first_admin.setup_token("key")
    assert first_admin.setup_token_is_good("key", token)
    assert not first_admin.setup_token_is_good("another key", token)
    assert not first_admin.setup_token_is_good("key", token[:-1])
    assert not first_admin.setup_token_is_good("key", "")


def test_the_setup_token_is_good_for_24_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    import itsdangerous.timed

    token = first_admin.setup_token("key")
    now = itsdangerous.timed.time.time()
    monkeypatch.setattr(itsdangerous.timed.time, "time", lambda: now + 24 * 3600 - 10)
    assert first_admin.setup_token_is_good("key", token)
    monkeypatch.setattr(itsdangerous.timed.time, "time", lambda: now + 24 * 3600 + 10)
    assert not first_admin.setup_token_is_good("key", token)


def test_a_bad_name_or_password_is_said_before_the_lock_is_taken(app: Flask) -> None:
    with app.app_context():
        with pytest.raises(AccountError) as caught:
            first_admin.create_first_admin("", "short")
        assert set(caught.value.complaints) == {"username", "password"}
        assert first_admin.no_account_yet()
        assert first_admin.create_first_admin("ada", PASSWORD).role == "admin"
        entry = db.session.scalars(sa.select(AuditEntry)).one()
        assert (entry.origin, entry.actor, entry.object_repr) == ("page", "ada", "ada")
        with pytest.raises(first_admin.AlreadySetUp, match="set up already"):
            first_admin.create_first_admin("eve", PASSWORD)


def test_of_several_setups_at_once_one_wins(app: Flask) -> None:
    start = threading.Barrier(8)
    outcomes: list[str] = []

    def set_up(number: int) -> None:
        with app.app_context():
            start.wait()
            try:
                outcomes.append(first_admin.create_first_admin(f"admin{number}", PASSWORD).role)
            except first_admin.AlreadySetUp:
                outcomes.append("too late")

    threads = [threading.Thread(target=set_up, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["admin"] + ["too late"] * 7
    with app.app_context():
        assert db.session.scalar(sa.select(sa.func.count()).select_from(Account)) == 1


# --- API tokens --------------------------------------------------------------------------------------------------


def token_row() -> ApiToken:
    row: ApiToken = db.session.scalars(sa.select(ApiToken).execution_options(populate_existing=True)).one()
    return row


def test_a_token_is_kept_as_a_hash_alone(app: Flask, make_account: Callable[..., Person]) -> None:
    ada = make_account("ada")
    with app.app_context():
        token = api_tokens.create_token(db.session.get_one(Account, ada.id), "mast 3")
        assert token.startswith("dbk_")
        assert len(token) > 40
        found = api_tokens.find_token(token)
        assert found
        assert found.account.username == "ada"
        assert token not in repr(token_row().__dict__)
        assert api_tokens.find_token(token + "x") is None
        assert api_tokens.find_token("") is None


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "a\x00b"])
def test_a_token_needs_a_name(app: Flask, make_account: Callable[..., Person], name: str) -> None:
    ada = make_account("ada")
    with app.app_context(), pytest.raises(AccountError):
        api_tokens.create_token(db.session.get_one(Account, ada.id), name)


def test_an_expired_or_revoked_token_or_a_disabled_account_finds_nothing(
    app: Flask, make_account: Callable[..., Person]
) -> None:
    ada = make_account("ada")
    with app.app_context():
        account = db.session.get_one(Account, ada.id)
        over = api_tokens.create_token(account, "over", utc_now() - timedelta(seconds=1))
        later = api_tokens.create_token(account, "later", utc_now() + timedelta(hours=1))
        assert api_tokens.find_token(over) is None
        found = api_tokens.find_token(later)
        assert found
        assert not api_tokens.revoke_token(ada.id + 1, found.id)
        assert api_tokens.revoke_token(ada.id, found.id)
        assert not api_tokens.revoke_token(ada.id, found.id)
        assert api_tokens.find_token(later) is None
        kept = api_tokens.create_token(db.session.get_one(Account, ada.id), "kept")
        assert api_tokens.find_token(kept)
        db.session.get_one(Account, ada.id).is_active = False
        db.session.commit()
        assert api_tokens.find_token(kept) is None


def test_the_last_use_is_noted_once_a_minute(app: Flask, make_account: Callable[..., Person]) -> None:
    ada = make_account("ada")
    with app.app_context():
        token = api_tokens.create_token(db.session.get_one(Account, ada.id), "mast 3")
        with sql.only_reading():
            assert api_tokens.find_token(token)
        first = token_row().last_used_at
        assert first
        db.session.rollback()
        api_tokens.find_token(token)
        assert token_row().last_used_at == first
        token_row().last_used_at = first - timedelta(seconds=61)
        db.session.commit()
        api_tokens.find_token(token)
        assert token_row().last_used_at > first - timedelta(seconds=1)


# --- commands ----------------------------------------------------------------------------------------------------


def test_create_account_by_command(app: Flask, runner: FlaskCliRunner) -> None:
    result = runner.invoke(args=["create-account", "Ada", "--role", "admin", "--password-stdin"], input=PASSWORD + "\n")
    assert (result.exit_code, result.output) == (0, 'Made the account "ada", admin.\n')
    with app.app_context():
        assert logins.log_in("ada", PASSWORD)
        entry = db.session.scalars(sa.select(AuditEntry)).one()
        assert (entry.origin, entry.actor, entry.action) == ("command", getpass.getuser(), "create")


def test_create_account_asks_twice_and_shows_nothing(app: Flask, runner: FlaskCliRunner) -> None:
    answers = f"{PASSWORD}\nsomething else\n{PASSWORD}\n{PASSWORD}\n"
    result = runner.invoke(args=["create-account", "vera"], input=answers)
    assert result.exit_code == 0, result.output
    assert PASSWORD not in result.output
    with app.app_context():
        account = accounts.find_account("vera")
        assert account
        assert account.role == "viewer"


@pytest.mark.parametrize(
    ("arguments", "password", "code", "words"),
    [
        (["ada", "--role", "admin"], "12345", 1, "at least 8"),
        (["ada", "--role", "emperor"], PASSWORD, 2, "'viewer', 'editor', 'admin'"),
        (["", "--role", "admin"], PASSWORD, 1, "Give a name."),
        ([], PASSWORD, 2, "Missing argument 'NAME'"),
    ],
)
def test_create_account_refuses_in_one_line(
    runner: FlaskCliRunner, arguments: list[str], password: str, code: int, words: str
) -> None:
    result = runner.invoke(args=["create-account", *arguments, "--password-stdin"], input=password + "\n")
    assert result.exit_code == code
    assert words in result.stderr
    assert len([line for line in result.stderr.splitlines() if line.startswith("Error: ")]) == 1


def test_a_taken_name_is_refused(runner: FlaskCliRunner, make_account: Callable[..., Person]) -> None:
    make_account("ada")
    result = runner.invoke(args=["create-account", "ADA", "--password-stdin"], input=PASSWORD)
    assert (result.exit_code, result.stderr) == (1, 'Error: There is an account "ada" already; choose another name.\n')


def test_create_token_prints_the_token_alone(
    app: Flask, runner: FlaskCliRunner, make_account: Callable[..., Person]
) -> None:
    make_account("ada")
    result = runner.invoke(args=["create-token", "Ada", "--label", "mast 3"])
    assert result.exit_code == 0
    with app.app_context():
        found = api_tokens.find_token(result.stdout.removesuffix("\n"))
        assert found
        assert found.name == "mast 3"


def test_create_token_for_nobody_says_what_to_do(runner: FlaskCliRunner) -> None:
    result = runner.invoke(args=["create-token", "ada", "--label", "x"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "flask create-account ada" in result.stderr


def test_the_setup_link_is_printed_until_there_is_an_account(
    app: Flask, runner: FlaskCliRunner, make_account: Callable[..., Person]
) -> None:
    lines = runner.invoke(args=["setup-link"]).stdout.splitlines()
    assert "24 hours" in lines[0]
    base, token = lines[1].split("?token=")
    assert base == "http://127.0.0.1:8000/setup"
    assert first_admin.setup_token_is_good(app.config["SECRET_KEY"], token)
    make_account("ada")
    again = runner.invoke(args=["setup-link"])
    assert (again.exit_code, again.stdout) == (0, "")
    assert again.stderr == "There is an account already; no link is needed.\n"
    assert runner.invoke(args=["setup-link", "--quiet"]).output == ""
