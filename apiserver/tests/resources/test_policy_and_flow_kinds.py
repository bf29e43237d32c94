"""Flow control, API services, webhooks and admission policies, as the server answers for them."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.tests.conftest import Client

FLOW = "flowcontrol.apiserver.k8s.io/v1"
ADMISSION = "admissionregistration.k8s.io/v1"
REGISTRATION = "apiregistration.k8s.io/v1"
MERGE = "application/merge-patch+json"
RULE = {"apiGroups": ["x.io"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["things"]}


def body(version: str, kind: str, name: str = "a", **rest: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **rest}


async def problems(client: Client, resource: str, obj: dict[str, Any]) -> list[str]:
    answer = await client.ask("POST", f"/apis/{obj['apiVersion']}/{resource}", obj)
    assert answer.code == 422, answer.body
    return [f"{c['field']}: {c['message']}" for c in answer.json["details"]["causes"]]


async def test_the_mandatory_schemas_are_as_they_are(client: Client) -> None:
    path = f"/apis/{FLOW}/flowschemas/exempt?dryRun=All"
    answer = await client.ask("PATCH", path, {"spec": {"matchingPrecedence": 5}}, content_type=MERGE)
    assert answer.json["message"].endswith("spec of 'exempt' must equal the fixed value")


async def test_zero_asks_for_the_default_of_queues_but_not_of_shares(client: Client) -> None:
    limited = {"nominalConcurrencyShares": 0, "limitResponse": {"type": "Queue", "queuing": {"queues": 0}}}
    obj = body(FLOW, "PriorityLevelConfiguration", spec={"type": "Limited", "limited": limited})
    made = (await client.ask("POST", f"/apis/{FLOW}/prioritylevelconfigurations", obj)).json["spec"]["limited"]
    assert made["nominalConcurrencyShares"] == 0
    assert made["limitResponse"]["queuing"] == {"queues": 64, "handSize": 8, "queueLengthLimit": 50}


async def test_hands_are_small_enough_to_be_dealt(client: Client) -> None:
    queuing = {"queues": 512, "handSize": 10, "queueLengthLimit": 1}
    limited = {"limitResponse": {"type": "Queue", "queuing": queuing}}
    obj = body(FLOW, "PriorityLevelConfiguration", spec={"type": "Limited", "limited": limited})
    assert await problems(client, "prioritylevelconfigurations", obj) == [
        "spec.limited.limitResponse.queuing.handSize: Invalid value: 10: required entropy bits of deckSize 512 and "
        "handSize 10 should not be greater than 60"
    ]


async def test_local_api_services_are_available_at_once(client: Client) -> None:
    spec = {"group": "x.io", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1}
    obj = body(REGISTRATION, "APIService", "v1.x.io", spec=spec)
    made = await client.ask("POST", f"/apis/{REGISTRATION}/apiservices", obj)
    assert made.json["status"]["conditions"][0]["reason"] == "Local"
    obj["metadata"]["name"] = "v2.x.io"
    assert await problems(client, "apiservices", obj) == [
        'metadata.name: Invalid value: "v2.x.io": must be `spec.version+"."+spec.group`: "v1.x.io"'
    ]


def webhook(**rest: Any) -> dict[str, Any]:
    hook = {
        "name": "a.example.com",
        "clientConfig": {"url": "https://a.example.com/x"},
        "rules": [RULE],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        **rest,
    }
    return body(ADMISSION, "ValidatingWebhookConfiguration", webhooks=[hook])


async def test_webhooks_get_their_defaults(client: Client) -> None:
    made = await client.ask("POST", f"/apis/{ADMISSION}/validatingwebhookconfigurations", webhook())
    hook = made.json["webhooks"][0]
    assert (hook["failurePolicy"], hook["matchPolicy"], hook["timeoutSeconds"]) == ("Fail", "Equivalent", 10)
    assert (hook["namespaceSelector"], hook["rules"][0]["scope"]) == ({}, "*")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"name": "short"},
         'name: Invalid value: "short": should be a domain with at least three segments separated by dots'),
        ({"timeoutSeconds": 31},
         "timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds"),
        ({"clientConfig": {}}, "clientConfig: Required value: exactly one of url or service is required"),
        ({"sideEffects": "Some"}, 'sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"'),
        ({"matchConditions": [{"name": "x", "expression": "1 + 1"}]},
         'matchConditions[0].expression: Invalid value: "1 + 1": must evaluate to bool but got int'),
        ({"rules": [{**RULE, "resources": ["*", "pods"]}]},
         'rules[0].resources: Invalid value: ["*","pods"]: if \'*\' is present, must not specify other resources '
         "without subresources"),
    ],
)  # fmt: skip
async def test_webhooks_are_judged(client: Client, change: dict[str, Any], problem: str) -> None:
    found = await problems(client, "validatingwebhookconfigurations", webhook(**change))
    assert found == [f"webhooks[0].{problem}"]


async def test_an_old_condition_is_not_compiled_again(client: Client) -> None:
    path = f"/apis/{ADMISSION}/validatingwebhookconfigurations"
    await client.ask("POST", path, webhook(matchConditions=[{"name": "x", "expression": "true"}]))
    changed = await client.ask("PATCH", f"{path}/a", {"metadata": {"labels": {"a": "b"}}}, content_type=MERGE)
    assert (changed.code, changed.json["metadata"]["generation"]) == (200, 1)


def policy(**rest: Any) -> dict[str, Any]:
    spec = {"matchConstraints": {"resourceRules": [RULE]}, "validations": [{"expression": "true"}], **rest}
    return body(ADMISSION, "ValidatingAdmissionPolicy", spec=spec)


async def test_variables_see_those_before_them(client: Client) -> None:
    variables = [{"name": "a", "expression": "1"}, {"name": "b", "expression": "variables.a + 1"}]
    path = f"/apis/{ADMISSION}/validatingadmissionpolicies"
    obj = policy(variables=variables, validations=[{"expression": "variables.b == 2"}])
    assert (await client.ask("POST", path, obj)).code == 201
    refused = await problems(client, "validatingadmissionpolicies", policy(variables=variables[::-1]))
    assert refused[0].startswith('spec.variables[0].expression: Invalid value: "variables.a + 1": compilation failed')


async def test_parameters_are_seen_only_by_policies_that_have_them(client: Client) -> None:
    validations = [{"expression": "params.x == 1"}]
    found = await problems(client, "validatingadmissionpolicies", policy(validations=validations))
    assert "undeclared reference to 'params'" in found[0]
    obj = policy(validations=validations, paramKind={"apiVersion": "v1", "kind": "ConfigMap"})
    answer = await client.ask("POST", f"/apis/{ADMISSION}/validatingadmissionpolicies", obj)
    assert answer.code == 201


async def test_a_binding_does_not_both_deny_and_warn(client: Client) -> None:
    spec = {"policyName": "p", "validationActions": ["Deny", "Warn"]}
    obj = body(ADMISSION, "ValidatingAdmissionPolicyBinding", spec=spec)
    found = await problems(client, "validatingadmissionpolicybindings", obj)
    assert found[0].startswith('spec.validationActions: Invalid value: ["Deny","Warn"]: must not contain both')
