"""The way to a real federation: a controller elsewhere, invited sites, rounds, a model."""

import http.server
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from elsewhere import MISSING, Elsewhere
from installing import Install, Installed

pytestmark = [pytest.mark.install, pytest.mark.skipif(bool(MISSING), reason=MISSING)]

INVITED = {
    *(".env", "JOIN.md", "client.yaml", "compose.yaml", "data", "fraud-detection.tgz"),
    *("join.py", "joining", "requirements.lock"),
}


@pytest.fixture(scope="module")
def project(installed: Install) -> Installed:
    project = installed("fraud", "numpy")
    project.make("package", "seed")
    project.fednkit("sites", "--sites", "3", "--examples", "12000")
    return project


@pytest.fixture(scope="module")
def controller(project: Installed) -> Iterator[str]:
    """The URL of a controller on another machine, as far as the network goes."""
    with Elsewhere() as there:
        there.serve(project, "--host", there.address, "--no-tokens")
        yield f"http://{there.address}:8092"


@pytest.fixture(scope="module")
def uploaded(project: Installed, controller: str) -> str:
    project.fednkit("upload", "--api-url", controller)
    return controller


class Site:
    """A machine of a data provider: a folder that holds what `invite` wrote, and the data."""

    def __init__(self, project: Installed, url: str, name: str, folder: Path, number: int) -> None:
        project.fednkit("invite", "--site", name, "--api-url", url)
        self.folder = folder / name
        shutil.move(project.folder / "invitations" / name, self.folder)
        self.data = self.folder / "data" / "transactions.csv"
        shutil.copy(project.folder / f"data/site-{number}" / "transactions.csv", self.data)
        self.python = project.python
        self.process: subprocess.Popen[str] | None = None

    def join(self) -> subprocess.CompletedProcess[str]:
        """Join, which is expected to end by itself."""
        return self.run()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command: list[str | Path] = [self.python, "join.py", *arguments]
        return subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, check=False, timeout=60
        )

    def start(self) -> "Site":
        """Join in the background; return when the site waits for work."""
        command: list[str | Path] = [self.python, "join.py"]
        self.process = subprocess.Popen(
            command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self.process.stdout
        read = ""
        for line in self.process.stdout:
            read += line
            if "Listening to task stream" in line:
                # Read on, or the pipe fills up.
                threading.Thread(target=self.process.stdout.read, daemon=True).start()
                return self
        raise AssertionError(f"ended before it had joined: {read}")

    def leave(self) -> int:
        assert self.process
        self.process.terminate()
        return self.process.wait(timeout=30)


@pytest.fixture
def sites(project: Installed, uploaded: str, tmp_path: Path) -> Iterator[list[Site]]:
    """Two sites that have joined; the blank in their folders is there on purpose."""
    place = tmp_path / "at the bank"
    place.mkdir()
    joined: list[Site] = []
    try:
        for number in (1, 2):
            name = f"bank-{number}-{tmp_path.name[-20:]}"
            joined.append(Site(project, uploaded, name, place, number).start())
        # FEDn takes sites for online until some time after they have left.
        while online(uploaded) != {site.folder.name for site in joined}:
            time.sleep(0.2)
        yield joined
    finally:
        assert [site.leave() for site in joined] == [0] * len(joined)


def online(url: str) -> set[str]:
    with urllib.request.urlopen(f"{url}/api/v1/clients/", timeout=10) as answer:  # noqa: S310
        clients = json.load(answer)["result"]
    return {client["name"] for client in clients if client["status"] == "online"}


def test_from_upload_to_a_model_that_is_better_than_the_seed(
    project: Installed, uploaded: str, sites: list[Site], tmp_path: Path
) -> None:
    printed = project.fednkit(
        "session", "start", "--api-url", uploaded, "--rounds", "5", "--sites", "2"
    )
    names = ", ".join(site.folder.name for site in sites)
    assert f"sites online: {names}\n" in printed
    assert "round 5: 2 of 2 sites" in printed
    run = project.run_folder()
    assert [r["updates"] for r in json.loads((run / "metrics.json").read_text())["rounds"]] == (
        [2] * 5
    )
    seed = tmp_path / "seed.npz"
    shutil.copy(project.folder / "seed.npz", seed)
    before, after = (project.validate(file, "site-3") for file in (seed, run / "model.npz"))
    assert after["average_precision"] > 3 * before["average_precision"]

    # What was printed can be had again, and the model too.
    session = re.search(r"session: (\S+),", printed)
    assert session
    again = project.fednkit("session", "watch", "--api-url", uploaded, session[1])
    assert again.splitlines()[:5] == printed.splitlines()[2:7]
    out = tmp_path / "downloaded.npz"
    command = "session", "download", "--api-url", uploaded, "--out", str(out)
    project.fednkit(*command)
    result = project.attempt(*command)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"error: {out} already exists; name another file with --out, or overwrite it with --force\n"
    )
    project.fednkit(*command, "--force")
    assert project.same_arrays(out, run / "model.npz")


def test_what_is_there_already_is_not_uploaded_again(project: Installed, uploaded: str) -> None:
    before = project.fednkit("upload", "--api-url", uploaded).splitlines()
    assert before[:2] == [
        "package: the controller has it already",
        "seed model: the controller has it already",
    ]
    assert project.fednkit("upload", "--api-url", uploaded).splitlines() == before
    digest = project.make("package").split("SHA-256 ")[1].split()[0]
    assert before[2] == f"active package: fraud-detection, SHA-256 {digest}"


def test_a_controller_that_is_ready_is_all_right_to_the_doctor(
    project: Installed, uploaded: str, sites: list[Site]
) -> None:
    printed = project.fednkit("doctor", "--api-url", uploaded)
    assert "ok    combiner: combiner\n" in printed
    assert f"ok    sites: online: {', '.join(site.folder.name for site in sites)}\n" in printed


def test_an_invitation_holds_just_what_a_site_needs(
    project: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANK_TOKEN", "a.b.c")
    options = "--api-url", "https://fedn.example.org/", "--token-env", "BANK_TOKEN"
    printed = project.fednkit("invite", "--site", "bank.of_north-1", *options)
    folder = project.folder / "invitations" / "bank.of_north-1"
    assert printed == (
        "invitation: invitations/bank.of_north-1; it holds a token, so send it as you would a "
        "password\n"
    )
    assert {path.name for path in folder.iterdir()} == INVITED
    settings = yaml.safe_load((folder / "client.yaml").read_text("utf-8"))
    digest = project.make("package").split("SHA-256 ")[1].split()[0]
    assert re.fullmatch(r"[0-9a-f-]{36}", settings.pop("client_id"))
    assert settings == {
        "api_url": "https://fedn.example.org",
        "name": "bank.of_north-1",
        "package_checksum": digest,
        "token": "a.b.c",
    }
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    page = (folder / "JOIN.md").read_text("utf-8")
    assert '# Join "Fraud Detection" as bank.of_north-1\n' in page
    assert digest in page
    assert "RUN_AS=$(id -u):$(id -g)" in page

    local = project.fednkit("invite", "--site", "here", "--api-url", "http://127.0.0.1:8092")
    assert local.splitlines()[1:] == [
        "http://127.0.0.1:8092 can be reached from this machine alone, and not from a container"
    ]

    project.fednkit("invite", "--site", "zipped", "--zip", *options)
    packed = project.folder / "invitations" / "zipped.zip"
    assert stat.S_IMODE(packed.stat().st_mode) == 0o600
    with zipfile.ZipFile(packed) as archive:
        names = {name.split("/")[1] for name in archive.namelist()}
    assert names - {""} == INVITED
    shutil.rmtree(project.folder / "invitations")


def test_a_site_without_docker_sets_itself_up_as_its_page_says(
    project: Installed, uploaded: str, tmp_path: Path
) -> None:
    site = Site(project, uploaded, "by-the-page", tmp_path, 1)
    block = (site.folder / "JOIN.md").read_text("utf-8").split("## Without Docker")[1].split("```")
    commands = [line.split("  #")[0].strip() for line in block[1].strip().splitlines()]
    assert [command.split()[0] for command in commands] == [
        "python3",
        *[".venv/bin/pip", ".venv/bin/python", ".venv/bin/python"],
    ]
    python3 = tmp_path / "bin" / "python3"
    python3.parent.mkdir()
    python3.symlink_to(sys.executable)
    environment = {**os.environ, "PATH": f"{python3.parent}:{os.environ['PATH']}"}
    for command in commands[:3]:
        result = subprocess.run(
            ["bash", "-c", command],
            cwd=site.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"data: ok, [\d,]+ examples to train on and [\d,]+ held out", result.stdout)
    site.python = site.folder / ".venv" / "bin" / "python"
    site.start()
    assert site.run("health").returncode == 0
    assert site.leave() == 0
    assert site.run("health").stderr == "error: FEDn's client does not run\n"


def test_a_python_without_fedn_is_told_so(
    project: Installed, uploaded: str, tmp_path: Path
) -> None:
    site = Site(project, uploaded, "bare", tmp_path, 1)
    for arguments in ([], ["check"], ["health"]):
        command = [sys.executable, "-E", "-s", "-S", "join.py", *arguments]
        result = subprocess.run(
            command, cwd=site.folder, capture_output=True, text=True, check=False
        )
        assert result.returncode == 1
        assert result.stderr.startswith(f"error: FEDn is not installed for {sys.executable}; make")


def test_sites_that_must_not_take_part_are_refused_and_the_others_go_on(
    project: Installed, uploaded: str, sites: list[Site], tmp_path: Path
) -> None:
    corrupted = Site(project, uploaded, "corrupted", tmp_path, 3)
    archive = corrupted.folder / "fraud-detection.tgz"
    archive.write_bytes(archive.read_bytes().replace(b"epochs: int = 3", b"epochs: int = 9"))
    refused = corrupted.join()
    assert refused.returncode == 1
    assert re.fullmatch(
        r"error: \S+fraud-detection.tgz: expected SHA-256 [0-9a-f]{64}, found [0-9a-f]{64}; ask "
        r"the initiator for an image or a package of this invitation\n",
        refused.stderr,
    )

    # The package that the controller hands out is another one than that of the invitation.
    other = Site(project, uploaded, "other-package", tmp_path, 3)
    changed = b"a package that nobody uploaded"
    (other.folder / "fraud-detection.tgz").write_bytes(changed)
    settings = yaml.safe_load((other.folder / "client.yaml").read_text("utf-8"))
    repack(project, other.folder / "fraud-detection.tgz")
    settings["package_checksum"] = sha256(other.folder / "fraud-detection.tgz")
    (other.folder / "client.yaml").write_text(yaml.safe_dump(settings))
    refused = other.join()
    assert refused.returncode == 1
    assert f"error: {uploaded} serves another package than the one that you were invited" in (
        refused.stderr
    )
    assert len(refused.stderr.splitlines()) == 1

    wrong = Site(project, uploaded, "wrong-data", tmp_path, 3)
    rows = wrong.data.read_text("utf-8").splitlines()
    rows[5] = "much" + rows[5][rows[5].index(",") :]
    wrong.data.write_text("\n".join(rows) + "\n")
    refused = wrong.join()
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert re.fullmatch(
        r"error: \S+: column 'amount', row 5: expected a number from 0 to 100000, found 'much'\n",
        refused.stderr,
    )

    printed = project.fednkit("session", "start", "--api-url", uploaded, "--rounds", "2")
    assert "round 2: 2 of 2 sites" in printed


def repack(project: Installed, file: Path) -> None:
    """Write a package that differs from the project's in its settings."""
    code = (
        "import sys; from pathlib import Path; from fednkit.package import archive\n"
        "members = archive.package_files(Path('client'))\n"
        "name = 'model/settings.py'\n"
        "members[name] = members[name].replace(b'epochs: int = 3', b'epochs: int = 4')\n"
        "Path(sys.argv[1]).write_bytes(archive.archive_bytes(members))\n"
    )
    project.run_code(code, file)


def sha256(file: Path) -> str:
    return subprocess.run(
        ["sha256sum", file], capture_output=True, text=True, check=True
    ).stdout.split()[0]


def test_a_site_whose_data_breaks_later_says_why_it_left(
    project: Installed, uploaded: str, tmp_path: Path
) -> None:
    site = Site(project, uploaded, "breaks-later", tmp_path, 3)
    command: list[str | Path] = [site.python, "join.py"]
    process = subprocess.Popen(
        command, cwd=site.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout
    next(line for line in process.stdout if "Listening to task stream" in line)
    site.data.write_text("amount\n1\n")
    options = "--rounds", "1", "--round-timeout", "8"
    start = project.start("session", "start", "--api-url", uploaded, *options)
    _, told = process.communicate(timeout=60)
    start.communicate(timeout=120)
    assert process.returncode == 1
    assert re.fullmatch(r"error: \S+transactions.csv: missing column .*\n", told)


def test_who_stops_watching_does_not_stop_the_session(
    project: Installed, uploaded: str, sites: list[Site]
) -> None:
    process = project.start("session", "start", "--api-url", uploaded, "--rounds", "4")
    assert process.stdout
    next(line for line in process.stdout if line.startswith("round 1:"))
    # One session at a time, as FEDn has it.
    second = project.attempt("session", "start", "--api-url", uploaded)
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in printed
    match = re.search(r"to follow it again: fednkit (session watch .*)\n", printed)
    assert match
    assert "round 4: 2 of 2 sites" in project.fednkit(*match[1].split())
    assert second.returncode == 1
    assert second.stderr == "error: FEDn did not start the session: A session is already running!\n"


@pytest.fixture(scope="module")
def stranger() -> Iterator[str]:
    """A web server that is no FEDn controller."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_what_is_no_controller_gets_one_line(project: Installed, stranger: str) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    for url, expected in (
        (nowhere, f"{nowhere}: no FEDn controller answers there (Connection refused)"),
        (stranger, f"{stranger}: it answers, but not as a FEDn controller does"),
        ("https://no-such-host.invalid", "no FEDn controller answers there ("),
        ("fedn.example.org", "--api-url: expected http:// or https:// and a host"),
        (
            "https://me:" + "secret@fedn.example.org",
            "--api-url: expected http:// or https:// and a",
        ),
    ):
        for command in (["upload"], ["session", "start"]):
            result = project.attempt(*command, "--api-url", url)
            assert result.returncode == 1
            (line,) = result.stderr.splitlines()
            assert expected in line


def test_what_is_not_ready_is_not_handed_out(project: Installed, uploaded: str) -> None:
    def refused(*command: str) -> str:
        result = project.attempt(*command, "--api-url", uploaded)
        assert result.returncode == 1
        (line,) = result.stderr.splitlines()
        return line

    settings = project.folder / "client" / "model" / "settings.py"
    good = settings.read_text("utf-8")
    settings.write_text(good + "# changed\n")
    stale = "error: fraud-detection.tar.gz is older than its sources; run: make package"
    try:
        assert refused("upload") == stale
        assert refused("invite", "--site", "bank") == stale
    finally:
        settings.write_text(good)
    seed = project.folder / "seed.npz"
    kept = seed.read_bytes()
    seed.unlink()
    try:
        assert refused("upload") == (
            "error: seed.npz: expected the seed model, found none; run: make seed"
        )
    finally:
        seed.write_bytes(kept)
    assert refused("invite", "--site", "../bank").startswith("error: --site: expected up to 60 let")
    assert refused("upload", "--token-env", "NO_SUCH") == (
        "error: --token-env: expected a token in the variable 'NO_SUCH', found none"
    )
    assert refused("session", "watch", "no-such") == (
        "error: the controller knows no session 'no-such'"
    )
    assert refused("session", "download", "--model", "no-such") == (
        "error: the controller does not hand out model no-such"
    )
    assert not (project.folder / "model.npz").exists()
    # Those of the tests before may still count as online.
    assert re.fullmatch(
        r"error: --sites: expected at least 9 online, found \d( \(.*\))?; invite more with: "
        "fednkit invite",
        refused("session", "start", "--sites", "9"),
    )


def test_the_doctor_finds_what_is_wrong_at_a_controller(project: Installed) -> None:
    def wrong(url: str) -> dict[str, str]:
        printed = project.attempt("doctor", "--api-url", url).stdout
        found = [line.split(None, 1)[1] for line in printed.splitlines() if line[:5] == "wrong"]
        return dict(line.split(": ", 1) for line in found)

    with Elsewhere() as there:
        server = there.serve(project, "--host", there.address, "--no-tokens")
        url = f"http://{there.address}:8092"
        empty = wrong(url)
        assert sorted(empty) == ["active helper", "active package", "global model"]
        assert empty["active package"] == (
            "the controller has none; run: fednkit upload --api-url URL"
        )
        start = project.attempt("session", "start", "--api-url", url)
        assert start.stderr.startswith("error: the controller has no package; run: fednkit u")

        code = (
            "import sys; from fedn import APIClient\n"
            "api = APIClient(sys.argv[1].removeprefix('http://'))\n"
            "api.set_active_package('fraud-detection.tar.gz', helper=sys.argv[2], name='by-hand')\n"
        )
        project.run_code(code, url, "binaryhelper")
        found = wrong(url)
        assert re.match(
            r"it was uploaded under a name that FEDn stores as '\S+\.gz', which no client can",
            found["active package"],
        )
        assert found["active helper"].startswith("expected numpyhelper, found binaryhelper; run: ")
        start = project.attempt("session", "start", "--api-url", url)
        assert start.stderr.startswith("error: the controller reads models with 'binaryhelper'")

        project.fednkit("upload", "--api-url", url)
        assert wrong(url) == {}
        server.terminate()
        server.communicate(timeout=30)
        gone = wrong(url)
        assert list(gone) == ["controller"]
        assert f"{url}: no FEDn controller answers there" in gone["controller"]
