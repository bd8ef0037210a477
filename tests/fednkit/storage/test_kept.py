"""The folder that a server keeps its sessions and models in, without a server."""

import io
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mongomock
import numpy as np
import pytest
from fedn.network.storage.dbconnection import DatabaseConnection
from fedn.network.storage.s3.repository import Repository
from fedn.network.storage.statestore.stores.dto.model import ModelDTO
from fedn.network.storage.statestore.stores.dto.run import RunDTO
from fedn.network.storage.statestore.stores.dto.session import SessionDTO
from fedn.network.storage.statestore.stores.dto.status import StatusDTO
from stand_ins import ObjectStore

from fednkit.cli.main import main
from fednkit.project.errors import ProjectError
from fednkit.storage import _documents as documents
from fednkit.storage._database import Database
from fednkit.storage._documents import Documents
from fednkit.storage.check import check, usable
from fednkit.storage.interrupted import find_interrupted
from fednkit.storage.store import DATABASE, FILES, connected, open_store

# Each in a process of its own: a store is its server's alone.
WRITER = """
import sys
from pathlib import Path
from fednkit.storage._database import Database
from fednkit.storage._documents import Documents
from fednkit.storage._documents import Documents
from fednkit.storage._files import Files
folder = Path(sys.argv[1])
database = Database(folder / "store.sqlite3")
files, rounds = Files(folder / "files", database), Documents(database)["control.rounds"]
number = rounds.count_documents({})
while True:
    number += 1
    files.set_artifact("newest", b"%d" % number * 10_000, "models")
    rounds.insert_one({"round_id": number, "status": "Pending"})
    rounds.update_one({"round_id": number}, {"$set": {"status": "Finished"}})
    print(number, flush=True)
"""
SESSION = {
    "aggregator": "fedavg",
    "round_timeout": 10,
    "buffer_size": -1,
    "model_id": "x",
    "delete_models_storage": True,
    "clients_required": 1,
    "validate": True,
    "helper_type": "numpyhelper",
}

SETTINGS = """
network_id: network
statestore: {type: MongoDB, mongo_config: {}}
storage: {storage_type: BOTO3, storage_config: {storage_bucket: other}}
"""

Open = Callable[[], tuple[Repository, DatabaseConnection]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def opened(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    """A way to open the store, as often as one likes: each time as by a new server."""
    databases: list[Database] = []

    class Closed(Database):
        def __init__(self, path: Path | str) -> None:
            for before in databases:
                before.close()
            databases[:] = [self]
            super().__init__(path)

    monkeypatch.setattr("fednkit.storage.store.Database", Closed)
    numbers = iter(range(100))

    def open_it() -> tuple[Repository, DatabaseConnection]:
        packages = tmp_path / f"packages-{next(numbers)}"
        packages.mkdir()
        return open_store(folder, packages, tmp_path / "unused", "network")

    return open_it


def closed(opened: Open, folder: Path) -> Path:
    """Return the folder after the server that used it has gone; the next one is there."""
    opened()
    return folder


def model_bytes(value: float) -> bytes:
    file = io.BytesIO()
    np.savez(file, np.full(3, value, np.float32))
    return file.getvalue()


def add_model(repository: Repository, state: DatabaseConnection, value: float = 0) -> str:
    model = ModelDTO(name="one")
    model.model_id = repository.set_model(model_bytes(value), is_file=False)
    state.model_store.add(model)
    return str(model.model_id)


def add_session(state: DatabaseConnection) -> str:
    session = SessionDTO()
    session.session_config.patch_with(SESSION)
    return str(state.session_store.add(session).session_id)


def test_what_was_kept_is_there_again(opened: Open) -> None:
    repository, state = opened()
    model, session = add_model(repository, state), add_session(state)
    entry = state.session_store.get(session)
    entry.status = "Started"
    state.session_store.update(entry)
    gone = add_session(state)
    state.session_store.delete(gone)

    repository, state = opened()
    assert repository.get_model(model) == model_bytes(0)
    assert [found.model_id for found in state.model_store.list(0, 0, None)] == [model]
    found = state.session_store.get(session)
    assert (found.status, found.session_config.to_dict()) == (
        "Started",
        entry.session_config.to_dict(),
    )
    assert isinstance(found.committed_at, datetime)
    assert state.session_store.get(gone) is None


@pytest.mark.parametrize("completed", [False, True])
def test_a_session_is_resumed_though_its_run_was_completed_for_one_that_never_began(
    opened: Open, completed: bool
) -> None:
    _, state = opened()
    session = state.session_store.get(add_session(state))
    session.status = "Started"
    state.session_store.update(session)
    for rounds in (9, 3):
        run = RunDTO()
        run.session_id, run.model_id, run.round_timeout = session.session_id, "x", 10
        run.rounds = rounds
        if completed or rounds == 9:
            run.completed_at = datetime.now()
        state.run_store.add(run)
    control: Any = SimpleNamespace(db=state)
    found = find_interrupted(control)
    assert [(one.run.session_id, one.rounds) for one in found] == [(session.session_id, 3)]
    session.status = "Finished"
    state.session_store.update(session)
    assert find_interrupted(control) == []


def test_the_package_is_where_fedn_looks_for_it(opened: Open, folder: Path, tmp_path: Path) -> None:
    repository, _ = opened()
    repository.set_compute_package("one.tgz", b"a package", is_file=False)
    opened()
    assert (tmp_path / "packages-1" / "one.tgz").read_bytes() == b"a package"


def test_a_content_goes_when_its_last_name_does(opened: Open, folder: Path) -> None:
    repository, state = opened()
    twins = [add_model(repository, state) for _ in range(2)]
    assert len(list((folder / FILES).iterdir())) == 1
    repository.delete_model(twins[0])
    assert repository.get_model(twins[1]) == model_bytes(0)
    repository.delete_model(twins[1])
    assert list((folder / FILES).iterdir()) == []
    # What a crash left without a name goes at the next start.
    (folder / FILES / "ab").write_bytes(b"")
    (folder / FILES / "tmp").mkdir()
    opened()
    assert list((folder / FILES).iterdir()) == []


def test_of_a_sites_messages_the_newest_are_kept(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "MAX_MESSAGE_BYTES", 5000)
    _, state = opened()

    def send(site: str, text: str) -> None:
        status = StatusDTO()
        status.data = text
        status.sender.patch_with({"name": site, "client_id": site, "role": "client"})
        state.status_store.add(status)

    send("quiet", "0")
    for number in range(50):
        send("loud", f"{number:1000}")
    for _ in range(2):
        kept = [int(found.data) for found in state.status_store.list(0, 0, None)]
        assert 0 in kept
        assert {47, 48, 49} < set(kept)
        assert len(kept) < 6
        _, state = opened()


def test_what_is_not_kept_cannot_be_called(opened: Open) -> None:
    _, state = opened()
    with pytest.raises(AttributeError, match="replace_one is not kept on disk"):
        state.mdb["control.rounds"].replace_one({}, {})


def test_what_does_not_fit_on_the_disk_is_neither_there_now_nor_later(folder: Path) -> None:
    folder.mkdir()
    database = Database(folder / DATABASE)
    rounds: Any = Documents(database)["control.rounds"]
    rounds.insert_one({"round_id": "0"})
    pages = database._connection.execute("PRAGMA max_page_count = 1").fetchone()[0]
    with pytest.raises(sqlite3.OperationalError, match="full"):
        rounds.insert_one({"round_id": "1", "data": "x" * 100_000})
    with pytest.raises(sqlite3.OperationalError, match="full"):
        rounds.update_one({"round_id": "0"}, {"$set": {"data": "x" * 100_000}})
    assert [sorted(entry) for entry in rounds.find()] == [["_id", "round_id"]]
    database._connection.execute(f"PRAGMA max_page_count = {pages + 100}")
    rounds.insert_one({"round_id": "2", "data": "x" * 100_000})
    database.close()
    kept = Database(folder / DATABASE)
    assert [entry["round_id"] for entry in kept.documents("control.rounds")] == ["0", "2"]
    kept.close()


def test_writers_that_are_killed_leave_all_that_they_said(folder: Path) -> None:
    folder.mkdir()
    moments, told = random.Random(0), set[int]()
    for _ in range(10):
        command = [sys.executable, "-c", WRITER, str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout
            told.add(int(writer.stdout.readline()))
            time.sleep(moments.uniform(0, 0.2))
            writer.send_signal(signal.SIGKILL)
            told.update(map(int, writer.stdout.read().split()))
        check(folder)
    database = Database(folder / DATABASE)
    rounds = list(database.documents("control.rounds"))
    database.close()
    assert [entry["round_id"] for entry in rounds] == list(range(1, len(rounds) + 1))
    assert told <= {entry["round_id"] for entry in rounds if entry["status"] == "Finished"}
    assert len(told) > 10


def test_one_server_uses_a_store(opened: Open, folder: Path) -> None:
    opened()
    with pytest.raises(ProjectError, match=f"{DATABASE}: another server uses it"):
        usable(folder)


def test_a_copy_is_whole(opened: Open, folder: Path, tmp_path: Path) -> None:
    repository, state = opened()
    add_model(repository, state)
    add_session(state)
    opened()[1].mdb  # noqa: B018, the first is closed now
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert check(copy).endswith("copy: whole; 1 models, 1 sessions, 0 rounds, 1 files")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def execute(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder, file: flip(file), "was changed: its SHA-256 is"),
        (lambda folder, file: file.unlink(), "is missing"),
        (lambda folder, file: execute(folder / DATABASE, "DELETE FROM files"), "has no file"),
        (lambda folder, file: (folder / DATABASE).write_bytes(b"x" * 5000), "expected a store: "),
        (lambda folder, file: (folder / DATABASE).unlink(), "expected a store with"),
    ],
)
def test_damage_is_found(
    opened: Open, folder: Path, tmp_path: Path, damage: Callable[[Path, Path], Any], said: str
) -> None:
    repository, state = opened()
    add_model(repository, state)
    opened()
    copy = shutil.copytree(folder, tmp_path / "copy")
    Database(copy / DATABASE).close()
    (file,) = (copy / FILES).iterdir()
    damage(copy, file)
    with pytest.raises(ProjectError, match=said):
        check(copy)


def test_a_model_that_does_not_load_is_found(opened: Open, folder: Path, tmp_path: Path) -> None:
    repository, state = opened()
    model = ModelDTO(name="one")
    model.model_id = repository.set_model(b"no arrays", is_file=False)
    state.model_store.add(model)
    opened()
    copy = shutil.copytree(folder, tmp_path / "copy")
    with pytest.raises(ProjectError, match="does not load"):
        check(copy)


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda folder: (folder / "letters.txt").write_text(""), "found other files in"),
        (
            lambda folder: execute(folder / DATABASE, "CREATE TABLE a (b)"),
            "expected a store, found another SQLite file",
        ),
    ],
)
def test_another_folder_is_not_taken_for_a_store(
    folder: Path, prepare: Callable[[Path], Any], said: str
) -> None:
    folder.mkdir()
    prepare(folder)
    with pytest.raises(ProjectError, match=said):
        usable(folder)


def test_a_later_version_is_refused(folder: Path) -> None:
    usable(folder)
    execute(folder / DATABASE, "PRAGMA user_version = 2")
    with pytest.raises(ProjectError, match="expected version 1 of the store, found 2"):
        usable(folder)


def test_what_was_kept_moves_to_other_stores(
    opened: Open,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    repository, state = opened()
    model, session = add_model(repository, state), add_session(state)
    folder = shutil.copytree(closed(opened, folder), tmp_path / "copy")
    mongo: Any = mongomock.MongoClient()
    objects = ObjectStore()
    monkeypatch.setattr("pymongo.MongoClient", lambda **_: mongo)
    monkeypatch.setattr("boto3.client", lambda *_, **__: objects)
    settings = tmp_path / "fedn.yaml"
    settings.write_text(SETTINGS)
    # It can be repeated.
    for _ in range(2):
        main(["move", str(folder), str(settings)])
    assert "copied 2 documents and 1 files" in capsys.readouterr().out
    moved, there = connected(settings)
    assert moved.get_model(model) == model_bytes(0)
    assert moved.model_bucket == "other"
    assert there.model_store.get(model).name == "one"
    assert there.session_store.get(session).session_config.to_dict()["round_timeout"] == 10
    add_session(there)
    with pytest.raises(SystemExit, match="found 1 entries of another server in"):
        main(["move", str(folder), str(settings)])


def test_stores_that_are_not_named_or_do_not_answer_are_told_in_one_line(
    opened: Open, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(closed(opened, folder), tmp_path / "copy")
    settings = tmp_path / "fedn.yaml"
    with pytest.raises(SystemExit, match=r"fedn\.yaml: No such file"):
        main(["move", str(folder), str(settings)])
    settings.write_text("network_id: n\n")
    with pytest.raises(SystemExit, match="expected FEDn's settings, with network_id, statestore"):
        main(["move", str(folder), str(settings)])
    closed_port = "host: 127.0.0.1, port: 9, serverSelectionTimeoutMS: 100"
    monkeypatch.setattr("boto3.client", lambda *_, **__: ObjectStore())
    settings.write_text(SETTINGS.replace("mongo_config: {", f"mongo_config: {{{closed_port}"))
    with pytest.raises(SystemExit, match=r"a store does not answer: 127\.0\.0\.1:9"):
        main(["move", str(folder), str(settings)])
