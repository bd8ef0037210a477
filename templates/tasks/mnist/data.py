"""Turn the site's images into the examples that the model trains on."""

from pathlib import Path

from fednsite.data.examples import Array, Examples, Part
from fednsite.data.images import Images, read_images
from fednsite.data.schema import Schema

# The contract for every site's images. Change schema.json for other images.
SCHEMA = Schema.read(Path(__file__).with_name("schema.json"))


def features(images: Images) -> Array:
    """Return the features of each image, float32, shape (images, ...).

    The images satisfy the schema, which scales `images.scaled`.
    """
    # Add your own features here: a crop, an edge filter, another channel.
    return images.scaled


def load(part: Part, path: Path | None = None) -> Examples:
    """Return one part of the site's examples; `path` defaults to FEDN_DATA_PATH."""
    images = read_images(SCHEMA, part, path)
    return Examples(features(images), images.labels)


def input_shape() -> tuple[int, ...]:
    """Return the shape of one example's features."""
    blank = Images.blank(SCHEMA)
    return Examples(features(blank), blank.labels).features.shape[1:]


def num_classes() -> int:
    """Return the number of classes."""
    return len(SCHEMA.label.choices)
