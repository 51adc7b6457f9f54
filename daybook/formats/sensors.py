"""Narrow files: which sensor each row belongs to, in which unit, and whether all of them are of one source."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daybook.formats.batch import Bools, Int64s, Issue, shown
from daybook.formats.cells import clean_name, why_bad_name
from daybook.formats.layout import FormatError, Layout


class Sensors:
    """The sensors of one narrow file, known by a number each, in the order in which they come."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._sensor_column = layout.of_role("sensor")[0]
        self._unit_column = next(iter(layout.of_role("unit")), None)
        self._source_column = next(iter(layout.of_role("source")), None)
        self._unit_in_name = layout.unit_in_name and self._unit_column is not None
        self.labels: list[str] = []
        self._codes: dict[str, int] = {}
        self._named: dict[str, tuple[int, int]] = {}
        self._units: dict[int, str] = {}
        self._source: str | None = None
        self._new_units: dict[int, str] = {}
        self._new_source: str | None = None

    @property
    def columns(self) -> list[int]:
        """The columns that `identify` needs, as text."""
        found = (self._sensor_column, self._unit_column, self._source_column)
        return [index for index in found if index is not None]

    def unit(self, code: int) -> str:
        """The sensor's unit: the first that the file gives it."""
        unit = self._new_units.get(code, self._units.get(code, ""))
        return "".join(letter for letter in unit if letter.isprintable())[:64]

    def series_of(self, code: int, column: int, several: bool) -> tuple[str, str]:
        """Name and unit of the readings that this sensor has in that column. Where several columns hold readings, the
        column's name comes first: "usage 8716871". Raises FormatError where two of them would be the same."""
        label, about = self.labels[code], self._layout.columns[column]
        if not several:
            return label, self.unit(code)
        name = f"{about.sensor_name} {label}"
        if self._named.setdefault(name, (code, column)) != (code, column):
            raise FormatError(
                "bad_layout",
                f'two of the file\'s columns and sensors together make the name "{shown(name)}"',
                "Give one of the columns another sensor name.",
            )
        return name, about.unit or self.unit(code)

    def remember(self) -> None:
        """Keeps what the last call of `identify` found out; without it, that block may be read again."""
        self._units |= self._new_units
        self._source = self._new_source

    def identify(
        self, columns: dict[int, pa.Array], good: Bools | None = None, numbers: Int64s | None = None
    ) -> tuple[Int64s, list[Issue]]:
        """The sensor of every row, -1 where it has none, and why not; rows that are not `good` do not count.

        Raises FormatError at a row of another source, when it knows the lines' `numbers`.
        """
        self._new_units, self._new_source = {}, self._source
        names, code_of = _kinds(columns[self._sensor_column])
        units, unit_of = ([""], np.zeros(len(code_of), np.int64))
        if self._unit_column is not None:
            units, unit_of = _kinds(columns[self._unit_column])
        lines = numbers if numbers is not None else np.arange(len(code_of))
        good = np.ones(len(code_of), np.bool_) if good is None else good
        faults: list[Issue] = []
        codes = np.full(len(code_of), -1, np.int64)
        rows = np.flatnonzero(good)
        # Names with their units, numbered as they come in the file: as many as there are, not as there could be.
        pairs = pa.array(code_of[rows] * len(units) + unit_of[rows]).dictionary_encode()
        kinds = pairs.indices.to_numpy()
        code_of_kind = np.full(len(pairs.dictionary), -1, np.int64)
        for kind, pair in enumerate(pairs.dictionary.to_pylist()):
            name, unit = names[pair // len(units)], units[pair % len(units)]
            label = clean_name(f"{name} {unit}") if self._unit_in_name else name
            reason = why_bad_name(name) or why_bad_name(label)
            column = self._sensor_column
            if not reason:
                code = self._code(label)
                known = self._new_units.get(code, self._units.get(code, ""))
                if unit and known and unit != known:
                    assert self._unit_column is not None
                    column, reason = self._unit_column, f'is another unit than {shown(known)}, that of "{label}" so far'
                else:
                    code_of_kind[kind] = code
                    if unit and not known:
                        self._new_units[code] = unit
            if reason:
                for row in rows[kinds == kind]:
                    text = shown(str(columns[column][int(row)].as_py()))
                    faults.append(Issue(int(lines[row]), self._layout.columns[column].name, text, reason))
        codes[rows] = code_of_kind[kinds]
        faults += self._check_source(columns, np.flatnonzero(codes >= 0), numbers)
        return codes, faults

    def split(self, sensor_of: Int64s, rows: Int64s) -> Iterator[tuple[int, Int64s]]:
        """The rows of each sensor, in their order."""
        by_code = rows[np.argsort(sensor_of[rows], kind="stable")]
        for members in np.split(by_code, np.flatnonzero(np.diff(sensor_of[by_code])) + 1):
            if len(members):
                yield int(sensor_of[members[0]]), members

    def _code(self, label: str) -> int:
        if label not in self._codes:
            self._codes[label] = len(self.labels)
            self.labels.append(label)
        return self._codes[label]

    def _check_source(self, columns: dict[int, pa.Array], rows: Int64s, numbers: Int64s | None) -> list[Issue]:
        if self._source_column is None or not len(rows):
            return []
        names, code_of = _kinds(columns[self._source_column].take(pa.array(rows)))
        self._new_source = names[int(code_of[0])] if self._source is None else self._source
        others = np.flatnonzero(np.array([name != self._new_source for name in names])[code_of])
        if not len(others):
            return []
        name = self._layout.columns[self._source_column].name
        row = int(others[0])
        if numbers is None:
            return [Issue(0, name, names[int(code_of[row])], "is another source")]
        raise FormatError(
            "several_sources",
            f'column "{name}" holds readings of more than one source: "{shown(self._new_source)}", and on line '
            f'{int(numbers[rows[row]]):,} "{shown(names[int(code_of[row])])}"',
            "An upload belongs to one source: split the file by that column, or export one source at a time.",
        )


def _kinds(column: pa.Array) -> tuple[list[str], Int64s]:
    """The column's distinct texts as clean names, each once, and which of them every row has."""
    encoded = column.dictionary_encode()
    places: dict[str, int] = {}
    new = [places.setdefault(clean_name(text), len(places)) for text in encoded.dictionary.to_pylist()]
    return list(places), np.array(new, np.int64)[encoded.indices.to_numpy()]


def sensors_with_several_units(names: pa.Array, units: pa.Array) -> dict[str, list[str]]:
    """The sensors of a sample that come in more than one unit, with these units."""
    pairs = pa.table({"name": pc.utf8_trim_whitespace(names), "unit": pc.utf8_trim_whitespace(units)})
    found: dict[str, list[str]] = {}
    for row in pairs.group_by(["name", "unit"]).aggregate([]).to_pylist():
        if row["unit"]:
            found.setdefault(row["name"], []).append(row["unit"])
    return {name: kinds for name, kinds in found.items() if len(kinds) > 1}
