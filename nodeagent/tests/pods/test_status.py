from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from nodeagent.pods.apply import Applier
from nodeagent.pods.plan import Verdict
from nodeagent.pods.publish import status_patch
from nodeagent.pods.security import container_security
from nodeagent.pods.state import PodState
from nodeagent.pods.status import StatusFacts, WaitReason, make_status, rejected_status, terminated_status
from nodeagent.runtime.protocol import Image
from nodeagent.tests.pods.samples import Object, ended, make_pod, make_sandbox, make_state, nothing_probed, running

PROBE = {"exec": {"command": ["true"]}}
NOW = datetime(2026, 1, 1, tzinfo=UTC)
FACTS = StatusFacts("containerd", {}, nothing_probed, NOW, host_ips=("192.0.2.1",))


def conditions(status: Object) -> dict[str, tuple[str, str]]:
    return {item["type"]: (item["status"], item.get("reason", "")) for item in status["conditions"]}


def test_a_pod_of_which_nothing_runs_yet_waits() -> None:
    status = make_status(make_pod([{"name": "a"}]), PodState(), FACTS)
    assert status["phase"] == "Pending"
    assert status["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert "resources" not in status["containerStatuses"][0]
    assert conditions(status) == {
        "PodReadyToStartContainers": ("False", ""),
        "Initialized": ("True", ""),
        "Ready": ("False", "ContainersNotReady"),
        "ContainersReady": ("False", "ContainersNotReady"),
        "PodScheduled": ("True", ""),
    }


def test_a_running_pod_is_ready_and_has_an_address() -> None:
    status = make_status(make_pod([{"name": "a"}]), make_state(running("a")), FACTS)
    assert (status["phase"], status["podIP"], status["hostIP"]) == ("Running", "10.0.0.2", "192.0.2.1")
    container = status["containerStatuses"][0]
    assert (container["ready"], container["started"], container["containerID"]) == (True, True, "containerd://a-0")
    assert conditions(status)["Ready"] == ("True", "")


@pytest.mark.parametrize(
    ("policy", "codes", "phase"),
    [
        ("Always", (0, 0), "Running"),
        ("OnFailure", (0, 0), "Succeeded"),
        ("OnFailure", (0, 2), "Running"),
        ("Never", (0, 0), "Succeeded"),
        ("Never", (0, 2), "Failed"),
    ],
)
def test_the_phase_follows_policy_and_exit_codes(policy: str, codes: tuple[int, int], phase: str) -> None:
    pod = make_pod([{"name": "a"}, {"name": "b"}], restartPolicy=policy)
    state = make_state(ended("a", codes[0]), ended("b", codes[1]))
    assert make_status(pod, state, FACTS)["phase"] == phase


def test_a_stopped_pod_has_ended_whatever_its_policy() -> None:
    facts = replace(FACTS, is_terminal=True)
    assert make_status(make_pod([{"name": "a"}]), make_state(ended("a")), facts)["phase"] == "Succeeded"
    assert make_status(make_pod([{"name": "a"}]), make_state(ended("a", 9)), facts)["phase"] == "Failed"


def test_a_container_that_waits_for_its_restart_says_why() -> None:
    facts = replace(FACTS, reasons={"a": WaitReason("CrashLoopBackOff", "back-off 10s")})
    status = make_status(make_pod([{"name": "a"}]), make_state(ended("a", 1, attempt=1)), facts)
    container = status["containerStatuses"][0]
    assert container["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
    assert container["lastState"]["terminated"]["exitCode"] == 1
    assert container["restartCount"] == 1


def test_an_old_reason_does_not_hide_a_container_that_stays_ended() -> None:
    facts = replace(FACTS, reasons={"a": WaitReason("CrashLoopBackOff")})
    pod = make_pod([{"name": "a"}], restartPolicy="Never")
    container = make_status(pod, make_state(ended("a", 1)), facts)["containerStatuses"][0]
    assert "terminated" in container["state"]


def test_probes_decide_what_is_started_and_ready() -> None:
    pod = make_pod([{"name": "a", "startupProbe": PROBE, "readinessProbe": PROBE}])
    verdicts = {"startup": Verdict.UNKNOWN, "readiness": Verdict.UNKNOWN}
    facts = replace(FACTS, verdict=lambda kind, _: verdicts[kind])

    def shown() -> tuple[bool, bool]:
        container = make_status(pod, make_state(running("a")), facts)["containerStatuses"][0]
        return container["started"], container["ready"]

    assert shown() == (False, False)
    verdicts["startup"] = Verdict.SUCCESS
    assert shown() == (True, False)
    verdicts["readiness"] = Verdict.SUCCESS
    assert shown() == (True, True)


def test_init_containers_hold_the_pod_back() -> None:
    pod = make_pod([{"name": "a"}], [{"name": "i"}, {"name": "j"}])
    status = make_status(pod, make_state(running("i")), FACTS)
    assert status["phase"] == "Pending"
    assert status["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing"
    initialized = next(item for item in status["conditions"] if item["type"] == "Initialized")
    assert initialized["message"] == "containers with incomplete status: [i j]"


def test_an_unready_sidecar_makes_the_pod_unready() -> None:
    pod = make_pod([{"name": "a"}], [{"name": "i", "restartPolicy": "Always", "readinessProbe": PROBE}])
    status = make_status(pod, make_state(running("a"), running("i")), FACTS)
    ready = next(item for item in status["conditions"] if item["type"] == "Ready")
    assert (ready["status"], ready["message"]) == ("False", "containers with unready status: [i]")


def test_conditions_of_others_and_times_of_change_stay() -> None:
    pod = make_pod([{"name": "a"}], readinessGates=[{"conditionType": "x/gate"}])
    old: Any = {
        "conditions": [
            {"type": "x/gate", "status": "False"},
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"},
        ]
    }
    status = make_status(pod, make_state(running("a")), replace(FACTS, old=old))
    assert status["conditions"][0]["type"] == "x/gate"
    assert status["conditions"][-1]["lastTransitionTime"] == "2020-01-01T00:00:00Z"
    assert conditions(status)["Ready"] == ("False", "ReadinessGatesNotReady")


def test_an_ended_pod_never_lives_again() -> None:
    facts = replace(FACTS, old={"phase": "Failed", "reason": "Evicted", "message": "m"})
    status = make_status(make_pod([{"name": "a"}]), make_state(running("a")), facts)
    assert (status["phase"], status["reason"], status["message"]) == ("Failed", "Evicted", "m")


def test_a_rejected_pod_has_failed_before_it_began() -> None:
    status = rejected_status(make_pod([{"name": "a"}]), "OutOfcpu", "too much", NOW)
    assert (status["phase"], status["reason"]) == ("Failed", "OutOfcpu")
    assert status["message"] == "Pod was rejected: too much"


def test_what_is_not_known_to_have_ended_is_lost() -> None:
    status = make_status(make_pod([{"name": "a"}]), make_state(sandbox=make_sandbox(is_ready=False)), FACTS)
    found = terminated_status(make_pod([{"name": "a"}]), status)
    assert found["phase"] == "Failed"
    assert found["containerStatuses"][0]["state"]["terminated"]["reason"] == "ContainerStatusUnknown"


def test_last_words_share_the_room() -> None:
    pod = make_pod([{"name": f"c{n}"} for n in range(4)], restartPolicy="Never")
    state = make_state(*(ended(f"c{n}") for n in range(4)))
    words = {f"c{n}-0": "x" * 4096 for n in range(4)}
    found = make_status(pod, state, replace(FACTS, last_words=words))["containerStatuses"]
    assert [len(item["state"]["terminated"]["message"]) for item in found] == [3072] * 4


def test_who_is_ended_for_the_nodes_sake_is_told_so_once() -> None:
    facts = replace(FACTS, failure=("Evicted", "low on memory"), disruption="low on memory", is_terminal=True)
    pod = make_pod([{"name": "a"}])
    status = make_status(pod, make_state(ended("a", 137)), facts)
    target = status["conditions"][-1]
    assert {name: target[name] for name in ("type", "status", "reason", "message")} == {
        "type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet", "message": "low on memory",
    }  # fmt: skip
    patch = status_patch({**pod, "status": {"conditions": status["conditions"][:-1]}}, status)
    assert patch["conditions"] == status["conditions"]
    assert "conditions" not in status_patch({**pod, "status": {"conditions": status["conditions"][::-1]}}, status)
    again = make_status(pod, make_state(ended("a", 137)), replace(facts, old=status))
    assert [item["type"] for item in again["conditions"]].count("DisruptionTarget") == 1


def test_containers_are_told_of_by_name_but_init_containers_as_they_are_declared() -> None:
    pod = make_pod([{"name": "z"}, {"name": "a"}], init=[{"name": "y"}, {"name": "b"}])
    pod["spec"]["ephemeralContainers"] = [{"name": "x"}, {"name": "c"}]
    status = make_status(pod, make_state(ended("y"), ended("b"), running("z"), running("a")), FACTS)
    names = {sort: [item["name"] for item in items] for sort, items in status.items() if sort.endswith("Statuses")}
    assert names == {
        "initContainerStatuses": ["y", "b"],
        "containerStatuses": ["a", "z"],
        "ephemeralContainerStatuses": ["c", "x"],
    }


def test_what_is_set_aside_for_a_pod_as_a_whole_counts_without_its_containers() -> None:
    pod = make_pod([{"name": "a"}], resources={"requests": {"cpu": "20m", "memory": "1Mi"}})
    assert make_status(pod, make_state(running("a")), FACTS)["allocatedResources"] == {"cpu": "20m", "memory": "1Mi"}


CRASHED = WaitReason("CrashLoopBackOff", "later")


@pytest.mark.parametrize(
    ("before", "after", "seconds"),
    [
        ({}, {"a": CRASHED}, 2.0),
        ({"a": CRASHED}, {"a": CRASHED}, None),
        ({}, {"a": WaitReason("ErrImagePull")}, None),
        ({"a": WaitReason("ErrImagePull")}, {"a": WaitReason("ImagePullBackOff")}, 10.0),
        ({"a": WaitReason("ErrImagePull"), "b": CRASHED}, {"a": WaitReason("ImagePullBackOff")}, None),
        ({}, {"a": WaitReason("CreateContainerError"), "b": CRASHED}, None),
    ],
)
def test_how_a_container_came_to_wait_is_seen_for_a_while(
    before: dict[str, WaitReason], after: dict[str, WaitReason], seconds: float | None
) -> None:
    tools: Any = None
    applier = Applier(tools, on_sandbox=tools)
    applier.reasons, applier.retry_s = after, 10.0
    assert applier.pause_s(before) == seconds


def test_who_is_not_named_is_root() -> None:
    pod = make_pod([{"name": "a"}])
    image = Image("sha256:1", (), (), 1)
    assert container_security(pod, {"name": "a"}, image).run_as_user == 0
    named = container_security(pod, {"name": "a"}, replace(image, username="web"))
    assert (named.run_as_user, named.run_as_username) == (None, "web")


def test_what_is_removed_so_that_all_begin_anew_is_told_to_have_ended_so() -> None:
    rule = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}
    asking = {"name": "a", "restartPolicy": "Never", "restartPolicyRules": [rule]}
    pod = make_pod([asking, {"name": "b"}], init=[{"name": "i"}], restartPolicy="Never")
    begun = make_status(pod, make_state(ended("i"), ended("a", 42), running("b")), FACTS)
    told = next(item for item in begun["conditions"] if item["type"] == "AllContainersRestarting")
    assert (told["status"], told["reason"]) == ("True", "RestartAllContainersStarted")
    assert "observedGeneration" not in told
    gone = make_status(pod, make_state(), replace(FACTS, old=begun))
    assert (gone["phase"], conditions(gone)["Initialized"]) == ("Running", ("True", ""))
    for item in (*gone["initContainerStatuses"], *gone["containerStatuses"]):
        message = "The container is removed because RestartAllContainers in place"
        assert item["state"] == {"waiting": {"reason": "RestartingAllContainers", "message": message}}
        assert item["lastState"]["terminated"].items() >= {"exitCode": 137, "reason": "RestartingAllContainers"}.items()
        assert item["restartCount"] == 1
    anew = make_status(pod, make_state(running("i", attempt=1)), replace(FACTS, old=gone))
    assert anew["initContainerStatuses"][0]["lastState"] == gone["initContainerStatuses"][0]["lastState"]
