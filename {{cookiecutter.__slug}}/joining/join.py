"""What runs at a site: FEDn's client, and one line that says why it ended.

    python join.py               join the federation that client.yaml names
    python join.py check [FILE]  tell whether the site's data keeps the contract
    python join.py health        exit with 0 while the client is connected

The site's data lies where FEDN_DATA_PATH says, or in the folder data/ beside this file. The
settings are in client.yaml beside this file, or where FEDN_CLIENT_CONFIG says. Which version of a
signed package ran last is kept below ~/.local/state, or in the folder that SITE_STATE names.
"""

import hashlib
import importlib.util
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from joining import verify
else:
    import verify

HERE = Path(__file__).resolve().parent
# Files of root certificates that a site may name in its environment.
ROOTS = "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
# What FEDn's log says when its client ends, and what a person should do about it. FEDn itself
# exits with 0 in most of these cases.
CAUSES = {
    "Unauthorized": "{url} refuses the token in client.yaml, or the lack of one; ask the initiator "
    "for a token, and write it there",
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
            check_alone(data_path())
        case ["check", file]:
            check_alone(Path(file))
        case ["health"]:
            health()
        case _:
            print("usage: python join.py [check [FILE] | health]", file=sys.stderr)
            raise SystemExit(2)


def join() -> NoReturn:
    """Run FEDn's client until it ends, and exit with the reason."""
    settings = read_settings()
    content, found = package(settings)
    with unpacked(content) as folder:
        check(data_path(), folder)
        if found:
            remember(settings, found)
        same_as_served(settings, hashlib.sha256(content).hexdigest())
        # FEDn's own download would write to wherever the controller's answer says, before it
        # compares the checksum: the client runs what was verified here, and downloads nothing.
        client = subprocess.Popen(
            [
                str(Path(sys.executable).with_name("fedn")),
                *("client", "start", "-in", config(), "--local-package"),
            ],
            cwd=folder,
            env=environment(folder),
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


def environment(folder: Path) -> dict[str, str]:
    """Return what FEDn's client has in its environment; it runs in a folder of its own."""
    # Files that are named from here.
    named = {name: str(Path(os.environ[name]).resolve()) for name in ROOTS if os.environ.get(name)}
    return {
        **os.environ,
        **named,
        "FEDN_DATA_PATH": str(data_path()),
        "FEDN_PACKAGE_EXTRACT_DIR": str(folder / "unused"),
        # The package's commands start `python`: the one that runs this.
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


def package(settings: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    """Return the archive that may run here, and the key and version that `remember` keeps.

    The bytes and not the file, which somebody could change after it was verified.
    """
    file = archive()
    content = file.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if settings.get("package_checksum") not in (None, found):
        sys.exit(
            f"error: {file}: expected SHA-256 {settings['package_checksum']}, found {found}; "
            "ask the initiator for an image or a package of this invitation"
        )
    try:
        return content, verify.check(content, file.stem, settings, state(settings))
    except verify.SignatureError as error:
        sys.exit(f"error: {file}: {error}; nothing of it was unpacked")


@contextmanager
def unpacked(content: bytes) -> Iterator[Path]:
    """Give a folder that holds an archive in the folder client/, where FEDn looks for it."""
    with tempfile.TemporaryDirectory(prefix="package-") as folder:
        with tarfile.open(fileobj=io.BytesIO(content)) as members:
            # Without it, a link in an archive could lead out of the folder.
            members.extraction_filter = getattr(tarfile, "data_filter", None)
            members.extractall(Path(folder, "client"))  # noqa: S202, it was verified
        yield Path(folder)


def same_as_served(settings: dict[str, Any], own: str) -> None:
    """Exit if the controller hands out another package; wait while it has none yet.

    Whatever else it answers is left to FEDn's client, which tells it in its log.
    """
    import requests

    url = str(settings["api_url"])
    if "://" not in url:
        # As FEDn completes it.
        url = f"http{'' if 'localhost' in url or '127.0.0.1' in url else 's'}://{url}"
    url += f":{settings['api_port']}" if settings.get("api_port") else ""
    scheme = os.environ.get("FEDN_AUTH_SCHEME", "Bearer")
    told = False
    while True:
        try:
            answer = requests.get(
                f"{url}/{os.environ.get('FEDN_CUSTOM_URL_PREFIX', '')}/api/v1/packages/checksum",
                headers={"Authorization": f"{scheme} {settings.get('token')}"},
                verify=os.environ.get("FEDN_CONNECT_API_SECURE", "true").lower() == "true",
                timeout=10,
            )
            served = answer.json()["checksum"]
        except (requests.RequestException, ValueError, KeyError, TypeError):
            return
        if answer.ok and served != own:
            sys.exit(
                f"error: {settings['api_url']} hands out another package than the one that you "
                f"were invited to run (SHA-256 {own}); nothing of it was run; tell the initiator"
            )
        if answer.status_code != 404:
            return
        if not told:
            print(f"{settings['api_url']} has no package yet; waiting for it", flush=True)
            told = True
        time.sleep(3)


def follow(client: "subprocess.Popen[str]", settings: dict[str, Any]) -> str:
    """Print the client's log as it comes. Return the cause of its end, if the log tells it."""
    own, known = "", ""
    for line in client.stdout or ():
        print(line, end="", flush=True)
        # The entry points' own errors say more than FEDn's, which follow.
        if line.startswith("error: "):
            own = line.removeprefix("error: ").strip()
        known = next((text for sign, text in CAUSES.items() if sign in line), known)
    return own or known.format(url=settings["api_url"])


def check(file: Path, folder: Path) -> None:
    """Say what is in the data, or exit with the rule that it breaks. folder: of `unpacked`."""
    command = [sys.executable, "-B", "check_data.py", str(file.resolve())]
    code = subprocess.run(command, cwd=folder / "client", check=False).returncode
    if code:
        sys.exit(code)


def check_alone(file: Path) -> None:
    """Check data as `check` does, with the package, which is verified if there are settings."""
    settings = read_settings() if Path(config()).exists() else {}
    content, _ = package(settings)
    with unpacked(content) as folder:
        check(file, folder)


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
    except yaml.YAMLError as error:
        sys.exit(f"error: {config()}: expected YAML: {' '.join(str(error).split())}")
    if not isinstance(settings, dict) or not settings.get("api_url") or not settings.get("name"):
        sys.exit(f"error: {config()}: expected api_url and name in it")
    return settings


def config() -> str:
    """Return the path of client.yaml."""
    return str(Path(os.environ.get("FEDN_CLIENT_CONFIG") or HERE / "client.yaml").absolute())


def state(settings: dict[str, Any]) -> Path:
    """Return the file that holds the last version that ran, which outlasts an invitation."""
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    name = re.sub(r"[^\w.-]", "_", f"{archive().stem}.{settings.get('name')}.json")
    return Path(os.environ.get("SITE_STATE") or Path(home, "fedn-sites"), name).absolute()


def remember(settings: dict[str, Any], found: dict[str, str]) -> None:
    """Keep which version runs; where that cannot be, say that an older one will not be noticed."""
    try:
        verify.remember(state(settings), found)
    except OSError as error:
        print(
            f"warning: {state(settings)}: {error.strerror}; an older package than this one will "
            "not be refused",
            file=sys.stderr,
        )


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
