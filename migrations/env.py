"""Runs the migrations on the app's own engine; `flask db` brings the app context."""

from alembic import context
from flask import current_app

database = current_app.extensions["migrate"].db


def is_compared(_object: object, name: str | None, kind: str, _reflected: bool, _compare_to: object) -> bool:
    """Whether `flask db check` looks at it. Indexes of parts of words are not on every server, and in no model."""
    return not (kind == "index" and name is not None and name.endswith("_trgm"))


def run() -> None:
    if context.is_offline_mode():
        raise SystemExit("Daybook's migrations look at the server while they run; run them without --sql.")
    with database.engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=database.metadata,
            compare_type=True,
            include_object=is_compared,
            render_as_batch=connection.dialect.name == "sqlite",
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()


run()
