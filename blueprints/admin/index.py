"""The first page of the admin area: what there is, what waits for somebody, what went wrong, what was changed."""

from typing import Any

from flask.typing import ResponseReturnValue

from blueprints.admin.pages import bp, page, settings, wants_fragment
from blueprints.guard import role_required
from daybook import sql, webhook_state
from daybook.admin import histories, overview
from daybook.admin.listing import count_all
from daybook.admin.tables import TABLES
from daybook.extensions import db


@bp.get("/")
@role_required("admin")
def index() -> ResponseReturnValue:
    with sql.only_reading(), db.engine.connect() as connection:
        values: dict[str, Any] = {
            "counts": {table.slug: count_all(connection, table) for table in TABLES},
            "pending": overview.pending_users(connection),
            "failed_incoming": overview.failed_incoming(connection),
            "failed_uploads": overview.failed_uploads(connection),
            "failed_updates": overview.failed_updates(connection),
            "outbox": overview.outbox(connection),
            "jobs": overview.jobs(connection),
            "changes": histories.latest(connection, 10),
        }
        values["last_words"] = overview.last_words(connection, [user.user_id for user in values["pending"].rows])
    return page("admin/index.html", missing=webhook_state.missing(settings()), most=overview.MOST, **values)


@bp.get("/webhook")
@role_required("admin")
def webhook() -> ResponseReturnValue:
    """What Telegram says of the webhook. Asked for by itself, because Telegram may take its time."""
    template = "admin/webhook_part.html" if wants_fragment() else "admin/webhook.html"
    return page(template, state=webhook_state.ask(settings()), missing=webhook_state.missing(settings()))
