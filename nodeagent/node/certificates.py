"""The node's certificates: a client one by which the API server knows it, and a serving one for its own API.

Both are asked for by CertificateSigningRequest and renewed before they expire. The first client certificate is asked
for with bootstrap credentials; until a serving certificate is issued, one that the node has signed itself serves.
Follows: pkg/kubelet/certificate, k8s.io/client-go/util/certificate
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import os
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from controllers.runtime.client import Client
from controllers.runtime.errors import ApiError, Forbidden, NotFound
from controllers.runtime.kinds import CERTIFICATE_SIGNING_REQUESTS
from openapi.meta.times import format_time, now

CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
SERVING_SIGNER = "kubernetes.io/kubelet-serving"
ISSUE_TIMEOUT_S = 15 * 60.0
POLL_S = (0.1, 2.0)
SELF_SIGNED_DAYS = 365
RENEW_SHARE = (0.7, 0.9)
"""A certificate is renewed after a random part of its life in this range."""


class NotIssued(Exception):
    """A certificate was denied, or nobody has issued it in time."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a certificate is to say. `addresses` are IPs and names, for serving only."""

    node: str
    signer: str
    addresses: Sequence[str] = ()

    @property
    def usages(self) -> list[str]:
        purpose = "server auth" if self.signer == SERVING_SIGNER else "client auth"
        return ["digital signature", purpose]


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def request_pem(wanted: Wanted, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The PKCS#10 request in the node's name."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(wanted.node))
    if wanted.addresses:
        builder = builder.add_extension(_alternative_names(wanted.addresses), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def self_signed(node: str, addresses: Sequence[str], key: ec.EllipticCurvePrivateKey) -> bytes:
    moment = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{node}@{int(moment.timestamp())}")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - timedelta(hours=1))
        .not_valid_after(moment + timedelta(days=SELF_SIGNED_DAYS))
        .add_extension(_alternative_names([node, *addresses]), critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _subject(node: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{node}"),
        ]
    )


def _alternative_names(addresses: Sequence[str]) -> x509.SubjectAlternativeName:
    names: list[x509.GeneralName] = []
    for address in addresses:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(address)))
        except ValueError:
            names.append(x509.DNSName(address))
    return x509.SubjectAlternativeName(names)


async def obtain(client: Client, wanted: Wanted, key: ec.EllipticCurvePrivateKey, approver: Client | None) -> bytes:
    """Ask for a certificate and wait until it is issued; `approver` says yes where nobody else would.

    Raises NotIssued, ApiError.
    """
    request = {
        "kind": "CertificateSigningRequest",
        "apiVersion": "certificates.k8s.io/v1",
        "metadata": {"generateName": "csr-"},
        "spec": {
            "request": base64.b64encode(request_pem(wanted, key)).decode(),
            "signerName": wanted.signer,
            "usages": wanted.usages,
        },
    }
    made = await client.create(CERTIFICATE_SIGNING_REQUESTS, request)
    name = made["metadata"]["name"]
    if approver is not None:
        with suppress(Forbidden):  # who may not approve waits for who may
            await _approve(approver, name)
    return await _issued(client, name)


async def _approve(approver: Client, name: str) -> None:
    found = await approver.get(CERTIFICATE_SIGNING_REQUESTS, "", name)
    condition = {
        "type": "Approved",
        "status": "True",
        "reason": "BroughtUpHere",
        "message": "The node was started by whoever has brought up the cluster.",
        "lastUpdateTime": format_time(now()),
    }
    status = {**(found.get("status") or {}), "conditions": [condition]}
    await approver.update(CERTIFICATE_SIGNING_REQUESTS, {**found, "status": status}, "approval")


async def _issued(client: Client, name: str) -> bytes:
    wait_s = POLL_S[0]
    async with asyncio.timeout(ISSUE_TIMEOUT_S):
        while True:
            try:
                found = await client.get(CERTIFICATE_SIGNING_REQUESTS, "", name)
            except NotFound as error:
                raise NotIssued(f"the request {name} is gone") from error
            status = found.get("status") or {}
            if status.get("certificate"):
                return base64.b64decode(status["certificate"])
            for condition in status.get("conditions") or ():
                if condition["type"] in ("Denied", "Failed"):
                    raise NotIssued(f"the request {name} was refused: {condition.get('message', '')}")
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 1.5, POLL_S[1])


@dataclass(frozen=True, slots=True)
class PairFiles:
    """A certificate and its key on disk."""

    cert: Path
    key: Path

    def write(self, certificate: bytes, key: bytes) -> None:
        self.key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path, content in ((self.key, key), (self.cert, certificate)):
            draft = path.with_suffix(".new")
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            draft.rename(path)

    def renew_in_s(self, share: float = 1.0) -> float:
        """How long until that share of the certificate's life is over; 0 when it is, or there is none."""
        try:
            certificate = x509.load_pem_x509_certificate(self.cert.read_bytes())
        except (OSError, ValueError):
            return 0.0
        begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        return max(0.0, (begin + (end - begin) * share - datetime.now(UTC)).total_seconds())


async def keep_fresh(client: Client, wanted: Wanted, files: PairFiles, approver: Client | None) -> None:
    """Obtain the certificate anew whenever most of its life is over. Returns each time a new one is there."""
    await asyncio.sleep(files.renew_in_s(random.uniform(*RENEW_SHARE)))
    while True:
        key = new_key()
        try:
            files.write(await obtain(client, wanted, key, approver), key_pem(key))
        except (ApiError, NotIssued, TimeoutError):
            await asyncio.sleep(POLL_S[1] * 15)
        else:
            return
