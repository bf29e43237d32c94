"""API servers behind ours: a real one over TLS, which trusts our front proxy alone."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from apiserver.aggregation.identity import identity_headers
from apiserver.aggregation.location import FrontProxy
from apiserver.app import ApiServer, Settings
from apiserver.resources.strategy import User
from apiserver.storage.sqlite import SqliteBackend
from apiserver.tests.conftest import TOKENS, Client
from cluster.pki import Pki, load_authority

SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
GROUP = "/apis/things.example.com/v1"
RESOURCES = [
    {"name": "things", "singularName": "thing", "namespaced": True, "kind": "Thing", "verbs": ["get", "list"]},
    {"name": "things/status", "namespaced": True, "kind": "Thing", "verbs": ["get"]},
]


@dataclass
class Other:
    """The server behind; `seen` are the heads of the requests for its own resources."""

    port: int = 0
    seen: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.split(" ", 2)
        lengths = [line.split(":")[1] for line in head.split("\r\n") if line.startswith("content-length")]
        sent = await reader.readexactly(int(lengths[0])) if lengths else b""
        documents: dict[str, Any] = {
            GROUP: {"kind": "APIResourceList", "groupVersion": "things.example.com/v1", "resources": RESOURCES},
            "/openapi/v3": {"paths": {GROUP[1:]: {"serverRelativeURL": f"/openapi/v3{GROUP}?hash=1"}}},
            f"/openapi/v3{GROUP}?hash=1": {"openapi": "3.0.0"},
            "/openapi/v2": {"paths": {f"{GROUP}/things": {}, "/other": {}}, "definitions": {"Thing": {}}},
        }
        if f"{GROUP}/" in target and "openapi" not in target:
            self.seen.append(head)
            body = {"method": method, "target": target, "sent": sent.decode()}
        else:
            body = documents.get(target)
        code, raw = (404, b"{}") if body is None else (200, json.dumps(body).encode())
        writer.write(
            b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (code, len(raw), raw)
        )
        await writer.drain()
        writer.close()


@pytest.fixture
async def front(pki: Pki, tmp_path: Path) -> AsyncIterator[Client]:
    tokens = tmp_path / "tokens.csv"
    tokens.write_text(TOKENS)
    proxy = FrontProxy(pki.front_proxy.cert, pki.front_proxy.key, pki.front_proxy_ca.cert)
    server = ApiServer(
        SqliteBackend(None),
        Settings("127.0.0.1", 6443, ("10.96.0.0/16",), pki.service_account_key, pki.ca.cert, tokens, None, proxy),
    )
    await server.start()
    client = Client(server.app)
    await client.create("/api/v1/namespaces", {"metadata": {"name": "ns"}})
    yield client
    await server.stop()


@pytest.fixture
async def other(pki: Pki, tmp_path: Path) -> AsyncIterator[Other]:
    found = Other()
    cert, key = load_authority(pki.ca).server("things", ["things.ns.svc"])
    (tmp_path / "other.pem").write_bytes(cert + key)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "other.pem")
    tls.load_verify_locations(pki.front_proxy_ca.cert)
    tls.verify_mode = ssl.CERT_REQUIRED
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0, ssl=tls)
    found.port = server.sockets[0].getsockname()[1]
    yield found
    server.close()
    await server.wait_closed()


def api_service(**spec: Any) -> dict[str, Any]:
    spec = {"group": "things.example.com", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 10, **spec}
    return {"metadata": {"name": "v1.things.example.com"}, "spec": spec}


async def condition(client: Client, reason: str) -> dict[str, Any]:
    """The Available condition, once it has that reason."""
    found: dict[str, Any] = {}
    for _ in range(200):
        obj = (await client.ask("GET", f"{SERVICES}/v1.things.example.com")).json
        found = next(iter(obj.get("status", {}).get("conditions") or ()), {})
        if found.get("reason") == reason:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"the condition stays {found}")


async def test_requests_go_to_the_server_behind_with_the_users_identity(front: Client, other: Other, pki: Pki) -> None:
    external = {"metadata": {"name": "things"}, "spec": {"type": "ExternalName", "externalName": "localhost"}}
    await front.create("/api/v1/namespaces/ns/services", external)
    bundle = base64.b64encode(pki.ca.cert_pem).decode()
    service = {"namespace": "ns", "name": "things", "port": other.port}
    await front.create(SERVICES, api_service(service=service, caBundle=bundle))
    found = await condition(front, "Passed")
    assert (found["status"], found["message"]) == ("True", "all checks passed")

    path = f"{GROUP}/namespaces/ns/things?x=1"
    answer = await front.ask("POST", path, {"a": 1}, **{"x-remote-user": "forged", "x-remote-group": "system:masters"})
    assert answer.json == {"method": "POST", "target": path, "sent": '{"a": 1}'}
    head = other.seen[0].lower()
    assert "x-remote-user: admin\r\n" in head and "x-remote-group: system:authenticated\r\n" in head
    assert "forged" not in head and "authorization" not in head
    refused = await front.as_("nobody-token").ask("GET", path)
    assert refused.code == 403 and len(other.seen) == 1

    groups = {each["name"]: each for each in (await front.ask("GET", "/apis")).json["groups"]}
    assert groups["things.example.com"]["preferredVersion"] == {"groupVersion": GROUP[6:], "version": "v1"}
    assert (await front.ask("GET", GROUP)).json["resources"] == RESOURCES
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    last = (await front.ask("GET", "/apis", accept=accept)).json["items"][-1]
    version = last["versions"][0]
    assert (last["metadata"]["name"], version["freshness"]) == ("things.example.com", "Current")
    assert version["resources"][0]["subresources"][0]["subresource"] == "status"
    index = (await front.ask("GET", "/openapi/v3")).json["paths"]
    document = await front.ask("GET", index[GROUP[1:]]["serverRelativeURL"])
    assert document.json == {"openapi": "3.0.0"}
    swagger = (await front.ask("GET", "/openapi/v2")).json
    assert f"{GROUP}/things" in swagger["paths"] and "Thing" in swagger["definitions"]
    assert "/other" not in swagger["paths"]


@pytest.mark.parametrize(
    ("ports", "endpoints", "reason", "message"),
    [
        (None, None, "ServiceNotFound", 'service/things in "ns" is not present'),
        (80, None, "ServicePortError", 'service/things in "ns" is not listening on port 443'),
        (443, None, "EndpointsNotFound", 'cannot find endpointslices for service/things in "ns"'),
        (443, [], "MissingEndpoints",
         'endpointslices for service/things in "ns" have no addresses with port name "api"'),
    ],
)  # fmt: skip
async def test_what_keeps_a_server_from_being_asked_is_told(
    front: Client, ports: int | None, endpoints: list[Any] | None, reason: str, message: str
) -> None:
    if ports is not None:
        spec = {"ports": [{"name": "api", "port": ports}]}
        await front.create("/api/v1/namespaces/ns/services", {"metadata": {"name": "things"}, "spec": spec})
    if endpoints is not None:
        piece = {
            "metadata": {"name": "a", "labels": {"kubernetes.io/service-name": "things"}},
            "addressType": "IPv4", "ports": [{"name": "api", "port": 443}], "endpoints": endpoints,
        }  # fmt: skip
        await front.create("/apis/discovery.k8s.io/v1/namespaces/ns/endpointslices", piece)
    await front.create(SERVICES, api_service(service={"namespace": "ns", "name": "things"}, insecureSkipTLSVerify=True))
    found = await condition(front, reason)
    assert (found["status"], found["message"]) == ("False", message)
    answer = await front.ask("GET", f"{GROUP}/things")
    assert (answer.code, answer.body) == (503, b"service unavailable\n")


async def test_a_server_with_another_certificate_is_not_trusted(front: Client, other: Other, pki: Pki) -> None:
    spec = {"type": "ExternalName", "externalName": "localhost"}
    await front.create("/api/v1/namespaces/ns/services", {"metadata": {"name": "others"}, "spec": spec})
    bundle = base64.b64encode(pki.ca.cert_pem).decode()
    service = {"namespace": "ns", "name": "others", "port": other.port}
    await front.create(SERVICES, api_service(service=service, caBundle=bundle))
    found = await condition(front, "FailedDiscoveryCheck")
    url = f"https://localhost:{other.port}{GROUP}"
    assert found["message"].startswith(f'failing or missing response from {url}: Get "{url}": tls: ')


def test_an_identity_is_spelled_in_headers() -> None:
    user = User("ann", "7", ("a", "b"), {"example.com/x y": ("1", "2")})
    assert identity_headers(user) == [
        (b"x-remote-user", b"ann"), (b"x-remote-uid", b"7"), (b"x-remote-group", b"a"), (b"x-remote-group", b"b"),
        (b"x-remote-extra-example.com%2Fx%20y", b"1"), (b"x-remote-extra-example.com%2Fx%20y", b"2"),
    ]  # fmt: skip
