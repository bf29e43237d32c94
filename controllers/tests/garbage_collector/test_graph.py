"""What changes of the ownership graph call for."""

from __future__ import annotations

from typing import Any

from controllers.garbage_collector.graph import FOREGROUND, ORPHAN, Graph, Standing
from controllers.runtime.kinds import CLUSTER_ROLES, CONFIG_MAPS

Object = dict[str, Any]


def thing(name: str, *owners: Object, namespace: str = "n", **metadata: Any) -> Object:
    metadata = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "resourceVersion": "1", **metadata}
    if owners:
        metadata["ownerReferences"] = list(owners)
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata}


def owner(name: str, **more: Any) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": f"uid-{name}", **more}


def test_dependent_of_a_seen_owner_needs_no_check() -> None:
    graph = Graph()
    graph.put(CONFIG_MAPS, thing("o"))
    todo = graph.put(CONFIG_MAPS, thing("d", owner("o")))
    assert todo.check == []
    assert graph.standing(graph.nodes["uid-d"], owner("o")) is Standing.SOLID


def test_dependent_of_an_unseen_owner_is_checked_with_the_server() -> None:
    graph = Graph()
    todo = graph.put(CONFIG_MAPS, thing("d", owner("o")))
    assert todo.check == ["uid-d"]
    assert graph.standing(graph.nodes["uid-d"], owner("o")) is Standing.UNKNOWN


def test_removal_of_the_owner_calls_for_its_dependents() -> None:
    graph = Graph()
    graph.put(CONFIG_MAPS, thing("o"))
    graph.put(CONFIG_MAPS, thing("d", owner("o")))
    assert graph.remove("uid-o").check == ["uid-d"]
    assert graph.standing(graph.nodes["uid-d"], owner("o")) is Standing.DANGLING


def test_owner_absent_for_one_dependent_is_not_asked_for_again() -> None:
    graph = Graph()
    graph.put(CONFIG_MAPS, thing("d", owner("o")))
    graph.note_absent(graph.nodes["uid-d"], owner("o"))
    assert graph.standing(graph.nodes["uid-d"], owner("o")) is Standing.DANGLING


def test_owner_in_another_namespace_is_reported_whoever_comes_first() -> None:
    for first, second in (("o", "d"), ("d", "o")):
        things = {"o": thing("o", namespace="elsewhere"), "d": thing("d", owner("o"))}
        graph = Graph()
        graph.put(CONFIG_MAPS, things[first])
        todo = graph.put(CONFIG_MAPS, things[second])
        assert [(node.name, reference["name"]) for node, reference in todo.misplaced] == [("d", "o")]
        assert "uid-d" in todo.check
        assert graph.standing(graph.nodes["uid-d"], owner("o")) is Standing.UNKNOWN


def test_cluster_scoped_owner_counts_in_every_namespace() -> None:
    graph = Graph()
    role = {"metadata": {"name": "r", "uid": "uid-r"}}
    graph.put(CLUSTER_ROLES, role)
    reference = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "name": "r", "uid": "uid-r"}
    assert graph.put(CONFIG_MAPS, thing("d", reference)).check == []


def test_foreground_deletion_calls_for_dependents_and_the_owner() -> None:
    graph = Graph()
    graph.put(CONFIG_MAPS, thing("o"))
    graph.put(CONFIG_MAPS, thing("d", owner("o", blockOwnerDeletion=True)))
    graph.put(CONFIG_MAPS, thing("e", owner("o")))
    todo = graph.put(CONFIG_MAPS, thing("o", finalizers=[FOREGROUND], deletionTimestamp="t"))
    assert set(todo.check) == {"uid-o", "uid-d", "uid-e"}
    assert [node.name for node in graph.blocking("uid-o")] == ["d"]
    assert graph.standing(graph.nodes["uid-d"], owner("o")) is Standing.WAITING


def test_owner_is_looked_at_again_when_a_dependent_unblocks_it_or_goes() -> None:
    graph = Graph()
    graph.put(CONFIG_MAPS, thing("o", finalizers=[FOREGROUND], deletionTimestamp="t"))
    graph.put(CONFIG_MAPS, thing("d", owner("o", blockOwnerDeletion=True)))
    assert graph.put(CONFIG_MAPS, thing("d", owner("o"))).check == ["uid-o"]
    assert graph.remove("uid-d").check == ["uid-o"]


def test_orphaning_begins_once() -> None:
    graph = Graph()
    graph.put(CONFIG_MAPS, thing("o"))
    going = thing("o", finalizers=[ORPHAN], deletionTimestamp="t")
    assert graph.put(CONFIG_MAPS, going).orphan == ["uid-o"]
    assert graph.put(CONFIG_MAPS, going).orphan == []


def test_reference_with_another_version_is_checked_with_the_server() -> None:
    graph = Graph()
    graph.put(CONFIG_MAPS, thing("o"))
    todo = graph.put(CONFIG_MAPS, thing("d", {**owner("o"), "apiVersion": "v2"}))
    assert todo.check == ["uid-d"]


def test_what_cannot_be_seen_any_more_is_not_taken_for_gone() -> None:
    graph = Graph()
    graph.put(CONFIG_MAPS, thing("o"))
    graph.put(CLUSTER_ROLES, {"metadata": {"name": "r", "uid": "uid-r", "ownerReferences": [owner("o")]}})
    graph.forget(CONFIG_MAPS)
    assert "uid-o" not in graph.nodes
    assert graph.standing(graph.nodes["uid-r"], owner("o")) is Standing.UNKNOWN
