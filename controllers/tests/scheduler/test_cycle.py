"""Placing pods: who is turned away, in which words, and who is chosen."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from controllers.scheduler.cycle import sample_size, total_scores
from controllers.scheduler.framework import Diagnosis, SchedulingError
from controllers.tests.scheduler.cluster import Cluster, node, pod

EXISTS = [{"operator": "Exists"}]


def affinity(*terms: dict[str, Any]) -> dict[str, Any]:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    return {"affinity": {"nodeAffinity": required}}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


def named(*names: str) -> dict[str, Any]:
    return {"matchFields": [{"key": "metadata.name", "operator": "In", "values": list(names)}]}


def test_without_nodes_there_is_one_sentence() -> None:
    assert "no nodes available to schedule pods" in Cluster().place(pod("p"))


def test_each_node_gives_its_first_reason_and_texts_are_sorted() -> None:
    cordoned = node("a", taints=[{"key": "k", "effect": "NoSchedule"}])
    cordoned["spec"]["unschedulable"] = True
    tainted = node("b", taints=[{"key": "k", "effect": "NoExecute"}])
    cluster = Cluster(cordoned, tainted, node("c", cpu="1", memory="1Gi"), node("d", cpu="1"))
    assert cluster.place(pod("p", requests={"cpu": "2", "memory": "2Gi"})) == (
        "0/4 nodes are available: 1 Insufficient memory, 1 node(s) had untolerated taint(s), "
        "1 node(s) were unschedulable, 2 Insufficient cpu."
    )


@pytest.mark.parametrize(
    ("spec", "feasible"),
    [
        pytest.param({"nodeSelector": {"disk": "ssd"}}, "a", id="selector"),
        pytest.param(affinity(expression("disk", "In", "ssd", "hdd")), "ab", id="In"),
        pytest.param(affinity(expression("disk", "NotIn", "ssd")), "bc", id="NotIn holds without the label"),
        pytest.param(affinity(expression("disk", "Exists")), "ab", id="Exists"),
        pytest.param(affinity(expression("disk", "DoesNotExist")), "c", id="DoesNotExist"),
        pytest.param(affinity(expression("size", "Gt", "5")), "b", id="Gt"),
        pytest.param(affinity(expression("size", "Lt", "5")), "a", id="Lt"),
        pytest.param(affinity(expression("disk", "In", "ssd"), named("c")), "ac", id="terms are alternatives"),
        pytest.param(affinity({}), "", id="an empty term holds nowhere"),
        pytest.param(affinity(named("b")), "b", id="by name"),
    ],
)
def test_node_affinity(spec: dict[str, Any], feasible: str) -> None:
    labels: list[dict[str, str]] = [{"disk": "ssd", "size": "1"}, {"disk": "hdd", "size": "10"}, {"size": "big"}]
    cluster = Cluster(*(node(name, labels=own) for name, own in zip("abc", labels, strict=True)))
    assert cluster.feasible(pod("p", **spec)) == set(feasible)


def test_names_that_contradict_each_other_refuse_the_pod_at_once() -> None:
    term = {"matchFields": [*named("a")["matchFields"], *named("b")["matchFields"]]}
    assert Cluster(node("a"), node("b")).place(pod("p", **affinity(term))) == (
        "0/2 nodes are available: pod affinity terms conflict."
    )


def test_nodes_left_out_by_name_are_counted_together() -> None:
    cluster = Cluster(node("a", cpu="1"), node("b"), node("c"))
    assert cluster.place(pod("p", requests={"cpu": "2"}, **affinity(named("a")))) == (
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]."
    )


def test_a_pod_waits_where_there_is_no_place_for_one_more() -> None:
    cluster = Cluster(node("a", pods="1"))
    cluster.run(pod("x"), "a")
    assert cluster.place(pod("p")) == "0/1 nodes are available: 1 Too many pods."


@pytest.mark.parametrize(
    ("held", "wanted", "fits"),
    [
        ({"hostPort": 80}, {"hostPort": 80}, False),
        ({"hostPort": 80}, {"hostPort": 81}, True),
        ({"hostPort": 80, "protocol": "UDP"}, {"hostPort": 80}, True),
        ({"hostPort": 80, "hostIP": "10.0.0.1"}, {"hostPort": 80, "hostIP": "10.0.0.2"}, True),
        ({"hostPort": 80, "hostIP": "10.0.0.1"}, {"hostPort": 80}, False),
        ({"hostPort": 80}, {"hostPort": 80, "hostIP": "10.0.0.1"}, False),
    ],
)
def test_host_ports(held: dict[str, Any], wanted: dict[str, Any], fits: bool) -> None:
    def with_port(name: str, port: dict[str, Any]) -> dict[str, Any]:
        obj = pod(name)
        obj["spec"]["containers"][0]["ports"] = [{"containerPort": 1, **port}]
        return obj

    cluster = Cluster(node("a"))
    cluster.run(with_port("x", held), "a")
    assert cluster.feasible(with_port("p", wanted)) == ({"a"} if fits else set())
    cluster.world.snapshot.remove_pod("uid-x")
    assert cluster.feasible(with_port("p", wanted)) == {"a"}


def test_the_emptier_node_is_chosen() -> None:
    cluster = Cluster(node("a"), node("b"))
    cluster.run(pod("x", requests={"cpu": "2", "memory": "1Gi"}), "a")
    assert cluster.place(pod("p")) == "b"


def test_the_fuller_node_is_chosen_when_so_configured() -> None:
    strategy = {"type": "MostAllocated", "resources": [{"name": "cpu", "weight": 1}]}
    arguments = [{"name": "NodeResourcesFit", "args": {"scoringStrategy": strategy}}]
    plugins = {"multiPoint": {"disabled": [{"name": "NodeResourcesBalancedAllocation"}]}}
    cluster = Cluster(node("a"), node("b"), configuration={"plugins": plugins, "pluginConfig": arguments})
    cluster.run(pod("x", requests={"cpu": "2"}), "a")
    assert cluster.place(pod("p", requests={"cpu": "1"})) == "a"


def test_a_shape_gives_points_by_utilization() -> None:
    shape = [{"utilization": 0, "score": 0}, {"utilization": 100, "score": 10}]
    strategy = {
        "type": "RequestedToCapacityRatio",
        "resources": [{"name": "cpu", "weight": 1}],
        "requestedToCapacityRatio": {"shape": shape},
    }
    configuration = {
        "plugins": {"score": {"disabled": [{"name": "*"}], "enabled": [{"name": "NodeResourcesFit"}]}},
        "pluginConfig": [{"name": "NodeResourcesFit", "args": {"scoringStrategy": strategy}}],
    }
    cluster = Cluster(node("a"), node("b"), configuration=configuration)
    cluster.run(pod("x", requests={"cpu": "2"}), "a")
    assert cluster.scores(pod("p", requests={"cpu": "1"})) == {"a": 75, "b": 25}


def test_a_taint_that_would_rather_not_have_the_pod_loses_points() -> None:
    taint = {"key": "k", "effect": "PreferNoSchedule"}
    cluster = Cluster(node("a", taints=[taint]), node("b"))
    assert cluster.place(pod("p")) == "b"
    scores = cluster.scores(pod("q", tolerations=EXISTS))
    assert scores["a"] == scores["b"]


def test_preferred_nodes_are_weighed() -> None:
    def preference(key: str, weight: int) -> dict[str, Any]:
        return {"weight": weight, "preference": expression(key, "Exists")}

    preferred = {"preferredDuringSchedulingIgnoredDuringExecution": [preference("x", 1), preference("y", 5)]}
    cluster = Cluster(node("a", labels={"x": "1"}), node("b", labels={"y": "1"}), node("c"))
    scores = cluster.scores(pod("p", affinity={"nodeAffinity": preferred}))
    assert (scores["b"] - scores["c"], scores["a"] - scores["c"]) == (2 * 100, 2 * 20)


def test_a_node_that_has_the_image_is_preferred() -> None:
    has_it = node("a")
    has_it["status"]["images"] = [{"names": ["i:latest"], "sizeBytes": 10**11}]
    assert Cluster(has_it, node("b")).place(pod("p")) == "a"


def test_a_pod_leaves_the_room_that_was_promised_to_a_more_important_one() -> None:
    cluster = Cluster(node("a"))
    important = cluster.templates.info(pod("x", requests={"cpu": "4"}, priority=10))
    cluster.nominations.set(important, "a")
    assert cluster.place(pod("p", requests={"cpu": "1"})) == "0/1 nodes are available: 1 Insufficient cpu."
    assert cluster.place(pod("q", requests={"cpu": "1"}, priority=11)) == "a"


def test_what_is_kept_per_workload_is_what_a_fresh_look_finds() -> None:
    rng = random.Random(7)
    cluster, fresh = Cluster(), Cluster()
    waiting = pod("p", requests={"cpu": "500m"}, nodeSelector={"zone": "z1"})
    for step in range(300):
        name = f"n{rng.randrange(80)}"
        if rng.random() < 0.4:
            taints = [{"key": "k", "effect": "NoSchedule"}] if rng.random() < 0.2 else []
            changed = node(name, labels={"zone": f"z{rng.randrange(2)}"}, taints=taints)
            for each in (cluster, fresh):
                each.world.snapshot.set_node(changed)
        elif rng.random() < 0.2:
            for each in (cluster, fresh):
                each.world.snapshot.remove_node(name)
        else:
            obj = pod(f"x{rng.randrange(120)}", requests={"cpu": f"{rng.randrange(1, 20)}00m"})
            for each in (cluster, fresh):
                each.run(obj, name)
        for each in (fresh,):
            each.templates = type(each.templates)()
        assert cluster.feasible(waiting) == fresh.feasible(waiting), step
        if cluster.feasible(waiting):
            assert cluster.scores(waiting) == fresh.scores(waiting), step


def test_scores_need_at_least_one_row_each() -> None:
    cluster = Cluster(node("a"))
    cycle = cluster.cycle(pod("p"))
    assert not isinstance(cluster.feasible(pod("p")), Diagnosis)
    assert len(total_scores(cycle, np.array([cluster.world.snapshot.rows["a"]]))) == 1


@pytest.mark.parametrize(
    ("percentage", "nodes", "enough"),
    [(0, 5000, 5000), (50, 99, 99), (50, 150, 100), (10, 5000, 500), (100, 5000, 5000)],
)
def test_a_percentage_of_the_nodes_is_enough(percentage: int, nodes: int, enough: int) -> None:
    assert sample_size(percentage, nodes) == enough


def test_the_nodes_that_are_ranked_change_from_pod_to_pod() -> None:
    cluster = Cluster(*(node(f"n{number:03}") for number in range(150)), configuration={"percentageOfNodesToScore": 1})
    first, second = cluster.feasible(pod("p")), cluster.feasible(pod("q"))
    assert len(first) == len(second) == 100
    assert len(first & second) == 50


def test_errors_name_the_plugin_they_come_from() -> None:
    cluster = Cluster(node("a"))
    cluster.world.device_classes.put(
        {"metadata": {"name": "c"}, "spec": {"selectors": [{"cel": {"expression": "1 +"}}]}}
    )
    claim = {"metadata": {"namespace": "default", "name": "x", "uid": "x"}}
    claim |= {"spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c", "count": 1}}]}}}
    cluster.world.resource_claims.put(claim)
    pool = {"name": "p", "generation": 1, "resourceSliceCount": 1}
    slice_spec = {"driver": "d", "pool": pool, "allNodes": True, "devices": [{"name": "d0"}]}
    cluster.world.resource_slices.put({"metadata": {"name": "s"}, "spec": slice_spec})
    with pytest.raises(SchedulingError, match=r'^running "DynamicResources" filter plugin: '):
        cluster.feasible(pod("p", resourceClaims=[{"name": "x", "resourceClaimName": "x"}]))


def test_a_node_must_declare_what_a_pod_asks_of_its_agent() -> None:
    able = node("a")
    able["status"]["declaredFeatures"] = ["RestartAllContainersOnContainerExits"]
    rule = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [1]}}
    demanding = pod("p")
    demanding["spec"]["containers"][0] |= {"restartPolicy": "Never", "restartPolicyRules": [rule]}
    assert Cluster(able, node("b")).feasible(demanding) == {"a"}
    assert Cluster(node("b")).place(demanding) == (
        "0/1 nodes are available: 1 node declared features check failed - unsatisfied requirements: "
        "RestartAllContainersOnContainerExits."
    )


STRATEGIES: list[dict[str, Any]] = [
    {},
    {"type": "MostAllocated", "resources": [{"name": "cpu", "weight": 3}, {"name": "example.com/x", "weight": 1}]},
    {
        "type": "RequestedToCapacityRatio",
        "resources": [{"name": "cpu", "weight": 1}],
        "requestedToCapacityRatio": {"shape": [{"utilization": 0, "score": 10}, {"utilization": 100, "score": 0}]},
    },
]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=["least", "most", "ratio"])
def test_a_row_that_is_looked_at_alone_gets_what_all_rows_get(strategy: dict[str, Any]) -> None:
    resources = [{"name": name, "weight": 1} for name in ("cpu", "memory", "example.com/x")]
    configuration = {
        "pluginConfig": [
            {"name": "NodeResourcesFit", "args": {"scoringStrategy": strategy} if strategy else {}},
            {"name": "NodeResourcesBalancedAllocation", "args": {"resources": resources}},
        ]
    }
    soft = [{"key": "k", "effect": "PreferNoSchedule"}]
    nodes = [
        node("a", taints=soft, **{"example.com/x": "4"}),
        node("b", cpu="2"),
        node("c", labels={"x": "1"}),
        node("d"),
    ]
    kept, fresh = (Cluster(*nodes, configuration=configuration) for _ in range(2))
    preferred = {"weight": 5, "preference": expression("x", "In", "1")}
    near = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [preferred]}}
    asking = pod("p", requests={"cpu": "500m", "memory": "1Gi"}, affinity=near)
    demanding = pod("q", requests={"cpu": "700m", "example.com/x": "1"})
    for number in range(12):
        for each in (asking, demanding):
            kept.feasible(each)  # so that only the changed row is new
            assert kept.scores(each) == Cluster.scores(fresh, each)
        on = "abcd"[number % 4]
        running = pod(f"r{number}", requests={"cpu": "600m", "memory": f"{number}00Mi"})
        kept.run(running, on)
        fresh = Cluster(*nodes, configuration=configuration)
        for earlier in kept.world.snapshot.pods.values():
            fresh.run(dict(earlier.obj), earlier.node)


def test_a_node_that_the_pod_makes_more_even_is_better_than_one_that_is_even_anyway() -> None:
    configuration = {
        "plugins": {
            "score": {"disabled": [{"name": "*"}], "enabled": [{"name": "NodeResourcesBalancedAllocation"}]},
        }
    }
    cluster = Cluster(
        node("a", cpu="10", memory="10Gi"), node("b", cpu="10", memory="10Gi"), configuration=configuration
    )
    cluster.run(pod("v", requests={"memory": "8Gi"}), "b")
    asking = pod("p", requests={"cpu": "4"})
    # a: 100 without it, 80 with it; b: 60 without it, 80 with it
    assert cluster.scores(asking) == {"a": 65, "b": 85}
