"""Ready-made file types: each on a few lines as the format's description has them, written for this test."""

import json
from typing import Any

import pytest
from flask import Flask

from daybook import file_types, ready_made_types
from daybook.config import ROOT
from daybook.formats.preview import Preview, preview
from daybook.times import iso
from tests.ready_made_cases import CASES

# Lines behind the data, which are rejected, as they should be: they are no rows.
FOOTERS = ("END OF DATA FILE OF DATALOGGER FOR WINDOWS", "Gb(i): Beam irradiance (W/m2)")
TYPES = {ready.name: ready for ready in ready_made_types.all_types()}


def read(name: str, text: str) -> Preview:
    return preview(text.encode(), whole=True, given=TYPES[name].given, unpacked_max_bytes=1 << 20)


def test_every_type_has_a_case() -> None:
    assert CASES.keys() == TYPES.keys()


# Detection takes its 27 columns of numbers for the hours of a day although the type says that its shape is wide.


@pytest.mark.parametrize("name", CASES)
def test_a_file_of_the_make_comes_out_right(name: str) -> None:
    case = CASES[name]
    found = read(name, case.text)
    assert found.problem is None, found.problem
    assert not [line for line in found.lines if line.kind == "rejected" and line.text not in FOOTERS]
    values: dict[str, list[float]] = {}
    for sensor, _, value in found.sample:
        values.setdefault(sensor, []).append(value)
    assert {sensor: values.get(sensor) for sensor in case.values} == case.values
    assert found.rows == case.rows
    assert found.first_time is not None
    assert iso(found.first_time) == case.first
    units = {shown.column.sensor_name: shown.column.unit for shown in found.columns} | {"energy": "kWh", "power": "W"}
    assert {sensor: units[sensor] for sensor in case.units if sensor != "energy"} == {
        sensor: unit for sensor, unit in case.units.items() if sensor != "energy"
    }


@pytest.mark.parametrize("name", CASES)
def test_a_file_of_the_make_is_known_for_what_it_is(app: Flask, name: str) -> None:
    with app.app_context():
        found = file_types.matching(CASES[name].text.splitlines())
    assert found, "nothing matches"
    assert found[0].name == name


@pytest.mark.parametrize(("stamp", "time"), [("20260113", "00:00"), ("2026011305", "05:00"), ("202601130510", "05:10")])
def test_the_three_forms_of_dwd_are_one_type(stamp: str, time: str) -> None:
    rows = "".join(f"3;{stamp.replace('0113', f'01{day}')};{day};eor\n" for day in (13, 14))
    found = read("DWD CDC", "STATIONS_ID;MESS_DATUM;TMK;eor\n" + rows)
    assert iso(found.first_time or 0) == f"2026-01-13T{time}:00Z"


def test_every_type_names_its_source_and_is_in_the_document() -> None:
    document = (ROOT / "docs/file-types.md").read_text()
    for ready in TYPES.values():
        assert ready.source.startswith("https://")
        assert ready.about.endswith(".")
        row = next((line for line in document.splitlines() if line.startswith(f"| {ready.name} |")), "")
        assert ready.about in row, ready.name
        assert ready.source.split()[0] in row


def test_names_are_ones_that_could_be_saved() -> None:
    for name in TYPES:
        assert file_types.clean_name(name) == name
    assert len({name.casefold() for name in TYPES}) == len(TYPES)


def _files() -> list[Any]:
    return sorted((ROOT / "daybook/ready_made_types").glob("*.json"))


def test_a_file_says_nothing_but_what_a_type_has() -> None:
    for path in _files():
        assert json.loads(path.read_text()).keys() == {"name", "about", "source", "layout"}, path.name
