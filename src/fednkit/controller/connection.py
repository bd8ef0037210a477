"""Reach a FEDn controller: with FEDn's own APIClient, and one clear line for what goes wrong."""

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
    "patient",
    "planned_rounds",
    "read_token",
    "shared_names",
]

# The only helper of FEDn that keeps float32.
HELPER = "numpyhelper"
# Seconds that the controller may take to answer, or to go on with its answer.
TIMEOUT = 60
# Seconds that one may be away which is started again, or whose machine is.
PATIENCE = 60

# FEDn's APIClient waits for an answer without end.
fedn.network.api.client.requests = SimpleNamespace(
    exceptions=requests.exceptions,
    **{
        verb: partial(getattr(requests, verb), timeout=TIMEOUT)
        for verb in ("delete", "get", "patch", "post", "put")
    },
)

# It takes a class of server functions, and sends its source. Here the source is at hand.
fedn.network.api.client.inspect = SimpleNamespace(getsource=str)


@dataclass(frozen=True, kw_only=True)
class ControllerOptions:
    """Which controller, and the initiator's token for it.

    Attributes:
        api_url: Of the controller, such as https://fedn.example.org or http://127.0.0.1:8092.
        token_env: Environment variable that holds your token, of the role admin.
    """

    api_url: str
    token_env: str | None = None


def checked_url(url: str) -> str:
    """Return a controller's URL without a slash at its end. Raises `ProjectError`."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
        raise ProjectError(
            f"--api-url: expected http:// or https:// and a host, such as "
            f"https://fedn.example.org, found '{url}'"
        )
    return url.rstrip("/")


def read_token(name: str | None) -> str | None:
    """Return the token in an environment variable, or None when none is named."""
    if name is None:
        return None
    if not (token := os.environ.get(name, "").strip()):
        raise ProjectError(f"--token-env: expected a token in the variable '{name}', found none")
    return token


@contextmanager
def connected(api_url: str, token: str | None = None) -> Iterator[APIClient]:
    """Yield a client of the controller's API, which has answered and knows the token.

    What goes wrong on the way to the controller becomes a `ProjectError`, also later on.
    """
    url = checked_url(api_url)
    scheme, _, host = url.partition("://")
    # Certificates are checked; those of REQUESTS_CA_BUNDLE count too.
    api = APIClient(host, secure=scheme == "https", verify=True, token=token)
    try:
        _greet(url, api.headers)
        yield api
    except requests.exceptions.SSLError as error:
        raise ProjectError(
            f"{url}: its certificate is not trusted here ({_innermost(error)}); for a root of "
            "your own, name its file in REQUESTS_CA_BUNDLE"
        ) from None
    except requests.exceptions.JSONDecodeError:
        raise ProjectError(f"{url}: it answers, but not as a FEDn controller does") from None
    except requests.exceptions.Timeout:
        raise ProjectError(f"{url}: no answer within {TIMEOUT} s") from None
    except requests.exceptions.RequestException as error:
        raise ProjectError(
            f"{url}: no FEDn controller answers there ({_innermost(error)}); is it running, and "
            "is the address right?"
        ) from None


def patient(api: APIClient, say: Callable[[str], None], returned: Callable[[], None]) -> APIClient:
    """Return a client of the API whose requests wait while the controller is restarted.

    Args:
        api: The client. After `PATIENCE` seconds without an answer, its exception is raised.
        say: Prints that the controller does not answer, and that it is back.
        returned: Called when the controller is back.
    """
    return cast(APIClient, _Patient(api, say, returned))


class _Patient:
    def __init__(
        self, api: APIClient, say: Callable[[str], None], returned: Callable[[], None]
    ) -> None:
        self._api, self._say, self._returned = api, say, returned

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._api, name)
        return partial(self._ask, found) if name.startswith(("get_", "download_")) else found

    def _ask(self, question: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        until = None
        while True:
            try:
                answer = question(*arguments, **options)
            except requests.exceptions.SSLError:
                raise
            # A proxy answers for a controller that is not there, with a page.
            except (requests.exceptions.ConnectionError, requests.exceptions.JSONDecodeError):
                if until is None:
                    until = time.monotonic() + PATIENCE
                    self._say(f"the controller does not answer; waiting for it for {PATIENCE} s")
                elif time.monotonic() > until:
                    raise
                time.sleep(1)
                continue
            if until is not None:
                self._say("the controller is back")
                self._returned()
            return answer


def listed(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what the controller lists. Raises `ProjectError` with its words when it does not."""
    if "result" not in answer:
        raise ProjectError(f"the controller says: {answer.get('message', answer)}")
    return list(answer["result"])


def online_sites(api: APIClient) -> list[str]:
    """Return the names of the sites that are connected now, sorted."""
    clients = listed(api.get_clients())
    return sorted({one_line(client["name"]) for client in clients if client["status"] == "online"})


def shared_names(api: APIClient) -> list[str]:
    """Return the names that more than one connected site goes by, sorted."""
    names = [client["name"] for client in listed(api.get_clients()) if client["status"] == "online"]
    return sorted({name for name in names if names.count(name) > 1})


def planned_rounds(api_url: str, headers: dict[str, str], session: str) -> int | None:
    """Return how many rounds a session was started with; None when the controller has no record.

    FEDn keeps it in the session's run, for which its APIClient has no call.
    """
    # A session that goes on after a crash has a second run, of the rounds that were left.
    oldest = {"X-Limit": "1", "X-Sort-Key": "committed_at", "X-Sort-Order": "asc"}
    url = f"{checked_url(api_url)}/api/v1/runs/"
    asked = {"params": {"session_id": session}, "headers": {**headers, **oldest}}
    answer = requests.get(url, timeout=TIMEOUT, **asked)
    try:
        rounds = answer.json()["result"][0]["rounds"]
    except (ValueError, KeyError, IndexError, TypeError):
        return None
    return rounds if isinstance(rounds, int) else None


def package_checksum(api: APIClient) -> str | None:
    """Return the SHA-256 of the controller's active package; None when it has none.

    Asked for along with the clients' configuration, because the route of its own is closed to
    a token of the role admin.
    """
    if "package_id" not in (package := api.get_active_package()):
        return None
    found = api.get_client_config().get("checksum")
    if not found:
        raise ProjectError(
            f"the controller lost the file of its package '{package.get('name')}'; upload it again"
        )
    return str(found)


def _greet(url: str, headers: dict[str, str]) -> None:
    answer = requests.get(f"{url}/api/v1/packages/count", headers=headers, timeout=TIMEOUT)
    if answer.status_code == requests.codes.unauthorized:
        raise ProjectError(
            f"{url}: the controller refuses the token ({answer.json().get('message')}); expected "
            "one of the role admin: --token-env NAME"
        )
    if not isinstance(answer.json(), int):
        raise ProjectError(f"{url}: it answers, but not as a FEDn controller does")
    # A redirected upload would arrive without its content.
    if not answer.url.startswith(url):
        raise ProjectError(
            f"{url}: it sends elsewhere; pass --api-url {answer.url.split('/api')[0]}"
        )


def _innermost(error: BaseException) -> str:
    """Return the words of the cause behind all the wrappings."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return str(error).rpartition("] ")[2] or type(error).__name__
