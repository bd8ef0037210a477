"""Reject invalid answers: report all of them, one line each."""

import json
import re
import sys
import unicodedata
from collections.abc import Iterator

# In single quotes, because `tojson` writes every single quote of an answer as \u0027.
ANSWERS = json.loads(r'''{{ cookiecutter | tojson }}''')  # fmt: skip

SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
MAX_CHARACTERS = {"project_name": 100, "project_slug": 60, "author_name": 100}
# Windows does not allow these names for files and folders, with any ending.
RESERVED = {
    "aux",
    "con",
    "nul",
    "prn",
    *(f"{port}{n}" for port in ("com", "lpt") for n in range(10)),
}


def mistakes(answers: dict[str, str]) -> Iterator[str]:
    """Yield one line for each invalid answer."""
    for name, limit in MAX_CHARACTERS.items():
        answer = answers[name]
        if not answer.strip():
            yield f"{name}: expected a text, found nothing"
        elif len(answer) > limit:
            yield f"{name}: expected at most {limit} characters, found {len(answer)}"
        # Control characters, line breaks and lone surrogates would break the generated files.
        odd = next((c for c in answer if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")), "")
        if odd:
            yield f"{name}: expected printable text, found the character U+{ord(odd):04X}"
    slug = answers["project_slug"]
    if not SLUG.fullmatch(slug):
        yield (
            "project_slug: expected lower-case letters, digits and single hyphens, a letter "
            f"first, such as 'fraud-detection', found {slug!r}"
        )
    elif slug in RESERVED:
        yield f"project_slug: '{slug}' is a device on Windows; choose another name"


found = list(mistakes(ANSWERS))
for line in found:
    # Escaped, because a terminal in an ASCII locale cannot print every answer.
    print("error: " + line.encode("ascii", "backslashreplace").decode(), file=sys.stderr)
sys.exit(1 if found else 0)
