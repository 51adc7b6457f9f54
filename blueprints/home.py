"""The first page: what this is, where to go on, and a greeting that counts."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from daybook import counters, first_admin

bp = Blueprint("home", __name__)

GREETINGS = "greetings"


@bp.get("/")
def index() -> ResponseReturnValue:
    nobody = not current_user.is_authenticated and first_admin.no_account_yet()
    return render_template("home/index.html", greetings=counters.value_of(GREETINGS), nobody=nobody)


@bp.post("/greet")
def greet() -> ResponseReturnValue:
    """Counts one greeting. htmx gets the new number alone, a browser without JavaScript the whole page."""
    greetings = counters.count(GREETINGS)
    if "HX-Request" in request.headers:
        return render_template("home/greeting.html", greetings=greetings)
    return redirect(url_for("home.index"), 303)
