"""A small image registry on the loopback interface, for those who know its password."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from conformance import images

USER, PASSWORD = "puller", "open sesame"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def credentials() -> str:
    return base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@contextmanager
def registry() -> Iterator[str]:
    """Its address; whatever name and tag is asked for is the busybox image."""
    layer, config = images.layer_and_config()
    packed = gzip.compress(layer, 1)
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "size": len(config), "digest": _digest(config)},
            "layers": [{"mediaType": LAYER, "size": len(packed), "digest": _digest(packed)}],
        }
    ).encode()
    blobs = {_digest(config): (CONFIG, config), _digest(packed): (LAYER, packed)}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            if self.headers.get("Authorization") != f"Basic {credentials()}":
                self._send(401, "text/plain", b"", {"WWW-Authenticate": 'Basic realm="conformance"'})
            elif "/manifests/" in self.path and not self.path.endswith("/absent"):
                self._send(200, MANIFEST, manifest, {"Docker-Content-Digest": _digest(manifest)})
            elif self.path.rpartition("/")[2] in blobs:
                self._send(200, *blobs[self.path.rpartition("/")[2]])
            else:
                self._send(200 if self.path == "/v2/" else 404, "text/plain", b"")

        def _send(self, code: int, kind: str, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(code)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
