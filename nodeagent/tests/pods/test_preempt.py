from __future__ import annotations

from typing import Any

import pytest

from nodeagent.pods.preempt import NoVictims, is_critical, victims
from nodeagent.tests.pods.samples import make_pod


def asking(cpu: str, *, limit: str = "", memory: str = "", **spec: Any) -> dict[str, Any]:
    requests = {"cpu": cpu} if cpu else {}
    limits = {"cpu": limit, "memory": memory} if limit else {}
    requests |= {"memory": memory} if memory else {}
    return make_pod([{"name": "c", "resources": {"requests": requests, "limits": limits}}], **spec)


CRITICAL = asking("1", priority=2_000_000_000)
NONE, SMALL, LARGE = asking(""), asking("200m"), asking("900m")
FIRST = asking("1", limit="1", memory="1Gi")
OTHERS = [NONE, FIRST, LARGE, SMALL, asking("4", priority=2_000_000_000)]


@pytest.mark.parametrize(
    ("lacking", "expected"),
    [
        ({"pods": 1}, [NONE]),
        ({"pods": 2}, [NONE, SMALL]),
        ({"cpu": 100}, [SMALL]),
        ({"cpu": 300}, [LARGE]),
        ({"cpu": 1000}, [LARGE, SMALL]),
        ({"cpu": 1200}, [SMALL, FIRST]),
        ({"memory": 1 << 20}, [FIRST]),
        ({}, []),
    ],
)
def test_few_go_and_of_the_better_classes_only_what_is_needed(
    lacking: dict[str, int], expected: list[dict[str, Any]]
) -> None:
    assert victims(CRITICAL, OTHERS, lacking) == expected


def test_what_nobody_has_cannot_be_had() -> None:
    text = r"no set of running pods found to reclaim resources: \[\(res: cpu, q: 900\), \]"
    with pytest.raises(NoVictims, match=text):
        victims(CRITICAL, OTHERS, {"cpu": 3000, "pods": 1})
    assert is_critical(CRITICAL) and not is_critical(LARGE)
