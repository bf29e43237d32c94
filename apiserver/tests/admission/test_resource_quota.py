from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from apiserver.admission.resource_quota import ResourceQuota
from openapi.meta.status import StatusError

Object = dict[str, Any]
Make = Callable[..., Object]


def config(name: str = "a") -> Object:
    return {"metadata": {"name": name, "namespace": "ns"}}


def sized(make_pod: Make, **resources: Any) -> Object:
    return make_pod(containers=[{"name": "c", "image": "i", "resources": resources}])


async def quota(cluster: Any, hard: Object, used: Object | None = None, name: str = "q", **spec: Any) -> None:
    if cluster.store.cache(cluster.row("namespaces")).get("", "ns") is None:
        await cluster.namespace()
    status = {"hard": hard, "used": dict.fromkeys(hard, "0") if used is None else used}
    meta = {"name": name, "namespace": "ns"}
    await cluster.put("resourcequotas", {"metadata": meta, "spec": {"hard": hard, **spec}, "status": status})


async def used(cluster: Any, name: str = "q") -> Object:
    found: Object = (await cluster.get("resourcequotas", "ns", name))["status"]["used"]
    return found


async def refusal(cluster: Any, resource: str, obj: Object, **more: Any) -> str:
    with pytest.raises(StatusError) as caught:
        await cluster.create(resource, obj, **more)
    assert caught.value.code == 403
    return caught.value.message


async def test_what_is_let_in_is_booked_until_nothing_is_left(cluster: Any) -> None:
    await quota(cluster, {"count/configmaps": "1", "configmaps": "5", "pods": "2"})
    await cluster.create("configmaps", config())
    assert await used(cluster) == {"count/configmaps": "1", "configmaps": "1", "pods": "0"}
    assert await refusal(cluster, "configmaps", config("b")) == (
        'configmaps "b" is forbidden: exceeded quota: q, requested: count/configmaps=1, used: count/configmaps=1, '
        "limited: count/configmaps=1"
    )


async def test_the_server_owns_what_it_booked(cluster: Any) -> None:
    await cluster.namespace()
    owner = {"manager": "m", "operation": "Update", "apiVersion": "v1", "time": "2026-11-23T07:00:00Z"}
    owner |= {"fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:hard": {".": {}, "f:count/configmaps": {}}}}}
    meta = {"name": "q", "namespace": "ns", "managedFields": [owner]}
    hard = {"count/configmaps": "1"}
    status = {"hard": hard, "used": {"count/configmaps": "0"}}
    await cluster.put("resourcequotas", {"metadata": meta, "spec": {"hard": hard}, "status": status})
    await cluster.create("configmaps", config())
    owners = (await cluster.get("resourcequotas", "ns", "q"))["metadata"]["managedFields"]
    (booked,) = [o for o in owners if o["manager"] == "kube-apiserver"]
    assert booked["subresource"] == "status"
    assert booked["fieldsV1"] == {"f:status": {"f:used": {"f:count/configmaps": {}}}}


async def test_all_quotas_must_understand_a_pod_before_one_is_charged(cluster: Any, make_pod: Make) -> None:
    await quota(cluster, {"pods": "0"}, name="a")
    await quota(cluster, {"requests.cpu": "1"}, name="b")
    assert (await refusal(cluster, "pods", sized(make_pod))).endswith(
        "failed quota: b: must specify requests.cpu for: c"
    )
    assert "exceeded quota: a" in await refusal(cluster, "pods", sized(make_pod, requests={"cpu": "1"}))


async def test_a_dry_run_books_nothing(cluster: Any) -> None:
    await quota(cluster, {"count/configmaps": "1"})
    await cluster.create("configmaps", config(), dry_run=True)
    assert await used(cluster) == {"count/configmaps": "0"}


async def test_quotas_hold_among_many_at_once(cluster: Any) -> None:
    await quota(cluster, {"count/configmaps": "5"})
    results = await asyncio.gather(
        *(cluster.create("configmaps", config(f"c{i}")) for i in range(20)), return_exceptions=True
    )
    assert sum(not isinstance(result, StatusError) for result in results) == 5
    assert await used(cluster) == {"count/configmaps": "5"}


async def test_quotas_hold_among_several_servers(cluster: Any) -> None:
    await quota(cluster, {"count/configmaps": "5"})
    servers = [ResourceQuota(cluster.store, cluster.catalog) for _ in range(4)]
    results = await asyncio.gather(
        *(servers[i % 4].validate(cluster.ask("CREATE", "configmaps", config(f"c{i}"))) for i in range(20)),
        return_exceptions=True,
    )
    assert sum(result is None for result in results) == 5
    assert await used(cluster) == {"count/configmaps": "5"}


async def test_a_refusal_is_never_based_on_an_old_quota(cluster: Any) -> None:
    await quota(cluster, {"count/configmaps": "1"}, {"count/configmaps": "1"})
    plugin = ResourceQuota(cluster.store, cluster.catalog)
    row = cluster.row("resourcequotas")
    stale = cluster.store.cache(row).get("ns", "q")
    freed = stale.object()
    freed["status"]["used"] = {"count/configmaps": "0"}
    await cluster.store.update(row, "ns", "q", freed, stale.revision)
    plugin._written[stale.key] = stale
    await plugin.validate(cluster.ask("CREATE", "configmaps", config()))
    assert await used(cluster) == {"count/configmaps": "1"}


async def test_a_quota_that_was_not_counted_yet_refuses(cluster: Any) -> None:
    await quota(cluster, {"count/secrets": "5", "secrets": "4"}, {})
    assert await refusal(cluster, "secrets", config()) == (
        'secrets "a" is forbidden: status unknown for quota: q, resources: count/secrets,secrets'
    )


async def test_a_quota_without_limits_in_its_status_does_not_count(cluster: Any) -> None:
    await cluster.namespace()
    meta = {"name": "q", "namespace": "ns"}
    await cluster.put("resourcequotas", {"metadata": meta, "spec": {"hard": {"count/secrets": "0"}}, "status": {}})
    await cluster.create("secrets", config())


async def test_a_quota_of_cpu_wants_every_container_to_say_its_part(cluster: Any, make_pod: Make) -> None:
    await quota(cluster, {"requests.cpu": "1", "limits.cpu": "2"})
    assert await refusal(cluster, "pods", make_pod()) == (
        'pods "a" is forbidden: failed quota: q: must specify limits.cpu for: c; requests.cpu for: c'
    )


async def test_requests_of_pods_add_up(cluster: Any, make_pod: Make) -> None:
    await quota(cluster, {"requests.cpu": "1", "cpu": "1", "pods": "5"})
    await cluster.create("pods", sized(make_pod, requests={"cpu": "600m"}))
    assert await used(cluster) == {"requests.cpu": "600m", "cpu": "600m", "pods": "1"}
    assert await refusal(cluster, "pods", sized(make_pod, requests={"cpu": "500m"})) == (
        'pods "a" is forbidden: exceeded quota: q, requested: cpu=500m,requests.cpu=500m, '
        "used: cpu=600m,requests.cpu=600m, limited: cpu=1,requests.cpu=1"
    )


async def test_devices_that_pods_request_by_class_are_extended_resources(cluster: Any, make_pod: Make) -> None:
    name = "deviceclass.resource.kubernetes.io/gpu"
    await quota(cluster, {f"requests.{name}": "1"})
    await cluster.create("pods", sized(make_pod, requests={name: "1"}, limits={name: "1"}))
    assert await used(cluster) == {f"requests.{name}": "1"}


async def test_a_resize_costs_the_difference(cluster: Any, make_pod: Make) -> None:
    await quota(cluster, {"requests.cpu": "1"}, {"requests.cpu": "500m"})
    old = sized(make_pod, requests={"cpu": "500m"})
    await cluster.update("pods", sized(make_pod, requests={"cpu": "700m"}), old, subresource="resize")
    assert await used(cluster) == {"requests.cpu": "700m"}


@pytest.mark.parametrize(
    ("spec", "counted"),
    [
        ({"scopes": ["Terminating"]}, False),
        ({"scopes": ["NotTerminating"]}, True),
        ({"scopes": ["BestEffort"]}, True),
        ({"scopes": ["NotBestEffort"]}, False),
        ({"scopes": ["NotTerminating", "NotBestEffort"]}, False),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]}}, False),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "DoesNotExist"}]}}, True),
        (
            {"scopeSelector": {"matchExpressions": [
                {"scopeName": "PriorityClass", "operator": "NotIn", "values": ["x"]},
            ]}},
            True,
        ),
        ({"scopes": ["CrossNamespacePodAffinity"]}, False),
    ],
)  # fmt: skip
async def test_scopes_choose_pods(cluster: Any, make_pod: Make, spec: Object, counted: bool) -> None:
    await quota(cluster, {"pods": "3"}, **spec)
    await cluster.create("pods", make_pod())
    assert await used(cluster) == {"pods": "1" if counted else "0"}


async def test_quotas_with_scopes_do_not_count_other_kinds(cluster: Any) -> None:
    await quota(cluster, {"count/configmaps": "0"}, scopes=["BestEffort"])
    await cluster.create("configmaps", config())


async def test_claims_cost_their_size_rounded_up_also_by_class(cluster: Any) -> None:
    by_class = "fast.storageclass.storage.k8s.io/requests.storage"
    await quota(cluster, {"requests.storage": "10", by_class: "10", "persistentvolumeclaims": "3"})
    spec = {"storageClassName": "fast", "resources": {"requests": {"storage": "1500m"}}}
    await cluster.create("persistentvolumeclaims", {**config(), "spec": spec})
    assert await used(cluster) == {"requests.storage": "2", by_class: "2", "persistentvolumeclaims": "1"}


async def test_services_cost_their_ports(cluster: Any) -> None:
    await quota(cluster, {"services": "5", "services.nodeports": "5", "services.loadbalancers": "5"})
    ports = [{"port": 1}, {"port": 2}]
    await cluster.create("services", {**config(), "spec": {"type": "LoadBalancer", "ports": ports}})
    assert await used(cluster) == {"services": "1", "services.nodeports": "2", "services.loadbalancers": "1"}


async def test_a_service_that_changes_its_type_costs_more(cluster: Any) -> None:
    await quota(cluster, {"services": "1", "services.nodeports": "1"}, {"services": "1", "services.nodeports": "0"})
    old = {**config(), "spec": {"type": "ClusterIP", "ports": [{"port": 1}]}}
    await cluster.update("services", {**config(), "spec": {**old["spec"], "type": "NodePort"}}, old)
    assert await used(cluster) == {"services": "1", "services.nodeports": "1"}


async def test_events_are_free(cluster: Any) -> None:
    await quota(cluster, {"count/events": "0"})
    await cluster.create("events", config())


async def test_names_are_counted_with_their_group(cluster: Any) -> None:
    await quota(cluster, {"count/deployments.apps": "0"})
    assert "requested: count/deployments.apps=1" in await refusal(cluster, "deployments", config(), group="apps")


async def test_device_claims_cost_the_worst_of_their_choices(cluster: Any) -> None:
    name = "gpu.deviceclass.resource.k8s.io/devices"
    await quota(cluster, {name: "10"})
    choices = [{"name": "x", "deviceClassName": "gpu", "count": 2}, {"name": "y", "deviceClassName": "gpu", "count": 3}]
    requests = [{"name": "r", "firstAvailable": choices}, {"name": "s", "exactly": {"deviceClassName": "gpu"}}]
    claim = {**config(), "spec": {"devices": {"requests": requests}}}
    await cluster.create("resourceclaims", claim, group="resource.k8s.io")
    assert await used(cluster) == {name: "4"}
