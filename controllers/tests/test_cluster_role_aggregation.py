"""Aggregated rules."""

from __future__ import annotations

from typing import Any

from controllers.cluster_role_aggregation import aggregated_rules


def role(name: str, verb: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}, "rules": [{"verbs": [verb]}]}


def test_rules_come_by_selector_then_name_and_only_once() -> None:
    selectors = [{"matchLabels": {"b": "y"}}, {"matchLabels": {"a": "x"}}]
    whole = {**role("whole", "own", a="x"), "aggregationRule": {"clusterRoleSelectors": selectors}}
    roles = [role("z", "get", a="x"), role("c", "list", a="x"), role("d", "watch", b="y"), role("e", "list", b="y")]
    verbs = [rule["verbs"][0] for rule in aggregated_rules(whole, [*roles, whole])]
    assert verbs == ["watch", "list", "get"]
