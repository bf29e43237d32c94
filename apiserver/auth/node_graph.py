"""What belongs to which node: the objects that its pods, attachments and slices name.

Kept from the watch caches. A pod's references are taken when it is first seen on its node, as they hardly change later.
Follows: plugin/pkg/auth/authorizer/node/{graph,graph_populator}.go, pkg/api/{v1/pod,v1/persistentvolume}/util.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from apiserver.storage.cache import Event, ResourceCache
from apiserver.storage.entry import Entry

Object = dict[str, Any]

MIRROR = "kubernetes.io/config.mirror"
FOLLOWED = ("pods", "persistentvolumes", "volumeattachments", "resourceslices")


class Ref(NamedTuple):
    """An object by resource, namespace and name."""

    resource: str
    namespace: str
    name: str


class NodeGraph:
    """Relations of objects to nodes."""

    def __init__(self) -> None:
        self._holders: dict[Ref, tuple[str, tuple[Ref, ...]]] = {}
        self._related: dict[str, dict[Ref, int]] = {}
        self._claims: dict[str, Ref] = {}
        self._volume_secrets: dict[str, tuple[Ref, ...]] = {}
        self._volumes_of_secret: dict[Ref, set[str]] = {}

    def is_related(self, node: str, ref: Ref) -> bool:
        """Whether something of `node` needs the object."""
        related = self._related.get(node)
        if not related:
            return False
        if ref in related:
            return True
        if ref.resource == "persistentvolumes":
            return self._claims.get(ref.name) in related
        volumes = self._volumes_of_secret.get(ref, ())
        return any(self._claims.get(volume) in related for volume in volumes)

    def put(self, resource: str, obj: Mapping[str, Any]) -> None:
        """Take in an object of one of the followed resources, new or changed."""
        meta, spec = obj["metadata"], obj.get("spec") or {}
        if resource == "persistentvolumes":
            self._put_volume(meta["name"], spec)
            return
        me = Ref(resource, meta.get("namespace", ""), meta["name"])
        node = spec.get("nodeName", "")
        refs = (me, *dict.fromkeys(pod_references(obj))) if resource == "pods" else (me,)
        self.remove(resource, me.namespace, me.name)
        if node:
            self._holders[me] = (node, refs)
            related = self._related.setdefault(node, {})
            for ref in refs:
                related[ref] = related.get(ref, 0) + 1

    def remove(self, resource: str, namespace: str, name: str) -> None:
        """Forget a deleted object; unknown ones are ignored."""
        if resource == "persistentvolumes":
            self._remove_volume(name)
            return
        held = self._holders.pop(Ref(resource, namespace, name), None)
        if held is None:
            return
        node, refs = held
        related = self._related[node]
        for ref in refs:
            related[ref] -= 1
            if not related[ref]:
                del related[ref]
        if not related:
            del self._related[node]

    def _put_volume(self, name: str, spec: Mapping[str, Any]) -> None:
        self._remove_volume(name)
        claim = spec.get("claimRef")
        if not claim:
            return
        namespace = claim.get("namespace", "")
        self._claims[name] = Ref("persistentvolumeclaims", namespace, claim.get("name", ""))
        secrets = tuple(dict.fromkeys(_volume_secrets(spec, namespace)))
        self._volume_secrets[name] = secrets
        for secret in secrets:
            self._volumes_of_secret.setdefault(secret, set()).add(name)

    def _remove_volume(self, name: str) -> None:
        self._claims.pop(name, None)
        for secret in self._volume_secrets.pop(name, ()):
            volumes = self._volumes_of_secret[secret]
            volumes.discard(name)
            if not volumes:
                del self._volumes_of_secret[secret]


def follow(graph: NodeGraph, caches: Mapping[str, ResourceCache]) -> None:
    """Fill `graph` from the watch caches of the followed resources, by resource, and keep it as they are."""
    for resource in FOLLOWED:
        follower = _Follower(graph, resource)
        for entry in caches[resource].entries():
            follower.put(entry)
        caches[resource].listen(follower)


class _Follower:
    """Carries one cache's events over."""

    def __init__(self, graph: NodeGraph, resource: str) -> None:
        self._graph = graph
        self._resource = resource

    def __call__(self, event: Event) -> None:
        if event.type == "DELETED":
            self._graph.remove(self._resource, event.entry.namespace, event.entry.name)
        else:
            self.put(event.entry)

    def put(self, entry: Entry) -> None:
        # Most writes of pods come before there is a node: those need not be parsed.
        if self._resource != "pods" or b'"nodeName":"' in entry.tail:
            self._graph.put(self._resource, entry.object())


def pod_references(pod: Mapping[str, Any]) -> Iterator[Ref]:
    """All that a pod's node may read because of the pod. A mirror pod says what is there, not what may be read."""
    meta, spec = pod["metadata"], pod.get("spec") or {}
    if MIRROR in (meta.get("annotations") or {}):
        return
    namespace, name = meta.get("namespace", ""), meta["name"]
    if spec.get("serviceAccountName"):
        yield Ref("serviceaccounts", namespace, spec["serviceAccountName"])
    yield from (Ref("secrets", namespace, s.get("name", "")) for s in spec.get("imagePullSecrets") or ())
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(field) or ():
            yield from _environment(container, namespace)
    for volume in spec.get("volumes") or ():
        yield from _volume(volume, namespace, name)
    yield from (Ref("resourceclaims", namespace, claim) for claim in _resource_claims(pod))


def _environment(container: Mapping[str, Any], namespace: str) -> Iterator[Ref]:
    sources = [(variable.get("valueFrom") or {}, "KeyRef") for variable in container.get("env") or ()]
    sources += [(source, "Ref") for source in container.get("envFrom") or ()]
    for source, suffix in sources:
        for resource, kind in (("secrets", "secret"), ("configmaps", "configMap")):
            named = source.get(kind + suffix)
            if named and named.get("name"):
                yield Ref(resource, namespace, named["name"])


def _volume(volume: Mapping[str, Any], namespace: str, pod: str) -> Iterator[Ref]:
    if volume.get("configMap"):
        yield Ref("configmaps", namespace, volume["configMap"].get("name", ""))
    if volume.get("persistentVolumeClaim"):
        yield Ref("persistentvolumeclaims", namespace, volume["persistentVolumeClaim"].get("claimName", ""))
    if volume.get("ephemeral") is not None:
        yield Ref("persistentvolumeclaims", namespace, f"{pod}-{volume['name']}")
    for source in (volume.get("projected") or {}).get("sources") or ():
        for resource, kind in (("secrets", "secret"), ("configmaps", "configMap")):
            if source.get(kind):
                yield Ref(resource, namespace, source[kind].get("name", ""))
    for source in volume.values():
        if isinstance(source, dict):
            yield from (Ref("secrets", namespace, s.get("name", "")) for s in _secret_references(source))


def _secret_references(source: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The secrets of one volume source that its node reads, as `{name, namespace}`."""
    if source.get("secretName"):
        yield {"name": source["secretName"], "namespace": source.get("secretNamespace") or ""}
    for field in ("secretRef", "nodePublishSecretRef", "nodeStageSecretRef", "nodeExpandSecretRef"):
        if source.get(field):
            yield source[field]


def _volume_secrets(spec: Mapping[str, Any], namespace: str) -> Iterator[Ref]:
    """Secrets of a PersistentVolume are, unless it says otherwise, in its claim's namespace."""
    for source in spec.values():
        if isinstance(source, dict):
            for secret in _secret_references(source):
                yield Ref("secrets", secret.get("namespace") or namespace, secret.get("name", ""))


def _resource_claims(pod: Mapping[str, Any]) -> Iterator[str]:
    state = pod.get("status") or {}
    for claim in (pod.get("spec") or {}).get("resourceClaims") or ():
        if claim.get("resourceClaimName"):
            yield claim["resourceClaimName"]
    for claim in state.get("resourceClaimStatuses") or ():
        if claim.get("resourceClaimName"):
            yield claim["resourceClaimName"]
    extended = (state.get("extendedResourceClaimStatus") or {}).get("resourceClaimName")
    if extended:
        yield extended
