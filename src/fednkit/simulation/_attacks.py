"""Attacks by hostile clients, to test defences in a simulation."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..aggregation.robust import Weights
from ..project.errors import ProjectError
from ._clients import Clients

Attack = Literal["sign-flip", "scale", "random", "constant", "nan", "label-flip"]
DEFAULT_STRENGTHS: dict[Attack, float | None] = {
    "sign-flip": 10.0,
    "scale": 10.0,
    "random": 10.0,
    "constant": 1.0,
    "nan": None,
    "label-flip": None,
}
DEFAULT_ATTACKERS_SHARE = 0.2


@dataclass(frozen=True, kw_only=True)
class AttackOptions:
    """The hostile clients of a simulation, and their attack.

    Attributes:
        attack: Attack by the hostile clients (default: none).
        attackers: Share of hostile clients (default: 0.2 with --attack).
        attack_strength: Factor of the attack (default: 10; for constant: 1).

    Raises:
        ProjectError: An option is out of range, or does not apply to the attack.
    """

    attack: Attack | None = None
    attackers: float | None = None
    attack_strength: float | None = None

    def __post_init__(self) -> None:
        share, strength = self.attackers, self.attack_strength
        if self.attack is None:
            for name, value in (("attackers", share), ("attack-strength", strength)):
                if value is not None:
                    raise ProjectError(f"--{name}: goes with --attack NAME")
            return
        if share is not None and not 0 <= share <= 1:
            raise ProjectError(f"--attackers: expected 0 to 1, found {share:g}")
        if strength is not None and DEFAULT_STRENGTHS[self.attack] is None:
            raise ProjectError(f"--attack-strength: {self.attack} has no strength")
        if strength is not None and not np.isfinite(strength):
            raise ProjectError(f"--attack-strength: expected a number, found {strength:g}")

    @property
    def share(self) -> float | None:
        """The share of hostile clients; None without an attack."""
        if self.attack is None or self.attackers is not None:
            return self.attackers
        return DEFAULT_ATTACKERS_SHARE

    @property
    def strength(self) -> float | None:
        """The factor of the attack; None for an attack without one."""
        if self.attack is None or self.attack_strength is not None:
            return self.attack_strength
        return DEFAULT_STRENGTHS[self.attack]


def attackers(options: AttackOptions, clients: int, seed: int) -> set[int]:
    """Return the hostile clients, drawn from the run's seed; they are the same in all rounds."""
    order = np.random.default_rng([seed, 4]).permutation(clients)
    return set(order[: round((options.share or 0) * clients)].tolist())


def forge(
    attack: Attack | None,
    strength: float | None,
    received: Weights,
    update: Weights,
    seed: list[int],
) -> Weights:
    """Return the update that a hostile client sends instead of its honest one.

    - sign-flip: received - strength * (update - received), which moves the wrong way.
    - scale: received + strength * (update - received).
    - random: received plus noise that is `strength` times as long as the honest step.
    - constant: `strength` everywhere.
    - nan: NaN everywhere.
    - label-flip: the update itself, because the client trained on flipped labels.

    Source of sign-flip, random and constant: Li et al., "RSA: Byzantine-Robust Stochastic
    Aggregation Methods", 2019.
    """
    if attack in (None, "label-flip") or not update:
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
    """Flip the training labels of hostile clients: class c becomes classes - 1 - c.

    The held-out labels stay correct, so the metrics do too. Source: Fang et al., "Local Model
    Poisoning Attacks to Byzantine-Robust Federated Learning", 2020.
    """
    for client in bad:
        rows = clients.train(client)
        clients.labels[rows] = classes - 1 - clients.labels[rows]
