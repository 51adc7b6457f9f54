"""The upload page: files come in as streams, each with a card that says how far it is and what became of it."""

from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, Response, abort, current_app, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from blueprints.guard import check_csrf, role_required
from blueprints.streamed_body import BadForm, FormStream, body_pieces, upload_slot
from blueprints.template_filters import sentence_case
from daybook import file_types, imports, preview_choices, preview_words, raw_copies, rejected_lines, removal
from daybook.extensions import csrf, db
from daybook.formats.layout import FormatError
from daybook.models import Source
from daybook.source_lock import SourceBusy
from daybook.upload_options import CutOff, ImportRefused, Options, Sender, sentence, with_layout
from daybook.upload_report import UploadReport, read_report, read_reports, source_of

bp = Blueprint("uploads", __name__, url_prefix="/uploads")

PAGE = 25
DATE_ORDERS = {
    "": "Find out from the file",
    "dmy": "Day first: 9 January",
    "mdy": "Month first: September 1",
    "ymd": "Year first: 2009, January 16",
}
# The file type, as the page of an upload offers it, that stands for the one of the first time and what was chosen at
# the preview: as they were then, whatever became of the type. No name of a type holds a slash.
AS_BEFORE = "/as-before"
FIELDS_OF_ERRORS = {
    "unknown_timezone": "timezone",
    "bad_source": "source",
    "bad_on_duplicate": "on_duplicate",
    "unknown_file_type": "file_type",
    "bad_layout": "file_type",
}


class Complaint(Exception):
    """What is wrong with one field of the form."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field
        self.text = text


@bp.get("")
def index() -> ResponseReturnValue:
    return upload_page()


@bp.post("")
@csrf.exempt  # the check would read the whole body; the form's token comes before its files and is checked there
@role_required("editor")
def upload_form() -> ResponseReturnValue:
    """The form as a browser without JavaScript sends it: the fields, then the files, all in one stream."""
    upload_ids: list[int] = []
    fields: dict[str, str] = {}
    try:
        with upload_slot():
            form = FormStream(request)
            fields = form.fields
            for _, filename in form.parts():
                check_csrf(fields.get("csrf_token"))
                options = read_options(fields)
                upload_ids.append(imports.announce(db.engine, filename, options, Sender(account_id=current_user.id)))
                imports.import_stream(db.engine, current_app.config["DAYBOOK"], form.pieces(), upload_id=upload_ids[-1])
        check_csrf(fields.get("csrf_token"))
        if not upload_ids:
            raise Complaint("files", "Choose a file first.")
    except BadForm as error:
        check_csrf(fields.get("csrf_token"))
        abort(400, sentence_case(str(error)))
    except CutOff as error:
        flash(f"{error}", "danger")
    except Complaint as complaint:
        for _ in form.parts():  # a browser shows the answer only when it has sent everything
            pass
        return upload_page(fields, {complaint.field: [complaint.text]}), 422
    if len(upload_ids) == 1:
        return redirect(url_for("uploads.show", upload_id=upload_ids[0]), 303)
    for upload_id in upload_ids:
        flash_result(found_report(upload_id))
    return redirect(url_for("uploads.index"), 303)


@bp.post("/announce")
@role_required("editor")
def announce() -> ResponseReturnValue:
    """Makes the card of one file whose bytes the browser will send next; answers the card."""
    try:
        options = read_options(request.form)
    except Complaint as complaint:
        return jsonify(field=complaint.field, message=sentence_case(complaint.text)), 422
    size = request.form.get("size", type=int)
    limit = current_app.config["DAYBOOK"].upload_max_bytes
    if size is not None and size > limit:
        message = f"{request.form.get('filename')} has {size:,} bytes; this server takes at most {limit:,}."
        return jsonify(field="files", message=message), 413
    sender = Sender(account_id=current_user.id)
    upload_id = imports.announce(db.engine, request.form.get("filename", ""), options, sender, size)
    return card(upload_id), 201


@bp.put("/<int(max=2147483647):upload_id>/content")
@csrf.exempt  # as above; the token is in the header
@role_required("editor")
def content(upload_id: int) -> ResponseReturnValue:
    """The bytes of an announced file; answers its card when the import has ended."""
    check_csrf(request.headers.get("X-CSRFToken"))
    report = found_report(upload_id)
    if report.upload.status != "waiting" or report.upload.account_id != current_user.id:
        abort(409, f"Upload {upload_id} is {report.upload.status}; it does not wait for bytes of yours.")
    settings, size = current_app.config["DAYBOOK"], request.content_length
    with upload_slot():
        try:
            imports.import_stream(db.engine, settings, body_pieces(request), upload_id=upload_id, bytes_total=size)
        except ImportRefused as error:
            abort(409, sentence_case(str(error)))
    return card(upload_id)


@bp.get("/<int(max=2147483647):upload_id>")
def show(upload_id: int) -> ResponseReturnValue:
    return own_page(found_report(upload_id))


@bp.get("/<int(max=2147483647):upload_id>/card")
def show_card(upload_id: int) -> ResponseReturnValue:
    return card(upload_id)


@bp.post("/<int(max=2147483647):upload_id>/cancel")
@role_required("editor")
def cancel(upload_id: int) -> ResponseReturnValue:
    """Asks the import to stop, waits a moment for it, and answers the card."""
    found_report(upload_id)
    imports.request_cancel(db.engine, upload_id, patience=2.0)
    return card_or_redirect(upload_id)


@bp.post("/<int(max=2147483647):upload_id>/undo")
@role_required("editor")
def undo(upload_id: int) -> ResponseReturnValue:
    """Takes a finished upload back; a large one goes on in the background while its card shows it."""
    found_report(upload_id)
    try:
        removal.undo_in_background(db.engine, current_app.config["DAYBOOK"], upload_id, patience=2.0)
    except SourceBusy as error:
        return card_or_redirect(upload_id, str(error))
    return card_or_redirect(upload_id)


@bp.post("/<int(max=2147483647):upload_id>/again")
@role_required("editor")
def import_again(upload_id: int) -> ResponseReturnValue:
    """Imports the kept copy of a file again, with other answers: one that failed by itself, and one that is done over
    what it brought, in one step."""
    report = found_report(upload_id)
    path = raw_copies.find(copies_folder(), upload_id)
    done = report.upload.status == "done"
    if not (done or report.upload.status == "failed") or report.upload.sha256 is None or path is None:
        abort(409, "Only an upload that is done or failed, and whose file is kept, can be imported again.")
    before = report.upload.options | {"source": report.source}
    sent = {**before, "file_type": AS_BEFORE, "layout": "", **request.form}
    as_before = sent["file_type"] == AS_BEFORE
    try:
        options = read_options(sent | {"file_type": ""} if as_before else sent)
    except Complaint as complaint:
        return own_page(report, request.form, {complaint.field: [complaint.text]}), 422
    if as_before:
        known = {"file_type": before.get("file_type", ""), "layout": before.get("layout") or {}}
        options = replace(options, **known)
    options = replace(
        options, source=options.source or report.source, on_bad_row=before.get("on_bad_row", options.on_bad_row)
    )
    sender = Sender(account_id=current_user.id)
    settings, name = current_app.config["DAYBOOK"], report.upload.filename
    replaces = upload_id if done else None
    again = imports.announce(db.engine, name, options, sender, report.upload.bytes_total, replaces)
    imports.import_in_background(db.engine, settings, raw_copies.read(path), upload_id=again, patience=2.0)
    return redirect(url_for("uploads.show", upload_id=again), 303)


@bp.get("/<int(max=2147483647):upload_id>/raw")
def raw(upload_id: int) -> ResponseReturnValue:
    """The file as it came, byte for byte."""
    report = found_report(upload_id)
    path = raw_copies.find(copies_folder(), upload_id)
    if path is None or report.upload.sha256 is None:
        abort(404, "No copy of this file is kept.")
    response = Response(raw_copies.read(path), mimetype="application/octet-stream")
    response.headers.set("Content-Disposition", "attachment", filename=report.upload.filename)
    return response


@bp.get("/<int(max=2147483647):upload_id>/rejected")
def rejected(upload_id: int) -> ResponseReturnValue:
    """The lines that could not be read, behind those above the data: to be mended and uploaded again."""
    try:
        found = rejected_lines.open_rejected(db.engine, copies_folder(), found_report(upload_id))
    except rejected_lines.NoRejectedLines as error:
        abort(404, str(error))
    response = Response(found.pieces, content_type=f"text/csv; charset={found.encoding}")
    response.headers.set("Content-Disposition", "attachment", filename=found.filename)
    return response


def own_page(report: UploadReport, form: Any = None, complaints: dict[str, list[str]] | None = None) -> str:
    """The page of one upload; `form` and `complaints` are those of an attempt to import its file again."""
    names = {"": "Find out from the file"} | {one.name: one.name for one in all_types()}
    before: dict[str, Any] = (report.upload.options or {}) | {"source": report.source}
    if before.get("layout") or before.get("file_type"):
        by = f", by {report.file_type} as it was then" if report.file_type else ""
        names = {AS_BEFORE: f"As the first time{by}"} | names
        before["file_type"] = AS_BEFORE
    has_copy = report.upload.sha256 is not None and raw_copies.find(copies_folder(), report.upload.id) is not None
    return render_template(
        "uploads/show.html",
        report=report,
        has_copy=has_copy,
        zones=preview_words.zone_names(),
        date_orders=DATE_ORDERS,
        file_type_names=names,
        form=form or before,
        complaints=complaints or {},
        **card_words(report),
    )


def all_types() -> list[file_types.NamedType]:
    return file_types.list_types(limit=1000).types


def upload_page(form: Any = None, complaints: dict[str, list[str]] | None = None) -> str:
    """The form and a page of earlier uploads."""
    rows, following = read_reports(db.engine, request.args.get("before", type=page_key), PAGE)
    names = list(db.session.scalars(sa.select(Source.name).order_by(Source.name).limit(200)))
    return render_template(
        "uploads/index.html",
        uploads=[(row, source_of(row, row.source)) for row in rows],
        following=following,
        first_page="before" not in request.args,
        sources=names,
        zones=preview_words.zone_names(),
        date_orders=DATE_ORDERS,
        form=form or {},
        complaints=complaints or {},
    )


def page_key(text: str) -> int:
    """The id that a page of the list goes on before; ValueError for what is none."""
    number = int(text)
    if not 0 < number < 2**31:
        raise ValueError(text)
    return number


def card(upload_id: int, problem: str = "") -> str:
    report = found_report(upload_id)
    return render_template("uploads/card.html", report=report, problem=problem, **card_words(report))


def card_or_redirect(upload_id: int, problem: str = "") -> ResponseReturnValue:
    if "HX-Request" in request.headers:
        # On the upload's own page more than the card changes.
        own_page = request.headers.get("HX-Current-URL", "").endswith(url_for("uploads.show", upload_id=upload_id))
        return card(upload_id, problem), 200, {"HX-Refresh": "true"} if own_page and not problem else {}
    if problem:
        flash(sentence_case(problem), "warning")
    return redirect(url_for("uploads.show", upload_id=upload_id), 303)


def flash_result(report: UploadReport) -> None:
    """Says how an upload ended, on the page that a browser without JavaScript sees next."""
    row = report.upload
    if row.status == "done":
        replaced = f", {row.readings_replaced:,} replaced" if row.readings_replaced else ""
        rejected = f", {row.lines_rejected:,} lines rejected" if row.lines_rejected else ""
        flash(f"{row.filename}: {row.readings_added:,} readings added{replaced}{rejected}.", "success")
    else:
        flash(f"{row.filename}: {row.status}. {sentence_case(row.error or '')}", "danger")


def card_words(report: UploadReport) -> dict[str, Any]:
    offers_rejected = rejected_lines.are_offered(copies_folder(), report)
    return {"may_edit": current_user.may("editor"), "offers_rejected": offers_rejected}


def found_report(upload_id: int) -> UploadReport:
    report = read_report(db.engine, upload_id)
    if report is None:
        abort(404, f"There is no upload {upload_id}.")
    return report


def read_options(form: Any) -> Options:
    """What the form says about its files, with what was chosen at the preview; raises Complaint."""
    choices, complaints = preview_choices.read(form)
    for field, sentences in complaints.items():
        raise Complaint(field, sentences[0])
    options = Options(
        source=form.get("source", "").strip(),
        timezone=choices.timezone,
        date_order=choices.date_order,
        on_duplicate=form.get("on_duplicate", "skip"),
    )
    try:
        options = with_layout(options, choices.file_type, choices.layout)
        options.check()
    except (FormatError, ImportRefused) as error:
        raise Complaint(FIELDS_OF_ERRORS.get(error.code, "date_order"), sentence(error)) from None
    return options


def copies_folder() -> Any:
    return current_app.config["DAYBOOK"].instance_path / "uploads"
