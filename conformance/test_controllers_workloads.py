"""Deployments, ReplicaSets and ReplicationControllers: the pods they keep, what they say, and kubectl's roll-outs."""

from __future__ import annotations

import re

import pytest

from conformance.api import Api, condition, template, workload
from conformance.kubectl import Kubectl
from conformance.kubelets import Kubelets
from conformance.processes import eventually

pytestmark = pytest.mark.usefixtures("kubelets")

DEPLOYMENTS, REPLICA_SETS = "apps/v1/deployments", "apps/v1/replicasets"
CONTROLLERS = "v1/replicationcontrollers"
REVISION = "deployment.kubernetes.io/revision"


def roll(api: Api, name: str, image: str) -> None:
    containers = [{"name": "main", "image": image}]
    api.patch(DEPLOYMENTS, name, {"spec": {"template": {"spec": {"containers": containers}}}})


def await_replicas(api: Api, name: str, replicas: int) -> None:
    counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas", "readyReplicas"), replicas)
    api.await_status(DEPLOYMENTS, name, **counts)


def test_a_deployment_tells_how_far_it_is(api: Api) -> None:
    api.create(DEPLOYMENTS, workload("told", 2))
    available = api.await_condition(DEPLOYMENTS, "told", "Available", "True", "MinimumReplicasAvailable")
    assert available["message"] == "Deployment has minimum availability."
    progressing = api.await_condition(DEPLOYMENTS, "told", "Progressing", "True", "NewReplicaSetAvailable")
    [replica_set] = api.list(REPLICA_SETS, "app=told")
    name = replica_set["metadata"]["name"]
    assert progressing["message"] == f'ReplicaSet "{name}" has successfully progressed.'
    api.await_event("told", "ScalingReplicaSet", f"Scaled up replica set {name} from 0 to 2")
    status = api.await_status(DEPLOYMENTS, "told", availableReplicas=2, unavailableReplicas=None)
    assert status["observedGeneration"] == 1


def test_a_replica_set_of_a_deployment_carries_its_marks(api: Api) -> None:
    api.create(DEPLOYMENTS, workload("marked", 3))
    [replica_set] = eventually(lambda: api.list(REPLICA_SETS, "app=marked"))
    metadata = replica_set["metadata"]
    digest = metadata["labels"]["pod-template-hash"]
    assert metadata["name"] == f"marked-{digest}"
    assert replica_set["spec"]["selector"]["matchLabels"] == {"app": "marked", "pod-template-hash": digest}
    annotations = metadata["annotations"]
    assert annotations[REVISION] == "1"
    assert annotations["deployment.kubernetes.io/desired-replicas"] == "3"
    assert annotations["deployment.kubernetes.io/max-replicas"] == "4"
    eventually(lambda: api.get(DEPLOYMENTS, "marked")["metadata"].get("annotations", {}).get(REVISION) == "1")


def test_a_roll_out_keeps_within_its_bounds(api: Api, k: Kubectl) -> None:
    strategy = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    api.create(DEPLOYMENTS, workload("bound", 3, strategy=strategy))
    await_replicas(api, "bound", 3)
    roll(api, "bound", "second")
    seen = []

    def is_done() -> bool:
        pods = api.pods("bound")
        ready = [p for p in pods if condition(p, "Ready").get("status") == "True"]
        seen.append((len(pods), len(ready)))
        return {p["spec"]["containers"][0]["image"] for p in pods} == {"second"} and len(ready) == len(pods) == 3

    eventually(is_done)
    assert max(pods for pods, _ in seen) <= 4
    assert min(ready for _, ready in seen) >= 3
    assert "successfully rolled out" in k("rollout", "status", "deployment/bound", "--timeout=20s")


def test_recreate_ends_the_old_pods_before_it_makes_new_ones(api: Api) -> None:
    api.create(DEPLOYMENTS, workload("recreated", 2, strategy={"type": "Recreate"}))
    await_replicas(api, "recreated", 2)
    roll(api, "recreated", "second")

    def images() -> set[str]:
        found = {p["spec"]["containers"][0]["image"] for p in api.list("v1/pods", "app=recreated")}
        assert len(found) <= 1
        return found

    eventually(lambda: images() == {"second"})
    await_replicas(api, "recreated", 2)


def test_status_history_undo_of_a_roll_out(api: Api, k: Kubectl) -> None:
    first = workload("rolled", 1)
    first["metadata"]["annotations"] = {"kubernetes.io/change-cause": "first light"}
    api.create(DEPLOYMENTS, first)
    assert k("rollout", "status", "deployment/rolled", "--timeout=20s").endswith(
        'deployment "rolled" successfully rolled out\n'
    )
    k("annotate", "deployment", "rolled", "--overwrite", "kubernetes.io/change-cause=new paint")
    k("set", "image", "deployment/rolled", "main=second")
    k("annotate", "deployment", "rolled", "--overwrite", "kubernetes.io/change-cause=new paint")
    k("rollout", "status", "deployment/rolled", "--timeout=20s")
    history = k("rollout", "history", "deployment/rolled")
    assert re.search(r"^1 +(first light|new paint)$", history, re.M) and re.search(r"^2 +new paint$", history, re.M)
    assert "Image:\tsecond" in k("rollout", "history", "deployment/rolled", "--revision=2")
    assert k("rollout", "undo", "deployment/rolled", "--to-revision=1") == "deployment.apps/rolled rolled back\n"
    eventually(lambda: {p["spec"]["containers"][0]["image"] for p in api.pods("rolled")} == {"runs"})
    revisions = {rs["metadata"]["annotations"][REVISION] for rs in api.list(REPLICA_SETS, "app=rolled")}
    assert revisions == {"2", "3"}
    refused = k.refused("rollout", "undo", "deployment/rolled", "--to-revision=99")
    assert refused == "error: unable to find specified revision 99 in history\n"


def test_a_paused_deployment_waits(api: Api, k: Kubectl) -> None:
    api.create(DEPLOYMENTS, workload("paused", 1))
    await_replicas(api, "paused", 1)
    assert k("rollout", "pause", "deployment/paused") == "deployment.apps/paused paused\n"
    paused = api.await_condition(DEPLOYMENTS, "paused", "Progressing", "Unknown", "DeploymentPaused")
    assert paused["message"] == "Deployment is paused"
    roll(api, "paused", "second")
    generation = api.get(DEPLOYMENTS, "paused")["metadata"]["generation"]
    api.await_status(DEPLOYMENTS, "paused", observedGeneration=generation)
    assert len(api.list(REPLICA_SETS, "app=paused")) == 1
    assert k("rollout", "resume", "deployment/paused") == "deployment.apps/paused resumed\n"
    eventually(lambda: {p["spec"]["containers"][0]["image"] for p in api.pods("paused")} == {"second"})


def test_a_restart_is_a_roll_out(api: Api, k: Kubectl) -> None:
    api.create(DEPLOYMENTS, workload("restarted", 1))
    await_replicas(api, "restarted", 1)
    before = set(api.names("restarted"))
    assert k("rollout", "restart", "deployment/restarted") == "deployment.apps/restarted restarted\n"
    k("rollout", "status", "deployment/restarted", "--timeout=20s")
    eventually(lambda: len(api.pods("restarted")) == 1 and not before & set(api.names("restarted")))
    [pod] = api.pods("restarted")
    assert "kubectl.kubernetes.io/restartedAt" in pod["metadata"]["annotations"]


def test_a_roll_out_without_progress_is_told(api: Api, k: Kubectl) -> None:
    api.create(DEPLOYMENTS, workload("stuck", 1, image="unready", progressDeadlineSeconds=1))
    stuck = api.await_condition(DEPLOYMENTS, "stuck", "Progressing", "False", "ProgressDeadlineExceeded")
    [replica_set] = api.list(REPLICA_SETS, "app=stuck")
    assert stuck["message"] == f'ReplicaSet "{replica_set["metadata"]["name"]}" has timed out progressing.'
    refused = k.refused("rollout", "status", "deployment/stuck")
    assert refused == 'error: deployment "stuck" exceeded its progress deadline\n'
    api.await_condition(DEPLOYMENTS, "stuck", "Available", "False", "MinimumReplicasUnavailable")


def test_old_replica_sets_are_kept_to_a_limit(api: Api) -> None:
    api.create(DEPLOYMENTS, workload("kept", 0, revisionHistoryLimit=1))
    for image in ("second", "third", "fourth"):
        eventually(lambda: api.status(DEPLOYMENTS, "kept").get("observedGeneration"))
        roll(api, "kept", image)
        generation = api.get(DEPLOYMENTS, "kept")["metadata"]["generation"]
        api.await_status(DEPLOYMENTS, "kept", observedGeneration=generation)
    eventually(lambda: len(api.list(REPLICA_SETS, "app=kept")) == 2)


def test_scaling_in_the_middle_of_a_roll_out_is_shared_by_both_replica_sets(api: Api) -> None:
    strategy = {"rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
    api.create(DEPLOYMENTS, workload("shared", 10, strategy=strategy))
    await_replicas(api, "shared", 10)
    roll(api, "shared", "unready")

    def sizes() -> dict[str, int]:
        found = api.list(REPLICA_SETS, "app=shared")
        return {rs["spec"]["template"]["spec"]["containers"][0]["image"]: rs["spec"]["replicas"] for rs in found}

    eventually(lambda: sizes() == {"runs": 8, "unready": 5})
    api.patch(DEPLOYMENTS, "shared", {"spec": {"replicas": 15}})
    eventually(lambda: sizes() == {"runs": 11, "unready": 7})


def test_a_replica_set_adopts_and_releases_pods(api: Api) -> None:
    api.create("v1/pods", {"metadata": {"name": "orphan", "labels": {"app": "adopting"}}, **_spec()})
    api.create(REPLICA_SETS, workload("adopting", 2))
    api.await_status(REPLICA_SETS, "adopting", readyReplicas=2, fullyLabeledReplicas=2)
    assert "orphan" in api.names("adopting")
    [owner] = api.get("v1/pods", "orphan")["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("ReplicaSet", "adopting", True)
    api.patch("v1/pods", "orphan", {"metadata": {"labels": {"app": "released"}}})
    eventually(lambda: "ownerReferences" not in api.get("v1/pods", "orphan")["metadata"])
    eventually(lambda: len(api.pods("adopting")) == 2)


def _spec() -> dict[str, object]:
    return {"spec": template("adopting")["spec"]}


def test_a_replica_set_tells_what_it_makes_and_deletes(api: Api) -> None:
    api.create(REPLICA_SETS, workload("telling", 1))
    api.await_status(REPLICA_SETS, "telling", replicas=1)
    [pod] = api.names("telling")
    assert re.fullmatch("telling-[bcdfghjklmnpqrstvwxz2456789]{5}", pod)
    api.await_event("telling", "SuccessfulCreate", f"Created pod: {pod}")
    api.patch(REPLICA_SETS, "telling", {"spec": {"replicas": 0}}, "scale")
    api.await_event("telling", "SuccessfulDelete", f"Deleted pod: {pod}")
    eventually(lambda: api.pods("telling") == [])


def test_a_replica_set_gives_up_its_unready_and_cheapest_pods_first(api: Api) -> None:
    api.create(REPLICA_SETS, workload("choosing", 3))
    api.await_status(REPLICA_SETS, "choosing", readyReplicas=3)
    cheap, *_, unready = api.names("choosing")
    api.patch("v1/pods", cheap, {"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-5"}}})
    conditions = [{"type": "Ready", "status": "False"}]
    api.patch("v1/pods", unready, {"status": {"conditions": conditions}}, "status")
    api.await_status(REPLICA_SETS, "choosing", readyReplicas=2)
    api.patch(REPLICA_SETS, "choosing", {"spec": {"replicas": 2}})
    eventually(lambda: len(api.pods("choosing")) == 2)
    assert unready not in api.names("choosing")
    api.patch(REPLICA_SETS, "choosing", {"spec": {"replicas": 1}})
    eventually(lambda: len(api.pods("choosing")) == 1)
    assert cheap not in api.names("choosing")


def test_pods_that_may_not_be_made_are_a_condition_of_all_above(api: Api) -> None:
    denied = workload("denied", 1)
    denied["spec"]["template"]["spec"]["serviceAccountName"] = "nobody"
    api.create(DEPLOYMENTS, denied)
    failure = api.await_condition(DEPLOYMENTS, "denied", "ReplicaFailure", "True", "FailedCreate")
    assert 'serviceaccount "nobody" not found' in failure["message"]
    [replica_set] = api.list(REPLICA_SETS, "app=denied")
    assert condition(replica_set, "ReplicaFailure")["reason"] == "FailedCreate"
    events = eventually(lambda: api.events(replica_set["metadata"]["name"]))
    assert any(reason == "FailedCreate" and text.startswith("Error creating: pods ") for reason, text in events)


def test_a_failed_pod_is_replaced(api: Api) -> None:
    api.create(REPLICA_SETS, workload("failing", 1))
    api.await_status(REPLICA_SETS, "failing", readyReplicas=1)
    [pod] = api.names("failing")
    api.patch("v1/pods", pod, {"status": {"phase": "Failed"}}, "status")
    eventually(lambda: any(name != pod for name in api.names("failing")))


def test_a_replication_controller_keeps_its_pods(api: Api, k: Kubectl) -> None:
    spec = {"replicas": 2, "selector": {"app": "old"}, "template": template("old")}
    api.create(CONTROLLERS, {"metadata": {"name": "old"}, "spec": spec})
    api.await_status(CONTROLLERS, "old", readyReplicas=2, availableReplicas=2, fullyLabeledReplicas=2)
    [owner] = api.pods("old")[0]["metadata"]["ownerReferences"]
    assert (owner["apiVersion"], owner["kind"]) == ("v1", "ReplicationController")
    assert k("scale", "rc", "old", "--replicas=1") == "replicationcontroller/old scaled\n"
    eventually(lambda: len(api.pods("old")) == 1)


def test_wait_and_expose_go_by_a_deployment(api: Api, k: Kubectl, kubelets: Kubelets) -> None:
    api.create(DEPLOYMENTS, workload("waited", 2))
    waited = k("wait", "deployment/waited", "--for=condition=Available", "--timeout=20s")
    assert waited == "deployment.apps/waited condition met\n"
    assert {p["spec"]["nodeName"] for p in api.pods("waited")} <= set(kubelets.nodes)
    k("wait", "pod", "-l", "app=waited", "--for=jsonpath={.status.phase}=Running", "--timeout=20s")
    k("delete", "deployment", "waited")
    k("wait", "pod", "-l", "app=waited", "--for=delete", "--timeout=20s")
