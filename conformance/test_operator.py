"""An operator of a widely used framework: a custom kind, its handlers, its finalizer and its webhooks."""

from __future__ import annotations

import datetime
import ipaddress
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from conformance import operators
from conformance.api import Api, eventually
from conformance.kubectl import Kubectl

FREE_FORM = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
SPEC = {"type": "object", "properties": {"size": {"type": "integer"}, "color": {"type": "string"}}}
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"gadgets.{operators.GROUP}"},
    "spec": {
        "group": operators.GROUP,
        "scope": "Namespaced",
        "names": {"plural": "gadgets", "singular": "gadget", "kind": "Gadget"},
        "versions": [{
            "name": "v1", "served": True, "storage": True, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": SPEC, "status": FREE_FORM}}},
        }],
    },
}  # fmt: skip


def certificate(folder: Path) -> None:
    """`cert.pem` and `key.pem` of a server at 127.0.0.1."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).add_extension(address, critical=False)
    span = datetime.timedelta(days=1)
    made = builder.not_valid_before(now - span).not_valid_after(now + span).sign(key, hashes.SHA256())
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    text = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(text)


@pytest.fixture(scope="module")
def operator(kubectl: Kubectl, namespace: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The operator at work in the module's namespace."""
    folder = tmp_path_factory.mktemp("operator")
    certificate(folder)
    kubectl("create", "-f", "-", stdin=DEFINITION)
    kubectl("wait", "--for=condition=Established", f"crd/gadgets.{operators.GROUP}")
    command = [sys.executable, "-m", "kopf", "run", "--standalone", "--namespace", namespace, operators.__file__]
    environment = {**os.environ, "KUBECONFIG": str(kubectl.kubeconfig), "WEBHOOK_TLS": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def is_ready() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        found = kubectl.json("get", "validatingwebhookconfigurations,mutatingwebhookconfigurations")["items"]
        return sum(bool(one.get("webhooks")) for one in found if one["metadata"]["name"] == operators.GROUP) == 2

    try:
        eventually(is_ready, 60)
        yield
    finally:
        process.terminate()
        process.wait(60)
        hooks = "validatingwebhookconfiguration,mutatingwebhookconfiguration"
        kubectl("delete", hooks, operators.GROUP, "--ignore-not-found")
        kubectl("delete", "crd", f"gadgets.{operators.GROUP}")


def gadget(name: str, size: int) -> dict[str, Any]:
    api_version = f"{operators.GROUP}/v1"
    return {"apiVersion": api_version, "kind": "Gadget", "metadata": {"name": name}, "spec": {"size": size}}


def test_an_operator_keeps_its_objects(operator: None, k: Kubectl, api: Api) -> None:
    k("apply", "-f", "-", stdin=gadget("a", 3))
    eventually(lambda: k.json("get", "gadget", "a").get("status", {}).get("created") == {"child": "a-child"}, 30)
    assert k.json("get", "gadget", "a")["spec"] == {"size": 3, "color": "red"}
    child = k.json("get", "configmap", "a-child")
    assert child["data"] == {"size": "3"} and child["metadata"]["ownerReferences"][0]["kind"] == "Gadget"
    api.await_event("a", "Made", "made its child")
    k("patch", "gadget", "a", "--type=merge", "--patch", '{"spec": {"size": 4}}')
    eventually(lambda: k.json("get", "gadget", "a")["status"].get("resized") == "3 to 4", 30)
    assert k.json("get", "gadget", "a")["metadata"]["finalizers"]
    k("delete", "gadget", "a", "--timeout=30s")
    eventually(lambda: k.attempt("get", "configmap", "a-child").returncode != 0, 30)


def test_an_operator_judges_its_objects(operator: None, k: Kubectl) -> None:
    refused = k.refused("create", "-f", "-", stdin=gadget("b", 13))
    assert f'admission webhook "judge.{operators.GROUP}" denied the request: 13 is unlucky' in refused
    assert "Warning: that is large" in k.attempt("create", "-f", "-", stdin=gadget("b", 101)).stderr
    k("delete", "gadget", "b", "--timeout=30s")
