"""Volumes and claims: how they find each other, what protects them, and what is left of them."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from conformance.api import Api, pod
from conformance.kubectl import Kubectl
from conformance.processes import eventually

pytestmark = pytest.mark.usefixtures("kubelets")

VOLUMES, CLAIMS, CLASSES = "v1/persistentvolumes", "v1/persistentvolumeclaims", "storage.k8s.io/v1/storageclasses"
PODS = "v1/pods"


def volume(storage_class: str, size: str = "1Gi", **spec: Any) -> dict[str, Any]:
    made = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": size},
        "hostPath": {"path": "/tmp"},
        "storageClassName": storage_class,
        **spec,
    }
    return {"metadata": {"name": f"{storage_class}-{uuid.uuid4().hex[:6]}"}, "spec": made}


def claim(name: str, storage_class: str, size: str = "1Gi", **spec: Any) -> dict[str, Any]:
    requests = {"requests": {"storage": size}}
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": requests, "storageClassName": storage_class, **spec}
    return {"metadata": {"name": name}, "spec": wanted}


def using(name: str, claim_name: str, image: str = "runs") -> dict[str, Any]:
    source = {"name": "data", "persistentVolumeClaim": {"claimName": claim_name}}
    return pod(name, image, volumes=[source])


def test_a_claim_gets_the_smallest_volume_that_fits(api: Api, k: Kubectl) -> None:
    for size in ("10Gi", "2Gi", "500Mi"):
        api.create(VOLUMES, volume("fit", size))
    api.create(CLAIMS, claim("fit", "fit"))
    bound = api.await_status(CLAIMS, "fit", phase="Bound")
    assert bound["capacity"] == {"storage": "2Gi"} and bound["accessModes"] == ["ReadWriteOnce"]
    found = api.get(CLAIMS, "fit")
    assert found["metadata"]["annotations"]["pv.kubernetes.io/bind-completed"] == "yes"
    assert found["metadata"]["annotations"]["pv.kubernetes.io/bound-by-controller"] == "yes"
    name = found["spec"]["volumeName"]
    reference = api.get(VOLUMES, name)["spec"]["claimRef"]
    assert (reference["kind"], reference["namespace"], reference["name"]) == (
        "PersistentVolumeClaim",
        api.namespace,
        "fit",
    )
    api.await_status(VOLUMES, name, phase="Bound")
    assert k("get", "pv", name, "--no-headers").split()[4] == "Bound"


def test_a_volume_without_its_claim_is_released_and_kept(api: Api) -> None:
    made = volume("retained", persistentVolumeReclaimPolicy="Retain")
    api.create(VOLUMES, made)
    name = made["metadata"]["name"]
    api.await_status(VOLUMES, name, phase="Available")
    api.create(CLAIMS, claim("retained", "retained"))
    api.await_status(CLAIMS, "retained", phase="Bound")
    api.delete(CLAIMS, "retained")
    eventually(lambda: api.find(CLAIMS, "retained") is None)
    api.await_status(VOLUMES, name, phase="Released")
    api.create(CLAIMS, claim("retained-again", "retained"))
    api.await_status(CLAIMS, "retained-again", phase="Pending")
    api.delete(VOLUMES, name)
    eventually(lambda: api.find(VOLUMES, name) is None)


def test_a_volume_may_be_kept_for_one_claim(api: Api) -> None:
    made = volume("reserved", claimRef={"namespace": api.namespace, "name": "reserved"})
    api.create(VOLUMES, made)
    api.create(CLAIMS, claim("other", "reserved"))
    api.create(CLAIMS, claim("reserved", "reserved"))
    api.await_status(CLAIMS, "reserved", phase="Bound")
    assert api.status(CLAIMS, "other")["phase"] == "Pending"


def test_a_claim_whose_volume_is_gone_is_lost(api: Api) -> None:
    made = volume("vanishing")
    api.create(VOLUMES, made)
    api.create(CLAIMS, claim("vanishing", "vanishing"))
    api.await_status(CLAIMS, "vanishing", phase="Bound")
    name = made["metadata"]["name"]
    api.delete(VOLUMES, name)
    assert "deletionTimestamp" in api.get(VOLUMES, name)["metadata"], "its protection holds it while it is bound"
    api.patch(VOLUMES, name, {"metadata": {"finalizers": None}})
    api.await_status(CLAIMS, "vanishing", phase="Lost")
    api.await_event("vanishing", "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!")


def test_a_claim_in_use_is_not_deleted(api: Api) -> None:
    api.create(VOLUMES, volume("used"))
    api.create(CLAIMS, claim("used", "used"))
    eventually(lambda: api.get(CLAIMS, "used")["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"])
    api.await_status(CLAIMS, "used", phase="Bound")
    api.create(PODS, using("user", "used"))
    eventually(lambda: api.status(PODS, "user")["phase"] == "Running")
    api.delete(CLAIMS, "used")
    api.create(PODS, using("too-late", "used"))
    api.await_condition(PODS, "too-late", "PodScheduled", "False")
    assert "deletionTimestamp" in api.get(CLAIMS, "used")["metadata"]
    api.delete(PODS, "too-late", gracePeriodSeconds=0)
    api.delete(PODS, "user", gracePeriodSeconds=0)
    eventually(lambda: api.find(CLAIMS, "used") is None)


def test_a_claim_without_a_volume_says_so(api: Api) -> None:
    api.create(CLAIMS, claim("alone", ""))
    message = "no persistent volumes available for this claim and no storage class is set"
    api.await_event("alone", "FailedBinding", message)
    api.create(CLAIMS, claim("classless", "no-such-class"))
    api.await_event("classless", "ProvisioningFailed", 'storageclass.storage.k8s.io "no-such-class" not found')


def test_a_provisioner_is_asked_for_a_volume(api: Api) -> None:
    name = f"provided-{uuid.uuid4().hex[:6]}"
    api.create(CLASSES, {"metadata": {"name": name}, "provisioner": "example.com/disk"})
    api.create(CLAIMS, claim("provided", name))
    key = "volume.kubernetes.io/storage-provisioner"
    eventually(lambda: api.get(CLAIMS, "provided")["metadata"].get("annotations", {}).get(key) == "example.com/disk")
    message = (
        "Waiting for a volume to be created either by the external provisioner 'example.com/disk' or manually by the "
        "system administrator. If volume creation is delayed, please verify that the provisioner is running and "
        "correctly registered."
    )
    api.await_event("provided", "ExternalProvisioning", message)
    uid = api.get(CLAIMS, "provided")["metadata"]["uid"]
    made = volume(name, claimRef={"namespace": api.namespace, "name": "provided", "uid": uid})
    made["metadata"]["annotations"] = {"pv.kubernetes.io/provisioned-by": "example.com/disk"}
    api.create(VOLUMES, made)
    api.await_status(CLAIMS, "provided", phase="Bound")
    api.delete(CLASSES, name)


def test_a_claim_may_wait_for_its_pod(api: Api) -> None:
    name = f"waits-{uuid.uuid4().hex[:6]}"
    mode = {"provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"}
    api.create(CLASSES, {"metadata": {"name": name}, **mode})
    api.create(VOLUMES, volume(name))
    api.create(CLAIMS, claim("waits", name))
    api.await_event("waits", "WaitForFirstConsumer", "waiting for first consumer to be created before binding")
    assert api.status(CLAIMS, "waits")["phase"] == "Pending"
    api.create(PODS, using("first-consumer", "waits"))
    api.await_status(CLAIMS, "waits", phase="Bound")
    eventually(lambda: api.status(PODS, "first-consumer")["phase"] == "Running")
    api.delete(CLASSES, name)


def test_an_ephemeral_volume_lives_and_dies_with_its_pod(api: Api) -> None:
    api.create(VOLUMES, volume("brief"))
    wanted = {"spec": claim("", "brief")["spec"]}
    api.create(PODS, pod("brief", volumes=[{"name": "scratch", "ephemeral": {"volumeClaimTemplate": wanted}}]))
    eventually(lambda: api.find(CLAIMS, "brief-scratch"))
    [owner] = api.get(CLAIMS, "brief-scratch")["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("Pod", "brief", True)
    api.await_status(CLAIMS, "brief-scratch", phase="Bound")
    eventually(lambda: api.status(PODS, "brief")["phase"] == "Running")
    api.delete(PODS, "brief", gracePeriodSeconds=0)
    eventually(lambda: api.find(CLAIMS, "brief-scratch") is None)
