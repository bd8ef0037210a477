"""The doctor's checks of the machine. Imports only the standard library."""

import importlib.metadata
import os
import re
import socket
import subprocess
import sys
import tempfile
import urllib.request

from ..project.config import check_version, current
from ..project.errors import ProjectError
from . import where

OLDEST_PYTHON, NEWEST_PYTHON = (3, 10), (3, 12)
REQUIREMENTS = "requirements.txt", "requirements-fedn.txt", "requirements-dev.txt"


def python() -> str:
    """Check that FEDn's last release runs on this Python."""
    version = "{}.{}.{}".format(*sys.version_info)
    if not OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        raise ProjectError(
            f"expected 3.10, 3.11 or 3.12, found {version}; "
            "run: make setup PYTHON=/path/to/python3.12"
        )
    return version


def packages() -> str:
    """Check that the pinned versions are installed and compatible."""
    wrong, pins = [], 0
    for name, pinned in pinned_requirements():
        pins += 1
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found = "none"
        if found != pinned:
            wrong.append(f"{name}: expected {pinned}, found {found}")
    if wrong:
        more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
        raise ProjectError(f"{'; '.join(wrong[:3])}{more}; run: make clean setup")
    command = [sys.executable, "-m", "pip", "check", "--disable-pip-version-check"]
    clashes = subprocess.run(command, capture_output=True, text=True, check=False)
    if clashes.returncode:
        raise ProjectError(f"{clashes.stdout.splitlines()[0]}; run: make clean setup")
    return f"{pins} as pinned, without conflicts"


def pinned_requirements() -> list[tuple[str, str]]:
    """Return the name and version of each direct requirement that applies to this machine."""
    pins = []
    for file in REQUIREMENTS:
        for line in (current().root / file).read_text("utf-8").splitlines():
            match = re.match(r"([\w.-]+)(?:\[[\w,]+\])?==([\w.+]+)\s*(?:;(.*))?$", line)
            if match and (match[3] is None or applies(match[3])):
                pins.append((match[1], match[2]))
    return pins


def applies(marker: str) -> bool:
    """Return whether an environment marker (PEP 508) applies here, according to pip's parser."""
    try:
        from pip._vendor.packaging.markers import Marker
    except ImportError:
        # Without pip, no package is installed, which the check reports without markers.
        return False
    return bool(Marker(marker).evaluate())


def temporary_folder() -> str:
    """Check the temporary folder, because FEDn passes its path to a shell without quotes."""
    folder = tempfile.gettempdir()
    if re.search(r"[^\w./@:+-]", folder):
        raise ProjectError(
            f"'{folder}' has a character that breaks FEDn's commands; run: export TMPDIR=/tmp"
        )
    return folder


def environment() -> str:
    """Check that no environment variable is set that would break FEDn here."""
    wrong = {
        "FEDN_PACKAGE_EXTRACT_DIR": "all sites would unpack the package into one folder",
        "FEDN_CUSTOM_URL_PREFIX": "clients would look for the controller elsewhere",
        "FEDN_AUTH_SCHEME": "controllers expect the scheme Bearer",
        "PYTHONSAFEPATH": "Python would not find the library beside the package",
        "STATESTORE_CONFIG": "FEDn's server would store to another place",
        "MODELSTORAGE_CONFIG": "FEDn's server would store to another place",
    }
    for name, reason in wrong.items():
        value = os.environ.get(name)
        if value and (name, value) != ("FEDN_AUTH_SCHEME", "Bearer"):
            raise ProjectError(f"{name} is set, so {reason}; run: unset {name}")
    return "no variable that misleads FEDn"


def loopback() -> str:
    """Check that 127.0.0.1, which the local network uses, works without a proxy."""
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            probe.listen()
            socket.create_connection(probe.getsockname(), timeout=5).close()
    except OSError as error:
        raise ProjectError(f"127.0.0.1 cannot be used ({error}); check the firewall") from None
    if urllib.request.getproxies().get("http") and not urllib.request.proxy_bypass("127.0.0.1"):
        raise ProjectError(
            "requests to 127.0.0.1 would go to a proxy; run: export no_proxy=127.0.0.1,localhost"
        )
    return "127.0.0.1 answers"


def library() -> str:
    """Check that the library is installed from the wheel in vendor/, and that neither changed."""
    installed = where.installation()
    if installed.editable:
        return installed.words
    where.check_wheel()
    where.check_installed()
    return installed.words


def version() -> str:
    """Check that the project is for this version of the library."""
    if warning := check_version():
        raise ProjectError(warning)
    return f"the project is of fednkit {current().version}"


CHECKS = {
    "version": version,
    "python": python,
    "packages": packages,
    "fednkit": library,
    "temporary folder": temporary_folder,
    "environment": environment,
    "loopback": loopback,
}
