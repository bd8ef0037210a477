"""A FEDn controller that runs elsewhere: in a network namespace of its own on this machine.

    with Elsewhere() as there:
        there.serve(project, "--host", there.address)   # fednkit serve
        ...                                             # join http://{there.address}:8092 from here

The namespace has a network stack of its own: its loopback interface, ports and addresses are none
of this machine's. One cable (veth) leads there, and nothing leads further: `there.address` is the
other end as it is reached from here. So whatever works between the two works between machines,
and what listens on the loopback interface of one cannot be reached from the other.

Needs root and Debian's iproute2; `MISSING` says which one is not there, or is empty.
"""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from installing import Installed

MISSING = (
    "network namespaces need root"
    if os.geteuid() != 0
    else "the command ip is missing (Debian: iproute2)"
    if shutil.which("ip") is None
    else ""
)


class Elsewhere:
    """Another machine, as far as the network goes. Use it in a `with` block."""

    # A namespace each, also for tests that run at the same time.
    _count = 0

    def __init__(self) -> None:
        Elsewhere._count += 1
        self.name = f"fedn-{os.getpid()}-{Elsewhere._count}"
        # An interface's name has at most 15 characters.
        self._cable = f"v{os.getpid()}-{Elsewhere._count}"
        taken = ip("-4", "-oneline", "address")
        nets = (f"10.77.{(os.getpid() + number) % 256}" for number in range(256))
        net = next(net for net in nets if f" {net}." not in taken)
        self.address, self._here = f"{net}.1", f"{net}.2"
        self._started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> "Elsewhere":
        cable = self._cable
        ip("netns", "add", self.name)
        try:
            ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", self.name)
            ip("address", "add", f"{self._here}/24", "dev", cable)
            ip("link", "set", cable, "up")
            there = "-netns", self.name
            ip(*there, "address", "add", f"{self.address}/24", "dev", "eth0")
            ip(*there, "link", "set", "eth0", "up")
            ip(*there, "link", "set", "lo", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            process.terminate()
        try:
            for process in self._started:
                process.communicate(timeout=30)
        finally:
            for process in self._started:
                process.kill()
            # Deleted here it is gone at both ends at once; with the namespace it goes in a while.
            if f" {self._cable}@" in ip("-oneline", "link"):
                ip("link", "delete", self._cable)
            ip("netns", "delete", self.name)

    def start(self, command: Sequence[str | Path], **options: Any) -> subprocess.Popen[str]:
        """Start a command there; it is stopped at the end. Its output can be read by line."""
        captured = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.name, *command], **(captured | options)
        )
        self._started.append(process)
        return process

    def serve(
        self, project: Installed, *arguments: str, **environment: str
    ) -> subprocess.Popen[str]:
        """Run the project's `fednkit serve` there; return when it is ready."""
        process = self.start(
            project.program("serve", *arguments),
            cwd=project.folder,
            env=os.environ | environment,
        )
        assert process.stdout
        printed = ""
        for line in process.stdout:
            printed += line
            if line.endswith("Ctrl-C\n"):
                return process
        raise AssertionError(f"serve ended: {printed}")


def ip(*arguments: str) -> str:
    """Run Debian's ip, which must succeed, and return what it printed."""
    result = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"ip {' '.join(arguments)}: {result.stderr}"
    return result.stdout
