"""Train the global model on this site's data: python train.py MODEL_IN MODEL_OUT."""

from entry import run

if __name__ == "__main__":
    run("train", "python train.py MODEL_IN MODEL_OUT")
