"""Devices for resource claims."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from controllers.scheduler.cycle import feasible_rows
from controllers.scheduler.framework import ALL, Diagnosis, Filter, PostFilter, PreBind, Reserve, SchedulingError
from controllers.scheduler.plugins.device_binding import is_ready
from controllers.scheduler.plugins.dynamic_resources import DynamicResources
from controllers.tests.scheduler.cluster import Cluster, Object, node, pod
from openapi.meta.times import format_time, now

if TYPE_CHECKING:
    from controllers.scheduler.framework import Binder

DRIVER = "gpu.example.com"


def device(name: str, **more: Any) -> Object:
    return {"name": name, **more}


def resource_slice(host: str, *devices: Object, count: int = 1, generation: int = 1, **more: Any) -> Object:
    pool = {"name": host, "generation": generation, "resourceSliceCount": count}
    spec = {"driver": DRIVER, "nodeName": host, "pool": pool, "devices": list(devices), **more}
    return {"metadata": {"name": f"{host}-{generation}"}, "spec": spec}


def resource_claim(*requests: Object, name: str = "d", **devices: Any) -> Object:
    metadata = {"namespace": "default", "name": name, "uid": f"uid-{name}"}
    return {"metadata": metadata, "spec": {"devices": {"requests": list(requests), **devices}}, "status": {}}


def exactly(name: str = "q", expression: str = "", **more: Any) -> Object:
    wanted: Object = {"deviceClassName": "gpu", **more}
    if expression:
        wanted["selectors"] = [{"cel": {"expression": expression}}]
    return {"name": name, "exactly": wanted}


def using(name: str = "d") -> Object:
    return pod("p", resourceClaims=[{"name": "r", "resourceClaimName": name}])


@pytest.fixture
def cluster() -> Cluster:
    """Nodes a, b; b has devices x (size 1) and y (size 2)."""
    made = Cluster(node("a"), node("b"))
    selector = {"cel": {"expression": f"device.driver == '{DRIVER}'"}}
    made.world.device_classes.put({"metadata": {"name": "gpu"}, "spec": {"selectors": [selector]}})
    sizes = [device(name, attributes={"size": {"int": size}}) for name, size in (("x", 1), ("y", 2))]
    made.world.resource_slices.put(resource_slice("b", *sizes))
    return made


def given(cluster: Cluster, on: str = "b") -> Object:
    """The claim's allocation once the pod is to run on the node."""
    cycle = cluster.cycle(using())
    assert not isinstance(feasible_rows(cycle), Diagnosis)
    for plugin in cluster.profile.of(Reserve):  # type: ignore[type-abstract]
        assert plugin.reserve(cycle, on) is None
    assumed = cluster.world.resource_claims.get("default", "d")
    assert assumed is not None
    allocation: Object = assumed["status"]["allocation"]
    return allocation


def names(allocation: Object) -> list[str]:
    return [result["device"] for result in allocation["devices"]["results"]]


def test_the_pod_goes_where_the_devices_are(cluster: Cluster) -> None:
    cluster.world.resource_claims.put(resource_claim(exactly(count=2, allocationMode="ExactCount")))
    assert cluster.feasible(using()) == {"b"}
    assert given(cluster) == {
        "devices": {
            "results": [
                {"request": "q", "driver": DRIVER, "pool": "b", "device": "x"},
                {"request": "q", "driver": DRIVER, "pool": "b", "device": "y"},
            ]
        },
        "nodeSelector": {
            "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}]
        },
    }


def test_too_few_devices_are_told(cluster: Cluster) -> None:
    cluster.world.resource_claims.put(resource_claim(exactly(count=3)))
    assert cluster.place(using()) == "0/2 nodes are available: 2 cannot allocate all claims."


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (f"device.attributes['{DRIVER}'].size > 1", ["y"]),
        (f"device.attributes['{DRIVER}'].size == 1", ["x"]),
        ("has(device.attributes['other.example.com'].size)", []),
    ],
)
def test_selectors_choose_devices(cluster: Cluster, expression: str, expected: list[str]) -> None:
    cluster.world.resource_claims.put(resource_claim(exactly(expression=expression)))
    assert (names(given(cluster)) if cluster.feasible(using()) else []) == expected


def test_a_selector_that_fails_is_an_error(cluster: Cluster) -> None:
    cluster.world.resource_claims.put(resource_claim(exactly(expression=f"device.attributes['{DRIVER}'].weight > 1")))
    with pytest.raises(SchedulingError, match="no such key: weight"):
        cluster.feasible(using())


def test_quantities_compare(cluster: Cluster) -> None:
    large = device("z", capacity={"memory": {"value": "16Gi"}})
    cluster.world.resource_slices.put(resource_slice("b", device("w", capacity={"memory": {"value": "8Gi"}}), large))
    expression = f"device.capacity['{DRIVER}'].memory.compareTo(quantity('10Gi')) > 0"
    cluster.world.resource_claims.put(resource_claim(exactly(expression=expression)))
    assert names(given(cluster)) == ["z"]


def test_all_devices_may_be_asked_for(cluster: Cluster) -> None:
    cluster.world.resource_claims.put(resource_claim(exactly(allocationMode="All")))
    assert names(given(cluster)) == ["x", "y"]


def test_the_first_alternative_that_works_is_taken(cluster: Cluster) -> None:
    def alternative(name: str, count: int) -> Object:
        return {"name": name, "deviceClassName": "gpu", "count": count}

    request = {"name": "q", "firstAvailable": [alternative("many", 3), alternative("one", 1)]}
    cluster.world.resource_claims.put(resource_claim(request))
    assert [result["request"] for result in given(cluster)["devices"]["results"]] == ["q/one"]


def test_devices_may_have_to_match(cluster: Cluster) -> None:
    rule = {"matchAttribute": f"{DRIVER}/size", "requests": ["q"]}
    cluster.world.resource_claims.put(resource_claim(exactly(count=2), constraints=[rule]))
    assert cluster.feasible(using()) == set()
    cluster.world.resource_slices.put(
        resource_slice("b", *(device(name, attributes={"size": {"int": 2}}) for name in "xyz"), generation=2)
    )
    assert names(given(cluster)) == ["x", "y"]


def test_an_incomplete_pool_is_not_used(cluster: Cluster) -> None:
    cluster.world.resource_slices.put(resource_slice("b", device("z"), count=2, generation=2))
    cluster.world.resource_claims.put(resource_claim(exactly()))
    assert cluster.feasible(using()) == set()


def test_a_tainted_device_must_be_tolerated(cluster: Cluster) -> None:
    cluster.world.resource_slices.put(
        resource_slice("b", device("z", taints=[{"key": "sick", "effect": "NoSchedule"}]), generation=2)
    )
    cluster.world.resource_claims.put(resource_claim(exactly()))
    assert cluster.feasible(using()) == set()
    cluster.world.resource_claims.put(resource_claim(exactly(tolerations=[{"operator": "Exists"}])))
    assert cluster.feasible(using()) == {"b"}


def test_partitions_share_counters(cluster: Cluster) -> None:
    def part(name: str, memory: str) -> Object:
        return device(name, consumesCounters=[{"counterSet": "card", "counters": {"memory": {"value": memory}}}])

    shared = [{"name": "card", "counters": {"memory": {"value": "40Gi"}}}]
    parts = [part("whole", "40Gi"), part("half", "20Gi"), part("other", "20Gi")]
    cluster.world.resource_slices.put(resource_slice("b", *parts, generation=2, sharedCounters=shared))
    cluster.world.resource_claims.put(resource_claim(exactly(count=2)))
    assert names(given(cluster)) == ["half", "other"]


def test_what_others_hold_is_taken_unless_for_administration(cluster: Cluster) -> None:
    cluster.world.resource_claims.put(resource_claim(exactly(allocationMode="All")))
    allocation = given(cluster)
    cluster.world.resource_claims.put(resource_claim(exactly(), name="e"))
    assert cluster.feasible(using("e")) == set()
    cluster.world.resource_claims.put(resource_claim(exactly(adminAccess=True), name="f"))
    assert cluster.feasible(using("f")) == {"b"}
    assert names(allocation) == ["x", "y"]


def test_classes_and_claims_configure(cluster: Cluster) -> None:
    opaque = {"opaque": {"driver": DRIVER, "parameters": {"mode": "fast"}}}
    cluster.world.device_classes.put({"metadata": {"name": "gpu"}, "spec": {"config": [opaque]}})
    cluster.world.resource_claims.put(resource_claim(exactly(), config=[{"requests": ["q"], **opaque}]))
    assert given(cluster)["devices"]["config"] == [
        {"source": "FromClass", **opaque},
        {"source": "FromClaim", **opaque},
    ]


def test_a_claim_elsewhere_that_nobody_uses_gives_its_devices_back(cluster: Cluster) -> None:
    claim = resource_claim(exactly())
    cluster.world.resource_claims.put(claim)
    allocation = given(cluster)
    cluster.world.resource_claims.put({**claim, "status": {"allocation": allocation}})
    waiting = using()
    waiting["spec"]["nodeSelector"] = {"kubernetes.io/hostname": "a"}
    cycle = cluster.cycle(waiting)
    diagnosis = feasible_rows(cycle)
    assert isinstance(diagnosis, Diagnosis)
    assert "1 resourceclaim not available on the node" in diagnosis.message()
    plugin = cluster.profile.of(PostFilter)[0]  # type: ignore[type-abstract]
    result = plugin.post_filter(cycle, diagnosis)
    assert result.deallocate is not None and "allocation" not in result.deallocate["status"]
    assert result.message == "deallocation of ResourceClaim completed"


def shared(memory: str, **policy: Any) -> Object:
    capacity: Object = {"value": memory}
    if policy:
        capacity["requestPolicy"] = policy
    return device("z", allowMultipleAllocations=True, capacity={"memory": capacity})


def share(amount: str) -> Object:
    return exactly(capacity={"requests": {"memory": amount}})


def test_a_shared_device_serves_claims_until_it_is_used_up(cluster: Cluster) -> None:
    cluster.world.resource_slices.put(resource_slice("b", shared("10Gi"), generation=2))
    cluster.world.resource_claims.put(resource_claim(share("6Gi")))
    (result,) = given(cluster)["devices"]["results"]
    assert result["consumedCapacity"] == {"memory": "6Gi"} and result["shareID"]
    cluster.world.resource_claims.put(resource_claim(share("5Gi"), name="e"))
    assert cluster.feasible(using("e")) == set()
    cluster.world.resource_claims.put(resource_claim(share("4Gi"), name="f"))
    assert cluster.feasible(using("f")) == {"b"}


@pytest.mark.parametrize(
    ("policy", "asked", "taken"),
    [
        ({"default": "1Gi"}, None, "1Gi"),
        ({}, None, "10Gi"),
        ({"default": "1Gi", "validValues": ["1Gi", "2Gi", "4Gi"]}, "3Gi", "4Gi"),
        ({"default": "1Gi", "validValues": ["1Gi", "2Gi"]}, "3Gi", None),
        ({"default": "1Gi", "validRange": {"min": "1Gi", "step": "2Gi"}}, "2Gi", "3Gi"),
        ({"default": "1Gi", "validRange": {"min": "1Gi", "max": "2Gi"}}, "3Gi", None),
        ({}, "11Gi", None),
    ],
)
def test_shares_follow_the_policy_of_the_device(
    cluster: Cluster, policy: Object, asked: str | None, taken: str | None
) -> None:
    cluster.world.resource_slices.put(resource_slice("b", shared("10Gi", **policy), generation=2))
    cluster.world.resource_claims.put(resource_claim(exactly() if asked is None else share(asked)))
    if taken is None:
        assert cluster.feasible(using()) == set()
    else:
        assert given(cluster)["devices"]["results"][0]["consumedCapacity"] == {"memory": taken}


@pytest.mark.parametrize(
    ("slices", "error"),
    [
        (
            [resource_slice("b", device("z"), count=2, generation=2)],
            "resource pool .* is currently being",
        ),
        (
            [resource_slice("b", device("z"), device("z"), generation=2)],
            "resource pool .* is currently inv",
        ),
        (
            [resource_slice("b", *(device(f"z{i}") for i in range(33)), generation=2)],
            "claim default/d: number of requested devices 33 exceeds the claim limit of 32",
        ),
    ],
    ids=["incomplete", "invalid", "too many"],
)
def test_all_devices_of_a_pool_must_be_known(cluster: Cluster, slices: list[Object], error: str) -> None:
    for each in slices:
        cluster.world.resource_slices.put(each)
    cluster.world.resource_claims.put(resource_claim(exactly(allocationMode="All")))
    with pytest.raises(SchedulingError, match=error):
        cluster.feasible(using())


def test_an_invalid_pool_is_told_where_devices_lack(cluster: Cluster) -> None:
    cluster.world.resource_slices.put(resource_slice("b", device("z"), device("z"), generation=2))
    cluster.world.resource_claims.put(resource_claim(exactly()))
    assert cluster.place(using()) == (
        "0/2 nodes are available: 1 cannot allocate all claims, 1 invalid resource pools were encountered."
    )


def test_all_devices_must_meet_the_constraints(cluster: Cluster) -> None:
    rule = {"matchAttribute": f"{DRIVER}/size"}
    cluster.world.resource_claims.put(resource_claim(exactly(allocationMode="All"), constraints=[rule]))
    with pytest.raises(SchedulingError, match=r"request q: cannot add device .*/b/y because a claim"):
        cluster.feasible(using())


def test_the_node_that_has_what_is_wanted_first_is_better(cluster: Cluster) -> None:
    cluster.world.resource_slices.put(resource_slice("a", device("z")))
    alternatives = [
        {"name": "two", "deviceClassName": "gpu", "count": 2},
        {"name": "one", "deviceClassName": "gpu", "count": 1},
    ]
    cluster.world.resource_claims.put(resource_claim({"name": "q", "firstAvailable": alternatives}))
    scores = cluster.scores(using())
    assert scores["b"] - scores["a"] == 100 - 100 * 7 // 8


def test_the_search_for_devices_ends(cluster: Cluster) -> None:
    cluster.world.resource_claims.put(resource_claim(exactly()))
    cycle = cluster.cycle(using())
    plugin = next(p for p in cluster.profile.of(Filter) if p.name == "DynamicResources")  # type: ignore[type-abstract]
    assert isinstance(plugin, DynamicResources)
    assert plugin.pre_filter(cycle) is None
    cycle.state[plugin.name].deadline = 0.0
    with pytest.raises(SchedulingError, match="timed out trying to allocate devices"):
        plugin.filter(cycle, ALL)


# devices that must be made ready

READY, FAILED = "Attached", "Broken"


def published(cluster: Cluster) -> Object:
    """A claim for a device that must be attached to the node first."""
    cluster.world.resource_slices.put(
        resource_slice(
            "b",
            device("z", bindingConditions=[READY], bindingFailureConditions=[FAILED], bindsToNode=True),
            generation=2,
            nodeName=None,
            allNodes=True,
        )
    )
    claim = resource_claim(exactly())
    cluster.world.resource_claims.put(claim)
    return claim


def waiting_device(cluster: Cluster) -> tuple[Object, Object]:
    """The claim, and the allocation it gets."""
    return published(cluster), given(cluster, "a")


def told(claim: Object, allocation: Object, since: str = "2026-01-01T00:00:00Z", **conditions: str) -> Object:
    result = allocation["devices"]["results"][0]
    entry = {field: result[field] for field in ("driver", "pool", "device")}
    entry["conditions"] = [
        {"type": name, "status": status, "reason": "R", "message": "m"} for name, status in conditions.items()
    ]
    status = {"allocation": {**allocation, "allocationTimestamp": since}, "devices": [entry]}
    return {**claim, "status": status}


def test_the_claim_says_what_is_waited_for_and_where(cluster: Cluster) -> None:
    _, allocation = waiting_device(cluster)
    (result,) = allocation["devices"]["results"]
    assert (result["bindingConditions"], result["bindingFailureConditions"]) == ([READY], [FAILED])
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]}
    assert allocation["nodeSelector"] == {"nodeSelectorTerms": [term]}


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({READY: "True"}, True),
        ({READY: "False"}, False),
        ({}, False),
        ({READY: "True", FAILED: "True"}, 'claim d binding failed: reason=R, message="m"'),
    ],
    ids=["ready", "not ready", "nothing told", "failed"],
)
def test_a_device_is_ready_when_its_conditions_hold(
    cluster: Cluster, conditions: dict[str, str], expected: bool | str
) -> None:
    claim = told(*waiting_device(cluster), **conditions)
    if isinstance(expected, str):
        with pytest.raises(SchedulingError, match=expected):
            is_ready(claim)
    else:
        assert is_ready(claim) is expected


def test_a_claim_whose_device_is_never_ready_is_given_back(cluster: Cluster) -> None:
    claim, allocation = waiting_device(cluster)
    cluster.world.resource_claims.put(told(claim, allocation, since=format_time(now())))
    cluster.world.resource_claims.restore("default", "d")
    assert cluster.feasible(using()) == {"a"}
    cluster.world.resource_claims.put(told(claim, allocation))
    assert cluster.place(using()) == "0/2 nodes are available: 2 resourceclaim not available on the node."
    cycle = cluster.cycle(using())
    diagnosis = feasible_rows(cycle)
    assert isinstance(diagnosis, Diagnosis)
    result = cluster.profile.of(PostFilter)[0].post_filter(cycle, diagnosis)  # type: ignore[type-abstract]
    assert result.deallocate is not None and result.deallocate["status"] == {}


async def test_the_pod_waits_for_its_devices_and_leaves_the_claim_if_they_fail(cluster: Cluster) -> None:
    claim = published(cluster)
    cycle = cluster.cycle(using())
    assert not isinstance(feasible_rows(cycle), Diagnosis)
    cycle.pod.node = "a"
    plugin = next(p for p in cluster.profile.of(PreBind) if p.name == "DynamicResources")  # type: ignore[type-abstract]
    assert isinstance(plugin, DynamicResources) and plugin.reserve(cycle, "a") is None and plugin.will_act(cycle)

    class Api:
        told: list[str] = []
        released: list[str] = []

        async def update(self, collection: str, obj: Any, subresource: str = "") -> Any:
            return obj

        async def until(self, holds: Any, timeout_s: float) -> bool:
            assert not holds()
            assumed = cluster.world.resource_claims.get("default", "d")
            assert assumed is not None
            allocation = assumed["status"]["allocation"]
            cluster.world.resource_claims.assume(told(claim, allocation, since=format_time(now()), **{FAILED: "True"}))
            return bool(holds())

        def tell(self, pod: Any, reason: str, note: str) -> None:
            self.told.append(note)

        async def release(self, claim: Any, pod: Any) -> None:
            self.released.append(claim["metadata"]["name"])

    api = Api()
    with pytest.raises(SchedulingError, match="claim d binding failed"):
        await plugin.pre_bind(cycle, "a", cast("Binder", api))
    await plugin.roll_back(cycle, "a", cast("Binder", api))
    assert api.told == ["waiting for binding conditions for device on node a"]
    assert api.released == ["d"]
