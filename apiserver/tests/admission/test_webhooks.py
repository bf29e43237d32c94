"""Webhooks that users define, asked over real TLS by the whole server."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from apiserver.admission.policies.webhooks import CallFailed, read_review, review_version
from apiserver.tests.conftest import Client
from apiserver.tests.extensions.test_definitions import WIDGETS, defined, widget
from cluster.pki import Pki

CONFIG = "/apis/admissionregistration.k8s.io/v1"
MAPS = "/api/v1/namespaces/ns/configmaps"
RULES = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}]
V1 = {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}
Judge = Callable[[dict[str, Any]], dict[str, Any]]


def config(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


def rules(*resources: str, group: str = "", version: str = "v1", operation: str = "*") -> list[dict[str, Any]]:
    return [{"apiGroups": [group], "apiVersions": [version], "operations": [operation], "resources": list(resources)}]


def patched(*changes: dict[str, Any]) -> dict[str, Any]:
    return {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(changes).encode()).decode()}


@pytest.fixture
async def webhook(pki: Pki) -> AsyncIterator[Callable[[Judge], Any]]:
    """Starts a webhook server that answers as it is told; returns its client configuration."""
    servers: list[asyncio.Server] = []

    async def start(judge: Judge) -> dict[str, Any]:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(pki.server.cert, pki.server.key)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            size = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length"))
            review = json.loads(await reader.readexactly(size))
            answer = {**review, "response": {"uid": review["request"]["uid"], **judge(review["request"])}}
            body = json.dumps(answer).encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
        servers.append(server)
        port = server.sockets[0].getsockname()[1]
        bundle = base64.b64encode(pki.ca.cert_pem).decode()
        return {"url": f"https://127.0.0.1:{port}/hook", "caBundle": bundle}

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


async def hook(client: Client, kind: str, where: dict[str, Any], name: str = "a.example.com", **more: Any) -> None:
    one = {"name": name, "admissionReviewVersions": ["v1"], "sideEffects": "None", "rules": RULES}
    await client.create(
        f"{CONFIG}/{kind}webhookconfigurations",
        {"metadata": {"name": name[0]}, "webhooks": [{**one, "clientConfig": where, **more}]},
    )


async def test_a_webhook_refuses_with_its_own_words(client: Client, webhook: Any) -> None:
    where = await webhook(
        lambda request: {"allowed": False, "status": {"message": request["object"]["metadata"]["name"]}}
    )
    await hook(client, "validating", where)
    answer = await client.ask("POST", MAPS, config("a"))
    assert answer.code == 400
    assert answer.json["message"] == 'admission webhook "a.example.com" denied the request: a'


async def test_a_webhook_changes_objects_with_a_patch(client: Client, webhook: Any) -> None:
    change = patched({"op": "add", "path": "/data/added", "value": "yes"})
    await hook(client, "mutating", await webhook(lambda _: {**change, "warnings": ["careful"]}))
    answer = await client.ask("POST", MAPS, config("a", k="v"))
    assert answer.json["data"] == {"k": "v", "added": "yes"}
    assert answer.header("warning") == '299 - "careful"'


async def test_what_a_webhook_adds_to_a_custom_object_is_pruned_and_defaulted(client: Client, webhook: Any) -> None:
    await defined(client)
    change = patched({"op": "add", "path": "/spec", "value": {"color": "red", "odd": 1}})
    await hook(client, "mutating", await webhook(lambda _: change), rules=rules("widgets", group="x.example.com"))
    made = await client.ask("POST", WIDGETS, widget())
    assert made.json["spec"] == {"color": "red", "size": 2}


@pytest.mark.parametrize(("failure", "code"), [("Fail", 500), ("Ignore", 201)])
async def test_a_webhook_out_of_reach_counts_as_its_failure_policy_says(
    client: Client, failure: str, code: int
) -> None:
    where = {"service": {"name": "nosuch", "namespace": "ns"}}
    await hook(client, "validating", where, failurePolicy=failure)
    answer = await client.ask("POST", MAPS, config("a"))
    assert answer.code == code


async def test_who_cannot_be_reached_is_told_as_go_does(client: Client, webhook: Any) -> None:
    where = await webhook(lambda _: {"allowed": True})
    await hook(client, "validating", {"url": where["url"]})
    answer = await client.ask("POST", MAPS, config("a"))
    why = "tls: failed to verify certificate: x509: certificate signed by unknown authority"
    failed = f'failed to call webhook: Post "{where["url"]}?timeout=10s": {why}'
    assert answer.json["message"] == f'Internal error occurred: failed calling webhook "a.example.com": {failed}'


async def test_what_is_empty_is_not_in_the_request(client: Client, webhook: Any) -> None:
    seen: list[dict[str, Any]] = []
    where = await webhook(lambda request: seen.append(request) or {"allowed": True})  # type: ignore[func-returns-value]
    await hook(client, "validating", where, rules=rules("*"))
    assert (await client.ask("POST", f"{MAPS}?fieldValidation=Strict", config("a"))).code == 201
    patch = b'{"data": {"k": "v"}}'
    await client.ask("PATCH", f"{MAPS}/a?fieldManager=m", patch, content_type="application/merge-patch+json")
    created, changed = seen
    version = {"group": "", "version": "v1"}
    assert created["kind"] == created["requestKind"] == {**version, "kind": "ConfigMap"}
    assert created["resource"] == created["requestResource"] == {**version, "resource": "configmaps"}
    assert {"subResource", "requestSubResource"}.isdisjoint(created) and "extra" not in created["userInfo"]
    assert (created["name"], created["namespace"], created["operation"]) == ("a", "ns", "CREATE")
    options = {"apiVersion": "meta.k8s.io/v1"}
    assert created["options"] == {**options, "kind": "CreateOptions", "fieldValidation": "Strict"}
    assert changed["options"] == {**options, "kind": "UpdateOptions", "fieldManager": "m"}
    assert changed["oldObject"]["metadata"]["name"] == "a" and "data" not in changed["oldObject"]


async def test_versions_of_a_resource_are_equivalent(client: Client, webhook: Any) -> None:
    """A webhook sees objects at the version that its rules name; what it changes is changed at the one asked for."""
    seen: list[dict[str, Any]] = []

    def judge(request: dict[str, Any]) -> dict[str, Any]:
        seen.append(request)
        return patched({"op": "replace", "path": "/spec/metrics/0/resource/target/averageUtilization", "value": 33})

    where = await webhook(judge)
    group = rules("horizontalpodautoscalers", group="autoscaling", version="v2")
    await hook(client, "mutating", where, rules=group)
    await hook(client, "mutating", where, name="b.example.com", rules=group, matchPolicy="Exact")
    target = {"apiVersion": "x/v1", "kind": "X", "name": "x"}
    spec = {"scaleTargetRef": target, "maxReplicas": 3, "targetCPUUtilizationPercentage": 50}
    made = await client.create(
        "/apis/autoscaling/v1/namespaces/ns/horizontalpodautoscalers", {"metadata": {"name": "a"}, "spec": spec}
    )
    assert made["apiVersion"] == "autoscaling/v1" and made["spec"]["targetCPUUtilizationPercentage"] == 33
    [request] = seen
    assert request["object"]["apiVersion"] == "autoscaling/v2"
    assert (request["kind"]["version"], request["requestKind"]["version"]) == ("v2", "v1")
    assert (request["resource"]["version"], request["requestResource"]["version"]) == ("v2", "v1")


async def test_subresources_are_seen_as_their_own_kinds(client: Client, webhook: Any) -> None:
    seen: list[Any] = []

    def judge(request: dict[str, Any]) -> dict[str, Any]:
        kind = request["kind"]
        about = request["subResource"], kind["group"], kind["kind"], request["object"]["kind"]
        seen.append((request["operation"], *about))
        return {"allowed": request["operation"] != "CONNECT"}

    where = await webhook(judge)
    every = [*rules("*/scale", group="*"), *rules("pods/exec", "pods/eviction", "serviceaccounts/token")]
    await hook(client, "validating", where, rules=every)
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    sets = "/apis/apps/v1/namespaces/ns/replicasets"
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    await client.create(sets, {"metadata": {"name": "r"}, "spec": spec})
    scale = b'{"spec":{"replicas":2}}'
    await client.ask("PATCH", f"{sets}/r/scale", scale, content_type="application/merge-patch+json")
    await client.create("/api/v1/namespaces/ns/pods", {"metadata": {"name": "p"}, "spec": template["spec"]})
    refused = await client.ask("GET", "/api/v1/namespaces/ns/pods/p/exec?command=ls&stdout=true")
    assert refused.json["message"] == 'admission webhook "a.example.com" denied the request without explanation'
    await client.create("/api/v1/namespaces/ns/pods/p/eviction", {"metadata": {"name": "p"}})
    await client.create("/api/v1/namespaces/ns/serviceaccounts/default/token", {"spec": {}})
    assert seen == [
        ("UPDATE", "scale", "autoscaling", "Scale", "Scale"),
        ("CONNECT", "exec", "", "PodExecOptions", "PodExecOptions"),
        ("CREATE", "eviction", "policy", "Eviction", "Eviction"),
        ("CREATE", "token", "authentication.k8s.io", "TokenRequest", "TokenRequest"),
    ]


async def test_who_wishes_is_asked_again_after_later_changes(client: Client, webhook: Any) -> None:
    """The plugins of the server too: an added container gets what other containers get."""
    asked: list[str] = []

    def labels(request: dict[str, Any]) -> dict[str, Any]:
        asked.append("labels")
        count = len(request["object"]["spec"]["containers"])
        return patched({"op": "add", "path": "/metadata/labels", "value": {"containers": str(count)}})

    def sidecar(request: dict[str, Any]) -> dict[str, Any]:
        asked.append("sidecar")
        more = {"name": "more", "image": "i"}
        return patched({"op": "add", "path": "/spec/containers/-", "value": more})

    pods = rules("pods", operation="CREATE")
    await hook(client, "mutating", await webhook(labels), rules=pods, reinvocationPolicy="IfNeeded")
    await hook(client, "mutating", await webhook(sidecar), name="b.example.com", rules=pods)
    made = await client.create(
        "/api/v1/namespaces/ns/pods", {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    )
    assert asked == ["labels", "sidecar", "labels"]
    assert made["metadata"]["labels"] == {"containers": "2"}
    assert all(one["volumeMounts"] for one in made["spec"]["containers"])


@pytest.mark.parametrize(
    ("answer", "mutates", "why"),
    [
        (V1, True, "webhook response was absent"),
        ({**V1, "response": {"uid": "v"}}, True, 'expected response.uid="u", got "v"'),
        ({**V1, "apiVersion": "admission.k8s.io/v1beta1", "response": {"uid": "u"}}, True,
         "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, "
         "got admission.k8s.io/v1beta1, Kind=AdmissionReview"),
        ({**V1, "response": {"uid": "u", "patch": "W10="}}, True,
         "webhook returned response.patch but not response.patchType"),
        ({**V1, "response": {"uid": "u", "patchType": "JSONPatch"}}, True,
         "webhook returned response.patchType but not response.patch"),
        ({**V1, "response": {"uid": "u", "patch": "W10=", "patchType": ""}}, True,
         'webhook returned invalid response.patchType of ""'),
        ({**V1, "response": {"uid": "u", "patch": "W10="}}, False, "validating webhook may not return response.patch"),
        ({**V1, "response": {"uid": "u", "patchType": "JSONPatch"}}, False,
         "validating webhook may not return response.patchType"),
    ],
)  # fmt: skip
def test_a_wrong_answer_is_told(answer: dict[str, Any], mutates: bool, why: str) -> None:
    with pytest.raises(CallFailed) as failed:
        read_review(json.dumps(answer).encode(), "u", "v1", mutates=mutates)
    assert str(failed.value) == f"received invalid webhook response: {why}"


def test_the_first_known_version_is_asked_with() -> None:
    assert review_version({"admissionReviewVersions": ["v2", "v1beta1", "v1"]}) == "v1beta1"
    assert read_review(b'{"kind": "AdmissionReview", "response": {}}', "u", "v1beta1", mutates=True) == {}
    with pytest.raises(CallFailed, match="does not accept known AdmissionReview versions"):
        review_version({"admissionReviewVersions": ["v2"]})
