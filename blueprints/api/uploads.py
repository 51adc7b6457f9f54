"""Uploads of the API: a file comes in as it streams, its account goes out as JSON."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from flask import Response, current_app, g, jsonify, request, stream_with_context
from flask.typing import ResponseReturnValue
from flask_login import current_user

from blueprints.api import bp
from blueprints.errors import ApiError
from blueprints.guard import role_required
from blueprints.streamed_body import BadForm, FormStream, body_pieces, upload_slot
from blueprints.template_filters import sentence_case
from daybook import dry_runs, imports, raw_copies, rejected_lines, removal
from daybook.extensions import db
from daybook.formats.layout import FormatError
from daybook.models import UNFINISHED
from daybook.source_lock import SourceBusy
from daybook.upload_options import CutOff, ImportRefused, Options, Sender, clean_filename, with_layout
from daybook.upload_report import UploadReport, iso_time, read_report, read_reports, source_of

KNOWN = "filename source file_type timezone date_order on_duplicate on_bad_row dry_run".split()
PAGE = 50
STATUS_OF_ERROR = {"too_large": 413, "stalled": 408, "internal_error": 500, "disk_full": 507, "database_lost": 503}


@bp.route("/uploads", methods=["POST", "PUT"])  # PUT is what `curl -T` says by itself
@role_required("editor")
def create_upload() -> ResponseReturnValue:
    """Imports the file that is the body, or the part `file` of a form. 201 when it is done, 422 when it failed."""
    options = read_options()
    with upload_slot():
        try:
            filename, pieces, size = incoming_file()
        except CutOff as error:
            hint = "Send the raw file (curl -T), or a form with the file in its part `file`."
            raise ApiError(STATUS_OF_ERROR.get(error.code, 400), error.code, str(error), hint) from None
        settings = current_app.config["DAYBOOK"]
        if request.args.get("dry_run", "0") not in ("", "0"):
            try:
                answer = dry_runs.dry_run(settings, pieces, clean_filename(filename), options)
            except CutOff as error:
                raise ApiError(STATUS_OF_ERROR.get(error.code, 400), error.code, str(error)) from None
            return jsonify(answer), 422 if "error" in answer else 200
        return import_and_answer(filename, options, pieces, size)


def import_and_answer(
    filename: str, options: Options, pieces: Iterable[bytes], size: int | None, replaces: int | None = None
) -> ResponseReturnValue:
    """Imports the file and answers its account: 201 when it is done, else why not."""
    sender = Sender(account_id=current_user.id, api_token_id=g.api_token.id)
    upload_id = imports.announce(db.engine, filename, options, sender, size, replaces)
    settings = current_app.config["DAYBOOK"]
    imports.import_stream(db.engine, settings, pieces, upload_id=upload_id, bytes_total=size)
    report = found_report(upload_id)
    if report.upload.status == "done":
        return jsonify(report.as_json()), 201, {"Location": f"/api/v1/uploads/{upload_id}"}
    return jsonify(report.as_json()), STATUS_OF_ERROR.get(report.upload.error_code, 422)


@bp.get("/uploads")
def list_uploads() -> ResponseReturnValue:
    """The uploads, newest first, 50 at a time; `next` goes on where the page ends."""
    try:
        before = int(request.args["next"]) if request.args.get("next") else None
        if before is not None and not 0 < before < 2**31:
            raise ValueError
    except ValueError:
        raise ApiError(
            400, "bad_parameter", f'next is "{request.args["next"]}"; use the one of the page before'
        ) from None
    rows, following = read_reports(db.engine, before, PAGE)
    uploads = [
        {
            "id": row.id,
            "status": row.status,
            "filename": row.filename,
            "source": source_of(row, row.source),
            "bytes": row.bytes_done,
            "readings": {
                "added": row.readings_added,
                "duplicates": row.readings_duplicate,
                "replaced": row.readings_replaced,
            },
            "created_at": iso_time(row.created_at),
        }
        for row in rows
    ]
    return jsonify(uploads=uploads, next=following)


@bp.get("/uploads/<int(max=2147483647):upload_id>")
def show_upload(upload_id: int) -> ResponseReturnValue:
    return jsonify(found_report(upload_id).as_json())


@bp.delete("/uploads/<int(max=2147483647):upload_id>")
@role_required("editor")
def undo_upload(upload_id: int) -> ResponseReturnValue:
    """Takes a finished upload's readings out again; answers when the last is gone."""
    report = found_report(upload_id)
    if report.upload.status == "undone":
        return jsonify(report.as_json())
    try:
        undone = removal.undo(db.engine, current_app.config["DAYBOOK"], upload_id)
    except SourceBusy as error:
        raise ApiError(409, "source_busy", sentence_case(str(error))) from None
    if not undone:
        status = found_report(upload_id).upload.status
        raise ApiError(409, "not_done", f"Upload {upload_id} is {status}; only one that is done can be undone.")
    return jsonify(found_report(upload_id).as_json())


@bp.post("/uploads/<int(max=2147483647):upload_id>/import")
@role_required("editor")
def import_again(upload_id: int) -> ResponseReturnValue:
    """Imports the kept copy of a file again, as an upload of its own, with the options given now.

    Over one that is done: in the moment in which the new one is done, the old one is taken back.
    """
    report, options = found_report(upload_id), read_options()
    if report.upload.status in UNFINISHED:
        raise ApiError(409, "not_ended", f"Upload {upload_id} is {report.upload.status}.")
    path = raw_copies.find(current_app.config["DAYBOOK"].instance_path / "uploads", upload_id)
    if path is None or report.upload.sha256 is None:
        raise ApiError(404, "no_raw_copy", f"No copy of the file of upload {upload_id} is kept.")
    name = request.args.get("filename", "").strip() or report.upload.filename
    options = replace(options, source=options.source or report.source)
    with upload_slot():
        if request.args.get("dry_run", "0") not in ("", "0"):
            answer = dry_runs.dry_run(current_app.config["DAYBOOK"], raw_copies.read(path), name, options)
            return jsonify(answer), 422 if "error" in answer else 200
        replaces = upload_id if report.upload.status == "done" else None
        return import_and_answer(name, options, raw_copies.read(path), report.upload.bytes_total, replaces)


@bp.get("/uploads/<int(max=2147483647):upload_id>/raw")
def raw_upload(upload_id: int) -> ResponseReturnValue:
    """The file as it came, byte for byte."""
    report = found_report(upload_id)
    path = raw_copies.find(current_app.config["DAYBOOK"].instance_path / "uploads", upload_id)
    if path is None or report.upload.sha256 is None:
        raise ApiError(404, "no_raw_copy", f"No copy of the file of upload {upload_id} is kept.")
    response = Response(stream_with_context(raw_copies.read(path)), mimetype="application/octet-stream")
    response.headers.set("Content-Disposition", "attachment", filename=report.upload.filename)
    return response


@bp.get("/uploads/<int(max=2147483647):upload_id>/rejected")
def rejected_lines_of_upload(upload_id: int) -> ResponseReturnValue:
    """The lines that could not be read, behind those above the data: to be mended and uploaded again."""
    folder = current_app.config["DAYBOOK"].instance_path / "uploads"
    try:
        found = rejected_lines.open_rejected(db.engine, folder, found_report(upload_id))
    except rejected_lines.NoRejectedLines as error:
        raise ApiError(404, "no_rejected_lines", str(error)) from None
    response = Response(stream_with_context(found.pieces), content_type=f"text/csv; charset={found.encoding}")
    response.headers.set("Content-Disposition", "attachment", filename=found.filename)
    if found.hint:
        response.headers["Daybook-Hint"] = found.hint
    return response


def read_options() -> Options:
    """The options in the query string; refuses what is unknown, so that a slip of the pen is not silently ignored."""
    for name in request.args:
        if name not in KNOWN:
            raise ApiError(400, "bad_parameter", f'There is no parameter "{name}".', f"Known: {', '.join(KNOWN)}.")
    given: dict[str, Any] = {name: request.args.get(name, "").strip() for name in ("source", "timezone", "date_order")}
    given |= {name: request.args.get(name, "skip") for name in ("on_bad_row", "on_duplicate")}
    try:
        options = with_layout(Options(**given), request.args.get("file_type", "").strip())
        options.check()
    except (FormatError, ImportRefused) as error:
        status = 404 if error.code == "unknown_file_type" else 400
        raise ApiError(status, error.code, sentence_case(str(error)), error.hint or None) from None
    return options


def incoming_file() -> tuple[str, Iterable[bytes], int | None]:
    """Name, bytes and, where it is known beforehand, size of the file that the request brings."""
    if request.mimetype != "multipart/form-data":
        return request.args.get("filename", "").strip() or "unnamed", body_pieces(request), request.content_length
    form = FormStream(request)
    for name, filename in form.parts():
        if name == "file":
            return request.args.get("filename", "").strip() or filename, _to_the_end(form), None
    raise BadForm('the form has no file in a part named "file"')


def _to_the_end(form: FormStream) -> Iterator[bytes]:
    """The file's bytes; the rest of the form is read too, so that a form that breaks off after the file is noticed."""
    yield from form.pieces()
    for _ in form.parts():
        pass


def found_report(upload_id: int) -> UploadReport:
    report = read_report(db.engine, upload_id)
    if report is None:
        raise ApiError(404, "not_found", f"There is no upload {upload_id}.")
    return report
