"""Publishes the cluster's root certificate in every active namespace, as the ConfigMap `kube-root-ca.crt`.

ConfigMaps are watched by their metadata only: the few that matter are read from the server when they change.
Follows: pkg/controller/certificates/rootcacertpublisher/publisher.go
"""

from __future__ import annotations

from typing import ClassVar

from controllers.runtime.controller import Controller, For, Requeue, Runtime
from controllers.runtime.errors import AlreadyExists, ApiError, Conflict, NotFound
from controllers.runtime.informer import Change
from controllers.runtime.kinds import CONFIG_MAPS, NAMESPACES
from controllers.runtime.objects import Key, annotations_of, namespace_of

NAME = "kube-root-ca.crt"
DATA_KEY = "ca.crt"
DESCRIPTION_KEY = "kubernetes.io/description"
DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
)
NAMESPACE_TERMINATING = "NamespaceTerminating"


class RootCaPublisher(Controller):
    name = "root-ca-certificate-publisher-controller"
    account = "root-ca-cert-publisher"
    watches: ClassVar = (For(NAMESPACES, when=lambda change: change.type != "DELETED"),)

    def __init__(self, runtime: Runtime, root_ca: str) -> None:
        super().__init__(runtime)
        self._data = {DATA_KEY: root_ca}
        self._config_maps = runtime.informers.get(CONFIG_MAPS, metadata_only=True)
        self._config_maps.add_handler(self._changed)

    def _changed(self, change: Change) -> None:
        if change.obj["metadata"]["name"] == NAME and change.type != "ADDED":
            self.queue.add(Key("", namespace_of(change.obj)))

    async def reconcile(self, key: Key) -> Requeue | None:
        namespace = self.store(NAMESPACES).get("", key.name)
        if namespace is None or (namespace.get("status") or {}).get("phase") != "Active":
            return None
        if self._config_maps.store.get(key.name, NAME) is None:
            await self._create(key.name)
        else:
            await self._correct(key.name)
        return None

    async def _create(self, namespace: str) -> None:
        metadata = {"name": NAME, "namespace": namespace, "annotations": {DESCRIPTION_KEY: DESCRIPTION}}
        try:
            await self.client.create(
                CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": self._data}
            )
        except AlreadyExists:
            await self._correct(namespace)
        except ApiError as error:
            if not error.has_cause(NAMESPACE_TERMINATING) and not isinstance(error, NotFound):
                raise

    async def _correct(self, namespace: str) -> None:
        """Bring the data back to what it should be."""
        try:
            config_map = await self.runtime.client.get(CONFIG_MAPS, namespace, NAME)
            if config_map.get("data") == self._data and annotations_of(config_map).get(DESCRIPTION_KEY):
                return
            config_map["data"] = self._data
            config_map["metadata"].setdefault("annotations", {})[DESCRIPTION_KEY] = DESCRIPTION
            await self.client.update(CONFIG_MAPS, config_map)
        except (Conflict, NotFound):
            # The change that came in between is reported, and calls for the namespace again.
            return
