"""Makes the claim of each ephemeral volume of a pod. The claim belongs to the pod and goes with it.

Follows: pkg/controller/volume/ephemeral/controller.go
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from controllers.runtime.controller import Controller, For, Requeue, Runtime, Watches
from controllers.runtime.errors import ApiError
from controllers.runtime.informer import Change
from controllers.runtime.kinds import PERSISTENT_VOLUME_CLAIMS, PODS
from controllers.runtime.objects import (
    Key,
    Object,
    View,
    controller_reference,
    is_controlled_by,
    is_deleting,
    key_of,
    name_of,
    namespace_of,
)

_BY_CLAIM = "ephemeral claim"


def ephemeral_volumes(pod: View) -> Iterator[View]:
    return (volume for volume in pod["spec"].get("volumes") or () if "ephemeral" in volume)


def claim_name(pod: View, volume: View) -> str:
    return f"{name_of(pod)}-{volume['name']}"


def claim_of(pod: View, volume: View) -> Object:
    """The claim that the volume's template asks for."""
    template = volume["ephemeral"]["volumeClaimTemplate"]
    wanted = template.get("metadata") or {}
    metadata = {field: wanted[field] for field in ("labels", "annotations") if wanted.get(field)}
    metadata |= {"name": claim_name(pod, volume), "namespace": namespace_of(pod)}
    metadata["ownerReferences"] = [controller_reference(PODS, pod)]
    return {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "metadata": metadata, "spec": template["spec"]}


def _claims(pod: View) -> Iterator[str]:
    return (f"{namespace_of(pod)}/{claim_name(pod, volume)}" for volume in ephemeral_volumes(pod))


class EphemeralVolumeController(Controller):
    name = "ephemeral_volume"
    account = "ephemeral-volume-controller"

    def pods_without_claim(self, change: Change) -> Iterable[Key]:
        """A claim that went away is missing to the pods that want one of that name."""
        return [key_of(pod) for pod in self.store(PODS).by_index(_BY_CLAIM, str(key_of(change.obj)))]

    watches: ClassVar = (
        For(PODS, when=lambda change: change.type == "ADDED" and any(ephemeral_volumes(change.obj))),
        Watches(PERSISTENT_VOLUME_CLAIMS, pods_without_claim, when=lambda change: change.type == "DELETED"),
    )

    def __init__(self, runtime: Runtime) -> None:
        runtime.informers.get(PODS).store.add_index(_BY_CLAIM, _claims)
        super().__init__(runtime)

    async def reconcile(self, key: Key) -> Requeue | None:
        pod = self.store(PODS).get(*key)
        if pod is None or is_deleting(pod):
            return None
        failed = False
        for volume in ephemeral_volumes(pod):
            failed |= not await self._ensure(pod, volume)
        return Requeue() if failed else None

    async def _ensure(self, pod: View, volume: View) -> bool:
        """Whether the volume has its claim now."""
        wanted = claim_of(pod, volume)
        claim = self.store(PERSISTENT_VOLUME_CLAIMS).get(*key_of(wanted))
        if claim is not None and is_controlled_by(claim, pod):
            return True
        if claim is not None:
            problem = f"PVC {key_of(claim)} was not created for pod {key_of(pod)} (pod is not owner)"
        else:
            try:
                await self.client.create(PERSISTENT_VOLUME_CLAIMS, wanted)
            except ApiError as error:
                problem = f"create PVC {name_of(wanted)}: {error}"
            else:
                return True
        self.events.warning(pod, "FailedBinding", f"ephemeral volume {volume['name']}: {problem}")
        return False
