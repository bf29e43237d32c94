"""The status of an autoscaler, and how its messages name things."""

from __future__ import annotations

from datetime import UTC, datetime

from controllers.horizontal_pod_autoscaler.sources import selector_text
from controllers.horizontal_pod_autoscaler.status import Status

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_transition_time_moves_only_with_the_status() -> None:
    known = {"type": "AbleToScale", "status": "True", "reason": "r", "message": "m", "lastTransitionTime": "t"}
    status = Status({"status": {"conditions": [known]}}, NOW)
    status.condition("AbleToScale", "True", "other", "m")
    changed = status.changed()
    assert changed is not None
    assert changed["status"]["conditions"] == [{**known, "reason": "other"}]


def test_same_status_is_not_written() -> None:
    status = Status({"status": {"currentMetrics": None, "desiredReplicas": 2, "currentReplicas": 2}}, NOW)
    status.counts(2, [], 2)
    assert status.changed() is None


def test_selector_as_go_prints_it() -> None:
    assert selector_text(None) == "nil"
    expected = "&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{},}"
    assert selector_text({"matchLabels": {"a": "b"}}) == expected
