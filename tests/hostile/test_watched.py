"""Who watches the server sees what the sites do, and no site writes into what is shown."""

import json
import re
import uuid
from pathlib import Path

import fedn.network.grpc.fedn_pb2 as fedn
import pytest
import requests
from hostile_sites import model, network

pytestmark = pytest.mark.xdist_group("hostile")


def test_the_figures_and_the_log_tell_of_a_round_and_of_a_hostile_site(tmp_path: Path) -> None:
    with network(tmp_path, '{"metrics_port": 0, "json_log": true}') as started:
        ready = json.loads((tmp_path / "server" / "ready.json").read_text("utf-8"))
        sites = started.join(2)
        model_id = started.start(sites)
        # Nobody asked for it.
        sites[0].validate(str(uuid.uuid4()), {"accuracy": 0.5})
        # A line break would make two entries of the log's one.
        forged = fedn.Status(
            sender=sites[1].sender(),
            status='x"\n{"level": "CRITICAL"}',
            log_level=fedn.LogLevel.INFO,
        )
        sites[1].connector.SendStatus(forged, **sites[1].call())
        for site in sites:
            site.send(model_id, model(1, 1))
        assert started.outcome()[0] == [1, 1]
        page = requests.get(f"http://127.0.0.1:{ready['metrics_port']}/metrics", timeout=10).text
    values = dict(re.findall(r"^(fednkit\w+(?:\{[^}]*\})?) (\S+)$", page, re.MULTILINE))
    assert values["fednkit_sites_online"] == "2.0"
    assert values["fednkit_models"] == "2.0"
    assert values['fednkit_rounds_total{status="Finished"}'] == "1.0"
    assert values["fednkit_last_round_updates"] == "2.0"
    assert 0 < float(values["fednkit_last_round_seconds"]) < 60
    assert values['fednkit_reports_total{site="site-1"}'] == "1.0"
    assert values['fednkit_reports_total{site="site-2"}'] == "0.0"
    assert "process_resident_memory_bytes" in page
    lines = (tmp_path / "server.log").read_text("utf-8").splitlines()
    entries = [json.loads(line) for line in lines if line]
    told = "site-1: SendModelValidation: nobody asked for it, or it was answered already"
    assert [e["level"] for e in entries if e["message"] == told] == ["WARNING"]
    assert not any(entry["level"] == "CRITICAL" for entry in entries)
