"""Volumes, nodes, certificates and resource claims: what the controllers make of them."""

from __future__ import annotations

import base64
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.api import Api
from conformance.processes import eventually

VOLUMES, CLAIMS, CLASSES = "v1/persistentvolumes", "v1/persistentvolumeclaims", "storage.k8s.io/v1/storageclasses"
ATTACHMENTS = "storage.k8s.io/v1/volumeattachments"
NODES, PODS = "v1/nodes", "v1/pods"
REQUESTS = "certificates.k8s.io/v1/certificatesigningrequests"
RESOURCE_CLAIMS, TEMPLATES = "resource.k8s.io/v1/resourceclaims", "resource.k8s.io/v1/resourceclaimtemplates"

Object = dict[str, Any]
Keep = Callable[[str, Object], Object]


@pytest.fixture
def own() -> str:
    """A name that only this test uses, for objects and classes."""
    return f"t{uuid.uuid4().hex[:8]}"


@pytest.fixture
def keep(api: Api, own: str) -> Iterator[Keep]:
    """Make an object named after the test, `own` itself or `own` and a number, and remove it at the end."""
    made: list[tuple[str, str]] = []

    def make(resource: str, obj: Object) -> Object:
        count = sum(resource == other for other, _ in made)
        obj.setdefault("metadata", {})["name"] = f"{own}-{count}" if count else own
        created = api.create(resource, obj)
        made.append((resource, created["metadata"]["name"]))
        return created

    yield make
    for resource, name in reversed(made):
        if api.find(resource, name) is not None:
            api.delete(resource, name)


def volume(class_name: str, size: str = "1Gi", **source: Any) -> Object:
    usual = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "storageClassName": class_name}
    return {"spec": {**usual, **(source or {"nfs": {"server": "192.0.2.1", "path": "/"}})}}


def claim(class_name: str, size: str = "1Gi", **spec: Any) -> Object:
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    return {"spec": {**wanted, "storageClassName": class_name, **spec}}


def idle_pod(**spec: Any) -> Object:
    """A pod that no scheduler looks at."""
    usual = {"schedulerName": "none", "terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": "i"}]}
    return {"spec": {**usual, **spec}}


def ready_node(**metadata: Any) -> Object:
    return {"metadata": metadata, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}


def approve(api: Api, request: str) -> None:
    approved = {"type": "Approved", "status": "True", "reason": "Test", "message": "by hand"}
    api.patch(REQUESTS, request, {"status": {"conditions": [approved]}}, "approval")


# Volumes


def test_claim_gets_the_smallest_volume_that_is_enough(api: Api, keep: Keep, own: str) -> None:
    for size in ("1Gi", "9Gi", "3Gi"):
        keep(VOLUMES, volume(own, size))
    keep(CLAIMS, claim(own, "2Gi"))
    status = api.await_status(CLAIMS, own, phase="Bound")
    assert status["capacity"] == {"storage": "3Gi"}
    bound = api.get(CLAIMS, own)
    assert bound["metadata"]["annotations"]["pv.kubernetes.io/bind-completed"] == "yes"
    assert api.get(VOLUMES, bound["spec"]["volumeName"])["spec"]["claimRef"]["uid"] == bound["metadata"]["uid"]


def test_retained_volume_is_released_and_free_again_without_its_reference(api: Api, keep: Keep, own: str) -> None:
    keep(VOLUMES, volume(own))
    keep(CLAIMS, claim(own))
    api.await_status(CLAIMS, own, phase="Bound")
    api.delete(CLAIMS, own)
    api.await_status(VOLUMES, own, phase="Released")
    second = keep(CLAIMS, claim(own))["metadata"]["name"]
    api.patch(VOLUMES, own, {"spec": {"claimRef": None}})
    api.await_status(CLAIMS, second, phase="Bound")


def test_claims_never_share_a_volume(api: Api, keep: Keep, own: str) -> None:
    names = [keep(CLAIMS, claim(own))["metadata"]["name"] for _ in range(5)]
    for _ in range(3):
        keep(VOLUMES, volume(own))

    def bound() -> list[str]:
        claims = [api.get(CLAIMS, name) for name in names]
        return [found["spec"]["volumeName"] for found in claims if found["status"]["phase"] == "Bound"]

    eventually(lambda: len(bound()) == 3, 20)
    assert len(set(bound())) == 3


def test_named_volume_that_does_not_fit_is_refused(api: Api, keep: Keep, own: str) -> None:
    keep(VOLUMES, volume(own))
    keep(CLAIMS, claim(own, "5Gi", volumeName=own))
    api.await_event(own, "VolumeMismatch", f'Cannot bind to requested volume "{own}": requested PV is too small')
    assert api.status(CLAIMS, own) == {"phase": "Pending"}


def test_claim_waits_for_its_first_consumer(api: Api, keep: Keep, own: str) -> None:
    keep(CLASSES, {"provisioner": "example.com/p", "volumeBindingMode": "WaitForFirstConsumer"})
    keep(CLAIMS, claim(own))
    api.await_event(own, "WaitForFirstConsumer", "waiting for first consumer to be created before binding")
    api.patch(CLAIMS, own, {"metadata": {"annotations": {"volume.kubernetes.io/selected-node": "n"}}})
    key = "volume.kubernetes.io/storage-provisioner"
    eventually(lambda: api.get(CLAIMS, own)["metadata"]["annotations"].get(key) == "example.com/p")


def test_ephemeral_volume_has_a_claim_of_the_pod(api: Api, keep: Keep, own: str) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, **claim(own)}
    pod = keep(PODS, idle_pod(volumes=[{"name": "v", "ephemeral": {"volumeClaimTemplate": template}}]))
    found = eventually(lambda: api.find(CLAIMS, f"{own}-v"))
    owner = found["metadata"]["ownerReferences"][0]
    assert (owner["uid"], owner["controller"]) == (pod["metadata"]["uid"], True)
    assert found["metadata"]["labels"] == {"a": "b"}


def test_volume_of_a_csi_driver_is_attached_until_its_node_lets_go(api: Api, keep: Keep, own: str) -> None:
    keep(NODES, ready_node(annotations={"volumes.kubernetes.io/controller-managed-attach-detach": "true"}))
    keep(VOLUMES, volume(own, csi={"driver": "csi.example.com", "volumeHandle": own}))
    keep(CLAIMS, claim(own))
    keep(PODS, idle_pod(nodeName=own, volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": own}}]))

    def attachments() -> list[Object]:
        return [found for found in api.list(ATTACHMENTS) if found["spec"]["nodeName"] == own]

    attachment = eventually(attachments)[0]
    assert attachment["spec"]["source"] == {"persistentVolumeName": own}
    api.patch(ATTACHMENTS, attachment["metadata"]["name"], {"status": {"attached": True}}, "status")
    unique = f"kubernetes.io/csi/csi.example.com^{own}"
    api.await_status(NODES, own, volumesAttached=[{"name": unique, "devicePath": ""}])
    api.patch(NODES, own, {"status": {"volumesInUse": [unique]}}, "status")
    api.delete(PODS, own)
    eventually(lambda: api.find(PODS, own) is None)
    assert attachments()
    api.patch(NODES, own, {"status": {"volumesInUse": None}}, "status")
    eventually(lambda: not attachments(), 20)
    assert "volumesAttached" not in api.status(NODES, own)


# Nodes


def test_conditions_of_a_node_are_taints(api: Api, keep: Keep, own: str) -> None:
    keep(NODES, ready_node())
    pressure = [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "True"}]
    api.patch(NODES, own, {"spec": {"unschedulable": True}})
    api.patch(NODES, own, {"status": {"conditions": pressure}}, "status")
    expected = {"node.kubernetes.io/disk-pressure", "node.kubernetes.io/unschedulable"}
    eventually(lambda: {taint["key"] for taint in api.get(NODES, own)["spec"].get("taints", [])} == expected)


def test_eviction_is_called_off_when_the_taint_goes_in_time(api: Api, keep: Keep, own: str) -> None:
    keep(NODES, ready_node())
    tolerations = [{"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 3600}]
    keep(PODS, idle_pod(nodeName=own, tolerations=tolerations))
    evicted = keep(PODS, idle_pod(nodeName=own))["metadata"]["name"]
    api.patch(NODES, own, {"spec": {"taints": [{"key": "k", "effect": "NoExecute"}]}})
    eventually(lambda: api.find(PODS, evicted) is None)
    api.patch(NODES, own, {"spec": {"taints": None}})
    api.await_event(own, "TaintManagerEviction", f"Cancelling deletion of Pod {api.namespace}/{own}")


# Certificates


@pytest.fixture
def signing_request(tmp_path: Path) -> str:
    """A request for the client certificate of user `u`, in base64."""
    out, key = tmp_path / "r.csr", tmp_path / "r.key"
    command = ["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/O=g/CN=u"]
    subprocess.run([*command, "-out", str(out), "-keyout", str(key)], check=True, capture_output=True)
    return base64.b64encode(out.read_bytes()).decode()


def test_approved_request_is_signed_for_as_long_as_asked(
    api: Api, keep: Keep, own: str, signing_request: str, tmp_path: Path
) -> None:
    spec = {"request": signing_request, "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]}
    keep(REQUESTS, {"spec": {**spec, "expirationSeconds": 3600}})
    approve(api, own)
    certificate = eventually(lambda: api.status(REQUESTS, own).get("certificate"))
    (tmp_path / "r.crt").write_bytes(base64.b64decode(certificate))
    command = ["openssl", "x509", "-in", str(tmp_path / "r.crt"), "-noout"]
    shown = subprocess.run([*command, "-text"], check=True, capture_output=True, text=True).stdout
    assert "CN = u" in shown.replace("CN=u", "CN = u")
    assert "TLS Web Client Authentication" in shown
    assert subprocess.run([*command, "-checkend", "3000"], check=False, capture_output=True).returncode == 0
    assert subprocess.run([*command, "-checkend", "3700"], check=False, capture_output=True).returncode == 1


def test_request_that_breaks_the_signers_rules_fails(api: Api, keep: Keep, own: str, signing_request: str) -> None:
    spec = {"request": signing_request, "signerName": "kubernetes.io/kubelet-serving"}
    keep(REQUESTS, {"spec": {**spec, "usages": ["server auth"]}})
    approve(api, own)
    failed = api.await_condition(REQUESTS, own, "Failed", "True", "SignerValidationFailure")
    assert failed["message"] == "subject organization is not system:nodes"


# Resource claims


def test_claims_are_made_from_templates_and_go_when_the_pod_is_done(api: Api, keep: Keep, own: str) -> None:
    keep(PODS, idle_pod(resourceClaims=[{"name": "rc", "resourceClaimTemplateName": own}]))
    missing = f'resource claim template "{own}": resourceclaimtemplate.resource.k8s.io "{own}" not found'
    api.await_event(own, "FailedResourceClaimCreation", f"PodResourceClaim rc: {missing}")
    request = {"name": "r", "exactly": {"deviceClassName": "none.example.com"}}
    keep(TEMPLATES, {"spec": {"metadata": {"labels": {"a": "b"}}, "spec": {"devices": {"requests": [request]}}}})
    statuses = eventually(lambda: api.status(PODS, own).get("resourceClaimStatuses"), 30)
    name = statuses[0]["resourceClaimName"]
    found = api.get(RESOURCE_CLAIMS, name)
    assert found["metadata"]["annotations"] == {"resource.kubernetes.io/pod-claim-name": "rc"}
    assert found["metadata"]["labels"] == {"a": "b"}
    api.patch(PODS, own, {"status": {"phase": "Succeeded"}}, "status")
    eventually(lambda: api.find(RESOURCE_CLAIMS, name) is None)
