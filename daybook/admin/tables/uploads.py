"""Uploads and file types."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.orm import aliased

from daybook import file_types, raw_copies, sql
from daybook.admin.described import Column, Deletion, Field, Going, Refused, RowForm, Table, Work, count_where, loaded
from daybook.admin.filters import Dates, OneOf, Related, by_value, whole_number
from daybook.admin.searching import Contains, Number
from daybook.file_types import FileTypeError
from daybook.formats.given import Given
from daybook.formats.layout import FormatError
from daybook.models import Account, FileType, Source, TelegramUser, Upload, UploadIssue, utc_now

STATUSES = {
    "waiting": "Waiting",
    "importing": "Importing",
    "done": "Done",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "removing": "Being removed",
    "undone": "Undone",
}
# Their readings count, or are on their way in or out.
_HOLDING = ("done", "importing", "removing")
_STILL_COMES = "The rest of its file is still arriving. Try again when that has ended."


def _obstacles(connection: Connection, keys: Sequence[int]) -> list[str]:
    count = count_where(connection, Upload.id.in_(keys), Upload.status.in_(_HOLDING))
    if not count:
        return []
    words = "1 of them still holds" if count == 1 else f"{count:,} of them still hold"
    held = f"{'It still holds' if len(keys) == 1 else words} readings of the book."
    return [f"{held} Undo an upload on its own page first; then it can be deleted."]


@contextmanager
def _whole(engine: Engine, keys: Sequence[int]) -> Iterator[Mapping[int, str]]:
    """Nobody sends these files meanwhile; yields those that somebody does send.

    An upload says that it has failed or was cancelled as soon as that is known. Whoever sends it is let finish, so that
    a browser shows the answer: the rest is written into the copy, and then the row once more.
    """
    with sql.Locks(engine) as locks:
        yield {key: _STILL_COMES for key in keys if not locks.try_lock("upload", key)}


def _going(connection: Connection, keys: Sequence[int]) -> list[Going]:
    return [
        Going("lines of their accounts", count_where(connection, UploadIssue.upload_id.in_(keys))),
        Going("copies of their files", len(keys)),
    ]


def _delete(work: Work, keys: Sequence[int]) -> None:
    work.connection.execute(sa.delete(Upload).where(Upload.id.in_(keys)))
    remove_copies(work, keys)


def remove_copies(work: Work, upload_ids: Sequence[int]) -> None:
    """Once the uploads are deleted for good, so are the copies of their files."""
    work.afterwards.append(partial(_remove_copies, work, upload_ids))


def _remove_copies(work: Work, upload_ids: Sequence[int]) -> None:
    for upload_id in upload_ids:
        raw_copies.remove(work.settings.instance_path / "uploads", upload_id)


_BY = sa.func.coalesce(Account.username, TelegramUser.first_name, "")

# A failed upload waits for somebody until its file, or another of that name, was imported since, or it is forgotten.
_FORGOTTEN = timedelta(days=30)
_LATER = aliased(Upload)
_AGAIN = sa.exists().where(_LATER.replaces_id == Upload.id, _LATER.status == "done")
_SAME_NAME = sa.exists().where(_LATER.filename == Upload.filename, _LATER.id > Upload.id, _LATER.status == "done")
STILL_FAILED = sa.and_(
    Upload.status == "failed",
    Upload.created_at > sa.bindparam(None, callable_=lambda: utc_now() - _FORGOTTEN, type_=sql.UtcDateTime()),
    ~_AGAIN.correlate(Upload),
    ~_SAME_NAME.correlate(Upload),
)
_STATUS = by_value("status", "Status", Upload.status, STATUSES)

UPLOADS = Table(
    slug="uploads",
    one="upload",
    many="Uploads",
    object_type="upload",
    about="Every file that came in, and what became of it.",
    key=Upload.__table__.c.id,
    title=Upload.filename,
    rows=sa.outerjoin(Upload, Source, Source.id == Upload.source_id)
    .outerjoin(Account, Account.id == Upload.account_id)
    .outerjoin(TelegramUser, TelegramUser.user_id == Upload.telegram_user_id),
    joined=True,
    columns=(
        Column("filename", "File", Upload.filename, sort=True),
        Column("source", "Source", Source.name, link="sources", link_key=Source.id),
        Column("status", "Status", Upload.status, "status", sort=True),
        Column("readings", "Readings added", Upload.readings_added, "number", sort=True),
        Column("rejected", "Lines rejected", Upload.lines_rejected, "number", sort=True),
        Column("by", "Sent by", _BY, link="accounts", link_key=Upload.account_id),
        Column("created_at", "Came", Upload.created_at, "time", sort=True),
        Column("bytes", "Size", Upload.bytes_done, "bytes", in_list=False),
        Column("duplicates", "Readings that were there already", Upload.readings_duplicate, "number", in_list=False),
        Column("finished_at", "Ended", Upload.finished_at, "time", in_list=False),
        Column("error", "Error", Upload.error, "long", in_list=False),
    ),
    order="-created_at",
    search=(Contains(Upload.filename), Contains(Source.name), Number(Upload.__table__.c.id)),
    search_hint="File, source or id",
    filters=(
        OneOf(
            "status", "Status", {**_STATUS.options, "still-failed": ("Failed, and not imported since", STILL_FAILED)}
        ),
        OneOf(
            "lines",
            "Lines",
            {
                "rejected": ("Some rejected", Upload.lines_rejected > 0),
                "clean": ("None rejected", Upload.lines_rejected == 0),
            },
        ),
        Dates("created_at", "Came", Upload.created_at),
        Related("source", "Source", Upload.source_id, Source.id, Source.name, whole_number),
    ),
    deletion=Deletion(_delete, _going, _obstacles, around=_whole),
    empty="No uploads yet. Upload a file on the page Uploads.",
    panel="admin/panels/upload.html",
)


# --- file types ---------------------------------------------------------------------------------------------------


def _checked(connection: Connection, values: Mapping[str, Any], but: int | None) -> dict[str, Any]:
    try:
        name = file_types.clean_name(values["name"])
    except FileTypeError as error:
        raise Refused({"name": [_sentence(str(error))]}) from None
    names = connection.execute(sa.select(FileType.id, FileType.name)).all()
    if any(row.name.casefold() == name.casefold() and row.id != but for row in names):
        raise Refused({"name": [f"There is a file type “{name}” already."]})
    try:
        file_types.check_text(values["layout"])
        layout = Given.from_json(values["layout"]).to_json()
    except (FormatError, FileTypeError, ValueError, TypeError) as error:
        raise Refused({"layout": [_sentence(str(error))]}) from None
    return {"name": name, "layout": layout}


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _add(work: Work, values: Mapping[str, Any]) -> int:
    row = _checked(work.connection, values, None)
    return work.connection.execute(sa.insert(FileType).values(row).returning(FileType.id)).scalar_one()


def _change(work: Work, key: int, values: Mapping[str, Any]) -> None:
    row = _checked(work.connection, values, key)
    work.connection.execute(sa.update(FileType).where(FileType.id == key).values(row))


def _going_with_type(connection: Connection, keys: Sequence[int]) -> list[Going]:
    return [Going("uploads that were read by them", count_where(connection, Upload.file_type_id.in_(keys)), stays=True)]


def _delete_types(work: Work, keys: Sequence[int]) -> None:
    work.connection.execute(sa.delete(FileType).where(FileType.id.in_(keys)))


FILE_TYPES = Table(
    slug="file-types",
    one="file type",
    many="File types",
    object_type="file type",
    about="Saved layouts of files. The page File types has a form with a trial for them, and the ready-made ones.",
    key=FileType.__table__.c.id,
    title=FileType.name,
    rows=FileType.__table__,
    columns=(
        Column("name", "Name", FileType.name, sort=True),
        Column(
            "uploads",
            "Uploads read by it",
            sa.select(sa.func.count()).where(Upload.file_type_id == FileType.id).correlate(FileType).scalar_subquery(),
            "number",
        ),
        Column("layout", "Layout", FileType.layout, "json", in_list=False),
    ),
    order="name",
    search=(Contains(FileType.name),),
    search_hint="Name",
    form=RowForm(
        (
            Field("name", "Name", longest=file_types.MAX_NAME),
            Field(
                "layout",
                "Layout",
                "json",
                default=json.dumps({}),
                hint="JSON.",
                more=("file_types.new", "The form that explains each part"),
            ),
        ),
        loaded(FileType.id, FileType.name, FileType.layout),
        _add,
        _change,
    ),
    deletion=Deletion(_delete_types, _going_with_type),
    empty="No saved file types. Save one from an upload's preview, or add one here.",
    panel="admin/panels/file_type.html",
)
