"""One request from top to bottom: who may, what is there, in which form."""

from __future__ import annotations

from uuid import UUID

from apiserver.tests.conftest import Client


async def test_strangers_see_health_and_version_only(client: Client) -> None:
    stranger = client.as_("")
    assert (await stranger.ask("GET", "/healthz")).body == b"ok"
    assert (await stranger.ask("GET", "/version")).code == 200
    refused = await stranger.ask("GET", "/api/v1/pods")
    assert refused.code == 403
    assert refused.json["message"] == (
        'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" at the cluster scope'
    )


async def test_an_unknown_token_is_refused_rather_than_taken_for_nobody(client: Client) -> None:
    answer = await client.as_("wrong").ask("GET", "/version")
    assert answer.code == 401
    assert answer.json["reason"] == "Unauthorized"


async def test_a_user_without_rights_is_told_what_he_lacks(client: Client) -> None:
    answer = await client.as_("nobody-token").ask("DELETE", "/apis/apps/v1/namespaces/ns/deployments/d")
    assert answer.json["details"] == {"name": "d", "group": "apps", "kind": "deployments"}


async def test_impersonation_makes_the_request_as_the_other_user(client: Client) -> None:
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    answer = await client.ask("POST", path, {}, **{"impersonate-user": "someone"})
    assert answer.json["status"]["userInfo"]["username"] == "someone"
    refused = await client.as_("nobody-token").ask("POST", path, {}, **{"impersonate-user": "someone"})
    assert refused.code == 403


async def test_unknown_groups_are_plain_text_and_unknown_resources_a_status(client: Client) -> None:
    answer = await client.ask("GET", "/apis/nosuch.example.com/v1/things")
    assert (answer.code, answer.body) == (404, b"404 page not found\n")
    answer = await client.ask("GET", "/apis/apps/v1/things")
    assert answer.json["message"] == "the server could not find the requested resource"


async def test_verbs_that_a_resource_has_not_are_not_allowed(client: Client) -> None:
    for method, path in (
        ("POST", "/api/v1/configmaps"),
        ("HEAD", "/api/v1/namespaces/ns/configmaps"),
        ("DELETE", "/api/v1/namespaces"),
        ("PUT", "/api/v1/namespaces/ns/pods/a/log"),
        ("POST", "/api/v1/namespaces/ns/configmaps/a"),
        ("PUT", "/api/v1/namespaces/ns/configmaps"),
        ("PATCH", "/api/v1/namespaces/ns/configmaps"),
        ("POST", "/api/v1/namespaces/ns"),
    ):
        assert (await client.ask(method, path)).code == 405, path


async def test_every_check_of_the_readiness_can_be_asked_alone(client: Client) -> None:
    verbose = (await client.ask("GET", "/readyz?verbose")).body.decode()
    assert verbose.endswith("readyz check passed\n")
    for line in verbose.splitlines()[:-1]:
        name = line.removeprefix("[+]").removesuffix(" ok")
        assert (await client.ask("GET", f"/readyz/{name}")).code == 200
    assert (await client.ask("GET", "/readyz/nosuch")).code == 404


async def test_every_answer_names_its_request(client: Client) -> None:
    pods = "/api/v1/namespaces/ns/pods"
    for path in (pods, f"{pods}/nosuch", "/healthz", "/nosuch", f"{pods}?watch=1&timeoutSeconds=1"):
        one, other = [(await client.ask("GET", path)).headers["audit-id"] for _ in range(2)]
        assert one != other and UUID(one[0]).version == 4
    assert (await client.ask("GET", pods, audit_id="mine")).headers["audit-id"] == ["mine"]


async def test_answers_name_the_flow_that_a_request_belongs_to(client: Client) -> None:
    flowcontrol = "/apis/flowcontrol.apiserver.k8s.io/v1"
    schema, pods = "x-kubernetes-pf-flowschema-uid", "/api/v1/namespaces/ns/pods"
    found = (await client.ask("GET", f"{flowcontrol}/flowschemas")).json["items"]
    uids = {each["metadata"]["name"]: each["metadata"]["uid"] for each in found}
    for path in (pods, f"{pods}/a", "/nosuch", f"{pods}?watch=1&timeoutSeconds=1"):
        assert (await client.ask("GET", path)).header(schema) == uids["exempt"]
    nobody = client.as_("nobody-token")
    assert (await nobody.ask("GET", pods)).header(schema) == uids["global-default"]
    assert schema not in (await client.as_("wrong").ask("GET", pods)).headers
    assert schema not in (await client.ask("GET", f"{pods}/a/log")).headers

    limited = {"nominalConcurrencyShares": 0, "borrowingLimitPercent": 0, "limitResponse": {"type": "Reject"}}
    level = await client.create(
        f"{flowcontrol}/prioritylevelconfigurations",
        {"metadata": {"name": "none"}, "spec": {"type": "Limited", "limited": limited}},
    )
    rule = {
        "subjects": [{"kind": "User", "user": {"name": "nobody"}}],
        "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/version"]}],
    }
    spec = {"priorityLevelConfiguration": {"name": "none"}, "matchingPrecedence": 500, "rules": [rule]}
    await client.create(f"{flowcontrol}/flowschemas", {"metadata": {"name": "mine"}, "spec": spec})
    refused = await nobody.ask("GET", "/version")
    assert (refused.code, refused.body) == (429, b"Too many requests, please try again later.\n")
    assert refused.header("retry-after") == "1"
    metrics = (await client.ask("GET", "/metrics")).body.decode()
    assert 'apiserver_flowcontrol_nominal_limit_seats{priority_level="none"} 0.0' in metrics
    assert 'apiserver_flowcontrol_upper_limit_seats{priority_level="workload-low"} 600.0' in metrics
    assert refused.header("x-kubernetes-pf-prioritylevel-uid") == level["metadata"]["uid"]
    await client.ask("DELETE", f"{flowcontrol}/prioritylevelconfigurations/none")
    assert (await nobody.ask("GET", "/version")).header(schema) == uids["global-default"]


async def test_requests_are_counted_under_upstream_names(client: Client) -> None:
    await client.ask("GET", "/api/v1/namespaces/ns/configmaps")
    text = (await client.ask("GET", "/metrics")).body.decode()
    line = next(
        each
        for each in text.splitlines()
        if each.startswith("apiserver_request_total{") and 'resource="configmaps"' in each
    )
    assert 'verb="LIST"' in line and 'scope="namespace"' in line and 'code="200"' in line


async def test_deprecated_apis_warn(client: Client) -> None:
    answer = await client.ask("GET", "/api/v1/namespaces/ns/endpoints")
    assert answer.header("warning") == (
        '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"'
    )


async def test_warnings_come_with_refusals_too(client: Client) -> None:
    body = b'{"metadata": {"name": "A_B", "nosuch": 1}}'
    answer = await client.ask("POST", "/api/v1/namespaces/ns/configmaps", body)
    assert answer.code == 422
    assert answer.header("warning") == '299 - "unknown field \\"metadata.nosuch\\""'


async def test_too_large_bodies_are_refused(client: Client) -> None:
    answer = await client.ask("POST", "/api/v1/namespaces/ns/configmaps", b" " * (3 * 1024 * 1024 + 1))
    assert answer.code == 413
    assert answer.json["message"] == "Request entity is too large: limit is 3145728"
