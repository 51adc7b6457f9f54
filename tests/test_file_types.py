"""File types: saved, found, listed, changed, matched, and carried in files; their form; and that all is documented."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.engine import Engine

from daybook import file_type_files, file_types, imports, layout_form, ready_made_types
from daybook.config import ROOT
from daybook.extensions import db
from daybook.file_types import FileTypeError
from daybook.formats.given import Given, GivenColumn
from daybook.formats.layout import FormatError
from daybook.layout_form import FormErrors
from daybook.models import FileType, Upload
from daybook.upload_options import Options, Sender

MAST = Given(
    delimiter=";",
    decimal=",",
    date_order="dmy",
    columns=(GivenColumn("Zeit", "time"), GivenColumn("Wind", "value", "m/s", "WS_80m", ("-99", "n; a"))),
    missing=("-9999", "No Data"),
    time_formats=("%d.%m.%Y %H:%M", "%d.%m.%Y"),
    timezone="Europe/Berlin",
)
DOCUMENT = (ROOT / "docs/file-types.md").read_text()


@pytest.fixture
def book(app: Flask) -> Iterator[None]:
    """A context in which types can be saved."""
    with app.app_context():
        yield


def layout_of(name: str) -> Given | None:
    found = file_types.find_type(name)
    return found.given if found else None


def refusal(what: Callable[[], Any]) -> str:
    with pytest.raises(FileTypeError) as caught:
        what()
    return caught.value.code


# --- saving and finding


def test_a_saved_type_is_found_however_its_name_is_written(book: None) -> None:
    file_types.save("  Mast 3 Ärger ", MAST)
    assert layout_of("mast 3 ÄRGER") == MAST
    assert file_types.find_type("MAST 3 ärger").name == "Mast 3 Ärger"  # type: ignore[union-attr]
    assert layout_of("Mast 4") is None
    assert layout_of("campbell toa5") is not None


def test_names_are_unique_without_case_also_among_the_ready_made(book: None) -> None:
    file_types.save("Mast Ä", MAST)
    assert refusal(lambda: file_types.save("mast ä", MAST)) == "file_type_exists"
    assert refusal(lambda: file_types.save("CAMPBELL TOA5", MAST)) == "ready_made"
    file_types.save("Other", MAST)
    assert refusal(lambda: file_types.replace("Other", MAST, new_name="MAST Ä")) == "file_type_exists"
    assert file_types.replace("Other", MAST, new_name="OTHER").name == "OTHER"


@pytest.mark.parametrize("name", ["", "  ", "x" * 65, "a/b", "a\\b", "a\x00b", "a\nb", "..", "New", "export", "try"])
def test_names_that_cannot_stand_in_an_address_are_refused(book: None, name: str) -> None:
    assert refusal(lambda: file_types.save(name, MAST)) == "bad_name"
    assert layout_of(name) is None


def test_half_a_character_is_refused_because_no_page_could_show_it(book: None) -> None:
    half = Given(columns=(GivenColumn("a\ud800"),))
    assert refusal(lambda: file_types.save("Mast", half)) == "bad_layout"
    file_types.save("Mast", MAST)
    assert refusal(lambda: file_types.replace("Mast", half)) == "bad_layout"
    text = '{"name": "Mast 2", "layout": {"columns": [{"name": "a\\ud800"}]}}'
    assert refusal(lambda: file_type_files.from_text(text)) == "bad_layout"


@pytest.mark.parametrize("ask", [lambda: file_types.find_type("Mast"), file_types.saved_types, file_types.list_types])
def test_looking_at_types_leaves_no_transaction_open(book: None, ask: Callable[[], Any]) -> None:
    """A preview computes for seconds after it, and on SQLite nobody else could write meanwhile."""
    file_types.save("Mast", MAST)
    ask()
    assert not db.session().in_transaction()


def test_two_that_make_the_same_name_at_once_are_told(book: None, monkeypatch: pytest.MonkeyPatch) -> None:
    file_types.save("Mast", MAST)
    monkeypatch.setattr(file_types, "_names", list)  # as if the other one had not committed when this one looked
    assert refusal(lambda: file_types.save("Mast", MAST)) == "file_type_exists"


# --- changing


def test_the_second_of_two_editors_is_told(book: None) -> None:
    seen = file_types.save("Mast", MAST).version
    changed = Given(delimiter=",")
    file_types.replace("Mast", changed, version=seen)
    assert refusal(lambda: file_types.replace("Mast", Given(), version=seen)) == "changed_meanwhile"
    assert layout_of("Mast") == changed
    file_types.replace("Mast", Given(), version=file_types.version_of(changed))
    assert layout_of("Mast") == Given()


def test_what_is_gone_cannot_be_changed_and_ready_made_ones_never(book: None) -> None:
    assert refusal(lambda: file_types.replace("Mast", MAST)) == "not_found"
    assert refusal(lambda: file_types.replace("Campbell TOA5", MAST)) == "ready_made"
    assert refusal(lambda: file_types.delete("Campbell TOA5")) == "ready_made"
    assert file_types.delete("Mast") is False


def test_put_makes_and_replaces(book: None) -> None:
    assert file_types.put("Mast", MAST)[1] is True
    assert file_types.put("Mast", Given())[1] is False
    assert layout_of("Mast") == Given()


def test_deleting_leaves_the_uploads_that_it_read(book: None, engine: Engine) -> None:
    file_types.save("Mast", MAST)
    number = imports.announce(engine, "a.csv", Options(), Sender())
    upload = db.session.get_one(Upload, number)
    upload.file_type_id, upload.layout = db.session.query(FileType).one().id, {"shape": "wide"}
    db.session.commit()
    assert file_types.upload_count("mast") == 1
    assert file_types.list_types().types[0].uploads == 1
    assert file_types.delete("MAST") is True
    db.session.expire_all()
    upload = db.session.get_one(Upload, number)
    assert (upload.file_type_id, upload.layout) == (None, {"shape": "wide"})


# --- the list


def test_the_list_has_saved_types_by_name_then_the_ready_made_ones(book: None) -> None:
    for name in ("beta", "Alpha", "ähnlich", "Gamma"):
        file_types.save(name, MAST)
    whole = file_types.list_types(limit=1000)
    assert [named.name for named in whole.types[:4]] == ["Alpha", "beta", "Gamma", "ähnlich"]
    assert [named.ready_made for named in whole.types] == [False] * 4 + [True] * len(ready_made_types.all_types())
    assert whole.next is None
    paged, after = [], None
    while True:
        page = file_types.list_types(after, limit=3)
        paged += [named.name for named in page.types]
        if page.next is None:
            break
        after = page.next
    assert paged == [named.name for named in whole.types]


def test_the_next_page_follows_a_type_that_was_deleted_meanwhile(book: None) -> None:
    for name in ("a", "b", "c"):
        file_types.save(name, MAST)
    following = file_types.list_types(limit=2).next
    file_types.delete("b")
    assert file_types.list_types(following, limit=1).types[0].name == "c"


# --- what a file looks like


def names(lines: list[str]) -> list[str]:
    return [named.name for named in file_types.matching(lines)]


def test_a_type_is_known_by_its_columns_wherever_the_header_stands(book: None) -> None:
    file_types.save("Mast", MAST)
    assert names(["\ufeffZeit;Wind;More", "01.02.2026 00:00;1,5;2"]) == ["Mast"]
    assert names(["prose"] * 400 + ['"Zeit" ; "Wind"']) == ["Mast"]
    assert names(["Zeit,Wind"]) == []
    assert names(["Zeit;Windrichtung"]) == []
    assert names(["prose"] * 500 + ["Zeit;Wind"]) == []
    assert names([]) == []


def test_a_type_without_a_delimiter_is_known_by_each(book: None) -> None:
    file_types.save("Any", Given(columns=(GivenColumn("t"), GivenColumn("wind speed"))))
    for line in ("t,wind speed", "t\twind speed", "t|wind speed", '"wind speed";t'):
        assert names([line]) == ["Any"]


def test_signs_are_found_in_the_first_lines_without_case(book: None) -> None:
    file_types.save("Signed", Given(signs=("Made by ACME", "v2")))
    assert names(["made by acme", "", "V2 of it"]) == ["Signed"]
    assert names(["made by acme"]) == []
    assert names(["x"] * 30 + ["made by acme v2"]) == []


def test_signs_and_columns_are_both_needed_where_both_are_given(book: None) -> None:
    file_types.save("Both", Given(signs=("acme",), columns=(GivenColumn("t"),)))
    assert names(["acme", "t,a"]) == ["Both"]
    assert names(["acme", "at,a"]) == []
    assert names(["t,a"]) == []


def test_the_best_comes_first_and_saved_ones_before_ready_made_ones(book: None) -> None:
    file_types.save("One", Given(columns=(GivenColumn("time"),), signs=("kWh",)))
    file_types.save("Two", Given(columns=(GivenColumn("time"), GivenColumn("kWh.first")), signs=("time",)))
    file_types.save("Empty", Given())
    assert names(['"time","kWh.first"']) == ["Two", "One", "Chronograf"]


def test_a_type_without_a_header_is_known_by_its_number_of_cells_and_numbers_in_the_time(book: None) -> None:
    columns = (GivenColumn("column 1", "year"), GivenColumn("column 2", "doy"), GivenColumn("column 3", "value"))
    file_types.save("Bare", Given(header_line=0, delimiter=" ", columns=columns, data_line=2))
    assert names(["title", "2026 1 3.5", " 2026   2  4.5"]) == ["Bare"]
    assert names(["title", "2026 1 3.5 9", "2026 2 4.5 9"]) == []
    assert names(["title", "year doy wind", "2026 2 4.5"]) == []
    assert names(["title", "2026 1 3.5"]) == []
    widths = Given(header_line=0, delimiter="", widths=(4, 3, 5), columns=columns)
    file_types.replace("Bare", widths)
    assert names(["2026001  3.5", "2026002  4.5"]) == ["Bare"]


def test_json_is_known_by_its_keys(book: None) -> None:
    file_types.save("Json", Given(file="json", columns=(GivenColumn("at", "time"), GivenColumn("v.kWh", "value"))))
    assert names(['[{"at": 1, "v": {"kWh": 2}}]']) == ["Json"]
    assert names(['[{"at": 1, "w": 2}]']) == []


# --- files


def test_types_go_into_a_file_and_come_back(book: None) -> None:
    file_types.save("Mast", MAST)
    file_types.save("Other", Given())
    text = file_type_files.to_text(file_types.saved_types())
    assert file_type_files.from_text(text) == [("Mast", MAST), ("Other", Given())]
    assert file_type_files.from_text(json.dumps({"name": "One", "layout": {}})) == [("One", Given())]
    assert file_type_files.from_text("\ufeff" + json.dumps([{"name": "One", "layout": {}}])) == [("One", Given())]


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("nonsense", "bad_json", "not JSON"),
        ("[" * 100_000, "bad_json", "not JSON"),
        ("3", "bad_json", "no file type in it"),
        ("[]", "bad_json", "no file type in it"),
        ('{"file_types": [{"layout": {}}]}', "bad_json", "file type 1 has no name"),
        ('[{"name": "a/b", "layout": {}}]', "bad_name", "file type 1: the name"),
        (
            '[{"name": "a", "layout": {}}, {"name": "b", "layout": {"delimiter": "x"}}]',
            "bad_layout",
            '2, "b": delimiter',
        ),
        ('[{"name": "a"}]', "bad_layout", '1, "a": layout'),
        ('[{"name": "a", "layout": {}}, {"name": "A", "layout": {}}]', "bad_name", 'named "a"'),
    ],
)
def test_a_file_that_holds_no_types_is_told_where(text: str, code: str, words: str) -> None:
    with pytest.raises(FileTypeError, match=re.escape(words)) as caught:
        file_type_files.from_text(text)
    assert caught.value.code == code


def test_importing_adds_and_replaces_only_what_was_said(book: None) -> None:
    file_types.save("Mast", MAST)
    types = [("Mast", Given()), ("New one", MAST), ("Campbell TOA5", Given())]
    done = file_types.import_types(types, frozenset())
    assert (done.added, done.replaced, done.left, done.ready_made) == (["New one"], [], ["Mast"], ["Campbell TOA5"])
    assert layout_of("Mast") == MAST
    done = file_types.import_types(types, frozenset({"Mast"}))
    assert (done.replaced, done.left) == (["Mast"], ["New one"])
    assert layout_of("Mast") == Given()


# --- the form


def flat(values: dict[str, Any]) -> dict[str, str]:
    """The values as a browser sends them."""
    form = {name: value for name, value in values.items() if name != "columns"}
    for index, row in enumerate(values["columns"]):
        form |= {f"column-{index}-{name}": value for name, value in row.items()}
    return form


EVERYTHING = Given(
    file="text",
    path="a.b",
    sheet="Data",
    encoding="cp1252",
    delimiter="",
    widths=(4, 3, 8),
    shape="pivot",
    header_line=0,
    units_line=0,
    data_line=7,
    columns=(GivenColumn("column 1", "year", "", "", ("x;y", "z")), GivenColumn("column 2")),
    other_columns="ignore",
    decimal=",",
    thousands="",
    missing=(" - 1", "No Data"),
    date_order="ymd",
    time_formats=("%Y-%m-%d",),
    epoch="",
    timezone="+01:00",
    unit_in_name=False,
    sensor="energy",
    unit="kWh",
    signs=("a", "b c"),
)


@pytest.mark.parametrize("given", [Given(), MAST, EVERYTHING, Given(file="json", path="")])
def test_a_layout_goes_into_the_form_and_comes_back(given: Given) -> None:
    assert layout_form.read(flat(layout_form.to_form(given))) == given
    assert layout_form.typed(flat(layout_form.to_form(given)))["columns"] == layout_form.to_form(given)["columns"]


def test_the_form_has_every_field_of_a_layout() -> None:
    values = layout_form.to_form(Given())
    assert {field.name for field in fields(Given)} <= values.keys()
    assert {field.name for field in fields(GivenColumn)} == set(layout_form.COLUMN_FIELDS)
    assert all(getattr(EVERYTHING, field.name) != field.default for field in fields(Given)), "EVERYTHING lacks a field"
    assert all(value in ("", []) for value in values.values()), "a new form finds everything out"


def test_everything_that_is_wrong_is_told_at_once_beside_its_field() -> None:
    form = {
        "delimiter": "widths",
        "encoding": "ebcdic",
        "header_line": "first",
        "data_line": "0",
        "timezone": "Europe/Atlantis",
        "time_formats": "%d/%m/%Y\n%Q",
        "column-0-name": "a",
        "column-0-role": "boss",
        "column-1-unit": "m",
    }
    with pytest.raises(FormErrors) as caught:
        layout_form.read(form)
    complaints = caught.value.complaints
    assert complaints.keys() == {
        *("widths", "encoding", "header_line", "data_line", "timezone", "time_formats", "column-0", "column-1")
    }
    assert "4, 8, 8" in complaints["widths"][0]
    assert "%Q" in complaints["time_formats"][0]
    assert "Atlantis" in complaints["timezone"][0]


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"decimal": "comma", "thousands": "comma"}, "decimal"),
        ({"header_line": "5", "data_line": "4"}, "data_line"),
        ({"column-0-name": "a", "column-1-name": "a"}, "columns"),
    ],
)
def test_fields_that_do_not_go_together_are_told_beside_one_of_them(form: dict[str, str], field: str) -> None:
    with pytest.raises(FormErrors) as caught:
        layout_form.read(form)
    assert caught.value.complaints.keys() == {field}


def test_empty_rows_of_columns_count_for_nothing_and_rows_may_be_missing() -> None:
    form = {"column-7-name": " b ", "column-2-name": "a", "column-3-name": "", "column-3-unit": " "}
    assert [column.name for column in layout_form.read(form).columns] == ["a", "b"]


def test_a_type_is_told_in_a_few_words() -> None:
    assert layout_form.summary(Given()) == "everything is found out from each file"
    words = layout_form.summary(MAST)
    for part in ("semicolons", "2 columns named", "day first", "times in Europe/Berlin"):
        assert part in words


# --- the document


@pytest.mark.parametrize("name", [field.name for field in fields(Given)])
def test_every_field_of_a_layout_is_documented(name: str) -> None:
    assert f"| `{name}` |" in DOCUMENT.split("## Columns")[0]


@pytest.mark.parametrize("name", [field.name for field in fields(GivenColumn)])
def test_every_field_of_a_column_is_documented(name: str) -> None:
    assert f"| `{name}` |" in DOCUMENT.split("## Columns")[1]


def test_every_role_of_a_column_is_documented_and_in_the_form() -> None:
    from typing import get_args

    from daybook.formats.layout import Role

    assert set(get_args(Role)) == layout_form.CHOICES["role"].keys()
    for role in get_args(Role):
        assert f"`{role}`" in DOCUMENT


def test_the_examples_in_the_document_are_layouts() -> None:
    blocks = re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)
    assert len(blocks) >= 3
    for block in blocks:
        found = json.loads(block)
        try:
            file_type_files.from_text(block) if "name" in found or "file_types" in found else Given.from_json(found)
        except (FileTypeError, FormatError) as error:
            pytest.fail(f"{error}\n{block}")
