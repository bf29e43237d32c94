"""flowcontrol.apiserver.k8s.io: API priority and fairness."""

from __future__ import annotations

from openapi.catalog import Resource
from openapi.kinds.row import ApiGroup

FLOWCONTROL = ApiGroup("flowcontrol.apiserver.k8s.io", "v1", "io.k8s.api.flowcontrol.v1")

RESOURCES: tuple[Resource, ...] = (
    FLOWCONTROL.row("flowschemas", "FlowSchema", namespaced=False, status=True),
    FLOWCONTROL.row("prioritylevelconfigurations", "PriorityLevelConfiguration", namespaced=False, status=True),
)
