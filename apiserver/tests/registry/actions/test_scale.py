"""Scales of workloads: who applies one owns the replicas."""

from __future__ import annotations

from typing import Any

from apiserver.tests.conftest import Client

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
APPLY = "application/apply-patch+yaml"


def deployment() -> dict[str, Any]:
    container = {"name": "c", "image": "i"}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template},
    }


def scale(replicas: int) -> dict[str, Any]:
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {"name": "a"},
        "spec": {"replicas": replicas},
    }


async def applied(client: Client, path: str, manager: str, body: Any, more: str = "") -> Any:
    return await client.ask("PATCH", f"{path}?fieldManager={manager}{more}", body, content_type=APPLY)


async def test_an_applied_scale_takes_the_replicas_over(client: Client) -> None:
    await applied(client, f"{DEPLOYMENTS}/a", "one", deployment())
    refused = await applied(client, f"{DEPLOYMENTS}/a/scale", "two", scale(3))
    assert refused.code == 409
    assert refused.json["message"] == 'Apply failed with 1 conflict: conflict with "one": .spec.replicas'
    done = await applied(client, f"{DEPLOYMENTS}/a/scale", "two", scale(3), "&force=true")
    assert (done.code, done.json["kind"], done.json["spec"]) == (200, "Scale", {"replicas": 3})
    found = (await client.ask("GET", f"{DEPLOYMENTS}/a")).json
    assert found["spec"]["replicas"] == 3
    owners = {entry["manager"]: entry for entry in found["metadata"]["managedFields"]}
    assert owners["two"]["subresource"] == "scale"
    assert owners["two"]["fieldsV1"] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in owners["one"]["fieldsV1"]["f:spec"]


async def test_an_applied_scale_is_judged(client: Client) -> None:
    await applied(client, f"{DEPLOYMENTS}/a", "one", deployment())
    refused = await applied(client, f"{DEPLOYMENTS}/a/scale", "two", scale(-1), "&force=true")
    assert refused.json["details"]["causes"][0]["field"] == "spec.replicas"
