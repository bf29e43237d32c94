"""Defaults of flow schemas and priority levels.

Follows: pkg/apis/flowcontrol/v1/defaults.go
"""

from __future__ import annotations

from typing import Any

from openapi.kinds.row import Defaults

Object = dict[str, Any]

FLOWCONTROL = "io.k8s.api.flowcontrol.v1."
_QUEUING = {"queues": 64, "handSize": 8, "queueLengthLimit": 50}


def _precedence(spec: Object) -> None:
    if not spec.get("matchingPrecedence"):
        spec["matchingPrecedence"] = 1000


def _queuing(queuing: Object) -> None:
    """Zero asks for the default too."""
    for name, value in _QUEUING.items():
        if not queuing.get(name):
            queuing[name] = value


DEFAULTS: Defaults = {
    FLOWCONTROL + "ExemptPriorityLevelConfiguration": ({"nominalConcurrencyShares": 0, "lendablePercent": 0},),
    FLOWCONTROL + "FlowSchemaSpec": (_precedence,),
    FLOWCONTROL + "LimitedPriorityLevelConfiguration": ({"nominalConcurrencyShares": 30, "lendablePercent": 0},),
    FLOWCONTROL + "QueuingConfiguration": (_queuing,),
}
