"""Apply the global model to this site's data: python predict.py MODEL_IN PREDICTIONS_JSON."""

from entry import run

if __name__ == "__main__":
    run("predict", "python predict.py MODEL_IN PREDICTIONS_JSON")
