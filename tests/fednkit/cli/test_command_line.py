"""The command line: what it lists, how it reads options, and what it says of mistakes."""

import dataclasses
import importlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from library import write_project

from fednkit.cli._app import build
from fednkit.cli._commands import COMMANDS, overview
from fednkit.cli.main import main


def functions() -> list[Any]:
    """Return the function of every command and action."""
    found = []
    for name, command in COMMANDS.items():
        module = importlib.import_module(f"fednkit.{command.module}")
        actions: dict[str, Callable[..., None]] = getattr(module, "ACTIONS", {})
        found += [pytest.param(action, id=f"{name} {key}") for key, action in actions.items()]
        if not actions:
            found.append(pytest.param(module.run, id=name))
    return found


def outcome(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int | str | None, str]:
    """Return the exit code, or the message of it, and what went to stderr."""
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return ended.value.code, capsys.readouterr().err


def test_the_overview_lists_every_command_and_imports_nothing_installed() -> None:
    code = (
        "import sys; from fednkit.cli.main import main; main(['--help'])\n"
        "print(*{'cyclopts', 'fednsite', 'numpy'} & set(sys.modules))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout == f"{overview()}\n\n"
    assert all(f"\n  {name:<11} {known.summary}" in overview() for name, known in COMMANDS.items())


@pytest.mark.parametrize("function", functions())
def test_every_option_has_a_type_and_a_description(function: Callable[..., None]) -> None:
    kind = get_type_hints(function).get("options")
    if kind is None:
        return
    assert kind.__dataclass_params__.frozen
    described = "\n".join(base.__doc__ or "" for base in kind.__mro__)
    for field in dataclasses.fields(kind):
        assert f"\n        {field.name}: " in described


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("nope", 'unknown command "nope". Available commands: schema,'),
        ("simulate --cleints 3", "unknown option: --cleints. Did you mean --clients? See: "),
        (
            "simulate --rounds x",
            'invalid value for --rounds: unable to convert "x" into int',
        ),
        ("simulate --attack x", 'invalid value "x" for --attack. Choose from: "sign-flip",'),
        (
            "session start",
            "expected a value for --api-url, found none. See: fednkit session",
        ),
        ("seed 3", "unexpected: 3. See: fednkit seed --help"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_help(
    words: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = outcome(capsys, *words.split())
    assert code == 2
    assert said.startswith(f"error: {expected}")
    assert said.count("\n") == 1
    assert "--help" in said


@pytest.mark.parametrize(
    ("line", "words", "expected"),
    [
        ('seed = "x"', "", 'line 14: invalid value for seed: unable to convert "x" into int'),
        ("sede = 1", "", "line 14: unknown option: sede"),
        ("seed = ", "", "expected TOML"),
        ("alpha = 0", "", "line 14: --alpha: expected a number above 0, found 0"),
        ("alpha = 1", "--alpha 0", "--alpha: expected a number above 0, found 0"),
        ('partition = "column"', "", "line 14: --partition column and --column NAME go"),
    ],
)
def test_a_default_of_the_projects_own_is_checked_with_its_place(
    line: str,
    words: str,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = write_project(tmp_path) / "pyproject.toml"
    file.write_text(f"{file.read_text('utf-8')}\n[tool.fednkit.sites]\n{line}\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    code, said = outcome(capsys, "sites", *words.split())
    message = said if code == 2 else str(code)
    own = message.removeprefix("error: ").removeprefix(f"{file}, ").removeprefix(f"{file}: ")
    assert own.startswith(expected)


def test_the_command_line_goes_before_the_projects_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_project(tmp_path) / "pyproject.toml"
    table = '[tool.fednkit.token]\nrole = "client"\ndays = 1\n'
    file.write_text(f"{file.read_text('utf-8')}\n{table}", "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEDN_JWT_SECRET_KEY", "x" * 32)
    main(["token"])
    assert capsys.readouterr().out.count(".") == 2
    code, _ = outcome(capsys, "token", "--days", "0")
    assert code == "error: --days: expected above 0 to 36500, found 0"


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_completes_commands(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = tmp_path / "_fednkit"
    command = [sys.executable, "-m", "fednkit", "completion", shell]
    script.write_bytes(subprocess.run(command, capture_output=True, check=True).stdout)
    asked = {
        "bash": f"source {script}; COMP_WORDS=(fednkit sim); COMP_CWORD=1; _fednkit; "
        "echo ${COMPREPLY[@]}",
        # Without a terminal: whether it parses, and what it knows.
        "zsh": f"zsh -n {script} && grep -o \"'simulate:[^']*'\" {script} | head -1",
    }[shell]
    answer = subprocess.run([shell, "-c", asked], capture_output=True, text=True, check=True)
    assert answer.stderr == ""
    assert "simulate" in answer.stdout


def test_positional_arguments_come_before_inherited_options() -> None:
    words = ["session", "watch", "some-id", "--api-url", "http://127.0.0.1"]
    _, bound, _ = build("session").parse_args(words, exit_on_error=False)
    assert bound.args[0].session == "some-id"
