"""When tainted devices drive pods away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controllers.device_taint_eviction.plan import eviction_time

NOW = datetime(2026, 1, 1, 1, tzinfo=UTC)
ADDED = datetime(2026, 1, 1, tzinfo=UTC)
TAINT = {"key": "broken", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"}


def claim(*tolerations: dict[str, Any]) -> dict[str, Any]:
    result = {"driver": "d", "pool": "p", "device": "a", "tolerations": list(tolerations)}
    return {"status": {"allocation": {"devices": {"results": [result]}}}}


def part(*taints: dict[str, Any], generation: int = 1) -> dict[str, Any]:
    pool = {"name": "p", "generation": generation}
    return {"spec": {"driver": "d", "pool": pool, "devices": [{"name": "a", "taints": list(taints)}]}}


def when(found: dict[str, Any], *slices: dict[str, Any]) -> datetime | None:
    return eviction_time(found, lambda pool: slices if pool == "d/p" else (), NOW)


@pytest.mark.parametrize(
    ("tolerations", "expected"),
    [
        ([], ADDED),
        ([{"key": "broken", "operator": "Exists"}], None),
        ([{"operator": "Exists", "tolerationSeconds": 60}], ADDED + timedelta(seconds=60)),
        ([{"key": "other", "operator": "Exists"}], ADDED),
        ([{"key": "broken", "operator": "Exists", "effect": "NoSchedule"}], ADDED),
    ],
)
def test_tolerations(tolerations: list[dict[str, Any]], expected: datetime | None) -> None:
    assert when(claim(*tolerations), part(TAINT)) == expected


def test_other_effects_do_not_evict() -> None:
    assert when(claim(), part({**TAINT, "effect": "NoSchedule"})) is None


def test_only_the_latest_generation_of_a_pool_counts() -> None:
    assert when(claim(), part(TAINT), part(generation=2)) is None
    assert when(claim(), part(), part(TAINT, generation=2)) == ADDED
