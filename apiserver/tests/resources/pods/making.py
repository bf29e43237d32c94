"""Pods for tests: decoded and defaulted as the server does, with a service account as admission gives one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from apiserver.resources.pods.strategy import PodStrategy
from apiserver.resources.strategy import Strategy, User, WriteContext
from openapi.catalog import GroupVersionKind
from openapi.schema.decode import decode
from openapi.schema.defaults import apply_defaults
from openapi.schema.load import schema_for

Object = dict[str, Any]
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PODS = PodStrategy()
POD = GroupVersionKind("", "v1", "Pod")


def context() -> WriteContext:
    return WriteContext(User("someone"), NOW, "ns", "a")


def make_pod(meta: Object | None = None, status: Object | None = None, **spec: Any) -> Object:
    spec.setdefault("containers", [{"name": "c", "image": "i"}])
    spec.setdefault("serviceAccountName", "default")
    metadata = {"name": "a", "namespace": "ns", **(meta or {})}
    pod: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    if status is not None:
        pod["status"] = status
    decode(pod, schema_for(POD), POD)
    apply_defaults(pod, POD)
    return pod


def stored_pod(meta: Object | None = None, status: Object | None = None, **spec: Any) -> Object:
    """A pod as it lies in the store."""
    pod = make_pod({"resourceVersion": "1", "uid": "u", "generation": 1, **(meta or {})}, status, **spec)
    pod.setdefault("status", {"phase": "Pending", "qosClass": "BestEffort"})
    return pod


def problems(obj: Object, old: Object | None = None, strategy: Strategy = PODS) -> list[str]:
    """What validation says, after preparing."""
    strategy.prepare(obj, old, context())
    return [str(error) for error in strategy.validate(obj, old, context())]
