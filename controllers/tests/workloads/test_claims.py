"""What an owner claims: its own that match, orphans that match; what no longer matches is let go."""

from __future__ import annotations

from typing import Any

from controllers.workloads.claims import plan_claims
from openapi.meta.selectors import from_labels

SELECTOR = from_labels({"a": "b"})


def obj(name: str, label: str = "b", owner: str = "", deleting: bool = False) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "uid": name, "labels": {"a": label}}
    if owner:
        metadata["ownerReferences"] = [{"uid": owner, "controller": True}]
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return {"metadata": metadata}


def names(objects: Any) -> list[str]:
    return [one["metadata"]["name"] for one in objects]


def test_own_orphans_and_strangers_are_told_apart() -> None:
    candidates = [obj("own", owner="u"), obj("other", owner="v"), obj("orphan"), obj("stranger", label="c")]
    plan = plan_claims({"metadata": {"uid": "u"}}, SELECTOR, [*candidates, obj("left", label="c", owner="u")])
    assert (names(plan.owned), names(plan.adopt), names(plan.release)) == (["own"], ["orphan"], ["left"])


def test_an_owner_that_goes_away_takes_and_gives_nothing() -> None:
    owner = {"metadata": {"uid": "u", "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    plan = plan_claims(owner, SELECTOR, [obj("own", owner="u"), obj("orphan"), obj("left", label="c", owner="u")])
    assert (names(plan.owned), names(plan.adopt), names(plan.release)) == (["own"], [], [])


def test_an_orphan_that_goes_away_is_not_adopted() -> None:
    assert not plan_claims({"metadata": {"uid": "u"}}, SELECTOR, [obj("orphan", deleting=True)]).adopt
