"""Authorizers in a chain: the first that allows decides; when none does, all their reasons are given.

Follows: staging/src/k8s.io/apiserver/pkg/authorization/union/union.go
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from apiserver.auth.attributes import MASTERS, Attributes
from apiserver.resources.strategy import User

Rule = dict[str, Any]


class Decision(NamedTuple):
    """`reason` says by what it was allowed, or why not; it may be empty."""

    allowed: bool
    reason: str = ""


class RuleSet(NamedTuple):
    """What a user may do in a namespace, as lists of `{verbs, apiGroups, resources, resourceNames}` and
    `{verbs, nonResourceURLs}`. `incomplete` when an authorizer cannot list its rules; `errors` are texts.
    """

    resource_rules: list[Rule]
    non_resource_rules: list[Rule]
    incomplete: bool = False
    errors: tuple[str, ...] = ()


class Authorizer(Protocol):
    def authorize(self, attributes: Attributes) -> Decision: ...

    def rules(self, user: User, namespace: str) -> RuleSet: ...


ALLOWED = Decision(True)
NO_OPINION = Decision(False)


class MastersAuthorizer:
    """Group system:masters may do everything, also when no role is left."""

    def authorize(self, attributes: Attributes) -> Decision:
        return ALLOWED if MASTERS in attributes.user.groups else NO_OPINION

    def rules(self, user: User, namespace: str) -> RuleSet:
        """None: this right is not listed; a cluster role says the same where there is one."""
        return RuleSet([], [])


class Chain:
    """All authorizers in order, as one."""

    def __init__(self, *authorizers: Authorizer) -> None:
        self._authorizers: Sequence[Authorizer] = authorizers

    def authorize(self, attributes: Attributes) -> Decision:
        reasons: list[str] = []
        for authorizer in self._authorizers:
            decision = authorizer.authorize(attributes)
            if decision.allowed:
                return decision
            if decision.reason:
                reasons.append(decision.reason)
        return Decision(False, "\n".join(reasons)) if reasons else NO_OPINION

    def rules(self, user: User, namespace: str) -> RuleSet:
        """All authorizers' rules, one after the other."""
        found = [authorizer.rules(user, namespace) for authorizer in self._authorizers]
        return RuleSet(
            [rule for part in found for rule in part.resource_rules],
            [rule for part in found for rule in part.non_resource_rules],
            any(part.incomplete for part in found),
            tuple(error for part in found for error in part.errors),
        )
