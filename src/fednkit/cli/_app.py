"""Build the Cyclopts app, in which the fields of each command's dataclass are its options."""

import importlib
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, get_type_hints

from cyclopts import App, Parameter

from .. import __version__
from ..project.config import check_version
from ._commands import COMMANDS, Command
from ._defaults import project_defaults

__all__ = ["build"]


def build(chosen: str | None = None) -> App:
    """Return the app.

    Args:
        chosen: Import only this command's module; None imports all of them.
    """
    app = App(
        name="fednkit",
        version=f"fednkit {__version__}",
        help="Federated-learning projects on FEDn.",
        help_format="markdown",
        default_parameter=Parameter(negative="", show_default=_shown_default),
        config=project_defaults,
    )
    for name, command in COMMANDS.items():
        known = App(name=name, help=f"{command.summary[0].upper()}{command.summary[1:]}.")
        if chosen in (None, name):
            _load(command, known)
        app.command(known)
    return app


def _load(command: Command, app: App) -> None:
    """Import a command's module and add its function and its actions to the app."""
    module = importlib.import_module(f"fednkit.{command.module}")
    for name, action in getattr(module, "ACTIONS", {}).items():
        app.command(_adapted(action, command.any_version), name=name)
    if hasattr(module, "run"):
        app.default(_adapted(module.run, command.any_version))


def _adapted(function: Callable[..., None], any_version: bool) -> Callable[..., None]:
    """Wrap a command's function in the signature from which Cyclopts reads the options."""

    def run_with(options: Any = None) -> None:
        if not any_version and (warning := check_version()):
            print(f"warning: {warning}", file=sys.stderr)
        function(options)

    def run_without() -> None:
        if not any_version and (warning := check_version()):
            print(f"warning: {warning}", file=sys.stderr)
        function()

    kind = get_type_hints(function).get("options")
    call = run_without if kind is None else run_with
    call.__doc__ = function.__doc__
    if kind is not None:
        call.__annotations__["options"] = Annotated[kind, Parameter(name="*")]
        # Used if no option is given; impossible if the dataclass has a required field.
        call.__defaults__ = None
        with suppress(TypeError):
            call.__defaults__ = (kind(),)
    return call


def _shown_default(value: Any) -> str | None:
    """Return a default as shown in the help; None for flags and for options without a default."""
    return None if value is None or value is False or value == () else f"{value}"
