"""authorization.k8s.io: what may be done."""

from __future__ import annotations

from openapi.catalog import Resource
from openapi.kinds.row import ApiGroup

AUTHORIZATION = ApiGroup("authorization.k8s.io", "v1", "io.k8s.api.authorization.v1")

RESOURCES: tuple[Resource, ...] = (
    AUTHORIZATION.computed("localsubjectaccessreviews", "LocalSubjectAccessReview", namespaced=True),
    AUTHORIZATION.computed("selfsubjectaccessreviews", "SelfSubjectAccessReview"),
    AUTHORIZATION.computed("selfsubjectrulesreviews", "SelfSubjectRulesReview"),
    AUTHORIZATION.computed("subjectaccessreviews", "SubjectAccessReview"),
)
