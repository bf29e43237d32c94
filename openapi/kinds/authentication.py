"""authentication.k8s.io: who is asking."""

from __future__ import annotations

from openapi.catalog import Resource
from openapi.kinds.row import ApiGroup

AUTHENTICATION = ApiGroup("authentication.k8s.io", "v1", "io.k8s.api.authentication.v1")

RESOURCES: tuple[Resource, ...] = (
    AUTHENTICATION.computed("selfsubjectreviews", "SelfSubjectReview"),
    AUTHENTICATION.computed("tokenreviews", "TokenReview"),
)

DEFAULTS = {"io.k8s.api.authentication.v1.TokenRequestSpec": ({"expirationSeconds": 3600},)}
