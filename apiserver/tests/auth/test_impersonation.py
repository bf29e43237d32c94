"""Acting as another needs the right to it, in the mode that fits."""

from __future__ import annotations

from typing import Any

import pytest

from apiserver.auth.attributes import Attributes
from apiserver.auth.authorizer import Chain, MastersAuthorizer
from apiserver.auth.impersonation import Identity, Impersonation, requested_identity
from apiserver.auth.rbac import RbacAuthorizer, RbacIndex
from apiserver.resources.strategy import User
from openapi.meta.status import StatusError

AUTHENTICATION = "authentication.k8s.io"
ROOT = User("root", groups=("system:masters",))
ALICE = User("alice", groups=("system:authenticated",))


def headers(**values: str) -> list[tuple[bytes, bytes]]:
    return [(f"impersonate-{name.replace('_', '-')}".encode(), value.encode()) for name, value in values.items()]


def impersonation(*rules: dict[str, Any]) -> Impersonation:
    index = RbacIndex()
    index.put("clusterroles", {"metadata": {"name": "r"}, "rules": list(rules)})
    subjects = [{"kind": "User", "name": "alice"}, {"kind": "ServiceAccount", "namespace": "n", "name": "agent"}]
    ref = {"kind": "ClusterRole", "name": "r"}
    index.put("clusterrolebindings", {"metadata": {"name": "b"}, "roleRef": ref, "subjects": subjects})
    return Impersonation(Chain(MastersAuthorizer(), RbacAuthorizer(index)))


def rule(verb: str, resource: str, group: str = "", **more: Any) -> dict[str, Any]:
    return {"verbs": [verb], "resources": [resource], "apiGroups": [group], **more}


def listing(user: User) -> Attributes:
    return Attributes(user, "list", "", "v1", "configmaps", namespace="n")


def act(rules: list[dict[str, Any]], requestor: User = ALICE, /, **wanted: str) -> User:
    identity = requested_identity(headers(**wanted))
    assert identity is not None
    return impersonation(*rules).impersonate(identity, listing(requestor))


def refusal(rules: list[dict[str, Any]], requestor: User = ALICE, /, **wanted: str) -> str:
    with pytest.raises(StatusError) as refused:
        act(rules, requestor, **wanted)
    assert refused.value.code == 403
    return refused.value.message


GROUPS = [
    ({"user": "bob"}, ("system:authenticated",)),
    ({"user": "bob", "group": "g"}, ("g", "system:authenticated")),
    ({"user": "bob", "group": "system:unauthenticated"}, ("system:unauthenticated",)),
    ({"user": "system:anonymous"}, ("system:unauthenticated",)),
    (
        {"user": "system:serviceaccount:n:s"},
        ("system:serviceaccounts", "system:serviceaccounts:n", "system:authenticated"),
    ),
    ({"user": "system:serviceaccount:n:s", "group": "g"}, ("g", "system:authenticated")),
    ({"user": "system:node:m"}, ("system:nodes", "system:authenticated")),
]


@pytest.mark.parametrize(("wanted", "groups"), GROUPS)
def test_groups_follow_from_who_one_is(wanted: dict[str, str], groups: tuple[str, ...]) -> None:
    assert act([], ROOT, **wanted).groups == groups


def test_uid_and_extra_are_taken_over() -> None:
    user = act([], ROOT, user="bob", uid="u", extra_scopes="view")
    assert (user.uid, user.extra) == ("u", {"scopes": ("view",)})


@pytest.mark.parametrize(("sent", "key"), [(b"a%2fb", "a/b"), (b"a%zz", "a%zz"), (b"a%2", "a%2")])
def test_keys_of_extra_are_unescaped_where_they_are_well_escaped(sent: bytes, key: str) -> None:
    wanted = requested_identity([(b"impersonate-user", b"bob"), (b"impersonate-extra-" + sent, b"1")])
    assert wanted is not None and list(wanted.extra) == [key]


def test_a_user_must_be_named() -> None:
    assert requested_identity([(b"accept", b"*/*")]) is None
    shown = '&user.DefaultInfo{Name:"", UID:"", Groups:[]string{"g"}, Extra:map[string][]string(nil)}'
    with pytest.raises(StatusError, match="without impersonating a user name") as refused:
        requested_identity(headers(group="g"))
    assert (refused.value.code, refused.value.message.split(" without")[0]) == (400, f"requested {shown}")
    with pytest.raises(StatusError) as refused:
        requested_identity(headers(extra_scopes="view"))
    assert 'Groups:[]string(nil), Extra:map[string][]string{"scopes":[]string{"view"}}}' in refused.value.message


def test_the_first_refusal_is_of_the_mode_that_fits() -> None:
    end = 'resource "configmaps" in API group "" in the namespace "n"'
    assert f"cannot impersonate-on:user-info:list {end}" in refusal([], user="bob")
    assert f"cannot impersonate-on:serviceaccount:list {end}" in refusal([], user="system:serviceaccount:n:s")
    assert f"cannot impersonate-on:arbitrary-node:list {end}" in refusal([], user="system:node:m")


def test_the_older_right_is_enough_and_its_mode_is_tried_first_from_then_on() -> None:
    tested = impersonation(rule("impersonate", "users", resourceNames=["bob"]))
    bob = Identity("bob", "", (), {})
    assert tested.impersonate(bob, listing(ALICE)).name == "bob"
    with pytest.raises(StatusError) as refused:
        tested.impersonate(bob._replace(groups=("admins",)), listing(ALICE))
    expected = 'groups "admins" is forbidden: User "alice" cannot impersonate resource "groups" in API group ""'
    assert refused.value.message == f"{expected} at the cluster scope"


def test_a_mode_needs_the_right_to_the_request_and_to_the_identity() -> None:
    on = rule("impersonate-on:user-info:list", "configmaps")
    who = rule("impersonate:user-info", "users", AUTHENTICATION)
    assert act([on, who], user="bob").name == "bob"
    assert "cannot impersonate-on:user-info:list" in refusal([who], user="bob")
    assert refusal([on], user="bob").startswith(f'users.{AUTHENTICATION} "bob" is forbidden')
    masters = refusal([on, who], user="bob", group="system:masters")
    assert masters.endswith("impersonating the system:masters group is not allowed")


def test_an_agent_may_be_its_own_node_only() -> None:
    rules = [
        rule("impersonate-on:associated-node:list", "configmaps"),
        rule("impersonate:associated-node", "nodes", AUTHENTICATION, resourceNames=["*"]),
    ]
    extra = {"authentication.kubernetes.io/node-name": ("m",)}
    agent = User("system:serviceaccount:n:agent", groups=("system:authenticated",), extra=extra)
    assert act(rules, agent, user="system:node:m").name == "system:node:m"
    assert "impersonate-on:arbitrary-node:list" in refusal(rules, agent, user="system:node:other")
