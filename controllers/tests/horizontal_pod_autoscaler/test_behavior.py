"""Limits, stabilization and pace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from controllers.horizontal_pod_autoscaler.behavior import Bounds, Decision, History, decide, tolerance_of
from controllers.horizontal_pod_autoscaler.calculator import Tolerance

START = datetime(2026, 1, 1, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def pods(value: int, period_s: int = 60) -> dict[str, Any]:
    return {"type": "Pods", "value": value, "periodSeconds": period_s}


def percent(value: int, period_s: int = 60) -> dict[str, Any]:
    return {"type": "Percent", "value": value, "periodSeconds": period_s}


def rules(*policies: dict[str, Any], select: str = "Max", window_s: int = 0) -> dict[str, Any]:
    return {"policies": list(policies), "selectPolicy": select, "stabilizationWindowSeconds": window_s}


def plainly(current: int, wanted: int, least: int = 1, most: int = 100) -> Decision:
    return decide(None, Bounds(current, least, most), wanted, History(), START)


def test_without_behavior_replicas_at_most_double() -> None:
    assert plainly(10, 50).replicas == 20
    assert plainly(10, 50).limit[0] == "ScaleUpLimit"
    assert plainly(1, 50).replicas == 4


def test_bounds_hold() -> None:
    assert (plainly(5, 9, most=6).replicas, plainly(5, 9, most=6).limit[0]) == (6, "TooManyReplicas")
    assert (plainly(5, 1, least=2).replicas, plainly(5, 1, least=2).limit[0]) == (2, "TooFewReplicas")
    decision = plainly(5, 6)
    assert (decision.replicas, decision.is_limited, decision.limit[0]) == (6, False, "DesiredWithinRange")


def test_down_waits_until_no_higher_recommendation_is_recent() -> None:
    history = History()
    history.begin(10, START)
    early = decide(None, Bounds(10, 1, 100), 3, history, after(299))
    assert (early.replicas, early.able[0]) == (10, "ScaleDownStabilized")
    late = decide(None, Bounds(10, 1, 100), 3, history, after(301))
    assert (late.replicas, late.able[0]) == (3, "ReadyForNewScale")


def test_up_waits_as_long_as_its_window_says() -> None:
    behavior = {"scaleUp": rules(percent(900), window_s=60), "scaleDown": rules(percent(100))}
    history = History()
    history.begin(2, START)
    early = decide(behavior, Bounds(2, 1, 100), 8, history, after(30))
    assert (early.replicas, early.able[0]) == (2, "ScaleUpStabilized")
    assert decide(behavior, Bounds(2, 1, 100), 8, history, after(61)).replicas == 8


def test_policies_count_changes_of_their_period() -> None:
    behavior = {"scaleUp": rules(pods(4)), "scaleDown": rules(percent(100))}
    history = History()
    first = decide(behavior, Bounds(2, 1, 100), 50, history, START)
    assert (first.replicas, first.limit[0]) == (6, "ScaleUpLimit")
    history.scaled(behavior, 2, 6, START)
    assert decide(behavior, Bounds(6, 1, 100), 50, history, after(30)).replicas == 6
    assert decide(behavior, Bounds(6, 1, 100), 50, history, after(61)).replicas == 10


def test_selected_policy() -> None:
    most = {"scaleUp": rules(pods(4), percent(10)), "scaleDown": rules(percent(100))}
    least = {"scaleUp": rules(pods(4), percent(10), select="Min"), "scaleDown": rules(percent(100))}
    disabled = {"scaleUp": rules(pods(4), select="Disabled"), "scaleDown": rules(percent(100))}
    results = [decide(one, Bounds(5, 1, 100), 50, History(), START).replicas for one in (most, least, disabled)]
    assert results == [9, 6, 5]


def test_down_policies() -> None:
    behavior = {"scaleUp": rules(pods(4)), "scaleDown": rules(percent(10), pods(3))}
    decision = decide(behavior, Bounds(50, 1, 100), 2, History(), START)
    assert (decision.replicas, decision.limit[0]) == (45, "ScaleDownLimit")


def test_tolerance_per_direction() -> None:
    assert tolerance_of(None) == Tolerance(0.1, 0.1)
    assert tolerance_of({"scaleUp": {"tolerance": "50m"}}) == Tolerance(0.1, 0.05)
