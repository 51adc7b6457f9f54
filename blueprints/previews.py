"""The preview: what Daybook understands of a file's first part, before it is uploaded. Nothing of it is stored."""

from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, abort, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from blueprints.guard import check_csrf, role_required
from blueprints.streamed_body import BadForm, FormStream, preview_slot
from blueprints.template_filters import sentence_case
from daybook import file_types, preview_choices, preview_parts, preview_words, sql
from daybook.extensions import csrf, db
from daybook.file_types import FileTypeError, NamedType
from daybook.formats.detect import SAMPLE_BYTES
from daybook.formats.given import Given
from daybook.formats.head import open_head
from daybook.formats.layout import FormatError
from daybook.formats.preview import Preview, preview
from daybook.models import Source
from daybook.preview_choices import Choices, Complaints
from daybook.upload_options import CutOff, clean_filename

bp = Blueprint("previews", __name__, url_prefix="/uploads/preview")

PART_BYTES = SAMPLE_BYTES + 64 * 1024  # of text; static/preview.js sends as much
WHOLE_BYTES = 32 * 1024 * 1024  # of workbooks, Parquet files and archives, which cannot be read in part
BODY_BYTES = WHOLE_BYTES + 1024 * 1024
READ_WHOLE = (b"PK\x03\x04", b"PK\x05\x06", b"PAR1")
TOO_LARGE = (
    "A preview takes at most 32 MB. Upload the file without looking at it first, or look at a part of it: "
    "the first few thousand lines are enough."
)
MOST_TRIED = 3  # file types that a file is read by at the first look; a workbook takes seconds
_DIGITS = 19  # of a size in bytes


@dataclass(frozen=True)
class Sent:
    """What the browser sent: the fields of the form, and the first part of the file."""

    fields: dict[str, str]
    filename: str
    data: bytes
    whole: bool


@dataclass(frozen=True)
class Looked:
    """A preview, and which file type it was made with. matches: the types that the file looks like, best first;
    by_itself: nobody chose the type, the file looks like it."""

    preview: Preview
    choices: Choices
    file_type: NamedType | None
    matches: list[NamedType]
    by_itself: bool


@bp.post("")
@csrf.exempt  # the check would read the whole body; the token is in the header, or in front of the file
@role_required("editor")
def look() -> ResponseReturnValue:
    """The preview as a part of the upload page, or as a page of its own for a browser without JavaScript."""
    # Nothing is stored: an import that writes to SQLite is not waited for.
    with preview_slot(), sql.only_reading():
        sent = receive()
        choices, complaints = preview_choices.read(sent.fields)
        looked = look_at(sent, choices, complaints)
        template = "uploads/preview.html" if "HX-Request" in request.headers else "uploads/look.html"
        return render_template(template, **shown(sent, looked, complaints))


@bp.post("/file-type")
def save() -> ResponseReturnValue:
    """Keeps what the preview shows as a file type; `layout` is all of it."""
    name, text = request.form.get("name", ""), request.form.get("layout", "")
    choices, complaints = preview_choices.read({"layout": text})
    saved = None
    try:
        if not complaints and choices.layout:
            saved = file_types.save(name, Given.from_json(choices.layout))
        else:
            complaints = {"name": ["There is nothing to save yet: choose a file first."]}
    except FileTypeError as error:
        complaints = {"name": [sentence_case(f"{error}. {error.hint}")]}
    if "HX-Request" not in request.headers and saved:
        flash(f"The file type “{saved.name}” is saved. Choose the file again and upload it.", "success")
        return redirect(url_for("uploads.index", file_type=saved.name), 303)
    template = "uploads/save_type.html" if "HX-Request" in request.headers else "uploads/save_type_page.html"
    page = render_template(template, saved=saved, type_name=name, type_layout=text, type_complaints=complaints)
    return page, 200 if saved else 422


@bp.app_template_global()
def upload_form_lists(chosen: str = "", matches: list[NamedType] | None = None) -> dict[str, Any]:
    """What the upload form offers: names of sources, and file types in groups; those that fit come first."""
    every = file_types.list_types(limit=1000).types
    first = {named.name for named in matches or []}
    groups = [
        ("The file looks like", [named.name for named in matches or []]),
        ("Saved", [named.name for named in every if not named.ready_made and named.name not in first]),
        ("Ready-made", [named.name for named in every if named.ready_made and named.name not in first]),
    ]
    if chosen and not any(chosen in names for _, names in groups):
        groups.insert(0, ("Chosen", [chosen]))
    sources = list(db.session.scalars(sa.select(Source.name).order_by(Source.name).limit(200)))
    return {"file_types": [(title, names) for title, names in groups if names], "sources": sources}


# --- the request ---------------------------------------------------------------------------------------------------


def receive() -> Sent:
    """The form and the first part of its file; the rest is taken and thrown away."""
    if "X-CSRFToken" in request.headers:
        check_csrf(request.headers["X-CSRFToken"])
    fields: dict[str, str] = {}
    filename, data, size = "", b"", 0
    too_large = (request.content_length or 0) > BODY_BYTES
    try:
        form = FormStream(request)
        fields = form.fields
        for _, name in form.parts():
            check_token(fields)
            if not filename:
                filename = clean_filename(name)
                data, size = first_part(form)
            too_large = too_large or size > BODY_BYTES
        check_token(fields)
    except BadForm as error:
        check_token(fields)
        abort(400, sentence_case(str(error)))
    except CutOff as error:
        abort(400, sentence_case(str(error)))
    if too_large:
        abort(413, TOO_LARGE)
    if not filename:
        abort(400, "Choose a file first.")
    if not data.startswith(READ_WHOLE):
        data = data[:PART_BYTES]
    said = fields.get("size", "")
    total = int(said) if said.isdecimal() and len(said) < _DIGITS else size
    return Sent(fields, filename, data, whole=len(data) >= total)


def first_part(form: FormStream) -> tuple[bytes, int]:
    """As much of the file as a preview can need, and its size. Of more than is taken nothing is kept."""
    kept = bytearray()
    size = 0
    for piece in form.pieces():
        size += len(piece)
        if size <= BODY_BYTES:
            kept += piece
        if len(kept) > PART_BYTES and not kept.startswith(READ_WHOLE):
            del kept[PART_BYTES:]
    return bytes(kept), size


def check_token(fields: dict[str, str]) -> None:
    """The token of the form, where none came in the header."""
    if "X-CSRFToken" not in request.headers:
        check_csrf(fields.get("csrf_token"))


# --- the preview ---------------------------------------------------------------------------------------------------


def look_at(sent: Sent, choices: Choices, complaints: Complaints) -> Looked:
    """The preview with the file type that was chosen; at the first look with one that fits and reads the file without
    a problem, if any: saved ones before ready-made ones."""
    limit = current_app.config["DAYBOOK"].unpacked_max_bytes

    def made_with(named: NamedType | None) -> Preview:
        given = choices.over(named.given if named else None)
        return preview(sent.data, whole=sent.whole, given=given, unpacked_max_bytes=limit)

    named = file_types.find_type(choices.file_type) if choices.file_type else None
    if choices.file_type and named is None:
        complaints["file_type"] = [f"There is no file type “{choices.file_type[:80]}” any more. Choose another one."]
        choices = replace(choices, file_type="")
    plain = made_with(named)
    matches = types_like(plain, sent, limit)
    first_look = "looked" not in sent.fields and not choices.file_type
    for offered in sorted(matches, key=lambda one: one.ready_made)[: MOST_TRIED if first_look else 0]:
        found = made_with(offered)
        if found.problem is None and found.rejected <= found.rows:
            return Looked(found, replace(choices, file_type=offered.name), offered, matches, by_itself=True)
    by_itself = bool(named) and sent.fields.get("by_itself") == choices.file_type
    return Looked(plain, choices, named, matches, by_itself)


def types_like(found: Preview, sent: Sent, limit: int) -> list[NamedType]:
    """The file types that the file looks like, best first: saved ones with these very columns, then by first lines."""
    kind = found.layout.file if found.layout else ""
    names = {one.column.name for one in found.columns}
    same = [
        named
        for named in file_types.saved_types()
        if names and (named.given.file or "text") == kind and {column.name for column in named.given.columns} == names
    ]
    known = {named.name for named in same}
    return same + [named for named in file_types.matching(first_lines(found, sent, limit)) if named.name not in known]


def first_lines(found: Preview, sent: Sent, limit: int) -> list[str]:
    """The first lines as file types are recognised by; of what takes long to open once more, those that are shown."""
    if sent.data.startswith(READ_WHOLE):
        return [line.text for line in found.lines]
    try:
        head = open_head(sent.data, whole=sent.whole, given=Given(), unpacked_max_bytes=limit)
    except FormatError:
        return []
    text = sent.data if head.file == "json" else head.text
    return text[:SAMPLE_BYTES].decode("utf-8", "replace").splitlines()[:500]


def shown(sent: Sent, looked: Looked, complaints: Complaints) -> dict[str, Any]:
    """Everything that the templates of the preview name."""
    by_type = looked.file_type.given if looked.file_type else None
    parts = preview_parts.parts_of(looked.preview, sent.fields, looked.choices, by_type, complaints)
    return parts | {
        "looked": looked,
        "named": looked.file_type,
        "filename": sent.filename,
        "summary": preview_words.summary(looked.preview, looked.choices),
        "lists": upload_form_lists(looked.choices.file_type, looked.matches),
        "zones": preview_words.zone_names(),
    }
