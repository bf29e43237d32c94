"""The config maps and secrets that pods of this process' nodes name, each kept by a watch of that one object.

A node may read no others, so there is a watch for each. What was known last stays known while the server is away.
Follows: pkg/kubelet/util/manager/{watch_based_manager,cache_based_manager}.go
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from controllers.runtime.client import Client
from controllers.runtime.informer import Change, Informer, StoreIdentity
from controllers.runtime.kinds import CONFIG_MAPS, SECRETS
from nodeagent.pods import spec
from nodeagent.pods.environment import ConfigProblem
from nodeagent.pods.spec import View

SYNC_S = 1.0
"""As long as a pod waits for the first list of an object that it needs."""
_KINDS = {"configmap": CONFIG_MAPS, "secret": SECRETS}


class Reference(NamedTuple):
    """`kind` as in messages: `configmap` or `secret`."""

    kind: str
    namespace: str
    name: str


@dataclass(slots=True)
class _Watched:
    informer: Informer
    pods: set[str] = field(default_factory=set)
    task: asyncio.Task[None] | None = None


class WatchedObjects:
    """`run` it. `on_change` is told the uids of pods that name an object that has changed."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._identity = StoreIdentity(client)
        self._watched: dict[Reference, _Watched] = {}
        self._by_pod: dict[str, frozenset[Reference]] = {}
        self._listeners: list[Callable[[str], None]] = []
        self._group: asyncio.TaskGroup | None = None

    def add_listener(self, listener: Callable[[str], None]) -> None:
        self._listeners.append(listener)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            for reference, watched in self._watched.items():
                self._start(reference, watched)
            await asyncio.Event().wait()

    def register(self, pod: View) -> None:
        """Keep what the pod names, as long as it is not forgotten."""
        uid, wanted = spec.uid_of(pod), frozenset(references(pod))
        known = self._by_pod.get(uid, frozenset())
        self._by_pod[uid] = wanted
        for reference in wanted - known:
            watched = self._watched.get(reference)
            if watched is None:
                watched = self._watched[reference] = self._watch(reference)
                self._start(reference, watched)
            watched.pods.add(uid)
        for reference in known - wanted:
            self._release(reference, uid)

    def forget(self, uid: str) -> None:
        """The pod is gone; what nobody else names is watched no more."""
        for reference in self._by_pod.pop(uid, ()):
            self._release(reference, uid)

    def knows(self, reference: Reference) -> bool:
        """Whether some pod names it."""
        return reference in self._watched

    async def get(self, reference: Reference) -> View | None:
        """The object as it was last seen, None if there is none. Raises ConfigProblem while nobody knows."""
        informer = self._watched[reference].informer
        if not informer.synced.is_set():
            try:
                async with asyncio.timeout(SYNC_S):
                    await informer.synced.wait()
            except TimeoutError:
                text = f"failed to sync {reference.kind} cache: timed out waiting for the condition"
                raise ConfigProblem(text) from None
        return informer.store.get(reference.namespace, reference.name)

    def _watch(self, reference: Reference) -> _Watched:
        informer = Informer(
            self._client,
            _KINDS[reference.kind],
            namespace=reference.namespace,
            fields=f"metadata.name={reference.name}",
            identity=self._identity,
        )

        def tell(change: Change) -> None:
            # Who needs it waits for the first list anyway; what is gone changes nothing for those who have it.
            if change.type == "DELETED" or not informer.synced.is_set():
                return
            for uid in tuple(watched.pods):
                for listener in self._listeners:
                    listener(uid)

        watched = _Watched(informer)
        informer.add_handler(tell)
        return watched

    def _start(self, reference: Reference, watched: _Watched) -> None:
        if self._group is not None and watched.task is None:
            name = f"{reference.kind} {reference.namespace}/{reference.name}"
            watched.task = self._group.create_task(watched.informer.run(), name=name)

    def _release(self, reference: Reference, uid: str) -> None:
        watched = self._watched[reference]
        watched.pods.discard(uid)
        if not watched.pods:
            del self._watched[reference]
            if watched.task is not None:
                watched.task.cancel()


def references(pod: View) -> Iterator[Reference]:
    """The config maps and secrets that the pod names: in variables, volumes, and for pulling images."""
    namespace = pod["metadata"]["namespace"]
    for kind, source in _sources(pod):
        name = source.get("name") or source.get("secretName") or ""
        if name:
            yield Reference(kind, namespace, name)


def _sources(pod: View) -> Iterator[tuple[str, View]]:
    for item in pod["spec"].get("imagePullSecrets") or ():
        yield "secret", item
    for container in spec.all_containers(pod):
        for origin in container.get("envFrom") or ():
            yield from _given(origin, "configMapRef", "secretRef")
        for variable in container.get("env") or ():
            yield from _given(variable.get("valueFrom") or {}, "configMapKeyRef", "secretKeyRef")
    for volume in pod["spec"].get("volumes") or ():
        yield from _given(volume, "configMap", "secret")
        for part in (volume.get("projected") or {}).get("sources") or ():
            yield from _given(part, "configMap", "secret")
        secret = (volume.get("csi") or {}).get("nodePublishSecretRef")
        if secret:
            yield "secret", secret


def _given(origin: View, config_map: str, secret: str) -> Iterator[tuple[str, View]]:
    if origin.get(config_map):
        yield "configmap", origin[config_map]
    if origin.get(secret):
        yield "secret", origin[secret]
