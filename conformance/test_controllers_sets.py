"""StatefulSets and DaemonSets: identity and order, one pod on every node, and their roll-outs."""

from __future__ import annotations

import time
from typing import Any

import pytest

from conformance.api import Api, condition, workload
from conformance.kubectl import Kubectl
from conformance.kubelets import LABEL, Kubelets
from conformance.processes import eventually

pytestmark = pytest.mark.usefixtures("kubelets")

STATEFUL_SETS, DAEMON_SETS = "apps/v1/statefulsets", "apps/v1/daemonsets"
CLAIMS, REVISIONS = "v1/persistentvolumeclaims", "apps/v1/controllerrevisions"


def stateful_set(name: str, replicas: int, image: str = "runs", **spec: Any) -> dict[str, Any]:
    return workload(name, replicas, image, serviceName=name, **spec)


def daemon_set(name: str, **spec: Any) -> dict[str, Any]:
    made = workload(name, 0, **spec)
    del made["spec"]["replicas"]
    return made


def roll(api: Api, resource: str, name: str, image: str) -> None:
    containers = [{"name": "main", "image": image}]
    api.patch(resource, name, {"spec": {"template": {"spec": {"containers": containers}}}})


def image_of(pod: dict[str, Any]) -> str:
    return str(pod["spec"]["containers"][0]["image"])


# StatefulSets


def test_pods_of_a_stateful_set_know_who_they_are(api: Api) -> None:
    api.create(STATEFUL_SETS, stateful_set("named", 2))
    api.await_status(STATEFUL_SETS, "named", readyReplicas=2, currentReplicas=2, availableReplicas=2)
    first, second = api.pods("named")
    for number, pod in enumerate((first, second)):
        metadata = pod["metadata"]
        assert metadata["name"] == pod["spec"]["hostname"] == f"named-{number}"
        assert pod["spec"]["subdomain"] == "named"
        assert metadata["labels"]["statefulset.kubernetes.io/pod-name"] == f"named-{number}"
        assert metadata["labels"]["apps.kubernetes.io/pod-index"] == str(number)
        revision = metadata["labels"]["controller-revision-hash"]
    status = api.status(STATEFUL_SETS, "named")
    assert status["currentRevision"] == status["updateRevision"] == revision
    assert api.get(REVISIONS, revision)["revision"] == 1
    message = "Create Pod named-0 in StatefulSet named successful"
    api.await_event("named", "SuccessfulCreate", message)


def test_pods_of_a_stateful_set_come_one_after_the_other(api: Api) -> None:
    api.create(STATEFUL_SETS, stateful_set("ordered", 3))
    order: list[str] = []

    def all_there() -> bool:
        ready = [condition(p, "Ready").get("status") == "True" for p in api.pods("ordered")]
        assert False not in ready[:-1], "the one before must be ready"
        return ready == [True] * 3

    eventually(all_there)
    order = [p["metadata"]["creationTimestamp"] for p in api.pods("ordered")]
    assert order == sorted(order)
    api.patch(STATEFUL_SETS, "ordered", {"spec": {"replicas": 1}})
    eventually(lambda: api.names("ordered") == ["ordered-0"])
    api.await_event("ordered", "SuccessfulDelete", "Delete Pod ordered-2 in StatefulSet ordered successful")


def test_one_that_is_not_ready_holds_up_the_next(api: Api) -> None:
    api.create(STATEFUL_SETS, stateful_set("held", 2, image="unready"))
    eventually(lambda: [p["status"]["phase"] for p in api.pods("held")] == ["Running"])
    time.sleep(0.5)
    assert api.names("held") == ["held-0"]


def test_in_parallel_none_waits(api: Api) -> None:
    api.create(STATEFUL_SETS, stateful_set("parallel", 3, image="unready", podManagementPolicy="Parallel"))
    eventually(lambda: api.names("parallel") == ["parallel-0", "parallel-1", "parallel-2"])


def test_ordinals_may_start_elsewhere(api: Api) -> None:
    api.create(STATEFUL_SETS, stateful_set("offset", 2, ordinals={"start": 5}))
    eventually(lambda: api.names("offset") == ["offset-5", "offset-6"])


def test_a_lost_pod_comes_back_under_its_name(api: Api) -> None:
    api.create(STATEFUL_SETS, stateful_set("lost", 1))
    api.await_status(STATEFUL_SETS, "lost", readyReplicas=1)
    [before] = api.pods("lost")
    api.delete("v1/pods", "lost-0")
    eventually(lambda: [p["metadata"]["uid"] for p in api.pods("lost")] not in ([], [before["metadata"]["uid"]]))
    assert api.names("lost") == ["lost-0"]


def test_a_stateful_set_rolls_from_the_top(api: Api, k: Kubectl) -> None:
    api.create(STATEFUL_SETS, stateful_set("rolled", 2))
    api.await_status(STATEFUL_SETS, "rolled", readyReplicas=2)
    k("rollout", "status", "statefulset/rolled", "--timeout=20s")
    roll(api, STATEFUL_SETS, "rolled", "second")

    def is_done() -> bool:
        images = {p["metadata"]["name"]: image_of(p) for p in api.pods("rolled")}
        assert images.get("rolled-0") != "second" or images.get("rolled-1") == "second"
        return images == {"rolled-0": "second", "rolled-1": "second"}

    eventually(is_done)
    said = k("rollout", "status", "statefulset/rolled", "--timeout=20s")
    assert said.splitlines()[-1] == "partitioned roll out complete: 2 new pods have been updated..."
    assert k("rollout", "history", "statefulset/rolled").count("<none>") == 2
    assert k("rollout", "undo", "statefulset/rolled") == "statefulset.apps/rolled rolled back\n"
    eventually(lambda: {image_of(p) for p in api.pods("rolled")} == {"runs"})


def test_a_partition_keeps_the_lower_ones(api: Api) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    api.create(STATEFUL_SETS, stateful_set("parted", 2, updateStrategy=strategy))
    api.await_status(STATEFUL_SETS, "parted", readyReplicas=2)
    roll(api, STATEFUL_SETS, "parted", "second")
    eventually(lambda: [image_of(p) for p in api.pods("parted")] == ["runs", "second"])
    status = api.await_status(STATEFUL_SETS, "parted", updatedReplicas=1, readyReplicas=2, currentReplicas=1)
    assert status["currentRevision"] != status["updateRevision"]


def test_on_delete_a_stateful_set_waits_for_the_deletion(api: Api) -> None:
    api.create(STATEFUL_SETS, stateful_set("asked", 1, updateStrategy={"type": "OnDelete"}))
    before = api.await_status(STATEFUL_SETS, "asked", readyReplicas=1)
    roll(api, STATEFUL_SETS, "asked", "second")
    eventually(lambda: api.status(STATEFUL_SETS, "asked")["updateRevision"] != before["updateRevision"])
    assert [image_of(p) for p in api.pods("asked")] == ["runs"]
    api.delete("v1/pods", "asked-0")
    eventually(lambda: [image_of(p) for p in api.pods("asked")] == ["second"])


def test_claims_of_a_stateful_set_stay_or_go_as_it_says(api: Api) -> None:
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    for name, policy in (("staying", "Retain"), ("going", "Delete")):
        retention = {"whenDeleted": policy, "whenScaled": policy}
        api.create(
            STATEFUL_SETS,
            stateful_set(
                name,
                2,
                volumeClaimTemplates=[claim],
                persistentVolumeClaimRetentionPolicy=retention,
                podManagementPolicy="Parallel",
            ),
        )
        eventually(lambda name=name: len(api.pods(name)) == len(api.list(CLAIMS, f"app={name}")) == 2)
        volumes = api.get("v1/pods", f"{name}-1")["spec"]["volumes"]
        assert {"name": "data", "persistentVolumeClaim": {"claimName": f"data-{name}-1"}} in volumes
        api.patch(STATEFUL_SETS, name, {"spec": {"replicas": 1}})
    eventually(lambda: [c["metadata"]["name"] for c in api.list(CLAIMS, "app=going")] == ["data-going-0"])
    api.delete(STATEFUL_SETS, "going")
    eventually(lambda: api.list(CLAIMS, "app=going") == [])
    assert [c["metadata"]["name"] for c in api.list(CLAIMS, "app=staying")] == ["data-staying-0", "data-staying-1"]
    created = "Create Claim data-staying-0 Pod staying-0 in StatefulSet staying success"
    api.await_event("staying", "SuccessfulCreate", created)


def test_a_pod_without_its_claim_says_why(api: Api) -> None:
    api.create("v1/resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": {"persistentvolumeclaims": "0"}}})
    used = eventually(lambda: api.status("v1/resourcequotas", "q").get("used"))["persistentvolumeclaims"]
    template = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    api.create(STATEFUL_SETS, stateful_set("poor", 1, volumeClaimTemplates=[template]))
    refused = (
        'persistentvolumeclaims "data-poor-0" is forbidden: exceeded quota: q, requested: persistentvolumeclaims=1, '
        f"used: persistentvolumeclaims={used}, limited: persistentvolumeclaims=0"
    )
    claim = f"Create Claim data-poor-0 for Pod poor-0 in StatefulSet poor failed error: {refused}"
    api.await_event("poor", "FailedCreate", claim)
    pod = f"Create Pod poor-0 in StatefulSet poor failed error: failed to create PVC data-poor-0: {refused}"
    api.await_event("poor", "FailedCreate", pod)
    api.delete("v1/resourcequotas", "q")


# DaemonSets


def test_every_node_gets_its_daemon(api: Api, kubelets: Kubelets) -> None:
    api.create(DAEMON_SETS, daemon_set("everywhere"))
    status = api.await_status(DAEMON_SETS, "everywhere", numberReady=3, numberAvailable=3, updatedNumberScheduled=3)
    assert (status["currentNumberScheduled"], status["desiredNumberScheduled"], status["numberMisscheduled"]) == (
        3,
        3,
        0,
    )
    pods = api.pods("everywhere")
    assert {p["spec"]["nodeName"] for p in pods} == set(kubelets.nodes)
    tolerated = {(t.get("key"), t.get("effect")) for t in pods[0]["spec"]["tolerations"]}
    assert tolerated >= {
        ("node.kubernetes.io/not-ready", "NoExecute"),
        ("node.kubernetes.io/unreachable", "NoExecute"),
        ("node.kubernetes.io/disk-pressure", "NoSchedule"),
        ("node.kubernetes.io/memory-pressure", "NoSchedule"),
        ("node.kubernetes.io/pid-pressure", "NoSchedule"),
        ("node.kubernetes.io/unschedulable", "NoSchedule"),
    }
    affinity = pods[0]["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    [field] = affinity["nodeSelectorTerms"][0]["matchFields"]
    assert field == {"key": "metadata.name", "operator": "In", "values": [pods[0]["spec"]["nodeName"]]}
    name = pods[0]["metadata"]["name"]
    api.await_event("everywhere", "SuccessfulCreate", f"Created pod: {name}")


def test_a_daemon_set_follows_the_labels_of_nodes(api: Api, k: Kubectl, kubelets: Kubelets) -> None:
    made = daemon_set("following")
    made["spec"]["template"]["spec"]["nodeSelector"] = {LABEL: "played", "disk": "ssd"}
    api.create(DAEMON_SETS, made)
    api.await_status(DAEMON_SETS, "following", desiredNumberScheduled=0, observedGeneration=1)
    node = kubelets.nodes[1]
    k("label", "node", node, "disk=ssd")
    eventually(lambda: [p["spec"].get("nodeName") for p in api.pods("following")] == [node])
    api.await_status(DAEMON_SETS, "following", numberReady=1)
    k("label", "node", node, "disk-")
    eventually(lambda: api.pods("following") == [])


def test_a_daemon_set_rolls_one_node_after_the_other(api: Api, k: Kubectl) -> None:
    api.create(DAEMON_SETS, daemon_set("rolling"))
    api.await_status(DAEMON_SETS, "rolling", numberReady=3)
    roll(api, DAEMON_SETS, "rolling", "second")

    def is_done() -> bool:
        pods = api.pods("rolling")
        assert sum(condition(p, "Ready").get("status") == "True" for p in pods) >= 2
        return [image_of(p) for p in pods] == ["second"] * 3

    eventually(is_done)
    said = k("rollout", "status", "daemonset/rolling", "--timeout=20s")
    assert said.splitlines()[-1] == 'daemon set "rolling" successfully rolled out'
    assert k("rollout", "history", "daemonset/rolling").count("<none>") == 2
    assert k("rollout", "undo", "daemonset/rolling") == "daemonset.apps/rolling rolled back\n"
    eventually(lambda: [image_of(p) for p in api.pods("rolling")] == ["runs"] * 3)
    revisions = sorted(r["revision"] for r in api.list(REVISIONS, "app=rolling"))
    assert revisions == [2, 3]


def test_a_daemon_set_may_surge(api: Api) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    api.create(DAEMON_SETS, daemon_set("surging", updateStrategy=strategy))
    api.await_status(DAEMON_SETS, "surging", numberReady=3)
    roll(api, DAEMON_SETS, "surging", "second")

    def is_done() -> bool:
        pods = api.pods("surging")
        ready = {p["spec"].get("nodeName") for p in pods if condition(p, "Ready").get("status") == "True"}
        assert len(ready) == 3
        return [image_of(p) for p in pods] == ["second"] * 3

    eventually(is_done)


def test_a_failed_daemon_is_replaced(api: Api) -> None:
    api.create(DAEMON_SETS, daemon_set("failing"))
    api.await_status(DAEMON_SETS, "failing", numberReady=3)
    victim = api.names("failing")[0]
    api.patch("v1/pods", victim, {"status": {"phase": "Failed"}}, "status")
    eventually(lambda: victim not in api.names("failing") and len(api.names("failing")) == 3)
    found = eventually(lambda: {e for e in api.events("failing") if e[0] == "FailedDaemonPod"})
    assert {text.split(" on node ")[0] for _, text in found} == {f"Found failed daemon pod {api.namespace}/{victim}"}


def test_a_daemon_set_keeps_one_revision_of_each_template(api: Api) -> None:
    api.create(DAEMON_SETS, daemon_set("kept"))
    [first] = eventually(lambda: api.list(REVISIONS, "app=kept"))
    name = first["metadata"]["name"]
    copied = {field: first["metadata"][field] for field in ("labels", "ownerReferences")}
    label = {"controller-revision-hash": "other"}
    copied = {**copied, "name": "kept-other", "labels": {**copied["labels"], **label}}
    api.create(REVISIONS, {**first, "metadata": copied, "revision": 7})

    def is_merged() -> bool:
        # New revisions that have an owner wake nobody; any change of the set does.
        api.patch(DAEMON_SETS, "kept", {"metadata": {"annotations": {"seen": str(time.monotonic_ns())}}})
        return [r["metadata"]["name"] for r in api.list(REVISIONS, "app=kept")] == ["kept-other"]

    eventually(is_merged)
    eventually(lambda: {p["metadata"]["labels"]["controller-revision-hash"] for p in api.pods("kept")} == {"other"})
    api.delete(REVISIONS, "kept-other")
    eventually(lambda: [r["metadata"]["name"] for r in api.list(REVISIONS, "app=kept")] == [name])
