"""One project and one federation of three sites, which mends itself after every fault."""

import shutil
from collections.abc import Iterator
from functools import partial

import pytest
from baking import bake
from installing import Installed
from lab import MISSING, Lab, Machine, until

# Long enough to be hit in the middle, in seconds; a step of the sample takes milliseconds.
EPOCHS = "epochs: int = 300"


# For these tests alone: FEDn's clients of another site would be in the way of others.
@pytest.fixture(scope="package")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """A project that is set up, with data for three sites, and with long steps."""
    output = tmp_path_factory.mktemp("faults")
    project = Installed(bake(output, hooks=True, task="fraud", framework="numpy"), "numpy")
    settings = project.folder / "client" / "model" / "settings.py"
    text = settings.read_text("utf-8")
    assert "epochs: int = 3" in text
    settings.write_text(text.replace("epochs: int = 3", EPOCHS), "utf-8")
    project.make("package", "seed")
    project.fednkit("sites", "--sites", "3", "--examples", "6000")
    yield project
    shutil.rmtree(output)


@pytest.fixture(scope="package")
def lab(project: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A controller and three sites that have joined; tests leave them as they found them."""
    if MISSING:
        pytest.skip(MISSING)
    with Lab(project, tmp_path_factory.mktemp("lab")) as lab:
        lab.serve()
        lab.upload()
        for site in lab.sites:
            site.join()
        yield lab


@pytest.fixture(autouse=True)
def all_is_as_it_was(request: pytest.FixtureRequest) -> Iterator[None]:
    """Hold that what a test broke has mended, and that it left nothing running."""
    yield
    if "lab" not in request.fixturenames:
        return
    lab: Lab = request.getfixturevalue("lab")
    # At a site that waits: join.py, FEDn's client, the worker. At the initiator's: serve, FEDn.
    try:
        for site in lab.sites:
            site.cable()
            until(partial(waits, site, 3), lambda: "; ".join(str(s.processes()) for s in lab.sites))
        until(partial(waits, lab.initiator, 2), lambda: str(lab.initiator.processes()))
    except AssertionError:
        # So that the next test does not fail for this one's reason.
        lab.mend()
        raise


def waits(machine: Machine, processes: int) -> bool:
    return len(machine.processes()) == processes
