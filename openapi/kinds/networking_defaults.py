"""Defaults of ingress classes and network policies.

Follows: pkg/apis/networking/v1/defaults.go
"""

from __future__ import annotations

from typing import Any

from openapi.kinds.row import Defaults

Object = dict[str, Any]

NETWORKING = "io.k8s.api.networking.v1."


def _policy_types(spec: Object) -> None:
    """Without a choice, a policy rules what comes in, and what goes out only if it has rules for it."""
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


DEFAULTS: Defaults = {
    NETWORKING + "IngressClassParametersReference": ({"scope": "Cluster"},),
    NETWORKING + "NetworkPolicyPort": ({"protocol": "TCP"},),
    NETWORKING + "NetworkPolicySpec": (_policy_types,),
}
