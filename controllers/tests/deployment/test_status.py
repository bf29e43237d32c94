"""Progress, completion, deadline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from controllers.deployment.status import rollout_status, seconds_to_deadline

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def deployment(replicas: int, status: dict[str, Any] | None = None, deadline: int | None = 600) -> dict[str, Any]:
    spec: dict[str, Any] = {"replicas": replicas, "strategy": {"type": "Recreate"}}
    if deadline is not None:
        spec["progressDeadlineSeconds"] = deadline
    return {"metadata": {"name": "d", "generation": 1}, "spec": spec, "status": status or {}}


def replica_set(replicas: int, available: int = 0, **status: Any) -> dict[str, Any]:
    counts = {"replicas": replicas, "readyReplicas": available, "availableReplicas": available}
    return {"metadata": {"name": "r"}, "spec": {"replicas": replicas}, "status": {**counts, **status}}


def reasons(status: dict[str, Any]) -> dict[str, str]:
    return {condition["type"]: condition["reason"] for condition in status["conditions"]}


def test_a_rollout_progresses_and_completes() -> None:
    newest = replica_set(2)
    first = rollout_status(deployment(2), newest, [newest], NOW)
    assert reasons(first) == {"Available": "MinimumReplicasUnavailable", "Progressing": "ReplicaSetUpdated"}
    done = replica_set(2, 2)
    last = rollout_status(deployment(2, first), done, [done], NOW)
    assert reasons(last) == {"Available": "MinimumReplicasAvailable", "Progressing": "NewReplicaSetAvailable"}
    assert rollout_status(deployment(2, last), done, [done], NOW + timedelta(hours=1)) == last


def test_a_rollout_without_progress_misses_its_deadline_once() -> None:
    newest = replica_set(2)
    first = rollout_status(deployment(2), newest, [newest], NOW)
    assert rollout_status(deployment(2, first), newest, [newest], NOW + timedelta(seconds=600)) == first
    assert seconds_to_deadline(deployment(2, first), first, NOW) == 601
    late = rollout_status(deployment(2, first), newest, [newest], NOW + timedelta(seconds=601))
    assert reasons(late)["Progressing"] == "ProgressDeadlineExceeded"
    assert seconds_to_deadline(deployment(2, late), late, NOW) is None


def test_without_a_deadline_there_is_no_progress_condition() -> None:
    newest = replica_set(2)
    assert reasons(rollout_status(deployment(2, deadline=None), newest, [newest], NOW)) == {
        "Available": "MinimumReplicasUnavailable"
    }


def test_failures_of_replica_sets_show() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "lastTransitionTime": "t"}
    newest = replica_set(2, conditions=[failure])
    assert reasons(rollout_status(deployment(2), newest, [newest], NOW))["ReplicaFailure"] == "FailedCreate"
