"""Which pods are asked whether their node is ready at all."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from controllers.node_lifecycle.controller import NodeLifecycleController
from controllers.runtime.informer import Change
from controllers.runtime.objects import Key


def pod(node: str = "n", ready: str = "True") -> dict[str, Any]:
    spec = {"nodeName": node} if node else {}
    conditions = [{"type": "Ready", "status": ready}]
    return {"metadata": {"name": "a", "namespace": "ns"}, "spec": spec, "status": {"conditions": conditions}}


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        (Change("ADDED", pod()), True),
        (Change("ADDED", pod(ready="False")), False),
        (Change("ADDED", pod("well")), False),
        (Change("MODIFIED", pod(), pod("")), True),
        (Change("MODIFIED", pod(), pod(ready="False")), False),
        (Change("DELETED", pod()), False),
    ],
)
def test_new_pods_that_say_they_are_ready(change: Change, asked: bool) -> None:
    controller: Any = SimpleNamespace(_is_unwell=lambda node: node == "n")
    found = list(NodeLifecycleController.ready_pod(controller, change))
    assert found == ([Key("ns", "a")] if asked else [])
