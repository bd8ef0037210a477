"""The sites of the network: who each caller is, what it was asked for, and what it may still send.

FEDn believes the client id and the name in every message. Here a caller is a site only by its token
or, without tokens, by the connection that opened its task stream.
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

# A site that sent nothing for so long may be replaced by another connection with its id. FEDn's
# client sends a heartbeat every 2 s.
SILENT_SECONDS = 10
MAX_SITES = 1000
# FEDn's combiner answers with 350 threads, and a task stream keeps one of them.
MAX_STREAMS = 300
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class RefusedCall(Exception):  # noqa: N818, an answer and no defect
    """A call that is not answered; the code is what FEDn's client reads of it."""

    def __init__(
        self, message: str, code: grpc.StatusCode = grpc.StatusCode.PERMISSION_DENIED
    ) -> None:
        super().__init__(message)
        self.code = code


class UnknownCaller(RefusedCall):
    """A client that this server does not know, as after a restart of the server.

    FEDn's client opens a new task stream, by which it becomes known, once the step that it is in
    has ended; an error would repeat that step's calls for ever. So its calls are answered, and what
    they bring is dropped.
    """


def token_claims(secret: str) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    """Return what reads the claims of the token in a call's metadata, or in lower-case headers.

    It raises `RefusedCall` for a token that is missing, expired, or signed with another secret.
    """

    def claims(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return checked_claims(str(metadata.get("authorization", "")), secret)
        except ValueError as error:
            raise RefusedCall(str(error), grpc.StatusCode.UNAUTHENTICATED) from None

    return claims


class Sites:
    """All sites. Safe to use from several threads.

    Args:
        admitted: Names by client id, when no other site may join.
        claims: Returns the claims of the token in a call's metadata, and raises `RefusedCall` if
            there is no good one; None where the network has no tokens.
        clock: Seconds that only grow.
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
        """Take in a site, or find it again. token: metadata or headers with its token.

        Raises:
            RefusedCall: With what is wrong, for the site's log.
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
        """Tell whether a call's metadata name a site, by its token or by its id."""
        with self._lock:
            return bool(self._claims) or str(metadata.get("client", "")) in self._sites

    def caller(self, metadata: Mapping[str, Any], peer: str) -> tuple[Site, str]:
        """Return the site that calls, and the connection it calls on.

        Args:
            metadata: Of the call.
            peer: The other end of the connection, as gRPC names it.

        Raises:
            RefusedCall: It is no site of this network, or another connection has its id.
            UnknownCaller: It may be one, and has not registered.
        """
        if self._claims:
            site = self._by_claims(metadata)
            # Of the TLS proxy, which numbers its own connections; see nginx.conf.
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
                # A client whose line was cut goes on with its step on a new connection.
                site.connection = connection
        return site, connection

    def is_alive(self, site: Site) -> bool:
        """Tell whether a site has a task stream, and has lately sent something."""
        return site.stream is not None and self._clock() - site.last_seen < SILENT_SECONDS

    def connect(self, site: Site, connection: str, stream: Any) -> None:
        """Begin a site's task stream, in the place of one that is over. Raises `RefusedCall`."""
        with self._lock:
            others = [s for s in self._sites.values() if s.stream and s is not site]
            if len(others) >= MAX_STREAMS:
                raise RefusedCall("too many sites are connected", grpc.StatusCode.UNAVAILABLE)
            before = site.stream
            if before and not connection and before.is_active():
                # Whose heartbeats these are, nobody can tell without the proxy's number.
                raise RefusedCall(f"{site.name} is connected", grpc.StatusCode.UNAVAILABLE)
            site.stream, site.connection = stream, connection
        if before:
            # It would take tasks out of the site's queue, for nobody.
            before.cancel()

    def disconnect(self, site: Site, stream: Any) -> None:
        """End a site's task stream, unless another one has taken its place."""
        with self._lock:
            if site.stream is stream:
                site.stream, site.connection = None, ""

    def ask(self, client_id: str, kind: int, model_id: str) -> None:
        """Note that the combiner asks a site for a kind of work on a model."""
        if site := self.by_id(client_id):
            site.ask(kind, model_id)

    def by_id(self, client_id: str) -> Site | None:
        """Return the site with a client id; None if there is none."""
        with self._lock:
            return self._sites.get(client_id)

    def take_reports(self) -> dict[str, list[str]]:
        """Return what was reported since the last time, by the sites' names."""
        with self._lock:
            sites = [*self._sites.values()]
        found: dict[str, list[str]] = {}
        for site in sites:
            if reports := site.take_reports():
                found.setdefault(site.name, []).extend(reports)
        return found

    def report_counts(self) -> dict[str, int]:
        """Return how often each site was reported since the server's start, by its name."""
        counts: Counter[str] = Counter()
        with self._lock:
            for site in self._sites.values():
                counts[site.name] += site.report_count
        return dict(counts)

    def _by_claims(self, metadata: Mapping[str, Any]) -> Site:
        """Return the site that a token was made for."""
        claims = self._claims(metadata) if self._claims else {}
        if claims.get("role") != "client":
            raise RefusedCall("expected a token of the role client")
        client_id, name = (claims.get(claim) for claim in ("client_id", "site"))
        if not isinstance(client_id, str) or not isinstance(name, str):
            raise RefusedCall("the token names no site; a new one: fednkit invite")
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
        # Without a number of the proxy's, only a second task stream is found out.
        return bool(connection) and site.connection not in ("", connection) and self.is_alive(site)
