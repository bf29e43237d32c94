"""How long finished jobs live."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from controllers.ttl_after_finished import left_s

NOW = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ttl_s", "kind", "status", "expected"),
    [
        (90, "Complete", "True", 30),
        (10, "Failed", "True", -50),
        (10, "Failed", "False", None),
        (None, "Failed", "True", None),
    ],
)
def test_time_left(ttl_s: int | None, kind: str, status: str, expected: float | None) -> None:
    condition = {"type": kind, "status": status, "lastTransitionTime": "2026-01-01T00:00:00Z"}
    job: dict[str, Any] = {
        "metadata": {},
        "spec": {"ttlSecondsAfterFinished": ttl_s},
        "status": {"conditions": [condition]},
    }
    assert left_s(job, NOW) == expected
