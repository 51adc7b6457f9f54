"""Every failure becomes an answer that fits who asked: a page, a fragment for htmx, or JSON for a program."""

import logging
import secrets
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, g, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from sqlalchemy import exc
from werkzeug.exceptions import HTTPException, InternalServerError

from daybook.extensions import login_manager

log = logging.getLogger("daybook")

TITLES = {
    400: "That did not work",
    401: "Please log in",
    403: "This is not for your role",
    404: "There is nothing here",
    405: "That is not possible here",
    413: "That is too much",
    429: "That was too often",
    500: "Something went wrong",
    503: "Not right now",
}
MESSAGES = {
    400: "The request could not be understood. Go back, check what you entered and try again.",
    401: "You need to be logged in for this.",
    403: "Your account's role does not cover this. An admin can change the role.",
    404: "The page may have moved, or what it showed was removed.",
    405: "This address exists, but does not do that.",
    413: "What was sent is larger than this page takes.",
    429: "Wait a little before you try again.",
}
CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    422: "unprocessable",
    429: "too_many_requests",
    500: "internal_error",
    503: "database_unavailable",
}
DATABASE_AWAY = "Daybook cannot use its database right now. Nothing was changed; try again in a moment."
PAGE_TOO_OLD = "This page was open too long, or this browser keeps no cookies. Load the page again and repeat the step."


class ApiError(Exception):
    """Raise it anywhere in a request to answer with this status, code and message; the hint says how to mend it."""

    def __init__(
        self, status: int, code: str, message: str, hint: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after  # seconds
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint


def register(app: Flask) -> None:
    """Answers every exception of this app."""
    app.register_error_handler(ApiError, answer_api_error)
    app.register_error_handler(CSRFError, answer_csrf_error)
    app.register_error_handler(HTTPException, answer_http_exception)
    for error in (exc.OperationalError, exc.InterfaceError, exc.TimeoutError):
        app.register_error_handler(error, answer_database_away)
    app.log_exception = log_exception  # type: ignore[method-assign]


def wants_json() -> bool:
    """Whether a program is asking (the API) and not a browser."""
    return request.path.startswith("/api/")


def answer(status: int, code: str, message: str, hint: str | None = None) -> Response:
    """The error as JSON below /api/, as an alert for htmx, and else as a whole page."""
    if wants_json():
        error = {"code": code, "message": message} | ({"hint": hint} if hint else {})
        response = jsonify(error=error)
        if status == 401:
            response.headers["WWW-Authenticate"] = 'Bearer realm="Daybook"'
    else:
        if status >= 500:
            # The page shows who is logged in; looking that up may be the very thing that failed.
            g._login_user = login_manager.anonymous_user()
        template = "errors/fragment.html" if "HX-Request" in request.headers else "errors/page.html"
        title = TITLES.get(status) or _phrase(status)
        response = Response(render_template(template, status=status, title=title, message=message, hint=hint))
    response.status_code = status
    return response


def answer_api_error(error: ApiError) -> ResponseReturnValue:
    response = answer(error.status, error.code, error.message, error.hint)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def answer_csrf_error(error: CSRFError) -> ResponseReturnValue:
    return answer(400, "csrf", PAGE_TOO_OLD)


def answer_http_exception(error: HTTPException) -> ResponseReturnValue:
    """What Flask or abort() raised; a description given to abort() is shown as it stands."""
    if isinstance(error, InternalServerError):
        return answer_internal_error(error)
    status = error.code
    if error.response is not None or status is None or status < 400:
        return error.get_response()  # a redirect, or an answer that somebody has made already
    own_words = error.description if error.description != type(error).description else None
    message = own_words or MESSAGES.get(status) or f"{_phrase(status)}."
    response = answer(status, CODES.get(status, _phrase(status).lower().replace(" ", "_")), message)
    for name, value in error.get_headers():  # such as Allow and Retry-After
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    return response


def log_exception(exc_info: Any) -> None:
    """Writes the traceback down under a reference that the page shows too, so that the two can be brought together."""
    g.error_reference = secrets.token_hex(4)
    log.error("Error %s at %s %s", g.error_reference, request.method, request.path, exc_info=exc_info)


def answer_internal_error(_error: InternalServerError) -> ResponseReturnValue:
    """Shows the reference and nothing else of what happened."""
    reference = g.get("error_reference", "no reference")  # abort(500) raised nothing that could be logged
    message = f"Daybook made a mistake and has written it down ({reference})."
    return answer(500, "internal_error", message, "Try again; if it happens again, tell whoever runs this Daybook.")


def answer_database_away(error: Exception) -> ResponseReturnValue:
    """No connection, or lost amid the request. Whatever was not committed is gone, so it can be done again."""
    log.error("Database away at %s %s: %s", request.method, request.path, error)
    response = answer(503, "database_unavailable", DATABASE_AWAY)
    response.headers["Retry-After"] = "5"
    return response


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
