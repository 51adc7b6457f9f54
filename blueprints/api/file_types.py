"""File types of the API: listed, made, replaced and deleted by name."""

import json
from typing import Any, NoReturn

from flask import Response, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from blueprints.api import bp
from blueprints.errors import ApiError
from blueprints.guard import role_required
from blueprints.template_filters import sentence_case
from daybook import file_types
from daybook.file_types import FileTypeError, NamedType
from daybook.formats.given import Given
from daybook.formats.layout import FormatError

PAGE = 100
STATUS_OF_ERROR = {
    "bad_name": 422,
    "file_type_exists": 409,
    "ready_made": 409,
    "changed_meanwhile": 412,
    "not_found": 404,
}


@bp.get("/file-types")
def list_file_types() -> ResponseReturnValue:
    """Saved types by name, then the ready-made ones; `next` goes on where the page ends."""
    check_parameters("next")
    page = file_types.list_types(request.args.get("next") or None, PAGE)
    return jsonify(file_types=[as_json(named) for named in page.types], next=page.next)


@bp.post("/file-types")
@role_required("editor")
def create_file_type() -> ResponseReturnValue:
    """Makes the type of the body {name, layout}."""
    check_parameters("")
    body = read_body()
    given = read_layout(body)
    if not isinstance(body.get("name"), str):
        raise ApiError(422, "bad_name", "The body has no name.", 'Send {"name": "Mast 3 export", "layout": {…}}.')
    try:
        return answer(file_types.save(body["name"], given), 201)
    except FileTypeError as error:
        refuse(error)


@bp.get("/file-types/<name>")
def show_file_type(name: str) -> ResponseReturnValue:
    check_parameters("")
    named = file_types.find_type(name)
    if named is None:
        raise not_found(name)
    return answer(named, 200)


@bp.put("/file-types/<name>")
@role_required("editor")
def put_file_type(name: str) -> ResponseReturnValue:
    """Makes or replaces the type of that name. With If-Match, only the version that was looked at is replaced."""
    check_parameters("")
    body = read_body()
    given = read_layout(body)
    if body.get("name", name) != name:
        hint = "Leave it out; to rename a type, use its page, or make the new one and delete the old one."
        raise ApiError(422, "bad_name", f'The body names "{body["name"]}", the address "{name}".', hint)
    try:
        made, is_new = file_types.put(name, given, version=wanted_version())
    except FileTypeError as error:
        refuse(error)
    return answer(made, 201 if is_new else 200)


@bp.delete("/file-types/<name>")
@role_required("editor")
def delete_file_type(name: str) -> ResponseReturnValue:
    """Takes the type out; uploads that it read keep their layout."""
    check_parameters("")
    try:
        if not file_types.delete(name):
            raise not_found(name)
    except FileTypeError as error:
        refuse(error)
    return Response(status=204)


def as_json(named: NamedType) -> dict[str, Any]:
    found: dict[str, Any] = {"name": named.name, "ready_made": named.ready_made, "layout": named.given.to_json()}
    return found | ({"about": named.about, "source": named.source} if named.ready_made else {})


def answer(named: NamedType, status: int) -> Response:
    response = jsonify(as_json(named))
    response.status_code = status
    response.set_etag(named.version)
    if status == 201:
        response.headers["Location"] = url_for("api.show_file_type", name=named.name)
    return response


def read_body() -> dict[str, Any]:
    """The body as a JSON object, whatever its Content-Type says; raises ApiError."""
    try:
        body = json.loads(request.get_data(cache=False))
    except (ValueError, RecursionError) as error:
        raise ApiError(400, "bad_json", f"The body is not JSON: {error}.") from None
    if not isinstance(body, dict):
        raise ApiError(400, "bad_json", "The body is not an object.", 'Send {"name": …, "layout": {…}}.')
    return body


def read_layout(body: dict[str, Any]) -> Given:
    try:
        return Given.from_json(body.get("layout"))
    except FormatError as error:
        raise ApiError(422, error.code, sentence_case(str(error)), error.hint or None) from None


def wanted_version() -> str | None:
    """The version of the header If-Match; None where any will do."""
    tags = request.if_match
    return None if not tags or tags.star_tag else next(iter(tags.as_set()), "")


def refuse(error: FileTypeError) -> NoReturn:
    status = STATUS_OF_ERROR.get(error.code, 422)
    raise ApiError(status, error.code, sentence_case(str(error)), error.hint or None) from None


def not_found(name: str) -> ApiError:
    hint = "GET /api/v1/file-types lists what there is."
    return ApiError(404, "not_found", f'There is no file type "{name[:80]}".', hint)


def check_parameters(known: str) -> None:
    """Refuses a parameter that nobody reads."""
    for name in request.args:
        if name not in known.split():
            raise ApiError(400, "bad_parameter", f'"{name}" is not a parameter here; leave it out.')
