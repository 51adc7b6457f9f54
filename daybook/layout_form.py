"""What is said of a layout, as the fields of a form and back. The fields: templates/file_types/fields.html.

Every field may be left empty, which means: find out from the file. Where "there is none" is another answer, it has a
word of its own.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

from daybook.formats.given import Given, GivenColumn
from daybook.formats.layout import FormatError

FIND_OUT = "Find out from the file"
# The values of fields that are chosen from a list, in the words of the page.
CHOICES: dict[str, dict[str, str]] = {
    "file": {"text": "Text", "json": "JSON", "xlsx": "Excel workbook (.xlsx)", "parquet": "Parquet"},
    "encoding": {
        "utf-8": "UTF-8",
        "utf-16": "UTF-16",
        "utf-16-le": "UTF-16, little-endian",
        "utf-16-be": "UTF-16, big-endian",
        "cp1252": "Windows-1252 (Western Europe)",
        "latin-1": "Latin-1",
    },
    "delimiter": {
        "comma": "a comma",
        "semicolon": "a semicolon",
        "tab": "a tab",
        "bar": "a bar: |",
        "blanks": "runs of blanks",
        "widths": "nothing: columns have fixed widths",
    },
    "shape": {
        "wide": "One column per sensor",
        "narrow": "One reading a line, the sensor named in a column",
        "pivot": "One row a day, one column per time of day",
    },
    "date_order": {
        "dmy": "Day first: 9 January is 09/01",
        "mdy": "Month first: 9 January is 01/09",
        "ymd": "Year first: 2016-01-09",
    },
    "epoch": {
        "none": "no, as dates",
        "s": "seconds since 1970",
        "ms": "milliseconds since 1970",
        "us": "microseconds since 1970",
        "ns": "nanoseconds since 1970",
        "excel": "days, as spreadsheets count them",
    },
    "decimal": {"point": "a point: 1.5", "comma": "a comma: 1,5"},
    "thousands": {
        "none": "nothing",
        "comma": "a comma: 1,234",
        "point": "a point: 1.234",
        "blank": "a blank: 1 234",
        "apostrophe": "an apostrophe: 1'234",
    },
    "unit_in_name": {"yes": "Yes", "no": "No"},
    "other_columns": {"ignore": "Leave them out"},
    "role": {
        "time": "date and time, or the date",
        "clock": "clock time beside the date",
        "year": "year",
        "month": "month",
        "day": "day",
        "doy": "day of the year",
        "hour": "hour",
        "minute": "minute",
        "second": "second",
        "value": "readings",
        "sensor": "name of the sensor",
        "unit": "unit of the reading",
        "source": "name of the source",
        "text": "not kept",
    },
}
# The words of lists that stand for marks: fields hold the words, layouts the marks.
_MARKS: dict[str, dict[str, Any]] = {
    "delimiter": {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|", "blanks": " ", "widths": ""},
    "epoch": {"none": ""},
    "decimal": {"point": ".", "comma": ","},
    "thousands": {"none": "", "comma": ",", "point": ".", "blank": " ", "apostrophe": "'"},
    "unit_in_name": {"yes": True, "no": False},
}
_LINES = ("header_line", "units_line", "data_line")
_TEXTS = ("sheet", "sensor", "unit", "timezone")
_LISTS = ("missing", "time_formats", "signs")
COLUMN_FIELDS = ("name", "role", "unit", "sensor", "missing")
_COLUMN = re.compile(r"column-([0-9]{1,6})-(name|role|unit|sensor|missing)")
OUTERMOST, NO_UNIT = "$", "-"

Values = dict[str, Any]


class FormErrors(ValueError):
    """What is wrong, by the name of the field; `column-0` is the first row of columns."""

    def __init__(self, complaints: dict[str, list[str]]) -> None:
        super().__init__(" ".join(sentence for sentences in complaints.values() for sentence in sentences))
        self.complaints = complaints


def to_form(given: Given) -> Values:
    """The values of the fields; `columns` is a list of rows."""
    values: Values = dict.fromkeys((*CHOICES, *_TEXTS, *_LISTS, *_LINES, "path", "widths"), "")
    for name in _LINES:
        values[name] = "" if getattr(given, name) is None else str(getattr(given, name))
    for name in _TEXTS:
        values[name] = getattr(given, name) or ""
    for name in _LISTS:
        values[name] = "\n".join(getattr(given, name))
    for name in CHOICES.keys() - {"role"}:
        value = getattr(given, name)
        words = {mark: word for word, mark in _MARKS.get(name, {}).items()}
        values[name] = "" if value is None else words.get(value, value)
    values["other_columns"] = "" if given.other_columns == "detect" else given.other_columns
    values["path"] = given.path or (OUTERMOST if given.path == "" and given.file == "json" else "")
    values["widths"] = ", ".join(map(str, given.widths))
    values["columns"] = [_column_row(column) for column in given.columns]
    return values


def _column_row(column: GivenColumn) -> dict[str, str]:
    unit = column.unit or (NO_UNIT if column.unit == "" else "")
    marks = _joined(column.missing)
    return {"name": column.name, "role": column.role or "", "unit": unit, "sensor": column.sensor, "missing": marks}


def typed(form: Mapping[str, str]) -> Values:
    """The fields as they were typed, to be shown again."""
    values: Values = {name: form.get(name, "") for name in (*CHOICES, *_TEXTS, *_LISTS, *_LINES, "path", "widths")}
    values["columns"] = _rows(form)
    return values


def read(form: Mapping[str, str]) -> Given:
    """What the form says of a layout; raises FormErrors with everything that is wrong."""
    complaints: dict[str, list[str]] = {}
    found = dict(_fields(form, complaints))
    columns: list[dict[str, Any]] = []
    for position, row in enumerate(_rows(form)):
        if any(value.strip() for value in row.values()):
            columns.append(_column(row))
            _check(f"column-{position}", {"columns": columns[-1:]}, complaints, row)
    if columns:
        found["columns"] = columns
    if not complaints:
        try:
            return Given.from_json(found)
        except FormatError as error:
            name = re.match(r"[a-z_]+", str(error))
            field = name[0] if name and (name[0] in found or name[0] == "columns") else "delimiter"
            complaints[field] = [sentence(error)]
    raise FormErrors(complaints)


def sentence(error: FormatError) -> str:
    """What is wrong and how to mend it, as one text that begins with a capital letter."""
    text = f"{error}. {error.hint}" if error.hint else f"{error}."
    return text[0].upper() + text[1:]


def summary(given: Given) -> str:
    """What the type says, in a few words: "text with semicolons, 5 columns, day first"."""
    words = [CHOICES["file"][given.file].split(" (")[0]] if given.file else []
    if given.delimiter is not None:
        marks = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "runs of blanks", "": "fixed widths"}
        words.append(f"cells apart by {marks[given.delimiter]}" if given.delimiter else "columns of fixed width")
    if given.columns:
        words.append(f"{len(given.columns)} column{'s' if len(given.columns) > 1 else ''} named")
    if given.shape:
        words.append(
            {"wide": "one column per sensor", "narrow": "one reading a line", "pivot": "one row a day"}[given.shape]
        )
    if given.date_order:
        words.append({"dmy": "day first", "mdy": "month first", "ymd": "year first"}[given.date_order])
    if given.timezone:
        words.append(f"times in {given.timezone}")
    if given.signs:
        words.append(f"known by {', '.join(given.signs[:2])}{' …' if len(given.signs) > 2 else ''}")
    return "; ".join(words) or "everything is found out from each file"


# --- inside ------------------------------------------------------------------------------------------------------


def _fields(form: Mapping[str, str], complaints: dict[str, list[str]]) -> Iterator[tuple[str, Any]]:
    """The fields that say something, as JSON; what is wrong with one goes into `complaints`."""
    for name in CHOICES.keys() - {"role"}:
        text = form.get(name, "")
        if text and text not in CHOICES[name]:
            complaints[name] = ["Choose one of the list."]
        elif text and not (name == "delimiter" and text == "widths" and not form.get("widths", "").strip()):
            yield name, _MARKS.get(name, {}).get(text, text)
        elif text:
            complaints["widths"] = ["List how many characters wide each column is, such as 4, 8, 8."]
    for name in (*_LINES, "widths"):
        texts = re.split(r"[\s,;]+", form.get(name, "").strip()) if form.get(name, "").strip() else []
        if not all(text.isascii() and text.isdecimal() and len(text) < 8 for text in texts) or len(texts) > (
            1 if name in _LINES else 5000
        ):
            complaints[name] = ["Write numbers, such as 4, 8, 8." if name == "widths" else "Write one line number."]
        elif texts:
            value = [int(text) for text in texts] if name == "widths" else int(texts[0])
            yield from _checked(name, value, complaints)
    for name in _TEXTS:
        if form.get(name, "").strip():
            yield from _checked(name, form[name].strip(), complaints)
    if form.get("path", "").strip():
        yield from _checked("path", form["path"].strip().removeprefix(OUTERMOST).removeprefix("."), complaints)
    for name in _LISTS:
        lines = [line.rstrip("\r") for line in form.get(name, "").split("\n")]
        if any(line.strip() for line in lines):
            yield from _checked(name, [line for line in lines if line.strip()], complaints)


def _checked(name: str, value: Any, complaints: dict[str, list[str]]) -> Iterator[tuple[str, Any]]:
    if _check(name, {name: value}, complaints):
        yield name, value


def _check(
    field: str, found: dict[str, Any], complaints: dict[str, list[str]], row: dict[str, str] | None = None
) -> bool:
    try:
        Given.from_json(found)
    except FormatError as error:
        text = sentence(error)
        if row is not None:
            text = re.sub(r"(?i)^columns\[0\]\.?", f'"{row["name"][:60]}": ' if row["name"] else "Column: ", text)
        complaints[field] = [text]
        return False
    if row is not None and not row["name"].strip():
        complaints[field] = ["Give the column a name: the one in the file's header, or column 1, column 2 …"]
        return False
    return True


def _rows(form: Mapping[str, str]) -> list[dict[str, str]]:
    """The rows of columns in their order; numbers may be missing where a row was taken out."""
    rows: dict[int, dict[str, str]] = {}
    for key in form:
        match = _COLUMN.fullmatch(key)
        if match:
            rows.setdefault(int(match[1]), dict.fromkeys(COLUMN_FIELDS, ""))[match[2]] = form[key]
    return [row for _, row in sorted(rows.items())]


def _column(row: dict[str, str]) -> dict[str, Any]:
    column: dict[str, Any] = {"name": row["name"].strip()}
    if row["role"]:
        column["role"] = row["role"]
    if row["unit"].strip():
        column["unit"] = "" if row["unit"].strip() == NO_UNIT else row["unit"].strip()
    if row["sensor"].strip():
        column["sensor"] = row["sensor"].strip()
    if row["missing"].strip():
        column["missing"] = _split(row["missing"])
    return column


def _joined(marks: tuple[str, ...]) -> str:
    """The marks of a column on one line: 99.0; MM."""
    text = io.StringIO()
    csv.writer(text, delimiter=";", lineterminator="").writerow(marks)
    return text.getvalue().replace(";", "; ") if not any(";" in mark for mark in marks) else text.getvalue()


def _split(text: str) -> list[str]:
    try:
        marks = next(csv.reader([text], delimiter=";", skipinitialspace=True), [])
    except csv.Error:
        marks = text.split(";")
    return [mark.strip() for mark in marks if mark.strip()]
