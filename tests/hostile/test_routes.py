"""What the REST API answers: the routes that have a row, and nothing else."""

import inspect
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import fedn.network.grpc.fedn_pb2 as fedn
import pytest
import requests
from click.testing import CliRunner
from fedn.cli import main as fedn_command
from hostile_sites import TIMEOUT_SECONDS, Network

from fednkit.docs import command
from fednkit.network._calls import FOR_CONTROLLER, FOR_SITES, HEALTH
from fednkit.network._routes import ROUTES

pytestmark = pytest.mark.xdist_group("hostile")


@pytest.fixture(scope="module")
def known() -> set[tuple[str, str]]:
    """What FEDn has, by method and rule."""
    from fedn.network.api.server import app

    return {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def status(running: Network, method: str, rule: str, **options: Any) -> int:
    path = rule.replace("<string:id>", "x").replace("<path:filename>", "x")
    url = running.api._get_url(path.removeprefix("/"))
    headers = running.api.headers | options.pop("headers", {})
    answer = requests.request(
        method,
        url,
        timeout=TIMEOUT_SECONDS,
        headers=headers,
        verify=running.api.verify,
        **options,
    )
    return int(answer.status_code)


def test_every_row_is_a_route_of_fedns(known: set[tuple[str, str]]) -> None:
    assert set(ROUTES) <= known


def test_what_has_no_row_is_closed(running: Network, known: set[tuple[str, str]]) -> None:
    closed = known - set(ROUTES)
    # Among them what FEDn answers without a token, split learning, and what it calls obsolete.
    assert ("POST", "/api/v1/graphql") in closed
    assert ("POST", "/api/v1/sessions/start_splitlearning_session") in closed
    answers = {key: status(running, *key) for key in closed}
    assert set(answers.values()) == {403}, answers


def test_methods_besides_are_closed_too(running: Network) -> None:
    assert status(running, "HEAD", "/api/v1/models/") == 403
    assert status(running, "DELETE", "/api/v1/models/x") == 405
    assert status(running, "GET", "/nothing") == 404


def test_a_page_on_the_web_does_not_reach_it(running: Network) -> None:
    headers = {"Origin": "https://elsewhere.example"}
    assert status(running, "GET", "/api/v1/models/", headers=headers) == 403
    assert status(running, "GET", "/api/v1/models/") == 200


def test_a_request_is_bounded(running: Network) -> None:
    large = {"helper": "x" * (1 << 17)}
    assert status(running, "PUT", "/api/v1/helpers/active", json=large) == 403
    # Without a length, as a body comes in chunks.
    parts = (b"x" * 1024 for _ in range(128))
    assert status(running, "PUT", "/api/v1/helpers/active", data=parts) >= 400


def test_fedns_own_tools_find_nothing_closed(
    running: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {
        "id": "x",
        "client_list": ["x"],
        "attribute": {},
        "path": str(tmp_path / "file"),
        "session_id": "x",
        "helper": "numpyhelper",
        "name": "x",
    }
    answers: dict[str, str] = {}
    for name, method in inspect.getmembers(running.api, inspect.ismethod):
        # Those that start something are what all the other tests do.
        if name.startswith(("_", "start_", "set_", "continue_")):
            continue
        needed = [
            parameter.name
            for parameter in inspect.signature(method).parameters.values()
            if parameter.default is parameter.empty
        ]
        try:
            answers[name] = str(method(*(given[parameter] for parameter in needed)))
        except requests.HTTPError as error:
            answers[name] = error.response.text
        except requests.JSONDecodeError as error:
            answers[name] = error.doc
    # As after `fedn studio login`, without which it does not work.
    (tmp_path / ".fedn").mkdir()
    token = running.api.headers.get("Authorization", "none").split()[-1]
    url = running.api._get_url("").removesuffix("/")
    context = {"Active project url": url, "Active project tokens": {"access": token}}
    if running.root:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(running.root))
    (tmp_path / ".fedn" / "context.yaml").write_text(json.dumps(context), "utf-8")
    monkeypatch.setattr("fedn.cli.shared.HOME_DIR", str(tmp_path))
    for what in "client combiner model package round session status validation".split():
        result = CliRunner().invoke(fedn_command, [what, "list"])
        assert result.exception is None, (what, result.output)
        answers[f"fedn {what} list"] = result.output
    assert len(answers) > 45
    assert {name for name, answer in answers.items() if "closed" in answer} == set()


def test_the_guide_has_each_call_and_each_route() -> None:
    page = command.page("server")
    # Each page can be printed.
    names = {file.name for file in files("fednkit.docs").iterdir() if file.name.endswith(".md")}
    assert {f"{topic}.md" for topic in command.TOPICS} == names
    told = set(re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /[^`]*)`", page))
    (of_each,) = re.findall(r"of each of ([^:]*):", page)
    templates = {route for route in told if "…" in route}
    each = {
        template.replace("…", what)
        for template in templates
        for what in re.findall("`([a-z]+)`", of_each)
    }
    assert told - templates | each == {f"{method} {rule}" for method, rule in ROUTES}
    calls = {
        f"/{service.full_name}/{method.name}"
        for name, service in fedn.DESCRIPTOR.services_by_name.items()
        # That of FEDn's server for server functions, which does not run here.
        if name != "FunctionService"
        for method in service.methods
    }
    rows = set(re.findall(r"`(/(?:fedn|grpc)\.[^`]*)`", page))
    assert rows == calls | HEALTH
    closed = next(line for line in page.splitlines() if "nobody: split learning" in line)
    assert set(re.findall(r"`(/fedn\.[^`]*)`", closed)) == calls - set(FOR_SITES) - FOR_CONTROLLER
