"""The clients of a simulation: their examples, read once and shared by all worker processes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fednsite.data.examples import Array, Examples, Part


@dataclass(frozen=True)
class Clients:
    """All clients' examples in one pair of arrays, client after client.

    Of each client first come the examples to learn from, then those held out: `bounds` has the
    three row numbers where they start, change over and end, shape (clients, 3).
    """

    features: Array
    labels: Array
    bounds: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.bounds)

    def part(self, client: int, part: Part) -> slice:
        """Return which rows of a client belong to a part of its examples."""
        start, change, end = self.bounds[client]
        spans = {"train": (start, change), "test": (change, end), "all": (start, end)}
        return slice(*spans[part])

    def train(self, client: int) -> slice:
        """Return which rows a client learns from."""
        return self.part(client, "train")

    def test(self, client: int) -> slice:
        """Return which rows of a client are held out."""
        return self.part(client, "test")

    def rows(self, part: Part) -> npt.NDArray[np.int64]:
        """Return the rows of a part of all clients' examples."""
        spans = [self.part(client, part) for client in range(len(self))]
        return np.concatenate([np.arange(span.start, span.stop) for span in spans])

    def class_counts(self, classes: int) -> npt.NDArray[np.int64]:
        """Return how many examples of each class each client has, shape (clients, classes)."""
        spans = [slice(start, end) for start, _, end in self.bounds]
        return np.stack([np.bincount(self.labels[span], minlength=classes) for span in spans])

    def save(self, folder: Path) -> None:
        """Write the arrays where `load` finds them."""
        for name in ("features", "labels", "bounds"):
            np.save(folder / f"{name}.npy", getattr(self, name))

    @classmethod
    def load(cls, folder: Path) -> "Clients":
        """Map the arrays into memory, so that processes share what they read."""
        features = np.load(folder / "features.npy", mmap_mode="r")
        labels = np.load(folder / "labels.npy", mmap_mode="r")
        return cls(np.asarray(features), np.asarray(labels), np.load(folder / "bounds.npy"))

    @classmethod
    def of_sites(cls, sites: Sequence[tuple[Examples, Examples]]) -> "Clients":
        """Put sites together that come as pairs of training and held-out examples."""
        ends = np.cumsum([[len(train), len(test)] for train, test in sites]).reshape(-1, 2)
        starts = np.append(0, ends[:-1, 1])
        return cls(
            np.concatenate([part.features for site in sites for part in site]),
            np.concatenate([part.labels for site in sites for part in site]),
            np.column_stack([starts, ends]),
        )

    @classmethod
    def of_parts(
        cls,
        everything: Examples,
        parts: Sequence[npt.NDArray[np.int64]],
        held_out: Sequence[npt.NDArray[np.bool_]],
    ) -> "Clients":
        """Take clients out of one dataset: the rows of each, and which of them are held out."""
        pairs = [
            part
            for rows, chosen in zip(parts, held_out, strict=True)
            for part in (rows[~chosen], rows[chosen])
        ]
        ends = np.cumsum([len(part) for part in pairs]).reshape(-1, 2)
        order = np.concatenate(pairs)
        bounds = np.column_stack([np.append(0, ends[:-1, 1]), ends])
        return cls(everything.features[order], everything.labels[order], bounds)
