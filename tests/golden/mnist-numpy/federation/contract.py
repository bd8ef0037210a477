"""Draft the data contract, schema.json, from images: what the arrays hold becomes the rule."""

from pathlib import Path
from typing import Any

import numpy as np

from . import samples
from .project import ProjectError


def draft(path: Path, label: str | None) -> dict[str, Any]:
    """Return a schema that the images keep, for client/model/schema.json.

    path: an npz in Keras' mnist.npz layout. label: None; the labels are y_train and y_test.
    Raises `ProjectError`.
    """
    if label is not None:
        raise ProjectError(f"--label: images have theirs in y_train and y_test, found '{label}'")
    images, labels = samples.read(path)
    if images.ndim < 2 or images.dtype.kind not in "uif" or not np.isfinite(images).all():
        raise ProjectError(
            f"{path}: array 'x_train': expected numbers of shape (images, rows, columns), found "
            f"{images.dtype} of shape {images.shape}"
        )
    if labels.dtype.kind not in "ui" or len(np.unique(labels)) < 2:
        raise ProjectError(
            f"{path}: array 'y_train': expected whole numbers of two classes or more, found "
            f"{labels.dtype}"
        )
    # A byte is a shade from black to white, whatever these images make of it.
    byte = images.dtype == np.uint8
    low, high = (0, 255) if byte else (images.min().item(), images.max().item())
    image = {
        "name": "x",
        "type": "array",
        "dtype": images.dtype.name,
        "shape": list(images.shape[1:]),
        "constraints": {"minimum": low, "maximum": high},
        "scale": {"center": low, "spread": (high - low) or 1},
    }
    classes = {"name": "y", "type": "integer", "constraints": {"enum": np.unique(labels).tolist()}}
    return {"fields": [image, classes], "label": "y"}
