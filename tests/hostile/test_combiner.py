"""What a site that has joined cannot do to the embedded network."""

import queue
import uuid
from pathlib import Path
from typing import Any

import fedn.network.grpc.fedn_pb2 as fedn
import fedn.network.grpc.fedn_pb2_grpc as rpc
import grpc
import pytest
from hostile_sites import Network, Site, model, network, wait_for

from fednkit.network._calls import FOR_CONTROLLER, FOR_SITES
from fednkit.network._models import SiteModels
from fednkit.network._site import TRAINING
from fednkit.network._sites import Sites
from fednkit.network._updates import RoundUpdates

pytestmark = pytest.mark.xdist_group("hostile")


def test_an_update_without_a_model_does_not_switch_the_guard_off(
    running: Network, sites: list[Site]
) -> None:
    model_id = running.start(sites)
    sites[0].send(model_id, None)
    sites[1].send(model_id, model(float("nan"), 1))
    sites[2].send(model_id, model(1, 2))
    assert running.outcome() == (
        [1, 2],
        {
            "refused": {
                "site-1": "expected a model that this site uploaded, found none",
                "site-2": "array 0 holds NaN or infinite values",
            }
        },
        1,
    )


def test_the_global_model_is_nobodys_update(running: Network, sites: list[Site]) -> None:
    model_id = running.start(sites)
    sites[0].send(model_id, model(0, 0), update_id=model_id)
    sites[1].send(model_id, model(8, 8))
    sites[2].send(model_id, model(8, 8))
    refused = {"site-1": "expected a model that this site uploaded, found none"}
    assert running.outcome() == ([8, 8], {"refused": refused}, 2)


def test_what_arrives_after_the_wait_does_not_reach_fedns_aggregator() -> None:
    class Stub:
        def __init__(self) -> None:
            self.model_updates: queue.Queue[Any] = queue.Queue()
            self.request_model_update = self.waitforit = self.put
            self._put_request_to_client_queue = self.put

        def put(self, *_: object, **__: object) -> None:
            pass

    stub: Any = Stub()
    sites = Sites()
    RoundUpdates(stub, stub, sites, SiteModels(sites))
    stub.request_model_update("session", "model", {"round_id": 1}, ["one", "other"])
    early, late = (
        fedn.ModelUpdate(model_id="model", sender=fedn.Client(name=name, client_id=name))
        for name in ("one", "other")
    )
    for update in (early, late):
        sites.register(update.sender.client_id, update.sender.name, {})
        sites.ask(update.sender.client_id, TRAINING, "model")
    stub.on_model_update(early)
    stub.waitforit({})
    stub.on_model_update(late)
    assert list(stub.model_updates.queue) == [early]
    assert list(sites.take_reports()) == ["other"]


def test_a_bad_update_is_its_sites_answer_and_nobody_waits_for_another(
    running: Network, sites: list[Site]
) -> None:
    model_id = running.start(sites)
    sites[0].send(model_id, model(3e38, 3e38))
    sites[1].send(model_id, model(5, 6), meta={"training_metadata": {}, "config": "{}"})
    # FEDn's aggregators could not read this one; what they need of it is checked and rewritten.
    sites[2].send(
        model_id, model(3, 4), meta={"training_metadata": {"num_examples": 2}, "config": "{"}
    )
    assert running.outcome() == (
        [3, 4],
        {
            "refused": {
                "site-1": "array 0 holds values beyond 1e+30",
                "site-2": "num_examples: expected 1 to 10000000000, found None",
            }
        },
        1,
    )


def test_a_site_has_one_vote_whatever_it_calls_itself(running: Network, sites: list[Site]) -> None:
    model_id = running.start(sites)
    first = sites[0].send(model_id, model(9, 9))
    for number in range(6):
        made_up = fedn.Client(name=f"site-{number}", role=fedn.CLIENT, client_id=str(uuid.uuid4()))
        sites[0].send(model_id, model(100, 100), sender=made_up)
        sites[0].send(model_id, model(100, 100))
    # Its update cannot be replaced either.
    assert sites[0].upload(model(100, 100), first) == fedn.ModelStatus.FAILED
    sites[1].send(model_id, model(9, 9))
    sites[2].send(model_id, model(9, 9))
    reported = [
        "upload refused: no update is asked for",
        "an update was dropped: another round's, or one too many",
    ]
    assert running.outcome() == ([9, 9], {"reported": {"site-1": reported}}, 3)


def test_no_upload_leaves_the_servers_folder_or_takes_a_place_in_it(
    running: Network, sites: list[Site], tmp_path: Path
) -> None:
    model_id = running.start(sites)
    outside = tmp_path / "written"
    for taken in (
        str(outside),
        "../written",
        "/proc/self/environ",
        "",
        ".",
        f"./{model_id}",
        model_id,
        model_id.upper(),
        "{" + str(uuid.uuid4()) + "}",
        "x" * 10_000,
    ):
        assert sites[0].upload(model(7, 7), taken) == fedn.ModelStatus.FAILED, taken
    assert not outside.exists()
    assert not (running.folder / "server" / "written").exists()
    too_large = bytes(2 * len(model(0, 0)) + 8193)
    assert sites[0].upload(too_large, str(uuid.uuid4())) == fedn.ModelStatus.FAILED
    for site in sites:
        site.send(model_id, model(2, 2))
    values, outcome, used = running.outcome()
    assert (values, list(outcome), list(outcome["reported"]), used) == (
        [2, 2], ["reported"], ["site-1"], 3,
    )  # fmt: skip


def test_an_upload_that_was_cut_off_is_sent_once_more_under_its_id(
    running: Network, sites: list[Site]
) -> None:
    model_id, cut = running.start(sites), str(uuid.uuid4())
    part = fedn.ModelRequest(data=b"half", id=cut, status=fedn.ModelStatus.IN_PROGRESS)
    for parts in ([part], [part, fedn.ModelRequest(id=str(uuid.uuid4()))]):
        answer = sites[0].models.Upload(iter(parts), **sites[0].call())
        assert answer.status == fedn.ModelStatus.FAILED
    assert sites[0].upload(model(6, 6), cut) == fedn.ModelStatus.OK
    assert sites[0].upload(model(7, 7), cut) == fedn.ModelStatus.FAILED
    for site in sites:
        site.send(model_id, model(6, 6), update_id=cut if site is sites[0] else "")
    values, outcome, used = running.outcome()
    assert (values, list(outcome["reported"]), used) == ([6, 6], ["site-1"], 3)


def test_a_site_downloads_the_global_model_and_nothing_else(
    running: Network, sites: list[Site]
) -> None:
    model_id = running.start(sites)
    assert sites[0].download(model_id) is not None
    other = sites[1].send(model_id, model(4, 4))
    for wanted in (other, "/proc/self/environ", "../ready.json", "ready.json", ""):
        assert sites[0].download(wanted) is None
    sites[0].send(model_id, model(4, 4))
    sites[2].send(model_id, model(4, 4))
    reported = {"site-1": ["asked for a model that it was not given"]}
    assert running.outcome() == ([4, 4], {"reported": reported}, 3)


def test_models_are_private_and_gone_with_the_server(tmp_path: Path) -> None:
    with network(tmp_path) as started:
        private = started.folder / "server" / "temporary"
        assert private.stat().st_mode & 0o777 == 0o700
        models = private / "models"
        site = started.join(1)
        model_id = started.start(site)
        assert [path.name for path in models.iterdir()] == [model_id]
        site[0].send(model_id, model(1, 1))
        assert started.outcome()[0] == [1, 1]
    assert not private.exists()


def test_a_round_that_fails_in_fedn_is_not_the_last(tmp_path: Path) -> None:
    with network(tmp_path) as started:
        sites = started.join(1)
        (seed,) = (tmp_path / "server" / "temporary" / "files").iterdir()
        lost = seed.rename(tmp_path / "lost")
        session = started.api.start_session(
            name="lost", helper="numpyhelper", rounds=1, round_timeout=3, min_clients=1
        )["session_id"]
        wait_for(lambda: started.api.get_session_status(session) == "Finished")
        lost.rename(seed)
        model_id = started.start(sites)
        sites[0].send(model_id, model(1, 1))
        assert started.outcome()[0] == [1, 1]


def test_every_call_of_the_combiner_has_a_row_and_the_controllers_are_closed(
    running: Network, sites: list[Site]
) -> None:
    calls = {
        f"/{service.full_name}/{method.name}"
        for service in fedn.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    }
    # Split learning, and a service that FEDn no longer uses.
    closed = {"/fedn.Combiner/SendBackwardCompletion", "/fedn.Reducer/GetGlobalModel"}
    assert closed <= calls - set(FOR_SITES) - FOR_CONTROLLER
    channel = running.connection()
    control, connector = rpc.ControlStub(channel), rpc.ConnectorStub(channel)
    for call, request in (
        (control.Start, fedn.ControlRequest()),
        (control.SetServerFunctions, fedn.ControlRequest()),
        (connector.ListActiveClients, fedn.ListClientsRequest(channel=1)),
        (rpc.CombinerStub(channel).SendBackwardCompletion, fedn.BackwardCompletion()),
    ):
        for metadata in ([], [("fednkit-controller", "x")]):
            with pytest.raises(grpc.RpcError) as refused:
                call(request, metadata=metadata, timeout=10)
            assert refused.value.code() == grpc.StatusCode.PERMISSION_DENIED
