"""What kubectl asks about the cluster itself: kinds, versions, documents, rights, identities, contexts."""

from __future__ import annotations

import base64
import json
import re
import shutil
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from conformance.kubectl import Kubectl, columns


def test_api_resources_lists_kinds_with_short_names(kubectl: Kubectl) -> None:
    head, rows = columns(kubectl("api-resources"))
    assert head == ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"]
    assert ["pods", "po", "v1", "true", "Pod"] in rows
    assert ["deployments", "deploy", "apps/v1", "true", "Deployment"] in rows
    cluster_wide = kubectl("api-resources", "--namespaced=false", "-o", "name").split()
    assert "nodes" in cluster_wide and "pods" not in cluster_wide
    assert "customresourcedefinitions.apiextensions.k8s.io" in cluster_wide
    wide = kubectl("api-resources", "--api-group=apps", "-o", "wide")
    assert "create,delete,deletecollection,get,list,patch,update,watch" in wide


def test_api_versions_lists_groups(kubectl: Kubectl) -> None:
    versions = kubectl("api-versions").split()
    assert versions == sorted(versions)
    expected = {"v1", "apps/v1", "batch/v1", "rbac.authorization.k8s.io/v1", "networking.k8s.io/v1", "policy/v1"}
    assert expected <= set(versions)


def test_version_is_the_one_that_is_served(kubectl: Kubectl) -> None:
    version = json.loads(kubectl("version", "-o", "json"))["serverVersion"]
    assert (version["major"], version["minor"]) == ("1", "36")
    assert re.fullmatch(r"v1\.36\.\d+.*", version["gitVersion"])


def test_cluster_info_points_to_the_server(kubectl: Kubectl) -> None:
    assert re.search(r"Kubernetes control plane.* is running at .*https://", kubectl("cluster-info"))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("pod", ("KIND:       Pod", "VERSION:    v1", "FIELDS:")),
        ("pod.spec.containers.livenessProbe", ("FIELD: livenessProbe <Probe>", "periodSeconds", "<integer>")),
        ("deployments.spec.strategy.type", ("GROUP:      apps", "FIELD: type <string>", "ENUM:")),
        ("hpa.spec", ("GROUP:      autoscaling", "VERSION:    v2", "maxReplicas\t<integer> -required-")),
    ],
    ids=["kind", "nested", "enum", "required"],
)
def test_explain_reads_the_published_schemas(kubectl: Kubectl, path: str, expected: tuple[str, ...]) -> None:
    told = kubectl("explain", path)
    for part in expected:
        assert part in told


def test_explain_recursive_and_of_another_version(kubectl: Kubectl) -> None:
    told = kubectl("explain", "cronjob.spec", "--recursive")
    assert "jobTemplate" in told and "  containers" in told
    assert "VERSION:    v1" in kubectl("explain", "hpa", "--api-version=autoscaling/v1")
    assert "does not exist" in kubectl.refused("explain", "pod.spec.colour")


def test_whoami_names_the_administrator(kubectl: Kubectl) -> None:
    status = json.loads(kubectl("auth", "whoami", "-o", "json"))["status"]["userInfo"]
    assert "system:authenticated" in status["groups"]
    head, rows = columns(kubectl("auth", "whoami"))
    assert head == ["ATTRIBUTE", "VALUE"] and rows[0][0] == "Username"


def test_can_i_follows_roles(k: Kubectl) -> None:
    assert k("auth", "can-i", "*", "*") == "yes\n"
    k("create", "role", "reader", "--verb=get,list", "--resource=pods,configmaps")
    k("create", "rolebinding", "reader", "--role=reader", "--user=rita", "--group=readers")
    assert k("auth", "can-i", "list", "pods", "--as=rita") == "yes\n"
    assert k("auth", "can-i", "get", "configmaps", "--as=anyone", "--as-group=readers") == "yes\n"
    assert k.attempt("auth", "can-i", "delete", "pods", "--as=rita").stdout == "no\n"
    listed = k("auth", "can-i", "--list", "--as=rita")
    assert re.search(r"^configmaps +\[\] +\[\] +\[get list\]", listed, re.M)


def test_as_another_user_is_that_user(k: Kubectl) -> None:
    refusal = k.refused("get", "secrets", "--as=nobody")
    refused = 'secrets is forbidden: User "nobody" cannot list resource "secrets" in API group "" in the namespace'
    assert f'{refused} "{k.namespace}"' in refusal
    status = json.loads(k("auth", "whoami", "--as=ann", "--as-group=team", "-o", "json"))["status"]["userInfo"]
    assert status["username"] == "ann" and set(status["groups"]) == {"team", "system:authenticated"}


def test_auth_reconcile_makes_roles(k: Kubectl) -> None:
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "reconciled", "namespace": k.namespace},
        "rules": [rule],
    }
    assert "reconciled" in k("auth", "reconcile", "-f", "-", stdin=role)


def test_config_edits_contexts_of_a_copy(kubectl: Kubectl, namespace: str, tmp_path: Path) -> None:
    copy = tmp_path / "kubeconfig"
    shutil.copy(kubectl.kubeconfig, copy)
    own = Kubectl(copy, kubectl.cache)
    context = own("config", "current-context").strip()
    assert context in own("config", "get-contexts", "-o", "name").split()
    assert own("config", "set-context", "--current", f"--namespace={namespace}") == f'Context "{context}" modified.\n'
    assert f"namespace: {namespace}" in own("config", "view", "--minify")
    assert "DATA+OMITTED" in own("config", "view")
    assert f"No resources found in {namespace} namespace." in own.attempt("get", "statefulsets").stderr
    other = own("config", "set-context", "other", f"--cluster={context}", "--user=none")
    assert other == 'Context "other" created.\n'
    assert own("config", "use-context", "other") == 'Switched to context "other".\n'


def test_certificates_are_requested_and_approved(kubectl: Kubectl) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "conformance")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    pem = request.public_bytes(serialization.Encoding.PEM)
    signer = "kubernetes.io/kube-apiserver-client"
    spec = {"request": base64.b64encode(pem).decode(), "signerName": signer, "usages": ["client auth"]}
    asked = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": "conformance"},
        "spec": spec,
    }
    kubectl("create", "-f", "-", stdin=asked)
    try:
        head, rows = columns(kubectl("get", "csr", "conformance"))
        assert head == ["NAME", "AGE", "SIGNERNAME", "REQUESTOR", "REQUESTEDDURATION", "CONDITION"]
        assert rows[0][2] == signer and rows[0][-1] == "Pending"
        assert "conformance approved" in kubectl("certificate", "approve", "conformance")
        assert columns(kubectl("get", "csr", "conformance"))[1][0][-1].startswith("Approved")
    finally:
        kubectl("delete", "csr", "conformance")


def test_nodes_can_be_registered_cordoned_and_tainted(kubectl: Kubectl) -> None:
    name = "conformance-node"
    kubectl("create", "-f", "-", stdin={"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    try:
        assert kubectl("cordon", name) == f"node/{name} cordoned\n"
        _, rows = columns(kubectl("get", "node", name))
        assert "SchedulingDisabled" in rows[0][1]
        assert kubectl("uncordon", name) == f"node/{name} uncordoned\n"
        assert kubectl("taint", "node", name, "colour=red:NoSchedule") == f"node/{name} tainted\n"
        assert kubectl.json("get", "node", name)["spec"]["taints"][0]["key"] == "colour"
        assert kubectl("taint", "node", name, "colour-") == f"node/{name} untainted\n"
    finally:
        kubectl("delete", "node", name)
