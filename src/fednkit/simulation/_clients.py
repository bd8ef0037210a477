"""The examples of a simulation's clients, read once and shared by all worker processes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fednsite.data.examples import Array, Examples, Part


@dataclass(frozen=True)
class Clients:
    """The examples of all clients in one pair of arrays, sorted by client.

    Each client's training examples come before its held-out ones.

    Attributes:
        features: float32, shape (examples, *input_shape).
        labels: int64, shape (examples,).
        bounds: int64, shape (clients, 3): the rows where a client's training examples start, where
            its held-out examples start, and where they end.
    """

    features: Array
    labels: Array
    bounds: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.bounds)

    def part(self, client: int, part: Part) -> slice:
        """Return the rows of one part of a client's examples."""
        start, change, end = self.bounds[client]
        spans = {"train": (start, change), "test": (change, end), "all": (start, end)}
        return slice(*spans[part])

    def train(self, client: int) -> slice:
        """Return the rows of a client's training examples."""
        return self.part(client, "train")

    def test(self, client: int) -> slice:
        """Return the rows of a client's held-out examples."""
        return self.part(client, "test")

    def rows(self, part: Part) -> npt.NDArray[np.int64]:
        """Return the rows of one part of all clients' examples."""
        spans = [self.part(client, part) for client in range(len(self))]
        return np.concatenate([np.arange(span.start, span.stop) for span in spans])

    def class_counts(self, classes: int) -> npt.NDArray[np.int64]:
        """Return each client's number of examples per class, shape (clients, classes)."""
        spans = [slice(start, end) for start, _, end in self.bounds]
        return np.stack([np.bincount(self.labels[span], minlength=classes) for span in spans])

    def save(self, folder: Path) -> None:
        """Write the arrays to a folder, for `load`."""
        for name in ("features", "labels", "bounds"):
            np.save(folder / f"{name}.npy", getattr(self, name))

    @classmethod
    def load(cls, folder: Path) -> "Clients":
        """Map the arrays into memory, which all processes share."""
        features = np.load(folder / "features.npy", mmap_mode="r")
        labels = np.load(folder / "labels.npy", mmap_mode="r")
        return cls(np.asarray(features), np.asarray(labels), np.load(folder / "bounds.npy"))

    @classmethod
    def of_sites(cls, sites: Sequence[tuple[Examples, Examples]]) -> "Clients":
        """Combine sites, given as pairs of training and held-out examples."""
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
        """Split one dataset into clients.

        Args:
            everything: The dataset.
            parts: The row numbers of each client.
            held_out: For each client, bool, one per row: whether it is held out.
        """
        pairs = [
            part
            for rows, chosen in zip(parts, held_out, strict=True)
            for part in (rows[~chosen], rows[chosen])
        ]
        ends = np.cumsum([len(part) for part in pairs]).reshape(-1, 2)
        order = np.concatenate(pairs)
        bounds = np.column_stack([np.append(0, ends[:-1, 1]), ends])
        return cls(everything.features[order], everything.labels[order], bounds)
