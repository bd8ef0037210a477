"""The library's rooms: small, without circles, and what the wheel in every project is made of."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import wheel
from baking import ROOT

SRC = ROOT / "src"
MODULES = {
    ".".join(path.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(SRC.rglob("*.py"))
}
FILES = sorted(MODULES.values())


def name_of(path: Path) -> str:
    return path.relative_to(SRC).as_posix()


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_fits_in_the_head(path: Path) -> None:
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "expected a docstring"
    assert len(text.splitlines()) <= 250
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            assert node.end_lineno - node.lineno < 60, node.name


def test_no_room_has_more_than_ten_modules() -> None:
    rooms = {path.parent for path in FILES}
    sizes = {
        name_of(room): sum(p.name != "__init__.py" for p in room.glob("*.py")) for room in rooms
    }
    assert {room: size for room, size in sizes.items() if size > 10} == {}


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_listed(name: str) -> None:
    path = MODULES[name]
    if (path.name.startswith("_") and path.name != "__init__.py") or path.name == "join.py":
        return
    tree = ast.parse(path.read_text("utf-8"))
    listed = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    assert len(listed) == 1, "expected one __all__"
    assert not [entry for entry in listed[0] if entry.startswith("_") and entry != "__version__"]


def imported(name: str) -> Iterator[str]:
    """Yield the library's modules that one imports, in functions and for its types too."""
    path = MODULES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            above = parts[: len(parts) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                found = f"{source}.{alias.name}"
                if (found if found in MODULES else source) in MODULES:
                    yield found if found in MODULES else source


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = {name: set(imported(name)) - {name} for name in MODULES}
    while leaves := [name for name, needs in graph.items() if not needs & graph.keys()]:
        for name in leaves:
            del graph[name]
    assert graph == {}


def test_the_wheel_in_every_project_is_made_of_these_sources() -> None:
    assert wheel.stale() == ""
