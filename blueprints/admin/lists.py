"""Lists: search, filters, sorting, pages, and the same rows as a CSV file."""

from flask import Response, request
from flask.typing import ResponseReturnValue

from blueprints.admin.pages import bp, find_table, page, refuse_guessing, wants_fragment, zone
from blueprints.guard import role_required
from daybook.admin import asked as asking
from daybook.admin import csv_files, listing
from daybook.extensions import db


@bp.get("/<slug>/")
@role_required("admin")
def list_rows(slug: str) -> ResponseReturnValue:
    """A page of the table's rows; for htmx the list without its frame."""
    table = find_table(slug)
    asked = asking.read(table, request.args, zone())
    found = listing.list_rows(db.engine, table, asked, zone())
    template = "admin/list_part.html" if wants_fragment() else "admin/list.html"
    response = page(template, table=table, listing=found, asked=asked, arguments=asked.arguments(table))
    response.headers["Vary"] = "HX-Request, Cookie"
    return response


@bp.get("/<slug>/export.csv")
@role_required("admin")
def export(slug: str) -> ResponseReturnValue:
    """All that the list's address asks for, streamed."""
    table = find_table(slug)
    refuse_guessing(table)
    asked = asking.read(table, request.args, zone())
    return csv_response(csv_files.stream(db.engine, table, asked, zone()), slug)


def csv_response(lines, slug: str) -> Response:  # type: ignore[no-untyped-def]
    response = Response(lines, content_type="text/csv; charset=utf-8")
    response.headers.set("Content-Disposition", "attachment", filename=f"daybook-{slug}.csv")
    return response
