"""The core group: pods, services, volumes, configuration and the rest of the legacy group."""

from __future__ import annotations

from dataclasses import replace

from openapi.catalog import Resource, Subresource
from openapi.kinds.row import CONNECT, EVERYDAY, PROXY, READ_WRITE, ApiGroup

CORE = ApiGroup("", "v1", "io.k8s.api.core.v1")

RESOURCES: tuple[Resource, ...] = (
    CORE.computed("bindings", "Binding", namespaced=True),
    replace(
        CORE.computed("componentstatuses", "ComponentStatus", "cs", verbs=("get", "list")),
        deprecation="v1 ComponentStatus is deprecated in v1.19+",
    ),
    CORE.row("configmaps", "ConfigMap", "cm"),
    replace(
        CORE.row("endpoints", "Endpoints", "ep", prefix="services/endpoints"),
        deprecation="v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    ),
    CORE.row("events", "Event", "ev"),
    CORE.row("limitranges", "LimitRange", "limits"),
    CORE.row(
        "namespaces", "Namespace", "ns",
        namespaced=False,
        verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
        status=True,
        subresources=(
            Subresource("finalize", ("update",), "Namespace"),
        ),
    ),
    CORE.row(
        "nodes", "Node", "no",
        namespaced=False,
        status=True,
        subresources=(
            Subresource("proxy", PROXY, "NodeProxyOptions"),
        ),
        prefix="minions",
    ),
    CORE.row("persistentvolumeclaims", "PersistentVolumeClaim", "pvc", status=True),
    CORE.row("persistentvolumes", "PersistentVolume", "pv", namespaced=False, status=True),
    CORE.row(
        "pods", "Pod", "po",
        categories=EVERYDAY,
        status=True,
        subresources=(
            Subresource("attach", CONNECT, "PodAttachOptions"),
            Subresource("binding", ("create",), "Binding"),
            Subresource("ephemeralcontainers", READ_WRITE, "Pod"),
            Subresource("eviction", ("create",), "Eviction", "policy", "v1"),
            Subresource("exec", CONNECT, "PodExecOptions"),
            Subresource("log", ("get",), "Pod"),
            Subresource("portforward", CONNECT, "PodPortForwardOptions"),
            Subresource("proxy", PROXY, "PodProxyOptions"),
            Subresource("resize", READ_WRITE, "Pod"),
        ),
    ),
    CORE.row("podtemplates", "PodTemplate"),
    CORE.row(
        "replicationcontrollers", "ReplicationController", "rc",
        categories=EVERYDAY,
        scale=True,
        status=True,
        prefix="controllers",
    ),
    CORE.row("resourcequotas", "ResourceQuota", "quota", status=True),
    CORE.row("secrets", "Secret"),
    CORE.row(
        "serviceaccounts", "ServiceAccount", "sa",
        subresources=(
            Subresource("token", ("create",), "TokenRequest", "authentication.k8s.io", "v1"),
        ),
    ),
    CORE.row(
        "services", "Service", "svc",
        categories=EVERYDAY,
        status=True,
        subresources=(
            Subresource("proxy", PROXY, "ServiceProxyOptions"),
        ),
        prefix="services/specs",
    ),
)
