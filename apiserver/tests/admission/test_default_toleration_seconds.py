from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds

Object = dict[str, Any]
NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"


@pytest.mark.parametrize(
    ("tolerations", "added"),
    [
        ([], [NOT_READY, UNREACHABLE]),
        ([{"key": NOT_READY, "effect": "NoExecute"}], [UNREACHABLE]),
        ([{"key": NOT_READY, "effect": "NoSchedule"}], [NOT_READY, UNREACHABLE]),
        ([{"operator": "Exists"}], []),
        ([{"operator": "Exists", "effect": "NoSchedule"}], [NOT_READY, UNREACHABLE]),
    ],
)
async def test_a_pod_stays_for_a_while_unless_it_says_otherwise(
    cluster: Any, make_pod: Callable[..., Object], tolerations: list[Object], added: list[str]
) -> None:
    attributes = cluster.ask("CREATE", "pods", make_pod(tolerations=tolerations))
    await DefaultTolerationSeconds().mutate(attributes)
    found = attributes.obj["spec"]["tolerations"]
    assert found[: len(tolerations)] == tolerations
    assert found[len(tolerations) :] == [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300} for key in added
    ]
