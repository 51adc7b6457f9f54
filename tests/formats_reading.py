"""What the tests of daybook.formats share: a file read to its end, with its account checked on the way."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, settings

from daybook.formats.batch import Issue
from daybook.formats.file_reader import FileReader
from daybook.formats.layout import Layout

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def examples(count: int) -> settings:
    """So many examples in a normal run, and a hundred times as many with HYPOTHESIS_PROFILE=nightly."""
    nightly = os.environ.get("HYPOTHESIS_PROFILE") == "nightly"
    return settings(
        max_examples=count * (100 if nightly else 1),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@dataclass
class Reading:
    """All that a file gave: readings per sensor as (UTC time, value) in the order of the file, and the account."""

    layout: Layout
    lines: int = 0
    preamble: int = 0
    blank: int = 0
    read: int = 0
    rejected: int = 0
    missing: int = 0
    not_numeric: int = 0
    sensors: dict[str, list[tuple[datetime, float]]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)

    @property
    def rejected_lines(self) -> list[int]:
        return [issue.line for issue in self.issues if issue.rejected]

    def values(self, sensor: str) -> list[float]:
        return [value for _, value in self.sensors.get(sensor, [])]

    def times(self, sensor: str) -> list[str]:
        return [f"{time:%Y-%m-%d %H:%M:%S}" for time, _ in self.sensors.get(sensor, [])]


def microseconds(time: datetime) -> int:
    return (time - EPOCH) // MICROSECOND


def read_file(data: bytes | str, pieces: Iterable[bytes] | None = None, **options: Any) -> Reading:
    """Reads the file as an import does. Every batch has to add up; raises FormatError as the reader does."""
    raw = data.encode() if isinstance(data, str) else data
    reader = FileReader(**({"unpacked_max_bytes": 1 << 30} | options))
    batches = []
    for piece in [raw] if pieces is None else pieces:
        batches += reader.feed(piece)
    batches += reader.end()
    assert reader.layout is not None
    found = Reading(reader.layout)
    value_columns = len(reader.layout.of_role("value"))
    for batch in batches:
        assert batch.lines == batch.preamble + batch.blank + batch.read + batch.rejected
        assert batch.rejected == len([issue for issue in batch.issues if issue.rejected])
        assert batch.read * value_columns == batch.readings + batch.missing + batch.not_numeric
        assert len({one.name for one in batch.series}) == len(batch.series)
        assert all(found.lines < issue.line <= found.lines + batch.lines for issue in batch.issues)
        assert not any("\0" in issue.value for issue in batch.issues)
        found.lines += batch.lines
        found.preamble += batch.preamble
        found.blank += batch.blank
        found.read += batch.read
        found.rejected += batch.rejected
        found.missing += batch.missing
        found.not_numeric += batch.not_numeric
        found.issues += batch.issues
        for one in batch.series:
            assert len(one.times) == len(one.values) > 0
            readings = found.sensors.setdefault(one.name, [])
            readings += [
                (EPOCH + timedelta(microseconds=time), value)
                for time, value in zip(one.times.tolist(), one.values.tolist(), strict=True)
            ]
            found.units[one.name] = found.units.get(one.name) or one.unit
    return found
