"""Hyper-parameters of local training. The server can override them in a session."""

from dataclasses import dataclass

from fednsite.settings import BaseSettings


@dataclass(frozen=True)
class Settings(BaseSettings):
    """Settings of one round of local training; all sites use the defaults in this file.

    `BaseSettings` adds the seed and the terms of differential privacy.
    """

    # Passes over the site's training examples per round: few, so that sites do not drift apart.
    epochs: int = 3
    # Examples per gradient step.
    batch_size: int = 64
    # Step size of Adam, which starts without state in every round.
    learning_rate: float = 0.003
    # Give all classes equal weight in the loss: well under one per cent of cases are fraud.
    balance_classes: bool = True
