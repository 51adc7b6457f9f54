"""The documents keep up with the code: commands, settings, dependencies, modules, error codes, links."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from flask import Flask

from blueprints.api import uploads as uploads_of_the_api
from daybook.cli import register_commands
from daybook.config import ROOT

README = (ROOT / "README.md").read_text()
API = (ROOT / "docs/api.md").read_text()
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
DEPENDENCIES = (ROOT / "docs/dependencies.md").read_text()
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md")
    for path in ROOT.glob(pattern)
)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def first_cells(document: str) -> list[str]:
    """What stands in backticks in the first cell of every table row."""
    rows = (re.split(r"(?<!\\)\|", line)[1] for line in document.splitlines() if line.startswith("|"))
    return [name for cell in rows for name in re.findall(r"`([^`]+)`", cell)]


# --- commands and settings


@pytest.fixture
def commands() -> dict[str, click.Command]:
    """Daybook's own commands."""
    app = Flask("docs")
    register_commands(app)
    return app.cli.commands


def test_every_command_of_ours_is_in_the_readme(commands: dict[str, click.Command]) -> None:
    documented = {text.split()[1] for text in first_cells(README) if text.startswith("flask ")}
    assert not commands.keys() - documented, "not in the table of commands in README.md"
    assert not documented - commands.keys() - {"db"}, "in README.md, but no command any more"


def test_every_command_of_a_group_is_in_the_readme(commands: dict[str, click.Command]) -> None:
    groups = {name: group for name, group in commands.items() if isinstance(group, click.Group) and name != "db"}
    ours = {f"flask {name} {command}" for name, group in groups.items() for command in group.commands}
    documented = {" ".join(text.split()[:3]) for text in first_cells(README)}
    assert ours
    assert not ours - documented, "not in the table of commands in README.md"
    assert {text for text in documented if text.split()[1:2] == ["telegram"]} <= ours


def test_every_option_of_a_command_is_in_the_readme(commands: dict[str, click.Command]) -> None:
    groups = [group for group in commands.values() if isinstance(group, click.Group)]
    every = [*commands.values(), *(command for group in groups for command in group.commands.values())]
    options = {option for command in every for parameter in command.params for option in parameter.opts}
    missing = {option for option in options if option.startswith("--") and option not in README}
    assert not missing, "not in README.md"


def settings_read_by(path: Path) -> set[str]:
    """The names of the environment variables that a module reads: environ.get("NAME"), f(environ, "NAME")."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    about = [call for call in calls if "environ" in {part.split(".")[-1] for part in _parts(call)}]
    constants = [argument.value for call in about for argument in call.args if isinstance(argument, ast.Constant)]
    return {text for text in constants if isinstance(text, str) and text.isupper()}


def _parts(call: ast.Call) -> Iterator[str]:
    """`os.environ` of os.environ.get(…), `environ` of f(environ, …)."""
    if isinstance(call.func, ast.Attribute):
        yield ast.unparse(call.func.value)
    yield from map(ast.unparse, call.args)


def test_every_setting_is_in_the_readme() -> None:
    settings = settings_read_by(ROOT / "daybook/config.py") | settings_read_by(ROOT / "gunicorn.conf.py")
    assert settings >= {"DATABASE_URL", "PORT", "WEB_CONCURRENCY"}
    table = README[README.index("## Configuration") :].split("\n## ")[0]
    documented = set(first_cells(table))
    assert not settings - documented, "not in the table of settings in README.md"
    assert not documented - settings, "in README.md, but read by nothing"


# --- dependencies


def direct_dependencies(file: str) -> set[str]:
    """What the first half of a requirements file lists; the second half is what those bring along."""
    direct, _, _ = (ROOT / file).read_text().partition("# what those bring along")
    return set(re.findall(r"^([A-Za-z0-9_.-]+)==", direct, re.MULTILINE))


def test_every_dependency_has_its_reason() -> None:
    vendored = json.loads((ROOT / "static/vendor/vendored.json").read_text())["packages"]
    used = direct_dependencies("requirements.txt") | direct_dependencies("requirements-test.txt")
    used |= {package["name"] for package in vendored}
    assert len(used) > 20
    explained = set(first_cells(DEPENDENCIES))
    assert not used - explained, "without a reason in docs/dependencies.md"
    assert not explained - used, "in docs/dependencies.md, but not used any more"


# --- the house


def test_every_module_stands_in_the_picture_of_the_house() -> None:
    picture = ARCHITECTURE[ARCHITECTURE.index("## The house") : ARCHITECTURE.index("## Words")]
    found: set[str] = set()
    folders: dict[int, str] = {}
    for line in picture.splitlines():
        match = re.match(r"( *)([a-z_/]+(?:\.py|/))(?: |$)", line)
        if not match:
            continue
        indent, name = len(match[1]), match[2]
        folders = {depth: folder for depth, folder in folders.items() if depth < indent}
        if name.endswith("/"):
            folders[indent] = name
        else:
            above = "".join(folder for depth, folder in sorted(folders.items()) if depth < indent)
            found.add(above + name)
    modules = {
        path.relative_to(ROOT).as_posix()
        for folder in ("blueprints", "daybook")
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "__init__.py"
    }
    found = {name for name in found if name.startswith(("blueprints/", "daybook/"))}
    assert not modules - found, "not in the picture of docs/architecture.md"
    assert not found - modules, "in the picture of docs/architecture.md, but not in the house"


# --- the API


def raised_codes(path: Path) -> Iterator[str]:
    """The codes of the errors that a module raises or writes into an upload."""
    place = {"FormatError": 0, "ImportRefused": 0, "ApiError": 1, "_fail": 0}
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        arguments = [argument.value if isinstance(argument, ast.Constant) else None for argument in node.args]
        if name in place and len(arguments) > place[name] and isinstance(arguments[place[name]], str):
            yield str(arguments[place[name]])
        for keyword in node.keywords:
            if (
                keyword.arg in ("code", "error_code")
                and isinstance(keyword.value, ast.Constant)
                and keyword.value.value
            ):
                yield str(keyword.value.value)


def test_every_error_code_is_in_the_description_of_the_api() -> None:
    paths = [*(ROOT / "daybook").rglob("*.py"), *(ROOT / "blueprints").rglob("*.py")]
    codes = {code for path in paths for code in raised_codes(path)}
    assert codes >= {"ambiguous_dates", "too_large", "unauthorized", "interrupted", "internal_error"}
    # Two requests for one announced file: only the upload page could send them, and it answers before.
    codes -= {"already_running", "already_imported"}
    missing = {code for code in codes if f"`{code}`" not in API}
    assert not missing, "not in docs/api.md"


def test_every_parameter_of_an_upload_is_in_the_description_of_the_api() -> None:
    missing = {name for name in uploads_of_the_api.KNOWN if f"| `{name}` |" not in API}
    assert not missing, "not in the table of parameters in docs/api.md"


# --- links


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", FENCED.sub("", path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    path = ROOT / document
    broken = []
    for target in LINK.findall(FENCED.sub("", path.read_text())):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert not broken


def test_every_decision_has_its_number() -> None:
    names = sorted(path.name for path in (ROOT / "docs/decisions").glob("*.md"))
    for number, name in enumerate(names, start=1):
        assert name.startswith(f"{number:04}-")
        assert (ROOT / "docs/decisions" / name).read_text().startswith(f"# {number}. ")
