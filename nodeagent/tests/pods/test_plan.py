from __future__ import annotations

import pytest

from nodeagent.pods.plan import ProbeVerdict, Verdict, hash_of, plan_pod, restarts_all
from nodeagent.pods.state import PodState
from nodeagent.runtime.protocol import State
from nodeagent.tests.pods.samples import (
    Object,
    ended,
    make_container,
    make_pod,
    make_sandbox,
    make_state,
    nothing_probed,
    running,
)

SIDECAR: Object = {"name": "i", "restartPolicy": "Always"}


def failing(kind: str, container_id: str) -> ProbeVerdict:
    return lambda k, c: Verdict.FAILURE if (k, c) == (kind, container_id) else Verdict.UNKNOWN


def test_a_new_pod_gets_a_sandbox_and_its_containers() -> None:
    plan = plan_pod(make_pod([{"name": "a"}, {"name": "b"}]), PodState(), nothing_probed)
    assert (plan.create_sandbox, plan.attempt, plan.start) == (True, 0, ["a", "b"])


def test_a_new_pod_with_init_containers_starts_only_the_first() -> None:
    pod = make_pod([{"name": "a"}], [{"name": "i"}, {"name": "j"}])
    plan = plan_pod(pod, PodState(), nothing_probed)
    assert (plan.start_init, plan.start) == (["i"], [])


def test_what_runs_stays() -> None:
    plan = plan_pod(make_pod([{"name": "a"}]), make_state(running("a")), nothing_probed)
    assert not (plan.kill_pod or plan.create_sandbox or plan.kill or plan.start)


@pytest.mark.parametrize(
    ("policy", "exit_code", "starts"),
    [("Always", 0, True), ("Always", 1, True), ("OnFailure", 0, False), ("OnFailure", 1, True), ("Never", 1, False)],
)
def test_an_ended_container_starts_again_by_policy(policy: str, exit_code: int, starts: bool) -> None:
    pod = make_pod([{"name": "a"}, {"name": "b"}], restartPolicy=policy)
    plan = plan_pod(pod, make_state(ended("a", exit_code), running("b")), nothing_probed)
    assert plan.start == (["a"] if starts else [])
    assert not plan.kill_pod


def test_a_rule_for_an_exit_code_wins_over_the_policy() -> None:
    rule = {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}
    pod = make_pod([{"name": "a", "restartPolicy": "Never", "restartPolicyRules": [rule]}], restartPolicy="Never")
    assert plan_pod(pod, make_state(ended("a", 42)), nothing_probed).start == ["a"]
    assert plan_pod(pod, make_state(ended("a", 5)), nothing_probed).kill_pod


def test_a_pod_whose_containers_are_all_done_is_stopped() -> None:
    pod = make_pod([{"name": "a"}], restartPolicy="Never")
    plan = plan_pod(pod, make_state(ended("a")), nothing_probed)
    assert plan.kill_pod and not plan.create_sandbox


def test_a_lost_sandbox_is_made_anew() -> None:
    state = make_state(ended("a", 137), sandbox=make_sandbox(is_ready=False))
    plan = plan_pod(make_pod([{"name": "a"}]), state, nothing_probed)
    assert (plan.kill_pod, plan.create_sandbox, plan.attempt, plan.start) == (True, True, 1, ["a"])


def test_a_lost_sandbox_of_what_runs_once_is_not_made_anew() -> None:
    state = make_state(ended("a", 137), sandbox=make_sandbox(is_ready=False))
    plan = plan_pod(make_pod([{"name": "a"}], restartPolicy="Never"), state, nothing_probed)
    assert plan.kill_pod and not plan.create_sandbox


def test_a_changed_image_restarts_the_container_whatever_the_policy() -> None:
    pod = make_pod([{"name": "a", "image": "new"}], restartPolicy="Never")
    old = {"io.kubernetes.container.hash": hash_of({"name": "a", "image": "old"})}
    plan = plan_pod(pod, make_state(make_container("a", State.RUNNING, annotations=old)), nothing_probed)
    assert plan.kill[0].message == "Container a definition changed, will be restarted"
    assert plan.start == ["a"]


def test_a_failed_liveness_probe_restarts_the_container() -> None:
    plan = plan_pod(make_pod([{"name": "a"}]), make_state(running("a")), failing("liveness", "a-0"))
    assert plan.kill[0].message == "Container a failed liveness probe, will be restarted"
    assert plan.kill[0].reason == "liveness"


def test_the_next_init_container_follows_a_success() -> None:
    pod = make_pod([{"name": "a"}], [{"name": "i"}, {"name": "j"}])
    assert plan_pod(pod, make_state(ended("i")), nothing_probed).start_init == ["j"]
    assert plan_pod(pod, make_state(ended("j"), ended("i")), nothing_probed).start == ["a"]


def test_a_failed_init_container_ends_a_pod_that_is_never_restarted() -> None:
    pod = make_pod([{"name": "a"}], [{"name": "i"}], restartPolicy="Never")
    assert plan_pod(pod, make_state(ended("i", 1)), nothing_probed).kill_pod
    pod["spec"]["restartPolicy"] = "OnFailure"
    assert plan_pod(pod, make_state(ended("i", 1)), nothing_probed).start_init == ["i"]


def test_a_sidecar_lets_the_rest_start_once_it_has_started() -> None:
    probed = {**SIDECAR, "startupProbe": {"exec": {}}}
    pod = make_pod([{"name": "a"}], [probed])
    assert plan_pod(pod, make_state(running("i")), nothing_probed).start == []
    passed = plan_pod(pod, make_state(running("i")), lambda kind, _: Verdict.SUCCESS)
    assert passed.start == ["a"]


def test_an_ended_sidecar_starts_again_beside_the_others() -> None:
    pod = make_pod([{"name": "a"}], [SIDECAR], restartPolicy="Never")
    plan = plan_pod(pod, make_state(running("a"), ended("i", 3)), nothing_probed)
    assert plan.start_init == ["i"] and not plan.kill_pod


def test_a_sidecar_does_not_keep_a_finished_pod_alive() -> None:
    pod = make_pod([{"name": "a"}], [SIDECAR], restartPolicy="Never")
    plan = plan_pod(pod, make_state(ended("a"), running("i")), nothing_probed)
    assert plan.kill_pod and plan.start_init == []


def test_ephemeral_containers_start_once() -> None:
    pod = make_pod([{"name": "a"}], ephemeralContainers=[{"name": "e"}])
    assert plan_pod(pod, make_state(running("a")), nothing_probed).start_ephemeral == ["e"]
    assert plan_pod(pod, make_state(running("a"), ended("e", 1)), nothing_probed).start_ephemeral == []


def test_a_deleted_pod_starts_nothing() -> None:
    pod = make_pod([{"name": "a"}, {"name": "b"}])
    pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert plan_pod(pod, make_state(ended("a"), running("b")), nothing_probed).start == []


def test_one_container_has_all_begin_anew_itself_last() -> None:
    rule = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}
    pod = make_pod([{"name": "asks", "restartPolicy": "Never", "restartPolicyRules": [rule]}, {"name": "b"}])
    going_on = {"conditions": [{"type": "AllContainersRestarting", "status": "True"}]}
    state = make_state(ended("asks", 42), running("b"))
    assert restarts_all(pod, state, {})
    plan = plan_pod(pod, state, nothing_probed, all_anew=True)
    assert [container.name for container in plan.reset] == ["b", "asks"] and not plan.start
    assert not restarts_all(pod, make_state(ended("asks", 41), running("b")), {})
    assert restarts_all(pod, make_state(running("b")), going_on)
    assert not restarts_all(pod, make_state(), going_on)
