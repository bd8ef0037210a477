"""Bad clients, and what stands against them: rules, guard, and the server functions of FEDn."""

import argparse
import io
import json
import zipfile
from typing import Any
from unittest import mock

import numpy as np
import pytest

from federation import attacks, functions
from federation.aggregation import Aggregation, Update, Updates
from federation.defences import (
    ROBUST,
    Weights,
    bad_clients,
    clip,
    combine,
    krum_order,
    mean,
    median,
    trimmed_mean,
)
from federation.guard import complaint, read_metadata, read_update
from federation.project import ProjectError
from federation.settling import settle

SHAPES = ((4, 3), (3,))
HONEST, BAD = 8, 3


def weights(value: float) -> Weights:
    return [np.full(shape, value, dtype=np.float32) for shape in SHAPES]


def honest(number: int = HONEST) -> list[Weights]:
    """Return updates around 1."""
    random = np.random.default_rng(0)
    return [
        [random.normal(1, 0.1, shape).astype(np.float32) for shape in SHAPES] for _ in range(number)
    ]


def defence(aggregator: str, norm_bound: float | None = None, tolerate: float = BAD) -> Any:
    return {"aggregator": aggregator, "norm_bound": norm_bound, "tolerate": tolerate}


def forbidden(_: object) -> Weights:
    raise AssertionError("with a defence, nothing else combines")


def same(one: Weights, other: Weights) -> bool:
    return [a.dtype for a in one] == [b.dtype for b in other] and all(
        map(np.array_equal, one, other)
    )


def model_file(arrays: Weights) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **{str(index): array for index, array in enumerate(arrays)})  # type: ignore[arg-type]
    return buffer.getvalue()


def test_the_rules_are_numpys_own_arithmetic() -> None:
    updates, examples = honest(), list(range(1, HONEST + 1))
    for index in range(len(SHAPES)):
        stacked = np.stack([update[index] for update in updates])
        weighted = np.average(stacked, axis=0, weights=examples)
        np.testing.assert_allclose(mean(updates, examples)[index], weighted, rtol=1e-5)
        np.testing.assert_array_equal(median(updates)[index], np.median(stacked, axis=0))
        middle = np.sort(stacked, axis=0)[2:-2].mean(axis=0)
        np.testing.assert_allclose(trimmed_mean(updates, 2)[index], middle, rtol=1e-6)
    np.testing.assert_allclose(trimmed_mean(updates, 0)[0], mean(updates, [1] * HONEST)[0], 1e-5)


def test_krum_takes_the_update_with_the_nearest_neighbours() -> None:
    # By hand, one number each: with one bad of five, the scores are sums of two squares.
    updates = [[np.array([value], dtype=np.float32)] for value in (0.0, 1.0, 10.0, 11.0, 12.5)]
    scores = [1 + 100, 1 + 81, 1 + 2.5**2, 1 + 1.5**2, 1.5**2 + 2.5**2]
    assert krum_order(updates, 1) == sorted(range(5), key=lambda position: scores[position])


@pytest.mark.parametrize("rule", ROBUST)
def test_what_a_client_says_of_its_examples_buys_it_nothing(rule: str) -> None:
    found, _ = combine(rule, honest(9), list(range(1, 10)), BAD)
    assert same(found, combine(rule, honest(9), [1] * 9, BAD)[0])


def test_the_mean_is_fedns_fedavg_to_the_last_bit() -> None:
    updates, examples = honest(), [7 * number + 1 for number in range(HONEST)]
    pairs = list(zip(updates, examples, strict=True))
    assert same(mean(updates, examples), Aggregation("fedavg", "adam", 0.1).combine([], pairs))


@pytest.mark.parametrize("rule", ROBUST)
def test_who_came_first_does_not_count(rule: str) -> None:
    updates = [*honest(), *[weights(value) for value in (-50, 9, 1000)]]
    expected, chosen = combine(rule, updates, [1] * len(updates), BAD)
    order = np.random.default_rng(1).permutation(len(updates)).tolist()
    found, permuted = combine(rule, [updates[at] for at in order], [1] * len(updates), BAD)
    assert sorted(order[position] for position in permuted) == chosen
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize("rule", ROBUST)
@pytest.mark.parametrize("value", [1e30, -1e30, 3e38])
def test_up_to_its_breakdown_point_a_rule_stays_among_the_honest(rule: str, value: float) -> None:
    updates = [*honest(), *[weights(value)] * BAD]
    combined, _ = combine(rule, updates, [1] * len(updates), BAD)
    for index, array in enumerate(combined):
        stacked = np.stack([update[index] for update in honest()])
        assert (stacked.min(axis=0) <= array).all()
        assert (array <= stacked.max(axis=0)).all()


def test_beyond_it_every_rule_gives_way_and_fedavg_does_at_one() -> None:
    one = [*honest(), weights(1e6)]
    assert abs(mean(one, [1] * len(one))[0]).max() > 1e4
    assert abs(trimmed_mean([*one, weights(1e6)], 1)[0]).max() > 1e4
    assert median([*honest(3), *[weights(1e6)] * 4])[0].max() == 1e6
    assert combine("krum", [*honest(3), *[weights(1e6)] * 4], [1] * 7, 2)[0][0].max() == 1e6


@pytest.mark.parametrize(("rule", "least"), [("trimmed-mean", 7), ("krum", 9), ("multi-krum", 9)])
def test_too_few_updates_are_said_to_be_too_few(rule: str, least: int) -> None:
    assert combine(rule, honest(least), [1] * least, BAD)
    with pytest.raises(ValueError, match=f"{rule} needs {least} updates to tolerate 3 bad"):
        combine(rule, honest(least - 1), [1] * (least - 1), BAD)
    with pytest.raises(ValueError, match="expected"):
        krum_order(honest(4), 1)
    with pytest.raises(ValueError, match="expected"):
        trimmed_mean(honest(4), 2)


def test_bad_ones_that_were_found_out_need_not_be_tolerated() -> None:
    # Three of nine are tolerated, two of which are gone: the other seven stand one or two.
    found, chosen = combine("multi-krum", honest(7), [1] * 7, BAD, refused=2)
    assert len(chosen) == 5
    assert same(found, combine("multi-krum", honest(7), [1] * 7, 2)[0])
    with pytest.raises(ValueError, match="needs 7 updates to tolerate 2 bad ones, found 6"):
        combine("krum", honest(6), [1] * 6, BAD, refused=1)
    # Where there are enough of them, all are.
    assert len(combine("multi-krum", honest(9), [1] * 9, BAD, refused=2)[1]) == 6


def test_a_share_to_tolerate_is_rounded_up() -> None:
    assert [bad_clients(n, 0.2) for n in (1, 5, 6, 10, 11)] == [1, 1, 2, 2, 3]
    assert [bad_clients(10, share) for share in (0, 0.1, 0.3, 3)] == [0, 1, 3, 3]


def test_an_update_is_shortened_to_the_bound_and_keeps_its_direction() -> None:
    received, update = weights(1), weights(3)
    norm = 2 * np.sqrt(15)
    assert clip(update, received, norm * 1.001) == (update, False)
    shortened, changed = clip(update, received, 0.5)
    assert changed
    steps = [new - old for new, old in zip(shortened, received, strict=True)]
    assert np.sqrt(sum(float(np.square(step).sum()) for step in steps)) == pytest.approx(0.5)
    for step in steps:
        np.testing.assert_allclose(step, 2 * 0.5 / norm, rtol=1e-4)
    huge, _ = clip(weights(3e38), received, 0.5)
    np.testing.assert_allclose(huge[0] - 1, steps[0], rtol=1e-4)
    assert clip(received, received, 0.5) == (received, False)


@pytest.mark.parametrize(
    ("update", "examples", "expected"),
    [
        (weights(np.nan), 5, "array 0 holds NaN or infinite values"),
        (weights(np.inf), 5, "array 0 holds NaN or infinite values"),
        (weights(1)[:1], 5, "expected 2 arrays, found 1"),
        ([weights(1)[0].T, weights(1)[1]], 5, "array 0: expected float32[4, 3], found float32[3"),
        ([a.astype(np.float64) for a in weights(1)], 5, "array 0: expected float32[4, 3], found f"),
        (weights(1), 0, "num_examples: expected 1 to 10000000000, found 0"),
        (weights(1), True, "num_examples: expected 1 to 10000000000, found True"),
        (weights(1), 2.5, "num_examples: expected 1 to 10000000000, found 2.5"),
        (weights(1), 10**11, "num_examples: expected 1 to 10000000000, found 1000"),
        (weights(1), None, "num_examples: expected 1 to 10000000000, found None"),
    ],
)
def test_the_guard_refuses_what_would_spoil_an_average(
    update: Weights, examples: object, expected: str
) -> None:
    assert complaint(weights(1), {"num_examples": 5}, weights(0)) is None
    found = complaint(update, {"num_examples": examples}, weights(0))
    assert found is not None
    assert found.startswith(expected)


def test_after_fedopt_the_model_is_float64_and_updates_to_it_are_not() -> None:
    wide = [array.astype(np.float64) for array in weights(0)]
    assert complaint(weights(1), {"num_examples": 5}, wide) is None


def test_bytes_that_are_no_update_are_refused_before_they_are_unpacked() -> None:
    assert same(read_update(model_file(weights(2)), weights(0)), weights(2))
    with pytest.raises(ValueError, match="found: File is not a zip file"):
        read_update(b"no model", weights(0))
    with pytest.raises(ValueError, match="expected arrays under the keys 0 to 1"):
        buffer = io.BytesIO()
        np.savez(buffer, weights=np.zeros(3))
        read_update(buffer.getvalue(), weights(0))
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        read_update(model_file([np.array([{}, {}])]), weights(0))
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.npy", bytes(5_000_000))
    with pytest.raises(ValueError, match=r"expected at most \d+ bytes of weights, found 5000000"):
        read_update(bomb.getvalue(), weights(0))
    for packing, found in (
        (zipfile.ZIP_STORED, "a member that is no array"),
        (zipfile.ZIP_BZIP2, "packed in another way than numpy packs"),
    ):
        odd = io.BytesIO()
        with zipfile.ZipFile(odd, "w", packing) as archive:
            archive.writestr("0.npy", b"no array")
        with pytest.raises(ValueError, match=found):
            read_update(odd.getvalue(), weights(0))


@pytest.mark.parametrize(
    "message", ["", "[]", "{}", '{"training_metadata": []}', "[" * 10**5, " " * 2**21]
)
def test_a_message_that_tells_no_metadata_is_the_sites_own_fault(message: str) -> None:
    assert read_metadata('{"training_metadata": {"num_examples": 5}}') == {"num_examples": 5}
    with pytest.raises(ValueError, match="expected training_metadata"):
        read_metadata(message)


@pytest.mark.parametrize("rule", ["fedavg", *ROBUST])
def test_refused_and_exhausted_sites_do_not_count(rule: str) -> None:
    arrived: dict[Any, tuple[Weights, dict[str, Any]]] = {
        f"site-{number}": (update, {"num_examples": 10}) for number, update in enumerate(honest())
    }
    expected, _ = settle(weights(0), arrived, defence(rule, tolerate=2), forbidden)
    arrived["site-98"] = weights(np.nan), {"num_examples": 10}
    spent = weights(0), {"num_examples": 10, "privacy": {"exhausted": True}}
    arrived["site-99"] = spent
    model, standing = settle(weights(0), arrived, defence(rule, tolerate=2), forbidden)
    assert expected is not None
    assert model is not None
    assert same(model, expected)
    assert standing["exhausted"] == ["site-99"]
    assert standing["refused"] == {"site-98": "array 0 holds NaN or infinite values"}
    assert "clipped" not in standing
    stays, why = settle(weights(0), {"a": spent, "b": spent}, None, forbidden)
    assert stays is not None
    assert same(stays, weights(0))
    assert why["stays"] == "the privacy budget of every site is spent"
    assert settle(weights(0), {"site-98": arrived["site-98"]}, None, forbidden)[0] is None


def test_the_model_stays_when_the_next_one_cannot_be_trusted() -> None:
    arrived = {n: (update, {"num_examples": 1}) for n, update in enumerate(honest(5))}
    model, standing = settle(weights(0), arrived, defence("krum", tolerate=2), forbidden)
    assert model is not None
    assert same(model, weights(0))
    assert standing == {"stays": "krum needs 7 updates to tolerate 2 bad ones, found 5"}
    large = {n: (weights(3e38), {"num_examples": 1}) for n in range(4)}
    for wanted in (None, defence("median")):
        model, standing = settle(weights(7), large, wanted, lambda _: weights(np.inf))
        assert model is not None
        assert same(model, weights(7))
        assert standing == {"stays": "the updates' numbers are too large to combine"}


class Service:
    """FEDn's service for server functions, in memory, and what its combiner sends it."""

    def __init__(self) -> None:
        import fedn.network.grpc.fedn_pb2 as messages
        from fedn.network.combiner.hooks.hooks import FunctionServiceServicer

        self.messages, self.fedn = messages, FunctionServiceServicer()

    def begin(self, wanted: Any) -> set[str]:
        """Hand over the text of a session, and return what FEDn finds in it."""
        request = self.messages.ProvidedFunctionsRequest(function_code=functions.text(wanted))
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
        expected, standing = settle(received, arrived | refused, wanted, forbidden)
        assert expected is not None
        assert same(read_update(service.combine(), received), expected)
        assert "site-8" in standing["clipped"]


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
    assert functions.read(functions.text(wanted)) == wanted
    assert functions.read(functions.text(None)) is None
    assert functions.read("class ServerFunctions(ServerFunctionsBase):\n    pass\n") is None
    # FEDn would not try a text again that has failed once.
    assert functions.text(wanted) != functions.text(wanted)


def test_fedn_does_not_fall_back_to_an_average_where_a_defence_was_asked_for() -> None:
    from fedn.network.combiner.aggregators.aggregatorbase import get_aggregator
    from fedn.utils.helpers.helpers import get_helper
    from fedn.utils.parameters import Parameters

    updates: Any = Updates()
    updates.global_model = weights(0)
    updates.model_updates.put(Update(weights(1), 5, "0"))
    model, _ = get_aggregator("fedopt", updates).combine_models(
        helper=get_helper("numpyhelper"), parameters=Parameters(functions.NO_AGGREGATOR)
    )
    assert model is None
    # Else the next round would begin with them, and wait for nobody.
    assert updates.model_updates.empty()


def options(**given: Any) -> argparse.Namespace:
    every = {"aggregator": "fedavg", "norm_bound": None, "tolerate": None, "seed": 0}
    every |= {"attack": None, "attackers": None, "attack_strength": None}
    return argparse.Namespace(**(every | given))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"norm_bound": 0.0}, "--norm-bound: expected a number above 0, found 0"),
        ({"norm_bound": float("nan")}, "--norm-bound: expected a number above 0, found nan"),
        ({"norm_bound": 1.0, "aggregator": "fedopt"}, "--norm-bound: goes with every aggregator"),
        ({"tolerate": 0.2}, "--tolerate: goes with --aggregator trimmed-mean, krum, multi-krum"),
        ({"tolerate": 0.5, "aggregator": "krum"}, "--tolerate: expected a number of clients, or a"),
        ({"tolerate": 1.5, "aggregator": "krum"}, "--tolerate: expected a number of clients, or a"),
        ({"tolerate": 4.0, "aggregator": "krum"}, "--aggregator krum: expected 11 clients or more"),
        ({"attackers": 0.1}, "--attackers: goes with --attack NAME"),
        ({"attack": "nan", "attackers": 1.1}, "--attackers: expected 0 to 1, found 1.1"),
        ({"attack": "nan", "attack_strength": 1.0}, "--attack-strength: nan has none"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(ProjectError) as error:
        functions.check(options(**given), 10)
        attacks.check(options(**given))
    assert str(error.value).startswith(expected)


def test_the_attacks_send_what_they_are_called() -> None:
    received, update = weights(1), weights(3)

    def sent(attack: str, strength: float | None = 2.0) -> Weights:
        return attacks.forge(attack, strength, received, update, [0])

    assert same(sent("sign-flip"), weights(-3))
    assert same(sent("scale"), weights(5))
    assert same(sent("constant"), weights(2))
    assert np.isnan(sent("nan", None)[0]).all()
    assert same(sent("label-flip", None), update)
    noise = [new - old for new, old in zip(sent("random"), received, strict=True)]
    length = np.sqrt(sum(float(np.square(array).sum()) for array in noise))
    assert length == pytest.approx(2 * 2 * np.sqrt(15), rel=1e-5)
    assert same(sent("random"), sent("random"))


def test_the_seed_draws_the_bad_clients() -> None:
    drawn = [
        attacks.attackers(options(attack="nan", attackers=0.2, seed=seed), 20) for seed in range(9)
    ]
    assert all(len(bad) == 4 for bad in drawn)
    assert len({tuple(sorted(bad)) for bad in drawn}) > 5
    assert attacks.attackers(options(), 20) == set()
