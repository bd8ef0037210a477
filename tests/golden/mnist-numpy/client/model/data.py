"""The site's local images, read from an npz in Keras' mnist.npz layout and checked.

The file holds x_train, y_train, x_test and y_test. What the arrays must look like stands in
schema.json: change it, and the shape of the model's input follows.
"""

from pathlib import Path
from typing import Any

import numpy as np

from .dataset import Array, Dataset, Part
from .errors import PackageError
from .npz import LARGEST, Npz, NpzError
from .schema import Schema
from .site import data_file

SCHEMA = Schema.read(Path(__file__).with_name("schema.json"))
IMAGE, LABEL = SCHEMA.features[0], SCHEMA.label
if IMAGE.type != "array":
    raise PackageError(f"schema.json: field '{IMAGE.name}': expected an array, found {IMAGE.type}")
LONGEST_LABEL = 1024


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
        with file.open("rb") as content:
            arrays = Npz(content, members=64, most=LARGEST)
            checked = [_check(file, name, arrays) for name in parts]
    except (NpzError, OSError) as error:
        raise PackageError(f"{file}: expected images in an npz archive, found: {error}") from None
    images, labels = (np.concatenate(arrays) for arrays in zip(*checked, strict=True))
    with np.errstate(over="ignore"):
        features = (images.astype(np.float32) - np.float32(IMAGE.center)) / np.float32(IMAGE.spread)
    # A byte is brought to a number whatever the scale.
    if images.dtype.itemsize > 1 and not np.isfinite(features).all():
        raise PackageError(f"{file}: expected images that float32 can hold when scaled")
    return Dataset(features, labels)


def _check(file: Path, part: str, arrays: Npz) -> tuple[Array, Array]:
    """Return the images of one part and the index of each label's class."""
    names = f"{IMAGE.name}_{part}", f"{LABEL.name}_{part}"
    for name in names:
        if f"{name}.npy" not in arrays.names:
            found = ", ".join(sorted(other.removesuffix(".npy") for other in arrays.names))
            raise PackageError(f"{file}: expected an array '{name}', found {found or 'none'}")
    where_images, where_labels = (f"{file}: array '{name}'" for name in names)

    def fit_images(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        if dtype != np.dtype(IMAGE.dtype) or shape[1:] != IMAGE.shape or not shape:
            raise PackageError(
                f"{where_images}: expected {IMAGE.dtype} of shape (images, "
                f"{', '.join(map(str, IMAGE.shape))}), found {dtype} of shape {shape}"
            )
        if shape[0] == 0:
            raise PackageError(f"{where_images}: expected images, found none")

    images = arrays.read(f"{names[0]}.npy", fit_images)

    def fit_labels(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        if shape != (len(images),):
            raise PackageError(
                f"{where_labels}: expected one label for each of {len(images)} images, "
                f"found shape {shape}"
            )
        if dtype.kind not in "iufbU" or dtype.itemsize > LONGEST_LABEL:
            raise PackageError(f"{where_labels}: expected numbers or short texts, found {dtype}")

    labels = arrays.read(f"{names[1]}.npy", fit_labels)
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
