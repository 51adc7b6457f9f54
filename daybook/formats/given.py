"""What somebody says of a file's layout: a file type, or the choices made at the preview. The rest is found out."""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from daybook.formats.cells import MAX_NAME
from daybook.formats.layout import Column, DateOrder, Epoch, FileKind, FormatError, Layout, Role, Shape
from daybook.formats.strptime import check_format
from daybook.formats.zones import zone

ENCODINGS = ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1")
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "runs of blanks", "": "fixed widths"}
MAX_COLUMNS = 5000
_MAX_TEXT = 200
_MAX_LIST = 100


@dataclass(frozen=True)
class GivenColumn:
    """What is said of the column of that name (in a file without a header: "column 1", "column 2" …). What is None is
    found out."""

    name: str
    role: Role | None = None
    unit: str | None = None
    sensor: str = ""
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Given:
    """The fields of `Layout` that are known beforehand; None, and an empty tuple, mean: find out.

    header_line 0 says that there is no header, units_line 0 that there is no line of units. With `columns`, the header
    is looked for by their names where the line itself is another one. other_columns: what becomes of columns that are
    not listed. signs: texts that all occur in the first lines of files of this type, by which such a file is known.
    """

    file: FileKind | None = None
    path: str | None = None
    sheet: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    widths: tuple[int, ...] = ()
    shape: Shape | None = None
    header_line: int | None = None
    units_line: int | None = None
    data_line: int | None = None
    columns: tuple[GivenColumn, ...] = ()
    other_columns: Literal["detect", "ignore"] = "detect"
    decimal: str | None = None
    thousands: str | None = None
    missing: tuple[str, ...] = ()
    date_order: DateOrder | None = None
    time_formats: tuple[str, ...] = ()
    epoch: Epoch | None = None
    timezone: str | None = None
    unit_in_name: bool | None = None
    sensor: str = ""
    unit: str = ""
    signs: tuple[str, ...] = ()

    @classmethod
    def of(cls, layout: Layout) -> "Given":
        """Everything that the layout says, so that the same file is read in the same way again, and the next one of
        the same logger too. A zone that the file stated itself is found again rather than given."""
        return cls.from_json(layout.to_json())

    def to_json(self) -> dict[str, Any]:
        """As `from_json` takes it, without what is None or empty."""
        found: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value in (None, ()) or (value == field.default and field.name != "delimiter"):
                continue
            found[field.name] = list(value) if isinstance(value, tuple) else value
        if self.columns:
            found["columns"] = [_column_json(column) for column in self.columns]
        return found

    @classmethod
    def from_json(cls, found: Any) -> "Given":
        """Reads the fields described in docs/file-types.md, also those of a whole layout; raises FormatError
        (bad_layout) that names the first field which is wrong, and what it may be."""
        if not isinstance(found, dict):
            raise _bad("layout", found, "an object of fields")
        known = {field.name for field in fields(cls)}
        for name in found:
            if name not in known and name not in ("time_example", "timezone_from"):
                raise FormatError(
                    "bad_layout", f'there is no field "{str(name)[:60]}"', f"Fields are {', '.join(sorted(known))}."
                )
        values: dict[str, Any] = {}
        for name, value in found.items():
            if name in known and value is not None:
                values[name] = _READERS[name](name, value)
        if found.get("timezone_from", "request") != "request":
            values.pop("timezone", None)  # the layout of a file that stated it, or that was read in UTC for want of one
        if "header_line" in found and found["header_line"] is None and "data_line" in values and "columns" in values:
            values["header_line"] = 0  # the layout of a file without a header
        given = cls(**values)
        given._check()
        return given

    def _check(self) -> None:
        names = [column.name for column in self.columns]
        twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
        if twice is not None:
            raise FormatError("bad_layout", f'columns: "{twice}" is listed twice', "List every column once.")
        if self.delimiter == "" and not self.widths and (self.file or "text") == "text":
            raise FormatError(
                "bad_layout", "delimiter is empty, but widths is too", "List the width of each column in characters."
            )
        if self.decimal and self.decimal == self.thousands:
            raise FormatError(
                "bad_layout", f'decimal and thousands are both "{self.decimal}"', "Make one of them empty."
            )
        if self.header_line and self.data_line and self.data_line <= self.header_line:
            raise FormatError("bad_layout", "data_line is not below header_line", "Count lines from 1.")


def _column_json(column: GivenColumn) -> dict[str, Any]:
    found: dict[str, Any] = {"name": column.name}
    if column.role is not None:
        found["role"] = column.role
    if column.unit is not None:
        found["unit"] = column.unit
    if column.sensor:
        found["sensor"] = column.sensor
    if column.missing:
        found["missing"] = list(column.missing)
    return found


def _bad(name: str, value: Any, wanted: str) -> FormatError:
    return FormatError("bad_layout", f"{name} is {str(value)[:80]!r}; expected {wanted}")


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT or not all(c.isprintable() or c == "\t" for c in value):
        raise _bad(name, value, f"a text of at most {_MAX_TEXT} characters")
    return value


def _line(name: str, value: Any) -> int:
    least = 1 if name == "data_line" else 0
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= 1_000_000:
        raise _bad(name, value, "a line number")
    return value


def _one_of(*allowed: str) -> Callable[[str, Any], str]:
    def read(name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise _bad(name, value, " or ".join(repr(one) for one in allowed))
        return value

    return read


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _bad(name, value, "true or false")
    return value


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or len(value) > _MAX_LIST:
        raise _bad(name, value, f"a list of at most {_MAX_LIST} texts")
    return tuple(_text(f"{name}[{index}]", one) for index, one in enumerate(value))


def _widths(name: str, value: Any) -> tuple[int, ...]:
    if not isinstance(value, list | tuple) or len(value) > MAX_COLUMNS:
        raise _bad(name, value, "a list of widths")
    for index, width in enumerate(value):
        if not isinstance(width, int) or isinstance(width, bool) or not 1 <= width <= 10_000:
            raise _bad(f"{name}[{index}]", width, "a number of characters")
    return tuple(value)


def _formats(name: str, value: Any) -> tuple[str, ...]:
    found = _texts(name, value)
    for index, text in enumerate(found):
        check_format(f"{name}[{index}]", text)
    return found


def _timezone(name: str, value: Any) -> str | None:
    text = _text(name, value).strip()
    if text:
        zone(text)
    return text or None


def _columns(name: str, value: Any) -> tuple[GivenColumn, ...]:
    if not isinstance(value, list | tuple) or len(value) > MAX_COLUMNS:
        raise _bad(name, value, f"a list of at most {MAX_COLUMNS} columns")
    return tuple(_column(f"{name}[{index}]", one) for index, one in enumerate(value))


def _column(place: str, value: Any) -> GivenColumn:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise _bad(place, value, 'an object such as {"name": "WS_80m", "role": "value"}')
    allowed = {field.name for field in fields(GivenColumn)}
    for key in value:
        if key not in allowed:
            raise FormatError(
                "bad_layout", f'{place} has no field "{str(key)[:60]}"', f"Use {', '.join(sorted(allowed))}."
            )
    name = value["name"]
    if len(name) > 10 * MAX_NAME:
        raise _bad(f"{place}.name", name, f"a text of at most {10 * MAX_NAME} characters")
    role, unit = value.get("role"), value.get("unit")
    if role is not None and role not in get_args(Role):
        raise _bad(f"{place}.role", role, " or ".join(get_args(Role)))
    sensor = re.sub(r"\s+", " ", _text(f"{place}.sensor", value.get("sensor") or "")).strip()
    return GivenColumn(
        name=name,
        role=role,
        unit=None if unit is None else _text(f"{place}.unit", unit).strip()[:64],
        sensor=sensor,
        missing=_texts(f"{place}.missing", value.get("missing") or []),
    )


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "file": _one_of(*get_args(FileKind)),
    "path": _text,
    "sheet": _text,
    "encoding": _one_of(*ENCODINGS),
    "delimiter": _one_of(*DELIMITERS),
    "widths": _widths,
    "shape": _one_of(*get_args(Shape)),
    "header_line": _line,
    "units_line": _line,
    "data_line": _line,
    "columns": _columns,
    "other_columns": _one_of("detect", "ignore"),
    "decimal": _one_of(".", ","),
    "thousands": _one_of("", ",", ".", " ", "'"),
    "missing": _texts,
    "date_order": _one_of(*get_args(DateOrder)),
    "time_formats": _formats,
    "epoch": _one_of(*get_args(Epoch)),
    "timezone": _timezone,
    "unit_in_name": _flag,
    "sensor": _text,
    "unit": _text,
    "signs": _texts,
}

assert {field.name for field in fields(Given)} == set(_READERS)
assert {field.name for field in fields(GivenColumn)} == {field.name for field in fields(Column)}
