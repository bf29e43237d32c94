"""Kinds that say what may be: budgets, network policies, ingresses, roles, signing requests, classes, leases."""

from __future__ import annotations

import base64
import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from apiserver.resources.certificates.signing_request import SigningRequestStrategy
from apiserver.resources.coordination.lease import LeaseStrategy
from apiserver.resources.networking.ingress import IngressStrategy
from apiserver.resources.networking.network_policy import NetworkPolicyStrategy
from apiserver.resources.node.runtime_class import RuntimeClassStrategy
from apiserver.resources.policy.pod_disruption_budget import PodDisruptionBudgetStrategy
from apiserver.resources.rbac.bindings import ClusterRoleBindingStrategy, RoleBindingStrategy
from apiserver.resources.rbac.roles import ClusterRoleStrategy, RoleStrategy
from apiserver.resources.scheduling.priority_class import PriorityClassStrategy
from apiserver.resources.strategy import Strategy, User, WriteContext

Object = dict[str, Any]

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONTEXT = WriteContext(User("jane", groups=("devs",)), NOW, "default")
GROUP = "rbac.authorization.k8s.io"


def named(name: str = "x", *, cluster: bool = False, **fields: Any) -> Object:
    return {"metadata": {"name": name} if cluster else {"name": name, "namespace": "default"}} | fields


def problems(strategy: Strategy, obj: Object, old: Object | None = None) -> list[str]:
    return [str(error) for error in strategy.validate(obj, old, CONTEXT)]


def paths(strategy: Strategy, obj: Object, old: Object | None = None) -> list[str]:
    return [error.path for error in strategy.validate(obj, old, CONTEXT)]


def test_a_budget_has_one_limit() -> None:
    obj = named(spec={"minAvailable": 1, "maxUnavailable": "10%"})
    shown = '{"MinAvailable":1,"Selector":null,"MaxUnavailable":"10%","UnhealthyPodEvictionPolicy":null}'
    text = f"spec: Invalid value: {shown}: minAvailable and maxUnavailable cannot be both set"
    assert problems(PodDisruptionBudgetStrategy(), obj) == [text]


def test_conditions_of_a_budget_are_complete() -> None:
    old = named(spec={}, status={})
    obj = named(spec={}, status={"conditions": [{"type": "A", "status": "True", "reason": "R"}]})
    status = PodDisruptionBudgetStrategy.subresources["status"]
    assert problems(status, obj, old) == ["status.conditions[0].lastTransitionTime: Required value: must be set"]


def test_peers_of_a_policy_are_blocks_or_selectors() -> None:
    block = {"cidr": "10.0.0.0/8", "except": ["10.0.0.0/8", "10.1.0.0/16"]}
    peers = [{}, {"ipBlock": block}, {"ipBlock": {"cidr": "::/0"}, "podSelector": {}}]
    obj = named(spec={"podSelector": {}, "egress": [{"to": peers}]})
    assert paths(NetworkPolicyStrategy(), obj) == [
        "spec.egress[0].to[0]",
        "spec.egress[0].to[1].ipBlock.except[0]",
        "spec.egress[0].to[2]",
    ]


@pytest.mark.parametrize(
    ("path", "kind", "count"),
    [("/a", "Prefix", 0), ("", "ImplementationSpecific", 0), ("a", "ImplementationSpecific", 1), ("/a/..", "Exact", 1)],
)
def test_paths_of_an_ingress(path: str, kind: str, count: int) -> None:
    backend = {"service": {"name": "s", "port": {"number": 80}}}
    http = {"paths": [{"path": path, "pathType": kind, "backend": backend}]}
    assert len(problems(IngressStrategy(), named(spec={"rules": [{"http": http}]}))) == count


def test_a_wildcard_host_that_was_stored_broken_may_stay() -> None:
    old = named(spec={"rules": [{"host": "*.a.b", "http": {"paths": []}}]})
    old["metadata"]["resourceVersion"] = "1"
    assert paths(IngressStrategy(), copy.deepcopy(old)) == ["spec.rules[0].http.paths"]
    assert paths(IngressStrategy(), copy.deepcopy(old), old) == []


def test_only_cluster_roles_have_paths() -> None:
    rules = [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]
    assert paths(RoleStrategy(), named(rules=rules)) == ["rules[0].nonResourceURLs"]
    assert paths(ClusterRoleStrategy(), named(cluster=True, rules=rules)) == []


def test_a_cluster_binding_needs_the_namespace_of_an_account() -> None:
    role = {"apiGroup": GROUP, "kind": "ClusterRole", "name": "r"}
    subjects = [{"kind": "ServiceAccount", "name": "s"}]
    whole = named(cluster=True, roleRef=role, subjects=subjects)
    assert paths(ClusterRoleBindingStrategy(), whole) == ["subjects[0].namespace"]
    assert paths(RoleBindingStrategy(), named(roleRef=role, subjects=subjects)) == []


def test_the_role_of_a_binding_stays() -> None:
    old = named(roleRef={"apiGroup": GROUP, "kind": "Role", "name": "r"})
    old["metadata"]["resourceVersion"] = "1"
    obj = copy.deepcopy(old) | {"roleRef": {"apiGroup": GROUP, "kind": "Role", "name": "t"}}
    shown = '{"APIGroup":"rbac.authorization.k8s.io","Kind":"Role","Name":"t"}'
    assert problems(RoleBindingStrategy(), obj, old) == [f"roleRef: Invalid value: {shown}: cannot change roleRef"]


def test_names_of_the_system_are_reserved_for_its_classes() -> None:
    known = named("system-node-critical", cluster=True, value=2_000_001_000)
    assert problems(PriorityClassStrategy(), known) == []
    assert paths(PriorityClassStrategy(), named("system-x", cluster=True, value=1)) == ["metadata.name"]
    assert paths(PriorityClassStrategy(), named(cluster=True, value=1_000_000_001)) == ["value"]


def test_tolerations_of_a_runtime_class_are_unique() -> None:
    toleration = {"key": "k", "operator": "Exists"}
    obj = named(cluster=True, handler="h", scheduling={"tolerations": [toleration, dict(toleration)]})
    shown = '{"Key":"k","Operator":"Exists","Value":"","Effect":"","TolerationSeconds":null}'
    assert problems(RuntimeClassStrategy(), obj) == [f"scheduling.tolerations[1]: Duplicate value: {shown}"]


def test_a_lease_lasts() -> None:
    obj = named(spec={"leaseDurationSeconds": 0, "strategy": "s"})
    LeaseStrategy().prepare(obj, None, CONTEXT)
    assert obj["spec"] == {"leaseDurationSeconds": 0}
    text = "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"
    assert problems(LeaseStrategy(), obj) == [text]


def signing_request(**spec: Any) -> Object:
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    pem = request.public_bytes(serialization.Encoding.PEM)
    whole = {"request": base64.b64encode(pem).decode(), "signerName": "a.b/c", "usages": ["client auth"]} | spec
    obj = named(cluster=True, spec=whole)
    SigningRequestStrategy().prepare(obj, None, CONTEXT)
    obj["metadata"]["resourceVersion"] = "1"
    return obj


def test_a_signing_request_records_who_sends_it() -> None:
    obj = signing_request(username="root", extra={"a": ["b"]})
    assert (obj["spec"]["username"], obj["spec"]["groups"]) == ("jane", ["devs"])
    assert "extra" not in obj["spec"]
    assert problems(SigningRequestStrategy(), obj) == []


def test_only_the_approval_sets_decisions() -> None:
    old = signing_request()
    changed = copy.deepcopy(old)
    changed["status"] = {"conditions": [{"type": "Approved", "status": "True"}]}
    for name, texts in (
        ("approval", []),
        ("status", ['status.conditions: Forbidden: updates may not add a condition of type "Approved"']),
    ):
        strategy, obj = SigningRequestStrategy.subresources[name], copy.deepcopy(changed)
        strategy.prepare(obj, old, CONTEXT)
        assert problems(strategy, obj, old) == texts
        assert obj["status"]["conditions"][0]["lastUpdateTime"] == "2026-01-01T00:00:00Z"


def test_a_request_is_signed_by_its_own_key() -> None:
    obj = signing_request()
    der = bytearray(base64.b64decode(base64.b64decode(obj["spec"]["request"]).split(b"-----")[2]))
    der[-1] ^= 1
    pem = b"-----BEGIN CERTIFICATE REQUEST-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE REQUEST-----\n"
    obj["spec"]["request"] = base64.b64encode(pem).decode()
    assert paths(SigningRequestStrategy(), obj) == ["spec.request"]
