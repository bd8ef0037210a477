"""Hyper-parameters of local training: typed defaults that the server can override."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import inf, isfinite
from typing import Any, TypeVar, cast

from .errors import PackageError

__all__ = ["BaseSettings"]

# The largest whole number that every framework accepts.
MAX_NUMBER = 2**31 - 1
# Settings without an upper limit.
UNBOUNDED = ("noise", "clip", "budget")
# Settings that must be above 0, regardless of their default.
ABOVE_ZERO = ("epochs", "batch_size", "learning_rate", "clip", "budget", "delta")

SettingsType = TypeVar("SettingsType", bound="BaseSettings")


@dataclass(frozen=True)
class BaseSettings:
    """The settings of every package; a model library adds its own fields with defaults.

    A field is an int, a float, a bool or a str. The default of a number sets its range: above 0,
    values must be above 0; at 0, values must be 0 or more; below 0, any value is valid.

    Attributes:
        seed: Makes a run repeatable. Each training step derives its own seed from it.
        noise: Differential privacy: the standard deviation of the noise on an update, in units of
            `clip`. 0 means no noise.
        clip: The largest change of the weights (L2 norm) in a noised update; longer changes are
            shortened.
        budget: The epsilon that a site may spend on all its updates; after that, it sends none.
        delta: The probability that the bound on epsilon does not hold.
    """

    seed: int = 0
    noise: float = 0.0
    clip: float = 1.0
    budget: float = 8.0
    delta: float = 1e-5

    def __post_init__(self) -> None:
        for field in fields(self):
            # The seed may be any number.
            if field.name != "seed" and type(field.default) in (int, float):
                _check_range(field.name, getattr(self, field.name), cast(float, field.default))
        if not self.delta < 1:
            raise PackageError(f"setting 'delta': expected below 1, found {self.delta!r}")

    @classmethod
    def override(cls: type[SettingsType], sent: Mapping[str, Any]) -> SettingsType:
        """Return the defaults, overridden by the settings that the server `sent`.

        Raises:
            PackageError: A setting is unknown, has the wrong type or is out of range.
        """
        kinds: dict[str, Any] = {field.name: type(field.default) for field in fields(cls)}
        accepted: dict[str, Any] = {}
        for name, value in sent.items():
            if name not in kinds:
                raise PackageError(
                    f"setting '{name}' is unknown; expected one of {', '.join(kinds)}"
                )
            if kinds[name] is float and type(value) is int:
                value = _to_float(value)
            if type(value) is not kinds[name]:
                plain = isinstance(value, str | int | float | None)
                found = repr(value) if plain else type(value).__name__
                raise PackageError(
                    f"setting '{name}': expected {kinds[name].__name__}, found {found}"
                )
            accepted[name] = value
        return cls(**accepted)


def _to_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf


def _check_range(name: str, value: float, default: float) -> None:
    """Raise `PackageError` unless a number is in the range that its default implies."""
    above_zero = name in ABOVE_ZERO or (default > 0 and name != "noise")
    if above_zero and not value > 0:
        raise PackageError(f"setting '{name}': expected a number above 0, found {value!r}")
    not_negative = default == 0 or name == "noise"
    if (not_negative and not value >= 0) or (name == "noise" and not isfinite(value)):
        raise PackageError(f"setting '{name}': expected 0 or more, found {value!r}")
    if name in UNBOUNDED and not isfinite(value):
        raise PackageError(f"setting '{name}': expected a finite number, found {value!r}")
    if name not in UNBOUNDED and not abs(value) <= MAX_NUMBER:
        raise PackageError(f"setting '{name}': expected a number up to {MAX_NUMBER:,}")
