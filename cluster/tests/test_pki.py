"""The cluster's certificates are complete, private, stable, and renewed in time."""

from __future__ import annotations

import ssl
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cluster import pki
from cluster.files import KeyPair
from cluster.pki import CLIENTS, Pki, ensure_pki, load_authority


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return ensure_pki(tmp_path_factory.mktemp("pki"), addresses=("192.0.2.7", "api.example.com"))


def certificate(pair: KeyPair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.cert_pem)


def test_the_server_certificate_names_every_way_to_the_server(made: Pki) -> None:
    names = certificate(made.server).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    found = {str(n.value) for n in names}
    assert {
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
        "127.0.0.1",
        "::1",
        "10.96.0.1",
        "192.0.2.7",
        "api.example.com",
    } <= found


@pytest.mark.parametrize("name", CLIENTS)
def test_client_certificates_carry_user_and_groups(made: Pki, name: str) -> None:
    leaf = certificate(made.clients[name])
    user, groups = CLIENTS[name]
    assert [a.value for a in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == [user]
    assert tuple(a.value for a in leaf.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)) == groups
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    leaf.verify_directly_issued_by(certificate(made.ca))


def test_every_file_is_for_its_owner_only(made: Pki) -> None:
    assert {oct(f.stat().st_mode & 0o777) for f in made.directory.iterdir()} == {"0o600"}


def test_a_strict_tls_handshake_with_client_certificate_succeeds(made: Pki) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.server.cert, made.server.key)
    server.load_verify_locations(made.ca.cert)
    server.verify_mode = ssl.CERT_REQUIRED
    client = ssl.create_default_context(cafile=str(made.ca.cert))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    admin = made.clients["admin"]
    client.load_cert_chain(admin.cert, admin.key)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_hostname="192.0.2.7"),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(6):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert ends[1].getpeercert(binary_form=True) == ssl.PEM_cert_to_DER_cert(admin.cert_pem.decode())


def contents(directory: Path) -> dict[str, bytes]:
    return {f.name: f.read_bytes() for f in directory.iterdir()}


def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    ensure_pki(tmp_path)
    before = contents(tmp_path)
    ensure_pki(tmp_path)
    assert contents(tmp_path) == before


def test_a_new_address_renews_only_the_server_certificate(tmp_path: Path) -> None:
    ensure_pki(tmp_path)
    before = contents(tmp_path)
    ensure_pki(tmp_path, addresses=("198.51.100.1",))
    after = contents(tmp_path)
    assert {name for name in after if after[name] != before[name]} == {"apiserver.crt", "apiserver.key"}


def test_certificates_near_expiry_are_renewed_under_the_same_ca_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ensure_pki(tmp_path)
    before = contents(tmp_path)
    monkeypatch.setattr(pki, "RENEW_BEFORE", timedelta(days=4000))
    ensure_pki(tmp_path)
    after = contents(tmp_path)
    assert {name for name in after if after[name] == before[name]} == {
        "ca.key", "front-proxy-ca.key", "sa.key", "sa.pub", ".lock",
    }  # fmt: skip
    certificate(first.server).verify_directly_issued_by(certificate(first.ca))


def test_the_public_half_of_the_token_key_is_written_again_when_lost(tmp_path: Path) -> None:
    made = ensure_pki(tmp_path)
    public = made.service_account_public_key.read_bytes()
    made.service_account_public_key.unlink()
    ensure_pki(tmp_path)
    assert made.service_account_public_key.read_bytes() == public


def test_the_authority_issues_for_nodes(made: Pki) -> None:
    cert, _ = load_authority(made.ca).client("system:node:a", ("system:nodes",))
    leaf = x509.load_pem_x509_certificate(cert)
    assert leaf.subject.rfc4514_string() == "CN=system:node:a,O=system:nodes"
