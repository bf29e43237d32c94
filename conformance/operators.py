"""An operator as its users write them, for the framework kopf: `kopf run operators.py`.

The environment variable WEBHOOK_TLS names a folder with `cert.pem` and `key.pem` for 127.0.0.1.
"""

from __future__ import annotations

import os
from typing import Any

import kopf
from kubernetes import client, config

GROUP = "operators.example.com"


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    folder = os.environ["WEBHOOK_TLS"]
    cert = f"{folder}/cert.pem"
    settings.admission.server = kopf.WebhookServer(
        addr="127.0.0.1", host="127.0.0.1", certfile=cert, pkeyfile=f"{folder}/key.pem", cafile=cert
    )
    settings.admission.managed = GROUP
    settings.posting.enabled = True
    config.load_kube_config()


@kopf.on.create(GROUP, "v1", "gadgets")
def created(spec: Any, name: str, namespace: str, body: Any, **_: Any) -> dict[str, Any]:
    child: dict[str, Any] = {"metadata": {"name": f"{name}-child"}, "data": {"size": str(spec["size"])}}
    kopf.adopt(child, owner=body)
    client.CoreV1Api().create_namespaced_config_map(namespace, child)
    kopf.event(body, type="Normal", reason="Made", message="made its child")
    return {"child": f"{name}-child"}


@kopf.on.update(GROUP, "v1", "gadgets", field="spec.size")
def resized(old: int, new: int, patch: Any, **_: Any) -> None:
    patch.status["resized"] = f"{old} to {new}"


@kopf.on.delete(GROUP, "v1", "gadgets")
def deleted(**_: Any) -> None:
    """Makes the framework keep a finalizer."""


@kopf.on.mutate(GROUP, "v1", "gadgets")
def complete(spec: Any, patch: Any, **_: Any) -> None:
    if "color" not in spec:
        patch.spec["color"] = "red"


@kopf.on.validate(GROUP, "v1", "gadgets")
def judge(spec: Any, warnings: list[str], **_: Any) -> None:
    if spec["size"] == 13:
        raise kopf.AdmissionError("13 is unlucky", code=422)
    if spec["size"] > 100:
        warnings.append("that is large")
