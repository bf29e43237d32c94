"""How long a pod stays on a tainted node."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.taint_eviction.plan import FOREVER, seconds_to_stay

A = {"key": "a", "value": "1", "effect": "NoExecute"}
B = {"key": "b", "effect": "NoExecute"}


def tolerate(key: str, seconds: int | None = None, **more: Any) -> dict[str, Any]:
    limit = {} if seconds is None else {"tolerationSeconds": seconds}
    return {"key": key, "operator": "Exists", **limit, **more}


@pytest.mark.parametrize(
    ("tolerations", "seconds"),
    [
        ([], 0.0),
        ([tolerate("a")], 0.0),
        ([tolerate("a"), tolerate("b")], FOREVER),
        ([tolerate("a", 300), tolerate("b")], 300.0),
        ([tolerate("a", 300), tolerate("b", 20)], 20.0),
        ([tolerate("a", -5), tolerate("b")], 0.0),
        ([{"operator": "Exists"}], FOREVER),
        ([{"key": "a", "value": "2"}, tolerate("b")], 0.0),
        ([{"key": "a", "value": "1"}, tolerate("b")], FOREVER),
        ([tolerate("a", effect="NoSchedule"), tolerate("b")], 0.0),
    ],
)
def test_stay(tolerations: list[dict[str, Any]], seconds: float) -> None:
    assert seconds_to_stay([A, B], tolerations) == seconds
