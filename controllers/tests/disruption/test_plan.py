"""The status of disruption budgets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from controllers.disruption.plan import (
    count_healthy,
    desired_healthy,
    disrupted_pods,
    failed_status,
    plan_status,
    selector_text,
    stale_in_s,
    wants_scale,
)

Object = dict[str, Any]
NOW = datetime(2026, 1, 1, 0, 5, tzinfo=UTC)


def budget(status: Object | None = None, **spec: Any) -> Object:
    return {"metadata": {"name": "d", "generation": 1}, "spec": spec, "status": status or {}}


def pod(name: str, *, ready: bool = True, conditions: tuple[Object, ...] = (), **metadata: Any) -> Object:
    mine = {"type": "Ready", "status": "True" if ready else "False"}
    return {"metadata": {"name": name, **metadata}, "status": {"conditions": [mine, *conditions]}}


@pytest.mark.parametrize(
    ("spec", "expected", "desired"),
    [
        ({"minAvailable": 3}, 5, 3),
        ({"minAvailable": "50%"}, 5, 3),
        ({"maxUnavailable": "30%"}, 4, 2),
        ({"maxUnavailable": 9}, 4, 0),
        ({}, 4, 0),
    ],
)
def test_desired_healthy(spec: Object, expected: int, desired: int) -> None:
    assert desired_healthy(budget(**spec), expected) == desired


def test_only_percentages_and_unavailability_need_the_scale() -> None:
    assert wants_scale(budget(maxUnavailable=1))
    assert wants_scale(budget(minAvailable="1%"))
    assert not wants_scale(budget(minAvailable=1))


def test_status_that_is_the_same_is_not_written() -> None:
    facts: Any = {"healthy": 2, "desired": 1, "expected": 2, "disrupted": {}, "now": NOW}
    status = plan_status(budget(), **facts)
    assert status is not None
    assert (status["disruptionsAllowed"], status["conditions"][0]["reason"]) == (1, "SufficientPods")
    assert plan_status(budget(status), **facts) is None


def test_nothing_is_allowed_without_pods() -> None:
    status = plan_status(budget(), healthy=0, desired=0, expected=0, disrupted={}, now=NOW)
    assert status is not None
    assert (status["disruptionsAllowed"], status["conditions"][0]["status"]) == (0, "False")


def test_evicted_pods_do_not_count_until_they_are_overdue() -> None:
    marks = {"a": "2026-01-01T00:04:00Z", "b": "2026-01-01T00:01:00Z", "gone": "2026-01-01T00:04:00Z"}
    pods = [pod("a"), pod("b"), pod("c")]
    found = disrupted_pods(budget({"disruptedPods": marks}), pods, NOW)
    assert set(found.pods) == {"a"}
    assert [one["metadata"]["name"] for one in found.overdue] == ["b"]
    assert found.recheck_s == 60
    assert count_healthy(pods, found.pods) == 2


def test_deleting_and_unready_pods_are_not_healthy() -> None:
    assert count_healthy([pod("a", deletionTimestamp="t"), pod("b", ready=False)], {}) == 0


def test_failure_allows_nothing_and_says_why() -> None:
    status = failed_status(budget({"disruptionsAllowed": 3}), "no", NOW)
    assert (status["disruptionsAllowed"], status["conditions"][0]["reason"]) == (0, "SyncFailed")


def test_mark_of_a_pod_that_lives_on_becomes_stale() -> None:
    mark = {"type": "DisruptionTarget", "status": "True", "lastTransitionTime": "2026-01-01T00:04:00Z"}
    assert stale_in_s(pod("a", conditions=(mark,)), NOW) == 60
    assert stale_in_s(pod("a", conditions=(mark,), deletionTimestamp="t"), NOW) is None
    assert stale_in_s(pod("a"), NOW) is None


def test_selector_is_shown_as_go_prints_it() -> None:
    selector = {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "k", "operator": "In", "values": ["x", "y"]}]}
    assert selector_text(selector) == (
        "&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement"
        "{LabelSelectorRequirement{Key:k,Operator:In,Values:[x y],},},}"
    )
