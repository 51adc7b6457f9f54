"""What the views of the admin area share: the blueprint, the table and row that an address names, the frame."""

import json
import re
from collections.abc import Mapping
from datetime import tzinfo
from typing import Any
from urllib.parse import parse_qsl, urlencode

from flask import Blueprint, abort, current_app, flash, make_response, render_template, request, url_for
from flask.wrappers import Response
from flask_login import current_user
from markupsafe import Markup, escape

from daybook import audit, sql
from daybook.admin import asked as asking
from daybook.admin.addresses import RowKey
from daybook.admin.described import Key, Table
from daybook.admin.listing import find_row
from daybook.admin.tables import BY_SLUG, TABLES, history, messages, uploads
from daybook.config import Settings
from daybook.extensions import db
from daybook.times import TimeError, zone_named

bp = Blueprint("admin", __name__, url_prefix="/admin")
bp.record(lambda state: state.app.url_map.converters.update(row_key=RowKey))


def settings() -> Settings:
    """The settings of this app."""
    found: Settings = current_app.config["DAYBOOK"]
    return found


def timezone() -> str:
    """The name of the time zone of whoever asks."""
    name: str = current_user.timezone
    try:
        zone_named(name)
    except TimeError:  # it went from the system's list since
        return "UTC"
    return name


def zone() -> tzinfo:
    return zone_named(timezone())


def find_table(slug: str) -> Table:
    """The table, or the answer 404."""
    if slug not in BY_SLUG:
        abort(404, f"There is no table “{slug}” in the admin area.")
    return BY_SLUG[slug]


def find_key(table: Table, text: str) -> Key:
    """The key, or the answer 404."""
    key = table.read_key(text)
    if key is None:
        abort(404, f"There is no {table.one} {text}.")
    return key


def row_or_404(table: Table, key: Key) -> Mapping[str, Any]:
    """The row with all its columns, or the answer 404."""
    with sql.only_reading(), db.engine.connect() as connection:
        row = find_row(connection, table, key)
    if row is None:
        abort(404, f"There is no {table.one} {key}; it may have been deleted.")
    return row


def back_arguments() -> dict[str, str]:
    """What the list asked for from which somebody came; every link and form of theirs takes it along."""
    text = request.args.get("back", "")
    try:
        return dict(parse_qsl(text, max_num_fields=30)) if len(text) <= 2000 else {}
    except ValueError:  # more fields than any list has
        return {}


def back_text() -> str:
    """The same as it stands in an address."""
    return urlencode(back_arguments())


def list_url(table: Table, arguments: Mapping[str, str] | None = None) -> str:
    """The address of a list that asks for this; what no list of the table asks for is left out."""
    return url_for("admin.list_rows", slug=table.slug, **plain_arguments(table, arguments or {}))  # type: ignore[arg-type]


def plain_arguments(table: Table, arguments: Mapping[str, str]) -> dict[str, str]:
    """What a list understands of these arguments of an address."""
    return asking.read(table, arguments, zone()).arguments(table)


def refuse_guessing(table: Table) -> None:
    """Answers 400 where the address has a filter that is not understood: a list shows more rows then, but what takes or
    changes all that match does not guess."""
    understood = plain_arguments(table, request.args)
    if any(request.args.get(one.name, "").strip() and one.name not in understood for one in table.filters):
        abort(400, "The address has a filter that is not understood, so nobody knows which rows are meant.")


def row_url(table: Table, key: Any, view: str = "show") -> str:
    """The address of a row, that leads back to the list that one came from."""
    return url_for(f"admin.{view}", slug=table.slug, key=key, back=back_text() or None)


def say(words: str, category: str, title: object, url: str) -> None:
    """Says on the next page what was done; {title} in the words is a link to the row."""
    link = Markup('<a class="alert-link break" href="{}">{}</a>').format(url, title)
    flash(escape(words).replace("{title}", link), category)


def page(template: str, status: int = 200, **values: Any) -> Response:
    """The whole page, or the part of it that htmx asks for at the same address: a browser that goes back must not take
    the one for the other."""
    response = make_response(render_template(template, tables=TABLES, **values), status)
    response.vary.update(("HX-Request", "Cookie"))
    return response


def wants_fragment() -> bool:
    """Whether htmx asks for the part that changes. Going back, it wants the whole page."""
    return "HX-Request" in request.headers and "HX-History-Restore-Request" not in request.headers


@bp.app_template_global("admin_url")
def admin_url(slug: str, key: Any) -> str:
    """The address of a row, for links from one table to another."""
    return url_for("admin.show", slug=slug, key=key)


@bp.app_template_filter("query_text")
def query_text(arguments: Mapping[str, str]) -> str:
    """Arguments as one text, for `back`."""
    return urlencode(arguments)


@bp.app_template_filter("pretty_json")
def pretty_json(value: Any) -> str:
    """JSON over several lines, in the letters that were meant."""
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


@bp.context_processor
def words() -> dict[str, Any]:
    """What the macros of the admin area call things."""
    slugs = {table.object_type: table.slug for table in TABLES}
    return {
        "origins": audit.ORIGINS,
        "slug_of": slugs.get,
        "status_words": {status: words.lower() for status, words in (messages.STATUSES | uploads.STATUSES).items()},
        "counted": counted,
        "which": which,
        "said_of": said_of,
        "deeds": audit.DEEDS,
        "job_words": history.JOB_STATUSES,
    }


_ONE = {"copies": "copy", "their": "its", "were": "was", "end": "ends", "record": "records"}
_MANY = re.compile(r"\b(uploads|sessions|tokens|copies|chats|messages|sensors|readings|lines)\b")
_AFTER = re.compile(r"\b(their|were|(?<=which )end|(?<=that )record)\b")


def counted(many: int, what: str) -> str:
    """What is counted, said of many, as it is said of one where there is one: "sessions, which end"."""
    if many != 1:
        return what
    words = _MANY.sub(lambda found: _ONE.get(found[0], found[0][:-1]), what, count=1)
    return _AFTER.sub(lambda found: _ONE[found[0]], words)


def which(object_type: str, object_repr: str) -> str:
    """What an entry of the audit calls its row, beside the kind of thing: "message" and "348"."""
    return object_repr.removeprefix(f"{object_type} ")


def said_of(entry: Mapping[str, Any]) -> str:
    """An entry of the audit as a title."""
    did = audit.DEEDS.get(entry["action"], entry["action"])
    return f"{did} {entry['object_type']} {which(entry['object_type'], entry['object_repr'])}"
