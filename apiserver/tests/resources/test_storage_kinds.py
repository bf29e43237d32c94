"""Storage classes, CSI objects and volume attachments, as the server answers for them."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.tests.conftest import Client

GROUP = "/apis/storage.k8s.io/v1"
MERGE = "application/merge-patch+json"


def body(kind: str, name: str = "a", **rest: Any) -> dict[str, Any]:
    return {"apiVersion": "storage.k8s.io/v1", "kind": kind, "metadata": {"name": name}, **rest}


async def problems(client: Client, path: str, obj: dict[str, Any]) -> list[str]:
    answer = await client.ask("POST", f"{GROUP}/{path}", obj)
    assert answer.code == 422, answer.body
    return [f"{c['field']}: {c['message']}" for c in answer.json["details"]["causes"]]


async def test_a_class_gets_its_defaults_and_keeps_most_of_what_it_says(client: Client) -> None:
    made = await client.ask("POST", f"{GROUP}/storageclasses", body("StorageClass", provisioner="p"))
    assert (made.json["reclaimPolicy"], made.json["volumeBindingMode"]) == ("Delete", "Immediate")
    changed = await client.ask("PATCH", f"{GROUP}/storageclasses/a", {"provisioner": "q"}, content_type=MERGE)
    assert changed.json["details"]["causes"][0]["message"] == 'Invalid value: "q": field is immutable'


async def test_deletions_answer_with_the_object(client: Client) -> None:
    await client.ask("POST", f"{GROUP}/csidrivers", body("CSIDriver", spec={}))
    gone = await client.ask("DELETE", f"{GROUP}/csidrivers/a")
    assert gone.json["kind"] == "CSIDriver"


async def test_topologies_name_a_key_once(client: Client) -> None:
    terms = [{"matchLabelExpressions": [{"key": "z", "values": ["a", "a"]}, {"key": "z", "values": []}]}]
    path = "allowedTopologies[0].matchLabelExpressions"
    obj = body("StorageClass", provisioner="p", allowedTopologies=terms)
    assert await problems(client, "storageclasses", obj) == [
        f'{path}[0].values[1]: Duplicate value: "a"',
        f"{path}[1].values: Required value",
        f'{path}[1].key: Duplicate value: "z"',
    ]


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ({}, "spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName"),
        (
            {"persistentVolumeName": "v", "inlineVolumeSpec": {}},
            "spec.source: Forbidden: must specify exactly one of inlineVolumeSpec and persistentVolumeName",
        ),
    ],
)
async def test_an_attachment_has_one_source(client: Client, source: dict[str, Any], problem: str) -> None:
    obj = body("VolumeAttachment", spec={"attacher": "d", "nodeName": "n", "source": source})
    assert await problems(client, "volumeattachments", obj) == [problem]


async def test_an_attachment_begins_unattached(client: Client) -> None:
    spec = {"attacher": "d", "nodeName": "n", "source": {"persistentVolumeName": "v"}}
    obj = body("VolumeAttachment", spec=spec, status={"attached": True})
    made = await client.ask("POST", f"{GROUP}/volumeattachments", obj)
    assert made.json["status"] == {"attached": False}


async def test_a_driver_with_tokens_is_advised(client: Client) -> None:
    obj = body("CSIDriver", spec={"tokenRequests": [{"audience": "a"}]})
    made = await client.ask("POST", f"{GROUP}/csidrivers", obj)
    assert "spec.serviceAccountTokenInSecrets is unset" in made.header("warning")


async def test_tokens_in_secrets_need_tokens(client: Client) -> None:
    assert await problems(client, "csidrivers", body("CSIDriver", spec={"serviceAccountTokenInSecrets": True})) == [
        "spec.serviceAccountTokenInSecrets: Invalid value: true: serviceAccountTokenInSecrets is set but no "
        "tokenRequests are specified"
    ]


async def test_drivers_of_a_node_do_not_change(client: Client) -> None:
    await client.ask("POST", f"{GROUP}/csinodes", body("CSINode", spec={"drivers": [{"name": "d", "nodeID": "n"}]}))
    change = {"spec": {"drivers": [{"name": "d", "nodeID": "m"}]}}
    answer = await client.ask("PATCH", f"{GROUP}/csinodes/a", change, content_type=MERGE)
    assert answer.json["details"]["causes"][0]["message"] == (
        'Invalid value: {"Name":"d","NodeID":"m","TopologyKeys":null,"Allocatable":null}: field is immutable'
    )
