"""How binding changes claims and volumes, who provisions and who deletes."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.persistentvolume import changes
from controllers.persistentvolume.classes import External, Refused, default_class, provisioner_of
from controllers.persistentvolume.reclaim import deletion_refusal, is_external, recycler_pod

MARK = "pv.kubernetes.io/bound-by-controller"
CLAIM: dict[str, Any] = {"metadata": {"name": "c", "namespace": "n", "uid": "u", "resourceVersion": "7"}, "spec": {}}


def volume(annotations: Any = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "v", "annotations": annotations or {}}, "spec": spec}


def test_binding_marks_what_the_controller_chose() -> None:
    bound = changes.bound_volume(volume(), CLAIM)
    assert bound is not None
    assert bound["metadata"]["annotations"] == {MARK: "yes"}
    assert bound["spec"]["claimRef"]["uid"] == "u"
    assert changes.bound_volume(bound, CLAIM) is None


def test_reserved_volume_gets_the_uid_but_no_mark() -> None:
    bound = changes.bound_volume(volume(claimRef={"namespace": "n", "name": "c"}), CLAIM)
    assert bound is not None
    assert bound["spec"]["claimRef"]["uid"] == "u"
    assert not bound["metadata"]["annotations"]


def test_unbinding_frees_a_chosen_volume_and_keeps_a_reservation() -> None:
    reference = {"namespace": "n", "name": "c", "uid": "u"}
    assert "claimRef" not in changes.unbound_volume(volume({MARK: "yes"}, claimRef=reference))["spec"]
    kept = changes.unbound_volume(volume(claimRef=reference))
    assert kept["spec"]["claimRef"] == {"namespace": "n", "name": "c"}


def test_claim_learns_the_capacity_only_when_it_becomes_bound() -> None:
    found = volume(accessModes=["ReadWriteOnce"], capacity={"storage": "2Gi"})
    bound = changes.claim_in_phase({**CLAIM, "status": {"phase": "Pending"}}, "Bound", found)
    assert bound is not None
    assert bound["status"] == {
        "phase": "Bound",
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "2Gi"},
    }
    larger = volume(accessModes=["ReadWriteOnce"], capacity={"storage": "3Gi"})
    assert changes.claim_in_phase(bound, "Bound", larger) is None


def test_lost_claim_has_nothing() -> None:
    status = {"phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}}
    lost = changes.claim_in_phase({**CLAIM, "status": status}, "Lost", None)
    assert lost is not None
    assert lost["status"] == {"phase": "Lost"}


@pytest.mark.parametrize(
    ("provisioner", "expected"),
    [
        ("example.com/p", External("example.com/p")),
        ("kubernetes.io/aws-ebs", External("ebs.csi.aws.com")),
        ("kubernetes.io/no-provisioner", Refused("no volume plugin matched name: kubernetes.io/no-provisioner")),
    ],
)
def test_provisioner(provisioner: str, expected: External | Refused) -> None:
    assert provisioner_of({"provisioner": provisioner}) == expected


def test_youngest_of_the_marked_classes_is_the_default() -> None:
    mark = {"storageclass.kubernetes.io/is-default-class": "true"}
    classes = [
        {"metadata": {"name": name, "creationTimestamp": time, "annotations": annotations}}
        for name, time, annotations in (("a", "2024", mark), ("b", "2025", mark), ("c", "2026", {}))
    ]
    assert default_class(classes) is classes[1]
    assert default_class(classes[2:]) is None


def test_only_temporary_directories_are_deleted() -> None:
    assert deletion_refusal(volume(hostPath={"path": "/tmp/x"})) == ""
    refusal = deletion_refusal(volume(hostPath={"path": "/srv/x"}))
    assert refusal == "host_path deleter only supports /tmp/.+ but received provided /srv/x"
    assert "no deletable volume plugin matched" in deletion_refusal(volume(local={"path": "/x"}))


def test_volume_of_an_external_provisioner_is_left_to_it() -> None:
    assert is_external(volume({"pv.kubernetes.io/provisioned-by": "example.com/p"}))
    assert not is_external(volume({"pv.kubernetes.io/provisioned-by": "kubernetes.io/host-path"}))


def test_recycler_gets_more_time_for_larger_volumes() -> None:
    small = recycler_pod(volume(hostPath={"path": "/x"}, capacity={"storage": "1Gi"}))
    large = recycler_pod(volume(hostPath={"path": "/x"}, capacity={"storage": "10Gi"}))
    assert small is not None and small["spec"]["activeDeadlineSeconds"] == 60
    assert large is not None and large["spec"]["activeDeadlineSeconds"] == 300
    assert recycler_pod(volume(local={"path": "/x"})) is None
