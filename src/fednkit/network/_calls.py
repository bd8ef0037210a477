"""Who may call what on the combiner: a call that is not in the table is refused.

FEDn lets everybody who reaches the combiner start rounds, choose aggregators and list the clients'
ids, and with tokens too everybody who calls himself `grpc_health_probe`.
"""

import secrets
from collections.abc import Callable
from typing import Any, NamedTuple

import grpc
from fedn.network.combiner import interfaces

__all__ = ["FOR_CONTROLLER", "FOR_SITES", "CallGuard", "let_controller_call"]

FOR_SITES = {
    "/fedn.Combiner/SendAttributeMessage",
    "/fedn.Combiner/SendModelMetric",
    "/fedn.Combiner/SendModelPrediction",
    "/fedn.Combiner/SendModelUpdate",
    "/fedn.Combiner/SendModelValidation",
    "/fedn.Combiner/SendTelemetryMessage",
    "/fedn.Combiner/TaskStream",
    "/fedn.Connector/SendHeartbeat",
    "/fedn.Connector/SendStatus",
    "/fedn.ModelService/Download",
    "/fedn.ModelService/Upload",
}
FOR_CONTROLLER = {
    "/fedn.Connector/AcceptingClients",
    "/fedn.Connector/ListActiveClients",
    "/fedn.Control/FlushAggregationQueue",
    "/fedn.Control/SetAggregator",
    "/fedn.Control/SetServerFunctions",
    "/fedn.Control/Start",
    "/fedn.Control/Stop",
}
HEALTH = {"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"}
# What the controller proves itself by; both are in one process, so nobody else ever has it.
HEADER = "fednkit-controller"


class CallGuard(grpc.ServerInterceptor):
    """Closes the combiner to calls that the caller has no business with.

    Args:
        secret: What the controller's calls carry in their metadata.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def intercept_service(self, continuation: Callable[[Any], Any], call: Any) -> Any:
        """Return what handles the call, or what refuses it."""
        metadata = dict(call.invocation_metadata)
        if call.method in FOR_CONTROLLER:
            shown = str(metadata.get(HEADER, "")).encode()
            allowed = secrets.compare_digest(shown, self._secret.encode())
        elif call.method in HEALTH:
            allowed = True
        else:
            agent = str(metadata.get("user-agent", ""))
            allowed = call.method in FOR_SITES and not agent.startswith("grpc_health_probe")
        return continuation(call) if allowed else grpc.unary_unary_rpc_method_handler(_refuse)


def _refuse(_: Any, context: Any) -> None:
    context.abort(grpc.StatusCode.PERMISSION_DENIED, "this call is closed")


class _Details(NamedTuple):
    """The details of a call, as grpc's interceptors hand them on."""

    method: str
    timeout: float | None
    metadata: list[tuple[str, str]]
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


class _Prove(grpc.UnaryUnaryClientInterceptor):
    """Adds the secret to the controller's calls."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def intercept_unary_unary(
        self, continuation: Callable[[Any, Any], Any], details: Any, request: Any
    ) -> Any:
        """Call with the secret in the metadata."""
        proven = _Details(
            details.method,
            details.timeout,
            [*(details.metadata or ()), (HEADER, self._secret)],
            details.credentials,
            details.wait_for_ready,
            details.compression,
        )
        return continuation(proven, request)


def let_controller_call(secret: str) -> None:
    """Have the controller of this process prove itself in each call to the combiner."""

    class ProvenChannel(interfaces.Channel):
        """FEDn's channel from the controller to the combiner."""

        def get_channel(self) -> Any:
            """Return the channel, whose calls carry the secret."""
            return grpc.intercept_channel(super().get_channel(), _Prove(secret))

    interfaces.Channel = ProvenChannel
