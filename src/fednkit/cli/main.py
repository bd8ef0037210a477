"""The command `fednkit COMMAND`."""

import signal
import sys
from typing import TYPE_CHECKING

from .. import __version__
from ._commands import COMMANDS, overview

if TYPE_CHECKING:
    from cyclopts import CycloptsError

__all__ = ["main"]

USAGE_EXIT_CODE = 2


def main(arguments: list[str] | None = None) -> None:
    """Run one command. On a user's mistake, print one line to stderr and exit with a code > 0."""
    words = sys.argv[1:] if arguments is None else arguments
    if not words or words[0] in ("--help", "-h"):
        print(overview())
        return
    if words == ["--version"]:
        print(f"fednkit {__version__}")
        return
    # Imported late, because the two above need nothing that is installed.
    from ..project.errors import PackageError

    _stop_on_signals()
    try:
        _run(words)
    except ModuleNotFoundError as error:
        missing = f"error: the package '{error.name}' is not installed here; run 'make setup'"
        raise SystemExit(f"{missing}, then use .venv/bin/fednkit") from None
    except (PackageError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit("stopped") from None


def _run(words: list[str]) -> None:
    if words == ["doctor"]:
        # It also works without installed packages, since it finds the missing ones.
        from ..doctor.command import Options, run

        run(Options())
        return
    from cyclopts import CycloptsError

    from ..project.errors import ProjectError
    from ._app import build
    from ._defaults import explained

    app = build(words[0] if words[0] in COMMANDS else "")
    try:
        call, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        help_ = f"fednkit {' '.join(error.command_chain or ())}".rstrip()
        print(f"error: {explained(_plain(error), words)} See: {help_} --help", file=sys.stderr)
        raise SystemExit(USAGE_EXIT_CODE) from None
    except ProjectError as error:
        raise ProjectError(explained(str(error), words)) from None
    call(*bound.args, **bound.kwargs)


def _plain(error: "CycloptsError") -> str:
    """Return an error of the command line as one sentence."""
    from cyclopts import MissingArgumentError, UnusedCliTokensError

    if isinstance(error, MissingArgumentError) and error.argument:
        return f"expected a value for {error.argument.name}, found none."
    if isinstance(error, UnusedCliTokensError):
        return f"unexpected: {' '.join(error.unused_tokens or ())}."
    text = str(error)
    return f"{text[:1].lower()}{text[1:]}"


def _stop_on_signals() -> None:
    """Handle SIGTERM and SIGHUP like Ctrl-C, except for signals ignored by nohup."""
    # Windows has no SIGHUP, and projects are generated there too.
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
