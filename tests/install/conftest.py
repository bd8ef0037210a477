"""Projects that are set up for real, with one environment per framework."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from baking import bake
from installing import Install, Installed, Metrics, RecordFigure


@pytest.fixture(scope="module")
def installed(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Install]:
    """Return a fresh project of a task and a framework, set up; removed after the module."""
    folders = []

    def make(task: str, framework: str, **answers: str) -> Installed:
        # The blank is there on purpose.
        output = tmp_path_factory.mktemp("install") / "my projects"
        folders.append(output)
        project = bake(output, hooks=True, task=task, framework=framework, **answers)
        return Installed(project, framework)

    yield make
    for folder in folders:
        shutil.rmtree(folder)


@pytest.fixture
def record_figure(
    request: pytest.FixtureRequest,
) -> RecordFigure:
    """Keep a figure of what was learnt; all are printed at the end of the tests."""

    def record(what: str, seed: Metrics, last: Metrics) -> None:
        figures = request.config.stash.setdefault(FIGURES, [])
        names = [name for name in last if name not in ("round", "sites")]
        changes = "  ".join(f"{name} {seed[name]:.4f} -> {last[name]:.4f}" for name in names)
        figures.append(f"{what:<26}{changes}")

    return record


FIGURES = pytest.StashKey[list[str]]()


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the figures, from the seed model to the last round."""
    for line in config.stash.get(FIGURES, []):
        terminalreporter.write_line(line)
