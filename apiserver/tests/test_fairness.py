from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from apiserver.bootstrap.flowcontrol import flowcontrol_objects
from apiserver.fairness import Fairness, Level
from apiserver.request import parse
from apiserver.resources.strategy import User

Object = Mapping[str, Any]

ALL = "system:authenticated"
ACCOUNTS = "system:serviceaccounts"


def objects() -> tuple[list[Object], list[Object]]:
    found = [dict(obj, metadata={**obj["metadata"], "uid": f"{obj['kind'][0]}-{obj['metadata']['name']}"})
             for obj in flowcontrol_objects("2026-01-01T00:00:00Z")]  # fmt: skip
    return [o for o in found if o["kind"] == "FlowSchema"], [o for o in found if o["kind"] != "FlowSchema"]


def level(name: str, shares: int, lendable: int = 0, queuing: Object | None = None) -> Object:
    response = {"type": "Queue", "queuing": queuing} if queuing else {"type": "Reject"}
    limited = {"nominalConcurrencyShares": shares, "lendablePercent": lendable, "limitResponse": response}
    return {"metadata": {"name": name, "uid": f"P-{name}"}, "spec": {"type": "Limited", "limited": limited}}


def schema(name: str, to: str, rule: Object, precedence: int = 50, per: str = "") -> Object:
    spec: dict[str, Any] = {
        "priorityLevelConfiguration": {"name": to},
        "matchingPrecedence": precedence,
        "rules": [{"subjects": [{"kind": "Group", "group": {"name": "*"}}], **rule}],
    }
    if per:
        spec["distinguisherMethod"] = {"type": per}
    return {"metadata": {"name": name, "uid": f"F-{name}"}, "spec": spec}


def paths(*urls: str) -> Object:
    return {"nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": list(urls)}]}


def resources(group: str, *names: str, **more: Any) -> Object:
    return {"resourceRules": [{"verbs": ["*"], "apiGroups": [group], "resources": list(names), **more}]}


@pytest.mark.parametrize(
    ("user", "groups", "method", "path", "found"),
    [
        ("admin", "system:masters", "GET", "/api/v1/pods", "exempt"),
        ("eve", ALL, "GET", "/healthz", "probes"),
        ("eve", ALL, "GET", "/readyz/ping", "probes"),
        ("eve", ALL, "GET", "/readyzz", "global-default"),
        ("eve", ALL, "POST", "/readyz", "global-default"),
        ("system:node:n1", "system:nodes", "PATCH", "/api/v1/nodes/n1/status", "system-node-high"),
        ("system:node:n1", "system:nodes", "GET", "/api/v1/nodes/n1/proxy", "system-nodes"),
        ("system:kube-scheduler", ALL, "PUT", "/apis/coordination.k8s.io/v1/namespaces/x/leases/a",
         "system-leader-election"),
        ("system:kube-scheduler", ALL, "PATCH", "/apis/coordination.k8s.io/v1/namespaces/x/leases/a", "kube-scheduler"),
        ("system:serviceaccount:kube-system:a", ACCOUNTS, "GET", "/api/v1/pods", "kube-system-service-accounts"),
        ("system:serviceaccount:kube-systems:a", ACCOUNTS, "GET", "/api/v1/pods", "service-accounts"),
        ("nobody", "", "GET", "/api/v1/pods", "catch-all"),
    ],
)  # fmt: skip
def test_default_flows(user: str, groups: str, method: str, path: str, found: str) -> None:
    fairness = Fairness()
    fairness.configure(*objects())
    flow = fairness.classify(User(user, groups=tuple(groups.split())), parse(method, path, b""))
    assert flow.schema == found
    assert dict(flow.headers) == {
        b"x-kubernetes-pf-flowschema-uid": f"F-{found}".encode(),
        b"x-kubernetes-pf-prioritylevel-uid": f"P-{flow.level.name}".encode(),
    }


@pytest.mark.parametrize(
    ("rule", "path", "matched"),
    [
        (paths("/a/*"), "/a/b", True),
        (paths("/a/*"), "/a", False),
        (paths("/a"), "/a/b", True),
        (paths("*"), "/api/v1/pods", False),
        (resources("", "pods", namespaces=["a"]), "/api/v1/namespaces/a/pods", True),
        (resources("", "pods", namespaces=["a"]), "/api/v1/namespaces/b/pods", False),
        (resources("", "pods", namespaces=["*"]), "/api/v1/pods", False),
        (resources("", "pods", clusterScope=True), "/api/v1/pods", True),
        (resources("", "pods", clusterScope=True), "/api/v1/namespaces/a/pods", False),
        (resources("", "pods", namespaces=["*"]), "/api/v1/namespaces/a/pods/x/status", False),
        (resources("", "pods/status", namespaces=["*"]), "/api/v1/namespaces/a/pods/x/status", True),
        (resources("apps", "*", namespaces=["*"]), "/api/v1/namespaces/a/pods", False),
        (resources("*", "*", namespaces=["*"]), "/apis/apps/v1/namespaces/a/deployments", True),
    ],
)
def test_rules(rule: Object, path: str, matched: bool) -> None:
    fairness = Fairness()
    schemas, levels = objects()
    fairness.configure([*schemas, schema("mine", "workload-low", rule)], levels)
    assert (fairness.classify(User("eve", groups=(ALL,)), parse("GET", path, b"")).schema == "mine") is matched


def test_a_schema_without_its_level_does_not_count_and_names_decide_between_equals() -> None:
    rule = paths("*")
    fairness = Fairness()
    schemas, levels = objects()
    mine = [schema(name, to, rule) for name, to in (("b", "system"), ("a", "system"), ("0", "gone"))]
    fairness.configure([*schemas, *mine], levels)
    assert fairness.classify(User("eve"), parse("GET", "/x", b"")).schema == "a"
    fairness.configure(schemas, levels)
    assert fairness.classify(User("eve"), parse("GET", "/x", b"")).schema == "catch-all"


def seats(*levels: Object, total: int = 10) -> tuple[Fairness, dict[str, Level]]:
    """Levels without the mandatory ones' shares; a path of its name leads to each."""
    named = [obj["metadata"]["name"] for obj in levels]
    fairness = Fairness(total)
    none = level("catch-all", 0)
    fairness.configure([schema(n, n, paths(f"/{n}"), per="ByUser") for n in named], [none, *levels])
    return fairness, {n: fairness.classify(User("eve"), parse("GET", f"/{n}", b"")).level for n in named}


def taken(fairness: Fairness, of: Level) -> int:
    """How many seats are free for a level, all taken now."""
    number = 0
    while fairness.start(of):
        number += 1
    return number


def test_a_level_keeps_what_it_does_not_lend() -> None:
    fairness, found = seats(level("a", 1, 40), level("b", 1))
    assert taken(fairness, found["b"]) == 7
    assert taken(fairness, found["a"]) == 3
    fairness.give_back(found["b"])
    assert taken(fairness, found["a"]) == 1
    fairness.give_back(found["b"])
    fairness.give_back(found["b"])
    assert taken(fairness, found["a"]) == 1
    assert taken(fairness, found["b"]) == 1


async def test_seats_go_first_to_the_level_that_has_least_of_its_own() -> None:
    queuing = {"queues": 1, "handSize": 1, "queueLengthLimit": 5}
    fairness, found = seats(level("a", 1, 100, queuing), level("b", 1, 100, queuing), total=2)
    assert taken(fairness, found["b"]) == 2
    flows = [fairness.classify(User("eve"), parse("GET", f"/{n}", b"")) for n in "ba"]
    waiting = [asyncio.ensure_future(fairness.wait(flow)) for flow in flows]
    await asyncio.sleep(0)
    fairness.give_back(found["b"])
    assert await waiting[1]
    assert not waiting[0].done()
    fairness.give_back(found["a"])
    assert await waiting[0]


async def test_full_queues_refuse_and_flows_take_turns() -> None:
    fairness, found = seats(level("a", 1, 0, {"queues": 64, "handSize": 1, "queueLengthLimit": 2}), total=1)
    assert taken(fairness, found["a"]) == 1
    ann, bob = (fairness.classify(User(u), parse("GET", "/a", b"")) for u in ("ann", "bob"))
    order: list[str] = []

    async def run(name: str) -> None:
        assert await fairness.wait(ann if name.startswith("ann") else bob)
        order.append(name)
        fairness.give_back(found["a"])

    running = [asyncio.ensure_future(run(name)) for name in ("ann1", "ann2", "bob1")]
    await asyncio.sleep(0)
    assert not await fairness.wait(ann)
    fairness.give_back(found["a"])
    await asyncio.gather(*running)
    assert order == ["ann1", "bob1", "ann2"]


async def test_levels_without_queues_refuse_at_once() -> None:
    fairness, found = seats(level("a", 1), total=1)
    assert taken(fairness, found["a"]) == 1
    assert not await fairness.wait(fairness.classify(User("eve"), parse("GET", "/a", b"")))


async def test_who_gives_up_waiting_leaves_the_seat_to_others() -> None:
    fairness, found = seats(level("a", 1, 0, {"queues": 1, "handSize": 1, "queueLengthLimit": 2}), total=1)
    assert taken(fairness, found["a"]) == 1
    flow = fairness.classify(User("eve"), parse("GET", "/a", b""))
    first, second, third = (asyncio.ensure_future(fairness.wait(flow)) for _ in range(3))
    await asyncio.sleep(0)
    assert not await third
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    fairness.give_back(found["a"])
    second.cancel()  # the seat is its own already
    await asyncio.gather(second, return_exceptions=True)
    assert taken(fairness, found["a"]) == 1


async def test_who_waits_in_a_level_that_is_gone_is_served_yet() -> None:
    fairness, found = seats(level("a", 1, 0, {"queues": 1, "handSize": 1, "queueLengthLimit": 2}), total=1)
    assert taken(fairness, found["a"]) == 1
    waiting = asyncio.ensure_future(fairness.wait(fairness.classify(User("eve"), parse("GET", "/a", b""))))
    await asyncio.sleep(0)
    fairness.configure([], [level("b", 1)])
    fairness.give_back(found["a"])
    assert await waiting
    fairness.give_back(found["a"])


async def test_exempt_requests_never_wait() -> None:
    fairness = Fairness(0)
    flow = fairness.classify(User("admin", groups=("system:masters",)), parse("GET", "/api/v1/pods", b""))
    assert fairness.start(flow.level)
    fairness.give_back(flow.level)
    assert not fairness.start(fairness.classify(User("eve"), parse("GET", "/", b"")).level)
