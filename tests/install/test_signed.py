"""Signed packages: what a site refuses, in one line, before it unpacks anything.

A site that runs Python alone has the archive beside join.py and client.yaml. In the image, join.py
lies beside the archive of the image, the settings in another folder, and the state in a third.
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from installing import CAPTURED, Install, Installed, check

from fednkit import __version__

pytestmark = pytest.mark.install


@pytest.fixture(scope="module")
def project(installed: Install, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """A project with a key, whose secret half lies in a home of its own."""
    project = installed("fraud", "numpy")
    project.fednkit("sites", "--sites", "1", "--examples", "4000")
    before = os.environ.get("XDG_CONFIG_HOME")
    os.environ["XDG_CONFIG_HOME"] = str(tmp_path_factory.mktemp("initiator"))
    project.fednkit("key")
    project.fednkit("package")
    yield project
    if before is None:
        del os.environ["XDG_CONFIG_HOME"]
    else:
        os.environ["XDG_CONFIG_HOME"] = before


class Site:
    """A machine of a data provider, on which all of its temporary files can be seen."""

    def __init__(self, project: Installed, folder: Path, in_image: bool) -> None:
        shutil.rmtree(project.folder / "invitations", ignore_errors=True)
        project.fednkit("invite", "--site", "bank", "--api-url", "http://127.0.0.1:9")
        self.python, self.folder = project.python, folder
        invited = project.folder / "invitations" / "bank"
        self.settings = folder / "config" / "client.yaml"
        self.program = folder / "opt" / "joining"
        for name in ("config", "opt/joining", "state", "tmp"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.archive = self.program / "fraud-detection.tgz"
        if in_image:
            # As the Dockerfile has it: from the project and its wheel, not from the invitation.
            shutil.copy(project.folder / "fraud-detection.tar.gz", self.archive)
            unpack_joining(project, self.program)
        else:
            self.settings = self.program / "client.yaml"
            shutil.copy(invited / "fraud-detection.tgz", self.archive)
            shutil.copy(invited / "join.py", self.program)
            shutil.copytree(invited / "joining", self.program / "joining", dirs_exist_ok=True)
        shutil.copy(invited / "client.yaml", self.settings)
        self.state = folder / "state" / "fraud-detection.bank.json"
        self.environment = {
            **os.environ,
            "SITE_STATE": str(folder / "state"),
            "FEDN_CLIENT_CONFIG": str(self.settings),
            "FEDN_DATA_PATH": str(project.folder / "data" / "site-1"),
            "TMPDIR": str(folder / "tmp"),
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command: list[str | Path] = [self.python, "-B", self.program / "join.py", *arguments]
        return subprocess.run(command, env=self.environment, timeout=60, **CAPTURED)

    def change(self, **settings: str | None) -> None:
        said = yaml.safe_load(self.settings.read_text("utf-8")) | settings
        said = {name: value for name, value in said.items() if value is not None}
        self.settings.write_text(yaml.safe_dump(said))

    def refusal(self) -> str:
        """Return the one line with which the site refuses both to join and to run any code."""
        lines = set()
        for arguments in ([], ["check"]):
            result = self.run(*arguments)
            assert result.returncode == 1
            assert result.stdout == ""
            (line,) = result.stderr.splitlines()
            lines.add(line)
        (line,) = lines
        assert line.startswith(f"error: {self.archive}: expected ") or "the signature" in line
        return line.removeprefix(f"error: {self.archive}: ")


def unpack_joining(project: Installed, folder: Path) -> None:
    """Put join.py and its package, of the wheel in vendor/, into a folder."""
    (wheel,) = (project.folder / "vendor").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            path = Path(name)
            if path.parent == Path("fednkit/joining") and path.suffix == ".py":
                target = folder if path.name == "join.py" else folder / "joining"
                target.mkdir(exist_ok=True)
                (target / path.name).write_bytes(archive.read(name))


@pytest.fixture(params=["python alone", "image"])
def site(
    request: pytest.FixtureRequest, project: Installed, tmp_path: Path
) -> Iterator[Callable[[], Site]]:
    """Return what invites a site anew; the machine and its state stay the same."""
    yield lambda: Site(project, tmp_path, request.param == "image")


@pytest.fixture
def invited(site: Callable[[], Site]) -> Site:
    return site()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_what_the_initiator_signed_runs_and_its_version_is_kept_when_it_joins(
    invited: Site,
) -> None:
    result = invited.run("check")
    assert (result.returncode, result.stderr) == (0, "")
    assert ": ok, " in result.stdout
    assert not invited.state.exists()
    # No controller is there, but to that the site comes only after all else.
    joined = invited.run()
    assert joined.stderr == (
        "error: no FEDn controller answers at http://127.0.0.1:9; check api_url in client.yaml "
        "and this machine's firewall\n"
    )
    settings = yaml.safe_load(invited.settings.read_text("utf-8"))
    kept = json.loads(invited.state.read_text("utf-8"))
    assert kept["key"] == settings["signing_key"]
    assert f"version={kept['version']} " in settings["package_signature"]
    # Nothing that was unpacked stays.
    assert list((invited.folder / "tmp").glob("package-*")) == []


def test_a_tampered_archive_is_refused(invited: Site) -> None:
    content = invited.archive.read_bytes()
    tampered = content.replace(b"epochs: int = 3", b"epochs: int = 9")
    assert tampered != content
    invited.archive.write_bytes(tampered)
    assert invited.refusal() == (
        f"expected SHA-256 {sha256(content)}, found {sha256(tampered)}; ask the initiator for an "
        "image or a package of this invitation"
    )
    # Whoever can change the checksum, too, is stopped by the signature.
    invited.change(package_checksum=sha256(tampered))
    assert "the signature does not match this content or the key" in invited.refusal()


def sign(project: Installed, content: bytes, trusted: str | None = None, key: str = "own") -> str:
    """Return a signature of a content by the project's key, or by one that nobody knows."""
    code = (
        "import sys, base64; from hashlib import blake2b\n"
        "from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey as Key\n"
        "from fednkit.package import signing\n"
        "from fednkit.joining import signature\n"
        "public = open('signing.pub').read()\n"
        "number, _ = signature.public_key(public)\n"
        "raw = signature.decode(signing.secret_file(signature.name_of(number)).read_text()"
        ".splitlines()[1])\n"
        "own = Key.from_private_bytes(raw[62:94])\n"
        "key = own if sys.argv[1] == 'own' else Key.generate()\n"
        "content = sys.stdin.buffer.read()\n"
        "trusted = sys.argv[2] or signing.comment(content, '')\n"
        "first = key.sign(blake2b(content).digest())\n"
        "print('untrusted comment: x')\n"
        "print(signing.encoded(b'ED' + number + first))\n"
        "print('trusted comment: ' + trusted)\n"
        "print(signing.encoded(key.sign(first + trusted.encode())))\n"
    )
    command = [str(project.python), "-c", code, key, trusted or ""]
    result = subprocess.run(
        command, cwd=project.folder, input=content, capture_output=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.decode()


def test_a_signature_of_somebody_else_is_refused(project: Installed, invited: Site) -> None:
    content = invited.archive.read_bytes()
    forged = sign(project, content, key="another")
    invited.change(package_signature=forged)
    assert "the signature does not match this content or the key" in invited.refusal()

    # With the number of another key, as minisign would make it.
    lines = forged.splitlines()
    raw = base64.b64decode(lines[1])
    lines[1] = base64.b64encode(raw[:2] + b"12345678" + raw[10:]).decode()
    invited.change(package_signature="\n".join(lines) + "\n")
    assert ", found that of 3837363534333231; nothing of it was unpacked" in invited.refusal()


def test_a_comment_that_was_changed_is_refused(invited: Site) -> None:
    signature = yaml.safe_load(invited.settings.read_text("utf-8"))["package_signature"]
    later = signature.replace(" version=2", " version=3")
    assert later != signature
    invited.change(package_signature=later)
    assert "the signature does not match this content or the key" in invited.refusal()


@pytest.mark.parametrize(
    ("trusted", "expected"),
    [
        ("slug=other version=20990101T000000Z sha256={sum}", "expected a package of fraud-detec"),
        ("slug=fraud-detection version=2 sha256={sum}", "expected a version such as 20261124T2"),
        ("slug=fraud-detection version=20990101T000000Z sha256=0", "expected the comment to name"),
    ],
)
def test_a_package_that_was_signed_for_something_else_is_refused(
    project: Installed, invited: Site, trusted: str, expected: str
) -> None:
    content = invited.archive.read_bytes()
    trusted = trusted.format(sum=sha256(content))
    invited.change(package_signature=sign(project, content, trusted))
    assert invited.refusal().startswith(expected)


@pytest.mark.parametrize("garbage", ["", "RWQ", "x\ny\nz\n", "\n" * 20_000, "é\n" * 4])
def test_what_is_no_signature_is_refused(invited: Site, garbage: str) -> None:
    invited.change(package_signature=garbage)
    assert invited.refusal().startswith("expected ")


def test_without_its_signature_a_package_is_refused(invited: Site) -> None:
    invited.change(package_signature=None)
    assert invited.refusal().startswith("expected signing_key and package_signature in client.yaml")


def test_a_downgraded_version_is_refused(
    project: Installed, site: Callable[[], Site], tmp_path: Path
) -> None:
    older = site()
    shutil.copytree(older.program, tmp_path / "older")
    shutil.copy(older.settings, tmp_path / "older.yaml")
    old = json.loads(run_and_recall(older))["version"]
    # The initiator changes the package, and invites again.
    settings = project.folder / "client" / "model" / "settings.py"
    good = settings.read_text("utf-8")
    settings.write_text(good + f"# {tmp_path.name}\n")
    try:
        project.fednkit("package")
        newer = site()
        new = json.loads(run_and_recall(newer))["version"]
    finally:
        settings.write_text(good)
    assert new > old
    # Somebody puts the old package back, with the settings that were good for it.
    shutil.copytree(tmp_path / "older", newer.program, dirs_exist_ok=True)
    shutil.copy(tmp_path / "older.yaml", newer.settings)
    assert newer.refusal() == (
        f"expected version {new}, which ran here, or a later one, found {old}; ask the initiator "
        "for the newest invitation; nothing of it was unpacked"
    )
    # Nor does it help to say that nothing is signed.
    newer.change(signing_key=None, package_signature=None)
    assert newer.refusal().startswith("expected signing_key and package_signature in client.yaml")
    # And a state that cannot be read is no state in which everything runs.
    newer.state.write_text("{}")
    assert newer.refusal().startswith(f"expected the last version in {newer.state}, found")
    project.fednkit("package")


def run_and_recall(site: Site) -> str:
    assert "no FEDn controller answers" in site.run().stderr
    return site.state.read_text("utf-8")


def test_another_key_than_the_one_that_was_good_before_is_refused(
    project: Installed, site: Callable[[], Site], tmp_path: Path
) -> None:
    first = site()
    run_and_recall(first)
    public = project.folder / "signing.pub"
    signature = project.folder / "fraud-detection.tar.gz.minisig"
    kept = public.read_bytes(), signature.read_bytes()
    public.unlink()
    try:
        project.fednkit("key")
        project.fednkit("package")
        second = site()
    finally:
        public.write_bytes(kept[0])
        signature.write_bytes(kept[1])
    assert "which signed the last package here, found RW" in second.refusal()
    second.state.unlink()
    run_and_recall(second)


def test_where_nothing_can_be_kept_the_site_is_told_and_goes_on(invited: Site) -> None:
    (invited.folder / "file").write_text("")
    invited.environment["SITE_STATE"] = str(invited.folder / "file")
    told = invited.run().stderr.splitlines()
    assert [line.split(":")[0] for line in told] == ["warning", "error"]
    assert "a package older than this one will not be rejected" in told[0]


def test_the_refusal_comes_before_anything_can_be_unpacked(invited: Site) -> None:
    # Without this module, nothing that is signed well would come to run either.
    trap = invited.program / "gzip.py"
    trap.write_text("def open(*_):\n    raise SystemExit('unpacked')\n")
    assert invited.run("check").stderr == "unpacked\n"
    invited.change(package_signature="x")
    assert invited.run("check").stderr.startswith("error: ")


MINISIGN = shutil.which("minisign") or ""


@pytest.mark.skipif(not MINISIGN, reason="the command minisign is missing (Debian: minisign)")
def test_the_minisign_tool_checks_and_makes_the_same(project: Installed, tmp_path: Path) -> None:
    archive = project.folder / "fraud-detection.tar.gz"
    public = project.folder / "signing.pub"
    verify: list[str | Path] = [MINISIGN, "-Vm", archive]
    said = check(subprocess.run([*verify, "-p", public], **CAPTURED))
    assert "Trusted comment: slug=fraud-detection version=2" in said
    key = public.read_text("utf-8").splitlines()[1]
    check(subprocess.run([*verify, "-P", key], **CAPTURED))
    tampered = tmp_path / archive.name
    tampered.write_bytes(archive.read_bytes() + b"\0")
    shutil.copy(f"{archive}.minisig", tmp_path)
    assert subprocess.run([MINISIGN, "-Vm", tampered, "-P", key], **CAPTURED).returncode == 1

    # Signed by hand, as one with a password on the key has to.
    (secret,) = Path(os.environ["XDG_CONFIG_HOME"]).rglob(f"{number(key)}.key")
    assert secret.stat().st_mode & 0o777 == 0o600
    comment = f"slug=fraud-detection version=20990101T000000Z sha256={sha256(archive.read_bytes())}"
    signature = Path(f"{archive}.minisig")
    before = signature.read_bytes()
    check(subprocess.run([MINISIGN, "-Sm", archive, "-s", secret, "-t", comment], **CAPTURED))
    try:
        printed = project.fednkit("package")
        assert printed.splitlines()[-1].endswith(".minisig, version 20990101T000000Z")
        assert Site(project, tmp_path / "site", False).run("check").returncode == 0
        # What follows it is later, though the clock says otherwise.
        archive.write_bytes(b"other")
        code = "from fednkit.package import signing; print(signing.sign_archive().read_text())"
        signed = project.run_code(code)
        assert "version=20990101T000001Z" in signed
    finally:
        signature.write_bytes(before)
        project.fednkit("package")


def number(key: str) -> str:
    return base64.b64decode(key)[2:10][::-1].hex().upper()


def test_who_has_no_secret_key_signs_nothing_and_invites_nobody(
    project: Installed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    again = project.attempt("key")
    assert again.returncode == 1
    assert again.stderr.startswith("error: signing.pub already exists, and sites accept only ")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    # What is signed already stays so.
    assert "signed: " in project.fednkit("package")
    settings = project.folder / "client" / "model" / "settings.py"
    good = settings.read_text("utf-8")
    settings.write_text(good + "# changed\n")
    try:
        assert "not signed: the secret key is not in " in project.fednkit("package")
        assert not (project.folder / "fraud-detection.tar.gz.minisig").exists()
        refused = project.attempt("invite", "--site", "x", "--api-url", "http://127.0.0.1:9")
        assert refused.stderr == (
            "error: fraud-detection.tar.gz is not signed, as signing.pub requires; run: make "
            "package, on the machine with the secret key\n"
        )
    finally:
        settings.write_text(good)
        monkeypatch.undo()
        project.fednkit("package")


def test_the_secret_key_does_not_go_into_the_project(project: Installed, tmp_path: Path) -> None:
    public = project.folder / "signing.pub"
    kept = public.read_bytes()
    public.unlink()
    try:
        refused = project.attempt("key", "--out", "secret.key")
        assert refused.returncode == 1
        assert "expected a file outside the project, which you share" in refused.stderr
        assert not public.exists()
        assert not (project.folder / "secret.key").exists()
    finally:
        public.write_bytes(kept)
    (project.folder / "client" / "k").write_bytes(
        next(Path(os.environ["XDG_CONFIG_HOME"]).rglob("*.key")).read_bytes()
    )
    try:
        refused = project.attempt("package")
    finally:
        (project.folder / "client" / "k").unlink()
        project.fednkit("package")
    assert "client/k holds what looks like a private key" in refused.stderr


def test_the_archive_of_a_project_with_a_key_is_the_same_and_reproduces(
    project: Installed,
) -> None:
    printed = project.make("reproduce")
    sums = {line.split()[0] for line in printed.splitlines() if len(line.split()[0]) == 64}
    assert sums == {sha256((project.folder / "fraud-detection.tar.gz").read_bytes())}
    assert sys.executable in printed


PLANTED = b"0123456789-this-must-not-leave-the-initiator"


def test_no_secret_is_in_any_file_that_leaves_the_initiator(
    project: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive, an invitation and what an image is built from; a token in one place alone."""
    secret = next(Path(os.environ["XDG_CONFIG_HOME"]).rglob("*.key")).read_text("utf-8")
    raw = base64.b64decode(secret.splitlines()[1])
    private = [PLANTED, secret.splitlines()[1].encode(), raw, raw[62:94]]
    planted = [".env", "server.key", "vendor/server.key", "client.yaml", "data/site-1/x"]
    for name in planted:
        (project.folder / name).write_bytes(PLANTED)
    monkeypatch.setenv("BANK_TOKEN", PLANTED.decode())
    monkeypatch.setenv("FEDN_JWT_SECRET_KEY", PLANTED.decode())
    shutil.rmtree(project.folder / "invitations", ignore_errors=True)
    try:
        project.fednkit("package")
        address = "--api-url", "http://127.0.0.1:9"
        project.fednkit("invite", "--site", "without", *address)
        project.fednkit("invite", "--site", "with", *address, "--token-env", "BANK_TOKEN")
        project.fednkit("sbom")
    finally:
        for name in planted:
            (project.folder / name).unlink()
    invitations = project.folder / "invitations"
    # What .dockerignore lets in, and nothing besides: a test of the fast ones holds it to that.
    allowed = (project.folder / ".dockerignore").read_text("utf-8").splitlines()
    leaving = [
        file
        for line in allowed
        if line.startswith("!")
        for file in project.folder.glob(line[1:].lstrip("/"))
    ]
    assert {file.name for file in leaving} == {
        *("requirements.lock", "requirements.txt", "fraud-detection.tar.gz"),
        f"fednkit-{__version__}-py3-none-any.whl",
    }
    leaving += [path for path in invitations.rglob("*") if path.is_file()]
    leaving += [project.folder / name for name in ("signing.pub", "fraud-detection.cdx.json")]
    holding = [path for path in leaving if any(part in path.read_bytes() for part in private)]
    assert holding == [invitations / "with" / "client.yaml"]
    assert (invitations / "with").stat().st_mode & 0o777 == 0o700
