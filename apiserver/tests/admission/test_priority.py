from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from openapi.meta.status import StatusError

Object = dict[str, Any]
Make = Callable[..., Object]
GROUP = "scheduling.k8s.io"


async def priority_class(cluster: Any, name: str, value: int, **fields: Any) -> None:
    await cluster.put("priorityclasses", {"metadata": {"name": name}, "value": value, **fields}, GROUP)


async def test_a_pod_without_a_class_has_priority_zero(cluster: Any, make_pod: Make) -> None:
    await cluster.namespace()
    spec = (await cluster.create("pods", make_pod()))["spec"]
    assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")
    assert "priorityClassName" not in spec


async def test_a_class_gives_its_value_and_policy(cluster: Any, make_pod: Make) -> None:
    await cluster.namespace()
    await priority_class(cluster, "high", 7, preemptionPolicy="Never")
    spec = (await cluster.create("pods", make_pod(priorityClassName="high")))["spec"]
    assert (spec["priority"], spec["preemptionPolicy"]) == (7, "Never")


async def test_of_several_default_classes_the_least_counts(cluster: Any, make_pod: Make) -> None:
    await cluster.namespace()
    await priority_class(cluster, "a", 9, globalDefault=True)
    await priority_class(cluster, "b", 3, globalDefault=True)
    spec = (await cluster.create("pods", make_pod()))["spec"]
    assert (spec["priorityClassName"], spec["priority"]) == ("b", 3)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"priorityClassName": "nosuch"}, "no PriorityClass with name nosuch was found"),
        (
            {"priority": 5},
            "the integer value of priority (5) must not be provided in pod spec; priority admission controller "
            "computed 0 from the given PriorityClass name",
        ),
        (
            {"preemptionPolicy": "Never"},
            "the string value of PreemptionPolicy (Never) must not be provided in pod spec; priority admission "
            "controller computed PreemptLowerPriority from the given PriorityClass name",
        ),
    ],
)
async def test_a_pod_may_not_choose_for_itself(cluster: Any, make_pod: Make, spec: Object, why: str) -> None:
    await cluster.namespace()
    with pytest.raises(StatusError) as caught:
        await cluster.create("pods", make_pod(**spec))
    assert caught.value.message == f'pods "a" is forbidden: {why}'


async def test_an_update_keeps_what_was_computed(cluster: Any, make_pod: Make) -> None:
    await cluster.namespace()
    old = make_pod(priority=4, preemptionPolicy="Never")
    attributes = await cluster.update("pods", make_pod(), old)
    assert (attributes.obj["spec"]["priority"], attributes.obj["spec"]["preemptionPolicy"]) == (4, "Never")


async def test_there_is_one_default_class(cluster: Any) -> None:
    await priority_class(cluster, "a", 1, globalDefault=True)
    second = {"metadata": {"name": "b"}, "value": 2, "globalDefault": True}
    with pytest.raises(StatusError, match="PriorityClass a is already marked as default"):
        await cluster.create("priorityclasses", second, group=GROUP)
    first = {"metadata": {"name": "a"}, "value": 1, "globalDefault": True}
    await cluster.update("priorityclasses", first, first, group=GROUP)
