"""How gunicorn serves Daybook: a few processes, many threads, because an upload holds its thread while it streams."""

import gc
import os
import socket
import struct
import threading

from sqlalchemy.exc import SQLAlchemyError

from daybook import chat_files, outbox, rehearsal, removal
from daybook.admin import jobs
from daybook.extensions import db

bind = f"127.0.0.1:{os.environ.get('PORT') or 8000}"
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY") or 2)
threads = 16
preload_app = True  # loaded once, then forked: a process is there at once, also in place of one that was killed
timeout = 60  # of a process that does not answer; a request may take longer
graceful_timeout = 20
keepalive = 5
control_socket_disable = True
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 - heartbeats, kept off slow disks


def when_ready(server):  # type: ignore[no-untyped-def]
    """Half a request, or an answer that nobody fetches, must not hold a thread for ever.

    gunicorn's threads wait without a limit for the rest of a head or form, and for room to send. On Linux the
    connections that a socket accepts inherit these limits, in seconds, on each wait. Files that stream in have a
    limit of their own (blueprints/streamed_body.py).
    """
    for listener in server.LISTENERS:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 10, 0))
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 30, 0))
    app = server.app.wsgi()
    with app.app_context():
        rehearsal.rehearse(db.engine, app.config["DAYBOOK"])
    # All that is loaded stays: no process walks through it in search of garbage, which takes a tenth of a second in
    # which nobody is answered, and writes to memory that the processes share.
    gc.collect()
    gc.freeze()


def post_fork(server, worker):  # type: ignore[no-untyped-def]
    """No connection of the process that loaded the app may be used by two."""
    app = server.app.wsgi()
    with app.app_context():
        db.engine.dispose(close=False)


def post_worker_init(worker):  # type: ignore[no-untyped-def]
    """Clears what a killed process left before the first request is served, and looks again now and then."""
    app = worker.wsgi
    with app.app_context():
        engine, settings = db.engine, app.config["DAYBOOK"]
    try:
        for upload_id in removal.recover(engine, settings, patience=3.0):
            worker.log.warning("upload %s was interrupted; what it had stored has been removed", upload_id)
    except SQLAlchemyError as error:
        worker.log.error("The database cannot be used yet: %s. It is tried again.", error)
    rehearsal.open_connections(engine, settings)
    stop = threading.Event()
    threading.Thread(
        target=removal.keep_recovering, args=(engine, settings, stop.wait), name="recovery", daemon=True
    ).start()
    chat_files.resume(engine, settings)
    jobs.resume(engine, settings)
    outbox.wake(engine, settings)  # answers that a stopped process has left
