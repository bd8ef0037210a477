"""Build the first compute package, and say what to do next."""

import subprocess
import sys

SLUG = "{{ cookiecutter.project_slug }}"

# -B leaves no cache folders behind in the fresh project.
subprocess.run([sys.executable, "-B", "-m", "federation", "package"], check=True)

print(f"\nYour project is in {SLUG}/. Next:\n")
for command, purpose in (
    (f"cd {SLUG}", ""),
    ("make setup test", "install what it needs, and check it"),
    ("make network", "train over a real FEDn network on this machine"),
):
    print(f"  {command:<18}{purpose}".rstrip())
