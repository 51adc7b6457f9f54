"""One's own account: where one is logged in, tokens for the API, one's time zone, a new password."""

from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, g, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from blueprints.guard import role_required, sign_out
from daybook import accounts, api_tokens, browser_names, login_sessions, preview_words, sql
from daybook.accounts import AccountError
from daybook.extensions import db
from daybook.models import utc_now

bp = Blueprint("account", __name__, url_prefix="/account")

# When a new token ends, in days; the first choice is for good.
LIFETIMES = {"": "when it is revoked", "30": "after 30 days", "90": "after 90 days", "365": "after 1 year"}


@bp.get("")
def index() -> ResponseReturnValue:
    return account_page()


@bp.post("/sessions/<int(max=2147483647):session_id>/end")
@role_required("viewer")
def end_session(session_id: int) -> ResponseReturnValue:
    """Logs one of one's browsers out. One that is out already is no error: it is what was wanted."""
    if session_id == g.login_session_id:
        sign_out()
        return redirect(url_for("auth.login"))
    with sql.writing(db.engine) as connection:
        login_sessions.end(connection, current_user.id, session_id)
    flash("That browser is signed out.", "success")
    return redirect(url_for("account.index"))


@bp.post("/sessions/end-others")
@role_required("viewer")
def end_other_sessions() -> ResponseReturnValue:
    """Logs one out everywhere but here."""
    with sql.writing(db.engine) as connection:
        ended = login_sessions.end_all(connection, current_user.id, but=g.login_session_id)
    others = "1 other browser is" if ended == 1 else f"{ended} other browsers are"
    flash(f"{others} signed out." if ended else "You were not signed in anywhere else.", "success")
    return redirect(url_for("account.index"))


@bp.post("/timezone")
@role_required("viewer")
def change_timezone() -> ResponseReturnValue:
    """The zone in which pages show times to this account."""
    try:
        with sql.writing(db.engine) as connection:
            accounts.change(connection, current_user.id, timezone=request.form.get("timezone", ""))
    except AccountError as error:
        return account_page(form=request.form, complaints=error.complaints), 422
    flash("Your time zone is saved.", "success")
    return redirect(url_for("account.index"))


@bp.post("/password")
@role_required("viewer")
def change_password() -> ResponseReturnValue:
    """Replaces one's own password; every other browser that is logged in has to log in again."""
    form = request.form
    old, new, repeated = (form.get(name, "") for name in ("old_password", "new_password", "repeated"))
    try:
        accounts.change_password(current_user.id, old, new, repeated, keep_session=g.login_session_id)
    except AccountError as error:
        return account_page(complaints=error.complaints), 422
    flash("Your password is changed. Wherever else you were logged in, you have to log in again.", "success")
    return redirect(url_for("account.index"))


@bp.post("/tokens")
@role_required("viewer")
def create_token() -> ResponseReturnValue:
    """Makes a token and shows it, this once."""
    name, days = request.form.get("name", ""), request.form.get("days", "")
    expires_at = utc_now() + timedelta(days=int(days)) if days and days in LIFETIMES else None
    if days not in LIFETIMES:
        return account_page(form=request.form, complaints={"days": ["Choose one of the times in the list."]}), 422
    try:
        token = api_tokens.create_token(current_user, name, expires_at)
    except AccountError as error:
        return account_page(form=request.form, complaints=error.complaints), 422
    response = make_response(account_page(new_token=token), 201)
    response.headers["Cache-Control"] = "no-store"  # it shall not come back with the back button
    return response


@bp.post("/tokens/<int(max=2147483647):token_id>/revoke")
@role_required("viewer")
def revoke_token(token_id: int) -> ResponseReturnValue:
    """Ends a token at once. One that is gone already is no error: it is what was wanted."""
    api_tokens.revoke_token(current_user.id, token_id)
    flash("The token is revoked. Programs that still send it are refused.", "success")
    return redirect(url_for("account.index"))


def account_page(**more: Any) -> str:
    sessions = login_sessions.sessions_of(current_user.id)
    context = {
        "form": {},
        "complaints": {},
        "sessions": sorted(sessions, key=lambda one: one.id != g.login_session_id),  # this one first
        "this_session": g.login_session_id,
        "browser_words": browser_names.in_words,
        "tokens": api_tokens.tokens_of(current_user.id),
        "lifetimes": LIFETIMES,
        "zones": preview_words.zone_names(),
        "now": utc_now(),
    }
    return render_template("account/index.html", **(context | more))
