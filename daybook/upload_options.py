"""What a sender says of a file, checked, and what is refused before or while it is read."""

from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Literal, cast

from sqlalchemy.engine import Engine

from daybook import file_types, preview_choices, sources
from daybook.config import Settings
from daybook.formats import times
from daybook.formats.file_reader import FileReader
from daybook.formats.given import Given
from daybook.formats.layout import DateOrder, FormatError


class ImportRefused(ValueError):
    """The upload fails for a reason that a person can act on."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint


class CutOff(OSError):
    """The bytes ended before the last one: cut_off, stalled or too_large. Raised by the stream that is read."""

    def __init__(self, message: str, code: str = "cut_off") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Options:
    """What the sender says about a file. source: its name, or empty for the file's own name without extension.

    file_type: the name of the file type that was chosen. layout: all that is known of the file's layout, of that type
    and beside it, as `Given.from_json` takes it; a type that is changed later does not change what was imported by it.
    """

    source: str = ""
    timezone: str = ""
    date_order: str = ""
    on_bad_row: Literal["skip", "fail"] = "skip"
    on_duplicate: Literal["skip", "replace"] = "skip"
    file_type: str = ""
    layout: dict[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Raises ImportRefused or FormatError for a value that cannot be used, before any byte is read."""
        if self.timezone:
            times.zone(self.timezone)
        Given.from_json(self.layout)
        if self.date_order not in ("", "ymd", "dmy", "mdy"):
            raise ImportRefused("bad_date_order", f'date_order is "{self.date_order}"; write dmy, mdy or ymd')
        if self.on_bad_row not in ("skip", "fail"):
            raise ImportRefused("bad_on_bad_row", f'on_bad_row is "{self.on_bad_row}"; write skip or fail')
        if self.on_duplicate not in ("skip", "replace"):
            raise ImportRefused("bad_on_duplicate", f'on_duplicate is "{self.on_duplicate}"; write skip or replace')
        if self.source:
            try:
                sources.clean_name(self.source, "source")
            except sources.BadName as error:
                raise ImportRefused("bad_source", str(error)) from error


@dataclass(frozen=True)
class Sender:
    """Who sent a file: an account, with or without a token, or somebody in a chat."""

    account_id: int | None = None
    api_token_id: int | None = None
    telegram_user_id: int | None = None


def with_layout(
    options: Options, file_type: str, layout: dict[str, Any] | None = None, engine: Engine | None = None
) -> Options:
    """The same options with what the named file type says of the layout, and over it what `layout` does. `engine` as
    in `file_types.find_type`.

    Raises ImportRefused where there is no such type, and FormatError for a layout that cannot be used.
    """
    chosen = Given.from_json(layout or {})
    named = file_types.find_type(file_type, engine) if file_type else None
    if file_type and named is None:
        hint = "See the list of file types."
        raise ImportRefused("unknown_file_type", f'there is no file type "{file_type[:80]}"', hint)
    if named is not None:
        chosen = preview_choices.merged(named.given, chosen)
    return replace(options, file_type=named.name if named else "", layout=chosen.to_json())


def open_file(settings: Settings, options: Options) -> FileReader:
    """The reader for a file of which the sender says this. Workbooks and archives wait for their last byte on the disk
    on which the copies of files are kept."""
    folder = settings.instance_path / "uploads"
    folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    return FileReader(
        unpacked_max_bytes=settings.unpacked_max_bytes,
        timezone=options.timezone or None,
        date_order=cast(DateOrder | None, options.date_order or None),
        given=Given.from_json(options.layout),
        spool_folder=folder,
    )


def check_size(size: int, settings: Settings) -> None:
    """Raises CutOff when that is more bytes than this server takes of one file."""
    if size > settings.upload_max_bytes:
        raise CutOff(
            f"the file is larger than {settings.upload_max_bytes:,} bytes, the most that this server takes; split it, "
            "or raise UPLOAD_MAX_BYTES",
            code="too_large",
        )


def default_source(filename: str) -> str:
    """The name of the source when the sender gives none: the file's name without its extensions."""
    name = filename.removesuffix(".gz").removesuffix(".zip")
    return PurePosixPath(name).stem[: sources.MAX_NAME].strip() or "unnamed"


def clean_filename(text: str) -> str:
    """The name alone, without folders and characters that cannot be shown, at most 255 characters."""
    name = PurePosixPath(PureWindowsPath(text).as_posix()).name
    name = "".join(letter if letter.isprintable() else " " for letter in name).strip()
    return name[-255:] or "unnamed"


def sentence(error: FormatError | ImportRefused) -> str:
    """What went wrong and what to do about it, in one text for people."""
    return f"{str(error).removesuffix('.')}. {error.hint}" if error.hint else str(error)
