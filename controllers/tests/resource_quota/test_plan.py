"""The recount of quotas."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from controllers.resource_quota.plan import counted, plan_status
from openapi.catalog import GroupResource

Object = dict[str, Any]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PODS = GroupResource("", "pods")


def quota(hard: dict[str, str], status: Object | None = None, **spec: Any) -> Object:
    return {"metadata": {"name": "q", "namespace": "n"}, "spec": {"hard": hard, **spec}, "status": status or {}}


def pod(cpu: str = "", phase: str = "Running") -> Object:
    resources = {"requests": {"cpu": cpu}} if cpu else {}
    return {
        "metadata": {"name": "p", "namespace": "n"},
        "spec": {"containers": [{"name": "c", "resources": resources}]},
        "status": {"phase": phase},
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pods", [PODS]),
        ("requests.nvidia.com/gpu", [PODS]),
        ("secrets", [GroupResource("", "secrets")]),
        ("count/deployments.apps", [GroupResource("apps", "deployments")]),
        ("gold.storageclass.storage.k8s.io/requests.storage", [GroupResource("", "persistentvolumeclaims")]),
        ("example.com/unheard-of", []),
    ],
)
def test_which_resources_a_limit_counts(name: str, expected: list[GroupResource]) -> None:
    assert list(counted([name])) == expected


def test_ended_pods_count_only_as_objects() -> None:
    status = plan_status(
        quota({"pods": "5", "count/pods": "5", "requests.cpu": "2"}),
        {PODS: [pod("100m"), pod("1", "Succeeded")]}.get,
        NOW,
    )
    assert status is not None
    assert status["used"] == {"pods": "1", "count/pods": "2", "requests.cpu": "100m"}


def test_scopes_choose_what_counts() -> None:
    status = plan_status(quota({"pods": "5"}, scopes=["BestEffort"]), {PODS: [pod("1"), pod()]}.get, NOW)
    assert status is not None
    assert status["used"] == {"pods": "1"}


def test_same_count_is_not_written() -> None:
    counted_before = {"hard": {"pods": "5"}, "used": {"pods": "1"}}
    assert plan_status(quota({"pods": "5"}, counted_before), {PODS: [pod()]}.get, NOW) is None
    assert plan_status(quota({"pods": "6"}, counted_before), {PODS: [pod()]}.get, NOW) is not None


def test_limit_that_is_gone_is_no_longer_shown() -> None:
    before = {"hard": {"pods": "5", "secrets": "1"}, "used": {"pods": "0", "secrets": "1"}}
    status = plan_status(quota({"pods": "5"}, before), {PODS: []}.get, NOW)
    assert status == {"hard": {"pods": "5"}, "used": {"pods": "0"}}


def test_resource_that_is_not_served_is_not_counted() -> None:
    status = plan_status(quota({"count/widgets.example.com": "1"}), lambda _gr: None, NOW)
    assert status == {"hard": {"count/widgets.example.com": "1"}, "used": {}}
