"""The site's local images, read from an npz in Keras' mnist.npz layout and checked.

The file holds x_train, y_train, x_test and y_test. What the arrays must look like stands in
schema.json: change it, and the shape of the model's input follows.
"""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .dataset import Array, Dataset, Part
from .errors import PackageError
from .schema import Schema
from .site import data_file

SCHEMA = Schema.read(Path(__file__).with_name("schema.json"))
IMAGE, LABEL = SCHEMA.features[0], SCHEMA.label


def input_shape() -> tuple[int, ...]:
    """Return the shape of one example's features."""
    return IMAGE.shape


def num_classes() -> int:
    """Return how many classes there are."""
    return len(LABEL.choices)


def load(part: Part, path: Path | None = None) -> Dataset:
    """Read, check and scale the site's images.

    path: the file, or a folder that holds just one; FEDN_DATA_PATH when not given.
    Returns features as float32, shape (images, *input_shape), scaled by the schema: 0 to 1.
    Raises `PackageError` that names the file, the array, the image and the rule.
    """
    file = data_file(path, suffixes=[".npz"])
    parts = ("train", "test") if part == "all" else (part,)
    try:
        # Not np.load, which would also take a bare array; neither unpickles anything.
        with file.open("rb") as content, np.lib.npyio.NpzFile(content) as arrays:
            checked = [_check(file, name, arrays) for name in parts]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise PackageError(f"{file}: expected images in an npz archive, found: {error}") from None
    images, labels = (np.concatenate(arrays) for arrays in zip(*checked, strict=True))
    features = (images.astype(np.float32) - np.float32(IMAGE.center)) / np.float32(IMAGE.spread)
    return Dataset(features, labels)


def _check(file: Path, part: str, arrays: Mapping[str, Array]) -> tuple[Array, Array]:
    """Return the images of one part and the index of each label's class."""
    names = f"{IMAGE.name}_{part}", f"{LABEL.name}_{part}"
    for name in names:
        if name not in arrays:
            found = ", ".join(sorted(arrays)) or "none"
            raise PackageError(f"{file}: expected an array '{name}', found {found}")
    images, labels = (arrays[name] for name in names)
    where_images, where_labels = (f"{file}: array '{name}'" for name in names)

    if images.dtype != np.dtype(IMAGE.dtype) or images.shape[1:] != IMAGE.shape:
        raise PackageError(
            f"{where_images}: expected {IMAGE.dtype} of shape (images, "
            f"{', '.join(map(str, IMAGE.shape))}), found {images.dtype} of shape {images.shape}"
        )
    if len(images) == 0:
        raise PackageError(f"{where_images}: expected images, found none")
    if labels.shape != (len(images),):
        raise PackageError(
            f"{where_labels}: expected one label for each of {len(images)} images, "
            f"found shape {labels.shape}"
        )
    # Written so that a NaN, which compares false with everything, counts as outside.
    outside = ~((images >= IMAGE.minimum) & (images <= IMAGE.maximum))
    if outside.any():
        image = int(np.argwhere(outside)[0][0])
        raise PackageError(
            f"{where_images}, image {image}: expected values from {IMAGE.minimum} to "
            f"{IMAGE.maximum}, found {images[outside][0]}"
        )
    matches = labels[:, np.newaxis] == np.array(LABEL.choices)
    unknown = ~matches.any(axis=1)
    if unknown.any():
        image = int(np.flatnonzero(unknown)[0])
        raise PackageError(
            f"{where_labels}, image {image}: expected one of "
            f"{', '.join(map(str, LABEL.choices))}, found {labels[image]}"
        )
    if part == "train" and len(np.unique(labels)) < 2:
        raise PackageError(f"{where_labels}: expected at least two classes, found only {labels[0]}")
    return images, matches.argmax(axis=1).astype(np.int64)
