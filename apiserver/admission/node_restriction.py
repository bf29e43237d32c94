"""Keeps nodes to what is theirs: their own object, the pods bound to them, tokens of these pods, their lease.

Follows: plugin/pkg/admission/noderestriction/admission.go
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from apiserver.admission.certificates import REQUESTS, request_subject
from apiserver.admission.lookup import Lookup
from apiserver.admission.plugin import CREATE, DELETE, UPDATE, Attributes, Plugin, forbidden
from apiserver.admission.service_account import MIRROR, secret_names
from apiserver.resources.strategy import User
from apiserver.storage.store import Store
from openapi.catalog import Catalog, GroupResource
from openapi.meta import status
from openapi.meta.field import quote

Object = dict[str, Any]

PREFIX, GROUP = "system:node:", "system:nodes"
LEASE_NAMESPACE = "kube-node-lease"
_KUBELET_LABELS = frozenset(
    (
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "node.kubernetes.io/instance-type",
        "beta.kubernetes.io/instance-type",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
    )
)
_KUBELET_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")
_RESTRICTED_DOMAIN = "node-restriction.kubernetes.io"
_NODE_SIGNERS = ("kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet")
_CLAIM_STATUS = ("capacity", "conditions", "allocatedResources", "allocatedResourceStatuses")

Rule = Callable[[str, Attributes], Awaitable[None]]


def node_of(user: User) -> str | None:
    """The node that a user is; '' for one without a name, None for other users."""
    return user.name[len(PREFIX) :] if user.name.startswith(PREFIX) and GROUP in user.groups else None


class NodeRestriction(Plugin):
    name = "NodeRestriction"
    operations = frozenset((CREATE, UPDATE, DELETE))
    subresources = None

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._nodes = Lookup(store, catalog, "", "nodes")
        self._pods = Lookup(store, catalog, "", "pods")
        self._rules: dict[GroupResource, Rule] = {
            GroupResource("", "pods"): self._pod,
            GroupResource("", "nodes"): self._node,
            GroupResource("", "persistentvolumeclaims"): self._claim,
            GroupResource("", "serviceaccounts"): self._account,
            GroupResource("coordination.k8s.io", "leases"): self._lease,
            GroupResource("storage.k8s.io", "csinodes"): self._csi_node,
            GroupResource("resource.k8s.io", "resourceslices"): self._slice,
            REQUESTS: self._request,
        }
        self.resources = frozenset(self._rules)

    async def mutate(self, attributes: Attributes) -> None:
        node = node_of(attributes.user)
        if node is None:
            return
        if not node:
            raise forbidden(attributes, f"could not determine node from user {quote(attributes.user.name)}")
        await self._rules[attributes.resource.gr](node, attributes)

    # -- pods --------------------------------------------------------------------------------------------------

    async def _pod(self, node: str, attributes: Attributes) -> None:
        subresource, operation = attributes.subresource, attributes.operation
        if subresource == "status":
            _check_status(node, attributes)
        elif subresource == "eviction":
            await self._check_bound(attributes, node, f"node {node} can only evict pods")
        elif subresource:
            why = f"unexpected pod subresource {quote(subresource)}, only 'status' and 'eviction' are allowed"
            raise forbidden(attributes, why)
        elif operation == CREATE:
            await self._check_mirror(node, attributes)
        elif operation == DELETE:
            await self._check_bound(attributes, node, f"node {quote(node)} can only delete pods")
        else:
            why = f"unexpected operation {quote(operation)}, node {quote(node)} can only create and delete mirror pods"
            raise forbidden(attributes, why)

    async def _check_bound(self, attributes: Attributes, node: str, who: str) -> None:
        pod = await self._known_pod(attributes, attributes.name)
        if _node_name(pod) != node:
            raise forbidden(attributes, f"{who} with spec.nodeName set to itself")

    async def _known_pod(self, attributes: Attributes, name: str) -> Object:
        entry = await self._pods.find(attributes.namespace, name)
        if entry is None:
            raise status.not_found("", "pods", name)
        return entry.object()

    async def _check_mirror(self, node: str, attributes: Attributes) -> None:
        pod = attributes.obj
        assert pod is not None
        quoted, meta = quote(node), pod["metadata"]
        if MIRROR not in (meta.get("annotations") or {}):
            why = f"pod does not have {quote(MIRROR)} annotation, node {quoted} can only create mirror pods"
            raise forbidden(attributes, why)
        if _node_name(pod) != node:
            raise forbidden(attributes, f"node {quoted} can only create pods with spec.nodeName set to itself")
        await self._check_owner(node, attributes, meta.get("ownerReferences") or [])
        found = _reference(pod.get("spec") or {})
        if found:
            raise forbidden(attributes, f"node {quoted} can not create pods that reference {found}")

    async def _check_owner(self, node: str, attributes: Attributes, owners: list[Object]) -> None:
        quoted = quote(node)
        only = f"node {quoted} can only create pods with"
        if len(owners) > 1:
            raise forbidden(attributes, f"{only} a single owner reference set to itself")
        owner = owners[0] if owners else {}
        if (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) != ("v1", "Node", node):
            raise forbidden(attributes, f"{only} an owner reference set to itself")
        if not owner.get("controller"):
            raise forbidden(attributes, f"{only} a controller owner reference set to itself")
        if owner.get("blockOwnerDeletion"):
            raise forbidden(attributes, f"node {quoted} must not set blockOwnerDeletion on an owner reference")
        entry = await self._nodes.find("", node)
        if entry is None:
            raise status.not_found("", "nodes", node)
        given, known = owner.get("uid", ""), entry.object()["metadata"]["uid"]
        if given != known:
            raise forbidden(attributes, f"node {node} UID mismatch: expected {given} got {known}")

    # -- nodes -------------------------------------------------------------------------------------------------

    async def _node(self, node: str, attributes: Attributes) -> None:
        quoted, name = quote(node), attributes.name
        if name != node:
            raise forbidden(attributes, f"node {quoted} is not allowed to modify node {quote(name)}")
        obj, old = attributes.obj, attributes.old
        if attributes.operation == DELETE or obj is None:
            return
        spec, labels = obj.get("spec") or {}, obj["metadata"].get("labels") or {}
        if old is None:
            if spec.get("configSource") is not None:
                raise forbidden(attributes, f"node {quoted} is not allowed to create pods with a non-nil configSource")
            bad = _forbidden_labels(labels, {})
            if bad:
                raise forbidden(attributes, f"node {quoted} is not allowed to set the following labels: {bad}")
            return
        before = old.get("spec") or {}
        if spec.get("configSource") is not None and spec["configSource"] != before.get("configSource"):
            why = f"node {quoted} is not allowed to update configSource to a new non-nil configSource"
            raise forbidden(attributes, why)
        if (spec.get("taints") or []) != (before.get("taints") or []):
            raise forbidden(attributes, f"node {quoted} is not allowed to modify taints")
        bad = _forbidden_labels(labels, old["metadata"].get("labels") or {})
        if bad:
            raise forbidden(attributes, f"is not allowed to modify labels: {bad}")

    # -- others ------------------------------------------------------------------------------------------------

    async def _claim(self, node: str, attributes: Attributes) -> None:
        if attributes.subresource != "status":
            raise forbidden(attributes, "may only update PVC status")
        if attributes.operation != UPDATE:
            raise forbidden(attributes, f"unexpected operation {quote(attributes.operation)}")
        assert attributes.obj is not None and attributes.old is not None
        if _without_growth(attributes.obj) != _without_growth(attributes.old):
            why = f"node {quote(node)} is not allowed to update fields other than status.quantity and status.conditions"
            raise forbidden(attributes, why)

    async def _account(self, node: str, attributes: Attributes) -> None:
        if attributes.operation != CREATE or attributes.subresource != "token":
            return
        assert attributes.obj is not None
        ref = (attributes.obj.get("spec") or {}).get("boundObjectRef") or {}
        if (ref.get("apiVersion"), ref.get("kind")) != ("v1", "Pod") or not ref.get("name"):
            raise forbidden(attributes, "node requested token not bound to a pod")
        if not ref.get("uid"):
            raise forbidden(attributes, "node requested token with a pod binding without a uid")
        pod = await self._known_pod(attributes, ref["name"])
        if pod["metadata"]["uid"] != ref["uid"]:
            why = (
                f"the UID in the bound object reference ({ref['uid']}) does not match the UID in record. "
                "The object might have been deleted and then recreated"
            )
            raise forbidden(attributes, why)
        if _node_name(pod) != node:
            raise forbidden(attributes, "node requested token bound to a pod scheduled on a different node")

    async def _lease(self, node: str, attributes: Attributes) -> None:
        if attributes.namespace != LEASE_NAMESPACE:
            raise forbidden(attributes, f"can only access leases in the {quote(LEASE_NAMESPACE)} system namespace")
        if attributes.name != node:
            raise forbidden(attributes, "can only access node lease with the same name as the requesting node")

    async def _csi_node(self, node: str, attributes: Attributes) -> None:
        if attributes.name != node:
            raise forbidden(attributes, "can only access CSINode with the same name as the requesting node")

    async def _slice(self, node: str, attributes: Attributes) -> None:
        if attributes.operation == UPDATE:
            return
        verb = "create" if attributes.operation == CREATE else "delete"
        found = attributes.obj if attributes.operation == CREATE else attributes.old
        if _node_name(found or {}) != node:
            why = f"can only {verb} ResourceSlice with the same NodeName as the requesting node"
            raise forbidden(attributes, why)

    async def _request(self, node: str, attributes: Attributes) -> None:
        if attributes.operation != CREATE:
            return
        assert attributes.obj is not None
        spec = attributes.obj.get("spec") or {}
        if spec.get("signerName") not in _NODE_SIGNERS:
            return
        try:
            _, common = request_subject(spec.get("request") or "")
        except ValueError as err:
            raise forbidden(attributes, f"unable to parse csr: {err}") from err
        if common != PREFIX + node:
            raise forbidden(attributes, f"can only create a node CSR with CN={PREFIX}{node}")


def _node_name(obj: Object) -> str:
    return str((obj.get("spec") or {}).get("nodeName", ""))


def _check_status(node: str, attributes: Attributes) -> None:
    if attributes.operation != UPDATE:
        raise forbidden(attributes, f"unexpected operation {quote(attributes.operation)}")
    pod, old, quoted = attributes.obj, attributes.old, quote(node)
    assert pod is not None and old is not None
    if _node_name(old) != node:
        why = f"node {quoted} can only update pod status for pods with spec.nodeName set to itself"
        raise forbidden(attributes, why)
    if (pod["metadata"].get("labels") or {}) != (old["metadata"].get("labels") or {}):
        raise forbidden(attributes, f"node {quoted} cannot update labels through pod status")
    claims = [(obj.get("status") or {}).get("resourceClaimStatuses") or [] for obj in (pod, old)]
    if claims[0] != claims[1]:
        raise forbidden(attributes, f"node {quoted} cannot update resource claim statues")


def _reference(spec: Object) -> str:
    """What API objects a pod refers to, '' if none."""
    if spec.get("serviceAccountName"):
        return "a service account"
    if any(True for _ in secret_names(spec)):
        return "secrets"
    volumes = spec.get("volumes") or ()
    sources = [s for v in volumes for s in (v.get("projected") or {}).get("sources") or ()]
    if any(h.get("configMap") is not None for h in (*volumes, *sources)) or _uses_config_maps(spec):
        return "configmaps"
    if any(source.get("clusterTrustBundle") is not None for source in sources):
        return "clustertrustbundles"
    if any(volume.get("persistentVolumeClaim") is not None for volume in volumes):
        return "persistentvolumeclaims"
    return ""


def _uses_config_maps(spec: Object) -> bool:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(field) or ():
            if any(source.get("configMapRef") is not None for source in container.get("envFrom") or ()):
                return True
            for variable in container.get("env") or ():
                if (variable.get("valueFrom") or {}).get("configMapKeyRef") is not None:
                    return True
    return False


def _forbidden_labels(labels: Mapping[str, str], before: Mapping[str, str]) -> str:
    """The changed labels that are not a node's to set."""
    changed = {key for key in (*labels, *before) if labels.get(key) != before.get(key)}
    return ", ".join(sorted(key for key in changed if _is_forbidden(key)))


def _is_forbidden(key: str) -> bool:
    domain = key.partition("/")[0] if "/" in key else ""
    if _is_below(domain, (_RESTRICTED_DOMAIN,)):
        return True
    if not _is_below(domain, ("kubernetes.io", "k8s.io")):
        return False
    return key not in _KUBELET_LABELS and not _is_below(domain, _KUBELET_DOMAINS)


def _is_below(domain: str, parents: Iterable[str]) -> bool:
    return any(domain == parent or domain.endswith("." + parent) for parent in parents)


def _without_growth(claim: Object) -> Object:
    meta = {k: v for k, v in claim["metadata"].items() if k not in ("resourceVersion", "managedFields")}
    state = {k: v for k, v in (claim.get("status") or {}).items() if k not in _CLAIM_STATUS}
    return {**claim, "metadata": meta, "status": state}
