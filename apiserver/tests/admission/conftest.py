"""A store in memory with the whole chain over it, and short ways to ask it questions."""

from __future__ import annotations

import copy
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from apiserver.admission.chain import Chain
from apiserver.admission.plugin import CREATE, DELETE, UPDATE, Attributes
from apiserver.admission.plugins import admission_plugins
from apiserver.registry.endpoints import Endpoints
from apiserver.registry.versions import ServedVersions
from apiserver.resources.strategy import User
from apiserver.storage.entry import Entry
from apiserver.storage.sqlite import SqliteBackend
from apiserver.storage.store import Store
from openapi.catalog import Catalog, Resource
from openapi.kinds import RESOURCES

Object = dict[str, Any]

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
ALICE = User("alice")


def pod(name: str = "a", namespace: str = "ns", **spec: Any) -> Object:
    containers = spec.pop("containers", None) or [{"name": "c", "image": "i"}]
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": containers, **spec},
    }


class Cluster:
    """What plugins see. `signers` are the rights to certificate signers: (user, verb, signer)."""

    def __init__(self) -> None:
        self.catalog = Catalog(RESOURCES)
        self.store = Store(SqliteBackend(None))
        for row in self.catalog.rows():
            if row.prefix:
                self.store.register(row, lambda obj: {})
        self.signers: set[tuple[str, str, str]] = set()
        self.versions = ServedVersions(self.catalog, Endpoints(self.catalog, {}))
        self.chain = Chain(admission_plugins(self.store, self.catalog, self._allows, self.versions))

    def _allows(self, user: User, request: Mapping[str, str]) -> tuple[bool, str]:
        return (user.name, request["verb"], request["name"]) in self.signers, ""

    def row(self, resource: str, group: str = "") -> Resource:
        return self.catalog.of_group_resource(group, resource)[0]

    async def put(self, resource: str, obj: Object, group: str = "") -> Entry:
        """Store an object as it is; the caches have it then."""
        row = self.row(resource, group)
        meta = {"uid": str(uuid.uuid4()), "creationTimestamp": "2026-11-23T08:00:00Z", **obj["metadata"]}
        whole = {"kind": row.kind, "apiVersion": row.api_version, **obj, "metadata": meta}
        entry = await self.store.create(row, meta.get("namespace", ""), meta["name"], whole)
        await self.store.fresh(row)
        return entry

    async def get(self, resource: str, namespace: str, name: str, group: str = "") -> Object:
        entry = await self.store.get(self.row(resource, group), namespace, name)
        assert entry is not None
        return entry.object()

    async def namespace(self, name: str = "ns", **labels: str) -> None:
        """A namespace with its default service account."""
        meta = {"name": name, "labels": {key.replace("__", "/"): value for key, value in labels.items()}}
        await self.put("namespaces", {"metadata": meta, "status": {"phase": "Active"}})
        await self.put("serviceaccounts", {"metadata": {"name": "default", "namespace": name}})

    def ask(
        self, operation: str, resource: str, obj: Object | None, old: Object | None = None, **more: Any
    ) -> Attributes:
        row = self.row(resource, more.pop("group", ""))
        meta = ((obj if obj is not None else old) or {})["metadata"]
        settings: Object = {
            "subresource": "",
            "namespace": meta.get("namespace", "") if row.namespaced else "",
            "name": meta.get("name", ""),
            "user": ALICE,
            "now": NOW,
            **more,
        }
        return Attributes(operation=operation, resource=row, obj=obj, old=old, **settings)

    async def admit(self, attributes: Attributes) -> Attributes:
        await self.chain.mutate(attributes)
        await self.chain.validate(attributes)
        return attributes

    async def create(self, resource: str, obj: Object, **more: Any) -> Object:
        """The object as the chain makes it. Raises what plugins raise."""
        attributes = await self.admit(self.ask(CREATE, resource, copy.deepcopy(obj), **more))
        assert attributes.obj is not None
        return attributes.obj

    async def update(self, resource: str, obj: Object, old: Object, **more: Any) -> Attributes:
        return await self.admit(self.ask(UPDATE, resource, copy.deepcopy(obj), old, **more))

    async def delete(self, resource: str, old: Object, **more: Any) -> Attributes:
        return await self.admit(self.ask(DELETE, resource, None, old, **more))


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    cluster = Cluster()
    await cluster.store.start()
    yield cluster
    await cluster.store.close()


@pytest.fixture
def make_pod() -> Callable[..., Object]:
    return pod
