"""Which changes of the cluster wake which pods."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.scheduler.framework import ClusterEvent
from controllers.scheduler.intake import node_fields
from controllers.tests.scheduler.cluster import Cluster, Object, node, pod

TAINT = {"key": "k", "effect": "NoSchedule"}
ZONE = "topology.kubernetes.io/zone"
SPREAD = {
    "maxSkew": 1,
    "topologyKey": ZONE,
    "whenUnsatisfiable": "DoNotSchedule",
    "labelSelector": {"matchLabels": {"app": "a"}},
}


def cordoned(obj: Object) -> Object:
    return {**obj, "spec": {**obj["spec"], "unschedulable": True}}


@pytest.mark.parametrize(
    ("plugin", "spec", "before", "after", "expected"),
    [
        ("NodeAffinity", {"nodeSelector": {"x": "1"}}, node("a"), node("a", labels={"x": "1"}), True),
        ("NodeAffinity", {"nodeSelector": {"x": "1"}}, node("a"), node("a", labels={"y": "1"}), False),
        (
            "NodeAffinity",
            {"nodeSelector": {"x": "1"}},
            node("a", labels={"x": "1"}),
            node("a", labels={"x": "1", "y": "1"}),
            False,
        ),
        ("TaintToleration", {}, node("a", taints=[TAINT]), node("a"), True),
        ("TaintToleration", {}, node("a"), node("a", labels={"x": "1"}), False),
        ("TaintToleration", {"tolerations": [{"operator": "Exists"}]}, node("a"), node("a", taints=[TAINT]), False),
        ("NodeUnschedulable", {}, cordoned(node("a")), node("a"), True),
        ("NodeUnschedulable", {}, node("a"), node("a", cpu="9"), False),
        ("NodeName", {}, node("a"), node("a", cpu="9"), False),
        ("PodTopologySpread", {"topologySpreadConstraints": [SPREAD]}, node("a"), node("a", labels={ZONE: "z"}), True),
        ("PodTopologySpread", {"topologySpreadConstraints": [SPREAD]}, node("a"), node("a", cpu="9"), False),
        (
            "PodTopologySpread",
            {"topologySpreadConstraints": [SPREAD]},
            node("a", labels={ZONE: "z"}),
            node("a", labels={ZONE: "z"}, cpu="9"),
            False,
        ),
    ],
)
def test_a_node_that_changes(plugin: str, spec: Any, before: Object, after: Object, expected: bool) -> None:
    cluster = Cluster(after)
    info = cluster.templates.info(pod("p", labels={"app": "a"}, **spec))
    row = cluster.world.snapshot.rows["a"]
    event = ClusterEvent("nodes", "update", node_fields(before, after), before, after, row=row)
    assert cluster.profile.plugins[plugin].wakes(event, info) is expected


def holding(port: int, ip: str = "", protocol: str = "TCP") -> Object:
    obj = pod("q")
    obj["spec"]["containers"][0]["ports"] = [{"hostPort": port, "hostIP": ip, "protocol": protocol}]
    return obj


@pytest.mark.parametrize(
    ("freed", "expected"),
    [
        (holding(80), True),
        (holding(80, "127.0.0.1"), True),
        (holding(80, "127.0.0.2"), False),
        (holding(80, protocol="UDP"), False),
        (holding(81), False),
    ],
)
def test_a_port_that_is_free_again(freed: Object, expected: bool) -> None:
    cluster = Cluster(node("a"))
    other = cluster.templates.info(freed)
    waiting = cluster.templates.info(holding(80, "127.0.0.1"))
    event = ClusterEvent("pods", "delete", old=other.obj, pod=other)
    assert cluster.profile.plugins["NodePorts"].wakes(event, waiting) is expected


@pytest.mark.parametrize(
    ("plugin", "resource", "before", "after", "expected"),
    [
        ("VolumeZone", "volumes", {ZONE: "a"}, {ZONE: "b"}, True),
        ("VolumeZone", "volumes", {ZONE: "a"}, {ZONE: "a", "x": "y"}, False),
    ],
)
def test_a_volume_that_changes(plugin: str, resource: str, before: Object, after: Object, expected: bool) -> None:
    cluster = Cluster(node("a"))
    old, new = ({"metadata": {"name": "v", "labels": labels}, "spec": {}} for labels in (before, after))
    event = ClusterEvent(resource, "update", old=old, new=new)
    assert cluster.profile.plugins[plugin].wakes(event, cluster.templates.info(pod("p"))) is expected


def test_pods_that_start_or_stop_to_count_change_how_others_spread() -> None:
    cluster = Cluster(node("a", labels={ZONE: "z"}))
    waiting = cluster.templates.info(pod("p", labels={"app": "a"}, topologySpreadConstraints=[SPREAD]))
    spread = cluster.profile.plugins["PodTopologySpread"]

    def relabelled(before: str, after: str) -> ClusterEvent:
        old, new = pod("q", labels={"app": before}), pod("q", labels={"app": after})
        return ClusterEvent("pods", "update", frozenset({"labels"}), old, new, cluster.templates.info(old))

    assert spread.wakes(relabelled("a", "b"), waiting) and spread.wakes(relabelled("b", "a"), waiting)
    assert not spread.wakes(relabelled("b", "c"), waiting)
    leaving = ClusterEvent("pods", "update", frozenset({"deletion"}), pod("q"), pod("q"), waiting)
    assert not spread.wakes(leaving, waiting)
