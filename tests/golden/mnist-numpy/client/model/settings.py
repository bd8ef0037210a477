"""Hyper-parameters of local training: typed defaults, overridden by what the server sends."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import inf
from typing import Any

from .errors import PackageError

# The largest whole number that every framework takes.
LARGEST = 2**31 - 1


@dataclass(frozen=True)
class Settings:
    """One round of local training. Change a default here and every site trains with it."""

    # Passes over the site's training examples in a round: few, so that sites do not drift apart.
    epochs: int = 3
    # Examples per gradient step.
    batch_size: int = 64
    # Step size of Adam, which starts afresh in every round.
    learning_rate: float = 0.003
    # Weigh the rare class up until both count the same: fraud is well under one per cent.
    balance_classes: bool = True
    # Repeats a run exactly. The step's own seed is derived from it (see seeding.py).
    seed: int = 0
    # Differential privacy, see privacy.py. Standard deviation of the noise on an update, in units
    # of the clip; 0: none, and the update goes as it is.
    noise: float = 0.0
    # The longest change of the weights that a noised update may stand for.
    clip: float = 1.0
    # The epsilon that a site may spend on all its updates: then it sends no more.
    budget: float = 8.0
    # Of that epsilon: the chance in which it does not hold.
    delta: float = 1e-5

    def __post_init__(self) -> None:
        if not 0 <= self.noise < inf:
            raise PackageError(f"setting 'noise': expected 0 or more, found {self.noise!r}")
        if not self.delta < 1:
            raise PackageError(f"setting 'delta': expected below 1, found {self.delta!r}")
        for name in ("epochs", "batch_size", "learning_rate", "clip", "budget", "delta"):
            if not getattr(self, name) > 0:
                raise PackageError(
                    f"setting '{name}': expected a number above 0, found {getattr(self, name)!r}"
                )
        for name in ("epochs", "batch_size", "learning_rate"):
            # What frameworks count with; an infinite step size is caught as well.
            if not abs(getattr(self, name)) <= LARGEST:
                raise PackageError(f"setting '{name}': expected a number up to {LARGEST:,}")

    @classmethod
    def override(cls, sent: Mapping[str, Any]) -> "Settings":
        """Return the defaults with the settings `sent` by the server put over them.

        Raises `PackageError` that names a setting which is unknown or of another type.
        """
        kinds: dict[str, Any] = {field.name: type(field.default) for field in fields(cls)}
        accepted: dict[str, Any] = {}
        for name, value in sent.items():
            if name not in kinds:
                raise PackageError(
                    f"setting '{name}' is unknown; expected one of {', '.join(kinds)}"
                )
            if kinds[name] is float and type(value) is int:
                # A larger one might be none that a float can be; any is refused below.
                value = float(max(-1, min(value, LARGEST + 1)))
            if type(value) is not kinds[name]:
                plain = isinstance(value, str | int | float | None)
                found = repr(value) if plain else type(value).__name__
                raise PackageError(
                    f"setting '{name}': expected {kinds[name].__name__}, found {found}"
                )
            accepted[name] = value
        return cls(**accepted)
