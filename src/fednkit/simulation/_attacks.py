"""What a broken or hostile client sends, to try defences with in a simulation."""

import argparse

import numpy as np

from ..aggregation.robust import Weights
from ..project.errors import ProjectError
from ._clients import Clients

# What each attack does with its strength, and how strong it is when nothing else is said.
ATTACKS: dict[str, float | None] = {
    "sign-flip": 10.0,
    "scale": 10.0,
    "random": 10.0,
    "constant": 1.0,
    "nan": None,
    "label-flip": None,
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare who is bad in a simulation, and how."""
    add = parser.add_argument
    add("--attack", choices=tuple(ATTACKS), help="what bad clients send (default: there are none)")
    add("--attackers", type=float, metavar="SHARE", help="share of bad clients (default 0.2)")
    add("--attack-strength", type=float, metavar="X", help="how far it goes (10; constant 1)")


def check(options: argparse.Namespace) -> None:
    """Fill in what is not said. Raises `ProjectError` for an option that makes no sense."""
    if options.attack is None:
        for name in ("attackers", "attack_strength"):
            if getattr(options, name) is not None:
                raise ProjectError(f"--{name.replace('_', '-')}: goes with --attack NAME")
        return
    if options.attackers is None:
        options.attackers = 0.2
    if not 0 <= options.attackers <= 1:
        raise ProjectError(f"--attackers: expected 0 to 1, found {options.attackers:g}")
    if options.attack_strength is None:
        options.attack_strength = ATTACKS[options.attack]
    elif ATTACKS[options.attack] is None or not np.isfinite(options.attack_strength):
        raise ProjectError(
            f"--attack-strength: {options.attack} has none"
            if ATTACKS[options.attack] is None
            else f"--attack-strength: expected a number, found {options.attack_strength:g}"
        )


def attackers(options: argparse.Namespace, clients: int) -> set[int]:
    """Return which clients are bad; the run's seed draws them, once for all rounds."""
    if options.attack is None:
        return set()
    order = np.random.default_rng([options.seed, 4]).permutation(clients)
    return set(order[: round(options.attackers * clients)].tolist())


def forge(
    attack: str, strength: float | None, received: Weights, update: Weights, seed: list[int]
) -> Weights:
    """Return what a bad client sends in place of its honest update.

    sign-flip: received - strength * (update - received), away from where it should go.
    scale: received + strength * (update - received). random: received and noise, `strength` times
    as long as the honest step. constant: `strength` everywhere. nan: NaN everywhere. Sign-flip,
    random and constant are those of Li et al., "RSA: Byzantine-Robust Stochastic Aggregation
    Methods", 2019. A client that flips labels sends what it learns from them: nothing is forged.
    """
    if attack == "label-flip" or not update:
        return update
    steps = [new - old for new, old in zip(update, received, strict=True)]
    factor = np.float32(0.0 if strength is None else strength)
    if attack in ("constant", "nan"):
        value = np.float32(np.nan) if attack == "nan" else factor
        return [np.full_like(array, value) for array in update]
    if attack == "random":
        random = np.random.default_rng(seed)
        noise = [random.normal(size=step.shape) for step in steps]
        length = np.sqrt(sum(np.square(step, dtype=np.float64).sum() for step in steps))
        size = np.sqrt(sum(np.square(array).sum() for array in noise))
        pairs = zip(noise, steps, strict=True)
        steps = [(array * (length / size)).astype(step.dtype) for array, step in pairs]
    if attack == "sign-flip":
        factor = -factor
    with np.errstate(over="ignore", invalid="ignore"):
        sent = [old + factor * step for old, step in zip(received, steps, strict=True)]
    return [new.astype(array.dtype) for new, array in zip(sent, update, strict=True)]


def flip_labels(clients: Clients, bad: set[int], classes: int) -> None:
    """Flip the labels that bad clients learn from: class c becomes classes - 1 - c.

    As in Fang et al., "Local Model Poisoning Attacks to Byzantine-Robust Federated Learning",
    2020. The held-out labels stay, so that all is measured by the truth.
    """
    for client in bad:
        rows = clients.train(client)
        clients.labels[rows] = classes - 1 - clients.labels[rows]
