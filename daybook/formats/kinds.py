"""What kind of file the unpacked bytes are, by their beginning, and what turns each kind into lines."""

from functools import partial
from pathlib import Path
from typing import Literal

from daybook.formats.archives import ZIP_MAGIC
from daybook.formats.encodings import Plain, Utf16, byte_order, is_utf16, utf16_of
from daybook.formats.given import Given
from daybook.formats.json_columns import JsonColumns
from daybook.formats.json_records import JsonRecords, looks_like_json, plan_for
from daybook.formats.layout import FormatError
from daybook.formats.parquet_files import PARQUET_MAGIC, read_parquet
from daybook.formats.records import About, Source
from daybook.formats.spool import Spooled
from daybook.formats.workbooks import read_workbook

Kind = Literal["zip", "parquet", "text"]
_KINDS = {"xlsx": "an Excel workbook (.xlsx)", "parquet": "a Parquet file"}


def kind_of(head: bytes) -> Kind:
    """Whether the bytes have to be whole before they can be read, and as what."""
    if head.startswith(ZIP_MAGIC):
        return "zip"
    return "parquet" if head.startswith(PARQUET_MAGIC) else "text"


def source_of(head: bytes, whole: bool, given: Given, max_bytes: int, folder: Path | None) -> Source:
    """What turns the file that begins with these bytes, and is no zip archive, into lines. Raises FormatError where it
    is JSON without records, or not the kind that was given."""
    if kind_of(head) == "parquet":
        return Spooled(folder, partial(read_parquet, max_bytes=max_bytes), About("parquet", "utf-8"))
    if given.file in _KINDS:
        raise FormatError("wrong_kind", f"the file is not {_KINDS[given.file]}", "Choose another file type, or none.")
    utf16 = given.encoding if is_utf16(given.encoding) else utf16_of(head)
    encoding = byte_order(utf16 or given.encoding or "utf-8", head)
    text = head.decode(encoding, "replace")
    if given.file == "json" or (given.file is None and looks_like_json(text)):
        plan = plan_for(text, whole, given)
        if plan.way == "columns":
            return JsonColumns(plan, encoding, max_bytes, folder)
        return JsonRecords(plan, encoding, max_bytes)
    return Utf16(utf16, encoding) if utf16 else Plain()


def workbook_source(given: Given, max_bytes: int, folder: Path | None) -> Source:
    """What turns a workbook into lines."""
    read = partial(read_workbook, max_bytes=max_bytes, wanted=given.sheet)
    return Spooled(folder, read, About("xlsx", "utf-8"))
