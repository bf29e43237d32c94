"""How many pods each ReplicaSet gets."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.deployment.marks import DESIRED_REPLICAS, MAX_REPLICAS
from controllers.deployment.sizes import Limits, limits_of, new_size, scale_all, shrink_old

Steps = list[tuple[str, int]]


def deployment(replicas: int, surge: int | str = 0, unavailable: int | str = 0, kind: str = "RollingUpdate") -> Any:
    rolling = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {
        "metadata": {"name": "d"},
        "spec": {"replicas": replicas, "strategy": {"type": kind, "rollingUpdate": rolling}},
    }


def replica_set(name: str, size: int, available: int = 0, desired: int = 0, most: int = 0) -> dict[str, Any]:
    annotations = {DESIRED_REPLICAS: str(desired), MAX_REPLICAS: str(most)} if desired else {}
    metadata = {"name": name, "uid": name, "creationTimestamp": name, "annotations": annotations}
    return {"metadata": metadata, "spec": {"replicas": size}, "status": {"availableReplicas": available}}


def steps(resizes: Any) -> Steps:
    return [(one.replica_set["metadata"]["name"], one.size) for one in resizes]


@pytest.mark.parametrize(
    ("made", "limits"),
    [
        (deployment(10, "25%", "25%"), Limits(3, 2)),
        (deployment(3, "25%", "25%"), Limits(1, 0)),
        (deployment(3, 0, "10%"), Limits(0, 1)),
        (deployment(2, 1, 5), Limits(1, 2)),
        (deployment(0, 0, 0), Limits(0, 0)),
        (deployment(5, 3, 3, "Recreate"), Limits(0, 0)),
    ],
)
def test_limits(made: Any, limits: Limits) -> None:
    assert limits_of(made) == limits


def test_the_newest_grows_within_the_surge() -> None:
    old, newest = replica_set("1", 10), replica_set("2", 0)
    assert new_size(deployment(10, 3, 2), [old, newest], newest) == 3
    assert new_size(deployment(10, 0, 2), [old, newest], newest) == 0
    assert new_size(deployment(10, 0, 2, "Recreate"), [old, newest], newest) == 10


def test_the_newest_waits_for_pods_that_another_has_still_to_delete() -> None:
    old, newest = replica_set("1", 8), replica_set("2", 3)
    for counted, size in ((10, 3), (9, 3), (8, 5), (7, 5)):
        old["status"]["replicas"] = counted
        assert new_size(deployment(10, 3, 2), [old, newest], newest) == size


@pytest.mark.parametrize(
    ("newest", "old", "expected"),
    [
        pytest.param(replica_set("9", 3, 0), [replica_set("1", 10, 10)], [("1", 8)], id="by what may be missing"),
        pytest.param(replica_set("9", 3, 3), [replica_set("1", 10, 10)], [("1", 5)], id="and by what is new"),
        pytest.param(replica_set("9", 3, 0), [replica_set("1", 8, 8)], [], id="no more than that"),
        pytest.param(
            replica_set("9", 3, 3), [replica_set("1", 4, 0), replica_set("2", 6, 6)], [("1", 0), ("2", 5)],
            id="what does not work goes first",
        ),
    ],
)  # fmt: skip
def test_old_ones_shrink(newest: Any, old: Any, expected: Steps) -> None:
    assert steps(shrink_old(deployment(10, 3, 2), newest, old)) == expected


def test_pods_that_an_old_one_has_still_to_delete_are_not_counted_on() -> None:
    newest, old = replica_set("2", 3), replica_set("1", 4, available=8)
    assert steps(shrink_old(deployment(4, 3, 2), newest, [old])) == [("1", 2)]


def test_one_alone_takes_the_new_size() -> None:
    assert steps(scale_all(deployment(5), replica_set("1", 3), [replica_set("0", 0)])) == [("1", 5)]
    assert steps(scale_all(deployment(3), replica_set("1", 3), [])) == []


def test_old_ones_end_when_the_newest_has_all() -> None:
    newest = replica_set("2", 5, available=5, desired=5, most=6)
    assert steps(scale_all(deployment(5), newest, [replica_set("1", 1)])) == [("1", 0)]


def test_growth_is_shared_in_proportion() -> None:
    old, newest = replica_set("1", 8, 8, desired=10, most=13), replica_set("2", 5, 0, desired=10, most=13)
    assert steps(scale_all(deployment(20, 3, 2), newest, [old])) == [("1", 14), ("2", 9)]


def test_shrinking_is_shared_in_proportion() -> None:
    old, newest = replica_set("1", 8, 8, desired=10, most=13), replica_set("2", 5, 0, desired=10, most=13)
    assert steps(scale_all(deployment(5, 3, 2), newest, [old])) == [("1", 5), ("2", 3)]


def test_a_deployment_scaled_to_nothing_takes_all_down() -> None:
    old, newest = replica_set("1", 8, 8, desired=10, most=13), replica_set("2", 5, 0, desired=10, most=13)
    assert steps(scale_all(deployment(0, 3, 2), newest, [old])) == [("1", 0), ("2", 0)]
