"""File types: descriptions of files under a name, to be used again. Saved ones are in the database; others come ready.

Names are unique without regard to case, over both kinds. What changes something here has committed when it returns;
what reads leaves no transaction open, because a preview or an import goes on for long after it.
"""

import hashlib
import json
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from daybook import audit, ready_made_types, sql
from daybook.extensions import db
from daybook.file_type_matching import Sample
from daybook.formats.given import Given
from daybook.models import FileType, Upload

MAX_NAME = 64
MAX_NOTED = 16 * 1024  # bytes of a layout as JSON, before and after together, that an entry in the audit keeps
# Names stand in addresses: these are pages of their own there, or change the path.
_TAKEN = frozenset({".", "..", "new", "import", "export", "try"})


class FileTypeError(ValueError):
    """What was asked cannot be done. `code` is for programs, the message for people, `hint` says what to do."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


@dataclass(frozen=True)
class NamedType:
    """A file type with its name. about, source: of ready-made ones, what files they are for and where that is
    described. version: changes with the layout; whoever saves says which one was looked at."""

    name: str
    given: Given
    ready_made: bool = False
    about: str = ""
    source: str = ""
    uploads: int = 0

    @property
    def version(self) -> str:
        """A digest of the layout."""
        return version_of(self.given)


@dataclass(frozen=True)
class Page:
    """A part of the list; `next` is the name that the following part goes on after, None at the end."""

    types: list[NamedType]
    next: str | None


def version_of(given: Given) -> str:
    """Sixteen characters that differ when the layouts do."""
    text = json.dumps(given.to_json(), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def clean_name(text: str) -> str:
    """The name as it is stored; raises FileTypeError (bad_name)."""
    name = " ".join(unicodedata.normalize("NFC", text).split(" ")).strip()
    if not name:
        raise FileTypeError("bad_name", "the name is empty", "Name it after the logger, such as Mast 3 export.")
    if len(name) > MAX_NAME:
        raise FileTypeError("bad_name", f"the name has {len(name)} characters; at most {MAX_NAME} are kept")
    if not name.isprintable():
        raise FileTypeError("bad_name", "the name holds characters that cannot be seen; type it again by hand")
    if "/" in name or "\\" in name:
        raise FileTypeError("bad_name", f'the name "{name}" holds a slash, which cannot stand in an address')
    if name.lower() in _TAKEN:
        raise FileTypeError("bad_name", f'"{name}" cannot be the name of a file type; add a word to it')
    return name


def check_text(found: Any) -> None:
    """Raises FileTypeError (bad_layout) for JSON with a text that no page and no file can hold: half a character."""
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(error.object[error.start]):04x}"
        raise FileTypeError("bad_layout", f"a text holds half a character ({half}); take it out") from None


# --- reading -----------------------------------------------------------------------------------------------------


def find_type(name: str, engine: Engine | None = None) -> NamedType | None:
    """The saved or ready-made type of that name, however its letters are written. `engine`: of the book, for a thread
    that works for no application."""
    with _reading(engine) as session:
        row = _row(session, name)
        if row is not None:
            return NamedType(row.name, _given(row))
    ready = ready_made_types.find(name)
    return _ready(ready) if ready else None


def list_types(after: str | None = None, limit: int = 100) -> Page:
    """Saved types by name, then the ready-made ones, `limit` at a time: those after the one named `after`."""
    # Names are sorted here and not by the database: the two would not agree on accents and small letters. There are
    # dozens of types, and of those not shown only the names are read.
    with _reading() as session:
        keys = sorted((_order(name, False), row_id) for row_id, name in _names(session))
        keys += [(_order(ready.name, True), 0) for ready in ready_made_types.all_types()]
        if after is not None:
            start = _order(after, ready_made_types.find(after) is not None)
            keys = [key for key in keys if key[0] > start]
        shown = keys[:limit]
        types = _loaded(session, [row_id for _, row_id in shown if row_id])
    ready_names = [key[2] for key, row_id in shown if not row_id]
    types += [_ready(ready) for ready in ready_made_types.all_types() if ready.name in ready_names]
    return Page(types, types[-1].name if len(keys) > limit else None)


def saved_types() -> list[NamedType]:
    """Every saved type, by name."""
    with _reading() as session:
        return _loaded(session, list(session.scalars(sa.select(FileType.id))))


def upload_count(name: str) -> int:
    """How many uploads were read by the saved type of that name."""
    with _reading() as session:
        row = _row(session, name)
        if row is None:
            return 0
        counted = sa.select(sa.func.count()).select_from(Upload).where(Upload.file_type_id == row.id)
        return session.scalar(counted) or 0


def matching(lines: list[str]) -> list[NamedType]:
    """The types that a file with these first lines looks like, best first (docs/file-types.md says how)."""
    sample = Sample(lines)
    scored = []
    for named in [*saved_types(), *map(_ready, ready_made_types.all_types())]:
        score = sample.score(named.given)
        if score:
            scored.append((-score, named.ready_made, named.name.casefold(), named))
    return [entry[-1] for entry in sorted(scored, key=lambda entry: entry[:-1])]


# --- changing ----------------------------------------------------------------------------------------------------


def save(name: str, given: Given) -> NamedType:
    """Makes a type; raises FileTypeError (bad_name, bad_layout, ready_made, file_type_exists)."""
    name = clean_name(name)
    check_text(given.to_json())
    _check_free(name)
    with _committing(name):
        row = FileType(name=name, layout=given.to_json())
        db.session.add(row)
        db.session.flush()
        _note("create", row, {}, _said_by(row))
    return NamedType(name, given)


def replace(name: str, given: Given, *, version: str | None = None, new_name: str | None = None) -> NamedType:
    """Changes a saved type, and its name where `new_name` is another.

    version: of the type as it was looked at, None to replace whatever is there. Raises FileTypeError: not_found,
    ready_made, changed_meanwhile, and as `save`.
    """
    _refuse_ready_made(name)
    check_text(given.to_json())
    row = _row(db.session(), name, to_change=True)
    if row is None:
        db.session.rollback()
        raise FileTypeError("not_found", f'there is no file type "{name}" any more', "Save it under a new name.")
    if version is not None and version != version_of(_given(row)):
        db.session.rollback()
        raise FileTypeError(
            "changed_meanwhile",
            f'somebody else changed "{row.name}" since you opened it',
            "Open it again and repeat your change, or save yours under another name.",
        )
    new_name = clean_name(new_name) if new_name is not None else row.name
    if new_name.casefold() != row.name.casefold():
        _check_free(new_name)
    with _committing(new_name):
        before = _said_by(row)
        row.name, row.layout = new_name, given.to_json()
        _note("change", row, before, _said_by(row))
    return NamedType(new_name, given)


def put(name: str, given: Given, *, version: str | None = None) -> tuple[NamedType, bool]:
    """Makes or replaces the type of that name; says whether it is new. Raises as `save` and `replace`."""
    if version is None and find_type(name) is None:
        return save(name, given), True
    return replace(name, given, version=version), False


def delete(name: str) -> bool:
    """Takes a saved type out, and says whether there was one. Uploads that were read by it keep their layout."""
    _refuse_ready_made(name)
    row = _row(db.session(), name, to_change=True)
    if row is None:
        db.session.rollback()
        return False
    _note("delete", row, _said_by(row), {})
    db.session.delete(row)
    db.session.commit()
    return True


@dataclass(frozen=True)
class Imported:
    """Names of what `import_types` did with each type. ready_made: left out, because those cannot be replaced."""

    added: list[str]
    replaced: list[str]
    ready_made: list[str]
    left: list[str]


def import_types(types: list[tuple[str, Given]], replaced: frozenset[str]) -> Imported:
    """Makes all these types in one transaction; those that exist are replaced where `replaced` has their name, and
    else left as they are. Raises FileTypeError, and then nothing was changed."""
    done = Imported([], [], [], [])
    by_name = {row.name.casefold(): row for row in db.session.scalars(sa.select(FileType).with_for_update())}
    with _committing(""):
        for name, given in types:
            row = by_name.get(name.casefold())
            before = _said_by(row) if row else {}
            if ready_made_types.find(name):
                done.ready_made.append(name)
                continue
            if row is None:
                row = FileType(name=name, layout=given.to_json())
                db.session.add(row)
                db.session.flush()
                done.added.append(name)
            elif name in replaced:
                row.layout = given.to_json()
                done.replaced.append(name)
            else:
                done.left.append(name)
            _note("import", row, before, _said_by(row))
    return done


# --- inside ------------------------------------------------------------------------------------------------------


def _order(name: str, ready_made: bool) -> tuple[bool, str, str]:
    return ready_made, name.casefold(), name


def _ready(ready: ready_made_types.ReadyMade) -> NamedType:
    return NamedType(ready.name, ready.given, True, ready.about, ready.source)


def _given(row: FileType) -> Given:
    return Given.from_json(row.layout)


@contextmanager
def _reading(engine: Engine | None = None) -> Iterator[Session]:
    """A session of its own, given back at its end. In the request's own one SQLite's write lock would be taken, and
    kept, where the request may write."""
    with sql.only_reading(), Session(engine or db.engine) as session:
        yield session


def _loaded(session: Session, ids: list[int]) -> list[NamedType]:
    if not ids:
        return []
    rows = session.scalars(sa.select(FileType).where(FileType.id.in_(ids)))
    counted = sa.select(Upload.file_type_id, sa.func.count()).where(Upload.file_type_id.in_(ids))
    counts = {row[0]: row[1] for row in session.execute(counted.group_by(Upload.file_type_id))}
    types = [NamedType(row.name, _given(row), uploads=counts.get(row.id, 0)) for row in rows]
    return sorted(types, key=lambda named: _order(named.name, False))


def _row(session: Session, name: str, to_change: bool = False) -> FileType | None:
    """The row of that name, whatever the case of its letters; locked where it is about to be changed."""
    key = _key(name)
    # SQLite knows small letters of ASCII alone, so the names are compared here.
    ids = [row_id for row_id, known in _names(session) if known.casefold() == key]
    if not ids:
        return None
    wanted = sa.select(FileType).where(FileType.id == ids[0]).execution_options(populate_existing=True)
    row: FileType | None = session.scalar(wanted.with_for_update() if to_change else wanted)
    return row if row is not None and row.name.casefold() == key else None


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip().casefold()


def _names(session: Session) -> list[tuple[int, str]]:
    return [(row_id, name) for row_id, name in session.execute(sa.select(FileType.id, FileType.name))]


def _refuse_ready_made(name: str) -> None:
    ready = ready_made_types.find(name)
    if ready is not None:
        raise FileTypeError(
            "ready_made",
            f'"{ready.name}" is a ready-made file type, which cannot be changed',
            "Save a copy of it under another name.",
        )


def _check_free(name: str) -> None:
    _refuse_ready_made(name)
    known = next((known for _, known in _names(db.session()) if known.casefold() == name.casefold()), None)
    if known is not None:
        db.session.rollback()
        raise _exists(known)


def _exists(name: str) -> FileTypeError:
    return FileTypeError("file_type_exists", f'there is a file type "{name}" already', "Choose another name.")


@contextmanager
def _committing(name: str) -> Iterator[None]:
    """Commits at the end; raises FileTypeError when somebody was faster with a type of that name."""
    try:
        yield
        db.session.commit()
    except sa.exc.IntegrityError:
        db.session.rollback()
        raise _exists(name) from None


def _said_by(row: FileType) -> dict[str, Any]:
    return {"name": row.name, "layout": row.layout}


def _note(action: str, row: FileType, before: dict[str, Any], after: dict[str, Any]) -> None:
    changes = audit.differences(before, after)
    if not changes:
        return
    if len(json.dumps(changes.get("layout"))) > MAX_NOTED:
        changes["layout"] = [layout and "(large)" for layout in changes["layout"]]
    audit.note(db.session, action, "file type", row.id, row.name, changes)
