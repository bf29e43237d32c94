"""What a node may do: all nodes alike what the role `system:node` says, and of some resources only what is its own.

It never denies, it only has reasons why it does not allow. What a node may write is further limited by admission.
Follows: plugin/pkg/auth/authorizer/node/node_authorizer.go
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from apiserver.auth.attributes import NODES, Attributes
from apiserver.auth.authorizer import ALLOWED, NO_OPINION, Decision, RuleSet
from apiserver.auth.node_graph import NodeGraph, Ref
from apiserver.auth.rules import CompiledRule
from apiserver.resources.strategy import User
from openapi.meta.field import quote
from openapi.meta.selectors import SelectorError, parse_field_selector

PREFIX = "system:node:"
LEASES = "kube-node-lease"
OWN_VERBS = ("get", "create", "update", "patch", "delete")

Ask = Callable[[str, Attributes], Decision]


def node_of(user: User) -> str | None:
    """The node that a user is; empty for one without a name, None for other users."""
    if user.name.startswith(PREFIX) and NODES in user.groups:
        return user.name[len(PREFIX) :]
    return None


class NodeAuthorizer:
    """Answers from a graph. `rules` are those of the role `system:node`."""

    def __init__(self, graph: NodeGraph, rules: Iterable[Mapping[str, Any]]) -> None:
        self._graph = graph
        self._rules = tuple(CompiledRule(rule) for rule in rules)
        self._special: dict[tuple[str, str], Ask] = {
            ("", "secrets"): self._namespaced,
            ("", "configmaps"): self._namespaced,
            ("", "persistentvolumeclaims"): self._claim,
            ("", "persistentvolumes"): self._get,
            ("", "serviceaccounts"): self._account,
            ("", "nodes"): self._node,
            ("", "pods"): self._pod,
            ("resource.k8s.io", "resourceclaims"): self._get,
            ("resource.k8s.io", "resourceslices"): self._slice,
            ("storage.k8s.io", "volumeattachments"): self._get,
            ("storage.k8s.io", "csinodes"): self._csi_node,
            ("coordination.k8s.io", "leases"): self._lease,
        }

    def authorize(self, attributes: Attributes) -> Decision:
        node = node_of(attributes.user)
        if node is None:
            return NO_OPINION
        if not node:
            return Decision(False, f"unknown node for user {quote(attributes.user.name)}")
        if attributes.is_resource:
            special = self._special.get((attributes.group, attributes.resource))
            if special is not None:
                return special(node, attributes)
        return ALLOWED if any(_allows(rule, attributes) for rule in self._rules) else NO_OPINION

    def rules(self, user: User, namespace: str) -> RuleSet:
        """None; of a node it is said that there are more than can be listed."""
        if node_of(user) is None:
            return RuleSet([], [])
        return RuleSet([], [], True, ("node authorizer does not support user rule resolution",))

    def _related(self, node: str, asked: Attributes) -> Decision:
        if not asked.name:
            return Decision(False, "No Object name found")
        if self._graph.is_related(node, Ref(asked.resource, asked.namespace, asked.name)):
            return ALLOWED
        return Decision(False, f"no relationship found between node '{node}' and this object")

    def _get(self, node: str, asked: Attributes) -> Decision:
        if asked.verb != "get":
            return Decision(False, "can only get individual resources of this type")
        if asked.subresource:
            return Decision(False, "cannot get subresource")
        return self._related(node, asked)

    def _namespaced(self, node: str, asked: Attributes) -> Decision:
        if asked.verb not in ("get", "list", "watch"):
            return Decision(False, "can only read resources of this type")
        if asked.subresource:
            return Decision(False, "cannot read subresource")
        if not asked.namespace:
            return Decision(False, "can only read namespaced object of this type")
        return self._related(node, asked)

    def _claim(self, node: str, asked: Attributes) -> Decision:
        if asked.subresource != "status":
            return self._get(node, asked)
        if asked.verb not in ("update", "patch"):
            return Decision(False, "can only get/update/patch this type")
        return self._related(node, asked)

    def _account(self, node: str, asked: Attributes) -> Decision:
        if asked.verb == "get" and not asked.subresource:
            return self._related(node, asked)
        if asked.verb != "create" or not asked.name:
            return Decision(False, "can only create tokens for individual service accounts")
        if asked.subresource != "token":
            return Decision(False, "can only create token subresource of serviceaccount")
        return self._related(node, asked)

    def _node(self, node: str, asked: Attributes) -> Decision:
        if asked.subresource:
            return ALLOWED if asked.subresource == "status" and asked.verb in ("update", "patch") else NO_OPINION
        if asked.verb in ("create", "update", "patch"):
            return ALLOWED
        if asked.verb not in ("get", "list", "watch"):
            return NO_OPINION
        # By name rather than by relation: a node looks for itself before it is there.
        if asked.name == node:
            return ALLOWED
        what = f"'{asked.name}'" if asked.name else "all nodes"
        return Decision(False, f"node '{node}' cannot read {what}, only its own Node object")

    def _pod(self, node: str, asked: Attributes) -> Decision:
        if asked.subresource:
            allowed = {"status": ("update", "patch"), "eviction": ("create",)}.get(asked.subresource, ())
            return ALLOWED if asked.verb in allowed else NO_OPINION
        if asked.verb in ("create", "delete"):
            return ALLOWED
        if asked.verb == "get":
            return self._related(node, asked)
        if asked.verb not in ("list", "watch"):
            return NO_OPINION
        if _selects(asked, "spec.nodeName", node):
            return ALLOWED
        if asked.name:
            return self._related(node, asked)
        return Decision(False, "can only list/watch pods with spec.nodeName field selector")

    def _slice(self, node: str, asked: Attributes) -> Decision:
        if asked.subresource:
            return Decision(False, "cannot authorize ResourceSlice subresources")
        if asked.verb == "create":
            return ALLOWED
        if asked.verb in ("get", "update", "patch", "delete"):
            return self._related(node, asked)
        if asked.verb in ("watch", "list", "deletecollection"):
            if _selects(asked, "spec.nodeName", node):
                return ALLOWED
            text = "can only list/watch/deletecollection resourceslices with nodeName field selector"
            return Decision(False, text)
        verbs = "get, watch, list, create, update, patch, delete, deletecollection"
        return Decision(False, f"only the following verbs are allowed for a ResourceSlice: {verbs}")

    def _csi_node(self, node: str, asked: Attributes) -> Decision:
        if asked.verb not in OWN_VERBS:
            return Decision(False, "can only get, create, update, patch, or delete a CSINode")
        if asked.subresource:
            return Decision(False, "cannot authorize CSINode subresources")
        if asked.verb != "create" and asked.name != node:
            return Decision(False, "can only access CSINode with the same name as the requesting node")
        return ALLOWED

    def _lease(self, node: str, asked: Attributes) -> Decision:
        if asked.verb not in OWN_VERBS:
            return Decision(False, "can only get, create, update, patch, or delete a node lease")
        if asked.namespace != LEASES:
            return Decision(False, f"can only access leases in the {quote(LEASES)} system namespace")
        if asked.verb != "create" and asked.name != node:
            return Decision(False, "can only access node lease with the same name as the requesting node")
        return ALLOWED


def _allows(rule: CompiledRule, asked: Attributes) -> bool:
    if not asked.is_resource:
        return rule.matches_path(asked.verb, asked.path)
    if rule.names is not None and asked.name not in rule.names:
        return False
    return rule.matches_resource(asked.verb, asked.group, asked.resource, asked.subresource)


def _selects(asked: Attributes, field: str, value: str) -> bool:
    """Whether the request is limited to objects whose `field` is `value`."""
    try:
        return parse_field_selector(asked.field_selector).exact(field) == value
    except SelectorError:
        return False
