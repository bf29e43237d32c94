"""Whether a pod may be on a node."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.workloads.nodes import has_untolerated, matches_selection

NODE: dict[str, Any] = {"metadata": {"name": "x", "labels": {"zone": "a", "cpus": "8"}}}


def required(**term: Any) -> dict[str, Any]:
    terms = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return {"affinity": {"nodeAffinity": terms}}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("spec", "matches"),
    [
        ({}, True),
        ({"nodeSelector": {"zone": "a"}}, True),
        ({"nodeSelector": {"zone": "b"}}, False),
        (required(**expression("zone", "In", "a", "b")), True),
        (required(**expression("zone", "NotIn", "a")), False),
        (required(**expression("other", "DoesNotExist")), True),
        (required(**expression("cpus", "Gt", "4")), True),
        (required(**expression("cpus", "Lt", "4")), False),
        (required(**expression("zone", "Gt", "4")), False),
        (required(matchFields=[{"key": "metadata.name", "operator": "In", "values": ["x"]}]), True),
        (required(matchFields=[{"key": "metadata.name", "operator": "In", "values": ["y"]}]), False),
        (required(), False),
    ],
)
def test_selection(spec: dict[str, Any], matches: bool) -> None:
    assert matches_selection(spec, NODE) is matches


TAINT = {"key": "k", "value": "v", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("toleration", "is_kept_off"),
    [
        ({"key": "k", "value": "v"}, False),
        ({"key": "k", "value": "w"}, True),
        ({"key": "k", "operator": "Exists"}, False),
        ({"operator": "Exists"}, False),
        ({"operator": "Exists", "effect": "NoExecute"}, True),
        ({"value": "v"}, True),
    ],
)
def test_taints(toleration: dict[str, Any], is_kept_off: bool) -> None:
    node = {"metadata": {"name": "x"}, "spec": {"taints": [TAINT]}}
    assert has_untolerated(node, [toleration], ("NoSchedule", "NoExecute")) is is_kept_off
    assert not has_untolerated(node, [], ("NoExecute",))
