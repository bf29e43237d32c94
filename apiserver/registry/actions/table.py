"""Which subresources and unstored kinds are answered by what: one line each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.registry.actions.access_reviews import (
    LocalSubjectAccessReviews,
    SelfSubjectAccessReviews,
    SelfSubjectRulesReviews,
    SubjectAccessReviews,
)
from apiserver.registry.actions.binding import BindingAction
from apiserver.registry.actions.component_status import ComponentStatuses
from apiserver.registry.actions.eviction import EvictionAction
from apiserver.registry.actions.nodes import Nodes
from apiserver.registry.actions.pod_streams import PodStreams
from apiserver.registry.actions.proxy import Proxy
from apiserver.registry.actions.scale import CustomScale, ScaleAction
from apiserver.registry.actions.self_subject_review import SelfSubjectReviews
from apiserver.registry.actions.services import Services
from apiserver.registry.actions.token_request import TokenRequests
from apiserver.registry.actions.token_review import TokenReviews
from apiserver.registry.actions.unstored import UnstoredAction
from openapi.catalog import GroupVersionKind

AUTHENTICATION, AUTHORIZATION = "authentication.k8s.io", "authorization.k8s.io"

PROXY_VERBS = ("create", "delete", "get", "options", "patch", "update")

Actions = dict[tuple[str, str, str], Mapping[str, Any]]
"""(group, resource, subresource) -> verb -> handler."""


def action_table(services: Services) -> Actions:
    """All actions."""
    binding, eviction = BindingAction(services), EvictionAction(services)
    components = ComponentStatuses(services)
    actions: Actions = {
        ("", "bindings", ""): {"create": binding.create},
        ("", "componentstatuses", ""): {"get": components.get, "list": components.list},
        ("", "pods", "binding"): {"create": binding.create},
        ("", "pods", "eviction"): {"create": eviction.create},
    }
    nodes = Nodes(services, services.node_tls)
    streams, proxy = PodStreams(services, nodes), Proxy(services, nodes)
    actions["", "pods", "log"] = {"get": streams.log}
    for name, stream in (("exec", streams.execute), ("attach", streams.attach), ("portforward", streams.port_forward)):
        actions["", "pods", name] = {"create": stream, "get": stream}
    for resource, carried in (("pods", proxy.pod), ("services", proxy.service), ("nodes", proxy.node)):
        actions["", resource, "proxy"] = dict.fromkeys(PROXY_VERBS, carried)
    for (group, resource, subresource), (creator, gvk) in _unstored(services).items():
        action = UnstoredAction(services, creator, gvk)
        actions[group, resource, subresource] = {"create": action.create}
    custom = CustomScale(services)
    actions["*", "*", "scale"] = {"get": custom.get, "update": custom.update, "patch": custom.patch}
    for row in services.catalog.rows():
        if row.subresource("scale") is not None:
            fields = getattr(services.endpoints.strategy(row), "scale", None)
            if fields is not None:
                scale = ScaleAction(services, fields)
                actions[row.group, row.resource, "scale"] = {
                    "get": scale.get, "update": scale.update, "patch": scale.patch,
                }  # fmt: skip
    return actions


def _unstored(services: Services) -> Mapping[tuple[str, str, str], tuple[Any, GroupVersionKind]]:
    """What answers the kinds that are not stored, and the kind of their bodies."""
    authorizer = services.authorizer
    tokens = TokenRequests(services.issuer, services.audiences, services.bound)
    reviews: dict[tuple[str, str], tuple[Any, str]] = {
        (AUTHENTICATION, "selfsubjectreviews"): (SelfSubjectReviews(), "SelfSubjectReview"),
        (AUTHENTICATION, "tokenreviews"): (TokenReviews(services.authenticator), "TokenReview"),
        (AUTHORIZATION, "localsubjectaccessreviews"): (
            LocalSubjectAccessReviews(authorizer), "LocalSubjectAccessReview",
        ),
        (AUTHORIZATION, "selfsubjectaccessreviews"): (SelfSubjectAccessReviews(authorizer), "SelfSubjectAccessReview"),
        (AUTHORIZATION, "selfsubjectrulesreviews"): (SelfSubjectRulesReviews(authorizer), "SelfSubjectRulesReview"),
        (AUTHORIZATION, "subjectaccessreviews"): (SubjectAccessReviews(authorizer), "SubjectAccessReview"),
    }  # fmt: skip
    found = {
        (group, resource, ""): (creator, GroupVersionKind(group, "v1", kind))
        for (group, resource), (creator, kind) in reviews.items()
    }
    found["", "serviceaccounts", "token"] = (tokens, GroupVersionKind(AUTHENTICATION, "v1", "TokenRequest"))
    return found
