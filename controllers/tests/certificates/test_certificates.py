"""Which certificates are signed, how long they live, and when requests are over."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controllers.certificates.approving import permissions
from controllers.certificates.authority import Authority, lifetime, validity
from controllers.certificates.cleaner import CleanerController, ends_at
from controllers.certificates.requests import parse, refusal
from controllers.runtime.controller import Requeue
from controllers.runtime.kinds import CERTIFICATE_SIGNING_REQUESTS
from controllers.runtime.objects import Key
from controllers.tests.scripted import Server

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CLIENT = ("digital signature", "client auth")
SERVER = ("digital signature", "server auth")
KEY = ec.generate_private_key(ec.SECP256R1())


def request(
    signer: str, usages: Sequence[str], *, name: str = "system:node:n", group: str = "system:nodes", names: Any = ()
) -> dict[str, Any]:
    subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    pem = builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    spec = {"signerName": f"kubernetes.io/{signer}", "usages": list(usages), "username": "system:node:n"}
    return {"metadata": {"name": "r"}, "spec": {**spec, "request": base64.b64encode(pem).decode()}}


DNS, IP = x509.DNSName("n"), x509.IPAddress(ip_address("192.0.2.1"))
KUBELET, SERVING = "kube-apiserver-client-kubelet", "kubelet-serving"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (request("kube-apiserver-client", CLIENT), ""),
        (request("kube-apiserver-client", SERVER), "invalid usage for client certificate: server auth"),
        (
            request("kube-apiserver-client", ["digital signature"]),
            "missing required usage for client certificate: client auth",
        ),
        (request(KUBELET, CLIENT), ""),
        (request(KUBELET, [*CLIENT, "key encipherment"]), ""),
        (request(KUBELET, CLIENT, group="g"), "subject organization is not system:nodes"),
        (request(KUBELET, CLIENT, name="u"), "subject common name does not begin with system:node:"),
        (request(KUBELET, CLIENT, names=[DNS]), "DNS subjectAltNames are not allowed"),
        (request(KUBELET, CLIENT, names=[IP]), "IP subjectAltNames are not allowed"),
        (request(KUBELET, SERVER), "usages did not match [client auth digital signature key encipherment]"),
        (request(SERVING, SERVER, names=[DNS, IP]), ""),
        (request(SERVING, SERVER), "DNS or IP subjectAltName is required"),
        (
            request(SERVING, CLIENT, names=[IP]),
            "usages did not match [digital signature key encipherment server auth]",
        ),
        (request("legacy-unknown", ["any"], group="g"), ""),
    ],
)
def test_signers_rules(asked: dict[str, Any], expected: str) -> None:
    assert refusal(asked, parse(asked)) == expected


def test_kubelet_may_be_asked_for_by_itself_or_by_somebody_else() -> None:
    own = request(KUBELET, CLIENT)
    assert [subresource for subresource, _ in permissions(own, parse(own))] == ["selfnodeclient", "nodeclient"]
    own["spec"]["username"] = "bootstrapper"
    assert [subresource for subresource, _ in permissions(own, parse(own))] == ["nodeclient"]
    other = request(KUBELET, SERVER)
    assert permissions(other, parse(other)) == []


def test_lifetime_is_bounded() -> None:
    assert lifetime(None) == timedelta(days=365)
    assert lifetime(1) == timedelta(minutes=10)
    assert lifetime(10**9) == timedelta(days=365)


def test_validity_is_backdated_and_ends_with_the_ca() -> None:
    latest = NOW + timedelta(days=30)
    assert validity(NOW, timedelta(hours=1), latest) == (NOW - timedelta(minutes=5), NOW + timedelta(hours=1))
    assert validity(NOW, timedelta(days=1), latest)[1] == NOW + timedelta(days=1) - timedelta(minutes=5)
    assert validity(NOW, timedelta(days=365), latest)[1] == latest


def test_certificate_is_what_was_asked_for(tmp_path: Path) -> None:
    authority = Authority(*_ca(tmp_path))
    asked = request(SERVING, SERVER, names=[DNS, IP])
    pem = authority.sign(parse(asked), asked["spec"]["usages"], timedelta(days=1), NOW)
    certificate = x509.load_pem_x509_certificate(pem)
    ca = x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes())
    certificate.verify_directly_issued_by(ca)
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    extended = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert usage.digital_signature and not usage.key_cert_sign
    assert list(extended) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert list(names) == [DNS, IP]


def _ca(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=3650))
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    form = serialization.PrivateFormat.PKCS8
    key_pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    (folder / "ca.crt").write_bytes(pem)
    (folder / "ca.key").write_bytes(key_pem)
    return folder / "ca.crt", folder / "ca.key"


@pytest.mark.parametrize(
    ("conditions", "hours"),
    [([], 24), ([("Approved", 2)], 3), ([("Denied", 0)], 1), ([("Approved", 5), ("Failed", 1)], 2)],
)
def test_request_ends_an_hour_after_its_decision_or_after_a_day(conditions: list[tuple[str, int]], hours: int) -> None:
    found = [{"type": kind, "lastUpdateTime": f"2026-01-01T{hour:02}:00:00Z"} for kind, hour in conditions]
    asked = {"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}, "status": {"conditions": found}}
    assert ends_at(asked) == NOW + timedelta(hours=hours)


async def test_a_request_is_cleaned_once_it_is_over_and_not_another_of_its_name() -> None:
    server = Server()
    cleaner = CleanerController(server.runtime())
    created = server.now.strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = {"name": "r", "uid": "u", "creationTimestamp": created, "resourceVersion": "1"}
    cleaner.store(CERTIFICATE_SIGNING_REQUESTS).put({"metadata": metadata, "spec": {}})
    key = Key("", "r")
    assert await cleaner.reconcile(key) == Requeue(24 * 3600)
    server.wait(24 * 3600)
    assert await cleaner.reconcile(key) is None
    [(method, path, options)] = server.calls
    assert (method, path) == ("DELETE", "/apis/certificates.k8s.io/v1/certificatesigningrequests/r")
    assert options["preconditions"] == {"uid": "u"}
