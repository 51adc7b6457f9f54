"""One writer at a time in a source, so that nothing is a duplicate of a reading that is taken back later."""

import time
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from daybook import sql
from daybook.models import Source
from daybook.sources import find_or_make_source


class SourceBusy(RuntimeError):
    """Somebody else is writing to the source; it can be tried again."""


def take_source(
    engine: Engine, locks: sql.Locks, name: str, waited: Callable[[float], None], also: int | None = None
) -> int:
    """The id of the source with that name, made if it is new and locked for whoever holds `locks`; the source with the
    id `also` is locked with it.

    While another holds it, `waited(seconds so far)` is called every tenth of a second; it may raise to give up.
    """
    while True:
        with engine.begin() as connection:
            source_id = find_or_make_source(connection, name)
        # In order, so that of two who want the same two sources neither waits for what the other has.
        for wanted in sorted({source_id, source_id if also is None else also}):
            if not locks.holds("source", wanted):
                lock_source(locks, wanted, waited)
        # Whoever had it before may have removed it, as the last trace of an upload that was taken back.
        with sql.only_reading(), engine.connect() as connection:
            if connection.scalar(sa.select(Source.id).where(Source.id == source_id)) is not None:
                return source_id


def lock_source(locks: sql.Locks, source_id: int, waited: Callable[[float], None]) -> None:
    """Locks the source; see take_source for `waited`."""
    start = time.monotonic()
    while not locks.try_lock("source", source_id):
        waited(time.monotonic() - start)
        time.sleep(0.1)


def give_up_after(seconds: float, message: str) -> Callable[[float], None]:
    """A `waited` that raises SourceBusy when it has taken that long."""

    def waited(so_far: float) -> None:
        if so_far >= seconds:
            raise SourceBusy(message)

    return waited
