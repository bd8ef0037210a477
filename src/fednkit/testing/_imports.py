"""Checks of imports: entry points must start fast, and sites may not have FEDn or fednkit."""

import ast
from collections.abc import Iterator

from ..project.config import current
from ..project.paths import shown
from ._check import expect
from ._site import machine

__all__ = ["CHECKS"]

ENTRY_POINTS = "train", "validate", "predict"
# Packages that sites may not have.
INITIATORS = "fedn", "fednkit", "scaleout"
# Prints the imported packages other than the standard library, fednsite and model.
FOREIGN_MODULES = """
import sys
sys.path.insert(0, "")
import fednsite.step
light = {*sys.modules}
%s
roots = {name.partition(".")[0] for name in {*sys.modules} - light}
print(*sorted(roots - sys.stdlib_module_names - {"fednsite", "model"}))
"""


def the_entry_points_are_light() -> None:
    with machine() as site:
        for name in ENTRY_POINTS:
            tree = ast.parse((site.package / f"{name}.py").read_text("utf-8"))
            for node in _imports_at_the_top(tree):
                statement = ast.unparse(node)
                found = site.run("-c", FOREIGN_MODULES % statement).stdout.strip()
                expect(
                    not found,
                    f"client/{name}.py, line {node.lineno}: '{statement}' imports "
                    f"{found}, which would delay every step; import it inside the function",
                )


def _imports_at_the_top(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the imports that run when the file is imported: all except those in functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _imports_at_the_top(node)


def the_package_imports_nothing_of_the_initiators() -> None:
    for file in current().client.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in names:
                expect(
                    name.partition(".")[0] not in INITIATORS,
                    f"{shown(file)}, line {getattr(node, 'lineno', 0)}: imports {name}, which a "
                    "site's environment may not have; remove it",
                )


CHECKS = (the_entry_points_are_light, the_package_imports_nothing_of_the_initiators)
