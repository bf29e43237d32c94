"""Judging pods as backends of a service. Pure.

Follows: staging/src/k8s.io/endpointslice/{utils.go,util/controller_utils.go}
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from controllers.runtime.informer import Change
from controllers.runtime.objects import Key, Object, View, is_deleting, key_of, labels_of, namespace_of
from controllers.runtime.store import Store

HEADLESS = "service.kubernetes.io/headless"


def is_ready(pod: View) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def belongs(pod: View, *, even_terminating: bool) -> bool:
    """Whether the pod can be a backend: it has an address and has not come to its end."""
    status = pod.get("status") or {}
    if status.get("phase") in ("Failed", "Succeeded") or not (status.get("podIP") or status.get("podIPs")):
        return False
    return even_terminating or not is_deleting(pod)


def is_headless(service: View) -> bool:
    """Whether the service has no address of its own."""
    return service["spec"].get("clusterIP") in (None, "", "None")


def selects_pods(service: View) -> bool:
    """Whether its backends are ours to find."""
    return service["spec"].get("type") != "ExternalName" and service["spec"].get("selector") is not None


def matching_pods(service: View, pods: Store) -> list[Object]:
    """The pods that the service selects, by name."""
    selector = service["spec"].get("selector") or {}
    found = [pod for pod in pods.all(namespace_of(service)) if selector.items() <= labels_of(pod).items()]
    return sorted(found, key=lambda pod: str(pod["metadata"]["name"]))


def find_port(pod: View, port: View) -> int | None:
    """The pod's port that a service port leads to; None if the pod has none by that name."""
    target = port.get("targetPort", port["port"])
    if not isinstance(target, str):
        return int(target)
    spec = pod["spec"]
    sidecars = (one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always")
    for container in (*spec.get("containers", ()), *sidecars):
        for candidate in container.get("ports") or ():
            if candidate.get("name") == target and candidate.get("protocol") == port.get("protocol"):
                return int(candidate["containerPort"])
    return None


def hostname(pod: View, service: View) -> str:
    """The name under which DNS shall know the pod; '' for none."""
    spec = pod["spec"]
    fits = spec.get("subdomain") == service["metadata"]["name"] and namespace_of(pod) == namespace_of(service)
    return str(spec.get("hostname") or "") if fits else ""


def addresses(pod: View, family: str) -> list[str]:
    """The pod's addresses of `IPv4` or `IPv6`."""
    return [entry["ip"] for entry in pod["status"].get("podIPs") or () if (":" in entry["ip"]) == (family == "IPv6")]


def target(pod: View) -> Object:
    metadata = pod["metadata"]
    return {"kind": "Pod", "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"]}


def services_of(services: Store, change: Change) -> Iterator[Key]:
    """The services whose backends a change of a pod alters."""
    new, old = change.obj, change.old
    if old is None or change.type == "DELETED":
        yield from _selecting(services, (new,))
        return
    if _aspects(old) != _aspects(new):
        yield from _selecting(services, (new,) if labels_of(old) == labels_of(new) else (old, new))


def _selecting(services: Store, pods: Iterable[View]) -> Iterator[Key]:
    pods = tuple(pods)
    for service in services.all(namespace_of(pods[0])):
        selector = service["spec"].get("selector")
        if selector and any(selector.items() <= labels_of(pod).items() for pod in pods):
            yield key_of(service)


def _aspects(pod: View) -> Hashable:
    """All of a pod that its endpoints show."""
    spec, status = pod["spec"], pod.get("status") or {}
    return (
        tuple(sorted(labels_of(pod).items())),
        is_deleting(pod),
        status.get("phase") in ("Failed", "Succeeded"),
        is_ready(pod),
        tuple(entry["ip"] for entry in status.get("podIPs") or ()),
        status.get("podIP"),
        spec.get("nodeName"),
        spec.get("hostname"),
        spec.get("subdomain"),
        pod["metadata"].get("uid"),
    )
