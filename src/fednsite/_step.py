"""The argument of an entry point. Imports no other module at the top: see step.py."""

# Importing typing would take longer than everything else here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .data.examples import Array, Examples, Part
    from .interfaces import Classifier


class Step:
    """One call of an entry point: the global model, this site's examples, and the settings.

    Attributes:
        model: The classifier. Its weights may be left over from an earlier step.
        received: The weights of the global model, in the order of `model.get_weights`.
        settings: The `Settings` of the model library, with the server's settings for this round.
    """

    def __init__(
        self,
        model: "Classifier",
        received: "list[Array]",
        settings: "Any",
        examples: "Callable[[Part], Examples]",
    ) -> None:
        self.model = model
        self.received = received
        self.settings = settings
        self._examples = examples

    def examples(self, part: "Part") -> "Examples":
        """Return the site's "train" examples, its held-out "test" examples, or "all"."""
        return self._examples(part)

    @property
    def seed(self) -> int:
        """The seed of this training step, which differs between sites and between rounds."""
        from .data.seeding import training_seed

        examples = self.examples("train")
        return training_seed(
            self.settings.seed, self.received, [examples.features, examples.labels]
        )
