"""When a node counts as silent, and what is then said of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from controllers.node_lifecycle.health import Finding, Health, Patience, look

START = datetime(2026, 1, 1, tzinfo=UTC)
PATIENCE = Patience(50.0, 60.0)


def node(*conditions: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": "n", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"metadata": metadata, "spec": {}, "status": {"conditions": list(conditions)}}


def ready(status: str = "True", heartbeat: str = "h1") -> dict[str, Any]:
    return {"type": "Ready", "status": status, "lastHeartbeatTime": heartbeat}


def look_at(found: dict[str, Any], after_s: float, known: Health | None, renewal: str = "") -> Finding:
    return look(found, renewal, known, START + timedelta(seconds=after_s), PATIENCE)


def test_node_first_seen_gets_the_full_grace() -> None:
    finding = look_at(node(ready()), 1000, None)
    assert finding.conditions is None
    assert (finding.observed, finding.current) == ("True", "True")


def test_node_without_heartbeat_becomes_unknown_after_the_grace() -> None:
    first = look_at(node(ready()), 0, None)
    assert look_at(node(ready()), 50, first.health).conditions is None
    late = look_at(node(ready()), 51, first.health)
    assert late.conditions is not None
    assert (late.observed, late.current) == ("True", "Unknown")
    assert late.conditions[0]["reason"] == "NodeStatusUnknown"
    assert late.conditions[0]["message"] == "Kubelet stopped posting node status."
    assert [condition["type"] for condition in late.conditions[1:]] == ["MemoryPressure", "DiskPressure", "PIDPressure"]
    assert late.conditions[1]["message"] == "Kubelet never posted node status."


def test_new_heartbeat_or_renewed_lease_prolongs_the_grace() -> None:
    first = look_at(node(ready()), 0, None)
    second = look_at(node(ready(heartbeat="h2")), 40, first.health)
    assert look_at(node(ready(heartbeat="h2")), 80, second.health).conditions is None
    third = look_at(node(ready(heartbeat="h2")), 80, second.health, "2026-01-01T00:01:20.000000Z")
    assert look_at(node(ready(heartbeat="h2")), 120, third.health, "2026-01-01T00:01:20.000000Z").conditions is None


def test_node_that_never_spoke_has_longer_and_counts_from_its_creation() -> None:
    assert look_at(node(), 60, None).conditions is None
    late = look_at(node(), 61, None)
    assert late.conditions is not None
    assert late.conditions[0]["reason"] == "NodeStatusNeverUpdated"


def test_unknown_node_is_not_written_again() -> None:
    first = look_at(node(ready("Unknown")), 0, None)
    assert look_at(node(ready("Unknown")), 500, first.health).conditions is None
