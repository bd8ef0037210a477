"""The compose files: what they start, how little of it can be reached, and where secrets are.

podman-compose resolves them, and compose-spec holds the outcome against the Compose Specification.
No container is started.
"""

import re
import shutil
import stat
from pathlib import Path
from typing import Any

import composing
import pytest
import yaml
from baking import ROOT, Project
from compose_spec import PyCompose
from composing import fednkit, make_secrets, resolve, secrets_of, started

FEDN = ["server"]
CLIENTS = ["client-1", "client-2"]
STORES = ["mongo", "minio"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, project: Project) -> Path:
    """A project whose secrets are made."""
    copy = tmp_path_factory.mktemp("compose") / "fraud-detection"
    shutil.copytree(project("fraud", "numpy"), copy)
    for words in (["write", "compose.yaml"], ["secrets"]):
        made = fednkit(copy, *words)
        assert made.returncode == 0, made.stderr
    # What a site gets lies in the library, and is copied into each invitation.
    joining = ROOT / "src" / "fednkit" / "joining"
    (copy / "joining").mkdir()
    shutil.copy(joining / "compose.yaml", copy / "joining")
    return copy


@pytest.fixture(scope="module")
def services(folder: Path) -> dict[str, Any]:
    """What compose.yaml comes to, by service."""
    return composing.services(folder)


@pytest.fixture(scope="module")
def client(folder: Path) -> dict[str, Any]:
    """The one service of the folder that a site gets."""
    return composing.services(folder / "joining", IMAGE="fraud-detection:1.0")["client"]


def test_secrets_are_random_and_for_their_owner_alone(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "other", ignore=shutil.ignore_patterns(".env"))
    made = make_secrets(tmp_path / "other")
    assert made.stdout == ".env: MINIO_PASSWORD, MONGO_PASSWORD, readable only by you\n"
    one, other = secrets_of(folder), secrets_of(tmp_path / "other")
    assert sorted(one) == sorted(other) == ["MINIO_PASSWORD", "MONGO_PASSWORD"]
    assert all(re.fullmatch("[0-9a-f]{32}", value) for value in one.values())
    assert len({*one.values(), *other.values()}) == 4
    assert stat.S_IMODE((tmp_path / "other" / ".env").stat().st_mode) == 0o600
    assert ".env" in (folder / ".gitignore").read_text("utf-8").splitlines()


def test_secrets_that_are_there_stay_unless_forced(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / ".env").write_text("# mine\nAPI_PORT=9000\nMONGO_PASSWORD=old\n")
    refused = make_secrets(copy)
    assert refused.returncode == 1
    assert refused.stderr == (
        "error: .env already exists; add --force to replace the passwords in it\n"
    )
    assert (copy / ".env").read_text() == "# mine\nAPI_PORT=9000\nMONGO_PASSWORD=old\n"

    forced = make_secrets(copy, "--force")
    assert forced.returncode == 0, forced.stderr
    assert "docker compose down --volumes" in forced.stdout
    mine, port, *new = (copy / ".env").read_text().splitlines()
    assert [mine, port] == ["# mine", "API_PORT=9000"]
    assert [line.split("=")[0] for line in new] == ["MINIO_PASSWORD", "MONGO_PASSWORD"]
    assert not (copy / ".env").read_text().endswith("old\n")
    assert stat.S_IMODE((copy / ".env").stat().st_mode) == 0o600
    # Nothing half-written stays behind.
    assert sorted(path.name for path in copy.glob(".env*")) == [".env"]


@pytest.mark.parametrize("missing", ["MONGO_PASSWORD", "MINIO_PASSWORD"])
def test_without_a_secret_compose_says_how_to_make_it(
    folder: Path, tmp_path: Path, missing: str
) -> None:
    shutil.copy(folder / "compose.yaml", tmp_path)
    given = {name: value for name, value in secrets_of(folder).items() if name != missing}
    refused = resolve(tmp_path, **given)
    assert refused.returncode != 0
    assert "run: fednkit secrets" in refused.stderr.splitlines()[-1]


def test_no_secret_stands_in_the_compose_file(folder: Path, services: dict[str, Any]) -> None:
    text = (folder / "compose.yaml").read_text("utf-8")
    given = re.findall(r"(?i)^ *\w*(?:password|secret_key|token)\w*: (.+)$", text, re.MULTILINE)
    assert len(given) == 4
    for value in given:
        assert re.fullmatch(r"""(["'])\$\{M\w+_PASSWORD:\?run: fednkit secrets\}\1""", value)
    assert services["mongo"]["environment"] == {
        "MONGO_INITDB_ROOT_USERNAME": "fedn",
        "MONGO_INITDB_ROOT_PASSWORD": secrets_of(folder)["MONGO_PASSWORD"],
    }


def test_both_files_keep_to_the_compose_specification(folder: Path) -> None:
    name = "registry.example:5000/fraud-detection:1.0"
    for result in (resolve(folder), resolve(folder / "joining", IMAGE=name)):
        assert result.returncode == 0, result.stderr
        compose = PyCompose.from_yaml(result.stdout)
        compose.validate()
        compose.validate_volumes()


def test_only_the_api_is_published_and_on_the_loopback_interface_alone(
    services: dict[str, Any],
) -> None:
    published = {name: service.get("ports") for name, service in services.items()}
    assert published == {**dict.fromkeys(services), "server": ["127.0.0.1:8092:8092"]}


def test_every_image_has_a_version_and_what_fedn_runs_on_is_built_once(
    services: dict[str, Any],
) -> None:
    assert {name: service["image"] for name, service in services.items()} == {
        **dict.fromkeys([*FEDN, *CLIENTS], "fraud-detection:local"),
        "mongo": "mongo:7.0.37",
        "minio": "minio/minio:RELEASE.2025-09-07T16-13-09Z",
    }
    assert [name for name, service in services.items() if "build" in service] == ["server"]
    ours = [name for name, service in services.items() if service.get("pull_policy") == "never"]
    assert sorted(ours) == sorted([*FEDN, *CLIENTS])


def test_every_service_comes_back_and_tells_whether_it_works(services: dict[str, Any]) -> None:
    assert sorted(services) == sorted([*FEDN, *CLIENTS, *STORES])
    for name, service in services.items():
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"][0] == "CMD", name


def test_a_service_starts_when_what_it_needs_is_healthy(services: dict[str, Any]) -> None:
    needs = {name: service.get("depends_on", {}) for name, service in services.items()}
    assert all(
        condition == {"condition": "service_healthy"}
        for need in needs.values()
        for condition in need.values()
    )
    assert {name: sorted(need) for name, need in needs.items()} == {
        "mongo": [],
        "minio": [],
        "server": ["minio", "mongo"],
        "client-1": ["server"],
        "client-2": ["server"],
    }


def test_sites_reach_the_server_and_nothing_else(folder: Path, services: dict[str, Any]) -> None:
    networks = yaml.safe_load(resolve(folder).stdout)["networks"]
    assert networks == {"default": None, "servers": {"internal": True}, "sites": {"internal": True}}
    members = {
        network: sorted(
            name for name, service in services.items() if network in service["networks"]
        )
        for network in networks
    }
    assert members == {
        "default": ["server"],
        "servers": ["minio", "mongo", "server"],
        "sites": ["client-1", "client-2", "server"],
    }


def test_a_container_of_ours_can_change_nothing(
    services: dict[str, Any], client: dict[str, Any]
) -> None:
    for service in [*(services[name] for name in FEDN + CLIENTS), client]:
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    for service in [*services.values(), client]:
        forbidden = {
            "privileged",
            "cap_add",
            "devices",
            "network_mode",
            "pid",
            "ipc",
            "userns_mode",
        }
        assert not forbidden & set(service)


def test_each_client_sees_the_data_of_its_own_site_and_cannot_write_it(
    services: dict[str, Any],
) -> None:
    for number in (1, 2):
        assert services[f"client-{number}"]["volumes"] == [
            {
                "type": "bind",
                "source": f"./data/site-{number}",
                "target": "/data",
                "read_only": True,
                "bind": {"create_host_path": False},
            },
            # Its own, too, and the only thing that stays: what has left the site.
            f"state-{number}:/state",
        ]
        assert services[f"client-{number}"]["tmpfs"] == ["/tmp", "/work:mode=1777"]


def test_a_client_joins_under_the_name_of_its_site(
    services: dict[str, Any], tmp_path: Path
) -> None:
    for number in (1, 2):
        command, settings = started(services[f"client-{number}"], tmp_path, "client.yaml")
        assert command == ["python", "/opt/joining/join.py"]
        name = f"site-{number}"
        assert settings == {
            "api_url": "http://server:8092",
            "name": name,
            "client_id": name,
        }
        assert services[f"client-{number}"]["environment"] == {
            "SITE": name,
            "FEDN_CLIENT_CONFIG": "/tmp/client.yaml",
        }


def test_the_server_finds_its_settings(
    services: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    command, settings = started(services["server"], tmp_path, "fedn.yaml")
    assert command[:4] == ["python", "-m", "fednkit.network.server", "-"]
    # Not `storage_endpoint_url`, as in FEDn's own template: FEDn reads the other one.
    storage = settings["storage"]["storage_config"]
    assert storage["storage_endpoint"] == "http://minio:9000"
    passwords = secrets_of(folder)
    assert storage["storage_secret_key"] == passwords["MINIO_PASSWORD"]
    assert settings["statestore"]["mongo_config"]["password"] == passwords["MONGO_PASSWORD"]


def test_what_a_site_gets_starts_its_image_on_its_data(client: dict[str, Any]) -> None:
    for untold in ("command", "entrypoint", "ports", "build", "networks"):
        # The image knows how to join, and `docker compose run client check` must go through.
        assert untold not in client
    *mounts, state = client["volumes"]
    assert state == {"type": "volume", "source": "state", "target": "/state"}
    pairs = [(mount["source"], mount["target"]) for mount in mounts]
    assert pairs == [("./client.yaml", "/config/client.yaml"), ("./data", "/data")]
    for mount in mounts:
        assert mount["type"] == "bind"
        assert mount["read_only"] is True
        assert mount["bind"] == {"create_host_path": False}
    assert client["image"] == "fraud-detection:1.0"
    assert client["user"] == "10001:10001"
    assert client["tmpfs"] == ["/tmp:mode=1777", "/work:mode=1777"]
    own = ("NOISE", "CLIP", "BUDGET", "DELTA", "SAFE_NOISE")
    unset = [*(f"PRIVACY_{name}" for name in own), "METRICS_MINIMUM"]
    expected = {"FEDN_CLIENT_CONFIG": "/config/client.yaml", **dict.fromkeys(unset, "")}
    assert client["environment"] == expected
    assert client["restart"] == "unless-stopped"
    assert client["healthcheck"]["test"] == ["CMD", "python", "/opt/joining/join.py", "health"]


def test_a_site_can_say_where_its_data_lies_and_who_may_read_it(
    folder: Path, tmp_path: Path
) -> None:
    shutil.copy(folder / "joining" / "compose.yaml", tmp_path)
    refused = resolve(tmp_path)
    assert refused.returncode != 0
    assert "expected IMAGE=name in the file .env" in refused.stderr.splitlines()[-1]

    own = "DATA=/srv/my data\nRUN_AS=1000:1000\nPRIVACY_NOISE=4\nPRIVACY_BUDGET=3\n"
    (tmp_path / ".env").write_text(f"IMAGE=fraud:1\n{own}")
    client = composing.services(tmp_path)["client"]
    assert client["image"] == "fraud:1"
    assert client["volumes"][1]["source"] == "/srv/my data"
    assert client["user"] == "1000:1000"
    assert client["environment"]["PRIVACY_NOISE"] == "4"
    assert client["environment"]["PRIVACY_BUDGET"] == "3"


def test_the_compose_files_hold_no_answer_but_the_projects_folder_name(folder: Path) -> None:
    library = ROOT / "src" / "fednkit"
    text = (library / "controller" / "compose.yaml").read_text("utf-8")
    assert (folder / "compose.yaml").read_text("utf-8") == text.replace(
        "PROJECT-SLUG", "fraud-detection"
    )
    assert "PROJECT-SLUG" not in (library / "joining" / "compose.yaml").read_text("utf-8")
