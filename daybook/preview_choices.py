"""What somebody chooses at the preview of a file: the fields of its form, read, and put over a file type.

A choice is what a person changed; everything else stays to be found out, so that it fits the next file too. The form
carries the choices so far in its field `layout` (JSON of `Given`); beside it stand the fields as they are shown.
Time zone and order of dates are fields of their own, because uploads without a preview have them too.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from daybook import layout_form
from daybook.formats.given import Given, GivenColumn
from daybook.formats.layout import FormatError
from daybook.formats.zones import zone
from daybook.layout_form import FormErrors

# The fields of daybook.layout_form that the preview shows, besides `timezone` and `date_order`.
SETTINGS = (
    *("encoding", "delimiter", "widths", "sheet", "path", "header_line", "units_line", "data_line", "decimal"),
    *("thousands", "missing", "time_formats", "epoch", "shape", "sensor", "unit"),
)
_COLUMN_NAME = re.compile(r"column-([0-9]{1,6})-name")
_LINES = ("header_line", "units_line", "data_line")
_MAX_QUESTIONS = 20

Complaints = dict[str, list[str]]


@dataclass(frozen=True)
class Choices:
    """file_type: its name, or empty. timezone, date_order: as in `upload_options.Options`. layout: what else was
    chosen, as `Given.from_json` takes it."""

    file_type: str = ""
    timezone: str = ""
    date_order: str = ""
    layout: dict[str, Any] = field(default_factory=dict)

    def over(self, file_type: Given | None) -> Given:
        """What is known of the file: what the file type says, and over it what was chosen."""
        given = merged(file_type or Given(), Given.from_json(self.layout))
        said = {name: text for name in ("timezone", "date_order") if (text := getattr(self, name))}
        return merged(given, Given.from_json(said)) if said else given


@dataclass(frozen=True)
class Question:
    """A doubt that the page has put, with the changes that each answer makes; `answer` is the one that was given."""

    code: str
    text: str
    choices: tuple[tuple[str, dict[str, Any]], ...]
    answer: int | None = None

    def answered_by(self, choices: Choices) -> "Question":
        """The same question with the answer that these choices hold, however they were made."""
        said = choices.layout | {"date_order": choices.date_order, "timezone": choices.timezone}
        fits = (at for at, (_, changes) in enumerate(self.choices) if all(said.get(k) == changes[k] for k in changes))
        return replace(self, answer=next(fits, None))


def merged(below: Given, over: Given) -> Given:
    """Both descriptions as one; where both say something, `over` counts. Columns are put together by name."""
    found: dict[str, Any] = {name: getattr(below, name) for name in Given.__dataclass_fields__}
    chosen = {name: getattr(over, name) for name in Given.__dataclass_fields__ if _says(over, name)}
    if over.delimiter:
        found["widths"] = ()
    # A type counts lines for its own files: where one of them is chosen anew, the others are found again.
    if any(name in chosen for name in _LINES):
        found |= dict.fromkeys(_LINES)
    if "columns" in chosen:
        chosen["columns"] = _merged_columns(below.columns, over.columns)
    found |= chosen
    if found["decimal"] and found["decimal"] == found["thousands"]:
        found["thousands" if "decimal" in chosen else "decimal"] = None
    return Given(**found)


def _says(given: Given, name: str) -> bool:
    """Whether the field says something: texts of marks do so when they are empty, too."""
    value = getattr(given, name)
    if name in ("sensor", "unit"):
        return bool(value)
    return not (value is None or value == () or (name, value) == ("other_columns", "detect"))


def _merged_columns(below: tuple[GivenColumn, ...], over: tuple[GivenColumn, ...]) -> tuple[GivenColumn, ...]:
    columns = {column.name: column for column in below}
    for column in over:
        known = columns.get(column.name)
        columns[column.name] = column if known is None else GivenColumn(
            column.name,
            known.role if column.role is None else column.role,
            known.unit if column.unit is None else column.unit,
            column.sensor or known.sensor,
            column.missing or known.missing,
        )  # fmt: skip
    return tuple(columns.values())


def read(form: Mapping[str, str]) -> tuple[Choices, Complaints]:
    """What the form says, without what is wrong in it; and what is wrong, by the name of the field."""
    complaints: Complaints = {}
    layout = _layout(form, complaints)
    plain = {name: form.get(name, "").strip() for name in ("file_type", "timezone", "date_order")}
    if "looked" in form:
        layout = _settings(form, layout, complaints)
        columns = _columns(form, layout.pop("columns", []), complaints)
        layout |= {"columns": columns} if columns else {}
        for number, question in enumerate(questions(form)):
            answer = form.get(f"answer-{number}", "")
            found = [at for at in range(len(question.choices)) if str(at) == answer]
            if not found or found[0] == question.answer:
                continue  # not new: another field may have been changed since
            changes = dict(question.choices[found[0]][1])
            plain |= {name: str(changes.pop(name)) for name in ("timezone", "date_order") if name in changes}
            layout |= changes
    for name in ("timezone", "date_order"):
        plain[name] = _checked(name, {name: plain[name]}, complaints).get(name, "") if plain[name] else ""
    if plain["timezone"]:
        plain["timezone"] = str(getattr(zone(plain["timezone"]), "key", plain["timezone"]))  # europe/dublin
    return Choices(**plain, layout=_checked("layout", layout, complaints)), complaints


def questions(form: Mapping[str, str]) -> list[Question]:
    """The doubts that the page showed, as its field `asked` brings them back; none where that is damaged."""
    try:
        return [
            Question(
                str(one["code"]), str(one["text"]), tuple((str(a), dict(b)) for a, b in one["choices"]), one["answer"]
            )
            for one in json.loads(form.get("asked") or "[]")[:_MAX_QUESTIONS]
        ]
    except (ValueError, TypeError, KeyError, RecursionError):
        return []


def asked(shown: list[Question]) -> str:
    """The value of the field `asked`."""
    return to_text([{"code": q.code, "text": q.text, "choices": q.choices, "answer": q.answer} for q in shown])


def to_text(value: Any) -> str:
    """JSON as a hidden field holds it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _layout(form: Mapping[str, str], complaints: Complaints) -> dict[str, Any]:
    """The choices so far."""
    try:
        found = json.loads(form.get("layout") or "{}")
        to_text(found).encode()  # half a character, which JSON can write, cannot go into a page
    except (ValueError, RecursionError):
        complaints["layout"] = ["The choices on this page were damaged. Start over."]
        return {}
    return _checked("layout", found, complaints)


def _checked(name: str, found: Any, complaints: Complaints) -> dict[str, Any]:
    """The same if it is a layout, else nothing and a complaint."""
    try:
        Given.from_json(found)
    except FormatError as error:
        complaints.setdefault(name, []).append(layout_form.sentence(error))
        return {}
    return dict(found)


def _settings(form: Mapping[str, str], layout: dict[str, Any], complaints: Complaints) -> dict[str, Any]:
    """The choices with those of the fields that were shown; what a field of the page does not show stays."""
    shown = {name: form[name] for name in SETTINGS if name in form}
    kept = {name: value for name, value in layout.items() if name not in shown}
    while True:
        try:
            return kept | layout_form.read(shown).to_json()
        except FormErrors as errors:
            complaints |= errors.complaints
            names = {*errors.complaints, *(["delimiter"] if "widths" in errors.complaints else [])}
            wrong = [name for name in names if shown.pop(name, None) is not None]
            if not wrong:
                return kept


def _columns(form: Mapping[str, str], before: list[Any], complaints: Complaints) -> list[dict[str, Any]]:
    """The columns of which something was chosen: a role other than the one found, a unit or a name in the book other
    than the one shown."""
    columns = {column["name"]: dict(column) for column in before}
    for key in form:
        match = _COLUMN_NAME.fullmatch(key)
        if not match:
            continue
        row = f"column-{match[1]}"
        column = columns.setdefault(form[key], {"name": form[key]})
        column.pop("role", None)
        if form.get(f"{row}-role"):
            column["role"] = form[f"{row}-role"]
        unit = form.get(f"{row}-unit")
        if unit is not None and unit.strip() != form.get(f"{row}-shown", ""):
            column["unit"] = unit.strip()
        sensor = form.get(f"{row}-sensor")
        if sensor is not None and sensor.strip() != form.get(f"{row}-called", ""):
            column["sensor"] = sensor.strip() or form[key]  # its own name, over what a file type says
        if not _checked(row, {"columns": [column]}, complaints):
            complaints[row] = [re.sub(r"^Columns\[0\]\.", "The ", text) for text in complaints[row]]
            del columns[form[key]]
    return [column for column in columns.values() if len(column) > 1]
