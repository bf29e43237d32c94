from __future__ import annotations

from typing import Any

import pytest

from nodeagent.pods.admit import admit
from nodeagent.tests.pods.samples import make_pod

NODE: dict[str, Any] = {
    "metadata": {"name": "n", "labels": {"kubernetes.io/os": "linux", "zone": "a"}},
    "spec": {},
    "status": {"allocatable": {"cpu": "2", "memory": "1Gi", "pods": "2"}},
}


def asking(cpu: str, **spec: Any) -> dict[str, Any]:
    return make_pod([{"name": "c", "resources": {"requests": {"cpu": cpu}}}], **spec)


def labelled(system: str) -> dict[str, Any]:
    pod = asking("1")
    return {**pod, "metadata": {**pod["metadata"], "labels": {"kubernetes.io/os": system}}}


def with_affinity(operator: str, *values: str) -> dict[str, Any]:
    term = {"matchExpressions": [{"key": "zone", "operator": operator, "values": list(values)}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return asking("1", affinity={"nodeAffinity": required})


def with_port(port: int, ip: str = "") -> dict[str, Any]:
    return make_pod([{"name": "c", "ports": [{"containerPort": port, "hostPort": port, "hostIP": ip}]}])


@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        (asking("1"), None),
        (asking("3"), "OutOfcpu"),
        (asking("1", nodeSelector={"zone": "b"}), "NodeAffinity"),
        (with_affinity("In", "a", "b"), None),
        (with_affinity("NotIn", "a"), "NodeAffinity"),
        (with_affinity("DoesNotExist"), "NodeAffinity"),
        (asking("1", os={"name": "windows"}), "PodOSNotSupported"),
        (labelled("plan9"), "PodOSSelectorNodeLabelDoesNotMatch"),
        (labelled("linux"), None),
        (asking("3", securityContext={"supplementalGroupsPolicy": "Strict"}), "SupplementalGroupsPolicyNotSupported"),
        (asking("1", securityContext={"appArmorProfile": {"type": "RuntimeDefault"}}), "AppArmor"),
        (asking("1", securityContext={"appArmorProfile": {"type": "Unconfined"}}), None),
        (asking("1", securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}), "SysctlForbidden"),
        (asking("1", securityContext={"sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "1"}]}), None),
    ],
)
def test_a_node_takes_what_fits_and_belongs(pod: dict[str, Any], reason: str | None) -> None:
    rejection = admit(pod, [], NODE, has_apparmor=False)
    assert (rejection.reason if rejection else None) == reason


def test_what_the_node_can_do_it_is_asked_for() -> None:
    able = {**NODE, "status": {**NODE["status"], "features": {"supplementalGroupsPolicy": True}}}
    assert admit(asking("1", securityContext={"supplementalGroupsPolicy": "Strict"}), [], able) is None
    assert admit(asking("1", securityContext={"appArmorProfile": {"type": "RuntimeDefault"}}), [], NODE) is None


def test_what_others_have_taken_counts() -> None:
    rejection = admit(asking("1500m"), [asking("1")], NODE)
    assert rejection is not None
    assert rejection.message == "Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000"
    assert getattr(admit(asking("0"), [asking("0")] * 2, NODE), "reason", "") == "OutOfpods"


def test_a_port_of_the_node_is_given_once() -> None:
    assert getattr(admit(with_port(80), [with_port(80, "127.0.0.1")], NODE), "reason", "") == "NodePorts"
    assert admit(with_port(80, "127.0.0.1"), [with_port(80, "127.0.0.2")], NODE) is None
    assert admit(with_port(81), [with_port(80)], NODE) is None


def test_a_node_that_evicts_takes_only_who_tolerates_it() -> None:
    tainted = {**NODE, "spec": {"taints": [{"key": "k", "effect": "NoExecute"}, {"key": "s", "effect": "NoSchedule"}]}}
    rejection = admit(asking("1"), [], tainted)
    assert rejection is not None
    assert rejection.message == "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
    assert admit(asking("1", tolerations=[{"key": "k", "operator": "Exists"}]), [], tainted) is None
