"""policy: disruption budgets."""

from __future__ import annotations

from openapi.catalog import Resource
from openapi.kinds.row import ApiGroup

POLICY = ApiGroup("policy", "v1", "io.k8s.api.policy.v1")

RESOURCES: tuple[Resource, ...] = (
    POLICY.row("poddisruptionbudgets", "PodDisruptionBudget", "pdb", status=True),
)
