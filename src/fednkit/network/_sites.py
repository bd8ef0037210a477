"""The sites of the network, and which of them a caller is.

FEDn trusts the client id and the name in every message. Here, a caller is identified only by its
token or, without tokens, by the connection that opened its task stream.
"""

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import grpc

from ..controller.tokens import checked_claims
from ._site import Site

__all__ = [
    "MAX_SITES",
    "SILENT_SECONDS",
    "RefusedCall",
    "Sites",
    "UnknownCaller",
    "token_claims",
]

# After this silence, another connection may take over a site's id. FEDn's client sends a heartbeat
# every 2 s.
SILENT_SECONDS = 10
MAX_SITES = 1000
# FEDn's combiner has 350 threads, and each task stream occupies one.
MAX_STREAMS = 300
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class RefusedCall(Exception):  # noqa: N818, a response and not a defect
    """A call was rejected; FEDn's client acts on the code."""

    def __init__(
        self, message: str, code: grpc.StatusCode = grpc.StatusCode.PERMISSION_DENIED
    ) -> None:
        super().__init__(message)
        self.code = code


class UnknownCaller(RefusedCall):
    """The server does not know the client, for example after a restart of the server.

    FEDn's client registers with a new task stream once its current step has ended. An error would
    make it retry that step's calls forever, so answer its calls and drop their content.
    """


def token_claims(secret: str) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    """Return a function that returns the claims of the token in metadata or lower-case headers.

    The function raises `RefusedCall` if the token is missing, expired, or signed with another
    secret.
    """

    def claims(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return checked_claims(str(metadata.get("authorization", "")), secret)
        except ValueError as error:
            raise RefusedCall(str(error), grpc.StatusCode.UNAUTHENTICATED) from None

    return claims


class Sites:
    """All sites. Thread-safe.

    Args:
        admitted: Names by client id of the only sites that may join; None for any site.
        claims: Returns the claims of the token in a call's metadata and raises `RefusedCall` if
            there is no valid one, see `token_claims`; None if the network has no tokens.
        clock: A monotonic clock, in seconds.
    """

    def __init__(
        self,
        admitted: Mapping[str, str] | None = None,
        claims: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._admitted, self._claims, self._clock = admitted, claims, clock
        self._sites: dict[str, Site] = {}
        self._lock = threading.RLock()

    def register(self, client_id: object, name: object, token: Mapping[str, Any]) -> Site:
        """Register a site, or return the existing one.

        Args:
            client_id: FEDn's id of the site, untrusted.
            name: The site's name, untrusted.
            token: Metadata or headers with the site's token.

        Raises:
            RefusedCall: The site may not join; the message is for its log.
        """
        for what, text in (("client_id", client_id), ("name", name)):
            if not isinstance(text, str) or not NAME.fullmatch(text):
                raise RefusedCall(
                    f"{what}: expected up to 64 letters, digits, '.', '_' and '-', found "
                    f"{str(text)[:80]!r}"
                )
        if self._claims:
            wanted = self._by_claims(token)
            if (client_id, name) != (wanted.client_id, wanted.name):
                raise RefusedCall(
                    f"the token is for the site {wanted.name} with client_id {wanted.client_id}, "
                    f"found {name} with {client_id}; write those of the invitation to client.yaml"
                )
            return wanted
        if self._admitted is not None and self._admitted.get(str(client_id)) != name:
            raise RefusedCall(f"{name}: no site of this network")
        with self._lock:
            site = self._add(str(client_id), str(name))
            if site.name != name and not self.is_alive(site):
                site.name = str(name)
            if site.name != name:
                raise RefusedCall(f"client_id {client_id}: the site {site.name} is online with it")
            return site

    def knows(self, metadata: Mapping[str, Any]) -> bool:
        """Return whether a call's metadata identify a site, by its token or by its id."""
        with self._lock:
            return bool(self._claims) or str(metadata.get("client", "")) in self._sites

    def caller(self, metadata: Mapping[str, Any], peer: str) -> tuple[Site, str]:
        """Return the calling site and its connection.

        Args:
            metadata: The call's metadata.
            peer: The remote end of the connection, as gRPC names it.

        Raises:
            RefusedCall: The caller is not a site of this network, or another connection uses its
                id.
            UnknownCaller: The caller has not registered.
        """
        if self._claims:
            site = self._by_claims(metadata)
            # The TLS proxy numbers its connections, see nginx.conf.
            connection = str(metadata.get("fednkit-connection", ""))
        else:
            with self._lock:
                known = self._sites.get(str(metadata.get("client", "")))
            if known is None:
                raise UnknownCaller("unknown client")
            site, connection = known, peer
        with self._lock:
            if self._belongs_to_another(site, connection):
                site.report("another connection used its id")
                raise RefusedCall(
                    f"{site.name} is connected already; a second client with its id has to wait "
                    f"until it has been silent for {SILENT_SECONDS} s",
                    grpc.StatusCode.UNAVAILABLE,
                )
            site.last_seen = self._clock()
            if site.connection and connection:
                # A client that lost its connection continues its step on a new one.
                site.connection = connection
        return site, connection

    def is_alive(self, site: Site) -> bool:
        """Return whether a site has a task stream and has sent something recently."""
        return site.stream is not None and self._clock() - site.last_seen < SILENT_SECONDS

    def connect(self, site: Site, connection: str, stream: Any) -> None:
        """Set a site's task stream and cancel the previous one. Raises `RefusedCall`."""
        with self._lock:
            others = [s for s in self._sites.values() if s.stream and s is not site]
            if len(others) >= MAX_STREAMS:
                raise RefusedCall("too many sites are connected", grpc.StatusCode.UNAVAILABLE)
            before = site.stream
            if before and not connection and before.is_active():
                # Without the proxy's number, heartbeats cannot be attributed to a connection.
                raise RefusedCall(f"{site.name} is connected", grpc.StatusCode.UNAVAILABLE)
            site.stream, site.connection = stream, connection
        if before:
            # The old stream would consume tasks from the site's queue.
            before.cancel()

    def disconnect(self, site: Site, stream: Any) -> None:
        """Clear a site's task stream, unless another one has replaced it."""
        with self._lock:
            if site.stream is stream:
                site.stream, site.connection = None, ""

    def ask(self, client_id: str, kind: int, model_id: str) -> None:
        """Record a task that the combiner gives to a site."""
        if site := self.by_id(client_id):
            site.ask(kind, model_id)

    def by_id(self, client_id: str) -> Site | None:
        """Return the site with a client id; None if it is unknown."""
        with self._lock:
            return self._sites.get(client_id)

    def take_reports(self) -> dict[str, list[str]]:
        """Return the reports since the last call, by site name."""
        with self._lock:
            sites = [*self._sites.values()]
        found: dict[str, list[str]] = {}
        for site in sites:
            if reports := site.take_reports():
                found.setdefault(site.name, []).extend(reports)
        return found

    def report_counts(self) -> dict[str, int]:
        """Return the number of reports since the server started, by site name."""
        counts: Counter[str] = Counter()
        with self._lock:
            for site in self._sites.values():
                counts[site.name] += site.report_count
        return dict(counts)

    def _by_claims(self, metadata: Mapping[str, Any]) -> Site:
        """Return the site named in a token."""
        claims = self._claims(metadata) if self._claims else {}
        if claims.get("role") != "client":
            raise RefusedCall("expected a token of the role client")
        client_id, name = (claims.get(claim) for claim in ("client_id", "site"))
        if not isinstance(client_id, str) or not isinstance(name, str):
            raise RefusedCall("the token names no site; make a new one: fednkit invite")
        claimed = metadata.get("client", client_id)
        with self._lock:
            site = self._add(client_id, name)
            if claimed != client_id:
                site.report("called under another client_id than its token's")
                raise RefusedCall(f"expected client_id {client_id}, found {str(claimed)[:80]!r}")
            return site

    def _add(self, client_id: str, name: str) -> Site:
        if client_id not in self._sites and len(self._sites) >= MAX_SITES:
            raise RefusedCall(f"expected at most {MAX_SITES} sites")
        return self._sites.setdefault(client_id, Site(client_id, name, clock=self._clock))

    def _belongs_to_another(self, site: Site, connection: str) -> bool:
        # Without the proxy's number, only a second task stream is detected.
        return bool(connection) and site.connection not in ("", connection) and self.is_alive(site)
