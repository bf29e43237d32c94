"""apiextensions.k8s.io: custom resource definitions."""

from __future__ import annotations

from openapi.catalog import Resource
from openapi.kinds.row import EXTENSIONS, ApiGroup

APIEXTENSIONS = ApiGroup("apiextensions.k8s.io", "v1", "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1")

RESOURCES: tuple[Resource, ...] = (
    APIEXTENSIONS.row(
        "customresourcedefinitions", "CustomResourceDefinition", "crd", "crds",
        namespaced=False,
        categories=EXTENSIONS,
        status=True,
        prefix="apiextensions.k8s.io/customresourcedefinitions",
    ),
)
