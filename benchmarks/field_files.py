"""Real files of real loggers, one by one through the API without settings: what comes out, against what ought to.

    .venv/bin/python benchmarks/field_files.py DIR [--file-types] [--database URL] [--only NAME]

DIR holds one folder per file: the file, and expected.json with what a correct import of it yields (its form is
described in benchmarks/README.md). For each file one line says: right / needs a file type / refused clearly / WRONG.
`--file-types` also tries every ready-made file type on the files that were not right by themselves.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from harness import Daybook, running

RELATIVE = 1e-9
RIGHT, NEEDS, REFUSED, ASKS, MISSED, WRONG = (
    "right",
    "needs a file type",
    "refused clearly",
    "asks",
    "NOT READ",
    "WRONG",
)


@dataclass(frozen=True)
class Outcome:
    """What became of one file, and why it is called so."""

    verdict: str
    detail: str
    milliseconds: float


class Server:
    """The API of one running Daybook."""

    def __init__(self, daybook: Daybook) -> None:
        self._port = daybook.port
        self._headers = {"Authorization": f"Bearer {daybook.token}"}

    def ask(self, path: str, data: bytes | None = None, **query: str) -> tuple[int, Any]:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=600)
        method = "GET" if data is None else "POST"
        connection.request(method, f"/api/v1{path}?{urlencode(query)}", body=data, headers=self._headers)
        answer = connection.getresponse()
        found = json.load(answer)
        connection.close()
        return answer.status, found

    def readings(self, source: str, sensor: str) -> list[tuple[str, float]]:
        """Every reading of the sensor, by time."""
        _, answer = self.ask("/readings", source=source, sensor=sensor)
        return [(one["time"], one["value"]) for one in answer.get("readings", [])]

    def file_types(self) -> list[str]:
        status, answer = self.ask("/file-types")
        return [one["name"] for one in answer["file_types"]] if status == 200 else []


def judge(server: Server, file: Path, expected: dict[str, Any], source: str, file_type: str = "") -> Outcome:
    """Imports one file and compares every key column."""
    query = {"filename": file.name, "source": source} | ({"file_type": file_type} if file_type else {})
    start = time.perf_counter()
    status, answer = server.ask("/uploads", file.read_bytes(), **query)
    took = (time.perf_counter() - start) * 1000
    kind = expected["kind"]
    if status != 201:
        error = answer.get("error", {})
        said = f"{error.get('code')}: {error.get('message')}"
        if status != 422 or not error.get("message"):
            return Outcome(WRONG, f"{status} {said}", took)
        if kind == "refuse" or str(expected.get("tolerated", "")).startswith("refuse"):
            return Outcome(REFUSED, said, took)
        if kind == "preset":
            return Outcome(NEEDS, said, took)
        if "ask" in str(expected.get("tolerated", "")) and error.get("code") == "ambiguous_dates":
            return Outcome(ASKS, said, took)
        return Outcome(MISSED, said, took)
    names = {sensor["name"] for sensor in answer["sensors"]}
    faults = [fault for column in expected["key_columns"] if (fault := _fault(server, source, names, column, expected))]
    faults += _account_faults(answer)
    return Outcome(WRONG if faults else RIGHT, "; ".join(faults[:3]) or _counts(answer), took)


def _counts(answer: dict[str, Any]) -> str:
    lines, readings = answer["lines"], answer["readings"]
    return f"{readings['added']:,} readings, {lines['rejected']} of {lines['total']:,} lines rejected"


def _account_faults(answer: dict[str, Any]) -> list[str]:
    lines = answer["lines"]
    if lines["total"] != lines["preamble"] + lines["blank"] + lines["read"] + lines["rejected"]:
        return [f"the lines do not add up: {lines}"]
    return []


def _fault(
    server: Server, source: str, names: set[str], column: dict[str, Any], expected: dict[str, Any]
) -> str | None:
    """What is wrong with one key column; None where it is right, in one of the ways that count as right."""
    if column["n"] == 0 and column["name"] not in names:
        return None
    views = [one for one in expected["key_columns"] if one.get("view") == "pivoted"]
    if views and column not in views:
        return None  # another way to say the same
    found = _sensor(column, names)
    if found is None:
        return f'no sensor "{column["name"]}" among {sorted(names)[:6]}'
    readings = server.readings(source, found)
    problems = [_compare(readings, wanted) for wanted in _right_answers(column)]
    return None if None in problems else f'"{found}": {problems[0]}'


def _sensor(column: dict[str, Any], names: set[str]) -> str | None:
    """The sensor that holds the column's readings, by its name or by another that the expectation allows."""
    if column["name"] in names:
        return str(column["name"])
    allowed = [part.split("=")[-1] for part in column.get("parts", [])]
    made = [name for name in sorted(names) if allowed and all(word in " ".join(allowed) for word in name.split())]
    if made and column.get("parts"):
        return max(made, key=len)
    note = str(column.get("note", "")) + str(column.get("alt_names", ""))
    quoted = [name for name in sorted(names) if f'"{name}"' in note]
    if quoted:
        return quoted[0]
    if (column.get("view") == "pivoted" or column.get("any_name") or column.get("path")) and len(names) == 1:
        return next(iter(names))
    return None


def _right_answers(column: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield column
    for other in column.get("alt", []):
        if isinstance(other, dict):
            yield column | other
    if "n_with_sentinels" in column:
        more = ("n", "sum", "first", "last")
        yield column | {name: column[f"{name}_with_sentinels"] for name in more if f"{name}_with_sentinels" in column}


def _compare(readings: list[tuple[str, float]], wanted: dict[str, Any]) -> str | None:
    if len(readings) != wanted["n"]:
        return f"{len(readings):,} readings, expected {wanted['n']:,}"
    if not readings:
        return None
    total = math.fsum(value for _, value in readings)
    if not math.isclose(total, wanted["sum"], rel_tol=RELATIVE, abs_tol=1e-9):
        return f"their sum is {total!r}, expected {wanted['sum']!r}"
    for name, (at, value) in (("first", readings[0]), ("last", readings[-1])):
        if not wanted.get(name):
            continue
        time_wanted, value_wanted = wanted[name]
        if abs((_moment(at) - _moment(time_wanted)).total_seconds()) > 1e-6 or not math.isclose(
            value, value_wanted, rel_tol=RELATIVE
        ):
            return f"the {name} is {at} {value}, expected {time_wanted} {value_wanted}"
    return None


def _moment(text: str) -> datetime:
    whole, dot, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(whole + dot + fraction[:6])


def folders(where: Path, only: str) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    for folder in sorted(path for path in where.iterdir() if (path / "expected.json").exists()):
        if only and only not in folder.name:
            continue
        expected = json.loads((folder / "expected.json").read_text())
        named = folder / str(expected.get("file", ""))
        others = [path for path in folder.iterdir() if path.name != "expected.json" and path.is_file()]
        yield folder.name, named if named.is_file() else others[0], expected


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--file-types", action="store_true", help="try the ready-made file types as well")
    parser.add_argument("--database", default="", help="a fresh PostgreSQL database; SQLite in a folder when left out")
    parser.add_argument("--only", default="", help="files with this in their name")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="daybook-files-") as folder:
        daybook = Daybook(options.database or f"sqlite:///{folder}/book.sqlite3", Path(folder))
        daybook.migrate()
        daybook.make_token()
        with running(daybook):
            tally = _run(Server(daybook), options)
    print("\n" + ", ".join(f"{count} {verdict}" for verdict, count in tally.items()))
    sys.exit(1 if tally.get(WRONG) else 0)


def _run(server: Server, options: argparse.Namespace) -> Counter[str]:
    tally: Counter[str] = Counter()
    types = server.file_types() if options.file_types else []
    for name, file, expected in folders(options.folder, options.only):
        outcome = judge(server, file, expected, f"{name} by itself")
        took = f"{outcome.milliseconds:7.0f} ms"
        print(f"{name:32.32} {expected['kind']:7} {outcome.verdict:18} {took}  {outcome.detail[:230]}", flush=True)
        tally[outcome.verdict] += 1
        if types and outcome.verdict not in (RIGHT, REFUSED):
            fitting = [one for one in types if judge(server, file, expected, f"{name} as {one}", one).verdict == RIGHT]
            print(
                f"{'':41}{'right with ' + ', '.join(fitting) if fitting else 'no ready-made file type makes it right'}"
            )
            tally["(of these right with a ready-made file type)"] += bool(fitting)
    return tally


if __name__ == "__main__":
    main()
