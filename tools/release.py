"""Make a release of the template, or check and describe the one that is there.

    python tools/release.py make 1.2.3     # write, commit and tag it; push it with: git push --tags
    python tools/release.py check v1.2.3   # the tag, the files and the changelog agree
    python tools/release.py notes          # the newest release's section of CHANGELOG.md

Template and library have one version: `_version` in cookiecutter.json, which generated projects
record, and `__version__` of fednkit, after which the wheel in their vendor/ is named. Between two
releases `_version` ends in "+unreleased", and the library keeps the number of the last release. A
release keeps what projects are generated from in tests/releases/, so that
the tests of updates run on any checkout, a shallow one and one without tags too.

This runs on the standard library: nothing is installed where a tag is released.
"""

import argparse
import datetime
import io
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RELEASES = ROOT / "tests" / "releases"
# What follows from the version: the wheel, and the generated files that name it.
RENEWED_BY = "wheel.py", "golden.py"
LIBRARY = "src/fednkit/__init__.py"
VENDOR = "{{cookiecutter.__slug}}/vendor"
# What a project is generated from; the rest of the template is for its maintainers.
SOURCES = "cookiecutter.json", "hooks", "templates", "{{cookiecutter.__slug}}"
HEADING = re.compile(r"^## (?P<version>\d+\.\d+\.\d+) \(\d{4}-\d\d-\d\d\)$", re.MULTILINE)
UNRELEASED = "## Unreleased\n"


class ReleaseError(Exception):
    """A release that cannot be made; the message is one line that says why."""


def version(root: Path = ROOT) -> str:
    """Return the version that generated projects record."""
    recorded: str = json.loads((root / "cookiecutter.json").read_text("utf-8"))["_version"]
    return recorded


def library_version(root: Path = ROOT) -> str:
    """Return the version of the library, from its source."""
    found = re.search(r'^__version__ = "(.*)"$', (root / LIBRARY).read_text("utf-8"), re.MULTILINE)
    if not found:
        raise ReleaseError(f"{LIBRARY}: expected __version__, found none")
    return found[1]


def expected_version(changelog: str) -> str:
    """Return the version that a changelog's newest release, and what came after, asks for."""
    found = HEADING.search(changelog)
    newest = found["version"] if found else "0.0.0"
    return f"{newest}+unreleased" if UNRELEASED in changelog else newest


def notes(changelog: str) -> str:
    """Return the section of a changelog's newest release, without its heading."""
    found = HEADING.search(changelog)
    if found is None:
        raise ReleaseError("CHANGELOG.md: expected a release, found none")
    return re.split(r"^## ", changelog[found.end() :], maxsplit=1, flags=re.MULTILINE)[0].strip()


def git(*arguments: str, root: Path = ROOT) -> str:
    """Run git, which must succeed, and return what it printed."""
    result = subprocess.run(
        ["git", *arguments], cwd=root, capture_output=True, text=True, encoding="utf-8", check=False
    )
    if result.returncode:
        raise ReleaseError(f"git {arguments[0]}: {result.stderr.strip()}")
    return result.stdout


def sources(root: Path = ROOT) -> dict[str, bytes]:
    """Return every file in git that projects are generated from, as it lies in the work tree."""
    names = git("ls-files", "-z", "--", *SOURCES, root=root).split("\0")
    return {name: (root / name).read_bytes() for name in sorted(names) if name}


def snapshot(files: dict[str, bytes]) -> bytes:
    """Return files as a tar.xz without times, owners and modes."""
    content = io.BytesIO()
    # By kind, then by name: so that the locks, most of which is alike, lie beside each other.
    with tarfile.open(fileobj=content, mode="w:xz", preset=9) as archive:
        for name in sorted(files, key=lambda name: (Path(name).suffix, name)):
            entry = tarfile.TarInfo(name)
            entry.size = len(files[name])
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(files[name]))
    return content.getvalue()


def unpacked(file: Path) -> dict[str, bytes]:
    """Return the files that a snapshot holds."""
    with tarfile.open(file) as archive:
        members = {entry.name: archive.extractfile(entry) for entry in archive}
        return {name: member.read() for name, member in sorted(members.items()) if member}


def make(new: str) -> None:
    """Write a release, commit and tag it."""
    changelog = ROOT / "CHANGELOG.md"
    text = changelog.read_text("utf-8")
    if not re.fullmatch(r"\d+\.\d+\.\d+", new):
        raise ReleaseError(f"VERSION: expected three numbers such as 1.2.3, found {new!r}")
    if UNRELEASED not in text:
        raise ReleaseError("CHANGELOG.md: expected a section 'Unreleased', found none")
    old = version()
    if numbers(new) <= numbers(old):
        raise ReleaseError(f"VERSION: expected a version after {old}, found {new}")
    if git("status", "--porcelain"):
        raise ReleaseError("expected everything committed, found changes; see: git status")
    if git("tag", "--list", f"v{new}"):
        raise ReleaseError(f"the tag v{new} is there already")

    today = datetime.datetime.now(datetime.timezone.utc).date()
    changelog.write_text(text.replace(UNRELEASED, f"## {new} ({today})\n"), "utf-8", newline="\n")
    table = ROOT / "cookiecutter.json"
    lines = table.read_text("utf-8").replace(f'"_version": "{old}"', f'"_version": "{new}"')
    table.write_text(lines, "utf-8", newline="\n")
    library = ROOT / LIBRARY
    lines = library.read_text("utf-8").replace(f'"{library_version()}"', f'"{new}"')
    library.write_text(lines, "utf-8", newline="\n")
    for tool in RENEWED_BY:
        subprocess.run([sys.executable, "-B", str(ROOT / "tools" / tool)], check=True)
    git("add", "--all")
    RELEASES.mkdir(exist_ok=True)
    (RELEASES / f"v{new}.tar.xz").write_bytes(snapshot(sources()))
    git("add", "--all")
    git("commit", "--quiet", "--message", f"Release {new}")
    git("tag", "--annotate", f"v{new}", "--message", f"Release {new}")
    print(f"v{new} is committed and tagged. Check it: make test test-all")
    print("then: git push --follow-tags")


def check(tag: str) -> None:
    """Raise `ReleaseError` unless tag, changelog, versions, wheel and snapshot agree."""
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    wheels = [path.name.split("-")[1] for path in (ROOT / VENDOR).glob("*.whl")]
    for what, found in (
        ("CHANGELOG.md", expected_version(changelog)),
        ("_version", version()),
        (LIBRARY, library_version()),
        (VENDOR, ", ".join(wheels)),
    ):
        if f"v{found}" != tag:
            raise ReleaseError(f"{what}: expected {tag.removeprefix('v')}, found {found or 'none'}")
    kept = RELEASES / f"{tag}.tar.xz"
    if not kept.exists():
        raise ReleaseError(f"{kept.relative_to(ROOT)}: expected the release's sources, found none")
    if unpacked(kept) != sources():
        raise ReleaseError(f"{kept.relative_to(ROOT)} holds other sources than this checkout")


def numbers(text: str) -> tuple[int, ...]:
    """Return what versions are ordered by."""
    return tuple(map(int, text.partition("+")[0].split(".")))


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("make").add_argument("version")
    commands.add_parser("check").add_argument("tag")
    commands.add_parser("notes")
    options = parser.parse_args()
    try:
        if options.command == "make":
            make(options.version)
        elif options.command == "check":
            check(options.tag)
        else:
            print(notes((ROOT / "CHANGELOG.md").read_text("utf-8")))
    except ReleaseError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
