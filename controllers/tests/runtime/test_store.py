"""Stores find objects by name, namespace, controller and own indexes, and forget them wholly."""

from __future__ import annotations

from typing import Any

from controllers.runtime.objects import Key
from controllers.runtime.store import Store


def pod(name: str, namespace: str = "n", owner: str = "", node: str = "") -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": namespace}
    if owner:
        metadata["ownerReferences"] = [{"uid": owner, "controller": True}]
    return {"metadata": metadata, "spec": {"nodeName": node}}


def names(objects: list[dict[str, Any]]) -> list[str]:
    return sorted(obj["metadata"]["name"] for obj in objects)


def test_objects_are_found_by_namespace() -> None:
    store = Store()
    store.put(pod("a"))
    store.put(pod("b", namespace="m"))
    assert names(store.all()) == ["a", "b"]
    assert names(store.all("m")) == ["b"]
    assert store.get("n", "b") is None


def test_owned_objects_and_orphans_move_between_indexes() -> None:
    store = Store()
    store.index_controllers()
    store.put(pod("a"))
    assert names(store.orphans("n")) == ["a"]
    store.put(pod("a", owner="u"))
    assert (store.orphans("n"), names(store.controlled_by("u"))) == ([], ["a"])
    store.remove(Key("n", "a"))
    assert store.controlled_by("u") == []


def test_an_index_added_late_knows_earlier_objects() -> None:
    store = Store()
    store.put(pod("a", node="x"))
    store.add_index("node", lambda obj: [obj["spec"]["nodeName"]])
    store.put(pod("b", node="x"))
    assert names(store.by_index("node", "x")) == ["a", "b"]
    assert store.by_index("node", "y") == []
