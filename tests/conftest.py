"""What the tests share: one generated project per combination."""

import os
from functools import cache
from pathlib import Path

import pytest
from baking import COMBINATIONS, Project, bake

# Generated projects, whose tests are run where they are generated.
collect_ignore = ["golden"]


# Projects are run as on users' machines, where whatever is imported leaves its byte code behind.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return the project of a task and a framework, generated once; not to be changed."""

    @cache
    def generated(task: str, framework: str) -> Path:
        output = tmp_path_factory.mktemp(f"{task}-{framework}") / "out"
        return bake(output, task=task, framework=framework)

    return generated


@pytest.fixture(params=COMBINATIONS, ids="-".join)
def baked(request: pytest.FixtureRequest, project: Project) -> Path:
    """Every combination in turn; not to be changed."""
    return project(*request.param)
