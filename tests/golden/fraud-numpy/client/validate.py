"""Measure the global model on this site's data: python validate.py MODEL_IN VALIDATION_JSON."""

from fednsite.step import Step, main


def validate(step: Step) -> dict[str, float]:
    """Return the metrics of the global model on this site's held-out examples, by name."""
    from model.metrics import evaluate  # inside the function, because it imports NumPy

    examples = step.examples("test")
    step.model.set_weights(step.received)
    return evaluate(examples.labels, step.model.predict(examples.features))


if __name__ == "__main__":
    main(validate)
