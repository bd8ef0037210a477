"""Who may call what on the combiner, and with which content: what has no row here is closed.

FEDn lets everybody who reaches the combiner start rounds, choose aggregators and list the clients'
ids, with tokens too everybody who calls himself `grpc_health_probe`. It believes the sender that a
message names.
"""

import secrets
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import fedn.network.grpc.fedn_pb2 as fedn
import grpc
from fedn.network.combiner import interfaces

from ._site import PREDICTION, VALIDATION, Site
from ._sites import RefusedCall, Sites, UnknownCaller

__all__ = ["FOR_CONTROLLER", "FOR_SITES", "CallGuard", "let_controller_call"]

MAX_MESSAGE_BYTES = 1 << 20
# A status quotes the update that it is about.
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
# What the controller proves itself by; both are in one process, so nobody else ever has it.
HEADER = "fednkit-controller"


class Rule(NamedTuple):
    """What holds for a message of a site.

    max_bytes: of the whole message.
    task: the kind of task that it answers; it is taken once for each.
    stored: whether FEDn stores it, so that there may be only so many.
    """

    max_bytes: int = MAX_MESSAGE_BYTES
    task: int | None = None
    stored: bool = False


# The models' own service checks what it is sent, see _models.py; an update is matched with its task
# when it counts, see _updates.py.
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
# A client that is doubled keeps sending these; an error would make it connect again and again.
IGNORED_FROM_OTHERS = {
    "/fedn.Connector/SendHeartbeat",
    "/fedn.Connector/SendStatus",
    "/fedn.Combiner/SendTelemetryMessage",
}


class CallGuard(grpc.ServerInterceptor):
    """Closes the combiner to calls that the caller has no business with.

    FEDn calls its own methods too, so what depends on the caller is checked here, before them.

    Args:
        secret: What the controller's calls carry in their metadata.
        sites: Who the callers are.
    """

    def __init__(self, secret: str, sites: Sites) -> None:
        self._secret, self._sites = secret, sites

    def intercept_service(self, continuation: Callable[[Any], Any], call: Any) -> Any:
        """Return what handles the call, or what refuses it."""
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
        """Return the handler of a site's call behind the checks of that call."""
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
        # Of the models' own service; or FEDn's refusal of a token, whatever the call.
        return handler

    def _task_stream(self, handler: Any, request: Any, context: Any) -> Iterator[Any]:
        """Hand a site its tasks, in one stream for each site."""
        try:
            metadata = dict(context.invocation_metadata())
            sender = request.sender
            if "client" in metadata and not self._sites.knows(metadata):
                # FEDn's client may be told the combiner's address, and then registers nowhere.
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
        """Hand FEDn a site's message under its true sender; drop one that is out of place."""
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
        # An error would end FEDn's client: it repeats calls only where the server is unavailable.
        return fedn.Response()


def _sign(request: Any, site: Site) -> None:
    """Write the true sender into a message."""
    request.sender.name, request.sender.client_id = site.name, site.client_id
    request.sender.role = fedn.CLIENT


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
