from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apiserver.admission.pod_security import policy_of
from apiserver.admission.pod_security_checks import BASELINE, RESTRICTED, subject_of, violations
from openapi.meta.status import StatusError

Object = dict[str, Any]
Make = Callable[..., Object]
ENFORCE = "pod-security.kubernetes.io__enforce"
SAFE_CONTAINER = {
    "name": "c",
    "image": "i",
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
}
SAFE = {"securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}}


def found(level: str, minor: int, pod: Object) -> list[str]:
    return [f"{v.reason} ({v.detail})" for v in violations(level, minor, subject_of(pod))]


def context(make_pod: Make, **fields: Any) -> Object:
    return make_pod(containers=[{"name": "c", "securityContext": fields}, {"name": "d", "securityContext": fields}])


@pytest.mark.parametrize(
    ("spec", "minor", "violation"),
    [
        ({"hostPID": True, "hostIPC": True}, 36, "host namespaces (hostPID=true, hostIPC=true)"),
        (
            {"volumes": [{"name": "v", "hostPath": {}}, {"name": "w", "hostPath": {}}]},
            36,
            'hostPath volumes (volumes "v", "w")',
        ),
        (
            {"containers": [{"name": "c", "ports": [{"hostPort": 80}, {"hostPort": 443}]}]},
            36,
            'hostPort (container "c" uses hostPorts 443, 80)',
        ),
        (
            {"containers": [{"name": "c", "livenessProbe": {"httpGet": {"host": "h"}}}]},
            36,
            'probe or lifecycle host (container "c" uses probe or lifecycle host "h")',
        ),
        (
            {"securityContext": {"seLinuxOptions": {"user": "u"}}},
            36,
            "seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: user may not be set)",
        ),
        (
            {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
            36,
            'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
        ),
        ({"securityContext": {"sysctls": [{"name": "a"}, {"name": "b"}]}}, 36, "forbidden sysctls (a, b)"),
        (
            {"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem"}]}},
            31,
            "forbidden sysctls (net.ipv4.tcp_rmem)",
        ),
        (
            {"securityContext": {"windowsOptions": {"hostProcess": True}}},
            36,
            "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)",
        ),
        (
            {"securityContext": {"appArmorProfile": {"type": "Unconfined"}}},
            36,
            'forbidden AppArmor profile (pod must not set AppArmor profile type to "Unconfined")',
        ),
    ],
)
def test_baseline_forbids(make_pod: Make, spec: Object, minor: int, violation: str) -> None:
    assert found(BASELINE, minor, make_pod(**spec)) == [violation]


@pytest.mark.parametrize(
    ("fields", "violation"),
    [
        ({"privileged": True}, 'privileged (containers "c", "d" must not set securityContext.privileged=true)'),
        (
            {"capabilities": {"add": ["X", "CHOWN"]}},
            'non-default capabilities (containers "c", "d" must not include "X" in securityContext.capabilities.add)',
        ),
        (
            {"procMount": "Unmasked"},
            'procMount (containers "c", "d" must not set securityContext.procMount to "Unmasked")',
        ),
    ],
)
def test_baseline_forbids_of_containers(make_pod: Make, fields: Object, violation: str) -> None:
    assert found(BASELINE, 36, context(make_pod, **fields)) == [violation]


def test_older_versions_forbid_less_and_allow_less(make_pod: Make) -> None:
    probe = make_pod(containers=[{"name": "c", "livenessProbe": {"tcpSocket": {"host": "h"}}}])
    assert found(BASELINE, 33, probe) == []
    sysctl = make_pod(securityContext={"sysctls": [{"name": "net.ipv4.tcp_rmem"}]})
    assert found(BASELINE, 32, sysctl) == []
    engine = make_pod(securityContext={"seLinuxOptions": {"type": "container_engine_t"}})
    assert [found(BASELINE, minor, engine) == [] for minor in (30, 31)] == [False, True]
    assert found(BASELINE, 99, engine) == []


def test_restricted_replaces_baseline_checks_by_stricter_ones(make_pod: Make) -> None:
    pod = make_pod(
        **SAFE, containers=[SAFE_CONTAINER], volumes=[{"name": "v", "hostPath": {}}, {"name": "w", "nfs": {}}]
    )
    assert found(RESTRICTED, 36, pod) == [
        'restricted volume types (volumes "v", "w" use restricted volume types "hostPath", "nfs")'
    ]


def test_restricted_wants_much(make_pod: Make) -> None:
    assert found(RESTRICTED, 36, make_pod()) == [
        'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false)',
        'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"])',
        'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)',
        'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
        '"Localhost")',
    ]
    assert found(RESTRICTED, 36, make_pod(**SAFE, containers=[SAFE_CONTAINER])) == []


def test_windows_and_user_namespaces_are_spared_what_makes_no_sense(make_pod: Make) -> None:
    windows = make_pod(os={"name": "windows"}, securityContext={"runAsNonRoot": True})
    assert found(RESTRICTED, 25, windows) == []
    assert len(found(RESTRICTED, 24, windows)) == 3
    apart = make_pod(hostUsers=False, containers=[SAFE_CONTAINER], securityContext={"runAsUser": 0})
    assert [v.split(" ")[0] for v in found(RESTRICTED, 35, apart)] == ["seccompProfile"]
    assert [v.split(" ")[0] for v in found(RESTRICTED, 34, apart)] == ["runAsNonRoot", "runAsUser=0", "seccompProfile"]


def test_what_is_enforced_is_also_told_of() -> None:
    prefix = "pod-security.kubernetes.io/"
    policy = policy_of(
        {prefix + "enforce": "restricted", prefix + "enforce-version": "v1.25", prefix + "audit": "baseline"}
    )
    assert [str(s) for s in policy[:3]] == ["restricted:v1.25", "baseline:latest", "restricted:v1.25"]


async def test_pods_are_refused_and_workloads_warned_of(cluster: Any, make_pod: Make) -> None:
    await cluster.namespace(**{ENFORCE: "baseline"})
    with pytest.raises(StatusError) as caught:
        await cluster.create("pods", make_pod(hostNetwork=True))
    violation = 'PodSecurity "baseline:latest": host namespaces (hostNetwork=true)'
    assert caught.value.message == f'pods "a" is forbidden: violates {violation}'
    template = {"spec": {"template": make_pod(hostNetwork=True)}}
    for resource, group, spec in (
        ("deployments", "apps", template["spec"]),
        ("cronjobs", "batch", {"jobTemplate": template}),
    ):
        asked = cluster.ask(
            "CREATE", resource, {"metadata": {"name": "a", "namespace": "ns"}, "spec": spec}, group=group
        )
        assert (await cluster.admit(asked)).warnings == [f"would violate {violation}"]


async def test_updates_matter_only_when_they_touch_what_is_checked(cluster: Any, make_pod: Make) -> None:
    await cluster.namespace(**{ENFORCE: "baseline"})
    old = make_pod(hostNetwork=True)
    await cluster.update("pods", make_pod(hostNetwork=True, activeDeadlineSeconds=5), old)
    with pytest.raises(StatusError, match="violates PodSecurity"):
        await cluster.update("pods", make_pod(hostNetwork=True, containers=[{"name": "c", "image": "j"}]), old)


async def test_labels_that_are_not_levels_are_invalid(cluster: Any) -> None:
    label = "pod-security.kubernetes.io/"
    with pytest.raises(StatusError) as caught:
        labels = {label + "enforce": "strict", label + "warn-version": "v1.01"}
        await cluster.create("namespaces", {"metadata": {"name": "ns", "labels": labels}})
    assert caught.value.code == 422
    assert [cause["message"] for cause in caught.value.details["causes"]] == [
        'Invalid value: "strict": must be one of privileged, baseline, restricted',
        'Invalid value: "v1.01": must be "latest" or "v1.x"',
    ]


async def test_a_stricter_level_warns_of_the_pods_that_are_there(cluster: Any, make_pod: Make) -> None:
    await cluster.namespace()
    for name in ("b", "a", "c"):
        await cluster.put("pods", make_pod(name, hostNetwork=name != "c", hostPID=name == "c"))
    old = await cluster.get("namespaces", "", "ns")
    labels = {"pod-security.kubernetes.io/enforce": "baseline"}
    new = {**old, "metadata": {**old["metadata"], "labels": labels}}
    attributes = await cluster.update("namespaces", new, old)
    assert attributes.warnings == [
        'existing pods in namespace "ns" violate the new PodSecurity enforce level "baseline:latest"',
        "a (and 2 other pods): host namespaces",
    ]
    assert (await cluster.update("namespaces", old, new)).warnings == []
