"""A database of vulnerabilities on this machine, which answers as OSV does (https://osv.dev)."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Database:
    """What is known to be vulnerable, by name, and what was asked for."""

    url: str = ""
    vulnerable: set[str] = field(default_factory=set)
    asked: set[tuple[str, str]] = field(default_factory=set)

    @property
    def audit(self) -> str:
        """What has `make audit` ask here, and not on the internet."""
        return f"AUDIT=--strict -s osv --osv-url {self.url}"


@contextmanager
def database() -> Iterator[Database]:
    """Serve a database in which nothing is vulnerable yet."""
    known = Database()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = query["package"]["name"]
            known.asked.add((name, query["version"]))
            ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "999"}]}]
            package = {"name": name, "ecosystem": "PyPI"}
            found = {"id": "OSV-1", "affected": [{"package": package, "ranges": ranges}]}
            answer = json.dumps({"vulns": [found]} if name in known.vulnerable else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    known.url = f"http://127.0.0.1:{server.server_port}"
    yield known
    server.shutdown()
