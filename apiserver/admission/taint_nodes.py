"""New nodes are tainted as not ready until they have shown that they are.

Follows: plugin/pkg/admission/nodetaint/admission.go
"""

from __future__ import annotations

from apiserver.admission.plugin import CREATE, Attributes, Plugin
from openapi.catalog import GroupResource

_NOT_READY = "node.kubernetes.io/not-ready"


class TaintNodesByCondition(Plugin):
    name = "TaintNodesByCondition"
    operations = frozenset((CREATE,))
    resources = frozenset((GroupResource("", "nodes"),))

    async def mutate(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        spec = attributes.obj.setdefault("spec", {})
        taints = spec.get("taints") or []
        if not any(t.get("key") == _NOT_READY and t.get("effect") == "NoSchedule" for t in taints):
            spec["taints"] = [*taints, {"key": _NOT_READY, "effect": "NoSchedule"}]
