"""What every command of ours has: the app around it, who did it, and one plain line where the database fails it."""

import functools
import logging
from collections.abc import Callable
from typing import Any, TypeVar

import click
import sqlalchemy as sa
from flask.cli import with_appcontext

from daybook import audit

log = logging.getLogger(__name__)
Command = TypeVar("Command", bound=Callable[..., Any])


def with_database(command: Command) -> Command:
    """Runs the command within the app, as the operator; says in one line when the database is away or has no tables."""

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> Any:
        try:
            with audit.acting(audit.operator()):
                return command(*arguments, **options)
        except (sa.exc.OperationalError, sa.exc.ProgrammingError) as error:
            # Not the error's own text: it carries the statement and its values.
            log.debug("the database refused", exc_info=True)
            text = str(error.orig)
            if "no such table" in text or "does not exist" in text:
                raise click.ClickException(
                    "The database has no tables yet, or old ones; run `flask db upgrade`."
                ) from None
            raise click.ClickException(f"The database cannot be used: {text.strip().splitlines()[0]}") from None

    return with_appcontext(run)  # type: ignore[return-value]
