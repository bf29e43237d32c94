"""Budgets, quotas, accounts, roles, certificates, claims of devices, and what owners take with them."""

from __future__ import annotations

import base64
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest

from conformance.api import Api, condition, pod, workload
from conformance.kubectl import Kubectl
from conformance.processes import eventually

pytestmark = pytest.mark.usefixtures("kubelets")

BUDGETS, QUOTAS = "policy/v1/poddisruptionbudgets", "v1/resourcequotas"
REPLICA_SETS, PODS, MAPS = "apps/v1/replicasets", "v1/pods", "v1/configmaps"
ROLES = "rbac.authorization.k8s.io/v1/clusterroles"
REQUESTS = "certificates.k8s.io/v1/certificatesigningrequests"
POLICIES = "admissionregistration.k8s.io/v1/validatingadmissionpolicies"
CLAIMS, TEMPLATES = "resource.k8s.io/v1/resourceclaims", "resource.k8s.io/v1/resourceclaimtemplates"


def evict(api: Api, name: str) -> tuple[int, str]:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    answer = api.request("POST", api.path(PODS, name, "eviction"), body)
    return answer.status, answer.object.get("message", "")


# Disruption budgets


def test_a_budget_counts_and_protects(api: Api, k: Kubectl) -> None:
    k("create", "poddisruptionbudget", "counted", "--selector=app=counted", "--min-available=2")
    api.create(REPLICA_SETS, workload("counted", 3))
    counts = {"currentHealthy": 3, "desiredHealthy": 2, "expectedPods": 3, "disruptionsAllowed": 1}
    api.await_status(BUDGETS, "counted", **counts)
    api.await_condition(BUDGETS, "counted", "DisruptionAllowed", "True", "SufficientPods")
    api.patch(REPLICA_SETS, "counted", {"spec": {"replicas": 2}})
    api.await_status(BUDGETS, "counted", disruptionsAllowed=0, currentHealthy=2)
    api.await_condition(BUDGETS, "counted", "DisruptionAllowed", "False", "InsufficientPods")
    status, message = evict(api, api.names("counted")[0])
    assert (status, message) == (429, "Cannot evict pod as it would violate the pod's disruption budget.")
    assert k("get", "pdb", "counted", "--no-headers").split()[1:4] == ["2", "N/A", "0"]


def test_a_budget_may_count_in_percent_of_what_is_wanted(api: Api) -> None:
    spec = {"maxUnavailable": "50%", "selector": {"matchLabels": {"app": "percent"}}}
    api.create(BUDGETS, {"metadata": {"name": "percent"}, "spec": spec})
    api.create(REPLICA_SETS, workload("percent", 4))
    api.await_status(BUDGETS, "percent", expectedPods=4, desiredHealthy=2, disruptionsAllowed=2, currentHealthy=4)
    assert evict(api, api.names("percent")[0])[0] == 201


def test_a_budget_cannot_count_what_a_kind_without_a_scale_wants(api: Api) -> None:
    owned = pod("owned")
    reference = {"apiVersion": "e.com/v1", "kind": "Thing", "name": "t", "uid": str(uuid.uuid4()), "controller": True}
    owned["metadata"]["ownerReferences"] = [reference]
    api.create(PODS, owned)
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "owned"}}}
    api.create(BUDGETS, {"metadata": {"name": "owned"}, "spec": spec})
    seen = api.await_condition(BUDGETS, "owned", "DisruptionAllowed", "False", "SyncFailed")
    assert seen["message"] == 'no matches for kind "Thing" in version "e.com/v1"'


def test_a_drain_waits_for_the_budget(api: Api, k: Kubectl) -> None:
    k("create", "poddisruptionbudget", "guarded", "--selector=app=guarded", "--min-available=1")
    api.create(REPLICA_SETS, workload("guarded", 1))
    api.await_status(BUDGETS, "guarded", currentHealthy=1, disruptionsAllowed=0)
    node = api.pods("guarded")[0]["spec"]["nodeName"]
    drain = k.background("drain", node, "--pod-selector=app=guarded", "--timeout=30s")
    assert drain.stdout is not None
    said = next(line for line in drain.stdout if "error when evicting" in line)
    assert "Cannot evict pod as it would violate the pod's disruption budget." in said
    api.delete(BUDGETS, "guarded")
    assert drain.communicate()[0].endswith(f"node/{node} drained\n")
    assert drain.returncode == 0
    k("uncordon", node)


# Quotas


def test_a_quota_counts_what_is_used_and_what_goes(api: Api, k: Kubectl) -> None:
    k("create", "quota", "counting", "--hard=count/secrets=5,configmaps=10,services=2")
    used = dict(api.status(QUOTAS, "counting") or {}).get("used") or eventually(
        lambda: api.status(QUOTAS, "counting").get("used")
    )
    before = int(used["count/secrets"])
    k("create", "secret", "generic", "counted", "--from-literal=a=b")
    eventually(lambda: api.status(QUOTAS, "counting")["used"]["count/secrets"] == str(before + 1))
    k("delete", "secret", "counted")
    eventually(lambda: api.status(QUOTAS, "counting")["used"]["count/secrets"] == str(before))
    k("delete", "quota", "counting")


def test_a_full_quota_stops_replica_sets(api: Api, k: Kubectl) -> None:
    spec = {"hard": {"pods": "1"}, "scopes": ["BestEffort"]}
    name = f"full-{uuid.uuid4().hex[:6]}"
    k("create", "namespace", name)
    inside = Api(api.wire, name)
    try:
        inside.create(QUOTAS, {"metadata": {"name": "full"}, "spec": spec})
        eventually(lambda: inside.status(QUOTAS, "full").get("used"))
        inside.create(REPLICA_SETS, workload("full", 2))
        failure = inside.await_condition(REPLICA_SETS, "full", "ReplicaFailure", "True", "FailedCreate")
        assert "exceeded quota: full, requested: pods=1, used: pods=1, limited: pods=1" in failure["message"]
        assert len(inside.pods("full")) == 1
    finally:
        inside.close()
        k("delete", "namespace", name, "--wait=false")


# Accounts and roles


def test_every_namespace_gets_its_account_again(api: Api, k: Kubectl) -> None:
    before = api.get("v1/serviceaccounts", "default")["metadata"]["uid"]
    k("delete", "serviceaccount", "default")
    eventually(
        lambda: (api.find("v1/serviceaccounts", "default") or {}).get("metadata", {}).get("uid", before) != before
    )


def test_the_certificate_is_published_again(api: Api) -> None:
    api.delete(MAPS, "kube-root-ca.crt")
    found = eventually(lambda: api.find(MAPS, "kube-root-ca.crt"))
    assert found["data"]["ca.crt"].startswith("-----BEGIN CERTIFICATE-----")
    api.patch(MAPS, "kube-root-ca.crt", {"data": {"ca.crt": "forged"}})
    eventually(lambda: api.get(MAPS, "kube-root-ca.crt")["data"] == found["data"])


def test_a_secret_for_an_account_is_given_its_token(api: Api, k: Kubectl) -> None:
    k("create", "serviceaccount", "robot")
    annotations = {"kubernetes.io/service-account.name": "robot"}
    secret = {"metadata": {"name": "robot", "annotations": annotations}, "type": "kubernetes.io/service-account-token"}
    api.create("v1/secrets", secret)
    data = eventually(lambda: api.get("v1/secrets", "robot").get("data"))
    assert set(data) == {"ca.crt", "namespace", "token"}
    assert base64.b64decode(data["namespace"]).decode() == api.namespace
    token = base64.b64decode(data["token"]).decode()
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    answer = api.request("POST", "/apis/authentication.k8s.io/v1/tokenreviews", review)
    assert answer.object["status"]["user"]["username"] == f"system:serviceaccount:{api.namespace}:robot"
    k("delete", "serviceaccount", "robot")
    eventually(lambda: api.find("v1/secrets", "robot") is None)


def test_a_role_gathers_the_rules_of_others(api: Api) -> None:
    label, name = f"gather-{uuid.uuid4().hex[:6]}", f"gathered-{uuid.uuid4().hex[:6]}"
    selectors = {"clusterRoleSelectors": [{"matchLabels": {label: "yes"}}]}
    api.create(ROLES, {"metadata": {"name": name}, "aggregationRule": selectors, "rules": []})
    rule = {"apiGroups": ["example.com"], "resources": ["things"], "verbs": ["get"]}
    api.create(ROLES, {"metadata": {"name": f"{name}-part", "labels": {label: "yes"}}, "rules": [rule]})
    eventually(lambda: api.get(ROLES, name)["rules"] == [rule])
    api.delete(ROLES, f"{name}-part")
    eventually(lambda: not api.get(ROLES, name)["rules"])
    api.delete(ROLES, name)


# Certificates


def test_an_approved_request_is_signed(api: Api, k: Kubectl, tmp_path: Path) -> None:
    name = f"client-{uuid.uuid4().hex[:6]}"
    api.create(REQUESTS, signing_request(name, tmp_path))
    assert "Pending" in k("get", "csr", name, "--no-headers")
    assert "approved" in k("certificate", "approve", name)
    signed = eventually(lambda: api.status(REQUESTS, name).get("certificate"))
    text = base64.b64decode(signed)
    assert text.startswith(b"-----BEGIN CERTIFICATE-----")
    shown = subprocess.run(["openssl", "x509", "-noout", "-subject"], input=text, capture_output=True, check=True)
    assert b"conformance" in shown.stdout
    assert "Approved,Issued" in k("get", "csr", name, "--no-headers")
    k("delete", "csr", name)


def test_a_denied_request_is_not_signed(api: Api, k: Kubectl, tmp_path: Path) -> None:
    name = f"denied-{uuid.uuid4().hex[:6]}"
    api.create(REQUESTS, signing_request(name, tmp_path))
    k("certificate", "deny", name)
    assert "Denied" in k("get", "csr", name, "--no-headers")
    assert "certificate" not in api.status(REQUESTS, name)
    k("delete", "csr", name)


def signing_request(name: str, home: Path) -> dict[str, Any]:
    command = ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(home / "key"), "-subj", "/CN=conformance"]
    made = subprocess.run(command, capture_output=True, check=True).stdout
    signer = "kubernetes.io/kube-apiserver-client"
    spec = {"request": base64.b64encode(made).decode(), "signerName": signer, "usages": ["client auth"]}
    return {"metadata": {"name": name}, "spec": spec}


# Devices and policies


def test_a_pod_is_given_a_claim_of_its_template(api: Api) -> None:
    exactly = {"exactly": {"deviceClassName": "conformance.example.com"}}
    spec = {"spec": {"devices": {"requests": [{"name": "one", **exactly}]}}}
    api.create(TEMPLATES, {"metadata": {"name": "gpu"}, "spec": spec})
    wanted = [{"name": "card", "resourceClaimTemplateName": "gpu"}]
    api.create(PODS, pod("crunching", resourceClaims=wanted))
    [made] = eventually(lambda: api.list(CLAIMS))
    assert made["metadata"]["annotations"] == {"resource.kubernetes.io/pod-claim-name": "card"}
    assert made["metadata"]["generateName"] == "crunching-card-"
    [owner] = made["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("Pod", "crunching")
    named = [{"name": "card", "resourceClaimName": made["metadata"]["name"]}]
    eventually(lambda: api.status(PODS, "crunching").get("resourceClaimStatuses") == named)
    api.delete(PODS, "crunching", gracePeriodSeconds=0)
    eventually(lambda: api.list(CLAIMS) == [])


def test_expressions_of_a_policy_are_checked(api: Api) -> None:
    name = f"checked-{uuid.uuid4().hex[:6]}"
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["CREATE"]}
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": "object.spec.replicas > object.spec.nonsense"}],
    }
    api.create(POLICIES, {"metadata": {"name": name}, "spec": spec})
    checked = eventually(lambda: api.status(POLICIES, name).get("typeChecking", {}).get("expressionWarnings"))
    assert checked[0]["fieldRef"] == "spec.validations[0].expression"
    assert "undefined field 'nonsense'" in checked[0]["warning"]
    assert api.status(POLICIES, name)["observedGeneration"] == 1
    api.delete(POLICIES, name)


# Owners


def owned(name: str, owner: dict[str, Any], block: bool = False) -> dict[str, Any]:
    reference = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": block,
    }
    return {"metadata": {"name": name, "ownerReferences": [reference]}}


def test_a_foreground_deletion_waits_for_what_is_owned(api: Api) -> None:
    owner = api.create(MAPS, {"metadata": {"name": "owner"}})
    child = owned("child", owner, block=True)
    child["metadata"]["finalizers"] = ["example.com/hold"]
    api.create(MAPS, child)
    api.delete(MAPS, "owner", propagationPolicy="Foreground")
    eventually(lambda: "deletionTimestamp" in api.get(MAPS, "child")["metadata"])
    assert api.get(MAPS, "owner")["metadata"]["finalizers"] == ["foregroundDeletion"]
    api.patch(MAPS, "child", {"metadata": {"finalizers": None}})
    eventually(lambda: api.find(MAPS, "owner") is None and api.find(MAPS, "child") is None)


def test_one_owner_of_two_is_not_enough_to_go(api: Api) -> None:
    first, second = (api.create(MAPS, {"metadata": {"name": f"owner-{n}"}}) for n in (1, 2))
    child = owned("shared", first)
    child["metadata"]["ownerReferences"] += owned("", second)["metadata"]["ownerReferences"]
    api.create(MAPS, child)
    api.delete(MAPS, "owner-1")
    eventually(lambda: [o["name"] for o in api.get(MAPS, "shared")["metadata"]["ownerReferences"]] == ["owner-2"])
    api.delete(MAPS, "owner-2")
    eventually(lambda: api.find(MAPS, "shared") is None)


def test_what_never_had_an_owner_that_lives_goes(api: Api) -> None:
    ghost = {"metadata": {"name": "ghost", "uid": str(uuid.uuid4())}}
    api.create(MAPS, owned("haunted", ghost))
    eventually(lambda: api.find(MAPS, "haunted") is None)


def test_a_namespace_that_cannot_end_says_why(api: Api, k: Kubectl) -> None:
    name = f"stuck-{uuid.uuid4().hex[:6]}"
    k("create", "namespace", name)
    inside = Api(api.wire, name)
    inside.create(MAPS, {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}})
    k("delete", "namespace", name, "--wait=false")
    content = api.await_condition("v1/namespaces", name, "NamespaceContentRemaining", "True", "SomeResourcesRemain")
    assert content["message"] == ("Some resources are remaining: configmaps. has 1 resource instances")
    left = api.await_condition("v1/namespaces", name, "NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain")
    assert left["message"] == (
        "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
    )
    done = condition(api.get("v1/namespaces", name), "NamespaceDeletionContentFailure")
    assert (done["status"], done["reason"], done["message"]) == (
        "False",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    )
    inside.patch(MAPS, "held", {"metadata": {"finalizers": None}})
    inside.close()
    k("wait", f"namespace/{name}", "--for=delete", "--timeout=30s")
