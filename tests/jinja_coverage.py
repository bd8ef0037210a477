"""What of the template's Jinja is never taken, never used, or unknown.

    coverage.findings(ROOT)     # one sentence each; none is as it should be

Every name and file of the output tree, the hooks and the derived answers are rendered with every
combination of choices, as cookiecutter renders them. The syntax trees are changed on the way:
every arm of a condition, every body of a loop and every include notes that it was taken. What was
noted nowhere is a finding, and so is what the syntax trees name and `cookiecutter.json` does not
have, or the other way round.
"""

import itertools
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from binaryornot.check import is_binary
from cookiecutter.environment import StrictEnvironment
from cookiecutter.generate import generate_context, is_copy_only_path
from cookiecutter.prompt import prompt_for_config
from jinja2 import FileSystemLoader, Template, TemplateNotFound, UndefinedError, meta, nodes

# Cookiecutter adds these to the answers.
ADDED = ("_template", "_output_dir", "_repo_dir", "_checkout")
# Cookiecutter itself reads these; no template has to.
SETTINGS = {"__prompts__", "_copy_without_render", "_extensions", "_jinja2_env_vars", "_new_lines"}


class NotingEnvironment(StrictEnvironment):
    """Cookiecutter's environment, in which templates note what is taken of them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(keep_trailing_newline=True, **options)
        self.label = ""
        self.arms: set[str] = set()
        self.taken: set[str] = set()
        self.included: set[str] = set()
        self.names: dict[str, set[str]] = {}
        self.attributes: dict[str, set[str]] = {}
        self._including = ""
        self._in_file: Counter[str] = Counter()
        self._texts: dict[str, Template] = {}

    def note(self, arm: str, value: Any = None) -> Any:
        """Note that an arm was taken."""
        self.taken.add(arm)
        return value

    def enter(self, include: str, target: Any) -> Any:
        """Note which include comes next; it is taken when its target is found."""
        self._including = include
        return target

    def render_text(self, label: str, text: str, context: dict[str, Any]) -> str:
        """Render a text that is no file, under a label for people."""
        self.label = label
        if text not in self._texts:
            self._texts[text] = self.from_string(text)
        return self._texts[text].render(**context)

    def get_template(self, name: Any, parent: Any = None, globals: Any = None) -> Template:
        """Load a file; one that nobody includes is loaded by cookiecutter."""
        if parent is None:
            self._including = ""
        template: Template = super().get_template(name, parent, globals)
        return template

    def _load_template(self, name: Any, globals: Any) -> Template:
        template: Template = super()._load_template(name, globals)
        if self._including:
            self.note(self._including)
            self.included.add(name)
            self._including = ""
        return template

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree: nodes.Template = super()._parse(source, name, filename)
        where = name or self.label
        self._in_file.clear()
        for bare in meta.find_undeclared_variables(tree):
            self.names.setdefault(bare, set()).add(where)
        for node in tree.find_all(nodes.Node):
            if isinstance(node, nodes.Getattr | nodes.Getitem):
                self._name(node, where)
        elifs = {inner for node in tree.find_all(nodes.If) for inner in node.elif_}
        for node in list(tree.find_all(nodes.Node)):
            self._instrument(node, f"{where}, line {node.lineno}", has_else=node not in elifs)
        return tree

    def _name(self, access: nodes.Getattr | nodes.Getitem, where: str) -> None:
        if isinstance(access, nodes.Getattr):
            key: Any = access.attr
        else:
            key = access.arg.value if isinstance(access.arg, nodes.Const) else None
        whole = isinstance(access.node, nodes.Name) and access.node.name == "cookiecutter"
        if isinstance(key, str):
            self.attributes.setdefault(key if whole else f".{key}", set()).add(where)

    def _instrument(self, node: nodes.Node, at: str, *, has_else: bool) -> None:
        if isinstance(node, nodes.If):
            self._mark(node.body, f"{at}: this arm of the condition")
            # Without one, skipping the only arm counts as one: else the condition is always true.
            # Where each elif names a choice, none is needed.
            if node.else_ or (has_else and not node.elif_):
                self._mark(node.else_, f"{at}: the else of the condition")
        elif isinstance(node, nodes.For):
            self._mark(node.body, f"{at}: the body of the loop")
            if node.else_:
                self._mark(node.else_, f"{at}: the else of the loop")
        elif isinstance(node, nodes.CondExpr):
            node.expr1 = self._call("note", f"{at}: the value under `if`", node.expr1)
            if node.expr2 is not None:
                node.expr2 = self._call("note", f"{at}: the value under `else`", node.expr2)
        elif isinstance(node, nodes.Include):
            node.template = self._call("enter", f"{at}: the include", node.template)

    def _mark(self, body: list[nodes.Node], arm: str) -> None:
        body.insert(0, nodes.ExprStmt(self._call("note", arm)))

    def _call(self, method: str, arm: str, *rest: nodes.Expr) -> nodes.Call:
        # Several may stand on one line.
        self._in_file[arm] += 1
        arm += f" ({self._in_file[arm]})" if self._in_file[arm] > 1 else ""
        self.arms.add(arm)
        arguments = [nodes.Const(arm), *rest]
        return nodes.Call(nodes.EnvironmentAttribute(method), arguments, [], None, None)


def combinations(table: Path) -> Iterator[dict[str, Any]]:
    """Yield the context of each combination of choices, as cookiecutter has it with --no-input."""
    raw = json.loads(table.read_text("utf-8"))
    choices = {name: values for name, values in raw.items() if isinstance(values, list)}
    choices = {name: values for name, values in choices.items() if not name.startswith("_")}
    for values in itertools.product(*choices.values()):
        answers = dict(zip(choices, values, strict=True))
        context = generate_context(str(table), extra_context=answers)
        context["cookiecutter"] = prompt_for_config(context, no_input=True)
        context["cookiecutter"].update(dict.fromkeys(ADDED, ""))
        yield context


def files_to_render(tree: Path, context: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Yield the names below the output tree, and whether their content is rendered, too."""
    for folder, folders, files in os.walk(tree):
        here = Path(folder).relative_to(tree)
        # Cookiecutter copies such a folder as it is, with the names in it.
        for name in sorted(folders):
            yield (here / name).as_posix(), False
            if is_copy_only_path(str(here / name), context):
                folders.remove(name)
        for name in sorted(files):
            copied = is_copy_only_path(str(here / name), context)
            yield (here / name).as_posix(), not copied and not is_binary(str(tree / here / name))


def findings(root: Path) -> list[str]:
    """Return what is wrong with the Jinja of a template, one sentence each."""
    table = root / "cookiecutter.json"
    raw = json.loads(table.read_text("utf-8"))
    tree = next(path for path in root.iterdir() if path.name.startswith("{{"))
    found: list[str] = []
    env: NotingEnvironment | None = None
    for context in combinations(table):
        if env is None:
            env = NotingEnvironment(context=context)
            env.loader = FileSystemLoader([tree, root / "templates"])
        try:
            render_all(env, root, tree, raw, context)
        except TemplateNotFound as error:
            found.append(f"{env.label}: {error.name} is not found")
        except UndefinedError as error:
            found.append(f"{env.label}: {error.message}")
    assert env is not None
    found += [f"{arm} is taken in no combination" for arm in env.arms - env.taken]
    found += [
        f"templates/{name} is included by nobody"
        for name in (path.relative_to(root / "templates").as_posix() for path in files(root))
        if name not in env.included
    ]
    found += unknown(env, raw) + unused(env, raw)
    return sorted(set(found))


def files(root: Path) -> list[Path]:
    """Return what lies below templates/."""
    return [path for path in (root / "templates").rglob("*") if path.is_file()]


def render_all(
    env: NotingEnvironment, root: Path, tree: Path, raw: dict[str, Any], context: dict[str, Any]
) -> None:
    """Render with one context all that cookiecutter renders."""
    for name, default in raw.items():
        if isinstance(default, str) and not SETTINGS & {name}:
            env.render_text(f"cookiecutter.json, {name}", default, context)
    env.render_text("the folder's name", tree.name, context)
    for hook in sorted((root / "hooks").glob("*")):
        if hook.is_file():
            env.render_text(f"hooks/{hook.name}", hook.read_text("utf-8"), context)
    for name, rendered in files_to_render(tree, context):
        written = env.render_text(f"the name {name}", name, context)
        if rendered and not written.endswith("/") and Path(written).name:
            env.label = name
            env.get_template(name).render(**context)


def unknown(env: NotingEnvironment, raw: dict[str, Any]) -> list[str]:
    """Return what the templates name and nobody gives."""
    known = {"cookiecutter", *env.globals}
    bare = [(name, wheres) for name, wheres in env.names.items() if name not in known]
    found = [f"{where}: {name} is unknown" for name, wheres in bare for where in wheres]
    for name, wheres in env.attributes.items():
        if not name.startswith(".") and name not in {*raw, *ADDED}:
            found += [f"{where}: cookiecutter.{name} is unknown" for where in wheres]
    return found


def unused(env: NotingEnvironment, raw: dict[str, Any]) -> list[str]:
    """Return what `cookiecutter.json` has, down to the entries of its tables, and nobody uses."""
    names = {name for name in raw if name not in SETTINGS}
    found = [f"cookiecutter.json: {name} is unused" for name in names - set(env.attributes)]
    for name in names:
        if not name.startswith("_") or not isinstance(raw[name], dict):
            continue
        keys = {key for entry in raw[name].values() if isinstance(entry, dict) for key in entry}
        unread = [key for key in keys if f".{key}" not in env.attributes]
        found += [f"cookiecutter.json: {key} in {name} is unused" for key in unread]
    return found
