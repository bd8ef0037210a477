"""The texts of an invitation: what the project and the site are called goes in as it is."""

import hashlib
from pathlib import Path

import pytest
import yaml
from library import write_project

from fednkit.controller import invite

URL = "https://fedn.example.org"
HOSTILE = "A \"b\" & <i> {{ 7 * 7 }} {% raw %} {# $slug ${slug} $$ 'x'"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with an archive, which is the working folder."""
    root = write_project(tmp_path / "project", name=HOSTILE, author=HOSTILE, description=HOSTILE)
    (root / "fraud-detection.tar.gz").write_bytes(b"an archive")
    (root / "requirements.lock").touch()
    monkeypatch.chdir(root)
    return root


def test_the_page_names_what_it_is_about(root: Path) -> None:
    invite.write(root / "bank", "bank", URL, None, "registry/fraud:1", None)
    page = (root / "bank" / "JOIN.md").read_text("utf-8")
    assert page.startswith(
        f'# Join "{HOSTILE}" as bank\n\n'
        f"{HOSTILE} invites you to train a model together with other sites: {HOSTILE}\n\n"
    )
    for text in (URL, "fraud-detection.tgz", hashlib.sha256(b"an archive").hexdigest()):
        assert f"`{text}`" in page
    assert "The image is called `registry/fraud:1`" in page
    assert "`echo RUN_AS=$(id -u):$(id -g) >> .env`" in page
    assert page.endswith("in the line `token:`.\n")
    assert (root / "bank" / "client.yaml").read_text("utf-8").endswith('\n# token: "..."\n')


def test_a_signature_comes_with_its_key_and_how_to_check_it(root: Path) -> None:
    signed = ("RWQkey+/=", "untrusted comment: x\nsignature\n")
    invite.write(root / "bank", "bank", URL, "a.b.c", "fraud", signed)
    folder = root / "bank"
    assert (folder / "fraud-detection.tgz.minisig").read_text("utf-8") == signed[1]
    settings = yaml.safe_load((folder / "client.yaml").read_text("utf-8"))
    assert [*settings.items()][2:] == [
        ("client_id", settings["client_id"]),
        ("package_checksum", hashlib.sha256(b"an archive").hexdigest()),
        ("token", "a.b.c"),
        ("signing_key", signed[0]),
        ("package_signature", signed[1]),
    ]
    page = (folder / "JOIN.md").read_text("utf-8")
    assert "in the line `token:`.\n\n## The package is signed\n\n" in page
    assert page.endswith("\n```\nminisign -Vm fraud-detection.tgz -P RWQkey+/=\n```\n")


def test_the_code_of_a_site_is_copied_as_it_is(root: Path) -> None:
    invite.write(root / "bank", "bank", URL, None, "fraud", None)
    source = Path(invite.__file__).parents[1] / "joining"
    for name in ("join.py", "compose.yaml"):
        assert (root / "bank" / name).read_bytes() == (source / name).read_bytes()
    copied = {path.name for path in (root / "bank" / "joining").iterdir()}
    assert copied == {path.name for path in source.glob("*.py")} - {"join.py"}
