"""The house holds: app -> blueprints -> daybook, never back. Read from the imports, wherever they stand in a file."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from daybook.config import ROOT

SHARED_BY_BLUEPRINTS = {f"blueprints.{name}" for name in ("guard", "errors", "streamed_body", "template_filters")}
# Inside daybook, these import nothing of ours but themselves and what is named here.
GROUND_FLOOR: dict[str, set[str]] = {
    "daybook.config": set(),
    "daybook.formats": set(),
    "daybook.chat": set(),
    "daybook.charts": set(),
    "daybook.chart_words": {"daybook.charts"},
    "daybook.chart_pictures": {"daybook.charts", "daybook.chart_words"},
}


def modules(folder: str) -> Iterator[tuple[str, Path]]:
    """Every module below this folder, with its dotted name."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(name: str, path: Path) -> set[str]:
    """What a module imports, as dotted names: `from daybook import sql` is daybook.sql, and daybook too."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(), path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join(above + ([node.module] if node.module else []))
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def house(name: str) -> str:
    """The blueprint that a module belongs to: blueprints.api.uploads is part of blueprints.api."""
    return ".".join(name.split(".")[:2])


DAYBOOK = list(modules("daybook"))
BLUEPRINTS = list(modules("blueprints"))


@pytest.mark.parametrize(("name", "path"), DAYBOOK, ids=[name for name, _ in DAYBOOK])
def test_daybook_works_without_a_request(name: str, path: Path) -> None:
    used = imports(name, path)
    assert not {module for module in used if within(module, "app", "blueprints")}
    assert not used & {"flask.request", "flask.session", "flask.g", "flask.globals"}
    for floor, allowed in GROUND_FLOOR.items():
        if within(name, floor):
            ours = {module for module in used if within(module, "daybook") and module != "daybook"}
            assert not {module for module in ours if not within(module, floor, *allowed)}


@pytest.mark.parametrize(("name", "path"), BLUEPRINTS, ids=[name for name, _ in BLUEPRINTS])
def test_a_blueprint_imports_no_other_blueprint(name: str, path: Path) -> None:
    used = imports(name, path)
    assert not {module for module in used if within(module, "app")}
    if name == "blueprints":
        return  # the one that hangs them all into the app
    others = {module for module in used if within(module, "blueprints") and module != "blueprints"}
    assert not {module for module in others if not within(module, house(name), *SHARED_BY_BLUEPRINTS)}


def test_formats_knows_no_flask_and_no_database() -> None:
    for name, path in DAYBOOK:
        if within(name, "daybook.formats"):
            assert not {module for module in imports(name, path) if within(module, "flask", "sqlalchemy", "psycopg2")}


def test_the_conversation_is_pure() -> None:
    """No database, no request, no clock: what it knows is handed in."""
    for name, path in DAYBOOK:
        if within(name, "daybook.chat"):
            outside = {module.partition(".")[0] for module in imports(name, path)} - {"daybook"}
            assert outside <= {"collections", "dataclasses", "datetime", "decimal", "functools", "itertools"} | {
                *("math", "re", "unicodedata", "zoneinfo")
            }
            assert not {call for call in ("now(", "today(", "time.time(") if call in path.read_text()}


def test_no_blueprint_asks_which_database_it_is() -> None:
    assert not [name for name, path in BLUEPRINTS if "dialect" in path.read_text()]


def test_imports_are_read_wherever_and_however_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("import os.path\ndef f():\n    from . import sibling\n    from ..above import thing as other\n")
    found = imports("daybook.formats.module", path)
    assert {"os.path", "daybook.formats.sibling", "daybook.above", "daybook.above.thing"} <= found
