"""Connect to a FEDn controller with FEDn's APIClient, and report failures in one line."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit

import fedn.network.api.client
import requests
from fedn import APIClient

from ..project.errors import ProjectError, one_line

__all__ = [
    "HELPER",
    "ControllerOptions",
    "checked_url",
    "connected",
    "listed",
    "online_sites",
    "package_checksum",
    "planned_rounds",
    "read_token",
    "retrying",
    "shared_names",
]

# FEDn's only helper that preserves float32.
HELPER = "numpyhelper"
# Maximum wait for the start of a response, and between its parts.
TIMEOUT_SECONDS = 60
# How long to retry while the controller or its machine restarts.
RETRY_SECONDS = 60

# FEDn's APIClient has no timeout.
fedn.network.api.client.requests = SimpleNamespace(
    exceptions=requests.exceptions,
    **{
        verb: partial(getattr(requests, verb), timeout=TIMEOUT_SECONDS)
        for verb in ("delete", "get", "patch", "post", "put")
    },
)

# FEDn's APIClient expects a class of server functions and sends its source; here the source is
# passed directly.
fedn.network.api.client.inspect = SimpleNamespace(getsource=str)


@dataclass(frozen=True, kw_only=True)
class ControllerOptions:
    """The controller to use, and the initiator's token for it.

    Attributes:
        api_url: URL of the controller, such as https://fedn.example.org or http://127.0.0.1:8092.
        token_env: Environment variable that holds your token with the role admin.
    """

    api_url: str
    token_env: str | None = None


def checked_url(url: str) -> str:
    """Validate a controller's URL; return it without a trailing slash. Raises `ProjectError`."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
        raise ProjectError(
            f"--api-url: expected http:// or https:// and a host, such as "
            f"https://fedn.example.org, found '{url}'"
        )
    return url.rstrip("/")


def read_token(name: str | None) -> str | None:
    """Return the token in an environment variable; None if `name` is None."""
    if name is None:
        return None
    if not (token := os.environ.get(name, "").strip()):
        raise ProjectError(f"--token-env: expected a token in the variable '{name}', found none")
    return token


@contextmanager
def connected(api_url: str, token: str | None = None) -> Iterator[APIClient]:
    """Connect to a controller and check the token; yield a client of its API.

    Connection errors, also those inside the block, become a `ProjectError`.
    """
    url = checked_url(api_url)
    scheme, _, host = url.partition("://")
    # Certificates are verified; REQUESTS_CA_BUNDLE adds trusted roots.
    api = APIClient(host, secure=scheme == "https", verify=True, token=token)
    try:
        _check_answer(url, api.headers)
        yield api
    except requests.exceptions.SSLError as error:
        raise ProjectError(
            f"{url}: its certificate is not trusted here ({_innermost(error)}); for a private CA, "
            "name its root in REQUESTS_CA_BUNDLE"
        ) from None
    except requests.exceptions.JSONDecodeError:
        raise ProjectError(f"{url}: it answers, but not as a FEDn controller does") from None
    except requests.exceptions.Timeout:
        raise ProjectError(f"{url}: no answer within {TIMEOUT_SECONDS} s") from None
    except requests.exceptions.RequestException as error:
        raise ProjectError(
            f"{url}: no FEDn controller answers there ({_innermost(error)}); check that it is "
            "running and that the address is right"
        ) from None


def retrying(api: APIClient, say: Callable[[str], None], returned: Callable[[], None]) -> APIClient:
    """Return a client of the API that retries requests for data while the controller restarts.

    It retries for `RETRY_SECONDS`, then raises the last error.

    Args:
        api: The client to wrap.
        say: Reports that the controller does not answer, and that it is back.
        returned: Called when the controller is back.
    """
    return cast(APIClient, _Retrying(api, say, returned))


class _Retrying:
    def __init__(
        self, api: APIClient, say: Callable[[str], None], returned: Callable[[], None]
    ) -> None:
        self._api, self._say, self._returned = api, say, returned

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._api, name)
        return partial(self._retry, found) if name.startswith(("get_", "download_")) else found

    def _retry(self, request: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        until = None
        while True:
            try:
                answer = request(*arguments, **options)
            except requests.exceptions.SSLError:
                raise
            # While the controller is down, a proxy responds with an HTML page.
            except (requests.exceptions.ConnectionError, requests.exceptions.JSONDecodeError):
                if until is None:
                    until = time.monotonic() + RETRY_SECONDS
                    self._say(
                        f"the controller does not answer; waiting for it for {RETRY_SECONDS} s"
                    )
                elif time.monotonic() > until:
                    raise
                time.sleep(1)
                continue
            if until is not None:
                self._say("the controller is back")
                self._returned()
            return answer


def listed(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the entries of a response. Raises `ProjectError` with its message if it has none."""
    if "result" not in answer:
        raise ProjectError(f"the controller says: {answer.get('message', answer)}")
    return list(answer["result"])


def online_sites(api: APIClient) -> list[str]:
    """Return the sorted names of the connected sites."""
    clients = listed(api.get_clients())
    return sorted({one_line(client["name"]) for client in clients if client["status"] == "online"})


def shared_names(api: APIClient) -> list[str]:
    """Return the sorted names that several connected sites share."""
    names = [client["name"] for client in listed(api.get_clients()) if client["status"] == "online"]
    return sorted({name for name in names if names.count(name) > 1})


def planned_rounds(api_url: str, headers: dict[str, str], session: str) -> int | None:
    """Return the number of rounds that a session was started with; None if it is not recorded.

    FEDn records it in the session's run, which its APIClient cannot read.
    """
    # A session that resumed after a crash has a second run with the remaining rounds.
    oldest = {"X-Limit": "1", "X-Sort-Key": "committed_at", "X-Sort-Order": "asc"}
    url = f"{checked_url(api_url)}/api/v1/runs/"
    asked = {"params": {"session_id": session}, "headers": {**headers, **oldest}}
    answer = requests.get(url, timeout=TIMEOUT_SECONDS, **asked)
    try:
        rounds = answer.json()["result"][0]["rounds"]
    except (ValueError, KeyError, IndexError, TypeError):
        return None
    return rounds if isinstance(rounds, int) else None


def package_checksum(api: APIClient) -> str | None:
    """Return the SHA-256 of the controller's active package; None if it has none.

    It is part of the clients' configuration. Its own route rejects tokens with the role admin.
    """
    if "package_id" not in (package := api.get_active_package()):
        return None
    found = api.get_client_config().get("checksum")
    if not found:
        raise ProjectError(
            f"the controller lost the file of its package '{package.get('name')}'; upload it again"
        )
    return str(found)


def _check_answer(url: str, headers: dict[str, str]) -> None:
    answer = requests.get(f"{url}/api/v1/packages/count", headers=headers, timeout=TIMEOUT_SECONDS)
    if answer.status_code == requests.codes.unauthorized:
        raise ProjectError(
            f"{url}: the controller rejects the token ({answer.json().get('message')}); expected "
            "one with the role admin: --token-env NAME"
        )
    if not isinstance(answer.json(), int):
        raise ProjectError(f"{url}: it answers, but not as a FEDn controller does")
    # A redirected upload would lose its content.
    if not answer.url.startswith(url):
        raise ProjectError(f"{url}: it redirects; pass --api-url {answer.url.split('/api')[0]}")


def _innermost(error: BaseException) -> str:
    """Return the message of the innermost cause."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return str(error).rpartition("] ")[2] or type(error).__name__
