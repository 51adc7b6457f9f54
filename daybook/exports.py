"""Readings as CSV, JSON and lines of JSON, made block by block while they are read.

Text is put together for whole columns at once (Arrow), not reading by reading, and each block leaves before the next
one is fetched: an export of any length needs the memory of one block.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy.engine import Engine

from daybook import formula_cells
from daybook.buckets import Bucket
from daybook.readings import BLOCK, Block, Buckets, Reader, SensorRow, open_reader
from daybook.times import EARLIEST, LATEST, Micros, iso_column

# An Arrow array, or a text that is the same in every row.
Texts: TypeAlias = Any

FIGURES = ("min", "max", "mean", "sum", "count")


@dataclass(frozen=True)
class Export:
    """What is asked for: sensors, a range in microseconds since 1970 (both ends belong to it), and its form."""

    sensors: Sequence[SensorRow]
    first: int = EARLIEST
    last: int = LATEST
    bucket: Bucket | None = None
    zone: tzinfo = UTC
    format: str = "csv"
    wide: bool = False
    for_people: bool = False  # who open a CSV file in a spreadsheet: names that it would compute are marked as text

    @property
    def value_names(self) -> tuple[str, ...]:
        """The names of the numbers of a row: the value itself, or the figures of a bucket."""
        return FIGURES if self.bucket else ("value",)


def stream(engine: Engine, export: Export) -> Iterator[bytes]:
    """The export, piece by piece, as the book stands when the first piece is asked for.

    The connection is opened then, and given back at the end, also when nobody wants the rest any more.
    """
    with open_reader(engine) as reader:
        if export.format == "json":
            yield from _json(_narrow(reader, export))
        elif export.format == "ndjson":
            yield from _narrow(reader, export)
        elif export.wide:
            yield _csv_row(["time", *(_name(name, export) for name in _wide_names(export))])
            yield from _wide(reader, export)
        else:
            yield _csv_row(["source", "sensor", "time", *export.value_names])
            yield from _narrow(reader, export)


# --- one row per sensor and time


def _narrow(reader: Reader, export: Export) -> Iterator[bytes]:
    """One line per reading or bucket, in order of source, sensor and time."""
    template = _csv_line if export.format == "csv" else _json_line
    for sensor in export.sensors:
        for times, values in _columns(reader, export, sensor, BLOCK):
            yield _text(*template(sensor, export, iso_column(times, export.zone), [number_texts(v) for v in values]))


def _columns(
    reader: Reader, export: Export, sensor: SensorRow, size: int
) -> Iterator[tuple[Micros, list[npt.NDArray[Any]]]]:
    """The sensor's rows as blocks of columns: the times, and one column per value name."""
    found: Iterable[Block | Buckets]
    if export.bucket:
        found = reader.bucketed(sensor.id, export.bucket, export.first, export.last, size)
    else:
        found = reader.raw(sensor.id, export.first, export.last, size)
    for block in found:
        if isinstance(block, Buckets):
            yield block.times, [block.least, block.most, block.mean, block.sum, block.count]
        else:
            yield block.times, [block.values]


def _csv_line(sensor: SensorRow, export: Export, times: Texts, values: list[Texts]) -> list[Texts]:
    start = _csv_row([_name(sensor.source, export), _name(sensor.name, export)]).decode().rstrip("\n")
    texts: list[Texts] = [start, ",", times]
    for value in values:
        texts += [",", _or(value, "")]
    return [*texts, "\n"]


def _json_line(sensor: SensorRow, export: Export, times: Texts, values: list[Texts]) -> list[Texts]:
    start = json.dumps({"source": sensor.source, "sensor": sensor.name}, ensure_ascii=False).removesuffix("}")
    texts: list[Texts] = [f'{start}, "time": "', times, '"']
    for name, value in zip(export.value_names, values, strict=True):
        texts += [f', "{name}": ', _or(value, "null")]
    return [*texts, "}\n"]


def _json(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines of JSON as one document."""
    yield b'{"readings": ['
    between = b"\n"
    for block in lines:
        # No name can hold a bare line feed (JSON writes it as \\n), so every one of them ends a line.
        yield between + block[:-1].replace(b"\n", b",\n")
        between = b",\n"
    yield b"\n]}\n"


# --- one row per time, one column per sensor


def _wide_names(export: Export) -> list[str]:
    if not export.bucket:
        return [sensor.name for sensor in export.sensors]
    return [f"{sensor.name} {figure}" for sensor in export.sensors for figure in FIGURES]


def _wide(reader: Reader, export: Export) -> Iterator[bytes]:
    """One line per time at which any of the sensors has a row; cells without one stay empty.

    Every sensor is read ahead by one block. Up to the time where the first of these blocks ends, all rows are known.
    """
    size = _block_size(export)
    sensors = [_Ahead(_columns(reader, export, sensor, size)) for sensor in export.sensors]
    while ends := [sensor.end for sensor in sensors if sensor.end is not None]:
        known = min(ends)
        parts = [sensor.take(known) for sensor in sensors]
        times = np.unique(np.concatenate([part_times for part_times, _ in parts]))
        texts: list[Texts] = [iso_column(times, export.zone)]
        for part_times, part_values in parts:
            rows = np.searchsorted(times, part_times)
            for number in range(len(export.value_names)):
                texts.append(",")
                texts.append(_spread(part_values[number], rows, len(times)) if len(rows) else "")
        yield _text(*texts, "\n")


def _block_size(export: Export) -> int:
    """Rows to read ahead per sensor: fewer where there are many sensors, but enough to be worth a query."""
    return max(BLOCK // max(len(export.sensors), 1), 2_000)


class _Ahead:
    """One sensor's columns, one block of them in hand."""

    def __init__(self, blocks: Iterator[tuple[Micros, list[npt.NDArray[Any]]]]) -> None:
        self._blocks = blocks
        self._times: Micros = np.empty(0, np.int64)
        self._values: list[npt.NDArray[Any]] = []
        self._fetch()

    @property
    def end(self) -> int | None:
        """The time of the last row in hand; None when there are no more rows."""
        return int(self._times[-1]) if len(self._times) else None

    def take(self, until: int) -> tuple[Micros, list[npt.NDArray[Any]]]:
        """The rows up to that time (it belongs to them), which must not lie behind `end`."""
        count = int(np.searchsorted(self._times, until, side="right"))
        taken = self._times[:count], [value[:count] for value in self._values]
        self._times, self._values = self._times[count:], [value[count:] for value in self._values]
        if not len(self._times):
            self._fetch()
        return taken

    def _fetch(self) -> None:
        self._times, self._values = next(self._blocks, (np.empty(0, np.int64), []))


def _spread(values: npt.NDArray[Any], rows: npt.NDArray[np.intp], count: int) -> Texts:
    """The numbers as text, each in its row of `count`, the other rows empty."""
    place = np.full(count, -1, np.int64)
    place[rows] = np.arange(len(rows))
    return _or(number_texts(values).take(pa.array(place, mask=place < 0)), "")


# --- text


def number_texts(values: npt.NDArray[Any]) -> Texts:
    """The shortest text per number that reads back as the same number; null where it is not finite."""
    if values.dtype.kind == "f":
        return pa.array(values, mask=~np.isfinite(values)).cast(pa.string())
    return pa.array(values).cast(pa.string())


def _or(texts: Texts, instead: str) -> Texts:
    return pc.fill_null(texts, instead) if texts.null_count else texts


def _text(*pieces: Texts) -> bytes:
    """The pieces of each row put together, and all rows in one: an Arrow array of strings keeps them end to end."""
    rows = pc.binary_join_element_wise(*pieces, "")
    if isinstance(rows, pa.ChunkedArray):
        rows = rows.combine_chunks()
    first, last = np.frombuffer(rows.buffers()[1], np.int32)[[rows.offset, rows.offset + len(rows)]]
    text: bytes = rows.buffers()[2].slice(int(first), int(last - first)).to_pybytes()
    return text


def _name(name: str, export: Export) -> str:
    """The name, with an apostrophe before one that a spreadsheet would take for a formula."""
    return formula_cells.as_text(name) if export.for_people else name


def _csv_row(cells: Sequence[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue().encode()
