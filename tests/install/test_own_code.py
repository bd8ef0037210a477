"""A mistake in the owner's code is one line that names the owner's file."""

import pytest
from installing import Install, Installed

pytestmark = [pytest.mark.install, pytest.mark.xdist_group("own code")]

SAMPLE = '# np.log1p(table["amount"] / (1 + table["customer_mean_7d"])),'


@pytest.fixture(scope="module")
def project(installed: Install) -> Installed:
    return installed("fraud", "numpy")


@pytest.mark.parametrize(
    ("file", "old", "new", "error"),
    [
        (
            "data.py",
            SAMPLE,
            'table["amount"] / table["customer_mean_7d"],',
            "features() in model/data.py: expected finite values in every row that the schema "
            "allows, found ",
        ),
        (
            "data.py",
            SAMPLE,
            'table["amount"] * table["fraud"],',
            "features() in model/data.py: expected a column of model/schema.json other than the "
            "label (amount, hour, weekend, customer_count_7d, customer_mean_7d, "
            "terminal_count_7d, terminal_risk_7d, region), found 'fraud'",
        ),
        (
            "data.py",
            SAMPLE,
            'table["amount"] * table["region"],',
            "client/model/data.py, line 23: TypeError: can't multiply sequence ",
        ),
        (
            "metrics.py",
            "import average_precision_score,",
            "import brier_score,",
            "client/model/metrics.py, line 4: ImportError: cannot import name 'brier_score' from "
            "'fednsite.metrics'",
        ),
        (
            "classifier.py",
            "class Classifier",
            "class Classifier(",
            "client/model/classifier.py, line ",
        ),
    ],
    ids=["not finite", "the label", "text", "import", "syntax"],
)
def test_a_mistake_in_the_model_library_is_one_line(
    project: Installed, file: str, old: str, new: str, error: str
) -> None:
    path = project.folder / "client" / "model" / file
    original = path.read_text("utf-8")
    assert old in original
    path.write_text(original.replace(old, new, 1), "utf-8")
    try:
        result = project.attempt("seed", "--seed", "1")
    finally:
        path.write_text(original, "utf-8")
    (line,) = result.stderr.splitlines()
    assert result.returncode == 1
    assert line.startswith(f"error: {error}")
    assert not (project.folder / "seed.npz").exists()
