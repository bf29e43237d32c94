"""The flow schemas and priority levels that no server can do without: their specs are fixed.

Follows: pkg/apis/flowcontrol/internalbootstrap/default-internal.go
"""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]

EXEMPT, CATCH_ALL = "exempt", "catch-all"
AUTHENTICATED, UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"


def _anything(*groups: str) -> list[Object]:
    """One rule for all requests of these groups."""
    return [
        {
            "subjects": [{"kind": "Group", "group": {"name": group}} for group in groups],
            "resourceRules": [
                {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}
            ],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        }
    ]


FLOW_SCHEMAS: dict[str, Object] = {
    EXEMPT: {
        "priorityLevelConfiguration": {"name": EXEMPT},
        "matchingPrecedence": 1,
        "rules": _anything("system:masters"),
    },
    CATCH_ALL: {
        "priorityLevelConfiguration": {"name": CATCH_ALL},
        "matchingPrecedence": 10_000,
        "distinguisherMethod": {"type": "ByUser"},
        "rules": _anything(UNAUTHENTICATED, AUTHENTICATED),
    },
}
# What `exempt` lends and is counted as may be chosen.
PRIORITY_LEVELS: dict[str, Object] = {
    EXEMPT: {"type": "Exempt"},
    CATCH_ALL: {
        "type": "Limited",
        "limited": {"nominalConcurrencyShares": 5, "limitResponse": {"type": "Reject"}, "lendablePercent": 0},
    },
}
