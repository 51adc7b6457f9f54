"""Logging in and out, and the setup page that makes the first admin."""

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from blueprints.guard import client_address, local_path, role_required, sign_in, sign_out
from daybook import accounts, first_admin, known_browsers, login_sessions, logins, sql
from daybook.accounts import AccountError
from daybook.extensions import db
from daybook.login_throttle import TooManyAttempts

bp = Blueprint("auth", __name__)


@bp.route("/login", methods=["GET", "POST"])
def login() -> ResponseReturnValue:
    """The login form; on success goes on to ?next= if that is a page of ours."""
    target = local_path(request.args.get("next")) or url_for("home.index")
    if current_user.is_authenticated and request.method == "GET":
        return redirect(target)
    if request.method == "GET":
        return render_template("auth/login.html", form={}, nobody=first_admin.no_account_yet())
    form = request.form
    name, password = form.get("username", ""), form.get("password", "")
    secret_key, username = current_app.config["SECRET_KEY"], accounts.clean_username(name)
    device = known_browsers.device(secret_key, request.cookies.get(known_browsers.COOKIE, ""), username)
    try:
        key = logins.log_in(name, password, client_address(), request.user_agent.string, device)
    except TooManyAttempts as error:
        page = render_template("auth/login.html", form=form, complaint=str(error))
        return page, 429, {"Retry-After": str(error.seconds)}
    if key is None:
        complaint = "No active account has this name and password. Check both; the password is case-sensitive."
        return render_template("auth/login.html", form=form, complaint=complaint), 422
    sign_in(key)
    response = redirect(target)
    if not device:
        mark = known_browsers.mark(secret_key, username)
        secure = bool(current_app.config["SESSION_COOKIE_SECURE"])
        lasts = known_browsers.LASTS
        response.set_cookie(known_browsers.COOKIE, mark, lasts, httponly=True, samesite="Lax", secure=secure)
    return response


@bp.post("/logout")
@role_required("viewer")
def logout() -> ResponseReturnValue:
    sign_out()
    return redirect(url_for("auth.login"))


@bp.route("/setup", methods=["GET", "POST"])
def setup() -> ResponseReturnValue:
    """Makes the first admin, for whoever holds the link that the server printed, while there is no account."""
    token = request.args.get("token", "")
    if not first_admin.no_account_yet():
        return render_template("auth/no_setup.html", reason="done"), 403
    if not first_admin.setup_token_is_good(current_app.config["SECRET_KEY"], token):
        return render_template("auth/no_setup.html", reason="token"), 403
    if request.method == "GET":
        return render_template("auth/setup.html", form={}, complaints={}, token=token)
    form = request.form
    complaints = {}
    if form.get("password") != form.get("repeated"):
        complaints["repeated"] = ["The two passwords are not the same; type them again."]
    try:
        if not complaints:
            account = first_admin.create_first_admin(form.get("username", ""), form.get("password", ""))
            account_id = account.id
            db.session.rollback()
            with sql.writing(db.engine) as connection:
                key = login_sessions.begin(connection, account_id, client_address(), request.user_agent.string)
            sign_in(key)
            return redirect(url_for("home.index"))
    except first_admin.AlreadySetUp:
        return render_template("auth/no_setup.html", reason="done"), 403
    except AccountError as error:
        complaints = error.complaints
    return render_template("auth/setup.html", form=form, complaints=complaints, token=token), 422
