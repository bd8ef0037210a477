"""A federation over four machines, as far as the network goes: an initiator and three sites.

    with Lab(project, folder) as lab:
        lab.serve()                       # fednkit serve, at the initiator's
        for site in lab.sites: site.join()          # as JOIN.md says: python join.py
        lab.start("session", "start", ...)          # a command of fednkit, there too
        lab.sites[2].cable(delay=0.2, loss=0.05)

Each is in a network namespace of its own, with a cable to the initiator's (wire.py), so nothing
of it can be reached from this machine or from another test. At the end of the block every process
in the namespaces is killed, and they are gone.

Needs root, Debian's iproute2 and /dev/net/tun; `MISSING` says what is not there, or is empty.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import elsewhere
from elsewhere import ip
from installing import Installed

MISSING = elsewhere.MISSING or ("" if Path("/dev/net/tun").exists() else "no /dev/net/tun here")
WIRE = Path(__file__).with_name("wire.py")
PORT = 8092
# How long a test waits for what must come, and for the end of a session, seconds. Neither is what
# is tested.
PATIENCE, LONG_PATIENCE = 60, 240


class Machine:
    """A network namespace, and what runs in it."""

    def __init__(self, name: str, address: str) -> None:
        self.name, self.address = name, address
        ip("netns", "add", name)
        ip("-netns", name, "link", "set", "lo", "up")

    def popen(
        self, command: Sequence[str | Path], folder: Path, log: Path, **environment: str
    ) -> subprocess.Popen[str]:
        """Start a command here; what it prints goes to a file."""
        with log.open("a") as stream:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.name, *command],
                cwd=folder,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def processes(self) -> dict[int, str]:
        """Return the command lines of all that runs here, by process id."""
        found = {}
        for pid in map(int, ip("netns", "pids", self.name).split()):
            try:
                line = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            # A process that has ended, but was not waited for, has none.
            if line:
                found[pid] = line.replace(b"\0", b" ").decode()
        return found

    def pids(self, pattern: str) -> list[int]:
        return sorted(pid for pid, line in self.processes().items() if re.search(pattern, line))

    def clear(self) -> None:
        """Kill all that runs here, also what is frozen."""
        deadline = time.monotonic() + 30
        while (running := ip("netns", "pids", self.name).split()) and time.monotonic() < deadline:
            for pid in running:
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            time.sleep(0.1)
        assert not running, f"{self.name}: {running} cannot be killed"

    def remove(self) -> None:
        """Kill all that runs here, and let the namespace go."""
        try:
            self.clear()
        finally:
            ip("netns", "delete", self.name)


class Command:
    """A command of fednkit that runs at the initiator's."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process, self.log = process, log

    def printed(self) -> str:
        return self.log.read_text("utf-8", "replace")

    def wait_for(self, text: str) -> None:
        assert self.says(text), f"expected '{text}', found: {self.printed()}"

    def says(self, text: str) -> bool:
        """Wait until it prints a text; tell whether it did before it ended."""

        def decided() -> bool:
            return text in self.printed() or self.process.poll() is not None

        until(decided, lambda: f"'{text}' in: {self.printed()}")
        return text in self.printed()

    def end(self) -> tuple[int, str]:
        """Wait for its end; return the exit code and all that it printed."""
        code = self.process.wait(timeout=LONG_PATIENCE)
        assert "Traceback" not in self.printed(), self.printed()
        return code, self.printed()


class Site(Machine):
    """A site that was invited, and joins as its page says."""

    def __init__(self, lab: "Lab", number: int, name: str) -> None:
        address = f"10.77.0.{number + 1}"
        super().__init__(f"{lab.prefix}-{number}", address)
        self.lab, self.number, self.invited = lab, number, name
        self.folder = lab.folder / f"machine-{number}"
        self.log = lab.folder / f"machine-{number}.log"
        self.log.touch()
        self.joining: subprocess.Popen[str] | None = None
        self.wire = subprocess.Popen(
            [sys.executable, WIRE, lab.initiator.name, lab.initiator.address, self.name, address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.wire.stdout
        assert self.wire.stdout.readline() == "up\n"

    def invite(self) -> None:
        invitation = self.lab.project.folder / "invitations" / self.invited
        if not invitation.exists():
            options = "--site", self.invited, "--api-url", self.lab.url
            self.lab.project.fednkit("invite", *options)
        shutil.copytree(invitation, self.folder)
        self.data = self.folder / "data" / "transactions.csv"
        source = self.lab.project.folder / "data" / f"site-{self.number}" / "transactions.csv"
        shutil.copy(source, self.data)

    def cable(self, delay: float = 0, loss: float = 0, rate: float = 0, cut: bool = False) -> None:
        """Say how the cable is from now on: seconds, share of packets, bytes a second."""
        assert self.wire.stdin
        state = {"delay": delay, "loss": loss, "rate": rate, "cut": cut}
        self.wire.stdin.write(json.dumps(state) + "\n")
        self.wire.stdin.flush()

    def join(self, command: Sequence[str | Path] = (), **environment: str) -> "Site":
        """Start join.py, behind another command if one is given; return when it waits for work."""
        if not self.folder.exists():
            self.invite()
        seen = self.mark()
        python = self.lab.project.python
        self.joining = self.popen(
            [*command, python, "-u", "join.py"], self.folder, self.log, **environment
        )
        self.wait_for("Listening to task stream", seen)
        return self

    def leave(self) -> int:
        assert self.joining
        (pid,) = self.pids(r"-u join\.py")
        os.kill(pid, signal.SIGTERM)
        return self.joining.wait(timeout=PATIENCE)

    def mark(self) -> int:
        """Return how long the log is; what comes later is news."""
        return len(self.said())

    def said(self, since: int = 0) -> str:
        return self.log.read_text("utf-8", "replace")[since:]

    def wait_for(self, text: str, since: int = 0) -> None:
        until(
            lambda: text in self.said(since), lambda: f"{self.name}: '{text}': {self.said(since)}"
        )

    def kill(self, pattern: str, number: int = signal.SIGKILL) -> int:
        """Send a signal to the one process of that kind as soon as there is one."""
        found: list[int] = []

        def there() -> bool:
            found[:] = self.pids(pattern)
            return bool(found)

        until(there, lambda: f"{self.name}: {pattern}: {self.processes()}", pause=0.01)
        os.kill(found[0], number)
        return found[0]


CLIENT, WORKER = r"join\.py client start", r"fednsite\.worker \.worker"
TRAINING = r"python train\.py"


class Lab:
    """The initiator and three sites. Use it in a `with` block."""

    _count = 0

    def __init__(self, project: Installed, folder: Path) -> None:
        Lab._count += 1
        self.prefix = f"lab-{os.getpid()}-{Lab._count}"
        self.project, self.folder = project, folder
        self.url = f"http://10.77.0.1:{PORT}"
        self.server: Command | None = None
        self.sites: list[Site] = []
        self._commands = 0

    def __enter__(self) -> "Lab":
        self.initiator = Machine(f"{self.prefix}-0", "10.77.0.1")
        try:
            for number in (1, 2, 3):
                self.sites.append(Site(self, number, f"bank-{number}"))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for machine in (*self.sites, self.initiator):
            machine.remove()
        for site in self.sites:
            site.wire.kill()
            site.wire.communicate()
        for process in [site.joining for site in self.sites if site.joining]:
            process.wait()

    def start(self, *arguments: str) -> Command:
        """Start a command of fednkit at the initiator's."""
        self._commands += 1
        log = self.folder / f"command-{self._commands}.log"
        command = self.project.program(*arguments)
        return Command(self.initiator.popen(command, self.project.folder, log), log)

    def serve(self) -> None:
        """Start the controller and the combiner, and hand them the package and the seed model."""
        self.server = self.start(
            "serve", "--host", self.initiator.address, "--port", str(PORT), "--no-tokens"
        )
        self.server.wait_for("Ctrl-C\n")

    def upload(self) -> None:
        code, printed = self.start("upload", "--api-url", self.url).end()
        assert code == 0, printed

    def mend(self) -> None:
        """Start everything anew."""
        for machine in (*self.sites, self.initiator):
            machine.clear()
        self.serve()
        self.upload()
        for site in self.sites:
            shutil.rmtree(site.folder, ignore_errors=True)
            site.join()

    def online(self) -> list[str]:
        """Return the names of the sites that FEDn takes for online, sorted."""
        code = (
            "import json, urllib.request\n"
            f"answer = urllib.request.urlopen('{self.url}/api/v1/clients/', timeout=30)\n"
            "for client in json.load(answer)['result']:\n"
            "    if client['status'] == 'online': print(client['name'])\n"
        )
        command = ["ip", "netns", "exec", self.initiator.name, sys.executable, "-c", code]
        return sorted(subprocess.run(command, capture_output=True, text=True).stdout.split())

    def session(self, *options: str, sites: int = 3) -> Command:
        """Start rounds as soon as so many sites are there."""
        until(lambda: len(self.online()) == sites, lambda: f"{sites} sites: {self.online()}", 0.5)
        session = self.start("session", "start", "--api-url", self.url, *options)
        session.wait_for("session: ")
        return session

    def run(self) -> Path:
        """Return the folder of the newest session."""
        return max((self.project.folder / "runs").glob("*-session*"))

    def server_log(self) -> str:
        newest = max((self.project.folder / "runs").glob("*-serve*"))
        return (newest / "server.log").read_text("utf-8", "replace")

    def updates(self) -> list[int]:
        """Return how many updates each round of the newest session had.

        Every round made a model, and the last one is on disk and loads.
        """
        record = json.loads((self.run() / "metrics.json").read_text("utf-8"))
        assert all(entry["model_id"] for entry in record["rounds"])
        assert self.project.same_arrays(self.run() / "model.npz", self.run() / "model.npz")
        return [entry["updates"] for entry in record["rounds"]]


def missed(printed: str, site: str) -> bool:
    """Tell whether a session said that a round did without a site: while it waited, or after."""
    said = rf"round \d (is over its .*; still missing:|ended without) {site}\n"
    return re.search(said, printed) is not None


def until(condition: Callable[[], bool], what: Callable[[], str], pause: float = 0.1) -> None:
    """Wait for what must come."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE} s: {what()}"
        time.sleep(pause)
