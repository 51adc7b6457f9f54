"""For whatever watches over the process: does it live, and can it work?"""

from functools import cache

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Blueprint, current_app, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from daybook.extensions import db

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def healthz() -> ResponseReturnValue:
    """The process answers. Asks nothing else, so that a database that is away gets nobody restarted."""
    return "ok\n", {"Content-Type": "text/plain; charset=utf-8"}


@bp.get("/readyz")
def readyz() -> ResponseReturnValue:
    """200 when the database answers and has every migration of this version, else 503 with what is the matter."""
    newest = newest_migration(current_app.extensions["migrate"].directory)
    try:
        with db.engine.connect() as connection:
            present = MigrationContext.configure(connection).get_current_revision()
    except SQLAlchemyError:
        return jsonify(database="away", migrations="unknown"), 503
    if present != newest:
        return jsonify(database="ok", migrations=f"at {present}, wanted {newest}: run `flask db upgrade`"), 503
    return jsonify(database="ok", migrations="ok")


@cache
def newest_migration(directory: str) -> str | None:
    """The revision that this version of the program was written for."""
    return ScriptDirectory(directory).get_current_head()
