"""What runs at a site: FEDn's client, and one line that says why it ended.

    python join.py               join the federation that client.yaml names
    python join.py check [FILE]  tell whether the site's data keeps the contract
    python join.py health        exit with 0 while the client is connected

The site's data lies where FEDN_DATA_PATH says, or in the folder data/ beside this file. The
settings are in client.yaml beside this file, or where FEDN_CLIENT_CONFIG says.
"""

import gzip
import hashlib
import importlib.util
import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

HERE = Path(__file__).resolve().parent
# Bytes that a package may unpack to: it holds sources, of up to 10 MB each.
LARGEST = 1 << 27
MOST_FILES = 10_000
# What FEDn's log says when its client ends, and what a person should do about it. FEDn itself
# exits with 0 in most of these cases.
CAUSES = {
    "Unauthorized": "{url} refuses the token in client.yaml, or the lack of one; ask the initiator "
    "for a token, and write it there",
    "Could not validate compute package": "{url} hands out another package than the one that you "
    "were invited to run (SHA-256 {sum}); nothing of it was run; tell the initiator",
    "CERTIFICATE_VERIFY_FAILED": "the certificate of {url} is not trusted here; for a root of the "
    "initiator's own, name its file in REQUESTS_CA_BUNDLE and GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    "Incorrect URL": "{url} is no FEDn controller; check api_url in client.yaml",
    "Connect to FEDn Api - Error": "no FEDn controller answers at {url}; may this machine "
    "reach it?",
    "No combiner available": "{url} has no combiner to work with yet; try again later",
}


def main(arguments: list[str]) -> None:
    """Do what the command line says."""
    if importlib.util.find_spec("fedn") is None:
        sys.exit(
            f"error: FEDn is not installed for {sys.executable}; make an environment and run this "
            "with its Python, as JOIN.md says"
        )
    match arguments:
        case []:
            join()
        case ["check"]:
            check(data_path())
        case ["check", file]:
            check(Path(file))
        case ["health"]:
            health()
        case _:
            print("usage: python join.py [check [FILE] | health]", file=sys.stderr)
            raise SystemExit(2)


def join() -> NoReturn:
    """Run FEDn's client until it ends, and exit with the reason."""
    settings = read_settings()
    check(data_path())
    # A folder of its own for every run: FEDn never cleans the one that it unpacks packages to.
    with tempfile.TemporaryDirectory(prefix="package-") as folder:
        environment = {
            **os.environ,
            "FEDN_DATA_PATH": str(data_path()),
            "FEDN_PACKAGE_EXTRACT_DIR": folder,
            # The package's commands start `python`: the one that runs this.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        client = subprocess.Popen(
            [str(Path(sys.executable).with_name("fedn")), "client", "start", "-in", config()],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # A group of its own, so that its entry points can be ended with it.
            start_new_session=True,
        )

        def leave(number: int, frame: FrameType | None) -> None:
            with suppress(ProcessLookupError):
                os.killpg(client.pid, signal.SIGKILL)
            shutil.rmtree(folder, ignore_errors=True)
            print("left the federation", flush=True)
            os._exit(0)

        signal.signal(signal.SIGTERM, leave)
        signal.signal(signal.SIGINT, leave)
        cause = follow(client, settings)
        code = client.wait()
    sys.exit(f"error: {cause or f'the client ended with exit code {code}; its log says why'}")


def follow(client: "subprocess.Popen[str]", settings: dict[str, Any]) -> str:
    """Print the client's log as it comes. Return the cause of its end, if the log tells it."""
    own, known = "", ""
    facts = {"url": settings["api_url"], "sum": settings.get("package_checksum")}
    for line in client.stdout or ():
        print(line, end="", flush=True)
        # The entry points' own errors say more than FEDn's, which follow.
        if line.startswith("error: "):
            own = line.removeprefix("error: ").strip()
        known = next((text for sign, text in CAUSES.items() if sign in line), known)
    return own or known.format(**facts)


def check(file: Path) -> None:
    """Say what is in the data, or exit with the rule that it breaks."""
    with tempfile.TemporaryDirectory(prefix="package-") as folder:
        unpack(archive(), Path(folder))
        command = [sys.executable, "-B", "check_data.py", str(file.resolve())]
        code = subprocess.run(command, cwd=folder, check=False).returncode
    if code:
        sys.exit(code)


def unpack(package: Path, folder: Path) -> None:
    """Unpack a package's plain files below a folder, or exit with why it is none.

    A link, a device or a path that leads elsewhere is refused, and so is what unfolds to more
    than `LARGEST` bytes; no more is ever held in memory.
    """
    try:
        with gzip.open(package) as packed:
            content = packed.read(LARGEST + 1)
        if len(content) > LARGEST:
            sys.exit(f"error: {package}: expected up to {LARGEST:,} bytes in it, found more")
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as members:
            files = {}
            for number, member in enumerate(members):
                if number == MOST_FILES:
                    raise ValueError(f"more than {MOST_FILES:,} files")
                if may(member):
                    files[member.name] = member
            # Out of the archive's own bytes, each once, so that no more comes out than went in;
            # opened one by one, because each that is open holds a buffer.
            for name, member in files.items():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                file = members.extractfile(member)
                target.write_bytes(file.read() if file else b"")
    # What gzip and tarfile raise at foreign bytes is more than their documentation tells.
    except Exception as error:
        words = ascii(" ".join(str(error).split()))[1:-1]
        sys.exit(f"error: {package}: expected a compute package, found: {words}")


def may(member: tarfile.TarInfo) -> bool:
    """Tell whether a member of an archive is a file that may be unpacked; a folder need not be."""
    if member.isdir():
        return False
    odd = {"", ".."} & set(member.name.split("/")) or set("\\:\0") & set(member.name)
    if odd or not member.isfile() or member.issparse():
        raise ValueError(f"{member.name!r}, which is no plain file below the package's folder")
    return True


def health() -> None:
    """Exit with 0 if FEDn's client runs here and is connected, else with 1 and a line."""
    import psutil

    for process in psutil.process_iter(["cmdline"]):
        if (process.info["cmdline"] or [])[2:4] == ["client", "start"]:
            with suppress(psutil.AccessDenied):
                if any(c.status == "ESTABLISHED" for c in process.net_connections()):
                    return
            sys.exit("error: FEDn's client runs, but is not connected")
    sys.exit("error: FEDn's client does not run")


def read_settings() -> dict[str, Any]:
    """Return what client.yaml says, or exit with what is wrong with it."""
    import yaml

    try:
        settings = yaml.safe_load(Path(config()).read_text("utf-8"))
    except OSError as error:
        sys.exit(f"error: expected the settings in {config()}, found: {error.strerror}")
    # A date that is none is a ValueError; what is nested too deeply a RecursionError.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        words = ascii(" ".join(str(error).split()))[1:-1]
        sys.exit(f"error: {config()}: expected YAML: {words}")
    if not isinstance(settings, dict) or not settings.get("api_url") or not settings.get("name"):
        sys.exit(f"error: {config()}: expected api_url and name in it")
    found = hashlib.sha256(archive().read_bytes()).hexdigest()
    if settings.get("package_checksum") not in (None, found):
        sys.exit(
            f"error: {archive()}: expected SHA-256 {settings['package_checksum']}, found {found}; "
            "ask the initiator for an image or a package of this invitation"
        )
    return settings


def config() -> str:
    """Return the path of client.yaml."""
    return os.environ.get("FEDN_CLIENT_CONFIG") or str(HERE / "client.yaml")


def data_path() -> Path:
    """Return where the site's data lies: a file, or a folder that holds just one."""
    return Path(os.environ.get("FEDN_DATA_PATH") or HERE / "data").resolve()


def archive() -> Path:
    """Return the compute package beside this file."""
    found = sorted(HERE.glob("*.tgz"))
    if len(found) != 1:
        sys.exit(f"error: {HERE}: expected one package (.tgz) in it, found {len(found)}")
    return found[0]


if __name__ == "__main__":
    main(sys.argv[1:])
