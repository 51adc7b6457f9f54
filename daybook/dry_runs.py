"""Reading a file as an import would, without keeping anything of it."""

from collections.abc import Iterable
from typing import Any

from daybook.config import Settings
from daybook.formats.delimited import Series
from daybook.formats.layout import FormatError
from daybook.imports import Counts, ImportRefused, Options, default_source, open_file, sentence
from daybook.sql import moment
from daybook.upload_report import LINE_COUNTS, SHOWN_ISSUES, iso_time

_SAMPLE = 20  # readings shown of each sensor that the first lines hold, at most


def _first_readings(series: Series) -> list[dict[str, Any]]:
    pairs = zip(series.times[:_SAMPLE].tolist(), series.values[:_SAMPLE].tolist(), strict=True)
    return [{"sensor": series.name, "time": iso_time(moment(time)), "value": value} for time, value in pairs]


def dry_run(settings: Settings, stream: Iterable[bytes], filename: str, options: Options) -> dict[str, Any]:
    """The answer that the import would give, with a `sample` of its first readings; status done or failed.

    Nothing is stored, so it cannot say what is there already: added counts every reading of the file.
    """
    counts = Counts()
    sensors: dict[str, dict[str, Any]] = {}
    sample: list[dict[str, Any]] = []
    issues: list[dict[str, Any]] = []
    error: dict[str, str] | None = None
    size = 0
    reader = None
    pieces = iter(stream)
    try:
        options.check()
        reader = open_file(settings, options)

        def batches() -> Iterable[Any]:
            nonlocal size
            assert reader is not None
            for piece in pieces:
                size += len(piece)
                yield from reader.feed(piece)
            yield from reader.end()

        for batch in batches():
            counts.add(batch)
            counts.check_rejected(options, last=False)
            for issue in batch.issues[: SHOWN_ISSUES - len(issues)]:
                shown = {"line": issue.line, "column": issue.column, "value": issue.value, "reason": issue.reason}
                issues.append(shown)
            for series in batch.series:
                if series.name not in sensors:
                    sensors[series.name] = {"id": None, "name": series.name, "unit": series.unit, "added": 0}
                    for time, value in zip(
                        series.times[:_SAMPLE].tolist(), series.values[:_SAMPLE].tolist(), strict=True
                    ):
                        sample.append({"sensor": series.name, "time": iso_time(moment(time)), "value": value})
                sensors[series.name]["added"] += len(series.times)
        counts.check_rejected(options, last=True)
    except (FormatError, ImportRefused) as refusal:
        error = {"code": refusal.code, "message": sentence(refusal)}
        for piece in pieces:
            size += len(piece)
    answer: dict[str, Any] = {
        "id": None,
        "status": "failed" if error else "done",
        "dry_run": True,
        "filename": filename,
        "source": options.source or default_source(filename),
        "bytes": size,
        "layout": reader.layout.to_json() if reader and reader.layout else None,
        "lines": {name: getattr(counts, f"lines_{name}") for name in LINE_COUNTS},
        "readings": {
            "added": sum(sensor["added"] for sensor in sensors.values()) if not error else 0,
            "duplicates": 0,
            "replaced": 0,
            "missing": counts.cells_missing,
            "not_numeric": counts.cells_not_numeric,
        },
        "first_time": None if counts.first_time is None else iso_time(moment(counts.first_time)),
        "last_time": None if counts.last_time is None else iso_time(moment(counts.last_time)),
        "sensors": list(sensors.values()),
        "issues": issues,
        "sample": sample,
    }
    if error:
        answer["error"] = error
    return answer
