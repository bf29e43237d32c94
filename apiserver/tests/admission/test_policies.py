"""Policies that users define, through the whole server."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.tests.conftest import Client

CONFIG = "/apis/admissionregistration.k8s.io/v1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
MAPS = "/api/v1/namespaces/ns/configmaps"
RULES = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}]


def config(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


async def policy(client: Client, kind: str, spec: dict[str, Any], **binding: Any) -> None:
    meta = {"metadata": {"name": "p"}}
    await client.create(
        f"{CONFIG}/{kind}policies", {**meta, "spec": {"matchConstraints": {"resourceRules": RULES}, **spec}}
    )
    await client.create(f"{CONFIG}/{kind}policybindings", {**meta, "spec": {"policyName": "p", **binding}})


async def test_a_policy_refuses_what_fails_its_expression(client: Client) -> None:
    validations = [{"expression": "variables.size < 2", "messageExpression": "'too many: ' + string(variables.size)"}]
    variables = [{"name": "size", "expression": "size(object.data)"}]
    spec = {"validations": validations, "variables": variables}
    await policy(client, "validatingadmission", spec, validationActions=["Deny"])
    assert (await client.ask("POST", MAPS, config("a", k="1"))).code == 201
    refused = await client.ask("POST", MAPS, config("b", k="1", m="2"))
    assert refused.code == 422
    assert refused.json["message"].endswith("denied request: too many: 2")


async def test_a_policy_may_only_warn(client: Client) -> None:
    spec = {"validations": [{"expression": "false", "message": "never"}]}
    await policy(client, "validatingadmission", spec, validationActions=["Warn"])
    answer = await client.ask("POST", MAPS, config("a"))
    assert answer.code == 201
    assert "with binding 'p': never" in answer.header("warning")


async def test_match_conditions_leave_requests_alone(client: Client) -> None:
    conditions = [{"name": "c", "expression": "object.metadata.name == 'a'"}]
    spec = {"validations": [{"expression": "false"}], "matchConditions": conditions}
    await policy(client, "validatingadmission", spec, validationActions=["Deny"])
    assert (await client.ask("POST", MAPS, config("b"))).code == 201
    assert (await client.ask("POST", MAPS, config("a"))).code == 422


async def test_a_policy_changes_objects(client: Client) -> None:
    text = "Object{metadata: Object.metadata{labels: Object.metadata.labels{added: 'yes'}}}"
    mutations = [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": text}}]
    await policy(client, "mutatingadmission", {"mutations": mutations, "reinvocationPolicy": "Never"})
    assert (await client.create(MAPS, config("a")))["metadata"]["labels"] == {"added": "yes"}


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("authorizer.group('').resource('pods').namespace('ns').check('create').allowed()", True),
        ("authorizer.path('/metrics').check('get').allowed()", True),
        ("authorizer.serviceAccount('ns', 'default').group('').resource('pods').namespace('ns').check('get').allowed()",
         False),
        ("authorizer.serviceAccount('ns', 'default').path('/version').check('get').allowed()", True),
        ("authorizer.requestResource.check('create').allowed()", True),
    ],
)  # fmt: skip
async def test_a_policy_asks_what_users_may(client: Client, expression: str, holds: bool) -> None:
    spec = {"validations": [{"expression": expression}]}
    await policy(client, "validatingadmission", spec, validationActions=["Deny"])
    answer = await client.ask("POST", MAPS, config("a"))
    assert answer.code == (201 if holds else 422), answer.json.get("message")


async def test_a_policy_asks_about_who_sends_the_request(client: Client) -> None:
    """Who may only create ConfigMaps is told so by the same expression."""
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}
    await client.create(f"{RBAC}/clusterroles", {"metadata": {"name": "r"}, "rules": [rule]})
    subjects = [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "nobody"}]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "r"}
    binding = {"metadata": {"name": "r"}, "roleRef": role, "subjects": subjects}
    await client.create(f"{RBAC}/clusterrolebindings", binding)
    validations = [{"expression": "authorizer.requestResource.check('delete').allowed()"}]
    await policy(client, "validatingadmission", {"validations": validations}, validationActions=["Deny"])
    assert (await client.as_("nobody-token").ask("POST", MAPS, config("a"))).code == 422
    assert (await client.ask("POST", MAPS, config("a"))).code == 201


DENIED = "ValidatingAdmissionPolicy 'p' with binding 'p' denied request: "
MISSING = "no such key: data"
N = {"name": "n", "expression": "size(object.data)"}
M = {"name": "m", "expression": "variables.n + 1"}
X_IS_EMPTY = {"name": "a", "expression": "object.data.x == ''"}
X_TOLD = {"key": "k", "valueExpression": "string(object.data.x)"}


@pytest.mark.parametrize(
    ("spec", "code", "text"),
    [
        ({"validations": [{"expression": "variables.m < 3", "reason": "Forbidden"}], "variables": [N, M]}, 422,
         "expression 'variables.m < 3' resulted in error: composited variable \"m\" fails to evaluate: "
         f'composited variable "n" fails to evaluate: {MISSING}'),
        ({"validations": [{"expression": "!has(object.data) || variables.n > 1"}], "variables": [N]}, 201, ""),
        ({"validations": [{"expression": "true"}],
          "matchConditions": [X_IS_EMPTY]}, 422,
         f"expression 'object.data.x == ''' resulted in error: {MISSING}"),
        ({"validations": [{"expression": "false"}],
          "matchConditions": [X_IS_EMPTY, {"name": "b", "expression": "false"}]}, 201, ""),
        ({"auditAnnotations": [X_TOLD]}, 422,
         f"expression 'string(object.data.x)' resulted in error: {MISSING}"),
        ({"auditAnnotations": [X_TOLD], "failurePolicy": "Ignore"}, 201, ""),
    ],
)  # fmt: skip
async def test_what_cannot_be_worked_out_counts_as_the_policy_says(
    client: Client, spec: dict[str, Any], code: int, text: str
) -> None:
    await policy(client, "validatingadmission", spec, validationActions=["Deny"])
    answer = await client.ask("POST", MAPS, {"metadata": {"name": "a"}})
    assert answer.code == code
    assert code == 201 or answer.json["message"] == f'configmaps "a" is forbidden: {DENIED}{text}'


def merged(expression: str) -> dict[str, Any]:
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def patched(expression: str) -> dict[str, Any]:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


LABELLED = patched("[JSONPatch{op: 'add', path: '/metadata/labels', value: {'a': 'b'}}]")
NOT_THERE = "[JSONPatch{op: 'remove', path: '/data/x'}]"
NO_SUCH = "[JSONPatch{op: 'add', path: '/no/such', value: 1}]"
UNKNOWN = patched("[JSONPatch{op: 'add', path: '/wrong', value: 1}]")
BROKEN = merged("Object{data: {'x': object.data['y']}}")
NO_SUCH_KEY = "expression 'Object{data: {'x': object.data['y']}}' resulted in error: no such key: y"


@pytest.mark.parametrize(
    ("mutations", "failures"),
    [
        ([patched(NOT_THERE)],
         ["JSONPath: error in remove for path: '/data/x': Unable to remove nonexistent key: x: missing value"]),
        ([patched(NO_SUCH)],
         ['JSONPath: add operation does not apply: doc is missing path: "/no/such": missing value']),
        ([BROKEN, LABELLED, BROKEN], [NO_SUCH_KEY, NO_SUCH_KEY]),
    ],
)  # fmt: skip
async def test_what_policies_cannot_change_is_refused(
    client: Client, mutations: list[Any], failures: list[str]
) -> None:
    await policy(client, "mutatingadmission", {"mutations": mutations, "reinvocationPolicy": "Never"})
    answer = await client.ask("POST", MAPS, config("a", k="1"))
    told = [f"policy 'p' with binding 'p' denied request: {failure}" for failure in failures]
    assert (answer.code, answer.json["reason"], answer.json["message"]) == (403, "Invalid", told[0])
    assert answer.json["details"]["causes"] == [{"message": text} for text in told]


async def test_a_configuration_may_not_replace_more_than_it_says(client: Client) -> None:
    text = "Object{spec: Object.spec{podSelector: Object.spec.podSelector{matchLabels: {'a': 'b'}}}}"
    rules = [{**RULES[0], "apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"]}]
    spec = {"mutations": [merged(text)], "reinvocationPolicy": "Never", "matchConstraints": {"resourceRules": rules}}
    await policy(client, "mutatingadmission", spec)
    obj = {"metadata": {"name": "a"}, "spec": {"podSelector": {}}}
    answer = await client.ask("POST", "/apis/networking.k8s.io/v1/namespaces/ns/networkpolicies", obj)
    problem = "may not mutate atomic arrays, maps or structs: .spec.podSelector"
    assert answer.json["message"].endswith(f"error applying patch: invalid ApplyConfiguration: {problem}")


@pytest.mark.parametrize(
    ("mutations", "code", "labels"),
    [
        ([BROKEN, LABELLED], 201, {"a": "b"}),
        ([patched(f"[JSONPatch{{op: 'test', path: '/data/k', value: '2'}}] + {NOT_THERE}"), LABELLED], 201, {"a": "b"}),
        ([UNKNOWN], 500, None),
    ],
)
async def test_a_policy_that_may_fail_leaves_the_object(
    client: Client, mutations: list[Any], code: int, labels: Any
) -> None:
    spec = {"mutations": mutations, "reinvocationPolicy": "Never", "failurePolicy": "Ignore"}
    await policy(client, "mutatingadmission", spec)
    answer = await client.ask("POST", MAPS, config("a", k="1"))
    assert (answer.code, answer.json.get("metadata", {}).get("labels")) == (code, labels)
    assert code == 201 or 'strict decoding error: unknown field "wrong"' in answer.json["message"]


@pytest.mark.parametrize(
    ("kind", "reference", "why"),
    [
        ("x.io/v1 Nope", {"name": "a"},
         " denied request: failed to configure policy: failed to find resource referenced by paramKind: "
         "'x.io/v1, Kind=Nope'"),
        ("v1 Node", {"name": "a", "namespace": "ns"},
         " with binding 'p' denied request: failed to configure binding: paramRef.namespace must not be provided for "
         "a cluster-scoped `paramKind`"),
        ("v1 Secret", {"name": "a"},
         " with binding 'p' denied request: failed to configure binding: no params found for policy binding with "
         "`Deny` parameterNotFoundAction"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("family", ["validatingadmission", "mutatingadmission"])
async def test_parameters_that_cannot_be_found_deny(
    client: Client, family: str, kind: str, reference: dict[str, Any], why: str
) -> None:
    rules: dict[str, Any] = {"validations": [{"expression": "true"}]}
    if family == "mutatingadmission":
        rules = {"mutations": [LABELLED], "reinvocationPolicy": "Never"}
    version, name = kind.split()
    binding = {"paramRef": {**reference, "parameterNotFoundAction": "Deny"}}
    if family == "validatingadmission":
        binding["validationActions"] = ["Deny"]
    await policy(client, family, {**rules, "paramKind": {"apiVersion": version, "kind": name}}, **binding)
    answer = await client.ask("POST", MAPS, config("a"))
    label = "ValidatingAdmissionPolicy 'p'"
    if family == "mutatingadmission":
        label = "policy 'p'" if "binding" in why else 'policy "p"'
    assert answer.json["message"].endswith(label + why)
    assert answer.code == (403 if family == "mutatingadmission" else 422)


@pytest.mark.parametrize(("reinvocation", "wanted"), [("Never", "1+"), ("IfNeeded", "1++")])
async def test_a_policy_that_wishes_it_sees_what_it_changed(client: Client, reinvocation: str, wanted: str) -> None:
    mutations = [merged("Object{data: {'k': object.data['k'] + '+'}}")]
    await policy(client, "mutatingadmission", {"mutations": mutations, "reinvocationPolicy": reinvocation})
    assert (await client.create(MAPS, config("a", k="1")))["data"] == {"k": wanted}
