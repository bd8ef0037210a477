"""The defence as FEDn's server functions: FEDn's own service runs the text that is sent to it."""

import json
from typing import Any
from unittest import mock

import numpy as np
import pytest
from made_up_updates import defence, forbidden, honest, model_file, same, weights

from fednkit.aggregation import server_functions
from fednkit.aggregation.combination import combine_round
from fednkit.aggregation.fedn_aggregators import Update, Updates
from fednkit.aggregation.robust import ROBUST, Weights
from fednkit.aggregation.updates import read_update


class Service:
    """FEDn's service for server functions, in memory, and what its combiner sends it."""

    def __init__(self) -> None:
        import fedn.network.grpc.fedn_pb2 as messages
        from fedn.network.combiner.hooks.hooks import FunctionServiceServicer

        self.messages, self.fedn = messages, FunctionServiceServicer()

    def begin(self, wanted: Any) -> set[str]:
        """Hand over the text of a session, and return what FEDn finds in it."""
        request = self.messages.ProvidedFunctionsRequest(
            function_code=server_functions.text(wanted)
        )
        provided = self.fedn.HandleProvidedFunctions(request, None).available_functions
        return {name for name, there in provided.items() if there}

    def ask(self, received: Weights) -> None:
        """Start a round."""
        content = model_file(received)
        self.fedn.HandleClientConfig(iter([self.messages.ClientConfigRequest(data=content)]), None)
        self.store("global_model", content)

    def store(self, name: str, content: bytes) -> None:
        request = self.messages.StoreModelRequest(data=content, id=name)
        self.fedn.HandleStoreModel(iter([request]), None)

    def send(self, name: str, content: bytes, metadata: dict[str, int]) -> None:
        request = self.messages.ClientMetaRequest(metadata=json.dumps(metadata), client_id=name)
        self.fedn.HandleMetadata(request, None)
        self.store(name, content)

    def combine(self) -> bytes:
        """Return the next model; no bytes when FEDn would fall back."""
        request, context = self.messages.AggregationRequest(aggregate="aggregate"), mock.Mock()
        return b"".join(part.data for part in self.fedn.HandleAggregation(request, context))


@pytest.mark.parametrize("rule", ["fedavg", *ROBUST])
def test_fedns_service_for_server_functions_comes_to_the_same_model(rule: str) -> None:
    wanted = defence(rule, norm_bound=2.0, tolerate=4)
    service = Service()
    assert service.begin(wanted) == {"aggregate", "client_settings"}
    arrived = {f"site-{n}": (update, {"num_examples": n + 1}) for n, update in enumerate(honest())}
    arrived["site-8"] = weights(1e6), {"num_examples": 5}
    arrived["site-9"] = weights(np.nan), {"num_examples": 5}
    nothing: Weights = []
    refused = {name: (nothing, {"num_examples": 5}) for name in ("site-10", "global_model")}
    # Twice: what a round leaves behind does not get into the next.
    for received in (weights(0), weights(0.5)):
        service.ask(received)
        for name, (update, metadata) in arrived.items():
            service.send(name, model_file(update), metadata)
        # No model, and as many names beside it as the model has arrays.
        service.send("site-10", b"no model", {"num_examples": 5, "more": 1})
        # Its id makes FEDn take its update for the model that the round started from.
        service.send("global_model", model_file(weights(9)), {"num_examples": 5})
        expected, outcome = combine_round(received, arrived | refused, wanted, forbidden)
        assert expected is not None
        assert same(read_update(service.combine(), received), expected)
        assert "site-8" in outcome["clipped"]


def test_a_round_that_failed_in_fedns_service_leaves_nothing_to_the_next_session() -> None:
    wanted = defence("median")
    service = Service()
    service.begin(wanted)
    # Without the question that a round starts with, which FEDn leaves out when it fails.
    service.store("global_model", model_file(weights(0)))
    for number in range(3):
        service.send(f"site-{number}", model_file(weights(9)), {"num_examples": 5})
    # FEDn asks again, and does not try the text any more.
    assert (service.combine(), service.combine()) == (b"", b"")
    assert service.begin(wanted) == {"aggregate", "client_settings"}
    service.ask(weights(0))
    service.send("site-3", model_file(weights(1)), {"num_examples": 5})
    assert same(read_update(service.combine(), weights(0)), weights(1))
    # Nor does the model that a round started from.
    service.send("site-3", model_file(weights(1)), {"num_examples": 5})
    assert service.combine() == b""


def test_the_text_holds_the_settings_and_resets_those_of_the_session_before() -> None:
    wanted = defence("median", norm_bound=1.5)
    assert server_functions.read(server_functions.text(wanted)) == wanted
    assert server_functions.read(server_functions.text(None)) is None
    assert server_functions.read("class ServerFunctions(ServerFunctionsBase):\n    pass\n") is None
    # FEDn would not try a text again that has failed once.
    assert server_functions.text(wanted) != server_functions.text(wanted)


def test_fedn_does_not_fall_back_to_an_average_where_a_defence_was_asked_for() -> None:
    from fedn.network.combiner.aggregators.aggregatorbase import get_aggregator
    from fedn.utils.helpers.helpers import get_helper
    from fedn.utils.parameters import Parameters

    updates: Any = Updates()
    updates.global_model = weights(0)
    updates.model_updates.put(Update(weights(1), 5, "0"))
    model, _ = get_aggregator("fedopt", updates).combine_models(
        helper=get_helper("numpyhelper"), parameters=Parameters(server_functions.NO_AGGREGATOR)
    )
    assert model is None
    # Otherwise the next round would begin with them, and wait for nobody.
    assert updates.model_updates.empty()
