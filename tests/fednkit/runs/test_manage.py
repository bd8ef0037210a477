"""Runs are listed, compared and removed, also those that left little or nothing."""

import json
from pathlib import Path

import pytest
from library import write_project

from fednkit.cli.main import main
from fednkit.project.console import console
from fednkit.runs.manage import summary


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the runs of a project, which is the working folder."""
    root = write_project(tmp_path / "project")
    monkeypatch.chdir(root)
    monkeypatch.setattr(console, "_width", 160)
    return root / "runs"


def network_run(runs: Path, name: str, accuracies: list[float | None], **options: object) -> Path:
    """Write what `fednkit network` leaves; None is a round that failed."""
    folder = runs / name
    folder.mkdir(parents=True)
    rounds = [
        {"finished": accuracy is not None, "mean": {"accuracy": accuracy, "log_loss": 0.5}}
        for accuracy in accuracies
    ]
    record = {"options": {"rounds": len(rounds), **options}, "rounds": rounds}
    (folder / "metrics.json").write_text(json.dumps(record), "utf-8")
    (folder / "model.npz").write_bytes(b"a model")
    return folder


def test_a_project_without_runs_is_told_how_to_make_one(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["runs"])
    assert capsys.readouterr().out == (
        "no runs under runs; make one: fednkit simulate, fednkit network\n"
    )


def test_all_runs_are_listed(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    network_run(runs, "20260101-120000-network", [0.5, None, 0.75], aggregator="median")
    network_run(runs, "20260101-120001-session-2", [])
    (runs / "20260101-120002-serve").mkdir()
    (runs / "notes").mkdir()
    spoiled = network_run(runs, "20260101-120003-network", [0.5])
    (spoiled / "metrics.json").write_text("{", "utf-8")
    main(["runs", "list"])
    rows = [line.split("│")[1:-1] for line in capsys.readouterr().out.splitlines() if "│" in line]
    assert [[cell.strip() for cell in row] for row in rows[:3]] == [
        ["20260101-120000-network", "2", "median", "accuracy 0.7500"],
        ["20260101-120001-session-2", "0", "-", "no round has ended"],
        ["20260101-120002-serve", "0", "-", "no round has ended"],
    ]
    assert "cannot be read: RecordError: expected JSON" in rows[3][3]


def test_a_comparison_shows_what_differs(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = network_run(runs, "20260101-120000-network", [0.5], aggregator="median", seed=1)
    other = network_run(runs, "20260101-120001-network", [0.5, 0.75], aggregator="krum", seed=1)
    main(["runs", "compare", str(one), other.name])
    rows = [line.split("│")[1:-1] for line in capsys.readouterr().out.splitlines() if "│" in line]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["rounds", "1", "2"],
        ["--rounds", "1", "2"],
        ["--aggregator", "median", "krum"],
        ["accuracy", "0.5000", "0.7500"],
        ["log loss", "0.5000", "0.5000"],
    ]


def test_runs_are_removed_all_or_none(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = (network_run(runs, f"20260101-12000{n}-network", [0.5]) for n in (1, 2))
    elsewhere = runs.parent / "20260101-120003-network"
    elsewhere.mkdir()
    link = runs / "20260101-120004-network"
    link.symlink_to(elsewhere)
    for wrong in (elsewhere, link, runs, runs / "20260101-120009-network", Path("/")):
        with pytest.raises(SystemExit, match="expected the folder of a run under runs, found"):
            main(["runs", "remove", str(one), str(wrong)])
    assert one.exists()
    assert elsewhere.exists()
    main(["runs", "remove", str(one), other.name])
    assert capsys.readouterr().out == (
        "removed: runs/20260101-120001-network\nremoved: runs/20260101-120002-network\n"
    )
    assert sorted(runs.iterdir()) == [link]


def test_what_is_no_record_is_said(runs: Path) -> None:
    folder = network_run(runs, "20260101-120000-network", [0.5])
    for content in ("[]", "{}", '{"rounds": [{}], "options": {}}', '{"rounds": 1, "options": {}}'):
        (folder / "metrics.json").write_text(content, "utf-8")
        assert summary(folder).note.startswith("cannot be read: "), content
