"""What the page of a preview shows, put together: questions, columns, the values of fields, why an upload must wait."""

from collections.abc import Mapping
from typing import Any

from daybook import layout_form, preview_choices, preview_words
from daybook.formats.given import Given
from daybook.formats.layout import FormatError
from daybook.formats.preview import Preview, ShownColumn
from daybook.preview_choices import Choices, Complaints, Question

SHOWN_COLUMNS = 500
FIRST_COLUMNS = 12
# What no setting can mend.
NO_TABLE_AT_ALL = frozenset({"not_text", "markup", "empty_file", "damaged_gzip", "truncated_gzip", "damaged_parquet"})
FIRST_READINGS = 10


def parts_of(
    found: Preview, fields: Mapping[str, str], choices: Choices, by_type: Given | None, complaints: Complaints
) -> dict[str, Any]:
    """What templates/uploads/preview.html names of one preview. fields: of the form as it came; by_type: what the file
    type says that the preview was made with."""
    questions = questions_of(found, fields, choices)
    first_columns, more_columns = columns_of(found)
    time = "date and time" if found.layout is None or len(found.layout.time_columns) < 2 else "date"
    return {
        "preview": found,
        "layout": found.layout,
        "choices": choices,
        "complaints": complaints,
        "form": {**fields, **setting_values(fields, choices, complaints)},
        "reason": reason_of(found, complaints),
        "questions": questions,
        "asked": preview_choices.asked(questions),
        "chosen_layout": preview_choices.to_text(choices.layout),
        "type_layout": type_layout(found, choices, by_type),
        "one_sensor": has_one_sensor(found),
        "named_here": names_sensors(found),
        "is_binary": found.problem is not None and found.problem.code == "not_text" and not choices.layout,
        "settings_wrong": any(name in (*preview_choices.SETTINGS, "date_order") for name in complaints),
        "settings_help": found.problem is None or found.problem.code not in NO_TABLE_AT_ALL,
        "found": preview_words.found_words(found, by_type, choices),
        "zone_hint": preview_words.zone_hint(found.layout, by_type),
        "field_choices": layout_form.CHOICES,
        "line_words": preview_words.LINE_WORDS,
        "readings": preview_words.first_readings(found, FIRST_READINGS),
        "columns": first_columns,
        "more_columns": more_columns,
        "role_words": layout_form.CHOICES["role"] | {"time": time},
        "chosen_roles": {column["name"]: column.get("role", "") for column in choices.layout.get("columns", [])},
        "type_roles": {column.name: column.role for column in by_type.columns} if by_type else {},
    }


def reason_of(found: Preview, complaints: Complaints) -> str:
    """Why an upload would be in vain; empty where it would not."""
    if complaints:
        return "Something in the preview cannot be used; it says so beside the field."
    if found.doubts:
        return "Answer the question in the preview first: without an answer the import would be refused."
    if found.problem or found.layout is None:
        return "As it stands, an import would be refused. The preview says why."
    return ""


def has_one_sensor(found: Preview) -> bool:
    """Whether all readings are of one sensor that the file does not name, so that one name and one unit go for all."""
    layout = found.layout
    if layout is None:
        return False
    return bool(layout.sensor) or layout.shape == "pivot" or (layout.shape == "narrow" and not layout.of_role("sensor"))


def names_sensors(found: Preview) -> bool:
    """Whether the names of value columns come into the book, so that each can have another one there."""
    layout = found.layout
    if layout is None or layout.shape == "pivot":
        return False
    return layout.shape == "wide" or len(layout.of_role("value")) > 1


def columns_of(found: Preview) -> tuple[list[tuple[int, ShownColumn]], list[tuple[int, ShownColumn]]]:
    """The columns with their positions in the file: the first ones and those that tell readings apart, and the rest."""
    first: list[tuple[int, ShownColumn]] = []
    more: list[tuple[int, ShownColumn]] = []
    few = len(found.columns) <= FIRST_COLUMNS + 4  # no door for a handful
    for index, one in enumerate(found.columns[:SHOWN_COLUMNS]):
        early = few or index < FIRST_COLUMNS or one.column.role not in ("value", "text")
        (first if early else more).append((index, one))
    return first, more


def questions_of(found: Preview, fields: Mapping[str, str], choices: Choices) -> list[Question]:
    """The doubts there are, and those that were answered, so that an answer can be changed."""
    new = [
        Question(doubt.code, doubt.question, tuple((one.label, dict(one.changes)) for one in doubt.choices))
        for doubt in found.doubts
    ]
    codes = {question.code for question in new}
    before = [question.answered_by(choices) for question in preview_choices.questions(fields)]
    return [one for one in before if one.code not in codes and one.answer is not None] + new


def setting_values(fields: Mapping[str, str], choices: Choices, complaints: Complaints) -> dict[str, Any]:
    """What stands in the fields: what was chosen; where that is wrong, what was typed."""
    values = layout_form.to_form(Given.from_json(choices.layout))
    values |= {"timezone": choices.timezone, "date_order": choices.date_order, "file_type": choices.file_type}
    typed = {*complaints, *(["delimiter"] if "widths" in complaints else [])}
    return values | {name: fields[name] for name in typed if name in fields}


def type_layout(found: Preview, choices: Choices, by_type: Given | None) -> str:
    """What "Save as file type" keeps: the layout as it is, and what was said beyond it. Empty where there is none."""
    if found.layout is None or found.problem:
        return ""
    try:
        given = preview_choices.merged(Given.of(found.layout), choices.over(by_type))
    except FormatError:
        return ""
    return preview_choices.to_text(given.to_json())
