"""Metadata: the rules every kind shares."""

from __future__ import annotations

from openapi.meta.metadata import validate_field_manager, validate_object_meta, validate_object_meta_update
from openapi.meta.names import name_is_dns_subdomain


def problems(meta: dict, *, namespaced: bool = True) -> list[str]:
    return [str(e) for e in validate_object_meta(meta, namespaced=namespaced, name=name_is_dns_subdomain)]


def test_a_name_and_a_namespace_are_required() -> None:
    assert problems({}) == [
        "metadata.name: Required value: name or generateName is required",
        "metadata.namespace: Required value",
    ]
    assert problems({"name": "a", "namespace": "n"}, namespaced=False) == [
        "metadata.namespace: Forbidden: not allowed on this type"
    ]


def test_annotations_are_limited_in_size_and_checked_in_lower_case() -> None:
    meta = {"name": "a", "namespace": "n", "annotations": {"Example.com/A": "x" * 262144}}
    assert problems(meta) == ["metadata.annotations: Too long: may not be more than 262144 bytes"]


def test_owners_must_be_complete_and_only_one_controls() -> None:
    owner = {"apiVersion": "v1", "kind": "A", "name": "o", "uid": "x", "controller": True}
    other = {"uid": "y", "controller": True, "name": "p", "kind": "B", "apiVersion": "v1"}
    meta = {"name": "a", "namespace": "n", "ownerReferences": [owner, other]}
    assert problems(meta) == [
        "metadata.ownerReferences: Invalid value: "
        '[{"apiVersion":"v1","kind":"A","name":"o","uid":"x","controller":true},'
        '{"apiVersion":"v1","kind":"B","name":"p","uid":"y","controller":true}]: '
        'Only one reference can have Controller set to true. Found "true" in references for A/o and B/p'
    ]
    meta["ownerReferences"] = [{}]
    assert [p.partition(":")[0] for p in problems(meta)] == [
        f"metadata.ownerReferences.{field}" for field in ("apiVersion", "kind", "name", "uid")
    ]


def test_both_deletion_finalizers_at_once_are_refused() -> None:
    meta = {"name": "a", "namespace": "n", "finalizers": ["orphan", "foregroundDeletion"]}
    assert problems(meta) == [
        'metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: finalizer orphan and foregroundDeletion '
        "cannot be both set"
    ]


def test_an_update_keeps_identity_and_adds_no_finalizers_while_deleting() -> None:
    old = {"name": "a", "uid": "u", "resourceVersion": "1", "generation": 2}
    old["deletionTimestamp"] = "2024-01-01T00:00:00Z"
    new = {**old, "uid": "v", "generation": 1, "finalizers": ["example.com/b"]}
    assert [str(e) for e in validate_object_meta_update(new, old)] == [
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new "
        'finalizers []string{"example.com/b"}',
        "metadata.generation: Invalid value: 1: must not be decremented",
        'metadata.uid: Invalid value: "v": field is immutable',
    ]


def test_a_field_manager_is_printable() -> None:
    (error,) = validate_field_manager("a\0b", "fieldManager")
    assert error.detail == "invalid character U+0000 (at position 1)"
