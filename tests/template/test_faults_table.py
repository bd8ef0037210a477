"""docs/faults.md has a row for every test of a fault, and none without one."""

import ast
import re

from baking import ROOT

PAGE = (ROOT / "docs" / "faults.md").read_text("utf-8")


def test_every_fault_that_is_tested_has_its_row_and_no_row_is_without_a_test() -> None:
    tests = [
        node.name
        for file in sorted((ROOT / "tests" / "faults").glob("test_*.py"))
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    rows = re.findall(r"^\| .* \| `(test_\w+)` \|$", PAGE, re.M)
    assert sorted(rows) == sorted(tests)
    assert len(set(tests)) == len(tests)


def test_what_the_page_says_is_printed_is_what_the_tools_print() -> None:
    sources = "".join(file.read_text("utf-8") for file in sorted((ROOT / "src").rglob("*.py")))
    # As they stand in the source, where a line may be broken and a value is put in later.
    plain = re.sub(r'"\s*\n\s*f?"', "", sources)
    for words in (
        "FEDn's client ended: ",
        "; trying again in ",
        "it was killed by ",
        "; still missing: ",
        "the resident worker was killed in the middle of this step; was there memory enough?",
        "; it is ended, and this step done alone",
        "this machine's disk is full, or the part of it that holds ",
        "; go on with: fednkit ",
        "left the federation",
        "warning: two sites are called '",
        "FEDn did not start the session: ",
    ):
        assert words in plain, words
        assert words.strip("; '") in PAGE, words


def test_the_readme_leads_there() -> None:
    assert "(docs/faults.md)" in (ROOT / "README.md").read_text("utf-8")
