from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from openapi.meta.status import StatusError

Object = dict[str, Any]
GROUP = "certificates.k8s.io"
REQUESTS = "certificatesigningrequests"


def request(signer: str = "example.com/s", organization: str = "devs", **status: Any) -> Object:
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization), x509.NameAttribute(NameOID.COMMON_NAME, "x")]
    )
    made = x509.CertificateSigningRequestBuilder().subject_name(subject)
    pem = made.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    spec = {"signerName": signer, "request": base64.b64encode(pem).decode()}
    return {"metadata": {"name": "a"}, "spec": spec, "status": status}


@pytest.mark.parametrize(("verb", "subresource"), [("approve", "approval"), ("sign", "status")])
async def test_approving_and_signing_need_the_right_to_the_signer(cluster: Any, verb: str, subresource: str) -> None:
    old = request()
    new = {**old, "status": {"conditions": [{"type": "Approved"}]}}
    with pytest.raises(StatusError) as caught:
        await cluster.update(REQUESTS, new, old, group=GROUP, subresource=subresource)
    assert caught.value.message == (
        f'certificatesigningrequests.certificates.k8s.io "a" is forbidden: user not permitted to {verb} requests with '
        'signerName "example.com/s"'
    )
    for name in ("example.com/s", "example.com/*"):
        cluster.signers = {("alice", verb, name)}
        await cluster.update(REQUESTS, new, old, group=GROUP, subresource=subresource)


async def test_a_status_without_news_needs_no_right(cluster: Any) -> None:
    old = request()
    await cluster.update(REQUESTS, old, old, group=GROUP, subresource="status")


async def test_nobody_asks_to_be_a_master(cluster: Any) -> None:
    await cluster.create(REQUESTS, request(organization="system:masters"), group=GROUP)
    client = "kubernetes.io/kube-apiserver-client"
    await cluster.create(REQUESTS, request(client), group=GROUP)
    with pytest.raises(StatusError, match=f"use of {client} signer with system:masters group is not allowed"):
        await cluster.create(REQUESTS, request(client, "system:masters"), group=GROUP)
