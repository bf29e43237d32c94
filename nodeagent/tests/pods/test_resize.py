from __future__ import annotations

from typing import Any

import pytest

from nodeagent.pods.resize import needs_restart, refusal, resources_by_name, with_allocated
from nodeagent.tests.pods.samples import make_pod

NODE: dict[str, Any] = {"status": {"allocatable": {"cpu": "4", "memory": "1Gi"}}}


def asking(cpu: str) -> dict[str, Any]:
    return make_pod([{"name": "c", "resources": {"requests": {"cpu": cpu}}}])


@pytest.mark.parametrize(("cpu", "reason"), [("1", None), ("3500m", "Deferred"), ("5", "Infeasible")])
def test_the_node_agrees_to_what_it_has_room_for(cpu: str, reason: str | None) -> None:
    refused = refusal(asking(cpu), [asking("1")], NODE)
    assert (refused[0] if refused else None) == reason


def test_a_pod_runs_with_what_was_agreed_to() -> None:
    agreed = resources_by_name(asking("1"))
    found = with_allocated(asking("3"), agreed)
    assert found["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "1"}}
    assert with_allocated(asking("1"), agreed) == asking("1")


def test_only_what_the_policy_names_takes_a_restart() -> None:
    container = {"name": "c", "resizePolicy": [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]}
    small: Any = {"limits": {"cpu": "1", "memory": "1Mi"}}
    assert needs_restart(container, small, {"limits": {"cpu": "1", "memory": "2Mi"}})
    assert not needs_restart(container, small, {"limits": {"cpu": "2", "memory": "1024Ki"}})
