"""What runs at a site: FEDn's client, again when it ends, and one line that says why.

    python join.py               join the federation that client.yaml names
    python join.py check [FILE]  tell whether the site's data keeps the contract
    python join.py health        exit with 0 while the client is connected

The site's data lies where FEDN_DATA_PATH says, or in the folder data/ beside this file. The
settings are in client.yaml beside this file, or where FEDN_CLIENT_CONFIG says. Which version of a
signed package ran last is kept below ~/.local/state, or in the folder that SITE_STATE names.
"""

import errno
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from joining import verify
else:
    import verify

HERE = Path(__file__).resolve().parent
# Seconds before the first new attempt, each time twice as many up to the second figure; and how
# often in a row a client may end for the same reason.
FIRST_WAIT, LONGEST_WAIT, ATTEMPTS = 2, 60, 4
# What FEDn's log says once it has joined, and when it has sent an update.
JOINED, WORKED = "Listening to task stream", "Sending model update to combiner"
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
    "No space left on device": "this machine's disk is full, or the part of it that holds {tmp}; "
    "make room there",
    "No combiner available": "{url} has no combiner to work with yet; try again later",
}
# Characters of client.yaml, how deeply it may be nested, and what of it is read here.
LONGEST, DEEPEST, LONGEST_MESSAGE = 1 << 16, 10, 2000
READ = (
    *("api_url", "api_port", "token", "name"),
    *("package_checksum", "signing_key", "package_signature"),
)
# What passes by itself, once this site has been in the federation.
PASSING = ("Connect to FEDn Api - Error", "No combiner available", "No space left on device")


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
        case ["client", "start", *_]:
            run_client()
        case _:
            print("usage: python join.py [check [FILE] | health]", file=sys.stderr)
            raise SystemExit(2)


def join() -> NoReturn:
    """Run FEDn's client, again when it ends; exit with the reason when that does not help.

    Any failure of an entry point ends FEDn's client, and so does much else that another attempt
    may mend. What keeps the site from joining the first time is said at once.
    """
    attempts: list[Attempt] = []

    def leave(number: int, frame: FrameType | None) -> None:
        for attempt in attempts[-1:]:
            attempt.end()
        print("left the federation", flush=True)
        os._exit(0)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    last, equal, wait, joined = "", 0, FIRST_WAIT, False
    while True:
        attempt = Attempt(read_settings())
        worked = passing = False
        try:
            check(data_path())
            attempts[:] = [attempt]
            cause = attempt.run()
            joined |= attempt.joined
            worked, passing = attempt.worked, attempt.passing
        except OSError as error:
            # Such as a full disk: there is no place to unpack the package to.
            cause, passing = str(error), error.errno == errno.ENOSPC
        # An update that was sent in between makes it another story.
        equal = equal + 1 if cause == last and not worked else 1
        wait = FIRST_WAIT if worked else wait
        last = cause
        if not joined or (equal >= ATTEMPTS and not passing):
            sys.exit(f"error: {cause}")
        print(f"FEDn's client ended: {cause}; trying again in {wait} s", flush=True)
        time.sleep(wait)
        wait = min(2 * wait, LONGEST_WAIT)


class Attempt:
    """One run of FEDn's client, and what its log tells about it."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.facts = {"url": settings["api_url"], "tmp": tempfile.gettempdir()}
        self.joined = self.worked = self.passing = False
        self.folder: str | None = None
        self.client: subprocess.Popen[str] | None = None

    def run(self) -> str:
        """Run the client until it ends; return the cause."""
        # Of its own for every run: FEDn never cleans the one that it unpacks packages to.
        self.folder = tempfile.mkdtemp(prefix="package-")
        # FEDn's own download would write to wherever the controller's answer says, before it
        # compares the checksum: the client runs what is verified here, and downloads nothing.
        try:
            verify.prepare(archive(), self.settings, Path(self.folder))
        except BaseException:
            self.end()
            raise
        self.client = subprocess.Popen(
            [sys.executable, __file__, "client", "start", "-in", config(), "--local-package"],
            cwd=self.folder,
            env={
                **os.environ,
                **verify.named_files(),
                "FEDN_DATA_PATH": str(data_path()),
                "FEDN_PACKAGE_EXTRACT_DIR": self.folder,
                # The package's commands start `python`: the one that runs this.
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            },
            # Open for as long as this process lives: its end tells the client to end too.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # A group of its own, so that its entry points can be ended with it.
            start_new_session=True,
        )
        # A step that outlives the client would hold the log open for as long as it takes.
        threading.Thread(target=self.end_rest, daemon=True).start()
        cause = self.follow(self.client)
        code = self.client.wait()
        self.end()
        if cause:
            return cause
        if code < 0:
            return f"it was killed by {signal.Signals(-code).name}; was there memory enough?"
        return f"the client ended with exit code {code}; its log says why"

    def end_rest(self) -> None:
        """Wait for the client's end; end its worker and the step that it was in."""
        if self.client:
            self.client.wait()
        self.end()

    def end(self) -> None:
        """End the client with its worker and the step it is in; remove its folder."""
        if self.client:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.client.pid, signal.SIGKILL)
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def follow(self, client: "subprocess.Popen[str]") -> str:
        """Print the client's log as it comes. Return the cause of its end, if the log tells it."""
        own, known = "", ""
        for line in client.stdout or ():
            print(line, end="", flush=True)
            # The entry points' own errors say more than FEDn's, which follow.
            if line.startswith("error: ") and not any(sign in line for sign in CAUSES):
                own = line.removeprefix("error: ").strip()
            self.joined |= JOINED in line
            if WORKED in line:
                # What went wrong before was mended.
                self.worked, own, known = True, "", ""
            for sign, text in CAUSES.items():
                if sign in line:
                    known, self.passing = text, sign in PASSING
                    # The first one tells most: a line may hold several.
                    break
        self.passing &= not own
        return own or known.format(**self.facts)


def run_client() -> None:
    """Be FEDn's client, as in `fedn client start ...`, until the process that started this ends.

    The client tries for ever to reach a server that is gone, so nothing else would end it.
    """
    own = os.dup(0)
    # Its children have no part in that.
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)

    def wait() -> None:
        while os.read(own, 1024):
            pass
        os.killpg(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()
    # This folder is no place for FEDn to import from.
    if Path(sys.path[0]).resolve() == HERE:
        del sys.path[0]
    from fedn.cli import main as fedn

    sys.argv[0] = "fedn"
    fedn()


def check(file: Path) -> None:
    """Say what is in the data, or exit with the rule that it breaks.

    The package's own code looks at it, and is verified before, if there are settings.
    """
    settings = read_settings() if Path(config()).exists() else {}
    with tempfile.TemporaryDirectory(prefix="package-") as folder:
        verify.unpack(archive(), settings, Path(folder))
        command = [sys.executable, "-B", "check_data.py", str(file.resolve())]
        code = subprocess.run(command, cwd=folder, check=False).returncode
    if code:
        sys.exit(code)


def health() -> None:
    """Exit with 0 if FEDn's client runs here and is connected, else with 1 and a line."""
    import psutil

    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        # That of this site: another one may have its client on this machine, too.
        if words[2:4] == ["client", "start"] and config() in words:
            with suppress(psutil.AccessDenied):
                if any(c.status == "ESTABLISHED" for c in process.net_connections()):
                    return
            sys.exit("error: FEDn's client runs, but is not connected")
    sys.exit("error: FEDn's client does not run")


def read_settings() -> dict[str, Any]:
    """Return what client.yaml says, or exit with what is wrong with it."""
    import yaml

    try:
        with Path(config()).open(encoding="utf-8") as file:
            text = file.read(LONGEST + 1)
        if len(text) > LONGEST:
            raise ValueError(f"more than {LONGEST:,} characters")
        depth = 0
        for event in yaml.parse(text, yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            # With aliases, a few lines unfold to gigabytes.
            if depth > DEEPEST or isinstance(event, yaml.AliasEvent):
                raise ValueError("values that are nested or repeated")
        settings = yaml.safe_load(text)
    except OSError as error:
        sys.exit(f"error: expected the settings in {config()}, found: {error.strerror}")
    # What PyYAML raises at values that are not of their tag is more than its own errors.
    except Exception as error:
        words = ascii(" ".join(str(error).split()))[1:-1][:LONGEST_MESSAGE]
        sys.exit(f"error: {config()}: expected YAML: {words or type(error).__name__}")
    if not isinstance(settings, dict) or not settings.get("api_url") or not settings.get("name"):
        sys.exit(f"error: {config()}: expected api_url and name in it")
    for name in READ:
        value = settings.get(name, "")
        if value is not None and type(value) is not str and not is_number(value):
            sys.exit(
                f"error: {config()}: {name}: expected a text, found {type(value).__name__}; put it "
                "in quotes"
            )
    return settings


def is_number(value: object) -> bool:
    """Tell whether a value is a whole number that can be written out."""
    return type(value) is int and abs(value) < 1 << 63


def config() -> str:
    """Return the path of client.yaml."""
    return str(Path(os.environ.get("FEDN_CLIENT_CONFIG") or HERE / "client.yaml").absolute())


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
