"""Makes resource claims from the templates that pods name, and gives up those whose pods are done.

A pod's key is its own; a claim's key has the claim's name behind a slash, which no name contains.
Follows: pkg/controller/resourceclaim/controller.go
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar

from controllers.resource_claim.plan import (
    FINALIZER,
    POD_CLAIM,
    claim_from_template,
    claim_name,
    claim_names,
    is_done,
    owning_pod,
    pod_claims,
    released_claim,
    reserved_for,
    unprotected_claim,
)
from controllers.runtime.controller import Controller, Requeue, Runtime, Watches
from controllers.runtime.errors import ApiError, Conflict, NotFound
from controllers.runtime.informer import Change
from controllers.runtime.kinds import PODS, RESOURCE_CLAIM_TEMPLATES, RESOURCE_CLAIMS
from controllers.runtime.objects import (
    Key,
    Object,
    View,
    annotations_of,
    is_controlled_by,
    is_deleting,
    key_of,
    name_of,
    namespace_of,
    uid_of,
)

_CLAIM = "/"
_MANAGER = "ResourceClaimController"
_BY_CLAIM, _BY_TEMPLATE = "resource claim", "resource claim template"


class _Problem(Exception):
    """Why a pod does not get its claim."""


def _templates(pod: View) -> Iterable[str]:
    for pod_claim in pod_claims(pod):
        if pod_claim.get("resourceClaimTemplateName"):
            yield f"{namespace_of(pod)}/{pod_claim['resourceClaimTemplateName']}"


def _claim_key(key: Key) -> Key:
    return Key(key.namespace, _CLAIM + key.name)


class ResourceClaimController(Controller):
    name = "resource_claim"
    account = "resource-claim-controller"
    workers = 10

    def of_pod(self, change: Change) -> Iterable[Key]:
        """The pod while it lives, and its claims once it is done."""
        pod = change.obj
        if not pod["spec"].get("resourceClaims") and next(claim_names(pod), None) is None:
            return
        gone = change.type == "DELETED"
        if not gone:
            yield key_of(pod)
        if gone or is_done(pod):
            yield from (Key(namespace_of(pod), _CLAIM + name.partition("/")[2]) for name in claim_names(pod))
            owned = self.store(RESOURCE_CLAIMS).controlled_by(uid_of(pod))
            yield from (_claim_key(key_of(claim)) for claim in owned)

    def of_claim(self, change: Change) -> Iterable[Key]:
        """The claim itself, and the pods that use it."""
        key = key_of(change.obj)
        yield _claim_key(key)
        yield from (key_of(pod) for pod in self.store(PODS).by_index(_BY_CLAIM, str(key)))

    def of_template(self, change: Change) -> Iterable[Key]:
        pods = self.store(PODS).by_index(_BY_TEMPLATE, str(key_of(change.obj)))
        return [key_of(pod) for pod in pods]

    watches: ClassVar = (
        Watches(PODS, of_pod),
        Watches(RESOURCE_CLAIMS, of_claim),
        Watches(RESOURCE_CLAIM_TEMPLATES, of_template, when=lambda change: change.type == "ADDED"),
    )

    def __init__(self, runtime: Runtime) -> None:
        pods = runtime.informers.get(PODS).store
        pods.add_index(_BY_CLAIM, claim_names)
        pods.add_index(_BY_TEMPLATE, _templates)
        runtime.informers.get(RESOURCE_CLAIMS).store.index_controllers()
        super().__init__(runtime)

    async def reconcile(self, key: Key) -> Requeue | None:
        if key.name.startswith(_CLAIM):
            claim = self.store(RESOURCE_CLAIMS).get(key.namespace, key.name.removeprefix(_CLAIM))
            if claim is not None:
                await self._sync_claim(claim)
            return None
        pod = self.store(PODS).get(*key)
        return None if pod is None or is_deleting(pod) or is_done(pod) else await self._sync_pod(pod)

    # Pods

    async def _sync_pod(self, pod: View) -> Requeue | None:
        made: dict[str, str] = {}
        problem = False
        for pod_claim in pod_claims(pod):
            try:
                name = await self._ensure(pod, pod_claim)
            except _Problem as error:
                text = f"PodResourceClaim {pod_claim['name']}: {error}"
                self.events.warning(pod, "FailedResourceClaimCreation", text)
                problem = True
                break
            if name:
                made[pod_claim["name"]] = name
        if problem:
            return Requeue()
        if made:
            await self._tell_names(pod, made)
        if pod["spec"].get("nodeName"):
            await self._reserve(pod)
        return None

    async def _ensure(self, pod: View, pod_claim: View) -> str:
        """Make the claim if it is missing; its name if the pod's status must learn it. Raises _Problem."""
        name, _ = claim_name(pod, pod_claim)
        template_name = pod_claim.get("resourceClaimTemplateName")
        if name == "" or template_name is None:
            return ""
        claim = self.store(RESOURCE_CLAIMS).get(namespace_of(pod), name) if name else None
        if claim is not None and is_controlled_by(claim, pod):
            return ""
        for known in self.store(RESOURCE_CLAIMS).controlled_by(uid_of(pod)):
            if annotations_of(known).get(POD_CLAIM) == pod_claim["name"]:
                return name_of(known)
        template = self.store(RESOURCE_CLAIM_TEMPLATES).get(namespace_of(pod), template_name)
        if template is None:
            missing = f'resourceclaimtemplate.resource.k8s.io "{template_name}" not found'
            raise _Problem(f'resource claim template "{template_name}": {missing}')
        try:
            return name_of(await self.client.create(RESOURCE_CLAIMS, claim_from_template(pod, pod_claim, template)))
        except ApiError as error:
            raise _Problem(f"create ResourceClaim : {error}") from error

    async def _tell_names(self, pod: View, made: Mapping[str, str]) -> None:
        """Write the names of generated claims, those written before included, into the pod's status."""
        names = {}
        for pod_claim in pod_claims(pod):
            known, generated = claim_name(pod, pod_claim)
            name = made.get(pod_claim["name"]) or (known if generated else None)
            if name:
                names[pod_claim["name"]] = name
        statuses = [{"name": name, "resourceClaimName": claim} for name, claim in names.items()]
        wanted = {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": {"name": name_of(pod), "namespace": namespace_of(pod), "uid": uid_of(pod)},
            "status": {"resourceClaimStatuses": statuses},
        }
        try:
            await self.client.apply(PODS, wanted, manager=_MANAGER, subresource="status")
        except (Conflict, NotFound):
            # The pod is gone; another of that name calls for itself.
            return

    async def _reserve(self, pod: View) -> None:
        """A pod that was put on a node without the scheduler still needs its reservations."""
        for pod_claim in pod_claims(pod):
            name, generated = claim_name(pod, pod_claim)
            claim = self.store(RESOURCE_CLAIMS).get(namespace_of(pod), name) if name else None
            if claim is None or (generated and not is_controlled_by(claim, pod)):
                continue
            changed = reserved_for(pod, claim)
            if changed is not None:
                await self.client.update(RESOURCE_CLAIMS, changed, "status")

    # Claims

    async def _sync_claim(self, claim: Object) -> None:
        consumers = list((claim.get("status") or {}).get("reservedFor") or ())
        remaining = [consumer for consumer in consumers if await self._is_valid(claim, consumer)]
        is_protected = FINALIZER in (claim["metadata"].get("finalizers") or ())
        is_unused = not remaining
        if len(remaining) < len(consumers):
            claim = await self.client.update(RESOURCE_CLAIMS, released_claim(claim, remaining), "status")
            is_protected = FINALIZER in (claim["metadata"].get("finalizers") or ())
            if is_protected and not (claim.get("status") or {}).get("allocation"):
                claim = await self.client.update(RESOURCE_CLAIMS, unprotected_claim(claim))
        elif is_unused and is_protected and is_deleting(claim):
            if (claim.get("status") or {}).get("allocation"):
                claim = await self.client.update(RESOURCE_CLAIMS, released_claim(claim, []), "status")
            claim = await self.client.update(RESOURCE_CLAIMS, unprotected_claim(claim))
        if is_unused and not is_deleting(claim) and self._is_needless(claim):
            try:
                await self.client.delete(RESOURCE_CLAIMS, *key_of(claim), uid=uid_of(claim))
            except NotFound:
                return

    async def _is_valid(self, claim: View, consumer: View) -> bool:
        """Whether that consumer still needs the claim. Only pods are known to consume."""
        if consumer.get("apiGroup") or consumer.get("resource") != "pods":
            raise ValueError(f"unsupported ReservedFor entry: {consumer}")
        namespace, name = namespace_of(claim), consumer["name"]
        pod = self.store(PODS).get(namespace, name)
        if pod is None:
            # The scheduler may reserve for a pod that has not reached our store yet.
            try:
                pod = await self.client.get(PODS, namespace, name)
            except NotFound:
                return False
        return uid_of(pod) == consumer.get("uid") and not is_done(pod)

    def _is_needless(self, claim: View) -> bool:
        """Whether the claim was made for a pod that is done or replaced; gone ones are the garbage collector's."""
        reference = owning_pod(claim)
        pod = self.store(PODS).get(namespace_of(claim), reference["name"]) if reference is not None else None
        return reference is not None and pod is not None and (uid_of(pod) != reference["uid"] or is_done(pod))
