"""Who may do what: looked at before every request, in one place. Also the headers that keep a browser out of trouble.

A new route is safe without a word: it needs a login, and an editor if it changes anything. `role_required` says
otherwise; PUBLIC lists what needs no login. Pages go by the session cookie alone and the API by its Bearer token
alone, so no other site can make a browser call the API.
"""

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from flask import Flask, Response, abort, current_app, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf.csrf import CSRFError, validate_csrf
from wtforms import ValidationError

from blueprints.errors import ApiError, wants_json
from daybook import api_tokens, audit, login_sessions, sql
from daybook.audit import Actor
from daybook.extensions import csrf, db, login_manager
from daybook.models import ROLES, Account

# Where flask_login looks in the cookie for who it is. What we keep there is the session's key, not the account's id.
KEY = "_user_id"

PUBLIC = frozenset(
    {
        "static",
        "home.index",
        "home.greet",
        "auth.login",
        "auth.setup",
        "health.healthz",
        "health.readyz",
        "telegram.webhook",  # proves itself with Telegram's secret
    }
)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
)

View = TypeVar("View", bound=Callable[..., Any])


def role_required(role: str) -> Callable[[View], View]:
    """Only accounts that may do what `role` may reach this view. Works above and below @bp.route."""
    if role not in ROLES:
        raise ValueError(f'There is no role "{role}"; choose one of {", ".join(ROLES)}.')

    def remember(view: View) -> View:
        view.required_role = role  # type: ignore[attr-defined]
        return view

    return remember


def role_needed(app: Flask, endpoint: str, method: str) -> str | None:
    """The role that a request to this endpoint needs; None where everybody may come in."""
    if endpoint in PUBLIC:
        return None
    default = "viewer" if method in SAFE_METHODS else "editor"
    role: str = getattr(app.view_functions[endpoint], "required_role", default)
    return role


def local_path(target: str | None) -> str | None:
    """`target` if it is a path on this Daybook, so that a login link cannot send anybody elsewhere."""
    if not target or not target.startswith("/") or target.startswith("//"):
        return None
    # Browsers read a backslash as a slash and skip control characters: "/\\evil.example" leaves the house.
    if "\\" in target or not target.isprintable():
        return None
    parts = urlsplit(target)
    return None if parts.scheme or parts.netloc else target


def register(app: Flask) -> None:
    """Puts the guard in front of every request of this app."""
    # The check for forged forms comes after the one for a login: who was logged out meanwhile is asked to log in.
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False
    login_manager.session_protection = None
    login_manager.user_loader(load_account)
    login_manager.request_loader(load_account_by_token)
    app.before_request(expect_no_writes)
    app.before_request(check_request)
    app.after_request(add_headers)
    app.teardown_request(forget_request)


def sign_in(key: str) -> None:
    """Gives the browser the key of its new session, and leaves nothing of the one before."""
    sign_out()
    session.permanent = True
    session[KEY] = key


def sign_out() -> None:
    """Ends the session of this browser, if it has one."""
    if KEY in session:
        with sql.writing(db.engine) as connection:
            login_sessions.end_key(connection, session[KEY])
    session.clear()


def client_address() -> str:
    """Where the request comes from; behind PUBLIC_URL, what the proxy says (see app.py)."""
    return request.remote_addr or ""


def load_account(key: str) -> Account | None:
    """The account of a session cookie, on pages. Leaves the session's id in g.login_session_id."""
    if wants_json():
        return None
    found = login_sessions.find(key)
    if found is None:
        return None
    g.login_session_id = found.session_id
    return found.account


def load_account_by_token(_request: Any) -> Account | None:
    """The account of a Bearer token, on the API. Leaves the token itself in g.api_token."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if not wants_json() or scheme.lower() != "bearer":
        return None
    g.api_token = api_tokens.find_token(token.strip())
    return g.api_token.account if g.api_token else None


def expect_no_writes() -> None:
    """Lets SQLite serve any number of these requests beside the one that writes."""
    if request.method in SAFE_METHODS:
        sql.writes_expected.set(False)


def forget_request(_error: BaseException | None) -> None:
    """The thread's next request begins as if there had been none."""
    sql.writes_expected.set(True)
    audit.set_actor(None)


def check_request() -> ResponseReturnValue | None:
    """Lets the request through, or answers it here."""
    if request.endpoint is None:
        return None  # no such page, which Flask says
    needed = role_needed(current_app, request.endpoint, request.method)
    if needed is not None:
        if not current_user.is_authenticated:
            return ask_for_login()
        audit.set_actor(Actor("api" if wants_json() else "page", current_user.username, current_user.id))
        if not current_user.may(needed):
            refuse_role(needed)
    if current_app.config["WTF_CSRF_ENABLED"] and not wants_json():
        csrf.protect(apply_exemptions=True)
    return None


def ask_for_login() -> ResponseReturnValue:
    """Sends a person to the login page and back afterwards, and tells a program what is missing."""
    if wants_json():
        sent = "Authorization" in request.headers
        message = "This token is unknown, expired or revoked." if sent else "No token was sent."
        hint = 'Send the header "Authorization: Bearer TOKEN". Tokens are made on the page /account.'
        raise ApiError(401, "unauthorized", message, hint)
    if "HX-Request" in request.headers:
        # A fragment's own address is no page to come back to; the page around it is.
        response = Response(status=401)
        response.headers["HX-Redirect"] = login_url(path_of(request.headers.get("HX-Current-URL")))
        return response
    return redirect(login_url(request.full_path if request.method == "GET" else path_of(request.referrer)))


def login_url(back_to: str | None) -> str:
    """Where to log in, and then go on to `back_to`."""
    target = local_path(back_to)
    return url_for("auth.login", next=target.removesuffix("?") if target else None)


def path_of(url: str | None) -> str | None:
    """The path and query of an address that a browser names as the page it is on."""
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return None
    return parts.path + (f"?{parts.query}" if parts.query else "")


def refuse_role(needed: str) -> NoReturn:
    """Says which role is needed and which one is there."""
    message = f"This needs the role {needed}; you are {current_user.username}, {current_user.role}."
    if wants_json():
        raise ApiError(403, "forbidden", message, f"Use the token of an account with the role {needed}.")
    abort(403, message)


def check_csrf(token: str | None) -> None:
    """Refuses a forged form; for views that are exempt from the check before every request, because of their body."""
    try:
        validate_csrf(token)
    except ValidationError as error:
        raise CSRFError(str(error)) from None


def add_headers(response: Response) -> Response:
    """Nothing from elsewhere, nothing inline, no frames; pages are for this person and this moment."""
    response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    if request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "private, no-cache")
    return response
