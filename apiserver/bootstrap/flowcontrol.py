"""The default flow schemas and priority levels of API priority and fairness.

Follows: staging/src/k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap/default.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

Object = dict[str, Any]

GROUP = "flowcontrol.apiserver.k8s.io"
AUTO_UPDATE = "apf.kubernetes.io/autoupdate-spec"
MANDATORY = ("exempt", "catch-all")


class Level(NamedTuple):
    """`queues` of 0 rejects what exceeds the level's seats instead of queueing it."""

    shares: int
    lendable_percent: int
    queues: int = 0
    hand_size: int = 0


LEVELS = {
    "catch-all": Level(5, 0),
    "global-default": Level(20, 50, 128, 6),
    "leader-election": Level(10, 0, 16, 4),
    "node-high": Level(40, 25, 64, 6),
    "system": Level(30, 33, 64, 6),
    "workload-high": Level(40, 50, 128, 6),
    "workload-low": Level(100, 90, 128, 6),
}
QUEUE_LENGTH = 50

ANYTHING: Object = {
    "resourceRules": [
        {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}
    ],
    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
}
PROBES: Object = {"nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}]}
LEADER_ELECTION: Object = {
    "resourceRules": [
        {
            "verbs": ["get", "create", "update"],
            "apiGroups": ["coordination.k8s.io"],
            "resources": ["leases"],
            "namespaces": ["*"],
        }
    ]
}
NODE_HEARTBEATS: Object = {
    "resourceRules": [
        {
            "verbs": ["*"],
            "apiGroups": [""],
            "resources": ["nodes", "nodes/status"],
            "clusterScope": True,
            "namespaces": ["*"],
        },
        {"verbs": ["*"], "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "namespaces": ["*"]},
    ]
}

EVERYBODY = "group=system:unauthenticated group=system:authenticated"
SYSTEM_ACCOUNTS = "account=kube-system/*"


class Flow(NamedTuple):
    """Requests of the `subjects` that `rule` matches go to `level`, one flow each `per` user or namespace."""

    level: str
    precedence: int
    per: str
    subjects: str
    rule: Object


FLOWS = {
    "exempt": Flow("exempt", 1, "", "group=system:masters", ANYTHING),
    "probes": Flow("exempt", 2, "", EVERYBODY, PROBES),
    "system-leader-election": Flow(
        "leader-election",
        100,
        "ByUser",
        f"user=system:kube-controller-manager user=system:kube-scheduler {SYSTEM_ACCOUNTS}",
        LEADER_ELECTION,
    ),
    "system-node-high": Flow("node-high", 400, "ByUser", "group=system:nodes", NODE_HEARTBEATS),
    "system-nodes": Flow("system", 500, "ByUser", "group=system:nodes", ANYTHING),
    "kube-controller-manager": Flow(
        "workload-high", 800, "ByNamespace", "user=system:kube-controller-manager", ANYTHING
    ),
    "kube-scheduler": Flow("workload-high", 800, "ByNamespace", "user=system:kube-scheduler", ANYTHING),
    "kube-system-service-accounts": Flow("workload-high", 900, "ByNamespace", SYSTEM_ACCOUNTS, ANYTHING),
    "service-accounts": Flow("workload-low", 9000, "ByUser", "group=system:serviceaccounts", ANYTHING),
    "global-default": Flow("global-default", 9900, "ByUser", EVERYBODY, ANYTHING),
    "catch-all": Flow("catch-all", 10000, "ByUser", EVERYBODY, ANYTHING),
}


def flowcontrol_objects(now: str) -> Iterator[Object]:
    """Priority levels, then flow schemas; `now` is the time of the schemas' conditions."""
    exempt = {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}}
    yield _object("PriorityLevelConfiguration", "exempt", exempt, {})
    for name, level in LEVELS.items():
        yield _object("PriorityLevelConfiguration", name, _level_spec(level), {})
    for name, flow in FLOWS.items():
        yield _object("FlowSchema", name, _flow_spec(flow), {"conditions": [_not_dangling(flow.level, now)]})


def _level_spec(level: Level) -> Object:
    response: Object = {"type": "Reject"}
    if level.queues:
        queuing = {"queues": level.queues, "handSize": level.hand_size, "queueLengthLimit": QUEUE_LENGTH}
        response = {"type": "Queue", "queuing": queuing}
    limited = {
        "nominalConcurrencyShares": level.shares,
        "limitResponse": response,
        "lendablePercent": level.lendable_percent,
    }
    return {"type": "Limited", "limited": limited}


def _flow_spec(flow: Flow) -> Object:
    spec: Object = {
        "priorityLevelConfiguration": {"name": flow.level},
        "matchingPrecedence": flow.precedence,
        "distinguisherMethod": {"type": flow.per},
        "rules": [{"subjects": [_subject(word) for word in flow.subjects.split()], **flow.rule}],
    }
    if not flow.per:
        del spec["distinguisherMethod"]
    return spec


def _subject(word: str) -> Object:
    kind, _, name = word.partition("=")
    if kind == "account":
        namespace, _, account = name.partition("/")
        return {"kind": "ServiceAccount", "serviceAccount": {"namespace": namespace, "name": account}}
    return {"kind": kind.capitalize(), kind: {"name": name}}


def _not_dangling(level: str, now: str) -> Object:
    message = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}" and it exists'
    return {
        "type": "Dangling",
        "status": "False",
        "lastTransitionTime": now,
        "reason": "Found",
        "message": message,
    }


def _object(kind: str, name: str, spec: Object, status: Object) -> Object:
    metadata = {"name": name, "generation": 1, "annotations": {AUTO_UPDATE: "true"}}
    return {"kind": kind, "apiVersion": f"{GROUP}/v1", "metadata": metadata, "spec": spec, "status": status}
