"""Field ownership through the scale subresource."""

from __future__ import annotations

from typing import Any

from openapi.catalog import GroupVersionKind
from openapi.schema.load import schema_for
from openapi.schema.ownership import scale_entries, track_update, with_scale_entries

PATHS = {"apps/v1": ("spec", "replicas")}
NOW = "2026-01-01T00:00:00Z"
APPLIED = {
    "manager": "one",
    "operation": "Apply",
    "apiVersion": "apps/v1",
    "time": NOW,
    "fieldsType": "FieldsV1",
    "fieldsV1": {"f:spec": {"f:replicas": {}, "f:selector": {}}},
}


def scale_to(parent: list[dict[str, Any]], replicas: int, manager: str) -> list[dict[str, Any]]:
    old = {
        "metadata": {"name": "a", "uid": "u", "managedFields": scale_entries(parent, PATHS)},
        "spec": {"replicas": 2},
    }
    new = {"metadata": dict(old["metadata"]), "spec": {"replicas": replicas}}
    node = schema_for(GroupVersionKind("autoscaling", "v1", "Scale"))
    track_update(new, old, manager=manager, node=node, api_version="autoscaling/v1", subresource="scale", now=NOW)
    entries = new["metadata"].get("managedFields")
    return with_scale_entries(parent, entries, api_version="apps/v1", paths=PATHS)


def test_a_scale_shows_who_owns_the_replicas() -> None:
    other = {**APPLIED, "manager": "two", "fieldsV1": {"f:spec": {"f:selector": {}}}}
    unknown = {**APPLIED, "manager": "three", "apiVersion": "apps/v9"}
    assert scale_entries([APPLIED, other, unknown], PATHS) == [
        {**APPLIED, "apiVersion": "autoscaling/v1", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    ]


def test_scaling_takes_the_replicas_over() -> None:
    assert scale_to([APPLIED], 5, "two") == [
        {**APPLIED, "fieldsV1": {"f:spec": {"f:selector": {}}}},
        {
            "manager": "two",
            "operation": "Update",
            "apiVersion": "apps/v1",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:spec": {"f:replicas": {}}},
            "subresource": "scale",
        },
    ]


def test_scaling_to_the_same_number_leaves_the_applier_its_entry() -> None:
    assert scale_to([APPLIED], 2, "two") == [APPLIED]
