"""Train the global model on this site's data: python train.py MODEL_IN MODEL_OUT."""

from fednsite.step import Step, main


def train(step: Step) -> int:
    """Train the global model on this site's examples; return the number of examples."""
    examples = step.examples("train")
    step.model.set_weights(step.received)
    step.model.fit(examples, step.settings, step.seed)
    return len(examples)


if __name__ == "__main__":
    main(train)
