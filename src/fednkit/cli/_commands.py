"""The commands of `fednkit`, and the page that lists them.

This module imports only the standard library, so that `fednkit --help` starts fast.
"""

from typing import NamedTuple

__all__ = ["COMMANDS", "GROUPS", "Command", "overview"]


class Command(NamedTuple):
    """One command.

    Attributes:
        module: Module below `fednkit`. It has a function `run`, whose only argument, if any, is a
            dataclass `options`. A command with actions has a dictionary `ACTIONS` of such
            functions.
        summary: What the command does, in a few words.
        any_version: Whether the command also runs outside a project or in one of another version.
    """

    module: str
    summary: str
    any_version: bool = False


GROUPS = {
    "Data and seed model": {
        "schema": Command("data.schema", "draft the data contract from a table or from images"),
        "sites": Command("data.sites", "make sample data, or split your own file over sites"),
        "check-data": Command("data.check", "check a site's file against the data contract"),
        "seed": Command("data.seed", "make the seed model, from which the first round starts"),
    },
    "Train on this machine": {
        "simulate": Command("simulation.simulate", "simulate many clients and rounds"),
        "network": Command("network.local", "train over a FEDn network on this machine"),
        "report": Command("runs.report", "write an HTML report: is federation worth it?"),
        "runs": Command("runs.manage", "list, compare and remove runs"),
    },
    "Ship the compute package": {
        "package": Command("package.archive", "build the archive that every site runs"),
        "key": Command("package.signing", "make the keys that sign packages"),
        "sbom": Command("package.sbom", "write a software bill of materials (CycloneDX)"),
        "licenses": Command("package.licenses", "list the licenses of the sites' dependencies"),
    },
    "Go live": {
        "serve": Command("network.serve", "run FEDn's controller and combiner for other machines"),
        "upload": Command("controller.upload", "upload package and seed model to a controller"),
        "invite": Command("controller.invite", "write the folder that one site needs to join"),
        "session": Command("sessions.session", "start and follow rounds, and download models"),
        "token": Command("controller.tokens", "make a token for a controller", any_version=True),
        "write": Command("controller.deployment", "write compose.yaml or nginx.conf"),
        "secrets": Command("controller.secrets", "make the passwords of compose.yaml"),
        "move": Command(
            "storage.move", "move a store into MongoDB and an object store", any_version=True
        ),
    },
    "Help": {
        "doctor": Command("doctor.command", "find what is wrong, and how to fix it", True),
        "where": Command("doctor.where", "show which fednkit runs", True),
        "docs": Command("docs.command", "print a page of the guide", True),
        "completion": Command("cli.completion", "print a completion script for your shell", True),
    },
}
COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}


def overview() -> str:
    """Return the page of `fednkit --help`."""
    lines = ["Usage: fednkit COMMAND [OPTIONS]", "", "Federated-learning projects on FEDn."]
    for title, commands in GROUPS.items():
        lines += ["", f"{title}:"]
        lines += [f"  {name:<11} {command.summary}" for name, command in commands.items()]
    lines += ["", "Options of a command: fednkit COMMAND --help. Version: fednkit --version."]
    return "\n".join(lines)
