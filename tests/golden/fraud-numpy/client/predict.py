"""Apply the global model to this site's data: python predict.py MODEL_IN PREDICTIONS_JSON."""

from fednsite.step import Step, main


def predict(step: Step) -> list[list[float]]:
    """Return the probability of each class for each of this site's examples, in file order."""
    examples = step.examples("all")
    step.model.set_weights(step.received)
    probabilities: list[list[float]] = step.model.predict(examples.features).tolist()
    return probabilities


if __name__ == "__main__":
    main(predict)
