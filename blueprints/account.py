"""One's own account: who one is, a new password, tokens for the API."""

from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from blueprints.guard import role_required, sign_in
from daybook import accounts
from daybook.extensions import db
from daybook.models import Account, utc_now

bp = Blueprint("account", __name__, url_prefix="/account")

# When a new token ends, in days; the first choice is for good.
LIFETIMES = {"": "when it is revoked", "30": "after 30 days", "90": "after 90 days", "365": "after 1 year"}


@bp.get("")
def index() -> ResponseReturnValue:
    return account_page()


@bp.post("/password")
@role_required("viewer")
def change_password() -> ResponseReturnValue:
    """Replaces one's own password; every other browser that is logged in has to log in again."""
    form = request.form
    account = db.session.get_one(Account, current_user.id)
    old, new, repeated = (form.get(name, "") for name in ("old_password", "new_password", "repeated"))
    try:
        accounts.change_password(account, old, new, repeated)
    except accounts.AccountError as error:
        return account_page(complaints=error.complaints), 422
    sign_in(account)
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
        token = accounts.create_token(current_user, name, expires_at)
    except accounts.AccountError as error:
        return account_page(form=request.form, complaints=error.complaints), 422
    response = make_response(account_page(new_token=token), 201)
    response.headers["Cache-Control"] = "no-store"  # it shall not come back with the back button
    return response


@bp.post("/tokens/<int:token_id>/revoke")
@role_required("viewer")
def revoke_token(token_id: int) -> ResponseReturnValue:
    """Ends a token at once. One that is gone already is no error: it is what was wanted."""
    accounts.revoke_token(current_user.id, token_id)
    flash("The token is revoked. Programs that still send it are refused.", "success")
    return redirect(url_for("account.index"))


def account_page(**more: Any) -> str:
    tokens = accounts.tokens_of(current_user.id)
    context = {"form": {}, "complaints": {}, "tokens": tokens, "lifetimes": LIFETIMES, "now": utc_now()}
    return render_template("account/index.html", **(context | more))
