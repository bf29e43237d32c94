"""From the first init container to the last signal: orders, restarts, probes, hooks and ends of real containers."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from typing import Any

import pytest

from conformance.machines import SLEEP, Lab, Object, box, container, is_true, once, pod, state
from conformance.processes import eventually

QUICK = {"periodSeconds": 1, "timeoutSeconds": 5}
SHARED: dict[str, Any] = {"volumes": [{"name": "shared", "emptyDir": {}}]}
MOUNTED: dict[str, Any] = {"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}
SERVER = "mkdir -p /tmp/www; echo ok > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www"
HEALTH = """
import sys, grpc
from concurrent.futures import ThreadPoolExecutor
ANSWERS = {b"": b"\\x08\\x01", b"\\x0a\\x04open": b"\\x08\\x01", b"\\x0a\\x06closed": b"\\x08\\x02"}
def check(request, context):
    if request not in ANSWERS:
        context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
    return ANSWERS[request]
methods = {"Check": grpc.unary_unary_rpc_method_handler(check)}
server = grpc.server(ThreadPoolExecutor(2))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("grpc.health.v1.Health", methods),))
server.add_insecure_port("0.0.0.0:50051")
server.start()
server.wait_for_termination()
"""
"""A gRPC health server that knows two services, of which one is well."""


def health_server() -> Object:
    """It runs in its container by the Python of the machine, whose files are at /host."""
    python = ["env", f"PYTHONPATH={':'.join(filter(None, sys.path))}", sys.executable, "-c", HEALTH]
    place = {"volumeMounts": [{"name": "machine", "mountPath": "/host", "readOnly": True}]}
    return box("main", "chroot", "/host", *python, **place, readinessProbe=grpc_probe("open"))


def grpc_probe(service: str, **fields: Any) -> Object:
    return {"grpc": {"port": 50051, "service": service}, **QUICK, **fields}


def script(text: str) -> tuple[str, ...]:
    return ("sh", "-c", text)


def note(word: str, then: str = "") -> tuple[str, ...]:
    return script(f"echo {word} >> /shared/order; {then}")


def exec_probe(command: str, **fields: Any) -> Object:
    return {"exec": {"command": ["sh", "-c", command]}, **QUICK, **fields}


PODS = (
    pod(
        "ordered", *note("main", "cat /shared/order"), **SHARED, main=MOUNTED, restartPolicy="Never",
        initContainers=[
            box("first", *note("first", "sleep 1"), **MOUNTED),
            box("side", *note("side", f"touch /shared/up; {SLEEP[-1]}"), restartPolicy="Always",
                startupProbe=exec_probe("test -e /shared/up"), **MOUNTED),
            box("last", *note("last"), **MOUNTED),
        ],
    ),
    once("init-fails", "true", initContainers=[box("bad", "false"), box("never", "true")]),
    pod("always", *script("echo run; exit 1")),
    pod("on-failure", *script("test -e /shared/seen && exit 0; touch /shared/seen; exit 2"), **SHARED, main=MOUNTED,
        restartPolicy="OnFailure"),
    once("last-words", "echo bye > /dev/termination-log; exit 1"),
    pod("words-from-log", *script("echo from the log; exit 1"), restartPolicy="Never",
        main={"terminationMessagePolicy": "FallbackToLogsOnError"}),
    pod("gated", *script(SERVER), main={"ports": [{"name": "web", "containerPort": 8080}],
        "readinessProbe": exec_probe("test -e /tmp/ready", failureThreshold=1)}),
    pod("by-http", *script(SERVER), main={"ports": [{"name": "web", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/index.html", "port": "web"}, **QUICK}}),
    pod("by-http-missing", *script(SERVER),
        main={"readinessProbe": {"httpGet": {"path": "/missing", "port": 8080}, **QUICK}}),
    pod("by-tcp", *script(SERVER), main={"readinessProbe": {"tcpSocket": {"port": 8080}, **QUICK}}),
    pod("by-grpc", main=health_server(), volumes=[{"name": "machine", "hostPath": {"path": "/"}}],
        terminationGracePeriodSeconds=0, others=[
            box("closed", readinessProbe=grpc_probe("closed")),
            box("unknown", livenessProbe=grpc_probe("unknown", failureThreshold=1), startupProbe=grpc_probe(
                "", failureThreshold=60))]),
    pod("ill", *script(f"touch /tmp/well; sleep 2; rm /tmp/well; {SLEEP[-1]}"),
        main={"livenessProbe": exec_probe("test -e /tmp/well", failureThreshold=2, initialDelaySeconds=1)}),
    pod("slow-start", *script(f"sleep 2; touch /tmp/up; {SLEEP[-1]}"), main={
        "startupProbe": exec_probe("test -e /tmp/up", failureThreshold=60),
        "livenessProbe": exec_probe("test -e /tmp/up", failureThreshold=1)}),
    pod("hooked", *script(f"trap 'sleep 0.5; exit 0' TERM; {SLEEP[-1].partition(';')[2]}"), **SHARED,
        main={**MOUNTED, "lifecycle": {
            "postStart": {"exec": {"command": ["sh", "-c", "echo started > /shared/hook"]}},
            "preStop": {"exec": {"command": ["sh", "-c", "echo stopping > /proc/1/fd/1"]}}}}),
    pod("bad-hook", main={"lifecycle": {"postStart": {"exec": {"command": ["sh", "-c", "exit 9"]}}}}),
    pod("stubborn", *script("trap '' TERM; while :; do sleep 0.2; done"), terminationGracePeriodSeconds=600),
    pod("anew", **SHARED, restartPolicy="Never", initContainers=[box("first", *note("first"), **MOUNTED)], others=[
        box("asks", *script(f"test -e /shared/seen || {{ touch /shared/seen; sleep 1; exit 42; }}; {SLEEP[-1]}"),
            restartPolicy="Never", **MOUNTED, restartPolicyRules=[
                {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}])]),
    once("late", "sleep 60", activeDeadlineSeconds=3, terminationGracePeriodSeconds=0),
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def pods(lab: Lab) -> None:
    service = {"selector": {"app": "gated"}, "ports": [{"port": 80, "targetPort": "web"}]}
    lab.make({"kind": "Service", "metadata": {"name": "gated"}, "spec": service}, *PODS)


def test_containers_begin_in_their_order(lab: Lab) -> None:
    lab.phase("ordered", "Succeeded")
    assert lab("logs", "ordered", "-c", "main").split() == ["first", "side", "last", "main"]
    ended = lab.pod("ordered")
    assert [s["name"] for s in ended["status"]["initContainerStatuses"]] == ["first", "side", "last"]
    assert state(ended, "first")["terminated"]["reason"] == "Completed"
    # The sidecar runs beside the others and is ended after them.
    assert state(ended, "side")["terminated"]["finishedAt"] >= state(ended, "main")["terminated"]["finishedAt"]
    assert is_true(ended, "Initialized")


def test_nothing_begins_after_an_init_container_that_failed(lab: Lab) -> None:
    failed = lab.phase("init-fails", "Failed")
    assert state(failed, "bad")["terminated"]["exitCode"] == 1
    assert state(failed, "never") == state(failed, "main") == {"waiting": {"reason": "PodInitializing"}}
    assert lab("get", "pod", "init-fails", "--no-headers").split()[2] == "Init:Error"


def test_a_container_that_ends_is_started_again_and_then_later(lab: Lab) -> None:
    restarted = lab.restarted("always")
    lab.waiting("always", "CrashLoopBackOff")
    restarted = lab.pod("always")
    assert restarted["status"]["phase"] == "Running"
    assert container(restarted)["lastState"]["terminated"]["exitCode"] == 1
    message = lab.waiting("always", "CrashLoopBackOff")["message"]
    assert message.startswith("back-off 10s restarting failed container=main pod=always_") or message.startswith(
        "back-off 20s restarting failed container=main pod=always_"
    )
    assert lab("logs", "always", "--previous") == "run\n"
    eventually(lambda: any(reason == "BackOff" for reason, _ in lab.api.events("always")))


def test_a_container_is_started_again_only_after_a_failure(lab: Lab) -> None:
    done = lab.phase("on-failure", "Succeeded")
    assert container(done)["restartCount"] == 1
    assert container(done)["lastState"]["terminated"]["exitCode"] == 2


def test_last_words_are_kept(lab: Lab) -> None:
    for name, words in (("last-words", "bye\n"), ("words-from-log", "from the log\n")):
        assert state(lab.phase(name, "Failed"))["terminated"]["message"] == words


def _endpoints(lab: Lab, ready: bool) -> list[str]:
    slices = lab.api.list("discovery.k8s.io/v1/endpointslices", "kubernetes.io/service-name=gated")
    found = [end for item in slices for end in item.get("endpoints") or ()]
    return [end["addresses"][0] for end in found if end["conditions"]["ready"] == ready]


def test_readiness_decides_whether_a_service_sends_anything(lab: Lab) -> None:
    running = lab.running("gated")
    address = running["status"]["podIP"]
    assert not is_true(lab.pod("gated"), "Ready")
    eventually(lambda: _endpoints(lab, False) == [address])
    lab("exec", "gated", "--", "touch", "/tmp/ready")
    lab.ready("gated")
    eventually(lambda: _endpoints(lab, True) == [address])
    lab("exec", "gated", "--", "rm", "/tmp/ready")
    eventually(lambda: _endpoints(lab, False) == [address])
    assert container(lab.pod("gated"))["restartCount"] == 0
    eventually(lambda: any(reason == "Unhealthy" for reason, _ in lab.api.events("gated")))


def test_probes_ask_by_http_and_tcp(lab: Lab) -> None:
    for name in ("by-http", "by-tcp"):
        lab.ready(name)
    wrong = ("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 404")
    lab.api.await_event("by-http-missing", *wrong)
    assert not is_true(lab.pod("by-http-missing"), "Ready")


def test_probes_ask_by_grpc_for_a_service(lab: Lab) -> None:
    eventually(lambda: container(lab.pod("by-grpc"), "unknown").get("restartCount", 0) > 0, 60)
    eventually(lambda: container(lab.pod("by-grpc"), "main")["ready"])
    asked = lab.pod("by-grpc")
    assert not container(asked, "closed")["ready"] and not is_true(asked, "Ready")
    assert container(asked, "main")["restartCount"] == container(asked, "closed")["restartCount"] == 0
    lab.api.await_event(
        "by-grpc", "Unhealthy", 'Readiness probe failed: service unhealthy (responded with "NOT_SERVING")'
    )
    why = "rpc error: code = NotFound desc = unknown service"
    lab.api.await_event("by-grpc", "Unhealthy", f"Liveness probe failed: error: health rpc probe failed: {why}")
    lab.api.await_event("by-grpc", "Killing", "Container unknown failed liveness probe, will be restarted")


def test_what_is_not_alive_is_started_again(lab: Lab) -> None:
    restarted = lab.restarted("ill")
    assert restarted["status"]["phase"] == "Running"
    lab.api.await_event("ill", "Killing", "Container main failed liveness probe, will be restarted")


def test_liveness_waits_for_the_startup(lab: Lab) -> None:
    started = lab.ready("slow-start")
    assert container(started)["restartCount"] == 0 and container(started)["started"]


def test_hooks_run_at_begin_and_end(lab: Lab) -> None:
    lab.running("hooked")
    assert lab("exec", "hooked", "--", "cat", "/shared/hook") == "started\n"
    following = lab.kubectl.background("logs", "-f", "hooked")
    lab("delete", "pod", "hooked")
    printed, _ = following.communicate(timeout=20)
    assert "stopping" in printed


def test_a_container_whose_first_hook_fails_is_started_again(lab: Lab) -> None:
    lab.restarted("bad-hook")
    assert any(reason == "FailedPostStartHook" for reason, _ in lab.api.events("bad-hook"))


def test_what_does_not_end_is_ended_after_its_grace(lab: Lab) -> None:
    uid = lab.running("stubborn")["metadata"]["uid"]
    lab("delete", "pod", "stubborn", "--wait=false")
    assert lab.pod("stubborn")["metadata"]["deletionGracePeriodSeconds"] == 600
    lab.api.await_event("stubborn", "Killing", "Stopping container main")
    asked = time.monotonic()
    lab("delete", "pod", "stubborn", "--wait=false", "--grace-period=2")
    eventually(lambda: lab.api.find("v1/pods", "stubborn") is None)
    assert time.monotonic() - asked >= 2
    lab.assert_nothing_is_left(uid)


def test_one_container_can_have_all_begin_anew(lab: Lab) -> None:
    again = lab.restarted("anew")
    eventually(lambda: is_true(lab.pod("anew"), "Ready"))
    again = lab.pod("anew")
    assert [container(again, name)["restartCount"] for name in ("first", "main", "asks")] == [1, 1, 1]
    assert lab("exec", "anew", "-c", "asks", "--", "cat", "/shared/order").split() == ["first", "first"]
    [condition] = [c for c in again["status"]["conditions"] if c["type"] == "AllContainersRestarting"]
    assert condition["status"] == "False"


def test_a_pod_ends_at_its_deadline(lab: Lab) -> None:
    late = lab.phase("late", "Failed")
    assert late["status"]["reason"] == "DeadlineExceeded"
    assert late["status"]["message"] == "Pod was active on the node longer than the specified deadline"
    began = datetime.fromisoformat(late["status"]["startTime"])
    ended = lambda: state(lab.pod("late")).get("terminated")  # noqa: E731
    assert (datetime.fromisoformat(eventually(ended)["finishedAt"]) - began).total_seconds() >= 3
