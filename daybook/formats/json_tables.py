"""Records of JSON as lines of cells, each column always in the same place."""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from daybook.formats.batch import shown
from daybook.formats.cells import is_number
from daybook.formats.json_survey import cell_text, flat
from daybook.formats.layout import FormatError
from daybook.formats.records import TAB, Notes, is_time, to_line

MAX_COLUMNS = 5000
NO_RECORD = "no record"  # a line of one cell, which is rejected
_MAX_TOLD = 100  # keys of which it is said that they are not kept


def names_of(records: list[Any], columns: list[str] | None, in_series: bool = False) -> list[str] | None:
    """What the columns of these records are called; None where nothing but perhaps the first record says that.
    in_series: there are several arrays, of which each has a name."""
    if columns:
        own = columns
    elif records and isinstance(records[0], list):
        if not in_series:
            return None
        own = _names_by_place([record for record in records if isinstance(record, list)])
    else:
        seen: dict[str, None] = {}
        for record in records:
            if isinstance(record, dict):
                seen |= {key: None for key, value in flat(record) if not isinstance(value, list)}
        own = list(seen)
    if len(own) > MAX_COLUMNS:
        raise FormatError(
            "too_many_columns",
            f"the records have more than {MAX_COLUMNS:,} different keys",
            "Is this a table of readings, with the same keys in each record?",
        )
    return own


def _names_by_place(records: list[list[Any]]) -> list[str]:
    """Names for the cells of arrays: of two, of which one is the time, the other is the value."""
    width = max(map(len, records), default=0)
    names = [f"column {number}" for number in range(1, width + 1)]
    times = [
        place for place in range(width) if all(len(one) > place and is_time(cell_text(one[place])) for one in records)
    ]
    if times and width == 2:
        names = ["value", "value"]
    if times:
        names[times[0]] = "time"
    return names


def wide_records(records: list[Any]) -> bool:
    """Whether records hold several numbers beside their time."""
    return len({key for record in records[:200] for key in _numbers(record)}) > 1


def _numbers(record: Any) -> list[str]:
    """The keys of numbers that are no times; of arrays, their places."""
    if isinstance(record, list):
        return [
            str(at) for at, value in enumerate(record) if is_number(cell_text(value)) and not is_time(cell_text(value))
        ]
    pairs = [(key, cell_text(value)) for key, value in flat(record)] if isinstance(record, dict) else []
    return [key for key, cell in pairs if is_number(cell) and not is_time(cell, key)]


class Tabulator:
    """Turns records into lines: of `before`, the columns that are the same for all records of an array, and of `own`.
    Without `own`, the records are arrays and are taken as they are.

    Says in `notes`, once for each key, what is not kept: keys that are not among the names, and arrays.
    """

    def __init__(self, before: list[str], own: list[str] | None, notes: Notes) -> None:
        self._width = len(before) + len(own or ())
        self._own = own
        self._known = set(own or ())
        self._notes = notes
        self._told: set[str] = set()
        self._quick = _getter(own or [])
        self._count = len(before)
        self._columns: list[str] | None = None
        self._before: list[str] = []
        self._start: tuple[str, ...] = ()

    def begin(self, before: list[str], columns: list[str] | None) -> None:
        """Another array begins: its cells of `before`, and what it calls its columns."""
        self._before = before[: self._count]
        self._start = (to_line(self._before),) if self._count else ()
        self._columns = columns

    def line(self, record: Any, number: int) -> str:
        """The record as a line without its end."""
        try:
            cells = record if type(record) is list and self._columns in (None, self._own) else self._quick(record)
            if None in cells:
                cells = ["" if cell is None else cell for cell in cells]
            line = TAB.join((*self._start, *cells))
        except (KeyError, TypeError, IndexError):
            return self._carefully(record, number)
        plain = '"' not in line and "\n" not in line and "\r" not in line
        if plain and len(record) == len(self._known) and line.count(TAB) == self._width - 1 and self._own:
            return line
        return self._carefully(record, number)

    def _carefully(self, record: Any, number: int) -> str:
        if isinstance(record, list):
            return self._array(record, number)
        if not isinstance(record, dict) or self._own is None:
            return self._refuse(number, record, "is not a record like the others")
        members = dict(flat(record))
        return self._members(members, number)

    def _array(self, record: list[Any], number: int) -> str:
        if any(isinstance(cell, dict | list) for cell in record):
            return self._refuse(number, record, "holds arrays or objects where cells were expected")
        if self._own is None:
            return to_line(map(cell_text, record))
        columns = self._columns or self._own
        if len(record) != len(columns):
            return self._refuse(number, record, f"has {len(record):,} cells; expected {len(columns):,}")
        return self._members(dict(zip(columns, record, strict=True)), number)

    def _members(self, members: dict[str, Any], number: int) -> str:
        for key, value in members.items():
            if value is not None and key not in self._told and (isinstance(value, list) or key not in self._known):
                self._tell(number, key, cell_text(value), "an array" if isinstance(value, list) else "")
        return to_line([*self._before, *(cell_text(members.get(name)) for name in self._own or ())])

    def _refuse(self, number: int, record: Any, reason: str) -> str:
        self._notes.refuse(number, shown(str(record)), reason)
        return NO_RECORD

    def _tell(self, number: int, key: str, value: str, kind: str) -> None:
        if key in self._told or len(self._told) >= _MAX_TOLD:
            return
        self._told.add(key)
        reason = f"is {kind}, which is no reading" if kind else "is in no record of the first part of the file"
        self._notes.add(number, shown(key), shown(value), f"{reason}: nothing with this key is kept")


def _getter(names: list[str]) -> Callable[[Any], Sequence[Any]]:
    if not names:
        return lambda _record: ()
    if len(names) == 1:
        return lambda record: (record[names[0]],)
    return itemgetter(*names)
