"""Hints that keep traffic near its source, as `spec.trafficDistribution` asks for. Pure.

Follows: staging/src/k8s.io/endpointslice/trafficdist/trafficdist.go
"""

from __future__ import annotations

from controllers.runtime.objects import Object, View

_NEAR = ("PreferClose", "PreferSameZone", "PreferSameNode")


def hinted(endpoint: Object, distribution: str | None) -> Object:
    """The endpoint with the hints it should have; itself if it has them."""
    if distribution in _NEAR and not endpoint.get("conditions", {}).get("ready"):
        return endpoint
    hints = _hints(endpoint, distribution)
    if (endpoint.get("hints") or {}) == hints:
        return endpoint
    changed = {name: value for name, value in endpoint.items() if name != "hints"}
    return {**changed, "hints": hints} if hints else changed


def _hints(endpoint: View, distribution: str | None) -> Object:
    hints: Object = {}
    if distribution in _NEAR and endpoint.get("zone"):
        hints["forZones"] = [{"name": endpoint["zone"]}]
    if distribution == "PreferSameNode" and endpoint.get("nodeName"):
        hints["forNodes"] = [{"name": endpoint["nodeName"]}]
    return hints
