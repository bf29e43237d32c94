"""The conditions of a namespace in deletion."""

from __future__ import annotations

from collections import Counter

from controllers.namespace.conditions import Progress, plan_conditions
from openapi.catalog import GroupResource


def by_type(conditions: list[dict[str, str]] | None) -> dict[str, dict[str, str]]:
    return {condition["type"]: condition for condition in conditions or ()}


def test_nothing_left_and_nothing_wrong_sets_all_five_to_false() -> None:
    conditions = plan_conditions({}, Progress(), "t")
    assert conditions is not None
    assert [condition["status"] for condition in conditions] == ["False"] * 5


def test_same_findings_write_nothing() -> None:
    conditions = plan_conditions({}, Progress(), "t")
    assert plan_conditions({"conditions": conditions}, Progress(), "later") is None


def test_what_remains_is_counted_and_sorted() -> None:
    progress = Progress(
        remaining={GroupResource("", "pods"): 2, GroupResource("apps", "deployments"): 1},
        finalizers=Counter({"example.com/hold": 3}),
    )
    found = by_type(plan_conditions({}, progress, "t"))
    assert found["NamespaceContentRemaining"]["message"] == (
        "Some resources are remaining: deployments.apps has 1 resource instances, pods. has 2 resource instances"
    )
    assert found["NamespaceFinalizersRemaining"]["message"] == (
        "Some content in the namespace has finalizers remaining: example.com/hold in 3 resource instances"
    )


def test_undiscovered_group_is_named() -> None:
    found = by_type(plan_conditions({}, Progress(undiscovered=["m.k8s.io/v1"]), "t"))
    assert found["NamespaceDeletionDiscoveryFailure"]["message"] == (
        "Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: "
        "m.k8s.io/v1: stale GroupVersion discovery: m.k8s.io/v1"
    )


def test_transition_time_moves_only_with_the_status() -> None:
    one = plan_conditions({}, Progress(failures=["a"]), "t1")
    two = by_type(plan_conditions({"conditions": one}, Progress(failures=["b"]), "t2"))
    assert two["NamespaceDeletionContentFailure"]["lastTransitionTime"] == "t1"
    three = by_type(plan_conditions({"conditions": one}, Progress(), "t3"))
    assert three["NamespaceDeletionContentFailure"]["lastTransitionTime"] == "t3"
