"""nginx in front of FEDn, with the settings of `fednkit write nginx.conf`."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from installing import CAPTURED, check

MISSING = "".join(
    f"the command {name} is missing (Debian: {name})"
    for name in ("nginx", "openssl")
    if shutil.which(name) is None
)
NGINX = """
daemon off; pid nginx.pid; error_log error.log; user root; events {}
http {
    access_log access.log;
    client_body_temp_path body; proxy_temp_path proxy;
    include site.conf;
}
"""


def make_certificates(folder: Path, address: str) -> None:
    """Make a root certificate, and one of the server that the root signs."""
    script = f"""
    set -e
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
        -subj '/CN=A root of this test' -keyout root.key -out root.pem
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
        -subj '/CN=fedn' -addext 'subjectAltName=IP:{address}' -keyout server.key -out server.csr
    openssl x509 -req -in server.csr -CA root.pem -CAkey root.key -CAcreateserial \
        -copy_extensions copy -days 2 -out server.pem
    """
    check(subprocess.run(["bash", "-c", script], cwd=folder, **CAPTURED))


def write_settings(folder: Path, text: str, replaced: dict[str, str]) -> list[str]:
    """Write nginx's settings, with a name and certificates of the test; return nginx's command."""
    replaced |= {
        "/etc/ssl/fedn/fullchain.pem": f"{folder}/server.pem",
        "/etc/ssl/fedn/privkey.pem": f"{folder}/server.key",
    }
    for old, new in replaced.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    (folder / "site.conf").write_text(text)
    (folder / "nginx.conf").write_text(NGINX)
    return ["nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"]


@contextmanager
def proxied(folder: Path, ports: dict[str, int]) -> Iterator[int]:
    """Run nginx on a free port of 127.0.0.1 before a controller and a combiner; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    make_certificates(folder, "127.0.0.1")
    text = (files("fednkit.controller") / "nginx.conf").read_text("utf-8")
    replaced = {
        "listen 443 ": f"listen 127.0.0.1:{port} ",
        "server_name fedn.example.org;": "server_name 127.0.0.1;",
        "grpc://127.0.0.1:12080": f"grpc://127.0.0.1:{ports['combiner_port']}",
        "http://127.0.0.1:8092/": f"http://127.0.0.1:{ports['api_port']}/",
    }
    nginx = subprocess.Popen(write_settings(folder, text, replaced))
    try:
        wait_for_port("127.0.0.1", port, nginx)
        yield port
    finally:
        nginx.terminate()
        nginx.wait(timeout=20)


def wait_for_port(address: str, port: int, server: subprocess.Popen[Any]) -> None:
    """Wait until a server accepts connections."""
    while True:
        try:
            socket.create_connection((address, port), timeout=10).close()
        except ConnectionRefusedError:
            assert server.poll() is None
            time.sleep(0.1)
        else:
            return
