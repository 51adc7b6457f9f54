"""The choices of a preview: read from the form, kept apart from what was found, and put over a file type."""

import json

import pytest

from daybook import preview_choices
from daybook.formats.given import Given, GivenColumn
from daybook.preview_choices import Choices, Question, merged


def read(**fields: str) -> Choices:
    choices, complaints = preview_choices.read({"looked": "1", **fields})
    assert not complaints
    return choices


def test_without_a_preview_the_form_says_what_its_plain_fields_say() -> None:
    choices, complaints = preview_choices.read(
        {"file_type": " Mast 12 ", "timezone": "europe/dublin", "date_order": ""}
    )
    assert (choices, complaints) == (Choices("Mast 12", "Europe/Dublin"), {})


def test_only_what_was_changed_becomes_a_choice() -> None:
    columns = {
        "column-0-name": "time",
        "column-0-role": "",
        "column-1-name": "a",
        "column-1-role": "",
        "column-1-unit": "m/s",
    }
    shown = {"column-1-shown": "m/s", "delimiter": "", "header_line": "", "missing": "", "decimal": ""}
    assert read(**columns, **shown).layout == {}
    choices = read(**columns | {"column-1-role": "text", "column-1-unit": "ft/s"}, **shown | {"decimal": "comma"})
    assert choices.layout == {"decimal": ",", "columns": [{"name": "a", "role": "text", "unit": "ft/s"}]}


def test_choices_so_far_stay_and_a_field_set_back_is_found_out_again() -> None:
    before = {
        "encoding": "cp1252",
        "decimal": ",",
        "columns": [{"name": "a", "role": "text"}, {"name": "b", "unit": "V"}],
    }
    fields = {"decimal": "", "column-0-name": "a", "column-0-role": "", "column-1-name": "b", "column-1-role": ""}
    choices = read(layout=json.dumps(before), **fields)
    assert choices.layout == {"encoding": "cp1252", "columns": [{"name": "b", "unit": "V"}]}


def test_a_unit_that_was_emptied_is_none_at_all() -> None:
    fields = {"column-0-name": "a", "column-0-role": "", "column-0-unit": " ", "column-0-shown": "m/s"}
    assert read(**fields).layout == {"columns": [{"name": "a", "unit": ""}]}


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"header_line": "four"}, "header_line"),
        ({"timezone": "Dublin"}, "timezone"),
        ({"date_order": "ydm"}, "date_order"),
        ({"delimiter": "widths", "widths": ""}, "widths"),
        ({"time_formats": "%Q"}, "time_formats"),
        ({"column-0-name": "a", "column-0-role": "king"}, "column-0"),
        ({"layout": "{"}, "layout"),
        ({"layout": '{"king": 1}'}, "layout"),
        ({"layout": "[]"}, "layout"),
    ],
)
def test_what_is_wrong_is_named_and_left_out(fields: dict[str, str], complaint: str) -> None:
    choices, complaints = preview_choices.read({"looked": "1", "decimal": "comma", **fields})
    assert list(complaints) == [complaint]
    assert choices == Choices(layout={"decimal": ","})


DAYS = (("9 January", {"date_order": "dmy"}), ("1 September", {"date_order": "mdy"}))
NUMBERS = (("thousands", {"decimal": ".", "thousands": ","}), ("a decimal comma", {"decimal": ","}))
QUESTIONS = [Question("ambiguous_dates", "Day or month?", DAYS), Question("ambiguous_numbers", "1,234?", NUMBERS)]


def test_an_answer_makes_the_changes_of_its_choice() -> None:
    form = {"asked": preview_choices.asked(QUESTIONS), "answer-0": "1", "answer-1": "0"}
    choices = read(**form)
    assert choices.date_order == "mdy"
    assert choices.layout == {"decimal": ".", "thousands": ","}
    assert [question.answered_by(choices).answer for question in preview_choices.questions(form)] == [1, 0]


def test_an_old_answer_gives_way_to_a_field_that_was_changed_since() -> None:
    asked = preview_choices.asked([QUESTIONS[0].answered_by(Choices(date_order="dmy"))])
    assert read(asked=asked, date_order="mdy", **{"answer-0": "0"}).date_order == "mdy"
    assert read(asked=asked, date_order="dmy", **{"answer-0": "1"}).date_order == "mdy"


@pytest.mark.parametrize("asked", ["", "{", "[1]", '[{"code": 1}]', "null", "[" * 5000])
def test_damaged_questions_are_none(asked: str) -> None:
    assert preview_choices.questions({"asked": asked}) == []


@pytest.mark.parametrize("answer", ["", "7", "-1", "x", "²"])
def test_an_answer_that_is_none_changes_nothing(answer: str) -> None:
    assert read(asked=preview_choices.asked(QUESTIONS), **{"answer-0": answer}) == Choices()


# --- over a file type


def test_choices_count_more_than_the_file_type_and_columns_are_put_together() -> None:
    known = (GivenColumn("a", "value", "m/s"), GivenColumn("b", "text"))
    file_type = Given(delimiter=";", date_order="dmy", timezone="Europe/Paris", columns=known)
    columns = [{"name": "a", "unit": ""}, {"name": "c", "role": "time"}]
    given = Choices(timezone="UTC", layout={"decimal": ",", "columns": columns}).over(file_type)
    assert (given.delimiter, given.date_order, given.timezone, given.decimal) == (";", "dmy", "UTC", ",")
    assert given.columns == (GivenColumn("a", "value", ""), GivenColumn("b", "text"), GivenColumn("c", "time"))


def test_nothing_chosen_is_the_file_type_and_nothing_at_all_is_nothing() -> None:
    file_type = Given(header_line=4, data_line=6, delimiter="", widths=(4, 8), missing=("99",), other_columns="ignore")
    assert Choices().over(file_type) == file_type
    assert Choices().over(None) == Given()


def test_choices_that_contradict_the_file_type_take_its_fields_along() -> None:
    file_type = Given(header_line=4, units_line=5, data_line=6, delimiter="", widths=(4, 8), thousands=",")
    given = merged(file_type, Given.from_json({"header_line": 9, "delimiter": ";", "decimal": ","}))
    assert (given.header_line, given.units_line, given.data_line) == (9, None, None)
    assert (given.delimiter, given.widths, given.decimal, given.thousands) == (";", (), ",", None)
    Given.from_json(given.to_json())  # is a description that can be kept
