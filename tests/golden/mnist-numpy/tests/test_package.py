"""The compute package: the same sources give the same bytes, and nothing slips in."""

import gzip
import hashlib
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from federation import package
from federation.project import CLIENT, ProjectError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small package to be."""
    client = tmp_path / "client"
    (client / "model").mkdir(parents=True)
    (client / "fedn.yaml").write_text("entry_points: {}\n")
    (client / "train.py").write_text("print('training')\n")
    (client / "model" / "big.py").write_text("#" * 200_000)
    (client / ".fednignore").write_text("# comment\n.fednignore\n__pycache__\n*.pyc\nmodel/skip*\n")
    return client


def build(folder: Path) -> bytes:
    return package.archive_bytes(package.collect(folder))


def test_it_can_be_unpacked_and_holds_the_sources(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "package.tar.gz"
    file.write_bytes(build(folder))
    with tarfile.open(file) as archive:
        archive.extractall(tmp_path / "out", filter="data")
        assert archive.getnames() == ["fedn.yaml", "model/big.py", "train.py"]
    for name in ("fedn.yaml", "model/big.py", "train.py"):
        assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes()


def test_times_modes_and_order_of_writing_change_nothing(folder: Path) -> None:
    before = build(folder)
    os.utime(folder / "train.py", (1, 1))
    (folder / "train.py").chmod(0o700)
    content = (folder / "fedn.yaml").read_bytes()
    (folder / "fedn.yaml").unlink()
    (folder / "fedn.yaml").write_bytes(content)
    assert build(folder) == before


def test_another_python_process_gives_the_same_bytes(folder: Path) -> None:
    code = (
        "import sys, os; os.umask(0o077)\n"
        "from pathlib import Path; from federation import package\n"
        "content = package.archive_bytes(package.collect(Path(sys.argv[1])))\n"
        "sys.stdout.buffer.write(content)\n"
    )
    # -S and -I: not even the installed packages, as when the template's hook builds it.
    path = f"import sys; sys.path.insert(0, {str(CLIENT.parent)!r})\n"
    command = [sys.executable, "-I", "-S", "-c", path + code, str(folder)]
    assert subprocess.run(command, capture_output=True, check=True).stdout == build(folder)


@pytest.mark.parametrize("size", [0, 1, 0xFFFF, 0xFFFF + 1, 200_000])
def test_the_gzip_frame_is_right(size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    assert gzip.decompress(package.gzip_stored(content[:size])) == content[:size]


def test_caches_and_what_fednignore_names_stay_out(folder: Path) -> None:
    before = build(folder)
    (folder / "model" / "__pycache__").mkdir()
    (folder / "model" / "__pycache__" / "x.cpython-311.pyc").write_bytes(b"cache")
    (folder / "model" / "skipped.py").write_text("")
    assert build(folder) == before


def refusal(folder: Path) -> str:
    with pytest.raises(ProjectError) as error:
        package.collect(folder, max_size=0.5)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("patients.csv", b"a,b", "is a data or model file"),
        ("model/old.npz", b"", "is a data or model file"),
        ("notes.txt", b"x" * 600_000, "is larger than 0.5 MB"),
        (".env", b"A=1", "looks like a secret by its name"),
        ("server.pem", b"", "looks like a secret by its name"),
        ("key.txt", b"-----BEGIN RSA PRIVATE " + b"KEY-----", "looks like a private key"),
        ("aws.py", b"KEY = 'AKIA" + b"A" * 16 + b"'", "looks like an AWS access key"),
        (
            "t.yaml",
            b"token: eyJhbGciOiJI.eyJzdWIiOiIx" + b".abcdefghij",
            "looks like a JSON web token",
        ),
        ("env/pyvenv.cfg", b"home = /usr/bin", "belongs to a virtual environment"),
    ],
)
def test_what_must_not_be_shipped_is_refused_by_name(
    folder: Path, name: str, content: bytes, reason: str
) -> None:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    message = refusal(folder)
    assert name in message
    assert reason in message


def test_symbolic_links_are_refused_by_name(folder: Path) -> None:
    (folder / "link.py").symlink_to(folder / "train.py")
    (folder / "linked").symlink_to(folder.parent, target_is_directory=True)
    message = refusal(folder)
    assert "link.py is a symbolic link" in message
    assert "linked is a symbolic link" in message


def test_a_folder_without_fedn_yaml_is_refused(tmp_path: Path) -> None:
    assert "expected a fedn.yaml in it, found none" in refusal(tmp_path)


def test_the_command_prints_the_checksum_that_sha256sum_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "x.tar.gz"
    monkeypatch.setattr(package, "ARCHIVE", archive)
    package.build()
    assert hashlib.sha256(archive.read_bytes()).hexdigest() in capsys.readouterr().out


def test_fedn_would_pack_the_same_members(archive: Path, tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("fedn")), "package", "create"]
    command += ["--path", str(CLIENT), "--output", str(tmp_path), "--name", "fedn.tgz"]
    subprocess.run(command, capture_output=True, check=True)
    with tarfile.open(archive) as ours, tarfile.open(tmp_path / "fedn.tgz") as theirs:
        assert ours.getnames() == sorted(theirs.getnames())


def test_fedns_successor_is_told_to_leave_out_the_same() -> None:
    ours, successors = (
        [line for line in file.read_text("utf-8").splitlines() if not line.startswith("#")]
        for file in (CLIENT / ".fednignore", CLIENT / ".scaleoutignore")
    )
    assert successors == ours
