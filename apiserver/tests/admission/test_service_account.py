from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apiserver.admission.service_account import ServiceAccount
from openapi.meta.status import StatusError

Object = dict[str, Any]
Make = Callable[..., Object]
PATH = "/var/run/secrets/kubernetes.io/serviceaccount"


async def account(cluster: Any, name: str = "robot", annotations: Object | None = None, **fields: Any) -> None:
    meta = {"name": name, "namespace": "ns", "annotations": annotations or {}}
    await cluster.put("serviceaccounts", {"metadata": meta, **fields})


async def test_a_pod_gets_the_default_account_and_its_token(cluster: Any, make_pod: Make) -> None:
    await cluster.namespace()
    spec = (await cluster.create("pods", make_pod(initContainers=[{"name": "i", "image": "i"}])))["spec"]
    assert spec["serviceAccountName"] == spec["serviceAccount"] == "default"
    volume = spec["volumes"][0]
    assert volume["name"].startswith("kube-api-access-") and len(volume["name"]) == len("kube-api-access-") + 5
    assert [next(iter(s)) for s in volume["projected"]["sources"]] == [
        "serviceAccountToken",
        "configMap",
        "downwardAPI",
    ]
    mount = {"name": volume["name"], "readOnly": True, "mountPath": PATH}
    assert spec["containers"][0]["volumeMounts"] == spec["initContainers"][0]["volumeMounts"] == [mount]


async def test_a_container_with_something_else_in_place_of_the_token_is_left_alone(
    cluster: Any, make_pod: Make
) -> None:
    await cluster.namespace()
    mounts = [{"name": "mine", "mountPath": PATH}]
    spec = (await cluster.create("pods", make_pod(containers=[{"name": "c", "volumeMounts": mounts}])))["spec"]
    assert spec["containers"][0]["volumeMounts"] == mounts
    assert "volumes" not in spec


async def test_a_token_volume_that_is_there_is_used(cluster: Any, make_pod: Make) -> None:
    await cluster.namespace()
    volumes = [{"name": "kube-api-access-mine1", "projected": {"sources": []}}]
    spec = (await cluster.create("pods", make_pod(volumes=volumes)))["spec"]
    assert spec["volumes"] == volumes
    assert spec["containers"][0]["volumeMounts"][0]["name"] == "kube-api-access-mine1"


@pytest.mark.parametrize(
    ("of_pod", "of_account", "mounted"), [(None, False, False), (True, False, True), (False, True, False)]
)
async def test_the_pod_decides_on_mounting_before_its_account(
    cluster: Any, make_pod: Make, of_pod: bool | None, of_account: bool, mounted: bool
) -> None:
    await cluster.namespace()
    await account(cluster, automountServiceAccountToken=of_account)
    more = {} if of_pod is None else {"automountServiceAccountToken": of_pod}
    spec = (await cluster.create("pods", make_pod(serviceAccountName="robot", **more)))["spec"]
    assert ("volumes" in spec) == mounted


async def test_pull_secrets_of_the_account_are_for_pods_without_any(cluster: Any, make_pod: Make) -> None:
    await cluster.namespace()
    await account(cluster, imagePullSecrets=[{"name": "s"}])
    plain = await cluster.create("pods", make_pod(serviceAccountName="robot"))
    own = await cluster.create("pods", make_pod(serviceAccountName="robot", imagePullSecrets=[{"name": "t"}]))
    assert plain["spec"]["imagePullSecrets"] == [{"name": "s"}]
    assert own["spec"]["imagePullSecrets"] == [{"name": "t"}]


async def test_an_account_that_is_not_there_refuses_the_pod(cluster: Any, make_pod: Make) -> None:
    await cluster.namespace()
    with pytest.raises(StatusError) as caught:
        await cluster.create("pods", make_pod(serviceAccountName="x"))
    assert caught.value.message == (
        'pods "a" is forbidden: error looking up service account ns/x: serviceaccount "x" not found'
    )


async def test_the_default_account_is_waited_for(cluster: Any, make_pod: Make) -> None:
    plugin = ServiceAccount(cluster.store, cluster.catalog, retry_s=0)
    asked = 0
    live = plugin._accounts.live

    async def slow(namespace: str, name: str) -> Any:
        nonlocal asked
        asked += 1
        if asked == 3:
            await cluster.put("serviceaccounts", {"metadata": {"name": "default", "namespace": "ns"}})
        return await live(namespace, name)

    plugin._accounts.live = slow  # type: ignore[method-assign]
    attributes = cluster.ask("CREATE", "pods", make_pod())
    await plugin.mutate(attributes)
    assert asked == 3
    assert attributes.obj["spec"]["serviceAccountName"] == "default"


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"serviceAccountName": "default"}, "a mirror pod may not reference service accounts"),
        ({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}, "a mirror pod may not reference secrets"),
        (
            {"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]},
            "a mirror pod may not use ServiceAccountToken volume projections",
        ),
    ],
)
async def test_mirror_pods_refer_to_nothing(cluster: Any, make_pod: Make, spec: Object, why: str) -> None:
    await cluster.namespace()
    mirror = make_pod(**spec)
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "h"}
    with pytest.raises(StatusError, match=f'pods "a" is forbidden: {why}'):
        await cluster.create("pods", mirror)


async def test_mirror_pods_get_no_account(cluster: Any, make_pod: Make) -> None:
    await cluster.namespace()
    mirror = make_pod()
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "h"}
    assert "serviceAccountName" not in (await cluster.create("pods", mirror))["spec"]


async def test_an_account_may_limit_the_secrets_of_its_pods(cluster: Any, make_pod: Make) -> None:
    await cluster.namespace()
    await account(cluster, annotations={"kubernetes.io/enforce-mountable-secrets": "true"}, secrets=[{"name": "known"}])
    env = [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "other", "key": "k"}}}]
    await cluster.create(
        "pods", make_pod(serviceAccountName="robot", volumes=[{"name": "v", "secret": {"secretName": "known"}}])
    )
    with pytest.raises(
        StatusError, match='container c with envVar E referencing secret\\.secretName="other" is not allowed'
    ):
        await cluster.create("pods", make_pod(serviceAccountName="robot", containers=[{"name": "c", "env": env}]))
