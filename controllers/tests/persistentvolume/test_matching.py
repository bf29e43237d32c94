"""Which volume a claim gets."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.persistentvolume.matching import best_match, is_bound_to, mismatch


def volume(name: str, size: str = "1Gi", phase: str = "Available", labels: Any = None, **spec: Any) -> dict[str, Any]:
    wanted = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "storageClassName": "fast", **spec}
    return {"metadata": {"name": name, "labels": labels or {}}, "spec": wanted, "status": {"phase": phase}}


def claim(size: str = "1Gi", **spec: Any) -> dict[str, Any]:
    wanted = {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast"}
    wanted |= {"resources": {"requests": {"storage": size}}} | spec
    return {"metadata": {"name": "c", "namespace": "n", "uid": "u"}, "spec": wanted}


def chosen(claim: dict[str, Any], *volumes: dict[str, Any], is_delayed: bool = False) -> str | None:
    found = best_match(claim, volumes, is_delayed=is_delayed)
    return None if found is None else str(found["metadata"]["name"])


RESERVED: dict[str, Any] = {"claimRef": {"namespace": "n", "name": "c"}}
TAKEN: dict[str, Any] = {"claimRef": {"namespace": "n", "name": "other"}}


def test_smallest_sufficient_volume_wins() -> None:
    assert chosen(claim("2Gi"), volume("a", "1Gi"), volume("b", "9Gi"), volume("c", "3Gi")) == "c"


def test_volume_with_the_fewest_access_modes_wins_over_a_smaller_one() -> None:
    wide = volume("a", "1Gi", accessModes=["ReadWriteOnce", "ReadWriteMany"])
    assert chosen(claim(), wide, volume("b", "5Gi")) == "b"


@pytest.mark.parametrize(
    "wrong",
    [
        volume("small", "1Mi"),
        volume("other-class", storageClassName="slow"),
        volume("block", volumeMode="Block"),
        volume("released", phase="Released"),
        volume("read-only", accessModes=["ReadOnlyMany"]),
        volume("taken", **TAKEN),
        volume("attributes", volumeAttributesClassName="gold"),
    ],
    ids=lambda found: found["metadata"]["name"],
)
def test_unfit_volume_is_left_alone(wrong: dict[str, Any]) -> None:
    assert chosen(claim(), wrong) is None


def test_selector_chooses_among_free_volumes() -> None:
    wanted = claim(selector={"matchLabels": {"tier": "gold"}})
    assert chosen(wanted, volume("a"), volume("b", labels={"tier": "gold"})) == "b"


def test_reserved_volume_is_taken_whatever_its_class_and_phase() -> None:
    reserved = volume("r", "9Gi", phase="Pending", storageClassName="slow", **RESERVED)
    assert chosen(claim(), volume("a"), reserved, volume("z")) == "r"


def test_delayed_binding_takes_a_reserved_volume_only() -> None:
    assert chosen(claim(), volume("a"), is_delayed=True) is None
    assert chosen(claim(), volume("a"), volume("r", **RESERVED), is_delayed=True) == "r"


def test_reservation_for_an_earlier_claim_of_that_name_does_not_count() -> None:
    assert not is_bound_to(volume("a", claimRef={"namespace": "n", "name": "c", "uid": "old"}), claim())
    assert is_bound_to(volume("a", claimRef={"namespace": "n", "name": "c", "uid": "u"}), claim())


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (volume("a"), ""),
        (volume("a", "1Mi"), "requested PV is too small"),
        (volume("a", storageClassName="slow"), "storageClassName does not match"),
        (volume("a", volumeMode="Block"), "incompatible volumeMode"),
        (volume("a", accessModes=["ReadWriteMany"]), "incompatible accessMode"),
    ],
)
def test_named_volume_that_does_not_satisfy_says_why(found: dict[str, Any], reason: str) -> None:
    assert mismatch(claim(), found) == reason
