"""Compare a round on the hardened server with one on FEDn's own controller and combiner.

    PYTHONPATH=tests python benchmarks/hardening.py [--sites 30] [--megabytes 100] [--rounds 5]

Three servers with the library's embedded storage run rounds in alternation: `plain` is FEDn's
classes without the guards of fednkit.network, `hardened` is the server of `fednkit network`, and
`with store` is that of `fednkit serve --store`. There are two settings: many sites with a model of
40 KB, and 3 sites with a model of 100 MB. The sites are threads of this process. Each downloads the
model and uploads an update of the same size at once; after the round it downloads the new model and
sends fixed metrics.

`round` is the time from the request for a round until its record is Finished. For small models, it
is mostly FEDn's polling, with random waits of up to 2 s. `combiner` is the part in which FEDn's
combiner collects and aggregates the updates, as recorded by FEDn. `CPU` is the server process's
user and system time until all metrics have arrived. These are medians over all rounds but the
first. `memory` is the process's peak resident memory over all rounds. Ratios to `plain` are in
brackets. Prints a table and the ratios, and writes build/bench/hardening.json. Needs Linux.
"""

import argparse
import shutil
import statistics
import threading
import time
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import fedn.network.grpc.fedn_pb2 as fedn
import grpc
import measuring
import numpy as np
import psutil
from fedn import APIClient
from hardening_server import CASES, start
from hostile_sites import Site, connection
from made_up_updates import model_file
from memory import megabytes

from fednkit.aggregation.robust import Weights
from fednkit.network.server import LOOPBACK

# Decimal places to print.
FIGURES = {"round": 2, "combiner": 2, "CPU": 2, "memory": 0}
METRICS = {"accuracy": 0.5, "loss": 0.7}
ARRAYS = 10
POLL_SECONDS, TIMEOUT_SECONDS = 0.1, 180


class ScriptedSite(Site):
    """A site that responds to every task at once."""

    def __init__(self, network: "Network", name: str) -> None:
        super().__init__(network, name)
        threading.Thread(target=self._answer, args=[network], daemon=True).start()

    def _answer(self, network: "Network") -> None:
        with suppress(grpc.RpcError):
            while True:
                task = self._tasks.get()
                request = fedn.ModelRequest(id=task.model_id, sender=self.sender())
                for _ in self.models.Download(request, **self.call()):
                    pass
                if task.type == fedn.StatusType.MODEL_UPDATE:
                    self.send(task.model_id, network.update)
                else:
                    self.validate(task.model_id, METRICS)
                    network.validated.release()


class Network:
    """One server and its sites."""

    def __init__(self, pid: int, ports: dict[str, int]) -> None:
        self.process = psutil.Process(pid)
        self.api = APIClient(LOOPBACK, ports["api_port"])
        self.secret = ""
        self.address = f"{LOOPBACK}:{ports['combiner_port']}"
        self.update = b""
        self.validated = threading.Semaphore(0)

    def connection(self) -> Any:
        """Return a channel to the combiner with a connection of its own."""
        return connection(self.address)

    def join(self, seed: Path, sites: int) -> None:
        """Upload the seed model and let the sites join."""
        self.sites = sites
        self.api.set_active_model(str(seed))
        for number in range(sites):
            ScriptedSite(self, f"site-{number + 1}")
        measuring.wait_for(lambda: self._online() == sites, f"{sites} sites")

    def round(self, number: int, update: bytes) -> dict[str, float]:
        """Run a round and return its measurements."""
        self.update = update
        cpu, start = self._cpu(), time.perf_counter()
        session = self.api.start_session(
            name=f"round {number}", rounds=1, round_timeout=TIMEOUT_SECONDS, min_clients=self.sites
        )["session_id"]
        while (record := self.api.get_round(str(number))).get("status") != "Finished":
            if record.get("status") == "Failed" or time.perf_counter() - start > TIMEOUT_SECONDS:
                raise SystemExit(f"error: round {number} failed: {record}")
            time.sleep(POLL_SECONDS)
        took = time.perf_counter() - start
        for _ in range(self.sites):
            if not self.validated.acquire(timeout=TIMEOUT_SECONDS):
                raise SystemExit(f"error: expected metrics of {self.sites} sites, found fewer")
        cpu = self._cpu() - cpu
        status = partial(self.api.get_session_status, session)
        measuring.wait_for(lambda: status() == "Finished", "the end of the session")
        (combiner,) = record["combiners"]
        used = combiner["data"]["aggregation_time"]["nr_aggregated_models"]
        if used != self.sites:
            raise SystemExit(f"error: expected {self.sites} updates to count, found {used}")
        peak = megabytes(Path(f"/proc/{self.process.pid}/status"), "VmHWM") * 1.048576
        collected = combiner["time_exec_training"]
        return {"round": took, "combiner": collected, "CPU": cpu, "memory": peak}

    def _cpu(self) -> float:
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def _online(self) -> int:
        return sum(c["status"] == "online" for c in self.api.get_clients().get("result", []))


def measure(folder: Path, sites: int, size: int, rounds: int) -> dict[str, dict[str, float]]:
    """Return the measurements by case.

    Args:
        folder: Folder for the servers.
        sites: The number of sites.
        size: The number of float32 values in the model.
        rounds: The number of rounds; the first is not counted.
    """
    values = np.random.default_rng(0).normal(size=size).astype(np.float32)
    arrays: Weights = np.array_split(values, ARRAYS)
    found: dict[str, list[dict[str, float]]] = {case: [] for case in CASES}
    with ExitStack() as stack:
        started = {case: stack.enter_context(start(folder / case, case)) for case in CASES}
        networks = {case: Network(pid, ports) for case, (pid, ports) in started.items()}
        seed = folder / "seed.npz"
        seed.write_bytes(model_file(arrays))
        for one in networks.values():
            one.join(seed, sites)
        for number in range(1, rounds + 1):
            update = model_file([array + number for array in arrays])
            for case, one in networks.items():
                found[case].append(one.round(number, update))
            measuring.progress(f"{folder.name}: round {number} of {rounds}")
        measuring.progress("")
    shutil.rmtree(folder)
    # The peak never falls, so take the last value instead of the median.
    return {
        case: {name: statistics.median(one[name] for one in figures[1:]) for name in FIGURES}
        | {"memory": figures[-1]["memory"]}
        for case, figures in found.items()
    }


def rows(name: str, cases: dict[str, dict[str, float]]) -> list[list[str]]:
    """Return the table's rows for one setting."""
    lines = []
    for figure, digits in FIGURES.items():
        plain, *others = (cases[case][figure] for case in CASES)
        cells = [f"{value:.{digits}f} ({value / plain:.2f})" for value in others]
        unit = "MB" if figure == "memory" else "s"
        lines.append([f"{name}: {figure}, {unit}", f"{plain:.{digits}f}", *cells])
    return lines


def ratios(name: str, cases: dict[str, dict[str, float]]) -> str:
    """Return one setting's ratios as a line."""
    words = []
    for case in CASES[1:]:
        wall, _, cpu, memory = (cases[case][one] / cases["plain"][one] for one in FIGURES)
        words.append(f"{case}/plain time {wall:.2f} CPU {cpu:.2f} memory {memory:.2f}")
    return f"{name}: ratio {', '.join(words)}"


def main() -> None:
    """Measure both settings, print the table and the ratios, write the JSON."""
    parser = argparse.ArgumentParser(description="Measure the cost of the hardened server.")
    parser.add_argument("--sites", type=int, default=30, help="sites with the small model (30)")
    parser.add_argument("--megabytes", type=int, default=100, help="MB of the large model (100)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; skips the first (5)")
    options = parser.parse_args()
    folder = measuring.fresh_folder("hardening")
    settings = {
        f"{options.sites} sites, 40 KB": (options.sites, 10_000),
        f"3 sites, {options.megabytes} MB": (3, options.megabytes * 250_000),
    }
    results = {
        name: measure(folder / name, *setting, options.rounds) for name, setting in settings.items()
    }
    lines = [line for name, cases in results.items() for line in rows(name, cases)]
    print(f"{measuring.machine_line()}; medians of {options.rounds - 1} rounds")
    print(measuring.table(("a round", *CASES), lines, markdown=True))
    for name, cases in results.items():
        print(ratios(name, cases))
    print(f"wrote {measuring.write('hardening', {'rounds': options.rounds, **results})}")


if __name__ == "__main__":
    main()
