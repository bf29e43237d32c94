"""The defaults of pod specs, wherever one stands: in a pod, in a template, in an ephemeral container.

Each table entry belongs to one definition and runs before those of the structs inside it. Besides defaults it brings
the doubled fields of pods (service account, pod IPs) in step, as a round trip through the server's own types does.
Follows: pkg/apis/core/v1/{defaults,conversion}.go
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from openapi.kinds.image_reference import pull_policy_for
from openapi.kinds.pod_resources import aggregate_limits, aggregate_requests, is_hugepages, is_pod_level_resource
from openapi.meta.quantity import Quantity

Object = dict[str, Any]

FILE_MODE = 0o644
INIT_CONTAINER_ANNOTATIONS = (
    "pod.beta.kubernetes.io/init-containers",
    "pod.alpha.kubernetes.io/init-containers",
    "pod.beta.kubernetes.io/init-container-statuses",
    "pod.alpha.kubernetes.io/init-container-statuses",
)
VOLUME_SOURCES_NAME = "name"


def _pod(pod: Object) -> None:
    """Defaults that only real pods get, not templates: host ports, a sane grace, requests from limits."""
    _drop_init_container_annotations(pod)
    spec = pod.get("spec")
    if spec is None:
        return
    containers = spec.get("containers") or ()
    init_containers = spec.get("initContainers") or ()
    for container in containers:
        _requests_from_limits(container)
    for container in init_containers:
        _requests_from_limits(container)
    if "resources" in spec:
        _pod_level_resources(spec)
    if "enableServiceLinks" not in spec:
        spec["enableServiceLinks"] = True
    if spec.get("terminationGracePeriodSeconds", 0) < 0:
        spec["terminationGracePeriodSeconds"] = 1
    if spec.get("hostNetwork"):
        _host_ports(containers)
        _host_ports(init_containers)


def _drop_init_container_annotations(obj: Object) -> None:
    meta = obj.get("metadata")
    annotations = meta.get("annotations") if meta else None
    if not annotations:
        return
    for key in INIT_CONTAINER_ANNOTATIONS:
        if key in annotations:
            del annotations[key]
    if not annotations:
        del obj["metadata"]["annotations"]


def _requests_from_limits(container: Object) -> None:
    resources: Object = container.get("resources") or {}
    limits = resources.get("limits")
    if not limits:
        return
    requests = resources.setdefault("requests", {})
    for name, amount in limits.items():
        if name not in requests:
            requests[name] = amount


def _host_ports(containers: Iterable[Object]) -> None:
    for container in containers:
        for port in container.get("ports") or ():
            if not port.get("hostPort") and port.get("containerPort"):
                port["hostPort"] = port["containerPort"]


def _pod_level_resources(spec: Object) -> None:
    """Requests and limits of the whole pod, where they are given in part, follow from its containers'."""
    resources = spec["resources"]
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    if not limits and not requests:
        return
    for name, amount in aggregate_limits(spec).items():
        if is_hugepages(name) and name not in limits:
            limits[name] = str(amount)
    if limits:
        for name, amount in aggregate_requests(spec).items():
            if name not in requests and is_pod_level_resource(name) and not is_hugepages(name):
                requests[name] = str(amount)
        for name, text in limits.items():
            if name not in requests and is_pod_level_resource(name):
                requests[name] = text
        resources["limits"] = limits
    if requests:
        resources["requests"] = requests


def _pod_spec(spec: Object) -> None:
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    overhead = spec.get("overhead")
    if overhead:
        _round_up(overhead)


def _pod_status(status: Object) -> None:
    """podIP and podIPs tell of the same addresses; podIP has the say where they differ."""
    address, addresses = status.get("podIP"), status.get("podIPs")
    if address and (not addresses or addresses[0].get("ip") != address):
        status["podIPs"] = [{"ip": address}]
    elif addresses and not address and addresses[0].get("ip"):
        status["podIP"] = addresses[0]["ip"]


def _container(container: Object) -> None:
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = pull_policy_for(container.get("image", ""))
    if not container.get("terminationMessagePath"):
        container["terminationMessagePath"] = "/dev/termination-log"
    if not container.get("terminationMessagePolicy"):
        container["terminationMessagePolicy"] = "File"


def _resource_requirements(resources: Object) -> None:
    for kind in ("limits", "requests"):
        amounts = resources.get(kind)
        if amounts:
            _round_up(amounts)


def _round_up(amounts: Object) -> None:
    """Resources are counted in thousandths."""
    for name, text in amounts.items():
        if isinstance(text, str) and not text[-1:].isdigit():
            rounded = _rounded(text)
            if rounded is not text:
                amounts[name] = rounded


@lru_cache(maxsize=1024)
def _rounded(text: str) -> str:
    quantity = Quantity.parse(text)
    rounded = quantity.rounded_up(-3)
    return text if rounded is quantity else str(rounded)


def _volume(volume: Object) -> None:
    if len(volume) <= 1 and (not volume or VOLUME_SOURCES_NAME in volume):
        volume["emptyDir"] = {}
    image = volume.get("image")
    if image is not None and not image.get("pullPolicy"):
        image["pullPolicy"] = pull_policy_for(image.get("reference", ""))


def _core(name: str) -> str:
    return f"io.k8s.api.core.v1.{name}"


_FILE_MODE = ({"defaultMode": FILE_MODE},)

DEFAULTS: dict[str, tuple[Mapping[str, Any] | Callable[[Object], None], ...]] = {
    _core("Pod"): (_pod,),
    _core("PodTemplateSpec"): (_drop_init_container_annotations,),
    _core("PodStatus"): (_pod_status,),
    _core("PodSpec"): (
        {
            "dnsPolicy": "ClusterFirst",
            "restartPolicy": "Always",
            "schedulerName": "default-scheduler",
            "securityContext": {},
            "terminationGracePeriodSeconds": 30,
        },
        _pod_spec,
    ),
    _core("Container"): (_container,),
    _core("EphemeralContainer"): (_container,),
    _core("ContainerPort"): ({"protocol": "TCP"},),
    _core("ResourceRequirements"): (_resource_requirements,),
    _core("Probe"): ({"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},),
    _core("HTTPGetAction"): ({"path": "/", "scheme": "HTTP"},),
    _core("GRPCAction"): ({"service": ""},),
    _core("ObjectFieldSelector"): ({"apiVersion": "v1"},),
    _core("FileKeySelector"): ({"optional": False},),
    _core("Volume"): (_volume,),
    _core("SecretVolumeSource"): _FILE_MODE,
    _core("ConfigMapVolumeSource"): _FILE_MODE,
    _core("DownwardAPIVolumeSource"): _FILE_MODE,
    _core("ProjectedVolumeSource"): _FILE_MODE,
    _core("ServiceAccountTokenProjection"): ({"expirationSeconds": 3600},),
    _core("HostPathVolumeSource"): ({"type": ""},),
    _core("ISCSIVolumeSource"): ({"iscsiInterface": "default"},),
    _core("RBDVolumeSource"): ({"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},),
    _core("AzureDiskVolumeSource"): (
        {"cachingMode": "ReadWrite", "fsType": "ext4", "readOnly": False, "kind": "Shared"},
    ),
    _core("ScaleIOVolumeSource"): ({"storageMode": "ThinProvisioned", "fsType": "xfs"},),
}
