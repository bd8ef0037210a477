"""The doctor's checks of a controller."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from functools import partial

from fedn import APIClient

from ..controller import connection
from ..controller.connection import HELPER, listed
from ..controller.upload import active_helper, newest_model, unpackable
from ..project.config import current
from ..project.errors import ProjectError
from ._check import Check, examine

UPLOAD = "run: fednkit upload --api-url URL"


def checks(api_url: str, token_env: str | None) -> Iterator[tuple[str, Check]]:
    """Yield the checks of a controller; only the first if the controller does not answer."""

    def reach() -> str:
        with connection.connected(api_url, connection.read_token(token_env)):
            return f"{api_url} answers"

    yield "controller", reach
    if examine(reach)[1]:
        return
    with connection.connected(api_url, connection.read_token(token_env)) as api:
        for name, check in CHECKS.items():
            yield name, partial(check, api)


def active_package(api: APIClient) -> str:
    """Check that the controller serves the archive that was built here, under a usable name."""
    active = api.get_active_package()
    if "package_id" not in active:
        raise ProjectError(f"the controller has none; {UPLOAD}")
    if not unpackable(active):
        raise ProjectError(
            f"it was uploaded under a name that FEDn stores as '{active['storage_file_name']}', "
            f"which no client can unpack; {UPLOAD}"
        )
    expected = hashlib.sha256(current().archive.read_bytes()).hexdigest()
    if (found := connection.package_checksum(api)) != expected:
        raise ProjectError(f"SHA-256 {found}, and here it is {expected}; {UPLOAD}")
    return f"SHA-256 {found}"


def helper(api: APIClient) -> str:
    """Check that the controller reads model files in the package's format."""
    if (name := active_helper(api)) != HELPER:
        raise ProjectError(f"expected {HELPER}, found {name}; {UPLOAD}")
    return HELPER


def global_model(api: APIClient) -> str:
    """Check that the controller has a global model."""
    return str(newest_model(api)["model_id"])


def combiners(api: APIClient) -> str:
    """Check that the controller has a combiner for the sites to connect to."""
    names = [combiner["name"] for combiner in listed(api.get_combiners())]
    if not names:
        raise ProjectError("expected one, found none; start one: fedn combiner start --init FILE")
    return ", ".join(names)


def sites(api: APIClient) -> str:
    """Check that all online sites have different names: FEDn would mix up their messages."""
    clients = [c["name"] for c in listed(api.get_clients()) if c["status"] == "online"]
    duplicates = [name for name, count in Counter(clients).items() if count > 1]
    if duplicates:
        raise ProjectError(
            f"several sites are called '{duplicates[0]}'; invite each with its own name"
        )
    return f"online: {', '.join(sorted(clients)) or 'none'}"


CHECKS = {
    "active package": active_package,
    "active helper": helper,
    "global model": global_model,
    "combiner": combiners,
    "sites": sites,
}
