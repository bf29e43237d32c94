"""autoscaling: horizontal scaling, in two versions of one stored resource."""

from __future__ import annotations

from openapi.catalog import Resource
from openapi.kinds.row import EVERYDAY, ApiGroup

AUTOSCALING_V2 = ApiGroup("autoscaling", "v2", "io.k8s.api.autoscaling.v2")
AUTOSCALING_V1 = ApiGroup("autoscaling", "v1", "io.k8s.api.autoscaling.v1")

RESOURCES: tuple[Resource, ...] = (
    AUTOSCALING_V2.row("horizontalpodautoscalers", "HorizontalPodAutoscaler", "hpa", categories=EVERYDAY, status=True),
    AUTOSCALING_V1.row(
        "horizontalpodautoscalers", "HorizontalPodAutoscaler", "hpa",
        categories=EVERYDAY,
        status=True,
        storage_version="autoscaling/v2",
    ),
)
