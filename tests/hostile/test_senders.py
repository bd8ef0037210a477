"""A site is who it is, whatever its messages say; and it does what it was asked for."""

import json
import queue
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fedn.network.grpc.fedn_pb2 as fedn
import fedn.network.grpc.fedn_pb2_grpc as rpc
import grpc
import pytest
from hostile_sites import Network, Site, model, network, register

from fednkit.controller.tokens import make_token
from fednkit.network._models import MAX_UPLOAD_IDS

pytestmark = pytest.mark.xdist_group("hostile")

OWN, OTHERS = grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAVAILABLE


def code_of(call: Any, *arguments: Any, **options: Any) -> grpc.StatusCode | None:
    """Return the status with which a call ends; None when it is answered."""
    try:
        call(*arguments, timeout=10, **options)
    except grpc.RpcError as error:
        return error.code()
    return None


def every(call: Any) -> Any:
    """Return a call that reads its stream of answers to the end."""
    return lambda *arguments, **options: list(call(*arguments, **options))


def update(site: Site, model_id: str) -> Any:
    return fedn.ModelUpdate(sender=site.sender(), model_id=model_id, model_update_id="x", meta="{}")


def test_another_connection_with_a_sites_id_is_not_that_site(
    running: Network, sites: list[Site]
) -> None:
    model_id = running.start(sites)
    with running.connection() as channel:
        combiner, connector = rpc.CombinerStub(channel), rpc.ConnectorStub(channel)
        models = rpc.ModelServiceStub(channel)
        victim = {"metadata": sites[0].metadata}
        assert code_of(combiner.SendModelUpdate, update(sites[0], model_id), **victim) is OTHERS
        validation = fedn.ModelValidation(sender=sites[0].sender(), model_id=model_id)
        assert code_of(combiner.SendModelValidation, validation, **victim) is OTHERS
        part = fedn.ModelRequest(id=str(uuid.uuid4()), status=fedn.ModelStatus.OK)
        assert code_of(models.Upload, iter([part]), **victim) is OTHERS
        wanted = fedn.ModelRequest(id=model_id, sender=sites[0].sender())
        assert code_of(every(models.Download), wanted, **victim) is OTHERS
        stream = fedn.ClientAvailableMessage(sender=sites[0].sender())
        assert (
            code_of(lambda *a, **b: list(combiner.TaskStream(*a, **b)), stream, **victim) is OTHERS
        )
        # FEDn's client would connect anew at an error of these, again and again.
        beat = fedn.Heartbeat(sender=sites[0].sender())
        assert code_of(connector.SendHeartbeat, beat, **victim) is None
    for site in sites:
        site.send(model_id, model(1, 1))
    reported = {"site-1": ["another connection used its id"]}
    assert running.outcome() == ([1, 1], {"reported": reported}, 3)


def test_a_message_is_its_callers_whoever_it_says_it_is_from(
    running: Network, sites: list[Site]
) -> None:
    model_id = running.start(sites)
    sites[0].send(model_id, model(1, 1), sender=sites[1].sender())
    sites[2].send(model_id, model(1, 1))
    # This one has not answered yet, although another used its name.
    sites[1].send(model_id, model(4, 4))
    assert running.outcome() == ([2, 2], {}, 3)


def test_nobody_sends_anothers_model(running: Network, sites: list[Site]) -> None:
    model_id, stolen = running.start(sites), str(uuid.uuid4())
    # An id is its uploader's from the first chunk on, also before the upload has ended.
    begun = queue.Queue[Any]()
    begun.put(fedn.ModelRequest(id=stolen, data=b"x", status=fedn.ModelStatus.IN_PROGRESS))
    running_upload = sites[1].models.Upload.future(iter(begun.get, None), **sites[1].call())
    time.sleep(1)
    assert sites[0].upload(model(9, 9), stolen) == fedn.ModelStatus.FAILED
    begun.put(None)
    assert running_upload.result().status == fedn.ModelStatus.FAILED
    other = sites[1].send(model_id, model(2, 2))
    sites[0].send(model_id, None, update_id=other)
    sites[2].send(model_id, model(2, 2))
    values, outcome, used = running.outcome()
    assert (values, used) == ([2, 2], 2)
    refused = {"site-1": "expected a model that this site uploaded, found none"}
    assert outcome["refused"] == refused


def test_the_newest_upload_counts_and_only_until_the_update_does(
    running: Network, sites: list[Site]
) -> None:
    model_id = running.start(sites)
    # As a client does that was late with the round before.
    late, newest, after = (str(uuid.uuid4()) for _ in range(3))
    assert sites[0].upload(model(7, 7), late) == fedn.ModelStatus.OK
    assert sites[0].upload(model(1, 1), newest) == fedn.ModelStatus.OK
    sites[0].send(str(uuid.uuid4()), None, update_id=late)
    sites[0].send(model_id, None, update_id=newest)
    assert sites[0].upload(model(9, 9), after) == fedn.ModelStatus.FAILED
    for site in sites[1:]:
        site.send(model_id, model(1, 1))
    values, outcome, used = running.outcome()
    assert (values, list(outcome), used) == ([1, 1], ["reported"], 3)
    files = {path.name for path in (running.folder / "server" / "temporary" / "models").iterdir()}
    assert files & {late, newest, after} == set()


def test_ids_to_upload_under_are_few(running: Network, sites: list[Site]) -> None:
    model_id = running.start(sites)
    sent = [sites[0].upload(b"x", str(uuid.uuid4())) for _ in range(MAX_UPLOAD_IDS + 1)]
    assert sent == [fedn.ModelStatus.OK] * MAX_UPLOAD_IDS + [fedn.ModelStatus.FAILED]
    for site in sites[1:]:
        site.send(model_id, model(2, 2))
    sites[0].send(model_id, None)
    assert running.outcome()[::2] == ([2, 2], 2)


def test_a_validation_is_taken_once_and_from_who_was_asked(
    running: Network, sites: list[Site]
) -> None:
    model_id = running.start(sites)
    made_up = str(uuid.uuid4())
    for wrong in (model_id, made_up):
        sites[0].validate(wrong, {"accuracy": 0.5})
    for site in sites:
        site.send(model_id, model(3, 3))
    values, outcome, _ = running.outcome()
    report = "SendModelValidation: nobody asked for it, or it was answered already"
    assert (values, outcome) == ([3, 3], {"reported": {"site-1": [report]}})
    new = sites[0].asked_for(fedn.StatusType.MODEL_VALIDATION)
    for accuracy in (0.1, 0.9, 0.9):
        sites[0].validate(new, {"accuracy": accuracy})
    # FEDn's own filter by model finds nothing.
    found = [
        (validation["model_id"], validation["sender"]["name"], json.loads(validation["data"]))
        for validation in running.api.get_validations()["result"]
        if validation["model_id"] in (new, made_up)
    ]
    assert found == [(new, "site-1", {"accuracy": 0.1})]


def test_a_slow_upload_ends_with_its_round(running: Network, sites: list[Site]) -> None:
    model_id = running.start(sites, timeout=4)

    def slowly() -> Iterator[Any]:
        for _ in range(60):
            yield fedn.ModelRequest(id=taken, data=b"x", status=fedn.ModelStatus.IN_PROGRESS)
            time.sleep(1)

    taken = str(uuid.uuid4())
    started = sites[0].models.Upload.future(slowly(), metadata=sites[0].metadata, timeout=60)
    for site in sites[1:]:
        site.send(model_id, model(5, 5))
    assert running.outcome()[::2] == ([5, 5], 2)
    assert started.exception() or started.result().status == fedn.ModelStatus.FAILED


def test_a_registration_is_plain_and_small(running: Network) -> None:
    token = make_token(running.secret, "client", 1, "x") if running.secret else ""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    for client_id, name in (
        ("id", "a\x1b[2Jb"),
        ("id", "x" * 65),
        (None, "x"),
        ({"$ne": None}, "x"),
        ("id", "x" * (1 << 17)),
    ):
        assert register(running.api, client_id, name, headers) == 400
    names = {client["name"] for client in running.api.get_clients()["result"]}
    assert names <= {"site-1", "site-2", "site-3"}


def test_a_network_of_one_machine_admits_the_sites_that_it_started(tmp_path: Path) -> None:
    with network(tmp_path, json.dumps({"sites": {"one": "site-1"}})) as started:
        assert register(started.api, "other", "site-1") == 400
        assert register(started.api, "one", "site-2") == 400
        assert register(started.api, "one", "site-1") == 200
        with started.connection() as channel:
            stream = rpc.CombinerStub(channel).TaskStream
            other = fedn.ClientAvailableMessage(sender=fedn.Client(name="site-2", client_id="two"))
            call = {"metadata": [("client", "two")]}
            assert code_of(every(stream), other, **call) is OWN
