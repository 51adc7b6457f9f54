"""Passwords, names, roles, tokens and the first admin, without a web request. And the commands that use them."""

import string
import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskCliRunner
from hypothesis import assume, given
from hypothesis import strategies as st

from daybook import accounts, sql
from daybook.accounts import AccountError, password_complaints
from daybook.extensions import db
from daybook.models import Account, ApiToken, utc_now
from tests.conftest import PASSWORD, Person

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
    ],
)
def test_a_bad_password_is_refused_with_the_reason(password: str, word: str) -> None:
    assert word in " ".join(password_complaints(password, "grace.hopper"))


def test_all_complaints_come_at_once() -> None:
    assert len(password_complaints("12345", "ada")) == 3


@pytest.mark.parametrize("password", [PASSWORD, "x" * 8 + "qz", "пароль для книги", "🦆" * 9, "a" * 127 + "b"])
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
    made = accounts._hash(password)
    assert accounts._matches(made, password)
    same = accounts._password_bytes(password) == accounts._password_bytes(other)
    assert accounts._matches(made, other) is same


def test_composed_and_decomposed_letters_are_one_password() -> None:
    assert accounts._matches(accounts._hash("cafe\u0301 au lait"), "caf\u00e9 au lait")


# --- accounts ----------------------------------------------------------------------------------------------------


def test_names_are_trimmed_and_their_case_does_not_count(app: Flask) -> None:
    with app.app_context():
        assert accounts.create_account("  Ada ", PASSWORD, "editor").username == "ada"
        assert accounts.verify("ADA", PASSWORD)
        with pytest.raises(AccountError, match='There is an account "ada" already'):
            accounts.create_account("aDa", PASSWORD, "viewer")
        assert db.session.scalar(sa.select(sa.func.count()).select_from(Account)) == 1


@pytest.mark.parametrize("username", ["", "   ", "x" * 65, "a\x00b", "two\nlines", "\u202edrawkcab"])
def test_an_impossible_name_is_refused(app: Flask, username: str) -> None:
    with app.app_context():
        with pytest.raises(AccountError) as caught:
            accounts.create_account(username, PASSWORD, "viewer")
        assert list(caught.value.complaints) == ["username"]
        assert accounts.verify(username, PASSWORD) is None


def test_everything_wrong_is_said_at_once(app: Flask) -> None:
    with app.app_context(), pytest.raises(AccountError) as caught:
        accounts.create_account("", "short", "emperor")
    assert set(caught.value.complaints) == {"username", "password", "role"}
    assert "viewer, editor, admin" in str(caught.value)


def test_verify_notes_the_login_and_refuses_the_rest(app: Flask, make_account: Callable[..., Person]) -> None:
    ada = make_account("ada")
    with app.app_context():
        assert accounts.verify("ada", "not the password") is None
        assert accounts.verify("nobody", PASSWORD) is None
        account = accounts.verify("ada", PASSWORD)
        assert account
        assert account.last_login_at
        account.is_active = False
        db.session.commit()
        assert accounts.verify("ada", PASSWORD) is None
        assert accounts.find_active_account(ada.id) is None


def test_an_unknown_name_costs_as_much_as_a_wrong_password(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = []
    monkeypatch.setattr(accounts, "_matches", lambda made, _: checked.append(made))
    with app.app_context():
        accounts.verify("nobody", PASSWORD)
    assert checked
    assert checked[0].startswith("$argon2id$")


def test_a_hash_of_older_settings_is_renewed_at_the_next_login(
    app: Flask, make_account: Callable[..., Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_account("ada")
    monkeypatch.setattr(accounts, "hasher", accounts.PasswordHasher(time_cost=2, memory_cost=8, parallelism=1))
    with app.app_context():
        account = accounts.verify("ada", PASSWORD)
        assert account
        assert "t=2" in account.password_hash
        assert accounts.verify("ada", PASSWORD)


def test_looking_up_who_asks_leaves_no_transaction_open(app: Flask, make_account: Callable[..., Person]) -> None:
    ada = make_account("ada")
    with app.app_context():
        account = accounts.find_active_account(ada.id)
        assert not db.session().in_transaction()
        assert account
        assert (account.username, account.role) == ("ada", "admin")
        assert not db.session().in_transaction()


def test_changing_the_password(app: Flask, make_account: Callable[..., Person]) -> None:
    make_account("ada")
    with app.app_context():
        account = accounts.find_account("ada")
        assert account
        with pytest.raises(AccountError) as caught:
            accounts.change_password(account, "wrong", "short")
        assert set(caught.value.complaints) == {"old_password", "new_password"}
        before = accounts.password_mark(account)
        accounts.change_password(account, PASSWORD, "another walk by the sea")
        assert accounts.password_mark(account) != before
        assert accounts.verify("ada", PASSWORD) is None
        assert accounts.verify("ada", "another walk by the sea")


# --- the first admin ---------------------------------------------------------------------------------------------


def test_the_setup_token_is_signed_and_ends() -> None:
    token = accounts.setup_token("key")
    assert accounts.setup_token_is_good("key", token)
    assert not accounts.setup_token_is_good("another key", token)
    assert not accounts.setup_token_is_good("key", token[:-1])
    assert not accounts.setup_token_is_good("key", "")


def test_the_setup_token_is_good_for_24_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    import itsdangerous.timed

    token = accounts.setup_token("key")
    now = itsdangerous.timed.time.time()
    monkeypatch.setattr(itsdangerous.timed.time, "time", lambda: now + 24 * 3600 - 10)
    assert accounts.setup_token_is_good("key", token)
    monkeypatch.setattr(itsdangerous.timed.time, "time", lambda: now + 24 * 3600 + 10)
    assert not accounts.setup_token_is_good("key", token)


def test_a_bad_name_or_password_is_said_before_the_lock_is_taken(app: Flask) -> None:
    with app.app_context():
        with pytest.raises(AccountError) as caught:
            accounts.create_first_admin("", "short")
        assert set(caught.value.complaints) == {"username", "password"}
        assert accounts.no_account_yet()
        assert accounts.create_first_admin("ada", PASSWORD).role == "admin"
        with pytest.raises(accounts.AlreadySetUp, match="set up already"):
            accounts.create_first_admin("eve", PASSWORD)


def test_of_several_setups_at_once_one_wins(app: Flask) -> None:
    start = threading.Barrier(8)
    outcomes: list[str] = []

    def set_up(number: int) -> None:
        with app.app_context():
            start.wait()
            try:
                outcomes.append(accounts.create_first_admin(f"admin{number}", PASSWORD).role)
            except accounts.AlreadySetUp:
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
        token = accounts.create_token(db.session.get_one(Account, ada.id), "mast 3")
        assert token.startswith("dbk_")
        assert len(token) > 40
        found = accounts.find_token(token)
        assert found
        assert found.account.username == "ada"
        assert token not in repr(token_row().__dict__)
        assert accounts.find_token(token + "x") is None
        assert accounts.find_token("") is None


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "a\x00b"])
def test_a_token_needs_a_name(app: Flask, make_account: Callable[..., Person], name: str) -> None:
    ada = make_account("ada")
    with app.app_context(), pytest.raises(AccountError):
        accounts.create_token(db.session.get_one(Account, ada.id), name)


def test_an_expired_or_revoked_token_or_a_disabled_account_finds_nothing(
    app: Flask, make_account: Callable[..., Person]
) -> None:
    ada = make_account("ada")
    with app.app_context():
        account = db.session.get_one(Account, ada.id)
        over = accounts.create_token(account, "over", utc_now() - timedelta(seconds=1))
        later = accounts.create_token(account, "later", utc_now() + timedelta(hours=1))
        assert accounts.find_token(over) is None
        found = accounts.find_token(later)
        assert found
        assert not accounts.revoke_token(ada.id + 1, found.id)
        assert accounts.revoke_token(ada.id, found.id)
        assert not accounts.revoke_token(ada.id, found.id)
        assert accounts.find_token(later) is None
        kept = accounts.create_token(db.session.get_one(Account, ada.id), "kept")
        assert accounts.find_token(kept)
        db.session.get_one(Account, ada.id).is_active = False
        db.session.commit()
        assert accounts.find_token(kept) is None


def test_the_last_use_is_noted_once_a_minute(app: Flask, make_account: Callable[..., Person]) -> None:
    ada = make_account("ada")
    with app.app_context():
        token = accounts.create_token(db.session.get_one(Account, ada.id), "mast 3")
        with sql.only_reading():
            assert accounts.find_token(token)
        first = token_row().last_used_at
        assert first
        db.session.rollback()
        accounts.find_token(token)
        assert token_row().last_used_at == first
        token_row().last_used_at = first - timedelta(seconds=61)
        db.session.commit()
        accounts.find_token(token)
        assert token_row().last_used_at > first - timedelta(seconds=1)


# --- commands ----------------------------------------------------------------------------------------------------


def test_create_account_by_command(app: Flask, runner: FlaskCliRunner) -> None:
    result = runner.invoke(args=["create-account", "Ada", "--role", "admin", "--password-stdin"], input=PASSWORD + "\n")
    assert (result.exit_code, result.output) == (0, 'Made the account "ada", admin.\n')
    with app.app_context():
        assert accounts.verify("ada", PASSWORD)


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
        found = accounts.find_token(result.stdout.removesuffix("\n"))
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
    assert accounts.setup_token_is_good(app.config["SECRET_KEY"], token)
    make_account("ada")
    again = runner.invoke(args=["setup-link"])
    assert (again.exit_code, again.stdout) == (0, "")
    assert again.stderr == "There is an account already; no link is needed.\n"
    assert runner.invoke(args=["setup-link", "--quiet"]).output == ""
