"""Make a release of the template, or check and describe the newest one.

    python tools/release.py begin          # with the first change after a release
    python tools/release.py make 1.2.3     # write, commit and tag a release
    python tools/release.py check v1.2.3   # check that tag, files and changelog agree
    python tools/release.py notes          # print the newest release's section of CHANGELOG.md

Template and library share one version: `_version` in cookiecutter.json, which generated projects
record, and `__version__` of fednkit, which is in the name of the wheel in their vendor/. Between
releases it ends in "+unreleased", so that only a release's wheel has the release's name.

A release saves the sources of generated projects in tests/releases/, so that the tests of updates
also run on a shallow checkout or one without tags.

`check` and `notes` need only the standard library, because CI installs nothing to release a tag.
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

import wheel

ROOT = Path(__file__).resolve().parent.parent
RELEASES = ROOT / "tests" / "releases"
# The tools that update the files that contain the version: the wheel and the golden files.
RENEWED_BY = "wheel.py", "golden.py"
LIBRARY = "src/fednkit/__init__.py"
# The files that contain the version, and its format in each.
PLACES = {"cookiecutter.json": '"_version": "{}"', LIBRARY: '__version__ = "{}"'}
VENDOR = "{{cookiecutter.__slug}}/vendor"
# The sources of generated projects; the rest of the repository is for maintainers.
SOURCES = "cookiecutter.json", "hooks", "templates", "{{cookiecutter.__slug}}"
HEADING = re.compile(r"^## (?P<version>\d+\.\d+\.\d+) \(\d{4}-\d\d-\d\d\)$", re.MULTILINE)
UNRELEASED = "## Unreleased\n"


class ReleaseError(Exception):
    """The release cannot be made; the message says why, in one line."""


def version() -> str:
    """Return the version that generated projects record."""
    recorded: str = json.loads((ROOT / "cookiecutter.json").read_text("utf-8"))["_version"]
    return recorded


def library_version() -> str:
    """Return the version in the library's source."""
    found = re.search(r'^__version__ = "(.*)"$', (ROOT / LIBRARY).read_text("utf-8"), re.MULTILINE)
    if not found:
        raise ReleaseError(f"{LIBRARY}: expected __version__, found none")
    return found[1]


def expected_version(changelog: str) -> str:
    """Return the version that follows from a changelog's newest section."""
    found = HEADING.search(changelog)
    newest = found["version"] if found else "0.0.0"
    return f"{newest}+unreleased" if UNRELEASED in changelog else newest


def notes(changelog: str) -> str:
    """Return the section of a changelog's newest release, without its heading."""
    found = HEADING.search(changelog)
    if found is None:
        raise ReleaseError("CHANGELOG.md: expected a release, found none")
    return re.split(r"^## ", changelog[found.end() :], maxsplit=1, flags=re.MULTILINE)[0].strip()


def git(*arguments: str) -> str:
    """Run git and return its output. Raises `ReleaseError`."""
    result = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False
    )
    if result.returncode:
        raise ReleaseError(f"git {arguments[0]}: {result.stderr.strip()}")
    return result.stdout


def files(*places: str) -> dict[str, bytes]:
    """Return the work tree's content of every file in git below these paths."""
    names = git("ls-files", "-z", "--", *places).split("\0")
    return {name: (ROOT / name).read_bytes() for name in sorted(names) if name}


def snapshot(members: dict[str, bytes]) -> bytes:
    """Return files as a reproducible tar.xz, without times, owners and modes."""
    content = io.BytesIO()
    # Sort by suffix, then by name: the lock files are similar and compress best next to each other.
    with tarfile.open(fileobj=content, mode="w:xz", preset=9) as archive:
        for name in sorted(members, key=lambda name: (Path(name).suffix, name)):
            entry = tarfile.TarInfo(name)
            entry.size = len(members[name])
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(members[name]))
    return content.getvalue()


def unpacked(file: Path) -> dict[str, bytes]:
    """Return the files in a snapshot."""
    with tarfile.open(file) as archive:
        members = {entry.name: archive.extractfile(entry) for entry in archive}
        return {name: member.read() for name, member in sorted(members.items()) if member}


def write_version(new: str) -> None:
    """Write the version of template and library, and update the files that depend on it."""
    old = version()
    if library_version() != old:
        raise ReleaseError(f"{LIBRARY}: expected {old}, found {library_version()}")
    for name, line in PLACES.items():
        path = ROOT / name
        text = path.read_text("utf-8").replace(line.format(old), line.format(new))
        path.write_text(text, "utf-8", newline="\n")
    for tool in RENEWED_BY:
        command = [sys.executable, "-B", str(ROOT / "tools" / tool)]
        if subprocess.run(command, check=False).returncode:
            raise ReleaseError(f"tools/{tool} failed, see above; undo with: git stash -u")


def begin() -> None:
    """Add a section to the changelog for the next release, and mark the version as unreleased."""
    changelog = ROOT / "CHANGELOG.md"
    text = changelog.read_text("utf-8")
    if UNRELEASED in text:
        raise ReleaseError("CHANGELOG.md: expected no section 'Unreleased' yet, found one")
    write_version(f"{version()}+unreleased")
    text = text.replace("\n## ", f"\n{UNRELEASED}\n## ", 1)
    changelog.write_text(text, "utf-8", newline="\n")
    print("Describe the changes in CHANGELOG.md.")


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
        raise ReleaseError(f"the tag v{new} already exists")
    today = datetime.datetime.now(datetime.timezone.utc).date()
    text = text.replace(UNRELEASED, f"## {new} ({today})\n")
    if not notes(text):
        raise ReleaseError("CHANGELOG.md: expected changes under 'Unreleased', found nothing")

    write_version(new)
    changelog.write_text(text, "utf-8", newline="\n")
    # Before the snapshot, which takes its list of files from git: it needs the new wheel.
    git("add", "--all")
    RELEASES.mkdir(exist_ok=True)
    (RELEASES / f"v{new}.tar.xz").write_bytes(snapshot(files(*SOURCES)))
    git("add", "--all")
    git("commit", "--quiet", "--message", f"Release {new}")
    git("tag", "--annotate", f"v{new}", "--message", f"Release {new}")
    print(f"v{new} is committed and tagged. Check it: make test test-all")
    print("then: git push --follow-tags")


def check(tag: str) -> None:
    """Raise `ReleaseError` unless tag, changelog, versions, wheel and snapshot agree."""
    wheels = sorted((ROOT / VENDOR).glob("*.whl"))
    for what, found in (
        ("CHANGELOG.md", expected_version((ROOT / "CHANGELOG.md").read_text("utf-8"))),
        ("_version", version()),
        (LIBRARY, library_version()),
        (VENDOR, ", ".join(path.name.split("-")[1] for path in wheels)),
    ):
        if f"v{found}" != tag:
            raise ReleaseError(f"{what}: expected {tag.removeprefix('v')}, found {found or 'none'}")
    name, content = wheels[0].name, wheels[0].read_bytes()
    if (ROOT / VENDOR / "requirements.txt").read_text("utf-8") != wheel.requirements(name, content):
        raise ReleaseError(f"{VENDOR}/requirements.txt: expected the hash of {name}, found another")
    ours = {path.removeprefix("src/"): source for path, source in files("src").items()}
    theirs = wheel.members(content)
    if ours != {path: theirs[path] for path in theirs if ".dist-info/" not in path}:
        raise ReleaseError(f"{VENDOR}/{name} was built from another src/ than this checkout's")
    kept = RELEASES / f"{tag}.tar.xz"
    if not kept.exists():
        raise ReleaseError(f"{kept.relative_to(ROOT)}: expected the release's sources, found none")
    if unpacked(kept) != files(*SOURCES):
        raise ReleaseError(f"{kept.relative_to(ROOT)} holds other sources than this checkout")


def numbers(text: str) -> tuple[int, ...]:
    """Return the numbers by which versions are ordered."""
    return tuple(map(int, text.partition("+")[0].split(".")))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("begin")
    commands.add_parser("make").add_argument("version")
    commands.add_parser("check").add_argument("tag")
    commands.add_parser("notes")
    options = parser.parse_args()
    try:
        if options.command == "begin":
            begin()
        elif options.command == "make":
            make(options.version)
        elif options.command == "check":
            check(options.tag)
        else:
            print(notes((ROOT / "CHANGELOG.md").read_text("utf-8")))
    except ReleaseError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
