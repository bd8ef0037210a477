"""The command `fednkit COMMAND`."""

import argparse
import importlib
import signal
import sys

from .. import __version__
from ..project.config import check_version
from ..project.errors import PackageError

__all__ = ["COMMANDS", "main"]

# Each command's module in this library, and what it is for.
COMMANDS = {
    "schema": ("data.schema", "draft the data contract from a table or from images of yours"),
    "sites": ("data.sites", "make sample data, or take a file of yours, and spread it over sites"),
    "check-data": ("data.check", "check whether a site's file keeps the data contract"),
    "seed": ("data.seed", "make the seed model, from which the first round starts"),
    "package": ("package.archive", "build the compute package, the archive that every site runs"),
    "key": ("package.signing", "make the keys with which packages are signed"),
    "sbom": ("package.sbom", "write what is in package and image, for tools (CycloneDX)"),
    "licenses": ("package.licenses", "list the licenses of everything that the sites install"),
    "simulate": ("simulation.simulate", "try many clients and rounds in this machine's processes"),
    "report": ("runs.report", "show runs as a page: is federation worth it?"),
    "runs": ("runs.manage", "list, compare and remove runs"),
    "network": ("network.local", "train over a real FEDn network on this machine"),
    "serve": ("network.serve", "run FEDn's controller and combiner for other machines"),
    "move": ("storage.move", "move what serve --store kept into MongoDB and an object store"),
    "upload": ("controller.upload", "hand package and seed model to a controller elsewhere"),
    "invite": ("controller.invite", "write the folder with which one site joins"),
    "session": ("sessions.session", "start, follow and collect rounds on a controller elsewhere"),
    "token": ("controller.tokens", "make a token for a controller that demands them"),
    "write": ("controller.deployment", "write compose.yaml or nginx.conf, to deploy FEDn"),
    "secrets": ("controller.secrets", "make the passwords that compose.yaml asks for"),
    "doctor": ("doctor.command", "look for what is wrong, and say what fixes it"),
    "where": ("doctor.where", "say which fednkit runs"),
    "docs": ("docs.command", "print a page of the guide: simulate, privacy, going live ..."),
}
# They run outside a project too, or find what is wrong with its version.
ANY_VERSION = ("doctor", "docs", "move", "token", "where")


def main(arguments: list[str] | None = None) -> None:
    """Run one command. A mistake ends in one line on stderr and exit code 1."""
    words = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser("fednkit", description="Federated projects on FEDn.")
    parser.add_argument("--version", action="version", version=f"fednkit {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((word for word in words if word in COMMANDS), None)
    try:
        for name, (path, summary) in COMMANDS.items():
            command = commands.add_parser(
                name, help=summary, description=f"{summary[0].upper()}{summary[1:]}."
            )
            # Only the chosen one is imported: `package` must run without anything installed.
            if name == chosen:
                module = importlib.import_module(f"fednkit.{path}")
                module.add_options(command)
        options = parser.parse_args(words)
        # A terminate or a closed terminal stops everything as Ctrl-C does, unless under nohup.
        # Windows has no SIGHUP, and projects are generated there too.
        for number in (signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.default_int_handler)
        if chosen not in ANY_VERSION and (warning := check_version()):
            print(f"warning: {warning}", file=sys.stderr)
        module.run(options)
    except ModuleNotFoundError as error:
        missing = f"error: the package '{error.name}' is not installed here; run 'make setup'"
        raise SystemExit(f"{missing}, then use .venv/bin/fednkit") from None
    except (PackageError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit("stopped") from None
