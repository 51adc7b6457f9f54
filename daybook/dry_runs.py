"""Reading a file as an import would, without keeping anything of it."""

from collections.abc import Iterable, Iterator
from typing import Any

from daybook.config import Settings
from daybook.formats.batch import Batch, Series
from daybook.formats.file_reader import FileReader
from daybook.formats.layout import FormatError
from daybook.import_counts import Counts
from daybook.sql import moment
from daybook.upload_options import ImportRefused, Options, check_size, default_source, open_file, sentence
from daybook.upload_report import LINE_COUNTS, SHOWN_ISSUES, iso_time

_SAMPLE = 20  # readings shown of each sensor, at most


def dry_run(settings: Settings, stream: Iterable[bytes], filename: str, options: Options) -> dict[str, Any]:
    """The answer that the import would give, with a `sample` of its first readings; status done or failed.

    Nothing is stored, so it cannot say what is there already: added counts every reading of the file. Raises CutOff as
    the stream does, and where the file is larger than the server takes.
    """
    return _DryRun(settings, options).run(stream, filename)


class _DryRun:
    def __init__(self, settings: Settings, options: Options) -> None:
        self._settings = settings
        self._options = options
        self._bytes = 0
        self._reader: FileReader | None = None
        self._counts = Counts()
        self._sensors: dict[str, dict[str, Any]] = {}
        self._issues: list[dict[str, Any]] = []
        self._sample: list[dict[str, Any]] = []

    def run(self, stream: Iterable[bytes], filename: str) -> dict[str, Any]:
        error: dict[str, str] | None = None
        pieces = self._counted(stream)
        try:
            self._options.check()
            self._reader = open_file(self._settings, self._options)
            for piece in pieces:
                self._take(self._reader.feed(piece))
            self._take(self._reader.end())
            self._counts.check_rejected(self._options, last=True)
        except (FormatError, ImportRefused) as refusal:
            error = {"code": refusal.code, "message": sentence(refusal)}
            for _ in pieces:  # the sender is let finish
                pass
        return self._answer(filename, error)

    def _counted(self, stream: Iterable[bytes]) -> Iterator[bytes]:
        for piece in stream:
            self._bytes += len(piece)
            check_size(self._bytes, self._settings)
            yield piece

    def _take(self, batches: Iterator[Batch]) -> None:
        for batch in batches:
            self._counts.add(batch)
            self._counts.check_rejected(self._options, last=False)
            for issue in batch.issues[: SHOWN_ISSUES - len(self._issues)]:
                shown = {"line": issue.line, "column": issue.column, "value": issue.value, "reason": issue.reason}
                self._issues.append(shown)
            for series in batch.series:
                if series.name not in self._sensors:
                    self._sensors[series.name] = {"id": None, "name": series.name, "unit": series.unit, "added": 0}
                    self._sample += _first_readings(series)
                self._sensors[series.name]["added"] += len(series.times)

    def _answer(self, filename: str, error: dict[str, str] | None) -> dict[str, Any]:
        layout = self._reader.layout if self._reader else None
        first, last = self._counts.first_time, self._counts.last_time
        answer: dict[str, Any] = {
            "id": None,
            "status": "failed" if error else "done",
            "dry_run": True,
            "filename": filename,
            "source": self._options.source or default_source(filename),
            "bytes": self._bytes,
            "layout": layout.to_json() if layout else None,
            "lines": {name: getattr(self._counts, f"lines_{name}") for name in LINE_COUNTS},
            "readings": {
                "added": 0 if error else sum(sensor["added"] for sensor in self._sensors.values()),
                "duplicates": 0,
                "replaced": 0,
                "missing": self._counts.cells_missing,
                "not_numeric": self._counts.cells_not_numeric,
            },
            "first_time": None if first is None else iso_time(moment(first)),
            "last_time": None if last is None else iso_time(moment(last)),
            "sensors": list(self._sensors.values()),
            "issues": self._issues,
            "sample": self._sample,
        }
        return answer | {"error": error} if error else answer


def _first_readings(series: Series) -> list[dict[str, Any]]:
    pairs = zip(series.times[:_SAMPLE].tolist(), series.values[:_SAMPLE].tolist(), strict=True)
    return [{"sensor": series.name, "time": iso_time(moment(time)), "value": value} for time, value in pairs]
