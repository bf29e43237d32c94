"""Roles, bindings and node relations are those of the store, at first and from then on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from apiserver.auth import node_graph, rbac
from apiserver.auth.attributes import Attributes
from apiserver.auth.node_graph import NodeGraph, Ref
from apiserver.auth.rbac import RbacAuthorizer, RbacIndex
from apiserver.resources.strategy import User
from apiserver.storage.sqlite import SqliteBackend
from apiserver.storage.store import Store
from openapi import kinds
from openapi.catalog import Resource

ASKED = Attributes(User("alice"), "get", resource="pods", namespace="n", name="p")
ROWS: dict[str, Resource] = {
    row.resource: row for row in kinds.RESOURCES if row.resource in (*rbac.RESOURCES, *node_graph.FOLLOWED)
}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = Store(SqliteBackend(tmp_path / "db"))
    for row in ROWS.values():
        made.register(row, lambda obj: {})
    await made.start()
    yield made
    await made.close()


async def create(store: Store, resource: str, name: str, **fields: Any) -> None:
    row = ROWS[resource]
    meta = {"namespace": "n", "name": name}
    obj = {"kind": row.kind, "apiVersion": row.api_version, "metadata": meta, **fields}
    await store.create(row, "n", name, obj)
    await store.fresh(row)


async def delete(store: Store, resource: str, name: str) -> None:
    row = ROWS[resource]
    entry = store.cache(row).get("n", name)
    assert entry is not None
    await store.delete(row, "n", name, entry.revision)
    await store.fresh(row)


async def test_a_binding_counts_as_soon_as_the_cache_has_it(store: Store) -> None:
    await create(store, "roles", "r", rules=[{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}])
    index = RbacIndex()
    rbac.follow(index, {resource: store.cache(ROWS[resource]) for resource in rbac.RESOURCES})
    authorizer = RbacAuthorizer(index)
    assert not authorizer.authorize(ASKED).allowed
    subjects = [{"kind": "User", "name": "alice"}]
    await create(store, "rolebindings", "b", roleRef={"kind": "Role", "name": "r"}, subjects=subjects)
    assert authorizer.authorize(ASKED).allowed
    await delete(store, "roles", "r")
    assert not authorizer.authorize(ASKED).allowed


async def test_a_pod_relates_its_secrets_to_its_node(store: Store) -> None:
    spec = {"nodeName": "m", "imagePullSecrets": [{"name": "s"}]}
    await create(store, "pods", "before", spec=spec)
    graph = NodeGraph()
    node_graph.follow(graph, {resource: store.cache(ROWS[resource]) for resource in node_graph.FOLLOWED})
    assert graph.is_related("m", Ref("secrets", "n", "s"))
    await create(store, "pods", "after", spec={**spec, "imagePullSecrets": [{"name": "t"}]})
    assert graph.is_related("m", Ref("secrets", "n", "t"))
    await delete(store, "pods", "after")
    assert not graph.is_related("m", Ref("secrets", "n", "t"))
