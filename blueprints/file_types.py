"""File types: a list, one of them in a form, try on a sample, delete, and to a file and back."""

import re
from typing import Any

from flask import Blueprint, Response, abort, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from blueprints.guard import check_csrf, role_required
from blueprints.streamed_body import BadForm, FormStream, preview_slot
from blueprints.template_filters import sentence_case
from daybook import file_type_files, file_types, layout_form, sql
from daybook.extensions import csrf, db
from daybook.file_types import FileTypeError, NamedType
from daybook.formats.given import Given
from daybook.formats.layout import Layout
from daybook.formats.preview import Preview, preview
from daybook.layout_form import FormErrors
from daybook.sql import moment
from daybook.upload_options import CutOff
from daybook.upload_report import read_report

bp = Blueprint("file_types", __name__, url_prefix="/file-types")

PAGE = 100
SAMPLE_BYTES = 1024 * 1024  # of a file that a type is tried on; the rest is taken and thrown away
WHOLE_BYTES = 16 * 1024 * 1024  # of workbooks, archives and Parquet files, of which a part tells nothing
READ_WHOLE = (b"PK\x03\x04", b"PAR1")
MORE_ROWS = 5
IMPORT_BYTES = 400_000  # as much as a form takes besides its other fields
FIELD_OF_ERROR = {"bad_name": "name", "file_type_exists": "name", "ready_made": "name"}


@bp.get("")
def index() -> ResponseReturnValue:
    page = file_types.list_types(request.args.get("after"), PAGE)
    return render_template("file_types/index.html", page=page, summary=layout_form.summary)


@bp.get("/new")
@role_required("editor")
def new() -> ResponseReturnValue:
    """An empty form, or one with what another type says, or with the layout in which a file was read."""
    copied, upload_id = request.args.get("from", ""), request.args.get("upload", type=int)
    given = found_type(copied).given if copied else Given()
    if upload_id is not None:
        report = read_report(db.engine, upload_id) if 0 < upload_id < 2**31 else None
        if report is None or not report.upload.layout:
            abort(404, f"There is no upload {upload_id} whose layout is known.")
        given = Given.of(Layout.from_json(report.upload.layout))
    return edit_page(None, layout_form.to_form(given) | {"name": ""}, copied=copied)


@bp.post("/new")
def create() -> ResponseReturnValue:
    form = {**layout_form.typed(request.form), "name": request.form.get("name", "")}
    if "more" in request.form:
        return edit_page(None, with_rows(form))
    try:
        made = file_types.save(form["name"], layout_form.read(request.form))
    except (FormErrors, FileTypeError) as error:
        return edit_page(None, form, complaints=complaints_of(error)), 422
    flash(f"The file type “{made.name}” is saved.", "success")
    return redirect(url_for("file_types.show", name=made.name), 303)


@bp.get("/<name>")
def show(name: str) -> ResponseReturnValue:
    """The form for who may change the type, else what it says."""
    named = found_type(name)
    if named.ready_made or not current_user.may("editor"):
        return render_template("file_types/show.html", named=named, form=layout_form.to_form(named.given), **words())
    form = layout_form.to_form(named.given) | {"name": named.name, "version": named.version}
    return edit_page(named, form)


@bp.post("/<name>")
def save(name: str) -> ResponseReturnValue:
    named = found_type(name)
    form = {**layout_form.typed(request.form), "name": request.form.get("name", "")}
    form["version"] = request.form.get("version", "")
    if "more" in request.form:
        return edit_page(named, with_rows(form))
    try:
        given = layout_form.read(request.form)
        saved = file_types.replace(name, given, version=form["version"], new_name=form["name"])
    except (FormErrors, FileTypeError) as error:
        changed = isinstance(error, FileTypeError) and error.code == "changed_meanwhile"
        if changed:
            form["version"] = found_type(name).version  # saving once more is meant
        return edit_page(named, form, complaints=complaints_of(error), changed=changed), 409 if changed else 422
    flash(f"The file type “{saved.name}” is saved.", "success")
    return redirect(url_for("file_types.show", name=saved.name), 303)


@bp.get("/<name>/delete")
@role_required("editor")
def confirm_delete(name: str) -> ResponseReturnValue:
    named = found_type(name)
    if named.ready_made:
        abort(409, "Ready-made file types cannot be deleted.")
    return render_template("file_types/delete.html", named=named, uploads=file_types.upload_count(name))


@bp.post("/<name>/delete")
def delete(name: str) -> ResponseReturnValue:
    """Takes the type out. One that is gone already is no error: it is what was wanted."""
    try:
        file_types.delete(name)
    except FileTypeError as error:
        abort(409, sentence_case(str(error)))
    flash(f"The file type “{name}” is deleted. Uploads that it read stay as they are.", "success")
    return redirect(url_for("file_types.index"), 303)


# --- trying --------------------------------------------------------------------------------------------------------


@bp.post("/try")
@csrf.exempt  # the check would read the whole body; the token comes before the sample and is checked here
@role_required("viewer")
def try_type() -> ResponseReturnValue:
    """What comes out of a sample: by a type, or by what the form says before it is saved."""
    with preview_slot(), sql.only_reading():
        form, data, whole = receive()
        return tried(form, data, whole)


def receive() -> tuple[dict[str, str], bytes, bool]:
    """The fields of the form, the first part of the sample, and whether that is all of it."""
    form: dict[str, str] = {}
    data, whole = b"", True
    try:
        stream = FormStream(request)
        form = stream.fields
        for _ in stream.parts():
            check_csrf(form.get("csrf_token"))
            data, whole = first_part(stream)
        check_csrf(form.get("csrf_token"))
    except BadForm as error:
        check_csrf(form.get("csrf_token"))
        abort(400, sentence_case(str(error)))
    except CutOff as error:
        abort(400, sentence_case(str(error)))
    if not data and form.get("sample_text", "").strip():
        data = form["sample_text"].encode()
    return form, data, whole and not form.get("sample_cut")


def tried(form: dict[str, str], data: bytes, whole: bool) -> ResponseReturnValue:
    """The answer: the part under the button for htmx, else the whole page with what was typed."""
    named = file_types.find_type(form["of"]) if form.get("of") else None
    complaints: dict[str, list[str]] = {}
    shown: Preview | None = None
    try:
        given = named.given if named and "said" in form else layout_form.read(form)
        if data:
            limit = current_app.config["DAYBOOK"].unpacked_max_bytes
            shown = preview(data, whole=whole, given=given, unpacked_max_bytes=limit)
        else:
            complaints["sample"] = ["Choose a file or paste some lines first."]
    except FormErrors as errors:
        complaints = errors.complaints
    status = 422 if complaints else 200
    values = {"preview": shown, "complaints": complaints, "moment": moment}
    if "HX-Request" in request.headers:
        return render_template("file_types/trial.html", **values, **words()), status
    if named and "said" in form:
        page = {"named": named, "form": layout_form.to_form(named.given) | form}
        return render_template("file_types/show.html", **page, **values, **words()), status
    return edit_page(named, layout_form.typed(form) | form, **values), status


def first_part(stream: FormStream) -> tuple[bytes, bool]:
    """The first bytes of the file that the stream is at, and whether these are all."""
    kept = bytearray()
    size = 0
    for piece in stream.pieces():
        size += len(piece)
        most = WHOLE_BYTES if bytes((kept or piece)[:4]) in READ_WHOLE else SAMPLE_BYTES
        kept += piece[: most - len(kept)]
    return bytes(kept), size == len(kept)


# --- files ---------------------------------------------------------------------------------------------------------


@bp.get("/export")
def export_all() -> ResponseReturnValue:
    """Every saved type as one JSON file."""
    return json_file(file_types.saved_types(), "file-types.json")


@bp.get("/<name>/export")
def export(name: str) -> ResponseReturnValue:
    named = found_type(name)
    plain = re.sub(r"[^A-Za-z0-9_.-]+", "-", named.name).strip("-.") or "file-type"
    return json_file([named], f"{plain}.json")


@bp.get("/import")
@role_required("editor")
def import_form() -> ResponseReturnValue:
    return render_template("file_types/import.html", complaints={})


@bp.post("/import")
def import_file() -> ResponseReturnValue:
    """Takes the types of a JSON file in; where names exist, asks first which of them to replace."""
    sent = request.files.get("file")
    data = sent.read() if sent else request.form.get("text", "").encode()
    try:
        if len(data) > IMPORT_BYTES:
            message = f"the file has {len(data):,} bytes; at most {IMPORT_BYTES:,} are taken at once"
            raise FileTypeError("bad_json", message, "Split it.")
        types = file_type_files.from_text(data.decode("utf-8", "replace"))
        saved = {named.name.casefold() for named in file_types.saved_types()}
        known = [name for name, _ in types if name.casefold() in saved]
        if known and "decided" not in request.form:
            text = data.decode("utf-8", "replace")
            return render_template("file_types/import.html", complaints={}, known=known, types=types, text=text)
        done = file_types.import_types(types, frozenset(request.form.getlist("replace")))
    except FileTypeError as error:
        return render_template("file_types/import.html", complaints={"file": [sentence_of(error)]}), 422
    flash(imported_words(done), "success")
    return redirect(url_for("file_types.index"), 303)


def imported_words(done: file_types.Imported) -> str:
    """What was done, as sentences."""
    words = [f"{count_of(len(done.added))} added."]
    if done.replaced:
        words.append(f"Replaced: {', '.join(done.replaced)}.")
    if done.left:
        words.append(f"Left as they were: {', '.join(done.left)}.")
    if done.ready_made:
        words.append(f"Left out, because Daybook brings them ready-made: {', '.join(done.ready_made)}.")
    return " ".join(words)


def count_of(number: int) -> str:
    return f"{number} file type{'' if number == 1 else 's'}"


def json_file(types: list[NamedType], filename: str) -> Response:
    response = Response(file_type_files.to_text(types), content_type="application/json; charset=utf-8")
    response.headers.set("Content-Disposition", "attachment", filename=filename)
    return response


# --- pieces --------------------------------------------------------------------------------------------------------


def edit_page(named: NamedType | None, form: dict[str, Any], **more: Any) -> str:
    """The form; `named` is the type that it changes, None for a new one."""
    context: dict[str, Any] = {"complaints": {}, "preview": None, "changed": False, "copied": "", "moment": moment}
    return render_template("file_types/edit.html", named=named, form=form, **(context | words() | more))


def words() -> dict[str, Any]:
    """What templates/file_types/fields.html needs besides `form` and `complaints`."""
    return {"choices": layout_form.CHOICES, "find_out": layout_form.FIND_OUT}


def with_rows(form: dict[str, Any]) -> dict[str, Any]:
    """The form with more empty rows of columns: how a browser without JavaScript gets them."""
    return form | {"columns": [*form["columns"], *({} for _ in range(MORE_ROWS))]}


def found_type(name: str) -> NamedType:
    named = file_types.find_type(name)
    if named is None:
        abort(404, f"There is no file type “{name[:80]}”.")
    return named


def complaints_of(error: FormErrors | FileTypeError) -> dict[str, list[str]]:
    if isinstance(error, FormErrors):
        return error.complaints
    return {FIELD_OF_ERROR.get(error.code, "form"): [sentence_of(error)]}


def sentence_of(error: FileTypeError) -> str:
    return sentence_case(f"{error}. {error.hint}" if error.hint else str(error))
