"""The official Python client: typed, dynamic and asynchronous calls, watches, informers, leader election."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket
import yaml
from kubernetes import aio, client, config, dynamic, informer, utils, watch
from kubernetes.client.exceptions import ApiException

from conformance.test_kubectl_objects import deployment, pod
from conformance.wire import Wire


@pytest.fixture(scope="module")
def api(kubeconfig: Path) -> Iterator[client.ApiClient]:
    with config.new_client_from_config(str(kubeconfig)) as made:
        yield made


@pytest.fixture(scope="module")
def core(api: client.ApiClient) -> client.CoreV1Api:
    return client.CoreV1Api(api)


def config_map(name: str, **data: str) -> client.V1ConfigMap:
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels={"by": "client"}), data=data)


def test_typed_objects_go_there_and_back(core: client.CoreV1Api, namespace: str) -> None:
    made = core.create_namespaced_config_map(namespace, config_map("typed", a="1"))
    assert made.metadata.uid and made.metadata.creation_timestamp.tzinfo is not None
    made.data["a"] = "2"
    assert core.replace_namespaced_config_map("typed", namespace, made).data == {"a": "2"}
    assert core.patch_namespaced_config_map("typed", namespace, {"data": {"b": "3"}}).data == {"a": "2", "b": "3"}
    found = core.list_namespaced_config_map(namespace, label_selector="by=client", limit=1)
    assert [item.metadata.name for item in found.items] == ["typed"]
    # Some releases of the client make a V1Status of the answer, others leave it a dict.
    deleted = core.api_client.sanitize_for_serialization(core.delete_namespaced_config_map("typed", namespace))
    assert deleted["status"] == "Success"
    with pytest.raises(ApiException) as refused:
        core.read_namespaced_config_map("typed", namespace)
    assert refused.value.status == 404


def test_typed_deployments_have_their_defaults(api: client.ApiClient, namespace: str) -> None:
    apps = client.AppsV1Api(api)
    made = apps.create_namespaced_deployment(namespace, deployment("typed"))
    assert made.spec.strategy.rolling_update.max_surge == "25%"
    assert made.spec.template.spec.containers[0].image_pull_policy == "IfNotPresent"
    scaled = apps.patch_namespaced_deployment_scale("typed", namespace, {"spec": {"replicas": 4}})
    assert scaled.spec.replicas == 4 and scaled.status.selector == "app=typed"


def test_pods_are_made_and_bound(core: client.CoreV1Api, namespace: str) -> None:
    unplaced = pod("bound")
    unplaced["spec"]["schedulerName"] = "conformance"
    core.create_namespaced_pod(namespace, unplaced)
    target = client.V1ObjectReference(kind="Node", name="somewhere")
    binding = client.V1Binding(metadata=client.V1ObjectMeta(name="bound"), target=target)
    core.create_namespaced_pod_binding("bound", namespace, binding, _preload_content=False)
    assert core.read_namespaced_pod("bound", namespace).spec.node_name == "somewhere"
    core.delete_namespaced_pod("bound", namespace, grace_period_seconds=0)


def test_access_is_reviewed(api: client.ApiClient, namespace: str) -> None:
    attributes = client.V1ResourceAttributes(namespace=namespace, verb="delete", resource="pods")
    review = client.V1SubjectAccessReview(
        spec=client.V1SubjectAccessReviewSpec(user="nobody", resource_attributes=attributes)
    )
    assert client.AuthorizationV1Api(api).create_subject_access_review(review).status.allowed is False


def test_a_watch_tells_every_change_in_order(core: client.CoreV1Api, namespace: str) -> None:
    start = core.list_namespaced_config_map(namespace).metadata.resource_version
    for number in range(5):
        core.create_namespaced_config_map(namespace, config_map(f"seen-{number}"))
    core.patch_namespaced_config_map("seen-0", namespace, {"data": {"a": "b"}})
    core.delete_collection_namespaced_config_map(namespace, label_selector="by=client")
    events: list[tuple[str, str]] = []
    stream = watch.Watch()
    for event in stream.stream(
        core.list_namespaced_config_map,
        namespace,
        label_selector="by=client",
        resource_version=start,
        timeout_seconds=20,
    ):
        events.append((event["type"], event["object"].metadata.name))
        if len(events) == 11:
            stream.stop()
    created = [("ADDED", f"seen-{number}") for number in range(5)]
    assert events[:6] == [*created, ("MODIFIED", "seen-0")]
    assert sorted(events[6:]) == [("DELETED", f"seen-{number}") for number in range(5)]


def test_a_watch_may_come_over_a_websocket(core: client.CoreV1Api, kubeconfig: Path, namespace: str) -> None:
    wire = Wire.of(kubeconfig)
    url = f"wss://{wire.host}:{wire.port}/api/v1/namespaces/{namespace}/configmaps?watch=1&fieldSelector=metadata.name%3Dw"
    socket = websocket.create_connection(url, sslopt={"context": wire.tls}, timeout=30)
    core.create_namespaced_config_map(namespace, config_map("w"))
    core.delete_namespaced_config_map("w", namespace)
    events = [json.loads(socket.recv()) for _ in range(2)]
    assert [(event["type"], event["object"]["kind"]) for event in events] == [
        ("ADDED", "ConfigMap"),
        ("DELETED", "ConfigMap"),
    ]
    socket.close()


def test_an_informer_follows_the_cluster(core: client.CoreV1Api, namespace: str) -> None:
    told: queue.Queue[tuple[str, str]] = queue.Queue()
    core.create_namespaced_config_map(namespace, config_map("before"))
    watching = informer.SharedInformer(core.list_namespaced_config_map, namespace, label_selector="by=client")
    for kind in ("ADDED", "MODIFIED", "DELETED"):
        watching.add_event_handler(kind, lambda found, kind=kind: told.put((kind, found.metadata.name)))
    watching.start()
    try:
        assert told.get(timeout=20) == ("ADDED", "before")
        core.create_namespaced_config_map(namespace, config_map("after"))
        assert told.get(timeout=20) == ("ADDED", "after")
        core.patch_namespaced_config_map("after", namespace, {"data": {"a": "b"}})
        assert told.get(timeout=20) == ("MODIFIED", "after")
        assert sorted(watching.cache.list_keys()) == [f"{namespace}/after", f"{namespace}/before"]
        core.delete_namespaced_config_map("before", namespace)
        assert told.get(timeout=20) == ("DELETED", "before")
    finally:
        watching.stop()
        core.delete_namespaced_config_map("after", namespace)


def test_the_dynamic_client_finds_kinds_and_applies(api: client.ApiClient, namespace: str) -> None:
    found = dynamic.DynamicClient(api)
    maps = found.resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "dynamic"}, "data": {"a": "1"}}
    applied = maps.server_side_apply(body, name="dynamic", namespace=namespace, field_manager="conformance")
    assert applied.data.a == "1"
    assert maps.get(name="dynamic", namespace=namespace).metadata.managedFields[0].manager == "conformance"
    changed = maps.patch(
        {"data": {"a": "2"}}, name="dynamic", namespace=namespace, content_type="application/merge-patch+json"
    )
    assert changed.data.a == "2"
    events = maps.watch(namespace=namespace, field_selector="metadata.name=dynamic", timeout=1)
    assert [event["type"] for event in events] == ["ADDED"]
    maps.delete(name="dynamic", namespace=namespace)
    assert found.resources.get(api_version="apps/v1", kind="Deployment").namespaced


def test_create_from_yaml_makes_all_documents(
    api: client.ApiClient, core: client.CoreV1Api, namespace: str, tmp_path: Path
) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "from-yaml"}}
    file = tmp_path / "objects.yaml"
    file.write_text(yaml.safe_dump_all([deployment("from-yaml"), account]))
    utils.create_from_yaml(api, str(file), namespace=namespace)
    assert core.read_namespaced_service_account("from-yaml", namespace).metadata.name == "from-yaml"
    with pytest.raises(utils.FailToCreateError, match="AlreadyExists"):
        utils.create_from_yaml(api, str(file), namespace=namespace)


CANDIDATE = """
import sys
from kubernetes import config
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

kubeconfig, name, namespace, identity = sys.argv[1:]
config.load_kube_config(kubeconfig)
settings = electionconfig.Config(
    LeaseLock(name, namespace, identity), lease_duration=3, renew_deadline=2, retry_period=1,
    onstarted_leading=lambda: None, onstopped_leading=lambda: None)
leaderelection.LeaderElection(settings).run()
"""


def test_leadership_passes_on_when_the_leader_dies(api: client.ApiClient, kubeconfig: Path, namespace: str) -> None:
    def stand(identity: str) -> subprocess.Popen[bytes]:
        arguments = [str(kubeconfig), "election", namespace, identity]
        return subprocess.Popen([sys.executable, "-c", CANDIDATE, *arguments], stdin=subprocess.DEVNULL)

    def leader_becomes(identity: str) -> bool:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(ApiException):
                lease = client.CoordinationV1Api(api).read_namespaced_lease("election", namespace)
                if lease.spec.holder_identity == identity:
                    return True
            time.sleep(0.1)
        return False

    first = stand("first")
    second: subprocess.Popen[bytes] | None = None
    try:
        assert leader_becomes("first")
        second = stand("second")
        first.kill()
        assert leader_becomes("second")
    finally:
        for candidate in (first, second):
            if candidate is not None:
                candidate.kill()
                candidate.wait()


async def test_the_asynchronous_client_reads_writes_and_watches(kubeconfig: Path, namespace: str) -> None:
    await aio.config.load_kube_config(config_file=str(kubeconfig))
    async with aio.client.ApiClient() as asynchronous:
        core = aio.client.CoreV1Api(asynchronous)
        listed = await core.list_namespaced_config_map(namespace)
        body: dict[str, Any] = {"metadata": {"name": "awaited"}, "data": {"a": "b"}}
        made = await core.create_namespaced_config_map(namespace, body)
        assert made.data == {"a": "b"}
        async with aio.watch.Watch() as stream:
            async for event in stream.stream(
                core.list_namespaced_config_map,
                namespace,
                resource_version=listed.metadata.resource_version,
                timeout_seconds=10,
            ):
                assert (event["type"], event["object"].metadata.name) == ("ADDED", "awaited")
                break
        await core.delete_namespaced_config_map("awaited", namespace)
