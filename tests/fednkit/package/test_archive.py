"""The compute package: the same sources give the same bytes, and nothing slips in."""

import gzip
import hashlib
import os
import subprocess
import sys
import tarfile
import zipfile
from importlib.resources import files
from pathlib import Path

import pytest
from library import write_project

from fednkit.package import archive
from fednkit.project.errors import ProjectError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small package to be."""
    client = tmp_path / "client"
    (client / "model").mkdir(parents=True)
    (client / "fedn.yaml").write_text("entry_points: {}\n")
    (client / "train.py").write_text("print('training')\n")
    (client / "model" / "big.py").write_text("#" * 200_000)
    return client


def build(folder: Path) -> bytes:
    return archive.archive_bytes(archive.package_files(folder))


def test_it_can_be_unpacked_and_holds_the_sources_and_the_library(
    folder: Path, tmp_path: Path
) -> None:
    own = ["fedn.yaml", "model/big.py", "train.py"]
    library = [
        name.relative_to(Path(str(files("fednsite"))).parent).as_posix()
        for name in Path(str(files("fednsite"))).rglob("*")
        if name.suffix == ".py" or name.name == "py.typed"
    ]
    assert "fednsite/step.py" in library
    file = tmp_path / "package.tar.gz"
    file.write_bytes(build(folder))
    out = tmp_path / "out"
    with tarfile.open(file) as members:
        members.extractall(out, filter="data")
        assert members.getnames() == sorted([*own, "scaleout.yaml", *library])
    for name in own:
        assert (out / name).read_bytes() == (folder / name).read_bytes()
    for name in library:
        source = Path(str(files("fednsite"))).parent / name
        assert (out / name).read_bytes() == source.read_bytes()


def test_fedns_successor_finds_the_same_entry_points(folder: Path) -> None:
    members = archive.package_files(folder)
    assert members["scaleout.yaml"] == members["fedn.yaml"]
    (folder / "scaleout.yaml").write_text("entry_points: {train: {}}\n")
    own = archive.package_files(folder)
    assert own == members | {"scaleout.yaml": b"entry_points: {train: {}}\n"}


def test_times_modes_and_order_of_writing_change_nothing(folder: Path) -> None:
    before = build(folder)
    os.utime(folder / "train.py", (1, 1))
    (folder / "train.py").chmod(0o700)
    content = (folder / "fedn.yaml").read_bytes()
    (folder / "fedn.yaml").unlink()
    (folder / "fedn.yaml").write_bytes(content)
    assert build(folder) == before


def test_another_python_process_gives_the_same_bytes_straight_from_a_wheel(
    folder: Path, tmp_path: Path
) -> None:
    wheel = tmp_path / "library.whl"
    with zipfile.ZipFile(wheel, "w") as members:
        for package in ("fednkit", "fednsite"):
            source = Path(str(files(package)))
            for file in source.rglob("*"):
                if file.is_file() and "__pycache__" not in file.parts:
                    members.write(file, file.relative_to(source.parent))
    # -S and -I: not even the installed packages, as when the template's hook builds it.
    code = (
        "import sys, os; os.umask(0o077)\n"
        "wheel, folder = sys.argv[1:]\n"
        "sys.path.insert(0, wheel)\n"
        "from pathlib import Path; from fednkit.package import archive\n"
        "content = archive.archive_bytes(archive.package_files(Path(folder)))\n"
        "assert archive.__file__.startswith(wheel)\n"
        "sys.stdout.buffer.write(content)\n"
    )
    command = [sys.executable, "-I", "-S", "-B", "-c", code, str(wheel), str(folder)]
    assert subprocess.run(command, capture_output=True, check=True).stdout == build(folder)


@pytest.mark.parametrize("size", [0, 1, 0xFFFF, 0xFFFF + 1, 200_000])
def test_the_gzip_frame_is_right(size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    assert gzip.decompress(archive.gzip_stored(content[:size])) == content[:size]


def test_what_running_testing_and_editing_leave_behind_stays_out(folder: Path) -> None:
    before = build(folder)
    for name in (
        "__pycache__/train.cpython-311.pyc",
        "model/__pycache__/data.cpython-311.pyc",
        "old.pyc",
        ".mypy_cache/x.json",
        ".worker/1-2",
        ".venv/pyvenv.cfg",
        "venv/x.py",
        ".DS_Store",
        ".scaleoutignore",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"cache")
    assert build(folder) == before


def test_what_fednignore_names_stays_out(folder: Path) -> None:
    before = build(folder)
    (folder / "model" / "skipped.py").write_text("")
    assert build(folder) != before
    (folder / ".fednignore").write_text("# comment\nmodel/skip*\n")
    assert build(folder) == before


def refusal(folder: Path) -> str:
    with pytest.raises(ProjectError) as error:
        archive.package_files(folder, max_size=0.5)
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
        ("fednsite/step.py", b"", "is in the place of the library, which is added here"),
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
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder.parent / "x.tar.gz"
    digest = archive.build(file)
    assert file.read_bytes() == build(folder)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == digest
    assert capsys.readouterr().out.splitlines()[1] == f"SHA-256 {digest}"


def test_an_archive_that_is_missing_or_older_than_its_sources_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_project(folder.parent, slug="x")
    monkeypatch.chdir(root)
    with pytest.raises(ProjectError, match=r"^x\.tar\.gz: expected the package, found none; run:"):
        archive.check_fresh()
    archive.build(root / "x.tar.gz")
    archive.check_fresh()
    (folder / "train.py").write_text("print('training more')\n")
    with pytest.raises(ProjectError, match=r"^x\.tar\.gz is older than its sources; run: make pa"):
        archive.check_fresh()


def test_fedn_would_pack_the_same_members_of_client(folder: Path, tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("fedn")), "package", "create"]
    command += ["--path", str(folder), "--output", str(tmp_path), "--name", "fedn.tgz"]
    subprocess.run(command, capture_output=True, check=True)
    with tarfile.open(tmp_path / "fedn.tgz") as theirs:
        assert list(archive.collect(folder)) == sorted(theirs.getnames())
