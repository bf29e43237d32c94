"""Nobody grants what he does not have."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.auth.authorizer import Chain, MastersAuthorizer
from apiserver.auth.escalation import EscalationCheck
from apiserver.auth.rbac import RBAC, RbacAuthorizer, RbacIndex
from apiserver.resources.strategy import User
from openapi.meta.status import StatusError

MALLORY = User("mallory", groups=("system:authenticated",))
ROOT = User("root", groups=("system:masters",))
PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
SECRETS = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}
STAR = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}


def check(*held: dict[str, Any]) -> EscalationCheck:
    """Mallory holds `held` in namespace n, where there is a role `strong` too."""
    index = RbacIndex()
    index.put("roles", {"metadata": {"namespace": "n", "name": "held"}, "rules": list(held)})
    index.put("roles", {"metadata": {"namespace": "n", "name": "strong"}, "rules": [SECRETS]})
    binding = {
        "metadata": {"namespace": "n", "name": "b"},
        "roleRef": {"kind": "Role", "name": "held"},
        "subjects": [{"kind": "User", "name": "mallory"}],
    }
    index.put("rolebindings", binding)
    return EscalationCheck(index, Chain(MastersAuthorizer(), RbacAuthorizer(index)))


def role(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "n", "name": "a"}, "rules": list(rules), **more}


def bound(name: str, kind: str = "Role") -> dict[str, Any]:
    return {"metadata": {"namespace": "n", "name": "a"}, "roleRef": {"apiGroup": RBAC, "kind": kind, "name": name}}


def refusal(tested: EscalationCheck, resource: str, obj: dict[str, Any], old: dict[str, Any] | None = None) -> str:
    with pytest.raises(StatusError) as refused:
        tested.check(MALLORY, resource, "n", "a" if old else "", obj, old)
    return refused.value.message


def test_a_role_may_hold_what_its_writer_holds() -> None:
    tested = check(PODS)
    tested.check(MALLORY, "roles", "n", "", role({**PODS, "verbs": ["get"]}), None)
    tested.check(MALLORY, "roles", "n", "", role({**PODS, "resourceNames": ["x"]}), None)
    tested.check(ROOT, "roles", "n", "", role(STAR), None)
    assert refusal(tested, "roles", role(SECRETS)) == (
        'roles.rbac.authorization.k8s.io "a" is forbidden: user "mallory" (groups=["system:authenticated"]) is '
        "attempting to grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}'
    )


def test_missing_rules_are_compacted_and_sorted() -> None:
    wanted = {"apiGroups": [""], "resources": ["secrets", "pods"], "verbs": ["get", "watch"]}
    named = {**SECRETS, "verbs": ["delete"], "resourceNames": ["x"]}
    assert refusal(check(PODS), "roles", role(wanted, named)).split("\n")[1:] == [
        '{APIGroups:[""], Resources:["pods"], Verbs:["watch"]}',
        '{APIGroups:[""], Resources:["secrets"], ResourceNames:["x"], Verbs:["delete"]}',
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "watch"]}',
    ]


def test_the_right_to_escalate_or_bind_is_enough() -> None:
    escalate = {"apiGroups": [RBAC], "resources": ["roles"], "verbs": ["escalate"]}
    check(escalate).check(MALLORY, "roles", "n", "", role(STAR), None)
    bind = {"apiGroups": [RBAC], "resources": ["roles"], "verbs": ["bind"], "resourceNames": ["strong"]}
    check(bind).check(MALLORY, "rolebindings", "n", "", bound("strong"), None)


def test_a_binding_may_refer_to_what_its_writer_holds() -> None:
    tested = check(PODS)
    tested.check(MALLORY, "rolebindings", "n", "", bound("held"), None)
    message = refusal(tested, "rolebindings", bound("strong"))
    assert message.startswith('rolebindings.rbac.authorization.k8s.io "a" is forbidden: user "mallory"')
    assert refusal(tested, "rolebindings", bound("gone")) == 'rolebindings.rbac.authorization.k8s.io "gone" not found'
    check(SECRETS).check(MALLORY, "rolebindings", "n", "", bound("strong"), None)


def test_bookkeeping_needs_no_right() -> None:
    old = role(STAR)
    obj = {**old, "metadata": {**old["metadata"], "finalizers": ["x"], "ownerReferences": []}}
    check().check(MALLORY, "roles", "n", "a", obj, old)
    assert "not currently held" in refusal(check(), "roles", {**obj, "metadata": {"name": "a", "labels": {}}}, old)


def test_gathering_roles_needs_every_right() -> None:
    gathering = {"metadata": {"name": "a"}, "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}}
    message = refusal(check(PODS), "clusterroles", gathering)
    assert message.endswith("must have cluster-admin privileges to use an aggregationRule")
    paths = {"nonResourceURLs": ["*"], "verbs": ["*"]}
    check(STAR, paths).check(MALLORY, "clusterroles", "n", "", gathering, None)


COVERS = [
    ({"resources": ["*/scale"]}, {"resources": ["deployments/scale"]}, True),
    ({"resources": ["deployments"]}, {"resources": ["deployments/scale"]}, False),
    ({"resources": ["*"]}, {"resources": ["deployments/scale"]}, True),
    ({"resources": ["pods"], "resourceNames": ["a"]}, {"resources": ["pods"]}, False),
    ({"resources": ["pods"]}, {"resources": ["pods"], "resourceNames": ["a"]}, True),
    ({"nonResourceURLs": ["/a/*"]}, {"nonResourceURLs": ["/a/b"]}, True),
    ({"nonResourceURLs": ["/a"]}, {"nonResourceURLs": ["/a/*"]}, False),
    ({"nonResourceURLs": ["*"]}, {"nonResourceURLs": ["/a/*"]}, True),
]


@pytest.mark.parametrize(("held", "wanted", "covered"), COVERS)
def test_rules_cover_narrower_ones(held: dict[str, Any], wanted: dict[str, Any], covered: bool) -> None:
    common: dict[str, Any] = {"verbs": ["get"]}
    groups = {"apiGroups": ["apps"]}
    tested = check({**common, **({} if "nonResourceURLs" in held else groups), **held})
    obj = role({**common, **({} if "nonResourceURLs" in wanted else groups), **wanted})
    if covered:
        tested.check(MALLORY, "roles", "n", "", obj, None)
    else:
        refusal(tested, "roles", obj)
