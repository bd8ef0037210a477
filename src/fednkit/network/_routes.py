"""Restrict who may call which route of FEDn's REST API. Routes that are not listed are closed.

FEDn serves GraphQL and the list of metrics to anyone, even when other routes need a token.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flask
import grpc
from fedn.network.controller.control import Control

from ._site import Site
from ._sites import RefusedCall, Sites

__all__ = ["ROUTES", "Route", "RouteGuard"]

SITE, INITIATOR, ANYONE = "client", "admin", "anyone"
MAX_JSON_BYTES = 1 << 16
MAX_SETTINGS_BYTES = 1 << 22


class Route(NamedTuple):
    """Limits for one route.

    Attributes:
        role: The role in FEDn's tokens whose bearer may call it.
        max_bytes: Maximum size of the request's body; None for a package or a model.
    """

    role: str
    max_bytes: int | None = MAX_JSON_BYTES


def _rows() -> dict[tuple[str, str], Route]:
    rows = {
        ("GET", "/health"): Route(ANYONE, 0),
        ("GET", "/get_controller_status"): Route(INITIATOR),
        ("POST", "/api/v1/clients/add"): Route(SITE),
        ("GET", "/api/v1/packages/download"): Route(SITE),
        ("GET", "/api/v1/packages/checksum"): Route(SITE),
        ("GET", "/api/v1/clients/config"): Route(INITIATOR),
        ("GET", "/api/v1/clients/<string:id>/attributes"): Route(INITIATOR),
        ("DELETE", "/api/v1/clients/<string:id>"): Route(INITIATOR),
        ("POST", "/api/v1/combiners/clients/count"): Route(INITIATOR),
        ("POST", "/api/v1/attributes/"): Route(INITIATOR),
        ("POST", "/api/v1/attributes/current"): Route(INITIATOR),
        ("GET", "/api/v1/helpers/active"): Route(INITIATOR),
        ("PUT", "/api/v1/helpers/active"): Route(INITIATOR),
        ("GET", "/api/v1/packages/active"): Route(INITIATOR),
        ("PUT", "/api/v1/packages/active"): Route(INITIATOR),
        ("DELETE", "/api/v1/packages/active"): Route(INITIATOR),
        ("POST", "/api/v1/packages/"): Route(INITIATOR, None),
        ("GET", "/api/v1/models/active"): Route(INITIATOR),
        ("PUT", "/api/v1/models/active"): Route(INITIATOR),
        ("GET", "/api/v1/models/leaf-nodes"): Route(INITIATOR),
        ("POST", "/api/v1/models/"): Route(INITIATOR, None),
        ("POST", "/api/v1/sessions/"): Route(INITIATOR, MAX_SETTINGS_BYTES),
        ("POST", "/api/v1/sessions/start"): Route(INITIATOR, MAX_SETTINGS_BYTES),
        ("POST", "/api/v1/predictions/start"): Route(INITIATOR, MAX_SETTINGS_BYTES),
    }
    for what in ("ancestors", "descendants", "download", "parameters"):
        rows["GET", f"/api/v1/models/<string:id>/{what}"] = Route(INITIATOR)
    for what in ("models", "sessions"):
        for method in ("PATCH", "PUT"):
            rows[method, f"/api/v1/{what}/<string:id>"] = Route(INITIATOR)
    for what in READ_COLLECTIONS:
        rows["GET", f"/api/v1/{what}/"] = Route(INITIATOR)
        rows["GET", f"/api/v1/{what}/<string:id>"] = Route(INITIATOR)
        rows["GET", f"/api/v1/{what}/count"] = Route(INITIATOR)
        rows["POST", f"/api/v1/{what}/count"] = Route(INITIATOR)
        rows["POST", f"/api/v1/{what}/list"] = Route(INITIATOR)
    return rows


# Initiators read each of these through the same five routes.
READ_COLLECTIONS = (
    "attributes",
    "clients",
    "combiners",
    "metrics",
    "models",
    "packages",
    "predictions",
    "rounds",
    "runs",
    "sessions",
    "statuses",
    "telemetry",
    "validations",
)
# Keys: the method, and the rule in FEDn's `app.url_map`.
ROUTES = _rows()


class RouteGuard:
    """Checks each request against `ROUTES` before FEDn handles it.

    Args:
        app: FEDn's Flask application.
        sites: Where a site registers before FEDn registers it.
        claims: See `Sites`; None if the network has no tokens.
    """

    def __init__(
        self,
        app: Any,
        sites: Sites,
        claims: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None,
    ) -> None:
        self._sites, self._claims = sites, claims
        app.before_request(self.check)
        app.after_request(self.keep_online)

    def check(self) -> Any:
        """Return a response that rejects the request; None to let it through."""
        request = flask.request
        if request.url_rule is None:
            # The route does not exist; Flask reports that.
            return None
        route = ROUTES.get((request.method, str(request.url_rule)))
        try:
            # Browsers send Origin, clients do not. A web page must not reach loopback.
            if route is None or "Origin" in request.headers:
                raise RefusedCall("this route is closed")
            _bound(request, route)
            headers = {"authorization": request.headers.get("Authorization", "")}
            if self._claims and route.role not in (ANYONE, self._claims(headers).get("role")):
                raise RefusedCall("Invalid token", grpc.StatusCode.UNAUTHENTICATED)
            if request.url_rule.endpoint == "client.add_client":
                flask.g.site = self._register(request.get_json(silent=True), headers)
        except RefusedCall as refused:
            # FEDn's client can read only a 400 response with a message.
            code = 400 if route and route.role == SITE else 403
            code = 401 if refused.code is grpc.StatusCode.UNAUTHENTICATED else code
            return flask.jsonify({"message": str(refused), "success": False}), code
        return None

    def keep_online(self, response: Any) -> Any:
        """Return the response; restore the status of a registered site that is already online.

        FEDn marks every client that registers as offline, even if one with its id is online.
        """
        site = flask.g.get("site")
        if site and self._sites.is_alive(site):
            store = Control.instance().db.client_store
            client = store.get(site.client_id)
            client.status = "online"
            store.update(client)
        return response

    def _register(self, asked: Any, headers: Mapping[str, str]) -> Site:
        if not isinstance(asked, dict):
            raise RefusedCall("expected a JSON object with client_id and name")
        return self._sites.register(asked.get("client_id"), asked.get("name"), headers)


def _bound(request: Any, route: Route) -> None:
    """Enforce the route's size limit. Raises `RefusedCall`."""
    if route.max_bytes is None:
        return
    if (request.content_length or 0) > route.max_bytes:
        raise RefusedCall(f"expected up to {route.max_bytes} bytes, found more")
    # A chunked body has no Content-Length.
    request.max_content_length = route.max_bytes
