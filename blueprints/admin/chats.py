"""Writing as the bot: to one person, and to everybody who is allowed."""

import secrets

from flask import flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from blueprints.admin.pages import bp, find_key, find_table, page, row_or_404, row_url, settings, wants_fragment
from blueprints.admin.panels import conversation_values
from blueprints.admin.rows import row_page
from blueprints.guard import role_required
from daybook import outbox, sql
from daybook.admin import conversations, jobs
from daybook.admin.described import Refused, Work
from daybook.extensions import db

USERS = "users"


@bp.get("/users/<key>/conversation")
@role_required("admin")
def conversation(key: str) -> ResponseReturnValue:
    """The conversation with a person: for htmx, which looks again while something is on its way."""
    table = find_table(USERS)
    user_id = find_key(table, key)
    row = row_or_404(table, user_id)
    if not wants_fragment():
        return redirect(row_url(table, user_id))
    with sql.only_reading(), db.engine.connect() as connection:
        values = conversation_values(connection, int(user_id))
    return page("admin/talk.html", row=row, key=user_id, **values)


@bp.post("/users/<key>/answer")
@role_required("admin")
def answer(key: str) -> ResponseReturnValue:
    """Queues a message to this person. What cannot be sent stays in the box."""
    table = find_table(USERS)
    user_id = find_key(table, key)
    row = row_or_404(table, user_id)
    text = request.form.get("text", "")
    complaints: dict[str, list[str]] = {}
    sent: int | None = None
    try:
        with db.engine.begin() as connection:
            work = Work(db.engine, settings(), current_user.id, connection)
            sent = conversations.answer(work, int(user_id), str(row["title"]), text)
        outbox.wake(db.engine, settings())
    except Refused as error:
        complaints = error.complaints
    status = 422 if complaints else 200
    if wants_fragment():
        with sql.only_reading(), db.engine.connect() as connection:
            values = conversation_values(connection, int(user_id))
        values |= {"complaints": complaints, "answered": True, "sent": sent} | ({} if complaints else {"text": ""})
        return page("admin/conversation.html", status, row=row, key=user_id, **values)
    if complaints:
        return row_page(table, user_id, complaints=complaints, status=422)
    return redirect(row_url(table, user_id) + "#conversation", 303)


@bp.get("/broadcast")
@role_required("admin")
def broadcast() -> ResponseReturnValue:
    return broadcast_page("")


@bp.post("/broadcast")
@role_required("admin")
def send_broadcast() -> ResponseReturnValue:
    """Shows what would be sent and to how many; once that is confirmed, sends it in the background."""
    typed = request.form.get("text", "")
    try:
        text = conversations.checked(typed)
    except Refused as error:
        return broadcast_page(typed, error.complaints, 422)
    if "change" in request.form:
        return broadcast_page(typed)
    if "confirmed" not in request.form:
        return broadcast_page(text, preview=True)
    once, shown = request.form.get("once", "")[:64], request.form.get("mark", "")
    try:
        with db.engine.begin() as connection:
            job_id, is_new = conversations.broadcast(connection, current_user.id, text, once, shown)
    except conversations.OthersByNow:
        return broadcast_page(text, status=409, preview=True)
    if is_new:
        jobs.begin(db.engine, settings(), job_id)
    flash(
        *("The message is on its way.", "success")
        if is_new
        else ("It was sent already; this is how far it is.", "info")
    )
    return redirect(url_for("admin.job", job_id=job_id), 303)


def broadcast_page(
    text: str, complaints: dict[str, list[str]] | None = None, status: int = 200, preview: bool = False
) -> ResponseReturnValue:
    with sql.only_reading(), db.engine.connect() as connection:
        audience, allowed = conversations.audience(connection), conversations.allowed(connection)
        deaf = conversations.deaf(connection) if preview else 0
    return page(
        "admin/broadcast.html",
        status,
        text=text,
        complaints=complaints or {},
        preview=preview,
        once=secrets.token_urlsafe(12),
        reached=len(audience.user_ids),
        mark=audience.mark,
        others_by_now=status == 409,
        allowed=allowed,
        deaf=deaf,
    )
