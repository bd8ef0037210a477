"""Build the first compute package, and print the next steps."""

import sys
from pathlib import Path

SLUG = "{{ cookiecutter.project_slug }}"

# Imported from the wheel itself, with only the standard library: nothing is installed yet.
(WHEEL,) = Path("vendor").glob("fednkit-*.whl")
sys.path.insert(0, str(WHEEL.resolve()))

from fednkit.package.archive import build  # noqa: E402

build(Path.cwd() / f"{SLUG}.tar.gz")

print(f"\nYour project is in {SLUG}/. Next:\n")
for command, purpose in (
    (f"cd {SLUG}", ""),
    ("make setup test", "install the requirements, and run the tests"),
    ("make network", "train over a real FEDn network on this machine"),
):
    print(f"  {command:<18}{purpose}".rstrip())
