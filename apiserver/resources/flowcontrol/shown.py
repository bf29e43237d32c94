"""Flow schemas and priority levels in messages: the server's internal form with its own field names and order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver.resources.spec_rules import EMPTY, verbatim

Struct = Mapping[str, Any]


def show_flow_schema(spec: Struct) -> Any:
    method = spec.get("distinguisherMethod")
    return verbatim(
        {
            "PriorityLevelConfiguration": {"Name": (spec.get("priorityLevelConfiguration") or EMPTY).get("name", "")},
            "MatchingPrecedence": spec.get("matchingPrecedence", 0),
            "DistinguisherMethod": None if method is None else {"Type": method.get("type", "")},
            "Rules": _each(spec.get("rules"), _rule),
        }
    )


def _each(items: Any, show: Any) -> list[Any] | None:
    return None if items is None else [show(item) for item in items]


def _rule(rule: Struct) -> Struct:
    return {
        "Subjects": _each(rule.get("subjects"), _subject),
        "ResourceRules": _each(rule.get("resourceRules"), _resource_rule),
        "NonResourceRules": _each(rule.get("nonResourceRules"), _path_rule),
    }


def _subject(subject: Struct) -> Struct:
    user, group, account = subject.get("user"), subject.get("group"), subject.get("serviceAccount")
    shown_account = None
    if account is not None:
        shown_account = {"Namespace": account.get("namespace", ""), "Name": account.get("name", "")}
    return {
        "Kind": subject.get("kind", ""),
        "User": None if user is None else {"Name": user.get("name", "")},
        "Group": None if group is None else {"Name": group.get("name", "")},
        "ServiceAccount": shown_account,
    }


def _resource_rule(rule: Struct) -> Struct:
    return {
        "Verbs": rule.get("verbs"),
        "APIGroups": rule.get("apiGroups"),
        "Resources": rule.get("resources"),
        "ClusterScope": rule.get("clusterScope", False),
        "Namespaces": rule.get("namespaces"),
    }


def _path_rule(rule: Struct) -> Struct:
    return {"Verbs": rule.get("verbs"), "NonResourceURLs": rule.get("nonResourceURLs")}


def show_priority_level(spec: Struct) -> Any:
    limited, exempt = spec.get("limited"), spec.get("exempt")
    shown = None
    if exempt is not None:
        shares, lent = exempt.get("nominalConcurrencyShares"), exempt.get("lendablePercent")
        shown = {"NominalConcurrencyShares": shares, "LendablePercent": lent}
    return verbatim(
        {"Type": spec.get("type", ""), "Limited": None if limited is None else _limited(limited), "Exempt": shown}
    )


def _limited(limited: Struct) -> Struct:
    response = limited.get("limitResponse") or EMPTY
    queuing = response.get("queuing")
    shown = None
    if queuing is not None:
        shown = {
            "Queues": queuing.get("queues", 0),
            "HandSize": queuing.get("handSize", 0),
            "QueueLengthLimit": queuing.get("queueLengthLimit", 0),
        }
    return {
        "NominalConcurrencyShares": limited.get("nominalConcurrencyShares", 0),
        "LimitResponse": {"Type": response.get("type", ""), "Queuing": shown},
        "LendablePercent": limited.get("lendablePercent"),
        "BorrowingLimitPercent": limited.get("borrowingLimitPercent"),
    }
