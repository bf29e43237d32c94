"""The next steps of a StatefulSet, ordered and parallel."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from controllers.statefulset.claims import are_owners_right, wanted_owners
from controllers.statefulset.plan import Plan, plan, plan_status, situation

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def revision(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": {"spec": {"template": {**TEMPLATE, "$patch": "replace"}}}}


OLD, NEW = revision("x-old"), revision("x-new")


def stateful_set(replicas: int, *, parallel: bool = False, strategy: Any = None, **spec: Any) -> dict[str, Any]:
    wanted = {
        "replicas": replicas,
        "serviceName": "s",
        "template": TEMPLATE,
        "podManagementPolicy": "Parallel" if parallel else "OrderedReady",
        "updateStrategy": strategy or {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
    }
    return {"metadata": {"name": "x", "namespace": "n", "uid": "u", "generation": 1}, "spec": {**wanted, **spec}}


def pod(
    ordinal: int, *, ready: bool = True, phase: str = "Running", made_by: str = "x-new", deleting: bool = False
) -> Any:
    name = f"x-{ordinal}"
    labels = {"statefulset.kubernetes.io/pod-name": name, "controller-revision-hash": made_by}
    metadata = {"name": name, "namespace": "n", "uid": name, "labels": labels}
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": "2025-01-01T00:00:00Z"}
    return {"metadata": metadata, "spec": {}, "status": {"phase": phase, "conditions": [condition]}}


def steps(made: Plan) -> list[str]:
    done = [f"{step.action} {step.pod['metadata']['name']}" for phase in made.phases for step in phase]
    return done + [f"roll {one['metadata']['name']}" for one in made.rolled]


def planned(owner: Any, *pods: Any, current: Any = NEW, claims: dict[str, Any] | None = None) -> list[str]:
    return steps(plan(situation(owner, current, NEW, pods, (claims or {}).get, NOW)))


def test_pods_come_one_after_the_other() -> None:
    assert planned(stateful_set(3)) == ["create x-0"]
    assert planned(stateful_set(3), pod(0, ready=False)) == []
    assert planned(stateful_set(3), pod(0)) == ["create x-1"]


def test_parallel_pods_come_at_once() -> None:
    assert planned(stateful_set(3, parallel=True), pod(1, ready=False)) == ["create x-0", "create x-2"]


def test_ordinals_may_start_later() -> None:
    assert planned(stateful_set(2, ordinals={"start": 5}), pod(5)) == ["create x-6"]


def test_a_failed_pod_is_deleted_first() -> None:
    assert planned(stateful_set(2), pod(0, phase="Failed")) == ["delete x-0"]
    assert planned(stateful_set(2), pod(0, phase="Failed", deleting=True)) == []


def test_surplus_pods_go_from_the_top_one_at_a_time() -> None:
    assert planned(stateful_set(1), pod(0), pod(1), pod(2)) == ["delete x-2"]
    assert planned(stateful_set(1), pod(0), pod(1), pod(2, deleting=True)) == []
    assert planned(stateful_set(1), pod(0), pod(1, ready=False), pod(2)) == ["delete x-2"]
    assert planned(stateful_set(1, parallel=True), pod(0), pod(1), pod(2)) == ["delete x-2", "delete x-1"]


def test_an_update_goes_from_the_top_and_waits_for_what_is_missing() -> None:
    old = [pod(ordinal, made_by="x-old") for ordinal in range(3)]
    assert planned(stateful_set(3), *old, current=OLD) == ["roll x-2"]
    assert planned(stateful_set(3), old[0], old[1], pod(2, ready=False), current=OLD) == []
    assert planned(stateful_set(3), old[0], old[1], pod(2), current=OLD) == ["roll x-1"]


def test_a_partition_bounds_the_update() -> None:
    old = [pod(ordinal, made_by="x-old") for ordinal in range(4)]
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 3}}
    assert planned(stateful_set(4, strategy=strategy), *old, current=OLD) == ["roll x-3"]
    assert planned(stateful_set(4, strategy=strategy), *old[:3], pod(3), current=OLD) == []
    assert planned(stateful_set(4, strategy={"type": "OnDelete"}), *old, current=OLD) == []


def test_an_update_of_parallel_pods_replaces_broken_ones_too() -> None:
    broken = [pod(ordinal, made_by="x-old", ready=False) for ordinal in range(2)]
    assert planned(stateful_set(2, parallel=True), *broken, current=OLD) == ["roll x-1"]
    assert planned(stateful_set(2, parallel=True), broken[0], pod(1, ready=False), current=OLD) == []


def test_a_pod_below_the_partition_comes_back_as_it_was() -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    made = plan(situation(stateful_set(2, strategy=strategy), OLD, NEW, [], {}.get, NOW))
    assert made.phases[0][0].pod["metadata"]["labels"]["controller-revision-hash"] == "x-old"


def test_a_set_that_goes_away_only_counts() -> None:
    owner = stateful_set(3)
    owner["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert planned(owner, pod(0)) == []


def test_the_status_counts_revisions_and_completes() -> None:
    seen = situation(stateful_set(2), OLD, NEW, [pod(0, made_by="x-old"), pod(1)], {}.get, NOW)
    status = plan_status(seen, 0, 0)
    assert (status["currentReplicas"], status["updatedReplicas"], status["currentRevision"]) == (1, 1, "x-old")
    done = plan_status(situation(stateful_set(2), OLD, NEW, [pod(0), pod(1)], {}.get, NOW), 0, 0)
    assert (done["currentReplicas"], done["currentRevision"]) == (2, "x-new")


def claim(*owners: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "data-x-0", "ownerReferences": list(owners)}}


def test_the_retention_policy_decides_whose_a_claim_is() -> None:
    policy = {"whenDeleted": "Delete", "whenScaled": "Delete"}
    owner = stateful_set(1, persistentVolumeClaimRetentionPolicy=policy)
    assert [one["kind"] for one in wanted_owners(claim(), owner, pod(0))] == ["StatefulSet"]
    assert [one["kind"] for one in wanted_owners(claim(), owner, pod(1))] == ["Pod"]
    assert wanted_owners(claim(), stateful_set(1), pod(0)) == []
    other = {"kind": "Thing", "name": "t", "uid": "t", "controller": True}
    assert are_owners_right(claim(other), owner, pod(0))


def test_a_new_pod_waits_for_the_claim_of_the_last_one() -> None:
    policy = {"whenDeleted": "Retain", "whenScaled": "Delete"}
    templates = [{"metadata": {"name": "data"}, "spec": {}}]
    owner = stateful_set(1, persistentVolumeClaimRetentionPolicy=policy, volumeClaimTemplates=templates)
    stale = claim({"kind": "Pod", "name": "x-0", "uid": "earlier"})
    assert planned(owner, claims={"data-x-0": stale}) == []
    assert planned(owner, claims={"data-x-0": claim()}) == ["create x-0"]
