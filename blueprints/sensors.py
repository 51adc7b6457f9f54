"""The sensors of the book: a list, and for each one a chart, a table and a CSV file of a chosen range."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, abort, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from blueprints.template_filters import sentence_case
from daybook import charts, exports, sensor_settings
from daybook.exports import Export
from daybook.extensions import db
from daybook.readings import NotFound, Reader, SensorRow, open_reader
from daybook.sql import moment
from daybook.times import DAY, LATEST, SECOND, TimeError, iso, read_typed_range

bp = Blueprint("sensors", __name__, url_prefix="/sensors")

PAGE = 50
POINTS = 1000  # of the table, and of a chart whose width nobody tells: the width of a usual one
POINTS_MAX = 4000


@dataclass(frozen=True)
class Shown:
    """The range that a page shows. `arguments` is what its address says of it."""

    first: int
    last: int
    name: str
    arguments: dict[str, str]
    problem: str = ""


@bp.get("")
def index() -> ResponseReturnValue:
    """Sensors by source and name, a page at a time, of one source or with a search."""
    source, search = request.args.get("source") or None, request.args.get("q", "").strip()
    after = request.args.get("next", type=int)
    with open_reader(db.engine) as reader:
        sources = reader.sources()
        try:
            page = reader.sensors(source, search, after, PAGE)
        except NotFound as error:
            abort(404, sentence_case(str(error)))
        last = reader.latest([sensor.id for sensor in page.sensors])
    times = {key: moment(reading.time) for key, reading in last.items()}
    return render_template(
        "sensors/index.html",
        sources=sources,
        page=page,
        last=last,
        times=times,
        exact=exact,
        names_unit=names_unit,
        source=source,
        search=search,
    )


@bp.get("/<int:sensor_id>")
def show(sensor_id: int) -> ResponseReturnValue:
    """One sensor: the whole page, or for htmx the part that changes with the range."""
    going_back = "HX-History-Restore-Request" in request.headers
    fragment = "HX-Request" in request.headers and not going_back
    page, problem = sensor_page(sensor_id, "sensors/series.html" if fragment else "sensors/show.html")
    # Going back to a wrong address shows it as it was; htmx takes an error for no page at all.
    response = Response(page, status=400 if problem and not going_back else 200)
    if problem:
        response.headers["HX-Push-Url"] = "false"
    response.headers["Vary"] = "HX-Request, Cookie"
    return response


@bp.post("/<int:sensor_id>")
def change(sensor_id: int) -> ResponseReturnValue:
    """Keeps what an editor says of the sensor; the range that was shown is shown again."""
    typed = {name: request.form.get(name, "") for name in ("label", "unit", "kind")}
    try:
        with db.engine.begin() as connection:
            sensor_settings.change(connection, min(sensor_id, 2**31 - 1), sensor_settings.checked(**typed))
    except sensor_settings.BadSettings as error:
        page, _ = sensor_page(sensor_id, "sensors/show.html", settings=typed, complaints=error.complaints)
        return page, 422
    except LookupError:
        abort(404, f"There is no sensor {sensor_id}.")
    flash("The settings are saved.", "success")
    shown = {name: request.args[name] for name in ("range", "from", "to") if name in request.args}
    return redirect(url_for("sensors.show", sensor_id=sensor_id, **shown), 303)  # type: ignore[arg-type]


@bp.get("/<int:sensor_id>/series.json")
def series(sensor_id: int) -> ResponseReturnValue:
    """The points of the chart; `points` says how many fit its width."""
    with open_reader(db.engine) as reader:
        sensor = find_sensor(reader, sensor_id)
        _, shown = find_range(reader, sensor)
        points = reader.points(sensor, shown.first, shown.last, wanted_points())
    width = width_words(points.bucket)
    about = {"unit": sensor.unit, "kind": sensor.kind, "width": width, "seconds": points.width / 1_000_000}
    return jsonify(about | charts.chart_data(points))


@bp.get("/<int:sensor_id>/readings.csv")
def readings_csv(sensor_id: int) -> ResponseReturnValue:
    """Every reading of the range as a CSV file, streamed."""
    with open_reader(db.engine) as reader:
        sensor = find_sensor(reader, sensor_id)
        span, shown = find_range(reader, sensor)
    if shown.problem:
        abort(400, shown.problem)
    export = Export([sensor], shown.first, shown.last, for_people=True)
    response = Response(exports.stream(db.engine, export), content_type="text/csv; charset=utf-8")
    response.headers.set("Content-Disposition", "attachment", filename=file_name(sensor, shown, span))
    return response


@bp.get("/source.csv")
def source_csv() -> ResponseReturnValue:
    """Every reading of one source as a CSV file, streamed: one row per time, one column per sensor."""
    source = request.args.get("source", "")
    with open_reader(db.engine) as reader:
        try:
            sensors = reader.chosen(source, [])
        except NotFound as error:
            abort(404, sentence_case(str(error)))
    export = Export(sensors, wide=True, for_people=True)
    response = Response(exports.stream(db.engine, export), content_type="text/csv; charset=utf-8")
    response.headers.set("Content-Disposition", "attachment", filename=plain_name([source], "source"))
    return response


# --- reading the request


def find_sensor(reader: Reader, sensor_id: int) -> SensorRow:
    """The sensor, or the answer 404."""
    try:
        return reader.sensor(min(sensor_id, 2**31 - 1))
    except NotFound:
        abort(404, f"There is no sensor {sensor_id}.")


def find_range(reader: Reader, sensor: SensorRow) -> tuple[tuple[int, int] | None, Shown]:
    """The sensor's span, and the range that the address names; everything where it names none, or none that can be."""
    span = reader.span(sensor.id)
    whole = span or (0, 0)
    start, end = request.args.get("from", "").strip(), request.args.get("to", "").strip()
    if start or end:
        arguments = {name: text for name, text in (("from", start), ("to", end)) if text}
        try:
            return span, Shown(*read_typed_range(start, end), "", arguments)
        except TimeError as error:
            return span, Shown(*whole, "", arguments, sentence_case(str(error)))
    name = request.args.get("range", "")
    arguments = {"range": name} if name in charts.RANGES else {}
    return span, Shown(*charts.last_of(whole, name), name if name in charts.RANGES else "all", arguments)


def wanted_points() -> int:
    """How many points fit the chart."""
    return min(max(request.args.get("points", POINTS, type=int), 2), POINTS_MAX)


# --- making the answer


def sensor_page(
    sensor_id: int,
    template: str,
    settings: dict[str, str] | None = None,
    complaints: dict[str, list[str]] | None = None,
) -> tuple[str, str]:
    """The page of a sensor in the range that the address names, and what is wrong with that range. `settings`: what
    was typed where it could not be kept."""
    with open_reader(db.engine) as reader:
        sensor = find_sensor(reader, sensor_id)
        span, shown = find_range(reader, sensor)
        points = reader.points(sensor, shown.first, shown.last, POINTS)
    page = render_template(
        template,
        **table_values(sensor, points),
        span=span,
        shown=shown,
        summary=charts.summary(points),
        ranges=charts.RANGES,
        form=form_values(shown, span),
        words=range_words(within(shown, span)),
        words_of_span=range_words(span or (0, 0)),
        settings=settings or {"label": sensor.label, "unit": sensor.unit, "kind": sensor.kind},
        complaints=complaints or {},
    )
    return page, shown.problem


def table_values(sensor: SensorRow, points: charts.Points) -> dict[str, Any]:
    """What sensors/table.html needs."""
    decimals = charts.decimals_for(points)

    def rounded(value: float | None) -> str:
        return charts.grouped(charts.rounded(value, decimals))

    columns: dict[str, list[str]]
    if not points.bucket:
        columns = {"Value": [exact(value) for value in points.mean.tolist()]}
    elif sensor.kind == "amount":
        columns = {"Sum": [rounded(value) for value in points.sum.tolist()]}
    else:
        columns = {
            "Mean": [rounded(value) for value in points.mean.tolist()],
            "Min": [exact(value) for value in points.least.tolist()],
            "Max": [exact(value) for value in points.most.tolist()],
        }
    if points.bucket:
        columns["Readings"] = [charts.grouped(str(count)) for count in points.count.tolist()]
    rows = list(zip(charts.time_texts(points.times, points.bucket), *columns.values(), strict=True))
    return {
        "sensor": sensor,
        "names": list(columns),
        "rows": rows,
        "bucket": points.bucket,
        "width": width_words(points.bucket),
        "exact": exact,
        "rounded": rounded,
        "names_unit": names_unit,
    }


def width_words(bucket: str) -> str:
    """A width as people say it: "10 minutes" for 10min."""
    match = re.fullmatch(r"(\d+)([a-z]+)", bucket)
    if not match:
        return ""
    units = {"s": "second", "min": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}
    return units[match[2]] if match[1] == "1" else f"{match[1]} {units[match[2]]}s"


def within(shown: Shown, span: tuple[int, int] | None) -> tuple[int, int]:
    """The shown range without what lies outside the sensor's span."""
    first, last = span or (0, 0)
    return max(shown.first, first), min(shown.last, last)


def form_values(shown: Shown, span: tuple[int, int] | None) -> dict[str, str]:
    """What the form says: as typed, or the shown range in whole minutes around it."""
    if "range" not in shown.arguments and shown.arguments:
        return shown.arguments
    first, last = within(shown, span)
    minute = 60 * SECOND
    until = min(last // minute * minute + minute, LATEST)
    # Text in ISO order, and no date field: those show 03/04 in the order of the browser's language.
    return {"from": iso(first // minute * minute)[:16].replace("T", " "), "to": iso(until)[:16].replace("T", " ")}


def range_words(span: tuple[int, int]) -> str:
    """The range in words, to the minute."""
    first, last = (moment(time).strftime("%Y-%m-%d %H:%M") for time in span)
    return f"at {first} UTC" if first == last else f"from {first} to {last} UTC"


def file_name(sensor: SensorRow, shown: Shown, span: tuple[int, int] | None) -> str:
    """A name that every file system takes: source, sensor and the days it covers."""
    parts = [sensor.source, sensor.name]
    if shown.arguments and span:
        first, last = within(shown, span)
        days = [iso(first)[:10], iso(last)[:10]]
        parts += days[:1] if last - first < DAY and days[0] == days[1] else days
    return plain_name(parts, f"sensor-{sensor.id}")


def plain_name(parts: list[str], otherwise: str) -> str:
    """The parts as a file's name in plain letters; `otherwise` where none is left of them."""
    plain = unicodedata.normalize("NFKD", "_".join(parts)).encode("ascii", "ignore").decode()
    return (re.sub(r"[^A-Za-z0-9_.-]+", "-", plain).strip("-_.")[:120] or otherwise) + ".csv"


def names_unit(text: str, unit: str) -> bool:
    """Whether the name says the unit already, as in "wind (m/s)"."""
    return text.rstrip().endswith((f"({unit})", f"[{unit}]"))


def exact(value: float) -> str:
    """The number as it was read, with spaces between its thousands."""
    return charts.grouped(charts.exact(value))


@bp.app_template_global()
def sensor_url(endpoint: str, sensor: SensorRow, arguments: dict[str, str]) -> str:
    """The address of something of this sensor for the same range."""
    return url_for(f"sensors.{endpoint}", sensor_id=sensor.id, **arguments)  # type: ignore[arg-type]
