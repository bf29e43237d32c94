"""What may change in a pod, by which way of writing it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from apiserver.resources.pods.annotations import MIRROR
from apiserver.resources.strategy import Strategy
from apiserver.tests.resources.pods.making import PODS, context, problems, stored_pod

Object = dict[str, Any]
STATUS = PODS.subresources["status"]
EPHEMERAL = PODS.subresources["ephemeralcontainers"]
RESIZE = PODS.subresources["resize"]


def changed(old: Object, **spec: Any) -> Object:
    pod = copy.deepcopy(old)
    pod["spec"].update(spec)
    return pod


def test_an_image_may_change_and_counts_a_generation() -> None:
    old = stored_pod()
    new = copy.deepcopy(old)
    new["spec"]["containers"][0]["image"] = "other"
    assert problems(new, old) == []
    assert new["metadata"]["generation"] == 2


def test_the_status_stays_as_it_was() -> None:
    old = stored_pod(status={"phase": "Running"})
    new = copy.deepcopy(old)
    new["status"] = {"phase": "Failed"}
    assert problems(new, old) == []
    assert new["status"] == {"phase": "Running"}
    assert new["metadata"]["generation"] == 1


def test_other_fields_may_not_change() -> None:
    old = stored_pod()
    found = problems(changed(old, nodeName="n"), old)
    assert len(found) == 1
    assert found[0].startswith("spec: Forbidden: pod updates may not change fields other than `spec.containers")
    assert '+ "NodeName": "n",\n' in found[0]


def test_containers_may_not_come_or_go() -> None:
    old = stored_pod()
    new = changed(old, containers=[*old["spec"]["containers"], {**old["spec"]["containers"][0], "name": "d"}])
    assert problems(new, old) == ["spec.containers: Forbidden: pod updates may not add or remove containers"]


@pytest.mark.parametrize(
    ("before", "after", "error"),
    [
        (None, 5, ""),
        (5, 3, ""),
        (3, 5, "Invalid value: 5: must be less than or equal to previous value"),
        (5, None, "Invalid value: null: must not update from a positive integer to nil value"),
    ],
)
def test_a_deadline_only_comes_closer(before: int | None, after: int | None, error: str) -> None:
    old = stored_pod(**({} if before is None else {"activeDeadlineSeconds": before}))
    new = copy.deepcopy(old)
    new["spec"].pop("activeDeadlineSeconds", None)
    if after is not None:
        new["spec"]["activeDeadlineSeconds"] = after
    assert problems(new, old) == ([f"spec.activeDeadlineSeconds: {error}"] if error else [])


def test_tolerations_are_only_added_or_timed_anew() -> None:
    toleration = {"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}
    old = stored_pod(tolerations=[toleration])
    more = [{**toleration, "tolerationSeconds": 9}, {"operator": "Exists"}]
    assert problems(changed(old, tolerations=more), old) == []
    assert problems(changed(old, tolerations=[]), old) == [
        "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"
    ]


def test_a_gated_pod_may_narrow_its_nodes() -> None:
    old = stored_pod(schedulingGates=[{"name": "g"}], nodeSelector={"a": "b"})
    required = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "k", "operator": "Exists"}]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    assert problems(changed(old, nodeSelector={"a": "b", "c": "d"}, affinity=affinity), old) == []
    assert problems(changed(old, nodeSelector={"a": "x"}), old) == [
        'spec.nodeSelector: Invalid value: {"a":"x"}: only additions to spec.nodeSelector are allowed (no mutations or '
        "deletions)"
    ]


def test_gates_are_only_removed() -> None:
    old = stored_pod(schedulingGates=[{"name": "g"}])
    new = copy.deepcopy(old)
    del new["spec"]["schedulingGates"]
    assert problems(new, old) == []
    assert problems(changed(old, schedulingGates=[{"name": "g"}, {"name": "h"}]), old) == [
        "spec.schedulingGates[1].name: Forbidden: only deletion is allowed, but found new scheduling gate 'h'"
    ]


def test_what_a_stored_pod_breaks_already_may_stay() -> None:
    annotations = {"controller.kubernetes.io/pod-deletion-cost": "+1"}
    old = stored_pod({"annotations": annotations})
    assert problems(copy.deepcopy(old), old) == []
    sound = stored_pod()
    new = copy.deepcopy(sound)
    new["metadata"]["annotations"] = annotations
    # Twice: as the annotation of any pod, and as one that changed.
    error = "metadata.annotations[controller.kubernetes.io/pod-deletion-cost]"
    assert problems(new, sound) == [f'{error}: Invalid value: "+1": must be a 32bit integer'] * 2


def test_ephemeral_containers_are_added_and_nothing_else_changes() -> None:
    old = stored_pod()
    added = {"name": "d", "image": "i", "imagePullPolicy": "Always", "terminationMessagePolicy": "File"}
    new = changed(old, ephemeralContainers=[added], nodeName="n")
    assert problems(new, old, EPHEMERAL) == []
    assert "nodeName" not in new["spec"]
    assert new["metadata"]["generation"] == 2
    assert problems(copy.deepcopy(old), new, EPHEMERAL) == [
        'spec.ephemeralContainers: Forbidden: existing ephemeral containers "d" may not be removed\n'
    ]


def test_an_ephemeral_container_is_no_workload() -> None:
    old = stored_pod()
    added = {
        "name": "c",
        "image": "i",
        "imagePullPolicy": "Always",
        "terminationMessagePolicy": "File",
        "targetContainerName": "nope",
        "ports": [{"containerPort": 1, "protocol": "TCP"}],
    }
    assert problems(changed(old, ephemeralContainers=[added]), old, EPHEMERAL) == [
        'spec.ephemeralContainers[0].name: Duplicate value: "c"',
        'spec.ephemeralContainers[0].targetContainerName: Not found: "nope"',
        "spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container",
    ]


def sized(cpu: str, memory: str = "64Mi", **more: str) -> list[Object]:
    return [{"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu, "memory": memory, **more}}}]


def resized(old: Object, **requests: str) -> Object:
    new = copy.deepcopy(old)
    new["spec"]["containers"][0]["resources"] = {"requests": requests}
    return new


def test_a_resize_changes_cpu_and_memory_alone() -> None:
    old = stored_pod(containers=sized("100m"), status={"phase": "Running", "qosClass": "Burstable"})
    assert problems(resized(old, cpu="200m", memory="64Mi"), old, RESIZE) == []
    more = resized(old, cpu="100m", memory="64Mi", **{"ephemeral-storage": "1Gi"})
    assert problems(more, old, RESIZE) == ["spec: Forbidden: only cpu and memory resources are mutable"]


def test_a_resize_removes_nothing_and_keeps_the_class_of_service() -> None:
    old = stored_pod(containers=sized("100m"), status={"phase": "Running", "qosClass": "Burstable"})
    assert problems(resized(old, cpu="100m"), old, RESIZE) == [
        "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed"
    ]
    new = copy.deepcopy(old)
    new["spec"]["containers"][0]["resources"] = {}
    assert problems(new, old, RESIZE)[0] == (
        'spec: Invalid value: "Burstable": Pod QOS Class may not change as a result of resizing'
    )


NEVER_RESTARTS = [{"resourceName": "cpu", "restartPolicy": "NotRequired"}]
RESTARTS = [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]


@pytest.mark.parametrize(
    ("own", "requests", "error"),
    [
        ({}, {"cpu": "2"}, ""),
        ({"restartPolicy": "Always"}, {"cpu": "2"}, ""),
        ({"resizePolicy": NEVER_RESTARTS}, {"cpu": "2"}, ""),
        (
            {"resizePolicy": RESTARTS},
            {"cpu": "2"},
            "spec.initContainers[0]: Forbidden: non-sidecar init containers with a resize policy of RestartContainer "
            "cannot be resized",
        ),
        (
            {},
            {"cpu": "1", "ephemeral-storage": "1Gi"},
            "spec.initContainers[0]: Forbidden: only cpu and memory resources for init or sidecar containers are "
            "mutable",
        ),
        ({}, {}, "spec.initContainers[0].resources.requests: Forbidden: resource requests cannot be removed"),
    ],
)
def test_init_containers_are_resized_too(own: Object, requests: Object, error: str) -> None:
    container = {"name": "i", "image": "i", "resources": {"requests": {"cpu": "1"}}, **own}
    old = stored_pod(containers=sized("1"), initContainers=[container])
    new = copy.deepcopy(old)
    new["spec"]["initContainers"][0]["resources"] = {"requests": requests}
    assert problems(new, old, RESIZE) == ([error] if error else [])


@pytest.mark.parametrize(
    ("strategy", "meta", "spec", "error"),
    [
        (EPHEMERAL, {MIRROR: "x"}, {}, "static pods do not support ephemeral containers"),
        (RESIZE, {MIRROR: "x"}, {}, "static pods cannot be resized"),
        (RESIZE, {}, {"os": {"name": "windows"}}, "windows pods cannot be resized"),
    ],
)
def test_some_pods_are_left_alone(strategy: Strategy, meta: Object, spec: Object, error: str) -> None:
    old = stored_pod({"annotations": meta}, nodeName="n", **spec)
    assert problems(copy.deepcopy(old), old, strategy) == [f"[]: Forbidden: {error}"]


def test_a_report_keeps_what_was_observed() -> None:
    condition = {"type": "Ready", "status": "False", "observedGeneration": 3}
    status = {"phase": "Pending", "qosClass": "Burstable", "observedGeneration": 2, "conditions": [condition]}
    old = stored_pod(status=status)
    new = copy.deepcopy(old)
    new["spec"] = {}
    new["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    assert problems(new, old, STATUS) == []
    assert new["spec"] == old["spec"]
    assert new["status"]["qosClass"] == "Burstable"
    assert new["status"]["observedGeneration"] == 2
    assert new["status"]["conditions"][0]["observedGeneration"] == 3


def test_a_report_says_nothing_of_features_that_are_off() -> None:
    mount = {"name": "v", "mountPath": "/v", "volumeStatus": {"image": {"imageRef": "i"}}}
    old = stored_pod()
    new = copy.deepcopy(old)
    new["status"]["containerStatuses"] = [{"name": "c", "volumeMounts": [mount]}]
    assert problems(new, old, STATUS) == []
    assert new["status"]["containerStatuses"][0]["volumeMounts"] == [{"name": "v", "mountPath": "/v"}]


ENDED = {"name": "c", "state": {"terminated": {"exitCode": 1}}}
RUNNING = {"name": "c", "state": {"running": {}}}


@pytest.mark.parametrize(
    ("policy", "own", "allowed"),
    [
        ("Always", {}, True),
        ("Never", {}, False),
        ("OnFailure", {}, True),
        ("Never", {"restartPolicy": "OnFailure"}, True),
        (
            "Never",
            {
                "restartPolicy": "Never",
                "restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}],
            },
            True,
        ),
    ],
)
def test_a_container_that_ended_for_good_stays_so(policy: str, own: Object, allowed: bool) -> None:
    containers = [{"name": "c", "image": "i", **own}]
    status = {"qosClass": "BestEffort", "containerStatuses": [ENDED]}
    old = stored_pod(status=status, restartPolicy=policy, containers=containers)
    new = copy.deepcopy(old)
    new["status"]["containerStatuses"] = [RUNNING]
    error = "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"
    assert problems(new, old, STATUS) == ([] if allowed else [error])


def test_a_pod_has_one_address_of_each_family() -> None:
    old = stored_pod()
    new = copy.deepcopy(old)
    new["status"].update(podIP="1.1.1.1", podIPs=[{"ip": "1.1.1.1"}, {"ip": "2.2.2.2"}])
    assert problems(new, old, STATUS) == [
        'status.podIPs: Invalid value: [{"IP":"1.1.1.1"},{"IP":"2.2.2.2"}]: may specify no more than one IP for '
        "each IP family"
    ]
    new["status"]["podIPs"] = [{"ip": "1.1.1.1"}, {"ip": "fd00::1"}]
    assert problems(new, old, STATUS) == []


def test_a_bound_pod_is_not_nominated() -> None:
    old = stored_pod(nodeName="n")
    new = copy.deepcopy(old)
    new["status"]["nominatedNodeName"] = "m"
    assert problems(new, old, STATUS) == [
        "status.nominatedNodeName: Forbidden: may not be set on pods that are already bound to a node"
    ]


def test_an_update_needs_no_warning() -> None:
    old = stored_pod(nodeSelector={"beta.kubernetes.io/os": "linux"})
    assert list(PODS.warnings(copy.deepcopy(old), old)) == []
    assert context().warnings == []
