"""The model: a small dense network in PyTorch."""

import math
import os

# PyTorch reads this on import. More threads make training of a network this small slower, on a busy
# machine many times. Remove this line for a larger network.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch import nn

from fednsite.data.examples import Array, Examples, balanced_weights

from .settings import Settings

# Like use_deterministic_algorithms(True), which takes a second because it imports the compiler.
torch.set_deterministic_debug_mode("error")


def build(input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """Return an untrained network. Define your own architecture here."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(int(np.prod(input_shape)), 64),
        nn.ReLU(),
        nn.Linear(64, 32),
        nn.ReLU(),
        nn.Linear(32, num_classes),
    )


class Classifier:
    """A model whose weights are a list of arrays.

    Args:
        input_shape: The shape of one example's features.
        num_classes: The number of classes.
        seed: The seed of the initial weights.
    """

    def __init__(self, input_shape: tuple[int, ...], num_classes: int, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.network = build(input_shape, num_classes)

    def get_weights(self) -> list[Array]:
        """Return copies of the weights, float32, in the order of PyTorch's state_dict."""
        # Integers such as BatchNorm's counters too, because averages over sites are fractions.
        tensors = self.network.state_dict().values()
        return [tensor.to(torch.float32, copy=True).numpy() for tensor in tensors]

    def set_weights(self, weights: list[Array]) -> None:
        """Replace the weights; they must have the shapes of `get_weights`."""
        tensors = [torch.tensor(array) for array in weights]
        self.network.load_state_dict(dict(zip(self.network.state_dict(), tensors, strict=True)))

    def fit(self, examples: Examples, settings: Settings, seed: int) -> None:
        """Train on the examples from the current weights with a fresh optimiser."""
        torch.manual_seed(seed)
        features, labels = torch.tensor(examples.features), torch.tensor(examples.labels)
        importance = torch.ones(len(examples))
        if settings.balance_classes:
            importance = torch.tensor(balanced_weights(examples.labels))
        optimizer = torch.optim.Adam(self.network.parameters(), lr=settings.learning_rate)
        # Batches of nearly equal sizes, because BatchNorm fails on a batch of one example.
        batches = math.ceil(len(examples) / settings.batch_size)
        self.network.train()
        for _ in range(settings.epochs):
            for batch in torch.randperm(len(examples)).tensor_split(batches):
                scores = self.network(features[batch])
                losses = nn.functional.cross_entropy(scores, labels[batch], reduction="none")
                optimizer.zero_grad()
                (losses * importance[batch]).mean().backward()
                optimizer.step()

    def predict(self, features: Array) -> Array:
        """Return class probabilities, float32, shape (examples, num_classes)."""
        self.network.eval()
        with torch.no_grad():
            scores = [self.network(batch) for batch in torch.tensor(features).split(1024)]
        return np.concatenate([batch.softmax(dim=1).numpy() for batch in scores])
