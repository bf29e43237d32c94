"""Pods stay for five minutes on a node that is not ready or not reachable, unless they say otherwise.

Follows: plugin/pkg/admission/defaulttolerationseconds/admission.go
"""

from __future__ import annotations

from apiserver.admission.plugin import Attributes, Plugin
from openapi.catalog import GroupResource

_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_SECONDS = 300


class DefaultTolerationSeconds(Plugin):
    name = "DefaultTolerationSeconds"
    resources = frozenset((GroupResource("", "pods"),))

    async def mutate(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        spec = attributes.obj.setdefault("spec", {})
        tolerations = spec.get("tolerations") or []
        covering = {t.get("key", "") for t in tolerations if t.get("effect", "NoExecute") in ("NoExecute", "")}
        if "" in covering:
            return
        missing = [
            {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _SECONDS}
            for key in _TAINTS
            if key not in covering
        ]
        if missing:
            spec["tolerations"] = [*tolerations, *missing]
