"""A site's images, read from an npz in Keras' mnist.npz layout and checked against the schema.

The names of the schema's fields replace x and y in the arrays x_train, y_train, x_test and y_test.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import PackageError
from .examples import Array, Part
from .location import data_file
from .npz import MAX_DATA_BYTES, Npz, NpzError
from .schema import Field, Schema

__all__ = ["Images", "read_images"]

MAX_LABEL_BYTES = 1024
# Besides the four, the file may contain other arrays.
MAX_ARRAYS = 64


@dataclass(frozen=True)
class Images:
    """Images of one site that satisfy the schema.

    Attributes:
        scaled: float32, shape (images, *shape), scaled by the schema.
        labels: int64, shape (images,), the index of each image's class.
    """

    scaled: Array
    labels: Array

    @classmethod
    def blank(cls, schema: Schema) -> "Images":
        """Return a single blank image, to determine the shape of the features."""
        shape = _image(schema).shape
        return cls(np.zeros((1, *shape), np.float32), np.zeros(1, np.int64))

    def __len__(self) -> int:
        return len(self.labels)


def read_images(schema: Schema, part: Part, path: Path | None = None) -> Images:
    """Read, check and scale a site's images.

    Args:
        schema: What the images must look like: an array field and the label.
        part: The "train" images, the held-out "test" images, or "all".
        path: An .npz file, or a folder with a single one; defaults to FEDN_DATA_PATH.

    Raises:
        PackageError: An image breaks a rule; the message names the file, the array, the image and
            the rule.
    """
    image = _image(schema)
    file = data_file(path, suffixes=[".npz"])
    parts = ("train", "test") if part == "all" else (part,)
    try:
        with file.open("rb") as content:
            arrays = Npz(content, members=MAX_ARRAYS, most=MAX_DATA_BYTES)
            checked = [_checked(file, schema, name, arrays) for name in parts]
    except (NpzError, OSError) as error:
        raise PackageError(f"{file}: expected images in an npz archive, found: {error}") from None
    images, labels = (np.concatenate(arrays) for arrays in zip(*checked, strict=True))
    with np.errstate(over="ignore"):
        scaled = (images.astype(np.float32) - np.float32(image.center)) / np.float32(image.spread)
    # Scaled bytes are always finite.
    if images.dtype.itemsize > 1 and not np.isfinite(scaled).all():
        raise PackageError(f"{file}: expected images that float32 can hold when scaled")
    return Images(scaled, labels)


def _image(schema: Schema) -> Field:
    """Return the schema's image field. Raises `PackageError` if it does not exist."""
    image = schema.features[0]
    if image.type != "array":
        raise PackageError(
            f"schema.json: field '{image.name}': expected an array, found {image.type}"
        )
    return image


def _checked(file: Path, schema: Schema, part: str, arrays: Npz) -> tuple[Array, Array]:
    """Return the images of one part and their class indices."""
    image, label = schema.features[0], schema.label
    names = f"{image.name}_{part}", f"{label.name}_{part}"
    for name in names:
        if f"{name}.npy" not in arrays.names:
            found = ", ".join(sorted(other.removesuffix(".npy") for other in arrays.names))
            raise PackageError(f"{file}: expected an array '{name}', found {found or 'none'}")
    images = _read_images(f"{file}: array '{names[0]}'", schema, names[0], arrays)
    labels = _read_labels(f"{file}: array '{names[1]}'", schema, names[1], arrays, len(images))
    if part == "train" and len(np.unique(labels)) < 2:
        only = label.choices[int(labels[0])]
        raise PackageError(
            f"{file}: array '{names[1]}': expected at least two classes, found only {only}"
        )
    return images, labels


def _read_images(where: str, schema: Schema, name: str, arrays: Npz) -> Array:
    field = schema.features[0]

    def fit(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        if dtype != np.dtype(field.dtype) or shape[1:] != field.shape or not shape:
            raise PackageError(
                f"{where}: expected {field.dtype} of shape (images, "
                f"{', '.join(map(str, field.shape))}), found {dtype} of shape {shape}"
            )
        if shape[0] == 0:
            raise PackageError(f"{where}: expected images, found none")

    images = arrays.read(f"{name}.npy", fit)
    # Negated, so that NaN counts as outside.
    outside = ~((images >= field.minimum) & (images <= field.maximum))
    if outside.any():
        number = int(np.argwhere(outside)[0][0])
        raise PackageError(
            f"{where}, image {number}: expected values from {field.minimum} to "
            f"{field.maximum}, found {images[outside][0]}"
        )
    return images


def _read_labels(where: str, schema: Schema, name: str, arrays: Npz, images: int) -> Array:
    choices = schema.label.choices

    def fit(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        if shape != (images,):
            raise PackageError(
                f"{where}: expected one label for each of {images} images, found shape {shape}"
            )
        if dtype.kind not in "iufbU" or dtype.itemsize > MAX_LABEL_BYTES:
            raise PackageError(f"{where}: expected numbers or short texts, found {dtype}")

    labels = arrays.read(f"{name}.npy", fit)
    matches = labels[:, np.newaxis] == np.array(choices)
    unknown = ~matches.any(axis=1)
    if unknown.any():
        number = int(np.flatnonzero(unknown)[0])
        raise PackageError(
            f"{where}, image {number}: expected one of {', '.join(map(str, choices))}, "
            f"found {labels[number]}"
        )
    return np.asarray(matches.argmax(axis=1).astype(np.int64))
