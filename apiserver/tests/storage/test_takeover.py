"""The data in etcd belongs to nobody: another server with the same layout reads every field of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from apiserver.app import ApiServer, Settings
from apiserver.storage.etcd import EtcdBackend
from apiserver.tests.conftest import TOKENS, Client
from apiserver.tests.storage.conftest import EtcdServer
from cluster.pki import Pki

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "d", "annotations": {"example.com/a": "1"}},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"a": "b"}},
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "1500m"}}}]},
        },
    },
}
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}
SCALER = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "h"},
    "spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}},
}
WRITTEN = (
    ("/apis/apps/v1/namespaces/ns/deployments", DEPLOYMENT),
    ("/api/v1/namespaces/ns/services", SERVICE),
    ("/apis/autoscaling/v2/namespaces/ns/horizontalpodautoscalers", SCALER),
)


async def start(etcd: EtcdServer, pki: Pki, tokens: Path) -> ApiServer:
    server = ApiServer(
        EtcdBackend([etcd.url]),
        Settings("127.0.0.1", 6443, ("10.96.0.0/16",), pki.service_account_key, pki.ca.cert, tokens),
    )
    await server.start()
    return server


async def test_another_server_reads_every_field_and_the_keys_are_upstreams(
    etcd: EtcdServer, pki: Pki, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens.csv"
    tokens.write_text(TOKENS)
    first, second = await start(etcd, pki, tokens), await start(etcd, pki, tokens)
    try:
        here, there = Client(first.app), Client(second.app)
        await here.create("/api/v1/namespaces", {"metadata": {"name": "ns"}})
        for path, body in WRITTEN:
            made = await here.create(path, body)
            answer = await there.ask("GET", f"{path}/{made['metadata']['name']}")
            assert answer.json == made
        for key in ("deployments/ns/d", "services/specs/ns/s", "horizontalpodautoscalers/ns/h", "namespaces/ns"):
            stored = await first.store.backend.get(f"/registry/{key}")
            assert stored is not None, key
            document = orjson.loads(stored.value)
            assert list(document)[:3] == ["kind", "apiVersion", "metadata"]
            assert "resourceVersion" not in document["metadata"]
    finally:
        await first.stop()
        await second.stop()
