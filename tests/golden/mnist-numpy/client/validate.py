"""Measure the global model on this site's data: python validate.py MODEL_IN VALIDATION_JSON."""

from entry import run

if __name__ == "__main__":
    run("validate", "python validate.py MODEL_IN VALIDATION_JSON")
