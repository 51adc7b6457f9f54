"""One upload, from its first byte to its final state. The upload page, the API and `flask import` all come here.

bytes -> raw copy on disk -> gunzip -> blocks of whole lines -> series -> batches -> store, one piece at a time; nothing
holds the whole file. While it runs, the upload's row says how far it is; its readings are tagged with its id and count
for nobody until the status is done.
"""

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import cast

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from daybook import audit, sql
from daybook.config import Settings
from daybook.import_run import ImportRun
from daybook.models import FileType, Upload, utc_now
from daybook.upload_options import Options, Sender, clean_filename

log = logging.getLogger(__name__)


def announce(
    engine: Engine,
    filename: str,
    options: Options,
    sender: Sender,
    bytes_total: int | None = None,
    replaces: int | None = None,
) -> int:
    """Makes the row of an upload whose bytes are still to come (status waiting) and returns its id.

    replaces: the id of an upload that is done, and is taken back in the moment in which this one is done.
    """
    with engine.begin() as connection:
        return cast(
            int,
            connection.execute(
                sa.insert(Upload).values(
                    filename=clean_filename(filename),
                    options=asdict(options),
                    bytes_total=bytes_total,
                    replaces_id=replaces,
                    file_type_id=sa.select(FileType.id).where(FileType.name == options.file_type).scalar_subquery(),
                    status="waiting",
                    **asdict(sender),
                )
            ).inserted_primary_key[0],  # type: ignore[index]
        )


def request_cancel(engine: Engine, upload_id: int, patience: float = 0.0) -> None:
    """Asks for the upload to be cancelled; waits up to `patience` seconds until the import has noticed.

    An upload that has ended already stays as it is.
    """
    with engine.begin() as connection:
        never_began = sa.update(Upload).where(Upload.id == upload_id, Upload.status == "waiting")
        ended = never_began.values(status="cancelled", error_code="cancelled", finished_at=utc_now())
        running = Upload.id == upload_id, Upload.status == "importing", Upload.cancel_requested.is_(False)
        asked = sa.update(Upload).where(*running).values(cancel_requested=True)
        # Noted here, where it is known who asks: the import that hears of it runs in the name of who sent the file.
        for statement, changes in (
            (ended, {"status": ["waiting", "cancelled"]}),
            (asked, {"cancel_requested": [False, True]}),
        ):
            filename = connection.scalar(statement.returning(Upload.filename))
            if filename is not None:
                audit.note(connection, "cancel", "upload", upload_id, filename, changes)
    until = time.monotonic() + patience
    while time.monotonic() < until:
        with sql.only_reading(), engine.connect() as connection:
            if connection.scalar(sa.select(Upload.status).where(Upload.id == upload_id)) != "importing":
                return
        time.sleep(0.1)


def import_stream(
    engine: Engine,
    settings: Settings,
    stream: Iterable[bytes],
    *,
    upload_id: int,
    bytes_total: int | None = None,
) -> None:
    """Imports the announced upload from the stream of its bytes. Returns when its row says how it ended.

    Whatever happens is written into the row, with none of its readings left unless the status is done; only a database
    that cannot be reached, or a killed process, leaves it `importing`, for `removal.recover` to clear.
    """
    with sql.Locks(engine) as locks:
        ImportRun(engine, settings, locks, upload_id, bytes_total).run(stream)


def import_in_background(
    engine: Engine, settings: Settings, stream: Iterable[bytes], *, upload_id: int, patience: float
) -> None:
    """Begins an import whose bytes are here already, and waits at most `patience` seconds for its end."""
    actor = audit.current()  # a thread starts without it

    def run() -> None:
        try:
            with audit.acting(actor):
                import_stream(engine, settings, stream, upload_id=upload_id)
        except Exception:
            log.exception("upload %s stopped; recovery clears it", upload_id)

    thread = threading.Thread(target=run, name=f"import-{upload_id}", daemon=True)
    thread.start()
    thread.join(patience)
