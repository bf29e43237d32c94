"""Raw requests to the API server over TLS, also ones that no client would send."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def object(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.object["message"])


@dataclass(frozen=True)
class Wire:
    """Where the server is, and how its administrator proves who they are."""

    host: str
    port: int
    tls: ssl.SSLContext

    @staticmethod
    def of(kubeconfig: Path) -> Wire:
        config = yaml.safe_load(kubeconfig.read_text())
        context = next(c["context"] for c in config["contexts"] if c["name"] == config["current-context"])
        cluster = next(c["cluster"] for c in config["clusters"] if c["name"] == context["cluster"])
        user = next(u["user"] for u in config["users"] if u["name"] == context["user"])
        tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        with tempfile.NamedTemporaryFile() as file:
            for part in ("client-certificate-data", "client-key-data"):
                file.write(base64.b64decode(user[part]))
            file.flush()
            tls.load_cert_chain(file.name)
        url = urlsplit(cluster["server"])
        assert url.hostname is not None
        return Wire(url.hostname, url.port or 443, tls)

    def connect(self) -> ssl.SSLSocket:
        """A connection on which nothing has been sent yet."""
        plain = socket.create_connection((self.host, self.port), timeout=TIMEOUT_S)
        return self.tls.wrap_socket(plain, server_hostname=self.host)

    def request(
        self, method: str, path: str, body: bytes | Any = None, content_type: str = "application/json"
    ) -> Answer:
        """`body` is sent as it is when it is bytes, else as JSON."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"Content-Type": content_type} if data is not None else {}
        with closing(http.client.HTTPSConnection(self.host, self.port, context=self.tls, timeout=TIMEOUT_S)) as http1:
            http1.request(method, path, data, headers)
            answer = http1.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())


class Session:
    """Requests over one connection that is kept; for one thread. A connection that had ended is opened anew."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._connection: http.client.HTTPSConnection | None = None

    def request(
        self, method: str, path: str, body: bytes | Any = None, content_type: str = "application/json"
    ) -> Answer:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"Content-Type": content_type} if data is not None else {}
        if self._connection is not None:
            try:
                return self._ask(self._connection, method, path, data, headers)
            except (OSError, http.client.HTTPException):
                self.close()
        wire = self._wire
        self._connection = http.client.HTTPSConnection(wire.host, wire.port, context=wire.tls, timeout=TIMEOUT_S)
        try:
            return self._ask(self._connection, method, path, data, headers)
        except BaseException:
            self.close()
            raise

    def _ask(
        self,
        connection: http.client.HTTPSConnection,
        method: str,
        path: str,
        data: bytes | None,
        headers: Mapping[str, str],
    ) -> Answer:
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
