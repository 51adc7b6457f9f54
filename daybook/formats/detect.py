"""Finding the layout of a table of text from its first part."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import pyarrow as pa

from daybook.formats import times
from daybook.formats.cells import column_names
from daybook.formats.date_order import decide_date_order, stated_order
from daybook.formats.declared import declared_missing, stated_zone
from daybook.formats.given import Given
from daybook.formats.header import Header, column_units, find_header, names_by_position
from daybook.formats.layout import Column, DateOrder, FileKind, FormatError, Layout, Role, Shape, TimezoneFrom
from daybook.formats.number_form import NumberForm, number_form
from daybook.formats.refuse import refuse_what_is_no_text
from daybook.formats.refuse_tables import (
    refuse_pivot,
    refuse_repeated_times,
    refuse_short_header,
    refuse_table_above,
    refuse_times_beside,
)
from daybook.formats.roles import clock_beside, column_roles
from daybook.formats.sample_lines import read_texts, text_lines
from daybook.formats.sensors import sensors_with_several_units
from daybook.formats.table import (
    Table,
    align_header,
    find_table,
    form_of_roles,
    given_roles,
    missing_columns,
)
from daybook.formats.time_names import names_a_time

SAMPLE_BYTES = 1024 * 1024
_STATED_ABOVE = 30  # lines above the rows in which a pattern for dates is looked for
Result = TypeVar("Result")


@dataclass(frozen=True)
class Examined:
    """What was found in the first part of a file. problems: why an import would refuse it, the first first; the layout
    is what it would be if they were none."""

    layout: Layout
    lines: list[str]
    table: Table
    problems: list[FormatError]


def detect(
    sample: bytes,
    *,
    whole: bool,
    given: Given | None = None,
    timezone: str | None = None,
    date_order: DateOrder | None = None,
    file: FileKind = "text",
    encoding: str | None = None,
    names: Sequence[str] | None = None,
    path: str = "",
    sheet: str = "",
) -> Layout:
    """The layout of the file that starts with `sample` (`whole`: and ends with it).

    `given` is what is known of it beforehand; `timezone` is for times without an offset, `date_order` settles what
    09/01/2016 means: both count more than what is given. `encoding`: that of the file, where `sample` was made UTF-8
    already. `names`: of the columns, of files whose records name them; their first line is the first record.

    Raises FormatError for what is no table of readings, where day and month cannot be told apart, and where rows of
    the same time cannot.
    """
    given = given or Given()
    given = replace(given, timezone=timezone or given.timezone, date_order=date_order or given.date_order)
    found = examine(sample, whole=whole, given=given, encoding=encoding, names=names)
    if found.problems:
        raise found.problems[0]
    return replace(found.layout, file=file, path=path, sheet=sheet)


def examine(
    sample: bytes,
    *,
    whole: bool,
    given: Given,
    encoding: str | None = None,
    names: Sequence[str] | None = None,
) -> Examined:
    """As `detect`, but goes on over what only a person can answer. Raises FormatError where there is no table."""
    if given.timezone:
        times.zone(given.timezone)
    refuse_what_is_no_text(sample)
    lines, found_encoding = text_lines(sample, whole, given.encoding if encoding is None else None)
    _check_lines(given, len(lines))
    table = find_table(lines, given, names)
    header = Header(None, None, table.first_row)
    if names is None:
        header = names_by_position(table, lines, find_header(table, given)) if given.header_line != 0 else header
    return _Examination(lines, encoding or found_encoding, table, header, given, names).run()


class _Examination:
    def __init__(
        self,
        lines: list[str],
        encoding: str,
        table: Table,
        header: Header,
        given: Given,
        names: Sequence[str] | None,
    ) -> None:
        self._lines = lines
        self._encoding = encoding
        self._header = header
        self._given = given
        self._table = table
        self._problems: list[FormatError] = []
        row = list(names) if names is not None else _header_cells(table, header)
        self._names = column_names(row, table.width)
        missing = missing_columns(self._names, given)
        if missing:
            raise missing
        self._known_names = names is not None

    def run(self) -> Examined:
        given, header = self._given, self._header
        if not given.columns and not given.data_line and not given.header_line:
            above = header.names_at if header.names_at is not None else header.first_row
            self._ask(lambda: refuse_table_above(self._table, above), None)
            if not self._known_names:
                self._ask(lambda: refuse_short_header(self._table, header, self._names), None)
        cells = read_texts(self._lines[header.first_row :], self._table)
        self._settle_time_columns(cells)
        numbers = self._ask(lambda: number_form(cells, self._table, given), NumberForm())
        roles = column_roles(cells, self._table, self._names, numbers, given)
        roles = self._checked_roles(roles)
        order, stamps, example = self._times(cells)
        shape = self._shape(roles, cells, stamps, order)
        unit_in_name = bool(given.unit_in_name)
        if shape == "narrow" and "unit" in roles and given.unit_in_name is None:
            sensor, unit = cells.column(roles.index("sensor")), cells.column(roles.index("unit"))
            unit_in_name = bool(sensors_with_several_units(sensor, unit))
        zone, zone_from = self._zone(stamps)
        above_lines = self._lines[: header.first_row]
        layout = Layout(
            shape=shape,
            columns=self._columns(roles),
            data_line=header.first_row + 1,
            header_line=None if header.names_at is None else header.names_at + 1,
            units_line=None if header.units_at is None else header.units_at + 1,
            encoding=self._encoding,
            delimiter=self._table.delimiter,
            widths=self._table.widths,
            decimal=numbers.decimal,
            thousands=numbers.thousands,
            date_order=order,
            time_formats=self._table.time.formats,
            epoch=self._table.time.epoch,
            time_example=example,
            timezone=zone,
            timezone_from=zone_from,
            missing=tuple(dict.fromkeys((*given.missing, *declared_missing(above_lines)))),
            unit_in_name=unit_in_name,
            sensor=given.sensor or ("value" if shape == "pivot" else ""),
            unit=given.unit,
        )
        return Examined(layout, self._lines, self._table, self._problems)

    def _settle_time_columns(self, cells: pa.Table) -> None:
        """The columns of the time, now that their names are known."""
        said = given_roles(self._given, self._names)
        if said:
            self._table = replace(self._table, time=form_of_roles(said, self._table.time))
            return
        beside = clock_beside(cells, self._table, self._names)
        if beside:
            self._table = replace(self._table, time=beside)

    def _ask(self, work: Callable[[], Result], otherwise: Result) -> Result:
        """What `work` finds out, or `otherwise` and a problem more."""
        try:
            return work()
        except FormatError as error:
            self._problems.append(error)
            return otherwise

    def _checked_roles(self, roles: list[Role]) -> list[Role]:
        if "value" not in roles:
            time_name = self._names[self._table.time_columns[0]]
            self._problems.append(
                FormatError(
                    "no_numbers",
                    f'the table has times in column "{time_name}", but no column of numbers',
                    "Export numbers as they are, without units in the cells, or say which column holds the readings.",
                )
            )
        if self._given.shape == "narrow" and "sensor" not in roles:
            self._problems.append(
                FormatError(
                    "no_value_column",
                    "in a file with one reading a line a column names the sensor, and none of this file's is known to",
                    "Say which column names the sensor, and which one holds its readings.",
                )
            )
        return roles

    def _times(self, cells: pa.Table) -> tuple[DateOrder, times.Times, str]:
        form, given = self._table.time, self._given
        columns = [cells.column(index).combine_chunks() for index in range(self._table.width)]
        texts = form.texts(columns)
        name = " + ".join(self._names[index] for index in form.columns)
        fallback: DateOrder = given.date_order or "dmy"
        if form.formats or form.epoch or form.roles[0] != "time":
            order: DateOrder = given.date_order or "ymd"
        elif given.date_order:
            order = given.date_order
        else:
            stated = stated_order(name) or self._order_above()
            order = self._ask(lambda: decide_date_order(texts, name, stated), fallback)
        stamps = form.parse(texts, order)
        if not stamps.valid.any():
            self._problems.append(
                FormatError(
                    "no_times",
                    f'no time could be read: "{texts[0] if len(texts) else ""}" in column "{name}" is not '
                    f"{_expected_time(order, given)}",
                    "Choose another order of day and month, or another column.",
                )
            )
            return order, stamps, ""
        return order, stamps, str(texts[int(stamps.valid.argmax())]).strip()

    def _order_above(self) -> DateOrder | None:
        """The order that the lines around the header state, such as a pattern among the units."""
        found = {stated_order(line) for line in self._lines[: self._header.first_row][-_STATED_ABOVE:]} - {None}
        return found.pop() if len(found) == 1 else None

    def _shape(self, roles: list[Role], cells: pa.Table, stamps: times.Times, order: DateOrder) -> Shape:
        if "sensor" in roles:
            return "narrow"
        if self._given.shape == "pivot":
            return "pivot"
        if self._given.shape is None:
            self._ask(lambda: refuse_pivot(roles, self._names, _are_days(stamps)), None)
        if not self._problems and not any(column.role for column in self._given.columns):
            time_column = self._table.time_columns[0]
            if self._table.time.plain:
                self._ask(lambda: self._refuse_times_beside(cells, order), None)
            self._ask(lambda: refuse_repeated_times(cells, stamps, roles, self._names, time_column), None)
        return "wide"

    def _refuse_times_beside(self, cells: pa.Table, order: DateOrder) -> None:
        form = self._table.time

        def parse(columns: list[int]) -> times.Times:
            texts = times.join([cells.column(index).combine_chunks() for index in columns], form.roles)
            return form.parse(texts, order)

        refuse_times_beside(cells, self._table.time_columns, self._names, parse)

    def _zone(self, stamps: times.Times) -> tuple[str, TimezoneFrom]:
        header_at = self._header.names_at
        if header_at is None:
            header_at = 0 if self._known_names else self._header.first_row
        above = self._lines[:header_at]
        time_names = [self._names[index] for index in self._table.time_columns]
        stated = stated_zone(time_names, above)
        zone = (self._given.timezone or "").strip() or stated or "UTC"
        if stamps.valid.any() and stamps.absolute[stamps.valid].all():
            return zone, "cells"
        return zone, "request" if self._given.timezone else "file" if stated else "default"

    def _columns(self, roles: list[Role]) -> tuple[Column, ...]:
        units = column_units(self._table, self._names, self._header.units_at)
        said = {column.name: column for column in self._given.columns}
        found: list[Column] = []
        for name, role, unit in zip(self._names, roles, units, strict=True):
            one = said.get(name)
            if one is None:
                found.append(Column(name, role, unit))
            else:
                found.append(Column(name, role, unit if one.unit is None else one.unit, one.sensor, one.missing))
        names = [column.sensor_name for column in found if column.role == "value"]
        twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
        if twice is not None:
            self._problems.append(
                FormatError("bad_layout", f'two columns are both to be the sensor "{twice}"', "Give one another name.")
            )
        return tuple(found)


def _are_days(stamps: times.Times) -> bool:
    """Whether the rows are mostly a day apart."""
    steps = np.abs(np.diff(stamps.microseconds[stamps.valid]))
    return not len(steps) or bool(np.median(steps) >= times.DAY)


def _check_lines(given: Given, lines: int) -> None:
    """Raises FormatError where a line is given that the file does not have. With columns, the header is looked for by
    their names, and the other two move with it."""
    for name in ("header_line", "units_line", "data_line"):
        number = getattr(given, name)
        if number and number > lines and not given.columns:
            raise FormatError(
                "bad_layout",
                f"{name} is {number:,}, but the part of the file in which its table is looked for has {lines:,} lines",
                "Correct the line, or leave it empty: then it is found out.",
            )


def _expected_time(order: DateOrder, given: Given) -> str:
    if given.time_formats:
        return f"written as {' or '.join(given.time_formats)}"
    if given.epoch:
        return f"a number of {given.epoch} since 1970" if given.epoch != "excel" else "a number of days"
    words = {"ymd": "the year first", "dmy": "the day first", "mdy": "the month first"}
    return f"a date with {words[order]}"


def _header_cells(table: Table, header: Header) -> list[str]:
    """The header's cells over the columns that they name."""
    if header.names:
        return list(header.names)
    if header.names_at is None:
        return []
    row = table.rows[header.names_at]
    aligned = align_header(row, table.width)
    if aligned is not None:
        return aligned
    date = table.time_columns[0]
    if len(row) == table.width - 1 and 0 < date < len(row) and names_a_time(row[date - 1]) > names_a_time(row[date]):
        return ["", *row]  # nothing stands over the names or numbers of rows, as R writes them
    if table.delimiter == " " and len(row) == table.width - 1 and table.time.roles == ("time", "clock"):
        return [*row[: date + 1], f"{row[date]} (clock)", *row[date + 1 :]]  # "Time" over 2020-01-31 13:00
    return row
