"""`flask import`, `recover`, `worker` and `check`: files in from the command line, and the book kept in order."""

import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import click
import sqlalchemy as sa
from flask import Flask, current_app

from daybook import chat_files, file_types, imports, layout_words, outbox, removal, sql
from daybook.admin import jobs
from daybook.command_line import with_database
from daybook.extensions import db
from daybook.formats.layout import FormatError
from daybook.models import UNFINISHED, Reading, Sensor, Upload
from daybook.upload_options import ImportRefused, Options, Sender, sentence, with_layout
from daybook.upload_report import iso_time, read_report

_PIECE = 256 * 1024


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--source", default="", help="Where the readings come from; the file's own name when left out.")
@click.option("--file-type", default="", help="The name of a file type, saved or ready-made.")
@click.option("--timezone", default="", help="For times without an offset, such as Europe/Dublin.")
@click.option("--date-order", type=click.Choice(["dmy", "mdy", "ymd"]), help="What 09/01/2016 means.")
@click.option("--on-bad-row", type=click.Choice(["skip", "fail"]), default="skip", show_default=True)
@click.option(
    "--on-duplicate",
    type=click.Choice(["skip", "replace"]),
    default="skip",
    show_default=True,
    help="What a reading does whose sensor and time are in the book.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the whole account as JSON.")
@with_database
def import_file(
    file: Path,
    source: str,
    file_type: str,
    timezone: str,
    date_order: str | None,
    on_bad_row: str,
    on_duplicate: str,
    as_json: bool,
) -> None:
    """Import FILE, as the upload page would."""
    options = Options(
        source=source.strip(),
        timezone=timezone.strip(),
        date_order=date_order or "",
        on_bad_row="fail" if on_bad_row == "fail" else "skip",
        on_duplicate="replace" if on_duplicate == "replace" else "skip",
    )
    try:
        options = with_layout(options, file_type.strip())
        options.check()
    except (FormatError, ImportRefused) as error:
        raise click.ClickException(sentence(error)) from None
    size = file.stat().st_size
    upload_id = imports.announce(db.engine, file.name, options, Sender(), size)
    imports.import_stream(
        db.engine, current_app.config["DAYBOOK"], _pieces(file), upload_id=upload_id, bytes_total=size
    )
    report = read_report(db.engine, upload_id)
    assert report is not None
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=1))
    row = report.upload
    if row.status != "done":
        raise click.ClickException(f"upload {row.id} {row.status}: {row.error}")
    if as_json:
        return
    sensors = "1 sensor" if len(report.sensors) == 1 else f"{len(report.sensors)} sensors"
    replaced = f"{row.readings_replaced:,} replaced, " if row.readings_replaced else ""
    click.echo(
        f"Upload {row.id} into {report.source}: {row.readings_added:,} readings of {sensors} added, {replaced}"
        f"{row.readings_duplicate:,} were there already."
    )
    click.echo(
        f"{row.lines_total:,} lines = {row.lines_preamble:,} above the data + {row.lines_blank:,} blank + "
        f"{row.lines_read:,} read + {row.lines_rejected:,} rejected; {row.cells_missing:,} cells missing, "
        f"{row.cells_not_numeric:,} not a number."
    )
    if row.first_time is not None:
        order = layout_words.ORDER_WORDS.get(report.date_order, "")
        zone = f"{report.layout.timezone}, {report.zone_origin}" if report.layout else "UTC"
        dates = f", dates {order}" if order else ""
        click.echo(f"{iso_time(row.first_time)} to {iso_time(row.last_time)}; read as {zone}{dates}.")
    for issue in report.issues:
        column = f', column "{issue.column}"' if issue.column else ""
        click.echo(f'line {issue.line}{column}: "{issue.value}" {issue.reason}', err=True)


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while piece := stream.read(_PIECE):
            yield piece


@click.command("file-types")
@with_database
def list_file_types() -> None:
    """List the names of all file types: saved ones, then ready-made ones."""
    after: str | None = None
    while True:
        page = file_types.list_types(after)
        for named in page.types:
            click.echo(f"{named.name}  (ready-made)" if named.ready_made else named.name)
        if page.next is None:
            return
        after = page.next


@click.command("recover")
@with_database
def recover() -> None:
    """Remove what interrupted imports left; safe at any time."""
    recovered = removal.recover(db.engine, current_app.config["DAYBOOK"], patience=5.0)
    click.echo(f"{len(recovered)} interrupted uploads cleared." if recovered else "Nothing was left over.")


@click.command("worker")
@with_database
def worker() -> None:
    """Look after the book in the background until told to stop (Ctrl-C)."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    engine, settings = db.engine, current_app.config["DAYBOOK"]
    removal.recover(engine, settings, patience=3.0)
    click.echo("Working. Stop with Ctrl-C.")
    chat_files.resume(engine, settings)
    jobs.resume(engine, settings)
    outbox.wake(engine, settings)
    removal.keep_recovering(engine, settings, stop.wait)
    outbox.stop(engine)


@click.command("check")
@with_database
def check() -> None:
    """Count the book through: uploads left over, and sensors whose number of readings is not what is stored."""
    wrong = 0
    with sql.only_reading(), db.engine.connect() as connection:
        left = connection.scalars(sa.select(Upload.id).where(Upload.status.in_(UNFINISHED))).all()
        if left:
            click.echo(
                f"Uploads under way or left over: {', '.join(map(str, left))}. `flask recover` clears the latter."
            )
        finished = Reading.upload_id.is_(None) | Reading.upload_id.not_in(left)
        stored = (
            sa.select(Reading.sensor_id, sa.func.count().label("count")).where(finished).group_by(Reading.sensor_id)
        )
        counted = stored.subquery()
        rows = connection.execute(
            sa.select(Sensor.id, Sensor.name, Sensor.reading_count, sa.func.coalesce(counted.c.count, 0))
            .outerjoin(counted, counted.c.sensor_id == Sensor.id)
            .where(Sensor.reading_count != sa.func.coalesce(counted.c.count, 0))
            .order_by(Sensor.id)
        )
        for sensor_id, name, kept, found in rows:
            wrong += 1
            click.echo(f'sensor {sensor_id} "{name}": {kept:,} readings noted, {found:,} stored')
        strays = connection.scalar(
            sa.select(sa.func.count()).select_from(
                stored.where(Reading.sensor_id.not_in(sa.select(Sensor.id))).subquery()
            )
        )
    if strays:
        click.echo(f"{strays} sensor ids have readings and no sensor")
    if wrong or strays:
        raise click.exceptions.Exit(1)
    click.echo("All is well.")


def register(app: Flask) -> None:
    """Adds these commands to the app."""
    for command in (import_file, list_file_types, recover, worker, check):
        app.cli.add_command(command)
