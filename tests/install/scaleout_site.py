"""A site of Scaleout Edge without its server; run by a Python that has `scaleout`.

python scaleout_site.py ARCHIVE MODEL SETTINGS_JSON CHECKSUM, in the site's working folder.

Scaleout's own client downloads the archive and its checksum from a controller of two routes,
unpacks it, and handles one request to train, with the settings, and one to validate. Its client
never asks for predictions, so its dispatcher is asked. What comes of it is printed as JSON; the
update lies in update.npz.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from scaleout.client.connect import ClientOptions
from scaleout.client.dispatcher_client import DispatcherClient
from scaleoututil.utils.model import ScaleoutModel

ARCHIVE, MODEL, SETTINGS, CHECKSUM = sys.argv[1:]


class Controller(BaseHTTPRequestHandler):
    """Answers what the client asks on its way to the package."""

    def do_GET(self) -> None:
        checksum = json.dumps({"checksum": CHECKSUM}).encode()
        asked_for_checksum = self.path.startswith("/api/v1/packages/checksum?")
        self.send_response(200)
        self.send_header("Content-Disposition", f'attachment; filename="{Path(ARCHIVE).name}"')
        self.end_headers()
        self.wfile.write(checksum if asked_for_checksum else Path(ARCHIVE).read_bytes())


controller = HTTPServer(("127.0.0.1", 0), Controller)
threading.Thread(target=controller.serve_forever, daemon=True).start()
client = DispatcherClient(
    api_url=f"http://127.0.0.1:{controller.server_port}",
    client_obj=ClientOptions(name="site-1", package="remote"),
    # A combiner that is named is not asked for at the controller.
    combiner_host="127.0.0.1",
    combiner_port=1,
)


def stop_before_the_combiner(**_: object) -> bool:
    """Return that there is no combiner, upon which the client ends its start."""
    return False


def predict(model: ScaleoutModel) -> object:
    """Return what the entry point makes of a model."""
    model_in, predictions = client.helper.get_tmp_path(), client.helper.get_tmp_path("")
    model.save_to_file(model_in)
    client._package_runtime.dispatcher.run_cmd(f"predict {model_in} {predictions}")
    return json.loads(Path(predictions).read_text("utf-8"))


client.edge_client.init_grpchandler = stop_before_the_combiner
client.start()
result: dict[str, object] = {"started": client.helper is not None}
if client.helper:
    model = ScaleoutModel.from_file(MODEL)
    update, result["training"] = client.on_train(model, json.loads(SETTINGS))
    if update:
        with update.get_training_model_stream() as trained:
            Path("update.npz").write_bytes(trained.read())
        result["predictions"] = predict(update)
    result["metrics"] = client.on_validation(update or ScaleoutModel.from_file(MODEL))
# Strict: a number that is none would end it here.
print(json.dumps(result, allow_nan=False))
