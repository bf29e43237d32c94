"""apiregistration.k8s.io: API services of the aggregation layer."""

from __future__ import annotations

from openapi.catalog import Resource
from openapi.kinds.row import EXTENSIONS, ApiGroup

APIREGISTRATION = ApiGroup("apiregistration.k8s.io", "v1", "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1")

RESOURCES: tuple[Resource, ...] = (
    APIREGISTRATION.row(
        "apiservices", "APIService",
        namespaced=False,
        categories=EXTENSIONS,
        status=True,
        prefix="apiregistration.k8s.io/apiservices",
    ),
)
