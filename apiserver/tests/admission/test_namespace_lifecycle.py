from __future__ import annotations

from typing import Any

import pytest

from openapi.meta.status import StatusError

Object = dict[str, Any]


def config(name: str = "a", namespace: str = "ns") -> Object:
    return {"metadata": {"name": name, "namespace": namespace}}


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
async def test_namespaces_of_the_system_cannot_be_deleted(cluster: Any, name: str) -> None:
    with pytest.raises(StatusError) as caught:
        await cluster.delete("namespaces", {"metadata": {"name": name}})
    assert caught.value.message == f'namespaces "{name}" is forbidden: this namespace may not be deleted'


async def test_other_namespaces_can_be_deleted(cluster: Any) -> None:
    await cluster.delete("namespaces", {"metadata": {"name": "kube-node-lease"}})


async def test_nothing_is_made_in_a_namespace_that_is_not_there(cluster: Any) -> None:
    with pytest.raises(StatusError) as caught:
        await cluster.create("configmaps", config())
    assert (caught.value.code, caught.value.message) == (404, 'namespaces "ns" not found')


async def test_nothing_is_made_in_a_namespace_that_goes(cluster: Any) -> None:
    await cluster.put("namespaces", {"metadata": {"name": "ns"}, "status": {"phase": "Terminating"}})
    with pytest.raises(StatusError) as caught:
        await cluster.create("configmaps", config())
    assert caught.value.message == (
        'configmaps "a" is forbidden: unable to create new content in namespace ns because it is being terminated'
    )
    assert caught.value.details == {
        "name": "a",
        "kind": "configmaps",
        "causes": [
            {
                "reason": "NamespaceTerminating",
                "message": "namespace ns is being terminated",
                "field": "metadata.namespace",
            }
        ],
    }


async def test_what_is_there_may_still_change_and_go(cluster: Any) -> None:
    await cluster.put("namespaces", {"metadata": {"name": "ns"}, "status": {"phase": "Terminating"}})
    await cluster.update("configmaps", config(), config())
    await cluster.delete("configmaps", config())


async def test_a_deletion_makes_the_cache_doubtful(cluster: Any) -> None:
    await cluster.namespace()
    await cluster.delete("namespaces", {"metadata": {"name": "ns"}})
    entry = await cluster.store.get(cluster.row("namespaces"), "", "ns")
    gone = {**entry.object(), "status": {"phase": "Terminating"}}
    await cluster.store.update(cluster.row("namespaces"), "", "ns", gone, entry.revision)
    with pytest.raises(StatusError, match="being terminated"):
        await cluster.create("configmaps", config())


async def test_an_object_without_a_name_is_called_by_its_prefix(cluster: Any) -> None:
    await cluster.put("namespaces", {"metadata": {"name": "ns"}, "status": {"phase": "Terminating"}})
    with pytest.raises(StatusError, match='configmaps "a-" is forbidden'):
        await cluster.create("configmaps", {"metadata": {"generateName": "a-", "namespace": "ns"}})
