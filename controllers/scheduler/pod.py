"""A pod as the scheduler sees it: what is its own (`PodInfo`) and what pods of one workload share (`Template`).

Pods that cannot be told apart by any rule of scheduling have the same `Template` object, so that whatever is derived
from it is derived once per workload. A template never changes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from controllers.scheduler.resources import OF_POD, host_ports, pod_requests, scoring_requests
from controllers.scheduler.selection import NodeSelection, NodeTerm, Toleration, pod_terms, weighted_pod_terms

Spec = Mapping[str, Any]
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
MAX_TEMPLATES = 4096
_REPORTS = ("containerStatuses", "initContainerStatuses", "resources")
"""The fields of a status that may tell of other resources than the specification."""

_NAMED = "persistentVolumeClaim"
_VOLUME_KINDS = (
    _NAMED,
    "ephemeral",
    "csi",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "azureDisk",
    "cinder",
    "rbd",
    "iscsi",
)
"""The volumes that matter to any plugin; a service account's token, made for each pod, must not tell pods apart."""


class Template:
    """Everything about a pod that decides where it may run. `memo` keeps what plugins derive from it."""

    def __init__(self, namespace: str, metadata: Spec, spec: Spec, statuses: Mapping[str, Spec]) -> None:
        labels: Mapping[str, str] = metadata.get("labels") or {}
        self.namespace = namespace
        self.labels = labels
        self.spec = spec
        self.owner = _owner(metadata)
        self.scheduler = spec.get("schedulerName") or "default-scheduler"
        self.priority = int(spec.get("priority") or 0)
        self.preempts = spec.get("preemptionPolicy") != "Never"
        self.requests = {name: value for name, value in pod_requests(spec, statuses).items() if value}
        self.scoring_cpu, self.scoring_memory = scoring_requests(spec, statuses)
        self.ports = host_ports(spec)
        self.tolerations = tuple(Toleration.parse(t) for t in spec.get("tolerations") or ())
        self.selection = NodeSelection.of_pod(spec)
        affinity = spec.get("affinity") or {}
        self.preferred_nodes = tuple(
            (term["weight"], NodeTerm(term["preference"]))
            for term in (affinity.get("nodeAffinity") or {}).get(PREFERRED) or ()
            if term.get("weight")
        )
        near, far = affinity.get("podAffinity") or {}, affinity.get("podAntiAffinity") or {}
        self.near = pod_terms(near.get(REQUIRED), namespace, labels)
        self.far = pod_terms(far.get(REQUIRED), namespace, labels)
        self.rather_near = weighted_pod_terms(near.get(PREFERRED), namespace, labels)
        self.rather_far = weighted_pod_terms(far.get(PREFERRED), namespace, labels)
        self.volumes = tuple(volume for volume in spec.get("volumes") or () if any(k in volume for k in _VOLUME_KINDS))
        self.volume_claims = tuple((namespace, name) for name in _claim_names(metadata["name"], self.volumes))
        self.named_claims = tuple(v["persistentVolumeClaim"]["claimName"] for v in self.volumes if _NAMED in v)
        """Of the volume claims those that the pod names, and not those that are made for it."""
        self.claims = tuple(spec.get("resourceClaims") or ())
        self.images = (
            *(
                c["image"]
                for c in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()))
                if c.get("image")
            ),
            *_image_volumes(spec),
        )
        self.has_terms = bool(self.near or self.far or self.rather_near or self.rather_far)
        self.memo: dict[Any, Any] = {}


def _claim_names(pod_name: str, volumes: Iterable[Spec]) -> Iterable[str]:
    """The names of the volume claims that the pod uses."""
    for volume in volumes:
        if "persistentVolumeClaim" in volume:
            yield volume["persistentVolumeClaim"]["claimName"]
        elif "ephemeral" in volume:
            yield f"{pod_name}-{volume['name']}"


def _image_volumes(spec: Spec) -> Iterable[str]:
    """The images that the pod mounts."""
    for volume in spec.get("volumes") or ():
        if (volume.get("image") or {}).get("reference"):
            yield volume["image"]["reference"]


def _owner(metadata: Spec) -> Spec | None:
    for reference in metadata.get("ownerReferences") or ():
        if reference.get("controller"):
            return reference  # type: ignore[no-any-return]
    return None


class PodInfo:
    """One pod. `row` is its node's row in the snapshot while it counts there, else -1."""

    __slots__ = ("is_terminating", "name", "namespace", "node", "nominated", "obj", "row", "template", "uid")

    def __init__(self, obj: Mapping[str, Any], template: Template) -> None:
        metadata = obj["metadata"]
        self.obj = obj
        self.template = template
        self.uid: str = metadata["uid"]
        self.namespace: str = metadata.get("namespace", "")
        self.name: str = metadata["name"]
        self.node: str = obj["spec"].get("nodeName") or ""
        self.nominated: str = (obj.get("status") or {}).get("nominatedNodeName") or ""
        self.is_terminating = "deletionTimestamp" in metadata
        self.row = -1

    def counts_like(self, other: PodInfo) -> bool:
        """Whether the other one takes the same place on a node."""
        return self.template is other.template and self.is_terminating == other.is_terminating

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def priority(self) -> int:
        return self.template.priority


class Templates:
    """The templates in use, found by what their pods have in common."""

    def __init__(self, limit: int = MAX_TEMPLATES) -> None:
        self._limit = limit
        self._known: OrderedDict[bytes, Template] = OrderedDict()

    def info(self, obj: Mapping[str, Any], known: PodInfo | None = None) -> PodInfo:
        """The pod with its template. `obj` must not change any more. `known`: an earlier state of the same pod."""
        if known is not None and _looks_alike(known.obj, obj):
            return PodInfo(obj, known.template)
        key = _key(obj)
        template = self._known.get(key)
        if template is None:
            metadata = obj["metadata"]
            template = Template(metadata.get("namespace", ""), metadata, obj["spec"], _resized(obj))
            self._known[key] = template
            if len(self._known) > self._limit:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        return PodInfo(obj, template)


def _looks_alike(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether nothing has changed that templates are made of, seen without reading the whole pod."""
    before, after = old["metadata"], new["metadata"]
    if "generation" not in before or before["generation"] != after.get("generation"):
        return False
    if before.get("labels") != after.get("labels") or before.get("ownerReferences") != after.get("ownerReferences"):
        return False
    status = new.get("status") or {}
    return not any(field in status for field in _REPORTS)


def _key(obj: Mapping[str, Any]) -> bytes:
    metadata, spec = obj["metadata"], obj["spec"]
    get = spec.get
    volumes = get("volumes")
    if volumes:
        volumes = [volume for volume in volumes if any(kind in volume for kind in _VOLUME_KINDS)]
    return orjson.dumps(
        (
            metadata.get("namespace"),
            metadata.get("labels"),
            _owner(metadata),
            [_container_key(container) for container in get("containers") or ()],
            [_container_key(container) for container in get("initContainers") or ()],
            get("nodeSelector"),
            get("affinity"),
            get("tolerations"),
            get("topologySpreadConstraints"),
            get("priority"),
            get("preemptionPolicy"),
            get("schedulerName"),
            get("overhead"),
            get("resources"),
            get("resourceClaims"),
            get("hostNetwork"),
            get("hostUsers"),
            volumes,
            tuple(_image_volumes(spec)),
            metadata["name"] if volumes or get("resourceClaims") else None,
            _resized(obj) or None,
        )
    )


def _container_key(container: Spec) -> tuple[Any, ...]:
    ports = container.get("ports")
    if ports:
        ports = [port for port in ports if port.get("hostPort")]
    get = container.get
    resized = get("resizePolicy") and container["name"]
    return get("image"), get("resources"), ports or None, get("restartPolicy"), get("restartPolicyRules"), resized


def _resized(obj: Mapping[str, Any]) -> dict[str, Spec]:
    """The resources of containers, and of the pod itself, that are not what the specification asks for."""
    status = obj.get("status") or {}
    found: dict[str, Spec] = {}
    if not any(field in status for field in _REPORTS):
        return found
    is_futile = any(
        condition["type"] == "PodResizePending" and condition.get("reason") == "Infeasible"
        for condition in status.get("conditions") or ()
    )

    def note(name: str, entry: Spec, wanted: Any) -> None:
        have = (entry.get("resources") or {}).get("requests")
        if have and have != wanted:
            found[name] = {
                "resources": {"requests": have},
                "allocatedResources": entry.get("allocatedResources"),
                "infeasible": is_futile,
            }

    note(OF_POD, status, (obj["spec"].get("resources") or {}).get("requests"))
    for statuses, containers in (("containerStatuses", "containers"), ("initContainerStatuses", "initContainers")):
        reported = status.get(statuses)
        if not reported:
            continue
        asking = obj["spec"].get(containers) or ()
        wanted = {c["name"]: (c.get("resources") or {}).get("requests") or {} for c in asking}
        for entry in reported:
            note(entry["name"], entry, wanted.get(entry["name"]))
    return found
