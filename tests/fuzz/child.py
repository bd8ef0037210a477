"""Try cases in this process, and print what came of each kind as a line of JSON.

    python -B -m fuzz.child SEED EVERY KIND=CASES ...

EVERY: of a corpus' numbered cases each so many'th is tried. It is started by `fuzz.running` in an
empty folder, which becomes that of a project with its compute package.
"""

import json
import os
import re
import resource
import shutil
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from library import write_package, write_project

from fuzz.kinds import KINDS, Case, Target, WrongError

# A message to a person: no longer than this, and one line.
LONGEST = 4100
# What the process may reserve beyond what it has when it begins, resident or not, in bytes.
RESERVED = 1 << 30
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CHANGES = (
    *("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chmod"),
    "os.truncate",
)
STARTS = (
    *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect"),
    *("pickle.find_class", "ctypes.dlopen"),
)


class Watch:
    """Keeps what this process starts, unpickles, and writes outside of a folder."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = f"{scratch}{os.sep}"
        self.seen: list[str] = []
        self.on = False
        sys.addaudithook(self.hear)

    def hear(self, happening: str, arguments: tuple[Any, ...]) -> None:
        """Python calls this for whatever happens."""
        if not self.on:
            return
        if happening in STARTS:
            self.seen.append(f"{happening} {arguments!r:.100}")
        elif happening in CHANGES or (happening == "open" and (arguments[2] or 0) & WRITES):
            where = arguments[0]
            if isinstance(where, int) or where == os.devnull:
                return
            path = os.path.normpath(Path.cwd() / os.fsdecode(where))
            if not path.startswith(self.scratch):
                self.seen.append(f"{happening} {path}")


def memory(kind: str) -> int:
    """Return this process' memory in bytes, as /proc names it: VmRSS now, VmHWM at its highest."""
    text = Path("/proc/self/status").read_bytes()
    start = text.index(kind.encode())
    return int(text[start : text.index(b"kB", start)].split()[1]) * 1024


def forget_peak() -> None:
    """Let VmHWM begin anew."""
    Path("/proc/self/clear_refs").write_bytes(b"5")


class Trial:
    """Tries cases and counts."""

    def __init__(self, target: Target, watch: Watch, megabytes: int) -> None:
        self.target, self.watch, self.megabytes = target, watch, megabytes
        self.scratch = scratch = Path(watch.scratch)
        self.found: dict[str, Any] = {"cases": 0, "refused": 0, "accepted": 0, "peak": 0.0}
        self.crashes: list[dict[str, str]] = []
        self.said = Path(scratch.parent, "said").open("w+b")  # noqa: SIM115
        os.dup2(self.said.fileno(), 1)
        os.dup2(self.said.fileno(), 2)

    def warm_up(self) -> None:
        """Try what is good, which imports and reserves what no case must be blamed for."""
        for name in self.target.good:
            if not self.target.judge(self.target.corpus[name]):
                raise WrongError(f"refused {name}")
            self.tidied()

    def tidied(self) -> list[str]:
        """Remove what a case made; return the names of what it should not have left."""
        left = [path for path in self.scratch.iterdir() if not path.name.startswith("in")]
        for path in self.scratch.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path in left:
                path.unlink()
        return [path.name for path in left]

    def one(self, name: str, case: Case) -> None:
        """Try a case and count it."""
        # Should it end this process, its parent finds what it was.
        Path(self.scratch.parent, "case").write_text(name, encoding="utf-8")
        before = memory("VmRSS:")
        forget_peak()
        self.watch.on = True
        try:
            outcome = "accepted" if self.target.judge(case) else "refused"
        except self.target.refusals as error:
            outcome = "refused"
            message = str(error)
            if not message.isprintable() or not message or len(message) > LONGEST:
                self.crash(name, f"says {message[:200]!r}")
        except WrongError as error:
            outcome = "wrong"
            self.crash(name, f"wrong: {error}")
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            outcome = "crashed"
            place = traceback.extract_tb(error.__traceback__)[-1]
            words = f"{type(error).__name__}: {str(error)[:200]!r}"
            self.crash(name, f"{words} at {Path(place.filename).name}:{place.lineno}")
        self.watch.on = False
        extra = (memory("VmHWM:") - before) / 1e6
        self.found["cases"] += 1
        self.found[outcome] = self.found.get(outcome, 0) + 1
        self.found["peak"] = max(self.found["peak"], extra)
        if extra > self.megabytes:
            self.crash(name, f"took {extra:.0f} MB")
        if self.watch.seen:
            self.crash(name, f"did {self.watch.seen}")
            self.watch.seen.clear()
        if left := self.tidied():
            self.crash(name, f"left {left}")
        if self.said.tell():
            self.said.seek(0)
            self.crash(name, f"said {self.said.read(300)!r}")
            self.said.seek(0)
            self.said.truncate()

    def crash(self, name: str, what: str) -> None:
        """Keep what went wrong, of the first hundred."""
        self.found["crashes"] = self.found.get("crashes", 0) + 1
        if len(self.crashes) < 100:
            self.crashes.append({"case": name, "what": what})


def main() -> None:
    """Try the corpus of each kind, then as many cases as asked for."""
    seed, every, *asked = sys.argv[1:]
    write_project(Path.cwd())
    sys.path.insert(0, str(write_package(Path.cwd() / "client")))
    scratch = Path.cwd() / "scratch"
    scratch.mkdir()
    watch, out = Watch(scratch), os.dup(1)
    unlimited = resource.getrlimit(resource.RLIMIT_AS)
    for name, cases in (one.split("=") for one in asked):
        started = time.perf_counter()
        kind = KINDS[name]
        target = kind.ready(scratch)
        trial = Trial(target, watch, kind.megabytes)
        trial.warm_up()
        limit = memory("VmSize:") + RESERVED
        resource.setrlimit(resource.RLIMIT_AS, (limit, unlimited[1]))
        for title, case in kept(target.corpus, int(every)).items():
            trial.one(title, case)
        for number in range(int(cases)):
            label = f"{name} {seed} {number}"
            trial.one(label, target.generate(Random(label)))
        resource.setrlimit(resource.RLIMIT_AS, unlimited)
        trial.said.close()
        shutil.rmtree(scratch)
        scratch.mkdir()
        seconds = time.perf_counter() - started
        line = {"kind": name, **trial.found, "seconds": seconds, "found": trial.crashes}
        os.write(out, (json.dumps(line) + "\n").encode())


def kept(corpus: Mapping[str, Case], every: int) -> dict[str, Case]:
    """Return a corpus, of its numbered cases each so many'th one."""
    # Where a file of arrays is a part of the case, its odd arrays are counted as numbered, too.
    numbers = {name: re.search(r"(?:: |[,:] [a-z]+ )(\d+)$", name) for name in corpus}
    return {
        name: corpus[name]
        for name, number in numbers.items()
        if number is None or int(number[1]) % every == 0
    }


if __name__ == "__main__":
    main()
