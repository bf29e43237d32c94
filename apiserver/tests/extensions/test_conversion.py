"""Versions of a custom kind that a webhook converts: v1 has one `host`, v2 has `hosts`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from apiserver.admission.policies.webhooks import Caller
from apiserver.extensions.conversion import WebhookConversion
from apiserver.tests.conftest import Client
from apiserver.tests.extensions.test_definitions import DEFINITIONS, MERGE, until
from openapi.meta.status import StatusError

Object = dict[str, Any]
Answer = Callable[[Object], Object]

V1 = "/apis/x.example.com/v1/namespaces/default/sites"
V2 = "/apis/x.example.com/v2/namespaces/default/sites"
NAME = "sites.x.example.com"


def converted(obj: Object, version: str) -> Object:
    new = {**obj, "apiVersion": version, "metadata": {**obj["metadata"], "labels": {"by": "webhook"}}}
    if version.endswith("v2"):
        new["hosts"] = [new.pop("host")]
    else:
        new["host"] = new.pop("hosts")[0]
    return new


def success(request: Object) -> Object:
    made = [converted(obj, request["desiredAPIVersion"]) for obj in request["objects"]]
    return {"uid": request["uid"], "result": {"status": "Success"}, "convertedObjects": made}


class Webhook:
    """Stands for the server that converts; counts what it is asked."""

    def __init__(self) -> None:
        self.answer: Answer = success
        self.asked = 0

    async def post(self, config: Object, body: bytes, timeout_s: int) -> tuple[int, bytes]:
        review = json.loads(body)
        self.asked += 1
        return 200, json.dumps({**review, "request": None, "response": self.answer(review["request"])}).encode()


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Webhook:
    webhook = Webhook()
    monkeypatch.setattr(Caller, "post", lambda caller, *args: webhook.post(*args))
    return webhook


def version(name: str, field: Object, *, storage: bool) -> Object:
    schema = {"type": "object", "required": list(field), "properties": field}
    return {"name": name, "served": True, "storage": storage, "schema": {"openAPIV3Schema": schema}}


def definition() -> Object:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": NAME},
        "spec": {
            "group": "x.example.com",
            "scope": "Namespaced",
            "names": {"plural": "sites", "kind": "Site"},
            "versions": [
                version("v1", {"host": {"type": "string"}}, storage=True),
                version("v2", {"hosts": {"type": "array", "items": {"type": "string"}}}, storage=False),
            ],
            "conversion": {
                "strategy": "Webhook",
                "webhook": {
                    "clientConfig": {"url": "https://converter.example.com/convert"},
                    "conversionReviewVersions": ["v3", "v1"],
                },
            },
        },
    }


async def defined(client: Client) -> None:
    assert (await client.ask("POST", DEFINITIONS, definition())).code == 201
    await until(client, V2, 200)


def site(name: str, version: str, **fields: Any) -> Object:
    return {"apiVersion": f"x.example.com/{version}", "kind": "Site", "metadata": {"name": name}, **fields}


async def test_an_object_is_read_at_the_version_that_is_asked_for(webhook: Webhook, client: Client) -> None:
    await defined(client)
    await client.create(V1, site("a", "v1", host="one"))
    assert webhook.asked == 0
    found = (await client.ask("GET", f"{V2}/a")).json
    assert (found["apiVersion"], found["hosts"], found["metadata"]["labels"]) == (
        "x.example.com/v2",
        ["one"],
        {"by": "webhook"},
    )
    again = (await client.ask("GET", V2)).json["items"]
    assert [item["hosts"] for item in again] == [["one"]] and "host" not in again[0]
    assert webhook.asked == 1, "an entry keeps what the webhook made of it"


async def test_an_object_is_judged_at_its_own_version_and_stored_at_the_other(webhook: Webhook, client: Client) -> None:
    await defined(client)
    refused = await client.ask("POST", V2, site("b", "v2", host="one"))
    assert [c["field"] for c in refused.json["details"]["causes"]] == ["hosts"]
    made = await client.create(V2, site("b", "v2", hosts=["one", "two"]))
    assert made["hosts"] == ["one"], "v1 has room for one"
    assert (await client.ask("GET", f"{V1}/b")).json["host"] == "one"
    changed = await client.ask("PATCH", f"{V2}/b", {"hosts": ["three"]}, content_type=MERGE)
    assert changed.json["hosts"] == ["three"]
    assert (await client.ask("GET", f"{V1}/b")).json["host"] == "three"
    assert (await client.ask("DELETE", f"{V2}/b")).code == 200


async def test_objects_of_the_former_storage_version_are_moved_by_any_update(webhook: Webhook, client: Client) -> None:
    await defined(client)
    await client.create(V1, site("a", "v1", host="one"))
    versions = definition()["spec"]["versions"]
    for each in versions:
        each["storage"] = not each["storage"]
    patch = {"spec": {"versions": versions}}
    assert (await client.ask("PATCH", f"{DEFINITIONS}/{NAME}", patch, content_type=MERGE)).code == 200
    await client.create(V2, site("b", "v2", hosts=["two"]))
    items = (await client.ask("GET", V1)).json["items"]
    assert [item["host"] for item in items] == ["one", "two"]
    before = items[0]["metadata"]["resourceVersion"]
    moved = await client.ask("PATCH", f"{V2}/a", {}, content_type=MERGE)
    assert moved.json["hosts"] == ["one"] and moved.json["metadata"]["resourceVersion"] != before
    same = await client.ask("PATCH", f"{V2}/a", {}, content_type=MERGE)
    assert same.json["metadata"]["resourceVersion"] == moved.json["metadata"]["resourceVersion"]


async def test_a_watch_shows_converted_objects(webhook: Webhook, client: Client) -> None:
    await defined(client)
    await client.create(V1, site("a", "v1", host="one"))
    watch = asyncio.ensure_future(client.ask("GET", f"{V2}?watch=1&timeoutSeconds=1"))
    await asyncio.sleep(0)
    await client.create(V1, site("b", "v1", host="two"))
    await client.ask("DELETE", f"{V1}/b")
    events = (await watch).events
    assert [(e["type"], e["object"]["hosts"]) for e in events] == [
        ("ADDED", ["one"]),
        ("ADDED", ["two"]),
        ("DELETED", ["two"]),
    ]


async def test_a_webhook_that_fails_is_quoted(webhook: Webhook, client: Client) -> None:
    await defined(client)
    await client.create(V1, site("a", "v1", host="one"))
    webhook.answer = lambda request: {"uid": request["uid"], "result": {"status": "Failed", "message": "not today"}}
    answer = await client.ask("GET", f"{V2}/a")
    assert answer.code == 500
    assert answer.json["message"] == "conversion webhook for x.example.com/v1, Kind=Site failed: not today"


def _changed(name: str, value: Any) -> Answer:
    """A webhook that spoils one field of the object, or of its metadata."""

    def answer(request: Object) -> Object:
        response = success(request)
        obj = response["convertedObjects"][0]
        (obj if name in obj else obj["metadata"])[name] = value
        return response

    return answer


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (lambda request: {**success(request), "uid": "x"}, 'failed: expected response.uid="'),
        (lambda request: {**success(request), "convertedObjects": []}, "returned 0 objects, expected 1"),
        (_changed("kind", "Other"), "returned invalid object at index 0: invalid kind (expected Site, received Other)"),
        (
            _changed("apiVersion", "x.example.com/v1"),
            "returned invalid object at index 0: invalid groupVersion "
            "(expected x.example.com/v2, received x.example.com/v1)",
        ),
        (_changed("name", "b"), "returned invalid object: must have the same name: a != b"),
        (_changed("labels", {"a": 1}), "returned invalid metadata: metadata.labels[a] must be a string"),
        (_changed("labels", {"a b": "c"}), "returned invalid metadata: metadata.labels: Invalid value"),
    ],
)
async def test_unsound_answers_are_refused(answer: Answer, text: str) -> None:
    webhook = Webhook()
    webhook.answer = answer
    convert = WebhookConversion({"conversionReviewVersions": ["v1"]}, webhook.post)
    with pytest.raises(StatusError) as refused:
        await convert([site("a", "v1", host="one")], "x.example.com/v2")
    assert refused.value.message.startswith(f"conversion webhook for x.example.com/v1, Kind=Site {text}")


async def test_only_labels_and_annotations_of_the_metadata_are_taken() -> None:
    webhook = Webhook()
    webhook.answer = _changed("generation", 7)
    convert = WebhookConversion({"conversionReviewVersions": ["v1"]}, webhook.post)
    old = site("a", "v1", host="one")
    old["metadata"].update(generation=1, annotations={"a": "b"})
    new, other = await convert([old, site("z", "v2", hosts=["x"])], "x.example.com/v2")
    assert new["metadata"] == {"name": "a", "generation": 1, "annotations": {"a": "b"}, "labels": {"by": "webhook"}}
    assert other["metadata"] == {"name": "z"} and webhook.asked == 1
