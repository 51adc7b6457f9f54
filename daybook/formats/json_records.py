"""JSON: an array of records, wherever in the file it is, or one record per line; each becomes a line of cells."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from daybook.formats.batch import shown
from daybook.formats.given import Given
from daybook.formats.json_paths import Path, Step, parse_path, path_text
from daybook.formats.json_series import Series
from daybook.formats.json_survey import BLANKS, DECODER, Candidate, candidates, columnar, parse_prefix
from daybook.formats.json_tables import NO_RECORD, Tabulator, names_of, wide_records
from daybook.formats.json_text import MAX_VALUE, Gathered
from daybook.formats.json_walk import JsonWalker
from daybook.formats.layout import FormatError
from daybook.formats.records import About, Notes, too_large

_LOOKS = re.compile(r'\s*([{]\s*["}]|\[\s*[\[{"])')
_HINT = "Give the path to the array of records, such as energy.values, in a file type."


def looks_like_json(text: str) -> bool:
    """Whether a text begins as JSON with records does."""
    return _LOOKS.match(text.removeprefix("\ufeff")) is not None


@dataclass
class Plan:
    """How the records of a file are to be had: one per line, as elements of arrays, or as arrays of columns."""

    way: str  # lines, records, columns
    path: Path = ()
    names: list[str] | None = None  # of what is in the records
    series: Series | None = None
    units: dict[str, str] | None = None
    timezone: str = ""


def plan_for(text: str, whole: bool, given: Given) -> Plan:
    """Finds the records in the first part of a file; raises FormatError where it holds none."""
    text = text.removeprefix("\ufeff")
    lines = _records_of_lines(text, whole) if given.path is None else None
    if lines is not None:
        return Plan("lines", (), names_of(lines, None))
    root, _ = parse_prefix(text, len(text) - len(text.lstrip(BLANKS)))
    if given.path is not None:
        return _plan_at(root, parse_path(given.path.removesuffix("[]")))
    best = next(iter(candidates(root)), None)
    by_column = columnar(root)
    if by_column and by_column.readings > (best.readings if best else 0):
        return Plan("columns", by_column.path, units=by_column.units, timezone=by_column.timezone)
    if best is None or (best.columns is None and not any(best.records)):
        if isinstance(root, dict) and root:
            raise FormatError("no_records", "no array of readings was found in the JSON", _HINT)
        list(JsonWalker(()).feed(text, last=whole))  # says where it is damaged
        raise FormatError("no_records", "the JSON holds no records", "Fetch it again from where it was made.")
    return _plan_of(best)


def _plan_of(found: Candidate) -> Plan:
    series = Series(found.outers)
    if wide_records(found.records):
        series.only_one()
        for outer in found.outers:
            series.cells(outer)
    in_series = bool(series.columns([]))
    own = names_of(found.records, found.columns, in_series)
    return Plan("records", found.path, own, series)


def _plan_at(root: Any, path: Path) -> Plan:
    found = next((one for one in candidates(root) if one.path == path), None)
    if found:
        return _plan_of(found)
    value = root
    for step in path:
        value = _member(value, step)
    if isinstance(value, dict):
        by_column = columnar({"": root})
        if by_column and by_column.path[1:] == path:
            return Plan("columns", path, units=by_column.units, timezone=by_column.timezone)
        return Plan("columns", path)
    raise FormatError(
        "no_records",
        f'no array of records was found at "{path_text(path)}" in the first part of the JSON'
        + (f"; there are {_listed(root)}" if root else ""),
        "Correct the path in the file type.",
    )


def _listed(root: Any) -> str:
    return ", ".join(f'"{path_text(one.path)}"' for one in candidates(root)[:5]) or "none at all"


def _member(value: Any, step: Step) -> Any:
    if isinstance(value, dict):
        return value.get(getattr(step, "name", ""))
    return None


def _records_of_lines(text: str, whole: bool) -> list[Any] | None:
    """The records of the first part, if each line is one; None where they are not."""
    lines = text.split("\n")
    if not whole and len(lines) > 1:
        lines.pop()
    full = [line for line in lines if line.strip()]
    first = _record(full[0]) if full else None
    if first is None or (isinstance(first, list) and (not first or isinstance(first[0], dict | list))):
        return None
    records = [record for record in map(_record, full) if record is not None]
    if len(full) == 1 and (candidates(first) or columnar(first)):
        return None  # a document on a single line
    return records if len(records) * 2 > len(full) else None


def _record(line: str) -> Any:
    """The object or array that is all of a line; None where it is none."""
    try:
        value, end = DECODER.raw_decode(line)
    except ValueError:
        return _record(line.lstrip(BLANKS)) if line[:1] in BLANKS and line[:1] else None
    except RecursionError:
        return None
    return value if isinstance(value, dict | list) and not line[end:].strip(BLANKS) else None


class JsonRecords:
    """The records of a JSON file as lines.

    Where the file has one record per line, line numbers are its own; otherwise the first record has number 1, and
    numbers run on through all arrays on the path.
    """

    def __init__(self, plan: Plan, encoding: str, max_bytes: int) -> None:
        self.notes = Notes()
        before = plan.series.columns(plan.names or []) if plan.series else []
        names = None if plan.names is None else [*before, *plan.names]
        self.about = About("json", "utf-8", names, path_text(plan.path), sensor=before[0] if before else "")
        self._plan = plan
        self._max_bytes = max_bytes
        self._written = 0
        self._gathered = Gathered(encoding)
        self._number = 0
        self._walker = JsonWalker(plan.path)
        self._tabulator = Tabulator(before, plan.names, self.notes)
        self._outer: tuple[Any, ...] = ()

    def feed(self, piece: bytes) -> Iterator[bytes]:
        if self._gathered.add(piece):
            yield from self._go_on(last=False)

    def flush(self) -> Iterator[bytes]:
        yield from self._go_on(last=False)

    def end(self) -> Iterator[bytes]:
        self._gathered.add(b"", last=True)
        yield from self._go_on(last=True)
        if self._plan.way == "records" and not self._walker.arrays:
            raise FormatError("no_records", f'the JSON holds no array at "{self.about.path}"', "Correct the path.")
        for place, readings in self._walker.left_out.items():
            reason = f"holds readings too ({readings:,} or more) and was left out: only one kind of records is read"
            self.notes.add(max(self._number, 1), shown(place), "", reason)

    def _go_on(self, last: bool) -> Iterator[bytes]:
        text = self._gathered.take()
        lines = self._by_line(text, last) if self._plan.way == "lines" else self._by_record(text, last)
        if lines:
            data = ("\n".join(lines) + "\n").encode("utf-8", "replace")
            self._written += len(data)
            if self._written > self._max_bytes:
                raise too_large(self._max_bytes)
            yield data

    def _by_line(self, text: str, last: bool) -> list[str]:
        found = text.split("\n")
        rest = found.pop()
        if last and rest:
            found.append(rest)
        elif rest:
            if len(rest) > MAX_VALUE:
                raise FormatError("line_too_long", f"line {self._number + len(found) + 1:,} is longer than 1 MiB")
            self._gathered.put_back(rest)
        return [self._line(line) for line in found]

    def _line(self, line: str) -> str:
        self._number += 1
        if not line.strip():
            return ""
        record = _record(line)
        if record is None:
            self.notes.refuse(self._number, shown(line.strip()), "is not an object or array of JSON")
            return NO_RECORD
        return self._tabulator.line(record, self._number)

    def _by_record(self, text: str, last: bool) -> list[str]:
        lines: list[str] = []
        for found in self._walker.feed(text, last=last):
            around = (found.outer, found.columns)
            if around != self._outer:
                before = self._plan.series.cells(found.outer) if self._plan.series else []
                self._tabulator.begin(before, found.columns)
                self._outer = around
            line = self._tabulator.line
            lines += [line(record, number) for number, record in enumerate(found.records, self._number + 1)]
            self._number += len(found.records)
        return lines
