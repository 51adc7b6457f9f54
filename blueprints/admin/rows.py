"""One row: what it is, its form, its history; adding and deleting."""

from typing import Any

from flask import abort, current_app, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from blueprints.admin.pages import (
    back_arguments,
    back_text,
    bp,
    find_key,
    find_table,
    list_url,
    page,
    row_or_404,
    row_url,
    say,
    settings,
)
from blueprints.admin.panels import panel_values
from blueprints.guard import role_required
from daybook import accounts, passwords, sql
from daybook.admin import deleting, histories
from daybook.admin.bulk import DELETE, Chosen, run_later
from daybook.admin.described import Key, Refused, Table
from daybook.admin.listing import find_row
from daybook.admin.row_forms import ChangedMeanwhile, Editor, Gone
from daybook.extensions import db


def editor_of(table: Table) -> Editor:
    return Editor(db.engine, settings(), table, current_user.id)


# --- adding -------------------------------------------------------------------------------------------------------


@bp.get("/<slug>/add")
@role_required("admin")
def add(slug: str) -> ResponseReturnValue:
    table = addable(slug)
    editor = editor_of(table)
    return add_page(table, editor, editor.begun(request.args))


@bp.post("/<slug>/add")
@role_required("admin")
def save_new(slug: str) -> ResponseReturnValue:
    table = addable(slug)
    editor = editor_of(table)
    typed = editor.typed(request.form, True)
    try:
        key = editor.add(typed)
    except Refused as error:
        return add_page(table, editor, typed, error.complaints, 422)
    title = row_or_404(table, key)["title"]
    say(f"The {table.one} “{{title}}” is added.", "success", title, row_url(table, key))
    return redirect(after_saving(table, key), 303)


def addable(slug: str) -> Table:
    table = find_table(slug)
    if table.form is None or table.form.add is None:
        abort(404, f"Nobody adds to {table.many.lower()} by hand.")
    return table


def add_page(
    table: Table,
    editor: Editor,
    typed: dict[str, str],
    complaints: dict[str, list[str]] | None = None,
    status: int = 200,
) -> ResponseReturnValue:
    with sql.only_reading(), db.engine.connect() as connection:
        options = editor.options(connection, True)
    values = {"fields": editor.fields(True), "options": options, "form": typed, "complaints": complaints or {}}
    return page(
        "admin/add.html", status, table=table, back=back_text(), back_url=list_url(table, back_arguments()), **values
    )


def after_saving(table: Table, key: Key) -> str:
    """Where the button that was pressed leads."""
    if "another" in request.form:
        return url_for("admin.add", slug=table.slug, back=back_text() or None)
    if "stay" in request.form:
        return row_url(table, key)
    return list_url(table, back_arguments())


# --- one row ------------------------------------------------------------------------------------------------------


@bp.get("/<slug>/<row_key:key>")
@role_required("admin")
def show(slug: str, key: str) -> ResponseReturnValue:
    table = find_table(slug)
    return row_page(table, find_key(table, key))


@bp.post("/<slug>/<row_key:key>")
@role_required("admin")
def save(slug: str, key: str) -> ResponseReturnValue:
    """Saves the form, unless somebody else has changed the row since it was opened."""
    table = find_table(slug)
    if table.form is None or table.form.change is None:
        abort(405, f"A {table.one} cannot be changed.")
    number = find_key(table, key)
    editor = editor_of(table)
    typed = editor.typed(request.form, False)
    try:
        editor.change(number, typed, request.form.get("seen", ""))
    except Gone:
        abort(404, f"There is no {table.one} {key} any more; somebody has deleted it.")
    except Refused as error:
        return row_page(table, number, typed, error.complaints, request.form.get("seen", ""), 422)
    except ChangedMeanwhile as error:
        return row_page(table, number, typed, dict(error.complaints), error.seen, 409)
    title = row_or_404(table, number)["title"]
    say(f"The {table.one} “{{title}}” is saved.", "success", title, row_url(table, number))
    return redirect(after_saving(table, number), 303)


def row_page(
    table: Table,
    key: Key,
    typed: dict[str, str] | None = None,
    complaints: dict[str, list[str]] | None = None,
    seen: str = "",
    status: int = 200,
) -> ResponseReturnValue:
    row = row_or_404(table, key)
    values: dict[str, Any] = {"fields": [], "form": {}, "seen": "", "options": {}}
    with sql.only_reading(), db.engine.connect() as connection:
        if table.form is not None and table.form.change is not None:
            editor = editor_of(table)
            try:
                now, mark = editor.load(connection, key)
            except Gone:
                abort(404, f"There is no {table.one} {key} any more; somebody has deleted it.")
            values = {
                "fields": editor.fields_of(now),
                "form": typed if typed is not None else now,
                "seen": seen or mark,
                "options": editor.options(connection, False),
            }
        values |= panel_values(connection, table, row)
        values["history"] = histories.of(connection, table.object_type, key, 10)
    values |= {"complaints": complaints or {}, "changed_meanwhile": status == 409, "back": back_text()}
    return page(
        "admin/row.html", status, table=table, row=row, key=key, back_url=list_url(table, back_arguments()), **values
    )


@bp.post("/accounts/<key>/password")
@role_required("admin")
def reset_password(key: str) -> ResponseReturnValue:
    """Gives an account a new password, and ends its sessions."""
    table = find_table("accounts")
    account_id = find_key(table, key)
    username = row_or_404(table, account_id)["username"]
    password = request.form.get("password", "")
    try:
        accounts.check_password(password, username)
        password_hash = passwords.hashed(password)
        with db.engine.begin() as connection:
            accounts.set_password(connection, int(account_id), password_hash)
    except accounts.AccountError as error:
        return row_page(table, account_id, complaints=error.complaints, status=422)
    flash(f"{username} has a new password, and is logged out everywhere.", "success")
    return redirect(row_url(table, account_id), 303)


@bp.get("/<slug>/<row_key:key>/history")
@role_required("admin")
def history(slug: str, key: str) -> ResponseReturnValue:
    """Every change of the row, also of one that is gone."""
    table = find_table(slug)
    number = find_key(table, key)
    before = request.args.get("before", type=int)
    with sql.only_reading(), db.engine.connect() as connection:
        entries = histories.of(connection, table.object_type, number, 51, before)
        row = find_row(connection, table, number)
    # Of a row that is gone, what it was called last.
    title = row["title"] if row else entries[0].object_repr if entries else f"{table.one} {number}"
    older = entries[49].id if len(entries) > 50 else None
    return page(
        "admin/history.html", table=table, key=number, title=title, list=entries[:50], older=older, back=back_text()
    )


# --- deleting -----------------------------------------------------------------------------------------------------


@bp.get("/<slug>/<row_key:key>/delete")
@role_required("admin")
def confirm_delete(slug: str, key: str) -> ResponseReturnValue:
    """What goes along."""
    table = deletable(slug)
    number = find_key(table, key)
    row_or_404(table, number)
    return delete_page(table, number)


@bp.post("/<slug>/<row_key:key>/delete")
@role_required("admin")
def delete(slug: str, key: str) -> ResponseReturnValue:
    """Deletes what the page before has shown, and nothing else."""
    table = deletable(slug)
    number = find_key(table, key)
    title = row_or_404(table, number)["title"]
    with sql.only_reading(), db.engine.connect() as connection:
        plan = deleting.plan(connection, table, [number])
    assert table.deletion is not None
    try:
        if plan.mark != request.form.get("mark", ""):
            raise deleting.NotAsShown
        if plan.size > table.deletion.at_once and not plan.obstacles:
            chosen = Chosen(table, [number], {}, "UTC", shown={str(number): plan.mark})
            words = f"Delete the {table.one} “{title}”"
            job_id = run_later(db.engine, settings(), chosen, DELETE, words, current_user.id)
            return redirect(url_for("admin.job", job_id=job_id), 303)
        deleting.delete(db.engine, settings(), table, [number], current_user.id, plan.mark)
    except deleting.NotAsShown:
        problem = "Something else would go now than this page has shown. Look again."
        return delete_page(table, number, problem, 409)
    except (deleting.CannotGo, Refused) as error:
        return delete_page(table, number, str(error), 409)
    current_app.logger.info("%s deleted %s %s", current_user.username, table.one, number)
    flash(f"The {table.one} “{title}” is deleted.", "success")
    return redirect(list_url(table, back_arguments()), 303)


def deletable(slug: str) -> Table:
    table = find_table(slug)
    if table.deletion is None:
        abort(404, f"Nothing is deleted from {table.many.lower()}.")
    return table


def delete_page(table: Table, key: Key, problem: str = "", status: int = 200) -> ResponseReturnValue:
    with sql.only_reading(), db.engine.connect() as connection:
        plan = deleting.plan(connection, table, [key])
    return page("admin/delete.html", status, table=table, key=key, plan=plan, problem=problem, back=back_text())
