"""The same federation as a Flower app: python flower_app.py DATA_FOLDER CLIENTS ROUNDS.

DATA_FOLDER holds client-N.npz with the arrays of each client. Every round all clients train and
all clients evaluate. Prints the time that the rounds take, and the last accuracy, as JSON.
"""

import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation

sys.path.insert(0, str(Path(__file__).resolve().parent))
from logistic_regression import Array, Classifier

FOLDER, CLIENTS, ROUNDS = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
SETTINGS = SimpleNamespace(**json.loads((FOLDER / "settings.json").read_text("utf-8")))

client_app, server_app = ClientApp(), ServerApp()


def client(message: Message, context: Context) -> tuple[Classifier, dict[str, Array]]:
    """Return the model with the weights that came, and the client's data."""
    number = int(context.node_config["partition-id"])
    with np.load(FOLDER / f"client-{number}.npz") as arrays:
        data = dict(arrays)
    model = Classifier((data["x_train"].shape[1],), 2)
    model.set_weights(message.content["arrays"].to_numpy_ndarrays())
    return model, data


@client_app.train()
def train(message: Message, context: Context) -> Message:
    """Train on the client's examples."""
    model, data = client(message, context)
    examples = SimpleNamespace(features=data["x_train"], labels=data["y_train"])
    model.fit(examples, SETTINGS, seed=0)
    content = {
        "arrays": ArrayRecord(model.get_weights()),
        "metrics": MetricRecord({"num-examples": len(examples.labels)}),
    }
    return Message(content=RecordDict(content), reply_to=message)


@client_app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Measure the accuracy on the client's held-out examples."""
    model, data = client(message, context)
    accuracy = float(np.mean(model.predict(data["x_test"]).argmax(axis=1) == data["y_test"]))
    metrics = MetricRecord({"accuracy": accuracy, "num-examples": len(data["y_test"])})
    return Message(content=RecordDict({"metrics": metrics}), reply_to=message)


@server_app.main()
def main(grid: Grid, context: Context) -> None:
    """Average the updates of all clients, round by round."""
    features = np.load(FOLDER / "client-0.npz")["x_train"].shape[1]
    initial = ArrayRecord(Classifier((features,), 2).get_weights())
    strategy = FedAvg(
        fraction_train=1.0,
        fraction_evaluate=1.0,
        min_train_nodes=CLIENTS,
        min_evaluate_nodes=CLIENTS,
        min_available_nodes=CLIENTS,
    )
    started = time.perf_counter()
    result = strategy.start(grid=grid, initial_arrays=initial, num_rounds=ROUNDS)
    seconds = time.perf_counter() - started
    last = result.evaluate_metrics_clientapp[ROUNDS]
    report = {"rounds_seconds": seconds, "accuracy": float(last["accuracy"])}
    (FOLDER / "flower.json").write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    # Ray may put as many clients on the machine as it has processors.
    resources = {"client_resources": {"num_cpus": 1.0, "num_gpus": 0.0}}
    run_simulation(server_app, client_app, num_supernodes=CLIENTS, backend_config=resources)
