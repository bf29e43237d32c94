"""Objects that were patched: looking only at what changed gives what looking at everything gives."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from openapi.catalog import GroupVersionKind
from openapi.schema.decode import decode
from openapi.schema.defaults import apply_defaults
from openapi.schema.load import schema_for
from openapi.schema.mergepatch import json_merge

POD = GroupVersionKind("", "v1", "Pod")
DEPLOYMENT = GroupVersionKind("apps", "v1", "Deployment")
SERVICE = GroupVersionKind("", "v1", "Service")
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
OBJECTS: dict[GroupVersionKind, dict[str, Any]] = {
    POD: {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}], "volumes": [{"name": "v"}]}},
    DEPLOYMENT: {"metadata": {"name": "d"}, "spec": {"template": TEMPLATE, "selector": {"matchLabels": {"a": "b"}}}},
    SERVICE: {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}},
}


@pytest.mark.parametrize(
    ("gvk", "patch"),
    [
        (POD, {}),
        (POD, {"metadata": {"labels": {"a": "b"}, "annotations": {}}}),
        (POD, {"spec": {"hostNetwork": True, "containers": [{"name": "c", "ports": [{"containerPort": 1}]}]}}),
        (POD, {"spec": {"restartPolicy": None, "nosuch": 1, "volumes": None}}),
        (POD, {"spec": {"containers": None, "securityContext": {"runAsUser": 1}}, "status": {"phase": "Running"}}),
        (DEPLOYMENT, {"spec": {"replicas": None, "strategy": {"rollingUpdate": {"maxSurge": 2}}}}),
        (DEPLOYMENT, {"spec": {"template": {"spec": {"containers": [{"name": "x"}], "dnsPolicy": None}}}}),
        (DEPLOYMENT, {"spec": {"strategy": None, "template": {"nosuch": {}}}, "unknown": None}),
        (SERVICE, {"spec": {"type": "NodePort", "ports": [{"port": 80, "targetPort": "http"}]}}),
        (SERVICE, {"spec": {"sessionAffinity": "ClientIP", "ports": None}}),
    ],
)
def test_what_did_not_change_need_not_be_looked_at(gvk: GroupVersionKind, patch: dict[str, Any]) -> None:
    node, known = schema_for(gvk), copy.deepcopy(OBJECTS[gvk])
    decode(known, node, gvk)
    apply_defaults(known, gvk)
    whole, part = json_merge(copy.deepcopy(known), patch), json_merge(known, patch)
    assert decode(part, node, gvk, known=known) == decode(whole, node, gvk)
    apply_defaults(part, gvk, known)
    apply_defaults(whole, gvk)
    assert part == whole
