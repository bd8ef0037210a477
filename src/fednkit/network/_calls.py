"""Restrict who may call which method of the combiner, with which messages.

FEDn lets anyone who reaches the combiner start rounds, choose aggregators and list client ids; with
tokens, anyone whose user agent is `grpc_health_probe`. It also trusts the sender that a message
names. Methods that are not listed here are closed.
"""

import secrets
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import fedn.network.grpc.fedn_pb2 as fedn
import grpc
from fedn.network.combiner import interfaces

from ._site import PREDICTION, VALIDATION, Site
from ._sites import RefusedCall, Sites, UnknownCaller

__all__ = ["FOR_CONTROLLER", "FOR_SITES", "CallGuard", "authenticate_controller"]

MAX_MESSAGE_BYTES = 1 << 20
# A status message quotes the update that it reports.
MAX_STATUS_BYTES = 1 << 22
MAX_SMALL_BYTES = 1 << 16

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
# Carries the controller's secret, which only this process knows: the combiner runs in it too.
HEADER = "fednkit-controller"


class Rule(NamedTuple):
    """Limits for one kind of message from a site.

    Attributes:
        max_bytes: Maximum size of the whole message.
        task: The kind of task that it answers; one answer is accepted per task.
        stored: Whether FEDn stores it, so that its rate must be limited.
    """

    max_bytes: int = MAX_MESSAGE_BYTES
    task: int | None = None
    stored: bool = False


# _models.py checks uploads and downloads; _updates.py matches an update with its task.
FOR_SITES = {
    "/fedn.Combiner/SendAttributeMessage": Rule(MAX_SMALL_BYTES, stored=True),
    "/fedn.Combiner/SendModelMetric": Rule(MAX_SMALL_BYTES, stored=True),
    "/fedn.Combiner/SendModelPrediction": Rule(task=PREDICTION),
    "/fedn.Combiner/SendModelUpdate": Rule(),
    "/fedn.Combiner/SendModelValidation": Rule(task=VALIDATION),
    "/fedn.Combiner/SendTelemetryMessage": Rule(MAX_SMALL_BYTES, stored=True),
    "/fedn.Combiner/TaskStream": Rule(),
    "/fedn.Connector/SendHeartbeat": Rule(MAX_SMALL_BYTES),
    "/fedn.Connector/SendStatus": Rule(MAX_STATUS_BYTES, stored=True),
    "/fedn.ModelService/Download": Rule(),
    "/fedn.ModelService/Upload": Rule(),
}
TASK_STREAM, DOWNLOAD, UPLOAD = (
    "/fedn.Combiner/TaskStream",
    "/fedn.ModelService/Download",
    "/fedn.ModelService/Upload",
)
# A duplicate client keeps sending these; an error would make it reconnect in a loop.
IGNORED_FROM_OTHERS = {
    "/fedn.Connector/SendHeartbeat",
    "/fedn.Connector/SendStatus",
    "/fedn.Combiner/SendTelemetryMessage",
}


class CallGuard(grpc.ServerInterceptor):
    """Rejects calls to the combiner that the caller may not make.

    FEDn calls its own methods internally too, so the caller is checked here, before them.

    Args:
        secret: The secret in the metadata of the controller's calls.
        sites: Identifies the callers.
    """

    def __init__(self, secret: str, sites: Sites) -> None:
        self._secret, self._sites = secret, sites

    def intercept_service(self, continuation: Callable[[Any], Any], call: Any) -> Any:
        """Return the handler of the call, or one that rejects it."""
        metadata = dict(call.invocation_metadata)
        if call.method in FOR_CONTROLLER:
            shown = str(metadata.get(HEADER, "")).encode()
            if secrets.compare_digest(shown, self._secret.encode()):
                return continuation(call)
        elif call.method in HEALTH:
            return continuation(call)
        elif call.method in FOR_SITES:
            agent = str(metadata.get("user-agent", ""))
            if not agent.startswith("grpc_health_probe"):
                return self._guarded(call.method, continuation(call))
        return grpc.unary_unary_rpc_method_handler(_refuse)

    def _guarded(self, method: str, handler: Any) -> Any:
        """Return the handler of a site's call, wrapped in the checks for its method."""
        if handler.unary_stream and method == TASK_STREAM:
            return grpc.unary_stream_rpc_method_handler(
                lambda request, context: self._task_stream(handler, request, context),
                handler.request_deserializer,
                handler.response_serializer,
            )
        if handler.unary_unary and method not in (TASK_STREAM, DOWNLOAD, UPLOAD):
            return grpc.unary_unary_rpc_method_handler(
                lambda request, context: self._message(method, handler, request, context),
                handler.request_deserializer,
                handler.response_serializer,
            )
        # The model service checks its own calls. For a bad token, this is FEDn's rejection.
        return handler

    def _task_stream(self, handler: Any, request: Any, context: Any) -> Iterator[Any]:
        """Yield the site's tasks; each site has one stream."""
        try:
            metadata = dict(context.invocation_metadata())
            sender = request.sender
            if "client" in metadata and not self._sites.knows(metadata):
                # A FEDn client that was given the combiner's address does not register first.
                self._sites.register(sender.client_id, sender.name, metadata)
            site, connection = self._sites.caller(metadata, context.peer())
            self._sites.connect(site, connection, context)
        except RefusedCall as refused:
            context.abort(refused.code, str(refused))
        try:
            _sign(request, site)
            yield from handler.unary_stream(request, context)
        finally:
            self._sites.disconnect(site, context)

    def _message(self, method: str, handler: Any, request: Any, context: Any) -> Any:
        """Pass a site's message to FEDn under its verified sender; drop it if it is not allowed."""
        try:
            site, _ = self._sites.caller(dict(context.invocation_metadata()), context.peer())
        except UnknownCaller:
            return fedn.Response()
        except RefusedCall as refused:
            if method in IGNORED_FROM_OTHERS and refused.code is grpc.StatusCode.UNAVAILABLE:
                return fedn.Response()
            context.abort(refused.code, str(refused))
        rule, name = FOR_SITES[method], method.rpartition("/")[2]
        if request.ByteSize() > rule.max_bytes:
            site.report(f"{name}: expected up to {rule.max_bytes} bytes, found more")
        elif rule.task is not None and not site.answer(rule.task, request.model_id):
            site.report(f"{name}: nobody asked for it, or it was answered already")
        elif rule.stored and not site.may_store(request.ByteSize()):
            site.report(f"{name}: too many messages, dropped")
        else:
            _sign(request, site)
            return handler.unary_unary(request, context)
        # An error would end FEDn's client, which retries only if the server is unavailable.
        return fedn.Response()


def _sign(request: Any, site: Site) -> None:
    """Write the verified sender into a message."""
    request.sender.name, request.sender.client_id = site.name, site.client_id
    request.sender.role = fedn.CLIENT


def _refuse(_: Any, context: Any) -> None:
    context.abort(grpc.StatusCode.PERMISSION_DENIED, "this call is closed")


class _Details(NamedTuple):
    """The details of a call that a gRPC client interceptor passes on."""

    method: str
    timeout: float | None
    metadata: list[tuple[str, str]]
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


class _AddSecret(grpc.UnaryUnaryClientInterceptor):
    """Adds the secret to the controller's calls."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def intercept_unary_unary(
        self, continuation: Callable[[Any, Any], Any], details: Any, request: Any
    ) -> Any:
        """Continue the call with the secret in its metadata."""
        with_secret = _Details(
            details.method,
            details.timeout,
            [*(details.metadata or ()), (HEADER, self._secret)],
            details.credentials,
            details.wait_for_ready,
            details.compression,
        )
        return continuation(with_secret, request)


def authenticate_controller(secret: str) -> None:
    """Make the controller in this process send the secret with each call to the combiner."""

    class AuthenticatedChannel(interfaces.Channel):
        """FEDn's channel from the controller to the combiner."""

        def get_channel(self) -> Any:
            """Return a channel whose calls carry the secret."""
            return grpc.intercept_channel(super().get_channel(), _AddSecret(secret))

    interfaces.Channel = AuthenticatedChannel
