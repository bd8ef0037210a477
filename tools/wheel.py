"""Build the wheel in the vendor/ of every generated project, reproducibly.

    python tools/wheel.py            # build it from src/ into the template's vendor/
    python tools/wheel.py --check    # exit with code 1 unless vendor/ matches src/

Its members are not compressed, because compressed bytes differ between versions of zlib.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "{{cookiecutter.__slug}}" / "vendor"
EPOCH = (1980, 1, 1, 0, 0, 0)
REQUIREMENTS = """\
# The library of this project, from this folder and from nowhere else: `make setup` installs it with
# --no-index, so that no index can slip in another one by its name.
--find-links .
fednkit=={version} \\
    --hash=sha256:{digest}
"""


def build() -> tuple[str, bytes]:
    """Return the wheel's file name and content."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "-d", folder]
        result = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
        if result.returncode:
            raise RuntimeError(f"hatchling built no wheel: {result.stderr}")
        (made,) = Path(folder).glob("*.whl")
        stored = Path(folder, "stored.zip")
        with zipfile.ZipFile(made) as source, zipfile.ZipFile(stored, "w") as target:
            for name in source.namelist():
                entry = zipfile.ZipInfo(name, EPOCH)
                entry.external_attr = 0o644 << 16
                target.writestr(entry, source.read(name))
        return made.name, stored.read_bytes()


def members(content: bytes) -> dict[str, bytes]:
    """Return the files in a wheel by name."""
    with tempfile.TemporaryFile() as file:
        file.write(content)
        with zipfile.ZipFile(file) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


def requirements(name: str, content: bytes) -> str:
    """Return the text of vendor/requirements.txt."""
    digest = hashlib.sha256(content).hexdigest()
    return REQUIREMENTS.format(version=name.split("-")[1], digest=digest)


def write() -> None:
    """Replace the wheel and its hash in the template."""
    name, content = build()
    VENDOR.mkdir(exist_ok=True)
    for old in VENDOR.glob("*.whl"):
        if old.name != name:
            old.unlink()
    (VENDOR / name).write_bytes(content)
    (VENDOR / "requirements.txt").write_text(requirements(name, content), encoding="utf-8")
    print(f"{name}: {len(content):,} bytes, {len(members(content))} files")


def stale() -> str:
    """Return the first difference between vendor/ and src/ in one line; "" if they match."""
    name, content = build()
    found = [path.name for path in VENDOR.glob("*.whl")]
    if found != [name]:
        return f"vendor/: expected {name}, found {', '.join(found) or 'none'}; run: make wheel"
    ours, theirs = members(content), members((VENDOR / name).read_bytes())
    differing = sorted(n for n in ours.keys() | theirs.keys() if ours.get(n) != theirs.get(n))
    if differing:
        return f"vendor/{name}: {differing[0]} differs from src/; run: make wheel"
    if (VENDOR / "requirements.txt").read_text("utf-8") != requirements(name, content):
        return "vendor/requirements.txt names another hash; run: make wheel"
    return ""


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        sys.exit(stale() or 0)
    write()
