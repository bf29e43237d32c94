"""Roles allow exactly what their rules say, to exactly those whom bindings name, with the API's reasons."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.auth.attributes import Attributes, forbidden
from apiserver.auth.authorizer import Chain, Decision, MastersAuthorizer
from apiserver.auth.rbac import RbacAuthorizer, RbacIndex
from apiserver.resources.strategy import User

ALICE = User("alice", groups=("devs", "system:authenticated"))


def role(name: str, *rules: dict[str, Any], namespace: str = "") -> dict[str, Any]:
    return {"metadata": {"name": name} | ({"namespace": namespace} if namespace else {}), "rules": list(rules)}


def binding(name: str, ref: str, *subjects: dict[str, str], namespace: str = "", kind: str = "") -> dict[str, Any]:
    kind = kind or ("Role" if namespace else "ClusterRole")
    meta = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"metadata": meta, "roleRef": {"kind": kind, "name": ref}, "subjects": list(subjects)}


def rule(resources: list[str], verbs: list[str], groups: list[str] | None = None, **more: Any) -> dict[str, Any]:
    return {"apiGroups": groups or [""], "resources": resources, "verbs": verbs, **more}


def user(name: str) -> dict[str, str]:
    return {"kind": "User", "name": name}


def one_rule(**fields: Any) -> RbacAuthorizer:
    """Everything alice may do by one cluster role."""
    index = RbacIndex()
    index.put("clusterroles", role("r", fields))
    index.put("clusterrolebindings", binding("b", "r", user("alice")))
    return RbacAuthorizer(index)


RESOURCES = [
    ({"resources": ["pods"]}, {"resource": "pods"}, True),
    ({"resources": ["pods"]}, {"resource": "pods", "subresource": "log"}, False),
    ({"resources": ["pods/log"]}, {"resource": "pods", "subresource": "log"}, True),
    ({"resources": ["pods/log"]}, {"resource": "pods"}, False),
    ({"resources": ["*"]}, {"resource": "pods", "subresource": "log"}, True),
    ({"resources": ["*/scale"]}, {"resource": "deployments", "subresource": "scale"}, True),
    ({"resources": ["*/scale"]}, {"resource": "deployments", "subresource": "status"}, False),
    ({"resources": ["*/scale"]}, {"resource": "deployments"}, False),
    ({"resources": ["pods/*"]}, {"resource": "pods", "subresource": "log"}, False),
    ({"resources": ["pods"], "resourceNames": ["a"]}, {"resource": "pods", "name": "a"}, True),
    ({"resources": ["pods"], "resourceNames": ["a"]}, {"resource": "pods", "name": "b"}, False),
    ({"resources": ["pods"], "resourceNames": ["a"]}, {"resource": "pods"}, False),
    ({"resources": ["pods"], "apiGroups": ["apps"]}, {"resource": "pods"}, False),
    ({"resources": ["pods"], "apiGroups": ["*"]}, {"resource": "pods", "group": "x.example.com"}, True),
    ({"resources": ["pods"], "verbs": ["list"]}, {"resource": "pods"}, False),
    ({"resources": ["pods"], "verbs": ["*"]}, {"resource": "pods"}, True),
    ({"nonResourceURLs": ["*"]}, {"resource": "pods"}, False),
]


@pytest.mark.parametrize(("fields", "asked", "allowed"), RESOURCES)
def test_rules_match_resources(fields: dict[str, Any], asked: dict[str, Any], allowed: bool) -> None:
    authorizer = one_rule(**({"apiGroups": [""], "verbs": ["get"]} | fields))
    assert authorizer.authorize(Attributes(ALICE, "get", **asked)).allowed is allowed


PATHS = [
    (["/healthz"], "/healthz", True),
    (["/healthz"], "/healthz/etcd", False),
    (["/healthz/*"], "/healthz/etcd", True),
    (["/healthz/*"], "/healthz", False),
    (["/health*"], "/healthz", True),
    (["*"], "/anything", True),
]


@pytest.mark.parametrize(("urls", "path", "allowed"), PATHS)
def test_rules_match_paths(urls: list[str], path: str, allowed: bool) -> None:
    authorizer = one_rule(nonResourceURLs=urls, verbs=["get"])
    assert authorizer.authorize(Attributes(ALICE, "get", path=path, is_resource=False)).allowed is allowed
    assert not authorizer.authorize(Attributes(ALICE, "post", path=path, is_resource=False)).allowed


def test_a_role_holds_in_its_namespace_only_and_is_named_in_the_reason() -> None:
    index = RbacIndex()
    index.put("roles", role("r", rule(["pods"], ["get"]), namespace="n"))
    index.put("rolebindings", binding("b", "r", {"kind": "Group", "name": "devs"}, namespace="n"))
    authorizer = RbacAuthorizer(index)
    decision = authorizer.authorize(Attributes(ALICE, "get", resource="pods", namespace="n"))
    assert decision == Decision(True, 'RBAC: allowed by RoleBinding "b/n" of Role "r" to Group "devs"')
    assert authorizer.authorize(Attributes(ALICE, "get", resource="pods", namespace="m")) == Decision(False, "")
    assert authorizer.authorize(Attributes(ALICE, "get", resource="pods")) == Decision(False, "")


def test_a_cluster_role_bound_in_a_namespace_holds_there() -> None:
    index = RbacIndex()
    index.put("clusterroles", role("view", rule(["pods"], ["get"])))
    index.put("rolebindings", binding("b", "view", user("alice"), namespace="n", kind="ClusterRole"))
    authorizer = RbacAuthorizer(index)
    assert authorizer.authorize(Attributes(ALICE, "get", resource="pods", namespace="n")).allowed
    assert not authorizer.authorize(Attributes(ALICE, "get", resource="pods", namespace="m")).allowed


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ({"kind": "ServiceAccount", "name": "s"}, 'ServiceAccount "s/n"'),
        ({"kind": "ServiceAccount", "name": "s", "namespace": "n"}, 'ServiceAccount "s/n"'),
        ({"kind": "User", "name": "system:serviceaccount:n:s"}, 'User "system:serviceaccount:n:s"'),
    ],
)
def test_service_accounts_are_the_users_they_authenticate_as(subject: dict[str, str], text: str) -> None:
    index = RbacIndex()
    index.put("roles", role("r", rule(["pods"], ["get"]), namespace="n"))
    index.put("rolebindings", binding("b", "r", subject, namespace="n"))
    asked = Attributes(User("system:serviceaccount:n:s"), "get", resource="pods", namespace="n")
    assert RbacAuthorizer(index).authorize(asked).reason.endswith(f"to {text}")


def test_changes_count_at_once() -> None:
    index = RbacIndex()
    authorizer = RbacAuthorizer(index)
    asked = Attributes(ALICE, "get", resource="pods", namespace="n")
    index.put("rolebindings", binding("b", "r", user("alice"), namespace="n"))
    missing = 'RBAC: role.rbac.authorization.k8s.io "r" not found'
    assert authorizer.authorize(asked) == Decision(False, missing)
    index.put("roles", role("r", rule(["pods"], ["get"]), namespace="n"))
    assert authorizer.authorize(asked).allowed
    index.put("roles", role("r", rule(["pods"], ["list"]), namespace="n"))
    assert not authorizer.authorize(asked).allowed
    index.put("roles", role("r", rule(["pods"], ["get"]), namespace="n"))
    index.put("rolebindings", binding("b", "r", user("bob"), namespace="n"))
    assert not authorizer.authorize(asked).allowed
    index.put("rolebindings", binding("b", "r", user("alice"), user("bob"), namespace="n"))
    assert authorizer.authorize(asked).allowed
    index.remove("rolebindings", "n", "b")
    index.remove("rolebindings", "n", "b")
    assert authorizer.authorize(asked) == Decision(False, "")


def test_several_missing_roles_are_all_named_once() -> None:
    index = RbacIndex()
    for name, ref in (("a", "x"), ("b", "y"), ("c", "x")):
        index.put("clusterrolebindings", binding(name, ref, user("alice")))
    reason = RbacAuthorizer(index).authorize(Attributes(ALICE, "get", resource="pods")).reason
    x, y = (f'clusterrole.rbac.authorization.k8s.io "{n}" not found' for n in "xy")
    assert reason == f"RBAC: [{x}, {y}]"


def test_rules_are_listed_by_kind() -> None:
    index = RbacIndex()
    index.put("clusterroles", role("r", rule(["pods"], ["get"]), {"nonResourceURLs": ["/x"], "verbs": ["get"]}))
    index.put("clusterrolebindings", binding("b", "r", user("alice")))
    index.put("rolebindings", binding("b", "gone", user("alice"), namespace="n"))
    found = RbacAuthorizer(index).rules(ALICE, "n")
    assert found.resource_rules == [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]
    assert found.non_resource_rules == [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]
    assert found.errors == ('role.rbac.authorization.k8s.io "gone" not found',)


def test_masters_need_no_role_and_all_reasons_of_a_refusal_are_given() -> None:
    index = RbacIndex()
    chain = Chain(MastersAuthorizer(), RbacAuthorizer(index), RbacAuthorizer(index))
    assert chain.authorize(Attributes(User("root", groups=("system:masters",)), "delete", resource="x")).allowed
    index.put("clusterrolebindings", binding("b", "gone", user("alice")))
    reason = 'RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found'
    assert chain.authorize(Attributes(ALICE, "get", resource="x")) == Decision(False, f"{reason}\n{reason}")


REFUSALS = [
    (
        {"resource": "configmaps", "namespace": "n", "verb": "list"},
        'configmaps is forbidden: User "alice" cannot list resource "configmaps" in API group "" in the namespace "n"',
    ),
    (
        {"resource": "deployments", "group": "apps", "subresource": "scale", "namespace": "n", "name": "a"},
        'deployments.apps "a" is forbidden: User "alice" cannot get resource "deployments/scale" in API group "apps" '
        'in the namespace "n"',
    ),
    (
        {"resource": "nodes", "name": "a"},
        'nodes "a" is forbidden: User "alice" cannot get resource "nodes" in API group "" at the cluster scope',
    ),
    ({"path": "/x<y>", "is_resource": False}, 'forbidden: User "alice" cannot get path "/x&lt;y&gt;"'),
]


@pytest.mark.parametrize(("asked", "message"), REFUSALS)
def test_refusals_say_who_may_not_do_what(asked: dict[str, Any], message: str) -> None:
    error = forbidden(Attributes(**({"user": ALICE, "verb": "get"} | asked)))
    assert (error.code, error.message) == (403, message)


def test_a_refusal_ends_with_its_reason() -> None:
    assert forbidden(Attributes(ALICE, "get", resource="nodes"), "why").message.endswith("at the cluster scope: why")
