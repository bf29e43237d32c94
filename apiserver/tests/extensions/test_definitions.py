"""Custom kinds from their definition to their end, through the whole server."""

from __future__ import annotations

import asyncio
from typing import Any

from apiserver.tests.conftest import Client

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/x.example.com/v1/namespaces/default/widgets"
MERGE = "application/merge-patch+json"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "size": {"type": "integer", "minimum": 1, "default": 2},
                "color": {"type": "string"},
                "replicas": {"type": "integer"},
            },
        },
        "status": {"type": "object", "properties": {"ready": {"type": "boolean"}, "replicas": {"type": "integer"}}},
    },
}


def definition(**version: Any) -> dict[str, Any]:
    names = {"plural": "widgets", "kind": "Widget"}
    first = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": SCHEMA}, **version}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.x.example.com"},
        "spec": {"group": "x.example.com", "scope": "Namespaced", "names": names, "versions": [first]},
    }


def widget(name: str = "a", **rest: Any) -> dict[str, Any]:
    return {"apiVersion": "x.example.com/v1", "kind": "Widget", "metadata": {"name": name}, **rest}


async def until(client: Client, path: str, code: int, text: bytes = b"") -> None:
    """What other tasks do takes its moments; an answer that never comes fails here."""
    for _ in range(500):
        answer = await client.ask("GET", path)
        if answer.code == code and text in answer.body:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{path} never answered {code} {text!r}")


async def defined(client: Client, **version: Any) -> None:
    answer = await client.ask("POST", DEFINITIONS, definition(**version))
    assert answer.code == 201, answer.body
    await until(client, WIDGETS, 200)


async def test_a_kind_is_served_once_its_definition_is_established(client: Client) -> None:
    await defined(client)
    found = (await client.ask("GET", f"{DEFINITIONS}/widgets.x.example.com")).json
    assert {c["type"]: c["status"] for c in found["status"]["conditions"]} == {
        "NamesAccepted": "True",
        "Established": "True",
    }
    names = [r["name"] for r in (await client.ask("GET", "/apis/x.example.com/v1")).json["resources"]]
    assert names == ["widgets"]
    assert (await client.ask("GET", "/apis/apiregistration.k8s.io/v1/apiservices/v1.x.example.com")).code == 200


async def test_objects_are_pruned_defaulted_and_judged(client: Client) -> None:
    await defined(client)
    made = await client.ask("POST", WIDGETS, widget(spec={"color": "red", "odd": 1}))
    assert made.json["spec"] == {"color": "red", "size": 2}
    assert made.headers["warning"] == ['299 - "unknown field \\"spec.odd\\""']
    refused = await client.ask("POST", WIDGETS, widget("b", spec={"size": "x", "color": 1}))
    assert [c["field"] for c in refused.json["details"]["causes"]] == ["spec.color", "spec.size"]


async def test_generation_counts_what_is_neither_metadata_nor_status(client: Client) -> None:
    await defined(client, subresources={"status": {}})
    await client.ask("POST", WIDGETS, widget(status={"ready": True}))
    answer = await client.ask("PATCH", f"{WIDGETS}/a/status", {"status": {"ready": True}}, content_type=MERGE)
    assert (answer.json["metadata"]["generation"], answer.json["status"]) == (1, {"ready": True})
    answer = await client.ask("PATCH", f"{WIDGETS}/a", {"spec": {"size": 5}, "status": None}, content_type=MERGE)
    assert (answer.json["metadata"]["generation"], answer.json["status"]) == (2, {"ready": True})


async def test_without_the_subresource_there_is_no_status_path(client: Client) -> None:
    await defined(client)
    await client.ask("POST", WIDGETS, widget())
    answer = await client.ask("GET", f"{WIDGETS}/a/status")
    assert (answer.code, answer.json["message"]) == (404, 'widgets.x.example.com "a" not found')


async def test_scale_reads_and_writes_the_paths_of_the_definition(client: Client) -> None:
    scale = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    await defined(client, subresources={"status": {}, "scale": scale})
    await client.ask("POST", WIDGETS, widget(spec={"replicas": 3}))
    answer = await client.ask("PATCH", f"{WIDGETS}/a/scale", {"spec": {"replicas": 5}}, content_type=MERGE)
    assert answer.json["spec"] == {"replicas": 5}
    assert (await client.ask("GET", f"{WIDGETS}/a")).json["spec"]["replicas"] == 5


async def test_columns_and_fields_are_those_of_the_definition(client: Client) -> None:
    columns = [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}]
    await defined(client, additionalPrinterColumns=columns, selectableFields=[{"jsonPath": ".spec.color"}])
    for name, color in (("a", "red"), ("b", "blue")):
        await client.ask("POST", WIDGETS, widget(name, spec={"color": color}))
    table = await client.ask("GET", WIDGETS, accept="application/json;as=Table;g=meta.k8s.io;v=v1")
    assert [row["cells"] for row in table.json["rows"]] == [["a", 2], ["b", 2]]
    red = await client.ask("GET", f"{WIDGETS}?fieldSelector=spec.color=red")
    assert [item["metadata"]["name"] for item in red.json["items"]] == ["a"]
    assert (await client.ask("GET", f"{WIDGETS}?fieldSelector=spec.size=1")).code == 400


async def test_a_new_default_shows_in_older_objects(client: Client) -> None:
    await defined(client)
    await client.ask("POST", WIDGETS, widget(spec={"color": "red"}))
    path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/replicas/default"
    change = [{"op": "add", "path": path, "value": 7}]
    patch = "application/json-patch+json"
    await client.ask("PATCH", f"{DEFINITIONS}/widgets.x.example.com", change, content_type=patch)
    for _ in range(500):
        shown = (await client.ask("GET", f"{WIDGETS}/a")).json["spec"]
        if "replicas" in shown:
            break
        await asyncio.sleep(0.01)
    assert shown == {"color": "red", "replicas": 7, "size": 2}


async def test_every_version_shows_the_same_objects(client: Client) -> None:
    wanted = definition()
    second = {**wanted["spec"]["versions"][0], "name": "v2", "storage": False, "deprecated": True}
    wanted["spec"]["versions"].append(second)
    await client.ask("POST", DEFINITIONS, wanted)
    await until(client, WIDGETS, 200)
    await client.ask("POST", WIDGETS, widget())
    answer = await client.ask("GET", f"{WIDGETS}/a".replace("/v1/", "/v2/"))
    assert answer.json["apiVersion"] == "x.example.com/v2"
    assert answer.headers["warning"] == ['299 - "x.example.com/v2 Widget is deprecated"']
    missing = await client.ask("GET", f"{WIDGETS}/a".replace("/v1/", "/v3/"))
    assert (missing.code, missing.body) == (404, b"404 page not found\n")


async def test_a_definition_goes_after_its_objects(client: Client) -> None:
    await defined(client)
    held = widget()
    held["metadata"]["finalizers"] = ["x.example.com/hold"]
    await client.ask("POST", WIDGETS, held)
    await client.ask("POST", WIDGETS, widget("b"))
    gone = await client.ask("DELETE", f"{DEFINITIONS}/widgets.x.example.com")
    assert gone.json["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    await until(client, f"{WIDGETS}/b", 404)
    assert "deletionTimestamp" in (await client.ask("GET", f"{WIDGETS}/a")).json["metadata"]
    assert (await client.ask("POST", WIDGETS, widget("c"))).code == 405
    await until(client, f"{DEFINITIONS}/widgets.x.example.com", 200, b"InstanceDeletionInProgress")
    await client.ask("PATCH", f"{WIDGETS}/a", {"metadata": {"finalizers": None}}, content_type=MERGE)
    await until(client, f"{DEFINITIONS}/widgets.x.example.com", 404)
    answer = await client.ask("GET", WIDGETS)
    assert (answer.code, answer.body) == (404, b"404 page not found\n")


async def test_documents_show_the_schema_of_the_definition(client: Client) -> None:
    await defined(client)
    third = (await client.ask("GET", "/openapi/v3/apis/x.example.com/v1")).json["components"]["schemas"]
    second = (await client.ask("GET", "/openapi/v2")).json["definitions"]
    for schemas in (second, third):
        spec = schemas["com.example.x.v1.Widget"]["properties"]["spec"]
        assert spec["properties"]["size"]["minimum"] == 1
