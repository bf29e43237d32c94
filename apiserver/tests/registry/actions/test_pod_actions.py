"""Subresources of pods that are not stored: evictions, bindings, logs, the proxy."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.registry.actions.proxy import _moved, _onward, _resolved
from apiserver.request import parse
from apiserver.tests.conftest import Client
from openapi.meta.status import StatusError

PODS = "/api/v1/namespaces/ns/pods"
BUDGETS = "/apis/policy/v1/namespaces/ns/poddisruptionbudgets"
Object = dict[str, Any]


@pytest.fixture
async def pod(client: Client) -> Object:
    """A pod that runs on a node."""
    spec = {"containers": [{"name": "c", "image": "i"}], "nodeName": "n"}
    await client.create(PODS, {"metadata": {"name": "a", "labels": {"a": "b"}}, "spec": spec})
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    answer = await client.patch(f"{PODS}/a/status", {"status": status})
    found: Object = answer.json
    return found


def eviction(name: str = "a", **options: Any) -> Object:
    body: Object = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    return {**body, "deleteOptions": options} if options else body


async def budget(client: Client, name: str, **status: Any) -> None:
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}}
    await client.create(BUDGETS, {"metadata": {"name": name}, "spec": spec})
    if status:
        await client.patch(f"{BUDGETS}/{name}/status", {"status": {"observedGeneration": 1, **status}})


async def evicted(client: Client, body: Object) -> tuple[int, Object]:
    answer = await client.ask("POST", f"{PODS}/a/eviction", body)
    return answer.code, answer.json


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (eviction("b"), 400, "name in URL does not match name in Eviction object"),
        ({}, 400, "name in URL does not match name in Eviction object"),
        (
            {"metadata": {"name": "a", "namespace": "other"}},
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        (
            eviction(preconditions={"resourceVersion": "1"}),
            409,
            'Operation cannot be fulfilled on Pod "a": the ResourceVersion in the precondition (1) does not match',
        ),
    ],
)
async def test_evictions_that_do_not_fit_are_refused(
    client: Client, pod: Object, body: Object, code: int, message: str
) -> None:
    found, answer = await evicted(client, body)
    assert (found, answer["message"][: len(message)]) == (code, message)
    assert "DisruptionTarget" not in (await client.ask("GET", f"{PODS}/a")).body.decode()


async def test_an_eviction_may_insist_on_the_version_that_it_saw(client: Client, pod: Object) -> None:
    version = pod["metadata"]["resourceVersion"]
    code, _ = await evicted(client, eviction(preconditions={"resourceVersion": version}))
    assert code == 201
    found = (await client.ask("GET", f"{PODS}/a")).json
    assert "deletionTimestamp" in found["metadata"]


async def test_two_budgets_are_too_many(client: Client, pod: Object) -> None:
    await budget(client, "one")
    await budget(client, "two")
    code, answer = await evicted(client, eviction())
    assert (code, answer["code"], answer.get("reason")) == (500, 500, None)


def no_disruptions(reason: str, message: str, **counts: int) -> Object:
    condition = {"type": "DisruptionAllowed", "status": "False", "reason": reason, "message": message}
    condition["lastTransitionTime"] = "2024-01-01T00:00:00Z"
    return {"currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 3, **counts, "conditions": [condition]}


SPARE = {"currentHealthy": 4, "desiredHealthy": 3}


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (no_disruptions("SyncFailed", "no scale", **SPARE), "because it failed sync: no scale"),
        (no_disruptions("Odd", "so it is", **SPARE), "(Odd): so it is"),
        (no_disruptions("InsufficientPods", "", **SPARE), ""),
        ({"expectedPods": 3, **SPARE}, ""),
    ],
)
async def test_a_budget_without_disruptions_tells_why(client: Client, pod: Object, status: Object, why: str) -> None:
    await budget(client, "z", disruptionsAllowed=0, **status)
    code, answer = await evicted(client, eviction())
    text = f"The disruption budget z does not allow evicting pods currently {why}".rstrip()
    assert (code, answer["details"]["causes"]) == (429, [{"reason": "DisruptionBudget", "message": text}])


async def test_the_counts_of_a_budget_tell_why_before_its_condition(client: Client, pod: Object) -> None:
    status = no_disruptions("InsufficientPods", "few", currentHealthy=2, desiredHealthy=2)
    await budget(client, "z", disruptionsAllowed=0, **status)
    _, answer = await evicted(client, eviction())
    assert (
        answer["details"]["causes"][0]["message"] == "The disruption budget z needs 2 healthy pods and has 2 currently"
    )


async def test_the_last_disruption_shows_in_the_conditions(client: Client, pod: Object) -> None:
    await budget(client, "one", disruptionsAllowed=1, currentHealthy=2, desiredHealthy=1, expectedPods=2)
    code, _ = await evicted(client, eviction())
    assert code == 201
    found = (await client.ask("GET", f"{BUDGETS}/one")).json
    [condition] = found["status"]["conditions"]
    del condition["lastTransitionTime"]
    assert condition == {
        "type": "DisruptionAllowed",
        "status": "False",
        "reason": "InsufficientPods",
        "message": "",
        "observedGeneration": 1,
    }
    assert "a" in found["status"]["disruptedPods"]
    [own] = [entry for entry in found["metadata"]["managedFields"] if entry["manager"] == "kube-apiserver"]
    assert own["subresource"] == "status"


@pytest.mark.parametrize(
    ("path", "body", "code", "message"),
    [
        ("pods/a/binding", {"target": {"name": "n"}}, 400, "name in URL does not match name in Binding object"),
        ("bindings", {"target": {"name": "n"}}, 400, "Name parameter required."),
        ("bindings", {"metadata": {"name": "z"}, "target": {"name": "n"}}, 404, 'pods "z" not found'),
        (
            "pods/a/binding",
            {"metadata": {"name": "a", "uid": "x"}, "target": {"name": "n"}},
            409,
            'Operation cannot be fulfilled on pods "a": StorageError: invalid object, Code: 4, Key: /registry/pods/ns/a'
            ", ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: x, UID in object",
        ),
        ("pods/nope/log?tailLines=-1", None, 422, 'PodLogOptions "nope" is invalid: tailLines: Invalid value: -1: '),
        (
            "pods/a/log?sinceSeconds=0&sinceTime=2024-01-01T00:00:00Z&stream=x&tailLines=-1",
            None,
            422,
            'PodLogOptions "a" is invalid: [tailLines: Invalid value: -1: must be greater than or equal to 0, []: '
            "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified, stream: Forbidden: may not be ",
        ),
        ("pods/a/exec", None, 404, 'nodes "n" not found'),
        ("pods/nope/portforward?ports=1,x", None, 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("pods/nope/portforward?ports=3000000000", None, 400, 'strconv.ParseInt: parsing "3000000000": value out of r'),
        ("pods/a:b:c/proxy", None, 400, 'invalid pod request "a:b:c"'),
        ("pods/:80/proxy", None, 400, 'invalid pod request ":80"'),
        ("pods/a:http/proxy", None, 400, "address not allowed"),
        ("services/a:b:c:d/proxy", None, 400, 'invalid service request "a:b:c:d"'),
    ],
)
async def test_other_requests_that_do_not_fit(
    client: Client, pod: Object, path: str, body: Object | None, code: int, message: str
) -> None:
    method = "GET" if body is None else "POST"
    answer = await client.ask(method, f"/api/v1/namespaces/ns/{path}", body)
    assert (answer.code, answer.json["message"][: len(message)]) == (code, message)


async def test_ports_of_pods_are_known_by_number_only(client: Client, pod: Object) -> None:
    addresses = {"status": {"podIPs": [{"ip": "192.0.2.1"}]}}
    merge = "application/merge-patch+json"
    await client.ask("PATCH", "/api/v1/namespaces/ns/pods/a/status", addresses, content_type=merge)
    answer = await client.ask("GET", "/api/v1/namespaces/ns/pods/a:web/proxy/x")
    text = "error trying to reach service: dial tcp: lookup tcp/web: unknown port"
    assert (answer.code, answer.json["message"]) == (503, text)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
async def test_who_reads_the_bare_proxy_is_sent_behind_a_slash(client: Client, pod: Object, method: str) -> None:
    addresses = {"status": {"podIPs": [{"ip": "255.255.255.255"}]}}
    merge = "application/merge-patch+json"
    await client.ask("PATCH", "/api/v1/namespaces/ns/pods/a/status", addresses, content_type=merge)
    path = "/api/v1/namespaces/ns/pods/a/proxy"
    answer = await client.ask(method, f"{path}?x=1&y", accept="text/html")
    wanted = (301, f"{path}/?x=1&y") if method in ("GET", "HEAD") else (503, "")
    assert (answer.code, answer.header("location")) == wanted


@pytest.mark.parametrize(
    ("path", "onward"),
    [
        ("/proxy", "/"),
        ("/proxy/", "/"),
        ("/proxy/x", "/x"),
        ("/proxy/x/", "/x/"),
        ("/proxy/a b\r\nc: d?/e;f=,", "/a%20b%0D%0Ac:%20d%3F/e;f=,"),
    ],
)
def test_what_a_backend_is_asked_for(path: str, onward: str) -> None:
    info = parse("GET", "/api/v1/namespaces/ns/services/s" + path, b"b&a=1&b=%20+\xe4")
    assert _onward(info) == onward + "?b&a=1&b=%20+%E4"


@pytest.mark.parametrize(
    ("location", "moved"),
    [
        ("/login?a=b#c", "/p/proxy/login?a=b#c"),
        ("/dir/", "/p/proxy/dir/"),
        ("/", "/p/proxy/"),
        ("/p/proxy/login", "/p/proxy/login"),
        ("http://10.0.0.1:80/login", "/p/proxy/login"),
        ("https://asked:6443/login", "https://asked:6443/p/proxy/login"),
        ("https://elsewhere/login", "https://elsewhere/login"),
        ("login", "login"),
    ],
)
def test_redirects_lead_through_the_proxy(location: str, moved: str) -> None:
    assert _moved(location, "/p/proxy", "10.0.0.1:80", "asked:6443") == moved


@pytest.mark.parametrize("path", ["nodes/n/proxy/x", "nodes/n:99/proxy/x", "namespaces/ns/pods/a/log"])
async def test_a_node_without_addresses_cannot_be_asked(client: Client, pod: Object, path: str) -> None:
    await client.create("/api/v1/nodes", {"metadata": {"name": "n"}})
    answer = await client.ask("GET", f"/api/v1/{path}")
    text = "no preferred addresses found; known addresses: []"
    assert (answer.code, answer.json["message"], "reason" in answer.json) == (500, text, False)


OURS = {"ip": "255.255.255.255", "targetRef": {"kind": "Pod", "name": "a", "namespace": "ns"}}


@pytest.mark.parametrize(
    ("subsets", "name", "code", "message"),
    [
        (None, "s", 404, 'services "s" not found'),
        (None, "s:81", 503, 'no service port 81 found for service "s"'),
        (None, "nope:80", 404, 'services "nope" not found'),
        ([], "s:80", 503, 'no endpoints available for service "s"'),
        ([OURS], "s", 503, 'no endpoints available for service "s"'),
        ([{"ip": "192.0.2.1"}], "s:80", 503, 'no endpoints available for service "s:80"'),
        ([{**OURS, "ip": "192.0.2.1"}], "s:web", 503, 'no endpoints available for service "s:web"'),
        ([OURS], "s:web", 503, "error trying to reach service: dial tcp 255.255.255.255:8080: connect: "),
        ([OURS], "s:80", 503, "error trying to reach service: dial tcp 255.255.255.255:8080: connect: "),
    ],
)
async def test_services_lead_to_their_pods(
    client: Client, pod: Object, subsets: list[Object] | None, name: str, code: int, message: str
) -> None:
    await client.patch(f"{PODS}/a/status", {"status": {"podIP": OURS["ip"], "podIPs": [{"ip": OURS["ip"]}]}})
    spec = {"ports": [{"name": "web", "port": 80}]}
    await client.create("/api/v1/namespaces/ns/services", {"metadata": {"name": "s"}, "spec": spec})
    if subsets is not None:
        found = [{"addresses": subsets, "ports": [{"name": "web", "port": 8080}]}] if subsets else []
        await client.create("/api/v1/namespaces/ns/endpoints", {"metadata": {"name": "s"}, "subsets": found})
    answer = await client.ask("GET", f"/api/v1/namespaces/ns/services/{name}/proxy/x")
    assert (answer.code, answer.json["message"][: len(message)]) == (code, message)


async def test_nothing_is_carried_to_other_ports_of_the_own_host() -> None:
    assert await _resolved("192.0.2.1") == "192.0.2.1"
    with pytest.raises(StatusError, match="address not allowed"):
        await _resolved("127.0.0.1")


async def test_the_labels_of_a_binding_go_before_the_pods_own(client: Client) -> None:
    zone = "topology.kubernetes.io/zone"
    await client.create("/api/v1/nodes", {"metadata": {"name": "n", "labels": {zone: "z"}}})
    labels = {zone: "mine", "a": "b"}
    spec = {"containers": [{"name": "c", "image": "i"}]}
    await client.create(PODS, {"metadata": {"name": "b", "labels": labels}, "spec": spec})
    await client.create(f"{PODS}/b/binding", {"metadata": {"name": "b"}, "target": {"kind": "Node", "name": "n"}})
    found = (await client.ask("GET", f"{PODS}/b")).json
    assert found["metadata"]["labels"] == {zone: "z", "a": "b"}
