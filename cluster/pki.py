"""The cluster's own certificates and keys: made once, kept, renewed when near expiry.

One CA signs the server's certificate and the client certificates of admin and components, another the one by which
API servers behind ours know it; an RSA key signs service account tokens. Keys are readable by their owner only, files
appear whole or not at all, and processes that start at the same time agree on one set. File names are those of kubeadm
where it has them.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cluster.files import KeyPair, write_private

CA_VALIDITY = timedelta(days=3650)
LEAF_VALIDITY = timedelta(days=365)
RENEW_BEFORE = timedelta(days=60)
CLOCK_SKEW = timedelta(minutes=5)
"""Certificates are valid from a little before they are made, for machines whose clocks run behind."""

ADMIN = "admin"
CONTROLLER_MANAGER = "controller-manager"
SCHEDULER = "scheduler"
KUBELET_CLIENT = "apiserver-kubelet-client"
FRONT_PROXY = "front-proxy-client"

CLIENTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    ADMIN: ("kubernetes-admin", ("system:masters",)),
    CONTROLLER_MANAGER: ("system:kube-controller-manager", ()),
    SCHEDULER: ("system:kube-scheduler", ()),
    KUBELET_CLIENT: ("kube-apiserver-kubelet-client", ("system:masters",)),
}
"""File name without suffix: common name (the user) and organizations (the groups)."""

Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Pki:
    """Where everything lies. `clients` has the names of `CLIENTS`."""

    directory: Path
    ca: KeyPair
    server: KeyPair
    clients: Mapping[str, KeyPair]
    front_proxy_ca: KeyPair
    front_proxy: KeyPair
    service_account_key: Path
    service_account_public_key: Path


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA ready to sign."""

    certificate: x509.Certificate
    key: Key

    def client(self, common_name: str, organizations: Sequence[str] = ()) -> tuple[bytes, bytes]:
        """Certificate and key (PEM) of a new client, a node agent for one: `system:node:a` in `system:nodes`."""
        return self._issue(_subject(common_name, organizations), ExtendedKeyUsageOID.CLIENT_AUTH, ())

    def server(self, common_name: str, names: Iterable[str]) -> tuple[bytes, bytes]:
        """Certificate and key (PEM) for a server known by `names`: DNS names and IP addresses."""
        return self._issue(_subject(common_name, ()), ExtendedKeyUsageOID.SERVER_AUTH, tuple(names))

    def _issue(self, subject: x509.Name, usage: x509.ObjectIdentifier, names: Sequence[str]) -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(subject, self.certificate.subject, key, LEAF_VALIDITY)
        builder = (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
        return _pem(builder.sign(self.key, hashes.SHA256())), _key_pem(key)


def ensure_pki(
    directory: str | Path,
    *,
    addresses: Iterable[str] = (),
    service_ip: str = "10.96.0.1",
    cluster_domain: str = "cluster.local",
) -> Pki:
    """Make what is missing in `directory`, renew what is near expiry, keep the rest.

    `addresses` are further names and IPs under which clients reach the server (the bind address); a server
    certificate that lacks one of them is made anew.
    """
    home = Path(directory)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    pki = _layout(home)
    with _locked(home / ".lock"):
        authority = _ensure_authority(pki.ca, "kubernetes")
        front = _ensure_authority(pki.front_proxy_ca, "front-proxy-ca")
        if not _usable(pki.front_proxy, front, _subject(FRONT_PROXY, ()), ()):
            _write_pair(pki.front_proxy, front.client(FRONT_PROXY))
        names = server_names(addresses, service_ip, cluster_domain)
        if not _usable(pki.server, authority, _subject("kube-apiserver", ()), names):
            _write_pair(pki.server, authority.server("kube-apiserver", names))
        for name, (common_name, organizations) in CLIENTS.items():
            if not _usable(pki.clients[name], authority, _subject(common_name, organizations), ()):
                _write_pair(pki.clients[name], authority.client(common_name, organizations))
        _ensure_service_account_key(pki)
    return pki


def load_authority(pair: KeyPair) -> Authority:
    """The CA of a key pair on disk."""
    key = serialization.load_pem_private_key(pair.key_pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{pair.key}: the key of a CA made here is an ECDSA key")
    return Authority(x509.load_pem_x509_certificate(pair.cert_pem), key)


def server_names(addresses: Iterable[str], service_ip: str, cluster_domain: str) -> tuple[str, ...]:
    """All names the API server is called by, each once: inside the cluster, on this machine, and `addresses`."""
    service = "kubernetes.default.svc"
    names = ["kubernetes", "kubernetes.default", service, f"{service}.{cluster_domain}", "localhost"]
    names += [socket.gethostname(), "127.0.0.1", "::1", service_ip, *addresses]
    return tuple(dict.fromkeys(name for name in names if name and not _is_unspecified(name)))


def _layout(home: Path) -> Pki:
    return Pki(
        directory=home,
        ca=_pair(home, "ca"),
        server=_pair(home, "apiserver"),
        clients={name: _pair(home, name) for name in CLIENTS},
        front_proxy_ca=_pair(home, "front-proxy-ca"),
        front_proxy=_pair(home, FRONT_PROXY),
        service_account_key=home / "sa.key",
        service_account_public_key=home / "sa.pub",
    )


def _pair(home: Path, name: str) -> KeyPair:
    return KeyPair(home / f"{name}.crt", home / f"{name}.key")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Only one process at a time makes certificates in a directory."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _ensure_authority(pair: KeyPair, name: str) -> Authority:
    """The CA; near its end it gets a new certificate for the same key, so what it signed stays valid."""
    if not (pair.cert.exists() and pair.key.exists()):
        key = ec.generate_private_key(ec.SECP256R1())
        authority = Authority(_self_signed(key, name), key)
        _write_pair(pair, (_pem(authority.certificate), _key_pem(key)))
        return authority
    authority = load_authority(pair)
    if _near_expiry(authority.certificate):
        authority = Authority(_self_signed(authority.key, name), authority.key)
        write_private(pair.cert, _pem(authority.certificate))
    return authority


def _self_signed(key: Key, common_name: str) -> x509.Certificate:
    name = _subject(common_name, ())
    return (
        _builder(name, name, key, CA_VALIDITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(common_name)]), critical=False)
        .sign(key, hashes.SHA256())
    )


def _ensure_service_account_key(pki: Pki) -> None:
    """The key that signs service account tokens: RSA, because RS256 is what every verifier of them knows."""
    if pki.service_account_key.exists() and pki.service_account_public_key.exists():
        return
    if pki.service_account_key.exists():
        loaded = serialization.load_pem_private_key(pki.service_account_key.read_bytes(), password=None)
        assert isinstance(loaded, rsa.RSAPrivateKey)
        key = loaded
    else:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        write_private(pki.service_account_key, _key_pem(key))
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    write_private(pki.service_account_public_key, public)


def _usable(pair: KeyPair, authority: Authority, subject: x509.Name, names: Sequence[str]) -> bool:
    """The certificate on disk is ours, is for the subject, lasts, and covers `names`."""
    if not (pair.cert.exists() and pair.key.exists()):
        return False
    certificate = x509.load_pem_x509_certificate(pair.cert_pem)
    if _near_expiry(certificate) or certificate.subject != subject:
        return False
    try:
        certificate.verify_directly_issued_by(authority.certificate)
    except Exception:  # another CA's, or not a signature at all: either way not usable
        return False
    return not names or set(names) <= _names_in(certificate)


def _names_in(certificate: x509.Certificate) -> set[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return set()
    return {str(general.value) for general in extension.value}


def _near_expiry(certificate: x509.Certificate) -> bool:
    return certificate.not_valid_after_utc - RENEW_BEFORE < datetime.now(UTC)


def _builder(subject: x509.Name, issuer: x509.Name, key: Key, validity: timedelta) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + validity)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _subject(common_name: str, organizations: Sequence[str]) -> x509.Name:
    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in organizations]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_names(names: Sequence[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _is_unspecified(name: str) -> bool:
    """0.0.0.0 and :: are addresses to bind, not to be called by."""
    return name in ("0.0.0.0", "::")


def _write_pair(pair: KeyPair, pem: tuple[bytes, bytes]) -> None:
    """The key first: a certificate on disk always has its key."""
    write_private(pair.key, pem[1])
    write_private(pair.cert, pem[0])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: Key | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
