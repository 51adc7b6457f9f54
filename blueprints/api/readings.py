"""Sources, sensors and readings of the API: listed, read out as a stream, and posted."""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Response, current_app, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge

from blueprints import errors
from blueprints.api import bp
from blueprints.errors import ApiError
from daybook import exports, posted
from daybook.buckets import Bucket, BucketError, read_bucket, suiting
from daybook.exports import Export
from daybook.extensions import db
from daybook.posted import MAX_BYTES, PostError
from daybook.readings import NotFound, Reader, SensorRow, open_reader
from daybook.source_lock import SourceBusy
from daybook.times import TimeError, iso, read_range, zone_named

PAGE = 100
PAGE_MAX = 1000
POINTS = 600
POINTS_MAX = 100_000
CONTENT_TYPES = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "ndjson": "application/x-ndjson",
}
READING_PARAMETERS = "source sensor from to bucket points format layout timezone"

Found = TypeVar("Found")


@bp.get("/sources")
def list_sources() -> ResponseReturnValue:
    """Every source, by name."""
    check_parameters("")
    with open_reader(db.engine) as reader:
        return jsonify(sources=[{"name": name} for name in reader.sources()])


@bp.get("/sensors")
def list_sensors() -> ResponseReturnValue:
    """Sensors by source and name, of one source where `source` names it, a page at a time."""
    check_parameters("source next limit")
    source = request.args.get("source") or None
    after = whole_number("next", None, 1, 2**31 - 1)
    limit = whole_number("limit", PAGE, 1, PAGE_MAX)
    with open_reader(db.engine) as reader:
        page = or_not_found(lambda: reader.sensors(source, after=after, limit=limit))
        last = reader.latest([sensor.id for sensor in page.sensors])
    sensors = [
        {
            "id": sensor.id,
            "source": sensor.source,
            "name": sensor.name,
            "unit": sensor.unit,
            "label": sensor.label,
            "kind": sensor.kind,
            "readings": sensor.count,
            "last": {"time": iso(last[sensor.id].time), "value": last[sensor.id].value} if sensor.id in last else None,
        }
        for sensor in page.sensors
    ]
    return jsonify(sensors=sensors, next=page.next)


@bp.get("/readings")
def list_readings() -> ResponseReturnValue:
    """Readings or buckets of the chosen sensors and range, streamed in the form that `format` and `layout` name."""
    check_parameters(READING_PARAMETERS)
    with open_reader(db.engine) as reader:
        export = wanted_export(reader)
    return Response(exports.stream(db.engine, export), content_type=CONTENT_TYPES[export.format])


@bp.post("/readings")
def add_readings() -> ResponseReturnValue:
    """Adds the posted readings, all or none."""
    check_parameters("")
    wanted = read_body()
    db.session.commit()  # the look at the token is over; SQLite has one write lock, and adding needs it
    try:
        added = posted.add(db.engine, current_app.config["DAYBOOK"], wanted)
    except SourceBusy as error:
        busy = errors.answer(503, "source_busy", f"{error}.")
        busy.headers["Retry-After"] = "10"
        return busy
    sensors = [
        {"id": sensor.id, "name": sensor.name, "unit": sensor.unit, "added": sensor.added} for sensor in added.sensors
    ]
    counts = {"added": added.added, "duplicates": added.duplicates}
    return jsonify(source=added.source, readings=counts, sensors=sensors), 201


def read_body() -> posted.Posted:
    """The checked body; raises ApiError."""
    try:
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:
        body = b" " * (MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        hint = "Post fewer readings at a time, or upload them as a file."
        raise ApiError(413, "too_large", f"The body has more than {MAX_BYTES} bytes.", hint)
    try:
        return posted.read_posted(body)
    except PostError as error:
        raise ApiError(400, "bad_readings", f"{error}.", "Nothing was added.") from None


def wanted_export(reader: Reader) -> Export:
    """What the parameters ask for; raises ApiError naming the parameter, its value and the remedy."""
    form = one_of("format", ("json", "csv", "ndjson"))
    wide = one_of("layout", ("narrow", "wide")) == "wide"
    if wide and form != "csv":
        raise bad_parameter('layout "wide" goes with format=csv only; leave layout out, or write format=csv')
    try:
        zone = zone_named(request.args.get("timezone") or "UTC")
    except TimeError as error:
        raise bad_parameter(f"timezone {error}") from None
    try:
        first, last = read_range(request.args.get("from", ""), request.args.get("to", ""), zone)
    except TimeError as error:
        raise bad_parameter(str(error)) from None
    names = [name for name in request.args.getlist("sensor") if name]
    sensors = or_not_found(lambda: reader.chosen(request.args.get("source") or None, names))
    if wide and len({sensor.source for sensor in sensors}) > 1:
        raise bad_parameter('layout "wide" has one column per sensor of one source; add source=, or leave layout out')
    bucket = wanted_bucket(reader, sensors, first, last, zone)
    return Export(sensors, first, last, bucket, zone, form, wide)


def wanted_bucket(reader: Reader, sensors: list[SensorRow], first: int, last: int, zone: Any) -> Bucket | None:
    """The width that `bucket` and `points` ask for, None for single readings; raises ApiError."""
    text = request.args.get("bucket", "")
    if text != "auto":
        if request.args.get("points"):
            raise bad_parameter("points goes with bucket=auto only; leave points out, or write bucket=auto")
        try:
            return read_bucket(text, zone) if text else None
        except BucketError as error:
            raise bad_parameter(str(error)) from None
    points = whole_number("points", POINTS, 2, POINTS_MAX)
    span = reader.spans([sensor.id for sensor in sensors], first, last)
    return suiting(*span, points or POINTS, zone) if span else Bucket(1, "d", zone)


# --- parameters


def check_parameters(known: str) -> None:
    """Refuses a parameter that nobody reads: a misspelled `from` would otherwise mean the whole book."""
    for name in request.args:
        if name not in known.split():
            takes = f"write one of {', '.join(known.split())}" if known else "leave it out"
            raise bad_parameter(f'"{name}" is not a parameter here; {takes}')


def one_of(name: str, choices: tuple[str, ...]) -> str:
    """That parameter, the first choice when it is absent; raises ApiError."""
    value = request.args.get(name) or choices[0]
    if value not in choices:
        raise bad_parameter(f'{name} "{value}" is not known; write {", ".join(choices[:-1])} or {choices[-1]}')
    return value


def whole_number(name: str, default: int | None, least: int, most: int) -> int | None:
    """That parameter as a number from `least` to `most`; raises ApiError."""
    text = request.args.get(name)
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 12 and least <= int(text) <= most):
        raise bad_parameter(f'{name} "{text}" is not a whole number from {least} to {most}')
    return int(text)


def or_not_found(find: Callable[[], Found]) -> Found:
    """What `find` finds, or the answer 404 that names what is missing."""
    try:
        return find()
    except NotFound as error:
        hint = "GET /api/v1/sources and /api/v1/sensors list what there is."
        raise ApiError(404, "not_found", f"{error}.", hint) from None


def bad_parameter(message: str) -> ApiError:
    return ApiError(400, "bad_parameter", f"{message}.")
