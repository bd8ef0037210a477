"""How the site's images become the examples that the model learns from."""

from pathlib import Path

from fednsite.data.examples import Array, Examples, Part
from fednsite.data.images import Images, read_images
from fednsite.data.schema import Schema

# The contract that every site's images must keep. Other images need another schema.json.
SCHEMA = Schema.read(Path(__file__).with_name("schema.json"))


def features(images: Images) -> Array:
    """Return the features of each image, float32, shape (images, ...).

    The images keep the schema; `images.scaled` holds them, scaled by it.
    """
    # The place for features of your own: a crop, an edge filter, a channel more.
    return images.scaled


def load(part: Part, path: Path | None = None) -> Examples:
    """Return one part of the site's examples; the file lies at FEDN_DATA_PATH, or at `path`."""
    images = read_images(SCHEMA, part, path)
    return Examples(features(images), images.labels)


def input_shape() -> tuple[int, ...]:
    """Return the shape of one example's features."""
    blank = Images.blank(SCHEMA)
    return Examples(features(blank), blank.labels).features.shape[1:]


def num_classes() -> int:
    """Return how many classes there are."""
    return len(SCHEMA.label.choices)
