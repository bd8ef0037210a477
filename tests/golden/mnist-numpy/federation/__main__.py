"""The initiator's tools: python -m federation COMMAND."""

import argparse
import importlib
import signal
import sys

from .project import ProjectError

COMMANDS = {
    "schema": "draft the data contract from a table or from images of yours",
    "sites": "make sample data, or take a file of yours, and spread it over sites",
    "seed": "make the seed model, from which the first round starts",
    "package": "build the compute package, the archive that every site runs",
    "simulate": "try many clients and rounds in this machine's processes",
    "report": "show runs as a page: is federation worth it?",
    "network": "train over a real FEDn network on this machine",
    "upload": "hand package and seed model to a controller that runs elsewhere",
    "session": "start, follow and collect rounds on a controller that runs elsewhere",
    "invite": "write the folder with which one site joins",
    "check-data": "tell whether a site's file keeps the data contract",
    "doctor": "look for what is wrong, and say what mends it",
    "secrets": "make the passwords that compose.yaml asks for",
    "serve": "run FEDn's controller and combiner for trials between machines",
    "key": "make the keys with which packages are signed",
    "sbom": "write what is in package and image, for tools (CycloneDX)",
    "licenses": "list under which licenses that stands which the sites install",
    "token": "make a token for a controller that demands them",
}
# Where the module has another name than the command.
MODULES = {"check-data": "check_data", "token": "tokens", "key": "signing"}


def main(arguments: list[str]) -> None:
    """Run one command. A mistake ends in one line on stderr and exit code 1."""
    parser = argparse.ArgumentParser("python -m federation", description=__doc__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((word for word in arguments if word in COMMANDS), None)
    try:
        for name, summary in COMMANDS.items():
            command = commands.add_parser(
                name, help=summary, description=f"{summary[0].upper()}{summary[1:]}."
            )
            # Only the chosen one is imported: `package` must run without anything installed.
            if name == chosen:
                module = importlib.import_module(f"federation.{MODULES.get(name, name)}")
                module.add_options(command)
        options = parser.parse_args(arguments)
        # A terminate or a closed terminal stops everything as Ctrl-C does, unless under nohup.
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.default_int_handler)
        module.run(options)
    except ModuleNotFoundError as error:
        missing = f"error: the package '{error.name}' is not installed here; run 'make setup'"
        raise SystemExit(f"{missing}, then use .venv/bin/python") from None
    except (ProjectError, OSError) as error:
        raise SystemExit(f"error: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit("stopped") from None


if __name__ == "__main__":
    main(sys.argv[1:])
