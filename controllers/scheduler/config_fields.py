"""The fields of a scheduler's configuration file and their types: what is unknown or of another type is refused.

A type is a name of `_CHECKS`, a mapping of fields, or a list with the type of its items; `Any` takes everything.
Follows: staging/src/k8s.io/kube-scheduler/config/v1/{types,types_pluginargs}.go
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from controllers.scheduler.durations import parse_duration

Type = Any
_META = {"kind": "string", "apiVersion": "string"}

PLUGIN: Type = {"name": "string", "weight": "int32"}
PLUGIN_SET: Type = {"enabled": [PLUGIN], "disabled": [PLUGIN]}
POINT_NAMES = (
    "preEnqueue",
    "queueSort",
    "preFilter",
    "filter",
    "postFilter",
    "preScore",
    "score",
    "reserve",
    "permit",
    "preBind",
    "bind",
    "postBind",
)
"""The points of a profile, in their order."""

_RESOURCES: Type = [{"name": "string", "weight": "int64"}]
_SHAPE: Type = [{"utilization": "int32", "score": "int32"}]
ARGUMENTS: Mapping[str, Type] = {
    "DefaultPreemption": {**_META, "minCandidateNodesPercentage": "int32", "minCandidateNodesAbsolute": "int32"},
    "DynamicResources": {**_META, "filterTimeout": "duration", "bindingTimeout": "duration"},
    "InterPodAffinity": {
        **_META,
        "hardPodAffinityWeight": "int32",
        "ignorePreferredTermsOfExistingPods": "bool",
    },
    "NodeAffinity": {**_META, "addedAffinity": Any},
    "NodeResourcesBalancedAllocation": {**_META, "resources": _RESOURCES},
    "NodeResourcesFit": {
        **_META,
        "ignoredResources": ["string"],
        "ignoredResourceGroups": ["string"],
        "scoringStrategy": {
            "type": "string",
            "resources": _RESOURCES,
            "requestedToCapacityRatio": {"shape": _SHAPE},
        },
    },
    "PodTopologySpread": {**_META, "defaultConstraints": [Any], "defaultingType": "string"},
    "VolumeBinding": {**_META, "bindTimeoutSeconds": "int64", "shape": _SHAPE},
}
"""What the arguments of plugins look like; of others nothing is known."""

EXTENDER: Type = {
    "urlPrefix": "string",
    "filterVerb": "string",
    "preemptVerb": "string",
    "prioritizeVerb": "string",
    "weight": "int64",
    "bindVerb": "string",
    "enableHTTPS": "bool",
    "tlsConfig": {
        "insecure": "bool",
        "serverName": "string",
        "certFile": "string",
        "keyFile": "string",
        "caFile": "string",
        "certData": "string",
        "keyData": "string",
        "caData": "string",
    },
    "httpTimeout": "duration",
    "nodeCacheCapable": "bool",
    "managedResources": [{"name": "string", "ignoredByScheduler": "bool"}],
    "ignorable": "bool",
}
PROFILE: Type = {
    "schedulerName": "string",
    "percentageOfNodesToScore": "int32",
    "plugins": {"multiPoint": PLUGIN_SET, **dict.fromkeys(POINT_NAMES, PLUGIN_SET)},
    "pluginConfig": [{"name": "string", "args": Any}],
}
CONFIGURATION: Type = {
    **_META,
    "parallelism": "int32",
    "leaderElection": {
        "leaderElect": "bool",
        "leaseDuration": "duration",
        "renewDeadline": "duration",
        "retryPeriod": "duration",
        "resourceLock": "string",
        "resourceName": "string",
        "resourceNamespace": "string",
    },
    "clientConnection": {
        "kubeconfig": "string",
        "acceptContentTypes": "string",
        "contentType": "string",
        "qps": "float32",
        "burst": "int32",
    },
    "enableProfiling": "bool",
    "enableContentionProfiling": "bool",
    "percentageOfNodesToScore": "int32",
    "podInitialBackoffSeconds": "int64",
    "podMaxBackoffSeconds": "int64",
    "delayCacheUntilActive": "bool",
    "profiles": [PROFILE],
    "extenders": [EXTENDER],
}


def problems(value: Any, expected: Type, path: str = "") -> Iterator[str]:
    """What in `value` is not as `expected`; null stands for a field that is not there."""
    if value is None or expected is Any:
        return
    if isinstance(expected, str):
        if not _is(value, expected):
            yield f"{path}: {_kind(value)} is not of type {expected}"
    elif isinstance(expected, list):
        if not isinstance(value, list):
            yield f"{path}: {_kind(value)} is not a list"
            return
        for index, item in enumerate(value):
            yield from problems(item, expected[0], f"{path}[{index}]")
    elif not isinstance(value, Mapping):
        yield f"{path}: {_kind(value)} is not a mapping"
    else:
        for name, entry in value.items():
            inner = f"{path}.{name}" if path else str(name)
            if name not in expected:
                yield f'unknown field "{inner}"'
            else:
                yield from problems(entry, expected[name], inner)


def _is(value: Any, expected: str) -> bool:
    if expected == "string":
        return isinstance(value, str)
    if expected == "bool":
        return isinstance(value, bool)
    if expected == "duration":
        return isinstance(value, str) and _is_duration(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if expected == "float32":
        return True
    bits = 31 if expected == "int32" else 63
    return isinstance(value, int) and -(2**bits) <= value < 2**bits


def _is_duration(text: str) -> bool:
    try:
        parse_duration(text)
    except ValueError:
        return False
    return True


def _kind(value: Any) -> str:
    kinds = {bool: "bool", str: "string", int: "number", float: "number", list: "list", dict: "mapping"}
    return kinds.get(type(value), type(value).__name__)
