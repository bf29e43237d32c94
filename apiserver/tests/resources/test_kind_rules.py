"""Rules of single kinds, as the server answers for them: what it refuses, and what it leaves out."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from apiserver.resources.apiextensions.custom_resource import CustomResourceStrategy
from apiserver.resources.core.services import ServiceStatus
from apiserver.resources.discovery.endpointslices import EndpointSlices
from apiserver.resources.strategy import Strategy
from apiserver.tests.conftest import Client
from openapi.custom.kind import CustomKind

Object = dict[str, Any]

MERGE = "application/merge-patch+json"
_PREFIXES = {"v1": "/api/v1"}
_CLUSTER_WIDE = frozenset(
    (
        "APIService", "CSIDriver", "IngressClass", "PersistentVolume", "PriorityClass", "ResourceSlice", "RuntimeClass",
        "ServiceCIDR", "ValidatingWebhookConfiguration", "VolumeAttributesClass",
    )
)
_PLURALS = {
    "Ingress": "ingresses",
    "IngressClass": "ingressclasses",
    "NetworkPolicy": "networkpolicies",
    "PriorityClass": "priorityclasses",
    "RuntimeClass": "runtimeclasses",
    "VolumeAttributesClass": "volumeattributesclasses",
}


def path_of(obj: Object) -> str:
    version, kind = obj["apiVersion"], obj["kind"]
    prefix = _PREFIXES.get(version, f"/apis/{version}")
    plural = _PLURALS.get(kind, f"{kind.lower()}s")
    return f"{prefix}/{plural}" if kind in _CLUSTER_WIDE else f"{prefix}/namespaces/default/{plural}"


def made(version: str, kind: str, *, meta: Object | None = None, **rest: Any) -> Object:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "a", **(meta or {})}, **copy.deepcopy(rest)}


def problems(answer: Any) -> list[str]:
    assert answer.code == 422, answer.body
    return [f"{c['field']}: {c['message']}" for c in answer.json["details"]["causes"]]


def network_policy(cidr: str, *without: str) -> Object:
    spec = {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": cidr, "except": list(without)}}]}]}
    return made("networking.k8s.io/v1", "NetworkPolicy", spec=spec)


TEMPLATE: Object = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
CLAIM: Object = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
WORKLOAD: Object = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}
VOLUME: Object = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/a"}}
NEGATIVE = "Invalid value: -1: must be greater than or equal to 0"
_PORT = {"number": 1}
SET = made("apps/v1", "StatefulSet", spec={**WORKLOAD, "updateStrategy": {"rollingUpdate": {"maxUnavailable": 2}}})
EVENT: Object = {"involvedObject": {"namespace": "default"}, "eventTime": "2026-01-01T00:00:00.000000Z",
                 "reportingInstance": "i", "action": "a", "reason": "r", "type": "Normal"}  # fmt: skip


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (made("apps/v1", "Deployment", meta={"finalizers": ["plain"]}, spec=WORKLOAD),
         ['metadata.finalizers[0]: Invalid value: "plain": name is neither a standard finalizer name nor is it fully '
          "qualified"]),
        (made("apps/v1", "ControllerRevision", revision=-1),
         [f"revision: {NEGATIVE}", "data: Required value: data is mandatory"]),
        (made("apps/v1", "ControllerRevision", data=[1]), ["data: Required value: data must be a valid JSON object"]),
        # Addresses and ports are taken before anything is looked at.
        (made("v1", "Service", spec={"sessionAffinity": "X", "clusterIP": "192.0.2.1", "ports": [{"port": 0}]}),
         ['spec.clusterIPs: Invalid value: ["192.0.2.1"]: failed to allocate IP 192.0.2.1: the provided network does '
          "not match the current range"]),
        (made("v1", "Service", spec={"type": "NodePort", "ports": [{"port": 0, "nodePort": 1}]}),
         ["spec.ports[0].nodePort: Invalid value: 1: provided port is not in the valid range. The range of valid ports "
          "is 30000-32767"]),
        (made("v1", "Event", **EVENT),
         ["reportingComponent: Required value",
          "reportingComponent: Invalid value: \"\": name part must be non-empty",
          "reportingComponent: Invalid value: \"\": name part must consist of alphanumeric characters, '-', '_' or "
          "'.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', "
          "regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"]),
        (made("storage.k8s.io/v1", "CSIDriver", spec={"volumeLifecycleModes": ["X"]}),
         ['spec.volumeLifecycleModes: Unsupported value: "X": supported values: "Persistent", "Ephemeral"']),
        (network_policy("10.0.0.1/8", "010.1.0.0/16"),
         ['spec.ingress[0].from[0].ipBlock.cidr: Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix '
          "length",
          'spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: "010.1.0.0/16": must not have leading 0s in IP or '
          "prefix length"]),
        (made("networking.k8s.io/v1", "ServiceCIDR", spec={"cidrs": ["10.9.0.1/16", "10.8.0.0/16"]}),
         ['spec.cidrs[0]: Invalid value: "10.9.0.1/16": must not have bits set beyond the prefix length',
          'spec.cidrs: Invalid value: ["10.9.0.1/16","10.8.0.0/16"]: may specify no more than one IP for each IP '
          "family, i.e 192.168.0.0/24 and 2001:db8::/64"]),
        (made("apiregistration.k8s.io/v1", "APIService", meta={"name": "v1.g.io"},
              spec={"group": "g.io", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1,
                    "service": {"namespace": "n", "name": "s", "port": 0}}),
         ["spec.service.port: Invalid value: 0: port is not valid: must be between 1 and 65535, inclusive"]),
        (made("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration",
              webhooks=[{"name": "a.b.c", "clientConfig": {"url": "1.2.3.4:443"}, "sideEffects": "None",
                         "admissionReviewVersions": ["v1"]}]),
         ['webhooks[0].clientConfig.url: Required value: url must be a valid URL: parse "1.2.3.4:443": first path '
          "segment in URL cannot contain colon; desired format: https://host[/path]"]),
    ],
)  # fmt: skip
async def test_wrong_objects_are_refused(client: Client, obj: Object, expected: list[str]) -> None:
    assert problems(await client.ask("POST", path_of(obj), obj)) == expected


@pytest.mark.parametrize(
    ("obj", "change", "expected"),
    [
        # These kinds check an update as a new object and once more as a change; the last one is only ever new.
        (made("v1", "ReplicationController", spec={"template": TEMPLATE}), {"spec": {"replicas": -1}},
         [f"spec.replicas: {NEGATIVE}"] * 2),
        (made("v1", "PersistentVolume", spec=VOLUME), {"spec": {"accessModes": None}},
         ["spec.accessModes: Required value"] * 2),
        (made("apps/v1", "ControllerRevision", data={}), {"data": None},
         ["data: Invalid value: null: field is immutable"]),
        (made("v1", "LimitRange", spec={"limits": []}), {"metadata": {"uid": "x"}},
         ['metadata.uid: Invalid value: "x": field is immutable']),
        (made("networking.k8s.io/v1", "ServiceCIDR", spec={"cidrs": ["10.9.0.0/16"]}),
         {"spec": {"cidrs": ["10.8.0.0/16", "fd00:9::/64"]}},
         ['spec.cidrs[0]: Invalid value: "10.8.0.0/16": field is immutable']),
        (made("storage.k8s.io/v1", "VolumeAttributesClass", driverName="d", parameters={"a": "b"}),
         {"driverName": "e/f/g"},
         ["driverName: Invalid value: \"e/f/g\": a valid label key must consist of alphanumeric characters, '-', '_' "
          "or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', "
          "regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain "
          "prefix and '/' (e.g. 'example.com/MyName')",
          "driverName: Forbidden: updates to driverName are forbidden."]),
    ],
)  # fmt: skip
async def test_wrong_changes_are_refused(client: Client, obj: Object, change: Object, expected: list[str]) -> None:
    await client.ask("POST", path_of(obj), obj)
    changed = await client.ask("PATCH", f"{path_of(obj)}/a", change, content_type=MERGE)
    assert problems(changed) == expected


@pytest.mark.parametrize(
    ("obj", "status", "expected"),
    [
        (made("apps/v1", "Deployment", spec=WORKLOAD), {"terminatingReplicas": -1},
         ["status.terminatingReplicas: Invalid value: -1: must be greater than or equal to 0"]),
        (made("v1", "ReplicationController", spec={"template": TEMPLATE}), {"replicas": -1},
         [f"status.replicas: {NEGATIVE}",
          *(f"status.{name}: Invalid value: 0: cannot be greater than status.replicas"
            for name in ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"))]),
        (made("networking.k8s.io/v1", "Ingress", spec={"defaultBackend": {"service": {"name": "s", "port": _PORT}}}),
         {"loadBalancer": {"ingress": [{"ip": "010.0.0.1"}]}},
         ['status.loadBalancer.ingress[0].ip: Invalid value: "010.0.0.1": must not have leading 0s']),
    ],
)  # fmt: skip
async def test_wrong_statuses_are_refused(client: Client, obj: Object, status: Object, expected: list[str]) -> None:
    await client.ask("POST", path_of(obj), obj)
    changed = await client.ask("PATCH", f"{path_of(obj)}/a/status", {"status": status}, content_type=MERGE)
    assert problems(changed) == expected


async def test_a_changed_service_names_no_node_port_twice(client: Client) -> None:
    obj = made("v1", "Service", spec={"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]})
    await client.create(path_of(obj), obj)
    ports = [{"port": number, "name": f"p{number}", "nodePort": 30080} for number in (80, 81)]
    answer = await client.ask("PATCH", f"{path_of(obj)}/a", {"spec": {"ports": ports}}, content_type=MERGE)
    assert (answer.code, answer.json["message"]) == (500, "duplicate nodePort: {TCP 30080}")


async def test_webhooks_and_policies_take_any_finalizer(client: Client) -> None:
    obj = made("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", meta={"finalizers": ["plain"]})
    assert (await client.ask("POST", path_of(obj), obj)).code == 201


async def test_a_budget_may_be_called_anything(client: Client) -> None:
    obj = made("policy/v1", "PodDisruptionBudget", meta={"name": "A_b"}, spec={"minAvailable": 1})
    assert (await client.ask("POST", path_of(obj), obj)).code == 201


async def test_the_generation_of_a_csi_driver_counts_changes_only(client: Client) -> None:
    obj = made("storage.k8s.io/v1", "CSIDriver", spec={})
    created = await client.ask("POST", path_of(obj), obj)
    assert "generation" not in created.json["metadata"]
    change = {"spec": {"requiresRepublish": True}}
    changed = await client.ask("PATCH", f"{path_of(obj)}/a", change, content_type=MERGE)
    assert changed.json["metadata"]["generation"] == 1


async def test_stateful_sets_roll_pod_by_pod(client: Client) -> None:
    created = await client.ask("POST", path_of(SET), SET)
    assert created.json["spec"]["updateStrategy"]["rollingUpdate"] == {"partition": 0}


async def test_an_updated_claim_names_its_source_in_both_fields(client: Client) -> None:
    source = {"kind": "PersistentVolumeClaim", "name": "b"}
    obj = made("v1", "PersistentVolumeClaim", spec={**CLAIM, "dataSource": source, "volumeAttributesClassName": ""})
    created = (await client.ask("POST", path_of(obj), obj)).json
    del created["spec"]["dataSourceRef"]
    replaced = await client.ask("PUT", f"{path_of(obj)}/a", created)
    assert (replaced.code, replaced.json["spec"]["dataSourceRef"]["name"]) == (200, "b")


async def test_a_bound_claim_may_give_up_its_attributes(client: Client) -> None:
    claim = made("v1", "PersistentVolumeClaim", spec={**CLAIM, "volumeAttributesClassName": "gold"})
    await client.create(path_of(claim), claim)
    url, change = f"{path_of(claim)}/a", {"spec": {"volumeAttributesClassName": None}}
    assert (await client.patch(url, change)).code == 422
    await client.patch(f"{url}/status", {"status": {"phase": "Bound"}})
    assert (await client.patch(url, change)).code == 200


async def test_what_belongs_to_features_that_are_off_is_left_out(client: Client) -> None:
    driver = made("storage.k8s.io/v1", "CSIDriver", spec={"preventPodSchedulingIfMissing": True})
    assert "preventPodSchedulingIfMissing" not in (await client.ask("POST", path_of(driver), driver)).json["spec"]
    pool = {"name": "p", "generation": 1, "resourceSliceCount": 1}
    device = {"name": "d", "attributes": {"n": {"ints": [1]}}}
    spec = {"driver": "d.io", "pool": pool, "nodeName": "n", "devices": [device]}
    obj = made("resource.k8s.io/v1", "ResourceSlice", spec=spec)
    assert problems(await client.ask("POST", path_of(obj), obj)) == [
        'spec.devices[0].attributes[n]: Invalid value: "": exactly one value must be specified'
    ]


BYTES = {**CLAIM, "resources": {"requests": {"storage": "1m"}}}
CLAIMS_OF_BYTES = {**WORKLOAD, "volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": BYTES}]}
_PART = 'resources.requests[storage]: fractional byte value \\"1m\\" is invalid, must be an integer'


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (made("v1", "ResourceQuota", spec={"hard": {"requests.cpu": 2, "limits.cpu": 1, "memory": 2, "limits.memory": 2,
                                                    "ephemeral-storage": 2, "limits.ephemeral-storage": 1}}),
         ["ResourceQuota requests.cpu (2) should be less than limits.cpu (1)"]),
        (made("v1", "ResourceQuota", spec={"hard": {"memory": "3Gi", "limits.memory": "2Gi"}}),
         ["ResourceQuota memory (3Gi) should be less than limits.memory (2Gi)"]),
        (made("v1", "PersistentVolume", meta={"annotations": {"volume.beta.kubernetes.io/mount-options": "ro"}},
              spec={**VOLUME, "hostPath": None, "nfs": {"server": "s", "path": "/"}}),
         ["metadata.annotations[volume.beta.kubernetes.io/mount-options]: deprecated since v1.31; use "
          '\\"mountOptions\\" attribute instead']),
        (made("apps/v1", "StatefulSet", spec=CLAIMS_OF_BYTES), [f"spec.volumeClaimTemplates[0].{_PART}"]),
    ],
)  # fmt: skip
async def test_odd_objects_are_warned_of(client: Client, obj: Object, expected: list[str]) -> None:
    answer = await client.ask("POST", path_of(obj), obj)
    assert (answer.code, answer.header("warning")) == (201, ",".join(f'299 - "{text}"' for text in expected))


async def test_an_updated_stateful_set_names_its_claims_otherwise(client: Client) -> None:
    obj = made("apps/v1", "StatefulSet", spec=CLAIMS_OF_BYTES)
    await client.ask("POST", path_of(obj), obj)
    answer = await client.ask("PATCH", f"{path_of(obj)}/a", {"spec": {"replicas": 3}}, content_type=MERGE)
    assert answer.header("warning") == f'299 - "spec.volumeClaimTemplates[0].Spec.{_PART}"'


async def test_a_limit_range_may_be_made_by_an_update(client: Client) -> None:
    obj = made("v1", "LimitRange", spec={"limits": []})
    assert (await client.ask("PUT", f"{path_of(obj)}/a", obj)).code == 201


async def test_a_runtime_class_warns_of_old_labels(client: Client) -> None:
    scheduling = {"nodeSelector": {"beta.kubernetes.io/os": "linux"}}
    obj = made("node.k8s.io/v1", "RuntimeClass", handler="h", scheduling=scheduling)
    answer = await client.ask("POST", path_of(obj), obj)
    assert answer.header("warning") == (
        '299 - "scheduling.nodeSelector: deprecated since v1.14; use \\"kubernetes.io/os\\" instead"'
    )


_CANONICAL = 'IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format ("2001:db8::1")'


@pytest.mark.parametrize(
    ("strategy", "obj", "expected"),
    [
        (EndpointSlices(), {"metadata": {}, "endpoints": [{"addresses": ["2001:DB8::1"]}]},
         [f"endpoints[0].addresses[0]: {_CANONICAL}"]),
        (ServiceStatus(), {"status": {"loadBalancer": {"ingress": [{"ip": "2001:DB8::1"}, {"hostname": "a.b"}]}}},
         [f"status.loadBalancer.ingress[0]: {_CANONICAL}"]),
        (CustomResourceStrategy(CustomKind({"name": "v1"}), namespaced=True),
         {"metadata": {"finalizers": ["plain", "a.b/c", "orphan", "old"]}},
         ['metadata.finalizers: "plain": prefer a domain-qualified finalizer name including a path (/) to avoid '
          "accidental conflicts with other finalizer writers"]),
    ],
)  # fmt: skip
def test_odd_values_are_warned_of(strategy: Strategy, obj: Object, expected: list[str]) -> None:
    assert list(strategy.warnings(obj, {"metadata": {"finalizers": ["old"]}})) == expected


async def test_the_default_ingress_class_is_marked_in_tables(client: Client) -> None:
    meta = {"annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}}
    obj = made("networking.k8s.io/v1", "IngressClass", meta=meta, spec={"controller": "a.b/c"})
    await client.ask("POST", path_of(obj), obj)
    table = await client.ask("GET", path_of(obj), accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    assert table.json["rows"][0]["cells"][0] == "a (default)"


async def test_a_running_job_keeps_its_start(client: Client) -> None:
    pod = {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}
    obj = made("batch/v1", "Job", spec={"template": {"spec": pod}})
    await client.ask("POST", path_of(obj), obj)
    for time, code in (("2026-01-01T00:00:00Z", 200), ("2026-01-01T00:00:01Z", 422), (None, 422)):
        change = {"status": {"startTime": time}}
        answer = await client.ask("PATCH", f"{path_of(obj)}/a/status", change, content_type=MERGE)
        assert answer.code == code
    assert problems(answer) == [
        "status.startTime: Invalid value: null: field is immutable for unsuspended job once set"
    ]
