"""Pods near and far from each other."""

from __future__ import annotations

from typing import Any

import pytest

from controllers.tests.scheduler.cluster import Cluster, Object, node, pod

REQUIRED, PREFERRED = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)


def term(app: str, key: str = "zone", **more: Any) -> Object:
    return {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key, **more}


def near(*terms: Object) -> Object:
    return {"podAffinity": {REQUIRED: list(terms)}}


def far(*terms: Object) -> Object:
    return {"podAntiAffinity": {REQUIRED: list(terms)}}


@pytest.fixture
def cluster() -> Cluster:
    """Nodes a, b in zone z1; c in z2; a pod of app web on a."""
    made = Cluster(*(node(name, labels={"zone": zone}) for name, zone in (("a", "z1"), ("b", "z1"), ("c", "z2"))))
    made.run(pod("web", labels={"app": "web"}), "a")
    return made


def test_near_means_the_same_domain(cluster: Cluster) -> None:
    assert cluster.feasible(pod("p", affinity=near(term("web")))) == {"a", "b"}
    assert cluster.feasible(pod("q", affinity=near(term("web", "kubernetes.io/hostname")))) == {"a"}


def test_far_means_another_domain(cluster: Cluster) -> None:
    assert cluster.feasible(pod("p", affinity=far(term("web")))) == {"c"}


def test_one_pod_must_match_all_terms(cluster: Cluster) -> None:
    cluster.run(pod("db", labels={"app": "db"}), "a")
    assert cluster.feasible(pod("p", affinity=near(term("web"), term("db")))) == set()


def test_the_first_of_a_group_may_start_anywhere(cluster: Cluster) -> None:
    assert cluster.feasible(pod("p", labels={"app": "x"}, affinity=near(term("x")))) == {"a", "b", "c"}
    assert cluster.place(pod("q", affinity=near(term("x")))) == (
        "0/3 nodes are available: 3 node(s) didn't match pod affinity rules."
    )


def test_pods_that_are_there_keep_others_away(cluster: Cluster) -> None:
    cluster.run(pod("shy", affinity=far(term("x"))), "c")
    assert cluster.feasible(pod("p", labels={"app": "x"})) == {"a", "b"}
    cluster.world.snapshot.remove_pod("uid-shy")
    assert cluster.feasible(pod("p", labels={"app": "x"})) == {"a", "b", "c"}


def test_namespaces_are_named_or_selected(cluster: Cluster) -> None:
    other = pod("other", labels={"app": "web"})
    other["metadata"]["namespace"] = "blue"
    cluster.run(other, "c")
    cluster.world.snapshot.set_namespace("blue", {"team": "blue"})
    assert cluster.feasible(pod("p", affinity=near(term("web", namespaces=["blue"])))) == {"c"}
    selected = term("web", namespaceSelector={"matchLabels": {"team": "blue"}})
    assert cluster.feasible(pod("q", affinity=near(selected))) == {"c"}
    cluster.world.snapshot.set_namespace("blue", {})
    assert cluster.feasible(pod("q", affinity=near(selected))) == set()


def test_wishes_are_weighed_both_ways(cluster: Cluster) -> None:
    wish = {PREFERRED: [{"weight": 10, "podAffinityTerm": term("web")}]}
    liked = cluster.scores(pod("p", affinity={"podAffinity": wish}))
    disliked = cluster.scores(pod("q", affinity={"podAntiAffinity": wish}))
    assert liked["b"] - liked["c"] == 2 * 100
    assert disliked["b"] - disliked["c"] == -2 * 100


def test_a_pod_is_drawn_to_those_that_require_it(cluster: Cluster) -> None:
    cluster.run(pod("fan", affinity=near(term("star")), labels={"app": "star"}), "c")
    cluster.run(pod("weight", labels={"app": "none"}), "b")
    scores = cluster.scores(pod("p", labels={"app": "star"}))
    assert scores["c"] - scores["b"] == 2 * 100
