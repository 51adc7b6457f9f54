"""Actions on chosen rows, and the jobs that the long ones become."""

from typing import Any

import sqlalchemy as sa
from flask import abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from blueprints.admin.lists import csv_response
from blueprints.admin.pages import (
    admin_url,
    back_text,
    bp,
    find_key,
    find_table,
    list_url,
    page,
    plain_arguments,
    refuse_guessing,
    row_or_404,
    row_url,
    say,
    settings,
    timezone,
    wants_fragment,
    zone,
)
from blueprints.guard import role_required
from daybook import audit, sql
from daybook.admin import asked as asking
from daybook.admin import csv_files, deleting, histories, jobs, listing
from daybook.admin.bulk import DELETE, MOST_CHOSEN, Chosen, Seen, SeenOtherwise, run_later, run_now, run_on_one
from daybook.admin.described import Action, Key, Refused, Table
from daybook.admin.tables import BY_SLUG
from daybook.extensions import db
from daybook.models import Account, Job


@bp.post("/<slug>/<row_key:key>/do/<name>")
@role_required("admin")
def act_on_one(slug: str, key: str, name: str) -> ResponseReturnValue:
    """An action that a row's own page offers; back to that page, or to where the form says. Where somebody else was
    faster, it says who, and asks."""
    table = find_table(slug)
    number = find_key(table, key)
    row = row_or_404(table, number)
    action = find_action(table, name)
    back = url_for("admin.index") if request.form.get("to") == "index" else row_url(table, number)
    try:
        seen = request.form.get("saw")
        changed = run_on_one(db.engine, settings(), table, action, number, current_user.id, seen)
    except Refused as error:
        flash(str(error), "danger")
    except SeenOtherwise:
        return seen_otherwise(table, number, action, back)
    else:
        words, category = (action.done_one, "success") if changed else (action.none_one, "warning")
        say(words, category, row["title"], admin_url(slug, number))
    # The browser goes to what is said, and the keyboard on from there.
    return redirect(f"{back}#said", 303)


def seen_otherwise(table: Table, key: Key, action: Action, back: str) -> ResponseReturnValue:
    """Somebody else has done something to the row since its page was opened: says who and when. Asks, where the action
    would undo that."""
    row = row_or_404(table, key)
    with sql.only_reading(), db.engine.connect() as connection:
        entries = histories.of(connection, table.object_type, key, 20)
    last = next((entry for entry in entries if action.sees in entry.changes), None)
    if not action.fits(row):
        who = f"{last.actor} {audit.DEEDS.get(last.action, last.action)}" if last else "Somebody else did that to"
        say(f"{who} {{title}} before you.", "info", row["title"], admin_url(table.slug, key))
        return redirect(f"{back}#said", 303)
    return page("admin/seen_otherwise.html", 409, table=table, row=row, key=key, action=action, last=last, back=back)


@bp.get("/<slug>/<row_key:key>/do/<name>")
@bp.get("/<slug>/<row_key:key>/answer")
@bp.get("/<slug>/<row_key:key>/password")
@role_required("admin")
def asked_of_one(slug: str, key: str, name: str = "") -> ResponseReturnValue:
    """The address of a question, or of a form that was refused, opened again: the row that it was about."""
    table = find_table(slug)
    return redirect(row_url(table, find_key(table, key)))


@bp.get("/<slug>/act")
@role_required("admin")
def asked_of_many(slug: str) -> ResponseReturnValue:
    """The address of a question about many rows, opened again: which were ticked is forgotten, the list is not."""
    return redirect(list_url(find_table(slug), request.args))


@bp.post("/<slug>/act")
@role_required("admin")
def act(slug: str) -> ResponseReturnValue:
    """An action on the rows that were ticked, or on all that the list's address asks for."""
    table = find_table(slug)
    chosen = read_chosen(table)
    name = request.form.get("action", "")
    if chosen is None or not name:
        flash("Tick some rows and choose an action first." if chosen is None else "Choose an action first.", "warning")
        return redirect(list_url(table, request.args), 303)
    if name == "export":
        asked = asking.read(table, request.args, zone())
        return csv_response(csv_files.stream(db.engine, table, asked, zone(), chosen.keys), slug)
    if name == DELETE:
        return delete_chosen(table, chosen)
    action = find_action(table, name)
    if action.asks or chosen.keys is None:
        seen = chosen.seen(db.engine, request.form.get("mark", ""))
        if not is_confirmed(seen):
            return confirm_page(table, chosen, action)
        chosen = seen.chosen
    return go(table, chosen, action)


def go(table: Table, chosen: Chosen, action: Action) -> ResponseReturnValue:
    """Does it at once where there are few rows, and else in the background."""
    keys = chosen.few(db.engine)
    if keys is None:
        title = f"{action.label}: {table.many.lower()}"
        job_id = run_later(db.engine, settings(), chosen, action.name, title, current_user.id)
        return redirect(url_for("admin.job", job_id=job_id), 303)
    try:
        changed = run_now(db.engine, settings(), table, action, keys, current_user.id)
    except Refused as error:
        flash(str(error), "danger")
    else:
        flash(done_words(action, changed), "success" if changed else "warning")
    return redirect(list_url(table, request.args), 303)


def delete_chosen(table: Table, chosen: Chosen) -> ResponseReturnValue:
    """Asks, and then deletes exactly what was shown; many in the background."""
    if table.deletion is None:
        abort(404, f"Nothing is deleted from {table.many.lower()}.")
    keys = chosen.few(db.engine)
    if keys is None:
        seen = chosen.seen(db.engine, request.form.get("mark", ""))
        if not is_confirmed(seen):
            return confirm_page(table, chosen, None)
        title = f"Delete {table.many.lower()}"
        job_id = run_later(db.engine, settings(), seen.chosen, DELETE, title, current_user.id)
        return redirect(url_for("admin.job", job_id=job_id), 303)
    with sql.snapshot(db.engine) as connection:
        plan = deleting.plan(connection, table, keys)
        in_background = plan.size > table.deletion.at_once and not plan.obstacles and "confirmed" in request.form
        marks = {str(key): deleting.plan(connection, table, [key]).mark for key in plan.keys} if in_background else {}
    problem = ""
    if "confirmed" in request.form and request.form.get("mark") != plan.mark:
        problem = "Something else would go now than this page has shown. Look again."
    elif "confirmed" in request.form:
        if in_background:
            chosen = Chosen(table, plan.keys, {}, timezone(), shown=marks)
            title = f"Delete {plan.count} {table.many.lower()}"
            job_id = run_later(db.engine, settings(), chosen, DELETE, title, current_user.id)
            return redirect(url_for("admin.job", job_id=job_id), 303)
        try:
            count = deleting.delete(db.engine, settings(), table, keys, current_user.id, plan.mark)
        except (deleting.CannotGo, Refused) as error:
            problem = str(error)
        except deleting.NotAsShown:
            problem = "Something else would go now than this page has shown. Look again."
        else:
            flash(f"{table.counted(count)} deleted.", "success")
            return redirect(list_url(table, request.args), 303)
    status = 409 if problem else 200
    return page(
        "admin/delete_many.html", status, table=table, plan=plan, chosen=chosen, problem=problem, **carried(table)
    )


def confirm_page(table: Table, chosen: Chosen, action: Action | None) -> ResponseReturnValue:
    """Asks, and says what would go along. Where other rows match by now than were agreed to, it asks again and says
    so."""
    seen = chosen.seen(db.engine)
    plan: deleting.Plan | None = None
    if action is None and len(seen.keys) <= listing.MOST_KEYS:
        with sql.snapshot(db.engine) as connection:
            plan = deleting.plan(connection, table, seen.keys)
    changed = "confirmed" in request.form
    values = {"action": action, "seen": seen, "plan": plan, "changed": changed, **carried(table)}
    return page("admin/confirm.html", 409 if changed else 200, table=table, **values)


def is_confirmed(seen: Seen) -> bool:
    """Whether somebody has agreed to exactly these rows."""
    return "confirmed" in request.form and request.form.get("mark") == seen.mark


def carried(table: Table) -> dict[str, Any]:
    """What a page that asks takes along to the request that is confirmed."""
    ticked, everything = request.form.getlist("key"), request.form.get("rows") == "all"
    return {"arguments": plain_arguments(table, request.args), "ticked": ticked, "all": everything}


def read_chosen(table: Table) -> Chosen | None:
    """The rows that were chosen; None where none were."""
    arguments = plain_arguments(table, request.args)
    if request.form.get("rows") == "all":
        refuse_guessing(table)
        return Chosen(table, None, arguments, timezone())
    keys = [table.read_key(text) for text in request.form.getlist("key")[:MOST_CHOSEN]]
    found = [key for key in keys if key is not None]
    return Chosen(table, found, arguments, timezone()) if found else None


def find_action(table: Table, name: str) -> Action:
    action = table.action(name)
    if action is None:
        abort(404, f"There is no action “{name}” for {table.many.lower()}.")
    return action


def done_words(action: Action, changed: int) -> str:
    return action.done.replace("{count}", f"{changed:,}") if changed else action.none


# --- jobs ---------------------------------------------------------------------------------------------------------


@bp.get("/jobs/<int:job_id>")
@role_required("admin")
def job(job_id: int) -> ResponseReturnValue:
    """How far a job is; for htmx only that."""
    with sql.only_reading(), db.engine.connect() as connection:
        query = sa.select(Job.__table__, Account.username).outerjoin(Account, Account.id == Job.account_id)
        found = connection.execute(query.where(Job.id == min(job_id, 2**31 - 1))).first()
    if found is None:
        abort(404, f"There is no job {job_id}.")
    table = BY_SLUG.get(found.parameters.get("table", ""))
    chosen_from = (table.many, list_url(table, found.parameters.get("arguments", {}))) if table else None
    template = "admin/job_part.html" if wants_fragment() else "admin/job.html"
    return page(template, job=found, chosen_from=chosen_from, open=found.status in jobs.OPEN, back=back_text())


@bp.post("/jobs/<int:job_id>/cancel")
@role_required("admin")
def cancel_job(job_id: int) -> ResponseReturnValue:
    """Ends the job after the rows that are being worked on."""
    with db.engine.begin() as connection:
        ended = jobs.cancel(connection, min(job_id, 2**31 - 1))
    flash("It ends after the rows that are being worked on." if ended else "It had ended already.", "info")
    return redirect(url_for("admin.job", job_id=job_id), 303)
