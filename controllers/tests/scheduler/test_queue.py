"""The waiting pods: order, pauses, and what wakes them."""

from __future__ import annotations

from typing import Any

from controllers.scheduler.framework import ClusterEvent
from controllers.scheduler.pod import PodInfo
from controllers.scheduler.queue import MAX_WAIT_S, QueuedPod, SchedulingQueue
from controllers.tests.scheduler.cluster import Cluster, node, pod


class Waiting:
    """A queue with a clock that stands still."""

    def __init__(self) -> None:
        self.now = 100.0
        self.cluster = Cluster()
        self.queue = SchedulingQueue({"default-scheduler": self.cluster.profile}, lambda: self.now)

    def add(self, name: str, **spec: Any) -> PodInfo:
        info = self.cluster.templates.info(pod(name, **spec))
        self.queue.add(info)
        return info

    def pop(self) -> QueuedPod:
        queued = self.queue.pop()
        assert queued is not None
        return queued

    def node_added(self, name: str, **offered: str) -> None:
        obj = node(name, **offered)
        self.cluster.world.snapshot.set_node(obj)
        self.queue.react(ClusterEvent("nodes", "add", new=obj, row=self.cluster.world.snapshot.rows[name]))


def test_important_pods_come_first_then_the_oldest() -> None:
    waiting = Waiting()
    waiting.add("old")
    waiting.now += 1
    waiting.add("new")
    waiting.add("important", priority=5)
    assert [waiting.pop().info.name for _ in range(3)] == ["important", "old", "new"]
    assert waiting.queue.pop() is None


def test_a_pod_that_fits_nowhere_waits_for_an_event_that_helps() -> None:
    waiting = Waiting()
    waiting.add("p", requests={"cpu": "2"})
    waiting.queue.put_back(waiting.pop(), {"NodeResourcesFit"})
    assert waiting.queue.pop() is None
    waiting.node_added("small", cpu="1")
    assert waiting.queue.pop() is None
    waiting.node_added("large", cpu="2")
    assert waiting.pop().info.name == "p"


def test_an_error_pauses_longer_each_time() -> None:
    waiting = Waiting()
    waiting.add("p")
    pauses = []
    for _ in range(6):
        waiting.queue.put_back(waiting.pop(), (), is_error=True)
        due = waiting.queue.next_due()
        assert due is not None and waiting.queue.pop() is None
        pauses.append(due - waiting.now)
        waiting.now = due
    assert pauses == [1, 2, 4, 8, 10, 10]


def test_pods_that_fail_for_the_cluster_need_not_sit_out_their_pause_when_nothing_else_is_to_do() -> None:
    waiting = Waiting()
    waiting.add("p", requests={"cpu": "2"})
    waiting.queue.put_back(waiting.pop(), {"NodeResourcesFit"})
    waiting.node_added("n")
    waiting.add("q")
    assert [waiting.pop().info.name, waiting.pop().info.name] == ["q", "p"]


def test_of_pods_that_wake_together_the_most_important_comes_first() -> None:
    waiting = Waiting()
    for name, priority in (("low", 0), ("high", 5)):
        waiting.add(name, priority=priority, requests={"cpu": "2"})
        waiting.queue.put_back(waiting.pop(), {"NodeResourcesFit"})
        waiting.now += 0.1
    waiting.node_added("n")
    assert [waiting.pop().info.name for _ in range(2)] == ["high", "low"]


def test_gates_hold_a_pod_back_until_they_are_gone() -> None:
    waiting = Waiting()
    info = waiting.add("p", schedulingGates=[{"name": "g"}])
    assert waiting.queue.pop() is None
    freed = waiting.cluster.templates.info(pod("p"))
    assert freed.uid == info.uid
    waiting.queue.update(freed, {"gates"})
    assert waiting.pop().info is freed


def test_a_pod_whose_victims_are_being_deleted_is_not_tried_even_early() -> None:
    waiting = Waiting()
    info = waiting.add("p", requests={"cpu": "2"})
    waiting.queue.put_back(waiting.pop(), {"NodeResourcesFit"})
    waiting.cluster.world.preempting.add(info.uid)
    waiting.node_added("n")
    assert waiting.queue.pop() is None
    waiting.cluster.world.preempting.discard(info.uid)
    waiting.queue.recheck_gated()
    assert waiting.pop().info is info


def test_a_removed_pod_is_not_popped() -> None:
    waiting = Waiting()
    info = waiting.add("p")
    waiting.queue.remove(info.uid)
    assert waiting.queue.pop() is None and len(waiting.queue) == 0


def test_a_pod_removed_while_it_is_tried_does_not_come_back() -> None:
    waiting = Waiting()
    waiting.add("p")
    queued = waiting.pop()
    waiting.queue.remove(queued.info.uid)
    waiting.queue.put_back(queued, {"NodeResourcesFit"})
    waiting.node_added("n")
    assert waiting.queue.pop() is None


def test_nobody_waits_for_ever() -> None:
    waiting = Waiting()
    waiting.add("p")
    waiting.queue.put_back(waiting.pop(), {"NodeResourcesFit"})
    waiting.now += MAX_WAIT_S + 1
    waiting.queue.flush()
    assert waiting.pop().info.name == "p"


def test_a_change_of_the_pod_itself_may_help() -> None:
    waiting = Waiting()
    waiting.add("p")
    waiting.queue.put_back(waiting.pop(), {"TaintToleration"})
    tolerant = waiting.cluster.templates.info(pod("p", tolerations=[{"operator": "Exists"}]))
    waiting.queue.update(tolerant, {"tolerations"})
    assert waiting.pop().info is tolerant


def test_what_happens_during_an_attempt_is_not_missed() -> None:
    waiting = Waiting()
    waiting.add("p", requests={"cpu": "2"})
    queued = waiting.pop()
    waiting.node_added("small", cpu="1")
    waiting.queue.put_back(queued, {"NodeResourcesFit"})
    assert waiting.queue.pop() is None
    queued = waiting.queue.get("uid-p")
    waiting.node_added("large", cpu="2")
    assert waiting.pop() is queued
    waiting.node_added("larger", cpu="4")
    waiting.queue.put_back(queued, {"NodeResourcesFit"})
    assert waiting.pop() is queued


def test_room_that_was_promised_concerns_only_those_that_had_to_keep_away() -> None:
    waiting = Waiting()
    for name, priority in (("low", 0), ("high", 9)):
        waiting.add(name, priority=priority, requests={"cpu": "2"})
        waiting.queue.put_back(waiting.pop(), {"NodeResourcesFit"})
    promised = waiting.cluster.templates.info(pod("gone", priority=5, requests={"cpu": "2"}))
    waiting.queue.react(ClusterEvent("pods", "delete", old=promised.obj, pod=promised), most=5)
    assert waiting.pop().info.name == "low"
    assert waiting.queue.pop() is None


def test_errors_and_refusals_are_counted_apart() -> None:
    waiting = Waiting()
    waiting.add("p", requests={"cpu": "2"})
    for _ in range(3):
        waiting.queue.put_back(waiting.pop(), {"NodeResourcesFit"})
        waiting.now += 20
        waiting.node_added("n")
    waiting.queue.put_back(waiting.pop(), (), is_error=True)
    assert waiting.queue.next_due() == waiting.now + 1
