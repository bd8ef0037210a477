"""Hyper-parameters of local training. The server may send others for a session."""

from dataclasses import dataclass

from fednsite.settings import BaseSettings


@dataclass(frozen=True)
class Settings(BaseSettings):
    """One round of local training. Change a default here and every site trains with it.

    `BaseSettings` has the seed and the terms of differential privacy.
    """

    # Passes over the site's training examples in a round: few, so that sites do not drift apart.
    epochs: int = 3
    # Examples per gradient step.
    batch_size: int = 64
    # Step size of Adam, which starts afresh in every round.
    learning_rate: float = 0.003
    # Weigh rare classes up until all count the same: fraud is well under one per cent.
    balance_classes: bool = True
