"""JSON that holds one array per column, as weather services write it: {"time": [...], "temperature": [...]}."""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from daybook.formats.batch import shown
from daybook.formats.json_paths import ANY_KEY, path_text
from daybook.formats.json_records import Plan
from daybook.formats.json_survey import cell_text
from daybook.formats.json_text import Gathered
from daybook.formats.json_walk import JsonWalker
from daybook.formats.layout import FormatError
from daybook.formats.records import About, Notes, needs_whole_file, to_line, too_large
from daybook.formats.spool import Scratch

_ROWS = 10_000
MAX_FILES = 200


class JsonColumns:
    """The rows of a JSON file that holds columns: row n is made of the n-th element of each array.

    The columns stand one behind the other in the file, so each is kept in a file of its own until the last is here.
    """

    def __init__(self, plan: Plan, encoding: str, max_bytes: int, folder: Path | None) -> None:
        self.about = About("json", "utf-8", [], path_text(plan.path), units=plan.units or {}, timezone=plan.timezone)
        self.notes = Notes()
        self._walker = JsonWalker((*plan.path, ANY_KEY))
        self._gathered = Gathered(encoding)
        self._room = max_bytes
        self._max_bytes = max_bytes
        self._folder = folder
        self._files: dict[str, Scratch] = {}
        self._counts: dict[str, int] = {}
        self._arrays: set[str] = set()

    def feed(self, piece: bytes) -> Iterator[bytes]:
        if self._gathered.add(piece):
            self._take(last=False)
        yield from ()

    def flush(self) -> Iterator[bytes]:
        raise needs_whole_file()

    def end(self) -> Iterator[bytes]:
        self._gathered.add(b"", last=True)
        self._take(last=True)
        for name in self._arrays & self._files.keys():
            self._files.pop(name)
        self._check_lengths()
        self.about.names = list(self._files)
        for name in sorted(self._arrays):
            self.notes.add(1, shown(name), "", "holds arrays or objects, which are no readings: it is not kept")
        yield from self._rows()

    def _take(self, last: bool) -> None:
        text = self._gathered.take()
        for found in self._walker.feed(text, last=last):
            self._put(found.key, found.records)

    def _put(self, name: str, values: list[object]) -> None:
        if any(isinstance(value, dict | list) for value in values):
            self._arrays.add(name)
            return
        if name not in self._files:
            if len(self._files) >= MAX_FILES:
                raise FormatError("too_many_columns", f"the JSON holds more than {MAX_FILES} arrays beside each other")
            self._files[name] = Scratch(self._folder)
            self._counts[name] = 0
        data = "".join([to_line([cell_text(value)]) + "\n" for value in values]).encode("utf-8", "replace")
        self._room -= len(data)
        if self._room < 0:
            raise too_large(self._max_bytes)
        self._files[name].file.write(data)
        self._counts[name] += len(values)

    def _check_lengths(self) -> None:
        lengths = {name: self._counts[name] for name in self._files}
        if not lengths:
            raise FormatError("no_records", "the JSON holds no arrays of readings at that path", "Correct the path.")
        first, *others = lengths
        for name in others:
            if lengths[name] != lengths[first]:
                raise FormatError(
                    "columns_differ",
                    f'"{first}" holds {lengths[first]:,} values, and "{name}" {lengths[name]:,}: which belong together '
                    "cannot be told",
                    "Fetch the file again from where it was made.",
                )

    def _rows(self) -> Iterator[bytes]:
        files = [scratch.file for scratch in self._files.values()]
        for file in files:
            file.seek(0)
        lines: list[bytes] = []
        for cells in zip_longest(*files, fillvalue=b"\n"):
            lines.append(b"\t".join([cell[:-1] for cell in cells]))
            if len(lines) >= _ROWS:
                yield b"\n".join(lines) + b"\n"
                lines = []
        if lines:
            yield b"\n".join(lines) + b"\n"
