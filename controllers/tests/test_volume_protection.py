"""Who uses a claim."""

from __future__ import annotations

from typing import Any

from controllers.volume_protection import is_terminated, uses

Object = dict[str, Any]
CLAIM: Object = {"metadata": {"name": "p-v", "namespace": "n", "uid": "c"}}


def pod(*volumes: Object, node: str = "node", **metadata: Any) -> Object:
    metadata = {"name": "p", "namespace": "n", "uid": "u", **metadata}
    return {"metadata": metadata, "spec": {"nodeName": node, "volumes": list(volumes)}, "status": {}}


def test_scheduled_pod_uses_its_claim_even_after_it_has_ended() -> None:
    by_name = {"name": "x", "persistentVolumeClaim": {"claimName": "p-v"}}
    ended = {**pod(by_name), "status": {"phase": "Succeeded"}}
    assert uses(ended, CLAIM)
    assert not uses(pod(by_name, node=""), CLAIM)


def test_ephemeral_claim_is_used_by_the_pod_that_owns_it_until_it_is_shut_down() -> None:
    ephemeral = {"name": "v", "ephemeral": {}}
    owned = {"metadata": {**CLAIM["metadata"], "ownerReferences": [{"uid": "u", "controller": True}]}}
    assert uses(pod(ephemeral), owned)
    assert not uses(pod(ephemeral), CLAIM)
    assert not uses(pod(ephemeral, deletionTimestamp="t", deletionGracePeriodSeconds=0), owned)


def test_pod_is_terminated_when_it_goes_and_nothing_runs() -> None:
    going = pod(deletionTimestamp="t")
    assert is_terminated(going)
    going["status"]["containerStatuses"] = [{"state": {"running": {}}}]
    assert not is_terminated(going)
